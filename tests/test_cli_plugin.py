"""`imagekit plugin new` and `check`: what is written works as it stands, what is wrong is said."""

from __future__ import annotations

import importlib.util
import io
import json
import re
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner, Result
from PIL import Image as Pillow

from imagekit._cli import _plugin_check, _plugin_new
from imagekit._cli._main import cli
from installing import editable, on_the_path
from planted import nobody_left

URL = "https://api.easel.example/v1"
KINDS = {"engine": (), "http": ("--http", URL), "row": ("--row", URL)}
LONG = "easel-of-some-body-with-a-very-long-name"


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, ["plugin", *words])


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder of one's own; what is imported in a test is forgotten after it."""
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if "easel" in name:
            del sys.modules[name]


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Write a package and leave it as pip would."""

    def write(*words: str, name: str = "easel") -> Path:
        done = run("new", name, *words)
        assert done.exit_code == 0, done.output
        on_the_path(editable(tmp_path / f"imagekit-{name}"), monkeypatch)
        return tmp_path / f"imagekit-{name}"

    return write


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Install a plugin by its code."""

    def install(code: str, *, summary: str = "toys", needs: str = "imagekit<0.2", tests: str = ""):
        folder = tmp_path / "toys"
        (folder / "src").mkdir(parents=True)
        (folder / "src" / "easel_toy.py").write_text(TOY + code)
        (folder / "README.md").write_text("It is a toy.\n")
        (folder / "pyproject.toml").write_text(
            f'[project]\nname = "easel-toy"\nversion = "1.0"\nreadme = "README.md"\n'
            f'description = "{summary}"\ndependencies = {[needs] if needs else []}\n'
            '[project.entry-points."imagekit.providers"]\neasel = "easel_toy"\n'
        )
        if tests:
            (folder / "tests").mkdir()
            (folder / "tests" / "neighbour.py").write_text("from imagekit.testing import *\n")
            (folder / "tests" / "test_conformance.py").write_text(tests)
        on_the_path(editable(folder), monkeypatch)

    with nobody_left():
        yield install


TOY = """
from imagekit import ConfigurationError
from imagekit.provider import Capabilities, Endpoint, hookimpl

class Provider:
    endpoint = None
    def capabilities(self, model):
        return Capabilities(model=model or "easel-1", source="the toy", as_of="2026-11-20")
    def flow(self, request, *, stream): yield

@hookimpl
def imagekit_provider(config): return Provider()
"""


def findings(*words: str) -> dict[str, tuple[str, str]]:
    """What is said of each thing: the verdict, and the words."""
    said = json.loads(run("check", "easel", "--json", *words).stdout)
    return {one["what"]: (one["verdict"], one["detail"]) for one in said["findings"]}


# What is written


def test_what_is_written_conforms_as_it_stands(written: Callable[..., Path]) -> None:
    # docs/write-a-provider.md, which is run, checks the other two.
    written(*KINDS["row"])
    done = run("check", "easel")
    assert done.exit_code == 0, done.output
    passed = re.search(r"TestConformance: (\d+) passed, .* 0 left out, 0 failed\n", done.output)
    assert passed
    assert int(passed[1]) >= 60


def test_a_first_picture_is_in_the_colour_that_the_prompt_names(
    written: Callable[..., Path],
) -> None:
    written()
    words = ("a red bicycle", "-p", "easel", "-o", "bicycle.png")
    assert CliRunner().invoke(cli, ["generate", *words]).exit_code == 0
    with Pillow.open("bicycle.png") as picture:
        assert picture.size == (256, 256)
        assert (208, 52, 44) in {colour for _, colour in picture.getcolors(99_999)}


@pytest.mark.parametrize("name", ["e", "easel-2", LONG], ids=["short", "usual", "long"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_is_tidy_whatever_its_name(kind: str, name: str, tmp_path: Path) -> None:
    assert run("new", name, *KINDS[kind]).exit_code == 0
    folder = tmp_path / f"imagekit-{name}"
    ruff = [sys.executable, "-m", "ruff"]
    for command in ([*ruff, "check", "."], [*ruff, "format", "--check", "."]):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def test_the_next_steps_are_said(tmp_path: Path) -> None:
    assert run("new", "easel").stdout.splitlines()[1:] == [
        "next:",
        "  pip install -e imagekit-easel",
        "  imagekit plugin check easel",
        '  imagekit generate "a red bicycle" -p easel',
    ]
    (tmp_path / "my plugins").mkdir()
    said = run("new", "easel", "--http", URL, "--folder", "my plugins").stdout
    assert "  pip install -e 'my plugins/imagekit-easel'\n" in said
    assert "  export EASEL_API_KEY=…\n" in said


@pytest.mark.parametrize("kind", ["http", "row"])
def test_a_host_on_this_machine_wants_no_key(written: Callable[..., Path], kind: str) -> None:
    name = f"easel-free-{kind}"
    folder = written(f"--{kind}", "http://127.0.0.1:9/v1/", name=name)
    text = "".join(path.read_text() for path in folder.rglob("*.*") if path.is_file())
    assert 'http://127.0.0.1:9/v1"' in text
    assert "export" not in text
    done = CliRunner().invoke(cli, ["generate", "a fox", "-p", name, "--deadline", "9"])
    assert done.exit_code == 4, done.output  # nobody is there


@pytest.mark.parametrize("kind", ["http", "row"])
def test_a_host_elsewhere_wants_the_key_of_its_own_variable(
    written: Callable[..., Path], kind: str
) -> None:
    name = f"easel-key-{kind}"  # a row is read once in a process
    written(f"--{kind}", URL, name=name)
    done = CliRunner().invoke(cli, ["generate", "a fox", "-p", name])
    assert done.exit_code == 2
    assert f"no API key: set EASEL_KEY_{kind.upper()}_API_KEY" in done.stderr


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Easel", "say easel"),
        ("easel_x", "say easel-x"),
        ("imagekit-easel", "say easel"),
        ("7-easels", "say easels"),
        ("a" * 41, f"say {'a' * 40}"),
        ("--", "NAME"),
        ("éasel", "say asel"),
        ("../easel", "say easel"),
    ],
)
def test_a_name_that_is_none_is_refused(name: str, why: str, tmp_path: Path) -> None:
    done = run("new", "--", name)
    assert done.exit_code == 2
    assert "small letters and digits" in done.stderr
    assert why in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "url",
    [
        "http://easel.example/v1",
        "easel.example",
        "ftp://localhost/v1",
        "https://me:pw@easel.example",
        "https://easel.example/v1?key=1",
        'https://easel.example/"""',
        "https://[easel",
    ],
)
def test_an_address_that_is_none_is_refused(url: str, tmp_path: Path) -> None:
    done = run("new", "easel", "--http", url)
    assert done.exit_code == 2
    assert "--http" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_one_template_is_taken() -> None:
    done = run("new", "easel", "--http", URL, "--row", URL)
    assert (done.exit_code, "say one of them" in done.stderr) == (2, True)


def test_a_name_that_is_taken_wants_force(tmp_path: Path) -> None:
    for name, why in {
        "sketch": "imagekit-sketch has it",
        "openai": "the distribution imagekit-openai is installed",
    }.items():
        done = run("new", name)
        assert (done.exit_code, why in done.stderr) == (2, True)
    assert list(tmp_path.iterdir()) == []
    assert run("new", "sketch", "--force").exit_code == 0


def test_a_module_that_is_there_wants_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "imagekit_easel.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert "there is a module imagekit_easel" in run("new", "easel").stderr


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "imagekit-easel").mkdir()
    (tmp_path / "imagekit-easel" / "README.md").write_text("mine")
    done = run("new", "easel", "--force")
    assert (done.exit_code, "nothing was written" in done.stderr) == (2, True)
    assert [path.name for path in (tmp_path / "imagekit-easel").iterdir()] == ["README.md"]
    assert (tmp_path / "imagekit-easel" / "README.md").read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert "cannot be made: Permission denied" in run("new", "easel").stderr


def test_rows_want_a_plugin_that_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imagekit._installed.installed", tuple)
    done = run("new", "easel", "--row", URL)
    assert (done.exit_code, "no installed plugin has a template for --row" in done.stderr) == (
        2,
        True,
    )


def test_every_word_of_the_templates_is_replaced(tmp_path: Path) -> None:
    for number, words in enumerate(KINDS.values()):
        assert run("new", f"easel-{number}", *words).exit_code == 0
    for path in tmp_path.rglob("*"):
        assert "acme" not in str(path)
        assert not path.is_file() or "acme" not in path.read_text().lower()


# What the engine's template reads


@pytest.fixture
def drawing(tmp_path: Path) -> ModuleType:
    run("new", "easel")
    path = tmp_path / "imagekit-easel/src/imagekit_easel/drawing.py"
    spec = importlib.util.spec_from_file_location("easel_drawing", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["easel_drawing"] = module
    spec.loader.exec_module(module)
    return module


def noisy(mode: str) -> Pillow.Image:
    """A picture in which every filter of PNG has something to do."""
    picture = Pillow.new("RGBA", (23, 17))
    for x in range(23):
        for y in range(17):
            picture.putpixel((x, y), (x * 11, y * 15, (x * y * 7) % 256, 255 - x))
    return picture.convert(mode)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P"])
def test_the_template_reads_png_as_pillow_does(mode: str, drawing: ModuleType) -> None:
    picture = noisy(mode)
    out = io.BytesIO()
    picture.save(out, "PNG", bits=8)
    read = drawing.read(out.getvalue())
    flat = {"LA": lambda: picture.getchannel("L"), "RGBA": lambda: picture}
    wanted = flat.get(mode, lambda: picture)().convert("RGB")
    assert (read.width, read.height) == (23, 17)
    assert b"".join(read.rows) == wanted.tobytes()


@pytest.mark.parametrize("kind", range(5))
def test_the_template_undoes_each_filter_of_png(kind: int, drawing: ModuleType) -> None:
    body = b"".join(
        bytes([kind]) + bytes((7 * x * y + x) % 256 for x in range(9)) for y in range(4)
    )
    made = png(body)
    with Pillow.open(io.BytesIO(made)) as picture:
        assert b"".join(drawing.read(made).rows) == picture.convert("RGB").tobytes()


def png(body: bytes, head: tuple[int, ...] = (3, 4, 8, 2, 0, 0, 0)) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    first = chunk(b"IHDR", struct.pack(">IIBBBBB", *head))
    packed = chunk(b"IDAT", zlib.compress(body)) if body else chunk(b"IDAT", b"not packed")
    return b"\x89PNG\r\n\x1a\n" + first + packed + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"GIF89a", "it is no PNG"),
        (b"\x89PNG\r\n\x1a\n\0\0", "it is no PNG"),
        (png(b"\0" * 40, (3, 4, 16, 2, 0, 0, 0)), "8 bits"),
        (png(b"\0" * 40, (3, 4, 8, 2, 0, 0, 1)), "not interlaced"),
        (png(b"\0" * 40, (90_000, 90_000, 8, 2, 0, 0, 0)), "only plain PNGs"),
        (png(b""), "it is broken"),
        (png(b"\0" * 39), "it is cut off"),
    ],
    ids=["gif", "headless", "deep", "interlaced", "huge", "broken", "cut"],
)
def test_what_the_template_cannot_read_is_said(data: bytes, why: str, drawing: ModuleType) -> None:
    with pytest.raises(ValueError, match=why):
        drawing.read(data)


# What is looked at


def test_a_plugin_that_is_fine_is_fine(toy: Callable[..., None]) -> None:
    toy("")
    done = run("check", "easel")
    assert done.exit_code == 0
    assert "ok      installed       easel-toy 1.0, module easel_toy\n" in done.output
    assert findings()["tests"] == (
        "note",
        "no tests/test_conformance.py beside its sources: --tests names it",
    )


def test_a_name_that_nobody_has_is_said() -> None:
    done = run("check", "eassel")
    assert done.exit_code == 2
    assert "no provider 'eassel'" in done.stderr


NETWORK = "import socket\nsocket.create_connection(('easel.example', 443))\n"
FLAWS = {
    "raises": ("1 / 0", "built", "broken", "ZeroDivisionError"),
    "hangs": ("import time; time.sleep(1)", "built", "broken", "longer than 0.2 s"),
    "asks the network": (NETWORK, "built", "broken", "uses the network"),
    "has no hook": ("imagekit_provider = None", "built", "broken", "no imagekit_provider"),
    "wants settings": (
        "@hookimpl\ndef imagekit_provider(config): raise ConfigurationError('set EASEL_URL')",
        "built",
        "note",
        "not without being set up: set EASEL_URL",
    ),
    "is not safe": (
        "Provider.endpoint = Endpoint('http://easel.example')",
        "endpoint",
        "broken",
        "neither https nor on this machine",
    ),
    "is safe": ("Provider.endpoint = Endpoint('https://e.example')", "endpoint", "ok", "https://e"),
    "names no variable": (
        "Provider.endpoint = Endpoint('http://[::1]:7', None, 'a key is wanting')",
        "endpoint",
        "note",
        "'a key is wanting' names no variable",
    ),
    "has no capabilities": (
        "Provider.capabilities = lambda self, model: {}",
        "capabilities",
        "broken",
        "capabilities(None) gave dict",
    ),
    "fails at a strange model": (
        "Provider.capabilities = lambda self, model: 1 / 0 if model else Capabilities()",
        "capabilities",
        "broken",
        "ZeroDivisionError",
    ),
    "has no day": (
        "Provider.capabilities = lambda self, model: Capabilities(source='me')",
        "capabilities",
        "note",
        "no day",
    ),
    "is not written": (
        "Provider.capabilities = lambda self, model: Capabilities(source='still to be said')",
        "capabilities",
        "note",
        "still 'still to be said'",
    ),
    "lacks a library": (
        "Provider.endpoint = Endpoint('', missing='torch: pip install torch')",
        "endpoint",
        "note",
        "in this process, and lacks what is not installed here: torch: pip install torch",
    ),
    "shows its key": (
        "class Open(Provider):\n"
        "    def __init__(self, key): self.key = key\n"
        "    def __repr__(self): return f'<Open {self.key}>'\n"
        "@hookimpl\ndef imagekit_provider(config): return Open(config.api_key)",
        "key",
        "broken",
        "shows the key",
    ),
}


@pytest.mark.parametrize("flaw", FLAWS)
def test_what_is_wrong_is_said(
    flaw: str, toy: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_plugin_check, "SECONDS", 0.2 if flaw == "hangs" else 60)
    code, what, verdict, why = FLAWS[flaw]
    toy(code)
    done = json.loads(run("check", "easel", "--json").stdout)
    assert done["ok"] == (verdict != "broken")
    found = [one for one in done["findings"] if one["what"] == what]
    assert [one["verdict"] for one in found][-1] == verdict
    assert why in found[-1]["detail"]


def test_what_a_package_lacks_is_said(toy: Callable[..., None]) -> None:
    toy("", summary="still to be said", needs="")
    said = findings()["package"]
    assert said == (
        "note",
        "its description still says 'still to be said'; it does not ask for imagekit; no end to "
        "the versions of imagekit; no license",
    )


def test_a_package_that_lacks_nothing_is_ok(toy: Callable[..., None], tmp_path: Path) -> None:
    toy("")
    (info,) = (tmp_path / "toys/src").glob("*.dist-info")
    text = (info / "METADATA").read_text()
    (info / "METADATA").write_text(text.replace("Name:", "License-Expression: MIT\nName:"))
    assert findings()["package"] == ("ok", "needs imagekit<0.2")


def test_a_readme_that_is_not_written_is_said(toy: Callable[..., None], tmp_path: Path) -> None:
    toy("")
    (info,) = (tmp_path / "toys/src").glob("*.dist-info")
    text = (info / "METADATA").read_text()
    (info / "METADATA").write_text(text.replace("It is a toy.", "Still to be said: whose it is."))
    assert findings()["package"] == ("note", "its README has 'still to be said' in it; no license")


def test_a_plugin_of_no_distribution_is_said(
    toy: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    toy("")
    monkeypatch.setattr(
        "imagekit._installed.installed", lambda: (_plugin_check_found("easel", "easel_toy"),)
    )
    assert findings()["package"] == ("note", "no distribution owns its entry point")


def _plugin_check_found(name: str, module: str) -> Any:
    from imagekit._installed import Found

    return Found(name, module)


# The conformance tests

SUITE = """
from neighbour import Host, ProviderSuite
import easel_toy

class Nobody(Host): pass

class Base(ProviderSuite):
    plugin, host = easel_toy, Nobody

class TestOther(Base):
    provider = "other"

class TestEasel(Base):
    provider = "easel"
"""


def outcomes(*given: tuple[str, str, str]) -> Any:
    from imagekit.testing import Outcome

    return lambda suite: iter([Outcome(*one) for one in given])


def test_outcomes_are_told_and_the_failed_ones_last_and_whole(
    toy: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    toy("", tests=SUITE)
    found = outcomes(
        ("test_a_thing", "failed", "AssertionError: one\ntwo"),
        ("test_b_thing", "passed", ""),
        ("test_c_thing", "not applicable", "it has none"),
        ("test_d_thing", "left out", "it is ours"),
    )
    monkeypatch.setattr("imagekit.testing.conforms", found)
    done = run("check", "easel", "--all")
    assert done.exit_code == 1
    assert done.output.partition("\nTestEasel\n")[2].splitlines() == [
        "passed          b thing",
        "not applicable  c thing: it has none",
        "left out        d thing: it is ours",
        "failed          a thing",
        "    AssertionError: one",
        "    two",
        "TestEasel: 1 passed, 1 not applicable, 1 left out, 1 failed",
    ]
    said = json.loads(run("check", "easel", "--json").stdout)
    assert (said["ok"], said["provider"]) == (False, "easel")
    assert said["tests"][0] == {
        "suite": "TestEasel",
        "test": "test_a_thing",
        "verdict": "failed",
        "why": "AssertionError: one\ntwo",
    }


def test_only_what_is_wrong_is_told_unless_all_is_asked_for_and_equal_causes_once(
    toy: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    toy("", tests=SUITE)
    why = "AssertionError: a call with {} ended in OddError('asked for {} pictures'): willing"
    given = [(f"test_{one}", "failed", why.format(f"n={n}", n)) for n, one in enumerate("abcd")]
    found = outcomes(
        *given,
        ("test_e", "failed", "KeyError: 'x'"),
        ("test_j", "failed", "AssertionError: a plan came to OddError('asked for 7 pictures')"),
        ("test_k", "failed", "OddError: asked for 1 pictures"),
        ("test_f", "left out", "ours"),
        ("test_g", "left out", "ours"),
        ("test_h", "passed", ""),
        ("test_i", "not applicable", "it has none"),
    )
    monkeypatch.setattr("imagekit.testing.conforms", found)
    lines = run("check", "easel").output.partition("\nTestEasel\n")[2].splitlines()
    assert lines == [
        "left out        2 tests: f; g: ours",
        "failed          6 tests: a; b; c; 3 more: --all names them",
        "    AssertionError: a call with n=0 ended in OddError('asked for 0 pictures'): willing",
        "failed          e",
        "    KeyError: 'x'",
        "TestEasel: 1 passed, 1 not applicable, 2 left out, 7 failed",
    ]
    told = run("check", "easel", "--all").output
    assert "passed          h\nnot applicable  i: it has none\n" in told
    assert "failed          d\n    AssertionError: a call with n=3 ended" in told
    assert len(json.loads(run("check", "easel", "--json").stdout)["tests"]) == 11


def test_tests_may_stand_elsewhere(
    toy: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy("")
    monkeypatch.setattr("imagekit.testing.conforms", outcomes(("test_a_thing", "passed", "")))
    (tmp_path / "mine.py").write_text(SUITE.replace("neighbour", "imagekit.testing"))
    said = json.loads(run("check", "easel", "--json", "--tests", "mine.py").stdout)
    assert [one["test"] for one in said["tests"]] == ["test_a_thing"]


@pytest.mark.parametrize(
    ("tests", "why"),
    [
        ("import nothing_of_that_name\n", "does not import: ModuleNotFoundError"),
        (SUITE.partition("class TestEasel")[0], "no ProviderSuite whose provider is 'easel'"),
    ],
    ids=["broken", "empty"],
)
def test_tests_that_are_none_are_said(tests: str, why: str, toy: Callable[..., None]) -> None:
    toy("", tests=tests)
    verdict, detail = findings()["tests"]
    assert (verdict, why in detail) == ("broken", True)


def test_tests_want_pillow(toy: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    toy("", tests=SUITE)
    real = _plugin_check.find_spec
    monkeypatch.setattr(
        _plugin_check, "find_spec", lambda name: None if name == "PIL" else real(name)
    )
    done = run("check", "easel", "--json", "--picture", "out.png")
    said = json.loads(done.stdout)
    # Nothing is wrong with the plugin, but nobody has seen that it is right.
    assert (done.exit_code, said["ok"]) == (2, False)
    found = {one["what"]: one for one in said["findings"]}
    assert found["tests"]["verdict"] == found["picture"]["verdict"] == "note"
    assert "no fault of the plugin's: pip install 'imagekit[images]'" in found["tests"]["detail"]


def test_a_plugin_that_fails_its_tests_is_broken(toy: Callable[..., None]) -> None:
    toy("", tests=SUITE)  # its flow yields nothing that is an effect
    done = run("check", "easel")
    assert done.exit_code == 1
    assert re.search(r"TestEasel: .* [1-9]\d* failed\n", done.output)


# A picture through all of it


@pytest.fixture
def untested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imagekit.testing.conforms", outcomes(("test_a_thing", "passed", "")))


@pytest.mark.usefixtures("untested")
@pytest.mark.parametrize(
    ("kind", "said", "size"),
    [
        ("http", "a grey square of the fake host, by the whole flow; no real host", (256, 256)),
        ("engine", "the provider drew it itself", (256, 256)),
    ],
)
def test_a_picture_is_saved_that_went_through_all_of_it(
    kind: str, said: str, size: tuple[int, int], written: Callable[..., Path]
) -> None:
    name = f"easel-picture-{kind}"
    written(*KINDS[kind], name=name)
    done = run("check", name, "--picture", "out.png")
    assert done.exit_code == 0, done.output
    assert f"ok      picture         out.png: {said}" in done.output
    with Pillow.open("out.png") as picture:
        assert picture.size == size
    again = run("check", name, "--picture", "out.png")
    assert (again.exit_code, "'out.png' is there already" in again.stderr) == (2, True)
    nowhere = run("check", name, "--picture", "none/out.png")
    assert (nowhere.exit_code, "there is no folder 'none'" in nowhere.stderr) == (2, True)


@pytest.mark.usefixtures("untested")
@pytest.mark.parametrize(
    ("tests", "why"),
    [
        (SUITE, "a flow may yield effects only"),
        (SUITE.partition("class TestEasel")[0], "comes through conformance tests that can be run"),
        ("", "comes through conformance tests that can be run"),
    ],
    ids=["broken", "empty", "none"],
)
def test_a_picture_that_does_not_come_is_said(
    tests: str, why: str, toy: Callable[..., None], tmp_path: Path
) -> None:
    toy("", tests=tests)
    verdict, detail = findings("--picture", "out.png")["picture"]
    assert (verdict, why in detail) == ("broken", True), detail
    assert not (tmp_path / "out.png").exists()


def test_the_modules_are_those_of_the_command_line() -> None:
    assert {"new", "check"} <= set(cli.commands["plugin"].commands)
    assert _plugin_new.new.name == "new"
