"""The pictures that are asked for: real PNGs by their headers, as large as is said."""

from __future__ import annotations

import random
import struct
import zlib
from functools import lru_cache
from hashlib import sha256

SIDE = 1024
SMALL, USUAL, PREVIEW, UPLOAD, LARGE = 1_000, 1_500_000, 2_000_000, 10_000_000, 24_000_000
# Longer than what anybody reads or decodes in one go.
WARM = 300_000


@lru_cache(maxsize=8)
def png(size: int, number: int = 0) -> bytes:
    """A PNG of *size* bytes, at least 100; those of other numbers are others.

    Its one IDAT chunk holds random bytes: no picture compresses, and nobody here looks inside.
    """
    head = b"\x89PNG\r\n\x1a\n" + _chunk(
        b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)
    )
    end = _chunk(b"IEND", b"")
    inside = size - len(head) - len(end) - 12
    return head + _chunk(b"IDAT", random.Random(f"{size} {number}").randbytes(inside)) + end


@lru_cache(maxsize=64)
def mark(size: int, number: int = 0) -> str:
    """What the picture is known by, so that who only checks one need not hold it."""
    return marked(png(size, number))


def marked(data: bytes) -> str:
    """What any bytes are known by."""
    return sha256(data).hexdigest()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
