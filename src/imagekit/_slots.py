"""A flow around a flow: each slot ends exactly once, and nothing that arrived is lost."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from ._errors import ImagekitError, PluginError, TransportError, TruncatedStreamError
from ._events import Completed, ImageFailed, ImageReady, Noticed, PartialImage
from ._flow import Effects, Emit, Flow, emit, transform
from ._image import Image
from ._response import ImageFailure, Notice, Slot
from ._split import Arrived, check_slot, worst

Fill = Callable[[Image], Effects[Image]]
Look: TypeAlias = "Callable[[Image], Effects[Sequence[Notice]]]"
log = logging.getLogger("imagekit")
# How many slots a notice names before it counts the rest.
NAMED = 8


def unseen(image: Image) -> Effects[Sequence[Notice]]:
    """Nothing is looked at."""
    return ()
    yield


def ended(flow: Flow, n: int, fill: Fill, look: Look = unseen) -> Flow:
    """See to it that each of *n* slots ends once, in `ImageReady` or `ImageFailed`.

    *fill* brings in pictures that are only URLs; *look* finds what differs from what was asked,
    which is said once for all slots, at the end. Raises only when no slot holds a picture; the
    error's `response` has all the same what had come, the last previews among it.
    """
    ending = _Ending(n, fill, look)
    so_far = ending.so_far
    try:
        response = yield from transform(flow, ending.handle, of=Emit)
    except ImagekitError as error:
        response = so_far.left_by(error, n)
        if not response.images:
            for index, slot in enumerate(response.slots):
                if index not in so_far.ended:
                    yield from ending.end(index, slot)
            yield from ending.say(response.notices)
            error.response = so_far.left_by(error, n)
            raise
        cut = isinstance(error, TransportError | TruncatedStreamError)
        detail = (
            f"{'the answer was cut' if cut else 'the call failed'} after pictures came: {error}"
        )
        broken = Notice(kind="incomplete", feature="response", detail=detail)
        response = response.model_copy(update={"notices": (*response.notices, broken)})
    yield from ending.say(response.notices)
    yield from ending.end_all(response.slots)
    yield from ending.say(_differences(n, so_far.ended, ending.found))
    response = response.model_copy(
        update={
            "slots": tuple(so_far.ended[index] for index in range(len(so_far.ended))),
            "notices": tuple(so_far.notices),
        }
    )
    if not response.images:
        cause = response.failures[0].error()
        cause.billed = worst(failure.billed for failure in response.failures)
        cause.request_id = next(iter(response.request_ids), None)
        cause.rate_limits = response.rate_limits
        cause.processing_time = response.processing_time
        cause.response = response
        raise cause
    return response


class _Ending:
    """The slots of one call, as they end.

    No closures: those that know each other would keep the pictures until the garbage is collected.
    """

    def __init__(self, n: int, fill: Fill, look: Look) -> None:
        self._n, self._fill, self._look = n, fill, look
        self.so_far = Arrived()
        # The pictures as the flow gave them, and those that came for a slot that had ended.
        self._shown: list[Image] = []
        self._late: list[Image] = []
        self.found: dict[Notice, list[int]] = {}

    def handle(self, effect: Emit) -> Effects[Any]:
        """Take what the flow tells, once."""
        so_far, event = self.so_far, effect.event
        check_slot(event, self._n)
        match event:
            case PartialImage(index=index):
                if index in so_far.ended:
                    return None
            case Completed():
                raise PluginError("a flow returns its response; Completed is the core's to say")
            case Noticed(notice=said) if said in so_far.notices:
                return None
            case ImageReady(index=index, image=image):
                if index not in so_far.ended:
                    self._shown.append(image)
                    yield from self.end(index, image)
                elif not self._known(image):
                    self._late.append(image)
                return None
            case ImageFailed(index=index, failure=failure):
                if index not in so_far.ended:
                    yield from self.end(index, failure)
                return None
            case _:
                pass
        so_far.see(event)
        yield effect
        return None

    def say(self, notices: Iterable[Notice]) -> Effects[None]:
        """Tell of *notices* that were not told of yet."""
        for said in notices:
            yield from self.handle(Emit(Noticed(notice=said)))

    def end(self, index: int, slot: Slot) -> Effects[None]:
        """End slot *index*; notices that come up here take the same way as the flow's own."""
        so_far = self.so_far
        if isinstance(slot, Image) and slot.length == 0:
            slot = ImageFailure(kind="missing", reason="the picture that came is empty")
        if isinstance(slot, Image):
            if slot.length is None:
                slot = yield from transform(self._fill(slot), self.handle, of=Emit)
            so_far.ended[index] = slot
            yield from emit(ImageReady(index=index, image=slot))
            for differs in (yield from self._looked(slot)):
                self.found.setdefault(differs, []).append(index)
        else:
            slot = so_far.failed(index, slot)
            so_far.ended[index] = slot
            yield from emit(ImageFailed(index=index, failure=slot))

    def end_all(self, slots: Sequence[Slot]) -> Effects[None]:
        """End those that are left, by the *slots* of the response."""
        so_far, late = self.so_far, self._late
        late += [
            slot
            for index, slot in enumerate(slots)
            if index in so_far.ended and isinstance(slot, Image) and not self._known(slot)
        ]
        reason = f"asked for {self._n} pictures, got {len(slots)}"
        count = max(self._n, len(slots), *(index + 1 for index in so_far.ended), 0)
        for index in range(count):
            if index not in so_far.ended:
                slot = slots[index] if index < len(slots) else None
                # What a stream showed in another slot is that slot's, and not this one's too.
                if slot is None or any(slot is image for image in self._shown):
                    slot = late.pop(0) if late else ImageFailure(kind="missing", reason=reason)
                yield from self.end(index, slot)
        for index, slot in enumerate(late, count):
            yield from self.end(index, slot)

    def _known(self, image: Image) -> bool:
        had = [slot for slot in self.so_far.ended.values() if isinstance(slot, Image)]
        return any(_same(image, one) for one in (*self._shown, *had, *self._late))

    def _looked(self, image: Image) -> Effects[Sequence[Notice]]:
        try:
            return (yield from transform(self._look(image), self.handle, of=Emit))
        except Exception as error:
            log.debug("a picture could not be looked at", exc_info=True)
            detail = f"the picture is not compared with the request: {error}"
            return [Notice(kind="incomplete", feature="delivered", detail=detail)]


def _same(one: Image, other: Image) -> bool:
    """Whether they are one picture, whatever is said of it beside."""
    if one.length is not None and other.length is not None:
        return one.same(other)
    return one.url is not None and one.url == other.url


def _differences(n: int, slots: dict[int, Slot], found: dict[Notice, list[int]]) -> list[Notice]:
    """What was *found* of the pictures, each thing said once, and whether their number differs."""
    count = len(slots)
    said = [
        differs
        if count == 1
        else differs.model_copy(
            update={"detail": f"{differs.detail} ({_where(where, count)})".lstrip()}
        )
        for differs, where in found.items()
    ]
    came = sum(isinstance(slot, Image) for slot in slots.values())
    if came in (0, n):
        return said
    kinds = [slot.kind for slot in slots.values() if isinstance(slot, ImageFailure)]
    why = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
    detail = f"asked for {n} pictures, got {came}" + (f": {why}" if why else "")
    number = Notice(
        kind="delivered-differs", feature="n", detail=detail, wanted=str(n), used=str(came)
    )
    return [number, *said]


def _where(slots: Sequence[int], count: int) -> str:
    """Which of *count* slots a notice is about."""
    if len(slots) == count:
        return f"all {count} pictures"
    named = ", ".join(map(str, sorted(slots)[:NAMED]))
    more = f" and {len(slots) - NAMED} more" if len(slots) > NAMED else ""
    return f"slot{'s' * (len(slots) > 1)} {named}{more} of {count}"
