"""What every provider has to hold, of imagekit-diffusers around real pipelines."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Mapping
from copy import copy
from pathlib import Path
from typing import Any, ClassVar

import pytest
import tiny
import torch
from diffusers import (
    AutoPipelineForImage2Image,
    AutoPipelineForInpainting,
    AutoPipelineForText2Image,
)
from diffusers_host import PipelineHost

import imagekit_diffusers
from imagekit.testing import ProviderSuite

# Where a real pipeline may say something else than one that pretends, of which all is asked.
ASKED = (
    "test_each_way_asks_the_same_as_its_other_colour",
    "test_a_declared_option_reaches_the_wire",
    "test_masks_of_all_conventions_are_one_request",
    "test_more_than_one_request_may_make_are_split",
    "test_the_same_request_is_the_same_each_time",
)
FINDERS = {
    "text": AutoPipelineForText2Image,
    "image": AutoPipelineForImage2Image,
    "inpaint": AutoPipelineForInpainting,
}


@functools.cache
def pipelines() -> dict[str, Any]:
    """The tiny model's three pipelines."""
    with tempfile.TemporaryDirectory() as folder:
        first = tiny.pipeline(Path(folder))
    return {name: finder.from_pipe(first) for name, finder in FINDERS.items()}


def seeded(seed: int | None) -> Any:
    """As the plugin has it, but that nothing hangs on chance."""
    return torch.Generator("cpu").manual_seed(1234 if seed is None else seed)


class RealHost(PipelineHost):
    """Real pipelines, of which it is noted how they are called."""

    absent: ClassVar[Mapping[str, str]] = {
        **PipelineHost.absent,
        "pictures": "a real pipeline makes its own",
    }

    @property
    def settings(self) -> Mapping[str, Any]:
        made = {name: self._noting(name, pipe) for name, pipe in pipelines().items()}
        return {"pipelines": made, "generator": seeded}

    def _noting(self, name: str, pipe: Any) -> Any:
        kind, host = type(pipe), self

        @functools.wraps(kind.__call__)
        def called(self: Any, *, generator: Any, callback_on_step_end: Any, **how: Any) -> Any:
            scheduler = type(self.scheduler).__name__
            host.note(name, seed=generator.initial_seed(), scheduler=scheduler, **how)
            refused = host._drawn() is None
            also = {"generator": generator, "callback_on_step_end": callback_on_step_end}
            came = kind.__call__(self, **{"num_inference_steps": 4, **how, **also})
            came.nsfw_content_detected = [refused]
            return came

        found = copy(pipe)
        found.__class__ = type(kind.__name__, (kind,), {"__call__": called})
        return found


class RealDiffusers(ProviderSuite):
    """A Stable Diffusion of random weights."""

    plugin = imagekit_diffusers
    provider = "diffusers"
    host = RealHost
    fields: ClassVar = {"size": "32x32"}
    samples: ClassVar = {"scheduler": "EulerDiscreteScheduler", "steps": 3, "strength": 0.5}


@pytest.mark.parametrize("rule", ASKED)
def test_a_real_pipeline_holds_it(rule: str) -> None:
    getattr(RealDiffusers(), rule)()
