"""The three observers, and the fifth hook: told by every call, from its beginning to its end."""

from __future__ import annotations

import builtins
import json
import logging
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as gen_ai
from opentelemetry.semconv._incubating.metrics import gen_ai_metrics
from opentelemetry.semconv.attributes import error_attributes, server_attributes
from opentelemetry.trace import SpanKind, StatusCode

import imagekit
from imagekit import (
    ConfigurationError,
    ContentRejectedError,
    Cost,
    ImageFailure,
    ImageRequest,
    ImageResponse,
    Notice,
    PartialImage,
    Plugins,
    Text,
    Usage,
    UsageItem,
)
from imagekit._hookspecs import CallInfo
from imagekit.observers import CostRow, LogCalls, RecordCosts, TraceCalls
from imagekit.observers._traced import _failure
from imagekit.observers._words import told
from imagekit.provider import (
    Capabilities,
    Endpoint,
    HttpRequest,
    HttpResponse,
    bearer,
    checkpoint,
    emit,
    hookimpl,
    send,
    sleep,
)
from planted import Install
from spoken import httpx
from toys import Driver, picture, plugins

PROMPT = "a boat that nobody may read of"
SAID = f"the provider says: {PROMPT} is bad"


class Easel:
    """Does as its options say: in this process, or with one request to its host."""

    def __init__(self, base_url: str | None = None) -> None:
        self.endpoint = Endpoint(base_url, bearer("a-key")) if base_url else None

    def capabilities(self, model: str | None) -> Capabilities:
        return Capabilities(
            model=model or "easel-1",
            operations=frozenset({"generate", "edit", "variation"}),
            streaming=True,
            detaches=True,
            max_images=8,
        )

    def flow(self, request: ImageRequest, *, stream: bool) -> Any:
        said = dict(request.options.get("easel", {}))
        yield from sleep(0)
        if request.detach:
            yield from checkpoint({"said": said})
        if self.endpoint is not None:
            answer = yield from send(HttpRequest("POST", "/pictures?secret=1", json={}))
            if not answer.ok:
                raise imagekit.InvalidRequestError(SAID, status=answer.status, code="bad")
        return (yield from self.made(request, said))

    def made(self, request: ImageRequest | None, said: dict[str, Any]) -> Any:
        if said.get("text"):
            yield from emit(Text(text="thinking"))
        for step in range(said.get("previews", 0)):
            yield from emit(PartialImage(step=step, image=imagekit.Image(data=picture(step))))
        if said.get("rejects"):
            raise ContentRejectedError(
                SAID, stage="input", categories=("boats",), request_id="req-7", billed="no"
            )
        if said.get("raises"):
            raise ZeroDivisionError(SAID)
        slots: list[Any] = [imagekit.Image(data=picture())] * (request.n if request else 1)
        if said.get("refuses"):
            slots[-1] = ImageFailure(kind="refused", reason=SAID, billed="no")
        if said.get("fails"):
            slots[-1] = ImageFailure(kind="failed", reason=SAID)
        kind = said.get("cost")
        cost = Cost(amount=Decimal("0.04"), kind=kind, currency="USD") if kind else None
        usage = None
        if said.get("usage"):
            usage = Usage(
                items=(
                    UsageItem(quantity=Decimal(11), direction="input"),
                    UsageItem(quantity=Decimal(1056), direction="output"),
                )
            )
        text = SAID if said.get("says") else None
        return ImageResponse(
            slots=tuple(slots), model="easel-1-of-may", cost=cost, usage=usage, text=text
        )

    def resume(self, handle: Any) -> Any:
        return (yield from self.made(None, handle["said"]))

    def list_models(self) -> Any:
        yield from sleep(0)
        return []


def settings(*observers: object, host: str | None = None) -> dict[str, Any]:
    found = plugins(*observers, easel=Easel(host))
    return {"plugins": found, "provider": "easel", "config": False}


def options(**said: Any) -> dict[str, Any]:
    return {"options": {"easel": said}}


def ask(driver: Driver, *observers: object, **said: Any) -> Any:
    return driver.call(lambda c: c.generate(PROMPT, **options(**said)), **settings(*observers))


# The hook that a call begins with


class Notes:
    """Notes each hook that it is told, in order."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.calls: list[CallInfo] = []
        self.errors: list[Any] = []

    @hookimpl
    def imagekit_call_started(self, call: CallInfo) -> None:
        self.told.append("started")
        self.calls.append(call)

    @hookimpl
    def imagekit_request_sent(self, call: CallInfo) -> None:
        self.told.append("sent")

    @hookimpl
    def imagekit_response_received(self, call: CallInfo) -> None:
        self.told.append("received")

    @hookimpl
    def imagekit_event_emitted(self, call: CallInfo) -> None:
        self.told.append("event")

    @hookimpl
    def imagekit_call_finished(self, call: CallInfo, error: Any) -> None:
        assert call == self.calls[-1]
        self.told.append("finished")
        self.errors.append(error)


def test_a_call_in_this_process_begins_once_and_first(driver: Driver) -> None:
    notes = Notes()
    ask(driver, notes)
    assert notes.told == ["started", "event", "finished"]
    [call] = notes.calls
    assert (call.provider, call.verb, call.model) == ("easel", "generate", "easel-1")
    assert (call.base_url, call.stream, call.job) == (None, False, None)


def test_a_call_over_the_network_begins_before_its_first_request(driver: Driver) -> None:
    notes = Notes()
    driver.call(
        lambda c: c.generate(PROMPT),
        lambda _: httpx.Response(200),
        **settings(notes, host="https://easel.example:8443/v1?key=secret"),
    )
    assert notes.told == ["started", "sent", "received", "event", "finished"]
    assert notes.calls[0].base_url is not None
    assert notes.calls[0].base_url.startswith("https://easel.example:8443/v1")
    assert "secret" not in repr(notes.calls)


REFUSED = [
    (lambda c: c.generate(PROMPT, promt="x"), "generate", "easel"),
    (lambda c: c.generate(PROMPT, provider="nobody"), "generate", "nobody"),
    (lambda c: c.generate(PROMPT, n=0), "generate", "easel"),
    (lambda c: c.edit(PROMPT, images=[]), "edit", "easel"),
    (lambda c: c.vary(images=[]), "variation", "easel"),
    (lambda c: c.run(ImageRequest(prompt=PROMPT, n=2), promt=1), "generate", "easel"),
    (lambda c: c.generate(PROMPT, budget="0.01 USD"), "generate", "easel"),
    (lambda c: c.upload(picture()), "upload", "easel"),
    (lambda c: c.models(colour="red"), "list_models", "easel"),
    (lambda c: c.request("GET", "/x", colour="red"), "request", "easel"),
    (lambda c: c.fetch(imagekit.Image(url="https://x.example"), colour=1), "fetch", "easel"),
    (lambda c: c.submit(PROMPT, cache=True), "submit", "easel"),
    (lambda c: c.batch([]), "batch", "easel"),
    (lambda c: c.resume("{}"), "resume", "easel"),
    (lambda c: c.poll("{}"), "poll", "easel"),
    (lambda c: c.cancel("{}"), "cancel", "easel"),
    (lambda c: c.delete(imagekit.ProviderFile("x")), "delete", "easel"),
    (lambda c: c.generate(PROMPT, provider=["easel", "nobody"]), "generate", "nobody"),
]


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_a_call_that_is_refused_begins_and_ends(driver: Driver, number: int) -> None:
    verb, name, who = REFUSED[number]
    notes = Notes()
    with pytest.raises(imagekit.ImagekitError):
        driver.call(verb, **settings(notes))
    assert notes.told == ["started", "finished"]
    assert isinstance(notes.errors[0], imagekit.ImagekitError)
    [call] = notes.calls
    assert (call.verb, call.provider) == (name, who)


def test_with_nobody_to_ask_nobody_is_said() -> None:
    notes, found = Notes(), Plugins()
    found.register(notes)
    with (
        imagekit.Client(plugins=found, config=False, env={}) as client,
        pytest.raises(ConfigurationError),
    ):
        client.generate(PROMPT)
    assert [call.provider for call in notes.calls] == ["nobody"]


def test_each_that_is_asked_in_turn_is_a_call(driver: Driver) -> None:
    notes = Notes()
    found = settings(notes, host="https://easel.example/v1")
    found["plugins"].register(Plugged(Easel()), "brush")
    response = driver.call(
        lambda c: c.generate(PROMPT, provider=["easel", "brush"]),
        lambda _: httpx.Response(429),
        **found,
        retry=imagekit.RetryPolicy(retries=0),
        fall_back_on=["invalid"],
    )
    assert response.ok
    assert [call.provider for call in notes.calls] == ["easel", "brush"]
    assert (notes.told.count("started"), notes.told.count("finished")) == (2, 2)


class Plugged:
    def __init__(self, provider: Easel) -> None:
        self.provider = provider

    @hookimpl
    def imagekit_provider(self) -> Easel:
        return self.provider


def test_a_job_is_told_apart_and_its_look_from_its_end(driver: Driver) -> None:
    notes = Notes()
    with imagekit.Client(**settings(notes)) as client:
        job = client.submit(PROMPT)
        assert client.poll(job) is not None
        assert client.resume(str(job)).ok
    verbs = [(call.verb, call.model) for call in notes.calls]
    assert verbs == [("submit", "easel-1"), ("poll", "easel-1"), ("resume", "easel-1")]
    one, two, three = (call.job for call in notes.calls)
    assert (one, two) == (None, three)
    assert two is not None


def test_a_stream_that_nobody_reads_is_no_call(driver: Driver) -> None:
    notes = Notes()
    with imagekit.Client(**settings(notes)) as client:
        client.stream(PROMPT).close()
    assert notes.told == []


# Nothing watches by being installed


def test_what_is_installed_does_not_watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install = Install(tmp_path, monkeypatch)
    for group in (
        "imagekit",
        "imagekit.observers",
        "imagekit.plugins",
        "imagekit.hooks",
        "pluggy",
        "pytest11",
    ):
        name = f"spy-{group.replace('.', '-')}"
        install(name, "raise AssertionError('imported')", group=group)
    with imagekit.Client(**settings()) as client:
        assert client.generate(PROMPT).ok
        assert client.plugins.managers()[0].get_plugins() is not None
        assert len(client.plugins.managers()) == 1  # the easel itself


# The log


@pytest.fixture
def heard(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, "imagekit.calls")
    return caplog


def lines(heard: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    own = [one for one in heard.records if one.name == "imagekit.calls"]
    return [(one.levelname, one.getMessage()) for one in own]


LEVELS: dict[str, tuple[dict[str, Any], str, str]] = {
    "whole": ({}, "INFO", "generate easel/easel-1: 1 of 1 picture, in 0."),
    "costs": ({"cost": "reported"}, "INFO", "1 of 1 picture, for USD 0.04, in 0."),
    "in part": ({"n": 2, "refuses": 1}, "WARNING", "1 of 2 pictures, refused, billed: no, in 0."),
    "rejected": (
        {"rejects": 1},
        "WARNING",
        "ContentRejectedError (request req-7, input, boats, billed: no), in 0.",
    ),
    "broken": ({"raises": 1}, "ERROR", "PluginError (billed: no), in 0."),
}


@pytest.mark.parametrize("case", LEVELS)
def test_a_call_is_one_line_by_its_outcome(
    driver: Driver, heard: pytest.LogCaptureFixture, case: str
) -> None:
    said, level, words = LEVELS[case]
    said = dict(said)
    n = said.pop("n", 1)
    try:
        driver.call(lambda c: c.generate(PROMPT, n=n, **options(**said)), **settings(LogCalls()))
    except imagekit.ImagekitError:
        assert case in ("rejected", "broken")
    [(was, line)] = lines(heard)
    assert was == level
    assert words in line
    assert "boat that" not in heard.text


def test_a_prompt_and_what_a_provider_says_are_logged_if_wanted(
    heard: pytest.LogCaptureFixture,
) -> None:
    with imagekit.Client(**settings(LogCalls(content=True))) as client:
        with pytest.raises(ContentRejectedError):
            client.generate("two\nlines", **options(rejects=1))
        assert client.models() == ()
    [(_, line), (_, listed)] = lines(heard)
    assert SAID in line
    assert line.endswith("'two lines'")
    assert listed.startswith("list_models easel: done, in 0.")


def test_a_call_that_is_refused_says_why(heard: pytest.LogCaptureFixture) -> None:
    with (
        imagekit.Client(**settings(LogCalls())) as client,
        pytest.raises(imagekit.RequestError),
    ):
        client.generate(PROMPT, n=0)
    [(level, line)] = lines(heard)
    assert level == "WARNING"
    assert line.startswith("generate easel: RequestError (billed: no): n: ")


def test_each_attempt_is_a_line_and_so_is_one_without_an_answer(
    driver: Driver, heard: pytest.LogCaptureFixture
) -> None:
    answers = iter([429, None, None, 200])

    def host(request: httpx.Request) -> httpx.Response:
        status = next(answers)
        if status is None:
            raise httpx.ConnectError("no way")
        return httpx.Response(status)

    driver.call(
        lambda c: c.generate(PROMPT),
        host,
        **settings(LogCalls(), host="https://easel.example/v1"),
        retry=imagekit.RetryPolicy(base=0.0, retries=5),
    )
    found = [(level, line.rpartition(" after ")[0]) for level, line in lines(heard)[:-1]]
    who = "generate easel/easel-1: POST /pictures"
    assert found == [
        ("WARNING", f"{who}: 429"),
        ("WARNING", f"{who}: no answer,"),
        ("WARNING", f"{who}: no answer,"),
        ("DEBUG", f"{who}: 200"),
    ]
    assert "secret" not in heard.text
    ids = {one.call for one in heard.records if one.name == "imagekit.calls"}
    assert len(ids) == 1


def test_an_attempt_that_ends_the_call_without_an_answer_is_a_line(
    driver: Driver, heard: pytest.LogCaptureFixture
) -> None:
    def host(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("gone")

    with pytest.raises(imagekit.TransportError):
        driver.call(
            lambda c: c.generate(PROMPT),
            host,
            **settings(LogCalls(), host="https://easel.example/v1"),
        )
    (first, line), (last, end) = lines(heard)
    assert (first, last) == ("WARNING", "ERROR")
    assert "no answer" in line
    assert "billed: possibly" in end


def test_whoever_leaves_is_no_trouble(driver: Driver, heard: pytest.LogCaptureFixture) -> None:
    driver.stream(PROMPT, until=1, fields=options(previews=3), **settings(LogCalls()))
    [(level, line)] = lines(heard)
    assert level == "INFO"
    assert "CallerLeft: the caller left" in line


def test_another_logger_may_be_given_and_one_that_comes_late_is_no_trouble(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    log = LogCalls(logging.getLogger("mine"))
    call = CallInfo("1", "easel")
    asked = HttpRequest("GET", "/x")
    log.imagekit_response_received(call, asked, HttpResponse(200))
    log.imagekit_call_finished(call, None, None)
    assert [one.name for one in caplog.records] == ["mine", "mine"]


def test_what_came_from_the_cache_cost_nothing(
    heard: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    costs, spans = RecordCosts(), Spans()
    with imagekit.Client(
        **settings(LogCalls(), costs, spans.observer()), cache=imagekit.Cache(tmp_path)
    ) as client:
        for _ in "12":
            assert client.generate(PROMPT, **options(cost="reported", usage=1)).ok
    assert ["from the cache" in line for _, line in lines(heard)] == [False, True]
    [row] = costs.rows
    assert (row.calls, row.pictures, row.reported) == (2, 2, {"USD": Decimal("0.04")})
    first, second = spans.ended
    assert second.attributes["imagekit.cached"] is True
    assert "imagekit.cost.amount" in first.attributes
    assert "imagekit.cost.amount" not in second.attributes
    assert gen_ai.GEN_AI_USAGE_INPUT_TOKENS not in second.attributes


# What calls cost


def test_costs_are_kept_by_provider_and_model(driver: Driver, tmp_path: Path) -> None:
    file = tmp_path / "costs.jsonl"
    costs = RecordCosts(file)
    ask(driver, costs, cost="reported")
    ask(driver, costs, cost="reported")
    ask(driver, costs, cost="estimated")
    ask(driver, costs)
    with pytest.raises(ContentRejectedError):
        ask(driver, costs, rejects=1)
    known, refused = costs.rows
    assert known == CostRow(
        "easel",
        "easel-1-of-may",
        calls=4,
        pictures=4,
        reported={"USD": Decimal("0.08")},
        estimated={"USD": Decimal("0.04")},
        unknown=1,
    )
    assert refused == CostRow("easel", "easel-1", calls=1, billed={"no": 1})
    assert costs.total() == Decimal("0.12")
    assert costs.total("EUR") is None
    written = [json.loads(line) for line in file.read_text().splitlines()]
    assert [one["costs"] for one in written[:1]] == [
        [{"amount": "0.04", "currency": "USD", "kind": "reported"}]
    ]
    assert [one["unknown"] for one in written] == [False, False, False, True, False]
    assert [one["error"] for one in written] == [None] * 4 + ["ContentRejectedError"]
    assert written[-1]["billed"] == "no"
    assert PROMPT not in file.read_text()


def test_what_makes_no_picture_is_not_in_the_record() -> None:
    costs = RecordCosts()
    with imagekit.Client(**settings(costs)) as client:
        client.models()
        client.submit(PROMPT)
        with pytest.raises(imagekit.RequestError):
            client.models(colour="red")
    assert costs.rows == ()
    assert costs.total() is None


def test_a_call_that_may_have_cost_says_so(driver: Driver) -> None:
    costs = RecordCosts()

    def host(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("gone")

    with pytest.raises(imagekit.TransportError):
        driver.call(
            lambda c: c.generate(PROMPT), host, **settings(costs, host="https://easel.example/v1")
        )
    [row] = costs.rows
    assert (row.calls, row.unknown, row.billed) == (1, 1, {"possibly": 1})


def test_a_job_is_recorded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    costs = RecordCosts()
    monkeypatch.setattr("imagekit.observers._costs._MOST", 1)
    with imagekit.Client(**settings(costs)) as client:
        jobs = [client.submit(PROMPT, **options(cost="reported"), n=n) for n in (1, 2)]
        for job in (*jobs, jobs[1]):
            client.poll(job)
            client.resume(job)
    [row] = costs.rows
    assert (row.calls, row.reported) == (2, {"USD": Decimal("0.08")})


def test_a_job_that_goes_on_is_not_over(driver: Driver) -> None:
    costs = RecordCosts()
    call = CallInfo("1", "easel", verb="poll", job="7")
    error = imagekit.TransportError("gone", billed="possibly")
    error.job = object()  # type: ignore[assignment]
    costs.imagekit_call_finished(call, None, error)
    assert costs.rows == ()
    error.job = None
    costs.imagekit_call_finished(call, None, error)
    assert [row.billed for row in costs.rows] == [{"possibly": 1}]


def test_threads_and_processes_may_share_a_record(tmp_path: Path) -> None:
    file = tmp_path / "costs.jsonl"
    mine, others = RecordCosts(file), RecordCosts(str(file))
    with (
        imagekit.Client(**settings(mine)) as one,
        imagekit.Client(**settings(others)) as another,
    ):

        def work(client: imagekit.Client) -> None:
            for _ in range(20):
                client.generate(PROMPT, **options(cost="estimated"))

        threads = [threading.Thread(target=work, args=(one,)) for _ in "123"]
        threads += [threading.Thread(target=work, args=(another,))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert mine.rows[0].calls == 60
    assert mine.total() == Decimal("2.40")
    written = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(written) == 80
    assert len({one["call"] for one in written}) == 80


def test_a_file_that_cannot_be_written_costs_no_picture(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    costs = RecordCosts(tmp_path)
    with imagekit.Client(**settings(costs)) as client:
        assert client.generate(PROMPT).ok
    assert costs.rows[0].calls == 1
    assert "an imagekit observer failed" in caplog.text


# OpenTelemetry, by its own SDK and its own names


class Spans:
    """The SDK, which keeps what it is told."""

    def __init__(self) -> None:
        self.exporter, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.meters = MeterProvider([self.reader], shutdown_on_exit=False)

    def observer(self, **settings: Any) -> TraceCalls:
        return TraceCalls(tracer_provider=self.tracers, meter_provider=self.meters, **settings)

    @property
    def ended(self) -> list[Any]:
        return list(self.exporter.get_finished_spans())

    def measured(self) -> dict[str, list[Any]]:
        data = self.reader.get_metrics_data()
        if data is None:
            return {}
        return {
            metric.name: list(metric.data.data_points)
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


@pytest.fixture
def spans() -> Iterator[Spans]:
    found = Spans()
    yield found
    found.meters.shutdown()
    found.tracers.shutdown()


GENERATE = gen_ai.GenAiOperationNameValues.GENERATE_CONTENT.value


def test_a_call_is_a_span_by_the_conventions(driver: Driver, spans: Spans) -> None:
    ask(driver, spans.observer(), usage=1, cost="reported", says=1)
    [span] = spans.ended
    assert (span.name, span.kind) == (f"{GENERATE} easel-1", SpanKind.CLIENT)
    assert span.status.status_code is StatusCode.UNSET
    assert dict(span.attributes) == {
        gen_ai.GEN_AI_OPERATION_NAME: GENERATE,
        gen_ai.GEN_AI_PROVIDER_NAME: "easel",
        gen_ai.GEN_AI_REQUEST_MODEL: "easel-1",
        gen_ai.GEN_AI_RESPONSE_MODEL: "easel-1-of-may",
        gen_ai.GEN_AI_OUTPUT_TYPE: gen_ai.GenAiOutputTypeValues.IMAGE.value,
        gen_ai.GEN_AI_REQUEST_STREAM: False,
        gen_ai.GEN_AI_RESPONSE_FINISH_REASONS: ("stop",),
        gen_ai.GEN_AI_USAGE_INPUT_TOKENS: 11,
        gen_ai.GEN_AI_USAGE_OUTPUT_TOKENS: 1056,
        "imagekit.verb": "generate",
        "imagekit.provider": "easel",
        "imagekit.pictures": 1,
        "imagekit.cached": False,
        "imagekit.cost.amount": "0.04",
        "imagekit.cost.currency": "USD",
        "imagekit.cost.kind": "reported",
    }
    measured = spans.measured()
    [took] = measured[gen_ai_metrics.GEN_AI_CLIENT_OPERATION_DURATION]
    assert took.count == 1
    assert took.attributes[gen_ai.GEN_AI_OPERATION_NAME] == GENERATE
    assert took.explicit_bounds[-1] == pytest.approx(81.92)
    tokens = measured[gen_ai_metrics.GEN_AI_CLIENT_TOKEN_USAGE]
    assert {one.attributes[gen_ai.GEN_AI_TOKEN_TYPE]: one.sum for one in tokens} == {
        gen_ai.GenAiTokenTypeValues.INPUT.value: 11,
        gen_ai.GenAiTokenTypeValues.OUTPUT.value: 1056,
    }
    assert gen_ai_metrics.GEN_AI_CLIENT_OPERATION_TIME_TO_FIRST_CHUNK not in measured


def test_what_it_says_is_in_the_conventions(spans: Spans) -> None:
    """Every name that is not one of ours is one of theirs."""
    theirs = {value for name, value in vars(gen_ai).items() if name.startswith("GEN_AI_")}
    theirs |= {server_attributes.SERVER_ADDRESS, server_attributes.SERVER_PORT}
    theirs |= {error_attributes.ERROR_TYPE, "http.response.status_code"}
    observer = spans.observer(capture_content=True)
    with imagekit.Client(
        **settings(observer, host="https://easel.example/v1"),
        http=httpx.MockTransport(lambda _: httpx.Response(200)),
    ) as client:
        client.generate(PROMPT, n=2, seed=7, **options(usage=1, says=1, cost="reported"))
        with client.stream(PROMPT, **options(previews=1)) as stream:
            stream.finish()
        with pytest.raises(ContentRejectedError):
            client.generate(PROMPT, **options(rejects=1))
    said = {name for span in spans.ended for name in span.attributes}
    assert {name for name in said if not name.startswith("imagekit.")} <= theirs
    metrics = {
        value for name, value in vars(gen_ai_metrics).items() if name.startswith("GEN_AI_CLIENT")
    }
    assert set(spans.measured()) <= metrics


def test_an_edit_a_seed_and_several_pictures_are_said(driver: Driver, spans: Spans) -> None:
    driver.call(
        lambda c: c.edit(PROMPT, images=[picture()], n=3, seed=7, model="easel-2"),
        **settings(spans.observer()),
    )
    [span] = spans.ended
    assert span.name == f"{GENERATE} easel-2"
    assert span.attributes["imagekit.verb"] == "edit"
    assert span.attributes[gen_ai.GEN_AI_REQUEST_CHOICE_COUNT] == 3
    assert span.attributes[gen_ai.GEN_AI_REQUEST_SEED] == 7


@pytest.mark.parametrize("said", [{"previews": 2}, {"text": 1}, {}])
def test_a_stream_says_when_its_first_piece_came(
    driver: Driver, spans: Spans, said: dict[str, Any]
) -> None:
    driver.stream(PROMPT, fields=options(**said), **settings(spans.observer()))
    [span] = spans.ended
    assert [(one.name, dict(one.attributes)) for one in span.events] == [
        ("imagekit.preview", {"imagekit.slot": 0, "imagekit.step": step})
        for step in range(said.get("previews", 0))
    ]
    assert span.attributes[gen_ai.GEN_AI_REQUEST_STREAM] is True
    assert span.attributes[gen_ai.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK] >= 0
    [first] = spans.measured()[gen_ai_metrics.GEN_AI_CLIENT_OPERATION_TIME_TO_FIRST_CHUNK]
    assert first.count == 1


def test_where_it_is_and_what_it_answered_are_said(driver: Driver, spans: Spans) -> None:
    answers = iter([429, 200])
    driver.call(
        lambda c: c.generate(PROMPT),
        lambda _: httpx.Response(next(answers)),
        **settings(spans.observer(), host="https://easel.example/v1"),
        retry=imagekit.RetryPolicy(base=0.0),
    )
    [span] = spans.ended
    assert span.attributes[server_attributes.SERVER_ADDRESS] == "easel.example"
    assert span.attributes[server_attributes.SERVER_PORT] == 443
    answers_ = [one.attributes["http.response.status_code"] for one in span.events]
    assert answers_ == [429, 200]
    [took] = spans.measured()[gen_ai_metrics.GEN_AI_CLIENT_OPERATION_DURATION]
    assert took.attributes[server_attributes.SERVER_PORT] == 443


@pytest.mark.parametrize("content", [False, True])
def test_an_error_is_one_without_a_word_of_the_prompt(
    driver: Driver, spans: Spans, content: bool
) -> None:
    with pytest.raises(ContentRejectedError):
        ask(driver, spans.observer(capture_content=content), rejects=1)
    [span] = spans.ended
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes[error_attributes.ERROR_TYPE] == "ContentRejectedError"
    assert span.attributes["imagekit.billed"] == "no"
    [took] = spans.measured()[gen_ai_metrics.GEN_AI_CLIENT_OPERATION_DURATION]
    assert took.attributes[error_attributes.ERROR_TYPE] == "ContentRejectedError"
    assert (PROMPT in span.to_json()) == content


def test_an_error_of_the_host_says_its_status_and_code(driver: Driver, spans: Spans) -> None:
    with pytest.raises(imagekit.InvalidRequestError):
        driver.call(
            lambda c: c.generate(PROMPT),
            lambda _: httpx.Response(400),
            **settings(spans.observer(), host="https://easel.example/v1"),
        )
    [span] = spans.ended
    assert span.attributes["http.response.status_code"] == 400
    assert span.attributes["imagekit.error.code"] == "bad"
    assert PROMPT not in span.to_json()


def test_slots_that_failed_are_finish_reasons(driver: Driver, spans: Spans) -> None:
    for said in ({"refuses": 1}, {"fails": 1}):
        driver.call(
            lambda c, said=said: c.generate(PROMPT, n=2, **options(**said)),
            **settings(spans.observer()),
        )
    ends = [span.attributes[gen_ai.GEN_AI_RESPONSE_FINISH_REASONS] for span in spans.ended]
    assert ends == [("stop", "content_filter"), ("stop", "error")]


def test_prompts_and_texts_are_captured_if_wanted(driver: Driver, spans: Spans) -> None:
    ask(driver, spans.observer(), says=1)
    ask(driver, spans.observer(capture_content=True), says=1)
    plain, full = spans.ended
    assert PROMPT not in plain.to_json()
    [asked] = json.loads(full.attributes[gen_ai.GEN_AI_INPUT_MESSAGES])
    assert asked == {"role": "user", "parts": [{"type": "text", "content": PROMPT}]}
    [said] = json.loads(full.attributes[gen_ai.GEN_AI_OUTPUT_MESSAGES])
    assert said["parts"] == [{"type": "text", "content": SAID}]
    assert said["finish_reason"] == "stop"


def test_a_provider_may_be_called_what_the_conventions_call_it(spans: Spans) -> None:
    observer = spans.observer(provider_names={"easel": "easel.inc"})
    with imagekit.Client(**settings(observer)) as client:
        client.generate(PROMPT)
        client.models()
    made, listed = spans.ended
    assert made.attributes[gen_ai.GEN_AI_PROVIDER_NAME] == "easel.inc"
    assert made.attributes["imagekit.provider"] == "easel"
    assert (listed.name, listed.attributes[gen_ai.GEN_AI_OPERATION_NAME]) == (
        "list_models",
        "list_models",
    )
    assert gen_ai.GEN_AI_OUTPUT_TYPE not in listed.attributes


def test_whoever_leaves_ends_the_span(driver: Driver, spans: Spans) -> None:
    driver.stream(PROMPT, until=1, fields=options(previews=3), **settings(spans.observer()))
    [span] = spans.ended
    assert left(span)


def left(span: Any) -> bool:
    """Whether it says that its caller left, which is no error."""
    assert error_attributes.ERROR_TYPE not in span.attributes
    assert span.status.status_code is trace.StatusCode.UNSET
    assert span.attributes["imagekit.billed"] == "possibly"
    return span.attributes["imagekit.left"] is True


def test_a_cancelled_task_ends_the_span(spans: Spans) -> None:
    class Waits(Easel):
        def made(self, request: Any, said: Any) -> Any:
            scopes[-1].cancel()
            yield from sleep(60)

    found = plugins(spans.observer(), easel=Waits())

    async def main() -> None:
        async with imagekit.AsyncClient(plugins=found, provider="easel", config=False) as client:
            with anyio.CancelScope() as scope:
                scopes.append(scope)
                await client.generate(PROMPT)

    scopes: list[anyio.CancelScope] = []
    for backend in ("asyncio", "trio"):
        anyio.run(main, backend=backend)
    assert [left(span) for span in spans.ended] == [True, True]


def test_its_parent_is_the_span_that_is_current_where_it_begins(
    driver: Driver, spans: Spans
) -> None:
    tracer = spans.tracers.get_tracer("app")
    found = settings(spans.observer())
    with tracer.start_as_current_span("a request") as parent:
        driver.call(lambda c: c.generate(PROMPT), **found)
        driver.stream(PROMPT, **found)
    context = parent.get_span_context()
    mine = [span for span in spans.ended if span.name != "a request"]
    assert [span.parent.span_id for span in mine] == [context.span_id] * 2
    assert {span.context.trace_id for span in mine} == {context.trace_id}
    assert trace.get_current_span().get_span_context().is_valid is False


def test_each_of_several_at_once_has_its_own_parent(spans: Spans) -> None:
    tracer = spans.tracers.get_tracer("app")
    found = settings(spans.observer())
    with imagekit.Client(**found) as client:

        def work(number: int) -> None:
            with tracer.start_as_current_span(f"thread {number}"):
                client.generate(PROMPT, model=f"easel-{number}")

        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    async def one(client: imagekit.AsyncClient, number: int) -> None:
        with tracer.start_as_current_span(f"task {number}"):
            await client.generate(PROMPT, model=f"easel-{number}")

    async def main() -> None:
        async with imagekit.AsyncClient(**found) as client, anyio.create_task_group() as group:
            for number in range(6, 12):
                group.start_soon(one, client, number)

    anyio.run(main)
    parents = {span.context.span_id: span.name for span in spans.ended}
    mine = [span for span in spans.ended if span.name.startswith(GENERATE)]
    told = {span.name.rpartition("-")[2]: parents[span.parent.span_id] for span in mine}
    assert told == {
        **{str(number): f"thread {number}" for number in range(6)},
        **{str(number): f"task {number}" for number in range(6, 12)},
    }


def test_an_observer_that_comes_late_traces_nothing(spans: Spans) -> None:
    observer = spans.observer()
    call = CallInfo("1", "easel")
    observer.imagekit_response_received(call, HttpRequest("GET", "/x"), HttpResponse(200))
    observer.imagekit_event_emitted(
        call, imagekit.Noticed(notice=Notice(kind="other", feature="x"))
    )
    observer.imagekit_call_finished(call, None, None)
    assert spans.ended == []


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *given: Any, **named: Any) -> Any:
        if name.startswith("opentelemetry"):
            raise ImportError(name)
        return real(name, *given, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigurationError, match=r"pip install 'imagekit\[otel\]'"):
        TraceCalls()


def test_by_default_it_is_the_programs_own(driver: Driver) -> None:
    # No provider is set up in this process, so that nothing is kept, and nothing breaks.
    assert ask(driver, TraceCalls()).ok


# On the client behind the module's own verbs


def test_the_default_client_takes_observers(monkeypatch: pytest.MonkeyPatch) -> None:
    costs = RecordCosts()
    try:
        imagekit.configure(**settings(costs))
        assert imagekit.generate(PROMPT).ok
        assert [row.calls for row in costs.rows] == [1]
    finally:
        imagekit.configure()


@pytest.mark.parametrize("said", ["a boat is too rude", "x" * 81, "two\nlines"])
def test_what_a_provider_says_in_a_code_is_content(said: str) -> None:
    error = imagekit.ContentRejectedError(
        "no", code=said, request_id=said, categories=(said, "violence")
    )
    assert said not in told(error, content=False)
    assert "violence" in told(error, content=False)
    assert "imagekit.error.code" not in _failure(error)
    error.code = "content_policy"
    assert _failure(error)["imagekit.error.code"] == "content_policy"
