"""The faults of a network and of a provider, as values: what breaks, and what must come of it.

python tests/faults.py [filter ...]     breaks everything, or what says so; prints the table

Each row is done by the blocking client and by the async one, on asyncio and on trio, against a
server of bare sockets on loopback, which breaks as it is told and counts what reached it. What is
expected is written by hand, from the rules on docs/charges.md.
"""

# ruff: noqa: E501  # the rows are a table
from __future__ import annotations

import json
import os
import socket
import ssl
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import anyio

import alone  # noqa: F401
import imagekit
from imagekit import ImagekitError, ImageResponse, RetryPolicy, Timeouts
from imagekit.provider import hookimpl
from proxy import Listening
from spoken import httpx
from toys import picture, refused, spelt
from tried import Tried

COLOURS = ("sync", "asyncio", "trio")
PNG = spelt(picture())
# More than loopback and both ends of it hold, so that who does not read keeps the other waiting.
LARGE = picture() + bytes(6 * 2**20)
# Seconds that may go by after a deadline.
SLACK = 1.0
# Between two calls, for the end of a connection to come.
IDLE = 0.1
# So many times as long has what is tried again because the machine may have been busy.
MORE = 5
# A key and a certificate for 127.0.0.1 which nobody trusts but these rows.
CERTIFICATE = Path(__file__).with_name("loopback.pem")
JOB = json.dumps(
    {
        "provider": "openai-responses",
        "counts": [1],
        "parts": [{"n": 1, "handle": {"response_id": "resp_1"}}],
    }
)


# The server


@dataclass
class Arrived:
    """One request as far as it came, and what was done about it."""

    method: str
    path: str
    keyed: bool
    whole: bool = False
    status: int | None = None

    @property
    def charges(self) -> bool:
        """Whether making it costs money."""
        return self.method == "POST" and not self.path.endswith("/cancel")

    @property
    def turned_away(self) -> bool:
        """Whether the server said that it did nothing about it."""
        return self.status in (429, 503) or self.status in (400, 401, 403, 404, 413, 422)


class Wire:
    """One connection, from the server's side."""

    def __init__(self, server: Broken, connection: socket.socket) -> None:
        self.server, self.connection = server, connection
        self._data = b""
        self._length = 0

    def head(self) -> Arrived:
        """A request's head."""
        while b"\r\n\r\n" not in self._data:
            self._more()
        head, _, self._data = self._data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        named = {name.lower(): value for name, _, value in (one.partition(": ") for one in lines)}
        self._length = int(named.get("content-length", 0))
        method, path, _ = first.split(" ")
        self.last = Arrived(method, path.partition("?")[0], "authorization" in named)
        self.server.arrived.append(self.last)
        return self.last

    def take(self) -> Arrived:
        """All of a request."""
        self.head()
        return self.body()

    def body(self) -> Arrived:
        """The rest of the request whose head was taken."""
        while len(self._data) < self._length:
            self._more()
        self._data = self._data[self._length :]
        self.last.whole = True
        return self.last

    def _more(self) -> None:
        data = self.connection.recv(65536)
        if not data:
            raise ConnectionError("the client left")
        self._data += data

    def say(self, text: str | bytes) -> None:
        """Write."""
        self.connection.sendall(text.encode() if isinstance(text, str) else text)

    def begin(self, status: int, headers: Mapping[str, str], *, close: bool = True) -> None:
        """Write an answer's head."""
        self.last.status = status
        said = {"connection": "close"} if close else {}
        lines = [f"{name}: {value}" for name, value in {**said, **headers}.items()]
        self.say("\r\n".join((f"HTTP/1.1 {status} Said", *lines, "", "")))

    def answer(self, status: int, body: bytes, headers: Mapping[str, str], **how: bool) -> None:
        """Write a whole answer."""
        length = {"content-type": "application/json", "content-length": str(len(body))}
        self.begin(status, {**length, **headers}, **how)
        self.say(body)

    def drain(self) -> None:
        """Read until the client leaves."""
        while self.connection.recv(65536):
            pass

    def reset(self) -> None:
        """Have the connection end in a reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


Act = Callable[[Wire], None]
# For each call of a row, what is waited for before it.
Rests = Sequence[threading.Event | None]


class Broken(Listening):
    """A server whose connections do the *acts* in turn, the last of them from then on."""

    def __init__(self, *acts: Act, tls: bool = False, pause: float = 0.0) -> None:
        super().__init__()
        self.acts, self.tls, self.pause = list(acts), tls, pause
        self.arrived: list[Arrived] = []
        self.connections = 0
        self.elsewhere = ""
        self.rests, self.gone = threading.Event(), threading.Event()

    def listener(self) -> socket.socket:
        """A socket that listens."""
        made = socket.socket()
        # Small, so that who is not read is soon kept waiting.
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        made.bind(("127.0.0.1", 0))
        made.listen(64)
        return made

    def taken(self, connection: socket.socket) -> Callable[[], None]:
        """Do the next act."""
        self.connections += 1
        act = self.acts.pop(0) if len(self.acts) > 1 else self.acts[0]
        return partial(self._serve, act, connection)

    def _serve(self, act: Act, connection: socket.socket) -> None:
        with (
            suppress(OSError),
            self.held(_encrypted(connection) if self.tls else connection) as talked,
        ):
            act(Wire(self, talked))

    def __exit__(self, *_: object) -> None:
        self.gone.set()
        super().__exit__()


def _encrypted(connection: socket.socket) -> socket.socket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    with connection:  # from which the wrapper takes what there is to close, if it gets so far
        return context.wrap_socket(connection, server_side=True)


# What it does


def answers(status: int = 200, body: Any = None, **headers: str) -> Act:
    """Take the request, and answer it; a success has a picture, in whichever dialect was asked."""

    def act(wire: Wire) -> None:
        seen = wire.take()
        said = wanted(seen) if status == 200 and body is None else body
        if said is None:
            said = {"error": {"message": "the server says no", "type": None, "code": None}}
        data = said if isinstance(said, bytes) else json.dumps(said).encode()
        wire.answer(status, data, {name.replace("_", "-"): one for name, one in headers.items()})

    return act


def wanted(seen: Arrived) -> Any:
    """What a request would get if nothing were broken."""
    if seen.path.endswith("/models"):
        return {"object": "list", "data": [{"id": "gpt-image-2", "object": "model"}]}
    if "/responses" in seen.path:
        return made()
    return {"created": 1, "data": [{"b64_json": PNG}]}


def made(status: str = "completed") -> dict[str, Any]:
    """A response of the Responses API."""
    call = {"id": "ig_1", "type": "image_generation_call", "status": "completed", "result": PNG}
    output = [call] if status == "completed" else []
    return {"id": "resp_1", "object": "response", "status": status, "output": output}


def refuses(code: str, kind: str | None = None, status: int = 429, **headers: str) -> Act:
    """Turn the request away, with a word for why."""
    return answers(status, {"error": {"message": "no", "type": kind, "code": code}}, **headers)


def silent(wire: Wire) -> None:
    """Take the request, and never answer."""
    wire.take()
    wire.drain()


def unread(wire: Wire) -> None:
    """Take the head, and leave the body where it is."""
    wire.head()
    wire.server.gone.wait(20)


def trickles(wire: Wire) -> None:
    """Take a large body a little at a time, so slowly that it takes minutes."""
    wire.head()
    while wire.connection.recv(512):
        time.sleep(0.02)


def resets(wire: Wire) -> None:
    """End in a reset before anything is read."""
    wire.connection.recv(1, socket.MSG_PEEK)
    wire.reset()


def no_tls(wire: Wire) -> None:
    """Answer at once, and in the clear."""
    wire.connection.recv(65536)
    wire.say("HTTP/1.1 400 Bad Request\r\n\r\n")


def closes(wire: Wire) -> None:
    """End before anything is read."""
    wire.connection.recv(1, socket.MSG_PEEK)


def takes(how_much: str, *, reset: bool) -> Act:
    """Take "head", "some" of the body, or "all" of the request, and end."""

    def act(wire: Wire) -> None:
        wire.head()
        if how_much == "some":
            wire.connection.recv(4096)
        if how_much == "all":
            wire.body()
        if reset:
            wire.reset()

    return act


def says(text: str, *, then: str = "close") -> Act:
    """Take the request, write *text*, and "close", "reset" or "stay"."""

    def act(wire: Wire) -> None:
        wire.take().status = 200
        wire.say(text)
        if then == "reset":
            # The text is to arrive first.
            time.sleep(0.05)
            wire.reset()
        if then == "stay":
            wire.drain()

    return act


def early(status: int, *, reset: bool) -> Act:
    """Answer when only the head is in; then read on, or pause and end in a reset."""

    def act(wire: Wire) -> None:
        wire.head()
        wire.answer(status, json.dumps({"error": {"message": "no"}}).encode(), {})
        if not reset:
            return wire.drain()
        time.sleep(wire.server.pause)
        wire.reset()

    return act


def drips(text: str, *, over: str) -> Act:
    """Take the request, write *text*, and then *over* and over, a byte every 20 ms."""

    def act(wire: Wire) -> None:
        wire.take().status = 200
        wire.say(text)
        for _ in range(1000):
            for letter in over:
                wire.say(letter)
                time.sleep(0.02)

    return act


def moves(status: int) -> Act:
    """Send the client to somebody else."""

    def act(wire: Wire) -> None:
        seen = wire.take()
        wire.answer(status, b"", {"location": f"http://{wire.server.elsewhere}{seen.path}"})

    return act


def first_says(*statuses: int) -> Act:
    """Answer after others that are none yet."""

    def act(wire: Wire) -> None:
        wire.take()
        for status in statuses:
            wire.say(f"HTTP/1.1 {status} Wait\r\n\r\n")
        wire.answer(200, json.dumps(wanted(wire.last)).encode(), {})

    return act


def keeps(*, then: str) -> Act:
    """Answer, keep the connection, and close it when it is "idle" or on the next "request"."""

    def act(wire: Wire) -> None:
        wire.take()
        wire.answer(200, json.dumps(wanted(wire.last)).encode(), {}, close=False)
        if then == "idle":
            wire.connection.close()
        wire.server.rests.set()
        if then == "request":
            wire.take()

    return act


def sse(*events: Mapping[str, Any]) -> str:
    """Events as they are sent."""
    return "".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n" for one in events)


def streams(*events: Mapping[str, Any], then: str = "close", chunked: bool = False) -> Act:
    """Answer with *events*; *then* "close", "stay", "reset" or, where it is chunked, "cut"."""
    head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/event-stream\r\n"
    body = sse(*events)
    if chunked:
        head += "transfer-encoding: chunked\r\n"
        body = f"{len(body):x}\r\n{body}\r\n" if body else ""
    return says(f"{head}\r\n{body}", then=then)


def by_path(**acts: Act) -> Act:
    """Do what is said for the method of the request that comes."""

    def act(wire: Wire) -> None:
        method = wire.connection.recv(4, socket.MSG_PEEK)
        acts["post" if method == b"POST" else "get"](wire)

    return act


PREVIEW = {"type": "image_generation.partial_image", "partial_image_index": 0, "b64_json": PNG}
FINAL = {"type": "image_generation.completed", "b64_json": PNG}
BEGUN = {"type": "response.created", "sequence_number": 0, "response": made("in_progress")}
CALL = {"item_id": "ig_1", "output_index": 0}
HINT = {
    "type": "response.image_generation_call.partial_image",
    "sequence_number": 1,
    "partial_image_index": 0,
    "partial_image_b64": PNG,
    **CALL,
}
PICTURE = {
    "type": "response.output_item.done",
    "sequence_number": 2,
    "output_index": 0,
    "item": made()["output"][0],
}
END = {"type": "response.completed", "sequence_number": 3, "response": made()}
FAILED = {
    "type": "response.failed",
    "response": {**made("failed"), "error": {"code": "server_error", "message": "it broke"}},
}


def trouble(code: str, **more: Any) -> dict[str, Any]:
    """An error as an event."""
    return {"type": "error", "error": {"message": "no", "code": code, **more}}


# What must come of it

NO, MAY, NOTHING = "no", "possibly", "-"
Asks = Mapping[str, tuple[str, str, Mapping[str, Any]]]
ASKS: Asks = {
    "generate": ("generate", "openai-images", {}),
    "two": ("generate", "openai-responses", {"n": 2}),
    "edit": ("edit", "openai-images", {"images": [LARGE]}),
    "stream": ("stream", "openai-images", {"partial_images": 1}),
    "responses": ("generate", "openai-responses", {}),
    "responses stream": ("stream", "openai-responses", {"partial_images": 1}),
    "submit": ("submit", "openai-responses", {}),
    "detached": ("generate", "openai-responses", {"detach": True}),
    "detached stream": ("stream", "openai-responses", {"detach": True, "partial_images": 1}),
    "models": ("models", "openai-images", {}),
    "cancel": ("cancel", "openai-responses", {}),
    "twice": ("generate", "openai-images", {}),
}
QUICK = RetryPolicy(retries=2, base=0.0)
TWICE = RetryPolicy(retries=2, base=0.0, may_charge_twice=True)
SLOW = RetryPolicy(retries=2, base=30.0, cap=30.0)
NEVER_OVER = RetryPolicy(retries=10_000, base=0.0)
HASTY, UNCONNECTED = Timeouts(5.0, 0.15), Timeouts(0.15, 10.0)
# LATER is for who has much to prepare.
SOON, LATER = 0.3, 2.5
ANY = -1


@dataclass(frozen=True)
class Row:
    """One fault: what is asked, what breaks, and what must come of it.

    `sent` is how often the request was begun, `reached` how many whole requests the server got;
    for requests side by side, or by a deadline, `ANY`. `got` is what the caller holds.
    """

    fault: str
    ask: str
    sent: int
    reached: int
    got: str
    billed: str
    acts: tuple[Act, ...] = ()
    how: Mapping[str, Any] = field(default_factory=dict)
    place: str = "http://{server}/v1"
    tls: bool = False
    pause: float = 0.0

    @property
    def hurried(self) -> bool:
        """Whether time decides what comes of it."""
        return bool(self.pause or {"deadline", "timeouts"} & {*self.how})

    @property
    def twice(self) -> bool:
        """Whether the caller says that it may cost twice."""
        policy = self.how.get("retry", QUICK)
        return bool(policy.may_charge_twice)

    def slower(self) -> Row:
        """The same, with more time."""
        how = dict(self.how)
        if "deadline" in how:
            how["deadline"] *= MORE
        if "timeouts" in how:
            how["timeouts"] = Timeouts(how["timeouts"].connect * MORE, how["timeouts"].read * MORE)
        return replace(self, how=how, pause=self.pause * MORE)


def row(
    fault: str, ask: str, sent: int, reached: int, got: str, billed: str, *acts: Act, **how: Any
) -> Row:
    """A row, from left to right as it is printed."""
    more = {name: how.pop(name) for name in ("place", "tls", "pause") if name in how}
    return Row(fault, ask, sent, reached, got, billed, acts, how, **more)


ONE = "1 picture"
BROKE, LATE, OVER = "TransportError", "TransportTimeoutError", "DeadlineExceededError"
NOBODY, CUT = "ConnectionFailedError", "TruncatedStreamError"
BUSY, GONE = "RateLimitError 429", "ProviderUnavailableError"
OK = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json\r\n"
TLS = {"tls": True, "place": "https://{server}/v1"}
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
LOST = takes("all", reset=True)
DONE = answers(200)
# The four of OpenAI's help centre (article 6614457, read in November 2026), and the one before.
BILLING = (
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
)

# fmt: off
ROWS: Sequence[Row] = [
  #   what breaks                              asked       sent arrived  what the caller gets   billed

  # No connection, or none that a byte of the request went over: sent again.
  row("nobody listens",                        "generate", 3, 0, NOBODY, NO, place="nobody"),
  row("nobody listens: a stream",              "stream",   3, 0, NOBODY, NO, place="nobody"),
  row("nobody listens: a submission",          "submit",   3, 0, NOBODY, NO, place="nobody"),
  row("the name does not resolve",             "generate", 3, 0, NOBODY, NO, place="http://nowhere.invalid"),
  row("the other side speaks no TLS",          "generate", 3, 0, NOBODY, NO, no_tls, place="https://{server}/v1"),
  row("the TLS handshake hangs",               "generate", 3, 0, NOBODY, NO, silent, timeouts=UNCONNECTED, place="https://{server}/v1"),
  row("a proxy refuses the tunnel",            "generate", 3, 0, NOBODY, NO, answers(407), place="https://nowhere.invalid", proxy=True),
  row("a certificate that nobody trusts",      "generate", 3, 0, NOBODY, NO, DONE, tls=True, place="https://localhost:{port}/v1"),
  row("nobody listens, then there is one",     "twice",    2, 2, ONE, NOTHING, keeps(then="idle")),

  # It broke on the way: nobody knows how far it came.
  row("reset before anything is read",         "generate", 1, 0, BROKE, MAY, resets),
  row("closed before anything is read",        "generate", 1, 0, BROKE, MAY, closes),
  row("reset after the head",                  "generate", 1, 0, BROKE, MAY, takes("head", reset=True)),
  row("closed after the head",                 "generate", 1, 0, BROKE, MAY, takes("head", reset=False)),
  row("reset amid a large body",               "edit",     1, 0, BROKE, MAY, takes("some", reset=True)),
  row("closed amid a large body",              "edit",     1, 0, BROKE, MAY, takes("some", reset=False)),
  row("a large body is not read",              "edit",     1, 0, LATE,  MAY, unread, timeouts=HASTY),
  row("reset after the body",                  "generate", 1, 1, BROKE, MAY, LOST),
  row("closed after the body",                 "generate", 1, 1, BROKE, MAY, takes("all", reset=False)),
  row("reset after the body: responses",       "responses", 1, 1, BROKE, MAY, LOST),
  row("reset after the body: a stream",        "stream",   1, 1, BROKE, MAY, LOST),
  row("reset after the body: a submission",    "submit",   1, 1, BROKE, MAY, LOST),
  row("reset after the body: TLS",             "generate", 1, 1, BROKE, MAY, LOST, **TLS),
  row("reset amid a large body: TLS",          "edit",     1, 0, BROKE, MAY, takes("some", reset=True), **TLS),
  row("never an answer",                       "generate", 1, 1, LATE,  MAY, silent, timeouts=HASTY),
  row("never an answer: a stream",             "stream",   1, 1, LATE,  MAY, silent, timeouts=HASTY),
  row("a kept connection ends while idle",     "twice",    2, 2, ONE, NOTHING, keeps(then="idle")),
  row("a kept connection ends on a request",   "twice",    2, 2, BROKE, MAY, keeps(then="request")),

  # An answer that breaks.
  row("closed amid the status line",           "generate", 1, 1, BROKE, MAY, says("HTTP/1.1 2")),
  row("closed amid the head",                  "generate", 1, 1, BROKE, MAY, says(OK + "content-le")),
  row("no HTTP at all",                        "generate", 1, 1, BROKE, MAY, says("hello there\r\n\r\n")),
  row("reset before the answer's body",        "generate", 1, 1, BROKE, MAY, says(OK + "content-length: 99\r\n\r\n", then="reset")),
  row("reset amid the answer's body",          "generate", 1, 1, BROKE, MAY, says(OK + 'content-length: 99\r\n\r\n{"data"', then="reset")),
  row("the answer is shorter than it says",    "generate", 1, 1, BROKE, MAY, says(OK + 'content-length: 99\r\n\r\n{"data"')),
  row("the answer stops",                      "generate", 1, 1, LATE,  MAY, says(OK + 'content-length: 99\r\n\r\n{"data"', then="stay"), timeouts=HASTY),
  row("a chunked answer is cut",               "generate", 1, 1, BROKE, MAY, says(OK + 'transfer-encoding: chunked\r\n\r\n7\r\n{"data"\r\n')),
  row("a chunk's size is none",                "generate", 1, 1, BROKE, MAY, says(OK + "transfer-encoding: chunked\r\n\r\nxyz\r\n{}\r\n")),
  row("the answer is no gzip, as it says",     "generate", 1, 1, "ProtocolError", MAY, answers(content_encoding="gzip")),
  row("the answer is no JSON",                 "generate", 1, 1, "ProtocolError 200", MAY, answers(200, b"<html>")),
  row("the answer has no picture",             "generate", 1, 1, "NoImageError", MAY, answers(200, {"data": []})),
  row("a redirect to another host: 307",       "generate", 1, 1, "ProviderError 307", MAY, moves(307)),
  row("a redirect to another host: 302",       "stream",   1, 1, "ProviderError 302", MAY, moves(302)),
  row("100 and 103 before the answer",         "generate", 1, 1, ONE, NOTHING, first_says(100, 103)),

  # Turned away for good.
  *(row(f"answers {status}",                   "generate", 1, 1, f"{kind} {status}", NO, answers(status)) for status, kind in (
    (400, "InvalidRequestError"), (401, "AuthenticationError"), (403, "PermissionDeniedError"),
    (404, "InvalidRequestError"), (413, "InvalidRequestError"), (422, "InvalidRequestError"))),
  row("400, x-should-retry: true",             "generate", 1, 1, "InvalidRequestError 400", NO, answers(400, x_should_retry="true")),
  row("400, retry-after",                      "generate", 1, 1, "InvalidRequestError 400", NO, answers(400, retry_after="0")),
  row("400: its rules forbid it",              "generate", 1, 1, "ContentRejectedError 400", NO, refuses("moderation_blocked", status=400)),
  row("an early 413, and the body is read",    "edit",     1, 0, "InvalidRequestError 413", NO, early(413, reset=False)),
  row("an early 401, and a reset",             "edit",     1, 0, "AuthenticationError 401", NO, early(401, reset=True), pause=0.2),
  row("an early 401, and a reset: TLS",        "edit",     1, 0, "AuthenticationError 401", NO, early(401, reset=True), pause=0.2, **TLS),

  # Turned away for now: sent again, at the pace that was asked for.
  row("answers 429",                           "generate", 3, 3, BUSY, NO, answers(429)),
  row("answers 503",                           "generate", 3, 3, f"{GONE} 503", NO, answers(503)),
  row("503, then the picture: TLS",            "generate", 2, 2, ONE, NOTHING, answers(503), DONE, **TLS),
  row("429: responses",                        "responses", 3, 3, BUSY, NO, answers(429)),
  row("429: a submission",                     "submit",   3, 3, BUSY, NO, answers(429)),
  row("429 and 503, then the picture",         "generate", 3, 3, ONE, NOTHING, answers(429), answers(503), DONE),
  row("429, retry-after: 0",                   "generate", 3, 3, BUSY, NO, answers(429, retry_after="0")),
  row("429, retry-after-ms: 1",                "generate", 3, 3, BUSY, NO, answers(429, retry_after_ms="1")),
  row("429, retry-after: a date",              "generate", 3, 3, BUSY, NO, answers(429, retry_after=DATE, date=DATE)),
  row("429, retry-after: 10 minutes",          "generate", 1, 1, BUSY, NO, answers(429, retry_after="600")),
  row("503, retry-after: 0",                   "generate", 3, 3, f"{GONE} 503", NO, answers(503, retry_after="0")),
  row("503, retry-after: 10 minutes",          "generate", 1, 1, f"{GONE} 503", NO, answers(503, retry_after="600")),
  row("429, x-should-retry: true",             "generate", 3, 3, BUSY, NO, answers(429, x_should_retry="true")),
  row("429, x-should-retry: false",            "generate", 1, 1, BUSY, NO, answers(429, x_should_retry="false")),
  row("503, x-should-retry: false",            "stream",   1, 1, f"{GONE} 503", NO, answers(503, x_should_retry="false")),
  *(row(f"429: {code}",                        "generate", 1, 1, "QuotaExceededError 429", NO, refuses(code, "insufficient_quota")) for code in BILLING),
  row("429: the money is gone, retry-after: 0", "responses", 1, 1, "QuotaExceededError 429", NO, refuses(BILLING[0], "insufficient_quota", retry_after="0")),
  row("429: billing_hard_limit_reached",       "generate", 1, 1, "QuotaExceededError 429", NO, refuses("billing_hard_limit_reached")),
  row("503 without retries",                   "generate", 1, 1, f"{GONE} 503", NO, answers(503), retries=0),

  # Answers that leave it open: never sent again, whatever they ask for.
  *(row(f"answers {status}",                   "generate", 1, 1, f"{kind} {status}", MAY, answers(status)) for status, kind in (
    (408, GONE), (409, "InvalidRequestError"), (500, GONE), (502, GONE), (504, GONE), (520, GONE), (529, GONE))),
  *(row(f"{status}, retry-after: 0",           "generate", 1, 1, f"{kind} {status}", MAY, answers(status, retry_after="0")) for status, kind in (
    (408, GONE), (409, "InvalidRequestError"), (500, GONE))),
  *(row(f"{status}, x-should-retry: true",     "generate", 1, 1, f"{kind} {status}", MAY, answers(status, x_should_retry="true")) for status, kind in (
    (408, GONE), (409, "InvalidRequestError"), (500, GONE), (504, GONE))),
  row("500, x-should-retry: false",            "generate", 1, 1, f"{GONE} 500", MAY, answers(500, x_should_retry="false")),
  row("500: responses",                        "responses", 1, 1, f"{GONE} 500", MAY, answers(500)),
  row("500: a stream",                         "stream",   1, 1, f"{GONE} 500", MAY, answers(500)),
  row("500: a submission",                     "submit",   1, 1, f"{GONE} 500", MAY, answers(500)),
  row("502 of a proxy, in HTML",               "generate", 1, 1, f"{GONE} 502", MAY, answers(502, b"<html>", content_type="text/html")),
  row("503, then 500",                         "generate", 2, 2, f"{GONE} 500", MAY, answers(503), answers(500)),

  # Streams.
  row("opening is refused, then a stream",     "stream",   2, 2, ONE, NOTHING, answers(429), streams(PREVIEW, FINAL)),
  row("cut before any event",                  "stream",   1, 1, CUT, MAY, streams()),
  row("cut after a preview",                   "stream",   1, 1, f"{CUT}, preview", MAY, streams(PREVIEW)),
  row("reset after a preview",                 "stream",   1, 1, f"{BROKE}, preview", MAY, streams(PREVIEW, then="reset", chunked=True)),
  row("silent after a preview",                "stream",   1, 1, f"{LATE}, preview", MAY, streams(PREVIEW, then="stay"), timeouts=HASTY),
  row("a chunked stream is cut",               "stream",   1, 1, f"{BROKE}, preview", MAY, streams(PREVIEW, chunked=True)),
  row("cut after the picture",                 "stream",   1, 1, ONE, NOTHING, streams(PREVIEW, FINAL, chunked=True)),
  row("reset after the picture",               "stream",   1, 1, ONE, NOTHING, streams(FINAL, then="reset", chunked=True)),
  row("an error as the first event",           "stream",   1, 1, GONE, MAY, streams(trouble("server_error"))),
  row("an error after a preview",              "stream",   1, 1, f"{GONE}, preview", MAY, streams(PREVIEW, trouble("server_error"))),
  row("an event: too many requests",           "stream",   1, 1, "RateLimitError", MAY, streams(trouble("rate_limit_exceeded"))),
  row("an event: its rules forbid it",         "stream",   1, 1, "ContentRejectedError", MAY, streams(trouble("moderation_blocked"))),
  row("an event that is no JSON",              "stream",   1, 1, CUT, MAY, says(OK.replace("application/json", "text/event-stream") + "\r\ndata: {\n\n")),
  row("cut after a preview",                   "responses stream", 1, 1, f"{CUT}, preview", MAY, streams(BEGUN, HINT)),
  row("cut after the picture",                 "responses stream", 1, 1, f"{ONE}, notice", NOTHING, streams(BEGUN, PICTURE)),
  row("reset after the picture",               "responses stream", 1, 1, f"{ONE}, notice", NOTHING, streams(BEGUN, PICTURE, then="reset", chunked=True)),
  row("failed after a preview",                "responses stream", 1, 1, f"{GONE}, preview", MAY, streams(BEGUN, HINT, FAILED)),
  row("failed after the picture",              "responses stream", 1, 1, f"{ONE}, notice", NOTHING, streams(BEGUN, PICTURE, FAILED)),

  # Several at once: one that fails takes nothing from the others.
  row("one of two gets 500",                   "two",      2, 2, "1 of 2 pictures", MAY, answers(500), DONE),
  row("one of two gets 400",                   "two",      2, 2, "1 of 2 pictures", NO, answers(400), DONE),
  row("one of two is lost",                    "two",      2, 2, "1 of 2 pictures", MAY, LOST, DONE),
  row("one of two is refused once",            "two",      3, 3, "2 pictures", NOTHING, answers(429), DONE),
  row("both are lost",                         "two",      2, 2, BROKE, MAY, LOST),

  # What costs nothing is asked again on any trouble; what began it never is.
  row("a list: reset, then 500",               "models",   3, 3, "a list", NOTHING, LOST, answers(500), DONE),
  row("a list: 408, then 409",                 "models",   3, 3, "a list", NOTHING, answers(408), answers(409), DONE),
  row("a list: 400",                           "models",   1, 1, "InvalidRequestError 400", NO, answers(400)),
  row("a list: 500 for good",                  "models",   3, 3, f"{GONE} 500", NO, answers(500)),
  row("a cancel: reset, then 500",             "cancel",   3, 3, "nothing", NOTHING, LOST, answers(500), answers(200, made("cancelled"))),
  row("looks: reset, then 500",                "detached", 4, 4, ONE, NOTHING, answers(200, made("queued"), retry_after="0"), LOST, answers(500), DONE),
  row("looks: 500 for good",                   "detached", 4, 4, f"{GONE} 500, job", MAY, by_path(post=answers(200, made("queued"), retry_after="0"), get=answers(500))),
  row("looks: never an answer",                "detached", 4, 4, f"{LATE}, job", MAY, by_path(post=answers(200, made("queued"), retry_after="0"), get=silent), timeouts=HASTY),
  row("a detached stream is cut",              "detached stream", 2, 2, ONE, NOTHING, by_path(post=streams(BEGUN, HINT), get=streams(PICTURE, END))),
  row("a detached stream is reset",            "detached stream", 2, 2, ONE, NOTHING, by_path(post=streams(BEGUN, then="reset", chunked=True), get=streams(PICTURE, END))),
  row("a detached stream: cut before its id",  "detached stream", 1, 1, CUT, MAY, streams()),

  # A deadline holds over everything.
  row("never an answer",                       "generate", 1, 1, OVER, MAY, silent, deadline=SOON),
  row("the head drips",                        "generate", 1, 1, OVER, MAY, drips(OK, over="x-slow: 1\r\n"), deadline=SOON),
  row("the body drips",                        "generate", 1, 1, OVER, MAY, drips(OK + "content-length: 9999\r\n\r\n", over=" "), deadline=SOON),
  row("an error's body drips",                 "generate", 1, 1, OVER, MAY, drips("HTTP/1.1 500 No\r\ncontent-length: 9999\r\n\r\n", over=" "), deadline=SOON),
  row("a stream drips",                        "stream",   1, 1, OVER, MAY, drips(OK.replace("application/json", "text/event-stream") + "\r\n", over=": slow\n\n"), deadline=SOON),
  row("a stream drips after a preview",        "stream",   1, 1, f"{OVER}, preview", MAY, drips(OK.replace("application/json", "text/event-stream") + "\r\n" + sse(PREVIEW), over=": slow\n\n"), deadline=SOON),
  row("a large body is not read",              "edit",     1, 0, OVER, MAY, unread, deadline=LATER),
  row("a large body is read slowly",           "edit",     1, 0, OVER, MAY, trickles, deadline=LATER),
  row("both of two drip",                      "two",      2, 2, OVER, MAY, drips(OK + "content-length: 9999\r\n\r\n", over=" "), deadline=SOON),
  row("one of two drips",                      "two",      2, 2, "1 of 2 pictures", MAY, drips(OK + "content-length: 9999\r\n\r\n", over=" "), DONE, deadline=SOON),
  row("the TLS handshake hangs",               "generate", 1, 0, OVER, NO, silent, deadline=SOON, place="https://{server}/v1"),
  row("429, retry-after: beyond it",           "generate", 1, 1, BUSY, NO, answers(429, retry_after="60"), deadline=SOON),
  row("503, retry-after: beyond it",           "stream",   1, 1, f"{GONE} 503", NO, answers(503, retry_after="60"), deadline=SOON),
  row("503, and our own wait is beyond it",    "generate", 1, 1, f"{GONE} 503", NO, answers(503), deadline=SOON, retry=SLOW),
  row("nobody listens, and the wait is beyond it", "generate", 1, 0, NOBODY, NO, place="nobody", deadline=SOON, retry=SLOW),
  row("429 again and again",                   "generate", ANY, ANY, BUSY, NO, answers(429, retry_after="1.6"), deadline=LATER, retry=NEVER_OVER),
  row("429, then never an answer",             "generate", 2, 2, OVER, MAY, answers(429), silent, deadline=SOON),
  row("a job is not done in time",             "detached", 1, 1, f"{OVER}, job", MAY, answers(200, made("queued")), deadline=SOON),
  row("a look is refused for longer",          "detached", 2, 2, f"{BUSY}, job", MAY, by_path(post=answers(200, made("queued"), retry_after="0"), get=answers(429, retry_after="60")), deadline=LATER),

  # The caller says in so many words that it may cost twice.
  row("may_charge_twice: 500, 500, the picture", "generate", 3, 3, f"{ONE}, notice", NOTHING, answers(500), answers(500), DONE, retry=TWICE),
  row("may_charge_twice: 500 for good",        "generate", 3, 3, f"{GONE} 500, notice", MAY, answers(500), retry=TWICE),
  row("may_charge_twice: reset after the body", "generate", 3, 3, f"{BROKE}, notice", MAY, LOST, retry=TWICE),
  row("may_charge_twice: never an answer",     "generate", 3, 3, f"{LATE}, notice", MAY, silent, retry=TWICE, timeouts=HASTY),
  row("may_charge_twice: the answer is cut",   "generate", 2, 2, f"{ONE}, notice", NOTHING, says(OK + "content-length: 99\r\n\r\n"), DONE, retry=TWICE),
  row("may_charge_twice: 500, then 400",       "generate", 2, 2, "InvalidRequestError 400, notice", MAY, answers(500), answers(400), retry=TWICE),
  row("may_charge_twice: 500, then nobody",    "responses", 3, 3, f"{BUSY}, notice", MAY, answers(500), answers(429), retry=TWICE),
  row("may_charge_twice: 400",                 "generate", 1, 1, "InvalidRequestError 400", NO, answers(400), retry=TWICE),
  row("may_charge_twice: no JSON",             "generate", 1, 1, "ProtocolError 200", MAY, answers(200, b"<html>"), retry=TWICE),
  row("may_charge_twice: a stream is cut",     "stream",   1, 1, f"{CUT}, preview", MAY, streams(PREVIEW), retry=TWICE),
  row("may_charge_twice: the deadline passes", "generate", 1, 1, OVER, MAY, silent, retry=TWICE, deadline=SOON),
  row("may_charge_twice: no time to wait",     "generate", 1, 1, f"{GONE} 500", MAY, answers(500, retry_after="60"), retry=TWICE, deadline=SOON),
]
# fmt: on


# Doing it


@dataclass
class Came:
    """What came of a row: by the client's account, and by the server's."""

    sent: int
    reached: int
    got: str
    billed: str
    seconds: float
    sins: tuple[str, ...]


class _Counter:
    """An observer that counts what is sent."""

    def __init__(self) -> None:
        self.sent = 0

    @hookimpl
    def imagekit_request_sent(self, call: Any, request: Any) -> None:
        self.sent += 1


def came(one: Row, colour: str) -> Came:
    """What comes of *one* by the client of that *colour*."""
    counter, elsewhere = _Counter(), Broken(DONE)
    with elsewhere, Broken(*(one.acts or (DONE,)), tls=one.tls, pause=one.pause) as server:
        server.elsewhere = elsewhere.place
        seconds, found = _asked(one, colour, server, counter)
    # The servers' threads have ended: whatever was on its way is there, if it ever will be.
    sins = sins_of(one, server, found)
    sins += ["the key went to another host"] if elsewhere.connections else []
    reached = sum(seen.whole for seen in server.arrived if seen.method != "CONNECT")
    got, billed = _told(found)
    return Came(counter.sent, reached, got, billed, seconds, tuple(sins))


def sins_of(one: Row, server: Broken, found: Any) -> list[str]:
    """What the server alone can say against it, whatever is expected of the row."""
    sins = []
    charged = [seen for seen in server.arrived if seen.charges]
    open_ones = [seen for seen in charged if not seen.turned_away]
    most = {"two": 2, "twice": 2}.get(one.ask, 1)
    if len(open_ones) > most and not one.twice:
        sins.append("what may have been accepted was sent again")
    if most == 1 and open_ones and charged[-1] is not open_ones[0] and not one.twice:
        sins.append("something was sent after what may have been accepted")
    if getattr(found, "billed", None) == "no" and any(seen.whole for seen in open_ones):
        sins.append('"no" was said of what may have been accepted')
    if not all(seen.keyed for seen in server.arrived if seen.path.startswith("/v1")):
        sins.append("a request came without its key")
    return sins


def _asked(one: Row, colour: str, server: Broken, counter: _Counter) -> tuple[float, Any]:
    """How many seconds it took, and what came: a result, or an error of ours."""
    verb, provider, fields = ASKS[one.ask]
    how = {**fields, **one.how}
    plugins = imagekit.Plugins()
    plugins.register(counter)
    place = (
        f"{refused()}/v1"
        if one.place == "nobody"
        else one.place.format(server=server.place, port=server.address[1])
    )
    settings = {"retry": QUICK, "provider": provider, "base_url": place, "plugins": plugins}
    settings |= {"api_key": "sk-fault-0123456789", "env": {}, "config": False}
    settings |= {name: how.pop(name) for name in ("retry", "timeouts") if name in how}
    proxy = f"http://{server.place}" if how.pop("proxy", False) else None
    given = {"models": (), "cancel": (JOB,)}.get(verb, ("a cat",))
    rests = (None, server.rests) if one.ask == "twice" else (None,)

    async def main() -> tuple[float, Any]:
        http = httpx.AsyncClient(proxy=proxy) if proxy else None
        async with http or nullcontext(), imagekit.AsyncClient(http=http, **settings) as client:
            return await _awaited(client, verb, given, how, rests)

    with mock.patch.dict(os.environ, {"SSL_CERT_FILE": str(CERTIFICATE)}):
        if colour != "sync":
            found: tuple[float, Any] = anyio.run(main, backend=colour)
            return found
        http = httpx.Client(proxy=proxy) if proxy else None
        with http or nullcontext(), imagekit.Client(http=http, **settings) as client:
            return _timed(client, verb, given, how, rests)


def _timed(client: Any, verb: str, given: Any, how: Any, rests: Rests) -> tuple[float, Any]:
    start, found = time.monotonic(), None
    try:
        for rest in rests:
            if rest:
                _wait(rest)
            found = getattr(client, verb)(*given, **how)
            if verb == "stream":
                with found as stream:
                    found = stream.finish()
    except ImagekitError as error:
        found = error
    return time.monotonic() - start, found


async def _awaited(client: Any, verb: str, given: Any, how: Any, rests: Rests) -> tuple[float, Any]:
    start, found = time.monotonic(), None
    try:
        for rest in rests:
            if rest:
                await anyio.to_thread.run_sync(_wait, rest)
            found = getattr(client, verb)(*given, **how)
            if verb == "stream":
                async with found as stream:
                    found = await stream.finish()
            else:
                found = await found
    except ImagekitError as error:
        found = error
    return time.monotonic() - start, found


def _wait(rest: threading.Event) -> None:
    rest.wait(10)
    time.sleep(IDLE)


def _told(found: Any) -> tuple[str, str]:
    """What the caller holds, and what it says of the money."""
    if isinstance(found, ImageResponse):
        said = f"{len(found.images)}" + (f" of {len(found.slots)}" if found.failures else "")
        said += " pictures" if len(found.slots) > 1 else " picture"
        billed = next((one.billed for one in found.failures), NOTHING)
        return said + (", notice" if _warned(found) else ""), billed
    if not isinstance(found, ImagekitError):
        return "nothing" if found is None else "a list", NOTHING
    left = found.response
    extras = {
        "preview": left is not None and any(failure.preview for failure in left.failures),
        "job": found.job is not None,
        "notice": left is not None and _warned(left),
    }
    said = type(found).__name__ + (f" {found.status}" if found.status else "")
    return ", ".join([said, *(name for name, there in extras.items() if there)]), str(found.billed)


def _warned(response: ImageResponse) -> bool:
    """Whether it is said that an answer broke off, or that something was sent twice."""
    return any(
        notice.kind == "incomplete" or notice.feature == "may_charge_twice"
        for notice in response.notices
    )


def wrong(one: Row, found: Came, slack: float = SLACK) -> list[str]:
    """What is not as it must be; empty where all is right."""
    said = list(found.sins)
    for name, due, is_it in (
        ("sent", one.sent, found.sent), ("arrived", one.reached, found.reached),
        ("got", one.got, found.got), ("billed", one.billed, found.billed),
    ):  # fmt: skip
        if due not in (ANY, is_it):
            said.append(f"{name}: {is_it}, not {due}")
    deadline = one.how.get("deadline")
    if deadline is not None and found.seconds > deadline + slack:
        said.append(f"back after {found.seconds:.1f} s, with a deadline of {deadline} s")
    return said


def judged(one: Row, colour: str, slack: float = SLACK) -> tuple[Came, list[str]]:
    """What comes of a row, and what is wrong with it."""
    found = came(one, colour)
    said = wrong(one, found, slack)
    if said and one.hurried:
        # A busy machine is late now and then, or past a short deadline before anything is sent.
        one = one.slower()
        found = came(one, colour)
        said = wrong(one, found, MORE * slack)
    return found, said


def main(*words: str) -> int:
    """Break everything, print the table; the exit code is 0 where every row is right."""
    meant = [one for one in ROWS if all(word in f"{one.fault} {one.ask}" for word in words)]
    for colour in COLOURS:
        # Whoever is first loads what all of them need.
        came(row("nothing", "generate", 1, 1, ONE, NOTHING, DONE), colour)
    heads = ("fault", "asked", "repeated", "arrived", "the caller gets", "billed")
    print(_line(heads))
    bad = []
    for one in meant:
        each_of = {colour: judged(one, colour) for colour in COLOURS}
        found = {colour: pair[0] for colour, pair in each_of.items()}
        said = {colour: pair[1] for colour, pair in each_of.items() if pair[1]}
        cells = [
            one.fault, one.ask, _each(str(max(0, each.sent - 1)) for each in found.values()),
            _each(str(each.reached) for each in found.values()),
            _each(each.got for each in found.values()),
            _each(each.billed for each in found.values()),
        ]  # fmt: skip
        print(_line(cells), "WRONG" if said else "right", flush=True)
        bad += [
            f"{one.fault}, {one.ask}: {colour}: {'; '.join(why)}" for colour, why in said.items()
        ]
    # Last, so that the end of a log is enough to know.
    for why in bad:
        print(f"    WRONG {why}")
    print(f"{len(meant)} faults, on the blocking client and on asyncio and trio: {len(bad)} wrong")
    return int(bool(bad) or not meant)


def tried() -> Tried:
    """All of them, for the table of tests/reliability.py."""
    result = Tried()
    for colour in COLOURS:
        came(row("nothing", "generate", 1, 1, ONE, NOTHING, DONE), colour)
        for one in ROWS:
            result.count += 1
            _, said = judged(one, colour)
            result.wrong += [f"{colour}: {one.fault}, {one.ask}: {why}" for why in said]
    return result


def _line(cells: Sequence[str]) -> str:
    widths = (44, 16, 8, 7, 38, 8)
    return " ".join(f"{cell:{width}}" for cell, width in zip(cells, widths, strict=True))


def _each(cells: Iterable[str]) -> str:
    """One word where all are alike, else each: blocking/asyncio/trio."""
    found = list(cells)
    return found[0] if len(set(found)) == 1 else "/".join(found)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
