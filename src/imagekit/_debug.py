"""What `debug=` shows: each exchange of a call, its bodies shortened, no secret in it."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TextIO, TypeVar

from ._errors import ConfigurationError, ImagekitError
from ._flow import Effect, Effects, Open, Receive, Send, transform
from ._framing import ServerSentEvent
from ._http import HttpRequest, HttpResponse
from ._image import short_url

T = TypeVar("T")
log = logging.getLogger("imagekit")
LONGEST = 300
SECRET = frozenset(
    [
        "access_token",
        "api-key",
        "api_key",
        "apikey",
        "authorization",
        "client_secret",
        "cookie",
        "key",
        "password",
        "secret",
        "set-cookie",
        "sig",
        "signature",
        "token",
        "x-api-key",
    ]
)


def dumped(flow: Effects[T], where: object) -> Effects[T]:
    """Write each of *flow*'s exchanges to *where*: standard error for True, else a text file.

    It stands inside of what attaches credentials, so that none has been there to be shown.
    """
    if not where:
        return flow
    out = sys.stderr if where is True else where
    if not callable(getattr(out, "write", None)):
        raise ConfigurationError(f"debug is True or a text file to write to, not {where!r}")
    return transform(flow, _handler(out), lambda: _handler(out))  # type: ignore[arg-type]


def _handler(out: TextIO) -> Callable[[Effect], Effects[Any]]:
    def show(lines: Iterator[str]) -> None:
        try:
            # In one piece: calls that run side by side share the file.
            out.write("".join(f"{line}\n" for line in lines))
        except Exception:
            log.exception("debug= cannot be written")

    def handle(effect: Effect) -> Effects[Any]:
        if isinstance(effect, Receive):
            item = yield effect
            show(_item(item))
            return item
        if not isinstance(effect, Send | Open):
            return (yield effect)
        show(_request(effect.request))
        try:
            response = yield effect
        except ImagekitError as error:
            show(iter([f"<- {type(error).__name__}: {error}"]))
            raise
        show(_response(response))
        return response

    return handle


def _request(request: HttpRequest) -> Iterator[str]:
    query = "&".join(f"{name}={_plain(name, one)}" for name, one in request.query.items())
    yield f"-> {request.method} {short_url(request.url)}" + (f"?{query}" if query else "")
    yield from _headers(request.headers)
    if request.json is not None:
        yield f"   {json.dumps(_short(request.json), ensure_ascii=False)}"
    for name, value in request.form:
        yield f"   {name}={_plain(name, value)}"
    for part in request.parts:
        yield f"   {part.name}: {part.filename}, {part.media_type}, {len(part.data)} bytes"
    if request.body is not None:
        yield f"   {len(request.body)} bytes"


def _response(response: HttpResponse) -> Iterator[str]:
    yield f"<- {response.status}" + (", a stream" if response.streamed else "")
    yield from _headers(response.headers)
    if response.body:
        yield f"   {_body(response)}"


def _headers(headers: Mapping[str, str]) -> Iterator[str]:
    for name, value in headers.items():
        yield f"   {name}: {_plain(name, value)}"


def _body(response: HttpResponse) -> str:
    kind = response.media_type
    if kind.startswith(("image/", "audio/", "video/")) or kind == "application/octet-stream":
        return f"{len(response.body)} bytes of {kind}"
    try:
        return json.dumps(_short(json.loads(response.body)), ensure_ascii=False)
    except (ValueError, RecursionError):
        return _cut(response.text)


def _item(item: Any) -> Iterator[str]:
    match item:
        case None:
            yield "<- the end of the stream"
        case ServerSentEvent(event=event, data=data):
            try:
                said = json.dumps(_short(json.loads(data)), ensure_ascii=False)
            except (ValueError, RecursionError):
                said = _cut(data)
            yield f"<- {event or 'message'}: {said}"
        case bytes():
            yield f"<- {len(item)} bytes"
        case _:
            yield f"<- {_cut(str(item))}"


def _short(value: Any, name: str = "") -> Any:
    match value:
        case Mapping():
            return {key: _short(one, str(key)) for key, one in value.items()}
        case list() | tuple():
            return [_short(one) for one in value]
        case None | bool() | int() | float():
            return value
    return _plain(name, str(value))


def _plain(name: str, value: str) -> str:
    """*value*, if it is no secret by its *name*; a URL without what may let anyone in."""
    if name.lower() in SECRET:
        return "…"
    return short_url(value) if value.startswith(("http://", "https://")) else _cut(value)


def _cut(text: str) -> str:
    text = text.replace("\r", " ").replace("\n", " ")
    return text if len(text) <= LONGEST else f"{text[:60]}… ({len(text)} characters)"
