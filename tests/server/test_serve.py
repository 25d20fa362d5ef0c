"""`imagekit serve`: where it listens, for whom, and how it ends."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from click.testing import CliRunner, Result

import imagekit
from cli_terminal import environment
from imagekit._cli import main
from imagekit._cli._main import cli
from imagekit.provider import call
from imagekit.server import Limits, create_app
from imagekit.server._serve import _Server, bound, run
from spoken import httpx, near
from toys import Plugged, Scripted, patiently, picture

TOKEN = "first-token-0123"
WANTED = {"prompt": "a secret otter"}
# Seconds that calls are given to end, where nothing is to wait for so long; and for all the rest.
GRACE, SOON = 60.0, 30.0
IPV6 = socket.has_ipv6 and Path("/proc/net/if_inet6").exists()


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.delenv("IMAGEKIT_SERVER_TOKEN", raising=False)
    monkeypatch.chdir(tmp_path)
    logger = logging.getLogger("imagekit.server")
    yield
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


def refused(*words: str, **env: str) -> str:
    """What is said instead of serving."""
    result: Result = CliRunner(env=env).invoke(cli, ("serve", "--port", "0", *words))
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    return result.stderr


Visit = Callable[[str], None]


def visited(serve: Callable[[], object], address: Callable[[], str | None], visit: Visit) -> None:
    """Do *serve* here, in the main thread, and *visit* in another; a signal ends it."""
    failed: list[BaseException] = []

    def come() -> None:
        try:
            assert patiently(lambda: (found := address()) is not None and alive(found))
            visit(str(address()))
        except BaseException as error:
            failed.append(error)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    def unserved(*_: object) -> None:
        raise InterruptedError("nobody else took the signal")

    before = signal.signal(signal.SIGTERM, unserved)
    thread = threading.Thread(target=come)
    thread.start()
    try:
        serve()
    finally:
        thread.join()
        signal.signal(signal.SIGTERM, before)
    assert failed == []


def alive(origin: str) -> bool:
    try:
        return near.get(f"{origin}/healthz").status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
def serve(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Serve with some words while a visit lasts; what was said on standard error."""
    said: list[str] = []

    def address() -> str | None:
        said.append(capsys.readouterr().err)
        found = re.search(r"serving on (http://\S+)/v1; Ctrl-C stops\n", "".join(said))
        return found and found[1].replace("0.0.0.0", "127.0.0.1")

    def served(*words: str, visit: Visit = lambda _: None) -> str:
        with pytest.raises(SystemExit) as ended:
            visited(lambda: main(["serve", "--port", "0", *words]), address, visit)
        assert not ended.value.code
        return "".join([*said, capsys.readouterr().err])

    return served


# --- who is let in -------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "10.1.2.3", "example.com"])
def test_it_does_not_listen_beyond_loopback_without_a_token(host: str) -> None:
    for env in ({}, {"IMAGEKIT_SERVER_TOKEN": " , "}):
        # It would not serve in any case, only say another thing.
        said = refused("-p", "sketch", "--host", host, "--database", "no/folder", **env)
        assert "callers need a token: set IMAGEKIT_SERVER_TOKEN, or give --token-file" in said


def test_by_default_it_listens_on_loopback_to_whoever_calls_it_by_name(
    serve: Callable[..., str],
) -> None:
    def visit(origin: str) -> None:
        assert origin.startswith("http://127.0.0.1:")
        url = f"{origin}/v1/models"
        assert near.get(url).json()["data"][0]["id"] == "sketch-1"
        for host, status in (("localhost", 200), ("evil.example", 421)):
            assert near.get(url, headers={"host": host}).status_code == status
        assert near.get(url, headers={"origin": "https://app.example"}).status_code == 403

    said = serve("-p", "sketch", visit=visit)
    line = next(line for line in said.splitlines() if '"status": 421' in line)
    assert json.loads(line)["error"] == "host"


def test_with_a_token_from_the_environment_it_listens_anywhere(
    serve: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMAGEKIT_SERVER_TOKEN", TOKEN)

    def visit(origin: str) -> None:
        url = f"{origin}/v1/models"
        assert near.get(url).status_code == 401
        mine = {"authorization": f"Bearer {TOKEN}"}
        assert near.get(url, headers={**mine, "host": "any.example"}).status_code == 200

    said = serve("-p", "sketch", "--host", "0.0.0.0", visit=visit)
    assert TOKEN not in said
    assert '"status": 401' in said


def test_names_that_are_allowed_are_the_only_ones_beyond_its_own(
    serve: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "tokens").write_text(TOKEN)

    def visit(origin: str) -> None:
        url = f"{origin}/v1/models"
        mine = {"authorization": f"Bearer {TOKEN}"}
        for host, status in (("pictures.example", 200), ("localhost", 200), ("evil.example", 421)):
            assert near.get(url, headers={**mine, "host": host}).status_code == status
        page = {**mine, "origin": "https://app.example"}
        assert near.get(url, headers=page).status_code == 200

    words = ("--token-file", "tokens", "--allow-host", "Pictures.example")
    pages = ("--allow-origin", "https://app.example")
    serve("-p", "sketch", "--host", "0.0.0.0", *words, *pages, visit=visit)


@pytest.mark.skipif(not IPV6, reason="there is no IPv6 here")
def test_loopback_may_be_of_the_other_kind(serve: Callable[..., str]) -> None:
    def visit(origin: str) -> None:
        assert origin.startswith("http://[::1]:")
        assert near.get(f"{origin}/v1/models").status_code == 200

    serve("-p", "sketch", "--host", "::1", visit=visit)


# --- what it is told -----------------------------------------------------------------------------


def test_its_words_reach_the_server(serve: Callable[..., str], tmp_path: Path) -> None:
    def visit(origin: str) -> None:
        listed = near.get(f"{origin}/v1/models").json()["data"]
        assert [one["id"] for one in listed] == ["small", "sketch-1"]
        url, wanted = f"{origin}/v1/images/generations", {**WANTED, "size": "16x16"}
        made = near.post(url, json=wanted)
        assert made.json()["size"] == "16x16"
        assert near.post(url, json={"prompt": "x" * 2**20}).status_code == 413

    words = ("-m", "*=sketch:sketch-1", "-m", "small=sketch", "--database", "kept.db")
    said = serve(*words, "--max-body", "1", "--log-prompts", visit=visit)
    assert "a secret otter" in said
    assert "x" * 100 not in said
    assert (tmp_path / "kept.db").stat().st_mode & 0o777 == 0o600


def test_the_log_holds_no_prompt_unless_asked_and_nothing_where_it_is_not_wanted(
    serve: Callable[..., str],
) -> None:
    def visit(origin: str) -> None:
        wanted = {**WANTED, "size": "16x16"}
        assert near.post(f"{origin}/v1/images/generations", json=wanted).status_code == 200

    said = serve("-p", "sketch", visit=visit)
    assert '"path": "/v1/images/generations"' in said
    assert "otter" not in said


def test_a_quiet_server_has_no_access_log(serve: Callable[..., str]) -> None:
    assert "/healthz" not in serve("-p", "sketch", "-q")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("-p", "nobody"), "no provider 'nobody'"),
        ((), "does not know who makes its pictures"),
        (("-p", "openai-images"), "OPENAI_API_KEY"),
        (("-p", "sketch", "-m", "word"), "-m 'word': say NAME=PROVIDER"),
        (("-p", "sketch", "-m", "=sketch"), "say NAME=PROVIDER"),
        (("-p", "sketch", "-m", "name="), "say NAME=PROVIDER"),
        (("-p", "sketch", "-m", "name=:x"), "neither PROVIDER nor PROVIDER:MODEL"),
        (("-m", "name=nobody"), "no provider 'nobody'"),
        (("-p", "sketch", "--token-file", "none"), "the token file 'none' cannot be read"),
        (("-p", "sketch", "--database", "no/folder"), "the database 'no/folder' cannot be used"),
        (("-p", "sketch", "--keep", "0"), "'--keep': 0.0 is not in the range x>0"),
        (("-p", "sketch", "--allow-origin", "page"), "'page' is no origin of a web page"),
        (("-m", "a=sketch", "-m", "a=sketch:"), "-m a=… stands there twice"),
        (("-p", "sketch", "--keep", "inf"), "the limit 'kept' is a number above 0"),
        (("-p", "sketch", "--timeout", "nan"), "the limit 'request' is a number above 0"),
        (("-p", "sketch", "--concurrent", "0"), "--concurrent"),
        (("-p", "sketch", "--port", "70000"), "--port"),
        (("-p", "openai-images", "--base-url", "not a url"), "base"),
    ],
)
def test_what_is_wrong_is_told_at_the_start(words: tuple[str, ...], why: str) -> None:
    said = refused(*words, OPENAI_API_KEY="")
    assert why in said
    assert "Traceback" not in said
    assert "serving on" not in said


def test_a_token_that_is_none_is_told_without_saying_it() -> None:
    said = refused("-p", "sketch", IMAGEKIT_SERVER_TOKEN="sh0rt")
    assert "a token is 8 or more ASCII characters" in said
    assert "sh0rt" not in said


def test_a_port_in_use_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        said = refused("-p", "sketch", "--port", str(port))
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in said


@pytest.mark.parametrize("host", ["192.0.2.1", ":::", "..."])
def test_a_place_where_nobody_can_listen_is_told(host: str) -> None:
    with pytest.raises(imagekit.ConfigurationError, match=re.escape(f"listen on {host}:0")):
        bound(host, 0)


def test_a_port_that_there_is_not_is_told() -> None:
    with pytest.raises(imagekit.ConfigurationError, match=r"listen on 127\.0\.0\.1:70000"):
        bound("127.0.0.1", 70000)


@pytest.mark.parametrize("missing", ["starlette", "uvicorn", "python_multipart"])
def test_without_the_extra_a_line_says_what_to_install(missing: str) -> None:
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from imagekit._cli import main\nmain(['serve', '-p', 'sketch'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "imagekit: the server is an extra; pip install 'imagekit[server]'\n"


# --- how it ends ---------------------------------------------------------------------------------


def posted(origin: str) -> Any:
    """A call in another thread; what it came to."""
    got: list[Any] = []

    def post() -> None:
        try:
            got.append(near.post(f"{origin}/v1/images/generations", json=WANTED, timeout=GRACE))
        except httpx.TransportError as error:
            got.append(error)

    thread = threading.Thread(target=post)
    thread.start()

    def answer() -> Any:
        thread.join()
        return got[0]

    return answer


def here(client: imagekit.AsyncClient, visit: Visit, **limits: float) -> None:
    """Run a server here as long as *visit* lasts."""
    bounds = Limits(**{"grace": GRACE, **limits})  # type: ignore[arg-type]
    listening = bound("127.0.0.1", 0)
    origin = f"http://127.0.0.1:{listening.getsockname()[1]}"
    app = create_app(client, limits=bounds)
    visited(lambda: run(app, listening, print), lambda: origin, visit)


def test_from_the_signal_on_nothing_new_is_begun(gate: Any, ask: Callable[..., Any]) -> None:
    app = create_app(gate.client)
    assert ask(app, "GET", "/readyz").status == 200
    _Server(uvicorn.Config(app), app, print).handle_exit(signal.SIGTERM, None)
    assert ask(app, "GET", "/readyz").status == 503


def test_a_call_in_progress_is_finished(gate: Any) -> None:
    answers: list[Any] = []

    def visit(origin: str) -> None:
        answers.append(posted(origin))
        assert gate.holds()
        threading.Timer(0.2, gate.opened.set).start()

    here(gate.client, visit)
    assert answers[0]().status_code == 200
    assert not gate.left.is_set()


def test_one_that_goes_on_for_too_long_is_ended_and_told(gate: Any) -> None:
    answers: list[Any] = []

    def visit(origin: str) -> None:
        answers.append(posted(origin))
        assert gate.holds()

    began = time.monotonic()
    here(gate.client, visit, grace=0.1)
    assert time.monotonic() - began < SOON
    answer = answers[0]()
    assert (answer.status_code, answer.headers["x-should-retry"]) == (503, "false")
    assert gate.left.is_set()


def test_the_end_does_not_wait_for_whoever_does_not_take_an_answer() -> None:
    def large(request: Any) -> Any:
        data = yield from call(lambda: picture() + bytes(12_000_000))
        return imagekit.ImageResponse(slots=(imagekit.Image(data=data),), model="large-1")

    client = imagekit.AsyncClient(provider="toy", env={})
    client.plugins.register(Plugged(Scripted(large)), "toy")
    readers = []

    def visit(origin: str) -> None:
        readers.append(socket.create_connection(("127.0.0.1", int(origin.rpartition(":")[2]))))
        body = json.dumps(WANTED).encode()
        head = "POST /v1/images/generations HTTP/1.1\r\nhost: x\r\n"
        about = f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        readers[0].sendall((head + about).encode() + body)
        readers[0].recv(1)

    began = time.monotonic()
    here(client, visit, send=0.2)
    assert time.monotonic() - began < SOON
    readers[0].close()


@pytest.mark.parametrize("again", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_second_signal_ends_everything(again: signal.Signals, gate: Any) -> None:
    answers: list[Any] = []

    def visit(origin: str) -> None:
        answers.append(posted(origin))
        assert gate.holds()
        os.kill(os.getpid(), again)
        # Two at once would be one.
        assert patiently(lambda: not alive(origin))

    began = time.monotonic()
    here(gate.client, visit)
    assert time.monotonic() - began < SOON
    assert not isinstance(answers[0](), httpx.Response) or answers[0]().status_code >= 500
    assert gate.left.is_set()


def test_a_closed_terminal_stops_it_unless_that_is_ignored(gate: Any) -> None:
    app = create_app(gate.client)
    server = _Server(uvicorn.Config(app), app, print)
    found: list[Any] = []

    def look() -> None:
        with server.capture_signals():
            found.append(signal.getsignal(signal.SIGHUP))

    look()
    elsewhere = threading.Thread(target=look)
    elsewhere.start()
    elsewhere.join()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        look()
    finally:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    assert found == [server.handle_exit, signal.SIG_DFL, signal.SIG_IGN]


GATE = """
import os
from pathlib import Path
import imagekit
from imagekit.provider import sleep
from toys import Plugged, Scripted, picture

def flow(request):
    Path("begun").touch()
    while not Path("open").exists():
        yield from sleep(0.01)
    return imagekit.ImageResponse(slots=(imagekit.Image(data=picture(7)),), model="gate-1")

gate = Plugged(Scripted(flow))
"""


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds a provider, whose pictures wait for a file, as if it were installed."""
    made = tmp_path_factory.mktemp("site")
    (made / "the_gate.py").write_text(GATE)
    about = made / "gate_kit-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: gate-kit\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[imagekit.providers]\ngate = the_gate:gate\n")
    return made


def test_a_real_server_finishes_its_picture_when_it_is_told_to_stop(
    site: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "imagekit", "serve", "-p", "gate", "--port", "0"]
    with (
        subprocess.Popen(
            command,
            env=environment(site, IMAGEKIT_SERVER_TOKEN=TOKEN),
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
        ExitStack() as failing,
    ):
        failing.callback(process.kill)
        assert process.stderr is not None
        found = re.search(r"serving on (http://\S+)/v1;", process.stderr.readline())
        assert found
        answers = posted(found[1])
        assert answers().status_code == 401
        got: list[httpx.Response] = []
        mine = {"authorization": f"Bearer {TOKEN}"}
        url = f"{found[1]}/v1/images/generations"
        thread = threading.Thread(
            target=lambda: got.append(near.post(url, json=WANTED, headers=mine))
        )
        thread.start()
        assert patiently((tmp_path / "begun").exists)
        process.send_signal(signal.SIGTERM)
        assert patiently(lambda: not alive(found[1]))
        (tmp_path / "open").touch()
        thread.join()
        out, said = process.communicate(timeout=GRACE)
    assert got[0].status_code == 200
    assert (process.returncode, out) == (0, "")
    plain = [line for line in said.splitlines() if not line.startswith("{")]
    assert plain == ["finishing 1 calls, 600 seconds at most; once more ends them"]
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    told = [(line["status"], line.get("images")) for line in lines if "status" in line]
    assert (200, 1) in told
    assert TOKEN not in said
    assert "otter" not in said
