"""Where a key is kept: in a file, in the keyring; and whose it is where a callable gives it."""

from __future__ import annotations

import contextvars
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import keyring
import keyring.backend
import pytest

import imagekit
from imagekit import AsyncClient, Client, ConfigurationError, Profile
from imagekit._sources import LARGEST_KEY, shown
from imagekit.provider import Capabilities
from spoken import httpx
from toys import Driver, Whole, done, plugins, refused

KEY = "sk-a-key-that-nobody-may-see-42"


class Service:
    """Answers every request, and keeps the credential it came with."""

    def __init__(self) -> None:
        self.keys: list[str | None] = []
        self._lock = threading.Lock()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        with self._lock:
            self.keys.append(request.headers.get("authorization"))
        return httpx.Response(200, json=done())


def toy(**able: Any) -> imagekit.Plugins:
    return plugins(
        toy=lambda config: Whole(
            config.base_url or "https://toy.test", config.api_key, Capabilities(**able)
        )
    )


def asked(driver: Driver, service: Service, **settings: Any) -> Any:
    return driver.call(lambda c: c.generate("a cat"), service, plugins=toy(), **settings)


def mine(**key: Any) -> dict[str, Any]:
    return {"provider": "mine", "profiles": [Profile("mine", "toy", **key)]}


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text(f"{KEY}\n")
    return path


class Ring(keyring.backend.KeyringBackend):
    """A keyring in memory."""

    priority = 1  # type: ignore[assignment]

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], str] = {}
        self.asked: list[tuple[str, str]] = []
        self.fails: Exception | None = None

    def get_password(self, service: str, username: str) -> str | None:
        self.asked.append((service, username))
        if self.fails:
            raise self.fails
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password


@pytest.fixture
def ring() -> Iterator[Ring]:
    before = keyring.get_keyring()
    made = Ring()
    keyring.set_keyring(made)
    yield made
    keyring.set_keyring(before)


# --- from a file ---------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_key_may_be_in_a_file_that_holds_it_alone(
    driver: Driver, service: Service, key_file: Path, end: str
) -> None:
    key_file.write_bytes(f"{KEY}{end}".encode())
    assert asked(driver, service, **mine(api_key_file=key_file)).ok
    assert service.keys == [f"Bearer {KEY}"]


def test_a_key_file_may_be_named_from_home(
    service: Service, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(key_file.parent))
    monkeypatch.setenv("USERPROFILE", str(key_file.parent))
    assert asked(Driver("sync"), service, **mine(api_key_file="~/key")).ok
    assert service.keys == [f"Bearer {KEY}"]


def test_a_key_file_that_is_replaced_is_read_anew(service: Service, key_file: Path) -> None:
    def twice(client: Client) -> None:
        client.generate("a cat")
        key_file.write_text("sk-the-next")
        client.generate("a cat")

    Driver("sync").call(twice, service, plugins=toy(), **mine(api_key_file=key_file))
    assert service.keys == [f"Bearer {KEY}", "Bearer sk-the-next"]


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.with_name("nowhere"))


WRONG: list[tuple[Callable[[Path], object], str]] = [
    (Path.unlink, "No such file or directory"),
    (_dangling, "No such file or directory"),
    (_folder, "it is no plain file"),
    (_pipe, "it is no plain file"),
    (lambda path: path.write_text(""), "it is empty"),
    (lambda path: path.write_text("\n"), "it is empty"),
    (lambda path: path.write_text(f"SOME_API_KEY={KEY}\nMORE={KEY}\n"), "more than the key"),
    (lambda path: path.write_text(f"{KEY} \n"), "more than the key"),
    (lambda path: path.write_text(f" {KEY}"), "more than the key"),
    (lambda path: path.write_text(" "), "more than the key"),
    (lambda path: path.write_bytes(KEY.encode("utf-16")), "no text"),
    (lambda path: path.write_bytes(KEY.encode() + b"\0"), "no text"),
    (lambda path: path.write_text(f"{KEY}ß"), "what no header may"),
    (lambda path: path.write_text("k" * (LARGEST_KEY + 1)), "it is larger than 16384 bytes"),
]


@pytest.mark.parametrize(("spoil", "why"), WRONG)
def test_a_file_that_holds_no_key_is_a_clear_error_before_anything_is_sent(
    driver: Driver, service: Service, key_file: Path, spoil: Callable[[Path], object], why: str
) -> None:
    spoil(key_file)
    with pytest.raises(ConfigurationError) as found:
        asked(driver, service, **mine(api_key_file=key_file))
    assert why in str(found.value)
    assert str(key_file) in str(found.value)
    assert (found.value.billed, service.keys) == ("no", [])
    assert KEY not in "".join(traceback.format_exception(found.value))


def test_a_path_that_is_none_is_a_clear_error(service: Service) -> None:
    with pytest.raises(ConfigurationError, match="that is no path"):
        asked(Driver("sync"), service, **mine(api_key_file="a\0b"))


@pytest.mark.parametrize(
    ("word", "same"),
    [
        ("/run/secrets/openai_key_production", True),
        ("key", True),
        ("/etc/keys/2026-01-01-production.txt", True),
        ("/home/me/sk-proj-4f9a8b7c6d5e", False),
        ("C:\\keys\\AIzaSyD3adb33fD3adb33f00", False),
    ],
)
def test_a_key_that_stands_where_a_path_should_is_not_shown(word: str, same: bool) -> None:
    assert (shown(word) == word) is same


@pytest.mark.parametrize("place", ["api_key_file", "api_key_env", "api_key_keyring"])
def test_a_key_in_place_of_its_place_is_in_no_error(service: Service, place: str) -> None:
    key = "sk4f9a8b7c6d5e4f9a8b7c6d5e"
    with pytest.raises(ConfigurationError) as found:
        asked(Driver("sync"), service, **mine(**{place: key}))
    assert key not in str(found.value)
    assert service.keys == []


def test_an_error_of_the_connection_says_nothing_of_the_key(key_file: Path) -> None:
    profile = Profile("mine", "toy", refused(), api_key_file=key_file)
    with (
        Client(provider="mine", profiles=[profile], plugins=toy()) as client,
        pytest.raises(imagekit.ConnectionFailedError) as found,
    ):
        client.generate("a cat", retries=0)
    assert KEY not in "".join(traceback.format_exception(found.value))


# --- from the keyring ----------------------------------------------------------------------------


def test_a_key_may_be_in_the_keyring(driver: Driver, service: Service, ring: Ring) -> None:
    keyring.set_password("example.org/imagekit", "me", KEY)
    assert asked(driver, service, **mine(api_key_keyring="example.org/imagekit/me")).ok
    assert service.keys == [f"Bearer {KEY}"]


def test_the_keyring_is_asked_once_by_a_client(service: Service, ring: Ring) -> None:
    keyring.set_password("imagekit", "me", KEY)

    def often(client: Client) -> None:
        client.generate("a cat", n=8)
        client.generate("a cat")

    settings = mine(api_key_keyring="imagekit/me")
    Driver("sync").call(often, service, plugins=toy(max_images=1), **settings)
    assert service.keys == [f"Bearer {KEY}"] * 9
    assert ring.asked == [("imagekit", "me")]


@pytest.mark.parametrize("kept", [{}, {("imagekit", "me"): ""}])
def test_a_keyring_without_the_key_says_how_it_gets_there(
    driver: Driver, service: Service, ring: Ring, kept: dict[tuple[str, str], str]
) -> None:
    ring.kept |= kept
    with pytest.raises(ConfigurationError, match="`keyring set imagekit me` puts one there"):
        asked(driver, service, **mine(api_key_keyring="imagekit/me"))
    assert service.keys == []


def test_a_keyring_that_fails_quotes_nothing(service: Service, ring: Ring) -> None:
    ring.fails = RuntimeError(f"found {KEY}, which is locked")
    with pytest.raises(ConfigurationError, match="cannot be read: RuntimeError") as found:
        asked(Driver("sync"), service, **mine(api_key_keyring="imagekit/me"))
    assert KEY not in "".join(traceback.format_exception(found.value))


def test_without_the_extra_one_line_says_what_to_install(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'imagekit\[keyring\]'"):
        asked(Driver("sync"), service, **mine(api_key_keyring="imagekit/me"))


@pytest.mark.parametrize("place", ["me", "/me", "imagekit/", ""])
def test_a_place_in_the_keyring_is_a_service_and_a_user(place: str) -> None:
    with pytest.raises(ConfigurationError, match="api_key_keyring is SERVICE/USERNAME"):
        Profile("mine", "toy", api_key_keyring=place)


# --- whichever -----------------------------------------------------------------------------------


def test_a_profile_has_one_key() -> None:
    with pytest.raises(ConfigurationError, match="say api_key_env or api_key_file, not both"):
        Profile("mine", "toy", api_key_env="MY_KEY", api_key_file="key")


def test_a_variable_has_a_name() -> None:
    with pytest.raises(ConfigurationError, match="and not the key") as found:
        Profile("mine", "toy", api_key_env=KEY)
    assert KEY not in str(found.value)


def test_a_key_itself_wins_over_where_one_is(service: Service, key_file: Path) -> None:
    asked(Driver("sync"), service, **mine(api_key="k-1", api_key_file=key_file))
    assert service.keys == ["Bearer k-1"]


def test_a_profile_shows_where_its_key_is_and_never_the_key() -> None:
    profiles = [
        Profile("a", "toy", "https://toy.test/v1?sig=s3cret", api_key=KEY),
        Profile("b", "toy", api_key_env="MY_KEY", settings={"token": KEY}),
        Profile("c", "toy", api_key_file=Path("/keys/mine"), defaults={"user": KEY}),
        Profile("d", "toy", api_key_keyring="imagekit/me"),
    ]
    assert [repr(one) for one in profiles] == [
        "Profile('a', 'toy', base_url='https://toy.test/v1?…')",
        "Profile('b', 'toy', api_key_env='MY_KEY')",
        "Profile('c', 'toy', api_key_file='/keys/mine')",
        "Profile('d', 'toy', api_key_keyring='imagekit/me')",
    ]


# --- from a callable, for each tenant ------------------------------------------------------------

tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant")
TENANTS = ("ann", "bob", "cy")


def key_of_the_tenant() -> str:
    return f"key-of-{tenant.get()}"


async def key_of_the_tenant_soon() -> str:
    await anyio.sleep(0.001)
    return f"key-of-{tenant.get()}"


def bound(key: Any) -> dict[str, Any]:
    """A client bound to a profile, whose calls are split."""
    return {**mine(api_key=key), "plugins": toy(max_images=1)}


def told(service: Service) -> dict[str | None, int]:
    return {key: service.keys.count(key) for key in service.keys}


def test_each_thread_is_a_tenant_of_its_own_however_its_call_is_split(service: Service) -> None:
    made: list[int] = []

    def work(name: str) -> None:
        tenant.set(name)
        made.append(len(client.generate("a cat", n=5)))
        with client.stream("a cat", n=2) as stream:
            stream.finish()

    http = httpx.Client(transport=httpx.MockTransport(service))
    with http, Client(http=http, **bound(key_of_the_tenant)) as client:
        threads = [threading.Thread(target=work, args=(name,)) for name in TENANTS]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert made == [5] * 3
    assert told(service) == {f"Bearer key-of-{name}": 7 for name in TENANTS}


@pytest.mark.anyio
@pytest.mark.parametrize("key", [key_of_the_tenant, key_of_the_tenant_soon])
async def test_each_task_is_a_tenant_of_its_own_however_its_call_is_split(
    service: Service, key: Any
) -> None:
    async def work(name: str) -> None:
        tenant.set(name)
        assert len(await client.generate("a cat", n=5)) == 5
        async with client.stream("a cat", n=2) as stream:
            await stream.finish()

    http = httpx.AsyncClient(transport=httpx.MockTransport(service))
    made = AsyncClient(http=http, **bound(key))
    async with http, made as client, anyio.create_task_group() as group:
        for name in TENANTS:
            group.start_soon(work, name)
    assert told(service) == {f"Bearer key-of-{name}": 7 for name in TENANTS}


def test_a_tenant_that_nobody_named_sends_nothing(driver: Driver, service: Service) -> None:
    with pytest.raises(ConfigurationError, match="the callable that gives the key failed"):
        asked(driver, service, **mine(api_key=key_of_the_tenant))
    assert service.keys == []
