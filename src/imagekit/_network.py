"""Connections under the transport, kept to a call's deadline and away from private hosts."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from typing import Any

import anyio
import httpcore

from ._errors import ProtocolError
from ._scope import Scope, current, shut_down

# A write this large goes out in one piece, so that each piece has its own look at the deadline.
SLICE = 65536
# Beyond it lies what is reserved, local to a site, or a tunnel's word for an address of version 4.
_UNICAST = ipaddress.ip_network("2000::/3")


# The table that Python keeps of special addresses is different from version to version.
_SPECIAL = ipaddress.ip_network("192.0.0.0/24")


def is_public(address: str) -> bool:
    """Whether *address* (an IP address) is one that anybody on the internet may have."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour
        if inner is not None:
            return is_public(str(inner))
        if found not in _UNICAST:
            return False
    if found in _SPECIAL:
        return False
    return found.is_global and not found.is_multicast


def pinned(host: str, found: Iterable[Any]) -> str:
    """The one address to connect to, if all that *host* has are public."""
    addresses = [str(entry[4][0]) for entry in found]
    private = [address for address in addresses if not is_public(address)]
    if private or not addresses:
        where = private[0] if private else "nowhere"
        raise ProtocolError(f"refusing to read from {host!r}, which is {where}")
    return addresses[0]


class _WatchedStream(httpcore.NetworkStream):
    """A blocking stream whose every read and write ends with the call's scope."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read, under the deadline."""
        scope = current.get()
        if scope is None:
            return self._inner.read(max_bytes, timeout)
        with scope.ending(self._end):
            return self._inner.read(max_bytes, _left(scope, timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write, under the deadline."""
        scope = current.get()
        if scope is None:
            return self._inner.write(buffer, timeout)
        with scope.ending(self._end):
            for start in range(0, len(buffer), SLICE):
                left = _left(scope, timeout, httpcore.WriteTimeout)
                self._inner.write(buffer[start : start + SLICE], left)

    def _end(self) -> None:
        shut_down(self._inner.get_extra_info("socket"))

    def close(self) -> None:
        """Close the connection."""
        self._inner.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """Encrypt, under the deadline."""
        scope = current.get()
        left = _left(scope, timeout, httpcore.ConnectTimeout) if scope else timeout
        return _WatchedStream(self._inner.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        """What the connection knows of itself."""
        return self._inner.get_extra_info(info)


def _left(scope: Scope, timeout: float | None, late: type[Exception]) -> float | None:
    shorter = scope.shorter(timeout)
    # A socket takes 0 for "do not block", so the passed deadline has to be said.
    if shorter == 0.0 or scope.cancelled.is_set():
        raise late("the call is over")
    return shorter


class Watched(httpcore.NetworkBackend):
    """Blocking connections that keep to the call's scope; guarded ones reach public hosts only."""

    def __init__(self, inner: httpcore.NetworkBackend, *, guarded: bool = False) -> None:
        self._inner = inner
        self._guarded = guarded

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect, under the deadline."""
        if self._guarded:
            try:
                host = pinned(host, socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
            except OSError as error:
                raise httpcore.ConnectError(str(error)) from error
        scope = current.get()
        if scope is not None:
            timeout = _left(scope, timeout, httpcore.ConnectTimeout)
        inner = self._inner.connect_tcp(host, port, timeout, local_address, socket_options)
        return _WatchedStream(inner)


class AsyncGuarded(httpcore.AsyncNetworkBackend):
    """Async connections that reach public hosts only."""

    def __init__(self, inner: httpcore.AsyncNetworkBackend) -> None:
        self._inner = inner

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect, if the host is public."""
        try:
            host = pinned(host, await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        return await self._inner.connect_tcp(host, port, timeout, local_address, socket_options)
