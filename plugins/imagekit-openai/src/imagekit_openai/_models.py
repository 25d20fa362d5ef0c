"""What is known of OpenAI's models, with the day it was looked up."""

from __future__ import annotations

import re
from datetime import date

from imagekit.provider import Allowed, SizeRule, Support

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

SHUT_DOWN = {
    "dall-e-2": date(2026, 5, 12),
    "dall-e-3": date(2026, 5, 12),
    "gpt-image-1": date(2026, 10, 23),
    "gpt-image-1-mini": date(2026, 12, 1),
    "gpt-image-1.5": date(2026, 12, 1),
    "chatgpt-image-latest": date(2026, 12, 1),
}

STANDARD = SizeRule(sizes=("1024x1024", "1536x1024", "1024x1536"))
FREE = SizeRule(multiple=16, high_edge=3840, ratio=3, low_pixels=655_360, high_pixels=8_294_400)


def size_rule(model: str) -> SizeRule | None:
    """The sizes that *model* makes; None for one that nobody here has heard of."""
    if model.startswith("gpt-image-2"):
        return FREE
    return STANDARD if model.startswith("gpt-image-1") else None


def ends(model: str) -> date | None:
    """The day *model* was or will be shut down; None where none is known."""
    return SHUT_DOWN.get(_undated(model))


def lifecycle(model: str) -> str:
    """Whether *model* is live, as of `AS_OF`."""
    day = ends(model)
    if day is None:
        return "released" if _undated(model) in MODELS else "unknown"
    return f"{'retired' if day <= AS_OF else 'shuts down'} {day.isoformat()}"


def _undated(model: str) -> str:
    """The model that a snapshot is of."""
    return re.sub(r"-\d{4}-\d{2}-\d{2}$", "", model)


def parameters() -> dict[str, Support]:
    """The fields of a request that both dialects have, whatever the model."""
    return {
        "seed": "no",
        "negative_prompt": "no",
        "output_compression": Allowed(low=0, high=100),
        "partial_images": Allowed(low=0, high=3),
        "user": "yes",
    }
