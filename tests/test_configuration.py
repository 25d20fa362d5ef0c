"""The configuration file and the environment: who wins, what is strict, and whom a key reaches."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import imagekit
from imagekit import (
    Client,
    ConfigurationError,
    ImageRequest,
    MissingCredentialError,
    Profile,
    RetryPolicy,
    Timeouts,
    UnknownProviderError,
    _default,
)
from imagekit._configuration import usual_file
from imagekit._fields import Defaults as Keywords
from imagekit._providers import Providers
from imagekit._settings import Defaults, Settings, Wanted
from imagekit.provider import Config
from spoken import httpx
from toys import Driver, Inside, Whole, plugins

KEY = "sk-ambient-that-must-stay-at-home-1"
EVIL = "https://evil.test/v1"


class Asked(Inside):
    """Remembers what it was asked, and by which configuration it was built."""

    def __init__(self) -> None:
        self.requests: list[ImageRequest] = []
        self.configs: list[Config] = []

    def flow(self, request: ImageRequest, *, stream: bool) -> Any:
        self.requests.append(request)
        return (yield from super().flow(request, stream=stream))

    def __call__(self, config: Config) -> Asked:
        self.configs.append(config)
        return self


@pytest.fixture
def toy() -> Asked:
    return Asked()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own folder, empty; the program runs somewhere else."""
    folder = tmp_path / "home"
    (folder / "imagekit").mkdir(parents=True)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return folder / "imagekit"


def wrote(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def client(toy: Asked, text: str | None = None, env: Mapping[str, str] = {}, **said: Any) -> Client:
    """A client whose file is *text*."""
    if text is not None:
        said["config"] = wrote(Path("here.toml"), text)
    return Client(plugins=plugins(toy=toy, other=toy), env=env, **said)


def asked(
    toy: Asked, text: str | None = None, env: Mapping[str, str] = {}, **said: Any
) -> ImageRequest:
    call = said.pop("call", {})
    with client(toy, text, env, **said) as made:
        made.generate("a cat", **call)
    return toy.requests[-1]


def wrong(toy: Asked, text: str | None, env: Mapping[str, str] = {}, **said: Any) -> str:
    """What is said of a configuration that is wrong."""
    with pytest.raises(ConfigurationError) as found:
        client(toy, text, env, **said)
    assert found.value.__cause__ is None
    return str(found.value)


# --- what it says --------------------------------------------------------------------------------

WHOLE = """
provider = "work"

[defaults]
size = [640, 480]
quality = "high"
n = 2
deadline = 60
retries = 4
raise_on_error = false
fetch = false
raw = true
debug = false
user = "me"

[defaults.options.toy]
colour = "red"

[timeouts]
connect = 2
read = 30.5

[retry]
retries = 1
base = 0.1
cap = 1
patience = 5

[profiles.work]
provider = "toy"
base_url = "http://127.0.0.1:9/v1"
model = "toy-9"
api_key_env = "WORK_KEY"
settings = { streaming = false, headers = { "x-team" = "pictures" } }

[profiles.work.defaults]
size = "1:1"
output_format = "jpg"
"""


def test_a_file_says_everything_that_a_client_takes(toy: Asked) -> None:
    request = asked(toy, WHOLE, {"WORK_KEY": "k-1"})
    assert request.model_dump(exclude_defaults=True, exclude={"prompt"}) == {
        "model": "toy-9",
        "n": 2,
        "size": "1:1",
        "quality": "high",
        "output_format": "jpeg",
        "user": "me",
        "options": {"toy": {"colour": "red"}},
    }
    config = toy.configs[0]
    assert (config.name, config.base_url, config.api_key) == (
        "work",
        "http://127.0.0.1:9/v1",
        "k-1",
    )
    assert config.settings == {"streaming": False, "headers": {"x-team": "pictures"}}
    assert (config.profile, config.ambient) == (True, False)


def test_a_file_says_how_calls_are_made(toy: Asked) -> None:
    made = client(toy, WHOLE, {"WORK_KEY": "k-1"})
    said = ("deadline", "retries", "raise_on_error")
    how = {name: made._calls.meaning.defaults[name] for name in said}
    assert how == {"deadline": 60.0, "retries": 4, "raise_on_error": False}
    policy = made._calls.meaning._retry
    assert (policy.retries, policy.base, policy.cap, policy.patience) == (1, 0.1, 1.0, 5.0)
    assert made._transport._timeouts == Timeouts(2.0, 30.5)


def test_an_error_may_be_carried_because_a_file_says_so(toy: Asked) -> None:
    made = client(toy, "provider = 'toy'\n[defaults]\nraise_on_error = false")
    response = made.generate("a cat", n=0)
    assert not response.ok
    assert "n:" in str(response.error)


def test_both_clients_and_the_modules_verbs_read_it(driver: Driver, toy: Asked) -> None:
    path = wrote(Path("here.toml"), "provider = 'toy'\n[defaults]\nseed = 3")
    made = driver.call(lambda c: c.generate("a cat"), config=path, plugins=plugins(toy=toy))
    imagekit.configure(config=str(path), plugins=plugins(toy=toy))
    try:
        assert made.ok
        assert imagekit.generate("a cat").ok
    finally:
        _default._close()
        _default._settings = {}
    assert [request.seed for request in toy.requests] == [3, 3]


def test_both_clients_are_bound_to_a_profile_by_a_given_environment(
    driver: Driver, toy: Asked
) -> None:
    path = wrote(Path("here.toml"), "[profiles.w]\nprovider = 'toy'\napi_key_env = 'W_KEY'")
    env = {"IMAGEKIT_PROVIDER": "w", "W_KEY": "k-1"}
    made = driver.call(
        lambda c: c.generate("a cat"), config=path, env=env, plugins=plugins(toy=toy)
    )
    assert (made.profile, toy.configs[0].api_key) == ("w", "k-1")


def test_what_a_file_may_say_of_a_call_is_what_a_client_may() -> None:
    """A keyword that is new in code is one in files."""
    assert set(Defaults.model_fields) == set(Keywords.__annotations__)
    assert set(Wanted.model_fields) < set(Defaults.model_fields)
    assert set(Settings.model_fields["timeouts"].annotation.model_fields) == set(  # type: ignore[union-attr]
        Timeouts.__annotations__
    )
    # To pay twice is said in code, in so many words.
    policy = set(RetryPolicy.__annotations__) - {"random", "may_charge_twice"}
    assert set(Settings.model_fields["retry"].annotation.model_fields) == policy  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["provider", "model"])
def test_a_client_or_a_call_is_bound_to_a_profile(toy: Asked, name: str) -> None:
    text = "[profiles.work]\nprovider = 'toy'\nsettings = {a = 1}"
    if name == "provider":
        assert client(toy, text, provider="work").generate("a cat").profile == "work"
    made = client(toy, text).generate("a cat", **{name: {"provider": "work"}.get(name, "work:m-1")})
    assert (made.provider, made.profile) == ("toy", "work")
    assert toy.configs[-1].settings == {"a": 1}


def test_profiles_are_among_what_can_be_named(toy: Asked) -> None:
    assert "work" in client(toy, "[profiles.work]\nprovider = 'toy'").providers()


def test_a_file_may_begin_as_windows_writes_it(toy: Asked) -> None:
    path = Path("here.toml")
    path.write_bytes(b"\xef\xbb\xbfprovider = 'toy'\r\n")
    with Client(config=path, plugins=plugins(toy=toy), env={}) as made:
        assert made.generate("a cat").ok


# --- the environment -----------------------------------------------------------------------------


def test_the_environment_says_the_same_in_nested_variables(toy: Asked) -> None:
    env = {
        "IMAGEKIT_PROVIDER": "work",
        "IMAGEKIT_DEFAULTS__SIZE": "640x480",
        "IMAGEKIT_DEFAULTS__N": "2",
        "IMAGEKIT_DEFAULTS__OPTIONS__TOY__COLOUR": "red",
        "IMAGEKIT_DEFAULTS__SEED": "",
        "IMAGEKIT_DEFAULTS__RAISE_ON_ERROR": "false",
        "IMAGEKIT_TIMEOUTS__CONNECT": "2",
        "IMAGEKIT_RETRY__RETRIES": "0",
        "IMAGEKIT_PROFILES__WORK__PROVIDER": "toy",
        "IMAGEKIT_PROFILES__WORK__BASE_URL": "http://127.0.0.1:9/v1",
        "IMAGEKIT_PROFILES__WORK__API_KEY_ENV": "WORK_KEY",
        "IMAGEKIT_PROFILES__WORK__SETTINGS__STREAMING": "false",
        "IMAGEKIT_PROFILES__WORK__DEFAULTS__QUALITY": "low",
        "IMAGEKIT_PROFILES__REST": json.dumps({"provider": "other"}),
        "WORK_KEY": "k-1",
    }
    request = asked(toy, None, env)
    assert (request.size, request.n, request.seed, request.quality) == ("640x480", 2, None, "low")
    assert request.options == {"toy": {"colour": "red"}}
    assert (toy.configs[0].base_url, toy.configs[0].api_key) == ("http://127.0.0.1:9/v1", "k-1")
    assert toy.configs[0].settings == {"streaming": "false"}
    made = client(toy, None, env)
    assert made._transport._timeouts.connect == 2
    assert made._calls.meaning._retry.retries == 0
    assert made._calls.meaning.defaults["raise_on_error"] is False
    assert made.generate("a cat", provider="rest").provider == "other"


def test_what_else_is_called_imagekit_is_no_setting(toy: Asked) -> None:
    env = {
        "IMAGEKIT_DISABLED_PLUGINS": "ghost",
        "IMAGEKIT_SERVER_TOKEN": "t-1",
        "IMAGEKIT_DEBUG": "1",
        "IMAGEKIT_RECORD_URL": "x",
        "imagekit_defaults__n": "3",
        "IMAGEKIT_Defaults__Nn": "3",
        "OTHER__THING": "x",
    }
    assert asked(toy, None, env, provider="toy").n == 1
    assert asked(toy, "[defaults]\nn = 2", env, provider="toy").n == 2


def test_a_given_environment_stands_in_place_of_the_processs(
    toy: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = wrote(Path("theirs.toml").absolute(), "[defaults]\nseed = 9")
    monkeypatch.setenv("IMAGEKIT_DEFAULTS__N", "2")
    monkeypatch.setenv("IMAGEKIT_CONFIG", str(path))
    assert (asked(toy, None, {}, provider="toy").n, toy.requests[-1].seed) == (1, None)
    with Client(provider="toy", plugins=plugins(toy=toy)) as made:
        made.generate("a cat")
    assert (toy.requests[-1].n, toy.requests[-1].seed) == (2, 9)


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"IMAGEKIT_DEFAULT__N": "1"}, "IMAGEKIT_DEFAULT__N: no such setting; there are: IMAG"),
        ({"IMAGEKIT_PROVIDER__X": "1"}, "IMAGEKIT_PROVIDER__X: no such setting"),
        ({"IMAGEKIT_DEFAULTS__SZE": "1"}, "IMAGEKIT_DEFAULTS__SZE: no such setting; there are: b"),
        ({"IMAGEKIT_DEFAULTS__N": "many"}, "IMAGEKIT_DEFAULTS__N: Input should be a valid int"),
        ({"IMAGEKIT_PROFILES__W": "x"}, "IMAGEKIT_PROFILES__W: this is a table"),
        (
            {"IMAGEKIT_PROFILES__W__SETTINGS": "sk-x"},
            "is no JSON; it is one of: IMAGEKIT_PROFILES__W__SETTINGS",
        ),
        ({"IMAGEKIT_PROFILES__W__API_KEY": "sk-x"}, "IMAGEKIT_PROFILES__W__API_KEY: a key does"),
        ({"IMAGEKIT_PROFILES__W__API_KEY_FILE": "key"}, "is a whole path, or one from ~"),
        ({"IMAGEKIT_DEFAULTS__MODEL": "m"}, "IMAGEKIT_DEFAULTS__MODEL: a model is one provider's"),
    ],
)
def test_a_variable_that_is_wrong_is_named(toy: Asked, env: dict[str, str], message: str) -> None:
    said = wrong(toy, None, env)
    assert message in said
    assert "sk-x" not in said


def test_a_key_file_may_be_named_by_the_environment(toy: Asked, tmp_path: Path) -> None:
    path = wrote(tmp_path / "key", "k-1")
    env = {
        "IMAGEKIT_PROFILES__W__PROVIDER": "toy",
        "IMAGEKIT_PROFILES__W__API_KEY_FILE": str(path),
    }
    asked(toy, None, env, provider="w")
    assert toy.configs[0].api_key() == "k-1"  # type: ignore[operator,misc]


# --- who wins ------------------------------------------------------------------------------------

FILE = """
provider = "toy"
[defaults]
n = 2
seed = 2
quality = "file"
user = "file"
[defaults.options.toy]
a = "file"
b = "file"
c = "file"
d = "file"
"""
ENV = {
    "IMAGEKIT_DEFAULTS__N": "3",
    "IMAGEKIT_DEFAULTS__SEED": "3",
    "IMAGEKIT_DEFAULTS__QUALITY": "environment",
    "IMAGEKIT_DEFAULTS__OPTIONS__TOY__A": "environment",
    "IMAGEKIT_DEFAULTS__OPTIONS__TOY__B": "environment",
    "IMAGEKIT_DEFAULTS__OPTIONS__TOY__C": "environment",
}


def test_the_call_wins_then_code_then_the_environment_then_the_file(toy: Asked) -> None:
    code: dict[str, Any] = {"n": 4, "seed": 4, "options": {"toy": {"a": "code", "b": "code"}}}
    call = {"n": 5, "options": {"toy": {"a": "call"}}}
    request = asked(toy, FILE, ENV, call=call, **code)
    assert (request.n, request.seed, request.quality, request.user) == (
        5, 4, "environment", "file",
    )  # fmt: skip
    assert request.options["toy"] == {"a": "call", "b": "code", "c": "environment", "d": "file"}


def test_the_same_order_holds_for_who_is_asked(toy: Asked) -> None:
    text = "provider = 'a'\n" + "".join(f"[profiles.{name}]\nprovider = 'toy'\n" for name in "abcd")
    env = {"IMAGEKIT_PROVIDER": "b"}
    assert client(toy, text).generate("a cat").profile == "a"
    assert client(toy, text, env).generate("a cat").profile == "b"
    assert client(toy, text, env, provider="c").generate("a cat").profile == "c"
    assert client(toy, text, env, provider="c").generate("a cat", provider="d").profile == "d"


def test_what_code_says_of_time_and_retries_stands_whole(toy: Asked) -> None:
    text = "[defaults]\nretries = 5\n[retry]\nretries = 5\n[timeouts]\nconnect = 9"
    made = client(toy, text, retry=RetryPolicy(retries=1), timeouts=Timeouts(read=3))
    assert made._calls.meaning._retry.retries == 1
    assert "retries" not in made._calls.meaning.defaults
    assert made._transport._timeouts == Timeouts(5.0, 3)


def test_profiles_are_merged_field_by_field(toy: Asked) -> None:
    text = """
[profiles.my-server]
provider = "toy"
base_url = "http://127.0.0.1:9/v1"
[profiles.my-server.settings]
a = "file"
b = "file"
[profiles.my-server.defaults]
size = "1:1"
quality = "file"
"""
    env = {
        "IMAGEKIT_PROFILES__MY_SERVER__SETTINGS__B": "environment",
        "IMAGEKIT_PROFILES__MY_SERVER__DEFAULTS__QUALITY": "environment",
    }
    request = asked(toy, text, env, provider="my-server")
    assert toy.configs[0].settings == {"a": "file", "b": "environment"}
    assert toy.configs[0].base_url == "http://127.0.0.1:9/v1"
    assert (request.size, request.quality) == ("1:1", "environment")


def test_a_key_is_one_thing_whoever_says_where_it_is(toy: Asked) -> None:
    text = "[profiles.w]\nprovider = 'toy'\napi_key_file = 'key'\n[profiles.v]\nprovider = 'toy'"
    env = {"IMAGEKIT_PROFILES__W__API_KEY_ENV": "W_KEY", "W_KEY": "k-1"}
    asked(toy, text, env, provider="w")
    assert toy.configs[0].api_key == "k-1"


def test_a_profile_in_code_replaces_the_files_whole(toy: Asked) -> None:
    text = f"[profiles.w]\nprovider = 'other'\nbase_url = '{EVIL}'\ndefaults = {{seed = 1}}"
    request = asked(toy, text, provider="w", profiles=[Profile("w", "toy", api_key="k-1")])
    assert (toy.configs[0].base_url, toy.configs[0].api_key) == (None, "k-1")
    assert request.seed is None


def test_a_profiles_defaults_are_nearer_than_those_for_all_and_code_is_nearer_still(
    toy: Asked,
) -> None:
    text = """
provider = "w"
[defaults]
size = "1:1"
quality = "all"
seed = 1
[defaults.options.toy]
a = "all"
[profiles.w]
provider = "toy"
model = "m-file"
[profiles.w.defaults]
quality = "profile"
seed = 2
[profiles.w.defaults.options.toy]
a = "profile"
b = "profile"
c = "profile"
"""
    code = {"seed": 3, "model": "m-code", "options": {"toy": {"b": "code"}}}
    request = asked(toy, text, {}, call={"options": {"toy": {"c": "call"}}}, **code)
    assert (request.size, request.quality, request.seed) == ("1:1", "profile", 3)
    assert request.options["toy"] == {"a": "profile", "b": "code", "c": "call"}
    assert request.model == "m-code"
    # The client's model is one of its own provider's.
    request = asked(toy, text, {}, call={"provider": "w"}, provider="other", model="m-code")
    assert request.model == "m-file"


MODEL = "provider = 'toy'\n[defaults]\nmodel = 'm-file'"


@pytest.mark.parametrize(
    ("text", "env", "said", "model"),
    [
        (MODEL, {}, {}, "m-file"),
        (MODEL, {}, {"provider": "toy"}, "m-file"),
        (MODEL, {}, {"call": {"provider": "toy"}}, "m-file"),
        (MODEL, {}, {"provider": "other"}, None),
        (MODEL, {}, {"call": {"provider": "other"}}, None),
        (MODEL, {"IMAGEKIT_PROVIDER": "other"}, {}, None),
        (MODEL, {"IMAGEKIT_PROVIDER": "toy"}, {}, "m-file"),
        (MODEL, {"IMAGEKIT_DEFAULTS__MODEL": "m-env"}, {}, "m-env"),
        (MODEL, {"IMAGEKIT_DEFAULTS__MODEL": "m-env"}, {"provider": "other"}, None),
        (
            None,
            {"IMAGEKIT_PROVIDER": "toy", "IMAGEKIT_DEFAULTS__MODEL": "m-env"},
            {"provider": "toy"},
            "m-env",
        ),
        ("[defaults]\nmodel = 'toy:m-file'", {}, {}, "m-file"),
        ("[defaults]\nmodel = 'toy:m-file'", {}, {"provider": "toy"}, "m-file"),
        ("[defaults]\nmodel = 'toy:m-file'", {}, {"provider": "other"}, None),
    ],
)
def test_a_model_goes_with_its_provider(
    toy: Asked, text: str | None, env: dict[str, str], said: dict[str, Any], model: str | None
) -> None:
    assert asked(toy, text, env, **said).model == model


# --- strict --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "colour = 1",
            "colour: no such setting; there are: budget, cache, defaults, images_per_minute, ",
        ),
        ("Provider = 'toy'", "Provider: no such setting"),
        ("provider = 3", "provider: Input should be a valid string"),
        ("[defaults]\nsze = 1", "defaults.sze: no such setting; there are: background, check_ma"),
        ("[defaults]\nprompt = 'x'", "defaults.prompt: no such setting"),
        ("[defaults]\nsize = 'big'", "defaults.size: a size is pixels"),
        ("[defaults]\ndeadline = 0", "defaults.deadline: Input should be greater than 0"),
        ("[defaults]\ndeadline = inf", "defaults.deadline: Input should be a finite number"),
        ("[defaults.options]\nx = 1", "defaults.options.x: this is a table, and not one value"),
        ("defaults = 1", "defaults: this is a table, and not one value"),
        ("[timeouts]\nwrite = 1", "timeouts.write: no such setting; there are: connect, read"),
        ("[retry]\ntries = 1", "retry.tries: no such setting; there are: base, cap, patience, re"),
        ("[retry]\nretries = -1", "retry.retries: Input should be greater than or equal to 0"),
        ("profiles = 1", "profiles: this is a table"),
        ("[profiles]\nw = 1", "profiles.w: this is a table"),
        ("[profiles.w]\nurl = 'x'", "profiles.w.url: no such setting; there are: api_key_env, "),
        ("[profiles.w]\nsettings = 1", "profiles.w.settings: this is a table"),
        ("[profiles.w.defaults]\ndeadline = 1", "profiles.w.defaults.deadline: no such setting; "),
        ("[profiles.defaults]\nsize = 1", "profiles.defaults.size: no such setting; there are: a"),
        ("[profiles.'a:b']", "profiles.a:b: a profile is called by letters, digits"),
        ("[profiles.w]\napi_key_env = 'a b'", "profile 'w': api_key_env is the name of"),
        ("[profiles.w]\napi_key_env = 'A'\napi_key_file = 'b'", "profile 'w' has one key: say "),
        ("[defaults]\nmodel = 'm'", "defaults.model: a model is one provider's: say provider besi"),
        ("provider = ", "it is no TOML: Invalid value (at"),
        ("provider = 'a'\nprovider = 'b'", "it is no TOML: Cannot overwrite a value"),
        ("a = " + "[" * 2000, "it nests too deeply"),
    ],
)
def test_what_is_wrong_in_a_file_is_one_clear_line(toy: Asked, text: str, message: str) -> None:
    said = wrong(toy, text)
    assert said.startswith(str(Path("here.toml").absolute()))
    assert message in said
    assert "\n" not in said


@pytest.mark.parametrize(
    "text",
    [
        "api_key = 'sk-x'",
        "[defaults]\napi_key = 'sk-x'",
        "[profiles.w]\napi_key = 'sk-x'",
        "[profiles.w.settings]\napi_key = 'sk-x'",
    ],
)
def test_a_key_does_not_stand_in_the_file(toy: Asked, text: str) -> None:
    said = wrong(toy, text)
    assert all(word in said for word in ("api_key_env", "api_key_file", "api_key_keyring"))
    assert "sk-x" not in said


def test_an_option_that_is_called_a_key_is_its_providers_affair(toy: Asked) -> None:
    request = asked(toy, "provider = 'toy'\n[defaults.options.toy]\napi_key = 'x'")
    assert request.options == {"toy": {"api_key": "x"}}


def _no_text(path: Path) -> None:
    path.write_bytes(b"provider = '\xff'")


def _large(path: Path) -> None:
    path.write_text("#" * (2**20 + 1))


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (_no_text, "it is no text in UTF-8"),
        (_large, "it is larger than 1048576 bytes"),
        (Path.mkdir, "it is no plain file"),
        (lambda path: os.mkfifo(path), "it is no plain file"),
        (lambda path: path.symlink_to("nowhere"), "No such file"),
        (lambda path: path.symlink_to(path), "Too many levels"),
    ],
)
def test_what_is_no_configuration_is_one_clear_line(
    toy: Asked, make: Callable[[Path], object], why: str
) -> None:
    path = Path("here.toml").absolute()
    make(path)
    assert why in wrong(toy, None, config=path)
    assert why in wrong(toy, None, {"IMAGEKIT_CONFIG": str(path)})


# --- which file ----------------------------------------------------------------------------------


def test_the_file_of_the_users_own_folder_is_read_where_none_is_named(
    toy: Asked, home: Path
) -> None:
    assert usual_file() == home / "imagekit.toml"
    assert asked(toy, provider="toy").n == 1
    wrote(home / "imagekit.toml", "[defaults]\nn = 2")
    assert asked(toy, provider="toy").n == 2
    assert asked(toy, provider="toy", config=False).n == 1


def test_a_named_file_is_read_in_place_of_it(toy: Asked, home: Path, tmp_path: Path) -> None:
    wrote(home / "imagekit.toml", "[defaults]\nn = 2\nseed = 2")
    named = wrote(tmp_path / "named.toml", "[defaults]\nn = 3")
    env = {"IMAGEKIT_CONFIG": str(named)}
    assert (asked(toy, None, env, provider="toy").n, toy.requests[-1].seed) == (3, None)
    assert asked(toy, "[defaults]\nn = 4", env, provider="toy").n == 4
    assert asked(toy, None, env, provider="toy", config=False).n == 1
    nothing = {"IMAGEKIT_CONFIG": os.devnull}
    assert asked(toy, None, nothing, provider="toy").n == 1
    assert asked(toy, None, {"IMAGEKIT_CONFIG": ""}, provider="toy").n == 2


def test_a_file_may_be_named_from_home(
    toy: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    wrote(tmp_path / "mine.toml", "[defaults]\nn = 3")
    env = {"IMAGEKIT_CONFIG": "~/mine.toml"}
    assert asked(toy, None, env, provider="toy").n == 3
    assert asked(toy, provider="toy", config="~/mine.toml").n == 3


def test_a_named_file_that_is_not_there_is_an_error(toy: Asked, tmp_path: Path) -> None:
    path = str(tmp_path / "nowhere.toml")
    assert wrong(toy, None, config=path) == f"config= names {path}, which is not there"
    said = wrong(toy, None, {"IMAGEKIT_CONFIG": path})
    assert said == f"IMAGEKIT_CONFIG names {path}, which is not there"


def test_where_nobody_knows_the_home_there_is_no_file_of_ones_own(
    toy: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: object, **__: object) -> Path:
        raise RuntimeError("no home")

    monkeypatch.setattr("platformdirs.user_config_path", lost)
    assert usual_file() is None
    assert asked(toy, provider="toy").n == 1
    monkeypatch.setattr(Path, "expanduser", lost)
    with pytest.raises(ConfigurationError, match="begins with ~, and nobody knows"):
        client(toy, None, {"IMAGEKIT_CONFIG": "~/mine.toml"})


def test_a_key_file_lies_beside_the_file_that_names_it(toy: Asked, home: Path) -> None:
    """Also where the file is a link, and wherever the program goes afterwards."""
    elsewhere = home / "dotfiles"
    elsewhere.mkdir()
    text = "provider = 'w'\n[profiles.w]\nprovider = 'toy'\napi_key_file = 'key'"
    (home / "imagekit.toml").symlink_to(wrote(elsewhere / "imagekit.toml", text))
    wrote(home / "key", "k-home")
    wrote(elsewhere / "key", "k-elsewhere")
    wrote(Path("key"), "k-work")
    asked(toy)
    with Client(config=os.path.relpath(home / "imagekit.toml"), plugins=plugins(toy=toy)) as made:
        os.chdir(home.parent)
        made.generate("a cat")
    assert [config.api_key() for config in toy.configs] == ["k-home"] * 2  # type: ignore[operator,misc]


# --- whom a key reaches --------------------------------------------------------------------------


class Thief:
    """Whoever is asked; keeps what came, and whence."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str | None]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        key = request.headers.get("authorization") or request.headers.get("api-key")
        self.seen.append((request.url.host, key))
        return httpx.Response(200, json={"created": 1, "data": []})


def openai(config: Any = None, env: Mapping[str, str] = {}, **said: Any) -> Thief:
    """Who sees a key when the real plugin is asked, with one in the environment."""
    thief = Thief()
    call = said.pop("call", {})
    env = {"OPENAI_API_KEY": KEY, "AZURE_OPENAI_API_KEY": KEY, **env}
    http = httpx.Client(transport=httpx.MockTransport(thief))
    with http, Client(config=config, http=http, env=env, raise_on_error=False, **said) as client:
        response = client.generate("a cat", **{"provider": "openai-images", **call})
    if response.error is not None and not thief.seen:
        raise response.error
    return thief


HOME = ("api.openai.com", f"Bearer {KEY}")
TRAP = f"""
provider = "openai-images"
[profiles.openai-images]
base_url = "{EVIL}"
api_key_env = "OPENAI_API_KEY"
[profiles.openai-images.settings.headers]
x-trap = "1"
"""


@pytest.fixture
def cloned() -> Path:
    """A repository that somebody else wrote, with all that other programs would read."""
    root = Path.cwd()
    for folder in (root, root / "imagekit", root / ".config" / "imagekit", root / "~" / ".config"):
        folder.mkdir(parents=True, exist_ok=True)
        wrote(folder / "imagekit.toml", TRAP)
    (root / "~" / ".config" / "imagekit").mkdir()
    wrote(root / "~" / ".config" / "imagekit" / "imagekit.toml", TRAP)
    wrote(root / ".imagekit.toml", TRAP)
    base = f"IMAGEKIT_PROFILES__OPENAI_IMAGES__BASE_URL={EVIL}\nOPENAI_BASE_URL={EVIL}\n"
    wrote(root / ".env", f"{base}IMAGEKIT_CONFIG={root}/imagekit.toml\n")
    table = TRAP.replace("[profiles", "[tool.imagekit.profiles").replace(
        "\nprov", "\n[tool.imagekit]\nprov"
    )
    wrote(root / "pyproject.toml", table)
    wrote(root / "secrets", KEY)
    return root


def test_a_cloned_repository_sends_no_key_anywhere(cloned: Path) -> None:
    assert openai().seen == [HOME]


def test_a_cloned_repository_is_not_read_when_a_folder_in_it_is_worked_in(
    cloned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(cloned / "imagekit")
    assert openai().seen == [HOME]


@pytest.mark.parametrize("folder", ["", ".", ".config", "~/.config"])
def test_a_folder_of_ones_own_is_never_the_one_that_is_worked_in(
    cloned: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", folder)
    for home in ("", ".", str(cloned.parent)):
        monkeypatch.setenv("HOME", home)
        usual = usual_file()
        assert usual is None or not usual.is_relative_to(cloned)
        assert openai().seen == [HOME]


def test_a_library_that_gives_a_relative_folder_is_not_believed(
    cloned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "platformdirs.user_config_path", lambda *_, **__: Path("~/.config/imagekit")
    )
    assert usual_file() is None
    assert openai().seen == [HOME]


@pytest.mark.parametrize("name", ["imagekit.toml", "./imagekit.toml", "../cloned/imagekit.toml"])
def test_the_environment_names_no_file_relative_to_where_one_works(cloned: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="IMAGEKIT_CONFIG must name a file by its whole"):
        openai(env={"IMAGEKIT_CONFIG": name})
    with pytest.raises(ConfigurationError, match="IMAGEKIT_CONFIG must name a file by its whole"):
        Client(env={"IMAGEKIT_CONFIG": name}, provider="openai-images")


def test_what_code_names_is_read_wherever_it_lies(cloned: Path) -> None:
    """Whoever names a file trusts it: what it says of keys is what its user says."""
    assert openai(config="imagekit.toml").seen == [("evil.test", f"Bearer {KEY}")]


@pytest.mark.parametrize("place", ["file", "environment"])
@pytest.mark.parametrize("provider", ["openai-images", "openai-responses"])
def test_a_profile_that_shadows_a_provider_gets_no_key_that_it_does_not_name(
    place: str, provider: str
) -> None:
    config: Any = None
    env = {}
    if place == "file":
        config = wrote(Path("own.toml"), f"[profiles.{provider}]\nbase_url = '{EVIL}'")
        name = provider
    else:
        name = provider.replace("-", "_")
        env = {
            f"IMAGEKIT_PROFILES__{name.upper()}__PROVIDER": provider,
            f"IMAGEKIT_PROFILES__{name.upper()}__BASE_URL": EVIL,
        }
    thief = openai(config, env, call={"provider": name})
    assert thief.seen == [("evil.test", None)]


@pytest.mark.parametrize(
    "address", ["endpoint = 'https://evil.openai.azure.com'", "resource = 'evil'"]
)
def test_an_address_in_a_profiles_settings_gets_no_key_either(address: str) -> None:
    text = f"[profiles.openai-images.settings.azure]\ndeployment = 'd'\n{address}"
    with pytest.raises(MissingCredentialError, match="no key for the Azure resource"):
        openai(wrote(Path("own.toml"), text))


@pytest.mark.parametrize(
    "said",
    [{"api_key": "k-code"}, {"base_url": "https://code.test/v1"}, {"settings": {"project": "p"}}],
)
def test_what_code_says_of_a_provider_never_meets_what_a_file_says_of_it(
    said: dict[str, Any],
) -> None:
    path = wrote(
        Path("own.toml"),
        f"[profiles.openai-images]\nbase_url = '{EVIL}'\napi_key_env = 'FILE_KEY'",
    )
    thief = openai(path, {"FILE_KEY": "k-file"}, provider="openai-images", **said)
    host = "code.test" if "base_url" in said else "api.openai.com"
    key = said.get("api_key", KEY)
    assert thief.seen == [(host, f"Bearer {key}")]


def test_what_code_says_of_a_profile_is_said_in_the_profile(toy: Asked) -> None:
    text = "[profiles.w]\nprovider = 'toy'"
    said = wrong(toy, text, provider="w", api_key="k-code")
    assert "'w' is a profile in " in said
    assert "here.toml and has its own api_key, base_url and settings: say them there" in said


def test_a_profile_without_a_base_url_uses_the_providers_own_key() -> None:
    path = wrote(Path("own.toml"), "[profiles.w]\nprovider = 'openai-images'")
    assert openai(path, call={"provider": "w"}).seen == [HOME]


def test_the_environment_may_send_a_files_key_elsewhere_for_both_are_ones_own() -> None:
    path = wrote(
        Path("own.toml"), "[profiles.w]\nprovider = 'openai-images'\napi_key_env = 'W_KEY'"
    )
    env = {"W_KEY": "k-w", "IMAGEKIT_PROFILES__W__BASE_URL": "https://mine.test/v1"}
    assert openai(path, env, call={"provider": "w"}).seen == [("mine.test", "Bearer k-w")]


# --- profiles that are wrong ---------------------------------------------------------------------


@pytest.mark.parametrize("env", [{}, {"IMAGEKIT_PROFILES__WORK__MODEL": "m"}])
def test_a_profile_that_says_no_provider_is_called_as_one(toy: Asked, env: dict[str, str]) -> None:
    made = client(toy, "[profiles.work]\nbase_url = 'https://toy.test'\n[profiles.toy]", env)
    assert made.generate("a cat", provider="toy").profile == "toy"
    with pytest.raises(UnknownProviderError) as found:
        made.generate("a cat", provider="work")
    place = f"{Path('here.toml').absolute()}{' and the environment' if env else ''}"
    assert f"profile 'work' in {place} says no provider, and none is called" in str(found.value)


def test_a_base_url_that_is_none_says_whose_it_is(toy: Asked) -> None:
    made = client(toy, "[profiles.work]\nprovider = 'toy'\nbase_url = 'https://me:pw@toy.test'")
    with pytest.raises(ConfigurationError) as found:
        made.generate("a cat", provider="work")
    assert "profile 'work' in " in str(found.value)
    assert "must not hold a user name" in str(found.value)
    assert "pw" not in str(found.value)


def test_a_base_url_of_the_client_itself_is_nobodys_profile(toy: Asked) -> None:
    made = client(toy, None, provider="toy", base_url="toy.test")
    with pytest.raises(ConfigurationError, match=r"^base_url 'toy\.test' must begin with"):
        made.generate("a cat")


# --- what is not said ----------------------------------------------------------------------------


def test_no_secret_is_in_a_repr_an_error_or_a_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    # With this the library that reads the settings would log each of them.
    monkeypatch.setenv("PYDANTIC_SETTINGS_DEBUG", "1")
    secrets = {
        name: f"s3cret-of-{name}-0123" for name in ("env", "file", "code", "header", "query")
    }
    text = f"""
[profiles.env]
provider = "toy"
base_url = "https://toy.test/v1?sig={secrets["query"]}"
api_key_env = "THEIR_KEY"
settings = {{ headers = {{ authorization = "{secrets["header"]}" }} }}
[profiles.file]
provider = "toy"
api_key_file = "key"
"""
    wrote(tmp_path / "key", secrets["file"])
    path = wrote(tmp_path / "imagekit.toml", text)
    configs: list[Config] = []

    def made(config: Config) -> Whole:
        configs.append(config)
        return Whole(config.base_url or "https://toy.test", config.api_key)

    def answer(request: httpx.Request) -> httpx.Response:
        # Whoever refuses a key likes to quote it.
        return httpx.Response(401, json={"error": request.headers.get("authorization", "")})

    env = {"THEIR_KEY": secrets["env"]}
    words = [repr(Profile("c", "toy", api_key=secrets["code"]))]
    http = httpx.Client(transport=httpx.MockTransport(answer))
    profile = Profile("code", "toy", api_key=secrets["code"])
    with http:
        client = Client(
            config=path, env=env, http=http, plugins=plugins(toy=made), profiles=[profile]
        )
        words += [repr(client), repr(vars(client._calls.providers)["profiles"])]
        words.append(repr(client._calls.providers))
        for name in ("env", "file", "code"):
            with pytest.raises(imagekit.ImagekitError) as found:
                client.generate("a cat", provider=name)
            words.append("".join(traceback.format_exception(found.value)))
    words += [repr(config) for config in configs]
    # The HTTP library logs whole URLs at its own level, in its own name.
    words += [record.getMessage() for record in caplog.records if record.name != "httpx"]
    said = "\n".join(words)
    assert len(configs) == 3
    assert not [name for name, secret in secrets.items() if secret in said]


def test_a_client_without_a_configuration_loads_nothing_for_one(tmp_path: Path, home: Path) -> None:
    code = (
        "import sys, imagekit\nimagekit.Client()\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )

    def loaded(**env: str) -> set[str]:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            env={**os.environ, "IMAGEKIT_DEBUG": "1", "IMAGEKIT_SERVER_TOKEN": "t", **env},
            capture_output=True,
            text=True,
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stderr
        return set(done.stdout.split())

    heavy = {"pydantic_settings", "keyring", "dotenv", "tomllib"}
    assert not loaded() & heavy
    assert "pydantic_settings" in loaded(IMAGEKIT_DEFAULTS__N="2")
    wrote(home / "imagekit.toml", "")
    assert "pydantic_settings" in loaded()
    assert not loaded() & {"keyring"}


def test_the_providers_of_a_client_may_be_made_without_a_configuration() -> None:
    who = Providers("toy", Profile("", ""), (), None, {})
    assert who.usual == "toy"
