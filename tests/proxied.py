"""Exchanges with a well-behaved server through a proxy that breaks them, and what must come of it.

Each trial is one call by a client that has others behind it and before it. It ends in the right
picture or in one right error, says truly what may be billed, is made no second time where that may
cost, and leaves nothing open.
"""

from __future__ import annotations

import gc
import gzip
import itertools
import json
import os
import random
import re
import socket
import tempfile
import threading
import time
import zlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, Self

import anyio

import alone  # noqa: F401
import imagekit
from faults import BEGUN, COLOURS, END, FINAL, HINT, PICTURE, PNG, PREVIEW, QUICK, made
from imagekit import (
    ConfigurationError,
    DeadlineExceededError,
    ImagekitError,
    ImageResponse,
    InvalidRequestError,
    PluginError,
    RequestError,
    Timeouts,
    TransportError,
    TransportTimeoutError,
    TruncatedStreamError,
)
from proxy import (
    Fault,
    Listening,
    Proxy,
    Went,
    chunks,
    heads,
    with_body,
    with_bytes,
    with_chunk,
    with_head,
    with_header,
    with_length,
)
from toys import picture, spelt
from tried import Tried

SMALL = picture()
# Long enough to be taken out of its answer while it arrives.
LARGE = picture() + random.Random(6).randbytes(6000)
# Seconds until a stalled exchange is given up, and what may go by beyond that.
SOON, SLACK = 0.15, 2.0
# So many times as long has what is tried again because the machine may have been busy; no machine
# is so for more than so many trials.
MORE, MOST_AGAIN = 5, 100


# The server


@dataclass
class Reached:
    """A request that reached the server, whole."""

    method: str
    path: str


class Stub(Listening):
    """A server without faults, of the Images and the Responses API.

    What it answers hangs on the path and on words in the prompt, which name an exchange. It may
    keep a connection for what is asked next.
    """

    def __init__(self, *, keeps: bool = False) -> None:
        super().__init__()
        self.keeps = keeps
        self.reached: list[Reached] = []
        self.begun = 0

    def begin(self) -> None:
        """Nobody has asked yet."""
        self.reached, self.begun = [], 0

    def taken(self, connection: socket.socket) -> Callable[[], None]:
        """Answer what is asked over it."""
        return partial(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while self._answer(connection) and self.keeps:
                pass

    def _answer(self, connection: socket.socket) -> bool:
        """Answer one request; whether there was one."""
        data = b""
        while b"\r\n\r\n" not in data:
            if not (more := connection.recv(65536)):
                return False
            data += more
        self.begun += 1
        head, _, body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        named = {name.lower(): value for name, _, value in (one.partition(": ") for one in lines)}
        while len(body) < int(named.get("content-length", 0)):
            if not (more := connection.recv(65536)):
                return False
            body += more
        method, path, _ = first.split(" ")
        self.reached.append(Reached(method, path))
        looks = sum(one.method == "GET" for one in self.reached)
        for turn, piece in enumerate(answered(method, path, body, named["host"], looks)):
            late = b"later" in body, b"amid" in body
            if b"hold" in body and turn == (2 + ("/responses" in path)) * late[0] + 2 * late[1]:
                # It answers no further, and waits until nobody listens any more.
                return not connection.recv(1)
            connection.sendall(
                piece.replace(b"connection: close\r\n", b"") if self.keeps else piece
            )
        return True


def answered(method: str, path: str, body: bytes, host: str, looks: int) -> Iterator[bytes]:
    """The pieces of the answer to a request."""
    if path.endswith("/models"):
        return whole({"object": "list", "data": [{"id": "gpt-image-2", "object": "model"}]})
    if path.endswith(".png"):
        return sent(200, "image/png", SMALL)
    if method == "GET":
        return whole(made("in_progress" if looks == 1 else "completed"), retry_after="0")
    if b"busy" in body:
        return whole({"error": {"message": "busy"}}, 429, retry_after="60")
    if b"refuse" in body:
        return whole({"error": {"message": "no", "type": None, "code": None}}, 400)
    spelling = spelt(LARGE) if b"large" in body else PNG
    if b'"stream":true' in body.replace(b" ", b"") or b'name="stream"' in body:
        responses = "/responses" in path
        events = (BEGUN, HINT, PICTURE, END) if responses else (PREVIEW, FINAL)
        if b"unframed" in body:
            return unframed(events)
        return streamed(events, spelling)
    if b'"background":true' in body.replace(b" ", b""):
        return whole(made("queued"), retry_after="0")
    if "/responses" in path:
        return whole(made(), spelling=spelling)
    if b"by url" in body:
        return whole({"created": 1, "data": [{"url": f"http://{host}/v1/a.png"}]})
    answer = {"created": 1, "data": [{"b64_json": PNG}]}
    return whole(answer, spelling=spelling, chunked=b"chunked" in body)


def sent(status: int, kind: str, body: bytes, **headers: str) -> Iterator[bytes]:
    """An answer of this length."""
    said = {"connection": "close", "content-type": kind, "content-length": str(len(body))}
    said |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{name}: {value}" for name, value in said.items()]
    yield "\r\n".join((f"HTTP/1.1 {status} Said", *lines, "", "")).encode() + body


def whole(
    body: Any, status: int = 200, spelling: str = PNG, chunked: bool = False, **headers: str
) -> Iterator[bytes]:
    """An answer in JSON."""
    data = json.dumps(body).replace(PNG, spelling).encode()
    if not chunked:
        yield from sent(status, "application/json", data, **headers)
        return
    yield b"HTTP/1.1 200 Said\r\nconnection: close\r\ncontent-type: application/json\r\n"
    yield b"transfer-encoding: chunked\r\n\r\n"
    for start in range(0, len(data), 2000):
        yield in_chunk(data[start : start + 2000])
    yield b"0\r\n\r\n"


EVENTS = b"HTTP/1.1 200 Said\r\nconnection: close\r\ncontent-type: text/event-stream\r\n"


def in_chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def spoken(one: Mapping[str, Any], spelling: str = PNG) -> bytes:
    """An event as it is sent."""
    data = json.dumps(one).replace(PNG, spelling)
    return f"event: {one['type']}\ndata: {data}\n\n".encode()


def streamed(events: Iterable[Mapping[str, Any]], spelling: str) -> Iterator[bytes]:
    """Events in chunks."""
    yield EVENTS + b"transfer-encoding: chunked\r\n\r\n"
    for one in events:
        yield in_chunk(spoken(one, spelling))
    yield b"0\r\n\r\n"


def unframed(events: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """Events until the connection ends."""
    yield EVENTS + b"\r\n"
    for one in events:
        yield spoken(one)


# What is asked


@dataclass(frozen=True)
class Exchange:
    """One call, and which of its connections is broken; `free` says that this one costs nothing."""

    name: str
    verb: str
    provider: str
    words: str = "a cat"
    fields: Mapping[str, Any] = field(default_factory=dict)
    on: int = 0
    free: bool = False
    data: bytes = SMALL

    @property
    def streams(self) -> bool:
        return self.verb == "stream"


IMAGES, RESPONSES = "openai-images", "openai-responses"
PREVIEWS = {"partial_images": 1}
LATER = {"detach": True}
INTO: Mapping[str, Any] = {"into": "out.png", "overwrite": True}
EXCHANGES: Mapping[str, Exchange] = {
    one.name: one
    for one in (
        Exchange("images", "generate", IMAGES),
        Exchange("images, chunked", "generate", IMAGES, "chunked"),
        Exchange("images, large", "generate", IMAGES, "chunked large", data=LARGE),
        Exchange("images, into a file", "generate", IMAGES, "chunked large", INTO, data=LARGE),
        Exchange("images, stream", "stream", IMAGES, fields=PREVIEWS),
        Exchange("images, large stream", "stream", IMAGES, "large", PREVIEWS, data=LARGE),
        Exchange("images, unframed stream", "stream", IMAGES, "unframed", PREVIEWS),
        Exchange("images, edit", "edit", IMAGES, fields={"images": [SMALL]}),
        Exchange("images, streamed edit", "stream", IMAGES, fields={"images": [SMALL], **PREVIEWS}),
        Exchange("images, by url", "generate", IMAGES, "by url"),
        Exchange("images, the download", "generate", IMAGES, "by url", on=1, free=True),
        Exchange("images, its file", "generate", IMAGES, "by url", INTO, on=1, free=True),
        Exchange("images, refused", "generate", IMAGES, "refuse"),
        Exchange("models", "models", IMAGES, free=True),
        Exchange("responses", "generate", RESPONSES),
        Exchange("responses, large", "generate", RESPONSES, "large", data=LARGE),
        Exchange("responses, stream", "stream", RESPONSES, fields=PREVIEWS),
        Exchange("responses, unframed stream", "stream", RESPONSES, "unframed", PREVIEWS),
        Exchange("responses, large stream", "stream", RESPONSES, "large", PREVIEWS, data=LARGE),
        Exchange("responses, background", "generate", RESPONSES, fields=LATER),
        Exchange("responses, a look", "generate", RESPONSES, fields=LATER, on=1, free=True),
        Exchange("responses, the last look", "generate", RESPONSES, fields=LATER, on=2, free=True),
    )
}


DOWNLOADS = (EXCHANGES["images, the download"], EXCHANGES["images, its file"])
# No call asks more often than this.
MOST_ASKED = 12


@dataclass(frozen=True)
class Trial:
    """An exchange, what breaks it, and how often in turn."""

    exchange: Exchange
    fault: Fault | None
    times: int = 1
    how: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.exchange.name}: {self.fault} ({self.times})"

    @property
    def rewritten(self) -> bool:
        """Whether it is the answer that is changed."""
        return self.fault is not None and self.fault.kind == "rewrite"

    @property
    def limit(self) -> float:
        """Seconds by which it has given up."""
        timeouts: Timeouts = self.how.get("timeouts", Timeouts(0.0, 0.0))
        limit: float = self.how.get("deadline", timeouts.read) * self.times
        return limit

    def slower(self) -> Trial:
        """The same, with more time."""
        how = dict(self.how)
        if "deadline" in how:
            how["deadline"] *= MORE
        if "timeouts" in how:
            how["timeouts"] = Timeouts(5.0, how["timeouts"].read * MORE)
        return replace(self, how=how)


@dataclass
class Came:
    """What came of a trial."""

    found: Any
    seconds: float
    reached: list[Reached]
    went: list[Went]
    left: str

    @property
    def posts(self) -> int:
        return sum(one.method == "POST" for one in self.reached)


# Asking


class Place:
    """A server, the proxy before it, and what is open when nobody asks."""

    def __enter__(self) -> Self:
        self._kept = tempfile.TemporaryDirectory()
        self.folder = Path(self._kept.name)
        self.stub = Stub()
        self.stub.__enter__()
        self.proxy = Proxy(self.stub.address)
        self.proxy.__enter__()
        self.open = -1
        return self

    def __exit__(self, *_: object) -> None:
        self.proxy.__exit__()
        self.stub.__exit__()
        self._kept.cleanup()

    def begin(self, trial: Trial) -> None:
        self.stub.begin()
        free: list[Fault | None] = [None] * trial.exchange.on
        self.proxy.begin(*free, *[trial.fault] * trial.times)

    def left(self) -> str:
        """What is still open, or runs."""
        if self.proxy.busy or self.stub.busy:
            return "a connection is held"
        if self.stub.accepted < self.proxy.connected:
            return "a connection waits for the server, which a busy machine may keep from it"
        if self.open >= 0 and (more := descriptors() - self.open) > 0:
            return f"{more} more descriptors are open"
        threads = [one for one in threading.enumerate() if one.name == "imagekit"]
        if threads:
            return f"{len(threads)} threads run"
        files = [one.name for one in self.folder.iterdir() if one.name != INTO["into"]]
        return f"files: {files}" if files else ""

    def asked(self, trial: Trial) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """What the verb of *trial* is given."""
        one = trial.exchange
        how = {**one.fields, **{name: it for name, it in trial.how.items() if name != "timeouts"}}
        if "into" in how:
            how["into"] = self.folder / how["into"]
        return (() if one.verb == "models" else (one.words,)), how

    def read(self, trial: Trial, found: Any) -> Any:
        """*found*, with the picture that is in its file by now."""
        path = self.folder / INTO["into"]
        if "into" not in trial.exchange.fields or not isinstance(found, ImageResponse):
            return found
        if found.image.data is None:
            return found
        return found.model_copy(update={"slots": (imagekit.Image(data=path.read_bytes()),)})

    def forgives(self, trial: Trial) -> bool:
        """Whether a connection may be kept, for its answer no longer says that it ends."""
        return trial.rewritten and kept(self.proxy.went)

    def patience(self, trial: Trial) -> float:
        """Seconds until nothing may be open any more."""
        return 0.1 if self.forgives(trial) else 20.0

    def settings(self, trial: Trial) -> dict[str, Any]:
        return {
            "base_url": f"http://{self.proxy.place}/v1",
            "provider": trial.exchange.provider,
            "api_key": "sk-proxied-0123456789",
            "retry": QUICK,
            "env": {},
            "config": False,
        }


def kept(went: Iterable[Went]) -> bool:
    """Whether an answer leaves out that its connection ends, which is then kept."""
    return any(b"\r\nconnection: close\r\n" not in one.answer for one in went if one.answer)


def descriptors() -> int:
    """How many descriptors this process has open."""
    return len(os.listdir("/proc/self/fd"))


def key_of(trial: Trial) -> tuple[Any, ...]:
    """Trials of one key are made by one client."""
    return trial.exchange.provider, trial.how.get("timeouts")


def blocking(place: Place, trials: list[Trial]) -> Iterator[tuple[Trial, Came]]:
    """Each of *trials* in turn, by the blocking client."""
    timeouts = trials[0].how.get("timeouts")
    with imagekit.Client(timeouts=timeouts, **place.settings(trials[0])) as client:
        for trial in (Trial(trials[0].exchange, None), *trials):
            place.begin(trial)
            given, how = place.asked(trial)
            begun = time.monotonic()
            try:
                found: Any = getattr(client, trial.exchange.verb)(*given, **how)
                if trial.exchange.streams:
                    with found as stream:
                        found = stream.finish()
            except BaseException as error:
                found = error
            seconds, until = time.monotonic() - begun, time.monotonic() + place.patience(trial)
            while (left := place.left()) and time.monotonic() < until:
                time.sleep(0.0005)
            if place.open < 0:
                place.open = descriptors()
                continue
            found = place.read(trial, found)
            yield trial, Came(found, seconds, place.stub.reached, place.proxy.went, left)
            if left and not place.forgives(trial):
                return  # it would be counted against all that follow


async def awaited(place: Place, trials: list[Trial]) -> AsyncIterator[tuple[Trial, Came]]:
    """Each of *trials* in turn, by the async client."""
    timeouts = trials[0].how.get("timeouts")
    async with imagekit.AsyncClient(timeouts=timeouts, **place.settings(trials[0])) as client:
        for trial in (Trial(trials[0].exchange, None), *trials):
            place.begin(trial)
            given, how = place.asked(trial)
            begun = time.monotonic()
            try:
                found: Any = getattr(client, trial.exchange.verb)(*given, **how)
                if trial.exchange.streams:
                    async with found as stream:
                        found = await stream.finish()
                else:
                    found = await found
            except BaseException as error:
                found = error
            seconds, until = time.monotonic() - begun, time.monotonic() + place.patience(trial)
            while (left := place.left() or tasks()) and time.monotonic() < until:
                await anyio.sleep(0.0005)
            if place.open < 0:
                place.open = descriptors()
                continue
            found = place.read(trial, found)
            yield trial, Came(found, seconds, place.stub.reached, place.proxy.went, left)
            if left and not place.forgives(trial):
                return  # it would be counted against all that follow


def tasks() -> str:
    """Which tasks of the event loop are ours and still there."""
    names = [one.name for one in anyio.get_running_tasks() if "imagekit" in str(one.name)]
    return f"tasks: {names}" if names else ""


def judged(
    colour: str, trials: Iterable[Trial], slack: float = SLACK
) -> list[tuple[Trial, list[str]]]:
    """Each of *trials* by the client of that *colour*, and what was wrong with it.

    It is judged at once, and let go: an error holds all that it came through, and where thousands
    are kept, the collector of garbage takes seconds, amid some other trial.
    """
    groups: dict[Any, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(key_of(trial), []).append(trial)
    found: list[tuple[Trial, list[str]]] = []

    async def main(place: Place, group: list[Trial]) -> None:
        async for trial, came in awaited(place, group):
            found.append((trial, list(wrong(trial, came, slack))))

    for group in groups.values():
        with Place() as place:
            if colour == "sync":
                for trial, came in blocking(place, group):
                    found.append((trial, list(wrong(trial, came, slack))))
            else:
                anyio.run(partial(main, place, group), backend=colour)
    return found


# What must come of it


@dataclass(frozen=True)
class Plain:
    """An exchange that nothing breaks: what goes over the connection in question."""

    ask: bytes
    answer: bytes

    def holds(self, exchange: Exchange) -> tuple[int, int]:
        """Before the first byte of the answer nothing is there; after the second everything is."""
        if not exchange.streams:
            return len(self.answer), len(self.answer)
        spelling = spelt(exchange.data).encode()
        preview = self.answer.index(spelling) + len(spelling)
        end = self.answer.index(spelling, preview) + len(spelling)
        return end, self.answer.index(b"\n\n", end) + (2 if b"chunked" not in self.answer else 4)


@cache
def plain(exchange: Exchange) -> Plain:
    """What goes over the wire where nothing breaks."""
    with Place() as place:
        [(_, came)] = list(blocking(place, [Trial(exchange, None)]))
    assert not isinstance(came.found, BaseException) or exchange.words == "refuse", came.found
    went = came.went[exchange.on]
    return Plain(bytes(went.ask), bytes(went.answer))


Exchange.__hash__ = lambda self: hash(self.name)  # type: ignore[method-assign]

LATE_BY = "it took"
BROKEN: tuple[type[BaseException], ...] = (TransportError, TruncatedStreamError)
LATE: tuple[type[BaseException], ...] = (TransportTimeoutError, DeadlineExceededError)


def right(trial: Trial, found: Any) -> bool:
    """Whether *found* is what was asked for."""
    # Who rewrites an answer may give another picture, too.
    other = trial.fault is not None and trial.fault.kind == "rewrite"
    if trial.exchange.verb == "models":
        return other or [one.id for one in found] == ["gpt-image-2"]
    if not isinstance(found, ImageResponse):
        return False
    if trial.exchange in DOWNLOADS and found.image.data is None:
        # What is paid for is kept: the URL is there, and so is a notice.
        return any(one.feature == "url" for one in found.notices)
    return other or found.image.data == trial.exchange.data


def wrong(trial: Trial, came: Came, slack: float = SLACK) -> Iterator[str]:
    """What is not as it must be."""
    one, fault, found = trial.exchange, trial.fault, came.found
    if came.left and not (trial.rewritten and kept(came.went)):
        yield came.left
    if len(came.reached) > MOST_ASKED:
        yield f"{len(came.reached)} requests reached the server"
    if came.posts > (one.verb != "models"):
        yield f"{came.posts} requests that cost reached the server"
    if not isinstance(found, BaseException) and not right(trial, found):
        yield f"it came to {found!r}"
    if isinstance(found, BaseException) and not isinstance(found, ImagekitError):
        yield f"it raised {found!r}"
    elif isinstance(found, ImagekitError) and fault is not None:
        yield from _misjudged(trial, came, found)
    if fault is not None:
        due = _due(trial)
        if due is not None and due is isinstance(found, BaseException):
            yield f"it {'fails' if due else 'does not fail'}: {found!r}"
    if came.seconds > trial.limit + slack:
        yield f"{LATE_BY} {came.seconds:.1f} s"


def _due(trial: Trial) -> bool | None:
    """Whether the picture must come: True, False, or None where it may."""
    one, fault = trial.exchange, trial.fault
    assert fault is not None
    if fault.kind == "rewrite":
        return None
    if one.words == "refuse":
        return False
    if one in DOWNLOADS:
        return True
    if fault.kind == "drip":
        return None if fault.gap else True
    if one.free and trial.times == 1 and "deadline" not in trial.how:
        return True
    if fault.kind == "reset" and not fault.at:
        # It may come before the connection stands: then nothing was sent, and it is made again.
        return None
    first, after = plain(one).holds(one)
    if fault.side == "answer" and fault.at >= after:
        return True
    return False if fault.side == "ask" or fault.at < first else None


def _misjudged(trial: Trial, came: Came, found: ImagekitError) -> Iterator[str]:
    one, fault = trial.exchange, trial.fault
    assert fault is not None
    if isinstance(found, InvalidRequestError) and one.words == "refuse":
        if found.billed != "no":
            yield f"a refusal says {found.billed}"
        return
    billable = came.posts > 0
    due = "no" if one.free and not billable else "possibly"
    if fault.kind == "rewrite":
        # An answer that became a refusal is one.
        if found.billed != due and not 400 <= (found.status or 0) < 500:
            yield f"billed: {found.billed}, not {due}: {found!r}"
        if isinstance(found, ConfigurationError | RequestError | PluginError):
            yield f"it is not the answer's fault: {found!r}"
        return
    # Where a refusal breaks off, its status may be known, and may not.
    if found.billed != due and not (one.words == "refuse" and billable):
        yield f"billed: {found.billed}, not {due}"
    if found.billed == "no" and billable and one.words != "refuse":
        yield "what reached the server is said to cost nothing"
    late = "timeouts" in trial.how or "deadline" in trial.how
    if type(found) not in (LATE if late else BROKEN):
        yield f"it raised {type(found).__name__}: {found}"
    if one.on and not one.free and found.job is None:
        yield "the job is lost"


# The classes

SHORT = ("images", "images, stream", "images, refused", "responses", "responses, a look")
LONGER = ("responses, stream", "responses, background")


def spread(size: int, stride: int) -> Iterator[int]:
    """From 0 to *size*, both of them too: every *stride*-th."""
    yield from range(0, size, stride)
    yield size


def cuts(kinds: Iterable[str], names: Iterable[str], stride: int = 1) -> Iterator[Trial]:
    """Every *stride*-th byte of each of these exchanges."""
    for name in names:
        one = EXCHANGES[name]
        wire = plain(one)
        for kind in kinds:
            for at in spread(len(wire.ask), stride):
                yield Trial(one, Fault(kind, "ask", at))  # type: ignore[arg-type]
            for at in spread(len(wire.answer), stride):
                yield Trial(one, Fault(kind, "answer", at))  # type: ignore[arg-type]


def tried(trials: Callable[[], Iterable[Trial]], colours: Iterable[str] = COLOURS) -> Tried:
    """What *trials* come to on each of the clients."""
    made, result, again = list(trials()), Tried(), 0
    for colour in colours:
        found = judged(colour, made)
        if len(found) < len(made):
            result.wrong.append(f"{colour}: {len(made) - len(found)} were not tried after a leak")
        for trial, lines in found:
            result.count += 1
            for _ in range(2):
                late = trial.how or any(one.startswith(LATE_BY) for one in lines)
                if not lines or not late or again >= MOST_AGAIN:
                    break
                # A busy machine is late now and then, or past a short deadline before anything is
                # sent; after seconds it gives up a connection that was about to be made.
                again += 1
                [(_, lines)] = judged(colour, [trial.slower()], MORE * SLACK)
            result.wrong += [f"{colour}: {trial}: {one}" for one in lines]
    return result


def dropped() -> Tried:
    """The short exchanges, ended at every byte."""
    return tried(lambda: [*cuts(["drop"], SHORT), *cuts(["drop"], LONGER, 16)])


def broken() -> Tried:
    """All exchanges, ended and reset at some bytes."""
    return tried(lambda: cuts(["drop", "reset"], EXCHANGES, 131))


def reset_short() -> Tried:
    """The short exchanges, reset at every third byte."""
    return tried(lambda: cuts(["reset"], SHORT, 3))


def stalls(stride: int) -> Iterator[Trial]:
    """All exchanges but the large ones, stalled: under a timeout, and under a deadline."""
    for turn, (name, one) in enumerate(EXCHANGES.items()):
        if one.data is LARGE:
            continue
        for how in ({"timeouts": Timeouts(5.0, SOON)}, {"deadline": SOON}):
            if "deadline" in how and one.on:
                continue  # under which the connections before it may be late too
            for trial in cuts(["stall"], [name], stride + turn):
                yield Trial(one, trial.fault, 3 if one.free else 1, how)


def stalled() -> Tried:
    """Exchanges in which nothing comes any more."""
    return tried(lambda: stalls(307))


def drips(stride: int) -> Iterator[Trial]:
    """Exchanges whose bytes come one by one; too slowly for a deadline, too."""
    for one in EXCHANGES.values():
        for side in ("ask", "answer") if one.data is SMALL else ():
            yield Trial(one, Fault("drip", side, 0))  # type: ignore[arg-type]
        if not one.on:
            for at in spread(len(plain(one).answer) - 30, stride):
                yield Trial(one, Fault("drip", "answer", at, gap=0.05), how={"deadline": 0.3})


def dripping() -> Tried:
    """Exchanges whose bytes come one by one."""
    return tried(lambda: drips(1300))


def scraps(count: int, seed: int = 7) -> Iterator[Trial]:
    """Answers in which other bytes stand, at random places."""
    chance = random.Random(seed)
    for turn in range(count):
        one = list(EXCHANGES.values())[turn % len(EXCHANGES)]
        size = len(plain(one).answer)
        at, new = chance.randrange(size), chance.randbytes(chance.choice([1, 1, 2, 8, 64, 5000]))
        yield Trial(one, Fault("rewrite", rewrite=with_bytes(at, new)), 3 if one.free else 1)


def lengths() -> Iterator[Trial]:
    """Answers, and chunks, that say a wrong length."""
    sizes = (
        b"",
        b"0",
        b"1",
        b"zz",
        b"-1",
        b"ffffffff",
        b"f" * 17,
        b"1" * 300,
        b"10;" + b"x" * 9000,
    )
    for one in EXCHANGES.values():
        answer = plain(one).answer
        times = 3 if one.free else 1
        if b"chunked" in answer:
            for number in range(len(list(chunks(heads(answer)[1])))):
                for size in sizes:
                    yield Trial(one, Fault("rewrite", rewrite=with_chunk(number, size)), times)
        elif b"content-length" in answer:
            for change in (-100, -10, -2, -1, 1, 2, 10, 10_000_000):
                yield Trial(one, Fault("rewrite", rewrite=with_length(change)), times)
            for said in (b"-1", b"x", b"", b"1" * 400, b"7, 8"):
                wire = with_header(b"content-length: " + said)
                yield Trial(one, Fault("rewrite", rewrite=wire), times)


def rubbish() -> Iterator[Trial]:
    """Heads and bodies that are none, or too large."""
    many = b"".join(b"x-%d: %s\r\n" % (turn, b"y" * 100) for turn in range(3000))
    whole = [
        with_head(b"\0" * 1000 + b"\r\n\r\n"),
        with_head(b"HTTP/9.9 abc\r\n\r\n"),
        with_head(b"HTTP/1.1 99999999999 Odd\r\n\r\n"),
        with_head(b"HTTP/1.1 200 Said\r\n" + b"x" * 10_000_000 + b"\r\n\r\n"),
        with_head(b"HTTP/1.1 200 Said\r\n" + many + b"\r\n"),
        with_head(b"HTTP/1.1 100 Wait\r\n\r\n" * 2000),
        with_head(b""),
        with_head(b"HTTP/1.1 302 Found\r\nlocation: /v1/a.png\r\nconnection: close\r\n\r\n"),
        with_head(b"HTTP/1.1 308 Moved\r\nlocation: ?\r\nconnection: close\r\n\r\n"),
        with_header(b"x-large: " + b"y" * 9_000_000),
        with_header(b": nameless"),
        with_header(b"no colon"),
        with_header(b"x-nul: a\0b"),
        with_header(b"content-type: \xff\xfe"),
        with_header(b"content-encoding: gzip"),
        with_header(b"content-encoding: deflate"),
        with_header(b"content-encoding: gzip, gzip, deflate"),
        with_header(b"transfer-encoding: gzip"),
        with_header(b"transfer-encoding: chunked, chunked"),
        with_body(b""),
        with_body(b"\xff" * 500),
        with_body(b"[" * 200_000),
        with_body(b"null"),
        with_body(b'{"data": [{"b64_json": 7}]}'),
        with_body(b'{"data": [{"b64_json": "!!!!"}]}'),
        with_body(b"\r\n" * 5000),
        with_body(b"data: " * 5000),
        with_body(b"data: \n\n" * 5000),
        with_body(b"9" * 100_000),
    ]
    for one in EXCHANGES.values():
        for rewrite in whole:
            yield Trial(one, Fault("rewrite", rewrite=rewrite), 3 if one.free else 1)


def rewritten() -> Tried:
    """Answers that are not what they say, or say what they are not."""
    return tried(lambda: [*lengths(), *rubbish(), *scraps(1000)])


# Bombs, floods, and what never ends: how much memory they take

# A whole answer may be as long as this; what the client holds beside it is ours to keep small.
MOST = 256 * 2**20
ROOM = MOST + 160 * 2**20


def peak() -> int:
    """The most memory that this process has had since `forget`, in bytes."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) * 1024  # type: ignore[index]


def forget() -> int:
    """Measure from here on; the memory that there is now."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    return peak()


def repeated(data: bytes, times: int, kind: int = 31) -> Iterator[bytes]:
    """*data* so many times, compressed (31 is gzip, 15 zlib), a piece for each."""
    packer = zlib.compressobj(9, zlib.DEFLATED, kind)
    first = packer.compress(data) + packer.flush(zlib.Z_FULL_FLUSH)
    yield first
    again = packer.compress(data) + packer.flush(zlib.Z_FULL_FLUSH)
    for _ in range(times - 1):
        yield again


def twice(data: bytes, times: int) -> bytes:
    """A bomb in a bomb."""
    return gzip.compress(b"".join(repeated(data, times)), 9)


ZEROS = bytes(2**20)
HEAD = b"HTTP/1.1 200 Said\r\nconnection: close\r\ncontent-type: "
JSON, SSE = HEAD + b"application/json\r\n", HEAD + b"text/event-stream\r\n"
Flood = Callable[[], Iterator[bytes]]


def floods() -> Mapping[str, Flood]:
    """Answers that have no end worth waiting for."""
    spaces = b" " * 2**20
    letters = b"A" * 2**20

    def of(head: bytes, *bodies: Iterable[bytes]) -> Flood:
        return lambda: itertools.chain((head,), *bodies)

    def zipped(head: bytes, name: bytes, kind: int, data: bytes, times: int = 600) -> Flood:
        head += b"content-encoding: " + name + b"\r\n\r\n"
        return lambda: itertools.chain((head,), repeated(data, times, kind))

    return {
        "a gzip bomb": zipped(JSON, b"gzip", 31, spaces),
        "a deflate bomb": zipped(JSON, b"deflate", 15, spaces),
        "a gzip bomb in a stream": zipped(SSE, b"gzip", 31, letters),
        "a gzip bomb of events": zipped(SSE, b"gzip", 31, b": wait\n\n" * 2**17, 8),
        "a gzip bomb in a refusal": zipped(JSON.replace(b"200", b"400"), b"gzip", 31, spaces),
        "a gzip bomb in a gzip bomb": lambda: iter(
            (JSON + b"content-encoding: gzip, gzip\r\n\r\n", twice(spaces, 600))
        ),
        "a gzip bomb in one piece": lambda: iter(
            (JSON + b"content-encoding: gzip\r\n\r\n", b"".join(repeated(spaces, 600)))
        ),
        "a body without an end": of(JSON + b"\r\n", itertools.repeat(spaces, 400)),
        "a picture without an end": of(
            JSON + b'\r\n{"data": [{"b64_json": "', itertools.repeat(letters, 400)
        ),
        "a line without an end": of(SSE + b"\r\ndata: ", itertools.repeat(letters, 400)),
        "an event without an end": of(
            SSE + b"\r\n", itertools.repeat(b"data: " + letters + b"\n", 400)
        ),
        "a preview without an end": of(
            SSE + b'\r\ndata: {"type": "image_generation.partial_image", "b64_json": "',
            itertools.repeat(letters, 400),
        ),
        "a head without an end": of(HEAD, itertools.repeat(b"x: " + letters, 100)),
    }


class Flooding(Listening):
    """A server that answers with one flood, until it is left."""

    def __init__(self, flood: Flood) -> None:
        super().__init__()
        self.flood, self.connections = flood, 0

    @property
    def url(self) -> str:
        return f"http://{self.place}/v1"

    def taken(self, connection: socket.socket) -> Callable[[], None]:
        """Flood it."""
        self.connections += 1
        return partial(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(65536)
            for piece in self.flood():
                connection.sendall(piece)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass


def flooded(names: Iterable[str] = (), colours: Iterable[str] = COLOURS) -> Tried:
    """Answers that inflate, or never end: each ends in an error, within the limit of memory."""
    result = Tried()
    for name, flood in floods().items():
        if names and name not in names:
            continue
        streams = any(word in name for word in ("stream", "event", "line", "preview"))
        verb = "stream" if streams else "generate"
        for colour in colours:
            with Flooding(flood) as server:
                given = {"base_url": server.url, "provider": IMAGES, "api_key": "sk-proxied"}
                given |= {"retry": QUICK, "env": {}, "config": False}
                before = forget()
                found = _flooded(colour, verb, given)
                more = peak() - before
            result.count += 1
            where = f"{colour}: {name}"
            if not isinstance(found, ImagekitError):
                result.wrong.append(f"{where}: it came to {found!r}")
            elif found.billed == "no" and "refusal" not in name:
                result.wrong.append(f"{where}: billed no: {found!r}")
            if more > ROOM:
                result.wrong.append(f"{where}: it takes {more >> 20} MiB ({found!r})"[:300])
            if server.connections != 1:
                result.wrong.append(f"{where}: it was asked {server.connections} times")
            del found
    return result


def _flooded(colour: str, verb: str, given: dict[str, Any]) -> Any:
    async def main() -> Any:
        async with imagekit.AsyncClient(**given) as client:
            if verb == "generate":
                return await client.generate("a cat")
            async with client.stream("a cat", partial_images=1) as stream:
                return await stream.finish()

    try:
        if colour != "sync":
            return anyio.run(main, backend=colour)
        with imagekit.Client(**given) as client:
            if verb == "generate":
                return client.generate("a cat")
            with client.stream("a cat", partial_images=1) as stream:
                return stream.finish()
    except Exception as error:
        # Its frames hold what it was read into.
        return error.with_traceback(None)
