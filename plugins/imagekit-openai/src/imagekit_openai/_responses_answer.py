"""A finished response object of the Responses API, as an `ImageResponse`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from pydantic import BaseModel, JsonValue

from imagekit import Image, ImageFailure, ImageRequest, ImageResponse, Notice, State, Usage
from imagekit.provider import HttpResponse

from ._lenient import Said, pictured
from ._models import IMAGE_MODEL
from ._readings import SvgTokens, Tokens, moment, rate_limits, request_ids, usage
from ._refusals import envelope, error_of, failure
from ._responses_request import NAME

CALL = "image_generation_call"
# What tells one item from another: its id, or its place in the output where it has none.
Key: TypeAlias = str | int


class _Content(BaseModel):
    type: Said[str] = None
    text: Said[str] = None
    refusal: Said[str] = None


class Item(BaseModel):
    """One thing the model put out; only what is read of it."""

    id: Said[str] = None
    type: Said[str] = None
    status: Said[str] = None
    result: Any = None
    revised_prompt: Said[str] = None
    action: Said[str] = None
    background: Said[str] = None
    output_format: Said[str] = None
    quality: Said[str] = None
    size: Said[str] = None
    error: Any = None
    svg_usage: Said[SvgTokens] = None
    content: Said[list[Said[_Content]]] = None

    def picture(self) -> Image | ImageFailure | None:
        """A call's picture; whether it has one is what counts, not the status it claims."""
        kept = {"action", "background", "output_format", "quality", "size"}
        echo = self.model_dump(include=kept, exclude_none=True)
        return pictured(
            self.result, id=self.id, revised_prompt=self.revised_prompt or None, echo=echo
        )


class _ToolUsage(BaseModel):
    image_gen: Said[Tokens] = None


class _Incomplete(BaseModel):
    reason: Said[str] = None


class Body(BaseModel):
    """A response object; only what is read of it."""

    id: Said[str] = None
    status: Said[str] = None
    created_at: Said[float] = None
    model: Said[str] = None
    store: Said[bool] = None
    output: Said[list[Said[Item]]] = None
    usage: Said[Tokens] = None
    tool_usage: Said[_ToolUsage] = None
    error: Any = None
    incomplete_details: Said[_Incomplete] = None
    safety_identifier: Said[str] = None

    def items(self) -> dict[Key, Item]:
        """What the model put out, in order."""
        listed = enumerate(self.output or ())
        return {item.id or place: item for place, item in listed if item is not None}

    def said(self, kind: str) -> str:
        """All the words of one kind: "output_text" or "refusal"."""
        parts = [part for item in self.items().values() for part in item.content or () if part]
        return "".join(part.text or part.refusal or "" for part in parts if part.type == kind)


class Seen:
    """What a stream has shown so far: pictures in the order of their slots, and words."""

    def __init__(self) -> None:
        self.images: dict[Key, Image | None] = {}
        self.words: dict[str, str] = {}

    def slot(self, key: Key) -> int:
        """The slot of an item; the next free one at first sight."""
        self.images.setdefault(key, None)
        return list(self.images).index(key)

    def failed(self, key: Key) -> None:
        """An attempt came to nothing: its slot is the next one's, unless pictures follow it."""
        after = list(self.images)[self.slot(key) :]
        if not any(self.images[later] for later in after):
            del self.images[key]


def decode(
    body: Body, response: HttpResponse, request: ImageRequest, seen: Seen | None = None
) -> ImageResponse:
    """A finished response object as an `ImageResponse`; *seen* is what came before it.

    Pictures come first; a failed attempt takes a slot only where pictures are wanting.
    """
    seen = seen or Seen()
    text = body.said("output_text") or seen.words.get("output_text", "")
    refusal = body.said("refusal") or seen.words.get("refusal", "")
    calls = {key: item for key, item in body.items().items() if item.type == CALL}

    def slot(key: Key) -> Image | ImageFailure:
        item = calls.get(key)
        found = seen.images.get(key) or (item.picture() if item else None)
        return found or _why(body, text, refusal, item)

    slots = [slot(key) for key in seen.images]
    others = [slot(key) for key in calls if key not in seen.images]
    slots += [one for one in others if isinstance(one, Image)]
    failed = [one for one in others if isinstance(one, ImageFailure)]
    slots += failed[: max(0, request.n - len(slots))]
    images = [one for one in slots if isinstance(one, Image)]
    if body.error and not images:
        raise error_of(envelope({"error": body.error}), response)
    if not slots:
        slots = [_why(body, text, refusal, None)]
    return ImageResponse(
        slots=tuple(slots),
        model=request.model or IMAGE_MODEL,
        text=text or None,
        usage=_usage(body, calls),
        notices=_unfinished(body) if images else (),
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


def _why(body: Body, text: str, refusal: str, item: Item | None) -> ImageFailure:
    """Why there is no picture: the call's own error first, then what is said of the whole."""
    if item is not None and item.error:
        return failure(envelope({"error": item.error}))
    if refusal:
        return ImageFailure(kind="refused", reason=refusal, code="refusal")
    why = body.incomplete_details.reason if body.incomplete_details else None
    if why == "content_filter":
        return ImageFailure(
            kind="refused", reason="the answer was filtered", code=why, stage="output"
        )
    if why or body.status not in ("completed", None):
        reason = f"the response ended {body.status}: {why or 'no reason'}"
        return ImageFailure(kind="failed", reason=reason, code=why)
    if item is not None:
        return ImageFailure(kind="failed", reason=f"the image call ended {item.status} and empty")
    said = f"the model answered in words: {text[:200]!r}" if text else "the model made no picture"
    return ImageFailure(kind="missing", reason=said)


def _unfinished(body: Body) -> tuple[Notice, ...]:
    """That a response with pictures did not end well."""
    if not body.error and body.status in ("completed", None):
        return ()
    why = str(error_of(envelope({"error": body.error}))) if body.error else None
    why = why or (body.incomplete_details.reason if body.incomplete_details else None)
    detail = f"the response ended {body.status}: {why or 'no reason'}"
    return (Notice(kind="incomplete", feature="response", detail=detail),)


def _usage(body: Body, calls: Mapping[Key, Item]) -> Usage | None:
    picture = body.tool_usage.image_gen if body.tool_usage else None
    svgs = [item.svg_usage for item in calls.values() if item.svg_usage]
    return usage(picture, svgs, body.usage, body.model)


def _state(body: Body, images: list[Image]) -> State | None:
    """From where the first picture can be continued: nowhere, if nothing of it is stored."""
    if body.id is None or not images or body.store is False:
        return None
    items: list[JsonValue] = []
    # A picture's id alone is refused where the model reasoned: the reasoning before it goes along.
    for item in body.items().values():
        if item.id is not None and item.id == images[0].id:
            break
        if item.type == "reasoning" and item.id:
            items = [{"type": "reasoning", "id": item.id, "summary": []}]
    if images[0].id:
        items = [*items, {"type": CALL, "id": images[0].id}]
    return State(provider=NAME, payload={"response_id": body.id, "items": items})
