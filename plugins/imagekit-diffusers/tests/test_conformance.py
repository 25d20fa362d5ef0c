"""What every provider has to hold, of pipelines of diffusers."""

from __future__ import annotations

from typing import ClassVar

from diffusers_host import PipelineHost

import imagekit_diffusers
from imagekit.testing import ProviderSuite


class TestDiffusers(ProviderSuite):
    """In this process: the pipelines are given, and draw what the test has."""

    plugin = imagekit_diffusers
    provider = "diffusers"
    host = PipelineHost
    samples: ClassVar = {"scheduler": "OtherScheduler"}
