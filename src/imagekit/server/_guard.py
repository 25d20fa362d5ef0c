"""What every request passes first and last: who asks, how much it sends, and the access log."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from starlette.exceptions import HTTPException

from ._access import Access
from ._asgi import Application, Message, Receive, Scope, Send
from ._limits import Limits
from ._log import Record
from ._runs import GoneError
from ._service import refusal_of
from .wire.headers import standard
from .wire.refusals import (
    AMBIGUOUS,
    BUSY,
    SLOW_BODY,
    TOO_LARGE,
    UNAUTHORIZED,
    UNKNOWN_HOST,
    UNKNOWN_ORIGIN,
    Refusal,
    RefusedError,
    of_http,
)

# Whoever has such a link has been given it; health is anybody's to ask.
OPEN = re.compile(r"/(healthz|readyz|v1/images/results/[^/]+)")
_LINK = re.compile(r"(/v1/images/results/).+")
_PIECE = 256 * 1024


class Guard:
    """Stands before the routes; *app* sees only what may come in.

    *allowed* says which methods there are on the path of a request.
    """

    def __init__(
        self,
        app: Application,
        access: Access,
        limits: Limits,
        allowed: Callable[[Scope], Iterable[str]],
    ) -> None:
        self._app, self._access, self._limits = app, access, limits
        self._allowed = allowed
        self._inside = self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or turn it away; say so in the log."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        # Whoever knows a link may follow it: it is no more for the log than a token is.
        record = Record(scope["method"], _LINK.sub(r"\1…", path))
        scope["imagekit"] = record
        shared = self._access.shared(_headers(scope).get("origin"))
        answer = _Answer(record, send, self._limits.send, shared)
        body = _Body(record, receive, self._limits, self._hold)
        self._inside += 1
        try:
            self._check(scope, path, record)
            body.check(_headers(scope).get("content-length"))
            await self._app(scope, body.receive, answer.send)
        except HTTPException as error:
            allowed = ", ".join(sorted(self._allowed(scope)))
            said = error.status_code, error.detail
            await answer.refuse(of_http(*said, scope["method"], path, allowed))
        except GoneError:
            record.known["left"] = True
        except Exception as error:
            await answer.refuse(refusal_of(record, error))
        finally:
            self._inside -= 1
            self._held -= record.received
            record.write()

    def _hold(self, size: int) -> None:
        """Note what a request has brought; raise where all of them have brought too much."""
        self._held += size
        if self._held > self._limits.bodies:
            raise RefusedError(BUSY)

    def _check(self, scope: Scope, path: str, record: Record) -> None:
        headers = _headers(scope)
        if not self._access.answers_to(headers.get("host", "")):
            raise RefusedError(UNKNOWN_HOST)
        if not self._access.welcomes(headers.get("origin")):
            raise RefusedError(UNKNOWN_ORIGIN)
        if "transfer-encoding" in headers and "content-length" in headers:
            # A proxy may believe the one and we the other: then what follows is somebody else's.
            raise RefusedError(AMBIGUOUS)
        if OPEN.fullmatch(path) or scope["method"] == "OPTIONS":
            return
        if self._inside > self._limits.connections:
            raise RefusedError(BUSY)
        record.owner = self._access.owner(headers.get("authorization", ""))
        if record.owner is None:
            raise RefusedError(UNAUTHORIZED)


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


class _Body:
    """A request's body as it arrives: not too much of it, and not too slowly."""

    def __init__(
        self,
        record: Record,
        receive: Receive,
        limits: Limits,
        hold: Callable[[int], None],
    ) -> None:
        self._record, self._receive, self._limits, self._hold = record, receive, limits, hold
        self._whole = False
        self._until: float | None = None

    def check(self, length: str | None) -> None:
        """Turn away what says that it is too large."""
        if length is not None and length.isdecimal() and int(length[:20]) > self._limits.body:
            raise RefusedError(TOO_LARGE)

    async def receive(self) -> Message:
        """The next piece; after the last, whatever the server has to say of the client."""
        if self._whole:
            return await self._receive()
        if self._until is None:
            self._until = asyncio.get_running_loop().time() + self._limits.upload
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError:
            raise RefusedError(SLOW_BODY) from None
        if message["type"] != "http.request":
            raise GoneError
        size = len(message.get("body", b""))
        self._record.received += size
        self._hold(size)
        self._whole = not message.get("more_body", False)
        if self._record.received > self._limits.body:
            raise RefusedError(TOO_LARGE)
        return message


class _Answer:
    """An answer as it goes out: counted, named, and not waiting for ever on who takes it."""

    def __init__(
        self, record: Record, send: Send, seconds: float, shared: Mapping[str, str]
    ) -> None:
        self._record, self._send, self._seconds, self._shared = record, send, seconds, shared

    async def send(self, message: Message) -> None:
        """Send the next piece."""
        if message["type"] == "http.response.start":
            self._record.status = message["status"]
            own = standard(self._record.id, self._record.milliseconds)
            message["headers"] = [*message["headers"], *_encoded(own.items())]
        for piece in _pieces(message):
            self._record.sent += len(piece.get("body", b""))
            try:
                async with asyncio.timeout(self._seconds):
                    await self._send(piece)
            except (TimeoutError, OSError):
                raise GoneError from None

    async def refuse(self, refusal: Refusal) -> None:
        """Answer with an error, if nothing was answered yet."""
        self._record.known["error"] = refusal.code or refusal.kind
        if self._record.status is not None:
            return
        body = refusal.body()
        headers = {"content-type": "application/json", "content-length": str(len(body))}
        headers |= {**refusal.headers, **self._shared}
        start = {"status": refusal.status, "headers": _encoded(headers.items())}
        try:
            await self.send({"type": "http.response.start", **start})
            await self.send({"type": "http.response.body", "body": body})
        except Exception:
            # Also who speaks no HTTP is told nothing: each server refuses that in its own way.
            self._record.known["left"] = True


def _pieces(message: Message) -> Iterator[Message]:
    """What servers hold back only between messages goes out in several."""
    body = message.get("body", b"")
    for at in range(0, len(body) - _PIECE, _PIECE):
        yield {**message, "body": body[at : at + _PIECE], "more_body": True}
    yield {**message, "body": body[(len(body) - 1) // _PIECE * _PIECE :]} if body else message


def _encoded(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
