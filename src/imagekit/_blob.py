"""Base64 that stands for a picture: the text as it came, the bytes it means, and where they are."""

from __future__ import annotations

import io
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, Protocol, Self

from pybase64 import b64decode, b64encode

from ._errors import ProtocolError

# How much of a file is looked at in one go.
PIECE = 2**18
# Up to this size a picture is joined at its end: fast, and for a moment it is there twice.
LARGE = 7 * 2**18


class Blob:
    """One base64 string of a provider's answer.

    `bytes(blob)` is what it means, `str(blob)` the exact characters. A provider reads pictures
    only through `blob()` or a pydantic field of this type, which take text and blobs alike, so
    the core is free to decode while the answer still arrives, into memory or into a file.
    """

    __slots__ = ("_data", "_loose", "_path", "_size", "_text")

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

    @classmethod
    def of(cls, data: bytes) -> Self:
        """The blob of bytes that are at hand; its text is their canonical base64."""
        made = cls.__new__(cls)
        made._data, made._text, made._path, made._size = data, None, None, len(data)
        made._loose = False
        return made

    @classmethod
    def in_file(cls, path: Path, size: int, *, loose: bool = False) -> Self:
        """The blob of the *size* bytes that are in a file, which is read when they are asked for.

        A *loose* file is nobody's yet: whoever wants it may move it, and says where by `moved`.
        """
        made = cls.__new__(cls)
        made._data, made._text, made._path, made._size = None, None, path, size
        made._loose = loose
        return made

    @property
    def path(self) -> Path | None:
        """The file that its bytes are in; None where they are in memory."""
        return self._path

    @property
    def loose(self) -> bool:
        """Whether its file may be moved."""
        return self._loose

    def moved(self, path: Path) -> None:
        """Its file is at *path* now, and somebody's: all who have the blob see it there."""
        self._path, self._loose = path, False

    def pieces(self) -> Generator[bytes, None, None]:
        """Its bytes in order, of which those in a file are never held together."""
        if self._path is None:
            yield bytes(self)
            return
        with self._path.open("rb") as file:
            while piece := file.read(PIECE):
                yield piece

    def __bytes__(self) -> bytes:
        if self._data is not None:
            return self._data
        assert self._path is not None
        return self._path.read_bytes()

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


def written(data: bytes | Blob, path: Path) -> None:
    """Write *data* to *path*, from file to file where they are in one."""
    if isinstance(data, bytes) or data.path is None:
        path.write_bytes(bytes(data))
        return
    with path.open("wb") as file:
        for piece in data.pieces():
            file.write(piece)


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
    """A picture in memory; a large one in one buffer, which is handed over without a copy."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self._buffer: io.BytesIO | None = None

    def write(self, data: bytes | memoryview, /) -> None:
        """Take the next of them."""
        if self._buffer is not None:
            self._buffer.write(data)
            return
        self._pieces.append(bytes(data))
        self._size += len(data)
        if self._size > LARGE:
            self._buffer = io.BytesIO()
            self._buffer.writelines(self._pieces)
            self._pieces.clear()

    def blob(self) -> Blob:
        """All of them have come."""
        if self._buffer is None:
            return Blob.of(b"".join(self._pieces))
        return Blob.of(self._buffer.getvalue())

    def drop(self) -> None:
        """Forget them."""
        self._pieces.clear()
        self._buffer = None
