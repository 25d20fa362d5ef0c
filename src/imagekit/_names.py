"""What the files of pictures are called, settled before anything is sent."""

from __future__ import annotations

import itertools
import os
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ._errors import RequestError
from ._media import EXTENSIONS, extension
from ._saved import behind, is_special


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
        return None if is_special(first) else behind(first).parent

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
    folder = behind(path).parent
    if not folder.is_dir():
        raise RequestError(f"there is no folder {str(folder)!r}", billed="no")
    if not os.access(folder, os.W_OK) and not is_special(path):
        raise RequestError(f"the folder {str(folder)!r} may not be written to", billed="no")
