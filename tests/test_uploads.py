"""Pictures that go in out of their files: what a server sees, and what a file's trouble is."""

from __future__ import annotations

import asyncio
import io
import os
import random
import re
import struct
import threading
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest
from python_multipart.multipart import parse_form

import imagekit
from imagekit import Image, ImageInput, RequestError, TransportError, _outgoing
from imagekit._blob import Blob
from imagekit._input import LARGE
from imagekit._outgoing import written
from imagekit._transport import SyncTransport
from imagekit.provider import HttpRequest, Part, send
from spoken import httpx
from toys import Scripted, plugins

Form = list[tuple[str, str | None, bytes]]
BOUNDARY = re.compile(r"boundary=([0-9a-f]{32})$")


def png(size: int, seed: int = 0) -> bytes:
    """A picture of about *size* bytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        summed = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + summed

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0))
    body = chunk(b"IDAT", random.Random(seed).randbytes(size))
    return b"\x89PNG\r\n\x1a\n" + head + body + chunk(b"IEND", b"")


LARGE_ONE, LARGE_TWO, SMALL = png(LARGE, 1), png(LARGE + 70_001, 2), png(500)


class Desk(ThreadingHTTPServer):
    """A server that takes forms apart with a library that is not ours."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.forms: list[Form] = []
        self.types: list[str] = []
        self.bodies: list[bytes] = []
        self.answers: list[int] = []
        self.reading: Callable[[], object] = lambda: None
        self.answering: Callable[[], object] = lambda: None
        self.short = threading.Event()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Desk

    def do_POST(self) -> None:
        desk, wanted = self.server, int(self.headers["content-length"])
        desk.reading()
        body = self.rfile.read(wanted)
        if len(body) < wanted:
            desk.short.set()
            self.close_connection = True
            return
        desk.bodies.append(body)
        desk.types.append(self.headers["content-type"])
        if self.headers["content-type"].startswith("multipart/"):
            desk.forms.append(_parsed(dict(self.headers.items()), body))
        desk.answering()
        status = desk.answers.pop(0) if desk.answers else 200
        answer = b'{"data": [{"b64_json": "%s"}]}' % _spelt(SMALL)
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("retry-after", "0")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


def _spelt(data: bytes) -> bytes:
    from base64 import b64encode

    return b64encode(data)


def _parsed(headers: dict[str, str], body: bytes) -> Form:
    found: Form = []

    def on_field(field: Any) -> None:
        found.append((field.field_name.decode(), None, field.value or b""))

    def on_file(file: Any) -> None:
        file.file_object.seek(0)
        found.append((file.field_name.decode(), file.file_name.decode(), file.file_object.read()))
        file.close()

    asked: Any = {name.title(): value.encode() for name, value in headers.items()}
    parse_form(asked, io.BytesIO(body), on_field, on_file)
    return found


@pytest.fixture
def desk() -> Iterator[Desk]:
    with Desk() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def client(desk: Desk, **more: Any) -> imagekit.Client:
    how: dict[str, Any] = {"provider": "openai-images", "env": {}, "config": False, **more}
    return imagekit.Client(api_key="k", base_url=desk.url, **how)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    named = {"one.png": LARGE_ONE, "two.png": LARGE_TWO, "small.png": SMALL}
    for name, data in named.items():
        (tmp_path / name).write_bytes(data)
    return [tmp_path / name for name in named]


# A library, blocking and not

LIBRARIES = ("httpx", "httpx2")


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_server_sees_of_a_file_what_it_sees_of_its_bytes(
    desk: Desk, files: list[Path], library: str
) -> None:
    http = pytest.importorskip(library)
    pairs = [(path.name, path.read_bytes()) for path in files]
    with http.Client() as given, client(desk, http=given) as speaker:
        assert speaker.edit("a hat", images=list(files), user="me").ok
        assert speaker.edit("a hat", images=pairs, user="me").ok
    streamed, held = desk.forms
    assert streamed == held
    assert [data for name, _, data in held if name == "image[]"] == [LARGE_ONE, LARGE_TWO, SMALL]
    assert len({len(body) for body in desk.bodies}) == 1


@pytest.mark.parametrize("library", LIBRARIES)
def test_an_async_client_sends_the_same(desk: Desk, files: list[Path], library: str) -> None:
    http = pytest.importorskip(library)
    pairs = [(path.name, path.read_bytes()) for path in files]

    async def asked() -> None:
        given = http.AsyncClient()
        async with (
            given,
            imagekit.AsyncClient(
                provider="openai-images",
                api_key="k",
                base_url=desk.url,
                env={},
                config=False,
                http=given,
            ) as speaker,
        ):
            assert (await speaker.edit("a hat", images=list(files))).ok
            assert (await speaker.edit("a hat", images=pairs)).ok

    asyncio.run(asked())
    streamed, held = desk.forms
    assert streamed == held


def test_our_own_connections_send_it_with_and_without_a_deadline(
    desk: Desk, files: list[Path]
) -> None:
    with client(desk) as speaker:
        assert speaker.edit("a hat", images=files[0]).ok
        assert speaker.edit("a hat", images=files[0], deadline=60).ok
    assert [form[-1][2] for form in desk.forms] == [LARGE_ONE, LARGE_ONE]


@pytest.mark.parametrize("colour", ["blocking", "async"])
def test_a_pipe_that_nobody_writes_to_keeps_nobody_beyond_the_deadline(
    desk: Desk, tmp_path: Path, colour: str
) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    asked: dict[str, Any] = {"images": tmp_path / "pipe.png", "deadline": 0.2}

    async def waited() -> None:
        how: dict[str, Any] = {"provider": "openai-images", "env": {}, "config": False}
        async with imagekit.AsyncClient(api_key="k", base_url=desk.url, **how) as speaker:
            await speaker.edit("a hat", **asked)

    with pytest.raises(imagekit.DeadlineExceededError) as caught, client(desk) as speaker:
        asyncio.run(waited()) if colour == "async" else speaker.edit("a hat", **asked)
    assert (caught.value.billed, desk.forms) == ("no", [])
    # Whoever still waits keeps no interpreter from ending, and is let go here.
    assert all(one.daemon for one in threading.enumerate() if one.name == "imagekit")
    os.close(os.open(tmp_path / "pipe.png", os.O_RDWR))


def test_what_comes_of_a_pipe_is_a_picture(desk: Desk, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    writer = threading.Thread(target=(tmp_path / "pipe.png").write_bytes, args=(LARGE_ONE,))
    writer.start()
    with client(desk) as speaker:
        assert speaker.edit("a hat", images=tmp_path / "pipe.png", deadline=60).ok
    writer.join()
    assert desk.forms[0][-1][2] == LARGE_ONE


def test_a_device_without_an_end_is_an_error(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imagekit._prepared.MOST_HELD", 1000)
    with pytest.raises(RequestError, match="/dev/zero: more than 1000 bytes"):
        client(desk).edit("a hat", images="/dev/zero")
    assert desk.forms == []


def test_none_of_it_is_held(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    path.write_bytes(SMALL)
    os.truncate(path, 16 * LARGE)
    read: list[int] = []

    class Counting(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            read.append(sum(len(piece) for piece in cast("Any", request.stream)))
            return httpx.Response(200)

    transport = SyncTransport(Counting())
    part = Part("image", Blob.in_file(path, 16 * LARGE), "a.png", "image/png")
    tracemalloc.start()
    try:
        assert transport.send(HttpRequest("POST", "http://a.example/", parts=(part,))).ok
        assert tracemalloc.get_traced_memory()[1] < LARGE
    finally:
        tracemalloc.stop()
    assert read[0] > 16 * LARGE


# What goes in


def test_a_large_open_file_goes_out_of_its_file_too(desk: Desk, files: list[Path]) -> None:
    with files[0].open("rb") as file:
        given = ImageInput(data=cast("Any", file))
        assert not file.closed
        assert file.tell() == len(LARGE_ONE)
    assert given.blob is not None
    assert given.blob.path == files[0]
    assert given.data == LARGE_ONE
    assert given.named == f"of {len(LARGE_ONE)} bytes"
    assert ImageInput.model_validate_json(given.model_dump_json()).data == LARGE_ONE
    with client(desk) as speaker:
        assert speaker.edit("a hat", images=[given]).ok
    assert desk.forms[0][-1][1:] == ("one.png", LARGE_ONE)


def in_part(path: Path) -> Any:
    file = path.open("rb")
    file.seek(8)
    return file


def renamed(path: Path) -> Any:
    file = path.open("rb")
    path.rename(path.with_name("other.png"))
    return file


def replaced(path: Path) -> Any:
    file = renamed(path)
    path.write_bytes(SMALL)
    return file


@pytest.mark.parametrize(
    "opened",
    [
        in_part,
        renamed,
        replaced,
        lambda path: path.open("r+b"),
        lambda path: io.BytesIO(path.read_bytes()),
        lambda path: os.fdopen(os.open(path, os.O_RDONLY), "rb"),
        lambda path: path.with_name("small.png").open("rb"),
    ],
    ids=["in part", "renamed", "replaced", "to be written", "in memory", "nameless", "small"],
)
def test_any_other_open_file_is_read_at_once(
    files: list[Path], opened: Callable[[Path], Any]
) -> None:
    with opened(files[0]) as file:
        at = file.tell()
        given = ImageInput(data=file)
        file.seek(at)
        assert given.blob is not None
        assert given.blob.path is None
        assert given.data == file.read()


def test_a_picture_that_is_in_a_file_goes_out_of_it(desk: Desk, files: list[Path]) -> None:
    image = Image(data=cast("Any", Blob.in_file(files[1], len(LARGE_TWO))))
    with client(desk) as speaker:
        assert speaker.edit("a hat", images=[image]).ok
    assert desk.forms[0][-1][2] == LARGE_TWO
    # Random, for it was streamed: the same again has another.
    assert BOUNDARY.search(desk.types[0])


def test_who_reads_the_bytes_has_them(desk: Desk, files: list[Path]) -> None:
    # Its answers are others; what it is asked is JSON with the picture in it.
    with (
        client(desk, provider="openai-responses") as speaker,
        pytest.raises(imagekit.ImagekitError),
    ):
        speaker.edit("a hat", images=files[0])
    assert _spelt(LARGE_ONE) in desk.bodies[0]


def test_beside_a_mask_all_is_in_memory(desk: Desk, tmp_path: Path) -> None:
    pictures = pytest.importorskip("PIL.Image")
    path = tmp_path / "noise.png"
    size = (720, 720)
    pictures.frombytes("RGBA", size, random.Random(1).randbytes(4 * 720 * 720)).save(path)
    assert path.stat().st_size > LARGE
    mask = imagekit.Mask(path, edit_where="transparent")
    with client(desk) as speaker:
        assert speaker.edit("a hat", images=path, mask=mask).ok
        assert speaker.edit("a hat", images=path, mask=mask).ok
    assert desk.bodies[0] == desk.bodies[1]


def test_a_plan_is_what_it_says_whatever_becomes_of_the_file(desk: Desk, files: list[Path]) -> None:
    with client(desk) as speaker:
        plan = speaker.plan("a hat", images=files[0])
        files[0].write_bytes(LARGE_TWO)
        assert speaker.run(plan).ok
    assert desk.forms[0][-1][2] == LARGE_ONE
    assert desk.bodies[0] == plan.requests[0].body


# The boundary


def form(blob: Blob | bytes, **more: str) -> HttpRequest:
    part = Part("image", blob, "a.png", "image/png")
    return HttpRequest("POST", "http://a.example/", form=tuple(more.items()), parts=(part,))


def test_what_is_in_memory_is_the_same_bytes_each_time(files: list[Path]) -> None:
    asked = form(Blob.of(LARGE_ONE), prompt="a hat")
    assert written(asked) == written(form(LARGE_ONE, prompt="a hat")) == written(asked)


def test_no_picture_can_hold_the_boundary_of_its_own_request(files: list[Path]) -> None:
    blob = Blob.in_file(files[0], len(LARGE_ONE))
    seen: set[str] = set()
    for _ in range(8):
        out = written(form(blob, prompt="a hat"))
        found = BOUNDARY.search(out.headers["content-type"])
        assert found
        assert out.headers["content-length"] == str(len(out.body))
        seen.add(found[1])
        # Somebody who saw all that went before writes it into their picture, with a field.
        forged = b"\r\n--%s\r\ncontent-disposition: form-data; " % found[1].encode()
        files[0].write_bytes(LARGE_ONE + forged + b'name="n"\r\n\r\n10\r\n')
        blob = Blob.in_file(files[0], files[0].stat().st_size)
        out = written(form(blob, prompt="a hat"))
        fields = _parsed(dict(out.headers), out.body)
        assert [name for name, _, _ in fields] == ["prompt", "image"]
    assert len(seen) == 8


# A file that is not as it was


def sending(desk: Desk, blob: Blob) -> None:
    part = Part("image", blob, "a.png", "image/png")
    transport = SyncTransport()
    try:
        transport.send(HttpRequest("POST", desk.url, parts=(part,)))
    finally:
        transport.close()


def test_a_file_that_is_gone_is_said_before_anything_is_sent(desk: Desk, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"gone.png' cannot be read any more: No such") as caught:
        sending(desk, Blob.in_file(tmp_path / "gone.png", 5))
    assert caught.value.billed == "no"
    assert not desk.bodies


def test_so_is_one_of_another_length(desk: Desk, files: list[Path]) -> None:
    with pytest.raises(RequestError, match=r"changed before .* it had 5 bytes") as caught:
        sending(desk, Blob.in_file(files[0], 5))
    assert caught.value.billed == "no"
    assert not desk.bodies


def longer(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def another(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"another")


@pytest.mark.parametrize(
    "change",
    [lambda path: os.truncate(path, 4096), longer, another],
    ids=["shorter", "longer", "as long"],
)
def test_one_that_changes_while_it_is_sent_is_not_taken_for_whole(
    desk: Desk, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    path = tmp_path / "changing.png"
    path.write_bytes(SMALL)
    os.truncate(path, 64 * 2**20)  # more than lies between two sockets
    desk.reading = lambda: change(path)
    with client(desk) as speaker, pytest.raises(TransportError, match="changed while") as caught:
        speaker.edit("a hat", images=path)
    assert caught.value.billed == "possibly"
    assert desk.short.wait(30)
    assert not desk.bodies


def test_one_that_grew_within_a_piece_is_not_taken_for_whole(
    desk: Desk, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = files[0].read_bytes()
    monkeypatch.setattr(_outgoing, "pieces_of", lambda path: (one for one in [data[:9], data]))
    with pytest.raises(TransportError, match="changed while") as caught:
        sending(desk, Blob.in_file(files[0], len(data)))
    assert caught.value.billed is None
    assert not desk.bodies


def test_one_that_cannot_be_opened_any_more_is_not_sent_whole(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "closing.png"
    path.write_bytes(LARGE_ONE)

    def refused(path: Path) -> Iterator[bytes]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(_outgoing, "pieces_of", refused)
    with (
        client(desk) as speaker,
        pytest.raises(TransportError, match="any more: Permission denied") as caught,
    ):
        speaker.edit("a hat", images=path)
    assert caught.value.billed == "possibly"


def test_what_was_refused_is_sent_again_from_its_start(desk: Desk, files: list[Path]) -> None:
    desk.answers = [429, 503]
    with client(desk) as speaker:
        assert speaker.edit("a hat", images=files[0]).ok
    assert [form[-1][2] for form in desk.forms] == [LARGE_ONE] * 3


@pytest.mark.parametrize("again", [False, True])
def test_one_of_the_same_length_is_noticed_between_tries(
    desk: Desk, files: list[Path], again: bool
) -> None:
    """And costs no more than what went out before, which may be charged for."""
    desk.answers = [500 if again else 429]
    other = files[0].with_name("other.png")
    other.write_bytes(LARGE_ONE[:-1] + b"x")
    desk.answering = lambda: other.exists() and other.replace(files[0])
    policy = imagekit.RetryPolicy(base=0, may_charge_twice=again)
    with (
        client(desk, retry=policy) as speaker,
        pytest.raises(RequestError, match="changed before it was sent: it had") as caught,
    ):
        speaker.edit("a hat", images=files[0])
    assert caught.value.billed == ("possibly" if again else "no")
    assert len(desk.bodies) == 1


def test_one_that_was_open_is_still_the_one_that_was_given(desk: Desk, files: list[Path]) -> None:
    with files[0].open("rb") as file:
        given = ImageInput(data=cast("Any", file))
    files[1].replace(files[0])
    with client(desk) as speaker:
        with pytest.raises(RequestError, match=r"one.png' changed after it was given") as caught:
            speaker.edit("a hat", images=[given])
        assert caught.value.billed == "no"
        files[0].unlink()
        with pytest.raises(RequestError, match=r"cannot (be )?read"):
            speaker.edit("a hat", images=[given])
    assert not desk.bodies


@pytest.mark.parametrize("change", [longer, another], ids=["longer", "as long"])
def test_one_that_goes_into_json_is_the_one_that_was_looked_at(
    files: list[Path], change: Callable[[Path], None]
) -> None:
    def flow(request: imagekit.ImageRequest) -> Any:
        (given,) = request.images
        assert bytes(given.blob or b"") == LARGE_ONE
        change(files[0])
        yield from send(HttpRequest("POST", "/v1", json={"image": str(given.blob)}))

    made = Scripted(flow, operations=frozenset({"edit"}))
    settings: Any = {"plugins": plugins(toy=made), "provider": "toy", "env": {}}
    with (
        imagekit.Client(**settings) as speaker,
        pytest.raises(RequestError, match=r"one.png' changed before it was sent") as caught,
    ):
        speaker.edit("a hat", images=files[0])
    assert caught.value.billed == "no"


def test_between_two_calls_it_may_change(desk: Desk, files: list[Path]) -> None:
    with client(desk) as speaker:
        assert speaker.edit("a hat", images=files[0]).ok
        files[0].write_bytes(LARGE_ONE[:-1] + b"x")
        assert speaker.edit("a hat", images=files[0]).ok
    assert [form[-1][2][-1:] for form in desk.forms] == [LARGE_ONE[-1:], b"x"]


def test_a_file_of_another_kind_is_refused_before_any_network(tmp_path: Path) -> None:
    path = tmp_path / "text.png"
    path.write_bytes(b"no picture" * LARGE)
    nobody = imagekit.Client(
        provider="openai-images", api_key="k", base_url="http://127.0.0.1:9/v1", env={}
    )
    with nobody as speaker, pytest.raises(RequestError, match="is of no type we know") as caught:
        speaker.edit("a hat", images=path)
    assert caught.value.billed == "no"
