"""The commands for what is known before a call and after it, and the options of both."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from PIL import Image as Pillow
from stevedore import ExtensionManager

import cli_shop
from cli_terminal import terminal
from imagekit import Client, Manifest, Plan
from imagekit._cli import main
from imagekit._cli._main import cli
from imagekit._cli._planned import shortened
from imagekit._cli._ways import REASONS
from imagekit._fallback import WORDS
from toys import Server, answers, picture, spelt, streams

PNG = picture(9, 4, 4)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cli_shop.install(tmp_path_factory.mktemp("site"))


@pytest.fixture(autouse=True)
def _alone(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder of one's own, no key, no settings, an empty cache."""
    for name in [*os.environ]:
        if name.startswith(("IMAGEKIT_", "OPENAI_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "nothing"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "kept"))
    # stevedore looks once in a process.
    monkeypatch.setattr(ExtensionManager, "ENTRY_POINT_CACHE", {})
    monkeypatch.syspath_prepend(site)
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    cli_shop.ASKED.clear()
    yield
    monkeypatch.undo()


def run(*words: str, input: bytes | str | None = None) -> Result:
    return CliRunner().invoke(cli, words, input=input)


def fine(line: str, input: bytes | str | None = None) -> Result:
    """What a command says that works."""
    result = run(*shlex.split(line), input=input)
    assert result.exit_code == 0, result.output
    return result


def said(line: str, code: int = 0) -> Any:
    """What a command says as JSON."""
    result = run(*shlex.split(line), "--json")
    assert result.exit_code == code, result.output
    assert result.stderr == ""
    return json.loads(result.stdout)


def files() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


def asked() -> list[str]:
    return [name for name, _ in cli_shop.ASKED]


def planned(line: str) -> Plan:
    fine(f"plan {line} -o plan.json --force")
    return Plan.model_validate_json(Path("plan.json").read_bytes())


class TestPlan:
    def test_it_says_who_is_asked_for_what_and_what_it_costs(self) -> None:
        plan = planned("'a cat' -p shop -n 2 --seed 3")
        assert fine("plan 'a cat' -p shop -n 2 --seed 3").stdout.splitlines() == [
            "generate  shop/shop-1",
            "          2 pictures in 2 calls",
            "cost      USD 0.08",
            "          by the till, as of 2026-11-20",
            f"key       {plan.key}",
            "requests  none: it works in this process",
        ]
        assert asked() == []

    def test_each_request_is_shown_without_a_key_and_none_is_needed(self) -> None:
        words = "'a\x9b\"cat\"' -p openai-images -n 2 --seed 3"
        lines = fine(f"plan {words} --no-stream").stdout.splitlines()
        assert lines[0].startswith("generate  openai-images/gpt-image-")
        assert lines[0].endswith("sunburst")
        assert lines[1] == "          2 pictures in 1 call"
        assert lines[2].startswith("cost      unknown: ")
        assert "notices   unsupported: seed: openai-images has no seed" in lines
        start = next(place for place, line in enumerate(lines) if line.startswith("1  "))
        assert lines[start - 1] == ""
        assert lines[start].startswith("1         POST https://api.openai.com/v1/images/gen")
        assert lines[start].endswith(" bytes)")
        body = "\n".join(lines[start + 1 :])
        assert json.loads(body)["prompt"] == 'a\x9b"cat"'
        assert "\x9b" not in body

    def test_what_is_asked_alike_is_shown_once(self) -> None:
        text = fine("plan 'a cat' -p openai-images -n 3").stdout
        assert "as a stream\n          3 pictures in 3 calls\n" in text
        assert "\n1-3       POST " in text
        assert text.count("POST") == 1
        assert '            "stream": true' in text

    def test_a_form_is_shown_by_its_parts(self) -> None:
        Path("otter.png").write_bytes(PNG)
        Path("hat.png").write_bytes(half_white(4, 4))
        words = "'a hat' -i otter.png --mask hat.png --edit-where white -p openai-images"
        text = fine(f"plan {words}").stdout
        assert text.startswith("edit      openai-images/")
        rows = [line.strip() for line in text.splitlines()]
        assert "prompt: a hat" in rows
        assert f"image: otter.png, image/png, {len(PNG)} bytes" in rows
        assert any(row.startswith("mask: hat.png, image/png, ") for row in rows)
        form = said(f"plan {words}")["requests"][0]["form"]
        about = {"value": None, "filename": "otter.png", "type": "image/png", "size": len(PNG)}
        assert {"name": "image", **about} in form
        assert {"name": "prompt", "value": "a hat", "filename": None, "type": None, "size": 5} in (
            form
        )

    def test_a_long_value_of_a_form_is_told_by_its_size(self) -> None:
        Path("otter.png").write_bytes(PNG)
        prompt = "cat " * 3000 + "z"
        text = fine(f"plan '{prompt}' -i otter.png -p openai-images").stdout
        assert "          prompt: 12 kB\n" in text

    def test_pictures_in_json_are_cut(self) -> None:
        Path("otter.png").write_bytes(os.urandom(3000))
        Path("otter.png").write_bytes(picture(3, 4, 4) + b"0" * 3000)
        plan = said("plan 'a hat' -i otter.png -p openai-responses")
        content = plan["requests"][0]["json"]["input"][0]["content"]
        assert content[1]["image_url"].startswith("data:image/png;base64,iVBOR")
        assert content[1]["image_url"].endswith(" characters)")
        assert len(json.dumps(plan)) < 6000

    @pytest.mark.parametrize("value", ["word " * 40, "a" * 119, "data:text/plain,x", 7, None])
    def test_what_is_no_base64_stays_as_it_is(self, value: Any) -> None:
        assert shortened([{"x": value}]) == [{"x": value}]

    def test_json_says_the_same(self) -> None:
        plan = planned("'a cat' -p openai-images -n 2")
        facts = said("plan 'a cat' -p openai-images -n 2")
        assert facts["ok"] is True
        assert (facts["name"], facts["key"], facts["calls"]) == ("openai-images", plan.key, 2)
        assert facts["request"]["prompt"] == "a cat"
        first = facts["requests"][0]
        assert first["digest"] == plan.requests[0].digest
        assert first["json"]["prompt"] == "a cat"
        assert (first["form"], "body" in first) == (None, False)
        assert facts["then"] == []
        assert "path" not in facts

    def test_what_follows_depends_on_the_answer(self) -> None:
        lines = fine("plan x -p asking").stdout.splitlines()
        assert lines[-4:] == [
            "1         GET https://shop.example/models (costs nothing)",
            "          x-shop: 1",
            "",
            "more      follows, which depends on what is answered",
        ]
        assert lines[2] == "cost      unknown: no price of asking-1 is known"

    def test_those_who_are_asked_next_are_planned_too(self) -> None:
        text = fine("plan x -p shop -p openai-images:gpt-image-2 -p vague").stdout
        assert text.startswith("generate  shop/shop-1\n")
        assert "\n\nelse      openai-images/gpt-image-2, as a stream\n" in text
        assert "\n\nelse      vague/vague-1\n" in text
        then = said("plan x -p shop -p vague")["then"]
        assert [one["name"] for one in then] == ["vague"]

    def test_a_picture_without_a_prompt_is_varied_and_a_dash_is_read(self) -> None:
        Path("otter.png").write_bytes(PNG)
        assert fine("plan -i otter.png -p shop").stdout.startswith("variation shop")
        assert fine("plan - -i otter.png -p shop", input="a hat").stdout.startswith("edit ")
        assert said_prompt(fine("plan -p shop --json", input="a cat")) == "a cat"

    def test_long_sentences_are_wrapped_for_a_terminal(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with (
            terminal(monkeypatch, "stdout", "stderr", width=60) as screen,
            pytest.raises(SystemExit),
        ):
            main(["plan", "x", "-p", "openai-images"])
        lines = screen.text.splitlines()
        start = next(place for place, line in enumerate(lines) if line.startswith("cost"))
        assert lines[start + 1].startswith("          ")
        whole = re.compile(r" +[0-9a-f]{64}|.*https://.*")
        assert all(len(line) <= 60 for line in lines if not whole.fullmatch(line))
        assert "" in lines

    def test_the_plan_goes_to_a_file_that_only_its_owner_reads(self) -> None:
        result = fine("plan 'a cat' -p shop -o plan.json")
        assert result.stderr == "  to do it: imagekit run plan.json\n"
        assert stat.S_IMODE(Path("plan.json").stat().st_mode) == 0o600
        assert Plan.model_validate_json(Path("plan.json").read_bytes()).request.prompt == "a cat"
        again = run("plan", "x", "-p", "shop", "-o", "plan.json")
        assert (again.exit_code, "is there already" in again.stderr) == (2, True)
        found = said("plan 'a cat' -p shop -o plan.json --force")
        assert (found["ok"], found["path"]) == (True, "plan.json")

    def test_the_hint_repeats_where_it_is_sent(self) -> None:
        Path("own.toml").write_text("")
        where = "--base-url http://127.0.0.1:9 --config own.toml"
        result = fine(f"plan x -p openai-images {where} -o plan.json")
        assert result.stderr == f"  to do it: imagekit run plan.json {where}\n"

    def test_a_plan_that_no_file_takes_is_said(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(self: Path, data: bytes) -> int:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "write_bytes", full)
        monkeypatch.setattr(tempfile, "tempdir", "nowhere")
        result = run("plan", "x", "-p", "shop", "-o", "plan.json")
        assert (result.exit_code, files()) == (1, [])
        assert result.stderr == "imagekit: cannot write 'plan.json': No space left on device\n"
        found = run("plan", "x", "-p", "shop", "-o", "plan.json", "--json")
        assert json.loads(found.stdout)["ok"] is False

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("x -p shop -o otter.PNG", "say -o plan.json, and --format png for pictures"),
            ("x --base-url http://127.0.0.1:9", "--base-url wants --provider too"),
            ("x -p shop -p vague --base-url http://127.0.0.1:9", "wants one --provider, and not"),
            ("x -p shop -p shop", "-p names 'shop' twice"),
            ("x -p shop -o no/plan.json", "there is no folder 'no'"),
            ("x -p shop -n 0", "0 is not in the range"),
            ("x -p nobody", "no provider 'nobody'"),
            ("x -p shop -p nobody", "no provider 'nobody'"),
            ("x", "no provider is chosen"),
            ("x -p shop -i gone.png", "cannot read the picture"),
        ],
    )
    def test_what_cannot_be_planned(self, line: str, message: str) -> None:
        result = run("plan", *shlex.split(line))
        assert result.exit_code == 2
        assert message in result.stderr.splitlines()[0]
        assert files() == []


@pytest.mark.parametrize("line", ["plan x -p shop -o -", "run plan.json -o -"])
def test_json_wants_standard_output_to_itself(line: str) -> None:
    assert said(line, code=2)["error"]["message"] == "-o - and --json both want standard output"


def said_prompt(result: Result) -> str:
    return str(json.loads(result.stdout)["request"]["prompt"])


class TestRun:
    def test_what_is_sent_is_what_was_planned_and_what_generate_sends(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        event = {"type": "image_generation.completed", "b64_json": spelt(PNG)}
        done = f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789")
        with Server().does(streams(done)) as server:
            monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
            plan = planned("'a cat' -p openai-images --seed 3")
            assert server.seen == []
            result = fine("run plan.json -v")
            fine("generate 'a cat' -p openai-images --seed 3 -o second")
            with Client(provider="openai-images") as client:
                body = client.plan("a cat", seed=3, stream=True).requests[0].body
        assert [one.body for one in server.seen] == [body] * 2
        assert result.stdout.startswith("a-cat.png  4x4  ")
        assert Path("a-cat.png").read_bytes() == PNG
        assert f"plan: {plan.key}\n" in result.stderr
        assert "unsupported: seed" in result.stderr

    def test_a_plan_without_a_stream_is_done_without_one(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789")
        with Server().does(answers(body={"data": [{"b64_json": spelt(PNG)}]})) as server:
            where = f"--base-url {server.url}/v1"
            fine(f"plan 'a cat' -p openai-images --no-stream {where} -o plan.json")
            elsewhere = run("run", "plan.json")
            assert (elsewhere.exit_code, server.seen) == (2, [])
            assert "would send something else than the plan says" in elsewhere.stderr
            assert said(f"run plan.json {where} -o cat.png")["pictures"][0]["path"] == "cat.png"
        assert b"stream" not in server.seen[0].body

    def test_a_plan_may_come_by_a_pipe(self) -> None:
        text = fine("plan 'a cat' -p shop -o -").stdout
        assert fine("run -", input=text).stdout.startswith("a-cat.png  4x2  ")
        Path("otter.png").write_bytes(PNG)
        text = fine("plan -i otter.png -p shop -o -").stdout
        assert fine("run - -q", input=text).stdout == "image.png\n"

    def test_its_pictures_are_named_and_kept_as_those_of_generate(self) -> None:
        planned("'a cat' -p shop -n 2")
        fine("run plan.json -o 'cat-{n}.png'")
        assert files() == ["cat-1.png", "cat-2.png", "plan.json"]
        again = run("run", "plan.json", "-o", "cat-{n}.png")
        assert (again.exit_code, "is there already" in again.stderr) == (2, True)
        assert len(asked()) == 2
        Path("otter.png").write_bytes(PNG)
        fine("plan -i otter.png -p shop -o otter-plan.json")
        assert fine("run otter-plan.json -q").stdout == "otter-plan.png\n"
        result = run("run", "otter-plan.json", "-o", "-")
        assert result.stdout_bytes == picture(4, 4, 2)

    def test_previews_are_kept_where_the_plan_asks_for_some(self) -> None:
        planned("x -p sketch --size 64x64 --partial 1")
        fine("run plan.json --save-partials -o cat.png")
        assert files() == ["cat.partial-1.png", "cat.png", "plan.json"]

    @pytest.mark.parametrize(
        ("line", "input", "message"),
        [
            ("gone.json", None, "cannot read the plan 'gone.json': No such file"),
            ("-", "{}", "standard input holds no plan that `plan -o` wrote"),
            ("odd.json", None, "'odd.json' holds no plan that `plan -o` wrote"),
            ("plan.json --save-partials", None, "the plan asks for none; plan it with --partial"),
            ("plan.json --check-mask", None, "--check-mask wants a mask"),
            ("plan.json --fall-back-on rejected", None, "wants another provider to ask"),
            ("gone.json --refresh --no-cache", None, "leave --no-cache out"),
            ("plan.json --manifest -o -", None, "--manifest stands beside its picture"),
        ],
    )
    def test_what_is_no_plan_is_not_done(self, line: str, input: str | None, message: str) -> None:
        planned("x -p shop")
        Path("odd.json").write_text('{"provider": "shop"}')
        result = run("run", *shlex.split(line), input=input)
        assert (result.exit_code, asked()) == (2, [])
        assert message in result.stderr.splitlines()[0]

    def test_nobody_waits_for_a_terminal_to_type_a_plan(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with terminal(monkeypatch, "stdin", "stderr") as screen, pytest.raises(SystemExit):
            main(["run", "-"])
        assert "a plan is read from standard input, which is a terminal" in screen.text
        monkeypatch.setattr(sys, "stdin", None)
        with pytest.raises(SystemExit) as ended:
            main(["run", "-"])
        assert ended.value.code == 2


class TestBudget:
    def test_what_may_cost_more_is_not_sent(self) -> None:
        result = run("generate", "x", "-p", "shop", "-n", "2", "--budget", "0.05")
        assert (result.exit_code, asked(), files()) == (2, [], [])
        assert "may cost USD 0.08, and the call's budget is USD 0.05" in result.stderr
        assert "--allow-unknown-cost" not in result.stderr
        error = said("generate x -p shop -n 2 --budget 0.05", code=2)["error"]
        assert (error["class"], error["billed"]) == ("BudgetExceededError", "no")
        assert error["estimate"]["high"] == "0.08"
        fine("generate x -p shop -n 2 --budget 0.08")

    def test_an_unknown_cost_passes_only_where_that_is_said(self) -> None:
        result = run("generate", "x", "-p", "vague", "--budget", "5")
        assert (result.exit_code, asked()) == (2, [])
        hint = "  on the command line: --budget has --allow-unknown-cost beside it\n"
        assert result.stderr.endswith(hint)
        fine("generate x -p vague --budget 5 --allow-unknown-cost")

    def test_a_plan_is_run_within_one(self) -> None:
        planned("x -p shop")
        assert run("run", "plan.json", "--budget", "0.01").exit_code == 2
        fine("run plan.json --budget 0.04")
        assert asked() == ["shop"]

    @pytest.mark.parametrize("amount", ["five", "-1", "nan", "inf", ""])
    def test_an_amount_is_a_number(self, amount: str) -> None:
        result = run("generate", "x", "-p", "shop", "--budget", amount)
        assert (result.exit_code, asked()) == (2, [])
        assert f"{amount!r} is no amount, such as 5 or 0.25" in result.stderr

    def test_it_holds_for_jobs_and_batches_too(self) -> None:
        line = b'{"prompt": "x", "n": 2}\n'
        assert run("submit", "x", "-p", "shop", "--budget", "0.01").exit_code == 2
        assert run("batch", "-", "-p", "vague", "--budget", "5", input=line).exit_code == 2
        assert asked() == []
        fine("submit x -p shop --budget 0.04")
        fine("batch - -p vague --budget 5 --allow-unknown-cost", input=line)
        for verb in ("submit", "batch"):
            result = run(verb, "-", "-p", "shop", "--allow-unknown-cost", input=line)
            assert (result.exit_code, "wants --budget" in result.stderr) == (2, True)


class TestCache:
    def test_a_result_is_taken_from_the_cache(self) -> None:
        fine("generate x -p shop --cache -o 1.png")
        result = fine("generate x -p shop --cache -o 2.png -v")
        assert asked() == ["shop"]
        assert Path("1.png").read_bytes() == Path("2.png").read_bytes()
        assert "kept from 20" in result.stderr
        assert ", not made anew\n" in result.stderr
        assert said("generate x -p shop --cache -o 3.png")["cached"] is not None
        assert "kept from" not in fine("generate x -p shop --cache -q -o 4.png").stderr
        assert asked() == ["shop"]

    def test_or_made_anew(self) -> None:
        fine("generate x -p shop --cache -o 1.png")
        for words in ("", "--no-cache", "--refresh", "--refresh --cache"):
            result = fine(f"generate x -p shop -o 2.png --force {words}")
            assert "kept from" not in result.stderr
        assert len(asked()) == 5
        fine("generate x -p shop --cache -o 3.png")
        assert Path("3.png").read_bytes() == Path("2.png").read_bytes()

    def test_a_plan_may_be_taken_from_it(self) -> None:
        planned("x -p shop")
        fine("run plan.json --cache -o 1.png")
        assert "kept from" in fine("run plan.json --cache -o 2.png").stderr
        assert asked() == ["shop"]


class TestFallback:
    def test_the_next_one_is_asked_and_that_is_said(self) -> None:
        result = fine("generate x -p closed -p shop")
        assert asked() == ["closed", "shop"]
        assert result.stderr == "imagekit: closed: come back tomorrow; shop is asked instead\n"
        assert "  shop/shop-1  " in result.stdout
        result = fine("generate x -p closed -p shop -v -o 2.png")
        why = "ProviderUnavailableError: come back tomorrow"
        assert f"asked before: closed/closed-1: {why}\n" in result.stderr
        found = said("generate x -p closed -p shop -o 3.png")
        assert (found["provider"], found["attempts"][0]["provider"]) == ("shop", "closed")

    def test_where_nobody_can_be_had_it_says_what_each_said(self) -> None:
        error = said("generate x -p closed -p shop -O shop.raise=RateLimitError", code=3)["error"]
        assert (error["class"], error["provider"]) == ("RateLimitError", "shop")
        assert [one["provider"] for one in error["attempts"]] == ["closed"]

    def test_only_for_what_is_named(self) -> None:
        words = ("generate", "x", "-p", "shop", "-p", "vague", "-O", "raise=ContentRejectedError")
        assert run(*words).exit_code == 3
        assert asked() == ["shop"]
        result = run(*words, "--fall-back-on", "rejected")
        assert (result.exit_code, asked()[1:]) == (0, ["shop", "vague"])

    def test_options_are_the_first_ones_unless_they_name_another(self) -> None:
        fine("generate x -p closed -p shop -O shop.shade=9 -O closed.a=1 -O b=2 -O vague.c=3")
        (_, first), (_, second) = cli_shop.ASKED
        assert first.options == {"closed": {"a": 1, "b": 2, "vague": {"c": 3}}}
        assert second.options == {"shop": {"shade": 9}}

    def test_an_option_that_is_called_as_another_provider_is_no_map(self) -> None:
        fine("generate x -p closed -p shop -O shop=9")
        assert cli_shop.ASKED[0][1].options == {"closed": {"shop": 9}}

    def test_a_plan_falls_back_too(self) -> None:
        planned("x -p closed -p shop")
        assert "shop is asked instead" in fine("run plan.json").stderr

    def test_a_job_is_one_providers(self) -> None:
        result = run("submit", "x", "-p", "shop", "-p", "vague")
        assert (result.exit_code, asked()) == (2, [])
        assert "a job is one provider's: say -p once" in result.stderr

    def test_the_words_are_those_of_the_library(self) -> None:
        assert REASONS == WORDS


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("generate x -p shop --allow-unknown-cost", "--allow-unknown-cost wants --budget"),
        ("generate x -p shop --refresh --no-cache", "leave --no-cache out"),
        ("generate x -p shop --fall-back-on rejected", "wants another provider to ask"),
        ("generate x -p shop -p vague --fall-back-on rain", "'rain' is not one of"),
        ("generate x -p shop --manifest -o -", "--manifest stands beside its picture"),
        ("edit x -p shop -i a.png --check-mask", "--check-mask wants a mask"),
        ("replay gone.json --allow-unknown-cost", "--allow-unknown-cost wants --budget"),
    ],
)
def test_options_that_contradict_each_other_are_refused(line: str, message: str) -> None:
    result = run(*shlex.split(line))
    assert (result.exit_code, asked(), files()) == (2, [], [])
    assert message in result.stderr.splitlines()[0]


def half_white(width: int, height: int) -> bytes:
    """A mask whose left half is white."""
    image = Pillow.new("L", (width, height), 0)
    image.paste(255, (0, 0, width // 2, height))
    image.save(kept := io.BytesIO(), "png")
    return kept.getvalue()


def test_how_much_changed_outside_the_mask_is_said() -> None:
    Pillow.new("L", (64, 32), 255).save("otter.png")
    Path("hat.png").write_bytes(half_white(64, 32))
    words = "-i otter.png --mask hat.png --edit-where white -p shop -O shade=1 -O width=64"
    assert fine(f"edit x {words} -o 1.png").stderr == ""
    assert "delivered-differs: mask" in fine(f"edit x {words} -o 2.png --check-mask").stderr


class TestManifest:
    def test_it_stands_beside_the_picture(self) -> None:
        Path("out").mkdir()
        found = said("generate x -p shop --manifest -o out/otter.png")
        assert found["manifest"] == "out/otter.png.json"
        manifest = Manifest.load("out/otter.png.json")
        assert manifest.images[0].file == "otter.png"
        assert manifest.plan.key == found["plan"]
        assert manifest.check("out") == []

    def test_one_is_for_all_pictures(self) -> None:
        fine("generate x -p shop -n 2 --manifest -o 'a-{n}.png'")
        assert files() == ["a-1.png", "a-1.png.json", "a-2.png"]
        assert [image.file for image in Manifest.load("a-1.png.json").images] == [
            "a-1.png",
            "a-2.png",
        ]

    def test_it_replaces_nothing_unasked(self) -> None:
        Path("otter.png.json").write_text("mine")
        result = run("generate", "x", "-p", "shop", "--manifest", "-o", "otter.png")
        assert (result.exit_code, asked()) == (2, [])
        assert "'otter.png.json' is there already" in result.stderr
        fine("generate x -p shop --manifest -o otter.png --force")
        assert Manifest.load("otter.png.json").provider == "shop"

    def test_what_could_not_be_saved_where_it_should_be_is_not_in_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tempfile, "tempdir", "nowhere")
        Path("out").mkdir()
        result = run(
            "generate", "x", "-p", "shop", "--manifest", "-o", "out/a.png", "-O", "folder=out"
        )
        assert (result.exit_code, files()) == (1, ["gone"])
        assert "no picture was saved, so there is no manifest of it" in result.stderr

    def test_a_name_that_is_taken_meanwhile_is_said(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def slow(*size: int) -> bytes:
            Path("a.png.json").touch()
            return PNG

        monkeypatch.setattr(cli_shop, "picture", slow)
        result = fine("generate x -p shop --manifest -o a.png")
        assert "'a.png.json' appeared meanwhile; saved as 'a.png-2.json'" in result.stderr


class TestReplay:
    def made(self, *words: str) -> None:
        fine(f"generate x -p shop --manifest -o otter.png {' '.join(words)}")

    def test_the_same_bytes_are_the_same(self) -> None:
        self.made("-O shade=7 --cache")
        result = fine("replay otter.png.json")
        assert result.stdout.startswith("otter-again.png  4x2  ")
        assert result.stdout.endswith("  the same, byte by byte\n")
        # What the cache has would be the same for certain.
        assert asked() == ["shop", "shop"]
        found = said("replay otter.png.json -o 2.png")
        assert (found["ok"], found["again"]["same"]) == (True, True)

    def test_others_differ_which_is_no_failure(self) -> None:
        self.made()
        result = fine("replay otter.png.json -o 2.png")
        assert "  differs: image/png, 4x2, " in result.stdout
        assert fine("replay otter.png.json -o 3.png -q").stdout == "3.png\n"
        assert said("replay otter.png.json -o 4.png")["again"]["slots"][0]["same"] is False

    def test_it_is_paid_for_again(self) -> None:
        self.made()
        result = run("replay", "otter.png.json", "--budget", "0.01")
        assert (result.exit_code, asked()) == (2, ["shop"])

    def test_what_fails_now_is_a_failure(self) -> None:
        self.made()
        manifest = Manifest.load("otter.png.json")
        request = manifest.plan.request.with_(options={"shop": {"raise": "NoImageError"}})
        plan = manifest.plan.model_copy(update={"request": request})
        Path("bad.json").write_text(manifest.model_copy(update={"plan": plan}).model_dump_json())
        assert run("replay", "bad.json").exit_code == 3

    def test_it_may_go_to_standard_output(self) -> None:
        self.made("-O shade=7")
        result = run("replay", "otter.png.json", "-o", "-")
        assert (result.exit_code, result.stdout_bytes) == (0, picture(7, 4, 2))
        assert result.stderr.endswith("  the same, byte by byte\n")

    @pytest.mark.parametrize("word", ["gone.json", "odd.json"])
    def test_what_is_no_manifest_is_not_replayed(self, word: str) -> None:
        Path("odd.json").write_text("{}")
        for words in ((), ("--check",)):
            result = run("replay", word, *words)
            assert result.exit_code == 2
            assert "manifest" in result.stderr.splitlines()[0]

    def test_files_are_checked_without_asking_anybody(self) -> None:
        Path("out").mkdir()
        fine("generate x -p shop -n 2 --manifest -o 'out/{n}.png'")
        cli_shop.ASKED.clear()
        line = "replay --check out/1.png.json"
        assert fine(line).stdout == "out/1.png  as it came\nout/2.png  as it came\n"
        assert said(line) == {"ok": True, "files": ["1.png", "2.png"], "wrong": []}
        Path("out/2.png").write_bytes(b"x")
        result = run(*line.split())
        assert (result.exit_code, result.stdout) == (1, "out/1.png  as it came\n")
        assert result.stderr == "imagekit: 2.png: it is not what came: its bytes have changed\n"
        Path("out/2.png").unlink()
        assert run(*line.split(), "-q").stderr == "imagekit: 2.png: it is gone\n"
        assert run(*line.split(), "-q").stdout == ""
        assert said(line, code=1)["wrong"] == ["2.png: it is gone"]
        assert asked() == []

    def test_a_manifest_that_names_no_file_is_said(self) -> None:
        self.made()
        manifest = Manifest.load("otter.png.json")
        nameless = manifest.images[0].model_copy(update={"file": None})
        bare = manifest.model_copy(update={"images": (nameless,)})
        Path("bare.json").write_text(bare.model_dump_json())
        result = fine("replay --check bare.json")
        assert result.stderr == "imagekit: 'bare.json' names no file: nothing was looked at\n"
        assert "bare-again.png" in fine("replay bare.json").stdout


def test_verbose_says_what_each_call_came_to() -> None:
    result = fine("generate x -p shop -n 2 -v --manifest")
    source = "0.04 USD, estimated by the till"
    for place in (1, 2):
        assert f"call {place}: 1 of 1 picture; {source}; request id shop-7\n" in result.stderr
    assert "\nplan: " in result.stderr
    found = said("generate x -p shop -n 2 -o 2.png")
    assert [one["cost"]["amount"] for one in found["calls"]] == ["0.04", "0.04"]
    assert found["plan"] is None
