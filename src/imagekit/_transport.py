"""The only module that knows httpx: values to and from it, its errors as ours."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, TypeVar, cast

import anyio
import anyio.lowlevel
import httpx

from ._errors import (
    Billed,
    ConfigurationError,
    ConnectionFailedError,
    DeadlineExceededError,
    ImagekitError,
    ProtocolError,
    RequestError,
    TransportError,
    TransportTimeoutError,
)
from ._http import Framing, HttpRequest, HttpResponse
from ._network import AsyncGuarded, Listening, Watched
from ._scope import current, reach
from ._version import version

C = TypeVar("C", httpx.Client, httpx.AsyncClient)
# Raised before a byte of the request is written; after anything else it may have arrived.
NOT_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)
_UNWRITABLE = (httpx.InvalidURL, UnicodeError, ValueError, TypeError)
MOST_BYTES = 256 * 2**20
_WANTED = "http= and downloads= want"


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds for a connection to be made, and for the next byte to be read or written."""

    connect: float = 5.0
    read: float = 600.0

    def httpx(self) -> httpx.Timeout:
        """As httpx takes them."""
        return httpx.Timeout(self.read, connect=self.connect)


def arguments(request: HttpRequest) -> dict[str, Any]:
    """*request* as the keyword arguments of httpx's `build_request`."""
    headers = {"user-agent": f"imagekit/{version()}", **request.headers}
    keywords: dict[str, Any] = {"headers": headers}
    if request.query:
        keywords["params"] = httpx.URL(request.url).params.merge(dict(request.query))
    if request.json is not None:
        keywords["json"] = request.json
    if request.body is not None:
        keywords["content"] = request.body
    if request.parts or request.multipart:
        # httpx invents a boundary for each request; ours is the content's hash, so that the same
        # request is the same bytes and a cassette can match it.
        digest = hashlib.sha256(repr(request.form).encode())
        for part in request.parts:
            digest.update(part.data)
        headers["content-type"] = f"multipart/form-data; boundary={digest.hexdigest()[:32]}"
        keywords["files"] = [
            (part.name, (part.filename, part.data, part.media_type)) for part in request.parts
        ]
    if request.multipart and not request.parts:
        # A field is a file without a name; with no file the library would write it another way.
        keywords["files"] = [(name, (None, value)) for name, value in request.form]
    elif request.form:
        fields: dict[str, list[str]] = {}
        for name, value in request.form:
            fields.setdefault(name, []).append(value)
        keywords["data"] = fields
    return keywords


def _built(client: httpx.Client | httpx.AsyncClient, request: HttpRequest) -> httpx.Request:
    try:
        return client.build_request(request.method, request.url, **arguments(request))
    except _UNWRITABLE as error:
        raise RequestError(f"the request cannot be written: {error}", billed="no") from error


@dataclass(frozen=True, slots=True)
class Written:
    """A request as it goes out, without what a client adds to all of them."""

    url: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


def written(request: HttpRequest) -> Written:
    """The very bytes of *request*; its URL is whole."""
    try:
        out = httpx.Request(request.method, request.url, **arguments(request))
        body = out.read()
    except _UNWRITABLE as error:
        raise RequestError(f"the request cannot be written: {error}", billed="no") from error
    headers = {name: one for name, one in out.headers.items() if name != "host"}
    return Written(str(out.url), headers, body)


def _opened(client: C) -> C:
    if client.is_closed:
        raise ConfigurationError("the client is closed")
    return client


def _is_framed(response: httpx.Response, framing: Framing | None) -> bool:
    if framing is None or not response.is_success:
        return False
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return framing != "events" or kind in ("", "text/event-stream")


def _answer(response: httpx.Response, body: bytes = b"", *, streamed: bool = False) -> HttpResponse:
    return HttpResponse(response.status_code, dict(response.headers), body, streamed)


def _grow(body: bytearray, piece: bytes) -> None:
    body += piece
    if len(body) > MOST_BYTES:
        raise ProtocolError(f"the answer is larger than {MOST_BYTES} bytes")


@contextmanager
def translated(*, answered: bool = False) -> Iterator[None]:
    """Httpx's errors as ours; `billed` is "no" only where nothing can have been sent."""
    try:
        yield
    except httpx.DecodingError as error:
        raise ProtocolError(f"the answer cannot be decoded: {error}") from error
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
        # It would carry the request's headers, the key among them, to whoever logs errors.
        request = vars(error).pop("_request", None)
        raise _ours(error, request, answered=answered) from error


def _ours(error: Exception, request: httpx.Request | None, *, answered: bool) -> TransportError:
    billed: Billed | None = "no" if isinstance(error, NOT_SENT) and not answered else None
    scope = current.get()
    what = str(error) or type(error).__name__
    if scope is not None and scope.left() == 0.0:
        return DeadlineExceededError("the deadline for the call passed", billed=billed)
    if isinstance(error, NOT_SENT):
        # The host and its port alone: what else a URL says may let somebody in.
        whom = request.url.netloc.decode() if request is not None else ""
        to = f" to {whom}" if whom else ""
        return ConnectionFailedError(f"no connection was made{to}: {what}", billed=billed)
    if isinstance(error, httpx.TimeoutException):
        return TransportTimeoutError(f"the answer took too long: {what}", billed=billed)
    return TransportError(f"the connection broke: {what}", billed=billed)


def _https_only(request: httpx.Request) -> None:
    if request.url.scheme != "https":
        raise ProtocolError(
            f"refusing to read from {request.url.host!r} by {request.url.scheme}: "
            "a stranger's URL must be https"
        )


# Plain subclasses of httpx's own transports are ones that recorders of traffic still see.
class _Guarded(httpx.HTTPTransport):
    def __init__(self) -> None:
        super().__init__(trust_env=False)
        _watch(self, guarded=True)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        _https_only(request)
        return super().handle_request(request)


class _AsyncGuarded(httpx.AsyncHTTPTransport):
    def __init__(self) -> None:
        super().__init__(trust_env=False)
        pool: Any = self._pool
        pool._network_backend = AsyncGuarded(pool._network_backend)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        _https_only(request)
        return await super().handle_async_request(request)


def _watch(transport: Any, *, guarded: bool = False) -> None:
    """Put the call's scope under *transport*'s connections."""
    pool = transport._pool
    pool._network_backend = Watched(pool._network_backend, guarded=guarded)


def _bare(timeouts: Timeouts) -> dict[str, Any]:
    """What makes a client bare: it keeps no cookies and follows few redirects."""
    return {
        "timeout": httpx.Timeout(min(timeouts.read, 60.0), connect=timeouts.connect),
        "follow_redirects": True,
        "max_redirects": 5,
        "trust_env": False,
        "cookies": _no_cookies(),
    }


def _no_cookies() -> CookieJar:
    """A jar that keeps nothing: one call's cookies are not another tenant's."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=[]))


class _Lent(httpx.BaseTransport):
    """A transport that is somebody else's to close."""

    def __init__(self, inner: httpx.BaseTransport) -> None:
        self._inner = inner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._inner.handle_request(request)


class _AsyncLent(httpx.AsyncBaseTransport):
    """An async transport that is somebody else's to close."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._inner.handle_async_request(request)


class SyncTransport:
    """Sends values over a blocking httpx client; strangers get a bare one.

    A client or a transport that is given stays the giver's: its proxies, its limits, its closing.
    """

    def __init__(
        self,
        http: httpx.Client | httpx.BaseTransport | None = None,
        downloads: httpx.Client | httpx.BaseTransport | None = None,
        timeouts: Timeouts | None = None,
    ) -> None:
        self._timeouts = timeouts or Timeouts()
        self._http = _on(http, timeout=self._timeouts.httpx(), cookies=_no_cookies())
        self._downloads = _on(downloads, **_bare(self._timeouts))
        self._ours: list[httpx.Client] = []
        self._lock = threading.Lock()

    def _client(self, request: HttpRequest) -> httpx.Client:
        with self._lock:
            if request.stranger:
                if self._downloads is None:
                    self._downloads = httpx.Client(transport=_Guarded(), **_bare(self._timeouts))
                    self._ours.append(self._downloads)
                return self._downloads
            if self._http is None:
                self._http = httpx.Client(timeout=self._timeouts.httpx(), cookies=_no_cookies())
                self._ours.append(self._http)
                for transport in (self._http._transport, *self._http._mounts.values()):
                    if transport is not None:
                        _watch(transport)
            return self._http

    def send(self, request: HttpRequest) -> HttpResponse:
        """Make *request*; the whole answer."""
        with self.open(request, None) as (response, _):
            return response

    @contextmanager
    def open(
        self, request: HttpRequest, framing: Framing | None
    ) -> Iterator[tuple[HttpResponse, Iterator[bytes]]]:
        """Make *request*; the answer's head and its pieces, or, not of *framing*, all of it."""
        client = _opened(self._client(request))
        with translated():
            built = _built(client, request)
            response = client.send(built, stream=True, follow_redirects=request.stranger)
        try:
            if _is_framed(response, framing):
                yield _answer(response, streamed=True), _pieces(response)
            else:
                body = bytearray()
                for piece in _pieces(response):
                    _grow(body, piece)
                yield _answer(response, bytes(body)), iter(())
        finally:
            response.close()

    def close(self) -> None:
        """Close the connections that are ours."""
        for client in self._ours:
            client.close()


def _on(given: httpx.Client | httpx.BaseTransport | None, **how: Any) -> httpx.Client | None:
    if given is None or isinstance(given, httpx.Client):
        return given
    if not isinstance(given, httpx.BaseTransport):
        raise ConfigurationError(f"{_WANTED} an httpx.Client or a transport, not {given!r}")
    return httpx.Client(transport=_Lent(given), **how)


def _async_on(
    given: httpx.AsyncClient | httpx.AsyncBaseTransport | None, **how: Any
) -> httpx.AsyncClient | None:
    if given is None or isinstance(given, httpx.AsyncClient):
        return given
    if not isinstance(given, httpx.AsyncBaseTransport):
        raise ConfigurationError(f"{_WANTED} an httpx.AsyncClient or a transport, not {given!r}")
    return httpx.AsyncClient(transport=_AsyncLent(given), **how)


def _pieces(response: httpx.Response) -> Iterator[bytes]:
    with translated(answered=True):
        yield from response.iter_bytes()


class AsyncTransport:
    """Sends values over an async httpx client; strangers get a bare one.

    A client or a transport that is given stays the giver's: its proxies, its limits, its closing.
    """

    def __init__(
        self,
        http: httpx.AsyncClient | httpx.AsyncBaseTransport | None = None,
        downloads: httpx.AsyncClient | httpx.AsyncBaseTransport | None = None,
        timeouts: Timeouts | None = None,
    ) -> None:
        self._timeouts = timeouts or Timeouts()
        own = {"timeout": self._timeouts.httpx(), "cookies": _no_cookies()}
        self._given = {
            False: _async_on(http, **own),
            True: _async_on(downloads, **_bare(self._timeouts)),
        }
        self._ours: dict[bool, httpx.AsyncClient] = {}
        self._loop: object = None

    def _client(self, request: HttpRequest) -> httpx.AsyncClient:
        stranger = request.stranger
        if (given := self._given[stranger]) is not None:
            return given
        loop = anyio.lowlevel.current_token()
        if self._loop != loop:
            # Connections belong to the event loop that made them, and die with it.
            self._ours, self._loop = {}, loop
        if stranger not in self._ours:
            self._ours[stranger] = (
                httpx.AsyncClient(transport=_AsyncGuarded(), **_bare(self._timeouts))
                if stranger
                else _listening(self._timeouts)
            )
        return self._ours[stranger]

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Make *request*; the whole answer."""
        async with self.open(request, None) as (response, _):
            return response

    @asynccontextmanager
    async def open(
        self, request: HttpRequest, framing: Framing | None
    ) -> AsyncIterator[tuple[HttpResponse, AsyncIterator[bytes]]]:
        """Make *request*; the answer's head and its pieces, or, not of *framing*, all of it."""
        client = _opened(self._client(request))
        with translated():
            built = _built(client, request)
            built.stream = _Body(cast(httpx.SyncByteStream, built.stream))
            if (far := reach.get()) is not None:
                built.extensions["trace"] = far.heard
            response = await client.send(built, stream=True, follow_redirects=request.stranger)
        pieces = _async_pieces(response)
        try:
            if _is_framed(response, framing):
                yield _answer(response, streamed=True), pieces
            else:
                body = bytearray()
                async for piece in pieces:
                    _grow(body, piece)
                yield _answer(response, bytes(body)), pieces
        finally:
            with anyio.CancelScope(shield=True):
                await _ended(pieces)
                await response.aclose()

    async def aclose(self) -> None:
        """Close the connections that are ours."""
        for client in self._ours.values():
            await client.aclose()


def _listening(timeouts: Timeouts) -> httpx.AsyncClient:
    """A client whose connections listen while they write."""
    client = httpx.AsyncClient(timeout=timeouts.httpx(), cookies=_no_cookies())
    for transport in filter(None, (client._transport, *client._mounts.values())):
        pool = cast(Any, transport)._pool
        pool._network_backend = Listening(pool._network_backend)
    return client


async def _ended(pieces: AsyncGenerator[bytes, None]) -> None:
    """Leave *pieces* where they are."""
    # Closing them would leave httpx's own generators beneath unfinished, of which trio warns;
    # a cancelled read ends them all.
    with anyio.CancelScope() as over, suppress(ImagekitError):
        over.cancel()
        for _ in range(16):
            await anext(pieces, None)
    await pieces.aclose()


class _Body(httpx.AsyncByteStream, httpx.SyncByteStream):
    """A body as no generator, for one that a broken connection leaves unfinished is a warning."""

    def __init__(self, inner: httpx.SyncByteStream) -> None:
        self._inner = inner

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._inner)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _Pulled(iter(self._inner))


class _Pulled(AsyncIterator[bytes]):
    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces

    async def __anext__(self) -> bytes:
        for piece in self._pieces:
            return piece
        raise StopAsyncIteration


async def _async_pieces(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    with translated(answered=True):
        async for piece in response.aiter_bytes():
            yield piece
