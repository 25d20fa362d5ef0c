"""What the server's tests share: a provider that waits, and an application asked by hand."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

import imagekit
from imagekit.provider import emit, sleep
from toys import Plugged, Scripted, patiently, picture


class Gate:
    """Its pictures wait until it is open; it notes who was sent away before."""

    def __init__(self) -> None:
        self.opened, self.left = threading.Event(), threading.Event()
        self.asked: list[imagekit.ImageRequest] = []

    def flow(self, request: imagekit.ImageRequest) -> Any:
        self.asked.append(request)
        try:
            image = imagekit.Image(data=picture(len(self.asked)))
            for step in range(request.partial_images or 0):
                yield from emit(imagekit.PartialImage(index=0, step=step, image=image))
            while not self.opened.is_set():
                yield from sleep(0.005)
        except GeneratorExit:
            self.left.set()
            raise
        return imagekit.ImageResponse(slots=(image,), model="gate-1")

    @property
    def plugins(self) -> dict[str, Any]:
        """For `serving(register=…)`."""
        return {"gate": Plugged(Scripted(self.flow, streaming=True))}

    @property
    def client(self) -> imagekit.AsyncClient:
        made = imagekit.AsyncClient(provider="gate", env={})
        made.plugins.register(self.plugins["gate"], "gate")
        return made

    def holds(self, count: int = 1) -> bool:
        """Whether so many have come to ask, before long."""
        return patiently(lambda: len(self.asked) >= count)


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    made.opened.set()


@dataclass
class Answer:
    """What an application said to one request."""

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def error(self) -> Any:
        return json.loads(self.body)["error"]


Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


async def ask(
    app: Any,
    method: str,
    path: str,
    *,
    body: bytes = b"",
    receive: Receive | None = None,
    send: Send | None = None,
    **headers: str,
) -> Answer:
    """One request by hand; *receive* and *send* are the client's manners, where it has some."""
    named = {"host": "localhost", **{name.replace("_", "-"): is_ for name, is_ in headers.items()}}
    pieces = [{"type": "http.request", "body": body}]

    async def given() -> dict[str, Any]:
        return pieces.pop() if pieces else await asyncio.Event().wait()  # type: ignore[return-value]

    answer = Answer()

    async def taken(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {name.decode(): is_.decode() for name, is_ in message["headers"]}
        answer.body += message.get("body", b"")
        if send is not None:
            await send(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "server": ("localhost", 80),
        "headers": [(name.encode(), is_.encode()) for name, is_ in named.items()],
    }
    await app(scope, receive or given, taken)
    return answer


@pytest.fixture(name="ask")
def _ask() -> Callable[..., Answer]:
    """Ask an application by hand, on a loop of its own."""

    def asked(app: Any, method: str, path: str, **given: Any) -> Answer:
        return asyncio.run(asyncio.wait_for(ask(app, method, path, **given), 30))

    return asked


@pytest.fixture(name="aask")
def _aask() -> Callable[..., Awaitable[Answer]]:
    """The same, to be awaited."""
    return ask


class Log:
    """The access log of a test."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog

    @property
    def text(self) -> str:
        return self._caplog.text

    @property
    def lines(self) -> list[Any]:
        """The lines that tell of requests."""
        told = (record.getMessage() for record in self._caplog.records)
        return [json.loads(line) for line in told if line.startswith('{"time"')]

    def one(self, **about: Any) -> Any:
        """The one line that fits, which may still be on its way."""

        def found() -> list[Any]:
            return [line for line in self.lines if about.items() <= line.items()]

        assert patiently(lambda: bool(found())), self.lines
        [line] = found()
        return line


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Log:
    caplog.set_level(logging.INFO, "imagekit.server")
    return Log(caplog)
