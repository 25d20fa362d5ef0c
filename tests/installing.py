"""A package of sources, as an editable install leaves it: found, and read where it stands."""

from __future__ import annotations

import importlib
import os
import sys
import tomllib
from pathlib import Path

import pytest
from stevedore import ExtensionManager, _cache

from alone import path_changed


def editable(folder: Path) -> list[str]:
    """Write the metadata of the package in *folder* beside its sources; returns what goes on the
    path.
    """
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    name, version = project["name"], project["version"]
    info = folder / "src" / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(exist_ok=True)
    needs = "".join(f"Requires-Dist: {one}\n" for one in project["dependencies"])
    readme = (folder / project["readme"]).read_text(encoding="utf-8")
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n"
        f"Summary: {project['description']}\n{needs}\n{readme}",
        encoding="utf-8",
    )
    points = project["entry-points"]["imagekit.providers"]
    lines = "".join(f"{one} = {module}\n" for one, module in points.items())
    (info / "entry_points.txt").write_text(f"[imagekit.providers]\n{lines}", encoding="utf-8")
    return [str(folder / "src")]


def on_the_path(places: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have *places* found first, in this process and in those that it starts."""
    monkeypatch.setattr(sys, "path", [*places, *sys.path])
    others = [one for one in [os.environ.get("PYTHONPATH")] if one]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([*places, *others]))
    # stevedore looks once in a process.
    monkeypatch.setattr(ExtensionManager, "ENTRY_POINT_CACHE", {})
    monkeypatch.setattr(_cache._c, "_internal", {})
    importlib.invalidate_caches()
    path_changed()
