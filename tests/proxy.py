"""A small proxy on real sockets that breaks the exchanges which go through it, as it is told."""

from __future__ import annotations

import select
import selectors
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, Self

Side = Literal["ask", "answer"]
Rewrite = Callable[[bytes], bytes]
# Seconds for which a proxy holds on to a connection that nobody ends.
PATIENCE = 20.0


@dataclass(frozen=True)
class Fault:
    """What breaks: after *at* bytes of that *side* have gone through.

    "drop" ends the connection, "reset" resets it, "stall" lets nothing through any more, "drip"
    lets one byte through every *gap* seconds; "rewrite" lets the side through, rewritten, once it
    is whole.
    """

    kind: Literal["drop", "reset", "stall", "drip", "rewrite"]
    side: Side = "answer"
    at: int = 0
    gap: float = 0.0
    rewrite: Rewrite = field(default=lambda data: data, repr=False)

    def __str__(self) -> str:
        return f"{self.kind} at {self.at} of the {self.side}"


@dataclass
class Went:
    """One connection: what was let through, from either side."""

    ask: bytearray = field(default_factory=bytearray)
    answer: bytearray = field(default_factory=bytearray)


class Listening:
    """Listens on loopback, and does each connection's work in a thread of its own.

    What is still open when it is left is ended.
    """

    def __init__(self) -> None:
        self._threads: set[threading.Thread] = set()
        self._open: set[socket.socket] = set()
        self._lock = threading.RLock()
        self._over = False
        self.accepted = 0

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        host, port = self._listener.getsockname()
        return host, port

    @property
    def place(self) -> str:
        """The same, as a URL has it."""
        return "{}:{}".format(*self.address)

    @property
    def busy(self) -> bool:
        """Whether a connection is still held; one that waits is taken first."""
        self._take()
        return bool(self._threads)

    def __enter__(self) -> Self:
        self._listener = self.listener()
        self._listener.setblocking(False)
        self._waiting = selectors.DefaultSelector()
        self._waiting.register(self._listener, selectors.EVENT_READ)
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._take()
        self._over = True
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join(5)
        self._waiting.close()
        self._listener.close()
        with self._lock:
            threads, left = list(self._threads), list(self._open)
        for connection in left:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(5)

    def listener(self) -> socket.socket:
        """A socket that listens."""
        return socket.create_server(("127.0.0.1", 0), backlog=128)

    @contextmanager
    def held(self, connection: socket.socket) -> Iterator[socket.socket]:
        """*connection*, beside the one that was taken, while it is open."""
        with self._lock:
            self._open.add(connection)
        try:
            with connection:
                yield connection
        finally:
            with self._lock:
                self._open.discard(connection)

    def taken(self, connection: socket.socket) -> Callable[[], None]:
        """What is to be done with a *connection*, in the order in which they come."""
        raise NotImplementedError

    def _accept(self) -> None:
        while not self._over:
            self._waiting.select(0.2)
            self._take()

    def _take(self) -> None:
        """Take what waits. None is ever between waiting and being held, for who asks meanwhile."""
        with self._lock, suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.settimeout(PATIENCE)
                work = self.taken(connection)
                thread = threading.Thread(target=self._done, args=(work, connection), daemon=True)
                self._threads.add(thread)
                self._open.add(connection)
                self.accepted += 1
                thread.start()

    def _done(self, work: Callable[[], None], connection: socket.socket) -> None:
        try:
            work()
        finally:
            with self._lock:
                self._threads.discard(threading.current_thread())
                self._open.discard(connection)


class Proxy(Listening):
    """Stands before *upstream* (host, port) and breaks the connections that `faults` names.

    `faults` is by the number of a connection since `begin`; the others are let through.
    """

    def __init__(self, upstream: tuple[str, int]) -> None:
        super().__init__()
        self.upstream = upstream
        self.faults: dict[int, Fault] = {}
        self.went: list[Went] = []
        self.connected = 0

    def begin(self, *faults: Fault | None) -> None:
        """Count connections from 0 again; break them as *faults* say, in turn."""
        with self._lock:
            self.faults = {turn: fault for turn, fault in enumerate(faults) if fault is not None}
            self.went = []

    def taken(self, connection: socket.socket) -> Callable[[], None]:
        """Let it through, or break it."""
        with self._lock:
            fault, went = self.faults.get(len(self.went)), Went()
            self.went.append(went)
        return partial(self._hold, connection, fault, went)

    def _hold(self, client: socket.socket, fault: Fault | None, went: Went) -> None:
        with (
            client,
            self.held(self._upwards()) as server,
            suppress(OSError),
        ):
            _Relay(client, server, fault, went).run()

    def _upwards(self) -> socket.socket:
        connection = socket.create_connection(self.upstream, PATIENCE)
        with self._lock:
            self.connected += 1
        return connection


class _Relay:
    """Lets one connection's bytes through until its fault comes."""

    def __init__(
        self, client: socket.socket, server: socket.socket, fault: Fault | None, went: Went
    ) -> None:
        self.client, self.server, self.fault, self.went = client, server, fault, went
        self.held = bytearray()

    def run(self) -> None:
        """Until either side leaves, or it is broken."""
        if (
            self.fault is not None
            and self.fault.kind not in ("rewrite", "drip")
            and not self.fault.at
        ):
            # Nothing of that side goes through; what the other one says is of no use then.
            return self._break(self.fault)
        while True:
            ready, _, _ = select.select([self.client, self.server], [], [], PATIENCE)
            if not ready:
                return
            side: Side = "ask" if self.client in ready else "answer"
            data = (self.client if side == "ask" else self.server).recv(65536)
            if not data:
                return self._leave(side)
            if self.fault is None or self.fault.side != side:
                self._pass(side, data)
            elif self._meets(self.fault, data):
                return

    def _pass(self, side: Side, data: bytes) -> None:
        (self.went.ask if side == "ask" else self.went.answer).extend(data)
        (self.server if side == "ask" else self.client).sendall(data)

    def _leave(self, side: Side) -> None:
        """One side has said all."""
        if self.held and self.fault is not None:
            self._pass(side, self.fault.rewrite(bytes(self.held)))
        if side == "answer":
            self._end()

    def _end(self) -> None:
        """End the connection; what still comes is read, for else it would be reset."""
        self.server.close()
        self.client.shutdown(socket.SHUT_WR)
        while self.client.recv(65536):
            pass

    def _meets(self, fault: Fault, data: bytes) -> bool:
        """Let *data* through as far as *fault* does; whether that was the end."""
        side = fault.side
        if fault.kind == "rewrite":
            self.held += data
            return False
        done = len(self.went.ask if side == "ask" else self.went.answer)
        first, rest = data[: max(0, fault.at - done)], data[max(0, fault.at - done) :]
        if first:
            self._pass(side, first)
        if fault.kind == "drip":
            for value in rest:
                self._pass(side, bytes([value]))
                time.sleep(fault.gap)
            return False
        if done + len(first) < fault.at:
            return False
        self._break(fault)
        return True

    def _break(self, fault: Fault) -> None:
        if fault.kind == "reset":
            reset(self.server)
            reset(self.client)
        elif fault.kind == "drop":
            self._end()
        else:
            # Held until the client gives up, and unread: what it still writes goes nowhere.
            while not _left(self.client):
                time.sleep(0.005)


def reset(connection: socket.socket) -> None:
    """End *connection* with a reset instead of an end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def _left(connection: socket.socket) -> bool:
    """Whether the other side is gone, though nothing is read of what it said."""
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP)
    return bool(poll.poll(0))


# What a rewrite does


def heads(data: bytes) -> tuple[bytes, bytes]:
    """An answer's head, with its end, and its body."""
    head, end, body = data.partition(b"\r\n\r\n")
    return head + end, body


def with_length(change: int) -> Rewrite:
    """The answer says that it is longer, or shorter, than it is."""

    def rewrite(data: bytes) -> bytes:
        head, body = heads(data)
        return (
            head.replace(f"length: {len(body)}".encode(), f"length: {len(body) + change}".encode())
            + body
        )

    return rewrite


def with_header(line: bytes) -> Rewrite:
    """The answer has one more line in its head."""
    return lambda data: data.replace(b"\r\n", b"\r\n" + line + b"\r\n", 1)


def with_head(head: bytes) -> Rewrite:
    """The answer has another head."""
    return lambda data: head + heads(data)[1]


def with_body(body: bytes) -> Rewrite:
    """The answer has another body, and says its right length."""

    def rewrite(data: bytes) -> bytes:
        head, old = heads(data)
        return head.replace(f"length: {len(old)}".encode(), f"length: {len(body)}".encode()) + body

    return rewrite


def with_bytes(at: int, new: bytes) -> Rewrite:
    """Other bytes stand at *at*."""
    return lambda data: data[:at] + new + data[at + len(new) :]


def with_chunk(number: int, size: bytes) -> Rewrite:
    """A chunk of the answer says another size."""

    def rewrite(data: bytes) -> bytes:
        head, body = heads(data)
        pieces = list(chunks(body))
        pieces[number] = (size, pieces[number][1])
        return head + b"".join(old + b"\r\n" + piece + b"\r\n" for old, piece in pieces)

    return rewrite


def chunks(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Each chunk's size, as it is written, and what it holds."""
    while body:
        size, _, body = body.partition(b"\r\n")
        length = int(size, 16)
        yield size, body[:length]
        body = body[length + 2 :]
