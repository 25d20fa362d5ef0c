"""Calls that are ended from outside at every point there is, and what they must leave behind.

An async call is cancelled at each turn of its event loop, a blocking one interrupted at its lines;
in processes of their own there are real signals, and interpreters that end. Nothing stays: no
task, thread, socket, temporary file or flow; and the same client makes the next call.
"""

from __future__ import annotations

import asyncio
import gc
import linecache
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import types
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import Any, Self

import anyio
import anyio.lowlevel
import trio

import alone  # noqa: F401
import imagekit
from faults import COLOURS, QUICK
from proxied import LARGE, SMALL, Stub, descriptors
from toys import picture
from tried import Tried

UPLOAD = picture() + bytes(3 * 2**20)
KEY = "sk-cancelled-0123456789"
# Seconds until something that was ended has to be gone.
PATIENCE = 10.0
# Seconds until a process of its own has to end, and from when it has begun: what it waits for takes
# a minute, or for ever. On a busy machine the first call takes most of them.
LONG, AWHILE = 120.0, 55.0
# Seconds until a signal tries again that came where none may strike.
SOON = 0.0001


# What is asked: the same calls by either client


def calls(folder: Path) -> dict[str, tuple[str, tuple[Any, ...], dict[str, Any]]]:
    """The verb of each call, and what it is given."""
    path = folder / "in.png"
    if not path.exists():
        path.write_bytes(UPLOAD)
    images, responses = {"provider": "images"}, {"provider": "responses"}
    return {
        "whole": ("generate", ("a cat",), images),
        "whole, large": ("generate", ("large",), responses),
        "streamed": ("stream", ("a cat",), {**images, "partial_images": 1}),
        "streamed, large": ("stream", ("large",), {**responses, "partial_images": 1}),
        "split in three": ("generate", ("a cat",), {**responses, "n": 3}),
        "split in three, streamed": ("stream", ("a cat",), {**responses, "n": 3}),
        "polled": ("generate", ("a cat",), {**responses, "detach": True}),
        "a large upload": ("edit", ("a cat",), {**images, "images": [path]}),
        "fallen back": ("generate", ("a cat",), {"provider": ["nobody", "images"]}),
        "by url": ("generate", ("by url",), images),
        "into a file": ("generate", ("chunked large",), {**images, **into(folder)}),
        "by url into a file": ("generate", ("by url",), {**images, **into(folder)}),
        "split, streamed into files": (
            "stream",
            ("large",),
            {**responses, "n": 2, "partial_images": 1, **into(folder, "-{n}")},
        ),
    }


def into(folder: Path, number: str = "") -> dict[str, Any]:
    """That pictures go to files, over those that are there."""
    return {"into": folder / f"out{number}.png", "overwrite": True}


def settings(stub: Stub) -> dict[str, Any]:
    """A client of *stub*, and of a port where nobody listens."""
    host, port = stub.address
    url = f"http://{host}:{port}/v1"
    profiles = [
        imagekit.Profile("nobody", "openai-images", "http://127.0.0.1:9/v1", KEY),
        imagekit.Profile("images", "openai-images", url, KEY),
        imagekit.Profile("responses", "openai-responses", url, KEY),
    ]
    return {"profiles": profiles, "env": {}, "config": False, "retry": QUICK}


def left(stub: Stub, before: int, folder: Path) -> str:
    """What a call left behind."""
    threads = [one.name for one in threading.enumerate() if one.name == "imagekit"]
    if threads:
        return f"{len(threads)} threads"
    if stub.busy:
        return "a connection"
    if (more := descriptors() - before) > 0:
        return f"{more} descriptors"
    files = [one.name for one in folder.rglob("*.part")]
    files += [one.name for one in folder.glob("out*") if one.read_bytes() not in (SMALL, LARGE)]
    return f"files: {files}" if files else ""


def swept(folder: Path) -> int:
    """Remove what was left, which is said once; the descriptors that stay."""
    for one in (*folder.rglob("*.part"), *folder.glob("out*")):
        one.unlink()
    return descriptors()


def flows() -> list[str]:
    """The generators and coroutines of ours that are neither at their end nor closed."""
    gc.collect()
    found = []
    for one in gc.get_objects():
        for kind in ("gi", "cr", "ag"):
            code = getattr(one, f"{kind}_code", None) if type(one) in SUSPENDED else None
            if (
                (
                    code is not None
                    and "imagekit" in code.co_filename
                    and "/tests/" not in code.co_filename
                )
                and getattr(one, f"{kind}_frame", None) is not None
                and not getattr(one, f"{kind}_running")
            ):
                found.append(code.co_qualname if hasattr(code, "co_qualname") else code.co_name)
    return found


SUSPENDED = (types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType)


def good(response: Any) -> bool:
    """Whether a call came to its pictures."""
    pictures = response.images if isinstance(response, imagekit.ImageResponse) else ()
    return bool(pictures) and all(one.data in (SMALL, LARGE) for one in pictures)


# Async calls, at every turn


class Turns(asyncio.SelectorEventLoop):
    """An event loop that calls `then` before its turn number `at`, counted since `begin`."""

    at, turn = -1, 0
    then: Callable[[], object] = staticmethod(lambda: None)

    def begin(self, at: int, then: Callable[[], object]) -> None:
        self.at, self.turn, self.then = at, 0, then

    def _run_once(self) -> None:
        self.turn += 1
        if self.turn == self.at:
            self.then()
        super()._run_once()  # type: ignore[misc]  # asyncio's own loop calls it by this name


class Steps(trio.abc.Instrument):
    """Calls `then` after a task's step number `at`, counted since `begin`."""

    at, turn = -1, 0
    then: Callable[[], object] = staticmethod(lambda: None)

    def begin(self, at: int, then: Callable[[], object]) -> None:
        self.at, self.turn, self.then = at, 0, then

    def after_task_step(self, task: object) -> None:
        self.turn += 1
        if self.turn == self.at:
            self.then()


async def made(client: Any, call: tuple[str, tuple[Any, ...], dict[str, Any]]) -> Any:
    verb, given, how = call
    if verb != "stream":
        return await getattr(client, verb)(*given, **how)
    async with client.stream(*given, **how) as stream:
        async for _ in stream:
            pass
    return stream.response


async def _ended(
    client: Any, call: Any, watch: Turns | Steps, at: int, by: str
) -> tuple[int, str, Any]:
    """How many turns *call* took, how it ended, and in what; ended before its turn *at*."""
    result: list[Any] = []

    async def doing() -> None:
        try:
            result.append(("came", await made(client, call)))
        except Exception as error:
            result.append(("raised", error))
        except BaseException:
            result.append(("cancelled", None))
            raise

    if by == "task":
        task = asyncio.ensure_future(doing())
        watch.begin(at, task.cancel)
        with suppress(asyncio.CancelledError):
            await task
    else:
        with anyio.CancelScope() as scope:
            watch.begin(at, scope.cancel)
            await doing()
    turns = watch.turn
    watch.begin(-1, lambda: None)
    [(how, found)] = result or [("cancelled", None)]
    return turns, how, found


async def _each_turn(
    name: str, call: Any, stub: Stub, watch: Turns | Steps, by: str, stride: int, folder: Path
) -> Tried:
    came, plain = Tried(), calls(folder)["whole"]
    async with imagekit.AsyncClient(**settings(stub)) as client:
        for _ in range(2):
            turns, how, found = await _ended(client, call, watch, -1, by)
            assert how == "came", found
        await _settled(stub, -1, folder)
        before, alive = descriptors(), len(flows())
        at = 0
        while at < turns * 2 + 20:
            at += stride
            stub.begin()
            took, how, found = await _ended(client, call, watch, at, by)
            came.count += 1
            where = f"{name}: cancelled ({by}) at {at} of {took}"
            if how == "raised" or (how == "came" and not good(found)):
                came.wrong.append(f"{where}: it {how} {found!r}")
            if what := await _settled(stub, before, folder):
                came.wrong.append(f"{where}: it leaves {what}")
                before = swept(folder)
            stub.begin()
            _, again, found = await _ended(client, plain, watch, -1, by)
            if again != "came" or not good(found):
                came.wrong.append(f"{where}: the next call {again} {found!r}")
            if how == "came" and took < at:
                break
        await _settled(stub, before, folder)
        if len(still := flows()) > alive:
            came.wrong.append(f"{name}: cancelled ({by}): flows are left: {still}")
    return came


async def _settled(stub: Stub, before: int, folder: Path) -> str:
    until = time.monotonic() + PATIENCE
    while what := left(stub, before if before >= 0 else 10**6, folder) or _tasks():
        if time.monotonic() > until:
            return what
        await anyio.sleep(0.001)
    return ""


def _tasks() -> str:
    names = [str(one.name) for one in anyio.get_running_tasks() if "imagekit" in str(one.name)]
    return f"tasks: {names}" if names else ""


def turned(backend: str, by: str, names: Iterable[str] = (), stride: int = 1) -> Tried:
    """Each of these calls (or all), cancelled at every *stride*-th turn."""
    came = Tried()
    with tempfile.TemporaryDirectory() as there, Stub() as stub, Unheard() as unheard:
        folder = Path(there)
        for name, call in calls(folder).items():
            if names and name not in names:
                continue
            steps = Steps()

            async def main(name: str = name, call: Any = call, steps: Steps = steps) -> Tried:
                loop: Any = steps if backend == "trio" else asyncio.get_running_loop()
                return await _each_turn(name, call, stub, loop, by, stride, folder)

            options: dict[str, Any] = (
                {"instruments": [steps]} if backend == "trio" else {"loop_factory": Turns}
            )
            came += anyio.run(main, backend=backend, backend_options=options)
            came.wrong += [f"{name}: {one}" for one in unheard.take()]
    return came


class Unheard:
    """What Python says to nobody: of exceptions that are ignored, and of what was left open."""

    def __enter__(self) -> Self:
        self.said: list[str] = []
        self._hook, sys.unraisablehook = sys.unraisablehook, self._hear
        self._caught = warnings.catch_warnings()
        self._caught.__enter__()
        warnings.simplefilter("error", ResourceWarning)
        return self

    def _hear(self, args: Any) -> None:
        # An interrupt that strikes while Python clears something away is lost, whoever wrote it.
        if not isinstance(args.exc_value, KeyboardInterrupt):
            self.said.append(f"unheard: {args.exc_value!r} in {args.object!r}")

    def take(self) -> list[str]:
        gc.collect()
        said, self.said = self.said, []
        return said

    def __exit__(self, *_: object) -> None:
        self._caught.__exit__(None, None, None)
        sys.unraisablehook = self._hook


# Blocking calls, interrupted at their lines


class Interrupt:
    """Raises `KeyboardInterrupt` at line number *at* of our own code, as a signal would."""

    def __init__(self, at: int) -> None:
        self.at, self.line = at, 0
        self.where = ""

    def __enter__(self) -> Self:
        # Whoever measures coverage traces too, and goes on after us.
        self._before = sys.gettrace()
        sys.settrace(self._call)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def _call(self, frame: types.FrameType, event: str, value: Any) -> Any:
        name = frame.f_code.co_filename
        return self._line if "imagekit" in name and "/tests/" not in name else None

    def _line(self, frame: types.FrameType, event: str, value: Any) -> Any:
        if event == "line":
            self.line += 1
            if self.at > 0 and self.line >= self.at and not leaves_a_with(frame):
                self.where = f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
                sys.settrace(self._before)
                raise KeyboardInterrupt
        return self._line


@cache
def _first_of_lines(code: types.CodeType) -> Mapping[int, int]:
    """Where the instructions of each line of *code* begin."""
    found: dict[int, int] = {}
    for start, _, line in code.co_lines():
        if line is not None:
            found.setdefault(line, start)
    return found


def leaves_a_with(frame: types.FrameType) -> bool:
    """Whether *frame* comes back to a `with` to leave it.

    Python says "line" there, but no signal strikes there: it asks for them after a call and on its
    way back in a loop, and the block's last call is still within the block.
    """
    line = linecache.getline(frame.f_code.co_filename, frame.f_lineno).lstrip()
    first = _first_of_lines(frame.f_code)[frame.f_lineno]
    return line.startswith(("with ", "async with ")) and frame.f_lasti > first


def _blocking(client: Any, call: Any) -> Any:
    verb, given, how = call
    if verb != "stream":
        return getattr(client, verb)(*given, **how)
    with client.stream(*given, **how) as stream:
        for _ in stream:
            pass
    return stream.response


def starts_a_thread(frame: types.FrameType | None) -> bool:
    """Whether Python itself starts a thread there, which no signal may strike.

    `Thread.start` is Python code that waits for an `Event`: what is raised amid it can leave the
    event's lock taken, so that the thread never begins, or leave the thread among those that are
    about to; and it may come out as a `RuntimeError`. Whoever starts one can do nothing about it.
    """
    while frame is not None and frame.f_code is not threading.Thread.start.__code__:
        frame = frame.f_back
    return frame is not None


class Struck:
    """Raises `KeyboardInterrupt` so many seconds from now, by a real signal."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.where = ""

    def __enter__(self) -> Self:
        self._known = signal.signal(signal.SIGALRM, self._strike)
        signal.setitimer(signal.ITIMER_REAL, self.seconds)
        return self

    def _strike(self, number: int, frame: types.FrameType | None) -> None:
        if starts_a_thread(frame):
            signal.setitimer(signal.ITIMER_REAL, SOON)
            return
        if frame is not None:
            self.where = f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
        raise KeyboardInterrupt

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._known)


def interrupted(names: Iterable[str] = (), stride: int = 1) -> Tried:
    """Each of these calls (or all), interrupted at every *stride*-th line."""

    def points(call: Callable[[], object]) -> Iterator[Interrupt]:
        with Interrupt(-1) as counted:
            call()
        return (Interrupt(at) for at in range(1, counted.line, stride))

    return _interrupted(names, points)


def struck(names: Iterable[str] = (), count: int = 1) -> Tried:
    """Each of these calls (or all), interrupted by a real signal at *count* moments."""

    def points(call: Callable[[], object]) -> Iterator[Struck]:
        begun = time.perf_counter()
        call()
        took = time.perf_counter() - begun
        return (Struck(took * (turn + 1) / count) for turn in range(count))

    return _interrupted(names, points)


def _interrupted(
    names: Iterable[str], points: Callable[[Callable[[], object]], Iterator[Interrupt | Struck]]
) -> Tried:
    came = Tried()
    with tempfile.TemporaryDirectory() as there, Stub() as stub, Unheard() as unheard:
        folder = Path(there)
        plain = calls(folder)["whole"]
        for name, call in calls(folder).items():
            if names and name not in names:
                continue
            with imagekit.Client(**settings(stub)) as client:
                _blocking(client, call)
                stub.begin()
                all_points = points(partial(_blocking, client, call))
                before = _quiet(stub, -1, folder) or descriptors()
                alive = len(flows())
                for here in all_points:
                    stub.begin()
                    where = f"{name}: interrupted"
                    try:
                        with suppress(KeyboardInterrupt), here:
                            found = _blocking(client, call)
                            if not good(found):
                                came.wrong.append(f"{where}: it came to {found!r}")
                    except Exception as error:
                        came.wrong.append(f"{where} at {here.where}: it raised {error!r}")
                    where += f" at {here.where}"
                    came.count += 1
                    if what := _quiet(stub, int(before), folder):
                        came.wrong.append(f"{where}: it leaves {what}")
                        before = swept(folder)
                    stub.begin()
                    try:
                        if not good(again := _blocking(client, plain)):
                            came.wrong.append(f"{where}: the next call came to {again!r}")
                    except Exception as error:
                        came.wrong.append(f"{where}: the next call raised {error!r}")
                    # Between two lines a socket or a file may be in nobody's hands: Python
                    # closes it.
                    said = [one for one in unheard.said if "unclosed " not in one]
                    came.wrong += [f"{where}: {one}" for one in said]
                    unheard.said.clear()
                if len(still := flows()) > alive:
                    came.wrong.append(f"{name}: interrupted: flows are left: {still}")
            came.wrong += [f"{name}: {one}" for one in unheard.take()]
    return came


def _quiet(stub: Stub, before: int, folder: Path) -> str:
    begun = time.monotonic()
    while what := left(stub, before if before >= 0 else 10**6, folder):
        if time.monotonic() > begun + PATIENCE:
            return what
        if time.monotonic() > begun + PATIENCE / 30:
            # What is in nobody's hands is Python's to close.
            gc.collect()
        time.sleep(0.0005)
    return ""


# Streams that are left after each event


def quit_early(names: Iterable[str] = (), colours: Iterable[str] = COLOURS) -> Tried:
    """Each of these streamed calls (or all), left before its first event and after each."""
    came = Tried()
    with tempfile.TemporaryDirectory() as there, Stub() as stub, Unheard() as unheard:
        folder = Path(there)
        for name, call in calls(folder).items():
            if call[0] == "stream" and (not names or name in names):
                for colour in colours:
                    came += _left_early(colour, name, call, stub, folder)
                    came.wrong += [f"{colour}: {name}: {one}" for one in unheard.take()]
    return came


def _left_early(colour: str, name: str, call: Any, stub: Stub, folder: Path) -> Tried:
    came, (_, given, how) = Tried(), call

    async def follow() -> None:
        async with imagekit.AsyncClient(**settings(stub)) as client:
            before = -1
            for most in (10**6, *range(10)):
                stub.begin()
                async with client.stream(*given, **how) as stream:
                    seen = 0
                    while seen < most:
                        try:
                            await anext(stream)
                        except StopAsyncIteration:
                            break
                        seen += 1
                noted(most, await _settled(stub, before, folder))
                before = descriptors() if before < 0 else before

    def watch() -> None:
        with imagekit.Client(**settings(stub)) as client:
            before = -1
            for most in (10**6, *range(10)):
                stub.begin()
                with client.stream(*given, **how) as stream:
                    for _ in zip(range(most), stream, strict=False):
                        pass
                noted(most, _quiet(stub, before, folder))
                before = descriptors() if before < 0 else before

    def noted(most: int, what: str) -> None:
        came.count += 1
        if what:
            came.wrong.append(f"{colour}: {name}: left after {most} events: {what} is left")

    if colour == "sync":
        watch()
    else:
        anyio.run(follow, backend=colour)
    return came


# Processes of their own: a real signal, and an interpreter that ends

BEGIN = """
import gc, os, signal, sys, threading, time
import anyio, imagekit
profiles = [
    imagekit.Profile("images", "openai-images", {url!r}, "sk-0"),
    imagekit.Profile("responses", "openai-responses", {url!r}, "sk-0"),
]
given = {{"profiles": profiles, "env": {{}}, "config": False}}
print("begun:", time.monotonic(), flush=True)
def clients(kind): return kind(**given)
# Who is asked first: what is loaded for it may say of Ctrl-C that its own making failed.
BOTH = ("images", "responses")
def soon(parts):
    time.sleep(0.3)
    while parts and not any(one.endswith(".part") for one in os.listdir()):
        time.sleep(0.01)
def strike(parts=False):
    def kill():
        soon(parts)
        os.kill(os.getpid(), signal.SIGINT)
    threading.Thread(target=kill, daemon=True).start()
def left(before):
    gc.collect()
    threads = [one.name for one in threading.enumerate() if one.name == "imagekit"]
    return threads, len(os.listdir("/proc/self/fd")) - before
def told(before):
    until = time.monotonic() + {patience}
    while any(left(before)) and time.monotonic() < until:
        time.sleep(0.01)
    print("left:", *left(before), flush=True)
def open_now(): return len(os.listdir("/proc/self/fd"))
"""
# Held when two pieces of a large picture have come.
AMID = "'hold later amid chunked large'"
HELD = {
    "whole": "client.generate('hold', provider='images')",
    "split in three": "client.generate('hold', provider='responses', n=3)",
    "streamed": "[one for one in client.stream('hold later', provider='images', partial_images=1)]",
    "asleep": "client.generate('busy', provider='responses')",
    "into a file": f"client.generate({AMID}, provider='images', into='out.png')",
}
AWAITED = {
    "whole": "await client.generate('hold', provider='images')",
    "split in three": "await client.generate('hold', provider='responses', n=3)",
    "asleep": "await client.generate('busy', provider='responses')",
    "into a file": f"await client.generate({AMID}, provider='images', into='out.png')",
}


def scripts() -> dict[str, tuple[str, int]]:
    """What each process does, and the code that it ends with."""
    found = {}
    for name, what in HELD.items():
        found[f"Ctrl-C, blocking: {name}"] = (
            f"""
with clients(imagekit.Client) as client:
    for one in BOTH:
        client.generate("a cat", provider=one)
    before = open_now()
    strike({"into=" in what})
    try:
        {what}
    except KeyboardInterrupt:
        told(before)
        assert client.generate("a cat", provider="images").ok
        sys.exit(7)
""",
            7,
        )
        found[f"exit in a thread's call: {name}"] = (
            f"""
client = clients(imagekit.Client)
for one in BOTH:
    client.generate("a cat", provider=one)
def work():
    {what}
threading.Thread(target=work, daemon=True).start()
soon({"into=" in what})
sys.exit(7)
""",
            7,
        )
    for name, what in AWAITED.items():
        for backend in ("asyncio", "trio"):
            found[f"Ctrl-C, {backend}: {name}"] = (
                f"""
async def main():
    async with clients(imagekit.AsyncClient) as client:
        for one in BOTH:
            await client.generate("a cat", provider=one)
        strike({"into=" in what})
        {what}
before = open_now()
try:
    anyio.run(main, backend={backend!r})
except KeyboardInterrupt:
    told(before)
    sys.exit(7)
except BaseExceptionGroup as group:
    assert group.split(KeyboardInterrupt)[1] is None
    told(before)
    sys.exit(7)
""",
                7,
            )
    found["exit amid a stream, inside of it"] = (
        """
with clients(imagekit.Client) as client, client.stream("hold later", provider="images") as stream:
    for event in stream:
        sys.exit(7)
""",
        7,
    )
    found["exit amid a stream that is never closed"] = (
        """
client = clients(imagekit.Client)
stream = client.stream("hold later", provider="images")
next(stream)
sys.exit(7)
""",
        7,
    )
    found["exit amid a split stream that is never closed"] = (
        """
client = clients(imagekit.Client)
stream = client.stream("hold later", provider="responses", n=3, partial_images=1)
next(stream)
sys.exit(7)
""",
        7,
    )
    found["exit amid an async stream"] = (
        """
async def main():
    async with clients(imagekit.AsyncClient) as client:
        async with client.stream("hold later", provider="images") as stream:
            async for event in stream:
                sys.exit(7)
anyio.run(main)
""",
        7,
    )
    found["exit with a default client that was used"] = (
        """
imagekit.configure(**given)
imagekit.generate("a cat", provider="images")
sys.exit(7)
""",
        7,
    )
    return found


def processes(names: Iterable[str] = ()) -> Tried:
    """Real signals and real ends of interpreters, in processes of their own."""
    chosen = [(name, *one) for name, one in scripts().items() if not names or name in names]
    with Stub() as stub, tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(4) as pool:
        host, port = stub.address
        begin = BEGIN.format(url=f"http://{host}:{port}/v1", patience=PATIENCE)
        each = [
            pool.submit(_process, name, begin + script, code, folder)
            for name, script, code in chosen
        ]
        wrong = [line for future in each for line in future.result()]
        wrong += [f"{one} stays" for one in Path(folder).rglob("*.part")]
    return Tried(len(chosen), wrong)


def _process(name: str, script: str, code: int, folder: str) -> list[str]:
    command = [sys.executable, "-W", "always", "-c", script]
    folder = tempfile.mkdtemp(dir=folder)
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=LONG, cwd=folder, check=False
        )
    except subprocess.TimeoutExpired:
        return [f"{name}: it hangs"]
    said = done.stderr.strip()[-300:]
    wrong = []
    if done.returncode != code:
        wrong.append(f"{name}: it ends with {done.returncode}: {said}")
    elif said:
        wrong.append(f"{name}: it says {said!r}")
    if "left:" in done.stdout and "left: [] 0" not in done.stdout:
        wrong.append(f"{name}: {done.stdout.strip()}")
    begun = re.search(r"begun: (\S+)", done.stdout)
    if begun and (took := time.monotonic() - float(begun[1])) > AWHILE:
        wrong.append(f"{name}: it took {took:.1f} s")
    return wrong


# The classes


def asyncio_tasks() -> Tried:
    """Every call, its task of asyncio cancelled at every turn."""
    return turned("asyncio", "task")


def asyncio_scopes() -> Tried:
    """Every call, its scope cancelled at every turn of asyncio."""
    return turned("asyncio", "scope")


def trio_scopes() -> Tried:
    """Every call, its scope cancelled after every step of trio."""
    return turned("trio", "scope")


def lines() -> Tried:
    """Every call, interrupted at every 71st line."""
    return interrupted(stride=71)


def signals() -> Tried:
    """Every call, interrupted by a signal at 50 moments."""
    return struck(count=50)
