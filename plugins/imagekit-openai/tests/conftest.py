"""Cassettes: where they lie, what of a request must match, and what is never written down.

A module of tests with cassettes says in PROVIDER whose they are, and may say in ALWAYS what it asks
for each time.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

import alone  # noqa: F401
from ways import WAYS

# What these tests share (openai_wire) is theirs alone.
sys.path.insert(0, str(Path(__file__).parent))
from sources import PROVENANCE, ROOT, Asking, Source, home, makers  # only now


@pytest.fixture
def source(request: pytest.FixtureRequest) -> Source:
    """What the test's cassette is from; while it is recorded, the real thing."""
    marker = request.node.get_closest_marker("default_cassette")
    cassette = f"{request.module.PROVIDER}/{marker.args[0]}"
    recording = os.environ.get("IMAGEKIT_RECORD")
    if recording is None:
        name = PROVENANCE[cassette]["source"]
        return Source(name, home(name), "a-key-that-was-not-recorded")
    if recording not in makers(request):
        pytest.skip(f"not to be had of {recording}")
    url, key = os.environ["IMAGEKIT_RECORD_URL"], os.environ["IMAGEKIT_RECORD_KEY"]
    return Source(recording, url, key)


def _asking(request: pytest.FixtureRequest, source: Source) -> Asking:
    always = getattr(request.module, "ALWAYS", {})
    return Asking(request.param, source, request.module.PROVIDER, always)


@pytest.fixture(params=WAYS)
def ask(request: pytest.FixtureRequest, source: Source) -> Asking:
    return _asking(request, source)


@pytest.fixture(params=[way for way in WAYS if way.endswith("streamed")])
def watch(request: pytest.FixtureRequest, source: Source) -> Asking:
    """The same, of the ways that see events."""
    return _asking(request, source)


_begun: set[str] = set()


@pytest.fixture
def default_cassette_name(request: pytest.FixtureRequest) -> str:
    """The cassette's name; one that is recorded is begun anew, and holds what each way sends."""
    name = str(request.node.get_closest_marker("default_cassette").args[0])
    path = ROOT / "cassettes" / request.module.PROVIDER / name
    if os.environ.get("IMAGEKIT_RECORD") in makers(request) and name not in _begun:
        _begun.add(name)
        path.unlink(missing_ok=True)
    return name


@pytest.fixture(scope="module")
def vcr_cassette_dir(request: pytest.FixtureRequest) -> str:
    return str(ROOT / "cassettes" / getattr(request.module, "PROVIDER", "nobody"))


def _at_home(request: Any) -> Any:
    real = os.environ.get("IMAGEKIT_RECORD_URL")
    if real and request.uri.startswith(real):
        request.uri = home(os.environ["IMAGEKIT_RECORD"]) + request.uri.removeprefix(real)
        request.headers["host"] = "recorded"
    return request


def _scrubbed(response: dict[str, Any]) -> dict[str, Any]:
    dropped = (
        "set-cookie", "openai-organization", "openai-project", "date", "content-length", "server",
        "openai-processing-ms",
    )  # fmt: skip
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
