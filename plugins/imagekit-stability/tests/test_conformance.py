"""Stability's provider keeps the rules that every provider keeps, and so does each of its edits."""

from __future__ import annotations

import sys
from pathlib import Path

import imagekit_stability
from imagekit.testing import ProviderSuite

sys.path.insert(0, str(Path(__file__).parent))
from stability_host import StabilityHost  # only now


class TestStability(ProviderSuite):
    plugin = imagekit_stability
    provider = "stability"
    host = StabilityHost


class TestCore(TestStability):
    model = "stable-image-core"
