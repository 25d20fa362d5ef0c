"""The reliability table: what was tried against us, how often, and how often that ended wrong.

python tests/reliability.py [filter ...]     tries everything, or the classes that say so

Each class is a function of some module here that returns a `tried.Tried`. It runs in a process of
its own, one more at once than there are processors, for some of them wait. What each class tries,
and what is promised of it, is on docs/reliability.md.
"""

from __future__ import annotations

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
LIMIT = 480.0
# Lines shown of what went wrong in one class.
SHOWN = 10


def done(where: str) -> Tried:
    """What the class at *where* comes to, in this process."""
    module, _, name = where.partition(":")
    found: Tried = getattr(importlib.import_module(module), name)()
    return found


def apart(where: str, limit: float) -> tuple[Tried, float]:
    """What the class at *where* comes to in a process of its own, and the seconds it took."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="imagekit-tried-") as folder:
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
            try:
                child.wait(limit)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        took = time.monotonic() - begun
        if out.exists():
            return Tried(**json.loads(out.read_text())), took
        last = said.read_text(errors="replace").strip().splitlines()[-5:]
        why = "it hangs" if took >= limit else f"it ended with {child.returncode}"
        return Tried(0, [f"{where}: {why}: " + " | ".join(last)]), took


def lines(name: str, came: Tried, took: float) -> Iterator[str]:
    """What the table says of a class."""
    yield f"{name:66} {came.count:>8} {len(came.wrong):>6}   {took:5.0f} s"
    for one in came.wrong[:SHOWN]:
        yield f"    WRONG {one}"
    if len(came.wrong) > SHOWN:
        yield f"    ... and {len(came.wrong) - SHOWN} more"


def main(*words: str, classes: Sequence[tuple[str, str]] | None = None) -> int:
    """Try what *words* say, or everything; the exit code."""
    every = CLASSES if classes is None else classes
    chosen = [one for one in every if not words or any(word in one[0] for word in words)]
    print(f"{'what was tried':66} {'tried':>8} {'wrong':>6}", flush=True)
    total = Tried()
    with ThreadPoolExecutor((os.cpu_count() or 1) + 1) as pool:
        coming = [pool.submit(apart, where, LIMIT) for _, where in chosen]
        for (name, _), future in zip(chosen, coming, strict=True):
            came, took = future.result()
            if not came.count:
                came.wrong = came.wrong or ["nothing was tried"]
            print("\n".join(lines(name, came, took)), flush=True)
            total += came
    print(f"{len(chosen)} classes, {total.count} tried, {len(total.wrong)} wrong")
    return 1 if total.wrong or not chosen else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--into"]:
        found = done(sys.argv[3])
        Path(sys.argv[2]).write_text(json.dumps(asdict(found)))
    else:
        raise SystemExit(main(*sys.argv[1:]))
