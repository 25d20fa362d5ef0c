from __future__ import annotations

import logging

import pytest

from imagekit import ImageRequest, ImageResponse, NoImageError, Progress
from imagekit._observed import Exchanges, observed
from imagekit.provider import CallInfo, Flow, HttpRequest, emit, hookimpl, open_stream, send
from imagekit.testing import Played, json_response, play
from toys import Watcher, plugins

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
