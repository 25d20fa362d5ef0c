"""The provider against what others recorded from Google's service, read in place."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from imagekit import ContentRejectedError, ImageEvent, ImageRequest, InvalidRequestError, Text
from recordings import ABSENT, HOME, Recorded, recorded
from spoken import httpx
from ways import WAYS, make

pytestmark = pytest.mark.skipif(not HOME.is_dir(), reason=ABSENT)

RIG = "0xPlaygrounds__rig/gemini_nano_banana_image_generation_smoke.yaml"
STREAM = "pydantic__pydantic-ai/test_google_image_generation_stream__2026-02-02.yaml"
VERTEX = (
    "pydantic__pydantic-ai/"
    "test_google_vertexai_image_generation_with_output_format__2026-06-09.yaml"
)
LLM = "simonw__llm-gemini/test_cli_gemini_generate_with_single_attachment__2025-07-22.yaml"
FIREBASE = "FirebaseExtended__vertexai-sdk-test-data/"
FAILURES = [
    ("streaming-failure-image-rejected.txt", InvalidRequestError),
    ("unary-failure-image-rejected.json", InvalidRequestError),
    ("unary-failure-generate-images-prompt-blocked.json", ContentRejectedError),
]
# They are of an API that is gone, and hold no turns.
LEFT_OUT = {
    "unary-failure-generate-images-all-filtered.json",
    "unary-failure-generate-images-base64-some-filtered.json",
    "unary-success-generate-images-safety_info.json",
}
WHOLE = [way for way in WAYS if way.endswith("whole")]
STREAMED = [way for way in WAYS if way.endswith("streamed")]


class Server:
    """Answers with what was recorded, and keeps what it was asked."""

    def __init__(self, one: Recorded | httpx.Response) -> None:
        self.one = one
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if isinstance(self.one, httpx.Response):
            return self.one
        return httpx.Response(self.one.status, headers=self.one.headers, content=self.one.body)


def like(exchange: Recorded) -> ImageRequest:
    """A neutral request that must become the recorded one."""
    wire = exchange.asked_json
    words, *pictures = wire["contents"][0]["parts"]
    config = dict(wire["generationConfig"])
    image = config.pop("imageConfig", {})
    images = [base64.b64decode(one["inlineData"]["data"]) for one in pictures]
    more = {"imageConfig": image} if "imageOutputOptions" in image else {}
    return ImageRequest(
        prompt=words["text"],
        images=images,
        model=exchange.url.rpartition("/")[2].partition(":")[0],
        size=image.get("aspectRatio"),
        options={"gemini": {"generation_config": {**config, **more}}},
    )


def ask(way: str, server: Server, request: ImageRequest, events: Any = None) -> Any:
    settings = {"provider": "gemini", "api_key": "a-key", "env": {}}
    return make(way, request, handler=server, events=events, how={"retries": 0}, **settings)


def chunks(exchange: Recorded) -> list[Any]:
    if exchange.body.startswith(b"{"):
        return [exchange.json]
    lines = exchange.body.decode().splitlines()
    return [json.loads(line[6:]) for line in lines if line.startswith("data: ")]


def parts(exchange: Recorded) -> list[dict[str, Any]]:
    return [one for chunk in chunks(exchange) for one in chunk["candidates"][0]["content"]["parts"]]


def checked(response: Any, exchange: Recorded, server: Server) -> None:
    """All that was recorded is in *response*, and was asked for in the recorded words."""
    last, all_parts = chunks(exchange)[-1], parts(exchange)
    pictures = [one["inlineData"]["data"] for one in all_parts if "inlineData" in one]
    assert [image.data for image in response] == [base64.b64decode(one) for one in pictures]
    assert len(pictures) == 1
    assert response.image.media_type in ("image/png", "image/jpeg")
    assert min(response.image.width, response.image.height) >= 1
    assert (response.text or "") == "".join(one.get("text", "") for one in all_parts)
    counts = last["usageMetadata"]
    assert response.usage.total_tokens == counts["totalTokenCount"]
    assert response.usage.output_tokens == counts["candidatesTokenCount"]
    made = response.usage.total(direction="output", modality="image")
    listed = {one["modality"]: one["tokenCount"] for one in counts["candidatesTokensDetails"]}
    assert made == listed["IMAGE"]
    assert response.request_ids == ((last["responseId"],) if "responseId" in last else ())
    assert response.state.payload["contents"][-1]["parts"] == all_parts
    [sent] = server.asked
    wanted = {name: one for name, one in exchange.asked_json.items() if one is not None}
    assert json.loads(sent.content) == wanted
    assert sent.url.path.rpartition("/")[2] == exchange.url.partition("?")[0].rpartition("/")[2]


@pytest.mark.parametrize("way", WHOLE)
@pytest.mark.parametrize("name", [RIG, VERTEX], ids=["rig", "vertex"])
def test_a_recorded_answer_becomes_what_it_holds(way: str, name: str) -> None:
    [exchange] = recorded(name)
    server = Server(exchange)
    checked(ask(way, server, like(exchange)), exchange, server)


@pytest.mark.parametrize("way", STREAMED)
@pytest.mark.parametrize("number", [0, 1])
def test_a_recorded_stream_becomes_what_it_holds(way: str, number: int) -> None:
    exchange = recorded(STREAM)[number]
    server, events = Server(exchange), list[ImageEvent]()
    checked(ask(way, server, like(exchange), events), exchange, server)
    words = [one.text for one in events if isinstance(one, Text)]
    assert words == [one["text"] for one in parts(exchange) if one.get("text")]


@pytest.mark.parametrize("way", WHOLE)
def test_a_recorded_edit_becomes_what_it_holds(way: str) -> None:
    [exchange] = recorded(LLM)
    server = Server(exchange)
    checked(ask(way, server, like(exchange)), exchange, server)


@pytest.mark.parametrize(("name", "kind"), FAILURES, ids=[name for name, _ in FAILURES])
@pytest.mark.parametrize("way", WAYS)
def test_a_recorded_failure_is_told_by_its_class(
    way: str, name: str, kind: type[Exception]
) -> None:
    body = (HOME / FIREBASE / name).read_bytes()
    server = Server(httpx.Response(400, content=body, headers={"content-type": "application/json"}))
    with pytest.raises(kind) as caught:
        ask(way, server, ImageRequest(prompt="an otter"))
    said = json.loads(body)["error"]
    assert type(caught.value) is kind
    assert (str(caught.value), caught.value.status, caught.value.billed) == (
        said["message"],
        400,
        "no",
    )
    assert caught.value.code == said["status"]


def test_every_recording_of_google_is_replayed_or_listed() -> None:
    found = {one.name for one in (HOME / FIREBASE).iterdir()}
    assert found == {name for name, _ in FAILURES} | LEFT_OUT
    others = {
        str(path.relative_to(HOME))
        for path in HOME.glob("*/*")
        if any(word in path.name for word in ("gemini", "google"))
    }
    assert others == {RIG, STREAM, VERTEX, LLM}
