"""What a host is asked, in whichever form it came; and providers that few of the rules fit."""

from __future__ import annotations

import os
from typing import Any

import pytest
from PIL import Image as Pillow

from conforming import Good, Plugin, WholeSuite
from imagekit import Allowed, ConfigurationError
from imagekit.provider import Config
from imagekit.testing import Asked, FormField, conforms
from toys import picture

URL = "https://host.test/v1/pictures?a=1"
FORM = {"content-type": "application/x-www-form-urlencoded"}
PART = (
    b'--x\r\ncontent-disposition: form-data; name="image"; filename="a.png"\r\n\r\none\r\n--x--\r\n'
)


def test_a_form_is_read_however_it_is_written() -> None:
    asked = Asked("POST", URL, FORM, b"prompt=a+caf%C3%A9&n=2&n=")
    assert asked.form() == (
        FormField("prompt", "a café".encode()),
        FormField("n", b"2"),
        FormField("n", b""),
    )
    assert asked.fields() == {"prompt": "a café", "n": ""}
    assert asked.files() == ()
    kind = {"content-type": "multipart/form-data; boundary=x"}
    [file] = Asked("POST", URL, kind, PART).files()
    assert (file.name, file.data, file.filename) == ("image", b"one", "a.png")


def test_the_shape_of_a_request_is_plain_and_without_credentials() -> None:
    secret = {**FORM, "authorization": "Bearer x", "x-key": "x", "accept": "image/*"}
    shape = Asked("POST", URL, secret, b"n=2").shape()
    assert shape == ["POST", "/v1/pictures", {"a": "1"}, {"accept": "image/*"}, [["n", "2"]]]
    raw = Asked("PUT", URL, {}, b"\0raw").shape()
    assert raw[-1].startswith("bytes ")
    assert Asked("GET", URL).shape()[-1] is None


def test_pictures_are_told_by_their_pixels() -> None:
    opened = Pillow.new("RGB", (2, 2), "red")
    values = {"image": opened, "list": [1, None, True], "made": object(), "name": "otto"}
    shape = Asked("CALL", "draw", values=values).shape()
    assert shape[0:2] == ["CALL", "draw"]
    assert shape[2]["image"].startswith("picture 2x2 ")
    assert (shape[2]["list"], shape[2]["made"]) == ([1, None, True], "<class 'object'>")
    kind = {"content-type": "image/png"}
    assert Asked("PUT", URL, kind, picture()).shape()[-1].startswith("picture 1x1 ")


def verdict(rule: str, provider: type[Any], **said: Any) -> str:
    suite = type("Odd", (WholeSuite,), {"plugin": Plugin(provider), **said})
    [outcome] = conforms(suite, {f"test_{rule}"})
    return f"{outcome.verdict}: {outcome.why}"


class Unspeakable(Good):
    able = Good.able.model_copy(update={"parameters": {"seed": Allowed(values=("a lot",))}})


class AtHome(Good):
    """Has one address, and takes no other."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        if config.base_url:
            raise ConfigurationError("there is one address")


class Wordless(Good):
    able = Good.able.model_copy(update={"operations": frozenset({"variation"})})


class Nosy(Good):
    """Reads all of the environment, name by name."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        assert len([*os.environ]) == len(os.environ)


@pytest.mark.parametrize(
    ("rule", "provider", "told"),
    [
        ("values_are_spelt_as_a_request_has_them", Unspeakable, "seed cannot be 'a lot'"),
        ("a_base_url_of_the_callers_is_where_it_asks", AtHome, "takes no base_url"),
        ("the_prompt_reaches_the_wire_unchanged", Wordless, "it takes no words"),
        ("the_environment_is_read_through_config_only", Nosy, "read for all of it"),
    ],
)
def test_odd_providers_are_told_apart(rule: str, provider: type[Any], told: str) -> None:
    assert told in verdict(rule, provider)
