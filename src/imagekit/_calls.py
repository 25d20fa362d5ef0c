"""What both clients share: who is asked, with which settings, and the flow that comes of it."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeAlias, TypedDict

from pydantic import ValidationError

from ._addressed import addressed, checked_base
from ._capabilities import Capabilities
from ._errors import (
    ConfigurationError,
    ImagekitError,
    MissingCredentialError,
    PluginError,
    RequestError,
)
from ._fetched import downloaded, filled
from ._flow import Effects, Flow, Provider, notice
from ._hookspecs import CallInfo, Config
from ._image import Image, InputLike, Mask
from ._observed import observed
from ._plugins import Plugins, nobody_called
from ._prepared import checked, prepared
from ._request import ImageRequest, Options, State, Unsupported
from ._response import ImageResponse, Notice
from ._retried import RetryPolicy, retried
from ._slots import ended
from ._split import split

# One picture, or several in order.
Inputs: TypeAlias = "InputLike | Sequence[InputLike]"


@dataclass(frozen=True, slots=True)
class Profile:
    """A provider by another name and with settings of its own: a server, a tenant, a deployment.

    `api_key_env` names the environment variable that holds its key. A profile with a `base_url`
    of its own names its own key, or goes without.
    """

    name: str
    provider: str
    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    api_key_env: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)


class HowFields(TypedDict, total=False):
    """How a call is made.

    `deadline` is seconds for everything together, retries included. `fetch=False` leaves results
    that are URLs where they are. `raw=True` keeps the exchanges in the response. `retries` is how
    often a request that cannot cost twice is repeated.
    """

    deadline: float | None
    fetch: bool
    raw: bool
    retries: int


class WantFields(TypedDict, total=False):
    """What is wanted, beside prompt and pictures; see `ImageRequest`."""

    model: str | None
    n: int
    size: str | tuple[int, int] | None
    seed: int | None
    negative_prompt: str | None
    quality: str | None
    background: str | None
    output_format: str | None
    output_compression: int | None
    moderation: str | None
    partial_images: int | None
    user: str | None
    options: Options
    unsupported: Unsupported


class Defaults(HowFields, WantFields, total=False):
    """What a client may fill in where a call says nothing."""


class GenerateFields(HowFields, WantFields, total=False):
    """What `generate` and `vary` take beside the prompt or the pictures."""

    provider: str | None
    state: State | None


class EditFields(GenerateFields, total=False):
    """What `edit` takes beside the prompt and the pictures."""

    mask: Mask | None


class StreamFields(EditFields, total=False):
    """What `stream` takes beside the prompt or the request."""

    images: Inputs


class RunFields(HowFields, total=False):
    """What `run` takes beside the request."""

    provider: str | None


CALL = frozenset(HowFields.__annotations__) | {"provider"}


@dataclass(frozen=True, slots=True)
class Planned:
    """One call, ready to be driven."""

    flow: Flow
    deadline: float | None
    stream: bool


class Calls:
    """Settings, plugins and built providers: everything of a client but its I/O."""

    def __init__(
        self,
        provider: str | None,
        own: Profile,
        profiles: Sequence[Profile],
        plugins: Plugins | None,
        retry: RetryPolicy | None,
        defaults: Mapping[str, Any],
        env: Mapping[str, str] | None,
    ) -> None:
        self.plugins = plugins or Plugins()
        self._env = os.environ if env is None else env
        self._default, self._own = provider, own
        self._retry = retry or RetryPolicy()
        self._defaults = dict(defaults)
        self._profiles = {profile.name: profile for profile in profiles}
        self._built: dict[str, Provider] = {}
        if provider is None and (own.api_key or own.base_url or own.settings):
            raise ConfigurationError(
                "api_key, base_url and settings belong to one provider: say provider= too, "
                "or give profiles="
            )
        unknown = set(self._defaults) - set(ImageRequest.model_fields) - CALL
        if unknown:
            raise ConfigurationError(f"no such default: {', '.join(sorted(unknown))}")

    def names(self) -> tuple[str, ...]:
        """Everything `provider=` may be: providers and profiles."""
        return tuple(sorted({*self.plugins.names(), *self._profiles}))

    def chosen(self, provider: str | None, model: str | None) -> tuple[str, str | None]:
        """The provider's (or profile's) name and the model, from both places that may name it."""
        head, colon, rest = (model or "").partition(":")
        if colon and head in self.names():
            if provider is not None and provider != head:
                raise ConfigurationError(
                    f"provider={provider!r} contradicts model={model!r}: name the provider once"
                )
            provider, model = head, rest or None
        name = provider or self._default or self._env.get("IMAGEKIT_PROVIDER") or None
        if name is None:
            raise nobody_called(None, self.names())
        return name, model

    def provider(self, name: str) -> Provider:
        """The provider called *name*, built on first use."""
        if name not in self._built:
            profile = self._profiles.get(name)
            if profile is None:
                own = self._own if name == self._default else Profile(name, name)
                profile = replace(own, name=name, provider=name)
            self._built[name] = self.plugins.provider(profile.provider, self._config(profile))
        return self._built[name]

    def _config(self, profile: Profile) -> Config:
        if profile.base_url is not None:
            checked_base(profile.base_url)
        key, variable = profile.api_key, profile.api_key_env
        if key is None and variable is not None:
            key = self._env.get(variable)
            if not key:
                raise ConfigurationError(
                    f"profile {profile.name!r} takes its key from {variable}, which is not set"
                )
        return Config(
            name=profile.name,
            api_key=key,
            base_url=profile.base_url,
            settings=dict(profile.settings),
            env=self._env,
            ambient=profile.base_url is None or profile.name not in self._profiles,
        )

    def capabilities(self, provider: str | None = None, model: str | None = None) -> Capabilities:
        """What *model* of *provider* can do."""
        name, model = self.chosen(provider, model)
        return _asked(name, partial(self.provider(name).capabilities, model))

    def planned(
        self, given: ImageRequest | None, fields: Mapping[str, Any], *, stream: bool = False
    ) -> Planned:
        """One call from a request, or from the fields of one; the client's defaults fill in."""
        try:
            return self._plan(given, fields, stream)
        except ImagekitError as error:
            error.billed = error.billed or "no"
            raise

    def _plan(self, given: ImageRequest | None, fields: Mapping[str, Any], stream: bool) -> Planned:
        how = {name: self._defaults[name] for name in CALL & set(self._defaults)}
        how |= {name: value for name, value in fields.items() if name in CALL}
        asked = {name: value for name, value in fields.items() if name not in CALL}
        said = {name: value for name, value in self._defaults.items() if name not in CALL}
        if how.get("provider") not in (None, self._default):
            # The client's model is one of its own provider's.
            said.pop("model", None)
        if given is not None:
            asked = {name: getattr(given, name) for name in given.model_fields_set} | asked
        request = request_of({**said, **asked})
        name, model = self.chosen(how.get("provider"), request.model)
        if model != request.model:
            request = request.with_(model=model)
        policy = self._retry
        if "retries" in how:
            policy = replace(policy, retries=how["retries"])
        info = CallInfo(uuid.uuid4().hex, name, request, stream)
        with _blaming(name):
            flow = self._performed(name, request, stream, policy, bool(how.get("fetch", True)))
            endpoint = self.provider(name).endpoint
            if endpoint is not None and endpoint.missing is not None:
                raise MissingCredentialError(f"{name}: {endpoint.missing}")
        flow = observed(flow, info, self.plugins.hook, keep=bool(how.get("raw")))
        flow = addressed(flow, endpoint)
        deadline = how.get("deadline")
        if deadline is not None and not deadline > 0:
            raise RequestError(f"deadline is seconds from now, not {deadline!r}")
        return Planned(_named(flow, name), deadline, stream)

    def fetching(self, image: Image, provider: str | None = None) -> Effects[Image]:
        """The flow that brings in a picture that is only a URL."""
        name = provider or self._default or self._env.get("IMAGEKIT_PROVIDER")
        endpoint = self.provider(name).endpoint if name else None
        return addressed(retried(_fetching(image), self._retry), endpoint)

    def _performed(
        self, name: str, request: ImageRequest, stream: bool, policy: RetryPolicy, fetch: bool
    ) -> Flow:
        maker = self.provider(name)
        judge = getattr(maker, "judge", None)
        profile = self._profiles.get(name)
        who = profile.provider if profile else name
        able = _asked(name, partial(maker.capabilities, request.model))
        request, notices = checked(request, able, name)
        options, more = self._options(request, name, who, getattr(maker, "family", None))
        request = request.model_copy(update={"options": options})
        stream = stream and able.streaming
        most = (able.max_images_streamed if stream else None) or able.max_images

        def one(part: ImageRequest) -> Flow:
            flow = _guarded(maker, name, part, stream)
            return retried(flow, policy, judge)

        def made() -> Flow:
            for found in (*notices, *more):
                yield from notice(found)
            ready = yield from retried(prepared(request, able, name), policy)
            return (yield from split(ready, most, one))

        def fill(image: Image) -> Effects[Image]:
            return retried(filled(image, wanted=fetch), policy)

        stamp = {"provider": who, "profile": name if profile else None}
        return _stamped(ended(made(), request, fill), stamp, request.model or able.model)

    def _options(
        self, request: ImageRequest, name: str, who: str, family: str | None
    ) -> tuple[Options, list[Notice]]:
        """The options meant for *who*, under its own name; notices for keys that nobody claims.

        Those of a family come first, then the provider's, then those of the profile *name*.
        """
        known = {*self.names(), *(name.partition("-")[0] for name in self.plugins.names())}
        known |= {getattr(maker, "family", None) or "" for maker in tuple(self._built.values())}
        strange = [
            Notice(kind="unsupported", feature=f"options[{key!r}]", detail="nobody has that name")
            for key in request.options
            if key not in known
        ]
        mine: dict[str, Any] = {}
        for key in (family or "", who, name):
            mine |= request.options.get(key, {})
        return ({who: mine} if mine else {}), strange


def request_of(fields: Mapping[str, Any]) -> ImageRequest:
    """An `ImageRequest`, or one clear `RequestError` that names the field and the trouble."""
    try:
        return ImageRequest.model_validate(dict(fields))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        what = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            what = "there is no such parameter"
        raise RequestError(f"{where}: {what}" if where else what) from error


def _asked(name: str, ask: Any) -> Capabilities:
    try:
        able = ask()
    except ImagekitError:
        raise
    except Exception as error:
        raise PluginError(f"provider {name!r} cannot say what it can do: {error!r}") from error
    if not isinstance(able, Capabilities):
        raise PluginError(f"provider {name!r}: capabilities() gave no Capabilities")
    return able


def _guarded(maker: Provider, name: str, request: ImageRequest, stream: bool) -> Flow:
    """The provider's own flow; what it raises beyond our errors is the plugin's fault."""
    try:
        response = yield from maker.flow(request, stream=stream)
    except ImagekitError:
        raise
    except Exception as error:
        raise PluginError(f"provider {name!r} failed: {error!r}") from error
    if not isinstance(response, ImageResponse):
        raise PluginError(
            f"provider {name!r}: its flow must return an ImageResponse, "
            f"not {type(response).__name__}"
        )
    return response


@contextmanager
def _blaming(name: str) -> Iterator[None]:
    try:
        yield
    except ImagekitError as error:
        error.provider = error.provider or name
        raise


def _stamped(flow: Flow, stamp: Mapping[str, Any], model: str | None) -> Flow:
    """The response says who made it, also the one that an error carries."""

    def stamped(response: ImageResponse) -> ImageResponse:
        return response.model_copy(update={**stamp, "model": response.model or model})

    try:
        return stamped((yield from flow))
    except ImagekitError as error:
        error.response = error.response and stamped(error.response)
        raise


def _named(flow: Flow, name: str) -> Flow:
    with _blaming(name):
        return (yield from flow)


def _fetching(image: Image) -> Effects[Image]:
    if image.data is not None or image.url is None:
        return image
    data = yield from downloaded(image.url)
    return Image.model_validate({**image.model_dump(exclude_none=True), "data": data})
