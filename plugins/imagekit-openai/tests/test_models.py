from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from openai_wire import of_images, of_responses

from imagekit_openai._models import AS_OF, IMAGE_MODEL, MODELS, ends, lifecycle, size_rule
from imagekit_openai._notices import ending


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("dall-e-3", "retired 2026-05-12"),
        ("gpt-image-1", "retired 2026-10-23"),
        ("gpt-image-1-mini", "shuts down 2026-12-01"),
        ("gpt-image-1.5-2025-12-16", "shuts down 2026-12-01"),
        ("chatgpt-image-latest", "shuts down 2026-12-01"),
        ("gpt-image-2-2026-04-21", "released"),
        ("gpt-image-2.5-flare-2026-09-08", "released"),
        ("gpt-image-2.6-sunburst", "released"),
        ("gpt-image-9", "unknown"),
    ],
)
def test_a_model_and_its_snapshots_have_one_life(model: str, said: str) -> None:
    assert lifecycle(model) == said


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("dall-e-3", "retired 2026-03-04"),
        ("gpt-image-1.5-2025-12-16", "shuts down 2026-12-16"),
        ("gpt-image-1-mini", "shuts down 2027-04-07"),
        ("gpt-image-2", "shuts down 2027-10-21"),
        ("gpt-image-2.5-flare-2026-09-08", "shuts down 2027-09-09"),
        ("gpt-image-2.6-sunburst", "released"),
        ("my-deployment", "unknown"),
    ],
)
def test_azure_has_a_calendar_of_its_own(model: str, said: str) -> None:
    assert lifecycle(model, "Azure") == said


@pytest.mark.parametrize(
    ("model", "keeper", "words"),
    [
        ("gpt-image-1", "OpenAI", "OpenAI's gpt-image-1 was shut down on 2026-10-23"),
        ("gpt-image-1.5", "OpenAI", "OpenAI's gpt-image-1.5 shuts down on 2026-12-01"),
        ("gpt-image-1-mini", "Azure", "Azure's gpt-image-1-mini shuts down on 2027-04-07"),
        # Further off than half a year, as every model's day at Azure is from the start.
        ("gpt-image-2", "Azure", None),
        ("gpt-image-2", "OpenAI", None),
        (None, "OpenAI", None),
    ],
)
def test_an_end_is_told_when_it_is_near(model: str | None, keeper: Any, words: str | None) -> None:
    found = ending(model, keeper)
    assert (found.detail.partition(" (")[0] if found else None) == words


def test_the_default_model_has_no_end_in_sight() -> None:
    assert ends(IMAGE_MODEL) is None
    assert date(2026, 11, 20) == AS_OF


@pytest.mark.parametrize("model", [one for one in MODELS if one.startswith("gpt-image-2")])
@pytest.mark.parametrize(
    ("width", "height", "fits"),
    [
        (1536, 864, True),
        (816, 816, True),
        (800, 800, False),
        (3840, 2160, True),
        (3856, 1296, False),
        (1000, 1000, False),
        (3072, 1024, True),
        (3088, 1024, False),
        (3840, 2176, False),
    ],
)
def test_free_sizes_keep_to_the_published_limits(
    model: str, width: int, height: int, fits: bool
) -> None:
    rule = size_rule(model)
    assert rule is not None
    assert rule.allows(width, height) is fits


@pytest.mark.parametrize("model", ["gpt-image-1-mini", "gpt-image-1.5"])
@pytest.mark.parametrize(
    ("width", "height", "fits"),
    [(1024, 1024, True), (1536, 1024, True), (1024, 1536, True), (1536, 864, False)],
)
def test_older_models_make_three_sizes(model: str, width: int, height: int, fits: bool) -> None:
    rule = size_rule(model)
    assert rule is not None
    assert rule.allows(width, height) is fits


@pytest.mark.parametrize("model", ["chatgpt-image-latest", "gpt-image-9", "my-deployment"])
def test_the_sizes_of_a_model_that_nobody_described_are_unknown(model: str) -> None:
    assert size_rule(model) is None


@pytest.mark.parametrize("make", [of_images, of_responses])
def test_another_servers_own_default_has_no_size_rule(make: object) -> None:
    assert callable(make)
    at_home, elsewhere = make(), make(base_url="http://localhost:1/v1")
    assert at_home.capabilities(None).size is not None
    assert elsewhere.capabilities(None).size is None
    assert elsewhere.capabilities("gpt-image-2").size is not None


@pytest.mark.parametrize("make", [of_images, of_responses])
def test_capabilities_say_where_they_are_from_and_of_which_day(make: object) -> None:
    assert callable(make)
    able = make().capabilities("gpt-image-1.5")
    assert able.as_of == AS_OF
    assert "3.52.0" in able.source
    assert able.lifecycle == "shuts down 2026-12-01"
