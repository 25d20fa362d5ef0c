"""The provider `openai-responses`: the image_generation tool of the Responses API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field

from imagekit import (
    Image,
    ImageFailure,
    ImageReady,
    ImageRequest,
    ImageResponse,
    PartialImage,
    Progress,
    Queued,
    State,
    Text,
    TruncatedStreamError,
)
from imagekit.provider import (
    Blob,
    Capabilities,
    Config,
    Flow,
    HttpResponse,
    Operation,
    emit,
    hookimpl,
    notice,
    open_stream,
    send,
)

from ._account import Account
from ._events import emulated, next_event, read
from ._images_request import VARIATION
from ._models import AS_OF, IMAGE_MODEL, MODELS, SOURCE, lifecycle, parameters, size_rule
from ._readings import SvgTokens, Tokens, moment, rate_limits, request_ids, usage
from ._refusals import error_from, error_of, failure, judge
from ._responses_request import NAME, encode

CALL = "image_generation_call"


class _Content(BaseModel):
    type: str = ""
    text: str | None = None
    refusal: str | None = None


class _Item(BaseModel):
    """One thing the model put out; only what is read of it."""

    id: str | None = None
    type: str = ""
    status: str | None = None
    result: Blob | None = None
    revised_prompt: str | None = None
    action: str | None = None
    background: str | None = None
    output_format: str | None = None
    quality: str | None = None
    size: str | None = None
    error: Mapping[str, Any] | None = None
    svg_usage: SvgTokens | None = None
    content: list[_Content] | None = None

    def image(self) -> Image | None:
        """Its picture; whether it has one is what counts, not the status it claims."""
        if self.type != CALL or self.result is None or not len(self.result):
            return None
        kept = {"action", "background", "output_format", "quality", "size"}
        return Image(
            data=bytes(self.result),
            id=self.id,
            revised_prompt=self.revised_prompt,
            echo=self.model_dump(include=kept, exclude_none=True),
        )


class _ToolUsage(BaseModel):
    image_gen: Tokens | None = None


class _Incomplete(BaseModel):
    reason: str | None = None


class _Body(BaseModel):
    """A response object; only what is read of it."""

    id: str | None = None
    status: str | None = None
    created_at: float | None = None
    model: str | None = None
    store: bool | None = None
    output: list[_Item] = Field(default_factory=list)
    usage: Tokens | None = None
    tool_usage: _ToolUsage | None = None
    error: Mapping[str, Any] | None = None
    incomplete_details: _Incomplete | None = None
    safety_identifier: str | None = None


def decode(
    body: _Body,
    response: HttpResponse,
    request: ImageRequest,
    seen: Mapping[str | None, Image] | None = None,
) -> ImageResponse:
    """A finished response object as an `ImageResponse`; *seen* are pictures that came before it.

    Pictures come first; a failed attempt takes a slot only where pictures are wanting.
    """
    calls = [item for item in body.output if item.type == CALL]
    known = {**{item.id: item.image() for item in calls}, **(seen or {})}
    images = [image for image in known.values() if image is not None]
    failed = [_failed(item) for item in calls if known[item.id] is None]
    text = "".join(part.text or "" for part in _contents(body) if part.type == "output_text")
    if body.error and not images:
        raise error_of(body.error, response)
    wanting = max(0, request.n - len(images))
    if wanting and not failed:
        failed = [_reason(body, text)]
    return ImageResponse(
        slots=(*images, *failed[:wanting]),
        model=request.model or IMAGE_MODEL,
        text=text or None,
        usage=_usage(body, calls),
        created=moment(body.created_at),
        request_ids=request_ids(response.headers),
        rate_limits=rate_limits(response.headers),
        state=_state(body, images),
        metadata={
            name: value
            for name, value in {
                "response_id": body.id,
                "conversation_model": body.model,
                "status": body.status,
                "safety_identifier": body.safety_identifier,
            }.items()
            if value is not None
        },
    )


def _contents(body: _Body) -> list[_Content]:
    return [part for item in body.output if item.type == "message" for part in item.content or ()]


def _failed(item: _Item) -> ImageFailure:
    if item.error:
        return failure(item.error)
    return ImageFailure(kind="failed", reason=f"the image call ended {item.status} and empty")


def _reason(body: _Body, text: str) -> ImageFailure:
    """Why a response without a picture has none."""
    refusal = "".join(part.refusal or "" for part in _contents(body))
    if refusal:
        return ImageFailure(kind="refused", reason=refusal, code="refusal")
    why = body.incomplete_details.reason if body.incomplete_details else None
    if why == "content_filter":
        return ImageFailure(
            kind="refused", reason="the answer was filtered", code=why, stage="output"
        )
    if why or body.status in ("failed", "cancelled", "incomplete"):
        return ImageFailure(
            kind="failed",
            reason=f"the response ended {body.status}: {why or 'no reason'}",
            code=why,
        )
    said = f"the model answered in words: {text[:200]!r}" if text else "the model made no picture"
    return ImageFailure(kind="missing", reason=said)


def _usage(body: _Body, calls: list[_Item]) -> Any:
    picture = body.tool_usage.image_gen if body.tool_usage else None
    svg = next((item.svg_usage for item in calls if item.svg_usage), None)
    return usage(picture, svg, body.usage, body.model)


def _state(body: _Body, images: list[Image]) -> State | None:
    """From where the picture can be continued: nowhere, if nothing of it is stored."""
    if body.id is None or not images or body.store is False:
        return None
    # A picture's id alone is refused where the model reasoned: the reasoning before it goes along.
    items: list[Any] = []
    for item in body.output:
        if item.type == "reasoning" and item.id:
            items = [{"type": "reasoning", "id": item.id, "summary": []}]
        elif item.type == CALL and item.id:
            items = [*items[:1], {"type": CALL, "id": item.id}]
            break
    return State(provider=NAME, payload={"response_id": body.id, "items": items})


class _Watched:
    """What a stream has shown so far: which item has which slot, and its picture."""

    def __init__(self) -> None:
        self.images: dict[str | None, Image] = {}
        self._slots: list[str | None] = []

    def slot(self, item_id: str | None) -> int:
        """The slot of an item; the next free one at first sight."""
        if item_id not in self._slots:
            self._slots.append(item_id)
        return self._slots.index(item_id)

    def failed(self, item_id: str | None) -> None:
        """An attempt came to nothing: its slot is the next one's."""
        if item_id in self._slots:
            self._slots.remove(item_id)


def streamed(request: ImageRequest, opened: HttpResponse) -> Flow:
    """The previews, the pictures and the words of an opened stream."""
    watched = _Watched()
    while (event := (yield from next_event())) is not None:
        kind, item_id = event.get("type", ""), event.get("item_id")
        match kind:
            case "response.queued":
                yield from emit(Queued())
            case "response.image_generation_call.in_progress":
                yield from emit(Progress(message="the picture is begun"))
            case "response.image_generation_call.generating":
                yield from emit(Progress(message="the picture is being made"))
            case "response.image_generation_call.partial_image":
                partial = read(_Partial, event)
                yield from emit(
                    PartialImage(
                        index=watched.slot(item_id),
                        step=partial.partial_image_index,
                        image=Image(data=bytes(partial.partial_image_b64)),
                    )
                )
            case "response.output_item.done":
                item = read(_Item, event.get("item"))
                image = item.image()
                if image is not None and item.id not in watched.images:
                    index = watched.slot(item.id)
                    watched.images[item.id] = image
                    yield from emit(ImageReady(index=index, image=image))
                elif item.type == CALL:
                    watched.failed(item.id)
            case "response.output_text.delta":
                yield from emit(Text(text=str(event.get("delta", ""))))
            case "response.refusal.delta":
                yield from emit(Text(text=str(event.get("delta", "")), phase="refusal"))
            case "response.reasoning_summary_text.delta":
                yield from emit(Text(text=str(event.get("delta", "")), phase="reasoning"))
            case "response.completed" | "response.failed" | "response.incomplete":
                return decode(read(_Body, event.get("response")), opened, request, watched.images)
            case _:
                pass
    raise TruncatedStreamError("the stream ended before the response was done")


class _Partial(BaseModel):
    partial_image_b64: Blob
    partial_image_index: int = 0


class OpenAIResponses:
    """The Responses API of OpenAI, or of a server that speaks it."""

    family = "openai"
    models = MODELS
    judge = staticmethod(judge)

    def __init__(self, account: Account) -> None:
        self._account = account
        self.endpoint = account.endpoint

    def capabilities(self, model: str | None) -> Capabilities:
        """What the image model *model* can do through the tool, as far as it is known."""
        # Of another server's own default nothing is known.
        named = model or (IMAGE_MODEL if self._account.at_home else "")
        model = model or IMAGE_MODEL
        native: frozenset[Operation] = frozenset({"generate", "edit"})
        return Capabilities(
            model=model,
            operations=native,
            emulates=frozenset({"variation"}),
            streaming=self._account.settings.streaming,
            max_images=1,
            inputs=frozenset({"bytes", "url", "file"}),
            mask=self._account.settings.mask,
            size=size_rule(named),
            parameters=parameters(),
            lifecycle=lifecycle(model),
            source=SOURCE,
            as_of=AS_OF,
        )

    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        """Ask for one picture; watch it come where that is wanted."""
        if request.operation == "variation":
            yield from notice(emulated(VARIATION))
        asked = encode(request, stream=stream)
        if not stream:
            return _whole((yield from send(asked)), request)
        opened = yield from open_stream(asked)
        if opened.streamed:
            return (yield from streamed(request, opened))
        return _whole(opened, request)


def _whole(response: HttpResponse, request: ImageRequest) -> ImageResponse:
    if not response.ok:
        raise error_from(response)
    return decode(read(_Body, response.json()), response, request)


@hookimpl
def imagekit_provider(config: Config) -> OpenAIResponses:
    """Build the provider."""
    return OpenAIResponses(Account(config))
