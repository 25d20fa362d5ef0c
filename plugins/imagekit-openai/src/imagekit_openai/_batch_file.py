"""The file of a batch: its requests as lines, whose pictures are in them or uploaded beside it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from imagekit import ImageInput, ImageRequest, Mask, RequestError, UnsupportedRequestError
from imagekit.provider import HttpRequest

from ._models import IMAGE_MODEL

# From the types of the official Python SDK 3.52.0 (2026-11-16).
MOST_LINES, MOST_BYTES = 50_000, 200_000_000
# Input pictures travel in the lines while all of them together are no larger, in bytes: then none
# of them is longer as a data URL than the 20,971,520 characters of one (OpenAI's description of
# 2026-08-21), and the file is a tenth of what it may be. Larger ones are uploaded first, each once.
INLINE = 15_000_000
_NAME = "request-"
_PLACE = re.compile(f"{_NAME}(0|[1-9][0-9]{{0,4}})")


def written(
    requests: Sequence[ImageRequest],
    stand_ins: Mapping[str, ImageInput],
    line: Callable[[ImageRequest], HttpRequest],
) -> tuple[str, bytes]:
    """The endpoint that all *requests* are for, and the file that asks for them.

    *line* makes a line of a request, whose pictures are their *stand_ins*.
    """
    if len(requests) > MOST_LINES:
        raise RequestError(f"a batch takes {MOST_LINES} requests, not {len(requests)}")
    lines, endpoints, models = [], set(), set()
    for number, request in enumerate(requests):
        if any(one.role == "markup" for one in request.images):
            raise UnsupportedRequestError("a batch takes no markup, which travels in a form")
        if request.partial_images and request.unsupported == "error":
            raise UnsupportedRequestError("a batch shows no previews")
        asked = line(_referring(request, stand_ins))
        if wrong := [name for name in ("stream", "background") if asked.json.get(name)]:
            raise UnsupportedRequestError(
                f"a batch takes no {wrong[0]!r}: it comes when it is done"
            )
        endpoints.add(asked.url)
        models.add((request.model or IMAGE_MODEL, asked.json.get("model")))
        head = {"custom_id": f"{_NAME}{number}", "method": "POST", "url": f"/v1{asked.url}"}
        lines.append(json.dumps({**head, "body": asked.json}, separators=(",", ":")))
    if len(endpoints) > 1:
        raise RequestError(
            "a batch is of one kind: give the edits and the generations a batch each"
        )
    if len(models) > 1:
        named = ", ".join(sorted({str(one) for pair in models for one in pair}))
        raise RequestError(f"a batch is one model's, and these are of several: {named}")
    data = "".join(f"{one}\n" for one in lines).encode()
    if len(data) > MOST_BYTES:
        raise RequestError(f"a batch may be {MOST_BYTES} bytes long; this one is {len(data)}")
    return f"/v1{endpoints.pop()}", data


def pictures_of(request: ImageRequest) -> Iterator[tuple[str, ImageInput]]:
    """The pictures that *request* has the bytes of, by what they hold."""
    masks = [request.mask.image] if request.mask else []
    for one in (*request.images, *masks):
        if one.data is not None:
            yield _digest(one.data), one


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _referring(request: ImageRequest, stand_ins: Mapping[str, ImageInput]) -> ImageRequest:
    """*request*, in which what has bytes is a reference."""

    def referred(one: ImageInput) -> ImageInput:
        return one if one.data is None else stand_ins[_digest(one.data)]

    mask = request.mask
    changes = {
        "images": tuple(referred(one) for one in request.images),
        "mask": mask and Mask(referred(mask.image), edit_where=mask.edit_where),
    }
    return request.model_copy(update=changes)


def place_of(name: str | None, count: int) -> int | None:
    """Which of *count* requests a line of that name answers; None if it is none of them."""
    named = _PLACE.fullmatch(name or "")
    return int(named[1]) if named and int(named[1]) < count else None
