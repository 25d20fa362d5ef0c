"""A flow run against scripted replies: no network, no clock, no threads."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, assert_never

from .._errors import ImagekitError
from .._events import ImageEvent
from .._flow import (
    Call,
    Checkpoint,
    Effect,
    Effects,
    Emit,
    Gather,
    Open,
    Receive,
    Send,
    Sleep,
    at_once,
    proper,
)
from .._framing import Received, ServerSentEvent
from .._http import HttpRequest, HttpResponse

Reply = HttpResponse | ImagekitError


@dataclass
class Played:
    """What a flow asked for, what it emitted, and how it ended."""

    requests: list[HttpRequest] = field(default_factory=list)
    events: list[ImageEvent] = field(default_factory=list)
    checkpoints: list[Any] = field(default_factory=list)
    slept: float = 0.0
    response: Any = None


def sse(type: str, **fields: object) -> ServerSentEvent:
    """A server-sent event whose data is JSON with its own type in it."""
    return ServerSentEvent(type, json.dumps({"type": type, **fields}))


def json_response(body: object, status: int = 200, **headers: str) -> HttpResponse:
    """An answer with a JSON body; headers in keyword form, `_` for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpResponse(
        status, {"content-type": "application/json", **named}, json.dumps(body).encode()
    )


def play(
    flow: Effects[Any], *replies: Reply, events: Iterable[Received] = (), into: Played | None = None
) -> Played:
    """Answer each of *flow*'s requests with the next of *replies*; perform the rest at once.

    A reply that is an error is raised where the answer was awaited. `Open` is answered alike, as a
    stream of *events* where the reply has no body. Pass *into* to see how far a flow got that
    raises. Gathered flows are played one after the other.
    """
    played = into or Played()
    _perform(flow, played, iter(replies), iter(events))
    return played


def _perform(flow: Effects[Any], played: Played, replies: Any, stream: Any) -> None:
    reply: Any = None
    error: BaseException | None = None
    try:
        while True:
            effect = flow.throw(error) if error is not None else flow.send(reply)
            error, reply = None, None
            try:
                reply = _reply(proper(effect), played, replies, stream)
            except Exception as raised:
                error = raised
    except StopIteration as stop:
        played.response = stop.value


def _reply(effect: Effect, played: Played, replies: Any, stream: Any) -> Any:
    match effect:
        case Send(request) | Open(request):
            played.requests.append(request)
            reply = next(replies, None)
            if reply is None:
                raise AssertionError(f"no reply was scripted for {request}")
            if isinstance(reply, ImagekitError):
                raise reply
            if isinstance(effect, Open) and reply.ok and not reply.body:
                return replace(reply, streamed=True)
            return reply
        case Receive():
            return next(stream, None)
        case Sleep(seconds):
            played.slept += seconds
        case Call(function):
            return at_once(function())
        case Emit(event):
            played.events.append(event)
        case Checkpoint(handle):
            played.checkpoints.append(handle)
        case Gather(flows):
            outcomes = []
            for flow in flows:
                try:
                    _perform(flow, played, replies, stream)
                    outcomes.append(played.response)
                except Exception as error:
                    outcomes.append(error)
            return tuple(outcomes)
        case _ as never:
            assert_never(never)
    return None
