"""How `dev.py schemas` judges: by what the server did, not by what troubles schemathesis."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import description
import pytest
import schemas


def report(**said: Any) -> dict[str, Any]:
    return {**schemas.NOTHING, "complete": True, "test_cases": {"generated": 9}, **said}


def test_a_fault_of_the_server_is_wrong() -> None:
    fault = {"title": "Server error", "operations": ["POST /images/edits"]}
    assert schemas.judged(report(failures=[fault])) == (["Server error: POST /images/edits"], [])


@pytest.mark.parametrize("title", sorted(schemas.BROUGHT))
def test_so_is_an_answer_that_never_came(title: str) -> None:
    found = schemas.judged(report(errors=[{"title": title, "count": 2}]))
    assert found == ([f"{title}, 2 times"], [])


def test_and_a_run_without_an_end() -> None:
    assert schemas.judged(report(complete=False)) == (["schemathesis has not come to its end"], [])


@pytest.mark.parametrize("title", ["Failed Health Check", "Schema Error", "Runtime Error"])
def test_its_own_trouble_is_told_and_not_wrong(title: str) -> None:
    found = schemas.judged(report(errors=[{"title": title, "count": 1}]))
    assert found == ([], [f"{title}, 1 times"])


@pytest.mark.skipif(not description.here(), reason=description.ABSENT)
def test_who_asks_nothing_has_not_judged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    idle = tmp_path / "idle"
    idle.write_text(f"#!{sys.executable}\n")
    idle.chmod(0o700)
    assert schemas.main(str(idle)) == 1
    said = capsys.readouterr().out
    assert said.startswith("schemathesis, seed 7: 0 requests, wrong: 2\n")
    assert "nothing was asked" in said
