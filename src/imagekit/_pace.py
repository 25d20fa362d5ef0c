"""A flow around a flow: what costs money waits its turn, by what all calls of a client have learnt.

A limit that is learnt is a hint: it makes a request wait, and is never an error by itself.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from ._errors import ConfigurationError, DeadlineExceededError, ImagekitError
from ._flow import Effect, Effects, Gather, Open, Send, Sleep, transform
from ._http import HttpResponse
from ._response import RateLimit
from ._retried import RetryPolicy, retry_after
from ._verdict import Verdict, of_error, of_response

T = TypeVar("T")
MINUTE = 60.0
PATIENCE = RetryPolicy().patience

# As Go writes a span, and days.
_UNITS = {
    "d": 86400.0,
    "h": 3600.0,
    "m": 60.0,
    "s": 1.0,
    "ms": 1e-3,
    "us": 1e-6,
    "\u00b5s": 1e-6,  # the micro sign
    "\u03bcs": 1e-6,  # the Greek letter
    "ns": 1e-9,
}
_SPAN = re.compile(rf"([0-9]+(?:\.[0-9]+)?)({'|'.join(sorted(_UNITS, key=len, reverse=True))})")
_LIMIT = re.compile(r"x-ratelimit-(?:limit|remaining|reset)-(.+)")


def rate_limits(headers: Mapping[str, str]) -> dict[str, RateLimit]:
    """Limits by what they count ("requests", "tokens" …), from `x-ratelimit-*` headers."""
    told = [name for name in headers if name.startswith("x-ratelimit-")]
    found = {match[1] for name in told if (match := _LIMIT.fullmatch(name))}
    return {
        name: RateLimit(
            limit=_count(headers.get(f"x-ratelimit-limit-{name}")),
            remaining=_count(headers.get(f"x-ratelimit-remaining-{name}")),
            reset=seconds(headers.get(f"x-ratelimit-reset-{name}")),
        )
        for name in sorted(found)
    }


def _count(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"[0-9]{1,18}", text) else None


def seconds(text: str | None) -> float | None:
    """A span such as "1m30.5s", "120ms" or "6", in seconds."""
    if not text:
        return None
    parts = _SPAN.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        return sum(float(number) * _UNITS[unit] for number, unit in parts)
    return float(text) if re.fullmatch(r"[0-9]+(?:\.[0-9]+)?", text) else None


class _Told:
    """One limit as an answer told it; requests sent after that answer's own are not in it."""

    def __init__(
        self, number: int, told: RateLimit, now: float, *, span: float, counted: bool
    ) -> None:
        reset = told.reset or 0.0
        self.number = self._since = number
        self._limit, self._remaining, self._counted = told.limit, told.remaining, counted
        self._until, self.span = now + reset, max(span, reset)

    def wait(self, now: float, sent: int) -> float:
        """Seconds until one more is taken, of *sent* by now: 0 for at once."""
        if now >= self._until:
            # Full again, and for as long as that ever took: nobody knows it better.
            self._since, self._remaining, self._until = sent, self._limit, now + self.span
        if self._remaining is None:
            return 0.0
        more = sent - self._since if self._counted else 0
        return 0.0 if self._remaining > more else self._until - now


class Turn:
    """One request's turn; its pictures have their place in the minute from the beginning on."""

    def __init__(self, pace: Pace, pictures: int, at: float) -> None:
        self._pace, self.pictures, self.at = pace, pictures, at
        self.number: int | None = None
        self.spent = False
        self.waited = 0.0
        # Whether it was told to wait for no more than a hint.
        self.hinted = False

    def wait(self, patience: float) -> float:
        """Seconds to wait and ask again; 0 once it is this request's turn, which is then sent.

        Waits no longer than *patience* for what was only learnt.
        """
        return self._pace._wait(self, patience)

    def told(self, response: HttpResponse) -> None:
        """Learn from the answer."""
        verdict = of_response(response)
        self.spent = verdict in (Verdict.ACCEPTED, Verdict.UNKNOWN)
        self._pace._learn(self, response)

    def failed(self, error: ImagekitError) -> None:
        """No answer came."""
        self.spent = of_error(error) is Verdict.UNKNOWN

    def over(self) -> int:
        """End it; the pictures that nobody can have made, which leave their place."""
        return self._pace._over(self)


class Pace:
    """What all calls of a client know of one provider's limits. Threads may share it.

    It learns from the answers: what the headers say of requests, tokens and the like, and until
    when a 429 or a 503 asks to wait. *images_per_minute* is the caller's own limit.
    """

    def __init__(
        self,
        images_per_minute: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        most = images_per_minute
        if most is not None and (not isinstance(most, int) or isinstance(most, bool) or most < 1):
            raise ConfigurationError(f"images_per_minute is a whole number from 1 on, not {most!r}")
        self._most, self._clock = most, clock
        self._lock = threading.Lock()
        self._drawn: list[Turn] = []
        self._limits: dict[str, _Told] = {}
        # Until when the provider asks to wait, and which request it said that to.
        self._shut, self._shut_by = 0.0, 0
        self._sent = 0

    def turn(self, pictures: int) -> Turn:
        """A turn for a request for so many *pictures*, behind those that came before it."""
        with self._lock:
            now = self._clock()
            if self._most is None or not pictures:
                return Turn(self, pictures, now)
            self._drawn = [
                one for one in self._drawn if one.number is None or one.at + MINUTE > now
            ]
            turn = Turn(self, pictures, _room(self._drawn, self._most - pictures, now))
            self._drawn.append(turn)
            return turn

    def _wait(self, turn: Turn, patience: float) -> float:
        with self._lock:
            now, turn.hinted = self._clock(), False
            if turn.at > now:
                return turn.at - now
            hints = [told.wait(now, self._sent) for told in self._limits.values()]
            wait = max([0.0, self._shut - now, *hints])
            if 0 < wait <= patience - turn.waited:
                turn.waited += wait
                turn.hinted = True
                return wait
            if self._most is not None and turn.pictures:
                # Some may have gone later than they were meant to.
                gone = [one for one in self._drawn if one.number is not None]
                turn.at = _room(gone, self._most - turn.pictures, now)
                if turn.at > now:
                    return turn.at - now
            self._sent += 1
            turn.number, turn.spent = self._sent, True
            return 0.0

    def _learn(self, turn: Turn, response: HttpResponse) -> None:
        limits, asked = rate_limits(response.headers), None
        if response.status in (429, 503):
            asked = retry_after(response.headers)
        assert turn.number is not None
        with self._lock:
            now = self._clock()
            for name, told in limits.items():
                known = self._limits.get(name)
                if told.remaining is None or told.reset is None:
                    continue
                if known is None or known.number <= turn.number:
                    span, counted = known.span if known else 0.0, name == "requests"
                    new = _Told(turn.number, told, now, span=span, counted=counted)
                    self._limits[name] = new
            if asked is not None:
                self._shut, self._shut_by = max(self._shut, now + asked), turn.number
            elif response.ok and turn.number > self._shut_by:
                self._shut = 0.0

    def _over(self, turn: Turn) -> int:
        with self._lock:
            if turn.spent:
                return 0
            self._drawn = [one for one in self._drawn if one is not turn]
            return turn.pictures


def _room(turns: Sequence[Turn], most: int, at: float) -> float:
    """When, from *at* on, no more than *most* pictures of *turns* are in the minute before."""
    turns = sorted(turns, key=lambda one: one.at)
    count = sum(one.pictures for one in turns)
    for one in turns:
        if one.at + MINUTE > at:
            if count <= most:
                break
            at = one.at + MINUTE
        count -= one.pictures
    return at


class _Share:
    """The pictures of a flow that have no turn yet."""

    def __init__(self, pictures: int) -> None:
        self.left = pictures

    def take(self) -> int:
        """All of them."""
        taken, self.left = self.left, 0
        return taken

    def divided(self, many: int) -> Iterator[_Share]:
        """The same over *many* flows, the first ones with one more where it does not come out."""
        each, more = divmod(self.take(), many)
        return (_Share(each + (place < more)) for place in range(many))


def paced(flow: Effects[T], pace: Pace, pictures: int, patience: float = PATIENCE) -> Effects[T]:
    """Have each of *flow*'s requests that cost money wait until *pace* lets it go.

    The flow makes so many *pictures*, all by its first such request; flows that it gathers make an
    equal part of them each. What a refused request asked for is counted again with the next. Waits
    for a learnt limit are at most *patience* seconds: where more are known to be needed, or the
    deadline leaves no time for them, the request is sent at once and the provider decides. For the
    caller's own limit it waits as long as that takes.
    """
    return _paced(flow, pace, _Share(pictures), patience)


def _paced(flow: Effects[T], pace: Pace, share: _Share, patience: float) -> Effects[T]:
    def handle(effect: Gather | Send | Open) -> Effects[Any]:
        if isinstance(effect, Gather):
            parts = list(share.divided(len(effect.flows))) if effect.flows else []
            flows = zip(effect.flows, parts, strict=True)
            children = tuple(_paced(inner, pace, part, patience) for inner, part in flows)
            outcomes = yield Gather(children, effect.limit)
            share.left += sum(part.left for part in parts)
            return outcomes
        if not effect.request.charges:
            return (yield effect)
        turn, patient = pace.turn(share.take()), patience
        try:
            while wait := turn.wait(patient):
                try:
                    yield Sleep(wait)
                except DeadlineExceededError:
                    if not turn.hinted:
                        raise
                    # No time is left to follow a hint.
                    patient = 0.0
            response: HttpResponse = yield effect
            turn.told(response)
            return response
        except ImagekitError as error:
            turn.failed(error)
            raise
        finally:
            share.left += turn.over()

    # Those that are gathered are paced by `handle`, which knows how many they are.
    return (yield from transform(flow, handle, lambda: _as_it_is, of=(Gather, Send, Open)))


def _as_it_is(effect: Effect) -> Effects[Any]:
    return (yield effect)
