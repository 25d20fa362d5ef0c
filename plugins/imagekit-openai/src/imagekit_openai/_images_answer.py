"""What an answer of the Images API comes to: a whole one, or the events of a stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from imagekit import (
    Image,
    ImageFailure,
    ImageReady,
    ImageRequest,
    ImageResponse,
    PartialImage,
    Text,
    UnsupportedRequestError,
)
from imagekit.provider import Flow, HttpResponse, emit

from ._events import Events
from ._expiry import expires
from ._lenient import Read, Said, Wanted, echoed, pictured, read
from ._models import IMAGE_MODEL
from ._readings import SvgTokens, Tokens, moment, served, told, usage
from ._refusals import envelope, error_from, error_of, failure, filtered


class _Datum(Read):
    """Theirs to change: only what is read, and nothing of it required."""

    b64_json: Any = None
    url: Said[str] = None
    revised_prompt: Said[str] = None
    content_filter_results: Any = None
    prompt_filter_results: Any = None


class _Echoed(Read):
    """What the wire says of the picture."""

    background: Said[str] = None
    output_format: Said[str] = None
    quality: Said[str] = None
    size: Said[str] = None


class _Effective(_Echoed):
    """The values that took effect, as the wire echoes them."""

    safety_identifier: Said[str] = None
    usage: Said[Tokens] = None
    svg_usage: Said[SvgTokens] = None


class _Body(_Effective):
    created: Said[float] = None
    data: Said[list[Said[_Datum]]] = None


class _Preview(_Echoed):
    """An event that is waited for: no more of it is read than is shown."""

    b64_json: Any = None
    partial_image_index: Said[int] = None


class _Event(_Datum, _Effective):
    created_at: Said[float] = None
    text: Said[str] = None
    phase: Said[str] = None


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
    about: dict[str, Any] = {"revised_prompt": datum.revised_prompt, "echo": echoed(said)}
    found = pictured(datum.b64_json, **about)
    if datum.url and datum.url.startswith("data:"):
        # Bytes, and no place to fetch them from.
        inside = None if isinstance(found, Image) else pictured(datum.url, **about)
        found = inside or found
    elif datum.url:
        until = expires(datum.url, moment(created))
        where: dict[str, Any] = {"url": datum.url, "expires_at": until}
        if isinstance(found, Image):
            return found.model_copy(update=where)
        return Image(**where, **about)
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


def streamed(
    request: ImageRequest,
    opened: HttpResponse,
    translated: Callable[[dict[str, Any]], dict[str, Any] | None] | None = None,
    finished: Callable[[ImageResponse, Any, ImageRequest], ImageResponse] | None = None,
) -> Flow:
    """The previews and the picture of a stream.

    *translated* puts an event into OpenAI's words, or leaves it out; *finished* adds to the
    response what else the last event says.
    """
    events = Events(opened)
    while (found := (yield from events.next())) is not None:
        if translated is not None and (found := translated(found)) is None:
            continue
        kind = str(found.get("type"))
        if kind.endswith(".partial_image"):
            shown = read(_Preview, found)
            preview = pictured(shown.b64_json, echo=echoed(shown))
            if isinstance(preview, Image):
                yield from emit(PartialImage(step=shown.partial_image_index or 0, image=preview))
            continue
        event = read(_Event, found)
        if kind.endswith(".text_chunk") and event.text:
            yield from emit(Text(text=event.text, phase=event.phase or "content"))
        elif kind.endswith(".completed"):
            slot = _slot(event, event, event.created_at)
            response = _finished([slot], event, event.created_at, opened, request)
            if finished is not None:
                response = finished(response, found, request)
            for image in response.images:
                yield from emit(ImageReady(image=image))
            return response
    raise events.cut("the stream ended before the picture was done")


def stateless() -> UnsupportedRequestError:
    return UnsupportedRequestError(
        "the Images API keeps no state: pass the earlier picture in images=, or continue with the "
        "provider that gave the state"
    )
