"""A sample of what tests/reliability.py breaks by its proxy, and that wrong outcomes are found."""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import imagekit
import proxied
from faults import COLOURS
from imagekit import Timeouts
from proxied import EXCHANGES, Came, Reached, Stub, Trial
from proxy import (
    Fault,
    Proxy,
    chunks,
    heads,
    with_body,
    with_chunk,
    with_head,
    with_header,
    with_length,
)
from toys import Driver, Server, answers


def sample(colour: str) -> Iterator[Trial]:
    """A few bytes of every sixth exchange; other ones for each client."""
    first = COLOURS.index(colour)
    for turn, one in list(enumerate(EXCHANGES.values()))[first::6]:
        wire = proxied.plain(one)
        for kind in ("drop", "reset"):
            for side, size in (("ask", len(wire.ask)), ("answer", len(wire.answer))):
                for at in (0, (first + 37 * turn) % size, size):
                    yield Trial(one, Fault(kind, side, at))  # type: ignore[arg-type]


def rest(colour: str) -> Iterator[Trial]:
    """Some of each other kind."""
    first = COLOURS.index(colour)
    for trials in (proxied.lengths(), proxied.rubbish(), proxied.scraps(200)):
        yield from list(trials)[first::90]
    yield Trial(EXCHANGES["images, into a file"], Fault("drop", "answer", 9000))
    for side in ("ask", "answer"):
        yield Trial(EXCHANGES["responses, stream"], Fault("drip", side, 0))  # type: ignore[arg-type]
    soon = {"timeouts": Timeouts(5.0, proxied.SOON)}
    stream = EXCHANGES["images, stream"]
    yield Trial(stream, Fault("stall", "answer", 300), how=soon)
    yield Trial(stream, Fault("stall", "ask", 300), how={"deadline": proxied.SOON})
    yield Trial(stream, Fault("drip", "answer", 0, gap=0.05), how={"deadline": proxied.SOON})


# httpx drops generators of its own where an answer does not decode, and trio warns of that.
@pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")
@pytest.mark.parametrize("trials", [sample, rest])
@pytest.mark.parametrize("colour", COLOURS)
def test_what_breaks_on_the_way_ends_right(colour: str, trials: Any) -> None:
    came = proxied.tried(lambda: trials(colour), [colour])
    assert came.count > 20
    assert came.wrong == []


def test_a_bomb_ends_in_an_error_and_takes_no_memory() -> None:
    came = proxied.flooded(["a gzip bomb", "a gzip bomb in a gzip bomb"], ["sync"])
    assert (came.count, came.wrong) == (2, [])


def test_what_is_compressed_more_than_once_is_refused(driver: Driver, server: Server) -> None:
    server.does(answers(content_encoding="gzip, gzip"))
    given = {"provider": "openai-images", "base_url": server.url, "api_key": "sk-0"}
    with pytest.raises(imagekit.ProtocolError, match="compressed more than once") as caught:
        driver.call(lambda client: client.generate("a cat"), **given)
    assert caught.value.billed == "possibly"


@pytest.mark.parametrize("kind", ["drop", "reset"])
def test_an_upload_that_breaks_leaves_no_file_open(
    driver: Driver, kind: Any, tmp_path: Path
) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(proxied.SMALL + bytes(6 * 2**20))
    gc.disable()
    try:
        with Stub() as stub, Proxy(stub.address) as proxy:
            proxy.begin(Fault(kind, "ask", 300_000))
            given = {"provider": "openai-images", "base_url": f"http://{proxy.place}/v1"}
            with pytest.raises(imagekit.TransportError):
                driver.call(lambda c: c.edit("a cat", images=[path]), **given, api_key="sk-0")
        opened = [one for one in Path("/proc/self/fd").iterdir() if one.exists()]
        assert str(path) not in [os.readlink(one) for one in opened]
    finally:
        gc.enable()


# What is wrong is found out

IMAGES = EXCHANGES["images"]
DROP = Trial(IMAGES, Fault("drop", "answer", 10))
BROKEN = imagekit.TransportError("broken", billed="possibly")
POST = Reached("POST", "/v1/images/generations")


def came(found: Any, **how: Any) -> Came:
    return replace(Came(found, 0.0, [POST], [], ""), **how)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (came(BROKEN), []),
        (came(imagekit.TransportError("x", billed="no")), ["billed: no, not possibly"]),
        (came(KeyError("x")), ["it raised KeyError('x')"]),
        (came(imagekit.ProtocolError("x", billed="possibly")), ["it raised ProtocolError: x"]),
        (came(BROKEN, reached=[POST, POST]), ["2 requests that cost reached the server"]),
        (came(BROKEN, left="1 threads run"), ["1 threads run"]),
        (came(BROKEN, seconds=9.0), ["it took 9.0 s"]),
    ],
    ids=["right", "billed", "error", "other", "twice", "left", "late"],
)
def test_each_wrong_outcome_is_said(found: Came, said: list[str]) -> None:
    lines = list(proxied.wrong(DROP, found))
    assert [line for line in lines if line in said] == said
    assert bool(lines) == bool(said)


def test_a_picture_that_cannot_have_come_is_found_out() -> None:
    response = imagekit.ImageResponse(slots=(imagekit.Image(data=proxied.SMALL),), model="m")
    [line] = proxied.wrong(DROP, came(response))
    assert line.startswith("it does not fail")
    other = imagekit.ImageResponse(slots=(imagekit.Image(data=proxied.LARGE),), model="m")
    assert any("it came to" in line for line in proxied.wrong(DROP, came(other)))
    late = Trial(IMAGES, Fault("drop", "answer", 10**6))
    assert list(proxied.wrong(late, came(response))) == []
    [line] = proxied.wrong(late, came(BROKEN))
    assert line.startswith("it fails")


def test_what_time_decides_is_tried_again_with_more_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    early = Trial(IMAGES, Fault("drop", "answer", 10**6), how={"deadline": 1e-6})
    monkeypatch.setattr(proxied, "MORE", 1)
    assert proxied.tried(lambda: [early], ["sync"]).wrong != []
    monkeypatch.setattr(proxied, "MORE", 10**7)
    assert proxied.tried(lambda: [early], ["sync"]).wrong == []
    slow = Trial(IMAGES, None, 3, {"timeouts": Timeouts(5.0, 0.5)})
    assert (slow.limit, Trial(IMAGES, None).limit) == (1.5, 0.0)


@pytest.mark.parametrize("colour", COLOURS)
def test_what_one_trial_leaves_is_not_counted_against_the_next(
    monkeypatch: pytest.MonkeyPatch, colour: str
) -> None:
    monkeypatch.setattr(proxied.Place, "left", lambda self: "a connection is held")
    monkeypatch.setattr(proxied.Place, "patience", lambda self, trial: 0.1)
    assert proxied.judged(colour, [DROP] * 3) == [(DROP, ["a connection is held"])]
    came = proxied.tried(lambda: [DROP] * 3, [colour])
    assert (came.count, len(came.wrong)) == (1, 2)


def test_what_waits_to_be_accepted_is_held() -> None:
    with Stub() as stub:
        for _ in range(50):
            with socket.create_connection(stub.address):
                assert stub.busy


def test_rewrites() -> None:
    answer = b"HTTP/1.1 200 Said\r\ncontent-length: 2\r\n\r\n{}"
    assert with_length(3)(answer) == answer.replace(b": 2", b": 5")
    assert with_body(b"[]  ")(answer) == answer.replace(b": 2", b": 4").replace(b"{}", b"[]  ")
    assert with_header(b"a: b")(answer) == answer.replace(b"\r\n", b"\r\na: b\r\n", 1)
    assert with_head(b"x")(answer) == b"x{}"
    chunked = b"H\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    assert list(chunks(heads(chunked)[1])) == [(b"2", b"{}"), (b"0", b"")]
    assert with_chunk(0, b"zz")(chunked) == b"H\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"
