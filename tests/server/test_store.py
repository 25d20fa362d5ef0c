"""What is kept, for whom, how long and how much of it."""

from __future__ import annotations

import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import imagekit
from imagekit.server._store import MemoryStore, SQLiteStore

Make = Callable[[int], Any]


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", "sqlite"])
def make(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[Make]:
    made: list[Any] = []

    def of(most: int) -> Any:
        path = tmp_path / "kept.db"
        memory = request.param == "memory"
        made.append(MemoryStore(most, clock) if memory else SQLiteStore(path, most, clock))
        return made[-1]

    yield of
    for store in made:
        store.close()


def test_what_is_put_is_got_by_its_owner_and_nobody_else(make: Make) -> None:
    store = make(100)
    store.put("file", "a", "me", b"data", seconds=10)
    assert store.get("file", "a", "me") == b"data"
    assert store.get("file", "a", "you") is None
    assert store.get("response", "a", "me") is None
    assert store.get("file", "b", "me") is None
    assert (store.ids("file", "me"), store.ids("file", "you")) == (["a"], [])


def test_only_its_owner_deletes_it_and_once(make: Make) -> None:
    store = make(100)
    store.put("file", "a", "me", b"data", seconds=10)
    assert not store.delete("file", "a", "you")
    assert store.get("file", "a", "me") == b"data"
    assert store.delete("file", "a", "me")
    assert not store.delete("file", "a", "me")
    assert store.get("file", "a", "me") is None


def test_what_is_put_again_is_replaced_and_counted_once(make: Make, clock: Clock) -> None:
    store = make(10)
    store.put("file", "other", "me", b"1234", seconds=10)
    for data in (b"123456", b"654321", b"abcdef"):
        clock.now += 1
        store.put("file", "a", "me", data, seconds=10)
    assert store.get("file", "a", "me") == b"abcdef"
    assert store.ids("file", "me") == ["other", "a"]


def test_it_expires(make: Make, clock: Clock) -> None:
    store = make(100)
    store.put("file", "short", "me", b"data", seconds=10)
    store.put("file", "long", "me", b"data", seconds=20)
    clock.now += 9.5
    assert store.get("file", "short", "me") == b"data"
    clock.now += 0.5
    assert store.get("file", "short", "me") is None
    assert not store.delete("file", "short", "me")
    assert store.ids("file", "me") == ["long"]


def test_what_has_expired_takes_no_room(make: Make, clock: Clock) -> None:
    store = make(10)
    store.put("file", "old", "me", b"123456", seconds=10)
    store.put("file", "new", "me", b"1234", seconds=100)
    clock.now += 50
    store.put("file", "newest", "me", b"123456", seconds=10)
    assert store.ids("file", "me") == ["new", "newest"]


def test_the_oldest_goes_where_there_is_no_room(make: Make, clock: Clock) -> None:
    store = make(10)
    for name in "abcd":
        clock.now += 1
        store.put("file", name, "me", b"1234", seconds=100)
    assert store.ids("file", "me") == ["c", "d"]


def test_many_threads_may_use_it_at_once(make: Make) -> None:
    store, failed = make(10_000), []

    def work(name: str) -> None:
        try:
            for turn in range(20):
                store.put("file", f"{name}{turn}", name, b"data", seconds=10)
                assert store.get("file", f"{name}{turn}", name) == b"data"
                assert len(store.ids("file", name)) == turn + 1
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_memory_is_empty_once_closed() -> None:
    store = MemoryStore(10)
    store.put("file", "a", "me", b"123456", seconds=10)
    store.close()
    assert store.ids("file", "me") == []
    store.put("file", "b", "me", b"123456", seconds=10)
    assert store.ids("file", "me") == ["b"]


def test_a_file_outlives_its_store(tmp_path: Path) -> None:
    path = tmp_path / "kept.db"
    with closing(SQLiteStore(path, 100)) as store:
        store.put("file", "a", "me", b"data", seconds=100)
    with closing(SQLiteStore(str(path), 100)) as store:
        assert store.get("file", "a", "me") == b"data"


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such modes")
@pytest.mark.parametrize("there", [False, True])
def test_a_file_is_its_owners_alone(there: bool, tmp_path: Path) -> None:
    path = tmp_path / "kept.db"
    if there:
        path.touch(0o644)
    with closing(SQLiteStore(path, 100)) as store:
        store.put("file", "a", "me", b"data", seconds=100)
        modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    assert "kept.db-wal" in modes
    assert set(modes.values()) == {0o600}


def test_what_is_deleted_is_not_left_in_the_file(tmp_path: Path) -> None:
    path, secret = tmp_path / "kept.db", b"a-prompt-to-be-forgotten" * 50
    with closing(SQLiteStore(path, 10_000)) as store:
        store.put("response", "a", "me", secret, seconds=100)
        store.delete("response", "a", "me")
    assert secret[:24] not in b"".join(file.read_bytes() for file in tmp_path.iterdir())


@pytest.mark.parametrize("content", [None, b"this is no database " * 100])
def test_a_file_that_cannot_be_used_is_the_operators_mistake(
    content: bytes | None, tmp_path: Path
) -> None:
    path = tmp_path / "no-folder" / "kept.db"
    if content is not None:
        path.parent.mkdir()
        path.write_bytes(content)
    with pytest.raises(imagekit.ConfigurationError, match="cannot be used: ") as refused:
        SQLiteStore(path, 100)
    assert isinstance(refused.value.__cause__, OSError | sqlite3.Error)


def test_whether_more_fits_says_what_would_have_to_go(make: Make, clock: Clock) -> None:
    store = make(10)
    for kind, id in (("file", "a"), ("file", "b"), ("part", "c")):
        clock.now += 1
        store.put(kind, id, "me", b"123", seconds=10)

    def fits(size: int, *dear: tuple[str, str, str]) -> bool:
        found: bool = store.fits(size, lambda *what: what in dear)
        return found

    assert fits(1, ("file", "a", "me"))
    assert not fits(2, ("file", "a", "me"))
    assert fits(4, ("file", "b", "me"))
    assert not fits(5, ("file", "b", "me"))
    assert fits(10)
    assert not fits(11)
    clock.now += 8.5
    assert fits(4, ("file", "b", "me"))
    assert store.ids("part", "me") == ["c"]


def test_what_is_put_again_is_never_gone_for_another_server(tmp_path: Path) -> None:
    one, other = (SQLiteStore(tmp_path / "kept.db", 10**6) for _ in range(2))
    one.put("beat", "a", "me", b"0", seconds=60)
    lost, done = [], threading.Event()

    def watch() -> None:
        while not done.is_set():
            if other.get("beat", "a", "me") is None:
                lost.append(1)

    watching = threading.Thread(target=watch)
    watching.start()
    for number in range(200):
        one.put("beat", "a", "me", b"%d" % number, seconds=60)
    done.set()
    watching.join()
    assert lost == []
    one.close()
    other.close()


def test_what_cannot_be_put_leaves_what_was_there(tmp_path: Path) -> None:
    kept = SQLiteStore(tmp_path / "kept.db", 10)
    kept.put("file", "a", "me", b"first", seconds=60)
    with pytest.raises(sqlite3.Error):
        kept.put("file", "a", "me", object(), seconds=60)  # type: ignore[arg-type]
    assert kept.get("file", "a", "me") == b"first"
    kept.put("file", "b", "me", b"12345", seconds=60)
    assert kept.get("file", "a", "me") == b"first"
    kept.close()
