"""What a call that takes a minute looks like while it lasts: one line on a terminal."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from types import TracebackType
from typing import Self, assert_never

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text as Words

from .._events import (
    Completed,
    ImageEvent,
    ImageFailed,
    ImageReady,
    Noticed,
    PartialImage,
    Progress,
    Queued,
    Text,
)
from ._words import one_line

# As much of what the model says as is worth a glance.
TAIL = 60


class Shown:
    """The latest of a call: a spinner, the seconds gone, what happens.

    With `live=False` nothing moves; with `every=True` each event leaves a line of its own.
    """

    def __init__(self, n: int, *, live: bool, every: bool = False) -> None:
        self._n, self._every = n, every
        self._start = time.monotonic()
        self._latest = "asked"
        self._said = ""
        self._previews: Counter[int] = Counter()
        self._ended = 0
        self._console = Console(stderr=True, highlight=False, soft_wrap=not live)
        spinner = "line" if self._console.options.ascii_only else "dots"
        self._spinner = Spinner(spinner)
        self._live = None
        if live:
            # Standard output stays as it is: bytes may go there.
            self._live = Live(
                get_renderable=self._line,
                console=self._console,
                transient=True,
                refresh_per_second=10,
                redirect_stdout=False,
                redirect_stderr=False,
            )

    def _line(self) -> Words:
        spinner = self._spinner.render(self._console.get_time())
        assert isinstance(spinner, Words)
        gone = f" {self._gone():.0f} s  "
        return Words.assemble(spinner, gone, self._latest, no_wrap=True, overflow="ellipsis")

    def _gone(self) -> float:
        return time.monotonic() - self._start

    def see(self, event: ImageEvent) -> None:
        """Take note of *event*."""
        self._latest = one_line(self._words(event))
        if self._every and not isinstance(event, Text | Completed):
            line = f"{self._gone():6.1f} s  {self._latest}"
            self._console.print(line, markup=False, style="dim")

    def _words(self, event: ImageEvent) -> str:
        match event:
            case Queued(position=position):
                return "queued" if position is None else f"queued, position {position}"
            case Progress():
                return _progress(event)
            case Text(text=text):
                self._said += text
                return f"… {self._said[-TAIL:]}" if len(self._said) > TAIL else self._said
            case PartialImage(index=index):
                self._previews[index] += 1
                whose = f" of picture {index + 1}" if self._n > 1 else ""
                return f"preview {self._previews[index]}{whose}"
            case ImageReady():
                self._ended += 1
                return f"picture {self._ended} of {max(self._n, self._ended)} is here"
            case ImageFailed(index=index, failure=failure):
                self._ended += 1
                return f"picture {index + 1} {failure.kind}"
            case Noticed(notice=notice):
                return str(notice)
            case Completed():
                return "done"
            case _ as never:
                assert_never(never)

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start(refresh=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            with suppress(OSError):  # of a terminal that is gone; the call's own end counts
                self._live.stop()


def _progress(event: Progress) -> str:
    words = [event.message] if event.message else []
    if event.fraction is not None:
        words.append(f"{event.fraction:.0%}")
    elif event.step is not None:
        words.append(f"step {event.step}" + (f" of {event.total}" if event.total else ""))
    return " ".join(words) or "at work"
