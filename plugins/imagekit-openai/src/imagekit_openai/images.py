"""The provider `openai-images`: /images/generations, /images/edits, and the retired /variations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from imagekit import (
    Image,
    ImageFailure,
    ImageReady,
    ImageRequest,
    ImageResponse,
    PartialImage,
    UnsupportedRequestError,
)
from imagekit.provider import (
    Capabilities,
    Config,
    Effects,
    Flow,
    HttpRequest,
    HttpResponse,
    emit,
    hookimpl,
    notice,
    open_stream,
    send,
    split,
)

from . import _images_request as wire
from ._account import Account
from ._batches import Batching
from ._events import Events, is_stream
from ._expiry import expires
from ._lenient import Said, Wanted, pictured, read
from ._models import IMAGE_MODEL
from ._notices import WHOLE, emulated
from ._readings import SvgTokens, Tokens, moment, served, told, usage
from ._refusals import envelope, error_from, error_of, failure, filtered


class _Datum(BaseModel):
    """Theirs to change: only what is read, and nothing of it required."""

    b64_json: Any = None
    url: Said[str] = None
    revised_prompt: Said[str] = None
    content_filter_results: Any = None
    prompt_filter_results: Any = None


class _Effective(BaseModel):
    """The values that took effect, as the wire echoes them."""

    background: Said[str] = None
    output_format: Said[str] = None
    quality: Said[str] = None
    size: Said[str] = None
    safety_identifier: Said[str] = None
    usage: Said[Tokens] = None
    svg_usage: Said[SvgTokens] = None

    def echo(self) -> dict[str, Any]:
        """What the server says of the picture."""
        kept = {"background", "output_format", "quality", "size"}
        return self.model_dump(include=kept, exclude_none=True)


class _Body(_Effective):
    created: Said[float] = None
    data: Said[list[Said[_Datum]]] = None


class _Event(_Datum, _Effective):
    type: Said[str] = None
    partial_image_index: Said[int] = None
    created_at: Said[float] = None


def decode(response: HttpResponse, request: Wanted) -> ImageResponse:
    """A whole answer as an `ImageResponse`, one slot for each entry of its `data`."""
    if not response.ok:
        raise error_from(response)
    return decoded(response.json(), response, request)


def decoded(answer: Any, response: HttpResponse, request: Wanted) -> ImageResponse:
    """The same, of a body that has been read already."""
    body = read(_Body, answer)
    slots = [_slot(datum or _Datum(), body, body.created) for datum in body.data or ()]
    wrong = envelope(answer) if isinstance(answer, Mapping) and answer.get("error") else {}
    if wrong and not any(isinstance(slot, Image) for slot in slots):
        error = error_of(wrong, response)
        # An entry that only holds nothing has no word to say against the error's.
        known = [slot for slot in slots if slot.kind == "refused"]
        error.response = _finished(known, body, body.created, response, request)
        raise error
    if wrong:
        slots += [failure(wrong)] * (request.n - len(slots))
    return _finished(slots, body, body.created, response, request)


def _slot(datum: _Datum, said: _Effective, created: float | None) -> Image | ImageFailure:
    about: dict[str, Any] = {"revised_prompt": datum.revised_prompt, "echo": said.echo()}
    found = pictured(datum.b64_json, **about)
    if datum.url and datum.url.startswith("data:"):
        # Bytes, and no place to fetch them from.
        inside = None if isinstance(found, Image) else pictured(datum.url, **about)
        found = inside or found
    elif datum.url:
        data = found.data if isinstance(found, Image) else None
        until = expires(datum.url, moment(created))
        return Image(data=data, url=datum.url, expires_at=until, **about)
    stopped = filtered(datum.prompt_filter_results, datum.content_filter_results)
    return found or stopped or ImageFailure(kind="missing", reason="the entry holds no picture")


def _finished(
    slots: Sequence[Image | ImageFailure],
    said: _Effective,
    created: float | None,
    response: HttpResponse,
    request: Wanted,
) -> ImageResponse:
    return ImageResponse(
        slots=tuple(slots),
        model=request.model or IMAGE_MODEL,
        usage=usage(said.usage, [said.svg_usage] if said.svg_usage else ()),
        created=moment(created),
        metadata={
            **served(response.headers),
            **({"safety_identifier": said.safety_identifier} if said.safety_identifier else {}),
        },
        **told(response.headers),
    )


def streamed(request: ImageRequest, opened: HttpResponse) -> Flow:
    """The previews and the picture of a stream."""
    events = Events(opened)
    while (found := (yield from events.next())) is not None:
        event = read(_Event, found)
        kind = event.type or ""
        if kind.endswith(".partial_image"):
            preview = pictured(event.b64_json, echo=event.echo())
            if isinstance(preview, Image):
                yield from emit(PartialImage(step=event.partial_image_index or 0, image=preview))
        elif kind.endswith(".completed"):
            slot = _slot(event, event, event.created_at)
            if isinstance(slot, Image):
                yield from emit(ImageReady(image=slot))
            return _finished([slot], event, event.created_at, opened, request)
    raise events.cut("the stream ended before the picture was done")


def _answered(request: ImageRequest, answer: HttpResponse) -> Flow:
    # Some servers answer a plain body to a request for a stream, or a stream under a plain type.
    if is_stream(answer):
        return (yield from streamed(request, answer))
    return decode(answer, request)


class OpenAIImages(Batching):
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
            raise _stateless()
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
            raise _stateless()
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


def _stateless() -> UnsupportedRequestError:
    return UnsupportedRequestError(
        "the Images API keeps no state: pass the earlier picture in images=, or continue with the "
        "provider that gave the state"
    )


def _svgs(request: ImageRequest) -> list[ImageRequest]:
    if request.output_format != "svg":
        return [request]
    return [request.model_copy(update={"n": 1})] * request.n


@hookimpl
def imagekit_provider(config: Config) -> OpenAIImages:
    """Build the provider."""
    return OpenAIImages(Account(config))
