"""Who answers: the Images and the Responses API out of ready bytes, so that it is no bottleneck.

    python -m benchmarks.stub [--core N]     prints its port, and serves until its input ends

One thread, one selector and bare sockets. An answer is made at its first asking, kept, and sent
from where it lies. The prompt says how large the pictures are, in bytes; the body's own `n`,
`stream` and `partial_images` how many and how. `slow` in the prompt holds the last bytes of each
picture's event back for a moment, and notes when they went: `GET /sent` tells, and forgets.
Below `/checked` an upload is kept and compared; elsewhere it is swallowed.
"""

from __future__ import annotations

import heapq
import json
import os
import selectors
import socket
import sys
import time
from base64 import b64encode
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from itertools import count
from typing import Any, NamedTuple

from .pictures import SIDE, SMALL, UPLOAD, png

# How the live service cuts its answers is not known: one read of the usual client is one chunk.
CHUNK = 64 * 1024
# Long enough for a client to have dealt with what came before the last bytes.
PAUSE = 0.06
# The picture itself must end in it, and what stands behind the picture in its event.
HELD_BACK = 512
FILES = 4
ECHO = {"background": "opaque", "output_format": "png", "quality": "high", "size": f"{SIDE}x{SIDE}"}
USAGE = {
    "input_tokens": 12,
    "input_tokens_details": {"image_tokens": 0, "text_tokens": 12},
    "output_tokens": 4160,
    "output_tokens_details": {"image_tokens": 4160, "text_tokens": 0},
    "total_tokens": 4172,
}


class Pause(NamedTuple):
    """A moment of silence, at whose end the clock may be noted."""

    seconds: float
    noted: bool


# What is sent one after another.
Answer = tuple[bytes | Pause, ...]


def text_of(size: int, number: int) -> str:
    """A picture as the wire has it."""
    return b64encode(png(size, number)).decode()


def chunked(data: bytes) -> bytes:
    """*data* in the chunks of HTTP/1.1, without the last one."""
    cut = range(0, len(data), CHUNK)
    return b"".join(
        b"%x\r\n%b\r\n" % (min(CHUNK, len(data) - at), data[at : at + CHUNK]) for at in cut
    )


def head(kind: str, status: str = "200 OK") -> bytes:
    """The beginning of a chunked answer."""
    lines = [f"HTTP/1.1 {status}", f"content-type: {kind}", "transfer-encoding: chunked"]
    return "\r\n".join([*lines, "x-request-id: req_1", "", ""]).encode()


def whole(body: Any, status: str = "200 OK") -> Answer:
    """JSON, at once."""
    data = json.dumps(body).encode()
    return (head("application/json", status) + chunked(data) + b"0\r\n\r\n",)


def events(said: list[dict[str, Any]], slow: bool) -> Answer:
    """Server-sent events: each in chunks of its own, all of them one run of bytes unless *slow*."""
    parts: list[bytes | Pause] = [head("text/event-stream; charset=utf-8")]
    for event in said:
        data = b"event: %b\ndata: %b\n\n" % (event["type"].encode(), json.dumps(event).encode())
        if slow and len(data) > 10_000:
            parts += [chunked(data[:-HELD_BACK]), Pause(PAUSE, True), chunked(data[-HELD_BACK:])]
            parts.append(Pause(PAUSE / 2, False))
        else:
            parts.append(chunked(data))
    parts.append(b"0\r\n\r\n")
    return tuple(parts) if slow else (b"".join(part for part in parts if isinstance(part, bytes)),)


@cache
def answer(path: str, size: int, n: int, previews: int | None, slow: bool) -> Answer:
    """What is said to one kind of asking; *previews* is None where no stream is wanted."""
    if path.endswith("/responses"):
        if previews is None:
            return whole(_response([_call(size, previews)]))
        return events(list(_responses(size, previews)), slow)
    if previews is None:
        data = [{"b64_json": text_of(size, number)} for number in range(n)]
        return whole({"created": 1_760_000_000, "data": data, "usage": USAGE, **ECHO})
    return events(list(_images(size, previews)), slow)


def _images(size: int, previews: int) -> Iterator[dict[str, Any]]:
    said = {"created_at": 1_760_000_000, **ECHO}
    for step in range(previews):
        kind, picture = "image_generation.partial_image", text_of(size, step + 1)
        yield {"type": kind, "partial_image_index": step, "b64_json": picture, **said}
    done = {"b64_json": text_of(size, 0), "usage": USAGE, **said}
    yield {"type": "image_generation.completed", **done}


def _call(size: int, previews: int | None, status: str = "completed") -> dict[str, Any]:
    made = {"result": text_of(size, 0), **ECHO} if status == "completed" else {"result": None}
    return {"id": "ig_1", "type": "image_generation_call", "status": status, **made}


def _message(text: str, status: str = "completed") -> dict[str, Any]:
    content = [{"type": "output_text", "annotations": [], "logprobs": [], "text": text}]
    shared = {"id": "msg_1", "type": "message", "role": "assistant", "status": status}
    return {**shared, "content": content if text else []}


def _response(output: list[dict[str, Any]], status: str = "completed") -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_760_000_000,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "model": "gpt-5",
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [{"type": "image_generation", "model": "gpt-image-2", **ECHO}],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": USAGE if status == "completed" else None,
        "user": None,
        "metadata": {},
    }


def _responses(size: int, previews: int) -> Iterator[dict[str, Any]]:
    """Eighteen small events around the previews, the picture, and the answer that repeats it."""
    number = count()
    words = ["Here ", "is ", "your ", "pic", "ture", ".", "\n"]
    place = {"item_id": "ig_1", "output_index": 0}
    told = {"item_id": "msg_1", "output_index": 1, "content_index": 0}
    part = {"type": "output_text", "annotations": [], "logprobs": [], "text": ""}

    def event(kind: str, **more: Any) -> dict[str, Any]:
        return {"type": f"response.{kind}", "sequence_number": next(number), **more}

    yield event("created", response=_response([], "in_progress"))
    yield event("in_progress", response=_response([], "in_progress"))
    yield event("output_item.added", output_index=0, item=_call(size, previews, "in_progress"))
    yield event("image_generation_call.in_progress", **place)
    yield event("image_generation_call.generating", **place)
    for step in range(previews):
        kind = "image_generation_call.partial_image"
        shown = {"partial_image_index": step, "partial_image_b64": text_of(size, step + 1)}
        yield event(kind, **place, **shown, **ECHO)
    yield event("image_generation_call.completed", **place)
    yield event("output_item.done", output_index=0, item=_call(size, previews))
    yield event("output_item.added", output_index=1, item=_message("", "in_progress"))
    yield event("content_part.added", **told, part=part)
    for word in words:
        yield event("output_text.delta", **told, delta=word, logprobs=[])
    text = "".join(words)
    yield event("output_text.done", **told, text=text, logprobs=[])
    yield event("content_part.done", **told, part={**part, "text": text})
    yield event("output_item.done", output_index=1, item=_message(text))
    yield event("completed", response=_response([_call(size, previews), _message(text)]))


class Caller:
    """One connection, and how far its request and its answer have come."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.heard = bytearray()
        self.left = 0
        self.open_ended = False
        self.path = ""
        self.out: deque[memoryview | Pause] = deque()


class Stub:
    """The server; `serve` goes on until what wakes it is closed."""

    def __init__(self) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.listening.setblocking(False)
        self.port: int = self.listening.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._buffer = bytearray(1 << 20)
        self._later: list[tuple[float, int, Caller, bool]] = []
        self._order = count()
        self._sent: list[float] = []

    def serve(self, until: int) -> None:
        """Answer, until the file *until* has something to read."""
        self._selector.register(self.listening, selectors.EVENT_READ)
        self._selector.register(until, selectors.EVENT_READ)
        while True:
            wait = max(0.0, self._later[0][0] - time.monotonic()) if self._later else None
            for key, what in self._selector.select(wait):
                if key.fd == until:
                    return self._close()
                if key.fileobj is self.listening:
                    self._accept()
                elif what & selectors.EVENT_WRITE:
                    self._write(key.data)
                else:
                    self._read(key.data)
            while self._later and self._later[0][0] <= time.monotonic():
                _, _, caller, noted = heapq.heappop(self._later)
                if noted:
                    self._sent.append(time.perf_counter())
                self._write(caller)

    def _close(self) -> None:
        for key in list(self._selector.get_map().values()):
            if isinstance(key.fileobj, socket.socket):
                key.fileobj.close()
        self._selector.close()

    def _accept(self) -> None:
        with suppress(BlockingIOError):
            while True:
                connection, _ = self.listening.accept()
                connection.setblocking(False)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._selector.register(connection, selectors.EVENT_READ, Caller(connection))

    def _read(self, caller: Caller) -> None:
        try:
            got = caller.connection.recv_into(self._buffer)
        except BlockingIOError:
            return
        except OSError:
            got = 0
        if not got:
            return self._gone(caller)
        with memoryview(self._buffer) as view:
            self._take(caller, view[:got])

    def _take(self, caller: Caller, data: memoryview) -> None:
        if not caller.path:
            caller.heard += data
            at = caller.heard.find(b"\r\n\r\n")
            if at < 0:
                return
            top = bytes(caller.heard[:at]).decode("latin-1").split("\r\n")
            del caller.heard[: at + 4]
            _, caller.path, _ = top[0].split(" ", 2)
            headers = dict(line.lower().split(": ", 1) for line in top[1:])
            caller.open_ended = headers.get("transfer-encoding") == "chunked"
            caller.left = int(headers.get("content-length", 0)) - len(caller.heard)
        else:
            caller.left -= len(data)
            if caller.path.endswith("/edits") and not caller.path.startswith("/checked"):
                caller.heard[:] = bytes(caller.heard[-8:]) + bytes(data[-8:])
            else:
                caller.heard += data
        if caller.open_ended:
            if caller.heard.endswith(b"0\r\n\r\n"):
                self._answer(caller)
        elif caller.left <= 0:
            self._answer(caller)

    def _answer(self, caller: Caller) -> None:
        path, body = caller.path, bytes(caller.heard)
        caller.path = ""
        caller.heard.clear()
        caller.out.extend(
            memoryview(part) if isinstance(part, bytes) else part for part in self._said(path, body)
        )
        self._write(caller)

    def _said(self, path: str, body: bytes) -> Answer:
        if path == "/sent":
            sent, self._sent = self._sent, []
            return whole(sent)
        if path.endswith("/edits"):
            if path.startswith("/checked") and not all(
                png(UPLOAD, number) in body for number in range(FILES)
            ):
                return whole({"error": {"message": "not the files"}}, "400 Bad Request")
            return answer("/images/generations", SMALL, 1, None, False)
        asked = json.loads(body)
        prompt = asked.get("prompt") or asked.get("input")
        if not isinstance(prompt, str):
            prompt = _inner(prompt)
        tool: dict[str, Any] = next(iter(asked.get("tools", ())), {})
        previews = asked.get("partial_images", tool.get("partial_images", 0))
        size, _, how = prompt.partition(" ")
        streamed = previews if asked.get("stream") else None
        return answer(path, int(size), int(asked.get("n", 1)), streamed, how == "slow")

    def _write(self, caller: Caller) -> None:
        out = caller.out
        try:
            while out:
                part = out[0]
                if isinstance(part, Pause):
                    out.popleft()
                    later = time.monotonic() + part.seconds
                    heapq.heappush(self._later, (later, next(self._order), caller, part.noted))
                    return self._watch(caller, selectors.EVENT_READ)
                sent = caller.connection.send(part)
                if sent < len(part):
                    out[0] = part[sent:]
                else:
                    out.popleft()
        except BlockingIOError:
            return self._watch(caller, selectors.EVENT_WRITE)
        except OSError:
            return self._gone(caller)
        self._watch(caller, selectors.EVENT_READ)

    def _watch(self, caller: Caller, what: int) -> None:
        if self._selector.get_key(caller.connection).events != what:
            self._selector.modify(caller.connection, what, caller)

    def _gone(self, caller: Caller) -> None:
        caller.out.clear()
        self._later = [one for one in self._later if one[2] is not caller]
        heapq.heapify(self._later)
        with suppress(KeyError):
            self._selector.unregister(caller.connection)
        caller.connection.close()


def _inner(messages: Any) -> str:
    """The words inside an `input` that is a list of messages."""
    for part in messages[0]["content"]:
        if "text" in part:
            return str(part["text"])
    raise ValueError(messages)


def main() -> None:
    if "--core" in sys.argv and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(sys.argv[sys.argv.index("--core") + 1])})
    stub = Stub()
    print(stub.port, flush=True)
    stub.serve(sys.stdin.fileno())


if __name__ == "__main__":
    main()
