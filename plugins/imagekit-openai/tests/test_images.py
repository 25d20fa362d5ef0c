"""The conversation with the Images API: answers, streams, and everything that goes wrong."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from openai_wire import (
    BLOCKED,
    GIF,
    IMAGE_USAGE,
    KEY,
    ONE,
    SVG,
    SVG_USAGE,
    THREE,
    TWO,
    asked,
    b64,
    begun,
    image_event,
    images_body,
    json_of,
    of_images,
    options,
    sse_bytes,
)

from imagekit import (
    Completed,
    ContentRejectedError,
    Image,
    ImageEvent,
    ImageFailure,
    ImageReady,
    ImageResponse,
    InvalidRequestError,
    NoImageError,
    Noticed,
    PartialImage,
    ProtocolError,
    ProviderError,
    ProviderUnavailableError,
    QuotaExceededError,
    RateLimit,
    RateLimitError,
    RequestError,
    State,
    TruncatedStreamError,
)
from imagekit import UnsupportedRequestError as Unsupported
from imagekit.provider import HttpResponse, ServerSentEvent
from imagekit.testing import Played, json_response, play, sse
from spoken import httpx
from ways import WAYS, make

STREAMED = [way for way in WAYS if way.endswith("streamed")]
LOCAL = "http://localhost:9/v1"


def whole(body: Any, *, config: Any = None, **fields: Any) -> ImageResponse:
    """What the provider makes of one answer."""
    flow = of_images(**(config or {})).flow(asked(**fields), stream=False)
    answer = body if isinstance(body, HttpResponse) else json_response(body)
    response = play(flow, answer).response
    assert isinstance(response, ImageResponse)
    return response


def test_an_answer_becomes_pictures_with_everything_that_is_said_of_them() -> None:
    answer = json_response(
        images_body(ONE, TWO, safety_identifier="s-1"),
        x_request_id="req_1",
        x_ratelimit_limit_requests="50",
        x_ratelimit_reset_requests="1m0s",
    )
    response = whole(answer, n=2, model="gpt-image-2")
    assert [image.data for image in response] == [ONE, TWO]
    assert response.image.echo == {
        "background": "opaque",
        "output_format": "png",
        "quality": "low",
        "size": "1x1",
    }
    assert response.model == "gpt-image-2"
    assert response.created == datetime(2026, 11, 20, 18, 44, 56, tzinfo=UTC)
    assert response.request_ids == ("req_1",)
    assert response.rate_limits == {"requests": RateLimit(limit=50, reset=60.0)}
    assert response.metadata == {"safety_identifier": "s-1"}
    assert response.usage is not None
    assert response.usage.total_tokens == IMAGE_USAGE["total_tokens"]


def test_the_default_model_is_shown_because_it_was_sent() -> None:
    assert whole(images_body()).model == "gpt-image-2.6-sunburst"


def test_the_author_of_an_svg_is_counted_beside_its_picture() -> None:
    response = whole(images_body(SVG, output_format="svg", svg_usage=SVG_USAGE))
    assert response.image.media_type == "image/svg+xml"
    assert response.usage is not None
    assert response.usage.total_tokens == 246 + 180


def test_a_url_and_a_revised_prompt_are_kept() -> None:
    datum = {"url": "https://pictures.example/1.png", "revised_prompt": "An otter."}
    image = whole(images_body(data=[datum])).image
    assert (image.url, image.data, image.revised_prompt) == (datum["url"], None, "An otter.")


def test_bytes_beat_the_url_beside_them() -> None:
    datum = {"url": "https://pictures.example/1.png", "b64_json": b64(ONE)}
    image = whole(images_body(data=[datum])).image
    assert (image.url, image.data) == (datum["url"], ONE)


DATA_URL = f"data:image/png;base64,{b64(ONE)}"
EMPTY = ["", "data:image/png;base64,"]


@pytest.mark.parametrize("beside", [None, "", "%%%", EMPTY[1]])
def test_a_url_that_holds_the_picture_itself_is_read_and_not_kept(beside: Any) -> None:
    datum = {"url": DATA_URL, "b64_json": beside, "revised_prompt": "An otter."}
    image = whole(images_body(data=[datum])).image
    assert (image.url, image.data, image.revised_prompt) == (None, ONE, "An otter.")


@pytest.mark.parametrize("url", [DATA_URL, *EMPTY, "data:,%%%"])
def test_bytes_beat_the_bytes_in_a_url(url: str) -> None:
    image = whole(images_body(data=[{"url": url, "b64_json": b64(TWO)}])).image
    assert (image.url, image.data) == (None, TWO)


def test_a_url_makes_up_for_bytes_that_cannot_be_read() -> None:
    datum = {"url": "https://pictures.example/1.png", "b64_json": "%%%"}
    image = whole(images_body(data=[datum])).image
    assert (image.url, image.data) == (datum["url"], None)


@pytest.mark.parametrize("url", [None, *EMPTY])
@pytest.mark.parametrize("b64_json", EMPTY)
def test_a_picture_of_no_bytes_is_missing(b64_json: str, url: str | None) -> None:
    [slot] = whole(images_body(data=[{"b64_json": b64_json, "url": url}])).slots
    assert slot.kind == "missing"


def test_a_url_whose_bytes_cannot_be_read_is_a_failed_slot() -> None:
    [slot] = whole(images_body(data=[{"url": "data:image/png;base64,%%%"}])).slots
    assert slot.kind == "failed"


NULLS = {name: None for name in images_body() if name != "data"}


@pytest.mark.parametrize(
    "changes",
    [
        NULLS,
        {"data": [{"b64_json": b64(ONE), "url": None, "revised_prompt": None}], **NULLS},
        {"size": 1024, "quality": ["low"], "background": {}, "output_format": 3},
        {"usage": "none", "svg_usage": [], "safety_identifier": 5},
        {"usage": {"input_tokens": None, "input_tokens_details": None, "total_tokens": None}},
        {"created": 1795200296000000, "error": None},
        {"created": "yesterday", "unheard_of": {"x": 1}},
        {"data": [{"b64_json": b64(ONE), "revised_prompt": 7, "url": ["x"]}]},
    ],
)
def test_nothing_that_surrounds_a_picture_can_cost_it(changes: dict[str, Any]) -> None:
    assert whole(images_body(**changes)).image.data == ONE


def test_a_picture_that_cannot_be_read_leaves_the_others() -> None:
    data = [{"b64_json": b64(ONE)}, {"b64_json": "%%%"}, None, {}, {"b64_json": ""}, "x"]
    response = whole(images_body(data=data), n=6)
    assert response.slots[0] == response.images[0]
    kinds = [one.kind for one in response.failures]
    assert kinds == ["failed", "missing", "missing", "missing", "missing"]
    assert "base64" in response.failures[0].reason


@pytest.mark.parametrize("data", [[], None, "none"])
def test_an_answer_without_pictures_has_no_slots(data: Any) -> None:
    assert whole(images_body(data=data)).slots == ()


@pytest.mark.parametrize("error", [BLOCKED, {"error": "x", **BLOCKED}])
def test_an_error_in_a_success_is_an_error(error: dict[str, Any]) -> None:
    answer = json_response({"created": 1, "error": error}, x_request_id="req_1")
    with pytest.raises(ContentRejectedError) as caught:
        whole(answer)
    assert (caught.value.stage, caught.value.request_id) == ("output", "req_1")


def test_an_error_in_words_in_a_success_is_an_error() -> None:
    with pytest.raises(ProviderError, match="out of memory"):
        whole({"error": "out of memory"})


def test_an_error_beside_pictures_fails_only_what_is_missing() -> None:
    response = whole(images_body(ONE, error=BLOCKED), n=3)
    assert response.image.data == ONE
    assert [one.kind for one in response.failures] == ["refused", "refused"]


@pytest.mark.parametrize("body", [b"[]", b"5", b"null", b'"x"', b"not json", b""])
def test_an_answer_that_is_no_object_is_a_protocol_error(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        whole(HttpResponse(200, {"content-type": "application/json"}, body))


@pytest.mark.parametrize("stream", [False, True])
def test_an_error_status_is_an_error_whole_or_streamed(stream: bool) -> None:
    flow = of_images().flow(asked(), stream=stream)
    with pytest.raises(ContentRejectedError):
        play(flow, json_response({"error": BLOCKED}, 400))


def test_a_state_is_refused_because_this_api_keeps_none() -> None:
    state = State(provider="openai-responses", payload={"response_id": "resp_1"})
    with pytest.raises(Unsupported, match="keeps no state"):
        play(of_images().flow(asked(state=state), stream=False))


# --- variations and models


def test_a_variation_is_an_edit_that_says_so() -> None:
    played = play(
        of_images().flow(asked(None, images=ONE), stream=False), json_response(images_body())
    )
    [request] = played.requests
    assert request.url == "/images/edits"
    [event] = played.events
    assert isinstance(event, Noticed)
    assert event.notice.used == dict(request.form)["prompt"]


def test_a_server_that_still_has_variations_is_asked_for_one() -> None:
    mine = of_images(base_url=LOCAL, settings={"variations": True, "image_field": "image[]"})
    played = play(mine.flow(asked(None, images=ONE), stream=False), json_response(images_body()))
    assert [one.url for one in played.requests] == ["/images/variations"]
    assert [one.name for one in played.requests[0].parts] == ["image[]"]
    assert played.events == []
    assert "variation" in mine.capabilities(None).operations
    assert mine.capabilities(None).emulates == frozenset()


def test_another_server_gets_an_edit_as_a_form_whatever_is_asked() -> None:
    flow = of_images(base_url=LOCAL).flow(asked(images=ONE, moderation="low"), stream=False)
    [request] = play(flow, json_response(images_body())).requests
    assert request.json is None
    assert dict(request.form)["moderation"] == "low"


@pytest.mark.parametrize(
    ("config", "expected"),
    [({}, {"bytes", "url", "file"}), ({"base_url": LOCAL}, {"bytes"})],
)
def test_only_openai_is_trusted_to_fetch_pictures_itself(config: Any, expected: set[str]) -> None:
    assert of_images(**config).capabilities(None).inputs == expected


# --- formats that are never streamed


@pytest.mark.parametrize("format", ["gif", "svg"])
def test_a_format_without_previews_is_never_streamed(format: str) -> None:
    picture = GIF if format == "gif" else SVG
    request = asked(output_format=format, partial_images=2)
    played = play(of_images().flow(request, stream=True), json_response(images_body(picture)))
    assert not {"stream", "partial_images"} & set(json_of(played.requests[0]))
    [event] = played.events
    assert isinstance(event, Noticed)
    assert (event.notice.kind, event.notice.feature) == ("unsupported", "partial_images")
    assert played.response.image.data == picture


@pytest.mark.parametrize("partial_images", [None, 0])
def test_nobody_is_told_of_previews_that_nobody_wanted(partial_images: int | None) -> None:
    request = asked(output_format="gif", partial_images=partial_images)
    assert play(of_images().flow(request, stream=True), json_response(images_body())).events == []


def test_several_svgs_are_several_requests() -> None:
    request = asked(output_format="svg", n=3)
    answers = [json_response(images_body(SVG)) for _ in range(3)]
    played = play(of_images().flow(request, stream=False), *answers)
    assert ["n" in json_of(one) for one in played.requests] == [False] * 3
    assert len(played.response.images) == 3


@pytest.mark.parametrize("way", WAYS)
def test_one_svg_that_is_refused_leaves_the_others(way: str) -> None:
    answers = iter([images_body(SVG), {"error": BLOCKED}, images_body(SVG)])

    def server(request: httpx.Request) -> httpx.Response:
        body = next(answers)
        return httpx.Response(400 if "error" in body else 200, json=body)

    request = asked(output_format="svg", n=3)
    response = make(way, request, handler=server, provider="openai-images", api_key=KEY, env={})
    assert len(response.images) == 2
    [refused] = response.failures
    assert (refused.kind, refused.stage, refused.billed) == ("refused", "output", "no")


def test_several_gifs_are_one_request() -> None:
    request = asked(output_format="gif", n=2)
    played = play(of_images().flow(request, stream=True), json_response(images_body(GIF, GIF)))
    assert [json_of(one)["n"] for one in played.requests] == [2]


# --- streams


def events_of(kind: str = "image_generation", **changes: Any) -> list[dict[str, Any]]:
    return [
        image_event(f"{kind}.partial_image", TWO),
        image_event(f"{kind}.partial_image", THREE, partial_image_index=1),
        image_event(f"{kind}.completed", ONE, **changes),
    ]


def received(*events: Any) -> list[ServerSentEvent]:
    return [
        one if isinstance(one, ServerSentEvent) else ServerSentEvent(one["type"], json.dumps(one))
        for one in events
    ]


def watched(*events: Any, into: Played | None = None, **fields: Any) -> Played:
    flow = of_images().flow(asked(**fields), stream=True)
    head = begun(x_request_id="req_1", x_ratelimit_remaining_tokens="9")
    return play(flow, head, events=received(*events), into=into)


@pytest.mark.parametrize("kind", ["image_generation", "image_edit"])
def test_a_stream_is_previews_and_then_the_picture(kind: str) -> None:
    played = watched(*events_of(kind, safety_identifier="s-1"), partial_images=2)
    first, second, last = played.events
    assert isinstance(first, PartialImage)
    assert isinstance(second, PartialImage)
    assert isinstance(last, ImageReady)
    assert [first.image.data, second.image.data, last.image.data] == [TWO, THREE, ONE]
    assert (first.step, second.step) == (0, 1)
    assert first.image.echo["size"] == "auto"
    response = played.response
    assert response.image.data == ONE
    assert response.usage.total_tokens == 246
    assert response.created == datetime(2026, 11, 20, 18, 44, 56, tzinfo=UTC)
    assert response.request_ids == ("req_1",)
    assert response.rate_limits == {"tokens": RateLimit(remaining=9)}
    assert response.metadata == {"safety_identifier": "s-1"}


def test_a_stream_without_previews_is_the_picture_alone() -> None:
    played = watched(image_event("image_generation.completed", partial_images=0))
    assert [type(one) for one in played.events] == [ImageReady]


@pytest.mark.parametrize(
    "noise",
    [
        sse("image_generation.in_progress"),
        sse("keepalive", sequence_number=3),
        sse("image_generation.partial_image", b64_json=None),
        sse("image_generation.partial_image", b64_json="%%%"),
        sse("image_generation.partial_image"),
        ServerSentEvent("message", "{}"),
        ServerSentEvent("message", '{"type": null}'),
        ServerSentEvent("message", '{"type": 5, "b64_json": ""}'),
        ServerSentEvent("ping", '{"error": null}'),
    ],
)
def test_an_event_that_says_nothing_to_us_is_passed_over(noise: ServerSentEvent) -> None:
    played = watched(noise, *events_of())
    assert len(played.events) == 3
    assert played.response.image.data == ONE


@pytest.mark.parametrize("place", [0, 2])
@pytest.mark.parametrize(
    "changes",
    [
        {name: None for name in image_event("x.partial_image") if name not in ("type", "b64_json")},
        {"partial_image_index": "first", "created_at": "now", "usage": 5, "size": 5},
    ],
)
def test_nothing_in_an_event_can_cost_its_picture(place: int, changes: dict[str, Any]) -> None:
    events = events_of()
    events[place] |= changes
    played = watched(*events)
    assert len(played.events) == 3
    assert played.response.image.data == ONE


def test_the_line_above_an_event_says_its_type_where_the_json_does_not() -> None:
    bare = {"b64_json": b64(ONE)}
    played = watched(ServerSentEvent("image_generation.completed", json.dumps(bare)))
    assert played.response.image.data == ONE


def test_what_comes_after_the_picture_is_not_waited_for() -> None:
    played = watched(*events_of(), ServerSentEvent("message", "{not json"))
    assert played.response.image.data == ONE


@pytest.mark.parametrize("picture", [{"b64_json": None}, {"b64_json": ""}])
def test_a_stream_that_completes_without_a_picture_leaves_a_missing_slot(picture: Any) -> None:
    played = watched(image_event("image_generation.completed", **picture))
    [slot] = played.response.slots
    assert isinstance(slot, ImageFailure)
    assert slot.kind == "missing"


def test_a_stream_may_complete_with_a_url() -> None:
    url = "https://pictures.example/1.png"
    event = image_event("image_generation.completed", b64_json=None, url=url)
    assert watched(event).response.image.url == url


ERROR = {"message": "no", "param": None}


@pytest.mark.parametrize(
    ("event", "kind", "code"),
    [
        (
            sse("error", error=BLOCKED, sequence_number=0),
            ContentRejectedError,
            "moderation_blocked",
        ),
        (received({**BLOCKED, "type": "error"})[0], ContentRejectedError, "moderation_blocked"),
        (
            ServerSentEvent("error", json.dumps({"error": {**ERROR, "code": "server_error"}})),
            ProviderUnavailableError,
            "server_error",
        ),
        (
            ServerSentEvent("message", json.dumps({"error": {**ERROR, "type": "server_error"}})),
            ProviderUnavailableError,
            "server_error",
        ),
        (ServerSentEvent("message", '{"error": "boom boom"}'), ProviderError, None),
        (sse("error", code="rate_limit_exceeded", **ERROR), RateLimitError, "rate_limit_exceeded"),
        (
            sse("error", error={**ERROR, "code": "insufficient_quota"}),
            QuotaExceededError,
            "insufficient_quota",
        ),
        (
            sse("error", error={**ERROR, "type": "image_generation_user_error"}),
            InvalidRequestError,
            "image_generation_user_error",
        ),
        (sse("error", code=None, **ERROR), ProviderError, None),
        (sse("error"), ProviderError, None),
    ],
)
def test_an_error_in_a_stream_is_an_error_nested_or_flat(
    event: ServerSentEvent, kind: type[Exception], code: str | None
) -> None:
    with pytest.raises(ProviderError) as caught:
        watched(events_of()[0], event)
    assert type(caught.value) is kind
    assert caught.value.code == code
    assert caught.value.request_id == "req_1"


def test_a_body_in_answer_to_a_request_for_a_stream_is_taken_whole() -> None:
    played = play(of_images().flow(asked(), stream=True), json_response(images_body()))
    assert json_of(played.requests[0])["stream"] is True
    assert played.response.image.data == ONE


@pytest.mark.parametrize("data", ["[DONE]", "[DONE]\n"])
def test_done_before_the_picture_is_a_stream_that_was_cut(data: str) -> None:
    with pytest.raises(TruncatedStreamError):
        watched(events_of()[0], ServerSentEvent("message", data), *events_of())


def test_done_after_the_picture_is_nothing() -> None:
    played = watched(*events_of(), ServerSentEvent("message", "[DONE]"))
    assert played.response.image.data == ONE


NO_OBJECTS = ["{no", "[1]", "5", "null", "ok", "", '"x"']


@pytest.mark.parametrize("data", NO_OBJECTS)
@pytest.mark.parametrize("name", ["message", "ping", "keepalive", "errors"])
def test_what_is_no_object_and_no_event_of_ours_costs_no_picture(name: str, data: str) -> None:
    odd = ServerSentEvent(name, data)
    preview, *others = events_of()
    played = watched(odd, preview, odd, *others)
    assert len(played.events) == 3
    assert played.response.image.data == ONE


@pytest.mark.parametrize("data", NO_OBJECTS)
@pytest.mark.parametrize(
    "name", ["error", "image_edit.completed", "image_generation.x", "x.partial_image"]
)
def test_an_event_of_ours_that_is_no_object_is_a_protocol_error(name: str, data: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        watched(ServerSentEvent(name, data), *events_of())
    assert not isinstance(caught.value, TruncatedStreamError)


@pytest.mark.parametrize("name", ["message", "ping", "image_generation.completed"])
@pytest.mark.parametrize("data", ["", '{"type": "image_generation.completed", "b64_json": "iVB'])
def test_an_event_that_is_cut_at_the_end_is_a_stream_that_was_cut(name: str, data: str) -> None:
    with pytest.raises(TruncatedStreamError):
        watched(events_of()[0], ServerSentEvent(name, data))


@pytest.mark.parametrize("type", [None, 5, ["x"]])
def test_the_line_above_an_event_beats_a_type_that_is_none(type: Any) -> None:
    bare = {"type": type, "b64_json": b64(ONE)}
    played = watched(ServerSentEvent("image_generation.completed", json.dumps(bare)))
    assert played.response.image.data == ONE


def serving(body: bytes, status: int = 200, kind: str = "text/event-stream") -> Any:
    def server(request: httpx.Request) -> httpx.Response:
        headers = {"content-type": kind, "x-request-id": "req_1"}
        return httpx.Response(status, headers=headers, content=body)

    return server


def ask(way: str, body: bytes, events: list[ImageEvent] | None = None, **kind: Any) -> Any:
    return make(
        way,
        asked(partial_images=2),
        handler=serving(body, **kind),
        events=events,
        provider="openai-images",
        api_key=KEY,
        env={},
    )


STREAM = sse_bytes(events_of())


@pytest.mark.parametrize("way", STREAMED)
@pytest.mark.parametrize("tail", [b"", b"data: [DONE]\n\n", b": ping\n\n"])
def test_a_stream_ends_in_exactly_one_completed(way: str, tail: bytes) -> None:
    events: list[ImageEvent] = []
    response = ask(way, b": ping\n\n" + STREAM + tail, events)
    kinds = [one.kind for one in events]
    assert kinds == ["partial-image", "partial-image", "image-ready", "completed"]
    assert isinstance(events[-1], Completed)
    assert response.ok


LEADS = [b"", b"\xef\xbb\xbf", b": hello\r\n\r\n\n", b"\xef\xbb\xbf\n:\rid: 1\n", b"retry: 9\n"]
PLAIN = ["text/plain", "application/json; charset=utf-8", "application/octet-stream"]


@pytest.mark.parametrize("kind", PLAIN)
@pytest.mark.parametrize("lead", LEADS)
def test_a_stream_under_another_type_is_a_stream(kind: str, lead: bytes) -> None:
    answer = HttpResponse(200, {"content-type": kind, "x-request-id": "req_1"}, lead + STREAM)
    played = play(of_images().flow(asked(partial_images=2), stream=True), answer)
    assert [type(one) for one in played.events] == [PartialImage, PartialImage, ImageReady]
    assert played.response.image.data == ONE
    assert played.response.request_ids == ("req_1",)


@pytest.mark.parametrize("way", WAYS)
def test_a_stream_that_nobody_announced_is_read_in_every_colour(way: str) -> None:
    data_only = b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in events_of())
    assert ask(way, data_only, kind="text/plain").image.data == ONE


def test_a_stream_under_another_type_that_is_cut_anywhere_is_an_error() -> None:
    for cut in (*range(len(b"event:"), WHOLE_FROM, 7), WHOLE_FROM - 1):
        answer = HttpResponse(200, {"content-type": "text/plain"}, STREAM[:cut])
        with pytest.raises(TruncatedStreamError):
            play(of_images().flow(asked(), stream=True), answer)


@pytest.mark.parametrize("body", [b"", b": ping\n\n", b"events: 1", b"<html>", b"\n" * 99_999])
def test_a_body_that_is_neither_json_nor_events_is_a_protocol_error(body: bytes) -> None:
    answer = HttpResponse(200, {"content-type": "text/plain"}, body or b" ")
    with pytest.raises(ProtocolError):
        play(of_images().flow(asked(), stream=True), answer)


def test_an_error_status_is_an_error_whatever_its_body_begins_with() -> None:
    with pytest.raises(ProviderUnavailableError):
        play(of_images().flow(asked(), stream=True), HttpResponse(502, {}, b"data: no"))


# A prime, so that the cuts fall into every part of an event.
STEP = 3
# An event lacks nothing but its blank line from here on.
FIRST, SECOND, WHOLE_FROM = (len(sse_bytes(events_of()[: place + 1])) - 2 for place in range(3))


@pytest.mark.parametrize(
    ("start", "end", "last"),
    [(0, FIRST, None), (FIRST, SECOND, TWO), (SECOND, WHOLE_FROM, THREE)],
    ids=["before any", "after one", "after two"],
)
def test_a_stream_that_is_cut_anywhere_is_an_error_that_keeps_the_last_preview(
    start: int, end: int, last: bytes | None
) -> None:
    for cut in (*range(start, end, STEP), end - 1):
        with pytest.raises(TruncatedStreamError) as caught:
            ask("sync streamed", STREAM[:cut])
        assert caught.value.billed == "possibly"
        assert caught.value.response is not None
        [slot] = caught.value.response.failures
        assert (slot.preview.data if slot.preview else None) == last


@pytest.mark.parametrize("way", STREAMED)
@pytest.mark.parametrize("end", [0, 20, len(STREAM) // 2, len(STREAM) - 10, WHOLE_FROM - 1])
def test_a_stream_that_is_cut_is_an_error_in_every_colour(way: str, end: int) -> None:
    with pytest.raises(TruncatedStreamError):
        ask(way, STREAM[:end])


@pytest.mark.parametrize("end", [WHOLE_FROM, WHOLE_FROM + 1])
def test_a_stream_that_lacks_only_its_last_blank_line_is_whole(end: int) -> None:
    assert ask("sync streamed", STREAM[:end]).ok


@pytest.mark.parametrize("way", STREAMED)
def test_moderation_after_the_head_may_have_been_charged(way: str) -> None:
    body = sse_bytes([events_of()[0], {"type": "error", "error": BLOCKED}])
    with pytest.raises(ContentRejectedError) as caught:
        ask(way, body)
    assert (caught.value.stage, caught.value.billed) == ("output", "possibly")
    assert caught.value.response is not None
    [slot] = caught.value.response.failures
    assert slot.preview is not None
    assert slot.preview.data == TWO


@pytest.mark.parametrize("way", WAYS)
def test_moderation_before_the_head_was_not_charged(way: str) -> None:
    body = json.dumps({"error": BLOCKED}).encode()
    with pytest.raises(ContentRejectedError) as caught:
        ask(way, body, status=400, kind="application/json")
    assert (caught.value.stage, caught.value.categories) == ("output", ("sexual",))
    assert (caught.value.billed, caught.value.request_id) == ("no", "req_1")


@pytest.mark.parametrize("way", WAYS)
def test_an_answer_with_no_pictures_is_no_image(way: str) -> None:
    with pytest.raises(NoImageError) as caught:
        ask(way, json.dumps(images_body(data=[])).encode(), kind="application/json")
    assert caught.value.billed == "possibly"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("status", "code", "times", "billed"),
    [
        (429, "rate_limit_exceeded", 3, "no"),
        (503, "server_is_overloaded", 3, "no"),
        (429, "insufficient_quota", 1, "no"),
        (429, "credit_balance_exhausted", 1, "no"),
        (500, "server_error", 1, "possibly"),
        (400, "moderation_blocked", 1, "no"),
    ],
)
def test_only_what_waiting_can_mend_and_what_cannot_cost_twice_is_repeated(
    way: str, status: int, code: str, times: int, billed: str
) -> None:
    asks: list[httpx.Request] = []

    def server(request: httpx.Request) -> httpx.Response:
        asks.append(request)
        headers = {"retry-after": "0", "x-should-retry": "true"}
        return httpx.Response(status, headers=headers, json={"error": {"code": code}})

    with pytest.raises(ProviderError) as caught:
        make(way, asked(), handler=server, provider="openai-images", api_key=KEY, env={})
    assert len(asks) == times
    assert caught.value.billed == billed


@pytest.mark.parametrize("way", STREAMED)
def test_several_pictures_in_a_stream_are_several_requests(way: str) -> None:
    asks: list[Any] = []

    def server(request: httpx.Request) -> httpx.Response:
        asks.append(json.loads(request.content))
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=STREAM)

    events: list[ImageEvent] = []
    response = make(
        way,
        asked(n=3),
        handler=server,
        events=events,
        provider="openai-images",
        api_key=KEY,
        env={},
    )
    assert [("n" in one, one["stream"]) for one in asks] == [(False, True)] * 3
    assert len(response.images) == 3
    assert {one.index for one in events if isinstance(one, ImageReady)} == {0, 1, 2}


@pytest.mark.parametrize("way", STREAMED)
def test_a_server_that_does_not_stream_is_asked_for_all_at_once(way: str) -> None:
    asks: list[Any] = []

    def server(request: httpx.Request) -> httpx.Response:
        asks.append(json.loads(request.content))
        return httpx.Response(200, json=images_body(ONE, TWO))

    response = make(
        way,
        asked(n=2),
        handler=server,
        provider="openai-images",
        base_url=LOCAL,
        settings={"streaming": False},
        env={},
    )
    assert [(one["n"], "stream" in one) for one in asks] == [(2, False)]
    assert [image.data for image in response] == [ONE, TWO]


def test_a_typo_in_the_options_is_an_error_before_any_network() -> None:
    with pytest.raises(RequestError, match="no option 'complexty'"):
        make(
            "sync whole",
            asked(options=options(complexty="high")),
            handler=serving(b""),
            provider="openai-images",
            api_key=KEY,
            env={},
        )


def test_options_of_the_family_reach_this_provider() -> None:
    asks: list[Any] = []

    def server(request: httpx.Request) -> httpx.Response:
        asks.append(json.loads(request.content))
        return httpx.Response(200, json=images_body())

    both = {"openai": {"complexity": "low", "style": "vivid"}, **options(complexity="high")}
    make(
        "sync whole",
        asked(options=both),
        handler=server,
        provider="openai-images",
        api_key=KEY,
        env={},
    )
    assert (asks[0]["complexity"], asks[0]["style"]) == ("high", "vivid")


def test_an_echo_that_the_bytes_contradict_is_a_notice() -> None:
    body = json.dumps(images_body(output_format="webp")).encode()
    response = ask("sync whole", body, kind="application/json")
    assert isinstance(response.image, Image)
    assert [(one.kind, one.wanted, one.used) for one in response.notices] == [
        ("delivered-differs", "webp", "png")
    ]
