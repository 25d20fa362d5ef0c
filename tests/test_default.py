from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import imagekit
from imagekit import ConfigurationError, Image, ImageRequest, _default
from toys import Inside, picture, plugins


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    _default._close()
    _default._settings = {}
    yield
    _default._close()
    _default._settings = {}


def toy(**more: Any) -> dict[str, Any]:
    return {"provider": "toy", "plugins": plugins(toy=Inside()), **more}


def test_the_verbs_work_without_a_client_of_ones_own() -> None:
    imagekit.configure(**toy())
    assert imagekit.generate("a cat").image.data == picture(5)
    assert imagekit.edit("a hat", picture()).ok
    assert imagekit.vary(picture()).ok
    assert imagekit.run(ImageRequest(prompt="a cat")).ok
    assert imagekit.open_image("a cat").read() == picture(5)
    with imagekit.stream("a cat") as stream:
        assert stream.finish().ok
    whole = Image(data=picture())
    assert imagekit.fetch(whole) is whole
    assert "variation" in imagekit.capabilities().operations
    assert "toy" in imagekit.providers()


def test_the_client_is_made_on_first_use_and_kept() -> None:
    assert _default._client is None
    assert _default.default() is _default.default()


def test_threads_get_one_client() -> None:
    start, found = threading.Barrier(8), []

    def get() -> None:
        start.wait()
        found.append(_default.default())

    threads = [threading.Thread(target=get) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(client) for client in found}) == 1


def test_configuring_replaces_the_client_and_closes_it() -> None:
    imagekit.configure(**toy())
    old = _default.default()
    (http,) = _opened(old)
    imagekit.configure(**toy(n=2))
    assert _default.default() is not old
    assert http.is_closed
    assert len(imagekit.generate("a cat").images) == 2


def _opened(client: imagekit.Client) -> list[Any]:
    from imagekit.provider import HttpRequest

    client._transport._client(HttpRequest("GET", "/"))
    return client._transport._ours


def test_what_is_configured_wrongly_changes_nothing() -> None:
    imagekit.configure(**toy())
    old = _default.default()
    with pytest.raises(ConfigurationError):
        imagekit.configure(colour="red")
    assert _default.default() is old


def test_a_client_that_was_dropped_is_made_again_as_configured() -> None:
    imagekit.configure(**toy(n=3))
    _default._forget()
    assert len(imagekit.generate("a cat").images) == 3


def test_forgetting_closes_nothing() -> None:
    imagekit.configure(**toy())
    (http,) = _opened(_default.default())
    _default._forget()
    assert not http.is_closed
    http.close()


def python(code: str, tmp_path: Path) -> str:
    path = os.pathsep.join((str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")))
    env = {**os.environ, "PYTHONPATH": path, "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


SETUP = """
import imagekit, os, sys
from imagekit import _default
from imagekit.provider import HttpRequest
from toys import Inside, plugins
imagekit.configure(provider="toy", plugins=plugins(toy=Inside()))
http = _default.default()._transport._client(HttpRequest("GET", "/"))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_process_makes_a_client_of_its_own_and_leaves_its_parents_open(
    tmp_path: Path,
) -> None:
    code = """
_default._lock.acquire()  # another thread of the parent may hold it just then
parent = _default._client
child = os.fork()
if not child:
    assert _default._client is None and _default.default() is not parent
    assert imagekit.generate("a cat").ok and not http.is_closed
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
_default._lock.release()
assert _default.default() is parent
print("forked")
"""
    assert python(SETUP + code, tmp_path) == "forked\n"


def test_the_client_is_closed_at_exit(tmp_path: Path) -> None:
    code = """
close = http.close
http.close = lambda: (close(), print("closed", flush=True))
"""
    assert python(SETUP + code, tmp_path) == "closed\n"


def test_where_there_is_no_fork_there_is_nothing_to_forget(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(os, "register_at_fork", raising=False)
    again = importlib.util.spec_from_file_location("imagekit._again", _default.__file__)
    assert again is not None
    assert again.loader is not None
    module = importlib.util.module_from_spec(again)
    again.loader.exec_module(module)
    assert module.default() is module.default()
    module._close()
