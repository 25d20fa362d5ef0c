"""What a picture is, read from its own bytes: type, size, transparency, animation, provenance."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

EXTENSIONS = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/webp": "webp",
    "image/gif": "gif",
    "image/svg+xml": "svg",
    "image/avif": "avif",
    "image/bmp": "bmp",
    "image/tiff": "tif",
}


# How long a bitmap's header may be; the first two bytes alone are the beginning of many a text.
_BMP_HEADS = tuple(struct.pack("<I", length) for length in (40, 52, 56, 64, 108, 124))


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """What the bytes say of themselves; None is "they do not say".

    `width` and `height` are pixels (for SVG, user units where they are whole numbers). `alpha` is
    whether the format carries transparency here, `c2pa` whether a provenance manifest is embedded
    (its presence only: nothing is verified).
    """

    media_type: str
    width: int | None = None
    height: int | None = None
    alpha: bool | None = None
    animated: bool | None = None
    c2pa: bool | None = None


def facts(data: bytes) -> MediaFacts | None:
    """Read the facts from *data*; None when it is no picture we know."""
    try:
        if data.startswith(b"\x89PNG\r\n\x1a\n"):
            return _png(data)
        if data.startswith(b"\xff\xd8\xff"):
            return _jpeg(data)
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _webp(data)
        if data[:6] in (b"GIF87a", b"GIF89a"):
            return _gif(data)
        if data[4:8] == b"ftyp" and data[8:12] in (b"avif", b"avis"):
            return _avif(data)
        if data[:2] == b"BM" and data[14:18] in _BMP_HEADS and len(data) > 26:
            width, height = struct.unpack_from("<ii", data, 18)
            return MediaFacts("image/bmp", width, abs(height), None, False, False)
        if data[:4] in (b"II*\0", b"MM\0*"):
            return MediaFacts("image/tiff")
        return _svg(data)
    except (struct.error, IndexError):
        # The head says what it is, the rest is cut off or broken: keep what is certain.
        return MediaFacts(_claimed(data))


def extension(media_type: str | None) -> str:
    """The usual file name ending for *media_type*, without its dot."""
    return EXTENSIONS.get(media_type or "", "bin")


# More parts than any picture has: beyond, what is certain by then is kept. The head may be a
# stranger's, who would have us walk for long.
_MOST = 200_000
_FILL = re.compile(rb"\xff+")


def _claimed(data: bytes) -> str:
    if data.startswith(b"\x89PNG"):
        return "image/png"
    if data.startswith(b"\xff\xd8"):
        return "image/jpeg"
    if data.startswith(b"RIFF"):
        return "image/webp"
    return "image/gif" if data.startswith(b"GIF") else "image/avif"


def _png(data: bytes) -> MediaFacts:
    width, height, colour = (*struct.unpack_from(">II", data, 16), data[25])
    alpha, animated, c2pa = colour in (4, 6), False, False
    at = 8
    for _ in range(_MOST):
        if at + 8 > len(data):
            break
        length, kind = struct.unpack_from(">I4s", data, at)
        alpha |= kind == b"tRNS"
        animated |= kind == b"acTL"
        c2pa |= kind == b"caBX"
        at += 12 + length
    return MediaFacts("image/png", width, height, alpha, animated, c2pa)


def _jpeg(data: bytes) -> MediaFacts:
    width = height = None
    c2pa = False
    at = 2
    for _ in range(_MOST):
        if at + 4 > len(data) or data[at] != 0xFF:
            break
        # Before a marker there may be any number of fill bytes.
        at = _FILL.match(data, at).end() - 1  # type: ignore[union-attr]  # there is one
        marker, length = data[at + 1], struct.unpack_from(">H", data, at + 2)[0]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, at + 5)
        elif marker == 0xEB:  # APP11: a JUMBF box, where C2PA lives
            c2pa |= b"c2pa" in data[at : at + 2 + length]
        elif marker == 0xDA:  # the scan: no headers after it
            break
        at += 2 + length
    return MediaFacts("image/jpeg", width, height, False, False, c2pa)


def _webp(data: bytes) -> MediaFacts:
    width = height = None
    alpha = animated = c2pa = False
    for kind, body in _riff(data):
        if kind == b"VP8X":
            flags, wide, high = struct.unpack_from("<B3x3s3s", body)
            alpha, animated = bool(flags & 0x10), bool(flags & 0x02)
            width = 1 + int.from_bytes(wide, "little")
            height = 1 + int.from_bytes(high, "little")
        elif kind == b"VP8 " and width is None:
            width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", body, 6))
        elif kind == b"VP8L" and width is None:
            (bits,) = struct.unpack_from("<I", body, 1)
            width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
            alpha = bool(bits >> 28 & 1)
        elif kind == b"C2PA":
            c2pa = True
    return MediaFacts("image/webp", width, height, alpha, animated, c2pa)


def _riff(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    at, view = 12, memoryview(data)
    for _ in range(_MOST):
        if at + 8 > len(data):
            break
        kind, length = struct.unpack_from("<4sI", data, at)
        yield kind, view[at + 8 : at + 8 + length]
        at += 8 + length + (length & 1)


def _gif(data: bytes) -> MediaFacts:
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    at = 13 + _palette(flags)
    alpha, c2pa, frames = False, False, 0
    while at < len(data) and data[at] != 0x3B:
        if data[at] == 0x2C:  # one frame
            frames += 1
            # A frame may be larger than the screen it is for.
            left, top, wide, high = struct.unpack_from("<HHHH", data, at + 1)
            width, height = max(width, left + wide), max(height, top + high)
            at = _blocks(data, at + 11 + _palette(data[at + 9]))
        elif data[at] == 0x21:
            alpha |= data[at + 1] == 0xF9 and bool(data[at + 3] & 1)
            c2pa |= data[at + 1] == 0xFF and data[at + 3 : at + 11] == b"C2PA_GIF"
            at = _blocks(data, at + 2)
        else:
            break
    return MediaFacts("image/gif", width, height, alpha, frames > 1, c2pa)


def _palette(flags: int) -> int:
    return 3 << (1 + (flags & 7)) if flags & 0x80 else 0


def _blocks(data: bytes, at: int) -> int:
    for _ in range(_MOST):
        if not data[at]:
            return at + 1
        at += 1 + data[at]
    return len(data)


def _avif(data: bytes) -> MediaFacts:
    width = height = None
    found = data.find(b"ispe")
    if found > 0:
        width, height = struct.unpack_from(">II", data, found + 8)
    return MediaFacts(
        "image/avif",
        width,
        height,
        b"auxC" in data[:4096] and b"alpha" in data[:4096],
        data[8:12] == b"avis",
        b"c2pa" in data[:4096],
    )


# Possessive, for the head may be a stranger's: it must not be tried in more than one way.
_SVG = re.compile(
    rb"(?:\xef\xbb\xbf)?"
    rb"(?:<\?xml[^>]*+>|<!--.*?-->|<!DOCTYPE[^>\[]*+(?:\[[^\]]*+\])?+\s*+>|\s)*+<svg\b",
    re.S,
)
_SIDE = re.compile(rb"""\s(width|height)\s*+=\s*+["'](\d{1,9})(?:\.0*+)?+(?:px)?["']""")
_BOX = re.compile(
    rb"""\sviewBox\s*+=\s*+["']\s*+[\d.eE+-]++[\s,]++[\d.eE+-]++[\s,]++"""
    rb"""(\d{1,9})(?:\.0*+)?+[\s,]++(\d{1,9})(?:\.0*+)?+\s*+["']"""
)


def _svg(data: bytes) -> MediaFacts | None:
    head = data[:8192]
    start = _SVG.match(head)
    if not start:
        return None
    tag = head[start.end() - 4 : head.find(b">", start.end()) + 1]
    sides = {name.decode(): int(value) for name, value in _SIDE.findall(tag)}
    if box := _BOX.search(tag):
        sides = {"width": int(box[1]), "height": int(box[2])} | sides
    return MediaFacts(
        "image/svg+xml",
        sides.get("width"),
        sides.get("height"),
        True,
        b"<animate" in data,
        b"c2pa:manifest" in data,
    )
