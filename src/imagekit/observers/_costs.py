"""What calls came to, per provider and model: in this process, and in a file for others."""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from .._errors import Billed, ImagekitError
from .._hookspecs import CallInfo, hookimpl
from .._purse import costs_of
from .._response import Cost, ImageResponse

_MAKING = frozenset({"generate", "edit", "variation", "submit", "batch", "resume", "poll"})
# Jobs of which it is remembered that they are in the record.
_MOST = 10_000


@dataclass(frozen=True, slots=True)
class CostRow:
    """What the calls to one model of one provider came to.

    `reported` and `estimated` are amounts of money by their currency, never summed. `unknown`
    counts the calls of which some cost is not known; `billed` the calls that failed, by whether
    they may cost money.
    """

    provider: str
    model: str | None
    calls: int = 0
    pictures: int = 0
    reported: Mapping[str, Decimal] = field(default_factory=dict)
    estimated: Mapping[str, Decimal] = field(default_factory=dict)
    unknown: int = 0
    billed: Mapping[Billed, int] = field(default_factory=dict)


class RecordCosts:
    """Keeps what each call cost; threads may share one, and so may clients.

    With *file* a line of JSON is appended to it for each call, in one piece, so that other
    processes can append to the same file. What makes no pictures is not recorded; a job is when it
    is over, and once, however often it is asked for.
    """

    def __init__(self, file: str | os.PathLike[str] | None = None) -> None:
        self._file = None if file is None else Path(file)
        self._lock = threading.Lock()
        self._rows: dict[tuple[str, str | None], CostRow] = {}
        self._jobs: dict[str, None] = {}

    @property
    def rows(self) -> tuple[CostRow, ...]:
        """A row for each provider and model, in the order of their first calls."""
        with self._lock:
            return tuple(self._rows.values())

    def total(self, currency: str = "USD") -> Decimal | None:
        """All known costs in *currency*, reported or estimated; None where none is known.

        Calls whose cost is not known are not in it: see `CostRow.unknown`.
        """
        known = [
            sums[currency]
            for row in self.rows
            for sums in (row.reported, row.estimated)
            if currency in sums
        ]
        return sum(known, Decimal()) if known else None

    @hookimpl
    def imagekit_call_finished(
        self, call: CallInfo, response: ImageResponse | None, error: ImagekitError | None
    ) -> None:
        """Add the call to the record."""
        outcome = error or response
        if outcome is None or call.verb not in _MAKING:
            return
        if error is not None and error.job is not None:
            return  # it goes on, and is told again when it is over
        left = error.response if error is not None else response
        model = (left.model if left else None) or call.model
        fresh = left is None or left.cached is None
        costs = costs_of(outcome, left) if fresh else []
        with self._lock:
            if call.job is not None:
                if call.job in self._jobs:
                    return
                self._jobs[call.job] = None
                if len(self._jobs) > _MOST:
                    del self._jobs[next(iter(self._jobs))]
            key = (call.provider, model)
            row = self._rows.get(key) or CostRow(*key)
            self._rows[key] = _with(row, left, error, costs)
        if self._file is not None:
            _append(self._file, _line(call, model, left, error, costs))


def _with(
    row: CostRow,
    left: ImageResponse | None,
    error: ImagekitError | None,
    costs: list[Cost | None],
) -> CostRow:
    sums = {"reported": dict(row.reported), "estimated": dict(row.estimated)}
    for cost in filter(None, costs):
        of = sums[cost.kind]
        of[cost.currency] = of.get(cost.currency, Decimal()) + cost.amount
    billed = Counter(row.billed)
    if error is not None:
        billed[error.billed or "possibly"] += 1
    return CostRow(
        row.provider,
        row.model,
        calls=row.calls + 1,
        pictures=row.pictures + (len(left.images) if left else 0),
        reported=sums["reported"],
        estimated=sums["estimated"],
        unknown=row.unknown + (None in costs),
        billed=dict(billed),
    )


def _line(
    call: CallInfo,
    model: str | None,
    left: ImageResponse | None,
    error: ImagekitError | None,
    costs: list[Cost | None],
) -> bytes:
    known = [
        {"amount": str(one.amount), "currency": one.currency, "kind": one.kind}
        for one in costs
        if one is not None
    ]
    said = {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "call": call.id,
        "verb": call.verb,
        "job": call.job,
        "provider": call.provider,
        "model": model,
        "pictures": len(left.images) if left else 0,
        "costs": known,
        "unknown": None in costs,
        "error": type(error).__name__ if error is not None else None,
        "billed": (error.billed or "possibly") if error is not None else None,
    }
    return json.dumps(said).encode() + b"\n"


def _append(file: Path, line: bytes) -> None:
    # One write to a file that is open for appending is never torn by another's.
    with file.open("ab", buffering=0) as out:
        out.write(line)
