"""Packages from npm: pinned, and installed once into the user's cache by the npm that is here.

A script in a `.mjs` file finds them only from inside the folder; one on standard input
(`node --input-type=module -`) finds them from where it is run.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

# What npm says where the registry is out of reach, and not where a package is wrong.
_OFFLINE = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH")


class NpmError(RuntimeError):
    """The packages could not be installed; the message holds the end of what npm said."""


class OfflineError(NpmError):
    """The registry is out of reach."""


@dataclass(frozen=True)
class Installed:
    """Where packages are."""

    folder: Path

    @property
    def modules(self) -> Path:
        """The packages themselves."""
        return self.folder / "node_modules"

    @property
    def bin(self) -> Path:
        """Their commands."""
        return self.modules / ".bin"


def available(packages: Mapping[str, str], *, node: int = 20) -> str | None:
    """Say in one sentence why *packages* cannot be had here, or None when they can.

    *node* is the oldest Node that they run on.
    """
    if shutil.which("node") is None:
        return "There is no node on PATH."
    said = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False)
    major = said.stdout.strip().removeprefix("v").partition(".")[0]
    if not major.isdigit():
        return "The node on PATH does not run."
    if int(major) < node:
        return f"Node {node} or newer is needed, and this is {said.stdout.strip()}."
    if not _home(packages).is_dir() and shutil.which("npm") is None:
        return "There is no npm on PATH."
    return None


def install(packages: Mapping[str, str], say: Callable[[str], None] = print) -> Installed:
    """Return where *packages*, exact versions by name, are; the first time they are fetched."""
    home = _home(packages)
    if not home.is_dir():
        home.parent.mkdir(parents=True, exist_ok=True)
        with _locked(home.parent):
            if not home.is_dir():
                _fetch(packages, home, say)
    return Installed(home)


def _home(packages: Mapping[str, str]) -> Path:
    # A package may bring a program, which is for one kind of machine.
    wanted = json.dumps([sorted(packages.items()), sys.platform, platform.machine()])
    return _cache() / hashlib.sha256(wanted.encode()).hexdigest()[:12]


def _cache() -> Path:
    if chosen := os.environ.get("IMAGEKIT_NPM_CACHE"):
        return Path(chosen).absolute()
    # Set before the tests move XDG_CACHE_HOME.
    if kept := os.environ.get("IMAGEKIT_SDSERVER_CACHE"):
        return Path(kept, "npm").absolute()
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root, "imagekit-tests", "npm").absolute()


@contextlib.contextmanager
def _locked(cache: Path) -> Iterator[None]:
    """Hold the cache's lock, which the system drops if we die, and clear what the dead left."""
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for stale in cache.glob("install-*"):
            shutil.rmtree(stale, ignore_errors=True)
        yield


def _fetch(packages: Mapping[str, str], home: Path, say: Callable[[str], None]) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise NpmError("there is no npm to install with")
    named = [f"{name}@{version}" for name, version in sorted(packages.items())]
    say(f"installing {' '.join(named)}")
    with tempfile.TemporaryDirectory(
        dir=home.parent, prefix="install-", ignore_cleanup_errors=True
    ) as scratch:
        folder = Path(scratch, "folder")
        folder.mkdir()
        quiet = ["--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"]
        # Nothing of a package is run by installing it, and npm leaves nothing in the user's home.
        kept = ["--ignore-scripts", "--no-save", "--no-package-lock", "--cache", f"{scratch}/cache"]
        command = [npm, "install", "--prefix", str(folder), *quiet, *kept, *named]
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=300,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise OfflineError("npm was not done in five minutes") from error
        if done.returncode:
            said = "\n".join(done.stdout.decode(errors="replace").splitlines()[-20:])
            wrong = OfflineError if any(code in said for code in _OFFLINE) else NpmError
            raise wrong(f"npm failed ({done.returncode}):\n{said}")
        folder.rename(home)
