"""The other side of the tests: toy providers, and a server on loopback that does as it is told."""

from __future__ import annotations

import atexit
import base64
import contextlib
import json
import math
import socket
import struct
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self

import anyio

import imagekit
from imagekit._drive import drive
from imagekit._perform import perform
from imagekit._scope import Scope
from imagekit._speakers import Timeouts
from imagekit._transport import AsyncTransport, SyncTransport
from imagekit.provider import (
    Capabilities,
    Config,
    Effects,
    Endpoint,
    Flow,
    HttpRequest,
    HttpResponse,
    Verdict,
    bearer,
    call,
    checkpoint,
    emit,
    hookimpl,
    open_stream,
    receive,
    send,
    sleep,
)
from proxy import Listening
from spoken import httpx

KEY = "sk-toy-0123456789"


def picture(shade: int = 0, width: int = 1, height: int = 1) -> bytes:
    """A grey PNG."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    rows = (b"\0" + bytes([shade]) * width) * height
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def spelt(data: bytes) -> str:
    return base64.b64encode(data).decode()


# Providers


@dataclass
class Whole:
    """One POST, one JSON answer with all pictures, as base64 or URLs."""

    base_url: str = "https://toy.test/v1"
    key: str | None = KEY
    able: Capabilities = field(default_factory=Capabilities)
    family: str | None = None
    judge: Callable[[HttpResponse], Verdict | None] | None = None
    config: Config | None = None

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(self.base_url, bearer(self.key) if self.key else None)

    def capabilities(self, model: str | None) -> Capabilities:
        return self.able

    def flow(self, request: imagekit.ImageRequest, *, stream: bool) -> Flow:
        wanted = {"prompt": request.prompt, "n": request.n, "model": request.model or "toy-1"}
        wanted |= {"options": {name: dict(of) for name, of in request.options.items()}}
        answer = yield from send(HttpRequest("POST", "/pictures", json=wanted))
        if not answer.ok:
            raise trouble(answer)
        return decoded(answer.json())


def trouble(answer: HttpResponse) -> imagekit.ProviderError:
    named = {429: imagekit.RateLimitError, 503: imagekit.ProviderUnavailableError}
    lesser = imagekit.InvalidRequestError
    kind = named.get(answer.status, lesser if answer.status < 500 else imagekit.ProviderError)
    return kind(f"the toy answered {answer.status}", status=answer.status)


def decoded(body: Mapping[str, Any]) -> imagekit.ImageResponse:
    slots = [
        imagekit.Image(url=one) if one.startswith("http") else imagekit.Image(data=one)
        for one in body["pictures"]
    ]
    return imagekit.ImageResponse(slots=tuple(slots), model="toy-1")


@dataclass
class Queue(Whole):
    """Submit, ask until it is done, take the picture."""

    def flow(self, request: imagekit.ImageRequest, *, stream: bool) -> Flow:
        answer = yield from send(HttpRequest("POST", "/jobs", json={"prompt": request.prompt}))
        if not answer.ok:
            raise trouble(answer)
        yield from checkpoint({"job": answer.json()["id"]})
        while True:
            answer = yield from send(HttpRequest("GET", f"/jobs/{answer.json()['id']}"))
            if not answer.ok:
                raise trouble(answer)
            if answer.json()["done"]:
                return decoded(answer.json())
            yield from emit(imagekit.Queued(position=1))
            yield from sleep(0.01)


@dataclass
class Streaming(Whole):
    """Server-sent events: previews, pictures, the end."""

    able: Capabilities = field(default_factory=lambda: Capabilities(streaming=True))

    def flow(self, request: imagekit.ImageRequest, *, stream: bool) -> Flow:
        if not stream:
            return (yield from super().flow(request, stream=False))
        wanted = HttpRequest("POST", "/pictures", json={"prompt": request.prompt, "n": request.n})
        answer = yield from open_stream(wanted)
        if not answer.ok:
            raise trouble(answer)
        slots = []
        while (event := (yield from receive())) is not None:
            said = event.json()
            if event.event == "end":
                return imagekit.ImageResponse(slots=tuple(slots), model="toy-1")
            image = imagekit.Image(data=said["picture"])
            if event.event == "partial":
                yield from emit(imagekit.PartialImage(index=said["index"], image=image))
            else:
                slots.append(image)
                yield from emit(imagekit.ImageReady(index=said["index"], image=image))
        raise imagekit.TruncatedStreamError("no end came")


class Inside:
    """No requests at all: the picture is made here."""

    endpoint = None

    def capabilities(self, model: str | None) -> Capabilities:
        return Capabilities(operations=frozenset({"generate", "edit", "variation"}))

    def flow(self, request: imagekit.ImageRequest, *, stream: bool) -> Flow:
        data = yield from call(lambda: picture(len(request.prompt or "")))
        image = imagekit.Image(data=data)
        return imagekit.ImageResponse(slots=(image,) * request.n, model=request.model or "inside-1")


class Scripted(Inside):
    """Its flow is what it is given."""

    def __init__(self, flow: Callable[..., Any], **able: Any) -> None:
        self._flow, self._able = flow, Capabilities(**able)

    def capabilities(self, model: str | None) -> Capabilities:
        return self._able

    def flow(self, request: imagekit.ImageRequest, *, stream: bool) -> Any:
        return self._flow(request)


class Plugged:
    """The plugin of a provider."""

    def __init__(self, make: object) -> None:
        self._make = make
        self.built = 0

    @hookimpl
    def imagekit_provider(self, config: Config) -> object:
        self.built += 1
        return self._make(config) if callable(self._make) else self._make


def plugins(*observers: object, **providers: object) -> imagekit.Plugins:
    """Plugins with *providers*, each one itself or a function from its configuration to it."""
    found = imagekit.Plugins()
    for name, made in providers.items():
        found.register(Plugged(made), name)
    for observer in observers:
        found.register(observer)
    return found


def done(*pictures: bytes | str) -> dict[str, Any]:
    """What a toy service says when it is done."""
    ready = [one if isinstance(one, str) else spelt(one) for one in pictures or (picture(),)]
    return {"id": "7", "done": True, "pictures": ready}


def sse(event: str, shade: int = 0, index: int = 0) -> bytes:
    data = json.dumps({"index": index, "picture": spelt(picture(shade))})
    return f"event: {event}\ndata: {data}\n\n".encode()


# Both drivers


class Driver:
    """A flow, or a client's verb, done by the blocking driver or by the async one."""

    def __init__(self, colour: str) -> None:
        self.colour = colour

    @property
    def blocking(self) -> bool:
        return self.colour == "sync"

    def do(
        self,
        flow: Effects[Any],
        fake: Callable[[httpx.Request], httpx.Response] | None = None,
        *,
        deadline: float | None = None,
        timeouts: Timeouts | None = None,
        events: list[Any] | None = None,
    ) -> Any:
        """Perform *flow*; what it returns. Its events are added to *events*."""
        told: list[Any] = [] if events is None else events
        mock = httpx.MockTransport(fake) if fake else None
        if self.blocking:
            http = httpx.Client(transport=mock) if mock else None
            transport = SyncTransport(http, http, timeouts)
            with contextlib.closing(transport), http or contextlib.nullcontext():
                driven = drive(flow, transport, Scope(deadline))
                while True:
                    try:
                        told.append(next(driven))
                    except StopIteration as stop:
                        return stop.value

        async def main() -> Any:
            async def tell(event: Any) -> None:
                told.append(event)

            http = httpx.AsyncClient(transport=mock) if mock else None
            transport = AsyncTransport(http, http, timeouts)
            until = math.inf if deadline is None else anyio.current_time() + deadline
            async with contextlib.aclosing(transport), http or contextlib.nullcontext():
                return await perform(flow, transport, until, tell)

        return anyio.run(main, backend=self.colour)

    def call(
        self,
        verb: Callable[[Any], Any],
        fake: Callable[[httpx.Request], httpx.Response] | None = None,
        **settings: Any,
    ) -> Any:
        """What *verb* of a client with *settings* gives, such as `lambda c: c.generate("x")`."""
        mock = httpx.MockTransport(fake) if fake else None
        if self.blocking:
            http = httpx.Client(transport=mock) if mock else None
            client = imagekit.Client(http=http, downloads=http, **settings)
            with client, http or contextlib.nullcontext():
                return verb(client)

        async def main() -> Any:
            http = httpx.AsyncClient(transport=mock) if mock else None
            client = imagekit.AsyncClient(http=http, downloads=http, **settings)
            async with client, http or contextlib.nullcontext():
                return await verb(client)

        return anyio.run(main, backend=self.colour)

    def stream(
        self,
        prompt: str,
        fake: Callable[[httpx.Request], httpx.Response] | None = None,
        *,
        until: int | None = None,
        events: list[Any] | None = None,
        fields: Mapping[str, Any] = {},
        **settings: Any,
    ) -> list[Any]:
        """A stream's events; leaves after *until* of them."""
        told: list[Any] = [] if events is None else events
        if self.blocking:

            def watch(client: imagekit.Client) -> list[Any]:
                with client.stream(prompt, **fields) as stream:
                    for event in stream:
                        told.append(event)
                        if len(told) == until:
                            break
                return told

            return self.call(watch, fake, **settings)

        async def follow(client: imagekit.AsyncClient) -> list[Any]:
            async with client.stream(prompt, **fields) as stream:
                async for event in stream:
                    told.append(event)
                    if len(told) == until:
                        break
            return told

        return self.call(follow, fake, **settings)


# The server


@dataclass
class Seen:
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Talk:
    """One connection, from the server's side."""

    def __init__(self, server: Server, connection: socket.socket) -> None:
        self.server, self.connection = server, connection

    def read(self) -> Seen:
        """The whole request."""
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._more()
        head, _, body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (x.partition(": ") for x in lines)}
        while len(body) < int(headers.get("content-length", 0)):
            body += self._more()
        method, path, _ = first.split(" ")
        seen = Seen(method, path, headers, body)
        self.server.seen.append(seen)
        return seen

    def _more(self) -> bytes:
        data = self.connection.recv(65536)
        if not data:
            raise ConnectionError("the client left")
        return data

    def reply(self, status: int, body: bytes = b"", **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named.setdefault("content-length", str(len(body)))
        self.head(status, **named)
        self.connection.sendall(body)

    def head(self, status: int, **headers: str) -> None:
        lines = [f"HTTP/1.1 {status} Toy", "connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items() if value]
        self.connection.sendall("\r\n".join((*lines, "", "")).encode())

    def wait_for_leave(self) -> None:
        """Read until the client closes, and note that it did."""
        with contextlib.suppress(OSError):
            while self.connection.recv(65536):
                pass
        self.server.left.set()

    def reset(self) -> None:
        """Close with a reset instead of an end."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


Act = Callable[[Talk], None]


class Server(Listening):
    """Each connection gets the next of the acts it was told; the last one stays."""

    def __init__(self) -> None:
        super().__init__()
        self.acts: list[Act] = []
        self.seen: list[Seen] = []
        self.connections = 0
        self.left = threading.Event()

    def does(self, *acts: Act) -> Self:
        self.acts = list(acts)
        return self

    @property
    def url(self) -> str:
        return f"http://{self.place}"

    def taken(self, connection: socket.socket) -> Callable[[], None]:
        """Do the next act."""
        self.connections += 1
        act = self.acts.pop(0) if len(self.acts) > 1 else self.acts[0]
        return partial(self._talk, act, connection)

    def _talk(self, act: Act, connection: socket.socket) -> None:
        with connection:
            try:
                act(Talk(self, connection))
            except OSError:
                self.left.set()


def answers(status: int = 200, body: object = None, **headers: str) -> Act:
    """Read the request, answer it with JSON."""

    def act(talk: Talk) -> None:
        talk.read()
        said = json.dumps(done() if body is None else body).encode()
        talk.reply(status, said, **{"content-type": "application/json", **headers})

    return act


def closes(talk: Talk) -> None:
    """Close at once."""


def resets_after(size: int | None) -> Act:
    """Read *size* bytes of the request, or all of it, and reset the connection."""

    def act(talk: Talk) -> None:
        if size is None:
            talk.read()
        else:
            talk.connection.recv(size)
        talk.reset()

    return act


def hangs(talk: Talk) -> None:
    """Read the request and never answer."""
    talk.read()
    talk.wait_for_leave()


def drips(talk: Talk) -> None:
    """Answer one byte every 50 ms, for ten seconds."""
    talk.read()
    talk.head(200, content_type="application/json", content_length="1000")
    for _ in range(200):
        talk.connection.sendall(b" ")
        time.sleep(0.05)


def streams(*pieces: bytes, then: str = "ends", gap: float = 0.0, kind: str = "") -> Act:
    """Answer with a stream of *pieces*; *then* it "ends", "breaks" or "stays" open."""

    def act(talk: Talk) -> None:
        talk.read()
        headers = {"content-type": kind or "text/event-stream"}
        if then != "ends":
            headers["content-length"] = "10000000"
        talk.head(200, **headers)
        for piece in pieces:
            talk.connection.sendall(piece)
            time.sleep(gap)
        if then == "stays":
            talk.wait_for_leave()
        elif then == "breaks":
            # A reset could overtake what was sent; an end before its time is as broken.
            talk.connection.shutdown(socket.SHUT_WR)
            talk.wait_for_leave()

    return act


def by(choose: Callable[[Seen], bytes]) -> Act:
    """Answer each request with the JSON that *choose* finds for it."""

    def act(talk: Talk) -> None:
        talk.reply(200, choose(talk.read()), content_type="application/json")

    return act


# Bound all the time, so that nobody else comes to listen there.
_UNHEARD = socket.socket()
_UNHEARD.bind(("127.0.0.1", 0))
atexit.register(_UNHEARD.close)


def refused() -> str:
    """A base URL where nobody listens."""
    return f"http://127.0.0.1:{_UNHEARD.getsockname()[1]}"


@contextlib.contextmanager
def reserved() -> Iterator[int]:
    """A port for a server of another process, which nobody else is given meanwhile."""
    with socket.socket() as held:
        # Whoever means this port may have it too, and whoever takes any gets another.
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        if sys.platform != "linux":
            held.close()
        yield port


def patiently(check: Callable[[], bool], seconds: float = 30.0) -> bool:
    """Whether *check* comes true within *seconds*."""
    until = time.monotonic() + seconds
    while not check():
        if time.monotonic() > until:
            return False
        time.sleep(0.005)
    return True


class Watcher:
    """An observer that keeps all it is told, as (hook, arguments)."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []

    def of(self, hook: str) -> list[dict[str, Any]]:
        return [arguments for name, arguments in self.told if name == hook]

    @hookimpl
    def imagekit_request_sent(self, call: Any, request: Any) -> None:
        self.told.append(("sent", {"call": call, "request": request}))

    @hookimpl
    def imagekit_response_received(self, call: Any, request: Any, response: Any) -> None:
        known = {"call": call, "request": request, "response": response}
        self.told.append(("received", known))

    @hookimpl
    def imagekit_event_emitted(self, call: Any, event: Any) -> None:
        self.told.append(("event", {"call": call, "event": event}))

    @hookimpl
    def imagekit_call_finished(self, call: Any, response: Any, error: Any) -> None:
        self.told.append(("finished", {"call": call, "response": response, "error": error}))
