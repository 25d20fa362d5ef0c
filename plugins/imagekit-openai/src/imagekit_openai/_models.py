"""What is known of OpenAI's models: the tables that this package ships, and the default models."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import cache

from imagekit.provider import tables

from ._constants import Keeper

# Sent, and shown in the response, when a call names no model: the defaults on the other side
# differ from document to document, and change.
IMAGE_MODEL = "gpt-image-2.6-sunburst"
CONVERSATION_MODEL = "gpt-6.1-sol"

TABLES = tables("imagekit_openai", "capabilities.toml", "prices.toml")
CALENDARS: Mapping[Keeper, str] = {"OpenAI": "openai", "Azure": "azure"}


def live() -> tuple[str, ...]:
    """The models that OpenAI has not shut down yet; what is a snapshot of one is not listed."""
    section = CALENDARS["OpenAI"]
    named = TABLES.names(section)
    return tuple(one for one in named if TABLES.of(one, section).lifecycle.status() != "retired")


@cache
def shut_down() -> Mapping[Keeper, Mapping[str, date]]:
    """The day a model was or will be shut down, where one is known; a snapshot goes with it."""
    found: dict[Keeper, dict[str, date]] = {}
    for keeper, section in CALENDARS.items():
        days = {one: TABLES.of(one, section).lifecycle.shuts_down for one in TABLES.names(section)}
        found[keeper] = {one: day for one, day in days.items() if day is not None}
    return found
