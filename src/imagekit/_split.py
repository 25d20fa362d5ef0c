"""A flow of flows: more pictures than one request may ask for, made by several, side by side.

What each of them came to, or left when it failed, is summed, and kept for each request by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from ._errors import Billed, ContentRejectedError, ImagekitError, NoImageError, PluginError
from ._events import ImageEvent, ImageFailed, ImageReady, Noticed, PartialImage, Text
from ._flow import Effects, Emit, Flow, gather, transform
from ._image import Image
from ._request import ImageRequest
from ._response import CallRecord, Cost, ImageFailure, ImageResponse, Notice, Slot

# Enough to be quick, few enough not to run into every rate limit there is.
SIDE_BY_SIDE = 8
# How many more pictures than asked for a provider may give.
SPARE = 1000

Outcome: TypeAlias = "ImageResponse | BaseException"


def check_slot(event: ImageEvent, n: int) -> None:
    """Refuse an event of a slot far beyond the *n* asked for: each that is told takes memory."""
    index = getattr(event, "index", 0)
    if not 0 <= index < n + SPARE:
        raise PluginError(f"a flow spoke of slot {index}, of {n} asked for")


class Arrived:
    """What has come of some pictures so far: slots, their last previews, notices and words."""

    def __init__(self) -> None:
        self.ended: dict[int, Slot] = {}
        self.previews: dict[int, Image] = {}
        self.notices: dict[Notice, None] = {}
        self._words: list[str] = []

    def see(self, event: ImageEvent) -> None:
        """Note what *event* brings; a slot that has ended stays as it is."""
        match event:
            case PartialImage(index=index, image=image):
                self.previews[index] = image
            case ImageReady(index=index, image=image):
                self.ended.setdefault(index, image)
            case ImageFailed(index=index, failure=failure):
                self.ended.setdefault(index, self.failed(index, failure))
            case Noticed(notice=said):
                self.notices[said] = None
            case Text(text=text, phase="content"):
                self._words.append(text)
            case _:
                pass

    def failed(self, index: int, failure: ImageFailure) -> ImageFailure:
        """*failure* with the last preview of its slot."""
        preview = self.previews.get(index)
        if preview is None or failure.preview is not None:
            return failure
        return failure.model_copy(update={"preview": preview})

    def left_by(self, error: ImagekitError, n: int) -> ImageResponse:
        """What *error* leaves of *n* pictures: what had come, and else why it did not."""
        before = error.response or ImageResponse(slots=())
        known = before.slots
        count = max(n, len(known), *(index + 1 for index in self.ended), 0)

        def slot(index: int) -> Slot:
            if index in self.ended:
                return self.ended[index]
            found = known[index] if index < len(known) else failure_of(error)
            return found if isinstance(found, Image) else self.failed(index, found)

        said = {
            "text": "".join(self._words),
            "request_ids": tuple(filter(None, [error.request_id])),
            "rate_limits": dict(error.rate_limits),
            "processing_time": error.processing_time,
        }
        return before.model_copy(
            update={
                **{name: fact for name, fact in said.items() if fact and not getattr(before, name)},
                "slots": tuple(map(slot, range(count))),
                "notices": tuple(dict.fromkeys((*self.notices, *before.notices))),
            }
        )


def recorded(flow: Flow, n: int) -> Flow:
    """*flow*, which makes one request for *n* pictures: its response has that in `calls`.

    The error that it ends in has a response too, with all that had come by then.
    """
    arrived = Arrived()

    def handle(effect: Emit) -> Effects[Any]:
        check_slot(effect.event, n)
        arrived.see(effect.event)
        return (yield effect)

    try:
        response = yield from transform(flow, handle, of=Emit)
    except ImagekitError as error:
        error.response = left_by(error, n, arrived)
        raise
    told = sum(isinstance(slot, Image) for slot in arrived.ended.values())
    return _noted(response, n, told=told)


def left_by(error: ImagekitError, n: int, arrived: Arrived | None = None) -> ImageResponse:
    """What a request for *n* pictures left that ended in *error*, its call included."""
    return _noted((arrived or Arrived()).left_by(error, n), n, error)


def _noted(
    response: ImageResponse, n: int, error: ImagekitError | None = None, *, told: int = 0
) -> ImageResponse:
    """*response* with the request for *n* pictures that it came from, where it does not say so."""
    if response.calls:
        return _costing(response)
    images, failures = max(len(response.images), told), response.failures
    billed, why = None, None
    if error is not None:
        billed, why = error.billed or "possibly", str(error)
    elif not images and failures:
        billed, why = worst(one.billed for one in failures), failures[0].reason
    record = CallRecord(
        n=n,
        images=images,
        provider=response.provider,
        profile=response.profile,
        model=response.model,
        usage=response.usage,
        cost=response.cost,
        request_ids=response.request_ids,
        billed=billed,
        error=why,
    )
    return response.model_copy(update={"calls": (record,)})


def _costing(response: ImageResponse) -> ImageResponse:
    """*response*, whose only call cost what the whole did, also where that was found out later."""
    call, *others = response.calls
    if others or call.cost is not None or response.cost is None:
        return response
    return response.model_copy(update={"calls": (call.model_copy(update={"cost": response.cost}),)})


def split(request: ImageRequest, most: int | None, make: Callable[[ImageRequest], Flow]) -> Flow:
    """Make *request* by as many flows as it takes, with at most *most* pictures each.

    What one part cannot make fails in its own slots; the others keep theirs. Pictures beyond those
    that were asked for come last. Only when every part raised is anything raised: the first
    part's error, with all slots in its `response`.
    """
    if most is None or request.n <= most:
        return (yield from recorded(make(request), request.n))
    parts = divided(request, most)
    flows = [_kept_apart(make(part)) for part in parts]
    return (yield from together(flows, [part.n for part in parts]))


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
        _shifted(recorded(flow, count), start, count)
        for flow, start, count in zip(flows, starts, counts, strict=True)
    ]
    return merged((yield from gather(parts, limit=SIDE_BY_SIDE)), counts)


def _kept_apart(flow: Flow) -> Flow:
    """*flow*, a plugin's: whatever it raises costs no other part's pictures."""
    try:
        return (yield from flow)
    except ImagekitError:
        raise
    except Exception as error:
        raise PluginError(f"a part of the call failed: {error!r}", billed="possibly") from error


def _part(request: ImageRequest, start: int, count: int) -> ImageRequest:
    # The same seed for each part would make the same pictures over again.
    seed = None if request.seed is None else request.seed + start
    return request.model_copy(update={"n": count, "seed": seed})


def _shifted(flow: Flow, by: int, count: int) -> Flow:
    def handle(effect: Emit) -> Effects[Any]:
        if isinstance(effect.event, PartialImage | ImageReady | ImageFailed):
            if effect.event.index >= count:
                # One more than asked for: its slot is known only when all parts are in.
                return None
            moved = effect.event.model_copy(update={"index": effect.event.index + by})
            effect = replace(effect, event=moved)
        return (yield effect)

    return (yield from transform(flow, handle, of=Emit))


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


def merged(outcomes: Sequence[Outcome], counts: Sequence[int]) -> ImageResponse:
    """One response from the parts' outcomes; raises the first error when there is nothing else.

    What failed is in it too, with what it left. The cost is that of all of them, or unknown.
    """
    ends = [_our(outcome) for outcome in outcomes]
    parts = [
        left_by(end, count) if isinstance(end, ImagekitError) else _noted(end, count)
        for end, count in zip(ends, counts, strict=True)
    ]
    slots: list[Slot] = []
    extra: list[Slot] = []
    for end, part, count in zip(ends, parts, counts, strict=True):
        missing = ImageFailure(kind="missing", reason="the provider made fewer than asked for")
        slots += [*part.slots[:count], *[missing] * (count - len(part.slots))]
        # Of an error, a failure between the pictures beyond those asked for is nobody's slot.
        fail = isinstance(end, ImagekitError)
        extra += [s for s in part.slots[count:] if isinstance(s, Image) or not fail]
    first = next((end for end in ends if isinstance(end, ImageResponse)), parts[0])
    usages = [part.usage for part in parts if part.usage is not None]
    worked = [part.processing_time for part in parts if part.processing_time is not None]
    states = [part.state for part in (first, *parts) if part.state is not None]
    response = first.model_copy(
        update={
            "slots": (*slots, *extra),
            "usage": sum(usages[1:], start=usages[0]) if usages else None,
            "cost": _summed(ends, parts),
            "calls": tuple(call for part in parts for call in part.calls),
            "text": "\n".join(filter(None, (part.text for part in parts))) or None,
            "notices": tuple(dict.fromkeys(notice for part in parts for notice in part.notices)),
            "state": states[0] if states else None,
            "request_ids": tuple(id for part in parts for id in part.request_ids),
            "rate_limits": next((one.rate_limits for one in parts[::-1] if one.rate_limits), {}),
            "processing_time": sum(worked) if worked else None,
        }
    )
    errors = [end for end in ends if isinstance(end, ImagekitError)]
    if len(errors) == len(ends):
        errors[0].billed = worst(error.billed for error in errors)
        errors[0].response = response
        raise errors[0]
    return response


def _our(outcome: Outcome) -> ImageResponse | ImagekitError:
    if isinstance(outcome, ImageResponse | ImagekitError):
        return outcome
    raise outcome


def _summed(
    ends: Sequence[ImageResponse | ImagekitError], parts: Sequence[ImageResponse]
) -> Cost | None:
    """What all of it cost, if that is known; what failed may have cost too, unless it says no."""
    known: list[Cost] = []
    for end, part in zip(ends, parts, strict=True):
        free = isinstance(end, ImagekitError) and end.billed == "no"
        if part.cost is not None:
            known.append(part.cost)
        elif not free:
            return None
    if len({(cost.currency, cost.kind) for cost in known}) != 1:
        return None
    return known[0].model_copy(update={"amount": sum(cost.amount for cost in known)})
