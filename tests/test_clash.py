from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import imagekit
from imagekit._clash import clash


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A folder of packages in which django-imagekit lies."""
    (tmp_path / "imagekit").mkdir()
    (tmp_path / "imagekit" / "pkgmeta.py").write_text("__version__ = '6.0'\n")
    return tmp_path


def test_a_clash_is_one_line_that_says_where_and_what_to_do(other: Path) -> None:
    assert clash(["/nowhere", str(other)]) == (
        f"django-imagekit lies in {other / 'imagekit'} and has the same import name as imagekit: "
        "only one of the two can be imported; keep them in separate environments"
    )


def test_imagekit_alone_is_no_clash(tmp_path: Path) -> None:
    (tmp_path / "imagekit").mkdir()
    assert clash([str(tmp_path)]) is None


def test_the_places_that_python_looks_in_are_looked_in(
    other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path, str(other)])
    assert clash() is not None


def test_an_empty_place_is_the_folder_one_is_in(
    other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(other)
    assert clash([""]) is not None


def imported(*places: str, **env: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(filter(None, [*places, os.environ.get("PYTHONPATH")]))
    return subprocess.run(
        [sys.executable, "-c", "import imagekit\nprint('imported')"],
        env={**os.environ, "PYTHONPATH": path, **env},
        capture_output=True,
        text=True,
        check=False,
    )


def test_importing_imagekit_warns_of_a_clash_once(other: Path) -> None:
    done = imported(str(other))
    assert done.stdout == "imported\n"
    assert [line for line in done.stderr.splitlines() if "django-imagekit" in line] == [
        f"<string>:1: RuntimeWarning: {clash([str(other)])}"
    ]


def test_a_clash_is_a_runtime_warning(other: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path, str(other)])
    with pytest.warns(RuntimeWarning, match="django-imagekit lies in"):
        imagekit._warn()


def test_importing_imagekit_alone_is_silent() -> None:
    assert imported(PYTHONWARNINGS="error").stderr == ""
