"""Our server under 200 clients that all stream at once, and ended while they do."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from imagekit.provider import EventDecoder
from serving import EXACT
from spoken import httpx

CLIENTS = 200
SIDE = "32x32"
IMAGES: tuple[str, dict[str, Any]] = (
    "/images/generations",
    {"prompt": "an otter", "size": SIDE, "stream": True, "partial_images": 2},
)
RESPONSES: tuple[str, dict[str, Any]] = (
    "/responses",
    {
        "model": "m",
        "input": "an otter",
        "stream": True,
        "store": False,
        "tools": [{"type": "image_generation", "size": SIDE, "partial_images": 2}],
    },
)
# What a whole stream says, in its order.
WHOLE = {
    IMAGES[0]: [
        "image_generation.partial_image",
        "image_generation.partial_image",
        "image_generation.completed",
    ],
    RESPONSES[0]: [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.image_generation_call.in_progress",
        "response.image_generation_call.generating",
        "response.image_generation_call.partial_image",
        "response.image_generation_call.partial_image",
        "response.image_generation_call.completed",
        "response.output_item.done",
        "response.completed",
    ],
}


@contextmanager
def served(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`imagekit serve` in a process of its own, and its base URL."""
    words = ["serve", "-p", "sketch", "--port", "0", "--quiet", *options]
    server = subprocess.Popen(
        [sys.executable, "-m", "imagekit", *words],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **EXACT},
    )
    try:
        assert server.stderr is not None
        line = server.stderr.readline()
        yield server, line.removeprefix("serving on ").partition(";")[0]
    finally:
        server.terminate()
        server.communicate(timeout=60)


def memory(process: subprocess.Popen[str]) -> int:
    """The bytes of it that are in memory."""
    status = Path(f"/proc/{process.pid}/status")
    if not status.exists():
        pytest.skip("how much memory another process holds is not told here")
    [line] = [one for one in status.read_text().splitlines() if one.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024


async def streamed(client: httpx.AsyncClient, what: tuple[str, dict[str, Any]]) -> Any:
    """The events of one stream and its pictures, or the status of an answer that is none."""
    path, body = what
    decoder, events = EventDecoder(), []
    async with client.stream("POST", path, json=body) as answer:
        if answer.status_code != 200:
            return answer.status_code
        async for piece in answer.aiter_raw():
            events += [event.json() for event in decoder.feed(piece)]
    return events


def pictures(events: list[dict[str, Any]]) -> list[bytes]:
    """What each of the events that bring a picture brings."""
    found = []
    for event in events:
        item = event.get("item") or {}
        data = event.get("b64_json") or event.get("partial_image_b64") or item.get("result")
        found += [base64.b64decode(data)] if data else []
    return found


async def wave(url: str, what: tuple[str, dict[str, Any]]) -> list[Any]:
    """What each of the clients saw, all at once."""
    seen: list[Any] = []
    bounds = httpx.Limits(max_connections=CLIENTS)

    async def one(client: httpx.AsyncClient) -> None:
        seen.append(await streamed(client, what))

    client = httpx.AsyncClient(base_url=url, limits=bounds, timeout=120)
    async with client, anyio.create_task_group() as group:
        for _ in range(CLIENTS):
            group.start_soon(one, client)
    return seen


def test_two_hundred_streams_lose_nothing_and_leave_nothing_behind(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with served("--concurrent", str(CLIENTS)) as (server, url):
        held, took = [], []
        for _ in range(4):
            for what in (IMAGES, RESPONSES):
                began = time.monotonic()
                seen = anyio.run(wave, url, what)
                took.append(time.monotonic() - began)
                assert len(seen) == CLIENTS
                assert all([event["type"] for event in one] == WHOLE[what[0]] for one in seen)
                # The same words, the same picture.
                assert len({tuple(pictures(one)) for one in seen}) == 1
                assert len(set(pictures(seen[0]))) == 3
            held.append(memory(server))
    # The first waves fill what is kept for the next ones: threads, buffers, caches.
    assert held[-1] < held[1] * 1.15
    with capsys.disabled():
        sizes = ", ".join(f"{size / 2**20:.0f}" for size in held)
        rate = CLIENTS * len(took) / sum(took)
        print(f"\n{CLIENTS} streams at once, {len(took)} waves: {rate:.0f} a second; MB: {sizes}")


async def ended_meanwhile(server: subprocess.Popen[str], url: str) -> list[Any]:
    """What clients saw of a server that is told to stop once half of them see something."""
    seen: list[Any] = []
    begun = 0

    async def one(client: httpx.AsyncClient) -> None:
        nonlocal begun
        path, body = IMAGES
        decoder, events, answered, heard = EventDecoder(), [], False, False
        try:
            async with client.stream("POST", path, json=body) as answer:
                answered = True
                if answer.status_code != 200:
                    seen.append(answer.status_code)
                    return
                async for piece in answer.aiter_raw():
                    if not heard:
                        heard, begun = True, begun + 1
                        # Once: a second signal would end what is being made.
                        if begun == CLIENTS // 2:
                            server.send_signal(signal.SIGTERM)
                    events += [event.json() for event in decoder.feed(piece)]
            seen.append(events)
        except httpx.TransportError:
            # Whom it has not read by then it tells nothing.
            assert not answered
            seen.append(None)

    bounds = httpx.Limits(max_connections=CLIENTS)
    client = httpx.AsyncClient(base_url=url, limits=bounds, timeout=120)
    async with client, anyio.create_task_group() as group:
        for _ in range(CLIENTS):
            group.start_soon(one, client)
    return seen


def test_a_server_that_is_told_to_stop_under_load_finishes_what_it_has_begun() -> None:
    with served("--concurrent", str(CLIENTS)) as (server, url):
        seen = anyio.run(ended_meanwhile, server, url)
        assert server.wait(60) == 0
    whole = [one for one in seen if isinstance(one, list)]
    assert len(seen) == CLIENTS
    assert len(whole) >= CLIENTS // 2
    assert all([event["type"] for event in one] == WHOLE[IMAGES[0]] for one in whole)
    # Whoever came too late was turned away, before anything was made for them.
    assert {one for one in seen if not isinstance(one, list)} <= {503, None}
