from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from imagekit import (
    ConnectionFailedError,
    DeadlineExceededError,
    ImageRequest,
    ImageResponse,
    NoImageError,
    Notice,
    Noticed,
    ProtocolError,
    RetryPolicy,
    TransportError,
)
from imagekit._retried import retried
from imagekit._verdict import of_error, of_response
from imagekit.provider import (
    Effects,
    HttpRequest,
    HttpResponse,
    Verdict,
    checkpoint,
    gather,
    open_stream,
    receive,
    retry_after,
    send,
    sleep,
)
from imagekit.testing import Played, json_response, play, sse
from spoken import httpx
from toys import Driver

POST, GET = HttpRequest("POST", "/jobs"), HttpRequest("GET", "/jobs/1")
POLICY = RetryPolicy(retries=2, base=1.0, cap=3.0, patience=10.0, random=lambda: 0.0)


def lost(billed: Any = None) -> TransportError:
    return TransportError("lost", billed=billed)


@pytest.mark.parametrize(
    ("statuses", "verdict"),
    [
        ((200, 201, 202, 299), Verdict.ACCEPTED),
        ((429, 503), Verdict.REFUSED),
        ((301, 303, 308, 408, 409, 500, 502, 504, 520, 529), Verdict.UNKNOWN),
        ((400, 401, 402, 403, 404, 413, 422), Verdict.REJECTED),
    ],
)
def test_a_status_has_its_verdict(statuses: tuple[int, ...], verdict: Verdict) -> None:
    assert {of_response(HttpResponse(status)) for status in statuses} == {verdict}


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (lost("no"), Verdict.NOT_SENT),
        (lost(), Verdict.UNKNOWN),
        (ProtocolError("too large"), Verdict.UNKNOWN),
        (ProtocolError("hides a host", billed="no"), Verdict.NOT_SENT),
        (NoImageError("raised before anything was sent"), Verdict.NOT_SENT),
    ],
)
def test_an_error_has_its_verdict(error: Any, verdict: Verdict) -> None:
    assert of_error(error) is verdict


@pytest.mark.parametrize("verdict", Verdict)
def test_only_what_was_not_sent_or_refused_is_repeatable(verdict: Verdict) -> None:
    assert verdict.repeatable is (verdict in (Verdict.NOT_SENT, Verdict.REFUSED))


def test_waits_double_up_to_the_cap() -> None:
    policy = RetryPolicy(base=1.0, cap=3.0, random=lambda: 0.0)
    assert [policy.delay(attempt, None) for attempt in range(4)] == [1.0, 2.0, 3.0, 3.0]


def test_waits_are_shortened_by_up_to_a_quarter() -> None:
    assert RetryPolicy(base=1.0, random=lambda: 1.0).delay(0, None) == 0.75


def test_a_wait_that_is_asked_for_is_kept_to() -> None:
    assert POLICY.delay(0, 9.0) == 9.0


def test_a_wait_beyond_patience_ends_it() -> None:
    assert POLICY.delay(0, 11.0) is None


DATE, LATER = "Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:50:07 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7.0),
        ({"retry-after": LATER, "date": DATE}, 30.0),
        ({"retry-after": DATE, "date": LATER}, 0.0),
        ({"retry-after": LATER}, None),
        ({"retry-after": LATER, "date": "Sun, 06 Nov 1994 08:49:37"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read_from_what_there_is(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert retry_after(headers) == seconds


def test_a_wait_is_slept_before_the_next_attempt() -> None:
    answers = json_response({}, 429, retry_after="7"), json_response({}, 503), json_response({})
    played = play(retried(send(POST), POLICY), *answers)
    assert played.slept == 7 + 2
    assert played.response.ok


def test_a_call_that_succeeds_sleeps_nothing() -> None:
    assert play(retried(send(POST), POLICY), json_response({})).slept == 0


def test_no_connection_is_tried_again_until_the_retries_are_used_up() -> None:
    played = Played()
    with pytest.raises(ConnectionFailedError) as found:
        play(
            retried(send(POST), POLICY),
            *[ConnectionFailedError("none", billed="no") for _ in range(3)],
            into=played,
        )
    assert len(played.requests) == 3
    assert found.value.billed == "no"


def test_an_opened_stream_that_breaks_is_not_opened_again() -> None:
    def flow() -> Effects[Any]:
        yield from open_stream(POST)
        while (yield from receive()) is not None:
            pass
        raise lost()

    played = Played()
    with pytest.raises(TransportError) as found:
        play(retried(flow(), POLICY), HttpResponse(200), events=[sse("a")], into=played)
    assert len(played.requests) == 1
    assert found.value.billed == "possibly"


def test_a_deadline_is_not_tried_again() -> None:
    played = Played()
    with pytest.raises(DeadlineExceededError):
        play(retried(send(GET), POLICY), DeadlineExceededError("late"), into=played)
    assert len(played.requests) == 1


def test_what_cannot_be_read_is_not_tried_again() -> None:
    played = Played()
    with pytest.raises(ProtocolError):
        play(retried(send(GET), POLICY), ProtocolError("a private host"), into=played)
    assert len(played.requests) == 1


def paying(then: Effects[Any]) -> Effects[Any]:
    yield from send(POST)
    return (yield from then)


def raising(error: Exception) -> Effects[Any]:
    yield from sleep(0)
    raise error


@pytest.mark.parametrize(
    ("error", "billed"),
    [
        (NoImageError("none"), "possibly"),
        (NoImageError("refused at no charge", billed="no"), "no"),
        (NoImageError("made and withheld", billed="yes"), "yes"),
        (lost("no"), "possibly"),
        (DeadlineExceededError("late", billed="no"), "possibly"),
    ],
)
def test_after_an_accepted_post_only_the_plugin_may_say_it_was_free(
    error: Any, billed: str
) -> None:
    with pytest.raises(type(error)) as found:
        play(retried(paying(raising(error)), POLICY), json_response({}))
    assert found.value.billed == billed


def test_what_one_request_cost_is_not_what_the_call_cost() -> None:
    hidden = ProtocolError("a provider named '//x', which hides another host", billed="no")
    with pytest.raises(ProtocolError) as found:
        play(retried(paying(send(GET)), POLICY), json_response({}), hidden)
    assert found.value.billed == "possibly"


def test_before_anything_is_sent_nothing_is_billed() -> None:
    with pytest.raises(NoImageError) as found:
        play(retried(raising(NoImageError("none")), POLICY))
    assert found.value.billed == "no"


def test_the_last_checkpoint_stands_on_the_error() -> None:
    def flow() -> Effects[Any]:
        yield from checkpoint({"job": 1})
        yield from checkpoint({"job": 2})
        raise NoImageError("none")

    with pytest.raises(NoImageError) as found:
        play(retried(flow(), POLICY))
    assert found.value.checkpoint == {"job": 2}


def test_a_checkpoint_that_the_error_brings_itself_stays() -> None:
    error = NoImageError("none")
    error.checkpoint = {"job": "own"}
    with pytest.raises(NoImageError) as found:
        play(retried(paying(raising(error)), POLICY), json_response({}))
    assert found.value.checkpoint == {"job": "own"}


def test_gathered_requests_are_retried_each_on_its_own() -> None:
    played = play(
        retried(gather([send(GET), send(GET)]), POLICY),
        json_response({}, 429),
        json_response("a"),
        json_response({}, 503),
        json_response("b"),
    )
    assert [answer.json() for answer in played.response] == ["a", "b"]


def test_a_stranger_is_not_judged_by_the_provider() -> None:
    asked = []

    def judge(response: HttpResponse) -> Verdict | None:
        asked.append(response)
        return None

    stranger = HttpRequest("GET", "https://cdn.test/x", stranger=True)
    play(retried(send(stranger), POLICY, judge), json_response({}, 404))
    assert asked == []


def test_a_judge_is_not_asked_about_a_success() -> None:
    def judge(response: HttpResponse) -> Verdict | None:
        raise AssertionError

    assert play(retried(send(POST), POLICY, judge), json_response({})).response.ok


def test_what_is_no_error_of_ours_passes() -> None:
    with pytest.raises(ZeroDivisionError):
        play(retried(raising(ZeroDivisionError()), POLICY))


def test_a_response_passes_unchanged() -> None:
    made = ImageResponse(slots=(), model=ImageRequest(prompt="x").model)

    def flow() -> Effects[Any]:
        return made
        yield

    assert play(retried(flow(), POLICY)).response is made


# A wait that the deadline leaves no time for


def test_what_was_said_stands_where_there_is_no_time_to_wait(driver: Driver) -> None:
    asked = []

    def busy(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(429, headers={"retry-after": "60"})

    start = time.monotonic()
    patient = RetryPolicy(patience=600)
    flow = retried(send(HttpRequest("POST", "https://toy.test/jobs")), patient)
    assert driver.do(flow, busy, deadline=30).status == 429
    assert len(asked) == 1
    assert time.monotonic() - start < 20


def test_the_error_stands_too(driver: Driver) -> None:
    def nobody(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("nobody is there")

    slow = RetryPolicy(base=60, cap=60)
    flow = retried(send(HttpRequest("POST", "https://toy.test/jobs")), slow)
    with pytest.raises(ConnectionFailedError, match="nobody is there") as found:
        driver.do(flow, nobody, deadline=30)
    assert found.value.billed == "no"


def test_a_cancelled_wait_is_no_word_of_the_provider() -> None:
    flow = retried(send(POST), POLICY)
    next(flow)
    flow.send(HttpResponse(429))
    with pytest.raises(TransportError, match="cancelled"):
        flow.throw(TransportError("the call was cancelled"))


# Who says in so many words that it may cost twice

TWICE = replace(POLICY, may_charge_twice=True)
STATED = Notice(
    kind="other",
    feature="may_charge_twice",
    detail="a request that may have been taken on was sent again: it may be paid for twice",
)


def said(played: Played) -> list[Notice]:
    return [event.notice for event in played.events if isinstance(event, Noticed)]


@pytest.mark.parametrize("first", [HttpResponse(500), HttpResponse(408), lost()], ids=str)
def test_what_may_have_been_taken_on_is_sent_again_and_it_is_said(first: Any) -> None:
    played = Played()
    play(retried(send(POST), TWICE), first, json_response({}), into=played)
    assert len(played.requests) == 2
    assert said(played) == [STATED]


def test_what_cannot_cost_twice_is_said_of_nobody() -> None:
    played = Played()
    none = ConnectionFailedError("none", billed="no")
    play(retried(send(POST), TWICE), HttpResponse(429), none, json_response({}), into=played)
    assert len(played.requests) == 3
    assert said(played) == []


@pytest.mark.parametrize(
    "first",
    [DeadlineExceededError("late"), ProtocolError("too large"), HttpResponse(400)],
    ids=["late", "too large", "400"],
)
def test_not_even_then_is_everything_sent_again(first: Any) -> None:
    played = Played()
    with suppress(DeadlineExceededError, ProtocolError):
        play(retried(send(POST), TWICE), first, json_response({}), into=played)
    assert len(played.requests) == 1


def test_the_pace_is_the_providers_then_too() -> None:
    answers = json_response({}, 500, retry_after="7"), json_response({})
    assert play(retried(send(POST), TWICE), *answers).slept == 7


@pytest.mark.parametrize("billed", ["no", "possibly", "yes", None])
def test_who_turns_the_last_one_away_does_not_know_of_the_first(billed: Any) -> None:
    def flow() -> Effects[Any]:
        yield from send(POST)
        raise NoImageError("no", billed=billed)

    with pytest.raises(NoImageError) as found:
        play(retried(flow(), TWICE), HttpResponse(500), HttpResponse(400))
    assert found.value.billed == ("yes" if billed == "yes" else "possibly")


def test_a_wait_that_is_not_waited_sends_nothing_twice() -> None:
    flow = retried(raising_of(POST), TWICE)
    next(flow)
    flow.send(HttpResponse(500))
    with pytest.raises(NoImageError) as found:
        flow.throw(DeadlineExceededError("no time"))
    assert found.value.billed == "possibly"


def raising_of(request: HttpRequest) -> Effects[Any]:
    yield from send(request)
    raise NoImageError("none")
