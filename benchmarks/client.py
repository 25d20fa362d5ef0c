"""What every client is asked to do; one that cannot do a thing leaves it out."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from importlib import import_module
from pathlib import Path

KEY = "sk-nobody"
# Where each client is written, the class there, the library it is to use where it can choose, and
# the environment it lives in.
CLIENTS = {
    "sdk": ("official", "Official", "", "peers"),
    "httpx2": ("byhand", "ByHand", "httpx2", "peers"),
    "httpx": ("byhand", "ByHand", "httpx", "peers"),
    "litellm": ("lite", "Lite", "", "litellm"),
    "hub": ("hub", "Hub", "", "peers"),
    "floor": ("floor", "Floor", "", "peers"),
    "ours on httpx2": ("ours", "Ours", "", "httpx2"),
    "ours on httpx": ("ours", "Ours", "", "httpx"),
}
_OURS = (
    "import imagekit",
    """
import sys, imagekit
url, prompt, path = sys.argv[1:]
client = imagekit.Client(provider="openai-images", base_url=url, api_key="sk-nobody")
client.generate(prompt, into=path, overwrite=True)
""",
)
_BY_HAND = """
import sys, base64, httpx
url, prompt, path = sys.argv[1:]
body = {"model": "gpt-image-2", "prompt": prompt}
answer = httpx.post(f"{url}/images/generations", json=body, timeout=600).json()
with open(path, "wb") as file:
    file.write(base64.b64decode(answer["data"][0]["b64_json"]))
"""
# What each imports, and a whole script that takes the stub's URL, a prompt and a file's name.
SCRIPTS = {
    "sdk": (
        "import openai",
        """
import sys, base64, openai
url, prompt, path = sys.argv[1:]
client = openai.OpenAI(base_url=url, api_key="sk-nobody")
answer = client.images.generate(model="gpt-image-2", prompt=prompt)
with open(path, "wb") as file:
    file.write(base64.b64decode(answer.data[0].b64_json))
""",
    ),
    "httpx2": ("import httpx2", _BY_HAND.replace("httpx", "httpx2")),
    "httpx": ("import httpx", _BY_HAND),
    "litellm": (
        "import litellm",
        """
import sys, base64, litellm
url, prompt, path = sys.argv[1:]
answer = litellm.image_generation(
    model="openai/gpt-image-1", prompt=prompt, api_base=url, api_key="sk-nobody"
)
with open(path, "wb") as file:
    file.write(base64.b64decode(answer.data[0].b64_json))
""",
    ),
    "hub": ("from huggingface_hub import InferenceClient", ""),
    "floor": (
        "import json, socket, pybase64",
        """
import sys
from pathlib import Path
from benchmarks.floor import Floor
url, prompt, path = sys.argv[1:]
Floor(url).save(prompt, Path(path))
""",
    ),
    "ours on httpx2": _OURS,
    "ours on httpx": _OURS,
}


class Client:
    """Pictures from the stub at *url*, which ends in /v1; *library* is for who can choose one.

    Each gives decoded bytes. A stream gives the previews and then the picture, each as soon as it
    is there. What is saved is saved as it would be by who reads that client's own documentation.
    """

    def __init__(self, url: str, library: str = "") -> None:
        self.url, self.library = url, library

    def made(self) -> None:
        """Make what a stream of the Responses API needs, where that has not been done yet."""

    def images(self, prompt: str, n: int = 1) -> list[bytes]:
        """Whole answers of the Images API."""
        raise NotImplementedError

    def stream(self, prompt: str, previews: int = 3) -> Iterator[bytes]:
        """A stream of the Images API."""
        raise NotImplementedError

    def responses(self, prompt: str, previews: int = 3) -> Iterator[bytes]:
        """A stream of the Responses API."""
        raise NotImplementedError

    def save(self, prompt: str, path: Path) -> None:
        """One picture, to a file."""
        [data] = self.images(prompt)
        path.write_bytes(data)

    def save_stream(self, prompt: str, path: Path) -> None:
        """A stream, each picture of it to a file in place of the one before."""
        for data in self.stream(prompt):
            path.write_bytes(data)

    def edit(self, paths: list[Path]) -> list[bytes]:
        """An edit of pictures that are files, as a form."""
        raise NotImplementedError

    async def aimages(self, prompt: str, n: int = 1) -> list[bytes]:
        """The same from a coroutine."""
        raise NotImplementedError

    def astream(self, prompt: str, previews: int = 3) -> AsyncIterator[bytes]:
        """The same from a coroutine."""
        raise NotImplementedError

    def aresponses(self, prompt: str, previews: int = 3) -> AsyncIterator[bytes]:
        """The same from a coroutine."""
        raise NotImplementedError

    async def aedit(self, paths: list[Path]) -> list[bytes]:
        """The same from a coroutine."""
        raise NotImplementedError

    @classmethod
    def can(cls, verb: str) -> bool:
        """Whether *verb* is one that this client has."""
        needed = {"save": "images", "save_stream": "stream"}.get(verb, verb)
        return getattr(cls, needed) is not getattr(Client, needed)


def kind(name: str) -> type[Client]:
    """The class of the client *name*; it needs that client's environment."""
    module, found, _, _ = CLIENTS[name]
    made: type[Client] = getattr(import_module(f"benchmarks.{module}"), found)
    return made


def client(name: str, url: str) -> Client:
    """The client *name*, made as its users make it."""
    os.environ["OPENAI_API_KEY"] = KEY
    return kind(name)(url, CLIENTS[name][2])
