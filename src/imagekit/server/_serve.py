"""Running the server: uvicorn on an address, and a shutdown that finishes what was begun."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType

import uvicorn

from .._errors import ConfigurationError
from ._app import App


class _Server(uvicorn.Server):
    """Tells the application, and whoever watches, that the end is near."""

    def __init__(self, config: uvicorn.Config, app: App, say: Callable[[str], object]) -> None:
        super().__init__(config)
        self._app, self._say, self._signals = app, say, 0

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin nothing new, and end well; a second signal ends the calls, a third everything."""
        self._signals += 1
        unfinished = self._app.stop()
        if self._signals == 1 and unfinished:
            most = f"{self._app.limits.grace:g} seconds"
            self._say(f"finishing {unfinished} calls, {most} at most; once more ends them")
        if self._signals == 2:
            # Not from here: a signal comes in the middle of anything.
            asyncio.get_running_loop().call_soon_threadsafe(self._app.hurry)
        # Not the inherited way, which dies of the signal after all is done.
        self.should_exit, self.force_exit = True, self._signals > 2

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """A terminal that is closed ends it too, unless that is ignored, as `nohup` has it."""
        closed = getattr(signal, "SIGHUP", None)  # Windows has none
        with super().capture_signals():
            here = threading.current_thread() is threading.main_thread()
            if closed is not None and here and signal.getsignal(closed) is not signal.SIG_IGN:
                before = signal.signal(closed, self.handle_exit)
                try:
                    yield
                finally:
                    signal.signal(closed, before)
            else:
                yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finish the calls; those that are ended can still be answered."""
        finishing = asyncio.create_task(self._finish())
        await super().shutdown(sockets)
        finishing.cancel()

    async def _finish(self) -> None:
        await self._app.finish()
        await asyncio.sleep(self._app.limits.send)
        # Closing would wait until the last answer is taken.
        for connection in list(self.server_state.connections):
            connection.transport.abort()


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0 is any that is free."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with ExitStack() as failing:
            # Named as what it is, or asyncio would leave small pieces to wait for one another.
            tcp = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
            made = failing.enter_context(tcp)
            # Elsewhere it would let two programs have the same port.
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, sys.platform != "win32")
            made.bind((host.strip("[]"), port))
            made.listen(2048)
            failing.pop_all()
            return made
    except (OSError, OverflowError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"cannot listen on {host}:{port}: {why}") from error


def run(app: App, listening: socket.socket, say: Callable[[str], object]) -> None:
    """Serve until a signal says to stop; *say* tells whoever watches what is waited for."""
    config = uvicorn.Config(
        app,
        access_log=False,
        log_level="warning",
        server_header=False,
        lifespan="on",
        http="h11",  # the next limit is only this one's
        timeout_graceful_shutdown=max(1, round(app.limits.grace + app.limits.send)),
        h11_max_incomplete_event_size=64 * 1024,
    )
    _Server(config, app, say).run(sockets=[listening])
