"""The provider of stable-diffusion.cpp's server keeps the rules that every provider keeps."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import ClassVar

import imagekit_sdcpp
from imagekit.testing import ProviderSuite

sys.path.insert(0, str(Path(__file__).parent))
from sdcpp_host import SdCppHost, unmarked  # only now


class TestSdCpp(ProviderSuite):
    plugin = imagekit_sdcpp
    provider = "sdcpp"
    host = SdCppHost
    samples: ClassVar = {"lora": {"detail.safetensors": 0.8}, "hires_scale": 1.5}

    def seen(self, data: bytes | None) -> object:
        """Every byte but the words that the server writes into each picture."""
        return unmarked(data or b"")
