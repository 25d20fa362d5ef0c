"""Who is calling: key, organisation, project and base URL, from arguments or the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, field_validator

from imagekit import ConfigurationError
from imagekit.provider import Config, Effects, Endpoint, HttpRequest, Key, credential, settings

from ._azure import Azure, Site, is_token, located
from ._constants import Keeper
from ._lenient import Read

BASE_URL = "https://api.openai.com/v1"
NO_AZURE_KEY = (
    "no key for the Azure resource: set AZURE_OPENAI_API_KEY or AZURE_OPENAI_AD_TOKEN, or pass "
    "api_key= or the azure setting's token (a profile with an address of its own says it itself; "
    "OPENAI_API_KEY is never sent to Azure)"
)
_NAME = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)


class Settings(Read):
    """What can be set beside the key and the base URL.

    * `organization`, `project`: whose account pays.
    * `headers`: more headers to send home; an `authorization` here stands in place of the key.
    * `mask`: what marks the part to edit, on a server that has its own convention.
    * `variations`: whether the server still has `/images/variations`; OpenAI's does not.
    * `streaming`: whether the server streams; one that does not is asked for all pictures at once.
    * `image_field`: what a multipart form calls an input picture, on a server that knows one name
      only.
    * `azure`: a resource of Azure OpenAI; see `Azure`.
    * `row`: how a server differs from the Images API, for `openai-images`; see `Row`.
    """

    # A key in the wrong place is not quoted by the error that says so.
    model_config = ConfigDict(hide_input_in_errors=True)

    organization: str | None = None
    project: str | None = None
    headers: Mapping[str, str] = Field(default_factory=dict, repr=False)
    mask: Literal["transparent", "opaque", "white", "black"] = "transparent"
    variations: bool = False
    streaming: bool = True
    image_field: Literal["image", "image[]"] | None = None
    azure: Azure | None = None
    row: Mapping[str, Any] | None = None

    @field_validator("headers")
    @classmethod
    def _named(cls, headers: Mapping[str, str]) -> Mapping[str, str]:
        if not all(map(_NAME.fullmatch, headers)):
            raise ValueError("the name of a header is one word")
        return {name.lower(): value for name, value in headers.items()}


class Account:
    """A caller's settings, and the endpoint they make."""

    def __init__(self, config: Config) -> None:
        self.settings = settings(config, Settings)
        if self.settings.row is not None:
            raise ConfigurationError("a row speaks of an Images API: say it to openai-images")
        self.azure = located(config, self.settings.azure)
        base_url = config.base_url or config.env.get("OPENAI_BASE_URL") or BASE_URL
        self.at_home = self.azure is None and _is_openai(base_url)
        if self.azure is not None:
            self.endpoint = self._resource(config, self.azure)
        else:
            self.endpoint = self._server(config, base_url)

    @property
    def keeper(self) -> Keeper | None:
        """Whose models they are; None where it is not known."""
        return "Azure" if self.azure else "OpenAI" if self.at_home else None

    def _server(self, config: Config, base_url: str) -> Endpoint:
        ambient = _ambient(config.env) if config.ambient else {}
        headers = {**ambient, **self._named()}
        key = None if "authorization" in self.settings.headers else config.api_key
        missing = None
        if self.at_home and not key and "authorization" not in headers:
            missing = "no API key: set OPENAI_API_KEY, or pass api_key="
        return Endpoint(base_url, Signed(headers, key), missing)

    def _resource(self, config: Config, site: Site) -> Endpoint:
        """The same at Azure, where nothing that is meant for OpenAI goes."""
        said = self.settings.azure or Azure()
        if said.token and config.api_key:
            raise ConfigurationError("a key and the azure setting's token: say one of them")
        headers = self._named()
        key, token = config.api_key, said.token
        # A profile with an address of its own names its own key, whichever way it says it.
        if config.ambient and not (config.profile and said.address) and not (key or token):
            token = config.env.get("AZURE_OPENAI_AD_TOKEN")
            key = None if token else config.env.get("AZURE_OPENAI_API_KEY")
        if {"authorization", "api-key"} & set(headers):
            key = token = None
        elif site.known and not (key or token):
            return Endpoint(site.base_url, None, NO_AZURE_KEY)
        return Endpoint(site.base_url, Signed(headers, token or key, azure=not token))

    def _named(self) -> dict[str, str]:
        """The headers that the settings say."""
        said = {
            "openai-organization": self.settings.organization,
            "openai-project": self.settings.project,
        }
        return {**{name: value for name, value in said.items() if value}, **self.settings.headers}


def _is_openai(base_url: str) -> bool:
    host = urlsplit(base_url).hostname or ""
    return host == "api.openai.com" or host.endswith(".api.openai.com")


class Signed:
    """Adds the same headers to every request, and the key; shows none of them.

    A key of *azure* goes in a header of its own, unless it is a token after all.
    """

    def __init__(self, headers: Mapping[str, str], key: Key | None, *, azure: bool = False) -> None:
        self._headers, self._key, self._azure = headers, key, azure

    def __call__(self, request: HttpRequest) -> Effects[Mapping[str, str]]:
        key = yield from credential(self._key)
        if not key:
            return self._headers
        if self._azure and not is_token(key):
            return {**self._headers, "api-key": key}
        return {**self._headers, "authorization": f"Bearer {key}"}


def _ambient(env: Mapping[str, str]) -> dict[str, str]:
    """What the environment says to send; a header of its own beats what another variable makes."""
    made = {
        "authorization": f"Bearer {env['OPENAI_API_KEY']}" if env.get("OPENAI_API_KEY") else None,
        "openai-organization": env.get("OPENAI_ORG_ID"),
        "openai-project": env.get("OPENAI_PROJECT_ID"),
    }
    custom = _custom(env.get("OPENAI_CUSTOM_HEADERS", ""))
    return {**{name: value for name, value in made.items() if value}, **custom}


def _custom(text: str) -> dict[str, str]:
    headers = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        name, colon, value = line.partition(":")
        if not colon or not _NAME.fullmatch(name.strip()):
            raise ConfigurationError("OPENAI_CUSTOM_HEADERS wants lines of `Name: value`")
        headers[name.strip().lower()] = value.strip()
    return headers
