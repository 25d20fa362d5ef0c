"""The floor on asyncio: a connection that reads into one buffer."""

from __future__ import annotations

import asyncio
from typing import Any

from .floor import Answer


class Spoken(asyncio.BufferedProtocol):
    """A connection on which one answer is awaited at a time."""

    def __init__(self, buffer: bytearray) -> None:
        self._buffer = buffer
        self.answer = Answer()
        self._news: asyncio.Future[None] | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def ask(self, request: bytes) -> None:
        self.answer = Answer()
        self._transport.write(request)

    def close(self) -> None:
        """End the connection."""
        self._transport.abort()

    async def more(self) -> None:
        self._news = asyncio.get_running_loop().create_future()
        await self._news

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.answer.feed(self._buffer, nbytes)
        if (self.answer.found or self.answer.done) and self._news and not self._news.done():
            self._news.set_result(None)


async def connected(place: tuple[str, int], buffer: bytearray) -> Spoken:
    """A connection to *place*."""
    loop = asyncio.get_running_loop()
    _, spoken = await loop.create_connection(lambda: Spoken(buffer), *place)
    return spoken
