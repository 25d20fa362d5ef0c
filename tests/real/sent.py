"""A request as a value that can be compared, and what either client sends: ours, and theirs.

Nothing is sent: both write into a transport that keeps the request and answers with one picture.
"""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import httpx2
import openai
from PIL import Image as Pillow

from imagekit import ImageRequest
from spoken import httpx
from ways import make

KEY = "sk-test-0123456789abcdef"


class Part(NamedTuple):
    """One part of a multipart form; a field has neither file name nor type."""

    name: str
    filename: str | None
    kind: str | None
    data: bytes


@dataclass
class Sent:
    """All of a request: the path as it travels, the query decoded, a form's boundary left out."""

    method: str
    origin: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    json: Any = None
    parts: list[Part] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The JSON in one spelling: 1, 1.0 and True are the same to Python, and not on the wire."""
        return json.dumps(self.json, sort_keys=True)

    @property
    def fields(self) -> list[Part]:
        """The parts that are no files."""
        return [part for part in self.parts if part.filename is None]

    @property
    def files(self) -> list[Part]:
        """The parts that are files."""
        return [part for part in self.parts if part.filename is not None]

    def taken(self, name: str) -> Any:
        """What the field *name* of the body said, which no longer has it; None where it had none.

        That of a form is text.
        """
        if self.json is not None:
            return self.json.pop(name, None)
        found = [part for part in self.fields if part.name == name]
        self.parts = [part for part in self.parts if part not in found]
        return found[0].data.decode() if found else None


def sent(request: httpx.Request | httpx2.Request) -> Sent:
    """*request* as a value."""
    content = request.read()
    path, _, asked = request.url.raw_path.decode().partition("?")
    origin = f"{request.url.scheme}://{request.url.netloc.decode()}"
    query = parse_qsl(asked, keep_blank_values=True, strict_parsing=bool(asked))
    headers = {name.lower(): value for name, value in request.headers.items()}
    found = Sent(request.method, origin, path, query, headers)
    kind = headers["content-type"]
    if kind == "application/json":
        found.json = json.loads(content)
        return found
    headers["content-type"] = re.sub(r"(?<=boundary=)[0-9a-f]{32}$", "…", kind)
    found.parts = list(_parts(kind, content))
    return found


# A part's head, with nothing else in it.
HEAD = re.compile(
    r'Content-Disposition: form-data; name="([^"]*)"'
    r'(?:; filename="([^"]*)")?(?:\r\nContent-Type: (\S+))?'
)


def _parts(kind: str, content: bytes) -> Iterator[Part]:
    name, _, boundary = kind.partition("; boundary=")
    assert name == "multipart/form-data"
    before, *pieces, after = (b"\r\n" + content).split(f"\r\n--{boundary}".encode())
    assert (before, after) == (b"", b"--\r\n")
    for piece in pieces:
        head, _, data = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        found = HEAD.fullmatch(head.decode())
        assert found, head
        yield Part(found[1], found[2], found[3], data)


# --- the answers


def picture(shade: int = 10, kind: str = "PNG") -> bytes:
    """A small grey picture."""
    return saved(Pillow.new("L", (2, 2), shade), kind)


def saved(drawn: Pillow.Image, kind: str = "PNG") -> bytes:
    """*drawn* as a file."""
    out = io.BytesIO()
    drawn.save(out, kind)
    return out.getvalue()


def b64(data: bytes) -> str:
    """*data* in base64."""
    return base64.b64encode(data).decode()


MADE = b64(picture())
# What is behind every URL: a picture that is transparent all over.
LINKED = saved(Pillow.new("LA", (2, 2), 0))


def answer_to(method: str, path: str, *, stream: bool) -> tuple[str, bytes]:
    """The content type and the body that a request there gets."""
    if method == "GET":
        return "image/png", LINKED
    if path.endswith("/responses"):
        item = {"type": "image_generation_call", "id": "ig_1", "status": "completed"}
        whole = {"id": "resp_1", "status": "completed", "output": [{**item, "result": MADE}]}
        event = {"type": "response.completed", "response": whole}
    else:
        kind = "image_edit" if path.endswith("/edits") else "image_generation"
        whole = {"created": 1795200296, "data": [{"b64_json": MADE}]}
        event = {"type": f"{kind}.completed", "b64_json": MADE}
    if stream:
        return (
            "text/event-stream",
            f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode(),
        )
    return "application/json", json.dumps(whole).encode()


# --- the clients


def all_ours(request: ImageRequest, *, provider: str, stream: bool, **client: Any) -> list[Sent]:
    """Every request that we make of a provider for one call; what is only read is left out."""
    seen: list[Sent] = []

    def server(asked: httpx.Request) -> httpx.Response:
        if asked.method != "GET":
            seen.append(sent(asked))
        kind, body = answer_to(asked.method, asked.url.path, stream=stream)
        return httpx.Response(200, headers={"content-type": kind}, content=body)

    way = "sync streamed" if stream else "sync whole"
    settings = {"api_key": KEY, "env": {}, **client}
    assert make(way, request, handler=server, provider=provider, **settings).images
    return seen


def ours(request: ImageRequest, *, provider: str, stream: bool, **client: Any) -> Sent:
    """The one request that we make of a provider for one call."""
    [one] = all_ours(request, provider=provider, stream=stream, **client)
    return one


def theirs(
    ask: Callable[[Any], Any],
    *,
    stream: bool,
    of: Callable[..., openai.OpenAI] = openai.OpenAI,
    **client: Any,
) -> Sent:
    """The request that the official client makes when *ask* has it."""
    seen: list[Sent] = []

    def server(asked: httpx2.Request) -> httpx2.Response:
        seen.append(sent(asked))
        kind, body = answer_to(asked.method, asked.url.path, stream=stream)
        return httpx2.Response(200, headers={"content-type": kind}, content=body)

    transport = httpx2.MockTransport(server)
    settings: Mapping[str, Any] = {"api_key": KEY, **client}
    with (
        httpx2.Client(transport=transport) as http,
        of(http_client=http, max_retries=0, **settings) as sdk,
    ):
        answer = ask(sdk)
        if stream:
            list(answer)
    [one] = seen
    return one
