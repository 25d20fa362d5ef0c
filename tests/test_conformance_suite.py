"""The conformance suite proves itself: good providers pass it, and each fault is found by name.

In the default run a broken provider meets the rules that have to find it;
`python tests/test_conformance_suite.py`, which `dev.py conformance` runs, has it meet all others of
the parts of the suite that those are of, and with `all` behind it every rule.
"""

from __future__ import annotations

import sys
import unittest
import warnings
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import replace
from functools import cache
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

import broken_answers
import broken_asking
import broken_everywhere
from conforming import GOOD, Broken, WholeSuite
from imagekit.testing import Outcome, ProviderSuite, conforms

HALVES = {
    "asking": broken_asking.BROKEN,
    "answers": broken_answers.BROKEN,
    "everywhere": broken_everywhere.BROKEN,
}
BROKEN = [(half, one) for half, found in HALVES.items() for one in found]
RULES = frozenset(name for name in dir(ProviderSuite) if name.startswith("test_"))
# The part of the suite that each rule is of.
PART = {rule: part for part in ProviderSuite.__mro__[::-1] for rule in RULES & set(vars(part))}

# These ask again, in every way and operation, what others ask once.
AGAIN = frozenset(rule for rule in RULES if PART[rule].__module__.endswith("._everywhere"))


def failed(suite: type[ProviderSuite], rules: Collection[str] = RULES) -> dict[str, str]:
    """Which of *rules* the suite does not pass, and why."""
    return {one.test: one.why for one in conforms(suite, rules) if one.verdict == "failed"}


@cache
def outcomes(kind: str) -> tuple[Outcome, ...]:
    """How each rule ends for a good provider."""
    return tuple(conforms(GOOD[kind]))


@pytest.mark.parametrize("kind", GOOD)
def test_a_good_provider_passes(kind: str) -> None:
    assert [one for one in outcomes(kind) if one.verdict == "failed"] == []


def test_between_them_the_good_ones_meet_every_rule() -> None:
    met = {one.test for kind in GOOD for one in outcomes(kind) if one.verdict == "passed"}
    # What only a provider without it can pass; the broken ones meet these.
    assert RULES - met <= {rule for _, one in BROKEN for rule in one.fails}


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
@pytest.mark.parametrize(
    ("half", "broken"), BROKEN, ids=[f"{half}: {one.name}" for half, one in BROKEN]
)
def test_a_broken_provider_fails_the_rules_that_name_its_fault(half: str, broken: Broken) -> None:
    assert broken.fails <= RULES
    assert set(failed(broken.suite, broken.fails)) == broken.fails


@pytest.mark.parametrize(
    ("name", "rule", "verdict"),
    [
        ("a size with a notice", "test_each_declared_size_reaches_the_wire", "passed"),
        ("goes on and cannot be resumed", "test_no_key_is_in_a_job", "not applicable"),
        ("gives no handle", "test_no_key_is_in_a_job", "not applicable"),
    ],
)
def test_a_fault_is_left_to_the_rule_that_finds_it(name: str, rule: str, verdict: str) -> None:
    [broken] = [one for _, one in BROKEN if one.name == name]
    assert rule not in broken.fails
    assert [one.verdict for one in conforms(broken.suite, {rule})] == [verdict]


def test_the_script_says_which_other_rule_of_the_part_blames_a_broken_provider(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    [(half, one)] = [(half, one) for half, one in BROKEN if one.name == "no source"]
    other = replace(one, fails=frozenset({"test_capabilities_survive_json"}))
    monkeypatch.setattr(sys.modules[__name__], "BROKEN", [(half, one), (half, other)])
    assert main() == 1
    head, *said, last = capsys.readouterr().out.splitlines()
    assert head == "asking: no source"
    assert said[0] == "  test_capabilities_survive_json: passed, and should not"
    assert said[1].startswith("  test_what_is_declared_has_a_source: AssertionError")
    assert last == f"2 broken providers, {len(RULES)} rules, 1 wrong"
    monkeypatch.setattr(sys.modules[__name__], "BROKEN", [(half, one)])
    assert main() == 0


def test_each_rule_is_failed_by_a_broken_provider() -> None:
    assert RULES - {rule for _, one in BROKEN for rule in one.fails} == frozenset()


def test_no_two_broken_providers_have_one_name() -> None:
    assert [name for name, n in Counter(one.name for _, one in BROKEN).items() if n > 1] == []


def test_there_are_enough_rules() -> None:
    assert len(RULES) >= 80


def test_each_rule_says_in_words_what_it_is() -> None:
    assert [name for name in RULES if not getattr(ProviderSuite, name).__doc__] == []


def test_no_two_parts_of_the_suite_have_a_name_in_common() -> None:
    owners = Counter(
        name
        for part in ProviderSuite.__mro__[:-1]
        for name in vars(part)
        if callable(said := vars(part)[name]) or isinstance(said, property)
        if not name.startswith("__")
    )
    assert [name for name, count in owners.items() if count > 1] == []


# What a plugin's tests may do with it.


def test_a_standard_test_is_not_overridden() -> None:
    with pytest.raises(
        TypeError, match="Own overrides the standard test test_a_plan_sends_nothing"
    ):

        class Own(WholeSuite):
            def test_a_plan_sends_nothing(self) -> None: ...


def test_nor_is_it_by_what_a_suite_is_made_of() -> None:
    class Mixed:
        def test_a_plan_sends_nothing(self) -> None: ...

    with pytest.raises(TypeError, match="Mixed overrides the standard test"):
        type("Own", (Mixed, WholeSuite), {})


def test_nor_is_what_the_standard_tests_ask_with() -> None:
    with pytest.raises(TypeError, match="Own overrides not_applicable, with which the standard"):

        class Own(WholeSuite):
            def not_applicable(self, why: str) -> Any: ...


@pytest.mark.parametrize(
    ("absent", "message"),
    [
        ({"moderations": "it has no rules"}, "names 'moderations', which is none of authent"),
        ({"moderation": " "}, "names 'moderation' without a reason"),
        ({"moderation": None}, "names 'moderation' without a reason"),
    ],
    ids=["unknown", "blank", "none"],
)
def test_what_is_absent_is_known_and_has_a_reason(absent: dict[str, str], message: str) -> None:
    host = type("Lacking", (WholeSuite.host,), {"absent": absent})
    with pytest.raises(TypeError, match=message):
        type("Own", (WholeSuite,), {"host": host})


def test_what_is_changed_later_is_found_when_it_is_run() -> None:
    rule = "test_no_standard_test_is_skipped_by_a_mark"

    class Own(WholeSuite):
        """As it should be, at first."""

    Own.usual = lambda self, operation=None: {}  # type: ignore[method-assign,assignment]
    with pytest.raises(TypeError, match="Own overrides usual"):
        next(conforms(Own, {rule}))
    with pytest.raises(TypeError, match="Own overrides usual"):
        getattr(Own(), rule)()


def test_a_test_of_ones_own_runs_with_the_others() -> None:
    class Own(WholeSuite):
        def test_it_is_mine(self) -> None: ...

    assert [*conforms(Own, {"test_it_is_mine"})] == [Outcome("test_it_is_mine", "passed")]


@pytest.mark.parametrize(
    ("left_out", "message"),
    [
        ({"test_a_plan": "because"}, "leaves out test_a_plan, which is no standard test"),
        ({"test_a_plan_sends_nothing": " "}, "without a reason: write it down"),
        ({"test_a_plan_sends_nothing": None}, "without a reason: write it down"),
        ({"test_a_plan_sends_nothing": "it does not"}, "in 15 characters at least"),
        ({"reached": "it is never reached"}, "leaves out reached, which is no standard test"),
    ],
    ids=["unknown", "blank", "none", "short", "helper"],
)
def test_what_is_left_out_has_a_reason(left_out: dict[str, str], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        type("Own", (WholeSuite,), {"left_out": left_out})


def test_what_is_left_out_shows_with_its_reason() -> None:
    rule = "test_a_plan_sends_nothing"

    class Own(WholeSuite):
        left_out: ClassVar = {rule: "its engine plans by drawing"}

    class Below(Own):
        """Inherits what is left out."""

    for suite in (Own, Below):
        assert [*conforms(suite, {rule})] == [
            Outcome(rule, "left out", "its engine plans by drawing")
        ]
        with pytest.raises(unittest.SkipTest) as skipped:
            getattr(suite(), rule)()
        assert str(skipped.value) == "left out: its engine plans by drawing"


def test_a_mark_of_the_module_skips_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rule = "test_no_standard_test_is_skipped_by_a_mark"
    here = sys.modules[__name__]
    monkeypatch.setattr(here, "pytestmark", SimpleNamespace(name="xfail"), raising=False)

    class Own(WholeSuite):
        """Of this module."""

    assert "a mark of the module says xfail" in failed(Own, {rule})[rule]


def test_pictures_that_are_all_the_same_to_a_suite_are_told_of() -> None:
    rule = "test_no_standard_test_is_skipped_by_a_mark"
    suite = type("Own", (WholeSuite,), {"seen": lambda self, data: "a picture"})
    assert "seen() takes two pictures for one" in failed(suite, {rule})[rule]


def test_a_suite_that_unittest_skips_is_told_of() -> None:
    rule = "test_no_standard_test_is_skipped_by_a_mark"
    suite = type("Own", (WholeSuite,), {"__unittest_skip__": True})
    assert "unittest.skip skips the whole suite" in failed(suite, {rule})[rule]


def blamed_wrongly(broken: Broken, *, every: bool) -> Iterator[str]:
    """What is not as it should be where *broken* meets the parts of its rules, or *every* rule."""
    parts = {PART[rule] for rule in broken.fails}
    own = {rule for rule in RULES if PART[rule] in parts}
    found = failed(broken.suite, RULES if every else own)
    for rule in sorted((set(found) - (AGAIN - own)) ^ broken.fails):
        yield f"{rule}: {found.get(rule, 'passed, and should not')}"


def main(*words: str) -> int:
    """Have each broken provider meet more than the rules that find it; the exit code."""
    wrong = 0
    for half, one in BROKEN:
        if said := list(blamed_wrongly(one, every="all" in words)):
            wrong += 1
            print(f"{half}: {one.name}", *said, sep="\n  ")
    print(f"{len(BROKEN)} broken providers, {len(RULES)} rules, {wrong} wrong")
    return int(wrong > 0)


if __name__ == "__main__":
    warnings.filterwarnings("ignore", "Pydantic serializer warnings")
    sys.exit(main(*sys.argv[1:]))
