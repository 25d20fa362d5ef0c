from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from imagekit import (
    Exchange,
    ImageRequest,
    ImageResponse,
    NoImageError,
    Progress,
    ProtocolError,
    ProviderError,
    TransportError,
    TruncatedStreamError,
)
from imagekit._observed import MOST_TEXT, Exchanges, observed
from imagekit.provider import (
    CallInfo,
    Capabilities,
    Flow,
    HttpRequest,
    HttpResponse,
    ServerSentEvent,
    emit,
    hookimpl,
    open_stream,
    receive,
    send,
    sleep,
)
from imagekit.testing import Played, json_response, play
from spoken import httpx
from toys import KEY, Driver, Streaming, Watcher, Whole, done, picture, plugins, sse

CALL = CallInfo("1", "toy", ImageRequest(prompt="a cat"))
SEND, OPEN = HttpRequest("GET", "/whole"), HttpRequest("POST", "/stream")


def talk() -> Flow:
    yield from send(SEND)
    yield from open_stream(OPEN)
    yield from emit(Progress(step=1))
    return ImageResponse(slots=())


def fails() -> Flow:
    yield from send(SEND)
    raise NoImageError("none")


def watched(flow: Flow, *observers: object, keep: bool = False) -> Played:
    hook = plugins(*observers).hook
    return play(
        observed(flow, CALL, hook, Exchanges(keep=keep)), json_response(1), json_response(2)
    )


def test_an_observer_is_told_of_requests_answers_events_and_the_end() -> None:
    watcher = Watcher()
    watched(talk(), watcher)
    hooks = [name for name, _ in watcher.told]
    assert hooks == ["sent", "received", "sent", "received", "event", "finished"]
    assert [one["request"] for one in watcher.of("sent")] == [SEND, OPEN]
    assert [one["response"].json() for one in watcher.of("received")] == [1, 2]
    assert [one["request"] for one in watcher.of("received")] == [SEND, OPEN]
    assert watcher.of("event")[0]["event"] == Progress(step=1)
    assert [one.status for one in watcher.of("finished")[0]["response"].http] == [200, 200]
    assert all(arguments["call"] is CALL for _, arguments in watcher.told)


def test_an_observer_is_told_of_the_error_a_call_ends_in() -> None:
    watcher = Watcher()
    with pytest.raises(NoImageError) as found:
        watched(fails(), watcher)
    (last,) = watcher.of("finished")
    assert (last["response"], last["error"]) == (None, found.value)


def test_an_observer_is_told_when_the_caller_leaves() -> None:
    watcher = Watcher()
    flow = observed(talk(), CALL, plugins(watcher).hook, Exchanges())
    next(flow)
    flow.close()
    (last,) = watcher.of("finished")
    assert last["response"] is None
    assert "the caller left" in str(last["error"])


def test_an_observer_may_take_fewer_arguments() -> None:
    class Short:
        calls = 0

        @hookimpl
        def imagekit_request_sent(self) -> None:
            self.calls += 1

    short = Short()
    watched(talk(), short)
    assert short.calls == 2


def test_an_observer_that_raises_is_logged_and_costs_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Bad:
        @hookimpl
        def imagekit_request_sent(self) -> None:
            raise ZeroDivisionError

        @hookimpl
        def imagekit_call_finished(self) -> None:
            raise ZeroDivisionError

    watcher = Watcher()
    played = watched(talk(), watcher, Bad())
    assert isinstance(played.response, ImageResponse)
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 3
    assert "ZeroDivisionError" in caplog.text
    assert len(watcher.of("received")) == 2


def test_an_observer_that_raises_does_not_hide_the_calls_own_error() -> None:
    class Bad:
        @hookimpl
        def imagekit_call_finished(self) -> None:
            raise ZeroDivisionError

    with pytest.raises(NoImageError):
        watched(fails(), Bad())


def test_what_an_observer_returns_changes_nothing() -> None:
    class Meddler:
        @hookimpl
        def imagekit_response_received(self) -> str:
            return "another answer"

    assert watched(talk(), Meddler()).response.slots == ()


def test_the_exchanges_are_kept_where_they_are_asked_for() -> None:
    raw = watched(talk(), keep=True).response.raw
    assert [(one.request, one.response.json()) for one in raw] == [(SEND, 1), (OPEN, 2)]


def test_the_exchanges_are_not_kept_otherwise() -> None:
    assert watched(talk()).response.raw == ()


def test_each_attempt_is_told(caplog: pytest.LogCaptureFixture) -> None:
    from imagekit._retried import RetryPolicy, retried

    def asks() -> Flow:
        yield from send(SEND)
        return ImageResponse(slots=())

    watcher = Watcher()
    flow = observed(retried(asks(), RetryPolicy(base=0)), CALL, plugins(watcher).hook, Exchanges())
    play(flow, json_response(0, 429), json_response(0, 429), json_response(0))
    assert [one["response"].status for one in watcher.of("received")] == [429, 429, 200]


def streams(service: Any) -> dict[str, Any]:
    return {"plugins": plugins(toy=service), "provider": "toy", "env": {}}


def says(status: int = 200, body: object = None, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    said = done() if body is None else body
    return lambda request: httpx.Response(status, json=said, headers=named)


class TestWhatWasExchanged:
    """`response.http`, `error.http` and `response.raw`."""

    def test_the_answers_heads_stand_in_the_response(self, driver: Driver) -> None:
        def service(request: httpx.Request) -> httpx.Response:
            if request.method == "GET":
                return httpx.Response(200, content=picture(), headers={"x-far": "yes"})
            return says(200, done("https://cdn.test/cat.png?sig=x"), x_request_id="r-1")(request)

        response = driver.call(lambda c: c.generate("a cat"), service, **streams(Whole()))
        first, second = response.http
        assert (first.method, first.url, first.status, first.text) == (
            "POST", "https://toy.test/v1/pictures", 200, None,
        )  # fmt: skip
        assert first.headers["x-request-id"] == "r-1"
        assert (second.url, second.headers["x-far"]) == ("https://cdn.test/cat.png?…", "yes")
        assert "sig" not in response.model_dump_json(include={"http"})
        assert ImageResponse.model_validate_json(response.model_dump_json()).http == response.http
        assert response.raw == ()

    def test_an_error_has_them_with_the_body_that_says_why(self, driver: Driver) -> None:
        body = {"error": {"message": "no cats"}}
        with pytest.raises(ProviderError) as found:
            driver.call(lambda c: c.generate("a cat"), says(400, body), **streams(Whole()))
        (info,) = found.value.http
        assert json.loads(info.text or "") == body
        assert found.value.response is not None
        assert found.value.response.http == found.value.http

    def test_each_attempt_is_one(self, driver: Driver) -> None:
        answers = iter([says(429, {}, retry_after="0"), says(200)])
        service: Any = lambda request: next(answers)(request)  # noqa: E731
        response = driver.call(lambda c: c.generate("a cat"), service, **streams(Whole()))
        assert [one.status for one in response.http] == [429, 200]

    def test_nobody_answered_is_none(self, driver: Driver) -> None:
        def breaks(request: httpx.Request) -> httpx.Response:
            raise httpx.ReadError("reset")

        with pytest.raises(TransportError) as found:
            driver.call(lambda c: c.generate("a cat"), breaks, **streams(Whole()))
        assert found.value.http == ()

    def test_a_long_body_is_cut(self, driver: Driver) -> None:
        with pytest.raises(ProviderError) as found:
            driver.call(lambda c: c.generate("a"), says(400, "x" * 20_000), **streams(Whole()))
        assert len(found.value.http[0].text or "") == MOST_TEXT

    def test_neither_cookies_nor_keys_are_in_them(self, driver: Driver) -> None:
        def service(request: httpx.Request) -> httpx.Response:
            given = request.headers["authorization"]
            headers = {"set-cookie": "session=abc", "x-echo": given, "x-plain": "kept"}
            return httpx.Response(400, json={"echo": given}, headers=headers)

        ask: Any = lambda c: c.generate("a cat", raw=True, raise_on_error=False)  # noqa: E731
        response = driver.call(ask, service, **streams(Whole()))
        (info,) = response.http
        assert "set-cookie" not in info.headers
        assert (info.headers["x-echo"], info.headers["x-plain"]) == ("Bearer …", "kept")
        assert KEY not in response.model_dump_json()
        assert KEY not in repr([one.response.body for one in response.raw])
        assert KEY not in repr([one.request.headers for one in response.raw])
        assert "abc" not in repr(info.headers)

    def test_parts_side_by_side_are_all_there(self, driver: Driver) -> None:
        able = Capabilities(max_images=1)
        ask: Any = lambda c: c.generate("a cat", n=20, raw=True)  # noqa: E731
        response = driver.call(ask, says(200), **streams(Whole(able=able)))
        assert len(response.http) == len(response.raw) == 20

    def test_each_streams_events_are_its_own(self, driver: Driver) -> None:
        able = Capabilities(streaming=True, max_images=1)

        def service(request: httpx.Request) -> httpx.Response:
            kind = {"content-type": "text/event-stream"}
            body = sse("partial", 1) + sse("image", 2) + b"event: end\ndata: {}\n\n"
            return httpx.Response(200, content=body, headers=kind)

        events = driver.stream(
            "a cat", service, fields={"n": 12, "raw": True}, **streams(Streaming(able=able))
        )
        raw = events[-1].response.raw
        assert [[one.event for one in each.events] for each in raw] == [
            ["partial", "image", "end"]
        ] * 12
        assert [each.json() for each in raw] == [{}] * 12
        heads = events[-1].response.http
        assert [one.status for one in heads] == [200] * 12

    def test_a_stream_that_was_cut_has_them_too(self, driver: Driver) -> None:
        def service(request: httpx.Request) -> httpx.Response:
            kind = {"content-type": "text/event-stream", "x-request-id": "r-1"}
            return httpx.Response(200, content=sse("partial"), headers=kind)

        with pytest.raises(TruncatedStreamError) as found:
            driver.stream("a cat", service, fields={"raw": True}, **streams(Streaming()))
        (info,) = found.value.http
        assert (info.status, info.headers["x-request-id"]) == (200, "r-1")
        assert found.value.response is not None
        (raw,) = found.value.response.raw
        assert [one.event for one in raw.events] == ["partial"]
        assert raw.json()["index"] == 0

    def test_the_providers_own_object_is_the_body_or_the_last_event(self) -> None:
        whole = Exchange(SEND, json_response({"id": 1}))
        assert whole.json() == {"id": 1}
        words = Exchange(SEND, HttpResponse(200, {}, b"no"))
        with pytest.raises(ProtocolError):
            words.json()
        told = (ServerSentEvent("a", '{"id": 1}'), ServerSentEvent("b", '{"id": 2}'))
        ended = (*told, ServerSentEvent("message", "[DONE]"), "a line", b"a piece")
        assert Exchange(OPEN, HttpResponse(200), ended).json() == {"id": 2}

    def test_what_is_asked_beside_a_stream_has_no_part_in_it(self) -> None:
        def flow() -> Flow:
            yield from open_stream(OPEN)
            yield from send(SEND)
            yield from receive()
            return ImageResponse(slots=())

        events = [ServerSentEvent("a", "{}")]
        around = observed(flow(), CALL, plugins().hook, Exchanges(keep=True))
        played = play(around, HttpResponse(200), json_response(1), events=events)
        assert [list(one.events) for one in played.response.raw] == [events, []]

    def test_what_is_kept_of_a_stream_without_a_request_is_nothing(self) -> None:
        def flow() -> Flow:
            yield from receive()
            return ImageResponse(slots=())

        played = play(observed(flow(), CALL, plugins().hook, Exchanges(keep=True)))
        assert played.response.raw == ()


@pytest.mark.parametrize(
    ("kind", "told"), [(KeyboardInterrupt, "left"), (SystemExit, "SystemExit")]
)
def test_what_ends_the_process_is_told_before_it_does(kind: type[BaseException], told: str) -> None:
    def flow() -> Any:
        yield from sleep(0)
        raise kind

    watcher = Watcher()
    with pytest.raises(kind):
        play(observed(flow(), CALL, plugins(watcher).hook, Exchanges()))
    [finished] = watcher.of("finished")
    assert told in str(finished["error"])
