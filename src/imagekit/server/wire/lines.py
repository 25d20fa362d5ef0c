"""The lines of a batch: what a file of requests asks, and how what became of one is written."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field

from .reading import Wire, parsed, read
from .refusals import Refusal, RefusedError, invalid

# Whoever makes this many mistakes makes the same one in every line.
_MOST_MISTAKES = 100
# Looked through at once, so that whoever else is served has a turn between.
_PIECE = 2**20
_SOLID = re.compile(rb"\S")
_OTHER_MODEL = (
    "The model for this request does not match the rest of the batch. Each batch must contain "
    "requests for a single model."
)


@dataclass(frozen=True, slots=True)
class Line:
    """One request: its name, and where in the file it stands."""

    custom_id: str
    start: int
    end: int


@dataclass(slots=True)
class Lines:
    """What a file asks: its requests, the model that they name, and its mistakes."""

    found: list[Line] = field(default_factory=list)
    model: str | None = None
    errors: list[dict[str, Any]] = field(default_factory=list)


class _Said(Wire):
    custom_id: Annotated[str, Field(min_length=1, max_length=512)]
    method: Literal["POST"]
    url: str
    body: dict[str, Any]


def mistake(refusal: Refusal, line: int | None = None) -> dict[str, Any]:
    """A mistake as a batch tells it."""
    return {
        "code": refusal.code,
        "line": line,
        "message": refusal.message,
        "param": refusal.param,
    }


def looks_right(data: bytes) -> bool:
    """Whether the first line is a JSON object; the others are read when a batch is made of it.

    So is a first line of more than 1 MB: here it only has to begin as an object does.
    """
    for _, start, end in _numbered(data):
        if end - start > _PIECE:
            return data[start : start + _PIECE].lstrip()[:1] in (b"{", b"")
        try:
            return isinstance(parsed(data[start:end]), dict)
        except (ValueError, RecursionError):
            return False
    return False


def examined(data: bytes, endpoint: str, most: int) -> Lines:
    """What *data* asks of *endpoint*: *most* requests at most."""
    lines, named = Lines(), set[str]()
    for number, start, end in _numbered(data):
        try:
            said = _read(data[start:end])
            _check(said, endpoint, named)
            model = said.body.get("model")
            model = model if isinstance(model, str) else None
            if not named:
                lines.model = model
            if model != lines.model:
                raise invalid(_OTHER_MODEL, "body.model", "mismatched_model")
        except RefusedError as error:
            lines.errors.append(mistake(error.refusal, number))
            if len(lines.errors) == _MOST_MISTAKES:
                break
            continue
        named.add(said.custom_id)
        lines.found.append(Line(said.custom_id, start, end))
        if len(lines.found) > most:
            words = f"The batch input file holds too many requests: {most} are taken."
            lines.errors.append(mistake(Refusal(400, words, code="too_many_tasks")))
            break
    return lines


def _read(raw: bytes) -> _Said:
    try:
        found = parsed(raw)
    except (ValueError, RecursionError):
        raise invalid(
            "This line is not parseable as valid JSON.", code="invalid_json_line"
        ) from None
    if not isinstance(found, dict):
        raise invalid("This line is not a JSON object.", code="invalid_json_line")
    return read(_Said, found)


def _check(said: _Said, endpoint: str, named: set[str]) -> None:
    if said.url != endpoint:
        message = "The URL provided for this request does not match the batch endpoint."
        raise invalid(message, "url", "invalid_url")
    if said.custom_id in named:
        raise invalid(
            f"The custom_id '{said.custom_id}' for this request is a duplicate of another request. "
            "The custom_id parameter must be unique for each request in a batch.",
            "custom_id",
            "duplicate_custom_id",
        )
    for name, what in (("stream", "streaming"), ("background", "background")):
        if said.body.get(name):
            message = f"{what.capitalize()} is not supported in the Batch API."
            raise invalid(message, f"body.{name}", f"{what}_unsupported")


def taken(data: bytes, found: Sequence[Line], number: int) -> list[bytes]:
    """The lines of *data* from one of those *found* on: 1 MB of them, at least one."""
    first = found[number]
    text: list[bytes] = []
    for line in found[number:]:
        if text and line.end - first.start > _PIECE:
            break
        text.append(data[line.start : line.end])
    return text


def body_of(text: bytes) -> bytes:
    """What a line asks, as its endpoint reads it."""
    return json.dumps(parsed(text)["body"]).encode()


def answered(
    custom_id: str, status: int, request_id: str, headers: Mapping[str, str], body: bytes
) -> bytes:
    """The line of a request that was answered with *body*, which is JSON without a line break."""
    response = {"status_code": status, "request_id": request_id}
    if headers:
        response["headers"] = dict(headers)
    # The body is the rest of it: pictures are not read again to be written.
    head = json.dumps({"id": _new(), "custom_id": custom_id, "response": response})
    return head[:-2].encode() + b', "body": ' + body + b'}, "error": null}\n'


def unanswered(custom_id: str, code: str, message: str) -> bytes:
    """The line of a request that has no answer."""
    error = {"code": code, "message": message}
    said = {"id": _new(), "custom_id": custom_id, "response": None, "error": error}
    return json.dumps(said).encode() + b"\n"


def _new() -> str:
    return f"batch_req_{uuid.uuid4().hex}"


def _numbered(data: bytes) -> Iterator[tuple[int, int, int]]:
    """The lines that are not blank: the number of each, and where it begins and ends."""
    number, at = 1, 0
    while at < len(data):
        solid = _SOLID.search(data, at, at + _PIECE)
        to = solid.start() if solid else at + _PIECE
        number += data.count(b"\n", at, to)
        at = to
        if solid:
            start, at = data.rfind(b"\n", 0, to) + 1, data.find(b"\n", to)
            at = len(data) if at < 0 else at
            yield number, start, at
