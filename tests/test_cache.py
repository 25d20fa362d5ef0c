from __future__ import annotations

import importlib.util
import json
import logging
import os
import pickle
import re
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import hishel
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import imagekit._cache as module
from imagekit import (
    ConfigurationError,
    Cost,
    DeadlineExceededError,
    HttpInfo,
    Image,
    ImageFailure,
    ImageReady,
    ImageResponse,
    NoImageError,
    Notice,
    Noticed,
    ProviderError,
    RateLimit,
    RequestError,
    State,
    Timing,
    Usage,
    UsageItem,
)
from imagekit._cache import Cache, cache_of, cached
from imagekit._flow import Call
from imagekit._response import Attempt, CallRecord
from imagekit.provider import Flow, emit
from imagekit.testing import Played, play
from toys import Driver, picture

KEY = "a" * 64
HIDDEN = "req_hidden"


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Cache]:
    made = Cache(tmp_path / "kept")
    yield made
    made.close()


def rich(*shades: int, **more: Any) -> ImageResponse:
    """A response that says all that one can say."""
    usage = Usage(items=(UsageItem(quantity=Decimal("12.50"), direction="output"),))
    cost = Cost(amount=Decimal("0.040"), kind="estimated", source="a page")
    return ImageResponse(
        slots=tuple(
            Image(
                data=picture(shade, 3, 2),
                url=f"https://files.test/{shade}?sig={HIDDEN}",
                expires_at=datetime(2026, 11, 21, tzinfo=UTC),
                revised_prompt="a föx",
                seed=shade,
                id=f"ig_{shade}",
                echo={"size": "3x2", "nested": {"a": [1, 2.5, None]}},
            )
            for shade in shades or (1,)
        ),
        provider="toy",
        profile="mine",
        model="toy-1",
        text="done",
        usage=usage,
        cost=cost,
        calls=(CallRecord(n=1, images=1, usage=usage, cost=cost, request_ids=(HIDDEN,)),),
        attempts=(Attempt(provider="other", kind="RateLimitError", error="later"),),
        notices=(Notice(kind="adjusted", feature="size", wanted="1x1", used="3x2"),),
        state=State(provider="toy", payload={"at": "r_1"}),
        created=datetime(2026, 11, 20, 12, tzinfo=UTC),
        request_ids=(HIDDEN,),
        rate_limits={"requests": RateLimit(limit=5)},
        timing=Timing(total=2.5),
        processing_time=1.5,
        http=(HttpInfo(method="POST", url="https://toy.test", status=200, text=HIDDEN),),
        metadata={"organization": "us"},
        **more,
    )


class Maker:
    """Flows that come to *response*, or raise it; it counts how often one ran."""

    def __init__(self, response: Any) -> None:
        self.response, self.ran = response, 0

    def __call__(self) -> Flow:
        self.ran += 1
        if isinstance(self.response, Exception):
            raise self.response
        for said in self.response.notices:
            yield from emit(Noticed(notice=said))
        for index, image in enumerate(self.response.images):
            yield from emit(ImageReady(index=index, image=image))
        return self.response


def through(
    cache: Cache, make: Maker, key: str = KEY, n: int = 1, *, refresh: bool = False
) -> Played:
    return play(cached(make(), cache, key, n, refresh=refresh))


def filled(cache: Cache, key: str = KEY, response: ImageResponse | None = None) -> Maker:
    """What made the result that *cache* has for *key*."""
    make = Maker(response or rich())
    through(cache, make, key)
    assert make.ran == 1
    return make


def file_of(cache: Cache) -> Path:
    (found,) = cache.path.glob("*.db")
    return found


def hits(cache: Cache, key: str = KEY) -> bool:
    make = Maker(rich())
    play(cached(make(), cache, key, 1, refresh=False), into=(seen := Played()))
    return make.ran == 0 and seen.response.cached is not None


class TestHits:
    def test_what_was_made_once_is_not_made_again(self, cache: Cache) -> None:
        make = Maker(rich(1, 2))
        before = datetime.now(UTC)
        first = through(cache, make, n=2)
        again = through(cache, make, n=2)
        assert make.ran == 1
        assert first.response is make.response
        assert first.response.cached is None
        assert before <= again.response.cached <= datetime.now(UTC)
        assert again.response.cached.utcoffset().total_seconds() == 0
        # Whoever streams sees the same; what differs is told when the pictures are there.
        left_out = {"url", "expires_at"}
        seen = [one.model_dump(exclude={"image": left_out}) for one in first.events]
        seen.sort(key=lambda one: one["kind"] == "noticed")
        assert [one.model_dump(exclude={"image": left_out}) for one in again.events] == seen
        assert [one.data for one in again.response] == [picture(1, 3, 2), picture(2, 3, 2)]

    def test_it_says_what_the_first_said_but_for_the_exchange(self, cache: Cache) -> None:
        make = filled(cache)
        found = through(cache, make).response
        gone = {
            *("http", "request_ids", "rate_limits", "timing", "processing_time"),
            *("attempts", "cached"),
        }
        apart = {"slots": {"__all__": {"url", "expires_at"}}, "calls": {"__all__": {"request_ids"}}}
        exclude: Any = {**dict.fromkeys(gone, True), **apart}
        assert found.model_dump(exclude=exclude) == make.response.model_dump(exclude=exclude)
        assert found.cost == make.response.cost
        assert found.state == make.response.state
        assert found.notices == make.response.notices
        assert not any(getattr(found, name) for name in gone - {"cached"})
        assert found.image.url is None
        assert found.image.expires_at is None
        assert found.calls[0].request_ids == ()
        assert (found.image.width, found.image.media_type) == (3, "image/png")

    def test_nothing_of_the_exchange_is_on_the_disk(self, cache: Cache) -> None:
        filled(cache)
        cache.close()
        data = file_of(cache).read_bytes()
        assert picture(1, 3, 2) in data  # as it came, and no base64 of it
        assert HIDDEN.encode() not in data

    def test_on_every_driver(self, driver: Driver, cache: Cache) -> None:
        make = Maker(rich())
        first = driver.do(cached(make(), cache, KEY, 1))
        events: list[Any] = []
        again = driver.do(cached(make(), cache, KEY, 1), events=events)
        assert make.ran == 1
        assert again.cached
        assert again.image.data == first.image.data
        assert [event.kind for event in events] == ["image-ready", "noticed"]

    def test_another_key_is_another_result(self, cache: Cache) -> None:
        filled(cache)
        assert not hits(cache, "b" * 64)

    def test_refreshing_reads_nothing_and_replaces(self, cache: Cache) -> None:
        filled(cache)
        make = Maker(rich(9))
        assert through(cache, make, refresh=True).response.cached is None
        assert make.ran == 1
        assert through(cache, make).response.image.data == picture(9, 3, 2)
        assert len(cache) == 1
        shown = "select count(*) from entries where expires_at is null"
        assert rows(cache, shown) == [(1,)]  # the old one is gone, and not only behind it

    def test_of_two_that_came_at_once_the_newer_is_shown(self, cache: Cache) -> None:
        for shade in (1, 2, 3):
            body, made = module._packed(KEY, rich(shade))
            storage = cache._used(lambda opened: opened.storage)
            response = hishel.Response(
                200, hishel.Headers({"made": made.isoformat()}), iter([body])
            )
            entry = storage.create_entry(hishel.Request("GET", "x"), response, KEY)
            module._body(entry)
        assert len(cache) == 1
        assert through(cache, Maker(rich())).response.image.data == picture(3, 3, 2)

    def test_one_that_has_too_few_pictures_is_none(self, cache: Cache) -> None:
        filled(cache)
        make = Maker(rich(1, 2))
        through(cache, make, n=2)
        assert make.ran == 1

    def test_a_hit_does_not_begin_the_call(self, cache: Cache) -> None:
        filled(cache)
        begun, closed = [], []

        def flow() -> Flow:
            begun.append(1)
            try:
                yield from emit(Noticed(notice=Notice(kind="other", feature="x")))
            finally:
                closed.append(1)
            return rich()

        waiting = flow()
        play(cached(waiting, cache, KEY, 1))
        assert (begun, closed) == ([], [])
        assert waiting.gi_frame is None  # and it cannot be begun any more


class TestWhatIsKept:
    @pytest.mark.parametrize(
        "response",
        [
            rich().model_copy(
                update={"slots": (*rich().slots, ImageFailure(kind="failed", reason="x"))}
            ),
            ImageResponse(slots=(Image(url="https://files.test/1"),)),
            ImageResponse(slots=()),
        ],
        ids=["a failure", "a URL alone", "nothing"],
    )
    def test_only_pictures_with_their_bytes(
        self, cache: Cache, response: ImageResponse, caplog: pytest.LogCaptureFixture
    ) -> None:
        make = Maker(response)
        through(cache, make)
        through(cache, make)
        assert make.ran == 2
        assert len(cache) == 0
        assert caplog.records == []  # that is as it should be, and nothing to speak of

    def test_fewer_than_were_asked_for_are_not_kept(self, cache: Cache) -> None:
        make = Maker(rich())
        through(cache, make, n=2)
        assert len(cache) == 0

    def test_an_error_is_not_kept(self, cache: Cache) -> None:
        make = Maker(ProviderError("no"))
        for _ in range(2):
            with pytest.raises(ProviderError, match="no"):
                through(cache, make)
        assert make.ran == 2
        assert len(cache) == 0

    def test_what_would_not_come_back_the_same_is_not_kept(
        self, cache: Cache, caplog: pytest.LogCaptureFixture
    ) -> None:
        make = Maker(rich().model_copy(update={"metadata": {"a": (1, 2)}}))
        assert through(cache, make).response.metadata == {"a": (1, 2)}
        assert len(cache) == 0
        assert said(caplog, "WARNING") == [
            "imagekit: the result is not kept in the cache: it would not be the same when it is "
            "read again"
        ]

    def test_a_result_goes_out_when_the_time_is_over(
        self, cache: Cache, caplog: pytest.LogCaptureFixture
    ) -> None:
        flow = cached(Maker(rich())(), cache, KEY, 1)
        calls = 0

        def perform() -> None:
            nonlocal calls
            effect = next(flow)
            while True:
                calls += isinstance(effect, Call)
                if calls == 2:
                    flow.throw(DeadlineExceededError("over"))
                effect = flow.send(effect.function() if isinstance(effect, Call) else None)

        with pytest.raises(StopIteration) as ended:
            perform()
        assert ended.value.value.image.data == picture(1, 3, 2)
        assert said(caplog, "WARNING") == ["imagekit: the result is not kept in the cache: over"]

    def test_the_disk_is_read_and_written_off_the_event_loop(self, cache: Cache) -> None:
        # What is no `Call` runs on the event loop.
        flow = cached(Maker(rich())(), cache, KEY, 1)
        next(flow)
        assert not cache.path.exists()
        flow.close()


def said(caplog: pytest.LogCaptureFixture, level: str) -> list[str]:
    return [one.message for one in caplog.records if one.levelname == level]


def rows(cache: Cache, what: str, *values: object) -> list[Any]:
    """Do *what* to the file, as somebody else would."""
    cache.close()
    at = sqlite3.connect(file_of(cache), isolation_level=None)
    try:
        return at.execute(what, values).fetchall()
    finally:
        at.close()


class Bomb:
    """What runs when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


class TestTampering:
    @given(st.data())
    @settings(
        deadline=None,
        max_examples=60,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    def test_a_changed_byte_makes_it_a_miss(self, data: st.DataObject) -> None:
        body, _ = module._packed(KEY, rich())
        assert module._unpacked(body, KEY, 1).image.data == picture(1, 3, 2)
        at = data.draw(st.integers(0, len(body) - 1))
        other = data.draw(st.integers(1, 255))
        changed = body[:at] + bytes([body[at] ^ other]) + body[at + 1 :]
        with pytest.raises(ValueError):
            module._unpacked(changed, KEY, 1)

    @pytest.mark.parametrize(
        "rest",
        [
            b"",
            b"\0" * 8,
            b"\xff" * 8,
            (2).to_bytes(8, "big") + b"{}",
            *(
                len(head).to_bytes(8, "big") + head
                for head in (
                    json.dumps(
                        {
                            "key": key,
                            "made": "2026-11-21T00:00:00Z",
                            "sizes": sizes,
                            "response": one,
                        }
                    ).encode()
                    for key, sizes, one in [
                        (KEY, [], {}),
                        (KEY, [], {"slots": [{"kind": "image"}]}),
                        (KEY, [1], {"slots": 5}),
                        (KEY, [1], {"slots": ["x"]}),
                        (KEY, [99], {"slots": [{"kind": "image"}]}),
                        (KEY, [], {"slots": []}),
                        ("b" * 64, [], {"slots": []}),
                    ]
                )
            ),
        ],
    )
    def test_one_that_is_sealed_and_wrong_is_a_miss_and_removed(
        self, cache: Cache, rest: bytes, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        filled(cache)
        seal = module._MAGIC + module.hashlib.sha256(rest).digest()
        rows(cache, "update streams set chunk_data = ?", seal + rest)
        assert cache._read(KEY, 1) is None
        assert len(cache) == 0
        (line,) = said(caplog, "DEBUG")
        assert line.startswith("imagekit: what the cache has cannot be read: ")
        assert "\n" not in line

    @pytest.mark.parametrize(
        "what",
        [
            "update streams set chunk_data = 'text'",
            "update streams set chunk_data = x'00'",
            "update streams set chunk_data = substr(chunk_data, 1, 100)",
            "delete from streams",
            "update entries set chunk_count = 7",
            "update entries set chunk_count = 'x'",
            "update entries set data = x'00'",
            "update entries set data = 'text'",
            "update entries set id = x'00'",
            "update entries set last_accessed_at = 'now'",
        ],
    )
    def test_a_row_that_was_changed_is_a_miss(
        self, cache: Cache, what: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        filled(cache)
        caplog.clear()
        rows(cache, what)
        make = Maker(rich())
        through(cache, make)
        assert make.ran == 1
        assert said(caplog, "ERROR") == []

    def test_nothing_is_ever_unpickled(self, cache: Cache, tmp_path: Path) -> None:
        fired = tmp_path / "fired"
        bomb = pickle.dumps(Bomb(fired))
        pickle.loads(bomb)
        assert fired.exists()
        fired.unlink()
        filled(cache)
        for column, table in (("chunk_data", "streams"), ("data", "entries")):
            rows(cache, f"update {table} set {column} = ?", bomb)
            assert not hits(cache)
            filled(cache, "b" * 64)
        assert not fired.exists()

    def test_one_that_was_moved_is_a_miss(self, cache: Cache) -> None:
        filled(cache)
        rows(cache, "update entries set cache_key = ?", b"b" * 64)
        assert cache._read("b" * 64, 1) is None

    @pytest.mark.parametrize(
        "how", ["garbage", "cut", "holes", "pictures", "other tables", "empty"]
    )
    def test_a_broken_file_is_made_anew(
        self, cache: Cache, how: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        filled(cache)
        cache.close()
        file = file_of(cache)
        data = file.read_bytes()
        if how == "pictures":
            ((page,),) = rows(cache, "select rootpage from sqlite_master where name = 'streams'")
            data = file.read_bytes()
            file.write_bytes(data[: (page - 1) * 4096] + b"\xff" * 4096 + data[page * 4096 :])
        elif how == "other tables":
            rows(cache, "drop table entries")
            rows(cache, "create table entries (other)")
        else:
            file.write_bytes(
                {
                    "garbage": b"no database at all" * 99,
                    "cut": data[:5000],
                    "holes": data[:4096] + b"\xff" * (len(data) - 4096),
                    "empty": b"",
                }[how]
            )
        caplog.clear()
        assert not hits(cache)  # and the new result is kept
        assert hits(cache)
        assert len(cache) == 1
        assert [one for one in caplog.records if one.levelno > logging.DEBUG] == []

    def test_a_broken_file_is_cleared_too(self, cache: Cache) -> None:
        filled(cache)
        cache.close()
        file_of(cache).write_bytes(b"no database at all" * 99)
        cache.clear()
        assert len(cache) == 0


class TestTrouble:
    def test_without_room_the_result_goes_out(
        self, cache: Cache, caplog: pytest.LogCaptureFixture
    ) -> None:
        filled(cache)
        at = cache._used(lambda opened: opened.connection)
        pages = at.execute("pragma page_count").fetchone()[0]
        at.execute(f"pragma max_page_count = {pages}")
        make = Maker(rich().model_copy(update={"text": "long " * 20_000}))
        assert through(cache, make, "b" * 64).response is make.response
        assert said(caplog, "WARNING") == [
            "imagekit: the result is not kept in the cache: database or disk is full"
        ]
        assert said(caplog, "ERROR") == []
        assert hits(cache)

    def test_what_is_larger_than_all_of_it_is_not_kept(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        cache = Cache(tmp_path, size_limit=100_000)
        make = Maker(rich().model_copy(update={"text": "long " * 30_000}))
        assert through(cache, make).response is make.response
        (line,) = said(caplog, "WARNING")
        assert re.fullmatch(
            r".*not kept in the cache: there is no room for its 15\d{4} bytes", line
        )
        cache.close()

    @pytest.mark.parametrize("where", ["a file", "below a file", "a folder for a file"])
    def test_a_place_that_cannot_be_used_costs_no_call(
        self, tmp_path: Path, where: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = tmp_path / "there"
        if where == "a folder for a file":
            (path / "results.db").mkdir(parents=True)
        else:
            path.write_bytes(b"")
        cache = Cache(path / "below" if where == "below a file" else path)
        make = Maker(rich())
        through(cache, make)
        assert through(cache, make).response.cached is None
        assert len(said(caplog, "WARNING")) == 2
        for asked in (lambda: len(cache), lambda: cache.size, cache.clear):
            with pytest.raises(ConfigurationError, match=r"^the cache in '.*' cannot be used: \w"):
                asked()

    def test_a_file_that_somebody_else_writes_is_waited_for(
        self, cache: Cache, caplog: pytest.LogCaptureFixture
    ) -> None:
        filled(cache)
        other = sqlite3.connect(file_of(cache), isolation_level=None, check_same_thread=False)
        other.execute("begin immediate")
        threading.Timer(0.3, other.rollback).start()
        filled(cache, "b" * 64)
        assert hits(cache, "b" * 64)
        assert caplog.records == []
        other.close()

    def test_one_that_is_locked_is_read_all_the_same(
        self, cache: Cache, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "_GRACE", 0)
        filled(cache)
        cache._used(lambda opened: opened.connection).execute("pragma busy_timeout = 0")
        other = sqlite3.connect(file_of(cache), isolation_level=None)
        other.execute("begin immediate")
        assert hits(cache)  # though it cannot be noted when
        other.rollback()
        other.close()

    def test_without_the_library_one_line_says_what_to_install(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "hishel", None)
        with pytest.raises(ConfigurationError, match=r"pip install 'imagekit\[cache\]'$"):
            Cache(tmp_path)

    @pytest.mark.parametrize("limit", [0, -1, 1.5, "1", None, True])
    def test_a_limit_is_bytes(self, tmp_path: Path, limit: Any) -> None:
        with pytest.raises(ConfigurationError, match="at least 1"):
            Cache(tmp_path, limit)

    def test_what_others_have_the_storage_log_is_theirs(
        self, cache: Cache, caplog: pytest.LogCaptureFixture
    ) -> None:
        filled(cache)
        logging.getLogger(hishel.SqliteStorage.__module__).error("of another cache")
        assert said(caplog, "ERROR") == ["of another cache"]

    def test_what_the_storage_says_without_an_error_is_passed_over(
        self, cache: Cache, caplog: pytest.LogCaptureFixture
    ) -> None:
        def use(opened: Any) -> bool:
            logging.getLogger(hishel.SqliteStorage.__module__).error("just so")
            return False

        assert cache._used(use) is False
        assert caplog.records == []


class TestTheCache:
    def test_it_opens_when_it_is_used(self, tmp_path: Path) -> None:
        cache = Cache(tmp_path / "a" / "b")
        assert (cache.path, cache.size_limit) == (tmp_path / "a" / "b", 2**30)
        assert not cache.path.exists()
        cache.close()
        assert repr(cache) == f"Cache({str(cache.path)!r}, size_limit=1073741824)"
        assert len(cache) == 0
        assert cache  # an empty one is one
        assert cache.path.exists()
        cache.close()

    def test_by_default_it_is_where_the_users_caches_are(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        assert Cache().path == tmp_path / "imagekit"

    def test_a_place_stays_where_it_was_said(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        cache = Cache("here")
        monkeypatch.chdir("/")
        assert cache.path == tmp_path / "here"
        monkeypatch.setenv("HOME", str(tmp_path))
        assert Cache("~/there").path == tmp_path / "there"

    @pytest.mark.skipif(os.name != "posix", reason="files are readable by all elsewhere")
    def test_only_the_user_reads_it(self, tmp_path: Path) -> None:
        path = tmp_path / "kept"
        before = os.umask(0)
        try:
            cache = Cache(path)
            filled(cache)
            files = list(path.iterdir())
            assert len(files) == 3
            assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
            assert path.stat().st_mode & 0o777 == 0o700
            cache.close()
            file_of(cache).chmod(0o644)
            assert hits(cache)
            assert file_of(cache).stat().st_mode & 0o777 == 0o600
            cache.close()
        finally:
            os.umask(before)

    def test_a_folder_that_is_there_is_left_as_it_is(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o755)
        cache = Cache(tmp_path)
        filled(cache)
        assert tmp_path.stat().st_mode & 0o777 == 0o755
        cache.close()

    def test_it_is_emptied(self, cache: Cache) -> None:
        for letter in "abc":
            filled(cache, letter * 64, rich().model_copy(update={"text": "long " * 50_000}))
        assert len(cache) == 3
        assert cache.size > 750_000
        cache.clear()
        assert len(cache) == 0
        assert cache.size < 100_000
        assert sum(file.stat().st_size for file in cache.path.glob("*.db*")) < 200_000
        cache.close()
        assert b"long long" not in file_of(cache).read_bytes()
        assert not hits(cache, "a" * 64)

    def test_it_stays_within_its_limit_and_drops_what_was_used_longest_ago(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "_GRACE", 0)
        cache = Cache(tmp_path, size_limit=1_000_000)
        one = rich().model_copy(update={"text": "long " * 4_000})
        for number in range(80):
            filled(cache, f"{number:064}", one)
            assert hits(cache, f"{0:064}")  # so that it is used
            assert cache.size <= 1_000_000 + 30_000
        assert 30 < len(cache) < 50
        assert hits(cache, f"{79:064}")
        assert not hits(cache, f"{1:064}")
        cache.close()

    def test_what_was_closed_is_opened_again(self, cache: Cache) -> None:
        filled(cache)
        cache.close()
        assert hits(cache)

    def test_two_of_the_same_place_share_it(self, cache: Cache) -> None:
        filled(cache)
        other = Cache(cache.path)
        assert hits(other)
        other.clear()
        assert not hits(cache)
        other.close()

    def test_opening_another_does_not_end_the_locks_of_the_first(self, cache: Cache) -> None:
        filled(cache)
        other = Cache(cache.path)
        assert len(other) == 1
        log = file_of(cache).with_name("results.db-wal")
        assert log.stat().st_size > 0
        # Whoever believes to be the last one tidies up behind itself.
        code = "import sqlite3, sys; a = sqlite3.connect(sys.argv[1])\n"
        code += "print(a.execute('select count(*) from entries').fetchone()[0]); a.close()"
        done = subprocess.run(
            [sys.executable, "-c", code, file_of(cache)], capture_output=True, text=True, check=True
        )
        assert done.stdout == "1\n"
        assert log.exists()
        other.close()

    def test_one_that_nobody_closes_lets_go_of_its_file(self, tmp_path: Path) -> None:
        cache = Cache(tmp_path)
        filled(cache)
        connection = cache._used(lambda opened: opened.connection)
        del cache
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            connection.execute("select 1")

    def test_one_that_could_not_be_made_says_nothing_more(self) -> None:
        with pytest.raises(ConfigurationError):
            Cache(size_limit=0)


class TestWhichOne:
    def test_a_call_says_it_or_its_client_does(self, cache: Cache, tmp_path: Path) -> None:
        other = Cache(tmp_path / "other")
        assert cache_of(None) is None
        assert cache_of(None, cache) is cache
        assert cache_of(other, cache) is other
        assert cache_of(False, cache) is None
        assert cache_of(True, cache) is cache
        assert cache_of("refresh", cache) is cache

    def test_without_one_it_is_the_users(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        for said in (True, "refresh"):
            found = cache_of(said)
            assert found is not None
            assert found.path == tmp_path / "imagekit"

    @pytest.mark.parametrize("said", ["yes", 2, {}, "a/path"])
    def test_anything_else_is_an_error(self, said: Any) -> None:
        with pytest.raises(RequestError, match="cache is True, False, 'refresh' or a Cache, not"):
            cache_of(said)


class TestTogether:
    def test_threads_share_one(self, cache: Cache) -> None:
        wrong: list[Any] = []

        def work(number: int) -> None:
            try:
                for step in range(12):
                    shade = (number + step) % 5
                    response = through(cache, Maker(rich(shade)), f"{shade:064}").response
                    if response.image.data != picture(shade, 3, 2):
                        wrong.append(response)
            except BaseException as error:
                wrong.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
        assert wrong == []
        assert len(cache) == 5

    def test_processes_share_one(self, cache: Cache) -> None:
        code = """
import sys
from pathlib import Path
from imagekit._cache import Cache
from test_cache import Maker, rich, through
from toys import picture

cache = Cache(sys.argv[1], 2_000_000)
for step in range(25):
    shade = step % 5
    response = through(cache, Maker(rich(shade)), f"{shade:064}", refresh=step % 3 == 0).response
    assert response.image.data == picture(shade, 3, 2)
print(len(cache))
"""
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(lambda _: python(code, cache.path), range(4))) == ["5\n"] * 4
        assert len(cache) == 5
        assert rows(cache, "pragma integrity_check") == [("ok",)]

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
    def test_a_child_opens_its_own(self, cache: Cache) -> None:
        code = """
import os, sys
from imagekit._cache import Cache
from test_cache import filled, hits

cache = Cache(sys.argv[1])
filled(cache)
parent = cache._open
cache._lock.acquire()  # another thread of the parent may hold it just then
child = os.fork()
if not child:
    assert cache._open is None and hits(cache) and cache._open is not parent
    filled(cache, "b" * 64)
    cache.close()
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
cache._lock.release()
assert cache._open is parent
assert hits(cache) and hits(cache, "b" * 64)
print("forked")
"""
        assert python(code, cache.path) == "forked\n"

    def test_what_a_parent_opened_stays_open(
        self, cache: Cache, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        filled(cache)
        opened, lock = cache._open, cache._lock
        monkeypatch.setattr(module, "_parents", [])
        monkeypatch.setattr(module, "_caches", [cache])
        module._forget()
        assert (cache._open, module._parents) == (None, [opened])
        assert cache._lock is not lock
        assert opened is not None
        assert opened.connection.execute("select count(*) from entries").fetchone() == (1,)
        opened.storage.close()

    def test_where_there_is_no_fork_there_is_nothing_to_forget(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.delattr(os, "register_at_fork", raising=False)
        again = importlib.util.spec_from_file_location("imagekit._again", module.__file__)
        assert again is not None
        assert again.loader is not None
        made = importlib.util.module_from_spec(again)
        monkeypatch.setitem(sys.modules, "imagekit._again", made)
        again.loader.exec_module(made)
        cache = made.Cache(tmp_path)
        assert len(cache) == 0
        cache.close()


def python(code: str, *arguments: object) -> str:
    """What *code* prints, in a process of its own."""
    tests = str(Path(__file__).parent)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([tests, *filter(None, sys.path)])}
    command = [sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_a_flow_that_is_left_is_closed(cache: Cache) -> None:
    closed = []

    def flow() -> Flow:
        try:
            yield from emit(Noticed(notice=Notice(kind="other", feature="x")))
        finally:
            closed.append(1)
        raise NoImageError("not reached")

    left = cached(flow(), cache, KEY, 1, refresh=True)
    next(left)
    left.close()
    assert closed == [1]
    assert len(cache) == 0
