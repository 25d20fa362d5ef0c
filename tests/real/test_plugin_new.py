"""The four commands of a new plugin, as printed: a clean environment, wheels, pip, a picture."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pillow

from imagekit.testing import Asked, Host, Streamed

ROOT = Path(__file__).resolve().parents[2]
BASE = getattr(sys, "_base_executable", None) or sys.executable
PIP = [BASE, "-m", "pip", "--disable-pip-version-check", "-q"]

pytestmark = pytest.mark.real


def run(*command: str | Path, cwd: Path, **env: str) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an environment of its own, in which the built wheels are installed."""
    there = tmp_path_factory.mktemp("desk")
    for project in (ROOT, ROOT / "plugins" / "imagekit-openai"):
        # From a copy: a build leaves nothing where others work.
        copy = there / "sources" / project.name
        shutil.copytree(project / "src", copy / "src")
        for name in ("pyproject.toml", "README.md"):
            shutil.copy(project / name, copy)
        shutil.copy(ROOT / "LICENSE", copy)
        run(*PIP, "wheel", "--no-deps", "-w", there / "wheels", copy, cwd=there)
    (core,) = (there / "wheels").glob("imagekit-0*.whl")
    (dialect,) = (there / "wheels").glob("imagekit_openai-*.whl")
    run(BASE, "-m", "venv", "--without-pip", there / "venv", cwd=there)
    wanted = ["pip", "pytest", f"{core}[cli,images]", str(dialect)]
    run(*PIP, "--python", there / "venv/bin/python", "install", *wanted, cwd=there)
    return there


@contextmanager
def served(host: Host) -> Iterator[str]:
    """A generated plugin's own host, on loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = host.reply(Asked("POST", f"http://127.0.0.1{self.path}", headers, body))
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            for piece in reply.pieces if isinstance(reply, Streamed) else (reply.body,):
                self.wfile.write(piece)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        finally:
            server.shutdown()
            thread.join()


class Late(Host):
    """A host that is written after its address is known."""

    real: Any = None

    def reply(self, asked: Asked) -> Any:
        return self.real.reply(asked)


@contextmanager
def nobody(desk: Path) -> Iterator[tuple[str, ...]]:
    yield ()


@contextmanager
def acme(desk: Path) -> Iterator[tuple[str, ...]]:
    """The host in the tests that `--http` writes."""
    late = Late()
    with served(late) as url, pytest.MonkeyPatch.context() as patch:
        folder = desk / "imagekit-acme-http"

        class Real:
            def reply(self, asked: Asked) -> Any:
                patch.syspath_prepend(folder / "src")
                path = folder / "tests" / "test_conformance.py"
                spec = spec_from_file_location("acme_conformance", path)
                assert spec is not None
                assert spec.loader is not None
                module = module_from_spec(spec)
                spec.loader.exec_module(module)
                host = module.Fake()
                with Pillow.new("RGB", (64, 64), "red") as picture:
                    picture.save(desk / "red.png")
                host.scene.pictures = [(desk / "red.png").read_bytes()]
                return host.reply(asked)

        late.real = Real()
        yield ("--http", url)


@contextmanager
def imagekits_own(desk: Path) -> Iterator[tuple[str, ...]]:
    """Our own server, which speaks the Images API."""
    command = [sys.executable, "-m", "imagekit", "serve", "-p", "sketch", "--port", "0"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr is not None
        line = server.stderr.readline()
        yield ("--row", f"{line.split()[2].rstrip('/;').removesuffix('/v1')}/v1")
    finally:
        server.terminate()
        server.communicate(timeout=30)


@pytest.mark.parametrize(
    ("name", "host"),
    [("acme", nobody), ("acme-http", acme), ("acme-row", imagekits_own)],
    ids=["engine", "http", "row"],
)
def test_four_commands_make_a_plugin_and_a_picture(name: str, host: Any, desk: Path) -> None:
    tools = desk / "venv" / "bin"
    env = {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": ""}
    folder = desk / f"imagekit-{name}"
    with host(desk) as words:
        said = run(tools / "imagekit", "plugin", "new", name, *words, cwd=desk, **env)
        steps = [line.strip() for line in said.partition("next:\n")[2].splitlines()]
        assert len(steps) == 3
        told = [run("sh", "-c", step, cwd=desk, **env) for step in steps]
        assert " 0 left out, 0 failed\n" in told[1]
        (picture,) = desk.glob("a-*-bicycle*.png")
        with Pillow.open(picture) as opened:
            assert min(opened.size) >= 64
        picture.unlink()
    if not words:
        assert " passed" in run(tools / "pytest", "-q", f"imagekit-{name}", cwd=desk, **env)
    run(sys.executable, "-m", "mypy", "--cache-dir", desk / "mypy", "--strict", "src", cwd=folder)
