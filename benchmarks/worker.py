"""One client in an environment of its own, asked again and again, or once in a fresh process.

    python -m benchmarks.worker NAME URL            answers lines of JSON by lines of JSON
    python -m benchmarks.worker NAME URL MEASURE    one figure of a fresh process

What is loaded here is there before a client is: as little as can be.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from .client import Client, client

T = TypeVar("T")


def taken(made: Any) -> int:
    """Look at each picture of a list or a stream once, and let it go; how many there were."""
    number = 0
    for data in made:
        if len(data) < 100:
            raise AssertionError("no picture")
        number += 1
    return number


async def awaited(asked: Any) -> int:
    """The same of a coroutine, or of a stream of them."""
    if hasattr(asked, "__aiter__"):
        return sum([len(data) >= 100 async for data in asked])
    return taken(await asked)


class Worker:
    """The measures, each a method."""

    def __init__(self, name: str, url: str) -> None:
        self.name, self.url = name, url
        self._client: Client | None = None
        self._runner: Any = None

    @property
    def client(self) -> Client:
        """The one client of this process."""
        if self._client is None:
            self._client = client(self.name, self.url)
        return self._client

    def run(self, main: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Await what *main* makes, on the one event loop of this process."""
        if self._runner is None:
            import asyncio

            self._runner = asyncio.Runner()
        found: T = self._runner.run(main())
        return found

    def _once(self, verb: str, prompt: str, files: Sequence[str], n: int) -> Any:
        if verb.endswith("edit"):
            return getattr(self.client, verb)([Path(one) for one in files])
        if verb.endswith("images"):
            return getattr(self.client, verb)(prompt, n)
        return getattr(self.client, verb)(prompt)

    def can(self, verb: str) -> bool:
        """Whether the client has *verb*."""
        return self.client.can(verb)

    def about(self) -> list[str]:
        """Which HTTP libraries a first call has loaded."""
        taken(self.client.images("1000"))
        return [name for name in ("httpx", "httpx2", "aiohttp") if name in sys.modules]

    def marks(
        self,
        verb: str,
        prompt: str,
        files: Sequence[str] = (),
        n: int = 1,
    ) -> list[str]:
        """What the pictures that *verb* gives are known by."""
        from .pictures import marked

        if not verb.startswith("a"):
            return [marked(data) for data in self._once(verb, prompt, files, n)]

        async def main() -> list[str]:
            asked = self._once(verb, prompt, files, n)
            if hasattr(asked, "__aiter__"):
                return [marked(data) async for data in asked]
            return [marked(data) for data in await asked]

        return self.run(main)

    def saved(self, verb: str, prompt: str, path: str) -> None:
        """Save to *path* by *verb*."""
        getattr(self.client, verb)(prompt, Path(path))

    def checked(self, verb: str, files: Sequence[str]) -> None:
        """Upload *files* to where the stub compares them."""
        self.url = self.url.replace("/v1", "/checked/v1")
        self.marks(verb, "", files)

    def cpu(
        self,
        verb: str,
        prompt: str,
        times: int,
        files: Sequence[str] = (),
        n: int = 1,
    ) -> float:
        """Seconds of processor that a call takes, all threads together."""
        if not verb.startswith("a"):
            before = time.process_time()
            for _ in range(times):
                taken(self._once(verb, prompt, files, n))
            return (time.process_time() - before) / times

        async def main() -> float:
            before = time.process_time()
            for _ in range(times):
                await awaited(self._once(verb, prompt, files, n))
            return (time.process_time() - before) / times

        return self.run(main)

    def held(self, verb: str, prompt: str, times: int) -> float:
        """Seconds of the loop's longest turn during a call, less the longest of an idle loop.

        Another task takes every turn that it can get; the shortest of *times* counts, for the
        system too holds a process up now and then. While others have the processor no turn goes on.
        """
        import asyncio

        async def ticking(work: Any, clock: Callable[[], float]) -> float:
            longest, doing = 0.0, asyncio.ensure_future(work)
            last = clock()
            while not doing.done():
                await asyncio.sleep(0)
                now = clock()
                longest, last = max(longest, now - last), now
            doing.result()
            return longest

        async def main() -> float:
            asked = partial(self._once, verb, prompt, [], 1)
            with own_clock() as clock:
                idle = min([await ticking(asyncio.sleep(0.02), clock) for _ in range(times)])
                busy = min([await ticking(awaited(asked()), clock) for _ in range(times)])
            return max(0.0, busy - idle)

        return self.run(main)

    def latency(self, verb: str, prompt: str, times: int) -> float:
        """Seconds from the last bytes of a preview to its picture: the shortest of some streams'.

        The process sleeps before them, and is woken when others let go of the processor.
        """
        from urllib.request import urlopen

        def sent() -> list[float]:
            with urlopen(self.url.replace("/v1", "/sent")) as answer:
                found: list[float] = json.load(answer)
                return found

        async def watched(seen: list[float]) -> None:
            async for _ in getattr(self.client, verb)(prompt):
                seen.append(time.perf_counter())  # noqa: PERF401  # one by one

        took: list[float] = []
        sent()
        for _ in range(times):
            seen: list[float] = []
            if verb.startswith("a"):
                self.run(partial(watched, seen))
            else:
                for _ in getattr(self.client, verb)(prompt):
                    seen.append(time.perf_counter())  # noqa: PERF401
            *previews, _ = zip(sent(), seen, strict=True)
            took += [after - before for before, after in previews]
        return min(took)

    def together(self, prompt: str, many: int, total: int) -> tuple[float, float]:
        """Seconds by the clock, and of processor for each of *total* calls, *many* at once."""
        import asyncio

        async def main() -> tuple[float, float]:
            left = iter(range(total))

            async def one() -> None:
                for _ in left:
                    taken(await self.client.aimages(prompt))

            clock, before = time.perf_counter(), time.process_time()
            await asyncio.gather(*(one() for _ in range(many)))
            took = time.process_time() - before
            return time.perf_counter() - clock, took / total

        return self.run(main)

    def first(self) -> float:
        """Seconds by the clock of the first Responses stream of this process."""
        made = self.client
        made.made()
        before = time.perf_counter()
        if taken(made.responses("1000", 0)) != 1:
            raise AssertionError("one picture was expected")
        return time.perf_counter() - before

    def grown(self, verb: str, prompt: str, warm: str, files: Sequence[str] = ()) -> float:
        """Bytes by which the peak of this process is above what it held after a warm-up.

        The warm-up's pictures are as large as *warm* says; of files it has the first one. With
        files, or a file to save to, it is above the peak of the warm-up: only what grows counts.
        """
        self._kept(verb, warm, files[:1])
        # The peak may be that of an import.
        _forget()
        for _ in range(3):
            self._kept(verb, warm, files[:1])
        before = _peak()
        if not files:
            _forget()
            before = _resident()
        self._kept(verb, prompt, files)
        return _peak() - before

    def _kept(self, verb: str, prompt: str, files: Sequence[str]) -> Any:
        # The newest picture is kept, as who shows it does.
        if verb.startswith("save"):
            getattr(self.client, verb)(prompt, Path(files[0]))
            return None
        newest = None
        for data in self._once(verb, prompt, files, 1):
            newest = data
        return newest


@contextmanager
def own_clock() -> Iterator[Callable[[], float]]:
    """The clock, less what this thread waits for others to let go of the processor.

    Where the system does not tell of that, it is just the clock.
    """
    told = Path("/proc/thread-self/schedstat")
    if not told.exists():
        yield time.perf_counter
        return
    with told.open("rb", buffering=0) as file:
        yield lambda: time.perf_counter() - int(os.pread(file.fileno(), 64, 0).split()[1]) / 1e9


def _forget() -> None:
    """Have the system forget the peak so far, where it can."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise ValueError(name)


def _resident() -> int:
    if Path("/proc/self/status").exists():
        return _status("VmRSS")
    return _peak()


def _peak() -> int:
    # Not ru_maxrss where it can be helped: a child begins with its parent's.
    if Path("/proc/self/status").exists():
        return _status("VmHWM")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    name, url, *once = sys.argv[1:]
    worker = Worker(name, url)
    os.environ.setdefault("NO_PROXY", "127.0.0.1")
    # Whatever a client prints is not an answer.
    answers, sys.stdout = sys.stdout, sys.stderr
    lines = once or iter(sys.stdin.readline, "")
    for line in lines:
        asked = json.loads(line)
        try:
            said = {"said": getattr(worker, asked.pop("do"))(**asked)}
        except Exception as error:
            said = {"wrong": f"{type(error).__name__}: {error}"[:300]}
        print(json.dumps(said), file=answers, flush=True)


if __name__ == "__main__":
    main()
