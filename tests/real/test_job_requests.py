"""What jobs and batches ask, by OpenAI's own description: no official client can say JSON edits."""

from __future__ import annotations

import json
import sys
from typing import Any

import description
import pytest
from description import ROOT, errors_of, request_schema

from imagekit import ImagekitError, ImageRequest, Mask, ProviderFile, State
from imagekit.testing import Played, json_response, play

sys.path.append(str(ROOT / "plugins/imagekit-openai/tests"))
import openai_wire as wire  # only now: it lies with the plugin

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not description.here(), reason=description.ABSENT),
]

ONE, TRANSPARENT = wire.ONE, wire.png(alpha=True)
MASK = Mask(TRANSPARENT, edit_where="transparent")
LARGE = wire.png(50) + bytes(16_000_000)
STATE = State(
    provider="openai-responses",
    payload={"response_id": "resp_1", "items": [], "conversation": "conv_1"},
)
BATCHES = {
    "a picture from words": ("openai-images", [wire.asked("a"), wire.asked("b", n=2)]),
    "an edit": ("openai-images", [wire.asked("a", images=[ONE, ProviderFile("f")], mask=MASK)]),
    "an edit of what is large": ("openai-images", [wire.asked("a", images=[LARGE], mask=MASK)]),
    "a moderated edit": ("openai-images", [wire.asked("a", images=[ONE], moderation="low")]),
    "a variation": ("openai-images", [wire.asked(None, images=[ONE])]),
    "a conversation": ("openai-responses", [wire.asked("a"), wire.asked("b", state=STATE)]),
}


def lines(provider: str, requests: list[ImageRequest]) -> list[dict[str, Any]]:
    """The lines of a batch that is refused as soon as they are known."""
    maker = wire.of_images() if provider == "openai-images" else wire.of_responses()
    played, kept = Played(), json_response({"id": "file-1"})
    refused = json_response({"error": {"message": "no"}}, 400)
    many = sum(one.data is LARGE for request in requests for one in request.images)
    with pytest.raises(ImagekitError):
        play(maker.batch(requests), *[kept] * (1 + 2 * many), *[refused] * 5, into=played)
    [jsonl] = [
        part.data
        for one in played.requests
        for part in one.parts
        if part.media_type == "application/jsonl"
    ]
    return [json.loads(line) for line in jsonl.splitlines()]


@pytest.mark.parametrize("name", BATCHES)
def test_each_line_is_a_request_as_described(name: str) -> None:
    for line in lines(*BATCHES[name]):
        schema = request_schema(line["method"], line["url"], "application/json")
        assert errors_of(schema, line["body"]) == []


def test_a_line_that_is_wrong_is_found() -> None:
    [line] = lines("openai-images", [wire.asked("a", images=[ONE])])
    schema = request_schema("POST", line["url"], "application/json")
    line["body"]["image"] = line["body"].pop("images")
    assert errors_of(schema, line["body"])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fields", [{}, {"state": STATE}, {"user": "u-1", "partial_images": 2}])
def test_a_response_in_the_background_is_asked_for_as_described(
    fields: dict[str, Any], stream: bool
) -> None:
    flow = wire.of_responses().flow(wire.asked(detach=True, **fields), stream=stream)
    sent = next(flow).request  # type: ignore[union-attr]
    assert sent.json["background"] is True
    schema = request_schema("POST", "/v1/responses", "application/json")
    assert errors_of(schema, sent.json) == []
