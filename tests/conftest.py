from __future__ import annotations

import gc
import os
import tempfile
from collections.abc import Iterator

import hypothesis
import pytest

from alone import path_changed

# A server that is built once stays where the user's caches are.
_caches = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
os.environ.setdefault("IMAGEKIT_SDSERVER_CACHE", os.path.join(_caches, "imagekit-tests"))
# stevedore keeps a cache of entry points; it is not to be the user's own.
_cache = tempfile.TemporaryDirectory(prefix="imagekit-tests-")
os.environ["XDG_CACHE_HOME"] = _cache.name

# What is covered must not hang on a throw of dice.
hypothesis.settings.register_profile("same", derandomize=True, deadline=None)
hypothesis.settings.load_profile("same")

from toys import Driver, Server  # noqa: E402  # only now: it imports stevedore


@pytest.fixture(autouse=True)
def _path() -> Iterator[None]:
    """What a test changed is put back by now."""
    yield
    path_changed()


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["sync", "asyncio", "trio"])
def driver(request: pytest.FixtureRequest) -> Driver:
    """Both drivers, the async one on both of its libraries, behind one face."""
    return Driver(request.param)


@pytest.fixture
def server() -> Iterator[Server]:
    """A server on loopback that does as it is told; see `toys.Server`."""
    with Server() as running:
        yield running


def pytest_collection_finish() -> None:
    """All that was collected stays: no collection of garbage is to look through it again."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish() -> None:
    _cache.cleanup()
