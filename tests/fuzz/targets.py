"""What is fuzzed: each target takes any bytes, and what comes out but our own errors is a finding.

The bytes decide which seed is changed, and how. The same targets run in the suite (hypothesis), in
the table of reliability (random bytes) and for long (atheris, led by coverage).
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any
from unittest import mock

from pydantic import ValidationError

import alone  # noqa: F401  # the runner's own configuration stays out
import imagekit
from desk import InProcess, Toy
from fuzz import seeds
from fuzz.dice import Dice, as_json
from imagekit import Client, Image, ImageRequest, Job, Manifest, Plan, PluginError
from imagekit._cli._words import one_line
from imagekit._framing import EventDecoder, LineDecoder
from imagekit._jobs import job_of
from imagekit._media import facts
from imagekit._names import names, slug
from imagekit._plan import plan_of
from imagekit._scope import Scope
from imagekit._settings import read
from imagekit._tables import patches
from spoken import httpx
from toys import Plugged
from tried import Tried

OURS = (imagekit.ImagekitError,)
# More requests than any answer may lead to.
_MOST_ASKED = 40


@contextlib.contextmanager
def ours(*more: type[Exception]) -> Iterator[None]:
    """Our own errors may come out; of these not that which says a plugin is broken."""
    try:
        yield
    except PluginError as error:
        raise AssertionError(f"a plugin broke: {error}") from error
    except (*OURS, *more):
        pass


class Answering:
    """A provider's host on no network: says one thing to whoever asks."""

    def __init__(self) -> None:
        self.status, self.kind, self.body, self.asked = 200, "", b"", 0

    def __call__(self, request: Any) -> Any:
        self.asked += 1
        assert self.asked <= _MOST_ASKED, "it asks for ever"
        status = self.status if self.asked < 8 else 500
        # A body that is a stream is read as it comes.
        headers = {"content-type": self.kind, "retry-after": "0"}
        return httpx.Response(status, headers=headers, content=self.body)


@cache
def _client(provider: str) -> tuple[Client, Answering]:
    host = Answering()
    http = httpx.Client(transport=httpx.MockTransport(host))
    made = Client(
        provider=provider,
        http=http,
        downloads=http,
        api_key="sk-fuzz",
        base_url="https://fuzz.test/v1",
        env={},
        config=False,
        retries=0,
        fetch=False,
    )
    return made, host


def _told(provider: str, status: int, kind: str, body: bytes, *, stream: bool) -> None:
    client, host = _client(provider)
    host.status, host.kind, host.body, host.asked = status, kind, body, 0
    with ours(), mock.patch.object(Scope, "sleep"):
        if not stream:
            client.generate("an otter", model=seeds.MODELS.get(provider))
            return
        with client.stream("an otter", model=seeds.MODELS.get(provider)) as events:
            for _ in events:
                pass


_STATUS = (200, 200, 200, 201, 202, 204, 400, 401, 402, 403, 404, 408, 409, 422, 429, 500, 503)


def answers(data: bytes) -> None:
    """Bodies of answers: JSON of the provider's own shapes, changed, or any JSON."""
    dice = Dice(data)
    provider = dice.one([*seeds.SPEAKS])
    seed = dice.one([*seeds.answers(provider), {}])
    body = as_json(dice.changed(seed) if seed else dice.tree(5))
    stream = provider in seeds.STREAMING and dice.upto(2) == 0
    _told(provider, dice.one(_STATUS), "application/json", body, stream=stream)


def bodies(data: bytes) -> None:
    """Bodies of answers: bytes changed, of any type."""
    dice = Dice(data)
    provider = dice.one([*seeds.SPEAKS])
    seed = dice.one([*map(as_json, seeds.answers(provider)), seeds.PNG, b""])
    kinds = ("application/json", "image/png", "text/html", "text/event-stream", "", "\x80/;=")
    body = dice.bytes_changed(seed) if seed else data
    stream = provider in seeds.STREAMING and dice.upto(1) == 0
    _told(provider, dice.one(_STATUS), dice.one(kinds), body, stream=stream)


def streams(data: bytes) -> None:
    """Streams of events, changed, into each provider that streams."""
    dice = Dice(data)
    provider = dice.one(seeds.STREAMING)
    body = dice.bytes_changed(dice.one(seeds.streams(provider)))
    _told(provider, 200, "text/event-stream", body, stream=True)


def stream_values(data: bytes) -> None:
    """Streams of well-formed events whose values are changed."""
    dice = Dice(data)
    provider = dice.one(seeds.STREAMING)
    blocks = dice.one(seeds.streams(provider)[:1]).split(b"\n\n")
    place = dice.upto(len(blocks) - 1)
    head, mark, said = blocks[place].partition(b"data: ")
    if mark and said.startswith(b"{"):
        said = as_json(dice.changed(json.loads(said)))
    blocks[place] = head + mark + said
    _told(provider, 200, "text/event-stream", b"\n\n".join(blocks), stream=True)


def events(data: bytes) -> None:
    """The decoder of events: however the bytes are cut, the same events."""
    dice = Dice(data)
    seed = dice.one([*seeds.streams(dice.one(seeds.STREAMING)), b""])
    body = dice.bytes_changed(seed) if seed else data
    for blobs in (frozenset[str](), frozenset({"b64_json", "result", "data"})):
        whole = _decoded([body], blobs)
        assert _decoded([*dice.pieces(body)], blobs) == whole
    lines = LineDecoder()
    with ours():
        for piece in dice.pieces(body):
            list(lines.feed(piece))


def _decoded(pieces: list[bytes], blobs: frozenset[str]) -> Any:
    decoder = EventDecoder(blobs)
    found: list[Any] = []
    try:
        for piece in pieces:
            found += [(one.event, one.id, one.data) for one in decoder.feed(piece)]
        found += [(one.event, one.id, one.data) for one in decoder.finish()]
        for one in found:
            assert isinstance(one[2], str)
    except imagekit.ImagekitError as error:
        return type(error)
    return found


def media(data: bytes) -> None:
    """The heads of pictures: what they tell is short and printable, from any kind of bytes."""
    dice = Dice(data)
    body = dice.bytes_changed(dice.one(seeds.PICTURES)) if dice.upto(7) else dice.taken(4096)
    found = facts(body)
    assert facts(memoryview(body)) == found
    if found is None:
        return
    assert len(found.provenance) <= 30
    for name, value in found.provenance.items():
        assert len(name) < 100
        assert 0 < len(value) <= 200
        assert value.isprintable()
    image = Image(data=body)
    assert image.media_type == found.media_type
    assert image._repr_mimebundle_()
    assert len(repr(image)) < 200


def pixels(data: bytes) -> None:
    """Pictures that Pillow opens: what it cannot read is the caller's fault, and said."""
    dice = Dice(data)
    body = dice.bytes_changed(dice.one(seeds.PICTURES))
    with ours():
        assert Image(data=body).to_pil().size


def requests(data: bytes) -> None:
    """Request values from any JSON: a request that goes to JSON and back, or an error."""
    dice = Dice(data)
    seed = {**seeds.REQUEST, "mask": dice.one([seeds.REQUEST["mask"], seeds.SHAPED_MASK])}
    body = as_json(dice.changed(seed) if dice.upto(7) else dice.tree(5))
    with ours(ValidationError):
        try:
            found = ImageRequest.model_validate_json(body)
        except ValidationError:
            found = ImageRequest.model_validate(json.loads(body))
        repr(found)
        again = ImageRequest.model_validate_json(found.model_dump_json())
        assert again == found
        assert again.model_dump_json() == found.model_dump_json()


@cache
def _toys() -> Client:
    made = Client(provider="toy", env={}, config=False, cache=False)
    made.plugins.register(Plugged(Toy()), "toy")
    return made


def verbs(data: bytes) -> None:
    """Verbs with any keywords, of any values."""
    dice = Dice(data)
    said = dice.changed(dict(seeds.VERB), plain=False)
    if not isinstance(said, dict):
        said = {"prompt": said}
    said = {str(name): value for name, value in said.items()}
    verb = dice.one(("generate", "edit", "vary", "plan"))
    if verb != "generate" and dice.upto(1):
        said["images"] = dice.one([[seeds.PNG], dice.odd(plain=False), [dice.odd(plain=False)]])
    if dice.upto(3) == 0:
        said["mask"] = dice.odd(plain=False)
    # TypeError is Python's own word for a keyword that there is not, or for one that is missing.
    with ours(TypeError), mock.patch.object(Scope, "sleep"):
        getattr(_toys(), verb)(**said)


@cache
def _folder() -> Path:
    # Kept as long as the process: a folder for each trial would cost more than the trial.
    made = tempfile.TemporaryDirectory(prefix="imagekit-fuzz-")
    _KEPT.append(made)
    return Path(made.name)


_KEPT: list[Any] = []


def configuration(data: bytes) -> None:
    """Configuration: TOML changed, and variables, as a client is set up by them."""
    dice = Dice(data)
    path = _folder() / "imagekit.toml"
    path.write_bytes(dice.bytes_changed(seeds.CONFIGURATION.encode()))
    places = ("DEFAULTS__N", "PROFILES__WORK__BASE_URL", "RETRY__BASE", "TIMEOUTS__READ", "X__Y__Z")
    env = {f"IMAGEKIT_{place}": dice.text().replace("\0", "") for place in places if dice.upto(1)}
    with ours():
        read(path, env, named=False)
        Client(config=path, env=env).close()


def capabilities(data: bytes) -> None:
    """The user's own file of capabilities, changed."""
    dice = Dice(data)
    path = _folder() / "capabilities.toml"
    path.write_bytes(dice.bytes_changed(seeds.CAPABILITIES.encode()))
    with ours():
        patches(path, {})


@cache
def _written() -> tuple[str, str, str, str]:
    client = _toys()
    plan = client.plan("an otter")
    response = client.generate("an otter")
    made = Manifest.of(plan, response, ["a.png"]).model_dump_json()
    state = json.dumps(seeds.REQUEST["state"])
    one: dict[str, Any] = {"prompt": "an otter", "n": 1, "model": "m", "format": "png"}
    handle = {**one, "id": "job_1", "poll_url": "/sdcpp/v1/jobs/job_1", "sequence": 3}
    handle |= {"response_id": "resp_1", "asked": {"width": 64}}
    parts = [{"n": 1, "handle": handle}, {"n": 1, "response": response.model_dump(mode="json")}]
    job = {"provider": "sdcpp", "counts": [2], "parts": parts, "created": "2026-11-20T00:00:00Z"}
    return str(plan), made, state, json.dumps(job)


def kept(data: bytes) -> None:
    """What was kept as JSON: jobs, plans, manifests, states; and taken up again."""
    dice = Dice(data)
    kind = dice.upto(3)
    body = as_json(dice.changed(json.loads(_written()[kind])))
    if dice.upto(3) == 0:
        body = dice.bytes_changed(body)
    if kind == 0:
        with ours():
            assert isinstance(plan_of(body), Plan)
            _toys().run(body.decode("utf-8", "replace"))
    elif kind == 1:
        path = _folder() / "manifest.json"
        path.write_bytes(body)
        with ours():
            found = Manifest.load(path)
            repr(found)
            found.check(_folder())
    elif kind == 2:
        with ours(ValidationError):
            state = imagekit.State.model_validate_json(body)
            _toys().generate("a hat", state=state)
    else:
        _taken_up(body, dice)


def _taken_up(body: bytes, dice: Dice) -> None:
    provider = dice.one(("sdcpp", "openai-responses"))
    client, host = _client(provider)
    answer = dice.one([*seeds.answers(provider), {}])
    host.status, host.kind, host.body, host.asked = 200, "application/json", as_json(answer), 0
    with contextlib.suppress(ValueError, TypeError):
        said = json.loads(body)
        body = as_json({**said, "provider": provider})
    with ours(), mock.patch.object(Scope, "sleep"):
        assert isinstance(job_of(body), Job)
        client.resume(body)


def files(data: bytes) -> None:
    """Names of files from any prompt, and lines for a terminal from any text."""
    dice = Dice(data)
    kind = dice.one(("surrogateescape", "replace", "utf-32"))
    said = dice.taken(dice.upto(2000))
    text = (
        "".join(chr(0x12000 + one) for one in said)
        if kind == "utf-32"
        else said.decode("utf-8", kind)
    )
    name = slug(text)
    assert 0 < len(name.encode()) <= 200
    assert not set(name) & set('/\\:*?"<>|\0.\r\n')
    assert name not in ("con", "nul", "aux", "prn")
    found = names(None, name, 3, None).path(1, "image/png")
    assert found.parent == Path()
    assert found.name == os.path.basename(str(found))
    line = one_line(text)
    assert line.isprintable()


@cache
def _server() -> InProcess:
    return InProcess()


_PATHS = ("/images/generations", "/images/edits", "/responses", "/files", "/batches", "/models")


def server(data: bytes) -> None:
    """The server, asked in JSON, multipart and bytes: a client's mistake is never our crash."""
    dice = Dice(data)
    path, how = dice.one(_PATHS), dice.upto(2)
    if how == 0:
        seed = dice.one([seeds.VERB, {"model": "m", "input": [{"role": "user", "content": "x"}]}])
        given = {"content": as_json(dice.changed(seed))}
        given |= {"headers": {"content-type": "application/json"}}
    else:
        body = b"".join(
            b'--b\r\ncontent-disposition: form-data; name="' + about + b'"\r\n\r\n' + said + b"\r\n"
            for about, said in (
                (b"prompt", b"a hat"),
                (b'image[]"; filename="a.png', seeds.PNG),
                (b'mask"; filename="m.png', seeds.PNG),
                (b"n", dice.text().encode("utf-8", "replace")),
                (b"purpose", b"vision"),
                (b'file"; filename="../a', dice.taken(40)),
            )
        )
        kind = dice.one(("multipart/form-data; boundary=b", "multipart/form-data", "multipart/x;;"))
        given = {
            "content": dice.bytes_changed(body + b"--b--\r\n"),
            "headers": {"content-type": kind},
        }
    answer = _server().post(path, **given)
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert answer.json()["error"]["message"]


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target
    for target in (
        answers,
        bodies,
        streams,
        stream_values,
        events,
        media,
        pixels,
        requests,
        verbs,
        configuration,
        capabilities,
        kept,
        files,
        server,
    )
}
# How often each target is tried in the table of reliability: the same throws on every machine,
# which take some seconds. And the seconds for one trial: what takes longer, and again, hangs.
_TRIALS: dict[str, int] = {
    "answers": 2000,
    "bodies": 2000,
    "streams": 2000,
    "stream_values": 2000,
    "events": 20_000,
    "media": 100_000,
    "pixels": 30_000,
    "requests": 20_000,
    "verbs": 10_000,
    "configuration": 8000,
    "capabilities": 8000,
    "kept": 8000,
    "files": 100_000,
    "server": 4000,
}
_HANGS = 5.0


def _tried(*chosen: str) -> Tried:
    came = Tried()
    for name in chosen:
        dice = random.Random(f"the throws of {name}")
        for _ in range(_TRIALS[name]):
            data = dice.randbytes(dice.choice((4, 16, 64, 400)))
            came.count += 1
            said, took = _one(name, data)
            if took > _HANGS:
                # A machine may stand still for once.
                said, took = _one(name, data)
            if said:
                came.wrong.append(f"{name}({data!r}): {said}")
            if took > _HANGS:
                came.wrong.append(f"{name}({data!r}) took {took:.0f} s")
    return came


def _one(name: str, data: bytes) -> tuple[str, float]:
    """What breaks in one trial, and the seconds that it took."""
    began, said = time.monotonic(), ""
    try:
        TARGETS[name](data)
    except Exception:
        said = " | ".join(traceback.format_exc().strip().splitlines()[-4:])
    return said, time.monotonic() - began


wires = partial(_tried, "answers", "bodies", "streams", "stream_values", "events")
pictures = partial(_tried, "media", "pixels", "files")
values = partial(_tried, "requests", "verbs", "configuration", "capabilities", "kept")
served = partial(_tried, "server")
