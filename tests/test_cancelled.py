"""A sample of the calls that tests/reliability.py ends at every point; and its table."""

from __future__ import annotations

import asyncio
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
from tried import Tried

WAYS = [("asyncio", "task"), ("asyncio", "scope"), ("trio", "scope")]


@pytest.mark.parametrize(("backend", "by"), WAYS)
def test_a_call_that_is_cancelled_leaves_nothing(backend: str, by: str) -> None:
    names = ["streamed", "split in three", "a large upload"]
    came = cancelled.turned(backend, by, names, 5)
    assert came.count > 10
    assert came.wrong == []


def test_a_call_that_is_interrupted_leaves_nothing() -> None:
    came = cancelled.interrupted(["streamed", "split in three"], 499)
    assert came.count > 5
    assert came.wrong == []


def test_a_stream_that_is_left_leaves_nothing() -> None:
    came = cancelled.quit_early()
    assert came.count > 50
    assert came.wrong == []


def test_a_signal_and_an_end_of_the_interpreter() -> None:
    names = ["Ctrl-C, blocking: split in three", "exit amid a split stream that is never closed"]
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


def one_right() -> Tried:
    return Tried(3)


def one_wrong() -> Tried:
    return Tried(12, [f"trial {turn}" for turn in range(12)])


def crashes() -> Tried:
    raise RuntimeError("it broke")


def nothing() -> Tried:
    return Tried()


def test_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    every = [(name, f"test_cancelled:{name}") for name in ("one_right", "one_wrong", "crashes")]
    every += [("nothing", "test_cancelled:nothing")]
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
    assert said.endswith("4 classes, 15 tried, 14 wrong\n")
    assert reliability.main("no such class", classes=every) == 1


def hangs() -> Tried:
    import time

    time.sleep(60)
    return Tried(1)


def test_a_class_that_hangs_is_ended() -> None:
    came, took = reliability.apart("test_cancelled:hangs", 1.0)
    assert came.count == 0
    assert "it hangs" in came.wrong[0]
    assert took < 30


def test_each_class_is_there() -> None:
    import importlib

    for name, where in reliability.CLASSES:
        module, _, function = where.partition(":")
        assert len(name) <= 66
        if importlib.util.find_spec(module):
            assert callable(getattr(importlib.import_module(module), function)), where


def test_what_is_left_is_said(tmp_path: Path) -> None:
    with Stub() as stub:
        assert cancelled.left(stub, cancelled.descriptors(), tmp_path) == ""
        assert cancelled.left(stub, cancelled.descriptors() - 2, tmp_path) == "2 descriptors"
        (tmp_path / "a.part").touch()
        assert "a.part" in cancelled.left(stub, cancelled.descriptors(), tmp_path)
        assert not cancelled.good(imagekit.ImageResponse(slots=(), model="m"))
