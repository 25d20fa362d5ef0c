"""What is kept of a file: what is known of it, and what it holds, whole or in parts."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field

from .._kept import Kept
from .lines import unanswered
from .reading import Wire

# The lines of a batch's output.
PART = "batch-output"


Seconds: TypeAlias = Annotated[int, Field(ge=3600, le=2_592_000)]


class Expiry(Wire):
    """When a file expires."""

    anchor: Literal["created_at"]
    seconds: Seconds


class Filing:
    """The files of one caller."""

    def __init__(self, kept: Kept, owner: str) -> None:
        self._kept, self._owner = kept, owner

    async def keep(self, data: bytes, name: str, purpose: str, seconds: float) -> dict[str, Any]:
        """Keep *data* as a new file; what is known of it."""
        about = _about(len(data), name, purpose, seconds)
        await self._put("file", about["id"], data, seconds)
        await self._put("about", about["id"], json.dumps(about).encode(), seconds)
        return about

    async def join(
        self, parts: Sequence[tuple[str, str]], size: int, name: str, purpose: str, seconds: float
    ) -> dict[str, Any]:
        """Keep lines that are kept already as a new file; of each its id, and whose answer it is.

        Pictures of a whole batch are more than anybody wants to hold at once.
        """
        about = _about(size, name, purpose, seconds)
        await self._put("parts", about["id"], json.dumps(list(parts)).encode(), seconds)
        await self._put("about", about["id"], json.dumps(about).encode(), seconds)
        return about

    async def _put(self, kind: str, id: str, data: bytes, seconds: float) -> None:
        await self._kept.put(kind, id, self._owner, data, seconds)

    async def about(self, id: str) -> dict[str, Any] | None:
        """What is known of a file."""
        found = await self._kept.get("about", id, self._owner)
        return json.loads(found) if found is not None else None

    async def whole(self, id: str) -> bytes | None:
        """What a file holds that was kept whole."""
        return await self._kept.get("file", id, self._owner)

    async def joined(self, id: str) -> AsyncIterator[bytes] | None:
        """What a file holds that was kept in parts."""
        parts = await self._parts(id)
        return self._lines(parts) if parts is not None else None

    async def _lines(self, parts: list[tuple[str, str]]) -> AsyncIterator[bytes]:
        for part, custom_id in parts:
            line = await self._kept.get(PART, part, self._owner)
            words = "The picture was made, and is kept no longer."
            yield unanswered(custom_id, "server_error", words) if line is None else line

    async def _parts(self, id: str) -> list[tuple[str, str]] | None:
        found = await self._kept.get("parts", id, self._owner)
        return json.loads(found) if found is not None else None

    async def forget(self, id: str) -> None:
        """Drop a file and everything with it."""
        for part, _ in await self._parts(id) or ():
            await self._kept.delete(PART, part, self._owner)
        for kind in ("file", "parts", "about"):
            await self._kept.delete(kind, id, self._owner)


def _about(size: int, name: str, purpose: str, seconds: float) -> dict[str, Any]:
    now = int(time.time())
    return {
        "id": f"file-{uuid.uuid4().hex}",
        "object": "file",
        "bytes": size,
        "created_at": now,
        "expires_at": now + int(seconds),
        "filename": name,
        "purpose": purpose,
        "status": "processed",
    }
