"""What a Responses request asks of a provider: the call that it comes to."""

from __future__ import annotations

from typing import Any

from ..._input import ImageInput
from ..._mask import Mask
from ..._meant import request_of
from ..._request import State
from .._log import Record
from .._routes import Target
from .._service import Service
from .calls import Call
from .conversation import CALL, Conversation, Create, Made, Tool, understood
from .images import heard
from .inputs import VIEWABLE, Inputs
from .notices import notices_of
from .refusals import invalid
from .shelf import Shelf

# What a provider of this very dialect has no name for, and hands on as it stands.
_UNNAMED = {
    "moderation", "prompt_cache_options", "prompt_cache_retention", "temperature", "text",
    "top_logprobs", "top_p",
}  # fmt: skip
# What of the conversation matters to the picture.
_DRAWS = ("instructions", "moderation")


class Asking:
    """Makes calls of what one caller asks."""

    def __init__(self, service: Service, shelf: Shelf, record: Record) -> None:
        self._service, self._shelf, self._record = service, shelf, record
        self._owner = str(record.owner)
        self._inputs = Inputs(service.limits, service.kept, self._owner)

    async def call(self, asked: Create, tool: Tool) -> Call:
        """The call that *asked* comes to."""
        service = self._service
        # Where the tool names no model, the conversation's may stand in the table in its place.
        routes = service.routes
        beside_it = asked.model if routes.knows(asked.model) else None
        target = routes.target(tool.model or beside_it)
        talk, state = Conversation(), None
        if asked.previous_response_id is not None:
            talk, state = await self._earlier(asked.previous_response_id, target)
        before = list(talk.earlier)
        talk = await understood(asked.input, talk, self._inputs)
        if not talk.prompt:
            message = (
                "Missing required parameter: 'input'. It holds no text that says what to draw."
            )
            raise invalid(message, "input", "missing_required_parameter")
        if talk.earlier != before or tool.action == "generate":
            state = None
        # A state stands for the earlier pictures; else they go along.
        shown = talk.earlier if state is None and tool.action != "generate" else []
        images = [*[await self._made(one) for one in shown], *talk.pictures]
        action = "edit" if images or state is not None else "generate"
        if tool.action == "edit" and action != "edit":
            raise invalid("The action 'edit' needs an image in context.", "tools[0].action")
        said: dict[str, Any] = {
            **tool.wanted(),
            "prompt": talk.prompt,
            "images": images,
            "mask": await self._mask(tool, action),
            "state": state,
            "partial_images": tool.partial_images if asked.stream else None,
            "user": asked.safety_identifier or asked.user,
        }
        # What is not said is left to the defaults of the client.
        if target.model is not None:
            said["model"] = target.model
        shared, beside = tool.own(), _beside(asked, tool, talk)
        options, notices = heard(service, target, {"openai": shared, "openai-responses": beside})
        if options:
            said["options"] = options
        unshown = [] if shown else [made.id for made in talk.earlier]
        wanted, record, owner = request_of(said), self._record, self._owner
        service.check_urls(wanted, target)
        call = Call(service, self._shelf, asked, wanted, target, record, owner, action, unshown)
        # The rest of what is beside the tool is the conversation's, and draws nothing.
        drawn = {*shared, *_DRAWS}
        own = [
            one.model_copy(update={"feature": one.feature.removeprefix("extra_body.")})
            for one in notices
        ]
        matters = [one for one in own if one.feature.partition(".")[0] in drawn]
        call.notices = notices_of(target, None, matters)
        return call

    async def _earlier(self, id: str, target: Target) -> tuple[Conversation, State | None]:
        document = await self._shelf.document(id, self._owner)
        if document is None:
            message = f"Previous response with id '{id[:100]}' not found."
            raise invalid(message, "previous_response_id", "previous_response_not_found")
        state = document["state"] if document["provider"] == target.provider else None
        talk, open = Conversation(), document["open"]
        if open is None:
            output = document["response"]["output"]
            made = [
                one["id"] for one in output if one["type"] == CALL and one["result"] is not None
            ]
            talk.earlier = [Made(id) for id in made[:1]]
        else:
            talk.words = [open["words"]]
            talk.earlier = [Made(id) for id in open["earlier"]]
            talk.pictures = [await self._given(one) for one in open["pictures"]]
        return talk, State.model_validate(state) if state else None

    async def _given(self, kept: str) -> ImageInput:
        if kept.startswith("https:"):
            return ImageInput(url=kept)
        return await self._shelf.picture(kept, self._owner)

    async def _made(self, made: Made) -> ImageInput:
        """A picture that was made earlier; one that is not kept may have come along whole."""
        if made.result and not await self._shelf.has_picture(made.id, self._owner):
            url = f"data:;base64,{made.result}"
            return await self._inputs.referred("input", url=url, file_id=None, kinds=VIEWABLE)
        return await self._shelf.picture(made.id, self._owner)

    async def _mask(self, tool: Tool, action: str) -> Mask | None:
        given, where = tool.input_image_mask, "tools[0].input_image_mask"
        if given is None:
            return None
        if action != "edit":
            raise invalid("A mask needs an image in the input.", where)
        found = await self._inputs.referred(where, url=given.image_url, file_id=given.file_id)
        return Mask(found, edit_where="transparent")


def _beside(asked: Create, tool: Tool, talk: Conversation) -> dict[str, Any]:
    """What only a provider of this very dialect reads."""
    instructions = [*([asked.instructions] if asked.instructions else []), *talk.instructions]
    names = (
        "store", "include", "metadata", "service_tier", "truncation",
        "max_output_tokens", "max_tool_calls", "parallel_tool_calls", "prompt_cache_key",
    )  # fmt: skip
    found = {
        "conversation_model": asked.model,
        "action": tool.action,
        "detail": talk.detail,
        "context_compression": asked.image.context_compression if asked.image else None,
        "instructions": "\n\n".join(instructions) or None,
        "reasoning": asked.reasoning and asked.reasoning.model_dump(exclude_none=True),
        "tool_choice": asked.tool_choice or "auto",
        "safety_identifier": asked.safety_identifier,
        **{name: getattr(asked, name) for name in names},
        "extra_body": asked.model_dump(include=_UNNAMED, exclude_none=True) or None,
    }
    return {name: value for name, value in found.items() if value is not None}
