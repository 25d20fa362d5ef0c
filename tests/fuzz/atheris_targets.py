"""The targets of the fuzzing for long, led by what they cover: atheris instruments imagekit alone.

python tests/fuzz/atheris_targets.py SECONDS [target ...]

Each target runs in a process of its own, as many at once as there are processors, for its share of
SECONDS. A table says how often each was executed; a finding ends it with 1, and is kept as bytes.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
# For one input, and for a process: seconds and megabytes.
HANGS, MEMORY = 10, 1500


def fuzz(name: str, seconds: int, folder: Path) -> None:
    """Run one target in this process; libFuzzer ends it."""
    import logging
    import warnings

    import atheris

    sys.path[:0] = [str(HERE.parent), str(HERE.parent / "real")]
    with atheris.instrument_imports(include=["imagekit"], enable_loader_override=False):
        from fuzz import targets
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    atheris.Setup(
        [
            sys.argv[0],
            f"-max_total_time={seconds}",
            f"-timeout={HANGS}",
            f"-rss_limit_mb={MEMORY}",
            "-max_len=2000",
            "-len_control=0",
            "-print_final_stats=1",
            f"-artifact_prefix={folder}/{name}-",
            str(folder / f"corpus-{name}"),
        ],
        targets.TARGETS[name],
    )
    atheris.Fuzz()


def ran(name: str, seconds: int, folder: Path) -> tuple[int, str]:
    """How often *name* was executed, and what was found; nothing where all was well."""
    corpus = folder / f"corpus-{name}"
    corpus.mkdir()
    # Throws that reach every kind of seed: from nothing it would take long to get there.
    for number in range(64):
        (corpus / f"{number}").write_bytes(bytes([number]) * 8 + bytes(range(number, 192)))
    command = [sys.executable, __file__, "--one", name, str(seconds), str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 120)
    except subprocess.TimeoutExpired:
        return 0, "it does not end"
    counts = re.findall(r"number_of_executed_units: (\d+)", done.stderr)
    count = int(counts[-1]) if counts else 0
    if done.returncode == 0 and count:
        return count, ""
    kept = [str(path) for path in folder.glob(f"{name}-*")]
    said = [line for line in done.stderr.splitlines() if line.strip()]
    shown = [
        line for line in said if re.match(r"\w*(Error|Exception)\b|ALARM|.*out-of-memory", line)
    ]
    return count, f"ended with {done.returncode}: {' | '.join(shown or said[-5:])} {kept}"


def main(total: int, *names: str) -> int:
    """Run the targets, and print the table; the exit code."""
    listed = (
        "answers bodies streams stream_values events media pixels requests verbs configuration "
        "capabilities kept files server"
    )
    chosen = names or tuple(listed.split())
    at_once = os.cpu_count() or 1
    share = max(1, total * at_once // len(chosen))
    # It stays where something was found: the bytes are the finding.
    folder = Path(tempfile.mkdtemp(prefix="imagekit-atheris-"))
    bad = executions = 0
    print(f"{'target':16} {'executions':>11}   each for {share} s", flush=True)
    with ThreadPoolExecutor(at_once) as pool:
        coming = [pool.submit(ran, name, share, folder) for name in chosen]
        for name, future in zip(chosen, coming, strict=True):
            count, found = future.result()
            executions += count
            bad += bool(found)
            print(f"{name:16} {count:>11}   {found}".rstrip(), flush=True)
    print(f"{'all of them':16} {executions:>11}   {bad} with a finding")
    if not bad:
        shutil.rmtree(folder)
    return 1 if bad else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        fuzz(sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
    else:
        raise SystemExit(main(int(sys.argv[1]), *sys.argv[2:]))
