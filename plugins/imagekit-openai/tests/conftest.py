"""Cassettes: where they lie, what of a request must match, and what is never written down."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest

# What these tests share (openai_wire) is theirs alone.
sys.path.insert(0, str(Path(__file__).parent))
ROOT = Path(__file__).parents[3]
# Where a recorded server pretends to be, whatever port it really had.
SD_SERVER = "http://sd-server.invalid/v1"


@pytest.fixture(scope="session")
def sd_server_url() -> str:
    """The server to talk to: the recorded one, or while recording the real one."""
    return os.environ.get("IMAGEKIT_RECORD_URL", SD_SERVER)


@pytest.fixture(scope="module")
def vcr_cassette_dir(request: pytest.FixtureRequest) -> str:
    return str(ROOT / "cassettes" / getattr(request.module, "PROVIDER", "nobody"))


def _at_home(request: Any) -> Any:
    real = os.environ.get("IMAGEKIT_RECORD_URL")
    if real and request.uri.startswith(real):
        parts, home = urlsplit(request.uri), urlsplit(SD_SERVER)
        request.uri = urlunsplit((home.scheme, home.netloc, parts.path, parts.query, ""))
    return request


def _scrubbed(response: dict[str, Any]) -> dict[str, Any]:
    dropped = ("set-cookie", "openai-organization", "openai-project", "date", "content-length")
    response["headers"] = {
        name: value
        for name, value in response["headers"].items()
        if name.lower() not in dropped and not name.lower().startswith(("cf-", "access-control-"))
    }
    return response


@pytest.fixture(scope="module")
def vcr_config() -> dict[str, Any]:
    return {
        "match_on": ["method", "scheme", "host", "path", "query", "body"],
        "filter_headers": [("authorization", "REDACTED"), ("user-agent", "imagekit")],
        "ignore_hosts": [],
        "before_record_request": _at_home,
        "before_record_response": _scrubbed,
        "decode_compressed_response": True,
        "allow_playback_repeats": True,
    }
