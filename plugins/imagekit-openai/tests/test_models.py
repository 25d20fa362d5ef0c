"""What the tables say of the models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import pytest
from openai_wire import of_images, of_responses

from imagekit import Capabilities, ImageRequest, UnsupportedRequestError
from imagekit._prepared import checked
from imagekit_openai._models import IMAGE_MODEL, TABLES, live

MAKERS = [of_images, of_responses]
LIVE = ["gpt-image-2.6-sunburst", "gpt-image-2.6-flare", "gpt-image-2.5-sunburst"]
LIVE += ["gpt-image-2.5-flare", "gpt-image-2"]


def at_home(model: str | None, make: Callable[..., Any] = of_images) -> Capabilities:
    found = make().capabilities(model)
    assert isinstance(found, Capabilities)
    return found


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("dall-e-3", "retired 2026-05-12"),
        ("gpt-image-1", "retired 2026-10-23"),
        ("gpt-image-1-mini", "shuts down 2026-12-01"),
        ("gpt-image-1.5-2025-12-16", "shuts down 2026-12-01"),
        ("chatgpt-image-latest", "shuts down 2026-12-01"),
        ("gpt-image-2-2026-04-21", "released 2026-04-21"),
        ("gpt-image-2.5-flare-2026-09-08", "released 2026-09-08"),
        ("gpt-image-2.6-sunburst", "released 2026-11-04"),
        ("gpt-image-9", "unknown"),
    ],
)
def test_a_model_and_its_snapshots_have_one_life(model: str, said: str) -> None:
    assert str(at_home(model).lifecycle).partition(", ")[0] == said


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("dall-e-3", "retired 2026-03-04"),
        ("gpt-image-1.5-2025-12-16", "shuts down 2026-12-16"),
        ("gpt-image-1-mini", "shuts down 2027-04-07"),
        ("gpt-image-2", "shuts down 2027-10-21"),
        ("gpt-image-2.5-flare-2026-09-08", "shuts down 2027-09-09"),
        # Nobody says whether it is there at all.
        ("gpt-image-2.6-sunburst", "unknown"),
        ("my-deployment", "unknown"),
    ],
)
def test_azure_has_a_calendar_of_its_own(model: str, said: str) -> None:
    assert str(TABLES.of(model, "azure").lifecycle) == said


@pytest.mark.parametrize("make", MAKERS)
def test_another_server_has_none(make: Callable[..., Any]) -> None:
    able = make(base_url="http://localhost:1/v1").capabilities("gpt-image-1")
    assert able.lifecycle.status() == "unknown"


def test_the_default_model_has_no_end_in_sight() -> None:
    assert at_home(IMAGE_MODEL).lifecycle.status() == "released"
    assert at_home(None).lifecycle.shuts_down is None


def test_the_models_are_those_that_are_not_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    going = ["gpt-image-1.5", "gpt-image-1-mini", "chatgpt-image-latest"]
    assert [*live()] == [*LIVE, *going] == [*of_images().models]
    monkeypatch.setattr("imagekit._capabilities.today", lambda: date(2026, 12, 1))
    assert [*live()] == LIVE


def facts() -> Iterator[tuple[str, str]]:
    for make in MAKERS:
        for model in (*live(), "dall-e-3", "gpt-image-9"):
            able = at_home(model, make)
            said = {*able.parameters, *(f"options.{one}" for one in able.options), "size"}
            yield from (
                (f"{make.__name__} {model} {fact}", str(able.source_of(fact))) for fact in said
            )


def test_every_fact_has_a_source_and_a_day() -> None:
    found = dict(facts())
    assert len(found) > 200
    assert {fact: said for fact, said in found.items() if not said.endswith(", 2026-11-20")} == {}


@pytest.mark.parametrize("model", LIVE)
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
    rule = at_home(model).size
    assert rule is not None
    assert rule.allows(width, height) is fits


@pytest.mark.parametrize("model", ["gpt-image-1-mini", "gpt-image-1.5"])
@pytest.mark.parametrize(
    ("width", "height", "fits"),
    [(1024, 1024, True), (1536, 1024, True), (1024, 1536, True), (1536, 864, False)],
)
def test_older_models_make_three_sizes(model: str, width: int, height: int, fits: bool) -> None:
    rule = at_home(model).size
    assert rule is not None
    assert rule.allows(width, height) is fits


@pytest.mark.parametrize("model", ["chatgpt-image-latest", "gpt-image-9", "my-deployment"])
def test_the_sizes_of_a_model_that_nobody_described_are_unknown(model: str) -> None:
    assert at_home(model).size is None


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
    assert able.as_of == date(2026, 11, 20)
    assert "3.52.0" in able.source
    assert str(able.source_of("lifecycle")) == "OpenAI's deprecations page, 2026-11-20"


# --- what goes with what


def dropped(make: Callable[..., Any], *base: str, **said: Any) -> dict[str, str]:
    able = make(base_url=base[0] if base else None).capabilities(said.get("model"))
    request, notices = checked(ImageRequest(prompt="x", **said), able, "it")
    for one in notices:
        assert getattr(request, one.feature) is None
    return {one.feature: one.detail for one in notices if one.kind == "unsupported"}


CLASHES: list[tuple[dict[str, Any], dict[str, str]]] = [
    (
        {"output_compression": 50, "output_format": "png"},
        {"output_compression": "it: output_compression 50 goes not with output_format 'png'"},
    ),
    (
        {"background": "transparent", "output_format": "jpeg"},
        {"background": "it: background 'transparent' goes not with output_format 'jpeg'"},
    ),
    (
        {"model": "gpt-image-2-2026-04-21", "quality": "max"},
        {
            "quality": "it: quality may be auto, low, medium, high, maybe others; not xhigh, max, "
            "not 'max'"
        },
    ),
    ({"model": "gpt-image-2", "quality": "ultra"}, {}),
    ({"model": "gpt-image-2.5-flare", "quality": "max"}, {}),
    ({"model": "gpt-image-9", "quality": "max"}, {}),
    ({"output_compression": 50, "output_format": "jpeg"}, {}),
    ({"output_compression": 50, "output_format": "avif"}, {}),
    ({"output_compression": 50}, {}),
    ({"background": "transparent"}, {}),
    ({"background": "opaque", "output_format": "jpeg"}, {}),
    ({"background": "transparent", "output_format": "webp"}, {}),
]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(("said", "words"), CLASHES)
def test_what_does_not_go_together_is_dropped_with_a_notice(
    make: Callable[..., Any], said: dict[str, Any], words: dict[str, str]
) -> None:
    assert dropped(make, **said) == words


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("said", [said for said, words in CLASHES if words])
def test_another_server_is_asked_all_the_same(
    make: Callable[..., Any], said: dict[str, Any]
) -> None:
    assert dropped(make, "http://localhost:1/v1", **said) == {}


def test_a_prompt_of_the_images_api_has_an_end() -> None:
    request = ImageRequest(prompt="x" * 32_001)
    with pytest.raises(UnsupportedRequestError, match="at most 32000 characters"):
        checked(request, at_home(None), "it")
    assert checked(request, at_home(None, of_responses), "it") == (request, [])
    assert checked(ImageRequest(prompt="x" * 32_000), at_home(None), "it")[1] == []


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(
    ("model", "size", "used"),
    [
        ("gpt-image-1-mini", "1536x1024", None),
        ("gpt-image-1-mini", "1000x1000", "1024x1024"),
        ("gpt-image-1-mini", "3:2", ""),
        ("gpt-image-1-mini", "16:9@2K", "1536x1024"),
        ("gpt-image-2", "1536x864", None),
        ("gpt-image-2", "1537x865", "1536x864"),
        ("gpt-image-2", "16:9@2K", ""),
        ("gpt-image-2", "1:1@4K", "2880x2880"),
        (None, "4096x4096", "2880x2880"),
        ("gpt-image-9", "1x1", None),
    ],
)
def test_sizes_are_settled_before_the_dialect_sees_them(
    make: Callable[..., Any], model: str | None, size: str, used: str | None
) -> None:
    """Exact (None), exact in pixels (""), or the nearest, with a notice or as an error."""
    able = make().capabilities(model)
    request = ImageRequest(prompt="x", size=size)
    found, notices = checked(request, able, "it")
    told = [one for one in notices if one.kind == "adjusted"]
    if used is None:
        assert (found.size, told) == (size, [])
    elif not used:
        assert found.pixels
        assert told == []
    else:
        assert [(one.wanted, one.used) for one in told] == [(size, used)]
        with pytest.raises(UnsupportedRequestError, match=f"the nearest is {used}"):
            checked(request.with_(unsupported="error"), able, "it")
