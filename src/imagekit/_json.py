"""JSON from strangers, made fit to be written again."""

from __future__ import annotations

import json
import re
from typing import Any

# Half of a character, as it is left where a server cuts a text in the middle of one.
_HALF = re.compile("[\ud800-\udfff]")


def parsed(text: str | bytes) -> Any:
    """*text* as JSON; halves of characters, which no encoding can write, become U+FFFD."""
    found = json.loads(text)
    # A search only: what holds pictures is megabytes, and is walked through just where it must be.
    if isinstance(text, bytes):
        halves = b"\\ud" in text or b"\\uD" in text
    else:
        halves = "\\ud" in text or "\\uD" in text
    return _mended(found) if halves else found


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return _HALF.sub("\ufffd", value)
    if isinstance(value, list):
        return [_mended(one) for one in value]
    if isinstance(value, dict):
        return {_mended(name): _mended(one) for name, one in value.items()}
    return value
