"""The benchmark's parts hold together: right pictures from the stub, right words about figures."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from inspect import iscoroutine
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from benchmarks import __main__ as bench
from benchmarks import pictures
from benchmarks import stub as served
from benchmarks.client import CLIENTS, SCRIPTS, Client, client
from benchmarks.rows import ROWS, Row
from benchmarks.stub import Stub
from benchmarks.table import figure, goal, judged, ratio, rendered
from benchmarks.worker import Worker

from imagekit._media import facts

ROOT = Path(__file__).parents[1]
# Whoever is here soon; the benchmark looks at all of them before it measures any.
HERE = ("floor", "httpx2", "ours on httpx2")
SIZE, UPLOAD = 300_000, 100_000
STREAMS = ("astream", "stream", "aresponses", "responses")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The stub, in a thread; it pauses for less long, and small files are uploaded."""
    stub = Stub()
    read, write = os.pipe()
    thread = threading.Thread(target=stub.serve, args=(read,), daemon=True)
    thread.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(served, "PAUSE", 0.01)
        patch.setattr(served, "UPLOAD", UPLOAD)
        yield f"http://127.0.0.1:{stub.port}/v1"
    os.close(write)
    thread.join(5)
    os.close(read)
    assert not thread.is_alive()


@pytest.fixture(scope="module", params=HERE)
def worker(request: pytest.FixtureRequest, url: str) -> Iterator[Worker]:
    """One client, as the benchmark asks it."""
    made = Worker(request.param, url)
    yield made
    _closed(made)


def _closed(made: Worker) -> None:
    # A benchmark's process just ends; here its connections are closed for it.
    kept = [made.client, *vars(made.client).values()]

    async def close() -> None:
        for one in kept:
            if hasattr(one, "aclose"):
                await one.aclose()
            elif hasattr(one, "close") and iscoroutine(closing := one.close()):
                await closing
        await asyncio.sleep(0)

    made.run(close)
    made._runner.close()


def sent(*numbers: int) -> list[str]:
    return [pictures.mark(SIZE, number) for number in numbers]


# The pictures


def test_a_picture_is_one_by_its_headers_and_as_large_as_was_said() -> None:
    data = pictures.png(SIZE, 3)
    assert len(data) == SIZE
    found = facts(data)
    assert (found.media_type, found.width, found.height) == ("image/png", 1024, 1024)
    assert data != pictures.png(SIZE, 2)


# The stub, and those who ask it


@pytest.mark.parametrize("verb", ["images", "aimages"])
def test_a_whole_answer_brings_the_pictures_that_were_asked_for(worker: Worker, verb: str) -> None:
    assert worker.marks(verb, str(SIZE)) == sent(0)
    assert worker.marks(verb, str(SIZE), n=3) == sent(0, 1, 2)


@pytest.mark.parametrize("verb", STREAMS)
def test_a_stream_brings_three_previews_and_the_picture(worker: Worker, verb: str) -> None:
    assert worker.marks(verb, str(SIZE)) == sent(1, 2, 3, 0)


@pytest.mark.parametrize("verb", ["save", "save_stream"])
def test_what_is_saved_is_the_picture(worker: Worker, verb: str, tmp_path: Path) -> None:
    target = tmp_path / "saved.png"
    # Several small ones may come in one read.
    for size in (50_000, SIZE):
        worker.saved(verb, str(size), str(target))
        assert pictures.marked(target.read_bytes()) == pictures.mark(size)


@pytest.mark.parametrize("verb", ["stream", "astream"])
def test_a_slow_stream_says_when_its_last_bytes_went(worker: Worker, verb: str) -> None:
    # Whoever reads on only after the last bytes has them later than they went.
    assert worker.latency(verb, f"{SIZE} slow", 1) > 0


def test_the_other_measures_come_to_figures(worker: Worker) -> None:
    assert worker.cpu("images", str(SIZE), 1) > 0
    assert worker.cpu("astream", str(SIZE), 1) > 0
    assert worker.held("aimages", str(SIZE), 1) >= 0
    took, each = worker.together("1000", many=3, total=6)
    assert took > 0
    assert each > 0
    assert worker.first() > 0


def test_memory_is_over_what_a_warm_up_took(url: str, tmp_path: Path) -> None:
    def grown(verb: str, *files: str) -> float:
        asked = {"do": "grown", "verb": verb, "prompt": "12000000", "warm": "300000"}
        words = ["floor", url, json.dumps({**asked, "files": files})]
        command = [sys.executable, "-m", "benchmarks.worker", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
        return float(json.loads(done.stdout)["said"])

    assert 11_000_000 < grown("images") < 36_000_000
    # What is read and decoded at once is as much with any picture.
    assert grown("save", str(tmp_path / "saved.png")) < 4_000_000


def test_the_stub_compares_what_is_uploaded(url: str, tmp_path: Path) -> None:
    files = []
    for number in range(4):
        files.append(tmp_path / f"{number}.png")
        files[-1].write_bytes(pictures.png(UPLOAD, number))
    made = client("floor", url.replace("/v1", "/checked/v1"))
    assert [pictures.marked(one) for one in made.edit(files)] == [pictures.mark(1000)]
    files[2].write_bytes(pictures.png(UPLOAD, 9))
    assert made.edit(files) == []
    made.close()  # type: ignore[attr-defined]


def test_a_stream_of_responses_has_eighteen_small_events(url: str) -> None:
    import httpx

    body = {"input": "1000", "tools": [{"type": "image_generation"}], "stream": True}
    answer = httpx.post(f"{url}/responses", json=body)
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line[:6] == "data: "]
    small = [one for one in events if "iVBOR" not in json.dumps(one)]
    assert (len(events), len(small)) == (20, 18)
    assert [one["sequence_number"] for one in events] == list(range(20))


def test_what_was_sent_late_is_told_once(url: str) -> None:
    with urlopen(url.replace("/v1", "/sent")) as answer:
        json.load(answer)
    with urlopen(url.replace("/v1", "/sent")) as answer:
        assert json.load(answer) == []


def test_a_client_leaves_out_what_it_cannot() -> None:
    class Whole(Client):
        def images(self, prompt: str, n: int = 1) -> list[bytes]:
            return [b""]

    assert [verb for verb in ("images", "save", "stream", "save_stream") if Whole.can(verb)] == [
        "images",
        "save",
    ]


def test_each_client_has_its_scripts() -> None:
    assert set(SCRIPTS) == set(CLIENTS)


# The rows and the tables

ROW = Row("a row", "ms", lambda who: 1.0, "images", "of the SDK", 0.5)
CROWD = Row("a crowd", "/s", lambda who: 1.0, "aimages", "of the SDK", 1.5, more=True)
FLAT = Row("a size", "x", lambda who: 1.0, "images", "at most", 1.15)


def test_a_ratio_is_the_median_of_those_within_a_round() -> None:
    found = {"a": [1.0, 6.0, 4.0], "b": [2.0, 2.0, 4.0, 9.0]}
    assert ratio(found, "a", "b") == 1.0
    assert ratio(found, "a", "nobody") is None


FOUND: list[tuple[Row, dict[str, list[float]], bool | None, str]] = [
    (ROW, {"sdk": [2.0], "ours on httpx": [0.9], "ours on httpx2": [9.0]}, True, "met"),
    (ROW, {"sdk": [2.0], "ours on httpx": [2.0]}, False, "missed, 2.00 of it"),
    (ROW, {"sdk": [2.0]}, None, "not measured"),
    (FLAT, {"ours on httpx": [1.1, 9.0, 1.0]}, True, "met"),
    (CROWD, {"sdk": [10.0], "ours on httpx2": [20.0]}, True, "met"),
    (CROWD, {"sdk": [10.0], "ours on httpx2": [10.0]}, False, "missed, 1.50 of it"),
    (
        CROWD,
        {"sdk": [10.0], "ours on httpx2": [20.0], "ours on httpx": [5.0], "httpx": [10.0]},
        False,
        "met; on httpx 2.00 of httpx by hand",
    ),
    (
        CROWD,
        {"sdk": [10.0], "ours on httpx2": [20.0], "ours on httpx": [9.0], "httpx": [10.0]},
        True,
        "met",
    ),
]


@pytest.mark.parametrize(("row", "found", "met", "words"), FOUND, ids=range(len(FOUND)))
def test_a_goal_is_judged_on_its_own_library(
    row: Row, found: dict[str, list[float]], met: bool | None, words: str
) -> None:
    verdict = judged(row, found)
    assert (verdict.met, verdict.words) == (met, words)


def test_the_tables_show_figures_ratios_and_goals() -> None:
    plain = Row("64 MB", "ms", lambda who: 1.0, "images", table="size")
    figures = {
        "a row": {"sdk": [2.0], "ours on httpx": [2.0]},
        "a crowd": {"sdk": [145.4], "ours on httpx2": [300.0]},
        "64 MB": {"sdk": [20.04]},
    }
    said = rendered([ROW, CROWD, FLAT, plain], figures, ["sdk", "ours on httpx2", "ours on httpx"])
    told = [" ".join(line.split()) for line in said.splitlines()]
    assert "a row ms 2.00 - 2.00 (1.00x) ≤ 0.5 of SDK missed, 2.00 of it" in told
    assert "a crowd /s 145 300 (2.06x) - ≥ 1.5 of SDK met" in told
    assert "64 MB ms 20.0 - -" in told
    assert "1 goals met, 1 missed, 0 not measured.\n  missed: a row: missed, 2.00 of it" in said


def test_goals_and_figures_are_short() -> None:
    assert [goal(row) for row in (ROW, CROWD, FLAT)] == [
        "≤ 0.5 of SDK",
        "≥ 1.5 of SDK",
        "≤ 1.15 x",
    ]
    assert [figure(value) for value in (0.123, 12.34, 1234.5)] == ["0.12", "12.3", "1234"]


def test_every_row_says_how_it_is_measured_and_stands_on_the_page() -> None:
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)
    assert [row.name for row in ROWS if not row.about] == []
    told = re.findall(r"`([^`]{9,})`", page)
    goals = [row.name for row in ROWS if row.limit]
    assert [name for name in goals if not any(one in name for one in told)] == []


# The one command


class Pretended:
    """A client's process that gives made-up figures."""

    def __init__(self, name: str, python: Path, url: str, folder: Path) -> None:
        self.name = name

    def can(self, verb: str) -> bool:
        return self.name != "floor" or verb == "images"

    def close(self) -> None:
        pass


def test_the_clients_take_turns_and_one_that_breaks_is_left_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked: list[str] = []

    def measure(who: Any) -> float:
        asked.append(who.name)
        if who.name == "hub":
            raise RuntimeError("hub, cpu: it broke")
        return len(asked)

    made: list[Any] = [Pretended(name, Path(), "", Path()) for name in ("sdk", "httpx", "hub")]
    rows = [Row("a row", "ms", measure, "images", rounds=2)]
    assert bench.measured(rows, made, 7, {}) == {"a row": {"sdk": [1.0, 6.0], "httpx": [2.0, 4.0]}}
    assert asked == ["sdk", "httpx", "hub", "httpx", "hub", "sdk"]
    assert "a row: hub, cpu: it broke" in capsys.readouterr().err


def test_a_client_that_gives_other_pictures_is_told() -> None:
    class Wrong:
        name = "sdk"
        can: Callable[[str], bool] = staticmethod(lambda verb: verb in ("images", "edit"))
        files: tuple[str, ...] = ()

        def ask(self, do: str, **more: Any) -> Any:
            return ["other"]

        def fresh(self, do: str, **more: Any) -> Any:
            raise RuntimeError("sdk, checked: not the files")

    assert bench.wrong(Wrong()) == [  # type: ignore[arg-type]
        "sdk, images: other pictures than were sent",
        "sdk, checked: not the files (in edit)",
    ]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["memroy"], "no row's name holds any of memroy"),
        (["--rounds", "0"], "--rounds is 1 or more, not 0"),
        (["--quick", "--clients", "sdk,curl"], "there is no curl; there are: "),
    ],
)
def test_what_nobody_can_measure_is_said(
    capsys: pytest.CaptureFixture[str], words: list[str], why: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        bench.main(words)
    assert caught.value.code == 2
    assert why in capsys.readouterr().err
