"""A flow around a flow: pictures go to files while they arrive, and are whole when they are there.

Until it is known what a picture is and whose slot it fills, it is in a loose `.part` file beside
where it may belong. Such files go with the call, but for a picture that has no other place.
"""

from __future__ import annotations

import itertools
import os
import uuid
import weakref
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from ._blob import Blob, Memory
from ._errors import ImagekitError, ProtocolError, RequestError
from ._events import ImageFailed, ImageReady
from ._flow import Effect, Effects, Emit, Flow, Open, Send, call, notice, transform
from ._image import Image
from ._names import Names, names, slug, vacant
from ._response import ImageFailure, ImageResponse, Notice, Slot
from ._saved import Placed, is_special, owned, place

Target: TypeAlias = str | os.PathLike[str]
# Bytes that one call may write: a stream may show previews without an end.
MOST_LOOSE = 2 * 2**30


class Place(Protocol):
    """Where a call's pictures go."""

    @property
    def folder(self) -> Path | None:
        """Where they are written to while they arrive; None where that cannot be."""
        ...

    def put(self, index: int, image: Image) -> Placed | None:
        """Put slot *index*'s picture to where it belongs; None where that is somebody else's."""
        ...


class Files:
    """Files of the names that a call says."""

    def __init__(self, names: Names, *, overwrite: bool) -> None:
        self._names, self._overwrite = names, overwrite
        self.folder = names.folder
        for path in names.candidates():
            vacant(path, replace=overwrite, how="overwrite=True")

    def put(self, index: int, image: Image) -> Placed:
        """Put slot *index*'s picture to where it belongs."""
        path = self._names.path(index, image.media_type)
        # More pictures than were asked for have names that nobody meant to give away.
        force = self._overwrite and index < self._names.n
        return place(held(image), path, force=force)


class Loose:
    """Loose files of a *folder*, for whoever sees the pictures to move."""

    def __init__(self, folder: Path) -> None:
        self.folder: Path | None = folder

    def put(self, index: int, image: Image) -> None:
        """Leave it where it is."""


def place_of(
    said: Mapping[str, Any], n: int, prompt: str | None = None, format: str | None = None
) -> Place | None:
    """Where a call's *n* pictures go, as it *said* by `into` and `overwrite`; None for nowhere.

    Raises `RequestError` where they cannot go there.
    """
    into = said.get("into")
    if into is None or isinstance(into, Loose):
        return into
    path = _spelt(into)
    if path is None or "\0" in path or not path.strip():
        raise RequestError(
            f"into is a path, or a pattern of paths such as 'cat-{{n}}.png', not {into!r}",
            billed="no",
        )
    try:
        found = names(path, slug(prompt or ""), n, format)
        return Files(found, overwrite=bool(said.get("overwrite")))
    except OSError as error:
        where = path if len(path) < 200 else f"{path[:199]}…"
        why = error.strerror or error
        raise RequestError(f"no picture can go into {where!r}: {why}", billed="no") from error


def from_here(into: object) -> object:
    """*into* with the folder that is worked in, which may be another when a picture comes."""
    path = _spelt(into)
    if path is None or not path.strip() or Path(path).is_absolute():
        return into
    try:
        # As text: what ends in a slash is a folder.
        return os.path.join(Path.cwd(), path)  # noqa: PTH118
    except OSError as error:
        raise RequestError(
            f"into={path!r} is in the folder that is worked in, which is gone: {error.strerror}",
            billed="no",
        ) from error


def _spelt(into: object) -> str | None:
    """The path that *into* is, as text; None where it is none."""
    path = os.fspath(into) if isinstance(into, str | os.PathLike) else None
    return path if isinstance(path, str) else None


def held(image: Image) -> Blob:
    """Where the bytes of *image* are, which has them."""
    blob = image._blob
    assert blob is not None
    return blob


class Part:
    """One picture on its way into a file, or, where the disk is full, into memory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._blob: Blob | None = None
        self.size = 0
        self._memory: Memory | None = None
        self._file: Any = None

    def begin(self) -> Part:
        """Make its file, for its owner alone; whoever is interrupted meanwhile can remove it."""
        try:
            self._file = owned(self._path)
        except OSError:
            self._memory = Memory()
        return self

    def write(self, data: bytes) -> None:
        """Take the next bytes."""
        rest = memoryview(data)
        try:
            while rest and self._memory is None:
                count = self._file.write(rest)
                self.size += count
                rest = rest[count:]
        except OSError:
            # They are paid for: what has come makes room, and the picture stays in memory.
            self._memory = self._rescued()
        if self._memory is not None:
            self._memory.write(bytes(rest))

    def _rescued(self) -> Memory:
        memory = Memory()
        self._file.seek(0)
        while piece := self._file.read(self.size):
            memory.write(piece)
        self._file.close()
        self._path.unlink(missing_ok=True)
        return memory

    def blob(self) -> Blob:
        """All of them have come."""
        if self._memory is not None:
            return self._memory.blob()
        self._file.close()
        self._blob = Blob.in_file(self._path, self.size, loose=True)
        return self._blob

    def drop(self) -> None:
        """Keep nothing of them, unless they are in a file that is somebody's by now."""
        if self._memory is not None:
            self._memory.drop()
            return
        if self._file is not None:
            self._file.close()
        self.remove()

    def remove(self) -> None:
        """Remove the file, which may be open, unless it is somebody's by now."""
        if self._blob is None or self._blob.loose:
            self._path.unlink(missing_ok=True)


class Spool:
    """The loose files of one call."""

    def __init__(self, folder: Path) -> None:
        self._stem = folder / f"imagekit-{uuid.uuid4().hex[:12]}"
        self._numbers = itertools.count(1)
        self._parts: list[Part] = []
        # A thread that the end of the interpreter cuts off closes nothing, and whoever is
        # interrupted amid closing not all.
        self._end = weakref.finalize(self, _removed, self._parts)

    def sink(self) -> Part:
        """A file for one more picture; raises `ProtocolError` where they are too many."""
        if sum(part.size for part in self._parts) > MOST_LOOSE:
            raise ProtocolError(f"the pictures of the call are larger than {MOST_LOOSE} bytes")
        part = Part(Path(f"{self._stem}-{next(self._numbers)}.part"))
        self._parts.append(part)
        return part.begin()

    def close(self) -> None:
        """Remove what is still loose."""
        for part in self._parts:
            with suppress(OSError):
                part.drop()
        self._end.detach()


def _removed(parts: Iterable[Part]) -> None:
    for part in parts:
        with suppress(OSError):
            part.remove()


def spooled(flow: Flow, there: Place | None, *, whole: bool = False) -> Flow:
    """*flow*, whose pictures go *there*, by way of loose files while they arrive.

    With *whole* what comes is kept as it came, and so in memory until it is all there. A picture
    that cannot be put where it belongs is an error at the end, which says where it is.
    """
    return flow if there is None else _spooled(flow, _Spooling(there, whole=whole))


def spooled_one(flow: Effects[Image], there: Place | None) -> Effects[Image]:
    """The same, of the one picture that *flow* brings."""
    return flow if there is None else _spooled_one(flow, _Spooling(there))


def _spooled(flow: Flow, doing: _Spooling) -> Flow:
    with closing(doing):
        try:
            response = yield from transform(flow, doing.handle)
        except ImagekitError as error:
            if error.response is not None:
                error.response = yield from doing.settled(error.response)
            raise
        response = yield from doing.settled(response)
        if doing.wrong:
            unput = doing.unput()
            unput.response = response
            raise unput
        return response


def _spooled_one(flow: Effects[Image], doing: _Spooling) -> Effects[Image]:
    with closing(doing):
        image = yield from doing.put(0, (yield from transform(flow, doing.handle)))
        if doing.wrong:
            raise doing.unput()
        return image


class _Spooling:
    """One call's pictures on their way to where they belong."""

    def __init__(self, there: Place, *, whole: bool = False) -> None:
        self._there = there
        self._spool = Spool(there.folder) if there.folder and not whole else None
        self._done: dict[int, Image] = {}
        self._said: list[Notice] = []
        self.wrong: list[str] = []

    def handle(self, effect: Effect) -> Effects[Any]:
        """Perform *effect*, with files for what it brings, and what it tells of already there."""
        match effect:
            case Send() | Open():
                effect = _into(effect, self._spool.sink) if self._spool else effect
            case Emit(ImageReady(index=index, image=image) as event):
                image = yield from self.put(index, image)
                effect = Emit(event.model_copy(update={"image": image}))
            case Emit(ImageFailed(failure=failure) as event):
                effect = Emit(event.model_copy(update={"failure": _with_preview(failure)}))
            case _:
                pass
        return (yield effect)

    def put(self, index: int, image: Image) -> Effects[Image]:
        """*image*, which is slot *index*'s, where it belongs."""
        if not image.length:
            return image
        putting = partial(self._there.put, index, image)
        try:
            # To move a file is nothing; to write one is better done by another thread.
            placed = putting() if held(image).loose else (yield from call(putting))
        except ImagekitError:
            # The time is over, and the picture is paid for.
            placed = putting()
        if placed is None:
            return image
        if placed.bad:
            self.wrong.append(str(placed.why))
        elif placed.why:
            self._said.append(Notice(kind="adjusted", feature="into", detail=placed.why))
            yield from notice(self._said[-1])
        self._done[index] = _at(placed, image)
        return self._done[index]

    def settled(self, response: ImageResponse) -> Effects[ImageResponse]:
        """*response*, whose pictures are where they belong."""
        slots: list[Slot] = []
        for index, slot in enumerate(response.slots):
            if isinstance(slot, ImageFailure):
                slots.append(_with_preview(slot))
            else:
                slots.append(self._done.get(index) or (yield from self.put(index, slot)))
        notices = tuple(dict.fromkeys((*response.notices, *self._said)))
        return response.model_copy(update={"slots": tuple(slots), "notices": notices})

    def unput(self) -> RequestError:
        """What could not be put where it belongs, as an error."""
        return RequestError("; ".join(self.wrong), billed="yes")

    def close(self) -> None:
        """Remove what is still loose."""
        if self._spool is not None:
            self._spool.close()


def _into(effect: Send | Open, sink: Callable[[], Part]) -> Send | Open:
    """*effect*, whose answer's pictures go to *sink*; what strangers send is looked at first."""
    request = effect.request
    if request.stranger:
        return effect
    return replace(effect, request=replace(request, sink=sink))


def _at(placed: Placed, image: Image) -> Image:
    """*image*, which is in the file where it was *placed*."""
    if placed.bad or placed.path is None or is_special(placed.path) or placed.path == image.path:
        return image
    return image.model_copy(update={"data": Blob.in_file(placed.path, len(held(image)))})


def _with_preview(failure: ImageFailure) -> ImageFailure:
    """*failure*, whose preview outlives the call: it may be all that the money bought."""
    preview = failure.preview
    if preview is None or not preview.length or not held(preview).loose:
        return failure
    kept = preview.model_copy(update={"data": preview.read()})
    return failure.model_copy(update={"preview": kept})
