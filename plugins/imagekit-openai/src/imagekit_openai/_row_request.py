"""A neutral request as a host takes it that differs from the Images API as its row says."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from pydantic import (
    Field,
    JsonValue,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    create_model,
)

from imagekit import ImageInput, ImageRequest, RequestError, UnsupportedRequestError
from imagekit.provider import HttpRequest, options

from ._images_request import BLOBS, form_of, pixels, url
from ._lenient import Read
from ._row import BASE64, FILE, SCALARS, URL, Inputs, OptionType, Row


class _Options(Read):
    """What only this host knows; `extra_body` is merged last, unchecked, nulls leave fields out."""

    extra_body: Mapping[str, JsonValue] = Field(default_factory=dict)


_TYPES: Mapping[OptionType, Any] = {
    "string": StrictStr,
    "integer": StrictInt,
    "number": StrictInt | StrictFloat,
    "boolean": StrictBool,
    "array": list[JsonValue],
    "object": dict[str, JsonValue],
}


# A class takes as long to make as a whole call.
@lru_cache(64)
def _options_of(*known: tuple[str, OptionType]) -> type[_Options]:
    own: dict[str, Any] = {name: (_TYPES[kind], None) for name, kind in known}
    return create_model("Options", __base__=_Options, **own)


def encode(request: ImageRequest, row: Row, *, stream: bool) -> HttpRequest:
    """The call for what is asked."""
    wire = _fields(request, row, stream=stream)
    if not request.images:
        return HttpRequest("POST", row.paths.generate, json=_nested(wire), blobs=BLOBS)
    if any(one.role == "markup" for one in request.images):
        raise UnsupportedRequestError("this host takes no markup")
    path, inputs, many = row.paths.edit, row.inputs, len(request.images) > 1
    masks = [request.mask.image] if request.mask else []
    if inputs.travel == "form":
        return form_of(path, wire, [(inputs.names[many], list(request.images)), ("mask", masks)])
    pictures = [_picture(one, inputs) for one in request.images]
    wire[inputs.names[many]] = pictures if many or not inputs.one else pictures[0]
    if masks:
        wire["mask"] = _picture(masks[0], inputs)
    return HttpRequest("POST", path, json=_nested(wire), blobs=BLOBS)


def _fields(request: ImageRequest, row: Row, *, stream: bool) -> dict[str, Any]:
    said = options(request, _options_of(*row.known_options.items()))
    model = request.model or row.model
    if model is None and row.needs_model:
        raise RequestError("this host has no model of its own: name one by model=")
    unsaid = {
        "model": model,
        "n": request.n if request.n > 1 else None,
        "prompt": _prompt(request, row),
        "partial_images": request.partial_images if stream else None,
    }
    named = {
        field: unsaid[name] if name in unsaid else getattr(request, name)
        for name in SCALARS
        if (field := row.field(name)) is not None
    }
    wire = {
        **row.send,
        **named,
        **_size(request, row),
        **said.model_dump(exclude_none=True, exclude={"extra_body"}),
        **({"stream": True} if stream else {}),
        **said.extra_body,
    }
    return {name: value for name, value in wire.items() if value is not None}


def _prompt(request: ImageRequest, row: Row) -> str | None:
    if row.negative_after is None or not request.negative_prompt:
        return request.prompt
    return f"{request.prompt or ''}{row.negative_after}{request.negative_prompt}"


def _nested(wire: Mapping[str, Any]) -> dict[str, Any]:
    """*wire* with the names that have dots in them as objects in objects."""
    found: dict[str, Any] = {}
    for name, value in wire.items():
        *outer, last = name.split(".")
        inner = found
        for one in outer:
            inner = inner.setdefault(one, {})
        inner[last] = value
    return found


def _picture(given: ImageInput, inputs: Inputs) -> JsonValue:
    if given.file_id is not None:
        return _filled(inputs.file, {FILE: given.file_id})
    bare = given.url or base64.b64encode(given.data or b"").decode()
    return _filled(inputs.picture, {URL: url(given), BASE64: bare})


def _filled(template: JsonValue, known: Mapping[str, str]) -> JsonValue:
    if isinstance(template, Mapping):
        return {name: _filled(one, known) for name, one in template.items()}
    if isinstance(template, list):
        return [_filled(one, known) for one in template]
    return known.get(template, template) if isinstance(template, str) else template


def _size(request: ImageRequest, row: Row) -> dict[str, Any]:
    if request.aspect and row.shape:
        ratio, _, tier = str(request.size).partition("@")
        return dict(zip(row.shape, (ratio, tier or None), strict=False))
    if row.shape and not row.size:
        if request.pixels:
            raise UnsupportedRequestError(
                f"this host takes no pixels, and its shapes are not known, so {request.size!r} is "
                "none of them: give one, such as size='16:9'"
            )
        return {row.shape[0]: request.size}
    size = pixels(request)
    if len(row.size) == 2:
        # Both are left out where the host is to choose.
        return dict(zip(row.size, request.pixels or (None, None), strict=True))
    return dict.fromkeys(row.size, size)
