"""The JSON events of an opened stream."""

from __future__ import annotations

from typing import Any

from imagekit import ProtocolError, TruncatedStreamError
from imagekit.provider import Effects, HttpResponse, receive

from ._refusals import envelope, error_of


def next_event(opened: HttpResponse) -> Effects[dict[str, Any] | None]:
    """The next event's JSON, or None where the stream ends; raises the error that an event holds.

    An event that is cut in the middle is a `TruncatedStreamError`.
    """
    raw = yield from receive()
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
    # The event's own line says the same, where the JSON leaves it out.
    found.setdefault("type", raw.event)
    if raw.event == "error" or found["type"] == "error" or found.get("error"):
        raise error_of(envelope(found), opened)
    return found
