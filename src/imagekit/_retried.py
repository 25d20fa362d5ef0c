"""A flow around a flow: what cannot cost twice is repeated, and nothing else ever is."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from . import _verdict
from ._errors import DeadlineExceededError, ImagekitError, TransportError
from ._flow import Checkpoint, Effects, Open, Send, Sleep, notice, transform
from ._http import HttpRequest, HttpResponse
from ._response import Notice
from ._verdict import Verdict

T = TypeVar("T")
log = logging.getLogger("imagekit")
Judge = Callable[[HttpResponse], Verdict | None]
TWICE = Notice(
    kind="other",
    feature="may_charge_twice",
    detail="a request that may have been taken on was sent again: it may be paid for twice",
)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how fast to try again; *whether* is up to it in `may_charge_twice` only.

    Waits are seconds: `base` doubles up to `cap`, shortened by up to a quarter at random. A wait
    that the provider asks for is kept to, unless it is longer than `patience`: then the call ends.
    With `may_charge_twice` a request that may have been taken on is sent again as well, and may
    be paid for as often as it is sent.
    """

    retries: int = 2
    base: float = 0.5
    cap: float = 8.0
    patience: float = 120.0
    random: Callable[[], float] = random.random
    may_charge_twice: bool = field(default=False, kw_only=True)

    def delay(self, attempt: int, asked: float | None) -> float | None:
        """How long to wait after *attempt* (from 0), or None to give up."""
        if asked is not None:
            return asked if asked <= self.patience else None
        return self.pause(attempt)

    def pause(self, attempt: int) -> float:
        """How long to wait after *attempt* when nobody asks for a time."""
        return float(min(self.cap, self.base * 2**attempt) * (1 - self.random() / 4))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that an answer asks to wait, from `retry-after-ms` or `retry-after`."""
    for name, scale in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) / scale
        except (KeyError, ValueError):
            continue
        if 0 <= seconds < float("inf"):
            return seconds
    try:
        # A flow has no clock; the answer's own date is the clock its retry-after was set by.
        now = parsedate_to_datetime(headers["date"])
        return max(0.0, (parsedate_to_datetime(headers["retry-after"]) - now).total_seconds())
    except (KeyError, ValueError, TypeError, OverflowError):
        return None


class Ledger:
    """What the call may have cost so far, and from where it could go on."""

    def __init__(self) -> None:
        self.taken = False
        self.twice = False
        self.checkpoint: Mapping[str, Any] | None = None

    def enter(self, verdict: Verdict) -> None:
        """Note an attempt at something billable."""
        if verdict in (Verdict.UNKNOWN, Verdict.ACCEPTED):
            self.taken = True

    def stamp(self, error: ImagekitError) -> None:
        """Write on *error* what is known of the money, where nobody wrote it yet."""
        # What a transport says is of one request; the call may have made others.
        if error.billed is None or isinstance(error, TransportError):
            error.billed = "possibly" if self.taken else "no"
        # Who turned the last one away knows nothing of those before it.
        if error.billed == "no" and self.twice:
            error.billed = "possibly"
        if error.checkpoint is None:
            error.checkpoint = self.checkpoint


def retried(
    flow: Effects[T], policy: RetryPolicy, judge: Judge | None = None, *, taken: bool = False
) -> Effects[T]:
    """Repeat each of *flow*'s requests within *policy*, if its verdict lets it.

    A request that may have been taken on is repeated only where *policy* says that it may charge
    twice; one that costs nothing is repeated on any trouble. Nothing is repeated once a stream is
    open. A wait that would outlast the deadline is not begun: what was said stands. *taken* says
    that the work was taken on before.
    """
    ledger = Ledger()
    ledger.taken = taken

    def verdict_on(request: HttpRequest, response: HttpResponse) -> Verdict:
        found = _verdict.of_response(response)
        if found is Verdict.ACCEPTED:
            return found
        found = (judged(response) if not request.stranger else None) or found
        if found is Verdict.UNKNOWN and not request.charges:
            return Verdict.REFUSED
        return found

    def judged(response: HttpResponse) -> Verdict | None:
        try:
            found = judge(response) if judge else None
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            # It may have met a proxy's page where it looks for its provider's JSON.
            log.debug("a provider's judge failed", exc_info=error)
            return None
        if not isinstance(found, Verdict | None):
            log.debug("a provider's judge said %r, which is no verdict", found)
            return None
        return found

    def again(
        request: HttpRequest, verdict: Verdict, attempt: int, asked: float | None = None
    ) -> Effects[bool]:
        """Whether to send *request* once more; by then there was time to wait for it."""
        if request.charges:
            ledger.enter(verdict)
        twice = verdict is Verdict.UNKNOWN and policy.may_charge_twice
        if attempt >= policy.retries or not (verdict.repeatable or twice):
            return False
        if (wait := policy.delay(attempt, asked)) is None:
            return False
        try:
            yield Sleep(wait)
        except DeadlineExceededError:
            # What is known already says more than that there is no time left.
            return False
        if twice:
            ledger.twice = True
            yield from notice(TWICE)
        return True

    def attempts(effect: Send | Open) -> Effects[HttpResponse]:
        request, attempt = effect.request, 0
        while True:
            try:
                response: HttpResponse = yield effect
            except ImagekitError as error:
                verdict = _verdict.of_error(error)
                if verdict is Verdict.UNKNOWN and not request.charges:
                    verdict = Verdict.REFUSED
                error.billed = None
                final = isinstance(error, DeadlineExceededError)
                final |= not isinstance(error, TransportError)
                left = policy.retries if final else attempt
                if not (yield from again(request, verdict, left)):
                    raise
            except Exception as error:
                # A hook or a transport that somebody else wrote: who knows how far it got.
                if request.charges:
                    ledger.enter(Verdict.UNKNOWN)
                raise TransportError(f"the request failed on its way: {error!r}") from error
            else:
                verdict = verdict_on(request, response)
                asked = None if response.ok else retry_after(response.headers)
                if not (yield from again(request, verdict, attempt, asked)):
                    return response
            attempt += 1

    def handle(effect: Checkpoint | Send | Open) -> Effects[Any]:
        if not isinstance(effect, Checkpoint):
            return (yield from attempts(effect))
        ledger.checkpoint = effect.handle
        return (yield effect)

    try:
        return (yield from transform(flow, handle, of=(Checkpoint, Send, Open), strange=True))
    except ImagekitError as error:
        ledger.stamp(error)
        raise
