from __future__ import annotations

import gc
import json
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import imagekit
from imagekit import (
    Client,
    ConfigurationError,
    ImageRequest,
    ImageResponse,
    MissingCredentialError,
    PluginError,
    Profile,
    RequestError,
    RetryPolicy,
    UnknownProviderError,
)
from imagekit.provider import Capabilities, Config, Endpoint, HttpResponse, Verdict, emit
from spoken import httpx
from toys import KEY, Driver, Inside, Plugged, Scripted, Whole, done, picture, plugins, spelt


class Service:
    """The toy service, and what it was asked."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.asked: list[dict[str, Any]] = []
        self.seen: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        self.asked.append(json.loads(request.content))
        status = self.statuses.pop(0) if self.statuses else 200
        return httpx.Response(status, json=done(*[spelt(picture())] * self.asked[-1]["n"]))


def client(service: Service | None = None, **settings: Any) -> Client:
    """A client with toys "one" and "two", that asks *service*."""
    http = httpx.Client(transport=httpx.MockTransport(service or Service()))
    settings.setdefault("plugins", plugins(one=Whole(), two=Whole("https://two.test")))
    return Client(**{"http": http, "env": {}, "retry": RetryPolicy(base=0), **settings})


# Who makes it


def test_the_calls_provider_is_asked() -> None:
    assert client().generate("a", provider="two").provider == "two"


def test_the_model_may_name_the_provider() -> None:
    service = Service()
    response = client(service).generate("a", model="two:toy-9")
    assert response.provider == "two"
    assert service.asked[0]["model"] == "toy-9"


def test_the_model_may_name_the_provider_alone() -> None:
    service = Service()
    assert client(service).generate("a", model="two:").provider == "two"
    assert service.asked[0]["model"] == "toy-1"


def test_the_model_may_name_the_same_provider_again() -> None:
    assert client().generate("a", provider="two", model="two:toy-9").provider == "two"


def test_naming_two_providers_is_a_contradiction() -> None:
    with pytest.raises(ConfigurationError, match="provider='one' contradicts model='two:toy-9'"):
        client().generate("a", provider="one", model="two:toy-9")


def test_the_models_provider_wins_over_the_clients() -> None:
    assert client(provider="one").generate("a", model="two:toy-9").provider == "two"


@pytest.mark.parametrize("model", ["sdxl:turbo", "ft:gpt:org", ":x", "a/b:c"])
def test_a_colon_that_names_no_provider_stays_in_the_model(model: str) -> None:
    service = Service()
    client(service).generate("a", provider="one", model=model)
    assert service.asked[0]["model"] == model


def test_the_clients_provider_is_asked_where_the_call_names_none() -> None:
    assert client(provider="two").generate("a").provider == "two"


def test_the_calls_provider_wins_over_the_clients() -> None:
    assert client(provider="two").generate("a", provider="one").provider == "one"


def test_the_environment_names_the_provider_where_nobody_else_does() -> None:
    assert client(env={"IMAGEKIT_PROVIDER": "two"}).generate("a").provider == "two"


def test_the_clients_provider_wins_over_the_environment() -> None:
    env = {"IMAGEKIT_PROVIDER": "two"}
    assert client(env=env, provider="one").generate("a").provider == "one"


def test_the_environment_is_the_process_own_where_none_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("IMAGEKIT_PROVIDER", "two")
    assert client(env=None).generate("a").provider == "two"


def test_with_no_provider_named_the_error_says_how() -> None:
    with pytest.raises(ConfigurationError, match=r"no provider is chosen: .*one, .*two"):
        client().generate("a")


def test_an_unknown_provider_is_named_with_those_there_are() -> None:
    with pytest.raises(UnknownProviderError, match=r"no provider 'tow'; there are: .*one, .*two"):
        client().generate("a", provider="tow")


def test_an_error_before_sending_cost_nothing() -> None:
    with pytest.raises(ConfigurationError) as found:
        client().generate("a")
    assert found.value.billed == "no"


def test_an_error_says_which_provider_it_is_of() -> None:
    with pytest.raises(imagekit.InvalidRequestError) as found:
        client(Service(400)).generate("a", provider="two")
    assert found.value.provider == "two"


def test_a_provider_of_another_name_says_its_own() -> None:
    error = imagekit.ProviderError("refused")
    error.provider = "inner"

    def fails(request: ImageRequest) -> Any:
        raise error
        yield

    with pytest.raises(imagekit.ProviderError) as found:
        client(plugins=plugins(toy=Scripted(fails))).generate("a", provider="toy")
    assert found.value.provider == "inner"


# Profiles


def test_a_profile_is_a_provider_by_another_name_with_its_own_base_url() -> None:
    service = Service()
    configs: list[Config] = []

    def make(config: Config) -> Whole:
        configs.append(config)
        return Whole(config.base_url or "https://toy.test", config.api_key)

    profile = Profile("mine", "toy", "http://127.0.0.1:9/v1", api_key="k-1", settings={"a": 1})
    response = client(service, plugins=plugins(toy=make), profiles=[profile]).generate(
        "a", provider="mine"
    )
    assert (response.provider, response.profile) == ("toy", "mine")
    assert str(service.seen[0].url) == "http://127.0.0.1:9/v1/pictures"
    assert (configs[0].name, configs[0].api_key, configs[0].settings) == ("mine", "k-1", {"a": 1})


def test_a_provider_by_its_own_name_has_no_profile() -> None:
    assert client().generate("a", provider="one").profile is None


def test_a_profile_may_be_named_by_the_model() -> None:
    found = client(profiles=[Profile("mine", "one")]).generate("a", model="mine:toy-9")
    assert found.profile == "mine"


def test_profiles_are_among_what_can_be_named() -> None:
    assert {"one", "two", "mine"} <= set(client(profiles=[Profile("mine", "one")]).providers())


def configured(profile: Profile, env: dict[str, str], **settings: Any) -> Config:
    configs: list[Config] = []

    def make(config: Config) -> Inside:
        configs.append(config)
        return Inside()

    made = client(plugins=plugins(toy=make), profiles=[profile], env=env, **settings)
    made.generate("a", provider=settings.get("provider", profile.name))
    return configs[0]


def test_a_profile_takes_its_key_from_the_environment_it_names() -> None:
    profile = Profile("mine", "toy", api_key_env="MY_KEY")
    assert configured(profile, {"MY_KEY": "k-2"}).api_key == "k-2"


def test_a_profiles_own_key_wins_over_the_environments() -> None:
    profile = Profile("mine", "toy", api_key="k-1", api_key_env="MY_KEY")
    assert configured(profile, {"MY_KEY": "k-2"}).api_key == "k-1"


@pytest.mark.parametrize("env", [{}, {"MY_KEY": ""}])
def test_a_key_that_is_not_set_is_an_error_that_names_the_variable(env: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="'mine' takes its key from MY_KEY, which is not"):
        configured(Profile("mine", "toy", api_key_env="MY_KEY"), env)


def test_a_profile_with_a_base_url_of_its_own_gets_no_ambient_key() -> None:
    assert not configured(Profile("mine", "toy", "https://other.test"), {}).ambient


def test_a_profile_without_a_base_url_may_use_an_ambient_key() -> None:
    assert configured(Profile("mine", "toy"), {}).ambient


def test_a_base_url_in_code_may_use_an_ambient_key() -> None:
    config = configured(Profile("x", "toy"), {}, provider="toy", base_url="https://other.test")
    assert config.ambient
    assert config.base_url == "https://other.test"


@pytest.mark.parametrize("base", ["other.test", "ftp://other.test", "https://me:pw@other.test"])
def test_a_base_url_is_checked(base: str) -> None:
    with pytest.raises(ConfigurationError, match="base_url"):
        configured(Profile("mine", "toy", base), {})


def test_the_clients_key_is_its_own_providers_only() -> None:
    configs: dict[str, Config] = {}

    def make(config: Config) -> Inside:
        configs[config.name] = config
        return Inside()

    made = client(plugins=plugins(a=make, b=make), provider="a", api_key=KEY, settings={"x": 1})
    made.generate("x", provider="a")
    made.generate("x", provider="b")
    assert (configs["a"].api_key, configs["a"].settings) == (KEY, {"x": 1})
    assert (configs["b"].api_key, configs["b"].settings) == (None, {})


@pytest.mark.parametrize(
    "own", [{"api_key": KEY}, {"base_url": "https://x.test"}, {"settings": {"a": 1}}]
)
def test_a_key_without_a_provider_belongs_to_nobody(own: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="belong to one provider"):
        Client(**own)


def test_a_provider_that_lacks_its_key_says_so_before_any_network() -> None:
    class Keyless(Whole):
        endpoint = Endpoint("https://toy.test", missing="set TOY_KEY")  # type: ignore[assignment]

    service = Service()
    with pytest.raises(MissingCredentialError, match="toy: set TOY_KEY") as found:
        client(service, plugins=plugins(toy=Keyless())).generate("a", provider="toy")
    assert (found.value.provider, found.value.billed) == ("toy", "no")
    assert not service.seen


def test_one_that_lacks_a_library_wants_no_key() -> None:
    class Bare(Whole):
        endpoint = Endpoint("", missing="torch: not installed")  # type: ignore[assignment]

    with pytest.raises(ConfigurationError, match="toy: torch: not installed") as found:
        client(Service(), plugins=plugins(toy=Bare())).generate("a", provider="toy")
    assert type(found.value) is ConfigurationError
    assert found.value.billed == "no"


# Defaults and who wins


def test_a_default_fills_in_where_the_call_says_nothing() -> None:
    service = Service()
    client(service, provider="one", n=2, model="toy-7").generate("a")
    assert (service.asked[0]["n"], service.asked[0]["model"]) == (2, "toy-7")


def test_the_calls_own_value_wins() -> None:
    service = Service()
    client(service, provider="one", n=2).generate("a", n=3)
    assert service.asked[0]["n"] == 3


def test_what_a_request_says_wins_over_a_default() -> None:
    service = Service()
    client(service, provider="one", n=2).run(ImageRequest(prompt="a", n=1))
    assert service.asked[0]["n"] == 1


def test_a_default_fills_in_what_a_request_does_not_say() -> None:
    service = Service()
    client(service, provider="one", n=2).run(ImageRequest(prompt="a"))
    assert service.asked[0]["n"] == 2


def test_a_field_beside_a_request_wins_over_it() -> None:
    made = client(provider="one")
    with made.stream(ImageRequest(prompt="a", n=1), n=3) as stream:
        assert len(stream.finish().images) == 3


def test_the_clients_model_is_its_own_providers_only() -> None:
    service = Service()
    made = client(service, provider="one", model="toy-7")
    made.generate("a", provider="two")
    assert service.asked[0]["model"] == "toy-1"


@pytest.mark.parametrize("wrong", ["colour", "api_keys"])
def test_a_default_that_is_none_is_an_error(wrong: str) -> None:
    with pytest.raises(ConfigurationError, match=f"no such default: {wrong}"):
        Client(**{wrong: 1})  # type: ignore[arg-type]


def test_retries_of_a_call_win_over_the_policys() -> None:
    service = Service(429, 429, 429)
    with pytest.raises(imagekit.RateLimitError):
        client(service).generate("a", provider="one", retries=0)
    assert len(service.seen) == 1


def test_retries_leave_the_rest_of_the_policy_alone() -> None:
    asked: list[int] = []

    def dice() -> float:
        asked.append(1)
        return 0.0

    policy = RetryPolicy(base=0, random=dice)
    client(Service(429), retry=policy).generate("a", provider="one", retries=1)
    assert asked


@pytest.mark.parametrize("retries", [-1, 0.5, "two", None])
def test_retries_are_a_number_of_times(retries: Any) -> None:
    with pytest.raises(RequestError, match="retries is how often to try again"):
        client().generate("a", provider="one", retries=retries)


@pytest.mark.parametrize("deadline", [0, -1, float("nan"), "soon"])
def test_a_deadline_is_ahead(deadline: Any) -> None:
    with pytest.raises(RequestError, match="deadline is seconds from now"):
        client().generate("a", provider="one", deadline=deadline)


def test_raw_keeps_the_exchanges() -> None:
    response = client(Service(429)).generate("a", provider="one", raw=True)
    assert [one.response.status for one in response.raw] == [429, 200]
    assert KEY not in repr([(one.request, one.request.headers) for one in response.raw])


def test_nothing_raw_is_kept_unasked() -> None:
    assert client().generate("a", provider="one").raw == ()


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"n": 0}, "n: "),
        ({"size": "big"}, "size: a size is pixels"),
        ({"colour": "red"}, "colour: there is no such parameter"),
        ({"options": 7}, "options: "),
    ],
)
def test_what_is_asked_wrongly_is_one_clear_error(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(RequestError) as found:
        client().generate("a", provider="one", **fields)
    assert str(found.value).startswith(why)
    assert found.value.billed == "no"


def test_trouble_of_the_whole_request_names_no_field() -> None:
    with pytest.raises(RequestError) as found:
        client().generate("", provider="one")
    assert str(found.value) == "a request needs a prompt, a picture, or both: neither was given"


@pytest.mark.parametrize("prompt", [None, 7, ["a"], b"a"])
def test_a_prompt_is_text(prompt: Any) -> None:
    with pytest.raises(RequestError, match="a prompt is text"):
        client().generate(prompt, provider="one")


# Options


def sent_options(options: dict[str, Any], family: str | None = None, **settings: Any) -> Any:
    service = Service()
    toys = plugins(**{"fam-one": Whole(family=family), "two": Whole()})
    name = settings.pop("name", "fam-one")
    response = client(service, plugins=toys, **settings).generate(
        "a", provider=name, options=options
    )
    return service.asked[0]["options"], [notice.feature for notice in response.notices]


def test_a_provider_gets_its_own_options_only() -> None:
    found, notices = sent_options({"fam-one": {"a": 1}, "two": {"b": 2}})
    assert found == {"fam-one": {"a": 1}}
    assert notices == []


def test_a_family_has_options_and_the_exact_name_wins() -> None:
    given = {"fam": {"a": 1, "b": 1}, "fam-one": {"b": 2}}
    assert sent_options(given, family="fam") == ({"fam-one": {"a": 1, "b": 2}}, [])


def test_a_profile_has_options_and_they_win_over_its_providers() -> None:
    given = {"fam-one": {"a": 1, "b": 1}, "mine": {"b": 2}}
    profiles = [Profile("mine", "fam-one")]
    assert sent_options(given, profiles=profiles, name="mine")[0] == {"fam-one": {"a": 1, "b": 2}}


def test_options_of_client_profile_and_call_are_merged_name_by_name() -> None:
    service = Service()
    kept = {"one": {"b": "profile", "c": "profile", "deep": {"b": 2}}}
    mine = Profile("mine", "one", defaults={"options": kept, "quality": "low", "model": "toy-7"})
    made = client(
        service,
        profiles=[mine],
        quality="high",
        options={"one": {"a": "client", "b": "client", "deep": {"a": 1}}, "two": {"z": 1}},
    )
    said = {"one": {"c": "call"}}
    made.generate("a", provider="mine", options=said)
    # What nests is one option, and whoever speaks last says all of it.
    expected = {"a": "client", "b": "profile", "c": "call", "deep": {"b": 2}}
    assert service.asked[0]["options"] == {"one": expected}
    assert said == {"one": {"c": "call"}}
    made.run(ImageRequest(prompt="a", options=said), provider="mine")
    assert service.asked[1]["options"] == {"one": expected}
    made.generate("a", provider="two")
    assert service.asked[2]["options"] == {"two": {"z": 1}}


@pytest.mark.parametrize("wrong", [7, {"one": 7}, {"one": None}, [1]])
def test_options_that_are_none_are_an_error_wherever_they_are_said(wrong: Any) -> None:
    with pytest.raises(RequestError, match="options"):
        client(options=wrong).generate("a", provider="one", options={"one": {"a": 1}})
    with pytest.raises(RequestError, match="options"):
        client(options={"one": {"a": 1}}).generate("a", provider="one", options=wrong)


def test_what_a_profile_fills_in_wins_over_the_client_and_a_call_over_both() -> None:
    service = Service()
    mine = Profile("mine", "one", defaults={"model": "toy-7", "n": 2})
    made = client(service, profiles=[mine], provider="mine", n=3)
    made.generate("a")
    made.generate("a", n=1, model="toy-8")
    made.generate("a", provider="one")
    asked = [(one["model"], one["n"]) for one in service.asked]
    assert asked == [("toy-7", 2), ("toy-8", 1), ("toy-1", 3)]


def test_options_of_a_family_that_is_built_elsewhere_are_known() -> None:
    toys = plugins(one=Whole(family="kin"), two=Whole())
    made = client(plugins=toys)
    made.generate("a", provider="one")
    assert not made.generate("a", provider="two", options={"kin": {"a": 1}}).notices


def test_options_that_nobody_claims_are_a_notice() -> None:
    assert sent_options({"nobody": {"a": 1}}) == ({}, ["options['nobody']"])


# What a plugin does wrong


def broken(flow: Any, **able: Any) -> Any:
    return client(plugins=plugins(toy=Scripted(flow, **able))).generate("a", provider="toy")


@pytest.mark.parametrize(
    ("flow", "why"),
    [
        (lambda request: None, "'toy' failed: TypeError"),
        (lambda request: 1 / 0, "'toy' failed: ZeroDivisionError"),
        (lambda request: iter([]), "must return an ImageResponse, not NoneType"),
        (lambda request: iter(["effect"]), "proper ones, not 'effect'"),
    ],
)
def test_a_flow_that_is_none_is_the_plugins_error(flow: Any, why: str) -> None:
    with pytest.raises(PluginError, match=why) as found:
        broken(flow)
    assert found.value.provider == "toy"


def test_a_flow_that_returns_something_else_is_the_plugins_error() -> None:
    def flow(request: ImageRequest) -> Any:
        yield from emit(imagekit.Progress())
        return "a picture"

    with pytest.raises(PluginError, match="must return an ImageResponse, not str"):
        broken(flow)


def capable(answer: Any) -> Any:
    class Toy(Inside):
        def capabilities(self, model: str | None) -> Capabilities:
            if isinstance(answer, Exception):
                raise answer
            return answer  # type: ignore[no-any-return]

    return client(plugins=plugins(toy=Toy()))


@pytest.mark.parametrize(
    ("answer", "kind", "why"),
    [
        (ZeroDivisionError(), PluginError, "cannot say what it can do"),
        ({"n": 1}, PluginError, "gave no Capabilities"),
        (RequestError("no such model"), RequestError, "no such model"),
    ],
)
def test_capabilities_that_are_none_are_one_clear_error(
    answer: Any, kind: type[Exception], why: str
) -> None:
    with pytest.raises(kind, match=why):
        capable(answer).generate("a", provider="toy")
    with pytest.raises(kind, match=why):
        capable(answer).capabilities(provider="toy")


def test_capabilities_are_the_named_models() -> None:
    class Toy(Inside):
        def capabilities(self, model: str | None) -> Capabilities:
            return Capabilities(model=model)

    made = client(plugins=plugins(toy=Toy()))
    assert made.capabilities("toy:m-1").model == "m-1"
    assert made.capabilities(provider="toy").model is None


def test_the_response_names_the_model_that_was_sent_where_the_provider_names_none() -> None:
    def flow(request: ImageRequest) -> Any:
        return ImageResponse(slots=(imagekit.Image(data=picture()),))
        yield

    toys = plugins(toy=Scripted(flow))
    assert client(plugins=toys).generate("a", provider="toy", model="m-1").model == "m-1"


def test_a_judge_is_the_providers_own() -> None:
    def judge(response: HttpResponse) -> Verdict | None:
        return Verdict.REJECTED

    service = Service(429, 200)
    with pytest.raises(imagekit.RateLimitError):
        client(service, plugins=plugins(toy=Whole(judge=judge))).generate("a", provider="toy")
    assert len(service.seen) == 1


def test_a_provider_is_told_to_stream_only_if_it_can() -> None:
    told: list[bool] = []

    class Toy(Inside):
        def flow(self, request: ImageRequest, *, stream: bool) -> Any:
            told.append(stream)
            return super().flow(request, stream=stream)

    with client(plugins=plugins(toy=Toy())).stream("a", provider="toy") as stream:
        stream.finish()
    assert told == [False]


def test_a_streamed_call_is_split_by_what_may_be_streamed() -> None:
    asked: list[int] = []

    class Toy(Inside):
        def capabilities(self, model: str | None) -> Capabilities:
            return Capabilities(streaming=True, max_images=4, max_images_streamed=1)

        def flow(self, request: ImageRequest, *, stream: bool) -> Any:
            asked.append(request.n)
            return super().flow(request, stream=stream)

    made = client(plugins=plugins(toy=Toy()))
    made.generate("a", provider="toy", n=2)
    with made.stream("a", provider="toy", n=2) as stream:
        stream.finish()
    assert asked == [2, 1, 1]


def test_a_plugin_is_built_once() -> None:
    plugin = Plugged(Inside())
    found = imagekit.Plugins()
    found.register(plugin, "toy")
    made = client(plugins=found)
    made.generate("a", provider="toy")
    made.generate("b", provider="toy")
    assert plugin.built == 1


# Fetching


def fetched(driver: Driver, image: imagekit.Image, fake: Any, **settings: Any) -> imagekit.Image:
    retry = RetryPolicy(base=0)
    found = driver.call(lambda c: c.fetch(image), fake, retry=retry, env={}, **settings)
    assert isinstance(found, imagekit.Image)
    return found


LINK = imagekit.Image(url="https://cdn.test/1.png", seed=7)


def test_a_picture_that_is_a_url_is_fetched(driver: Driver) -> None:
    found = fetched(driver, LINK, lambda request: httpx.Response(200, content=picture()))
    assert (found.data, found.seed, found.url) == (picture(), 7, LINK.url)


def test_a_picture_that_has_its_bytes_is_not_fetched(driver: Driver) -> None:
    whole = imagekit.Image(data=picture())
    assert fetched(driver, whole, lambda request: 1 / 0) is whole


def test_fetching_is_tried_again(driver: Driver) -> None:
    statuses = [503, 500, 200]

    def fake(request: httpx.Request) -> httpx.Response:
        return httpx.Response(statuses.pop(0), content=picture())

    assert fetched(driver, LINK, fake).data == picture()


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [(404, b"", imagekit.ProviderError), (200, b"<html>", imagekit.ProtocolError)],
)
def test_a_picture_that_cannot_be_fetched_raises(
    driver: Driver, status: int, body: bytes, kind: type[Exception]
) -> None:
    with pytest.raises(kind):
        fetched(driver, LINK, lambda request: httpx.Response(status, content=body))


def test_fetching_from_home_takes_the_providers_key(driver: Driver) -> None:
    seen: list[httpx.Request] = []

    def fake(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, content=picture())

    home = imagekit.Image(url="https://toy.test/files/1.png")
    fetched(driver, home, fake, provider="toy", plugins=plugins(toy=Whole()))
    fetched(driver, LINK, fake, provider="toy", plugins=plugins(toy=Whole()))
    assert ["authorization" in request.headers for request in seen] == [True, False]


# What a call leaves behind


@pytest.fixture
def uncollected() -> Iterator[None]:
    """No garbage is collected: what is gone went by itself."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("n", [1, 3])
def test_a_picture_is_gone_as_soon_as_nobody_has_it(n: int) -> None:
    made = client().generate("x", provider="one", n=n)
    pictures = [weakref.ref(image) for image in made.images]
    del made
    assert [one() for one in pictures] == [None] * n


def test_a_second_call_does_not_look_for_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    asking = client()
    asking.generate("x", provider="one")
    looked: list[int] = []
    monkeypatch.setattr("imagekit._installed.points", lambda: looked.append(1) or [])
    asking.generate("x", provider="one", model="m")
    assert not looked


def test_a_mask_is_read_also_where_the_picture_is_one_that_the_provider_keeps(
    driver: Driver, tmp_path: Path
) -> None:
    seen: list[ImageRequest] = []

    def flow(request: ImageRequest) -> Iterator[Any]:
        seen.append(request)
        return ImageResponse(slots=(imagekit.Image(data=picture()),))
        yield

    toy = Scripted(flow, operations=frozenset({"edit"}), mask="white")
    (tmp_path / "mask.png").write_bytes(picture(255))
    mask = imagekit.Mask(tmp_path / "mask.png", edit_where="white")
    state = imagekit.State(provider="toy", payload={})
    asked = ImageRequest(prompt="a", state=state, mask=mask)
    driver.call(lambda c: c.run(asked), provider="toy", plugins=plugins(toy=toy), env={})
    assert seen[0].mask is not None
    assert seen[0].mask.image.data == picture(255)
