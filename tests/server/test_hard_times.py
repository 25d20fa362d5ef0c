"""What strangers may try, and what breaks by itself: the server goes on, and nothing is lost."""

from __future__ import annotations

import io
import json
import os
import signal
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from PIL import Image as Pillow
from starlette.testclient import TestClient

import imagekit
from imagekit import AsyncClient, Image, ImageReady, ImageResponse
from imagekit.provider import Endpoint, emit
from imagekit.server import Limits, create_app
from imagekit.server._serve import _Server
from imagekit.server._store import MemoryStore, SQLiteStore
from serving import serving
from spoken import httpx, near
from toys import Inside, Plugged, Scripted, patiently, picture

TOOL = {"type": "image_generation"}
TALK = {"model": "m", "input": "an otter", "tools": [TOOL]}


def png(width: int, height: int) -> bytes:
    out = io.BytesIO()
    Pillow.new("L", (width, height)).save(out, "PNG")
    return out.getvalue()


def edited(url: str, *pictures: bytes) -> httpx.Response:
    files = [("image[]", ("a.png", data)) for data in pictures]
    return near.post(f"{url}/images/edits", data={"prompt": "a hat"}, files=files)


def test_the_pixels_of_a_request_are_counted_together() -> None:
    limits = Limits(pixels=10_000, all_pixels=15_000)
    with serving(provider="sketch", limits=limits) as server:
        assert edited(server.url, png(100, 100)).status_code == 200
        alone = edited(server.url, png(100, 101)).json()["error"]
        both = edited(server.url, png(100, 100), png(100, 100)).json()["error"]
    assert alone["code"] == both["code"] == "image_too_large"
    assert "together" in both["message"]


def test_a_picture_whose_size_nobody_can_read_is_refused() -> None:
    head = b"\xff\xd8\xff\xe0" + struct.pack(">H", 4) + b"ab" + b"junk"
    with serving(provider="sketch") as server:
        error = edited(server.url, head).json()["error"]
    assert (error["code"], error["param"]) == ("invalid_image_file", "image[0]")


def test_what_all_requests_bring_is_bounded() -> None:
    with serving(provider="sketch", limits=Limits(body=10_000, bodies=5000)) as server:
        long = near.post(f"{server.url}/images/generations", json={"prompt": "x" * 6000})
        short = near.post(f"{server.url}/images/generations", json={"prompt": "x"})
    assert (long.status_code, short.status_code) == (429, 200)


@pytest.mark.parametrize("how", ["input", "message", "instructions"])
def test_a_conversation_has_an_end(how: str) -> None:
    words = "x" * 1_000_001
    asked = {
        "input": {"input": words},
        "message": {"input": [{"role": "user", "content": words}]},
        "instructions": {"instructions": words},
    }[how]
    with serving(provider="sketch") as server:
        answer = near.post(f"{server.url}/responses", json={**TALK, **asked})
    assert answer.json()["error"]["code"] == "string_above_max_length"


class Engine(Inside):
    """Lives somewhere, and takes links."""

    endpoint = Endpoint("https://engine.test:8443/v1")  # type: ignore[assignment]

    def capabilities(self, model: str | None) -> imagekit.Capabilities:
        return imagekit.Capabilities(operations=frozenset({"edit"}), inputs=frozenset({"url"}))


@pytest.mark.parametrize(
    "link", ["https://engine.test:8443/admin", "https://user:word@pictures.test/a.png"]
)
def test_a_link_does_not_lead_to_the_provider_itself_nor_carries_a_password(link: str) -> None:
    client = AsyncClient(provider="engine", env={})
    client.plugins.register(Plugged(Engine()), "engine")
    part = {"type": "input_image", "image_url": link}
    words = {"type": "input_text", "text": "a hat"}
    asked = {**TALK, "input": [{"role": "user", "content": [words, part]}]}
    body = {"prompt": "a hat", "images": [{"image_url": link}]}
    with serving(client=client, provider="engine") as server:
        answers = [
            near.post(f"{server.url}/images/edits", json=body),
            near.post(f"{server.url}/responses", json=asked),
        ]
    assert [one.json()["error"]["code"] for one in answers] == ["invalid_image_url"] * 2


def scripted(flow: Any, **settings: Any) -> Any:
    return serving(register={"toy": Plugged(Scripted(flow, streaming=True))}, **settings)


@pytest.mark.parametrize("how", [{}, {"stream": True}, {"background": True}])
def test_what_nobody_foresaw_ends_a_response_all_the_same(how: dict[str, Any]) -> None:
    def flow(request: Any) -> Any:
        known = {
            "media_type": "image/png",
            "width": 1,
            "height": 1,
            "url": None,
            "expires_at": None,
        }
        image = Image.model_construct(data=picture(), echo=None, **known)
        yield from emit(ImageReady.model_construct(kind="image-ready", index=0, image=image))
        return ImageResponse.model_construct(slots=(image,), notices=(), request_ids=())

    with scripted(flow) as server:
        answer = near.post(f"{server.url}/responses", json={**TALK, **how})
        if "stream" in how:
            assert answer.text.rstrip().rpartition("event: ")[2].startswith("response.failed")
        elif "background" in how:
            url = f"{server.url}/responses/{answer.json()['id']}"
            assert patiently(lambda: near.get(url).json()["status"] == "failed")
        else:
            assert answer.status_code == 500


def test_half_a_character_breaks_no_answer() -> None:
    def flow(request: Any) -> Any:
        image = Image.model_construct(
            data=picture(), media_type="image/png", width=1, height=1, revised_prompt="\ud83d"
        )
        return ImageResponse.model_construct(slots=(image,), notices=(), request_ids=())
        yield

    with scripted(flow) as server:
        answer = near.post(f"{server.url}/images/generations", json={"prompt": "x"})
    assert answer.status_code == 200
    assert answer.json()["data"][0]["revised_prompt"] == "\ud83d"


def test_a_picture_that_was_kept_too_long_ago_is_told_to_be_gone() -> None:
    with serving(provider="sketch", limits=Limits(stored=40_000)) as server:
        tool = {**TOOL, "size": "64x64"}
        ids = [
            near.post(f"{server.url}/responses", json={**TALK, "tools": [tool]}).json()["id"]
            for _ in range(8)
        ]
        told = [near.get(f"{server.url}/responses/{id}") for id in ids]
    gone = [one.json()["output"][0] for one in told if one.status_code == 200]
    states = {(item["status"], item["result"] is None) for item in gone}
    assert states <= {("completed", False), ("failed", True)}
    assert ("completed", False) in states


def test_what_a_call_comes_to_in_the_background_is_logged(log: Any) -> None:
    with serving(provider="sketch") as server:
        asked = {**TALK, "background": True, "tools": [{**TOOL, "size": "512x512"}]}
        answer = near.post(f"{server.url}/responses", json=asked).json()
        line = log.one(event="call ended")
    assert (line["response"], line["images"]) == (answer["id"], 1)


def test_nothing_that_a_provider_says_makes_a_line_of_the_log(log: Any) -> None:
    def flow(request: Any) -> Any:
        raise imagekit.AuthenticationError('no\n{"time": "2026", "id": "req_forged"}\x1b[2J')
        yield

    with scripted(flow) as server:
        near.post(f"{server.url}/images/generations", json={"prompt": "x"})
    lines = log.text.splitlines()
    assert not any(line.startswith('{"time": "2026", "id": "req_forged"') for line in lines)
    assert "\x1b" not in log.text


@pytest.mark.parametrize("database", [None, "kept.db"])
def test_an_application_can_begin_again(database: str | None, tmp_path: Path) -> None:
    app = create_app(provider="sketch", database=database and tmp_path / database)
    for _ in range(2):
        with TestClient(app) as web:
            body = {"prompt": "x", "size": "32x32"}
            assert web.post("/v1/images/generations", json=body).status_code == 200
            assert web.get("/v1/files").status_code == 200


def test_a_second_signal_ends_the_calls_and_tells_who_waits(gate: Any) -> None:
    said: list[str] = []
    client = gate.client
    app = create_app(client)
    server = _Server(uvicorn.Config(app, log_level="error"), app, said.append)
    from imagekit.server._serve import bound

    listening = bound("127.0.0.1", 0)
    url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1/images/generations"
    answers: list[httpx.Response] = []

    def visit() -> None:
        asking = threading.Thread(
            target=lambda: answers.append(near.post(url, json={"prompt": "x"}, timeout=60))
        )
        patiently(lambda: server.started, 60)
        asking.start()
        gate.holds()
        for count in (1, 2):
            os.kill(os.getpid(), signal.SIGTERM)
            patiently(lambda count=count: server._signals >= count)
        asking.join()

    visiting = threading.Thread(target=visit)
    visiting.start()
    server.run(sockets=[listening])
    visiting.join()
    listening.close()
    assert (answers[0].status_code, answers[0].headers["x-should-retry"]) == (503, "false")
    assert said == ["finishing 1 calls, 600 seconds at most; once more ends them"]
    assert not server.force_exit


@pytest.mark.parametrize("kind", ["memory", "file"])
def test_a_store_counts_as_it_goes(kind: str, tmp_path: Path) -> None:
    now = [0.0]
    store = (
        MemoryStore(100, lambda: now[0])
        if kind == "memory"
        else SQLiteStore(tmp_path / "kept.db", 100, lambda: now[0])
    )
    for place in range(5):
        now[0] += 1
        store.put("a", str(place), "me", b"x" * 30, seconds=10)
    assert store.ids("a", "me") == ["2", "3", "4"]
    store.put("a", "4", "me", b"y" * 90, seconds=10)
    assert store.ids("a", "me") == ["4"]
    assert store.delete("a", "4", "me")
    assert not store.delete("a", "4", "me")
    store.put("a", "5", "me", b"z" * 100, seconds=10)
    now[0] += 11
    store.put("a", "6", "me", b"z" * 100, seconds=10)
    assert store.ids("a", "me") == ["6"]
    store.close()


def test_files_are_listed_as_asked() -> None:
    with serving(provider="sketch") as server:
        made = []
        for purpose in ("vision", "user_data", "vision"):
            data = {"purpose": purpose, "expires_after[anchor]": "created_at"}
            data["expires_after[seconds]"] = "3600"
            files = {"file": ("a.png", png(8, 8))}
            about = near.post(f"{server.url}/files", data=data, files=files).json()
            assert about["expires_at"] - about["created_at"] == 3600
            made.append(about["id"])

        def listed(**query: Any) -> Any:
            said = near.get(f"{server.url}/files", params=query).json()
            return [one["id"] for one in said["data"]], said["has_more"]

        assert listed() == (made[::-1], False)
        assert listed(order="asc", limit=2) == (made[:2], True)
        assert listed(order="asc", after=made[1]) == (made[2:], False)
        assert listed(purpose="user_data") == ([made[1]], False)
        wrong = near.get(f"{server.url}/files", params={"limit": "0"}).json()["error"]
        assert (wrong["param"], wrong["code"]) == ("limit", "integer_below_min_value")


def test_the_model_beside_the_tool_stands_in_for_the_tools() -> None:
    with serving(models={"a": "sketch:sketch-1", "b": "sketch:other"}) as server:
        answers = [
            near.post(f"{server.url}/responses", json={**TALK, "model": model})
            for model in ("a", "c")
        ]
    assert [one.status_code for one in answers] == [200, 400]
    assert answers[1].json()["error"]["param"] == "model"


def test_settings_belong_to_the_only_provider_that_is_named() -> None:
    words = ["-m", "*=openai-images:", "--base-url", "http://127.0.0.1:9/v1", "--port", "70000"]
    done = subprocess.run(
        [sys.executable, "-m", "imagekit", "serve", *words], capture_output=True, text=True
    )
    assert "belong to one provider" not in done.stderr
    app = create_app(models={"*": "openai-images:"}, base_url="http://127.0.0.1:9/v1", env={})
    body = json.dumps({"prompt": "x"}).encode()
    with TestClient(app) as web:
        head = {"content-type": "application/json"}
        answer = web.post("/v1/images/generations", content=body, headers=head)
    assert answer.status_code == 503
