"""What a client spends, over calls of every kind, and how fast it may."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import imagekit
from imagekit import (
    AsyncClient,
    Budget,
    BudgetExceededError,
    Cache,
    Client,
    ConfigurationError,
    ImageRequest,
    RequestError,
)
from imagekit._around import MOST
from imagekit._prices import Estimate
from imagekit.provider import Capabilities, Flow, HttpRequest, checkpoint, send
from spoken import httpx
from studio import Host, Jobbing, Studio, studio
from toys import Driver


class Batching(Jobbing):
    """A host that makes several requests as one job, for less."""

    def capabilities(self, model: str | None) -> Capabilities:
        able = super().capabilities(model)
        assert able.prices is not None
        prices = able.prices.model_copy(update={"batch": Decimal("0.5")})
        return able.model_copy(update={"prices": prices})

    def batch(self, requests: Any) -> Flow:
        said = [one.prompt for one in requests]
        answer = yield from send(HttpRequest("POST", "/jobs", json={"prompts": said}))
        yield from checkpoint({"id": answer.json()["id"]})
        return (yield from self.resume({"id": answer.json()["id"]}))


@pytest.fixture
def host() -> Host:
    return Host()


def spent(driver: Driver, verb: Any, host: Host, **settings: Any) -> tuple[Any, Any]:
    """What *verb* gives, and the totals of its client."""
    if driver.blocking:
        return driver.call(lambda c: (verb(c), c.spent), host, **settings)  # type: ignore[no-any-return]

    async def both(client: AsyncClient) -> tuple[Any, Any]:
        return await verb(client), client.spent

    return driver.call(both, host, **settings)  # type: ignore[no-any-return]


def test_totals_are_of_all_calls(driver: Driver, host: Host) -> None:
    _, totals = spent(driver, lambda c: c.generate("a", n=3), host, **studio())
    assert (totals.total(), totals.images, totals.calls) == (Decimal("0.75"), 3, 1)


def test_what_was_kept_costs_nothing_again(driver: Driver, host: Host, tmp_path: Path) -> None:
    kept = Cache(tmp_path / "kept")
    for paid in (Decimal("0.25"), Decimal()):
        response, totals = spent(
            driver, lambda c: c.generate("a"), host, **studio(), cache=kept, budget="0.25"
        )
        assert totals.total() == paid
        assert str(response.cost.amount) == "0.25"
    assert len(host.asked) == 1
    driver.call(lambda c: c.generate("a", cache="refresh"), host, **studio(), cache=kept)
    driver.call(lambda c: c.generate("a", cache=False), host, **studio(), cache=kept)
    assert len(host.asked) == 3
    with pytest.raises(RequestError, match="cache is True, False, 'refresh' or a Cache"):
        driver.call(lambda c: c.generate("a", cache="yes"), host, **studio())
    kept.close()


def test_a_job_is_paid_for_once(driver: Driver, host: Host) -> None:
    settings = studio(jobs=Jobbing())
    budget = {"provider": "jobs", "budget": Budget("0.25")}

    if driver.blocking:

        def all_of_it(client: Client) -> list[Any]:
            job = client.submit("a", **budget)
            found = [client.spent]
            for _ in range(2):
                assert client.resume(job).ok
                found.append(client.spent)
            return found

    else:

        async def all_of_it(client: AsyncClient) -> list[Any]:  # type: ignore[misc]
            job = await client.submit("a", **budget)
            found = [client.spent]
            for _ in range(2):
                assert (await client.resume(job)).ok
                found.append(client.spent)
            return found

    submitted, *resumed = driver.call(all_of_it, host, **settings)
    assert (submitted.unknown, submitted.calls, submitted.total()) == (1, 1, 0)
    for totals in resumed:
        assert (totals.unknown, totals.calls, totals.total()) == (0, 1, Decimal("0.25"))
    with pytest.raises(BudgetExceededError):
        driver.call(lambda c: c.submit("a", provider="jobs", budget="0.24"), host, **settings)


def test_a_job_of_another_process_is_counted_where_it_is_finished(
    driver: Driver, host: Host
) -> None:
    settings = studio(jobs=Jobbing())
    job = str(driver.call(lambda c: c.submit("a", provider="jobs"), host, **settings))
    response, totals = spent(driver, lambda c: c.resume(job), host, **settings)
    assert (str(response.cost.amount), totals.total()) == ("0.25", Decimal("0.25"))


def test_what_a_job_costs_that_fails_is_not_known(driver: Driver, host: Host) -> None:
    class Failing(Jobbing):
        def resume(self, handle: Mapping[str, Any]) -> Flow:
            raise imagekit.ProviderError("it failed")
            yield

    settings = studio(jobs=Failing(), raise_on_error=False)
    job = str(driver.call(lambda c: c.submit("a", provider="jobs"), host, **settings))
    response, totals = spent(
        driver, lambda c: c.resume(job, raise_on_error=False), host, **settings
    )
    assert (response.ok, totals.unknown) == (False, 1)


def test_a_submission_that_is_refused_costs_nothing(driver: Driver, host: Host) -> None:
    class Refusing(Jobbing):
        def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
            raise imagekit.RateLimitError("later")
            yield

    with pytest.raises(imagekit.RateLimitError):
        driver.call(lambda c: c.submit("a", provider="jobs"), host, **studio(jobs=Refusing()))


def test_only_so_many_jobs_are_remembered(host: Host) -> None:
    http = httpx.Client(transport=httpx.MockTransport(host))
    with Client(http=http, **studio(jobs=Jobbing())) as client:
        job = client.submit("a", provider="jobs")
        calls = client._calls
        held = calls.purse.reserve(Estimate())
        for number in range(MOST):
            calls.jobs._owe(job.model_copy(update={"counts": (number + 1, 1)}), held)
        assert len(calls.jobs._owed) == MOST
        for number in range(MOST + 1):
            pace = calls._around.pace("studio", f"model-{number}")
        assert len(calls._around._paces) == MOST
        assert calls._around.pace("studio", f"model-{MOST}") is pace
    http.close()


def test_a_batch_costs_what_a_batch_costs(driver: Driver, host: Host) -> None:
    settings = studio(jobs=Batching())
    requests = [ImageRequest(prompt="a"), ImageRequest(prompt="b")]
    with pytest.raises(BudgetExceededError):
        driver.call(lambda c: c.batch(requests, provider="jobs", budget="0.24"), host, **settings)
    assert host.asked == []
    job = driver.call(lambda c: c.batch(requests, provider="jobs", budget="0.25"), host, **settings)
    assert job.batched
    response = driver.call(lambda c: c.resume(str(job)), host, **settings)
    # One of the two came, and is priced as a batch's.
    assert [str(one.cost.amount) for one in response.calls if one.cost] in (["0.125"], [])


def test_a_budget_of_a_client_is_for_all_of_its_calls(driver: Driver, host: Host) -> None:
    if driver.blocking:

        def twice(client: Client) -> None:
            client.generate("a")
            client.generate("b")

    else:

        async def twice(client: AsyncClient) -> None:  # type: ignore[misc]
            await client.generate("a")
            await client.generate("b")

    with pytest.raises(BudgetExceededError, match=r"of which 0\.15 is left"):
        driver.call(twice, host, **studio(), budget="0.40")
    assert len(host.asked) == 1


def test_pictures_a_minute_are_a_models(driver: Driver, host: Host) -> None:
    settings = {**studio(), "images_per_minute": 1}

    if driver.blocking:

        def both(client: Client) -> None:
            client.generate("a")
            client.generate("b", model="studio-2")
            client.generate("c", deadline=0.2)

    else:

        async def both(client: AsyncClient) -> None:  # type: ignore[misc]
            await client.generate("a")
            await client.generate("b", model="studio-2")
            await client.generate("c", deadline=0.2)

    with pytest.raises(imagekit.DeadlineExceededError) as found:
        driver.call(both, host, **settings)
    assert (found.value.billed, len(host.asked)) == ("no", 2)
    with pytest.raises(ConfigurationError, match="images_per_minute is a whole number"):
        driver.call(lambda c: c.generate("a"), host, **studio(), images_per_minute=0)


# Whom a client asks, one after the other


def test_a_client_may_ask_several(driver: Driver, host: Host) -> None:
    settings = {**studio(second=Studio("second.test")), "provider": ["studio", "second"]}
    host.statuses = [429]
    response = driver.call(lambda c: c.generate("a", retries=0), host, **settings)
    assert (response.provider, len(response.attempts)) == ("second", 1)
    alone = driver.call(lambda c: c.generate("a", provider="second"), host, **settings)
    assert alone.attempts == ()


def test_what_can_ask_only_one_asks_the_first(host: Host) -> None:
    settings = {**studio(second=Studio("second.test")), "provider": ["studio:studio-9", "second"]}
    http = httpx.Client(transport=httpx.MockTransport(host))
    with Client(http=http, **settings) as client:
        assert client.capabilities().model == "studio-1"
        assert client.request("GET", "/models").ok
    assert host.asked[0].url.host == "studio.test"
    http.close()


@pytest.mark.parametrize(
    ("provider", "message"),
    [
        ([], "provider is a name, or a list of names"),
        (["studio", 3], "provider is a name, or a list of names"),
        (["studio", "studio"], "provider names 'studio' twice"),
        (5, "provider is a name, or a list of names"),
    ],
)
def test_who_is_asked_is_said_in_names(
    driver: Driver, host: Host, provider: Any, message: str
) -> None:
    with pytest.raises((RequestError, ConfigurationError), match=message):
        driver.call(lambda c: c.generate("a", provider=provider), host, **studio())
    assert host.asked == []


def test_a_client_that_asks_nobody_is_none() -> None:
    with pytest.raises(ConfigurationError, match="the list is empty"):
        Client(provider=[])


def test_the_others_are_known_before_anybody_is_asked(driver: Driver, host: Host) -> None:
    with pytest.raises(imagekit.UnknownProviderError, match="nobody"):
        driver.call(lambda c: c.generate("a", provider=["studio", "nobody"]), host, **studio())
    assert host.asked == []


def test_a_word_that_is_none_is_told_whoever_is_asked(driver: Driver, host: Host) -> None:
    with pytest.raises(RequestError, match="fall_back_on='always' is none of"):
        driver.call(lambda c: c.generate("a", fall_back_on=["always"]), host, **studio())


def test_what_another_begins_is_the_streams_job(driver: Driver, host: Host) -> None:
    host.statuses = [429]
    settings = studio(jobs=Jobbing())
    events = driver.stream(
        "a", host, fields={"provider": ["studio", "jobs"], "retries": 0}, **settings
    )
    assert events[-1].response.provider == "jobs"
    assert [one.kind for one in events[-1].response.notices] == ["fallback"]


def test_a_job_that_another_has_begun_is_the_streams(host: Host) -> None:
    class Endless(Jobbing):
        def resume(self, handle: Mapping[str, Any]) -> Flow:
            yield from imagekit.provider.emit(imagekit.Progress(step=1))
            return (yield from super().resume(handle))

    host.statuses = [429]
    http = httpx.Client(transport=httpx.MockTransport(host))
    with Client(http=http, **studio(jobs=Endless())) as client:
        stream = client.stream("a", provider=["studio", "jobs"], retries=0)
        assert stream.job is None
        with stream:
            for event in stream:
                if event.kind == "progress":
                    break
            assert stream.job is not None
            assert stream.job.provider == "jobs"
    http.close()


def test_totals_start_empty() -> None:
    with Client(**studio()) as client:
        assert str(client.spent) == "0 calls, 0 images"
