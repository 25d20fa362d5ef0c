"""Connections that are kept for the next request; finding one takes as long among a thousand.

The libraries' own pools look at all their connections and requests for each request, twice.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import anyio

from ._library import Library
from ._scope import Scope, current

# As many are open at once, and as many wait for their next request.
MOST = 1000
KEPT = 100


class _Idle:
    """The connections without a request, the one that was used last at the end."""

    def __init__(self) -> None:
        self._kept: list[Any] = []

    def take(self, origin: Any) -> tuple[Any, list[Any]]:
        """One to *origin* or None, and those to be closed."""
        over = self._outlived()
        for at in range(len(self._kept) - 1, -1, -1):
            if self._kept[at].can_handle_request(origin):
                one = self._kept.pop(at)
                if not one.has_expired():
                    return one, over
                over.append(one)
        return None, over

    def put(self, connection: Any) -> list[Any]:
        """Keep *connection*; those to be closed."""
        if not connection.is_idle():
            return [connection]
        self._kept.append(connection)
        return [self._kept.pop(0)] if len(self._kept) > KEPT else []

    def empty(self) -> list[Any]:
        """All of them, of which none is kept."""
        kept, self._kept = self._kept, []
        return kept

    def _outlived(self) -> list[Any]:
        over = []
        while self._kept and self._kept[0].has_expired():
            over.append(self._kept.pop(0))
        return over


class _Source:
    """What makes connections as one of the library's own pools would."""

    def __init__(self, pool: Any, library: Library) -> None:
        self._pool, self._core = pool, library.core
        self.idle = _Idle()

    def origin(self, request: Any) -> Any:
        """Whom to connect to for *request*."""
        scheme = request.url.scheme.decode()
        if scheme not in ("http", "https"):
            said = f"a URL begins with http:// or https://, not with {scheme!r}"
            raise self._core.UnsupportedProtocol(said)
        return request.url.origin

    def made(self, origin: Any) -> Any:
        """A new connection to *origin*, or to a proxy that leads there."""
        return self._pool.create_connection(origin)

    def full(self) -> Exception:
        """The error when no connection came free in time."""
        error: Exception = self._core.PoolTimeout(f"{MOST} connections were busy all the time")
        return error


def _patience(request: Any) -> float | None:
    timeout: float | None = request.extensions.get("timeout", {}).get("pool")
    return timeout


class Pool:
    """Blocking connections, in place of the pool of a transport."""

    def __init__(self, pool: Any, library: Library) -> None:
        self._source = _Source(pool, library)
        self._busy = 0
        self._turn = threading.Condition()

    def handle_request(self, request: Any) -> Any:
        """The answer to *request*; its connection comes back when that is closed."""
        origin = self._source.origin(request)
        connection, over = self._taken(origin, _patience(request))
        try:
            _close(over)
            connection = connection or self._source.made(origin)
            response = connection.handle_request(request)
        except BaseException:
            self._left([] if connection is None else [connection])
            raise
        response.stream = _Kept(response.stream, self, connection)
        return response

    def _taken(self, origin: Any, patience: float | None) -> tuple[Any, list[Any]]:
        scope = current.get() or Scope()
        with self._turn:
            if self._busy >= MOST:
                with scope.ending(self._wake):
                    self._turn.wait_for(
                        lambda: self._busy < MOST or scope.over, scope.shorter(patience)
                    )
                if self._busy >= MOST or scope.over:
                    # It may have been woken in another's place.
                    self._turn.notify()
                    raise self._source.full()
            taken = self._source.idle.take(origin)
            self._busy += 1
            return taken

    def _wake(self) -> None:
        with self._turn:
            self._turn.notify_all()

    def back(self, connection: Any) -> None:
        """Keep *connection* for the next request, if it can have one."""
        with self._turn:
            over = self._source.idle.put(connection)
        self._left(over)

    def _left(self, over: list[Any]) -> None:
        try:
            _close(over)
        finally:
            with self._turn:
                self._busy -= 1
                self._turn.notify()

    def close(self) -> None:
        """Close what waits for a request."""
        with self._turn:
            over = self._source.idle.empty()
        _close(over)


def _close(connections: Iterable[Any]) -> None:
    for connection in connections:
        connection.close()


class _Kept:
    """The body of an answer, which gives its connection back."""

    def __init__(self, inner: Any, pool: Pool, connection: Any) -> None:
        self._inner, self._pool, self._connection = inner, pool, connection
        self._closed = False

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._inner)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            self._inner.close()
        finally:
            self._pool.back(self._connection)


class AsyncPool:
    """Connections of one event loop, in place of the pool of a transport."""

    def __init__(self, pool: Any, library: Library) -> None:
        self._source = _Source(pool, library)
        self._room = anyio.Semaphore(MOST, fast_acquire=True)

    async def handle_async_request(self, request: Any) -> Any:
        """The answer to *request*; its connection comes back when that is closed."""
        origin = self._source.origin(request)
        try:
            self._room.acquire_nowait()
        except anyio.WouldBlock:
            await self._waited(_patience(request))
        connection, over = self._source.idle.take(origin)
        try:
            await _aclose(over)
            connection = connection or self._source.made(origin)
            response = await connection.handle_async_request(request)
        except BaseException:
            await self._left([] if connection is None else [connection])
            raise
        response.stream = _AsyncKept(response.stream, self, connection)
        return response

    async def _waited(self, patience: float | None) -> None:
        try:
            with anyio.fail_after(patience):
                await self._room.acquire()
        except TimeoutError:
            raise self._source.full() from None

    async def back(self, connection: Any) -> None:
        """Keep *connection* for the next request, if it can have one."""
        await self._left(self._source.idle.put(connection))

    async def _left(self, over: list[Any]) -> None:
        try:
            await _aclose(over)
        finally:
            self._room.release()

    async def aclose(self) -> None:
        """Close what waits for a request."""
        await _aclose(self._source.idle.empty())


async def _aclose(connections: list[Any]) -> None:
    if connections:
        with anyio.CancelScope(shield=True):
            for connection in connections:
                await connection.aclose()


class _AsyncKept:
    """The body of an answer, which gives its connection back."""

    def __init__(self, inner: Any, pool: AsyncPool, connection: Any) -> None:
        self._inner, self._pool, self._connection = inner, pool, connection
        self._closed = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        found: AsyncIterator[bytes] = self._inner.__aiter__()
        return found

    async def aclose(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            with anyio.CancelScope(shield=True):
                await self._inner.aclose()
        finally:
            await self._pool.back(self._connection)
