"""The tests that every provider has to pass, driven by what it says of itself."""

from __future__ import annotations

import unittest
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, NoReturn

from .._capabilities import Capabilities
from ._bench import WAYS, Bench, png
from ._host import Host, Scene


class ProviderSuite:
    """The conformance tests; inherit them in a test module of your plugin, and say whose they are.

    * `plugin`: the module (or object) with `imagekit_provider`; `provider`: the name of its entry
      point; `host`: the class of its other side, a `Host`.
    * `settings`, `base_url`, `model`: what the provider is built with, and asked for.
    * `cassettes`: the folder of its recorded traffic, if it has any.
    * `left_out`: standard tests that do not hold for this provider, each with the written reason.

    The tests take nothing but `self`, so that pytest runs them, and `conforms` too.
    """

    plugin: ClassVar[Any]
    provider: ClassVar[str]
    host: ClassVar[type[Host]]
    settings: ClassVar[Mapping[str, Any]] = {}
    base_url: ClassVar[str | None] = None
    model: ClassVar[str | None] = None
    cassettes: ClassVar[Path | None] = None
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
        )

    @property
    def able(self) -> Capabilities:
        """What the model can do, as the provider says."""
        return self.bench().able()

    def not_applicable(self, why: str) -> NoReturn:
        """End a test that has nothing to look at, by the provider's own data."""
        raise unittest.SkipTest(why)

    def test_a_picture_comes_in_all_four_ways(self) -> None:
        """Blocking, async, whole and streamed give the same picture."""
        for way in WAYS:
            bench = self.bench(png(7))
            found = bench.ask(way=way).pictures()
            assert len(found.slots) == 1, f"{way}: {len(found.slots)} slots for one picture"
            assert found.image.data is not None, f"{way}: the picture has no bytes"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one conformance test ended."""

    test: str
    verdict: Literal["passed", "failed", "not applicable", "left out"]
    why: str = ""


def conforms(suite: type[ProviderSuite]) -> Iterator[Outcome]:
    """Run each test of *suite* here, without pytest."""
    for name in dir(suite):
        if not name.startswith("test_"):
            continue
        if name in suite.left_out:
            yield Outcome(name, "left out", suite.left_out[name])
            continue
        try:
            getattr(suite(), name)()
        except unittest.SkipTest as skipped:
            yield Outcome(name, "not applicable", str(skipped))
        except Exception as error:  # whatever a test raises is its verdict
            yield Outcome(name, "failed", f"{type(error).__name__}: {error}")
        else:
            yield Outcome(name, "passed")
