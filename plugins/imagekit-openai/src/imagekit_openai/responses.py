"""The provider `openai-responses`: the image_generation tool of the Responses API."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from imagekit import (
    Image,
    ImageReady,
    ImageRequest,
    PartialImage,
    Progress,
    Queued,
    Text,
    TruncatedStreamError,
)
from imagekit.provider import (
    Capabilities,
    Config,
    Flow,
    HttpResponse,
    emit,
    hookimpl,
    notice,
    open_stream,
    send,
)

from ._account import Account
from ._dialect import Dialect
from ._events import Events, is_stream
from ._images_request import VARIATION
from ._lenient import Said, pictured, read
from ._notices import emulated
from ._refusals import error_from
from ._responses_answer import CALL, Body, Item, Seen, decode
from ._responses_request import encode

ENDS = frozenset(f"response.{how}" for how in ("completed", "failed", "incomplete", "cancelled"))
# What the model says while it works: the event, its phase, and what it is in the finished answer.
WORDS = {
    "response.output_text.delta": ("content", "output_text"),
    "response.refusal.delta": ("refusal", "refusal"),
    "response.reasoning_summary_text.delta": ("reasoning", "reasoning"),
}


class _Event(BaseModel):
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
        kept = {"background", "output_format", "quality", "size"}
        echo = self.model_dump(include=kept, exclude_none=True)
        found = pictured(self.partial_image_b64, echo=echo)
        return found if isinstance(found, Image) else None


def streamed(request: ImageRequest, opened: HttpResponse) -> Flow:
    """The previews, the pictures and the words of a stream."""
    seen, events = Seen(), Events(opened)
    while (found := (yield from events.next())) is not None:
        event = read(_Event, found)
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
                return decode(read(Body, event.response), opened, request, seen)
            case _:
                pass
    raise TruncatedStreamError("the stream ended before the response was done")


class OpenAIResponses(Dialect):
    """The Responses API of OpenAI, or of a server that speaks it."""

    def capabilities(self, model: str | None) -> Capabilities:
        """What the image model *model* can do through the tool, as far as it is known."""
        return self._known(
            model,
            operations={"generate", "edit"},
            emulates={"variation"},
            max_images=1,
            inputs={"bytes", "url", "file"},
        )

    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        """Ask for one picture; watch it come where that is wanted."""
        yield from self._warned(request, stream=stream)
        if request.operation == "variation":
            yield from notice(emulated(VARIATION))
        asked = encode(request, stream=stream)
        answer = yield from (open_stream(asked) if stream else send(asked))
        if not answer.ok:
            raise error_from(answer)
        if is_stream(answer):
            return (yield from streamed(request, answer))
        return decode(read(Body, answer.json()), answer, request)


@hookimpl
def imagekit_provider(config: Config) -> OpenAIResponses:
    """Build the provider."""
    return OpenAIResponses(Account(config))
