from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import imagekit
from imagekit import (
    Image,
    ImageRequest,
    Mask,
    Plan,
    PluginError,
    Profile,
    RequestError,
    UnknownProviderError,
    UnsupportedRequestError,
)
from imagekit._default import default
from imagekit.provider import (
    Capabilities,
    Flow,
    HttpRequest,
    SizeRule,
    call,
    checkpoint,
    emit,
    gather,
    notice,
    send,
    sleep,
)
from spoken import httpx
from toys import Driver, Inside, Scripted, Whole, decoded, done, picture, plugins, spelt

PNG = picture(9, 4, 4)
GONE = {"host", "accept", "accept-encoding", "connection", "authorization"}


@dataclass
class Wire:
    """What reaches the provider, and pictures for it."""

    seen: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.seen.append(request)
        body = request.content
        n = json.loads(body).get("n", 1) if body.startswith(b"{") else 1
        if "/responses" in str(request.url):
            item = {"type": "image_generation_call", "id": "ig_1", "result": spelt(PNG)}
            answer = {"id": "resp_1", "status": "completed", "output": [item]}
            if b'"stream":true' in body:
                events = {"type": "response.completed", "response": answer}
                return _events(events)
            return httpx.Response(200, json=answer)
        if "api.openai.com" in str(request.url):
            if b'"stream":true' in body:
                return _events({"type": "image_generation.completed", "b64_json": spelt(PNG)})
            return httpx.Response(200, json={"data": [{"b64_json": spelt(PNG)}] * n})
        return httpx.Response(200, json=done(*[spelt(PNG)] * n))


def _events(*events: dict[str, Any]) -> httpx.Response:
    data = "".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n" for one in events)
    return httpx.Response(200, content=data, headers={"content-type": "text/event-stream"})


def toys(**made: object) -> dict[str, Any]:
    return {"plugins": plugins(**{"toy": Whole(), **made}), "env": {}, "config": False}


OPENAI = {"env": {"OPENAI_API_KEY": "sk-test-0123456789"}, "config": False}
ASKED = {
    "one": (ImageRequest(prompt="a fox"), {}),
    "split": (ImageRequest(prompt="a fox", n=23, seed=4, size="16:9"), {}),
    "edit": (ImageRequest(prompt="a hat", images=(PNG, PNG)), {}),
    "mask": (
        ImageRequest(prompt="a hat", images=(PNG,), mask=Mask(PNG, edit_where="opaque")),
        {},
    ),
    "options": (ImageRequest(prompt="a", options={"openai": {"complexity": "low"}}), {}),
    "streamed": (ImageRequest(prompt="a fox", partial_images=2), {"stream": True}),
}


# What a plan says is what is sent


@pytest.mark.parametrize("name", ["openai-images", "openai-responses"])
@pytest.mark.parametrize("asked", ASKED)
def test_what_is_sent_is_byte_by_byte_what_the_plan_says(
    driver: Driver, name: str, asked: str
) -> None:
    request, how = ASKED[asked]
    wire = Wire()
    plan = driver.call(lambda c: c.plan(request, **how), wire, provider=name, **OPENAI)
    assert wire.seen == []
    again = Plan.model_validate_json(str(plan))
    for one in (plan, again):
        wire.seen.clear()
        response = driver.call(lambda c, one=one: c.run(one), wire, provider=name, **OPENAI)
        assert response.images
        # What is sent side by side comes in any order.
        assert sorted(map(_told, wire.seen)) == sorted(
            (one.method, one.url, one.body, _headers(one.headers)) for one in plan.requests
        )
        assert len(plan.requests) == plan.calls
        assert response.plan == one


def _told(request: httpx.Request) -> tuple[Any, ...]:
    return request.method, str(request.url), request.content, _headers(request.headers)


def _headers(headers: Any) -> tuple[Any, ...]:
    return tuple(sorted((name, one) for name, one in headers.items() if name not in GONE))


def test_the_call_itself_sends_what_its_plan_says(driver: Driver) -> None:
    for request, how in ASKED.values():
        wire = Wire()
        plan = driver.call(
            lambda c, r=request, h=how: c.plan(r, **h), wire, provider="openai-images", **OPENAI
        )
        if how:
            continue
        driver.call(lambda c, r=request: c.run(r), wire, provider="openai-images", **OPENAI)
        assert sorted(one.content for one in wire.seen) == sorted(
            one.body for one in plan.requests if one.body
        )


def test_a_plan_streams(driver: Driver) -> None:
    wire, request = Wire(), ImageRequest(prompt="a fox", partial_images=1)
    plan = driver.call(
        lambda c: c.plan(request, stream=True), wire, provider="openai-images", **OPENAI
    )
    assert plan.stream
    seen = driver.stream(plan, wire, provider="openai-images", **OPENAI)
    assert [type(one).__name__ for one in seen][-2:] == ["ImageReady", "Completed"]
    assert wire.seen[0].content == plan.requests[0].body


def test_no_key_is_in_a_plan_and_none_is_needed(driver: Driver) -> None:
    with_key = driver.call(lambda c: c.plan("a fox"), Wire(), provider="openai-images", **OPENAI)
    assert "sk-test" not in with_key.model_dump_json() + repr(with_key)
    assert not any("sk-test" in str(one.headers) for one in with_key.requests)
    without = driver.call(
        lambda c: c.plan("a fox"), Wire(), provider="openai-images", env={}, config=False
    )
    assert without == with_key
    assert without.key == with_key.key
    with pytest.raises(imagekit.MissingCredentialError):
        driver.call(lambda c: c.run(without), Wire(), provider="openai-images", env={})


def test_a_plan_says_what_is_adapted_and_what_is_dropped(driver: Driver) -> None:
    plan = driver.call(
        lambda c: c.plan("a fox", seed=3, size="100x100", partial_images=9),
        provider="openai-images",
        **OPENAI,
    )
    assert [one.feature for one in plan.notices] == ["seed", "partial_images", "size"]
    assert plan.request.size == plan.requests[0].json_body()["size"] != "100x100"
    assert plan.request.seed is None


def test_a_plan_of_what_cannot_be_asked_is_the_error_of_the_call(driver: Driver) -> None:
    for prompt, fields in (("", {}), ("a", {"n": 0}), ("a", {"nonsense": 1})):
        with pytest.raises(RequestError) as found:
            driver.call(lambda c, p=prompt, f=fields: c.plan(p, **f), **toys(), provider="toy")
        assert found.value.billed == "no"
    with pytest.raises(UnsupportedRequestError, match="takes no mask"):
        driver.call(
            lambda c: c.plan(ASKED["mask"][0]),
            **toys(toy=Whole(able=Capabilities(operations=frozenset({"edit"})))),
            provider="toy",
        )
    with pytest.raises(RequestError, match="cannot read the picture"):
        driver.call(
            lambda c: c.plan("a", images=["nowhere.png"]),
            **toys(toy=Whole(able=Capabilities(operations=frozenset({"edit"})))),
            provider="toy",
        )


def test_files_are_read_when_it_is_planned(driver: Driver, tmp_path: Path) -> None:
    path = tmp_path / "otter.png"
    path.write_bytes(PNG)
    wire = Wire()
    plan = driver.call(
        lambda c: c.plan("a hat", images=[path]), wire, provider="openai-images", **OPENAI
    )
    path.unlink()
    assert str(tmp_path) not in str(plan)
    driver.call(lambda c: c.run(plan), wire, provider="openai-images", **OPENAI)
    assert PNG in wire.seen[0].content


# What a plan refuses


class Fickle(Whole):
    """Says something else each time."""

    said = 0

    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        self.said += 1
        answer = yield from send(HttpRequest("POST", "/pictures", json={"n": 1, "x": self.said}))
        return decoded(answer.json())


def test_what_would_send_something_else_is_not_sent(driver: Driver) -> None:
    wire = Wire()

    def both(c: Any) -> Any:
        return c.plan("a fox", provider="toy")

    settings = toys(toy=Fickle())
    plan = driver.call(both, wire, **settings)
    with pytest.raises(RequestError, match="something else than the plan says; make") as found:
        driver.call(lambda c: c.run(plan), wire, **settings)
    assert found.value.billed == "no"
    assert wire.seen == []


def test_a_plan_goes_to_no_other_address(driver: Driver) -> None:
    wire = Wire()
    plan = driver.call(lambda c: c.plan("a fox"), wire, provider="toy", **toys())
    with pytest.raises(RequestError, match=r"https://else\.test/pictures is asked, and the plan"):
        driver.call(lambda c: c.run(plan), wire, **toys(toy=Whole("https://else.test")))
    assert wire.seen == []


def test_a_plan_is_its_providers(driver: Driver) -> None:
    profile = Profile("studio", "toy", base_url="https://toy.test/v2")
    plan = driver.call(lambda c: c.plan("a"), provider="studio", profiles=[profile], **toys())
    assert (plan.name, plan.provider, plan.profile) == ("studio", "toy", "studio")
    with pytest.raises(UnknownProviderError, match="the plan is of the profile 'studio'"):
        driver.call(lambda c: c.run(plan), **toys())
    with pytest.raises(RequestError, match="a plan says who is asked"):
        driver.call(lambda c: c.run(plan, provider="toy"), **toys())
    with pytest.raises(RequestError, match="n: there is no such parameter"):
        driver.call(lambda c: c.run(plan, n=2), **toys())


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"provider": "toy"}', "no JSON"])
def test_what_is_no_plan_is_an_error(text: str) -> None:
    with pytest.raises(RequestError, match="this is no plan that plan"):
        imagekit._plan.plan_of(text)  # type: ignore[attr-defined]


# What cannot be known beforehand


def test_what_depends_on_an_answer_is_not_planned(driver: Driver) -> None:
    class Asking(Whole):
        def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
            first = yield from send(HttpRequest("GET", "/models"))
            answer = yield from send(
                HttpRequest("POST", "/pictures", json={"n": 1, "m": first.status})
            )
            return decoded(answer.json())

    wire = Wire()
    plan = driver.call(lambda c: c.plan("a"), wire, provider="toy", **toys(toy=Asking()))
    assert (plan.complete, plan.calls) == (False, 1)
    assert [(one.method, one.billable) for one in plan.requests] == [("GET", False)]
    driver.call(lambda c: c.run(plan), wire, **toys(toy=Asking()))
    assert [one.method for one in wire.seen] == ["GET", "POST"]


def test_a_picture_that_has_to_be_fetched_is_not_fetched_for_a_plan(driver: Driver) -> None:
    able = Capabilities(operations=frozenset({"edit"}))
    wire = Wire()
    plan = driver.call(
        lambda c: c.plan("a", images=["https://pictures.test/a.png?sig=secret"]),
        wire,
        provider="toy",
        **toys(toy=Whole(able=able)),
    )
    assert wire.seen == []
    assert not plan.complete
    assert [one.url for one in plan.requests] == ["https://pictures.test/a.png?…"]


def test_a_provider_without_requests_is_not_begun(driver: Driver) -> None:
    def never(request: ImageRequest) -> Any:
        raise AssertionError("it was begun")
        yield

    plan = driver.call(
        lambda c: c.plan("a", n=3), provider="toy", **toys(toy=Scripted(never, max_images=2))
    )
    assert (plan.requests, plan.complete, plan.calls) == ((), True, 2)


def test_on_the_way_to_its_first_request_a_flow_may_do_as_it_likes(driver: Driver) -> None:
    class Busy(Whole):
        def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
            yield from notice(imagekit.Notice(kind="other", feature="busy"))
            yield from emit(imagekit.Progress(step=1, total=2))
            yield from sleep(3600)
            yield from checkpoint({"job": 1})
            with pytest.raises(OSError, match="no luck"):
                yield from call(_unlucky)
            word = yield from call(lambda: "called")
            some = yield from gather([self.one(word), self.one("b"), self.none()])
            raise AssertionError(some)

        def one(self, word: str) -> Flow:
            answer = yield from send(HttpRequest("POST", "/pictures", json={"word": word}))
            return decoded(answer.json())

        def none(self) -> Flow:
            return imagekit.ImageResponse(slots=(Image(data=PNG),))
            yield

    plan = driver.call(lambda c: c.plan("a"), Wire(), provider="toy", **toys(toy=Busy()))
    assert [one.json_body() for one in plan.requests] == [{"word": "called"}, {"word": "b"}]
    assert [one.feature for one in plan.notices] == ["busy"]
    assert plan.calls == 2


def _unlucky() -> None:
    raise OSError("no luck")


def test_what_a_flow_raises_before_it_asks_is_raised(driver: Driver) -> None:
    class Wrong(Whole):
        def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
            yield from gather([self.bad()])
            raise AssertionError

        def bad(self) -> Flow:
            raise UnsupportedRequestError("not this")
            yield

    with pytest.raises(UnsupportedRequestError, match="not this") as found:
        driver.call(lambda c: c.plan("a"), provider="toy", **toys(toy=Wrong()))
    assert (found.value.provider, found.value.billed) == ("toy", "no")


def test_a_flow_that_makes_no_effect_is_the_plugins_fault(driver: Driver) -> None:
    class Wrong(Whole):
        def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
            yield "nonsense"  # type: ignore[misc]
            raise AssertionError

    with pytest.raises(PluginError, match="effects only"):
        driver.call(lambda c: c.plan("a"), provider="toy", **toys(toy=Wrong()))


def test_what_no_header_may_hold_is_found_by_a_plan(driver: Driver) -> None:
    class Wrong(Whole):
        def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
            yield from send(HttpRequest("POST", "/x", headers={"a": "\u2028"}))
            raise AssertionError

    with pytest.raises(RequestError, match="cannot be written"):
        driver.call(lambda c: c.plan("a"), provider="toy", **toys(toy=Wrong()))


# Keys, names, several


def test_equal_plans_have_equal_keys_and_others_have_others(driver: Driver) -> None:
    def key(prompt: str = "a", toy: object = None, **fields: Any) -> str:
        settings = toys(toy=toy or Whole(), inside=Inside())
        found = driver.call(lambda c: c.plan(prompt, **{"provider": "toy", **fields}), **settings)
        return str(found.key)

    assert key() == key()
    keys = {
        key(),
        key("b"),
        key(n=2),
        key(model="toy-2"),
        key(toy=Whole("https://else.test")),
        key(provider="inside"),
        key("b", provider="inside"),
        key(provider="inside", seed=3),
    }
    assert len(keys) == 8


def test_a_key_outlives_json() -> None:
    with imagekit.Client(provider="sketch") as client:
        plan = client.plan("a fox", size="64x64")
        image = client.run(plan).image
        edit = client.plan("a hat", images=[image])
        for one in (plan, edit):
            again = Plan.model_validate_json(str(one))
            assert again.key == one.key
            assert client.run(again).image == client.run(one).image


def test_several_providers_are_planned_one_after_the_other(driver: Driver) -> None:
    maskless = Whole("https://two.test", able=Capabilities(operations=frozenset({"generate"})))
    edits = Whole(able=Capabilities(operations=frozenset({"edit"}), size=SizeRule(sizes=("8x8",))))
    plan = driver.call(
        lambda c: c.plan("a", images=[PNG], provider=["toy", "two", "three:m-3"]),
        **toys(toy=edits, two=maskless, three=edits),
    )
    assert (plan.provider, [one.provider for one in plan.then]) == ("toy", ["three"])
    assert plan.then[0].model == "m-3"
    assert [(one.feature, one.wanted) for one in plan.notices] == [("provider", "two")]


def test_a_plan_is_short_to_see() -> None:
    with imagekit.Client(provider="sketch") as client:
        plan = client.plan("a fox" * 500, n=2)
    assert repr(plan).startswith("<Plan generate by sketch/sketch-1: 1 call, ")
    assert len(repr(plan)) < 200
    assert Plan.model_validate_json(str(plan)) == plan


def test_a_body_is_shown_as_json_where_it_is_json() -> None:
    with imagekit.Client(provider="openai-images", **OPENAI) as client:
        assert client.plan("a").requests[0].json_body()["prompt"] == "a"
        form = client.plan(ASKED["edit"][0])
        assert form.requests[0].json_body() is None
        assert Plan.model_validate_json(str(form)).requests[0].body is None


def test_an_address_that_holds_a_secret_is_not_shown(driver: Driver) -> None:
    toy = Whole("https://toy.test/v1?code=secret")
    plan = driver.call(lambda c: c.plan("a"), provider="toy", **toys(toy=toy))
    assert plan.requests[0].url == "https://toy.test/v1/pictures?…"
    assert "secret" not in str(plan)


def test_the_default_client_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGEKIT_PROVIDER", "sketch")
    plan = imagekit.plan("a fox", size="32x32")
    assert imagekit.run(plan).image == default().run(plan).image
    imagekit.configure()


def test_a_response_keeps_its_plan_where_that_is_asked(driver: Driver) -> None:
    kept = driver.call(lambda c: c.generate("a", keep_plan=True), Wire(), provider="toy", **toys())
    assert kept.plan is not None
    assert kept.plan.request.prompt == "a"
    plain = driver.call(lambda c: c.generate("a"), Wire(), provider="toy", **toys())
    assert plain.plan is None
