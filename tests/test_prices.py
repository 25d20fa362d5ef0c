from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

import imagekit
from imagekit import Estimate, ImageRequest, ImageResponse, Usage, UsageItem
from imagekit._capabilities import Source
from imagekit._money import costed, estimated
from imagekit._tables import patches, tables
from imagekit.provider import Capabilities, Expected, Flow, HttpResponse, Price, Prices
from imagekit.testing import play
from recordings import ABSENT, HOME, recorded

OPENAI = tables("imagekit_openai", "prices.toml")
SQUARE = {"quality": "low", "size": "1024x1024"}


def able(model: str = "gpt-image-2", *sections: str) -> Capabilities:
    """What OpenAI's own account knows of *model*."""
    return OPENAI.of(model, *sections, "openai")


def client(provider: str = "openai-images", **settings: Any) -> imagekit.Client:
    return imagekit.Client(provider=provider, api_key="sk-none", env={}, config=False, **settings)


def asked(prompt: str | None = "a cat", **fields: Any) -> ImageRequest:
    return ImageRequest(prompt=prompt, **fields)


def cost_of(usage: Usage | None, known: Capabilities, **how: Any) -> Decimal | None:
    """What *usage* comes to."""

    def flow() -> Flow:
        return ImageResponse(slots=(), usage=usage)
        yield

    cost = play(costed(flow(), known, **how)).response.cost
    return None if cost is None else cost.amount


def tokens(quantity: int, direction: Any, modality: str | None = None, **more: Any) -> UsageItem:
    return UsageItem(quantity=Decimal(quantity), direction=direction, modality=modality, **more)


# The data


def test_amounts_are_exact() -> None:
    assert Price(amount="0.25").amount == Decimal("0.25")  # type: ignore[arg-type]
    assert Price(amount=5).amount == Decimal(5)  # type: ignore[arg-type]
    for wrong in (0.25, True, "a lot", "nan", "-1", None):
        with pytest.raises(ValidationError):
            Price(amount=wrong)  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="whole one or a string"):
        Price(amount=0.25)  # type: ignore[arg-type]
    with pytest.raises(ValidationError):
        Price(amount=1, per=0)  # type: ignore[arg-type]


def test_a_condition_is_on_fields_that_prices_depend_on() -> None:
    one = Price(amount="1", when={"quality": "low", "size": ["a", "b"]})  # type: ignore[arg-type, dict-item]
    assert one.when == {"quality": ("low",), "size": ("a", "b")}
    for wrong in ({"kwality": "low"}, "low", {"quality": 1}):
        with pytest.raises(ValidationError):
            Price(amount="1", when=wrong)  # type: ignore[arg-type]


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValidationError, match="at least 2 and at most 1 cannot be"):
        Expected(low=Decimal(2), high=Decimal(1))
    with pytest.raises(ValidationError, match="what is free has no prices"):
        Prices(free=True, items=(Price(amount=Decimal(1)),))


def test_prices_go_to_json_and_back() -> None:
    prices = able().prices
    assert prices is not None
    assert Prices.model_validate_json(prices.model_dump_json()) == prices
    assert json.loads(prices.model_dump_json())["items"][1]["amount"] == "1.25"


@pytest.mark.parametrize(
    ("estimate", "words"),
    [
        (Estimate(), "cost unknown"),
        (Estimate(why="nobody says"), "cost unknown: nobody says"),
        (Estimate(low=Decimal(0), why="nobody says"), "cost unknown: nobody says"),
        (Estimate(low=Decimal("0.10"), why="so"), "USD 0.1 or more: so"),
        (Estimate(low=Decimal(0), high=Decimal(0)), "free"),
        (Estimate(low=Decimal("1.50"), high=Decimal("1.5"), currency="EUR"), "EUR 1.5"),
        (Estimate(high=Decimal(10)), "USD 0 to 10"),
        (Estimate(low=Decimal("1E+1"), high=Decimal(20)), "USD 10 to 20"),
    ],
)
def test_an_estimate_in_words(estimate: Estimate, words: str) -> None:
    assert str(estimate) == words
    assert repr(estimate) == f"<Estimate {words}>"
    assert estimate.known == (estimate.high is not None)


# What OpenAI charges


@pytest.mark.parametrize("model", OPENAI.names("openai"))
def test_each_price_has_a_source_and_a_day(model: str) -> None:
    known = client().capabilities(model)
    assert known.prices is not None
    assert known.prices.batch == Decimal("0.5")
    source = known.sources["prices"]
    assert source.text
    assert source.as_of is not None
    assert date(2026, 11, 1) <= source.as_of <= date(2026, 11, 20)
    estimate = estimated(asked(), known)
    assert (estimate.source, estimate.as_of) == (source.text, source.as_of)


@pytest.mark.parametrize("model", OPENAI.names("openai"))
def test_each_model_that_is_priced_is_one_that_is_known(model: str) -> None:
    assert client().capabilities(model).lifecycle.status() != "unknown"


def test_every_model_that_is_offered_is_priced() -> None:
    from imagekit_openai._models import live

    assert set(live()) <= set(OPENAI.names("openai"))


def test_prices_hold_at_openai_only() -> None:
    assert client().capabilities("gpt-image-2").prices is not None
    here = client(base_url="http://127.0.0.1:1/v1").capabilities("gpt-image-2")
    azure = client(settings={"azure": {"resource": "mine"}}).capabilities("gpt-image-2")
    assert here.prices is azure.prices is None


def test_what_a_conversation_costs_is_known_afterwards_at_best() -> None:
    known = client("openai-responses").capabilities("gpt-image-2")
    estimate = estimated(asked(**SQUARE), known)
    assert (estimate.low, estimate.high) == (Decimal("0.00588"), None)
    assert estimate.why == "how much the conversation model reads and writes is not known"
    picture = tokens(196, "output", "image")
    said = tokens(30, "output", "text", model="gpt-6.1-sol")
    assert cost_of(Usage(items=(picture,)), known) == Decimal("0.00588")
    assert cost_of(Usage(items=(picture, said)), known) is None


def test_a_snapshot_costs_what_its_model_does() -> None:
    assert able("gpt-image-2-2026-04-21").prices == able().prices


def test_no_price_is_made_up_for_a_model_nobody_knows() -> None:
    known = client().capabilities("gpt-image-3-mega")
    assert estimated(asked(), known).why == "no price of gpt-image-3-mega is known"
    known = client("openai-responses").capabilities("gpt-image-3-mega")
    assert estimated(asked(), known).why == "no price of gpt-image-3-mega is known"


# By their identifiers, the tokens that each of our prices is of.
_THEIRS = {
    ("input", "text", None): {"input_tokens": 1_000_000},
    ("input", "text", "cached"): {"input_tokens": 1_000_000, "cache_read_tokens": 1_000_000},
    ("input", "image", None): {"input_tokens": 1_000_000, "input_image_tokens": 1_000_000},
    ("output", "image", None): {"output_tokens": 1_000_000, "output_image_tokens": 1_000_000},
    ("output", "text", None): {"output_tokens": 1_000_000},
    ("output", None, None): {"output_tokens": 1_000_000},
}
# Their way to say how many of the tokens of pictures were cached is not documented.
_OURS_ALONE = {("input", "image", "cached")}


@pytest.mark.parametrize("model", OPENAI.names("openai"))
def test_prices_are_those_of_a_library_of_prices(model: str) -> None:
    genai_prices = pytest.importorskip("genai_prices", reason="genai-prices is not installed")
    if model.startswith("gpt-image-2.6"):
        with pytest.raises(LookupError):  # once it knows them, compare them too
            genai_prices.calc_price(genai_prices.Usage(), model, provider_id="openai")
        return
    prices = able(model).prices
    assert prices is not None
    compared = 0
    for ours in prices.items:
        kind = (ours.direction, ours.modality, ours.detail)
        if kind in _OURS_ALONE:
            continue
        usage = genai_prices.Usage(**_THEIRS[kind])
        theirs = genai_prices.calc_price(usage, model, provider_id="openai").total_price
        assert ours.amount / ours.per * 1_000_000 == theirs, kind
        compared += 1
    assert compared == 5


def told(name: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """What was asked and answered, of each recorded picture of a model that is priced."""
    for one in recorded(name):
        request, answer = one.asked_json, one.json if one.status == 200 else {}
        if request and "generations" in one.url and "usage" in answer:
            yield request, answer


RECORDED = [
    "0xPlaygrounds__rig/openai_additional_params_quality_reaches_the_api.yaml",
    "0xPlaygrounds__rig/openai_allowlisted_model_still_generates.yaml",
    "Azure__azure-sdk-assets/GptImage1Works__2025-04-25.json",
    "crmne__ruby_llm/image_basic_functionality_openai_gpt-image-1_can_paint_images__2026-08-19.yml",
    "pydantic__pydantic-ai/test_openai_gpt_image_2_generation_vcr__2026-07-21.yaml",
]


@pytest.mark.skipif(not HOME.exists(), reason=ABSENT)
@pytest.mark.parametrize("name", RECORDED)
def test_what_live_calls_took_is_within_what_is_expected(name: str) -> None:
    [(request, answer)] = told(name)
    usage = answer["usage"]
    known = able(request["model"])
    said = asked(
        request["prompt"], n=request.get("n", 1), **{one: request.get(one) for one in SQUARE}
    )
    spent = cost_of(
        Usage(
            items=(
                tokens(usage["input_tokens"], "input", "text"),
                tokens(usage["output_tokens"], "output", "image"),
            )
        ),
        known,
    )
    made = cost_of(Usage(items=(tokens(usage["output_tokens"], "output", "image"),)), known)
    estimate = estimated(said, known)
    assert spent is not None
    assert made is not None
    if request["size"] == "1280x720":
        assert "with quality 'low' and size '1280x720'" in estimate.why
        least = estimated(said.with_(size="1024x1024"), known).low
        assert least is not None
        assert least / 2 < made < least
    else:
        assert estimate.low is not None
        assert estimate.high is not None
        assert estimate.low <= made < spent <= estimate.high


@pytest.mark.skipif(not HOME.exists(), reason=ABSENT)
@pytest.mark.parametrize("name", RECORDED)
def test_what_live_calls_cost_is_what_a_library_of_prices_says(name: str) -> None:
    from imagekit_openai.images import decode

    genai_prices = pytest.importorskip("genai_prices", reason="genai-prices is not installed")
    [(request, answer)] = told(name)
    usage = answer["usage"]
    counted = genai_prices.Usage(
        input_tokens=usage["input_tokens"],
        output_tokens=usage["output_tokens"],
        output_image_tokens=usage["output_tokens"],
    )
    theirs = genai_prices.calc_price(counted, request["model"], provider_id="openai")

    def flow() -> Flow:
        said = asked(request["prompt"], model=request["model"], n=request.get("n", 1))
        return decode(HttpResponse(200, {}, json.dumps(answer).encode()), said)
        yield

    cost = play(costed(flow(), able(request["model"]))).response.cost
    assert (cost.amount, cost.currency, cost.kind) == (theirs.total_price, "USD", "estimated")


@pytest.mark.skipif(not HOME.exists(), reason=ABSENT)
@pytest.mark.parametrize(
    ("name", "prompt"),
    [
        (
            "alexrudall__ruby-openai/images_edit_multiple__2025-08-10.yml",
            "Create a collage from these images",
        ),
        ("crmne__ruby_llm/customizes_image_output__2025-05-05.yml", "turn the logo to green"),
    ],
)
def test_more_text_went_in_than_the_prompt_and_that_is_expected(name: str, prompt: str) -> None:
    usages = [one.json["usage"] for one in recorded(name) if one.status == 200]
    [took] = [usage["input_tokens_details"]["text_tokens"] for usage in usages]
    assert took > len(prompt)
    prices = able("gpt-image-1").prices
    assert prices is not None
    text = [one for one in prices.items if one.modality == "text" and one.detail is None]
    rows = [one for one in prices.expected if one.modality == "text"]
    known = Capabilities(prices=Prices(items=tuple(text), expected=tuple(rows)))
    high = estimated(asked(prompt), known).high
    assert high is not None
    assert took <= high / (text[0].amount / text[0].per)


# Whose word it is


def test_a_price_that_the_user_patches_is_the_users() -> None:
    flat = {"items": [{"unit": "image", "amount": "0.04"}], "expected": []}
    mine = patches({"openai": {"gpt-image-2": {"source": "our contract", "prices": flat}}}, {})
    known = mine.on(able(), "openai-images", None, "openai", "gpt-image-2")
    estimate = estimated(asked(n=3), known)
    assert str(estimate) == "USD 0.12"
    assert (estimate.source, estimate.as_of) == ("our contract", None)
    assert known.prices is not None
    assert known.prices.batch == Decimal("0.5")  # what a patch does not say stays


def test_a_patch_that_does_not_say_why_is_named_itself() -> None:
    flat = {"items": [{"unit": "image", "amount": "0.04"}], "expected": []}
    mine = patches({"openai": {"gpt-image-2": {"prices": flat}}}, {})
    known = mine.on(able(), "openai-images", None, "openai", "gpt-image-2")
    assert estimated(asked(), known).source == "capabilities="


def test_prices_may_say_themselves_where_they_are_from() -> None:
    prices = Prices(free=True, source="a page", as_of=date(2026, 1, 2))
    known = Capabilities(prices=prices, source="another", as_of=date(2025, 1, 1))
    estimate = estimated(asked(), known)
    assert (estimate.source, estimate.as_of) == ("a page", date(2026, 1, 2))
    known = Capabilities(
        prices=Prices(free=True), sources={"prices": Source(text="one", as_of=date(2024, 1, 1))}
    )
    estimate = estimated(asked(), known)
    assert (estimate.source, estimate.as_of) == ("one", date(2024, 1, 1))


def test_a_float_in_a_file_of_prices_is_refused() -> None:
    wrong = {"openai": {"gpt-image-2": {"prices": {"items": [{"amount": 0.04}]}}}}
    with pytest.raises(imagekit.ConfigurationError, match=r"amount: an exact number is"):
        patches(wrong, {})


def test_sketch_is_free() -> None:
    known = imagekit.Client(provider="sketch", env={}, config=False).capabilities()
    estimate = estimated(asked(n=5), known)
    assert (str(estimate), estimate.source) == ("free", "this package")


def test_estimates_add_up_where_both_are_known() -> None:
    one = Estimate(low=Decimal(1), high=Decimal(3), source="a")
    both = one + Estimate(low=Decimal(2), high=Decimal(4))
    assert (both.low, both.high, both.source) == (3, 7, "a")
    half = one + Estimate(low=Decimal(2), why="no table says it")
    assert (half.low, half.high, half.why) == (3, None, "no table says it")
    mixed = one + Estimate(low=Decimal(1), high=Decimal(1), currency="EUR")
    assert (mixed.high, mixed.why) == (None, "prices are in USD and in EUR")
