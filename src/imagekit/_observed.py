"""A flow around a flow: the observers are told what happens, before any credential is on it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from ._errors import ImagekitError, PluginError, TransportError
from ._flow import Effect, Effects, Emit, Flow, Open, Send, transform
from ._hookspecs import CallInfo
from ._http import HttpResponse
from ._response import Exchange

log = logging.getLogger("imagekit")


def observed(flow: Flow, call: CallInfo, hook: Any, *, keep: bool = False) -> Flow:
    """Tell *hook*'s observers of each request, answer and event, and of the end.

    With *keep* the response carries the exchanges under `raw`. An observer that raises is logged
    and otherwise ignored: it watches, and must not cost a picture.
    """
    kept: list[Exchange] = []

    def tell(notify: Callable[..., object], **arguments: object) -> None:
        try:
            notify(call=call, **arguments)
        except Exception:
            log.exception("an imagekit observer failed")

    def handle(effect: Effect) -> Effects[Any]:
        if isinstance(effect, Emit):
            tell(hook.imagekit_event_emitted, event=effect.event)
        if not isinstance(effect, Send | Open):
            return (yield effect)
        tell(hook.imagekit_request_sent, request=effect.request)
        response: HttpResponse = yield effect
        tell(hook.imagekit_response_received, request=effect.request, response=response)
        if keep:
            kept.append(Exchange(effect.request, response))
        return response

    try:
        response = yield from transform(flow, handle)
    except ImagekitError as error:
        tell(hook.imagekit_call_finished, response=None, error=error)
        raise
    except Exception as error:
        tell(hook.imagekit_call_finished, response=None, error=PluginError(repr(error)))
        raise
    except GeneratorExit:
        left = TransportError("the caller left before the call was over")
        tell(hook.imagekit_call_finished, response=None, error=left)
        raise
    response = response.model_copy(update={"raw": tuple(kept)}) if keep else response
    tell(hook.imagekit_call_finished, response=response, error=None)
    return response
