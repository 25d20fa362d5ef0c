"""How long one blocking call may go on, and how it is ended from outside."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from queue import Empty, SimpleQueue

from ._errors import Billed, DeadlineExceededError, TransportError


class Scope:
    """A deadline, and what must be ended when nobody waits any more.

    A blocking read cannot be interrupted from another thread, but its socket can be shut down
    under it; so whatever blocks is registered here while it does.

    Ctrl-C amid the Python code of an `Event`, a `Condition` or a `Queue` leaves its lock taken, and
    other threads at it for ever; here are locks and queues of C, where it cannot strike.
    """

    def __init__(self, seconds: float | None = None, parent: Scope | None = None) -> None:
        self._until = None if seconds is None else time.monotonic() + seconds
        if parent is not None:
            self._until = parent._until
        self._lock = threading.Lock()
        self._enders: list[Callable[[], object]] = []
        self.cancelled = False

    def left(self) -> float | None:
        """Seconds until the deadline (0 when it has passed), or None when there is none."""
        return None if self._until is None else max(0.0, self._until - time.monotonic())

    def check(self, billed: Billed | None = "no") -> None:
        """Raise when the call is over."""
        if self.cancelled:
            raise TransportError("the call was cancelled", billed=billed)
        if self.left() == 0.0:
            raise DeadlineExceededError("the deadline for the call passed", billed=billed)

    @property
    def over(self) -> bool:
        """Whether the call is to end."""
        return self.cancelled or self.left() == 0.0

    def shorter(self, timeout: float | None) -> float | None:
        """*timeout*, or the time left when that is less."""
        left = self.left()
        if left is None or timeout is None:
            return left if timeout is None else timeout
        return min(left, timeout)

    @contextmanager
    def ending(self, end: Callable[[], object]) -> Iterator[None]:
        """Have *end* called if the call is cancelled meanwhile."""
        with self._lock:
            self._enders.append(end)
        try:
            yield
        finally:
            with self._lock:
                self._enders.remove(end)

    def cancel(self) -> None:
        """End whatever still blocks."""
        self.cancelled = True
        with self._lock:
            enders = list(self._enders)
        for end in enders:
            quietly(end)()

    def sleep(self, seconds: float) -> None:
        """Wait; raises at once where the deadline would pass meanwhile, or it is cancelled."""
        woken: SimpleQueue[None] = SimpleQueue()
        with self.ending(partial(woken.put, None)), contextlib.suppress(Empty):
            self.check()
            left = self.left()
            if left is not None and left < seconds:
                raise too_long(seconds)
            woken.get(timeout=max(0.0, seconds))
        if self.cancelled:
            self.check()


def too_long(seconds: float) -> DeadlineExceededError:
    """The error for a wait that the deadline does not leave time for."""
    said = f"the deadline for the call passes within a wait of {seconds:g} seconds"
    return DeadlineExceededError(said, billed="no")


def quietly(end: Callable[[], object]) -> Callable[[], None]:
    """*end*, whose own trouble is nobody's any more."""

    def ended() -> None:
        with contextlib.suppress(Exception):
            end()

    return ended


def shut_down(connection: socket.socket) -> None:
    """Make whoever blocks on *connection* return at once."""
    with contextlib.suppress(OSError):
        # Not the TLS wrapper's own shutdown, which would pull its state from under the reader.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


class Reach:
    """How far an attempt has come, as far as its connection tells."""

    def __init__(self) -> None:
        self.connecting = False

    async def heard(self, event: str, info: object) -> None:
        """Hear of what a connection does next, in httpcore's words."""
        if event.endswith(("connect_tcp.started", "start_tls.started")):
            self.connecting = True
        elif event.endswith("send_request_headers.started"):
            self.connecting = False


def connecting(yet: bool) -> None:
    """Tell the attempt that its connection is being made, or that a request is written to it."""
    if (far := reach.get()) is not None:
        far.connecting = yet


current: ContextVar[Scope | None] = ContextVar("imagekit_scope", default=None)
reach: ContextVar[Reach | None] = ContextVar("imagekit_reach", default=None)
