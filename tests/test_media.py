from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from PIL import features

from imagekit._media import EXTENSIONS, MediaFacts, extension, facts

SIZE = (41, 30)


def encoded(form: str, mode: str = "RGB", **how: Any) -> bytes:
    grey = Pillow.linear_gradient("L").resize(SIZE)
    picture = grey.convert(mode)
    if mode.endswith("A"):
        picture.putalpha(grey)
    out = io.BytesIO()
    picture.save(out, form, **how)
    return out.getvalue()


def moving(form: str, mode: str = "RGB") -> bytes:
    frames = [Pillow.new(mode, SIZE, colour) for colour in ("red", "green", "blue")]
    out = io.BytesIO()
    frames[0].save(out, form, save_all=True, append_images=frames[1:], duration=50)
    return out.getvalue()


def holed_gif() -> bytes:
    picture = Pillow.new("P", SIZE, 1)
    picture.putpixel((0, 0), 0)
    out = io.BytesIO()
    picture.save(out, "GIF", transparency=0)
    return out.getvalue()


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def riff_chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) & 1)


PNG, JPEG, GIF = encoded("PNG"), encoded("JPEG"), encoded("GIF", "P")
WEBP = encoded("WEBP", "RGBA")
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="41" height="30"></svg>'
HEADER = 8 + 25  # a PNG's signature, and its first chunk

PNG_C2PA = PNG[:HEADER] + png_chunk(b"caBX", b"\0\0\0\x1bjumb c2pa") + PNG[HEADER:]
JPEG_C2PA = JPEG[:2] + b"\xff\xeb\0\x0eJP..jumbc2pa" + JPEG[2:]
WEBP_C2PA = WEBP + riff_chunk(b"C2PA", b"jumb!")
GIF_FRAME = GIF[13 + (6 << (GIF[10] & 7)) : -1]
GIF_C2PA = GIF[:-1] + b"\x21\xff\x0bC2PA_GIF\x01\0\0\x04jumb\0" + GIF[-1:]
SVG_C2PA = SVG.replace(b"></svg>", b"><metadata><c2pa:manifest/></metadata></svg>")

SAMPLES = {
    "png": (PNG, MediaFacts("image/png", *SIZE, False, False, False)),
    "png rgba": (encoded("PNG", "RGBA"), MediaFacts("image/png", *SIZE, True, False, False)),
    "png grey": (encoded("PNG", "L"), MediaFacts("image/png", *SIZE, False, False, False)),
    "png grey alpha": (encoded("PNG", "LA"), MediaFacts("image/png", *SIZE, True, False, False)),
    "png palette": (encoded("PNG", "P"), MediaFacts("image/png", *SIZE, False, False, False)),
    "png palette transparent": (
        encoded("PNG", "P", transparency=0),
        MediaFacts("image/png", *SIZE, True, False, False),
    ),
    "png animated": (moving("PNG"), MediaFacts("image/png", *SIZE, False, True, False)),
    "png c2pa": (PNG_C2PA, MediaFacts("image/png", *SIZE, False, False, True)),
    "jpeg": (JPEG, MediaFacts("image/jpeg", *SIZE, False, False, False)),
    "jpeg progressive": (
        encoded("JPEG", progressive=True),
        MediaFacts("image/jpeg", *SIZE, False, False, False),
    ),
    "jpeg c2pa": (JPEG_C2PA, MediaFacts("image/jpeg", *SIZE, False, False, True)),
    "jpeg with another box": (
        JPEG_C2PA.replace(b"c2pa", b"what"),
        MediaFacts("image/jpeg", *SIZE, False, False, False),
    ),
    "jpeg arithmetic": (
        JPEG.replace(b"\xff\xda", b"\xff\xcc\0\x08123456\xff\xc8\0\x08123456\xff\xda", 1),
        MediaFacts("image/jpeg", *SIZE, False, False, False),
    ),
    "jpeg with fill bytes": (
        JPEG[:2] + b"\xff\xff" + JPEG[2:],
        MediaFacts("image/jpeg", *SIZE, False, False, False),
    ),
    "webp lossy": (encoded("WEBP"), MediaFacts("image/webp", *SIZE, False, False, False)),
    "webp lossy rgba": (WEBP, MediaFacts("image/webp", *SIZE, True, False, False)),
    "webp lossless": (
        encoded("WEBP", lossless=True),
        MediaFacts("image/webp", *SIZE, False, False, False),
    ),
    "webp lossless rgba": (
        encoded("WEBP", "RGBA", lossless=True),
        MediaFacts("image/webp", *SIZE, True, False, False),
    ),
    "webp animated": (moving("WEBP"), MediaFacts("image/webp", *SIZE, False, True, False)),
    "webp c2pa": (WEBP_C2PA, MediaFacts("image/webp", *SIZE, True, False, True)),
    "gif": (GIF, MediaFacts("image/gif", *SIZE, False, False, False)),
    "gif with an unknown block": (
        GIF[:-1] + b"\x01" + GIF[-1:],
        MediaFacts("image/gif", *SIZE, False, False, False),
    ),
    "gif transparent": (
        holed_gif(),
        MediaFacts("image/gif", *SIZE, True, False, False),
    ),
    "gif animated": (
        GIF[:-1] + GIF_FRAME + GIF[-1:],
        MediaFacts("image/gif", *SIZE, False, True, False),
    ),
    "gif animated by Pillow": (
        moving("GIF"),
        MediaFacts("image/gif", *SIZE, True, True, False),
    ),
    "gif c2pa": (GIF_C2PA, MediaFacts("image/gif", *SIZE, False, False, True)),
    "svg": (SVG, MediaFacts("image/svg+xml", *SIZE, True, False, False)),
    "svg animated": (
        SVG.replace(b"></svg>", b"><rect><animate/></rect></svg>"),
        MediaFacts("image/svg+xml", *SIZE, True, True, False),
    ),
    "svg c2pa": (SVG_C2PA, MediaFacts("image/svg+xml", *SIZE, True, False, True)),
    "bmp": (encoded("BMP"), MediaFacts("image/bmp", *SIZE, None, False, False)),
    "tiff": (encoded("TIFF"), MediaFacts("image/tiff")),
    "tiff big-endian": (
        b"MM\0*\0\0\0\x08\0\0",
        MediaFacts("image/tiff"),
    ),
}
if features.check("avif"):
    AVIF = encoded("AVIF")
    BOX = struct.unpack(">I", AVIF[:4])[0]
    SAMPLES |= {
        "avif": (AVIF, MediaFacts("image/avif", *SIZE, False, False, False)),
        "avif rgba": (
            encoded("AVIF", "RGBA"),
            MediaFacts("image/avif", *SIZE, True, False, False),
        ),
        "avif animated": (moving("AVIF"), MediaFacts("image/avif", *SIZE, False, True, False)),
        "avif c2pa": (
            AVIF[:BOX] + b"\0\0\0\x18uuid" + b"c2pa".ljust(16, b".") + AVIF[BOX:],
            MediaFacts("image/avif", *SIZE, False, False, True),
        ),
    }
named = pytest.mark.parametrize("name", SAMPLES)


@named
def test_a_picture_tells_its_facts(name: str) -> None:
    data, expected = SAMPLES[name]
    assert facts(data) == expected


@named
def test_a_cut_picture_never_raises_and_never_invents_a_fact(name: str) -> None:
    data, whole = SAMPLES[name]
    for length in range(len(data)):
        found = facts(data[:length])
        if found is not None:
            assert found.media_type == whole.media_type
            assert found.width in (None, whole.width)
            assert found.height in (None, whole.height)


@given(
    st.sampled_from(sorted(SAMPLES)),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=8),
)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=500)
def test_flipped_bytes_never_raise(name: str, flips: list[tuple[int, int]]) -> None:
    data = bytearray(SAMPLES[name][0])
    for at, value in flips:
        data[at % len(data)] = value
    facts(bytes(data))


@given(st.sampled_from(sorted(SAMPLES)), st.integers(2, 64), st.binary(max_size=200))
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=500)
def test_anything_after_a_true_head_never_raises(name: str, kept: int, rest: bytes) -> None:
    facts(SAMPLES[name][0][:kept] + rest)


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        (PNG[:8], "image/png"),
        (JPEG[:2] + b"\xff\xc0\0\x11\x08", "image/jpeg"),
        (WEBP[:22], "image/webp"),
        (GIF[:6], "image/gif"),
        (b"\0\0\0\x20ftypavif....ispe", "image/avif"),
    ],
)
def test_a_head_alone_tells_the_type(head: bytes, media_type: str) -> None:
    assert facts(head) == MediaFacts(media_type)


def test_an_avif_that_says_no_size_has_none() -> None:
    assert facts(b"\0\0\0\x10ftypavif....") == MediaFacts(
        "image/avif", None, None, False, False, False
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 64,
        b"BMW is the subject of this text, which is no bitmap at all",
        b"II* is how this text begins",
        b"<html><svg></svg></html>",
        b'{"error": "no picture"}',
        b"RIFF\0\0\0\0WAVEfmt ",
        b"\0\0\0\x18ftypmp42....",
        "не картинка".encode(),
    ],
)
def test_what_is_no_picture_has_no_facts(data: bytes) -> None:
    assert facts(data) is None


def test_a_bitmap_drawn_from_the_top_has_a_positive_height() -> None:
    upside_down = bytearray(encoded("BMP"))
    upside_down[22:26] = struct.pack("<i", -SIZE[1])
    found = facts(bytes(upside_down))
    assert found is not None
    assert found.height == SIZE[1]


@pytest.mark.parametrize(
    ("tag", "size"),
    [
        (b'<svg width="8" height="6">', (8, 6)),
        (b"<svg height='6' width='8'>", (8, 6)),
        (b'<svg\n  width = "8px"\n  height = "6.0px">', (8, 6)),
        (b'<svg viewBox="0 0 8 6">', (8, 6)),
        (b'<svg viewBox="-1.5,-1e1, 8.0 ,6.">', (8, 6)),
        (b'<svg viewBox="0 0 8 6" width="100%" height="100%">', (8, 6)),
        (b'<svg viewBox="0 0 4 3" width="8" height="6">', (8, 6)),
        (b'<svg viewBox="0 0 8.5 6.25">', (None, None)),
        (b'<svg width="8.5" height="6">', (None, 6)),
        (b'<svg width="8cm" height="6">', (None, 6)),
        (b'<svg data-width="8" height="6">', (None, 6)),
        (b"<svg>", (None, None)),
        (b'<svg><rect width="8" height="6"/>', (None, None)),
        (b'<svg width="8" height="6"', (None, None)),
        (b'<svg width="' + b"9" * 5000 + b'" height="6">', (None, 6)),
    ],
)
def test_an_svg_tells_its_size_where_it_is_whole_numbers(
    tag: bytes, size: tuple[int | None, int | None]
) -> None:
    found = facts(tag)
    assert found is not None
    assert (found.width, found.height) == size


@pytest.mark.parametrize(
    "before",
    [
        b"\xef\xbb\xbf",
        b'<?xml version="1.0"?>\n',
        b"<!-- drawn > by hand -->\n<!---->",
        b'<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "svg11.dtd">',
        b'<!DOCTYPE svg [ <!ENTITY ns "http://www.w3.org/2000/svg"> ]>',
        b'\xef\xbb\xbf<?xml version="1.0"?><?xml-stylesheet href="a.css"?> <!-- x --> ',
    ],
)
def test_an_svg_is_known_behind_its_prologue(before: bytes) -> None:
    assert facts(before + SVG) == SAMPLES["svg"][1]


@pytest.mark.parametrize(
    "data",
    [
        b"<!-- -->" * 1000 + b"x",
        b"<!-- " * 1500,
        b"<?xml " * 1300,
        b" " * 8000 + b"x",
        b'<svg viewBox="1 1 ' + b"1" * 3000 + b"," * 3000 + b'">',
        b'<svg viewBox="' + b"1 " * 4000 + b">",
        b"<svg " + b"width = " * 1000 + b">",
    ],
    ids=["comments", "open comment", "declarations", "blanks", "box", "numbers", "sides"],
)
def test_a_hostile_svg_is_read_in_one_way_only(data: bytes) -> None:
    # Trying all the ways to read one of these would outlast the universe.
    found = facts(data)
    assert found is None or found.width is None


@pytest.mark.parametrize(
    ("media_type", "ending"), [*EXTENSIONS.items(), ("image/x-new", "bin"), (None, "bin")]
)
def test_a_type_has_its_usual_ending(media_type: str | None, ending: str) -> None:
    assert extension(media_type) == ending


@pytest.mark.parametrize("name", ["png", "jpeg", "webp lossy", "gif", "svg", "bmp", "tiff"])
def test_every_type_we_read_has_an_ending(name: str) -> None:
    assert SAMPLES[name][1].media_type in EXTENSIONS


def test_a_stranger_cannot_have_us_walk_for_ever() -> None:
    many = 300_000
    jpeg = b"\xff\xd8" + b"\xff\xe0\0\2" * many
    webp = b"RIFF\0\0\0\0WEBP" + b"abcd\0\0\0\0" * many
    gif = b"GIF89a\1\0\1\0\0\0\0" + b"!\xfe" + b"\1x" * many + b"\0"
    png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">IIBBBBBI", 1, 1, 8, 0, 0, 0, 0, 0)
    found = [facts(one) for one in (jpeg, webp, gif, png + b"\0\0\0\0abcd\0\0\0\0" * many)]
    assert [one and one.media_type for one in found] == [
        "image/jpeg",
        "image/webp",
        "image/gif",
        "image/png",
    ]


def test_fill_bytes_are_passed_at_once() -> None:
    frame = b"\xff\xc0\0\x0b\x08\0\2\0\3\1\1\x11\0"
    found = facts(b"\xff\xd8" + b"\xff" * 5_000_000 + frame[1:])
    assert found is not None
    assert (found.width, found.height) == (3, 2)


def test_a_frame_may_be_larger_than_the_screen_of_its_gif() -> None:
    frame = b"," + struct.pack("<HHHHB", 1, 2, 300, 200, 0) + b"\2\1\0\0"
    found = facts(b"GIF89a\1\0\1\0\0\0\0" + frame + b";")
    assert found is not None
    assert (found.width, found.height) == (301, 202)
