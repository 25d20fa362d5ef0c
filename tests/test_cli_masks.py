"""Masks on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from PIL import Image as Pillow
from PIL import ImageChops

import imagekit
from imagekit import Mask
from imagekit._cli._asked import fields_of
from imagekit._cli._main import cli

BOX = ((0.25, 0.1, 0.75, 0.5),)
SIZE = (64, 48)


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Pillow.new("RGB", SIZE, (90, 160, 40)).save("in.png")


def edit(*words: str) -> Result:
    given = ("edit", "a hat", "-i", "in.png", "-p", "sketch", "-o", "out.png", *words)
    return CliRunner().invoke(cli, given)


def asked(**given: Any) -> Mask | None:
    return imagekit.ImageRequest(**fields_of({"images": ["in.png"], **given}, "a hat")).mask


@pytest.mark.parametrize(
    ("given", "mask"),
    [
        ({"mask_boxes": ("1,2,30,40",)}, Mask.box((1, 2, 30, 40))),
        ({"mask_boxes": (" 1, 2.5 ,30, 4e1",)}, Mask.box((1, 2.5, 30, 40))),
        ({"mask_boxes": ("25%,10%,75%,50%",)}, Mask.box(*BOX, unit="fraction")),
        (
            {"mask_boxes": ("1,2,3,4", "5,6,7,8"), "edit_outside": True},
            Mask.box((1, 2, 3, 4), (5, 6, 7, 8), edit="outside"),
        ),
        ({"mask_polygons": ("1,2 30,4 5,60",)}, Mask.polygon([(1, 2), (30, 4), (5, 60)])),
        (
            {"mask_polygons": ("0%,0% 100%,0%  50%,100%",)},
            Mask.polygon([(0, 0), (1, 0), (0.5, 1)], unit="fraction"),
        ),
        (
            {"mask_boxes": ("1,2,3,4",), "mask_polygons": ("1,2 30,4 5,60",)},
            Mask.model_validate(
                {"boxes": [(1, 2, 3, 4)], "polygons": [[(1, 2), (30, 4), (5, 60)]]}
            ),
        ),
        ({}, None),
    ],
)
def test_shapes_reach_the_request(given: Any, mask: Mask | None) -> None:
    assert asked(**given) == mask


def changed() -> Any:
    one, other = (Pillow.open(path).convert("RGB") for path in ("in.png", "out.png"))
    return ImageChops.difference(one, other)


def test_a_box_is_where_the_picture_changes() -> None:
    result = edit("--mask-box", "10,8,40,30")
    assert (result.exit_code, result.stderr) == (0, "")
    left, top, right, bottom = changed().getbbox()
    assert left >= 10
    assert top >= 8
    assert right <= 40
    assert bottom <= 30


def test_outside_of_a_polygon_is_where_the_picture_changes() -> None:
    result = edit("--mask-polygon", "10,8 40,8 40,30 10,30", "--edit-outside")
    assert result.exit_code == 0
    assert changed().crop((10, 8, 40, 30)).getbbox() is None
    assert changed().getbbox() is not None


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--mask-box", "1,2,3"], "--mask-box '1,2,3': say LEFT,TOP,RIGHT,BOTTOM, in pixels, or"),
        (["--mask-box", "1,2,3,4,5"], "say LEFT,TOP,RIGHT,BOTTOM"),
        (["--mask-box", "1,2,3,x"], "say LEFT,TOP,RIGHT,BOTTOM"),
        (["--mask-box", "1%,2,3,4"], "in pixels, or all of them in %"),
        (["--mask-box", "1%,2%,3%,4%%"], "say LEFT,TOP,RIGHT,BOTTOM"),
        (["--mask-box", "1,2,3,4", "--mask-box", "1%,2%,3%,4%"], "all of them in %"),
        (["--mask-box", ""], "--mask-box '': say"),
        (["--mask-polygon", ""], "--mask-polygon '': say 'X,Y X,Y X,Y …'"),
        (["--mask-polygon", "1,2 3 4,5"], "say 'X,Y X,Y X,Y …'"),
        (["--mask-polygon", "1,2,3 4,5,6 7,8,9"], "say 'X,Y X,Y X,Y …'"),
        (["--mask-polygon", "1,2 3,4"], "mask: a polygon has at least three points, not 2"),
        (["--mask-box", "30,2,3,40"], "mask: a box is (left, top, right, bottom), and"),
        (["--mask-box", "nan,2,3,40"], "should be a finite number"),
        (["--mask-box", "90,2,93,40"], "no pixel of the picture, which is 64x48, is inside"),
        (
            ["--mask", "in.png", "--edit-where", "white", "--mask-box", "1,2,3,4"],
            "--mask is a picture; --mask-box and --mask-polygon draw one",
        ),
        (["--edit-where", "white", "--mask-box", "1,2,3,4"], "--edit-where wants --mask too"),
        (["--edit-outside"], "--edit-outside wants --mask-box or --mask-polygon"),
        (
            ["--mask", "in.png", "--edit-where", "white", "--edit-outside"],
            "--edit-outside wants --mask-box or --mask-polygon",
        ),
        (["--check-mask"], "--check-mask wants a mask"),
    ],
)
def test_what_makes_no_sense_is_said(words: list[str], why: str) -> None:
    result = edit(*words)
    assert why in result.stderr
    assert result.exit_code == 2
    assert not Path("out.png").exists()


def test_a_mask_is_checked_where_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[Any] = []
    stream = imagekit.Client.stream

    def seen(self: Any, *given: Any, **how: Any) -> Any:
        said.append(how.pop("check_mask", None))
        return stream(self, *given, **how)

    monkeypatch.setattr(imagekit.Client, "stream", seen)
    assert edit("--mask-box", "10,8,40,30", "--check-mask").exit_code == 0
    assert edit("--mask-box", "10,8,40,30", "--force").exit_code == 0
    # Without a word of it, it is as the client says.
    assert said == [True, None]


def test_submit_takes_shapes_too() -> None:
    result = CliRunner().invoke(
        cli, ["submit", "a hat", "-i", "in.png", "-p", "sketch", "--mask-box", "1,2,3"]
    )
    assert "--mask-box '1,2,3': say" in result.stderr
    assert result.stdout == ""
