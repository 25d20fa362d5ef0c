"""What a picture declares of where it comes from: in C2PA, XMP, EXIF, IPTC and in words."""

from __future__ import annotations

import re
import struct
import zlib
from typing import TypeAlias

# What is looked at: only in slices, which copy no more than they show.
Seen: TypeAlias = bytes | memoryview

# How many blocks are looked at, how much of each and of all, and how much is told: they may be a
# stranger's.
_BLOCKS, SPAN, READ, _LENGTH, _FACTS = 100, 1 << 18, 1 << 20, 200, 30
# A word is tried in so many places of a block.
_PLACES = 20
_XMP_HEAD = b"http://ns.adobe.com/xap/1.0/\0"
_XMP_KEYWORD = "XML:com.adobe.xmp"
# What is said in CBOR, where a text follows its length; or in XML or JSON, where it ends by itself.
_SOURCE_WORDS = (b"http://cv.iptc.org/", b"https://cv.iptc.org/")
_SOURCE = re.compile(rb"https?://cv\.iptc\.org/[^\s\"'<>]{0,40}/")
_SOURCE_TYPE = re.compile(rb"[A-Za-z]{1,60}")
_GENERATOR = re.compile(rb"claim_generator(?:_info(?:[\xa0-\xbf\x81]{1,3})dname)?", re.S)
_XMP_FACTS = {
    "xmp:software": (
        (b"CreatorTool", b"tiff:Software"),
        re.compile(rb"(?:CreatorTool|tiff:Software)(?:>|\s*+=\s*+[\"'])([^<\"']{1,999})"),
    ),
    "xmp:credit": (
        (b"photoshop:Credit",),
        re.compile(rb"photoshop:Credit(?:>|\s*+=\s*+[\"'])([^<\"']{1,999})"),
    ),
}
_EXIF_FACTS = {0x010E: "exif:description", 0x0131: "exif:software", 0x013B: "exif:artist"}


def _places(body: bytes, *words: bytes) -> list[int]:
    """Where in *body* one of *words* begins, in order; only the first few."""
    found: list[int] = []
    for word in words:
        at = body.find(word)
        while at >= 0 and len(found) < _PLACES * len(words):
            found.append(at)
            at = body.find(word, at + 1)
    return sorted(found)


class Said:
    """What a picture declares of where it comes from. Whatever is broken in it is passed over."""

    def __init__(self) -> None:
        self.facts: dict[str, str] = {}
        self._left = _BLOCKS
        self._unread = READ

    def block(self, data: Seen, at: int, length: int) -> bytes:
        """What is looked at of the block of so many bytes that begins there."""
        body = bytes(data[at : at + max(0, min(length, SPAN, self._unread))])
        self._unread -= len(body)
        return body

    def _may_look(self) -> bool:
        self._left -= 1
        return self._left >= 0

    def say(self, name: str, value: bytes) -> None:
        """Note that *name* says *value*, unless it has said something already."""
        if name in self.facts or len(self.facts) >= _FACTS:
            return
        text = value[: 4 * _LENGTH].decode("utf-8", "replace")
        text = "".join(letter if letter.isprintable() else " " for letter in text).strip()
        if text:
            self.facts[name] = text[:_LENGTH]

    def c2pa(self, body: bytes) -> None:
        """Look through a manifest of C2PA."""
        if not self._may_look():
            return
        self._source("c2pa:digital_source_type", body)
        for at in _places(body, b"claim_generator"):
            found = _GENERATOR.match(body, at)
            if found and (text := _cbor_text(body, found.end())):
                self.say("c2pa:generator", text)
                break

    def _source(self, name: str, body: bytes) -> None:
        for at in _places(body, *_SOURCE_WORDS):
            # The length, where there is one, counts from the beginning of the address.
            sized = at >= 2 and body[at - 2] == 0x78
            end = at + body[at - 1] if sized else len(body)
            found = _SOURCE.match(body, at)
            if found and (term := _SOURCE_TYPE.match(body, found.end(), max(end, found.end()))):
                self.say(name, term[0])
                break

    def xmp(self, body: bytes) -> None:
        """Look through a block of XMP."""
        if not self._may_look():
            return
        self.say("xmp", b"present")
        self._source("xmp:digital_source_type", body)
        for name, (words, pattern) in _XMP_FACTS.items():
            for at in _places(body, *words):
                if found := pattern.match(body, at):
                    self.say(name, found[1])
                    break

    def xmp_in(self, data: bytes) -> None:
        """The same of the first such block in *data*, if there is one."""
        start = data.find(b"<x:xmpmeta")
        if start >= 0:
            self.xmp(data[start : start + SPAN])

    def exif(self, body: bytes) -> None:
        """Look through a block of EXIF."""
        if not self._may_look():
            return
        self.say("exif", b"present")
        self.tags(body.removeprefix(b"Exif\0\0"))

    def tags(self, body: Seen) -> None:
        """Look through the tags of a TIFF, which is what EXIF is."""
        order = "<" if body[:2] == b"II" else ">"
        try:
            (at,) = struct.unpack(f"{order}I", body[4:8])
            (count,) = struct.unpack(f"{order}H", body[at : at + 2])
            for entry in range(at + 2, at + 2 + 12 * min(count, _FACTS * 10), 12):
                tag, kind, length, where = struct.unpack(f"{order}HHII", body[entry : entry + 12])
                if tag in _EXIF_FACTS and kind == 2:
                    # Up to four letters stand where else the place of them does.
                    where = entry + 8 if length <= 4 else where
                    text = bytes(body[where : where + min(length, 4 * _LENGTH)])
                    self.say(_EXIF_FACTS[tag], text.partition(b"\0")[0])
        except struct.error:
            return

    def segment(self, marker: int, body: bytes) -> None:
        """Look through what a JPEG has behind *marker*."""
        if marker == 0xFE:
            self.say("jpeg:comment", body)
        elif body.startswith(b"Exif\0\0"):
            self.exif(body)
        elif body.startswith(_XMP_HEAD):
            self.xmp(body)
        elif body.startswith(b"Photoshop 3.0\0"):
            self.say("iptc", b"present")

    def png_text(self, kind: bytes, body: bytes) -> None:
        """Note what a PNG says in words, in a part of that *kind*."""
        if not self._may_look():
            return
        word, _, text = body.partition(b"\0")
        keyword = word[:79].decode("latin-1")
        name = "png:" + "".join(one if one.isalnum() else "_" for one in keyword.lower())
        if name in self.facts:
            return
        packed = kind == b"zTXt"
        if kind == b"iTXt":
            packed, text = text[:1] == b"\1", text[2:]
            text = text.partition(b"\0")[2].partition(b"\0")[2]
        elif packed:
            text = text[1:]
        if packed:
            try:
                most = min(SPAN, self._unread) if keyword == _XMP_KEYWORD else 4 * _LENGTH
                # Of 0 zlib would say all of it.
                text = zlib.decompressobj().decompress(text, max(most, 1))
                self._unread -= len(text)
            except zlib.error:
                text = b"?"
        if kind != b"iTXt" and not text.isascii():
            text = text[:_LENGTH].decode("latin-1").encode()
        if keyword == _XMP_KEYWORD:
            self.xmp(text)
        else:
            self.say(name, text)


def _cbor_text(data: bytes, at: int) -> bytes:
    """The text that begins there, in CBOR; nothing where it is no text."""
    head = data[at] if at < len(data) else 0
    if head == 0x78 and at + 1 < len(data):
        return data[at + 2 : at + 2 + data[at + 1]]
    return data[at + 1 : at + 1 + (head & 0x1F)] if 0x60 <= head <= 0x77 else b""
