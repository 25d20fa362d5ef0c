"""A host where the network would be: what is sent reaches it as bytes, and no socket is opened."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from .._http import HttpResponse
from .._library import Library, chosen
from ._host import Asked, Host, Reply

if TYPE_CHECKING:
    import httpx


def blocking(host: Host) -> Any:
    """A client of the HTTP library that is spoken, whose requests reach *host*."""
    library = chosen()
    return library.http.Client(transport=_Wire(host, library))


def asynchronous(host: Host) -> Any:
    """The same without blocking."""
    library = chosen()
    return library.http.AsyncClient(transport=_Wire(host, library))


class _Wire:
    """What stands in the place of a transport, blocking or not."""

    def __init__(self, host: Host, library: Library) -> None:
        self._host, self._library = host, library

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        body = request.read()
        return _answered(self._host, self._library, request, body)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        return _answered(self._host, self._library, request, body)

    def close(self) -> None:
        """Nothing is open."""

    async def aclose(self) -> None:
        """Nothing is open."""


def _answered(host: Host, library: Library, request: httpx.Request, body: bytes) -> httpx.Response:
    http = library.http
    if host.fault == "unreachable":
        raise http.ConnectError("nobody is there", request=request)
    asked = Asked(request.method, str(request.url), dict(request.headers), body)
    reply = host.reply(asked)
    if host.bend is not None:
        sent = reply
        reply = host.bend(asked, sent)
        host.bent |= reply is not sent
    if host.fault == "silence":
        raise http.ReadTimeout("nothing came any more", request=request)
    error = http.ReadError("the connection is gone", request=request)
    pieces = _pieces_of(library)(host, error, *_cut(reply, host.fault))
    answer: httpx.Response = http.Response(reply.status, headers=dict(reply.headers), stream=pieces)
    return answer


def _cut(reply: Reply, fault: str | None) -> tuple[tuple[bytes, ...], bool]:
    """The pieces of *reply*, and whether an error follows them."""
    pieces: tuple[bytes, ...]
    if isinstance(reply, HttpResponse):
        pieces = (reply.body,) if fault is None else (reply.body[: len(reply.body) // 2],)
    else:
        pieces = reply.pieces if fault is None else reply.pieces[: len(reply.pieces) // 2]
    return pieces, fault == "broken"


@cache
def _pieces_of(library: Library) -> Any:
    """A body as *library* wants one."""
    return type("_Pieces", (_Pieces, library.http.SyncByteStream, library.http.AsyncByteStream), {})


class _Pieces:
    """The body of an answer, of which the host knows when it is opened and closed."""

    def __init__(
        self, host: Host, error: Exception, pieces: tuple[bytes, ...], breaks: bool
    ) -> None:
        self._host, self._error, self._pieces, self._breaks = host, error, pieces, breaks
        host.opened += 1

    def __iter__(self) -> Iterator[bytes]:
        yield from self._pieces
        if self._breaks:
            raise self._error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece

    def close(self) -> None:
        self._host.closed += 1

    async def aclose(self) -> None:
        self.close()
