"""Where pictures go: names, settled before anything is sent, and files that lose nothing."""

from __future__ import annotations

import errno
import itertools
import os
import re
import unicodedata
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ._blob import Blob, written
from ._errors import RequestError
from ._media import EXTENSIONS, extension


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

    @property
    def folder(self) -> Path | None:
        """Where files may grow into the pictures; None where those are no files, but a device."""
        first = next(self.candidates())
        return None if is_special(first) else first.parent

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
    if output.endswith(("/", os.sep)) or _is_folder(output):
        return Names(str(Path(output) / stem), None, n, format)
    ending = Path(output).suffix
    return Names(output.removesuffix(ending), ending, n, format)


def _is_folder(output: str) -> bool:
    try:
        return Path(output).is_dir()
    except (OSError, ValueError):  # as of a name that none can have
        return False


# Of a name's 255 bytes; while a file is written, it has a longer one.
_MOST_NAME = 225
# Letters and bytes of a prompt; more is put behind them.
_MOST_LETTERS, _MOST_BYTES = 60, 180
# Windows takes these for devices, whatever their ending.
_DEVICE = re.compile(r"con|prn|aux|nul|(?:com|lpt)[0-9¹²³]")


def slug(text: str, longest: int = _MOST_LETTERS) -> str:
    """A file name from *text*, in whatever script it is written."""
    whole = text.encode("utf-8", "ignore").decode()
    words = re.findall(r"\w+", unicodedata.normalize("NFKC", whole).casefold())
    name = ""
    for word in words:
        cut = word[:longest].encode()[:_MOST_BYTES].decode("utf-8", "ignore")
        longer = f"{name}-{word}" if name else cut
        if len(longer) > longest or len(longer.encode()) > _MOST_BYTES:
            break
        name = longer
    return f"image-{name}" if _DEVICE.fullmatch(name) else name or "image"


def vacant(path: Path, *, replace: bool, how: str) -> None:
    """Raise where *path* cannot be written to, or would lose what is there.

    With *replace* it may; *how* is what says so.
    """
    try:
        length = len(os.fsencode(path.name))
    except UnicodeEncodeError as error:
        raise RequestError(f"no file can be called {path.name!r}", billed="no") from error
    if length > _MOST_NAME:
        short = f"{path.name[:20]}…"
        raise RequestError(
            f"the name {short!r} is too long: {_MOST_NAME} bytes at most", billed="no"
        )
    if path.is_dir():
        raise RequestError(f"{str(path)!r} is a folder", billed="no")
    if not replace and os.path.lexists(path) and not is_special(path):
        raise RequestError(f"{str(path)!r} is there already; {how} replaces it", billed="no")
    if not path.parent.is_dir():
        raise RequestError(f"there is no folder {str(path.parent)!r}", billed="no")
    if not os.access(path.parent, os.W_OK) and not is_special(path):
        raise RequestError(f"the folder {str(path.parent)!r} may not be written to", billed="no")


def is_special(path: Path) -> bool:
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


def place(data: bytes | Blob, path: Path, *, force: bool, private: bool = False) -> Placed:
    """Write *data* to *path*: it appears whole or not at all, and replaces nothing unasked.

    Where the name was taken meanwhile, it goes to the next that is free; where the folder cannot
    be written to, to the one for temporary files: it has been paid for. What is *private* is for
    nobody else to read. A loose file is moved, and stays where it is when it cannot be.
    """
    try:
        found = _written(data, path, force=force, private=private)
    except OSError as error:
        why = f"cannot write {str(path)!r}: {error.strerror or error}"
        if isinstance(data, Blob) and data.path is not None:
            data.moved(data.path)
            return Placed(data.path, f"{why}; it is in {str(data.path)!r}", bad=True)
        import tempfile

        try:
            there = Path(tempfile.gettempdir()) / path.name
            rescued = _written(data, there, force=False, private=private)
        except OSError:
            return Placed(None, why, bad=True)
        return Placed(rescued, f"{why}; saved as {str(rescued)!r}", bad=True)
    if found != path:
        return Placed(found, f"{str(path)!r} appeared meanwhile; saved as {str(found)!r}")
    return Placed(found)


def _written(data: bytes | Blob, path: Path, *, force: bool, private: bool) -> Path:
    if is_special(path):
        written(data, path)
        return path
    target = path if force else _claimed(path)
    part = target.with_name(f"{target.name}.{uuid.uuid4().hex[:12]}.part")
    try:
        if isinstance(data, Blob) and data.loose and _moved(data, target):
            return target
        if private:
            part.touch(0o600, exist_ok=False)
        written(data, part)
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        if not force:
            target.unlink(missing_ok=True)
        raise
    return target


def _moved(loose: Blob, target: Path) -> bool:
    """Move the file of *loose* to *target*; False where that is on another disk."""
    assert loose.path is not None
    try:
        loose.path.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        return False
    loose.moved(target)
    return True


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
