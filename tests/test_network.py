from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from imagekit import DeadlineExceededError, ProtocolError, RetryPolicy, TransportError
from imagekit._http import HttpRequest
from imagekit._network import (
    AT_ONCE,
    EARLY,
    SLICE,
    AsyncGuarded,
    Listening,
    Watched,
    is_public,
    listeners,
    pinned,
)
from imagekit._retried import retried
from imagekit._scope import Scope, current
from imagekit._transport import AsyncTransport, SyncTransport
from imagekit.provider import Effects, send
from spoken import LIBRARY, httpcore
from toys import Driver


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "93.184.216.34",
        "172.32.0.1",
        "192.169.0.1",
        "100.128.0.1",
        "2606:2800:220:1::1",
        "::ffff:8.8.8.8",
        "2002:808:808::1",
    ],
)
def test_an_address_that_anybody_may_have_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "100.127.255.255",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fd00:ec2::254",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
        "2001:db8::1",
        "2001:0:7f00:1::",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "64:ff9b::7f00:1",
        "64:ff9b::808:808",
        "64:ff9b:1::1",
        "192.88.99.1",
        "3fff::1",
    ],
)
def test_an_address_of_ones_own_is_not_public(address: str) -> None:
    assert not is_public(address)


def entry(address: str) -> Any:
    return (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443))


def test_a_host_is_pinned_to_its_first_address() -> None:
    assert pinned("cdn.test", [entry("8.8.8.8"), entry("8.8.4.4")]) == "8.8.8.8"


def test_one_private_address_spoils_a_host() -> None:
    with pytest.raises(ProtocolError, match=r"'cdn.test', which is 10\.0\.0\.1"):
        pinned("cdn.test", [entry("8.8.8.8"), entry("10.0.0.1")])


def test_a_host_without_addresses_is_nowhere() -> None:
    with pytest.raises(ProtocolError, match="nowhere"):
        pinned("cdn.test", [])


class Wire(httpcore.MockStream):
    """A stranger's connection, that says what it is told and keeps what it is sent."""

    def __init__(self, backend: Backend, host: str, said: list[bytes]) -> None:
        super().__init__(said)
        self.backend, self.host = backend, host

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.backend.sent.append(buffer)


class Backend(httpcore.MockBackend):
    """The internet: each connection answers with the next of what it is told."""

    def __init__(self, *answers: bytes) -> None:
        super().__init__([])
        self.answers = list(answers)
        self.hosts: list[str] = []
        self.sent: list[bytes] = []

    def connect_tcp(self, host: str, *_: Any, **__: Any) -> Wire:
        self.hosts.append(host)
        return Wire(self, host, [self.answers.pop(0)])


class AsyncWire(httpcore.AsyncMockStream):
    def __init__(self, backend: AsyncBackend, said: list[bytes]) -> None:
        super().__init__(said)
        self.backend = backend

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.backend.sent.append(buffer)


class AsyncBackend(httpcore.AsyncMockBackend):
    def __init__(self, *answers: bytes) -> None:
        super().__init__([])
        self.answers = list(answers)
        self.hosts: list[str] = []
        self.sent: list[bytes] = []

    async def connect_tcp(self, host: str, *_: Any, **__: Any) -> AsyncWire:
        self.hosts.append(host)
        return AsyncWire(self, [self.answers.pop(0)])


PLAIN = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nset-cookie: id=1\r\nconnection: close\r\n\r\nok"


def moved(url: str) -> bytes:
    head = (
        f"HTTP/1.1 302 Found\r\nlocation: {url}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    )
    return head.encode()


def beneath(client: Any) -> Any:
    """What makes the connections of a client of ours for strangers."""
    return client._transport.inner._pool._source._pool._network_backend


class Strangers:
    """Reads strangers' URLs over a pretended internet, on one of the drivers."""

    def __init__(self, colour: str) -> None:
        self.colour = colour

    def read(self, answers: list[bytes], *urls: str) -> tuple[Any, list[str], bytes]:
        if self.colour == "sync":
            backend = Backend(*answers)
            transport = SyncTransport()
            client = transport._client(HttpRequest("GET", "/", stranger=True))
            beneath(client)._inner = backend
            try:
                found = [transport.send(HttpRequest("GET", url, stranger=True)) for url in urls]
            except TransportError as error:
                return error, backend.hosts, b"".join(backend.sent)
            except ProtocolError as error:
                return error, backend.hosts, b"".join(backend.sent)
            finally:
                transport.close()
            return found, backend.hosts, b"".join(backend.sent)

        async def main() -> tuple[Any, list[str], bytes]:
            backend = AsyncBackend(*answers)
            transport = AsyncTransport()
            client = transport._client(HttpRequest("GET", "/", stranger=True))
            beneath(client)._inner = backend
            found: Any = []
            try:
                for url in urls:
                    found.append(await transport.send(HttpRequest("GET", url, stranger=True)))
            except (TransportError, ProtocolError) as error:
                found = error
            finally:
                await transport.aclose()
            return found, backend.hosts, b"".join(backend.sent)

        return anyio.run(main, backend=self.colour)


@pytest.fixture(params=["sync", "asyncio", "trio"])
def strangers(request: pytest.FixtureRequest) -> Strangers:
    return Strangers(request.param)


def test_a_strangers_picture_is_read(strangers: Strangers) -> None:
    (answer,), hosts, _ = strangers.read([PLAIN], "https://93.184.216.34/1.png")
    assert answer.body == b"ok"
    assert hosts == ["93.184.216.34"]


def test_a_strangers_redirect_is_followed(strangers: Strangers) -> None:
    answers = [moved("https://8.8.8.8/2.png"), PLAIN]
    (answer,), hosts, _ = strangers.read(answers, "https://93.184.216.34/1.png")
    assert answer.body == b"ok"
    assert hosts == ["93.184.216.34", "8.8.8.8"]


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://93.184.216.34/1.png", "must be https"),
        ("https://127.0.0.1/1.png", "which is 127"),
        ("https://169.254.169.254/latest/meta-data", "which is 169"),
        ("https://[::1]/1.png", "which is ::1"),
        ("https://2130706433/1.png", "which is 127"),
        ("https://localhost/1.png", "which is"),
    ],
)
def test_a_stranger_that_is_not_public_is_refused(strangers: Strangers, url: str, why: str) -> None:
    error, hosts, _ = strangers.read([], url)
    assert isinstance(error, ProtocolError)
    assert why in str(error)
    assert hosts == []


@pytest.mark.parametrize(
    "url", ["http://8.8.8.8/", "https://10.0.0.1/", "https://169.254.169.254/", "https://[::1]/"]
)
def test_a_redirect_to_what_is_not_public_is_refused(strangers: Strangers, url: str) -> None:
    error, hosts, _ = strangers.read([moved(url)], "https://93.184.216.34/1.png")
    assert isinstance(error, ProtocolError)
    assert hosts == ["93.184.216.34"]


def test_redirects_come_to_an_end(strangers: Strangers) -> None:
    answers = [moved("https://8.8.8.8/")] * 9
    error, hosts, _ = strangers.read(answers, "https://93.184.216.34/")
    assert isinstance(error, TransportError)
    assert len(hosts) == 6


def test_no_cookie_outlives_its_call(strangers: Strangers) -> None:
    urls = ["https://93.184.216.34/1", "https://93.184.216.34/2"]
    _, _, sent = strangers.read([PLAIN, PLAIN], *urls)
    assert sent.count(b"GET /") == 2
    assert b"cookie" not in sent.lower()


def test_a_stranger_is_told_nothing_of_the_caller(strangers: Strangers) -> None:
    _, _, sent = strangers.read([PLAIN], "https://93.184.216.34/1")
    names = {line.partition(b":")[0].lower() for line in sent.split(b"\r\n")[1:] if line}
    assert names == {b"host", b"accept", b"accept-encoding", b"connection", b"user-agent"}


def test_an_ambient_proxy_is_no_way_to_a_stranger(
    strangers: Strangers, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    _, hosts, _ = strangers.read([PLAIN], "https://93.184.216.34/1")
    assert hosts == ["93.184.216.34"]


def unknown(*_: Any, **__: Any) -> Any:
    raise socket.gaierror("no such host")


def test_a_host_nobody_knows_is_no_connection() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", unknown)
        with pytest.raises(httpcore.ConnectError, match="no such host"):
            Watched(Backend(), LIBRARY, guarded=True).connect_tcp("nowhere.test", 443)


@pytest.mark.anyio
async def test_a_host_nobody_knows_is_no_connection_in_async() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", unknown)
        with pytest.raises(httpcore.ConnectError, match="no such host"):
            await AsyncGuarded(AsyncBackend(), LIBRARY).connect_tcp("nowhere.test", 443)


# Under the deadline


class Slow(httpcore.NetworkStream):
    """Keeps the timeouts it is given."""

    def __init__(self) -> None:
        self.timeouts: list[float | None] = []
        self.written: list[int] = []
        self.closed = False
        self.size = 0
        self.ours, self.theirs = socket.socketpair()

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self.size = max_bytes
        self.timeouts.append(timeout)
        return b"read"

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.timeouts.append(timeout)
        self.written.append(len(buffer))

    def close(self) -> None:
        self.closed = True
        self.ours.close()
        self.theirs.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> Slow:
        self.timeouts.append(timeout)
        return self

    def get_extra_info(self, info: str) -> Any:
        return self.ours if info == "socket" else None


class SlowBackend(httpcore.NetworkBackend):
    def __init__(self) -> None:
        self.stream = Slow()

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, *_: Any, **__: Any
    ) -> Slow:
        self.stream.timeouts.append(timeout)
        return self.stream


@pytest.fixture
def slow() -> Iterator[SlowBackend]:
    backend = SlowBackend()
    yield backend
    backend.stream.close()


def talk(backend: SlowBackend, scope: Scope | None, timeout: float | None) -> list[float | None]:
    token = current.set(scope)
    try:
        stream = Watched(backend, LIBRARY).connect_tcp("127.0.0.1", 443, timeout)
        stream = stream.start_tls(None, None, timeout)  # type: ignore[arg-type]
        stream.write(b"hello", timeout)
        assert stream.read(10, timeout) == b"read"
    finally:
        current.reset(token)
    return backend.stream.timeouts


def test_without_a_call_the_timeouts_are_as_given(slow: SlowBackend) -> None:
    assert talk(slow, None, 5.0) == [5.0] * 4


def test_without_a_deadline_the_timeouts_are_as_given(slow: SlowBackend) -> None:
    assert talk(slow, Scope(), 5.0) == [5.0] * 4


def test_connecting_encrypting_writing_and_reading_get_the_time_left(slow: SlowBackend) -> None:
    timeouts = talk(slow, Scope(60), 600.0)
    assert len(timeouts) == 4
    assert all(timeout is not None and 20 < timeout <= 60 for timeout in timeouts)


def test_a_long_write_looks_at_the_deadline_in_between(slow: SlowBackend) -> None:
    token = current.set(Scope(60))
    try:
        Watched(slow, LIBRARY).connect_tcp("127.0.0.1", 443).write(b"x" * (2 * SLICE + 1))
    finally:
        current.reset(token)
    assert slow.stream.written == [SLICE, SLICE, 1]


@pytest.mark.parametrize("late", [Scope(0), "cancelled"])
def test_nothing_is_done_when_the_call_is_over(slow: SlowBackend, late: Any) -> None:
    stream = Watched(slow, LIBRARY).connect_tcp("127.0.0.1", 443)
    scope = Scope() if late == "cancelled" else late
    if late == "cancelled":
        scope.cancel()
    token = current.set(scope)
    try:
        with pytest.raises(httpcore.ConnectTimeout):
            Watched(slow, LIBRARY).connect_tcp("127.0.0.1", 443)
        with pytest.raises(httpcore.ConnectTimeout):
            stream.start_tls(None)  # type: ignore[arg-type]
        with pytest.raises(httpcore.ReadTimeout):
            stream.read(1)
        with pytest.raises(httpcore.WriteTimeout):
            stream.write(b"x" * (SLICE + 1))
        stream.write(b"x")
        with pytest.raises(httpcore.WriteTimeout):
            stream.write(b"")
    finally:
        current.reset(token)
    assert slow.stream.written == []


def test_what_is_small_is_written_with_what_follows_it(slow: SlowBackend) -> None:
    stream = Watched(slow, LIBRARY).connect_tcp("127.0.0.1", 443)
    for size in (1, 2, 0, 0, 3):
        stream.write(b"x" * size)
    assert slow.stream.written == [3]
    stream.read(1)
    stream.write(b"x" * 4)
    stream.write(b"x" * SLICE)
    assert slow.stream.written == [3, 3, 4, SLICE]


def test_closing_closes_the_connection(slow: SlowBackend) -> None:
    stream = Watched(slow, LIBRARY).connect_tcp("127.0.0.1", 443)
    stream.close()
    assert slow.stream.closed


def test_what_the_connection_knows_is_handed_on(slow: SlowBackend) -> None:
    stream = Watched(slow, LIBRARY).connect_tcp("127.0.0.1", 443)
    assert stream.get_extra_info("socket") is slow.stream.ours


def test_a_deadline_in_the_middle_of_a_send_is_one() -> None:
    token = current.set(Scope(0))
    transport = SyncTransport()
    try:
        with pytest.raises(DeadlineExceededError) as found:
            transport.send(HttpRequest("POST", "http://127.0.0.1:9/"))
    finally:
        current.reset(token)
        transport.close()
    assert found.value.billed == "no"


# Names, and the addresses behind them


class Places(httpcore.MockBackend):
    """Somebody answers at the addresses that are *open* only."""

    def __init__(self, *open: str) -> None:
        super().__init__([])
        self.open, self.tried = open, []

    def connect_tcp(self, host: str, *_: Any, **__: Any) -> httpcore.NetworkStream:
        self.tried.append(host)
        if host not in self.open:
            raise httpcore.ConnectTimeout(f"{host} is silent")
        return httpcore.MockStream([])


def found(*addresses: str) -> Any:
    return lambda *_, **__: [entry(address) for address in addresses]


def test_each_address_of_a_name_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", found("192.0.2.1", "192.0.2.2", "192.0.2.3"))
    places = Places("192.0.2.2")
    Watched(places, LIBRARY).connect_tcp("two.test", 443)
    assert places.tried == ["192.0.2.1", "192.0.2.2"]
    nobody = Places()
    with pytest.raises(httpcore.ConnectTimeout, match=r"192\.0\.2\.3 is silent"):
        Watched(nobody, LIBRARY).connect_tcp("two.test", 443)
    assert len(nobody.tried) == 3


def test_the_deadline_holds_over_all_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", found("192.0.2.1", "192.0.2.2"))
    scope = Scope(60)

    class Late(Places):
        def connect_tcp(self, host: str, *_: Any, **__: Any) -> httpcore.NetworkStream:
            scope.cancel()
            return super().connect_tcp(host)

    late = Late()
    token = current.set(scope)
    try:
        with pytest.raises(httpcore.ConnectTimeout, match="the call is over"):
            Watched(late, LIBRARY).connect_tcp("two.test", 443)
    finally:
        current.reset(token)
    assert late.tried == ["192.0.2.1"]


@pytest.mark.parametrize(
    "trouble", [OSError("no such name"), UnicodeError("label too long")], ids=repr
)
def test_a_name_that_is_none_is_no_connection(
    monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise trouble

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(httpcore.ConnectError, match=str(trouble)):
        Watched(Places(), LIBRARY).connect_tcp("no.test", 443)


def test_a_name_without_an_address_is_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", found())
    with pytest.raises(httpcore.ConnectError, match="nowhere"):
        Watched(Places(), LIBRARY).connect_tcp("no.test", 443)


ADDRESS = socket.AI_NUMERICHOST


@pytest.fixture
def slowly(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Names are looked up for ever, or until this is set."""
    over = threading.Event()
    looked = socket.getaddrinfo

    def look(host: Any, *rest: Any, **how: Any) -> Any:
        # trio asks first whether it is an address, which takes no time.
        if host in ("slow.test", b"slow.test") and not (rest[-1:] or (0,))[0] & ADDRESS:
            over.wait(20)
            raise OSError("no such name")
        return looked(host, *rest, **how)

    monkeypatch.setattr(socket, "getaddrinfo", look)
    yield over
    over.set()


def test_a_look_up_takes_no_longer_than_a_connection_may(slowly: threading.Event) -> None:
    with pytest.raises(httpcore.ConnectTimeout, match="was not looked up in time"):
        Watched(Places(), LIBRARY).connect_tcp("slow.test", 443, 0.05)


def test_a_look_up_ends_when_the_call_is_cancelled(slowly: threading.Event) -> None:
    scope = Scope()
    threading.Timer(0.05, scope.cancel).start()
    token = current.set(scope)
    try:
        with pytest.raises(httpcore.ConnectTimeout):
            Watched(Places(), LIBRARY).connect_tcp("slow.test", 443, 600)
    finally:
        current.reset(token)


def test_a_deadline_holds_over_a_look_up(driver: Driver, slowly: threading.Event) -> None:
    def told() -> Effects[Any]:
        start = time.monotonic()
        try:
            yield from send(HttpRequest("POST", "http://slow.test/"))
        except DeadlineExceededError as error:
            # The loop itself ends only after the thread in which it looks the name up.
            slowly.set()
            return time.monotonic() - start, error

    seconds, error = driver.do(retried(told(), RetryPolicy()), deadline=0.3)
    assert seconds < 15
    assert error.billed in (None, "no")


# Who listens while it writes


class Early(httpcore.AsyncMockStream):
    """Answers while it is written to; then a write may fail."""

    def __init__(self, *said: bytes, fails: Exception | None = None) -> None:
        super().__init__([*said])
        self.fails, self.closed = fails, False

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await anyio.lowlevel.checkpoint()
        await anyio.lowlevel.checkpoint()
        if self.fails:
            raise self.fails

    async def start_tls(self, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
        if self.fails:
            raise self.fails
        return self

    async def aclose(self) -> None:
        self.closed = True

    def get_extra_info(self, info: str) -> Any:
        return info


class EarlyBackend(httpcore.AsyncMockBackend):
    def __init__(self, stream: Early) -> None:
        super().__init__([])
        self.stream = stream

    async def connect_tcp(self, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
        return self.stream


@pytest.fixture
def last(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of an answer is waited for long enough, also where others have the processor."""
    monkeypatch.setattr("imagekit._network.LAST", 30.0)


async def listening(stream: Early) -> Any:
    return await Listening(EarlyBackend(stream), LIBRARY).connect_tcp("toy.test", 443)


@pytest.mark.anyio
async def test_what_comes_during_a_write_is_read_first() -> None:
    stream = await listening(Early(b"HTTP/1.1 401", b" No"))
    async with listeners():
        await stream.write(b"x" * (SLICE + 1))
        await stream.write(b"y")
    assert [await stream.read(4), await stream.read(99), await stream.read(99)] == [
        b"HTTP",
        b"/1.1 401 No",
        b"",
    ]


@pytest.mark.anyio
async def test_a_small_write_listens_to_nothing() -> None:
    inner = Early(b"later")
    stream = await listening(inner)
    async with listeners():
        await stream.write(b"x" * SLICE)
    assert await inner.read(99) == b"later"


@pytest.mark.anyio
async def test_no_more_is_kept_than_an_answers_beginning() -> None:
    inner = Early(b"x" * EARLY, b"the rest")
    async with listeners():
        await (await listening(inner)).write(b"x" * (SLICE + 1))
    assert await inner.read(99) == b"the rest"


@pytest.mark.anyio
async def test_a_write_that_fails_fails_and_what_came_is_kept() -> None:
    stream = await listening(Early(b"HTTP/1.1 401 No", fails=httpcore.WriteError("reset")))
    with pytest.raises(httpcore.WriteError, match="reset"):
        async with listeners():
            await stream.write(b"x" * (SLICE + 1))
    assert await stream.read(99) == b"HTTP/1.1 401 No"


@pytest.mark.anyio
async def test_an_encrypted_connection_listens_as_well() -> None:
    stream = await (await listening(Early(b"No"))).start_tls(ssl.create_default_context())
    async with listeners():
        await stream.write(b"x" * (SLICE + 1))
    assert await stream.read(99) == b"No"
    assert stream.get_extra_info("socket") == "socket"


@pytest.mark.anyio
async def test_a_connection_that_is_not_encrypted_after_all_is_closed() -> None:
    inner = Early(fails=httpcore.ConnectError("no TLS"))
    with pytest.raises(httpcore.ConnectError, match="no TLS"):
        await (await listening(inner)).start_tls(ssl.create_default_context())
    assert inner.closed


@pytest.mark.anyio
@pytest.mark.usefixtures("last")
async def test_the_end_of_an_answer_may_come_after_the_write_has_failed() -> None:
    class Behind(Early):
        """Once a write has failed, only who reads already gets anything, and a moment later."""

        over = False

        async def write(self, buffer: bytes, timeout: float | None = None) -> None:
            try:
                await super().write(buffer, timeout)
            finally:
                self.over = True

        async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
            if self.over:
                raise httpcore.ReadError("broken")
            await anyio.sleep(0.05)
            return await super().read(max_bytes, timeout)

    stream = await listening(Behind(b"HTTP/1.1 401 No", fails=httpcore.WriteError("reset")))
    with pytest.raises(httpcore.WriteError, match="reset"):
        async with listeners():
            await stream.write(b"x" * (SLICE + 1))
    assert await stream.read(99) == b"HTTP/1.1 401 No"


@pytest.mark.anyio
@pytest.mark.usefixtures("last")
async def test_a_small_write_that_fails_waits_for_nothing() -> None:
    stream = await listening(Early(b"later", fails=httpcore.WriteError("reset")))
    async with listeners():
        start = time.monotonic()
        await stream.write(b"x")
        with pytest.raises(httpcore.WriteError, match="reset"):
            await stream.write(b"")
        assert time.monotonic() - start < 15
    assert await stream.read(99) == b"later"


@pytest.mark.anyio
async def test_what_is_small_and_has_no_end_is_written_before_a_read() -> None:
    stream = await listening(Early(b"later", fails=httpcore.WriteError("reset")))
    await stream.write(b"x")
    with pytest.raises(httpcore.WriteError, match="reset"):
        await stream.read(99)


@pytest.mark.anyio
async def test_who_listens_through_many_writes_is_one() -> None:
    class Counting(Early):
        """Says nothing, and counts who listens."""

        heard = 0

        async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
            self.heard += 1
            await anyio.sleep_forever()
            raise AssertionError

    inner = Counting()
    stream = await listening(inner)
    async with listeners():
        for _ in range(5):
            await stream.write(b"x" * (SLICE + 1))
    assert inner.heard == 1


class Asked(Early):
    """Notes how much it is asked for."""

    size = 0

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self.size = max_bytes
        return b""


@pytest.mark.anyio
@pytest.mark.parametrize("size", [65536, 2 * AT_ONCE])
async def test_a_read_asks_for_more_at_once(size: int) -> None:
    inner = Asked()
    await (await listening(inner)).read(size)
    assert inner.size == max(size, AT_ONCE)


@pytest.mark.parametrize("size", [65536, 2 * AT_ONCE])
@pytest.mark.parametrize("called", [False, True], ids=["alone", "in a call"])
def test_a_blocking_read_asks_for_more_at_once(slow: SlowBackend, size: int, called: bool) -> None:
    stream = Watched(slow, LIBRARY).connect_tcp("127.0.0.1", 443)
    token = current.set(Scope() if called else None)
    try:
        stream.read(size)
    finally:
        current.reset(token)
    assert slow.stream.size == max(size, AT_ONCE)
