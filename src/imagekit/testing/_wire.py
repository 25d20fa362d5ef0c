"""A host where the network would be: what is sent reaches it as bytes, and no socket is opened."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx

from .._http import HttpResponse
from ._host import Asked, Host, Reply


def blocking(host: Host) -> httpx.Client:
    """A client of the HTTP library whose requests reach *host*."""
    return httpx.Client(transport=_Blocking(host))


def asynchronous(host: Host) -> httpx.AsyncClient:
    """The same without blocking."""
    return httpx.AsyncClient(transport=_Asynchronous(host))


class _Blocking(httpx.BaseTransport):
    def __init__(self, host: Host) -> None:
        self._host = host

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        body = request.read()
        return _answered(self._host, request, body)


class _Asynchronous(httpx.AsyncBaseTransport):
    def __init__(self, host: Host) -> None:
        self._host = host

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        return _answered(self._host, request, body)


def _answered(host: Host, request: httpx.Request, body: bytes) -> httpx.Response:
    if host.fault == "unreachable":
        raise httpx.ConnectError("nobody is there", request=request)
    asked = Asked(request.method, str(request.url), dict(request.headers), body)
    reply = host.reply(asked)
    if host.bend is not None:
        sent = reply
        reply = host.bend(asked, sent)
        host.bent |= reply is not sent
    if host.fault == "silence":
        raise httpx.ReadTimeout("nothing came any more", request=request)
    pieces = _Pieces(host, request, *_cut(reply, host.fault))
    return httpx.Response(reply.status, headers=dict(reply.headers), stream=pieces)


def _cut(reply: Reply, fault: str | None) -> tuple[tuple[bytes, ...], bool]:
    """The pieces of *reply*, and whether an error follows them."""
    pieces: tuple[bytes, ...]
    if isinstance(reply, HttpResponse):
        pieces = (reply.body,) if fault is None else (reply.body[: len(reply.body) // 2],)
    else:
        pieces = reply.pieces if fault is None else reply.pieces[: len(reply.pieces) // 2]
    return pieces, fault == "broken"


class _Pieces(httpx.SyncByteStream, httpx.AsyncByteStream):
    """The body of an answer, of which the host knows when it is opened and closed."""

    def __init__(
        self, host: Host, request: httpx.Request, pieces: tuple[bytes, ...], breaks: bool
    ) -> None:
        self._host, self._request, self._pieces, self._breaks = host, request, pieces, breaks
        host.opened += 1

    def __iter__(self) -> Iterator[bytes]:
        yield from self._pieces
        if self._breaks:
            raise httpx.ReadError("the connection is gone", request=self._request)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece

    def close(self) -> None:
        self._host.closed += 1

    async def aclose(self) -> None:
        self.close()
