"""JSON from strangers, made fit to be written again."""

from __future__ import annotations

import json
import re
from math import isfinite
from typing import Any

# Half of a character, as it is left where a server cuts a text in the middle of one.
_HALF = re.compile("[\ud800-\udfff]")


def _number(text: str) -> float | None:
    found = float(text)
    return found if isfinite(found) else None


# What is beyond all numbers, in a word (NaN, Infinity) or in digits, could not be written again.
_READER = json.JSONDecoder(parse_float=_number, parse_constant=lambda _: None)


def parsed(text: str | bytes) -> Any:
    """*text* as JSON that can be written: of no characters is U+FFFD, of no number is null."""
    if isinstance(text, bytes):
        # The parser itself lets halves through that stand in the bytes, and refuses all of it for
        # one wrong byte in a text beside a picture.
        text = text.decode(json.detect_encoding(text), "replace")
    found = _READER.decode(text)
    # A search only: what holds pictures is megabytes, and is walked through just where it must be.
    return _mended(found) if "\\ud" in text or "\\uD" in text else found


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return _HALF.sub("\ufffd", value)
    if isinstance(value, list):
        return [_mended(one) for one in value]
    if isinstance(value, dict):
        return {_mended(name): _mended(one) for name, one in value.items()}
    return value
