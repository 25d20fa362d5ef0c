"""LiteLLM, as its documentation shows."""

# It is in an environment of its own.
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import os
from base64 import b64decode
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

# It would fetch its table of prices.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm

from .client import KEY, Client

MODEL, ASKING = "openai/gpt-image-1", "openai/gpt-5"
litellm.telemetry = False


class Lite(Client):
    """It has no stream of the Images API."""

    def __init__(self, url: str, library: str = "") -> None:
        super().__init__(url, library)
        self._site = {"api_base": url, "api_key": KEY}

    def images(self, prompt: str, n: int = 1) -> list[bytes]:
        answer = litellm.image_generation(model=MODEL, prompt=prompt, n=n, **self._site)
        return _whole(answer)

    def responses(self, prompt: str, previews: int = 3) -> Iterator[bytes]:
        tool = {"type": "image_generation", "partial_images": previews}
        for event in litellm.responses(
            model=ASKING, input=prompt, tools=[tool], stream=True, **self._site
        ):
            if (data := _pictured(event)) is not None:
                yield data

    def edit(self, paths: list[Path]) -> list[bytes]:
        with ExitStack() as files:
            opened = [files.enter_context(path.open("rb")) for path in paths]
            answer = litellm.image_edit(model=MODEL, prompt="add a hat", image=opened, **self._site)
        return _whole(answer)

    async def aimages(self, prompt: str, n: int = 1) -> list[bytes]:
        answer = await litellm.aimage_generation(model=MODEL, prompt=prompt, n=n, **self._site)
        return _whole(answer)

    async def aresponses(self, prompt: str, previews: int = 3) -> AsyncIterator[bytes]:
        tool = {"type": "image_generation", "partial_images": previews}
        async for event in await litellm.aresponses(
            model=ASKING, input=prompt, tools=[tool], stream=True, **self._site
        ):
            if (data := _pictured(event)) is not None:
                yield data

    async def aedit(self, paths: list[Path]) -> list[bytes]:
        with ExitStack() as files:
            opened = [files.enter_context(path.open("rb")) for path in paths]
            answer = await litellm.aimage_edit(
                model=MODEL, prompt="add a hat", image=opened, **self._site
            )
        return _whole(answer)


def _whole(answer: Any) -> list[bytes]:
    return [b64decode(one.b64_json) for one in answer.data]


def _pictured(event: Any) -> bytes | None:
    # Its events have enumerations and loose models for types and items.
    kind = str(getattr(event.type, "value", event.type))
    if kind == "response.image_generation_call.partial_image":
        return b64decode(event.partial_image_b64)
    if kind == "response.output_item.done" and event.item.type == "image_generation_call":
        return b64decode(event.item.result)
    return None
