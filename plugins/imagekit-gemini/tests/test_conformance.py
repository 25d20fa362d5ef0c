"""The provider against the standard tests."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import ClassVar

import imagekit_gemini
from imagekit.testing import ProviderSuite

sys.path.insert(0, str(Path(__file__).parent))

from gemini_host import GeminiHost  # only now


class TestGemini(ProviderSuite):
    plugin = imagekit_gemini
    provider = "gemini"
    host = GeminiHost
    samples: ClassVar = {
        "google_search": True,
        "safety_settings": {"HARM_CATEGORY_HARASSMENT": "BLOCK_ONLY_HIGH"},
        "generation_config": {"temperature": 0.5},
    }
