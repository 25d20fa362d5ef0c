"""What a call may cost, and what it did cost, by the prices that are known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

from ._capabilities import Capabilities, Source
from ._errors import ImagekitError
from ._flow import Flow
from ._prices import Condition, Estimate, Expected, Kind, Per, Price, Prices, plain
from ._request import ImageRequest
from ._response import CallRecord, Cost, ImageResponse, Usage, UsageItem

_Words = tuple[str, str | None, str | None, str | None, str | None]
_EACH: dict[Per, str] = {
    "picture": "a picture",
    "preview": "a preview",
    "input": "an input picture",
    "prompt": "the prompt's text",
}


def estimated(
    request: ImageRequest, able: Capabilities, *, stream: bool = False, batch: bool = False
) -> Estimate:
    """What *request* may cost, all of its pictures together, as a *stream* or in a *batch*.

    A field that says "auto", or nothing, stands for every value that the prices know. What cannot
    be bounded is unknown, and then so is the whole.
    """
    prices, model = able.prices, request.model or able.model or "this model"
    if prices is None or not (prices.items or prices.free):
        return Estimate(why=f"no price of {model} is known")
    known = {"currency": prices.currency, **_source(able, prices)}
    if prices.free and not prices.items:
        return Estimate(low=Decimal(), high=Decimal(), **known)
    factor = prices.batch if batch else Decimal(1)
    if factor is None:
        return Estimate(why=f"what a batch of {model} costs is not known", **known)
    low = high = Decimal()
    unknown = {f"{what} is not known": None for what in prices.unbounded}
    counts = _counts(request, stream)
    for rows in _expected(prices, model):
        least, most, why = _bounds(rows, counts[rows[0].per], prices, request, model)
        low += least
        high += most or 0
        if most is None:
            unknown[why] = None
    return Estimate(
        low=plain(low * factor),
        high=None if unknown else plain(high * factor),
        why="; ".join(unknown),
        **known,
    )


def _source(able: Capabilities, prices: Prices) -> dict[str, Any]:
    """Where the prices are from; the user's own word stands over what they patch."""
    found = able.source_of("prices") or Source()
    if found.patch is not None:
        return {"source": found.text or found.patch, "as_of": found.as_of}
    return {"source": prices.source or found.text, "as_of": prices.as_of or found.as_of}


def _counts(request: ImageRequest, stream: bool) -> dict[Per, int]:
    # What goes in may be counted for each picture: it is, by what was recorded of live calls.
    text = (request.prompt or "") + (request.negative_prompt or "")
    return {
        "picture": request.n,
        "preview": request.n * (request.partial_images or 0) if stream else 0,
        "input": request.n * _inputs(request),
        "prompt": request.n * len(text.encode()),
    }


def _inputs(request: ImageRequest) -> int:
    return len(request.images) + (request.mask is not None) + (request.state is not None)


def _expected(prices: Prices, model: str) -> Iterator[list[Expected]]:
    """What is expected, each list of one kind: one of them holds for a request."""
    groups: dict[tuple[Per, _Words], list[Expected]] = {}
    for row in prices.expected:
        groups.setdefault((row.per, _words(row)), []).append(row)
    yield from groups.values()
    said = {_plainly(row) for row in prices.expected}
    for price in {_plainly(one): one for one in prices.items}.values():
        if _plainly(price) in said or (price.modality is None and _told_apart(price, prices)):
            continue
        kind = price.model_dump(include={"unit", "direction", "modality", "model"})
        if price.unit != "image":
            why = f"how many {_named(price)} a call to {model} takes is not known"
            yield [Expected(**kind, why=why)]
        elif price.direction == "input":
            # Whether each is charged for once, or for each picture that is made of it.
            yield [Expected(**kind, per="input", high=Decimal(1))]
        else:
            yield [Expected(**kind, low=Decimal(1), high=Decimal(1))]


def _told_apart(price: Price, prices: Prices) -> bool:
    """Whether others of *price*'s kind say the modality: it is for usage that does not."""
    kind = price.unit, price.direction, price.model
    return any(
        other.modality is not None and (other.unit, other.direction, other.model) == kind
        for other in prices.items
    )


def _bounds(
    rows: Sequence[Expected], count: int, prices: Prices, request: ImageRequest, model: str
) -> tuple[Decimal, Decimal | None, str]:
    """The least and the most that *count* of what *rows* expect cost, and what is unknown."""
    if not count:
        return Decimal(), Decimal(), ""
    fit = [row for row in rows if _may_hold(row, request)]
    costs = [one.amount / one.per for one in _candidates(rows[0], prices, request)]
    least = min((row.low for row in fit), default=Decimal()) * min(costs, default=Decimal())
    # There may be fewer previews than were asked for.
    least *= 0 if rows[0].per == "preview" else count
    highs = [row.high for row in fit if row.high is not None]
    if not fit or len(highs) < len(fit):
        return least, None, _why(rows, fit, request, model)
    if not costs:
        return least, None, f"what {_named(rows[0])} of {model} cost is not known"
    return least, max(highs) * max(costs) * count, ""


def _why(
    rows: Sequence[Expected], fit: Sequence[Expected], request: ImageRequest, model: str
) -> str:
    """What is unknown where none of *rows* fits, or one that does has no upper bound."""
    for row in fit:
        if row.high is None and row.why:
            return row.why
    said = ""
    if not fit:
        fields = dict.fromkeys(field for row in rows for field in row.when)
        values = [f"{field} {value!r}" for field in fields if (value := _said(request, field))]
        said = f" with {' and '.join(values)}"
    return f"how many {_named(rows[0])} {_EACH[rows[0].per]} of {model}{said} takes is not known"


def _candidates(row: Expected, prices: Prices, request: ImageRequest) -> list[Price]:
    """The prices that what is expected may be paid by, such as those of cached tokens."""
    return [
        one
        for one in prices.items
        if _plainly(one) == _plainly(row)
        and row.detail in (None, one.detail)
        and _may_hold(one, request)
    ]


def _words(kind: Kind | UsageItem) -> _Words:
    return kind.unit, kind.direction, kind.modality, kind.model, kind.detail


def _plainly(kind: Kind) -> _Words:
    return kind.unit, kind.direction, kind.modality, kind.model, None


def _named(kind: Kind) -> str:
    """Such as "output image tokens of gpt-4"."""
    words = [kind.detail, kind.direction, kind.modality, f"{kind.unit}s"]
    said = " ".join(word for word in words if word)
    return f"{said} of {kind.model}" if kind.model else said


def _said(request: ImageRequest, field: Condition) -> str | None:
    """What *request* says in *field*; None is what leaves it to the provider."""
    value = getattr(request, field)
    return None if value == "auto" else value


def _may_hold(kind: Kind, request: ImageRequest) -> bool:
    return all(_said(request, field) in (None, *values) for field, values in kind.when.items())


def costed(
    flow: Flow, able: Capabilities, request: ImageRequest | None = None, *, batch: bool = False
) -> Flow:
    """*flow*, whose response says what it cost, also where an error carries it.

    What the provider reports stands. Else each thing that it counted has to have one price, for
    each of its calls by itself, or the cost stays unknown: it is never a part of the whole.
    *request* is for prices that depend on it, *batch* for an answer that comes from one.
    """

    def cost(
        prices: Prices, usage: Usage | None, pictures: int | None, response: ImageResponse
    ) -> Cost | None:
        amount = _priced(prices, usage, pictures, response, request, batch)
        if amount is None:
            return None
        known = {"currency": prices.currency, **_source(able, prices)}
        return Cost(amount=plain(amount), kind="estimated", **known)

    def with_cost(response: ImageResponse) -> ImageResponse:
        prices = able.prices
        if response.cost is not None or prices is None:
            return response
        if not response.calls:
            lost = any(failure.billed != "no" for failure in response.failures)
            found = cost(prices, response.usage, None if lost else len(response.images), response)
            return response.model_copy(update={"cost": found})
        calls = tuple(
            one.model_copy(
                update={
                    "cost": cost(prices, one.usage, None if one.billed else one.images, response)
                }
            )
            if _may_cost(one) and one.cost is None
            else one
            for one in response.calls
        )
        return response.model_copy(update={"calls": calls, "cost": _summed(calls)})

    try:
        return with_cost((yield from flow))
    except ImagekitError as error:
        error.response = error.response and with_cost(error.response)
        raise


def _may_cost(call: CallRecord) -> bool:
    return call.cost is not None or call.billed != "no"


def _summed(calls: Sequence[CallRecord]) -> Cost | None:
    """What all *calls* cost, if that is known of each."""
    costs = [one.cost for one in calls if _may_cost(one)]
    known = [cost for cost in costs if cost is not None]
    if len(known) < len(costs) or len({(cost.currency, cost.kind) for cost in known}) != 1:
        return None
    return known[0].model_copy(update={"amount": sum(cost.amount for cost in known)})


def _priced(
    prices: Prices,
    usage: Usage | None,
    pictures: int | None,
    response: ImageResponse,
    request: ImageRequest | None,
    batch: bool,
) -> Decimal | None:
    """The price of all that was counted; *pictures* is None where some more may be charged for."""
    if prices.free and not prices.items:
        return Decimal()
    factor = prices.batch if batch else Decimal(1)
    counted = _counted(usage, pictures, prices, request)
    if factor is None or not counted:
        return None
    total = Decimal()
    for item in counted:
        found = [
            one
            for one in prices.items
            if _words(one) == _words(item) and _holds(one, response, request)
        ]
        if len(found) != 1:
            return None
        total += item.quantity * found[0].amount / found[0].per
    return total * factor


def _counted(
    usage: Usage | None, pictures: int | None, prices: Prices, request: ImageRequest | None
) -> list[UsageItem] | None:
    """What there is to pay for, each picture included where it is pictures that cost."""
    items = [item for item in usage.items if item.quantity] if usage else []
    flat = [one for one in prices.items if one.unit == "image"]
    if len(flat) == len(prices.items):
        # Tokens may be counted where it is pictures alone that are paid for.
        items = [item for item in items if item.unit == "image"]
    told = {item.direction == "input" for item in items if item.unit == "image"}
    into = any(one.direction == "input" for one in flat)
    if into and True not in told and (request is None or _inputs(request)):
        return None
    made = [one for one in flat if one.direction != "input"]
    if not made or False in told:
        return items
    if pictures is None:
        return None
    words = made[0].model_dump(include={"unit", "direction", "modality", "model", "detail"})
    return [*items, UsageItem(quantity=Decimal(pictures), **words)]


def _holds(price: Price, response: ImageResponse, request: ImageRequest | None) -> bool:
    return all(
        _took_effect(field, response, request) in values for field, values in price.when.items()
    )


def _took_effect(
    field: Condition, response: ImageResponse, request: ImageRequest | None
) -> str | None:
    """What was asked for, else what the provider says of every picture."""
    if request is not None and (said := _said(request, field)):
        return said
    return _agreed(image.echo.get(field) for image in response.images)


def _agreed(values: Iterable[object]) -> str | None:
    found = set(map(str, values))
    return found.pop() if len(found) == 1 else None
