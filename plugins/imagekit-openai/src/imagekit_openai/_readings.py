"""What both dialects report beside the pictures: usage, rate limits, request ids."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel

from imagekit import RateLimit, Usage, UsageItem

_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(ms|d|h|m|s)")


class Details(BaseModel):
    """How tokens divide, as far as it is said."""

    text_tokens: int | None = None
    image_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class Cached(BaseModel):
    """Which of the input had been kept from an earlier call."""

    cached_text_tokens: int = 0
    cached_image_tokens: int = 0


class Tokens(BaseModel):
    """A usage object; every dialect and every server leaves something out."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: Details | None = None
    output_tokens_details: Details | None = None
    cached_tokens_details: Cached | None = None


class SvgTokens(BaseModel):
    """What the author of an SVG used, beside the picture it drew from."""

    model: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None


def usage(
    picture: Tokens | None,
    svg: SvgTokens | None = None,
    conversation: Tokens | None = None,
    model: str | None = None,
) -> Usage | None:
    """The counts as items that never overlap; *conversation* is counted to *model*."""
    items = _items(picture, None) + _items(conversation, model)
    if svg is not None:
        details = Details(reasoning_tokens=svg.reasoning_tokens)
        both = Tokens(
            input_tokens=svg.input_tokens,
            output_tokens=svg.output_tokens,
            output_tokens_details=details,
        )
        items += _items(both, svg.model or "svg")
    return Usage(items=tuple(items)) if items else None


def _items(tokens: Tokens | None, model: str | None) -> list[UsageItem]:
    if tokens is None:
        return []
    return [
        *_side("input", tokens.input_tokens, tokens.input_tokens_details, tokens, model),
        *_side("output", tokens.output_tokens, tokens.output_tokens_details, None, model),
    ]


def _side(
    direction: Literal["input", "output"],
    total: int | None,
    details: Details | None,
    kept: Tokens | None,
    model: str | None,
) -> Iterator[UsageItem]:
    split = details or Details()
    cached = (kept.cached_tokens_details if kept else None) or Cached()
    text, image = split.text_tokens or 0, split.image_tokens or 0
    parts: list[tuple[str | None, str | None, int]] = [
        ("text", None, text - cached.cached_text_tokens),
        ("image", None, image - cached.cached_image_tokens),
        ("text", "cached", cached.cached_text_tokens),
        ("image", "cached", cached.cached_image_tokens),
        ("text", "reasoning", split.reasoning_tokens or 0),
        # Beside text and image, the kept ones are a part of those, and so not counted again.
        ("text", "cached", 0 if text or image else split.cached_tokens or 0),
    ]
    parts.append((None, None, (total or 0) - sum(count for _, _, count in parts)))
    for modality, detail, count in parts:
        if count > 0:
            yield UsageItem(
                quantity=Decimal(count),
                direction=direction,
                modality=modality,
                detail=detail,
                model=model,
            )


def request_id(headers: Mapping[str, str]) -> str | None:
    """What to quote to support."""
    return headers.get("x-request-id") or headers.get("apim-request-id")


def request_ids(headers: Mapping[str, str]) -> tuple[str, ...]:
    """The same, as a response carries it."""
    found = request_id(headers)
    return (found,) if found else ()


def rate_limits(headers: Mapping[str, str]) -> dict[str, RateLimit]:
    """Limits by what they count ("requests", "tokens" …)."""
    names = {name.rpartition("-")[2] for name in headers if name.startswith("x-ratelimit-")}
    return {
        name: RateLimit(
            limit=_count(headers.get(f"x-ratelimit-limit-{name}")),
            remaining=_count(headers.get(f"x-ratelimit-remaining-{name}")),
            reset=seconds(headers.get(f"x-ratelimit-reset-{name}")),
        )
        for name in sorted(names)
    }


def _count(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdigit() else None


def seconds(text: str | None) -> float | None:
    """A span such as "1m30.5s", "120ms" or "6", in seconds."""
    if not text:
        return None
    parts = _SPAN.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        return sum(float(number) * _UNITS[unit] for number, unit in parts)
    return float(text) if re.fullmatch(r"\d+(?:\.\d+)?", text) else None


def moment(unix: float | None) -> datetime | None:
    """Unix seconds as a moment; the scrubbed 0 of a recording is none."""
    return datetime.fromtimestamp(unix, UTC) if unix else None
