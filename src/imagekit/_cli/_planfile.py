"""Plans and manifests as files: read, and what a manifest names looked at."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from .._errors import RequestError
from .._manifest import Manifest
from .._plan import Plan, plan_of
from ._faults import dumped, fail, warn
from ._words import one_line


def read(word: str) -> Plan:
    """The plan in the file *word*, or on standard input where that is `-`."""
    if word == "-" and (sys.stdin is None or sys.stdin.isatty()):
        raise click.UsageError("a plan is read from standard input, which is a terminal")
    try:
        return plan_of(sys.stdin.buffer.read() if word == "-" else Path(word).read_bytes())
    except OSError as error:
        raise click.UsageError(f"cannot read the plan {word!r}: {error.strerror}") from error
    except RequestError as error:
        where = "standard input" if word == "-" else repr(word)
        raise click.UsageError(f"{where} holds no plan that `plan -o` wrote") from error


def manifest_in(word: str) -> Manifest:
    """The manifest in the file *word*."""
    try:
        return Manifest.load(word)
    except RequestError as error:
        raise click.UsageError(str(error)) from error


def checked(manifest: Manifest, word: str, *, quiet: bool, as_json: bool) -> int:
    """Say which files are what *manifest*, which *word* holds, says of them; the exit code."""
    folder = Path(word).parent
    wrong = manifest.check(folder)
    files = [image.file for image in manifest.images if image.file is not None]
    if as_json:
        click.echo(dumped({"ok": not wrong, "files": files, "wrong": wrong}))
        return int(bool(wrong))
    for file in files:
        if not quiet and not any(one.startswith(f"{file}: ") for one in wrong):
            click.echo(f"{one_line(folder / file)}  as it came")
    for one in wrong:
        fail(one)
    if not files:
        warn(f"{word!r} names no file: nothing was looked at")
    return int(bool(wrong))
