"""Lifting against the plain path: the same tree, bytes and errors, however it is cut.

`python tests/test_lifting.py 50000` tries that many documents and prints how many were alike.
"""

from __future__ import annotations

import base64
import contextlib
import copy
import dataclasses
import gzip
import io
import json
import pickle
import random
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagekit import ProtocolError
from imagekit._blob import FIRST, ROOM, Blob, Memory
from imagekit._debug import dumped
from imagekit._flow import Receive, Send
from imagekit._framing import EventDecoder
from imagekit._http import HttpRequest, HttpResponse
from imagekit._hushed import Hush
from imagekit._lifting import _MARK, Body, Lifted, Lifter
from imagekit._transport import AsyncTransport, SyncTransport
from imagekit.provider import ServerSentEvent
from recordings import ABSENT, HOME, recorded
from spoken import httpx

NAMES = frozenset({"b64", "picture", "dé"})
LEAST = 8
JSON = {"content-type": "application/json"}


def spelt(size: int, seed: int = 0) -> str:
    return base64.b64encode(random.Random(seed).randbytes(size)).decode()


class Kept(Memory):
    """A sink of which is known whether it was dropped."""

    made: list[Kept]

    def __init__(self) -> None:
        super().__init__()
        self.dropped = False
        type(self).made.append(self)

    def drop(self) -> None:
        self.dropped = True


@pytest.fixture
def sinks() -> list[Kept]:
    Kept.made = []
    return Kept.made


def lifted(data: bytes, cuts: list[int], least: int = LEAST) -> HttpResponse:
    lifter = Lifter(NAMES, least=least)
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        lifter.feed(data[start:end])
    return HttpResponse.holding(200, JSON, lifter.finish())


def plain(value: Any, names: frozenset[str] = NAMES) -> Any:
    """*value* with text where a blob stands, which may stand under a name only."""
    if isinstance(value, dict):
        for name, one in value.items():
            assert not isinstance(one, Blob) or name in names
        return {name: plain(one, names) for name, one in value.items()}
    if isinstance(value, list):
        return [plain(one, names) for one in value]
    return str(value) if isinstance(value, Blob) else value


def outcome(read: Callable[[], Any]) -> Any:
    try:
        found = plain(read())
    except ProtocolError as error:
        return "error", str(error), error.status
    return "found", repr(found)


def alike(data: bytes, cuts: list[int], least: int = LEAST) -> HttpResponse:
    """Ours and the plain path on one body; raises where they differ."""
    ours, theirs = lifted(data, cuts, least), HttpResponse(200, JSON, data)
    assert outcome(ours.json) == outcome(theirs.json)
    assert ours.body == data
    assert ours == theirs
    assert all(ours.head(size) == data[:size] for size in (1, 20, 80))
    assert _MARK not in repr(plain(ours.json())) if outcome(ours.json)[0] == "found" else True
    return ours


def events(data: bytes, cuts: list[int], names: frozenset[str]) -> list[ServerSentEvent]:
    decoder = EventDecoder(names, least=LEAST)
    found: list[ServerSentEvent] = []
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        found += decoder.feed(data[start:end])
    return [*found, *decoder.finish()]


def alike_events(data: bytes, cuts: list[int]) -> list[ServerSentEvent]:
    ours, theirs = events(data, cuts, NAMES), events(data, [], frozenset())
    assert [outcome(one.json) for one in ours] == [outcome(one.json) for one in theirs]
    assert ours == theirs
    assert repr(ours) == repr(theirs)
    return ours


# What makes trouble, to be put together at random.
LUMPS = [
    *(
        '{"b64": "',
        '"b64":"',
        '"picture" :\n"',
        '"dé": "',
        '{"x\\"b64": "',
        '"other": "',
        '["b64": "',
    ),
    *('"', '"', '", ', "}", "]", "{", "[", ":", ",", "\\", "\\/", "\\n", "\\ud83d", "\\ud800", " "),
    *(
        "data:image/png;base64,",
        "é🦦",
        "null",
        "=",
        "==",
        "A",
        "AB",
        "AAAA",
        "A===",
        "AB==",
        "AA==",
    ),
    *(spelt(6), spelt(7), spelt(8), spelt(30), spelt(31, 1), spelt(90, 2), spelt(50) + "!", "\n"),
    *("b64", "\\u0062", " " * 20, "\t"),
]
LINES = [
    *LUMPS,
    "data: ",
    "data:",
    "\n\n",
    "\r\n",
    "\r",
    "event: x\n",
    "id: 4\n",
    ": no\n",
    "\ufeff",
]


def value(make: random.Random, depth: int = 0) -> Any:
    """A document such as a provider sends, and some such as none does."""
    kind = make.randrange(8 if depth < 3 else 5)
    texts = ["", "short", spelt(make.randrange(60)), spelt(40) + "=", "data:a;base64," + spelt(9)]
    match kind:
        case 0:
            return make.choice([None, True, 1.5, -3, "é🦦", 'a"b64": "', "\\"])
        case 1 | 2 | 3 | 4:
            return make.choice([*texts, spelt(make.randrange(300), make.randrange(9)), "AB=="])
        case 5:
            return [value(make, depth + 1) for _ in range(make.randrange(4))]
    names = ["b64", "picture", "dé", "b6", 'x"b64', "b64 ", "other"]
    return {make.choice(names): value(make, depth + 1) for _ in range(make.randrange(5))}


def document(make: random.Random) -> bytes:
    if make.random() < 0.3:
        return "".join(make.choices(LUMPS, k=make.randrange(1, 20))).encode()
    found = [value(make) for _ in range(make.randrange(1, 3))]
    said = json.dumps({"b64": found[0], "data": found}, ensure_ascii=make.random() < 0.5)
    if make.random() < 0.3:
        said = said.replace("/", "\\/").replace(": ", make.choice([":", " :\n\t", ": "]))
    if make.random() < 0.2:
        # Two of one name, of which the last is meant.
        said = said[:-1] + ', "b64": "' + spelt(33) + '"}'
    data = said.encode()
    if make.random() < 0.2:
        at = make.randrange(len(data))
        data = data[:at] + make.choice([b"", b'"', b"\xff", b"\0", b"\\"]) + data[at + 1 :]
    return data


def stream(make: random.Random) -> bytes:
    if make.random() < 0.4:
        return "".join(make.choices(LINES, k=make.randrange(1, 30))).encode()
    end = make.choice([b"\n", b"\r\n", b"\r"])
    told = b"\xef\xbb\xbf" if make.random() < 0.2 else b""
    for _ in range(make.randrange(1, 4)):
        lines = document(make).replace(b"\r", b" ").split(b"\n" if make.random() < 0.5 else b" ")
        told += make.choice([b"", b"event: a" + end, b": b" + end])
        told += b"".join(make.choice([b"data: ", b"data:"]) + one + end for one in lines) + end
    return told[: len(told) - make.randrange(3)]


def cut(make: random.Random, data: bytes) -> list[int]:
    if make.random() < 0.1:
        return list(range(1, len(data)))
    return sorted(make.randrange(len(data) + 1) for _ in range(make.randrange(6)))


@given(st.randoms(use_true_random=False))
@settings(max_examples=300)
def test_a_document_is_read_as_without_lifting(make: random.Random) -> None:
    data = document(make)
    alike(data, cut(make, data))


@given(st.randoms(use_true_random=False))
@settings(max_examples=300)
def test_events_are_read_as_without_lifting(make: random.Random) -> None:
    data = stream(make)
    alike_events(data, cut(make, data))


SMALL = [
    json.dumps({"a": 1, "b64": spelt(20), "data": [{"picture": spelt(11), "b64": "no"}]}),
    json.dumps({"b64": spelt(20)[:-4] + "AB==", "picture": spelt(12) + "é", "dé": spelt(9)}),
    json.dumps({'x"b64': spelt(20), "b64": {"b64": [spelt(21)]}}),
    '{"b64" :\n "' + spelt(10).replace("A", "\\/") + '", "b64": "' + spelt(16),
]


@pytest.mark.parametrize("text", SMALL, ids=range(len(SMALL)))
def test_a_document_may_be_cut_anywhere(text: str) -> None:
    data = text.encode()
    for at in range(len(data) + 1):
        alike(data, [at])
    alike(data, list(range(1, len(data))))


def test_a_key_may_be_cut_anywhere() -> None:
    data = ('{"b64" : "' + spelt(60) + '"}').encode()
    for at in range(len(data) + 1):
        assert isinstance(alike(data, [at]).held, Lifted)


def test_padding_is_at_the_end_only() -> None:
    data = ('{"b64": "' + spelt(31) + spelt(30) + '"}').encode()
    for at in range(len(data) + 1):
        assert isinstance(alike(data, [at]).held, bytes)


@pytest.mark.parametrize("text", SMALL, ids=range(len(SMALL)))
def test_a_stream_may_be_cut_anywhere(text: str) -> None:
    data = b": hi\nevent: a\ndata: " + text.replace("\n", "\ndata: ").encode() + b"\nid: 3\n\n"
    for at in range(len(data) + 1):
        alike_events(data, [at])
    alike_events(data, list(range(1, len(data))))


@pytest.mark.parametrize("size", [6, 7, 8, 2000, 3000, 700_001])
def test_what_is_long_enough_is_lifted(size: int) -> None:
    text = spelt(size)
    data = json.dumps({"other": text[:30], "data": [{"b64": text}]}).encode()
    for piece in (len(data), 65_536, 1009):
        ours = alike(data, list(range(piece, len(data), piece)), least=8)
        found = ours.json()["data"][0]["b64"]
        assert isinstance(found, Blob)
        assert bytes(found) == base64.b64decode(text)
        assert found is ours.json()["data"][0]["b64"]


@pytest.mark.parametrize(
    "text",
    [
        spelt(6000) + "!",
        spelt(6000)[:-1],
        spelt(6001)[:-2] + "A",
        spelt(6001) + spelt(6000),
        "A" * 8000 + "AB==",
        "data:image/png;base64," + spelt(6000),
        "-_" * 4000,
        spelt(600_000) + "é",
        spelt(2000)[:-1] + "\\/" + spelt(9000),
        spelt(1000),
        "=" * 4000,
        "A===" * 1000,
    ],
    ids=range(12),
)
def test_what_is_not_canonical_stays_the_text_it_was(text: str, sinks: list[Kept]) -> None:
    data = ('{"b64": "' + text + '"}').encode()
    for piece in (len(data), 4096, 1013):
        lifter = Lifter(NAMES, Kept)
        for start in range(0, len(data), piece):
            lifter.feed(data[start : start + piece])
        assert lifter.finish() == data
    assert all(one.dropped for one in sinks)


def test_a_key_in_another_encoding_is_no_key() -> None:
    told = '{"a": "' + "鱼" * 9 + '"}'
    for data in (told.encode("utf-16"), told.encode("utf-16-le"), told.encode("utf-32")):
        alike(data, [])
    hostile = b"\xff\xfe" + b'{"b64": "' + spelt(30).encode() + b'"}'
    assert isinstance(lifted(hostile, []).held, bytes)
    alike(b"\xef\xbb\xbf" + SMALL[0].encode(), [])


@pytest.mark.parametrize("depth", [900, 100_000])
def test_it_goes_as_deep_as_the_parser(depth: int) -> None:
    data = b"[" * depth + b'{"b64": "' + spelt(30).encode() + b'"}' + b"]" * depth
    alike_deep = lifted(data, [])
    if depth > 900:
        with pytest.raises(ProtocolError):
            alike_deep.json()
        return
    found = alike_deep.json()
    for _ in range(depth):
        [found] = found
    assert bytes(found["b64"]) == base64.b64decode(spelt(30))


def test_only_data_is_lifted_from() -> None:
    told = '{"b64": "' + spelt(60) + '"}'
    data = f"event: {told}\nid: {told}\n: {told}\ndata: {told}\n\n".encode()
    for cuts in ([], [4], list(range(1, len(data)))):
        [one] = alike_events(data, cuts)
        assert one.event == one.id == told
        assert isinstance(one.held, Lifted)
        assert isinstance(one.json()["b64"], Blob)
    [first] = alike_events(f"\ufeffdata: {told}\n\n".encode(), [9, 30])
    assert isinstance(first.held, str | Lifted)


def test_a_string_that_a_line_ends_is_no_string() -> None:
    data = f'data: {{"b64": "{spelt(60)}\ndata: {spelt(60)}"}}\n\n'.encode()
    for at in range(len(data)):
        [one] = alike_events(data, [at])
        assert isinstance(one.held, str)


class TestLimits:
    def test_of_all_that_comes(self) -> None:
        lifter = Lifter(NAMES, most=1000)
        lifter.feed(b'{"b64": "' + b"A" * 991)
        with pytest.raises(ProtocolError, match="larger than 1000 bytes"):
            lifter.feed(b"A")

    def test_of_what_is_parsed(self) -> None:
        lifter = Lifter(NAMES, least=8, most_parsed=1000)
        lifter.feed(b'{"b64": "' + b"A" * 5000 + b'", "c": "')
        with pytest.raises(ProtocolError, match="more than 1000 bytes beside its pictures"):
            lifter.feed(b"c" * 1000)

    def test_of_what_is_put_back(self, sinks: list[Kept]) -> None:
        lifter = Lifter(NAMES, Kept, least=8, most_parsed=1000)
        lifter.feed(b'{"b64": "' + b"A" * 5000)
        with pytest.raises(ProtocolError, match="more than 1000 bytes beside its pictures"):
            lifter.feed(b"!" * 9)
        lifter.drop()
        assert [one.dropped for one in sinks] == [True]

    def test_of_a_body(self) -> None:
        body = Body(Memory(), most=10)
        body.feed(b"1234567890")
        with pytest.raises(ProtocolError, match="larger than 10 bytes"):
            body.feed(b"1")

    def test_of_a_line(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("imagekit._framing.MOST_HELD", 100)
        for decoder in (EventDecoder(NAMES), EventDecoder()):
            with pytest.raises(ProtocolError, match="line of the stream is longer than 100 bytes"):
                list(decoder.feed(b": " + b"a" * 100))

    def test_of_an_event(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("imagekit._framing.MOST_PARSED", 100)
        decoder = EventDecoder(NAMES)
        assert list(decoder.feed(b"data: " + b"a" * 90 + b"\n")) == []
        with pytest.raises(ProtocolError, match="event of the stream is longer than 100 bytes"):
            list(decoder.feed(b"data: " + b"a" * 90 + b"\n"))


def test_what_never_comes_whole_is_dropped(sinks: list[Kept]) -> None:
    lifter = Lifter(NAMES, Kept, least=8)
    lifter.feed(f'{{"b64": "{spelt(60)}", "picture": "{spelt(60)}'.encode())
    lifter.drop()
    assert [one.dropped for one in sinks] == [True, True]
    decoder = EventDecoder(NAMES, Kept, least=8)
    decoder.close()
    list(decoder.feed(f'data: {{"b64": "{spelt(60)}", "picture": "{spelt(60)}'.encode()))
    decoder.close()
    assert [one.dropped for one in sinks] == [True] * 4
    body = Body(Kept())
    body.drop()
    assert sinks[-1].dropped


def test_what_came_whole_is_not_dropped(sinks: list[Kept]) -> None:
    decoder = EventDecoder(NAMES, Kept, least=8)
    [one] = decoder.feed(f'data: {{"b64": "{spelt(60)}"}}\n\n'.encode())
    decoder.close()
    assert bytes(one.json()["b64"]) == base64.b64decode(spelt(60))
    assert not sinks[0].dropped


def an_answer() -> HttpResponse:
    return lifted(SMALL[0].encode(), [])


def an_event() -> ServerSentEvent:
    [one] = events(b"data: " + SMALL[0].encode() + b"\n\n", [], NAMES)
    return one


@pytest.mark.parametrize("make", [an_answer, an_event])
def test_a_lifted_value_is_a_value_as_any(make: Callable[[], Any]) -> None:
    ours = make()
    assert isinstance(ours.held, Lifted)
    theirs = dataclasses.replace(ours)
    assert not isinstance(theirs.held, Lifted)
    for other in (theirs, copy.copy(ours), copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        assert other == ours
        assert repr(other) == repr(ours)
        assert plain(other.json()) == plain(ours.json())
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = ours.nothing
    changed = dataclasses.replace(ours, **{"body" if hasattr(ours, "body") else "data": "{}"})
    assert changed.json() == {}


@pytest.mark.parametrize("as_event", [False, True])
def test_an_error_shows_nothing_that_never_came(as_event: bool) -> None:
    lifter = Lifter(NAMES, least=LEAST)
    lifter.feed(b'{"b64": "%s", oops}' % spelt(30).encode())
    held = lifter.finish()
    assert isinstance(held, Lifted)
    whole = HttpResponse.holding(200, JSON, held)
    answer = ServerSentEvent.holding("e", held, None) if as_event else whole
    with pytest.raises(ProtocolError, match=spelt(30)) as caught:
        answer.json()
    said: BaseException | None = caught.value
    causes = []
    while said is not None:
        causes.append(f"{said!r} {vars(said)} {getattr(said, 'doc', '')}")
        said = said.__cause__ or said.__context__
    assert "double quotes" in causes[-1]
    assert _MARK not in "".join(causes)


def test_a_body_is_a_blob_where_it_went() -> None:
    assert bytes(HttpResponse(200, {}, b"abc").blob) == b"abc"
    assert HttpResponse.holding(200, {}, Blob.of(b"abc")) == HttpResponse(200, {}, b"abc")


SIZES = [0, FIRST, FIRST + 1, 3 * FIRST, ROOM * FIRST, ROOM * FIRST + 1_000_000]
RANDOM = random.Random(5).randbytes(max(SIZES))


@pytest.mark.parametrize("before", SIZES)
@pytest.mark.parametrize("size", SIZES)
def test_a_picture_in_memory_is_what_was_written(size: int, before: int) -> None:
    for number in (before, size):
        data, memory = RANDOM[:number], Memory()
        for start in range(0, number, 70_001):
            memory.write(data[start : start + 70_001])
        assert bytes(memory.blob()) == data
        memory.drop()


def room(size: int) -> float:
    """What a picture of *size* bytes takes when a little more than `FIRST` of it has come."""
    data, memory = bytes(size), Memory()
    tracemalloc.start()
    try:
        memory.write(data[: FIRST + 1])
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    memory.write(data[FIRST + 1 :])
    assert len(memory.blob()) == size
    return taken / FIRST


def test_a_picture_has_the_room_of_the_last_one_but_not_of_one_far_larger() -> None:
    room(5 * FIRST)
    assert 4.9 < room(2 * ROOM * FIRST) < 5.1
    assert ROOM - 0.1 < room(2 * FIRST) < ROOM + 0.1
    # What is small tells nothing of the next: text comes between pictures.
    room(FIRST)
    assert 1.9 < room(2 * FIRST) < 2.1


def test_a_body_in_a_file_is_read_when_it_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    ours = HttpResponse.holding(200, {}, Blob.in_file(path, 3))
    assert ours.blob.path == path
    assert ours == HttpResponse(200, {}, b"abc")
    assert ours.head(2) == b"ab"


KEY = "sk-0123456789/abcdef"


def hushed() -> Hush:
    hush = Hush()
    hush.learn({"authorization": f"Bearer {KEY}"})
    return hush


def test_a_secret_beside_a_picture_is_taken_out() -> None:
    data = json.dumps({"b64": spelt(60), "said": KEY}).encode()
    told = hushed().reply(lifted(data, []))
    assert isinstance(told.held, Lifted)
    assert told.json()["said"] == "…"
    assert bytes(told.json()["b64"]) == base64.b64decode(spelt(60))
    assert KEY.encode() not in told.body
    [event] = events(b"data: " + data + b"\n\n", [], NAMES)
    said = hushed().reply(event)
    assert isinstance(said.held, Lifted)
    assert said.json()["said"] == "…"
    assert KEY not in said.data


def test_what_holds_no_secret_is_handed_on_as_it_is(tmp_path: Path) -> None:
    hush = hushed()
    (tmp_path / "a").write_bytes(KEY.encode())
    for one in (
        an_answer(),
        an_event(),
        HttpResponse(200, JSON, b"{}"),
        HttpResponse(200, {}, streamed=True),
        ServerSentEvent("a", "b"),
        HttpResponse.holding(200, {}, Blob.in_file(tmp_path / "a", 20)),
        HttpResponse(200, {"content-type": "image/png"}, b"\x89PNG" + b"\0" * 70_000),
    ):
        assert hush.reply(one) is one


def test_a_secret_in_a_head_or_in_words_is_taken_out() -> None:
    hush = hushed()
    opened = hush.reply(HttpResponse(200, {"x": KEY}, streamed=True))
    assert (opened.headers, opened.streamed) == ({"x": "…"}, True)
    lifted_one = hush.reply(HttpResponse.holding(200, {"x": KEY}, an_answer().held))
    assert lifted_one.headers == {"x": "…"}
    assert lifted_one == HttpResponse(200, {"x": "…"}, SMALL[0].encode())
    for kind in ("image/svg+xml", "text/plain"):
        body = b" " * 70_000 + KEY.encode()
        assert KEY.encode() not in hush.reply(HttpResponse(200, {"content-type": kind}, body)).body
    small = HttpResponse(200, {"content-type": "image/png"}, KEY.encode())
    assert hush.reply(small).body == "…".encode()


PNG = {"content-type": "image/png"}
LONG = json.dumps({"b64": spelt(9000), "said": "hello"}).encode()


async def answered(
    asynchronous: bool, request: HttpRequest, status: int, headers: dict[str, str], body: bytes
) -> tuple[HttpResponse, dict[str, str]]:
    seen: dict[str, str] = {}

    def answer(asked: httpx.Request) -> httpx.Response:
        seen.update(asked.headers)
        return httpx.Response(status, headers=headers, content=body)

    if asynchronous:
        far = AsyncTransport(httpx.MockTransport(answer))
        return await far.send(request), seen
    return SyncTransport(httpx.MockTransport(answer)).send(request), seen


def asked(**how: Any) -> HttpRequest:
    return HttpRequest("POST", "https://a.example/", sink=Kept, blobs=NAMES, **how)


@pytest.mark.anyio
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
class TestWholeAnswers:
    @pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "application/a+json"])
    async def test_json_is_lifted_from(
        self, asynchronous: bool, kind: str, sinks: list[Kept]
    ) -> None:
        ours, _ = await answered(asynchronous, asked(), 200, {"content-type": kind}, LONG)
        assert isinstance(ours.held, Lifted)
        assert plain(ours.json()) == json.loads(LONG)
        assert [one.dropped for one in sinks] == [False]

    async def test_neither_errors_nor_other_types_are(
        self, asynchronous: bool, sinks: list[Kept]
    ) -> None:
        for status, kind in ((400, "application/json"), (200, "text/plain"), (500, "image/png")):
            ours, _ = await answered(asynchronous, asked(), status, {"content-type": kind}, LONG)
            assert ours.held == LONG
        assert sinks == []

    async def test_a_picture_goes_where_it_is_wanted(
        self, asynchronous: bool, sinks: list[Kept]
    ) -> None:
        ours, _ = await answered(asynchronous, asked(), 200, PNG, b"\x89PNG")
        assert ours.body == b"\x89PNG"
        assert len(sinks) == 1

    async def test_what_is_too_much_is_dropped(
        self, asynchronous: bool, sinks: list[Kept], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("imagekit._transport.MOST_BYTES", 10_000)
        for headers in (JSON, PNG):
            with pytest.raises(ProtocolError, match="larger than 10000 bytes"):
                await answered(asynchronous, asked(), 200, headers, LONG)
        assert all(one.dropped for one in sinks)

    async def test_no_encoding_is_asked_for(self, asynchronous: bool, sinks: list[Kept]) -> None:
        _, seen = await answered(asynchronous, asked(), 200, JSON, LONG)
        assert seen["accept-encoding"] == "identity"
        own = asked(headers={"Accept-Encoding": "gzip"})
        packed = {**JSON, "content-encoding": "gzip"}
        ours, seen = await answered(asynchronous, own, 200, packed, gzip.compress(LONG))
        assert seen["accept-encoding"] == "gzip"
        assert isinstance(ours.held, Lifted)
        assert plain(ours.json()) == json.loads(LONG)
        _, seen = await answered(
            asynchronous, HttpRequest("GET", "https://a.example/"), 200, JSON, LONG
        )
        assert seen["accept-encoding"] != "identity"


def test_a_client_of_ones_own_says_how_answers_are_encoded() -> None:
    def answer(asked: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers=JSON, content=asked.headers["accept-encoding"].encode())

    for own, wanted in (({}, "identity"), ({"accept-encoding": "gzip"}, "gzip")):
        client = httpx.Client(transport=httpx.MockTransport(answer), headers=own)
        assert SyncTransport(client).send(asked()).body == wanted.encode()


def test_what_debug_shows_of_a_picture_is_its_size() -> None:
    def flow() -> Any:
        yield Send(asked())
        yield Send(asked())
        yield Receive()

    out = io.StringIO()
    running = dumped(flow(), out, None)
    next(running)
    running.send(lifted(LONG, []))
    running.send(lifted(LONG[:-1], []))
    with contextlib.suppress(StopIteration):
        running.send(events(b"data: " + LONG + b"\n\n", [], NAMES)[0])
    shown = out.getvalue()
    assert shown.count("a picture of 9000 bytes") == 2
    assert "expected JSON" in shown
    assert len(shown) < 2000


def recorded_bodies() -> Iterator[bytes]:
    for path in sorted(HOME.rglob("*")):
        if path.suffix in (".json", ".txt", ".yaml", ".yml") and path.stat().st_size < 2**22:
            yield path.read_bytes()
            with contextlib.suppress(Exception):
                yield from (one.body for one in recorded(str(path.relative_to(HOME))))


@pytest.mark.skipif(not HOME.exists(), reason=ABSENT)
def test_every_recording_is_read_as_without_lifting() -> None:
    make, lifts = random.Random(7), 0
    names = frozenset({"b64_json", "partial_image_b64", "result", "data", "bytesBase64Encoded"})
    for data in recorded_bodies():
        lifter, decoder = Lifter(names, least=64), EventDecoder(names, least=64)
        stream, found = b"data: " + data.replace(b"\n", b"\n\ndata: ") + b"\n\n", []
        file, sse = io.BytesIO(data), io.BytesIO(stream)
        while piece := file.read(make.randrange(1, 9000)):
            lifter.feed(piece)
        while piece := sse.read(make.randrange(1, 9000)):
            found += decoder.feed(piece)
        ours, theirs = HttpResponse.holding(200, {}, lifter.finish()), HttpResponse(200, {}, data)
        same = [*EventDecoder().feed(stream)]
        assert ours == theirs
        assert found == same
        for one, other in ((ours, theirs), *zip(found, same, strict=True)):
            assert _read(one, names) == _read(other, names)
        lifts += isinstance(ours.held, Lifted) + any(isinstance(one.held, Lifted) for one in found)
    assert lifts > 20


def _read(one: HttpResponse | ServerSentEvent, names: frozenset[str]) -> Any:
    try:
        return plain(one.json(), names)
    except ProtocolError as error:
        return str(error)


def main(many: int) -> None:
    """Try so many documents and streams, and print how many were alike."""
    lifts = 0
    for seed in range(many):
        make = random.Random(seed)
        data = document(make) if seed % 2 else stream(make)
        try:
            if seed % 2:
                lifts += isinstance(alike(data, cut(make, data)).held, Lifted)
            else:
                found = alike_events(data, cut(make, data))
                lifts += any(isinstance(one.held, Lifted) for one in found)
        except AssertionError:
            raise SystemExit(f"document {seed} is read otherwise: {data!r}") from None
    print(f"{many} documents and streams, {lifts} with something lifted: all alike")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
