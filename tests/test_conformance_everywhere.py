"""What the rules that hold everywhere do where a provider lacks what they look at."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image as Pillow

import imagekit
from broken_asking import ABLE, parameters, saying, sending
from conforming import Good, Inside, InsideSuite, Plugin, WholeSuite
from imagekit import Allowed, Image, ImageRequest, ImageResponse
from imagekit.provider import Config, Flow, call
from imagekit.testing import Nobody, ProviderSuite, conforms
from imagekit.testing._everywhere import Everywhere

RULES = frozenset(name for name in vars(Everywhere) if name.startswith("test_"))


def verdicts(of: type[ProviderSuite], provider: type[Any], **said: Any) -> dict[str, str]:
    """How each of the rules ended that did not pass, and why."""
    suite = type("Odd", (of,), {"plugin": Plugin(provider), **said})
    found = [one for one in conforms(suite, RULES) if one.verdict != "passed"]
    return {one.test.removeprefix("test_"): f"{one.verdict}: {one.why}" for one in found}


class Alone(Good):
    """Takes some things by themselves only, and one of no edit."""

    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        own = request.options.get(self.name, {})
        if "style" in own and ("steps" in own or request.images):
            raise imagekit.UnsupportedRequestError("a style goes with no steps, and with no edit")
        if request.user and request.quality:
            raise imagekit.UnsupportedRequestError("a user has no quality")
        return (yield from super().flow(request, stream=stream))


class AloneAndLost(Alone):
    """Drops what it takes by itself only."""

    def parameters(self, request: ImageRequest) -> dict[str, Any]:
        return {**super().parameters(request), "user": None}


class OneModel(Good):
    """Refuses any other model."""

    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        if request.model not in (None, "good-1"):
            raise imagekit.UnsupportedRequestError("there is one model")
        return (yield from super().flow(request, stream=stream))


class Drawing(Inside):
    """Draws by itself: black, where the mask says so, or everywhere."""

    able = Inside.able.model_copy(update={"mask": "white", "streaming": False, "options": {}})

    def __init__(self, config: Config) -> None:
        self.name = config.name

    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        drawn = yield from call(lambda: self.draw(request))
        return ImageResponse(slots=(Image(data=drawn),), model="inside-1")

    def draw(self, request: ImageRequest) -> bytes:
        out, black = io.BytesIO(), Pillow.new("L", (16, 16), 0)
        if request.mask is not None:
            with (
                Pillow.open(io.BytesIO(request.images[0].data or b"")) as below,
                Pillow.open(io.BytesIO(request.mask.image.data or b"")) as mask,
            ):
                black = Pillow.composite(black, below.convert("L"), mask.convert("L"))
        black.save(out, "PNG")
        return out.getvalue()


class Deaf(Inside):
    """Its engine hears of no seed."""

    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        return (yield from super().flow(request.model_copy(update={"seed": None}), stream=stream))


def test_who_has_nothing_is_asked_for_nothing() -> None:
    bare = saying(
        operations=frozenset({"generate"}),
        mask=None,
        size=None,
        parameters=dict.fromkeys(ABLE.parameters, "no"),
        options={},
        max_prompt=40,
    )
    assert verdicts(WholeSuite, bare) == {
        "a_parameter_reaches_the_wire_everywhere": (
            "not applicable: it declares none that reaches a host"
        ),
        "an_option_reaches_the_wire_everywhere": (
            "not applicable: it declares none that reaches a host"
        ),
        "a_seed_reaches_the_wire_as_it_is": "not applicable: it takes no seed",
        "input_pictures_are_sent_in_order_everywhere": "not applicable: it edits no pictures",
        "a_mask_marks_its_pixels_everywhere": "not applicable: it takes no mask",
        "nothing_of_an_edit_is_kept": "not applicable: it edits no pictures",
        "an_edit_gives_the_picture_of_the_host": "not applicable: it edits no pictures",
    }


def test_who_only_varies_is_asked_for_no_words() -> None:
    found = verdicts(WholeSuite, saying(operations=frozenset({"variation"}), mask=None))
    assert len(found) == len(RULES)
    assert set(found.values()) == {"not applicable: it takes no words"}


@pytest.mark.parametrize(
    "provider",
    [
        Alone,
        OneModel,
        saying(parameters=parameters(seed=Allowed(low=5, high=9, when={"operation": ("edit",)}))),
        saying(parameters=parameters(quality=Allowed(unless={"output_format": ("png",)}))),
        sending(lambda wanted, request: wanted.update(pair=["whose", request.user])),
    ],
    ids=["alone", "one model", "a seed of edits", "clashes", "pairs"],
)
def test_what_is_declared_or_refused_is_no_fault(provider: type[Any]) -> None:
    assert verdicts(WholeSuite, provider) == {}


def test_what_goes_with_nothing_is_asked_for_by_itself() -> None:
    found = verdicts(WholeSuite, AloneAndLost)
    assert list(found) == ["a_parameter_reaches_the_wire_everywhere"]
    assert "user='somebody' is declared, and what is sent is the same" in str(found)


def test_who_draws_by_itself_is_judged_by_what_it_draws() -> None:
    class Suite(InsideSuite):
        host = Nobody

    found = verdicts(Suite, Drawing)
    assert {one.partition(":")[0] for one in found.values()} == {"not applicable"}
    assert "a_mask_marks_its_pixels_everywhere" not in found
    assert found["troubles_are_the_same_errors_everywhere"] == (
        "not applicable: its host knows none of these troubles"
    )


def test_an_engine_may_do_by_itself_what_is_asked_for() -> None:
    assert [one for one in verdicts(InsideSuite, Deaf).values() if one.startswith("failed")] == []
