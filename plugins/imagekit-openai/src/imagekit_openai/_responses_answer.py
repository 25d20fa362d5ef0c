"""A finished response object of the Responses API, as an `ImageResponse`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any, TypeAlias

from pydantic import JsonValue

from imagekit import Image, ImageFailure, ImageResponse, Notice, State, Usage
from imagekit.provider import HttpResponse

from ._lenient import Read, Said, Wanted, pictured
from ._models import IMAGE_MODEL
from ._readings import SvgTokens, Tokens, moment, served, told, usage
from ._refusals import envelope, error_of, failure
from ._responses_request import NAME

CALL = "image_generation_call"
# What tells one call from another, whatever ids and places its events give it.
Key: TypeAlias = int


class _Content(Read):
    type: Said[str] = None
    text: Said[str] = None
    refusal: Said[str] = None


class Item(Read):
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

    @property
    def made(self) -> bool:
        """Whether it says that it is a call that came to a picture."""
        return self.type == CALL and self.status == "completed" and not self.error

    def picture(self) -> Image | ImageFailure | None:
        """A call's picture; whether it has one is what counts, not the status it claims."""
        kept = {"action", "background", "output_format", "quality", "size"}
        echo = self.model_dump(include=kept, exclude_none=True)
        return pictured(
            self.result, id=self.id, revised_prompt=self.revised_prompt or None, echo=echo
        )


class _Conversation(Read):
    id: Said[str] = None


class _ToolUsage(Read):
    image_gen: Said[Tokens] = None


class _Incomplete(Read):
    reason: Said[str] = None


class Body(Read):
    """A response object; only what is read of it."""

    id: Said[str] = None
    status: Said[str] = None
    created_at: Said[float] = None
    model: Said[str] = None
    store: Said[bool] = None
    conversation: Said[str | _Conversation] = None
    output: Said[list[Said[Item]]] = None
    usage: Said[Tokens] = None
    tool_usage: Said[_ToolUsage] = None
    error: Any = None
    incomplete_details: Said[_Incomplete] = None
    safety_identifier: Said[str] = None

    def items(self) -> dict[int, Item]:
        """What the model put out, by its place."""
        listed = enumerate(self.output or ())
        return {place: item for place, item in listed if item is not None}

    def said(self, kind: str) -> str:
        """All the words of one kind: "output_text" or "refusal"."""
        parts = [part for item in self.items().values() for part in item.content or () if part]
        return "".join(part.text or part.refusal or "" for part in parts if part.type == kind)


class Seen:
    """What a stream has shown so far: pictures in the order of their slots, and words.

    Events name a call by its place in the output, by an id, by both or by neither, and servers
    disagree with themselves about the ids: the place counts first.
    """

    def __init__(self) -> None:
        self.images: dict[Key, Image | None] = {}
        self.failures: dict[Key, Item] = {}
        self.words: dict[str, str] = {}
        self._places: dict[int, Key] = {}
        self._ids: dict[str, Key] = {}
        self._keys = count()

    def previewed(self, id: str | None, place: int | None) -> int:
        """The slot of a preview; one that names no call is of the one that is under way."""
        key = self._key(id, place)
        if not id and place is None:
            key = next(self._open(), key)
        names = {*self._ids.values(), *self._places.values()}
        self._take(key, (one for one in self._open() if one not in names))
        return self._slot(key)

    def done(self, id: str | None, place: int | None, image: Image) -> int:
        """The slot of a picture."""
        key = self._key(id, place)
        before = self.images.get(key)
        if before and (before.id != id or (id is None and not before.same(image))):
            # Another picture under the same name is another call all the same.
            key = next(self._keys)
            self._ids |= {id: key} if id else {}
        self._take(key, self._open())
        self.images[key] = image
        return self._slot(key)

    def failed(self, item: Item, place: int | None) -> None:
        """An attempt came to nothing: its slot is the next one's, unless pictures follow it."""
        key = self._key(item.id, place)
        self._take(key, self._open())
        self.failures[key] = item
        after = list(self.images)[self._slot(key) :]
        if not any(self.images[later] for later in after):
            del self.images[key]

    def calls(self, body: Body) -> dict[Key, Item]:
        """The finished calls, each but once: those of *body*, and failures that it leaves out."""
        calls: dict[Key, Item] = {}
        for place, item in body.items().items():
            if item.type == CALL:
                free = (key for key in self._named(item, place) if key not in calls)
                calls[next(free, next(self._keys))] = item
        return {**self.failures, **calls}

    def _named(self, item: Item, place: int) -> Iterator[Key]:
        """The calls that a finished *item* may be, the likeliest first."""
        if item.id in self._ids:
            yield self._ids[item.id]
        found = item.picture()
        for key, image in self.images.items():
            if image and isinstance(found, Image) and image.same(found):
                yield key
        # The last to be believed: an end that leaves items out moves the others up.
        if place in self._places:
            yield self._places[place]

    def _key(self, id: str | None, place: int | None) -> Key:
        key = None if place is None else self._places.get(place)
        if key is None and id:
            key = self._ids.get(id)
            if place is not None and key in self._places.values():
                key = None
        key = next(self._keys) if key is None else key
        if place is not None:
            self._places[place] = key
        if id:
            self._ids.setdefault(id, key)
        return key

    def _open(self) -> Iterator[Key]:
        """The calls of which there are only previews."""
        return (key for key, image in self.images.items() if image is None)

    def _take(self, key: Key, free: Iterator[Key]) -> None:
        """A call at first sight takes over a slot of previews that named another, or none."""
        if key not in self.images:
            left = next(free, None)
            self.images = {key if k == left else k: image for k, image in self.images.items()}

    def _slot(self, key: Key) -> int:
        """The slot of a call; the next free one at first sight."""
        self.images.setdefault(key, None)
        return list(self.images).index(key)


def decode(
    body: Body, response: HttpResponse, request: Wanted, seen: Seen | None = None
) -> ImageResponse:
    """A finished response object as an `ImageResponse`; *seen* is what came before it.

    Pictures come first; an attempt that failed, or of which nobody knows how it ended, takes a
    slot only where pictures are wanting.
    """
    seen = seen or Seen()
    text = body.said("output_text") or seen.words.get("output_text", "")
    refusal = body.said("refusal") or seen.words.get("refusal", "")
    calls = seen.calls(body)

    def slot(key: Key) -> Image | ImageFailure:
        item = calls.get(key)
        found = seen.images.get(key) or (item.picture() if item else None)
        return found or _why(body, text, refusal, item)

    shown = {key: slot(key) for key in seen.images}
    others = [slot(key) for key in calls if key not in shown]
    come = [one for one in (*shown.values(), *others) if isinstance(one, Image)]
    enough = len(come) >= request.n
    slots = [
        one for key, one in shown.items() if isinstance(one, Image) or key in calls or not enough
    ]
    slots += [one for one in others if isinstance(one, Image)]
    failed = [one for one in others if isinstance(one, ImageFailure)]
    slots += failed[: max(0, request.n - len(slots))]
    images = [one for one in slots if isinstance(one, Image)]
    error = error_of(envelope({"error": body.error}), response) if body.error else None
    if not slots and error is None:
        slots = [_why(body, text, refusal, None)]
    found = ImageResponse(
        slots=tuple(slots),
        model=request.model or IMAGE_MODEL,
        text=text or None,
        usage=_usage(body, calls),
        notices=_unfinished(body) if images else (),
        created=moment(body.created_at),
        state=_state(body, images),
        **told(response.headers),
        metadata={
            **served(response.headers),
            **{
                name: value
                for name, value in {
                    "response_id": body.id,
                    "conversation_model": body.model,
                    "status": body.status,
                    "safety_identifier": body.safety_identifier,
                }.items()
                if value is not None
            },
        },
    )
    if error is not None and not images:
        # What is said of the whole says more than a call without a word of its own.
        own = [failure(envelope({"error": one.error})) for one in calls.values() if one.error]
        error.response = found.model_copy(update={"slots": tuple(own)})
        raise error
    return found


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
        made = "; the picture was made, and is not in the answer" if item.made else ""
        reason = f"the image call ended {item.status} and empty{made}"
        return ImageFailure(kind="failed", reason=reason)
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
    said = body.conversation
    kept = said.id if isinstance(said, _Conversation) else said
    payload: dict[str, JsonValue] = {"response_id": body.id, "items": items}
    if kept:
        payload["conversation"] = kept
    return State(provider=NAME, payload=payload)
