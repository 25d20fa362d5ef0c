"""What a Responses request says: the words and pictures of a conversation, and one image tool."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, JsonValue

from ..._input import ImageInput
from .fields import Drawn, Reference
from .inputs import VIEWABLE, Inputs
from .reading import Wire, read
from .refusals import Refusal, RefusedError, invalid

TOOL = "image_generation"
CALL = "image_generation_call"
_FORCED = {"type": TOOL}
_CHOICES = (
    None, "auto", "required", _FORCED,
    *({"type": "allowed_tools", "mode": mode, "tools": [_FORCED]} for mode in ("auto", "required")),
)  # fmt: skip


class Tool(Drawn):
    """The image tool."""

    type: Literal["image_generation"]
    action: Literal["auto", "generate", "edit"] | None = None
    input_fidelity: Literal["high", "low"] | None = None
    input_image_mask: Reference | None = None

    def own(self) -> dict[str, Any]:
        """What only providers of the same family read."""
        found = super().own()
        if self.input_fidelity is not None:
            found["input_fidelity"] = self.input_fidelity
        return found


class StreamOptions(Wire):
    """How a stream is padded; this server pads nothing."""

    include_obfuscation: bool | None = None


class ImageContext(Wire):
    """How input pictures are kept in context."""

    context_compression: Literal["auto", "enabled", "disabled"] | None = None


class Thinking(Wire):
    """How the text model of a conversation reasons."""

    context: str | None = None
    effort: str | None = None
    generate_summary: str | None = None
    mode: str | None = None
    summary: str | None = None


class Wording(Wire):
    """How the text model of a conversation answers."""

    format: dict[str, JsonValue] | None = None
    verbosity: str | None = None


class Create(Wire):
    """`POST /responses`."""

    model: str | None = None
    input: Any = None
    instructions: Annotated[str, Field(max_length=1_000_000)] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: Any = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    background: bool | None = None
    store: bool | None = None
    previous_response_id: str | None = None
    conversation: Any = None
    prompt: Any = None
    include: list[str] | None = None
    metadata: Annotated[dict[str, str], Field(max_length=16)] | None = None
    reasoning: Thinking | None = None
    text: Wording | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    top_logprobs: int | None = None
    truncation: Literal["auto", "disabled"] | None = None
    max_output_tokens: Annotated[int, Field(ge=16)] | None = None
    max_tool_calls: Annotated[int, Field(ge=1)] | None = None
    parallel_tool_calls: bool | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    prompt_cache_options: dict[str, Any] | None = None
    safety_identifier: Annotated[str, Field(max_length=128)] | None = None
    user: str | None = None
    service_tier: (
        Literal["auto", "default", "flex", "scale", "priority", "fast", "ultrafast"] | None
    ) = None
    image: ImageContext | None = None
    moderation: dict[str, Any] | None = None
    context_management: Any = None
    access_programs: Any = None

    @property
    def stores(self) -> bool:
        """Whether the response is kept."""
        return self.store is not False

    def check(self) -> Tool:
        """Turn away what this server does not do; the tool, with what the request says of it."""
        for name in ("conversation", "prompt", "context_management", "access_programs"):
            if getattr(self, name) is not None:
                raise _unsupported(name)
        if self.background and not self.stores:
            raise invalid("background=true needs store=true.", "background")
        found: Tool | None = None
        for place, given in enumerate(self.tools or ()):
            if given.get("type") != TOOL:
                raise invalid(
                    f"Invalid value: {str(given.get('type'))[:80]!r}. This server has one tool: "
                    f"'{TOOL}'.",
                    f"tools[{place}].type",
                )
            if found is not None:
                raise invalid(f"'{TOOL}' stands there twice.", f"tools[{place}]")
            found = read(Tool, given, at=f"tools[{place}]")
            found.check(f"tools[{place}].")
        if found is None:
            raise invalid(
                f"Missing required parameter: 'tools'. This server makes pictures only: pass "
                f"tools=[{{'type': '{TOOL}'}}].",
                "tools",
                "missing_required_parameter",
            )
        self._choice()
        return found

    def _choice(self) -> None:
        if self.tool_choice == "none":
            raise invalid(
                "tool_choice is 'none', and this server does nothing but call its tool.",
                "tool_choice",
            )
        if self.tool_choice not in _CHOICES:
            raise invalid("Invalid value for 'tool_choice'.", "tool_choice")


def _unsupported(name: str) -> RefusedError:
    message = f"'{name}' is not supported by this server."
    return RefusedError(Refusal(400, message, code="unsupported_parameter", param=name))


class _Text(Wire):
    type: Literal["input_text"]
    text: str
    prompt_cache_breakpoint: Any = None


class _Picture(Reference):
    type: Literal["input_image"]
    detail: Literal["low", "high", "auto", "original"] | None = None
    prompt_cache_breakpoint: Any = None


class _Message(Wire):
    type: Literal["message"] = "message"
    role: Literal["user", "assistant", "system", "developer"]
    content: Any
    id: str | None = None
    status: str | None = None
    phase: Any = None


class _Called(Wire):
    """An item that was once an output: what else it holds is not ours to judge."""

    model_config = ConfigDict(extra="ignore")

    id: str
    result: str | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """A picture that was made earlier: its id, and itself in base64 where a request repeats it."""

    id: str
    result: str | None = None


# More than any provider reads: what the Images API takes is a thirtieth of it.
_LONGEST = 1_000_000


@dataclass(slots=True)
class Conversation:
    """What has been said since the last pictures were made, and which pictures those were."""

    words: list[str] = field(default_factory=list)
    pictures: list[ImageInput] = field(default_factory=list)
    earlier: list[Made] = field(default_factory=list)
    instructions: list[str] = field(default_factory=list)
    detail: str | None = None
    _named: bool = False
    _before: tuple[list[str], list[ImageInput]] = ([], [])

    @property
    def prompt(self) -> str:
        """Everything that the user said."""
        return "\n\n".join(words for words in self.words if words.strip())

    def made(self, picture: Made) -> None:
        """A picture came of it; what is said from now on is about that, or those."""
        if self.words or self.pictures or not self._named:
            self._before = self.words, self.pictures
            self.words, self.pictures, self.earlier, self._named = [], [], [], True
        self.earlier.append(picture)

    def end(self) -> None:
        """All is said. Where nothing was after a picture, what stands before it is about it."""
        if not self.words and not self.pictures:
            self.words, self.pictures = self._before


async def understood(given: Any, into: Conversation, inputs: Inputs) -> Conversation:
    """*given*, a request's input, added to the conversation so far."""
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
    if not isinstance(given, list) or not given:
        message = "Missing required parameter: 'input'. It is text, or a list of items."
        raise invalid(message, "input", "missing_required_parameter")
    for place, item in enumerate(given):
        at = f"input[{place}]"
        if not isinstance(item, Mapping):
            raise invalid(f"Invalid type for '{at}': expected an object.", at, "invalid_type")
        match item.get("type", "message"):
            case "message":
                await _message(read(_Message, item, at=at), at, into, inputs)
            case "image_generation_call" | "item_reference":
                named = read(_Called, item, at=at)
                into.made(Made(named.id, named.result))
            case "reasoning":
                pass
            case kind:
                raise invalid(
                    f"Invalid value: {str(kind)[:80]!r}. Supported values are: 'message', "
                    f"'{CALL}', 'reasoning', and 'item_reference'.",
                    f"{at}.type",
                )
    into.end()
    if sum(map(len, (*into.words, *into.instructions))) > _LONGEST:
        message = f"Invalid 'input': more than {_LONGEST} characters of text."
        raise invalid(message, "input", "string_above_max_length")
    return into


async def _message(said: _Message, at: str, into: Conversation, inputs: Inputs) -> None:
    content = said.content
    if isinstance(content, str):
        content = [{"type": "input_text", "text": content}]
    if not isinstance(content, list):
        where = f"{at}.content"
        raise invalid(f"Invalid type for '{where}': expected text or an array.", where)
    for place, part in enumerate(content):
        where = f"{at}.content[{place}]"
        kind = part.get("type") if isinstance(part, Mapping) else None
        if kind in ("output_text", "refusal"):
            continue  # what a model said before
        if kind == "input_image":
            found = read(_Picture, part, at=where)
            url, id = found.image_url, found.file_id
            into.pictures.append(await inputs.referred(where, url=url, file_id=id, kinds=VIEWABLE))
            into.detail = found.detail or into.detail
            continue
        if kind != "input_text":
            raise invalid(
                f"Invalid value: {str(kind)[:80]!r}. Supported values are: 'input_text' and "
                "'input_image'.",
                f"{where}.type",
            )
        words = read(_Text, part, at=where).text
        if said.role == "user":
            into.words.append(words)
        elif said.role != "assistant":
            into.instructions.append(words)
