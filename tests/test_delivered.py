from __future__ import annotations

import io
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow
from PIL import features

from imagekit import Image, ImageRequest, Notice
from imagekit._delivered import compared, differences
from imagekit._media import facts
from imagekit.testing import play

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="8" height="6"><rect><animate/></rect></svg>'


def encoded(form: str = "PNG", size: tuple[int, int] = (8, 8), mode: str = "RGB") -> bytes:
    out = io.BytesIO()
    Pillow.new(mode, size).save(out, form)
    return out.getvalue()


def moving(form: str) -> bytes:
    frames = [Pillow.new("RGB", (8, 8), colour) for colour in ("red", "green")]
    out = io.BytesIO()
    frames[0].save(out, form, save_all=True, append_images=frames[1:], duration=50)
    return out.getvalue()


def asked(**fields: Any) -> ImageRequest:
    return ImageRequest(prompt="a cat", **fields)


def found(data: bytes, request: ImageRequest | None = None, **echo: Any) -> list[tuple[str, ...]]:
    notices = differences(Image(data=data, echo=echo), request)
    assert all(notice.kind == "delivered-differs" for notice in notices)
    return [(one.feature, one.wanted or "", one.used or "") for one in notices]


@pytest.mark.parametrize(
    ("echo", "features"),
    [
        ({}, []),
        ({"size": "8x8", "output_format": "png"}, []),
        ({"size": "2x2"}, ["size"]),
        ({"output_format": "jpeg"}, ["output_format"]),
        ({"size": "2x2", "output_format": "webp"}, ["output_format", "size"]),
        ({"size": "auto", "output_format": None}, []),
        ({"size": "auto", "output_format": "auto"}, []),
        ({"size": 7, "output_format": 7}, []),
        ({"background": "transparent"}, ["background"]),
        ({"background": "opaque"}, []),
    ],
)
def test_an_echo_that_disagrees_with_the_bytes_is_a_notice(echo: Any, features: list[str]) -> None:
    assert [feature for feature, _, _ in found(encoded(), **echo)] == features


@pytest.mark.parametrize(
    ("wanted", "said", "detail"),
    [
        ("png", "png", None),
        ("jpeg", None, "asked for jpg, the bytes say png"),
        ("jpeg", "png", "asked for jpg, the bytes say png"),
        ("png", "webp", "the provider says webp, the bytes say png"),
        ("jpeg", "jpeg", "asked for jpg, the provider says jpg, the bytes say png"),
    ],
)
def test_a_notice_says_who_said_what(wanted: str, said: str | None, detail: str | None) -> None:
    image = Image(data=encoded(), echo={"output_format": said})
    notices = differences(image, asked(output_format=wanted))
    assert [one.detail for one in notices] == ([detail] if detail else [])


@pytest.mark.parametrize(
    ("form", "wanted", "used"),
    [
        ("PNG", "png", None),
        ("PNG", "PNG", None),
        ("PNG", "image/png", None),
        ("PNG", "apng", None),
        ("JPEG", "jpg", None),
        ("JPEG", "jpeg", None),
        ("WEBP", "webp", None),
        ("GIF", "gif", None),
        ("TIFF", "tiff", None),
        ("PNG", "auto", None),
        ("PNG", None, None),
        ("PNG", "webp", "png"),
        ("JPEG", "png", "jpg"),
        ("PNG", "heic", "png"),
    ],
)
def test_another_type_than_was_asked_for_is_a_notice(
    form: str, wanted: str | None, used: str | None
) -> None:
    notices = found(encoded(form), asked(output_format=wanted))
    assert notices == ([("output_format", wanted, used)] if used else [])


def test_bytes_of_no_known_type_are_said_to_be_none() -> None:
    wanted = "a picture", "png"
    for request, word in zip((None, asked(output_format="png", size="9x9")), wanted, strict=True):
        assert found(b"what", request, size="2x2") == [("media_type", word, "of no type we know")]


def test_nothing_is_said_of_what_is_only_a_url() -> None:
    image = Image(url="https://a.test/1", echo={"size": "2x2"}, width=3, height=3)
    assert differences(image, asked(size="1x1")) == []


@pytest.mark.parametrize(
    ("size", "actual", "differs"),
    [
        (None, (8, 8), False),
        ("auto", (8, 8), False),
        ("8x8", (8, 8), False),
        ("8x9", (8, 8), True),
        ("9x8", (8, 8), True),
        # What Gemini and SDXL make of shapes, in steps of 64 pixels.
        ("16:9", (1344, 768), False),
        ("9:16", (768, 1344), False),
        ("21:9", (1536, 672), False),
        ("3:4", (864, 1184), False),
        ("4:5", (896, 1152), False),
        ("16:9", (1536, 864), False),
        ("16:9", (1024, 1024), True),
        ("16:9", (768, 1344), True),
        ("4:3", (1280, 1024), True),
        ("3:2", (1344, 1008), True),
        # No step of 64 pixels excuses a small picture, nor 4 % a large one.
        ("16:9", (64, 64), True),
        ("1:1", (64, 60), True),
        ("1:1", (4096, 4032), True),
        ("3:1", (10, 3), False),
        ("16:9@2K", (2048, 1152), False),
        ("16:9@2K", (2752, 1536), False),
        ("3:1@1K", (1023, 341), False),
        ("21:9@2K", (3168, 1344), False),
        ("16:9@2K", (1344, 768), True),
        ("1:1@1K", (2048, 2048), True),
        ("1:1@1024", (1024, 1024), False),
    ],
)
def test_another_size_than_was_asked_for_is_a_notice(
    size: str | None, actual: tuple[int, int], differs: bool
) -> None:
    notices = found(encoded(size=actual), asked(size=size))
    assert notices == ([("size", size, "{}x{}".format(*actual))] if differs else [])


@given(st.integers(1, 40), st.integers(1, 40), st.integers(64, 3000))
def test_a_shape_that_is_rounded_to_pixels_is_what_was_asked_for(
    wide: int, high: int, longer: int
) -> None:
    width, height = (
        (longer, longer * high / wide) if wide >= high else (longer * wide / high, longer)
    )
    size = max(1, round(width)), max(1, round(height))
    head = encoded()
    data = head[:16] + size[0].to_bytes(4, "big") + size[1].to_bytes(4, "big") + head[24:]
    assert found(data, asked(size=f"{wide}:{high}")) == []


def test_an_echo_is_no_excuse_for_another_size() -> None:
    image = Image(data=encoded(), echo={"size": "9x9"})
    [notice] = differences(image, asked(size="10x10"))
    assert notice.detail == "asked for 10x10, the provider says 9x9, the bytes say 8x8"


def test_a_size_that_the_bytes_do_not_say_is_nothing() -> None:
    assert found(b"MM\0*\0\0\0\x08\0\0", asked(size="9x9"), size="7x7") == []


def test_what_is_drawn_of_lines_has_no_size_and_no_frames() -> None:
    request = asked(size="9x9", background="transparent", output_format="svg")
    assert found(SVG, request, size="7x7") == []
    assert found(SVG, asked()) == []


@pytest.mark.parametrize(
    ("data", "background", "used"),
    [
        (encoded("PNG"), "transparent", "png without transparency"),
        (encoded("JPEG"), "transparent", "jpg without transparency"),
        (encoded("WEBP"), "transparent", "webp without transparency"),
        (encoded("PNG", mode="RGBA"), "transparent", None),
        (encoded("PNG", mode="RGBA"), "opaque", None),
        (encoded("BMP"), "transparent", None),
        (encoded("PNG"), "opaque", None),
        (encoded("PNG"), "auto", None),
        (encoded("PNG"), None, None),
    ],
)
def test_transparency_that_cannot_be_there_is_a_notice(
    data: bytes, background: str | None, used: str | None
) -> None:
    notices = found(data, asked(background=background))
    assert notices == ([("background", background, used)] if used else [])


FRAMES = {"toy": {"frame_count": 8}}


@pytest.mark.parametrize(
    ("data", "fields", "said"),
    [
        (moving("GIF"), {}, ("one picture", "several frames")),
        (moving("PNG"), {"output_format": "png"}, ("one picture", "several frames")),
        (moving("PNG"), {"output_format": "apng"}, None),
        (moving("GIF"), {"output_format": "gif"}, None),
        (moving("WEBP"), {"output_format": "webp"}, None),
        (moving("GIF"), {"options": FRAMES}, None),
        (encoded("GIF"), {"output_format": "gif", "options": FRAMES}, ("8 frames", "a single one")),
        (encoded("GIF"), {"output_format": "gif"}, None),
        (encoded("GIF"), {"options": {"toy": {"frames": 1}, "b": {"num_frames": "x"}}}, None),
        (b"MM\0*\0\0\0\x08\0\0", {"options": FRAMES}, None),
    ],
)
def test_frames_that_were_not_asked_for_or_did_not_come_are_a_notice(
    data: bytes, fields: Any, said: Any
) -> None:
    notices = found(data, asked(**fields))
    assert notices == ([("animation", *said)] if said else [])


def test_nothing_is_said_of_frames_where_nobody_knows_what_was_asked() -> None:
    assert found(moving("GIF")) == []


# The pixels


def holed(form: str = "PNG", alpha: int = 0) -> bytes:
    picture = Pillow.new("RGBA", (8, 8), (9, 9, 9, 255))
    picture.putpixel((3, 3), (9, 9, 9, alpha))
    out = io.BytesIO()
    picture.save(out, form, **({"lossless": True} if form == "WEBP" else {}))
    return out.getvalue()


def looked(data: bytes, request: ImageRequest | None) -> list[Notice]:
    return list(play(compared(Image(data=data), request)).response)


@pytest.mark.parametrize(
    ("data", "background", "used"),
    [
        (holed(), "transparent", None),
        (holed(alpha=254), "transparent", None),
        (holed(alpha=255), "transparent", "every pixel opaque"),
        (holed(), "opaque", "some pixels transparent"),
        (holed(alpha=254), "opaque", "some pixels transparent"),
        (holed(alpha=255), "opaque", None),
        (holed("WEBP"), "opaque", "some pixels transparent"),
        (holed(), "auto", None),
        (holed(), None, None),
        (encoded(), "opaque", None),
        (encoded(), "transparent", "png without transparency"),
        (SVG, "opaque", None),
        (holed()[:-30], "opaque", None),
        (b"what", "opaque", "of no type we know"),
    ],
)
def test_whether_a_background_is_transparent_is_seen_in_the_pixels(
    data: bytes, background: str | None, used: str | None
) -> None:
    notices = looked(data, asked(background=background))
    assert [one.used for one in notices] == ([used] if used else [])


def test_where_nobody_knows_what_was_asked_no_pixel_is_read() -> None:
    assert looked(holed(), None) == []


def test_without_pillow_nothing_is_said_of_the_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    data = holed()
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert looked(data, asked(background="opaque")) == []


def test_what_differs_besides_is_said_too() -> None:
    notices = looked(holed(), asked(background="opaque", output_format="webp"))
    assert [one.feature for one in notices] == ["output_format", "background"]


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_the_transparency_of_an_avif_is_found_behind_a_long_provenance() -> None:
    data = encoded("AVIF", mode="RGBA")
    box = int.from_bytes(data[:4], "big")
    long = (10_024).to_bytes(4, "big") + b"uuid" + b"x" * 10_016
    read = facts(data[:box] + long + data[box:])
    assert read is not None
    assert read.alpha is True
