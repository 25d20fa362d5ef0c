"""Which provider a model's name means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

import imagekit
from imagekit import AsyncClient, Notice
from imagekit.provider import Capabilities
from imagekit.server._routes import Routes, Target
from imagekit.server.wire.refusals import RefusedError
from toys import Inside, Plugged, Whole


class Kin(Inside):
    """One of a family, with models that it can name."""

    family = "kin"
    models = ("kin-1", "kin-2")


class Stubborn(Inside):
    """Makes everything by the one model it has."""

    def capabilities(self, model: str | None) -> Capabilities:
        return Capabilities(model="only-1")


def routes(
    provider: str | None = None,
    models: Mapping[str, str] = {},
    env: Mapping[str, str] = {},
    **settings: Any,
) -> Routes:
    client = AsyncClient(env=env, **settings)
    made = {"toy": Inside(), "kin": Kin(), "stubborn": Stubborn(), "keyless": Whole(key=None)}
    for name, maker in made.items():
        client.plugins.register(Plugged(maker), name)
    return Routes(client, provider, models)


def refused(made: Routes, asked: str | None) -> Any:
    with pytest.raises(RefusedError) as error:
        made.target(asked)
    refusal = error.value.refusal
    assert (refusal.status, refusal.code, refusal.param) == (404, "model_not_found", "model")
    return refusal


def test_every_name_goes_to_the_one_provider_as_it_is() -> None:
    made = routes("toy")
    assert made.target("gpt-image-2") == Target("toy", "gpt-image-2")
    assert made.target(None) == made.target("") == Target("toy", None)


def test_a_provider_may_be_named_with_the_model_it_is_to_use() -> None:
    made = routes("toy:toy-7")
    assert made.target("gpt-image-2") == made.target(None) == Target("toy", "toy-7")


@pytest.mark.parametrize(
    "given", [{"env": {"IMAGEKIT_PROVIDER": "toy"}}, {"settings": {}, "provider": "toy"}]
)
def test_the_clients_own_provider_is_the_usual_one(given: dict[str, Any]) -> None:
    own = given.pop("provider", None)
    client = AsyncClient(provider=own, **{"env": {}, **given})
    client.plugins.register(Plugged(Inside()), "toy")
    assert Routes(client, None, {}).target("x") == Target("toy", "x")


def test_a_name_may_go_elsewhere_and_by_another_name() -> None:
    made = routes(None, {"a": "toy", "b": "kin:kin-2", "*": "kin"})
    assert made.target("a") == Target("toy", "a")
    assert made.target("b") == Target("kin", "kin-2")
    assert made.target("c") == Target("kin", "c")
    assert made.target(None) == Target("kin", None)


def test_what_is_said_of_any_name_wins_over_the_provider() -> None:
    assert routes("toy", {"*": "kin"}).target("x") == Target("kin", "x")
    assert routes("toy", {"a": "kin"}).target("x") == Target("toy", "x")


def test_a_models_name_may_hold_a_colon() -> None:
    made = routes("toy", {"a": "kin:org/model:free"})
    assert made.target("a") == Target("kin", "org/model:free")
    assert made.target("org/model:free") == Target("toy", "org/model:free")


@pytest.mark.parametrize("asked", ["b", "kin"])
def test_a_name_that_stands_nowhere_is_not_found(asked: str) -> None:
    assert f"'{asked}'" in refused(routes(None, {"a": "toy"}), asked).message


@pytest.mark.parametrize("asked", [None, ""])
def test_whoever_names_no_model_gets_the_one_there_is(asked: str | None) -> None:
    assert routes(None, {"a": "toy:big"}).target(asked) == Target("toy", "big")
    with pytest.raises(RefusedError) as caught:
        routes(None, {"a": "toy", "b": "toy"}).target(asked)
    assert caught.value.refusal.code == "missing_required_parameter"


def test_a_long_name_is_not_said_back_whole() -> None:
    assert len(refused(routes(None, {"a": "toy"}), "x" * 5000).message) < 300


def test_an_app_cannot_choose_a_provider() -> None:
    refused(routes("toy"), "kin:kin-1")
    refused(routes("toy"), "kin:")
    assert routes("toy", {"kin:x": "kin:kin-1"}).target("kin:x") == Target("kin", "kin-1")


def test_a_provider_that_uses_another_model_says_so() -> None:
    target = routes("stubborn").target("gpt-image-2")
    said = Notice(kind="adjusted", feature="model", wanted="gpt-image-2", used="only-1")
    assert target == Target("stubborn", "only-1", (said,))
    assert routes("stubborn").target("only-1").notices == ()


def test_nobody_is_an_error_at_the_start() -> None:
    with pytest.raises(imagekit.ConfigurationError, match="does not know who makes"):
        routes()


@pytest.mark.parametrize("models", [{}, {"a": "toy"}])
def test_a_provider_that_there_is_not_is_an_error_at_the_start(models: dict[str, str]) -> None:
    with pytest.raises(imagekit.UnknownProviderError, match="'nobody'"):
        routes("nobody", models)
    with pytest.raises(imagekit.UnknownProviderError, match="'nobody'"):
        routes("toy", {**models, "b": "nobody:x"})


def test_a_key_that_is_missing_is_an_error_at_the_start() -> None:
    from imagekit.provider import Endpoint

    class Needy(Inside):
        endpoint = Endpoint("https://toy.test", missing="no key: set TOY_KEY")  # type: ignore[assignment]

    client = AsyncClient(env={})
    client.plugins.register(Plugged(Needy()), "needy")
    with pytest.raises(imagekit.MissingCredentialError, match="set TOY_KEY"):
        Routes(client, None, {"a": "needy"})


@pytest.mark.parametrize("target", ["", ":", ":model"])
def test_half_a_target_is_an_error_at_the_start(target: str) -> None:
    with pytest.raises(imagekit.ConfigurationError, match="neither PROVIDER nor PROVIDER:MODEL"):
        routes("toy", {"a": target})


def test_a_target_with_an_empty_model_is_the_providers_default() -> None:
    assert routes("toy", {"a": "toy:"}).target("a") == Target("toy", None)


def test_a_family_is_a_providers_name_and_its_kins() -> None:
    made = routes("toy", {"a": "kin", "b": "mine"}, profiles=[imagekit.Profile("mine", "kin")])
    assert made.family(Target("toy", None)) == {"toy"}
    assert made.family(Target("kin", None)) == {"kin"}
    assert made.family(made.target("b")) == {"kin"}


def test_what_can_be_named_is_listed_and_any_is_no_name() -> None:
    assert routes("toy", {"a": "kin:kin-1"}).listed() == {"a": "kin"}
    listed = routes(None, {"kin-1": "toy", "*": "kin"}).listed()
    assert listed == {"kin-1": "toy", "kin-2": "kin"}
    assert routes(None, {"a": "toy"}).listed() == {"a": "toy"}
