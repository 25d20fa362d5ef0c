"""The calls that are being made: how many at once, what each has said, and how they end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")
ALIVE = b": keep-alive\n\n"


class BusyError(Exception):
    """As many calls as may be are being made already."""


class StoppingError(Exception):
    """The server is going down, and begins nothing new."""


class GoneError(Exception):
    """Whoever asked has left."""


class EndedError(Exception):
    """The call was ended before it was done."""


class Run:
    """One call in progress: frames that whoever follows it is sent, in order.

    With *keep* the frames stay, so that it can be followed again from any of them.
    """

    def __init__(self, *, keep: bool = False) -> None:
        self.done = self.open = False
        self.error: Exception | None = None
        self.task: asyncio.Task[None] | None = None
        self._keep = keep
        self._frames: list[bytes] = []
        self._moved = asyncio.Event()

    @property
    def frames(self) -> list[bytes]:
        """What it has said."""
        return list(self._frames)

    def say(self, frame: bytes) -> None:
        """Send *frame* to whoever follows."""
        self._frames.append(frame)
        self._move()

    def finish(self, error: Exception | None = None) -> None:
        """Say that there is no more."""
        self.done, self.error = True, error
        self._move()

    def _move(self) -> None:
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    async def begun(self, seconds: float) -> None:
        """Wait for the first frame, the end, or so many seconds; raises what it failed with.

        From then on it is open: what fails later is told in a frame.
        """
        if not self._frames and not self.done:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._moved.wait()
        if self.error is not None and not self._frames:
            raise self.error
        self.open = True

    async def follow(self, start: int, pause: float) -> AsyncIterator[bytes]:
        """The frames from number *start* on, and a comment after each *pause* without any."""
        at = start
        while True:
            while at < len(self._frames):
                frame = self._frames[at]
                if not self._keep:
                    self._frames[at] = b""
                at += 1
                yield frame
            if self.done:
                return
            try:
                async with asyncio.timeout(pause):
                    await self._moved.wait()
            except TimeoutError:
                yield ALIVE


# Longer than whoever was turned away waits before it asks again.
_YIELD = 3.0


class Runs:
    """Every call of one server, *most* of them at once.

    Up to half of them may be made behind the others, for nobody who waits: such work enters first,
    and then begins its calls. Where a caller is turned away, nothing more enters for a while.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._tasks: set[asyncio.Task[Any]] = set()
        self._behind: set[asyncio.Task[Any]] = set()
        self._chores: set[asyncio.Task[Any]] = set()
        self._inside = 0
        self._yields_until = 0.0
        self._hurried, self._moved = asyncio.Event(), asyncio.Event()
        self.stopping = False

    def __len__(self) -> int:
        return len(self._tasks)

    @property
    def _busy(self) -> bool:
        return len(self._tasks) - len(self._behind) + self._inside >= self._most

    def check(self, *, behind: bool = False) -> None:
        """Raise where nothing may be begun now; whoever has entered has its place."""
        if self.stopping:
            raise StoppingError
        if not behind and self._busy:
            self._yields_until = asyncio.get_running_loop().time() + _YIELD
            raise BusyError

    def begin(
        self, work: Callable[[], Coroutine[Any, Any, T]], *, behind: bool = False
    ) -> asyncio.Task[T]:
        """Start *work*, which goes on whoever leaves."""
        task = asyncio.create_task(work())
        for kind in (self._tasks, self._behind) if behind else (self._tasks,):
            kind.add(task)
            task.add_done_callback(kind.discard)
        task.add_done_callback(lambda _: self.nudge())
        return task

    def chore(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start *work* that makes calls by itself, and ends soon after the last of them."""
        task = asyncio.create_task(work())
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)

    async def enter(self, wanted: Callable[[], bool]) -> bool:
        """Wait for a place behind the others; whether there is one, and it is *wanted* still."""
        while wanted() and not self.stopping:
            left = self._yields_until - asyncio.get_running_loop().time()
            if self._inside < max(1, self._most // 2) and not self._busy and left <= 0:
                self._inside += 1
                return True
            with suppress(TimeoutError):
                async with asyncio.timeout(left if left > 0 else None):
                    await self._moved.wait()
        return False

    def leave(self) -> None:
        """Give back the place."""
        self._inside -= 1
        self.nudge()

    def nudge(self) -> None:
        """Have whoever waits for a place look again."""
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    def begin_again(self) -> None:
        """Begin new calls, after an end."""
        self._hurried, self.stopping = asyncio.Event(), False

    def hurry(self) -> None:
        """Wait no longer for what is being finished."""
        self._hurried.set()

    async def finish(self, grace: float) -> int:
        """Begin nothing new, wait for what goes on, end the rest; how many were ended."""
        self.stopping = True
        self.nudge()
        left = self._tasks | self._chores
        if left:
            hurried: asyncio.Task[Any] = asyncio.create_task(self._hurried.wait())
            done: asyncio.Task[Any] = asyncio.create_task(asyncio.wait(left))
            await asyncio.wait({hurried, done}, timeout=grace, return_when="FIRST_COMPLETED")
            for waiting in (hurried, done):
                waiting.cancel()
        ended = {task for task in self._tasks if not task.done()}
        for task in ended:
            task.cancel()
        await asyncio.gather(*ended, *self._chores, return_exceptions=True)
        return len(ended)


async def unless_gone(
    task: asyncio.Task[T], receive: Callable[[], Awaitable[Any]], *, cancel: bool = True
) -> T:
    """What *task* comes to; ended, and `GoneError`, if the client leaves before.

    `EndedError` where somebody else has ended it.
    """

    async def left() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    watch = asyncio.create_task(left())
    try:
        await asyncio.wait({task, watch}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise GoneError
        if task.cancelled():
            raise EndedError
        return task.result()
    finally:
        watch.cancel()
        if cancel and not task.done():
            task.cancel()
        await asyncio.gather(watch, return_exceptions=True)
