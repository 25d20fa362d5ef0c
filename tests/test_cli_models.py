"""`imagekit models`: what is known of each model, where from, and what the user says of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import imagekit
from imagekit import Capabilities, SizeRule
from imagekit._cli import _facts
from imagekit._cli._main import cli
from imagekit._tables import patches
from toys import Whole, plugins

IMAGES = "openai-images"


def run(*words: str) -> Result:
    return CliRunner(env={"COLUMNS": "80"}).invoke(cli, ["models", *words])


def lines(*words: str) -> dict[str, str]:
    """What is said, by its heading; what goes on in the next line is joined."""
    found: dict[str, str] = {}
    fact = ""
    for line in run(*words).stdout.splitlines()[1:]:
        assert len(line) <= 80
        if line[2:22].strip() and line[22] == " ":
            fact = line[2:22].strip()
            found[fact] = line[23:]
        elif line.startswith("  ["):
            found[line[2:5]] = line[6:]
        else:
            found[fact] += " " + line.strip()
    return found


def test_models_are_listed_with_their_lives() -> None:
    said = run("-p", IMAGES).stdout
    assert "gpt-image-2.6-sunburst   released 2026-11-04\n" in said
    assert "gpt-image-1.5            shuts down 2026-12-01\n" in said
    (row,) = json.loads(run("-p", IMAGES, "--json").stdout)
    assert row["lifecycles"]["gpt-image-1.5"]["shuts_down"] == "2026-12-01"
    assert row["default"]["lifecycle"]["released"] == "2026-11-04"


def test_another_model_than_the_default_one_can_be_shown() -> None:
    assert run("-p", IMAGES, "-m", "gpt-image-2").stdout.startswith("openai-images  gpt-image-2\n")
    assert run("-m", f"{IMAGES}:gpt-image-2").stdout.startswith("openai-images  gpt-image-2\n")


def test_each_fact_is_shown_with_its_source() -> None:
    said = lines("-p", IMAGES, "-m", "gpt-image-1.5", "--capabilities")
    assert said["lifecycle"].startswith("shuts down 2026-12-01, replaced by gpt-image-2.5-sunburst")
    assert said["lifecycle"].endswith("[1]")
    assert said["[1]"] == "OpenAI's deprecations page, 2026-11-20"
    assert said["prompt"] == "at most 32000 characters [2]"
    assert said["[2]"] == "openai 3.52.0 for Python (2026-11-16), 2026-11-20"
    assert said["quality"] == "auto, low, medium, high, maybe others; not xhigh, max [2]"
    assert said["sizes"] == "1024x1024, 1536x1024, 1024x1536 [2]"
    assert said["input_fidelity"] == "low, high [2]"
    assert said["jobs"] == "no [2]"


def test_what_is_unknown_says_so_and_has_no_source() -> None:
    said = lines("-p", IMAGES, "-m", "gpt-image-9", "--capabilities")
    assert said["sizes"] == said["lifecycle"] == said["prices"] == "unknown"


def test_all_of_it_is_json_too() -> None:
    (row,) = json.loads(run("-p", IMAGES, "--capabilities", "--json").stdout)
    able = Capabilities.model_validate(row["capabilities"])
    assert row["model"] == able.model == "gpt-image-2.6-sunburst"
    assert row["sources"]["max_prompt"]["text"].startswith("openai 3.52.0")
    assert able.source_of("quality") is not None
    assert row["sources"]["quality"]["text"] == able.sources["quality"].text
    assert set(row["sources"]) >= {"operations", "seed", "options.svg", "lifecycle"}


def test_a_provider_that_tells_nothing_of_itself(capsys: pytest.CaptureFixture[str]) -> None:
    with imagekit.Client(provider="toy", plugins=plugins(toy=Whole())) as client:
        row = _facts.every_fact(client, "toy", None, tell=True)
    said = capsys.readouterr().out
    assert said.startswith("toy  (no model of its own)\n")
    assert "[1]" not in said
    assert row["sources"] == {}


def test_shapes_are_told_with_their_tiers() -> None:
    rule = SizeRule(shapes=("1:1", "16:9"), tiers=("1K", "2K"))
    assert _facts._sizes(rule) == "1:1, 16:9; 1K, 2K"
    assert _facts._sizes(SizeRule(shapes=("1:1",))) == "1:1"


def test_what_the_user_says_is_marked(capsys: pytest.CaptureFixture[str]) -> None:
    mine: dict[str, Any] = {
        "source": "I tried",
        "sketch": {"*": {"max_images": 2, "max_prompt": 9, "prices": {"free": False}}},
    }
    with imagekit.Client(provider="sketch") as client:
        client._calls.providers._patches = patches(mine, {})
        row = _facts.every_fact(client, "sketch", None, tell=True)
    said = capsys.readouterr().out
    assert "\n* pictures             up to 2 in one request [2]\n" in said
    assert "\n* prompt               at most 9 characters [2]\n" in said
    assert "\n* prices               in USD [2]\n" in said
    assert "\n  seed                 yes [1]\n" in said
    assert said.endswith(
        "  [1] this package\n  [2] I tried, in capabilities=\n  * your own patch\n"
    )
    assert row["sources"]["max_prompt"]["patch"] == "capabilities="


@pytest.mark.parametrize("words", [["--capabilities"], ["-m", "x"]])
def test_a_live_list_is_nothing_else(words: list[str]) -> None:
    result = run("--live", "-p", IMAGES, *words)
    assert result.exit_code == 2
    assert "--live lists what there is" in result.stderr


def test_the_users_own_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[sketch."*"]\nmax_prompt = 9\n')
    monkeypatch.setenv("IMAGEKIT_CAPABILITIES", str(path))
    assert (
        "* prompt               at most 9 characters"
        in run("-p", "sketch", "--capabilities").stdout
    )
