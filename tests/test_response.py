from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from imagekit import (
    ContentRejectedError,
    Cost,
    Exchange,
    Image,
    ImageFailure,
    ImageResponse,
    NoImageError,
    Notice,
    ProviderError,
    RateLimit,
    State,
    Timing,
    Usage,
    UsageItem,
)
from imagekit.provider import HttpRequest, HttpResponse

RED, BLUE = Image(data=b"red"), Image(data=b"\xfb\xef\xff")
REFUSED = ImageFailure(
    kind="refused", reason="no hats", code="hat", stage="input", categories=("hats",), billed="no"
)
MISSING = ImageFailure(kind="missing", reason="it never came")
FAILED = ImageFailure(kind="failed", reason="it broke", code="oops", billed="yes")


def response(*slots: Any, **more: Any) -> ImageResponse:
    return ImageResponse(slots=slots, **more)


class TestSlots:
    def test_the_images_are_the_slots_that_hold_one(self) -> None:
        assert response(RED, REFUSED, BLUE).images == (RED, BLUE)

    def test_the_failures_are_the_others(self) -> None:
        assert response(RED, REFUSED, MISSING).failures == (REFUSED, MISSING)

    @pytest.mark.parametrize(
        ("slots", "ok"),
        [((RED, BLUE), True), ((RED, REFUSED), False), ((REFUSED,), False), ((), False)],
    )
    def test_a_response_is_ok_when_every_slot_is_a_picture(self, slots: Any, ok: bool) -> None:
        assert response(*slots).ok is ok

    def test_the_image_is_the_first_slot(self) -> None:
        assert response(RED, BLUE).image is RED

    def test_the_image_of_no_slots_is_an_error(self) -> None:
        with pytest.raises(NoImageError, match="no slots"):
            _ = response().image

    def test_the_image_is_never_another_slots(self) -> None:
        with pytest.raises(ContentRejectedError):
            _ = response(REFUSED, RED).image

    def test_the_error_for_the_image_carries_the_response(self) -> None:
        whole = response(REFUSED, RED)
        with pytest.raises(ContentRejectedError) as caught:
            _ = whole.image
        assert caught.value.response is whole

    def test_iterating_goes_over_the_pictures(self) -> None:
        assert list(response(RED, REFUSED, BLUE)) == [RED, BLUE]

    def test_indexing_goes_over_the_pictures(self) -> None:
        assert response(REFUSED, RED, BLUE)[1] is BLUE

    def test_an_index_beyond_the_pictures_is_an_index_error(self) -> None:
        with pytest.raises(IndexError):
            response(REFUSED, RED)[1]

    def test_the_length_is_the_number_of_pictures(self) -> None:
        assert len(response(REFUSED, RED)) == 1

    def test_a_response_without_pictures_is_true_all_the_same(self) -> None:
        assert response(REFUSED)

    def test_a_slot_is_told_apart_by_its_kind(self) -> None:
        slots: Any = [{"kind": "image", "data": "cmVk"}, {"kind": "missing", "reason": "gone"}]
        made = response(*slots)
        assert [type(slot) for slot in made.slots] == [Image, ImageFailure]

    def test_a_slot_of_another_kind_is_an_error(self) -> None:
        slot: Any = {"kind": "hologram"}
        with pytest.raises(ValidationError, match="hologram"):
            response(slot)


class TestFailure:
    @pytest.mark.parametrize(
        ("failure", "kind"),
        [(REFUSED, ContentRejectedError), (MISSING, NoImageError), (FAILED, ProviderError)],
    )
    def test_becomes_the_error_of_its_kind(
        self, failure: ImageFailure, kind: type[Exception]
    ) -> None:
        assert type(failure.error()) is kind

    @pytest.mark.parametrize("failure", [REFUSED, MISSING, FAILED])
    def test_becomes_an_error_with_its_reason_and_code(self, failure: ImageFailure) -> None:
        error = failure.error()
        assert (str(error), error.code, error.billed) == (
            failure.reason,
            failure.code,
            failure.billed,
        )

    def test_a_refusal_becomes_an_error_that_says_where_and_why(self) -> None:
        error = REFUSED.error()
        assert isinstance(error, ContentRejectedError)
        assert (error.stage, error.categories) == ("input", ("hats",))

    def test_may_have_cost_money_unless_it_says_otherwise(self) -> None:
        assert MISSING.billed == "possibly"


class TestUsage:
    USAGE = Usage(
        items=(
            UsageItem(quantity=Decimal(10), direction="input", modality="text"),
            UsageItem(quantity=Decimal(194), direction="input", modality="image"),
            UsageItem(quantity=Decimal(4160), direction="output", modality="image"),
            UsageItem(quantity=Decimal("1.5"), unit="megapixel"),
        )
    )

    def test_input_tokens_are_those_that_went_in(self) -> None:
        assert self.USAGE.input_tokens == 204

    def test_output_tokens_are_those_that_came_out(self) -> None:
        assert self.USAGE.output_tokens == 4160

    def test_total_tokens_are_all_of_them(self) -> None:
        assert self.USAGE.total_tokens == 4364

    def test_a_total_is_of_one_modality_where_asked(self) -> None:
        assert self.USAGE.total(modality="image") == 4354

    def test_a_total_is_of_one_unit(self) -> None:
        assert self.USAGE.total(unit="megapixel") == Decimal("1.5")

    @pytest.mark.parametrize("count", ["input_tokens", "output_tokens", "total_tokens"])
    def test_what_nobody_reported_is_none(self, count: str) -> None:
        assert getattr(Usage(), count) is None

    def test_a_reported_zero_is_zero(self) -> None:
        assert Usage(items=(UsageItem(quantity=Decimal(0)),)).total_tokens == 0

    def test_usages_add_up(self) -> None:
        assert (self.USAGE + self.USAGE).total_tokens == 2 * 4364


def test_a_response_goes_to_json_and_back() -> None:
    whole = response(
        RED,
        BLUE,
        REFUSED.model_copy(update={"preview": BLUE}),
        provider="toy",
        profile="attic",
        model="toy-1",
        text="here you are",
        usage=TestUsage.USAGE,
        cost=Cost(
            amount=Decimal("0.040"), kind="estimated", source="a page", as_of=date(2026, 1, 2)
        ),
        notices=(Notice(kind="adjusted", feature="size", wanted="1x1", used="2x2"),),
        state=State(provider="toy", payload={"id": "resp_1"}),
        created=datetime(2026, 1, 2, tzinfo=UTC),
        request_ids=("req_1", "req_2"),
        rate_limits={"images": RateLimit(limit=5, remaining=4, reset=1.5)},
        timing=Timing(total=2.5, first_preview=0.5),
        metadata={"seed": [1, None]},
    )
    assert ImageResponse.model_validate_json(whole.model_dump_json()) == whole


@pytest.mark.parametrize("mode", ["validation", "serialization"])
def test_a_response_has_a_json_schema(mode: Any) -> None:
    assert "slots" in ImageResponse.model_json_schema(mode=mode)["properties"]


def test_the_raw_exchange_does_not_go_to_json() -> None:
    raw = (Exchange(HttpRequest("GET", "/a"), HttpResponse(200)),)
    assert "raw" not in response(RED, raw=raw).model_dump()


def test_money_is_exact() -> None:
    made = response(RED, cost=Cost(amount=Decimal("0.1"), kind="reported"))
    assert ImageResponse.model_validate_json(made.model_dump_json()).cost == made.cost


@pytest.mark.parametrize(
    "what",
    ["provider", "profile", "model", "text", "usage", "cost", "state", "created", "timing"],
)
def test_what_nobody_said_is_none(what: str) -> None:
    assert getattr(response(RED), what) is None


@pytest.mark.parametrize(
    ("made", "shown"),
    [
        (
            response(RED, provider="toy", model="toy-1"),
            "<ImageResponse toy/toy-1: [<Image of unknown type, 3 bytes>]>",
        ),
        (response(REFUSED, MISSING, provider="toy"), "<ImageResponse toy: [], 2 failed>"),
        (response(), "<ImageResponse of nobody: []>"),
    ],
)
@pytest.mark.parametrize("show", [repr, str])
def test_the_repr_of_a_response_is_short(made: ImageResponse, shown: str, show: Any) -> None:
    assert show(made) == shown


@pytest.mark.parametrize(
    ("notice", "said"),
    [
        (Notice(kind="unsupported", feature="seed"), "unsupported: seed"),
        (
            Notice(kind="adjusted", feature="size", detail="the nearest"),
            "adjusted: size: the nearest",
        ),
    ],
)
def test_a_notice_reads_as_a_line(notice: Notice, said: str) -> None:
    assert str(notice) == said


def test_the_repr_of_an_exchange_shows_neither_side() -> None:
    made = Exchange(HttpRequest("POST", "/a", json={"prompt": "x"}), HttpResponse(200))
    assert repr(made) == "Exchange()"
