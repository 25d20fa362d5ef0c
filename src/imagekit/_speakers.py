"""The HTTP clients that are spoken through: ours for the provider, ours for strangers, the lent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any

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


def home(timeouts: Timeouts) -> Any:
    """A client of ours for the provider: its connections are watched."""
    from ._tls import tls

    library = chosen()
    with _made():
        client = library.http.Client(
            timeout=timeouts.each, cookies=no_cookies(), verify=tls(library)
        )
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
    with _made():
        client = library.http.AsyncClient(
            timeout=timeouts.each, cookies=no_cookies(), verify=tls(library)
        )
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
