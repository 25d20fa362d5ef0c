"""A plugin cannot hurt its host: whatever one does is one line, and all others go on working."""

from __future__ import annotations

import json
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import imagekit
from imagekit import (
    ConfigurationError,
    ImageRequest,
    PluginError,
    Plugins,
    Profile,
    ProviderUnavailableError,
    UnknownProviderError,
    _installed,
)
from imagekit._cli import _looked
from imagekit._cli._main import cli
from imagekit._installed import Found, contract_of, installed, names, remedy, requirement, said
from imagekit.provider import CONTRACT, Config, Endpoint, Verdict, hookimpl
from planted import GATE, Install, nobody_left
from spoken import httpx
from toys import Driver, Inside, Plugged, Whole, patiently, plugins

HEAD = """
import imagekit
from imagekit.provider import *
from imagekit.provider import hookimpl
from planted import GATE
from toys import picture
class Odd(BaseException):
    pass
class Mute(Exception):
    def __repr__(self): raise Odd
class Provider:
    endpoint = None
    def capabilities(self, model): return Capabilities(model="easel-1")
    def flow(self, request, *, stream):
        yield from sleep(0)
        return imagekit.ImageResponse(slots=(imagekit.Image(data=picture()),))
"""
HOOK = """
@hookimpl
def imagekit_provider(config):
    MADE
    return Provider()
"""
GOOD = HEAD + HOOK.replace("    MADE\n", "")


def having(lines: str) -> str:
    """A plugin whose provider has *lines* beside."""
    inner = "\n".join(f"    {line}" for line in lines.splitlines())
    return f"{HEAD}\n{inner}\n{HOOK}".replace("    MADE\n", "")


def making(statement: str) -> str:
    """A plugin that does *statement* while it builds its provider."""
    return HEAD + HOOK.replace("MADE", statement)


BROKEN = {
    "raises on import": ("1 / 0", "does not import: ZeroDivisionError"),
    "exits on import": ("raise SystemExit(0)", "does not import: SystemExit(0)"),
    "odd on import": (f"{HEAD}\nraise Odd('x')", "does not import: Odd('x')"),
    "is no python": ("this is no python", "does not import: SyntaxError"),
    "lacks a module": ("import nothing_of_that_name", "does not import: ModuleNotFoundError"),
    "mute on import": (f"{HEAD}\nraise Mute", "does not import: "),
    "hangs on import": (f"{GOOD}\nGATE.wait(60)", "no answer"),
    "no hook": (HEAD, "no imagekit_provider marked @hookimpl"),
    "misspelt hook": (f"{GOOD}\n@hookimpl\ndef imagekit_provder(config): 1", "imagekit_provder"),
    "greedy hook": (GOOD.replace("(config)", "(config, colour)"), "colour"),
    "watches": (
        f"{GOOD}\n@hookimpl\ndef imagekit_call_finished(call): 1",
        "its plugin has imagekit_call_finished, and observers are registered in code only",
    ),
    "newer contract": (
        f"{GOOD}\nimagekit_contract = {CONTRACT + 1}",
        f"is written for contract {CONTRACT + 1}, and imagekit {imagekit.__version__} has "
        f"contract {CONTRACT}: update imagekit",
    ),
    "odd contract": (f"{GOOD}\nimagekit_contract = '1'", "is a whole number, not '1'"),
    "false contract": (f"{GOOD}\nimagekit_contract = True", "is a whole number, not True"),
    "no contract yet": (f"{GOOD}\nimagekit_contract = 0", "is a whole number, not 0"),
    "newer name": (
        "from imagekit.provider import picture_of",
        "imagekit.provider has no 'picture_of', and toy-dist 1.2 asks for imagekit>=9.1; update",
    ),
    "newer attribute": (
        "from imagekit import provider\nprovider.picture_of",
        "imagekit.provider has no 'picture_of', and toy-dist 1.2 asks for imagekit>=9.1; update",
    ),
    "newer door": ("import imagekit.palette", "imagekit has no imagekit.palette, and toy-dist"),
    "raises when built": (making("1 / 0"), "cannot be built: ZeroDivisionError"),
    "exits when built": (making("raise SystemExit"), "cannot be built: SystemExit()"),
    "odd when built": (making("raise Odd"), "cannot be built: Odd()"),
    "hangs when built": (making("GATE.wait(60)"), "no answer"),
    "gives none": (making("return None"), "or it returned None"),
    "gives text": (making("return 'a provider'"), "has no 'endpoint'"),
    "gives the class": (making("return Provider"), "capabilities"),
    "cannot be asked": (
        having("def __getattr__(self, name): raise Odd"),
        "cannot be looked at: Odd()",
    ),
    "endpoint is text": (having("endpoint = 'https://x.example'"), "its endpoint is no Endpoint"),
    "endpoint of text": (having("endpoint = Endpoint(7)"), "its endpoint is no Endpoint"),
    "endpoint raises": (having("endpoint = property(lambda self: 1 / 0)"), "ZeroDivisionError"),
    "endpoint exits": (having("endpoint = property(lambda self: exit())"), "SystemExit"),
    "endpoint hangs": (having("endpoint = property(lambda self: GATE.wait(60))"), "no answer"),
    "capabilities of text": (
        having("def capabilities(self, model): return {}"),
        "capabilities() gave no Capabilities",
    ),
    "capabilities raise": (
        having("def capabilities(self, model): 1 / 0"),
        "cannot say what it can do: ZeroDivisionError",
    ),
    "capabilities exit": (
        having("def capabilities(self, model): exit(3)"),
        "cannot say what it can do: SystemExit(3)",
    ),
    "capabilities hang": (having("def capabilities(self, model): GATE.wait(60)"), "no answer"),
    "models are a number": (having("models = 7"), "cannot say which models it has: TypeError"),
    "models are numbers": (having("models = [7]"), "one of its models is no name, but 7"),
    "models raise": (having("models = property(lambda self: 1 / 0)"), "which models it has: Zero"),
    "family is a list": (having("family = ['toys']"), "its family is no text, but ['toys']"),
    "family exits": (having("family = property(lambda self: exit())"), "SystemExit"),
}
SLOW = sorted(case for case, (_, why) in BROKEN.items() if "no answer" in why)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Nobody is installed but who is installed by this."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.delenv("IMAGEKIT_DISABLED_PLUGINS", raising=False)
    monkeypatch.setenv("IMAGEKIT_DISABLED_PLUGINS", ",".join(names()))
    monkeypatch.delenv("IMAGEKIT_PROVIDER", raising=False)
    # Other tests may need the processor too.
    monkeypatch.setattr(_looked, "LIMIT", 60.0)
    GATE.clear()
    with nobody_left():
        yield Install(folder, monkeypatch)
        GATE.set()


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, words)


def lines(result: Result, name: str) -> list[str]:
    return [line for line in result.stdout.splitlines() if line.split()[1:2] == [name]]


def broken(install: Install, case: str) -> str:
    code, why = BROKEN[case]
    install("broken", code, dist="toy-dist", requires="imagekit>=9.1")
    install("good", GOOD, dist="good-dist")
    return why


# One line, and everybody else


@pytest.mark.parametrize("case", [case for case in BROKEN if case not in SLOW])
def test_each_is_one_line_in_doctor_that_says_whose_it_is_and_what_to_do(
    install: Install, case: str
) -> None:
    why = broken(install, case)
    result = run("doctor")
    assert result.exit_code == 1
    [line] = lines(result, "broken")
    assert line.startswith("broken")
    assert why in line
    assert "toy-dist 1.2" in line
    told = "IMAGEKIT_DISABLED_PLUGINS=broken" in line
    assert told or "pip install --upgrade imagekit" in line
    [line] = lines(result, "good")
    assert line.split(maxsplit=2)[2].strip() == "good-dist 1.2, model easel-1"


@pytest.mark.parametrize("case", [case for case in BROKEN if case not in SLOW])
def test_a_call_to_it_is_a_plugin_error_and_the_next_ones_are_not(
    install: Install, case: str
) -> None:
    broken(install, case)
    with imagekit.Client(config=False) as client:
        for _ in "12":
            if not case.startswith("models"):
                with pytest.raises(PluginError, match="provider 'broken'"):
                    client.generate("a boat", provider="broken")
            assert client.generate("a boat", provider="good").ok


@pytest.mark.parametrize("case", ["raises on import", "models are a number"])
def test_the_lists_have_the_others(install: Install, case: str) -> None:
    broken(install, case)
    assert {"broken", "good"} <= {line.split()[0] for line in run("providers").stdout.splitlines()}
    for words in (("models",), ("models", "--capabilities")):
        assert "good  easel-1" in run(*words).stdout
    result = run("plugin", "list", "--json")
    states = {one["name"]: one["state"] for one in json.loads(result.stdout)}
    assert (result.exit_code, states["broken"], states["good"]) == (1, "broken", "ok")


@pytest.fixture
def good_has_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is not the good provider's, whom others may keep from the processor."""
    join = threading.Thread.join

    def patient(self: threading.Thread, timeout: float | None = None) -> None:
        join(self, 60 if self.name == "imagekit looks at good" else timeout)

    monkeypatch.setattr(threading.Thread, "join", patient)


@pytest.mark.usefixtures("good_has_time")
def test_whoever_hangs_is_a_line_and_waited_for_together(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_looked, "LIMIT", 3.0)
    slow = {f"slow-{number}": BROKEN[case][0] for number, case in enumerate(SLOW)}
    for name, code in slow.items():
        install(name, code, dist=f"{name}-dist")
    install("good", GOOD, dist="good-dist")
    began = time.monotonic()
    result = run("doctor")
    assert time.monotonic() - began < 3 * len(slow)
    late = "gave no answer within 3 s: it hangs, or is very slow; upgrade or uninstall"
    for name in slow:
        [line] = lines(result, name)
        assert (
            line.split()
            == (
                f"broken {name} {name}-dist 1.2: {late} {name}-dist 1.2, or set "
                f"IMAGEKIT_DISABLED_PLUGINS={name}"
            ).split()
        )
    assert lines(result, "good")[0].startswith("ok")
    states = {
        one["name"]: one["state"] for one in json.loads(run("plugin", "list", "--json").stdout)
    }
    assert {name: states[name] for name in slow} == dict.fromkeys(slow, "broken")
    assert states["good"] == "ok"


@pytest.mark.usefixtures("good_has_time")
def test_models_of_all_wait_for_none_that_hangs(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_looked, "LIMIT", 0.5)
    broken(install, "hangs on import")
    result = run("models", "--json")
    assert result.exit_code == 1
    rows = {row["provider"]: row for row in json.loads(result.stdout)}
    assert rows["good"]["default"]["model"] == "easel-1"
    assert "provider 'broken' gave no answer within 0.5 s" in rows["broken"]["error"]
    assert "toy-dist 1.2" in rows["broken"]["error"]


@pytest.mark.parametrize("case", ["hangs on import", "hangs when built"])
def test_while_one_hangs_others_are_imported_built_and_called(install: Install, case: str) -> None:
    broken(install, case)
    with imagekit.Client(config=False) as client:
        late: list[object] = []

        def hang() -> None:
            late.append(client.generate("a boat", provider="broken"))

        thread = threading.Thread(target=hang, daemon=True)
        thread.start()
        assert patiently(lambda: "broken" in client.plugins._loading)
        done: list[object] = []
        other = threading.Thread(
            target=lambda: done.append(client.generate("a boat", provider="good")), daemon=True
        )
        other.start()
        other.join(15)
        assert len(done) == 1
        assert late == []
        GATE.set()
        thread.join(30)
        assert len(late) == 1


def test_what_a_plugin_prints_spoils_nothing(install: Install) -> None:
    install("loud", f"print('hello from a plugin'){GOOD}")
    result = CliRunner().invoke(cli, ["doctor", "--json"])
    assert json.loads(result.stdout)["ok"] in (True, False)
    assert "hello from a plugin" in result.stderr


# In the middle of a call


class Odd(BaseException):
    pass


@pytest.mark.parametrize("kind", [SystemExit, Odd, ZeroDivisionError])
def test_what_a_flow_raises_is_a_plugin_error(driver: Driver, kind: type[BaseException]) -> None:
    class Raises(Inside):
        def flow(self, request: ImageRequest, *, stream: bool) -> Any:
            raise kind("enough")

    settings = {"plugins": plugins(toy=Raises()), "provider": "toy"}
    with pytest.raises(PluginError, match=r"provider 'toy' failed: .*enough"):
        driver.call(lambda c: c.generate("a boat"), **settings)


def test_ctrl_c_in_a_flow_is_ctrl_c() -> None:
    class Interrupts(Inside):
        def flow(self, request: ImageRequest, *, stream: bool) -> Any:
            raise KeyboardInterrupt

    client = imagekit.Client(plugins=plugins(toy=Interrupts()), provider="toy", config=False)
    with client, pytest.raises(KeyboardInterrupt):
        client.generate("a boat")


@pytest.mark.parametrize("what", [None, [], ["a list"], "text", 7])
def test_a_flow_that_is_none_is_a_plugin_error(driver: Driver, what: object) -> None:
    class Nonsense(Inside):
        def flow(self, request: ImageRequest, *, stream: bool) -> Any:
            return what

    settings = {"plugins": plugins(toy=Nonsense()), "provider": "toy"}
    with pytest.raises(PluginError):
        driver.call(lambda c: c.generate("a boat"), **settings)


def exits(answer: object) -> Verdict:
    raise SystemExit


def text(answer: object) -> Any:
    return "refused"


@pytest.mark.parametrize("judge", [exits, text])
def test_a_judge_that_is_none_judges_nothing(driver: Driver, judge: Any) -> None:
    toy = Whole(judge=judge)
    settings = {"plugins": plugins(toy=toy), "provider": "toy"}
    retry = imagekit.RetryPolicy(base=0.0)
    with pytest.raises(ProviderUnavailableError, match="503"):
        driver.call(
            lambda c: c.generate("a boat"), lambda _: httpx.Response(503), retry=retry, **settings
        )


def test_ctrl_c_in_a_judge_is_ctrl_c() -> None:
    def interrupts(answer: object) -> Verdict:
        raise KeyboardInterrupt

    mock = httpx.MockTransport(lambda _: httpx.Response(503))
    found = plugins(toy=Whole(judge=interrupts))
    client = imagekit.Client(plugins=found, provider="toy", http=mock, config=False)
    with client, pytest.raises(KeyboardInterrupt):
        client.generate("a boat")


def test_the_family_of_one_cannot_break_the_calls_of_another() -> None:
    class Fickle(Inside):
        said = 0

        @property
        def family(self) -> Any:
            type(self).said += 1
            return "toys" if self.said < 3 else []

    with imagekit.Client(plugins=plugins(toy=Fickle(), other=Inside()), config=False) as client:
        for name in ("toy", "other", "toy"):
            assert client.generate("a boat", provider=name, options={"toys": {}}).ok


@pytest.mark.parametrize("address", ["https://x.example", Endpoint(7)])  # type: ignore[arg-type]
def test_an_address_that_is_none_is_a_plugin_error_for_fetch_too(address: object) -> None:
    class Lost(Inside):
        endpoint: Any = address

    client = imagekit.Client(plugins=plugins(toy=Lost()), provider="toy", config=False)
    with client, pytest.raises(PluginError, match="is no Endpoint"):
        client.fetch(imagekit.Image(url="https://x.example/a.png"))


# A name that is taken


def test_a_name_of_two_distributions_is_one_line_that_names_both(install: Install) -> None:
    install("easel", module="easel_a", dist="dist-a")
    install("easel", module="easel_b", dist="dist-b")
    [line] = lines(run("doctor"), "easel")
    assert line.startswith("broken  easel")
    assert "dist-a 1.2 and dist-b 1.2: provider 'easel' is installed twice" in line
    assert "uninstall one of dist-a 1.2 and dist-b 1.2, or name its distribution in" in line


def test_two_distributions_of_one_module_are_two_all_the_same(install: Install) -> None:
    install("easel", module="easel_a", dist="dist-a")
    install("easel", module="easel_a", dist="dist-b")
    assert [one.origin for one in installed() if one.name == "easel"] == [
        "dist-a 1.2",
        "dist-b 1.2",
    ]
    with pytest.raises(PluginError, match="installed twice"):
        Plugins().provider("easel", Config("easel"))


def test_one_of_two_may_be_ruled_out_by_its_distribution(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("easel", "raise AssertionError('imported')", module="easel_a", dist="Dist.A")
    install("easel", GOOD, module="easel_b", dist="dist-b")
    monkeypatch.setenv("IMAGEKIT_DISABLED_PLUGINS", "dist_a")
    assert Plugins().provider("easel", Config("easel")) is not None
    said = lines(run("doctor"), "easel")
    assert [line.split(maxsplit=2)[::2] for line in said] == [
        ["note", "Dist.A 1.2, disabled by IMAGEKIT_DISABLED_PLUGINS=dist_a"],
        ["ok", "dist-b 1.2, model easel-1"],
    ]


def test_a_name_that_is_a_profiles_is_hidden_behind_it_and_said(
    install: Install, tmp_path: Path
) -> None:
    install("easel", "raise AssertionError('imported')", dist="easel-dist")
    install("good", GOOD)
    file = tmp_path / "imagekit.toml"
    file.write_text("[profiles.easel]\nprovider = 'good'\n")
    result = run("doctor", "--config", str(file))
    [line] = lines(result, "easel")
    assert line.startswith("note    easel")
    assert "easel-dist 1.2, hidden behind your profile of that name, which is of good" in line
    assert "rename the profile" in line
    with imagekit.Client(profiles=[Profile("easel", "good")], config=False) as client:
        assert client.generate("a boat", provider="easel").profile == "easel"


def test_a_profile_of_its_own_provider_is_that_line_alone(install: Install, tmp_path: Path) -> None:
    install("good", GOOD)
    file = tmp_path / "imagekit.toml"
    file.write_text("[profiles.good]\nprovider = 'good'\n")
    result = run("doctor", "--config", str(file))
    assert lines(result, "good") == []
    assert "profile good" in result.stdout


def test_a_profile_of_one_that_hangs_is_a_line_too(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_looked, "LIMIT", 1.0)
    broken(install, "capabilities hang")
    file = tmp_path / "imagekit.toml"
    file.write_text("[profiles.mine]\nprovider = 'broken'\n")
    result = run("doctor", "--config", str(file))
    [line] = [line for line in result.stdout.splitlines() if "profile mine" in line]
    assert "broken gave no answer within 1 s" in line


# Ruled out


def test_a_distribution_is_ruled_out_by_its_name_however_it_is_spelt(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("easel", "raise AssertionError('imported')", dist="Toy_Easel.kit")
    install("good", GOOD, dist="good-dist")
    monkeypatch.setenv("IMAGEKIT_DISABLED_PLUGINS", "toy-easel-kit, nobody")
    assert "easel" not in names()
    assert "good" in names()
    with pytest.raises(UnknownProviderError) as caught:
        Plugins().provider("easel", Config("easel"))
    assert str(caught.value) == (
        "no provider 'easel': Toy_Easel.kit 1.2 has it, and IMAGEKIT_DISABLED_PLUGINS rules it out"
    )
    result = run("doctor")
    assert lines(result, "easel")[0].endswith(
        "Toy_Easel.kit 1.2, disabled by IMAGEKIT_DISABLED_PLUGINS=toy-easel-kit"
    )
    assert "IMAGEKIT_DISABLED_PLUGINS names 'nobody', which is not installed" in result.stdout
    assert "names 'toy-easel-kit'" not in result.stdout
    rows = {row["name"]: row for row in json.loads(run("providers", "--json").stdout)}
    assert (rows["easel"]["disabled"], rows["good"]["disabled"]) == (True, False)


def test_one_without_a_distribution_is_ruled_out_by_its_name_only() -> None:
    found = Found("easel", "toy")
    assert found.origin == "toy"
    assert found.ruled_out(frozenset({""})) is None
    assert found.ruled_out(frozenset({"easel"})) == "easel"


# What can be done


def test_of_one_that_is_not_installed_there_is_nothing_to_uninstall() -> None:
    assert remedy("nobody-of-that-name") == ""


def test_ctrl_c_while_an_error_is_told_is_ctrl_c() -> None:
    class Interrupts(Exception):
        def __repr__(self) -> str:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        said(Interrupts())


@pytest.mark.parametrize("dist", [None, "nobody-of-that-name"])
def test_of_one_without_metadata_nobody_knows_what_it_asks_for(dist: str | None) -> None:
    assert requirement(Found("easel", "toy", dist)) is None


def test_an_import_error_of_anybody_elses_is_no_news_of_ours(install: Install) -> None:
    install("easel", "from json import nothing_of_that_name")
    with pytest.raises(PluginError, match="does not import: ImportError"):
        Plugins().provider("easel", Config("easel"))
    install("brush", "(7).colour")
    with pytest.raises(PluginError, match="does not import: AttributeError"):
        Plugins().provider("brush", Config("brush"))


def test_a_plugin_that_asks_for_no_version_is_told_of_none(install: Install) -> None:
    install("easel", "from imagekit import palette", requires="attrs")
    with pytest.raises(PluginError, match=r"imagekit has no 'palette'; update imagekit \(pip"):
        Plugins().provider("easel", Config("easel"))


# The contract


def test_a_contract_that_is_ours_is_taken_and_said(install: Install) -> None:
    install("easel", f"{GOOD}\nimagekit_contract = {CONTRACT}")
    install("brush", GOOD)
    known = {one.name: one for one in installed()}
    one, other = known["easel"], known["brush"]
    assert contract_of(one) is None  # nobody has imported it yet
    assert Plugins().provider("easel", Config("easel")) is not None
    assert Plugins().provider("brush", Config("brush")) is not None
    assert (contract_of(one), contract_of(other)) == (CONTRACT, None)


def test_a_plugin_that_is_an_object_may_say_it_too(install: Install) -> None:
    code = f"{HEAD}\nclass Plugin:\n    imagekit_contract = {CONTRACT + 1}\nit = Plugin()"
    install("easel", code, point=":it")
    with pytest.raises(PluginError, match="update imagekit"):
        Plugins().provider("easel", Config("easel"))


def test_what_does_not_say_how_to_watch_may_be_called_like_a_hook(install: Install) -> None:
    install("easel", f"{GOOD}\nimagekit_call_finished = 'a plain word'\nimagekit_words = 7")
    assert Plugins().provider("easel", Config("easel")) is not None


# Did you mean


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("eas", "'easel-water' or 'easel-oil'"),
        ("easel-oli", "'easel-oil'"),
        ("", None),
        ("zzz", None),
    ],
)
def test_an_unknown_name_is_answered_with_those_like_it(said: str, meant: str | None) -> None:
    known = plugins(**{"easel-water": Inside(), "easel-oil": Inside(), "brush": Inside()})
    with pytest.raises(UnknownProviderError) as caught:
        known.provider(said, Config(said))
    text = str(caught.value)
    if meant is None:
        assert "did you mean" not in text
    else:
        for word in meant.split(" or "):
            assert word in text.partition("; did you mean ")[2]


# Registered in code


def test_what_is_not_registered_cannot_be_unregistered() -> None:
    with pytest.raises(PluginError, match="is not registered"):
        Plugins().unregister(Plugged(Inside()))


def test_an_observer_that_fails_keeps_nothing_from_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Fails:
        @hookimpl
        def imagekit_call_finished(self, call: object) -> None:
            raise Odd("in an observer")

    class Sees:
        seen = 0

        @hookimpl
        def imagekit_call_finished(self, call: object) -> None:
            self.seen += 1

    before, after = Sees(), Sees()
    found = plugins(before, Fails(), after, toy=Inside())
    with imagekit.Client(plugins=found, provider="toy", config=False) as client:
        assert client.generate("a boat").ok
    assert (before.seen, after.seen) == (1, 1)
    [record] = [one for one in caplog.records if one.name == "imagekit"]
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], Odd)


def test_ctrl_c_in_an_observer_is_ctrl_c() -> None:
    class Interrupts:
        @hookimpl
        def imagekit_call_started(self, call: object) -> None:
            raise KeyboardInterrupt

    found = plugins(Interrupts(), toy=Inside())
    with (
        imagekit.Client(plugins=found, provider="toy", config=False) as client,
        pytest.raises(KeyboardInterrupt),
    ):
        client.generate("a boat")


# Where its code is


def test_the_path_of_a_plugin_is_found_without_importing_it(
    install: Install, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    for folder, package in (("studio_kit", True), ("brushes/oil", False)):
        (site / folder).mkdir(parents=True)
        (site / folder / "__init__.py").write_text("raise AssertionError('imported')")
        assert package or not (site / "brushes" / "__init__.py").exists()
    install("easel", "raise AssertionError('imported')", module="toy_file")
    install("studio", "", module="studio_kit/inner", dist="studio-dist")
    install("brush", "", module="brushes/oil/thin", dist="brush-dist")
    for dist, name, module in (
        ("studio-dist", "studio", "studio_kit.inner"),
        ("brush-dist", "brush", "brushes.oil.thin:it"),
    ):
        file = site / f"{dist.replace('-', '_')}-1.2.dist-info" / "entry_points.txt"
        file.write_text(f"[imagekit.providers]\n{name} = {module}\n")
    install("lost", "")
    (site / "toy_lost.py").unlink()
    for name, module in (("bare", "brushes"), ("odd", "studio_kit..x"), ("none", ".x")):
        install(name, "", module=f"toy_{name}", dist=f"{name}-dist")
        file = site / f"{name}_dist-1.2.dist-info" / "entry_points.txt"
        file.write_text(f"[imagekit.providers]\n{name} = {module}\n")
    install.forget()
    assert run("plugin", "path", "easel").stdout == f"{site / 'toy_file.py'}\n"
    assert run("plugin", "path", "studio").stdout == f"{site / 'studio_kit'}\n"
    assert run("plugin", "path", "brush").stdout == f"{site / 'brushes' / 'oil'}\n"
    for name in ("lost", "bare", "none"):
        with pytest.raises(ConfigurationError, match=f"code of {name!r} is not there: .* again"):
            _path(name)
    with pytest.raises(UnknownProviderError, match="did you mean 'easel'"):
        _path("eassel")


def _path(name: str) -> None:
    from imagekit._cli._plugin_seen import path

    path.main([name], standalone_mode=False)


def test_plugins_are_listed_in_their_states(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("easel", "raise AssertionError('imported')", dist="easel-dist")
    install("good", f"{GOOD}\nimagekit_contract = 1", dist="good-dist")
    install("bad", "1 / 0", dist="bad-dist")
    unset = "endpoint = Endpoint('https://x.example', missing='no key: set EASEL_KEY')"
    install("unset", having(unset), dist="unset-dist")
    refuses = making("raise imagekit.ConfigurationError('say which region')")
    install("refuses", refuses, dist="refuses-dist")
    monkeypatch.setenv("IMAGEKIT_DISABLED_PLUGINS", f"easel,{_others()}")
    result = run("plugin", "list")
    assert result.exit_code == 1
    mine = {
        line.split()[0]: " ".join(line.split())
        for line in result.stdout.splitlines()
        if "-dist" in line
    }
    assert result.stdout.split()[:5] == ["NAME", "DISTRIBUTION", "VERSION", "CONTRACT", "STATE"]
    assert mine["good"] == "good good-dist 1.2 1 ok model easel-1"
    assert mine["easel"] == ("easel easel-dist 1.2 - disabled by IMAGEKIT_DISABLED_PLUGINS")
    assert mine["bad"].startswith("bad bad-dist 1.2 - broken provider 'bad' does not import: Zero")
    assert mine["unset"] == "unset unset-dist 1.2 - not set up no key: set EASEL_KEY"
    assert mine["refuses"] == "refuses refuses-dist 1.2 - not set up say which region"


def _others() -> str:
    return ",".join(
        one.name for one in installed() if one.distribution and "-dist" not in one.distribution
    )


def test_with_no_plugin_the_list_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imagekit._installed.installed", tuple)
    result = run("plugin", "list")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "pip install imagekit-sketch" in result.stderr


# What is wrong before anything is imported


def test_a_list_that_cannot_be_read_keeps_nobody_from_the_others(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("good", GOOD, dist="good-dist")
    # What stands behind another of its name on the path is nobody's.
    shutil.copytree(install._folder, behind := install._folder.parent / "behind")
    monkeypatch.setattr(sys, "path", [*sys.path, str(behind)])
    install("broken", GOOD, dist="toy-dist")
    info = next(install._folder.glob("toy_dist-*"))
    (info / "entry_points.txt").write_text("[imagekit.providers]\nno list at all\n")
    install.forget()
    assert [one.name for one in installed() if one.distribution == "good-dist"] == ["good"]
    with imagekit.Client(config=False) as client:
        assert client.generate("a boat", provider="good").ok
    result = run("doctor")
    [line] = lines(result, "toy-dist")
    assert line.startswith("broken")
    assert "toy-dist 1.2: its list of entry points cannot be read" in line
    assert lines(result, "good")[0].startswith("ok")
    assert run("providers").exit_code == run("plugin", "list").exit_code == 0


def test_a_list_that_can_be_read_is_told_of_by_nobody(install: Install) -> None:
    install("good", GOOD, dist="good-dist")
    assert _installed.unreadable() == ()


@pytest.mark.parametrize("module", ["not a module!!", "toy-broken", "toy_broken:"])
def test_an_entry_point_that_names_no_module_says_so(install: Install, module: str) -> None:
    install("broken", GOOD, dist="toy-dist")
    info = next(install._folder.glob("toy_dist-*"))
    (info / "entry_points.txt").write_text(f"[imagekit.providers]\nbroken = {module}\n")
    install.forget()
    [line] = lines(run("doctor"), "broken")
    assert f"its entry point says {module!r}, which names no module" in line


def test_an_interrupt_of_its_own_is_the_plugins_fault(install: Install) -> None:
    install("broken", "raise KeyboardInterrupt", dist="toy-dist")
    [line] = lines(run("doctor"), "broken")
    assert "provider 'broken' raised KeyboardInterrupt; upgrade or uninstall toy-dist 1.2" in line


def test_a_plugin_that_says_much_has_a_line_all_the_same(install: Install) -> None:
    much = GOOD.replace("Capabilities()", "Capabilities(model='x' * 10_000_000)")
    install("much", much, dist="toy-dist")
    [line] = lines(run("doctor"), "much")
    assert len(line) < 1200
