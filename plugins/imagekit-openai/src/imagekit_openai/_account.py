"""Who is calling: key, organisation, project and base URL, from arguments or the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from imagekit import ConfigurationError
from imagekit.provider import Config, Effects, Endpoint, HttpRequest, Key, credential, settings

BASE_URL = "https://api.openai.com/v1"
_NAME = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)


class Settings(BaseModel):
    """What can be set beside the key and the base URL.

    * `organization`, `project`: whose account pays.
    * `headers`: more headers to send home; an `authorization` here stands in place of the key.
    * `mask`: what marks the part to edit, on a server that has its own convention.
    * `variations`: whether the server still has `/images/variations`; OpenAI's does not.
    * `streaming`: whether the server streams; one that does not is asked for all pictures at once.
    * `image_field`: what a multipart form calls an input picture, on a server that knows one name
      only.
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

    @field_validator("headers")
    @classmethod
    def _named(cls, headers: Mapping[str, str]) -> Mapping[str, str]:
        if not all(map(_NAME.fullmatch, headers)):
            raise ValueError("the name of a header is one word")
        return {name.lower(): value for name, value in headers.items()}


class Account:
    """A caller's settings, and the endpoint they make."""

    def __init__(self, config: Config) -> None:
        env = config.env
        self.settings = settings(config, Settings)
        base_url = config.base_url or env.get("OPENAI_BASE_URL") or BASE_URL
        self.at_home = _is_openai(base_url)
        ambient = _ambient(env) if config.ambient else {}
        said = {
            "openai-organization": self.settings.organization,
            "openai-project": self.settings.project,
        }
        named = {name: value for name, value in said.items() if value}
        headers = {**ambient, **named, **self.settings.headers}
        key = None if "authorization" in self.settings.headers else config.api_key
        missing = None
        if self.at_home and not key and "authorization" not in headers:
            missing = "no API key: set OPENAI_API_KEY, or pass api_key="
        self.endpoint = Endpoint(base_url, _Signed(headers, key), missing)


def _is_openai(base_url: str) -> bool:
    host = urlsplit(base_url).hostname or ""
    return host == "api.openai.com" or host.endswith(".api.openai.com")


class _Signed:
    """Adds the same headers to every request, and the key; shows none of them."""

    def __init__(self, headers: Mapping[str, str], key: Key | None) -> None:
        self._headers, self._key = headers, key

    def __call__(self, request: HttpRequest) -> Effects[Mapping[str, str]]:
        key = yield from credential(self._key)
        return {**self._headers, "authorization": f"Bearer {key}"} if key else self._headers


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
