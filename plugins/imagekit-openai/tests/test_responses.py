"""The conversation with the Responses API: answers, streams, and everything that goes wrong."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from openai_wire import (
    BLOCKED,
    GIF,
    KEY,
    ONE,
    REASONING,
    SVG,
    SVG_USAGE,
    THREE,
    TWO,
    asked,
    b64,
    begun,
    call,
    json_of,
    message,
    of_responses,
    options,
    output_text,
    refusal,
    response_body,
    response_stream,
    sse_bytes,
)

from imagekit import (
    ContentRejectedError,
    ImageEvent,
    ImageFailure,
    ImageReady,
    ImageResponse,
    InvalidRequestError,
    NoImageError,
    Noticed,
    PartialImage,
    Progress,
    ProtocolError,
    ProviderError,
    ProviderUnavailableError,
    Queued,
    RateLimit,
    RateLimitError,
    State,
    Text,
    TruncatedStreamError,
)
from imagekit.provider import HttpResponse, ServerSentEvent
from imagekit.testing import Played, json_response, play, sse
from spoken import httpx
from ways import WAYS, make

STREAMED = [way for way in WAYS if way.endswith("streamed")]
WORK = "response.image_generation_call"
LEFT_OUT = (
    "the image call ended completed and empty; the picture was made, and is not in the answer"
)


def whole(body: Any, **fields: Any) -> ImageResponse:
    """What the provider makes of one answer."""
    answer = body if isinstance(body, HttpResponse) else json_response(body)
    response = play(of_responses().flow(asked(**fields), stream=False), answer).response
    assert isinstance(response, ImageResponse)
    return response


def only(response: ImageResponse) -> ImageFailure:
    [slot] = response.slots
    assert isinstance(slot, ImageFailure)
    return slot


def test_an_answer_becomes_a_picture_with_everything_that_is_said_of_it() -> None:
    body = response_body(
        REASONING, call(), message(output_text("Here is your otter.")), safety_identifier="s-1"
    )
    answer = json_response(
        body, x_request_id="req_1", x_ratelimit_limit_tokens="100", x_ratelimit_reset_tokens="6ms"
    )
    response = whole(answer, model="gpt-image-2")
    image = response.image
    assert (image.data, image.id, image.revised_prompt) == (ONE, "ig_1", "A cute baby sea otter.")
    assert image.echo == {
        "action": "generate",
        "background": "opaque",
        "output_format": "png",
        "quality": "low",
        "size": "1x1",
    }
    assert response.ok
    assert response.text == "Here is your otter."
    assert response.model == "gpt-image-2"
    assert response.created == datetime(2026, 11, 20, 18, 44, 56, tzinfo=UTC)
    assert response.request_ids == ("req_1",)
    assert response.rate_limits == {"tokens": RateLimit(limit=100, reset=0.006)}
    assert response.notices == ()
    assert response.metadata == {
        "response_id": "resp_1",
        "conversation_model": "gpt-6.1-sol",
        "status": "completed",
        "safety_identifier": "s-1",
    }


def test_the_conversation_and_the_pictures_are_counted_apart() -> None:
    usage = whole(
        response_body(call(svg_usage=SVG_USAGE), call(id="ig_2", svg_usage=SVG_USAGE))
    ).usage
    assert usage is not None
    assert usage.total_tokens == 360 + 246 + 2 * 180
    image = [item for item in usage.items if item.model is None]
    assert sum(int(item.quantity) for item in image) == 246


@pytest.mark.parametrize("changes", [{"tool_usage": None}, {"tool_usage": {"image_gen": None}}])
def test_a_tools_usage_may_be_missing(changes: dict[str, Any]) -> None:
    usage = whole(response_body(call(), **changes)).usage
    assert usage is not None
    assert usage.total_tokens == 360


@pytest.mark.parametrize("status", ["completed", "generating", "in_progress", "failed", None, 5])
def test_a_call_with_a_picture_counts_whatever_its_status_claims(status: Any) -> None:
    assert whole(response_body(call(status=status))).image.data == ONE


ABOUT = ("action", "background", "output_format", "quality", "size", "revised_prompt", "error")
BODY = [name for name in response_body() if name != "output"]


@pytest.mark.parametrize(
    "body",
    [
        response_body(call(**dict.fromkeys(ABOUT)), **dict.fromkeys(BODY)),
        response_body(call(), **dict.fromkeys(BODY, 5) | {"status": "completed", "error": None}),
        response_body(call(**dict.fromkeys(ABOUT, 5), svg_usage="none")),
        {"output": [call()]},
        {"output": [{"type": "image_generation_call", "result": b64(ONE)}]},
        response_body(None, "x", {}, call()),  # type: ignore[arg-type]
        # What other tools and items put out: none of it is ours to choke on.
        response_body({"type": "program_output", "id": "p", "result": "42, not base64"}, call()),
        response_body({"type": "web_search_call", "action": {"type": "search"}}, call()),
        response_body({"type": "mcp_call", "error": "no", "output": None}, call()),
        response_body({"type": "reasoning", "id": "rs", "content": "x"}, call()),
        response_body({"type": "message", "content": [None, "x", {"type": None}]}, call()),
        response_body(call(), usage={"input_tokens": None}, tool_usage={"image_gen": "none"}),
        response_body(call(), created_at=1e18, incomplete_details={"reason": None}),
    ],
)
def test_nothing_that_surrounds_a_picture_can_cost_it(body: dict[str, Any]) -> None:
    assert whole(body).image.data == ONE


def test_several_pictures_are_several_slots_even_without_ids() -> None:
    body = response_body(call(ONE, id=None), call(TWO, id=None))  # type: ignore[arg-type]
    assert [image.data for image in whole(body)] == [ONE, TWO]


def test_an_attempt_that_failed_before_the_picture_takes_no_slot() -> None:
    body = response_body(call(None, "ig_0", status="failed", error=BLOCKED), call())
    assert whole(body).slots == whole(response_body(call())).slots


# --- no picture, and why


def test_a_call_that_was_blocked_is_a_refused_slot() -> None:
    body = response_body(call(None, status="failed", error=BLOCKED), message(output_text("Sorry.")))
    slot = only(whole(body))
    assert (slot.kind, slot.code) == ("refused", "moderation_blocked")
    assert (slot.stage, slot.categories) == ("output", ("sexual",))


def test_a_call_that_broke_is_a_failed_slot() -> None:
    error = {"code": "server_error", "message": "boom", "type": "server_error"}
    slot = only(whole(response_body(call(None, status="failed", error=error))))
    assert (slot.kind, slot.code, slot.reason) == ("failed", "server_error", "boom")


@pytest.mark.parametrize(
    ("output", "changes", "kind", "code", "reason"),
    [
        ([message(refusal("I cannot."))], {}, "refused", "refusal", "I cannot."),
        ([call(None), message(refusal("No."))], {}, "refused", "refusal", "No."),
        (
            [message(output_text("A poem."))],
            {},
            "missing",
            None,
            "the model answered in words: 'A poem.'",
        ),
        ([], {}, "missing", None, "the model made no picture"),
        (None, {}, "missing", None, "the model made no picture"),
        ([call(None)], {}, "failed", None, LEFT_OUT),
        ([call(None, result="")], {}, "failed", None, LEFT_OUT),
        (
            [call(None, status="failed")],
            {},
            "failed",
            None,
            "the image call ended failed and empty",
        ),
        (
            [],
            {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
            "refused",
            "content_filter",
            "the answer was filtered",
        ),
        (
            [call(None, status="in_progress")],
            {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            "failed",
            "max_output_tokens",
            "the response ended incomplete: max_output_tokens",
        ),
        (
            [],
            {"status": "incomplete", "incomplete_details": {"reason": "steered"}},
            "failed",
            "steered",
            "the response ended incomplete: steered",
        ),
        ([], {"status": "failed"}, "failed", None, "the response ended failed: no reason"),
        ([], {"status": "cancelled"}, "failed", None, "the response ended cancelled: no reason"),
        ([], {"status": "queued"}, "failed", None, "the response ended queued: no reason"),
    ],
)
def test_an_answer_without_a_picture_says_why(
    output: Any, changes: dict[str, Any], kind: str, code: str | None, reason: str
) -> None:
    slot = only(whole(response_body(**{"output": output, **changes})))
    assert (slot.kind, slot.code, slot.reason) == (kind, code, reason)


def test_a_picture_that_cannot_be_read_is_a_failed_slot() -> None:
    slot = only(whole(response_body(call(result="%%%"))))
    assert slot.kind == "failed"
    assert "base64" in slot.reason


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("server_error", ProviderUnavailableError),
        ("rate_limit_exceeded", RateLimitError),
        ("invalid_prompt", ContentRejectedError),
        ("image_content_policy_violation", ContentRejectedError),
        ("image_too_large", InvalidRequestError),
    ],
)
def test_a_response_that_failed_is_an_error_by_its_code(code: str, kind: type[Exception]) -> None:
    body = response_body(status="failed", error={"code": code, "message": "no"})
    with pytest.raises(ProviderError) as caught:
        whole(json_response(body, x_request_id="req_1"))
    assert type(caught.value) is kind
    assert (caught.value.code, caught.value.request_id) == (code, "req_1")


def test_an_error_in_words_is_an_error_too() -> None:
    with pytest.raises(ProviderError, match="out of memory"):
        whole({"error": "out of memory"})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"status": "failed", "error": {"code": "server_error", "message": "boom"}}, "boom"),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            "max_output_tokens",
        ),
        ({"status": "cancelled"}, "no reason"),
    ],
)
def test_a_picture_survives_the_end_of_its_response(changes: dict[str, Any], words: str) -> None:
    response = whole(response_body(call(), **changes))
    assert response.image.data == ONE
    [found] = response.notices
    assert found.kind == "incomplete"
    assert words in found.detail


@pytest.mark.parametrize("body", [b"[]", b"5", b"null", b"not json", b""])
def test_an_answer_that_is_no_object_is_a_protocol_error(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        whole(HttpResponse(200, {"content-type": "application/json"}, body))


@pytest.mark.parametrize("stream", [False, True])
def test_an_error_status_is_an_error_whole_or_streamed(stream: bool) -> None:
    flow = of_responses().flow(asked(), stream=stream)
    with pytest.raises(ContentRejectedError):
        play(flow, json_response({"error": BLOCKED}, 400))


# --- continuing


def test_a_state_names_the_response_and_the_picture_with_its_reasoning() -> None:
    first = {**REASONING, "id": "rs_0"}
    body = response_body(
        first,
        call(None, "ig_0", status="failed"),
        REASONING,
        call(),
        {**REASONING, "id": "rs_2"},
        call(TWO, "ig_2"),
    )
    state = whole(body).state
    assert state == State(
        provider="openai-responses",
        payload={
            "response_id": "resp_1",
            "items": [
                {"type": "reasoning", "id": "rs_1", "summary": []},
                {"type": "image_generation_call", "id": "ig_1"},
            ],
        },
    )


@pytest.mark.parametrize(
    ("body", "items"),
    [
        (response_body(call()), [{"type": "image_generation_call", "id": "ig_1"}]),
        (response_body(call(id=None)), []),  # type: ignore[arg-type]
        (
            response_body({"type": "reasoning", "id": None}, call()),
            [{"type": "image_generation_call", "id": "ig_1"}],
        ),
    ],
)
def test_a_state_holds_no_more_than_has_an_id(body: Any, items: Any) -> None:
    state = whole(body).state
    assert state is not None
    assert state.payload["items"] == items


@pytest.mark.parametrize(
    "body",
    [
        response_body(call(), store=False),
        response_body(call(), id=None),
        response_body(message(output_text("A poem."))),
    ],
)
def test_there_is_no_state_where_nothing_is_kept(body: dict[str, Any]) -> None:
    assert whole(body).state is None


@pytest.mark.parametrize("said", ["conv_1", {"id": "conv_1"}])
def test_a_state_remembers_its_conversation(said: Any) -> None:
    state = whole(response_body(call(), conversation=said)).state
    assert state is not None
    assert state.payload["conversation"] == "conv_1"


@pytest.mark.parametrize("said", [None, {"id": None}, {"id": ""}, 5, ""])
def test_a_state_without_a_conversation_names_none(said: Any) -> None:
    state = whole(response_body(call(), conversation=said)).state
    assert state is not None
    assert "conversation" not in state.payload


@pytest.mark.parametrize("way", WAYS)
def test_what_is_not_stored_is_a_picture_without_a_state(way: str) -> None:
    asks: list[Any] = []
    body = response_body(call(), store=False)

    def server(request: httpx.Request) -> httpx.Response:
        asks.append(json.loads(request.content))
        if "stream" not in asks[-1]:
            return httpx.Response(200, json=body)
        kind = {"content-type": "text/event-stream"}
        return httpx.Response(200, headers=kind, content=sse_bytes(response_stream(final=body)))

    request = asked(options=options("openai-responses", store=False))
    response = make(way, request, handler=server, provider="openai-responses", api_key=KEY, env={})
    assert asks[0]["store"] is False
    assert response.image.data == ONE
    assert response.state is None


@pytest.mark.parametrize("way", WAYS)
def test_the_whole_object_is_there_untyped(way: str) -> None:
    odd = response_body(call(), something_new={"deep": [1]})

    def server(request: httpx.Request) -> httpx.Response:
        if not json.loads(request.content).get("stream"):
            return httpx.Response(200, json=odd)
        kind = {"content-type": "text/event-stream"}
        return httpx.Response(200, headers=kind, content=sse_bytes(response_stream(final=odd)))

    how: dict[str, Any] = {"provider": "openai-responses", "api_key": KEY, "env": {}}
    response = make(way, asked(), handler=server, how={"raw": True}, **how)
    [exchange] = response.raw
    found = exchange.json()
    if way.endswith("streamed"):
        assert found["type"] == "response.completed"
        assert len(exchange.events) == len(response_stream())
        found = found["response"]
    assert found["something_new"] == {"deep": [1]}
    assert found["output"][0]["id"] == "ig_1"
    assert KEY not in repr(exchange.request.headers)


@pytest.mark.parametrize("way", WAYS)
def test_a_picture_is_continued_with_the_state_of_its_response(way: str) -> None:
    asks: list[Any] = []

    def server(request: httpx.Request) -> httpx.Response:
        asks.append(json.loads(request.content))
        return httpx.Response(200, json=response_body(call(), id=f"resp_{len(asks)}"))

    how: dict[str, Any] = {
        "handler": server,
        "provider": "openai-responses",
        "api_key": KEY,
        "env": {},
    }
    first = make(way, asked(), **how)
    assert first.state is not None
    kept = State.model_validate_json(first.state.model_dump_json())
    second = make(way, asked("add a hat", state=kept), **how)
    assert asks[1]["previous_response_id"] == "resp_1"
    assert second.state is not None
    assert second.state.payload["response_id"] == "resp_2"


# --- what is said beside


def test_a_variation_says_that_it_is_emulated_and_in_which_words() -> None:
    flow = of_responses().flow(asked(None, images=ONE), stream=False)
    [event] = play(flow, json_response(response_body(call()))).events
    assert isinstance(event, Noticed)
    assert event.notice.kind == "emulated"


@pytest.mark.parametrize(("format", "picture"), [("gif", GIF), ("svg", SVG)])
def test_a_format_without_previews_is_streamed_without_them(format: str, picture: bytes) -> None:
    events = response_stream(previews=(), item=call(picture))
    played = watched(*events, output_format=format, partial_images=2)
    assert json_of(played.requests[0])["stream"] is True
    said = [one.notice.feature for one in played.events if isinstance(one, Noticed)]
    assert said == ["partial_images"]
    assert played.response.image.data == picture


# --- streams


def received(*events: Any) -> list[ServerSentEvent]:
    return [
        one
        if isinstance(one, ServerSentEvent)
        else ServerSentEvent(str(one["type"]), json.dumps(one))
        for one in events
    ]


def watched(*events: Any, **fields: Any) -> Played:
    flow = of_responses().flow(asked(**fields), stream=True)
    return play(flow, begun(x_request_id="req_1"), events=received(*events))


def shown(played: Played) -> list[tuple[Any, ...]]:
    """Previews and pictures, in order."""
    return [
        (type(one), one.index, one.image.data)
        for one in played.events
        if isinstance(one, PartialImage | ImageReady)
    ]


def test_a_stream_is_progress_previews_and_the_picture() -> None:
    played = watched(*response_stream(), partial_images=2)
    assert [type(one) for one in played.events] == [
        Progress,
        Progress,
        PartialImage,
        PartialImage,
        ImageReady,
    ]
    assert shown(played) == [
        (PartialImage, 0, TWO),
        (PartialImage, 0, THREE),
        (ImageReady, 0, ONE),
    ]
    first, second = (one for one in played.events if isinstance(one, PartialImage))
    assert (first.step, second.step) == (0, 1)
    assert first.image.echo == {
        "background": "opaque",
        "output_format": "png",
        "quality": "low",
        "size": "1x1",
    }
    assert played.response == whole(json_response(response_body(call()), x_request_id="req_1"))


def test_a_stream_without_previews_is_the_picture_alone() -> None:
    assert shown(watched(*response_stream(previews=()))) == [(ImageReady, 0, ONE)]


def test_a_picture_that_only_the_end_brings_is_found_there() -> None:
    events = [one for one in response_stream() if one["type"] != "response.output_item.done"]
    assert watched(*events).response.image.data == ONE


@pytest.mark.parametrize(
    "final",
    [
        response_body(call(None)),
        response_body(call(TWO)),
        response_body(output=[]),
        response_body(output=None),
    ],
)
def test_a_picture_that_only_the_item_brought_is_kept(final: dict[str, Any]) -> None:
    response = watched(*response_stream(final=final)).response
    assert [image.data for image in response] == [ONE]
    assert response.ok
    assert response.state.payload["items"][-1] == {"type": "image_generation_call", "id": "ig_1"}


def test_a_call_may_end_without_an_event_of_its_own_and_with_a_lying_status() -> None:
    events = response_stream(item=call(status="generating"))
    events = [one for one in events if one["type"] != f"{WORK}.completed"]
    assert watched(*events).response.image.data == ONE


def test_words_are_events_and_the_text_of_the_response() -> None:
    words = [
        sse("response.reasoning_summary_text.delta", delta="Otters are "),
        sse("response.output_text.delta", delta="Here "),
        sse("response.output_text.delta", delta="it is."),
        sse("response.output_text.delta", delta=None),
        sse("response.refusal.delta", delta="Not that."),
    ]
    played = watched(*words, *response_stream())
    said = [(one.phase, one.text) for one in played.events if isinstance(one, Text)]
    assert said == [
        ("reasoning", "Otters are "),
        ("content", "Here "),
        ("content", "it is."),
        ("content", ""),
        ("refusal", "Not that."),
    ]
    assert played.response.text == "Here it is."


def test_the_finished_text_beats_the_pieces() -> None:
    final = response_body(call(), message(output_text("Whole.")))
    played = watched(sse("response.output_text.delta", delta="Who"), *response_stream(final=final))
    assert played.response.text == "Whole."


def test_a_refusal_in_pieces_is_a_refused_slot() -> None:
    end = {"type": "response.completed", "response": response_body()}
    played = watched(
        sse("response.refusal.delta", delta="I can"),
        sse("response.refusal.delta", delta="not."),
        end,
    )
    slot = only(played.response)
    assert (slot.kind, slot.reason) == ("refused", "I cannot.")


def test_a_job_in_a_queue_says_so() -> None:
    assert isinstance(watched(sse("response.queued"), *response_stream()).events[0], Queued)


@pytest.mark.parametrize("kind", ["failed", "incomplete", "cancelled", "completed"])
def test_whatever_end_comes_is_the_end_and_keeps_the_picture(kind: str) -> None:
    events = response_stream()[:-1]
    end = {"type": f"response.{kind}", "response": response_body(call(), status=kind)}
    response = watched(*events, end, sse("response.nothing")).response
    assert response.image.data == ONE
    assert bool(response.notices) is (kind != "completed")


@pytest.mark.parametrize(
    ("kind", "changes", "error"),
    [
        ("failed", {"error": {"code": "server_error", "message": "m"}}, ProviderUnavailableError),
        ("failed", {"error": {"code": "rate_limit_exceeded", "message": "m"}}, RateLimitError),
    ],
)
def test_a_stream_that_ends_failed_is_an_error(
    kind: str, changes: dict[str, Any], error: type[Exception]
) -> None:
    end = {"type": f"response.{kind}", "response": response_body(status=kind, **changes)}
    with pytest.raises(error):
        watched(end)


@pytest.mark.parametrize(
    "noise",
    [
        sse("response.content_part.added", part={}),
        sse("response.image_generation_call.partial_image", partial_image_b64=None),
        sse("response.image_generation_call.partial_image", partial_image_b64="%%%"),
        sse("response.image_generation_call.partial_image"),
        sse("response.output_item.done", item=None),
        sse("response.output_item.done", item="x"),
        sse("response.output_item.done", item={"type": "message", "content": "x"}),
        sse("response.output_item.done", item={"type": "program_output", "result": "42!"}),
        sse("response.output_item.done"),
        sse("keepalive"),
        ServerSentEvent("message", "{}"),
        ServerSentEvent("message", '{"type": null}'),
        ServerSentEvent("message", '{"type": ["x"]}'),
    ],
)
def test_an_event_that_says_nothing_to_us_is_passed_over(noise: ServerSentEvent) -> None:
    played = watched(noise, *response_stream())
    assert len(shown(played)) == 3
    assert played.response.image.data == ONE
    assert played.response.ok


def test_events_without_ids_go_by_their_place() -> None:
    events = response_stream(item=call(id=None))  # type: ignore[arg-type]
    assert shown(watched(*events))[-1] == (ImageReady, 0, ONE)
    assert len(watched(*events).response.slots) == 1


def test_two_calls_without_ids_are_two_pictures() -> None:
    a, b = call(ONE, id=None), call(TWO, id=None)  # type: ignore[arg-type]
    played = watched(done(a, 0), done(b, 1), end(a, b))
    assert shown(played) == [(ImageReady, 0, ONE), (ImageReady, 1, TWO)]
    assert [image.data for image in played.response] == [ONE, TWO]


def preview(id: str, place: int, picture: bytes) -> ServerSentEvent:
    fields = {"item_id": id, "output_index": place, "partial_image_b64": b64(picture)}
    return sse(f"{WORK}.partial_image", **fields, partial_image_index=0)


def done(item: dict[str, Any], place: int) -> ServerSentEvent:
    return sse("response.output_item.done", item=item, output_index=place)


def end(*output: dict[str, Any]) -> ServerSentEvent:
    return sse("response.completed", response=response_body(*output))


A, B = call(ONE, "ig_a"), call(TWO, "ig_b")
FAILED = call(None, "ig_a", status="failed", error=BLOCKED)


def test_two_calls_at_once_keep_their_slots_whichever_is_done_first() -> None:
    played = watched(
        preview("ig_a", 0, THREE), preview("ig_b", 1, THREE), done(B, 1), done(A, 0), end(A, B)
    )
    assert shown(played)[2:] == [(ImageReady, 1, TWO), (ImageReady, 0, ONE)]
    assert [image.data for image in played.response] == [ONE, TWO]


def test_the_slot_of_an_attempt_that_failed_is_the_next_ones() -> None:
    played = watched(preview("ig_a", 0, THREE), done(FAILED, 0), done(B, 1), end(FAILED, B))
    assert shown(played)[-1] == (ImageReady, 0, TWO)
    assert [image.data for image in played.response] == [TWO]
    assert played.response.ok


def test_an_attempt_that_failed_after_a_later_picture_keeps_its_slot() -> None:
    played = watched(
        preview("ig_a", 0, THREE),
        preview("ig_b", 1, THREE),
        done(B, 1),
        done(FAILED, 0),
        end(FAILED, B),
    )
    assert shown(played)[-1] == (ImageReady, 1, TWO)
    first, second = played.response.slots
    assert (first.kind, first.code) == ("refused", "moderation_blocked")
    assert second.data == TWO


def test_a_preview_whose_call_never_ended_leaves_a_slot_that_says_why() -> None:
    body = response_body(status="incomplete", incomplete_details={"reason": "content_filter"})
    slot = only(
        watched(preview("ig_a", 0, THREE), sse("response.incomplete", response=body)).response
    )
    assert (slot.kind, slot.code, slot.stage) == ("refused", "content_filter", "output")


def test_a_picture_that_came_twice_is_one() -> None:
    played = watched(done(A, 0), done(A, 0), end(A))
    assert [image.data for image in played.response] == [ONE]


def glimpse(**names: Any) -> ServerSentEvent:
    """A preview that names its call as it likes."""
    return sse(f"{WORK}.partial_image", partial_image_b64=b64(THREE), **names)


@pytest.mark.parametrize(
    "names",
    [
        {"output_index": 1},
        {"output_index": 1, "item_id": None},
        {"output_index": 1, "item_id": ""},
        {"output_index": 1, "item_id": "another"},
        {"output_index": 0, "item_id": "another"},
        {"item_id": "another"},
        {"item_id": "ig_a"},
        {},
    ],
)
@pytest.mark.parametrize("place", [1, None])
@pytest.mark.parametrize("id", ["ig_a", None])
@pytest.mark.parametrize("final", ["whole", "empty", "short"])
def test_a_preview_and_its_picture_share_a_slot_however_they_are_named(
    names: dict[str, Any], place: Any, id: Any, final: str
) -> None:
    item = call(ONE, id)
    output = {"whole": [REASONING, item], "empty": [], "short": [item]}[final]
    played = watched(glimpse(**names), glimpse(**names), done(item, place), end(*output))
    assert shown(played)[1:] == [(PartialImage, 0, THREE), (ImageReady, 0, ONE)]
    assert [slot.kind for slot in played.response.slots] == ["image"]
    assert played.response.image.data == ONE


@pytest.mark.parametrize("names", [{"output_index": 7}, {"item_id": "another"}, {}])
def test_a_preview_of_nobody_costs_no_picture_that_only_the_end_brings(names: Any) -> None:
    response = watched(glimpse(**names), end(REASONING, A)).response
    assert response.image.data == ONE
    assert response.ok


def test_calls_of_which_only_previews_came_find_their_pictures_by_their_place() -> None:
    events = [glimpse(output_index=1), glimpse(output_index=0), end(A, B)]
    assert [image.data for image in watched(*events).response] == [TWO, ONE]


def test_a_picture_without_a_name_that_the_end_has_otherwise_is_one() -> None:
    a, b = call(ONE, id=None), call(TWO, id=None)  # type: ignore[arg-type]
    assert [image.data for image in watched(done(a, 0), end(b)).response] == [ONE]


def test_previews_that_name_their_call_take_over_the_slot_of_one_that_did_not() -> None:
    played = watched(glimpse(), preview("ig_a", 0, TWO), done(A, 0), end(A))
    assert [one[1] for one in shown(played)] == [0, 0, 0]
    assert played.response.ok


def test_a_preview_after_the_last_picture_makes_no_slot() -> None:
    assert watched(done(A, 0), glimpse(), end(A)).response.ok


def test_a_preview_of_a_call_that_never_ended_costs_no_picture() -> None:
    played = watched(preview("ig_a", 0, THREE), preview("ig_b", 1, THREE), done(B, 1), end(B))
    assert played.response.image.data == TWO
    assert played.response.ok


@pytest.mark.parametrize("final", [(A, B), ()])
def test_pictures_of_one_place_and_several_ids_are_several(final: Any) -> None:
    played = watched(done(A, 0), done(B, 0), end(*final))
    assert shown(played) == [(ImageReady, 0, ONE), (ImageReady, 1, TWO)]
    assert [image.data for image in played.response] == [ONE, TWO]


@pytest.mark.parametrize(("places", "id"), [((0, 1), "same"), ((0, 1), None), ((None, None), None)])
@pytest.mark.parametrize("second", [ONE, TWO])
@pytest.mark.parametrize("listed", [True, False])
def test_no_picture_is_lost_or_doubled_for_want_of_a_name(
    places: tuple[Any, Any], id: Any, second: bytes, listed: bool
) -> None:
    a, b = call(ONE, id), call(second, id)
    final = [REASONING, a, b] if listed else []
    played = watched(done(a, places[0]), done(b, places[1]), end(*final))
    assert [image.data for image in played.response] == [ONE, second]


def test_several_pictures_of_one_place_without_ids_are_several() -> None:
    a, b = call(ONE, id=None), call(TWO, id=None)  # type: ignore[arg-type]
    played = watched(done(a, 0), done(b, 0), end(a, b))
    assert [image.data for image in played.response] == [ONE, TWO]


def test_several_pictures_of_one_id_in_a_finished_answer_are_several() -> None:
    assert [one.data for one in whole(response_body(call(ONE), call(TWO)))] == [ONE, TWO]


def test_why_an_attempt_failed_is_kept_though_the_end_leaves_it_out() -> None:
    slot = only(watched(preview("another", 0, THREE), done(FAILED, 0), end()).response)
    assert (slot.kind, slot.code) == ("refused", "moderation_blocked")


@pytest.mark.parametrize("result", ["", "data:image/png;base64,"])
def test_a_picture_of_no_bytes_is_a_failed_slot(result: str) -> None:
    empty = call(result=result)
    assert only(whole(response_body(empty))).kind == "failed"
    played = watched(done(empty, 0), end(empty))
    assert shown(played) == []
    assert only(played.response).kind == "failed"


ODD = [("ping", "ok"), ("message", ""), ("message", "null"), ("keepalive", "[1]"), ("x", "{no")]


@pytest.mark.parametrize(("name", "data"), ODD)
def test_what_is_no_object_and_no_event_of_ours_costs_no_picture(name: str, data: str) -> None:
    odd = ServerSentEvent(name, data)
    played = watched(odd, *(one for event in response_stream() for one in (event, odd)))
    assert len(shown(played)) == 3
    assert played.response.ok


@pytest.mark.parametrize("data", ["{no", "null"])
def test_an_event_of_ours_that_is_no_object_is_a_protocol_error(data: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        watched(ServerSentEvent("response.output_item.done", data), *response_stream())
    assert not isinstance(caught.value, TruncatedStreamError)


@pytest.mark.parametrize("kind", ["text/plain", "application/json"])
@pytest.mark.parametrize("stream", [True, False])
def test_a_stream_under_another_type_is_a_stream(kind: str, stream: bool) -> None:
    answer = HttpResponse(200, {"content-type": kind}, b": hello\n\n" + STREAM)
    played = play(of_responses().flow(asked(), stream=stream), answer)
    assert len(shown(played)) == 3
    assert played.response.image.data == ONE


def test_a_stream_under_another_type_that_is_cut_is_an_error() -> None:
    answer = HttpResponse(200, {"content-type": "text/plain"}, STREAM[: DONE_AT - 1])
    with pytest.raises(TruncatedStreamError):
        play(of_responses().flow(asked(), stream=True), answer)


ERROR = {"message": "no", "param": None}


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (sse("error", error=BLOCKED, sequence_number=3), ContentRejectedError),
        (received({**BLOCKED, "type": "error"})[0], ContentRejectedError),
        (sse("error", code="server_error", **ERROR), ProviderUnavailableError),
        (
            sse("error", error={**ERROR, "code": "rate_limit_exceeded", "type": "requests"}),
            RateLimitError,
        ),
        (sse("error", code=None, **ERROR), ProviderError),
    ],
)
def test_an_error_in_a_stream_is_an_error_nested_or_flat(
    event: ServerSentEvent, kind: type[Exception]
) -> None:
    with pytest.raises(ProviderError) as caught:
        watched(*response_stream()[:4], event)
    assert type(caught.value) is kind
    assert caught.value.request_id == "req_1"


def test_the_rate_limit_headers_inside_an_error_set_the_pace() -> None:
    error = {**ERROR, "code": "rate_limit_exceeded", "headers": {"retry-after-ms": "250"}}
    with pytest.raises(RateLimitError) as caught:
        watched(sse("error", error=error))
    assert caught.value.retry_after == 0.25


def test_an_end_without_a_response_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError):
        watched(sse("response.completed", response=None))


def test_a_body_in_answer_to_a_request_for_a_stream_is_taken_whole() -> None:
    flow = of_responses().flow(asked(), stream=True)
    assert play(flow, json_response(response_body(call()))).response.image.data == ONE


def test_done_before_the_end_is_a_stream_that_was_cut() -> None:
    with pytest.raises(TruncatedStreamError):
        watched(*response_stream()[:-2], ServerSentEvent("message", "[DONE]"))


EVENTS = response_stream()
STREAM = sse_bytes(EVENTS)
# Where the item with the picture, and where the end is there but for its blank line.
DONE_AT, END_AT = (len(sse_bytes(EVENTS[: len(EVENTS) - back])) - 2 for back in (1, 0))


def ask(way: str, body: bytes, events: list[ImageEvent] | None = None, **answer: Any) -> Any:
    def server(request: httpx.Request) -> httpx.Response:
        headers = {"content-type": answer.get("kind", "text/event-stream")}
        return httpx.Response(answer.get("status", 200), headers=headers, content=body)

    return make(
        way,
        asked(partial_images=2),
        handler=server,
        events=events,
        provider="openai-responses",
        api_key=KEY,
        env={},
    )


# A prime, so that the cuts fall into every part of an event.
STEP = 13


def test_a_stream_that_is_cut_before_the_picture_is_an_error() -> None:
    for cut in (*range(0, DONE_AT, STEP), DONE_AT - 1):
        with pytest.raises(TruncatedStreamError) as caught:
            ask("sync streamed", STREAM[:cut])
        assert caught.value.billed == "possibly"


def test_a_picture_that_came_before_the_cut_is_kept_with_a_notice() -> None:
    for cut in (*range(DONE_AT, END_AT, STEP), END_AT - 1):
        response = ask("sync streamed", STREAM[:cut])
        assert response.image.data == ONE
        assert [one.kind for one in response.notices] == ["incomplete"]


def test_an_end_that_lacks_only_its_blank_line_is_an_end() -> None:
    assert ask("sync streamed", STREAM[:END_AT]).notices == ()


@pytest.mark.parametrize("way", STREAMED)
@pytest.mark.parametrize("end", [0, DONE_AT // 2, DONE_AT - 1])
def test_a_stream_that_is_cut_is_an_error_in_every_colour(way: str, end: int) -> None:
    with pytest.raises(TruncatedStreamError):
        ask(way, STREAM[:end])


@pytest.mark.parametrize("way", STREAMED)
def test_a_cut_stream_keeps_its_picture_in_every_colour(way: str) -> None:
    events: list[ImageEvent] = []
    assert ask(way, STREAM[:DONE_AT], events).image.data == ONE
    assert [one.kind for one in events][-3:] == ["image-ready", "noticed", "completed"]


@pytest.mark.parametrize("way", STREAMED)
@pytest.mark.parametrize("tail", [b"", b"data: [DONE]\n\n", b"event: x\ndata: {no"])
def test_a_stream_ends_in_exactly_one_completed(way: str, tail: bytes) -> None:
    events: list[ImageEvent] = []
    assert ask(way, STREAM + tail, events).ok
    assert [one.kind for one in events] == [
        "progress",
        "progress",
        "partial-image",
        "partial-image",
        "image-ready",
        "completed",
    ]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("output", "kind"),
    [
        ([message(refusal("I cannot."))], ContentRejectedError),
        ([FAILED], ContentRejectedError),
        ([message(output_text("A poem."))], NoImageError),
        ([], NoImageError),
    ],
)
def test_one_outcome_covers_every_way_of_not_making_a_picture(
    way: str, output: Any, kind: type[Exception]
) -> None:
    body = json.dumps(response_body(*output)).encode()
    with pytest.raises(ProviderError) as caught:
        ask(way, body, kind="application/json")
    assert type(caught.value) is kind
    assert caught.value.billed == "possibly"
    assert caught.value.response is not None
    assert caught.value.response.usage is not None


@pytest.mark.parametrize("way", WAYS)
def test_several_pictures_are_several_conversations(way: str) -> None:
    asks: list[Any] = []

    def server(request: httpx.Request) -> httpx.Response:
        asks.append(json.loads(request.content))
        return httpx.Response(200, json=response_body(call()))

    how: dict[str, Any] = {"provider": "openai-responses", "api_key": KEY, "env": {}}
    response = make(way, asked(n=3), handler=server, **how)
    assert len(asks) == 3
    assert not any("n" in one or "n" in one["tools"][0] for one in asks)
    assert len(response.images) == 3


def test_options_of_another_dialect_are_not_this_ones() -> None:
    both = {**options("openai-responses", action="generate"), **options(style="vivid")}
    asks: list[Any] = []

    def server(request: httpx.Request) -> httpx.Response:
        asks.append(json.loads(request.content))
        return httpx.Response(200, json=response_body(call()))

    how: dict[str, Any] = {"provider": "openai-responses", "api_key": KEY, "env": {}}
    make("sync whole", asked(options=both), handler=server, **how)
    assert asks[0]["tools"][0]["action"] == "generate"
    assert "vivid" not in str(asks)
