"""Each cassette says where it is from, is played by a test, and gives nothing away."""

from __future__ import annotations

import ast
import datetime
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
HOME = ROOT / "cassettes"
CASSETTES = sorted(path.relative_to(HOME).as_posix() for path in HOME.glob("*/*.yaml"))
SAID: dict[str, dict[str, Any]] = tomllib.loads((HOME / "PROVENANCE.toml").read_text("utf-8"))
MOST = 20_000


def played() -> Iterator[str]:
    """The cassettes that some module's tests name."""
    for path in sorted((*ROOT.glob("plugins/*/tests/test_*.py"), *ROOT.glob("tests/**/test_*.py"))):
        tree = ast.parse(path.read_text("utf-8"))
        provider = [
            ast.literal_eval(one.value)
            for one in tree.body
            if isinstance(one, ast.Assign) and ast.unparse(one.targets[0]) == "PROVIDER"
        ]
        for one in ast.walk(tree):
            if isinstance(one, ast.Call) and ast.unparse(one.func).endswith("default_cassette"):
                yield f"{provider[0]}/{ast.literal_eval(one.args[0])}"


def test_there_are_cassettes() -> None:
    assert {name.partition("/")[0] for name in CASSETTES} >= {"openai-images", "openai-responses"}


def test_every_cassette_says_where_it_is_from_and_nothing_else_does() -> None:
    assert sorted(SAID) == CASSETTES


def test_every_cassette_is_played_and_no_test_plays_one_that_is_not_there() -> None:
    assert sorted(set(played())) == CASSETTES


@pytest.mark.parametrize("name", CASSETTES)
def test_a_cassette_says_how_from_what_and_when(name: str) -> None:
    said = SAID[name]
    assert set(said) == {"how", "from", "when"}
    assert said["how"] in ("recorded", "transcribed")
    assert type(said["when"]) is datetime.date


@pytest.mark.parametrize("name", [name for name in CASSETTES if SAID[name]["how"] == "recorded"])
def test_a_recorded_cassette_names_the_software_and_how_to_make_it_anew(name: str) -> None:
    assert "dev.py record" in SAID[name]["from"]
    assert "transcribed" not in (HOME / name).read_text("utf-8")


@pytest.mark.parametrize("name", [name for name in CASSETTES if SAID[name]["how"] == "transcribed"])
def test_a_transcribed_cassette_cannot_be_taken_for_a_recorded_one(name: str) -> None:
    assert "record" not in SAID[name]["from"]
    assert "req_transcribed_" in (HOME / name).read_text("utf-8")


@pytest.mark.parametrize("name", CASSETTES)
@pytest.mark.parametrize("secret", ["sk-", "Bearer ", "set-cookie", "openai-organization"])
def test_a_cassette_gives_nothing_away(name: str, secret: str) -> None:
    assert secret.lower() not in (HOME / name).read_text("utf-8").lower()


@pytest.mark.parametrize("name", CASSETTES)
def test_a_cassette_is_small(name: str) -> None:
    assert (HOME / name).stat().st_size < MOST
