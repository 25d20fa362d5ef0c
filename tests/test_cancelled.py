"""A sample of the calls that tests/reliability.py ends at every point; and its table."""

from __future__ import annotations

import asyncio
import gc
import re
import signal
import sys
import threading
import time
import types
from pathlib import Path
from typing import Any

import anyio
import pytest

import cancelled
import imagekit
import reliability
from imagekit._perform import perform, performed
from imagekit.provider import HttpRequest, Send
from proxied import Stub

WAYS = [("asyncio", "task"), ("asyncio", "scope"), ("trio", "scope")]


@pytest.mark.parametrize(("backend", "by"), WAYS)
def test_a_call_that_is_cancelled_leaves_nothing(backend: str, by: str) -> None:
    came = cancelled.turned(backend, by, ["a large upload", "split, streamed into files"], 11)
    assert came.count > 5
    assert came.wrong == []


def test_a_call_that_is_interrupted_leaves_nothing() -> None:
    came = cancelled.interrupted(["split, streamed into files"], 499)
    assert came.count > 1
    assert came.wrong == []


@pytest.mark.skipif(sys.platform == "win32", reason="there are no timers that send signals")
def test_a_call_that_a_signal_strikes_leaves_nothing() -> None:
    came = cancelled.struck(["split in three"], 6)
    assert (came.count, came.wrong) == (6, [])


def test_who_is_interrupted_while_threads_are_started_sees_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start, started = threading.Thread.start, []

    def strikes(self: threading.Thread) -> None:
        if self.name == "imagekit":
            if started:
                raise KeyboardInterrupt
            started.append(self)
        start(self)

    with Stub() as stub:
        monkeypatch.setattr(threading.Thread, "start", strikes)
        given: dict[str, Any] = cancelled.settings(stub)
        with imagekit.Client(**given) as client, pytest.raises(KeyboardInterrupt):
            client.generate("a cat", provider="responses", n=3)
        assert not [one for one in threading.enumerate() if one.name == "imagekit"]


def test_a_blocking_call_takes_no_lock_that_an_interrupt_leaves_taken(tmp_path: Path) -> None:
    # What `Event`, `Queue` and `Semaphore` hold is a `Condition`, which is Python code.
    taken = []

    def called(frame: types.FrameType, event: str, value: Any) -> None:
        if frame.f_code is threading.Condition.__enter__.__code__ and event == "call":
            assert frame.f_back is not None
            if not cancelled.starts_a_thread(frame):
                taken.append(frame.f_back.f_code.co_name)

    before = sys.getprofile()
    with Stub() as stub, imagekit.Client(**cancelled.settings(stub)) as client:
        for call in cancelled.calls(tmp_path).values():
            sys.setprofile(called)
            try:
                assert cancelled.good(cancelled._blocking(client, call))
            finally:
                sys.setprofile(before)
    assert taken == []


@pytest.mark.skipif(sys.platform == "win32", reason="there are no timers that send signals")
def test_no_signal_strikes_python_as_it_starts_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    wait, thread = threading.Event.wait, threading.Thread(target=int)

    def strikes(self: threading.Event, timeout: float | None = None) -> bool:
        here._strike(signal.SIGALRM, sys._getframe())
        return wait(self, timeout)

    monkeypatch.setattr(threading.Event, "wait", strikes)

    def start() -> None:
        thread.start()
        time.sleep(60)

    with pytest.raises(KeyboardInterrupt), cancelled.Struck(60) as here:
        start()
    thread.join()
    assert here.where.startswith("test_cancelled.py:")
    with pytest.raises(KeyboardInterrupt):
        strikes(threading.Event())


def test_a_with_is_left_between_two_signals() -> None:
    seen: list[tuple[int, bool]] = []

    def line(frame: Any, event: str, value: Any) -> Any:
        if event == "line":
            seen.append(
                (frame.f_lineno - frame.f_code.co_firstlineno, cancelled.leaves_a_with(frame))
            )
        return line

    def held(lock: Any) -> int:
        with lock:
            for turn in range(2):
                if turn:
                    return turn
        return 0

    before = sys.gettrace()
    sys.settrace(lambda frame, *_: line if frame.f_code is held.__code__ else None)
    held(threading.Lock())
    sys.settrace(before)
    assert [at for at, leaves in seen if leaves] == [1]
    assert seen[0] == (1, False)


def test_a_stream_that_is_left_leaves_nothing() -> None:
    came = cancelled.quit_early(["split, streamed into files"])
    assert came.count == 33
    assert came.wrong == []


def test_a_signal_and_an_end_of_the_interpreter() -> None:
    names = ["Ctrl-C, blocking: split in three", "exit in a thread's call: into a file"]
    came = cancelled.processes(names)
    assert (came.count, came.wrong) == (2, [])


# What performs in a task of its own


class Closing:
    """A transport that needs a moment to close what it opened, as all do."""

    def __init__(self) -> None:
        self.begun, self.closed = anyio.Event(), False

    async def send(self, request: Any) -> Any:
        try:
            self.begun.set()
            await anyio.sleep(60)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.01)
                await anyio.sleep(0.01)
                self.closed = True


def asks() -> Any:
    yield Send(HttpRequest("GET", "https://nowhere.invalid"))


def ended(perform: Any) -> bool:
    """Whether all is closed though the task is cancelled amid its closing, too."""

    async def main() -> bool:
        transport = Closing()
        task = asyncio.ensure_future(perform(asks(), transport))
        await transport.begun.wait()
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0.005)
        with pytest.raises(asyncio.CancelledError):
            await task
        return transport.closed

    return anyio.run(main)


def test_cancelling_a_task_of_asyncio_closes_everything() -> None:
    assert ended(performed)
    assert not ended(perform)  # or it would take no task of its own


@pytest.mark.parametrize("begun", [False, True])
def test_a_call_whose_own_task_alone_is_cancelled_ends(begun: bool) -> None:
    async def main() -> bool:
        transport = Closing()
        task = asyncio.ensure_future(performed(asks(), transport))
        await (transport.begun.wait() if begun else asyncio.sleep(0))
        [own] = asyncio.all_tasks() - {asyncio.current_task(), task}
        own.cancel()
        await asyncio.wait([task], timeout=30)
        return task.cancelled() and transport.begun.is_set() == begun

    with cancelled.Unheard() as unheard:
        assert anyio.run(main)
        # Python says so of whatever is cancelled before it begins.
        assert all("was never awaited" in one for one in unheard.take())


def test_what_goes_wrong_amid_cancelling_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    class Breaks(Closing):
        async def send(self, request: Any) -> Any:
            try:
                await super().send(request)
            except asyncio.CancelledError:
                raise OSError from None

    async def main() -> bool:
        transport = Breaks()
        task = asyncio.ensure_future(performed(asks(), transport))
        await transport.begun.wait()
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert anyio.run(main)
    gc.collect()
    assert caplog.messages == []


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_what_a_flow_raises_comes_out_as_it_is(backend: str) -> None:
    def flow() -> Any:
        raise ValueError("x")
        yield

    async def main() -> None:
        transport: Any = None
        with pytest.raises(ValueError, match="x"):
            await performed(flow(), transport)

    anyio.run(main, backend=backend)


def test_a_cancellation_that_a_flow_raises_itself_comes_out() -> None:
    def flow() -> Any:
        raise asyncio.CancelledError
        yield

    async def main() -> None:
        transport: Any = None
        with pytest.raises(asyncio.CancelledError):
            await performed(flow(), transport)

    anyio.run(main)


# The table


CLASSES = """
import time
from tried import Tried

def one_right(): return Tried(3)
def one_wrong(): return Tried(12, [f"trial {turn}" for turn in range(12)])
def crashes(): raise RuntimeError("it broke")
def nothing(): return Tried()
def hangs(): time.sleep(60)
"""


@pytest.fixture
def classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Classes in a module that is soon imported."""
    (tmp_path / "some_classes.py").write_text(CLASSES)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


@pytest.mark.usefixtures("classes")
def test_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    names = ("one_right", "one_wrong", "crashes", "nothing")
    every = [(name, f"some_classes:{name}") for name in names]
    assert reliability.main("right", classes=every) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:3] == ["one_right", "3", "0"]
    assert lines[-1] == "1 classes, 3 tried, 0 wrong"
    assert reliability.main(classes=every) == 1
    said = capsys.readouterr().out
    assert "    WRONG trial 0\n" in said
    assert "    ... and 2 more\n" in said
    assert "it ended with 1" in said
    assert "RuntimeError: it broke" in said
    assert "WRONG nothing was tried" in said
    table, *wrong = said.split("\nwrong: ")
    assert "one_wrong" in table
    assert [one.splitlines()[0] for one in wrong] == ["one_wrong", "crashes", "nothing"]
    assert "WRONG trial 6" in wrong[0]
    assert "it ended with 1\n" in wrong[1]
    assert said.endswith("4 classes, 15 tried, 14 wrong\n")
    assert said.index("\nwrong: ") > said.index("RuntimeError: it broke")
    assert len(said.splitlines()) - len(table.splitlines()) <= reliability.SUMMARY + 1
    assert reliability.main("no such class", classes=every) == 2
    assert capsys.readouterr().out.startswith("no class says no such class; there are:\n    ")


@pytest.mark.usefixtures("classes")
def test_a_class_that_hangs_is_ended() -> None:
    # It says where, unless a busy machine has hardly begun it.
    for limit in (1.0, 5.0, 25.0):
        came, took = reliability.apart("some_classes:hangs", limit)
        assert came.count == 0
        assert "it hangs" in came.wrong[0]
        assert took < limit + 30
        if "some_classes.py" in came.wrong[0]:
            break
    assert re.search(r"it hangs\n.*Current thread.*\n.*in hangs\n", came.wrong[0])


def test_where_it_hangs_is_told_from_the_main_thread_on() -> None:
    dump = "\n\n".join(("Thread 2:\n  in wait", "Current thread 1:\n  in read\n  in main\n"))
    assert reliability.last_words(dump, hangs=True)[:2] == ["Current thread 1:", "  in read"]
    many = "\n".join(map(str, range(99)))
    assert reliability.last_words(many, hangs=False)[-2:] == ["97", "98"]


def test_each_class_is_there() -> None:
    for name, where in reliability.CLASSES:
        module, _, function = where.partition(":")
        assert len(name) <= 66
        text = Path(__file__).parent.joinpath(*module.split(".")).with_suffix(".py").read_text()
        assert re.search(rf"^(def {function}\(|{function} = )", text, re.MULTILINE), where


def test_what_is_left_is_said(tmp_path: Path) -> None:
    with Stub() as stub:
        assert cancelled.left(stub, cancelled.descriptors(), tmp_path) == ""
        assert cancelled.left(stub, cancelled.descriptors() - 2, tmp_path) == "2 descriptors"
        (tmp_path / "a.part").touch()
        assert "a.part" in cancelled.left(stub, cancelled.descriptors(), tmp_path)
        assert cancelled.left(stub, cancelled.swept(tmp_path), tmp_path) == ""
        assert not cancelled.good(imagekit.ImageResponse(slots=(), model="m"))
