"""Jobs: work that a provider goes on with by itself, and that any process can finish."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Self, TypeVar, cast

from pydantic import Field, JsonValue, ValidationError, model_validator

from ._errors import (
    ImagekitError,
    PluginError,
    ProviderError,
    RequestError,
)
from ._flow import Checkpoint, Effect, Effects, Flow, Sleep, proper, transform
from ._observed import Unfinished
from ._response import ImageFailure, ImageResponse, Notice, Slot
from ._scope import quietly
from ._split import left_by, merged
from ._value import Value

T = TypeVar("T")
E = TypeVar("E", Checkpoint, Sleep)
log = logging.getLogger("imagekit")
# More pictures than any job makes. A job may be a stranger's JSON, and each takes some memory.
MOST = 1_000_000
Count = Annotated[int, Field(ge=1, le=MOST)]


class JobPart(Value):
    """What one request of a job left: a handle to ask by, or the answer, where that is known."""

    n: Count
    handle: Mapping[str, JsonValue] | None = Field(default=None, repr=False)
    response: ImageResponse | None = Field(default=None, repr=False)

    @model_validator(mode="after")
    def _either(self) -> Self:
        if (self.handle is None) == (self.response is None):
            raise ValueError("a part of a job has a handle, or its answer")
        return self


class Job(Value):
    """Work under way at a provider. `str(job)` is JSON, and every verb that takes a job takes that.

    `counts` are the pictures of each request that the job does, in order, `batched` whether that is
    for the price of a batch; `notices` what went otherwise than asked. It holds no key. What came
    at once is in it, and comes out by `resume`.
    """

    provider: str
    profile: str | None = None
    model: str | None = None
    counts: tuple[Count, ...]
    parts: tuple[JobPart, ...]
    created: datetime | None = None
    batched: bool = False
    notices: tuple[Notice, ...] = ()

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if sum(self.counts) != self.n or not 1 <= self.n <= MOST:
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

    @property
    def failures(self) -> tuple[ImageFailure, ...]:
        """The pictures of which it is known already that they will not come."""
        known = [part.response for part in self.parts if part.response is not None]
        return tuple(failure for response in known for failure in response.failures)

    def divided(self, response: ImageResponse) -> tuple[tuple[Slot, ...], ...]:
        """The slots of *response* by request, in the order in which the requests were given."""
        found, rest = [], response.slots
        for count in self.counts:
            found.append(rest[:count])
            rest = rest[count:]
        return tuple(found)

    def __str__(self) -> str:
        return self.model_dump_json()

    def __repr__(self) -> str:
        return f"<Job of {self.name}: {self.n} picture{'s' * (self.n > 1)}>"


def job_of(given: Job | str | bytes) -> Job:
    """A job as it was given out, or as JSON."""
    if isinstance(given, Job):
        return given
    try:
        return Job.model_validate_json(given)
    except ValidationError as error:
        raise RequestError("this is no job that submit() or batch() gave", billed="no") from error


@dataclass
class _Part:
    """How far one request of a call has come."""

    n: int
    handle: Mapping[str, Any] | None = None
    response: ImageResponse | None = None
    error: ImagekitError | None = None
    lost: ImageResponse | None = None

    @property
    def open(self) -> bool:
        """Whether the provider knows of it, and has not said its last word."""
        over = self.response is not None or _final(self.error)
        return self.handle is not None and not over

    def left(self) -> JobPart:
        if self.open:
            return JobPart(n=self.n, handle=self.handle)
        if self.response is not None:
            return JobPart(n=self.n, response=self.response)
        if self.lost is not None:
            return JobPart(n=self.n, response=self.lost)
        slot = ImageFailure(kind="failed", reason="the call was left before it was begun")
        return JobPart(n=self.n, response=ImageResponse(slots=(slot,) * self.n))


def _final(error: ImagekitError | None) -> bool:
    """Whether *error* is a provider's word on the job itself, and not on being asked for it."""
    if not isinstance(error, ProviderError):
        return False
    # A refused look says nothing of the job, unless it is gone: a proxy's own 404 names no code.
    gone = error.status == 410 or (error.status == 404 and error.code is not None)
    return error.status is None or error.status < 300 or gone


@dataclass
class Begun:
    """What a call has begun at its provider, request by request.

    `job` is what `resume` can still finish of it; None where there is nothing of that kind.
    """

    about: Mapping[str, Any]
    _parts: list[_Part] = field(default_factory=list)

    @property
    def job(self) -> Job | None:
        """All of the call, if a part of it is still open."""
        parts = tuple(self._parts)
        if not any(part.open for part in parts):
            return None
        left = tuple(part.left() for part in parts)
        return Job(**{"created": datetime.now(UTC), **self.about}, parts=left)

    def watched(self, flow: Flow, n: int, handle: Mapping[str, Any] | None = None) -> Flow:
        """*flow*, which makes *n* of the pictures, noted from now on; it may have a *handle*."""
        part = _Part(n, handle)
        self._parts.append(part)
        return self._watching(flow, part)

    def _watching(self, flow: Flow, part: _Part) -> Flow:
        def handle(effect: Checkpoint) -> Effects[Any]:
            part.handle = _plain(effect.handle)
            return (yield effect)

        try:
            part.response = yield from transform(flow, handle, of=Checkpoint)
        except ImagekitError as error:
            # By and by the error of one part may be that of the whole call.
            part.error, part.lost = error, left_by(error, part.n)
            raise
        return part.response

    def kept(self, flow: Flow) -> Flow:
        """*flow*, all of the call; its response, or the error that it ends in, has the job."""
        try:
            response = yield from flow
        except ImagekitError as error:
            error.job = self.job
            raise
        job = self.job
        return response if job is response.job else response.with_job(job)


def unlost(job: Job, struck: BaseException) -> None:
    """Keep *job* with *struck*, which ends its call and is no error, and say there that it goes on.

    What is no Ctrl-C stands in the log too: a scope or an event loop may let nobody see it.
    """
    words = f"what was begun goes on at {job.name}, and resume({str(_open(job))!r}) brings it"
    struck.job = job  # type: ignore[attr-defined]
    struck.add_note(words)
    if not isinstance(struck, KeyboardInterrupt):
        log.warning("a call was left: %s", words)


def _open(job: Job) -> Job:
    """*job* without what is known of it already, pictures perhaps, which would be long to say."""
    parts = tuple(part for part in job.parts if part.handle is not None)
    return job.model_copy(update={"parts": parts, "counts": (sum(part.n for part in parts),)})


def parted(flow: Flow) -> Effects[Mapping[str, Any] | ImageResponse]:
    """*flow* up to where its provider goes on by itself: the handle, or the answer if that came."""
    reached, response = yield from _up_to(flow, Checkpoint)
    return cast(ImageResponse, response) if reached is None else _plain(reached.handle)


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
                effect = proper(step())
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
        # What a plugin does on leaving must not cost the handle of what is paid for.
        quietly(flow.close)()


def _plain(handle: Mapping[str, Any]) -> Mapping[str, Any]:
    """*handle* as it will be once it was JSON."""
    try:
        found = json.loads(json.dumps(handle, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise PluginError(f"the handle of a checkpoint is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise PluginError(f"the handle of a checkpoint is a mapping, not {found!r}")
    return found


def parts_of(
    outcomes: Sequence[Mapping[str, Any] | ImageResponse | BaseException], counts: Sequence[int]
) -> tuple[JobPart, ...]:
    """What submitting came to; raises the first error where nothing was submitted at all."""
    parts: list[JobPart] = []
    errors: list[ImagekitError] = []
    for outcome, count in zip(outcomes, counts, strict=True):
        if isinstance(outcome, Exception) and not isinstance(outcome, ImagekitError):
            outcome = PluginError(f"submitting failed: {outcome!r}", billed="possibly")
        if isinstance(outcome, ImageResponse):
            parts.append(JobPart(n=count, response=outcome))
        elif isinstance(outcome, ImagekitError):
            errors.append(outcome)
            parts.append(JobPart(n=count, response=left_by(outcome, count)))
        elif isinstance(outcome, BaseException):
            raise outcome
        else:
            parts.append(JobPart(n=count, handle=outcome))
    if len(errors) == len(outcomes):
        merged(errors, counts)
    return tuple(parts)


def known(part: JobPart) -> Flow:
    """A part whose answer is known, as a flow."""
    assert part.response is not None
    return part.response
    yield
