"""Distributions with providers, as pip would leave them, for the tests of plugins."""

from __future__ import annotations

import contextlib
import importlib
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from stevedore import ExtensionManager, _cache

from alone import path_changed

GOOD = """
from imagekit.provider import Capabilities, hookimpl
class Provider:
    endpoint = None
    def capabilities(self, model): return Capabilities()
    def flow(self, request, *, stream): yield
@hookimpl
def imagekit_provider(config): return Provider()
"""
# What a plugin that hangs waits for; whoever made it wait lets it go in the end.
GATE = threading.Event()


@contextlib.contextmanager
def nobody_left() -> Iterator[None]:
    """Whose plugin hung has ended, too, before another test installs something else.

    For it looks at what is installed once more, and stevedore keeps what was there then.
    """
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(60)
        assert not thread.is_alive()


class Install:
    """Installs what it is called with, for one test: folders on the path."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder, self._patch = folder, monkeypatch
        monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
        self.forget()

    def forget(self) -> None:
        """Have what is installed be looked for anew, which stevedore never does in one process."""
        self._patch.setattr(ExtensionManager, "ENTRY_POINT_CACHE", {})
        self._patch.setattr(_cache._c, "_internal", {})
        importlib.invalidate_caches()
        path_changed()

    def __call__(
        self,
        name: str,
        code: str = GOOD,
        *,
        module: str | None = None,
        point: str = "",
        dist: str = "",
        group: str = "imagekit.providers",
        requires: str = "",
    ) -> None:
        """Install the provider *name*, whose module holds *code*."""
        module = module or f"toy_{name.replace('-', '_')}"
        (self._folder / f"{module}.py").write_text(code)
        info = self._folder / f"{(dist or module).replace('-', '_')}-1.2.dist-info"
        info.mkdir()
        wants = f"Requires-Dist: {requires}\n" if requires else ""
        (info / "METADATA").write_text(f"Name: {dist or module}\nVersion: 1.2\n{wants}")
        (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {module}{point}\n")
        self._patch.delitem(sys.modules, module, raising=False)
        self.forget()
