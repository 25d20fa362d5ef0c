"""What cassettes are recorded from, and where each of them pretends to be."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
PROVENANCE: dict[str, dict[str, Any]] = tomllib.loads(
    (ROOT / "cassettes/PROVENANCE.toml").read_text("utf-8")
)


@dataclass(frozen=True)
class Source:
    """What a cassette is, or is being, recorded from."""

    name: str
    url: str
    key: str | None

    @property
    def live(self) -> bool:
        return self.name == "live"

    @property
    def size(self) -> str:
        """A small size that it makes."""
        return {"live": "1024x1024", "server": "32x32"}.get(self.name, "64x64")

    @property
    def side(self) -> int:
        return int(self.size.partition("x")[0])


def home(name: str) -> str:
    """Where a recorded server pretends to be, whatever place it really had."""
    return f"http://{name}.invalid/v1"


def makers(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """What the test's cassette can be recorded from."""
    marker = request.node.get_closest_marker("made_by")
    return tuple(marker.args) if marker is not None else ()
