"""The events of a response, as they come, and what they come to."""

from __future__ import annotations

from typing import Any

from imagekit import (
    Image,
    ImageReady,
    ImageResponse,
    PartialImage,
    Progress,
    Queued,
    Text,
)
from imagekit.provider import Effects, Flow, HttpResponse, emit

from ._events import Events
from ._lenient import Read, Said, Wanted, echoed, pictured, read
from ._responses_answer import CALL, Body, Item, Seen, decode

ENDS = frozenset(f"response.{how}" for how in ("completed", "failed", "incomplete", "cancelled"))
# What the model says while it works: the event, its phase, and what it is in the finished answer.
WORDS = {
    "response.output_text.delta": ("content", "output_text"),
    "response.refusal.delta": ("refusal", "refusal"),
    "response.reasoning_summary_text.delta": ("reasoning", "reasoning"),
}


class _Event(Read):
    type: Said[str] = None
    item_id: Said[str] = None
    output_index: Said[int] = None
    item: Said[Item] = None
    delta: Said[str] = None
    response: Any = None
    partial_image_b64: Any = None
    partial_image_index: Said[int] = None
    background: Said[str] = None
    output_format: Said[str] = None
    quality: Said[str] = None
    size: Said[str] = None

    def preview(self) -> Image | None:
        """The preview it brings; one that cannot be read is none."""
        found = pictured(self.partial_image_b64, echo=echoed(self))
        return found if isinstance(found, Image) else None


class Watched:
    """The previews, the pictures and the words of a response whose events are taken one by one."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self.seen = Seen()

    def take(self, found: dict[str, Any], opened: HttpResponse) -> Effects[ImageResponse | None]:
        """Tell what the event *found* says; at the end, what the response came to."""
        event, seen = read(_Event, found), self.seen
        match event.type:
            case "response.queued":
                yield from emit(Queued())
            case "response.image_generation_call.in_progress":
                yield from emit(Progress(message="the picture is begun"))
            case "response.image_generation_call.generating":
                yield from emit(Progress(message="the picture is being made"))
            case "response.image_generation_call.partial_image":
                if preview := event.preview():
                    index = seen.previewed(event.item_id, event.output_index)
                    step = event.partial_image_index or 0
                    yield from emit(PartialImage(index=index, step=step, image=preview))
            case "response.output_item.done" if event.item and event.item.type == CALL:
                picture = event.item.picture()
                if isinstance(picture, Image):
                    index = seen.done(event.item.id, event.output_index, picture)
                    yield from emit(ImageReady(index=index, image=picture))
                else:
                    seen.failed(event.item, event.output_index)
            case said if said in WORDS:
                phase, kind = WORDS[said]
                seen.words[kind] = seen.words.get(kind, "") + (event.delta or "")
                yield from emit(Text(text=event.delta or "", phase=phase))
            case end if end in ENDS:
                return decode(read(Body, event.response), opened, self._wanted, seen)
            case _:
                pass
        return None


def streamed(wanted: Wanted, opened: HttpResponse) -> Flow:
    """The previews, the pictures and the words of a stream."""
    watched, events = Watched(wanted), Events(opened)
    while (found := (yield from events.next())) is not None:
        if (done := (yield from watched.take(found, opened))) is not None:
            return done
    raise events.cut("the stream ended before the response was done")
