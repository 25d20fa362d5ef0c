"""The Responses API for its image tool: create, retrieve, cancel, delete."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from ..._calls import request_of
from ..._errors import ImagekitError
from ..._events import Completed, ImageFailed, ImageReady, Noticed
from ..._image import Image, ImageInput, Mask
from ..._request import ImageRequest, State
from .._log import Record, logger
from .._routes import Target
from .._runs import Run, unless_gone
from .._service import (
    EventStream,
    Service,
    comments,
    frame,
    header_of,
    logged,
    note,
    notices_of,
    public,
    tell,
)
from .conversation import CALL, Conversation, Create, Made, Tool, understood
from .images import heard
from .inputs import VIEWABLE, Inputs
from .reading import json_of, read
from .refusals import RefusedError, invalid, not_found
from .telling import Telling, begun

# What a provider of this very dialect has no name for, and hands on as it stands.
_UNNAMED = {
    "moderation", "prompt_cache_options", "prompt_cache_retention", "temperature", "text",
    "top_logprobs", "top_p",
}  # fmt: skip
# What of the conversation matters to the picture.
_DRAWS = ("instructions", "extra_body.moderation")
_ENDED = ("completed", "failed", "cancelled", "incomplete")


@dataclass(slots=True)
class _Live:
    """A response whose call is being made."""

    owner: str
    run: Run
    telling: Telling
    asked: Create


class Responses:
    """The endpoints below `/v1/responses`."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._live: dict[str, _Live] = {}

    async def create(self, request: Request) -> Any:
        """Make a picture as a conversation says."""
        record: Record = request.scope["imagekit"]
        asked = read(Create, await json_of(request))
        tool = asked.check()
        call = await self._call(asked, tool, record)
        note(record, call.wanted, call.target, prompts=self._service.log_prompts)
        run = Run(keep=bool(asked.background and asked.stream))
        call.run = run
        base = begun(asked, _said(asked), asked.model or call.target.model or "")
        call.telling = Telling(base, tool, call.action, call.say)
        id = base["id"]
        record.known["response"] = id
        self._service.check()
        if asked.background:
            await self._keep(call)
        run.task = self._service.begin(call.make)
        self._live[id] = _Live(call.owner, run, call.telling, asked)
        run.task.add_done_callback(lambda _: self._live.pop(id, None))
        call.telling.begin()
        if asked.stream:
            return EventStream(run, self._service.limits, detached=asked.stores)
        if asked.background:
            return JSONResponse(call.telling.response)
        await unless_gone(run.task, request.receive)
        if run.error is not None:
            raise run.error
        return JSONResponse(call.telling.response, headers=header_of(call.notices))

    async def _call(self, asked: Create, tool: Tool, record: Record) -> _Call:
        service, owner = self._service, str(record.owner)
        inputs = Inputs(service.limits, service.kept, owner)
        talk, state = Conversation(), None
        target = service.routes.target(tool.model)
        if asked.previous_response_id is not None:
            talk, state = await self._earlier(asked.previous_response_id, owner, target)
        continued = list(talk.earlier)
        talk = await understood(asked.input, talk, inputs)
        if not talk.prompt:
            message = (
                "Missing required parameter: 'input'. It holds no text that says what to draw."
            )
            raise invalid(message, "input", "missing_required_parameter")
        images = list(talk.pictures)
        if talk.earlier != continued or tool.action == "generate":
            state = None
        unshown = [made.id for made in talk.earlier]
        if state is None and tool.action != "generate":
            images = [*[await self._made(one, inputs, owner) for one in talk.earlier], *images]
            unshown = []
        action = "edit" if images or state is not None else "generate"
        if tool.action == "edit" and action != "edit":
            raise invalid("The action 'edit' needs an image in context.", "tools[0].action")
        mask = None
        if (given := tool.input_image_mask) is not None:
            where = "tools[0].input_image_mask"
            if action != "edit":
                raise invalid("A mask needs an image in the input.", where)
            found = await inputs.referred(where, url=given.image_url, file_id=given.file_id)
            mask = Mask(found, edit_where="transparent")
        shared, beside = tool.own(), _beside(asked, tool, talk)
        heeded, notices = heard(service, target, {"openai": shared, "openai-responses": beside})
        # The rest of what is beside the tool is the conversation's, and draws nothing.
        told = [
            one
            for one in notices
            if one.feature.partition(".")[0] in shared or one.feature in _DRAWS
        ]
        said: dict[str, Any] = {
            **tool.wanted(),
            "prompt": talk.prompt,
            "images": images,
            "mask": mask,
            "state": state,
            "partial_images": tool.partial_images if asked.stream else None,
            "user": asked.safety_identifier or asked.user,
        }
        # What is not said is left to the defaults of the client.
        if target.model is not None:
            said["model"] = target.model
        if heeded:
            said["options"] = heeded
        call = _Call(self, asked, request_of(said), target, record, owner, action, unshown)
        call.notices = notices_of(target, None, told)
        return call

    async def _earlier(
        self, id: str, owner: str, target: Target
    ) -> tuple[Conversation, State | None]:
        document = await self._document(id, owner)
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
            talk.pictures = [
                ImageInput(url=one) if one.startswith("https:") else await self._picture(one, owner)
                for one in open["pictures"]
            ]
        return talk, State.model_validate(state) if state else None

    async def _made(self, made: Made, inputs: Inputs, owner: str) -> ImageInput:
        if made.result and await self._service.kept.get("picture", made.id, owner) is None:
            url = f"data:;base64,{made.result}"
            return await inputs.referred("input", url=url, file_id=None, kinds=VIEWABLE)
        return await self._picture(made.id, owner)

    async def _picture(self, id: str, owner: str) -> ImageInput:
        data = await self._service.kept.get("picture", id, owner)
        if data is None:
            message = f"Item with id '{id[:100]}' not found: it was not stored, or is no more."
            raise not_found(message, param="input")
        return ImageInput(data=data)

    async def _document(self, id: str, owner: str) -> dict[str, Any] | None:
        found = await self._service.kept.get("response", id, owner)
        return json.loads(found) if found is not None else None

    async def _keep(self, call: _Call) -> None:
        """Store the response as it stands, its pictures by themselves."""
        kept, seconds, owner = self._service.kept, self._service.limits.kept, call.owner
        response = dict(call.telling.response)
        output = []
        for item in response["output"]:
            if item["type"] == CALL and item["result"] is not None:
                data = base64.b64decode(item["result"])
                await kept.put("picture", item["id"], owner, data, seconds)
                item = {**item, "result": ""}
            output.append(item)
        made = any(item["result"] is not None for item in output if item["type"] == CALL)
        state = call.wanted.state
        document = {
            "response": {**response, "output": output},
            "provider": call.target.provider,
            "state": call.state if made else state and state.model_dump(mode="json"),
            "open": await self._open(call, made=made),
        }
        await kept.put("response", response["id"], owner, json.dumps(document).encode(), seconds)

    async def _open(self, call: _Call, *, made: bool) -> dict[str, Any] | None:
        """What was said and came to no picture: it is still being talked about."""
        kept, seconds, owner = self._service.kept, self._service.limits.kept, call.owner
        pictures = []
        for place, given in enumerate(call.wanted.images):
            id = f"{call.telling.response['id']}-{place}"
            if given.data is not None and made:
                await kept.delete("picture", id, owner)
            elif given.data is not None:
                await kept.put("picture", id, owner, given.data, seconds)
            pictures.append(given.url or id)
        if made:
            return None
        return {"words": call.wanted.prompt, "earlier": call.unshown, "pictures": pictures}

    async def _keep_events(self, call: _Call) -> None:
        """Store what was streamed, so that it can be streamed again."""
        kept, seconds = self._service.kept, self._service.limits.kept
        events = json.dumps([event.decode() for event in call.run.frames]).encode()
        await kept.put("events", call.telling.response["id"], call.owner, events, seconds)

    async def retrieve(self, request: Request) -> Any:
        """A response as it stands; streamed, from any of its events on."""
        owner = str(request.scope["imagekit"].owner)
        id, query = request.path_params["id"], request.query_params
        live = self._live.get(id)
        if live is not None and live.owner != owner:
            live = None
        if query.get("stream", "").lower() != "true":
            if live is not None and live.asked.stores:
                return JSONResponse(live.telling.response)
            return JSONResponse(await self._stored(id, owner))
        start = _number(query.get("starting_after"))
        if live is not None and live.asked.background and live.asked.stream:
            return EventStream(live.run, self._service.limits, start=start, detached=True)
        events = await self._service.kept.get("events", id, owner)
        if events is None:
            await self._stored(id, owner)
            raise invalid(
                "This response cannot be streamed: it was not created with background=true and "
                "stream=true.",
                "stream",
            )
        run = Run()
        for event in json.loads(events):
            run.say(event.encode())
        run.finish()
        return EventStream(run, self._service.limits, start=start)

    async def _stored(self, id: str, owner: str) -> dict[str, Any]:
        document = await self._document(id, owner)
        if document is None:
            raise not_found(f"Response with id '{id[:100]}' not found.")
        response: dict[str, Any] = document["response"]
        for item in response["output"]:
            if item.get("result") == "":
                data = await self._service.kept.get("picture", item["id"], owner)
                item["result"] = base64.b64encode(data).decode() if data is not None else None
        if response["status"] not in _ENDED:
            # Nobody makes it any more: the process that did is gone.
            words = "The server was stopped while it worked; the picture may have been charged."
            response |= {"status": "failed", "error": {"code": "server_error", "message": words}}
        return response

    async def cancel(self, request: Request) -> JSONResponse:
        """End a response that is made in the background."""
        owner = str(request.scope["imagekit"].owner)
        id = request.path_params["id"]
        live = self._live.get(id)
        if live is None or live.owner != owner:
            response = await self._stored(id, owner)
            if not response["background"]:
                raise _not_in_background()
            return JSONResponse(response)
        if not live.asked.background:
            raise _not_in_background()
        await _ended(live.run)
        return JSONResponse(live.telling.response)

    async def delete(self, request: Request) -> JSONResponse:
        """Forget a response and its pictures."""
        owner = str(request.scope["imagekit"].owner)
        id, kept = request.path_params["id"], self._service.kept
        live = self._live.get(id)
        if live is not None and live.owner == owner and live.asked.stores:
            await _ended(live.run)
        document = await self._document(id, owner)
        if document is None:
            raise not_found(f"Response with id '{id[:100]}' not found.")
        made = [item["id"] for item in document["response"]["output"] if item["type"] == CALL]
        for picture in (*made, *(document["open"] or {"pictures": ()})["pictures"]):
            await kept.delete("picture", picture, owner)
        await kept.delete("events", id, owner)
        await kept.delete("response", id, owner)
        return JSONResponse({"id": id, "object": "response", "deleted": True})


class _Call:
    """One call of the Responses API, from its start to what is kept of it."""

    telling: Telling
    run: Run

    def __init__(
        self,
        api: Responses,
        asked: Create,
        wanted: ImageRequest,
        target: Target,
        record: Record,
        owner: str,
        action: str,
        unshown: list[str],
    ) -> None:
        self._api, self._record = api, record
        self.asked, self.wanted, self.target = asked, wanted, target
        self.owner, self.action = owner, action
        # Pictures that are talked about and did not go along: those a state stands for.
        self.unshown = unshown
        self.state: Any = None
        self.notices: list[Any] = []

    def say(self, event: dict[str, Any]) -> None:
        """Send an event to whoever follows."""
        if not self.asked.stream:
            return
        notices, self.notices = self.notices, []
        self.run.say(comments(notices) + frame(event))

    async def make(self) -> None:
        """Make the picture; say what happens, and keep what is to be kept."""
        error: Exception | None = None
        try:
            self.telling.go_on()
            await (self._watched() if self.asked.stream else self._made())
        except ImagekitError as failed:
            answered = self.telling.fail(failed, logged(self._record, failed))
            if not (answered or self.asked.stream or self.asked.background):
                error = failed
        except asyncio.CancelledError:
            if self._api._service.runs.stopping:
                self.telling.stop()
            else:
                self.telling.cancel()
            raise
        finally:
            await _surely(self._ended(error))

    async def _ended(self, error: Exception | None) -> None:
        # It is kept before its end is told: whoever hears of that may ask for it at once.
        keeps = self.asked.stores and error is None
        try:
            if keeps:
                await self._tried(self._api._keep)
            self.telling.close()
            if keeps and self.asked.background and self.asked.stream:
                await self._tried(self._api._keep_events)
        finally:
            self.run.finish(error)

    async def _tried(self, keep: Callable[[_Call], Awaitable[None]]) -> None:
        try:
            await keep(self)
        except Exception:  # the picture is made and paid for: it is answered all the same
            logger.exception("%s could not be kept", self.telling.response["id"])

    async def _made(self) -> None:
        service = self._api._service
        response = await service.client.run(
            self.wanted, provider=self.target.provider, deadline=service.limits.request
        )
        self.notices += [public(one) for one in response.notices]
        for index, slot in enumerate(response.slots):
            self.telling.see(
                ImageReady(index=index, image=slot)
                if isinstance(slot, Image)
                else ImageFailed(index=index, failure=slot)
            )
        self._completed(Completed(response=response))

    async def _watched(self) -> None:
        service = self._api._service
        stream = service.client.stream(
            self.wanted, provider=self.target.provider, deadline=service.limits.request
        )
        async with stream:
            async for event in stream:
                if isinstance(event, Noticed):
                    self.notices.append(public(event.notice))
                elif isinstance(event, Completed):
                    self._completed(event)
                else:
                    self.telling.see(event)

    def _completed(self, event: Completed) -> None:
        tell(self._record, event.response)
        state = event.response.state
        self.state = state.model_dump(mode="json") if state is not None else None
        self.telling.see(event)


async def _surely(work: Coroutine[Any, Any, None]) -> None:
    """See *work* through, whoever cancels."""
    task = asyncio.create_task(work)
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait({task})
    task.result()


async def _ended(run: Run) -> None:
    assert run.task is not None
    run.task.cancel()
    await asyncio.wait({run.task})


def _said(asked: Create) -> Mapping[str, Any]:
    """The tool as the request says it."""
    tool = (asked.tools or [{}])[0]
    return {name: value for name, value in tool.items() if value is not None}


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


def _number(text: str | None) -> int:
    """The number of the first event that is wanted."""
    if text is None:
        return 0
    if not text.isdecimal() or len(text) > 9:
        raise invalid("'starting_after' is the number of an event.", "starting_after")
    return int(text) + 1


def _not_in_background() -> RefusedError:
    return invalid("Cannot cancel a synchronous response.", "response_id", None)
