"""A neutral request as the Responses API takes it: a conversation with one forced image tool."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, JsonValue

from imagekit import ImageRequest, RequestError, State, UnsupportedRequestError
from imagekit.provider import HttpRequest, options

from ._images_request import VARIATION, Svg, pixels, reference, url
from ._lenient import Read
from ._models import CONVERSATION_MODEL, IMAGE_MODEL
from ._notices import unpreviewed

NAME = "openai-responses"
BLOBS = frozenset({"result", "partial_image_b64"})
TOOL = "image_generation"


class Template(Read):
    """A prompt that the provider keeps: `{"id": …, "version": …, "variables": {…}}`."""

    id: str
    version: str | None = None
    variables: Mapping[str, JsonValue] | None = None


class Options(Read):
    """What only the Responses API knows.

    `extra_body` is merged last, unchecked, and `extra_tool` into the tool; a null in them leaves a
    field out.
    `conversation_model` is the text model that leads the conversation and calls the image tool.
    `continue_by` says how a `state` is continued: by the earlier response's id, in its
    conversation (the default where it has one), or by the ids of its picture and of the reasoning
    that belongs to it.
    `conversation` is the id of one that is kept by OpenAI; `prompt_template` a prompt that is kept
    there too; `response_moderation` the moderation of the whole response, beside the tool's own.
    """

    conversation_model: str | None = None
    action: Literal["auto", "generate", "edit"] | None = None
    complexity: str | None = None
    frame_count: int | None = Field(default=None, ge=2, le=16)
    frame_duration_ms: int | None = Field(default=None, ge=20, le=655_350)
    svg: Svg | None = None
    input_fidelity: str | None = None
    detail: Literal["low", "high", "auto", "original"] | None = None
    context_compression: Literal["auto", "enabled", "disabled"] | None = None
    continue_by: Literal["response", "conversation", "item"] | None = None
    conversation: str | None = None
    prompt_template: Template | None = None
    tool_choice: JsonValue = None
    instructions: str | None = None
    reasoning: Mapping[str, JsonValue] | None = None
    store: bool | None = None
    include: tuple[str, ...] | None = None
    metadata: Mapping[str, str] | None = None
    service_tier: str | None = None
    truncation: Literal["auto", "disabled"] | None = None
    max_output_tokens: int | None = None
    max_tool_calls: int | None = None
    parallel_tool_calls: bool | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: Mapping[str, JsonValue] | None = None
    context_management: tuple[Mapping[str, JsonValue], ...] | None = None
    response_moderation: Mapping[str, JsonValue] | None = None
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, ge=0, le=1)
    safety_identifier: str | None = None
    extra_body: Mapping[str, JsonValue] = Field(default_factory=dict)
    extra_tool: Mapping[str, JsonValue] = Field(default_factory=dict)

    @property
    def top_level(self) -> dict[str, Any]:
        """The options that stand beside the conversation, not in the tool."""
        names = {
            "context_management",
            "conversation",
            "include",
            "instructions",
            "max_output_tokens",
            "max_tool_calls",
            "metadata",
            "parallel_tool_calls",
            "prompt_cache_key",
            "prompt_cache_options",
            "reasoning",
            "safety_identifier",
            "service_tier",
            "store",
            "temperature",
            "top_p",
            "truncation",
        }
        found = self.model_dump(include=names, exclude_none=True, mode="json")
        # By these names a request and the tool mean something else.
        renamed = {"prompt": self.prompt_template, "moderation": self.response_moderation}
        for name, value in renamed.items():
            if isinstance(value, Template):
                value = value.model_dump(exclude_none=True)
            if value is not None:
                found[name] = value
        return found


def encode(request: ImageRequest, *, stream: bool) -> HttpRequest:
    """The call that makes one picture."""
    said = options(request, Options)
    wire: dict[str, Any] = {
        "model": said.conversation_model or CONVERSATION_MODEL,
        "input": _input(request, said),
        "tools": [_tool(request, said, stream=stream)],
        "tool_choice": said.tool_choice or {"type": TOOL},
        **said.top_level,
    }
    if request.user is not None:
        wire.setdefault("safety_identifier", request.user)
    if said.context_compression is not None:
        wire["image"] = {"context_compression": said.context_compression}
    way = _way(request, said)
    if request.state is not None and way == "response":
        wire["previous_response_id"] = _left(request.state, "response_id")
    if request.state is not None and way == "conversation":
        wire["conversation"] = _same(_left(request.state, "conversation"), said.conversation)
    if request.detach:
        wire = {**wire, "background": True, "store": wire.get("store", True)}
    if stream:
        wire |= {"stream": True, "stream_options": {"include_obfuscation": False}}
    wire = _given({**wire, **said.extra_body})
    _possible(wire, request, way)
    return HttpRequest("POST", "/responses", json=wire, blobs=BLOBS)


def _way(request: ImageRequest, said: Options) -> str | None:
    """How the request's state is continued; None where it has none."""
    if request.state is None:
        return None
    kept = request.state.payload.get("conversation")
    return said.continue_by or ("conversation" if kept else "response")


def _same(kept: str, said: str | None) -> str:
    if said not in (None, kept):
        raise RequestError(
            f"the state belongs to the conversation {kept!r}, and the option names {said!r}: leave "
            "the option out, or say continue_by='item' to take the picture along"
        )
    return kept


def _possible(wire: Mapping[str, Any], request: ImageRequest, way: str | None) -> None:
    """Refuse what the other side would refuse, or what could not be followed from here."""
    if "previous_response_id" in wire and "conversation" in wire:
        raise RequestError(
            "a response follows another one or stands in a conversation, not both: say "
            "continue_by='item' to take an earlier picture into a conversation"
        )
    if "background" in wire and wire["background"] is not False and not request.detach:
        raise RequestError("a response is made in the background by detach=True, or by submit()")
    if wire.get("store") is not False:
        return
    if request.detach:
        raise UnsupportedRequestError(
            "what is made in the background has to be stored until it is asked for: leave "
            "store=False or detach out"
        )
    if way == "item":
        raise UnsupportedRequestError(
            "an earlier picture goes by its id only where responses are stored: leave store=False "
            "out, or give the picture itself in images="
        )


def _tool(request: ImageRequest, said: Options, *, stream: bool) -> dict[str, Any]:
    tool = {
        "type": TOOL,
        "model": request.model or IMAGE_MODEL,
        "action": said.action,
        "size": pixels(request),
        "quality": request.quality,
        "background": request.background,
        "output_format": request.output_format,
        "output_compression": request.output_compression,
        "moderation": request.moderation,
        "complexity": said.complexity,
        "partial_images": request.partial_images if stream and not unpreviewed(request) else None,
        "frame_count": said.frame_count,
        "frame_duration_ms": said.frame_duration_ms,
        "input_fidelity": said.input_fidelity,
        "input_image_mask": reference(request.mask.image) if request.mask else None,
        "svg": said.svg.model_dump(exclude_none=True) if said.svg else None,
    }
    return _given({**tool, **said.extra_tool})


def _given(wire: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in wire.items() if value is not None}


def _input(request: ImageRequest, said: Options) -> Any:
    prompt = request.prompt or VARIATION
    earlier = _earlier(request, _way(request, said))
    if not request.images and not earlier:
        return prompt
    content: list[dict[str, Any]] = [{"type": "input_text", "text": prompt}]
    for given in request.images:
        if given.role == "markup":
            raise UnsupportedRequestError("the Responses API takes no markup; openai-images does")
        part: dict[str, Any] = {"type": "input_image"}
        if given.file_id is not None:
            part["file_id"] = given.file_id
        else:
            part["image_url"] = url(given)
        if said.detail is not None:
            part["detail"] = said.detail
        content.append(part)
    return [*earlier, {"role": "user", "content": content}]


def _earlier(request: ImageRequest, way: str | None) -> list[Any]:
    if request.state is None or way != "item":
        return []
    return list(_left(request.state, "items"))


def _left(state: State, name: str) -> Any:
    """What an earlier response left; raises where somebody else left it."""
    if state.provider != NAME:
        raise RequestError(f"the state is {state.provider}'s, and only it can continue it")
    found = state.payload.get(name)
    if not isinstance(found, list if name == "items" else str) or not found:
        raise RequestError(f"the state has no {name!r}: it is not as {NAME} gave it")
    return found
