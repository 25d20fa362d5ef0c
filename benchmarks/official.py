"""The official SDK, as its README and its reference show."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any

import openai

from .client import KEY, Client

MODEL, ASKING = "gpt-image-2", "gpt-5"
TOOL = {"type": "image_generation", "model": MODEL}


class Official(Client):
    def __init__(self, url: str, library: str = "") -> None:
        super().__init__(url, library)
        # Its types say of everything that it may be missing.
        self._client: Any = openai.OpenAI(base_url=url, api_key=KEY)

    @cached_property
    def _aclient(self) -> Any:
        return openai.AsyncOpenAI(base_url=self.url, api_key=KEY)

    def images(self, prompt: str, n: int = 1) -> list[bytes]:
        answer = self._client.images.generate(model=MODEL, prompt=prompt, n=n)
        return [b64decode(one.b64_json) for one in answer.data]

    def stream(self, prompt: str, previews: int = 3) -> Iterator[bytes]:
        for event in self._client.images.generate(
            model=MODEL, prompt=prompt, stream=True, partial_images=previews
        ):
            yield b64decode(event.b64_json)

    def responses(self, prompt: str, previews: int = 3) -> Iterator[bytes]:
        tool = {**TOOL, "partial_images": previews}
        for event in self._client.responses.create(
            model=ASKING, input=prompt, tools=[tool], stream=True
        ):
            if (data := pictured(event)) is not None:
                yield data

    def edit(self, paths: list[Path]) -> list[bytes]:
        with ExitStack() as files:
            opened = [files.enter_context(path.open("rb")) for path in paths]
            answer = self._client.images.edit(model=MODEL, prompt="add a hat", image=opened)
        return [b64decode(one.b64_json) for one in answer.data]

    async def aimages(self, prompt: str, n: int = 1) -> list[bytes]:
        answer = await self._aclient.images.generate(model=MODEL, prompt=prompt, n=n)
        return [b64decode(one.b64_json) for one in answer.data]

    async def astream(self, prompt: str, previews: int = 3) -> AsyncIterator[bytes]:
        async for event in await self._aclient.images.generate(
            model=MODEL, prompt=prompt, stream=True, partial_images=previews
        ):
            yield b64decode(event.b64_json)

    async def aresponses(self, prompt: str, previews: int = 3) -> AsyncIterator[bytes]:
        tool = {**TOOL, "partial_images": previews}
        async for event in await self._aclient.responses.create(
            model=ASKING, input=prompt, tools=[tool], stream=True
        ):
            if (data := pictured(event)) is not None:
                yield data

    async def aedit(self, paths: list[Path]) -> list[bytes]:
        with ExitStack() as files:
            opened = [files.enter_context(path.open("rb")) for path in paths]
            answer = await self._aclient.images.edit(model=MODEL, prompt="add a hat", image=opened)
        return [b64decode(one.b64_json) for one in answer.data]


def pictured(event: Any) -> bytes | None:
    """The picture that an event of the Responses API brings."""
    if event.type == "response.image_generation_call.partial_image":
        return b64decode(event.partial_image_b64)
    if event.type == "response.output_item.done" and event.item.type == "image_generation_call":
        return b64decode(event.item.result)
    return None
