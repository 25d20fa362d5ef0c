"""The benchmark: starts the stub and the clients, lets them take turns, prints the tables.

    python3 dev.py bench [WORDS ...] [--rounds N] [--quick] [--clients A,B] [--json FILE]

WORDS choose the rows whose names hold one of them. `--quick` does a few rows twice, with what is
in this environment. It ends well whatever the figures are, unless a client gave wrong pictures.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from . import pictures
from .client import CLIENTS, KEY, SCRIPTS
from .rows import FILES, ROWS, Row
from .table import rendered

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = 7
# A process of its own takes it seconds: three rounds tell enough.
SLOW, ENOUGH = "litellm", 3
QUICK = ("sdk", "httpx2", "httpx", "floor", "ours on httpx2", "ours on httpx")
# How large the pictures are by which each client is checked first.
CHECKED = 50_000
PATIENCE = 300
# Row, client, rounds.
Measured = dict[str, dict[str, list[float]]]


def cores() -> list[int]:
    """The processors that this may use; none where the system does not say."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def environment(name: str) -> dict[str, str]:
    """What a client's processes are told: its library, and no proxy on the way."""
    # What is installed has its bytecode, and so has everybody here from the first call on.
    away = ("IMAGEKIT_", "PYTHONDONTWRITEBYTECODE")
    said = {key: value for key, value in os.environ.items() if not key.startswith(away)}
    said |= {"PYTHONPATH": str(ROOT), "NO_PROXY": "127.0.0.1", "OPENAI_API_KEY": KEY}
    said |= {"HF_HUB_DISABLE_TELEMETRY": "1"}
    if name.startswith("ours on "):
        said["IMAGEKIT_HTTP"] = name.removeprefix("ours on ")
    return said


class Running:
    """One client: a process that stays, and fresh ones."""

    def __init__(self, name: str, python: Path, url: str, folder: Path) -> None:
        self.name, self.python, self.url, self.folder = name, python, url, folder
        self.files = [str(folder / f"upload-{number}.png") for number in range(FILES)]
        self.target = str(folder / "saved.png")
        self._can: dict[str, bool] = {}
        self._log = (folder / f"{name.replace(' ', '-')}.log").open("ab")
        self._process = self._begun(stdin=subprocess.PIPE)

    def _begun(self, *more: str, url: str = "", **pipes: Any) -> subprocess.Popen[str]:
        command = [str(self.python), "-m", "benchmarks.worker", self.name, url or self.url, *more]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=environment(self.name),
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            **pipes,
        )

    def ask(self, do: str, **more: Any) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps({"do": do, **more}) + "\n")
        self._process.stdin.flush()
        return _said(self.name, do, self._process.stdout.readline())

    def fresh(self, do: str, **more: Any) -> Any:
        with self._begun(json.dumps({"do": do, **more})) as process:
            said, _ = process.communicate(timeout=PATIENCE)
        return _said(self.name, do, said)

    def started(self, script: str) -> float:
        """Seconds by the clock of an interpreter: bare, with an import, or with a whole picture."""
        importing, picture = SCRIPTS[self.name]
        code = {"bare": "pass", "import": importing, "picture": picture}[script]
        words = [self.url, str(pictures.USUAL), self.target] if script == "picture" else []
        command = [str(self.python), "-c", code, *words]
        before = time.perf_counter()
        subprocess.run(
            command,
            check=True,
            cwd=self.folder,
            env=environment(self.name),
            stdout=self._log,
            stderr=self._log,
            timeout=PATIENCE,
        )
        return time.perf_counter() - before

    def can(self, verb: str) -> bool:
        """Whether the client has *verb*."""
        if verb not in self._can:
            self._can[verb] = bool(self.ask("can", verb=verb))
        return self._can[verb]

    def close(self) -> None:
        """End its process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._log.close()


def _said(name: str, do: str, line: str) -> Any:
    answer = json.loads(line) if line else {"wrong": "its process ended"}
    if "wrong" in answer:
        raise RuntimeError(f"{name}, {do}: {answer['wrong']}")
    return answer["said"]


@contextmanager
def stub(core: int | None = None) -> Iterator[str]:
    """The stub in a process of its own; its URL."""
    pinned = [] if core is None else ["--core", str(core)]
    command = [sys.executable, "-m", "benchmarks.stub", *pinned]
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
    finally:
        process.communicate(timeout=10)


def wrong(who: Running) -> list[str]:
    """What a client gives otherwise than it was sent, by every verb that it has."""
    found = []
    for verb, check in CHECKS.items():
        if who.can(verb):
            try:
                if not check(who, verb):
                    found.append(f"{who.name}, {verb}: other pictures than were sent")
            except RuntimeError as error:
                found.append(f"{error} (in {verb})")
    return found


def _given(*numbers: int) -> Callable[[Running, str], bool]:
    def check(who: Running, verb: str) -> bool:
        marks = [pictures.mark(CHECKED, number) for number in numbers]
        return bool(who.ask("marks", verb=verb, prompt=str(CHECKED)) == marks)

    return check


def _saved(who: Running, verb: str) -> bool:
    who.ask("saved", verb=verb, prompt=str(CHECKED), path=who.target)
    return pictures.marked(Path(who.target).read_bytes()) == pictures.mark(CHECKED)


def _uploaded(who: Running, verb: str) -> bool:
    who.fresh("checked", verb=verb, files=who.files)
    return True


CHECKS = {
    **dict.fromkeys(("images", "aimages"), _given(0)),
    **dict.fromkeys(("stream", "astream", "responses", "aresponses"), _given(1, 2, 3, 0)),
    **dict.fromkeys(("save", "save_stream"), _saved),
    **dict.fromkeys(("edit", "aedit"), _uploaded),
}


def pythons(quick: bool) -> dict[str, Path]:
    """The interpreter of each client that is here."""
    here = Path(sys.executable)
    if quick:
        return dict.fromkeys(QUICK, here)
    found = {name: ROOT / f".venv-bench-{home}" for name, (_, _, _, home) in CLIENTS.items()}
    inside = "Scripts/python.exe" if sys.platform == "win32" else "bin/python"
    return {name: venv / inside for name, venv in found.items() if (venv / inside).exists()}


def measured(
    rows: Sequence[Row], running: Sequence[Running], rounds: int, figures: Measured
) -> Measured:
    """Add to *figures* every row by every client that can, in rounds in which they take turns."""
    for row in rows:
        able = [who for who in running if who.can(row.needs) and _scripted(row, who)]
        found: dict[str, list[float]] = {who.name: [] for who in able}
        begun = time.perf_counter()
        for turn in range(min(rounds, row.rounds or rounds)):
            for at in range(len(able)):
                who = able[(at + turn) % len(able)]
                if who.name == SLOW and turn >= ENOUGH:
                    continue
                try:
                    found[who.name].append(row.measure(who))
                except RuntimeError as error:
                    if "NotImplementedError" not in str(error):
                        print(f"-- {row.name}: {error}", file=sys.stderr)
        figures[row.name] = {name: values for name, values in found.items() if values}
        took = time.perf_counter() - begun
        print(f"-- {row.name} ({took:.0f} s)", file=sys.stderr, flush=True)
    return figures


def _scripted(row: Row, who: Running) -> bool:
    return not row.name.startswith(("import", "process")) or bool(SCRIPTS[who.name][1])


def main(words: Sequence[str]) -> int:
    """The whole benchmark; 1 where a client gave wrong pictures."""
    parser = argparse.ArgumentParser(prog="dev.py bench", description=__doc__)
    parser.add_argument("filters", nargs="*", metavar="WORDS")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--clients", help="only these, with commas")
    parser.add_argument("--json", type=Path, metavar="FILE", dest="file")
    asked = parser.parse_args(words)
    if asked.rounds is not None and asked.rounds < 1:
        parser.error(f"--rounds is 1 or more, not {asked.rounds}")
    rows = [row for row in ROWS if not asked.filters or any(w in row.name for w in asked.filters)]
    if not rows:
        parser.error(f"no row's name holds any of {', '.join(asked.filters)}")
    if asked.quick and not asked.filters:
        rows = [row for row in rows if row.quick]
    rounds = asked.rounds or (2 if asked.quick else ROUNDS)
    here = pythons(asked.quick)
    if asked.clients:
        wanted = asked.clients.split(",")
        if strange := [name for name in wanted if name not in here]:
            parser.error(f"there is no {', '.join(strange)}; there are: {', '.join(here)}")
        here = {name: here[name] for name in wanted}
    mine = cores()
    if len(mine) > 1:
        os.sched_setaffinity(0, {mine[0]})
    begun = time.perf_counter()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="imagekit-bench-")))
        for number in range(FILES):
            (folder / f"upload-{number}.png").write_bytes(pictures.png(pictures.UPLOAD, number))
        url = stack.enter_context(stub(mine[-1] if len(mine) > 1 else None))
        running = []
        for name, python in here.items():
            running.append(Running(name, python, url, folder))
            stack.callback(running[-1].close)
        bad = [words for who in running for words in wrong(who)]
        _introduced(running, mine, rounds)
        figures: Measured = {}
        try:
            measured(rows, running, rounds, figures)
        except KeyboardInterrupt:
            print("-- stopped: these rows were done", file=sys.stderr)
    print(rendered(rows, figures, list(here)))
    print(f"\n{time.perf_counter() - begun:.0f} s, {rounds} rounds; how: docs/benchmarks.md")
    for words_ in bad:
        print(f"WRONG: {words_}")
    if asked.file:
        asked.file.write_text(json.dumps({"figures": figures, "wrong": bad}, indent=1))
    return 1 if bad else 0


def _introduced(running: Sequence[Running], mine: Sequence[int], rounds: int) -> None:
    print(
        f"Python {platform.python_version()}, {platform.machine()}, cores {mine}, {rounds} rounds"
    )
    for who in running:
        loaded = ", ".join(who.ask("about")) or "bare sockets"
        print(f"  {who.name}: {loaded}")
    print(flush=True)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
