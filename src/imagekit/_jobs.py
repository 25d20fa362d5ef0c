"""Jobs: work that a provider goes on with by itself, and that any process can finish."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Self, TypeVar, cast

from pydantic import Field, JsonValue, ValidationError, model_validator

from ._errors import ImagekitError, RequestError
from ._flow import Checkpoint, Effect, Effects, Flow, Sleep
from ._image import Value
from ._observed import Unfinished
from ._response import ImageResponse, Notice, Slot
from ._split import failure_of

T = TypeVar("T")
E = TypeVar("E", Checkpoint, Sleep)


class JobPart(Value):
    """What one request of a job left: its handle, or the slots that it ended in at once."""

    n: int = Field(ge=1)
    handle: Mapping[str, JsonValue] | None = Field(default=None, repr=False)
    slots: tuple[Slot, ...] = Field(default=(), repr=False)


class Job(Value):
    """Work under way at a provider. `str(job)` is JSON, and every verb that takes a job takes that.

    `counts` are the pictures of each request that the job does, in order; `notices` what went
    otherwise than asked. It holds no key and no picture that is still to come.
    """

    provider: str
    profile: str | None = None
    model: str | None = None
    counts: tuple[int, ...]
    parts: tuple[JobPart, ...]
    created: datetime | None = None
    notices: tuple[Notice, ...] = ()

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if sum(self.counts) != self.n or not self.parts:
            raise ValueError("the parts of a job make as many pictures as its requests")
        return self

    @property
    def n(self) -> int:
        """How many pictures it makes."""
        return sum(part.n for part in self.parts)

    @property
    def name(self) -> str:
        """Whom to ask: the profile where there is one, else the provider."""
        return self.profile or self.provider

    def divided(self, response: ImageResponse) -> tuple[tuple[Slot, ...], ...]:
        """The slots of *response* by request, in the order in which the requests were given."""
        found, rest = [], response.slots
        for count in self.counts:
            found.append(rest[:count])
            rest = rest[count:]
        return tuple(found)

    def __str__(self) -> str:
        return self.model_dump_json(exclude_defaults=True)

    def __repr__(self) -> str:
        return f"<Job of {self.name}: {self.n} pictures>"


def job_of(given: Job | str | bytes) -> Job:
    """A job as it was given out, or as JSON."""
    if isinstance(given, Job):
        return given
    try:
        return Job.model_validate_json(given)
    except ValidationError as error:
        raise RequestError("this is no job that submit() or batch() gave", billed="no") from error


def parted(flow: Flow) -> Effects[Mapping[str, Any] | ImageResponse]:
    """*flow* up to where its provider goes on by itself: the handle, or the answer if that came."""
    reached, response = yield from _up_to(flow, Checkpoint)
    return cast(ImageResponse, response) if reached is None else reached.handle


def without_waiting(flow: Effects[T]) -> Effects[T]:
    """*flow*, which ends in `Unfinished` as soon as it would wait."""
    reached, found = yield from _up_to(flow, Sleep)
    if reached is not None:
        raise Unfinished
    return cast(T, found)


def _up_to(flow: Effects[T], last: type[E]) -> Effects[tuple[E | None, T | None]]:
    """Run *flow* to its first effect of that type, or to its end: the effect, or the result."""
    step: Callable[[], Effect] = partial(next, flow)
    try:
        while True:
            try:
                effect = step()
            except StopIteration as stop:
                return None, stop.value
            if isinstance(effect, last):
                return effect, None
            try:
                reply = yield effect
            except Exception as error:
                step = partial(flow.throw, error)
            else:
                step = partial(flow.send, reply)
    finally:
        flow.close()


def parts_of(
    outcomes: Sequence[Mapping[str, Any] | ImageResponse | BaseException], counts: Sequence[int]
) -> tuple[JobPart, ...]:
    """What submitting came to; raises the first error where nothing was submitted at all."""
    parts = []
    for outcome, count in zip(outcomes, counts, strict=True):
        if isinstance(outcome, ImageResponse):
            parts.append(JobPart(n=count, slots=outcome.slots))
        elif isinstance(outcome, ImagekitError):
            parts.append(JobPart(n=count, slots=(failure_of(outcome),) * count))
        elif isinstance(outcome, BaseException):
            raise outcome
        else:
            parts.append(JobPart(n=count, handle=dict(outcome)))
    errors = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    if len(errors) == len(outcomes):
        raise errors[0]
    return tuple(parts)


def known(part: JobPart) -> Flow:
    """A part that has ended already, as a flow."""
    return ImageResponse(slots=part.slots)
    yield
