"""What is measured: each row a function from a client's processes to one figure of one round."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from .pictures import LARGE, PREVIEW, SMALL, UPLOAD, USUAL, WARM

FILES = 4
MS, US, MB = 1e3, 1e6, 1_000_000
Limit = Literal["of the SDK", "at most"]


class Asked(Protocol):
    """One client, with a process that stays and as many fresh ones as are wanted."""

    name: str

    @property
    def files(self) -> list[str]:
        """Where the pictures lie that are to go up."""
        ...

    @property
    def target(self) -> str:
        """Where pictures may be saved."""
        ...

    def ask(self, do: str, **more: Any) -> Any:
        """What the process that stays measures."""
        ...

    def fresh(self, do: str, **more: Any) -> Any:
        """What a fresh process measures."""
        ...

    def started(self, script: str) -> float:
        """Seconds by the clock of an interpreter that runs one of a client's scripts."""
        ...


@dataclass(frozen=True)
class Row:
    """A row of a table, its goal, and what a client must be able to do for it.

    The *goal* is a limit to the ratio to the SDK, or to the figure itself. With *more*, more is
    better.
    """

    name: str
    unit: str
    measure: Callable[[Asked], float]
    needs: str
    limit: Limit | None = None
    goal: float = 0.0
    more: bool = False
    table: str = "goals"
    rounds: int | None = None
    quick: bool = False

    @property
    def about(self) -> str:
        """How it is measured."""
        return " ".join((self.measure.__doc__ or "").split())

    @property
    def asynchronous(self) -> bool:
        """Whether its goal is held on the HTTP library's continuation."""
        return self.needs.startswith("a")


ROWS: list[Row] = []


def row(
    name: str, unit: str, needs: str = "images", **more: Any
) -> Callable[[Callable[[Asked], float]], Callable[[Asked], float]]:
    """Add a row."""

    def add(measure: Callable[[Asked], float]) -> Callable[[Asked], float]:
        ROWS.append(Row(name, unit, measure, needs, **more))
        return measure

    return add


def of_sdk(goal: float, **more: Any) -> dict[str, Any]:
    """A goal that is a part of what the SDK takes."""
    return {"limit": "of the SDK", "goal": goal, **more}


def at_most(goal: float, **more: Any) -> dict[str, Any]:
    """A goal that is a figure."""
    return {"limit": "at most", "goal": goal, **more}


@row("import, less a bare interpreter", "ms", quick=True, **of_sdk(0.25))
def importing(who: Asked) -> float:
    """Wall time of a fresh interpreter that imports, less that of one that does nothing."""
    return max(0.0, who.started("import") - who.started("bare")) * MS


@row("process: start, import, one 1.5 MB picture, file", "ms", **of_sdk(0.45))
def process(who: Asked) -> float:
    """Wall time of a fresh interpreter that imports, asks for one picture, and writes its file."""
    return who.started("picture") * MS


@row("first Responses stream in a process", "ms", "responses", **of_sdk(0.2))
def first(who: Asked) -> float:
    """Wall time, in a fresh process that has imported and made its client, of a first stream.

    It is one of 18 small events and a picture of 1 KB.
    """
    return float(who.fresh("first")) * MS


def _cpu(verb: str, size: int, times: int, unit: float) -> Callable[[Asked], float]:
    def measure(who: Asked) -> float:
        return float(who.ask("cpu", verb=verb, prompt=str(size), times=times)) * unit

    measure.__doc__ = "Processor time of a call, all threads together, the mean of a batch."
    return measure


for _verb, _colour in (("images", "sync"), ("aimages", "async")):
    row(f"1 KB picture, warm, CPU, {_colour}", "us", _verb, quick=True, **of_sdk(0.85))(
        _cpu(_verb, SMALL, 60, US)
    )
for _verb, _colour in (("images", "sync"), ("aimages", "async")):
    row(f"1.5 MB picture, chunked, CPU, {_colour}", "ms", _verb, quick=True, **of_sdk(0.5))(
        _cpu(_verb, USUAL, 15, MS)
    )
for _verb, _colour in (("images", "sync"), ("aimages", "async")):
    row(f"24 MB picture, CPU, {_colour}", "ms", _verb, **of_sdk(0.25))(_cpu(_verb, LARGE, 2, MS))


@row("event loop held in one turn, 24 MB", "ms", "aimages", **at_most(2.0))
def held(who: Asked) -> float:
    """The longest turn of the event loop during a call, less that of an idle loop.

    Another task takes each turn that it can get, and looks at the clock; while others have the
    processor no turn goes on. The best of three calls counts, for the system interrupts a process.
    """
    return float(who.ask("held", verb="aimages", prompt=str(LARGE), times=3)) * MS


@row("event loop held in one turn, stream", "ms", "astream", **at_most(2.0))
def held_stream(who: Asked) -> float:
    """The same during a stream of three previews and a picture, 2 MB each."""
    return float(who.ask("held", verb="astream", prompt=str(PREVIEW), times=3)) * MS


def _grown(verb: str, size: int, saved: bool = False) -> Callable[[Asked], float]:
    def measure(who: Asked) -> float:
        files = [who.target] if saved else []
        asked = {"verb": verb, "prompt": str(size), "warm": str(WARM), "files": files}
        return float(who.fresh("grown", **asked)) / (size - WARM * saved)

    what = "the file is written as the client's users write it" if saved else "the newest is kept"
    measure.__doc__ = (
        "By how much the peak of a fresh process is above what it held after a warm-up with "
        f"pictures of 300 KB, as a multiple of one decoded picture; {what}."
    )
    if saved:
        measure.__doc__ = (
            "By how much the peak of a fresh process is above that of its warm-up with pictures of "
            "300 KB, as a multiple of what one decoded picture is larger, for what is as large "
            f"with any picture does not grow with it; {what}."
        )
    return measure


row("peak memory over the picture, 24 MB", "x", rounds=3, **at_most(1.15))(_grown("images", LARGE))
row("peak memory over the picture, 1.5 MB", "x", rounds=3, **at_most(2.3))(_grown("images", USUAL))
row("… saved to disk, whole, 24 MB", "x", "save", rounds=3, **at_most(0.1))(
    _grown("save", LARGE, saved=True)
)
row("… saved to disk, streamed, 4 x 2 MB", "x", "save_stream", rounds=3, **at_most(0.1))(
    _grown("save_stream", PREVIEW, saved=True)
)

for _verb, _what in (
    ("stream", "Images, CPU, sync"),
    ("astream", "Images, CPU, async"),
    ("responses", "Responses, CPU, sync"),
    ("aresponses", "Responses, CPU, async"),
):
    row(f"stream 4 x 2 MB, {_what}", "ms", _verb, quick=_verb == "stream", **of_sdk(0.25))(
        _cpu(_verb, PREVIEW, 3, MS)
    )


def _latency(verb: str) -> Callable[[Asked], float]:
    def measure(who: Asked) -> float:
        return float(who.ask("latency", verb=verb, prompt=f"{PREVIEW} slow", times=3)) * MS

    measure.__doc__ = """Wall time from the moment that the stub sends the last 512 bytes of a
    preview's event, all others being long there, to its decoded bytes in the user's code; the
    shortest of three streams', for who sleeps before it is woken when others let it."""
    return measure


for _verb, _colour in (("stream", "sync"), ("astream", "async")):
    row(f"last byte of a preview to user code, {_colour}", "ms", _verb, **of_sdk(0.05))(
        _latency(_verb)
    )

row("stream, peak memory in pictures", "x", "stream", rounds=3, **at_most(3.5))(
    _grown("stream", PREVIEW)
)


@row("64 at once, 1.5 MB, pictures a second", "/s", "aimages", more=True, **of_sdk(1.5))
def together(who: Asked) -> float:
    """Pictures by the second of the clock, 64 calls at any time, of one event loop."""
    took, _ = who.ask("together", prompt=str(USUAL), many=64, total=128)
    return 128 / float(took)


@row("CPU per call at 512 at once over 8 at once", "x", "aimages", rounds=3, **at_most(2.0))
def crowded(who: Asked) -> float:
    """Processor time of a call for 1 KB among 512 at once, over that among 8."""
    _, few = who.ask("together", prompt=str(SMALL), many=8, total=128)
    _, many = who.ask("together", prompt=str(SMALL), many=512, total=768)
    return float(many) / float(few)


def _upload(verb: str) -> Callable[[Asked], float]:
    def measure(who: Asked) -> float:
        asked = {"verb": verb, "prompt": "", "times": 2, "files": who.files}
        return float(who.ask("cpu", **asked)) * MS

    measure.__doc__ = "Processor time of an edit of four files of 10 MB each, sent as a form."
    return measure


for _verb, _colour in (("edit", "sync"), ("aedit", "async")):
    row(f"4 x 10 MB upload from files, CPU, {_colour}", "ms", _verb, **of_sdk(1.0))(_upload(_verb))


@row("… its peak memory over the files", "x", "edit", rounds=3, **at_most(0.05))
def upload_grown(who: Asked) -> float:
    """By how much the peak of a fresh process that sends four files is above that of sending one.

    It is a part of what the others have.
    """
    asked = {"verb": "edit", "prompt": str(SMALL), "warm": str(SMALL), "files": who.files}
    return float(who.fresh("grown", **asked)) / ((FILES - 1) * UPLOAD)


for _size in (1, 4, 16, 64):
    row(f"{_size} MB picture, CPU", "ms", table="size", rounds=3)(
        _cpu("images", _size * MB, max(1, 4 // _size), MS)
    )


def _number(n: int) -> Callable[[Asked], float]:
    def measure(who: Asked) -> float:
        return float(who.ask("cpu", verb="images", prompt=str(USUAL), times=2, n=n)) * MS

    measure.__doc__ = "Processor time of one call for several pictures of 1.5 MB."
    return measure


for _n in (1, 4, 10):
    row(f"n={_n}, CPU", "ms", table="n", rounds=3)(_number(_n))


def _crowd(many: int) -> Callable[[Asked], float]:
    def measure(who: Asked) -> float:
        asked = {"prompt": str(SMALL), "many": many, "total": max(64, many * 3 // 2)}
        return float(who.ask("together", **asked)[1]) * US

    measure.__doc__ = "Processor time of a call for 1 KB among several at once."
    return measure


for _many in (1, 8, 64, 512):
    row(f"{_many} at once, CPU per call", "us", "aimages", table="concurrency", rounds=3)(
        _crowd(_many)
    )
