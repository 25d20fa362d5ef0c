"""What strangers say, on its way to a terminal: no letter of it steers one, whatever is asked."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from stevedore import ExtensionManager

import imagekit
from cli_terminal import terminal
from imagekit import Image, ImageFailure, ImageResponse
from imagekit._cli import main
from imagekit._cli._main import cli
from imagekit._installed import names as installed
from imagekit._names import names, slug
from imagekit.provider import (
    Capabilities,
    Config,
    Endpoint,
    Lifecycle,
    Price,
    Prices,
    checkpoint,
    emit,
    hookimpl,
    notice,
    sleep,
)
from toys import picture

# C0, CSI, OSC, a title, a link, DEL, C1, bidi overrides and isolates, line and paragraph ends.
STEERING = (
    "\x1b[2J\x1b]0;owned\x07\x1b]8;;https://evil.test\x1b\\\x08\r\x00\x7f\x9b31m\x85"
    "\u202e\u2066\u200f\u2028\u2029\ufeff"
)
EVIL = f"a{STEERING}z"


class Evil:
    """Says something hostile wherever a provider may say anything."""

    endpoint: Endpoint | None = None
    models: tuple[str, ...] = (EVIL,)

    def capabilities(self, model: str | None) -> Capabilities:
        price = Price(unit="image", amount=Decimal("0.04"))
        return Capabilities(
            model=model or EVIL,
            operations=frozenset({"generate", "edit", "variation"}),
            streaming=True,
            detaches=True,
            max_images=4,
            parameters={EVIL: "no"},
            options={EVIL: "yes"},
            lifecycle=Lifecycle(shuts_down=date(2027, 1, 1), replaced_by=EVIL),
            prices=Prices(items=(price,), source=EVIL, as_of=date(2026, 11, 20)),
            source=EVIL,
        )

    def flow(self, request: imagekit.ImageRequest, *, stream: bool) -> Any:
        yield from sleep(0)
        if request.prompt == "reject":
            raise imagekit.ContentRejectedError(
                EVIL, categories=(EVIL,), code=EVIL, param=EVIL, request_id=EVIL
            )
        if request.prompt == "crash":
            raise KeyError(EVIL)
        yield from emit(imagekit.Progress(message=EVIL))
        yield from emit(imagekit.Text(text=EVIL))
        yield from notice(imagekit.Notice(kind="other", feature=EVIL, detail=EVIL))
        if request.detach:
            yield from checkpoint({"id": EVIL})
        return (yield from self.resume({}))

    def resume(self, handle: Any) -> Any:
        yield from sleep(0)
        image = Image(data=picture(), revised_prompt=EVIL, id=EVIL)
        failure = ImageFailure(kind="refused", reason=EVIL, code=EVIL, categories=(EVIL,))
        return ImageResponse(
            slots=(image, failure), text=EVIL, model=EVIL, request_ids=(EVIL,), provider=EVIL
        )

    def list_models(self) -> Any:
        yield from sleep(0)
        life = datetime(2026, 1, 1, tzinfo=UTC)
        return (imagekit.ModelInfo(id=EVIL, owner=EVIL, created=life),)


class Plugin:
    imagekit_contract = 1

    @hookimpl
    def imagekit_provider(self, config: Config) -> Evil:
        return Evil()


evil = Plugin()


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    site = tmp_path / "site" / "evil_kit-1.0.dist-info"
    site.mkdir(parents=True)
    (site / "METADATA").write_text("Metadata-Version: 2.1\nName: evil-kit\nVersion: 1.0\n")
    points = "evil = test_hostile_words:evil\ngone = a_module_that_is_not_there\n"
    (site / "entry_points.txt").write_text(f"[imagekit.providers]\n{points}")
    for name in ("IMAGEKIT_PROVIDER", "IMAGEKIT_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("IMAGEKIT_DISABLED_PLUGINS", ",".join(installed()))
    monkeypatch.setattr(ExtensionManager, "ENTRY_POINT_CACHE", {})
    monkeypatch.syspath_prepend(str(site.parent))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    yield
    monkeypatch.undo()


def harmless(text: str) -> None:
    for line in text.split("\n"):
        assert line.isprintable(), ascii(line)


def run(*words: str) -> Result:
    found = CliRunner().invoke(cli, words)
    assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
    harmless(found.stdout)
    harmless(found.stderr)
    return found


@pytest.mark.parametrize(
    "words",
    [
        ("generate", "a fox", "-n", "2"),
        ("generate", "a fox", "-n", "2", "-v"),
        ("generate", "a fox", "-n", "2", "--json"),
        ("generate", "reject"),
        ("generate", "reject", "--json"),
        ("generate", "crash"),
        ("generate", f"a fox {STEERING}", "-m", EVIL, "-n", "2"),
        ("generate", "a fox", "-o", f"a{STEERING}b/x.png".replace("\0", "")),
        ("generate", "a fox", "-O", f"{EVIL}=1"),
        ("generate", "a fox", "-s", EVIL),
        ("plan", f"a fox {STEERING}"),
        ("plan", f"a fox {STEERING}", "-o", "-"),
        ("plan", "a fox", "--json"),
        ("submit", "a fox", "-n", "2"),
        ("submit", "a fox", "-n", "2", "-o", "-"),
        ("submit", "a fox", "-n", "2", "--json"),
        ("models",),
        ("models", "--json"),
        ("models", "--live"),
        ("models", "-m", EVIL),
        ("models", "--capabilities"),
    ],
    ids=lambda words: ascii(" ".join(words))[:60],
)
def test_what_is_printed_steers_no_terminal(words: tuple[str, ...]) -> None:
    found = run(*words, "-p", "evil")
    assert "owned" in found.output or found.exit_code == 2
    assert "cannot say what it can do" not in found.output


@pytest.mark.parametrize("words", [("providers",), ("providers", "--json"), ("doctor",)])
def test_nor_does_what_is_found_out(words: tuple[str, ...]) -> None:
    run(*words)


def test_nor_does_an_unknown_command_or_option() -> None:
    assert run(EVIL).exit_code == 2
    assert run("generate", "x", f"--{EVIL}").exit_code == 2


def test_nor_does_the_line_that_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal(monkeypatch, "stdout", "stderr") as screen, pytest.raises(SystemExit):
        main(["generate", "a fox", "-p", "evil", "-n", "2", "-v"])
    # What we ourselves steer it with: colours, the cursor, and the line that is drawn anew.
    rest = re.sub(r"\x1b\[(?:[\d;]*m|\?25[lh]|\d?[AK])|\r", "", screen.text)
    harmless(rest)
    assert "owned" in rest


# Names of files


@pytest.mark.parametrize(
    "prompt",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "..\\..\\windows\\system32",
        "a\0b",
        ".hidden",
        "-rf",
        "~root",
        "$HOME",
        "%2e%2e%2f",
        "a\n\rb",
        "CON",
        "nul",
        "com1",
        "lpt¹",
        "\ud83d",
        STEERING,
        "{n}{n}",
        "𒀀" * 300,
        "字" * 300,
        "𒀀𒀀𒀀𒀀𒀀𒀀𒀀𒀀𒀀 " * 9,
        "ﷺ" * 300,
        "." * 300,
        "",
    ],
    ids=lambda prompt: ascii(prompt)[:30],
)
def test_a_prompt_names_a_file_where_we_are_and_none_else(prompt: str, tmp_path: Path) -> None:
    stem = slug(prompt)
    found = names(None, stem, 1000, None)
    for path in (found.path(999, "image/png"), found.preview(999, 99, "image/png")):
        assert path.parent == Path()
        # A part of it, while it is written, is named longer yet.
        assert len(os.fsencode(path.name)) <= 225
        assert path.name[0] not in ".-~$"
        assert path.name.isprintable()
        (tmp_path / path).write_bytes(b"")
    device = re.compile(r"(con|prn|aux|nul|(com|lpt)[0-9¹²³])(\.|$)", re.IGNORECASE)
    assert not device.match(names(None, stem, 1, None).path(0, "image/png").name)


def test_a_name_that_no_folder_takes_is_told_before_anybody_is_asked() -> None:
    result = run("generate", "a fox", "-p", "evil", "-o", f"{'x' * 300}.png")
    assert result.exit_code == 2
    assert "too long" in result.stderr


def test_a_name_that_no_disk_can_hold_is_told_before_anybody_is_asked(tmp_path: Path) -> None:
    for name, why in (("\ud83d.png", "no file can be called"), ("x" * 226, "is too long")):
        with pytest.raises(imagekit.RequestError, match=why) as caught:
            imagekit.generate("a fox", provider="evil", into=tmp_path / name)
        assert caught.value.billed == "no"
    assert list(tmp_path.glob("*.p*")) == []


def test_a_pattern_says_only_the_number() -> None:
    """A pattern is the caller's own: what is in braces but {n} is taken as it stands."""
    found = names("{n}-{prompt}-{0.__class__}.png", "x", 2, None)
    assert [str(found.path(index, "image/png")) for index in (0, 1)] == [
        "1-{prompt}-{0.__class__}.png",
        "2-{prompt}-{0.__class__}.png",
    ]


def test_a_link_is_not_written_through(tmp_path: Path) -> None:
    """A link that somebody laid where the picture goes is there already; nothing is behind it."""
    aim = tmp_path / "aim"
    Path("fox.png").symlink_to(aim)
    result = run("generate", "a fox", "-p", "evil", "-o", "fox.png")
    assert result.exit_code == 2
    assert "is there already" in result.stderr
    assert not aim.exists()


def test_json_is_plain_letters_and_the_same_words() -> None:
    result = run("generate", "a fox", "-n", "2", "--json", "-p", "evil")
    assert result.stdout.isascii()
    assert json.loads(result.stdout)["text"] == EVIL
