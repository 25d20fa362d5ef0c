"""Every way to make one call: blocking or async, on asyncio or trio, whole or streamed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import anyio

from imagekit import AsyncClient, Client, Completed, ImageEvent, ImageRequest, ImageResponse
from spoken import httpx

WAYS = [
    f"{colour} {how}" for colour in ("sync", "asyncio", "trio") for how in ("whole", "streamed")
]


def make(
    way: str,
    request: ImageRequest,
    *,
    handler: Callable[[httpx.Request], httpx.Response] | None = None,
    events: list[ImageEvent] | None = None,
    register: dict[str, object] | None = None,
    how: dict[str, Any] | None = None,
    **settings: Any,
) -> ImageResponse:
    """What *request* comes to in that *way*, and into *events* what was seen of it.

    *handler* answers for the provider and for strangers; *register* are plugins by name; *how*
    goes to the call and *settings* to the client.
    """
    colour, _, manner = way.partition(" ")
    if colour == "sync":
        return _blocking(manner, request, handler, events, register, how or {}, settings)
    run = partial(_async, manner, request, handler, events, register, how or {}, settings)
    return anyio.run(run, backend=colour)


def _blocking(
    manner: str,
    request: ImageRequest,
    handler: Any,
    events: Any,
    register: Any,
    how: Any,
    settings: Any,
) -> ImageResponse:
    if handler is not None:
        fake = httpx.Client(transport=httpx.MockTransport(handler))
        settings = {"http": fake, "downloads": fake, **settings}
    with Client(**settings) as client:
        for name, plugin in (register or {}).items():
            client.plugins.register(plugin, name)
        if manner == "whole":
            return client.run(request, **how)
        with client.stream(request, **how) as stream:
            return _watched(list(stream), events)


async def _async(
    manner: str,
    request: ImageRequest,
    handler: Any,
    events: Any,
    register: Any,
    how: Any,
    settings: Any,
) -> ImageResponse:
    if handler is not None:
        fake = httpx.AsyncClient(transport=httpx.MockTransport(handler))
        settings = {"http": fake, "downloads": fake, **settings}
    async with AsyncClient(**settings) as client:
        for name, plugin in (register or {}).items():
            client.plugins.register(plugin, name)
        if manner == "whole":
            return await client.run(request, **how)
        async with client.stream(request, **how) as stream:
            return _watched([event async for event in stream], events)


def _watched(seen: list[ImageEvent], events: list[ImageEvent] | None) -> ImageResponse:
    if events is not None:
        events += seen
    last = seen[-1]
    assert isinstance(last, Completed)
    return last.response
