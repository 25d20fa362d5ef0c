"""Bytes as throws of dice: the same bytes always change the same seed in the same way."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, MutableMapping, MutableSequence, Sequence
from typing import Any, TypeVar

T = TypeVar("T")
_ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, -(2**63), 2**70, 1e308, float("nan"), float("inf"), 0.1,
    "", " ", "\0", "\x1b[2J\u202e\x9b", "\ud83d", "a" * 300, "1", "none", "auto", "1024x1024",
    "16:9", "9" * 5000, "../../etc/passwd", "https://a.test/", "http://[", "data:,", "AAAA",
    "data:image/png;base64,!", "2026-11-20T00:00:00Z", [], {}, [[]], [None], {"": None},
    {"type": "error"}, [{"type": []}], {"a": {"b": {"c": {}}}}, b"\xff", (), object,
)  # fmt: skip


class Dice:
    """Throws that *data* decides; when it is used up, each of them is 0."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    @property
    def left(self) -> int:
        """How many bytes are left to throw."""
        return max(0, len(self._data) - self._at)

    def upto(self, most: int) -> int:
        """One of 0 to *most*."""
        width = (most.bit_length() + 7) // 8
        found = int.from_bytes(self.taken(width), "little")
        return found % (most + 1)

    def taken(self, count: int) -> bytes:
        """The next so many bytes, or what is left of them."""
        found = self._data[self._at : self._at + count]
        self._at += count
        return found

    def one(self, of: Sequence[T]) -> T:
        """One of them."""
        return of[self.upto(len(of) - 1)]

    def text(self) -> str:
        """Any text."""
        return self.taken(self.upto(24)).decode("utf-8", "surrogateescape")

    def odd(self, *, plain: bool) -> Any:
        """A value that hardly belongs there; one that JSON can hold where *plain*."""
        kind = self.upto(len(_ODD) + 8)
        if kind >= len(_ODD) + 4:
            return self.tree(3)
        found = _ODD[kind] if kind < len(_ODD) else self.text()
        if plain and not isinstance(found, str | int | float | list | dict | None):
            return 7
        return copy.deepcopy(found)

    def tree(self, deep: int) -> Any:
        """Any JSON."""
        kind = self.upto(6 if deep else 4)
        if kind == 5:
            return [self.tree(deep - 1) for _ in range(self.upto(3))]
        if kind == 6:
            return {self.text(): self.tree(deep - 1) for _ in range(self.upto(3))}
        number = int.from_bytes(self.taken(4), "big", signed=True)
        return (None, number, number / 1000, self.text(), bool(number & 1))[kind]

    def changed(self, seed: Any, *, plain: bool = True) -> Any:
        """*seed*, with a few places of it changed."""
        # Whoever holds the root is one of the places.
        root = {"": copy.deepcopy(seed)}
        for _ in range(1 + self.upto(3)):
            places = [*_places(root)]
            if not places:
                break
            within, key = self.one(places)
            how = self.upto(7)
            value = within[key]
            if how == 0 and within is not root:
                del within[key]
            elif how == 1:
                within[key] = [value]
            elif how == 2:
                within[key] = {"": value}
            elif how == 3:
                other, place = self.one(places)
                with_it = copy.deepcopy(other.get(place) if isinstance(other, dict) else value)
                within[key] = with_it
            elif how == 4 and isinstance(within, MutableSequence):
                within.extend([value] * self.upto(40))
            elif how == 5 and isinstance(value, str) and value:
                within[key] = self.bytes_changed(value.encode("utf-8", "replace")).decode(
                    "utf-8", "replace"
                )
            else:
                within[key] = self.odd(plain=plain)
        return root.get("")

    def bytes_changed(self, seed: bytes) -> bytes:
        """*seed*, with a few places of it changed."""
        data = bytearray(seed)
        for _ in range(1 + self.upto(4)):
            at, how = self.upto(len(data)), self.upto(7)
            if how <= 2 and at < len(data):
                data[at] = self.upto(255)
            elif how == 3:
                del data[at : at + self.upto(40)]
            elif how == 4:
                data[at:at] = self.taken(self.upto(16))
            elif how == 5:
                data[at:at] = data[at : at + self.upto(200)]
            elif how == 6:
                del data[at:]
            else:
                data[at : at + 4] = self.one(
                    (b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff", b"\n\n\r\n")
                )
        return bytes(data)

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """*data*, cut somehow."""
        at = 0
        while at < len(data):
            step = 1 + self.upto(40) if self.left else len(data)
            yield data[at : at + step]
            at += step


def _places(root: Any) -> Iterator[tuple[Any, Any]]:
    keys: Any = ()
    if isinstance(root, MutableMapping):
        keys = list(root)
    elif isinstance(root, MutableSequence):
        keys = range(len(root))
    for key in keys:
        yield root, key
        yield from _places(root[key])


def as_json(value: Any) -> bytes:
    """*value* as JSON, halves of characters and numbers that are none included."""
    return json.dumps(value, default=str).encode()
