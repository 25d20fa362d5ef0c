"""Speaks the HTTP library: values to and from it, its errors as ours."""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext, suppress
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.lowlevel

from ._blob import Memory
from ._errors import (
    Billed,
    ConfigurationError,
    ConnectionFailedError,
    DeadlineExceededError,
    ImagekitError,
    ProtocolError,
    TransportError,
    TransportTimeoutError,
)
from ._http import Framing, HttpRequest, HttpResponse
from ._inflated import Inflater, inflater
from ._library import Library, chosen, of
from ._lifting import Body, Lifter
from ._network import SLICE, listeners
from ._outgoing import ENCODING, built
from ._reticent import hold_back
from ._scope import Scope, current, reach
from ._speakers import (
    AsyncOwn,
    Timeouts,
    async_lent,
    away,
    bare,
    home,
    lent,
    no_cookies,
)

if TYPE_CHECKING:
    import httpx

    from ._library import AsyncWay, Way

C = TypeVar("C")
MOST_BYTES = 256 * 2**20
# After the last event of a stream its end is read where it comes within so many seconds and bytes,
# for only then can its connection be used again.
LAST_WORDS = 0.05
_MOST_LEFT = 2**16
hold_back()


def _library_of(client: Any) -> Library:
    library = of(client)
    assert library is not None
    return library


def _opened(client: Any) -> Any:
    if client.is_closed:
        raise ConfigurationError("the client is closed")
    return client


def _head(response: httpx.Response) -> HttpResponse:
    """All but the body."""
    return HttpResponse(response.status_code, dict(response.headers), streamed=True)


def _is_framed(head: HttpResponse, framing: Framing | None) -> bool:
    if framing is None or not head.ok:
        return False
    return framing != "events" or head.media_type in ("", "text/event-stream")


def _inflating(response: httpx.Response, head: HttpResponse) -> Inflater | None:
    said = head.headers.get("content-encoding")
    # An answer that is in memory already, as one that is made up, has been through all this.
    if said is None or response.is_stream_consumed:
        return None
    return inflater(said, response.request.headers.get(ENCODING, ""))


def _is_plain(response: httpx.Response, head: HttpResponse) -> bool:
    """Whether the body may be read as it comes, for which the library has nothing to do."""
    return not response.is_closed and "content-encoding" not in head.headers


def _is_picture(head: HttpResponse) -> bool:
    """Whether the body is one itself, of which, unlike of JSON, a part could pass for the whole."""
    return head.media_type.startswith("image/")


def _answer(head: HttpResponse, gathered: Lifter | Body) -> HttpResponse:
    return HttpResponse.holding(head.status, head.headers, gathered.finish())


def _gathering(request: HttpRequest, head: HttpResponse) -> Lifter | Body:
    """What takes in a whole answer: pictures out of JSON, or the bytes of one."""
    kind = head.media_type
    if head.ok:
        if request.blobs and (kind == "application/json" or kind.endswith("+json")):
            return Lifter(request.blobs, request.sink, most=MOST_BYTES)
        if request.sink is not None and _is_picture(head):
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
        self._http = lent(http, timeout=self._timeouts.each, cookies=no_cookies())
        self._downloads = lent(downloads, **bare(self._timeouts))
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
                    self._downloads = away(self._timeouts)
                    self._ours.append(self._downloads)
                return self._downloads
            if self._http is None:
                self._http = home(self._timeouts)
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
        with translated(library), built(client, library, request) as out:
            response = client.send(out, stream=True, follow_redirects=request.stranger)
        try:
            head = _head(response)
            pieces = _pieces(response, head, library)
            if _is_framed(head, framing):
                yield head, pieces
            else:
                gathering = _gathering(request, head)
                try:
                    for piece in pieces:
                        gathering.feed(piece)
                    answer = _answer(head, gathering)
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


def _pieces(response: httpx.Response, head: HttpResponse, library: Library) -> Iterator[bytes]:
    with translated(library, answered=True):
        if _is_plain(response, head):
            stream: Any = response.stream
            yield from stream
            # The next request may have its connection.
            response.close()
        elif inflating := _inflating(response, head):
            for piece in response.iter_raw():
                yield from inflating.feed(piece)
            if _is_picture(head):
                inflating.finish()
        else:
            yield from response.iter_bytes()


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
        own = {"timeout": self._timeouts.each, "cookies": no_cookies()}
        self._given = {
            False: async_lent(http, **own),
            True: async_lent(downloads, **bare(self._timeouts)),
        }
        # By the process and the event loop that they are of.
        self._ours: dict[tuple[int, Any], AsyncOwn] = {}

    def _client(self, request: HttpRequest) -> Any:
        stranger = request.stranger
        if (given := self._given[stranger]) is not None:
            return given
        loop = _loop()
        if (own := self._ours.get(loop)) is None:
            for other, its in [*self._ours.items()]:
                if its.over and other[0] == loop[0]:
                    del self._ours[other]
            own = AsyncOwn(self._timeouts)
        client = own.client(stranger)
        self._ours[loop] = own
        return client

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
        with translated(library), built(client, library, request) as out:
            out.stream = _body_of(library)(out.stream)
            # Our own connections tell it by themselves.
            if (far := reach.get()) is not None and client is self._given[request.stranger]:
                out.extensions["trace"] = far.heard
            async with listeners() if _is_long(out) else nullcontext():
                response = await client.send(out, stream=True, follow_redirects=request.stranger)
        head = _head(response)
        pieces: Any = _async_pieces(response, head, library)
        try:
            if _is_framed(head, framing):
                yield head, pieces
            else:
                gathering = _gathering(request, head)
                try:
                    async for piece in pieces:
                        gathering.feed(piece)
                    answer = _answer(head, gathering)
                except BaseException:
                    gathering.drop()
                    raise
                yield answer, pieces
        finally:
            # Whatever was read to its end is closed.
            if pieces.ag_frame is not None or not response.is_closed:
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
        """Close the connections that are ours; those of another event loop end with that."""
        if (own := self._ours.get(_loop())) is not None:
            await own.aclose()


def _loop() -> tuple[int, Any]:
    """The process and the event loop: a fork's connections are the other process's too."""
    return os.getpid(), anyio.lowlevel.current_token()


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


async def _async_pieces(
    response: httpx.Response, head: HttpResponse, library: Library
) -> AsyncGenerator[bytes, None]:
    with translated(library, answered=True):
        if _is_plain(response, head):
            stream: Any = response.stream
            async for piece in stream:
                yield piece
            await response.aclose()
        elif inflating := _inflating(response, head):
            async for piece in response.aiter_raw():
                for inflated in inflating.feed(piece):
                    yield inflated
            if _is_picture(head):
                inflating.finish()
        else:
            async for piece in response.aiter_bytes():
                yield piece
