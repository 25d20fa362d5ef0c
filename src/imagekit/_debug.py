"""What `debug=` shows: each exchange of a call, its bodies shortened, no secret in it."""

from __future__ import annotations

import io
import itertools
import json
import logging
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TextIO, TypeVar

from ._addressed import shown_url
from ._blob import Blob
from ._errors import ConfigurationError, ImagekitError, ProtocolError
from ._flow import Effect, Effects, Open, Receive, Send, transform
from ._framing import ServerSentEvent
from ._http import Endpoint, HttpRequest, HttpResponse
from ._lifting import Lifted
from ._url import short_url

T = TypeVar("T")
log = logging.getLogger("imagekit")
# Of one text, characters; of one list, entries; of one body, characters.
LONGEST, MOST, WHOLE = 300, 10, 4000
# `tokens` are counts, and no secret.
_SECRET = re.compile(
    r"(?:api|access|private)[-_]?key|authorization|cookie|credential|passphrase|passw|pwd|secret"
    r"|signature|token(?!s)|(?<![a-z])(?:auth|key|pin|sig)\b",
    re.IGNORECASE,
)
_SAID = re.compile(
    rf"(?P<name>(?:{_SECRET.pattern})[\w-]*[\"']?\s*[=:]\s*[\"']?(?:(?:bearer|basic)\s+)?"
    r"|\bbearer\s+)[^\s\"'&,;<]+",
    re.IGNORECASE,
)
_URL = re.compile(r"https?://[^\s\"'<>]+", re.IGNORECASE)
_numbers = itertools.count(1)


def dumped(flow: Effects[T], where: object, endpoint: Endpoint | None) -> Effects[T]:
    """Write each of *flow*'s exchanges to *where*: standard error for True, else a text file.

    Each has a number, for several may go on at once. It stands inside of what attaches credentials,
    so that none has been there to be shown.
    """
    out = sys.stderr if where is True else where
    if out is None or out is False:
        return flow
    if not callable(getattr(out, "write", None)) or isinstance(
        out, io.RawIOBase | io.BufferedIOBase
    ):
        raise ConfigurationError(f"debug is True or a text file to write to, not {where!r}")

    def handler() -> Callable[[Effect], Effects[Any]]:
        return _handler(out, endpoint)  # type: ignore[arg-type]  # it writes

    return transform(flow, handler(), handler)


def _handler(out: TextIO, endpoint: Endpoint | None) -> Callable[[Effect], Effects[Any]]:
    opened = 0

    def show(number: int, first: str, rest: Iterable[str] = ()) -> None:
        try:
            lines = [f"[{number}] {first}", *(f"    {line}" for line in rest)]
            # In one piece: calls that run side by side share the file.
            out.write("".join(f"{_printable(line)}\n" for line in lines))
            if hasattr(out, "flush"):
                out.flush()
        except Exception:
            log.exception("debug= cannot be written")

    def handle(effect: Effect) -> Effects[Any]:
        nonlocal opened
        if isinstance(effect, Receive):
            item = yield effect
            show(opened, f"<- {_item(item)}")
            return item
        if not isinstance(effect, Send | Open):
            return (yield effect)
        number, start, request = next(_numbers), time.monotonic(), effect.request
        opened = number if isinstance(effect, Open) else opened
        show(number, f"-> {request.method} {_address(request, endpoint)}", _request(request))
        try:
            response: HttpResponse = yield effect
        except ImagekitError as error:
            show(number, f"<- {type(error).__name__}: {_cut(str(error))}")
            raise
        gone = f"after {time.monotonic() - start:.2f} s"
        kind = f"{response.status}{', a stream' if response.streamed else ''}"
        show(number, f"<- {kind}, {gone}", _response(response))
        return response

    return handle


def _address(request: HttpRequest, endpoint: Endpoint | None) -> str:
    query = "&".join(f"{name}={_plain(name, one)}" for name, one in request.query.items())
    return shown_url(endpoint, request.url) + (f"?{query}" if query else "")


def _request(request: HttpRequest) -> Iterator[str]:
    yield from _headers(request.headers)
    if request.json is not None:
        yield _json(request.json)
    for name, value in request.form:
        yield f"{name}={_plain(name, value)}"
    for part in request.parts:
        yield f"{part.name}: {part.filename}, {part.media_type}, {len(part.data)} bytes"
    if request.body is not None:
        yield f"{len(request.body)} bytes"


def _response(response: HttpResponse) -> Iterator[str]:
    yield from _headers(response.headers)
    if response.held:
        yield _body(response)


def _headers(headers: Mapping[str, str]) -> Iterator[str]:
    for name, value in headers.items():
        yield f"{name}: {_plain(name, value)}"


def _body(response: HttpResponse) -> str:
    kind = response.media_type
    if isinstance(response.held, Lifted):
        return _lifted(response)
    if kind.startswith(("image/", "audio/", "video/")) or kind == "application/octet-stream":
        return f"{len(response.held)} bytes of {kind}"
    return _text(response.text)


def _lifted(said: HttpResponse | ServerSentEvent) -> str:
    try:
        return _json(said.json())
    except ProtocolError as error:
        return _cut(str(error))


def _item(item: Any) -> str:
    match item:
        case None:
            return "the end of the stream"
        case ServerSentEvent(event=event, held=Lifted()):
            return f"{event}: {_lifted(item)}"
        case ServerSentEvent(event=event, data=data):
            return f"{event or 'message'}: {_text(data)}"
        case bytes():
            return f"{len(item)} bytes"
    return _text(str(item))


def _text(text: str) -> str:
    try:
        return _json(json.loads(text))
    except (ValueError, RecursionError):
        return _cut(text)


def _json(value: Any) -> str:
    text = json.dumps(_short(value), ensure_ascii=False)
    return text if len(text) <= WHOLE else f"{text[:WHOLE]}… ({len(text)} characters)"


def _short(value: Any, name: str = "") -> Any:
    match value:
        case None | bool() | int() | float():
            return value
        case _ if _SECRET.search(name):
            return "…"
        case Mapping():
            return {str(key): _short(one, str(key)) for key, one in value.items()}
        case Blob():
            return f"a picture of {len(value)} bytes"
        case list() | tuple():
            more = [f"… {len(value) - MOST} more"] if len(value) > MOST else []
            return [*(_short(one) for one in value[:MOST]), *more]
    return _cut(str(value))


def _plain(name: str, value: str) -> str:
    """*value*, if it is no secret by its *name*."""
    return "…" if _SECRET.search(name) else _cut(value)


def _cut(text: str) -> str:
    """*text* without what may let anyone in, and not all of it where it is long."""
    length = len(text)
    # No more is looked through than may be shown.
    text = _URL.sub(lambda found: short_url(found[0]), text[: 2 * LONGEST])
    text = _SAID.sub(r"\g<name>…", text)
    return text if length <= LONGEST else f"{text[:60]}… ({length} characters)"


def _printable(line: str) -> str:
    """*line* on one line; what could steer a terminal is spelt out."""
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in line)
