"""stevedore finds, pluggy calls: which providers there are, and the ones that are loaded."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, cast

import pluggy
from stevedore import DriverManager, NamedExtensionManager

from . import _hookspecs
from ._errors import ConfigurationError, ImagekitError, PluginError, UnknownProviderError
from ._flow import Provider
from ._hookspecs import Config

GROUP = "imagekit.providers"


@dataclass(frozen=True, slots=True)
class Found:
    """One installed provider: its name, the module it lives in, and its distribution."""

    name: str
    module: str
    distribution: str | None = None
    version: str | None = None


def installed() -> tuple[Found, ...]:
    """Every installed provider, by its entry point, without importing any of them.

    A name that two distributions claim is listed twice; loading it is an error.
    """
    points = NamedExtensionManager[Any](GROUP, names=[]).list_entry_points()
    owners = _owners()
    found = [
        Found(point.name, point.value, *owner)
        for point in points
        for owner in [owners.get((point.name, point.value), (None, None))]
    ]
    return tuple(sorted(set(found), key=lambda one: (one.name, one.module)))


def _owners() -> dict[tuple[str, str], tuple[str, str]]:
    # stevedore's cache loses which distribution an entry point is from.
    from importlib import metadata

    return {
        (point.name, point.value): (point.dist.name, point.dist.version)
        for point in metadata.entry_points(group=GROUP)
        if point.dist is not None
    }


def names() -> tuple[str, ...]:
    """The names of the installed providers."""
    points = NamedExtensionManager[Any](GROUP, names=[]).list_entry_points()
    return tuple(sorted({point.name for point in points} - disabled()))


def disabled(env: Mapping[str, str] = os.environ) -> frozenset[str]:
    """The providers that `IMAGEKIT_DISABLED_PLUGINS` (a comma-separated list) rules out."""
    listed = env.get("IMAGEKIT_DISABLED_PLUGINS", "")
    return frozenset(name.strip() for name in listed.split(",") if name.strip())


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
    return UnknownProviderError(f"no provider {name!r}; there are: {listed}")


class Plugins:
    """The plugins that one client has loaded, and its observers."""

    def __init__(self) -> None:
        self._manager = pluggy.PluginManager("imagekit")
        self._manager.add_hookspecs(_hookspecs)
        self._lock = threading.RLock()

    @property
    def hook(self) -> Any:
        """Pluggy's caller of the observers' hooks."""
        return self._manager.hook

    def register(self, plugin: object, name: str | None = None) -> None:
        """Add an observer, or a provider that is not installed; *name* is what to call it by.

        Raises `PluginError` where a hook is misspelt or takes what its spec does not give.
        """
        with self._lock:
            before = [one for _, one in self._manager.list_name_plugin()]
            try:
                hash(plugin)  # pluggy needs it later, and would fail in another plugin's name
                self._manager.register(plugin, name)
                self._manager.check_pending()
            except (pluggy.PluginValidationError, ValueError, TypeError) as error:
                for left, one in self._manager.list_name_plugin():
                    if not any(one is old for old in before):
                        self._manager.unregister(name=left)
                raise PluginError(f"plugin {name or plugin!r}: {error}") from error

    def unregister(self, plugin: object) -> None:
        """Take an observer or a provider away again."""
        with self._lock:
            self._manager.unregister(plugin)

    def names(self) -> tuple[str, ...]:
        """Every provider that can be named: those installed, and those registered here."""
        own = {name for name, plugin in self._manager.list_name_plugin() if _provides(plugin)}
        return tuple(sorted(own | set(names())))

    def provider(self, name: str, config: Config) -> Provider:
        """Build the provider called *name*, importing its plugin on first use."""
        with self._lock:
            plugin = self._manager.get_plugin(name)
            if plugin is None:
                plugin = self._load(name)
                if self._manager.is_registered(plugin):
                    # One module may be two providers, told apart by their names; pluggy would have
                    # it registered once, and takes functions as they are from modules only.
                    again = ModuleType(name)
                    vars(again).update(imagekit_provider=plugin.imagekit_provider)
                    plugin = again
                self.register(plugin, name)
            others = [one for _, one in self._manager.list_name_plugin() if one is not plugin]
            build = self._manager.subset_hook_caller("imagekit_provider", others)
            try:
                made = build(config=config)
            except ImagekitError:
                raise
            except Exception as error:
                raise PluginError(f"provider {name!r} cannot be built: {error!r}") from error
        if made is None:
            raise PluginError(
                f"provider {name!r}: its plugin has no imagekit_provider marked @hookimpl, "
                "or it returned None"
            )
        for needed in ("endpoint", "capabilities", "flow"):
            if not hasattr(made, needed):
                raise PluginError(f"provider {name!r}: what its plugin built has no {needed!r}")
        return cast(Provider, made)

    def _load(self, name: str) -> Any:
        # stevedore warns and raises on a missing name, and on a doubled one either dies or imports
        # both; so both are settled on the listing.
        points = NamedExtensionManager[Any](GROUP, names=[]).list_entry_points()
        count = Counter(point.name for point in points)
        if name not in count or name in disabled():
            raise nobody_called(name, self.names())
        if count[name] > 1:
            where = ", ".join(sorted(one.module for one in installed() if one.name == name))
            raise PluginError(f"provider {name!r} is installed twice: {where}; uninstall one")
        try:
            # `.driver` would give the class where the object is falsy.
            return DriverManager[Any](GROUP, name).extensions[0].plugin
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            raise PluginError(f"provider {name!r} does not import: {error!r}") from error


def _provides(plugin: object) -> bool:
    return hasattr(plugin, "imagekit_provider")
