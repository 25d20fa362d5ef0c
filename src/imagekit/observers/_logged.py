"""Calls in the log of the standard library: a line for each, and one for each of its requests."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field

from .._errors import ConfigurationError, ContentRejectedError, ImagekitError, RequestError
from .._hookspecs import CallInfo, hookimpl
from .._http import HttpRequest, HttpResponse
from .._observed import CallerLeft
from .._response import ImageResponse
from ._words import told

_MILD = (ConfigurationError, RequestError, ContentRejectedError)


@dataclass(slots=True)
class _Going:
    """A call that goes on: when it began, and those of its requests that have no answer yet."""

    began: float
    sent: dict[int, tuple[HttpRequest, float]] = field(default_factory=dict)


class LogCalls:
    """Logs each call, and each request that it makes.

    To *logger*, or else to "imagekit.calls". A call that went well is INFO, and so is one that its
    caller left; one with a failed slot, or that was refused for what it asked, is a WARNING;
    another error an ERROR. A request is DEBUG, and a WARNING where its answer is no success or none
    came. Durations are in seconds. Prompts, and what providers say, are logged with *content* only.
    Each record has the call's id as `call`.
    """

    def __init__(self, logger: logging.Logger | None = None, *, content: bool = False) -> None:
        self._log = logger or logging.getLogger("imagekit.calls")
        self._content = content
        self._lock = threading.Lock()
        self._going: dict[str, _Going] = {}

    @hookimpl
    def imagekit_call_started(self, call: CallInfo) -> None:
        """Note when it began."""
        with self._lock:
            self._of(call)

    @hookimpl
    def imagekit_request_sent(self, call: CallInfo, request: HttpRequest) -> None:
        """Note when it was sent; the same one before it had no answer."""
        with self._lock:
            sent = self._of(call).sent
            before = sent.pop(id(request), None)
            sent[id(request)] = (request, time.monotonic())
        if before is not None:
            self._unanswered(call, *before)

    @hookimpl
    def imagekit_response_received(
        self, call: CallInfo, request: HttpRequest, response: HttpResponse
    ) -> None:
        """Log the answer."""
        with self._lock:
            _, sent = self._of(call).sent.pop(id(request), (request, time.monotonic()))
        level = logging.DEBUG if response.ok else logging.WARNING
        answer = f"{response.status} after {time.monotonic() - sent:.2f} s"
        self._say(level, call, f"{_asked(request)}: {answer}")

    @hookimpl
    def imagekit_call_finished(
        self, call: CallInfo, response: ImageResponse | None, error: ImagekitError | None
    ) -> None:
        """Log what the call came to."""
        with self._lock:
            going = self._of(call)
            del self._going[call.id]
        for one in going.sent.values():
            self._unanswered(call, *one)
        level, words = logging.INFO, "done"
        if error is not None:
            words = told(error, content=self._content)
            if not isinstance(error, CallerLeft):
                level = logging.WARNING if isinstance(error, _MILD) else logging.ERROR
        elif response is not None:
            level = logging.INFO if response.ok else logging.WARNING
            words = _came(response)
        prompt = call.request.prompt if self._content and call.request else None
        asked = f" {' '.join(prompt.split())!r}" if prompt else ""
        self._say(level, call, f"{words}, in {time.monotonic() - going.began:.2f} s{asked}")

    def _of(self, call: CallInfo) -> _Going:
        # Whoever was registered in the middle of a call knows of no beginning.
        return self._going.setdefault(call.id, _Going(time.monotonic()))

    def _unanswered(self, call: CallInfo, request: HttpRequest, sent: float) -> None:
        since = time.monotonic() - sent
        self._say(logging.WARNING, call, f"{_asked(request)}: no answer, after {since:.2f} s")

    def _say(self, level: int, call: CallInfo, words: str) -> None:
        who = f"{call.provider}/{call.model}" if call.model else call.provider
        self._log.log(level, "%s %s: %s", call.verb, who, words, extra={"call": call.id})


def _asked(request: HttpRequest) -> str:
    # What a URL's query says may be a stranger's, or a key to a picture.
    return f"{request.method} {request.url.partition('?')[0]}"


def _came(response: ImageResponse) -> str:
    count, all_of_them = len(response.images), len(response.slots)
    words = [f"{count} of {all_of_them} picture{'' if all_of_them == 1 else 's'}"]
    words += ["from the cache"] if response.cached else []
    words += [f"for {response.cost}"] if response.cost and not response.cached else []
    words += [f"{one.kind}, billed: {one.billed}" for one in response.failures]
    return ", ".join(words)
