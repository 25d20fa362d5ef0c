"""The HTTP clients that are spoken through: ours for the provider, ours for strangers, the lent."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache, lru_cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any

import anyio.lowlevel

from ._errors import ConfigurationError, ProtocolError
from ._library import Library, chosen, of
from ._network import AsyncGuarded, Listening, Watched
from ._pool import AsyncPool, Pool

if TYPE_CHECKING:
    import httpx

    from ._library import AsyncWay, Way

_WANTED = "http= and downloads= want"


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds for a connection to be made, and for the next byte to be read or written."""

    connect: float = 5.0
    read: float = 600.0

    @property
    def each(self) -> tuple[float, float, float, float]:
        """For connecting, reading, writing, and waiting until there is room for one more."""
        return self.connect, self.read, self.read, self.read


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


def bare(timeouts: Timeouts) -> dict[str, Any]:
    """What makes a client bare: it keeps no cookies and follows few redirects."""
    read = min(timeouts.read, 60.0)
    return {
        "timeout": (timeouts.connect, read, read, read),
        "follow_redirects": True,
        "max_redirects": 5,
        "trust_env": False,
        "cookies": no_cookies(),
    }


def no_cookies() -> CookieJar:
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


@lru_cache(maxsize=64)
def _parsed(library: Library, url: str) -> Any:
    """*url* as the library has it: most requests go where others went."""
    return library.http.URL(url)


class _Straight:
    """A client of ours for the provider, which asks the library's transports itself.

    What a client of the library does besides (cookies, credentials, hooks, redirects) nobody here
    has, and each request would pay for it. What is sent is the same, byte for byte.
    """

    if TYPE_CHECKING:
        _transport_for_url: Any
        headers: Any
        timeout: Any

    def __init__(self, library: Library, **how: Any) -> None:
        super().__init__(**how)
        self._library = library
        self._log = logging.getLogger(library.name)

    def build_request(
        self, method: str, url: str, *, headers: Mapping[str, str], **what: Any
    ) -> httpx.Request:
        """The request with what every one has; *headers* are lower-cased."""
        usual = [one for one in self.headers.raw if one[0].decode().lower() not in headers]
        given = [(name.encode("ascii"), value.encode("ascii")) for name, value in headers.items()]
        made: httpx.Request = self._library.http.Request(
            method,
            _parsed(self._library, url),
            headers=usual + given,
            extensions={"timeout": self.timeout.as_dict()},
            **what,
        )
        return made

    @contextmanager
    def _sending(self, request: httpx.Request) -> Iterator[Any]:
        """The transport for *request*, to whose errors it is added."""
        try:
            yield self._transport_for_url(request.url)
        except self._library.http.RequestError as error:
            error.request = request
            raise

    def _sent(self, request: httpx.Request, response: httpx.Response) -> httpx.Response:
        response.request = request
        self._log.info(
            'HTTP Request: %s %s "%s %d %s"',
            request.method, request.url,
            response.http_version, response.status_code, response.reason_phrase,
        )  # fmt: skip
        return response


class _Home(_Straight):
    def send(self, request: httpx.Request, **_: Any) -> httpx.Response:
        """Send *request*; the answer's body is still to be read."""
        with self._sending(request) as transport:
            return self._sent(request, transport.handle_request(request))


class _AsyncHome(_Straight):
    async def send(self, request: httpx.Request, **_: Any) -> httpx.Response:
        """Send *request*; the answer's body is still to be read."""
        with self._sending(request) as transport:
            return self._sent(request, await transport.handle_async_request(request))


@cache
def _home(library: Library) -> Any:
    return type("_Home", (_Home, library.http.Client), {})


@cache
def _async_home(library: Library) -> Any:
    return type("_AsyncHome", (_AsyncHome, library.http.AsyncClient), {})


@contextmanager
def _made(library: Library) -> Iterator[None]:
    """What the environment says of proxies may be what the library cannot do."""
    try:
        yield
    except (ImportError, ValueError, library.http.InvalidURL) as error:
        # The address is not quoted: a password may be in it.
        hint = "a proxy of socks5:// wants pip install 'httpx[socks]'"
        raise ConfigurationError(
            f"the proxy that the environment names (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY) cannot be "
            f"used; {hint}",
            billed="no",
        ) from (error if isinstance(error, ImportError) else None)


def home(timeouts: Timeouts) -> Any:
    """A client of ours for the provider: its connections are watched."""
    from ._tls import tls

    library = chosen()
    with _made(library):
        client = _home(library)(library, timeout=timeouts.each, verify=tls(library))
    for transport in filter(None, (client._transport, *client._mounts.values())):
        _watched(transport, library)
    return client


def away(timeouts: Timeouts) -> Any:
    """A client of ours for strangers."""
    from ._tls import tls

    library = chosen()
    inner = library.http.HTTPTransport(verify=tls(library, trust_env=False), trust_env=False)
    guarded = _Guarded(_watched(inner, library, guarded=True))
    return library.http.Client(transport=guarded, **bare(timeouts))


def async_home(timeouts: Timeouts) -> Any:
    """An async client of ours for the provider."""
    from ._tls import tls

    library = chosen()
    with _made(library):
        client = _async_home(library)(library, timeout=timeouts.each, verify=tls(library))
    for transport in filter(None, (client._transport, *client._mounts.values())):
        _listening(transport, library)
    return client


def async_away(timeouts: Timeouts) -> Any:
    """An async client of ours for strangers."""
    from ._tls import tls

    library = chosen()
    inner = library.http.AsyncHTTPTransport(verify=tls(library, trust_env=False), trust_env=False)
    guarded = _AsyncGuarded(_listening(inner, library, guarded=True))
    return library.http.AsyncClient(transport=guarded, **bare(timeouts))


class AsyncOwn:
    """The clients of ours on one event loop, whose connections live no longer than that does."""

    def __init__(self, timeouts: Timeouts) -> None:
        self._timeouts = timeouts
        self._clients: dict[bool, Any] = {}
        self._loop = anyio.lowlevel.current_token()
        # A loop ends the generators that were begun on it: when it ends itself, and when nobody
        # has them any more, on whatever thread that is.
        self._keeping = _kept(self._clients)
        with suppress(StopIteration):
            self._keeping.__anext__().send(None)

    @property
    def over(self) -> bool:
        """Whether its event loop has ended."""
        loop = getattr(self._loop, "native_token", self._loop)
        # Trio's cannot be asked, and ends its generators whatever becomes of it.
        return not self._clients or bool(getattr(loop, "is_closed", bool)())

    def client(self, stranger: bool) -> Any:
        """The client for the provider, or for a *stranger*."""
        if stranger not in self._clients:
            self._clients[stranger] = (async_away if stranger else async_home)(self._timeouts)
        return self._clients[stranger]

    async def aclose(self) -> None:
        """Close them, on their own loop."""
        for client in self._clients.values():
            await client.aclose()
        # Whoever asks one of them again is told so.
        closed = dict(self._clients)
        await self._keeping.aclose()
        self._clients.update(closed)


async def _kept(clients: dict[bool, Any]) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        while clients:
            await clients.popitem()[1].aclose()


def lent(given: Way | None, **how: Any) -> Any:
    if given is None:
        return None
    if (library := of(given)) is not None:
        if isinstance(given, library.http.Client):
            return given
        if isinstance(given, library.http.BaseTransport):
            return library.http.Client(transport=_Lent(given), **how)
    raise ConfigurationError(f"{_WANTED} an httpx.Client or a transport, not {given!r}")


def async_lent(given: AsyncWay | None, **how: Any) -> Any:
    if given is None:
        return None
    if (library := of(given)) is not None:
        if isinstance(given, library.http.AsyncClient):
            return given
        if isinstance(given, library.http.AsyncBaseTransport):
            return library.http.AsyncClient(transport=_AsyncLent(given), **how)
    raise ConfigurationError(f"{_WANTED} an httpx.AsyncClient or a transport, not {given!r}")
