"""How much changed that a mask protects."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFilter

import imagekit
from imagekit import Image, ImageInput, ImageRequest, Mask, Notice, ProviderFile
from imagekit._masking import outside
from imagekit._prepared import prepared
from imagekit.provider import Capabilities
from imagekit.testing import play

CONVENTIONS = ("transparent", "opaque", "white", "black")
SIZE = (384, 256)
BOX = (120, 80, 264, 176)
LOSSY = [("JPEG", 75), ("WEBP", 75)]


def saved(picture: Pillow.Image, form: str = "PNG", **how: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, form, **how)
    return out.getvalue()


@cache
def natural(name: str) -> Pillow.Image:
    """A picture with edges, gradients and grain, as photographs and drawings have them."""
    if name == "grain":
        channels = [
            Pillow.effect_noise(SIZE, 50).filter(ImageFilter.GaussianBlur(radius))
            for radius in (1.2, 2, 4)
        ]
        return Pillow.merge("RGB", channels)
    if name == "gradient":
        ramp = Pillow.linear_gradient("L").resize(SIZE)
        return Pillow.merge(
            "RGB", (ramp, ramp.rotate(180), Pillow.radial_gradient("L").resize(SIZE))
        )
    return drawing(name)


def drawing(prompt: str) -> Pillow.Image:
    made = imagekit.generate(prompt, provider="sketch", size=SIZE).image
    return made.to_pil().convert("RGB")


NATURAL = ("grain", "gradient", "a bicycle by the sea", "a forest at dusk", "a market in the rain")


def repainted(picture: Pillow.Image, box: tuple[int, ...], colour: Any = "magenta") -> Pillow.Image:
    """*picture*, of which *box* is another."""
    picture = picture.copy()
    picture.paste(Pillow.new(picture.mode, (box[2] - box[0], box[3] - box[1]), colour), box[:2])
    return picture


def asked(
    source: Pillow.Image | bytes, mask: Mask | None = None, convention: Any = "white"
) -> ImageRequest:
    """An edit of a box of *source*, prepared for a provider of that convention."""
    data = source if isinstance(source, bytes) else saved(source)
    request = ImageRequest(prompt="a hat", images=data, mask=mask or Mask.box(BOX))
    able = Capabilities(operations=frozenset({"edit"}), mask=convention)
    return play(prepared(request, able, "toy")).response


def found(ready: ImageRequest, result: Pillow.Image | bytes) -> Sequence[Notice]:
    data = result if isinstance(result, bytes) else saved(result)
    played = play(outside(ready, Image(data=data)))
    assert (played.events, played.requests) == ([], [])
    return played.response


def share(ready: ImageRequest, result: Pillow.Image | bytes) -> float:
    """The percentage that the one notice tells."""
    (notice,) = found(ready, result)
    assert (notice.kind, notice.feature, notice.wanted) == ("delivered-differs", "mask", "0 %")
    assert notice.used is not None
    assert notice.detail == f"{notice.used} of what the mask protects changed"
    return float(notice.used.removesuffix(" %"))


def unchecked(ready: ImageRequest, image: Image) -> str:
    (notice,) = play(outside(ready, image)).response
    assert (notice.kind, notice.feature) == ("other", "mask")
    assert notice.detail.startswith("not checked: ")
    return notice.detail.removeprefix("not checked: ")


@pytest.mark.parametrize("convention", CONVENTIONS)
class TestEveryConvention:
    def test_an_edit_of_what_may_change_is_fine(self, convention: str) -> None:
        source = natural("a forest at dusk")
        assert found(asked(source, convention=convention), repainted(source, BOX)) == ()
        mask = Mask.box(BOX, edit="outside")
        around = Pillow.new("RGB", SIZE, "magenta")
        around.paste(source.crop(BOX), BOX[:2])
        assert found(asked(source, mask, convention), around) == ()

    def test_a_change_elsewhere_is_told(self, convention: str) -> None:
        source = natural("a forest at dusk")
        inside = asked(source, convention=convention)
        around = asked(source, Mask.box(BOX, edit="outside"), convention)
        whole = Pillow.new("RGB", SIZE, "magenta")
        assert share(inside, whole) == share(around, whole) == 100.0
        assert share(around, repainted(source, BOX)) == 100.0

    def test_as_much_is_told_as_changed(self, convention: str) -> None:
        source = Pillow.new("RGB", SIZE, (90, 160, 40))
        result = repainted(source, (0, 0, 384, 64))
        protected = 384 * 256 - 152 * 104  # a margin of four pixels is not looked at
        wanted = 100 * 384 * 64 / protected
        assert abs(share(asked(source, convention=convention), result) - wanted) < 0.06


@pytest.mark.parametrize("name", NATURAL)
class TestFalseAlarms:
    @pytest.mark.parametrize(("form", "quality"), LOSSY)
    @pytest.mark.parametrize("size", [SIZE, (768, 512), (192, 128), (512, 341)])
    def test_what_a_lossy_format_or_another_size_does_to_a_picture_is_no_change(
        self, name: str, form: str, quality: int, size: Any
    ) -> None:
        result = repainted(natural(name), BOX).resize(size, Pillow.Resampling.BICUBIC)
        assert found(asked(natural(name)), saved(result, form, quality=quality)) == ()

    @pytest.mark.parametrize(("form", "quality"), LOSSY)
    def test_nor_is_it_when_the_source_was_lossy(self, name: str, form: str, quality: int) -> None:
        source = saved(natural(name), form, quality=quality)
        result = repainted(Pillow.open(io.BytesIO(source)).convert("RGB"), BOX)
        assert found(asked(source), saved(result, form, quality=quality)) == ()

    @pytest.mark.parametrize(("form", "quality"), [("PNG", None), *LOSSY])
    @pytest.mark.parametrize("size", [SIZE, (768, 512), (192, 128)])
    def test_a_real_change_is_told_all_the_same(
        self, name: str, form: str, quality: Any, size: Any
    ) -> None:
        result = natural(name).copy()
        ImageDraw.Draw(result).ellipse((20, 20, 90, 90), fill="magenta")
        how = {"quality": quality} if quality else {}
        small = result.resize(size, Pillow.Resampling.BICUBIC)
        assert 4 < share(asked(natural(name)), saved(small, form, **how)) < 6.5


@pytest.mark.parametrize(("width", "told"), [(200, False), (210, True)])
def test_less_than_half_a_percent_is_nobodys_concern(width: int, told: bool) -> None:
    source = Pillow.new("RGB", SIZE, "white")
    result = repainted(source, (0, 0, width, 2), "black")
    assert bool(found(asked(source), result)) is told


@pytest.mark.parametrize(("by", "told"), [(16, False), (17, True)])
@pytest.mark.parametrize("channel", [0, 1, 2])
def test_a_channel_may_differ_by_sixteen(by: int, told: bool, channel: int) -> None:
    colour = [100, 100, 100]
    colour[channel] += by
    result = Pillow.new("RGB", SIZE, tuple(colour))
    assert bool(found(asked(Pillow.new("RGB", SIZE, (100, 100, 100))), result)) is told


class TestTransparency:
    def test_is_looked_at_over_white(self) -> None:
        clear = Pillow.new("RGBA", SIZE, (0, 0, 0, 0))
        ready = asked(clear)
        assert found(ready, Pillow.new("RGBA", SIZE, (200, 0, 0, 0))) == ()
        assert found(ready, Pillow.new("RGB", SIZE, "white")) == ()
        assert share(ready, Pillow.new("RGBA", SIZE, (0, 0, 0, 128))) == 100.0

    def test_of_the_picture_itself_may_be_the_mask(self) -> None:
        picture = Pillow.new("RGBA", SIZE, (90, 160, 40, 255))
        picture.paste((0, 0, 0, 0), BOX)
        data = saved(picture)
        ready = asked(data, Mask(data, edit_where="transparent"), "transparent")
        assert found(ready, repainted(picture.convert("RGB"), BOX)) == ()


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "I;16", "1", "LA"])
def test_pictures_of_any_mode_are_compared(mode: str) -> None:
    level = natural("gradient").convert("L")
    if mode == "I;16":
        deep = b"".join((one * 257).to_bytes(2, "little") for one in level.tobytes())
        source = Pillow.frombytes("I;16", SIZE, deep)
    else:
        source = level.convert("RGB").convert(mode)
    data = saved(source, "TIFF" if mode == "CMYK" else "PNG")
    same = level.convert("1") if mode == "1" else level
    assert found(asked(data), same.convert("RGB")) == ()
    assert share(asked(data), Pillow.new("RGB", SIZE, "magenta")) > 90


def test_a_picture_is_compared_as_it_is_seen() -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 6
    lying = natural("a forest at dusk").transpose(Pillow.Transpose.ROTATE_90)
    data = saved(lying, "JPEG", quality=95, exif=exif)
    assert found(asked(data), natural("a forest at dusk")) == ()


def test_what_is_softly_masked_may_change() -> None:
    level = Pillow.linear_gradient("L").resize(SIZE).point(lambda one: max(one, 17))
    ready = asked(natural("grain"), Mask(saved(level), edit_where="white"))
    assert found(ready, Pillow.new("RGB", SIZE, "magenta")) == ()


def test_a_mask_that_is_lossy_protects_all_the_same() -> None:
    level = Pillow.new("L", SIZE, 0)
    level.paste(255, BOX)
    ready = asked(natural("grain"), Mask(saved(level, "JPEG", quality=75), edit_where="white"))
    assert share(ready, Pillow.new("RGB", SIZE, "magenta")) == 100.0


def test_a_mask_that_protects_nothing_has_nothing_to_tell() -> None:
    ready = asked(natural("grain"), Mask.box((0, 0, 1, 1), unit="fraction"))
    assert found(ready, Pillow.new("RGB", SIZE, "magenta")) == ()


def test_without_a_mask_there_is_nothing_to_check() -> None:
    assert found(ImageRequest(prompt="a hat", images=saved(natural("grain"))), b"") == ()


def test_a_size_that_is_nearly_the_same_shape_is_compared() -> None:
    source = natural("gradient")
    assert found(asked(source), source.resize((387, 256))) == ()


class TestNotChecked:
    RESULT = Image(data=saved(Pillow.new("RGB", SIZE)))

    def test_where_the_result_is_of_another_shape(self) -> None:
        square = Image(data=saved(Pillow.new("RGB", (256, 256))))
        assert unchecked(asked(natural("grain")), square) == (
            "the picture that came is 256x256, which is another shape than the 384x256 of the one "
            "that was edited"
        )

    @pytest.mark.parametrize(
        "data", [b"no picture", b"\x89PNG\r\n\x1a\n cut off", b"<svg xmlns='a'></svg>"]
    )
    def test_where_the_result_cannot_be_read(self, data: bytes) -> None:
        assert "Pillow cannot read the picture" in unchecked(
            asked(natural("grain")), Image(data=data)
        )

    def test_where_the_result_is_a_url(self) -> None:
        image = Image(url="https://a.example/b.png?secret")
        assert (
            unchecked(asked(natural("grain")), image) == "the picture that came is only a URL yet"
        )

    @pytest.mark.parametrize(
        "given", [{"images": ProviderFile("f")}, {"state": {"provider": "toy", "payload": {}}}]
    )
    def test_where_the_source_is_not_here(self, given: Any) -> None:
        ready = ImageRequest(
            prompt="x", mask=Mask(saved(natural("grain")), edit_where="white"), **given
        )
        assert unchecked(ready, self.RESULT) == "the picture that was edited is not here"

    @pytest.mark.parametrize(
        "mask", [Mask(ImageInput(file_id="file-1"), edit_where="white"), Mask.box(BOX)]
    )
    def test_where_the_mask_is_not_here(self, mask: Mask) -> None:
        ready = ImageRequest(prompt="x", images=saved(natural("grain")), mask=mask)
        assert unchecked(ready, self.RESULT) == "the mask is not here"

    def test_without_pillow(self, monkeypatch: pytest.MonkeyPatch) -> None:
        ready = asked(natural("grain"))
        monkeypatch.setitem(sys.modules, "PIL", None)
        assert unchecked(ready, self.RESULT) == (
            "this needs Pillow: pip install 'imagekit[images]'"
        )

    def test_whatever_goes_wrong(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(*_: Any) -> float:
            raise MemoryError("no room")

        monkeypatch.setattr("imagekit._masking.changed", broken)
        assert unchecked(asked(natural("grain")), self.RESULT) == "no room"


def test_what_the_sketch_edits_is_within_its_mask() -> None:
    source = natural("a market in the rain")
    for edit in ("inside", "outside"):
        mask = Mask.box(BOX, edit=edit)  # type: ignore[arg-type]
        made = imagekit.edit("a red balloon", saved(source), mask=mask, provider="sketch").image
        assert play(outside(asked(source, mask), made)).response == ()
        wrong = asked(source, Mask.box((0, 0, 60, 60), edit=edit))  # type: ignore[arg-type]
        assert share(wrong, made.read()) > 5
