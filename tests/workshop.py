"""The examples of the ledger: the names that the page gives them, our own server, and a run."""

from __future__ import annotations

import ast
import inspect
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import chdir, contextmanager
from decimal import Decimal
from functools import partial
from typing import Any
from unittest import mock

import anyio
from PIL import Image as Pillow

import imagekit
from imagekit import (
    ContentRejectedError,
    ImageReady,
    ImageRequest,
    ImageResponse,
    Usage,
    UsageItem,
)
from imagekit._flow import transform
from imagekit.provider import Effect, Effects, Emit, Flow
from imagekit_sketch import Sketch
from ledger import CODE, ROOT, Line
from serving import serving
from spoken import httpx
from toys import Plugged

LIMITS = {"x-ratelimit-reset-requests": "1m30s", "x-ratelimit-reset-tokens": "120ms"}
KEY = "sk-of-the-ledger-0123456789"


class Studio(Sketch):
    """Draws as sketch does; counts tokens, says what it drew, and refuses what is "forbidden"."""

    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        """Draw it, and tell of it."""
        if "forbidden" in (request.prompt or ""):
            raise ContentRejectedError(
                "it is forbidden", stage="input", categories=("violence",), billed="no"
            )
        request = request.model_copy(update={"model": None})
        drawn = yield from transform(super().flow(request, stream=stream), _telling)
        return drawn.model_copy(update={"slots": tuple(map(_told, drawn.slots)), "usage": COUNTED})


def _telling(effect: Effect) -> Effects[Any]:
    if isinstance(effect, Emit) and isinstance(effect.event, ImageReady):
        effect = Emit(effect.event.model_copy(update={"image": _told(effect.event.image)}))
    return (yield effect)


def _told(slot: Any) -> Any:
    return slot.model_copy(update={"revised_prompt": "What was drawn."})


def _counted(quantity: int, direction: Any, modality: str, **more: str) -> UsageItem:
    return UsageItem(quantity=Decimal(quantity), direction=direction, modality=modality, **more)


COUNTED = Usage(
    items=(
        _counted(10, "input", "text"),
        _counted(40, "input", "image"),
        _counted(6, "output", "text"),
        _counted(190, "output", "image"),
        _counted(100, "input", "text", model="author"),
        _counted(50, "output", "text", model="author"),
        _counted(30, "output", "text", model="author", detail="reasoning"),
    )
)


def wire(response: ImageResponse) -> dict[str, Any]:
    """What was sent for it: the JSON, or the form's fields, with the file names of its parts."""
    request = response.raw[0].request
    if request.json is not None:
        return dict(request.json)
    sent: dict[str, Any] = dict(request.form)
    for part in request.parts:
        sent[part.name] = [*sent.get(part.name, ()), part.filename]
    return sent


def caught(call: Callable[[], object]) -> imagekit.ImagekitError:
    """The error that *call* raises."""
    try:
        call()
    except imagekit.ImagekitError as error:
        return error
    raise AssertionError("nothing was raised")


class Route(httpx.HTTPTransport):
    """Carries to *server* what is meant for OpenAI or for Azure, and adds what that does not say.

    It tells of limits, answers moderations itself, refuses a "busy" request once, and begins an
    "odd" stream with an event that nobody knows.
    """

    def __init__(self, server: str) -> None:
        super().__init__()
        self._server = httpx.URL(server)
        self._refused = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send it there, by the path and with the header that our server knows."""
        body = request.read()
        if request.url.path == "/v1/moderations":
            return httpx.Response(200, json=_moderated(body))
        if b"busy" in body and not self._refused:
            self._refused = True
            return httpx.Response(429, headers={"retry-after": "0"}, json={"error": "busy"})
        path = re.sub(r"^/openai(/v1|/deployments/[^/]+)", "/v1", request.url.path)
        if request.url.host in ("api.openai.com", "my-resource.openai.azure.com"):
            where = {name: getattr(self._server, name) for name in ("scheme", "host", "port")}
            request.url = request.url.copy_with(**where, path=path)
        if "api-key" in request.headers:
            request.headers["authorization"] = f"Bearer {request.headers.pop('api-key')}"
        response = super().handle_request(request)
        response.headers.update(LIMITS)
        if b"odd" in body:
            content = b"event: odd\ndata: [1]\n\n" + response.read()
            response = httpx.Response(200, headers=response.headers, content=content)
        return response


def _moderated(body: bytes) -> dict[str, Any]:
    flagged = b"forbidden" in body
    one = {
        "flagged": flagged,
        "categories": {"violence": flagged},
        "category_scores": {"violence": 0.9 if flagged else 0.1},
    }
    return {"id": "modr-1", "model": "omni-moderation-latest", "results": [one]}


@contextmanager
def given() -> Iterator[dict[str, Any]]:
    """What the examples are given: a folder with two pictures, a key, and our own server."""
    with (
        tempfile.TemporaryDirectory() as folder,
        chdir(folder),
        mock.patch.dict(os.environ, {"OPENAI_API_KEY": KEY}),
        serving(register={"studio": Plugged(Studio())}, tokens=[KEY]) as server,
    ):
        Pillow.new("RGB", (256, 256), (200, 120, 40)).save("otter.png")
        hat = Pillow.new("RGBA", (256, 256), (0, 0, 0, 255))
        hat.paste((0, 0, 0, 0), (0, 0, 256, 128))
        hat.save("hat.png")
        yield {
            "imagekit": imagekit,
            "caught": caught,
            "examples": str(ROOT / "examples"),
            "key": KEY,
            "server": server.url,
            "wire": wire,
        }


def play(line: Line, names: Mapping[str, str], given: Mapping[str, Any]) -> None:
    """Run the examples of *line*; raises where one does, or gives something else than it says."""
    with _Named(names, given) as space:
        if any("await " in code or "async " in code for code in line.examples):
            anyio.run(_played, line, space)
        else:
            for code in line.examples:
                _compare(line, code, _value(code, space))


async def _played(line: Line, space: dict[str, Any]) -> None:
    try:
        for code in line.examples:
            found = _value(code, space)
            _compare(line, code, await found if inspect.isawaitable(found) else found)
    finally:
        for one in list(space.values()):
            if isinstance(one, imagekit.AsyncClient):
                await one.aclose()


def _value(code: str, space: dict[str, Any]) -> Any:
    """Run *code*: the value of its last statement where that is an expression, awaitable if it is.

    Names are looked up late, so `await` may stand anywhere.
    """
    *body, last = ast.parse(code).body
    ended = None
    if isinstance(last, ast.Expr):
        ended = partial(eval, _compiled(ast.Expression(last.value), "eval"), space)
    else:
        body.append(last)
    begun = eval(_compiled(ast.Module(body, []), "exec"), space)
    return _later(begun, ended) if inspect.isawaitable(begun) else ended and ended()


def _compiled(tree: ast.AST, mode: str) -> Any:
    return compile(tree, "example", mode, flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)  # type: ignore[call-overload]


async def _later(begun: Any, ended: Callable[[], Any] | None) -> Any:
    await begun
    found = ended and ended()
    return await found if inspect.isawaitable(found) else found


def _compare(line: Line, code: str, found: object) -> None:
    _, comment, said = code.partition("  # ")
    if comment:
        pattern = ".*".join(map(re.escape, said.strip().split("…")))
        assert re.fullmatch(pattern, repr(found), re.S), f"{line.id}: {code} gives {found!r}"


class _Named(dict[str, Any]):
    """The names of the page, made when an example first says them, closed at its end."""

    def __init__(self, names: Mapping[str, str], given: Mapping[str, Any]) -> None:
        super().__init__(given)
        self._names = names

    def __missing__(self, name: str) -> Any:
        if name == "route":
            self[name] = Route(self["server"])
        elif name in self._names:
            self[name] = eval(CODE.findall(self._names[name])[0], self)
        else:
            raise KeyError(name)
        return self[name]

    def __enter__(self) -> _Named:
        return self

    def __exit__(self, *_: object) -> None:
        for one in self.values():
            if isinstance(one, imagekit.Client | httpx.BaseTransport):
                one.close()
