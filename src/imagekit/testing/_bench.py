"""Where a provider meets its host in a test: one call, in each of the ways that there are."""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, TypeAlias

import anyio

from .._capabilities import Capabilities
from .._client import AsyncClient, Client
from .._errors import ImagekitError
from .._events import ImageEvent
from .._flow import Provider
from .._hookspecs import Config
from .._mask import Mask
from .._plugins import Plugins
from .._request import ImageRequest
from .._response import ImageResponse
from .._retried import RetryPolicy
from ._host import Host
from ._pixels import png as png
from ._trace import Trace, Traced
from ._wire import asynchronous, blocking

# What stands for a key: wherever it turns up beside a credential, it has leaked.
KEY = "a-key-that-must-not-leak-4f1c9a"
Way: TypeAlias = Literal["blocking", "async", "blocking stream", "async stream"]
WAYS: tuple[Way, ...] = ("blocking", "async", "blocking stream", "async stream")


def mask(edit_where: str, width: int = 16, height: int = 16) -> Mask:
    """A mask of that convention which says to edit the left half."""
    from PIL import Image as Pillow

    marked = {"white": 255, "black": 0, "transparent": 0, "opaque": 255}[edit_where]
    half = Pillow.new("L", (width, height), 255 - marked)
    half.paste(marked, (0, 0, width // 2, height))
    drawn = half
    if edit_where in ("transparent", "opaque"):
        drawn = Pillow.new("RGBA", (width, height), (9, 9, 9, 255))
        drawn.putalpha(half)
    out = io.BytesIO()
    drawn.save(out, "PNG")
    return Mask(out.getvalue(), edit_where=edit_where)  # type: ignore[arg-type]


class _AtOnce(RetryPolicy):
    """Every wait that is asked for is waited out, in no time."""

    def delay(self, attempt: int, asked: float | None) -> float:
        """None at all."""
        return 0.0


@dataclass
class Came:
    """What came of a call: a response or an error, and the events where it was streamed."""

    response: ImageResponse | None = None
    error: ImagekitError | None = None
    events: list[ImageEvent] = field(default_factory=list)

    def pictures(self) -> ImageResponse:
        """The response; raises the error where there is none."""
        if self.response is None:
            assert self.error is not None
            raise self.error
        return self.response


class Bench:
    """A provider and its host, side by side.

    A client made here meets *host* in place of the network, has a key that must not leak, reads no
    file and no variable, and waits for nothing between attempts and between looks. `traces` are
    what the provider's own flows did, `observers` see the calls of the clients that are made from
    then on.
    """

    def __init__(
        self,
        plugin: object,
        name: str,
        host: Host,
        *,
        settings: Mapping[str, Any] | None = None,
        base_url: str | None = None,
        model: str | None = None,
        fields: Mapping[str, Any] | None = None,
    ) -> None:
        self.plugin, self.name, self.host = plugin, name, host
        self.fields = dict(fields or {})
        self.settings = {**(settings or {}), **host.settings}
        self.base_url, self.model = base_url, model
        self.traces: list[Trace] = []
        self.observers: list[object] = []

    def config(self) -> Config:
        """What the provider is built from."""
        return Config(self.name, KEY, self.base_url, settings=self.settings)

    def provider(self) -> Provider:
        """The provider, built anew."""
        return _plugged(self.plugin, self.name).untraced(self.name, self.config())

    def able(self) -> Capabilities:
        """What the model can do."""
        return self.provider().capabilities(self.model)

    def arguments(self, **also: Any) -> dict[str, Any]:
        """The arguments of a client that meets the host; *also* ones of the test's own."""
        return {
            "provider": self.name,
            "api_key": KEY,
            "base_url": self.base_url,
            "settings": self.settings,
            "plugins": self._plugins(),
            "retry": _AtOnce(retries=1, base=0.0, patience=0.0),
            "env": {},
            "config": False,
            "capabilities": False,
            "model": self.model,
            **self.fields,
            **also,
        }

    def client(self, **also: Any) -> Client:
        """A blocking client that meets the host."""
        here = blocking(self.host)
        wire: dict[str, Any] = {"http": here, "downloads": here}
        return Client(**wire, **self.arguments(**also))

    def async_client(self, **also: Any) -> AsyncClient:
        """An async client that meets the host."""
        here = asynchronous(self.host)
        wire: dict[str, Any] = {"http": here, "downloads": here}
        return AsyncClient(**wire, **self.arguments(**also))

    def call(self, verb: Callable[[Client], Any], **also: Any) -> Any:
        """What *verb* makes of a blocking client; an AssertionError where the host fell over."""
        try:
            with self.client(**also) as client:
                return verb(client)
        finally:
            self.host.stands()

    def async_call(self, verb: Callable[[AsyncClient], Awaitable[Any]], **also: Any) -> Any:
        """What *verb* makes of an async client; an AssertionError where the host fell over."""

        async def main() -> Any:
            async with self.async_client(**also) as client:
                return await verb(client)

        try:
            return anyio.run(main)
        finally:
            self.host.stands()

    def ask(
        self,
        prompt: str | None = "a red bicycle",
        *,
        way: Way = "blocking",
        client: Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> Came:
        """One call in that *way*: a generation, an edit or a variation, as the *fields* say."""
        came = Came()
        wanted = {**fields, **({} if prompt is None else {"prompt": prompt})}

        own = {name: wanted.pop(name) for name in set(wanted) - set(ImageRequest.model_fields)}
        try:
            # Here, so that what no request can be is an outcome too.
            request = ImageRequest(**wanted)
            if way == "blocking":
                came.response = self.call(lambda c: c.run(request, **own), **(client or {}))
            elif way == "async":
                came.response = self.async_call(lambda c: c.run(request, **own), **(client or {}))
            elif way == "blocking stream":
                self.call(lambda c: _watched(c.stream(request, **own), came), **(client or {}))
            else:
                self.async_call(
                    lambda c: _awatched(c.stream(request, **own), came), **(client or {})
                )
        except ImagekitError as error:
            came.error = error
        return came

    def _plugins(self) -> Plugins:
        found = _plugged(self.plugin, self.name).noting(self.traces)
        for observer in self.observers:
            found.register(observer)
        return found


@lru_cache(maxsize=16)
def _plugged(plugin: object, name: str) -> Traced:
    """Plugins of that one, which many benches share: it is looked at once."""
    found = Traced()
    found.register(plugin, name)
    return found


def _watched(stream: Any, came: Came) -> None:
    with stream:
        for event in stream:
            came.events.append(event)
        came.response = stream.response


async def _awatched(stream: Any, came: Came) -> None:
    async with stream:
        async for event in stream:
            came.events.append(event)
        came.response = stream.response
