"""Each cassette says where it is from, is played by a test, and gives nothing away."""

from __future__ import annotations

import ast
import datetime
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
HOME = ROOT / "cassettes"
CASSETTES = sorted(path.relative_to(HOME).as_posix() for path in HOME.glob("*/*.yaml"))
SAID: dict[str, dict[str, Any]] = tomllib.loads((HOME / "PROVENANCE.toml").read_text("utf-8"))
SOURCES = ("sd-server", "server", "live")
SECRETS = ("sk-", r"bearer \w{6}", "set-cookie", "openai-organization", "a-token-", "a-key-")
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
def test_a_cassette_says_from_what_and_when_and_how_to_make_it_anew(name: str) -> None:
    said = SAID[name]
    assert set(said) == {"source", "from", "when"}
    assert said["source"] in SOURCES
    assert f"dev.py record {name.partition('/')[0]}" in said["from"]
    assert type(said["when"]) is datetime.date


@pytest.mark.parametrize("name", CASSETTES)
def test_a_cassette_names_the_place_it_is_from(name: str) -> None:
    exchanges = yaml.safe_load((HOME / name).read_text("utf-8"))["interactions"]
    home = f"http://{SAID[name]['source']}.invalid/v1/"
    assert all(one["request"]["uri"].startswith(home) for one in exchanges)


@pytest.mark.parametrize("name", CASSETTES)
@pytest.mark.parametrize("secret", SECRETS)
def test_a_cassette_gives_nothing_away(name: str, secret: str) -> None:
    assert re.search(secret, (HOME / name).read_text("utf-8"), re.I) is None


@pytest.mark.parametrize("name", CASSETTES)
def test_a_cassette_is_small(name: str) -> None:
    if SAID[name]["source"] != "live":
        assert (HOME / name).stat().st_size < MOST
