#!/usr/bin/env python3
"""Everything a contributor runs, from a bare Python 3.11+ and pip.

    python3 dev.py             set up, then make a picture: no key, no network
    python3 dev.py test        the tests (arguments go to pytest)
    python3 dev.py check       formatting, lint, types, import contracts, the tests with coverage
    python3 dev.py judges      software that nobody here wrote, asked about ours; prints a table
    python3 dev.py ledger      docs/coming-from.md: runs the proofs of its rows, prints the table
    python3 dev.py conformance   every provider of plugins/, and each rule that it has to hold;
                               broken ones, and more rules than the tests have them meet
    python3 dev.py faults      what breaks on the way: breaks it all, prints what came of it
    python3 dev.py reliability   faults, cancellation, fuzzing, attacks: tried, and wrong outcomes
    python3 dev.py fuzz        every target of the fuzzing, led by coverage (180 seconds in all)
    python3 dev.py bench       ours beside its peers: speed and memory; prints the table
    python3 dev.py schemas     the server against schemathesis, in an environment of its own
    python3 dev.py heavy       real pipelines of diffusers: torch, in an environment of its own
    python3 dev.py wheels      the tests against the built wheels, without the sources
    python3 dev.py pythons     the tests on every other Python that is here
    python3 dev.py libraries   the tests on the HTTP library that the other runs do not speak
    python3 dev.py record NAME   make the cassettes of openai-images or openai-responses anew

It makes .venv on first use, and again whenever a pyproject.toml changes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent
PROJECTS = [ROOT, *sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))]
# The Python that has pip, also when this is run by the bare environment's own.
BASE = getattr(sys, "_base_executable", None) or sys.executable
WINDOWS = sys.platform == "win32"
# A third of a test's time is spent in waiting: one process more than there are cores.
SIDE_BY_SIDE = ("-n", str((os.cpu_count() or 1) + 1))
VERSIONS = ("3.11", "3.12", "3.13", "3.14")
# No torchvision: one that was built for another torch breaks diffusers, and nothing here needs it.
HEAVY = ("torch==2.13.0", "diffusers==0.42.1", "transformers==5.23.0", "accelerate==1.15.0")

# It leads the fuzzing by what is covered; there is none for Windows.
ATHERIS = "atheris==3.0.0"
SCHEMATHESIS = "schemathesis==4.32.5"

# Whom the benchmark asks, each in an environment of its own: LiteLLM pins an older SDK.
OURS = ("-e", str(ROOT), "-e", str(ROOT / "plugins" / "imagekit-openai"))
BENCHED = {
    "peers": (
        "openai==3.52.*",
        "httpx==0.28.1",
        "httpx2==2.16.2",
        "huggingface_hub==2.4.0",
        "pillow==13.0.0",
        "pybase64==1.5.1",
    ),
    "litellm": ("litellm==1.106.*", "mcp==2.3.0"),
    "httpx2": ("httpx2==2.16.2", *OURS),
    "httpx": OURS,
}


def run(*command: str | Path, cwd: Path = ROOT, **env: str) -> None:
    """Run a command; end with its code where it fails."""
    code = subprocess.call([str(part) for part in command], cwd=cwd, env={**os.environ, **env})
    if code:
        raise SystemExit(code)


def python_of(venv: Path) -> Path:
    """The interpreter of a virtual environment."""
    return venv / ("Scripts/python.exe" if WINDOWS else "bin/python")


def made(venv: Path, base: str, wanted: list[str]) -> Path:
    """A virtual environment with *wanted* in it, made where it is not there or out of date."""
    # What is pinned, all of it, has nothing to do with our own projects.
    ours = [] if all("==" in word for word in wanted) else PROJECTS
    sums = [(project / "pyproject.toml").read_bytes() for project in ours]
    stamp, mark = venv / "stamp", hashlib.sha256(b"".join(sums) + repr(wanted).encode()).hexdigest()
    python = python_of(venv)
    if not (python.exists() and stamp.exists() and stamp.read_text() == mark):
        # Debian's Python has no ensurepip: make the environment bare, and let the pip that is
        # here fill it.
        run(base, "-m", "venv", "--clear", "--without-pip", venv)
        quiet = ["-q", "--disable-pip-version-check"]
        run(BASE, "-m", "pip", "--python", python, "install", *quiet, *wanted)
        stamp.write_text(mark)
    return python


def editable() -> list[str]:
    """What to install to work on the sources."""
    return [
        word
        for project in PROJECTS
        for word in ("-e", f"{project}[dev]" if project == ROOT else str(project))
    ]


def demo(python: Path, *rest: str) -> None:
    """A first picture."""
    words = rest or ("a cute baby sea otter",)
    run(
        python, "-m", "imagekit", "generate", *words, "-p", "sketch", "-o", "picture.png", "--force"
    )


def test(python: Path, *rest: str) -> None:
    """The tests, of which coverage is not measured: that takes half as long again."""
    run(python, "-m", "pytest", *(rest or SIDE_BY_SIDE))


def check(python: Path, *rest: str) -> None:
    """What must hold of every commit."""
    run(python, "-m", "ruff", "check", ".")
    run(python, "-m", "ruff", "format", "--check", ".")
    run(python, "-m", "mypy")
    shown = ("tests/typing_api.py", "examples/console.py", "examples/web/app.py")
    run(python, "-m", "mypy", *shown, "benchmarks")
    run(python, "-c", "from importlinter.cli import lint_imports_command as run; run()")
    test(python, *(rest or (*SIDE_BY_SIDE, "--cov", "--cov-report=term")))


def judges(python: Path, *rest: str) -> None:
    """Software that nobody here wrote, on loopback; ends in a table of what each of it said."""
    run(python, "-m", "pytest", "-q", "tests/real", *rest)


def ledger(python: Path, *rest: str) -> None:
    """The proofs of the ledger, of all its rows or of those that are meant."""
    run(python, "tests/ledger.py", *rest)


def conformance(python: Path, *rest: str) -> None:
    """The table of conformance, of all providers or of those that are meant; then broken ones."""
    run(python, "tests/conformance.py", *rest)
    if not rest:
        run(python, "tests/test_conformance_suite.py")


def faults(python: Path, *rest: str) -> None:
    """The table of faults, of all of them or of those that are meant."""
    run(python, "tests/faults.py", *rest)


def reliability(python: Path, *rest: str) -> None:
    """The reliability table, of all its classes or of those that are meant."""
    run(python, "tests/reliability.py", *rest)


def schemas(python: Path, *rest: str) -> None:
    """The server against requests that schemathesis makes of the published description."""
    other = made(ROOT / ".venv-schemas", BASE, [SCHEMATHESIS])
    run(python, "tests/real/schemas.py", other.with_name("schemathesis"), *rest)


def record(python: Path, *rest: str) -> None:
    """Cassettes, from the real thing."""
    run(python, "tests/real/record.py", *rest)


def heavy(python: Path, *rest: str) -> None:
    """What runs models in this process, with tiny ones; their libraries are a gigabyte and more."""
    there = ROOT / ".venv-heavy"
    print(f"== {', '.join(HEAVY)} in {there.name}", flush=True)
    own = ["-e", str(ROOT), "-e", str(ROOT / "plugins" / "imagekit-diffusers")]
    other = made(there, BASE, [*HEAVY, "pytest>=8.3", "trio>=0.27", *own])
    plain = ["-o", "addopts=--import-mode=importlib", "-o", "filterwarnings=default"]
    # Their environment has not what the other tests' conftest wants.
    alone = ["-p", "no:cacheprovider", "--confcutdir", "tests/heavy", "tests/heavy"]
    run(other, "-m", "pytest", "-q", "--disable-warnings", *plain, *alone, *rest)


def fuzz(python: Path, *rest: str) -> None:
    """The fuzzing for long: for so many seconds, of all targets or of those that are meant."""
    other = made(ROOT / ".venv-fuzz", BASE, [*editable(), ATHERIS])
    run(other, "tests/fuzz/atheris_targets.py", *(rest or ("180",)))


def bench(python: Path, *rest: str) -> None:
    """Ours and its peers, side by side; `--quick` does with the environment that is here."""
    if "--quick" not in rest:
        for name, wanted in BENCHED.items():
            there = ROOT / f".venv-bench-{name}"
            print(f"== {', '.join(wanted)} in {there.name}", file=sys.stderr, flush=True)
            made(there, BASE, list(wanted))
    run(python, "-m", "benchmarks", *rest)


def wheels(python: Path, *rest: str) -> None:
    """The wheels, tested where no sources are."""
    with tempfile.TemporaryDirectory() as folder:
        there = Path(folder)
        for project in PROJECTS:
            run(BASE, "-m", "pip", "wheel", "-q", "--no-deps", "-w", there, project)
        built = sorted(str(path) for path in there.glob("*.whl"))
        named = [
            f"{path}[dev]" if "/imagekit-0" in Path(path).as_posix() else path for path in built
        ]
        clean = made(there / "venv", BASE, named)
        names = [
            "tests",
            "docs",
            "examples",
            "cassettes",
            "benchmarks",
            "dev.py",
            ".ci",
            "pyproject.toml",
            *(p.name for p in ROOT.glob("*.md")),
        ]
        compiled = shutil.ignore_patterns("__pycache__")
        for name in names:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, there / name, ignore=compiled)
            else:
                shutil.copy(ROOT / name, there / name)
        for project in PROJECTS[1:]:
            bare = shutil.ignore_patterns("__pycache__", "src")
            shutil.copytree(project, there / "plugins" / project.name, ignore=bare)
        shared = {"IMAGEKIT_RECORDINGS": str(ROOT.parent / "shared" / "recordings")}
        run(
            clean, "-m", "pytest", "-q", *SIDE_BY_SIDE, *rest, cwd=there, **{**shared, **os.environ}
        )


def pythons(python: Path, *rest: str) -> None:
    """The tests on each other Python that is here."""
    for version in VERSIONS:
        base = _found(version)
        if version == f"{sys.version_info[0]}.{sys.version_info[1]}":
            continue
        if base is None:
            print(f"== Python {version} is not here: not tested", flush=True)
            continue
        print(f"== Python {version}", flush=True)
        other = made(ROOT / f".venv-{version}", base, editable())
        run(other, "-m", "pytest", "-q", *SIDE_BY_SIDE, *rest)


def libraries(python: Path, *rest: str) -> None:
    """The tests on httpx: where httpx2 is installed, as it is here, all else speaks that."""
    print("== httpx, in place of httpx2", flush=True)
    run(python, "-m", "pytest", "-q", *SIDE_BY_SIDE, *rest, IMAGEKIT_HTTP="httpx")


def _found(version: str) -> str | None:
    """An interpreter of that version: on the path, or among those pyenv keeps."""
    candidates = [shutil.which(f"python{version}")]
    if pyenv := shutil.which("pyenv"):
        root = subprocess.run([pyenv, "root"], capture_output=True, text=True).stdout.strip()
        kept = sorted(Path(root).glob(f"versions/{version}.*/bin/python"))
        candidates += [str(path) for path in reversed(kept)]
    for path in candidates:
        # A shim may be there with nothing behind it.
        if path and subprocess.run([path, "-c", ""], capture_output=True).returncode == 0:
            return path
    return None


TASKS = {
    task.__name__: task
    for task in (
        demo,
        test,
        check,
        judges,
        ledger,
        conformance,
        faults,
        reliability,
        schemas,
        fuzz,
        record,
        bench,
        heavy,
        wheels,
        pythons,
        libraries,
    )
}


def main() -> None:
    """Set up, and do what was asked."""
    name, *rest = sys.argv[1:] or ["demo"]
    if name not in TASKS:
        raise SystemExit(__doc__)
    if sys.version_info < (3, 11):  # noqa: UP036  # this file is the first to meet an old one
        raise SystemExit(
            f"imagekit needs Python 3.11 or newer, and this is {sys.version.split()[0]}"
        )
    # What a shell starts in the background ignores Ctrl-C, what nohup starts a closed terminal;
    # and so would what is tested.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP"):  # Windows has none
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    # The tests start hundreds of processes: each would compile all of it anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    TASKS[name](made(ROOT / ".venv", BASE, editable()), *rest)


if __name__ == "__main__":
    main()
