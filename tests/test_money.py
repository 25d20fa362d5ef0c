from __future__ import annotations

import contextlib
import threading
from decimal import Decimal
from typing import Any

import pytest

import imagekit
from imagekit import (
    Budget,
    BudgetExceededError,
    Cost,
    Estimate,
    Image,
    ImageFailure,
    ImageRequest,
    ImageResponse,
    ProviderError,
    RequestError,
    TransportError,
    Usage,
    UsageItem,
)
from imagekit._flow import Effects
from imagekit._money import costed, estimated
from imagekit._prices import Expected, Price, Prices
from imagekit._purse import Purse, budget_of, budgeted
from imagekit._response import CallRecord
from imagekit._retried import RetryPolicy, retried
from imagekit._split import split
from imagekit.provider import Capabilities, Flow, HttpRequest, gather, send, sleep
from imagekit.testing import json_response, play
from toys import Driver, picture

MILLION = Decimal(1_000_000)
SAID = Estimate(low=Decimal(1), high=Decimal(2))
UNSAID = Estimate(why="nobody says")
FREE = Estimate(low=Decimal(), high=Decimal())


def price(amount: str, direction: Any = None, modality: str | None = None, **more: Any) -> Price:
    return Price(
        amount=Decimal(amount), per=MILLION, direction=direction, modality=modality, **more
    )


def each(amount: str, **more: Any) -> Price:
    return Price(amount=Decimal(amount), unit="image", **more)


def row(low: int, high: int | None, direction: Any, modality: Any, **more: Any) -> Expected:
    most = None if high is None else Decimal(high)
    return Expected(low=Decimal(low), high=most, direction=direction, modality=modality, **more)


TOKENS = (
    price("5", "input", "text"),
    price("1", "input", "text", detail="cached"),
    price("30", "output", "image"),
    price("30", "output"),
)
EXPECTED = (
    row(0, 1, "input", "text", per="prompt"),
    row(0, 50, "input", "text"),
    row(0, None, "input", "image", per="input"),
    row(100, 100, "output", "image", per="preview"),
    row(200, 200, "output", "image", when={"quality": "low"}),
    row(900, 1000, "output", "image", when={"quality": ("medium", "high")}),
)


def able(*items: Price, **more: Any) -> Capabilities:
    return Capabilities(model="toy-1", prices=Prices(items=items, **more), source="toys")


TOY = able(*TOKENS, expected=EXPECTED, batch=Decimal("0.5"))


def asked(prompt: str | None = "a cat", **fields: Any) -> ImageRequest:
    return ImageRequest(prompt=prompt, **fields)


def item(
    quantity: int, direction: Any = None, modality: str | None = None, **more: Any
) -> UsageItem:
    return UsageItem(quantity=Decimal(quantity), direction=direction, modality=modality, **more)


def response(*items: UsageItem, pictures: int = 1, **more: Any) -> ImageResponse:
    slots = tuple(Image(data=picture(shade)) for shade in range(pictures))
    usage = Usage(items=items) if items else None
    return ImageResponse(**{"slots": slots, "usage": usage, **more})


def giving(outcome: Any) -> Flow:
    """A flow that ends so, without asking anything."""
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome
    yield


def cost_of(outcome: ImageResponse, known: Capabilities, **how: Any) -> Cost | None:
    found: Cost | None = play(costed(giving(outcome), known, **how)).response.cost
    return found


def dollars(amount: str, kind: Any = "reported", currency: str = "USD") -> Cost:
    return Cost(amount=Decimal(amount), kind=kind, currency=currency)


# Before the call


def test_what_a_call_may_cost_is_that_of_all_its_pictures() -> None:
    one = estimated(asked(quality="low"), TOY)
    assert one.low == 200 * 30 / MILLION
    assert one.high == (200 * 30 + (50 + 5) * 5) / MILLION
    four = estimated(asked(quality="low", n=4), TOY)
    assert four.low == one.low * 4
    assert four.high == one.high * 4
    assert (four.source, four.currency, four.why) == ("toys", "USD", "")


@pytest.mark.parametrize("quality", [None, "auto"])
def test_a_quality_left_to_the_provider_may_be_any(quality: str | None) -> None:
    estimate = estimated(asked(quality=quality), TOY)
    assert estimate.low == 200 * 30 / MILLION
    assert estimate.high == (1000 * 30 + 55 * 5) / MILLION


def test_a_quality_that_nobody_counted_is_unknown() -> None:
    estimate = estimated(asked(quality="max"), TOY)
    assert (estimate.low, estimate.high, estimate.known) == (0, None, False)
    assert estimate.why == (
        "how many output image tokens a picture of toy-1 with quality 'max' takes is not known"
    )


def test_previews_cost_when_they_are_streamed() -> None:
    still = estimated(asked(quality="low", partial_images=3, n=2), TOY)
    assert still == estimated(asked(quality="low", n=2), TOY)
    moving = estimated(asked(quality="low", partial_images=3, n=2), TOY, stream=True)
    assert still.high is not None
    assert moving.high == still.high + 6 * 100 * 30 / MILLION
    assert moving.low == still.low  # fewer may come
    assert estimated(asked(quality="low", n=2), TOY, stream=True) == still


def test_a_prompt_costs_at_most_its_bytes() -> None:
    def high(prompt: str, **more: Any) -> Decimal:
        found = estimated(asked(prompt, quality="low", **more), TOY).high
        assert found is not None
        return found

    assert high("ää") - high("aa") == 2 * 5 / MILLION
    assert high("aa", negative_prompt="bbb") - high("aa") == 3 * 5 / MILLION
    assert high("aaaa", n=2) - high("aa", n=2) == 2 * 2 * 5 / MILLION


def test_input_pictures_are_unknown_without_a_bound() -> None:
    edit = asked(images=picture(), quality="low")
    words = "how many input image tokens an input picture of toy-1 takes is not known"
    assert estimated(edit, TOY).why == words
    known = able(
        *TOKENS,
        price("8", "input", "image"),
        expected=(*EXPECTED[:2], row(10, 100, "input", "image", per="input"), *EXPECTED[3:]),
    )
    plain = estimated(asked(quality="low"), known)
    masked = asked(
        images=[picture(), picture()],
        mask=imagekit.Mask(image=picture(), edit_where="white"),
        quality="low",
        n=2,
    )
    assert plain.low is not None
    assert plain.high is not None
    assert estimated(edit, known).low == plain.low + 10 * 8 / MILLION
    assert estimated(edit, known).high == plain.high + 100 * 8 / MILLION
    assert estimated(masked, known).high == 2 * (plain.high + 3 * 100 * 8 / MILLION)
    state = imagekit.State(provider="toy", payload={})
    assert estimated(asked(state=state, quality="low"), known).low == plain.low + 10 * 8 / MILLION


def test_the_cheapest_and_the_dearest_kind_of_a_token_bound_it() -> None:
    known = able(*TOKENS[:2], expected=(row(10, 10, "input", "text"),))
    estimate = estimated(asked(), known)
    assert (estimate.low, estimate.high) == (10 * 1 / MILLION, 10 * 5 / MILLION)
    only = able(*TOKENS[:2], expected=(row(10, 10, "input", "text", detail="cached"),))
    estimate = estimated(asked(), only)
    assert (estimate.low, estimate.high) == (10 * 1 / MILLION, 10 * 1 / MILLION)


def test_a_batch_has_a_factor_or_is_unknown() -> None:
    one, in_batch = estimated(asked(), TOY), estimated(asked(), TOY, batch=True)
    assert one.low is not None
    assert one.high is not None
    assert (in_batch.low, in_batch.high) == (one.low / 2, one.high / 2)
    known = able(each("0.04"))
    assert estimated(asked(), known).high == Decimal("0.04")
    assert estimated(asked(), known, batch=True) == Estimate(
        why="what a batch of toy-1 costs is not known", source="toys"
    )


def test_a_flat_price_is_of_each_picture() -> None:
    known = able(
        each("0.04", direction="output", when={"quality": "low", "size": "512x512"}),
        each("0.08", direction="output", when={"quality": "high"}),
        currency="EUR",
    )
    assert str(estimated(asked(n=3, quality="high"), known)) == "EUR 0.24"
    assert str(estimated(asked(n=3), known)) == "EUR 0.12 to 0.24"
    other = estimated(asked(quality="low", size="64x64"), known)
    assert (other.low, other.why) == (0, "what output images of toy-1 cost is not known")


def test_what_is_priced_and_not_expected_is_unknown() -> None:
    estimate = estimated(asked(), able(price("5", "input", "text")))
    assert (estimate.low, estimate.high) == (0, None)
    assert estimate.why == "how many input text tokens a call to toy-1 takes is not known"
    of_another = price("2", "output", "text", model="author-1")
    estimate = estimated(asked(model="toy-2"), able(*TOKENS, of_another, expected=EXPECTED))
    assert estimate.why == (
        "how many output text tokens of author-1 a call to toy-2 takes is not known"
    )


def test_a_price_of_no_modality_is_expected_by_itself_where_none_says_one() -> None:
    known = able(price("5", "input"), price("30", "output", "image"), price("30", "output"))
    assert estimated(asked(), known).why == (
        "how many input tokens a call to toy-1 takes is not known; "
        "how many output image tokens a call to toy-1 takes is not known"
    )


def test_what_cannot_be_bounded_is_unknown_in_its_own_words() -> None:
    known = able(*TOKENS, expected=EXPECTED, unbounded=("how long it thinks",))
    estimate = estimated(asked(quality="low"), known)
    assert (estimate.low, estimate.high) == (200 * 30 / MILLION, None)
    assert estimate.why == "how long it thinks is not known"
    said = row(7, None, "output", "image", why="it depends")
    assert estimated(asked(), able(*TOKENS[2:], expected=(said,))).why == "it depends"
    assert estimated(asked(), able(*TOKENS[2:], expected=(said,))).low == 7 * 30 / MILLION


@pytest.mark.parametrize("known", [Capabilities(), able()])
def test_no_price_is_no_price_of_nothing(known: Capabilities) -> None:
    assert estimated(asked(model="toy-9"), known).why == "no price of toy-9 is known"
    unnamed = estimated(asked(), Capabilities())
    assert (unnamed.low, unnamed.high) == (None, None)
    assert unnamed.why == "no price of this model is known"


def test_what_is_free_costs_nothing() -> None:
    assert str(estimated(asked(n=9), able(free=True), batch=True)) == "free"


# After the call


def test_a_cost_that_is_reported_stands() -> None:
    said = dollars("0.5")
    assert cost_of(response(item(10, "input", "text"), cost=said), TOY) is said


def test_usage_is_priced_item_by_item() -> None:
    used = response(
        item(10, "input", "text"),
        item(4, "input", "text", detail="cached"),
        item(100, "output", "image"),
        item(20, "output"),
        item(0, "output", "text"),
    )
    cost = cost_of(used, TOY)
    assert cost is not None
    assert cost.amount == (10 * 5 + 4 * 1 + 120 * 30) / MILLION
    assert (cost.kind, cost.currency, cost.source) == ("estimated", "USD", "toys")
    in_batch = cost_of(used, TOY, batch=True)
    assert in_batch is not None
    assert in_batch.amount == cost.amount / 2


@pytest.mark.parametrize(
    "stray",
    [
        item(1, "input"),
        item(1, "input", "image"),
        item(1, "output", "text", detail="reasoning"),
        item(1, "output", "image", detail="cached"),
        item(1, "output", "image", model="author-1"),
        item(1, "output", "image", unit="second"),
        item(1),
    ],
)
def test_one_item_without_a_price_leaves_the_whole_unknown(stray: UsageItem) -> None:
    assert cost_of(response(item(10, "output", "image"), stray), TOY) is None


def test_another_models_tokens_cost_what_the_data_says_of_it() -> None:
    known = able(*TOKENS, price("2", "output", "text", model="author-1"))
    used = response(item(5, "output", "text", model="author-1"), item(10, "output", "image"))
    cost = cost_of(used, known)
    assert cost is not None
    assert cost.amount == (5 * 2 + 10 * 30) / MILLION


def test_two_prices_for_one_thing_are_none() -> None:
    known = able(*TOKENS, price("31", "output", "image"))
    assert cost_of(response(item(10, "output", "image")), known) is None


@pytest.mark.parametrize(
    "known", [Capabilities(), able(), able(*TOKENS)], ids=["no prices", "empty", "no usage"]
)
def test_nothing_known_is_not_nothing_paid(known: Capabilities) -> None:
    assert cost_of(response(), known) is None
    assert cost_of(response(item(0, "output", "image")), known) is None


def test_a_batch_of_unknown_factor_costs_nobody_knows_what() -> None:
    assert cost_of(response(item(1, "output", "image")), able(*TOKENS), batch=True) is None


def test_what_is_free_is_known_to_cost_nothing() -> None:
    cost = cost_of(response(), able(free=True))
    assert cost is not None
    assert (cost.amount, cost.kind, cost.source) == (0, "estimated", "toys")


FLAT = able(
    each("0.04", direction="output", when={"quality": "low"}),
    each("0.08", direction="output", when={"quality": "high"}),
)


def echoing(*qualities: str | None) -> ImageResponse:
    return ImageResponse(
        slots=tuple(
            Image(data=picture(shade), echo={"quality": said} if said else {})
            for shade, said in enumerate(qualities)
        )
    )


def amount(cost: Cost | None) -> Decimal | None:
    return None if cost is None else cost.amount


@pytest.mark.parametrize(
    ("quality", "echoes", "paid"),
    [
        ("low", [None, None], "0.08"),
        ("low", ["high"], "0.04"),  # an echo may lie
        ("auto", ["high", "high"], "0.16"),
        (None, ["high"], "0.08"),
        (None, ["high", "low"], None),
        (None, ["high", None], None),
        (None, [None], None),
        ("max", [None], None),
    ],
)
def test_a_flat_price_is_that_of_what_took_effect(
    quality: str | None, echoes: list[str | None], paid: str | None
) -> None:
    cost = cost_of(echoing(*echoes), FLAT, request=asked(quality=quality))
    assert amount(cost) == (None if paid is None else Decimal(paid))
    if quality is None:
        assert cost_of(echoing(*echoes), FLAT) == cost


def test_a_picture_that_is_counted_is_not_counted_twice() -> None:
    known = able(each("0.04", direction="output"))
    counted = response(item(3, "output", unit="image"), pictures=1)
    assert amount(cost_of(counted, known)) == Decimal("0.12")
    both = able(each("0.04", direction="output"), *TOKENS)
    used = response(item(10, "output", "image"), pictures=2)
    assert amount(cost_of(used, both)) == Decimal("0.08") + 300 / MILLION


def test_tokens_that_are_counted_need_no_price_where_pictures_alone_are_paid_for() -> None:
    used = response(item(10, "output", "image"), pictures=2)
    assert amount(cost_of(used, able(each("0.04")))) == Decimal("0.08")
    assert cost_of(used, able(each("0.04"), price("5", "input", "text"))) is None


def test_input_pictures_may_have_a_flat_price_too() -> None:
    known = able(each("0.04", direction="output"), each("0.01", direction="input"))
    edit = asked(images=[picture(), picture()], n=2)
    assert str(estimated(asked(n=2), known)) == "USD 0.08"
    assert str(estimated(edit, known)) == "USD 0.08 to 0.12"
    assert amount(cost_of(response(), known, request=asked())) == Decimal("0.04")
    for request in (edit, None):
        assert cost_of(response(), known, request=request) is None
    told = response(item(2, "input", unit="image"), pictures=2)
    assert amount(cost_of(told, known, request=edit)) == Decimal("0.10")
    assert amount(cost_of(told, known)) == Decimal("0.10")


def test_a_picture_that_failed_may_have_cost_a_flat_price() -> None:
    known = able(each("0.04"))
    lost = ImageFailure(kind="failed", reason="x", billed="possibly")
    free = ImageFailure(kind="refused", reason="x", billed="no")
    good = Image(data=picture())
    assert cost_of(ImageResponse(slots=(good, lost)), known) is None
    assert amount(cost_of(ImageResponse(slots=(good, free)), known)) == Decimal("0.04")
    both = able(each("0.04"), *TOKENS)
    used = response(item(10, "output", "image"))
    assert cost_of(used.model_copy(update={"slots": (good, lost)}), both) is None


def test_what_an_error_carries_is_costed_too() -> None:
    error = ProviderError("no", billed="yes")
    error.response = response(item(10, "output", "image"), pictures=0)
    with pytest.raises(ProviderError) as raised:
        play(costed(giving(error), TOY))
    assert raised.value.response is not None
    assert amount(raised.value.response.cost) == 300 / MILLION
    with pytest.raises(ProviderError) as raised:
        play(costed(giving(ProviderError("no")), TOY))
    assert raised.value.response is None


def test_each_part_of_a_split_call_is_costed_and_they_are_summed() -> None:
    def make(part: ImageRequest) -> Flow:
        used = response(item(part.n, "output", "image"), pictures=part.n)
        return costed(giving(used), TOY, part)

    assert amount(play(split(asked(n=5), 2, make)).response.cost) == 150 / MILLION


def call_of(
    *items: UsageItem, images: int = 1, billed: Any = None, cost: Cost | None = None
) -> CallRecord:
    return CallRecord(n=1, images=images, usage=Usage(items=items), billed=billed, cost=cost)


@pytest.mark.parametrize(
    ("calls", "paid"),
    [
        ([call_of(item(10, "output", "image"))] * 2, "600"),
        ([call_of(item(10, "output", "image")), call_of()], None),
        ([call_of(item(10, "output", "image")), call_of(billed="possibly")], None),
        ([call_of(item(10, "output", "image")), call_of(billed="no")], "300"),
        (
            [call_of(item(10, "output", "image")), call_of(cost=dollars("1", "estimated"))],
            "1000300",
        ),
        ([call_of(item(10, "output", "image")), call_of(cost=dollars("1"))], None),
        ([call_of(billed="no")], None),
    ],
)
def test_calls_that_a_provider_merged_itself_are_each_priced(
    calls: list[CallRecord], paid: str | None
) -> None:
    # Their usage together may lack that of the one that reported none.
    used = response(item(20, "output", "image"), calls=tuple(calls))
    found = play(costed(giving(used), TOY)).response
    assert amount(found.cost) == (None if paid is None else Decimal(paid) / MILLION)
    assert [one.usage for one in found.calls] == [one.usage for one in calls]
    assert amount(found.calls[0].cost) == (300 / MILLION if calls[0].billed is None else None)


def test_a_call_that_failed_may_have_cost_a_flat_price() -> None:
    used = response(calls=(call_of(images=2), call_of(images=0, billed="no")))
    assert amount(cost_of(used, able(each("0.04")))) == Decimal("0.08")
    used = response(calls=(call_of(images=2), call_of(images=0, billed="possibly")))
    assert cost_of(used, able(each("0.04"))) is None


# Budgets


def test_a_budget_is_given_in_many_ways() -> None:
    five = Budget("5.00")
    assert five == Budget(5) == Budget(amount=Decimal(5)) == Budget(5.0)
    assert Budget(0.1).amount == Decimal("0.1")
    assert (five.currency, five.allow_unknown) == ("USD", False)
    assert Budget(5, "EUR", allow_unknown=True).currency == "EUR"
    assert Budget.model_validate_json(five.model_dump_json()) == five
    assert (str(five), repr(five)) == ("USD 5", "<Budget USD 5>")
    assert repr(Budget(5, allow_unknown=True)) == "<Budget USD 5 or unknown>"
    assert budget_of(five) is five
    assert budget_of(None) is None
    for given in (5, 5.0, "5", Decimal(5)):
        assert budget_of(given) == five


@pytest.mark.parametrize("wrong", ["much", "", "-1", -1, True, b"5", "nan", float("inf"), []])
def test_what_is_no_budget_is_refused(wrong: Any) -> None:
    with pytest.raises(RequestError, match="a budget is an amount") as raised:
        budget_of(wrong)
    assert raised.value.billed == "no"


def test_a_budget_in_data_is_strict() -> None:
    with pytest.raises(ValueError, match="Extra inputs"):
        Budget.model_validate({"amount": "5", "curency": "EUR"})
    with pytest.raises(ValueError, match="greater than or equal"):
        Budget(-1)


class Asking:
    """A flow that asks once, and knows whether it did."""

    def __init__(self, outcome: Any) -> None:
        self.outcome = outcome
        self.begun = 0

    def __call__(self) -> Flow:
        self.begun += 1
        yield from send(HttpRequest("POST", "/pictures"))
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


def spent_on(
    outcome: Any,
    estimate: Estimate = SAID,
    client: Budget | None = None,
    call: Budget | None = None,
    purse: Purse | None = None,
) -> Purse:
    """The purse after a call that ended so, whatever it ended in."""
    purse = purse or Purse()
    flow = Asking(outcome)()
    with contextlib.suppress(ProviderError, TransportError, KeyboardInterrupt, ZeroDivisionError):
        play(budgeted(flow, purse, client, call, estimate), json_response({}))
    return purse


def stopped(
    estimate: Estimate,
    client: Budget | None = None,
    call: Budget | None = None,
    purse: Purse | None = None,
) -> BudgetExceededError:
    """The error of a call that is stopped before anything of it is begun."""
    purse = purse or Purse()
    before = purse.spent
    flow = Asking(response())
    with pytest.raises(BudgetExceededError) as raised:
        play(budgeted(flow(), purse, client, call, estimate))
    assert flow.begun == 0
    assert raised.value.billed == "no"
    assert raised.value.estimate is estimate
    assert purse.spent == before
    return raised.value


def test_a_call_that_fits_its_budget_to_the_cent_is_made() -> None:
    purse = spent_on(response(cost=dollars("1.5")), SAID, Budget(2), Budget(2))
    assert purse.spent.reported == {"USD": Decimal("1.5")}


def test_a_call_that_may_cost_more_than_its_budget_is_stopped() -> None:
    budget = Budget("1.99")
    error = stopped(SAID, call=budget)
    assert error.budget is budget
    assert str(error) == (
        "the call may cost USD 2, and the call's budget is USD 1.99; nothing was sent: ask for "
        "less, or raise it"
    )


def test_a_call_that_may_cost_more_than_is_left_is_stopped() -> None:
    purse, budget = Purse(), Budget(3)
    spent_on(response(cost=dollars("1.5")), SAID, budget, purse=purse)
    assert str(stopped(SAID, budget, purse=purse)) == (
        "the call may cost USD 2, and the client's budget is USD 3, of which 1.5 is left; nothing "
        "was sent: ask for less, or raise it"
    )
    spent_on(response(cost=dollars("1.5")), Estimate(high=Decimal("1.5")), budget, purse=purse)
    assert purse.spent.total() == 3


def test_a_call_of_unknown_cost_is_stopped_unless_the_budget_allows_it() -> None:
    assert str(stopped(UNSAID, call=Budget(5))) == (
        "what the call may cost is unknown (nobody says), and the call's budget of USD 5 has to "
        "hold; nothing was sent: give it allow_unknown=True to let such calls pass"
    )
    assert "unknown, and the client's" in str(stopped(Estimate(), Budget(5)))
    assert spent_on(response(), UNSAID, call=Budget(5, allow_unknown=True)).spent.unknown == 1
    stopped(UNSAID, Budget(5), Budget(5, allow_unknown=True))
    assert spent_on(response(), UNSAID).spent.calls == 1


def test_another_currency_is_unknown() -> None:
    error = stopped(SAID, call=Budget(5, "EUR"))
    assert "unknown (its price is in USD)" in str(error)
    purse = spent_on(response(cost=dollars("1")), SAID, Budget(5, "EUR", allow_unknown=True))
    assert purse.spent.total() == 1
    assert purse.spent.total("EUR") == 0


def test_what_was_spent_in_another_currency_leaves_the_budget_alone() -> None:
    euros = Estimate(high=Decimal(90), currency="EUR")
    purse = spent_on(response(cost=dollars("90", currency="EUR")), euros)
    purse.reserve(euros)
    spent_on(response(cost=dollars("2")), SAID, Budget(2), purse=purse)
    assert (purse.spent.total(), purse.spent.total("EUR")) == (2, 90)
    stopped(euros, Budget(269, "EUR"), purse=purse)


def test_a_used_up_budget_lets_nothing_unknown_pass_either() -> None:
    purse, budget = Purse(), Budget(2, allow_unknown=True)
    spent_on(response(cost=dollars("2")), SAID, budget, purse=purse)
    assert "the call may cost USD 0 or more" in str(stopped(UNSAID, budget, purse=purse))
    least = Estimate(low=Decimal(3), why="so")
    assert "USD 3 or more, and" in str(stopped(least, call=budget))
    assert "of which 0 is left" in str(stopped(UNSAID, Budget(1, allow_unknown=True), purse=purse))


def test_a_budget_is_the_callers_to_raise() -> None:
    from imagekit._cli._faults import exit_code

    error = stopped(SAID, call=Budget(1))
    assert isinstance(error, RequestError)
    assert exit_code(error) == 2
    bare = BudgetExceededError("too dear")
    assert (bare.estimate, bare.budget, bare.billed) == (None, None, None)


def test_what_is_free_passes_any_budget() -> None:
    purse = spent_on(response(cost=dollars("2")))
    purse = spent_on(response(), FREE, Budget(1), Budget(0), purse=purse)
    purse = spent_on(TransportError("x", billed="possibly"), FREE, Budget(0, "EUR"), purse=purse)
    assert (purse.spent.unknown, purse.spent.calls, purse.spent.total()) == (0, 3, 2)
    purse = spent_on(response(cost=dollars("0", "estimated")), FREE, Budget(0))
    assert str(purse.spent) == "1 call, 1 image"


def test_an_unknown_cost_counts_with_its_highest_estimate() -> None:
    purse = spent_on(response(), SAID)
    assert purse.spent.unknown == 1
    assert purse.spent.total() == 0
    stopped(SAID, Budget("3.99"), purse=purse)
    spent_on(response(cost=dollars("1")), SAID, Budget(4), purse=purse)


@pytest.mark.parametrize(
    ("outcome", "calls", "unknown"),
    [
        (ProviderError("no", billed="no"), 0, 0),
        (ProviderError("no", billed="possibly"), 1, 1),
        (ProviderError("no", billed="yes"), 1, 1),
        (TransportError("no"), 1, 1),
        (KeyboardInterrupt(), 1, 1),
        (ZeroDivisionError(), 1, 1),
    ],
)
def test_a_call_that_failed_counts_where_it_may_have_cost(
    outcome: BaseException, calls: int, unknown: int
) -> None:
    purse = spent_on(outcome, SAID, Budget(2))
    assert (purse.spent.calls, purse.spent.unknown) == (calls, unknown)
    if calls:
        stopped(SAID, Budget(2), purse=purse)
    else:
        spent_on(response(cost=dollars("2")), SAID, Budget(2), purse=purse)


def test_an_error_that_carries_its_cost_counts_with_that() -> None:
    error = ProviderError("no", billed="yes")
    error.response = response(cost=dollars("0.75", "estimated"), pictures=0)
    purse = spent_on(error)
    assert purse.spent.estimated == {"USD": Decimal("0.75")}
    assert (purse.spent.calls, purse.spent.unknown, purse.spent.images) == (1, 0, 0)


def record(cost: str | None, billed: Any = None, kind: Any = "estimated") -> CallRecord:
    return CallRecord(n=1, images=1, cost=cost and dollars(cost, kind), billed=billed)


def test_the_requests_of_a_call_say_what_the_whole_does_not() -> None:
    calls = (record("0.25"), record("0.5", kind="reported"), record(None, "no"))
    purse = spent_on(response(calls=calls, pictures=2), SAID)
    assert purse.spent.estimated == {"USD": Decimal("0.25")}
    assert purse.spent.reported == {"USD": Decimal("0.5")}
    assert (purse.spent.unknown, purse.spent.images) == (0, 2)


def test_a_part_that_may_have_cost_is_presumed_to_have_cost_the_rest() -> None:
    purse = spent_on(response(calls=(record("0.25"), record("0.5"), record(None, "possibly"))))
    assert purse.spent.estimated == {"USD": Decimal("0.75")}
    assert purse.spent.unknown == 1
    stopped(SAID, Budget("3.99"), purse=purse)  # 2 of the first call, known or not, and 2 of this
    purse.reserve(SAID, Budget(4))
    dearer = spent_on(response(calls=(record("7"), record(None))))
    assert dearer.spent.total() == 7
    stopped(SAID, Budget("8.99"), purse=dearer)
    dearer.reserve(SAID, Budget(9))


def test_a_part_in_another_currency_is_no_part_of_what_is_presumed() -> None:
    euros = CallRecord(n=1, images=1, cost=dollars("100", currency="EUR"))
    purse = spent_on(response(calls=(euros, record(None))))
    stopped(SAID, Budget("3.99"), purse=purse)
    purse.reserve(SAID, Budget(4))


def test_parts_that_all_cost_nothing_are_nothing() -> None:
    error = ProviderError("no", billed="possibly")
    error.response = response(calls=(record(None, "no"), record(None, "no")), pictures=0)
    assert spent_on(error).spent == imagekit.Totals()


def test_whoever_leaves_early_may_have_left_something_that_costs() -> None:
    purse = Purse()
    flow = budgeted(Asking(response())(), purse, None, None, SAID)
    next(flow)
    flow.close()
    assert (purse.spent.calls, purse.spent.unknown) == (1, 1)
    unbegun = budgeted(Asking(response())(), purse, None, None, SAID)
    unbegun.close()
    assert purse.spent.calls == 1


def test_a_retry_inside_of_a_call_is_no_second_reservation() -> None:
    purse, asking = Purse(), Asking(response(cost=dollars("2")))
    flow = retried(asking(), RetryPolicy(base=0))
    busy = json_response({}, 503)
    played = play(budgeted(flow, purse, Budget(2), None, SAID), busy, busy, json_response({}))
    assert len(played.requests) == 3
    assert purse.spent.total() == 2


def test_what_is_learnt_later_takes_the_place_of_what_was_presumed() -> None:
    purse = Purse()
    held = purse.reserve(SAID, Budget(2))
    purse.settle(held, None)  # a job that goes on
    assert (purse.spent.unknown, purse.spent.calls) == (1, 1)
    stopped(SAID, Budget("3.99"), purse=purse)
    purse.settle(held, response(cost=dollars("0.5")))
    assert (purse.spent.unknown, purse.spent.calls, purse.spent.total()) == (0, 1, Decimal("0.5"))
    purse.reserve(SAID, Budget("2.5"))


def test_a_reservation_is_no_spending_yet() -> None:
    purse = Purse()
    purse.reserve(SAID)
    assert purse.spent == imagekit.Totals()
    stopped(SAID, Budget("3.99"), purse=purse)
    purse.reserve(UNSAID)


# Two at once


def test_two_threads_do_not_both_pass_a_budget_that_one_of_them_fits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    purse, budget = Purse(), Budget(3)
    both = threading.Barrier(2)
    looked = purse._committed

    def slowly(currency: str) -> Decimal:
        """Look, and wait for the other to look too, which it must not be able to."""
        found = looked(currency)
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(timeout=0.2)
        return found

    monkeypatch.setattr(purse, "_committed", slowly)
    passed: list[bool] = []

    def one() -> None:
        try:
            purse.reserve(SAID, budget)
        except BudgetExceededError:
            passed.append(False)
        else:
            passed.append(True)

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(passed) == [False, True]


@pytest.mark.parametrize("colour", ["sync", "asyncio", "trio"])
def test_of_calls_at_once_as_many_pass_as_the_budget_holds(colour: str) -> None:
    purse, budget = Purse(), Budget(5)

    def one() -> Flow:
        yield from sleep(0.05)
        return response(cost=dollars("2"))

    def all_of_them() -> Effects[Any]:
        flows = [budgeted(one(), purse, budget, None, SAID) for _ in range(6)]
        return (yield from gather(flows))

    outcomes = Driver(colour).do(all_of_them())
    kinds = sorted(type(outcome).__name__ for outcome in outcomes)
    assert kinds == ["BudgetExceededError"] * 4 + ["ImageResponse"] * 2
    assert (purse.spent.total(), purse.spent.calls) == (4, 2)


def test_calls_that_overlap_hold_their_money_until_they_end() -> None:
    purse, budget = Purse(), Budget(3)
    first = budgeted(Asking(response(cost=dollars("0.5")))(), purse, budget, None, SAID)
    next(first)
    stopped(SAID, budget, purse=purse)
    with pytest.raises(StopIteration):
        first.send(json_response({}))
    spent_on(response(cost=dollars("0.5")), SAID, budget, purse=purse)
    assert purse.spent.total() == 1


# Totals


def test_totals_in_words() -> None:
    purse = Purse()
    assert repr(purse.spent) == "<Totals: 0 calls, 0 images>"
    spent_on(response(cost=dollars("0.25", "estimated")), purse=purse)
    assert str(purse.spent) == "1 call, 1 image, USD 0.25 (estimated)"
    spent_on(response(cost=dollars("1.00"), pictures=2), purse=purse)
    spent_on(response(cost=dollars("3", currency="EUR")), purse=purse)
    spent_on(response(), purse=purse)
    assert str(purse.spent) == (
        "4 calls, 5 images, EUR 3, USD 1.25 (0.25 of it estimated), 1 of unknown cost"
    )
    assert imagekit.Totals.model_validate_json(purse.spent.model_dump_json()) == purse.spent


def test_totals_are_a_picture_of_their_moment() -> None:
    purse = spent_on(response(cost=dollars("1")))
    before = purse.spent
    spent_on(response(cost=dollars("1")), purse=purse)
    assert (before.total(), purse.spent.total()) == (1, 2)
