"""The targets of the fuzzing for long, led by what they cover: atheris instruments imagekit alone.

python tests/fuzz/atheris_targets.py SECONDS [target ...]
python tests/fuzz/atheris_targets.py --again TARGET BYTES     what was found, once more (no atheris)

Each target runs in a process of its own, as many at once as there are processors, for its share of
SECONDS. A table says how often each was executed; a finding ends it with 1, is said again at the
end with its bytes (in base64), and is kept. The throws begin with FUZZ_SEED, which is a number.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

HERE = Path(__file__).resolve().parent
# For one input, and for a process: seconds and megabytes. A machine may stand still for a while,
# and a picture of a few bytes have as many pixels as are read.
HANGS, MEMORY = 60, 2500
# Seconds to begin and to end in.
MARGIN = 300
SEED = os.environ.get("FUZZ_SEED", "7")
# Which lines of a process say what was found.
TELLING = re.compile(r"^\w[\w.]*(Error|Exception)\b|ALARM|out-of-memory")
# As many findings of one target are shown as bytes.
SHOWN = 3


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
    target = targets.TARGETS[name]
    for throws in first():
        # What is made once takes long, and is nobody's hang; what breaks does so again.
        with suppress(Exception):
            target(throws)
    atheris.Setup(
        [
            sys.argv[0],
            f"-max_total_time={seconds}",
            f"-seed={SEED}",
            f"-timeout={HANGS}",
            f"-rss_limit_mb={MEMORY}",
            "-max_len=2000",
            "-len_control=0",
            "-print_final_stats=1",
            f"-artifact_prefix={folder}/{name}-",
            str(folder / f"corpus-{name}"),
        ],
        target,
    )
    atheris.Fuzz()


def first() -> Iterator[bytes]:
    """Throws that reach every kind of seed: from nothing it would take long to get there."""
    for number in range(64):
        yield bytes([number]) * 8 + bytes(range(number, 192))


def ran(name: str, seconds: int, folder: Path) -> tuple[int, str]:
    """How often *name* was executed, and what was found; nothing where all was well."""
    corpus, log = folder / f"corpus-{name}", folder / f"said-{name}"
    corpus.mkdir()
    for number, throws in enumerate(first()):
        (corpus / f"{number}").write_bytes(throws)
    command = [sys.executable, __file__, "--one", name, str(seconds), str(folder)]
    # The same throws where the code is the same, as far as time allows.
    env = {**os.environ, "PYTHONHASHSEED": "0"}
    how = ""
    with log.open("wb") as saying:
        try:
            limit = seconds + MARGIN
            code = subprocess.run(
                command, stdout=saying, stderr=subprocess.STDOUT, env=env, timeout=limit
            ).returncode
        except subprocess.TimeoutExpired:
            code, how = -1, "it does not end; "
    text = log.read_text(errors="replace")
    counts = re.findall(r"number_of_executed_units: (\d+)", text)
    count = int(counts[-1]) if counts else 0
    if code == 0 and count:
        return count, ""
    said = [line for line in text.splitlines() if line.strip()]
    shown = [line for line in said if TELLING.search(line)]
    return count, f"{how}ended with {code}: {' | '.join(dict.fromkeys(shown or said[-5:]))}"


def found(name: str, folder: Path) -> Iterator[str]:
    """The bytes that were found for *name*, as whoever has not the files can take them up."""
    for path in sorted(folder.glob(f"{name}-*"))[:SHOWN]:
        yield f"  {path}, {path.stat().st_size} bytes; once more:"
        again = base64.b64encode(path.read_bytes()).decode()
        yield f"  python tests/fuzz/atheris_targets.py --again {name} {again}"


def again(name: str, data: str) -> None:
    """Try what was found once more."""
    sys.path[:0] = [str(HERE.parent), str(HERE.parent / "real")]
    from fuzz import targets

    targets.TARGETS[name](base64.b64decode(data))


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
    executions, findings = 0, dict[str, str]()
    print(f"{'target':16} {'executions':>11}   each for {share} s", flush=True)
    with ThreadPoolExecutor(at_once) as pool:
        coming = [pool.submit(ran, name, share, folder) for name in chosen]
        for name, future in zip(chosen, coming, strict=True):
            count, said = future.result()
            executions += count
            if said:
                findings[name] = said
            print(f"{name:16} {count:>11}   {said}".rstrip(), flush=True)
    print(f"{'all of them':16} {executions:>11}   {len(findings)} with a finding")
    for name, said in findings.items():
        print("\n".join((f"{name}: {said}", *found(name, folder))))
    if not findings:
        shutil.rmtree(folder)
    return 1 if findings else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        fuzz(sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
    elif sys.argv[1:2] == ["--again"]:
        again(*sys.argv[2:4])
    else:
        raise SystemExit(main(int(sys.argv[1]), *sys.argv[2:]))
