from __future__ import annotations

import heapq
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagekit import (
    ConfigurationError,
    ConnectionFailedError,
    DeadlineExceededError,
    ImageRequest,
    RateLimit,
    TransportTimeoutError,
)
from imagekit._pace import MINUTE, Pace, paced, rate_limits, seconds
from imagekit._retried import RetryPolicy, retried
from imagekit.provider import (
    Effects,
    Flow,
    Gather,
    HttpRequest,
    HttpResponse,
    Open,
    Send,
    Sleep,
    gather,
    open_stream,
    send,
)
from imagekit.testing import json_response, play
from spoken import httpx
from toys import Driver, Plugged, Whole, done
from ways import WAYS, make

POST, GET = HttpRequest("POST", "/pictures"), HttpRequest("GET", "/jobs/1")
FREE = HttpRequest("POST", "/look", billable=False)


def one(request: HttpRequest = POST) -> Effects[HttpResponse]:
    return send(request)


def answer(status: int = 200, **headers: str) -> HttpResponse:
    return json_response({}, status, **headers)


def limits(remaining: int, reset: float, limit: int | None = None, of: str = "requests") -> Any:
    """The headers that say it, in keyword form."""
    said = {"remaining": remaining, "reset": f"{reset}s", "limit": limit}
    return {f"x_ratelimit_{name}_{of}": str(it) for name, it in said.items() if it is not None}


@dataclass
class Street:
    """Calls side by side in a time of their own, at a server that takes its time.

    `sent` is when each request went out and what the server said.
    """

    server: Callable[[float, HttpRequest], HttpResponse | Exception] = lambda now, request: answer()
    takes: float = 0.0
    now: float = 1000.0
    sent: list[tuple[float, Any]] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    def run(self, *calls: tuple[float, Effects[Any]]) -> list[Any]:
        """What each call came to, each begun at its time from now on; an error as itself."""
        order, start = count(), self.now
        ends: list[Any] = [None] * len(calls)
        due: list[Any] = []

        def later(after: float, step: Callable[[], Any], then: Callable[[Any], None]) -> None:
            heapq.heappush(due, (self.now + after, next(order), step, then))

        def begin(flow: Effects[Any], over: Callable[[Any], None], after: float = 0) -> None:
            later(after, lambda: next(flow), lambda effect: perform(flow, effect, over))

        def advance(flow: Effects[Any], reply: Any, after: float, over: Any) -> None:
            def step() -> Any:
                return flow.throw(reply) if isinstance(reply, Exception) else flow.send(reply)

            later(after, step, lambda effect: perform(flow, effect, over))

        def perform(flow: Effects[Any], effect: Any, over: Any) -> None:
            if isinstance(effect, _Over):
                over(effect.value)
            elif isinstance(effect, Sleep):
                assert effect.seconds > 0
                advance(flow, None, effect.seconds, over)
            elif isinstance(effect, Send | Open):
                said = self.server(self.now, effect.request)
                self.sent.append((self.now - start, said))
                advance(flow, said, self.takes, over)
            else:
                assert isinstance(effect, Gather)
                found: dict[int, Any] = {}

                def take(index: int, value: Any) -> None:
                    found[index] = value
                    if len(found) == len(effect.flows):
                        advance(flow, tuple(found[place] for place in sorted(found)), 0, over)

                if not effect.flows:
                    advance(flow, (), 0, over)
                for index, inner in enumerate(effect.flows):
                    begin(inner, partial(take, index))

        for index, (after, flow) in enumerate(calls):
            begin(flow, partial(ends.__setitem__, index), after)
        while due:
            self.now, _, step, then = heapq.heappop(due)
            try:
                effect = step()
            except StopIteration as stop:
                effect = _Over(stop.value)
            except Exception as error:
                effect = _Over(error)
            then(effect)
        return ends

    @property
    def times(self) -> list[float]:
        return [round(when, 6) for when, _ in self.sent]

    @property
    def statuses(self) -> list[int]:
        return [said.status for _, said in self.sent]


@dataclass
class _Over:
    value: Any


# What the headers say


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({}, {}),
        (
            {
                "x-ratelimit-limit-requests": "50",
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": "1m30s",
                "x-ratelimit-remaining-tokens": "7",
            },
            {
                "requests": RateLimit(limit=50, remaining=0, reset=90.0),
                "tokens": RateLimit(remaining=7),
            },
        ),
        ({"x-ratelimit-limit-requests": "many"}, {"requests": RateLimit()}),
        ({"x-ratelimit-limit": "5", "x-ratelimit-policy-requests": "5"}, {}),
    ],
)
def test_limits_are_read_from_their_headers(headers: Any, found: Any) -> None:
    assert rate_limits(headers) == found


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("6", 6.0),
        ("6.5", 6.5),
        ("120ms", 0.12),
        ("1d2h3m4.5s", 93784.5),
        ("1µs", 1e-6),
        ("soon", None),
        ("-1", None),
        ("1m30", None),
        ("", None),
        (None, None),
    ],
)
def test_a_span_is_read_as_seconds(text: Any, span: Any) -> None:
    assert seconds(text) == pytest.approx(span)


# What is learnt


def test_where_nothing_is_known_nothing_is_added() -> None:
    flow = paced(one(), Pace(), 4)
    assert next(flow) == Send(POST)
    with pytest.raises(StopIteration) as stop:
        flow.send(answer())
    assert stop.value.value == answer()


def after(*headers: Any, patience: float = 120.0, many: int = 1, **kept: Any) -> list[float]:
    """When *many* requests go out after answers with these headers."""
    street = Street(**kept)
    pace = Pace(clock=street.clock)
    street.server = lambda now, request: answer(**headers[len(street.sent)])
    for _ in headers:
        street.run((0, paced(one(), pace, 1)))
    street.sent.clear()
    street.server = lambda now, request: answer()
    street.run(*[(0, paced(one(), pace, 1, patience)) for _ in range(many)])
    return street.times


@pytest.mark.parametrize("of", ["requests", "tokens", "input-images"])
def test_what_is_used_up_is_waited_for_until_it_is_full_again(of: str) -> None:
    assert after(limits(0, 7, of=of)) == [7.0]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        limits(1, 7),
        limits(9, 7, of="tokens"),
        limits(0, 0),
        {"x_ratelimit_remaining_requests": "0"},
        {"x_ratelimit_reset_requests": "7s"},
        {"x_ratelimit_limit_requests": "0"},
        {"retry_after": "7"},
    ],
)
def test_what_is_not_used_up_or_not_known_is_not_waited_for(headers: Any) -> None:
    assert after(headers) == [0.0]


def test_the_longest_of_several_limits_counts() -> None:
    assert after({**limits(0, 3), **limits(0, 9, of="tokens")}) == [9.0]


def test_the_newest_answer_counts() -> None:
    assert after(limits(0, 7), limits(5, 60)) == [0.0]


def test_no_more_go_out_than_remain() -> None:
    # Two remain of three, so three may go when it is full again, and so on.
    assert after(limits(2, 10, limit=3), many=9) == [0, 0, *[10] * 3, *[20] * 3, 30]


def test_where_nobody_says_the_limit_all_go_when_it_is_full_again() -> None:
    assert after(limits(1, 10), many=4) == [0, 10, 10, 10]


def test_tokens_are_not_counted_by_request() -> None:
    assert after(limits(1, 10, of="tokens"), many=3) == [0, 0, 0]
    assert after(limits(0, 10, limit=9, of="tokens"), many=3) == [10, 10, 10]


def test_it_stays_full_as_long_as_that_ever_took() -> None:
    assert after(limits(1, 30, limit=2), limits(0, 5, limit=2), many=4) == [5, 5, 35, 35]


def test_more_than_patience_is_not_waited_for() -> None:
    assert after(limits(0, 10), patience=10.0) == [10.0]
    assert after(limits(0, 10), patience=9.0) == [0.0]


def test_patience_is_for_all_waits_of_a_request_together() -> None:
    # The last two would have to wait for thirty seconds and more.
    assert after(limits(0, 10, limit=1), many=4, patience=25.0) == [10, 20, 20, 20]


def test_an_older_answer_is_no_news() -> None:
    street = Street()
    pace = Pace(clock=street.clock)
    old, new = paced(one(), pace, 1), paced(one(), pace, 1)
    next(old), next(new)
    with pytest.raises(StopIteration):
        new.send(answer(**limits(0, 7)))
    with pytest.raises(StopIteration):
        old.send(answer(**limits(5, 7)))
    street.run((0, paced(one(), pace, 1)))
    assert street.times == [7.0]


def test_an_answer_that_says_only_half_is_no_news() -> None:
    street = Street()
    pace = Pace(clock=street.clock)
    first, second = paced(one(), pace, 1), paced(one(), pace, 1)
    next(first), next(second)
    with pytest.raises(StopIteration):
        first.send(answer(**limits(0, 7)))
    with pytest.raises(StopIteration):
        second.send(answer(x_ratelimit_limit_requests="5"))
    street.run((0, paced(one(), pace, 1)))
    assert street.times == [7.0]


def test_what_goes_out_after_an_answers_request_is_not_in_its_count() -> None:
    street = Street()
    pace = Pace(clock=street.clock)
    first, second = paced(one(), pace, 1), paced(one(), pace, 1)
    next(first), next(second)
    with pytest.raises(StopIteration):
        first.send(answer(**limits(1, 7, limit=5)))
    with pytest.raises(StopIteration):
        second.send(answer())
    street.run((0, paced(one(), pace, 1)))
    assert street.times == [7.0]


@pytest.mark.parametrize("status", [429, 503])
def test_who_is_told_to_wait_has_everybody_wait(status: int) -> None:
    street = Street(lambda now, request: answer(status, retry_after="20"))
    pace = Pace(clock=street.clock)
    street.run((0, paced(one(), pace, 1)), (5, paced(one(), pace, 1)))
    assert street.times == [0.0, 20.0]


@pytest.mark.parametrize("status", [200, 400, 500])
def test_nobody_else_is_believed_when_asking_to_wait(status: int) -> None:
    street = Street(lambda now, request: answer(status, retry_after="20"))
    pace = Pace(clock=street.clock)
    street.run((0, paced(one(), pace, 1)), (5, paced(one(), pace, 1)))
    assert street.times == [0.0, 5.0]


def test_a_refusal_without_a_time_is_no_news() -> None:
    street = Street(lambda now, request: answer(429))
    pace = Pace(clock=street.clock)
    street.run((0, paced(one(), pace, 1)), (5, paced(one(), pace, 1)))
    assert street.times == [0.0, 5.0]


def test_a_shorter_time_does_not_end_a_longer_one() -> None:
    street = Street()
    pace = Pace(clock=street.clock)
    first, second = paced(one(), pace, 1), paced(one(), pace, 1)
    next(first), next(second)
    for flow, asked in ((first, "20"), (second, "3")):
        with pytest.raises(StopIteration):
            flow.send(answer(429, retry_after=asked))
    street.run((0, paced(one(), pace, 1)))
    assert street.times == [20.0]


def test_who_is_taken_although_others_wait_ends_their_wait() -> None:
    said = iter([answer(429, retry_after="100"), answer(), answer()])
    street = Street(lambda now, request: next(said))
    pace = Pace(clock=street.clock)
    hasty, patient = paced(one(), pace, 1, patience=0.0), paced(one(), pace, 1)
    street.run((0, paced(one(), pace, 1)), (5, hasty), (6, patient))
    assert street.times == [0.0, 5.0, 6.0]


def test_who_was_taken_before_the_refusal_says_nothing_of_it() -> None:
    street = Street()
    pace = Pace(clock=street.clock)
    early, late = paced(one(), pace, 1), paced(one(), pace, 1)
    next(early), next(late)
    with pytest.raises(StopIteration):
        late.send(answer(429, retry_after="20"))
    with pytest.raises(StopIteration):
        early.send(answer())
    street.run((0, paced(one(), pace, 1)))
    assert street.times == [20.0]


def test_a_retry_waits_no_longer_than_it_is_asked_to() -> None:
    said = iter([answer(429, retry_after="20"), answer()])
    street = Street(lambda now, request: next(said))
    policy = RetryPolicy(retries=1)
    flow = paced(retried(one(), policy), Pace(clock=street.clock), 1)
    assert street.run((0, flow)) == [answer()]
    assert street.times == [0.0, 20.0]


@pytest.mark.parametrize("request_", [GET, FREE], ids=["read", "free"])
def test_what_costs_nothing_does_not_wait_and_teaches_nothing(request_: HttpRequest) -> None:
    street = Street(lambda now, request: answer(429, retry_after="20"))
    pace = Pace(clock=street.clock)
    street.run((0, paced(one(), pace, 1)), (1, paced(one(request_), pace, 1)))
    assert street.times == [0.0, 1.0]
    pace = Pace(clock=street.clock)
    street.run((0, paced(one(request_), pace, 1)), (1, paced(one(), pace, 1)))
    assert street.times[2:] == [0.0, 1.0]


def test_a_stream_waits_and_teaches_like_the_rest() -> None:
    street = Street(lambda now, request: answer(**limits(0, 20)))
    pace = Pace(clock=street.clock)
    street.run((0, paced(open_stream(POST), pace, 1)), (5, paced(open_stream(POST), pace, 1)))
    assert street.times == [0.0, 20.0]


def test_what_a_flow_does_besides_passes() -> None:
    played = play(
        paced(retried(one(), RetryPolicy(base=4, random=lambda: 0.0)), Pace(), 1),
        answer(503),
        answer(),
    )
    assert played.slept == 4.0


@given(
    limit=st.integers(1, 5),
    starts=st.lists(st.floats(0, 200), max_size=12),
    takes=st.sampled_from([0.0, 0.5, 30.0]),
)
def test_a_server_that_counts_by_the_minute_refuses_nobody_who_waits(
    limit: int, starts: list[float], takes: float
) -> None:
    """Another's way to count: *limit* requests in each minute that begins with one."""
    opened, used = -MINUTE, 0

    def server(now: float, request: HttpRequest) -> HttpResponse:
        nonlocal opened, used
        if now >= opened + MINUTE:
            opened, used = now, 0
        left = opened + MINUTE - now
        if used == limit:
            return answer(429, **limits(0, left, limit))
        used += 1
        return answer(**limits(limit - used, left, limit))

    street = Street(server)
    pace = Pace(clock=street.clock)
    street.run((0, paced(one(), pace, 1)))
    street.takes = takes
    street.run(*[(start, paced(one(), pace, 1, float("inf"))) for start in sorted(starts)])
    assert len(street.sent) == len(starts) + 1
    if not takes:
        assert 429 not in street.statuses


# The caller's own limit


def went(pace_of: int, *calls: tuple[float, int], **how: Any) -> list[float]:
    """When calls (from when, for how many pictures) go out, at so many pictures a minute."""
    street = Street(**how)
    pace = Pace(pace_of, clock=street.clock)
    street.run(*[(start, paced(one(), pace, pictures)) for start, pictures in calls])
    return street.times


def test_pictures_wait_until_they_fit_into_the_minute() -> None:
    assert went(5, (0, 3), (10, 2), (20, 1), (21, 4)) == [0, 10, 60, 70]


def test_as_many_as_fit_go_at_once() -> None:
    assert went(3, *[(0, 1)] * 7) == [0, 0, 0, 60, 60, 60, 120]


def test_more_than_a_minute_takes_go_in_a_minute_of_their_own() -> None:
    assert went(2, (0, 1), (10, 5), (20, 1)) == [0, 60, 120]


def test_who_came_first_goes_first() -> None:
    assert went(5, (0, 5), (1, 5), (2, 1)) == [0, 60, 120]


def test_the_callers_own_limit_is_kept_to_whatever_the_patience() -> None:
    assert went(1, *[(0, 1)] * 5) == [0, 60, 120, 180, 240]


def test_what_was_refused_or_not_sent_leaves_its_place() -> None:
    said: Any = iter([answer(429), answer(400), ConnectionFailedError("no", billed="no")])
    assert went(1, *[(when, 1) for when in range(5)], server=lambda *_: next(said, answer())) == [
        *(0, 1, 2, 3, 63)
    ]


@pytest.mark.parametrize(
    "end", [answer(500), answer(), TransportTimeoutError("late"), ValueError("a hook's")]
)
def test_what_may_have_been_made_keeps_its_place(end: Any) -> None:
    said = iter([end])
    assert went(1, (0, 1), (1, 1), server=lambda *_: next(said, answer())) == [0, 60]


def test_a_retry_takes_the_place_again() -> None:
    said = iter([answer(503), answer()])
    street = Street(lambda *_: next(said, answer()))
    pace = Pace(2, clock=street.clock)
    policy = RetryPolicy(base=5, cap=5, random=lambda: 0.0)
    street.run((0, paced(retried(one(), policy), pace, 2)), (6, paced(one(), pace, 1)))
    assert street.times == [0.0, 5.0, 65.0]


def test_later_requests_of_a_flow_take_no_place() -> None:
    def two() -> Effects[HttpResponse]:
        yield from one()
        return (yield from one())

    street = Street()
    street.run((0, paced(two(), Pace(1, clock=street.clock), 1)))
    assert street.times == [0.0, 0.0]


def test_a_place_that_was_given_back_is_taken_at_once() -> None:
    said = iter([answer(429)])
    street = Street(lambda *_: next(said, answer()), takes=2)
    pace = Pace(5, clock=street.clock)
    street.run((0, paced(one(), pace, 5)), (1, paced(one(), pace, 3)), (3, paced(one(), pace, 2)))
    assert street.times == [0.0, 3.0, 60.0]


def test_leaving_while_it_waits_leaves_the_place() -> None:
    street = Street()
    pace = Pace(1, clock=street.clock)
    left = paced(one(), pace, 1)
    street.run((0, paced(one(), pace, 1)))
    assert next(left) == Sleep(60.0)
    left.close()
    street.run((0, paced(one(), pace, 1)))
    assert street.times == [0.0, 60.0]


def test_leaving_while_it_is_on_its_way_keeps_the_place() -> None:
    street = Street()
    pace = Pace(1, clock=street.clock)
    left = paced(one(), pace, 1)
    next(left)
    left.close()
    street.run((0, paced(one(), pace, 1)))
    assert street.times == [60.0]


def test_a_learnt_limit_in_between_does_not_crowd_the_minute() -> None:
    street = Street(lambda *_: answer(**limits(0, 50)))
    pace = Pace(2, clock=street.clock)
    # The second has its place from 1 on, but may go at 50 only, which the third has to know.
    street.run((0, paced(one(), pace, 1)))
    street.server = lambda *_: answer()
    street.run((1, paced(one(), pace, 1)), (2, paced(one(), pace, 2)))
    assert street.times == [0.0, 50.0, 110.0]


def test_a_learnt_limit_of_more_than_a_minute_keeps_the_place() -> None:
    street = Street(lambda *_: answer(**limits(0, 170)))
    pace = Pace(1, clock=street.clock)
    street.run((0, paced(one(), pace, 1)))
    street.server = lambda *_: answer()
    street.run((1, paced(one(), pace, 1)), (125, paced(one(), pace, 1)))
    assert street.times == [0.0, 170.0, 230.0]


def side_by_side(*flows: Effects[Any]) -> Effects[Any]:
    return (yield from gather(flows))


def test_flows_side_by_side_share_the_pictures() -> None:
    street = Street()
    flow = side_by_side(one(), one(), one())
    street.run((0, paced(flow, Pace(4, clock=street.clock), 7)))
    # Three, two and two of seven.
    assert street.times == [0.0, 60.0, 60.0]


def test_flows_side_by_side_are_counted_once() -> None:
    street = Street(lambda now, request: answer(**limits(4, 10, limit=9)))
    pace = Pace(clock=street.clock)
    street.run((0, paced(one(), pace, 1)))
    street.server = lambda now, request: answer()
    flow = side_by_side(one(), one(), one())
    street.run((0, paced(flow, pace, 3)), (1, paced(one(), pace, 1)), (2, paced(one(), pace, 1)))
    assert street.times[1:] == [0.0, 0.0, 0.0, 1.0, 10.0]


def test_flows_within_flows_share_theirs() -> None:
    street = Street()
    flow = side_by_side(one(), side_by_side(one(), one()))
    street.run((0, paced(flow, Pace(2, clock=street.clock), 4)))
    assert street.times == [0.0, 60.0, 60.0]


def test_what_flows_side_by_side_did_not_take_is_left() -> None:
    def gathering() -> Effects[Any]:
        yield from gather([])
        yield from gather([one(GET), one(GET)])
        return (yield from one())

    street = Street()
    pace = Pace(2, clock=street.clock)
    street.run((0, paced(gathering(), pace, 2)), (1, paced(one(), pace, 1)))
    assert street.times == [0.0, 0.0, 0.0, 60.0]


@pytest.mark.parametrize("most", [0, -1, 2.5, True, "5"])
def test_a_limit_that_is_none_is_the_callers_fault(most: Any) -> None:
    with pytest.raises(ConfigurationError, match="images_per_minute is a whole number from 1 on"):
        Pace(most)


@given(
    most=st.integers(1, 6),
    calls=st.lists(
        st.tuples(st.floats(0, 300), st.integers(1, 8), st.sampled_from([200, 429, 500])),
        max_size=15,
    ),
    headers=st.sampled_from([{}, limits(0, 25), limits(1, 40, 2)]),
)
def test_no_minute_holds_more_pictures_than_the_caller_allows(
    most: int, calls: list[tuple[float, int, int]], headers: Any
) -> None:
    street = Street()
    made: list[tuple[float, int]] = []
    pace = Pace(most, clock=street.clock)

    def server(now: float, request: HttpRequest) -> HttpResponse:
        pictures, status = request.json
        if status != 429:
            made.append((now, pictures))
        return answer(status, **headers)

    def call(pictures: int, status: int) -> Effects[Any]:
        request = HttpRequest("POST", "/pictures", json=(pictures, status))
        return paced(one(request), pace, pictures)

    street.server = server
    street.run(*[(start, call(pictures, status)) for start, pictures, status in calls])
    assert len(street.sent) == len(calls)
    for end, _ in made:
        within = [pictures for when, pictures in made if end - MINUTE + 1e-6 < when <= end]
        assert sum(within) <= most or len(within) == 1


# Through drivers and clients


def test_a_deadline_holds_while_it_waits(driver: Driver) -> None:
    pace = Pace(1)
    asked: list[Any] = []

    def fake(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json={})

    url = HttpRequest("POST", "https://toy.test/pictures", json={})
    driver.do(paced(one(url), pace, 1), fake)
    with pytest.raises(DeadlineExceededError) as found:
        driver.do(paced(one(url), pace, 1), fake, deadline=0.05)
    assert found.value.billed == "no"
    assert len(asked) == 1


def test_a_hint_that_the_deadline_leaves_no_time_for_is_not_followed(driver: Driver) -> None:
    pace = Pace()
    url = HttpRequest("POST", "https://toy.test/pictures", json={})
    headers = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "60s"}

    def fake(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={}, headers=headers)

    begun = time.monotonic()
    for _ in range(2):
        assert driver.do(paced(one(url), pace, 1), fake, deadline=20).ok
    assert time.monotonic() - begun < 10


def test_after_a_hint_the_callers_own_limit_holds_against_the_deadline() -> None:
    street = Street(lambda now, request: answer(**limits(0, 50)))
    pace = Pace(2, clock=street.clock)
    street.run((0, paced(one(), pace, 1)))
    second, late = paced(one(), pace, 1), paced(one(), pace, 2)
    assert (next(second), next(late)) == (Sleep(50.0), Sleep(60.0))
    street.now += 50
    assert next(second) == Send(POST)
    with pytest.raises(StopIteration):
        second.send(answer(**limits(0, 20)))
    street.now += 10
    assert next(late) == Sleep(10.0)
    street.now += 10
    assert next(late) == Sleep(40.0)
    with pytest.raises(DeadlineExceededError, match="late"):
        late.throw(DeadlineExceededError("late", billed="no"))


def test_a_deadline_that_passed_while_it_waits_is_an_error(driver: Driver) -> None:
    def late() -> Effects[Any]:
        # As a driver does that finds out only afterwards.
        flow = paced(one(), pace, 1)
        assert next(flow) == Sleep(60.0)
        assert flow.throw(DeadlineExceededError("late", billed="no")) == Send(POST)
        return flow.throw(DeadlineExceededError("too late", billed="no"))
        yield

    pace = Pace(clock=lambda: 0.0)
    first = paced(one(), pace, 1)
    next(first)
    with pytest.raises(StopIteration):
        first.send(answer(**limits(0, 60)))
    with pytest.raises(DeadlineExceededError, match="too late"):
        driver.do(late())


@pytest.fixture
def hasty() -> Iterator[None]:
    """Threads that change places as often as they can."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.parametrize(("most", "headers"), [(200, {}), (None, limits(200, 60))])
@pytest.mark.usefixtures("hasty")
def test_threads_may_share_it(most: Any, headers: Any) -> None:
    pace, begun = Pace(most), threading.Barrier(8)
    first = paced(one(), pace, 0)
    next(first)
    with pytest.raises(StopIteration):
        first.send(answer(**headers))
    gone: list[int] = []

    def work() -> None:
        begun.wait()
        for _ in range(100):
            flow = paced(one(), pace, 1)
            if isinstance(next(flow), Send):
                gone.append(1)
                with pytest.raises(StopIteration):
                    flow.send(answer())

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(gone) == 200


@pytest.mark.parametrize("way", WAYS)
def test_two_calls_of_a_client_share_it_in_every_way(way: str) -> None:
    pace, times = Pace(), []

    def fake(request: httpx.Request) -> httpx.Response:
        times.append(time.monotonic())
        headers = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "80ms"}
        return httpx.Response(200, json=done(), headers=headers)

    class Twice(Whole):
        def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
            yield from paced(super().flow(request, stream=stream), pace, 1)
            return (yield from paced(super().flow(request, stream=stream), pace, 1))

    request = ImageRequest(prompt="a cat")
    found = make(way, request, handler=fake, register={"toy": Plugged(Twice())}, provider="toy")
    assert found.ok
    assert times[1] - times[0] >= 0.08
