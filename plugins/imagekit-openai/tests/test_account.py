from __future__ import annotations

import traceback
from typing import Any

import pytest
from openai_wire import KEY, asked, call, images_body, of_images, of_responses, response_body

from imagekit import (
    AuthenticationError,
    ConfigurationError,
    ImagekitError,
    MissingCredentialError,
    Profile,
)
from imagekit.provider import Config, HttpRequest
from imagekit_openai._account import Account
from spoken import httpx
from ways import WAYS, make

BOTH = ["openai-images", "openai-responses"]
LOCAL = "http://localhost:9/v1"


def account(env: dict[str, str] | None = None, **config: Any) -> Account:
    return Account(Config("openai-images", env=env or {}, **config))


def sent_home(mine: Account) -> dict[str, str]:
    """The headers that go with a request."""
    assert mine.endpoint.authorize is not None
    flow = mine.endpoint.authorize(HttpRequest("POST", "/images/generations"))
    with pytest.raises(StopIteration) as stop:
        next(flow)
    return dict(stop.value.value)


@pytest.mark.parametrize(
    ("env", "config", "expected"),
    [
        ({"OPENAI_API_KEY": "env"}, {}, {"authorization": "Bearer env"}),
        ({"OPENAI_API_KEY": "env"}, {"api_key": "own"}, {"authorization": "Bearer own"}),
        ({"OPENAI_API_KEY": "env"}, {"ambient": False, "base_url": LOCAL}, {}),
        (
            {"OPENAI_ORG_ID": "org-env", "OPENAI_PROJECT_ID": "proj-env"},
            {"api_key": "own"},
            {
                "authorization": "Bearer own",
                "openai-organization": "org-env",
                "openai-project": "proj-env",
            },
        ),
        (
            {"OPENAI_ORG_ID": "org-env", "OPENAI_PROJECT_ID": "proj-env"},
            {
                "api_key": "own",
                "settings": {"organization": "org-said", "project": "proj-said"},
            },
            {
                "authorization": "Bearer own",
                "openai-organization": "org-said",
                "openai-project": "proj-said",
            },
        ),
        (
            {"OPENAI_ORG_ID": "org-env", "OPENAI_CUSTOM_HEADERS": "X-Team: art"},
            {"ambient": False, "base_url": LOCAL, "api_key": "own"},
            {"authorization": "Bearer own"},
        ),
        (
            {"OPENAI_CUSTOM_HEADERS": "X-Team: art\n\n  x-time : 12:30 \r\n"},
            {"api_key": "own"},
            {"authorization": "Bearer own", "x-team": "art", "x-time": "12:30"},
        ),
        # As the official client has it: the environment's header beats its key …
        (
            {"OPENAI_API_KEY": "env", "OPENAI_CUSTOM_HEADERS": "Authorization: Bearer other"},
            {},
            {"authorization": "Bearer other"},
        ),
        # … but not the caller's own key.
        (
            {"OPENAI_CUSTOM_HEADERS": "Authorization: Bearer other"},
            {"api_key": "own"},
            {"authorization": "Bearer own"},
        ),
        (
            {"OPENAI_API_KEY": "env"},
            {"settings": {"headers": {"Authorization": "Basic abc", "X-Team": "art"}}},
            {"authorization": "Basic abc", "x-team": "art"},
        ),
        ({"OPENAI_API_KEY": "", "OPENAI_ORG_ID": ""}, {"base_url": LOCAL}, {}),
    ],
)
def test_who_is_calling_is_said_by_code_before_the_environment(
    env: dict[str, str], config: dict[str, Any], expected: dict[str, str]
) -> None:
    assert sent_home(account(env, **config)) == expected


@pytest.mark.parametrize(
    ("env", "config", "expected"),
    [
        ({}, {}, "https://api.openai.com/v1"),
        ({"OPENAI_BASE_URL": "https://eu.api.openai.com/v1"}, {}, "https://eu.api.openai.com/v1"),
        ({"OPENAI_BASE_URL": ""}, {}, "https://api.openai.com/v1"),
        ({"OPENAI_BASE_URL": "https://elsewhere.example/v1"}, {"base_url": LOCAL}, LOCAL),
    ],
)
def test_the_base_url_is_said_by_code_before_the_environment(
    env: dict[str, str], config: dict[str, Any], expected: str
) -> None:
    assert account(env, **config).endpoint.base_url == expected


@pytest.mark.parametrize(
    ("base_url", "wanted"),
    [
        (None, True),
        ("https://api.openai.com/v1", True),
        ("https://us.api.openai.com/v1", True),
        ("https://API.OPENAI.COM/v1", True),
        ("https://api.openai.com.example/v1", False),
        ("https://notapi.openai.com/v1", False),
        (LOCAL, False),
        ("https://my.openai.azure.com/openai/v1", True),
    ],
)
def test_openai_itself_and_azure_want_a_key(base_url: str | None, wanted: bool) -> None:
    assert (account(base_url=base_url).endpoint.missing is not None) is wanted


def test_a_header_is_as_good_as_a_key() -> None:
    assert account(settings={"headers": {"AUTHORIZATION": "Bearer x"}}).endpoint.missing is None


@pytest.mark.parametrize("lines", ["no colon", ": no name", "two words: value", "X-É: value"])
def test_custom_headers_that_are_none_are_an_error_that_quotes_nothing(lines: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        account({"OPENAI_CUSTOM_HEADERS": f"X-Team: art\n{lines}"})
    assert str(caught.value) == "OPENAI_CUSTOM_HEADERS wants lines of `Name: value`"


def test_custom_headers_are_not_even_read_for_a_base_url_of_its_own() -> None:
    account({"OPENAI_CUSTOM_HEADERS": "no colon"}, ambient=False, base_url=LOCAL)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"organisation": "org"}, "no setting 'organisation'"),
        ({"api_key": KEY}, "no setting 'api_key'"),
        ({"headers": {"two words": KEY}}, "the name of a header is one word"),
        ({"headers": KEY}, "setting 'headers'"),
        ({"headers": {"x": 5}}, "setting 'headers.x'"),
        ({"mask": "grey"}, "setting 'mask'"),
        ({"streaming": KEY}, "setting 'streaming'"),
    ],
)
def test_a_wrong_setting_is_an_error_that_keeps_keys_to_itself(
    settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        account(settings=settings)
    assert KEY not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("build", [of_images, of_responses])
def test_the_key_is_in_no_repr(build: Any) -> None:
    provider = build(
        env={"OPENAI_CUSTOM_HEADERS": f"X-Key: {KEY}"}, settings={"headers": {"x-other": KEY}}
    )
    mine = provider._account
    shown = [provider, provider.endpoint, mine, mine.settings, provider.endpoint.authorize]
    assert KEY not in "".join(map(repr, shown)) + "".join(map(str, shown))


def nobody(request: httpx.Request) -> httpx.Response:
    raise AssertionError("the network was used")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("provider", BOTH)
def test_a_missing_key_is_an_error_before_any_network(way: str, provider: str) -> None:
    with pytest.raises(MissingCredentialError, match=f"{provider}.*OPENAI_API_KEY") as caught:
        make(way, asked(), handler=nobody, provider=provider, env={})
    assert caught.value.billed == "no"


class Server:
    """Answers both dialects, and keeps the headers it was sent."""

    def __init__(self) -> None:
        self.headers: list[httpx.Headers] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.headers.append(request.headers)
        whole = response_body(call()) if request.url.path.endswith("responses") else images_body()
        return httpx.Response(200, json=whole)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("provider", BOTH)
def test_a_server_on_this_machine_is_asked_without_a_key(way: str, provider: str) -> None:
    server = Server()
    assert make(way, asked(), handler=server, provider=provider, base_url=LOCAL, env={}).ok
    assert "authorization" not in server.headers[0]


@pytest.mark.parametrize("provider", BOTH)
def test_a_profile_with_a_base_url_of_its_own_gets_nothing_that_is_lying_about(
    provider: str,
) -> None:
    server = Server()
    lying_about = {
        "OPENAI_API_KEY": KEY,
        "OPENAI_ORG_ID": "org-1",
        "OPENAI_PROJECT_ID": "proj-1",
        "OPENAI_CUSTOM_HEADERS": f"X-Key: {KEY}",
    }
    make(
        "sync whole",
        asked(),
        handler=server,
        profiles=[Profile("mine", provider, base_url="https://gateway.example/v1")],
        how={"provider": "mine"},
        env=lying_about,
    )
    [headers] = server.headers
    assert KEY not in str(headers.raw)
    assert not {"authorization", "openai-organization", "openai-project"} & set(headers)


def test_a_profile_names_the_key_it_wants() -> None:
    server = Server()
    gateway = "https://gateway.example/v1"
    make(
        "sync whole",
        asked(),
        handler=server,
        profiles=[Profile("mine", "openai-images", base_url=gateway, api_key_env="GATEWAY_KEY")],
        how={"provider": "mine"},
        env={"OPENAI_API_KEY": KEY, "GATEWAY_KEY": "its-own"},
    )
    assert server.headers[0]["authorization"] == "Bearer its-own"


def test_a_base_url_in_code_gets_the_key_of_the_environment() -> None:
    server = Server()
    gateway = "https://gateway.example/v1"
    make(
        "sync whole",
        asked(),
        handler=server,
        provider="openai-images",
        base_url=gateway,
        env={"OPENAI_API_KEY": KEY},
    )
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("provider", BOTH)
@pytest.mark.parametrize(
    ("key", "body"),
    [
        (KEY, f'{{"error":{{"message":"Incorrect API key provided: {KEY}. Look."}}}}'),
        ("local-secret", '{"error":{"message":"no such key: local-secret"}}'),
        ("local-secret", "<html>Authorization: Bearer local-secret</html>"),
        ("local-secret", '{"detail":[{"input":"local-secret"}]}'),
    ],
)
def test_a_server_that_quotes_the_key_is_not_quoted(
    way: str, provider: str, key: str, body: str
) -> None:
    def server(request: httpx.Request) -> httpx.Response:
        return httpx.Response(401, text=body)

    with pytest.raises(AuthenticationError) as caught:
        make(way, asked(), handler=server, provider=provider, api_key=key, env={})
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value.response)
    assert key not in shown
    assert "…" in str(caught.value)


def test_a_key_that_no_header_may_hold_is_an_error_without_it() -> None:
    with pytest.raises(ImagekitError) as caught:
        make(
            "sync whole",
            asked(),
            handler=nobody,
            provider="openai-images",
            api_key="sk-a\nb",
            env={},
        )
    assert isinstance(caught.value, ConfigurationError)
    assert "sk-a" not in "".join(traceback.format_exception(caught.value))
