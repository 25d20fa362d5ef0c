"""SECURITY.md: each test that it names for a promise is there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROWS = [
    line.strip("|").split(" | ")
    for line in (ROOT / "SECURITY.md").read_text("utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| promise")
]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


@cache
def names_in(path: str) -> frozenset[str]:
    """The names of what is defined there, in classes too."""
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    kinds = ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, kinds))


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_a_promise_is_tested(row: list[str]) -> None:
    promise, tested = row
    named = NAMED.findall(tested)
    assert promise.strip()
    assert named
    assert NAMED.sub("", tested).strip(" ,") == ""
    assert [name for path, name in named if name not in names_in(path)] == []


def test_there_are_promises() -> None:
    assert len(ROWS) > 10
