"""What ends the command line beside Ctrl-C: it closes everything and keeps what came, as that."""

from __future__ import annotations

import errno
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# Windows has no SIGHUP.
ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
# Shells, and `timeout`, send the same twice: within so many seconds it is one wish.
_TWICE = 1.0


class Stopped(KeyboardInterrupt):
    """A signal other than that of Ctrl-C asks the command line to end."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def __str__(self) -> str:
        return f"stopped by {signal.Signals(self.number).name}"


@contextmanager
def stoppable() -> Iterator[None]:
    """Within it the signals that would end the process at once raise `Stopped`.

    One that is ignored, as `nohup` has it, stays so. Only the main thread can listen for them.
    """
    here = threading.current_thread() is threading.main_thread()
    last = float("-inf")

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal last
        before, last = last, time.monotonic()
        if last - before > _TWICE:
            _let_go()
            raise Stopped(number)

    usual = [number for number in ENDING if signal.getsignal(number) is signal.SIG_DFL]
    taken = usual if here else []
    for number in taken:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def _let_go() -> None:
    """Write no more to a terminal that is gone: closing and keeping would fail over it."""
    for stream in (1, 2):
        try:
            os.write(stream, b"")
        except OSError as error:
            if error.errno == errno.EIO:
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream)
                os.close(nowhere)
