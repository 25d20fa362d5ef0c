"""A run as an answer: server-sent events, as they come."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

from ._asgi import Receive, Scope, Send
from ._limits import Limits
from ._runs import Run, unless_gone


class EventStream:
    """An answer that follows a run, which ends with it, unless it is *detached*."""

    def __init__(self, run: Run, limits: Limits, *, start: int = 0, detached: bool = False) -> None:
        self._run, self._limits = run, limits
        self._start, self._detached = start, detached

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the frames as they come."""
        sending = asyncio.create_task(self._sent(send))
        try:
            await unless_gone(sending, receive)
        finally:
            if not self._detached and self._run.task is not None:
                self._run.task.cancel()

    async def _sent(self, send: Send) -> None:
        headers = [
            (b"content-type", b"text/event-stream; charset=utf-8"),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        frames: AsyncIterator[bytes] = self._run.follow(self._start, self._limits.pause)
        async for frame in frames:
            await send({"type": "http.response.body", "body": frame, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def frame(event: dict[str, Any]) -> bytes:
    """One event, as it is written on a stream."""
    return f"event: {event['type']}\ndata: {json.dumps(event, separators=(',', ':'))}\n\n".encode()


def comments(notices: Sequence[Any]) -> bytes:
    """Notices as comments of a stream, which clients skip."""
    return b"".join(f": notice {json.dumps(one)}\n\n".encode() for one in notices)
