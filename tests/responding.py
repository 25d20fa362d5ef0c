"""Our own server whose provider does as a script says, and a client of its Responses API."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from imagekit import Image, ImageFailure, ImageRequest, ImageResponse
from imagekit.provider import sleep
from imagekit.server import Limits
from serving import Serving, serving
from spoken import httpx
from toys import Plugged, Scripted, patiently, picture

TOOL = {"type": "image_generation"}
PNG = picture(1, 4, 2)
TOKENS = ("first-token", "other-token")
FIRST, OTHER = ({"authorization": f"Bearer {token}"} for token in TOKENS)

Script = Callable[[ImageRequest], Any]


# Scripts


def gives(*slots: Image | ImageFailure, **more: Any) -> Script:
    def script(request: ImageRequest) -> Any:
        yield from sleep(0)
        return ImageResponse(slots=slots, **more)

    return script


def raises(error: Exception) -> Script:
    def script(request: ImageRequest) -> Any:
        yield from sleep(0)
        raise error

    return script


PLAIN = gives(Image(data=PNG))


# The server and its client


class Asking:
    """A client of a server whose provider does as its script says."""

    running: Serving
    client: httpx.Client

    def __init__(self, script: Script = PLAIN) -> None:
        self.script = script

    def flow(self, request: ImageRequest) -> Any:
        return (yield from self.script(request))

    def post(self, input: Any = "a fox", tool: Any = None, **body: Any) -> httpx.Response:
        return self.client.post("/responses", json=wanted(input, tool, **body))

    @property
    def live(self) -> int:
        """How many calls the server holds on to."""
        routes: list[Any] = self.running.app._router.routes
        [create] = [one for one in routes if one.path == "/v1/responses"]
        return len(create.endpoint.__self__._live)


def wanted(input: Any = "a fox", tool: Any = None, **body: Any) -> dict[str, Any]:
    """What is posted for a picture."""
    return {"input": input, "tools": [TOOL | (tool or {})], **body}


A = TypeVar("A", bound=Asking)


@contextmanager
def started(made: A, *, streaming: bool = True, **settings: Any) -> Iterator[A]:
    """*made* with a server of its own, which holds on to nothing at the end."""
    able = {"operations": frozenset({"generate", "edit"}), "streaming": streaming}
    settings.setdefault("register", {"toy": Plugged(Scripted(made.flow, **able))})
    settings.setdefault("limits", Limits(grace=2))  # a test that fails must not wait
    with (
        serving(**settings) as running,
        httpx.Client(base_url=running.url, timeout=20, headers=FIRST) as client,
    ):
        made.running, made.client = running, client
        yield made
        assert patiently(lambda: made.live == 0)


@contextmanager
def shared(kind: Callable[[Script], A]) -> Iterator[Callable[..., Any]]:
    """Lends a server whose provider does as a script says; one of its own where it has settings."""
    with started(kind(PLAIN)) as common:

        @contextmanager
        def again(script: Script) -> Iterator[A]:
            common.script = script
            yield common
            assert patiently(lambda: common.live == 0)

        def lent(script: Script = PLAIN, **settings: Any) -> AbstractContextManager[A]:
            return started(kind(script), **settings) if settings else again(script)

        yield lent


def events(lines: Iterable[str], comments: list[str] | None = None) -> Iterator[dict[str, Any]]:
    """The events of a stream, each named as its data says; its comments go to *comments*."""
    kind = None
    for line in lines:
        if line.startswith("event: "):
            kind = line.removeprefix("event: ")
        elif line.startswith(":"):
            if comments is not None:
                comments.append(line)
        elif line:
            event = json.loads(line.removeprefix("data: "))
            assert event["type"] == kind, (kind, event)
            yield event


def rows(database: Path, sql: str = "select kind, id from kept") -> list[Any]:
    """What *sql* finds in the file of a running server, or does to it."""
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        return other.execute(sql).fetchall()
