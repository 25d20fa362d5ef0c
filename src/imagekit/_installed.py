"""stevedore finds: which providers are installed, and whose they are; none of them is imported."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from stevedore import NamedExtensionManager

from ._errors import ConfigurationError, UnknownProviderError

GROUP = "imagekit.providers"
VARIABLE = "IMAGEKIT_DISABLED_PLUGINS"


@dataclass(frozen=True, slots=True)
class Found:
    """One installed provider: its name, the module it lives in, and its distribution."""

    name: str
    module: str
    distribution: str | None = None
    version: str | None = None

    @property
    def origin(self) -> str:
        """Whose it is: the distribution and its version, or else the module."""
        return f"{self.distribution or self.module} {self.version or ''}".rstrip()

    def ruled_out(self, by: frozenset[str]) -> str | None:
        """The word *by* which it is disabled: its name, or its distribution's; None if it is not.

        A distribution's name is compared as package indexes do: `A_b` is `a-b`.
        """
        if self.name in by:
            return self.name
        own = _plain(self.distribution or "")
        return next((word for word in sorted(by) if own and _plain(word) == own), None)


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def installed() -> tuple[Found, ...]:
    """Every installed provider, by its entry point, without importing any of them.

    A name that two distributions claim is listed twice; loading it is an error.
    """
    listed = points()
    owners = _owners(tuple(sys.path), tuple((point.name, point.value) for point in listed))
    found = [
        Found(point.name, point.value, *owner)
        for point in listed
        for owner in owners.get((point.name, point.value), ((None, None),))
    ]
    return tuple(sorted(set(found), key=lambda one: (one.name, one.module, one.origin)))


def points() -> list[Any]:
    """The entry points of all installed providers."""
    try:
        return list(NamedExtensionManager[Any](GROUP, names=[]).list_entry_points())
    except Exception:
        # One whose list cannot be read keeps stevedore from all of them.
        return [point for point, _, _ in _listed(tuple(sys.path))[0]]


@lru_cache(maxsize=4)
def _owners(
    path: tuple[str, ...], points: tuple[tuple[str, str], ...]
) -> Mapping[tuple[str, str], tuple[tuple[str, str], ...]]:
    # stevedore's cache loses which distribution an entry point is from.
    from importlib import metadata

    try:
        all_of_them = metadata.entry_points(group=GROUP)
        # Each is asked once, for each answer is read anew out of its file.
        about = {dist: dist.metadata for dist in {one.dist for one in all_of_them} if dist}
        owned = [
            (one, about[one.dist]["Name"], about[one.dist]["Version"])
            for one in all_of_them
            if one.dist
        ]
    except Exception:
        owned = list(_listed(path)[0])
    found: dict[tuple[str, str], tuple[tuple[str, str], ...]] = {}
    for point, name, release in owned:
        known = (point.name, point.value)
        found[known] = (*found.get(known, ()), (name, release))
    return found


def unreadable() -> tuple[tuple[str, str], ...]:
    """The installed distributions whose lists of entry points cannot be read, each with why."""
    from importlib import metadata

    try:
        metadata.entry_points(group=GROUP)
    except Exception:
        return _listed(tuple(sys.path))[1]
    return ()


@lru_cache(maxsize=4)
def _listed(
    path: tuple[str, ...],
) -> tuple[tuple[tuple[Any, str, str], ...], tuple[tuple[str, str], ...]]:
    """Our entry points, each with its distribution's name and version; and `unreadable`."""
    from importlib import metadata

    found, wrong, known = [], [], set()
    for one in metadata.distributions():
        name, release = one.metadata["Name"] or "?", one.version or "?"
        if name in known:  # what stands behind another of its name on the path is not used
            continue
        known.add(name)
        try:
            found += [(point, name, release) for point in one.entry_points if point.group == GROUP]
        except Exception as error:
            wrong.append((f"{name} {release}", said(error)))
    return tuple(found), tuple(wrong)


def names() -> tuple[str, ...]:
    """The names of the installed providers."""
    off = disabled()
    if not off:
        return tuple(sorted({point.name for point in points()}))
    return tuple(sorted({one.name for one in installed() if not one.ruled_out(off)}))


def disabled(env: Mapping[str, str] = os.environ) -> frozenset[str]:
    """What `IMAGEKIT_DISABLED_PLUGINS` (a comma-separated list) rules out.

    Each is a provider's name, or the name of a distribution, all of whose providers it means.
    """
    listed = env.get(VARIABLE, "")
    return frozenset(name.strip() for name in listed.split(",") if name.strip())


def contract_of(found: Found) -> int | None:
    """The contract that a plugin says it was written for; None where it says none.

    Imports nothing: a plugin that was not loaded says none.
    """
    module = sys.modules.get(found.module.partition(":")[0])
    said = getattr(module, "imagekit_contract", None)
    return said if isinstance(said, int) else None


def requirement(found: Found) -> str | None:
    """Which imagekit the plugin's own metadata asks for."""
    from importlib import metadata

    try:
        lines = metadata.requires(found.distribution or "") or []
    except (metadata.PackageNotFoundError, ValueError):
        return None
    for line in lines:
        name = re.match(r"[\w.-]+", line)
        if name and _plain(name[0]) == "imagekit" and "extra" not in line:
            return line
    return None


def nobody_called(name: str | None, known: tuple[str, ...]) -> ConfigurationError:
    """The error for a provider that is not there, or was not named."""
    if not known:
        return UnknownProviderError(
            "no provider is installed; `pip install imagekit-sketch` needs no key, "
            "the README lists the others"
        )
    listed = ", ".join(known)
    if name is None:
        return ConfigurationError(
            f"no provider is chosen: pass provider=, or set IMAGEKIT_PROVIDER; there are: {listed}"
        )
    words = " or ".join(repr(one) for one in alike(name, known))
    meant = f"; did you mean {words}?" if words else ""
    return UnknownProviderError(f"no provider {name!r}; there are: {listed}{meant}")


def alike(name: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """Those of *known* that somebody who says *name* may mean, at most three."""
    from difflib import get_close_matches

    begin = [one for one in known if name and one.startswith(name)]
    near = get_close_matches(name, known, n=3)
    return tuple(dict.fromkeys((*begin, *near)))[:3]


def remedy(name: str) -> str:
    """What can be done where the installed provider *name* is at fault; of others, nothing."""
    whose = " or ".join(one.origin for one in installed() if one.name == name)
    return f"; upgrade or uninstall {whose}, or set {VARIABLE}={name}" if whose else ""


def said(error: BaseException) -> str:
    """*error* as its own words, if it has any that can be read."""
    try:
        return repr(error)[:1000]
    except KeyboardInterrupt:
        raise
    except BaseException:
        return type(error).__name__
