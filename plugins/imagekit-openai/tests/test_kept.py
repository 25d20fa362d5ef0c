"""What fails keeps what came beside it: usage, words, ids, and what each request was for."""

from __future__ import annotations

from typing import Any

import pytest
from openai_wire import (
    BLOCKED,
    IMAGE_USAGE,
    ONE,
    SVG,
    SVG_USAGE,
    asked,
    begun,
    call,
    images_body,
    message,
    of_images,
    of_responses,
    options,
    output_text,
    response_body,
)
from test_batches import OUT, batch, line

from imagekit import (
    ContentRejectedError,
    ImagekitError,
    ImageResponse,
    ProviderError,
    RateLimit,
    TruncatedStreamError,
)
from imagekit.provider import ServerSentEvent
from imagekit.testing import json_response, play, sse

HEADERS = {
    "x_request_id": "req_1",
    "x_ratelimit_limit_requests": "50",
    "openai_processing_ms": "1500",
}


def left(kind: type[ImagekitError], flow: Any, *replies: Any, events: Any = ()) -> ImageResponse:
    """What the error that *flow* ends in brings along."""
    with pytest.raises(kind) as caught:
        play(flow, *replies, events=events)
    assert caught.value.response is not None
    return caught.value.response


def test_an_error_in_a_success_keeps_what_is_said_beside_it() -> None:
    stopped = {"content_filter_results": {"violence": {"filtered": True}}}
    body = {**images_body(data=[{}, stopped]), "error": {"message": "out of memory"}}
    answer = json_response(body, **HEADERS)
    found = left(ProviderError, of_images().flow(asked(n=2), stream=False), answer)
    assert found.usage is not None
    assert found.usage.total_tokens == IMAGE_USAGE["total_tokens"]
    assert found.request_ids == ("req_1",)
    assert found.processing_time == 1.5
    [refused] = found.failures
    assert (refused.kind, refused.stage, refused.categories) == ("refused", "output", ("violence",))


def test_a_response_that_failed_keeps_its_usage_its_words_and_its_id() -> None:
    error = {"code": "server_error", "message": "no"}
    failing = call(None, status="failed", error=BLOCKED)
    body = response_body(failing, message(output_text("I try")), status="failed", error=error)
    answer = json_response(body, **HEADERS)
    found = left(ProviderError, of_responses().flow(asked(), stream=False), answer)
    assert found.usage is not None
    assert found.text == "I try"
    assert found.request_ids == ("req_1",)
    assert found.metadata["response_id"] == body["id"]
    [refused] = found.failures
    assert (refused.kind, refused.categories) == ("refused", ("sexual",))


def test_a_call_without_a_word_leaves_its_slot_to_the_error() -> None:
    error = {"code": "invalid_prompt", "message": "no"}
    answer = json_response(response_body(call(None, status="failed"), status="failed", error=error))
    flow = of_responses().flow(asked(), stream=False)
    assert left(ContentRejectedError, flow, answer).slots == ()


@pytest.mark.parametrize("make", [of_images, of_responses])
@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (None, TruncatedStreamError),
        (ServerSentEvent("image_generation.completed", "{no"), TruncatedStreamError),
        (sse("error", message="no"), ProviderError),
    ],
)
def test_a_stream_that_breaks_knows_its_request(make: Any, event: Any, kind: Any) -> None:
    events = [event] if event else []
    with pytest.raises(kind) as caught:
        play(make().flow(asked(), stream=True), begun(**HEADERS), events=events)
    assert caught.value.request_id == "req_1"
    assert caught.value.rate_limits == {"requests": RateLimit(limit=50)}
    assert caught.value.processing_time == 1.5


def test_an_error_that_knows_its_request_itself_stays_as_it_is() -> None:
    own = {"x-request-id": "req_9", "openai-processing-ms": "3000"}
    event = sse("error", message="no", headers=own)
    with pytest.raises(ProviderError) as caught:
        play(of_images().flow(asked(), stream=True), begun(**HEADERS), events=[event])
    assert caught.value.request_id == "req_9"
    assert caught.value.processing_time == 3.0


def test_each_svg_is_a_call_of_its_own() -> None:
    answers = [
        json_response(
            images_body(SVG, output_format="svg", svg_usage=SVG_USAGE), x_request_id=f"req_{number}"
        )
        for number in (1, 2)
    ]
    request = asked(n=2, output_format="svg", options=options(svg={"model": "gpt-6"}))
    found = play(of_images().flow(request, stream=False), *answers).response
    assert [one.request_ids for one in found.calls] == [("req_1",), ("req_2",)]
    assert sum(one.usage.total_tokens for one in found.calls) == found.usage.total_tokens


def finished(*script: Any, counts: tuple[int, ...]) -> Any:
    handle = {"batch_id": "batch_1", "input": "file-in", "model": "m", "counts": counts}
    answer = json_response(batch(error_file_id="file-err"))
    return of_images().resume(handle), (answer, OUT, OUT), script


def test_each_line_of_a_batch_is_a_call() -> None:
    flow, replies, script = finished(
        line(0, images_body(ONE)), None, line(1, {"error": BLOCKED}, 400), None,
        counts=(1, 2),
    )  # fmt: skip
    found = play(flow, *replies, events=script).response
    one, two = found.calls
    assert (one.n, one.images, one.billed, one.request_ids) == (1, 1, None, ("req_0",))
    assert (two.n, two.images, two.billed, two.request_ids) == (2, 0, "no", ("req_1",))
    assert one.usage == found.usage
    assert two.error == found.failures[0].reason


def test_a_batch_of_which_every_line_failed_keeps_what_it_was() -> None:
    flow, replies, script = finished(None, line(0, {"error": BLOCKED}, 400), None, counts=(1,))
    found = left(ContentRejectedError, flow, *replies, events=script)
    assert found.metadata["batch_id"] == "batch_1"
    assert [call.billed for call in found.calls] == ["no"]
    assert [slot.kind for slot in found.slots] == ["refused"]
