"""What every conformance test stands on: a bench, what the model can do, and what reached it."""

from __future__ import annotations

import hashlib
import json
import unittest
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NoReturn

from .._capabilities import Capabilities, SizeRule
from .._errors import ImagekitError
from .._events import PartialImage
from .._image import Image
from .._request import ImageRequest, Operation
from .._sizes import resolved_size
from ._bench import Bench, Came, Way, png
from ._host import Asked, Host, Scene

PROMPT = "a red bicycle"
# Two values of each that anybody would take who takes the field at all.
ANY: dict[str, tuple[Any, Any]] = {
    "size": ("512x512", "1024x1024"),
    "seed": (7, 8),
    "negative_prompt": ("rain", "snow"),
    "quality": ("low", "high"),
    "background": ("transparent", "opaque"),
    "output_format": ("png", "webp"),
    "output_compression": (40, 80),
    "moderation": ("low", "auto"),
    "partial_images": (1, 2),
    "user": ("somebody", "somebody-else"),
}


def sizes(rule: SizeRule) -> list[str]:
    """Sizes that *rule* allows: each of them, or some of those within its limits."""
    if rule.shapes:
        return [*rule.shapes, *(f"{rule.shapes[0]}@{tier}" for tier in rule.tiers)]
    if rule.sizes:
        return [one for one in rule.sizes if one != "auto"]
    tried = ("64x64", "512x512", "512x768", "768x512", "1024x1024", "1024x1536", "1536x1024")
    nearest = [resolved_size(ImageRequest(prompt="x", size=one), rule) for one in tried]
    return list(dict.fromkeys(one for one in nearest if one is not None))


@dataclass
class Reached:
    """What one call brought to the other side, and what came of it."""

    came: Came
    asked: list[Asked] = field(default_factory=list)

    @property
    def sent(self) -> bool:
        """Whether a host was asked, on a wire."""
        return any(one.method != "CALL" for one in self.asked)

    @property
    def said(self) -> list[Any]:
        """What was said, comparable; of a provider that asks nobody, what was drawn too.

        Requests that were made side by side are in no order.
        """
        shapes = [one.shape() for one in self.asked]
        shapes += [] if self.sent else list(self._drawn())
        return sorted(shapes, key=json.dumps)

    def _drawn(self) -> Iterator[str]:
        for event in self.came.events:
            if isinstance(event, PartialImage):
                yield f"preview {_hashed(event.image)}"
        if self.came.response is not None:
            for slot in self.came.response.slots:
                yield f"picture {_hashed(slot)}" if isinstance(slot, Image) else "failure"

    @property
    def makes(self) -> list[Asked]:
        """The requests that ask for pictures: those that are no mere look."""
        return [one for one in self.asked if one.method not in ("GET", "HEAD", "OPTIONS")]

    def told(self, feature: str) -> bool:
        """Whether the response has a notice of *feature*."""
        found = self.came.response
        # What the core finds of a picture is no word of the provider's.
        return found is not None and any(
            feature in one.feature and one.kind != "delivered-differs" for one in found.notices
        )

    @property
    def notices(self) -> list[str]:
        """The notices as text."""
        return [str(one) for one in self.came.response.notices] if self.came.response else []


class Ground:
    """What a suite says of its provider, and what the rules ask with."""

    plugin: Any
    provider: ClassVar[str]
    host: ClassVar[type[Host]]
    settings: ClassVar[Mapping[str, Any]] = {}
    base_url: ClassVar[str | None] = None
    model: ClassVar[str | None] = None
    cassettes: ClassVar[Path | None] = None
    fields: ClassVar[Mapping[str, Any]] = {}
    samples: ClassVar[Mapping[str, Any]] = {}
    left_out: ClassVar[Mapping[str, str]] = {}

    def bench(self, *pictures: bytes | None, **scene: Any) -> Bench:
        """The provider beside a new host, which gives out *pictures*."""
        host = self.host()
        host.scene = Scene(pictures=list(pictures or (png(1),)), **scene)
        return Bench(
            self.plugin,
            self.provider,
            host,
            settings=self.settings,
            base_url=self.base_url,
            model=self.model,
            fields=self.fields,
        )

    @property
    def able(self) -> Capabilities:
        """What the model can do, as the provider says."""
        return self.bench().able()

    @property
    def on_wire(self) -> bool:
        """Whether the provider makes requests; else its engine is in this process."""
        return self.bench().provider().endpoint is not None

    def not_applicable(self, why: str) -> NoReturn:
        """End a test that has nothing to look at, by the provider's own data."""
        raise unittest.SkipTest(why)

    def usual(self, operation: Operation | None = None) -> dict[str, Any]:
        """The fields of a plain request: of that *operation*, or of the first that there is."""
        if operation is None:
            able = self.able
            can = able.operations | able.emulates
            operation = next(one for one in ("generate", "edit", "variation") if one in can)
        if operation == "generate":
            return {"prompt": PROMPT}
        words = PROMPT if operation == "edit" else None
        return {"prompt": words, "images": [png(40)]}

    def ask(self, *, way: Way = "blocking", bench: Bench | None = None, **fields: Any) -> Reached:
        """What a call with those *fields*, on top of the usual ones, brought to the host."""
        bench = bench or self.bench()
        wanted = fields if "prompt" in fields else {**self.usual(), **fields}
        came = bench.ask(way=way, **wanted)
        return Reached(came, list(bench.host.asked))

    def reached(
        self, *, way: Way = "blocking", bench: Bench | None = None, **fields: Any
    ) -> Reached:
        """The same of a call that has to come off."""
        found = self.ask(way=way, bench=bench, **fields)
        assert found.came.response is not None, (
            f"a call with {_told(fields)} ended in {found.came.error!r}: its capabilities say that "
            "it can be asked so, and the host was willing"
        )
        return found

    def refused(self, why: str, *, kind: type[Exception] = ImagekitError, **fields: Any) -> str:
        """The message of the error that a call ends in before anything reached the host."""
        found = self.ask(**fields)
        error = found.came.error
        assert error is not None, f"a call with {_told(fields)} was not refused: {why}"
        assert isinstance(error, kind), (
            f"a call with {_told(fields)} ended in {error!r}, and not in {kind.__name__}: {why}"
        )
        assert not found.asked, (
            f"a call with {_told(fields)} was refused only after the host was asked: {why}"
        )
        return str(error)


def _hashed(image: Image) -> str:
    said = hashlib.sha256(image.data or b"").hexdigest()[:16]
    return f"{image.media_type} {image.width}x{image.height} {said}"


def _told(fields: Mapping[str, Any]) -> str:
    words = [f"{name}={str(value)[:60]!r}" for name, value in fields.items() if name != "prompt"]
    return ", ".join(words) or "nothing but a prompt"
