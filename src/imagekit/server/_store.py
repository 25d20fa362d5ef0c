"""What a server keeps for a while: responses, pictures and files, in memory or in SQLite."""

from __future__ import annotations

import math
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from .._errors import ConfigurationError

# Whether what is kept as that kind, by that id and for that owner is not to be dropped.
Wanted: TypeAlias = Callable[[str, str, str], bool]


class Store(Protocol):
    """Documents by kind and id, each seen by its owner alone; all methods may block."""

    def put(self, kind: str, id: str, owner: str, data: bytes, *, seconds: float) -> None:
        """Keep *data* for so many seconds."""
        ...

    def get(self, kind: str, id: str, owner: str) -> bytes | None:
        """What is kept there for *owner*."""
        ...

    def delete(self, kind: str, id: str, owner: str) -> bool:
        """Forget it; whether it was there."""
        ...

    def ids(self, kind: str, owner: str) -> list[str]:
        """Everything of that kind that is the *owner*'s, oldest first."""
        ...

    def fits(self, size: int, wanted: Wanted) -> bool:
        """Whether *size* more bytes find room where nothing is dropped that is *wanted*."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


def _makes_room(over: int, oldest: Iterable[tuple[str, str, str, int]], wanted: Wanted) -> bool:
    """Whether *over* bytes go with the *oldest*, and none of these is *wanted*."""
    for kind, id, owner, size in oldest:
        if over <= 0 or wanted(kind, id, owner):
            break
        over -= size
    return over <= 0


@dataclass(frozen=True, slots=True)
class _Kept:
    owner: str
    data: bytes
    until: float


class MemoryStore:
    """Keeps at most *most* bytes, the newest; gone with the process."""

    def __init__(self, most: int, clock: Callable[[], float] = time.time) -> None:
        self._kept: dict[tuple[str, str], _Kept] = {}
        self._most, self._held, self._clock = most, 0, clock
        self._sweep_at = 0.0
        self._lock = threading.RLock()

    def put(self, kind: str, id: str, owner: str, data: bytes, *, seconds: float) -> None:
        """Keep *data* for so many seconds."""
        with self._lock:
            self._drop((kind, id))
            self._sweep()
            until = self._clock() + seconds
            self._kept[kind, id] = _Kept(owner, data, until)
            self._sweep_at = min(self._sweep_at, until)
            self._held += len(data)
            while self._held > self._most:
                self._drop(next(iter(self._kept)))

    def get(self, kind: str, id: str, owner: str) -> bytes | None:
        """What is kept there for *owner*."""
        found = self._kept.get((kind, id))
        if found is None or found.owner != owner or found.until <= self._clock():
            return None
        return found.data

    def delete(self, kind: str, id: str, owner: str) -> bool:
        """Forget it; whether it was there."""
        with self._lock:
            there = self.get(kind, id, owner) is not None
            if there:
                self._drop((kind, id))
            return there

    def ids(self, kind: str, owner: str) -> list[str]:
        """Everything of that kind that is the *owner*'s, oldest first."""
        with self._lock:
            mine = [id for of, id in self._kept if of == kind]
            return [id for id in mine if self.get(kind, id, owner) is not None]

    def fits(self, size: int, wanted: Wanted) -> bool:
        """Whether *size* more bytes find room where nothing is dropped that is *wanted*."""
        with self._lock:
            self._sweep()
            oldest = ((*key, kept.owner, len(kept.data)) for key, kept in self._kept.items())
            return _makes_room(self._held + size - self._most, oldest, wanted)

    def close(self) -> None:
        """Let go of everything."""
        with self._lock:
            self._kept.clear()
            self._held = 0

    def _sweep(self) -> None:
        now = self._clock()
        if now < self._sweep_at:
            return
        for key in [key for key, kept in self._kept.items() if kept.until <= now]:
            self._drop(key)
        self._sweep_at = min((kept.until for kept in self._kept.values()), default=math.inf)

    def _drop(self, key: tuple[str, str]) -> None:
        found = self._kept.pop(key, None)
        self._held -= len(found.data) if found else 0


_SCHEMA = """
create table if not exists kept (
  kind text not null, id text not null, owner text not null,
  until real not null, at real not null, data blob not null,
  primary key (kind, id)
) without rowid;
create index if not exists kept_at on kept (at);
create index if not exists kept_until on kept (until);
"""
_HELD = "select coalesce(sum(length(data)), 0) from kept"
_DROP_OLDEST = """
delete from kept where (kind, id) in (select kind, id from kept order by at limit 1)
returning length(data)
"""
_OLDEST = "select kind, id, owner, length(data) from kept order by at"
_DROP_EXPIRED = "delete from kept where until <= ? returning length(data)"
_DROP_ONE = "delete from kept where kind = ? and id = ? returning length(data)"


def _opened(file: Path) -> sqlite3.Connection:
    os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
    file.chmod(0o600)  # where it was there before
    made = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
    try:
        made.execute("pragma journal_mode = wal")
        made.execute("pragma secure_delete = on")
        made.executescript(_SCHEMA)
        made.execute(f"explain {_DROP_OLDEST}")  # what an SQLite before 3.35 cannot do
    except sqlite3.Error:
        made.close()
        raise
    return made


class SQLiteStore:
    """The same in a file, which only its owner may read: it holds prompts and pictures."""

    def __init__(
        self, path: str | os.PathLike[str], most: int, clock: Callable[[], float] = time.time
    ) -> None:
        self._lock, self._most, self._clock = threading.Lock(), most, clock
        try:
            self._at = _opened(Path(path))
            self._held = int(self._at.execute(_HELD).fetchone()[0])
        except (OSError, sqlite3.Error) as error:
            why = getattr(error, "strerror", None) or error
            raise ConfigurationError(f"the database {str(path)!r} cannot be used: {why}") from error

    def put(self, kind: str, id: str, owner: str, data: bytes, *, seconds: float) -> None:
        """Keep *data* for so many seconds."""
        now = self._clock()
        row = (kind, id, owner, now + seconds, now, data)
        with self._lock, self._all_at_once():
            self._drop(_DROP_EXPIRED, now)
            self._drop(_DROP_ONE, kind, id)
            self._at.execute("insert into kept values (?, ?, ?, ?, ?, ?)", row)
            self._held += len(data)
            while self._held > self._most:
                self._drop(_DROP_OLDEST)

    @contextmanager
    def _all_at_once(self) -> Iterator[None]:
        """What is done now is seen by other servers as one thing, or not at all."""
        held = self._held
        self._at.execute("begin immediate")
        try:
            yield
            self._at.execute("commit")
        except BaseException:
            self._held = held
            self._at.execute("rollback")
            raise

    def _drop(self, what: str, *which: object) -> None:
        # Counted as it goes: a sum over all of it takes as long as all of it is large.
        self._held -= sum(size for (size,) in self._at.execute(what, which).fetchall())

    def get(self, kind: str, id: str, owner: str) -> bytes | None:
        """What is kept there for *owner*."""
        what = "select data from kept where kind = ? and id = ? and owner = ? and until > ?"
        with self._lock:
            found = self._at.execute(what, (kind, id, owner, self._clock())).fetchone()
        return bytes(found[0]) if found else None

    def delete(self, kind: str, id: str, owner: str) -> bool:
        """Forget it; whether it was there."""
        what = "select 1 from kept where kind = ? and id = ? and owner = ? and until > ?"
        with self._lock:
            there = self._at.execute(what, (kind, id, owner, self._clock())).fetchone()
            if there is not None:
                self._drop(_DROP_ONE, kind, id)
            return there is not None

    def ids(self, kind: str, owner: str) -> list[str]:
        """Everything of that kind that is the *owner*'s, oldest first."""
        what = "select id from kept where kind = ? and owner = ? and until > ? order by at, id"
        with self._lock:
            found = self._at.execute(what, (kind, owner, self._clock())).fetchall()
        return [id for (id,) in found]

    def fits(self, size: int, wanted: Wanted) -> bool:
        """Whether *size* more bytes find room where nothing is dropped that is *wanted*."""
        with self._lock:
            self._drop(_DROP_EXPIRED, self._clock())
            with closing(self._at.execute(_OLDEST)) as oldest:
                return _makes_room(self._held + size - self._most, oldest, wanted)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._at.close()
