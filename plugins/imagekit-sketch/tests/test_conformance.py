"""The sketch provider passes what every provider has to pass."""

from __future__ import annotations

from typing import ClassVar

import imagekit_sketch
from imagekit.testing import Nobody, ProviderSuite


class TestSketch(ProviderSuite):
    """Words become pictures in this process."""

    plugin, provider, host = imagekit_sketch, "sketch", Nobody
    fields: ClassVar = {"size": "64x64"}
