"""The values that OpenAI's image APIs know, for editors to complete; a new one is never refused.

From the types of the official Python SDK 3.52.0 (2026-11-16), without what only retired models
had; the retired models themselves are listed, for whoever meets their names.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Literal, TypeAlias, get_args

ImageModel: TypeAlias = Literal[
    "gpt-image-2.6-sunburst",
    "gpt-image-2.6-flare",
    "gpt-image-2.5-sunburst",
    "gpt-image-2.5-sunburst-2026-09-08",
    "gpt-image-2.5-flare",
    "gpt-image-2.5-flare-2026-09-08",
    "gpt-image-2",
    "gpt-image-2-2026-04-21",
    "gpt-image-1.5",
    "gpt-image-1.5-2025-12-16",
    "gpt-image-1-mini",
    "chatgpt-image-latest",
    "gpt-image-1",
    "dall-e-3",
    "dall-e-2",
]
Size: TypeAlias = Literal["auto", "1024x1024", "1536x1024", "1024x1536"]
Quality: TypeAlias = Literal["auto", "low", "medium", "high", "xhigh", "max"]
OutputFormat: TypeAlias = Literal["png", "jpeg", "webp", "gif", "svg"]
Background: TypeAlias = Literal["auto", "opaque", "transparent"]
Moderation: TypeAlias = Literal["auto", "low"]
# Options that only retired models took, for servers that still have such.
Style: TypeAlias = Literal["vivid", "natural"]
ResponseFormat: TypeAlias = Literal["url", "b64_json"]

IMAGE_MODELS: tuple[ImageModel, ...] = get_args(ImageModel)
SIZES: tuple[Size, ...] = get_args(Size)
QUALITIES: tuple[Quality, ...] = get_args(Quality)
OUTPUT_FORMATS: tuple[OutputFormat, ...] = get_args(OutputFormat)
BACKGROUNDS: tuple[Background, ...] = get_args(Background)
MODERATIONS: tuple[Moderation, ...] = get_args(Moderation)
STYLES: tuple[Style, ...] = get_args(Style)
RESPONSE_FORMATS: tuple[ResponseFormat, ...] = get_args(ResponseFormat)

Keeper: TypeAlias = Literal["OpenAI", "Azure"]

# The day a model was or will be shut down, where one is known; a snapshot goes with its model.
# OpenAI's from its deprecations page (2026-11-20). Azure keeps models by a calendar of its own:
# from the prices of litellm 1.109.1 (2026-11-12).
SHUT_DOWN: Mapping[Keeper, Mapping[str, date]] = {
    "OpenAI": {
        "dall-e-2": date(2026, 5, 12),
        "dall-e-3": date(2026, 5, 12),
        "gpt-image-1": date(2026, 10, 23),
        "gpt-image-1-mini": date(2026, 12, 1),
        "gpt-image-1.5": date(2026, 12, 1),
        "chatgpt-image-latest": date(2026, 12, 1),
    },
    "Azure": {
        "dall-e-3": date(2026, 3, 4),
        "gpt-image-1.5": date(2026, 12, 16),
        "gpt-image-1-mini": date(2027, 4, 7),
        "gpt-image-2.5-sunburst": date(2027, 9, 9),
        "gpt-image-2.5-flare": date(2027, 9, 9),
        "gpt-image-2": date(2027, 10, 21),
    },
}
