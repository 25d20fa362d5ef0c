"""pluggy calls: the plugins that are loaded, each by itself, and the observers."""

from __future__ import annotations

import logging
import re
import sys
import threading
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

import pluggy

from ._errors import ImagekitError, PluginError, UnknownProviderError
from ._installed import (
    VARIABLE,
    Found,
    disabled,
    installed,
    names,
    nobody_called,
    points,
    remedy,
    requirement,
    said,
)
from ._version import version

if TYPE_CHECKING:
    from ._flow import Provider
    from ._hookspecs import Config

BUILDS = "imagekit_provider"

log = logging.getLogger("imagekit")
_WANTED = re.compile(r"cannot import name '(\w+)'|has no attribute '(\w+)'")


class Blamed:
    """Code of the plugin *name*: whatever it raises beyond our errors is a `PluginError`.

    Also what would end the process, or is meant for nobody else; but Ctrl-C is the user's.
    """

    def __init__(self, name: str, what: str) -> None:
        self._name, self._what = name, what

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None or isinstance(error, ImagekitError | KeyboardInterrupt):
            return
        raise PluginError(
            f"provider {self._name!r} {self._what}: {said(error)}{remedy(self._name)}"
        ) from error


def _unheard(**what: Any) -> None:
    """Tell nobody."""


class _Hooks:
    """What tells each observer by itself, so that one that fails keeps nothing from the others."""

    def __init__(self, plugins: Plugins) -> None:
        self._plugins = plugins

    def __getattr__(self, hook: str) -> Callable[..., None]:
        if not self._plugins._registered:
            return _unheard
        managers = self._plugins.managers()

        def tell(**what: Any) -> None:
            for manager in managers:
                try:
                    getattr(manager.hook, hook)(**what)
                except KeyboardInterrupt:
                    raise
                except BaseException as error:
                    log.exception("an imagekit observer failed", exc_info=error)

        return tell


class Plugins:
    """The plugins that one client has loaded, and its observers."""

    def __init__(self) -> None:
        # Each has a manager of its own, so that none can take another's part.
        self._registered: dict[str, tuple[object, pluggy.PluginManager]] = {}
        self._loaded: dict[str, pluggy.PluginManager] = {}
        self._lock = threading.Lock()
        self._loading: dict[str, threading.RLock] = {}

    @property
    def hook(self) -> Any:
        """What tells all observers of something; what one of them raises is logged."""
        return _Hooks(self)

    def managers(self) -> tuple[pluggy.PluginManager, ...]:
        """Pluggy's manager of each plugin that was registered."""
        return tuple(manager for _, manager in self._registered.values())

    def register(self, plugin: object, name: str | None = None) -> None:
        """Add an observer, or a provider that is not installed; *name* is what to call it by.

        Raises `PluginError` where a hook is misspelt or takes what its spec does not give.
        """
        try:
            hash(plugin)  # pluggy needs it later
            manager, called = _managed(plugin, name)
            with self._lock:
                for other, (one, _) in self._registered.items():
                    if other == called or one == plugin:
                        raise ValueError(f"already registered as {other!r}")
                self._registered = {**self._registered, called: (plugin, manager)}
        except (pluggy.PluginValidationError, ValueError, TypeError) as error:
            raise PluginError(f"plugin {name or plugin!r}: {error}") from error

    def unregister(self, plugin: object) -> None:
        """Take an observer or a provider away again."""
        with self._lock:
            kept = {name: one for name, one in self._registered.items() if one[0] is not plugin}
            if len(kept) == len(self._registered):
                raise PluginError(f"plugin {plugin!r} is not registered")
            self._registered = kept

    def names(self) -> tuple[str, ...]:
        """Every provider that can be named: those installed, and those registered here."""
        own = {name for name, (plugin, _) in self._registered.items() if hasattr(plugin, BUILDS)}
        return tuple(sorted(own | set(names())))

    def provider(self, name: str, config: Config) -> Provider:
        """Build the provider called *name*, importing its plugin on first use.

        Each name has its turn by itself: a plugin that hangs keeps nobody else's waiting.
        """
        with self._lock:
            turn = self._loading.setdefault(name, threading.RLock())
        with turn:
            manager = self._manager(name)
            with Blamed(name, "cannot be built"):
                made = manager.hook.imagekit_provider(config=config)
            if made is None:
                raise PluginError(
                    f"provider {name!r}: its plugin has no imagekit_provider marked @hookimpl, "
                    f"or it returned None{remedy(name)}"
                )
            with Blamed(name, "cannot be looked at"):
                _complete(name, made)
        return cast("Provider", made)

    def _manager(self, name: str) -> pluggy.PluginManager:
        if name in self._registered:
            return self._registered[name][1]
        if name not in self._loaded:
            self._loaded[name] = _load(name, self.names())
        return self._loaded[name]


class _Manager(pluggy.PluginManager):
    """Pluggy's, which looks at nothing of our hook spec but its hooks: each client has several."""

    def parse_hookspec_opts(self, module_or_class: Any, name: str) -> Any:
        hook = name.startswith("imagekit_")
        return super().parse_hookspec_opts(module_or_class, name) if hook else None


def _managed(plugin: object, name: str | None) -> tuple[pluggy.PluginManager, str]:
    """*plugin* with a manager of its own, which found nothing wrong with it; and its name."""
    # Who only looks at what is installed needs none of what the hooks speak of.
    from . import _hookspecs

    manager = _Manager("imagekit")
    manager.add_hookspecs(_hookspecs)
    called = manager.register(plugin, name)
    manager.check_pending()
    return manager, called or str(name)


def _complete(name: str, made: object) -> None:
    for needed in ("endpoint", "capabilities", "flow"):
        if not hasattr(made, needed):
            raise PluginError(
                f"provider {name!r}: what its plugin built has no {needed!r}{remedy(name)}"
            )
    family = getattr(made, "family", None)
    if not isinstance(family, str | None):
        raise PluginError(f"provider {name!r}: its family is no text, but {family!r}{remedy(name)}")


def _load(name: str, known: tuple[str, ...]) -> pluggy.PluginManager:
    """Import the one plugin that is called *name*, and look at what it says it can do."""
    off, mine = disabled(), [one for one in installed() if one.name == name]
    if not mine:
        raise nobody_called(name, known)
    wanted = [one for one in mine if not one.ruled_out(off)]
    if not wanted:
        raise UnknownProviderError(
            f"no provider {name!r}: {mine[0].origin} has it, and {VARIABLE} rules it out"
        )
    if len(wanted) > 1:
        # One of each would be imported, if stevedore were asked for the name.
        where = ", ".join(sorted(one.module for one in wanted))
        whose = " and ".join(sorted({one.origin for one in wanted}))
        raise PluginError(
            f"provider {name!r} is installed twice: {where}; uninstall one of {whose}, or name its "
            f"distribution in {VARIABLE}"
        )
    [found] = wanted
    point = next(one for one in points() if (one.name, one.value) == (found.name, found.module))
    try:
        plugin = point.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        why = _newer(error, found) or said(error) + remedy(name)
        if not re.fullmatch(r"[\w.]+(\s*:\s*[\w.]+)?(\s*\[.*\])?", found.module):
            why = f"its entry point says {found.module[:80]!r}, which names no module{remedy(name)}"
        raise PluginError(f"provider {name!r} does not import: {why}") from error
    with Blamed(name, "cannot be looked at"):
        _of_today(plugin, found)
        _only_builds(plugin, found)
        try:
            return _managed(plugin, name)[0]
        except (pluggy.PluginValidationError, ValueError, TypeError) as error:
            raise PluginError(f"provider {name!r}: {error}{remedy(name)}") from error


def _newer(error: BaseException, found: Found) -> str | None:
    """What to say of a plugin that looked in vain for something of ours; None if it did not."""
    of = getattr(error, "name", None) or ""
    if isinstance(error, AttributeError):
        of = getattr(error.obj, "__name__", "")
    elif not isinstance(error, ImportError):
        return None
    if str(of).partition(".")[0] != "imagekit":
        return None
    named = _WANTED.search(str(error))
    what = f"imagekit has no {of}"
    if named:
        what = f"{of} has no {named[1] or named[2]!r}"
    wants = requirement(found)
    asks = f", and {found.origin} asks for {wants}" if wants else ""
    return (
        f"in version {version()} {what}{asks}; update imagekit (pip install --upgrade imagekit), "
        f"or {found.distribution or found.module} where that is the older one"
    )


def _of_today(plugin: object, found: Found) -> None:
    """Refuse a plugin that was written for a contract that is not ours yet."""
    from ._hookspecs import CONTRACT

    home = sys.modules.get(found.module.partition(":")[0])
    wanted = getattr(plugin, "imagekit_contract", getattr(home, "imagekit_contract", None))
    if wanted is None:
        return
    if not isinstance(wanted, int) or isinstance(wanted, bool) or wanted < 1:
        raise PluginError(
            f"provider {found.name!r}: imagekit_contract is a whole number, not {wanted!r}"
            f"{remedy(found.name)}"
        )
    if wanted > CONTRACT:
        raise PluginError(
            f"provider {found.name!r} is written for contract {wanted}, and imagekit {version()} "
            f"has contract {CONTRACT}: update imagekit (pip install --upgrade imagekit)"
        )


def _only_builds(plugin: object, found: Found) -> None:
    """Refuse a plugin that would watch calls by being installed."""
    from . import _hookspecs

    own = vars(plugin) if isinstance(plugin, ModuleType) else dict.fromkeys(dir(plugin))
    for hook in own:
        spec = getattr(_hookspecs, hook, None) if hook.startswith("imagekit_") else None
        marked = getattr(getattr(plugin, hook, None), "imagekit_impl", None)
        if spec is not None and hook != BUILDS and marked is not None:
            raise PluginError(
                f"provider {found.name!r}: its plugin has {hook}, and observers are registered in "
                f"code only: it belongs on an object of its own{remedy(found.name)}"
            )
