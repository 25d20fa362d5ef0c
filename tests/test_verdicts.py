from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

import imagekit
from imagekit import (
    ConnectionFailedError,
    DeadlineExceededError,
    InvalidRequestError,
    PluginError,
    ProtocolError,
    ProviderError,
    RateLimitError,
    RetryPolicy,
    TransportError,
    TransportTimeoutError,
)
from imagekit import ProviderUnavailableError as UnavailableError
from imagekit._retried import retried
from imagekit.provider import HttpRequest, HttpResponse, Verdict, send
from toys import (
    Act,
    Driver,
    Queue,
    Server,
    Streaming,
    Talk,
    Watcher,
    Whole,
    answers,
    closes,
    done,
    drips,
    hangs,
    plugins,
    refused,
    resets_after,
    sse,
    streams,
)

QUICK = RetryPolicy(retries=2, base=0.001)
NOT_SENT, REFUSED, REJECTED = Verdict.NOT_SENT, Verdict.REFUSED, Verdict.REJECTED
UNKNOWN, ACCEPTED = Verdict.UNKNOWN, Verdict.ACCEPTED
DATES = {"date": "Sun, 06 Nov 1994 08:49:37 GMT", "retry_after": "Sun, 06 Nov 1994 08:49:37 GMT"}


@dataclass
class Came:
    """What a call came to."""

    error: imagekit.ImagekitError | None
    attempts: int
    response: imagekit.ImageResponse | None = None


def made(driver: Driver, provider: Whole, *, stream: bool = False, **how: Any) -> Came:
    watcher = Watcher()
    settings: dict[str, Any] = {"retry": QUICK, **how}
    settings |= {"provider": "toy", "plugins": plugins(watcher, toy=provider)}
    error, response = None, None
    try:
        if stream:
            driver.stream("a cat", **settings)
        else:
            response = driver.call(lambda client: client.generate("a cat"), **settings)
    except imagekit.ImagekitError as found:
        error = found
    return Came(error, len(watcher.of("sent")), response)


def timeouts(act: Act | None) -> imagekit.Timeouts:
    return imagekit.Timeouts(5.0, 1.0 if act is hangs else 10.0)


MAY = "possibly"
AFTER, AFTER_MS = {"retry_after": "0"}, {"retry_after_ms": "1"}
LATER = {"retry_after": "600"}
CUT = streams(b'{"pict', then="breaks", kind="application/json")
GZIP = answers(200, content_encoding="gzip")

# A POST, which is billable; retries=2.
# fmt: off
POSTS = [
  # what the server does        how               verdict   attempts  error class      billed
  ("refuses the connection",    None,                     NOT_SENT, 3, ConnectionFailedError, "no"),
  ("closes after accepting",    closes,                   UNKNOWN,  1, TransportError,        MAY),
  ("resets amid the request",   resets_after(100),        UNKNOWN,  1, TransportError,        MAY),
  ("resets after the request",  resets_after(None),       UNKNOWN,  1, TransportError,        MAY),
  ("hangs until the timeout",   hangs,                    UNKNOWN,  1, TransportTimeoutError, MAY),
  ("answers 200",               answers(200),             ACCEPTED, 1, None,                  None),
  ("200, not as its plugin thinks", answers(200, []),     ACCEPTED, 1, PluginError,           MAY),
  ("200, broken amid the body", CUT,                      ACCEPTED, 1, TransportError,        MAY),
  ("200, garbled",              GZIP,                     ACCEPTED, 1, ProtocolError,         MAY),
  ("answers 400",               answers(400),             REJECTED, 1, InvalidRequestError,   "no"),
  ("answers 401",               answers(401),             REJECTED, 1, InvalidRequestError,   "no"),
  ("answers 408",               answers(408),             UNKNOWN,  1, InvalidRequestError,   MAY),
  ("answers 409",               answers(409),             UNKNOWN,  1, InvalidRequestError,   MAY),
  ("answers 429",               answers(429),             REFUSED,  3, RateLimitError,        "no"),
  ("429, retry-after",          answers(429, **AFTER),    REFUSED,  3, RateLimitError,        "no"),
  ("429, retry-after-ms",       answers(429, **AFTER_MS), REFUSED,  3, RateLimitError,        "no"),
  ("429, retry-after: a date",  answers(429, **DATES),    REFUSED,  3, RateLimitError,        "no"),
  ("429, retry-after: 10 min",  answers(429, **LATER),    REFUSED,  1, RateLimitError,        "no"),
  ("answers 500",               answers(500),             UNKNOWN,  1, ProviderError,         MAY),
  ("500, retry-after",          answers(500, **AFTER),    UNKNOWN,  1, ProviderError,         MAY),
  ("answers 502",               answers(502),             UNKNOWN,  1, ProviderError,         MAY),
  ("answers 503",               answers(503),             REFUSED,  3, UnavailableError,      "no"),
  ("503, retry-after",          answers(503, **AFTER),    REFUSED,  3, UnavailableError,      "no"),
  ("503, retry-after: 10 min",  answers(503, **LATER),    REFUSED,  1, UnavailableError,      "no"),
]
# fmt: on


# httpx drops generators of its own where an answer does not decode, and trio warns of that.
@pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")
@pytest.mark.parametrize(
    ("act", "verdict", "attempts", "error", "billed"),
    [row[1:] for row in POSTS],
    ids=[row[0] for row in POSTS],
)
def test_a_post_is_repeated_only_when_it_cannot_cost_twice(
    driver: Driver,
    server: Server,
    act: Act | None,
    verdict: Verdict,
    attempts: int,
    error: type[imagekit.ImagekitError] | None,
    billed: str | None,
) -> None:
    if act is not None:
        server.does(act)
    came = made(driver, Whole(server.url if act else refused()), timeouts=timeouts(act))
    assert came.attempts == attempts
    assert server.connections == (attempts if act else 0)
    if error is None:
        assert came.response is not None
    else:
        assert type(came.error) is error
        assert came.error.billed == billed
    # The table is true to itself: only what is repeatable was ever repeated.
    assert attempts == 1 or verdict.repeatable


# Polling, which costs nothing: the same troubles, twice, and then it goes on.
# fmt: off
POLLS = [
    # what the server does          act                 repeated
    ("closes after accepting",      closes,             True),
    ("resets after the request",    resets_after(None), True),
    ("hangs until the timeout",     hangs,              True),
    ("answers 400",                 answers(400),       False),
    ("answers 408",                 answers(408),       True),
    ("answers 409",                 answers(409),       True),
    ("answers 429",                 answers(429),       True),
    ("answers 500",                 answers(500),       True),
    ("answers 502",                 answers(502),       True),
    ("answers 503",                 answers(503),       True),
]
# fmt: on


@pytest.mark.parametrize(
    ("act", "repeated"), [row[1:] for row in POLLS], ids=[row[0] for row in POLLS]
)
def test_a_poll_is_repeated_on_any_trouble_and_the_post_before_it_never(
    driver: Driver, server: Server, act: Act, repeated: bool
) -> None:
    server.does(answers(200, {"id": "7"}), act, act, answers())
    came = made(driver, Queue(server.url), timeouts=timeouts(act))
    assert server.connections == (4 if repeated else 2)
    assert [seen.method for seen in server.seen].count("POST") == 1
    assert (came.response is not None) is repeated


@pytest.mark.parametrize("act", [hangs, answers(500), answers(400)], ids=["hang", "500", "400"])
def test_a_poll_that_fails_for_good_says_that_the_job_may_cost_and_how_to_resume(
    driver: Driver, server: Server, act: Act
) -> None:
    server.does(answers(200, {"id": "7"}), act)
    came = made(driver, Queue(server.url), timeouts=timeouts(act))
    assert came.error is not None
    assert came.error.billed == "possibly"
    assert came.error.checkpoint == {"job": "7"}


def test_a_poll_that_finds_nobody_does_not_make_the_accepted_job_free(
    driver: Driver, server: Server
) -> None:
    def vanishes(talk: Talk) -> None:
        server._listener.close()
        answers(200, {"id": "7"})(talk)

    server.does(vanishes)
    came = made(driver, Queue(server.url))
    assert type(came.error) is ConnectionFailedError
    assert came.error.billed == "possibly"


def test_a_refusal_that_ends_is_made_good(driver: Driver, server: Server) -> None:
    server.does(answers(429), answers(503), answers())
    came = made(driver, Whole(server.url))
    assert came.response is not None
    assert server.connections == 3


@pytest.mark.parametrize("retries", [0, 1, 4])
def test_retries_is_how_often_it_is_repeated(driver: Driver, server: Server, retries: int) -> None:
    server.does(answers(429))
    made(driver, Whole(server.url), retries=retries)
    assert server.connections == retries + 1


def broke(response: HttpResponse) -> Verdict | None:
    return Verdict.REJECTED if response.json().get("code") == "billing" else None


def harmless(response: HttpResponse) -> Verdict | None:
    return Verdict.REFUSED if response.json().get("code") == "not-begun" else None


def test_a_judge_may_end_a_refusal_that_waiting_does_not_mend(
    driver: Driver, server: Server
) -> None:
    server.does(answers(429, {"code": "billing"}))
    came = made(driver, Whole(server.url, judge=broke))
    assert server.connections == 1
    assert came.error is not None
    assert came.error.billed == "no"


def test_a_judge_may_turn_unknown_into_refused(driver: Driver, server: Server) -> None:
    server.does(answers(500, {"code": "not-begun"}))
    came = made(driver, Whole(server.url, judge=harmless))
    assert server.connections == 3
    assert came.error is not None
    assert came.error.billed == "no"


@pytest.mark.parametrize(("status", "attempts"), [(429, 3), (500, 1)])
def test_a_judge_with_nothing_to_say_leaves_it_to_the_core(
    driver: Driver, server: Server, status: int, attempts: int
) -> None:
    server.does(answers(status, {"code": "other"}))
    made(driver, Whole(server.url, judge=broke))
    assert server.connections == attempts


def test_a_judge_that_fails_leaves_it_to_the_core(driver: Driver, server: Server) -> None:
    server.does(answers(503, ["a proxy's own"]))
    came = made(driver, Whole(server.url, judge=broke))
    assert server.connections == 3
    assert type(came.error) is UnavailableError


def test_a_deadline_holds_over_a_dripping_server(driver: Driver, server: Server) -> None:
    server.does(drips)
    came = made(driver, Whole(server.url), deadline=3)
    assert type(came.error) is DeadlineExceededError
    assert came.error.billed == "possibly"
    assert server.connections == 1


def test_a_deadline_holds_over_a_dripping_stream(driver: Driver, server: Server) -> None:
    server.does(streams(*[b": nothing\n\n"] * 200, gap=0.05))
    came = made(driver, Streaming(server.url), stream=True, deadline=3)
    assert type(came.error) is DeadlineExceededError
    assert came.error.billed == "possibly"


def test_a_deadline_holds_over_retries(driver: Driver, server: Server) -> None:
    server.does(answers(429, retry_after="60"))
    came = made(driver, Whole(server.url), deadline=30)
    assert type(came.error) is RateLimitError
    assert came.error.billed == "no"
    assert server.connections == 1


def test_a_deadline_that_passes_between_polls_does_not_make_the_accepted_job_free(
    driver: Driver, server: Server
) -> None:
    server.does(answers(200, {"id": "7"}), answers(200, {"id": "7", "done": False}))
    came = made(driver, Queue(server.url), deadline=3)
    assert type(came.error) is DeadlineExceededError
    assert came.error.billed == "possibly"
    assert came.error.checkpoint == {"job": "7"}


def test_a_stream_that_breaks_before_a_picture_is_not_repeated(
    driver: Driver, server: Server
) -> None:
    server.does(streams(sse("partial"), then="breaks"))
    came = made(driver, Streaming(server.url), stream=True)
    assert type(came.error) is TransportError
    assert came.error.billed == "possibly"
    assert server.connections == 1


def test_opening_a_stream_is_repeated_like_any_post(driver: Driver, server: Server) -> None:
    server.does(answers(429), streams(sse("ready"), sse("end")))
    came = made(driver, Streaming(server.url), stream=True)
    assert came.error is None
    assert server.connections == 2


def test_a_post_that_is_not_billable_is_repeated_like_a_read(
    driver: Driver, server: Server
) -> None:
    server.does(answers(500), resets_after(None), answers(200, done()))
    asking = send(HttpRequest("POST", f"{server.url}/search", json={}, billable=False))
    assert driver.do(retried(asking, QUICK)).ok
    assert server.connections == 3


def test_a_request_that_cannot_be_written_cost_nothing(driver: Driver) -> None:
    asking = send(HttpRequest("POST", "http://127.0.0.1/", json={1, 2}))
    with pytest.raises(imagekit.RequestError) as found:
        driver.do(retried(asking, QUICK))
    assert found.value.billed == "no"
