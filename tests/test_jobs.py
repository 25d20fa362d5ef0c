"""Jobs: submitted, looked at, resumed, cancelled and deleted, by both clients."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest

import imagekit
from imagekit import (
    AsyncClient,
    AsyncStream,
    Client,
    ConfigurationError,
    ContentRejectedError,
    DeadlineExceededError,
    Image,
    ImageFailure,
    ImageRequest,
    ImageResponse,
    Job,
    Notice,
    PluginError,
    Profile,
    ProviderError,
    ProviderFile,
    RateLimitError,
    RequestError,
    RetryPolicy,
    State,
    StoredFile,
    TransportError,
    UnknownProviderError,
    UnsupportedRequestError,
)
from imagekit._jobs import MOST, JobPart
from imagekit.provider import (
    Capabilities,
    Effects,
    Flow,
    HttpRequest,
    checkpoint,
    emit,
    gather,
    notice,
    send,
    sleep,
)
from spoken import httpx
from toys import KEY, Driver, Scripted, Watcher, Whole, decoded, picture, plugins, spelt
from toys import trouble as sighed

QUICK = RetryPolicy(base=0.001)


@dataclass
class Desk(Whole):
    """A provider that goes on by itself: submit, ask until it is done, take the pictures."""

    able: Capabilities = field(
        default_factory=lambda: Capabilities(
            operations=frozenset({"generate", "edit"}), detaches=True, max_images=2
        )
    )
    wait: float = 0.01
    name: str = "toy"

    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        if not request.detach:
            return (yield from super().flow(request, stream=stream))
        wanted = {"prompt": request.prompt, "n": request.n}
        answer = yield from send(HttpRequest("POST", "/jobs", json=wanted))
        if not answer.ok:
            raise sighed(answer)
        said = answer.json()
        if "id" not in said:
            return decoded(said)
        yield from notice(Notice(kind="other", feature="price", detail="half of it"))
        handle = {"job": said["id"], "n": request.n}
        yield from checkpoint(handle)
        return (yield from self.resume(handle))

    def resume(self, handle: Mapping[str, Any]) -> Flow:
        while True:
            answer = yield from send(HttpRequest("GET", f"/jobs/{handle['job']}"))
            if not answer.ok:
                raise sighed(answer)
            said = answer.json()
            if "refused" in said:
                raise ContentRejectedError(said["refused"], billed="no")
            if said["done"]:
                return decoded(said)
            yield from emit(imagekit.Queued(position=1))
            yield from sleep(self.wait)

    def cancel(self, handle: Mapping[str, Any]) -> Effects[None]:
        answer = yield from send(HttpRequest("POST", f"/jobs/{handle['job']}/cancel"))
        if not answer.ok:
            raise sighed(answer)

    def delete(self, handle: Mapping[str, Any]) -> Effects[None]:
        where = handle.get("job") or handle.get("file_id") or handle["turn"]
        answer = yield from send(HttpRequest("DELETE", f"/kept/{where}"))
        if not answer.ok:
            raise sighed(answer)

    def batch(self, requests: Sequence[ImageRequest]) -> Flow:
        lines = [{"prompt": one.prompt, "n": one.n} for one in requests]
        answer = yield from send(HttpRequest("POST", "/jobs", json=lines))
        handle = {"job": answer.json()["id"]}
        yield from checkpoint(handle)
        return (yield from self.resume(handle))


class Service:
    """What the desk asks: each job is done when it has been looked at often enough."""

    def __init__(self, looks: int = 1, **tricks: Any) -> None:
        self.looks, self.tricks = looks, tricks
        self.seen: list[tuple[str, str]] = []
        self.asked: list[Any] = []
        self.left: dict[str, int] = {}
        self.keys: set[str | None] = set()
        self._lock = threading.Lock()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        with self._lock:
            return self._answered(request)

    def _answered(self, request: httpx.Request) -> httpx.Response:
        method, path = request.method, request.url.path
        self.seen.append((method, path))
        self.keys.add(request.headers.get("authorization"))
        trick = self.tricks.get(method) or self.tricks.get(f"{method} {path}")
        if trick and (found := trick(request)) is not None:
            return found
        if (method, path) == ("POST", "/v1/jobs"):
            body = json.loads(request.content)
            self.asked.append(body)
            name = f"j{len(self.asked)}"
            self.left[name] = self.looks
            return httpx.Response(200, json={"id": name})
        if method == "GET":
            name = path.rpartition("/")[2]
            self.left[name] -= 1
            if self.left[name] > 0:
                return httpx.Response(200, json={"done": False})
            return httpx.Response(200, json={"done": True, "pictures": self._made(name)})
        return httpx.Response(200, json={})

    def _made(self, name: str) -> list[str]:
        number = int(name[1:])
        body = self.asked[number - 1]
        lines = body if isinstance(body, list) else [body]
        n = sum(line["n"] for line in lines)
        return [spelt(picture(10 * number + place)) for place in range(n)]

    def of(self, method: str) -> list[str]:
        return [path for one, path in self.seen if one == method]


def settings(made: object = None, *observers: object, **more: Any) -> dict[str, Any]:
    found = {"plugins": plugins(*observers, toy=made or Desk()), "provider": "toy", "env": {}}
    return {**found, "retry": QUICK, **more}


def answered(status: int, body: object = None, **headers: str) -> Callable[..., httpx.Response]:
    def trick(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, json=body, headers=headers)

    return trick


def times(count: int, trick: Callable[[httpx.Request], Any]) -> Callable[[httpx.Request], Any]:
    """*trick* the first *count* times."""
    left = iter(range(count))

    def tricked(request: httpx.Request) -> Any:
        return trick(request) if next(left, None) is not None else None

    return tricked


def breaks(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadError("reset")


def submitted(driver: Driver, service: Service, made: object = None, **fields: Any) -> Job:
    found: Job = driver.call(lambda c: c.submit("a cat", **fields), service, **settings(made))
    return found


async def queued(stream: AsyncStream) -> None:
    while (await anext(stream)).kind != "queued":
        pass


def shades(response: ImageResponse) -> list[bytes]:
    return [image.read() for image in response]


class Striking(Scripted):
    """A provider whose client is struck as soon as what it *begins* is begun: it waits for good."""

    def __init__(self, driver: Driver, *begins: int) -> None:
        super().__init__(self._made, detaches=True, max_images=1)
        self._driver, self._begins = driver, set(begins)
        self.struck: list[Any] = []
        self.came: Any = None

    def _made(self, request: ImageRequest) -> Any:
        if request.seed in self._begins:
            yield from self._noted(request.seed)
        while self._begins:
            yield from sleep(0.001)
        if request.seed == 3:
            self._strike()
        yield from sleep(30)

    def resume(self, handle: Mapping[str, Any]) -> Flow:
        yield from sleep(0)
        return ImageResponse(slots=(Image(data=picture()),))

    def batch(self, requests: Sequence[ImageRequest]) -> Any:
        yield from self._noted(0)

    def _noted(self, name: int) -> Any:
        try:
            yield from checkpoint({"part": name})
        finally:
            self._begins.remove(name)
            if not name:
                self._strike()

    def during(self, client: Any, verb: str, *given: Any, **how: Any) -> Any:
        """Call *verb*, which is struck, and keep by what."""
        if self._driver.blocking:
            ident = threading.main_thread().ident
            self._strike = lambda: signal.pthread_kill(ident, signal.SIGINT)
            with pytest.raises(KeyboardInterrupt) as found:
                getattr(client, verb)(*given, **how)
            self.struck.append(found.value)
            return None

        async def cancelled() -> None:
            with anyio.CancelScope() as scope:
                self._strike = scope.cancel
                try:
                    self.came = await getattr(client, verb)(*given, **how)
                except anyio.get_cancelled_exc_class() as error:
                    self.struck.append(error)
                    raise

        return cancelled()


class TestSubmit:
    def test_it_ends_when_the_provider_goes_on_by_itself(self, driver: Driver) -> None:
        service = Service()
        job = submitted(driver, service)
        assert service.seen == [("POST", "/v1/jobs")]
        assert (job.provider, job.profile, job.name, job.n) == ("toy", None, "toy", 1)
        assert [part.handle for part in job.parts] == [{"job": "j1", "n": 1}]
        assert job.created is not None
        assert repr(job) == "<Job of toy: 1 picture>"

    def test_another_process_finishes_it(self, driver: Driver) -> None:
        service = Service(looks=3)
        text = str(submitted(driver, service))
        assert KEY not in text
        response = driver.call(lambda c: c.resume(text), service, **settings())
        assert shades(response) == [picture(10)]
        assert response.ok
        assert response.timing is not None
        assert response.job is None
        assert (response.provider, response.model) == ("toy", "toy-1")
        assert service.of("POST") == ["/v1/jobs"]

    def test_more_pictures_than_one_request_makes_are_parts_of_one_job(
        self, driver: Driver
    ) -> None:
        service = Service()
        job = submitted(driver, service, n=5)
        assert [part.n for part in job.parts] == [2, 2, 1]
        assert job.counts == (5,)
        response = driver.call(lambda c: c.resume(job), service, **settings())
        assert len(response) == 5
        (slots,) = job.divided(response)
        assert slots == response.slots
        assert repr(job) == "<Job of toy: 5 pictures>"

    def test_a_part_that_fails_to_be_submitted_leaves_the_others_theirs(
        self, driver: Driver
    ) -> None:
        service = Service(**{"POST /v1/jobs": times(1, answered(400, {}))})
        job = submitted(driver, service, n=4)
        assert [failure.kind for failure in job.failures] == ["failed", "failed"]
        assert {failure.billed for failure in job.failures} == {"no"}
        text = str(job)
        response = driver.call(lambda c: c.resume(text), service, **settings())
        assert (len(response.images), len(response.failures)) == (2, 2)
        assert response.failures == job.failures
        assert not response.ok

    def test_what_is_not_taken_on_at_all_raises(self, driver: Driver) -> None:
        service = Service(**{"POST /v1/jobs": answered(500, {})})
        with pytest.raises(ProviderError, match="answered 500") as found:
            submitted(driver, service, n=4)
        assert found.value.billed == "possibly"
        assert found.value.job is None
        assert len(service.of("POST")) == 2

    def test_a_picture_that_comes_at_once_is_kept_in_the_job(self, driver: Driver) -> None:
        body = {"pictures": [spelt(picture(7))]}
        service = Service(**{"POST /v1/jobs": answered(200, body)})
        text = str(submitted(driver, service))
        response = driver.call(lambda c: c.resume(text), Service(), **settings())
        assert shades(response) == [picture(7)]
        assert response.model == "toy-1"

    def test_what_else_was_said_at_once_is_kept_too(self, driver: Driver) -> None:
        said = ImageResponse(
            slots=(Image(data=picture()),),
            text="a cat",
            usage=imagekit.Usage(items=(imagekit.UsageItem(quantity="7"),)),
            state=State(provider="toy", payload={"turn": 1}),
            request_ids=("r-1",),
        )

        def flow(request: ImageRequest) -> Any:
            yield from sleep(0)
            return said

        made = Scripted(flow, detaches=True)
        made.resume = flow  # type: ignore[attr-defined]
        job = driver.call(lambda c: c.submit("a cat"), **settings(made))
        response = driver.call(lambda c: c.resume(str(job)), **settings(made))
        for name in ("text", "usage", "state", "request_ids"):
            assert getattr(response, name) == getattr(said, name)

    def test_notices_stand_in_the_job_and_in_its_response(self, driver: Driver) -> None:
        service = Service()
        able = Capabilities(detaches=True, parameters={"seed": "no"})
        made = Desk(able=able)
        job = submitted(driver, service, made, seed=3)
        assert [one.feature for one in job.notices] == ["seed", "price"]
        response = driver.call(lambda c: c.resume(str(job)), service, **settings(made))
        assert response.notices == job.notices

    def test_pictures_in_are_read_and_sent_with_the_call(self, driver: Driver) -> None:
        seen: list[ImageRequest] = []

        class Looks(Desk):
            def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
                seen.append(request)
                return (yield from super().flow(request, stream=stream))

        submitted(driver, Service(), Looks(), images=[picture(3)])
        assert seen[0].images[0].data == picture(3)
        assert seen[0].detach

    def test_a_request_is_taken_too(self, driver: Driver) -> None:
        service = Service()
        job = driver.call(
            lambda c: c.submit(ImageRequest(prompt="a cat", n=2)), service, **settings()
        )
        assert job.counts == (2,)

    def test_who_keeps_no_jobs_says_so_before_anything_is_sent(self, driver: Driver) -> None:
        service = Service()
        for made in (Whole(), Desk(able=Capabilities())):
            with pytest.raises(UnsupportedRequestError, match="keeps no jobs") as found:
                submitted(driver, service, made)
            assert found.value.billed == "no"
        assert service.seen == []

    def test_an_empty_prompt_is_an_error_before_anything_is_sent(self, driver: Driver) -> None:
        service = Service()
        with pytest.raises(RequestError, match="neither was given"):
            driver.call(lambda c: c.submit(""), service, **settings())
        assert service.seen == []

    @pytest.mark.parametrize("verb", ["submit", "generate"])
    def test_who_is_struck_amid_it_has_what_was_begun(
        self, driver: Driver, verb: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        made = Striking(driver, 1, 2)
        how = {"n": 3, "seed": 1, "detach": True} if verb == "generate" else {"n": 3, "seed": 1}
        driver.call(lambda c: made.during(c, verb, "a cat", **how), **settings(made))
        (struck,) = made.struck
        assert [part.handle for part in struck.job.parts] == [{"part": 1}, {"part": 2}, None]
        assert [failure.kind for failure in struck.job.failures] == ["failed"]
        (note,) = struck.__notes__
        assert note.startswith("what was begun goes on at toy, and resume('{")
        text = note.partition("resume('")[2].partition("')")[0]
        assert Job.model_validate_json(text).parts == struck.job.parts[:2]
        # Whom a cancellation strikes may never see it.
        said = [] if driver.blocking else [f"a call was left: {note}"]
        assert caplog.messages == said

    def test_a_batch_that_is_struck_has_its_job(self, driver: Driver) -> None:
        made = Striking(driver, 0)
        requests = [ImageRequest(prompt="a cat"), ImageRequest(prompt="a dog")]
        driver.call(lambda c: made.during(c, "batch", requests), **settings(made))
        # On trio a call that has nothing to wait for any more comes to its end.
        job = made.struck[0].job if made.struck else made.came
        assert [part.handle for part in job.parts] == [{"part": 0}]
        assert (job.counts, job.batched) == ((1, 1), True)

    def test_what_goes_on_of_a_call_that_was_struck_is_counted_once(self) -> None:
        made = Striking(Driver("sync"), 0)
        with Client(**settings(made)) as client:
            made.during(client, "batch", [ImageRequest(prompt="a cat")])
            assert client.resume(made.struck[0].job).ok
            assert client.spent.calls == 1

    def test_who_is_struck_before_anything_was_begun_has_nothing(self, driver: Driver) -> None:
        made = Striking(driver)
        driver.call(lambda c: made.during(c, "submit", "a cat", seed=3), **settings(made))
        assert not hasattr(made.struck[0], "job")
        assert not hasattr(made.struck[0], "__notes__")

    def test_a_deadline_leaves_the_parts_that_were_taken_on(self, driver: Driver) -> None:
        def flow(request: ImageRequest) -> Any:
            if request.seed == 1:
                yield from checkpoint({"part": 1})
            yield from sleep(30)

        made = Scripted(flow, detaches=True, max_images=1)
        made.resume = lambda handle: flow(handle)  # type: ignore[attr-defined]
        ask: Any = lambda c: c.submit("a cat", n=2, seed=1, deadline=3)  # noqa: E731
        job = driver.call(ask, **settings(made))
        assert [part.handle for part in job.parts] == [{"part": 1}, None]
        assert "deadline" in job.failures[0].reason

    @pytest.mark.parametrize("handle", [{"a": float("nan")}, {"a": b"x"}, ["a"], None])
    def test_a_handle_that_is_no_json_is_the_plugins_fault(
        self, driver: Driver, handle: Any
    ) -> None:
        def flow(request: ImageRequest) -> Any:
            yield from checkpoint(handle)

        made = Scripted(flow, detaches=True)
        made.resume = flow  # type: ignore[attr-defined]
        with pytest.raises(PluginError, match="the handle of a checkpoint"):
            driver.call(lambda c: c.submit("a cat"), **settings(made))
        with pytest.raises(PluginError, match="the handle of a checkpoint"):
            driver.call(lambda c: c.generate("a cat"), **settings(made))

    def test_a_handle_is_as_it_will_be_once_it_was_json(self, driver: Driver) -> None:
        def flow(request: ImageRequest) -> Any:
            yield from checkpoint({"ids": ("a", "b"), "none": None})

        made = Scripted(flow, detaches=True)
        made.resume = flow  # type: ignore[attr-defined]
        job = driver.call(lambda c: c.submit("a cat"), **settings(made))
        assert job.parts[0].handle == {"ids": ["a", "b"], "none": None}
        assert Job.model_validate_json(str(job)) == job

    def test_what_a_plugin_does_on_leaving_costs_no_handle(self, driver: Driver) -> None:
        def flow(request: ImageRequest) -> Any:
            try:
                yield from checkpoint({"id": 1})
            finally:
                yield from sleep(1)  # a generator that goes on when it is closed

        made = Scripted(flow, detaches=True)
        made.resume = flow  # type: ignore[attr-defined]
        job = driver.call(lambda c: c.submit("a cat"), **settings(made))
        assert job.parts[0].handle == {"id": 1}

    def test_a_plugin_that_falls_over_costs_the_others_no_handle(self, driver: Driver) -> None:
        def flow(request: ImageRequest) -> Any:
            if request.seed == 2:
                raise ZeroDivisionError
            yield from checkpoint({"id": 1})

        made = Scripted(flow, detaches=True, max_images=1)
        made.resume = flow  # type: ignore[attr-defined]
        job = driver.call(lambda c: c.submit("a cat", n=2, seed=1), **settings(made))
        assert job.parts[0].handle == {"id": 1}
        assert "ZeroDivisionError" in job.failures[0].reason


def test_what_is_no_error_of_ours_costs_the_others_no_handle() -> None:
    from imagekit._jobs import parts_of

    first, second = parts_of([{"id": 1}, OSError("gone")], [1, 2])
    assert first.handle == {"id": 1}
    assert second.response is not None
    assert [one.billed for one in second.response.failures] == ["possibly", "possibly"]
    with pytest.raises(KeyboardInterrupt):
        parts_of([{"id": 1}, KeyboardInterrupt()], [1, 1])


def test_what_all_parts_may_have_cost_is_the_worst_of_them() -> None:
    from imagekit._jobs import parts_of

    first, second = ProviderError("no", billed="no"), TransportError("gone", billed="possibly")
    with pytest.raises(ProviderError) as found:
        parts_of([first, second], [1, 1])
    assert found.value is first
    assert first.billed == "possibly"
    assert first.response is not None
    assert [call.error for call in first.response.calls] == ["no", "gone"]


def test_what_a_part_left_that_was_refused_is_in_the_job() -> None:
    from imagekit._jobs import parts_of

    refused = ProviderError("no", billed="no", request_id="r1")
    refused.response = ImageResponse(slots=(Image(data=picture(1)),), text="well")
    _, part = parts_of([{"id": 1}, refused], [1, 2])
    assert part.response is not None
    assert [slot.kind for slot in part.response.slots] == ["image", "failed"]
    assert (part.response.text, part.response.request_ids) == ("well", ("r1",))
    assert [call.billed for call in part.response.calls] == ["no"]


class TestResume:
    def test_errors_on_the_way_are_tried_again(self, driver: Driver) -> None:
        service = Service(GET=times(2, breaks))
        job = submitted(driver, service)
        response = driver.call(lambda c: c.resume(job), service, **settings())
        assert response.ok
        assert len(service.of("GET")) == 3

    def test_a_deadline_is_its_own_and_the_job_goes_on(self, driver: Driver) -> None:
        service = Service(looks=10_000)
        job = submitted(driver, service)
        with pytest.raises(DeadlineExceededError) as found:
            driver.call(lambda c: c.resume(job, deadline=1), service, **settings())
        assert found.value.billed == "possibly"
        left = found.value.job
        assert left == job
        service.left["j1"] = 1
        assert driver.call(lambda c: c.resume(left), service, **settings()).ok

    def test_what_one_part_could_not_say_can_be_asked_again(self, driver: Driver) -> None:
        service = Service(**{"GET /v1/jobs/j2": answered(500, {})})
        job = submitted(driver, service, n=4)
        first = driver.call(lambda c: c.resume(job), service, **settings())
        assert (len(first.images), len(first.failures)) == (2, 2)
        left = first.job
        assert left is not None
        assert left.created == job.created
        # Which of the two was submitted first is theirs to settle.
        broken = [part.handle == {"job": "j2", "n": 2} for part in job.parts]
        assert [part.handle is not None for part in left.parts] == broken
        del service.tricks["GET /v1/jobs/j2"]
        service.seen.clear()
        again = driver.call(lambda c: c.resume(str(left)), service, **settings())
        assert service.of("GET") == ["/v1/jobs/j2"]
        assert again.ok
        assert again.job is None
        assert set(shades(first)) < set(shades(again))

    def test_a_last_word_leaves_nothing_to_resume(self, driver: Driver) -> None:
        body = {"refused": "no cats"}
        service = Service(GET=answered(200, body))
        job = submitted(driver, service)
        with pytest.raises(ContentRejectedError, match="no cats") as found:
            driver.call(lambda c: c.resume(job), service, **settings())
        assert found.value.job is None
        gone = Service(GET=answered(410, {}))
        job = submitted(driver, gone)
        with pytest.raises(imagekit.InvalidRequestError) as missing:
            driver.call(lambda c: c.resume(job), gone, **settings())
        assert missing.value.job is None

    @pytest.mark.parametrize(("status", "over"), [(None, True), (200, True), (500, False)])
    def test_a_job_that_failed_is_over_and_one_that_could_not_be_asked_is_not(
        self, driver: Driver, status: int | None, over: bool
    ) -> None:
        class Failed(Desk):
            def resume(self, handle: Mapping[str, Any]) -> Flow:
                yield from send(HttpRequest("GET", f"/jobs/{handle['job']}"))
                raise ProviderError("it failed", status=status)

        service = Service()
        job = submitted(driver, service)
        with pytest.raises(ProviderError) as found:
            driver.call(lambda c: c.resume(job), service, **settings(Failed()))
        assert found.value.job == (None if over else job)

    def test_errors_may_be_carried(self, driver: Driver) -> None:
        service = Service(GET=answered(500, {}))
        job = submitted(driver, service, n=2)
        for verb in ("resume", "poll"):
            response = driver.call(
                lambda c, verb=verb: getattr(c, verb)(job, raise_on_error=False),
                service,
                **settings(),
            )
            assert isinstance(response.error, ProviderError)
            assert len(response.failures) == 2
            assert response.job == job
            assert response.error.job == job

    def test_events_of_the_rest_are_seen_as_a_stream(self, driver: Driver) -> None:
        service = Service(looks=3)
        job = submitted(driver, service)
        kinds: list[str] = []

        def watch(client: Client) -> ImageResponse:
            with client.stream(job) as stream:
                kinds.extend(event.kind for event in stream)
                return stream.response

        async def follow(client: AsyncClient) -> ImageResponse:
            async with client.stream(job) as stream:
                kinds.extend([event.kind async for event in stream])
                return stream.response

        found = driver.call(watch if driver.blocking else follow, service, **settings())
        assert shades(found) == [picture(10)]
        assert kinds == ["noticed", "queued", "queued", "image-ready", "completed"]

    def test_the_raw_exchanges_are_kept_where_that_is_asked_for(self, driver: Driver) -> None:
        service = Service()
        job = submitted(driver, service)
        response = driver.call(lambda c: c.resume(job, raw=True), service, **settings())
        assert response.raw[-1].json()["done"] is True
        assert [one.url for one in response.http] == ["https://toy.test/v1/jobs/j1"]

    def test_results_that_are_urls_are_fetched(self, driver: Driver) -> None:
        url = "https://toy.test/v1/pictures/1"
        body = {"done": True, "pictures": [url]}
        service = Service(**{"GET /v1/jobs/j1": answered(200, body)})
        service.tricks["GET /v1/pictures/1"] = lambda _: httpx.Response(200, content=picture(9))
        job = submitted(driver, service)
        found = driver.call(lambda c: c.resume(job), service, **settings())
        assert shades(found) == [picture(9)]
        unfetched = driver.call(lambda c: c.resume(job, fetch=False), service, **settings())
        assert unfetched.image.data is None

    def test_who_cannot_finish_jobs_says_so(self, driver: Driver) -> None:
        job = Job(provider="toy", counts=(1,), parts=(JobPart(n=1, handle={}),))
        with pytest.raises(UnsupportedRequestError, match="toy keeps no jobs"):
            driver.call(lambda c: c.resume(job), **settings(Whole()))

    def test_a_misspelt_word_is_an_error(self, driver: Driver) -> None:
        service = Service()
        job = submitted(driver, service)
        for verb in ("resume", "poll", "cancel", "delete"):
            with pytest.raises(RequestError, match="deadlin: there is no such parameter"):
                driver.call(
                    lambda c, verb=verb: getattr(c, verb)(job, deadlin=1), service, **settings()
                )


class TestPoll:
    def test_a_job_that_goes_on_is_none_at_once(self, driver: Driver) -> None:
        service = Service(looks=2)
        made = Desk(wait=60)
        job = submitted(driver, service, made)
        start = time.monotonic()
        assert driver.call(lambda c: c.poll(job), service, **settings(made)) is None
        assert time.monotonic() - start < 10
        found = driver.call(lambda c: c.poll(str(job)), service, **settings(made))
        assert found.ok
        assert service.of("GET") == ["/v1/jobs/j1"] * 2

    def test_one_part_that_goes_on_is_a_job_that_goes_on(self, driver: Driver) -> None:
        service = Service()
        job = submitted(driver, service, n=4)
        service.left["j2"] = 2
        assert driver.call(lambda c: c.poll(job), service, **settings()) is None
        service.left["j1"] = 1
        assert len(driver.call(lambda c: c.poll(job), service, **settings())) == 4

    def test_a_wait_that_is_none_is_no_job_that_goes_on(self, driver: Driver) -> None:
        service, made = Service(looks=2), Desk(wait=-1)
        job = submitted(driver, service, made)
        with pytest.raises(PluginError, match="proper ones, not Sleep"):
            driver.call(lambda c: c.poll(job), service, **settings(made))

    def test_trouble_is_no_job_that_goes_on(self, driver: Driver) -> None:
        service = Service(GET=answered(401, {}))
        job = submitted(driver, service)
        with pytest.raises(ProviderError, match="answered 401"):
            driver.call(lambda c: c.poll(job), service, **settings())

    def test_who_looks_is_not_kept_waiting_for_a_limit(self, driver: Driver) -> None:
        service = Service(GET=answered(429, {}, **{"retry-after": "60"}))
        job = submitted(driver, service)
        start = time.monotonic()
        with pytest.raises(RateLimitError) as found:
            driver.call(lambda c: c.poll(job), service, **settings())
        assert time.monotonic() - start < 10
        assert found.value.job == job

    def test_observers_are_told_of_no_error_where_it_goes_on(self, driver: Driver) -> None:
        service = Service(looks=2)
        job = submitted(driver, service)
        watcher = Watcher()
        assert driver.call(lambda c: c.poll(job), service, **settings(None, watcher)) is None
        (last,) = watcher.of("finished")
        assert (last["response"], last["error"]) == (None, None)
        found = driver.call(lambda c: c.poll(job), service, **settings(None, watcher))
        assert watcher.of("finished")[1]["response"].images == found.images
        assert all(one["call"].request is None for one in watcher.of("sent"))


class TestEnding:
    def test_cancel_and_delete_reach_each_part(self, driver: Driver) -> None:
        service = Service()
        job = submitted(driver, service, n=4)
        assert driver.call(lambda c: c.cancel(job), service, **settings()) is None
        assert sorted(service.of("POST")[2:]) == ["/v1/jobs/j1/cancel", "/v1/jobs/j2/cancel"]
        driver.call(lambda c: c.delete(str(job)), service, **settings())
        assert sorted(service.of("DELETE")) == ["/v1/kept/j1", "/v1/kept/j2"]

    def test_one_that_fails_keeps_no_other_from_being_ended(self, driver: Driver) -> None:
        service = Service(**{"DELETE /v1/kept/j1": answered(404, {})})
        job = submitted(driver, service, n=4)
        with pytest.raises(imagekit.InvalidRequestError):
            driver.call(lambda c: c.delete(job), service, **settings())
        assert sorted(service.of("DELETE")) == ["/v1/kept/j1", "/v1/kept/j2"]

    def test_what_has_ended_already_needs_no_asking(self, driver: Driver) -> None:
        gone = ImageResponse(slots=(ImageFailure(kind="failed", reason="no"),))
        job = Job(provider="toy", counts=(1,), parts=(JobPart(n=1, response=gone),))
        service = Service()
        driver.call(lambda c: c.cancel(job), service, **settings())
        assert service.seen == []

    def test_a_state_and_a_file_are_deleted_too(self, driver: Driver) -> None:
        service = Service()
        for kept in (
            State(provider="toy", payload={"turn": "t-1"}),
            StoredFile(id="f-1"),
            ProviderFile("f-2"),
        ):
            driver.call(lambda c, kept=kept: c.delete(kept), service, **settings())
        assert service.of("DELETE") == ["/v1/kept/t-1", "/v1/kept/f-1", "/v1/kept/f-2"]

    @pytest.mark.parametrize(
        ("usual", "said", "where"),
        [
            ("work", None, "work"),
            (None, None, "toy"),
            ("work", "toy", "toy"),
            ("other", None, "toy"),
        ],
    )
    def test_a_state_is_deleted_where_its_account_is(
        self, driver: Driver, usual: str | None, said: str | None, where: str
    ) -> None:
        hosts: list[str] = []

        def service(request: httpx.Request) -> httpx.Response:
            hosts.append(request.url.host)
            return httpx.Response(200, json={})

        def made(config: Any) -> Desk:
            return Desk(base_url=f"https://{config.name}.test")

        state = State(provider="toy", payload={"turn": "t-1"})
        known = plugins(toy=made, other=Desk(base_url="https://other.test"))
        mine = {"plugins": known, "profiles": [Profile("work", "toy")], "provider": usual}
        driver.call(lambda c: c.delete(state, provider=said), service, **settings(**mine))
        assert hosts == [f"{where}.test"]

    def test_who_cannot_says_so(self, driver: Driver) -> None:
        job = Job(provider="toy", counts=(1,), parts=(JobPart(n=1, handle={}),))
        for verb in ("cancel", "delete"):
            with pytest.raises(UnsupportedRequestError, match=f"cannot {verb} what it keeps"):
                driver.call(lambda c, verb=verb: getattr(c, verb)(job), **settings(Whole()))


class TestBatch:
    REQUESTS = (ImageRequest(prompt="a cat", n=3), ImageRequest(prompt="a dog"))

    def test_all_requests_are_one_job_whose_slots_come_back_in_order(self, driver: Driver) -> None:
        service = Service()
        job = driver.call(lambda c: c.batch(self.REQUESTS), service, **settings())
        # What one request cannot make is several of the batch.
        lines = [("a cat", 2), ("a cat", 1), ("a dog", 1)]
        assert [(one["prompt"], one["n"]) for one in service.asked[0]] == lines
        assert job.counts == (3, 1)
        response = driver.call(lambda c: c.resume(str(job)), service, **settings())
        cats, dogs = job.divided(response)
        assert [one.read() for one in cats] == [picture(10), picture(11), picture(12)]
        assert [one.read() for one in dogs] == [picture(13)]

    def test_defaults_and_options_go_for_each(self, driver: Driver) -> None:
        seen: list[ImageRequest] = []

        class Looks(Desk):
            def batch(self, requests: Sequence[ImageRequest]) -> Flow:
                seen.extend(requests)
                return (yield from super().batch(requests))

        more = {"quality": "low", "options": {"toy": {"a": 1, "b": 1}}}
        mine = ImageRequest(prompt="a dog", quality="high", options={"toy": {"b": 2}})
        requests = [ImageRequest(prompt="a cat", images=[picture()]), mine]
        driver.call(lambda c: c.batch(iter(requests)), Service(), **settings(Looks(), **more))
        assert [one.quality for one in seen] == ["low", "high"]
        assert [dict(one.options["toy"]) for one in seen] == [{"a": 1, "b": 1}, {"a": 1, "b": 2}]
        assert seen[0].images[0].data == picture()

    def test_notices_of_all_stand_in_the_job(self, driver: Driver) -> None:
        class Cheap(Desk):
            def batch(self, requests: Sequence[ImageRequest]) -> Flow:
                yield from notice(Notice(kind="other", feature="price", detail="half of it"))
                return (yield from super().batch(requests))

        made = Cheap(able=Capabilities(parameters={"seed": "no"}))
        requests = [ImageRequest(prompt="a cat", seed=1), ImageRequest(prompt="a dog")]
        job = driver.call(lambda c: c.batch(requests), Service(), **settings(made))
        assert [one.feature for one in job.notices] == ["seed", "price"]

    def test_an_answer_at_once_is_kept_in_the_job(self, driver: Driver) -> None:
        class Prompt(Desk):
            def batch(self, requests: Sequence[ImageRequest]) -> Flow:
                yield from sleep(0)
                return ImageResponse(slots=tuple(Image(data=picture(n)) for n in range(4)))

        job = driver.call(lambda c: c.batch(self.REQUESTS), **settings(Prompt()))
        response = driver.call(lambda c: c.resume(str(job)), **settings(Prompt()))
        assert [len(slots) for slots in job.divided(response)] == [3, 1]

    def test_what_is_no_batch_is_an_error_before_anything_is_sent(self, driver: Driver) -> None:
        service = Service()
        twice = [ImageRequest(prompt="x", model="toy:a"), ImageRequest(prompt="x", model="two:a")]
        known = {"plugins": plugins(toy=Desk(), two=Desk()), "provider": None}
        for requests, said, how in (
            ([], "no request was given", {}),
            (["a cat"], "a batch is of ImageRequests, not str", {}),
            (ImageRequest(prompt="a cat"), "a batch is of ImageRequests, not tuple", {}),
            (twice, "a batch is one provider's: 'toy' and 'two' are two", known),
        ):
            with pytest.raises(RequestError, match=said) as found:
                driver.call(
                    lambda c, requests=requests: c.batch(requests), service, **settings(**how)
                )
            assert found.value.billed == "no"
        with pytest.raises(UnsupportedRequestError, match="toy has no batches"):
            driver.call(lambda c: c.batch(self.REQUESTS), service, **settings(Whole()))
        assert service.seen == []

    def test_a_batch_that_may_have_been_taken_on_is_not_sent_again(self, driver: Driver) -> None:
        service = Service(POST=breaks)
        with pytest.raises(TransportError) as found:
            driver.call(lambda c: c.batch(self.REQUESTS), service, **settings())
        assert found.value.billed == "possibly"
        assert len(service.seen) == 1


class TestWhatACallLeaves:
    """A detached call that breaks off has a job with it."""

    def test_a_call_whose_polling_breaks_is_resumed_to_its_picture(self, driver: Driver) -> None:
        service = Service(GET=breaks)
        with pytest.raises(TransportError) as found:
            driver.call(lambda c: c.generate("a cat", detach=True), service, **settings())
        error = found.value
        assert error.billed == "possibly"
        assert error.checkpoint == {"job": "j1", "n": 1}
        assert error.job is not None
        service.tricks.clear()
        text = str(error.job)
        response = driver.call(lambda c: c.resume(text), service, **settings())
        assert shades(response) == [picture(10)]
        assert service.of("POST") == ["/v1/jobs"]

    def test_a_deadline_leaves_it_too(self, driver: Driver) -> None:
        service = Service(looks=10_000)
        with pytest.raises(DeadlineExceededError) as found:
            driver.call(
                lambda c: c.generate("a cat", detach=True, deadline=3), service, **settings()
            )
        service.left["j1"] = 1
        job = found.value.job
        assert driver.call(lambda c: c.resume(job), service, **settings()).ok

    def test_a_part_that_broke_off_is_no_loss_of_the_others(self, driver: Driver) -> None:
        service = Service(**{"GET /v1/jobs/j2": answered(500, {})})
        ask: Any = lambda c: c.generate("a cat", n=4, detach=True)  # noqa: E731
        response = driver.call(ask, service, **settings())
        assert (len(response.images), len(response.failures)) == (2, 2)
        job = response.job
        assert job is not None
        assert job.counts == (4,)
        del service.tricks["GET /v1/jobs/j2"]
        whole = driver.call(lambda c: c.resume(str(job)), service, **settings())
        assert len(whole) == 4
        assert set(shades(response)) < set(shades(whole))

    def test_a_part_that_was_never_begun_is_a_failure_of_the_job(self, driver: Driver) -> None:
        service = Service(
            **{"GET /v1/jobs/j1": answered(500, {}), "POST /v1/jobs": self.second_refused()}
        )
        with pytest.raises(ProviderError) as found:
            driver.call(lambda c: c.generate("a cat", n=4, detach=True), service, **settings())
        job = found.value.job
        assert job is not None
        assert len(job.failures) == 2
        assert sorted(part.handle is None for part in job.parts) == [False, True]

    def test_what_a_part_left_that_failed_comes_out_again(self, driver: Driver) -> None:
        service = Service()

        def flow(request: ImageRequest) -> Flow:
            if request.seed == 2:
                cut = TransportError("cut", request_id="r2")
                cut.response = ImageResponse(slots=(Image(data=picture(7)),), text="well")
                raise cut
            yield from checkpoint({"job": "j1", "n": 1})
            raise ProviderError("the look was refused", status=500)

        made = Scripted(flow, detaches=True, max_images=1)
        made.resume = lambda handle: known_to(handle)  # type: ignore[attr-defined]

        def known_to(handle: Any) -> Flow:
            return ImageResponse(slots=(Image(data=picture(3)),))
            yield

        ask: Any = lambda c: c.generate("a cat", n=2, seed=1, detach=True)  # noqa: E731
        first = driver.call(ask, service, **settings(made))
        assert [slot.kind for slot in first.slots] == ["failed", "image"]
        whole = driver.call(lambda c: c.resume(str(first.job)), service, **settings(made))
        assert shades(whole) == [picture(3), picture(7)]
        assert whole.text == "well"
        assert whole.request_ids == ("r2",)
        assert [call.error for call in whole.calls] == [None, "cut"]

    @staticmethod
    def second_refused() -> Callable[[httpx.Request], Any]:
        first = times(1, lambda request: "first")

        def trick(request: httpx.Request) -> Any:
            return None if first(request) else httpx.Response(400, json={})

        return trick

    def test_a_stream_that_is_left_says_what_can_be_resumed(self, driver: Driver) -> None:
        service = Service(looks=10_000)

        def watch(client: Client) -> list[Job | None]:
            with client.stream("a cat", detach=True) as stream:
                before = stream.job
                next(event for event in stream if event.kind == "queued")
                return [before, stream.job]

        async def follow(client: AsyncClient) -> list[Job | None]:
            async with client.stream("a cat", detach=True) as stream:
                before = stream.job
                await queued(stream)
                return [before, stream.job]

        before, job = driver.call(watch if driver.blocking else follow, service, **settings())
        assert before is None or before == job
        assert job is not None
        service.left["j1"] = 1
        assert driver.call(lambda c: c.resume(job), service, **settings()).ok

    def test_parts_that_wait_are_failures_of_the_job_that_is_left(self, driver: Driver) -> None:
        service = Service(looks=10_000)
        asked: Any = {"n": 40, "detach": True}

        def watch(client: Client) -> Job | None:
            with client.stream("a cat", **asked) as stream:
                next(event for event in stream if event.kind == "queued")
                return stream.job

        async def follow(client: AsyncClient) -> Job | None:
            async with client.stream("a cat", **asked) as stream:
                await queued(stream)
                return stream.job

        job = driver.call(watch if driver.blocking else follow, service, **settings())
        assert job is not None
        assert job.n == 40
        assert {one.reason for one in job.failures} == {"the call was left before it was begun"}

    def test_a_stream_of_a_provider_without_jobs_has_none(self, driver: Driver) -> None:
        def watch(client: Client) -> Job | None:
            with client.stream("a cat") as stream:
                stream.finish()
                return stream.job

        async def follow(client: AsyncClient) -> Job | None:
            async with client.stream("a cat") as stream:
                await stream.finish()
                return stream.job

        def service(_: httpx.Request) -> httpx.Response:
            return httpx.Response(200, json={"pictures": [spelt(picture())]})

        made = settings(Whole())
        assert driver.call(watch if driver.blocking else follow, service, **made) is None

    def test_a_checkpoint_that_nobody_could_resume_is_no_job(self, driver: Driver) -> None:
        def flow(request: ImageRequest) -> Any:
            yield from checkpoint({"id": 1})
            raise TransportError("gone")

        with pytest.raises(TransportError) as found:
            driver.call(lambda c: c.generate("a cat"), **settings(Scripted(flow)))
        assert found.value.checkpoint == {"id": 1}
        assert found.value.job is None

    def test_an_error_before_the_checkpoint_leaves_no_job(self, driver: Driver) -> None:
        service = Service(POST=breaks)
        with pytest.raises(TransportError) as found:
            driver.call(lambda c: c.generate("a cat", detach=True), service, **settings())
        assert found.value.job is None

    def test_who_does_not_detach_says_so_and_makes_it_all_the_same(self, driver: Driver) -> None:
        def service(_: httpx.Request) -> httpx.Response:
            return httpx.Response(200, json={"pictures": [spelt(picture())]})

        ask: Any = lambda c: c.generate("a cat", detach=True)  # noqa: E731
        response = driver.call(ask, service, **settings(Whole()))
        assert [one.feature for one in response.notices] == ["detach"]
        assert response.ok


class TestAJobThatComesAsData:
    def test_it_is_what_it_was(self, driver: Driver) -> None:
        job = submitted(driver, Service(**{"POST /v1/jobs": times(1, answered(400, {}))}), n=4)
        assert Job.model_validate_json(str(job)) == job
        assert Job.model_validate(json.loads(str(job))) == job

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "no JSON",
            "{}",
            "[]",
            '{"provider": "toy", "counts": [], "parts": []}',
            '{"provider": "toy", "counts": [2], "parts": [{"n": 1, "handle": {}}]}',
            '{"provider": "toy", "counts": [3, -2], "parts": [{"n": 1, "handle": {}}]}',
            '{"provider": "toy", "counts": [1], "parts": [{"n": 1}]}',
            '{"provider": "toy", "counts": [1], "parts": [{"n": 1, "handle": {}, '
            '"response": {"slots": []}}]}',
            '{"provider": "toy", "counts": [1], "parts": [{"n": 1, "handle": {}}], "key": "x"}',
            json.dumps({"provider": "t", "counts": [10**12], "parts": [{"n": 10**12}]}),
            json.dumps(
                {"provider": "t", "counts": [MOST] * 2, "parts": [{"n": MOST, "handle": {}}] * 2}
            ),
            "[" * 100_000,
            b"\xff",
            7,
        ],
        ids=lambda text: repr(text)[:40],
    )
    def test_what_is_no_job_is_an_error_before_anything_is_sent(
        self, driver: Driver, text: Any
    ) -> None:
        for verb in ("resume", "poll", "cancel", "delete"):
            with pytest.raises(RequestError, match="this is no job that submit") as found:
                driver.call(lambda c, verb=verb: getattr(c, verb)(text), **settings())
            assert found.value.billed == "no"

    def test_a_stranger_gets_no_key_to_another_host(self, driver: Driver) -> None:
        service = Service()
        handle = {"job": "evil.test/", "n": 1}
        job = Job(provider="toy", counts=(1,), parts=(JobPart(n=1, handle=handle),))

        class Careless(Desk):
            def resume(self, handle: Mapping[str, Any]) -> Flow:
                answer = yield from send(HttpRequest("GET", f"https://{handle['job']}"))
                return decoded(answer.json())

        service.tricks["GET"] = answered(200, {"pictures": [spelt(picture())]})
        driver.call(lambda c: c.resume(job), service, **settings(Careless()))
        assert service.keys == {None}

    @pytest.mark.parametrize(
        "path", ["../../admin", "7/../../admin", "%2e%2E/admin", ".%2e", ".", "%2e"]
    )
    def test_a_stranger_gets_nowhere_else_with_the_key(self, driver: Driver, path: str) -> None:
        service = Service()
        job = Job(provider="toy", counts=(1,), parts=(JobPart(n=1, handle={"job": path}),))
        for verb in ("resume", "cancel"):
            with pytest.raises(imagekit.ProtocolError, match="which leads out of its own address"):
                driver.call(lambda c, verb=verb: getattr(c, verb)(job), service, **settings())
        assert service.seen == []

    def test_the_handle_of_a_job_stays_out_of_its_repr(self) -> None:
        job = Job(provider="toy", counts=(1,), parts=(JobPart(n=1, handle={"job": "j-1"}),))
        assert "j-1" not in repr(job)
        assert "j-1" not in repr(job.parts)

    def test_a_job_of_nobody_here(self, driver: Driver) -> None:
        job = Job(provider="gone", counts=(1,), parts=(JobPart(n=1, handle={}),))
        with pytest.raises(UnknownProviderError, match="no provider 'gone'"):
            driver.call(lambda c: c.resume(job), **settings())


class TestProfiles:
    def ours(self, *names: str) -> dict[str, Any]:
        profiles = [Profile(name, "toy", api_key=f"key-of-{name}-0123") for name in names]

        def made(config: Any) -> Desk:
            return Desk(key=config.api_key or KEY)

        known = plugins(toy=made, other=Desk())
        return settings(plugins=known, profiles=profiles, provider=None)

    def test_a_job_goes_back_to_the_profile_that_it_is_of(self, driver: Driver) -> None:
        service = Service()
        mine = self.ours("work", "home")
        job = driver.call(lambda c: c.submit("a cat", provider="work"), service, **mine)
        assert (job.provider, job.profile, job.name) == ("toy", "work", "work")
        response = driver.call(lambda c: c.resume(str(job)), service, **mine)
        assert (response.provider, response.profile) == ("toy", "work")
        assert service.keys == {"Bearer key-of-work-0123"}

    def test_a_profile_that_is_not_here_is_said_with_what_to_do(self, driver: Driver) -> None:
        service = Service()
        mine = self.ours("work")
        job = driver.call(lambda c: c.submit("a cat", provider="work"), service, **mine)
        for verb in ("resume", "poll", "cancel", "delete"):
            with pytest.raises(UnknownProviderError, match=r"of the profile 'work'.*provider="):
                driver.call(
                    lambda c, verb=verb: getattr(c, verb)(job), service, **self.ours("home")
                )
        again = driver.call(lambda c: c.resume(job, provider="home"), service, **self.ours("home"))
        assert again.profile == "home"

    def test_a_handle_goes_to_no_other_plugin(self, driver: Driver) -> None:
        service = Service()
        job = submitted(driver, service)
        ask: Any = lambda c: c.resume(job, provider="other")  # noqa: E731
        with pytest.raises(ConfigurationError, match="of the provider 'toy', and 'other' is"):
            driver.call(ask, service, **self.ours())
        with pytest.raises(UnknownProviderError, match="no provider 'nobody'"):
            driver.call(lambda c: c.resume(job, provider="nobody"), service, **self.ours())
        assert service.of("GET") == []


class TestLeaving:
    async def test_cancelling_an_async_wait_leaves_nothing_open(self, anyio_backend: str) -> None:
        service = Service(looks=10_000)
        transport = httpx.MockTransport(service)
        async with AsyncClient(http=transport, **settings()) as client:
            job = await client.submit("a cat", n=4)
            with anyio.move_on_after(0.1):
                await client.resume(job)
            count = len(service.seen)
            await anyio.sleep(0.1)
            assert len(service.seen) == count
            service.left = {"j1": 1, "j2": 1}
            assert len(await client.resume(job)) == 4

    def test_ctrl_c_while_waiting_leaves_the_job_as_it_was(self) -> None:
        service = Service(looks=10_000)

        def interrupt(request: httpx.Request) -> None:
            raise KeyboardInterrupt

        with Client(http=httpx.MockTransport(service), **settings()) as client:
            job = client.submit("a cat")
            service.tricks["GET"] = times(1, interrupt)
            with pytest.raises(KeyboardInterrupt):
                client.resume(job)
            service.left["j1"] = 1
            assert client.resume(job).ok
        assert [one.name for one in threading.enumerate() if one.name == "imagekit"] == []

    def test_a_look_closes_what_the_provider_had_opened(self, driver: Driver) -> None:
        closed: list[str] = []

        def flow(request: ImageRequest) -> Any:
            yield from checkpoint({})

        def resume(handle: Any) -> Any:
            try:
                yield from gather([sleep(0)])
                yield from sleep(60)
            finally:
                closed.append("yes")

        made = Scripted(flow, detaches=True)
        made.resume = resume  # type: ignore[attr-defined]
        job = driver.call(lambda c: c.submit("a cat"), **settings(made))
        assert driver.call(lambda c: c.poll(job), **settings(made)) is None
        assert closed == ["yes"]


def test_the_module_has_the_verbs_too() -> None:
    service = Service()
    http = httpx.MockTransport(service)
    imagekit.configure(http=http, **settings())
    try:
        job = imagekit.submit("a cat")
        found = imagekit.poll(job)
        assert found is not None
        assert found.ok
        assert imagekit.resume(job).ok
        imagekit.cancel(job)
        imagekit.delete(job)
        assert imagekit.batch([ImageRequest(prompt="a cat")]).n == 1
    finally:
        imagekit.configure()


def test_a_job_as_text_is_never_a_prompt() -> None:
    part = JobPart(n=1, handle={"id": "1"})
    job = str(Job(provider="sketch", counts=(1,), parts=(part,)))
    with Client(provider="sketch") as client:
        for verb in (client.submit, client.open_image):
            with pytest.raises(RequestError, match="a job, and no prompt"):
                verb(job)
        with pytest.raises(UnsupportedRequestError, match="keeps no jobs"):
            client.stream(job)
        assert client.stream('{"a": "prompt"}', size="16x16").finish().ok
