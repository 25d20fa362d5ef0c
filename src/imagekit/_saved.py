"""Files as they are saved: whole or not at all, and nothing that was paid for is lost."""

from __future__ import annotations

import errno
import itertools
import os
import uuid
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from io import FileIO
from pathlib import Path

from ._blob import Blob
from ._errors import RequestError

_FOR_ITS_OWNER = partial(os.open, mode=0o600)


def owned(path: Path) -> FileIO:
    """A new file at *path* that nobody else may read; raises `FileExistsError`.

    An interrupt finds it open and somebody's, or not there at all.
    """
    return FileIO(path, "x+", opener=_FOR_ITS_OWNER)


def is_special(path: Path) -> bool:
    """Whether it is a device or a pipe, which is written to and never replaced."""
    return path.exists() and not path.is_file() and not path.is_dir()


def behind(path: Path) -> Path:
    """The file that is replaced where *path* is: of a link the one that it leads to."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def written(data: bytes | Blob, path: Path) -> None:
    """Write *data* to *path*, from file to file where they are in one."""
    if isinstance(data, bytes) or data.path is None:
        path.write_bytes(bytes(data))
        return
    with path.open("wb") as file:
        for piece in data.pieces():
            file.write(piece)


def saved(data: bytes | Blob, path: Path, *, overwrite: bool) -> None:
    """Write *data* to *path*: it appears whole or not at all.

    Without *overwrite* a file that is there raises `FileExistsError`. One that is replaced keeps
    its permissions, and a link stays one; a device or a pipe is written to.
    """
    if overwrite and is_special(path):
        written(data, path)
        return
    target = behind(path)
    mode = _mode(target) if overwrite else None
    part = _beside(target)
    try:
        _begun(data, part, mode)
        if not overwrite:
            # Whoever makes the file first has the name; not every disk has hard links.
            target.open("xb").close()
        _replaced(part, target, mode)
    finally:
        part.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Placed:
    """Where something went (nowhere, when `path` is None), and `why` not where it should.

    `bad` says that somebody has to see to it.
    """

    path: Path | None
    why: str | None = None
    bad: bool = False


def place(data: bytes | Blob, path: Path, *, force: bool, private: bool = False) -> Placed:
    """Write *data* to *path* as `saved` does; it replaces nothing unasked.

    Where the name was taken meanwhile, it goes to the next that is free; where the folder cannot
    be written to, to the one for temporary files: it has been paid for. What is *private* is for
    nobody else to read. A loose file is moved, and stays where it is when it cannot be.
    """
    try:
        found = _placed(data, path, force=force, private=private)
    except RequestError as error:  # the file that it was in is gone
        return Placed(None, str(error), bad=True)
    except OSError as error:
        why = f"cannot write {str(path)!r}: {error.strerror or error}"
        if isinstance(data, Blob) and data.path is not None:
            data.moved(data.path)
            return Placed(data.path, f"{why}; it is in {str(data.path)!r}", bad=True)
        import tempfile

        try:
            there = Path(tempfile.gettempdir()) / path.name
            rescued = _placed(data, there, force=False, private=private)
        except OSError:
            return Placed(None, why, bad=True)
        return Placed(rescued, f"{why}; saved as {str(rescued)!r}", bad=True)
    if found != path:
        return Placed(found, f"{str(path)!r} appeared meanwhile; saved as {str(found)!r}")
    return Placed(found)


def _placed(data: bytes | Blob, path: Path, *, force: bool, private: bool) -> Path:
    if is_special(path):
        written(data, path)
        return path
    named = path if force else _claimed(path)
    target = behind(named)
    part = _beside(target)
    try:
        mode = 0o600 if private else _mode(target)
        if mode is None:
            mode = _usual_mode(part)
        if isinstance(data, Blob) and data.loose and _moved(data, target, mode):
            data.moved(named)
            return named
        _begun(data, part, mode)
        _replaced(part, target, mode)
    except BaseException:
        part.unlink(missing_ok=True)
        if not force:
            target.unlink(missing_ok=True)
        raise
    return named


def _beside(target: Path) -> Path:
    # A name of its own: two threads may save to the same path.
    return target.with_name(f"{target.name}.{uuid.uuid4().hex[:12]}.part")


def _mode(target: Path) -> int | None:
    """Who may do what with the file that is there; None where there is none."""
    try:
        return target.stat().st_mode & 0o777
    except OSError:
        return None


def _usual_mode(part: Path) -> int | None:
    """Who may do what with a new file, as *part* is for a moment."""
    try:
        part.open("xb").close()
        return _mode(part)
    finally:
        part.unlink(missing_ok=True)


def _begun(data: bytes | Blob, part: Path, mode: int | None) -> None:
    """Write *data* to *part*, which nobody else reads before it has the *mode* that it shall."""
    if mode is not None:
        owned(part).close()
    written(data, part)


def _replaced(part: Path, target: Path, mode: int | None) -> None:
    """Put *part* to *target*; without a *mode* it keeps the one that every new file has."""
    if mode is not None:
        with suppress(OSError):  # not every disk knows them
            part.chmod(mode)
    part.replace(target)


def _moved(loose: Blob, target: Path, mode: int | None) -> bool:
    """Move the file of *loose* to *target*; False where that is on another disk."""
    assert loose.path is not None
    try:
        _replaced(loose.path, target, mode)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        return False
    return True


def _claimed(path: Path) -> Path:
    """The first name that is free, from *path* on; an empty file holds it."""
    others = (path.with_name(f"{path.stem}-{n}{path.suffix}") for n in itertools.count(2))
    return next(name for name in itertools.chain([path], others) if _claim(name))


def _claim(path: Path) -> bool:
    try:
        path.open("xb").close()
    except FileExistsError:
        return False
    return True
