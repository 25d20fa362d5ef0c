"""How a client is set up: what its code says, then the environment, then one file.

The file is the one that is named, or the one in the user's own folder: never one that merely lies
where the program runs, for that may be anybody's.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from ._errors import ConfigurationError
from ._files import home, usual
from ._files import located as _located
from ._meant import Spending
from ._providers import Profile
from ._retried import RetryPolicy
from ._speakers import Timeouts

if TYPE_CHECKING:
    from ._settings import Said

NAME = "imagekit.toml"
VARIABLE = "IMAGEKIT_CONFIG"
# A file to read, False for none, None for the usual one.
Named: TypeAlias = "str | os.PathLike[str] | Literal[False] | None"


@dataclass(frozen=True, slots=True)
class Setup:
    """What a client is made of, whoever said it. `places` says where each profile of the
    configuration stands.
    """

    defaults: Mapping[str, Any]
    provider: str | None = None
    profiles: tuple[Profile, ...] = ()
    places: Mapping[str, str] = field(default_factory=dict)
    retry: RetryPolicy | None = None
    timeouts: Timeouts | None = None
    spending: Spending = field(default_factory=Spending)


def usual_file() -> Path | None:
    """Where the user's own configuration would be; None where nobody can tell."""
    return usual(NAME)


def located(config: Named, env: Mapping[str, str]) -> tuple[Path | None, str | None]:
    """The file to read, and who names it; without a name it is the user's own, if there is one."""
    if config is False:
        return None, None
    return _located(config, "config=", VARIABLE, env, lambda: usual_file())


def said(config: Named, env: Mapping[str, str]) -> Said | None:
    """What file and environment say; None where neither says anything."""
    path, _ = located(config, env)
    variables = nested(env)
    if path is None and not variables:
        return None
    from ._settings import read

    return read(path, variables, named=bool(env.get("IMAGEKIT_PROVIDER")))


def nested(env: Mapping[str, str]) -> dict[str, str]:
    """The variables that are settings, such as those of a profile; an empty one says nothing."""
    return {
        name: value
        for name, value in env.items()
        if name.startswith("IMAGEKIT_") and "__" in name and name == name.upper() and value
    }


def settled(
    config: Named,
    env: Mapping[str, str] | None,
    provider: str | None,
    profiles: Sequence[Profile],
    retry: RetryPolicy | None,
    timeouts: Timeouts | None,
    defaults: Mapping[str, Any],
    spending: Spending | None = None,
) -> Setup:
    """The arguments of a client, and below them what the environment and a file say."""
    env = os.environ if env is None else env
    found = said(config, env)
    if found is None:
        return Setup(defaults, None, tuple(profiles), {}, retry, timeouts, spending or Spending())
    settings = found.settings
    usual = provider or env.get("IMAGEKIT_PROVIDER") or settings.provider
    below = settings.defaults.model_dump(exclude_unset=True)
    if "model" in below and not _fits(found, provider, env):
        del below["model"]
    if retry is not None:
        below.pop("retries", None)
    own = {profile.name for profile in profiles}
    configured = [profile_of(found, name) for name in settings.profiles if name not in own]
    return Setup(
        defaults=_over(below, defaults),
        provider=settings.provider,
        profiles=(*profiles, *(_under(one, defaults, usual) for one in configured)),
        places={one.name: place_of(found, one.name) for one in configured},
        retry=retry or RetryPolicy(**settings.retry.model_dump(exclude_unset=True)),
        timeouts=timeouts or Timeouts(**settings.timeouts.model_dump(exclude_unset=True)),
        spending=(spending or Spending()).over(settings),
    )


def profile_of(found: Said, name: str) -> Profile:
    """The profile *name* of the configuration; one that says no provider is called as its own."""
    table = found.settings.profiles[name]
    model = {"model": table.model} if table.model is not None else {}
    try:
        return Profile(
            name=name,
            provider=table.provider or name,
            base_url=table.base_url,
            api_key_env=table.api_key_env,
            api_key_file=_key_file(found, name, table.api_key_file),
            api_key_keyring=table.api_key_keyring,
            settings=table.settings,
            defaults={**table.defaults.model_dump(exclude_unset=True), **model},
        )
    except ConfigurationError as error:
        raise ConfigurationError(f"{place_of(found, name)}: {error}") from None


def place_of(found: Said, name: str) -> str:
    """Where the profile *name* of the configuration stands."""
    file = name in found.file.get("profiles", {})
    environment = name in found.environment.get("profiles", {})
    places = [str(found.path)] if file else []
    return " and ".join(places + (["the environment"] if environment else []))


def _key_file(found: Said, name: str, given: str | None) -> Path | None:
    """A key's file as it is meant: one that the file names lies beside it."""
    if given is None:
        return None
    path = home(Path(given), "api_key_file")
    if found.path is not None and found.in_file("profiles", name, "api_key_file"):
        return found.path.parent / path
    if not path.is_absolute():
        raise ConfigurationError(
            "in the environment api_key_file is a whole path, or one from ~: a relative one would "
            "be another file in each folder"
        )
    return path


def _fits(found: Said, provider: str | None, env: Mapping[str, str]) -> bool:
    """Whether the default model is one of whoever is asked: who names another drops it."""
    named = env.get("IMAGEKIT_PROVIDER") or None
    if found.in_file("defaults", "model"):
        beside, nearer = found.settings.provider, provider or named
    else:
        beside, nearer = named, provider
    head, colon, _ = str(found.settings.defaults.model_dump()["model"]).partition(":")
    return nearer in (None, beside or (colon and head) or None)


def _under(profile: Profile, code: Mapping[str, Any], usual: str | None) -> Profile:
    """A profile of the configuration without the defaults that code says: code is nearer."""
    kept = {
        name: value
        for name, value in profile.defaults.items()
        # The client's model is one of its own provider's.
        if code.get(name) is None or (name == "model" and profile.name != usual)
    }
    options = profile.defaults.get("options")
    if options is not None:
        theirs = code.get("options") or {}
        kept["options"] = {
            key: {name: value for name, value in own.items() if name not in theirs.get(key, {})}
            for key, own in options.items()
        }
    return replace(profile, defaults=kept)


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Both; where both say something, *above* does, of options name by name."""
    both = {**below, **above}
    low, high = below.get("options"), above.get("options")
    if isinstance(low, Mapping) and isinstance(high, Mapping):
        both["options"] = {
            key: {**low.get(key, {}), **high.get(key, {})} for key in {**low, **high}
        }
    return both
