"""Our own clients send what one of the library's would, and do no more than that."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from types import AsyncGeneratorType
from typing import Any, cast

import anyio
import pytest

from imagekit import ConnectionFailedError, RequestError
from imagekit._blob import Blob
from imagekit._http import HttpRequest, Part
from imagekit._library import VARIABLE, library
from imagekit._network import SLICE
from imagekit._transport import AsyncTransport, SyncTransport

URL = "https://toy.test/v1/images"
YES = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nyes"
COLOURS = ["sync", "asyncio", "trio"]
PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 100

REQUESTS = {
    "json": HttpRequest("POST", URL, json={"prompt": "a cät", "n": 1}),
    "json, to be lifted": HttpRequest("POST", URL, json={}, blobs=frozenset({"b64"})),
    "much json": HttpRequest("POST", URL, json={"prompt": "x" * 3 * SLICE}),
    "form": HttpRequest("POST", URL, form=(("a", "1"), ("b", "zwei & drei"), ("a", "2"))),
    "parts": HttpRequest(
        "POST", URL, form=(("a", "1"),), parts=(Part("image", PNG, "ä.png", "image/png"),)
    ),
    "multipart": HttpRequest("POST", URL, form=(("a", "1"),), multipart=True),
    "bytes": HttpRequest("PUT", URL, body=b"body", headers={"Content-Type": "image/png"}),
    "nothing": HttpRequest("POST", URL),
    "get": HttpRequest("GET", f"{URL}/1?a=b%20c"),
    "delete": HttpRequest("DELETE", "http://toy.test:8080"),
    "query": HttpRequest("GET", f"{URL}?api-version=1", query={"after": "ä/ö", "limit": "2"}),
    "another host name": HttpRequest("GET", "https://bücher.test:444/ä"),
    "an address": HttpRequest("GET", "http://[::1]:81/x"),
    "headers": HttpRequest(
        "POST", URL, json=[], headers={"Authorization": "Bearer k", "Accept": "a/b", "X-Y": "1"}
    ),
    "user agent": HttpRequest("GET", URL, headers={"User-Agent": "me", "Connection": "close"}),
    "encoding": HttpRequest("GET", URL, headers={"Accept-Encoding": "br"}),
}


@pytest.fixture(params=["httpx", "httpx2"])
def name(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each of the libraries, forced."""
    monkeypatch.setenv(VARIABLE, request.param)
    monkeypatch.setenv("NO_PROXY", "*")
    return str(request.param)


class Far:
    """What a transport is connected to: it answers everything, and keeps what was written."""

    def __init__(self, name: str, *said: bytes) -> None:
        self.core: Any = library(name).core
        self.said, self.sent = said or (YES,), list[bytes]()

    def blocking(self) -> Any:
        sent = self.sent

        class Stream(self.core.MockStream):  # type: ignore[misc, name-defined]
            def write(self, buffer: bytes, timeout: float | None = None) -> None:
                sent.append(buffer)

        backend = self.core.MockBackend([])
        backend.connect_tcp = lambda *_, **__: Stream([*self.said])
        return backend

    def waiting(self) -> Any:
        sent = self.sent

        class Stream(self.core.AsyncMockStream):  # type: ignore[misc, name-defined]
            async def write(self, buffer: bytes, timeout: float | None = None) -> None:
                sent.append(buffer)

        async def connect_tcp(*_: Any, **__: Any) -> Any:
            return Stream([*self.said])

        backend = self.core.AsyncMockBackend([])
        backend.connect_tcp = connect_tcp
        return backend


def beneath(client: Any) -> Any:
    """What makes the connections of a client of ours."""
    return client._transport._pool._source._pool._network_backend


def ours(colour: str, name: str, request: HttpRequest, *said: bytes) -> tuple[Any, list[bytes]]:
    """What became of *request* by way of a client of ours, and what was written."""
    far = Far(name, *said)
    if colour == "sync":
        transport = SyncTransport()
        beneath(transport._client(request))._inner = far.blocking()
        with pytest.MonkeyPatch.context() as patch, closing(transport):
            patch.setattr("socket.getaddrinfo", lambda *_, **__: [(0, 0, 0, "", ("192.0.2.1", 1))])
            return transport.send(request), far.sent

    async def main() -> Any:
        waiting = AsyncTransport()
        beneath(waiting._client(request))._inner = far.waiting()
        try:
            return await waiting.send(request)
        finally:
            await waiting.aclose()

    return anyio.run(main, backend=colour), far.sent


def theirs(colour: str, name: str, request: HttpRequest) -> list[bytes]:
    """What was written by way of a client as the library makes it."""
    far, http = Far(name), library(name).http
    if colour == "sync":
        client = http.Client()
        client._transport._pool._network_backend = far.blocking()
        SyncTransport(client).send(request)
        client.close()
        return far.sent

    async def main() -> None:
        async with http.AsyncClient() as client:
            client._transport._pool._network_backend = far.waiting()
            await AsyncTransport(client).send(request)

    anyio.run(main, backend=colour)
    return far.sent


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("what", REQUESTS)
def test_what_goes_out_is_the_librarys_own(what: str, colour: str, name: str) -> None:
    request = REQUESTS[what]
    answer, sent = ours(colour, name, request)
    assert answer.body == b"yes"
    assert b"".join(sent) == b"".join(theirs(colour, name, request))


@pytest.mark.parametrize("colour", COLOURS)
def test_a_file_goes_out_as_the_library_sends_it(
    colour: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.urandom", lambda size: b"u" * size)
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    part = Part("image", Blob.in_file(path, len(PNG)), "a.png", "image/png")
    request = HttpRequest("POST", URL, parts=(part,))
    sent = b"".join(ours(colour, name, request)[1])
    assert sent == b"".join(theirs(colour, name, request))
    assert PNG in sent


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("what", ["json", "form", "get", "nothing", "multipart"])
def test_a_small_request_is_written_at_once(what: str, colour: str, name: str) -> None:
    assert len(ours(colour, name, REQUESTS[what])[1]) == 1


@pytest.mark.parametrize("colour", COLOURS)
def test_a_large_body_is_not_copied_to_its_head(colour: str, name: str) -> None:
    head, body = ours(colour, name, REQUESTS["much json"])[1]
    assert head.endswith(b"\r\n\r\n")
    assert body.startswith(b"{")


@pytest.mark.parametrize("colour", COLOURS)
def test_what_cannot_be_written_in_a_header_was_not_sent(colour: str, name: str) -> None:
    with pytest.raises(RequestError, match="cannot be written") as found:
        ours(colour, name, HttpRequest("GET", URL, headers={"x": "ä"}))
    assert found.value.billed == "no"


@pytest.mark.parametrize("colour", COLOURS)
def test_whoever_cannot_be_reached_is_named(colour: str, name: str) -> None:
    request = HttpRequest("GET", "http://127.0.0.1:9/secret")

    def ask() -> None:
        if colour == "sync":
            SyncTransport().send(request)
        else:
            anyio.run(AsyncTransport().send, request, backend=colour)

    with pytest.raises(ConnectionFailedError, match=r"to 127\.0\.0\.1:9: ") as found:
        ask()
    assert "secret" not in str(found.value)


@pytest.mark.parametrize("colour", COLOURS)
def test_a_redirect_is_an_answer(colour: str, name: str) -> None:
    there = b"HTTP/1.1 302 Found\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n"
    answer, sent = ours(colour, name, HttpRequest("GET", URL), there)
    assert (answer.status, len(sent)) == (302, 1)


@pytest.mark.parametrize("colour", COLOURS)
def test_the_librarys_log_says_what_it_says_of_any(
    colour: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, name)
    ours(colour, name, REQUESTS["get"])
    theirs(colour, name, REQUESTS["get"])
    [one, other] = [
        (one.name, one.levelno, one.getMessage()) for one in caplog.records if one.name == name
    ]
    assert one == other
    assert one[2].startswith(f'HTTP Request: GET {URL}/1?a=b%20c "HTTP/1.1 200')


def once() -> Iterator[bytes]:
    yield b"yes"


async def aonce() -> AsyncIterator[bytes]:
    yield b"yes"


@pytest.mark.parametrize("colour", COLOURS)
def test_an_answer_that_somebodys_hook_has_read_is_read(colour: str, name: str) -> None:
    http = library(name).http
    stream = once if colour == "sync" else aonce
    mock = http.MockTransport(lambda _: http.Response(200, content=stream()))
    if colour == "sync":
        with http.Client(transport=mock, event_hooks={"response": [lambda it: it.read()]}) as lent:
            assert SyncTransport(lent).send(HttpRequest("GET", URL)).body == b"yes"
        return

    async def main() -> bytes:
        async def read(answer: Any) -> None:
            await answer.aread()

        async with http.AsyncClient(transport=mock, event_hooks={"response": [read]}) as lent:
            opening = AsyncTransport(lent).open(HttpRequest("GET", URL), "pieces")
            async with opening as (_, pieces):
                found = await anext(pieces)
            # Whoever left it amid the reading left nothing for trio to find.
            assert cast("AsyncGeneratorType[bytes, None]", pieces).ag_frame is None
            return found

    assert anyio.run(main, backend=colour) == b"yes"


def kept(transport: Any, request: HttpRequest) -> int:
    """How many connections wait for their next request."""
    return len(transport._client(request)._transport._pool._source.idle._kept)


@pytest.mark.parametrize("colour", COLOURS)
def test_a_stream_that_was_read_has_left_its_connection(colour: str, name: str) -> None:
    request, far = HttpRequest("GET", "http://192.0.2.1/"), Far(name)
    if colour == "sync":
        with closing(SyncTransport()) as transport:
            beneath(transport._client(request))._inner = far.blocking()
            with transport.open(request, "pieces") as (_, pieces):
                assert kept(transport, request) == 0
                assert b"".join(pieces) == b"yes"
                assert kept(transport, request) == 1
        return

    async def main() -> None:
        waiting = AsyncTransport()
        beneath(waiting._client(request))._inner = far.waiting()
        async with waiting.open(request, "pieces") as (_, pieces):
            assert kept(waiting, request) == 0
            assert b"".join([piece async for piece in pieces]) == b"yes"
            assert kept(waiting, request) == 1
        await waiting.aclose()

    anyio.run(main, backend=colour)
