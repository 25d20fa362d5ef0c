from __future__ import annotations

import asyncio
import gc
import importlib
import os
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import anyio
import httpx
import httpx2
import pytest

import imagekit
from imagekit import (
    ConfigurationError,
    ConnectionFailedError,
    DeadlineExceededError,
    TransportError,
    TransportTimeoutError,
    _pool,
    _tls,
    _transport,
)
from imagekit import _library as choosing
from imagekit._drive import run
from imagekit._http import HttpRequest
from imagekit._library import VARIABLE, chosen, library, of
from imagekit._network import _ListeningStream
from imagekit._scope import Scope, current
from imagekit._transport import AsyncTransport, SyncTransport
from imagekit.provider import Effects, gather, open_stream, receive, send
from toys import Act, Driver, Server, Talk, answers, patiently, streams

BOTH = {"httpx": httpx, "httpx2": httpx2}
URL = "https://toy.test/"


@pytest.fixture(params=BOTH)
def name(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each of the libraries, forced."""
    monkeypatch.setenv(VARIABLE, request.param)
    return str(request.param)


# Which one


def test_httpx2_is_spoken_where_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert (chosen().name, chosen().http, chosen().core.__name__) == ("httpx2", httpx2, "httpcore2")
    assert chosen().version == httpx2.__version__


def test_httpx_is_spoken_where_httpx2_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "httpx2")
    monkeypatch.delenv(VARIABLE, raising=False)
    assert (chosen().name, chosen().http, chosen().core.__name__) == ("httpx", httpx, "httpcore")


def test_whose_a_transport_is_does_not_hang_on_what_its_class_is_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Who exports these classes as its own writes its name over theirs; one official SDK does.
    for one in BOTH.values():
        monkeypatch.setattr(one.BaseTransport, "__module__", "somebody")
        kind = type("Own", (one.BaseTransport,), {})
        assert of(kind()) is library(one.__name__)


def test_a_library_that_nobody_loaded_is_not_loaded_for_the_question(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "httpx2")
    assert of(httpx.BaseTransport()) is library("httpx")
    assert of(object()) is None
    assert "httpx2" not in sys.modules


def without(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    def load(name: str) -> Any:
        if name == missing:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return importlib.import_module(name)

    monkeypatch.setattr(choosing, "import_module", load)
    monkeypatch.setattr(choosing, "library", library.__wrapped__)


def test_one_is_forced(name: str) -> None:
    assert chosen().http is BOTH[name]
    client = SyncTransport()._client(HttpRequest("GET", URL))
    assert isinstance(client, BOTH[name].Client)


def test_one_that_is_not_there_cannot_be_forced(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, name)
    with pytest.raises(ConfigurationError, match=f"pip install {name}, or leave {VARIABLE} out"):
        chosen()


def test_a_name_that_is_none_is_said_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch, driver: Driver
) -> None:
    monkeypatch.setenv(VARIABLE, "requests")
    with pytest.raises(ConfigurationError, match="IMAGEKIT_HTTP is httpx or httpx2, not 'reques"):
        driver.do(send(HttpRequest("GET", URL)))


@pytest.mark.parametrize("other", BOTH)
def test_what_is_given_is_of_its_own_library(other: str) -> None:
    class Mine(BOTH[other].Client):  # type: ignore[name-defined, misc]
        pass

    with Mine() as client:
        assert of(client) is library(other)
    assert of(object()) is None


# A client or transport of either, whichever is spoken


TROUBLES = {
    "ConnectError": (ConnectionFailedError, "no"),
    "ProxyError": (ConnectionFailedError, "no"),
    "ReadTimeout": (TransportTimeoutError, None),
    "ReadError": (TransportError, None),
}


@pytest.mark.parametrize("given", BOTH)
@pytest.mark.parametrize("lent", [False, True], ids=["client", "transport"])
def test_one_of_the_other_library_may_be_given(
    driver: Driver, name: str, given: str, lent: bool
) -> None:
    lib: Any = BOTH[given]
    asked: list[Any] = []

    def fake(request: Any) -> Any:
        asked.append((type(request), request.url.query, request.read()))
        return lib.Response(200, content=b"yes")

    request = HttpRequest("POST", URL + "?a=1&a=2", json={"x": 1}, query={"b": "3"})
    assert sent(driver, lib, fake, request, lent).body == b"yes"
    assert asked == [(lib.Request, b"a=1&a=2&b=3", b'{"x":1}')]


@pytest.mark.parametrize("given", BOTH)
@pytest.mark.parametrize("trouble", TROUBLES)
def test_its_errors_are_ours_all_the_same(
    driver: Driver, name: str, given: str, trouble: str
) -> None:
    lib: Any = BOTH[given]

    def fail(request: Any) -> Any:
        raise getattr(lib, trouble)("why")

    kind, billed = TROUBLES[trouble]
    with pytest.raises(kind) as found:
        sent(driver, lib, fail, HttpRequest("POST", URL), lent=True)
    assert (type(found.value), found.value.billed) == (kind, billed)


def sent(driver: Driver, lib: Any, fake: Any, request: HttpRequest, lent: bool) -> Any:
    mock = lib.MockTransport(fake)
    if driver.blocking:
        with lib.Client(transport=mock) as client:
            return SyncTransport(mock if lent else client).send(request)

    async def main() -> Any:
        async with lib.AsyncClient(transport=mock) as client:
            return await AsyncTransport(mock if lent else client).send(request)

    return anyio.run(main, backend=driver.colour)


# TLS


def test_all_clients_have_one_context_that_nobody_waits_for(
    name: str, monkeypatch: pytest.MonkeyPatch, server: Server, driver: Driver
) -> None:
    made: list[Any] = []
    lib = BOTH[name]
    create = lib.create_ssl_context
    _tls._shared.cache_clear()
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)

    def counted(**how: Any) -> Any:
        made.append(how)
        return create(**how)

    monkeypatch.setattr(lib, "create_ssl_context", counted)
    server.does(answers())
    driver.do(send(HttpRequest("GET", server.url)))
    assert made == []
    home, away = (_tls.tls(library(name), trust_env=trusts) for trusts in (True, False))
    assert home is away
    for _ in range(2):
        home.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="toy.test")
    assert len(made) == 1


def test_the_certificates_that_the_environment_names_are_trusted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    one, two = ssl.get_default_verify_paths(), tmp_path / "none.pem"
    monkeypatch.setenv("SSL_CERT_FILE", str(two))
    monkeypatch.setenv("SSL_CERT_DIR", one.capath or "")
    late = _tls.tls(chosen())
    assert late is not _tls.tls(chosen(), trust_env=False)
    with pytest.raises(ConfigurationError, match="that SSL_CERT_FILE names cannot be read") as said:
        late.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="toy.test")
    assert said.value.billed == "no"
    monkeypatch.setenv("SSL_CERT_FILE", "")
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    other = _tls.tls(chosen())
    assert other is not late
    assert other.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="toy.test")


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for localhost that signs itself."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(self_signed())
    return path


def self_signed() -> bytes:
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    alone = x509.BasicConstraints(ca=True, path_length=None)
    made = (
        x509.CertificateBuilder(who, who, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(alone, critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    kind = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, kind, plain) + made.public_bytes(
        serialization.Encoding.PEM
    )


@pytest.fixture
def encrypted(identity: Path) -> Iterator[str]:
    """The URL of a server that says yes, over TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity)
    context.set_alpn_protocols(["h2", "http/1.1"])
    ready: list[Any] = []
    up = threading.Event()

    async def yes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readline() not in (b"\r\n", b""):
            pass
        spoken = writer.get_extra_info("ssl_object").selected_alpn_protocol().encode()
        head = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
        writer.write(head % len(spoken) + spoken)
        await writer.drain()
        writer.close()

    async def main() -> None:
        served = await asyncio.start_server(yes, "localhost", 0, ssl=context)
        over = asyncio.Event()
        ready.extend((served.sockets[0].getsockname()[1], asyncio.get_running_loop(), over))
        up.set()
        await over.wait()
        served.close()

    thread = threading.Thread(target=asyncio.run, args=(main(),), daemon=True)
    thread.start()
    assert up.wait(60)
    yield f"https://localhost:{ready[0]}/"
    ready[1].call_soon_threadsafe(ready[2].set)
    thread.join()


def test_a_server_of_ones_own_authority_is_trusted_by_name(
    driver: Driver, name: str, encrypted: str, identity: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(identity))
    assert driver.do(send(HttpRequest("GET", encrypted))).body == b"http/1.1"
    monkeypatch.setenv("SSL_CERT_FILE", "")
    with pytest.raises(ConnectionFailedError, match="certificate") as found:
        driver.do(send(HttpRequest("POST", encrypted)))
    assert found.value.billed == "no"


# The pool


class Yes(BaseHTTPRequestHandler):
    """Says yes, and keeps the connection."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/more":
            none = b"content-length: 0\r\n\r\n"
            self.wfile.write(b"HTTP/1.1 200 OK\r\n" + none + b"HTTP/1.1 404 No\r\n" + none)
            return
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def keeping() -> Iterator[str]:
    """The URL of a server that keeps connections."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Yes) as served:
        served.daemon_threads = True
        thread = threading.Thread(target=served.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{served.server_port}/"
        served.shutdown()
        thread.join()


def pool(transport: Any) -> Any:
    return transport._client(HttpRequest("GET", URL))._transport._pool


class Asked:
    """Sends over a transport of ours: one after another, or many side by side."""

    def __init__(self, driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
        self.driver = driver
        monkeypatch.setenv("NO_PROXY", "*")

    def many(self, url: str, turns: list[int], method: str = "GET") -> tuple[list[Any], Any]:
        """What each of those asked at once was told, turn for turn; and the pool."""
        said: list[Any] = []
        if self.driver.blocking:
            transport = SyncTransport()

            def ask() -> None:
                try:
                    said.append(transport.send(HttpRequest(method, url)).status)
                except Exception as error:
                    said.append(error)

            for turn in turns:
                threads = [threading.Thread(target=ask) for _ in range(turn)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
            kept = pool(transport)
            left = list(kept._source.idle._kept)
            assert not kept._busy
            transport.close()
            return said, left

        async def main() -> Any:
            transport = AsyncTransport()

            async def one() -> None:
                try:
                    said.append((await transport.send(HttpRequest(method, url))).status)
                except Exception as error:
                    said.append(error)

            for turn in turns:
                async with anyio.create_task_group() as group:
                    for _ in range(turn):
                        group.start_soon(one)
            kept = pool(transport)
            left = list(kept._source.idle._kept)
            assert kept._room.value == _pool.MOST
            await transport.aclose()
            assert not kept._source.idle._kept
            return left

        return said, anyio.run(main, backend=self.driver.colour)


@pytest.fixture
def asked(driver: Driver, name: str, monkeypatch: pytest.MonkeyPatch) -> Asked:
    return Asked(driver, monkeypatch)


def test_a_connection_serves_one_request_after_another(asked: Asked, keeping: str) -> None:
    said, kept = asked.many(keeping, [1, 1, 1])
    assert (said, len(kept)) == ([200] * 3, 1)
    assert "Request Count: 3" in repr(kept[0])


class Idle:
    """A connection without a request."""

    # Where the libraries keep what they read from.
    _network_stream: Any = None

    def __init__(self, origin: str = "a", *, expired: bool = False, idle: bool = True) -> None:
        self.origin, self.expired, self.idle = origin, expired, idle

    def can_handle_request(self, origin: str) -> bool:
        return origin == self.origin

    def has_expired(self) -> bool:
        return self.expired

    def is_idle(self) -> bool:
        return self.idle


def test_the_one_used_last_is_used_first_and_what_has_expired_is_closed() -> None:
    idle, gone = _pool._Idle(), Idle()
    ones = [Idle(), Idle("b"), gone, Idle(), Idle("b")]
    assert [idle.put(one) for one in ones] == [[]] * 5
    assert idle.take("a") == (ones[3], [])
    gone.expired = ones[0].expired = True
    assert idle.take("a") == (None, [gone, ones[0]])
    assert idle.take("b") == (ones[4], [])
    assert idle.take("c") == (None, [])
    assert idle.empty() == [ones[1]]
    assert idle.empty() == []


def test_whoever_finds_a_connection_closes_what_has_expired_meanwhile() -> None:
    idle, old, one = _pool._Idle(), Idle("b", expired=True), Idle()
    assert [idle.put(old), idle.put(one)] == [[], []]
    assert idle.take("a") == (one, [old])
    idle.put(old)
    assert idle.take("a") == (None, [old])


def test_no_more_are_kept_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_pool, "KEPT", 1)
    idle, first, second, busy = _pool._Idle(), Idle(), Idle(), Idle(idle=False)
    assert idle.put(busy) == [busy]
    assert idle.put(first) == []
    assert idle.put(second) == [first]
    assert idle.empty() == [second]


def test_what_came_beyond_an_answer_answers_no_other_request(asked: Asked, keeping: str) -> None:
    assert asked.many(f"{keeping}more", [1, 1]) == ([200, 200], [])


def test_nor_does_what_came_during_a_write_that_nobody_read() -> None:
    idle, one = _pool._Idle(), Idle()
    stream = one._network_stream = _ListeningStream(None)
    assert idle.put(one) == []
    stream._heard += b"HTTP/1.1 404 No"
    assert idle.put(one) == [one]


def test_whoever_finds_no_room_waits_for_it(
    asked: Asked, keeping: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_pool, "MOST", 1)
    said, kept = asked.many(keeping, [4])
    assert (said, len(kept)) == ([200] * 4, 1)


def test_a_url_of_another_kind_is_none(asked: Asked) -> None:
    [found], _ = asked.many("ftp://127.0.0.1/x", [1], "POST")
    assert isinstance(found, ConnectionFailedError)
    assert found.billed == "no"


def test_a_connection_that_fails_leaves_its_room(asked: Asked) -> None:
    said, kept = asked.many("http://127.0.0.1:9/", [2, 1], "POST")
    assert [type(one) for one in said] == [ConnectionFailedError] * 3
    assert {one.billed for one in said} == {"no"}
    assert kept == []


def test_what_is_to_be_closed_is_closed(
    asked: Asked, keeping: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_pool, "KEPT", 0)
    said, kept = asked.many(keeping, [2, 1])
    assert (said, kept) == ([200] * 3, [])


def test_room_is_left_once_however_often_an_answer_is_closed(keeping: str, name: str) -> None:
    request = library(name).core.Request("GET", keeping, headers={"host": "x"})
    with library(name).http.HTTPTransport() as transport:
        pool = _pool.Pool(transport._pool, library(name))
        answer = pool.handle_request(request)
        for _ in range(2):
            answer.stream.close()
        assert not pool._busy
        pool.close()


def test_who_waits_for_room_is_told_of_it(
    keeping: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_pool, "MOST", 1)
    monkeypatch.setattr(_pool, "AGAIN", 60.0)
    request = library(name).core.Request("GET", keeping, headers={"host": "x"})
    with library(name).http.HTTPTransport() as transport, ThreadPoolExecutor(1) as other:
        pool = _pool.Pool(transport._pool, library(name))
        first = pool.handle_request(request)
        second = other.submit(pool.handle_request, request)
        assert patiently(lambda: bool(pool._waiting))
        first.stream.close()
        second.result(30).stream.close()
        assert not pool._busy
        pool.close()


def test_a_place_that_nobody_has_any_more_is_free(keeping: str, name: str) -> None:
    request = library(name).core.Request("GET", keeping, headers={"host": "x"})
    with library(name).http.HTTPTransport() as transport:
        pool = _pool.Pool(transport._pool, library(name))
        answer = pool.handle_request(request)
        assert len(pool._busy) == 1
        # As where an interrupt strikes before anybody has it.
        answer.extensions.pop("network_stream").close()
        del answer
        gc.collect()
        assert not pool._busy
        pool.close()


@pytest.mark.anyio
async def test_room_is_left_once_by_async_ones_too(
    keeping: str, name: str, anyio_backend: str
) -> None:
    request = library(name).core.Request("GET", keeping, headers={"host": "x"})
    async with library(name).http.AsyncHTTPTransport() as transport:
        pool = _pool.AsyncPool(transport._pool, library(name))
        answer = await pool.handle_async_request(request)
        for _ in range(2):
            await answer.stream.aclose()
        assert pool._room.value == _pool.MOST
        await pool.aclose()


@pytest.mark.usefixtures("name")
def test_who_waits_too_long_for_room_was_never_sent(
    server: Server, monkeypatch: pytest.MonkeyPatch, driver: Driver
) -> None:
    monkeypatch.setattr(_pool, "MOST", 1)
    server.does(streams(b"x", then="stays"))
    limits = imagekit.Timeouts(read=1.0)
    request = HttpRequest("POST", server.url)
    if driver.blocking:
        transport = SyncTransport(timeouts=limits)
        with transport.open(request, "pieces"), pytest.raises(ConnectionFailedError) as found:
            transport.send(request)
        transport.close()
    else:

        async def main() -> Any:
            other = AsyncTransport(timeouts=limits)
            async with other.open(request, "pieces"):
                with pytest.raises(ConnectionFailedError) as raised:
                    await other.send(request)
            await other.aclose()
            return raised

        found = anyio.run(main, backend=driver.colour)
    assert found.value.billed == "no"
    assert "1 connections were busy" in str(found.value)
    assert len(server.seen) == 1


@pytest.mark.usefixtures("name")
@pytest.mark.parametrize("by", ["deadline", "cancelling"])
def test_a_call_that_ends_waits_for_no_room(
    server: Server, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    monkeypatch.setattr(_pool, "MOST", 1)
    server.does(streams(b"x", then="stays"))
    transport = SyncTransport()
    scope = Scope(0.1) if by == "deadline" else Scope()
    request = HttpRequest("POST", server.url)
    with transport.open(request, "pieces"):
        token = current.set(scope)
        if by == "cancelling":
            threading.Timer(0.1, scope.cancel).start()
        kind = DeadlineExceededError if by == "deadline" else ConnectionFailedError
        try:
            with pytest.raises(kind) as found:
                transport.send(request)
        finally:
            current.reset(token)
    assert found.value.billed == "no"
    transport.close()


# Where only one of them is installed


def test_without_httpx2_all_is_as_with_it(server: Server) -> None:
    """In a process of its own, in which nobody can import httpx2."""
    server.does(answers(body={"pictures": []}))
    code = f"""
import sys
sys.modules["httpx2"] = sys.modules["httpcore2"] = None
from imagekit._library import chosen
from imagekit._http import HttpRequest
from imagekit._transport import SyncTransport
print(chosen().name, SyncTransport().send(HttpRequest("GET", {server.url!r})).status)
"""
    env = {name: value for name, value in os.environ.items() if name != VARIABLE}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=env
    )
    assert (done.stdout, done.stderr) == ("httpx 200\n", "")


def test_the_doctor_says_which_it_is(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from imagekit._cli._doctor import _http

    version = BOTH[name].__version__
    assert _http().detail == f"{name} {version}, as IMAGEKIT_HTTP says"
    monkeypatch.delenv(VARIABLE)
    assert _http().detail == f"httpx2 {httpx2.__version__}"
    monkeypatch.setenv(VARIABLE, "curl")
    assert (_http().verdict, _http().detail[:12]) == ("broken", "IMAGEKIT_HTT")


# A stream gives its connection back


def _event(number: int) -> bytes:
    return b"data: %d\n\n" % number


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def keeps(last: bytes, ends: bytes = b"0\r\n\r\n", gap: float = 0.0) -> Act:
    """Answer each request of a connection with two events, *last*, and after *gap* its end."""

    def act(talk: Talk) -> None:
        top = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
        while True:
            talk.read()
            said = b"".join(_chunk(one) for one in (_event(1), _event(2), last) if one)
            talk.connection.sendall(top + b"transfer-encoding: chunked\r\n\r\n" + said)
            time.sleep(gap)
            talk.connection.sendall(ends)

    return act


def second(url: str) -> Effects[str]:
    """The second event of a stream, after which nobody listens."""
    yield from open_stream(HttpRequest("POST", url))
    yield from receive()
    event = yield from receive()
    assert event is not None
    return event.data


def three(url: str) -> Effects[list[str]]:
    """The same of three streams, one after another."""
    found = yield from gather([second(url), second(url), second(url)], limit=1)
    return [str(data) for data in found]


@pytest.mark.usefixtures("name")
@pytest.mark.parametrize(
    ("act", "connections"),
    [
        pytest.param(keeps(b": bye\n\n"), 1, id="at once"),
        pytest.param(keeps(b": bye\n\n", gap=0.01), 1, id="a moment later"),
        pytest.param(keeps(b": bye\n\n", ends=b""), 3, id="never"),
        pytest.param(keeps(b": bye\n\n", ends=b"nonsense\r\n"), 3, id="badly"),
        pytest.param(keeps(_event(3) * 20_000), 3, id="after too much"),
    ],
)
def test_a_stream_whose_end_comes_soon_leaves_its_connection_to_the_next(
    server: Server,
    driver: Driver,
    act: Act,
    connections: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if connections == 1:
        monkeypatch.setattr(_transport, "LAST_WORDS", 30.0)
    server.does(act)
    start = time.monotonic()
    assert driver.do(three(server.url)) == ["2", "2", "2"]
    assert (server.connections, len(server.seen)) == (connections, 3)
    assert time.monotonic() - start < 20


@pytest.mark.usefixtures("name")
def test_the_end_of_a_stream_is_not_waited_for_beyond_the_deadline(
    server: Server, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_transport, "LAST_WORDS", 30.0)
    server.does(keeps(b"", ends=b""))
    start = time.monotonic()
    assert driver.do(second(server.url), deadline=3) == "2"
    assert time.monotonic() - start < 20


def test_a_client_that_is_given_keeps_its_own_time(server: Server, name: str) -> None:
    server.does(keeps(b": bye\n\n", ends=b""))
    with library(name).http.Client() as given:
        start = time.monotonic()
        assert run(second(server.url), SyncTransport(given), Scope()) == "2"
        assert time.monotonic() - start < 4
