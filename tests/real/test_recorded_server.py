"""Our server answering from recordings of the live services: read by the official SDK, and judged.

The recorded answers stand behind the provider, so what the SDK reads has come through all of it:
the provider's reading, the neutral response, the server's writing. The recorded requests that the
live service turned away are sent to our server too, which should say the same.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import openai
import pytest
from official import sdk
from openai.types.images_response import ImagesResponse
from tally import Judge

from imagekit import AsyncClient
from recorded import IMAGES, RESPONSES, STREAMS
from recordings import ABSENT, HOME, Recorded, recorded
from serving import Serving, serving
from spoken import httpx

READ = Judge("recordings, answered by our server and read by the official SDK")
SAID = Judge("recordings of refusals, and what our server says to the same request")
PROMPT = "a picture"
TOOL = {"type": "image_generation"}


@pytest.fixture(autouse=True)
def here() -> None:
    if not HOME.is_dir():
        READ.absent(ABSENT)


@contextmanager
def behind(provider: str, exchange: Recorded) -> Iterator[Serving]:
    """Our server, in front of a service that answers as recorded and has no pictures for links."""

    def answers(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(404)
        return httpx.Response(exchange.status, headers=exchange.headers, content=exchange.body)

    fake = httpx.AsyncClient(transport=httpx.MockTransport(answers))
    key = {"api_key": "sk-not-a-real-one", "http": fake, "downloads": fake, "env": {}}
    with serving(client=AsyncClient(provider=provider, **key), provider=provider) as server:
        yield server


def whole(listed: list[tuple[str, int, Any]]) -> list[Any]:
    return [pytest.param(name, place, id=f"{name}-{place}") for name, place, e in listed if not e]


@pytest.mark.parametrize(("name", "place"), whole(IMAGES))
def test_recorded_pictures_are_what_the_sdk_reads_from_our_server(name: str, place: int) -> None:
    exchange = recorded(name)[place]
    then = exchange.json
    with behind("openai-images", exchange) as server, READ.asked():
        # The number matters to nothing but how many slots are looked for.
        answer = sdk(server.url).images.generate(
            prompt=PROMPT, model="gpt-image-2", n=max(1, len(then["data"]))
        )
    found = [(one.b64_json, one.url, one.revised_prompt) for one in answer.data or ()]
    assert found == [
        (one.get("b64_json"), one.get("url"), one.get("revised_prompt")) for one in then["data"]
    ]
    assert answer.created == then["created"] or not then["created"]
    if then.get("usage"):
        said = json.loads(answer.model_dump_json())["usage"]
        assert {name: said[name] for name in then["usage"] if name in said} == {
            name: value for name, value in then["usage"].items() if name in said
        }


@pytest.mark.parametrize(("name", "place"), whole(RESPONSES))
def test_a_recorded_response_is_what_the_sdk_reads_from_our_server(name: str, place: int) -> None:
    exchange = recorded(name)[place]
    then = exchange.json
    with behind("openai-responses", exchange) as server, READ.asked():
        answer = sdk(server.url).responses.create(model=then["model"], input=PROMPT, tools=[TOOL])  # type: ignore[list-item]
        pictures = [one for one in answer.output if one.type == "image_generation_call"]
        drawn = [one for one in then["output"] if one["type"] == "image_generation_call"]
        assert [one.result for one in pictures] == [one["result"] for one in drawn]
        assert [one.revised_prompt for one in pictures] == [
            one.get("revised_prompt") or None for one in drawn
        ]
        parts = [part for item in then["output"] for part in item.get("content") or ()]
        words = "".join(part["text"] for part in parts if part["type"] == "output_text")
        assert answer.output_text == words
        assert answer.status == "completed"
        spent = then["usage"]
        if spent and answer.usage is not None:
            assert answer.usage.input_tokens == spent["input_tokens"]
            assert answer.usage.output_tokens == spent["output_tokens"]


@pytest.mark.parametrize("name", STREAMS)
def test_a_recorded_stream_is_what_the_sdk_reads_from_our_server(name: str) -> None:
    [exchange] = recorded(name)
    lines = exchange.body.decode().splitlines()
    then = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
    with behind("openai-responses", exchange) as server, READ.asked():
        stream = sdk(server.url).responses.create(
            model="gpt-6.1-sol",
            input=PROMPT,
            tools=[TOOL],  # type: ignore[list-item]
            stream=True,
        )
        events = list(stream)
        partial = "response.image_generation_call.partial_image"
        assert [one.partial_image_b64 for one in events if one.type == partial] == [
            one["partial_image_b64"] for one in then if one["type"] == partial
        ]
        done = [one.item for one in events if one.type == "response.output_item.done"]
        results = [one.result for one in done if one.type == "image_generation_call"]
        assert results == [
            one["item"]["result"]
            for one in then
            if one["type"] == "response.output_item.done"
            and one["item"]["type"] == "image_generation_call"
        ]
        words = [one.delta for one in events if one.type == "response.output_text.delta"]
        assert words == [
            one["delta"] for one in then if one["type"] == "response.output_text.delta"
        ]
        assert events[-1].type == "response.completed"


# What the live service refused, asked of our server in front of sketch

SIZES = "sizes are the provider's: sketch makes any"
MODELS = "models are the operator's: this server sends every name to its provider"
EARLIER = "what an earlier model lacked is the provider's to say"
FETCHED = "a link is fetched by the core, which says in its own words what is wrong with it"
LINKS = "of a model by another name nobody knows whether it gives links"
FIRST = "the bytes say of what type a file is; the live service took the part's word at first"
# What tells one reason from another: a part of what the live service said.
REASONS = {
    "Invalid size": SIZES,
    "does not exist": MODELS,
    "Unknown parameter: 'quality'": EARLIER,
    "Invalid image file or mode": FIRST,
    "Error while downloading": FETCHED,
    "Invalid image data": FETCHED,
}


def refused() -> list[Any]:
    return [
        pytest.param(name, place, id=f"{name}-{place}")
        for name, place, error in IMAGES
        if error is not None and "BadKey" not in name
    ]


@pytest.mark.parametrize(("name", "place"), refused())
def test_what_the_live_service_refused_our_server_refuses_in_the_same_words(
    name: str, place: int
) -> None:
    exchange = recorded(name)[place]
    if not exchange.asked or exchange.asked.startswith(b"<"):
        pytest.skip("the recording lost the request")
    then = exchange.json["error"]
    edits = exchange.asked_json is None or "images" in exchange.asked_json
    path = "/images/edits" if edits else "/images/generations"
    kind = "application/json"
    if exchange.asked_json is None:
        boundary = exchange.asked[2 : exchange.asked.index(b"\r\n")].decode()
        kind = f"multipart/form-data; boundary={boundary}"
    with serving(provider="sketch") as server:
        answer = httpx.post(
            f"{server.url}{path}", content=exchange.asked, headers={"content-type": kind}
        )
    reason = next((why for part, why in REASONS.items() if part in then["message"]), None)
    model = (exchange.asked_json or {}).get("model", "")
    if then["param"] == "response_format" and not model.startswith("gpt-image"):
        reason = LINKS
    said = answer.json().get("error") or {}
    same = all(said.get(name) == then.get(name) for name in ("type", "code", "param"))
    with SAID.asked(differs=None if same and answer.status_code == 400 else reason):
        assert (same and answer.status_code == exchange.status) or reason, (said, then)


def test_the_passed_on_refusal_of_a_provider_keeps_its_status_code_and_param() -> None:
    for name, place, error in IMAGES:
        if error is None:
            continue
        exchange = recorded(name)[place]
        with behind("openai-images", exchange) as server, SAID.asked():
            with pytest.raises(openai.APIStatusError) as caught:
                sdk(server.url).images.generate(prompt=PROMPT, model="gpt-image-2")
            if exchange.status == 401:
                # The key is the server's, not the caller's.
                assert caught.value.status_code == 502
                continue
            then = exchange.json["error"]
            assert (caught.value.status_code, caught.value.code, caught.value.param) == (
                exchange.status,
                then["code"],
                then["param"],
            )


def test_a_picture_that_is_not_the_recorded_one_would_be_noticed() -> None:
    name, place, _ = next(one for one in IMAGES if one[2] is None)
    exchange = recorded(name)[place]
    other = base64.b64encode(b"another").decode()
    with behind("openai-images", exchange) as server:
        answer = sdk(server.url).images.generate(prompt=PROMPT, model="gpt-image-2")
    assert ImagesResponse.model_validate(answer.model_dump()).data[0].b64_json != other  # type: ignore[index]
