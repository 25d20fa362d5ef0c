from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise
from typing import Any, SupportsIndex

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imagekit import ProtocolError
from imagekit._framing import EventDecoder, LineDecoder, Pieces, TextLines, decoder
from imagekit.provider import ServerSentEvent

BOM = b"\xef\xbb\xbf"
STREAM = (
    ": a comment\n"
    "event: partial\n"
    'data: {"text": "naïve 🦦 çà"}\n'
    "id: 7\n"
    "\n"
    "data: one\n"
    "data:two\n"
    "data:  three\n"
    "data\n"
    "retry: 10\n"
    "unheard-of: field\n"
    "\n"
    "\n"
    "event: dropped, for it has no data\n"
    "\n"
    "data: last\n"
    "\n"
).encode()
EVENTS = [
    ServerSentEvent("partial", '{"text": "naïve 🦦 çà"}', "7"),
    ServerSentEvent("message", "one\ntwo\n three\n", "7"),
    ServerSentEvent("message", "last", "7"),
]
ENDS = {"LF": b"\n", "CRLF": b"\r\n", "CR": b"\r"}


def decoded(decode: Any, pieces: Iterable[bytes]) -> list[Any]:
    found = [item for piece in pieces for item in decode.feed(piece)]
    return [*found, *decode.finish()]


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def reference(data: bytes) -> list[ServerSentEvent]:
    """The events of a whole stream, as the standard tells it, and the last one without its end."""
    found, event, last, held = [], "", None, list[str]()
    for line in [*re.split(rb"\r\n|\r|\n", data.removeprefix(BOM)), b""]:
        name, _, value = line.partition(b":")
        text = value.removeprefix(b" ").decode("utf-8", "surrogateescape")
        match name:
            case b"data":
                held.append(text)
            case b"event":
                event = text
            case b"id":
                last = text
        if not line:
            if held:
                found.append(ServerSentEvent(event or "message", "\n".join(held), last))
            event, held = "", []
    return [
        ServerSentEvent(replaced(one.event), replaced(one.data), one.id and replaced(one.id))
        for one in found
    ]


def replaced(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("start", [b"", BOM], ids=["plain", "BOM"])
def test_events_are_the_same_in_pieces_of_every_size(end: bytes, start: bytes) -> None:
    data = start + STREAM.replace(b"\n", end)
    for size in range(1, len(data) + 1):
        assert decoded(EventDecoder(), cut(data, size)) == EVENTS


def test_ends_of_line_may_be_mixed() -> None:
    data = b"data: a\r\ndata: b\rdata: c\n\r\ndata: d\r\r"
    for size in range(1, len(data) + 1):
        found = decoded(EventDecoder(), cut(data, size))
        assert [event.data for event in found] == ["a\nb\nc", "d"]


LUMPS = [
    b"data",
    b"data:",
    b"data: ",
    b"event: a",
    b"event",
    b"id: 1",
    b"id",
    b": ",
    b"retry: 3",
    b"\n",
    b"\r",
    b"\r\n",
    b"\n\n",
    BOM,
    "é🦦".encode(),
    b"\xf0\x9f",
    b" ",
    b"",
]


@given(
    st.lists(st.sampled_from(LUMPS) | st.binary(max_size=4), max_size=40).map(b"".join),
    st.lists(st.integers(0, 160), max_size=12),
)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=600)
def test_any_stream_in_any_pieces_is_what_the_standard_says(data: bytes, cuts: list[int]) -> None:
    at = [0, *sorted(min(one, len(data)) for one in cuts), len(data)]
    pieces = [data[start:end] for start, end in pairwise(at)]
    assert b"".join(pieces) == data
    assert decoded(EventDecoder(), pieces) == reference(data)


@pytest.mark.parametrize(
    "left", [b"data: last", b"data: last\n", b"data: last\r", BOM + b"data: last"]
)
def test_the_end_of_a_stream_completes_its_last_event(left: bytes) -> None:
    assert decoded(EventDecoder(), [left]) == [ServerSentEvent("message", "last")]


@pytest.mark.parametrize("data", [b"", b"\n\n", b": only a comment\n\n", b"event: a\n\n", BOM])
def test_what_has_no_data_is_no_event(data: bytes) -> None:
    assert decoded(EventDecoder(), [data]) == []


def test_a_byte_order_mark_is_one_at_the_very_start_only() -> None:
    assert decoded(EventDecoder(), [b"\n" + BOM + b"data: x\n\n"]) == []


def test_an_event_comes_as_soon_as_it_is_whole() -> None:
    decode = EventDecoder()
    assert list(decode.feed(b"data: one\n")) == []
    assert list(decode.feed(b"\n")) == [ServerSentEvent("message", "one")]


def test_the_second_half_of_an_end_of_line_is_no_blank_line() -> None:
    decode = EventDecoder()
    found = [*decode.feed(b"data: one\r"), *decode.feed(b""), *decode.feed(b"\ndata: two\r\n\r\n")]
    assert [event.data for event in found] == ["one\ntwo"]


class Watched(bytes):
    """Bytes that count how many of them searches have looked at."""

    seen = 0

    def find(self, *given: Any) -> int:
        sub, start, *end = given if len(given) > 1 else (*given, 0)
        found = bytes.find(self, sub, start, *end)
        stop = found + 1 if found >= 0 else (end or [len(self)])[0]
        Watched.seen += max(0, stop - start)
        return found

    def __getitem__(self, index: SupportsIndex | slice) -> Any:
        return bytes(self)[index]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r", b"\r\r\n", b""])
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_no_byte_is_searched_more_than_once_for_each_end_of_line(end: bytes, size: int) -> None:
    data = (b"data: x" + end) * 1000
    Watched.seen = 0
    lines = LineDecoder()
    for piece in cut(data, size):
        list(lines.feed(Watched(piece)))
    assert Watched.seen <= 2 * len(data)


class TestLines:
    @pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
    def test_are_the_same_in_pieces_of_every_size(self, end: bytes) -> None:
        data = 'one\n\n{"text": "🦦"}\nlast'.encode().replace(b"\n", end)
        for size in range(1, len(data) + 1):
            assert decoded(TextLines(), cut(data, size)) == ["one", '{"text": "🦦"}', "last"]

    def test_an_ended_stream_has_no_last_line_left(self) -> None:
        assert decoded(TextLines(), [b"one\n"]) == ["one"]

    def test_what_is_left_is_given_once(self) -> None:
        lines = LineDecoder()
        assert list(lines.feed(b"left")) == []
        assert [lines.rest(), lines.rest()] == [b"left", b""]


def test_pieces_stay_as_they_come() -> None:
    assert decoded(Pieces(), [b"a\n", b"", b"\xff"]) == [b"a\n", b"", b"\xff"]


@pytest.mark.parametrize(
    ("framing", "kind"), [("events", EventDecoder), ("lines", TextLines), ("pieces", Pieces)]
)
def test_a_framing_has_its_decoder(framing: str, kind: type) -> None:
    assert type(decoder(framing)) is kind


class TestEvent:
    def test_its_data_reads_as_json(self) -> None:
        assert ServerSentEvent("message", '{"a": [1, "🦦"]}').json() == {"a": [1, "🦦"]}

    @pytest.mark.parametrize("data", ["", "[DONE]", "{", "[" * 100_000])
    def test_what_is_no_json_is_a_protocol_error(self, data: str) -> None:
        with pytest.raises(ProtocolError, match="expected JSON in an event, got '"):
            ServerSentEvent("message", data).json()

    def test_the_error_on_long_data_is_short(self) -> None:
        with pytest.raises(ProtocolError) as caught:
            ServerSentEvent("message", "x" * 10_000).json()
        assert len(str(caught.value)) < 150

    def test_its_repr_does_not_hold_its_data(self) -> None:
        assert "SECRET" not in repr(ServerSentEvent("message", "SECRET"))


def test_an_id_with_a_null_in_it_is_no_id() -> None:
    [event] = EventDecoder().feed(b"id: a\0b\ndata: x\n\n")
    assert event.id is None
