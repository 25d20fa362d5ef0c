"""The same request through three providers, in every way, gives the same types back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import yaml
from sources import Source

from imagekit import (
    Completed,
    Image,
    ImageEvent,
    ImageReady,
    ImageRequest,
    ImageResponse,
    Profile,
    Timing,
)
from recordings import ABSENT, HOME, ROOT, recorded
from spoken import httpx
from ways import WAYS, make

PROVIDER = "openai-images"
JPEG = "pydantic__pydantic-ai/test_openai_responses_image_generation_jpeg__2025-10-01.yaml"


def asked(n: int) -> ImageRequest:
    return ImageRequest(prompt="a red bicycle", size="64x64", n=n)


def is_whole(response: ImageResponse, events: list[ImageEvent], way: str, n: int) -> None:
    assert [type(slot) for slot in response.slots] == [Image] * n
    assert all(image.data and image.media_type and image.width for image in response)
    assert response.ok
    assert response.provider
    assert response.model
    assert type(response.timing) is Timing
    assert ImageResponse.model_validate_json(response.model_dump_json()) == response
    if way.endswith("streamed"):
        ready = [event for event in events if isinstance(event, ImageReady)]
        assert sorted(event.index for event in ready) == list(range(n))
        assert [type(event) for event in events].count(Completed) == 1
        assert isinstance(events[-1], Completed)


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("way", WAYS)
def test_through_sketch(way: str, n: int) -> None:
    events: list[ImageEvent] = []
    is_whole(make(way, asked(n), events=events, provider="sketch"), events, way, n)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "n",
    [
        pytest.param(1, marks=pytest.mark.default_cassette("generate.yaml")),
        pytest.param(3, marks=pytest.mark.default_cassette("generate-three.yaml")),
    ],
)
@pytest.mark.vcr
def test_through_openai_images_on_a_recorded_server(way: str, n: int, source: Source) -> None:
    settings = {"mask": "white", "streaming": False}
    server = Profile("local", PROVIDER, base_url=source.url, settings=settings)
    events: list[ImageEvent] = []
    how = {"provider": "local"}
    response = make(way, asked(n), events=events, profiles=[server], how=how)
    is_whole(response, events, way, n)


def from_a_cassette() -> tuple[bytes, str]:
    """What our own server once answered, which is here where the recordings are not."""
    page = yaml.safe_load((ROOT / "cassettes/openai-responses/generate.yaml").read_text())
    return page["interactions"][0]["response"]["body"]["string"].encode(), "application/json"


def from_life() -> tuple[bytes, str]:
    """The answer that the live service once gave."""
    if not HOME.is_dir():
        pytest.skip(ABSENT)
    [exchange] = recorded(JPEG)
    return exchange.body, exchange.headers["content-type"]


@pytest.mark.parametrize("answer", [from_a_cassette, from_life])
@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("way", WAYS)
def test_through_openai_responses(
    way: str, n: int, answer: Callable[[], tuple[bytes, str]]
) -> None:
    body, kind = answer()

    def answers(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": kind}, content=body)

    events: list[ImageEvent] = []
    settings: dict[str, Any] = {"provider": "openai-responses", "api_key": "sk-test", "env": {}}
    response = make(way, asked(n), handler=answers, events=events, **settings)
    is_whole(response, events, way, n)
