"""Heavy tests have an environment of their own (`python3 dev.py heavy`), and no network."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

# Before the libraries look at it: nothing here is fetched.
os.environ["HF_HUB_OFFLINE"] = "1"
HERE = Path(__file__).parent
PLUGIN = HERE.parents[1] / "plugins" / "imagekit-diffusers" / "tests"
sys.path[:0] = [str(HERE), str(PLUGIN)]


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The tiny pipeline, made once."""
    import tiny

    return tiny.pipeline(tmp_path_factory.mktemp("words"))


@pytest.fixture(scope="session")
def model(pipeline: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same as a folder that can be loaded."""
    folder = tmp_path_factory.mktemp("model")
    pipeline.save_pretrained(folder)
    return str(folder)
