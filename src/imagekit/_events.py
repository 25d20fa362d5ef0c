"""What a stream says: one closed union of events."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from ._image import Image
from ._response import ImageFailure, ImageResponse, Notice
from ._value import Value


class Queued(Value):
    """The provider has taken the job and not begun; `position` in its queue, where it says so."""

    kind: Literal["queued"] = "queued"
    position: int | None = None


class Progress(Value):
    """Work goes on: `fraction` from 0 to 1, or `step` of `total`, as far as it is known."""

    kind: Literal["progress"] = "progress"
    fraction: float | None = None
    step: int | None = None
    total: int | None = None
    message: str | None = None


class Text(Value):
    """The model said something; `phase` is "content", "reasoning", "refusal" …."""

    kind: Literal["text"] = "text"
    text: str
    phase: str = "content"


class PartialImage(Value):
    """A preview of slot *index*: a whole picture that will be replaced, never the result."""

    kind: Literal["partial-image"] = "partial-image"
    index: int = 0
    step: int = 0
    image: Image


class ImageReady(Value):
    """Slot *index* ended with its picture."""

    kind: Literal["image-ready"] = "image-ready"
    index: int = 0
    image: Image


class ImageFailed(Value):
    """Slot *index* ended without one."""

    kind: Literal["image-failed"] = "image-failed"
    index: int = 0
    failure: ImageFailure


class Noticed(Value):
    """Something goes otherwise than asked."""

    kind: Literal["noticed"] = "noticed"
    notice: Notice


class Completed(Value):
    """Always the last event, exactly once, after each slot has ended once."""

    kind: Literal["completed"] = "completed"
    response: ImageResponse


ImageEvent: TypeAlias = Annotated[
    Queued | Progress | Text | PartialImage | ImageReady | ImageFailed | Noticed | Completed,
    Field(discriminator="kind"),
]

EVENTS = (
    Queued,
    Progress,
    Text,
    PartialImage,
    ImageReady,
    ImageFailed,
    Noticed,
    Completed,
)
