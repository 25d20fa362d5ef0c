from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, field_validator

from imagekit import ConfigurationError, ImageRequest, RequestError
from imagekit.provider import Config, HttpRequest, bearer, options, settings
from imagekit.testing import play


class Wanted(BaseModel):
    style: str = "plain"
    depth: int = 1

    @field_validator("depth")
    @classmethod
    def _shallow(cls, depth: int) -> int:
        if depth > 9:
            raise ValueError("too deep")
        return depth


def asked(given: Any) -> Wanted:
    return options(ImageRequest(prompt="x", options=given), Wanted)


def configured(given: Any) -> Wanted:
    return settings(Config("toy", settings=given), Wanted)


@pytest.mark.parametrize("given", [{}, {"toy": {}}])
def test_no_options_are_the_defaults(given: Any) -> None:
    assert asked(given) == Wanted()


def test_options_are_read_as_the_model() -> None:
    assert asked({"toy": {"style": "vivid", "depth": 3}}) == Wanted(style="vivid", depth=3)


def test_later_options_win() -> None:
    assert asked({"family": {"style": "a", "depth": 2}, "toy": {"style": "b"}}) == Wanted(
        style="b", depth=2
    )


def test_settings_are_read_as_the_model() -> None:
    assert configured({"depth": 2}) == Wanted(depth=2)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"stile": "vivid"}, "'stile'; there are: depth, style"),
        ({"depth": "deep"}, "'depth': Input should be a valid integer"),
        ({"depth": 10}, "'depth': too deep"),
    ],
)
class TestMistakes:
    def test_in_an_option_are_a_request_error(self, given: Any, why: str) -> None:
        with pytest.raises(RequestError, match=rf"^(no )?option {why}"):
            asked({"toy": given})

    def test_in_a_setting_are_a_configuration_error(self, given: Any, why: str) -> None:
        with pytest.raises(ConfigurationError, match=rf"^(no )?setting {why}"):
            configured(given)


def test_a_bearer_proves_who_is_calling_without_a_request_of_its_own() -> None:
    played = play(bearer("KEY")(HttpRequest("GET", "/a")))
    assert (played.response, played.requests) == ({"authorization": "Bearer KEY"}, [])


def test_a_wrong_setting_is_not_quoted_with_its_value() -> None:
    config = Config("toy", settings={"steps": "a-secret-value"})
    with pytest.raises(ConfigurationError) as found:
        settings(config, Wanted)
    assert "a-secret-value" not in str(found.value)
    assert (found.value.__cause__, found.value.__context__) == (None, None)
