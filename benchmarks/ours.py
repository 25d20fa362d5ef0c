"""imagekit, as its users write it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import imagekit

from .client import KEY, Client


class Ours(Client):
    def _new(self, kind: Any, provider: str) -> Any:
        return kind(provider=provider, base_url=self.url, api_key=KEY)

    @cached_property
    def _images(self) -> Any:
        return self._new(imagekit.Client, "openai-images")

    @cached_property
    def _responses(self) -> Any:
        return self._new(imagekit.Client, "openai-responses")

    @cached_property
    def _aimages(self) -> Any:
        return self._new(imagekit.AsyncClient, "openai-images")

    @cached_property
    def _aresponses(self) -> Any:
        return self._new(imagekit.AsyncClient, "openai-responses")

    def made(self) -> None:
        assert self._responses is not None

    def images(self, prompt: str, n: int = 1) -> list[bytes]:
        return [image.data for image in self._images.generate(prompt, n=n)]

    def stream(self, prompt: str, previews: int = 3) -> Iterator[bytes]:
        return _watched(self._images, prompt, previews)

    def responses(self, prompt: str, previews: int = 3) -> Iterator[bytes]:
        return _watched(self._responses, prompt, previews)

    def save(self, prompt: str, path: Path) -> None:
        self._images.generate(prompt, into=path, overwrite=True)

    def save_stream(self, prompt: str, path: Path) -> None:
        asked = self._images.stream(prompt, partial_images=3, into=path, overwrite=True)
        with asked as stream:
            stream.finish()

    def edit(self, paths: list[Path]) -> list[bytes]:
        return [image.data for image in self._images.edit("add a hat", images=paths)]

    async def aimages(self, prompt: str, n: int = 1) -> list[bytes]:
        return [image.data for image in await self._aimages.generate(prompt, n=n)]

    def astream(self, prompt: str, previews: int = 3) -> AsyncIterator[bytes]:
        return _awaited(self._aimages, prompt, previews)

    def aresponses(self, prompt: str, previews: int = 3) -> AsyncIterator[bytes]:
        return _awaited(self._aresponses, prompt, previews)

    async def aedit(self, paths: list[Path]) -> list[bytes]:
        return [image.data for image in await self._aimages.edit("add a hat", images=paths)]


def _watched(client: Any, prompt: str, previews: int) -> Iterator[bytes]:
    with client.stream(prompt, partial_images=previews) as stream:
        for event in stream:
            if isinstance(event, imagekit.PartialImage | imagekit.ImageReady):
                data: bytes = event.image.data or b""
                yield data


async def _awaited(client: Any, prompt: str, previews: int) -> AsyncIterator[bytes]:
    async with client.stream(prompt, partial_images=previews) as stream:
        async for event in stream:
            if isinstance(event, imagekit.PartialImage | imagekit.ImageReady):
                data: bytes = event.image.data or b""
                yield data
