"""What a call brought: each picture is put away the moment it comes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._events import ImageEvent, ImageFailed, ImageReady, Noticed, PartialImage
from .._image import Image
from .._jobs import Job
from .._names import Names
from .._response import ImageFailure, ImageResponse, Notice
from .._saved import Placed, place
from .._spool import Loose, held
from ._output import hand_over


@dataclass(frozen=True, slots=True)
class Destination:
    """Where results go: to files by their names, or the first picture to standard output."""

    names: Names
    force: bool = False
    stdout: bool = False

    def put(self, index: int, image: Image) -> Placed:
        """Put *image* away, which is slot *index*'s picture."""
        if image.length is None:
            return Placed(None, f"it was not fetched; it is at {image.url}", bad=True)
        why = None
        if self.stdout and index == 0:
            why = hand_over(image.read())
            if why is None:
                return Placed(None)
        force = self.force and not self.stdout
        placed = place(held(image), self.names.path(index, image.media_type), force=force)
        if why is None:
            return placed
        return Placed(placed.path, f"{why}; saved as {str(placed.path)!r}", bad=True)

    def put_preview(self, index: int, number: int, image: Image) -> Placed:
        """Put the *number*-th preview of slot *index* beside its picture."""
        path = self.names.preview(index, number, image.media_type)
        return place(held(image), path, force=self.force and not self.stdout)

    def spooled(self) -> dict[str, Any]:
        """What has pictures arrive in files beside their names, as keywords of a call."""
        folder = self.names.folder
        return {} if self.stdout or folder is None else {"into": Loose(folder)}


@dataclass(frozen=True, slots=True)
class Kept:
    """One picture and where it is."""

    index: int
    image: Image
    placed: Placed


@dataclass(slots=True)
class Results:
    """What has come so far."""

    destination: Destination
    save_previews: bool = False
    free: bool = False  # whoever is asked works in this process: nothing can be charged for
    pictures: list[Kept] = field(default_factory=list)
    failures: list[tuple[int, ImageFailure, Path | None]] = field(default_factory=list)
    previews: list[Placed] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    job: Job | None = None  # what goes on at the provider, where the call was stopped
    _counts: dict[int, int] = field(default_factory=dict)
    _last: dict[int, Path | None] = field(default_factory=dict)

    def see(self, event: ImageEvent) -> None:
        """Put away what *event* brings."""
        match event:
            case PartialImage(index=index, image=image):
                self._counts[index] = self._counts.get(index, 0) + 1
                if self.save_previews:
                    self._preview(index, image)
            case ImageReady(index=index, image=image):
                self.pictures.append(Kept(index, image, self.destination.put(index, image)))
            case ImageFailed(index=index, failure=failure):
                # The last preview may be all that the money bought.
                if failure.preview is not None and not self.save_previews:
                    self._preview(index, failure.preview)
                self.failures.append((index, failure, self._last.get(index)))
            case Noticed(notice=notice):
                self.notices.append(notice)
            case _:
                pass

    def put_all(self, response: ImageResponse) -> None:
        """Put away what came all at once."""
        for notice in response.notices:
            self.see(Noticed(notice=notice))
        for index, slot in enumerate(response.slots):
            if isinstance(slot, Image):
                self.see(ImageReady(index=index, image=slot))
            else:
                self.see(ImageFailed(index=index, failure=slot))

    def _preview(self, index: int, image: Image) -> None:
        if image.length is None:
            return
        placed = self.destination.put_preview(index, self._counts.get(index, 1), image)
        self.previews.append(placed)
        self._last[index] = placed.path

    @property
    def whole(self) -> bool:
        """Whether every slot is a picture and stands where it should."""
        return not self.failures and not any(kept.placed.bad for kept in self.pictures)
