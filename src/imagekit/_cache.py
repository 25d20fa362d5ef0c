"""Results kept on disk, by what was asked: a call that is made again need not be paid again."""

from __future__ import annotations

import hashlib
import logging
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar, cast

from pydantic import AwareDatetime, NonNegativeInt, ValidationError

from ._errors import ConfigurationError, ImagekitError, RequestError
from ._events import ImageReady
from ._flow import Effects, Flow, call, emit, notice
from ._image import Image
from ._response import ImageResponse, Notice
from ._value import Value

if TYPE_CHECKING:
    from hishel import Entry, SqliteStorage

T = TypeVar("T")
Look: TypeAlias = "Callable[[Image], Effects[Sequence[Notice]]]"
log = logging.getLogger("imagekit")

# A cache of one's own, whether there is one, or "refresh": nothing is read, and the result is kept.
AsCache: TypeAlias = "Cache | bool | Literal['refresh']"


class Cache:
    """Results on disk, for `cache=` of a call or of a client.

    They are in the folder *path*, by default one of the user's caches, in a file that only the user
    may read: it holds pictures, and what was said of them. Above *size_limit* bytes the ten go that
    were used longest ago, and so on; the file may be larger by one result. Threads, clients and
    processes may share a cache. Whatever is broken in it counts as not there. Without hishel
    (`imagekit[cache]`) it is a `ConfigurationError`.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, size_limit: int = 2**30) -> None:
        if find_spec("hishel") is None:
            raise ConfigurationError(_MISSING)
        if isinstance(size_limit, bool) or not isinstance(size_limit, int) or size_limit < 1:
            raise ConfigurationError(
                f"a cache's size_limit is bytes, at least 1, not {size_limit!r}"
            )
        if path is None:
            import platformdirs

            path = platformdirs.user_cache_path("imagekit", appauthor=False)
        self._path = Path(path).expanduser().absolute()
        self._size_limit = size_limit
        self._open: _Open | None = None
        self._lock = threading.RLock()
        _caches.add(self)

    @property
    def path(self) -> Path:
        """The folder that it is in."""
        return self._path

    @property
    def size_limit(self) -> int:
        """How many bytes it may hold."""
        return self._size_limit

    @property
    def size(self) -> int:
        """How many bytes it holds; an empty one some too, for its order."""
        return self._asked(lambda at: int(at.execute(_SIZE).fetchone()[0]))

    def __len__(self) -> int:
        """How many results it holds."""
        return self._asked(lambda at: int(at.execute(_COUNT, (time.time(),)).fetchone()[0]))

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"Cache({str(self._path)!r}, size_limit={self._size_limit})"

    def clear(self) -> None:
        """Forget everything, and give the room on the disk back."""

        def emptied(at: sqlite3.Connection) -> None:
            at.execute("delete from entries")
            at.execute("vacuum")
            at.execute("pragma wal_checkpoint(truncate)").fetchall()

        self._asked(emptied)

    def __del__(self) -> None:
        if hasattr(self, "_lock"):
            self.close()

    def close(self) -> None:
        """Let go of the file; whoever uses the cache again opens it again."""
        with self._lock:
            opened, self._open = self._open, None
            if opened is not None:
                opened.storage.close()

    def _read(self, key: str, n: int) -> ImageResponse | None:
        """The result that is kept for *key*, with at least *n* pictures."""
        try:
            return self._used(lambda opened: _found(opened.storage, key, n))
        except Exception as error:
            log.debug("imagekit: the cache cannot be read: %s", _why(error))
            return None

    def _write(self, key: str, response: ImageResponse) -> None:
        """Keep *response* in place of what was kept for *key*."""
        try:
            body, made = _packed(key, response)
            if not self._used(lambda opened: _stored(opened.storage, key, body, made)):
                log.warning(_UNKEPT, f"there is no room for its {len(body)} bytes")
        except Exception as error:
            log.warning(_UNKEPT, _why(error))

    def _asked(self, ask: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return self._used(lambda opened: ask(opened.connection))
        except (OSError, sqlite3.Error) as error:
            raise ConfigurationError(
                f"the cache in {str(self._path)!r} cannot be used: {_why(error)}"
            ) from error

    def _used(self, use: Callable[[_Open], T]) -> T:
        """What *use* comes to. A file that is broken is made anew."""
        with self._lock, _listening() as failures:
            try:
                return self._tried(use, failures)
            except sqlite3.DatabaseError as error:
                # Its subclasses are about what we do, and not about the file.
                if type(error) is not sqlite3.DatabaseError:
                    raise
                log.debug("imagekit: the cache is broken, and made anew: %s", error)
            self.close()
            for ending in ("", "-wal", "-shm"):
                self._path.joinpath(_FILE + ending).unlink(missing_ok=True)
            failures.clear()
            return self._tried(use, failures)

    def _tried(self, use: Callable[[_Open], T], failures: list[BaseException]) -> T:
        if self._open is None:
            self._open = _opened(self._path, self._size_limit)
        found = use(self._open)
        if failures and not found:
            raise failures[0]
        return found


def own_cache(said: AsCache | str | os.PathLike[str] | None) -> Cache | None:
    """A client's own cache: that in the usual place, a folder's, or none."""
    if said == "refresh":
        raise ConfigurationError("cache='refresh' is of one call: give the client cache=True")
    if isinstance(said, str | os.PathLike):
        return Cache(said)
    return cache_of(said)


def cache_of(said: AsCache | None, own: Cache | None = None) -> Cache | None:
    """The cache that a call means by what it *said*; its client's *own* where it says nothing."""
    if said is None or isinstance(said, Cache):
        return own if said is None else said
    if said not in (True, False, "refresh"):
        raise RequestError(f"cache is True, False, 'refresh' or a Cache, not {said!r}", billed="no")
    return (own or Cache()) if said else None


def cached(
    flow: Flow,
    cache: Cache,
    key: str,
    n: int,
    *,
    refresh: bool = False,
    said: Sequence[Notice] = (),
    look: Look | None = None,
) -> Flow:
    """The result that *cache* has for *key*, else that of *flow*, which is kept then.

    Kept is what has a picture with its bytes in every slot, *n* of them or more. With *refresh*
    nothing is read, and what was kept is replaced. Two calls at once may both run their flows.
    *said* is what is told of this call itself, which is kept for no other; *look* looks at pictures
    that were kept as at new ones.
    """
    try:
        found = None if refresh else (yield from call(partial(cache._read, key, n)))
        if found is not None:
            told = list(said)
            for one in said:
                yield from notice(one)
            for index, image in enumerate(found.images):
                yield from emit(ImageReady(index=index, image=image))
                told += (yield from look(image)) if look else ()
            notices = tuple(dict.fromkeys([*told, *found.notices]))
            for one in notices[len(said) :]:
                yield from notice(one)
            return found.model_copy(update={"notices": notices})
        response = yield from flow
    finally:
        flow.close()
    if len(response.slots) >= n and all(image.length for image in response.images) and response.ok:
        own = tuple(one for one in response.notices if one not in said)
        kept = response.model_copy(update={"notices": own})
        try:
            yield from call(partial(cache._write, key, kept))
        except ImagekitError as error:
            # The time is over, and the picture is paid for.
            log.warning(_UNKEPT, error)
    return response


_MISSING = "a cache needs hishel: pip install 'imagekit[cache]'"
_UNKEPT = "imagekit: the result is not kept in the cache: %s"
_FILE = "results.db"
# For so many seconds what was just read is not thrown out: somebody may still be reading it.
_GRACE = 1.0
# The storage's tables, which it checks itself: with others it refuses to work.
_COUNT = """
select count(distinct cache_key) from entries
where chunk_count is not null and (expires_at is null or expires_at > ?)
"""
_SIZE = """
select (page_count - freelist_count) * page_size
from pragma_page_count(), pragma_freelist_count(), pragma_page_size()
"""


@dataclass(frozen=True, slots=True)
class _Open:
    connection: sqlite3.Connection
    storage: SqliteStorage


_opening = threading.Lock()


def _opened(folder: Path, size_limit: int) -> _Open:
    from hishel import SqliteStorage

    logging.getLogger(SqliteStorage.__module__).addFilter(_HEARD)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = folder / _FILE
    with _opening:
        # One that is there is not opened by us: closing it again would end the locks that this
        # process has on it.
        with suppress(FileExistsError):
            os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        file.chmod(0o600)
        connection = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
    try:
        storage = SqliteStorage(connection=connection, max_size=size_limit, soft_delete_ttl=_GRACE)
        storage.get_entries("")  # makes its tables
        for failure in _failures.get() or ():
            raise failure
    except RuntimeError as error:
        connection.close()
        raise sqlite3.DatabaseError(str(error)) from error
    except BaseException:
        connection.close()
        raise
    return _Open(connection, storage)


def _found(storage: SqliteStorage, key: str, n: int) -> ImageResponse | None:
    entries = storage.get_entries(key)
    for entry in sorted(entries, key=lambda one: str(one.response.headers["made"]), reverse=True):
        try:
            return _unpacked(_body(entry), key, n)
        except sqlite3.Error:
            raise
        except Exception as error:
            log.debug("imagekit: what the cache has cannot be read: %s", _why(error))
            storage.remove_entry(entry.id)
    return None


def _body(entry: Entry) -> bytes:
    return b"".join(cast("Iterator[bytes]", entry.response.stream))


def _stored(storage: SqliteStorage, key: str, body: bytes, made: datetime) -> bool:
    from hishel import Headers, Request, Response

    old = storage.get_entries(key)
    request = Request("GET", f"imagekit:{key}")
    response = Response(200, Headers({"made": made.isoformat()}), iter((body,)))
    entry = storage.create_entry(request, response, key)
    _body(entry)  # it is kept as it is read
    if all(one.id != entry.id for one in storage.get_entries(key)):
        return False
    for one in old:
        storage.remove_entry(one.id)
    return True


# What goes wrong in the storage


_failures: ContextVar[list[BaseException] | None] = ContextVar("imagekit_cache", default=None)


@contextmanager
def _listening() -> Iterator[list[BaseException]]:
    failures: list[BaseException] = []
    token = _failures.set(failures)
    try:
        yield failures
    finally:
        _failures.reset(token)


class _Heard(logging.Filter):
    """What the storage would log is ours to say, in one line, where it is we who use it."""

    def filter(self, record: logging.LogRecord) -> bool:
        failures = _failures.get()
        if failures is None:
            return True
        if record.exc_info and record.exc_info[1]:
            failures.append(record.exc_info[1])
        return False


_HEARD = _Heard()


def _why(error: BaseException) -> str:
    """What went wrong, in one line that quotes none of what is kept."""
    if isinstance(error, ValidationError):
        return f"{error.error_count()} of its fields are wrong"
    return str(getattr(error, "strerror", None) or error or type(error).__name__)


# How a result is written: the name of the format, the SHA-256 of all that follows, the length of
# the head, the head, the pictures.

_MAGIC = b"imagekit result 1\n"
_DIGEST, _LENGTH = 32, 8
# What a result says of the exchange that it came by, for a kept one comes by none; and the URLs of
# its pictures, which may be what lets anyone in.
_LEFT_OUT: Any = {
    **dict.fromkeys(("http", "request_ids", "rate_limits", "timing", "processing_time"), True),
    "cached": True,
    "attempts": True,
    "slots": {"__all__": {"data", "url", "expires_at"}},
    "calls": {"__all__": {"request_ids"}},
}


class _Head(Value):
    """Whose result it is, when it was made, and how long each of its pictures is."""

    key: str
    made: AwareDatetime
    sizes: tuple[NonNegativeInt, ...]
    response: dict[str, Any]


def _packed(key: str, response: ImageResponse) -> tuple[bytes, datetime]:
    made = datetime.now(UTC)
    pictures = [image.data or b"" for image in response.images]
    said = response.model_dump(mode="json", exclude=_LEFT_OUT, warnings=False)
    sizes = tuple(len(picture) for picture in pictures)
    head = _Head(key=key, made=made, sizes=sizes, response=said).model_dump_json().encode()
    rest = b"".join((len(head).to_bytes(_LENGTH, "big"), head, *pictures))
    body = b"".join((_MAGIC, hashlib.sha256(rest).digest(), rest))
    again, given = (
        one.model_dump(exclude=_LEFT_OUT, warnings=False)
        for one in (_unpacked(body, key, 0), response)
    )
    if again != given:
        raise ValueError("it would not be the same when it is read again")
    return body, made


def _unpacked(body: bytes, key: str, n: int) -> ImageResponse:
    """What was packed; raises whatever there is to raise where it is not."""
    start = len(_MAGIC) + _DIGEST
    rest = memoryview(body)[start:]
    if body[:start] != _MAGIC + hashlib.sha256(rest).digest():
        raise ValueError("it is damaged, or of another format")
    at = _LENGTH + int.from_bytes(rest[:_LENGTH], "big")
    head = _Head.model_validate_json(bytes(rest[_LENGTH:at]))
    for slot, size in zip(head.response["slots"], head.sizes, strict=True):
        slot["data"] = bytes(rest[at : at + size])
        at += size
    response = ImageResponse.model_validate({**head.response, "cached": head.made})
    if (head.key, at) != (key, len(rest)) or len(response.images) < n:
        raise ValueError("it is not what was asked for")
    return response


# After a fork

_caches: weakref.WeakSet[Cache] = weakref.WeakSet()
_parents: list[object] = []


def _forget() -> None:
    # The parent's connections are not ours, not even to close.
    for cache in list(_caches):
        _parents.append(cache._open)
        cache._open, cache._lock = None, threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
