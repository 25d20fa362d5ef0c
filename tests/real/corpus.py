"""Streams in the shape of the wire, cut as one likes; what we tell of them, and what the SDK."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import cycle, pairwise
from typing import Any

import anyio
import httpx2
import openai
from openai._streaming import SSEDecoder

from imagekit import (
    AsyncClient,
    Client,
    Completed,
    ImageEvent,
    ImageResponse,
    PartialImage,
    Text,
)
from imagekit.provider import EventDecoder
from recordings import STAND_IN
from spoken import httpx

COLOURS = ("sync", "asyncio", "trio")
DIALECTS = ("generation", "edit", "responses")
BOM = b"\xef\xbb\xbf"
ENDS = {"LF": b"\n", "CRLF": b"\r\n", "CR": b"\r"}
PNG = base64.b64decode(STAND_IN)
# What tells one picture from another stands after the end of a PNG, where no reader looks.
FIRST, SECOND, FINAL, OTHER = (PNG + one for one in (b"1", b"2", b"F", b"O"))


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def preview(dialect: str, step: int, picture: bytes) -> dict[str, Any]:
    """The event of a preview."""
    if dialect == "responses":
        return {
            "type": "response.image_generation_call.partial_image",
            "item_id": "ig_1",
            "output_index": 0,
            "partial_image_index": step,
            "partial_image_b64": b64(picture),
        }
    kind = f"image_{dialect}.partial_image"
    return {"type": kind, "partial_image_index": step, "b64_json": b64(picture)}


def tokens(into: int, out: int) -> dict[str, Any]:
    return {"input_tokens": into, "output_tokens": out, "total_tokens": into + out}


def call(picture: bytes | None, id: str = "ig_1", **changes: Any) -> dict[str, Any]:
    result = None if picture is None else b64(picture)
    said = {"id": id, "type": "image_generation_call", "status": "completed", "result": result}
    return {**said, **changes}


def done(item: dict[str, Any], place: int = 0) -> dict[str, Any]:
    return {"type": "response.output_item.done", "output_index": place, "item": item}


def delta(text: str) -> dict[str, Any]:
    return {"type": "response.output_text.delta", "item_id": "msg_1", "delta": text}


def body(*output: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A response object."""
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1795200296.0,
        "status": "completed",
        "model": "gpt-6.1-sol",
        "output": list(output),
        "usage": tokens(300, 60),
        "tool_usage": {"image_gen": tokens(50, 196)},
        **changes,
    }


def end(dialect: str, *pictures: bytes, **changes: Any) -> dict[str, Any]:
    """The event that ends a stream."""
    pictures = pictures or (FINAL,)
    if dialect == "responses":
        calls = [call(one, f"ig_{place + 1}") for place, one in enumerate(pictures)]
        return {"type": "response.completed", "response": body(*calls, **changes)}
    kind = f"image_{dialect}.completed"
    return {"type": kind, "b64_json": b64(pictures[0]), "usage": tokens(50, 196), **changes}


def stream(dialect: str, words: str = "Here: an otter, かわうそ 🦦") -> list[dict[str, Any]]:
    """All events of a stream that makes one picture; *words* are said where words can be."""
    previews = [preview(dialect, 0, FIRST), preview(dialect, 1, SECOND)]
    if dialect != "responses":
        return [*previews, end(dialect)]
    about = {"item_id": "ig_1", "output_index": 0}
    work = "response.image_generation_call"
    begun = {"id": "resp_1", "status": "in_progress", "output": []}
    return [
        {"type": "response.created", "response": begun},
        {"type": f"{work}.in_progress", **about},
        *previews,
        {"type": f"{work}.completed", **about},
        done(call(FINAL)),
        delta(words[:9]),
        delta(words[9:]),
        end(dialect),
    ]


def lines(
    event: dict[str, Any],
    *,
    named: bool = True,
    first: bool = True,
    space: str = " ",
    indent: int | None = None,
    ascii: bool = True,
) -> list[str]:
    """The lines of one event: with its `event` line or not, *first* or last; its blank one too."""
    spelt = json.dumps(event, indent=indent, ensure_ascii=ascii)
    found = [f"data:{space}{line}" for line in spelt.split("\n")]
    name = [f"event:{space}{event['type']}"] if named else []
    return [*name, *found, ""] if first else [*found, *name, ""]


def joined(listed: Iterable[str], *ends: bytes) -> bytes:
    """Lines with their *ends*, taken in turn; a blank line stays one, whatever ends the last."""
    out, turns = bytearray(), cycle(ends or (b"\n",))
    for line, end in zip(listed, turns, strict=False):
        # CR and LF, one after the other, would be a single end.
        blank = not line and out.endswith(b"\r") and end == b"\n"
        out += line.encode() + (b"\r" if blank else end)
    return bytes(out)


def spelt(events: Iterable[dict[str, Any]], *ends: bytes, **how: Any) -> bytes:
    """Events as they travel."""
    return joined((line for one in events for line in lines(one, **how)), *ends)


def cut(data: bytes, at: Iterable[int]) -> list[bytes]:
    """*data* in pieces that begin at the places *at*."""
    places = [0, *sorted({one for one in at if 0 < one < len(data)}), len(data)]
    return [data[start:stop] for start, stop in pairwise(places)]


def sized(data: bytes, size: int) -> list[bytes]:
    return cut(data, range(0, len(data), size))


def ours_decoded(pieces: Iterable[bytes]) -> list[tuple[str, str, str | None]]:
    """Event, data and id of each event, as our decoder finds them."""
    decoder = EventDecoder()
    found = [event for piece in pieces for event in decoder.feed(piece)]
    return [(one.event, one.data, one.id) for one in (*found, *decoder.finish())]


def theirs_decoded(
    pieces: Iterable[bytes], *, colour: str = "sync"
) -> list[tuple[str, str, str | None]]:
    """The same of the SDK's; an event without a name is a message, as the standard says."""
    decoder = SSEDecoder()
    if colour == "sync":
        found = list(decoder.iter_bytes(iter(pieces)))
    else:
        # It waits for nothing but the pieces, so that it needs no event loop.
        waiting = _all(decoder.aiter_bytes(Pieces(pieces)))
        try:
            waiting.send(None)
        except StopIteration as over:
            found = over.value
    return [(one.event or "message", one.data, one.id) for one in found]


async def _all(source: AsyncIterator[Any]) -> list[Any]:
    return [one async for one in source]


BODIES: Any = {
    kind: None for one in (httpx, httpx2) for kind in (one.SyncByteStream, one.AsyncByteStream)
}


class Pieces(*BODIES):
    """A body in the pieces given, read once; *broken* is raised where it would end."""

    def __init__(self, pieces: Iterable[bytes], broken: Exception | None = None) -> None:
        self._pieces, self._broken = iter(pieces), broken

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        for piece in self._pieces:
            return piece
        if self._broken:
            raise self._broken
        raise StopIteration

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        for piece in self:
            return piece
        raise StopAsyncIteration


@dataclass
class Told:
    """What a reader of a stream is told, up to its end or its error.

    *whole* says that the stream was told to be done; *usage* is input, output and total.
    """

    previews: list[tuple[int, bytes]] = field(default_factory=list)
    pictures: list[bytes] = field(default_factory=list)
    words: str = ""
    usage: tuple[int | None, int | None, int | None] = (None, None, None)
    whole: bool = False
    error: Exception | None = field(default=None, compare=False)
    # Theirs: the events that tell none of this. Ours: the response, if only the error's.
    others: list[Any] = field(default_factory=list, compare=False)
    response: ImageResponse | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Answer:
    """What a server answers to a request for a stream; *broken* by the connection at its end."""

    pieces: tuple[bytes, ...]
    kind: str | None = "text/event-stream"
    broken: bool = False

    def by(self, library: Any) -> Any:
        """As an answer in the HTTP library *library*."""
        error = library.ReadError("gone") if self.broken else None
        headers = {"content-type": self.kind} if self.kind else {}
        return library.Response(200, headers=headers, stream=Pieces(self.pieces, error))


def answer(pieces: bytes | Iterable[bytes], **how: Any) -> Answer:
    return Answer((pieces,) if isinstance(pieces, bytes) else tuple(pieces), **how)


def ours(colour: str, dialect: str, given: Answer) -> Told:
    """What an app is told by us."""
    told = Told()
    provider = "openai-responses" if dialect == "responses" else "openai-images"
    said: dict[str, Any] = {"provider": provider, "api_key": "sk-test", "env": {}}
    transport = httpx.MockTransport(lambda request: given.by(httpx))

    def asked(client: Any) -> Any:
        if dialect == "edit":
            return client.stream("an otter", images=[PNG], partial_images=2)
        return client.stream("an otter", partial_images=2)

    def blocking() -> None:
        with (
            httpx.Client(transport=transport) as http,
            Client(http=http, **said) as client,
            asked(client) as events,
        ):
            for event in events:
                _take(told, event)

    async def waiting() -> None:
        async with (
            httpx.AsyncClient(transport=transport) as http,
            AsyncClient(http=http, **said) as client,
            asked(client) as events,
        ):
            async for event in events:
                _take(told, event)

    try:
        blocking() if colour == "sync" else anyio.run(waiting, backend=colour)
    except Exception as error:
        told.error = error
        told.response = getattr(error, "response", None)
    return told


def _take(told: Told, event: ImageEvent) -> None:
    match event:
        case PartialImage():
            told.previews.append((event.step, event.image.data or b""))
        case Text(phase="content"):
            told.words += event.text
        case Completed(response=response):
            told.response = response
            told.pictures = [image.data or b"" for image in response]
            told.whole = all(notice.kind != "incomplete" for notice in response.notices)
            if used := response.usage:
                told.usage = (used.input_tokens, used.output_tokens, used.total_tokens)


def theirs(colour: str, dialect: str, given: Answer) -> Told:
    """What an app is told by the SDK."""
    told = Told()
    transport = httpx2.MockTransport(lambda request: given.by(httpx2))
    said: dict[str, Any] = {"api_key": "sk-test", "max_retries": 0}

    def asked(sdk: Any) -> Any:
        if dialect == "responses":
            return sdk.responses.create(model="gpt-6.1-sol", input="an otter", stream=True)
        how = {"prompt": "an otter", "stream": True, "partial_images": 2}
        if dialect == "edit":
            return sdk.images.edit(image=("image.png", PNG, "image/png"), **how)
        return sdk.images.generate(**how)

    def blocking() -> None:
        with httpx2.Client(transport=transport) as http:
            for event in asked(openai.OpenAI(http_client=http, **said)):
                _hear(told, event)

    async def waiting() -> None:
        async with httpx2.AsyncClient(transport=transport) as http:
            async for event in await asked(openai.AsyncOpenAI(http_client=http, **said)):
                _hear(told, event)

    try:
        blocking() if colour == "sync" else anyio.run(waiting, backend=colour)
    except Exception as error:
        told.error = error
    return told


def _hear(told: Told, event: Any) -> None:
    kind = str(getattr(event, "type", None))
    calls: list[Any] = []
    if kind.endswith("image_generation_call.partial_image"):
        told.previews.append((event.partial_image_index, _data(event.partial_image_b64)))
    elif kind.endswith(".partial_image"):
        told.previews.append((event.partial_image_index, _data(event.b64_json)))
    elif kind == "response.output_text.delta":
        told.words += event.delta
    elif kind == "response.output_item.done":
        calls = [event.item]
    elif kind == "response.completed":
        told.whole = True
        calls = event.response.output
        used = [event.response.usage]
        if event.response.tool_usage:
            used.append(event.response.tool_usage.image_gen)
        told.usage = _sum(used)
    elif kind.endswith(".completed") and not kind.startswith("response."):
        told.whole = True
        told.pictures.append(_data(event.b64_json))
        told.usage = _sum([event.usage])
    else:
        told.others.append(event)
    for item in calls:
        if item.type == "image_generation_call" and item.result:
            picture = _data(item.result)
            told.pictures += [] if picture in told.pictures else [picture]


def _data(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _sum(used: list[Any]) -> tuple[int | None, int | None, int | None]:
    names = ("input_tokens", "output_tokens", "total_tokens")
    into, out, total = (sum(getattr(one, name) for one in used if one) or None for name in names)
    return into, out, total
