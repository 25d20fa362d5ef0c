"""Nothing of whoever runs the tests is read."""

from __future__ import annotations

import sys
from pathlib import Path

import alone  # noqa: F401

# What these tests share (diffusers_host) is theirs alone.
sys.path.insert(0, str(Path(__file__).parent))
