"""Bytes in whatever pieces they arrive, cut into server-sent events or lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Self, TypeAlias

from ._blob import Sink
from ._errors import ProtocolError
from ._json import parsed
from ._lifting import LEAST, MOST_HELD, MOST_PARSED, Lifted, Lifter

_DATA = b"data:"


class _Held:
    """Where an event's data is when its text is not at hand; no field, so no copy takes it."""

    __slots__ = ("_held",)
    _held: Lifted | None


@dataclass(frozen=True, slots=True)
class ServerSentEvent(_Held):
    """One event of a `text/event-stream`.

    Whoever asks for the `data` of one that holds pictures has it put together again, each time;
    `json()` does without.
    """

    event: str
    data: str = field(repr=False)
    id: str | None = None

    @classmethod
    def holding(cls, event: str, held: bytes | Lifted, id: str | None) -> Self:
        """An event whose data is *held*."""
        if isinstance(held, bytes):
            return cls(event, held.decode("utf-8", "replace"), id)
        made = cls.__new__(cls)
        for name, value in {"event": event, "id": id, "_held": held}.items():
            object.__setattr__(made, name, value)
        return made

    @property
    def held(self) -> str | Lifted:
        """The data as it is at hand."""
        return self.data if self._held is None else self._held

    def json(self) -> Any:
        """The data as JSON, in which a `Blob` may stand for a string; else a `ProtocolError`."""
        try:
            return parsed(self.data) if self._held is None else self._held.text_json()
        except (ValueError, RecursionError) as error:
            raise ProtocolError(f"expected JSON in an event, got {self.data[:80]!r}") from error


def _not_set(event: ServerSentEvent, name: str) -> Any:
    if name == "_held":
        return None
    if name == "data" and event._held is not None:
        return event._held.body().decode("utf-8", "replace")
    raise AttributeError(f"'ServerSentEvent' object has no attribute {name!r}")


# Not in the class, where a type checker would take it to allow whatever name is asked for.
ServerSentEvent.__getattr__ = _not_set  # type: ignore[attr-defined]


class _Lines:
    """Where the lines of pieces end. Ends of line are LF, CRLF or CR."""

    def __init__(self) -> None:
        self._held_return = False

    def of(self, chunk: bytes) -> Iterator[tuple[int, int, bool]]:
        """Where each line in *chunk* begins and ends, and whether that is its end."""
        start = 0
        if self._held_return and chunk:
            # The last piece ended in CR; an LF now is the second half of that end of line.
            self._held_return = False
            start = int(chunk.startswith(b"\n"))
        feed = chunk.find(b"\n", start)
        while True:
            # Two searches for single bytes: a search for a set of them is a hundred times slower.
            back = chunk.find(b"\r", start, feed if feed >= 0 else len(chunk))
            end = back if back >= 0 else feed
            if end < 0:
                break
            self._held_return = back >= 0 and back + 1 == len(chunk)
            yield start, end, True
            start = end + (2 if 0 <= back == feed - 1 else 1)
            if 0 <= feed < start:
                feed = chunk.find(b"\n", start)
        if start < len(chunk):
            yield start, len(chunk), False


class LineDecoder:
    """Feed it bytes, take the lines they complete. Ends of line are LF, CRLF or CR."""

    def __init__(self) -> None:
        self._lines = _Lines()
        self._pieces: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The lines that *chunk* completes, without their ends."""
        for start, end, whole in self._lines.of(chunk):
            if whole:
                yield self.joined(chunk, start, end)
            else:
                self.hold(chunk, start, end)

    def joined(self, chunk: bytes, start: int, end: int) -> bytes:
        """The line that ends with `chunk[start:end]`."""
        if not self._pieces:
            return chunk[start:end]
        line = b"".join((*self._pieces, chunk[start:end]))
        self._pieces.clear()
        self._size = 0
        return line

    def hold(self, chunk: bytes, start: int, end: int) -> int:
        """Keep what is no whole line yet; returns its length so far."""
        self._pieces.append(chunk[start:end])
        self._size += end - start
        if self._size > MOST_HELD:
            raise ProtocolError(f"a line of the stream is longer than {MOST_HELD} bytes")
        return self._size

    def rest(self) -> bytes:
        """What is left after the last end of line."""
        return self.joined(b"", 0, 0)


class EventDecoder:
    """Feed it bytes, take the server-sent events they complete.

    What their data holds in base64 under one of the JSON keys *blobs* is decoded as it comes, into
    what *sink* makes; *least* is how long it has to be.
    """

    def __init__(
        self,
        blobs: frozenset[str] = frozenset(),
        sink: Callable[[], Sink] | None = None,
        *,
        least: int = LEAST,
    ) -> None:
        self._blobs, self._sink, self._least = blobs, sink, least
        self._most = MOST_PARSED if blobs else MOST_HELD
        self._ends = _Lines()
        self._line = LineDecoder()
        self._event = ""
        self._id: str | None = None
        self._data: list[bytes] = []
        self._size = 0
        self._first = True
        # Takes an event's data once a line of it is long; and whether it is amid of that line.
        self._lifter: Lifter | None = None
        self._amid = False

    def feed(self, chunk: bytes) -> Iterator[ServerSentEvent]:
        """The events that *chunk* completes."""
        for start, end, whole in self._ends.of(chunk):
            if self._amid:
                assert self._lifter is not None
                self._lifter.feed(chunk, start, end)
                self._amid = not whole
            elif not whole:
                self._begin(chunk, start, end)
            elif line := self._line.joined(chunk, start, end):
                self._take(line)
            else:
                yield from self._dispatch()
            self._first = self._first and not whole

    def finish(self) -> Iterator[ServerSentEvent]:
        """The event that the end of the stream completes: some servers omit its blank line."""
        if left := self._line.rest():
            self._take(left)
        yield from self._dispatch()

    def close(self) -> None:
        """Keep nothing of an event that is not whole."""
        if self._lifter is not None:
            self._lifter.drop()

    def _begin(self, chunk: bytes, start: int, end: int) -> None:
        """Note the beginning of a line, or more of it."""
        size = self._line.hold(chunk, start, end)
        # Once, when it is long enough to tell what it is.
        if self._blobs and size - (end - start) <= len(_DATA) < size:
            line = self._line.rest()
            if line.startswith(_DATA):
                self._amid = True
                self._lift(line[len(_DATA) :].removeprefix(b" "))
            else:
                self._line.hold(line, 0, size)

    def _take(self, line: bytes) -> None:
        if self._first:
            line = line.removeprefix(b"\xef\xbb\xbf")
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._add(value)
        elif name == b"event":
            self._event = value.decode("utf-8", "replace")
        elif name == b"id" and b"\0" not in value:
            self._id = value.decode("utf-8", "replace")

    def _add(self, value: bytes) -> None:
        if self._lifter is not None or (self._blobs and len(value) >= self._least):
            return self._lift(value)
        self._size += len(value) + 1  # and the line's end, for there may be nothing else of it
        if self._size > self._most:
            raise ProtocolError(f"an event of the stream is longer than {self._most} bytes")
        self._data.append(value)

    def _lift(self, value: bytes) -> None:
        if self._lifter is None:
            self._lifter = Lifter(self._blobs, self._sink, least=self._least)
            for line in self._data:
                self._lifter.feed(line + b"\n")
        else:
            self._lifter.feed(b"\n")
        self._lifter.feed(value)

    def _dispatch(self) -> Iterator[ServerSentEvent]:
        held: bytes | Lifted | None = b"\n".join(self._data) if self._data else None
        if self._lifter is not None:
            held, self._lifter = self._lifter.finish(), None
        event, self._event, self._data, self._size = self._event or "message", "", [], 0
        if held is not None:
            yield ServerSentEvent.holding(event, held, self._id)


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

    def close(self) -> None:
        """Nothing of it has to be dropped."""


class Pieces:
    """Bytes as they come."""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The chunk itself."""
        yield chunk

    def finish(self) -> Iterator[bytes]:
        """Nothing is ever left over."""
        return iter(())

    def close(self) -> None:
        """Nothing of them has to be dropped."""


Decoder: TypeAlias = EventDecoder | TextLines | Pieces
Received: TypeAlias = ServerSentEvent | str | bytes


def decoder(
    framing: str, blobs: frozenset[str] = frozenset(), sink: Callable[[], Sink] | None = None
) -> Decoder:
    """The decoder for *framing*: "events", "lines" or "pieces"; see `EventDecoder`."""
    match framing:
        case "events":
            return EventDecoder(blobs, sink)
        case "lines":
            return TextLines()
    return Pieces()
