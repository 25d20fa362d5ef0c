"""Rules about sizes: what it makes is asked for as said, what it does not make is told of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from .._errors import UnsupportedRequestError
from .._request import ImageRequest
from .._sizes import resolved_size
from ._ground import Ground, sizes

_WIDE, _HIGH = re.compile(r"width|^w$", re.I), re.compile(r"height|^h$", re.I)


class Sizes(Ground):
    """Each size that is declared reaches the wire as it is."""

    def test_each_declared_size_reaches_the_wire(self) -> None:
        """A size makes a difference, or gives a notice; no two are the same request."""
        without = self.reached(size=None)
        seen: list[tuple[str, Any]] = []
        for size in self._made():
            found = self.reached(size=size)
            if found.told("size"):
                continue
            assert found.said != without.said or not without.sent, (
                f"size={size} is declared, and what is sent is the same as without it"
            )
            for other, before in seen:
                assert found.said != before, (
                    f"size={size} and size={other} come to the same request"
                )
            seen.append((size, found.said))

    def test_a_declared_size_needs_no_notice(self) -> None:
        """What the model makes is not adjusted."""
        for size in self._made():
            found = self.reached(size=size)
            adjusted = [one for one in found.notices if one.startswith("adjusted: size")]
            assert not adjusted, f"size={size} is declared, and adjusted all the same: {adjusted}"

    def test_width_and_height_are_not_swapped(self) -> None:
        """A wide picture is asked for wide."""
        wide = [one for one in self._made() if _pair(one)[0] > _pair(one)[1]]
        if not wide:
            self.not_applicable("it declares no size that is wider than high")
        for size in wide:
            found = self.reached(size=size)
            width, height = size.split("@")[0].split("x" if "x" in size else ":")
            for one in found.asked:
                said = list(_leaves(one.shape()))
                turned = [f"{height}{mark}{width}" for mark in ("x", ":", "*")]
                words = [value for _, value in said if value in turned]
                words += [f"{key}={v}" for key, v in said if _WIDE.search(key) and v == height]
                words += [f"{key}={v}" for key, v in said if _HIGH.search(key) and v == width]
                assert not words, f"size={size} is asked for as {', '.join(words)}: it is turned"

    def test_a_size_it_does_not_make_becomes_the_nearest_with_a_notice(self) -> None:
        """What is sent is what the notice says."""
        wanted = self._odd()
        found = self.reached(size=wanted)
        notices = found.came.pictures().notices
        used = [one.used for one in notices if one.feature == "size" and one.kind == "adjusted"]
        assert used, f"size={wanted} is not made, and no notice says what was made instead"
        near = self.reached(size=used[0])
        assert found.said == near.said, (
            f"size={wanted} was told to be {used[0]}, and another request was made than for that"
        )

    def test_a_size_it_does_not_make_is_an_error_where_the_caller_wants_one(self) -> None:
        """With unsupported="error" nothing is adjusted."""
        self.refused(
            "the model does not make it",
            kind=UnsupportedRequestError,
            size=self._odd(),
            unsupported="error",
        )

    def test_a_size_nobody_ruled_out_is_never_dropped_in_silence(self) -> None:
        """Where it is not known which sizes there are, any of them is sent or told of."""
        able = self.able
        if able.size is not None or able.supports("size") == "no":
            self.not_applicable("its sizes are known")
        one, other = self.reached(size="512x768"), self.reached(size="768x512")
        told = one.told("size") and other.told("size")
        assert told or one.said != other.said, (
            "size=512x768 and size=768x512 come to the same request, and the capabilities say "
            "nothing of sizes: send them, or declare size"
        )

    def _made(self) -> Iterator[str]:
        rule = self.able.size
        if rule is None:
            self.not_applicable("its capabilities say nothing of sizes")
        yield from sizes(rule)

    def _odd(self) -> str:
        rule = self.able.size
        if rule is None:
            self.not_applicable("its capabilities say nothing of sizes")
        for tried in ("9973x17", "17x9973", "997x1009", "31x37"):
            request = ImageRequest(prompt="x", size=tried)
            if resolved_size(request, rule) != tried:
                return tried
        self.not_applicable("it makes any size at all")


def _pair(size: str) -> tuple[float, float]:
    wide, high = re.split("[x:]", size.split("@")[0])
    return float(wide), float(high)


def _leaves(said: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Each value with the name that it stands under; of a form's field, the field's."""
    match said:
        case dict():
            for name, value in said.items():
                yield from _leaves(value, name)
        case [str() as name, str() as value]:
            yield name, value
        case list():
            for value in said:
                yield from _leaves(value, key)
        case _:
            yield key, str(said)
