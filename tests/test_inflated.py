from __future__ import annotations

import gzip
import random
import zlib

import pytest

from imagekit import ProtocolError
from imagekit._inflated import _STEP, Inflater, inflater

DATA = random.Random(1).randbytes(3 * _STEP + 17)
RAW = zlib.compressobj(wbits=-15)
WAYS = {
    "gzip": ("gzip", gzip.compress(DATA)),
    "deflate": ("deflate", zlib.compress(DATA)),
    "deflate without a head": ("deflate", RAW.compress(DATA) + RAW.flush()),
}


def inflated(doing: Inflater, sent: bytes, size: int) -> list[bytes]:
    cuts = [sent[at : at + size] for at in range(0, len(sent), size)]
    return [piece for one in cuts for piece in doing.feed(one)]


@pytest.mark.parametrize("size", [1009, 2**18, 2**24])
@pytest.mark.parametrize("way", WAYS)
def test_a_body_is_what_was_compressed_however_it_is_cut(way: str, size: int) -> None:
    encoding, sent = WAYS[way]
    assert b"".join(inflated(Inflater(encoding), sent, size)) == DATA


@pytest.mark.parametrize("times", [1, 40])
def test_no_piece_is_large_whatever_it_comes_from(times: int) -> None:
    plain = bytes(times * _STEP)
    pieces = inflated(Inflater("gzip"), gzip.compress(plain), 2**24)
    assert b"".join(pieces) == plain
    assert max(map(len, pieces)) == _STEP


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_what_is_not_compressed_so_is_an_error(encoding: str) -> None:
    with pytest.raises(ProtocolError, match="the answer cannot be decoded"):
        inflated(Inflater(encoding), b"\xff a picture", 4)


def test_what_breaks_later_is_an_error_too() -> None:
    sent = bytearray(zlib.compress(DATA))
    sent[len(sent) // 2 :] = bytes(len(sent) // 2)
    with pytest.raises(ProtocolError, match="the answer cannot be decoded"):
        inflated(Inflater("deflate"), bytes(sent), 2**16)


@pytest.mark.parametrize("encoding", ["", "identity", " Identity "])
def test_what_is_not_compressed_needs_nothing(encoding: str) -> None:
    assert inflater(encoding, "identity") is None


@pytest.mark.parametrize("encoding", ["gzip", "GZip", "x-gzip", " deflate"])
def test_what_is_usual_is_inflated_though_nobody_asked(encoding: str) -> None:
    assert isinstance(inflater(encoding, "identity"), Inflater)


@pytest.mark.parametrize(
    ("encoding", "why"),
    [
        ("br", "the answer is compressed as 'br', which nobody asked for"),
        ("zstd", "which nobody asked for"),
        ("gzip, gzip", "compressed more than once"),
    ],
)
def test_what_nobody_asked_for_is_refused(encoding: str, why: str) -> None:
    with pytest.raises(ProtocolError, match=why):
        inflater(encoding, "gzip, deflate")


def test_who_asks_for_more_is_left_to_the_library() -> None:
    assert inflater("br", "gzip, BR") is None


def test_the_end_of_what_came_is_told_from_a_part() -> None:
    sent, inflating = gzip.compress(DATA), Inflater("gzip")
    inflating.finish()  # an empty body is no part of anything
    assert b"".join(inflating.feed(sent[:-1])) == DATA
    with pytest.raises(ProtocolError, match="ends amid"):
        inflating.finish()
    list(inflating.feed(sent[-1:]))
    inflating.finish()
