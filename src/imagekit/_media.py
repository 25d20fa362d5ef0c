"""What a picture is, read from its own bytes: type, size, transparency, animation."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from ._provenance import READ, SPAN, Said, Seen

if TYPE_CHECKING:
    from mmap import mmap

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


# How a PNG begins, and how it says its width and height.
_PNG, _SIDES = b"\x89PNG\r\n\x1a\n", struct.Struct(">II")
# Type, and width and height as far as they are said.
Shape: TypeAlias = tuple[str, int | None, int | None]
# How long a bitmap's header may be; the first two bytes alone are the beginning of many a text.
_BMP_HEADS = tuple(struct.pack("<I", length) for length in (40, 52, 56, 64, 108, 124))


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """What the bytes say of themselves; None is "they do not say".

    `width` and `height` are pixels (for SVG, user units where they are whole numbers). `alpha` is
    whether the format carries transparency here, `c2pa` whether a provenance manifest is embedded.

    `provenance` is what else they declare of where they come from, by the place that says it:
    "c2pa:digital_source_type", "c2pa:generator", "xmp:software", "exif:software", "png:parameters",
    "jpeg:comment" …, and "xmp", "exif" and "iptc" where there is such a block at all. At most
    30 facts of at most 200 characters. All of it is what the bytes say: nothing is verified.
    """

    media_type: str
    width: int | None = None
    height: int | None = None
    alpha: bool | None = None
    animated: bool | None = None
    c2pa: bool | None = None
    provenance: Mapping[str, str] = field(default_factory=dict, hash=False)


def facts(data: bytes | bytearray | memoryview | mmap) -> MediaFacts | None:
    """Read the facts from *data*; None when it is no picture we know.

    Of however large a picture only a little is looked at: its head, where its parts begin, and at
    most a megabyte of what it tells of itself. A mapped file is not read whole.
    """
    if isinstance(data, bytes):
        return _read(data)
    with memoryview(data) as whole, whole.cast("B") as view:
        return _read(view)


def shape(data: bytes | mmap) -> Shape | None:
    """The same of type and size alone, for which of a PNG no more than its first bytes is read."""
    head = bytes(data[:26])
    if len(head) == 26 and head.startswith(_PNG):
        return "image/png", *_SIDES.unpack_from(head, 16)
    found = facts(data)
    return (found.media_type, found.width, found.height) if found else None


def _read(data: Seen) -> MediaFacts | None:
    head = bytes(data[:32])
    try:
        if head.startswith(_PNG):
            return _png(data)
        if head.startswith(b"\xff\xd8\xff"):
            return _jpeg(data)
        if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
            return _webp(data)
        if head[:6] in (b"GIF87a", b"GIF89a"):
            return _gif(data)
        if head[4:8] == b"ftyp" and head[8:12] in (b"avif", b"avis"):
            return _avif(data)
        if head[:2] == b"BM" and head[14:18] in _BMP_HEADS and len(head) > 26:
            width, height = struct.unpack("<ii", head[18:26])
            return MediaFacts("image/bmp", width, abs(height), None, False, False)
        if head[:4] in (b"II*\0", b"MM\0*"):
            said = Said()
            said.tags(data)
            return MediaFacts("image/tiff", provenance=said.facts)
        return _svg(data)
    except (struct.error, IndexError):
        # The head says what it is, the rest is cut off or broken: keep what is certain.
        return MediaFacts(_claimed(head))


def extension(media_type: str | None) -> str:
    """The usual file name ending for *media_type*, without its dot."""
    return EXTENSIONS.get(media_type or "", "bin")


# So many parts are walked through, where a run of equal ones counts as few; beyond, what is certain
# by then is kept. The head may be a stranger's, who would have us walk for long.
_MOST = 2000
# Fill bytes are passed so many at once, and no more of them than that.
_FILL, _MOST_FILL = b"\xff" * (1 << 16), 1 << 23


def _claimed(head: bytes) -> str:
    if head.startswith(b"\x89PNG"):
        return "image/png"
    if head.startswith(b"\xff\xd8"):
        return "image/jpeg"
    if head.startswith(b"RIFF"):
        return "image/webp"
    return "image/gif" if head.startswith(b"GIF") else "image/avif"


# Parts of a PNG that may say where it comes from.
_TELLING = (b"caBX", b"eXIf", b"tEXt", b"zTXt", b"iTXt")


def _png(data: Seen) -> MediaFacts:
    width, height, colour = (*_SIDES.unpack(data[16:24]), data[25])
    alpha, animated, c2pa = colour in (4, 6), False, False
    said = Said()
    at = 8
    for _ in range(_MOST):
        head = bytes(data[at : at + 8])
        if len(head) < 8:
            break
        length, kind = struct.unpack(">I4s", head)
        if kind == b"IDAT":
            at = _last_alike(data, at, head, 12 + length)
        alpha |= kind == b"tRNS"
        animated |= kind == b"acTL"
        c2pa |= kind == b"caBX"
        if kind in _TELLING and (body := said.block(data, at + 8, length)):
            if kind == b"caBX":
                said.c2pa(body)
            elif kind == b"eXIf":
                said.exif(body)
            else:
                said.png_text(kind, body)
        at += 12 + length
    return MediaFacts("image/png", width, height, alpha, animated, c2pa, said.facts)


def _last_alike(data: Seen, at: int, head: bytes, step: int) -> int:
    """Where the last part begins of those from *at* on that are *step* long and begin with *head*.

    It is found in leaps: encoders write pixels in thousands of equal parts.
    """
    leap = 1
    while data[at + leap * step : at + leap * step + len(head)] == head:
        at += leap * step
        leap *= 2
    while leap > 1:
        leap //= 2
        if data[at + leap * step : at + leap * step + len(head)] == head:
            at += leap * step
    return at


def _jpeg(data: Seen) -> MediaFacts:
    width = height = None
    c2pa = False
    said = Said()
    at = 2
    for _ in range(_MOST):
        if at + 4 > len(data) or data[at] != 0xFF:
            break
        # Before a marker there may be any number of fill bytes.
        at = _filled(data, at) - 1 if data[at + 1] == 0xFF else at
        marker, length = data[at + 1], struct.unpack(">H", data[at + 2 : at + 4])[0]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
        elif marker == 0xEB:  # APP11: a JUMBF box, where C2PA lives
            body = said.block(data, at + 4, length - 2)
            c2pa |= b"c2pa" in body
            said.c2pa(body)
        elif marker in (0xDA, 0xFF):  # the scan: no headers after it; or nothing but fill bytes
            break
        elif marker in (0xE1, 0xED, 0xFE):  # APP1, APP13, a comment
            said.segment(marker, said.block(data, at + 4, length - 2))
        at += 2 + length
    return MediaFacts("image/jpeg", width, height, False, False, c2pa, said.facts)


def _filled(data: Seen, at: int) -> int:
    """Where the fill bytes end that begin at *at*."""
    end = at + _MOST_FILL
    while at < end and data[at : at + len(_FILL)] == _FILL:
        at += len(_FILL)
    rest = bytes(data[at : at + len(_FILL)])
    return at + len(rest) - len(rest.lstrip(b"\xff"))


def _webp(data: Seen) -> MediaFacts:
    width = height = None
    alpha = animated = c2pa = False
    said = Said()
    for kind, at, length in _riff(data):
        if kind == b"VP8X":
            flags, wide, high = struct.unpack("<B3x3s3s", data[at : at + min(length, 10)])
            alpha, animated = bool(flags & 0x10), bool(flags & 0x02)
            width = 1 + int.from_bytes(wide, "little")
            height = 1 + int.from_bytes(high, "little")
        elif kind == b"VP8 " and width is None:
            sides = struct.unpack("<6xHH", data[at : at + min(length, 10)])
            width, height = (side & 0x3FFF for side in sides)
        elif kind == b"VP8L" and width is None:
            (bits,) = struct.unpack("<xI", data[at : at + min(length, 5)])
            width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
            alpha = bool(bits >> 28 & 1)
        elif kind == b"C2PA":
            c2pa = True
            said.c2pa(said.block(data, at, length))
        elif kind == b"EXIF":
            said.exif(said.block(data, at, length))
        elif kind == b"XMP ":
            said.xmp(said.block(data, at, length))
    return MediaFacts("image/webp", width, height, alpha, animated, c2pa, said.facts)


def _riff(data: Seen) -> Iterator[tuple[bytes, int, int]]:
    at = 12
    for _ in range(_MOST):
        if at + 8 > len(data):
            break
        kind, length = struct.unpack("<4sI", data[at : at + 8])
        yield kind, at + 8, length
        at += 8 + length + (length & 1)


def _gif(data: Seen) -> MediaFacts:
    width, height, flags = struct.unpack("<HHB", data[6:11])
    at = 13 + _palette(flags)
    alpha, c2pa, frames = False, False, 0
    said = Said()
    walk = _Walk(_MOST)
    while walk.on() and at < len(data) and data[at] != 0x3B:
        if data[at] == 0x2C:  # one frame
            frames += 1
            # A frame may be larger than the screen it is for.
            left, top, wide, high = struct.unpack("<HHHH", data[at + 1 : at + 9])
            width, height = max(width, left + wide), max(height, top + high)
            at = _blocks(data, at + 11 + _palette(data[at + 9]), walk)
        elif data[at] == 0x21:
            alpha |= data[at + 1] == 0xF9 and bool(data[at + 3] & 1)
            if data[at + 1] == 0xFF and data[at + 3 : at + 11] == b"C2PA_GIF":
                c2pa = True
                said.c2pa(said.block(data, at + 14, SPAN))
            elif data[at + 1 : at + 14] == b"\xff\x0bXMP DataXMP":
                said.xmp(said.block(data, at + 14, SPAN))
            elif data[at + 1] == 0xFE:
                said.say("gif:comment", bytes(data[at + 3 : at + 3 + data[at + 2]]))
            at = _blocks(data, at + 2, walk)
        else:
            break
    return MediaFacts("image/gif", width, height, alpha, frames > 1, c2pa, said.facts)


def _palette(flags: int) -> int:
    return 3 << (1 + (flags & 7)) if flags & 0x80 else 0


@dataclass(slots=True)
class _Walk:
    """How many more steps are taken."""

    left: int

    def on(self) -> bool:
        self.left -= 1
        return self.left >= 0


def _blocks(data: Seen, at: int, walk: _Walk) -> int:
    """Where the blocks end that begin at *at*: each has its length before it, the last has none."""
    count = 1
    while walk.on():
        length = data[at]
        if not length:
            return at + 1
        # Nearly all of them are equally long: their lengths are looked at many at once.
        ahead = bytes(data[at : at + count * (length + 1) : length + 1])
        alike = len(ahead) - len(ahead.lstrip(ahead[:1]))
        at += alike * (length + 1)
        count = min(2 * count, _AT_ONCE) if alike == count else 1
    return len(data)


# Blocks of a GIF that are passed in one step.
_AT_ONCE = 4096


_C2PA_BOX = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_EXIF_ITEM = re.compile(rb"Exif\0\0(II\*\0|MM\0\*)")


def _avif(data: Seen) -> MediaFacts:
    width = height = None
    head = bytes(data[:SPAN])
    found = head.find(b"ispe")
    if found > 0:
        width, height = struct.unpack_from(">II", head, found + 8)
    c2pa, said = b"c2pa" in head[:4096], Said()
    alpha = _has_alpha(head[:4096])
    at = 0
    for _ in range(_MOST):
        box = bytes(data[at : at + 24])
        if len(box) < 24:
            break
        length, kind = struct.unpack_from(">I4s", box)
        if kind == b"uuid" and box[8:] == _C2PA_BOX:
            c2pa = True
            said.c2pa(said.block(data, at + 24, length))
        if kind == b"meta":
            # It follows the provenance, which may be long.
            meta = said.block(data, at, length)
            alpha |= _has_alpha(meta)
            where = meta.find(b"ispe")
            if width is None and where > 0:
                width, height = struct.unpack_from(">II", meta, where + 8)
        if length < 2:  # the length follows, or it is all the rest
            length = struct.unpack_from(">Q", box, 8)[0] if length else len(data)
        at += max(length, 8)
    # EXIF and XMP are items, which nearly always lie before the pixels or behind them.
    ends = head + bytes(data[max(len(data) - SPAN, SPAN) :])
    if exif := _EXIF_ITEM.search(ends):
        said.exif(ends[exif.start(1) : exif.start(1) + SPAN])
    said.xmp_in(ends)
    return MediaFacts(
        "image/avif",
        width,
        height,
        alpha,
        head[8:12] == b"avis",
        c2pa,
        said.facts,
    )


def _has_alpha(boxes: bytes) -> bool:
    return b"auxC" in boxes and b"alpha" in boxes


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


def _svg(data: Seen) -> MediaFacts | None:
    seen = bytes(data[:8192])
    start = _SVG.match(seen)
    if not start:
        return None
    tag = seen[start.end() - 4 : seen.find(b">", start.end()) + 1]
    sides = {name.decode(): int(value) for name, value in _SIDE.findall(tag)}
    if box := _BOX.search(tag):
        sides = {"width": int(box[1]), "height": int(box[2])} | sides
    said = Said()
    seen = bytes(data[:READ])
    said.xmp_in(seen)
    # Of what lies beyond nobody can tell.
    unless = False if len(seen) == len(data) else None
    return MediaFacts(
        "image/svg+xml",
        sides.get("width"),
        sides.get("height"),
        True,
        b"<animate" in seen or unless,
        b"c2pa:manifest" in seen or unless,
        said.facts,
    )
