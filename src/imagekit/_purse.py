"""What a client has spent, and the budgets that stop a call before it is made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from threading import Lock
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, Field, ValidationError

from ._errors import BudgetExceededError, ImagekitError, RequestError
from ._flow import Effects
from ._prices import Estimate, money, plain
from ._response import Cost, ImageResponse
from ._value import Value

# A sum: what is known of it, and its currency. "presumed" is what may have been spent on top of
# what is known, "reserved" what calls that have not ended may cost.
_Sum: TypeAlias = tuple[Literal["reported", "estimated", "presumed", "reserved"], str]
T = TypeVar("T")
AsBudget: TypeAlias = "Budget | Decimal | int | float | str"
Outcome: TypeAlias = ImageResponse | BaseException | None


class Budget(Value):
    """What may be spent: by one call, or by a client in all.

    A call is stopped before it is made if it could cost more than is left, by its highest
    estimate. If nobody knows what it may cost it is stopped too, unless `allow_unknown`.
    """

    amount: Decimal = Field(ge=0)
    currency: str = "USD"
    allow_unknown: bool = False

    def __init__(
        self,
        amount: Decimal | int | float | str,
        currency: str = "USD",
        *,
        allow_unknown: bool = False,
    ) -> None:
        BaseModel.__init__(self, amount=amount, currency=currency, allow_unknown=allow_unknown)

    if not TYPE_CHECKING:
        __init__.__pydantic_base_init__ = True

    def __str__(self) -> str:
        return money(self.amount, self.currency)

    def __repr__(self) -> str:
        return f"<Budget {self}{' or unknown' if self.allow_unknown else ''}>"


def budget_of(given: Budget | Decimal | int | float | str | None) -> Budget | None:
    """A budget as callers may give it: a `Budget`, or an amount of US dollars."""
    if given is None or isinstance(given, Budget):
        return given
    try:
        return Budget(given)
    except ValidationError:
        raise RequestError(
            f"a budget is an amount, such as 5 or '5.00', or a Budget, not {given!r}", billed="no"
        ) from None


class Totals(Value):
    """What a client's calls came to.

    `reported` and `estimated` are sums of money by currency; `unknown` counts the calls of which
    nobody knows what they cost, `calls` all that may have cost anything, `images` the pictures.
    """

    reported: Mapping[str, Decimal] = Field(default_factory=dict)
    estimated: Mapping[str, Decimal] = Field(default_factory=dict)
    unknown: int = 0
    images: int = 0
    calls: int = 0

    def total(self, currency: str = "USD") -> Decimal:
        """What is known to have been spent in *currency*, reported and estimated."""
        return self.reported.get(currency, Decimal()) + self.estimated.get(currency, Decimal())

    def __str__(self) -> str:
        words = [_many(self.calls, "call"), _many(self.images, "image")]
        for currency in sorted({*self.reported, *self.estimated}):
            words.append(money(self.total(currency), currency))
            if currency not in self.reported:
                words[-1] += " (estimated)"
            elif currency in self.estimated:
                words[-1] += f" ({plain(self.estimated[currency])} of it estimated)"
        if self.unknown:
            words.append(f"{self.unknown} of unknown cost")
        return ", ".join(words)

    def __repr__(self) -> str:
        return f"<Totals: {self}>"


def _many(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


@dataclass(frozen=True, slots=True)
class _Entry:
    """What one call adds to the sums and counts."""

    sums: Mapping[_Sum, Decimal]
    counts: Mapping[str, int]


_NOTHING = _Entry({}, {})


@dataclass(slots=True)
class Held:
    """What a purse holds for one call: first its reservation, then what it came to."""

    estimate: Estimate
    entry: _Entry


class Purse:
    """One client's money: what was spent, and what calls that go on may still cost.

    Threads may use it at once: no two calls pass a budget that only one of them fits.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._sums: dict[_Sum, Decimal] = {}
        self._counts: Counter[str] = Counter()

    @property
    def spent(self) -> Totals:
        """What the calls that have ended came to."""
        with self._lock:
            return Totals(
                reported=dict(self._known("reported")),
                estimated=dict(self._known("estimated")),
                **self._counts,
            )

    def reserve(
        self, estimate: Estimate, client: Budget | None = None, call: Budget | None = None
    ) -> Held:
        """Keep the highest *estimate* for a call that is to be made.

        Raises `BudgetExceededError` where the budget of the *call*, or what is left of the
        *client*'s, may not suffice.
        """
        if call is not None:
            _fits(estimate, call, call.amount, "the call's budget")
        with self._lock:
            if client is not None:
                left = client.amount - self._committed(client.currency)
                _fits(estimate, client, left, "the client's budget")
            held = Held(estimate, _NOTHING)
            if estimate.high:
                held.entry = _Entry({("reserved", estimate.currency): estimate.high}, {})
                self._add(held.entry)
        return held

    def settle(self, held: Held, outcome: Outcome) -> None:
        """Put what a call came to in the place of what was *held* for it.

        *outcome* is its response or its error; None where it goes on and may cost. Who learns
        more of it settles it again.
        """
        entry = _came_to(outcome, held.estimate)
        with self._lock:
            self._add(held.entry, -1)
            self._add(entry)
            held.entry = entry

    def _known(self, word: str) -> Iterator[tuple[str, Decimal]]:
        for (kind, currency), amount in self._sums.items():
            if kind == word and amount:
                yield currency, plain(amount)

    def _committed(self, currency: str) -> Decimal:
        """What has been spent, may have been spent, or may yet be."""
        return sum((sum for (_, of), sum in self._sums.items() if of == currency), Decimal())

    def _add(self, entry: _Entry, sign: int = 1) -> None:
        for key, amount in entry.sums.items():
            self._sums[key] = self._sums.get(key, Decimal()) + sign * amount
        for name, count in entry.counts.items():
            self._counts[name] += sign * count


def _fits(estimate: Estimate, budget: Budget, left: Decimal, whose: str) -> None:
    """Raise unless *left* of a budget suffices for a call, whatever it comes to."""
    least, most, why = estimate.low, estimate.high, estimate.why
    if most == 0:
        return
    if estimate.currency != budget.currency:
        least, most, why = None, None, f"its price is in {estimate.currency}"
    if most is None and not budget.allow_unknown:
        of = f" ({why})" if why else ""
        wrong = (
            f"what the call may cost is unknown{of}, and {whose} of {budget} has to hold; nothing "
            "was sent: give it allow_unknown=True to let such calls pass"
        )
    # Where the most is unknown, a budget that is used up lets nothing pass all the same.
    elif (least or 0 if most is None else most) > left or left <= 0:
        need = money(least or Decimal() if most is None else most, budget.currency)
        more = " or more" if most is None else ""
        rest = "" if left == budget.amount else f", of which {plain(max(left, Decimal()))} is left"
        wrong = (
            f"the call may cost {need}{more}, and {whose} is {budget}{rest}; nothing was sent: ask "
            "for less, or raise it"
        )
    else:
        return
    raise BudgetExceededError(wrong, estimate=estimate, budget=budget, billed="no")


def _came_to(outcome: Outcome, estimate: Estimate) -> _Entry:
    """What an outcome adds to the sums: of what may have cost, the highest estimate is presumed."""
    response = outcome.response if isinstance(outcome, ImagekitError) else outcome
    response = response if isinstance(response, ImageResponse) else None
    costs = costs_of(outcome, response)
    if not costs:
        return _NOTHING
    sums: dict[_Sum, Decimal] = {}
    for cost in filter(None, costs):
        key: _Sum = (cost.kind, cost.currency)
        sums[key] = sums.get(key, Decimal()) + cost.amount
    unknown = None in costs and estimate.high != 0
    if unknown and estimate.high is not None:
        known = sum((sum for (_, of), sum in sums.items() if of == estimate.currency), Decimal())
        sums["presumed", estimate.currency] = max(estimate.high - known, Decimal())
    images = len(response.images) if response else 0
    return _Entry(sums, {"unknown": int(unknown), "images": images, "calls": 1})


def costs_of(outcome: Outcome, response: ImageResponse | None) -> list[Cost | None]:
    """The costs of a call that are known, and None for what may have cost something else."""
    if response is not None and response.cost is not None:
        return [response.cost]
    if response is not None and response.calls:
        return [one.cost for one in response.calls if one.cost or one.billed != "no"]
    if isinstance(outcome, ImagekitError) and outcome.billed == "no":
        return []
    return [None]


def budgeted(
    flow: Effects[T], purse: Purse, client: Budget | None, call: Budget | None, estimate: Estimate
) -> Effects[T]:
    """*flow*, which begins only if the budgets hold it, and whose cost goes to the *purse*."""
    held = purse.reserve(estimate, client, call)
    outcome: Outcome = None
    try:
        found = yield from flow
        outcome = found if isinstance(found, ImageResponse) else None
        return found
    except ImagekitError as error:
        outcome = error
        raise
    finally:
        # Whoever left early may have left something that costs.
        purse.settle(held, outcome)
