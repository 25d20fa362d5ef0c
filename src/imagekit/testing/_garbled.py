"""The rules about answers that are not what they should be: an error of ours, never a crash."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, TypeAlias

from .._errors import PluginError
from .._events import PartialImage
from .._http import HttpResponse
from ._bench import Bench, Came, Way
from ._given import Given, heard, pictures
from ._host import Asked, Reply, Streamed

Change: TypeAlias = Callable[[Reply], Reply]
Path: TypeAlias = tuple[str | int, ...]

_JSON, _PAGE = "application/json", "text/html; charset=utf-8"
_ODD: tuple[Any, ...] = (None, "odd", {"odd": 1}, [7], -1, True, 1e300)
# What stands for a value that is taken out.
_GONE = object()
# Of one answer: enough for any, and an end for the longest; twice that of a stream.
_MOST = 40


class Garbled(Given):
    """An answer that cannot be read is an error which says so: no crash, and no other picture."""

    def test_an_empty_answer_is_an_error(self) -> None:
        """An answer without a body is no picture."""
        self._ends_in_an_error(b"", _JSON)

    def test_an_answer_that_is_no_json_is_an_error(self) -> None:
        """Half a JSON, bytes, and JSON without an end are no picture."""
        for body in (b"{", b'{"a": ', b"\xff\xfe\x00\x01", b"no json", b"[" * 5000):
            self._ends_in_an_error(body, _JSON)

    def test_an_answer_of_another_shape_is_an_error(self) -> None:
        """JSON that is none of the host's answers is no picture."""
        for body in (b"null", b"[]", b"7", b'"text"', b"{}", b"[null]", b"[[]]", b"true"):
            self._ends_in_an_error(body, _JSON)

    def test_a_web_page_in_place_of_an_answer_is_an_error(self) -> None:
        """What a proxy says with status 200 is no picture."""
        self._ends_in_an_error(b"<!doctype html><title>Sign in</title>", _PAGE)

    def test_an_answer_without_a_type_is_no_crash(self) -> None:
        """A host that forgets its content type is read or refused."""
        self._survives([("no content type", _without_type)], "blocking", "blocking stream")

    def test_a_truncated_answer_is_an_error(self) -> None:
        """Half of an answer is no picture; of a picture sent as it is, HTTP's own length tells."""
        self.wired()
        for number, reply in enumerate(self._replies("blocking")):
            if isinstance(reply, Streamed) or "image/" in reply.headers.get("content-type", ""):
                continue
            half = replace(reply, body=reply.body[: len(reply.body) // 2])
            came = self._answered("blocking", number, _only(half))
            self._is_ours(came, "half of the answer came", "blocking")
            assert came.error is not None, "half of the answer came, and was taken for a picture"

    def test_an_answer_of_odd_values_is_no_crash(self) -> None:
        """Whatever a value in an answer is, the plugin does not fail of it."""
        self.wired()
        for number, reply in enumerate(self._replies("blocking")):
            if not isinstance(reply, Streamed) and (said := _json(reply.body)) is not None:
                changes = [
                    (what, _bodied(json.dumps(odd).encode())) for what, odd in _odd_ones(said)
                ]
                self._survives(changes, "blocking", number=number)

    def test_events_of_odd_values_are_no_crash(self) -> None:
        """Whatever a value in an event is, the plugin does not fail of it."""
        self.streaming()
        self.wired()
        replies = self._replies("blocking stream")
        for number, reply in enumerate(replies):
            if not isinstance(reply, Streamed):
                continue
            changes = [
                (what, _pieced(reply, at, odd))
                for at, piece in enumerate(reply.pieces)
                for what, odd in _odd_lines(piece)
            ]
            self._survives(changes, "blocking stream", number=number, most=2 * _MOST)

    def _ends_in_an_error(self, body: bytes, kind: str) -> None:
        """Each answer in turn is that: the call ends in an error, and in none of the plugin's."""
        self.wired()
        only = HttpResponse(200, {"content-type": kind}, body)
        for way in ("blocking", "blocking stream"):
            for number in range(len(self._replies(way))):
                came = self._answered(way, number, _only(only))
                what = f"the host answered {body[:40]!r} as {kind}"
                self._is_ours(came, what, way)
                assert came.error is not None, f"{way}: {what}, and {came.response!r} came of it"

    def _survives(
        self,
        changes: Sequence[tuple[str, Change]],
        *ways: Way,
        number: int | None = None,
        most: int = _MOST,
    ) -> None:
        """With each of the *changes* the call ends in the picture, or in an error of ours."""
        self.wired()
        # Odd, so that no kind of change is always the one that is passed over.
        step = -(-len(changes) // most) | 1
        for what, change in changes[::step]:
            for way in ways:
                for at in range(len(self._replies(way))) if number is None else (number,):
                    self._is_ours(self._answered(way, at, change), what, way)

    def _is_ours(self, came: Came, what: str, way: Way) -> None:
        assert not isinstance(came.error, PluginError), (
            f"{way}: {what}, and the plugin failed: {came.error}; expect nothing of what a host "
            "says: check it, and raise a ProtocolError"
        )
        if came.response is not None and "pictures" not in self.host.absent:
            given = [self.seen(one) for one in (*pictures(1), *self._drafts)]
            strange = [one for one in came.response.images if self.seen(one.data) not in given]
            assert not strange, f"{way}: {what}, and a picture came that the host never gave"

    def _replies(self, way: Way) -> list[Reply]:
        """What the host answers in a call where all is well."""
        bench = self._fresh()
        replies = heard(bench)
        came = bench.ask(way=way, **{**self.usual(), **self.previews()})
        assert came.error is None, f"{way}: a plain call ended in {came.error!r}"
        return replies

    @cached_property
    def _drafts(self) -> tuple[bytes | None, ...]:
        """The previews of a plain stream, of which one value may make pictures."""
        came = self._fresh().ask(way="blocking stream", **{**self.usual(), **self.previews()})
        return tuple(one.image.data for one in came.events if isinstance(one, PartialImage))

    def _answered(self, way: Way, number: int, change: Change) -> Came:
        """A call of whose answers the one of that *number* is changed."""
        bench, count = self._fresh(), 0

        def bend(asked: Asked, reply: Reply) -> Reply:
            nonlocal count
            count += 1
            return change(reply) if count == number + 1 else reply

        bench.host.bend = bend
        return bench.ask(way=way, **{**self.usual(), **self.previews()})

    def _fresh(self) -> Bench:
        return self.bench(*pictures(1), previews=1)


def _only(reply: Reply) -> Change:
    return lambda _: reply


def _without_type(reply: Reply) -> Reply:
    headers = {name: one for name, one in reply.headers.items() if name != "content-type"}
    return replace(reply, headers=headers)


def _bodied(body: bytes) -> Change:
    return lambda reply: replace(reply, body=body) if isinstance(reply, HttpResponse) else reply


def _pieced(reply: Streamed, at: int, piece: bytes) -> Change:
    pieces = (*reply.pieces[:at], piece, *reply.pieces[at + 1 :])
    return lambda _: replace(reply, pieces=pieces)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _odd_lines(piece: bytes) -> Iterator[tuple[str, bytes]]:
    """*piece* of a stream with one value of the JSON in it changed."""
    lines = piece.split(b"\n")
    for number, line in enumerate(lines):
        head = b"data:" if line.startswith(b"data:") else b""
        said = _json(line.removeprefix(head)) if line else None
        for what, odd in _odd_ones(said) if said is not None else ():
            new = head + json.dumps(odd).encode()
            yield what, b"\n".join([*lines[:number], new, *lines[number + 1 :]])


def _odd_ones(said: Any) -> Iterator[tuple[str, Any]]:
    """*said* with one value in it changed, or taken out."""
    for path in _paths(said):
        where = ".".join(map(str, path))
        for odd in (*_ODD, _GONE):
            changed = copy.deepcopy(said)
            *way, last = path
            holder = changed
            for step in way:
                holder = holder[step]
            if odd is _GONE:
                del holder[last]
                yield f"the answer has no {where}", changed
            else:
                holder[last] = odd
                yield f"{where} of the answer is {odd!r}", changed


def _paths(said: Any, at: Path = ()) -> Iterator[Path]:
    """Where there is a value in *said*."""
    inside: Iterator[tuple[str | int, Any]] = iter(())
    if isinstance(said, dict):
        inside = iter(said.items())
    elif isinstance(said, list):
        inside = iter(enumerate(said))
    for name, value in inside:
        yield (*at, name)
        yield from _paths(value, (*at, name))
