"""The reliability table: what was tried against us, how often, and how often that ended wrong.

python tests/reliability.py [filter ...]     tries everything, or the classes that say so

Each class is a function of some module here that returns a `tried.Tried`. It runs in a process of
its own, one more at once than there are processors, for some of them wait. What each class tries,
and what is promised of it, is on docs/reliability.md.
"""

from __future__ import annotations

import faulthandler
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from tried import Tried

# (what is tried, "module:function"); who takes longest comes first.
CLASSES: Sequence[tuple[str, str]] = [
    ("faults by hand: each row of faults.py", "faults:tried"),
    ("proxy: short exchanges end, at every byte of either side", "proxied:dropped"),
    ("proxy: short exchanges are reset, at every third byte", "proxied:reset_short"),
    ("proxy: all exchanges end or are reset, sampled", "proxied:broken"),
    ("proxy: exchanges stall, under a timeout and a deadline", "proxied:stalled"),
    ("proxy: exchanges drip, under no deadline and under one", "proxied:dripping"),
    ("proxy: wrong lengths, chunks, heads, bodies; garbage anywhere", "proxied:rewritten"),
    ("bombs and floods: memory stays within the limit", "proxied:flooded"),
    ("cancelled: a task of asyncio, at every turn of its loop", "cancelled:asyncio_tasks"),
    ("cancelled: a scope on asyncio, at every turn of its loop", "cancelled:asyncio_scopes"),
    ("cancelled: a scope on trio, at every step of its tasks", "cancelled:trio_scopes"),
    ("interrupted: a blocking call, at lines of its code", "cancelled:lines"),
    ("interrupted: a blocking call, by a signal at any moment", "cancelled:signals"),
    ("left: streams, after each event", "cancelled:quit_early"),
    ("signals, and interpreters that end", "cancelled:processes"),
    ("fuzz: bodies, streams and events, changed, to every provider", "fuzz.targets:wires"),
    ("fuzz: requests, verbs, configuration, jobs, plans, manifests", "fuzz.targets:values"),
    ("fuzz: pictures, their heads and pixels; names of files", "fuzz.targets:pictures"),
    ("fuzz: JSON and multipart into the server", "fuzz.targets:served"),
    ("strangers' URLs: spellings, addresses, redirects, image_url", "test_url_rules:tried"),
    ("a planted key: each source, each host, in all that is shown", "test_secrets:tried"),
    ("the server under attack: requests, tokens, floods", "server.test_attacked:tried"),
]
# Seconds for one class; what takes longer hangs.
LIMIT = 900.0
# How many wrong outcomes of a class are shown; how many lines of what it said last.
SHOWN, SAID = 10, 20
# How wide a line is, and how many the summary has.
WIDTH, SUMMARY = 500, 24


def done(where: str) -> Tried:
    """What the class at *where* comes to, in this process."""
    module, _, name = where.partition(":")
    found: Tried = getattr(importlib.import_module(module), name)()
    return found


def apart(where: str, limit: float) -> tuple[Tried, float]:
    """What the class at *where* comes to in a process of its own, and the seconds it took."""
    begun = time.monotonic()
    # What a class leaves running may still write there.
    kept = tempfile.TemporaryDirectory(prefix="imagekit-tried-", ignore_cleanup_errors=True)
    with kept as folder:
        out, said = Path(folder, "tried.json"), Path(folder, "said")
        # Its own folder for temporary files, its own group of processes: it leaves nothing behind.
        with said.open("wb") as saying:
            child = subprocess.Popen(
                [sys.executable, __file__, "--into", str(out), where],
                stdin=subprocess.DEVNULL,
                stdout=saying,
                stderr=subprocess.STDOUT,
                env={**os.environ, "TMPDIR": folder},
                start_new_session=True,
            )
            hangs = False
            try:
                child.wait(limit)
            except subprocess.TimeoutExpired:
                hangs = True
                # It says what each of its threads is doing.
                child.send_signal(signal.SIGUSR1)
                with suppress(subprocess.TimeoutExpired):
                    child.wait(2)
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        took = time.monotonic() - begun
        came = Tried(**json.loads(out.read_text())) if out.exists() else Tried()
        if hangs or not out.exists():
            why = "it hangs" if hangs else f"it ended with {child.returncode}"
            last = last_words(said.read_text(errors="replace"), hangs)
            came.wrong.append("\n".join((f"{where}: {why}", *last)))
        return came, took


def last_words(said: str, hangs: bool) -> Sequence[str]:
    """The lines of *said* that tell most: the error, or where it hangs, the main thread first."""
    if not hangs:
        return said.strip().splitlines()[-SAID:]
    threads = said.strip().split("\n\n")
    return "\n".join(reversed(threads)).splitlines()[:SAID]


def lines(name: str, came: Tried, took: float) -> Iterator[str]:
    """What the table says of a class."""
    yield f"{name:66} {came.count:>8} {len(came.wrong):>6}   {took:5.0f} s"
    for one in came.wrong[:SHOWN]:
        yield from shown(one)
    if len(came.wrong) > SHOWN:
        yield f"    ... and {len(came.wrong) - SHOWN} more"


def shown(one: str) -> Iterator[str]:
    """The lines of a wrong outcome."""
    first, *rest = one.splitlines()
    yield f"    WRONG {first[:WIDTH]}"
    yield from (f"        {line[:WIDTH]}" for line in rest)


def summary(bad: Sequence[tuple[str, Tried]]) -> Iterator[str]:
    """All that was wrong once more, in few lines: the end of a log is what people see."""
    for name, came in bad:
        yield f"wrong: {name}"
        of_all = [line for one in came.wrong for line in shown(one)]
        yield from of_all[: max(1, SUMMARY // len(bad) - 1)]


def main(*words: str, classes: Sequence[tuple[str, str]] | None = None) -> int:
    """Try what *words* say, or everything; the exit code."""
    every = CLASSES if classes is None else classes
    chosen = [one for one in every if not words or any(word in one[0] for word in words)]
    if not chosen:
        print(f"no class says {' or '.join(words)}; there are:")
        print(*(f"    {name}" for name, _ in every), sep="\n")
        return 2
    print(f"{'what was tried':66} {'tried':>8} {'wrong':>6}", flush=True)
    total = Tried()
    bad: list[tuple[str, Tried]] = []
    with ThreadPoolExecutor((os.cpu_count() or 1) + 1) as pool:
        coming = [pool.submit(apart, where, LIMIT) for _, where in chosen]
        for (name, _), future in zip(chosen, coming, strict=True):
            came, took = future.result()
            if not came.count:
                came.wrong = came.wrong or ["nothing was tried"]
            print("\n".join(lines(name, came, took)), flush=True)
            total += came
            if came.wrong:
                bad.append((name, came))
    for line in summary(bad):
        print(line)
    print(f"{len(chosen)} classes, {total.count} tried, {len(total.wrong)} wrong")
    return 1 if total.wrong else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--into"]:
        faulthandler.register(signal.SIGUSR1)
        found = done(sys.argv[3])
        Path(sys.argv[2]).write_text(json.dumps(asdict(found)))
    else:
        raise SystemExit(main(*sys.argv[1:]))
