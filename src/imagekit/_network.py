"""Connections under the transport, kept to a call's deadline and away from private hosts."""

from __future__ import annotations

import ipaddress
import queue
import socket
import threading
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from typing import Any

import anyio
from anyio.abc import TaskGroup

from ._errors import ProtocolError
from ._library import Library
from ._scope import Scope, connecting, current, shut_down

# A write this large goes out in one piece, so that each piece has its own look at the deadline: no
# more than a socket that can be written to takes at once, for each further try has all the time.
SLICE = 16384
# A read asks for so much at once, for each costs as much as the next: a library asks for a quarter.
AT_ONCE = 2**18
# What is kept of an answer that comes during a write, and how long its end is waited for.
EARLY = 65536
LAST = 0.5
# Beyond it lies what is reserved, local to a site, or a tunnel's word for an address of version 4.
_UNICAST = ipaddress.ip_network("2000::/3")


# The table that Python keeps of special addresses is different from version to version.
_SPECIAL = [ipaddress.ip_network(one) for one in ("192.0.0.0/24", "192.88.99.0/24", "3fff::/20")]


def is_public(address: str) -> bool:
    """Whether *address* (an IP address) is one that anybody on the internet may have."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour
        if inner is not None:
            return is_public(str(inner))
        if found not in _UNICAST:
            return False
    if any(found in special for special in _SPECIAL):
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


class _Small:
    """What is written in small pieces, as a library does: a request's head, and then its body.

    They wait for each other, for it is the writes that take long, not their bytes. An empty piece
    ends them: that is how a library ends a message of a known length.
    """

    def __init__(self) -> None:
        self._held = b""

    def with_it(self, buffer: bytes) -> tuple[bytes, ...]:
        """What is to be written now that *buffer* has come."""
        if buffer and len(self._held) + len(buffer) <= SLICE:
            self._held += buffer
            return ()
        return tuple(filter(None, (self.all(), buffer)))

    def all(self) -> bytes:
        """What still waits, which somebody is about to read the answer to."""
        held, self._held = self._held, b""
        return held


class _WatchedStream:
    """A blocking stream whose every read and write ends with the call's scope."""

    def __init__(self, inner: Any, core: Any) -> None:
        self._inner, self._core = inner, core
        self._small = _Small()

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read, under the deadline; it may be more than asked for."""
        if held := self._small.all():
            self._write(held, timeout)
        scope, size = current.get(), max(max_bytes, AT_ONCE)
        if scope is None:
            return bytes(self._inner.read(size, timeout))
        with scope.ending(self._end):
            left = _left(scope, timeout, self._core.ReadTimeout)
            return bytes(self._inner.read(size, left))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write, under the deadline; what is small goes with what follows it."""
        for piece in self._small.with_it(buffer):
            self._write(piece, timeout)

    def _write(self, buffer: bytes, timeout: float | None) -> None:
        scope = current.get()
        if scope is None:
            self._inner.write(buffer, timeout)
            return
        with scope.ending(self._end):
            # Without a deadline each try has all the time anyway.
            size = len(buffer) if scope.left() is None else SLICE
            # What a socket does not take at once is cut off: of bytes, that would be a copy.
            whole = memoryview(buffer)
            for start in range(0, len(buffer), size):
                left = _left(scope, timeout, self._core.WriteTimeout)
                self._inner.write(whole[start : start + size], left)

    def _end(self) -> None:
        shut_down(self._inner.get_extra_info("socket"))

    def close(self) -> None:
        """Close the connection."""
        self._inner.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> _WatchedStream:
        """Encrypt, under the deadline."""
        scope = current.get()
        left = _left(scope, timeout, self._core.ConnectTimeout) if scope else timeout
        return _WatchedStream(self._inner.start_tls(ssl_context, server_hostname, left), self._core)

    def get_extra_info(self, info: str) -> Any:
        """What the connection knows of itself."""
        return self._inner.get_extra_info(info)


def _left(scope: Scope, timeout: float | None, late: type[Exception]) -> float | None:
    shorter = scope.shorter(timeout)
    # A socket takes 0 for "do not block", so the passed deadline has to be said.
    if shorter == 0.0 or scope.cancelled:
        raise late("the call is over")
    return shorter


class Watched:
    """Blocking connections that keep to the call's scope; guarded ones reach public hosts only."""

    def __init__(self, inner: Any, library: Library, *, guarded: bool = False) -> None:
        self._inner, self._core = inner, library.core
        self._guarded = guarded

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> _WatchedStream:
        """Connect, under the deadline."""
        core, scope = self._core, current.get() or Scope()
        found = _looked_up(host, port, timeout, scope, core)
        hosts = [pinned(host, found)] if self._guarded else [str(entry[4][0]) for entry in found]
        for last, address in enumerate(hosts, start=1 - len(hosts)):
            left = _left(scope, timeout, core.ConnectTimeout)
            try:
                inner = self._inner.connect_tcp(address, port, left, local_address, socket_options)
            except (core.ConnectError, core.ConnectTimeout):
                if not last:
                    raise
            else:
                return _WatchedStream(inner, core)
        raise core.ConnectError(f"{host!r} is nowhere")


def _looked_up(host: str, port: int, timeout: float | None, scope: Scope, core: Any) -> list[Any]:
    """Where *host* is. Nobody can interrupt a look-up, so it is waited for no longer than that."""
    found: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def look() -> None:
        try:
            found.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            found.put(error)

    late = core.ConnectTimeout(f"{host!r} was not looked up in time")
    if _is_address(host):
        look()
    else:
        threading.Thread(target=look, daemon=True, name="imagekit").start()
    with scope.ending(lambda: found.put(late)):
        try:
            said = found.get(timeout=_left(scope, timeout, core.ConnectTimeout))
        except queue.Empty:
            raise late from None
    if isinstance(said, OSError | UnicodeError):
        raise core.ConnectError(str(said)) from said
    if isinstance(said, Exception):
        raise said
    return list(said)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


class _Listener:
    """A task that adds what comes to *heard*, until it is stopped or that is enough."""

    def __init__(self, inner: Any, heard: bytearray) -> None:
        self._inner, self._heard = inner, heard
        self._scope, self._over = anyio.CancelScope(), anyio.Event()

    async def listen(self) -> None:
        """Listen."""
        try:
            # What goes wrong here goes wrong again when the answer is read.
            with self._scope, suppress(Exception):
                while len(self._heard) < EARLY and (piece := await self._inner.read(EARLY)):
                    self._heard += piece
        finally:
            self._over.set()

    async def stop(self, patience: float = 0.0) -> None:
        """Wait until it has ended, which it does in *patience* seconds."""
        self._scope.deadline = anyio.current_time() + patience
        await self._over.wait()


_listeners: ContextVar[TaskGroup | None] = ContextVar("imagekit_listeners", default=None)


@asynccontextmanager
async def listeners() -> AsyncIterator[None]:
    """Within it a connection may listen while it writes: one request, with one task for it all."""
    failed: Exception | None = None
    async with anyio.create_task_group() as group:
        token = _listeners.set(group)
        try:
            yield
        except Exception as error:
            # Past the group, which would wrap it.
            failed = error
        finally:
            _listeners.reset(token)
            group.cancel_scope.cancel()
    if failed is not None:
        raise failed


class _ListeningStream:
    """An async stream that listens while it writes.

    Who turns a large body away may answer and reset before it has read all. What has not been read
    by then is lost: asyncio drops it as soon as a write fails, and so does TLS on every loop.
    """

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._small = _Small()
        self._heard = bytearray()
        self._listener: _Listener | None = None

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read; what came during a write first. Else it may be more than asked for."""
        if held := self._small.all():
            await self._write(held, timeout)
        if self._listener is not None:
            await self._listener.stop()
            self._listener = None
        if not self._heard:
            return bytes(await self._inner.read(max(max_bytes, AT_ONCE), timeout))
        piece = bytes(self._heard[:max_bytes])
        del self._heard[:max_bytes]
        return piece

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write; what is small goes with what follows it.

        From a large write on, what comes before the next read is taken meanwhile.
        """
        for piece in self._small.with_it(buffer):
            await self._write(piece, timeout)

    async def _write(self, buffer: bytes, timeout: float | None) -> None:
        connecting(False)
        group = _listeners.get()
        if self._listener is None and group is not None and len(buffer) > SLICE:
            self._listener = _Listener(self._inner, self._heard)
            group.start_soon(self._listener.listen)
        try:
            await self._inner.write(buffer, timeout)
        except Exception:
            # The last of the answer may be a moment behind.
            if self._listener is not None:
                await self._listener.stop(LAST)
            raise

    @property
    def overheard(self) -> bool:
        """Whether something came during a write that nobody has read."""
        return bool(self._heard)

    async def aclose(self) -> None:
        """Close the connection."""
        await self._inner.aclose()

    async def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> _ListeningStream:
        """Encrypt; who gives up on it meanwhile leaves no connection open."""
        connecting(True)
        try:
            inner = await self._inner.start_tls(ssl_context, server_hostname, timeout)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._inner.aclose()
            raise
        return _ListeningStream(inner)

    def get_extra_info(self, info: str) -> Any:
        """What the connection knows of itself."""
        return self._inner.get_extra_info(info)


class Listening:
    """Async connections that listen while they write."""

    def __init__(self, inner: Any, library: Library) -> None:
        self._inner, self._core = inner, library.core

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> _ListeningStream:
        """Connect."""
        connecting(True)
        inner = await self._inner.connect_tcp(host, port, timeout, local_address, socket_options)
        return _ListeningStream(inner)


class AsyncGuarded(Listening):
    """Async connections that reach public hosts only."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> _ListeningStream:
        """Connect, if the host is public."""
        try:
            host = pinned(host, await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except OSError as error:
            raise self._core.ConnectError(str(error)) from error
        return await super().connect_tcp(host, port, timeout, local_address, socket_options)
