"""The values that OpenAI's image APIs know, for editors to complete; a new one is never refused.

From the types of the official Python SDK 3.52.0 (2026-11-16), without what only retired models
had; the retired models themselves are listed, for whoever meets their names.
"""

from __future__ import annotations

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
