"""Streams of both dialects, in pieces of every kind: what the SDK's decoder makes of them, and we.

The SDK ends in silence, or in an error of JSON's or of Unicode's, where we raise or go on; each
such difference is asserted from both sides, and has its reason.
"""

from __future__ import annotations

import base64
import json
import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from itertools import combinations, cycle
from typing import Any

import corpus
import openai
import pytest
from corpus import BOM, COLOURS, DIALECTS, ENDS, FINAL, FIRST, OTHER, SECOND, Told, answer, cut
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from tally import Judge

from imagekit import (
    AuthenticationError,
    ContentRejectedError,
    ImagekitError,
    InvalidRequestError,
    PermissionDeniedError,
    ProtocolError,
    ProviderError,
    ProviderUnavailableError,
    QuotaExceededError,
    RateLimitError,
    TransportError,
    TruncatedStreamError,
)
from recordings import ABSENT, HOME, recorded

pytestmark = [
    pytest.mark.real,
    # After [DONE] the SDK leaves its generators to the garbage collector, of which trio warns.
    pytest.mark.filterwarnings(r"ignore:Async generator 'openai\._streaming\.:ResourceWarning"),
]
JUDGE = Judge("the official SDK's stream decoder")
recordings_here = pytest.mark.skipif(not HOME.is_dir(), reason=ABSENT)

# Why we differ, where we mean to.
CUT = "the SDK ends a cut stream in silence; we raise, with the previews that came"
KEPT = "the SDK ends in silence after the picture; we keep it and say it is incomplete"
UNENDED = "the SDK drops a last event without its blank line; we take it"
MARKED = "the SDK reads a byte order mark as part of the first line; we skip it"
UNDECODED = "the SDK leaks a Unicode error; we read on, with U+FFFD for what is no UTF-8"
DATALESS = "the SDK makes an event of a blank line after id, retry or event; the standard does not"
LEAKED = "the SDK leaks a JSON error on what is no event of the dialect; we pass it over"
BROKEN = "the SDK leaks a JSON error on a broken event; ours is a ProtocolError, with what came"
FLAT = "the SDK hands a flat error over as one more event; we raise it"
WORD = "the SDK drops the words of an error that is a string; we raise them"
FAILED = "the SDK hands a failed response over as one more event; we raise its error"
PAID = "the SDK raises after the picture came; we keep the picture and say why it is incomplete"
AFTER = "the SDK reads on after the end event; to us the stream is done"
NAMELESS = "the SDK forgets the event line where the JSON has no type; we go by it"
NO_STREAM = "the SDK is silent on a body that is no stream; we read a picture or raise"
HALF = "the SDK hands on half a character, which no encoding can write; ours is U+FFFD"

MIXED = (b"\n", b"\r", b"\r\n")
EVERY_END = {name: (end,) for name, end in ENDS.items()} | {"mixed": MIXED}


def decoded(pieces: Iterable[bytes]) -> list[tuple[str, str, str | None]]:
    """What all decoders make of the same pieces."""
    pieces = list(pieces)
    with JUDGE.asked():
        found = corpus.ours_decoded(pieces)
        assert found == corpus.theirs_decoded(pieces)
        assert found == corpus.theirs_decoded(pieces, colour="async")
    return found


def agreed(dialect: str, pieces: Any, colours: Iterable[str] = COLOURS, **how: Any) -> Told:
    """What both tell of a stream that is whole, in each colour."""
    given = answer(pieces, **how)
    for colour in colours:
        with JUDGE.asked():
            mine, its = corpus.ours(colour, dialect, given), corpus.theirs(colour, dialect, given)
            assert (mine.error, its.error) == (None, None)
            assert mine == its
            assert mine.whole
    return mine


SHORT = [
    ": ping",
    "event: a.b",
    'data: {"text": "naïve 🦦 \u2028 \x85 \x0c"}',
    "id: 7",
    "",
    "data: one",
    "data:two",
    "data:  three",
    "data",
    "retry: 10",
    "unheard-of: field",
    " data: no field",
    "Data: none either",
    "",
    "data:",
    "",
    "data: last",
    "event: after its data",
    "",
]
FOUND = [
    ("a.b", '{"text": "naïve 🦦 \u2028 \x85 \x0c"}', "7"),
    ("message", "one\ntwo\n three\n", "7"),
    ("message", "", "7"),
    ("after its data", "last", "7"),
]


class TestDecoders:
    """The bytes as events."""

    @pytest.mark.parametrize("ends", EVERY_END.values(), ids=EVERY_END)
    def test_a_stream_cut_at_any_one_place(self, ends: tuple[bytes, ...]) -> None:
        data = corpus.joined(SHORT, *ends)
        for at in range(len(data) + 1):
            assert decoded(cut(data, [at])) == FOUND

    @pytest.mark.parametrize("ends", EVERY_END.values(), ids=EVERY_END)
    def test_a_stream_in_pieces_of_any_size(self, ends: tuple[bytes, ...]) -> None:
        data = corpus.joined(SHORT, *ends)
        for size in range(1, len(data)):
            assert decoded(corpus.sized(data, size)) == FOUND

    @pytest.mark.parametrize("ends", EVERY_END.values(), ids=EVERY_END)
    def test_a_stream_cut_at_any_two_places(self, ends: tuple[bytes, ...]) -> None:
        data = corpus.joined(["data: é", "data:b", "", ":", "event:c", "data", ""], *ends)
        for places in combinations(range(1, len(data)), 2):
            found = decoded(cut(data, places))
            assert found == [("message", "é\nb", None), ("c", "", None)]

    @pytest.mark.parametrize("ends", EVERY_END.values(), ids=EVERY_END)
    def test_empty_pieces_are_nothing(self, ends: tuple[bytes, ...]) -> None:
        data = corpus.joined(SHORT, *ends)
        pieces = [one for piece in corpus.sized(data, 1) for one in (b"", piece, b"")]
        assert decoded(pieces) == FOUND

    @pytest.mark.parametrize("ends", EVERY_END.values(), ids=EVERY_END)
    def test_a_last_event_without_its_blank_line(self, ends: tuple[bytes, ...]) -> None:
        whole = corpus.joined(SHORT, *ends)
        data = corpus.joined(SHORT[:-1], *ends)
        # Without its blank line, and without any end of line at all.
        for left in (data, data.rstrip(b"\r\n")):
            for at in range(len(left) - 30, len(left) + 1):
                pieces = cut(left, [at])
                with JUDGE.asked(differs=UNENDED):
                    assert corpus.theirs_decoded(pieces) == FOUND[:-1]
                    assert corpus.theirs_decoded(pieces, colour="async") == FOUND[:-1]
                    assert corpus.ours_decoded(pieces) == corpus.theirs_decoded([whole])

    @pytest.mark.parametrize("ends", EVERY_END.values(), ids=EVERY_END)
    def test_a_byte_order_mark(self, ends: tuple[bytes, ...]) -> None:
        data = corpus.joined(["event: a", "data: b", "", "data: c", ""], *ends)
        for at in range(12):
            pieces = cut(BOM + data, [at])
            with JUDGE.asked(differs=MARKED):
                theirs = corpus.theirs_decoded(pieces)
                assert theirs == [("message", "b", None), ("message", "c", None)]
                assert corpus.ours_decoded(pieces) == corpus.theirs_decoded([data])

    @pytest.mark.parametrize("bad", [b"\xff", b"\xf0\x9f", b"\xc3", b"\xed\xa0\x80", b"\xc0\xaf"])
    @pytest.mark.parametrize("field", [b"data: ", b"event: ", b"id: ", b": ", b""])
    def test_what_is_no_utf_8(self, field: bytes, bad: bytes) -> None:
        data = b"data: before\n\n" + field + b"a" + bad + b"b\ndata: x\n\ndata: after\n\n"
        mended = data.decode("utf-8", "replace").encode()
        assert mended != data
        for at in range(len(data)):
            pieces = cut(data, [at])
            with JUDGE.asked(differs=UNDECODED):
                for colour in ("sync", "async"):
                    with pytest.raises(UnicodeDecodeError):
                        corpus.theirs_decoded(pieces, colour=colour)
                found = corpus.ours_decoded(pieces)
                assert found == corpus.theirs_decoded([mended])
                assert (found[0][1], found[-1][1]) == ("before", "after")

    @pytest.mark.parametrize(
        ("data", "theirs"),
        [
            (b"event: a\n\n", [("a", "", None)]),
            (b"retry: 10\n\n", [("message", "", None)]),
            (b"id: 1\n\n: ping\n\n", [("message", "", "1")] * 2),
            (b"\nevent: a\nid: 1\nretry: 2\n\n", [("a", "", "1")]),
        ],
    )
    def test_what_has_no_data(self, data: bytes, theirs: list[Any]) -> None:
        for pieces in ([data], corpus.sized(data, 1)):
            with JUDGE.asked(differs=DATALESS):
                assert corpus.theirs_decoded(pieces) == theirs
                assert corpus.ours_decoded(pieces) == []

    @pytest.mark.parametrize("data", [b"", b"\n\r\n", b": ping\n\n", b"event:\n\n", b"foo: x\n\n"])
    def test_what_is_no_event_to_anybody(self, data: bytes) -> None:
        assert decoded([data]) == []

    @pytest.mark.parametrize("size", [1021, 65536, 10**7])
    @pytest.mark.parametrize("ends", EVERY_END.values(), ids=EVERY_END)
    def test_lines_of_several_megabytes(self, ends: tuple[bytes, ...], size: int) -> None:
        line = base64.b64encode(random.Random(1).randbytes(3_000_000)).decode()
        listed = ["event: a", f"data: {line}", "", f"data: {line[:4000]}", f"data: {line}", ""]
        data = corpus.joined(listed, *ends)
        found = decoded(corpus.sized(data, size))
        assert [one[1] for one in found] == [line, f"{line[:4000]}\n{line}"]


REAL = [
    ("vercel__ai/azure-image-generation-tool.1.chunks__2026-03-16.txt", 0, 41),
    ("vercel__ai/openai-image-generation-tool.1.chunks__2025-09-16.txt", 0, 16),
    ("pydantic__pydantic-ai/test_google_image_generation_stream__2026-02-02.yaml", 0, 6),
    ("pydantic__pydantic-ai/test_google_image_generation_stream__2026-02-02.yaml", 1, 7),
]
OF_RESPONSES = [name for name, _, _ in REAL[:2]]


@recordings_here
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
@pytest.mark.parametrize(("name", "number", "count"), REAL)
def test_a_real_stream_is_the_same_events(name: str, number: int, count: int, end: bytes) -> None:
    data = re.sub(rb"\r\n|\n", lambda _: end, recorded(name)[number].body)
    whole = decoded([data])
    assert len(whole) == count
    for size in (1, 7, 1024, 65536) if len(data) < 10**5 else (101, 4096, 65536, 10**6):
        assert decoded(corpus.sized(data, size)) == whole
    places = [
        one.start() + near for one in re.finditer(re.escape(end), data) for near in (-1, 0, 1, 2)
    ]
    for at in places:
        assert decoded(cut(data, [at])) == whole
    assert decoded(cut(data, places)) == whole


# Text of any script; surrogates are not to be written, and ends of line end it.
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), max_size=12)
COLON = st.sampled_from([":", ": ", ":  ", ":\t"])
DATA = st.one_of(st.just("data"), st.builds("data{}{}".format, COLON, TEXT))
BESIDE = st.one_of(
    st.builds("event{}{}".format, COLON, TEXT),
    st.builds("id{}{}".format, COLON, TEXT),
    st.builds("retry{}{}".format, COLON, st.integers(0, 9999).map(str) | TEXT),
    st.builds(":{}".format, TEXT),
    st.builds(
        "{}{}{}".format,
        st.sampled_from(["Data", " data", "data ", "datax", "é", "\ufeffdata"]),
        COLON,
        TEXT,
    ),
)
BLOCK = st.builds(
    lambda data, beside, order: order.sample([*data, *beside], len(data) + len(beside)),
    st.lists(DATA, min_size=1, max_size=3),
    st.lists(BESIDE, max_size=4),
    st.randoms(use_true_random=False),
)
LINE_ENDS = st.lists(st.sampled_from(MIXED), min_size=1, max_size=5)
PLACES = st.lists(st.integers(0, 500), max_size=12)
THOROUGH = settings(
    max_examples=500, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@given(st.lists(BLOCK, max_size=5), LINE_ENDS, PLACES)
@THOROUGH
def test_any_events_are_the_same_to_both(
    blocks: list[list[str]], ends: list[bytes], places: list[int]
) -> None:
    data = corpus.joined((line for block in blocks for line in (*block, "")), *ends)
    assume(not data.startswith(BOM))
    assert len(decoded(cut(data, places))) == len(blocks)


LUMPS = [
    *(b"data", b"data:", b"data: ", b"event: a", b"event", b"id: 1", b"id", b": ", b"retry: 3"),
    *(b"\n", b"\r", b"\r\n", b"\n\n", BOM, "é🦦\u2028".encode(), b"\xf0\x9f", b" ", b"\0"),
]


@given(st.lists(st.sampled_from(LUMPS) | st.binary(max_size=4), max_size=40).map(b"".join), PLACES)
@THOROUGH
@example(BOM + b"data: a\xff\r\rdata: b", [1, 10, 11])
def test_any_bytes_are_the_same_once_they_are_mended(data: bytes, places: list[int]) -> None:
    """What the SDK reads of a stream without what it stumbles over is what we read of it."""
    text = data.decode("utf-8", "replace").encode()
    mended = text.removeprefix(BOM) + b"\n\n"
    ours, theirs = (
        [(event, said) for event, said, _ in listed if said]
        for listed in (corpus.ours_decoded(cut(data, places)), corpus.theirs_decoded([mended]))
    )
    if text != data:
        with JUDGE.asked(differs=UNDECODED):
            with pytest.raises(UnicodeDecodeError):
                corpus.theirs_decoded(cut(data, places))
            assert ours == theirs
        return
    raw = [(event, said) for event, said, _ in corpus.theirs_decoded(cut(data, places)) if said]
    reason = None if raw == ours else MARKED if data.startswith(BOM) else UNENDED
    with JUDGE.asked(differs=reason):
        assert ours == theirs
        if reason == UNENDED:
            assert raw == ours[:-1]


def commented(dialect: str) -> bytes:
    """A stream with comments and blank lines wherever they may be."""
    listed = [line for event in corpus.stream(dialect) for line in corpus.lines(event)]
    more = [one for line in listed for one in ((":", line, "") if not line else (": ping", line))]
    return corpus.joined(["", *more])


def numbered(dialect: str) -> bytes:
    """A stream whose events have ids."""
    events = enumerate(corpus.stream(dialect))
    return b"".join(b"id: %d\nretry: 9\n" % at + corpus.spelt([one]) for at, one in events)


def pinged(dialect: str) -> bytes:
    """A stream with events that are JSON and none of the dialect's."""
    more = b'event: ping\ndata: {"type": "ping"}\n\nevent: keepalive\ndata: null\n\n'
    return b"".join(more + corpus.spelt([one]) for one in corpus.stream(dialect))


STYLES = {
    "as OpenAI writes": lambda dialect: corpus.spelt(corpus.stream(dialect)),
    "CRLF": lambda dialect: corpus.spelt(corpus.stream(dialect), b"\r\n"),
    "CR": lambda dialect: corpus.spelt(corpus.stream(dialect), b"\r"),
    "mixed": lambda dialect: corpus.spelt(corpus.stream(dialect), *MIXED),
    "no event lines": lambda dialect: corpus.spelt(corpus.stream(dialect), named=False),
    "event lines last": lambda dialect: corpus.spelt(corpus.stream(dialect), first=False),
    "no spaces": lambda dialect: corpus.spelt(corpus.stream(dialect), space=""),
    "JSON on many lines": lambda dialect: corpus.spelt(corpus.stream(dialect), indent=1),
    "unescaped": lambda dialect: corpus.spelt(corpus.stream(dialect), ascii=False),
    "comments": commented,
    "ids": numbered,
    "pings": pinged,
    "[DONE]": lambda dialect: corpus.spelt(corpus.stream(dialect)) + b"data: [DONE]\n\n",
    "cut after [DONE]": lambda dialect: corpus.spelt(corpus.stream(dialect)) + b"data: [DONE]",
}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("style", STYLES)
def test_a_stream_tells_the_same_however_it_is_written(style: str, dialect: str) -> None:
    data = STYLES[style](dialect)
    for size in (1, 100, len(data)):
        told = agreed(dialect, corpus.sized(data, size))
        assert told.previews == [(0, FIRST), (1, SECOND)]
        assert told.pictures == [FINAL]
        assert told.usage == ((350, 256, 606) if dialect == "responses" else (50, 196, 246))
        assert told.words == ("Here: an otter, かわうそ 🦦" if dialect == "responses" else "")


def test_a_stream_tells_the_same_wherever_it_is_cut() -> None:
    data = corpus.spelt(corpus.stream("generation"), b"\r\n")
    for at in range(1, len(data)):
        agreed("generation", cut(data, [at]), ["sync"])


WORK = "response.image_generation_call"
SECOND_CALL = {**corpus.preview("responses", 0, SECOND), "item_id": "ig_2", "output_index": 1}
SHAPES: dict[str, list[dict[str, Any]]] = {
    "no previews": [corpus.done(corpus.call(FINAL)), corpus.end("responses")],
    "only its end": [corpus.end("responses")],
    "an end without items": [
        corpus.done(corpus.call(FINAL)),
        {"type": "response.completed", "response": corpus.body()},
    ],
    "two pictures": [
        corpus.preview("responses", 0, FIRST),
        SECOND_CALL,
        corpus.done(corpus.call(FINAL)),
        corpus.done(corpus.call(OTHER, "ig_2"), 1),
        corpus.end("responses", FINAL, OTHER),
    ],
    "two pictures in its end": [corpus.end("responses", FINAL, OTHER)],
    "no usage": [corpus.end("responses", usage=None, tool_usage=None)],
}


@pytest.mark.parametrize("shape", SHAPES)
def test_pictures_are_the_same_whichever_events_bring_them(shape: str) -> None:
    told = agreed("responses", corpus.spelt(SHAPES[shape]))
    assert told.pictures == ([FINAL, OTHER] if "two" in shape else [FINAL])
    assert told.usage == ((None,) * 3 if shape == "no usage" else (350, 256, 606))


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "kind", ["text/event-stream; charset=utf-8", "application/json", "text/plain", None]
)
def test_a_stream_is_one_whatever_its_content_type(kind: str | None, dialect: str) -> None:
    plain = corpus.spelt(corpus.stream(dialect))
    for data in (plain, BOM + plain, commented(dialect)):
        assert agreed(dialect, data, kind=kind).pictures == [FINAL]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("size", [4096, 10**6])
def test_pictures_of_several_megabytes(size: int, dialect: str) -> None:
    big = FINAL + random.Random(2).randbytes(3_000_000)
    events = [corpus.preview(dialect, 0, big + b"p"), corpus.end(dialect, big)]
    told = agreed(dialect, corpus.sized(corpus.spelt(events), size))
    assert told.previews == [(0, big + b"p")]
    assert told.pictures == [big]


@recordings_here
@pytest.mark.parametrize("name", OF_RESPONSES)
def test_a_real_stream_tells_the_same(name: str) -> None:
    [exchange] = recorded(name)
    whole = agreed("responses", exchange.body)
    assert len(whole.pictures) == len(whole.previews) == 1
    for size in (1, 1000):
        assert agreed("responses", corpus.sized(exchange.body, size)) == whole
    for end in (b"\r\n", b"\r"):
        assert agreed("responses", exchange.body.replace(b"\n", end)) == whole


def written(
    dialect: str, words: str, styles: list[Any], ends: list[bytes], done: bool
) -> tuple[str, str, bytes]:
    """A stream, each event of it in the next of the *styles*."""
    listed = []
    for event, (style, before, after) in zip(
        corpus.stream(dialect, words), cycle(styles), strict=False
    ):
        *body, blank = corpus.lines(event, **style)
        listed += [*before, *body, *after, blank]
    listed += ["data: [DONE]", ""] if done else []
    return dialect, words if dialect == "responses" else "", corpus.joined(listed, *ends)


STYLE = st.fixed_dictionaries(
    {
        "named": st.booleans(),
        "first": st.booleans(),
        "space": st.sampled_from(["", " "]),
        "indent": st.sampled_from([None, 0, 2]),
        "ascii": st.booleans(),
    }
)
COMMENTS = st.lists(TEXT.map(":{}".format) | TEXT.map("x-{}: y".format), max_size=2)
WRITTEN = st.builds(
    written,
    st.sampled_from(DIALECTS),
    TEXT,
    st.lists(st.tuples(STYLE, COMMENTS, COMMENTS), min_size=1, max_size=4),
    LINE_ENDS,
    st.booleans(),
)


@given(WRITTEN, st.lists(st.integers(0, 4000), max_size=20))
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
def test_any_way_to_write_a_stream_tells_the_same(
    one: tuple[str, str, bytes], places: list[int]
) -> None:
    dialect, words, data = one
    told = agreed(dialect, cut(data, places))
    assert (told.previews, told.pictures) == ([(0, FIRST), (1, SECOND)], [FINAL])
    assert told.words == words


class Sliced:
    """A stream of known events, to be cut: what is told by the first few of them."""

    def __init__(self, dialect: str, events: list[bytes]) -> None:
        self.dialect, self.data = dialect, b"".join(events)
        lengths = [len(b"".join(events[:count])) for count in range(len(events) + 1)]
        self.starts, self.stops = lengths[:-1], lengths[1:]
        self._told = cache(self._tell)

    def _tell(self, count: int) -> Told:
        told = corpus.theirs("sync", self.dialect, answer(self.data[: [0, *self.stops][count]]))
        assert told.error is None
        return told

    def whole_by(self, at: int) -> Told:
        """What the events tell whose data is whole at *at*, if not their blank lines."""
        return self._told(sum(stop - 2 <= at for stop in self.stops))

    def ended_by(self, at: int) -> Told:
        """What the events tell that have their blank lines by then."""
        return self._told(sum(stop <= at for stop in self.stops))

    def around(self) -> Iterator[int]:
        """Places around the ends of events, and in the middle of each."""
        for start, stop in zip(self.starts, self.stops, strict=True):
            yield from (start, start + 1, (start + stop) // 2, stop - 3, stop - 2, stop - 1)


def missed(told: Told, reached: Told, kind: type[ImagekitError]) -> None:
    """Assert that we raised *kind* and kept of the stream what had come."""
    assert type(told.error) is kind
    assert isinstance(told.error, ImagekitError)
    assert told.error.billed == "possibly"
    assert (told.previews, told.words) == (reached.previews, reached.words)
    assert told.response is not None
    [failure] = told.response.failures
    last = reached.previews[-1][1] if reached.previews else None
    assert (failure.preview.data if failure.preview else None) == last


def kept(told: Told, reached: Told) -> None:
    """Assert that we kept the picture, and said that the rest is missing."""
    assert told.error is None
    assert told == reached
    assert not told.whole
    assert told.response is not None
    kinds = [notice.kind for notice in told.response.notices]
    # A stand-in for a recorded picture is not of the size that was recorded.
    assert [kind for kind in kinds if kind != "delivered-differs"] == ["incomplete"]
    assert told.response.ok


def came(told: Told, reached: Told) -> None:
    """Assert that we told what was *reached* of a stream that is cut, and that it is cut."""
    if reached.whole:
        assert (told.error, told) == (None, reached)
    elif reached.pictures:
        kept(told, reached)
    else:
        missed(told, reached, TruncatedStreamError)


def why(reached: Told) -> str:
    return UNENDED if reached.whole else KEPT if reached.pictures else CUT


def is_cut(colour: str, sliced: Sliced, at: int, *, size: int = 10**6) -> None:
    """Assert what both tell of a stream that ends at *at*."""
    given = answer(corpus.sized(sliced.data[:at], size))
    mine = corpus.ours(colour, sliced.dialect, given)
    its = corpus.theirs(colour, sliced.dialect, given)
    reached, whole = sliced.whole_by(at), at == len(sliced.data)
    with JUDGE.asked(differs=None if whole else why(reached)):
        assert (its.error, its) == (None, sliced.ended_by(at))
        assert its.whole == whole
        came(mine, reached)


def sliced(dialect: str) -> Sliced:
    return Sliced(dialect, [corpus.spelt([one]) for one in corpus.stream(dialect)])


@pytest.mark.parametrize(("dialect", "step"), [("generation", 1), ("edit", 1), ("responses", 7)])
def test_a_stream_cut_at_every_byte(dialect: str, step: int) -> None:
    one = sliced(dialect)
    for at in (*range(0, len(one.data), step), len(one.data)):
        is_cut("sync", one, at)


@given(WRITTEN, st.integers(0, 10**6), st.lists(st.integers(0, 4000), max_size=8))
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
def test_any_way_to_write_a_stream_cut_anywhere(
    one: tuple[str, str, bytes], at: int, places: list[int]
) -> None:
    dialect, _, data = one
    left = data[: at % len(data)]
    # Given the blank line that it lacks, the SDK tells all that came, and stumbles over the rest.
    mended = left.decode("utf-8", "ignore").encode() + b"\n\n"
    reached = corpus.theirs("sync", dialect, answer(mended))
    assert isinstance(reached.error, ValueError | None)
    for colour in COLOURS:
        pieces = answer(cut(left, places))
        mine, its = (side(colour, dialect, pieces) for side in (corpus.ours, corpus.theirs))
        with JUDGE.asked(differs=None if its.whole else why(reached)):
            assert isinstance(its.error, UnicodeDecodeError | None)
            assert its.previews == reached.previews[: len(its.previews)]
            assert its.words == reached.words[: len(its.words)]
            came(mine, reached)


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_stream_cut_around_and_inside_every_event(dialect: str, colour: str) -> None:
    one = sliced(dialect)
    for at in (*one.around(), len(one.data)):
        is_cut(colour, one, at)
        is_cut(colour, one, at, size=7)


@recordings_here
@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("name", OF_RESPONSES)
def test_a_real_stream_cut_around_and_inside_every_event(name: str, colour: str) -> None:
    [exchange] = recorded(name)
    events = [one + b"\n\n" for one in exchange.body.split(b"\n\n") if one]
    one = Sliced("responses", events)
    assert one.data == exchange.body
    for at in (*one.around(), len(one.data)):
        is_cut(colour, one, at)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_stream_without_event_lines_cut_around_and_inside_every_event(dialect: str) -> None:
    events = [corpus.spelt([event], named=False) for event in corpus.stream(dialect)]
    one = Sliced(dialect, events)
    for at in (*one.around(), len(one.data)):
        is_cut("sync", one, at)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_done_before_the_end_is_a_cut(dialect: str) -> None:
    one = sliced(dialect)
    for count, stop in enumerate([0, *one.stops[:-1]]):
        given = answer(one.data[:stop] + b"data: [DONE]\n\n" + one.data[stop:])
        mine, its = (side("sync", dialect, given) for side in (corpus.ours, corpus.theirs))
        reached = one.ended_by(stop)
        with JUDGE.asked(differs=KEPT if reached.pictures else CUT):
            assert (its.error, its) == (None, reached), count
            if reached.pictures:
                kept(mine, reached)
            else:
                missed(mine, reached, TruncatedStreamError)


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_connection_that_breaks(dialect: str, colour: str) -> None:
    one = sliced(dialect)
    for at in (0, *one.stops, *(stop - 20 for stop in one.stops)):
        given = answer(one.data[:at], broken=True)
        mine, its = (side(colour, dialect, given) for side in (corpus.ours, corpus.theirs))
        reached = one.ended_by(at)
        reason = AFTER if reached.whole else PAID if reached.pictures else None
        with JUDGE.asked(differs=reason):
            assert type(its.error) is openai.APIConnectionError
            assert its == reached
            if reached.whole:
                assert (mine.error, mine) == (None, reached)
            elif reached.pictures:
                kept(mine, reached)
            else:
                missed(mine, reached, TransportError)


ERRORS: dict[str, tuple[type[ImagekitError], dict[str, Any]]] = {
    "blocked": (
        ContentRejectedError,
        {"type": "image_generation_user_error", "code": "moderation_blocked", "message": "no"},
    ),
    "limited": (
        RateLimitError,
        {"type": "rate_limit_error", "code": "rate_limit_exceeded", "message": "slower"},
    ),
    "broken": (ProviderUnavailableError, {"code": "server_error", "message": "sorry"}),
    "spent": (QuotaExceededError, {"code": "insufficient_quota", "message": "pay"}),
    "stranger": (AuthenticationError, {"code": "invalid_api_key", "message": "who?"}),
    "forbidden": (PermissionDeniedError, {"type": "permission_error", "message": "not you"}),
    "wrong": (
        InvalidRequestError,
        {"code": "invalid_value", "message": "not that", "param": "size"},
    ),
    "unheard of": (ProviderError, {"code": "tea_time", "message": "later"}),
}


def saying(event: dict[str, Any], *, named: bool = True) -> bytes:
    name = b"event: error\n" if named else b""
    return name + b"data: " + json.dumps(event).encode() + b"\n\n"


def raised(told: Told, reached: Told, kind: type[ImagekitError], said: dict[str, Any]) -> None:
    """Assert that we raised the error that the stream *said*."""
    missed(told, reached, kind)
    assert isinstance(told.error, ImagekitError)
    assert str(told.error) == said["message"]
    assert told.error.code == (said.get("code") or said.get("type"))
    assert told.error.param == said.get("param")
    assert told.error.status is None


def both(colour: str, dialect: str, data: bytes, **how: Any) -> tuple[Told, Told]:
    given = answer(data, **how)
    return corpus.ours(colour, dialect, given), corpus.theirs(colour, dialect, given)


@pytest.mark.parametrize(
    ("named", "typed"),
    [(True, True), (True, False), (False, True), (False, False)],
    ids=["by both", "by its event line", "by its type", "by neither"],
)
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("error", ERRORS)
def test_a_nested_error_anywhere(error: str, dialect: str, named: bool, typed: bool) -> None:
    kind, said = ERRORS[error]
    one = sliced(dialect)
    event = {"error": said, "sequence_number": 3, **({"type": "error"} if typed else {})}
    nested = saying(event, named=named)
    for turn, at in enumerate((0, *one.stops)):
        colour = COLOURS[turn % 3]
        mine, its = both(colour, dialect, one.data[:at] + nested + one.data[at:])
        reached = one.ended_by(at)
        reason = AFTER if reached.whole else PAID if reached.pictures else None
        with JUDGE.asked(differs=reason):
            assert type(its.error) is openai.APIError
            assert its == reached
            if reached.whole:
                assert (mine.error, mine) == (None, reached)
            elif reached.pictures:
                kept(mine, reached)
                assert mine.response
                assert mine.response.notices[0].detail.endswith(f": {said['message']}")
            else:
                raised(mine, reached, kind, said)
                theirs = (its.error.message, its.error.code or its.error.type, its.error.param)
                assert isinstance(mine.error, ImagekitError)
                assert (str(mine.error), mine.error.code, mine.error.param) == theirs


@pytest.mark.parametrize(
    ("named", "typed"),
    [(True, True), (True, False), (False, True)],
    ids=["by both", "by its event line", "by its type"],
)
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("error", ERRORS)
def test_a_flat_error_anywhere(error: str, dialect: str, named: bool, typed: bool) -> None:
    kind, said = ERRORS[error]
    flat = {**said, "type": "error"} if typed else said
    # The type of the event stands where the type of the error would.
    known = {name: said[name] for name in said if name != "type" or not typed}
    kind = kind if len(known) == len(said) or "code" in known else ProviderError
    one = sliced(dialect)
    for turn, at in enumerate((0, *one.stops)):
        mine, its = both(COLOURS[turn % 3], dialect, one.data[:at] + saying(flat, named=named))
        reached = one.ended_by(at)
        with JUDGE.asked(differs=AFTER if reached.whole else FLAT):
            assert its.error is None
            assert its == reached
            handed = its.others[-1]
            assert handed.message == said["message"]
            if typed:
                names = {
                    "generation": "ImageGenPartialImageEvent",
                    "edit": "ImageEditPartialImageEvent",
                    "responses": "ResponseErrorEvent",
                }
                assert type(handed).__name__ == names[dialect]
            if reached.whole:
                assert (mine.error, mine) == (None, reached)
            elif reached.pictures:
                kept(mine, reached)
            else:
                raised(mine, reached, kind, known)


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_error_that_is_a_string(dialect: str, colour: str) -> None:
    one = sliced(dialect)
    at = one.stops[1]
    mine, its = both(colour, dialect, one.data[:at] + saying({"error": "it is tea time"}))
    with JUDGE.asked(differs=WORD):
        assert type(its.error) is openai.APIError
        assert its.error.message == "An error occurred during streaming"
        raised(mine, one.ended_by(at), ProviderError, {"message": "it is tea time"})


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("how", ["failed", "incomplete"])
def test_a_response_that_ends_otherwise(how: str, colour: str) -> None:
    one = sliced("responses")
    at = one.stops[3]
    changes: dict[str, Any] = {"error": {"code": "server_error", "message": "sorry"}}
    if how == "incomplete":
        changes = {"incomplete_details": {"reason": "content_filter"}}
    ended = {"type": f"response.{how}", "response": corpus.body(status=how, **changes)}
    mine, its = both(colour, "responses", one.data[:at] + corpus.spelt([ended]))
    with JUDGE.asked(differs=FAILED):
        assert (its.error, its) == (None, one.ended_by(at))
        assert its.others[-1].response.status == how
        if how == "failed":
            raised(mine, its, ProviderUnavailableError, changes["error"])
        else:
            missed(mine, its, ContentRejectedError)


IMAGES_BODY = {"created": 1, "data": [{"b64_json": corpus.b64(FINAL)}], "usage": None}
BODIES: dict[str, tuple[str | None, Any, type[ImagekitError] | None]] = {
    "a picture in JSON": ("application/json", None, None),
    "an error in JSON": (
        "application/json",
        {"error": {"code": "server_error", "message": "sorry"}},
        ProviderUnavailableError,
    ),
    "a picture in JSON, called a stream": ("text/event-stream", None, TruncatedStreamError),
    "a picture in JSON, called nothing": (None, None, TruncatedStreamError),
    "HTML": ("text/html", b"<!doctype html><p>Hello", ProtocolError),
    "HTML, called a stream": ("text/event-stream", b"<p>Hello\n\n", TruncatedStreamError),
    "nothing": ("text/event-stream", b"", TruncatedStreamError),
    "nothing, called JSON": ("application/json", b"", ProtocolError),
    "comments": ("text/event-stream", b": ping\n\n: ping\n\n", TruncatedStreamError),
}


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("what", BODIES)
def test_a_body_that_is_no_stream(what: str, dialect: str, colour: str) -> None:
    kind, content, error = BODIES[what]
    if content is None:
        content = corpus.body(corpus.call(FINAL)) if dialect == "responses" else IMAGES_BODY
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    mine, its = both(colour, dialect, data, kind=kind)
    with JUDGE.asked(differs=NO_STREAM):
        assert (its.error, its.others, its) == (None, [], Told())
        if error is None:
            assert (mine.error, mine.pictures, mine.whole) == (None, [FINAL], True)
        else:
            missed(mine, Told(), error)


STRANGE = {
    "a retry line alone": (b"retry: 3000\n\n", json.JSONDecodeError),
    "an id line alone": (b"id: 1\n\n", json.JSONDecodeError),
    "an event line alone": (b"event: ping\n\n", json.JSONDecodeError),
    "a ping in words": (b"event: ping\ndata: keep-alive\n\n", json.JSONDecodeError),
    "words": (b"data: hello\n\n", json.JSONDecodeError),
    "empty data": (b"data:\n\n", json.JSONDecodeError),
    "JSON without end": (b"data: " + b"[" * 100_000 + b"\n\n", RecursionError),
    "no UTF-8": (b": \xff\n\n", UnicodeDecodeError),
}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("what", STRANGE)
def test_what_is_no_event_of_the_dialect_is_passed_over(what: str, dialect: str) -> None:
    strange, leak = STRANGE[what]
    one = sliced(dialect)
    for turn, at in enumerate((0, *one.stops[:-1])):
        mine, its = both(COLOURS[turn % 3], dialect, one.data[:at] + strange + one.data[at:])
        with JUDGE.asked(differs=UNDECODED if leak is UnicodeDecodeError else LEAKED):
            assert type(its.error) is leak
            assert its == one.ended_by(at)
            assert (mine.error, mine) == (None, one.ended_by(len(one.data)))


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("data", ['{"b64_json": "', "", "{]", "[" * 100_000])
def test_a_broken_event_of_the_dialect(data: str, dialect: str) -> None:
    one = sliced(dialect)
    name = corpus.preview(dialect, 0, FIRST)["type"]
    broken = f"event: {name}\ndata: {data}\n\n".encode()
    for turn, at in enumerate((0, *one.stops[:2])):
        colour, reached = COLOURS[turn % 3], one.ended_by(at)
        # With more to come it is broken; as the last it may as well be cut.
        for rest, kind in ((one.data[at:], ProtocolError), (b"", TruncatedStreamError)):
            mine, its = both(colour, dialect, one.data[:at] + broken + rest)
            with JUDGE.asked(differs=BROKEN):
                assert isinstance(its.error, ValueError | RecursionError)
                assert its == reached
                missed(mine, reached, kind)


@pytest.mark.parametrize("colour", COLOURS)
def test_words_that_are_no_utf_8(colour: str) -> None:
    events = [corpus.spelt([one], ascii=False) for one in corpus.stream("responses", "é" * 12)]
    data = b"".join(events)
    bad = data.replace("é".encode(), b"\xc3", 1)
    mine, its = both(colour, "responses", bad)
    with JUDGE.asked(differs=UNDECODED):
        assert type(its.error) is UnicodeDecodeError
        assert mine.error is None
        assert (mine.words, mine.pictures, mine.whole) == ("\ufffd" + "é" * 11, [FINAL], True)


def test_a_stream_cut_inside_a_character() -> None:
    one = Sliced(
        "responses",
        [corpus.spelt([one], ascii=False) for one in corpus.stream("responses", "🦦" * 12)],
    )
    places = [at for at in range(len(one.data)) if one.data[at] & 0xC0 == 0x80]
    assert len(places) == 36
    for turn, at in enumerate(places):
        mine, its = both(COLOURS[turn % 3], "responses", one.data[:at])
        with JUDGE.asked(differs=UNDECODED):
            assert type(its.error) is UnicodeDecodeError
            assert its == one.ended_by(at)
            kept(mine, one.ended_by(at))


@pytest.mark.parametrize("colour", COLOURS)
def test_half_a_character(colour: str) -> None:
    events = [corpus.delta("an otter \ud83e"), corpus.delta("\udda6"), corpus.end("responses")]
    mine, its = both(colour, "responses", corpus.spelt(events))
    with JUDGE.asked(differs=HALF):
        assert (its.error, its.words) == (None, "an otter \ud83e\udda6")
        assert (mine.error, mine.words) == (None, "an otter \ufffd\ufffd")
        assert (mine.pictures, mine.whole) == ([FINAL], True)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("style", STYLES)
def test_a_byte_order_mark_changes_nothing(style: str, dialect: str) -> None:
    data = STYLES[style](dialect)
    for size in (1, len(data) + 3):
        pieces = corpus.sized(BOM + data, size)
        for colour in COLOURS:
            mine = corpus.ours(colour, dialect, answer(pieces))
            its = corpus.theirs(colour, dialect, answer(pieces))
            whole = corpus.theirs(colour, dialect, answer(data))
            # Where the lost line is one that the JSON repeats, nobody misses it.
            with JUDGE.asked(differs=None if its == whole else MARKED):
                assert (mine.error, mine) == (None, whole)
                if style == "event lines last":
                    assert (type(its.error), its) == (json.JSONDecodeError, Told())
                elif its != whole:
                    assert (its.error, its) == (None, replace(whole, previews=whole.previews[1:]))


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_event_line_stands_for_a_type_that_is_missing(dialect: str, colour: str) -> None:
    events = corpus.stream(dialect)
    bare = [{name: one[name] for name in one if name != "type"} for one in events]
    data = b"".join(
        f"event: {one['type']}\ndata: {json.dumps(left)}\n\n".encode()
        for one, left in zip(events, bare, strict=True)
    )
    mine, its = both(colour, dialect, data)
    with JUDGE.asked(differs=NAMELESS):
        assert (its.error, its, len(its.others)) == (None, Told(), len(events))
        assert (mine.error, mine) == (None, sliced(dialect).ended_by(10**6))
