"""A flow of flows: the next provider is asked where the one before cost nothing and cannot help."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar, get_args

from ._errors import (
    AuthenticationError,
    Billed,
    ContentRejectedError,
    DeadlineExceededError,
    ImagekitError,
    InvalidRequestError,
    PermissionDeniedError,
    ProtocolError,
    ProviderError,
    ProviderUnavailableError,
    QuotaExceededError,
    RateLimitError,
    RequestError,
    TransportError,
    UnsupportedRequestError,
)
from ._events import ImageFailed, ImageReady, Noticed
from ._flow import Effect, Effects, Emit, Flow, notice, transform
from ._image import Image
from ._response import (
    Attempt,
    CallRecord,
    Cost,
    ImageFailure,
    ImageResponse,
    Notice,
    Slot,
)
from ._split import worst

if TYPE_CHECKING:
    from ._jobs import Job

E = TypeVar("E")

FallBackOn: TypeAlias = Literal[
    "rejected", "invalid", "unsupported", "authentication", "may_be_charged"
]
"""What a call may name, beside what lets the next provider be asked anyhow:

* "rejected": its rules forbid the prompt, an input or the picture.
* "invalid": it finds the request wrong.
* "unsupported": it or its model cannot express the request.
* "authentication": it does not know the key, or the key may not do this.
* "may_be_charged": it may have begun, so that the pictures may be paid for twice.
"""

WORDS: tuple[str, ...] = get_args(FallBackOn)
_ALWAYS = (TransportError, ProviderUnavailableError, RateLimitError, QuotaExceededError)
_NAMED: dict[str, tuple[type[ImagekitError], ...]] = {
    "rejected": (ContentRejectedError,),
    "invalid": (InvalidRequestError,),
    "unsupported": (UnsupportedRequestError,),
    "authentication": (AuthenticationError, PermissionDeniedError),
    "may_be_charged": (),
}
_WANT_A_WORD = tuple(kind for kinds in _NAMED.values() for kind in kinds)


@dataclass(frozen=True, slots=True)
class Choice:
    """One provider to ask: `make` gives its whole call, or raises where it cannot be asked."""

    name: str
    make: Callable[[], Flow]


def fallen_back(choices: Sequence[Choice], also: Collection[str] = ()) -> Flow:
    """The first of *choices* that does not fail, asked in order.

    The next one is asked when the one before has cost nothing for certain, and was not reached,
    unavailable, or out of requests or quota; and where *also* names it, see `FallBackOn`. The
    response says in `attempts` what the others said; so does the error where none is left, whose
    `response` keeps what came anywhere. Raises `RequestError` for a word in *also* that is none.
    """
    words = words_of(also)
    if not choices:
        raise RequestError("no provider was given to ask: name one at least", billed="no")
    return _tried(choices, words)


def words_of(also: Collection[str]) -> frozenset[str]:
    """What a call names beside; raises `RequestError` for a word that is none."""
    if also == ():
        return frozenset()
    several = isinstance(also, Collection) and not isinstance(also, str)
    words: tuple[Any, ...] = tuple(also) if several else (also,)
    if unknown := [word for word in words if word not in WORDS]:
        known = ", ".join(repr(word) for word in WORDS)
        raise RequestError(f"fall_back_on={unknown[0]!r} is none of {known}", billed="no")
    return frozenset(words)


def _falls(error: ImagekitError, words: Collection[str]) -> bool:
    """Whether the next provider may be asked after *error*."""
    if isinstance(error, DeadlineExceededError):
        return False
    named = tuple(kind for word in words for kind in _NAMED[word])
    if _billed(error) == "no":
        return isinstance(error, (*_ALWAYS, *named))
    if "may_be_charged" not in words:
        return False
    asked = isinstance(error, TransportError | ProtocolError | ProviderError)
    return isinstance(error, named) or (asked and not isinstance(error, _WANT_A_WORD))


def _billed(error: ImagekitError) -> Billed:
    """The worst of what *error* and the slots that it leaves say of the money."""
    own = error.billed or ("no" if isinstance(error, RequestError) else None)
    failures = error.response.failures if error.response else ()
    return worst([own, *(failure.billed for failure in failures)])


class _Held:
    """What one provider says, kept back while another may yet be asked in its place.

    `certain` is whether no other may be: a picture came, or it is the *last*. `ends` are those ends
    of slots that nobody was told of, `noticed` its notices.
    """

    def __init__(self, previews: Mapping[int, Image], *, last: bool) -> None:
        # Flows that a call gathers speak from threads of their own.
        self._previews = previews
        self._notices: deque[Noticed] = deque()
        self.ends: deque[ImageFailed] = deque()
        self.noticed: dict[Notice, None] = {}
        self._speaks = self.certain = last

    def handle(self, effect: Effect) -> Effects[Any]:
        """Let *effect* pass, unless it may have to be taken back."""
        if not isinstance(effect, Emit):
            return (yield effect)
        event = effect.event
        if isinstance(event, Noticed):
            self.noticed[event.notice] = None
            if not self._speaks:
                return self._notices.append(event)
        elif isinstance(event, ImageFailed):
            slot = _with_preview(event.index, event.failure, self._previews)
            event = event.model_copy(update={"failure": slot})
            if not self.certain:
                return self.ends.append(event)
        else:
            self._speaks = True
            if isinstance(event, ImageReady):
                self.certain = True
            yield from self.release()
        yield Emit(event)
        return None

    def release(self, *, over: bool = False) -> Effects[None]:
        """Say what was kept back, as far as it cannot be taken back any more."""
        for event in _drained(self._notices):
            yield Emit(event)
        for end in _drained(self.ends) if over or self.certain else ():
            yield Emit(end)


def _drained(kept: deque[E]) -> Iterator[E]:
    with suppress(IndexError):
        while True:
            yield kept.popleft()


def _with_preview(index: int, slot: Slot, previews: Mapping[int, Image]) -> Slot:
    """*slot*, a failed one with the last preview of it that anybody gave."""
    if isinstance(slot, Image) or slot.preview is not None or index not in previews:
        return slot
    return slot.model_copy(update={"preview": previews[index]})


class _Before:
    """What those that were asked before have left."""

    def __init__(self) -> None:
        self.attempts: tuple[Attempt, ...] = ()
        self.notices: tuple[Notice, ...] = ()
        self.previews: dict[int, Image] = {}
        # Of the last one that ended its slots: how, and its response.
        self.ends: tuple[ImageFailed, ...] = ()
        self.response: ImageResponse | None = None
        self.job: Job | None = None

    def add(self, name: str, error: ImagekitError, held: _Held) -> None:
        """Note one that failed."""
        left = error.response
        attempt = Attempt(
            provider=(left and left.provider) or error.provider or name,
            profile=left.profile if left else None,
            model=left.model if left else None,
            kind=type(error).__name__,
            error=str(error),
            status=error.status,
            code=error.code,
            billed=_billed(error),
            request_id=error.request_id,
            notices=tuple(dict.fromkeys([*held.noticed, *(left.notices if left else ())])),
            calls=left.calls if left else (),
        )
        self.attempts += (attempt,)
        self.job = error.job or self.job
        if left is not None:
            self.ends, self.response = tuple(held.ends), left
            for index, slot in enumerate(left.slots):
                if isinstance(slot, ImageFailure) and slot.preview is not None:
                    self.previews[index] = slot.preview

    def told(self, response: ImageResponse) -> ImageResponse:
        """*response* with what they said."""
        slots = [
            _with_preview(index, slot, self.previews) for index, slot in enumerate(response.slots)
        ]
        notices = dict.fromkeys([*self.notices, *response.notices])
        before = tuple(call for one in self.attempts for call in one.calls)
        used = [one for one in (*(call.usage for call in before), response.usage) if one]
        return response.model_copy(
            update={
                "slots": tuple(slots),
                "notices": tuple(notices),
                "attempts": self.attempts,
                "calls": (*before, *response.calls),
                "usage": sum(used[1:], start=used[0]) if used else None,
                "cost": _altogether(before, response),
                "request_ids": (
                    *(id for call in before for id in call.request_ids),
                    *response.request_ids,
                ),
            }
        )

    def blame(self, error: ImagekitError) -> None:
        """The same for *error*, in which all of it ends."""
        error.attempts = self.attempts
        error.job = error.job or self.job
        if error.response is None and self.response is not None:
            # What it used and cost stands in its attempt.
            bare = {"calls": (), "usage": None, "cost": None, "request_ids": ()}
            error.response = self.response.model_copy(update=bare)
        error.response = error.response and self.told(error.response)
        for one in self.attempts:
            error.add_note(f"{one.provider} was asked before: {one.kind}: {one.error}")


def _altogether(before: Sequence[CallRecord], response: ImageResponse) -> Cost | None:
    """What all of them cost, if that is known; what cost nothing for certain needs no price."""
    paid = [call.cost for call in before if call.cost is not None or call.billed != "no"]
    known = [cost for cost in (*paid, response.cost) if cost is not None]
    if len(known) <= len(paid) or len({(cost.currency, cost.kind) for cost in known}) > 1:
        return None
    return known[-1].model_copy(update={"amount": sum(cost.amount for cost in known)})


def _tried(choices: Sequence[Choice], words: Collection[str]) -> Flow:
    before, left = _Before(), deque(choices)
    while True:
        choice = left.popleft()
        held = _Held(before.previews, last=not left)
        try:
            response = yield from transform(choice.make(), held.handle)
        except ImagekitError as error:
            if held.certain or not _falls(error, words):
                yield from held.release(over=True)
                # Who could not even be asked ended no slot; what the one before said of it holds.
                for end in () if error.response else before.ends:
                    yield Emit(end)
                before.blame(error)
                raise
            before.add(choice.name, error, held)
            said = Notice(
                kind="fallback",
                feature="provider",
                wanted=choice.name,
                used=left[0].name,
                detail=str(error),
            )
        else:
            yield from held.release(over=True)
            return before.told(response)
        before.notices += (said,)
        yield from notice(said)
