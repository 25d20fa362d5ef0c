"""An HTTP library, json and base64: what people write by hand, on httpx or on httpx2."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

from .client import KEY, Client

MODEL, ASKING = "gpt-image-2", "gpt-5"
HEADERS = {"authorization": f"Bearer {KEY}"}


class ByHand(Client):
    def __init__(self, url: str, library: str = "") -> None:
        super().__init__(url, library)
        self._http: Any = import_module(library)
        self._client = self._http.Client(base_url=url, headers=HEADERS, timeout=600)

    @cached_property
    def _aclient(self) -> Any:
        limits = self._http.Limits(max_connections=1000, max_keepalive_connections=1000)
        return self._http.AsyncClient(
            base_url=self.url, headers=HEADERS, timeout=600, limits=limits
        )

    def images(self, prompt: str, n: int = 1) -> list[bytes]:
        answer = self._client.post("/images/generations", json=_asked(prompt, n=n))
        return _whole(answer.raise_for_status().json())

    def stream(self, prompt: str, previews: int = 3) -> Iterator[bytes]:
        return self._streamed("/images/generations", _asked(prompt, previews=previews))

    def responses(self, prompt: str, previews: int = 3) -> Iterator[bytes]:
        return self._streamed("/responses", _answering(prompt, previews))

    def _streamed(self, path: str, body: Any) -> Iterator[bytes]:
        with self._client.stream("POST", path, json=body) as answer:
            for line in answer.raise_for_status().iter_lines():
                if (data := _pictured(line)) is not None:
                    yield data

    def edit(self, paths: list[Path]) -> list[bytes]:
        with ExitStack() as opened:
            files = [("image[]", opened.enter_context(path.open("rb"))) for path in paths]
            fields = {"model": MODEL, "prompt": "add a hat"}
            answer = self._client.post("/images/edits", data=fields, files=files)
        return _whole(answer.raise_for_status().json())

    async def aimages(self, prompt: str, n: int = 1) -> list[bytes]:
        answer = await self._aclient.post("/images/generations", json=_asked(prompt, n=n))
        return _whole(answer.raise_for_status().json())

    def astream(self, prompt: str, previews: int = 3) -> AsyncIterator[bytes]:
        return self._astreamed("/images/generations", _asked(prompt, previews=previews))

    def aresponses(self, prompt: str, previews: int = 3) -> AsyncIterator[bytes]:
        return self._astreamed("/responses", _answering(prompt, previews))

    async def _astreamed(self, path: str, body: Any) -> AsyncIterator[bytes]:
        async with self._aclient.stream("POST", path, json=body) as answer:
            async for line in answer.raise_for_status().aiter_lines():
                if (data := _pictured(line)) is not None:
                    yield data

    async def aedit(self, paths: list[Path]) -> list[bytes]:
        with ExitStack() as opened:
            files = [("image[]", opened.enter_context(path.open("rb"))) for path in paths]
            fields = {"model": MODEL, "prompt": "add a hat"}
            answer = await self._aclient.post("/images/edits", data=fields, files=files)
        return _whole(answer.raise_for_status().json())


def _asked(prompt: str, n: int = 1, previews: int | None = None) -> dict[str, Any]:
    more = {} if previews is None else {"stream": True, "partial_images": previews}
    return {"model": MODEL, "prompt": prompt, "n": n, **more}


def _answering(prompt: str, previews: int) -> dict[str, Any]:
    tool = {"type": "image_generation", "model": MODEL, "partial_images": previews}
    return {"model": ASKING, "input": prompt, "tools": [tool], "stream": True}


def _whole(body: Any) -> list[bytes]:
    return [b64decode(one["b64_json"]) for one in body["data"]]


def _pictured(line: str) -> bytes | None:
    if not line.startswith("data: "):
        return None
    event = json.loads(line[6:])
    match event:
        case {"b64_json": text} | {"partial_image_b64": text}:
            return b64decode(text)
        case {"type": "response.output_item.done", "item": {"result": text}}:
            return b64decode(text)
    return None
