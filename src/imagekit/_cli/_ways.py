"""The options of how a call that makes pictures is made: budget, cache, fallback, manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import click

# The words of `fall_back_on`, which are known here before anything heavy is imported.
REASONS = ("rejected", "invalid", "unsupported", "authentication", "may_be_charged")


class _Amount(click.ParamType[Decimal]):
    """An amount of money."""

    name = "amount"

    def convert(
        self, value: Any, parameter: click.Parameter | None, context: click.Context | None
    ) -> Decimal:
        """*value* as an exact number."""
        try:
            amount = Decimal(value)
        except InvalidOperation:
            amount = Decimal("NaN")
        if not amount.is_finite() or amount < 0:
            self.fail(f"{value!r} is no amount, such as 5 or 0.25", parameter, context)
        return amount


def _in_order(
    context: click.Context, parameter: click.Parameter, names: Sequence[str]
) -> str | tuple[str, ...] | None:
    """Nobody, the one who is asked, or those who are asked in order."""
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise click.UsageError(f"-p names {twice!r} twice", context)
    return tuple(names) if len(names) > 1 else names[0] if names else None


several_providers = click.option(
    "-p", "--provider", multiple=True, callback=_in_order, metavar="NAME",
    help="Who makes it. The next -p is asked where the one before cannot be had, and is NAME or "
    "NAME:MODEL.  [default: $IMAGEKIT_PROVIDER]",
)  # fmt: skip

budget = (
    click.option(
        "--budget", type=_Amount(), metavar="AMOUNT",
        help="Send nothing that may cost more US dollars than that, or nobody knows how many.",
    ),
    click.option(
        "--allow-unknown-cost", is_flag=True, help="Within --budget, send it where nobody knows."
    ),
)  # fmt: skip

fallback = click.option(
    "--fall-back-on", multiple=True, type=click.Choice(REASONS),
    help="Ask the next -p for that reason too. May be repeated.",
)  # fmt: skip

# Of a call that is made here and now, in the order in which --help lists them.
ways = (
    *budget,
    click.option(
        "--cache/--no-cache", default=None, help="Take it from your cache; it is kept there."
    ),
    click.option("--refresh", is_flag=True, help="Make it anew; it is kept in your cache."),
    fallback,
    click.option(
        "--manifest", is_flag=True,
        help="Keep what it was made by, as NAME.png.json: replay makes it again.",
    ),
)  # fmt: skip


def check_budget(given: Mapping[str, Any]) -> None:
    """What goes without --budget goes without saying."""
    if given["allow_unknown_cost"] and given["budget"] is None:
        raise click.UsageError("--allow-unknown-cost wants --budget: how much is known to be fine?")


def check_ways(given: Mapping[str, Any], *, several: bool) -> None:
    """Raise for what contradicts itself; *several* are asked."""
    check_budget(given)
    if given["refresh"] and given["cache"] is False:
        raise click.UsageError("--refresh keeps what comes in the cache: leave --no-cache out")
    if given["fall_back_on"] and not several:
        raise click.UsageError("--fall-back-on wants another provider to ask: say -p once more")
    if given["manifest"] and given["output"] == "-":
        raise click.UsageError("--manifest stands beside its picture: -o is a file then, and not -")


def spending_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """The budget that was given, as a keyword of a call."""
    if given["budget"] is None:
        return {}
    from .._purse import Budget

    return {"budget": Budget(given["budget"], allow_unknown=given["allow_unknown_cost"])}


def ways_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """What was said of how a call is made, as its keywords."""
    said = spending_of(given)
    if given["refresh"] or given["cache"] is not None:
        said["cache"] = "refresh" if given["refresh"] else given["cache"]
    if given["fall_back_on"]:
        said["fall_back_on"] = given["fall_back_on"]
    if given.get("check_mask"):
        said["check_mask"] = True
    if given["manifest"]:
        said["keep_plan"] = True
    return said
