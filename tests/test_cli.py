"""The command line, told what to do and watched doing it."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import runpy
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from stevedore import ExtensionManager

import cli_toy
import imagekit
from cli_terminal import environment, terminal
from imagekit._cli import _looked, main
from imagekit._cli._main import cli
from imagekit._cli._pictures import to_stdout
from imagekit._cli._words import one_line, scrubbed, size_of
from imagekit._installed import names
from imagekit._names import slug
from imagekit.provider import Config, Endpoint, hookimpl
from spoken import httpx
from toys import Plugged

Run = Callable[..., Result]
TOYS = ("free", "gone", "mute", "needy", "paid", "plain", "toy", "twice", "unset")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cli_toy.install(tmp_path_factory.mktemp("site"))


@pytest.fixture(autouse=True)
def _alone(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder of one's own, and no provider but the toys."""
    for name in ("IMAGEKIT_PROVIDER", "IMAGEKIT_DISABLED_PLUGINS", "IMAGEKIT_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("IMAGEKIT_DISABLED_PLUGINS", ",".join(names()))
    # Other tests may need the processor too.
    monkeypatch.setattr(_looked, "LIMIT", 60.0)
    # stevedore looks once in a process.
    monkeypatch.setattr(ExtensionManager, "ENTRY_POINT_CACHE", {})
    monkeypatch.syspath_prepend(site)
    monkeypatch.chdir(tmp_path)
    cli_toy.SEEN.clear()
    yield
    monkeypatch.undo()


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Rule out every toy but some."""

    def rule_out(*kept: str) -> None:
        off = os.environ["IMAGEKIT_DISABLED_PLUGINS"].split(",")
        listed = ",".join([*off, *(name for name in TOYS if name not in kept)])
        monkeypatch.setenv("IMAGEKIT_DISABLED_PLUGINS", listed)

    return rule_out


def run(*words: str, input: bytes | str | None = None) -> Result:
    return CliRunner().invoke(cli, words, input=input)


def toy(*words: str, verb: str = "generate", input: bytes | str | None = None) -> Result:
    return run(verb, *words, "-p", "toy", input=input)


def files() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


def asked() -> imagekit.ImageRequest:
    return next(seen for seen in cli_toy.SEEN if isinstance(seen, imagekit.ImageRequest))


def untouched() -> bool:
    """Whether no provider was asked for a picture."""
    return not any(isinstance(seen, imagekit.ImageRequest) for seen in cli_toy.SEEN)


# --- what is asked -------------------------------------------------------------------------------


def test_a_picture_is_named_after_the_prompt_and_its_real_format() -> None:
    result = toy("A red bicycle!", "-O", "format=gif")
    assert result.exit_code == 0
    assert files() == ["a-red-bicycle.gif"]
    assert Path("a-red-bicycle.gif").read_bytes() == cli_toy.GIF
    words = result.stdout.split("  ")
    assert words[:4] == ["a-red-bicycle.gif", "3x5", f"{len(cli_toy.GIF)} bytes", "toy/toy-1"]
    assert result.stderr == ""


def test_every_option_reaches_the_request() -> None:
    Path("in.png").write_bytes(cli_toy.png())
    Path("mask.png").write_bytes(cli_toy.png(shade=255))
    words = shlex.split(
        "-i in.png --mask mask.png --edit-where white -m toy-2 -n 2 --size 64x64 --quality high "
        "--background opaque --format png --compression 5 --seed 7 --negative mud "
        "--moderation low --user me --unsupported ignore --partial 1 --deadline 60 "
        "-O a.b=1 -O a.c=[1,2] -O word=plain -O odd=NaN"
    )
    assert toy("add a hat", *words, verb="edit").exit_code == 0
    request = asked()
    said = request.model_dump(exclude={"images", "mask", "options"}, exclude_defaults=True)
    assert said == {
        "prompt": "add a hat",
        "model": "toy-2",
        "n": 2,
        "size": "64x64",
        "background": "opaque",
        "output_format": "png",
        "output_compression": 5,
        "seed": 7,
        "negative_prompt": "mud",
        "moderation": "low",
        "partial_images": 1,
        "user": "me",
        "unsupported": "ignore",
    }
    assert request.images[0].data == cli_toy.png()
    assert request.mask is not None
    assert request.mask.edit_where == "white"
    assert request.options == {
        "toy": {"a": {"b": 1, "c": [1, 2]}, "word": "plain", "odd": "NaN"},
    }


@pytest.mark.parametrize("words", [[], ["-"]])
def test_the_prompt_may_come_from_standard_input(words: list[str]) -> None:
    assert toy(*words, input="\ufeffein Schloß\n").exit_code == 0
    assert asked().prompt == "ein Schloß"
    assert files() == ["ein-schloss.png"]


def test_the_model_may_name_the_provider_and_options_go_to_it() -> None:
    result = run("generate", "x", "-m", "toy:toy-2", "-O", "format=gif")
    assert result.exit_code == 0
    assert (asked().model, asked().options) == ("toy-2", {"toy": {"format": "gif"}})


def test_a_base_url_goes_to_the_provider() -> None:
    assert toy("x", "--base-url", "http://127.0.0.1:9").exit_code == 0
    assert cli_toy.SEEN[0].base_url == "http://127.0.0.1:9"


def test_a_picture_may_come_from_standard_input() -> None:
    assert toy("a hat", "-i", "-", verb="edit", input=cli_toy.png()).exit_code == 0
    assert asked().images[0].data == cli_toy.png()


@pytest.mark.parametrize(
    ("given", "name"),
    [("cat.png", "cat-variation.png"), ("{url}", "variation.png")],
    ids=["file", "data URL"],
)
def test_a_variation_is_named_after_its_picture(given: str, name: str) -> None:
    Path("cat.png").write_bytes(cli_toy.png())
    given = given.format(url="data:image/gif;base64,R0lGODlhAwAFAAAAADs=")
    assert toy("-i", given, verb="vary").exit_code == 0
    assert asked().operation == "variation"
    assert name in files()


@pytest.mark.parametrize(
    ("words", "input", "message"),
    [
        (["generate"], "", "the prompt is empty"),
        (["generate", " "], None, "the prompt is empty"),
        (["generate"], b"\xff\xfe\xfd", "no text in UTF-8"),
        (["edit", "x"], None, "nothing to edit"),
        (["edit", "-i", "-"], b"x", "so the prompt is an argument"),
        (["edit", "x", "-i", "-"], b"", "standard input is empty"),
        (["edit", "x", "-i", "a.png", "--mask", "m.png"], None, "wants --edit-where too"),
        (["edit", "x", "-i", "a.png", "--mask", "m.png"], None, "transparent, opaque, white or"),
        (["edit", "x", "-i", "a.png", "--edit-where", "white"], None, "wants --mask too"),
        (["edit", "x", "-i", "a.png"], None, "No such file"),
        (["vary"], None, "nothing to vary"),
        (["generate", "x", "--base-url", "http://127.0.0.1"], None, "wants --provider"),
        (["generate", "x", "--save-partials"], None, "wants --partial"),
        (["generate", "x", "-O", "novalue"], None, "say NAME=VALUE"),
        (["generate", "x", "-O", "a..b=1"], None, "say NAME=VALUE"),
        (["generate", "x", "-O", "a=1", "-O", "a.b=1"], None, "'a' is a value already"),
        (["generate", "x", "-O", "a=1", "-O", "a=2"], None, "is said already"),
        (["generate", "x", "-o", "-", "-n", "2"], None, "takes one picture, not 2"),
        (["generate", "x", "--size", "wide"], None, "a size is pixels"),
        (["generate", "x", "--state", "gone.json"], None, "No such file"),
        (["generate", "x", "--seed", "x"], None, "not a valid integer"),
        (["generate", "x", "--edit-where", "white"], None, "No such option"),
        (["generate", "x", "-p", "nobody"], None, "no provider 'nobody'; there are: "),
        (["generate", "x", "-O", "a=1"], None, "no provider is chosen"),
        (["generate", "x", "-o", "no/where.png"], None, "there is no folder 'no'"),
        (["generate", "x", "-o", "no/"], None, "there is no folder 'no'"),
        (["paint"], None, "No such command"),
        (["--wrong"], None, "No such option"),
    ],
)
def test_what_you_got_wrong_is_said_in_a_line_before_anything_is_sent(
    words: list[str], input: bytes | str | None, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "no provider is chosen" not in message:
        monkeypatch.setenv("IMAGEKIT_PROVIDER", "toy")
    result = run(*words, input=input)
    assert result.exit_code == 2
    first = result.stderr.splitlines()[0]
    assert first.startswith("imagekit: ")
    assert message in first
    assert "Traceback" not in result.output
    # The file that cannot be read is read by the core, as the first thing of a call.
    assert untouched()
    assert files() == []


def test_a_hint_says_where_the_help_is() -> None:
    assert run("generate", "x", "--seed", "x").stderr.endswith(
        "imagekit generate --help says more\n"
    )


def test_without_a_command_there_is_help() -> None:
    result = run()
    assert result.exit_code == 0
    assert "130  stopped by Ctrl-C" in result.stdout
    assert run("--help").stdout == result.stdout


def test_the_version_is_the_installed_one() -> None:
    assert run("--version").stdout == f"imagekit {imagekit.__version__}\n"


# --- where it goes -------------------------------------------------------------------------------


def test_several_pictures_are_numbered_from_one() -> None:
    assert toy("x", "-n", "2", "-o", "cat.png").exit_code == 0
    assert files() == ["cat-1.png", "cat-2.png"]


@pytest.mark.parametrize("n", [1, 2])
def test_the_number_goes_where_the_pattern_says(n: int) -> None:
    assert toy("x", "-n", str(n), "-o", "no{n}.png").exit_code == 0
    assert files() == [f"no{number}.png" for number in range(1, n + 1)]


def test_a_folder_takes_the_name_made_from_the_prompt() -> None:
    Path("out").mkdir()
    assert toy("x y", "-o", "out").exit_code == 0
    assert toy("x z", "-o", "out/").exit_code == 0
    assert sorted(path.name for path in Path("out").iterdir()) == ["x-y.png", "x-z.png"]


def test_more_pictures_than_asked_for_are_kept_too() -> None:
    assert toy("x", "-O", "extra=1", "-o", "cat.png").exit_code == 0
    assert files() == ["cat-2.png", "cat.png"]


@pytest.mark.parametrize(
    ("words", "there"),
    [
        (["-o", "cat.png"], "cat.png"),
        (["-o", "cat.png", "-n", "3"], "cat-3.png"),
        (["-o", "{n}.png", "-n", "3"], "2.png"),
        ([], "x.webp"),
        (["--format", "JPEG"], "x.jpg"),
        (["-o", "cat.png", "--partial", "2", "--save-partials"], "cat.partial-2.png"),
        (["-o", "new.png", "--save-state", "cat.json"], "cat.json"),
    ],
)
def test_a_file_that_is_there_stops_the_call_before_it_is_made(
    words: list[str], there: str
) -> None:
    Path(there).write_bytes(b"mine")
    result = toy("x", *words)
    assert result.exit_code == 2
    assert f"'{there}' is there already; --force replaces it" in result.stderr
    assert cli_toy.SEEN == []
    assert Path(there).read_bytes() == b"mine"


def test_a_format_that_is_asked_for_makes_other_endings_no_obstacle() -> None:
    Path("x.webp").write_bytes(b"mine")
    assert toy("x", "--format", "png").exit_code == 0
    assert files() == ["x.png", "x.webp"]


def test_force_replaces_what_is_there_and_no_folder() -> None:
    Path("cat.png").write_bytes(b"mine")
    assert toy("x", "-o", "cat.png", "--force").exit_code == 0
    assert Path("cat.png").read_bytes() == cli_toy.png()
    Path("dog.png").mkdir()
    Path("dogs").mkdir()
    result = toy("x", "-o", "dog{n}.png", "--force")
    assert result.exit_code == 0
    Path("1.png").mkdir()
    assert "'1.png' is a folder" in toy("x", "-o", "{n}.png", "--force").stderr


def test_a_dangling_link_counts_as_there() -> None:
    Path("cat.png").symlink_to("nowhere.png")
    assert toy("x", "-o", "cat.png").exit_code == 2


def test_a_file_that_appears_meanwhile_is_not_replaced() -> None:
    Path("cat-2.png").write_bytes(b"mine too")
    result = toy("x", "-o", "cat.png", "-O", "touch=cat.png")
    assert result.exit_code == 0
    assert files() == ["cat-2.png", "cat-3.png", "cat.png"]
    assert Path("cat.png").read_bytes() == b"mine"
    assert Path("cat-2.png").read_bytes() == b"mine too"
    assert Path("cat-3.png").read_bytes() == cli_toy.png()
    assert "'cat.png' appeared meanwhile; saved as 'cat-3.png'" in result.stderr
    assert result.stdout.startswith("cat-3.png")


def test_a_folder_that_goes_meanwhile_loses_nothing(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    rescue = tmp_path_factory.mktemp("rescue")
    monkeypatch.setattr(tempfile, "tempdir", str(rescue))
    Path("out").mkdir()
    result = toy("x", "-o", "out/cat.png", "-O", "folder=out", "--json")
    assert result.exit_code == 1
    assert (rescue / "cat.png").read_bytes() == cli_toy.png()
    said = json.loads(result.stdout)
    assert said["ok"] is False
    assert said["pictures"][0]["path"] == str(rescue / "cat.png")
    assert said["pictures"][0]["why"].startswith("cannot write 'out/cat.png': No such file")


def test_a_picture_that_can_go_nowhere_is_said_to_be_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "nowhere")
    Path("out").mkdir()
    result = toy("x", "-o", "out/cat.png", "-O", "folder=out")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "picture 1: cannot write 'out/cat.png': No such file" in result.stderr


def test_a_write_that_breaks_off_leaves_no_half_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:9])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    monkeypatch.setattr(tempfile, "tempdir", "nowhere")
    assert "No space left" in toy("x").stderr
    assert files() == []
    assert "No space left" in toy("x", "--force").stderr
    assert files() == []


def test_the_folder_is_asked_whether_it_may_be_written_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert "the folder '.' may not be written to" in toy("x").stderr
    assert untouched()


@pytest.mark.parametrize("words", [[], ["--force"]])
def test_a_pipe_or_a_device_is_written_to_and_never_replaced(words: list[str]) -> None:
    os.mkfifo("pipe")
    reader = os.open("pipe", os.O_RDONLY | os.O_NONBLOCK)
    assert toy("x", "-o", "pipe", *words).exit_code == 0
    assert os.read(reader, 9999) == cli_toy.png()
    os.close(reader)
    assert Path("pipe").is_fifo()


def test_standard_output_gets_the_bytes_and_nothing_else() -> None:
    result = toy("x", "-o", "-", "-v")
    assert result.stdout_bytes == cli_toy.png()
    assert "standard output  4x2" in result.stderr
    assert files() == []


def test_what_is_beyond_the_first_goes_to_files_when_standard_output_is_taken() -> None:
    result = toy("a cat", "-o", "-", "-q", "-O", "extra=1")
    assert result.stdout_bytes == cli_toy.png()
    assert files() == ["a-cat-2.png"]


def test_a_reader_that_goes_away_does_not_lose_the_picture(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as broken:
        monkeypatch.setattr(sys, "stdout", broken)
        with pytest.raises(SystemExit) as ended:
            main(["generate", "a cat", "-p", "toy", "-o", "-"])
    assert ended.value.code == 1
    assert Path("a-cat.png").read_bytes() == cli_toy.png()
    said = capsys.readouterr().err
    assert "cannot write to standard output: Broken pipe; saved as 'a-cat.png'" in said


def test_bytes_are_not_written_to_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal(monkeypatch, "stdout", "stderr") as screen, pytest.raises(SystemExit) as ended:
        main(["generate", "x", "-p", "toy", "-o", "-"])
    assert ended.value.code == 2
    assert "standard output is a terminal" in screen.text
    assert untouched()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["generate"], "a prompt is needed"),
        (["edit", "x", "-i", "-"], "reads a picture from standard input, which is a terminal"),
    ],
)
def test_nobody_waits_for_a_terminal_to_type(
    words: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with terminal(monkeypatch, "stdin", "stderr") as screen, pytest.raises(SystemExit) as ended:
        main([*words, "-p", "toy"])
    assert ended.value.code == 2
    assert message in screen.text


def test_without_any_standard_input_a_prompt_is_needed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(SystemExit):
        main(["generate", "-p", "toy"])
    assert "a prompt is needed" in capsys.readouterr().err


def test_a_state_is_kept_and_continued_in_the_same_file() -> None:
    assert toy("x", "--save-state", "s.json", "-o", "1.png").exit_code == 0
    assert toy("y", "--state", "s.json", "--save-state", "s.json", "-o", "2.png").exit_code == 0
    assert json.loads(Path("s.json").read_text())["payload"] == {"turn": 2}
    assert toy("z", "--state", "s.json", "-o", "3.png", verb="edit").exit_code == 0
    Path("s.json").write_text("{}")
    result = toy("y", "--state", "s.json", "-o", "4.png")
    assert (result.exit_code, "holds no state" in result.stderr) == (2, True)


def test_a_state_that_does_not_come_or_cannot_be_kept_is_said() -> None:
    result = toy("x", "--save-state", "s.json", "-O", "bare=true")
    assert "no state came" in result.stderr
    assert files() == ["x.png"]
    result = toy("y", "--save-state", "s.json", "-O", "touch=s.json")
    assert "'s.json' appeared meanwhile; saved as 's-2.json'" in result.stderr


def test_an_ending_that_lies_is_said() -> None:
    result = toy("x", "-o", "cat.jpg")
    assert "'cat.jpg' holds a picture of type image/png" in result.stderr
    assert toy("x", "-o", "cat").stderr == ""


@pytest.mark.parametrize(
    ("ending", "format"),
    [
        ("jpg", "jpeg"), ("JPEG", "jpeg"), ("webp", "webp"), ("gif", "gif"), ("svg", "svg"),
        ("png", "png"), ("picture", None),
    ],
)  # fmt: skip
def test_the_ending_of_the_output_asks_for_its_format(ending: str, format: str | None) -> None:
    assert toy("x", "-o", f"cat.{ending}").exit_code == 0
    assert asked().output_format == format


def test_a_format_that_is_named_wins_over_the_ending() -> None:
    assert toy("x", "-o", "cat.png", "--format", "JPG").exit_code == 0
    assert asked().output_format == "jpeg"


@pytest.mark.parametrize(
    ("who", "ending", "format"),
    [("paid", "png", "png"), ("paid", "jpg", None), ("plain", "png", None)],
)
def test_an_ending_asks_for_nothing_that_the_model_is_known_to_lack(
    who: str, ending: str, format: str | None
) -> None:
    words = ("-p", who, "-o", f"cat.{ending}", "--unsupported", "error")
    assert run("generate", "x", *words).exit_code == 0
    assert asked().output_format == format


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is full")
@pytest.mark.parametrize("words", [(), ("--json",)])
def test_a_picture_that_is_saved_is_named_though_standard_output_is_full(
    words: tuple[str, ...], site: Path
) -> None:
    command = [sys.executable, "-m", "imagekit", "generate", "x", "-p", "toy", *words]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            command, env=environment(site), stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 1
    why = "cannot write to standard output: No space left on device"
    assert done.stderr == f"imagekit: {why}; saved as 'x.png'\n"
    assert Path("x.png").read_bytes() == cli_toy.png()


@pytest.mark.parametrize(
    ("option", "code", "lines"),
    [
        ("raise=RateLimitError", 3, ["", "too fast"]),
        ("interrupt=1", 130, ["; saved as 'x.png'", "stopped"]),
        ("bare=1", 1, ["; saved as 'x.png'"]),
    ],
)
def test_an_error_is_said_though_standard_output_is_gone(
    option: str,
    code: int,
    lines: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as broken:
        monkeypatch.setattr(sys, "stdout", broken)
        with pytest.raises(SystemExit) as ended:
            main(["generate", "x", "-p", "toy", "--json", "-O", option])
    assert ended.value.code == code
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("imagekit")]
    first = f"imagekit: cannot write to standard output: Broken pipe{lines[0]}"
    assert said == [first, *(f"imagekit: {line}" for line in lines[1:])]


# --- previews ------------------------------------------------------------------------------------


def test_previews_are_kept_beside_their_picture() -> None:
    result = toy("x", "-n", "2", "--partial", "2", "--save-partials", "-o", "cat.png")
    assert files() == [
        "cat-1.partial-1.png",
        "cat-1.partial-2.png",
        "cat-1.png",
        "cat-2.partial-1.png",
        "cat-2.partial-2.png",
        "cat-2.png",
    ]
    assert "preview  cat-2.partial-2.png" in result.stderr


def test_previews_are_not_kept_unasked() -> None:
    assert toy("x", "--partial", "2").exit_code == 0
    assert files() == ["x.png"]


def test_a_preview_that_is_only_a_url_is_passed_over() -> None:
    result = toy("x", "--partial", "1", "--save-partials", "-O", "faraway=true")
    assert (result.exit_code, files()) == (0, ["x.png"])


def test_the_last_preview_of_a_picture_that_fails_is_kept() -> None:
    result = toy("x", "-n", "2", "--partial", "2", "-O", "fail=[1]")
    assert result.exit_code == 1
    assert files() == ["x-1.png", "x-2.partial-2.png"]
    assert "its last preview is 'x-2.partial-2.png'" in result.stderr


def test_a_preview_that_cannot_be_kept_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "nowhere")
    Path("out").mkdir()
    words = ("-n", "2", "-o", "out/x.png", "--partial", "1", "--save-partials", "-O", "folder=out")
    result = toy("x", *words, "-O", "fail=[0,1]")
    assert result.exit_code == 6
    assert "cannot write 'out/x-2.partial-1.png'" in result.stderr


# --- what is said --------------------------------------------------------------------------------


def test_json_is_one_object_with_everything_but_the_bytes() -> None:
    result = toy(
        "x", "--json", "-n", "2", "--save-state", "s.json", "-O", "fail=[1]", "-O", "events=1"
    )
    said = json.loads(result.stdout)
    assert result.exit_code == 1
    assert said.pop("timing")["total"] > 0
    assert (
        said["pictures"][0].items()
        >= {
            "index": 0,
            "path": "x-1.png",
            "bytes": len(cli_toy.png()),
            "media_type": "image/png",
            "width": 4,
            "height": 2,
        }.items()
    )
    assert "data" not in said["pictures"][0]
    assert (
        said["failures"][0].items()
        >= {
            "index": 1,
            "kind": "failed",
            "reason": "out of paint",
            "billed": "possibly",
            "preview": None,
        }.items()
    )
    assert said["notices"][0]["feature"] == "toy"
    assert said["cost"]["amount"] == "0.04"
    assert said["usage"]["items"][0]["quantity"] == "7"
    assert {name: said[name] for name in ("ok", "provider", "model", "request_ids", "state")} == {
        "ok": False,
        "provider": "toy",
        "model": "toy-1",
        "request_ids": ["toy-request-1"],
        "state": "s.json",
    }
    assert result.stderr == ""


def test_json_says_errors_too() -> None:
    result = toy("x", "--json", "-O", "raise=RateLimitError")
    assert result.exit_code == 3
    error = json.loads(result.stdout)["error"]
    assert (
        error.items()
        >= {
            "class": "RateLimitError",
            "message": "too fast",
            "status": 429,
            "code": "slow_down",
            "request_id": "toy-request-9",
            "billed": "no",
            "provider": "toy",
        }.items()
    )
    assert result.stderr == ""


@pytest.mark.parametrize("words", [["--seed", "x", "--json"], ["--json", "--wrong"]])
def test_json_says_even_what_could_not_be_understood(words: list[str]) -> None:
    result = toy("x", *words)
    assert result.exit_code == 2
    assert json.loads(result.stdout)["ok"] is False


def test_bytes_and_json_do_not_share_standard_output() -> None:
    said = json.loads(toy("x", "--json", "-o", "-").stdout)
    assert said["error"]["message"] == "-o - and --json both want standard output"


def test_a_prompt_that_says_json_is_only_a_prompt() -> None:
    result = run("generate", "--seed", "x", "--", "--json")
    assert (result.exit_code, result.stdout) == (2, "")


def test_quiet_says_the_paths_alone() -> None:
    result = toy("x", "-n", "3", "-q", "-v", "-O", "events=1", "-O", "fail=[1]", "-O", "billed=yes")
    assert result.stdout == "x-1.png\nx-3.png\n"
    assert "picture 2 failed: out of paint (charged for)" in result.stderr
    assert "rusty" not in result.stderr


def test_a_notice_is_one_line_that_steers_no_terminal() -> None:
    result = toy("x", "-O", "events=true", "--quality", "high")
    assert "imagekit: other: toy: [2Jrusty\n" in result.stderr
    assert "imagekit: unsupported: quality: toy has no quality\n" in result.stderr


def test_verbose_says_events_ids_usage_cost_and_words() -> None:
    result = toy("x", "-v", "-n", "2", "--partial", "1", "-O", "events=1", "-O", "revised=a red x")
    said = result.stderr
    for words in (
        "queued\n",
        "queued, position 3\n",
        "at work\n",
        "dreaming 25%\n",
        "step 2\n",
        "step 3 of 9\n",
        "preview 1 of picture 2\n",
        "picture 2 of 2 is here\n",
        "request id: toy-request-1\n",
        "usage: 7 output token\n",
        "cost: 0.04 USD, estimated by the price list\n",
        "revised: a red x\n",
        "text: I drew it\n",
    ):
        assert words in said, words
    assert "bicycle" not in said


def test_verbose_says_nothing_that_is_not_known() -> None:
    assert toy("x", "-v", "-O", "bare=1", "-O", "format=odd").stderr.count("\n") == 1


def test_a_picture_that_was_not_fetched_is_named_by_its_url() -> None:
    result = toy("x", "-O", "url=http://127.0.0.1:1/a.png?sig=1")
    assert result.exit_code == 1
    assert "it was not fetched; it is at http://127.0.0.1:1/a.png?sig=1" in result.stderr
    assert files() == []


# --- how it ends ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("ConfigurationError", 2),
        ("UnsupportedRequestError", 2),
        ("QuotaExceededError", 3),
        ("NoImageError", 3),
        ("DeadlineExceededError", 4),
        ("TruncatedStreamError", 5),
        ("PluginError", 6),
        ("Stop", 6),
        ("ImagekitError", 6),
    ],
)
def test_the_exit_code_says_whose_fault_it_is(error: str, code: int) -> None:
    result = toy("x", "-O", f"raise={error}")
    assert result.exit_code == code
    assert result.stderr.startswith("imagekit: ")
    assert "Traceback" not in result.stderr


def test_an_error_brings_its_hints() -> None:
    assert toy("x", "-O", "raise=RateLimitError").stderr.splitlines() == [
        "imagekit: too fast",
        "  status 429, code slow_down, parameter prompt",
        "  request id toy-request-9",
        "  try again in 30 s",
    ]
    assert toy("x", "-O", "raise=ContentRejectedError").stderr.splitlines() == [
        "imagekit: not that",
        "  objected to: mud, rust",
        "  it was charged for",
    ]
    assert toy("x", "-O", "raise=ProtocolError").stderr.splitlines() == [
        "imagekit: cut off",
        "  it may have been charged for",
    ]


def test_what_a_message_calls_as_python_does_is_said_in_options_too() -> None:
    assert run("generate", "x", "-o", "x.png").stderr.endswith(
        "\n  on the command line: say -p/--provider\n"
    )
    assert run("generate", "x", "-p", "unset").stderr.splitlines() == [
        "imagekit: no key: set TOY_KEY",
        "  the command line takes no key: set TOY_KEY",
    ]
    assert toy("x", "-O", "raise=MissingCredentialError").stderr.splitlines() == [
        "imagekit: a key is wanted: pass api_key=",
        "  the command line takes no key: set the environment variable it names",
    ]
    assert "command line" not in toy("x", "-O", "raise=ConfigurationError").stderr


def test_a_traceback_is_there_for_those_who_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGEKIT_DEBUG", "1")
    assert "Traceback" in toy("x", "-O", "raise=PluginError").stderr


def test_a_bug_of_ours_is_a_line_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("imagekit._installed.installed", broken)
    result = run("providers")
    assert result.exit_code == 6
    assert result.stderr == "imagekit: this should not have happened: ZeroDivisionError('oh')\n"


def test_ctrl_c_keeps_what_came_and_closes_the_call() -> None:
    result = toy("x", "-n", "2", "-O", "interrupt=1")
    assert result.exit_code == 130
    assert files() == ["x-1.png"]
    assert result.stdout.startswith("x-1.png")
    assert "imagekit: stopped\n" in result.stderr
    assert cli_toy.SEEN[-1] == "closed"


@pytest.mark.parametrize(("who", "billed"), [("paid", "possibly"), ("toy", "no")])
def test_ctrl_c_is_said_in_json_too(who: str, billed: str) -> None:
    said = json.loads(run("generate", "x", "-p", who, "-O", "interrupt=1", "--json").stdout)
    assert said["error"] == {"class": "KeyboardInterrupt", "message": "stopped", "billed": billed}
    assert said["pictures"][0]["path"] == "x.png"


def test_ctrl_c_warns_of_a_charge_only_where_somebody_could_make_one() -> None:
    hint = "the provider may charge for what it had begun"
    assert hint in run("generate", "x", "-p", "paid", "-O", "interrupt=1").stderr
    assert hint not in toy("y", "-O", "interrupt=1").stderr


def test_ctrl_c_elsewhere_is_the_same_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("imagekit._installed.installed", stopped)
    result = run("providers")
    assert (result.exit_code, result.stderr.strip()) == (130, "imagekit: stopped")


def test_a_real_ctrl_c_ends_a_call_that_waits(site: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "imagekit",
        "generate",
        "x",
        "-p",
        "toy",
        "-v",
        "--partial",
        "1",
    ]
    with subprocess.Popen(
        [*command, "-O", "sleep=60"],
        env=environment(site),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert "preview 1" in process.stderr.readline()
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=50)
    assert time.monotonic() - start < 40
    assert process.returncode == 130
    assert "imagekit: stopped" in said
    assert "Traceback" not in said


# --- on a terminal -------------------------------------------------------------------------------


def on_terminal(monkeypatch: pytest.MonkeyPatch, *words: str, width: int = 100) -> str:
    with (
        terminal(monkeypatch, "stdout", "stderr", width=width) as screen,
        pytest.raises(SystemExit) as ended,
    ):
        main(["generate", "x", "-p", "toy", *words])
    assert ended.value.code in (0, 1)
    return screen.text


def test_a_terminal_shows_a_spinner_the_seconds_and_the_latest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = on_terminal(monkeypatch, "--partial", "1", "-O", "sleep=1.3", "-O", "events=1")
    assert "⠋ 0 s  " in said
    assert " 1 s  preview 1" in said
    assert len(set(said) & set("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")) > 3
    assert "\x1b[?25l" in said
    assert said.rindex("\x1b[?25h") > said.rindex("preview 1"), "the cursor comes back"
    assert "\x1b[1A\x1b[2K" in said[said.rindex("done") :], "the line goes when it is done"
    assert "\x1b[33m" in said, "notices are yellow"


def test_the_line_never_wraps(monkeypatch: pytest.MonkeyPatch) -> None:
    said = on_terminal(monkeypatch, "-O", "sleep=0.3", "-O", "events=1", width=30)
    lines = re.findall(r"\r?\x1b\[2K([^\x1b\r\n]*)", re.sub(r"\x1b\[[\d;]*m", "", said))
    assert any(line.endswith("…") and "all over" in line for line in lines), lines
    assert max(len(line) for line in lines if "x.png" not in line) <= 30


def test_a_failure_is_red(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b[31m" in on_terminal(monkeypatch, "-n", "2", "-O", "fail=[0]")


@pytest.mark.parametrize("quiet", [True, False])
def test_nothing_moves_where_nobody_looks(quiet: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if quiet:
        assert on_terminal(monkeypatch, "-q", "-O", "sleep=0.2") == "x.png\r\n"
    else:
        monkeypatch.setenv("FORCE_COLOR", "1")
        assert toy("x", "-O", "sleep=0.2").stderr == ""


def test_a_dumb_terminal_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        terminal(monkeypatch, "stdout", "stderr", kind="dumb") as screen,
        pytest.raises(SystemExit),
    ):
        main(["generate", "x", "-p", "toy", "-q", "-O", "sleep=0.2"])
    assert screen.text == "x.png\r\n"


def test_no_progress_is_shown_when_the_output_is_piped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with terminal(monkeypatch, "stderr") as screen, pytest.raises(SystemExit):
        main(["generate", "x", "-p", "toy", "-O", "sleep=0.2"])
    assert screen.text == ""
    assert capsys.readouterr().out.startswith("x.png  4x2")


# --- what is installed ---------------------------------------------------------------------------


def test_providers_lists_them_and_imports_none(site: Path) -> None:
    code = (
        "import sys\nfrom imagekit._cli import main\n"
        "try: main(['providers'])\nexcept SystemExit: pass\n"
        "print(*(name for name in sys.modules if 'toy' in name or name.startswith('imagekit_')))"
    )
    env = environment(site, IMAGEKIT_DISABLED_PLUGINS="needy")
    out = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    rows = [line.split() for line in out.stdout.splitlines()]
    assert rows[-1] == []
    assert rows[0] == ["NAME", "DISTRIBUTION", "VERSION", "MODULE"]
    assert ["toy", "toy-kit", "1.2.3", "cli_toy:toy"] in rows
    assert ["needy", "toy-kit", "1.2.3", "cli_toy:needy", "disabled"] in rows
    assert ["gone", "gone-kit", "0.2", "cli_toy_that_is_not_there"] in rows


def test_providers_that_are_disabled_are_marked(only: Callable[..., None]) -> None:
    only("toy")
    marked = {
        line.split()[0]: line.endswith("disabled") for line in run("providers").stdout.splitlines()
    }
    assert (marked["toy"], marked["needy"], marked["NAME"]) == (False, True, False)


def test_providers_as_json() -> None:
    found = {
        (one["name"], one["module"]): one for one in json.loads(run("providers", "--json").stdout)
    }
    assert found["toy", "cli_toy:toy"] == {
        "name": "toy",
        "distribution": "toy-kit",
        "version": "1.2.3",
        "module": "cli_toy:toy",
        "disabled": False,
    }
    assert len([name for name, _ in found if name == "twice"]) == 2


def test_models_are_listed_with_what_the_default_can_do() -> None:
    result = run("models", "-p", "toy")
    assert result.exit_code == 0
    lines = [line.split(None, 1) for line in result.stdout.splitlines()]
    assert lines == [
        ["toy", "toy-1"],
        ["makes", "edit, generate, variation"],
        ["pictures", "up to 8 in one request"],
        ["inputs", "up to 3"],
        ["mask", "edits where it is white"],
        ["streams", "yes"],
        ["sizes", "64x64, 128x64"],
        ["quality", "no"],
        ["source", "the toy's box"],
        ["models", "toy-1, toy-2"],
    ]


def test_a_model_with_free_sizes_says_its_limits() -> None:
    said = run("models", "-p", "free").stdout
    assert "free  (no model of its own)" in said
    assert " 16 to 4096 a side, multiples of 16, at most 3:1" in said
    assert "generate (emulated: edit)" in said


def test_models_of_everybody_go_on_past_the_broken() -> None:
    result = run("models", "--json")
    rows = {row["provider"]: row for row in json.loads(result.stdout)}
    assert result.exit_code == 1
    assert rows["toy"]["models"] == ["toy-1", "toy-2"]
    assert rows["toy"]["default"]["mask"] == "white"
    assert "does not import" in rows["gone"]["error"]
    result = run("models")
    assert "toy  toy-1" in result.stdout
    assert "imagekit: provider 'gone' does not import" in result.stderr


def test_models_of_one_that_is_broken_say_whose_fault_it_is() -> None:
    assert run("models", "-p", "gone").exit_code == 6
    assert run("models", "-p", "unset").exit_code == 2


def test_without_providers_the_lists_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imagekit._installed.installed", tuple)
    assert "pip install imagekit-sketch" in run("providers").stderr
    assert "pip install imagekit-sketch" in run("doctor").stdout


def doctor() -> tuple[int, dict[str, list[str]]]:
    result = run("doctor")
    lines = [re.split(r" {2,}", line, maxsplit=2) for line in result.stdout.splitlines()]
    return result.exit_code, {what: [verdict, detail] for verdict, what, detail in lines}


def test_a_healthy_installation_has_nothing_broken(
    only: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    only("toy", "needy", "unset", "free")
    monkeypatch.setenv("IMAGEKIT_PROVIDER", "toy")
    code, said = doctor()
    assert code == 0
    assert said["imagekit"] == ["ok", imagekit.__version__]
    assert said["python"][0] == "ok"
    assert said["[cli]"][1].startswith("click ")
    assert said["toy"] == ["ok", "toy-kit 1.2.3, model toy-1"]
    assert said["free"] == ["ok", "mute-kit 0.1, no model of its own"]
    assert said["needy"] == ["note", "toy-kit 1.2.3, not set up: no key: set TOY_KEY"]
    assert said["unset"] == ["note", "toy-kit 1.2.3, not set up: no key: set TOY_KEY"]
    assert said["gone"] == ["note", "gone-kit 0.2, disabled by IMAGEKIT_DISABLED_PLUGINS"]
    assert said["by default"] == ["ok", "toy, from IMAGEKIT_PROVIDER in the environment"]


def test_each_broken_plugin_is_one_line_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TOY_API_KEY", "hunter2hunter2")
    code, said = doctor()
    assert code == 1
    assert said["gone"][0] == "broken"
    assert "does not import: ModuleNotFoundError" in said["gone"][1]
    assert said["twice"][0] == "broken"
    assert "is installed twice: cli_toy:free, cli_toy:toy" in said["twice"][1]
    assert said["mute"][0] == "broken"
    assert "lost for words, my key is $TOY_API_KEY" in said["mute"][1]
    assert "hunter2" not in run("doctor").output
    assert said["toy"][0] == "ok"


def test_a_default_that_is_not_there_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGEKIT_PROVIDER", "nobody")
    monkeypatch.setenv("IMAGEKIT_DISABLED_PLUGINS", "ghost")
    said = run("doctor")
    assert said.exit_code == 1
    assert "IMAGEKIT_PROVIDER in the environment says 'nobody', which there is not" in said.stdout
    assert "IMAGEKIT_DISABLED_PLUGINS names 'ghost', which is not installed" in said.stdout


def test_a_patch_for_nobody_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text("[toy.'*']\nmax_images = 2\n[tyo.'*']\nmax_images = 2\n")
    monkeypatch.setenv("IMAGEKIT_CAPABILITIES", str(mine))
    said = [line for line in run("doctor").stdout.splitlines() if "mine.toml" in line]
    assert len(said) == 1
    assert said[0].startswith("note ")
    assert "[tyo] names no provider, family or profile that is here" in said[0]


def test_the_rival_for_the_name_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, only: Callable[..., None]
) -> None:
    only("toy")
    rival = tmp_path / "imagekit"
    rival.mkdir()
    (rival / "pkgmeta.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    result = run("doctor")
    assert result.exit_code == 1
    assert "django-imagekit lies in" in result.stdout


def test_an_extra_that_is_missing_is_no_harm(
    monkeypatch: pytest.MonkeyPatch, only: Callable[..., None]
) -> None:
    only("toy")
    wanted = ['no-such-thing>=1; extra == "server"', "anyio", 'ruff; extra == "dev"']
    monkeypatch.setattr("importlib.metadata.requires", lambda name: wanted)
    code, said = doctor()
    assert code == 0
    assert said["[server]"] == ["note", "without no-such-thing: pip install 'imagekit[server]'"]
    assert "[dev]" not in said


# --- the configuration ---------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own folder, which is not the one that is worked in."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    made = tmp_path / "home" / "imagekit"
    made.mkdir(parents=True)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return made


def wrote(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def lines(*words: str) -> tuple[int, list[list[str]]]:
    """What doctor says, line by line, without what it says of each installation."""
    result = run("doctor", *words)
    found = [re.split(r" {2,}", line, maxsplit=2) for line in result.stdout.splitlines()]
    first = next(n for n, (_, what, _) in enumerate(found) if what == "configuration")
    return result.exit_code, [line for line in found[first:] if not line[2].startswith("toy-kit")]


@pytest.mark.parametrize(
    "words",
    [
        ("--config", "here.toml", "generate", "a cat"),
        ("generate", "a cat", "--config", "here.toml"),
        ("--config", "nowhere.toml", "generate", "a cat", "--config", "here.toml"),
    ],
)
def test_a_call_is_made_as_the_named_file_says(words: tuple[str, ...]) -> None:
    text = "[defaults]\nseed = 7\ndeadline = 60\noutput_format = 'gif'\n[profiles.work]\n"
    wrote(Path("here.toml"), text + "provider = 'toy'\nmodel = 'toy-2'\n")
    assert run(*words, "-p", "work", "-o", "cat.png").exit_code == 0
    assert (asked().seed, asked().model, asked().output_format) == (7, "toy-2", "png")


def test_the_deadline_may_be_the_files() -> None:
    wrote(Path("here.toml"), "[defaults]\ndeadline = 0.1\n")
    began = time.monotonic()
    assert toy("a cat", "-O", "sleep=20", "--config", "here.toml").exit_code == 4
    assert time.monotonic() - began < 10


def test_the_provider_may_be_the_files_and_its_options_go_to_it() -> None:
    wrote(Path("here.toml"), "[defaults]\nmodel = 'toy:toy-2'\n")
    result = run(
        "--config", "here.toml", "generate", "a cat", "-O", "revised=x", "--deadline", "60"
    )
    assert result.exit_code == 0
    assert asked().model == "toy-2"
    assert asked().options == {"toy": {"revised": "x"}}


@pytest.mark.parametrize("words", [["models", "-p", "work"], ["tools", "-p", "work"], ["models"]])
def test_every_command_knows_the_profiles(words: list[str]) -> None:
    wrote(Path("here.toml"), "[profiles.work]\nprovider = 'toy'\n")
    result = run(*words, "--config", "here.toml")
    assert result.exit_code == (1 if words == ["models"] else 0)
    assert run(*words[:1], "-p", "work").exit_code == 2


def test_a_server_is_set_up_by_the_named_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever that says of how calls are made: an app is told what goes wrong by a status."""
    text = "provider = 'work'\n[defaults]\nraise_on_error = false\nfetch = false\n"
    text += "[profiles.work]\nprovider = 'toy'\n[profiles.work.defaults]\nseed = 7\n"
    text += "[defaults.options.toy]\nraise = 'ContentRejectedError'\n"
    wrote(Path("here.toml"), text)
    answers: list[httpx.Response] = []

    def serve(app: Any, listening: socket.socket, say: Any) -> None:
        async def ask() -> None:
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
                answers.append(await http.post("/v1/images/generations", json={"prompt": "a cat"}))

        listening.close()
        asyncio.run(ask())

    monkeypatch.setattr("imagekit.server._serve.run", serve)
    result = run("serve", "--port", "0", "--config", "here.toml", "-q")
    assert result.exit_code == 0, result.output
    assert asked().seed == 7
    assert answers[0].status_code == 400
    assert "not that" in answers[0].json()["error"]["message"]


def test_a_server_that_is_given_a_client_is_not_configured() -> None:
    from imagekit.server import create_app

    with pytest.raises(imagekit.ConfigurationError, match="so it has its own config"):
        create_app(imagekit.AsyncClient(), config="here.toml")


def test_a_file_that_is_wrong_is_one_line_and_the_users_fault() -> None:
    wrote(Path("here.toml"), "colour = 1\n")
    result = toy("a cat", "--config", "here.toml")
    assert result.exit_code == 2
    assert result.stderr.startswith("imagekit: ")
    assert "here.toml: colour: no such setting" in result.stderr
    assert untouched()


def test_doctor_says_where_the_users_own_file_would_be(
    folder: Path, only: Callable[..., None]
) -> None:
    only("toy")
    code, said = lines()
    assert code == 0
    assert said[0] == ["ok", "configuration", f"no file: {folder / 'imagekit.toml'} is not there"]


def test_doctor_says_that_nobody_knows_where_that_is(
    only: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    only("toy")
    monkeypatch.setattr("imagekit._configuration.usual_file", lambda: None)
    _, said = lines()
    assert said[0] == ["ok", "configuration", "no file: nobody knows where your own would be"]


def test_doctor_says_that_none_is_wanted(only: Callable[..., None]) -> None:
    only("toy")
    _, said = lines("--config", os.devnull)
    assert said[0] == ["ok", "configuration", "no file, as it was said"]


CONFIGURED = """
provider = "work"
[defaults]
size = "64x64"
n = 2
[defaults.options.toy]
colour = "a-secret-colour"
[timeouts]
connect = 2
[profiles.work]
provider = "toy"
model = "toy-2"
[profiles.bare]
provider = "paid"
[profiles.server]
provider = "plain"
base_url = "http://127.0.0.1:9/v1?sig=s3cret-query"
[profiles.variable]
provider = "paid"
api_key_env = "PAID_KEY"
[profiles.file]
provider = "paid"
api_key_file = "key"
[profiles.ring]
provider = "paid"
api_key_keyring = "imagekit/me"
[profiles.own]
provider = "needs"
[profiles.own.settings.headers]
authorization = "s3cret-header"
x = 1
"""


class _Needs(cli_toy.Toy):
    """Has a key in the environment, or says which variable to set."""

    def __init__(self, config: Config) -> None:
        missing = None if config.env.get("NEEDS_KEY") else "no key: set NEEDS_KEY"
        self.endpoint = Endpoint("https://toys.example?sig=s3cret-query", missing=missing)


class _Shy:
    """Says that it wants a key only by failing."""

    @hookimpl
    def imagekit_provider(self, config: Config) -> Any:
        if not config.env.get("SHY_KEY"):
            raise imagekit.MissingCredentialError("no key: set SHY_KEY")
        return cli_toy.Paid()


@pytest.fixture
def more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Providers that are registered, and whose keys are set; a keyring that has one."""
    own = imagekit.Plugins

    def made() -> imagekit.Plugins:
        found = own()
        found.register(Plugged(_Needs), "needs")
        found.register(_Shy(), "shy")
        return found

    monkeypatch.setattr("imagekit._providers.Plugins", made)
    monkeypatch.setattr(
        "imagekit._installed.names", lambda: ("needs", "shy", "toy", "paid", "plain")
    )
    for name in ("NEEDS_KEY", "SHY_KEY", "PAID_KEY"):
        monkeypatch.setenv(name, f"s3cret-of-{name}")
    monkeypatch.setattr("keyring.get_password", lambda *_: "s3cret-ring")


def test_doctor_says_where_each_setting_comes_from_and_never_what_a_key_is(
    folder: Path, more: None, only: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    only("toy", "paid", "plain")
    file = wrote(folder / "imagekit.toml", CONFIGURED)
    key = wrote(folder / "key", "s3cret-file")
    monkeypatch.setenv("IMAGEKIT_DEFAULTS__N", "3")
    monkeypatch.setenv("IMAGEKIT_RETRY__RETRIES", "0")
    monkeypatch.setenv("IMAGEKIT_PROFILES__VARIABLE__MODEL", "m-1")
    monkeypatch.setenv("IMAGEKIT_PROFILES__SHY__API_KEY_ENV", "")
    monkeypatch.setenv("IMAGEKIT_PROFILES__SHY__PROVIDER", "shy")
    code, said = lines()
    own = [line for line in said if "disabled" not in line[2] and "-kit " not in line[2]]
    assert own == [
        ["ok", "configuration", str(file)],
        ["ok", "by default", f"work, from {file}"],
        ["ok", "defaults", "n = 3, from IMAGEKIT_DEFAULTS__N"],
        ["ok", "defaults", f"size = 64x64, from {file}"],
        ["ok", "defaults", f"options.toy.colour, from {file}"],
        ["ok", "timeouts", f"connect = 2.0, from {file}"],
        ["ok", "retry", "retries = 0, from IMAGEKIT_RETRY__RETRIES"],
        ["ok", "profile work", f"toy, model toy-2, no key of its own, said in {file}"],
        [
            "ok",
            "profile bare",
            f"paid, at https://toys.example, model toy-1, no key of its own, said in {file}",
        ],
        ["ok", "profile server", f"plain, model toy-1, no key, said in {file}"],
        [
            "ok",
            "profile variable",
            "paid, at https://toys.example, model m-1, key from PAID_KEY, which is set, "
            f"said in {file} and the environment",
        ],
        [
            "ok",
            "profile file",
            f"paid, at https://toys.example, model toy-1, key from the file {key}, said in {file}",
        ],
        [
            "ok",
            "profile ring",
            "paid, at https://toys.example, model toy-1, key from the keyring at imagekit/me, "
            f"said in {file}",
        ],
        [
            "ok",
            "profile own",
            "needs, at https://toys.example?…, model toy-1, key from the provider's own "
            f"NEEDS_KEY, which is set, said in {file}",
        ],
        [
            "note",
            "profile own",
            "settings.headers.authorization stands in the configuration itself, for all who see it",
        ],
        [
            "ok",
            "profile shy",
            "shy, at https://toys.example, model toy-1, key from the provider's own SHY_KEY, "
            "which is set, said in the environment",
        ],
    ]
    assert code == 0
    for output in (run("doctor").output, run("doctor", "--json").output):
        assert "s3cret" not in output
        assert "a-secret-colour" not in output


def test_doctor_says_it_to_programs_too(folder: Path, only: Callable[..., None]) -> None:
    only("toy")
    file = wrote(folder / "imagekit.toml", "[profiles.toy]\nmodel = 'toy-2'\n")
    result = run("doctor", "--json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["ok"]) == (0, True)
    # It stands in place of the provider that is called so.
    assert [one for one in found["findings"] if "toy" in one["what"]] == [
        {
            "verdict": "ok",
            "what": "profile toy",
            "detail": f"toy, model toy-2, no key of its own, said in {file}",
        }
    ]
    wrote(folder / "imagekit.toml", "colour = 1\n")
    assert json.loads(run("doctor", "--json").stdout)["ok"] is False


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("provider = 'paid'\napi_key_env = 'NOT_SET'", "takes its key from NOT_SET, which is not"),
        ("provider = 'paid'\napi_key_file = 'nowhere'", "No such file"),
        ("provider = 'paid'\napi_key_file = 'empty'", "it is empty"),
        ("provider = 'paid'\napi_key_keyring = 'imagekit/me'", "the keyring holds no key for 'me'"),
        ("provider = 'nobody'", "no provider 'nobody'"),
        ("provider = 'needy'", "no key: set TOY_KEY"),
        ("provider = 'gone'", "no provider 'gone'"),
        ("base_url = 'https://toys.example'", "says no provider, and none is called that"),
    ],
)
def test_a_profile_that_cannot_be_asked_is_broken(
    folder: Path,
    only: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    why: str,
) -> None:
    only("toy", "paid", "needy")
    monkeypatch.setattr("keyring.get_password", lambda *_: None)
    wrote(folder / "empty", "")
    wrote(folder / "imagekit.toml", f"[profiles.work]\n{text}\n")
    code, said = lines()
    assert code == 1
    (line,) = [line for line in said if line[1] == "profile work"]
    assert line[0] == "broken"
    assert why in line[2]


@pytest.mark.parametrize(
    ("text", "env", "why"),
    [
        ("colour = 1", {}, "imagekit.toml: colour: no such setting"),
        ("[profiles.w]\napi_key = 'hunter2hunter2'", {}, "a key does not stand in a config"),
        ("[profiles.w]\napi_key_env = 'hunter2-hunter2'", {}, "profile 'w': api_key_env is the"),
        ("", {"IMAGEKIT_DEFAULTS__NN": "1"}, "IMAGEKIT_DEFAULTS__NN: no such setting"),
        ("", {"IMAGEKIT_CONFIG": "imagekit.toml"}, "IMAGEKIT_CONFIG must name a file by its whole"),
    ],
)
def test_a_configuration_that_is_wrong_is_broken_and_all_else_is_looked_at(
    folder: Path,
    only: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    env: dict[str, str],
    why: str,
) -> None:
    only("toy")
    wrote(folder / "imagekit.toml", text)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    code, said = doctor()
    assert code == 1
    assert said["configuration"][0] == "broken"
    assert why in said["configuration"][1]
    assert said["toy"] == ["ok", "toy-kit 1.2.3, model toy-1"]
    assert "hunter2" not in run("doctor").output


def test_who_is_asked_by_default_may_be_nobody_who_is_there(
    folder: Path, only: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    only("toy")
    file = wrote(folder / "imagekit.toml", "provider = 'nobody'\n")
    assert ["broken", "by default", f"{file} says 'nobody', which there is not"] in lines()[1]
    monkeypatch.setenv("IMAGEKIT_PROVIDER", "toy")
    source = "toy, from IMAGEKIT_PROVIDER in the environment"
    assert ["ok", "by default", source] in lines()[1]


def test_doctor_says_who_named_the_file(
    folder: Path, only: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    only("toy")
    file = wrote(folder / "other.toml", "")
    assert lines("--config", str(file))[1][0][2] == f"{file}, named by --config"
    monkeypatch.setenv("IMAGEKIT_CONFIG", str(file))
    assert lines()[1][0][2] == f"{file}, named by IMAGEKIT_CONFIG"


def test_doctor_says_that_a_file_where_one_works_is_not_read(
    folder: Path, only: Callable[..., None]
) -> None:
    only("toy")
    trap = wrote(Path("imagekit.toml"), "provider = 'nobody'\n")
    detail = "imagekit.toml in this folder is not read: --config names it, if you trust it"
    code, said = lines()
    assert (code, ["note", "configuration", detail] in said) == (0, True)
    wrote(folder / "imagekit.toml", "")
    assert ["note", "configuration", detail] in lines()[1]
    assert ["note", "configuration", detail] not in lines("--config", str(trap))[1]


def test_doctor_says_what_others_can_do_with_the_files(
    folder: Path, only: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    only("paid")
    text = "[profiles.work]\nprovider = 'paid'\napi_key_file = 'key'\n"
    file = wrote(folder / "imagekit.toml", text, 0o644)
    key = wrote(folder / "key", "k-1", 0o600)

    def notes() -> list[str]:
        return [what + ": " + detail for mark, what, detail in lines()[1] if mark == "note"]

    others = [note for note in notes() if "disabled" not in note]
    assert others == []
    file.chmod(0o664)
    key.chmod(0o640)
    others = [note for note in notes() if "disabled" not in note]
    assert others == [
        f"configuration: others can write to {file}: chmod go-w it",
        f"profile work: others can get at {key}: chmod 600 it",
    ]
    if os.getuid() == 0:  # only root gives files away
        os.chown(file, 12345, -1)
        file.chmod(0o644)
        assert f"configuration: {file} is somebody else's" in notes()
    with monkeypatch.context() as patched:
        patched.setattr("sys.platform", "win32")
        others = [note for note in notes() if "disabled" not in note]
    assert others == []


def test_a_place_of_a_key_is_no_key() -> None:
    env = {
        "IMAGEKIT_PROFILES__WORK__API_KEY_ENV": "WORK_API_KEY",
        "WORK_API_KEY": "hunter2-hunter2",
    }
    assert scrubbed("WORK_API_KEY is hunter2-hunter2", env) == "WORK_API_KEY is $WORK_API_KEY"


# --- the door ------------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", ["click", "rich"])
def test_without_the_extra_one_line_says_what_to_install(missing: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None\nfrom imagekit._cli import main\nmain()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    line = "imagekit: the command line is an extra; pip install 'imagekit[cli]'\n"
    assert (done.stdout, done.stderr) == ("", line)


@pytest.mark.parametrize("missing", ["click", "rich"])
def test_the_door_looks_for_both(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2


def test_help_imports_nothing_heavy(site: Path) -> None:
    code = (
        "import sys\nfrom imagekit._cli import main\n"
        "try: main(['generate', '--help'])\nexcept SystemExit: pass\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    env = environment(site)
    out = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    loaded = set(out.stdout.splitlines()[-1].split())
    heavy = {"pydantic", "httpx", "stevedore", "pluggy", "rich", "anyio", "PIL", "cli_toy"}
    assert "click" in loaded
    assert loaded & heavy == set()


def test_bytes_go_through_a_real_pipe(site: Path) -> None:
    command = [sys.executable, "-m", "imagekit", "generate", "-p", "toy", "-o", "-"]
    done = subprocess.run(command, env=environment(site), input=b"a cat", capture_output=True)
    assert (done.returncode, done.stdout) == (0, cli_toy.png())


def test_a_pipe_that_breaks_loses_nothing(site: Path) -> None:
    command = f"{sys.executable} -m imagekit generate 'a cat' -p toy -o - | true"
    shell = ["bash", "-c", f"{command}; exit ${{PIPESTATUS[0]}}"]
    done = subprocess.run(shell, env=environment(site), input="", capture_output=True, text=True)
    if done.returncode == 0:  # the reader may outlive one small picture
        pytest.skip("the pipe did not break")
    assert done.returncode == 1
    assert Path("a-cat.png").read_bytes() == cli_toy.png()
    assert "Exception ignored" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such shell")
@pytest.mark.parametrize("closed", ["2>&-", ">&-", ">&- 2>&-"])
def test_nobody_need_listen(site: Path, closed: str) -> None:
    command = f"{sys.executable} -m imagekit generate 'a cat' -p toy -o cat.png {closed}"
    assert subprocess.run(["bash", "-c", command], env=environment(site), input=b"").returncode == 0
    assert Path("cat.png").read_bytes() == cli_toy.png()


def test_a_picture_goes_to_no_output_that_is_closed(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(click.UsageError, match="standard output is closed"):
        to_stdout({"output": "-", "as_json": False})


def test_python_m_imagekit_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "imagekit.__main__", raising=False)
    monkeypatch.setattr(sys, "argv", ["imagekit", "--version"])
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("imagekit", run_name="__main__")
    assert ended.value.code == 0
    assert runpy.run_module("imagekit", run_name="other")["main"] is main


# --- words ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("A red bicycle, by the sea", "a-red-bicycle-by-the-sea"),
        ("猫と月", "猫と月"),
        ("../../etc/passwd", "etc-passwd"),
        ("!!!", "image"),
        ("word " * 40, "-".join(["word"] * 12)),
        ("x" * 300, "x" * 60),
    ],
)
def test_a_name_is_made_of_a_prompts_words(text: str, name: str) -> None:
    assert slug(text) == name


def test_a_line_is_one_line() -> None:
    assert one_line("a\n b\x1b[31m\u202e") == "a b [31m"


def test_a_key_is_not_said() -> None:
    env = {"SOME_TOKEN": "hunter2hunter2", "A_KEY": "short", "HOME": "a-long-home"}
    said = "hunter2hunter2 short a-long-home"
    assert scrubbed(said, env) == "$SOME_TOKEN short a-long-home"


@pytest.mark.parametrize(
    ("count", "words"), [(999, "999 bytes"), (48_200, "48 kB"), (1_234_567, "1.2 MB")]
)
def test_bytes_are_counted_in_words(count: int, words: str) -> None:
    assert size_of(count) == words
