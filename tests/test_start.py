"""What is imported when: a door that loads little, and a call that loads what it needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

# One process, in steps; after each it says which modules it has, and which classes are built.
PROGRAM = """
import json, sys
bare = set(sys.modules)
import imagekit
door = set(sys.modules) - bare
client = imagekit.Client(env={}, config=False)
ready = set(sys.modules)
client.generate("a cat", provider="sketch", size="8x8").image
made = set(sys.modules)
other = imagekit.Client(provider="openai-images", api_key="k", env={}, config=False)
other.plan("a cat")
planned = set(sys.modules)
client.close(), other.close()
built = [one.__name__ for one in (imagekit.ImageRequest, imagekit.Manifest, imagekit.Job)
         if one.__pydantic_complete__]
print(json.dumps([*map(sorted, (door, ready, made, planned)), built]))
"""
HEAVY = {"pydantic", "httpx", "httpx2", "stevedore", "pluggy", "anyio", "asyncio", "email", "ssl"}
# What only the async client, the command line, the server, a cache or a file of settings needs.
NOT_FOR_A_CALL = {
    "asyncio",
    "click",
    "rich",
    "starlette",
    "uvicorn",
    "python_multipart",
    "pydantic_settings",
    "hishel",
    "opentelemetry",
    "keyring",
    "sqlite3",
    "imagekit._beside",
    "imagekit._cache",
    "imagekit._cli",
    "imagekit.server",
    "imagekit.testing",
    "imagekit._settings",
}


@pytest.fixture(scope="module")
def steps() -> list[set[str]]:
    """The modules after `import imagekit`, a client, a call and a plan; and which are built."""
    kept = {name: one for name, one in os.environ.items() if not name.startswith("COV")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        check=False,
        env=kept,
        cwd=Path(__file__).parent,
    )
    assert done.returncode == 0, done.stderr
    return [set(step) for step in json.loads(done.stdout)]


def test_the_door_loads_next_to_nothing(steps: list[set[str]]) -> None:
    own = {name for name in steps[0] if name.partition(".")[0] == "imagekit"}
    assert own <= {"imagekit", "imagekit._clash", "imagekit._version"}
    assert not HEAVY & steps[0]
    assert len(steps[0]) < 40


def test_a_client_and_a_call_load_what_they_need(steps: list[set[str]]) -> None:
    _, ready, made, planned, _ = steps
    # The library is there before the first call, which is waited for.
    assert {"httpx", "httpx2"} & ready
    # The older library brings a command line of its own, where what that needs is installed.
    theirs = {"click", "rich"} if "httpx" in made else set()
    assert not NOT_FOR_A_CALL - theirs & made
    assert not NOT_FOR_A_CALL - theirs & planned
    assert not {name for name in ready if name.startswith("imagekit_")}
    assert not {name for name in made if name.startswith("imagekit_openai")}


def test_a_plugin_loads_what_most_do_without_when_it_is_asked_for(steps: list[set[str]]) -> None:
    planned = steps[3]
    assert "imagekit_openai.images" in planned
    assert not {"imagekit_openai.compatible", "imagekit_openai._row"} & planned
    assert not {"imagekit_openai.responses", "imagekit_openai._responses_answer"} & planned
    assert not {"imagekit_openai._batches", "imagekit_openai._beside_answer"} & planned


def test_a_value_is_built_when_it_is_needed(steps: list[set[str]]) -> None:
    from imagekit._value import DEFERS

    built = steps[4]
    assert "ImageRequest" in built
    assert ("Manifest" in built) is not DEFERS


def test_the_command_line_loads_what_its_command_needs() -> None:
    program = "import sys, imagekit._cli._main; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert not {*HEAVY, "unittest", "socket", "rich", "importlib.metadata"} & {*done.stdout.split()}


def test_a_call_of_the_command_line_loads_what_it_needs(tmp_path: Path) -> None:
    program = """
import atexit, gc, sys
from imagekit._cli import main
atexit.register(lambda: print(*sys.modules, gc.get_freeze_count() > 0, file=sys.stderr))
main(["generate", "a cat", "-p", "sketch", "--size", "8x8", "-o", "cat.png"])
"""
    # What is registered later runs earlier.
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert (tmp_path / "cat.png").exists()
    *loaded, frozen = done.stderr.split()
    # The output goes to no terminal; and the older library brings what it brings.
    assert "httpx" in loaded or "rich" not in loaded
    assert not {"unittest", "starlette", "imagekit.server"} & {*loaded}
    assert frozen == "True"


def test_what_is_installed_is_listed_without_what_makes_pictures() -> None:
    program = """
import atexit, sys
from imagekit._cli import main
atexit.register(lambda: print(*sys.modules, file=sys.stderr))
main(["providers"])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "sketch" in done.stdout
    wanted = {"pydantic", "httpx", "httpx2", "anyio", "asyncio", "imagekit._hookspecs"}
    assert not wanted & {*done.stderr.split()}
