"""Both providers against what others recorded from the live services, read in place."""

from __future__ import annotations

import base64
import contextlib
import json
from decimal import Decimal
from typing import Any

import pytest

from imagekit import (
    AuthenticationError,
    Completed,
    ImageEvent,
    ImageReady,
    ImageRequest,
    InvalidRequestError,
    PartialImage,
    Text,
)
from recorded import CUT, IMAGES, LEFT_OUT, RESPONSES, STREAMS
from recordings import ABSENT, HOME, STAND_IN, Recorded, recorded
from spoken import httpx
from ways import WAYS, make

pytestmark = pytest.mark.skipif(not HOME.is_dir(), reason=ABSENT)


EVERY = IMAGES + RESPONSES
PNG = base64.b64decode(STAND_IN)
WHOLE = [way for way in WAYS if way.endswith("whole")]
STREAMED = [way for way in WAYS if way.endswith("streamed")]


class Server:
    """Answers once with what was recorded, and keeps what it was asked."""

    def __init__(self, exchange: Recorded) -> None:
        self.exchange = exchange
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        one = self.exchange
        return httpx.Response(one.status, headers=one.headers, content=one.body)


def request_like(exchange: Recorded) -> ImageRequest:
    """A neutral request that must become the recorded one, as far as the recording shows it."""
    wire = dict(exchange.asked_json or {})
    if exchange.url.endswith("/variations"):
        return ImageRequest(images=PNG)
    if "/responses" in exchange.url or "tools" in wire:
        return ImageRequest(prompt="as recorded")
    if not wire:
        images = PNG if exchange.url.endswith("/edits") else ()
        return ImageRequest(prompt="as recorded", images=images)
    prompt, model = wire.pop("prompt"), wire.pop("model", None)
    images = tuple(one["image_url"] for one in wire.pop("images", ()))
    extra: dict[str, Any] = {**wire, **({} if prompt else {"prompt": ""})}
    return ImageRequest(
        prompt=prompt or "none",
        model=model,
        images=images,
        options={"openai-images": {"extra_body": extra}},
    )


def ask(way: str, provider: str, server: Server, events: list[ImageEvent] | None = None) -> Any:
    url = server.exchange.url
    settings = {"variations": True} if url.endswith("/variations") else {}
    return make(
        way,
        request_like(server.exchange),
        handler=server,
        events=events,
        provider=provider,
        api_key="sk-test",
        settings=settings,
        how={"fetch": False, "retries": 0},
        env={},
    )


def pictures(exchange: Recorded) -> list[bytes | str]:
    """The pictures that the recording holds, as bytes or as URLs."""
    body = exchange.json
    calls = [one for one in body.get("output", ()) if one["type"] == "image_generation_call"]
    found = [one.get("b64_json") or one["url"] for one in body.get("data", ())]
    found += [one["result"] for one in calls]
    return [one if one.startswith("https:") else base64.b64decode(one) for one in found]


def tokens(body: dict[str, Any]) -> Decimal | None:
    """All the tokens that the recording reports."""
    counts = [body["usage"]["total_tokens"]] if body.get("usage") else []
    if body.get("tool_usage"):
        counts.append(body["tool_usage"]["image_gen"]["total_tokens"])
    return sum(map(Decimal, counts), Decimal()) if counts and sum(counts) else None


def test_every_recording_of_these_dialects_is_replayed_or_listed_with_a_reason() -> None:
    theirs = ("openai", "Azure", "ruby-openai", "issues", "vercel", "Significant", "traceloop")
    others = ("gemini", "xai", "replicate")
    found = {
        str(path.relative_to(HOME))
        for path in HOME.glob("*/*")
        if any(word in str(path.relative_to(HOME)) for word in (*theirs, "ruby_llm"))
        and not any(word in path.name for word in others)
    }
    assert found == {name for name, _, _ in (*IMAGES, *RESPONSES)} | set(STREAMS) | set(LEFT_OUT)


def test_what_the_recordings_lost_is_listed() -> None:
    names = {name for name, _, _ in (*IMAGES, *RESPONSES)} | set(STREAMS)
    assert {name for name in names if any(one.cut for one in recorded(name))} == CUT


@pytest.mark.parametrize("way", WHOLE)
@pytest.mark.parametrize(("name", "number", "error"), EVERY, ids=[f"{n}#{i}" for n, i, _ in EVERY])
def test_a_recorded_answer_becomes_what_it_holds(
    way: str, name: str, number: int, error: type[Exception] | None
) -> None:
    exchange = recorded(name)[number]
    responses = (name, number, error) in RESPONSES
    server = Server(exchange)
    provider = "openai-responses" if responses else "openai-images"
    if error is not None:
        with pytest.raises(error) as caught:
            ask(way, provider, server)
        assert type(caught.value) is error
        if not responses:
            said = exchange.json["error"]
            assert str(caught.value) == said["message"]
            assert caught.value.code == (said.get("code") or said.get("type"))
            assert caught.value.param == said.get("param")
            assert (caught.value.status, caught.value.billed) == (exchange.status, "no")
    else:
        response = ask(way, provider, server)
        body = exchange.json
        got = [image.data if image.data is not None else image.url for image in response]
        assert got == pictures(exchange)
        assert response.ok
        total = response.usage.total() if response.usage else None
        assert total == tokens(body)
        listed = [*body.get("data", ()), *body.get("output", ())]
        kept = [one for one in listed if one.get("type", "") in ("", "image_generation_call")]
        assert [image.revised_prompt for image in response] == [
            one.get("revised_prompt") for one in kept
        ]
    assert len(server.asked) == 1


def comparable() -> list[Any]:
    """The recorded requests that are JSON and whole, and name their pictures as we would."""
    found = []
    for name, number, _ in IMAGES if HOME.is_dir() else ():
        exchange = recorded(name)[number]
        pictures_inside = b"data:image" in exchange.asked
        if exchange.asked_json and not pictures_inside and "\ufffd" not in str(exchange.asked_json):
            found.append(pytest.param(exchange, id=f"{name}#{number}"))
    return found


@pytest.mark.parametrize("exchange", comparable())
def test_our_request_is_the_one_that_was_recorded(exchange: Recorded) -> None:
    server = Server(exchange)
    with contextlib.suppress(InvalidRequestError, AuthenticationError):
        ask("sync whole", "openai-images", server)
    [asked] = server.asked
    sent = json.loads(asked.content)
    if "model" not in exchange.asked_json:
        assert sent.pop("model") == "gpt-image-2.6-sunburst"
    assert sent == exchange.asked_json
    path = exchange.url.partition("?")[0].split("/")[-2:]
    assert asked.url.path.split("/")[-2:] == path


@pytest.mark.parametrize("way", STREAMED)
@pytest.mark.parametrize("name", STREAMS)
def test_a_recorded_stream_becomes_previews_and_a_picture(way: str, name: str) -> None:
    [exchange] = recorded(name)
    lines = exchange.body.decode().splitlines()
    wire = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
    events: list[ImageEvent] = []
    response = ask(way, "openai-responses", Server(exchange), events)

    def of(kind: str) -> list[dict[str, Any]]:
        return [one for one in wire if one["type"] == kind]

    partials = of("response.image_generation_call.partial_image")
    assert [one.image.data for one in events if isinstance(one, PartialImage)] == [
        base64.b64decode(one["partial_image_b64"]) for one in partials
    ]
    [done] = [
        one["item"]
        for one in of("response.output_item.done")
        if one["item"]["type"] == "image_generation_call"
    ]
    [ready] = [one for one in events if isinstance(one, ImageReady)]
    assert ready.image.data == base64.b64decode(done["result"])
    assert ready.image.revised_prompt == done["revised_prompt"]
    assert "".join(one.text for one in events if isinstance(one, Text)) == "".join(
        one["delta"] for one in of("response.output_text.delta")
    )
    [last] = [one for one in events if isinstance(one, Completed)]
    assert last is events[-1]
    [completed] = of("response.completed")
    total = response.usage.total() if response.usage else None
    assert total == tokens(completed["response"])
    assert response.state is not None
    assert response.state.payload["response_id"] == completed["response"]["id"]
