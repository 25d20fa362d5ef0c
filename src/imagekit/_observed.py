"""A flow around a flow: what it exchanges is told to observers, and noted for whoever called."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from ._addressed import shown_url
from ._errors import ImagekitError, PluginError, TransportError
from ._flow import Effects, Emit, Open, Receive, Send, transform
from ._hookspecs import CallInfo
from ._http import Endpoint, HttpRequest, HttpResponse
from ._response import Exchange, HttpInfo, ImageResponse

T = TypeVar("T")
MOST_TEXT = 10_000
SEEN = Emit, Receive, Send, Open


class Unfinished(Exception):  # noqa: N818  # no error: it only ends a look at work that goes on
    """The work that a call looks at is still going on."""


class CallerLeft(TransportError):  # noqa: N818  # no error of the call's, which was going well
    """Whoever called did not wait for the end."""


class Exchanges:
    """What a call exchanged: the answers' heads, and all of it where *keep* asks for that."""

    def __init__(self, endpoint: Endpoint | None = None, *, keep: bool = False) -> None:
        self._endpoint, self._keep = endpoint, keep
        # Calls that run side by side note theirs here, each from a thread of its own.
        self._lock = threading.Lock()
        self._heads: list[HttpInfo] = []
        self._kept: list[Exchange] = []
        self._events: dict[int, list[Any]] = {}

    def add(self, request: HttpRequest, response: HttpResponse) -> int:
        """Note one, by the number with which `received` speaks of it."""
        head = _head(request, response, self._endpoint)
        with self._lock:
            self._heads.append(head)
            if self._keep:
                self._kept.append(Exchange(request, response))
            return len(self._heads) - 1

    def received(self, number: int | None, item: Any) -> None:
        """Note what came of a stream."""
        if self._keep and number is not None and item is not None:
            self._events.setdefault(number, []).append(item)

    def on_response(self, response: ImageResponse) -> ImageResponse:
        """*response* with them."""
        kept = tuple(
            replace(one, events=tuple(self._events.get(number, ())))
            for number, one in enumerate(self._kept)
        )
        return response.model_copy(update={"http": tuple(self._heads), "raw": kept})

    def on_error(self, error: ImagekitError) -> None:
        """The same for *error*, and for what it carries."""
        error.http = tuple(self._heads)
        error.response = error.response and self.on_response(error.response)


def _head(request: HttpRequest, response: HttpResponse, endpoint: Endpoint | None) -> HttpInfo:
    headers = {name: one for name, one in response.headers.items() if name != "set-cookie"}
    return HttpInfo(
        method=request.method,
        url=shown_url(endpoint, request.url),
        status=response.status,
        headers=headers,
        text=None if response.ok else response.text[:MOST_TEXT],
    )


def refused(call: CallInfo, hook: Any, error: ImagekitError) -> None:
    """Tell *hook*'s observers of a call that ended in *error* before it could begin."""
    hook.imagekit_call_started(call=call)
    hook.imagekit_call_finished(call=call, response=None, error=error)


def observed(flow: Effects[T], call: CallInfo, hook: Any, exchanges: Exchanges) -> Effects[T]:
    """Tell *hook*'s observers of the beginning, of each request, answer and event, and of the end.

    What the call returns or raises carries the *exchanges*. *hook* sees to it that what an observer
    raises is logged: it watches, and must not cost a picture.
    """

    def finished(response: ImageResponse | None, error: ImagekitError | None) -> None:
        hook.imagekit_call_finished(call=call, response=response, error=error)

    def watcher() -> Callable[[Any], Effects[Any]]:
        # Each flow that a call gathers has an opened stream of its own.
        opened: int | None = None

        def handle(effect: Emit | Receive | Send | Open) -> Effects[Any]:
            nonlocal opened
            if isinstance(effect, Emit):
                hook.imagekit_event_emitted(call=call, event=effect.event)
                return (yield effect)
            if isinstance(effect, Receive):
                item = yield effect
                exchanges.received(opened, item)
                return item
            request = effect.request
            hook.imagekit_request_sent(call=call, request=request)
            response: HttpResponse = yield effect
            hook.imagekit_response_received(call=call, request=request, response=response)
            number = exchanges.add(request, response)
            opened = number if isinstance(effect, Open) else opened
            return response

        return handle

    hook.imagekit_call_started(call=call)
    try:
        found = yield from transform(flow, watcher(), watcher, of=SEEN)
    except ImagekitError as error:
        exchanges.on_error(error)
        finished(None, error)
        raise
    except Unfinished:
        finished(None, None)
        raise
    except (GeneratorExit, KeyboardInterrupt):
        finished(None, CallerLeft("the caller left before the call was over"))
        raise
    except BaseException as error:
        finished(None, PluginError(repr(error)))
        raise
    if not isinstance(found, ImageResponse):
        finished(None, None)
        return found
    response = exchanges.on_response(found)
    finished(response, None)
    return response  # type: ignore[return-value]  # T is a response here
