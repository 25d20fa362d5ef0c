"""Who is calling: key, organisation, project and base URL, from arguments or the environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, Field

from imagekit import ConfigurationError
from imagekit.provider import Config, Effects, Endpoint, HttpRequest, settings

BASE_URL = "https://api.openai.com/v1"


class Settings(BaseModel):
    """What can be set beside the key and the base URL.

    * `organization`, `project`: whose account pays.
    * `headers`: more headers to send home.
    * `mask`: what marks the part to edit, on a server that has its own convention.
    * `variations`: whether the server still has `/images/variations`; OpenAI's does not.
    * `streaming`: whether the server streams; one that does not is asked for all pictures at once.
    * `image_field`: what a multipart form calls an input picture, on a server that knows one name
      only.
    """

    organization: str | None = None
    project: str | None = None
    headers: Mapping[str, str] = Field(default_factory=dict)
    mask: Literal["transparent", "opaque", "white", "black"] = "transparent"
    variations: bool = False
    streaming: bool = True
    image_field: Literal["image", "image[]"] | None = None


class Account:
    """A caller's settings, and the endpoint they make."""

    def __init__(self, config: Config) -> None:
        env = config.env
        self.settings = settings(config, Settings)
        base_url = config.base_url or env.get("OPENAI_BASE_URL") or BASE_URL
        key = config.api_key or (env.get("OPENAI_API_KEY") if config.ambient else None)
        self.at_home = _is_openai(base_url)
        headers = _custom(env.get("OPENAI_CUSTOM_HEADERS", "")) if config.ambient else {}
        headers |= {name.lower(): value for name, value in self.settings.headers.items()}
        if key:
            headers["authorization"] = f"Bearer {key}"
        for name, said, variable in (
            ("openai-organization", self.settings.organization, "OPENAI_ORG_ID"),
            ("openai-project", self.settings.project, "OPENAI_PROJECT_ID"),
        ):
            value = said or (env.get(variable) if config.ambient else None)
            if value:
                headers[name] = value
        missing = None
        if self.at_home and "authorization" not in headers:
            missing = "no API key: set OPENAI_API_KEY, or pass api_key="
        self.endpoint = Endpoint(base_url, _always(headers), missing)


def _is_openai(base_url: str) -> bool:
    host = urlsplit(base_url).hostname or ""
    return host == "api.openai.com" or host.endswith(".api.openai.com")


def _always(headers: Mapping[str, str]) -> _Always:
    return _Always(headers)


class _Always:
    """Adds the same headers to every request; shows none of them."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers

    def __call__(self, request: HttpRequest) -> Effects[Mapping[str, str]]:
        return self._headers
        yield  # what makes it a flow


def _custom(text: str) -> dict[str, str]:
    headers = {}
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if line.strip() and not (colon and name.strip()):
            raise ConfigurationError("OPENAI_CUSTOM_HEADERS wants lines of `Name: value`")
        if colon:
            headers[name.strip().lower()] = value.strip()
    return headers
