"""OpenAI's two image APIs for imagekit: `openai-images` and `openai-responses`.

What stands here is for people and editors: the values that are known, as types and as tuples, and
the days on which models end. None of it limits what a call may say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._constants import (
    BACKGROUNDS,
    IMAGE_MODELS,
    MODERATIONS,
    OUTPUT_FORMATS,
    QUALITIES,
    RESPONSE_FORMATS,
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

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from ._constants import Keeper
    from .compatible import CompatibleImages, Row, row

    # The day a model was or will be shut down, where one is known, by who keeps it.
    SHUT_DOWN: Mapping[Keeper, Mapping[str, date]]

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
    "CompatibleImages",
    "ImageModel",
    "Moderation",
    "OutputFormat",
    "Quality",
    "ResponseFormat",
    "Row",
    "Size",
    "Style",
    "row",
]
_COMPATIBLE = ("CompatibleImages", "Row", "row")


def __getattr__(name: str) -> Any:
    if name == "SHUT_DOWN":
        # From the tables, which take more than this door to read.
        from ._models import shut_down

        return shut_down()
    if name in _COMPATIBLE:
        from . import compatible

        return getattr(compatible, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
