"""How cheap it could be: bare sockets, and base64 that is decoded while it arrives.

It believes whatever the stub says, so it is no client for anybody: no errors, no timeouts, no TLS.
"""

from __future__ import annotations

import json
import re
import socket
from collections import deque
from collections.abc import AsyncIterator, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from pybase64 import b64decode

from .client import Client

BUFFER = 256 * 1024
# A string under one of these keys is a picture; that of the last event repeats one.
LONG = re.compile(rb'"(?:b64_json|partial_image_b64|result)"[ ]*:[ ]*"')
LONGEST = 24
AGAIN = b'data: {"type": "response.completed"'


class Dropped(BytesIO):
    """Where a picture goes that nobody wants twice."""

    def write(self, data: Any) -> int:
        return 0


class Answer:
    """One answer as it arrives: *found* holds the pictures that are whole."""

    def __init__(self, into: Any = BytesIO) -> None:
        self.found: deque[Any] = deque()
        self.done = False
        self._into = into
        self._line = bytearray()
        self._sink: BinaryIO | None = None
        self._carry = b""
        self._head = bytearray()
        self._left = -1

    def feed(self, buffer: bytearray, end: int) -> None:
        """Take the first *end* bytes of *buffer*."""
        at = 0
        if self._left < 0:
            self._head += buffer[:end]
            stop = self._head.find(b"\r\n\r\n")
            if stop < 0:
                return
            at = end - (len(self._head) - stop - 4)
            self._head.clear()
            self._left = 0
        with memoryview(buffer) as view:
            while at < end:
                if not self._left:
                    # The line that says how long the next chunk is; the one before may end here.
                    stop = buffer.find(b"\n", at, end)
                    if stop < 0:
                        self._head += view[at:end]
                        return
                    size = bytes(self._head) + bytes(view[at:stop])
                    self._head.clear()
                    at = stop + 1
                    if size.strip():
                        self._left = int(size, 16)
                        self.done = not self._left
                    continue
                stop = min(end, at + self._left)
                self._left -= stop - at
                self._body(buffer, view, at, stop)
                at = stop

    def _body(self, buffer: bytearray, view: memoryview, at: int, end: int) -> None:
        while at < end:
            if self._sink is not None:
                stop = buffer.find(b'"', at, end)
                self._decode(view, at, end if stop < 0 else stop)
                if stop < 0:
                    return
                self.found.append(self._sink)
                self._sink = None
                at = stop + 1
                continue
            line = self._line
            stop = buffer.find(b"\n", at, end)
            stop = end if stop < 0 else stop
            tail = bytes(line[-LONGEST:])
            begun = LONG.search(tail + view[at : min(at + LONGEST, stop)])
            start = at + begun.end() - len(tail) if begun and begun.end() > len(tail) else -1
            if start < 0 and (begun := LONG.search(buffer, at, stop)):
                start = begun.end()
            if start >= 0:
                line += view[at:start]
                self._sink = Dropped() if line.startswith(AGAIN) else self._into()
                at = start
                continue
            line += view[at:stop]
            if stop < end:
                self._told(bytes(line))
                line.clear()
            at = stop + 1

    def _decode(self, view: memoryview, at: int, end: int) -> None:
        assert self._sink is not None
        if self._carry:
            wanted = 4 - len(self._carry)
            self._carry += view[at : min(end, at + wanted)]
            at = min(end, at + wanted)
            if len(self._carry) < 4:
                return
            self._sink.write(b64decode(self._carry, validate=True))
            self._carry = b""
        stop = end - (end - at) % 4
        if stop > at:
            self._sink.write(b64decode(view[at:stop], validate=True))
        self._carry = bytes(view[stop:end])

    @staticmethod
    def _told(line: bytes) -> None:
        # The rest is read too, as far as it is JSON: the place of a picture has no end.
        if line.startswith(b"data: ") and b'""' not in line:
            json.loads(line[6:].replace(b': "}', b': ""}').replace(b': ",', b': "",'))


def asked(path: str, body: Any) -> bytes:
    """A request as it goes out."""
    data = json.dumps(body).encode()
    return b"POST %b HTTP/1.1\r\nhost: stub\r\ncontent-length: %d\r\n\r\n%b" % (
        path.encode(),
        len(data),
        data,
    )


class Floor(Client):
    def __init__(self, url: str, library: str = "") -> None:
        super().__init__(url, library)
        place, _, self._base = url.removeprefix("http://").partition("/")
        host, _, port = place.partition(":")
        self._place = (host, int(port))
        self._base = f"/{self._base}"
        self._idle: list[socket.socket] = []
        self._buffer = bytearray(BUFFER)
        self._waiting: list[Any] = []

    def _images(self, prompt: str, n: int = 1, previews: int | None = None) -> bytes:
        more = {} if previews is None else {"stream": True, "partial_images": previews}
        return asked(f"{self._base}/images/generations", {"prompt": prompt, "n": n, **more})

    def _responses(self, prompt: str, previews: int) -> bytes:
        tool = {"type": "image_generation", "partial_images": previews}
        body = {"input": prompt, "tools": [tool], "stream": True}
        return asked(f"{self._base}/responses", body)

    def _heard(self, request: bytes, into: Any = BytesIO) -> Iterator[Any]:
        connection = self._idle.pop() if self._idle else socket.create_connection(self._place)
        connection.sendall(request)
        answer = Answer(into)
        while not answer.done:
            answer.feed(self._buffer, connection.recv_into(self._buffer))
            while answer.found:
                yield answer.found.popleft()
        self._idle.append(connection)

    def images(self, prompt: str, n: int = 1) -> list[bytes]:
        return [sink.getvalue() for sink in self._heard(self._images(prompt, n))]

    def stream(self, prompt: str, previews: int = 3) -> Iterator[bytes]:
        return (sink.getvalue() for sink in self._heard(self._images(prompt, 1, previews)))

    def responses(self, prompt: str, previews: int = 3) -> Iterator[bytes]:
        for sink in self._heard(self._responses(prompt, previews)):
            if not isinstance(sink, Dropped):
                yield sink.getvalue()

    def save(self, prompt: str, path: Path) -> None:
        for file in self._heard(self._images(prompt), lambda: path.open("wb", 0)):
            file.close()

    def save_stream(self, prompt: str, path: Path) -> None:
        for file in self._heard(self._images(prompt, 1, 3), lambda: path.open("wb", 0)):
            file.close()

    def close(self) -> None:
        """Close the connections; those of a loop end with it."""
        for connection in self._idle:
            connection.close()
        for spoken in self._waiting:
            spoken.close()

    def edit(self, paths: list[Path]) -> list[bytes]:
        before, after, size = _form(paths)
        head = f"POST {self._base}/images/edits HTTP/1.1\r\nhost: stub\r\n"
        head += "content-type: multipart/form-data; boundary=imagekit\r\n"
        connection = self._idle.pop() if self._idle else socket.create_connection(self._place)
        connection.sendall(f"{head}content-length: {size}\r\n\r\n".encode())
        for start, path in zip(before, paths, strict=True):
            connection.sendall(start)
            with path.open("rb") as file:
                connection.sendfile(file)
        self._idle.append(connection)
        return [sink.getvalue() for sink in self._heard(after)]

    async def aimages(self, prompt: str, n: int = 1) -> list[bytes]:
        return [sink.getvalue() async for sink in self._aheard(self._images(prompt, n))]

    async def astream(self, prompt: str, previews: int = 3) -> AsyncIterator[bytes]:
        async for sink in self._aheard(self._images(prompt, 1, previews)):
            yield sink.getvalue()

    async def aresponses(self, prompt: str, previews: int = 3) -> AsyncIterator[bytes]:
        async for sink in self._aheard(self._responses(prompt, previews)):
            if not isinstance(sink, Dropped):
                yield sink.getvalue()

    async def _aheard(self, request: bytes) -> AsyncIterator[Any]:
        if self._waiting:
            spoken = self._waiting.pop()
        else:
            # asyncio is as large as everything else together: only for those who want it.
            from .spoken import connected

            spoken = await connected(self._place, self._buffer)
        spoken.ask(request)
        while not spoken.answer.done or spoken.answer.found:
            while spoken.answer.found:
                yield spoken.answer.found.popleft()
            if not spoken.answer.done:
                await spoken.more()
        self._waiting.append(spoken)


def _form(paths: list[Path]) -> tuple[list[bytes], bytes, int]:
    """What goes before each file, what goes after the last, and how long all of it is."""
    before = [
        f'\r\n--imagekit\r\ncontent-disposition: form-data; name="image[]"; filename="{path.name}"'
        "\r\ncontent-type: image/png\r\n\r\n".encode()
        for path in paths
    ]
    after = b"\r\n--imagekit--\r\n"
    files = sum(path.stat().st_size for path in paths)
    return before, after, sum(map(len, before)) + len(after) + files
