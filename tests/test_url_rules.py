"""Strangers' URLs by rule: what is never connected to, whoever names it and however it is spelt.

Nothing is pretended where it matters: a listener on loopback counts who comes.
"""

from __future__ import annotations

import ipaddress
import itertools
import json
import random
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import imagekit
from imagekit import ImagekitError, ProtocolError, RequestError, TransportError
from imagekit._addressed import joined, origin
from imagekit._network import is_public
from imagekit.provider import Capabilities
from serving import serving
from spoken import httpx
from test_network import PLAIN, Strangers, moved
from toys import Driver, Plugged, Whole, answers, done, picture, plugins
from tried import Tried

FAST = imagekit.RetryPolicy(base=0)
# Nets that nobody on the internet may have, by IANA's registries of special addresses.
PRIVATE = (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
    "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
    "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "255.255.255.255/32",
)  # fmt: skip
PRIVATE_6 = (
    "::/128", "::1/128", "::/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64",
    "2001::/32", "2001:2::/48", "2001:db8::/32", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10",
    "fec0::/10", "ff00::/8", "fd00:ec2::254/128", "4000::/3", "8000::/1",
)  # fmt: skip
# Names that clouds give to what holds their keys; the resolver of the tests gives them as they do.
NAMES: Mapping[str, tuple[str, ...]] = {
    "metadata.google.internal": ("169.254.169.254",),
    "instance-data.ec2.internal": ("169.254.169.254", "fd00:ec2::254"),
    "metadata.azure.test": ("168.63.129.16", "169.254.169.254"),
    "alibaba.test": ("100.100.100.200",),
    "router.test": ("192.168.0.1",),
    "loop.test": ("127.0.0.1",),
    "loop6.test": ("::1",),
    "mapped.test": ("::ffff:127.0.0.1",),
    "both.test": ("8.8.8.8", "10.0.0.1"),
    "last.test": ("8.8.8.8", "8.8.4.4", "2606:4700::1", "fe80::1"),
    "scoped.test": ("fe80::1%lo",),
    "zero.test": ("0.0.0.0",),
    "nat64.test": ("64:ff9b::7f00:1",),
    "teredo.test": ("2001:0:7f00:1::1",),
    "sixtofour.test": ("2002:7f00:1::",),
}
# The ways in which 127.0.0.1 is written for who asks the system's resolver.
SPELT = (
    "127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1", "0x7f.0x0.0x0.0x1",
    "017700000001", "0177.0.0.1", "0177.1", "127.0.0.1.", "127.00.00.01", "localhost", "localhost.",
    "LOCALHOST", "0", "0.0.0.0", "[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]", "[::127.0.0.1]", "[::1%25lo]", "[::1%lo]", "[64:ff9b::127.0.0.1]",
    "[2002:7f00:1::]", "127。0。0。1", "127.0.0.1", "127.0.0.①", "ⓛocalhost",
)  # fmt: skip


def entry(address: str, port: Any = 443) -> Any:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    rest = (0, 0) if ":" in address else ()
    return family, socket.SOCK_STREAM, 6, "", (address, port, *rest)


real = socket.getaddrinfo


class Resolver:
    """Knows the names of the tests, and is asked for the rest as the system is."""

    def __init__(self, names: Mapping[str, tuple[str, ...]] = NAMES) -> None:
        self.names = names
        self.asked: list[str] = []

    def __call__(self, host: Any, port: Any, *rest: Any, **more: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else str(host)
        self.asked.append(name)
        if name in self.names:
            return [entry(one, port) for one in self.names[name]]
        if name.endswith(".test"):
            raise socket.gaierror(socket.EAI_NONAME, "not known")
        return real(host, port, *rest, **more)


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    made = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", made)
    return made


class Listener:
    """A host on loopback that nobody is to come to, by either family of addresses."""

    def __init__(self) -> None:
        self._sockets = [socket.create_server(("127.0.0.1", 0))]
        self.port = self._sockets[0].getsockname()[1]
        try:
            made = socket.create_server(("::1", self.port), family=socket.AF_INET6)
        except OSError:
            pass
        else:
            self._sockets.append(made)
        for one in self._sockets:
            one.setblocking(False)

    @property
    def came(self) -> int:
        """How many have come since it was last asked."""
        count = 0
        for one in self._sockets:
            while True:
                try:
                    one.accept()[0].close()
                except BlockingIOError:
                    break
                count += 1
        return count

    def close(self) -> None:
        for one in self._sockets:
            one.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.close()


@pytest.fixture(params=["sync", "asyncio", "trio"])
def strangers(request: pytest.FixtureRequest) -> Strangers:
    return Strangers(request.param)


# --- addresses -----------------------------------------------------------------------------------


def within(net: str, count: int, dice: random.Random) -> Iterator[Any]:
    """The first, the last and some others of *net*."""
    found = ipaddress.ip_network(net)
    yield from (found[0], found[-1])
    for _ in range(count if found.num_addresses > 2 else 0):
        yield found[dice.randrange(found.num_addresses)]


def forms(address: ipaddress.IPv4Address) -> Iterator[str]:
    """*address*, and what of version 6 stands for it."""
    one = int(address)
    yield str(address)
    prefixes = (0, 0xFFFF << 32, 0xFFFF << 48, 0x64FF9B << 96, (0x64FF9B << 96) | (1 << 80))
    for prefix in prefixes:
        yield str(ipaddress.IPv6Address(prefix | one))
    yield str(ipaddress.IPv6Address((0x2002 << 112) | (one << 80)))
    yield str(ipaddress.IPv6Address((0x2001 << 112) | (one << 64) | (one ^ 0xFFFFFFFF)))


def addresses(count: int = 8) -> Iterator[str]:
    """What is never public: of each such net some, in each form."""
    dice = random.Random(7)
    for net in PRIVATE:
        for one in within(net, count, dice):
            yield from forms(one)
    for net in PRIVATE_6:
        for one in within(net, count, dice):
            yield from (str(one), f"{one}%1", f"{one}%eth0")


def test_no_address_of_a_private_net_is_public_in_any_form() -> None:
    found = list(addresses())
    assert len(found) > 1500
    assert [one for one in found if is_public(one)] == []


@given(st.ip_addresses(v=4))
def test_a_mapped_address_is_what_it_maps(address: ipaddress.IPv4Address) -> None:
    for one in (
        f"::ffff:{address}",
        str(ipaddress.IPv6Address((0x2002 << 112) | int(address) << 80)),
    ):
        assert is_public(one) == is_public(str(address))


# --- what is read --------------------------------------------------------------------------------


@pytest.mark.parametrize("host", SPELT)
def test_no_spelling_of_this_machine_is_connected_to(
    host: str, listener: Listener, driver: Driver
) -> None:
    error = read(driver, f"https://{host}:{listener.port}/a.png")
    assert isinstance(error, ImagekitError)
    assert listener.came == 0


def read(driver: Driver, url: str) -> Any:
    """The error of a picture fetched from *url* by a client."""
    image = imagekit.Image(url=url)
    try:
        return driver.call(lambda c: c.fetch(image), env={}, retry=FAST)
    except ImagekitError as error:
        return error


@pytest.mark.parametrize("name", NAMES)
def test_a_name_with_a_private_address_is_refused(
    name: str, resolver: Resolver, driver: Driver
) -> None:
    error = read(driver, f"https://{name}/latest/meta-data")
    assert isinstance(error, ProtocolError)
    assert str(error).startswith(f"refusing to read from {name!r}, which is ")


class TestThePinnedAddress:
    def test_it_is_what_is_connected_to_and_the_name_is_looked_up_once(
        self, strangers: Strangers, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        answers = itertools.chain([["8.8.8.8", "8.8.4.4"]], itertools.repeat(["127.0.0.1"]))
        asked: list[Any] = []

        def rebinding(host: Any, port: Any, *_: Any, **__: Any) -> Any:
            asked.append(host)
            return [entry(one, port) for one in next(answers)]

        monkeypatch.setattr(socket, "getaddrinfo", rebinding)
        (answer,), hosts, sent = strangers.read([PLAIN], "https://rebinding.test/a.png")
        assert answer.ok
        assert hosts == ["8.8.8.8"]
        assert len(asked) == 1
        assert b"host: rebinding.test\r\n" in sent.lower()

    def test_a_name_that_changed_meanwhile_is_refused_at_the_next_connection(
        self, strangers: Strangers, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        known = iter([["8.8.8.8"], ["169.254.169.254"]])

        def rebinding(host: Any, port: Any, *_: Any, **__: Any) -> Any:
            return [entry(one, port) for one in next(known)]

        monkeypatch.setattr(socket, "getaddrinfo", rebinding)
        back = moved("https://rebinding.test/2")
        error, hosts, _ = strangers.read([back], "https://rebinding.test/1")
        assert isinstance(error, ProtocolError)
        assert hosts == ["8.8.8.8"]


AWAY = "https://93.184.216.34/1.png"
LEADS = (
    "http://8.8.8.8/", "http://93.184.216.34/1.png", "https://127.0.0.1/", "https://2130706433/",
    "https://0x7f.1/", "https://[::1]/", "https://[::ffff:10.0.0.1]/", "https://loop.test/",
    "https://both.test/", "https://metadata.google.internal/", "https://169.254.169.254/latest/",
    "https://[fd00:ec2::254]/latest/", "file:///etc/passwd", "data:image/png;base64,AAAA",
    "ftp://8.8.8.8/", "gopher://8.8.8.8/", "javascript:alert(1)", "//127.0.0.1/",
    "https://8.8.8.8:99999/", "https://8.8.8.8:0/", "https://[::1",
    "https://" + "a" * 300 + ".test/", "https://8.8.8.8/" + "a" * 70_000, "https://127。0。0。1/",
)  # fmt: skip


@pytest.mark.parametrize("lead", LEADS, ids=range(len(LEADS)))
def test_a_redirect_leads_nowhere_else(lead: str, strangers: Strangers, resolver: Resolver) -> None:
    # A header is Latin-1; what is beyond it comes as the bytes of UTF-8.
    answer = moved("LEAD").replace(b"LEAD", lead.encode())
    error, hosts, _ = strangers.read([answer], AWAY)
    assert isinstance(error, ProtocolError | TransportError | RequestError), error
    assert hosts == ["93.184.216.34"]
    assert error.billed in (None, "no")


@pytest.mark.parametrize("count", [1, 5, 6])
def test_five_redirects_are_followed_and_no_sixth(count: int, strangers: Strangers) -> None:
    came = [moved(f"https://8.8.8.8/{n}") for n in range(count)]
    found, hosts, _ = strangers.read([*came, PLAIN], AWAY)
    assert isinstance(found, TransportError) == (count > 5)
    assert len(hosts) == min(count + 1, 6)


def test_a_redirect_takes_nothing_along(strangers: Strangers) -> None:
    first = moved("https://user:word@8.8.8.8/2").replace(
        b"302 Found", b"302 Found\r\nset-cookie: a=b"
    )
    (answer,), _, sent = strangers.read([first, PLAIN], AWAY)
    assert answer.ok
    for word in (b"cookie", b"authorization", b"referer", b"user:word", b"dXNlcjp3b3Jk"):
        assert word not in sent.lower()


# --- what URLs are asked for at all --------------------------------------------------------------

CREDENTIALS = (
    "https://user:word@cdn.test/a.png", "https://user@cdn.test/a.png", "https://:word@cdn.test/",
    "https://@cdn.test/a.png", "https://toy.test@cdn.test/a.png", "https://user:word@toy.test/a",
    "https://cdn.test\\@toy.test/a.png", "https://toy.test:443@cdn.test/",
)  # fmt: skip
UNSEEN = (
    "https://cdn.test/\r\nx: y", "https://cdn\t.test/", " https://toy.test/", "https://toy.test\n/",
    "\x00https://toy.test/", "https://toy.test/\x7f", "https://toy.test/a\x00.png",
)  # fmt: skip


@pytest.mark.parametrize("url", CREDENTIALS, ids=range(len(CREDENTIALS)))
def test_a_url_with_a_user_or_a_password_is_not_asked_for_nor_shown(
    url: str, driver: Driver
) -> None:
    error = made_of(driver, url)
    assert isinstance(error, ProtocolError)
    assert "which holds a user name or password, is not asked for" in str(error)
    assert "word@" not in repr(error)
    assert "user" not in str(error).replace("user name", "")


@pytest.mark.parametrize("url", UNSEEN, ids=range(len(UNSEEN)))
def test_what_two_readers_of_a_url_read_differently_is_not_asked_for(
    url: str, driver: Driver
) -> None:
    error = made_of(driver, url)
    assert isinstance(error, ProtocolError)
    assert "is not asked for" in str(error)


def made_of(driver: Driver, url: str) -> Any:
    """What a client says of a picture at *url*; nothing is ever sent."""

    def nobody(request: httpx.Request) -> httpx.Response:
        raise AssertionError(f"{request.url} was asked for")

    toy = plugins(toy=Whole("https://toy.test/v1"))
    image = imagekit.Image(url=url)
    try:
        how = {"plugins": toy, "provider": "toy", "env": {}, "retry": FAST}
        return driver.call(lambda c: c.fetch(image), nobody, **how)
    except ImagekitError as error:
        return error


AUTHORITY = st.text("atoyests.:@/\\?#%[]0123456789 \t\n\x00。Kk-", min_size=0, max_size=14)


@given(st.sampled_from(["https://", "http://", "HTTPS://", "https:", "https:/", "//"]), AUTHORITY)
def test_what_counts_as_home_is_home_for_the_library_too(scheme: str, rest: str) -> None:
    url = f"{scheme}{rest}"
    try:
        found = joined("https://toy.test", url)
    except ProtocolError:
        return
    if origin(found) != ("https", "toy.test", 443):
        return
    try:
        read = httpx.URL(found)
    except (httpx.InvalidURL, UnicodeError):
        return
    assert (read.scheme, read.host.rstrip("."), read.port) == ("https", "toy.test", None)
    assert read.userinfo == b""


# --- all the ways in -----------------------------------------------------------------------------


class Takes(Whole):
    """Wants the bytes of its input pictures, and answers with URLs."""

    def capabilities(self, model: str | None) -> Capabilities:
        return Capabilities(operations=frozenset({"generate", "edit"}), inputs=frozenset({"bytes"}))


WAYS_IN = ("result", "input", "fetch")


def way_in(driver: Driver, home: str, way: str, url: str) -> Any:
    """The error that comes of *url* where it comes in by *way*; *home* is a provider's address."""
    toy = plugins(toy=Takes(home))
    how = {"plugins": toy, "provider": "toy", "env": {}, "retry": FAST}

    def ask(client: Any) -> Any:
        if way == "fetch":
            return client.fetch(imagekit.Image(url=url))
        if way == "input":
            return client.edit("a hat", images=[url])
        return client.generate("a cat")

    try:
        return driver.call(ask, **how)
    except ImagekitError as error:
        return error


@pytest.mark.parametrize("way", WAYS_IN)
@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "localhost", "loop.test"])
def test_a_strangers_address_is_refused_whichever_way_it_comes(
    way: str, host: str, driver: Driver, server: Any, listener: Listener, resolver: Resolver
) -> None:
    url = f"https://{host}:{listener.port}/a.png"
    server.does(answers(200, done(url)))
    came = way_in(driver, server.url, way, url)
    if way == "result":
        # The picture is paid for: its URL stays.
        assert came.image.url == url
        assert "refusing to read from" in str(came.notices)
    else:
        assert "refusing to read from" in str(came)
    assert listener.came == 0


def test_the_providers_own_host_may_be_private(driver: Driver, server: Any) -> None:
    def act(talk: Any) -> None:
        seen = talk.read()
        if seen.method == "POST":
            said = json.dumps(done(f"{server.url}/a.png")).encode()
            talk.reply(200, said, content_type="application/json")
        else:
            talk.reply(200, picture(), content_type="image/png")

    server.does(act)
    came = way_in(driver, server.url, "result", "")
    assert came.image.data == picture()


def test_another_port_of_the_providers_host_is_a_strangers(
    driver: Driver, server: Any, listener: Listener
) -> None:
    server.does(answers(200, done(f"http://127.0.0.1:{listener.port}/a.png")))
    came = way_in(driver, server.url, "result", "")
    assert came.image.data is None
    assert listener.came == 0


def test_the_providers_own_host_redirects_nobody(
    driver: Driver, server: Any, listener: Listener
) -> None:
    def act(talk: Any) -> None:
        talk.read()
        talk.reply(307, location=f"http://127.0.0.1:{listener.port}/pictures")

    server.does(act)
    error = way_in(driver, server.url, "result", "")
    assert isinstance(error, ImagekitError)
    assert listener.came == 0


# --- the server's image_url ----------------------------------------------------------------------

BY_SERVER = (
    *(f"https://{host}:PORT/a.png" for host in SPELT),
    "https://loop.test:PORT/", "https://both.test/", "https://metadata.google.internal/",
    "http://127.0.0.1:PORT/", "https://user:word@cdn.test/", "https://@127.0.0.1:PORT/",
    "file:///etc/passwd", "ftp://127.0.0.1:PORT/", "gopher://127.0.0.1:PORT/", "//127.0.0.1:PORT/",
    "https:\\\\127.0.0.1:PORT/", " https://127.0.0.1:PORT/", "https://127.0.0.1:PORT/\r\nx: y",
    "https://" + "a" * 70_000, "https://127.0.0.1:0/", "https://127.0.0.1:99999/", "https://[::1",
)  # fmt: skip


def said_by_server(url: str, client: httpx.Client) -> list[httpx.Response]:
    """What the server says of an input picture at *url*, in both of its dialects."""
    part = {"type": "input_image", "image_url": url}
    words = {"type": "input_text", "text": "a hat"}
    talk = {
        "model": "m",
        "tools": [{"type": "image_generation"}],
        "input": [{"role": "user", "content": [words, part]}],
    }
    edit = {"prompt": "a hat", "images": [{"image_url": url}]}
    return [client.post("/images/edits", json=edit), client.post("/responses", json=talk)]


def judged_by_server(url: str, said: list[httpx.Response], came: int) -> list[str]:
    """What is wrong with what the server did about *url*."""
    wrong = [f"{url[:60]!r} was connected to"] if came else []
    for one in said:
        error = one.json().get("error") or {}
        if (one.status_code, error.get("type")) != (400, "invalid_request_error"):
            wrong.append(f"{url[:60]!r}: {one.status_code} {one.text[:200]}")
        if "word@" in one.text or "etc/passwd" in one.text:
            wrong.append(f"{url[:60]!r} is quoted: {one.text[:200]}")
    return wrong


@contextmanager
def resolved(names: Mapping[str, tuple[str, ...]] = NAMES) -> Iterator[Resolver]:
    with pytest.MonkeyPatch.context() as patch:
        made = Resolver(names)
        patch.setattr(socket, "getaddrinfo", made)
        yield made


def tried_by_server(urls: Sequence[str]) -> Tried:
    came, listener = Tried(), Listener()
    engine = {"toy": Plugged(Takes("https://toy.test/v1"))}
    with (
        resolved(),
        serving(register=engine) as server,
        httpx.Client(base_url=server.url, trust_env=False) as client,
    ):
        for one in urls:
            url = one.replace("PORT", str(listener.port))
            said = said_by_server(url, client)
            came += Tried(len(said), judged_by_server(url, said, listener.came))
    listener.close()
    return came


def test_the_server_reads_no_strangers_url_that_leads_inside() -> None:
    # One of each few: the table tries them all.
    urls = BY_SERVER[::4]
    came = tried_by_server(urls)
    assert came.wrong == []
    assert came.count == 2 * len(urls)


# --- the table -----------------------------------------------------------------------------------


def tried() -> Tried:
    """All of it and more of it, for the reliability table."""
    found = list(addresses(2000))
    came = Tried(len(found), [f"{one} counts as public" for one in found if is_public(one)])
    listener = Listener()
    with resolved():
        for colour, host in itertools.product(("sync", "asyncio", "trio"), (*SPELT, *NAMES)):
            error = read(Driver(colour), f"https://{host}:{listener.port}/a.png")
            wrong = [] if isinstance(error, ImagekitError) else [f"{colour}: {host} was read"]
            wrong += [f"{colour}: {host} was connected to"] if listener.came else []
            came += Tried(1, wrong)
        for colour, lead in itertools.product(("sync", "asyncio", "trio"), LEADS):
            answer = moved("LEAD").replace(b"LEAD", lead.encode())
            _, hosts, _ = Strangers(colour).read([answer], AWAY)
            wrong = [f"{colour}: {lead[:60]} was followed"] if len(hosts) != 1 else []
            came += Tried(1, wrong)
    listener.close()
    came += tried_by_server(BY_SERVER)
    return came
