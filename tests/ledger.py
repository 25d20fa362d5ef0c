"""The ledger, docs/coming-from.md, as values; run as a script, it asks each proof and prints all.

python tests/ledger.py [filter ...]     of the rows whose ids begin so, or that say so
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/coming-from.md"
# What is left open is for the whole run of the tests to find.
QUIET = ("-q", "--no-header", "-p", "no:cacheprovider", "-p", "no:unraisableexception")
EXAMPLES = "tests/test_ledger.py::test_an_example_does_what_it_says"

CODE = re.compile(r"`([^`]+)`")
_CELLS = re.compile(r"(?<!\\)\|")
_RULE = re.compile(r"[|: -]+")
_ID = re.compile(r"[A-Z]\d\d+")


# The page


@dataclass(frozen=True)
class Line:
    """A row: what something was called there, what it is here, and what shows that it is so."""

    id: str
    there: str
    here: str
    examples: tuple[str, ...]
    proofs: tuple[str, ...]


@dataclass(frozen=True)
class Ledger:
    """The page: its rows, what stands outside (of which line, what, and why), and its names."""

    lines: tuple[Line, ...]
    outside: tuple[tuple[str, str, str], ...]
    names: Mapping[str, str]


def read(page: str) -> Ledger:
    """The ledger that *page* holds."""
    lines, outside, names = [], [], {}
    for section in re.split(r"^## ", page, flags=re.M):
        title = section.partition("\n")[0]
        for cells in _rows(section):
            if title == "Outside":
                of, what, why = cells
                outside.append((of, what, why))
            elif title == "The names in the examples":
                names[CODE.findall(cells[0])[0]] = cells[1]
            elif _ID.fullmatch(cells[0]):
                id, there, here, example, proof = cells
                codes = tuple(CODE.findall(example)), tuple(CODE.findall(proof))
                lines.append(Line(id, there, here, *codes))
    return Ledger(tuple(lines), tuple(outside), names)


def _rows(section: str) -> Iterator[list[str]]:
    """The cells of each row of the tables, but for their heads."""
    rows = [line for line in section.splitlines() if line.startswith("|")]
    for line, below in zip(rows, [*rows[1:], ""], strict=False):
        if not _RULE.fullmatch(line) and not _RULE.fullmatch(below):
            yield [cell.strip().replace("\\|", "|") for cell in _CELLS.split(line)[1:-1]]


# Its proofs


class Outcomes:
    """Notes what becomes of each test, under its own name and, of all its cases, without theirs."""

    def __init__(self) -> None:
        self._seen: dict[str, set[str]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Hear of one."""
        if report.when == "call" or report.outcome != "passed":
            for name in (report.nodeid, report.nodeid.partition("[")[0]):
                self._seen.setdefault(name, set()).add(report.outcome)

    def of(self, name: str) -> str:
        """What came of a test: the worst of its cases, or that there is none."""
        seen = self._seen.get(name, set())
        return next((one for one in ("failed", "skipped", "passed") if one in seen), "missing")


def main(*wanted: str) -> int:
    """Run the proofs, print the table; the exit code is 0 where every one of them passed."""
    ledger = read(PAGE.read_text(encoding="utf-8"))
    lines = [line for line in ledger.lines if _meant(line, wanted)]
    proofs = {line.id: (*line.proofs, f"{EXAMPLES}[{line.id}]") for line in lines}
    named = sorted({proof for of in proofs.values() for proof in of})
    outcomes = Outcomes()
    if named:
        pytest.main([*QUIET, *named], plugins=[outcomes])
    proven: Counter[str] = Counter()
    for line in lines:
        here = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", line.here).replace("`", "")
        for proof in proofs[line.id]:
            print(f"{line.id:4} {_short(here, 40)} {_short(proof, 100)} {outcomes.of(proof)}")
        proven[_kind(line)] += all(outcomes.of(proof) == "passed" for proof in proofs[line.id])
    every = Counter(map(_kind, lines))
    for kind, count in every.items():
        print(f"{kind}: {proven[kind]} of {count} are proven")
    if not lines:
        print("no row begins with that, or says it")
    if not wanted:
        print(f"outside, each with its reason: {len(ledger.outside)}")
    return int(not lines or proven != every)


def _meant(line: Line, wanted: Sequence[str]) -> bool:
    said = f"{line.there} {line.here}".lower()
    return not wanted or any(
        line.id.startswith(one) if re.fullmatch(r"[A-Z]\d*", one) else one.lower() in said
        for one in wanted
    )


def _short(text: str, width: int) -> str:
    return f"{text if len(text) <= width else text[: width - 1] + '…':{width}}"


def _kind(line: Line) -> str:
    kinds = {"P": "rows of OpenAI's page", "G": "gone from OpenAI", "B": "defects left behind"}
    return kinds.get(line.id[0], "lines of the seeds")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
