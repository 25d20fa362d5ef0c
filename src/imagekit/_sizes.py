"""The size that a model makes, nearest to the one that was asked for."""

from __future__ import annotations

from ._capabilities import SizeRule
from ._request import ImageRequest

# What a tier's name promises: the longer side, in pixels.
TIERS = {"512": 512, "1K": 1024, "1.5K": 1536, "2K": 2048, "3K": 3072, "4K": 4096}


def resolved_size(request: ImageRequest, rule: SizeRule) -> str | None:
    """The size to send: the asked one where *rule* allows it, else the nearest it does."""
    if request.pixels and rule.allows(*request.pixels):
        return request.size
    if request.pixels:
        wide, high = map(float, request.pixels)
        longer: float = max(request.pixels)
    elif request.aspect:
        wide, high, tier = request.aspect
        longer = TIERS.get((tier or "1K").upper()) or float(tier or 1024)
    else:
        return request.size
    if rule.sizes:
        return min(rule.sizes, key=lambda size: _distance(size, wide / high, longer))
    return _free(wide / high, longer, rule)


def _distance(size: str, ratio: float, longer: float) -> tuple[float, float]:
    width, _, height = size.partition("x")
    if not height:
        return (float("inf"), 0)
    own = int(width) / int(height)
    return (max(own / ratio, ratio / own), abs(max(int(width), int(height)) - longer))


def _free(ratio: float, longer: float, rule: SizeRule) -> str:
    if rule.ratio is not None:
        ratio = min(max(ratio, 1 / rule.ratio), rule.ratio)
    longer = min(longer, rule.high_edge or longer)
    width = longer if ratio >= 1 else longer * ratio
    height = width / ratio
    if width * height < rule.low_pixels:
        grow = (rule.low_pixels / (width * height)) ** 0.5
        width, height = width * grow, height * grow
    if rule.high_pixels is not None and width * height > rule.high_pixels:
        shrink = (rule.high_pixels / (width * height)) ** 0.5
        width, height = width * shrink, height * shrink
    return _stepped(width, height, rule)


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
