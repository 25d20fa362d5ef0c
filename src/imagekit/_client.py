"""The two clients: thin, alike, and the only things with state."""

from __future__ import annotations

import io
import math
import time
from collections.abc import AsyncIterator, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, Self, Unpack

import anyio

from ._calls import (
    Calls,
    Defaults,
    EditFields,
    GenerateFields,
    Inputs,
    Planned,
    Profile,
    RunFields,
    StreamFields,
)
from ._capabilities import Capabilities
from ._drive import drive, run
from ._errors import RequestError
from ._events import Completed, ImageEvent, PartialImage
from ._image import Image
from ._perform import perform
from ._plugins import Plugins
from ._request import ImageRequest
from ._response import ImageResponse, Timing
from ._retried import RetryPolicy
from ._scope import Scope
from ._transport import AsyncTransport, SyncTransport, Timeouts

if TYPE_CHECKING:
    import httpx
    from anyio.streams.memory import MemoryObjectSendStream


class _Clock:
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


class _Client:
    """What the two clients have in common: everything but their verbs."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    @property
    def plugins(self) -> Plugins:
        """Where observers, and providers that are not installed, are registered."""
        return self._calls.plugins

    def providers(self) -> tuple[str, ...]:
        """Everything that `provider=` may be: providers and profiles."""
        return self._calls.names()

    def capabilities(
        self, model: str | None = None, *, provider: str | None = None
    ) -> Capabilities:
        """What *model* can do; without one, what the provider's default model can."""
        return self._calls.capabilities(provider, model)

    def _streamed(self, given: ImageRequest | str, fields: Mapping[str, Any]) -> Planned:
        if isinstance(given, ImageRequest):
            return self._calls.planned(given, fields, stream=True)
        return self._calls.planned(None, {**fields, "prompt": _prompt(given)}, stream=True)


def _prompt(given: object) -> str:
    if not isinstance(given, str):
        raise RequestError(f"a prompt is text, not {type(given).__name__}")
    return given


class Stream:
    """A call's events, as they happen. Use it with `with`, which closes everything on leaving."""

    def __init__(self, planned: Planned, transport: SyncTransport) -> None:
        self._clock = _Clock()
        self._scope = Scope(planned.deadline)
        self._events = self._completed(drive(planned.flow, transport, self._scope))
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


class Client(_Client):
    """Makes pictures through any provider, blocking.

    *provider* is who makes them where a call does not say; *api_key*, *base_url* and *settings*
    are that provider's, and *profiles* are others with settings of their own. *http* is an
    `httpx.Client` to send over, *downloads* one to read strangers' URLs with; both stay yours to
    close. *timeouts* are seconds for connecting and for the next byte. Everything else is a
    default for the calls: the call's own value wins.

    Safe to share between threads.
    """

    def __init__(
        self,
        *,
        provider: str | None = None,
        api_key: str | None = None,
        base_url: str | None = None,
        settings: Mapping[str, Any] | None = None,
        profiles: Sequence[Profile] = (),
        plugins: Plugins | None = None,
        retry: RetryPolicy | None = None,
        timeouts: Timeouts | None = None,
        http: httpx.Client | None = None,
        downloads: httpx.Client | None = None,
        env: Mapping[str, str] | None = None,
        **defaults: Unpack[Defaults],
    ) -> None:
        own = Profile("", "", base_url, api_key, None, settings or {})
        super().__init__(Calls(provider, own, profiles, plugins, retry, defaults, env))
        self._transport = SyncTransport(http, downloads, timeouts)

    def generate(self, prompt: str, **fields: Unpack[GenerateFields]) -> ImageResponse:
        """Make pictures from a prompt."""
        return self._run(self._calls.planned(None, {**fields, "prompt": _prompt(prompt)}))

    def edit(self, prompt: str, images: Inputs, **fields: Unpack[EditFields]) -> ImageResponse:
        """Change pictures as a prompt says; with a mask, only where it marks."""
        asked = {**fields, "prompt": _prompt(prompt), "images": images}
        return self._run(self._calls.planned(None, asked))

    def vary(self, images: Inputs, **fields: Unpack[GenerateFields]) -> ImageResponse:
        """Make pictures like a given one."""
        return self._run(self._calls.planned(None, {**fields, "images": images}))

    def run(self, request: ImageRequest, **fields: Unpack[RunFields]) -> ImageResponse:
        """Do what *request* asks."""
        return self._run(self._calls.planned(request, fields))

    def stream(self, request: ImageRequest | str, **fields: Unpack[StreamFields]) -> Stream:
        """Do what *request*, or a prompt with its fields, asks, and see it happen."""
        return Stream(self._streamed(request, fields), self._transport)

    def open_image(self, prompt: str, **fields: Unpack[GenerateFields]) -> io.BytesIO:
        """The bytes of one new picture, as a file to read from; raises when there is none."""
        return self.generate(prompt, **fields).image.open()

    def fetch(self, image: Image, *, provider: str | None = None) -> Image:
        """*image* with its bytes, where it is only a URL yet."""
        return run(self._calls.fetching(image, provider), self._transport, Scope())

    def _run(self, planned: Planned) -> ImageResponse:
        clock = _Clock()
        return clock.stamp(run(planned.flow, self._transport, Scope(planned.deadline)))

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncStream:
    """A call's events, as they happen. Use it with `async with`, which closes everything."""

    def __init__(self, planned: Planned, transport: AsyncTransport) -> None:
        self._planned, self._transport = planned, transport
        self._clock = _Clock()
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
        until = _until(self._planned.deadline)
        async with into:
            try:
                response = await perform(self._planned.flow, self._transport, until, into.send)
                self._response = self._clock.stamp(response)
                await into.send(Completed(response=self._response))
            except Exception as error:
                self._error = error

    @property
    def response(self) -> ImageResponse:
        """What the call came to; there once the stream has ended."""
        if self._response is None:
            raise RequestError("the stream has not ended: iterate it, or call finish()")
        return self._response

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
            if self._error is not None:
                error, self._error = self._error, None
                raise error from None
            raise StopAsyncIteration from None
        self._clock.see(event)
        return event

    async def __aexit__(self, *_: object) -> None:
        self._group.cancel_scope.cancel()
        self._events.close()
        # The body's own exception is not the group's: handed over, it would come back wrapped.
        await self._group.__aexit__(None, None, None)


def _until(deadline: float | None) -> float:
    return math.inf if deadline is None else anyio.current_time() + deadline


class AsyncClient(_Client):
    """Makes pictures through any provider, on asyncio or trio.

    The arguments are those of `Client`; *http* and *downloads* are `httpx.AsyncClient`s.
    """

    def __init__(
        self,
        *,
        provider: str | None = None,
        api_key: str | None = None,
        base_url: str | None = None,
        settings: Mapping[str, Any] | None = None,
        profiles: Sequence[Profile] = (),
        plugins: Plugins | None = None,
        retry: RetryPolicy | None = None,
        timeouts: Timeouts | None = None,
        http: httpx.AsyncClient | None = None,
        downloads: httpx.AsyncClient | None = None,
        env: Mapping[str, str] | None = None,
        **defaults: Unpack[Defaults],
    ) -> None:
        own = Profile("", "", base_url, api_key, None, settings or {})
        super().__init__(Calls(provider, own, profiles, plugins, retry, defaults, env))
        self._transport = AsyncTransport(http, downloads, timeouts)

    async def generate(self, prompt: str, **fields: Unpack[GenerateFields]) -> ImageResponse:
        """Make pictures from a prompt."""
        return await self._run(self._calls.planned(None, {**fields, "prompt": _prompt(prompt)}))

    async def edit(
        self, prompt: str, images: Inputs, **fields: Unpack[EditFields]
    ) -> ImageResponse:
        """Change pictures as a prompt says; with a mask, only where it marks."""
        asked = {**fields, "prompt": _prompt(prompt), "images": images}
        return await self._run(self._calls.planned(None, asked))

    async def vary(self, images: Inputs, **fields: Unpack[GenerateFields]) -> ImageResponse:
        """Make pictures like a given one."""
        return await self._run(self._calls.planned(None, {**fields, "images": images}))

    async def run(self, request: ImageRequest, **fields: Unpack[RunFields]) -> ImageResponse:
        """Do what *request* asks."""
        return await self._run(self._calls.planned(request, fields))

    def stream(self, request: ImageRequest | str, **fields: Unpack[StreamFields]) -> AsyncStream:
        """Do what *request*, or a prompt with its fields, asks, and see it happen."""
        return AsyncStream(self._streamed(request, fields), self._transport)

    async def open_image(self, prompt: str, **fields: Unpack[GenerateFields]) -> io.BytesIO:
        """The bytes of one new picture, as a file to read from; raises when there is none."""
        return (await self.generate(prompt, **fields)).image.open()

    async def fetch(self, image: Image, *, provider: str | None = None) -> Image:
        """*image* with its bytes, where it is only a URL yet."""
        return await perform(self._calls.fetching(image, provider), self._transport)

    async def _run(self, planned: Planned) -> ImageResponse:
        clock = _Clock()
        until = _until(planned.deadline)
        return clock.stamp(await perform(planned.flow, self._transport, until))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
