"""The blocking driver: performs a flow's effects, and gives its events to whoever iterates."""

from __future__ import annotations

import contextvars
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing, suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, TypeVar, assert_never

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
    at_once,
    proper,
)
from ._framing import Received, decoder
from ._http import Framing, HttpRequest
from ._scope import Scope, current, quietly
from ._transport import SyncTransport

T = TypeVar("T")
# Seconds that whoever leaves waits for threads whose work cannot be stopped.
PATIENCE = 2.0
# As many events of gathered flows may wait for whoever listens.
SAID = 16


def drive(
    flow: Effects[T], transport: SyncTransport, scope: Scope
) -> Generator[ImageEvent, None, T]:
    """Perform *flow*; yields its events and returns what it returns.

    Whoever stops early closes everything: the flow, its stream, and the flows that it gathered.
    """
    opened = ExitStack()
    received: Iterator[Received] = iter(())
    read_on: Callable[[], None] | None = None
    step: Callable[[], Effect] = partial(next, flow)
    grace = GRACE
    try:
        while True:
            reply: Any = None
            try:
                effect = step()
            except StopIteration as stop:
                result: T = stop.value
                if read_on is not None:
                    read_on()
                return result
            if scope.over:
                grace -= 1
                if not grace:
                    # It was told, and goes on all the same.
                    raise DeadlineExceededError("the deadline for the call passed")
            try:
                match proper(effect):
                    case Emit(event):
                        yield event
                    case Gather() as gather:
                        reply = yield from _gathered(gather, transport, scope)
                    case Send(request):
                        scope.check()
                        with _entered(scope):
                            reply = transport.send(request)
                    case Open(request, framing):
                        scope.check()
                        with _entered(scope):
                            received, read_on = iter(()), None
                            opened.close()
                            reply, pieces = opened.enter_context(transport.open(request, framing))
                            read_on = partial(transport.read_on, request, pieces, scope)
                            received = opened.enter_context(
                                closing(_decoded(pieces, request, framing))
                            )
                    case Receive():
                        scope.check(None)
                        with _entered(scope):
                            reply = next(received, None)
                    case Sleep(seconds):
                        scope.sleep(seconds)
                    case Call() as work:
                        scope.check()
                        reply = at_once(_called(work, scope))
                    case Checkpoint():
                        pass
                    case _ as never:
                        assert_never(never)
            except Exception as error:
                step = partial(flow.throw, error)
            else:
                step = partial(flow.send, reply)
    finally:
        # Closing has nothing to say any more, whatever a plugin's own cleaning up does.
        quietly(opened.close)()
        quietly(flow.close)()


def run(flow: Effects[T], transport: SyncTransport, scope: Scope) -> T:
    """Perform *flow* with nobody watching its events."""
    driven = drive(flow, transport, scope)
    try:
        while True:
            next(driven)
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        driven.close()


class _entered:  # noqa: N801  # as contextlib names its own
    """What blocks meanwhile does so within *scope*."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def __enter__(self) -> None:
        self._token = current.set(self._scope)

    def __exit__(self, *_: object) -> None:
        current.reset(self._token)


def _decoded(
    pieces: Iterator[bytes], request: HttpRequest, framing: Framing
) -> Generator[Received, None, None]:
    with closing(decoder(framing, request.blobs, request.sink)) as decode:
        for piece in pieces:
            yield from decode.feed(piece)
        yield from decode.finish()


def _called(work: Call, scope: Scope) -> Any:
    if work.stop is None:
        return work.function()
    stop = quietly(work.stop)
    left = scope.left()
    over: SimpleQueue[None] = SimpleQueue()

    def stop_in_time(seconds: float) -> None:
        try:
            over.get(timeout=min(seconds, threading.TIMEOUT_MAX))
        except Empty:
            stop()

    with scope.ending(stop):
        try:
            if left is not None:
                threading.Thread(target=stop_in_time, args=(left,), daemon=True).start()
            reply = work.function()
        except Exception:
            scope.check(None)
            raise
        finally:
            over.put(None)
    # Work that was asked to stop may have come back with half a result.
    scope.check(None)
    return reply


class _Outcome:
    """How one gathered flow ended."""

    def __init__(self, index: int, value: Any) -> None:
        self.index = index
        self.value = value


def _gathered(
    gather: Gather, transport: SyncTransport, scope: Scope
) -> Generator[ImageEvent, None, tuple[Any, ...]]:
    """Run the flows in threads; their events come through one bounded queue."""
    inner = Scope(parent=scope)
    said: SimpleQueue[ImageEvent | _Outcome | None] = SimpleQueue()
    room: SimpleQueue[None] = SimpleQueue()
    for _ in range(SAID):
        room.put(None)
    waiting = deque(enumerate(gather.flows))

    def say(item: ImageEvent | _Outcome) -> None:
        while not inner.cancelled:
            with suppress(Empty):
                room.get(timeout=0.1)
                return said.put(item)

    def work() -> None:
        while True:
            try:
                index, flow = waiting.popleft()
            except IndexError:
                return
            with closing(drive(flow, transport, inner)) as driven:
                try:
                    while not inner.cancelled:
                        say(next(driven))
                except StopIteration as stop:
                    say(_Outcome(index, stop.value))
                except BaseException as error:
                    say(_Outcome(index, error))

    def wake() -> None:
        inner.cancel()
        said.put(None)

    many = min(gather.limit or len(gather.flows), len(gather.flows))
    threads = [
        threading.Thread(
            target=contextvars.copy_context().run, args=(work,), daemon=True, name="imagekit"
        )
        for _ in range(many)
    ]
    outcomes: dict[int, Any] = {}
    try:
        with scope.ending(wake):
            for thread in threads:
                thread.start()
            while len(outcomes) < len(gather.flows):
                item = said.get()
                room.put(None)
                if item is None or inner.cancelled:
                    scope.check()
                elif isinstance(item, _Outcome):
                    outcomes[item.index] = item.value
                else:
                    yield item
    finally:
        waiting.clear()
        inner.cancel()
        until = time.monotonic() + PATIENCE
        for thread in threads:
            # What blocks has been ended; only work that cannot be stopped outlives this. Whoever is
            # interrupted amid the start of a thread cannot wait for it, which finds nothing to do.
            with suppress(RuntimeError):
                thread.join(timeout=max(0.0, until - time.monotonic()))
    return tuple(outcomes[index] for index in range(len(gather.flows)))
