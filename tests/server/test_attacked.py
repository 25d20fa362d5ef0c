"""The server under attack, on real sockets: what strangers send, and that it goes on serving."""

# ruff: noqa: E501  # a request stands on one line

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving import EXACT
from tried import Tried

TOKEN = "first-token-0123"
MINE = f"Authorization: Bearer {TOKEN}\r\n"
HOST = "Host: 127.0.0.1\r\n"
LINUX = Path("/proc/self/status").exists()
# Small bounds, so that what runs into them does so at once: 1 MB a body, a second to send one.
SERVER = f"""
import logging, socket, sys
# No name is looked up outside: each is this machine, which no picture is read from.
known = socket.getaddrinfo
socket.getaddrinfo = lambda host, *rest, **more: known("127.0.0.1", *rest, **more)
from imagekit.server import Limits, create_app
from imagekit.server._serve import bound, run
slow = float(sys.argv[1])
limits = Limits(
    body=2**20, bodies=8 * 2**20, stored=64 * 2**20,
    upload=slow, send=slow, concurrent=8, grace=1.0,
)
logging.basicConfig(level=logging.INFO, format="%(message)s")
app = create_app(provider="sketch", tokens=["{TOKEN}"], limits=limits)
listening = bound("127.0.0.1", 0)
print(listening.getsockname()[1], flush=True)
run(app, listening, print)
"""
# Of 64 KB each: more than lies between the two ends by the time that one has said no.
MOST_PIECES = 800
# What it may hold more than before: eight pictures at once in the making, and what is kept of some.
MORE = 256 * 2**20
# Seconds for what is there at once, unless the machine is busy with something else.
PATIENCE = 60.0


class Attacked:
    """A server in a process of its own."""

    def __init__(self, log: Path, slow: float) -> None:
        self.log, self.slow = log, slow
        self.stderr = log.open("wb")
        words = [sys.executable, "-c", SERVER, str(slow)]
        environ = {**os.environ, **EXACT}
        self.process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=self.stderr, text=True, env=environ
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        assert self.serves() == ""
        # As many pictures at once as it makes take their memory anyway.
        for line in streaming(self, 8):
            heard(line)
            line.close()
        self.begun = self.memory

    @property
    def memory(self) -> int:
        """The bytes of it that are in memory; 0 where that is not told."""
        if not LINUX:
            return 0
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) * 1024

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def serves(self) -> str:
        """What keeps it from making a picture, if anything does."""
        body = {"prompt": "an otter", "size": "32x32", "model": "sketch-1"}
        url = f"http://127.0.0.1:{self.port}/v1/images/generations"
        head = {"authorization": f"Bearer {TOKEN}"}
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            try:
                answer = httpx.post(url, json=body, headers=head, timeout=PATIENCE, trust_env=False)
            except httpx.TransportError as error:
                return repr(error)
            if answer.status_code != 429:
                return "" if answer.status_code == 200 else f"{answer.status_code} {answer.text}"
            # Busy with those that are being attacked; they have a second.
            time.sleep(0.1)
        return "it stays busy"

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Its access log: a line for each request that is over."""
        # What stands behind the last line's end is still being written.
        said = self.log.read_text(errors="replace").split("\n")[:-1]
        every = [json.loads(line) for line in said if line.startswith('{"time"')]
        return [line for line in every if "method" in line]

    def wrong(self) -> list[str]:
        """What is amiss by now."""
        if (code := self.process.poll()) is not None:
            return [f"it has ended with {code}: {self.log.read_text(errors='replace')[-600:]}"]
        found = [f"it does not serve: {why}"] if (why := self.serves()) else []
        if (more := self.memory - self.begun) > MORE:
            found.append(f"it holds {more / 2**20:.0f} MB more")
        if b"Traceback" in (said := self.log.read_bytes()):
            found.append(said[said.index(b"Traceback") :][-600:].decode())
        return found + [f"answered {one}" for one in self.lines if (one.get("status") or 0) >= 500]

    def close(self) -> None:
        self.process.terminate()
        try:
            self.process.communicate(timeout=PATIENCE + self.slow)
        finally:
            self.process.kill()
            self.stderr.close()


@contextlib.contextmanager
def attacked(slow: float = 1.0) -> Iterator[Attacked]:
    """A server that gives its callers so many seconds, for as long as it is wanted."""
    with tempfile.TemporaryDirectory() as folder:
        made = Attacked(Path(folder, "log"), slow)
        try:
            yield made
        finally:
            made.close()


def heard(line: socket.socket) -> bytes:
    """All that comes until the other side closes, or says nothing more for a while."""
    said = b""
    with contextlib.suppress(OSError):
        while select.select([line], [], [], 0.3 if said else PATIENCE)[0]:
            if not (piece := line.recv(65536)):
                break
            said += piece
    return said


def statuses(said: bytes) -> list[int]:
    return [int(one) for one in re.findall(rb"HTTP/1\.[01] (\d{3}) ", said)]


def sent(server: Attacked, data: bytes) -> bytes:
    """What is answered to *data* on a connection of its own."""
    with server.connect() as line:
        with contextlib.suppress(OSError):
            line.sendall(data)
        return heard(line)


def asked(target: str, *heads: str, method: str = "GET", body: bytes = b"") -> bytes:
    lines = "".join(f"{one}\r\n" for one in heads)
    return f"{method} {target} HTTP/1.1\r\n{HOST}{MINE}{lines}\r\n".encode("latin-1") + body


def posted(
    body: bytes, kind: str = "application/json", target: str = "images/generations"
) -> bytes:
    heads = (f"Content-Type: {kind}", f"Content-Length: {len(body)}", "Connection: close")
    return asked(f"/v1/{target}", *heads, method="POST", body=body)


def form(body: bytes, boundary: str = "x") -> bytes:
    return posted(body, f"multipart/form-data; boundary={boundary}", "images/edits")


def part(name: str, data: bytes, file: str = "") -> bytes:
    named = f'; filename="{file}"' if file else ""
    head = f'--x\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'
    return head.encode() + data + b"\r\n"


# Each is one request, refused by its status, or by closing; never done, and never our own fault.
REFUSED: dict[str, bytes] = {
    # heads
    "a line of a megabyte": asked("/v1/models", "X-A: " + "a" * 2**20),
    "ten thousand headers": asked("/v1/models", *(f"X-{n}: {n}" for n in range(10_000))),
    "a target of a megabyte": asked("/v1/models/" + "a" * 2**20),
    "a header with NUL": asked("/v1/models", "X-A: a\0b"),
    "a header without a name": asked("/v1/models", ": b"),
    "a space before a colon": asked("/v1/models", "X-A : b"),
    "a bare CR in a header": asked("/v1/models", "X-A: a\rX-B: b"),
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 600 + b"\r\n\r\n",
    "HTTP/2 at once": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0" * 64,
    "HTTP/0.9": b"GET /v1/models\r\n\r\n",
    "a version of the future": b"GET /v1/models HTTP/9.9\r\n" + HOST.encode() + b"\r\n",
    "no host": b"GET /v1/files HTTP/1.1\r\n" + MINE.encode() + b"\r\n",
    "two hosts": b"GET /v1/files HTTP/1.1\r\nHost: a\r\nHost: b\r\n" + MINE.encode() + b"\r\n",
    "a method of its own": asked("/v1/models", method="BREW"),
    "TRACE": asked("/v1/models", method="TRACE"),
    "CONNECT": asked("example.com:443", method="CONNECT"),
    # lengths
    "a length that is too large": asked("/v1/images/generations", "Content-Length: 9" + "9" * 18, method="POST"),
    "a length of a thousand digits": asked("/v1/responses", "Content-Length: " + "9" * 1000, method="POST"),
    "a length below nothing": asked("/v1/responses", "Content-Length: -1", method="POST"),
    "a length with a plus": asked("/v1/responses", "Content-Length: +5", method="POST", body=b"{}   "),
    "a length in hexadecimal": asked("/v1/responses", "Content-Length: 0x5", method="POST", body=b"{}   "),
    "two lengths": asked("/v1/responses", "Content-Length: 2", "Content-Length: 5", method="POST", body=b"{}   "),
    "two lengths in one": asked("/v1/responses", "Content-Length: 2, 5", method="POST", body=b"{}   "),
    "a coding nobody knows": asked("/v1/responses", "Transfer-Encoding: xchunked", method="POST", body=b"0\r\n\r\n"),
    "chunked twice": asked("/v1/responses", "Transfer-Encoding: chunked, chunked", method="POST", body=b"0\r\n\r\n"),
    "gzip and chunked": asked("/v1/responses", "Transfer-Encoding: gzip, chunked", method="POST", body=b"0\r\n\r\n"),
    "a chunk of no size": asked("/v1/responses", "Transfer-Encoding: chunked", method="POST", body=b"zz\r\n{}\r\n"),
    "a chunk below nothing": asked("/v1/responses", "Transfer-Encoding: chunked", method="POST", body=b"-1\r\n{}\r\n"),
    "a chunk's size without end": asked("/v1/responses", "Transfer-Encoding: chunked", method="POST", body=b"1" * 2**17),
    # paths
    **{f"the path {path!r}": asked(path) for path in (
        "/v1/files/../../etc/passwd", "/v1/files/..%2f..%2fetc%2fpasswd", "/v1/files/%2e%2e/%2e%2e",
        "/v1/files/a%00b", "/v1/files/%0d%0aX-Evil:%201", "/v1/images/results/..%2f..%2fkey",
        "/v1/images/results/%00", "/v1/responses/%ff%fe", "/v1/responses/%2525", "//v1//models/..",
        "/..", "/%2e%2e/%2e%2e/etc/passwd", "\\v1\\files",
        "/v1/files/" + "%61" * 10_000, "/v1/files;a=b", "/v1/batches/%0a", "/V1/files", "/v1/files/",
        "http://169.254.169.254/latest/meta-data", "*", "/v1/files/file-1/content/../../x",
    )},
    "a limit of a thousand digits": asked("/v1/files?limit=" + "9" * 1000),
    # JSON
    "100,000 lists in one another": posted(b"[" * 100_000),
    "100,000 objects in one another": posted(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "deep inside a field": posted(b'{"prompt":"x","user":' + b"[" * 50_000 + b"]" * 50_000 + b"}"),
    "a number of 500,000 digits": posted(b'{"prompt":"x","n":' + b"9" * 500_000 + b"}"),
    "a number beyond all": posted(b'{"prompt":"x","n":1e999999}'),
    "no number": posted(b'{"prompt":"x","n":NaN}'),
    "numbers that are none": posted(b'{"prompt":"x","n":-Infinity}'),
    "half a character": posted(b'{"prompt":"x","size":"\\ud800"}'),
    "bytes that are no text": posted(b'{"prompt":"\xff\xfe"}'),
    "another key of the same name": posted(b'{"prompt":"x","n":1,"n":99}'),
    "fields nobody knows": posted(json.dumps({f"f{n}": n for n in range(20_000)}).encode()),
    "half of it": posted(b'{"prompt":"x"'),
    "nothing": posted(b""),
    "a list": posted(b"[1]"),
    "UTF-16": posted('{"prompt":"x"}'.encode("utf-16")),
    "a body that is packed": asked("/v1/images/generations", "Content-Type: application/json", "Content-Encoding: gzip",
        "Content-Length: 4", method="POST", body=b"\x1f\x8b\x08\0"),
    "another kind": posted(b"prompt=x", "application/x-www-form-urlencoded"),
    "__proto__": posted(b'{"prompt":"x","__proto__":{"admin":true}}'),
    # forms
    "no boundary": posted(b"--x\r\n\r\n", "multipart/form-data", "images/edits"),
    "a boundary of 10,000 letters": form(b"--x--\r\n", "b" * 10_000),
    "a form without end": form(part("prompt", b"x") + part("image", b"a" * 1000, "a.png")),
    "a form that is none": form(b"\0" * 5000),
    "10,000 fields": form(b"".join(part(f"f{n}", b"") for n in range(10_000)) + b"--x--\r\n"),
    "5,000 files": form(b"".join(part("image[]", b"a", "a.png") for _ in range(5000)) + b"--x--\r\n"),
    "a part's header of 500,000 letters": form(b"--x\r\nX: " + b"a" * 500_000 + b"\r\n\r\n\r\n--x--\r\n"),
    "a part with 10,000 headers": form(b"--x\r\n" + b"X: y\r\n" * 10_000 + b"\r\n\r\n--x--\r\n"),
    "a part without a name": form(b"--x\r\nContent-Type: a/b\r\n\r\nx\r\n--x--\r\n"),
    "a name with a line's end": form(part('a"\r\nX: "b', b"x") + b"--x--\r\n"),
    "a file that leads out": form(part("prompt", b"x") + part("image", b"a", "../../etc/passwd") + b"--x--\r\n"),
    "a charset that is a codec": posted(b"--x--\r\n", "multipart/form-data; boundary=x; charset=zlib", "images/edits"),
    # links
    "a link to this machine": posted(b'{"prompt":"x","images":[{"image_url":"https://127.0.0.1/"}]}', target="images/edits"),
    "a link of 500,000 letters": posted(json.dumps({"prompt": "x", "images": [{"image_url": "https://a.test/" + "a" * 500_000}]}).encode(), target="images/edits"),
}  # fmt: skip
WRONG_TOKENS = (
    "", "Bearer", "Bearer ", "Bearer x", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x", f"Basic {TOKEN}",
    f"Bearer {TOKEN.upper()}", f"Bearer {TOKEN},{TOKEN}", f"{TOKEN}", f"Bearer\xa0{TOKEN}",
    "Bearer " + "a" * 60_000, f"Bearer Bearer {TOKEN}", "Bearer \xff\xfe", "Bearer *", "Bearer None",
)  # fmt: skip


def refused(server: Attacked, name: str) -> list[str]:
    """What is wrong with how the server took the request called *name*."""
    said = sent(server, REFUSED[name])
    found = [f"{name}: answered {one}" for one in statuses(said) if not 400 <= one < 500]
    # A length that is a promise may be waited for, as long as a body has.
    if b"x-evil" in said.partition(b"\r\n\r\n")[0].lower() or b"root:" in said:
        found.append(f"{name}: {said[:300]!r}")
    return found


def told_no(server: Attacked, token: str) -> list[str]:
    head = f"Authorization: {token}\r\n" if token else ""
    data = f"GET /v1/models HTTP/1.1\r\n{HOST}{head}Connection: close\r\n\r\n"
    said = statuses(sent(server, data.encode("latin-1")))
    return [] if set(said) <= {401, 400} and said else [f"the token {token[:40]!r}: {said}"]


# --- what takes its time -------------------------------------------------------------------------


def endless(server: Attacked, count: int) -> list[str]:
    """Bodies in chunks that never end."""
    wrong = []
    for _ in range(count):
        with server.connect() as line:
            kind = "Content-Type: application/json"
            coded = "Transfer-Encoding: chunked"
            line.sendall(asked("/v1/images/generations", kind, coded, method="POST"))
            went = 0
            chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
            with contextlib.suppress(OSError):
                while went < MOST_PIECES and not select.select([line], [], [], 0)[0]:
                    line.sendall(chunk)
                    went += 1
            said = statuses(heard(line))
        if went == MOST_PIECES or not set(said) <= {413, 429}:
            wrong.append(f"a body without end: {said} after {went} pieces")
    return wrong


def stalled(server: Attacked, count: int) -> list[str]:
    """Bodies of which a byte comes, and then no more."""
    lines = [server.connect() for _ in range(count)]
    begun = time.monotonic()
    for line in lines:
        line.sendall(asked("/v1/images/generations", "Content-Type: application/json", "Content-Length: 999", method="POST", body=b"{"))  # fmt: skip
    wrong = []
    for line in lines:
        said = statuses(heard(line))
        if not set(said) <= {408, 429} or not said:
            wrong.append(f"a body that stalls: {said} after {time.monotonic() - begun:.1f} s")
        line.close()
    return wrong


def dripping(server: Attacked, count: int) -> list[str]:
    """Heads of requests that come a letter at a time; meanwhile others are served."""
    lines = [server.connect() for _ in range(count)]
    wrong = []
    for letter in b"GET /v1/mod":
        for line in lines:
            line.sendall(bytes([letter]))
    if why := server.serves():
        wrong.append(f"{count} slow heads: {why}")
    for line in lines:
        line.close()
    return wrong


def streaming(server: Attacked, count: int) -> list[socket.socket]:
    """Connections on which streams of pictures come."""
    body = {"prompt": "an otter", "size": "512x512", "stream": True, "partial_images": 3}
    data = posted(json.dumps({**body, "model": "sketch-1"}).encode())
    lines = []
    for _ in range(count):
        line = socket.socket()
        # What is not read is not to fit into what the system keeps of it.
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.connect(("127.0.0.1", server.port))
        line.sendall(data)
        lines.append(line)
    return lines


def unread(server: Attacked, count: int) -> list[str]:
    """Streams of pictures that are asked for and not read."""
    lines = streaming(server, count)
    why = server.serves()
    for line in lines:
        line.close()
    return [f"{count} streams that nobody reads: {why}"] if why else []


def idle(server: Attacked, count: int) -> list[str]:
    """Connections on which nothing is said."""
    lines = [server.connect() for _ in range(count)]
    why = server.serves()
    for line in lines:
        line.close()
    return [f"{count} idle connections: {why}"] if why else []


def left(server: Attacked, count: int) -> list[str]:
    """Requests whose sender is gone, by a reset, before the answer."""
    data = posted(b'{"prompt":"x","size":"512x512","model":"sketch-1"}')
    for _ in range(count):
        line = server.connect()
        line.sendall(data)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        line.close()
    return []


def smuggled(server: Attacked, count: int) -> list[str]:
    """A length and chunks at once: whatever is believed, nothing of a body is done as a request."""
    wrong = []
    inner = asked("/v1/models")
    for coding in ("chunked", "Chunked", " chunked", "chunked ", "\tchunked")[:count]:
        for chunks in (b"0\r\n\r\n", b""):
            body = chunks + inner
            said = sent(
                server,
                asked(
                    "/v1/responses", f"Content-Length: {len(body)}",
                    f"Transfer-Encoding:{coding}", method="POST", body=body,
                ),
            )  # fmt: skip
            if 200 in statuses(said):
                wrong.append(f"{coding!r}, {chunks!r}: {statuses(said)}")
    return wrong


ATTACKS: dict[str, tuple[Callable[[Attacked, int], list[str]], int, int]] = {
    "bodies without end": (endless, 2, 50),
    "bodies that stall": (stalled, 4, 200),
    "heads that drip": (dripping, 50, 500),
    "streams that nobody reads": (unread, 8, 300),
    "connections that say nothing": (idle, 200, 2000),
    "callers who are gone": (left, 20, 300),
    "smuggled requests": (smuggled, 5, 5),
}


@pytest.fixture(scope="module")
def server() -> Iterator[Attacked]:
    with attacked() as found:
        yield found


@pytest.mark.parametrize("name", REFUSED, ids=range(len(REFUSED)))
def test_what_is_no_request_is_refused(name: str, server: Attacked) -> None:
    assert refused(server, name) == []


def test_a_wrong_token_is_told_no(server: Attacked) -> None:
    assert [wrong for token in WRONG_TOKENS for wrong in told_no(server, token)] == []


@pytest.mark.parametrize("name", ATTACKS)
def test_it_goes_on_serving(name: str, server: Attacked) -> None:
    attack, count, _ = ATTACKS[name]
    assert attack(server, count) == []
    assert server.wrong() == []


def test_nothing_of_all_that_is_left(server: Attacked) -> None:
    assert server.wrong() == []


def test_who_looks_at_it_sees_what_is_wrong(server: Attacked) -> None:
    good = b'{"prompt":"x","size":"32x32","model":"sketch-1"}'
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(REFUSED, "a good one", posted(good))
        assert refused(server, "a good one") == ["a good one: answered 200"]
    assert told_no(server, f"Bearer {TOKEN}") != []


def tried() -> Tried:
    """All of it, and many at once, for the reliability table."""
    came = Tried()
    with attacked() as server:
        for name in REFUSED:
            came += Tried(1, refused(server, name))
        came += Tried(len(WRONG_TOKENS), [x for one in WRONG_TOKENS for x in told_no(server, one)])
        for attack, _, many in ATTACKS.values():
            came += Tried(many, attack(server, many) + server.wrong())
    return came
