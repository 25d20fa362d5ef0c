"""The async driver: performs a flow's effects on asyncio or trio."""

from __future__ import annotations

import math
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing, closing
from functools import partial
from inspect import isawaitable, iscoroutine
from typing import Any, TypeVar, assert_never

import anyio
import anyio.lowlevel
import anyio.to_thread

from ._errors import DeadlineExceededError
from ._events import ImageEvent
from ._flow import (
    GRACE,
    Call,
    Checkpoint,
    Effect,
    Effects,
    Emit,
    Gather,
    Open,
    Receive,
    Send,
    Sleep,
    proper,
)
from ._framing import Received, decoder
from ._http import Framing, HttpRequest
from ._scope import Reach, quietly, reach, too_long
from ._transport import AsyncTransport

T = TypeVar("T")
Tell = Callable[[ImageEvent], Awaitable[None]]
# After how many events everybody else has their turn, where nothing else gave it to them.
BREATH = 8


async def nobody(event: ImageEvent) -> None:
    """Whom to tell when nobody watches."""


def _passed(until: float) -> bool:
    return until != math.inf and anyio.current_time() >= until


class _Work:
    """What a thread does; a coroutine that it gives to nobody any more is closed."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function
        self._lock, self._left = threading.Lock(), False
        self._found: Any = None

    def __call__(self) -> list[Any]:
        """Do it. What comes of it is in a list, for trio takes no awaitable from a thread."""
        found = self._function()
        with self._lock:
            self._found = found
            if self._left:
                self._close()
        return [found]

    def leave(self) -> None:
        """Nobody waits for it any more."""
        with self._lock:
            self._left = True
            self._close()

    def _close(self) -> None:
        if iscoroutine(self._found):
            self._found.close()


async def perform(
    flow: Effects[T], transport: AsyncTransport, until: float = math.inf, tell: Tell = nobody
) -> T:
    """Perform *flow*, *tell* its events, return what it returns.

    *until* is the deadline on the event loop's clock. Cancelling closes everything.
    """
    step: Callable[[], Effect] = partial(next, flow)
    doing = _Doing(transport, until, tell)
    grace = GRACE
    try:
        while True:
            try:
                effect = step()
            except StopIteration as stop:
                result: T = stop.value
                await doing.read_on()
                return result
            if _passed(until):
                grace -= 1
                if not grace:
                    # It was told, and goes on all the same.
                    raise DeadlineExceededError("the deadline for the call passed")
            try:
                reply = await doing.perform(proper(effect))
            except Exception as error:
                step = partial(flow.throw, error)
            else:
                step = partial(flow.send, reply)
    finally:
        try:
            await doing.aclose()
        finally:
            # Closing has nothing to say any more, whatever a plugin's own cleaning up does.
            quietly(flow.close)()


async def performed(flow: Effects[T], transport: AsyncTransport, until: float = math.inf) -> T:
    """`perform`, on asyncio in a task of its own.

    What cancels a task of asyncio itself (`Task.cancel`, `asyncio.timeout`) strikes wherever the
    task stands, amid closing too. Here it strikes one that only waits, and ends the work by a
    cancelled scope, from which closing is shielded.
    """
    cancelled = anyio.get_cancelled_exc_class()
    if not cancelled.__module__.startswith("asyncio"):
        return await perform(flow, transport, until)
    done: list[T] = []
    failed: list[BaseException] = []

    async def work() -> None:
        try:
            done.append(await perform(flow, transport, until))
        except BaseException as error:
            failed.append(error)
            if isinstance(error, cancelled):
                raise

    async with anyio.create_task_group() as group:
        group.start_soon(work)
    if failed:
        raise failed.pop()
    if not done:
        # Somebody cancelled that task before it began, and it alone.
        raise cancelled
    return done.pop()


class _Doing:
    """One flow's way of having its effects performed: its opened stream is its own."""

    def __init__(self, transport: AsyncTransport, until: float, tell: Tell) -> None:
        self._transport, self._until, self._tell = transport, until, tell
        self._spoken = 0
        self._opened = AsyncExitStack()
        self._received: AsyncIterator[Received] | None = None
        self._pieces: AsyncIterator[bytes] | None = None

    async def perform(self, effect: Effect) -> Any:
        match effect:
            case Emit(event):
                self._spoken += 1
                if self._spoken % BREATH == 0:
                    # A flow that only speaks must not keep everybody else from their turn.
                    await anyio.lowlevel.checkpoint()
                return await self._tell(event)
            case Gather(flows, limit):
                return await self._gathered(flows, limit)
        charges = isinstance(effect, Send | Open) and effect.request.charges
        if _passed(self._until):
            raise DeadlineExceededError("the deadline for the call passed", billed="no")
        if isinstance(effect, Sleep) and anyio.current_time() + effect.seconds > self._until:
            raise too_long(effect.seconds)
        far = Reach()
        token = reach.set(far)
        try:
            if self._until == math.inf:
                return await self._one(effect)
            with anyio.CancelScope(deadline=self._until) as limited:
                return await self._one(effect)
        finally:
            reach.reset(token)
        assert limited.cancelled_caught
        free = not charges or far.connecting
        raise DeadlineExceededError(
            "the deadline for the call passed", billed="no" if free else None
        )

    async def _one(self, effect: Send | Open | Receive | Sleep | Call | Checkpoint) -> Any:
        match effect:
            case Send(request):
                return await self._transport.send(request)
            case Open(request, framing):
                self._pieces = None
                await self._opened.aclose()
                opening = self._transport.open(request, framing)
                response, pieces = await self._opened.enter_async_context(opening)
                self._pieces = pieces
                decoding = _decoded(pieces, request, framing)
                self._received = await self._opened.enter_async_context(aclosing(decoding))
                return response
            case Receive():
                return await anext(self._received, None) if self._received else None
            case Sleep(seconds):
                return await anyio.sleep(seconds)
            case Call(function, stop):
                work = _Work(function)
                try:
                    [found] = await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
                    return await found if isawaitable(found) else found
                except anyio.get_cancelled_exc_class():
                    work.leave()
                    if stop is not None:
                        quietly(stop)()
                    raise
            case Checkpoint():
                return None
            case _ as never:
                assert_never(never)

    async def _gathered(self, flows: tuple[Effects[Any], ...], limit: int | None) -> Any:
        outcomes: list[Any] = [None] * len(flows)
        room = anyio.Semaphore(limit or max(1, len(flows)))

        async def one(index: int, flow: Effects[Any]) -> None:
            async with room:
                try:
                    outcomes[index] = await perform(flow, self._transport, self._until, self._tell)
                except Exception as error:
                    outcomes[index] = error

        async with anyio.create_task_group() as group:
            for index, flow in enumerate(flows):
                group.start_soon(one, index, flow)
        return tuple(outcomes)

    async def read_on(self) -> None:
        """Read the end of the opened stream, where it is there, for the next request's sake."""
        if self._pieces is not None:
            await self._transport.read_on(self._pieces, self._until)

    async def aclose(self) -> None:
        """Close the opened stream, whatever else is being cancelled."""
        if self._pieces is not None:
            with anyio.CancelScope(shield=True):
                await self._opened.aclose()


async def _decoded(
    pieces: AsyncIterator[bytes], request: HttpRequest, framing: Framing
) -> AsyncGenerator[Received, None]:
    with closing(decoder(framing, request.blobs, request.sink)) as decode:
        async for piece in pieces:
            for item in decode.feed(piece):
                yield item
        for item in decode.finish():
            yield item
