"""The provider `openai-images`: /images/generations, /images/edits, and the retired /variations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from imagekit import (
    ImageRequest,
    ImageResponse,
    UnsupportedRequestError,
)
from imagekit.provider import (
    Capabilities,
    Config,
    Effects,
    Flow,
    HttpRequest,
    HttpResponse,
    hookimpl,
    notice,
    open_stream,
    send,
    split,
)

from . import _images_request as wire
from ._account import Account
from ._dialect import Dialect
from ._events import is_stream
from ._images_answer import decode, decoded, stateless, streamed
from ._lenient import Wanted
from ._notices import WHOLE, emulated

if TYPE_CHECKING:
    from .compatible import CompatibleImages

imagekit_contract = 1


def _answered(request: ImageRequest, answer: HttpResponse) -> Flow:
    # Some servers answer a plain body to a request for a stream, or a stream under a plain type.
    if is_stream(answer):
        return (yield from streamed(request, answer))
    return decode(answer, request)


class OpenAIImages(Dialect):
    """The Images API of OpenAI, or of a server that speaks it."""

    def capabilities(self, model: str | None) -> Capabilities:
        """What *model* can do, as far as it is known; another server's model is unknown."""
        if not self._account.settings.variations:
            return self._known(model, "images")
        every = frozenset({"generate", "edit", "variation"})
        return self._known(model, "images", operations=every, emulates=frozenset())

    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        """Ask for the pictures; watch them come where that can be."""
        if request.state is not None:
            raise stateless()
        request = self._meant(request)
        yield from self._warned(request, stream=stream)
        if request.output_format == "svg":
            return (yield from split(request, 1, self._whole))
        if not stream or request.output_format in WHOLE:
            return (yield from self._whole(request))
        asked = yield from self._request(request, stream=True)
        return (yield from _answered(request, (yield from open_stream(asked))))

    def batch(self, requests: Sequence[ImageRequest]) -> Flow:
        """Have *requests* answered as one batch, and wait for it."""
        # An SVG is made one at a time.
        parts = [part for request in requests for part in _svgs(request)]
        return super().batch(parts)

    def _line(self, request: ImageRequest) -> HttpRequest:
        if request.state is not None:
            raise stateless()
        if request.operation == "generate":
            return wire.generation(request, stream=False)
        if request.operation == "variation":
            if self._account.settings.variations:
                raise UnsupportedRequestError("a batch makes no variations: ask for an edit")
            request = request.model_copy(update={"prompt": wire.VARIATION})
        return wire.edit(request, stream=False)

    def _read(self, body: Any, head: HttpResponse, wanted: Wanted) -> ImageResponse:
        return decoded(body, head, wanted)

    def _whole(self, request: ImageRequest) -> Flow:
        asked = yield from self._request(request, stream=False)
        return (yield from _answered(request, (yield from send(asked))))

    def _request(self, request: ImageRequest, *, stream: bool) -> Effects[HttpRequest]:
        site = self._account.azure
        if site is None:
            return (yield from self._encoded(request, stream=stream))
        asked = yield from self._encoded(site.images(request), stream=stream)
        return site.sent(asked, request)

    def _encoded(self, request: ImageRequest, *, stream: bool) -> Effects[HttpRequest]:
        name = self._account.settings.image_field
        if request.operation == "generate":
            return wire.generation(request, stream=stream)
        if request.operation == "variation":
            if self._account.settings.variations:
                return wire.variation(request, image_field=name)
            request = request.model_copy(update={"prompt": wire.VARIATION})
            yield from notice(emulated(wire.VARIATION))
        form_only = not self._account.at_home
        return wire.edit(request, stream=stream, image_field=name, form_only=form_only)


def _svgs(request: ImageRequest) -> list[ImageRequest]:
    if request.output_format != "svg":
        return [request]
    return [request.model_copy(update={"n": 1})] * request.n


@hookimpl
def imagekit_provider(config: Config) -> OpenAIImages | CompatibleImages:
    """Build the provider: by a row, where the settings have one."""
    if config.settings.get("row") is not None:
        # Most do without it, and it takes its time to import.
        from ._row import set_up
        from .compatible import CompatibleImages

        return CompatibleImages(*set_up(config))
    return OpenAIImages(Account(config))
