"""Base64 that stands for a picture: the text as it came, the bytes it means."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from ._errors import ProtocolError


class Blob:
    """One base64 string of a provider's answer.

    `bytes(blob)` is what it means, `str(blob)` the exact characters. A provider reads pictures
    only through `blob()` or a pydantic field of this type, which take text and blobs alike, so
    the core is free to decode while the answer still arrives.
    """

    __slots__ = ("_data", "_text")

    def __init__(self, text: str) -> None:
        encoded = text.partition(",")[2] if text.startswith("data:") else text
        try:
            self._data = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError) as error:
            raise ProtocolError(f"expected a base64 picture, got {text[:40]!r}") from error
        self._text = text

    def __bytes__(self) -> bytes:
        return self._data

    def __str__(self) -> str:
        return self._text

    def __len__(self) -> int:
        """How many bytes it means."""
        return len(self._data)

    def __repr__(self) -> str:
        return f"Blob({len(self._data)} bytes)"

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
