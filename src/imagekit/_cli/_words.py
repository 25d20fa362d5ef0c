"""Words that are fit for a terminal: one line each, without control characters or keys."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import TextIO

SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL|AUTHORIZATION", re.IGNORECASE)
# The names of environment variables, in what somebody says.
VARIABLES = re.compile(r"\b[A-Z][A-Z0-9]*(_[A-Z0-9]+)+\b")
# Says where a key is, and is none.
_PLACE = re.compile(r"IMAGEKIT_\w+_(ENV|FILE|KEYRING)")


def is_terminal(stream: TextIO | None) -> bool:
    """Whether somebody looks at *stream*; one that is closed is None."""
    return stream is not None and stream.isatty()


def one_line(text: object) -> str:
    """*text* on one line; what could steer a terminal is dropped."""
    words = "".join(letter if letter.isprintable() else " " for letter in str(text))
    return " ".join(words.split())


def scrubbed(text: object, env: Mapping[str, str] = os.environ) -> str:
    """*text* on one line, and without the values of the variables that look like keys.

    A plugin's own exception may quote what it was given; nobody pastes a key with a bug report.
    """
    line = one_line(text)
    for name, value in env.items():
        if len(value) >= 8 and SECRET.search(name) and not _PLACE.fullmatch(name):
            line = line.replace(value, f"${name}")
    return line


def size_of(count: int) -> str:
    """*count* bytes, in words."""
    if count < 1000:
        return f"{count} bytes"
    return f"{count / 1000:.0f} kB" if count < 1_000_000 else f"{count / 1_000_000:.1f} MB"
