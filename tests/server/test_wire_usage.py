from __future__ import annotations

from typing import Any

from imagekit import Usage, UsageItem
from imagekit.server.wire.usage import added, of_conversation, of_pictures, of_svg


def item(quantity: int, direction: Any, modality: str | None = None, **about: Any) -> UsageItem:
    return UsageItem(quantity=quantity, direction=direction, modality=modality, **about)


PICTURES = (
    item(11, "input", "text"),
    item(2, "input", "text", detail="cached"),
    item(300, "input", "image"),
    item(40, "input", "image", detail="cached"),
    item(5000, "output", "image"),
    item(6, "output", "text"),
)
AUTHOR = (
    item(10, "input", "text", model="author-1"),
    item(3, "input", "text", model="author-1", detail="cached"),
    item(200, "output", "text", model="author-1"),
    item(50, "output", "text", model="author-1", detail="reasoning"),
)
BOTH = Usage(items=(*PICTURES, *AUTHOR))


class TestPictures:
    def test_are_counted_by_direction_and_kind(self) -> None:
        assert of_pictures(BOTH) == {
            "input_tokens": 353,
            "input_tokens_details": {"image_tokens": 340, "text_tokens": 13},
            "output_tokens": 5006,
            "output_tokens_details": {"image_tokens": 5000, "text_tokens": 6},
            "total_tokens": 5359,
        }

    def test_of_a_stream_have_no_details_of_what_came_out(self) -> None:
        assert "output_tokens_details" not in (of_pictures(BOTH, details=False) or {})

    def test_details_never_exceed_their_sum(self) -> None:
        found = of_pictures(Usage(items=(*PICTURES, item(9, "input"), item(8, None)))) or {}
        assert found["input_tokens"] == 362
        assert sum(found["input_tokens_details"].values()) == 353
        assert found["total_tokens"] == 5376

    def test_that_nobody_counted_are_not_zero(self) -> None:
        assert of_pictures(None) is None
        assert of_pictures(Usage()) is None
        assert of_pictures(Usage(items=AUTHOR)) is None

    def test_in_other_units_are_no_tokens(self) -> None:
        assert of_pictures(Usage(items=(item(1, "output", unit="image"),))) is None


class TestTheAuthorOfAnSvg:
    def test_is_counted_apart(self) -> None:
        assert of_svg(BOTH) == {
            "model": "author-1",
            "input_tokens": 13,
            "output_tokens": 250,
            "reasoning_tokens": 50,
            "total_tokens": 263,
        }

    def test_that_nobody_counted_is_not_zero(self) -> None:
        assert of_svg(Usage(items=PICTURES)) is None
        assert of_svg(None) is None


class TestAConversation:
    def test_is_counted_without_its_pictures(self) -> None:
        assert of_conversation(BOTH) == {
            "input_tokens": 13,
            "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 0},
            "output_tokens": 250,
            "output_tokens_details": {"reasoning_tokens": 50},
            "total_tokens": 263,
        }

    def test_that_nobody_counted_is_not_zero(self) -> None:
        assert of_conversation(Usage(items=PICTURES)) is None


def test_a_batch_adds_up_what_its_answers_say() -> None:
    svg = {
        "usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
        "svg_usage": {
            "model": "m",
            "input_tokens": 10,
            "output_tokens": 20,
            "reasoning_tokens": 5,
            "total_tokens": 30,
        },
    }
    spoken = {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 0},
        "output_tokens": 200,
        "output_tokens_details": {"reasoning_tokens": 60},
        "total_tokens": 300,
    }
    talk = {"usage": spoken, "tool_usage": {"image_gen": svg["usage"]}}
    assert added(None, {"data": []}) is None
    assert added(added(None, svg), talk) == {
        "input_tokens": 112,
        "input_tokens_details": {"cached_tokens": 40},
        "output_tokens": 224,
        "output_tokens_details": {"reasoning_tokens": 65},
        "total_tokens": 336,
    }
