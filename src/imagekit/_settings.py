"""What a configuration file and the environment say, each read strictly, and the two as one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from ._errors import ConfigurationError
from ._fallback import FallBackOn
from ._files import toml
from ._request import ImageRequest
from ._sources import contents

LARGEST = 2**20
PREFIX = "IMAGEKIT_"
INSIDE = "__"
Place = tuple[str, ...]
_NAME = re.compile(r"\w[\w.-]*", re.ASCII)
# What a call alone can say.
_OF_CALLS = frozenset({"prompt", "images", "mask", "state"})
_ALTERNATIVES = (
    "a key does not stand in a configuration; say where it is instead: api_key_env (a variable of "
    "the environment), api_key_file (a file that holds the key alone) or api_key_keyring "
    '("service/username")'
)


class _Table(BaseModel):
    # What is in the wrong place may be a key.
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


if TYPE_CHECKING:

    class Wanted(_Table):
        """The fields of a request."""

else:
    # With the request's own rules.
    Wanted = create_model(
        "Wanted",
        __base__=_Table,
        **{
            name: (field.annotation, copy(field))
            for name, field in ImageRequest.model_fields.items()
            if name not in _OF_CALLS
        },
    )


class Defaults(Wanted):
    """`[defaults]`: fields of a request, and how a call is made."""

    deadline: float = Field(default=0, gt=0, allow_inf_nan=False)
    fetch: bool = True
    raw: bool = False
    retries: int = Field(default=0, ge=0)
    raise_on_error: bool = True
    debug: bool = False
    check_mask: bool = False
    keep_plan: bool = False
    fall_back_on: tuple[FallBackOn, ...] = ()


class TimeoutsTable(_Table):
    """`[timeouts]`, in seconds."""

    connect: float = Field(default=0, gt=0, allow_inf_nan=False)
    read: float = Field(default=0, gt=0, allow_inf_nan=False)


class RetryTable(_Table):
    """`[retry]`: how often and how fast."""

    retries: int = Field(default=0, ge=0)
    base: float = Field(default=0, ge=0, allow_inf_nan=False)
    cap: float = Field(default=0, ge=0, allow_inf_nan=False)
    patience: float = Field(default=0, ge=0, allow_inf_nan=False)


class ProfileTable(_Table):
    """`[profiles.NAME]`."""

    provider: str | None = None
    base_url: str | None = None
    model: str | None = None
    api_key_env: str | None = None
    api_key_file: str | None = None
    api_key_keyring: str | None = None
    settings: dict[str, Any] = Field(default_factory=dict)
    defaults: Wanted = Field(default_factory=Wanted)


class Settings(_Table):
    """All of it."""

    provider: str | None = None
    budget: Decimal | None = Field(default=None, ge=0, allow_inf_nan=False)
    cache: bool | str | None = None
    images_per_minute: int | None = Field(default=None, ge=1)
    defaults: Defaults = Field(default_factory=Defaults)
    timeouts: TimeoutsTable = Field(default_factory=TimeoutsTable)
    retry: RetryTable = Field(default_factory=RetryTable)
    profiles: dict[str, ProfileTable] = Field(default_factory=dict)


class _Sourced(Settings, BaseSettings):
    """The same as pydantic-settings reads it; only its sources are used.

    Its own merging could log every value, and would lose who said what.
    """

    model_config = SettingsConfigDict(
        case_sensitive=True, env_prefix=PREFIX.lower(), env_nested_delimiter=INSIDE
    )


class _File(TomlConfigSettingsSource):
    def _read_files(self, files: Any, deep_merge: bool = False) -> dict[str, Any]:
        # The library's own passes over what is no plain file without a word.
        return self._read_file(files)

    def _read_file(self, file_path: Any) -> dict[str, Any]:
        text = contents(file_path, "the configuration file", LARGEST)
        return toml(text, file_path)


class _Environment(EnvSettingsSource):
    def __init__(self, said: Mapping[str, str]) -> None:
        self._said = said
        super().__init__(_Sourced)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name.lower(): value for name, value in self._said.items()}


@dataclass(frozen=True, slots=True)
class Said:
    """What file and environment say together, and which of them says what."""

    settings: Settings
    file: Mapping[str, Any]
    environment: Mapping[str, Any]
    path: Path | None
    variables: frozenset[str]

    def by(self, *place: str) -> str:
        """Who says what stands at *place*: a variable's name, or the file's path."""
        return _by(place, self.variables) or str(self.path)

    def in_file(self, *place: str) -> bool:
        """Whether what stands at *place* is the file's."""
        return _by(place, self.variables) is None


def read(path: Path | None, variables: Mapping[str, str], *, named: bool) -> Said:
    """Read the file at *path*, if any, and *variables*, which win over it.

    *named* is whether the environment says in another way who is asked by default.
    """
    file = _File(_Sourced, path)() if path is not None else {}
    environment = _as_spelt(_environment(variables), file)
    reading = _Reading(path, frozenset(variables))
    for mine in (file, environment):
        reading.check_keys(mine)
    settings = reading.judged(_over(_without_other_keys(file, environment), environment))
    reading.check_names(settings, named=named)
    return Said(settings, file, environment, path, reading.variables)


def _environment(variables: Mapping[str, str]) -> dict[str, Any]:
    tables = sorted(set(Settings.model_fields) - {"provider"})
    for name in variables:
        if name.removeprefix(PREFIX).partition(INSIDE)[0].lower() not in tables:
            listed = ", ".join(f"{PREFIX}{table.upper()}{INSIDE}…" for table in tables)
            raise ConfigurationError(f"{name}: no such setting; there are: {listed}")
    try:
        return _Environment(variables)()
    except SettingsError:
        # It quotes what it cannot read.
        pass
    listed = ", ".join(sorted(variables))
    raise ConfigurationError(f"a table in the environment is no JSON; it is one of: {listed}")


def _as_spelt(environment: dict[str, Any], file: Mapping[str, Any]) -> dict[str, Any]:
    """A profile's name as the file spells it, which the environment cannot always."""
    profiles = environment.get("profiles")
    named = file.get("profiles")
    if not isinstance(profiles, dict) or not isinstance(named, dict):
        return environment
    spelt = {name.lower().replace("-", "_"): name for name in named}
    return {
        **environment,
        "profiles": {spelt.get(name, name): table for name, table in profiles.items()},
    }


def _without_other_keys(low: Mapping[str, Any], high: Mapping[str, Any]) -> dict[str, Any]:
    """*low* without the keys of those profiles of which *high* says another: a key is one thing."""
    profiles = low.get("profiles")
    theirs = high.get("profiles")
    if not isinstance(profiles, dict) or not isinstance(theirs, dict):
        return dict(low)
    return {
        **low,
        "profiles": {
            name: {word: value for word, value in table.items() if not word.startswith("api_key")}
            if isinstance(table, dict)
            and any(word.startswith("api_key") for word in theirs.get(name, ()))
            else table
            for name, table in profiles.items()
        },
    }


def _over(low: Mapping[str, Any], high: Mapping[str, Any]) -> dict[str, Any]:
    """Both, table by table; where both say something, *high* does."""
    both = {
        name: _over(low[name], high[name])
        for name in set(low) & set(high)
        if isinstance(low[name], Mapping) and isinstance(high[name], Mapping)
    }
    return {**low, **high, **both}


def _by(place: Place, variables: frozenset[str]) -> str | None:
    for end in range(len(place), 0, -1):
        name = f"{PREFIX}{INSIDE.join(place[:end])}".upper().replace("-", "_")
        if name in variables:
            return name
    return None


class _Reading:
    """Where what is read came from, for whoever finds fault with it."""

    def __init__(self, path: Path | None, variables: frozenset[str]) -> None:
        self.path, self.variables = path, variables

    def where(self, place: Place) -> str:
        """*place* as its author knows it."""
        return _by(place, self.variables) or f"{self.path}: {'.'.join(place)}"

    def check_keys(self, said: Mapping[str, Any]) -> None:
        """Refuse a key that stands there itself, before anything else looks at it."""
        for place in _places(said):
            # What a provider calls its options is its own affair.
            if place[-1] == "api_key" and "options" not in place[:-1]:
                raise ConfigurationError(f"{self.where(place)}: {_ALTERNATIVES}")

    def check_names(self, settings: Settings, *, named: bool) -> None:
        """What the tables cannot say of each other."""
        for name in settings.profiles:
            if not _NAME.fullmatch(name):
                raise ConfigurationError(
                    f"{self.where(('profiles', name))}: a profile is called by letters, digits, "
                    "'.', '-' and '_'"
                )
        model = settings.defaults.model_dump(exclude_unset=True).get("model")
        if model and ":" not in model and not (settings.provider or named):
            raise ConfigurationError(
                f"{self.where(('defaults', 'model'))}: a model is one provider's: say provider "
                "beside it, or PROVIDER:MODEL"
            )

    def judged(self, said: Mapping[str, Any]) -> Settings:
        """*said* as settings, or one clear error."""
        try:
            return Settings.model_validate(said)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        # Not chained: the validator's own error holds the values, and one of them may be a key.
        place = tuple(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            known = ", ".join(sorted(_table(place).model_fields))
            raise ConfigurationError(f"{self.where(place)}: no such setting; there are: {known}")
        what = first["msg"].removeprefix("Value error, ")
        if first["type"] in ("model_type", "dict_type", "mapping_type"):
            what = "this is a table, and not one value"
        raise ConfigurationError(f"{self.where(place)}: {what}")


def _places(said: Mapping[str, Any], outer: Place = ()) -> Iterator[Place]:
    for name, value in said.items():
        yield (*outer, name)
        if isinstance(value, Mapping):
            yield from _places(value, (*outer, name))


def _table(place: Place) -> type[BaseModel]:
    """The table that has no such thing as *place*'s last word."""
    match place[:-1]:
        case ("defaults",):
            return Defaults
        case ("timeouts",):
            return TimeoutsTable
        case ("retry",):
            return RetryTable
        case ("profiles", _):
            return ProfileTable
        case ("profiles", _, "defaults"):
            return Wanted
    return Settings
