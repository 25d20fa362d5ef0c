"""A flow around a flow: each slot ends exactly once, and nothing that arrived is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ._errors import ImagekitError, PluginError, TransportError, TruncatedStreamError
from ._events import Completed, ImageFailed, ImageReady, Noticed, PartialImage
from ._flow import Effect, Effects, Emit, Flow, emit, notice, transform
from ._image import Image
from ._media import EXTENSIONS
from ._response import ImageFailure, ImageResponse, Notice, Slot
from ._split import failure_of, worst

Fill = Callable[[Image], Effects[Image]]
# How many more pictures than asked for a provider may give.
SPARE = 1000


class _Slots:
    """What has come so far, by slot."""

    def __init__(self) -> None:
        self.ended: dict[int, Slot] = {}
        self.previews: dict[int, Image] = {}
        self.shown: list[Image] = []
        self.notices: dict[Notice, None] = {}

    def failed(self, index: int, failure: ImageFailure) -> ImageFailure:
        preview = self.previews.get(index)
        if preview is None or failure.preview is not None:
            return failure
        return failure.model_copy(update={"preview": preview})

    def with_causes(self, error: ImagekitError, wanted: int) -> tuple[Slot, ...]:
        """All slots, those that have not ended given *error* as their cause."""
        known = error.response.slots if error.response else ()
        count = max(wanted, len(known), *(index + 1 for index in self.ended), 0)
        return tuple(
            self.ended.get(index) or (known[index] if index < len(known) else failure_of(error))
            for index in range(count)
        )


def ended(flow: Flow, n: int, fill: Fill) -> Flow:
    """See to it that each of *n* slots ends once, in `ImageReady` or `ImageFailed`.

    *fill* brings in pictures that are only URLs. Raises only when no slot holds a picture; the
    error's `response` has the slots all the same, the last previews among them.
    """
    so_far = _Slots()

    def handle(effect: Effect) -> Effects[Any]:
        if not isinstance(effect, Emit):
            return (yield effect)
        event = effect.event
        if not 0 <= getattr(event, "index", 0) < n + SPARE:
            raise PluginError(f"a flow spoke of slot {event.index}, of {n} asked for")  # type: ignore[union-attr]
        match event:
            case Completed():
                raise PluginError("a flow returns its response; Completed is the core's to say")
            case Noticed(notice=said):
                if said in so_far.notices:
                    return None
                so_far.notices[said] = None
            case PartialImage(index=index, image=image):
                if index in so_far.ended:
                    return None
                so_far.previews[index] = image
            case ImageReady(index=index, image=image):
                if index not in so_far.ended:
                    so_far.shown.append(image)
                    yield from end(index, image)
                return None
            case ImageFailed(index=index, failure=failure):
                if index not in so_far.ended:
                    yield from end(index, failure)
                return None
            case _:
                pass
        yield Emit(event)
        return None

    def end(index: int, slot: Slot) -> Effects[None]:
        # Notices that come up here take the same way as the flow's own.
        if isinstance(slot, Image) and slot.data == b"":
            slot = ImageFailure(kind="missing", reason="the picture that came is empty")
        if isinstance(slot, Image):
            slot = yield from transform(fill(slot), handle)
            so_far.ended[index] = slot
            yield from emit(ImageReady(index=index, image=slot))
            for found in differences(slot):
                yield from transform(notice(found), handle)
        else:
            slot = so_far.failed(index, slot)
            so_far.ended[index] = slot
            yield from emit(ImageFailed(index=index, failure=slot))

    try:
        response = yield from transform(flow, handle)
    except ImagekitError as error:
        slots = so_far.with_causes(error, n)
        response = ImageResponse(slots=slots)
        if not response.images:
            for index, slot in enumerate(slots):
                if index not in so_far.ended:
                    yield from end(index, slot)
            error.response = ImageResponse(
                slots=tuple(so_far.ended[index] for index in range(len(slots))),
                notices=tuple(so_far.notices),
            )
            raise
        cut = isinstance(error, TransportError | TruncatedStreamError)
        detail = (
            f"{'the answer was cut' if cut else 'the call failed'} after pictures came: {error}"
        )
        yield from handle(
            Emit(Noticed(notice=Notice(kind="incomplete", feature="response", detail=detail)))
        )
    for found in response.notices:
        yield from transform(notice(found), handle)
    slots = response.slots
    missing = ImageFailure(kind="missing", reason=f"asked for {n} pictures, got {len(slots)}")
    count = max(n, len(slots), *(index + 1 for index in so_far.ended), 0)
    for index in range(count):
        if index not in so_far.ended:
            slot = slots[index] if index < len(slots) else missing
            # What a stream showed in another slot is that slot's, and not this one's too.
            again = any(slot is image for image in so_far.shown)
            yield from end(index, missing if again else slot)
    response = response.model_copy(
        update={
            "slots": tuple(so_far.ended[index] for index in range(count)),
            "notices": tuple(so_far.notices),
        }
    )
    if not response.images:
        cause = response.failures[0].error()
        cause.billed = worst(failure.billed for failure in response.failures)
        cause.response = response
        raise cause
    return response


def differences(image: Image) -> list[Notice]:
    """Where the provider's word for a picture and its bytes disagree."""
    found = []
    if image.data is not None and image.media_type is None:
        found.append(_differs("media_type", "a picture", "of no type we know"))
    size, kind = image.echo.get("size"), image.echo.get("output_format")
    actual = f"{image.width}x{image.height}"
    if isinstance(size, str) and "x" in size and image.width and image.height and size != actual:
        found.append(_differs("size", size, actual))
    ending = EXTENSIONS.get(image.media_type or "")
    if isinstance(kind, str) and ending and kind.replace("jpeg", "jpg") != ending:
        found.append(_differs("output_format", kind, ending))
    return found


def _differs(feature: str, said: str, actual: str) -> Notice:
    return Notice(
        kind="delivered-differs",
        feature=feature,
        detail=f"the provider says {said}, the bytes say {actual}",
        wanted=said,
        used=actual,
    )
