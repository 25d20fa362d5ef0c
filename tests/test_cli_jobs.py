"""The commands for what goes on by itself, and for what a provider keeps beside pictures."""

from __future__ import annotations

import io
import json
import os
import shlex
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from stevedore import ExtensionManager

import cli_desk
import imagekit
from cli_terminal import terminal
from imagekit import Job
from imagekit._cli import main
from imagekit._cli._main import cli
from imagekit._installed import names
from toys import picture


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cli_desk.install(tmp_path_factory.mktemp("site"))


@pytest.fixture(autouse=True)
def _alone(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder of one's own, and no provider but the desk and its like."""
    for name in ("IMAGEKIT_PROVIDER", "IMAGEKIT_CONFIG", "IMAGEKIT_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("IMAGEKIT_DISABLED_PLUGINS", ",".join(names()))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "nothing"))
    # stevedore looks once in a process.
    monkeypatch.setattr(ExtensionManager, "ENTRY_POINT_CACHE", {})
    monkeypatch.syspath_prepend(site)
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    cli_desk.DONE.clear()
    yield
    monkeypatch.undo()


def run(*words: str, input: bytes | str | None = None) -> Result:
    return CliRunner().invoke(cli, words, input=input)


def files() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


def done(kind: str) -> list[Any]:
    return [what for name, what in cli_desk.DONE if name == kind]


def job(*words: str) -> str:
    """The name of a file with a job in it."""
    assert run("submit", "a cat", "-p", "desk", "--job", "cat.job.json", *words).exit_code == 0
    return "cat.job.json"


class TestSubmit:
    def test_the_job_is_printed_as_json(self) -> None:
        result = run("submit", "a cat", "-p", "desk", "-n", "3", "--seed", "5")
        assert result.exit_code == 0
        assert result.stderr == "imagekit: other: price: half of it\n"
        found = Job.model_validate_json(result.stdout)
        assert (found.name, found.n) == ("desk", 3)
        assert files() == []
        assert done("asked")[0].detach
        assert done("resume") == []

    def test_or_kept_in_a_file_that_only_its_owner_reads(self) -> None:
        os.umask(os.umask(0))
        result = run("submit", "a cat", "-p", "desk", "-m", "desk-2", "--job", "cat.json")
        assert result.stdout == "cat.json  1 picture  desk/desk-2\n"
        assert stat.S_IMODE(Path("cat.json").stat().st_mode) == 0o600
        assert Job.model_validate_json(Path("cat.json").read_bytes()).model == "desk-2"
        assert files() == ["cat.json"]

    def test_a_file_is_replaced_only_where_that_is_said(self) -> None:
        Path("cat.json").write_text("mine")
        result = run("submit", "a cat", "-p", "desk", "--job", "cat.json")
        assert result.exit_code == 2
        assert "'cat.json' is there already; --force replaces it" in result.stderr
        assert done("asked") == []
        assert run("submit", "x", "-p", "desk", "--job", "cat.json", "--force").exit_code == 0
        assert stat.S_IMODE(Path("cat.json").stat().st_mode) == 0o600

    def test_a_job_that_no_file_takes_is_printed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(self: Path, data: bytes) -> int:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "write_bytes", full)
        monkeypatch.setattr(tempfile, "tempdir", "nowhere")
        result = run("submit", "a cat", "-p", "desk", "--job", "cat.json")
        assert result.exit_code == 1
        assert "No space left" in result.stderr
        assert Job.model_validate_json(result.stdout).n == 1
        assert files() == []

    def test_every_option_of_a_request_reaches_it(self) -> None:
        Path("in.png").write_bytes(picture())
        words = "-i in.png --quality high --size 64x64 -O a.b=1 --background opaque --format png"
        assert run("submit", "add a hat", "-p", "desk", *shlex.split(words)).exit_code == 0
        (request,) = done("asked")
        assert (request.operation, request.quality, request.size) == ("edit", "high", "64x64")
        assert request.options == {"desk": {"a": {"b": 1}}}
        assert request.images[0].data == picture()

    def test_the_prompt_may_be_piped(self) -> None:
        assert run("submit", "-p", "desk", input="a cat\n").exit_code == 0
        assert done("asked")[0].prompt == "a cat"

    def test_what_fails_to_be_taken_on_is_said(self) -> None:
        words = ("submit", "a cat", "-p", "desk", "-n", "4", "--seed", "1", "-O", "half=true")
        result = run(*words, "--job", "cat.json")
        assert result.exit_code == 1
        assert result.stderr.count("one picture will not come: out of paint") == 2
        assert result.stdout == "cat.json  4 pictures  desk/desk-1\n"
        assert run(*words).exit_code == 1

    def test_all_of_it_in_one_object_for_programs(self) -> None:
        result = run("submit", "a cat", "-p", "desk", "--job", "cat.json", "--json")
        said = json.loads(result.stdout)
        assert (said["ok"], said["job"], said["pictures"]) == (True, "cat.json", 1)
        assert said["notices"][0]["feature"] == "price"
        assert (said["provider"], said["model"]) == ("desk", "desk-1")
        assert "parts" not in said
        assert result.stderr == ""

    def test_errors_are_told_as_ever(self) -> None:
        result = run("submit", "mud", "-p", "desk", "-O", "refused=true")
        assert (result.exit_code, result.stderr) == (3, "imagekit: not that\n")
        result = run("submit", "a cat", "-p", "plain", "--json")
        assert result.exit_code == 2
        assert "keeps no jobs" in json.loads(result.stdout)["error"]["message"]
        assert run("submit", "a cat", "--base-url", "https://x.test").exit_code == 2
        assert run("submit", "a cat", "-p", "desk", "--job", "gone/cat.json").exit_code == 2


class TestResume:
    def test_the_pictures_are_named_after_the_job(self) -> None:
        result = run("resume", job("-n", "3", "--seed", "5"))
        assert result.exit_code == 0
        assert files() == ["cat-1.png", "cat-2.png", "cat-3.png", "cat.job.json"]
        assert result.stdout.startswith("cat-1.png  4x2  ")
        shades = [Path(f"cat-{number}.png").read_bytes() for number in (1, 2, 3)]
        assert shades[0] == picture(5, 4, 2)

    def test_or_as_is_said(self) -> None:
        result = run("resume", job("-n", "2"), "-o", "pictures-{n}.png", "--save-state", "s.json")
        assert result.exit_code == 0
        assert files() == ["cat.job.json", "pictures-1.png", "pictures-2.png", "s.json"]

    def test_a_job_may_be_piped_and_its_picture_too(self) -> None:
        text = Path(job()).read_bytes()
        result = run("resume", "-", "-o", "-", input=text)
        assert result.stdout_bytes == picture(0, 4, 2)
        assert run("resume", "-", input=text).exit_code == 0
        assert files() == ["cat.job.json", "image.png"]
        assert run("resume", "-", "--json", "-o", "x.png", input=text).exit_code == 0

    def test_what_is_there_is_seen_before_anybody_is_asked(self) -> None:
        name = job()
        Path("cat.png").write_bytes(b"mine")
        result = run("resume", name)
        assert result.exit_code == 2
        assert "'cat.png' is there already" in result.stderr
        assert done("resume") == []
        assert run("resume", job("--force", "-n", "2"), "-o", "-").exit_code == 2
        assert run("resume", name, "--force").exit_code == 0

    def test_a_job_that_goes_on_is_waited_for_or_not(self) -> None:
        name = job("-O", "gate=gate")
        for extra, said in (([], "not done yet\n"), (["-q"], ""), (["--json"], "")):
            result = run("resume", name, "--no-wait", *extra)
            assert (result.exit_code, result.stderr) == (7, said)
        assert json.loads(result.stdout) == {"ok": False, "done": False}
        result = run("resume", name, "--deadline", "1")
        assert result.exit_code == 4
        assert "deadline" in result.stderr
        Path("gate").touch()
        result = run("resume", name, "--no-wait")
        assert result.exit_code == 0
        assert result.stdout.startswith("cat.png  4x2")
        assert "price" in result.stderr
        assert len(done("resume")) == 5

    def test_all_of_it_in_one_object_for_programs(self) -> None:
        said = json.loads(run("resume", job("-n", "2"), "--json").stdout)
        assert said["ok"]
        assert [one["path"] for one in said["pictures"]] == ["cat-1.png", "cat-2.png"]
        assert "job" not in said

    def test_pictures_that_will_not_come_are_named(self) -> None:
        words = ("-n", "4", "--seed", "1", "-O", "half=true")
        run("submit", "a cat", "-p", "desk", "--job", "cat.json", *words)
        for how in ("--wait", "--no-wait"):
            result = run("resume", "cat.json", how, "--force")
            assert result.exit_code == 1
            assert "picture 3 failed: out of paint" in result.stderr
            assert files() == ["cat-1.png", "cat-2.png", "cat.json"]

    @pytest.mark.parametrize(
        ("word", "input", "said"),
        [
            ("gone.json", None, "cannot read the job 'gone.json': No such file"),
            (".", None, "cannot read the job '.': Is a directory"),
            ("bad.json", None, "'bad.json' holds no job that `submit` or `batch` wrote"),
            ("-", b"", "standard input holds no job that `submit` or `batch` wrote"),
        ],
    )
    def test_what_is_no_job_is_said(self, word: str, input: Any, said: str) -> None:
        Path("bad.json").write_text('{"provider": "desk"}')
        for verb in ("resume", "cancel", "delete"):
            result = run(verb, word, input=input)
            assert result.exit_code == 2
            assert said in result.stderr

    def test_a_terminal_holds_no_job(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from imagekit._cli import _jobfile

        class Terminal(io.StringIO):
            def isatty(self) -> bool:
                return True

        monkeypatch.setattr(sys, "stdin", Terminal())
        with pytest.raises(Exception, match="which is a terminal"):
            _jobfile.read("-")

    def test_a_job_of_a_profile_that_is_not_here_says_so(self) -> None:
        found = Job.model_validate_json(Path(job()).read_bytes())
        Path("work.json").write_text(str(found.model_copy(update={"profile": "work"})))
        result = run("resume", "work.json")
        assert result.exit_code == 2
        assert "the job is of the profile 'work', which is not here" in result.stderr
        assert "on the command line: say -p/--provider" in result.stderr
        assert run("resume", "work.json", "-p", "desk").exit_code == 0

    def test_a_profile_of_the_configuration_is_found(self) -> None:
        Path("mine.toml").write_text('[profiles.work]\nprovider = "desk"\n')
        run("submit", "x", "-p", "work", "--config", "mine.toml", "--job", "work.json")
        result = run("resume", "work.json", "--config", "mine.toml")
        assert (result.exit_code, files()) == (0, ["mine.toml", "work.json", "work.png"])
        run("resume", "work.json", "--base-url", "https://x.test", "-p", "desk", "--force")
        assert done("config")[-1].base_url == "https://x.test"


class TestWhatBreaksOff:
    BROKEN = ("-O", "gate=gate", "-O", "breaks=true", "--detach")

    def test_a_command_that_finishes_it_is_told_and_works(self) -> None:
        result = run("generate", "a red cat", "-p", "desk", *self.BROKEN)
        assert result.exit_code == 4
        lines = result.stderr.splitlines()
        assert lines[1:] == [
            "imagekit: the line broke",
            "  to finish it later: imagekit resume a-red-cat.job.json",
        ]
        assert stat.S_IMODE(Path("a-red-cat.job.json").stat().st_mode) == 0o600
        Path("gate").touch()
        words = shlex.split(lines[-1].partition(": imagekit ")[2])
        assert run(*words).exit_code == 0
        assert Path("a-red-cat.png").read_bytes() == picture(0, 4, 2)

    def test_it_says_what_else_it_needs(self) -> None:
        Path("my own.toml").write_text("")
        words = ("--config", "my own.toml", "--base-url", "https://x.test/?a=b")
        result = run("generate", "x", "-p", "desk", "-o", "out/", *self.BROKEN, *words)
        assert result.exit_code == 2  # there is no such folder, and nothing was asked
        Path("out").mkdir()
        result = run("generate", "x", "-p", "desk", "-o", "out/", *self.BROKEN, *words)
        command = "imagekit resume out/x.job.json --base-url 'https://x.test/?a=b'"
        assert result.stderr.splitlines()[-1] == (
            f"  to finish it later: {command} --config 'my own.toml'"
        )
        assert sorted(os.listdir("out")) == ["x.job.json"]

    @pytest.mark.parametrize(
        ("output", "name"),
        [
            (["-o", "cat-{n}.png", "-n", "2"], "cat.job.json"),
            (["-o", "cat.png"], "cat.job.json"),
            (["-o", "-"], "a-cat.job.json"),
            ([], "a-cat.job.json"),
        ],
    )
    def test_the_job_goes_beside_the_pictures(self, output: list[str], name: str) -> None:
        result = run("generate", "a cat", "-p", "desk", *output, *self.BROKEN)
        assert result.exit_code == 4
        assert files() == [name]
        assert result.stdout_bytes == b""

    def test_a_file_that_is_there_is_not_replaced(self) -> None:
        Path("x.job.json").write_text("mine")
        result = run("generate", "x", "-p", "desk", "--force", *self.BROKEN)
        assert result.stderr.splitlines()[-1].endswith("imagekit resume x.job-2.json")
        assert Path("x.job.json").read_text() == "mine"

    def test_a_job_that_no_file_takes_is_told_whole(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(self: Path, data: bytes) -> int:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "write_bytes", full)
        monkeypatch.setattr(tempfile, "tempdir", "nowhere")
        result = run("generate", "x", "-p", "desk", *self.BROKEN)
        last = result.stderr.splitlines()[-1]
        head, _, text = last.partition(": {")
        assert head == "  to finish it later, give this to `imagekit resume -`"
        Path("gate").touch()
        monkeypatch.undo()

        assert Job.model_validate_json("{" + text).n == 1
        said = json.loads(run("generate", "x", "-p", "nobody", "--json").stdout)
        assert "job" not in said

    def test_programs_are_told_too(self) -> None:
        result = run("generate", "x", "-p", "desk", "--json", *self.BROKEN)
        said = json.loads(result.stdout)
        assert said["job"] == "x.job.json"
        assert said["error"]["checkpoint"]["breaks"] is True

    def test_programs_get_the_job_itself_where_no_file_takes_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(self: Path, data: bytes) -> int:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "write_bytes", full)
        monkeypatch.setattr(tempfile, "tempdir", "nowhere")
        said = json.loads(run("generate", "x", "-p", "desk", "--json", *self.BROKEN).stdout)
        assert Job.model_validate(said["job"]).n == 1

    def test_ctrl_c_leaves_the_job_too(self) -> None:
        words = ("-O", "gate=gate", "-O", "interrupt=true")
        result = run("generate", "x", "-p", "desk", "--detach", *words)
        assert result.exit_code == 130
        assert result.stderr.splitlines()[-1] == "  to finish it later: imagekit resume x.job.json"
        Path("gate").touch()
        assert run("resume", "x.job.json").exit_code == 0

    def test_ctrl_c_amid_submitting_leaves_what_was_begun(self) -> None:
        asked = ("submit", "x", "-p", "desk", "-n", "3", "--seed", "1", "-O", "stops=true")
        result = run(*asked, "--job", "x.json")
        assert (result.exit_code, files()) == (130, ["x.json"])
        assert result.stderr.splitlines() == [
            "imagekit: stopped",
            "  the provider may charge for what it had begun",
            "  to finish it later: imagekit resume x.json",
        ]
        assert run(*asked, "--job", "x.json", "--force").exit_code == 130
        assert files() == ["x.json"]
        result = run("resume", "x.json")
        assert (result.exit_code, files()) == (1, ["x-1.png", "x-2.png", "x.json"])
        assert json.loads(run(*asked, "--json", "--job", "y.json").stdout)["job"] == "y.json"
        said = run(*asked).stderr.splitlines()[-1]
        assert said.startswith("  to finish it later, give this to `imagekit resume -`: {")

    def test_ctrl_c_before_there_is_one_says_what_it_may_cost(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def stopped(*given: Any, **also: Any) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(imagekit.Client, "submit", stopped)
        result = run("submit", "x", "-p", "desk")
        assert result.exit_code == 130
        assert result.stderr.splitlines() == [
            "imagekit: stopped",
            "  the provider may charge for what it had begun",
        ]
        said = json.loads(run("submit", "x", "-p", "desk", "--json").stdout)
        assert said["error"]["billed"] == "possibly"

    def test_without_detaching_there_is_nothing_to_finish(self) -> None:
        words = ("-O", "gate=gate", "-O", "breaks=true")
        result = run("generate", "x", "-p", "desk", *words)
        assert (result.exit_code, files()) == (4, [])
        assert "finish" not in result.stderr

    def test_resuming_that_breaks_off_names_the_file_it_was_in(self) -> None:
        name = job("-O", "gate=gate", "-O", "breaks=true")
        result = run("resume", name)
        assert result.exit_code == 4
        assert result.stderr.splitlines()[-1] == f"  to finish it later: imagekit resume {name}"
        assert files() == [name]
        result = run("resume", "-", input=Path(name).read_bytes())
        assert result.stderr.splitlines()[-1].endswith("imagekit resume image.job.json")
        assert Job.model_validate_json(Path("image.job.json").read_bytes()).n == 1

    def test_pictures_that_came_are_saved_and_the_rest_can_be_finished(self) -> None:
        class Odd(cli_desk.Desk):
            def resume(self, handle: Any) -> Any:
                if handle["shade"] and not Path("gate").exists():
                    raise imagekit.TransportError("the line broke")
                return (yield from super().resume(handle))

        cli_desk.desk.made = Odd
        try:
            result = run("generate", "x", "-p", "desk", "-n", "3", "--seed", "0", "--detach")
            assert result.exit_code == 1
            assert files() == ["x-1.png", "x-2.png", "x.job.json"]
            assert result.stderr.splitlines()[-1].endswith(": imagekit resume x.job.json")
            Path("gate").touch()
            assert run("resume", "x.job.json", "--force").exit_code == 0
        finally:
            cli_desk.desk.made = cli_desk.Desk
        assert files() == ["gate", "x-1.png", "x-2.png", "x-3.png", "x.job.json"]

    def test_where_standard_output_takes_no_more_it_is_said_all_the_same(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from imagekit._cli import _call

        def closed(*_: object, **__: object) -> None:
            raise BrokenPipeError(32, "Broken pipe")

        monkeypatch.setattr(_call, "given_up", lambda error: "cannot write")
        monkeypatch.setattr(_call.click, "echo", closed)
        with pytest.MonkeyPatch.context() as patch:
            said: list[str] = []
            patch.setattr("imagekit._cli._report.hint", said.append)
            patch.setattr("imagekit._cli._report.fail", said.append)
            patch.setattr("imagekit._cli._report.say", lambda *_, **__: None)
            run("generate", "x", "-p", "desk", "--json", *self.BROKEN)
        assert said == ["cannot write", "to finish it later: imagekit resume x.job.json"]


class TestEnding:
    @pytest.mark.parametrize("verb", ["cancel", "delete"])
    def test_each_part_is_ended(self, verb: str) -> None:
        name = job("-n", "3", "--seed", "5")
        result = run(verb, name)
        assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
        assert sorted(one["shade"] for one in done(verb)) == [5, 7]
        assert json.loads(run(verb, "-", "--json", input=Path(name).read_bytes()).stdout) == {
            "ok": True
        }
        assert files() == [name]

    def test_who_cannot_says_so(self) -> None:
        found = Job.model_validate_json(Path(job()).read_bytes())
        Path("x.json").write_text(str(found.model_copy(update={"provider": "plain"})))
        result = run("cancel", "x.json")
        assert (result.exit_code, result.stderr) == (
            2,
            "imagekit: plain cannot cancel what it keeps\n",
        )


class TestBatch:
    LINES = b'{"prompt": "a cat", "n": 2}\n\n{"prompt": "a dog", "model": "desk-2"}\n'

    def test_each_line_is_a_request(self) -> None:
        Path("requests.jsonl").write_bytes(self.LINES)
        result = run("batch", "requests.jsonl", "-p", "desk", "--job", "many.json")
        assert result.exit_code == 0
        assert result.stderr == "imagekit: other: price: half of it\n"
        assert result.stdout == "many.json  3 pictures  desk/desk-1\n"
        ((first, second),) = done("batch")
        assert (first.prompt, first.n, second.prompt) == ("a cat", 2, "a dog")
        assert (second.model, first.model) == ("desk-2", None)
        assert run("resume", "many.json").exit_code == 0
        assert files() == ["many-1.png", "many-2.png", "many-3.png", "many.json", "requests.jsonl"]

    def test_they_may_be_piped(self) -> None:
        result = run("batch", "-", "-p", "desk", input=self.LINES)
        assert Job.model_validate_json(result.stdout).counts == (2, 1)

    @pytest.mark.parametrize(
        ("line", "said"),
        [
            (b"no json", "line 1 is no request: Invalid JSON"),
            (b'{"prompt": "x"}\n{"n": 1}', "line 2 is no request: a request needs a prompt"),
            (b'{"prompt": "x", "frobnicate": 1}', "line 1 is no request: frobnicate: Extra"),
            (b'{"prompt": "x", "images": ["cat.png"]}', "a path is given in code"),
            (b"", "no request was given"),
        ],
    )
    def test_a_line_that_is_none_is_named_before_anything_is_sent(
        self, line: bytes, said: str
    ) -> None:
        result = run("batch", "-", "-p", "desk", input=line)
        assert result.exit_code == 2
        assert said in result.stderr
        assert done("batch") == []

    def test_who_has_none_says_so(self) -> None:
        result = run("batch", "-", "-p", "plain", input=self.LINES)
        assert (result.exit_code, result.stderr) == (2, "imagekit: plain has no batches\n")
        assert run("batch", "gone.jsonl", "-p", "desk").exit_code == 2


class TestBeside:
    def test_files_are_listed(self) -> None:
        assert run("files", "-p", "desk").stdout.splitlines() == [
            "file-1  cat.png  12 kB  vision",
            "file-2  until 2026-11-21 12:00",
        ]
        said = json.loads(run("files", "-p", "desk", "--json").stdout)
        assert [one["id"] for one in said] == ["file-1", "file-2"]

    def test_a_picture_is_uploaded(self) -> None:
        Path("cat.png").write_bytes(picture())
        result = run("upload", "cat.png", "-p", "desk")
        assert result.stdout == f"file-1  cat.png  {len(picture())} bytes\n"
        result = run("upload", "-", "-p", "desk", "--json", input=picture())
        assert json.loads(result.stdout)["name"] == "image.png"
        assert [one.data for one in done("upload")] == [picture()] * 2

    def test_rules_are_asked(self) -> None:
        result = run("moderate", "mud and rust", "-p", "desk", "-m", "judge-1")
        assert result.exit_code == 1
        assert result.stdout.splitlines() == ["objected to", "  mud  0.88", "  rust"]
        assert done("moderate")[0].model == "judge-1"
        Path("cat.png").write_bytes(picture())
        result = run("moderate", "-i", "cat.png", "-p", "desk")
        assert (result.exit_code, result.stdout) == (0, "nothing to object to\n")
        result = run("moderate", "-p", "desk", "--json", input="a cat")
        assert json.loads(result.stdout)["flagged"] is False
        assert done("moderate")[2].prompt == "a cat"

    @pytest.mark.parametrize("words", [["files"], ["upload", "x.png"], ["moderate", "x"]])
    def test_who_lacks_it_says_so(self, words: list[str]) -> None:
        result = run(*words, "-p", "plain")
        assert result.exit_code == 2
        assert result.stderr.startswith("imagekit: plain ")
        assert run(*words, "--base-url", "https://x.test").exit_code == 2


class TestModels:
    def test_what_a_provider_has_now_is_listed(self) -> None:
        result = run("models", "--live", "-p", "desk")
        assert [line.split() for line in result.stdout.splitlines()] == [
            ["desk"],
            ["desk-1", "desks,", "since", "2026-04-21"],
            ["desk-2", "ends", "2026-12-01"],
        ]
        said = json.loads(run("models", "--live", "-p", "desk", "--json").stdout)
        assert [one["id"] for one in said[0]["models"]] == ["desk-2", "desk-1"]

    def test_everybody_is_asked_who_can_say(self) -> None:
        result = run("models", "--live")
        assert result.exit_code == 1
        assert result.stdout.splitlines()[0] == "desk"
        assert result.stderr == "imagekit: who are you?\n"
        said = json.loads(run("models", "--live", "--json").stdout)
        assert [one["provider"] for one in said if one["provider"] != "imagekit"][:2] == [
            "broken",
            "desk",
        ]

    def test_one_who_cannot_say_is_an_error(self) -> None:
        result = run("models", "--live", "-p", "plain")
        assert (result.exit_code, result.stderr) == (2, "imagekit: plain lists no models\n")
        assert run("models", "--live", "-p", "broken").exit_code == 3

    def test_an_address_may_be_said(self) -> None:
        for more in ([], ["--live"]):
            words = ["models", "-p", "desk", "--base-url", "https://x.test", *more]
            assert run(*words).exit_code == 0
            assert done("config")[-1].base_url == "https://x.test"
            assert run("models", "--base-url", "https://x.test", *more).exit_code == 2


class TestDebug:
    def test_exchanges_are_shown_on_standard_error(self) -> None:
        seen: list[Any] = []

        class Asks(cli_desk.Desk):
            endpoint = imagekit.provider.Endpoint("http://127.0.0.1:1/v1")

            def flow(self, request: Any, *, stream: bool) -> Any:
                seen.append(request)
                yield from imagekit.provider.send(imagekit.provider.HttpRequest("GET", "/x"))

        cli_desk.desk.made = Asks
        try:
            for words in (
                ["generate", "a cat"],
                ["submit", "a cat"],
            ):
                result = run(*words, "-p", "desk", "--debug")
                assert result.exit_code == 4
                assert "-> GET http://127.0.0.1:1/v1/x" in result.stderr
                assert "<- ConnectionFailedError" in result.stderr
                assert "-> GET" not in run(*words, "-p", "desk").stderr
        finally:
            cli_desk.desk.made = cli_desk.Desk

    @pytest.mark.parametrize("debug", [[], ["--debug"]])
    def test_no_line_is_redrawn_meanwhile(
        self, monkeypatch: pytest.MonkeyPatch, debug: list[str]
    ) -> None:
        words = ["generate", "x", "-p", "desk", "-O", "gate=gate", "--deadline", "1.5", *debug]
        with terminal(monkeypatch, "stdout", "stderr") as screen, pytest.raises(SystemExit):
            main(words)
        assert ("queued, position 2" in screen.text) == (not debug)
        assert "deadline" in screen.text
