"""What editors complete, against the official SDK's types; and that nothing new is refused."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
from openai.types import ImageModel
from openai.types.image_generate_params import ImageGenerateParamsBase
from openai.types.responses.tool_param import ImageGeneration
from openai_wire import asked, call, images_body, response_body

import imagekit_openai
from imagekit_openai import SHUT_DOWN
from imagekit_openai._models import TABLES, live
from spoken import httpx
from ways import make

# What only models had that are gone: the docstrings of the SDK and of OpenAI's guide say so.
GONE = {
    "size": {"256x256", "512x512", "1792x1024", "1024x1792"},
    "quality": {"standard", "hd"},
}
TUPLES = {
    "size": imagekit_openai.SIZES,
    "quality": imagekit_openai.QUALITIES,
    "output_format": imagekit_openai.OUTPUT_FORMATS,
    "background": imagekit_openai.BACKGROUNDS,
    "moderation": imagekit_openai.MODERATIONS,
}
TYPES = {
    "size": imagekit_openai.Size,
    "quality": imagekit_openai.Quality,
    "output_format": imagekit_openai.OutputFormat,
    "background": imagekit_openai.Background,
    "moderation": imagekit_openai.Moderation,
}


def literals(hint: Any) -> set[str]:
    """All values that a type spells out."""
    if get_origin(hint) is Literal:
        return set(get_args(hint))
    return {value for part in get_args(hint) for value in literals(part)}


@pytest.mark.parametrize("name", TUPLES)
def test_what_is_known_is_what_the_sdk_knows(name: str) -> None:
    known = set(TUPLES[name])
    assert known == literals(get_type_hints(ImageGenerateParamsBase)[name]) - GONE.get(name, set())
    assert known == literals(get_type_hints(ImageGeneration)[name])
    assert tuple(get_args(TYPES[name])) == TUPLES[name]


def test_every_model_that_the_sdk_knows_is_known() -> None:
    ours = set(imagekit_openai.IMAGE_MODELS)
    # Named in the calendars only.
    assert ours - set(get_args(ImageModel)) == {"gpt-image-1.5-2025-12-16"}
    assert set(get_args(ImageModel)) <= ours
    assert get_args(imagekit_openai.ImageModel) == imagekit_openai.IMAGE_MODELS


def test_a_known_model_is_either_alive_or_has_its_day() -> None:
    for model in imagekit_openai.IMAGE_MODELS:
        assert TABLES.of(model, "openai").lifecycle.status() != "unknown"
    gone = {model for model, day in SHUT_DOWN["OpenAI"].items() if day <= date(2026, 11, 20)}
    assert gone == {"dall-e-2", "dall-e-3", "gpt-image-1"}
    assert not gone & set(live())
    assert set(SHUT_DOWN["OpenAI"]) | set(SHUT_DOWN["Azure"]) <= set(imagekit_openai.IMAGE_MODELS)


def test_the_door_has_nothing_else() -> None:
    with pytest.raises(AttributeError, match="'imagekit_openai' has no attribute 'hologram'"):
        _ = imagekit_openai.hologram


def test_every_name_at_the_plugins_door_is_there_and_the_door_is_light() -> None:
    assert all(hasattr(imagekit_openai, name) for name in imagekit_openai.__all__)
    code = (
        "import sys, imagekit_openai; print([m for m in ('pydantic', 'httpx') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "said",
    [
        {"model": "gpt-image-9"},
        {"quality": "ultra"},
        {"background": "plaid"},
        {"output_format": "avif"},
        {"moderation": "strict"},
    ],
)
def test_a_value_that_nobody_has_heard_of_passes_through(said: dict[str, str]) -> None:
    seen: list[httpx.Request] = []

    def server(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json=images_body())

    common: dict[str, Any] = {"provider": "openai-images", "api_key": "k", "env": {}}
    response = make("sync whole", asked(**said), handler=server, **common)
    [value] = said.values()
    assert value.encode() in seen[0].content
    # What came is another matter: our fake answers in PNG.
    assert {one.kind for one in response.notices} <= {"delivered-differs"}


def answered(provider: str, **said: Any) -> Any:
    def server(request: httpx.Request) -> httpx.Response:
        made = images_body() if provider == "openai-images" else response_body(call())
        return httpx.Response(200, json=made)

    home = {"api_key": "k", "base_url": None, "env": {}}
    config = {name: said.pop(name) for name in home if name in said}
    return make("sync whole", asked(**said), handler=server, provider=provider, **home | config)


@pytest.mark.parametrize("provider", ["openai-images", "openai-responses"])
@pytest.mark.parametrize("policy", ["adapt", "error", "ignore"])
@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("dall-e-3", "dall-e-3 was shut down on 2026-05-12 (openai 3.52.0 "),
        ("gpt-image-1", "gpt-image-1 was shut down on 2026-10-23 ("),
        (
            "gpt-image-1.5-2025-12-16",
            "gpt-image-1.5-2025-12-16 shuts down on 2026-12-01; it is replaced by "
            "gpt-image-2.5-sunburst or gpt-image-2.5-flare (OpenAI's deprecations page, "
            "2026-11-20)",
        ),
    ],
)
def test_a_model_that_ends_is_told_and_not_refused(
    provider: str, policy: str, model: str, words: str
) -> None:
    [notice] = answered(provider, model=model, unsupported=policy).notices
    assert (notice.kind, notice.feature, notice.wanted) == ("deprecated", "model", model)
    assert notice.detail.startswith(f"{provider}: {words}")


@pytest.mark.parametrize("provider", ["openai-images", "openai-responses"])
def test_another_servers_model_of_that_name_is_its_own_affair(provider: str) -> None:
    said = {"model": "gpt-image-1", "base_url": "http://localhost:9/v1"}
    assert answered(provider, **said).notices == ()
