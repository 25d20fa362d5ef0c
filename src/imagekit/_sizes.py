"""The size that a model makes, nearest to the one that was asked for."""

from __future__ import annotations

from math import inf, log

from ._capabilities import SizeRule
from ._request import ImageRequest


def resolved_size(request: ImageRequest, rule: SizeRule) -> str | None:
    """The size to send: the asked one where *rule* allows it, else the nearest it does."""
    if request.pixels and rule.allows(*request.pixels):
        return request.size
    if request.pixels:
        wide, high = map(float, request.pixels)
        longer: float = max(request.pixels)
    elif request.aspect:
        wide, high, tier = request.aspect
        longer = longer_side(tier or "1K")
    else:
        return request.size
    if rule.shapes:
        return _shaped(request, rule, wide / high, longer)
    if rule.sizes:
        return min(rule.sizes, key=lambda size: _distance(size, wide / high, longer))
    return _free(wide / high, longer, rule)


def is_exactly(size: str | None, request: ImageRequest) -> bool:
    """Whether *size* is the very shape, and tier if one was named, that *request* asks for."""
    if not request.aspect or not size or size == "auto":
        return False
    wide, high, tier = request.aspect
    shape, _, own = size.partition("@")
    pixels = "x" in shape
    one, other = map(float, shape.split("x" if pixels else ":"))
    longer = max(one, other) if pixels else longer_side(own) if own else None
    fits = tier is None or longer == longer_side(tier)
    return fits and one * high == other * wide


def longer_side(tier: str) -> float:
    """What a tier's name promises: the longer side, in pixels."""
    return float(tier[:-1]) * 1024 if tier[-1] in "kK" else float(tier)


def _distance(size: str, ratio: float, longer: float) -> tuple[float, float]:
    width, _, height = size.partition("x")
    if not height:
        return (float("inf"), 0)
    own = int(width) / int(height)
    return (max(own / ratio, ratio / own), abs(max(int(width), int(height)) - longer))


def _shaped(request: ImageRequest, rule: SizeRule, ratio: float, longer: float) -> str:
    """The nearest of the rule's shapes, with the nearest of its tiers where a size is meant."""

    def off(shape: str) -> float:
        wide, _, high = shape.partition(":")
        own = float(wide) / float(high)
        return max(own / ratio, ratio / own)

    shape, tier = min(rule.shapes, key=off), request.aspect and request.aspect[2]
    if not rule.tiers or not (tier or request.pixels):
        return shape
    return f"{shape}@{min(rule.tiers, key=lambda one: abs(log(longer_side(one) / longer)))}"


def _free(ratio: float, longer: float, rule: SizeRule) -> str:
    """The nearest size within the limits: first the shape is settled, then how large it is."""
    edge, pixels = rule.high_edge or inf, rule.high_pixels or inf
    # A longer shape than this would break one limit in keeping another.
    longest = max(
        1.0,
        min(
            rule.ratio or inf,
            edge / rule.low_edge,
            edge**2 / rule.low_pixels,
            pixels / rule.low_edge**2,
        ),
    )
    ratio = min(max(ratio, 1 / longest), longest)
    width, height = (longer, longer / ratio) if ratio >= 1 else (longer * ratio, longer)
    least = max(rule.low_edge / min(width, height), (rule.low_pixels / (width * height)) ** 0.5)
    most = min(edge / max(width, height), (pixels / (width * height)) ** 0.5)
    scale = min(max(1.0, least), most)
    return _stepped(width * scale, height * scale, rule)


def _stepped(width: float, height: float, rule: SizeRule) -> str:
    """Round to the rule's steps, to the neighbour that keeps every limit."""
    step = rule.multiple
    around = [
        (step * (int(width // step) + right), step * (int(height // step) + down))
        for right in (-1, 0, 1, 2)
        for down in (-1, 0, 1, 2)
    ]
    kept = [(w, h) for w, h in around if w > 0 and h > 0 and rule.allows(w, h)]
    if not kept:
        kept = [(max(step, round(width / step) * step), max(step, round(height / step) * step))]
    best = min(
        kept, key=lambda one: abs(one[0] / one[1] - width / height) + abs(one[0] - width) / width
    )
    return f"{best[0]}x{best[1]}"
