"""What is known of OpenAI's models, with the day it was looked up."""

from __future__ import annotations

import re
from datetime import date, timedelta

from imagekit.provider import Allowed, SizeRule, Support

from ._constants import SHUT_DOWN, Keeper

# From the types of the official Python SDK 3.52.0 (2026-11-16) and OpenAI's deprecations page.
AS_OF = date(2026, 11, 20)
SOURCE = "openai 3.52.0 for Python and OpenAI's deprecations page"

# Sent, and shown in the response, when a call names no model: the defaults on the other side
# differ from document to document, and change.
IMAGE_MODEL = "gpt-image-2.6-sunburst"
CONVERSATION_MODEL = "gpt-6.1-sol"

MODELS = (
    "gpt-image-2.6-sunburst",
    "gpt-image-2.6-flare",
    "gpt-image-2.5-sunburst",
    "gpt-image-2.5-flare",
    "gpt-image-2",
    "gpt-image-1.5",
    "gpt-image-1-mini",
    "chatgpt-image-latest",
)

# Microsoft's documentation, and for the calendar the prices of litellm.
AZURE_SOURCE = "Microsoft's documentation of 2026-04-17 and litellm 1.109.1"

# What ends later than that is no news yet.
NEAR = timedelta(days=183)

STANDARD = SizeRule(sizes=("1024x1024", "1536x1024", "1024x1536"))
FREE = SizeRule(multiple=16, high_edge=3840, ratio=3, low_pixels=655_360, high_pixels=8_294_400)


def size_rule(model: str) -> SizeRule | None:
    """The sizes that *model* makes; None for one that nobody here has heard of."""
    if model.startswith("gpt-image-2"):
        return FREE
    return STANDARD if model.startswith("gpt-image-1") else None


def ends(model: str, keeper: Keeper = "OpenAI") -> date | None:
    """The day *keeper* shut *model* down, or will; None where none is known."""
    return SHUT_DOWN[keeper].get(_undated(model))


def lifecycle(model: str, keeper: Keeper = "OpenAI") -> str:
    """Whether *model* is live, as of `AS_OF`."""
    day = ends(model, keeper)
    if day is None:
        return "released" if _undated(model) in MODELS else "unknown"
    return f"{'retired' if day <= AS_OF else 'shuts down'} {day.isoformat()}"


def _undated(model: str) -> str:
    """The model that a snapshot is of."""
    return re.sub(r"-\d{4}-\d{2}-\d{2}$", "", model)


def parameters(keeper: Keeper | None = None) -> dict[str, Support]:
    """The fields of a request that both dialects have, whatever the model, at its *keeper*'s."""
    azure: dict[str, Support] = {"output_format": Allowed(values=("png", "jpeg"))}
    return {
        **(azure if keeper == "Azure" else {}),
        "seed": "no",
        "negative_prompt": "no",
        "output_compression": Allowed(low=0, high=100),
        "partial_images": Allowed(low=0, high=3),
        "user": "yes",
    }
