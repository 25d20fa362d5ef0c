"""Responses in the background: begun, watched, cut, asked for again, ended, deleted."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import anyio.from_thread
import httpx2
import openai
import pytest
from openai_wire import (
    KEY,
    ONE,
    asked,
    begun,
    call,
    json_of,
    of_images,
    of_responses,
    options,
    response_body,
    response_stream,
    sse_bytes,
)

import imagekit
from imagekit import (
    AsyncClient,
    Client,
    DeadlineExceededError,
    ImageFailure,
    ImageReady,
    InvalidRequestError,
    PartialImage,
    Progress,
    ProtocolError,
    ProviderError,
    Queued,
    RequestError,
    TransportError,
    TruncatedStreamError,
    UnsupportedRequestError,
)
from imagekit.provider import HttpResponse, ServerSentEvent, sleep
from imagekit.testing import Played, json_response, play
from imagekit_openai._jobs import Pace
from serving import serving
from spoken import httpx

TOKEN = "a-token-of-ours"
QUEUED = response_body(status="queued", usage=None, tool_usage=None, background=True)
WORKING = {**QUEUED, "status": "in_progress"}
DONE = response_body(call(), background=True)
# What a look at it shows of a picture, as some report of the live service.
NULL = response_body(call(None), background=True)
REFUSED = json_response({"error": {"message": "no"}}, 400)
HANDLE = {"response_id": "resp_1", "model": "gpt-image-2", "n": 1}


class Script(Iterator[Any]):
    """What a stream brings, one after the other: None is an end, an exception is raised."""

    def __init__(self, *items: Any) -> None:
        self._items = list(items)

    def __next__(self) -> Any:
        if not self._items:
            raise StopIteration
        item = self._items.pop(0)
        if isinstance(item, Exception):
            raise item
        return item


def events(*wanted: int, **changes: Any) -> list[ServerSentEvent]:
    """Events of a stream with two previews, by their numbers; without any, all of them."""
    listed = [{**one, **changes} for one in response_stream()]
    chosen = [listed[number] for number in wanted] if wanted else listed
    return [ServerSentEvent(one["type"], json.dumps(one)) for one in chosen]


def detached(*replies: Any, stream: bool = False, script: Any = (), **fields: Any) -> Played:
    flow = of_responses().flow(asked(detach=True, **fields), stream=stream)
    return play(flow, *replies, events=script)


def told(played: Played) -> list[str]:
    return [type(event).__name__ for event in played.events]


def looks(played: Played) -> list[tuple[str, str, dict[str, str]]]:
    """What was asked after the first request."""
    return [(one.method, one.url, dict(one.query)) for one in played.requests[1:]]


GET = ("GET", "/responses/resp_1", {})


def stream_from(number: int) -> tuple[str, str, dict[str, str]]:
    said = {"stream": "true", "include_obfuscation": "false", "starting_after": str(number)}
    return ("GET", "/responses/resp_1", said)


# --- whole


def test_a_detached_call_is_made_in_the_background_and_asked_for_until_it_is_done() -> None:
    replies = map(json_response, (QUEUED, QUEUED, WORKING, DONE))
    played = detached(*replies, model="gpt-image-2")
    sent = json_of(played.requests[0])
    assert (sent["background"], sent["store"]) == (True, True)
    assert played.requests[0].charges
    assert looks(played) == [GET] * 3
    assert not any(one.charges for one in played.requests[1:])
    assert {one.blobs for one in played.requests} == {frozenset({"result", "partial_image_b64"})}
    assert played.checkpoints == [HANDLE]
    assert played.events == [Queued(), Progress(message="it is being made")]
    assert played.response.image.data == ONE
    assert played.response.model == "gpt-image-2"
    assert played.response.state.payload["response_id"] == "resp_1"


def test_what_is_not_detached_is_not_in_the_background() -> None:
    played = play(of_responses().flow(asked(), stream=False), json_response(DONE))
    assert "background" not in json_of(played.requests[0])
    assert played.checkpoints == []


def test_the_model_that_was_sent_is_remembered() -> None:
    played = detached(json_response(DONE))
    assert played.checkpoints == [{**HANDLE, "model": "gpt-image-2.6-sunburst"}]
    assert looks(played) == []


def test_the_pace_slackens_and_has_an_end() -> None:
    pace = Pace(1.0, 4.0)
    assert [pace.wait() for _ in range(6)] == [1.0, 1.5, 2.25, 3.375, 4.0, 4.0]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after": "0"}, 0.05),
        ({"retry-after": "86400"}, 600.0),
        ({"retry-after": "soon"}, 1.0),
        ({}, 1.0),
    ],
)
def test_the_pace_is_the_one_that_is_asked_for(headers: Any, seconds: float) -> None:
    waiting = HttpResponse(200, {**headers}, json.dumps(WORKING).encode())
    assert detached(waiting, json_response(DONE)).slept == seconds
    assert Pace(1.0, 10.0).wait(headers) == seconds


def test_a_response_that_is_not_done_and_has_no_id_cannot_be_asked_for() -> None:
    with pytest.raises(ProtocolError, match="no id"):
        detached(json_response({**QUEUED, "id": None}))


def test_a_response_that_is_done_needs_no_id() -> None:
    played = detached(json_response({**DONE, "id": None}))
    assert played.response.image.data == ONE
    assert played.checkpoints == []


@pytest.mark.parametrize("stream", [False, True])
def test_a_refusal_is_an_error(stream: bool) -> None:
    with pytest.raises(InvalidRequestError):
        detached(json_response({"error": {"message": "no"}}, 400), stream=stream)


def test_the_end_is_decoded_as_any_other() -> None:
    failed = {**QUEUED, "status": "failed", "error": {"code": "server_error", "message": "m"}}
    with pytest.raises(imagekit.ProviderUnavailableError, match="m"):
        detached(json_response(QUEUED), json_response(failed))
    cancelled = {**QUEUED, "status": "cancelled"}
    [slot] = detached(json_response(QUEUED), json_response(cancelled)).response.slots
    assert slot.reason == "the response ended cancelled: no reason"


def test_a_picture_that_the_answer_leaves_out_is_an_honest_failure() -> None:
    [slot] = detached(json_response(QUEUED), json_response(NULL)).response.slots
    assert isinstance(slot, ImageFailure)
    assert slot.reason.endswith("; the picture was made, and is not in the answer")
    assert slot.billed == "possibly"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"store": False}, "has to be stored"),
        ({"extra_body": {"store": False}}, "has to be stored"),
    ],
)
def test_what_is_not_stored_cannot_be_asked_for(said: Any, words: str) -> None:
    with pytest.raises(UnsupportedRequestError, match=words):
        detached(options=options("openai-responses", **said))


@pytest.mark.parametrize("value", [True, "yes"])
def test_the_background_is_asked_for_in_one_way(value: Any) -> None:
    wanted = asked(options=options("openai-responses", extra_body={"background": value}))
    with pytest.raises(RequestError, match="detach=True"):
        play(of_responses().flow(wanted, stream=False))


def test_the_foreground_may_be_spelt_out() -> None:
    wanted = asked(options=options("openai-responses", extra_body={"background": False}))
    played = play(of_responses().flow(wanted, stream=False), json_response(DONE))
    assert json_of(played.requests[0])["background"] is False


# --- streamed


def test_a_stream_in_the_background_is_watched_as_any_other() -> None:
    played = detached(begun(), stream=True, script=events())
    assert json_of(played.requests[0])["stream"] is True
    assert told(played) == ["Progress", "Progress", "PartialImage", "PartialImage", "ImageReady"]
    numbers = [one["sequence"] for one in played.checkpoints]
    assert numbers == list(range(len(events())))
    assert played.checkpoints[-1] == {
        "response_id": "resp_1",
        "model": "gpt-image-2.6-sunburst",
        "n": 1,
        "sequence": 9,
    }
    assert played.response.image.data == ONE


CUTS = [None, TransportError("broken"), ProtocolError("half an event")]


@pytest.mark.parametrize("cut", CUTS, ids=repr)
@pytest.mark.parametrize("place", range(1, 10))
def test_a_stream_that_is_cut_anywhere_goes_on_where_it_was(place: int, cut: Any) -> None:
    listed = events()
    script = Script(*listed[:place], cut, *listed[place:])
    played = detached(begun(), begun(), stream=True, script=script)
    assert looks(played) == [stream_from(place - 1)]
    assert told(played) == ["Progress", "Progress", "PartialImage", "PartialImage", "ImageReady"]
    assert [one["sequence"] for one in played.checkpoints] == list(range(10))
    assert played.response.image.data == ONE
    assert played.slept == 0


def test_events_that_come_again_are_passed_over() -> None:
    script = Script(*events()[:6], None, *events())
    played = detached(begun(), begun(), stream=True, script=script)
    assert told(played) == ["Progress", "Progress", "PartialImage", "PartialImage", "ImageReady"]


def test_a_stream_may_be_cut_often_while_it_brings_something() -> None:
    cut = [item for event in events() for item in (event, None)]
    played = detached(*[begun()] * 10, stream=True, script=Script(*cut))
    assert looks(played) == [stream_from(number) for number in range(9)]
    assert played.response.image.data == ONE


def test_a_stream_that_brings_nothing_any_more_is_given_up_and_the_response_asked_for() -> None:
    script = Script(*events()[:6], *[None] * 4)
    replies = [begun()] * 4, [json_response(WORKING), json_response(DONE)]
    played = detached(*replies[0], *replies[1], stream=True, script=script)
    assert looks(played) == [*[stream_from(5)] * 3, GET, GET]
    assert played.slept == 0.5 + 0.75 + 1.0
    assert played.response.image.data == ONE


@pytest.mark.parametrize(
    "refused",
    [
        json_response({"error": {"message": "This response cannot be streamed"}}, 400),
        json_response(DONE),
        TransportError("nobody there"),
        ProtocolError("no answer at all"),
    ],
    ids=repr,
)
def test_a_stream_that_cannot_be_opened_again_is_polled(refused: Any) -> None:
    script = Script(*events()[:6], None)
    played = detached(begun(), refused, json_response(DONE), stream=True, script=script)
    assert looks(played) == [stream_from(5), GET]
    assert played.response.image.data == ONE


def test_a_stream_without_numbers_is_polled_when_it_is_cut() -> None:
    script = Script(*events(sequence_number=None)[:6], None)
    played = detached(begun(), json_response(DONE), stream=True, script=script)
    assert looks(played) == [GET]
    assert "sequence" not in played.checkpoints[-1]


def test_a_picture_that_the_stream_showed_survives_an_answer_without_it() -> None:
    script = Script(*events()[:9], None)
    played = detached(begun(), REFUSED, json_response(NULL), stream=True, script=script)
    assert looks(played) == [stream_from(8), GET]
    assert played.response.image.data == ONE


def test_a_stream_whose_last_event_cannot_be_read_is_asked_for_its_end() -> None:
    last = ServerSentEvent("response.completed", json.dumps({"type": "response.completed"}))
    script = Script(*events()[:9], last, None, None, None)
    played = detached(*[begun()] * 4, json_response(DONE), stream=True, script=script)
    assert looks(played)[-1] == GET
    assert played.response.image.data == ONE


@pytest.mark.parametrize("first", [[], events(2), [ServerSentEvent("x", '{"response": {}}')]])
def test_a_stream_that_is_cut_before_its_id_came_is_an_error(first: list[Any]) -> None:
    with pytest.raises(TruncatedStreamError):
        detached(begun(), stream=True, script=Script(*first, None))
    with pytest.raises(TransportError, match="broken"):
        detached(begun(), stream=True, script=Script(*first, TransportError("broken")))


def test_an_error_in_a_stream_is_its_end() -> None:
    error = ServerSentEvent("error", json.dumps({"type": "error", "message": "m", "code": "c"}))
    with pytest.raises(ProviderError, match="m"):
        detached(begun(), stream=True, script=Script(*events()[:3], error))


OVER = DeadlineExceededError("over")


@pytest.mark.parametrize(
    ("replies", "last"), [([begun()], OVER), ([begun(), OVER], None)], ids=["watching", "opening"]
)
def test_a_deadline_is_no_cut(replies: Any, last: Any) -> None:
    with pytest.raises(DeadlineExceededError):
        detached(*replies, stream=True, script=Script(*events()[:3], last))


def test_a_body_in_answer_to_a_stream_is_polled() -> None:
    played = detached(json_response(QUEUED), json_response(DONE), stream=True)
    assert looks(played) == [GET]
    assert played.response.image.data == ONE


# --- asked for again


def resumed(*replies: Any, script: Any = (), **more: Any) -> Played:
    return play(of_responses().resume({**HANDLE, **more}), *replies, events=script)


def test_a_job_is_finished_from_its_handle() -> None:
    played = resumed(json_response(WORKING), json_response(DONE))
    assert [(one.method, one.url) for one in played.requests] == [GET[:2]] * 2
    assert played.checkpoints == [HANDLE]
    assert played.response.image.data == ONE
    assert played.response.model == "gpt-image-2"


NO_IDS = ["", ".", "..", "../files/f?x", "r\n", "é", "r" * 201]
NO_HANDLES: list[dict[str, Any]] = [
    {},
    {"response_id": 5},
    *({"n": n, "response_id": "r"} for n in ("x", 0, -1, 10**9)),
]


@pytest.mark.parametrize("handle", NO_HANDLES)
def test_a_handle_of_somebody_else_is_an_error(handle: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match="no handle"):
        play(of_responses().resume(handle))
    with pytest.raises(RequestError, match="no handle"):
        play(of_images().resume(handle))
    with pytest.raises(RequestError, match="no handle"):
        play(of_images().cancel(handle))


@pytest.mark.parametrize("id", NO_IDS)
def test_an_id_is_one_word_of_a_url(id: str) -> None:
    provider, handle = of_responses(), {"response_id": id}
    for verb in (provider.resume, provider.cancel, provider.delete):
        with pytest.raises(RequestError, match=r"no handle|is no id"):
            play(verb(handle))


@pytest.mark.parametrize("id", NO_IDS)
def test_an_id_of_a_server_is_one_word_too(id: str) -> None:
    with pytest.raises(ProtocolError, match="no id"):
        detached(json_response({**QUEUED, "id": id}))
    # What has come needs none.
    assert detached(json_response({**DONE, "id": id})).response.image.data == ONE
    first = {"type": "response.created", "response": {**QUEUED, "id": id}}
    script = Script(ServerSentEvent("response.created", json.dumps(first)), None)
    with pytest.raises(TruncatedStreamError):
        detached(begun(), stream=True, script=script)


def test_a_picture_that_only_the_stream_holds_is_read_there_again() -> None:
    played = resumed(json_response(NULL), begun(), script=events(), sequence=4)
    asked_for = played.requests[1]
    assert dict(asked_for.query) == {"stream": "true", "include_obfuscation": "false"}
    assert played.events == []
    assert played.response.image.data == ONE


@pytest.mark.parametrize(
    ("reply", "script"),
    [
        (json_response({"error": {"message": "gone"}}, 404), ()),
        (begun(), Script(*events()[:5], None)),
        (begun(), Script(*events()[:5], TransportError("broken"))),
        (begun(), Script(ServerSentEvent("error", '{"type":"error","message":"m"}'))),
    ],
)
def test_where_the_stream_has_it_not_either_it_is_a_failure(reply: Any, script: Any) -> None:
    [slot] = resumed(json_response(NULL), reply, script=script, sequence=4).response.slots
    assert slot.reason.endswith("; the picture was made, and is not in the answer")


def test_what_a_stream_showed_before_it_was_cut_counts_when_it_is_read_again() -> None:
    script = Script(*events()[:9], TransportError("broken"))
    played = resumed(json_response(NULL), begun(), script=script, sequence=4)
    assert played.response.image.data == ONE


def test_reading_again_never_costs_what_was_seen() -> None:
    both = response_body(call(None), call(None, "ig_2"), background=True)
    # The stream shows a picture and is cut; it is refused; what is read again is cut at once.
    script = Script(*events()[:9], None, None)
    played = detached(begun(), REFUSED, json_response(both), begun(), stream=True, script=script)
    assert played.response.image.data == ONE


def test_the_highest_number_counts() -> None:
    script = Script(*events(0, 5, 3), None)
    played = detached(begun(), REFUSED, json_response(DONE), stream=True, script=script)
    assert [one["sequence"] for one in played.checkpoints] == [0, 5, 5]


def test_a_deadline_ends_the_reading_too() -> None:
    with pytest.raises(DeadlineExceededError):
        resumed(json_response(NULL), begun(), script=Script(DeadlineExceededError("o")), sequence=4)


@pytest.mark.parametrize("body", [DONE, response_body(call(None, status="failed"))])
def test_nothing_is_read_again_where_nothing_is_wanting(body: Any) -> None:
    assert len(resumed(json_response(body), sequence=4).requests) == 1


# --- ended, deleted


def test_cancelling_ends_it() -> None:
    played = play(of_responses().cancel(HANDLE), json_response({**QUEUED, "status": "cancelled"}))
    [sent] = played.requests
    assert (sent.method, sent.url, sent.charges) == ("POST", "/responses/resp_1/cancel", False)


def test_cancelling_what_has_ended_is_no_error() -> None:
    refused = json_response({"error": {"message": "Cannot cancel"}}, 400)
    played = play(of_responses().cancel(HANDLE), refused, json_response(DONE))
    assert played.requests[1].url == "/responses/resp_1"


@pytest.mark.parametrize(
    "look", [json_response(WORKING), json_response({"error": {"message": "gone"}}, 404)]
)
def test_what_cannot_be_cancelled_is_an_error(look: HttpResponse) -> None:
    refused = json_response({"error": {"message": "Cannot cancel"}}, 400)
    with pytest.raises(InvalidRequestError, match="Cannot cancel"):
        play(of_responses().cancel(HANDLE), refused, look)


@pytest.mark.parametrize("handle", [HANDLE, {"response_id": "resp_1", "items": []}])
@pytest.mark.parametrize("status", [200, 404])
def test_deleting_leaves_nothing_whether_or_not_it_was_there(handle: Any, status: int) -> None:
    played = play(of_responses().delete(handle), json_response({}, status))
    [sent] = played.requests
    assert (sent.method, sent.url) == ("DELETE", "/responses/resp_1")


def test_deleting_that_is_refused_is_an_error() -> None:
    with pytest.raises(imagekit.PermissionDeniedError):
        play(of_responses().delete(HANDLE), json_response({"error": {"message": "no"}}, 403))


# --- the official client as judge: the same requests


def sent_by_the_sdk(use: Callable[[openai.OpenAI], Any], answer: bytes, kind: str) -> list[Any]:
    found: list[Any] = []

    def server(one: httpx2.Request) -> httpx2.Response:
        found.append((one.method, one.url.path, dict(one.url.params), one.content))
        return httpx2.Response(200, headers={"content-type": kind}, content=answer)

    with (
        httpx2.Client(transport=httpx2.MockTransport(server)) as http,
        openai.OpenAI(api_key=KEY, http_client=http) as sdk,
    ):
        use(sdk)
    return found


def sent_by_us(use: Callable[[Client], Any], answer: bytes, kind: str) -> list[Any]:
    found: list[Any] = []

    def server(one: httpx.Request) -> httpx.Response:
        found.append((one.method, one.url.path, dict(one.url.params), one.content))
        return httpx.Response(200, headers={"content-type": kind}, content=answer)

    with (
        httpx.Client(transport=httpx.MockTransport(server)) as http,
        Client(provider="openai-responses", api_key=KEY, http=http) as client,
    ):
        use(client)
    return found


JOB = imagekit.Job(provider="openai-responses", counts=(1,), parts=({"n": 1, "handle": HANDLE},))
SAME: dict[str, tuple[Any, Any]] = {
    "retrieve": (lambda ours: ours.resume(JOB), lambda sdk: sdk.responses.retrieve("resp_1")),
    "cancel": (lambda ours: ours.cancel(JOB), lambda sdk: sdk.responses.cancel("resp_1")),
    "delete": (lambda ours: ours.delete(JOB), lambda sdk: sdk.responses.delete("resp_1")),
}


@pytest.mark.parametrize("name", SAME)
def test_the_official_client_asks_the_same(name: str) -> None:
    ours, theirs = SAME[name]
    answer = json.dumps(DONE).encode()
    sent = sent_by_us(ours, answer, "application/json")
    assert sent == sent_by_the_sdk(theirs, answer, "application/json")


def test_the_official_client_follows_a_stream_in_the_same_words() -> None:
    body = sse_bytes(response_stream())

    def follow(sdk: openai.OpenAI) -> None:
        more = sdk.responses.retrieve(
            "resp_1", stream=True, starting_after=5, include_obfuscation=False
        )
        list(more)

    [(method, path, query, _)] = sent_by_the_sdk(follow, body, "text/event-stream")
    assert (method, path.removeprefix("/v1"), query) == stream_from(5)


# --- the clients


def answering(*answers: Any) -> httpx.MockTransport:
    left = list(answers)

    def handler(request: httpx.Request) -> httpx.Response:
        status, body = left.pop(0)
        return httpx.Response(status, json=body)

    return httpx.MockTransport(handler)


def test_a_job_that_is_gone_may_have_cost_something() -> None:
    gone = {"message": "not found", "type": "invalid_request_error"}
    http = answering((200, QUEUED), (404, {"error": gone}))
    with Client(provider="openai-responses", api_key=KEY, http=http) as client:
        job = client.submit("an otter")
        with pytest.raises(InvalidRequestError) as caught:
            client.resume(job)
    assert caught.value.billed == "possibly"
    assert caught.value.job is None
    assert caught.value.checkpoint == {**HANDLE, "model": "gpt-image-2.6-sunburst"}


@pytest.mark.parametrize("status", [400, 401, 403, 404, 407, 409, 418, 422, 451])
def test_a_look_that_is_refused_leaves_the_job(
    status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imagekit_openai._jobs.sleep", lambda _: sleep(0))
    answers = iter([httpx.Response(200, json=QUEUED), httpx.Response(status, text="<html>no")])
    http = httpx.MockTransport(lambda _: next(answers))
    with (
        Client(
            provider="openai-responses",
            api_key=KEY,
            http=http,
            retry=imagekit.RetryPolicy(retries=0),
        ) as client,
        pytest.raises(ProviderError) as caught,
    ):
        client.generate("an otter", detach=True)
    assert caught.value.job is not None


def test_the_model_says_that_it_can_be_detached() -> None:
    with Client(api_key=KEY, provider="openai-responses", env={}) as client:
        assert client.capabilities().detaches
        assert not client.capabilities(provider="openai-images").detaches


# --- our own server, and every colour of client


class Blocking:
    """A client's verbs, blocking whatever colour it is."""

    def __init__(self, client: Any, call: Callable[[Any], Any]) -> None:
        self._client, self._call = client, call

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        method = getattr(self._client, verb)
        return lambda *given, **how: self._call(partial(method, *given, **how))


@contextmanager
def a_client(colour: str, url: str, provider: str = "openai-responses") -> Iterator[Any]:
    """A new client of that *colour*, each time in a loop of its own."""
    how = {"provider": provider, "base_url": url, "api_key": TOKEN, "env": {}}
    if colour == "sync":
        with Client(**how) as client:
            yield client
        return
    with anyio.from_thread.start_blocking_portal(colour) as portal:
        client = AsyncClient(**how)
        yield Blocking(client, portal.call)
        portal.call(client.aclose)


@pytest.fixture(scope="module")
def home() -> Iterator[str]:
    with serving(provider="sketch", tokens=[TOKEN]) as served:
        yield served.url


@pytest.fixture(scope="module")
def slow() -> Iterator[str]:
    """A server whose pictures take longer than anybody here waits."""
    drawing = AsyncClient(provider="sketch", options={"sketch": {"delay": 60}}, env={})
    with serving(client=drawing, tokens=[TOKEN]) as served:
        yield served.url


COLOURS = ["sync", "asyncio", "trio"]


@pytest.mark.parametrize("colour", COLOURS)
def test_a_job_is_submitted_by_one_client_and_finished_by_another(home: str, colour: str) -> None:
    with a_client(colour, home) as client:
        given_out = str(client.submit("an otter", size="256x256", n=2))
    with a_client(colour, home) as client:
        response = client.resume(given_out)
        assert [one.width for one in response] == [256, 256]
        assert client.poll(given_out).image.data == response.image.data
        # A job that is done can still be cancelled, deleted, and deleted again.
        client.cancel(given_out)
        client.delete(given_out)
        client.delete(given_out)
        with pytest.raises(InvalidRequestError, match="not found"):
            client.resume(given_out)


RESUME = """
import sys, imagekit
url, token, job = sys.argv[1:]
with imagekit.Client(provider="openai-responses", base_url=url, api_key=token) as client:
    print(client.resume(job).image.width)
"""


def test_a_job_outlives_the_process_that_began_it(home: str) -> None:
    with a_client("sync", home) as client:
        job = client.submit("an otter", size="256x256")
    command = [sys.executable, "-c", RESUME, home, TOKEN, str(job)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("256\n", "")


@pytest.mark.parametrize("colour", COLOURS)
def test_a_job_that_is_cancelled_ends(slow: str, colour: str) -> None:
    with a_client(colour, slow) as client:
        job = client.submit("an otter")
        assert client.poll(job) is None
        client.cancel(job)
        client.cancel(job)
        with pytest.raises(ProviderError, match="ended cancelled"):
            client.resume(job)
        client.delete(job)


@pytest.mark.parametrize("colour", COLOURS)
def test_what_a_state_names_is_deleted(home: str, colour: str) -> None:
    with a_client(colour, home) as client:
        state = client.generate("an otter", size="256x256").state
        client.generate("at night", state=state, size="256x256")
        client.delete(state)
        client.delete(state)
        with pytest.raises(InvalidRequestError, match="not found"):
            client.generate("at night", state=state)


class Cutting:
    """Stands before a server, and ends each stream after so many events."""

    def __init__(self, app: Any, after: int) -> None:
        self._app, self._after = app, after
        self.streams = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        left, ended, streamed = self._after, False, False

        async def cut(message: Any) -> None:
            nonlocal left, ended, streamed
            if message["type"] == "http.response.start":
                headers = dict(message["headers"])
                streamed = headers.get(b"content-type", b"").startswith(b"text/event-stream")
                self.streams += streamed
            if streamed and message["type"] == "http.response.body" and not ended:
                left -= message.get("body", b"").count(b"\n\n")
                ended = left <= 0
                return await send({**message, "more_body": not ended and message["more_body"]})
            if not ended:
                await send(message)

        await self._app(scope, receive, cut)


@pytest.mark.parametrize("after", [1, 2, 3, 7])
def test_a_stream_that_keeps_being_cut_shows_everything_once(after: int) -> None:
    cutting: list[Cutting] = []

    def around(app: Any) -> Any:
        cutting.append(Cutting(app, after))
        return cutting[0]

    wanted = asked(detach=True, partial_images=2, size="256x256")
    with (
        serving(provider="sketch", tokens=[TOKEN], around=around) as served,
        a_client("sync", served.url) as client,
        client.stream(wanted) as stream,
    ):
        seen = list(stream)
    previews = [one.step for one in seen if isinstance(one, PartialImage)]
    assert previews == [0, 1]
    assert sum(isinstance(one, ImageReady) for one in seen) == 1
    assert stream.response.image.width == 256
    assert cutting[0].streams > 1
