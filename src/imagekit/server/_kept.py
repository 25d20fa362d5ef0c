"""What is stored, reached without holding up the event loop."""

from __future__ import annotations

import asyncio

from ._store import Store, Wanted


class Kept:
    """A store whose methods are awaited: it may be a file."""

    closed = False

    def __init__(self, store: Store) -> None:
        self._store = store

    def use(self, store: Store) -> None:
        """Go on with another."""
        self._store, self.closed = store, False

    async def put(self, kind: str, id: str, owner: str, data: bytes, seconds: float) -> None:
        """Keep *data* for so many seconds."""
        await asyncio.to_thread(self._store.put, kind, id, owner, data, seconds=seconds)

    async def get(self, kind: str, id: str, owner: str) -> bytes | None:
        """What is kept there for *owner*."""
        return await asyncio.to_thread(self._store.get, kind, id, owner)

    async def delete(self, kind: str, id: str, owner: str) -> bool:
        """Forget it; whether it was there."""
        return await asyncio.to_thread(self._store.delete, kind, id, owner)

    async def ids(self, kind: str, owner: str) -> list[str]:
        """Everything of that kind that is the *owner*'s, oldest first."""
        return await asyncio.to_thread(self._store.ids, kind, owner)

    async def fits(self, size: int, wanted: Wanted) -> bool:
        """Whether *size* more bytes find room where nothing is dropped that is *wanted*."""
        return await asyncio.to_thread(self._store.fits, size, wanted)

    async def close(self) -> None:
        """Let go of it."""
        self.closed = True
        await asyncio.to_thread(self._store.close)
