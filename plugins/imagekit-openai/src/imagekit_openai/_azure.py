"""Azure OpenAI: which resource is meant, what its URLs are, and what travels otherwise there.

From Microsoft's documentation (2026-04-17) and the Azure client of the official Python SDK 3.52.0.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Self, TypeAlias
from urllib.parse import SplitResult, parse_qs, urlsplit

from pydantic import ConfigDict, Field, model_validator

from imagekit import ConfigurationError, ImageRequest, RequestError, UnsupportedRequestError
from imagekit.provider import Config, HttpRequest

from ._lenient import Read

Urls: TypeAlias = Literal["v1", "deployments"]

DOMAIN = "openai.azure.com"
# What follows a resource's name, in the public cloud and in those of governments and of China.
DOMAINS = tuple(
    f"{service}.{cloud}"
    for cloud in ("azure.com", "azure.us", "azure.cn")
    for service in ("openai", "cognitiveservices", "services.ai")
)
# The endpoints whose URL names the deployment, where URLs do; the SDK's list has the same two.
_DEPLOYED = ("/images/generations", "/images/edits")
# Which deployment draws, for the tool of the Responses API; so recorded from Foundry on 2025-12-05.
_DRAWS = "x-ms-oai-image-generation-deployment"
_INPUTS = ("image/png", "image/jpeg")

_RESOURCE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?", re.I | re.A)
_HOST = re.compile(r"(?:[a-z0-9-]+\.)+[a-z0-9-]+(?::[0-9]{1,5})?", re.I | re.A)
_NAME = re.compile(r"[\w-][\w.-]*", re.A)
_DATED = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:-preview)?", re.A)
# What stands before /openai is a project's, or a gateway's; what stands behind, somebody pasted.
_PATH = re.compile(
    r"(?P<root>(?:/(?!openai(?:/|$))[^/]+)*)"
    r"(?:/openai(?:/(?P<v1>v1)|/deployments/(?P<deployment>[\w-][\w.-]*))?"
    r"(?:/images/(?:generations|edits)|/responses)?)?",
    re.A,
)


class Azure(Read):
    """A resource of Azure OpenAI or Foundry.

    * `resource`: its name, and `domain`: what follows it in the host's name.
    * `endpoint`: in place of both, its whole address, which may be on a domain of your own.
    * `deployment`: what the resource calls the image model. Without it a request's `model` is that
      name; with it `model` is the model's own, by which its capabilities are known.
    * `conversation`: what the resource calls the text model that leads a conversation.
    * `api_version`: a date, such as "2025-04-01-preview", makes URLs that name the deployment;
      nothing, or "preview", makes those of /openai/v1.
    * `urls`: which of the two, where the version is not to decide.
    * `token`: an Entra ID token in place of a key, or a callable that gives one for each request.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    resource: str | None = None
    domain: str | None = None
    endpoint: str | None = None
    deployment: str | None = None
    conversation: str | None = None
    api_version: str | None = None
    urls: Urls | None = None
    token: str | Callable[[], Any] | None = Field(default=None, repr=False)

    @model_validator(mode="before")
    @classmethod
    def _spelt(cls, values: Any) -> Any:
        strange = sorted(set(values) - set(cls.model_fields)) if isinstance(values, Mapping) else []
        if strange:
            known = ", ".join(cls.model_fields)
            raise ValueError(f"there is no {strange[0]!r} in it; there are: {known}")
        return values

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        """None of it is quoted: what is in the wrong place may be a key."""
        if self.resource is not None:
            self._named(self.resource, self.domain)
        elif self.domain is not None:
            raise ValueError("domain is what follows the name in resource=, which is missing")
        for name in ("deployment", "conversation"):
            value = getattr(self, name)
            if value is not None and not _NAME.fullmatch(value):
                raise ValueError(f"{name} is a name, as the portal shows it, and no URL or path")
        if self.api_version is not None and not _NAME.fullmatch(self.api_version):
            raise ValueError("api_version is such as '2025-04-01-preview', or 'preview'")
        return self

    def _named(self, resource: str, domain: str | None) -> None:
        if self.endpoint is not None:
            raise ValueError("resource and endpoint both say where it is: say one of them")
        if "." in resource and "/" not in resource and domain is not None and "." not in domain:
            raise ValueError(
                "resource and domain are swapped: resource is a name, such as 'my-resource', and "
                f"domain what follows it, such as {DOMAIN!r}"
            )
        if "/" in resource or ":" in resource:
            raise ValueError("resource is a name, such as 'my-resource'; a URL goes into endpoint=")
        if not _RESOURCE.fullmatch(resource):
            raise ValueError(
                "resource is the first word of the host's name, such as 'my-resource'; what "
                f"follows goes into domain=, unless it is {DOMAIN!r}"
            )
        if domain is not None and not _HOST.fullmatch(domain.lstrip(".")):
            raise ValueError(f"domain is what follows the resource's name, such as {DOMAIN!r}")
        if domain is not None and domain.lower().startswith(f"{resource.lower()}."):
            raise ValueError("domain begins with the resource's name, which is put before it")

    @property
    def address(self) -> str | None:
        """Where the resource is, as far as these settings say."""
        if self.resource is None:
            return self.endpoint
        return f"https://{self.resource}.{(self.domain or DOMAIN).lstrip('.')}"


@dataclass(frozen=True, slots=True)
class Site:
    """A resource, and how it is spoken to. `known`: its host is Azure's own."""

    root: str
    urls: Urls
    version: str | None
    deployment: str | None
    conversation: str | None
    known: bool

    @property
    def base_url(self) -> str:
        """What the paths of both dialects are joined to."""
        base = f"{self.root}/openai" if self.urls == "deployments" else f"{self.root}/openai/v1"
        return f"{base}?api-version={self.version}" if self.version else base

    def named(self, request: ImageRequest) -> ImageRequest:
        """*request* with the model that it means: its own, else the deployment."""
        if request.model is None and self.deployment is None:
            raise ConfigurationError(
                "Azure has no default model: name what draws as deployment= in the azure setting, "
                "or as the model= of the call",
                billed="no",
            )
        return request if request.model else request.model_copy(update={"model": self.deployment})

    def images(self, request: ImageRequest) -> ImageRequest:
        """*request* with the model's name as the Images API takes it here."""
        for one in request.images:
            if one.media_type not in _INPUTS and one.blob is not None:
                raise UnsupportedRequestError(
                    f"Azure edits PNG and JPEG; {one.named} is {one.media_type}"
                )
        # In the path; newer models refuse it in the body besides.
        name = None if self.urls == "deployments" else self._draws(request)
        return _with(request, extra_body={"model": name})

    def responses(self, request: ImageRequest) -> ImageRequest:
        """*request* with the models' names as the Responses API takes them here."""
        said = _options(request)
        if not (said.get("conversation_model") or self.conversation):
            raise ConfigurationError(
                "Azure has no default text model: name what leads the conversation as "
                "conversation= in the azure setting, or as the option conversation_model",
                billed="no",
            )
        request = _with(request, conversation_model=self.conversation)
        # The deployment is named in a header; the tool knows models.
        return _with(request, extra_tool={"model": None} if self._own(request) else {})

    def sent(self, asked: HttpRequest, request: ImageRequest) -> HttpRequest:
        """*asked*, on its way to the deployment that draws."""
        draws = self._draws(request)
        if asked.url == "/responses":
            return replace(asked, headers={_DRAWS: draws, **asked.headers})
        if self.urls == "deployments" and asked.url in _DEPLOYED:
            return replace(asked, url=f"/deployments/{draws}{asked.url}")
        return asked

    def _own(self, request: ImageRequest) -> bool:
        """Whether the request's model is only the deployment's name."""
        return request.model == self.deployment

    def _draws(self, request: ImageRequest) -> str:
        name = self.deployment or str(request.model)
        if not _NAME.fullmatch(name):
            raise RequestError(f"{name!r} cannot be the name of a deployment", billed="no")
        return name


def located(config: Config, said: Azure | None) -> Site | None:
    """The resource that is meant, by the setting or by a base URL; None where it is none."""
    env = config.env
    if said is None:
        address = config.base_url or env.get("OPENAI_BASE_URL") or ""
        if not _is_azure(address):
            return None
        said = Azure()
    elif said.address and config.base_url:
        raise ConfigurationError(
            "base_url and the azure setting both say where the resource is: say it once"
        )
    else:
        address = said.address or config.base_url or env.get("AZURE_OPENAI_ENDPOINT") or ""
    if not address:
        raise ConfigurationError(
            "no Azure resource is named: say resource= or endpoint= in the azure setting, or set "
            "AZURE_OPENAI_ENDPOINT"
        )
    return _site(address, said, env.get("OPENAI_API_VERSION") or None)


def is_token(key: str) -> bool:
    """Whether *key* is an Entra ID token, a signed JSON; Azure's keys have no dots."""
    return key.startswith("eyJ") and key.count(".") == 2


def _is_azure(url: str) -> bool:
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    return host.rstrip(".").endswith(tuple(f".{domain}" for domain in DOMAINS))


def _site(address: str, said: Azure, ambient: str | None) -> Site:
    parts = _split(address)
    asked = parse_qs(parts.query, keep_blank_values=True)
    pasted = asked.pop("api-version", [None])[-1]
    version = said.api_version or pasted or None
    if asked or parts.fragment:
        raise ConfigurationError("the address of an Azure resource has no query but api-version")
    found = _PATH.fullmatch(parts.path.rstrip("/"))
    if found is None:
        raise ConfigurationError(_lost(parts.path))
    there: Urls | None = "v1" if found["v1"] else "deployments" if found["deployment"] else None
    if there and said.urls and there != said.urls:
        raise ConfigurationError(f"the Azure address says {there!r}, and urls= {said.urls!r}")
    if found["deployment"] and said.deployment not in (None, found["deployment"]):
        raise ConfigurationError("the Azure address names another deployment than deployment=")
    urls = said.urls or there
    if urls == "v1" and version and _DATED.fullmatch(version):
        raise ConfigurationError(
            f"api_version {version!r} is of the URLs that name a deployment, and those of "
            "/openai/v1 take none: leave out one of the two"
        )
    if urls != "v1":
        version = version or ambient
    if urls == "deployments" and version is None:
        raise ConfigurationError(
            "URLs that name a deployment want a version: say api_version= in the azure setting, "
            "such as '2025-04-01-preview', or set OPENAI_API_VERSION"
        )
    if version is not None and not _NAME.fullmatch(version):
        raise ConfigurationError("OPENAI_API_VERSION is such as '2025-04-01-preview'")
    return Site(
        root=f"{parts.scheme}://{parts.netloc}{found['root']}",
        urls=urls or ("deployments" if version and _DATED.fullmatch(version) else "v1"),
        version=version,
        deployment=said.deployment or found["deployment"],
        conversation=said.conversation,
        known=_is_azure(address),
    )


def _split(address: str) -> SplitResult:
    """The parts of *address*, which is not quoted: a password may be in it."""
    try:
        parts = urlsplit(address)
        whole = parts.scheme in ("https", "http") and parts.hostname and parts.port != 0
    except ValueError:
        whole = False
    if not whole:
        raise ConfigurationError(
            f"the address of an Azure resource is such as https://my-resource.{DOMAIN}"
        )
    if parts.username is not None:
        raise ConfigurationError("the address of an Azure resource must not hold a user name")
    if parts.scheme == "http" and _is_azure(address):
        raise ConfigurationError("Azure's own hosts are asked by https only")
    return parts


def _lost(path: str) -> str:
    if "/openai/v1/" in path and "/deployments/" in path:
        return (
            "/openai/v1 and a deployment do not go into one address: there the deployment's name "
            "is sent as the model; say it as deployment="
        )
    return "the address of an Azure resource ends before /openai; this one goes on otherwise"


def _options(request: ImageRequest) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for mine in request.options.values():
        found.update(mine)
    return found


def _with(request: ImageRequest, **ours: Any) -> ImageRequest:
    """*request* with *ours* among its options; what it says itself wins, name by name."""
    said = _options(request)
    for name, value in ours.items():
        own = said.get(name)
        if isinstance(value, Mapping) and isinstance(own, Mapping | None):
            said[name] = {**value, **(own or {})}
        elif own is None:
            said[name] = value
    return request.model_copy(update={"options": {"openai": said}})
