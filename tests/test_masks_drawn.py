"""Masks by shapes, and masks of another size than their picture."""

from __future__ import annotations

import io
import itertools
import json
import math
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from PIL import ImageChops, ImageDraw, ImageOps
from pydantic import ValidationError

import imagekit
from imagekit import (
    Capabilities,
    Client,
    ConfigurationError,
    ImageInput,
    ImagekitError,
    ImageRequest,
    Mask,
    Noticed,
    ProviderFile,
    RequestError,
    State,
    UnsupportedRequestError,
)
from imagekit._pillow import edit_map, upright
from imagekit._prepared import prepared
from imagekit.provider import Config, hookimpl
from imagekit.testing import Played, play
from imagekit_sketch import Sketch
from serving import serving

CONVENTIONS = ("transparent", "opaque", "white", "black")
WIDE, HIGH = 48, 32
STATE = State(provider="toy", payload={})


def saved(picture: Pillow.Image, form: str = "PNG", **how: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, form, **how)
    return out.getvalue()


def plain(width: int = WIDE, height: int = HIGH, form: str = "PNG", **how: Any) -> bytes:
    return saved(Pillow.new("RGB", (width, height), (90, 160, 40)), form, **how)


def turned(orientation: int, picture: Pillow.Image, form: str = "JPEG") -> bytes:
    """*picture* as a camera keeps it that was held otherwise."""
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    return saved(picture, form, exif=exif)


def able(mask: Any = "white", *inputs: Any) -> Capabilities:
    ways = frozenset({"bytes", *inputs})
    return Capabilities(operations=frozenset({"edit"}), mask=mask, inputs=ways)


def ready(
    mask: Mask, picture: Any = None, wanted: Any = "white", unsupported: Any = "adapt"
) -> Played:
    request = ImageRequest(
        prompt="a hat", images=picture or plain(), mask=mask, unsupported=unsupported
    )
    return play(prepared(request, able(wanted), "toy"))


def edits(played: Played) -> Pillow.Image:
    """What the mask that a provider gets lets change."""
    mask = played.response.mask
    return edit_map(mask.image.data, mask.edit_where)


def rectangle(box: tuple[int, int, int, int], size: tuple[int, int] = (WIDE, HIGH)) -> bytes:
    """255 inside of *box*, as Pillow pastes it."""
    sheet = Pillow.new("L", size)
    sheet.paste(255, box)
    return sheet.tobytes()


def inverted(levels: bytes) -> bytes:
    return bytes(255 - level for level in levels)


class TestWhatIsSaid:
    @pytest.mark.parametrize(
        "mask",
        [
            Mask.box((1, 2, 30, 20)),
            Mask.box((1, 2, 30, 20), (0, 0, 5, 5), edit="outside"),
            Mask.polygon([(0, 0), (0.5, 1), (1, 0)], unit="fraction"),
            Mask.polygon([[0, 0], [9, 9], [0, 9]], [[1, 1], [2, 2], [3, 1]]),
            Mask.model_validate({"boxes": [[1, 2, 3, 4]], "polygons": [[[0, 0], [9, 9], [0, 9]]]}),
        ],
    )
    def test_goes_to_json_and_back_inside_a_request(self, mask: Mask) -> None:
        request = ImageRequest(prompt="a hat", images=plain(), mask=mask)
        again = ImageRequest.model_validate_json(request.model_dump_json())
        assert (again, hash(again.mask)) == (request, hash(mask))
        assert ImageRequest.model_validate(request.model_dump()) == request

    def test_is_short_in_json(self) -> None:
        assert json.loads(Mask.box((1, 2, 30, 20)).model_dump_json()) == {"boxes": [[1, 2, 30, 20]]}
        picture = Mask(b"x", edit_where="white").model_dump(mode="json")
        assert sorted(picture) == ["edit_where", "image"]

    def test_is_short_in_a_repr(self) -> None:
        assert repr(Mask.box((1, 2, 30, 20))) == (
            "Mask(edit='inside', box=(1.0, 2.0, 30.0, 20.0), unit='pixel')"
        )
        assert repr(Mask.box((1, 2, 3, 4), (1, 2, 3, 4))) == (
            "Mask(edit='inside', boxes=2, unit='pixel')"
        )
        many = [(at, at * at) for at in range(900)]
        assert repr(Mask.polygon(many, many, edit="outside")) == (
            "Mask(edit='outside', polygons=2, points=1800, unit='pixel')"
        )

    def test_has_no_picture_until_it_is_drawn(self) -> None:
        mask = Mask.box((1, 2, 30, 20))
        assert mask.shaped
        for name in ("image", "edit_where"):
            with pytest.raises(RequestError, match=r"is no picture yet: it is drawn when it is"):
                getattr(mask, name)
        assert not Mask(b"x", edit_where="white").shaped

    @pytest.mark.parametrize(
        ("box", "why"),
        [
            ((30, 2, 1, 20), r"\(30, 2, 1, 20\) has nothing between its sides"),
            ((1, 20, 30, 20), "has nothing between its sides"),
            ((1, 2, math.nan, 20), "finite"),
            ((1, 2, math.inf, 20), "finite"),
            ((1, 2, 2e6, 20), "less than or equal to 1000000"),
            ((1, 2, 30), "Field required"),
            ((1, 2, 3, 4, 5), "at most 4 items"),
            ((0, 0, 1, 1), "all of that is the first pixel; fractions are unit='fraction'"),
            ((0.25, 0.1, 0.75, 0.5), "fractions are unit='fraction'"),
        ],
    )
    def test_a_box_that_is_none_is_refused(self, box: Any, why: str) -> None:
        with pytest.raises(ValidationError, match=why):
            Mask.box(box)

    @pytest.mark.parametrize("beyond", [-1.5, 2.5, 512])
    def test_pixels_are_no_fractions(self, beyond: float) -> None:
        with pytest.raises(ValidationError, match=f"from 0 to 1, not {beyond:g}; pixels are"):
            Mask.polygon([(0, 0), (beyond, 0.5), (0.5, 1)], unit="fraction")

    def test_a_fraction_may_reach_a_little_beyond(self) -> None:
        mask = Mask.box((-0.1, 0.5, 1.1, 1.5), unit="fraction")
        assert edits(ready(mask)).tobytes() == rectangle((0, HIGH // 2, WIDE, HIGH))

    @pytest.mark.parametrize("count", [0, 1, 2])
    def test_a_polygon_has_three_points(self, count: int) -> None:
        with pytest.raises(ValidationError, match=f"at least three points, not {count}"):
            Mask.polygon([(9, 9)] * count)

    def test_a_stranger_cannot_say_more_than_can_be_drawn(self) -> None:
        many = [[0, 0], [9, 9], [0, 9]] * 300
        for data in (
            {"polygons": [many * 3]},
            {"polygons": [many, many, many]},
            {"polygons": [many[:3]] * 101},
            {"boxes": [[1, 2, 3, 4]] * 101},
        ):
            with pytest.raises(ValidationError, match="at most"):
                Mask.model_validate(data)

    @pytest.mark.parametrize(
        ("data", "why"),
        [
            ({"boxes": []}, "Field required"),
            ({"boxes": [[1, 2, 3, 4]], "edit": "around"}, "'inside' or 'outside'"),
            ({"boxes": [[1, 2, 3, 4]], "unit": "metre"}, "'pixel' or 'fraction'"),
            ({"boxes": [[1, 2, 3, 4]], "image": {"url": "https://a.example/b"}}, "not both"),
            ({"polygons": [[[0, 0], [5, 5], [0, 5]]], "edit_where": "white"}, "not both"),
            (
                {"image": {"url": "https://a.example/b"}, "edit_where": "white", "edit": "outside"},
                "a picture has edit_where",
            ),
        ],
    )
    def test_data_that_makes_no_sense_is_refused(self, data: Any, why: str) -> None:
        with pytest.raises(ValidationError, match=why):
            Mask.model_validate(data)

    def test_nothing_else_is_complained_of_beside_wrong_shapes(self) -> None:
        with pytest.raises(ValidationError) as caught:
            Mask.model_validate({"boxes": [["left"]]})
        assert {error["loc"][0] for error in caught.value.errors()} == {"boxes"}

    def test_what_is_no_mapping_is_no_mask(self) -> None:
        with pytest.raises(ValidationError, match="valid dictionary or instance of Mask"):
            Mask.model_validate("hat.png")

    def test_is_taken_as_a_mapping_by_a_call(self) -> None:
        request = ImageRequest(prompt="x", images=plain(), mask={"boxes": [(1, 2, 3, 4)]})
        assert request.mask == Mask.box((1, 2, 3, 4))


class TestDrawn:
    @pytest.mark.parametrize("wanted", CONVENTIONS)
    @pytest.mark.parametrize("edit", ["inside", "outside"])
    def test_a_box_is_what_pillow_would_paste(self, wanted: Any, edit: Any) -> None:
        box = (5, 3, 20, 30)
        played = ready(Mask.box(box, edit=edit), wanted=wanted)
        inside = rectangle(box)
        assert edits(played).tobytes() == (inside if edit == "inside" else inverted(inside))
        assert edits(played).size == (WIDE, HIGH)
        assert played.response.mask.edit_where == wanted
        assert played.response.mask.image.filename == "mask.png"
        assert played.events == []

    def test_a_box_is_cut_off_at_the_edges(self) -> None:
        played = ready(Mask.box((-100, -5, 10.4, 1000)))
        assert edits(played).tobytes() == rectangle((0, 0, 10, HIGH))

    def test_fractions_are_of_the_width_and_the_height(self) -> None:
        played = ready(Mask.box((0.25, 0.5, 0.75, 1), unit="fraction"))
        assert edits(played).tobytes() == rectangle((12, 16, 36, 32))

    def test_several_boxes_and_polygons_are_one_mask(self) -> None:
        square = [[20, 2], [30, 2], [30, 9], [20, 9]]
        data = {
            "boxes": [[0, 0, 9, 9], [5, 5, 12, 12]],
            "polygons": [square],
        }
        parts = [rectangle(box) for box in ((0, 0, 9, 9), (5, 5, 12, 12), (20, 2, 30, 9))]
        together = bytes(map(max, *parts))
        assert edits(ready(Mask.model_validate(data))).tobytes() == together

    def test_a_polygon_is_about_what_pillow_draws(self) -> None:
        points = [(4.5, 2.0), (44.2, 9.7), (30.1, 29.4), (11.0, 20.3), (2.2, 28.8)]
        sheet = Pillow.new("L", (WIDE, HIGH))
        ImageDraw.Draw(sheet).polygon(points, fill=255)
        differs = ImageChops.difference(edits(ready(Mask.polygon(points))), sheet)
        # Pillow draws the edge with it.
        edge = Pillow.new("L", (WIDE, HIGH))
        ImageDraw.Draw(edge).line([*points, points[0]], fill=255, width=3)
        assert ImageChops.subtract(differs, edge).getbbox() is None

    @settings(deadline=None, max_examples=60)
    @given(
        points=st.lists(
            st.tuples(st.floats(-20, 40, width=16), st.floats(-20, 40, width=16)),
            min_size=3,
            max_size=9,
        )
    )
    def test_a_pixel_is_inside_where_its_middle_is(self, points: list[tuple[float, float]]) -> None:
        side = 16
        wanted = bytearray()
        for y, x in itertools.product(range(side), repeat=2):
            crossed = 0
            for (ax, ay), (bx, by) in zip(points, [*points[1:], points[0]], strict=True):
                if (ay > y + 0.5) != (by > y + 0.5):
                    crossed += x + 0.5 >= ax + (y + 0.5 - ay) * (bx - ax) / (by - ay)
            wanted.append(255 * (crossed % 2))
        if all(0 <= one <= 1 for point in points for one in point):
            return  # those are no pixels
        if any(wanted):
            assert edits(ready(Mask.polygon(points), plain(side, side))).tobytes() == bytes(wanted)
            return
        with pytest.raises(RequestError, match="no pixel of the picture"):
            ready(Mask.polygon(points), plain(side, side))

    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
    def test_is_measured_on_the_picture_as_it_is_seen(self, orientation: int, form: str) -> None:
        noise = Pillow.effect_noise((WIDE, HIGH), 90).convert("RGB")
        data = turned(orientation, noise, form)
        seen = ImageOps.exif_transpose(Pillow.open(io.BytesIO(data)))
        assert upright(data).convert("RGB").tobytes() == seen.convert("RGB").tobytes()
        played = ready(Mask.box((2, 3, 30, 20)), data)
        assert edits(played).size == seen.size
        assert edits(played).tobytes() == rectangle((2, 3, 30, 20), seen.size)
        # The picture itself stays as it is.
        assert played.response.images[0].data == data

    @pytest.mark.filterwarnings("ignore:Corrupt EXIF")
    @pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
    @pytest.mark.parametrize("exif", [b"II*\0\xff\xff\xff\xff and so on", b"nothing", b"II*\0"])
    def test_exif_that_cannot_be_read_turns_nothing(self, exif: bytes, form: str) -> None:
        picture = plain(form=form, exif=b"Exif\0\0" + exif)
        played = ready(Mask.box((2, 3, 30, 20)), picture)
        assert edits(played).tobytes() == rectangle((2, 3, 30, 20))

    def test_is_for_the_first_picture_that_is_no_markup(self) -> None:
        marks = ImageInput(data=plain(9, 9), role="markup")
        played = ready(Mask.box((2, 3, 30, 20)), [marks, plain(), plain(7, 7)])
        assert edits(played).size == (WIDE, HIGH)

    def test_a_picture_that_pillow_cannot_read_is_measured_by_its_head(self) -> None:
        svg = b'<svg xmlns="http://www.w3.org/2000/svg" width="20" height="10"></svg>'
        assert edits(ready(Mask.box((2, 3, 9, 9)), svg)).size == (20, 10)

    @pytest.mark.parametrize(
        "head", [b"", b' width="20"', b' width="999999999" height="999999999"']
    )
    def test_a_picture_that_nobody_can_measure_is_an_error(self, head: bytes) -> None:
        svg = b'<svg xmlns="http://www.w3.org/2000/svg"' + head + b"></svg>"
        with pytest.raises(RequestError, match="the size of the picture that is edited cannot be"):
            ready(Mask.box((2, 3, 9, 9)), svg)

    @pytest.mark.parametrize(
        ("mask", "where"),
        [
            (Mask.box((100, 0, 120, 9)), "inside"),
            (Mask.box((3.6, 3.6, 4.4, 4.4)), "inside"),
            (Mask.box((-50, -50, -1, -1), edit="outside"), "inside"),
            (Mask.polygon([(1, 1), (9, 9), (20, 20)]), "inside"),
            (Mask.box((-9, -9, 900, 900), edit="outside"), "outside"),
        ],
    )
    def test_that_marks_no_pixel_is_an_error(self, mask: Mask, where: str) -> None:
        with pytest.raises(RequestError) as caught:
            ready(mask)
        assert str(caught.value) == (
            f"no pixel of the picture, which is 48x32, is {where} of the mask: {mask!r}"
        )

    @pytest.mark.parametrize(
        ("images", "state", "where"),
        [
            ((), STATE, "in a state"),
            ((ProviderFile("file-1"),), None, r"not here \(file-1\)"),
            (("https://a.example/b.png?secret",), None, r"not here \(https://a.example/b.png\?…\)"),
            (
                (ProviderFile("file-1"), ImageInput(path="gone.png")),
                None,
                r"not here \(file-1\)",
            ),
        ],
    )
    def test_without_the_picture_it_is_an_error_before_anything_is_read(
        self, images: Any, state: Any, where: str
    ) -> None:
        request = ImageRequest(prompt="x", images=images, state=state, mask=Mask.box((1, 2, 3, 4)))
        played = Played()
        with pytest.raises(RequestError, match=f"and that is {where}: give the picture as bytes"):
            play(prepared(request, able("white", "url", "file"), "toy"), into=played)
        assert played.requests == []

    def test_a_picture_that_is_fetched_is_measured(self) -> None:
        request = ImageRequest(
            prompt="x", images="https://a.example/b.png", mask=Mask.box((1, 2, 3, 4))
        )
        found = imagekit.provider.HttpResponse(200, {"content-type": "image/png"}, plain())
        played = play(prepared(request, able(), "toy"), found)
        assert edits(played).tobytes() == rectangle((1, 2, 3, 4))

    def test_needs_pillow_and_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        picture = plain()
        monkeypatch.setitem(sys.modules, "PIL", None)
        with pytest.raises(ConfigurationError, match="pip install 'imagekit"):
            ready(Mask.box((1, 2, 3, 4)), picture)

    def test_a_hostile_polygon_is_drawn_in_time(self) -> None:
        points = [(at * 7919 % 2000, at * 104729 % 2000) for at in range(2000)]
        assert edits(ready(Mask.polygon(points), plain(2000, 2000))).getbbox() is not None


def masked(size: tuple[int, int], convention: str = "white") -> bytes:
    """A mask whose left half may change."""
    sheet = Pillow.new("L", size, 255 if convention in ("transparent", "black") else 0)
    sheet.paste(255 - sheet.getpixel((0, 0)), (0, 0, size[0] // 2, size[1]))
    if convention in ("transparent", "opaque"):
        picture = Pillow.new("RGB", size, "teal")
        picture.putalpha(sheet)
        return saved(picture)
    return saved(sheet)


@pytest.mark.parametrize("given_", CONVENTIONS)
@pytest.mark.parametrize("wanted", CONVENTIONS)
class TestFitted:
    @pytest.mark.parametrize("size", [(96, 64), (24, 16), (480, 320), (49, 32), (47, 32), (24, 15)])
    def test_a_mask_of_the_same_shape_is_brought_to_the_size_of_the_picture(
        self, given_: Any, wanted: Any, size: Any
    ) -> None:
        played = ready(Mask(masked(size, given_), edit_where=given_), wanted=wanted)
        left, _, right, bottom = edits(played).getbbox()
        assert edits(played).size == (WIDE, HIGH)
        assert (left, abs(right - WIDE // 2) <= 1, bottom) == (0, True, HIGH)
        assert set(edits(played).tobytes()) == {0, 255}
        (event,) = played.events
        assert isinstance(event, Noticed)
        own = f"{size[0]}x{size[1]}"
        assert event.notice.model_dump() == {
            "kind": "adjusted",
            "feature": "mask",
            "detail": f"it is {own} and the picture 48x32: it was fitted",
            "wanted": own,
            "used": "48x32",
        }

    @pytest.mark.parametrize(
        "size", [(32, 48), (48, 48), (64, 64), (100, 64), (46, 32), (1024, 640)]
    )
    @pytest.mark.parametrize("policy", ["adapt", "error", "ignore"])
    def test_a_mask_of_another_shape_is_refused(
        self, given_: Any, wanted: Any, size: Any, policy: Any
    ) -> None:
        mask = Mask(masked(size, given_), edit_where=given_)
        with pytest.raises(RequestError) as caught:
            ready(mask, wanted=wanted, unsupported=policy)
        assert str(caught.value) == (
            f"the mask is {size[0]}x{size[1]} and the picture 48x32, which is another shape: "
            "is it the mask of another picture?"
        )

    def test_under_error_nothing_is_fitted(self, given_: Any, wanted: Any) -> None:
        mask = Mask(masked((96, 64), given_), edit_where=given_)
        with pytest.raises(UnsupportedRequestError) as caught:
            ready(mask, wanted=wanted, unsupported="error")
        assert str(caught.value) == (
            "the mask is 96x64 and the picture 48x32; unsupported='adapt' fits it"
        )

    def test_under_ignore_it_is_fitted_without_a_word(self, given_: Any, wanted: Any) -> None:
        mask = Mask(masked((96, 64), given_), edit_where=given_)
        played = ready(mask, wanted=wanted, unsupported="ignore")
        assert (edits(played).size, played.events) == ((WIDE, HIGH), [])

    @pytest.mark.parametrize("size", [(WIDE, HIGH), (96, 64)])
    def test_what_is_prepared_is_not_prepared_again(
        self, given_: Any, wanted: Any, size: Any
    ) -> None:
        mask = Mask(ImageInput(data=masked(size, given_), name="m.png"), edit_where=given_)
        once = ready(mask, wanted=wanted).response
        again = play(prepared(once, able(wanted), "toy"))
        assert (again.response, again.events) == (once, [])
        assert once == ImageRequest.model_validate_json(once.model_dump_json())


@pytest.mark.parametrize("wanted", CONVENTIONS)
@pytest.mark.parametrize(
    "mask",
    [
        Mask.box((1, 2, 30, 20)),
        Mask.polygon([(0, 0), (0.5, 1), (1, 0)], unit="fraction", edit="outside"),
    ],
)
def test_what_is_drawn_is_not_drawn_again(mask: Mask, wanted: Any) -> None:
    once = ready(mask, wanted=wanted).response
    again = play(prepared(once, able(wanted), "toy"))
    assert again.response == once
    assert again.events == []


@pytest.mark.parametrize("picture", [ProviderFile("file-1"), "https://a.example/b.png"])
def test_where_no_size_is_known_a_mask_stays_as_it_is(picture: Any) -> None:
    data = masked((96, 64))
    request = ImageRequest(
        prompt="x", images=picture, mask=Mask(data, edit_where="white"), unsupported="error"
    )
    played = play(prepared(request, able("white", "url", "file"), "toy"))
    assert (played.response.mask.image.data, played.events) == (data, [])


def test_what_is_lost_in_fitting_is_an_error() -> None:
    sheet = Pillow.new("L", (480, 320))
    sheet.putpixel((0, 0), 255)
    with pytest.raises(RequestError, match="nothing to edit: once it is fitted to 48x32, no pixel"):
        ready(Mask(saved(sheet), edit_where="white"))


def test_a_mask_that_is_turned_marks_what_is_seen() -> None:
    # Held on its side: what is left of it is up.
    data = turned(6, Pillow.open(io.BytesIO(masked((HIGH, WIDE)))))
    played = ready(Mask(data, edit_where="white"), wanted="black")
    assert edits(played).size == (WIDE, HIGH)
    seen = ImageOps.exif_transpose(Pillow.open(io.BytesIO(data))).convert("L")
    assert edits(played).tobytes() == seen.tobytes()


class Turned(Sketch):
    """Sketch, as if it read masks by another convention: it is told in its own by Pillow alone."""

    convention: Any = "white"

    def capabilities(self, model: str | None) -> Capabilities:
        return super().capabilities(model).model_copy(update={"mask": self.convention})

    def flow(self, request: ImageRequest, *, stream: bool) -> Any:
        assert request.mask is not None
        picture = Pillow.open(io.BytesIO(request.mask.image.data or b""))
        assert picture.mode == ("RGBA" if self.convention in ("transparent", "opaque") else "L")
        level = picture.getchannel("A" if picture.mode == "RGBA" else 0)
        if self.convention in ("transparent", "black"):
            level = ImageOps.invert(level)
        mask = Mask(saved(level), edit_where="white")
        return super().flow(request.model_copy(update={"mask": mask}), stream=stream)


class Plugin:
    def __init__(self, provider: Any) -> None:
        self.provider = provider

    @hookimpl
    def imagekit_provider(self, config: Config) -> Any:
        return self.provider


SOURCE = saved(Pillow.effect_mandelbrot((120, 80), (-2, -1.2, 1, 1.2), 60).convert("RGB"))
BOX = (30, 20, 90, 60)


def changes(result: bytes) -> Pillow.Image:
    """Where *result* is another picture than the source."""
    one, other = (Pillow.open(io.BytesIO(data)).convert("RGB") for data in (SOURCE, result))
    differs = ImageChops.difference(one, other).convert("L")
    return differs.point(lambda level: 255 * (level > 0))


@pytest.mark.parametrize("edit", ["inside", "outside"])
class TestEndToEnd:
    def looks_right(self, result: bytes, edit: str) -> None:
        allowed = Pillow.frombytes("L", (120, 80), rectangle(BOX, (120, 80)))
        if edit == "outside":
            allowed = ImageOps.invert(allowed)
        found = changes(result)
        assert ImageChops.subtract(found, allowed).getbbox() is None
        assert found.histogram()[255] > 0.5 * allowed.histogram()[255]

    def test_every_convention_edits_the_same_pixels(self, edit: Any) -> None:
        mask = Mask.box(BOX, edit=edit)
        results = set()
        for convention in CONVENTIONS:
            provider = Turned()
            provider.convention = convention
            with Client(provider="turned", env={}) as client:
                client.plugins.register(Plugin(provider), "turned")
                response = client.edit("a red balloon", SOURCE, mask=mask)
            results.add(response.image.data)
            assert response.notices == ()
        (result,) = results
        self.looks_right(result, edit)

    def test_over_a_wire(self, edit: Any) -> None:
        with (
            serving(provider="sketch") as server,
            Client(provider="openai-images", base_url=server.url, env={}) as client,
        ):
            response = client.edit(
                "a red balloon", SOURCE, mask=Mask.box(BOX, edit=edit), output_format="png"
            )
        self.looks_right(response.image.read(), edit)

    def test_the_notice_of_a_fitted_mask_is_in_the_response(self, edit: Any) -> None:
        small = Pillow.open(io.BytesIO(masked((60, 40))))
        mask = Mask(saved(small), edit_where="white" if edit == "inside" else "black")
        response = imagekit.edit("a hat", SOURCE, mask=mask, provider="sketch")
        assert [str(one) for one in response.notices] == [
            "adjusted: mask: it is 60x40 and the picture 120x80: it was fitted"
        ]

    def test_a_mask_that_cannot_be_drawn_costs_nothing(self, edit: Any) -> None:
        mask = Mask.box((500, 500, 600, 600), edit=edit)
        with pytest.raises(ImagekitError) as caught:
            imagekit.edit("a hat", SOURCE, mask=mask, provider="sketch")
        assert type(caught.value) is RequestError
        assert caught.value.response is not None
        assert caught.value.response.images == ()
