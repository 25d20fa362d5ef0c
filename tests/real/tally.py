"""What each judge was asked, what it agreed to, and which differences have a reason."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import pytest

JUDGES: list[Judge] = []


class Judge:
    """Software that nobody here wrote, and the account of what it said.

    Each call is one `with judge.asked():`. What fails inside is a difference that nobody explains;
    one that is meant is asserted there too, and gives its reason: `asked(differs="why")`.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.calls = self.agreed = self.unexplained = 0
        self.reasons: Counter[str] = Counter()
        self.absence: str | None = None
        JUDGES.append(self)

    @contextmanager
    def asked(self, *, differs: str | None = None) -> Iterator[None]:
        """One call: it agrees, or differs for the reason given."""
        self.calls += 1
        try:
            yield
        except BaseException:
            self.unexplained += 1
            raise
        if differs is None:
            self.agreed += 1
        else:
            self.reasons[differs] += 1

    def absent(self, why: str) -> NoReturn:
        """Skip the test that wants this judge, and say so in the table."""
        self.absence = why
        pytest.skip(f"{self.name}: {why}")


def table() -> Iterator[str]:
    """The account of all judges, a line each, and below it each reason and how often it holds."""
    yield f"{'calls':>6} {'agreed':>7} {'explained':>10} {'unexplained':>12}  judge"
    for judge in sorted(JUDGES, key=lambda one: one.name.lower()):
        yield _row(judge.calls, judge.agreed, judge.reasons.total(), judge.unexplained, judge.name)
        if judge.absence:
            yield f"{'absent':>38}  {judge.absence}"
        for reason, count in sorted(judge.reasons.items()):
            first, *rest = textwrap.wrap(reason, 60)
            yield f"{count:>25}{'':13}  {first}"
            yield from (f"{'':38}  {line}" for line in rest)
    calls, agreed, unexplained = (
        sum(getattr(judge, name) for judge in JUDGES) for name in ("calls", "agreed", "unexplained")
    )
    yield _row(calls, agreed, calls - agreed - unexplained, unexplained, "all of them")


def _row(calls: int, agreed: int, explained: int, unexplained: int, name: str) -> str:
    return f"{calls:6} {agreed:7} {explained:10} {unexplained:12}  {name}"
