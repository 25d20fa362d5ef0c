"""What both dialects share of reading: events, unexpected bodies, and the word for an emulation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from imagekit import Notice, ProtocolError, TruncatedStreamError
from imagekit.provider import Effects, ServerSentEvent, receive

from ._refusals import error_of

M = TypeVar("M", bound=BaseModel)


def read(model: type[M], body: Any) -> M:
    """*body* as *model*; anything else is a `ProtocolError` that says where."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the body"
        raise ProtocolError(f"unexpected answer: {where}: {first['msg']}") from error


def next_event() -> Effects[dict[str, Any] | None]:
    """The next event's JSON, or None where the stream ends; one cut in the middle is truncated."""
    raw: ServerSentEvent | None = yield from receive()
    if raw is None or raw.data.startswith("[DONE]"):
        return None
    try:
        found = raw.json()
    except ProtocolError as error:
        if (yield from receive()) is None:
            raise TruncatedStreamError("the stream was cut in the middle of an event") from error
        raise
    if not isinstance(found, dict):
        raise ProtocolError(f"expected an object in an event, got {raw.data[:80]!r}")
    if raw.event == "error" or found.get("type") == "error":
        inner = found.get("error")
        raise error_of(inner if isinstance(inner, Mapping) else found)
    return found


def emulated(prompt: str) -> Notice:
    """What to say when a variation is made by an edit."""
    return Notice(
        kind="emulated",
        feature="operation",
        detail="there is no endpoint for variations any more; an edit was asked for instead",
        wanted="variation",
        used=prompt,
    )
