from __future__ import annotations

from typing import Any

import pytest

from imagekit import Allowed, Capabilities, SizeRule


@pytest.mark.parametrize(
    ("allowed", "value", "ok"),
    [
        (Allowed(values=("low", "high")), "low", True),
        (Allowed(values=("low", "high")), "medium", False),
        (Allowed(values=("1", "2")), 2, True),
        (Allowed(values=()), "low", False),
        (Allowed(low=0, high=100), 0, True),
        (Allowed(low=0, high=100), 100, True),
        (Allowed(low=0, high=100), -1, False),
        (Allowed(low=0, high=100), 100.5, False),
        (Allowed(low=2), 10**9, True),
        (Allowed(low=2), 1, False),
        (Allowed(high=2), -(10**9), True),
        (Allowed(high=2), 3, False),
        (Allowed(low=0, high=1), "not a number", True),
        (Allowed(), 3, True),
    ],
)
def test_a_condition_allows_its_values_and_what_lies_within(
    allowed: Allowed, value: object, ok: bool
) -> None:
    assert allowed.allows(value) is ok


@pytest.mark.parametrize(
    ("allowed", "said"),
    [
        (Allowed(values=("low", "high")), "low, high"),
        (Allowed(low=0, high=100), "0 to 100"),
        (Allowed(low=0.5, high=1.5), "0.5 to 1.5"),
        (Allowed(low=2), "at least 2"),
        (Allowed(high=3), "at most 3"),
        (Allowed(), "any"),
    ],
)
def test_a_condition_says_what_it_allows(allowed: Allowed, said: str) -> None:
    assert str(allowed) == said


RULE = SizeRule(
    multiple=16, low_edge=256, high_edge=3840, ratio=3, low_pixels=655_360, high_pixels=8_294_400
)


@pytest.mark.parametrize(
    ("rule", "size", "ok"),
    [
        (SizeRule(sizes=("1024x1024", "1536x1024")), (1536, 1024), True),
        (SizeRule(sizes=("1024x1024", "1536x1024")), (1024, 1536), False),
        (SizeRule(), (1, 9999), True),
        (RULE, (1024, 1024), True),
        (RULE, (3840, 2160), True),
        (RULE, (1024, 1025), False),
        (RULE, (1025, 1024), False),
        (RULE, (3856, 2048), False),
        (RULE, (3072, 1024), True),
        (RULE, (3088, 1024), False),
        (RULE, (1024, 3088), False),
        (RULE, (1024, 640), True),
        (RULE, (1024, 624), False),
        (RULE, (3840, 2176), False),
        (SizeRule(low_edge=256), (256, 255), False),
        (SizeRule(low_edge=256), (256, 256), True),
    ],
)
def test_a_rule_allows_what_keeps_every_limit(
    rule: SizeRule, size: tuple[int, int], ok: bool
) -> None:
    assert rule.allows(*size) is ok


@pytest.mark.parametrize(
    ("parameter", "support"),
    [("seed", "yes"), ("user", "no"), ("quality", Allowed(values=("low",))), ("hue", "unknown")],
)
def test_what_is_not_said_of_a_parameter_is_unknown(parameter: str, support: object) -> None:
    known: Any = {"seed": "yes", "user": "no", "quality": Allowed(values=("low",))}
    assert Capabilities(parameters=known).supports(parameter) == support


def test_capabilities_go_to_json_and_back() -> None:
    able = Capabilities(
        model="toy-1",
        operations=frozenset({"generate", "edit"}),
        mask="white",
        size=RULE,
        parameters={"seed": "no", "quality": Allowed(values=("low",))},
    )
    assert Capabilities.model_validate_json(able.model_dump_json()) == able
