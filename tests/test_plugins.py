from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from imagekit import ConfigurationError, PluginError, Plugins, UnknownProviderError
from imagekit._installed import disabled, installed, names, nobody_called
from imagekit.provider import Config, hookimpl
from planted import GOOD, Install
from toys import Inside, Plugged, Watcher, plugins


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    return Install(tmp_path, monkeypatch)


def build(name: str, found: Plugins | None = None) -> Any:
    return (found or Plugins()).provider(name, Config(name))


# What is installed


def test_an_installed_provider_is_listed_with_its_distribution(install: Install) -> None:
    install("easel", dist="toy-easel-dist")
    (found,) = [one for one in installed() if one.name == "easel"]
    assert found.module == "toy_easel"
    assert (found.distribution, found.version) == ("toy-easel-dist", "1.2")
    assert "easel" in names()


def test_listing_imports_nothing(install: Install) -> None:
    install("easel", "raise AssertionError('imported')")
    assert "easel" in names()
    assert "easel" in {one.name for one in installed()}
    assert "easel" in Plugins().names()
    assert "toy_easel" not in sys.modules


def test_an_installed_provider_is_imported_on_first_use(install: Install) -> None:
    install("easel")
    assert "toy_easel" not in sys.modules
    assert build("easel").endpoint is None
    assert "toy_easel" in sys.modules


def test_an_unknown_name_imports_nothing_and_warns_of_nothing(
    install: Install, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    install("easel", "raise AssertionError('imported')")
    with pytest.raises(UnknownProviderError, match=r"no provider 'eassel'; there are: .*easel"):
        build("eassel")
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_name_that_two_distributions_claim_is_refused_before_either_is_imported(
    install: Install,
) -> None:
    install("easel", "raise AssertionError('imported')", module="toy_easel_a")
    install("easel", "raise AssertionError('imported')", module="toy_easel_b")
    with pytest.raises(PluginError, match="installed twice: toy_easel_a, toy_easel_b"):
        build("easel")


def test_a_doubled_name_is_listed_twice_and_named_once(install: Install) -> None:
    install("easel", module="toy_easel_a")
    install("easel", module="toy_easel_b")
    assert [one.module for one in installed() if one.name == "easel"] == [
        "toy_easel_a",
        "toy_easel_b",
    ]
    assert names().count("easel") == 1


def test_a_doubled_name_leaves_the_others_alone(install: Install) -> None:
    install("easel", module="toy_easel_a")
    install("easel", module="toy_easel_b")
    install("other")
    assert build("other") is not None


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("import nothing_of_that_name", "ModuleNotFoundError"),
        ("raise SystemExit('bye')", "SystemExit"),
        ("this is no python", "SyntaxError"),
    ],
)
def test_a_plugin_that_does_not_import_is_one_clear_error(
    install: Install, code: str, why: str
) -> None:
    install("easel", code)
    with pytest.raises(PluginError, match=rf"provider 'easel' does not import: {why}"):
        build("easel")


def test_ctrl_c_while_a_plugin_is_imported_is_ctrl_c(install: Install) -> None:
    install("easel", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        build("easel")


def test_an_entry_point_that_names_nothing_is_one_clear_error(install: Install) -> None:
    install("easel", point=":nothing")
    with pytest.raises(PluginError, match="does not import"):
        build("easel")


def test_an_entry_point_that_names_none_is_one_clear_error(install: Install) -> None:
    install("easel", "nothing = None", point=":nothing")
    with pytest.raises(PluginError, match="no imagekit_provider"):
        build("easel")


def test_a_falsy_plugin_object_is_the_object_and_not_its_class(install: Install) -> None:
    code = GOOD.replace("def imagekit_provider(config)", "def imagekit_provider(self, config)")
    head, _, hook = code.partition("@hookimpl")
    falsy = f"{head}class Falsy:\n    def __bool__(self): return False\n    @hookimpl"
    install("easel", f"{falsy}{hook.replace(chr(10), chr(10) + '    ')}\nit = Falsy()", point=":it")
    assert build("easel").endpoint is None


NAMED = GOOD.replace("Provider()", "Provider(config.name)").replace(
    "    endpoint = None", "    endpoint = None\n    def __init__(self, name): self.name = name"
)
METHOD = """
class Plugin:
    @hookimpl
    def imagekit_provider(self, config): return Provider(config.name)
it = Plugin()
"""


@pytest.mark.parametrize(("code", "point"), [(NAMED, ""), (NAMED + METHOD, ":it")])
def test_one_plugin_may_be_two_providers_told_apart_by_their_names(
    install: Install, code: str, point: str
) -> None:
    install("easel", code, module="toy_both", point=point, dist="a")
    install("brush", code, module="toy_both", point=point, dist="b")
    found = Plugins()
    made = [build(name, found).name for name in ("easel", "brush", "easel")]
    assert made == ["easel", "brush", "easel"]


def test_a_disabled_provider_is_not_there(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("easel", "raise AssertionError('imported')")
    install("other")
    monkeypatch.setenv("IMAGEKIT_DISABLED_PLUGINS", " easel , sketch")
    assert "easel" not in names()
    assert "other" in names()
    with pytest.raises(UnknownProviderError, match="no provider 'easel'"):
        build("easel")


def test_disabled_providers_are_a_comma_separated_list() -> None:
    assert disabled({"IMAGEKIT_DISABLED_PLUGINS": "a, b,,"}) == {"a", "b"}
    assert disabled({}) == frozenset()


def test_a_fresh_interpreter_lists_without_importing_and_keeps_its_cache_where_it_is_told(
    install: Install, tmp_path: Path
) -> None:
    install("easel", "raise AssertionError('imported')")
    code = (
        "import logging, sys; logging.basicConfig(level=logging.WARNING)\n"
        "import imagekit; print(imagekit.providers())\n"
        "assert not [m for m in sys.modules if m.startswith(('toy_', 'imagekit_'))]\n"
    )
    path = os.pathsep.join((str(tmp_path), os.environ.get("PYTHONPATH", "")))
    env = {**os.environ, "PYTHONPATH": path, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "'easel'" in done.stdout
    assert done.stderr == ""


# What is chosen


def test_with_nothing_installed_the_error_says_what_to_install() -> None:
    error = nobody_called(None, ())
    assert isinstance(error, UnknownProviderError)
    assert str(error) == (
        "no provider is installed; `pip install imagekit-sketch` needs no key, "
        "the README lists the others"
    )


def test_with_nothing_chosen_the_error_says_how_to_choose() -> None:
    error = nobody_called(None, ("a", "b"))
    assert isinstance(error, ConfigurationError)
    assert str(error) == (
        "no provider is chosen: pass provider=, or set IMAGEKIT_PROVIDER; there are: a, b"
    )


# What is registered


def test_a_provider_may_be_registered_instead_of_installed() -> None:
    provider = Inside()
    found = plugins(toy=provider)
    assert build("toy", found) is provider
    assert "toy" in found.names()


def test_an_observer_is_no_provider() -> None:
    found = Plugins()
    found.register(Watcher(), "watcher")
    assert "watcher" not in found.names()


def test_what_is_unregistered_is_gone() -> None:
    found, plugin = Plugins(), Plugged(Inside())
    found.register(plugin, "toy")
    found.unregister(plugin)
    assert "toy" not in found.names()


class Unmarked:
    def imagekit_provider(self, config: Config) -> Inside:
        return Inside()


class Misspelt:
    @hookimpl
    def imagekit_provder(self, config: Config) -> Inside:
        return Inside()


class Greedy:
    @hookimpl
    def imagekit_provider(self, config: Config, colour: str) -> Inside:
        return Inside()


class Raises:
    @hookimpl
    def imagekit_provider(self, config: Config) -> Inside:
        raise ZeroDivisionError


class Modest:
    @hookimpl
    def imagekit_provider(self) -> Inside:
        return Inside()


def test_a_method_without_its_mark_is_an_error_that_says_so() -> None:
    found = Plugins()
    found.register(Unmarked(), "toy")
    with pytest.raises(PluginError, match="no imagekit_provider marked @hookimpl"):
        build("toy", found)


@pytest.mark.parametrize("named", ["toy", None])
def test_a_misspelt_hook_is_refused(named: str | None) -> None:
    with pytest.raises(PluginError, match="imagekit_provder"):
        Plugins().register(Misspelt(), named)


@pytest.mark.parametrize("named", ["toy", None])
def test_a_hook_that_takes_what_its_spec_does_not_give_is_refused(named: str | None) -> None:
    with pytest.raises(PluginError, match="colour"):
        Plugins().register(Greedy(), named)


@pytest.mark.parametrize("named", ["bad", None])
@pytest.mark.parametrize("wrong", [Misspelt, Greedy])
def test_a_plugin_that_is_refused_leaves_no_trace(wrong: type, named: str | None) -> None:
    found = Plugins()
    with pytest.raises(PluginError):
        found.register(wrong(), named)
    found.register(Plugged(Inside()), "toy")
    assert build("toy", found) is not None
    assert "bad" not in found.names()


def test_a_hook_may_take_fewer_arguments() -> None:
    found = Plugins()
    found.register(Modest(), "toy")
    assert build("toy", found) is not None


def test_a_name_is_given_once() -> None:
    found = plugins(toy=Inside())
    with pytest.raises(PluginError, match="already registered"):
        found.register(Plugged(Inside()), "toy")


def test_registering_again_is_refused_and_leaves_the_first_in_place() -> None:
    found, plugin = Plugins(), Plugged(Inside())
    found.register(plugin, "toy")
    with pytest.raises(PluginError, match="already registered"):
        found.register(plugin, "toy")
    assert build("toy", found) is not None


@dataclass
class Data:
    size: int = 1

    @hookimpl
    def imagekit_provider(self, config: Config) -> Inside:
        return Inside()


@dataclass(frozen=True)
class Frozen:
    size: int = 1

    @hookimpl
    def imagekit_call_finished(self) -> None: ...


def test_a_dataclass_is_refused_before_it_breaks_other_plugins() -> None:
    found = plugins(toy=Inside())
    with pytest.raises(PluginError, match="unhashable"):
        found.register(Data(), "data")
    assert build("toy", found) is not None


def test_one_that_equals_another_is_refused_and_leaves_the_other_in_place() -> None:
    found = plugins(Frozen())
    with pytest.raises(PluginError, match="already registered"):
        found.register(Frozen(), "again")
    assert len(found.managers()) == 1


def test_a_provider_that_cannot_be_built_is_one_clear_error() -> None:
    found = Plugins()
    found.register(Raises(), "toy")
    with pytest.raises(PluginError, match=r"'toy' cannot be built: ZeroDivisionError"):
        build("toy", found)


def test_a_providers_own_error_stays_its_own() -> None:
    def make(config: Config) -> Inside:
        raise ConfigurationError("say which region")

    with pytest.raises(ConfigurationError, match="which region"):
        build("toy", plugins(toy=make))


def test_a_provider_that_is_none_is_one_clear_error() -> None:
    with pytest.raises(PluginError, match="or it returned None"):
        build("toy", plugins(toy=lambda config: None))


@pytest.mark.parametrize("missing", ["endpoint", "capabilities", "flow"])
def test_a_provider_that_lacks_something_is_one_clear_error(missing: str) -> None:
    class Nonsense:
        pass

    for name in {"endpoint", "capabilities", "flow"} - {missing}:
        setattr(Nonsense, name, None)
    with pytest.raises(PluginError, match=f"has no '{missing}'"):
        build("toy", plugins(toy=lambda config: Nonsense()))


def test_only_the_plugin_of_that_name_is_asked_to_build() -> None:
    first, second = Plugged(Inside()), Plugged(Inside())
    found = Plugins()
    found.register(first, "first")
    found.register(second, "second")
    build("first", found)
    assert (first.built, second.built) == (1, 0)


def test_a_plugin_is_built_from_the_configuration() -> None:
    seen: list[Config] = []

    def make(config: Config) -> Inside:
        seen.append(config)
        return Inside()

    config = Config("toy", api_key="k", base_url="https://toy.test", settings={"a": 1})
    plugins(toy=make).provider("toy", config)
    assert seen == [config]


def test_threads_import_a_plugin_once(install: Install) -> None:
    install("easel", f"import time; time.sleep(0.05){GOOD}")
    found, built = Plugins(), []
    threads = [threading.Thread(target=lambda: built.append(build("easel", found))) for _ in "123"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 3
