"""Where pictures go that are made from the command line: to files, or to standard output."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from .._errors import RequestError
from .._names import vacant

_FORMATS = {ending: ending for ending in ("png", "jpeg", "webp", "gif", "svg")} | {"jpg": "jpeg"}


def format_of(output: str | None) -> str | None:
    """The format that the ending of `-o` *output* names, if it names one."""
    return _FORMATS.get(Path(output or "").suffix[1:].lower())


def check(path: Path, *, force: bool) -> None:
    """Raise where *path* cannot be written to, or would lose what is there."""
    try:
        vacant(path, replace=force, how="--force")
    except RequestError as error:
        raise click.UsageError(str(error)) from error


def hand_over(data: bytes) -> str | None:
    """Write *data* to standard output; what went wrong, or None."""
    stream = sys.stdout.buffer
    try:
        stream.write(data)
        stream.flush()
    except OSError as error:
        return given_up(error)
    return None


def given_up(error: OSError) -> str:
    """Write no more to standard output; says why, which is *error*."""
    # What is still buffered would fail once more when the process ends.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
    return f"cannot write to standard output: {error.strerror or error}"
