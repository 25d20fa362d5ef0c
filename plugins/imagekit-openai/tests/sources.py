"""What cassettes are recorded from, where each of them pretends to be, and who asks them."""

from __future__ import annotations

import io
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pillow

from imagekit import ImageEvent, ImageRequest, Profile
from ways import make

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


def png(picture: Pillow.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def plain(colour: tuple[int, int, int] = (200, 30, 30)) -> bytes:
    """A picture to edit."""
    return png(Pillow.new("RGB", (64, 64), colour))


class Asking:
    """Asks a cassette's source in one of the six ways, and keeps what was seen.

    *provider* is who asks, and *always* what it says where a test does not say otherwise.
    """

    def __init__(self, way: str, source: Source, provider: str, always: Mapping[str, Any]) -> None:
        self.source, self.streamed = source, way.endswith("streamed")
        self.events: list[ImageEvent] = []
        self._way, self._provider, self._always = way, provider, always

    def __call__(self, prompt: str | None, *, key: str | None = None, **fields: Any) -> Any:
        source = self.source
        settings = {"mask": "white", "streaming": False} if source.name == "sd-server" else {}
        there = Profile(
            "there", self._provider, source.url, key or source.key, None, settings=settings
        )
        quality = {"quality": "low"} if source.live else {}
        said = {"size": source.size, **quality, **self._always, **fields}
        return make(
            self._way,
            ImageRequest(prompt=prompt, **said),
            events=self.events,
            profiles=[there],
            how={"provider": "there", "retries": 0},
        )
