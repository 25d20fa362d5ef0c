"""Base64 that stands for a picture: the text as it came, the bytes it means, and where they are."""

from __future__ import annotations

import io
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, Protocol, Self, TypeAlias

from pybase64 import b64decode, b64encode

from ._errors import ProtocolError, RequestError

# How much of a file is looked at in one go.
PIECE = 2**18
# A picture that is larger gets room for as much as the last such one was, up to so many times that;
# and once more, when it has come to that.
FIRST, ROOM = 2**18, 16

# A file's length, which file it is, and when it was written to.
Seen: TypeAlias = tuple[int, int, int]


def seen(file: Path | int) -> Seen:
    """What tells *file*, which may be open, from another, and from itself once it is written to."""
    found = os.stat(file)  # noqa: PTH116  # what is open has no path
    return found.st_size, found.st_ino, found.st_mtime_ns


class Blob:
    """One base64 string of a provider's answer.

    `bytes(blob)` is what it means, `str(blob)` the exact characters. A provider reads pictures
    only through `blob()` or a pydantic field of this type, which take text and blobs alike, so
    the core is free to decode while the answer still arrives, into memory or into a file. Where
    that file is gone when its bytes are asked for, or is not what a call had looked at, it is a
    `RequestError`.
    """

    __slots__ = ("_data", "_loose", "_path", "_seen", "_size", "_text")

    def __init__(self, text: str) -> None:
        encoded = text.partition(",")[2] if text.startswith("data:") else text
        try:
            data = b64decode(encoded, validate=True)
        except ValueError as error:
            raise ProtocolError(f"expected a base64 picture, got {text[:40]!r}") from error
        self._data: bytes | None = data
        self._text: str | None = text
        self._path: Path | None = None
        self._size = len(data)
        self._loose = False
        self._seen: Seen | None = None

    @classmethod
    def of(cls, data: bytes) -> Self:
        """The blob of bytes that are at hand; its text is their canonical base64."""
        made = cls.__new__(cls)
        made._data, made._text, made._path, made._size = data, None, None, len(data)
        made._loose, made._seen = False, None
        return made

    @classmethod
    def in_file(
        cls, path: Path, size: int, *, loose: bool = False, seen: Seen | None = None
    ) -> Self:
        """The blob of the *size* bytes that are in a file, which is read when they are asked for.

        A *loose* file is nobody's yet: whoever wants it may move it, and says where by `moved`.
        Where it was *seen* for a call, it goes out as long as it is just that.
        """
        made = cls.__new__(cls)
        made._data, made._text, made._path, made._size = None, None, path, size
        made._loose, made._seen = loose, seen
        return made

    @property
    def path(self) -> Path | None:
        """The file that its bytes are in; None where they are in memory."""
        return self._path

    @property
    def loose(self) -> bool:
        """Whether its file may be moved."""
        return self._loose

    @property
    def seen(self) -> Seen | None:
        """Its file as it was when a call looked at it; None where none did."""
        return self._seen

    def moved(self, path: Path) -> None:
        """Its file is at *path* now, and somebody's: all who have the blob see it there."""
        self._path, self._loose = path, False

    def pieces(self) -> Generator[bytes, None, None]:
        """Its bytes in order, of which those in a file are never held together."""
        if self._path is None:
            yield bytes(self)
            return
        try:
            yield from pieces_of(self._path)
        except OSError as error:
            raise unreadable(self._path, error) from error

    def __bytes__(self) -> bytes:
        if self._data is not None:
            return self._data
        assert self._path is not None
        try:
            data = self._path.read_bytes()
            as_it_was = self._seen in (None, seen(self._path))
        except OSError as error:
            raise unreadable(self._path, error) from error
        if not as_it_was:
            raise RequestError(changed(self._path, self._size, "before"))
        return data

    def __str__(self) -> str:
        return b64encode(bytes(self)).decode("ascii") if self._text is None else self._text

    def __len__(self) -> int:
        """How many bytes it means."""
        return self._size

    def __eq__(self, other: object) -> bool:
        if isinstance(other, bytes):
            other = Blob.of(other)
        if not isinstance(other, Blob):
            return NotImplemented
        if self is other:
            return True
        if self._size != other._size:
            return False
        if self._path is not None and self._path == other._path:
            return True
        if self._path is None and other._path is None:
            return bytes(self) == bytes(other)
        at = 0
        for piece, there in zip(self._cut(), other._cut(), strict=False):
            if piece != there:
                return False
            at += len(piece)
        return at == self._size

    def _cut(self) -> Iterator[memoryview]:
        """Its bytes in pieces of one length, for two to be compared."""
        for piece in self.pieces():
            view = memoryview(piece)
            for start in range(0, len(view), PIECE):
                yield view[start : start + PIECE]

    __hash__ = None  # type: ignore[assignment]  # it is compared by what may be a whole file

    def __repr__(self) -> str:
        return f"Blob({self._size} bytes)"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(
            blob, serialization=core_schema.to_string_ser_schema()
        )


def blob(value: str | Blob) -> Blob:
    """The blob that *value* is or spells; raises `ProtocolError` when it is neither."""
    if isinstance(value, Blob):
        return value
    if not isinstance(value, str):
        raise ProtocolError(f"expected a base64 picture, got {type(value).__name__}")
    return Blob(value)


def unreadable(path: Path, error: Exception) -> RequestError:
    """Why the bytes of a picture cannot be had that are in a file."""
    return RequestError(
        f"cannot read the picture from {str(path)!r}: {getattr(error, 'strerror', None) or error}; "
        "a preview's file goes with its call, the file of a picture is yours to keep"
    )


def changed(path: Path, size: int, when: str) -> str:
    """What is said of a file of *size* bytes that changed before or while it was sent."""
    return (
        f"the picture {str(path)!r} changed {when} it was sent: it had {size} bytes, and is "
        "longer, shorter or written anew by now; ask again when nobody writes to it, or give its "
        "bytes"
    )


def pieces_of(path: Path) -> Generator[bytes, None, None]:
    """What is in a file, in order; it raises `OSError` as a file does."""
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece


class Sink(Protocol):
    """Where the bytes of one picture go while they arrive."""

    def write(self, data: bytes, /) -> object:
        """Take the next of them."""
        ...

    def blob(self) -> Blob:
        """All of them have come."""
        ...

    def drop(self) -> None:
        """They were no picture, or never came whole: nothing of them is kept."""
        ...


class Memory:
    """A picture in memory, in one buffer, which is handed over without a copy.

    Pictures come in like sizes. In a buffer that has to grow, or in pieces that are joined, one
    takes twice its memory for a moment, which the system is asked for anew with each of them: that
    costs more than to decode it.
    """

    _last = 0

    def __init__(self) -> None:
        self._buffer = io.BytesIO()
        self._size, self._room = 0, FIRST

    def write(self, data: bytes | memoryview, /) -> None:
        """Take the next of them."""
        self._size += len(data)
        if self._size > self._room:
            self._room *= ROOM
            self._widen(min(self._room, Memory._last))
        self._buffer.write(data)

    def _widen(self, room: int) -> None:
        if room >= self._size:
            # Its only owner, the new buffer takes these bytes for its own.
            wide = io.BytesIO(bytes(room))
            wide.write(self._buffer.getbuffer()[: self._buffer.tell()])
            self._buffer = wide

    def blob(self) -> Blob:
        """All of them have come."""
        if self._size > FIRST:
            Memory._last = self._size
        self._buffer.truncate()
        return Blob.of(self._buffer.getvalue())

    def drop(self) -> None:
        """Forget them."""
        self._buffer = io.BytesIO()
