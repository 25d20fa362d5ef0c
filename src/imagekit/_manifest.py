"""Manifests: what pictures were made of, by whom and at what cost, to be kept beside them."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, AwareDatetime, Field, NonNegativeInt, ValidationError

from ._errors import RequestError
from ._image import Image
from ._plan import Plan
from ._response import Attempt, Cost, ImageFailure, ImageResponse, Notice, Slot, Usage
from ._saved import saved
from ._value import Value
from ._version import version


def _below(file: str) -> str:
    """*file*, where it names one that is below whatever folder it is looked for in."""
    parts = PurePosixPath(file).parts
    other = PureWindowsPath(file)
    if not parts or ".." in (*parts, *other.parts) or other.drive or other.root:
        raise ValueError("a file of a manifest is named from its folder on, and lies in it")
    return file


class ImageRecord(Value):
    """One slot: which bytes came, or why none did.

    `sha256` is hexadecimal, `size` bytes, `width` and `height` pixels; `file` is where the picture
    was saved, from the manifest's folder on. `c2pa` and `provenance` are what the bytes declare of
    themselves, as in `MediaFacts`. `failure` is None where a picture came.
    """

    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    size: NonNegativeInt | None = None
    media_type: str | None = None
    width: int | None = None
    height: int | None = None
    file: Annotated[str, AfterValidator(_below)] | None = None
    revised_prompt: str | None = None
    seed: int | None = None
    c2pa: bool | None = None
    provenance: Mapping[str, str] = Field(default_factory=dict)
    failure: str | None = None

    def __str__(self) -> str:
        if self.failure is not None:
            return f"no picture: {self.failure}"
        if self.size is None:
            return "a URL that was not fetched"
        size = f"{self.width}x{self.height}, " if self.width and self.height else ""
        return f"{self.media_type or 'of unknown type'}, {size}{self.size} bytes"


class ReplayedSlot(Value):
    """How one slot came out again: `same` byte by byte, else `before` and `now` in words."""

    same: bool
    before: str | None = None
    now: str | None = None

    def __str__(self) -> str:
        if self.same:
            return "the same, byte by byte"
        return f"differs: {self.now or 'nothing'}; it was {self.before or 'nothing'}"


class Replayed(Value):
    """How the slots of a manifest came out when its plan was run again."""

    slots: tuple[ReplayedSlot, ...]

    @property
    def same(self) -> bool:
        """Whether every picture is the same, byte by byte."""
        return all(slot.same for slot in self.slots)

    def __str__(self) -> str:
        return "\n".join(f"slot {index}: {slot}" for index, slot in enumerate(self.slots))


class Manifest(Value):
    """What a response was made of: the plan, who made it, what came, and what it cost.

    It is JSON for a file beside the pictures, in which nothing of it is written. `client.run` does
    its `plan` again. It holds what the request holds, prompts and input pictures among it, and no
    key and no path of this machine.
    """

    format: Literal[1] = 1
    created: AwareDatetime
    provider: str
    profile: str | None = None
    model: str | None = None
    plan: Plan
    images: tuple[ImageRecord, ...]
    usage: Usage | None = None
    cost: Cost | None = None
    cached: AwareDatetime | None = None
    request_ids: tuple[str, ...] = ()
    notices: tuple[Notice, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    versions: Mapping[str, str] = Field(default_factory=dict)

    @classmethod
    def of(
        cls,
        plan: Plan | None,
        response: ImageResponse,
        files: Sequence[str | os.PathLike[str] | None] | None = None,
    ) -> Self:
        """The manifest of *response*, which *plan* (its own `response.plan`) came to.

        *files* are where its pictures were saved, one for each in order, from the folder on that
        the manifest will be in. Of a path that leads out of it only the name is kept.
        """
        if plan is None:
            raise RequestError(
                "a manifest is made from the plan of a call: make the call with keep_plan=True, "
                "which puts it into response.plan"
            )
        names = iter(files or ())
        return cls(
            created=datetime.now(UTC),
            provider=response.provider or plan.provider,
            profile=response.profile or plan.profile,
            model=response.model or plan.model,
            plan=plan,
            images=tuple(
                _record(slot, next(names, None) if isinstance(slot, Image) else None)
                for slot in response.slots
            ),
            usage=response.usage,
            cost=response.cost,
            cached=response.cached,
            request_ids=response.request_ids,
            notices=response.notices,
            attempts=response.attempts,
            versions={
                **plan.versions,
                "imagekit": version(),
                "python": platform.python_version(),
            },
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """The manifest in a file; raises `RequestError` where there is none that we wrote."""
        try:
            return cls.model_validate_json(Path(path).read_bytes())
        except OSError as error:
            why = error.strerror or error
            raise RequestError(f"the manifest {str(path)!r} cannot be read: {why}") from error
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise RequestError(
                f"{str(path)!r} is no manifest of this version of imagekit: "
                f"{f'{where}: ' if where else ''}{first['msg']}"
            ) from error

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = True) -> Path:
        """Write it to *path*, whole or not at all; returns it.

        With `overwrite=False` an existing file raises `FileExistsError`; one that is replaced keeps
        its permissions, and a link stays one.
        """
        target = Path(path)
        data = self.model_dump_json(indent=2).encode() + b"\n"
        saved(data, target, overwrite=overwrite)
        return target

    def check(self, folder: str | os.PathLike[str] = ".") -> list[str]:
        """What is wrong with the files below *folder*: which are gone, or no longer what came.

        An empty list is good news. Pictures that were saved nowhere are not looked for.
        """
        return [
            f"{image.file}: {wrong}"
            for image in self.images
            if image.file is not None and (wrong := _wrong(Path(folder, image.file), image))
        ]

    def replayed(self, response: ImageResponse) -> Replayed:
        """How *response* compares with what came then, slot by slot."""
        before, now = self.images, [_record(slot, None) for slot in response.slots]
        pairs = zip_longest(before, now)
        return Replayed(slots=tuple(_compared(*pair) for pair in pairs))

    def __repr__(self) -> str:
        who = "/".join(word for word in (self.provider, self.model) if word)
        return f"<Manifest {who}: {len(self.images)} slot{'s' * (len(self.images) != 1)}>"

    __str__ = __repr__


def _record(slot: Slot, file: str | os.PathLike[str] | None) -> ImageRecord:
    if isinstance(slot, ImageFailure):
        return ImageRecord(failure=slot.reason)
    found = slot.facts
    return ImageRecord(
        sha256=_sha256(slot) if slot.length is not None else None,
        size=slot.length,
        media_type=slot.media_type,
        width=slot.width,
        height=slot.height,
        file=_relative(file) if file is not None else None,
        revised_prompt=slot.revised_prompt,
        seed=slot.seed,
        c2pa=found.c2pa if found else None,
        provenance=found.provenance if found else {},
    )


def _sha256(image: Image) -> str:
    with image.open() as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _relative(file: str | os.PathLike[str]) -> str:
    path = Path(file)
    leads_out = path.is_absolute() or path.drive or ".." in path.parts
    return path.name if leads_out else path.as_posix()


def _wrong(path: Path, image: ImageRecord) -> str | None:
    try:
        if not path.is_file():
            return "it is gone"
        with path.open("rb") as file:
            same = hashlib.file_digest(file, "sha256").hexdigest() == image.sha256
    except OSError as error:
        return f"it cannot be read: {error.strerror or error}"
    return None if same else "it is not what came: its bytes have changed"


def _compared(before: ImageRecord | None, now: ImageRecord | None) -> ReplayedSlot:
    if before is None or now is None or before.sha256 is None or before.sha256 != now.sha256:
        return ReplayedSlot(
            same=False, before=str(before) if before else None, now=str(now) if now else None
        )
    return ReplayedSlot(same=True)
