from __future__ import annotations

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from imagekit import Capabilities, ImageRequest, SizeRule, UnsupportedRequestError
from imagekit._prepared import checked
from imagekit._sizes import resolved_size

LISTED = SizeRule(sizes=("auto", "1024x1024", "1536x1024", "1024x1536", "2048x2048"))
FREE = SizeRule(
    multiple=16, low_edge=256, high_edge=3840, ratio=3, low_pixels=655_360, high_pixels=8_294_400
)
STEPS = SizeRule(multiple=64)


def resolved(size: str | None, rule: SizeRule) -> str | None:
    return resolved_size(ImageRequest(prompt="x", size=size), rule)


@pytest.mark.parametrize(
    ("size", "rule"),
    [
        ("1536x1024", LISTED),
        ("1536x864", FREE),
        ("3840x2160", FREE),
        ("1x9999", SizeRule()),
        ("auto", LISTED),
        ("auto", FREE),
        (None, FREE),
    ],
)
def test_a_size_that_the_model_makes_stays(size: str | None, rule: SizeRule) -> None:
    assert resolved(size, rule) == size


@pytest.mark.parametrize(
    ("size", "nearest"),
    [
        ("1920x1080", "1536x1024"),
        ("1080x1920", "1024x1536"),
        ("1000x1000", "1024x1024"),
        ("3000x3000", "2048x2048"),
        ("16:9", "1536x1024"),
        ("1:1", "1024x1024"),
        ("1:1@2K", "2048x2048"),
        ("1:9@4K", "1024x1536"),
    ],
)
def test_a_closed_list_gives_the_nearest_shape_and_then_the_nearest_size(
    size: str, nearest: str
) -> None:
    assert resolved(size, LISTED) == nearest


def test_a_list_that_has_only_words_gives_its_word() -> None:
    assert resolved("16:9", SizeRule(sizes=("auto",))) == "auto"


@pytest.mark.parametrize(
    ("size", "rule", "nearest"),
    [
        # a tier is the longer side
        ("16:9@2K", FREE, "2048x1152"),
        ("9:16@2k", FREE, "1152x2048"),
        ("1:1@1.5K", FREE, "1536x1536"),
        ("1:1@2048", FREE, "2048x2048"),
        ("1:1@512", SizeRule(), "512x512"),
        ("1:1@8K", SizeRule(), "8192x8192"),
        # no tier is 1K
        ("1:1", FREE, "1024x1024"),
        ("4:3", SizeRule(), "1024x768"),
        # steps
        ("1000x1000", STEPS, "1024x1024"),
        ("1536x865", FREE, "1536x864"),
        ("30x20", STEPS, "64x64"),
        # the longest edge
        ("5000x5000", SizeRule(high_edge=2048), "2048x2048"),
        ("8000x4000", SizeRule(high_edge=2000), "2000x1000"),
        # the shortest edge
        ("100x100", SizeRule(low_edge=512), "512x512"),
        ("1000x250", SizeRule(low_edge=500), "2000x500"),
        ("1000x250", SizeRule(low_edge=500, high_edge=1500), "1500x500"),
        # the shape
        ("10:1", FREE, "1424x480"),
        ("1:10", FREE, "480x1424"),
        ("4000x100", SizeRule(low_edge=512, high_pixels=1_048_576), "2048x512"),
        # the number of pixels
        ("512x512", FREE, "816x816"),
        ("1:1@4K", FREE, "2880x2880"),
        ("400x100", SizeRule(low_pixels=640_000, high_edge=1000), "1000x640"),
        ("100x100", SizeRule(low_edge=20, high_pixels=2_500), "50x50"),
    ],
)
def test_free_sizes_give_the_nearest_within_the_limits(
    size: str, rule: SizeRule, nearest: str
) -> None:
    assert resolved(size, rule) == nearest


def test_limits_that_leave_nothing_give_the_size_in_steps() -> None:
    assert resolved("100x100", SizeRule(multiple=64, low_edge=65, high_edge=127)) == "128x128"


@given(
    st.builds(
        SizeRule,
        multiple=st.sampled_from([1, 8, 16, 64]),
        low_edge=st.sampled_from([1, 64, 256, 512]),
        high_edge=st.sampled_from([None, 1024, 2048, 3840]),
        ratio=st.sampled_from([None, 2, 3]),
        low_pixels=st.sampled_from([1, 65_536, 655_360]),
        high_pixels=st.sampled_from([None, 1_048_576, 8_294_400]),
    ),
    st.tuples(st.integers(1, 9000), st.integers(1, 9000)).map(lambda side: f"{side[0]}x{side[1]}")
    | st.tuples(st.integers(1, 30), st.integers(1, 30)).map(lambda side: f"{side[0]}:{side[1]}"),
)
@settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    max_examples=300,
)
def test_the_nearest_size_is_one_that_the_model_makes(rule: SizeRule, size: str) -> None:
    assume(any(rule.allows(side, side) for side in range(64, 2049, 64)))
    width, _, height = (resolved(size, rule) or "").partition("x")
    assert rule.allows(int(width), int(height))


SHAPES = SizeRule(shapes=("1:1", "16:9", "9:16", "21:9"), tiers=("1k", "2K", "4K"))


@pytest.mark.parametrize(
    ("size", "shaped", "bare"),
    [
        (None, None, None),
        ("auto", "auto", "auto"),
        ("16:9", "16:9", "16:9"),
        ("32:18", "16:9", "16:9"),
        ("16:9@2K", "16:9@2K", "16:9"),
        ("1:1@1K", "1:1@1k", "1:1"),
        ("2.35:1@4K", "21:9@4K", "21:9"),
        ("1:1@3K", "1:1@4K", "1:1"),
        ("1024x1024", "1:1@1k", "1:1"),
        ("1080x1920", "9:16@2K", "9:16"),
        ("3000x2999", "1:1@4K", "1:1"),
    ],
)
def test_a_wire_that_takes_shapes_gets_the_nearest(
    size: str | None, shaped: str | None, bare: str | None
) -> None:
    assert resolved(size, SHAPES) == shaped
    assert resolved(size, SHAPES.model_copy(update={"tiers": ()})) == bare


@pytest.mark.parametrize(
    ("size", "told"),
    [
        ("16:9", False),
        ("32:18@2048", False),
        ("16:9@2K", False),
        ("2.35:1", True),
        ("1:1@3K", True),
        # How many pixels a shape comes to is the model's affair.
        ("1024x1024", True),
    ],
)
def test_a_shape_in_other_words_is_no_news(size: str, told: bool) -> None:
    able = Capabilities(size=SHAPES)
    _, notices = checked(ImageRequest(prompt="x", size=size), able, "it")
    assert [one.feature for one in notices] == (["size"] if told else [])
    if told:
        with pytest.raises(UnsupportedRequestError, match="nearest"):
            checked(ImageRequest(prompt="x", size=size, unsupported="error"), able, "it")


def test_a_tier_that_nobody_takes_is_told() -> None:
    rule = SizeRule(shapes=("1:1",))
    fit, notices = checked(ImageRequest(prompt="x", size="1:1@2K"), Capabilities(size=rule), "it")
    assert (fit.size, [one.used for one in notices]) == ("1:1", ["1:1"])
    assert not rule.allows(1024, 1024)
