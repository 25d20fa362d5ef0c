"""An answer's compression undone a little at a time: a few bytes of it may become all memory."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from ._errors import ProtocolError

# What is asked for; whatever else was not asked for is refused.
ENCODINGS = "gzip, deflate"
# Bytes that one piece is inflated to at once.
_STEP = 2**18
_GZIP, _ZLIB, _RAW = 31, 15, -15


class Inflater:
    """Fed the pieces of a body in gzip or deflate, it gives what they mean in small ones."""

    def __init__(self, encoding: str) -> None:
        self._deflate = encoding == "deflate"
        self._doing = zlib.decompressobj(_ZLIB if self._deflate else _GZIP)
        self._first = True

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """What *piece* comes to; raises `ProtocolError` where it is not compressed so."""
        found = self._next(piece)
        while found:
            yield found
            # A full step may have more behind it, of which no byte is left over.
            full = len(found) == _STEP
            rest = self._doing.unconsumed_tail
            found = self._next(rest) if rest or full else b""

    def finish(self) -> None:
        """All pieces have come; raises `ProtocolError` where they were not all that was sent."""
        if not (self._first or self._doing.eof):
            raise ProtocolError("the answer ends amid what is compressed")

    def _next(self, piece: bytes) -> bytes:
        first, self._first = self._first, False
        try:
            return self._doing.decompress(piece, _STEP)
        except zlib.error as error:
            if not (first and self._deflate):
                raise ProtocolError(f"the answer cannot be decoded: {error}") from error
        # Some send it without its head.
        self._doing = zlib.decompressobj(_RAW)
        return self._next(piece)


def inflater(encoding: str, asked: str) -> Inflater | None:
    """What undoes *encoding*, an answer's; None where nothing is to be undone, or not by us.

    *asked* is what the request said that it takes. Raises `ProtocolError` for what nobody asked
    for, and for what is compressed more than once.
    """
    known = encoding.strip().lower()
    if known in ("", "identity"):
        return None
    if known in ("gzip", "x-gzip", "deflate"):
        return Inflater(known)
    if "," in known:
        raise ProtocolError("the answer is compressed more than once")
    if known not in asked.lower():
        raise ProtocolError(f"the answer is compressed as {known!r}, which nobody asked for")
    return None
