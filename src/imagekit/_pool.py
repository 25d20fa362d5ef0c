"""Connections that are kept for the next request; finding one takes as long among a thousand.

The libraries' own pools look at all their connections and requests for each request, twice.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any
from weakref import ref

import anyio

from ._library import Library
from ._scope import Scope, current

# As many are open at once, and as many wait for their next request.
MOST = 1000
KEPT = 100
# Seconds until whoever waits for one looks again, told or not.
AGAIN = 1.0


class _Idle:
    """The connections without a request, the one that was used last at the end."""

    def __init__(self) -> None:
        self._kept: list[Any] = []
        self._over = False

    def take(self, origin: Any) -> tuple[Any, list[Any]]:
        """One to *origin* or None, and those to be closed."""
        over: list[Any] = []
        for at in range(len(self._kept) - 1, -1, -1):
            if self._kept[at].can_handle_request(origin):
                one = self._kept.pop(at)
                if not one.has_expired():
                    return one, self._outlived() + over
                over.append(one)
        return None, self._outlived() + over

    def put(self, connection: Any) -> list[Any]:
        """Keep *connection*; those to be closed."""
        if self._over or not connection.is_idle() or _overheard(connection):
            return [connection]
        self._kept.append(connection)
        return [self._kept.pop(0)] if len(self._kept) > KEPT else []

    def empty(self) -> list[Any]:
        """All of them, of which none is kept, and from now on no other."""
        kept, self._kept, self._over = self._kept, [], True
        return kept

    def _outlived(self) -> list[Any]:
        over = []
        while self._kept and self._kept[0].has_expired():
            over.append(self._kept.pop(0))
        return over


def _overheard(connection: Any) -> bool:
    """Whether more came than its answer: the next request would be answered by that."""
    inner: Any = connection
    while (further := getattr(inner, "_connection", None)) is not None:
        inner = further
    stream, read = getattr(inner, "_network_stream", None), getattr(inner, "_h11_state", None)
    if getattr(stream, "overheard", False):
        return True
    return read is not None and bool(read.trailing_data[0])


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


class _Place:
    """A place among the busy, and the connection that has it."""

    connection: Any = None


class Pool:
    """Blocking connections, in place of the pool of a transport."""

    def __init__(self, pool: Any, library: Library) -> None:
        self._source = _Source(pool, library)
        # Who is interrupted may leave no word: a place that nobody has any more is free.
        self._busy: set[ref[_Place]] = set()
        # What Python clears away amid it may give a connection back.
        self._lock = threading.RLock()
        self._waiting: deque[SimpleQueue[None]] = deque()

    def handle_request(self, request: Any) -> Any:
        """The answer to *request*; its connection comes back when that is closed."""
        origin, place = self._source.origin(request), _Place()
        try:
            over = self._taken(place, origin)
            if over is None:
                over = self._waited(place, origin, _patience(request))
            _close(over)
            if place.connection is None:
                place.connection = self._source.made(origin)
            response = place.connection.handle_request(request)
        except BaseException:
            self._left(place, [] if place.connection is None else [place.connection])
            raise
        response.stream = _Kept(response.stream, self, place)
        return response

    def _taken(self, place: _Place, origin: Any) -> list[Any] | None:
        """Take *place*, and those to be closed; None where all are busy."""
        with self._lock:
            if len(self._busy) >= MOST:
                return None
            self._busy.add(ref(place, self._busy.discard))
            place.connection, over = self._source.idle.take(origin)
            return over

    def _waited(self, place: _Place, origin: Any, patience: float | None) -> list[Any]:
        """Take *place* when there is one, and those to be closed."""
        scope, woken = current.get() or Scope(), SimpleQueue[None]()
        until = float("inf") if patience is None else time.monotonic() + patience
        try:
            self._waiting.append(woken)
            with scope.ending(partial(woken.put, None)):
                while (left := until - time.monotonic()) > 0 and not scope.over:
                    if (over := self._taken(place, origin)) is not None:
                        return over
                    with suppress(Empty):
                        woken.get(timeout=scope.shorter(min(left, AGAIN)))
        finally:
            with suppress(ValueError):  # interrupted before it stood there
                self._waiting.remove(woken)
            # It may have been woken in another's place.
            self._wake()
        raise self._source.full()

    def _wake(self) -> None:
        with suppress(IndexError):
            self._waiting[0].put(None)

    def back(self, place: _Place) -> None:
        """Keep the connection at *place* for the next request, if it can have one."""
        with self._lock:
            over = self._source.idle.put(place.connection)
        self._left(place, over)

    def _left(self, place: _Place, over: list[Any]) -> None:
        try:
            _close(over)
        finally:
            self._busy.discard(ref(place))
            if self._waiting:
                self._wake()

    def close(self) -> None:
        """Close what waits for a request."""
        with self._lock:
            over = self._source.idle.empty()
        _close(over)


def _close(connections: Iterable[Any]) -> None:
    for connection in connections:
        connection.close()


class _Kept:
    """The body of an answer, which gives its connection back."""

    def __init__(self, inner: Any, pool: Pool, place: _Place) -> None:
        self._inner, self._pool, self._place = inner, pool, place
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
            self._pool.back(self._place)


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
