"""What a plan says: lines for people, facts for programs; bodies without what nobody can read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from itertools import groupby
from textwrap import wrap
from typing import Any

from .._plan import Plan, PlannedRequest
from ._words import one_line, size_of

# Base64, alone or in a data URL, of which the beginning is enough.
_BASE64 = re.compile(r"(?:data:[^,]{,100},)?[A-Za-z0-9+/_-]{120,}={,2}")
_BEGINNING = 32
# What an HTTP library adds, and what the lines say anyhow.
_USUAL = frozenset(
    {"accept", "accept-encoding", "connection", "content-length", "content-type", "user-agent"}
)
_LABEL = 10
_WHOLE: Any = {"break_long_words": False, "break_on_hyphens": False}


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a form; `value` is its text, where it is short and no file."""

    name: str
    size: int
    filename: str | None = None
    type: str | None = None
    value: str | None = None

    def __str__(self) -> str:
        if self.value is not None:
            return f"{self.name}: {self.value}"
        about = (self.filename, self.type, size_of(self.size))
        return f"{self.name}: {', '.join(word for word in about if word)}"


def form_of(request: PlannedRequest) -> list[Part] | None:
    """The parts of a body that is a form; None of one that is none."""
    kind = BytesHeaderParser().parsebytes(_head(request.headers.get("content-type", "")))
    boundary = kind.get_boundary()
    if request.body is None or boundary is None:
        return None
    # What is before the first boundary, and after the last, is of nobody.
    pieces = (b"\r\n" + request.body).split(b"\r\n--" + boundary.encode())[1:-1]
    return [_part(piece.removeprefix(b"\r\n")) for piece in pieces]


def _head(kind: str) -> bytes:
    return f"content-type: {kind}\r\n\r\n".encode()


def _part(piece: bytes) -> Part:
    head, _, data = piece.partition(b"\r\n\r\n")
    said = BytesHeaderParser().parsebytes(head + b"\r\n\r\n")
    filename = said.get_filename()
    kind = said.get_content_type() if "content-type" in said else None
    value = None
    if filename is None and len(data) <= 10_000:
        value = shortened(data.decode(errors="replace"))
    name = said.get_param("name", "", "content-disposition")
    return Part(str(name), len(data), filename, kind, value)


def shortened(value: Any) -> Any:
    """*value*, as JSON has it, with only the beginning of what is base64."""
    if isinstance(value, str):
        if _BASE64.fullmatch(value):
            return f"{value[:_BEGINNING]}… ({len(value)} characters)"
        return value
    if isinstance(value, list):
        return [shortened(one) for one in value]
    if isinstance(value, dict):
        return {name: shortened(one) for name, one in value.items()}
    return value


def facts(plan: Plan) -> dict[str, Any]:
    """What *plan* says, for JSON."""
    left_out = {"request", "requests", "then"}
    asked = plan.request.model_dump(mode="json", exclude_defaults=True)
    return {
        **plan.model_dump(mode="json", exclude=left_out),
        "name": plan.name,
        "key": plan.key,
        "request": shortened(asked),
        "requests": [_request(one) for one in plan.requests],
        "then": [facts(one) for one in plan.then],
    }


def _request(request: PlannedRequest) -> dict[str, Any]:
    form = form_of(request)
    return {
        **request.model_dump(mode="json"),
        "json": shortened(request.json_body()),
        "form": None if form is None else [_told(part) for part in form],
    }


def _told(part: Part) -> dict[str, Any]:
    return {name: getattr(part, name) for name in ("name", "value", "filename", "type", "size")}


def lines(plan: Plan, width: int | None = None) -> Iterator[str]:
    """What *plan* says, for people; sentences go on in the next line where *width* is full."""
    for label, text in _rows(plan, plan.operation):
        if label is None:
            yield " " * _LABEL + _printable(text)
            continue
        words = f"{label:<{_LABEL}}{one_line(text)}".rstrip()
        indent = " " * _LABEL
        wrapped = wrap(words, width, subsequent_indent=indent, **_WHOLE) if width else [words]
        yield from wrapped or [""]


def _rows(plan: Plan, ask: str) -> Iterator[tuple[str | None, str]]:
    """Rows with a label that may be empty; those with none stay as they are."""
    who = "/".join(word for word in (plan.name, plan.model) if word)
    yield ask, f"{who}, as a stream" if plan.stream else who
    n = plan.request.n
    yield "", f"{n} picture{'s' * (n > 1)} in {plan.calls} call{'s' * (plan.calls > 1)}"
    yield "cost", str(plan.estimate).removeprefix("cost ")
    if plan.estimate.source:
        as_of = f", as of {plan.estimate.as_of}" if plan.estimate.as_of else ""
        yield "", f"by {plan.estimate.source}{as_of}"
    for place, notice in enumerate(plan.notices):
        yield "" if place else "notices", str(notice)
    yield "key", plan.key
    if not plan.requests and plan.complete:
        yield "requests", "none: it works in this process"
    yield from _requests(plan)
    if not plan.complete:
        yield "", ""
        yield "more", "follows, which depends on what is answered"
    for other in plan.then:
        yield "", ""
        yield from _rows(other, "else")


def _requests(plan: Plan) -> Iterator[tuple[str | None, str]]:
    number = 1
    for _, alike in groupby(plan.requests, key=lambda one: one.digest):
        same = list(alike)
        last = number + len(same) - 1
        yield "", ""
        yield from _asked(str(number) if last == number else f"{number}-{last}", same[0])
        number = last + 1


def _asked(number: str, request: PlannedRequest) -> Iterator[tuple[str | None, str]]:
    about = [size_of(request.size)] if request.size else []
    about += [] if request.billable else ["costs nothing"]
    yield number, f"{request.method} {request.url}" + (f" ({', '.join(about)})" if about else "")
    for name, value in request.headers.items():
        if name not in _USUAL:
            yield "", f"{name}: {value}"
    body = request.json_body()
    if body is not None:
        for line in json.dumps(shortened(body), indent=2, ensure_ascii=False).splitlines():
            yield None, line
    for part in form_of(request) or ():
        yield None, str(part)


def _printable(line: str) -> str:
    """*line*, in which nothing steers a terminal."""
    return "".join(letter if letter.isprintable() else f"\\u{ord(letter):04x}" for letter in line)
