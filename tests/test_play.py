from __future__ import annotations

from typing import Any

import pytest

from imagekit import (
    ConfigurationError,
    ImageRequest,
    Progress,
    ProviderUnavailableError,
    RateLimitError,
)
from imagekit._framing import ServerSentEvent
from imagekit.provider import (
    Effects,
    HttpRequest,
    HttpResponse,
    call,
    checkpoint,
    emit,
    gather,
    open_stream,
    receive,
    send,
    sleep,
)
from imagekit.testing import Played, json_response, play, sse
from toys import Queue, Streaming, done, picture, spelt

ASKED = ImageRequest(prompt="a cat")
GET = HttpRequest("GET", "/x")


def test_a_queues_whole_conversation_is_played() -> None:
    played = play(
        Queue().flow(ASKED, stream=False),
        json_response({"id": "7"}),
        json_response({"id": "7", "done": False}),
        json_response(done(picture(3))),
    )
    assert [(one.method, one.url) for one in played.requests] == [
        ("POST", "/jobs"),
        ("GET", "/jobs/7"),
        ("GET", "/jobs/7"),
    ]
    assert played.checkpoints == [{"job": "7"}]
    assert played.slept == 0.01
    assert [event.kind for event in played.events] == ["queued"]
    assert played.response.image.data == picture(3)


def test_a_stream_is_played_from_its_events() -> None:
    end = sse("end", picture=spelt(picture(1)))
    ready = sse("ready", index=0, picture=spelt(picture(1)))
    played = play(Streaming().flow(ASKED, stream=True), HttpResponse(200), events=[ready, end])
    assert played.response.image.data == picture(1)


def opening() -> Effects[Any]:
    head = yield from open_stream(GET)
    return head.streamed, (yield from receive())


def test_an_answer_without_a_body_is_a_stream() -> None:
    assert play(opening(), HttpResponse(200), events=["x"]).response == (True, "x")


@pytest.mark.parametrize("answer", [json_response({}), HttpResponse(500)])
def test_an_answer_with_a_body_or_an_error_is_none(answer: HttpResponse) -> None:
    assert play(opening(), answer).response == (False, None)


def test_an_error_among_the_replies_is_raised_where_the_answer_was_awaited() -> None:
    def flow() -> Effects[str]:
        with pytest.raises(RateLimitError):
            yield from send(GET)
        return "caught"

    assert play(flow(), RateLimitError("slow down")).response == "caught"


def test_a_flow_that_raises_leaves_what_it_did_in_into() -> None:
    def flow() -> Effects[None]:
        yield from send(GET)
        raise ProviderUnavailableError("gone")

    played = Played()
    with pytest.raises(ProviderUnavailableError):
        play(flow(), json_response({}), into=played)
    assert played.requests == [GET]


def test_a_request_that_nobody_scripted_fails_the_test() -> None:
    with pytest.raises(AssertionError, match="no reply was scripted"):
        play(send(GET))


def test_everything_else_is_performed_at_once() -> None:
    def flow() -> Effects[Any]:
        yield from sleep(2)
        yield from sleep(3)
        yield from checkpoint({"job": 1})
        yield from emit(Progress(step=1))
        return (yield from call(lambda: 42))

    played = play(flow())
    assert (played.slept, played.response) == (5, 42)
    assert played.checkpoints == [{"job": 1}]
    assert played.events == [Progress(step=1)]


def test_what_is_called_may_raise() -> None:
    with pytest.raises(ZeroDivisionError):
        play(call(lambda: 1 // 0))


def test_nobody_awaits_what_is_called() -> None:
    async def key() -> str:
        return "sk"

    with pytest.raises(ConfigurationError, match="an async function was given to a blocking"):
        play(call(key))


def test_gathered_flows_are_played_one_after_the_other() -> None:
    def bad() -> Effects[None]:
        yield from sleep(1)
        raise RateLimitError("no")

    played = play(gather([send(GET), bad(), send(GET)]), json_response(1), json_response(2))
    first, error, second = played.response
    assert (first.json(), second.json()) == (1, 2)
    assert isinstance(error, RateLimitError)


def test_an_improper_effect_is_thrown_into_the_flow() -> None:
    from imagekit import PluginError

    def flow() -> Any:
        with pytest.raises(PluginError):
            yield 7
        return "alive"

    assert play(flow()).response == "alive"


def test_an_event_has_its_own_type_in_its_data() -> None:
    assert sse("done", x=1) == ServerSentEvent("done", '{"type": "done", "x": 1}')


def test_a_json_response_has_headers_in_keyword_form() -> None:
    answer = json_response({"a": 1}, 429, retry_after="3")
    assert (answer.status, answer.json()) == (429, {"a": 1})
    assert answer.headers == {"content-type": "application/json", "retry-after": "3"}
