"""What both dialects report beside the pictures: usage, rate limits, request ids."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal, TypeAlias

from pydantic import AliasChoices, Field

from imagekit import Usage, UsageItem
from imagekit.provider import rate_limits as rate_limits
from imagekit.provider import seconds as seconds

from ._lenient import Read, Said

# Modality, detail and count.
_Part: TypeAlias = tuple[str | None, str | None, int]


class Details(Read):
    """How tokens divide, as far as it is said."""

    text_tokens: Said[int] = None
    image_tokens: Said[int] = None
    cached_tokens: Said[int] = None
    reasoning_tokens: Said[int] = None


class Cached(Read):
    """Which of the input had been kept from an earlier call."""

    cached_text_tokens: Said[int] = None
    cached_image_tokens: Said[int] = None


_NO_DETAILS, _NOTHING_CACHED = Details(), Cached()


class Tokens(Read):
    """A usage object; every dialect and every server leaves something out."""

    input_tokens: Said[int] = Field(
        default=None, validation_alias=AliasChoices("input_tokens", "prompt_tokens")
    )
    output_tokens: Said[int] = Field(
        default=None, validation_alias=AliasChoices("output_tokens", "completion_tokens")
    )
    total_tokens: Said[int] = None
    input_tokens_details: Said[Details] = None
    output_tokens_details: Said[Details] = None
    cached_tokens: Said[int] = None
    cached_tokens_details: Said[Cached] = None


class SvgTokens(Read):
    """What the author of an SVG used, beside the picture it drew from."""

    model: Said[str] = None
    input_tokens: Said[int] = None
    output_tokens: Said[int] = None
    total_tokens: Said[int] = None
    reasoning_tokens: Said[int] = None


def usage(
    picture: Tokens | None,
    svgs: Sequence[SvgTokens] = (),
    conversation: Tokens | None = None,
    model: str | None = None,
) -> Usage | None:
    """The counts as items that never overlap; *conversation* is counted to *model*."""
    items = _items(picture, None) + _items(conversation, model)
    for svg in svgs:
        author = svg.model or "svg"
        thought: _Part = ("text", "reasoning", svg.reasoning_tokens or 0)
        both = _side("input", svg.input_tokens, (), author)
        both += _side("output", svg.output_tokens, (thought,), author)
        items += _whole(both, svg.total_tokens, author)
    return Usage(items=tuple(items)) if items else None


def _items(tokens: Tokens | None, model: str | None) -> list[UsageItem]:
    if tokens is None:
        return []
    into = tokens.input_tokens_details or _NO_DETAILS
    out = tokens.output_tokens_details or _NO_DETAILS
    kept = tokens.cached_tokens_details or _NOTHING_CACHED
    both = _side("input", tokens.input_tokens, _inputs(into, kept, tokens.cached_tokens), model)
    both += _side(
        "output",
        tokens.output_tokens,
        (
            ("text", None, out.text_tokens or 0),
            ("image", None, out.image_tokens or 0),
            ("text", "reasoning", out.reasoning_tokens or 0),
        ),
        model,
    )
    return _whole(both, tokens.total_tokens, model)


def _inputs(split: Details, kept: Cached, cached: int | None) -> tuple[_Part, ...]:
    """The input by modality, what had been kept apart from what was new."""
    text, image = split.text_tokens or 0, split.image_tokens or 0
    kept_text = min(kept.cached_text_tokens or 0, text)
    kept_image = min(kept.cached_image_tokens or 0, image)
    # Beside text and image, the kept ones are a part of those, nobody knows of which.
    rest = 0 if text or image else split.cached_tokens or cached or 0
    return (
        ("text", None, text - kept_text),
        ("image", None, image - kept_image),
        ("text", "cached", kept_text),
        ("image", "cached", kept_image),
        ("text", "cached", rest),
    )


def _whole(both: list[UsageItem], total: int | None, model: str | None) -> list[UsageItem]:
    """The two sides, and what they leave of the total: nobody knows of which side it is."""
    left = (total or 0) - sum(int(item.quantity) for item in both)
    return [*both, *_side(None, left, (), model)] if left > 0 else both


def _side(
    direction: Literal["input", "output"] | None,
    total: int | None,
    parts: Sequence[_Part],
    model: str | None,
) -> list[UsageItem]:
    """The parts that are anything, and what they leave of the total."""
    left = (total or 0) - sum(count for _, _, count in parts)
    return [
        UsageItem(
            quantity=Decimal(count),
            direction=direction,
            modality=modality,
            detail=detail,
            model=model,
        )
        for modality, detail, count in (*parts, (None, None, left))
        if count > 0
    ]


def request_id(headers: Mapping[str, str]) -> str | None:
    """What to quote to support."""
    return headers.get("x-request-id") or headers.get("apim-request-id")


def request_ids(headers: Mapping[str, str]) -> tuple[str, ...]:
    """The same, as a response carries it."""
    found = request_id(headers)
    return (found,) if found else ()


# OpenAI's own count, and that of the proxy in front of Azure's servers: milliseconds, both.
_WORKED = ("openai-processing-ms", "x-envoy-upstream-service-time")
_MILLISECONDS = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,9})?")
_SERVED = {
    "organization": "openai-organization",
    "project": "openai-project",
    "api_version": "openai-version",
    "region": "x-ms-region",
    "deployment": "x-ms-deployment-name",
}


def processing_time(headers: Mapping[str, str]) -> float | None:
    """The seconds that the server says it worked."""
    for name in _WORKED:
        if (text := headers.get(name)) and _MILLISECONDS.fullmatch(text):
            return float(text) / 1000
    return None


def told(headers: Mapping[str, str]) -> dict[str, Any]:
    """What an answer's *headers* say of the exchange, as the fields of a response."""
    return {
        "request_ids": request_ids(headers),
        "rate_limits": rate_limits(headers),
        "processing_time": processing_time(headers),
    }


def served(headers: Mapping[str, str]) -> dict[str, str]:
    """Who answered, for whom: account, version, and on Azure region and deployment."""
    return {name: headers[header] for name, header in _SERVED.items() if headers.get(header)}


def moment(unix: float | None) -> datetime | None:
    """Unix seconds as a moment; the scrubbed 0 of a recording is none."""
    try:
        return datetime.fromtimestamp(unix, UTC) if unix else None
    except (ValueError, OverflowError, OSError):
        return None
