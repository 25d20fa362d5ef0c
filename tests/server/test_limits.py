"""Bounds are numbers."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

import pytest

import imagekit
from imagekit.server import Limits

NAMES = [field.name for field in fields(Limits)]


@pytest.mark.parametrize("name", NAMES)
def test_every_limit_can_be_set(name: str) -> None:
    assert getattr(Limits(**{name: 3}), name) == 3


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, "7", None, True])
def test_a_limit_that_limits_nothing_or_everything_is_an_error(value: Any) -> None:
    for name in NAMES:
        with pytest.raises(imagekit.ConfigurationError, match=f"the limit '{name}'"):
            Limits(**{name: value})
