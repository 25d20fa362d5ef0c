"""Long base64 strings lifted out of JSON while it arrives, and what was left of it put together."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from pybase64 import b64decode, b64encode

from ._blob import Blob, Memory, Sink
from ._errors import ProtocolError
from ._json import parsed

# A shorter string is not worth it, and stays in the JSON.
LEAST = 2048
# Bytes of a whole answer or event, pictures included, and of what is parsed as JSON beside them.
MOST_HELD = 256 * 2**20
MOST_PARSED = 64 * 2**20
# No more is decoded in one go, for what is decoded is copied to where it goes.
_STEP = 2**18
# So much white space a key may have around its colon; who writes more is read the ordinary way.
_SPACE = 16
# What stands where a string stood. It is never sent, so that nobody else can write it.
_MARK = secrets.token_hex(16)
_PLACE = re.compile(rf"{_MARK}(\d+)".encode())
_NESTED = dict, list


class Lifted:
    """JSON out of which strings were lifted: what is left of it, and their blobs in order."""

    __slots__ = ("_blobs", "_names", "rest")

    def __init__(self, rest: bytes, blobs: tuple[Blob, ...], names: frozenset[str]) -> None:
        self.rest = rest
        self._blobs = blobs
        self._names = names

    def body(self) -> bytes:
        """The very bytes that came, made again."""
        return _PLACE.sub(lambda place: str(self._blobs[int(place[1])]).encode(), self.rest)

    def head(self, size: int) -> bytes:
        """The first *size* of them."""
        place = _PLACE.search(self.rest)
        return (self.body() if place and place.start() < size else self.rest)[:size]

    def json(self) -> Any:
        """The JSON, a `Blob` in place of each string."""
        return self._read(self.rest)

    def text_json(self) -> Any:
        """The same of what is read as text, as the data of an event is."""
        return self._read(self.rest.decode("utf-8", "replace"))

    def with_rest(self, rest: bytes) -> Lifted:
        """The same blobs in another *rest*."""
        return Lifted(rest, self._blobs, self._names)

    def _read(self, rest: str | bytes) -> Any:
        try:
            return self._filled(parsed(rest))
        except json.JSONDecodeError as error:
            # It holds the text, and with it our marks.
            why = error.msg
        raise ValueError(why)

    def _filled(self, found: Any) -> Any:
        # Not by recursion: it goes as deep as the parser does.
        left = [found]
        while left:
            one = left.pop()
            if isinstance(one, list):
                left.extend(inner for inner in one if isinstance(inner, _NESTED))
            else:
                for name, value in one.items():
                    if isinstance(value, str):
                        if value.startswith(_MARK):
                            blob = self._blobs[int(value[len(_MARK) :])]
                            # In `{"a\"b": …` stands what looks like the key `b`, and is none.
                            one[name] = blob if name in self._names else str(blob)
                    elif isinstance(value, _NESTED):
                        left.append(value)
        return found


@lru_cache(maxsize=64)
def _key(names: frozenset[str]) -> tuple[re.Pattern[bytes], int]:
    """What finds one of *names* as a key and the beginning of its string; how long it may be."""
    spelt = [json.dumps(name, ensure_ascii=False)[1:-1].encode() for name in sorted(names)]
    space = rb"[ \t\r\n]{0,%d}" % _SPACE
    either = b"|".join(map(re.escape, spelt))
    pattern = re.compile(b'"(?:' + either + b')"' + space + b":" + space + b'"')
    return pattern, max(map(len, spelt)) + 4 + 2 * _SPACE


class Lifter:
    """Fed a JSON document in pieces, it decodes what is long and base64 under one of *names*.

    Only what canonical base64 spells is lifted, into what *sink* makes. All else is as it came.
    """

    def __init__(
        self,
        names: Iterable[str],
        sink: Callable[[], Sink] | None = None,
        *,
        least: int = LEAST,
        most: int = MOST_HELD,
        most_parsed: int = MOST_PARSED,
    ) -> None:
        self._names = frozenset(names)
        self._key, self._reach = _key(self._names)
        self._make: Callable[[], Sink] = sink or Memory
        self._least, self._most, self._most_parsed = least, most, most_parsed
        self._fed = 0
        self._rest = bytearray()
        # Where in the rest a key may begin that is not whole yet.
        self._from = 0
        # Of the string under a key: whether this is one, what came while it was short, whether it
        # is being decoded, where to, and its last characters, which may hold the padding.
        self._inside = False
        self._short = b""
        self._decoding = False
        self._sink: Sink | None = None
        self._written = 0
        self._last = b""
        self._sinks: list[Sink] = []
        self._blobs: list[Blob] = []

    def feed(self, piece: bytes, start: int = 0, end: int | None = None) -> None:
        """Take the next of it, `piece[start:end]`; raises `ProtocolError` where it is too much."""
        end = len(piece) if end is None else end
        self._fed += end - start
        if self._fed > self._most:
            raise ProtocolError(f"the answer is larger than {self._most} bytes")
        while start < end:
            start = (self._string if self._inside else self._other)(piece, start, end)
        self._parsable(0)

    def finish(self) -> bytes | Lifted:
        """All of it has come; where nothing was lifted, it is just that."""
        if self._inside:
            self._restore()
        rest, blobs = bytes(self._rest), tuple(self._blobs)
        self._sinks.clear()
        return Lifted(rest, blobs, self._names) if blobs else rest

    def drop(self) -> None:
        """It will never be whole: nothing of it is kept."""
        for sink in (*self._sinks, *([self._sink] if self._sink else [])):
            sink.drop()
        self._sinks, self._sink = [], None

    def _parsable(self, more: int) -> None:
        if len(self._rest) + more > self._most_parsed:
            raise ProtocolError(
                f"the answer holds more than {self._most_parsed} bytes beside its pictures"
            )

    def _other(self, piece: bytes, start: int, end: int) -> int:
        """What is in no string that may be lifted; returns where one begins, or the end."""
        rest, at = self._rest, -1
        if before := rest[max(self._from, len(rest) - self._reach) :]:
            found = self._key.search(before + piece[start : min(end, start + self._reach)])
            at = start + found.end() - len(before) if found else -1
        if at < 0:
            found = self._key.search(piece, start, end)
            at = found.end() if found else -1
        stop = end if at < 0 else at
        rest += memoryview(piece)[start:stop]
        if at >= 0:
            self._inside = json.detect_encoding(rest[:4]).startswith("utf-8")
            self._from = len(rest)
        return stop

    def _string(self, piece: bytes, start: int, end: int) -> int:
        """The next of a string that may be lifted; returns where to go on."""
        end = min(end, start + _STEP)
        quote = piece.find(b'"', start, end)
        stop = end if quote < 0 else quote
        if not self._decoding:
            if len(self._short) + stop - start < self._least:
                self._short += piece[start:stop]
                return self._ended(stop) if quote >= 0 else stop
            short, self._short = self._short, b""
            self._decoding = True
            if short and not self._decoded(short, 0, len(short)):
                self._last = short
                return self._restored(start)
        if not self._decoded(piece, start, stop):
            return self._restored(start)
        if quote < 0:
            return stop
        return self._ended(stop) if self._whole() else self._restored(stop)

    def _decoded(self, piece: bytes, start: int, end: int) -> bool:
        """Whether `piece[start:end]` could be decoded, all but its last characters, and was."""
        size = len(self._last) + end - start
        if size <= 4:
            self._last += piece[start:end]
            return True
        first = b""
        after = start + 4 - len(self._last) if self._last else start
        stop = end - (size - 1) % 4 - 1
        try:
            if self._last:
                first = b64decode(self._last + piece[start:after], validate=True)
            found = b64decode(memoryview(piece)[after:stop], validate=True)
        except ValueError:
            return False
        # What is padded is the end of a string, and this is not the end.
        whole = 3 * bool(self._last) + (stop - after) // 4 * 3
        if len(first) + len(found) != whole:
            return False
        self._write(first)
        self._write(found)
        self._last = piece[stop:end]
        return True

    def _write(self, data: bytes) -> None:
        if self._sink is None:
            self._sink = self._make()
        if data:
            self._sink.write(data)
            self._written += len(data)

    def _whole(self) -> bool:
        """Whether the string ends as canonical base64 does; then its blob is there."""
        try:
            last = b64decode(self._last, validate=True)
        except ValueError:
            return False
        if b64encode(last) != self._last:
            return False
        self._write(last)
        assert self._sink is not None
        self._rest += f"{_MARK}{len(self._blobs)}".encode()
        self._sinks.append(self._sink)
        self._blobs.append(self._sink.blob())
        self._sink, self._written, self._last = None, 0, b""
        return True

    def _ended(self, at: int) -> int:
        """The string is over; *at* is where."""
        self._rest += self._short
        self._forget()
        return at

    def _restored(self, at: int) -> int:
        """The string is none that can be lifted; it goes on in the ordinary way *at*."""
        self._restore()
        return at

    def _restore(self) -> None:
        self._rest += self._short
        if self._sink is not None:
            self._parsable(self._written // 3 * 4)
            self._rest += b64encode(bytes(self._sink.blob()))
            self._sink.drop()
        self._rest += self._last
        self._forget()

    def _forget(self) -> None:
        self._inside = self._decoding = False
        self._short = self._last = b""
        self._sink, self._written = None, 0
        self._from = len(self._rest)


class Body:
    """Fed an answer's own bytes in pieces, it gathers them in *sink*."""

    def __init__(self, sink: Sink, most: int = MOST_HELD) -> None:
        self._sink = sink
        self._left = self._most = most

    def feed(self, piece: bytes) -> None:
        """Take the next of them; raises `ProtocolError` where it is too much."""
        self._left -= len(piece)
        if self._left < 0:
            raise ProtocolError(f"the answer is larger than {self._most} bytes")
        self._sink.write(piece)

    def finish(self) -> Blob:
        """All of them have come."""
        return self._sink.blob()

    def drop(self) -> None:
        """They will never be whole: nothing of them is kept."""
        self._sink.drop()
