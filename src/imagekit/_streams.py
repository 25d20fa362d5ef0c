"""A call as it comes: its events, blocking and async, and one picture as a file."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Coroutine, Generator, Iterator
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import anyio
import anyio.lowlevel

from ._around import Ready
from ._drive import drive
from ._errors import RequestError
from ._events import Completed, ImageEvent, PartialImage
from ._image import ImageFile
from ._jobs import Job
from ._perform import perform
from ._response import ImageResponse, Timing
from ._scope import Scope
from ._transport import AsyncTransport, SyncTransport

if TYPE_CHECKING:
    from anyio.streams.memory import MemoryObjectSendStream


class Clock:
    """How long a call takes, and how long until its first preview."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._preview: float | None = None

    def see(self, event: ImageEvent) -> None:
        """Note the first preview."""
        if isinstance(event, PartialImage) and self._preview is None:
            self._preview = time.monotonic() - self._start

    def stamp(self, response: ImageResponse) -> ImageResponse:
        """*response* with its timing."""
        timing = Timing(total=time.monotonic() - self._start, first_preview=self._preview)
        return response.model_copy(update={"timing": timing})


class Stream:
    """A call's events, as they happen. Use it with `with`, which closes everything on leaving."""

    def __init__(self, ready: Ready[ImageResponse], transport: SyncTransport) -> None:
        self._begun = ready.begun
        self._clock = Clock()
        self._scope = Scope(ready.deadline)
        self._events = self._completed(drive(ready.flow, transport, self._scope))
        self._response: ImageResponse | None = None

    def _completed(
        self, events: Generator[ImageEvent, None, ImageResponse]
    ) -> Generator[ImageEvent, None, None]:
        with closing(events):
            response = yield from self._seen(events)
            self._response = self._clock.stamp(response)
            yield Completed(response=self._response)

    def _seen(
        self, events: Generator[ImageEvent, None, ImageResponse]
    ) -> Generator[ImageEvent, None, ImageResponse]:
        while True:
            try:
                event = next(events)
            except StopIteration as stop:
                response: ImageResponse = stop.value
                return response
            self._clock.see(event)
            yield event

    @property
    def response(self) -> ImageResponse:
        """What the call came to; there once the stream has ended."""
        if self._response is None:
            raise RequestError("the stream has not ended: iterate it, or call finish()")
        return self._response

    @property
    def job(self) -> Job | None:
        """What `resume` can finish, should this be left now: what was begun and is not over."""
        return self._begun.job if self._begun else None

    def finish(self) -> ImageResponse:
        """Read on to the end; what the call came to."""
        for _ in self:
            pass
        return self.response

    def close(self) -> None:
        """Leave: the connection is closed, and what was gathered is ended."""
        self._events.close()

    def __iter__(self) -> Iterator[ImageEvent]:
        return self

    def __next__(self) -> ImageEvent:
        return next(self._events)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncStream:
    """A call's events, as they happen. Use it with `async with`, which closes everything."""

    def __init__(self, ready: Ready[ImageResponse], transport: AsyncTransport) -> None:
        self._ready, self._transport = ready, transport
        self._clock = Clock()
        self._entered = False
        self._response: ImageResponse | None = None
        self._error: Exception | None = None

    async def __aenter__(self) -> Self:
        # The task group lives from here to __aexit__, in the caller's own frame: events come
        # through a channel, so that no generator ever yields inside a cancel scope.
        self._entered = True
        into, self._events = anyio.create_memory_object_stream[ImageEvent](0)
        self._group = await anyio.create_task_group().__aenter__()
        self._group.start_soon(self._run, into)
        return self

    async def _run(self, into: MemoryObjectSendStream[ImageEvent]) -> None:
        end = until(self._ready.deadline)
        async with into:
            try:
                tell = partial(_handed, into)
                response = await perform(self._ready.flow, self._transport, end, tell)
                self._response = self._clock.stamp(response)
                await tell(Completed(response=self._response))
            except Exception as error:
                self._error = error

    @property
    def response(self) -> ImageResponse:
        """What the call came to; there once the stream has ended."""
        if self._response is None:
            raise RequestError("the stream has not ended: iterate it, or call finish()")
        return self._response

    @property
    def job(self) -> Job | None:
        """What `resume` can finish, should this be left now: what was begun and is not over."""
        return self._ready.begun.job if self._ready.begun else None

    async def finish(self) -> ImageResponse:
        """Read on to the end; what the call came to."""
        async for _ in self:
            pass
        return self.response

    def __aiter__(self) -> AsyncIterator[ImageEvent]:
        return self

    async def __anext__(self) -> ImageEvent:
        if not self._entered:
            raise RequestError("an async stream is for `async with client.stream(...) as stream:`")
        try:
            event = await self._events.receive()
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            error, self._error = self._error, None
        else:
            self._clock.see(event)
            return event
        raise error or StopAsyncIteration

    async def __aexit__(self, *_: object) -> None:
        self._group.cancel_scope.cancel()
        self._events.close()
        # The body's own exception is not the group's: handed over, it would come back wrapped.
        await self._group.__aexit__(None, None, None)


async def _handed(into: MemoryObjectSendStream[ImageEvent], event: ImageEvent) -> None:
    """Hand *event* over; whoever waits for it has seen it before more is read."""
    try:
        into.send_nowait(event)
    except anyio.WouldBlock:
        await into.send(event)
    await anyio.lowlevel.checkpoint()


class Opening:
    """A picture on its way: `await` gives it as an `ImageFile`, `async with` as an async file."""

    def __init__(self, coming: Coroutine[Any, Any, ImageFile]) -> None:
        self._coming = coming

    def __await__(self) -> Generator[Any, None, ImageFile]:
        return self._coming.__await__()

    async def __aenter__(self) -> anyio.AsyncFile[bytes]:
        self._file = await self
        return anyio.wrap_file(self._file)

    async def __aexit__(self, *_: object) -> None:
        self._file.close()


def until(deadline: float | None) -> float:
    """*deadline* seconds from now, on the event loop's clock."""
    return math.inf if deadline is None else anyio.current_time() + deadline
