"""The `stability-ai` package from npm against the fake that our own provider is tested with.

What it sends for a wish is what our provider sends for the same wish, field by field.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import npm
import pytest
from tally import Judge

import imagekit
from imagekit.testing import Asked, Scene
from toys import picture

sys.path.insert(0, str(Path(__file__).parents[2] / "plugins/imagekit-stability/tests"))
from stability_host import StabilityHost  # only now

pytestmark = pytest.mark.real

JUDGE = Judge("the stability-ai npm package beside our provider, against the fake of both")
PACKAGES = {"stability-ai": "0.7.0"}
WORDS = "a café on a cliff"
PICTURE, MASK = picture(9, 64, 64), picture(255, 64, 64)
SAID = {"negative_prompt": "people", "seed": 11, "output_format": "png"}
EDIT = {"images": [PICTURE]}
MASKED = {**EDIT, "mask": imagekit.Mask(MASK, edit_where="white")}


def own(**options: Any) -> dict[str, Any]:
    return {"options": {"stability": options}}


WISHES: Mapping[str, Mapping[str, Any]] = {
    "ultra": {"model": "stable-image-ultra", "size": "16:9", **SAID},
    "core": {"model": "stable-image-core", "size": "16:9", **SAID},
    "sd3": {"size": "16:9", **SAID},
    "image-to-image": {**EDIT, **SAID, **own(strength=0.4)},
    "inpaint": {**MASKED, **SAID},
    "erase": {"model": "erase", **MASKED, "seed": 11, "output_format": "png"},
    "outpaint": {"model": "outpaint", **EDIT, "seed": 11, **own(left=64, down=32)},
    "search-and-replace": {
        "model": "search-and-replace",
        **EDIT,
        **SAID,
        **own(search_prompt="a dog"),
    },
    "remove-background": {
        "model": "remove-background",
        **EDIT,
        "output_format": "webp",
        "prompt": None,
    },
}


@contextmanager
def served(host: StabilityHost) -> Iterator[str]:
    """The host on loopback."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self._body()
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = host.reply(Asked("POST", f"http://localhost{self.path}", headers, body))
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(answer.body)))  # type: ignore[union-attr]
            self.end_headers()
            self.wfile.write(answer.body)  # type: ignore[union-attr]

        def _body(self) -> bytes:
            if "content-length" in self.headers:
                return self.rfile.read(int(self.headers["content-length"]))
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def told(asked: Asked) -> tuple[str, Mapping[str, str], Mapping[str, bytes], str]:
    """Where it went, its fields, its files, and who was said to ask."""
    files = {one.name: one.data for one in asked.files()}
    return asked.path, asked.fields(), files, asked.headers["authorization"]


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], list[Asked]]:
    """What their client made of each answer, and what it had asked."""
    why = npm.available(PACKAGES)
    if why is None:
        try:
            installed = npm.install(PACKAGES)
        except npm.OfflineError:
            why = "It is not installed yet, and npm does not reach its registry."
    if why is not None:
        JUDGE.absent(why)
    folder = tmp_path_factory.mktemp("stability")
    (folder / "picture.png").write_bytes(PICTURE)
    (folder / "mask.png").write_bytes(MASK)
    host = StabilityHost()
    host.scene = Scene(pictures=[PICTURE])
    with served(host) as here:
        said = {"here": here, "words": WORDS, "picture": str(folder / "picture.png")}
        said["mask"] = str(folder / "mask.png")
        done = subprocess.run(
            ["node", "--input-type=module", "-", json.dumps(said)],
            input=(Path(__file__).parent / "npm_clients/stability.mjs").read_text("utf-8"),
            cwd=installed.folder,
            env={"PATH": os.environ["PATH"], "TMPDIR": str(folder)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), host.asked


@pytest.mark.parametrize("wish", WISHES)
def test_both_ask_for_the_same(wish: str, theirs: tuple[dict[str, Any], list[Asked]]) -> None:
    read, asked = theirs
    host = StabilityHost()
    host.scene = Scene(pictures=[PICTURE])
    with served(host) as here:
        settings: dict[str, Any] = {"api_key": "a-key", "env": {}, "config": False}
        where = f"{here}/v2beta/stable-image"
        with imagekit.Client(provider="stability", base_url=where, **settings) as client:
            response = client.run(imagekit.ImageRequest(**{"prompt": WORDS, **WISHES[wish]}))
    with JUDGE.asked():
        assert told(host.asked[0]) == told(asked[list(WISHES).index(wish)])
    with JUDGE.asked():
        assert read[wish]["filtered"] is False
        assert response.image.data == PICTURE
        assert response.image.seed == read[wish]["seed"]


def test_their_client_reads_a_filtered_picture_as_we_do() -> None:
    """The fake says it in a 200, in the header that goes with raw bytes."""
    host = StabilityHost()
    host.scene = Scene(pictures=[None])
    with (
        served(host) as here,
        imagekit.Client(
            provider="stability", base_url=here, api_key="a-key", env={}, config=False
        ) as client,
        pytest.raises(imagekit.ContentRejectedError) as caught,
    ):
        client.generate(WORDS)
    assert caught.value.stage == "output"
