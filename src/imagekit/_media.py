"""What a picture is, read from its own bytes: type, size, transparency, animation, provenance."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

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
            said = _Said()
            said.tags(data)
            return MediaFacts("image/tiff", provenance=said.facts)
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
    said = _Said()
    at = 8
    for _ in range(_MOST):
        if at + 8 > len(data):
            break
        length, kind = struct.unpack_from(">I4s", data, at)
        alpha |= kind == b"tRNS"
        animated |= kind == b"acTL"
        body = data[at + 8 : at + 8 + min(length, _SPAN)] if kind in _TELLING else b""
        if kind == b"caBX":
            c2pa = True
            said.c2pa(body)
        elif kind == b"eXIf":
            said.exif(body)
        elif body:
            said.png_text(kind, body)
        at += 12 + length
    return MediaFacts("image/png", width, height, alpha, animated, c2pa, said.facts)


def _jpeg(data: bytes) -> MediaFacts:
    width = height = None
    c2pa = False
    said = _Said()
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
            body = data[at + 4 : at + 2 + length]
            c2pa |= b"c2pa" in body
            said.c2pa(body)
        elif marker == 0xDA:  # the scan: no headers after it
            break
        elif marker in (0xE1, 0xED, 0xFE):  # APP1, APP13, a comment
            said.segment(marker, data[at + 4 : at + 2 + length])
        at += 2 + length
    return MediaFacts("image/jpeg", width, height, False, False, c2pa, said.facts)


def _webp(data: bytes) -> MediaFacts:
    width = height = None
    alpha = animated = c2pa = False
    said = _Said()
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
            said.c2pa(bytes(body[:_SPAN]))
        elif kind == b"EXIF":
            said.exif(bytes(body[:_SPAN]))
        elif kind == b"XMP ":
            said.xmp(bytes(body[:_SPAN]))
    return MediaFacts("image/webp", width, height, alpha, animated, c2pa, said.facts)


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
    said = _Said()
    while at < len(data) and data[at] != 0x3B:
        if data[at] == 0x2C:  # one frame
            frames += 1
            # A frame may be larger than the screen it is for.
            left, top, wide, high = struct.unpack_from("<HHHH", data, at + 1)
            width, height = max(width, left + wide), max(height, top + high)
            at = _blocks(data, at + 11 + _palette(data[at + 9]))
        elif data[at] == 0x21:
            alpha |= data[at + 1] == 0xF9 and bool(data[at + 3] & 1)
            if data[at + 1] == 0xFF and data[at + 3 : at + 11] == b"C2PA_GIF":
                c2pa = True
                said.c2pa(data[at + 14 : at + 14 + _SPAN])
            elif data[at + 1 : at + 14] == b"\xff\x0bXMP DataXMP":
                said.xmp(data[at + 14 : at + 14 + _SPAN])
            elif data[at + 1] == 0xFE:
                said.say("gif:comment", data[at + 3 : at + 3 + data[at + 2]])
            at = _blocks(data, at + 2)
        else:
            break
    return MediaFacts("image/gif", width, height, alpha, frames > 1, c2pa, said.facts)


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
    c2pa, said = b"c2pa" in data[:4096], _Said()
    alpha = _has_alpha(data[:4096])
    at = 0
    for _ in range(_MOST):
        if at + 24 > len(data):
            break
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"uuid" and data[at + 8 : at + 24] == _C2PA_BOX:
            c2pa = True
            said.c2pa(data[at + 24 : at + 24 + min(length, _SPAN)])
        # It follows the provenance, which may be long.
        alpha |= kind == b"meta" and _has_alpha(data[at : at + min(length, _SPAN)])
        if length < 2:  # the length follows, or it is all the rest
            length = struct.unpack_from(">Q", data, at + 8)[0] if length else len(data)
        at += max(length, 8)
    # EXIF and XMP are items, which may lie anywhere in it.
    if exif := _EXIF_ITEM.search(data):
        said.exif(data[exif.start(1) : exif.start(1) + _SPAN])
    said.xmp_in(data)
    return MediaFacts(
        "image/avif",
        width,
        height,
        alpha,
        data[8:12] == b"avis",
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


def _svg(data: bytes) -> MediaFacts | None:
    head = data[:8192]
    start = _SVG.match(head)
    if not start:
        return None
    tag = head[start.end() - 4 : head.find(b">", start.end()) + 1]
    sides = {name.decode(): int(value) for name, value in _SIDE.findall(tag)}
    if box := _BOX.search(tag):
        sides = {"width": int(box[1]), "height": int(box[2])} | sides
    said = _Said()
    said.xmp_in(data)
    return MediaFacts(
        "image/svg+xml",
        sides.get("width"),
        sides.get("height"),
        True,
        b"<animate" in data,
        b"c2pa:manifest" in data,
        said.facts,
    )


# How many blocks are looked at, how much of each, and how much is told: they may be a stranger's.
_BLOCKS, _SPAN, _LENGTH, _FACTS = 100, 1 << 18, 200, 30
_TELLING = (b"caBX", b"eXIf", b"tEXt", b"zTXt", b"iTXt")
_C2PA_BOX = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_EXIF_ITEM = re.compile(rb"Exif\0\0(II\*\0|MM\0\*)")
_XMP_HEAD = b"http://ns.adobe.com/xap/1.0/\0"
_XMP_KEYWORD = "XML:com.adobe.xmp"
# What is said in CBOR, where a text follows its length; or in XML or JSON, where it ends by itself.
_SOURCE = re.compile(rb"(?:x(?P<size>.))?https?://cv\.iptc\.org/[^\s\"'<>]{0,40}/", re.S)
_SOURCE_TYPE = re.compile(rb"[A-Za-z]{1,60}")
_GENERATOR = re.compile(rb"claim_generator(?:_info(?:[\xa0-\xbf\x81]{1,3})dname)?", re.S)
_XMP_FACTS = {
    "xmp:software": re.compile(
        rb"(?:CreatorTool|tiff:Software)(?:>|\s*+=\s*+[\"'])([^<\"']{1,999})"
    ),
    "xmp:credit": re.compile(rb"photoshop:Credit(?:>|\s*+=\s*+[\"'])([^<\"']{1,999})"),
}
_EXIF_FACTS = {0x010E: "exif:description", 0x0131: "exif:software", 0x013B: "exif:artist"}


class _Said:
    """What a picture declares of where it comes from. Whatever is broken in it is passed over."""

    def __init__(self) -> None:
        self.facts: dict[str, str] = {}
        self._left = _BLOCKS

    def _may_look(self) -> bool:
        self._left -= 1
        return self._left >= 0

    def say(self, name: str, value: bytes) -> None:
        text = value[: 4 * _LENGTH].decode("utf-8", "replace")
        text = "".join(letter if letter.isprintable() else " " for letter in text).strip()
        if text and len(self.facts) < _FACTS:
            self.facts.setdefault(name, text[:_LENGTH])

    def c2pa(self, body: bytes) -> None:
        if not self._may_look():
            return
        self._source("c2pa:digital_source_type", body)
        for found in _GENERATOR.finditer(body):
            if text := _cbor_text(body, found.end()):
                self.say("c2pa:generator", text)
                break

    def _source(self, name: str, body: bytes) -> None:
        for found in _SOURCE.finditer(body):
            # The length counts from the beginning of the address.
            size = found["size"]
            end = found.start("size") + 1 + size[0] if size else found.end() + 60
            if term := _SOURCE_TYPE.match(body, found.end(), max(end, found.end())):
                self.say(name, term[0])
                break

    def xmp(self, body: bytes) -> None:
        if not self._may_look():
            return
        self.say("xmp", b"present")
        self._source("xmp:digital_source_type", body)
        for name, pattern in _XMP_FACTS.items():
            if found := pattern.search(body):
                self.say(name, found[1])

    def xmp_in(self, data: bytes) -> None:
        start = data.find(b"<x:xmpmeta")
        if start >= 0:
            self.xmp(data[start : start + _SPAN])

    def exif(self, body: bytes) -> None:
        if not self._may_look():
            return
        self.say("exif", b"present")
        self.tags(body.removeprefix(b"Exif\0\0"))

    def tags(self, body: bytes) -> None:
        order = "<" if body[:2] == b"II" else ">"
        try:
            (at,) = struct.unpack_from(f"{order}I", body, 4)
            (count,) = struct.unpack_from(f"{order}H", body, at)
            for entry in range(at + 2, at + 2 + 12 * min(count, _FACTS * 10), 12):
                tag, kind, length, where = struct.unpack_from(f"{order}HHII", body, entry)
                if tag in _EXIF_FACTS and kind == 2:
                    # Up to four letters stand where else the place of them does.
                    where = entry + 8 if length <= 4 else where
                    text = body[where : where + min(length, 4 * _LENGTH)]
                    self.say(_EXIF_FACTS[tag], text.partition(b"\0")[0])
        except struct.error:
            return

    def segment(self, marker: int, body: bytes) -> None:
        if marker == 0xFE:
            self.say("jpeg:comment", body)
        elif body.startswith(b"Exif\0\0"):
            self.exif(body)
        elif body.startswith(_XMP_HEAD):
            self.xmp(body)
        elif body.startswith(b"Photoshop 3.0\0"):
            self.say("iptc", b"present")

    def png_text(self, kind: bytes, body: bytes) -> None:
        if not self._may_look():
            return
        word, _, text = body.partition(b"\0")
        keyword = word[:79].decode("latin-1")
        packed = kind == b"zTXt"
        if kind == b"iTXt":
            packed, text = text[:1] == b"\1", text[2:]
            text = text.partition(b"\0")[2].partition(b"\0")[2]
        elif packed:
            text = text[1:]
        if packed:
            try:
                text = zlib.decompressobj().decompress(text, _SPAN)
            except zlib.error:
                text = b"?"
        if kind != b"iTXt" and not text.isascii():
            text = text[:_LENGTH].decode("latin-1").encode()
        if keyword == _XMP_KEYWORD:
            self.xmp(text)
        else:
            name = "".join(one if one.isalnum() else "_" for one in keyword.lower())
            self.say(f"png:{name}", text)


def _cbor_text(data: bytes, at: int) -> bytes:
    """The text that begins there, in CBOR; nothing where it is no text."""
    head = data[at] if at < len(data) else 0
    if head == 0x78 and at + 1 < len(data):
        return data[at + 2 : at + 2 + data[at + 1]]
    return data[at + 1 : at + 1 + (head & 0x1F)] if 0x60 <= head <= 0x77 else b""
