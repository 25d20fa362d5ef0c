"""A flow of flows: more pictures than one request may ask for, made by several, side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, cast

from ._errors import Billed, ContentRejectedError, ImagekitError, NoImageError
from ._events import ImageFailed, ImageReady, PartialImage
from ._flow import Effect, Effects, Emit, Flow, gather, transform
from ._request import ImageRequest
from ._response import Cost, ImageFailure, ImageResponse, Notice, Slot

# Enough to be quick, few enough not to run into every rate limit there is.
SIDE_BY_SIDE = 8


def split(request: ImageRequest, most: int | None, make: Callable[[ImageRequest], Flow]) -> Flow:
    """Make *request* by as many flows as it takes, with at most *most* pictures each.

    What one part cannot make fails in its own slots; the others keep theirs. Pictures beyond those
    that were asked for come last. Only when every part raised is anything raised: the first
    part's error, with all slots in its `response`.
    """
    if most is None or request.n <= most:
        return (yield from make(request))
    parts = divided(request, most)
    return (yield from together([make(part) for part in parts], [part.n for part in parts]))


def divided(request: ImageRequest, most: int | None) -> list[ImageRequest]:
    """*request* as requests of at most *most* pictures each."""
    if most is None or request.n <= most:
        return [request]
    starts = range(0, request.n, most)
    return [_part(request, start, min(most, request.n - start)) for start in starts]


def together(flows: Sequence[Flow], counts: Sequence[int]) -> Flow:
    """One response from *flows*, each of which makes so many pictures of it, side by side."""
    starts = (sum(counts[:place]) for place in range(len(counts)))
    parts = [
        _shifted(flow, start, count)
        for flow, start, count in zip(flows, starts, counts, strict=True)
    ]
    return merged((yield from gather(parts, limit=SIDE_BY_SIDE)), counts)


def _part(request: ImageRequest, start: int, count: int) -> ImageRequest:
    # The same seed for each part would make the same pictures over again.
    seed = None if request.seed is None else request.seed + start
    return request.model_copy(update={"n": count, "seed": seed})


def _shifted(flow: Flow, by: int, count: int) -> Flow:
    more: dict[int, Slot] = {}

    def handle(effect: Effect) -> Effects[Any]:
        if isinstance(effect, Emit) and isinstance(
            effect.event, PartialImage | ImageReady | ImageFailed
        ):
            if effect.event.index >= count:
                # One more than asked for: its slot is known only when all parts are in.
                if isinstance(effect.event, ImageReady):
                    more[effect.event.index] = effect.event.image
                return None
            moved = effect.event.model_copy(update={"index": effect.event.index + by})
            effect = replace(effect, event=moved)
        return (yield effect)

    try:
        return (yield from transform(flow, handle))
    except ImagekitError as error:
        if more:
            left = error.response.slots if error.response else ()
            kept = (*left[:count], *[failure_of(error)] * (count - len(left)), *more.values())
            error.response = ImageResponse(slots=kept)
        raise


def failure_of(error: ImagekitError) -> ImageFailure:
    """The slot that *error* leaves behind."""
    rejected = isinstance(error, ContentRejectedError)
    return ImageFailure(
        kind="refused" if rejected else "missing" if isinstance(error, NoImageError) else "failed",
        reason=str(error),
        code=error.code,
        stage=error.stage if isinstance(error, ContentRejectedError) else "unknown",
        categories=error.categories if isinstance(error, ContentRejectedError) else (),
        billed=error.billed or "possibly",
    )


def worst(billed: Iterable[Billed | None]) -> Billed:
    """What several failures together may have cost."""
    order: tuple[Billed, ...] = ("no", "possibly", "yes")
    return max((one or "possibly" for one in billed), key=order.index)


def merged(
    outcomes: Sequence[ImageResponse | BaseException], counts: Sequence[int]
) -> ImageResponse:
    """One response from the parts' outcomes; raises the first error when there is nothing else."""
    good = [outcome for outcome in outcomes if isinstance(outcome, ImageResponse)]
    slots: list[Slot] = []
    extra: list[Slot] = []
    for outcome, count in zip(outcomes, counts, strict=True):
        if isinstance(outcome, ImageResponse):
            missing = ImageFailure(kind="missing", reason="the provider made fewer than asked for")
            slots += [*outcome.slots[:count], *[missing] * (count - len(outcome.slots))]
            extra += outcome.slots[count:]
        elif isinstance(outcome, ImagekitError):
            left = outcome.response.slots if outcome.response else ()
            slots += [*left[:count], *[failure_of(outcome)] * (count - len(left))]
            extra += left[count:]
        else:
            raise outcome
    slots += extra
    if not good:
        error = cast(ImagekitError, outcomes[0])
        error.billed = worst(cast(ImagekitError, outcome).billed for outcome in outcomes)
        error.response = ImageResponse(slots=tuple(slots))
        raise error
    usages = [response.usage for response in good if response.usage is not None]
    worked = [one.processing_time for one in good if one.processing_time is not None]
    first = good[0]
    return first.model_copy(
        update={
            "slots": tuple(slots),
            "usage": sum(usages[1:], start=usages[0]) if usages else None,
            "cost": _summed(good) if all(map(_counted, outcomes)) else None,
            "text": "\n".join(filter(None, (response.text for response in good))) or None,
            "notices": _unique(good),
            "request_ids": tuple(id for response in good for id in response.request_ids),
            "rate_limits": good[-1].rate_limits,
            "processing_time": sum(worked) if worked else None,
        }
    )


def _counted(outcome: ImageResponse | BaseException) -> bool:
    """Whether it is known what *outcome* cost: what failed may have cost too."""
    return isinstance(outcome, ImageResponse) or getattr(outcome, "billed", None) == "no"


def _summed(parts: list[ImageResponse]) -> Cost | None:
    known = [part.cost for part in parts if part.cost is not None]
    if len(known) < len(parts) or len({(cost.currency, cost.kind) for cost in known}) > 1:
        return None
    return known[0].model_copy(update={"amount": sum(cost.amount for cost in known)})


def _unique(parts: list[ImageResponse]) -> tuple[Notice, ...]:
    return tuple(dict.fromkeys(notice for part in parts for notice in part.notices))
