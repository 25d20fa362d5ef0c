"""A neutral request as the Images API takes it: JSON, or a multipart form."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import Field, JsonValue

from imagekit import ImageInput, ImageRequest, UnsupportedRequestError
from imagekit.provider import HttpRequest, Part, options

from ._lenient import Read
from ._models import IMAGE_MODEL

BLOBS = frozenset({"b64_json"})
VARIATION = "Make a variation of this picture: the same subject and style, drawn anew."


class Reasoning(Read):
    """How hard an author thinks."""

    effort: str | None = None


class Svg(Read):
    """Who writes an SVG, and how hard it thinks: `{"model": …, "reasoning": {"effort": …}}`."""

    model: str | None = None
    reasoning: Reasoning | None = None


class Options(Read):
    """What only the Images API knows.

    `extra_body` is merged last, unchecked; a null in it leaves a field out.
    """

    complexity: str | None = None
    frame_count: int | None = Field(default=None, ge=2, le=16)
    frame_duration_ms: int | None = Field(default=None, ge=20, le=655_350)
    svg: Svg | None = None
    input_fidelity: str | None = None
    safety_identifier: str | None = None
    response_format: Literal["url", "b64_json"] | None = None
    style: str | None = None
    extra_body: Mapping[str, JsonValue] = Field(default_factory=dict)


def fields(request: ImageRequest, *, stream: bool) -> dict[str, Any]:
    """Every scalar of the wire that the request says, in the order of OpenAI's reference."""
    said = options(request, Options)
    own = said.model_dump(exclude_none=True, exclude={"extra_body"}) if request.options else {}
    wire = {
        "prompt": request.prompt,
        "model": request.model or IMAGE_MODEL,
        "n": request.n if request.n > 1 else None,
        "size": pixels(request),
        "quality": request.quality,
        "background": request.background,
        "output_format": request.output_format,
        "output_compression": request.output_compression,
        "moderation": request.moderation,
        "user": request.user,
        **own,
        **({"stream": True, "partial_images": request.partial_images} if stream else {}),
        **said.extra_body,
    }
    return {name: value for name, value in wire.items() if value is not None}


def pixels(request: ImageRequest) -> str | None:
    """The size as the wire has it; a shape is still one where nobody knows the model's sizes."""
    if request.aspect:
        raise UnsupportedRequestError(
            f"the sizes of {request.model!r} are not known, so {request.size!r} cannot be turned "
            "into pixels: give pixels, such as size='1536x1024'"
        )
    return request.size


def generation(request: ImageRequest, *, stream: bool) -> HttpRequest:
    """A picture from words."""
    wire = fields(request, stream=stream)
    return HttpRequest("POST", "/images/generations", json=wire, blobs=BLOBS)


def edit(
    request: ImageRequest, *, stream: bool, image_field: str | None = None, form_only: bool = False
) -> HttpRequest:
    """A change to pictures: a form where there are bytes, JSON where anything is a reference.

    Only JSON takes a moderation level; a server that reads forms only (*form_only*) gets it there.
    """
    wire = fields(request, stream=stream)
    pictures = [one for one in request.images if one.role != "markup"]
    markups = [one for one in request.images if one.role == "markup"]
    masks = [request.mask.image] if request.mask else []
    if len(markups) > 1 or (markups and masks):
        raise UnsupportedRequestError("an edit takes one markup, and not a mask beside it")
    if not pictures:
        raise UnsupportedRequestError("an edit needs a picture beside the markup")
    whole = all(one.blob is not None for one in (*pictures, *masks, *markups))
    if form_only or (whole and request.moderation is None):
        name = image_field or ("image" if len(pictures) == 1 else "image[]")
        named = [(name, pictures), ("mask", masks), ("markup", markups)]
        return form_of("/images/edits", wire, named)
    if markups:
        raise UnsupportedRequestError(
            "a markup travels in a form: give every picture as bytes or a path, and no moderation"
        )
    wire["images"] = [reference(one) for one in pictures]
    if masks:
        wire["mask"] = reference(masks[0])
    return HttpRequest("POST", "/images/edits", json=wire, blobs=BLOBS)


def variation(request: ImageRequest, *, image_field: str | None = None) -> HttpRequest:
    """Pictures like one, by the retired endpoint, on a server that still has it."""
    wire = fields(request.model_copy(update={"prompt": None}), stream=False)
    return form_of("/images/variations", wire, [(image_field or "image", list(request.images))])


def form_of(
    url: str, wire: Mapping[str, Any], named: list[tuple[str, list[ImageInput]]]
) -> HttpRequest:
    """A multipart form of the fields in *wire* and of the pictures *named*."""
    parts = tuple(_part(name, one) for name, pictures in named for one in pictures)
    return HttpRequest("POST", url, form=tuple(form(wire)), parts=parts, blobs=BLOBS)


def form(wire: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """A mapping as form fields: nesting in brackets, numbers as decimals, booleans in words."""
    for name, value in wire.items():
        yield from _field(name, value)


def _field(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _field(f"{name}[{key}]", inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _field(f"{name}[]", inner)
    elif isinstance(value, bool):
        yield name, "true" if value else "false"
    elif value is not None:
        yield name, str(value)


def reference(given: ImageInput) -> dict[str, str]:
    """An input picture as JSON takes it: a file's id, a URL, or its bytes as a data URL."""
    if given.file_id is not None:
        return {"file_id": given.file_id}
    return {"image_url": url(given)}


def url(given: ImageInput) -> str:
    """An input picture as a URL, its bytes as a data URL where it has no other."""
    if given.url is not None:
        return given.url
    data = base64.b64encode(given.data or b"").decode()
    return f"data:{given.media_type or 'application/octet-stream'};base64,{data}"


def _part(name: str, given: ImageInput) -> Part:
    if given.blob is None:
        raise UnsupportedRequestError("this server takes pictures in a form: give bytes or a path")
    # The type of the part decides on the other side, not its bytes: a generic one is refused.
    kind = given.media_type or "application/octet-stream"
    return Part(name, given.blob, given.filename, kind)
