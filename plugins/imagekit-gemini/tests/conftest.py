"""The tests find what they share, which is theirs alone: `gemini_host`."""

from __future__ import annotations

import sys
from pathlib import Path

import alone  # noqa: F401

sys.path.insert(0, str(Path(__file__).parent))
