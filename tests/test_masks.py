from __future__ import annotations

import io
import itertools
import sys
from typing import Any

import pytest
from PIL import Image as Pillow

from imagekit import (
    Capabilities,
    ConfigurationError,
    ImageRequest,
    Mask,
    Noticed,
    RequestError,
)
from imagekit._pillow import converted_mask, edit_map
from imagekit._prepared import prepared
from imagekit.testing import play

CONVENTIONS = ("transparent", "opaque", "white", "black")
# How much each pixel may change: not at all, wholly, and softly.
EDIT = bytes([0, 255, 1, 254, 64, 128, 200, 0, 255])
SIDES = (3, 3)


def saved(picture: Pillow.Image, form: str = "PNG", **how: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, form, **how)
    return out.getvalue()


def drawn(convention: str, edit: bytes = EDIT) -> bytes:
    """A mask that marks *edit* by *convention*."""
    level = edit if convention in ("opaque", "white") else bytes(255 - one for one in edit)
    picture = Pillow.frombytes("L", SIDES, level)
    if convention in ("transparent", "opaque"):
        alpha, picture = picture, Pillow.new("RGB", SIDES, "teal")
        picture.putalpha(alpha)
    return saved(picture)


def marked(data: bytes, convention: str) -> bytes:
    """What *data* marks by *convention*, read with nothing but Pillow."""
    picture = Pillow.open(io.BytesIO(data))
    alpha = convention in ("transparent", "opaque")
    level = (picture.getchannel("A") if alpha else picture.convert("L")).tobytes()
    kept = convention in ("transparent", "black")
    return bytes(255 - one for one in level) if kept else level


@pytest.mark.parametrize(("given", "wanted"), list(itertools.product(CONVENTIONS, repeat=2)))
class TestEveryConvention:
    def test_marks_the_same_pixels_in_every_other(self, given: str, wanted: str) -> None:
        assert marked(converted_mask(drawn(given), given, wanted), wanted) == EDIT

    def test_comes_through_a_request(self, given: Any, wanted: Any) -> None:
        able = Capabilities(operations=frozenset({"edit"}), mask=wanted)
        request = ImageRequest(
            prompt="a hat", images=drawn("white"), mask=Mask(drawn(given), edit_where=given)
        )
        mask = play(prepared(request, able, "toy")).response.mask
        assert (mask.edit_where, marked(mask.image.data, wanted)) == (wanted, EDIT)

    def test_that_marks_nothing_is_an_error(self, given: str, wanted: str) -> None:
        with pytest.raises(RequestError) as caught:
            converted_mask(drawn(given, bytes(9)), given, wanted)
        assert str(caught.value) == (
            f"the mask marks nothing to edit: no pixel is {given}; is edit_where={given!r} right?"
        )

    def test_that_marks_everything_is_fine(self, given: str, wanted: str) -> None:
        everything = b"\xff" * 9
        turned = converted_mask(drawn(given, everything), given, wanted)
        assert marked(turned, wanted) == everything


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_a_mask_that_needs_no_turning_stays_the_same_bytes(convention: str) -> None:
    data = drawn(convention) + b"provenance"
    assert converted_mask(data, convention, convention) == data


@pytest.mark.parametrize("wanted", CONVENTIONS)
def test_a_turned_mask_keeps_its_size(wanted: str) -> None:
    data = saved(Pillow.new("L", (7, 5), 100))
    turned = Pillow.open(io.BytesIO(converted_mask(data, "black", wanted)))
    assert turned.size == (7, 5)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK"])
def test_a_mask_may_be_of_any_mode(mode: str) -> None:
    picture = Pillow.frombytes("L", SIDES, bytes([0, 255, 0] * 3)).convert("RGB").convert(mode)
    data = saved(picture, "TIFF" if mode == "CMYK" else "PNG")
    assert edit_map(data, "white").tobytes() == bytes([0, 255, 0] * 3)


def test_a_mask_of_sixteen_bits_is_as_soft_as_one_of_eight() -> None:
    deep = b"".join((level * 257).to_bytes(2, "little") for level in EDIT)
    data = saved(Pillow.frombytes("I;16", SIDES, deep))
    assert edit_map(data, "white").tobytes() == EDIT


def test_a_palette_with_a_transparent_colour_marks_by_it() -> None:
    picture = Pillow.frombytes("P", SIDES, bytes([0, 1, 1] * 3))
    picture.putpalette([10, 20, 30, 40, 50, 60])
    data = saved(picture, transparency=0)
    assert edit_map(data, "transparent").tobytes() == bytes([255, 0, 0] * 3)


def test_transparency_means_nothing_in_a_grey_mask() -> None:
    white = Pillow.new("RGBA", SIDES, (255, 255, 255, 0))
    assert edit_map(saved(white), "white").tobytes() == b"\xff" * 9


def test_a_picture_without_transparency_has_nothing_transparent() -> None:
    assert edit_map(saved(Pillow.new("RGB", SIDES, "white")), "transparent").tobytes() == bytes(9)


class TestWithoutPillow:
    @pytest.fixture(autouse=True)
    def _no_pillow(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "PIL", None)

    ABLE = Capabilities(operations=frozenset({"edit"}), mask="white")
    WHITE, CLEAR = drawn("white"), drawn("transparent")

    def test_a_mask_that_must_be_turned_is_one_line_on_what_to_install(self) -> None:
        request = ImageRequest(
            prompt="a hat", images=self.WHITE, mask=Mask(self.CLEAR, edit_where="transparent")
        )
        with pytest.raises(ConfigurationError) as caught:
            play(prepared(request, self.ABLE, "toy"))
        assert str(caught.value) == "this needs Pillow: pip install 'imagekit[images]'"

    def test_a_mask_that_needs_no_turning_goes_unchecked_with_a_notice(self) -> None:
        request = ImageRequest(
            prompt="a hat", images=self.WHITE, mask=Mask(self.WHITE, edit_where="white")
        )
        played = play(prepared(request, self.ABLE, "toy"))
        (event,) = played.events
        assert isinstance(event, Noticed)
        assert (event.notice.feature, event.notice.detail) == (
            "mask",
            "not checked for an empty part, nor for its size: "
            "this needs Pillow: pip install 'imagekit[images]'",
        )
        assert played.response.mask.image.data == self.WHITE
