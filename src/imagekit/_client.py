"""The two clients: thin, and alike."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self, Unpack

from ._calls import Calls, Planned
from ._capabilities import Capabilities
from ._drive import run
from ._errors import RequestError
from ._fields import Defaults, EditFields, GenerateFields, Inputs, RunFields, StreamFields
from ._image import Image
from ._perform import perform
from ._plugins import Plugins
from ._providers import Profile, Providers
from ._request import ImageRequest
from ._response import ImageResponse
from ._retried import RetryPolicy
from ._scope import Scope
from ._streams import AsyncStream, Clock, Stream, until
from ._transport import AsyncTransport, SyncTransport, Timeouts

if TYPE_CHECKING:
    import httpx


class _Client:
    """What the two clients have in common: everything but their verbs."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    @property
    def plugins(self) -> Plugins:
        """Where observers, and providers that are not installed, are registered."""
        return self._calls.providers.plugins

    def providers(self) -> tuple[str, ...]:
        """Everything that `provider=` may be: providers and profiles."""
        return self._calls.providers.names()

    def capabilities(
        self, model: str | None = None, *, provider: str | None = None
    ) -> Capabilities:
        """What *model* can do; without one, what the provider's default model can."""
        name, model = self._calls.providers.chosen(provider, model)
        return self._calls.providers.capabilities(name, model)

    def _streamed(self, given: ImageRequest | str, fields: Mapping[str, Any]) -> Planned:
        if isinstance(given, ImageRequest):
            return self._calls.planned(given, fields, stream=True)
        return self._calls.planned(None, {**fields, "prompt": _prompt(given)}, stream=True)


def _some(images: Inputs, verb: str) -> Inputs:
    if images is None or (isinstance(images, Sequence) and not len(images)):
        raise RequestError(f"there is nothing to {verb}: no picture was given")
    return images


def _prompt(given: object) -> str:
    if not isinstance(given, str):
        raise RequestError(f"a prompt is text, not {type(given).__name__}")
    return given


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
        who = Providers(provider, own, profiles, plugins, env)
        super().__init__(Calls(who, retry, defaults))
        self._transport = SyncTransport(http, downloads, timeouts)

    def generate(self, prompt: str, **fields: Unpack[GenerateFields]) -> ImageResponse:
        """Make pictures from a prompt."""
        return self._run(self._calls.planned(None, {**fields, "prompt": _prompt(prompt)}))

    def edit(self, prompt: str, images: Inputs, **fields: Unpack[EditFields]) -> ImageResponse:
        """Change pictures as a prompt says; with a mask, only where it marks."""
        asked = {**fields, "prompt": _prompt(prompt), "images": _some(images, "edit")}
        return self._run(self._calls.planned(None, asked))

    def vary(self, images: Inputs, **fields: Unpack[GenerateFields]) -> ImageResponse:
        """Make pictures like a given one."""
        return self._run(self._calls.planned(None, {**fields, "images": _some(images, "vary")}))

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
        clock = Clock()
        return clock.stamp(run(planned.flow, self._transport, Scope(planned.deadline)))

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


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
        who = Providers(provider, own, profiles, plugins, env)
        super().__init__(Calls(who, retry, defaults))
        self._transport = AsyncTransport(http, downloads, timeouts)

    async def generate(self, prompt: str, **fields: Unpack[GenerateFields]) -> ImageResponse:
        """Make pictures from a prompt."""
        return await self._run(self._calls.planned(None, {**fields, "prompt": _prompt(prompt)}))

    async def edit(
        self, prompt: str, images: Inputs, **fields: Unpack[EditFields]
    ) -> ImageResponse:
        """Change pictures as a prompt says; with a mask, only where it marks."""
        asked = {**fields, "prompt": _prompt(prompt), "images": _some(images, "edit")}
        return await self._run(self._calls.planned(None, asked))

    async def vary(self, images: Inputs, **fields: Unpack[GenerateFields]) -> ImageResponse:
        """Make pictures like a given one."""
        return await self._run(
            self._calls.planned(None, {**fields, "images": _some(images, "vary")})
        )

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
        clock = Clock()
        end = until(planned.deadline)
        return clock.stamp(await perform(planned.flow, self._transport, end))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
