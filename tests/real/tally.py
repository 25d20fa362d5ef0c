"""What each judge was asked, what it agreed to, and which differences have a reason."""

from __future__ import annotations

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
    """The account of all judges, a line each, and a line for each reason."""
    wide = max((len(judge.name) for judge in JUDGES), default=0)
    yield f"{'judge':{wide}}  calls  agreed  explained  unexplained"
    for judge in sorted(JUDGES, key=lambda one: one.name):
        explained = judge.reasons.total()
        counts = f"{judge.calls:5}  {judge.agreed:6}  {explained:9}  {judge.unexplained:11}"
        yield f"{judge.name:{wide}}  {counts}" + (
            f"  absent: {judge.absence}" if judge.absence else ""
        )
        for reason, count in sorted(judge.reasons.items()):
            yield f"{'':{wide}}    {count} differ: {reason}"
