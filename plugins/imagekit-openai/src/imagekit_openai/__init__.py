"""OpenAI's two image APIs for imagekit: `openai-images` and `openai-responses`.

What stands here is for people and editors: the values that are known, as types and as tuples, and
the days on which models end. None of it limits what a call may say.
"""

from __future__ import annotations

from ._constants import (
    BACKGROUNDS,
    IMAGE_MODELS,
    MODERATIONS,
    OUTPUT_FORMATS,
    QUALITIES,
    RESPONSE_FORMATS,
    SHUT_DOWN,
    SIZES,
    STYLES,
    Background,
    ImageModel,
    Moderation,
    OutputFormat,
    Quality,
    ResponseFormat,
    Size,
    Style,
)

__all__ = [
    "BACKGROUNDS",
    "IMAGE_MODELS",
    "MODERATIONS",
    "OUTPUT_FORMATS",
    "QUALITIES",
    "RESPONSE_FORMATS",
    "SHUT_DOWN",
    "SIZES",
    "STYLES",
    "Background",
    "ImageModel",
    "Moderation",
    "OutputFormat",
    "Quality",
    "ResponseFormat",
    "Size",
    "Style",
]
