"""Where pictures go: names, settled before anything is sent, and files that lose nothing."""

from __future__ import annotations

import itertools
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from .._media import EXTENSIONS, extension


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one call's pictures.

    `pattern` is a path without its ending, `{n}` in it (or in `ending`) the picture's number.
    `ending` None is that of the format that comes; `format` is what was asked for.
    """

    pattern: str
    ending: str | None
    n: int = 1
    format: str | None = None

    def path(self, index: int, media_type: str | None) -> Path:
        """Where the picture of slot *index* goes."""
        ending = f".{extension(media_type)}" if self.ending is None else self.ending
        return self._named(index, ending)

    def preview(self, index: int, number: int, media_type: str | None) -> Path:
        """Where the *number*-th preview of slot *index* goes: beside the picture."""
        return self._named(index, f".partial-{number}.{extension(media_type)}")

    def beside(self, stem: str | None = None) -> Path:
        """Where a job goes of which a part is still to come: beside the pictures, or to *stem*."""
        pattern = stem or self.pattern.replace("-{n}", "").replace("{n}", "")
        return Path(f"{pattern}.job.json")

    def _named(self, index: int, ending: str) -> Path:
        pattern = self.pattern
        if "{n}" not in pattern + ending and (self.n > 1 or index):
            pattern += "-{n}"
        return Path((pattern + ending).replace("{n}", str(index + 1)))

    def candidates(self, previews: int = 0) -> Iterator[Path]:
        """Every name that may come to be written to."""
        wanted = (self.format or "").lower().replace("jpeg", "jpg")
        types = [kind for kind, ending in EXTENSIONS.items() if ending == wanted] or [*EXTENSIONS]
        for index in range(self.n):
            yield from dict.fromkeys(self.path(index, kind) for kind in types)
            for number, kind in itertools.product(range(1, previews + 1), EXTENSIONS):
                yield self.preview(index, number, kind)


def names(output: str | None, stem: str, n: int, format: str | None) -> Names:
    """The names that `-o` *output* means; without one, they are made from *stem*."""
    if output is None:
        return Names(stem, None, n, format)
    if output.endswith(("/", os.sep)) or Path(output).is_dir():
        return Names(str(Path(output) / stem), None, n, format)
    ending = Path(output).suffix
    return Names(output.removesuffix(ending), ending, n, format)


_FORMATS = {ending: ending for ending in ("png", "jpeg", "webp", "gif", "svg")} | {"jpg": "jpeg"}


def format_of(output: str | None) -> str | None:
    """The format that the ending of `-o` *output* names, if it names one."""
    return _FORMATS.get(Path(output or "").suffix[1:].lower())


def check(path: Path, *, force: bool) -> None:
    """Raise where *path* cannot be written to, or would lose what is there."""
    if path.is_dir():
        raise click.UsageError(f"{str(path)!r} is a folder")
    if not force and os.path.lexists(path) and not _special(path):
        raise click.UsageError(f"{str(path)!r} is there already; --force replaces it")
    if not path.parent.is_dir():
        raise click.UsageError(f"there is no folder {str(path.parent)!r}")
    if not os.access(path.parent, os.W_OK) and not _special(path):
        raise click.UsageError(f"the folder {str(path.parent)!r} may not be written to")


def _special(path: Path) -> bool:
    """Whether it is a device or a pipe, which is written to and never replaced."""
    return path.exists() and not path.is_file() and not path.is_dir()


@dataclass(frozen=True, slots=True)
class Placed:
    """Where something went (nowhere, when `path` is None), and `why` not where it should.

    `bad` says that somebody has to see to it.
    """

    path: Path | None
    why: str | None = None
    bad: bool = False


def place(data: bytes, path: Path, *, force: bool, private: bool = False) -> Placed:
    """Write *data* to *path*: it appears whole or not at all, and replaces nothing unasked.

    Where the name was taken meanwhile, it goes to the next that is free; where the folder cannot
    be written to, to the one for temporary files: it has been paid for. What is *private* is for
    nobody else to read.
    """
    try:
        found = _written(data, path, force=force, private=private)
    except OSError as error:
        why = f"cannot write {str(path)!r}: {error.strerror or error}"
        try:
            there = Path(tempfile.gettempdir()) / path.name
            rescued = _written(data, there, force=False, private=private)
        except OSError:
            return Placed(None, why, bad=True)
        return Placed(rescued, f"{why}; saved as {str(rescued)!r}", bad=True)
    if found != path:
        return Placed(found, f"{str(path)!r} appeared meanwhile; saved as {str(found)!r}")
    return Placed(found)


def _written(data: bytes, path: Path, *, force: bool, private: bool) -> Path:
    if _special(path):
        path.write_bytes(data)
        return path
    target = path if force else _claimed(path)
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        if private:
            part.touch(0o600, exist_ok=False)
        part.write_bytes(data)
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        if not force:
            target.unlink(missing_ok=True)
        raise
    return target


def _claimed(path: Path) -> Path:
    """The first name that is free, from *path* on; an empty file holds it."""
    others = (path.with_name(f"{path.stem}-{n}{path.suffix}") for n in itertools.count(2))
    return next(name for name in itertools.chain([path], others) if _claim(name))


def _claim(path: Path) -> bool:
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


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
