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

    @property
    def milliseconds(self) -> int:
        """How long it has taken so far."""
        return round((time.monotonic() - self.began) * 1000)

    def write(self) -> None:
        """Log it."""
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "id": self.id,
            "method": self.method,
            "path": self.path,
            "status": self.status,
            "ms": self.milliseconds,
            "received": self.received,
            "sent": self.sent,
            "owner": self.owner,
            **self.known,
        }
        logger.info(json.dumps({name: value for name, value in line.items() if value is not None}))
