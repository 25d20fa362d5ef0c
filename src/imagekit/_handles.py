"""Pictures by handle: those that may be named, how long they are kept, and a folder's files."""

from __future__ import annotations

import os
import threading
from pathlib import Path, PurePosixPath

from ._errors import RequestError
from ._image import Image
from ._media import facts
from ._offered import brief

# Bytes: of one picture from a folder, and of all that are kept.
LARGEST = 50_000_000
ROOM = 512 * 1024**2
# A name that turns into something else between look and read is not followed, nor waited for.
_CAUTION = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


class Pictures:
    """Pictures by handle, oldest first; beyond *keep* of them, or 512 MiB, the oldest go.

    Safe to share between threads.
    """

    def __init__(self, keep: int, room: int = ROOM) -> None:
        self._keep, self._room = keep, room
        self._lock = threading.Lock()
        self._kept: dict[str, Image] = {}
        self._count = self._bytes = 0

    def add(self, image: Image) -> str:
        """Keep *image*; returns its handle, which is never given twice."""
        with self._lock:
            self._count += 1
            handle = f"image-{self._count}"
            self._kept[handle] = image
            self._bytes += _weight(image)
            while len(self._kept) > self._keep or (self._bytes > self._room and self._kept):
                self._drop(next(iter(self._kept)))
        return handle

    def remove(self, handle: str) -> None:
        """Forget a picture; raises `KeyError` where there is none."""
        with self._lock:
            self._drop(handle)

    def _drop(self, handle: str) -> None:
        self._bytes -= _weight(self._kept.pop(handle))

    def all(self) -> dict[str, Image]:
        """Those that are kept just now."""
        with self._lock:
            return dict(self._kept)


def _weight(image: Image) -> int:
    return image.length or 0


def read(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a file that the host names."""
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise RequestError(f"cannot read the picture {os.fspath(path)!r}: {why}") from error


def picture(data: bytes, named: str) -> Image:
    """*data* as a picture; `RequestError` where it is none."""
    if facts(data) is None:
        raise RequestError(f"the picture {named} is of no type we know (PNG, JPEG, WebP, GIF, …)")
    return Image(data=data)


def inside(folder: Path, name: str) -> Image:
    """The picture in the file *name* of *folder*, which is resolved; *name* is a stranger's.

    Whatever leads out of the folder, by "..", by a link, or by being another path or a URL, is a
    `RequestError`, which does not say whether there is something at its end.
    """
    found = _found(folder, name)
    if found is None:
        raise RequestError(f"there is no picture {brief(name)}, neither as a handle nor as a file")
    try:
        with open(found, "rb", opener=_careful) as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise RequestError(f"the picture {brief(name)} cannot be read") from error
    if len(data) > LARGEST:
        raise RequestError(f"the picture {brief(name)} is larger than {LARGEST // 10**6} MB")
    return picture(data, brief(name))


def _found(folder: Path, name: str) -> Path | None:
    # A backslash and a colon are paths on some systems, and a colon makes a URL.
    if "\\" in name or ":" in name or name.startswith("/") or ".." in PurePosixPath(name).parts:
        return None
    try:
        found = (folder / name).resolve(strict=True)
        return found if found.is_relative_to(folder) and found.is_file() else None
    except (OSError, RuntimeError, ValueError):  # a loop of links; what no name can hold
        return None


def _careful(path: str, flags: int) -> int:
    return os.open(path, flags | _CAUTION)
