"""Who can be asked: providers and profiles, their settings, and which one a call means."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from ._addressed import checked_base
from ._capabilities import Capabilities
from ._errors import (
    ConfigurationError,
    MissingCredentialError,
    PluginError,
    UnknownProviderError,
)
from ._flow import Provider
from ._hookspecs import Config
from ._http import Endpoint, Key
from ._installed import nobody_called, remedy
from ._plugins import Blamed, Plugins
from ._request import ImageRequest, Options
from ._response import Notice
from ._sources import from_file, from_keyring, shown
from ._tables import Patches
from ._url import short_url

log = logging.getLogger("imagekit")
_VARIABLE = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_KEPT = re.compile(r".+/[^/]+")


@dataclass(frozen=True, slots=True)
class Profile:
    """A provider by another name and with settings of its own: a server, a tenant, a deployment.

    `api_key` is a key, or a callable that gives one for each request. In its place may be said
    where the key is: `api_key_env` names an environment variable, `api_key_file` a file that holds
    it alone, `api_key_keyring` a "service/username" of the system's keyring. A profile with a
    `base_url` of its own names its own key, or goes without. `defaults` are fields of a request
    that a call need not say, its `model` first.
    """

    name: str
    provider: str
    base_url: str | None = None
    api_key: Key | None = field(default=None, repr=False)
    api_key_env: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    api_key_file: str | os.PathLike[str] | None = None
    api_key_keyring: str | None = None

    def __post_init__(self) -> None:
        places = ("api_key_env", "api_key_file", "api_key_keyring")
        named = [place for place in places if getattr(self, place) is not None]
        if len(named) > 1:
            raise ConfigurationError(
                f"profile {self.name!r} has one key: say {' or '.join(named)}, not both"
            )
        # Neither is quoted: what is in the wrong place may be a key.
        if self.api_key_env is not None and not _VARIABLE.fullmatch(self.api_key_env):
            raise ConfigurationError(
                f"profile {self.name!r}: api_key_env is the name of an environment variable, and "
                "not the key"
            )
        if self.api_key_keyring is not None and not _KEPT.fullmatch(self.api_key_keyring):
            raise ConfigurationError(f"profile {self.name!r}: api_key_keyring is SERVICE/USERNAME")

    def __repr__(self) -> str:
        said = {
            "base_url": self.base_url and short_url(self.base_url),
            "api_key_env": self.api_key_env and shown(self.api_key_env),
            "api_key_file": self.api_key_file and shown(str(self.api_key_file)),
            "api_key_keyring": self.api_key_keyring,
        }
        words = [f"{name}={value!r}" for name, value in said.items() if value]
        return f"Profile({', '.join([repr(self.name), repr(self.provider), *words])})"


class Providers:
    """The plugins, profiles and built providers of one client.

    *fallback* is who is asked where nobody else says; *places* is where the profiles that are not
    the code's stand; *patches* are what the user knows better of models.
    """

    def __init__(
        self,
        default: str | None,
        own: Profile,
        profiles: Sequence[Profile],
        plugins: Plugins | None,
        env: Mapping[str, str] | None,
        fallback: str | None = None,
        places: Mapping[str, str] = MappingProxyType({}),
        patches: Patches | None = None,
    ) -> None:
        self.plugins = plugins or Plugins()
        self.default = default
        self._own = own
        self._env = os.environ if env is None else env
        self.profiles = {profile.name: profile for profile in profiles}
        self._fallback, self._places = fallback, places
        self._patches = patches or Patches()
        self._looked_over = False
        self._built: dict[str, Provider] = {}
        # Read once, for what one plugin says of itself stands in the calls of all.
        self._families: dict[str, str | None] = {}
        if own.api_key or own.base_url or own.settings:
            if default is None:
                raise ConfigurationError(
                    "api_key, base_url and settings belong to one provider: say provider= too, "
                    "or give profiles="
                )
            if default in places and default in self.plugins.names():
                # A key in code never meets an address in a file, nor the other way about.
                del self.profiles[default]
            if default in self.profiles:
                raise ConfigurationError(
                    f"{default!r} is a profile{self._place(default)} and has its own api_key, "
                    "base_url and settings: say them there"
                )

    def _place(self, name: str) -> str:
        return f" in {self._places[name]}" if name in self._places else ""

    def names(self) -> tuple[str, ...]:
        """Everything `provider=` may be: providers and profiles."""
        return tuple(sorted({*self.plugins.names(), *self.profiles}))

    def chosen(self, provider: str | None, model: str | None) -> tuple[str, str | None]:
        """The provider's (or profile's) name and the model, from both places that may name it."""
        head, colon, rest = (model or "").partition(":")
        if colon and head in self.names():
            if provider is not None and provider != head:
                raise ConfigurationError(
                    f"provider={provider!r} contradicts model={model!r}: name the provider once"
                )
            provider, model = head, rest or None
        name = provider or self.usual
        if name is None:
            raise nobody_called(None, self.names())
        return name, model

    @property
    def usual(self) -> str | None:
        """Who is asked where a call names nobody."""
        return self.default or self._env.get("IMAGEKIT_PROVIDER") or self._fallback or None

    def defaults(self, name: str) -> Mapping[str, Any]:
        """What the profile *name* fills in where a call says nothing."""
        profile = self.profiles.get(name)
        return profile.defaults if profile else {}

    def settings(self, name: str) -> Mapping[str, Any]:
        """What *name* was given beside its address and its key."""
        profile = self.profiles.get(name) or (self._own if name == self.default else None)
        return profile.settings if profile else {}

    def stamp(self, name: str) -> dict[str, Any]:
        """What a response says of who made it: the provider, and the profile if it was one."""
        profile = self.profiles.get(name)
        if profile is None:
            return {"provider": name, "profile": None}
        return {"provider": profile.provider, "profile": name}

    def provider(self, name: str) -> Provider:
        """The provider called *name*, built on first use."""
        if name not in self._built:
            profile = self.profiles.get(name)
            if profile is None:
                own = self._own if name == self.default else Profile(name, name)
                profile = replace(own, name=name, provider=name)
            if profile.provider == name and name in self._places:
                known = self.plugins.names()
                if name not in known:
                    raise UnknownProviderError(
                        f"profile {name!r}{self._place(name)} says no provider, and none is "
                        f"called that; there are: {', '.join(known)}"
                    )
            maker = self.plugins.provider(profile.provider, self._config(profile))
            self._families[name] = getattr(maker, "family", None)
            self._built[name] = maker
        return self._built[name]

    def _config(self, profile: Profile) -> Config:
        if profile.base_url is not None:
            try:
                checked_base(profile.base_url)
            except ConfigurationError as error:
                if profile.name not in self.profiles:
                    raise
                place = self._place(profile.name)
                raise ConfigurationError(f"profile {profile.name!r}{place}: {error}") from None
        key = self._key(profile)
        return Config(
            name=profile.name,
            api_key=key,
            base_url=profile.base_url,
            settings=dict(profile.settings),
            env=self._env,
            ambient=profile.base_url is None or profile.name not in self.profiles,
            profile=profile.name in self.profiles,
        )

    def _key(self, profile: Profile) -> Key | None:
        """The profile's key, or what gives it."""
        if profile.api_key is not None:
            return profile.api_key
        if profile.api_key_file is not None:
            return from_file(profile.api_key_file)
        if profile.api_key_keyring is not None:
            return from_keyring(profile.api_key_keyring)
        if profile.api_key_env is None:
            return None
        key = self._env.get(profile.api_key_env)
        if not key:
            variable = shown(profile.api_key_env)
            raise ConfigurationError(
                f"profile {profile.name!r} takes its key from {variable}, which is not set"
            )
        return key

    def endpoint(self, name: str) -> Endpoint | None:
        """Where *name* lives; raises where something is missing to call it at all."""
        endpoint = self.address(name)
        if endpoint is not None and endpoint.missing is not None:
            # Who works in this process wants no key, but what is not installed.
            kind = MissingCredentialError if endpoint.base_url else ConfigurationError
            raise kind(f"{name}: {endpoint.missing}")
        return endpoint

    def address(self, name: str) -> Endpoint | None:
        """Where *name* lives, whatever may be missing; None for one that makes no requests."""
        maker = self.provider(name)
        with Blamed(name, "cannot say where it is"):
            endpoint = maker.endpoint
        if endpoint is None:
            return None
        if not isinstance(endpoint, Endpoint) or not isinstance(endpoint.base_url, str):
            raise PluginError(
                f"provider {name!r}: its endpoint is no Endpoint with a base URL"
                f"{remedy(str(self.stamp(name)['provider']))}"
            )
        return endpoint

    def capabilities(self, name: str, model: str | None) -> Capabilities:
        """What *model* of the provider *name* can do, with what the user's own patches say."""
        maker = self.provider(name)
        with Blamed(name, "cannot say what it can do"):
            able = maker.capabilities(model)
        if not isinstance(able, Capabilities):
            raise PluginError(
                f"provider {name!r}: capabilities() gave no Capabilities"
                f"{remedy(str(self.stamp(name)['provider']))}"
            )
        if not self._looked_over:
            self._looked_over = True
            for words in self.stray():
                log.warning("%s", words)
        return self._patches.on(able, model=model, family=self._families[name], **self.stamp(name))

    def stray(self) -> tuple[str, ...]:
        """What the user's own patches say of nobody that is here, in words."""
        return self._patches.stray(self._called)

    def _called(self) -> set[str]:
        """What providers and profiles are called by: names, and families as far as known."""
        known = {*self.names(), *(one.partition("-")[0] for one in self.plugins.names())}
        return known | {family or "" for family in tuple(self._families.values())}

    def models(self, name: str) -> tuple[str, ...]:
        """The models that the provider *name* says it has; none, where it says nothing of them."""
        maker = self.provider(name)
        with Blamed(name, "cannot say which models it has"):
            found = tuple(getattr(maker, "models", None) or ())
        if strange := next((one for one in found if not isinstance(one, str)), None):
            raise PluginError(
                f"provider {name!r}: one of its models is no name, but {strange!r}"
                f"{remedy(str(self.stamp(name)['provider']))}"
            )
        return found

    def options(self, request: ImageRequest, name: str) -> tuple[Options, list[Notice]]:
        """The options meant for *name*, under its provider's name; notices for unclaimed keys.

        Those of a family come first, then the provider's, then those of the profile.
        """
        self.provider(name)
        if not request.options:
            return {}, []
        known = self._called()
        strange = [
            Notice(kind="unsupported", feature=f"options[{key!r}]", detail="nobody has that name")
            for key in request.options
            if key not in known
        ]
        who = str(self.stamp(name)["provider"])
        mine: dict[str, Any] = {}
        for key in (self._families[name] or "", who, name):
            mine |= request.options.get(key, {})
        return ({who: mine} if mine else {}), strange
