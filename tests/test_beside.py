"""What a client asks beside pictures: files, models, moderation, a request of one's own."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from imagekit import (
    ConfigurationError,
    HttpResponse,
    ImageRequest,
    ModelInfo,
    Moderation,
    PluginError,
    Profile,
    ProviderError,
    RequestError,
    RetryPolicy,
    StoredFile,
    TransportError,
    UnknownProviderError,
    UnsupportedRequestError,
)
from imagekit.provider import Effects, HttpRequest, Part, send, sleep
from spoken import httpx
from toys import KEY, Driver, Inside, Scripted, Watcher, Whole, picture, plugins
from toys import trouble as sighed

QUICK = RetryPolicy(base=0.001)


@dataclass
class Shelf(Whole):
    """A provider that keeps files, lists models and judges prompts."""

    asked: list[ImageRequest] = field(default_factory=list)

    def upload(self, request: ImageRequest) -> Effects[StoredFile]:
        self.asked.append(request)
        given = request.images[0]
        part = Part("file", given.data or b"", given.filename, given.media_type or "")
        answer = yield from send(HttpRequest("POST", "/files", parts=(part,), billable=False))
        if not answer.ok:
            raise sighed(answer)
        return StoredFile.model_validate(answer.json())

    def list_files(self) -> Effects[list[StoredFile]]:
        answer = yield from send(HttpRequest("GET", "/files"))
        return [StoredFile.model_validate(one) for one in answer.json()]

    def list_models(self) -> Effects[list[ModelInfo]]:
        answer = yield from send(HttpRequest("GET", "/models"))
        return [ModelInfo.model_validate(one) for one in answer.json()]

    def moderate(self, request: ImageRequest) -> Effects[Moderation]:
        self.asked.append(request)
        wanted = {"text": request.prompt, "images": len(request.images), "model": request.model}
        answer = yield from send(HttpRequest("POST", "/moderations", json=wanted, billable=False))
        return Moderation.model_validate(answer.json())


class Service:
    """Answers by path, in JSON, and notes what it is asked."""

    def __init__(self, bodies: Mapping[str, Any] = {}, status: int = 200, fails: int = 0) -> None:
        self.bodies, self.status, self.fails = bodies, status, fails
        self.seen: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        if self.fails:
            self.fails -= 1
            raise httpx.ReadError("reset")
        found = self.bodies.get(request.url.path, {})
        return httpx.Response(self.status, json=found, headers={"x-request-id": "r-1"})


def settings(made: object = None, *observers: object, **more: Any) -> dict[str, Any]:
    known = plugins(*observers, toy=made or Shelf())
    return {"plugins": known, "provider": "toy", "env": {}, "retry": QUICK, **more}


class TestFiles:
    @pytest.mark.parametrize("how", ["bytes", "path", "words", "pair", "file"])
    def test_a_picture_is_given_to_keep(self, driver: Driver, tmp_path: Path, how: str) -> None:
        path = tmp_path / "cat.png"
        path.write_bytes(picture(5))
        given = {
            "bytes": lambda: picture(5),
            "path": lambda: path,
            "words": lambda: str(path),
            "pair": lambda: ("cat.png", picture(5)),
            "file": lambda: path.open("rb"),
        }[how]()
        service = Service({"/v1/files": {"id": "f-1", "name": "cat.png", "size": 67}})
        found = driver.call(lambda c: c.upload(given), service, **settings())
        assert found == StoredFile(id="f-1", name="cat.png", size=67)
        (request,) = service.seen
        assert picture(5) in request.content
        assert request.headers["authorization"] == f"Bearer {KEY}"
        name = b"image.png" if how == "bytes" else b"cat.png"
        assert b'filename="' + name in request.content
        if how == "file":
            assert not given.closed
            given.close()

    def test_the_files_are_listed(self, driver: Driver) -> None:
        service = Service({"/v1/files": [{"id": "f-1"}, {"id": "f-2", "purpose": "vision"}]})
        found = driver.call(lambda c: c.files(), service, **settings())
        assert found == (StoredFile(id="f-1"), StoredFile(id="f-2", purpose="vision"))

    def test_several_pictures_are_no_file(self, driver: Driver) -> None:
        with pytest.raises(RequestError):
            driver.call(lambda c: c.upload([picture(), picture()]), **settings())

    def test_a_file_that_is_not_there_was_not_sent(self, driver: Driver, tmp_path: Path) -> None:
        service = Service()
        with pytest.raises(RequestError, match="cannot read the picture") as found:
            driver.call(lambda c: c.upload(tmp_path / "gone.png"), service, **settings())
        assert found.value.billed == "no"
        assert service.seen == []


class TestModels:
    def test_they_are_listed_as_the_provider_has_them_now(self, driver: Driver) -> None:
        bodies = {"/v1/models": [{"id": "toy-1", "shuts_down": "2026-12-01"}, {"id": "toy-2"}]}
        found = driver.call(lambda c: c.models(), Service(bodies), **settings())
        assert [one.id for one in found] == ["toy-1", "toy-2"]
        assert found[0].shuts_down == date(2026, 12, 1)

    def test_a_read_is_repeated_on_any_trouble(self, driver: Driver) -> None:
        service = Service({"/v1/models": []}, fails=2)
        assert driver.call(lambda c: c.models(), service, **settings()) == ()
        assert len(service.seen) == 3
        with pytest.raises(TransportError) as found:
            driver.call(lambda c: c.models(retries=0), Service(fails=1), **settings())
        assert found.value.billed == "no"

    def test_who_is_asked_may_be_said(self, driver: Driver) -> None:
        other = Shelf("https://other.test/v2")
        service = Service({"/v2/models": [{"id": "x"}]})
        mine = settings(plugins=plugins(toy=Shelf(), other=other), profiles=[Profile("o", "other")])
        for name in ("other", "o"):
            found = driver.call(lambda c, name=name: c.models(provider=name), service, **mine)
            assert [one.id for one in found] == ["x"]
        with pytest.raises(UnknownProviderError):
            driver.call(lambda c: c.models(provider="gone"), service, **mine)


class TestModeration:
    def test_a_prompt_and_pictures_are_judged(self, driver: Driver) -> None:
        body = {"flagged": True, "categories": ["cats"], "scores": {"cats": 0.9}, "model": "m-1"}
        service, made = Service({"/v1/moderations": body}), Shelf()
        found = driver.call(
            lambda c: c.moderate("a cat", [picture()], model="m-1"), service, **settings(made)
        )
        assert found == Moderation.model_validate(body)
        wanted = {"text": "a cat", "images": 1, "model": "m-1"}
        assert json.loads(service.seen[0].content) == wanted
        assert made.asked[0].images[0].data == picture()

    def test_either_will_do(self, driver: Driver) -> None:
        service = Service({"/v1/moderations": {"flagged": False}})
        assert not driver.call(lambda c: c.moderate("a cat"), service, **settings()).flagged
        assert not driver.call(
            lambda c: c.moderate(images=picture()), service, **settings()
        ).flagged
        said = [json.loads(one.content) for one in service.seen]
        assert [(one["text"], one["images"]) for one in said] == [("a cat", 0), (None, 1)]

    def test_neither_is_an_error_before_anything_is_sent(self, driver: Driver) -> None:
        service = Service()
        for ask in (
            lambda c: c.moderate(),
            lambda c: c.moderate(""),
            lambda c: c.moderate(None, []),
        ):
            with pytest.raises(RequestError, match="neither a prompt nor a picture") as found:
                driver.call(ask, service, **settings())
            assert found.value.billed == "no"
        assert service.seen == []

    def test_the_clients_own_model_is_one_that_draws(self, driver: Driver) -> None:
        service = Service({"/v1/moderations": {"flagged": False}})
        driver.call(lambda c: c.moderate("a cat"), service, **settings(model="toy-1", n=3))
        assert json.loads(service.seen[0].content)["model"] is None


class TestARequestOfOnesOwn:
    def test_it_goes_to_the_providers_address_with_its_key(self, driver: Driver) -> None:
        service = Service({"/v1/quota": {"left": 3}})
        found = driver.call(
            lambda c: c.request("GET", "/quota", query={"of": "me"}), service, **settings()
        )
        assert isinstance(found, HttpResponse)
        assert (found.status, found.json(), found.ok) == (200, {"left": 3}, True)
        (request,) = service.seen
        assert str(request.url) == "https://toy.test/v1/quota?of=me"
        assert request.headers["authorization"] == f"Bearer {KEY}"

    def test_json_is_sent_and_the_answer_is_as_it_is(self, driver: Driver) -> None:
        service = Service(status=418)
        ask: Any = lambda c: c.request("POST", "/tea", json={"milk": True})  # noqa: E731
        assert driver.call(ask, service, **settings()).status == 418
        assert json.loads(service.seen[0].content) == {"milk": True}

    def test_what_may_cost_is_not_repeated_unless_it_is_said_to_be_free(
        self, driver: Driver
    ) -> None:
        service = Service(fails=1)
        with pytest.raises(TransportError) as found:
            driver.call(lambda c: c.request("POST", "/x"), service, **settings())
        assert (found.value.billed, len(service.seen)) == ("possibly", 1)
        service = Service(fails=1)
        ask: Any = lambda c: c.request("POST", "/x", billable=False)  # noqa: E731
        assert driver.call(ask, service, **settings()).ok
        assert len(service.seen) == 2

    def test_the_key_goes_to_no_other_host(self, driver: Driver) -> None:
        service = Service()
        ask: Any = lambda c: c.request("GET", "https://elsewhere.test/x")  # noqa: E731
        driver.call(ask, service, **settings())
        assert "authorization" not in service.seen[0].headers
        with pytest.raises(PluginError, match="only read from another host"):
            driver.call(
                lambda c: c.request("POST", "https://elsewhere.test/x"), service, **settings()
            )

    def test_a_provider_without_an_address_has_none_to_ask(self, driver: Driver) -> None:
        with pytest.raises(PluginError, match="without an endpoint"):
            driver.call(lambda c: c.request("GET", "/x"), **settings(Inside()))


LACKING: dict[str, tuple[Callable[[Any], Any], str]] = {
    "upload": (lambda c: c.upload(picture()), "toy keeps no files"),
    "files": (lambda c: c.files(), "toy keeps no files"),
    "models": (lambda c: c.models(), "toy lists no models"),
    "moderate": (lambda c: c.moderate("a cat"), "toy moderates nothing by itself"),
}


@pytest.mark.parametrize("verb", LACKING)
def test_who_lacks_it_says_so_before_anything_is_sent(driver: Driver, verb: str) -> None:
    ask, said = LACKING[verb]
    service = Service()
    with pytest.raises(UnsupportedRequestError, match=said) as found:
        driver.call(ask, service, **settings(Whole()))
    assert (found.value.billed, found.value.provider) == ("no", "toy")
    assert service.seen == []


@pytest.mark.parametrize("verb", [*LACKING, "request"])
def test_a_misspelt_word_is_an_error(driver: Driver, verb: str) -> None:
    given: dict[str, list[Any]] = {"upload": [picture()], "moderate": ["a cat"]}
    given["request"] = ["GET", "/x"]
    with pytest.raises(RequestError, match="sise: there is no such parameter"):
        driver.call(lambda c: getattr(c, verb)(*given.get(verb, []), sise=1), **settings())


@pytest.mark.parametrize("verb", LACKING)
def test_a_plugin_that_falls_over_is_the_plugins_fault(driver: Driver, verb: str) -> None:
    def falls(*_: object) -> Any:
        yield from sleep(0)
        raise ZeroDivisionError

    made = Scripted(falls)
    for name in ("upload", "list_files", "list_models", "moderate"):
        setattr(made, name, falls)
    with pytest.raises(PluginError, match="provider 'toy' failed: ZeroDivisionError"):
        driver.call(LACKING[verb][0], **settings(made))


def test_errors_have_what_was_exchanged(driver: Driver) -> None:
    ask: Any = lambda c: c.upload(picture())  # noqa: E731
    with pytest.raises(ProviderError) as found:
        driver.call(ask, Service(status=400), **settings())
    (info,) = found.value.http
    assert (info.method, info.status, info.url) == ("POST", 400, "https://toy.test/v1/files")


def test_observers_see_them_as_calls_without_a_request(driver: Driver) -> None:
    watcher = Watcher()
    service = Service({"/v1/models": []})
    driver.call(lambda c: c.models(), service, **settings(None, watcher))
    assert [hook for hook, _ in watcher.told] == ["sent", "received", "finished"]
    (last,) = watcher.of("finished")
    assert (last["response"], last["error"], last["call"].request) == (None, None, None)


def test_a_deadline_holds_for_them_too(driver: Driver) -> None:
    from imagekit import DeadlineExceededError

    def waits() -> Any:
        yield from sleep(30)

    made = Scripted(waits)
    made.list_models = waits  # type: ignore[attr-defined]
    with pytest.raises(DeadlineExceededError):
        driver.call(lambda c: c.models(deadline=0.05), **settings(made))
    with pytest.raises(RequestError, match="deadline is seconds"):
        driver.call(lambda c: c.models(deadline=-1), **settings(made))
    with pytest.raises(ConfigurationError, match="debug is True or a text file"):
        driver.call(lambda c: c.models(debug="out.txt"), **settings(made))
