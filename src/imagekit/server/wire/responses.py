"""The Responses API for its image tool: create, retrieve, cancel, delete."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from .._following import EventStream
from .._log import Record
from .._runs import Run, unless_gone
from .._service import Service, note
from .answers import Answer
from .asking import Asking
from .conversation import Create
from .notices import header_of
from .reading import json_of, read
from .refusals import RefusedError, invalid
from .shelf import ENDED, Shelf
from .telling import Telling, begun


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
        self._shelf = Shelf(service.kept, service.limits.kept)
        self._live: dict[str, _Live] = {}

    async def create(self, request: Request) -> Any:
        """Make a picture as a conversation says."""
        record: Record = request.scope["imagekit"]
        asked = read(Create, await json_of(request))
        tool = asked.check()
        call = await Asking(self._service, self._shelf, record).call(asked, tool)
        note(record, call.wanted, call.target, prompts=self._service.log_prompts)
        run = Run(keep=bool(asked.background and asked.stream))
        call.run = run
        base = begun(asked, _said(asked), asked.model or call.target.model or "")
        call.telling = Telling(base, tool, call.action, call.say)
        id = base["id"]
        record.known["response"] = id
        self._service.check()
        if asked.background:
            await call.keep()
        run.task = self._service.begin(call.make)
        self._live[id] = _Live(call.owner, run, call.telling, asked)
        run.task.add_done_callback(lambda _: self._live.pop(id, None))
        call.telling.begin()
        if asked.stream:
            return EventStream(run, self._service.limits, detached=asked.stores)
        if asked.background:
            return Answer(call.telling.response)
        await unless_gone(run.task, request.receive)
        if run.error is not None:
            raise run.error
        return Answer(call.telling.response, headers=header_of(call.notices))

    async def retrieve(self, request: Request) -> Any:
        """A response as it stands; streamed, from any of its events on."""
        owner = str(request.scope["imagekit"].owner)
        id, query = request.path_params["id"], request.query_params
        live = self._live.get(id)
        if live is not None and live.owner != owner:
            live = None
        if query.get("stream", "").lower() != "true":
            if live is not None and live.asked.stores:
                if live.telling.response["status"] in ENDED:
                    # It is kept before its end is told: whoever hears of that may go on from it.
                    await _over(live.run)
                return Answer(live.telling.response)
            return Answer(await self._shelf.response(id, owner))
        start = _number(query.get("starting_after"))
        if live is not None and live.asked.background and live.asked.stream:
            return EventStream(live.run, self._service.limits, start=start, detached=True)
        events = await self._shelf.events(id, owner)
        if events is None:
            await self._shelf.response(id, owner)
            raise invalid(
                "This response cannot be streamed: only one that was created with background=true "
                "and stream=true can, and for as long as what it said is kept.",
                "stream",
            )
        run = Run()
        for event in events:
            run.say(event)
        run.finish()
        return EventStream(run, self._service.limits, start=start)

    async def cancel(self, request: Request) -> Answer:
        """End a response that is made in the background."""
        owner = str(request.scope["imagekit"].owner)
        id = request.path_params["id"]
        live = self._live.get(id)
        if live is None or live.owner != owner:
            response = await self._shelf.response(id, owner)
            if not response["background"]:
                raise _not_in_background()
            return Answer(response)
        if not live.asked.background:
            raise _not_in_background()
        await _ended(live.run)
        return Answer(live.telling.response)

    async def delete(self, request: Request) -> Answer:
        """Forget a response and its pictures."""
        owner = str(request.scope["imagekit"].owner)
        id = request.path_params["id"]
        live = self._live.get(id)
        if live is not None and live.owner == owner and live.asked.stores:
            await _ended(live.run)
        await self._shelf.forget(id, owner)
        return Answer({"id": id, "object": "response", "deleted": True})


async def _ended(run: Run) -> None:
    assert run.task is not None
    run.task.cancel()
    await _over(run)


async def _over(run: Run) -> None:
    assert run.task is not None
    await asyncio.wait({run.task})


def _said(asked: Create) -> Mapping[str, Any]:
    """The tool as the request says it."""
    tool = (asked.tools or [{}])[0]
    return {name: value for name, value in tool.items() if value is not None}


def _number(text: str | None) -> int:
    """The number of the first event that is wanted."""
    if text is None:
        return 0
    if not text.isdecimal() or len(text) > 9:
        raise invalid("'starting_after' is the number of an event.", "starting_after")
    return int(text) + 1


def _not_in_background() -> RefusedError:
    return invalid("Cannot cancel a synchronous response.", "response_id", None)
