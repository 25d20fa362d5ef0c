"""One planted key, looked for everywhere: whatever imagekit shows, keeps, logs or raises."""

from __future__ import annotations

import base64
import dataclasses
import itertools
import json
import logging
import pickle
import tempfile
import traceback
import urllib.parse
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keyring
import pytest
import vcr
from click.testing import CliRunner
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import imagekit
from imagekit import ImagekitError, ImageRequest
from imagekit._addressed import hushed
from imagekit._cli._main import cli
from imagekit._flow import send
from imagekit._hushed import Hush
from imagekit._manifest import Manifest
from imagekit._scope import Scope, current
from imagekit.observers import LogCalls, RecordCosts, TraceCalls
from imagekit.provider import Capabilities, HttpRequest, HttpResponse
from imagekit.testing import play
from serving import serving
from test_sources import Ring
from toys import (
    Driver,
    Server,
    Talk,
    Watcher,
    Whole,
    done,
    picture,
    plugins,
)
from tried import Tried

# Each letter that some way of writing it down changes.
KEY = 'sk-planted+0123/4567=89"ab\\cd'
ENV = "PLANTED_API_KEY"
FAST = imagekit.RetryPolicy(retries=0)
DEPTH = 12
SOURCES_OF = Path(imagekit.__file__).parent


def spellings(key: str = KEY) -> list[str]:
    """*key* as it may be written down: as it is, quoted for JSON, a URL or Python, in base64."""
    coded = base64.b64encode(key.encode()).decode()
    bearer = base64.b64encode(f"Bearer {key}".encode()).decode()
    return [
        key,
        json.dumps(key)[1:-1],
        json.dumps(key)[1:-1].replace("/", "\\/"),
        repr(key)[1:-1],
        urllib.parse.quote(key),
        urllib.parse.quote(key, safe=""),
        urllib.parse.quote_plus(key),
        coded,
        coded.rstrip("="),
        bearer.rstrip("="),
        "".join(f"\\u{ord(one):04x}" if not one.isalnum() else one for one in key),
        # What is left where somebody stops at the first odd letter.
        key.partition("+")[0],
    ]


KNOWN = spellings()


def holds(text: str | bytes) -> bool:
    said = text.decode("latin-1") if isinstance(text, bytes) else text
    return any(one in said for one in KNOWN)


def found_in(
    value: Any, where: str = "it", seen: set[int] | None = None, depth: int = DEPTH
) -> Iterator[str]:
    """Each place of *value* where the key can be read; each is looked into once."""
    seen = set() if seen is None else seen
    if isinstance(value, str | bytes | bytearray):
        if holds(bytes(value) if isinstance(value, bytearray) else value):
            yield where
        return
    if value is None or isinstance(value, int | float | type) or id(value) in seen or not depth:
        return
    seen.add(id(value))
    for what, said in (("repr", repr), ("str", str), ("format", format)):
        if holds(said(value)):
            yield f"{what}({where})"
    if hasattr(value, "model_dump_json") and holds(value.model_dump_json()):
        yield f"{where}.model_dump_json()"
    for name, inner in inside(value):
        yield from found_in(inner, f"{where}{name}", seen, depth - 1)


def inside(value: Any) -> Iterator[tuple[str, Any]]:
    """What *value* is made of: entries, attributes, and what stands behind an error."""
    if isinstance(value, Mapping):
        for key, one in list(value.items()):
            yield f"[{key!r:.20}]", one
            yield ".key", key
    elif isinstance(value, list | tuple | set | frozenset):
        for place, one in enumerate(value):
            yield f"[{place}]", one
    elif callable(value) or type(value).__module__.startswith(("logging", "_thread", "threading")):
        return
    for name in {*getattr(value, "__dict__", ()), *slots(type(value))}:
        yield f".{name}", getattr(value, name, None)
    if isinstance(value, BaseException):
        for name in ("args", "__cause__", "__context__", "__notes__"):
            yield f".{name}", getattr(value, name, None)


def slots(kind: type) -> Iterator[str]:
    for one in kind.__mro__:
        named = one.__dict__.get("__slots__", ())
        yield from (named,) if isinstance(named, str) else named


def reported(error: BaseException) -> Iterator[str]:
    """What a crash report tells of *error*: the names in each frame of ours, as tools show them."""
    seen: set[int] = set()
    behind: BaseException | None = error
    while behind is not None and id(behind) not in seen:
        seen.add(id(behind))
        for frame, _ in traceback.walk_tb(behind.__traceback__):
            if str(SOURCES_OF) in frame.f_code.co_filename:
                for name, value in list(frame.f_locals.items()):
                    yield f"{frame.f_code.co_qualname} of {name}: {value!r}"
        behind = behind.__cause__ or behind.__context__


def pickled(value: Any) -> bytes:
    try:
        return pickle.dumps(value)
    except Exception:
        return b""


# --- where the key comes from --------------------------------------------------------------------


class Keyed(Whole):
    """A provider that shows no key of its own, as is wanted of them."""

    __repr__ = object.__repr__


def keyed(config: Any) -> Keyed:
    return Keyed(base_url=config.base_url, key=config.api_key or config.env.get(ENV))


def sources(folder: Path, url: str) -> dict[str, dict[str, Any]]:
    """Settings of a client, by where its key is."""
    file = folder / "key"
    file.write_text(f"{KEY}\n")

    def profile(**key: Any) -> dict[str, Any]:
        named = imagekit.Profile("planted", "toy", base_url=url, **key)
        return {"provider": "planted", "profiles": [named]}

    mine = {"provider": "toy", "base_url": url}
    return {
        "code": {**mine, "api_key": KEY},
        "callable": {**mine, "api_key": lambda: KEY},
        "environment": {**mine, "env": {ENV: KEY}},
        "profile": profile(api_key=KEY),
        "profile's environment": {**profile(api_key_env=ENV), "env": {ENV: KEY}},
        "profile's file": profile(api_key_file=file),
        "profile's keyring": profile(api_key_keyring="imagekit/planted"),
    }


SOURCES = (
    "code", "callable", "environment", "profile", "profile's environment", "profile's file",
    "profile's keyring",
)  # fmt: skip


@pytest.fixture
def ring() -> Iterator[None]:
    before, made = keyring.get_keyring(), Ring()
    made.kept["imagekit", "planted"] = KEY
    keyring.set_keyring(made)
    yield
    keyring.set_keyring(before)


# --- what a host does with it --------------------------------------------------------------------


def quoting(talk: Talk, status: int = 401) -> None:
    """Says in every way what it was sent."""
    given = talk.read().headers["authorization"]
    assert KEY in given
    said = {"error": {"message": f"I was given {given}", "code": given}}
    # As they are: what JSON makes of them is one of them.
    spelt = " ".join(one for one in KNOWN[:-1] if '"' not in one)
    body = f'{json.dumps(said)[:-1]}, "all": "{spelt}"}}'
    talk.reply(status, body.encode(), content_type="application/json", x_echo=given)


def works(talk: Talk) -> None:
    seen = talk.read()
    assert KEY in seen.headers["authorization"]
    talk.reply(200, json.dumps(done(picture())).encode(), content_type="application/json")


def garbage(talk: Talk) -> None:
    given = talk.read().headers["authorization"]
    talk.connection.sendall(f"HTTP/1.1 200 OK\r\n{given}\r\n\r\n".encode())


def phrasing(talk: Talk) -> None:
    given = talk.read().headers["authorization"]
    talk.connection.sendall(f"HTTP/1.1 400 bad {given}\r\ncontent-length: 0\r\n\r\n".encode())


def cut(talk: Talk) -> None:
    talk.read()
    talk.head(200, content_type="application/json", content_length="1000")


def silent(talk: Talk) -> None:
    talk.read()
    talk.reset()


def page(talk: Talk) -> None:
    given = talk.read().headers["authorization"]
    talk.reply(200, f"<html>{given}</html>".encode(), content_type="text/html")


HOSTS: dict[str, Callable[[Talk], None]] = {
    "works": works,
    "quotes it in an error": quoting,
    "quotes it in a failure": lambda talk: quoting(talk, 500),
    "quotes it in an answer": lambda talk: quoting(talk, 200),
    "quotes it on a page": page,
    "quotes it in no HTTP at all": garbage,
    "quotes it beside its status": phrasing,
    "cuts its answer": cut,
    "resets": silent,
}


# --- all that may be looked at -------------------------------------------------------------------


class Everything:
    """What is said while a call is made: logs, warnings, spans, costs, hooks, debug output."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.watcher, self.spans = Watcher(), InMemorySpanExporter()
        tracing = TracerProvider()
        tracing.add_span_processor(SimpleSpanProcessor(self.spans))
        self.costs = RecordCosts(folder / "costs.jsonl")
        self.observers = (
            self.watcher, LogCalls(content=True), self.costs,
            TraceCalls(tracer_provider=tracing, capture_content=True),
        )  # fmt: skip
        self.records: list[logging.LogRecord] = []
        self.warned: list[Any] = []
        self.shown = Shown()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Every logger says all it has."""
        handler = logging.Handler(logging.NOTSET)
        handler.emit = self.records.append  # type: ignore[method-assign]
        root = logging.getLogger()
        loud = [root, *map(logging.getLogger, ("imagekit", "httpx", "httpcore", "hishel"))]
        loud += map(logging.getLogger, ("httpx2", "httpcore2", "stevedore", "asyncio"))
        before = [one.level for one in loud]
        root.addHandler(handler)
        for one in loud:
            one.setLevel(logging.DEBUG)
        try:
            with warnings.catch_warnings(record=True) as warned:
                warnings.simplefilter("always")
                yield
            self.warned += warned
        finally:
            root.removeHandler(handler)
            for one, level in zip(loud, before, strict=True):
                one.setLevel(level)

    def places(self) -> Iterator[str]:
        """Where the key stands."""
        # A recorder of traffic has its own log, and sees what is sent.
        for record in (one for one in self.records if not one.name.startswith("vcr")):
            yield from found_in(record.getMessage(), f"the log of {record.name}")
            yield from found_in(record.args, f"the arguments of a log of {record.name}")
        yield from found_in([str(one.message) for one in self.warned], "a warning")
        for span in self.spans.get_finished_spans():
            yield from found_in(span.to_json(), "a span")
        yield from found_in(self.costs.rows, "the costs")
        yield from found_in(self.watcher.told, "what an observer sees")
        yield from found_in(self.shown.text, "debug=")
        for path in self.folder.rglob("*"):
            if path.is_file() and path.name != "key":
                yield from found_in(path.read_bytes(), f"the file {path.name}")


class Shown:
    """A file for debug=."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        self.text += text


def of_response(came: imagekit.ImageResponse) -> Iterator[str]:
    yield from found_in(came, "the response")
    yield from found_in(pickled(came), "the pickled response")
    if came.plan is not None:
        yield from found_in(Manifest.of(came.plan, came).model_dump_json(), "the manifest")


def of_error(error: BaseException) -> Iterator[str]:
    yield from found_in(error, "the error")
    for line in reported(error):
        if holds(line):
            yield f"the crash report: {line.partition(': ')[0]}"
    yield from found_in(pickled(error), "the pickled error")
    yield from found_in("".join(traceback.format_exception(error)), "the traceback")


def looked_for(
    driver: Driver, folder: Path, settings: Mapping[str, Any], **fields: Any
) -> list[str]:
    """All places where the key stands after a call by a client of those *settings*."""
    all_of = Everything(folder)
    toys = plugins(*all_of.observers, toy=keyed)
    cache = imagekit.Cache(folder / "cache")
    how = {"env": {}, "config": False, "retry": FAST, **settings, "plugins": toys, "cache": cache}
    places: list[str] = []
    held: list[Any] = []

    def ask(client: Any) -> Any:
        held.append(client)
        more = {"raw": True, "keep_plan": True, "debug": all_of.shown, "deadline": 60, **fields}
        return client.generate("a cat", **more)

    with all_of.listening():
        try:
            came = driver.call(ask, **how)
        except ImagekitError as error:
            places += of_error(error)
        else:
            places += of_response(came)
    [client] = held
    for one in (client, how.get("profiles", ()), client.plugins):
        places += [f"repr of {type(one).__name__}"] if holds(repr(one)) else []
    return [*places, *all_of.places()]


@pytest.mark.parametrize("source", SOURCES)
def test_a_key_of_any_source_stands_nowhere(
    source: str, driver: Driver, server: Server, tmp_path: Path, ring: None
) -> None:
    settings = sources(tmp_path, server.url)[source]
    for host in (works, quoting):
        server.does(host)
        assert looked_for(driver, tmp_path, settings) == []


@pytest.mark.parametrize("host", HOSTS)
def test_whatever_its_host_does_the_key_stands_nowhere(
    host: str, driver: Driver, server: Server, tmp_path: Path
) -> None:
    server.does(HOSTS[host])
    settings = sources(tmp_path, server.url)["code"]
    assert looked_for(driver, tmp_path, settings, raise_on_error=host != "works") == []
    assert server.seen


@pytest.mark.parametrize(
    "how", [{"n": 3}, {"retries": 1}, {"fetch": False}], ids=["n", "retries", "fetch"]
)
def test_nor_after_several_requests(
    how: dict[str, Any], driver: Driver, server: Server, tmp_path: Path
) -> None:
    server.does(quoting, works, lambda talk: quoting(talk, 503), quoting)
    assert looked_for(driver, tmp_path, sources(tmp_path, server.url)["code"], **how) == []


# --- what a plugin says itself -------------------------------------------------------------------


class Blabs(Keyed):
    """Raises an error that is full of its key, once it has sent it."""

    def flow(self, request: ImageRequest, *, stream: bool) -> Any:
        yield from send(HttpRequest("POST", "/pictures", json={}))
        try:
            raise KeyError(self.key)
        except KeyError as cause:
            key = str(self.key)
            error = imagekit.ProviderError(f"I have {key}", code=key, request_id=f"id {key}")
            error.add_note(f"look at {key}")
            error.checkpoint = {"nested": [{key: (key, b"x" + key.encode())}]}
            error.detail = {"set": {key}}  # type: ignore[attr-defined]
            error.response = imagekit.ImageResponse(
                slots=(imagekit.ImageFailure(kind="failed", reason=f"no: {key}", code=key),),
                model=key,
            )
            if request.prompt == "bare":
                raise cause
            raise error from cause


def blabbing(config: Any) -> Blabs:
    able = Capabilities(max_images=1)
    return Blabs(base_url=config.base_url, key=config.api_key, able=able)


@pytest.mark.parametrize("prompt", ["a cat", "bare"])
@pytest.mark.parametrize("n", [1, 2])
def test_what_a_plugin_puts_into_an_error_is_taken_out(
    prompt: str, n: int, driver: Driver, server: Server, tmp_path: Path
) -> None:
    server.does(works)
    all_of = Everything(tmp_path)
    toys = plugins(*all_of.observers, toy=blabbing)
    how = {"env": {}, "config": False, "retry": FAST, "provider": "toy", "api_key": KEY}
    with all_of.listening(), pytest.raises(ImagekitError) as found:
        driver.call(lambda c: c.generate(prompt, n=n), base_url=server.url, plugins=toys, **how)
    # Its own frames hold what it likes; all that comes of them is looked through.
    places = [*found_in(found.value, "the error"), *found_in(pickled(found.value), "pickled")]
    assert [*places, *all_of.places()] == []
    assert len(server.seen) == n


# --- what is kept --------------------------------------------------------------------------------


def test_a_plan_a_job_and_a_state_hold_no_key(driver: Driver, tmp_path: Path, ring: None) -> None:
    with serving(provider="sketch") as server:
        at = {"base_url": server.url, "env": {}, "config": False, "api_key": KEY}

        def call(verb: Any) -> Any:
            return driver.call(verb, provider="openai-responses", **at)

        size = {"size": "64x64", "keep_plan": True}
        plan = call(lambda c: c.plan("a cat", size="64x64"))
        job = call(lambda c: c.submit("a cat", size="64x64"))
        came = call(lambda c: c.generate("a cat", **size))
    assert came.state is not None
    for one in (plan, job, came.state, came.plan, Manifest.of(came.plan, came)):
        assert list(found_in(one, type(one).__name__)) == []
        assert not holds(str(one))
        assert not holds(pickled(one))


def test_a_cassette_holds_no_key(driver: Driver, server: Server, tmp_path: Path) -> None:
    server.does(works)
    settings = sources(tmp_path, server.url)["code"]
    with vcr.use_cassette(  # type: ignore[attr-defined]
        str(tmp_path / "one.yaml"), filter_headers=["authorization"], record_mode="all"
    ):
        assert looked_for(driver, tmp_path, settings, cache=False) == []
    assert (tmp_path / "one.yaml").exists()


# --- keys in other places ------------------------------------------------------------------------


def test_a_key_in_the_query_of_the_address_is_not_shown(
    driver: Driver, server: Server, tmp_path: Path
) -> None:
    def act(talk: Talk) -> None:
        assert "sk-planted" in talk.read().path
        talk.reply(401, b"{}", content_type="application/json")

    server.does(act)
    url = f"{server.url}?key={urllib.parse.quote(KEY, safe='')}"
    settings = {"provider": "toy", "base_url": url, "api_key": "sk-of-another-kind"}
    all_of = Everything(tmp_path)
    toys = plugins(*all_of.observers, toy=keyed)
    with all_of.listening(), pytest.raises(ImagekitError) as found:
        driver.call(
            lambda c: c.generate("a cat", debug=all_of.shown), plugins=toys, env={}, **settings
        )
    assert len(server.seen) == 1
    assert [*found_in(found.value, "the error"), *all_of.places()] == []


def test_a_proxys_password_is_not_shown(
    driver: Driver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    word = urllib.parse.quote(KEY, safe="")
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, f"http://planted:{word}@127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    settings = {
        "provider": "toy",
        "base_url": "http://toy.test/v1",
        "api_key": "sk-of-another-kind",
    }
    assert looked_for(driver, tmp_path, settings) == []


def test_the_command_line_says_no_key(tmp_path: Path, server: Server) -> None:
    env = {"OPENAI_API_KEY": KEY, "IMAGEKIT_CONFIG": "", "IMAGEKIT_DEBUG": "1"}
    words = ["-p", "openai-images", "--base-url", server.url, "-o", str(tmp_path / "a.png")]
    for act in (quoting, lambda talk: quoting(talk, 200), garbage, cut):
        server.does(act)
        for more in (["--debug", "-v"], ["--json"], ["-v", "--manifest"]):
            done = CliRunner(env=env).invoke(cli, ["generate", "a cat", *words, *more])
            assert list(found_in([done.output, done.stderr, done.stdout], "the output")) == []
    assert server.seen
    for said in (["doctor"], ["doctor", "--json"], ["providers"], ["plan", "a cat", *words[:4]]):
        done = CliRunner(env=env).invoke(cli, said)
        assert list(found_in(done.output, said[0])) == []
    for path in tmp_path.rglob("*"):
        assert not holds(path.read_bytes())


def test_the_servers_answers_and_log_hold_no_key(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    import httpx

    caplog.set_level(logging.DEBUG)
    how = {"provider": "openai-images", "base_url": server.url, "api_key": KEY, "env": {}}
    told = []
    with serving(**how, retry=FAST, config=False, log_prompts=True) as ours:
        for act in HOSTS.values():
            server.does(act)
            body = {"prompt": "a cat", "model": "gpt-image-2"}
            for more in ({}, {"stream": True}):
                answer = httpx.post(f"{ours.url}/images/generations", json={**body, **more})
                told.append(f"{answer.status_code} {answer.headers} {answer.text}")
            talk = {"model": "m", "input": "a cat", "tools": [{"type": "image_generation"}]}
            told.append(httpx.post(f"{ours.url}/responses", json=talk).text)
    assert len(server.seen) >= len(HOSTS)
    assert list(found_in(told, "an answer")) == []
    assert list(found_in([one.getMessage() for one in caplog.records], "the log")) == []


# --- the search itself ---------------------------------------------------------------------------


@dataclasses.dataclass(slots=True, repr=False)
class Hides:
    inner: Any


@pytest.mark.parametrize(
    "value",
    [
        *KNOWN, KEY.encode(), bytearray(KEY.encode()), [KEY], {"a": {KEY: 1}}, ({"a": [KEY]},),
        Hides(KEY), Hides(Hides([KEY])), ValueError(KEY), ImageRequest(prompt=KEY),
        imagekit.ConfigurationError("x", code=KEY),
    ],
    ids=itertools.count(),
)  # fmt: skip
def test_whoever_looks_finds_it(value: Any) -> None:
    assert list(found_in(value)) != []


def test_it_is_found_behind_an_error() -> None:
    for name in ("__cause__", "__context__"):
        error = ValueError("x")
        setattr(error, name, KeyError(KEY))
        assert list(found_in(error)) != []
    noted = ValueError("x")
    noted.add_note(KEY)
    assert list(found_in(noted)) != []


# --- taking it out -------------------------------------------------------------------------------


@pytest.mark.parametrize("said", KNOWN[:-1], ids=range(len(KNOWN) - 1))
def test_each_spelling_is_taken_out(said: str) -> None:
    hush = Hush()
    hush.learn({"authorization": f"Bearer {KEY}"})
    assert hush.text(f"before {said} after").startswith("before …")
    assert not holds(hush.text(f"before {said} after"))


def test_a_header_that_is_called_like_it_is_dropped() -> None:
    hush = Hush()
    hush.learn({"x-api-key": "Sk-Planted-123"})
    told = hush.reply(HttpResponse(200, {"sk-planted-123": "1", "x-id": "2"}, b"{}"))
    assert told.headers == {"x-id": "2"}


def test_what_is_clean_stays_the_very_same() -> None:
    hush = Hush()
    hush.learn({"authorization": f"Bearer {KEY}"})
    big = KEY.encode() * 2**13
    for value in (
        {"a": [1, ("b", None)]},
        imagekit.ImageFailure(kind="failed", reason="x"),
        {"c"},
        7,
        big,
    ):
        assert hush.value(value) is value
    deep: Any = KEY
    for _ in range(20):
        deep = [deep]
    assert hush.value(deep) is deep


def test_an_error_before_anything_was_sent_is_left_alone() -> None:
    error = imagekit.ConfigurationError(KEY)
    Hush().error(error)
    assert str(error) == KEY


def test_a_response_of_which_some_failed_says_no_key_either() -> None:
    hush = Hush()
    hush.learn({"authorization": f"Bearer {KEY}"})
    failed = imagekit.ImageFailure(kind="failed", reason=KEY)
    slots = (imagekit.Image(data=picture()), failed)

    def flow() -> Any:
        return imagekit.ImageResponse(slots=slots)
        yield

    found = play(hushed(flow(), hush)).response
    assert found.failures[0].reason == "…"
    assert found.image.data == picture()


def test_a_log_of_another_make_is_left_as_it_is() -> None:
    token = current.set(Scope())
    try:
        record = logging.LogRecord("httpx", 20, "x", 1, "%(a)s", ({"a": 1},), None)
        assert logging.getLogger("httpx").filter(record)
        assert record.getMessage() == "1"
    finally:
        current.reset(token)


# --- the table -----------------------------------------------------------------------------------


def tried() -> Tried:
    """Each source of a key with each host on each driver, for the reliability table."""
    came = Tried()
    before, made = keyring.get_keyring(), Ring()
    made.kept["imagekit", "planted"] = KEY
    keyring.set_keyring(made)
    try:
        for colour, source, host in itertools.product(("sync", "asyncio", "trio"), SOURCES, HOSTS):
            with Server() as server, tempfile.TemporaryDirectory() as folder:
                server.does(HOSTS[host])
                settings = sources(Path(folder), server.url)[source]
                found = looked_for(Driver(colour), Path(folder), settings)
                came += Tried(
                    1, [f"{colour}, key from {source}, host {host}: {one}" for one in found]
                )
    finally:
        keyring.set_keyring(before)
    return came
