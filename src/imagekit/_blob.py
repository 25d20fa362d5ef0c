"""Base64 that stands for a picture: the text as it came, the bytes it means, and where they are."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Protocol, Self

from pybase64 import b64decode, b64encode

from ._errors import ProtocolError


class Blob:
    """One base64 string of a provider's answer.

    `bytes(blob)` is what it means, `str(blob)` the exact characters. A provider reads pictures
    only through `blob()` or a pydantic field of this type, which take text and blobs alike, so
    the core is free to decode while the answer still arrives, into memory or into a file.
    """

    __slots__ = ("_data", "_path", "_size", "_text")

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

    @classmethod
    def of(cls, data: bytes) -> Self:
        """The blob of bytes that are at hand; its text is their canonical base64."""
        made = cls.__new__(cls)
        made._data, made._text, made._path, made._size = data, None, None, len(data)
        return made

    @classmethod
    def in_file(cls, path: Path, size: int) -> Self:
        """The blob of the *size* bytes that are in a file, which is read when they are asked for."""
        made = cls.__new__(cls)
        made._data, made._text, made._path, made._size = None, None, path, size
        return made

    @property
    def path(self) -> Path | None:
        """The file that its bytes are in; None where they are in memory."""
        return self._path

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
        if not isinstance(other, Blob):
            return NotImplemented
        if self is other or (self._path is not None and self._path == other._path):
            return True
        return self._size == other._size and bytes(self) == bytes(other)

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
    """A picture in one buffer, which is handed over without a copy."""

    def __init__(self) -> None:
        self._buffer = io.BytesIO()
        self.write = self._buffer.write

    def blob(self) -> Blob:
        """All of them have come."""
        return Blob.of(self._buffer.getvalue())

    def drop(self) -> None:
        """Forget them."""
        self._buffer.close()
