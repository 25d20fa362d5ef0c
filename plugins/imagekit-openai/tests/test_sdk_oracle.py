"""The official client's types as a judge of our literals and cassettes: it can read them all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
import yaml
from openai.types.image_edit_stream_event import ImageEditStreamEvent
from openai.types.image_gen_stream_event import ImageGenStreamEvent
from openai.types.images_response import ImagesResponse
from openai.types.responses import Response, ResponseStreamEvent
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
    b64,
    call,
    image_event,
    images_body,
    message,
    output_text,
    refusal,
    response_body,
    response_stream,
    sse_bytes,
)

from strictly import known

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    "body",
    [
        images_body(),
        images_body(ONE, TWO, THREE, safety_identifier="s-1"),
        images_body(GIF, output_format="gif"),
        images_body(SVG, output_format="svg", svg_usage=SVG_USAGE),
        images_body(**{name: None for name in images_body() if name != "created"}),
    ],
)
def test_the_answers_of_our_tests_are_images_responses(body: dict[str, Any]) -> None:
    found = known(ImagesResponse, body)
    assert [one.b64_json for one in found.data or ()] == [
        one["b64_json"] for one in body["data"] or ()
    ]


@pytest.mark.parametrize("kind", ["image_generation", "image_edit"])
@pytest.mark.parametrize("what", ["partial_image", "completed"])
def test_the_events_of_our_tests_are_image_events(kind: str, what: str) -> None:
    event = image_event(f"{kind}.{what}")
    if what == "completed":
        del event["usage"]["output_tokens_details"]
    known(ImageEditStreamEvent if kind == "image_edit" else ImageGenStreamEvent, event)


FAILED = call(None, status="failed", error=BLOCKED)


@pytest.mark.parametrize(
    "body",
    [
        response_body(call()),
        response_body(REASONING, call(), message(output_text("Here."))),
        response_body(call(SVG, output_format="svg", svg_usage=SVG_USAGE)),
        response_body(FAILED),
        response_body(message(refusal("I cannot."))),
        response_body(status="incomplete", incomplete_details={"reason": "content_filter"}),
        response_body(status="incomplete", incomplete_details={"reason": "max_output_tokens"}),
        response_body(status="failed", error={"code": "server_error", "message": "m"}),
        response_body(call(**dict.fromkeys(("action", "background", "error", "quality", "size")))),
    ],
)
def test_the_answers_of_our_tests_are_responses(body: dict[str, Any]) -> None:
    known(Response, body)


@pytest.mark.parametrize("event", response_stream(), ids=lambda event: str(event["type"]))
def test_the_events_of_our_tests_are_response_events(event: dict[str, Any]) -> None:
    known(ResponseStreamEvent, event)


def test_the_official_client_reads_the_picture_out_of_our_stream() -> None:
    def server(asked: httpx2.Request) -> httpx2.Response:
        body = sse_bytes(response_stream())
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=body)

    with (
        httpx2.Client(transport=httpx2.MockTransport(server)) as http,
        openai.OpenAI(api_key=KEY, http_client=http) as sdk,
    ):
        events = list(sdk.responses.create(model="gpt-6.1-sol", input="an otter", stream=True))
    done = [one.item for one in events if one.type == "response.output_item.done"]
    assert [getattr(one, "result", None) for one in done] == [b64(ONE)]


# --- cassettes


def answers(folder: str) -> list[Any]:
    found = []
    for path in sorted((ROOT / "cassettes" / folder).glob("*.yaml")):
        for exchange in yaml.safe_load(path.read_text())["interactions"]:
            answer = exchange["response"]
            if answer["status"]["code"] == 200:
                found.append(pytest.param(answer, id=path.stem))
    return found


def text_of(answer: dict[str, Any]) -> str:
    body = answer["body"]["string"]
    return body if isinstance(body, str) else body.decode()


def read(answer: dict[str, Any], whole: Any, event: Any) -> list[Any]:
    """The answer, or the events of one that is a stream, as the official types."""
    text = text_of(answer)
    if text.startswith("{"):
        return [known(whole, json.loads(text))]
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    # An error that ends a stream of pictures is in none of its types.
    return [known(event, said) for said in map(json.loads, lines) if said["type"] != "error"]


@pytest.mark.parametrize("answer", answers("openai-images"))
def test_the_recorded_answers_are_images_responses_and_their_events(answer: dict[str, Any]) -> None:
    found = read(answer, ImagesResponse, ImageGenStreamEvent | ImageEditStreamEvent)
    assert all(getattr(one, "data", None) or one.b64_json for one in found)
    assert found


@pytest.mark.parametrize("answer", answers("openai-responses"))
def test_the_recorded_answers_are_responses_and_their_events(answer: dict[str, Any]) -> None:
    found = read(answer, Response, ResponseStreamEvent)
    numbers = [getattr(one, "sequence_number", 0) for one in found]
    assert numbers == list(range(len(found)))
