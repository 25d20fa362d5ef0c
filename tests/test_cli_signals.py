"""Signals that end the command line: as Ctrl-C does, whatever else is going on."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import socket
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from stevedore import ExtensionManager

import cli_toy
from cli_terminal import environment
from imagekit._cli import _faults, _main, _progress, _stopped, main
from imagekit._cli._stopped import Stopped, stoppable

BOTH = pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cli_toy.install(tmp_path_factory.mktemp("site"))


@pytest.fixture(autouse=True)
def _alone(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ExtensionManager, "ENTRY_POINT_CACHE", {})
    monkeypatch.syspath_prepend(site)
    monkeypatch.chdir(tmp_path)
    cli_toy.SEEN.clear()


def ended(*words: str) -> object:
    """The exit code of a call that is made here."""
    with pytest.raises(SystemExit) as end:
        main(["generate", "x", "-n", "2", "-p", "toy", *words])
    return end.value.code


@BOTH
def test_it_keeps_what_came_and_closes_the_call(
    number: signal.Signals, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended("-O", f"signal={int(number)}") == code
    out, said = capsys.readouterr()
    assert out.startswith("x-1.png")
    assert f"imagekit: stopped by {number.name}\n" in said
    assert os.listdir() == ["x-1.png"]
    assert cli_toy.SEEN[-1] == "closed"
    assert signal.getsignal(number) is signal.SIG_DFL


def test_outside_a_call_it_is_the_same_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def told_to_stop() -> None:
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr("imagekit._installed.installed", told_to_stop)
    with pytest.raises(SystemExit) as end:
        main(["providers"])
    assert end.value.code == 143


def test_what_is_ignored_stays_so() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert ended("-O", f"signal={int(signal.SIGHUP)}") == 0
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def test_sent_twice_at_once_it_is_one_and_later_another(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(_stopped.time, "monotonic", lambda: now[0])
    with stoppable():
        with pytest.raises(Stopped):
            signal.raise_signal(signal.SIGHUP)
        now[0] += 0.5
        signal.raise_signal(signal.SIGTERM)
        now[0] += 1.5
        with pytest.raises(Stopped, match="stopped by SIGTERM"):
            signal.raise_signal(signal.SIGTERM)


def test_in_another_thread_nobody_can_listen_for_one() -> None:
    codes: list[object] = []
    thread = threading.Thread(target=lambda: codes.append(ended()))
    thread.start()
    thread.join()
    assert codes == [0]


def test_a_terminal_that_is_gone_changes_no_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*given: object, **also: object) -> None:
        raise OSError(errno.EIO, "gone")

    monkeypatch.setattr(_main, "told", gone)
    with pytest.raises(SystemExit) as end:
        main(["generate", "--nonsense"])
    assert end.value.code == 2
    shown = _progress.Shown(1, live=True)
    monkeypatch.setattr(shown._live, "stop", gone)
    with pytest.raises(Stopped), shown:
        raise Stopped(signal.SIGHUP)


def test_only_what_is_gone_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what cannot be written to for another reason stays what it is."""
    told: list[int] = []

    def write(stream: int, data: bytes) -> int:
        if stream == 1:
            raise OSError(errno.EBADF, "closed")
        raise OSError(errno.EIO, "gone")

    monkeypatch.setattr(os, "write", write)
    monkeypatch.setattr(os, "dup2", lambda old, new: told.append(new))
    _stopped._let_go()
    assert told == [2]


def test_json_names_it() -> None:
    assert _faults.as_data(Stopped(signal.SIGHUP), free=True) == {
        "class": "Stopped",
        "message": "stopped by SIGHUP",
        "billed": "no",
    }


class Stalling:
    """A host that begins an answer and never ends it."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}/v1"
        self.left = threading.Event()
        self._thread = threading.Thread(target=self._answer)
        self._thread.start()

    def _answer(self) -> None:
        with self._listening, self._listening.accept()[0] as connection:
            asked = b""
            while b"}" not in asked:
                asked += connection.recv(65536)
            head = (
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9000000\r\n"
            )
            picture = b"iVBORw0KGgoA" + b"AAAA" * 50_000
            connection.settimeout(60)
            # What has not been read by then makes the end a reset.
            with suppress(ConnectionResetError, BrokenPipeError):
                connection.sendall(head + b'\r\n{"data": [{"b64_json": "' + picture)
                assert connection.recv(1) == b""
            self.left.set()

    def over(self) -> bool:
        """Whether who asked has closed its connection."""
        self._thread.join(60)
        return self.left.is_set()


@pytest.fixture
def stalling() -> Iterator[Stalling]:
    host = Stalling()
    yield host
    host._thread.join(60)


def until(there: Callable[[], object]) -> None:
    for _ in range(2000):
        if there():
            return
        time.sleep(0.01)
    raise AssertionError("it never came")


def read_out(terminal: int) -> Iterator[bytes]:
    """What was written to it, in the pieces that come."""
    with suppress(OSError):  # so it ends on Linux
        while piece := os.read(terminal, 65536):
            yield piece


@pytest.mark.parametrize("how", ["SIGTERM", "the terminal is closed"])
def test_a_process_leaves_nothing_behind(
    how: str, stalling: Stalling, site: Path, tmp_path: Path
) -> None:
    master, slave = os.openpty()
    words = ["generate", "x", "-p", "openai-images", "--base-url", stalling.url, "-o", "x.png"]
    with subprocess.Popen(
        [sys.executable, "-m", "imagekit", *words],
        env=environment(site, OPENAI_API_KEY="sk-of-nobody", TERM="xterm"),
        cwd=tmp_path,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    ) as process:
        os.close(slave)
        until(lambda: list(tmp_path.glob("*.part")))
        if how == "SIGTERM":
            process.terminate()
        else:
            os.close(master)
        process.wait(60)
    assert process.returncode == (143 if how == "SIGTERM" else 129)
    assert list(tmp_path.iterdir()) == []
    assert stalling.over()
    if how == "SIGTERM":
        shown = b"".join(read_out(master)).decode()
        os.close(master)
        assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l"), "the cursor is back"
        assert "imagekit: stopped by SIGTERM" in shown
