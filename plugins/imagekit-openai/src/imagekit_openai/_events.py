"""The JSON events of a stream: an opened one, or one that came as a whole."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from imagekit import ImagekitError, ProtocolError, TruncatedStreamError
from imagekit.provider import Effects, EventDecoder, HttpResponse, ServerSentEvent, receive

from ._readings import processing_time, rate_limits, request_id
from ._refusals import envelope, error_of

# After a byte order mark, comments and blank lines: the first field of an event.
_EVENTS = re.compile(rb"(?:\xef\xbb\xbf)?(?:(?::[^\r\n]*)?[\r\n])*+(?:event|data|id|retry):")
# What else a server says (a ping, a keep-alive) need not be JSON.
_OURS = re.compile(r"error|(?:image_|response\.).*|.*\.(?:partial_image|completed)", re.DOTALL)


def is_stream(answer: HttpResponse) -> bool:
    """Whether *answer* is a stream of events, whatever its content type says."""
    if answer.streamed or not answer.ok:
        return answer.streamed
    # What begins as JSON does may hold pictures, and is not put together again for a look at it.
    return answer.head(1) != b"{" and bool(_EVENTS.match(answer.body))


class Events:
    """The events of an answer that `is_stream`.

    `last` is the highest number of those that came; with *after*, those up to that are passed over.
    """

    def __init__(self, answer: HttpResponse, after: int | None = None) -> None:
        self._answer = answer
        self._whole = None if answer.streamed else _decoded(answer.body)
        self._after = self.last = after

    def next(self) -> Effects[dict[str, Any] | None]:
        """The next event's JSON, or None at the end; raises the error that an event holds.

        Whatever is raised knows what the answer's head says of the request. An event of ours that
        is cut in the middle is a `TruncatedStreamError`; what is no JSON object and no event of
        ours is passed over.
        """
        try:
            return (yield from self._next())
        except ImagekitError as error:
            self._know(error)
            raise

    def cut(self, words: str) -> ImagekitError:
        """The error for a stream that ended too soon."""
        error = TruncatedStreamError(words)
        self._know(error)
        return error

    def _know(self, error: ImagekitError) -> None:
        headers = self._answer.headers
        error.request_id = error.request_id or request_id(headers)
        error.rate_limits = error.rate_limits or rate_limits(headers)
        if error.processing_time is None:
            error.processing_time = processing_time(headers)

    def _next(self) -> Effects[dict[str, Any] | None]:
        while (raw := (yield from self._receive())) is not None:
            try:
                found = raw.json()
            except ProtocolError as error:
                if raw.data.startswith("[DONE]"):
                    return None
                if not _OURS.fullmatch(raw.event):
                    continue
                if (yield from self._receive()) is None:
                    words = "the stream was cut in the middle of an event"
                    raise TruncatedStreamError(words) from error
                raise
            if isinstance(found, dict):
                if self._again(found.get("sequence_number")):
                    continue
                return self._checked(found, raw)
            if _OURS.fullmatch(raw.event):
                raise ProtocolError(f"expected an object in an event, got {raw.data[:80]!r}")
        return None

    def _again(self, number: object) -> bool:
        """Whether the event of that number came before this stream."""
        if not isinstance(number, int):
            return False
        self.last = number if self.last is None else max(number, self.last)
        return self._after is not None and number <= self._after

    def _receive(self) -> Effects[ServerSentEvent | None]:
        if self._whole is not None:
            return next(self._whole, None)
        return (yield from receive())

    def _checked(self, found: dict[str, Any], raw: ServerSentEvent) -> dict[str, Any]:
        # The event's own line says the same, where the JSON leaves it out.
        if not isinstance(found.get("type"), str):
            found["type"] = raw.event
        if raw.event == "error" or found["type"] == "error" or found.get("error"):
            raise error_of(envelope(found), self._answer)
        return found


def _decoded(body: bytes) -> Iterator[ServerSentEvent]:
    decoder = EventDecoder()
    yield from decoder.feed(body)
    yield from decoder.finish()
