"""Speaks the HTTP library: values to and from it, its errors as ours."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.lowlevel

from ._blob import Blob, Memory
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
from ._http import Framing, HttpRequest, HttpResponse, Part
from ._inflated import ENCODINGS, Inflater, inflater
from ._library import Library, chosen, of
from ._lifting import Body, Lifter
from ._network import SLICE, AsyncGuarded, Listening, Watched, listeners
from ._pool import AsyncPool, Pool
from ._reticent import hold_back
from ._scope import Scope, current, reach
from ._version import version

if TYPE_CHECKING:
    import httpx

    from ._library import AsyncWay, Way

C = TypeVar("C")
MOST_BYTES = 256 * 2**20
# After the last event of a stream its end is read where it comes within so many seconds and bytes,
# for only then can its connection be used again.
LAST_WORDS = 0.05
_MOST_LEFT = 2**16
_ENCODING = "accept-encoding"
_WANTED = "http= and downloads= want"
hold_back()


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds for a connection to be made, and for the next byte to be read or written."""

    connect: float = 5.0
    read: float = 600.0

    @property
    def each(self) -> tuple[float, float, float, float]:
        """For connecting, reading, writing, and waiting until there is room for one more."""
        return self.connect, self.read, self.read, self.read


def arguments(request: HttpRequest) -> dict[str, Any]:
    """*request* as the keyword arguments of a library's `build_request`."""
    headers = {"user-agent": f"imagekit/{version()}", **request.headers}
    keywords: dict[str, Any] = {"headers": headers}
    if request.query:
        params = chosen().http.URL(request.url).params.merge(dict(request.query))
        keywords["params"] = params.multi_items()
    if request.json is not None:
        keywords["json"] = request.json
    if request.body is not None:
        keywords["content"] = request.body
    if request.parts or request.multipart:
        headers["content-type"] = f"multipart/form-data; boundary={_boundary(request)}"
        keywords["files"] = [
            (part.name, (part.filename, _content(part), part.media_type)) for part in request.parts
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


def _boundary(request: HttpRequest) -> str:
    """What stands between the parts of a form, and in none of them."""
    if any(isinstance(_content(part), _Upload) for part in request.parts):
        # A file is not read twice. Made of less than all of the content, it could be worked out by
        # whoever made one of the pictures, and written into it with fields of their own.
        return os.urandom(16).hex()
    # A library invents one for each request; ours is the content's hash, so that the same request
    # is the same bytes and a cassette can match it.
    digest = hashlib.sha256(repr(request.form).encode())
    for part in request.parts:
        digest.update(bytes(part.data))
    return digest.hexdigest()[:32]


def _content(part: Part) -> bytes | _Upload:
    if isinstance(part.data, Blob) and part.data.path is not None:
        return _Upload(part.data, part.data.path)
    return bytes(part.data)


class _Upload:
    """A file as a library sends it: exactly the bytes that were promised, in pieces, or an error.

    It is open while it is read only, and read from its start as often as it is sent.
    """

    def __init__(self, blob: Blob, path: Path) -> None:
        self._blob, self._path = blob, path
        self._pieces = self._sent()
        try:
            self._as_it_is = self._looked()
        except OSError as error:
            raise RequestError(self._unreadable(error), billed="no") from error
        if self._as_it_is[0] != len(blob):
            raise RequestError(self._changed(), billed="no")

    def _looked(self) -> tuple[int, int, int]:
        """Its length, which file it is, and when it was written to."""
        found = self._path.stat()
        return found.st_size, found.st_ino, found.st_mtime_ns

    def tell(self) -> int:
        """Where it stands: whoever asks is about to seek."""
        return 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to the start; from the end, say how long it is."""
        self.close()
        self._pieces = self._sent()
        return len(self._blob) if whence == os.SEEK_END else 0

    def read(self, size: int = -1) -> bytes:
        """The next piece, however long it is; nothing at the end."""
        return next(self._pieces, b"")

    def close(self) -> None:
        """Nobody reads on."""
        self._pieces.close()

    def _sent(self) -> Generator[bytes, None, None]:
        left = len(self._blob)
        try:
            with closing(self._blob.pieces()) as pieces:
                for piece in pieces:
                    left -= len(piece)
                    if left < 0:
                        break
                    # All but the last of it, until it is sure that it was one picture all along.
                    if not left and self._looked() != self._as_it_is:
                        left = -1
                        break
                    yield piece
        except OSError as error:
            raise TransportError(self._unreadable(error)) from error
        if left:
            # What was begun is left without its end, so that nobody takes it for whole.
            raise TransportError(self._changed())

    def _unreadable(self, error: OSError) -> str:
        why = error.strerror or error
        return f"the picture {str(self._path)!r} cannot be read any more: {why}"

    def _changed(self) -> str:
        return (
            f"the picture {str(self._path)!r} changed while it was sent: it had {len(self._blob)} "
            "bytes; ask again when nobody writes to it, or give its bytes"
        )


@contextmanager
def _writing(library: Library) -> Iterator[None]:
    try:
        yield
    except RequestError:
        raise
    except (library.http.InvalidURL, UnicodeError, ValueError, TypeError) as error:
        raise RequestError(f"the request cannot be written: {error}", billed="no") from error


@contextmanager
def _built(client: Any, library: Library, request: HttpRequest) -> Iterator[Any]:
    """*request* as the library's own, until it is sent or given up."""
    with _writing(library):
        keywords = arguments(request)
        # To inflate a picture in base64 costs more than all else that is done with it. Whoever asks
        # for it all the same, in the request or by a client of their own, knows why.
        if client.headers.get(_ENCODING) == _usual_encoding(library):
            wanted = "identity" if request.blobs else ENCODINGS
            keywords["headers"] = {_ENCODING: wanted, **_lower(keywords["headers"])}
        built = client.build_request(request.method, request.url, **keywords)
    try:
        yield built
    finally:
        for _, (_, content, *_) in keywords.get("files", ()):
            if isinstance(content, _Upload):
                content.close()


@cache
def _usual_encoding(library: Library) -> str:
    """The encodings that a client asks for of whom nobody wanted others."""
    http = library.http
    with http.Client(transport=http.BaseTransport(), trust_env=False) as client:
        found: str = client.headers[_ENCODING]
        return found


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


@dataclass(frozen=True, slots=True)
class Written:
    """A request as it goes out, without what a client adds to all of them."""

    url: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


def written(request: HttpRequest) -> Written:
    """The very bytes of *request*; its URL is whole."""
    library = chosen()
    with _writing(library):
        out = library.http.Request(request.method, request.url, **arguments(request))
        body = out.read()
    headers = {name: one for name, one in out.headers.items() if name != "host"}
    return Written(str(out.url), headers, body)


def _library_of(client: Any) -> Library:
    library = of(client)
    assert library is not None
    return library


def _opened(client: Any) -> Any:
    if client.is_closed:
        raise ConfigurationError("the client is closed")
    return client


def _is_framed(response: httpx.Response, framing: Framing | None) -> bool:
    if framing is None or not response.is_success:
        return False
    return framing != "events" or _media_type(response) in ("", "text/event-stream")


def _media_type(response: httpx.Response) -> str:
    kind: str = response.headers.get("content-type", "")
    return kind.partition(";")[0].strip().lower()


def _inflating(response: httpx.Response) -> Inflater | None:
    # An answer that is in memory already, as one that is made up, has been through all this.
    if response.is_stream_consumed:
        return None
    said = response.headers.get("content-encoding", "")
    return inflater(said, response.request.headers.get(_ENCODING, ""))


def _opened_stream(response: httpx.Response) -> HttpResponse:
    return HttpResponse(response.status_code, dict(response.headers), streamed=True)


def _answer(response: httpx.Response, gathered: Lifter | Body) -> HttpResponse:
    return HttpResponse.holding(response.status_code, dict(response.headers), gathered.finish())


def _gathering(request: HttpRequest, response: httpx.Response) -> Lifter | Body:
    """What takes in a whole answer: pictures out of JSON, or the bytes of one."""
    kind = _media_type(response)
    if response.is_success:
        if request.blobs and (kind == "application/json" or kind.endswith("+json")):
            return Lifter(request.blobs, request.sink, most=MOST_BYTES)
        if request.sink is not None and kind.startswith("image/"):
            return Body(request.sink(), MOST_BYTES)
    return Body(Memory(), MOST_BYTES)


@contextmanager
def translated(library: Library, *, answered: bool = False) -> Iterator[None]:
    """The library's errors as ours; `billed` is "no" only where nothing can have been sent."""
    http = library.http
    try:
        yield
    except http.DecodingError as error:
        raise ProtocolError(f"the answer cannot be decoded: {error}") from error
    except (http.HTTPError, http.InvalidURL, http.StreamError) as error:
        # It would carry the request's headers, the key among them, to whoever logs errors.
        request = vars(error).pop("_request", None)
        raise _ours(library, error, request, answered=answered) from error


def _ours(library: Library, error: Exception, request: Any, *, answered: bool) -> TransportError:
    unsent = isinstance(error, library.not_sent)
    billed: Billed | None = "no" if unsent and not answered else None
    scope = current.get()
    what = _words(error)
    if scope is not None and scope.left() == 0.0:
        return DeadlineExceededError("the deadline for the call passed", billed=billed)
    if unsent:
        # The host and its port alone: what else a URL says may let somebody in.
        whom = request.url.netloc.decode() if request is not None else ""
        to = f" to {whom}" if whom else ""
        return ConnectionFailedError(f"no connection was made{to}: {what}", billed=billed)
    if isinstance(error, library.http.TimeoutException):
        return TransportTimeoutError(f"the answer took too long: {what}", billed=billed)
    return TransportError(f"the connection broke: {what}", billed=billed)


def _words(error: BaseException) -> str:
    """What *error* says, or what was the cause of one that says nothing."""
    said: BaseException | None = error
    while said is not None:
        if str(said):
            return str(said)
        said = said.__cause__
    return type(error).__name__


def _https_only(request: httpx.Request) -> None:
    if request.url.scheme != "https":
        raise ProtocolError(
            f"refusing to read from {request.url.host!r} by {request.url.scheme}: "
            "a stranger's URL must be https"
        )
    if (port := request.url.port) is not None and not 0 < port < 65536:
        # Some connect to what is left of it, others break.
        raise ProtocolError(f"refusing to read from {request.url.host!r}: there is no port {port}")


# Beneath each of these is one of the library's own, which is where recorders of traffic listen.
class _Guarded:
    """The way to strangers."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        _https_only(request)
        response: httpx.Response = self.inner.handle_request(request)
        return response

    def close(self) -> None:
        self.inner.close()


class _AsyncGuarded:
    """The way to strangers, without blocking."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        _https_only(request)
        response: httpx.Response = await self.inner.handle_async_request(request)
        return response

    async def aclose(self) -> None:
        await self.inner.aclose()


def _watched(transport: Any, library: Library, *, guarded: bool = False) -> Any:
    """*transport*, whose connections keep to the call's scope."""
    pool = transport._pool
    pool._network_backend = Watched(pool._network_backend, library, guarded=guarded)
    transport._pool = Pool(pool, library)
    return transport


def _listening(transport: Any, library: Library, *, guarded: bool = False) -> Any:
    """The same for an async one, whose connections listen while they write."""
    pool = transport._pool
    kind = AsyncGuarded if guarded else Listening
    pool._network_backend = kind(pool._network_backend, library)
    transport._pool = AsyncPool(pool, library)
    return transport


def _bare(timeouts: Timeouts) -> dict[str, Any]:
    """What makes a client bare: it keeps no cookies and follows few redirects."""
    read = min(timeouts.read, 60.0)
    return {
        "timeout": (timeouts.connect, read, read, read),
        "follow_redirects": True,
        "max_redirects": 5,
        "trust_env": False,
        "cookies": _no_cookies(),
    }


def _no_cookies() -> CookieJar:
    """A jar that keeps nothing: one call's cookies are not another tenant's."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=[]))


class _Lent:
    """A transport that is somebody else's to close."""

    def __init__(self, inner: Any) -> None:
        self.handle_request = inner.handle_request

    def close(self) -> None:
        """Leave it open."""


class _AsyncLent:
    """An async transport that is somebody else's to close."""

    def __init__(self, inner: Any) -> None:
        self.handle_async_request = inner.handle_async_request

    async def aclose(self) -> None:
        """Leave it open."""


@contextmanager
def _made() -> Iterator[None]:
    """What the environment says of proxies may be what the library cannot do."""
    try:
        yield
    except (ImportError, ValueError) as error:
        # The address is not quoted: a password may be in it.
        hint = "a proxy of socks5:// wants pip install 'httpx[socks]'"
        raise ConfigurationError(
            f"the proxy that the environment names (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY) cannot be "
            f"used; {hint}",
            billed="no",
        ) from (error if isinstance(error, ImportError) else None)


def _home(timeouts: Timeouts) -> Any:
    """A client of ours for the provider: its connections are watched."""
    from ._tls import tls

    library = chosen()
    with _made():
        client = library.http.Client(
            timeout=timeouts.each, cookies=_no_cookies(), verify=tls(library)
        )
    for transport in filter(None, (client._transport, *client._mounts.values())):
        _watched(transport, library)
    return client


def _away(timeouts: Timeouts) -> Any:
    """A client of ours for strangers."""
    from ._tls import tls

    library = chosen()
    inner = library.http.HTTPTransport(verify=tls(library, trust_env=False), trust_env=False)
    guarded = _Guarded(_watched(inner, library, guarded=True))
    return library.http.Client(transport=guarded, **_bare(timeouts))


def _async_home(timeouts: Timeouts) -> Any:
    """An async client of ours for the provider."""
    from ._tls import tls

    library = chosen()
    with _made():
        client = library.http.AsyncClient(
            timeout=timeouts.each, cookies=_no_cookies(), verify=tls(library)
        )
    for transport in filter(None, (client._transport, *client._mounts.values())):
        _listening(transport, library)
    return client


def _async_away(timeouts: Timeouts) -> Any:
    """An async client of ours for strangers."""
    from ._tls import tls

    library = chosen()
    inner = library.http.AsyncHTTPTransport(verify=tls(library, trust_env=False), trust_env=False)
    guarded = _AsyncGuarded(_listening(inner, library, guarded=True))
    return library.http.AsyncClient(transport=guarded, **_bare(timeouts))


class SyncTransport:
    """Sends values over a blocking client; strangers get a bare one.

    A client or a transport that is given stays the giver's: its proxies, its limits, its closing.
    """

    def __init__(
        self,
        http: Way | None = None,
        downloads: Way | None = None,
        timeouts: Timeouts | None = None,
    ) -> None:
        self._timeouts = timeouts or Timeouts()
        if http is None:
            chosen()  # it takes long to import, and a first call is waited for
        self._http = _on(http, timeout=self._timeouts.each, cookies=_no_cookies())
        self._downloads = _on(downloads, **_bare(self._timeouts))
        self._ours: list[Any] = []
        self._lock = threading.Lock()
        self._given = self._http, self._downloads
        self._process = os.getpid()

    def _client(self, request: HttpRequest) -> Any:
        if self._process != os.getpid():
            # A connection that a fork gave to two would bring each of them the other's pictures.
            self._lock, self._process = threading.Lock(), os.getpid()
            self._ours, (self._http, self._downloads) = [], self._given
        with self._lock:
            if request.stranger:
                if self._downloads is None:
                    self._downloads = _away(self._timeouts)
                    self._ours.append(self._downloads)
                return self._downloads
            if self._http is None:
                self._http = _home(self._timeouts)
                self._ours.append(self._http)
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
        library = _library_of(client)
        with translated(library), _built(client, library, request) as built:
            response = client.send(built, stream=True, follow_redirects=request.stranger)
        try:
            if _is_framed(response, framing):
                yield _opened_stream(response), _pieces(response, library)
            else:
                gathering = _gathering(request, response)
                try:
                    for piece in _pieces(response, library):
                        gathering.feed(piece)
                    answer = _answer(response, gathering)
                except BaseException:
                    gathering.drop()
                    raise
                yield answer, iter(())
        finally:
            response.close()

    def read_on(self, request: HttpRequest, pieces: Iterator[bytes], scope: Scope) -> None:
        """Read the *pieces* that are left when nobody wants more, if they end at once.

        Only over connections of ours: others know no *scope*.
        """
        if self._client(request) not in self._ours:
            return
        token = current.set(Scope(scope.shorter(LAST_WORDS)))
        try:
            with suppress(Exception):
                left = _MOST_LEFT
                while left > 0 and (piece := next(pieces, None)) is not None:
                    left -= len(piece)
        finally:
            current.reset(token)

    def close(self) -> None:
        """Close the connections that are ours."""
        for client in self._ours:
            client.close()


def _on(given: Way | None, **how: Any) -> Any:
    if given is None:
        return None
    if (library := of(given)) is not None:
        if isinstance(given, library.http.Client):
            return given
        if isinstance(given, library.http.BaseTransport):
            return library.http.Client(transport=_Lent(given), **how)
    raise ConfigurationError(f"{_WANTED} an httpx.Client or a transport, not {given!r}")


def _async_on(given: AsyncWay | None, **how: Any) -> Any:
    if given is None:
        return None
    if (library := of(given)) is not None:
        if isinstance(given, library.http.AsyncClient):
            return given
        if isinstance(given, library.http.AsyncBaseTransport):
            return library.http.AsyncClient(transport=_AsyncLent(given), **how)
    raise ConfigurationError(f"{_WANTED} an httpx.AsyncClient or a transport, not {given!r}")


def _pieces(response: httpx.Response, library: Library) -> Iterator[bytes]:
    inflating = _inflating(response)
    with translated(library, answered=True):
        if inflating is None:
            yield from response.iter_bytes()
            return
        for piece in response.iter_raw():
            yield from inflating.feed(piece)


class AsyncTransport:
    """Sends values over an async client; strangers get a bare one.

    A client or a transport that is given stays the giver's: its proxies, its limits, its closing.
    """

    def __init__(
        self,
        http: AsyncWay | None = None,
        downloads: AsyncWay | None = None,
        timeouts: Timeouts | None = None,
    ) -> None:
        self._timeouts = timeouts or Timeouts()
        if http is None:
            chosen()
        own = {"timeout": self._timeouts.each, "cookies": _no_cookies()}
        self._given = {
            False: _async_on(http, **own),
            True: _async_on(downloads, **_bare(self._timeouts)),
        }
        self._ours: dict[bool, Any] = {}
        self._loop: object = None

    def _client(self, request: HttpRequest) -> Any:
        stranger = request.stranger
        if (given := self._given[stranger]) is not None:
            return given
        loop = os.getpid(), anyio.lowlevel.current_token()
        if self._loop != loop:
            # Connections belong to the event loop that made them, and die with it; a fork's are
            # the other process's too, and would bring it our pictures.
            self._ours, self._loop = {}, loop
        if stranger not in self._ours:
            make = _async_away if stranger else _async_home
            self._ours[stranger] = make(self._timeouts)
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
        library = _library_of(client)
        with translated(library), _built(client, library, request) as built:
            built.stream = _body_of(library)(built.stream)
            # Our own connections tell it by themselves.
            if (far := reach.get()) is not None and client is self._given[request.stranger]:
                built.extensions["trace"] = far.heard
            async with listeners() if _is_long(built) else nullcontext():
                response = await client.send(built, stream=True, follow_redirects=request.stranger)
        pieces = _async_pieces(response, library)
        try:
            if _is_framed(response, framing):
                yield _opened_stream(response), pieces
            else:
                gathering = _gathering(request, response)
                try:
                    async for piece in pieces:
                        gathering.feed(piece)
                    answer = _answer(response, gathering)
                except BaseException:
                    gathering.drop()
                    raise
                yield answer, pieces
        finally:
            with anyio.CancelScope(shield=True):
                await _ended(pieces)
                await response.aclose()

    async def read_on(self, pieces: AsyncIterator[bytes], until: float) -> None:
        """Read the *pieces* that are left when nobody wants more, if they end at once."""
        soon = min(until, anyio.current_time() + LAST_WORDS)
        with suppress(Exception), anyio.CancelScope(deadline=soon):
            left = _MOST_LEFT
            while left > 0 and (piece := await anext(pieces, None)) is not None:
                left -= len(piece)

    async def aclose(self) -> None:
        """Close the connections that are ours."""
        for client in self._ours.values():
            await client.aclose()


def _is_long(request: httpx.Request) -> bool:
    """Whether it takes more than one write, so that its answer may come amid them."""
    size: str = request.headers.get("content-length", "")
    return size.isdecimal() and int(size) > SLICE


async def _ended(pieces: AsyncGenerator[bytes, None]) -> None:
    """Leave *pieces* where they are."""
    # Closing them would leave the library's own generators beneath unfinished, of which trio warns;
    # a cancelled read ends them all.
    with anyio.CancelScope() as over, suppress(ImagekitError):
        over.cancel()
        for _ in range(16):
            await anext(pieces, None)
    await pieces.aclose()


class _Body:
    """A body as no generator, for one that a broken connection leaves unfinished is a warning."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._inner)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _Pulled(iter(self._inner))


@cache
def _body_of(library: Library) -> Any:
    """A body as *library* wants one."""
    return type("_Body", (_Body, library.http.AsyncByteStream, library.http.SyncByteStream), {})


class _Pulled(AsyncIterator[bytes]):
    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces

    async def __anext__(self) -> bytes:
        for piece in self._pieces:
            return piece
        raise StopAsyncIteration


async def _async_pieces(response: httpx.Response, library: Library) -> AsyncGenerator[bytes, None]:
    inflating = _inflating(response)
    with translated(library, answered=True):
        if inflating is None:
            async for piece in response.aiter_bytes():
                yield piece
            return
        async for piece in response.aiter_raw():
            for inflated in inflating.feed(piece):
                yield inflated
