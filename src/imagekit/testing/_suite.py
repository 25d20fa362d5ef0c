"""The tests that every provider has to pass, driven by what it says of itself."""

from __future__ import annotations

import sys
import unittest
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

from ._answered import Answered
from ._asking import Asking
from ._bench import png
from ._declared import Declared
from ._everywhere import Everywhere
from ._host import Host, Trouble
from ._inputs import Inputs
from ._options import OwnOptions
from ._parameters import Parameters
from ._plans import Plans
from ._purity import Purity
from ._sizes import Sizes

_LEFT_OUT: list[object] = []
# What a suite says of its provider; all else is the rules' own.
_SAID = {"plugin", "provider", "host", "settings", "base_url", "model", "cassettes", "fields"}
_SAID |= {"samples", "left_out", "seen"}
_ABSENT = (*get_args(Trouble), "resume", "pictures")
# A reason is some words.
_REASON = 15


def _left_out(name: str, why: str) -> Callable[[Any], None]:
    """What stands in the place of a test that is left out."""

    def skipped(self: Any) -> None:
        raise unittest.SkipTest(f"left out: {why}")

    skipped.__name__ = name
    _LEFT_OUT.append(skipped)
    return skipped


class ProviderSuite(
    Everywhere, Declared, Parameters, OwnOptions, Sizes, Inputs, Asking, Plans, Purity, Answered
):
    """The conformance tests; inherit them in a test module of your plugin, and say whose they are.

    * `plugin`: the module (or object) with `imagekit_provider`; `provider`: the name of its entry
      point; `host`: the class of its other side, a `Host`.
    * `settings`, `base_url`, `model`: what the provider is built with, and asked for.
    * `fields`: what every request says that does not say otherwise; a small `size`, where pictures
      are drawn in this process and that takes time.
    * `cassettes`: the folder of its recorded traffic, if it has any.
    * `samples`: a value for each option that is declared without any, by the option's name.
    * `left_out`: standard tests that do not hold for this provider, each with the written reason.
    * `seen(data)`: what of a picture is compared, where its host writes words into each.

    The tests take nothing but `self`, so that pytest runs them, and `conforms` too. None of them
    can be overridden, and skipped only through `left_out`.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _check(cls)
        for name, why in cls.left_out.items():
            # By name, so that pytest and conforms() both see it and neither calls the test.
            setattr(cls, name, _left_out(name, why))

    def test_no_standard_test_is_skipped_by_a_mark(self) -> None:
        """A mark on the class or its module skips nothing: `left_out` has room for the reason."""
        _check(type(self))
        module = sys.modules.get(type(self).__module__)
        for where, held in (("class", type(self)), ("module", module)):
            marks = getattr(held, "pytestmark", [])
            for mark in marks if isinstance(marks, list | tuple) else [marks]:
                name = getattr(mark, "name", "")
                assert name not in ("skip", "skipif", "xfail"), (
                    f"a mark of the {where} says {name}: take it away, and name what does not hold "
                    "in left_out, each with its reason"
                )
        assert self.seen(png(1)) != self.seen(png(2)), (
            "seen() takes two pictures for one: leave out only what the host adds to each"
        )
        assert not getattr(type(self), "__unittest_skip__", False), (
            "unittest.skip skips the whole suite: name what does not hold in left_out instead"
        )


def _check(suite: type[ProviderSuite]) -> None:
    """Raise a TypeError where a rule, or what it asks with, is put out of action unsaid."""
    own = {name for name in dir(ProviderSuite) if not name.startswith("_")} - _SAID
    for base in suite.__mro__:
        if base not in ProviderSuite.__mro__:
            for name in sorted(own & set(vars(base))):
                held = vars(base)[name]
                if any(held is one for one in _LEFT_OUT):
                    continue
                if not name.startswith("test_"):
                    raise TypeError(
                        f"{base.__name__} overrides {name}, with which the standard tests ask: "
                        "give yours another name"
                    )
                raise TypeError(
                    f"{base.__name__} overrides the standard test {name}: give yours another "
                    "name, or leave it out with a reason: left_out = {name: why}"
                )
    for name, why in suite.left_out.items():
        if name not in own or not name.startswith("test_"):
            raise TypeError(f"{suite.__name__} leaves out {name}, which is no standard test")
        if not isinstance(why, str) or len(why.strip()) < _REASON:
            raise TypeError(
                f"{suite.__name__} leaves out {name} without a reason: write it down, in "
                f"{_REASON} characters at least"
            )
    host = getattr(suite, "host", Host)
    for word, why in host.absent.items():
        if word not in _ABSENT:
            raise TypeError(
                f"{host.__name__}.absent names {word!r}, which is none of {', '.join(_ABSENT)}"
            )
        if not isinstance(why, str) or not why.strip():
            raise TypeError(f"{host.__name__}.absent names {word!r} without a reason: write it")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one conformance test ended."""

    test: str
    verdict: Literal["passed", "failed", "not applicable", "left out"]
    why: str = ""


def conforms(suite: type[ProviderSuite], only: Collection[str] | None = None) -> Iterator[Outcome]:
    """Run each test of *suite* here, without pytest; *only* those, if any are named."""
    _check(suite)
    for name in dir(suite):
        if not name.startswith("test_") or (only is not None and name not in only):
            continue
        if name in suite.left_out:
            yield Outcome(name, "left out", suite.left_out[name])
            continue
        try:
            getattr(suite(), name)()
        except unittest.SkipTest as skipped:
            yield Outcome(name, "not applicable", str(skipped))
        except Exception as error:  # whatever a test raises is its verdict
            yield Outcome(name, "failed", f"{type(error).__name__}: {error}")
        else:
            yield Outcome(name, "passed")
