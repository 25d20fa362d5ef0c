"""Our own server in this process, asked without a network, and what its toys were asked."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from imagekit import AsyncClient, Image, ImageRequest, ImageResponse
from imagekit.provider import call, emit
from imagekit.server import create_app
from spoken import httpx
from toys import Plugged, Scripted, picture

PNG = picture(5, 3, 2)
ABLE = {"operations": frozenset({"generate", "edit", "variation"}), "streaming": True}

Flow = Callable[[ImageRequest], Any]


def making(*slots: Any, events: Any = (), **about: Any) -> Flow:
    """A flow that says *events* and comes to *slots*: pictures, their bytes, or failures."""

    def flow(request: ImageRequest) -> Any:
        yield from call(lambda: None)
        for event in events:
            yield from emit(event)
        made = [Image(data=one) if isinstance(one, bytes) else one for one in slots]
        return ImageResponse(slots=tuple(made or [Image(data=PNG)] * request.n), **about)

    return flow


PLAIN = making()


class Toy(Scripted):
    """Notes what it is asked; its flow is what it is given."""

    def __init__(self, flow: Flow = PLAIN, family: str | None = None, **able: Any) -> None:
        super().__init__(self._noted, **{**ABLE, **able})
        self._told, self.family = flow, family
        self.asked: list[ImageRequest] = []

    def _noted(self, request: ImageRequest) -> Any:
        self.asked.append(request)
        return (yield from self._told(request))


class InProcess:
    """A server in front of one provider or several."""

    names = ("toy", "other")

    def __init__(self, *toys: Any, client: Mapping[str, Any] = {}, **how: Any) -> None:
        self.toys = toys or (Toy(),)
        self.toy = self.toys[0]
        made = AsyncClient(**{"provider": self.names[0], "env": {}, **client})
        for name, toy in zip(self.names, self.toys, strict=False):
            made.plugins.register(Plugged(toy), name)
        self.app = create_app(client=made, **how)

    def ask(self, method: str, path: str, **given: Any) -> httpx.Response:
        async def asked() -> httpx.Response:
            asgi = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=asgi, base_url="http://desk.test/v1") as http:
                return await http.request(method, path, **given)

        return asyncio.run(asked())

    def post(self, path: str, **given: Any) -> httpx.Response:
        return self.ask("POST", path, **given)

    def generate(self, **said: Any) -> httpx.Response:
        return self.post("/images/generations", json={"prompt": "an otter", **said})

    def heard(self, answer: httpx.Response) -> ImageRequest:
        """What was asked for a good *answer*."""
        assert answer.status_code == 200, answer.text
        found: ImageRequest = self.toy.asked[-1]
        return found


def error_of(answer: httpx.Response, status: int = 400) -> tuple[str | None, str | None]:
    """The code and the param of a client's mistake."""
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error", error
    return error["code"], error["param"]


class Quiet:
    """A client's mistake is its own: never a 500, and nothing in the log."""

    @pytest.fixture(autouse=True)
    def _quiet(self, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
        caplog.set_level(logging.WARNING)
        yield
        assert [record for record in caplog.records if record.exc_info] == []
