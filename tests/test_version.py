from __future__ import annotations

import tomllib
from pathlib import Path

import imagekit
from imagekit._version import version

PROJECT = Path(__file__).parent.parent / "pyproject.toml"


def test_the_version_is_the_one_that_is_installed() -> None:
    assert version() == tomllib.loads(PROJECT.read_text())["project"]["version"]


def test_the_door_tells_the_version() -> None:
    assert imagekit.__version__ == version()
