"""Our own server on loopback, in a thread of its own, for as long as a test wants it."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import uvicorn

from imagekit import AsyncClient
from imagekit.server import App, create_app
from imagekit.server._serve import _Server, bound
from toys import patiently

# What a process lets go of goes at once, so that its memory is what it holds, and not what it once
# held.
EXACT = {"MALLOC_ARENA_MAX": "2", "MALLOC_MMAP_THRESHOLD_": "65536"}


@dataclass
class Serving:
    """A running server."""

    app: App
    port: int
    server: uvicorn.Server
    thread: threading.Thread

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """What an app's base URL is."""
        return f"{self.origin}/v1"

    def stop(self) -> None:
        """As a signal would."""
        self.app.stop()
        self.server.should_exit = True


def asked_and_left(url: str, begun: Callable[[], bool], body: object = None) -> None:
    """Ask for *url*, or post *body* to it; hang up once what was asked for has *begun*."""
    there = urlsplit(url)
    path = f"{there.path}?{there.query}" if there.query else there.path
    data = b"" if body is None else json.dumps(body).encode()
    lines = [f"{'GET' if body is None else 'POST'} {path} HTTP/1.1", f"host: {there.netloc}"]
    lines += ["content-type: application/json", f"content-length: {len(data)}"]
    with socket.create_connection((there.hostname, there.port)) as connection:
        connection.sendall("\r\n".join((*lines, "", "")).encode() + data)
        assert patiently(begun)


@contextmanager
def serving(
    *,
    register: Mapping[str, object] | None = None,
    around: Callable[[App], Any] | None = None,
    **settings: Any,
) -> Iterator[Serving]:
    """A server with *settings* of `create_app`; *register* are plugins of its client by name.

    *around* is what stands between the network and the application.
    """
    if register is not None:
        client = AsyncClient(provider=next(iter(register)), env={})
        for name, plugin in register.items():
            client.plugins.register(plugin, name)
        settings = {"client": client, **settings}
    app = create_app(**settings)
    listening = bound("127.0.0.1", 0)
    outer = around(app) if around is not None else app
    server = _Server(uvicorn.Config(outer, log_level="error", access_log=False), app, print)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.005)
        yield Serving(app, listening.getsockname()[1], server, thread)
    finally:
        server.should_exit = True
        thread.join()
        listening.close()
