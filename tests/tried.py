"""What a class of trials came to, for the table of tests/reliability.py."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Tried:
    """How many were tried, and a line for each whose outcome was wrong."""

    count: int = 0
    wrong: list[str] = field(default_factory=list)

    def __iadd__(self, other: Tried) -> Tried:
        self.count += other.count
        self.wrong += other.wrong
        return self
