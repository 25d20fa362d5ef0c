"""The door for plugin authors: the contract, its effects, and the HTTP they speak of."""

from __future__ import annotations

from ._blob import Blob, blob
from ._capabilities import Allowed, Capabilities, SizeRule, Support
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
from ._hookspecs import CallInfo, Config, hookimpl
from ._http import Endpoint, Framing, HttpRequest, HttpResponse, Key, Part
from ._keys import bearer, credential
from ._media import MediaFacts, extension, facts
from ._request import Operation
from ._retried import retry_after
from ._split import merged, split
from ._strict import options, settings
from ._verdict import Verdict

__all__ = [
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
    "EventDecoder",
    "Flow",
    "Framing",
    "Gather",
    "HttpRequest",
    "HttpResponse",
    "Judges",
    "Key",
    "MediaFacts",
    "Open",
    "Operation",
    "Part",
    "Provider",
    "Receive",
    "Resumes",
    "Send",
    "ServerSentEvent",
    "SizeRule",
    "Sleep",
    "Support",
    "Verdict",
    "bearer",
    "blob",
    "call",
    "checkpoint",
    "credential",
    "emit",
    "extension",
    "facts",
    "gather",
    "hookimpl",
    "merged",
    "notice",
    "open_stream",
    "options",
    "receive",
    "receive_line",
    "receive_piece",
    "retry_after",
    "send",
    "settings",
    "sleep",
    "split",
    "transform",
]
