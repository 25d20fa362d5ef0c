"""What things cost, as data: prices, how much a picture takes, and what a call may come to."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import BeforeValidator, Field, model_validator

from ._value import Value

Condition: TypeAlias = Literal["quality", "size", "background", "output_format", "operation"]
Per: TypeAlias = Literal["picture", "preview", "input", "prompt"]


def _exact(value: object) -> object:
    if isinstance(value, Decimal):
        return value
    try:
        if isinstance(value, str) or type(value) is int:
            return Decimal(value)
    except InvalidOperation:
        pass
    raise ValueError(f"an exact number is a whole one or a string ('0.25'), not {value!r}")


def _several(value: object) -> object:
    if not isinstance(value, Mapping):
        return value
    return {name: (said,) if isinstance(said, str) else said for name, said in value.items()}


Exact: TypeAlias = Annotated[Decimal, BeforeValidator(_exact), Field(ge=0)]
When: TypeAlias = Annotated[Mapping[Condition, tuple[str, ...]], BeforeValidator(_several)]


def plain(amount: Decimal) -> Decimal:
    """*amount* without the zeros at its end, and without an exponent."""
    return Decimal(f"{amount.normalize():f}")


def money(amount: Decimal, currency: str) -> str:
    """*amount* in words, such as "USD 0.25"."""
    return f"{currency} {plain(amount)}"


class Kind(Value):
    """What is counted, in the words of a `UsageItem`, and for which requests.

    None is a word of its own: it means what nobody says, and not "any". `when` names fields of a
    request and the values that they must have one of.
    """

    unit: str = "token"
    direction: Literal["input", "output"] | None = None
    modality: str | None = None
    model: str | None = None
    detail: str | None = None
    when: When = Field(default_factory=dict)


class Price(Kind):
    """`amount` of money for each `per` of what is counted; with the unit "image", for a picture.

    Each item of a usage must find exactly one price, its `detail` ("cached", "reasoning")
    included; where a detail costs the same, say so in a price of its own.
    """

    amount: Exact
    per: Annotated[Decimal, BeforeValidator(_exact), Field(gt=0)] = Decimal(1)


class Expected(Kind):
    """How much of something each `per` takes: at least `low`, at most `high`; None is unknown.

    `per` is a "picture", a "preview" of a stream, an "input" picture or a byte of the "prompt" in
    UTF-8 (a token is never less), each for every picture that is asked for. `why` says in words
    what is unknown, where `high` is.
    """

    per: Per = "picture"
    low: Exact = Decimal(0)
    high: Exact | None = None
    why: str | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.high is not None and self.high < self.low:
            raise ValueError(f"at least {self.low} and at most {self.high} cannot be")
        return self


class Prices(Value):
    """What a model costs: prices, and how much of what they count a call takes.

    `unbounded` names what else a call takes that nobody can bound ("how much … reads"), `batch` is
    the factor for batches; None is unknown. `free` says that nothing is charged, which no lack of
    prices ever means. `source` and `as_of` say where all this is from, where the capabilities that
    it stands in do not.
    """

    items: tuple[Price, ...] = ()
    expected: tuple[Expected, ...] = ()
    unbounded: tuple[str, ...] = ()
    currency: str = "USD"
    batch: Exact | None = None
    free: bool = False
    source: str | None = None
    as_of: date | None = None

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if self.free and self.items:
            raise ValueError("what is free has no prices")
        return self


def _both(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    return None if one is None or other is None else one + other


class Estimate(Value):
    """What a call may cost, for all of its pictures: from `low` to `high`.

    None is unknown, and `why` says what is. `source` and `as_of` are those of the prices.
    """

    low: Decimal | None = None
    high: Decimal | None = None
    currency: str = "USD"
    source: str | None = None
    as_of: date | None = None
    why: str = ""

    @property
    def known(self) -> bool:
        """Whether it is known what the call costs at most."""
        return self.high is not None

    def __add__(self, other: Estimate) -> Estimate:
        """What both together may cost; unknown where one is, or where currencies differ."""
        if other.currency != self.currency:
            return Estimate(why=f"prices are in {self.currency} and in {other.currency}")
        low, high = _both(self.low, other.low), _both(self.high, other.high)
        why = "; ".join(dict.fromkeys(filter(None, (self.why, other.why))))
        return self.model_copy(update={"low": low, "high": high, "why": why})

    def __str__(self) -> str:
        if self.high is None:
            least = f"{money(self.low, self.currency)} or more" if self.low else "cost unknown"
            return f"{least}: {self.why}" if self.why else least
        if not self.high:
            return "free"
        if self.low == self.high:
            return money(self.high, self.currency)
        least = money(self.low or Decimal(), self.currency)
        return f"{least} to {plain(self.high)}"

    def __repr__(self) -> str:
        return f"<Estimate {self}>"
