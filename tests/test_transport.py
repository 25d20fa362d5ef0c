from __future__ import annotations

import gzip
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from dataclasses import replace
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

import anyio
import pytest

import imagekit
from imagekit import (
    ConfigurationError,
    ConnectionFailedError,
    DeadlineExceededError,
    ImagekitError,
    ProtocolError,
    RequestError,
    TransportError,
    TransportTimeoutError,
)
from imagekit._http import Part
from imagekit._outgoing import arguments
from imagekit._scope import Scope, current
from imagekit._speakers import Timeouts
from imagekit._transport import AsyncTransport, SyncTransport, translated
from imagekit.provider import HttpRequest, open_stream, receive_piece, send
from spoken import LIBRARY, httpx
from toys import (
    Driver,
    Server,
    Whole,
    answers,
    patiently,
    picture,
    plugins,
    resets_after,
    streams,
)

URL = "https://toy.test/"

# What each of httpx's exceptions becomes, and what it may have cost. Those that are only a family
# of others are as their members.
MAPPED: dict[str, tuple[type[ImagekitError], str | None]] = {
    "HTTPError": (TransportError, None),
    "RequestError": (TransportError, None),
    "TransportError": (TransportError, None),
    "TimeoutException": (TransportTimeoutError, None),
    "ConnectTimeout": (ConnectionFailedError, "no"),
    "ReadTimeout": (TransportTimeoutError, None),
    "WriteTimeout": (TransportTimeoutError, None),
    "PoolTimeout": (ConnectionFailedError, "no"),
    "NetworkError": (TransportError, None),
    "ConnectError": (ConnectionFailedError, "no"),
    "ReadError": (TransportError, None),
    "WriteError": (TransportError, None),
    "CloseError": (TransportError, None),
    "ProtocolError": (TransportError, None),
    "LocalProtocolError": (TransportError, None),
    "RemoteProtocolError": (TransportError, None),
    "ProxyError": (ConnectionFailedError, "no"),
    "UnsupportedProtocol": (ConnectionFailedError, "no"),
    "DecodingError": (ProtocolError, None),
    "TooManyRedirects": (TransportError, None),
    "HTTPStatusError": (TransportError, None),
    "InvalidURL": (TransportError, None),
    "StreamError": (TransportError, None),
    "StreamConsumed": (TransportError, None),
    "StreamClosed": (TransportError, None),
    "ResponseNotRead": (TransportError, None),
    "RequestNotRead": (TransportError, None),
}
# Raised only to whoever reads a cookie by its name, or events as the library does: not by us.
NEVER = {"CookieConflict", "SSEError"}


def raised_by_httpx() -> dict[str, type[BaseException]]:
    found = {name: getattr(httpx, name) for name in dir(httpx)}
    return {
        name: kind
        for name, kind in found.items()
        if isinstance(kind, type) and issubclass(kind, BaseException)
    }


def made(kind: Any) -> BaseException:
    request = httpx.Request("GET", URL)
    for build in (
        lambda: kind("why"),
        lambda: kind("why", request=request),
        lambda: kind("why", request=request, response=httpx.Response(500, request=request)),
        lambda: kind(),
    ):
        try:
            return build()  # type: ignore[no-any-return]
        except TypeError:
            continue
    raise AssertionError(f"cannot make {kind}")


def test_every_exception_of_httpx_is_mapped() -> None:
    assert set(raised_by_httpx()) - NEVER == set(MAPPED)


@pytest.mark.parametrize("name", MAPPED)
def test_an_exception_of_httpx_becomes_ours(name: str) -> None:
    theirs = made(raised_by_httpx()[name])
    kind, billed = MAPPED[name]
    with pytest.raises(ImagekitError) as found, translated(LIBRARY):
        raise theirs
    assert type(found.value) is kind
    assert found.value.billed == billed
    assert found.value.__cause__ is theirs


@pytest.mark.parametrize("name", MAPPED)
def test_once_there_was_an_answer_nothing_is_for_free(name: str) -> None:
    with pytest.raises(ImagekitError) as found, translated(LIBRARY, answered=True):
        raise made(raised_by_httpx()[name])
    assert found.value.billed is None


@pytest.mark.parametrize(
    ("url", "whom"),
    [
        ("https://me:secret@toy.test/x?key=secret", "toy.test"),
        ("http://127.0.0.1:9/x", "127.0.0.1:9"),
    ],
)
def test_whoever_could_not_be_reached_is_named_and_nothing_else(url: str, whom: str) -> None:
    with pytest.raises(ConnectionFailedError) as found, translated(LIBRARY):
        raise httpx.ConnectError("nobody", request=httpx.Request("GET", url))
    assert str(found.value) == f"no connection was made to {whom}: nobody"


def test_one_who_is_not_known_is_not_named() -> None:
    for request in (None, httpx.Request("GET", "/x")):
        with pytest.raises(ConnectionFailedError) as found, translated(LIBRARY):
            raise httpx.ConnectError("nobody", request=request)
        assert str(found.value) == "no connection was made: nobody"


def test_an_exception_that_says_nothing_is_named() -> None:
    with pytest.raises(TransportError, match="ReadError"), translated(LIBRARY):
        raise httpx.ReadError("")


@pytest.mark.parametrize("kind", [httpx.ReadTimeout, httpx.ReadError, httpx.ConnectTimeout])
def test_any_trouble_after_the_deadline_is_the_deadline(kind: Any) -> None:
    token = current.set(Scope(0))
    try:
        with pytest.raises(DeadlineExceededError), translated(LIBRARY):
            raise kind("why")
    finally:
        current.reset(token)


def test_trouble_before_the_deadline_is_its_own() -> None:
    token = current.set(Scope(60))
    try:
        with pytest.raises(TransportTimeoutError), translated(LIBRARY):
            raise httpx.ReadTimeout("why")
    finally:
        current.reset(token)


# Requests


def written(request: HttpRequest) -> httpx.Request:
    with httpx.Client() as client:
        return client.build_request(request.method, request.url, **arguments(request))


def form(**more: Any) -> HttpRequest:
    parts = (
        Part("image[]", b"one", "a.png", "image/png"),
        Part("image[]", b"two", "b.png", "image/png"),
        Part("mask", b"three", "mask.png", "image/png"),
    )
    fields = (("prompt", "a cat"), ("tag", "x"), ("tag", "y"))
    return HttpRequest("POST", URL, parts=more.get("parts", parts), form=more.get("form", fields))


def test_a_multipart_body_is_the_same_bytes_every_time() -> None:
    assert written(form()).read() == written(form()).read()
    assert written(form()).headers["content-type"] == written(form()).headers["content-type"]


def test_a_multipart_body_holds_every_field_and_file_in_order() -> None:
    body = written(form()).read()
    places = [body.index(b'name="%s"' % name) for name in (b"prompt", b"tag", b"image[]", b"mask")]
    assert places == sorted(places)
    assert body.count(b'name="tag"') == 2
    assert body.count(b'name="image[]"') == 2
    assert b'filename="b.png"\r\nContent-Type: image/png\r\n\r\ntwo\r\n' in body


def boundary(request: HttpRequest) -> str:
    return written(request).headers["content-type"].partition("boundary=")[2]


def test_another_body_has_another_boundary() -> None:
    other = Part("image[]", b"other", "a.png", "image/png")
    assert boundary(form()) != boundary(form(parts=(other,)))
    assert boundary(form()) != boundary(form(form=(("prompt", "a dog"),)))


def test_a_form_without_files_is_url_encoded() -> None:
    request = written(HttpRequest("POST", URL, form=(("a", "1"), ("a", "2"), ("b", "é"))))
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert request.read() == b"a=1&a=2&b=%C3%A9"


def test_a_form_without_files_is_multipart_where_that_is_asked_for() -> None:
    fields = (("prompt", "a café"), ("tag", "x"), ("tag", "y"))
    request = written(HttpRequest("POST", URL, form=fields, multipart=True))
    kind = request.headers["content-type"]
    assert kind.startswith("multipart/form-data; boundary=")
    parts = BytesParser(policy=HTTP).parsebytes(
        f"content-type: {kind}\r\n\r\n".encode() + request.read()
    )
    said = [
        (part["content-disposition"].params["name"], part.get_payload(decode=True).decode())
        for part in parts.iter_parts()
    ]
    assert said == list(fields)
    assert b"filename" not in request.read()
    again = written(HttpRequest("POST", URL, form=fields, multipart=True))
    assert again.read() == request.read()


def test_with_files_a_form_is_multipart_anyway() -> None:
    one, other = form(), form()
    assert written(replace(other, multipart=True)).read() == written(one).read()


def test_a_body_is_sent_as_it_is() -> None:
    assert written(HttpRequest("POST", URL, body=b"\0raw")).read() == b"\0raw"


def test_json_may_be_empty() -> None:
    assert written(HttpRequest("POST", URL, json={})).read() == b"{}"


def test_a_query_is_added_to_the_urls_own() -> None:
    request = written(HttpRequest("GET", f"{URL}?a=1", query={"b": "2"}))
    assert str(request.url) == f"{URL}?a=1&b=2"


def test_the_plugins_own_user_agent_wins() -> None:
    request = written(HttpRequest("GET", URL, headers={"user-agent": "mine"}))
    assert request.headers["user-agent"] == "mine"


@pytest.mark.parametrize(
    "request_",
    [
        HttpRequest("POST", URL, json=object()),
        HttpRequest("GET", "https://toy.test/\0"),
        HttpRequest("GET", URL, headers={"x-é": "ü"}),
        HttpRequest("GET", URL, headers={"x": 7}),  # type: ignore[dict-item]
    ],
    ids=["json", "url", "header's letters", "header's type"],
)
def test_a_request_that_cannot_be_written_was_not_sent(
    driver: Driver, request_: HttpRequest
) -> None:
    sent = []

    def fake(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200)

    with pytest.raises(RequestError, match="cannot be written") as found:
        driver.do(send(request_), fake)
    assert found.value.billed == "no"
    assert not sent


def test_a_form_reaches_the_server_whole(driver: Driver, server: Server) -> None:
    server.does(answers())
    request = form(parts=(Part("image", b"x" * 300_000, "a.png", "image/png"),))
    driver.do(send(HttpRequest("POST", server.url, parts=request.parts, form=request.form)))
    (seen,) = server.seen
    assert b"x" * 300_000 in seen.body
    assert len(seen.body) == int(seen.headers["content-length"])


def test_a_form_is_the_same_bytes_on_either_driver(driver: Driver, server: Server) -> None:
    server.does(answers())
    driver.do(send(HttpRequest("POST", server.url, parts=form().parts, form=form().form)))
    assert server.seen[0].body == written(form()).read()


# Answers


@pytest.mark.parametrize("packed", [False, True])
def test_an_answer_that_is_too_large_is_not_read_to_its_end(
    driver: Driver, packed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imagekit._transport.MOST_BYTES", 10_000)
    body, headers = b"x" * 10_001, {"content-encoding": "gzip"} if packed else {}
    answer = httpx.Response(200, headers=headers, content=gzip.compress(body) if packed else body)
    with pytest.raises(ProtocolError, match="larger than 10000 bytes"):
        driver.do(send(HttpRequest("GET", URL)), lambda request: answer)


def test_an_answer_of_the_largest_size_is_read(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imagekit._transport.MOST_BYTES", 10_000)
    answer = httpx.Response(200, content=b"x" * 10_000)
    assert len(driver.do(send(HttpRequest("GET", URL)), lambda request: answer).body) == 10_000


def test_leaving_many_pieces_behind_is_no_trouble(driver: Driver, server: Server) -> None:
    def flow() -> Any:
        yield from open_stream(HttpRequest("GET", server.url), "pieces")
        return (yield from receive_piece())

    server.does(streams(*[b"x" * 60_000] * 30, then="stays"))
    assert driver.do(flow())
    assert patiently(server.left.is_set)


class Endless(httpx.SyncByteStream, httpx.AsyncByteStream):
    def __iter__(self) -> Iterator[bytes]:
        while True:
            yield b"x"

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            yield b"x"


# A given client's stream that never waits cannot be ended by a cancelled read; trio warns.
@pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")
def test_a_stream_that_never_waits_can_be_left(driver: Driver) -> None:
    def flow() -> Any:
        yield from open_stream(HttpRequest("GET", URL), "pieces")
        return (yield from receive_piece())

    answer = httpx.Response(200, stream=Endless())
    assert driver.do(flow(), lambda request: answer) == b"x"


def test_a_write_that_fails_leaves_nothing_open(driver: Driver, server: Server) -> None:
    server.does(resets_after(10))
    with pytest.raises(TransportError):
        driver.do(send(HttpRequest("POST", server.url, body=b"x" * 20_000_000)))


# Clients


def test_a_client_that_is_given_stays_open() -> None:
    http = httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(200)))
    transport = SyncTransport(http, http)
    transport.send(HttpRequest("GET", URL))
    transport.send(HttpRequest("GET", URL, stranger=True))
    transport.close()
    assert not http.is_closed
    http.close()


@pytest.mark.anyio
async def test_an_async_client_that_is_given_stays_open() -> None:
    http = httpx.AsyncClient(transport=httpx.MockTransport(lambda request: httpx.Response(200)))
    transport = AsyncTransport(http, http)
    await transport.send(HttpRequest("GET", URL))
    await transport.send(HttpRequest("GET", URL, stranger=True))
    await transport.aclose()
    assert not http.is_closed
    await http.aclose()


class Lent(httpx.BaseTransport):
    """Somebody's own transport, which says what was done to it."""

    def __init__(self, body: bytes = b"", **headers: str) -> None:
        self.closed = False
        self.bodies: list[Told] = []
        self.seen: list[httpx.Request] = []
        self.body, self.headers = body, headers

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        assert not self.closed
        self.seen.append(request)
        self.bodies.append(Told(self.body))
        return httpx.Response(200, headers=self.headers, stream=self.bodies[-1])

    def close(self) -> None:
        self.closed = True


class AsyncLent(httpx.AsyncBaseTransport):
    """The same for async clients."""

    def __init__(self, body: bytes = b"", **headers: str) -> None:
        self.inner = Lent(body, **headers)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return self.inner.handle_request(request)

    async def aclose(self) -> None:
        self.inner.close()


class Told(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that says whether it was closed."""

    def __init__(self, body: bytes) -> None:
        self.body, self.closed = body, False

    def __iter__(self) -> Iterator[bytes]:
        return iter([self.body])

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self.body

    def close(self) -> None:
        self.closed = True

    async def aclose(self) -> None:
        self.closed = True


class TestATransportThatIsLent:
    BODY = b'{"pictures": ["https://cdn.test/cat.png"]}'

    def clients(self, home: Any, away: Any, **more: Any) -> dict[str, Any]:
        return {"http": home, "downloads": away, "provider": "toy", "env": {}, **more}

    async def used(self, home: Any, away: Any, **more: Any) -> tuple[Any, Any]:
        """A response by a blocking client or an async one, whichever the transports are for."""
        settings = self.clients(home, away, plugins=plugins(toy=Whole()), **more)
        if isinstance(home, httpx.BaseTransport):
            with imagekit.Client(**settings) as client:
                return client.generate("a cat"), client.generate("a cat")
        async with imagekit.AsyncClient(**settings) as client:
            return await client.generate("a cat"), await client.generate("a cat")

    @pytest.mark.anyio
    @pytest.mark.parametrize("kind", [Lent, AsyncLent])
    async def test_it_is_used_and_stays_the_lenders(self, kind: Any) -> None:
        home = kind(self.BODY, **{"set-cookie": "a=b", "content-type": "application/json"})
        away = kind(picture())
        before = {name: value for name, value in vars(home).items() if name != "seen"}
        first, second = await self.used(home, away)
        assert (first.image.data, second.image.data) == (picture(), picture())
        for lent, hosts in ((home, "toy.test"), (away, "cdn.test")):
            told = lent if kind is Lent else lent.inner
            assert not told.closed
            assert {request.url.host for request in told.seen} == {hosts}
            # Each answer is let go of, so that the lender's pool gets its connection back.
            assert [body.closed for body in told.bodies] == [True, True]
            assert all("cookie" not in request.headers for request in told.seen)
        assert {name: vars(home)[name] for name in before} == before

    @pytest.mark.anyio
    @pytest.mark.parametrize("kind", [Lent, AsyncLent])
    async def test_timeouts_go_with_each_request(self, kind: Any) -> None:
        home, away = kind(self.BODY), kind(picture())
        await self.used(home, away, timeouts=Timeouts(connect=1, read=90))
        told = [lent if kind is Lent else lent.inner for lent in (home, away)]
        limits = [one.seen[0].extensions["timeout"] for one in told]
        assert [(one["connect"], one["read"]) for one in limits] == [(1, 90), (1, 60)]

    def test_a_redirect_of_a_download_is_followed_and_one_of_a_request_is_not(
        self, driver: Driver
    ) -> None:
        turned = httpx.Response(302, headers={"location": "https://cdn.test/dog.png"})

        def away(request: httpx.Request) -> httpx.Response:
            there = request.url.path == "/dog.png"
            return httpx.Response(200, content=picture()) if there else turned

        def home(request: httpx.Request) -> httpx.Response:
            return httpx.Response(200, content=self.BODY)

        made = {"plugins": plugins(toy=Whole()), "downloads": httpx.MockTransport(away)}
        for here, ok in ((home, True), (lambda request: turned, False)):
            given = self.clients(httpx.MockTransport(here), made["downloads"], **made)
            how = {**given, "raise_on_error": False}
            response = self.by(driver, how)
            assert response.ok is ok
            assert [info.status for info in response.http] == ([200, 200] if ok else [302])

    def by(self, driver: Driver, how: dict[str, Any]) -> Any:
        if driver.blocking:
            with imagekit.Client(**how) as client:
                return client.generate("a cat")

        async def main() -> Any:
            async with imagekit.AsyncClient(**how) as client:
                return await client.generate("a cat")

        return anyio.run(main, backend=driver.colour)

    @pytest.mark.parametrize(
        ("client", "given"),
        [
            (imagekit.Client, httpx.AsyncClient()),
            (imagekit.Client, AsyncLent()),
            (imagekit.Client, "https://proxy.test"),
            (imagekit.AsyncClient, httpx.Client()),
            (imagekit.AsyncClient, Lent()),
            (imagekit.AsyncClient, object()),
        ],
        ids=lambda one: getattr(one, "__name__", type(one).__name__),
    )
    @pytest.mark.parametrize("where", ["http", "downloads"])
    def test_one_of_the_wrong_kind_is_an_error_at_once(
        self, client: Any, given: Any, where: str
    ) -> None:
        kind = "Client" if client is imagekit.Client else "AsyncClient"
        said = rf"http= and downloads= want an httpx\.{kind} or a transport, not"
        with pytest.raises(ConfigurationError, match=said):
            client(**{where: given})

    def test_a_mock_is_of_both_kinds(self, driver: Driver) -> None:
        mock = httpx.MockTransport(lambda request: httpx.Response(200, content=self.BODY))
        mine = self.clients(mock, mock, plugins=plugins(toy=Whole()))
        made = imagekit.Client if driver.blocking else imagekit.AsyncClient
        assert made(**mine) is not None

    async def test_it_outlives_the_client(self, server: Server, anyio_backend: str) -> None:
        server.does(answers())
        made = {"plugins": plugins(toy=Whole(server.url)), "provider": "toy", "env": {}}
        with httpx.HTTPTransport(limits=httpx.Limits(max_connections=1)) as lent:
            for _ in range(2):
                with imagekit.Client(http=lent, **made) as client:
                    assert client.generate("a cat").ok
        async with httpx.AsyncHTTPTransport(limits=httpx.Limits(max_connections=1)) as lent_too:
            for _ in range(2):
                async with imagekit.AsyncClient(http=lent_too, **made) as other:
                    assert (await other.generate("a cat")).ok


def test_a_client_of_ours_is_made_once_and_closed() -> None:
    transport = SyncTransport()
    home, stranger = HttpRequest("GET", URL), HttpRequest("GET", URL, stranger=True)
    clients = transport._client(home), transport._client(stranger)
    assert (transport._client(home), transport._client(stranger)) == clients
    assert clients[0] is not clients[1]
    transport.close()
    assert all(client.is_closed for client in clients)


@pytest.mark.anyio
async def test_an_async_client_of_ours_is_made_once_and_closed() -> None:
    transport = AsyncTransport()
    home, stranger = HttpRequest("GET", URL), HttpRequest("GET", URL, stranger=True)
    clients = transport._client(home), transport._client(stranger)
    assert (transport._client(home), transport._client(stranger)) == clients
    await transport.aclose()
    assert all(client.is_closed for client in clients)


@pytest.mark.anyio
async def test_after_a_fork_no_connection_is_another_processs_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    request = HttpRequest("GET", URL)
    given = httpx.Client()
    ours, lent, later = SyncTransport(), SyncTransport(given), AsyncTransport()
    before, lent_before, later_before = (one._client(request) for one in (ours, lent, later))
    monkeypatch.setattr("os.getpid", lambda: 1)
    assert ours._client(request) is not before
    assert ours._client(request) is ours._client(request)
    assert later._client(request) is not later_before
    # What is given is its giver's to look after.
    assert lent._client(request) is lent_before is given
    assert not before.is_closed
    for one in (before, given, ours):
        one.close()
    await later.aclose()
    assert not later_before.is_closed
    monkeypatch.undo()
    await later.aclose()
    assert later_before.is_closed


@pytest.mark.anyio
@pytest.mark.parametrize(
    "proxy",
    [
        "socks5://u:secret@a.example:1",
        "ftp://u:secret@a.example",
        pytest.param("http://u:secret#1@a.example:1", id="a password that is not quoted"),
    ],
)
async def test_a_proxy_that_cannot_be_is_said_before_anything_is_sent(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    request = HttpRequest("POST", URL)
    with pytest.raises(ConfigurationError, match="the proxy that the environment names") as one:
        SyncTransport().send(request)
    with pytest.raises(ConfigurationError, match="the proxy that the environment names") as other:
        await AsyncTransport().send(request)
    for caught in (one, other):
        assert caught.value.billed == "no"
        assert "secret" not in f"{caught.value!r} {caught.value.__cause__!r}"


def test_what_is_compressed_is_what_it_means(driver: Driver) -> None:
    sent = gzip.compress(picture() * 9)
    given = httpx.MockTransport(
        lambda request: httpx.Response(200, headers={"content-encoding": "gzip"}, stream=Told(sent))
    )
    request = HttpRequest("GET", URL)

    async def ask() -> bytes:
        return (await AsyncTransport(given).send(request)).body

    body = SyncTransport(given).send(request).body if driver.blocking else anyio.run(ask)
    assert body == picture() * 9


def test_a_picture_that_ends_amid_its_compression_is_not_whole(driver: Driver) -> None:
    sent = gzip.compress(picture() * 9, 0)[:-20]
    headers = {"content-encoding": "gzip", "content-type": "image/png"}
    given = httpx.MockTransport(
        lambda request: httpx.Response(200, headers=headers, stream=Told(sent))
    )

    def blocking() -> object:
        return SyncTransport(given).send(HttpRequest("GET", URL))

    async def ask() -> object:
        return await AsyncTransport(given).send(HttpRequest("GET", URL))

    with pytest.raises(ProtocolError, match="ends amid what is compressed"):
        blocking() if driver.blocking else anyio.run(ask)


@pytest.mark.parametrize("encoding", ["br", "gzip, gzip"])
def test_what_is_compressed_as_nobody_asked_for_is_refused(driver: Driver, encoding: str) -> None:
    given = httpx.MockTransport(
        lambda request: httpx.Response(
            200, headers={"content-encoding": encoding}, stream=Told(b"few bytes")
        )
    )
    if driver.blocking:
        with pytest.raises(ProtocolError, match="compressed"):
            SyncTransport(given).send(HttpRequest("GET", URL))
        return

    async def ask() -> None:
        with pytest.raises(ProtocolError, match="compressed"):
            await AsyncTransport(given).send(HttpRequest("GET", URL))

    anyio.run(ask)


def test_a_closed_client_says_so() -> None:
    transport = SyncTransport()
    transport._client(HttpRequest("GET", URL))
    transport.close()
    with pytest.raises(ConfigurationError, match="the client is closed"):
        transport.send(HttpRequest("GET", URL))


@pytest.mark.anyio
async def test_a_closed_async_client_says_so() -> None:
    transport = AsyncTransport()
    transport._client(HttpRequest("GET", URL))
    await transport.aclose()
    with pytest.raises(ConfigurationError, match="the client is closed"):
        await transport.send(HttpRequest("GET", URL))


def test_the_default_timeouts_protect_and_do_not_hurry() -> None:
    timeout = httpx.Timeout(Timeouts().each)
    assert (timeout.connect, timeout.read, timeout.write) == (5.0, 600.0, 600.0)


def test_a_client_of_ours_goes_by_an_ambient_proxy_home(
    monkeypatch: pytest.MonkeyPatch, server: Server
) -> None:
    monkeypatch.setenv("HTTP_PROXY", server.url)
    monkeypatch.setenv("NO_PROXY", "other.test")
    server.does(answers())
    transport = SyncTransport()
    assert transport.send(HttpRequest("GET", "http://toy.test/x")).ok
    transport.close()
    assert server.seen[0].path == "http://toy.test/x"


def test_threads_share_one_client_of_ours(server: Server) -> None:
    import threading

    server.does(answers())
    client = imagekit.Client(provider="toy", plugins=plugins(toy=Whole(server.url)))
    made: list[Any] = []
    threads = [
        threading.Thread(target=lambda: made.append(client.generate("a cat"))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [response.ok for response in made] == [True] * 8
    assert len(client._transport._ours) == 1
    client.close()


def test_a_stranger_at_our_own_hand_is_still_refused(driver: Driver) -> None:
    with pytest.raises(ProtocolError, match="must be https"):
        driver.do(send(HttpRequest("GET", "http://127.0.0.1:9/x", stranger=True)))


Fake = Callable[[httpx.Request], httpx.Response]


@pytest.mark.anyio
async def test_a_bodys_pieces_may_be_read_more_than_once() -> None:
    seen: list[bytes] = []

    def fake(request: httpx.Request) -> httpx.Response:
        seen.append(request.content)
        return httpx.Response(401 if len(seen) == 1 else 200)

    class Challenged(httpx.Auth):
        def auth_flow(
            self, request: httpx.Request
        ) -> Generator[httpx.Request, httpx.Response, None]:
            yield request
            yield request

    async with httpx.AsyncClient(transport=httpx.MockTransport(fake), auth=Challenged()) as http:
        assert (await AsyncTransport(http).send(HttpRequest("POST", URL, body=b"body"))).ok
    assert seen == [b"body", b"body"]


def test_a_body_is_read_by_blocking_readers_too() -> None:
    from imagekit._transport import _Body

    body = _Body(httpx.ByteStream(b"x"))
    assert list(body) == [b"x"]

    async def main() -> list[bytes]:
        return [piece async for piece in body]

    assert anyio.run(main) == [b"x"]
