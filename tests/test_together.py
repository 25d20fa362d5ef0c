"""Two of the eleven at once: a plan in the cache, a mask in a plan, a list in a plan, and so on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import imagekit
from imagekit import (
    BudgetExceededError,
    Cache,
    Client,
    ConfigurationError,
    ImageRequest,
    Mask,
    Profile,
    RequestError,
    UnsupportedRequestError,
)
from imagekit.provider import Capabilities, Flow, HttpRequest, send
from spoken import httpx
from studio import Host, Jobbing, Studio, studio, told
from toys import Driver, Scripted, picture, spelt


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
def kept(tmp_path: Path) -> Any:
    cache = Cache(tmp_path / "kept")
    yield cache
    cache.close()


class Twice(Studio):
    """Asks twice for one picture, and says only the second time how large it is."""

    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        yield from send(HttpRequest("POST", "/jobs", json={"prompt": request.prompt}))
        return (yield from super().flow(request, stream=stream))


# What is kept


def test_what_only_a_later_request_says_is_another_result(
    driver: Driver, host: Host, kept: Cache
) -> None:
    for size, width in (("8x8", 8), ("16x8", 16)):
        response = driver.call(
            lambda c, s=size: c.generate("a", provider="twice", size=s, unsupported="ignore"),
            host,
            **studio(twice=Twice()),
            cache=kept,
        )
        assert (response.image.width, response.cached) == (width, None)


def test_other_settings_of_one_that_makes_no_requests_are_another_result(
    driver: Driver, kept: Cache
) -> None:
    def colours(config: Any) -> Scripted:
        shade = config.settings.get("shade", 0)

        def flow(request: ImageRequest) -> Any:
            return told({"pictures": [spelt(picture(shade))]})
            yield

        return Scripted(flow)

    made = []
    for shade in (1, 2):
        profile = Profile("mine", "inside", settings={"shade": shade})
        settings = {**studio(inside=colours), "profiles": [profile], "provider": "mine"}
        made.append(driver.call(lambda c: c.generate("a"), **settings, cache=kept))
    assert [one.image.data for one in made] == [picture(1), picture(2)]


def test_a_kept_result_says_what_this_call_is_not(driver: Driver, host: Host, kept: Cache) -> None:
    def features(**fields: Any) -> list[str]:
        response = driver.call(lambda c: c.generate("a", **fields), host, **studio(), cache=kept)
        return [one.feature for one in response.notices]

    host.pictures = [spelt(picture(1, 5, 5))]
    assert features(size="8x8") == ["size"]
    assert features(size="8x8", seed=7) == ["seed", "size"]
    assert features(size="8x8") == ["size"]
    assert len(host.asked) == 1


def test_a_kept_result_is_looked_at_again(driver: Driver, host: Host, kept: Cache) -> None:
    def edit(**how: Any) -> list[str]:
        mask = Mask.box((0, 0, 4, 8))
        response = driver.call(
            lambda c: c.edit("a", [picture(200, 16, 8)], mask=mask, size="16x8", **how),
            host,
            **studio(),
            cache=kept,
        )
        return [one.feature for one in response.notices]

    assert edit() == []
    assert edit(check_mask=True) == ["mask"]
    assert len(host.asked) == 1


def test_a_client_has_a_cache_of_its_own_or_none(tmp_path: Path) -> None:
    for said in (tmp_path / "one", str(tmp_path / "two")):
        with Client(cache=said, **studio()) as client:  # type: ignore[arg-type]
            own = client._calls._cache
            assert own is not None
            assert own.path == Path(said)
    with pytest.raises(ConfigurationError, match="cache='refresh' is of one call"):
        Client(cache="refresh", **studio())


# What a plan keeps of its call


def test_a_plan_keeps_whom_it_may_fall_back_to_and_why(driver: Driver, host: Host) -> None:
    class Picky(Studio):
        def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
            yield from send(HttpRequest("POST", "/jobs", json={}))
            raise imagekit.ContentRejectedError("not here", billed="no")

    settings = studio(picky=Picky())
    plan = driver.call(
        lambda c: c.plan("a", provider=["picky", "studio"], fall_back_on=["rejected"]),
        host,
        **settings,
    )
    assert driver.call(lambda c: c.run(plan), host, **settings).provider == "studio"
    with pytest.raises(imagekit.ContentRejectedError):
        driver.call(lambda c: c.run(plan, fall_back_on=[]), host, **settings)


def test_a_plan_passes_over_who_cannot(driver: Driver, host: Host) -> None:
    class Late(Studio):
        def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
            raise UnsupportedRequestError("not that")
            yield

    blind = Scripted(lambda request: None, operations=frozenset({"edit"}))
    settings = studio(blind=blind, late=Late())
    how: dict[str, Any] = {"fall_back_on": ["unsupported"]}
    for first in ("blind", "late"):
        plan = driver.call(
            lambda c, f=first: c.plan("a", provider=[f, "studio"], **how), host, **settings
        )
        assert (plan.provider, plan.notices[-1].wanted) == ("studio", first)
        for names in ([first, "studio"], [first]):
            words = {} if len(names) == 2 else how
            with pytest.raises(UnsupportedRequestError):
                driver.call(
                    lambda c, n=names, w=words: c.plan("a", provider=n, **w), host, **settings
                )
    later = driver.call(lambda c: c.plan("a", provider=["studio", "late"]), host, **settings)
    assert (later.then, later.notices[-1].wanted) == ((), "late")
    assert host.asked == []


def test_a_plan_is_refused_by_its_own_budget(driver: Driver, host: Host) -> None:
    with pytest.raises(BudgetExceededError):
        driver.call(lambda c: c.plan("a", budget="0.24"), host, **studio())
    assert driver.call(lambda c: c.plan("a", budget="0.25"), host, **studio()).estimate.known


def test_a_plan_checks_the_mask_as_its_call_would(driver: Driver, host: Host) -> None:
    request = ImageRequest(
        prompt="a", images=(picture(200, 16, 8),), mask=Mask.box((0, 0, 4, 8)), size="16x8"
    )
    plan = driver.call(lambda c: c.plan(request, check_mask=True), host, **studio())
    response = driver.call(lambda c: c.run(plan), host, **studio())
    assert [one.feature for one in response.notices] == ["mask"]


def test_what_fails_keeps_its_plan_too(driver: Driver, host: Host) -> None:
    host.statuses = [500]
    with pytest.raises(imagekit.ProviderError) as found:
        driver.call(lambda c: c.generate("a", keep_plan=True), host, **studio())
    assert found.value.response is not None
    assert found.value.response.plan is not None


def test_a_plan_as_json_is_a_plan_and_never_a_prompt(driver: Driver, host: Host) -> None:
    text = str(driver.call(lambda c: c.plan("a"), host, **studio()))
    assert driver.call(lambda c: c.run(text), host, **studio()).ok
    assert driver.stream(text, host, **studio())[-1].response.ok
    assert {json.loads(one.content)["prompt"] for one in host.asked} == {"a"}
    with pytest.raises(RequestError, match="this is a plan, and no prompt"):
        driver.call(lambda c: c.plan(text), host, **studio())
    with pytest.raises(RequestError, match="this is no plan"):
        driver.call(lambda c: c.run("a fox"), host, **studio())
    for said in ("a fox", text):
        answer = driver.call(
            lambda c, s=said: c.run(s, raise_on_error=False, n=2), host, **studio()
        )
        assert (answer.ok, len(answer.slots)) == (False, 1 if said == text else 2)


# What is of no job


@pytest.mark.parametrize(
    "how",
    [{"check_mask": True}, {"keep_plan": True}, {"cache": True}, {"fall_back_on": ["rejected"]}],
)
def test_a_job_takes_no_word_that_it_could_not_keep(
    driver: Driver, host: Host, how: dict[str, Any]
) -> None:
    settings = studio(jobs=Jobbing())
    [word] = how
    job = str(driver.call(lambda c: c.submit("a", provider="jobs"), host, **settings))
    before = len(host.asked)
    for verb in (
        lambda c: c.submit("a", provider="jobs", **how),
        lambda c: c.batch([ImageRequest(prompt="a")], provider="jobs", **how),
        lambda c: c.resume(job, **how),
    ):
        with pytest.raises(RequestError, match=rf"^{word}\b.*(no such parameter|not of jobs)"):
            driver.call(verb, host, **settings)
    with pytest.raises(RequestError, match="a job is one provider's"):
        driver.call(lambda c: c.submit("a", provider=["jobs", "studio"]), host, **settings)
    assert len(host.asked) == before


# A list where one is meant


def test_the_first_of_a_list_is_who_is_looked_at(host: Host) -> None:
    http = httpx.Client(transport=httpx.MockTransport(host))
    with Client(http=http, **studio()) as client:
        able: Capabilities = client.capabilities(provider=["studio", "nobody"])  # type: ignore[arg-type]
        assert able.model == "studio-1"
    http.close()


def test_a_price_wins_over_free() -> None:
    patch = {"sketch": {"*": {"prices": {"items": [{"unit": "image", "amount": "0.02"}]}}}}
    with Client(provider="sketch", capabilities=patch) as client:
        assert str(client.plan("a").estimate.high) == "0.02"
        with pytest.raises(BudgetExceededError):
            client.generate("a", size="16x16", budget="0.01")
