"""Azure as a setting of both dialects: whose key goes where, what is asked, what is refused.

The judge of shapes is the Azure client of the official SDK; what we say otherwise is listed here,
each with its reason.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import httpx2
import openai
import pytest
from openai_wire import (
    GIF,
    KEY,
    ONE,
    asked,
    b64,
    call,
    images_body,
    of_images,
    of_responses,
    response_body,
    sse_bytes,
)
from sent import Sent, ours, sent, theirs

from imagekit import (
    AsyncClient,
    AuthenticationError,
    Client,
    ConfigurationError,
    ContentRejectedError,
    ImageRequest,
    InvalidRequestError,
    MissingCredentialError,
    Profile,
    ProviderUnavailableError,
    RateLimitError,
    RequestError,
    UnsupportedRequestError,
)
from imagekit.provider import Config
from imagekit_openai._account import Account
from imagekit_openai._azure import DOMAINS, located
from recordings import ABSENT, HOME, recorded
from spoken import httpx
from ways import WAYS, make

BOTH = ["openai-images", "openai-responses"]
ROOT = "https://my-resource.openai.azure.com"
DATED = "2025-04-01-preview"
TOKEN = "eyJhbGciOiJub25lIn0.eyJhdWQiOiJodHRwcyJ9.c2lnbmF0dXJl"  # no key, and no secret
OPENAI = {
    "OPENAI_API_KEY": "sk-of-openai-0123456789",
    "OPENAI_ORG_ID": "org-of-openai",
    "OPENAI_PROJECT_ID": "proj-of-openai",
    "OPENAI_CUSTOM_HEADERS": "X-Team: sk-of-openai-0123456789",
}
NAMES = {"deployment": "drawer", "conversation": "talker"}


def account(env: dict[str, str] | None = None, **config: Any) -> Account:
    return Account(Config("openai-images", env=env or {}, **config))


def base_url(env: dict[str, str] | None = None, **azure: Any) -> str:
    return account(env, settings={"azure": azure}).endpoint.base_url


# --- where the resource is


@pytest.mark.parametrize(
    ("azure", "expected"),
    [
        ({"resource": "my-resource"}, f"{ROOT}/openai/v1"),
        ({"resource": "my-resource", "deployment": "d"}, f"{ROOT}/openai/v1"),
        ({"endpoint": ROOT}, f"{ROOT}/openai/v1"),
        ({"endpoint": f"{ROOT}/"}, f"{ROOT}/openai/v1"),
        ({"endpoint": f"{ROOT}/openai"}, f"{ROOT}/openai/v1"),
        ({"endpoint": f"{ROOT}/openai/v1/"}, f"{ROOT}/openai/v1"),
        ({"endpoint": f"{ROOT}/openai/v1", "deployment": "d"}, f"{ROOT}/openai/v1"),
        (
            {"endpoint": ROOT, "api_version": "preview"},
            f"{ROOT}/openai/v1?api-version=preview",
        ),
        ({"resource": "r", "api_version": "2024-10-21"}, "?api-version=2024-10-21"),
        ({"endpoint": ROOT, "api_version": DATED}, f"{ROOT}/openai?api-version={DATED}"),
        (
            {"endpoint": ROOT, "api_version": "next", "urls": "deployments"},
            f"{ROOT}/openai?api-version=next",
        ),
        # As the portal gives it, whole.
        (
            {"endpoint": f"{ROOT}/openai/deployments/d/images/generations?api-version={DATED}"},
            f"{ROOT}/openai?api-version={DATED}",
        ),
        (
            {"endpoint": f"{ROOT}/openai/responses?api-version={DATED}"},
            f"{ROOT}/openai?api-version={DATED}",
        ),
        ({"endpoint": f"{ROOT}/openai/v1/images/edits"}, f"{ROOT}/openai/v1"),
        # What the settings say wins over what is pasted.
        (
            {"endpoint": f"{ROOT}/openai/deployments/d?api-version=old", "api_version": DATED},
            f"{ROOT}/openai?api-version={DATED}",
        ),
        # Domains of governments and of China, of Foundry, of one's own.
        (
            {"resource": "r", "domain": "openai.azure.us"},
            "https://r.openai.azure.us/openai/v1",
        ),
        (
            {"resource": "r", "domain": ".cognitiveservices.azure.com"},
            "https://r.cognitiveservices.azure.com/openai/v1",
        ),
        (
            {"endpoint": "https://r.services.ai.azure.com/api/projects/p"},
            "https://r.services.ai.azure.com/api/projects/p/openai/v1",
        ),
        (
            {"endpoint": "https://gateway.example:8443/team/openai/v1"},
            "https://gateway.example:8443/team/openai/v1",
        ),
        ({"endpoint": "http://127.0.0.1:1"}, "http://127.0.0.1:1/openai/v1"),
    ],
)
def test_a_resource_has_one_address_however_it_is_said(azure: Any, expected: str) -> None:
    assert base_url(**azure).endswith(expected)


@pytest.mark.parametrize(
    ("azure", "env", "expected"),
    [
        ({"resource": "my-resource"}, DATED, f"{ROOT}/openai?api-version={DATED}"),
        ({"endpoint": f"{ROOT}/openai/v1"}, DATED, f"{ROOT}/openai/v1"),
        ({"resource": "my-resource", "urls": "v1"}, DATED, f"{ROOT}/openai/v1"),
        (
            {"resource": "my-resource", "urls": "deployments"},
            DATED,
            f"{ROOT}/openai?api-version={DATED}",
        ),
        (
            {"resource": "my-resource", "api_version": "2030-01-01"},
            DATED,
            f"{ROOT}/openai?api-version=2030-01-01",
        ),
        ({"resource": "my-resource"}, "", f"{ROOT}/openai/v1"),
    ],
)
def test_the_version_of_the_environment_fills_in_where_one_is_wanted(
    azure: Any, env: str, expected: str
) -> None:
    assert base_url({"OPENAI_API_VERSION": env}, **azure) == expected


def test_the_endpoint_of_the_environment_is_for_the_azure_setting_only() -> None:
    env = {"AZURE_OPENAI_ENDPOINT": ROOT}
    assert base_url(env) == f"{ROOT}/openai/v1"
    assert account(env).endpoint.base_url == "https://api.openai.com/v1"
    assert account({**env, "OPENAI_BASE_URL": "https://elsewhere.example"}).azure is None
    own = account(env, base_url="https://own.openai.azure.com", settings={"azure": {}})
    assert own.endpoint.base_url == "https://own.openai.azure.com/openai/v1"


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("path", ["", "/", "/openai", "/openai/v1", "/openai/v1/"])
def test_a_base_url_that_is_plainly_azure_needs_no_setting(domain: str, path: str) -> None:
    url = f"https://r.{domain}{path}"
    for mine in (account(base_url=url), account({"OPENAI_BASE_URL": url})):
        assert mine.azure is not None
        assert mine.endpoint.base_url == f"https://r.{domain}/openai/v1"
        assert "AZURE_OPENAI_API_KEY" in str(mine.endpoint.missing)


@pytest.mark.parametrize(
    "url",
    [
        "https://openai.azure.com.example/openai/v1",
        "https://notopenai.azure.com/openai/v1",
        "https://api.openai.com/v1",
        "https://example.com/openai/v1",
        "https://[::1/v1",
    ],
)
def test_no_other_host_is_taken_for_azure(url: str) -> None:
    assert located(Config("openai-images", base_url=url), None) is None


# --- what cannot be meant


@pytest.mark.parametrize(
    ("azure", "words"),
    [
        ({"resource": "openai.azure.com", "domain": "my-resource"}, "resource and domain are swap"),
        ({"resource": ROOT}, "a URL goes into endpoint="),
        ({"resource": "my-resource/openai"}, "a URL goes into endpoint="),
        ({"resource": "my-resource:443"}, "a URL goes into endpoint="),
        ({"resource": "my-resource.openai.azure.com"}, "first word of the host"),
        ({"resource": "my resource"}, "first word of the host"),
        ({"resource": ""}, "first word of the host"),
        ({"resource": "r", "domain": ROOT}, "domain is what follows"),
        ({"resource": "r", "domain": "azure"}, "domain is what follows"),
        ({"resource": "r", "domain": "r.openai.azure.com"}, "domain begins with the resource"),
        ({"domain": "openai.azure.us"}, "resource=, which is missing"),
        ({"resource": "r", "endpoint": ROOT}, "resource and endpoint both say"),
        ({"resource": "r", "deployment": "a/b"}, "deployment is a name"),
        ({"resource": "r", "deployment": ".."}, "deployment is a name"),
        ({"resource": "r", "conversation": "https://x"}, "conversation is a name"),
        ({"resource": "r", "api_version": "?api-version=x"}, "api_version is such as"),
        ({"resource": "r", "urls": "v2"}, "azure.urls"),
        ({"resource": "r", "token": 5}, "azure.token"),
        ({"resource": "r", "key": "x"}, "there is no 'key' in it; there are: resource, domain"),
        ("my-resource", "azure"),
        ({}, "no Azure resource is named"),
        ({"endpoint": "my-resource.openai.azure.com"}, "is such as https://"),
        ({"endpoint": "https://"}, "is such as https://"),
        ({"endpoint": "https://r.example:x"}, "is such as https://"),
        ({"endpoint": "https://[::1"}, "is such as https://"),
        ({"endpoint": "ftp://r.example"}, "is such as https://"),
        ({"endpoint": "https://me:sk-secret@r.example"}, "must not hold a user name"),
        ({"endpoint": "http://r.openai.azure.com"}, "by https only"),
        ({"endpoint": f"{ROOT}?key=sk-secret"}, "no query but api-version"),
        ({"endpoint": f"{ROOT}#x"}, "no query but api-version"),
        # The trap of the official client, which asks for such a URL.
        ({"endpoint": f"{ROOT}/openai/v1/deployments/d"}, "do not go into one address"),
        (
            {"endpoint": f"{ROOT}/openai/v1", "deployment": "d", "urls": "deployments"},
            "the Azure address says 'v1', and urls= 'deployments'",
        ),
        (
            {"endpoint": f"{ROOT}/openai/v1", "deployment": "d", "api_version": DATED},
            "/openai/v1 take none",
        ),
        ({"endpoint": f"{ROOT}/openai/v1?api-version=2024-10-21"}, "/openai/v1 take none"),
        ({"resource": "r", "urls": "v1", "api_version": DATED}, "/openai/v1 take none"),
        (
            {"endpoint": f"{ROOT}/openai/deployments/d", "urls": "v1"},
            "the Azure address says 'deployments', and urls= 'v1'",
        ),
        (
            {"endpoint": f"{ROOT}/openai/deployments/a", "deployment": "b"},
            "names another deployment",
        ),
        ({"endpoint": f"{ROOT}/openai/deployments/d"}, "want a version.*OPENAI_API_VERSION"),
        ({"resource": "r", "urls": "deployments"}, "want a version.*OPENAI_API_VERSION"),
        ({"endpoint": f"{ROOT}/openai/v2"}, "ends before /openai"),
        ({"endpoint": f"{ROOT}/openai/chat/completions"}, "ends before /openai"),
    ],
)
def test_what_cannot_be_meant_is_one_clear_error_that_quotes_no_secret(
    azure: Any, words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        account(settings={"azure": azure})
    assert "sk-secret" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("env", "config", "words"),
    [
        (
            {},
            {"base_url": ROOT, "settings": {"azure": {"resource": "r"}}},
            "base_url and the azure setting both say",
        ),
        (
            {},
            {"api_key": "k", "settings": {"azure": {"resource": "r", "token": "t"}}},
            "a key and the azure setting's token",
        ),
        (
            {"OPENAI_API_VERSION": "a b"},
            {"settings": {"azure": {"resource": "r"}}},
            "OPENAI_API_VERSION is such as",
        ),
        ({}, {"base_url": f"{ROOT}/v1"}, None),
    ],
)
def test_what_is_said_twice_or_wrongly_elsewhere_is_an_error_too(
    env: Any, config: Any, words: str | None
) -> None:
    if words is None:
        # A path before /openai is a gateway's or a project's own.
        assert account(env, **config).endpoint.base_url == f"{ROOT}/v1/openai/v1"
        return
    with pytest.raises(ConfigurationError, match=words):
        account(env, **config)


# --- whose key goes where


class Server:
    """Answers both dialects, and keeps what it was sent."""

    def __init__(self) -> None:
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        whole = response_body(call()) if request.url.path.endswith("responses") else images_body()
        return httpx.Response(200, json=whole)

    @property
    def proof(self) -> dict[str, str]:
        """What of the headers says who is calling."""
        names = ("api-key", "authorization", "openai-organization", "openai-project", "x-team")
        headers = self.asked[-1].headers
        return {name: headers[name] for name in names if name in headers}


def nobody(request: httpx.Request) -> httpx.Response:
    raise AssertionError("the network was used")


KEYS = [
    ({"AZURE_OPENAI_API_KEY": "azure-key"}, {}, {"api-key": "azure-key"}),
    (
        {"AZURE_OPENAI_API_KEY": "azure-key", "AZURE_OPENAI_AD_TOKEN": TOKEN},
        {},
        {"authorization": f"Bearer {TOKEN}"},
    ),
    (
        {"AZURE_OPENAI_API_KEY": "azure-key", "AZURE_OPENAI_AD_TOKEN": TOKEN},
        {"api_key": "own"},
        {"api-key": "own"},
    ),
    ({"AZURE_OPENAI_API_KEY": "azure-key"}, {"api_key": lambda: "asked"}, {"api-key": "asked"}),
    # The token's callable in the key's place, as Microsoft's samples for /openai/v1 have it.
    ({}, {"api_key": lambda: TOKEN}, {"authorization": f"Bearer {TOKEN}"}),
]


@pytest.mark.parametrize(("env", "client", "expected"), KEYS)
@pytest.mark.parametrize("provider", BOTH)
def test_a_key_goes_in_its_own_header_and_a_token_as_a_bearer(
    provider: str, env: Any, client: Any, expected: Any
) -> None:
    server = Server()
    azure = {"resource": "my-resource", **NAMES}
    settings = {"azure": azure}
    env = {**OPENAI, **env}
    make(
        "sync whole",
        asked(),
        handler=server,
        provider=provider,
        settings=settings,
        env=env,
        **client,
    )
    assert server.proof == expected


@pytest.mark.parametrize("way", WAYS)
def test_a_token_is_asked_for_each_request(way: str) -> None:
    server, given = Server(), iter(["first-token", "second-token"])

    def provider() -> str:
        return next(given)

    async def async_provider() -> str:
        return next(given)

    token = provider if way.startswith("sync") else async_provider
    settings = {"azure": {"resource": "my-resource", "deployment": "d", "token": token}}
    request = asked(n=11)
    make(way, request, handler=server, provider="openai-images", settings=settings, env={})
    sent_with = sorted(one.headers["authorization"] for one in server.asked[:2])
    assert sent_with == ["Bearer first-token", "Bearer second-token"]


def test_what_a_tokens_callable_raises_is_one_clear_error() -> None:
    def provider() -> str:
        raise RuntimeError("no identity")

    settings = {"azure": {"resource": "r", "deployment": "d", "token": provider}}
    with pytest.raises(ConfigurationError, match="failed: RuntimeError") as caught:
        make("sync whole", asked(), handler=nobody, provider=BOTH[0], settings=settings, env={})
    assert caught.value.billed == "no"


@pytest.mark.parametrize("provider", BOTH)
def test_openais_key_never_goes_to_azure(provider: str) -> None:
    for client in (
        {"settings": {"azure": {"resource": "my-resource", **NAMES}}},
        {"base_url": f"{ROOT}/openai/v1"},
        {"env": {**OPENAI, "OPENAI_BASE_URL": f"{ROOT}/openai/v1"}},
    ):
        with pytest.raises(MissingCredentialError, match="OPENAI_API_KEY is never sent to Azure"):
            make(
                "sync whole",
                asked(model="m"),
                handler=nobody,
                provider=provider,
                **{"env": OPENAI, **client},
            )
    server = Server()
    settings = {"azure": {"endpoint": "https://images.example", **NAMES}}
    make("sync whole", asked(), handler=server, provider=provider, settings=settings, env=OPENAI)
    assert server.proof == {}


@pytest.mark.parametrize("base", [None, "https://gateway.example/v1"])
def test_azures_key_never_goes_elsewhere(base: str | None) -> None:
    server = Server()
    env = {"AZURE_OPENAI_API_KEY": KEY, "AZURE_OPENAI_AD_TOKEN": TOKEN, "OPENAI_API_KEY": "sk-own"}
    make("sync whole", asked(), handler=server, provider=BOTH[0], base_url=base, env=env)
    assert server.proof == {"authorization": "Bearer sk-own"}
    assert KEY not in str(server.asked[0].headers.raw)


@pytest.mark.parametrize("name", ["mine", "openai-images"])
@pytest.mark.parametrize(
    "where",
    [
        {"settings": {"azure": {"endpoint": "https://evil.example", "deployment": "d"}}},
        {"settings": {"azure": {"resource": "evil", "deployment": "d"}}},
        {"settings": {"azure": {"deployment": "d"}}, "base_url": "https://evil.example"},
    ],
)
def test_a_profile_with_an_address_of_its_own_names_its_own_key(name: str, where: Any) -> None:
    server, env = Server(), {"AZURE_OPENAI_API_KEY": KEY, "AZURE_OPENAI_AD_TOKEN": TOKEN}

    def ask(**more: Any) -> None:
        profile = Profile(name, "openai-images", **where, **more)
        how = {"provider": name}
        make("sync whole", asked(), handler=server, profiles=[profile], how=how, env=env)

    if "resource" in where["settings"]["azure"]:
        with pytest.raises(MissingCredentialError, match="says it itself"):
            ask()
        assert not server.asked
    else:
        ask()
        assert server.proof == {}
    env["ITS_OWN"] = "its-own"
    ask(api_key_env="ITS_OWN")
    assert server.proof == {"api-key": "its-own"}


def test_a_profile_without_an_address_is_for_the_one_of_the_environment() -> None:
    server = Server()
    env = {"AZURE_OPENAI_API_KEY": "azure-key", "AZURE_OPENAI_ENDPOINT": ROOT}
    profile = Profile("mine", "openai-images", settings={"azure": {"deployment": "d"}})
    make(
        "sync whole",
        asked(),
        handler=server,
        profiles=[profile],
        how={"provider": "mine"},
        env=env,
    )
    assert server.asked[0].url.host == "my-resource.openai.azure.com"
    assert server.proof == {"api-key": "azure-key"}


@pytest.mark.parametrize("header", ["Authorization", "api-key"])
def test_a_header_of_the_settings_stands_in_place_of_key_and_token(header: str) -> None:
    server = Server()
    azure = {"resource": "r", "deployment": "d"}
    for extra in ({}, {"token": "t"}):
        settings = {"azure": {**azure, **extra}, "headers": {header: "mine", "x-team": "art"}}
        make("sync whole", asked(), handler=server, provider=BOTH[0], settings=settings, env={})
        assert server.proof == {header.lower(): "mine", "x-team": "art"}


@pytest.mark.parametrize("build", [of_images, of_responses])
def test_neither_key_nor_token_is_in_a_repr(build: Any) -> None:
    azure = {"resource": "r", "token": KEY, **NAMES}
    provider = build(api_key=None, settings={"azure": azure})
    mine = provider._account
    shown = [provider, provider.endpoint, mine, mine.settings, mine.settings.azure, mine.azure]
    assert KEY not in "".join(map(repr, shown)) + "".join(map(str, shown))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("secret", [{"api_key": "azure-key-0123"}, {"token": TOKEN}])
def test_a_server_that_quotes_the_proof_is_not_quoted(way: str, secret: dict[str, str]) -> None:
    [value] = secret.values()

    def server(request: httpx.Request) -> httpx.Response:
        return httpx.Response(401, json={"error": {"code": "401", "message": f"no: {value}"}})

    azure = {"resource": "r", "deployment": "d"}
    azure |= {name: said for name, said in secret.items() if name == "token"}
    client = {name: said for name, said in secret.items() if name == "api_key"}
    with pytest.raises(AuthenticationError) as caught:
        make(
            way,
            asked(),
            handler=server,
            provider=BOTH[0],
            settings={"azure": azure},
            env={},
            **client,
        )
    assert value not in "".join(traceback.format_exception(caught.value))


# --- as the official client asks


@dataclass(frozen=True)
class Case:
    """One call, ours and theirs, and *differ*: what each says otherwise, asserted and taken out."""

    ours: dict[str, Any]
    theirs: Callable[[Any], Any]
    settings: dict[str, Any]
    client: dict[str, Any]
    differ: Callable[[Sent, Sent], None]
    stream: bool = False
    provider: str = "openai-images"
    of: Any = openai.AzureOpenAI


TELEMETRY = ("accept", "accept-encoding", "connection", "content-length", "user-agent")


def same(mine: Sent, other: Sent) -> None:
    """Nothing is said otherwise."""


def unnamed(mine: Sent, other: Sent) -> None:
    """The path names the deployment; the body need not, and for newer models must not."""
    assert (mine.taken("model"), other.taken("model")) == (None, "drawer")


def drawn(mine: Sent, other: Sent) -> None:
    """Ours names the image deployment, forces the tool, and asks for no padding."""
    assert mine.headers.pop("x-ms-oai-image-generation-deployment") == "drawer"
    assert mine.taken("tool_choice") == {"type": "image_generation"}
    mine.taken("stream_options")


def unsorted(mine: Sent, other: Sent) -> None:
    """A form's fields in another order; and the body names no model."""
    unnamed(mine, other)
    for one in (mine, other):
        one.parts = sorted(one.fields, key=lambda part: part.name) + one.files


def _generate(sdk: Any, **more: Any) -> Any:
    return sdk.images.generate(
        prompt="an otter", model="drawer", size="1024x1024", quality="low", **more
    )


def _edit(sdk: Any) -> Any:
    image = ("image.png", ONE, "image/png")
    return sdk.images.edit(image=image, prompt="a hat", model="drawer", quality="low")


def _respond(sdk: Any, **more: Any) -> Any:
    tools: Any = [{"type": "image_generation", "quality": "low"}]
    return sdk.responses.create(model="talker", input="an otter", tools=tools, **more)


GENERATE = {"prompt": "an otter", "size": "1024x1024", "quality": "low"}
EDIT = {"prompt": "a hat", "images": ONE, "quality": "low"}
RESPOND = {"prompt": "an otter", "quality": "low"}
CLASSIC = {"azure_endpoint": ROOT, "api_version": DATED}
NAMED = {**CLASSIC, "azure_deployment": "drawer"}
SAID = {"resource": "my-resource", "api_version": DATED, **NAMES}
V1 = {"base_url": f"{ROOT}/openai/v1"}
SAID_V1 = {"resource": "my-resource", **NAMES}
# With the plain client, as Microsoft's samples have it; `api-key` is Azure's own way.
PLAIN = {"of": openai.OpenAI}
CASES = {
    "deployment, named by the client": Case(GENERATE, _generate, SAID, NAMED, unnamed),
    "deployment, named by the model": Case(
        {**GENERATE, "model": "drawer"},
        _generate,
        {"resource": "my-resource", "api_version": DATED},
        CLASSIC,
        unnamed,
    ),
    "deployment, streamed": Case(
        {**GENERATE, "partial_images": 1},
        partial(_generate, stream=True, partial_images=1),
        SAID,
        CLASSIC,
        unnamed,
        stream=True,
    ),
    "deployment, edit": Case(EDIT, _edit, SAID, CLASSIC, unsorted),
    "responses": Case(RESPOND, _respond, SAID, CLASSIC, drawn, provider="openai-responses"),
    "responses, beside a deployment": Case(
        RESPOND, _respond, SAID, NAMED, drawn, provider="openai-responses"
    ),
    "responses, streamed": Case(
        RESPOND,
        partial(_respond, stream=True),
        SAID,
        CLASSIC,
        drawn,
        stream=True,
        provider="openai-responses",
    ),
    "v1": Case(GENERATE, _generate, SAID_V1, V1, same, **PLAIN),
    "v1, by the model": Case(
        {**GENERATE, "model": "drawer"}, _generate, {"resource": "my-resource"}, V1, same, **PLAIN
    ),
    "v1, with a version": Case(
        GENERATE,
        _generate,
        {**SAID_V1, "api_version": "preview"},
        {**V1, "default_query": {"api-version": "preview"}},
        same,
        **PLAIN,
    ),
    "v1, responses": Case(
        RESPOND, _respond, SAID_V1, V1, drawn, provider="openai-responses", **PLAIN
    ),
}


def _proven(proof: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """How either client is given the same proof: our client, our azure setting, theirs."""
    if proof == "key":
        return {"api_key": KEY}, {}, {"api_key": KEY}
    if proof == "token":
        return {"api_key": None}, {"token": TOKEN}, {"api_key": None, "azure_ad_token": TOKEN}
    given = {"azure_ad_token_provider": lambda: TOKEN}
    return {"api_key": None}, {"token": lambda: TOKEN}, {"api_key": None, **given}


@pytest.mark.parametrize("proof", ["key", "token", "token provider"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_we_ask_as_the_official_client_does(
    case: Case, proof: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_VERSION", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_AD_TOKEN", *OPENAI):
        monkeypatch.delenv(name, raising=False)
    plain = case.of is openai.OpenAI
    client, azure, given = _proven(proof)
    if plain:
        # That client knows keys only, and sends every one as a bearer.
        given = {"api_key": KEY if proof == "key" else TOKEN}
    settings = {"azure": {**case.settings, **azure}}
    mine = ours(
        ImageRequest(**case.ours),
        provider=case.provider,
        stream=case.stream,
        settings=settings,
        **client,
    )
    other = theirs(case.theirs, stream=case.stream, of=case.of, **case.client, **given)
    if plain and proof == "key":
        assert mine.headers.pop("api-key") == KEY
        assert other.headers.pop("authorization") == f"Bearer {KEY}"
    case.differ(mine, other)
    for one in (mine, other):
        one.headers = {
            name: value
            for name, value in one.headers.items()
            if name not in TELEMETRY and not name.startswith("x-stainless-")
        }
    assert mine == other


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_async_client_of_the_sdk_asks_alike() -> None:
    seen: list[Sent] = []

    async def token() -> str:
        return TOKEN

    def theirs_too(request: httpx2.Request) -> httpx2.Response:
        seen.append(sent(request))
        return httpx2.Response(200, json=images_body())

    def mine(request: httpx.Request) -> httpx.Response:
        seen.append(sent(request))
        return httpx.Response(200, json=images_body())

    async with (
        httpx2.AsyncClient(transport=httpx2.MockTransport(theirs_too)) as http,
        openai.AsyncAzureOpenAI(**NAMED, azure_ad_token_provider=token, http_client=http) as sdk,
    ):
        await _generate(sdk)
    settings = {"azure": {**SAID, "token": token}}
    transport = httpx.MockTransport(mine)
    async with AsyncClient(
        provider=BOTH[0], settings=settings, env={}, http=httpx.AsyncClient(transport=transport)
    ) as client:
        await client.run(ImageRequest(**GENERATE))
    other, own = seen
    unnamed(own, other)
    assert (own.origin, own.path, own.query, own.json) == (
        other.origin,
        other.path,
        other.query,
        other.json,
    )
    assert own.headers["authorization"] == other.headers["authorization"] == f"Bearer {TOKEN}"


def test_the_sdk_still_asks_for_the_wrong_url_of_a_v1_base() -> None:
    """The trap that we refuse; should it go, so may our words of it."""
    settings = {"base_url": f"{ROOT}/openai/v1", "api_version": "preview"}
    wrong = theirs(_generate, stream=False, of=openai.AzureOpenAI, **settings)
    assert wrong.path == "/openai/v1/deployments/drawer/images/generations"


# --- models


def request_of(provider: Any, request: ImageRequest) -> Any:
    """The first request of a flow, past what it says."""
    flow = provider.flow(request, stream=False)
    effect = next(flow)
    while not hasattr(effect, "request"):
        effect = flow.send(None)
    return effect.request


def at(build: Any, **azure: Any) -> Any:
    return build(settings={"azure": {"resource": "r", **azure}})


@pytest.mark.parametrize("build", [of_images, of_responses])
def test_without_a_deployment_or_a_model_nothing_is_asked(build: Any) -> None:
    with pytest.raises(ConfigurationError, match="Azure has no default model") as caught:
        request_of(at(build, conversation="talker"), asked())
    assert caught.value.billed == "no"


def test_without_a_text_model_no_conversation_is_begun() -> None:
    with pytest.raises(ConfigurationError, match="Azure has no default text model") as caught:
        request_of(at(of_responses, deployment="drawer"), asked())
    assert caught.value.billed == "no"
    said = asked(options={"openai-responses": {"conversation_model": "other"}})
    for conversation in (None, "talker"):
        mine = at(of_responses, deployment="drawer", conversation=conversation)
        assert request_of(mine, said).json["model"] == "other"


def test_the_deployment_is_what_the_wire_calls_a_model() -> None:
    wire = request_of(at(of_images, deployment="drawer"), asked(model="gpt-image-2"))
    assert wire.json["model"] == "drawer"
    dated = at(of_images, deployment="drawer", api_version=DATED)
    wire = request_of(dated, asked(model="gpt-image-2"))
    assert (wire.url, "model" in wire.json) == ("/deployments/drawer/images/generations", False)


def test_the_tool_names_a_model_where_the_caller_does() -> None:
    def asks(model: str | None, **azure: Any) -> tuple[str, str | None]:
        wire = request_of(at(of_responses, conversation="talker", **azure), asked(model=model))
        [tool] = wire.json["tools"]
        return wire.headers["x-ms-oai-image-generation-deployment"], tool.get("model")

    assert asks(None, deployment="drawer") == ("drawer", None)
    assert asks("gpt-image-1-mini", deployment="drawer") == ("drawer", "gpt-image-1-mini")
    # As a recording of a Foundry project has it: both by one name.
    assert asks("gpt-image-1-mini") == ("gpt-image-1-mini", "gpt-image-1-mini")


@pytest.mark.parametrize(
    ("build", "options", "where", "expected"),
    [
        (
            of_images,
            {"extra_body": {"model": "own", "x": 1}},
            lambda j: j,
            {"model": "own", "x": 1},
        ),
        (of_responses, {"extra_tool": {"model": "own"}}, lambda j: j["tools"][0], {"model": "own"}),
    ],
)
def test_what_the_options_say_of_the_model_wins(
    build: Any, options: Any, where: Any, expected: Any
) -> None:
    wire = request_of(at(build, **NAMES), asked(options={"openai": options}))
    assert expected.items() <= where(wire.json).items()


@pytest.mark.parametrize("build", [of_images, of_responses])
def test_a_wrong_option_is_still_told_as_one(build: Any) -> None:
    said = asked(options={"openai": {"extra_body": 5, "extra_tool": 5}})
    with pytest.raises(RequestError, match="option 'extra_"):
        request_of(at(build, **NAMES), said)


@pytest.mark.parametrize("build", [of_images, of_responses])
@pytest.mark.parametrize("model", ["a/../b", "..", "a b", "ä", "a\r\nx: y"])
def test_a_model_that_can_name_no_deployment_is_an_error(build: Any, model: str) -> None:
    with pytest.raises(RequestError, match="cannot be the name of a deployment") as caught:
        request_of(at(build, conversation="talker", api_version=DATED), asked(model=model))
    assert caught.value.billed == "no"


@pytest.mark.parametrize("provider", BOTH)
def test_a_response_names_the_model_that_was_meant(provider: str) -> None:
    for model, named in ((None, "drawer"), ("gpt-image-2", "gpt-image-2")):
        response = make(
            "sync whole",
            asked(model=model),
            handler=Server(),
            provider=provider,
            api_key="k",
            settings={"azure": {"resource": "r", **NAMES}},
            env={},
        )
        assert response.model == named


# --- what Azure lacks


@pytest.mark.parametrize("build", [of_images, of_responses])
def test_capabilities_are_azures_own(build: Any) -> None:
    able = at(build, deployment="gpt-image-2").capabilities(None)
    assert able.model == "gpt-image-2"
    assert able.size is not None
    assert "Microsoft" in str(able.source_of("output_format"))
    assert "litellm" in str(able.source_of("lifecycle"))
    assert str(able.lifecycle) == "shuts down 2027-10-21"
    bare = at(build).capabilities(None)
    assert (bare.model, bare.size, str(bare.lifecycle)) == (None, None, "unknown")
    other = at(build, deployment="drawer").capabilities("gpt-image-1.5")
    assert str(other.lifecycle) == "shuts down 2026-12-16"
    assert str(build().capabilities("gpt-image-1.5").lifecycle).startswith("shuts down 2026-12-01")


@pytest.mark.parametrize("output_format", ["webp", "gif", "svg"])
@pytest.mark.parametrize("provider", BOTH)
def test_a_format_that_azure_lacks_is_adapted_or_refused(provider: str, output_format: str) -> None:
    server = Server()
    common: dict[str, Any] = {
        "handler": server,
        "provider": provider,
        "api_key": "k",
        "settings": {"azure": {"resource": "r", **NAMES}},
        "env": {},
    }
    response = make("sync whole", asked(output_format=output_format), **common)
    [notice] = response.notices
    assert (notice.kind, notice.feature) == ("unsupported", "output_format")
    assert "may be png, jpeg" in notice.detail
    assert output_format.encode() not in server.asked[-1].content
    with pytest.raises(UnsupportedRequestError, match="may be png, jpeg"):
        make("sync whole", asked(output_format=output_format, unsupported="error"), **common)
    assert len(server.asked) == 1


def test_an_edit_is_a_form_even_where_openai_would_take_json() -> None:
    server = Server()

    def world(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, content=ONE)
        return server(request)

    request = asked(images="https://pictures.example/otter.png", moderation="low")
    make(
        "sync whole",
        request,
        handler=world,
        provider=BOTH[0],
        api_key="k",
        settings={"azure": {"resource": "r", **NAMES, "api_version": DATED}},
        env={},
    )
    wire = sent(server.asked[0])
    assert wire.path == "/openai/deployments/drawer/images/edits"
    assert [part.kind for part in wire.files] == ["image/png"]
    assert b"low" in [part.data for part in wire.fields]


def test_pictures_that_azure_does_not_edit_are_refused_before_anything_is_sent() -> None:
    settings = {"azure": {"resource": "r", **NAMES}}
    with pytest.raises(UnsupportedRequestError, match=r"edits PNG and JPEG; .* is image/gif"):
        make(
            "sync whole",
            asked(images=[ONE, GIF]),
            handler=nobody,
            provider=BOTH[0],
            api_key="k",
            settings=settings,
            env={},
        )


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("dall-e-3", "dall-e-3 was shut down on 2026-03-04"),
        ("gpt-image-1.5-2025-12-16", "gpt-image-1.5-2025-12-16 shuts down on 2026-12-16"),
        ("gpt-image-1-mini", "gpt-image-1-mini shuts down on 2027-04-07"),
        ("gpt-image-2", None),
        ("gpt-image-2.5-flare-2026-09-08", None),
        ("chatgpt-image-latest", None),
        ("drawer", None),
    ],
)
@pytest.mark.parametrize("provider", BOTH)
def test_a_model_that_ends_at_azure_is_told_by_azures_calendar(
    provider: str, model: str, words: str | None
) -> None:
    response = make(
        "sync whole",
        asked(model=model),
        handler=Server(),
        provider=provider,
        api_key="k",
        settings={"azure": {"resource": "r", **NAMES}},
        env={},
    )
    told = [one.detail for one in response.notices if one.kind == "deprecated"]
    assert response.ok
    assert [detail.partition(" (")[0] for detail in told] == (
        [f"{provider}: {words}"] if words else []
    )


# --- how Azure says no


def refuse(status: int, body: Any, **headers: str) -> Any:
    def server(request: httpx.Request) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.Response(status, json=body, headers={"apim-request-id": "apim-1", **named})

    try:
        make(
            "sync whole",
            asked(),
            handler=server,
            provider=BOTH[0],
            api_key="k",
            settings={"azure": {"resource": "r", **NAMES}},
            how={"retries": 0},
            env={},
        )
    except Exception as error:
        return error
    raise AssertionError("it was no refusal")


@pytest.mark.parametrize("status", [200, 400])
def test_the_documented_refusal_of_its_filter_is_one_whatever_the_status(status: int) -> None:
    message = "Your task failed as a result of our safety system."
    body = {"created": 1698435368, "error": {"code": "contentFilter", "message": message}}
    error = refuse(status, body)
    assert type(error) is ContentRejectedError
    assert (str(error), error.code, error.stage) == (message, "contentFilter", "unknown")
    assert error.request_id == "apim-1"


@pytest.mark.parametrize("inner", ["inner_error", "innererror"])
@pytest.mark.parametrize("results", ["content_filter_results", "content_filter_result"])
def test_what_its_filter_found_is_read_by_each_of_its_names(inner: str, results: str) -> None:
    found = {"violence": {"filtered": True, "severity": "high"}, "hate": {"filtered": False}}
    error = refuse(
        400,
        {
            "error": {
                "code": "content_policy_violation",
                "message": "no",
                inner: {"code": "ResponsibleAIPolicyViolation", results: found},
            }
        },
    )
    assert type(error) is ContentRejectedError
    assert (error.stage, error.categories) == ("input", ("violence",))


def test_an_inner_error_alone_is_a_refusal() -> None:
    inner = {"code": "ResponsibleAIPolicyViolation"}
    error = refuse(400, {"error": {"code": None, "message": "no", "inner_error": inner}})
    assert type(error) is ContentRejectedError


@pytest.mark.parametrize(
    ("filters", "stage", "categories"),
    [
        ([("prompt", {"sexual": {"filtered": True}})], "input", ("sexual",)),
        ([("completion", {"sexual": {"filtered": True}})], "output", ("sexual",)),
        (
            [
                ("prompt", {"sexual": {"filtered": False}}),
                ("completion", {"hate": {"filtered": True}, "sexual": {"filtered": True}}),
            ],
            "output",
            ("hate", "sexual"),
        ),
        (
            [
                ("prompt", {"hate": {"filtered": True}}),
                ("completion", {"hate": {"filtered": True}}),
            ],
            "unknown",
            ("hate",),
        ),
        ([("prompt", "strange")], "input", ()),
    ],
)
def test_the_filters_of_a_response_say_at_which_end_they_stood(
    filters: Any, stage: str, categories: Any
) -> None:
    listed = [
        {"blocked": True, "source_type": where, "content_filter_results": results}
        for where, results in filters
    ]
    body = {"code": "content_filter", "message": "no", "content_filters": [*listed, "strange"]}
    error = refuse(400, {"error": body})
    assert (error.stage, error.categories) == (stage, categories)


@pytest.mark.parametrize(
    ("datum", "stage", "categories"),
    [
        ({"content_filter_results": {"violence": {"filtered": True}}}, "output", ("violence",)),
        ({"prompt_filter_results": {"hate": {"filtered": True}}}, "input", ("hate",)),
    ],
)
def test_a_slot_that_its_filter_left_empty_says_so(
    datum: Any, stage: str, categories: tuple[str, ...]
) -> None:
    fine = {"content_filter_results": {"violence": {"filtered": False}}, "b64_json": b64(ONE)}

    def server(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"created": 1, "data": [fine, datum]})

    response = make(
        "sync whole",
        asked(n=2),
        handler=server,
        provider=BOTH[0],
        api_key="k",
        settings={"azure": {"resource": "r", **NAMES}},
        env={},
    )
    assert len(response.images) == 1
    [failure] = response.failures
    assert (failure.kind, failure.code) == ("refused", "content_filter")
    assert (failure.stage, failure.categories) == (stage, categories)


def test_a_deployment_that_is_not_there_is_told_with_what_helps() -> None:
    message = "The API deployment for this resource does not exist."
    error = refuse(404, {"error": {"code": "DeploymentNotFound", "message": message}})
    assert type(error) is InvalidRequestError
    assert str(error).startswith(message)
    assert "the name of a deployment, not of a model" in str(error)


def test_a_limit_says_how_long_to_wait_in_headers_or_in_words() -> None:
    body = {"error": {"code": "429", "message": "Please retry after 10 seconds."}}
    error = refuse(429, body, retry_after_ms="1500", retry_after="2")
    assert type(error) is RateLimitError
    assert (error.retry_after, error.billed) == (1.5, "no")
    assert refuse(429, body).retry_after == 10
    gateway = {"statusCode": 429, "message": "Rate limit is exceeded. Try again in 7 seconds."}
    assert refuse(429, gateway).retry_after == 7


@pytest.mark.parametrize("status", [408, 504])
def test_a_call_that_azure_cut_says_what_helps(status: int) -> None:
    error = refuse(status, {"error": {"code": "Timeout", "message": "timed out"}})
    assert type(error) is ProviderUnavailableError
    assert "stream it with partial_images=1" in str(error)
    assert error.billed == "possibly"


# --- recordings


@pytest.mark.skipif(not HOME.is_dir(), reason=ABSENT)
@pytest.mark.parametrize(
    "name",
    [
        "BadKeyGivesHelpfulError__2024-12-05.json",
        "CanGetContentFilterResults__2024-12-05.json",
        "GptImage1Works__2025-04-25.json",
    ],
)
def test_we_ask_where_the_recorded_client_asked_and_read_what_it_got(name: str) -> None:
    [exchange] = recorded(f"Azure__azure-sdk-assets/{name}")
    seen: list[httpx.Request] = []

    def server(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(exchange.status, headers=exchange.headers, content=exchange.body)

    wire = exchange.asked_json
    model = wire.pop("model")
    version = httpx.URL(exchange.url).params["api-version"]
    request = ImageRequest(
        prompt=wire.pop("prompt"), n=wire.pop("n", 1), options={"openai": {"extra_body": wire}}
    )
    settings = {"azure": {"resource": "Sanitized", "deployment": model, "api_version": version}}
    client = Client(
        provider=BOTH[0],
        api_key="k",
        settings=settings,
        env={},
        fetch=False,
        raise_on_error=False,
        http=httpx.Client(transport=httpx.MockTransport(server)),
    )
    with client:
        response = client.run(request)
    assert str(seen[0].url).lower() == exchange.url.lower()
    assert seen[0].headers["api-key"] == "k"
    if exchange.status != 200:
        error = response.error
        assert type(error) is AuthenticationError
        assert error.request_id == exchange.headers["apim-request-id"]
        return
    assert response.ok
    # The longer id is Azure's own; where OpenAI's stands beside it, that is the request's.
    assert response.request_ids[0] in exchange.headers.values()
    if "url" in exchange.json["data"][0]:
        assert response.images[0].expires_at == datetime(2024, 12, 6, 0, 53, 17, tzinfo=UTC)
        assert response.processing_time == 8.631
        assert response.rate_limits["requests"].remaining == 2
        assert response.metadata["region"] == "Sweden Central"
    else:
        assert response.metadata["deployment"] == "gpt-image-1"
        assert len(response.images) == 2
        assert response.images[0].media_type == "image/png"


def test_the_head_of_a_stream_is_read_like_an_answer() -> None:
    event = {"type": "image_generation.completed", "b64_json": b64(ONE), "created_at": 1}

    def server(request: httpx.Request) -> httpx.Response:
        kind, worked = "text/event-stream", {"x-envoy-upstream-service-time": "250"}
        headers = {"content-type": kind, "x-ms-region": "West US 3", **worked}
        return httpx.Response(200, headers=headers, content=sse_bytes([event]))

    response = make(
        "sync streamed",
        asked(),
        handler=server,
        provider=BOTH[0],
        api_key="k",
        settings={"azure": {"resource": "r", **NAMES}},
        env={},
    )
    assert response.processing_time == 0.25
    assert response.metadata == {"region": "West US 3"}
