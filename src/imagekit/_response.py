"""What a call came to: a slot for each picture, and everything the provider said besides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeAlias

from pydantic import Field, JsonValue, PrivateAttr, SkipValidation

from ._errors import (
    Billed,
    ContentRejectedError,
    ImagekitError,
    NoImageError,
    ProviderError,
    Stage,
)
from ._framing import ServerSentEvent
from ._http import HttpRequest, HttpResponse
from ._image import Image
from ._request import State
from ._value import Value

if TYPE_CHECKING:
    from ._jobs import Job
    from ._plan import Plan

NoticeKind: TypeAlias = Literal[
    "unsupported",
    "adjusted",
    "emulated",
    "deprecated",
    "delivered-differs",
    "incomplete",
    "fallback",
    "other",
]


class Notice(Value):
    """Something that went otherwise than asked, in a call that went on all the same.

    `feature` is the request field or option meant; `wanted` and `used` what became of it.
    """

    kind: NoticeKind
    feature: str
    detail: str = ""
    wanted: str | None = None
    used: str | None = None

    def __str__(self) -> str:
        return f"{self.kind}: {self.feature}" + (f": {self.detail}" if self.detail else "")


class ImageFailure(Value):
    """A slot that holds no picture.

    `kind` is "refused" (its rules forbid it), "failed" (it tried) or "missing" (it never came).
    `stage` and `categories` say what a refusal objects to, `billed` whether it may cost money.
    `preview` is the last preview that came before the failure: a lead, never the result.
    """

    kind: Literal["refused", "failed", "missing"]
    reason: str
    code: str | None = None
    stage: Stage = "unknown"
    categories: tuple[str, ...] = ()
    billed: Billed = "possibly"
    preview: Image | None = None

    def error(self) -> ImagekitError:
        """This failure as the exception to raise for it."""
        if self.kind == "refused":
            return ContentRejectedError(
                self.reason,
                stage=self.stage,
                categories=self.categories,
                code=self.code,
                billed=self.billed,
            )
        kind = NoImageError if self.kind == "missing" else ProviderError
        return kind(self.reason, code=self.code, billed=self.billed)


Slot: TypeAlias = Annotated[Image | ImageFailure, Field(discriminator="kind")]


class UsageItem(Value):
    """One count that the provider reported.

    `unit` is "token", "image", "megapixel", "second", "credit" …; `modality` "text" or "image";
    `model` the model it counts, where that is not the image model; `detail` a further split, such
    as "cached" or "reasoning". Items never overlap, so they may be summed.
    """

    quantity: Decimal
    unit: str = "token"
    direction: Literal["input", "output"] | None = None
    modality: str | None = None
    model: str | None = None
    detail: str | None = None


class Usage(Value):
    """Counts as reported; what nobody reported is None, never 0."""

    items: tuple[UsageItem, ...] = ()

    def total(
        self, *, unit: str = "token", direction: str | None = None, modality: str | None = None
    ) -> Decimal | None:
        """The sum of the items that match; None when none does."""
        found = [
            item.quantity
            for item in self.items
            if item.unit == unit
            and direction in (None, item.direction)
            and modality in (None, item.modality)
        ]
        return sum(found, Decimal()) if found else None

    @property
    def input_tokens(self) -> int | None:
        """Tokens that went in."""
        return _whole(self.total(direction="input"))

    @property
    def output_tokens(self) -> int | None:
        """Tokens that came out."""
        return _whole(self.total(direction="output"))

    @property
    def total_tokens(self) -> int | None:
        """All tokens."""
        return _whole(self.total())

    def __add__(self, other: Usage) -> Usage:
        return Usage(items=(*self.items, *other.items))


def _whole(count: Decimal | None) -> int | None:
    return None if count is None else int(count)


class Cost(Value):
    """Money: reported by the provider, or estimated from `source` as of `as_of`."""

    amount: Decimal
    currency: str = "USD"
    kind: Literal["reported", "estimated"]
    source: str | None = None
    as_of: date | None = None

    def __str__(self) -> str:
        amount = f"{self.currency} {self.amount:f}"
        return amount if self.kind == "reported" else f"{amount} (estimated)"


class RateLimit(Value):
    """One of the provider's limits: `reset` is seconds until it is full again."""

    limit: int | None = None
    remaining: int | None = None
    reset: float | None = None


class Timing(Value):
    """How long the call took, in seconds; `first_preview` until the first preview came."""

    total: float
    first_preview: float | None = None


class HttpInfo(Value):
    """One answer that a call got: whose, its status and its headers (lower-case, no cookies).

    `text` is the body of an answer that is no success, cut after 10,000 characters.
    """

    method: str
    url: str
    status: int
    headers: Mapping[str, str] = Field(default_factory=dict, repr=False)
    text: str | None = Field(default=None, repr=False)


class CallRecord(Value):
    """One of the requests for pictures that a response came from.

    It asked for `n` and `images` came. `billed` and `error` are None where all went well.
    """

    n: int
    images: int
    provider: str | None = None
    profile: str | None = None
    model: str | None = None
    usage: Usage | None = None
    cost: Cost | None = None
    request_ids: tuple[str, ...] = ()
    billed: Billed | None = None
    error: str | None = None


class Attempt(Value):
    """What a provider said that was tried before; `kind` is the name of its error's class.

    `calls` are its requests, with what they used and cost; they stand in the response's own too.
    """

    provider: str
    profile: str | None = None
    model: str | None = None
    kind: str
    error: str
    status: int | None = None
    code: str | None = None
    billed: Billed | None = None
    request_id: str | None = None
    notices: tuple[Notice, ...] = ()
    calls: tuple[CallRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer, without credentials. Kept only where a call asked for it.

    Of a stream, `events` are what came after the answer's head, as it came.
    """

    request: HttpRequest = field(repr=False)
    response: HttpResponse = field(repr=False)
    events: tuple[ServerSentEvent | str | bytes, ...] = field(default=(), repr=False)

    def json(self) -> Any:
        """The provider's own object, untyped: the body, or the last event of a stream.

        Raises `ProtocolError` where it is no JSON.
        """
        for event in reversed(self.events):
            if isinstance(event, ServerSentEvent) and (said := event.data)[:1] == "{":
                return ServerSentEvent(event.event, said).json()
        return HttpResponse(self.response.status, body=self.response.body).json()


class ImageResponse(Value):
    """Everything a finished call came to.

    `slots` holds one entry for each picture asked for or returned, an `Image` or an
    `ImageFailure`; iterating and indexing go over the pictures alone. `calls` are the requests that
    they came from, of which `usage` and `cost` are the sums; `attempts` is what providers said that
    were tried before this one. `processing_time` is the seconds that the provider says it worked,
    `http` its answers without bodies. `cached` is when it was made, where it was not made anew.
    """

    slots: tuple[Slot, ...]
    provider: str | None = None
    profile: str | None = None
    model: str | None = None
    text: str | None = None
    usage: Usage | None = None
    cost: Cost | None = None
    calls: tuple[CallRecord, ...] = Field(default=(), repr=False)
    attempts: tuple[Attempt, ...] = ()
    cached: datetime | None = None
    notices: tuple[Notice, ...] = ()
    state: State | None = Field(default=None, repr=False)
    created: datetime | None = None
    request_ids: tuple[str, ...] = ()
    rate_limits: Mapping[str, RateLimit] = Field(default_factory=dict, repr=False)
    timing: Timing | None = None
    processing_time: float | None = None
    http: tuple[HttpInfo, ...] = Field(default=(), repr=False)
    metadata: Mapping[str, JsonValue] = Field(default_factory=dict, repr=False)
    raw: SkipValidation[tuple[Exchange, ...]] = Field(default=(), repr=False, exclude=True)
    _error: ImagekitError | None = PrivateAttr(default=None)
    _job: Any = PrivateAttr(default=None)
    _plan: Any = PrivateAttr(default=None)

    @property
    def error(self) -> ImagekitError | None:
        """What the call would have raised; else the first failure's; None where all is well."""
        if self._error is not None or not self.failures:
            return self._error
        error = self.failures[0].error()
        error.response = self
        return error

    def with_error(self, error: ImagekitError) -> Self:
        """A copy that carries *error*; its `image` raises it."""
        copy = self.model_copy()
        # Its frames would keep the call's own values alive, for as long as the response is.
        copy._error = error.with_traceback(None)
        return copy

    @property
    def job(self) -> Job | None:
        """What `Client.resume` can still finish of it, where some of it broke off; else None."""
        found: Job | None = self._job
        return found or (self._error.job if self._error else None)

    def with_job(self, job: Job | None) -> Self:
        """A copy that carries *job*."""
        copy = self.model_copy()
        copy._job = job
        return copy

    @property
    def plan(self) -> Plan | None:
        """The plan that it was made by, where the call kept it; else None."""
        return self._plan  # type: ignore[no-any-return]

    def with_plan(self, plan: Plan) -> Self:
        """A copy that carries *plan*."""
        copy = self.model_copy()
        copy._plan = plan
        return copy

    @property
    def images(self) -> tuple[Image, ...]:
        """The pictures."""
        return tuple(slot for slot in self.slots if isinstance(slot, Image))

    @property
    def failures(self) -> tuple[ImageFailure, ...]:
        """The slots that hold none."""
        return tuple(slot for slot in self.slots if isinstance(slot, ImageFailure))

    @property
    def ok(self) -> bool:
        """Whether every slot is a picture."""
        return bool(self.slots) and not self.failures

    @property
    def image(self) -> Image:
        """The first slot's picture; raises its error when it holds none."""
        if self._error is not None:
            raise self._error.with_traceback(None)
        if not self.slots:
            raise NoImageError("the response has no slots")
        first = self.slots[0]
        if isinstance(first, Image):
            return first
        error = first.error()
        error.response = self
        raise error

    def __iter__(self) -> Iterator[Image]:  # type: ignore[override]  # pictures, not fields
        return iter(self.images)

    def __getitem__(self, index: int) -> Image:
        return self.images[index]

    def __len__(self) -> int:
        return len(self.images)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        failed = f", {len(self.failures)} failed" if self.failures else ""
        who = "/".join(word for word in (self.provider, self.model) if word)
        return f"<ImageResponse {who or 'of nobody'}: {list(self.images)}{failed}>"

    __str__ = __repr__
