"""Keys that are asked for: anew for each request, by a function or an async one."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import anyio
import pytest

from imagekit import (
    AsyncClient,
    Client,
    ConfigurationError,
    ImageRequest,
    MissingCredentialError,
    Profile,
    ProviderError,
    RetryPolicy,
    TransportError,
)
from imagekit._keys import bearer, credential, header
from imagekit.provider import Capabilities, HttpRequest, checkpoint, send
from imagekit.testing import play
from spoken import httpx
from toys import Driver, Watcher, Whole, decoded, picture, plugins, spelt

QUICK = RetryPolicy(base=0.001)
tenant: ContextVar[str] = ContextVar("tenant")


def made(config: Any) -> Whole:
    """A provider that proves who calls by what its configuration says."""
    return Whole(key=config.api_key, able=Capabilities(max_images=2))


def settings(key: Any, *observers: object, **more: Any) -> dict[str, Any]:
    known = plugins(*observers, toy=made)
    return {"plugins": known, "provider": "toy", "api_key": key, "env": {}, "retry": QUICK, **more}


class Service:
    def __init__(self, *answers: httpx.Response) -> None:
        self.answers = list(answers)
        self.keys: list[str | None] = []
        self._lock = threading.Lock()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        with self._lock:
            self.keys.append(request.headers.get("authorization"))
            if self.answers:
                return self.answers.pop(0)
        return httpx.Response(200, json={"pictures": [spelt(picture())]})


def counting() -> Callable[[], str]:
    """Gives another key each time."""
    count = iter(range(1, 1000))
    lock = threading.Lock()

    def key() -> str:
        with lock:
            return f"sk-number-{next(count):04}"

    return key


def ask(driver: Driver, service: Service, key: Any, *observers: object, **fields: Any) -> Any:
    how = settings(key, *observers)
    return driver.call(lambda c: c.generate("a cat", **fields), service, **how)


def test_a_function_is_asked_anew_for_each_request(driver: Driver) -> None:
    service = Service(httpx.Response(429, headers={"retry-after": "0"}))
    assert ask(driver, service, counting()).ok
    assert service.keys == ["Bearer sk-number-0001", "Bearer sk-number-0002"]


def test_so_it_is_for_parts_side_by_side(driver: Driver) -> None:
    service = Service()
    ask(driver, service, counting(), n=6)
    assert sorted(filter(None, service.keys)) == [f"Bearer sk-number-{n:04}" for n in (1, 2, 3)]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_async_function_is_awaited_by_an_async_client(backend: str) -> None:
    async def key() -> str:
        await anyio.sleep(0)
        return "sk-async-0123"

    class Gives:
        async def __call__(self) -> str:
            return "sk-object-0123"

    for given, said in (
        (key, "sk-async-0123"),
        (lambda: key(), "sk-async-0123"),
        (Gives(), "sk-object-0123"),
    ):
        service = Service()
        assert ask(Driver(backend), service, given).ok
        assert service.keys == [f"Bearer {said}"]


def test_an_async_function_given_to_a_blocking_client_is_said_so() -> None:
    async def key() -> str:
        raise AssertionError("nobody can await it")

    class Awaitable:
        def __await__(self) -> Any:
            raise AssertionError("nobody can await it")

    for given in (key, lambda: Awaitable()):
        service = Service()
        with pytest.raises(ConfigurationError, match="use AsyncClient") as found:
            ask(Driver("sync"), service, given)
        assert (found.value.billed, found.value.provider) == ("no", "toy")
        assert service.keys == []


def test_a_profile_has_its_own(driver: Driver) -> None:
    service = Service()
    profiles = [Profile(name, "toy", api_key=lambda name=name: f"sk-{name}-0123") for name in "ab"]
    for name in "ab":
        how = settings(None, profiles=profiles, provider=name)
        driver.call(lambda c: c.generate("a cat"), service, **how)
    assert service.keys == ["Bearer sk-a-0123", "Bearer sk-b-0123"]


def test_a_key_may_be_the_callers_of_this_very_call(driver: Driver) -> None:
    def key() -> str:
        return f"sk-{tenant.get()}-0123"

    service = Service()
    for name in ("anna", "berta"):
        token = tenant.set(name)
        ask(driver, service, key, n=4)
        tenant.reset(token)
    assert service.keys == ["Bearer sk-anna-0123"] * 2 + ["Bearer sk-berta-0123"] * 2


@pytest.mark.parametrize(
    ("gives", "said"),
    [
        (lambda: 1 / 0, "the callable that gives the key failed: ZeroDivisionError"),
        (lambda: "", "the callable that gives the key gave an empty key"),
        (lambda: None, "the callable that gives the key gave NoneType"),
        (lambda: b"sk", "the callable that gives the key gave bytes"),
        (lambda: "sk-with\nnewline", "holds what no header may"),
    ],
)
def test_one_that_gives_none_was_not_sent_and_is_said(
    driver: Driver, gives: Any, said: str
) -> None:
    service = Service()
    with pytest.raises(ConfigurationError, match=said) as found:
        ask(driver, service, gives)
    assert found.value.billed == "no"
    assert service.keys == []


def test_what_the_function_said_in_falling_over_is_not_quoted(driver: Driver) -> None:
    def key() -> str:
        raise RuntimeError("the vault refused sk-secret-0123")

    with pytest.raises(ConfigurationError) as found:
        ask(driver, Service(), key)
    assert "sk-secret" not in "".join(traceback.format_exception(found.value))


def test_an_error_of_ours_goes_through(driver: Driver) -> None:
    def key() -> str:
        raise MissingCredentialError("log in first")

    with pytest.raises(MissingCredentialError, match="log in first") as found:
        ask(driver, Service(), key)
    assert found.value.billed == "no"


def test_it_is_hushed_as_any_key_is(driver: Driver) -> None:
    watcher = Watcher()

    def echoes(request: httpx.Request) -> httpx.Response:
        given = request.headers["authorization"]
        return httpx.Response(401, json={"echo": given}, headers={"x-echo": given})

    how = settings(counting(), watcher)
    with pytest.raises(ProviderError) as found:
        driver.call(lambda c: c.generate("a cat"), echoes, **how)
    (info,) = found.value.http
    assert info.headers["x-echo"] == "Bearer …"
    assert "sk-number" not in f"{info.text}{watcher.told!r}"
    (sent,) = watcher.of("received")
    assert b"sk-number" not in sent["response"].body


def test_a_key_that_ends_while_a_job_goes_on_leaves_the_job(driver: Driver) -> None:
    class Waits(Whole):
        def flow(self, request: ImageRequest, *, stream: bool) -> Any:
            yield from send(HttpRequest("POST", "/jobs"))
            yield from checkpoint({"job": "1"})
            return (yield from self.resume({"job": "1"}))

        def resume(self, handle: Any) -> Any:
            answer = yield from send(HttpRequest("GET", "/jobs/1"))
            return decoded(answer.json())

    left = iter(["sk-first-0123"])

    def key() -> str:
        return next(left)

    how = settings(key, plugins=plugins(toy=lambda config: Waits(key=config.api_key)))
    with pytest.raises(ConfigurationError) as found:
        driver.call(lambda c: c.generate("a cat"), Service(), **how)
    assert found.value.billed == "possibly"
    assert found.value.job is not None


async def test_a_slow_key_ends_with_the_call(anyio_backend: str) -> None:
    async def key() -> str:
        await anyio.sleep(30)
        return "sk"

    service = Service()
    async with AsyncClient(http=httpx.MockTransport(service), **settings(key)) as client:
        with pytest.raises(TransportError, match="deadline") as found:
            await client.generate("a cat", deadline=0.05)
        assert found.value.billed == "no"
        with anyio.move_on_after(0.05) as scope:
            await client.generate("a cat")
        assert scope.cancelled_caught
    assert service.keys == []


def test_a_client_shows_no_key() -> None:
    with Client(**settings("sk-secret-0123")) as client:
        assert "sk-secret" not in repr(client) + repr(vars(client))


class TestCredential:
    def test_a_key_is_itself(self) -> None:
        assert play(credential("sk")).response == "sk"
        assert play(credential(lambda: "sk")).response == "sk"

    @pytest.mark.parametrize("none", [None, ""])
    def test_none_is_none(self, none: Any) -> None:
        assert play(credential(none)).response is None

    def test_bearer_wants_one(self) -> None:
        request = HttpRequest("GET", "/x")
        assert play(bearer("sk")(request)).response == {"authorization": "Bearer sk"}
        with pytest.raises(MissingCredentialError, match="wants an API key"):
            play(bearer(None)(request))

    @pytest.mark.parametrize(
        ("prefix", "said"), [("", "sk"), ("Token ", "Token sk")], ids=["bare", "prefixed"]
    )
    def test_a_header_of_its_own_wants_one_too(self, prefix: str, said: str) -> None:
        request = HttpRequest("GET", "/x")
        for key in ("sk", lambda: "sk"):
            assert play(header("x-easel-key", key, prefix)(request)).response == {
                "x-easel-key": said
            }
        with pytest.raises(MissingCredentialError, match="wants an API key"):
            play(header("x-easel-key", None, prefix)(request))
