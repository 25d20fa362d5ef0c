"""The door for plugin authors: the contract, its effects, and the HTTP they speak of."""

from __future__ import annotations

from ._blob import Blob, blob
from ._capabilities import Allowed, Capabilities, Lifecycle, SizeRule, Source, Support
from ._errors import error_class
from ._flow import (
    Call,
    Cancels,
    Checkpoint,
    Effect,
    Effects,
    Emit,
    Flow,
    Gather,
    Judges,
    Open,
    Provider,
    Receive,
    Resumes,
    Send,
    Sleep,
    call,
    checkpoint,
    emit,
    gather,
    notice,
    open_stream,
    receive,
    receive_line,
    receive_piece,
    send,
    sleep,
    transform,
)
from ._framing import EventDecoder, ServerSentEvent
from ._hookspecs import CONTRACT, CallInfo, Config, hookimpl
from ._http import Endpoint, Framing, HttpRequest, HttpResponse, Key, Part
from ._keys import bearer, credential, header
from ._media import MediaFacts, extension, facts
from ._pace import rate_limits, seconds
from ._prices import Expected, Price, Prices
from ._request import Operation
from ._retried import retry_after
from ._split import merged, split
from ._strict import options, settings
from ._tables import Tables, tables
from ._verdict import Verdict
from ._watched import Say, Unheard, watch

__all__ = [
    "CONTRACT",
    "Allowed",
    "Blob",
    "Call",
    "CallInfo",
    "Cancels",
    "Capabilities",
    "Checkpoint",
    "Config",
    "Effect",
    "Effects",
    "Emit",
    "Endpoint",
    "Expected",
    "EventDecoder",
    "Flow",
    "Framing",
    "Gather",
    "HttpRequest",
    "HttpResponse",
    "Judges",
    "Key",
    "Lifecycle",
    "MediaFacts",
    "Open",
    "Operation",
    "Part",
    "Price",
    "Prices",
    "Provider",
    "Receive",
    "Resumes",
    "Say",
    "Send",
    "ServerSentEvent",
    "SizeRule",
    "Sleep",
    "Source",
    "Support",
    "Tables",
    "Unheard",
    "Verdict",
    "bearer",
    "blob",
    "call",
    "checkpoint",
    "credential",
    "emit",
    "error_class",
    "extension",
    "facts",
    "gather",
    "header",
    "hookimpl",
    "merged",
    "notice",
    "open_stream",
    "options",
    "rate_limits",
    "receive",
    "receive_line",
    "receive_piece",
    "retry_after",
    "seconds",
    "send",
    "settings",
    "sleep",
    "split",
    "tables",
    "transform",
    "watch",
]
