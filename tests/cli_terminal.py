"""The command line run as people run it: with pipes, and on a terminal."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

HERE = Path(__file__).parent


class Screen:
    """What a terminal was told."""

    def __init__(self, reader: int) -> None:
        self._reader = reader
        self._pieces: list[bytes] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while True:
            try:
                piece = os.read(self._reader, 65536)
            except OSError:  # the other end is closed: Linux says so with EIO
                return
            if not piece:
                return
            self._pieces.append(piece)

    @property
    def text(self) -> str:
        """All of it, once the other end is closed."""
        self._thread.join(5)
        return b"".join(self._pieces).decode()


@contextmanager
def terminal(
    monkeypatch: pytest.MonkeyPatch, *streams: str, width: int = 100, kind: str = "xterm-256color"
) -> Iterator[Screen]:
    """Make *streams* (of stdin, stdout, stderr) a terminal while it lasts."""
    reader, writer = os.openpty()
    monkeypatch.setenv("TERM", kind)
    # The width is asked of the process's own streams, which stay what they are.
    monkeypatch.setenv("COLUMNS", str(width))
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    screen = Screen(reader)
    opened = []
    with monkeypatch.context() as patched:
        for name in streams:
            mode = "r" if name == "stdin" else "w"
            stream = open(os.dup(writer), mode, encoding="utf-8")  # noqa: SIM115
            patched.setattr(sys, name, stream)
            opened.append(stream)
        try:
            yield screen
        finally:
            for stream in opened:
                stream.close()
            os.close(writer)
            _ = screen.text
            os.close(reader)


def environment(site: Path, **more: str) -> dict[str, str]:
    """The environment for a process of its own that has the toys installed."""
    path = os.pathsep.join([str(site), str(HERE)])
    return {**os.environ, "PYTHONPATH": path, **more}
