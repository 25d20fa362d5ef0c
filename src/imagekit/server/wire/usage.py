"""Counts of tokens, as the dialect divides them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..._response import Usage, UsageItem


def _items(usage: Usage | None, *, own: bool) -> list[UsageItem]:
    """The tokens of the image model itself, or those of the text models beside it."""
    found = usage.items if usage is not None else ()
    return [item for item in found if item.unit == "token" and (item.model is None) is own]


def _sum(items: Iterable[UsageItem], **wanted: str) -> int:
    return int(
        sum(
            item.quantity
            for item in items
            if all(getattr(item, name) == value for name, value in wanted.items())
        )
    )


def of_pictures(usage: Usage | None, *, details: bool = True) -> dict[str, Any] | None:
    """What the image model used, None where that was not reported."""
    items = _items(usage, own=True)
    if not items:
        return None
    found: dict[str, Any] = {
        "input_tokens": _sum(items, direction="input"),
        "input_tokens_details": _split(items, "input"),
        "output_tokens": _sum(items, direction="output"),
        "total_tokens": _sum(items),
    }
    if details:
        found["output_tokens_details"] = _split(items, "output")
    return found


def _split(items: list[UsageItem], direction: str) -> dict[str, int]:
    return {
        f"{modality}_tokens": _sum(items, direction=direction, modality=modality)
        for modality in ("image", "text")
    }


NOTHING: dict[str, Any] = {
    "input_tokens": 0,
    "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
    "output_tokens": 0,
    "total_tokens": 0,
}


def of_svg(usage: Usage | None) -> dict[str, Any] | None:
    """What the author of an SVG used."""
    items = _items(usage, own=False)
    if not items:
        return None
    return {
        "model": items[0].model,
        "input_tokens": _sum(items, direction="input"),
        "output_tokens": _sum(items, direction="output"),
        "reasoning_tokens": _sum(items, detail="reasoning"),
        "total_tokens": _sum(items),
    }


def of_conversation(usage: Usage | None) -> dict[str, Any] | None:
    """What the text model that led the conversation used."""
    items = _items(usage, own=False)
    if not items:
        return None
    return {
        "input_tokens": _sum(items, direction="input"),
        "input_tokens_details": {
            "cached_tokens": _sum(items, detail="cached"),
            "cache_write_tokens": 0,
        },
        "output_tokens": _sum(items, direction="output"),
        "output_tokens_details": {"reasoning_tokens": _sum(items, detail="reasoning")},
        "total_tokens": _sum(items),
    }


def added(total: dict[str, Any] | None, said: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a batch has used, with what one more answer says; None where none says anything."""
    by_tools = (said.get("tool_usage") or {}).get("image_gen")
    for one in (said.get("usage"), said.get("svg_usage"), by_tools):
        if one is None:
            continue
        into, out = (one.get(f"{way}_tokens_details", {}) for way in ("input", "output"))
        thought = out.get("reasoning_tokens", 0) + one.get("reasoning_tokens", 0)
        before = total or _NO_BATCH
        total = {
            **{name: before[name] + one[name] for name in _COUNTS},
            "input_tokens_details": {
                "cached_tokens": before["input_tokens_details"]["cached_tokens"]
                + into.get("cached_tokens", 0)
            },
            "output_tokens_details": {
                "reasoning_tokens": before["output_tokens_details"]["reasoning_tokens"] + thought
            },
        }
    return total


_COUNTS = ("input_tokens", "output_tokens", "total_tokens")
_NO_BATCH: dict[str, Any] = {
    **dict.fromkeys(_COUNTS, 0),
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens_details": {"reasoning_tokens": 0},
}
