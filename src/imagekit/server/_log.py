"""The access log: a JSON line for each request, without prompts, keys or anything in a body."""

from __future__ import annotations

import json
import logging
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

logger = logging.getLogger("imagekit.server")


@dataclass(slots=True)
class Record:
    """What is told of one request; endpoints fill in what they know."""

    method: str
    path: str
    id: str = field(default_factory=lambda: f"req_{uuid.uuid4().hex}")
    status: int | None = None
    owner: str | None = None
    received: int = 0
    sent: int = 0
    known: dict[str, Any] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)
    written: bool = False

    @property
    def milliseconds(self) -> int:
        """How long it has taken so far."""
        return round((time.monotonic() - self.began) * 1000)

    def write(self) -> None:
        """Log the request, now that it is answered."""
        self.written = True
        self._line(
            method=self.method,
            path=self.path,
            status=self.status,
            ms=self.milliseconds,
            received=self.received,
            sent=self.sent,
            owner=self.owner,
            **self.known,
        )

    def ended(self) -> None:
        """Log what a call came to that went on when its request had been answered."""
        if self.written:
            self._line(event="call ended", ms=self.milliseconds, owner=self.owner, **self.known)

    def _line(self, **about: Any) -> None:
        logger.info(_json(id=self.id, **about))


def warn(record: Record, message: str) -> None:
    """Log what the operator has to know, and nobody else: of one line, whatever is in it."""
    logger.warning(_json(level="warning", id=record.id, message=message))


def say(message: str, **about: Any) -> None:
    """Log what the server itself does."""
    logger.warning(_json(level="warning", message=message, **about))


def _json(**line: Any) -> str:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    kept = {name: value for name, value in line.items() if value is not None}
    return json.dumps({"time": now, **kept})
