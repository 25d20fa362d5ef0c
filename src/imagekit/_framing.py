"""Bytes in whatever pieces they arrive, cut into server-sent events or lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ._errors import ProtocolError
from ._json import parsed


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event of a `text/event-stream`."""

    event: str
    data: str = field(repr=False)
    id: str | None = None

    def json(self) -> Any:
        """The data as JSON, in which a `Blob` may stand for a string; else a `ProtocolError`."""
        try:
            return parsed(self.data)
        except (ValueError, RecursionError) as error:
            raise ProtocolError(f"expected JSON in an event, got {self.data[:80]!r}") from error


# As much as a whole answer may be.
MOST_HELD = 256 * 2**20


class LineDecoder:
    """Feed it bytes, take the lines they complete. Ends of line are LF, CRLF or CR."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._held = 0
        self._held_return = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The lines that *chunk* completes, without their ends."""
        if self._held_return and chunk:
            # The last piece ended in CR; an LF now is the second half of that end of line.
            self._held_return = False
            chunk = chunk.removeprefix(b"\n")
        start, feed = 0, chunk.find(b"\n")
        while True:
            # Two searches for single bytes: a search for a set of them is a hundred times slower.
            back = chunk.find(b"\r", start, feed if feed >= 0 else len(chunk))
            end = back if back >= 0 else feed
            if end < 0:
                break
            yield b"".join((*self._pieces, chunk[start:end]))
            self._pieces.clear()
            self._held = 0
            self._held_return = back >= 0 and back + 1 == len(chunk)
            start = end + (2 if 0 <= back == feed - 1 else 1)
            if 0 <= feed < start:
                feed = chunk.find(b"\n", start)
        if start < len(chunk):
            self._pieces.append(chunk[start:])
            self._held += len(chunk) - start
            if self._held > MOST_HELD:
                raise ProtocolError(f"a line of the stream is longer than {MOST_HELD} bytes")

    def rest(self) -> bytes:
        """What is left after the last end of line."""
        left = b"".join(self._pieces)
        self._pieces.clear()
        self._held = 0
        return left


class EventDecoder:
    """Feed it bytes, take the server-sent events they complete."""

    def __init__(self) -> None:
        self._lines = LineDecoder()
        self._event = ""
        self._id: str | None = None
        self._data: list[bytes] = []
        self._first = True

    def feed(self, chunk: bytes) -> Iterator[ServerSentEvent]:
        """The events that *chunk* completes."""
        for line in self._lines.feed(chunk):
            if line:
                self._take(line)
            else:
                yield from self._dispatch()
            self._first = False

    def finish(self) -> Iterator[ServerSentEvent]:
        """The event that the end of the stream completes: some servers omit its blank line."""
        if left := self._lines.rest():
            self._take(left)
        yield from self._dispatch()

    def _take(self, line: bytes) -> None:
        if self._first:
            line = line.removeprefix(b"\xef\xbb\xbf")
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._event = value.decode("utf-8", "replace")
        elif name == b"id" and b"\0" not in value:
            self._id = value.decode("utf-8", "replace")

    def _dispatch(self) -> Iterator[ServerSentEvent]:
        if self._data:
            data = b"\n".join(self._data).decode("utf-8", "replace")
            yield ServerSentEvent(self._event or "message", data, self._id)
        self._event, self._data = "", []


class TextLines:
    """Feed it bytes, take the lines they complete as text; blank ones are left out."""

    def __init__(self) -> None:
        self._lines = LineDecoder()

    def feed(self, chunk: bytes) -> Iterator[str]:
        """The lines that *chunk* completes."""
        for line in self._lines.feed(chunk):
            if line:
                yield line.decode("utf-8", "replace")

    def finish(self) -> Iterator[str]:
        """The last line, if it had no end."""
        if left := self._lines.rest():
            yield left.decode("utf-8", "replace")


class Pieces:
    """Bytes as they come."""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The chunk itself."""
        yield chunk

    def finish(self) -> Iterator[bytes]:
        """Nothing is ever left over."""
        return iter(())


Decoder: TypeAlias = EventDecoder | TextLines | Pieces
Received: TypeAlias = ServerSentEvent | str | bytes


def decoder(framing: str) -> Decoder:
    """The decoder for *framing*: "events", "lines" or "pieces"."""
    match framing:
        case "events":
            return EventDecoder()
        case "lines":
            return TextLines()
    return Pieces()
