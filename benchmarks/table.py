"""Figures into tables: medians, ratios of the same round, and whether a goal is met."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from .rows import Row

# Row, client, round.
Figures = Mapping[str, Mapping[str, Sequence[float]]]
OURS = ("ours on httpx2", "ours on httpx")
BY_HAND = "httpx"
# Where an async goal is held on the continuation, the library itself may cost this much by hand.
SLACK = 1.15
TITLES = {
    "goals": "The table (x is the ratio to the SDK in the same round)",
    "size": "How cost grows with the size of the picture",
    "n": "How cost grows with the number of pictures in a call, 1.5 MB each",
    "concurrency": "How cost grows with the number of calls at once",
}


@dataclass(frozen=True)
class Verdict:
    """Whether a goal is met, and the words for it; None where nothing was measured."""

    met: bool | None
    words: str


def ratio(figures: Mapping[str, Sequence[float]], one: str, other: str) -> float | None:
    """The median over the rounds of *one* over *other* in the same round."""
    pairs = zip(figures.get(one, ()), figures.get(other, ()), strict=False)
    found = [mine / theirs for mine, theirs in pairs if theirs]
    return median(found) if found else None


def judged(row: Row, figures: Mapping[str, Sequence[float]]) -> Verdict:
    """Sync is judged on httpx, async on its continuation and, on httpx, beside httpx by hand."""
    where = OURS[0] if row.asynchronous else OURS[1]
    met, words = _held(row, figures, where)
    if row.asynchronous and met is not None:
        beside = ratio(figures, OURS[1], BY_HAND)
        if beside is not None and row.more:
            beside = 1 / beside
        if beside is not None and beside > SLACK:
            met = False
            words += f"; on httpx {beside:.2f} of httpx by hand"
    return Verdict(met, words)


def _held(row: Row, figures: Mapping[str, Sequence[float]], where: str) -> tuple[bool | None, str]:
    found: float | None
    if row.limit == "of the SDK":
        found = ratio(figures, where, "sdk")
    else:
        found = median(figures[where]) if figures.get(where) else None
    if found is None or row.limit is None:
        return None, "not measured"
    if found >= row.goal if row.more else found <= row.goal:
        return True, "met"
    off = row.goal / found if row.more else found / row.goal
    return False, f"missed, {off:.2f} of it"


def goal(row: Row) -> str:
    """A goal in a few characters."""
    sign = "≥" if row.more else "≤"
    if row.limit == "of the SDK":
        return f"{sign} {row.goal:g} of SDK"
    return f"{sign} {row.goal:g} {row.unit}" if row.limit else ""


def figure(value: float) -> str:
    """A figure of three digits or so."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def rendered(rows: Iterable[Row], figures: Figures, clients: Sequence[str]) -> str:
    """All tables, and what became of the goals."""
    said = list(rows)
    parts = []
    for table, title in TITLES.items():
        if chosen := [row for row in said if row.table == table and figures.get(row.name)]:
            parts.append(f"{title}\n\n{_lines(chosen, figures, clients)}")
    return "\n\n".join([*parts, _goals(said, figures)])


def _lines(rows: Sequence[Row], figures: Figures, clients: Sequence[str]) -> str:
    goals = any(row.limit for row in rows)
    lines = [["", "", *clients, *(["goal", ""] if goals else [])]]
    for row in rows:
        found = figures[row.name]
        cells = [_cell(found, client, row.limit != "at most") for client in clients]
        last = [goal(row), judged(row, found).words if row.limit else ""] if goals else []
        lines.append([row.name, row.unit, *cells, *last])
    widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
    left = {0, 1, len(lines[0]) - 1} if goals else {0, 1}
    return "\n".join(
        "  ".join(
            cell.ljust(width) if at in left else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _cell(found: Mapping[str, Sequence[float]], client: str, compared: bool) -> str:
    if not found.get(client):
        return "-"
    shown = figure(median(found[client]))
    beside = ratio(found, client, "sdk") if compared and client in OURS else None
    return shown if beside is None else f"{shown} ({beside:.2f}x)"


def _goals(rows: Iterable[Row], figures: Figures) -> str:
    verdicts = {
        row.name: judged(row, figures[row.name])
        for row in rows
        if row.limit and figures.get(row.name)
    }
    met = [name for name, verdict in verdicts.items() if verdict.met]
    missed = {name: verdict.words for name, verdict in verdicts.items() if verdict.met is False}
    open_ = [name for name, verdict in verdicts.items() if verdict.met is None]
    lines = [f"{len(met)} goals met, {len(missed)} missed, {len(open_)} not measured."]
    lines += [f"  missed: {name}: {words}" for name, words in missed.items()]
    lines += [f"  not measured: {name}" for name in open_]
    return "\n".join(lines)
