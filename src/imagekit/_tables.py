"""Tables of capabilities: those that plugins ship, and a user's own, which patch them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import ValidationError

from ._capabilities import Capabilities, Source
from ._errors import ConfigurationError, ImagekitError, PluginError
from ._files import located, toml, usual
from ._prices import Prices
from ._request import ImageRequest
from ._sources import contents
from ._value import Value

NAME = "capabilities.toml"
VARIABLE = "IMAGEKIT_CAPABILITIES"
LARGEST = 2**20
# A file to read, its content, False for none, None for the usual one.
Given: TypeAlias = "str | os.PathLike[str] | Mapping[str, Any] | Literal[False] | None"

# Of these a table says only what differs.
_BY_NAME = ("parameters", "options")
_BY_FIELD = ("lifecycle", "prices")
_ABOUT = frozenset({"source", "as_of", "sources"})
_FACTS = frozenset(Capabilities.model_fields) - _ABOUT - {"model"}
_SNAPSHOT = re.compile(r"(.+)-\d{4}-\d{2}-\d{2}", re.ASCII)


class Tables:
    """What files say of models: in sections, and there by a model's name or by a pattern."""

    def __init__(self, *files: File, fault: type[ImagekitError] = PluginError) -> None:
        self._files, self._fault = files, fault
        # A call asks more than once, and the tables do not change.
        self._known = lru_cache(maxsize=64)(self._of)

    def of(self, model: str | None, *sections: str) -> Capabilities:
        """What the *sections* say of *model*, each upon the one before.

        In a section patterns (`gpt-*`, or `*` for all) come first, in their order in the file, then
        the model that a dated snapshot (`NAME-2026-11-20`) is of, then the model itself.
        """
        return self._known(model, *sections)

    def _of(self, model: str | None, *sections: str) -> Capabilities:
        base = self._said[0].source
        able = Capabilities(model=model, source=base.text, as_of=base.as_of)
        for section in sections:
            if not any(section in said.sections for said in self._said):
                raise self._fault(f"{self._files[0].place} has no section {section!r}")
            able = self.on(able, model, section)
        return able

    def on(
        self, able: Capabilities, model: str | None, *sections: str, patch: bool = False
    ) -> Capabilities:
        """*able* with what the *sections* say of *model*; one that is not there says nothing.

        Of a *patch* each fact says whose it is, but not in which folder: it goes into plans.
        """
        whose = [Path(file.place).name if patch else None for file in self._files]
        for section in sections:
            for place, said in zip(whose, self._said, strict=True):
                for layer in _meant(said.sections.get(section, {}), model or ""):
                    able = _over(able, layer, said.source, place)
        return able

    def names(self, section: str) -> tuple[str, ...]:
        """The models that a *section* names, in their order in the files."""
        named = [name for said in self._said for name in said.sections.get(section, {})]
        return tuple(dict.fromkeys(name for name in named if not _is_pattern(name)))

    def stray(self, known: Container[str]) -> tuple[str, ...]:
        """The sections that are called by nobody who is *known*, in words."""
        return tuple(
            f"{file.place}: [{section}] names no provider, family or profile that is here: it "
            "changes nothing"
            for file, said in zip(self._files, self._said, strict=True)
            for section in said.sections
            if section not in known
        )

    @cached_property
    def _said(self) -> list[_Said]:
        return [_Reading(file.place, self._fault).judged(file.read()) for file in self._files]


@dataclass(frozen=True, slots=True)
class File:
    """A file that is read when it is needed; *place* is what errors call it."""

    place: str
    read: Callable[[], Mapping[str, Any]]


def _over(able: Capabilities, layer: Capabilities, base: Source, patch: str | None) -> Capabilities:
    """*able* with what *layer* says; *base* is the source of what names none."""
    changes: dict[str, Any] = {}
    for name in layer.model_fields_set - _ABOUT:
        old, new = getattr(able, name), getattr(layer, name)
        if name in _BY_NAME:
            new = {**old, **new}
        elif name in _BY_FIELD and isinstance(old, Value):
            new = old.model_copy(update={one: getattr(new, one) for one in new.model_fields_set})
        changes[name] = new
    sources = dict(able.sources)
    for fact in _facts(layer):
        found = (layer.sources.get(fact) or _whole(layer) or base).with_patch(patch)
        if found != Source():
            sources[fact] = found
    return able.model_copy(update={**changes, "sources": sources})


def tables(package: str, *names: str) -> Tables:
    """The tables in the files *names* that *package* ships, read when they are first asked for.

    They are TOML: `[SECTION."MODEL"]`, with the fields of `Capabilities`. A table's `source` and
    `as_of` hold for what stands in it, `sources.FACT` for one fact of it, and what stands on top
    of the file for all the rest. `[sources.NAME]` is a source that is called so from then on.
    Where several files speak of one model, each stands upon the one before.
    """
    return Tables(*(File(f"{package}/{name}", partial(_shipped, package, name)) for name in names))


def _shipped(package: str, name: str) -> Mapping[str, Any]:
    from importlib.resources import files

    try:
        data = files(package).joinpath(name).read_bytes()
    except OSError as error:
        raise PluginError(f"{package} does not ship its {name}: {error}") from error
    return toml(data, f"{package}/{name}", PluginError)


class Patches:
    """The user's own tables, by provider, family or profile; they say only what differs."""

    def __init__(self, tables: Tables | None = None) -> None:
        self._tables = tables

    def stray(self, known: Callable[[], Container[str]]) -> tuple[str, ...]:
        """What is said of nobody who is *known*, in words."""
        return self._tables.stray(known()) if self._tables is not None else ()

    def on(
        self,
        able: Capabilities,
        provider: str,
        profile: str | None,
        family: str | None,
        model: str | None,
    ) -> Capabilities:
        """*able* as the user knows it: by the family, then the provider, then the profile."""
        if self._tables is None:
            return able
        sections = dict.fromkeys(one for one in (family, provider, profile) if one)
        return self._tables.on(able, model or able.model, *sections, patch=True)


def patches(given: Given, env: Mapping[str, str]) -> Patches:
    """The user's own patches: those *given* in code, the file that *env* names, or the usual one.

    Whatever they are is read here and now: what is wrong with them is an error before any call.
    """
    if given is False:
        return Patches()
    if isinstance(given, Mapping):
        place, said = "capabilities=", given
    else:
        path, _ = located(given, "capabilities=", VARIABLE, env, partial(usual, NAME))
        if path is None:
            return Patches()
        data = contents(path, "the file of capabilities", LARGEST)
        place, said = str(path), toml(data, path)
    found = Tables(File(place, lambda: said), fault=ConfigurationError)
    found.names("")
    return Patches(found)


def _is_pattern(name: str) -> bool:
    return any(mark in name for mark in "*?[")


def _meant(section: Mapping[str, Capabilities], model: str) -> Iterator[Capabilities]:
    """What a section says of *model*, from the most general on."""
    for name, layer in section.items():
        if _is_pattern(name) and fnmatchcase(model, name):
            yield layer
    snapshot = _SNAPSHOT.fullmatch(model)
    for name in (snapshot[1], model) if snapshot else (model,):
        if name in section and not _is_pattern(name):
            yield section[name]


def _facts(layer: Capabilities) -> Iterator[str]:
    """The names, in `sources`, of what *layer* says."""
    for name in Capabilities.model_fields:
        if name == "parameters":
            yield from layer.parameters
        elif name == "options":
            yield from (f"options.{one}" for one in layer.options)
        elif name in layer.model_fields_set - _ABOUT:
            yield name


def _whole(layer: Capabilities) -> Source | None:
    said = bool(_ABOUT & layer.model_fields_set - {"sources"})
    return Source(text=layer.source, as_of=layer.as_of) if said else None


class _Said:
    """A file that has been read: its own source, and each section's tables."""

    def __init__(self, source: Source, sections: Mapping[str, Mapping[str, Capabilities]]) -> None:
        self.source, self.sections = source, sections


class _Reading:
    """Reads tables strictly; *fault* is what whoever wrote them gets to hear."""

    def __init__(self, place: str, fault: type[ImagekitError]) -> None:
        self._place, self._fault = place, fault
        self._named: dict[str, Source] = {}

    def judged(self, said: Mapping[str, Any]) -> _Said:
        named = self._table(said.get("sources", {}), ("sources",))
        for name, one in named.items():
            place = ("sources", name)
            self._named[name] = self._valid(Source, self._table(one, place), place)
        top = {name: said[name] for name in ("source", "as_of") if name in said}
        about = self._valid(Capabilities, self._sourced(top, ()))
        sections = {
            section: {
                model: self._layer(one, (section, model))
                for model, one in self._table(tables, (section,)).items()
            }
            for section, tables in said.items()
            if section not in _ABOUT
        }
        return _Said(Source(text=about.source, as_of=about.as_of), sections)

    def _layer(self, said: Any, place: tuple[str, ...]) -> Capabilities:
        table = self._table(said, place)
        for name in table:
            if name not in _FACTS | _ABOUT:
                known = ", ".join(sorted(_FACTS | _ABOUT))
                raise self._wrong((*place, name), f"no such fact; there are: {known}")
        plain = self._sourced(table, place)
        prices = plain.pop("prices", None)
        layer: Capabilities = self._valid(Capabilities, plain, place)
        if prices is not None:
            prices = self._sourced(self._table(prices, (*place, "prices")), place)
            # Its numbers are strict by themselves, and no others are in it.
            found = self._valid(Prices, prices, (*place, "prices"), strict=False)
            layer = layer.model_copy(update={"prices": found})
        for name in layer.parameters:
            if name not in ImageRequest.model_fields:
                why = "a request has no such field; what only a provider knows stands in options"
                raise self._wrong((*place, "parameters", name), why)
        for name in layer.sources:
            if name not in set(_facts(layer)):
                raise self._wrong((*place, "sources", name), "this table says no such fact")
        return layer

    def _sourced(self, table: Mapping[str, Any], place: tuple[str, ...]) -> dict[str, Any]:
        """*table* with its sources written out where it calls them by name."""
        found = dict(table)
        if isinstance(text := table.get("source"), str) and text in self._named:
            source = self._named[text]
            found |= {"source": source.text, "as_of": table.get("as_of", source.as_of)}
        if "sources" in table:
            sources = self._table(table["sources"], (*place, "sources"))
            found["sources"] = {
                fact: self._called(one) if isinstance(one, str) else one
                for fact, one in sources.items()
            }
        return found

    def _called(self, word: str) -> dict[str, Any]:
        source = self._named.get(word, Source(text=word))
        return source.model_dump(exclude_none=True)

    def _table(self, said: Any, place: tuple[str, ...]) -> Mapping[str, Any]:
        if not isinstance(said, Mapping):
            raise self._wrong(place, "this is a table, and not one value")
        return said

    def _valid(
        self, kind: Any, table: Mapping[str, Any], place: tuple[str, ...] = (), strict: bool = True
    ) -> Any:
        try:
            text = json.dumps(table, default=_plain)
        except (TypeError, ValueError) as error:
            raise self._wrong(place, f"this is no table of facts: {error}") from None
        try:
            # By the rules of JSON, for Python's would take lists for no tuples.
            return kind.model_validate_json(text, strict=strict)
        except ValidationError as error:
            errors = error.errors(include_url=False, include_context=False)
        # Of the branches of a choice, the one that got furthest.
        first = max(errors, key=lambda one: len(one["loc"]))
        inner = [str(one) for one in first["loc"] if not _is_branch(str(one))]
        what = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            what = "there is no such key"
        raise self._wrong((*place, *inner), what)

    def _wrong(self, place: tuple[str, ...], what: str) -> ImagekitError:
        where = ".".join(one if re.fullmatch(r"[\w-]+", one) else f'"{one}"' for one in place)
        return self._fault(f"{self._place}: {where}: {what}" if where else f"{self._place}: {what}")


def _is_branch(word: str) -> bool:
    return word == "Allowed" or word.startswith("literal[")


def _plain(value: object) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"{value!r} is neither text, nor a number, a date, a list or a table")
