"""What becomes of an answer when something goes away: the client, the store, the server."""

from __future__ import annotations

import base64
import contextlib
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from imagekit.server import Limits
from serving import asked_and_left, serving
from spoken import httpx, near
from toys import patiently, picture

STREAM = {"prompt": "an otter", "stream": True, "partial_images": 1}


def test_a_link_that_cannot_be_kept_is_the_picture_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(provider="sketch", database=tmp_path / "kept.db") as server:
        with contextlib.closing(sqlite3.connect(tmp_path / "kept.db")) as file:
            file.execute("drop table kept")
        body = {"prompt": "an otter", "model": "dall-e-3", "size": "32x32"}
        [datum] = near.post(f"{server.url}/images/generations", json=body).json()["data"]
    assert base64.b64decode(datum["b64_json"]).startswith(b"\x89PNG")
    assert "could not be kept" in caplog.text


def test_a_stream_that_the_server_ends_says_so_in_an_event(gate: Any) -> None:
    with serving(register=gate.plugins, limits=Limits(grace=0.1)) as server:
        url = f"{server.url}/images/generations"
        with near.stream("POST", url, json=STREAM) as answer:
            lines = answer.iter_lines()
            assert next(lines) == "event: image_generation.partial_image"
            server.stop()
            rest = list(lines)
    assert "event: error" in rest
    assert "may have been charged" in rest[rest.index("event: error") + 1]


def test_a_stream_that_the_server_ends_before_it_began_has_a_status(gate: Any) -> None:
    with serving(register=gate.plugins, limits=Limits(grace=0.1)) as server:
        url = f"{server.url}/images/generations"
        body = {"prompt": "an otter", "stream": True}
        found: list[httpx.Response] = []

        def ask() -> None:
            found.append(near.post(url, json=body))

        asking = threading.Thread(target=ask)
        asking.start()
        assert gate.holds()
        server.stop()
        asking.join()
    assert found[0].status_code == 503
    assert found[0].headers["x-should-retry"] == "false"


def test_a_client_that_leaves_before_the_stream_begins_ends_the_work(gate: Any) -> None:
    with serving(register=gate.plugins, limits=Limits(hold=60)) as server:
        url = f"{server.url}/images/generations"
        asked_and_left(url, gate.holds, {"prompt": "an otter", "stream": True})
        assert patiently(gate.left.is_set)


def test_a_form_may_number_its_pictures() -> None:
    files = [(f"image[{place}]", (f"{place}.png", picture(place))) for place in range(2)]
    broken = [("image[7]", ("7.png", b"no picture"))]
    with serving(provider="sketch") as server:
        url, data = f"{server.url}/images/edits", {"prompt": "add a hat", "size": "32x32"}
        assert near.post(url, data=data, files=files).status_code == 200
        wrong = near.post(url, data=data, files=broken)
    assert wrong.json()["error"]["param"] == "image[0]"
