"""A whole provider in a page, one that keeps jobs, and the host that both of them ask."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from typing import Any

import imagekit
from imagekit import Image, ImageFailure, ImageRequest
from imagekit.provider import (
    Capabilities,
    Effects,
    Endpoint,
    Flow,
    HttpRequest,
    bearer,
    checkpoint,
    send,
    sleep,
)
from spoken import httpx
from toys import picture, plugins, spelt

DATA = """
model = "studio-1"
operations = ["generate", "edit"]
max_images = 2
max_prompt = 40
mask = "white"
detaches = true
size = { multiple = 8, high_edge = 64 }
lifecycle = { released = 2026-01-01 }
source = "the studio's page"
as_of = 2026-11-20

[parameters]
seed = "no"
quality = { values = ["low", "high"] }

[prices]
source = "the studio's price list"
as_of = 2026-11-20
items = [{ unit = "image", direction = "output", amount = "0.25" }]
"""


class Studio:
    """A whole provider: where it is, what it can do as data, and one flow."""

    def __init__(self, host: str = "studio.test") -> None:
        self.endpoint = Endpoint(f"https://{host}/v1", bearer("sk-studio-0123456789"))

    def capabilities(self, model: str | None) -> Capabilities:
        return Capabilities.model_validate(tomllib.loads(DATA))

    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        wanted = {"prompt": request.prompt, "n": request.n, "size": request.size}
        if request.mask is not None:
            wanted["mask"] = spelt(request.mask.image.data or b"")
        answer = yield from send(HttpRequest("POST", "/pictures", json=wanted))
        if not answer.ok:
            kind = {429: imagekit.RateLimitError}.get(answer.status, imagekit.ProviderError)
            raise kind("the studio refused", status=answer.status)
        return told(answer.json())


class Jobbing(Studio):
    """The same, of a host that goes on by itself: what jobs need beside."""

    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        answer = yield from send(HttpRequest("POST", "/jobs", json={"prompt": request.prompt}))
        handle = {"id": answer.json()["id"]}
        yield from checkpoint(handle)
        return (yield from self.resume(handle))

    def resume(self, handle: Mapping[str, Any]) -> Flow:
        while True:
            answer = yield from send(HttpRequest("GET", f"/jobs/{handle['id']}"))
            if "pictures" in answer.json():
                return told(answer.json())
            yield from sleep(0.01)

    def cancel(self, handle: Mapping[str, Any]) -> Effects[None]:
        yield from send(HttpRequest("POST", f"/jobs/{handle['id']}/cancel", billable=False))


def told(answer: Mapping[str, Any]) -> imagekit.ImageResponse:
    slots = [
        Image(data=one)
        if one != "refused"
        else ImageFailure(kind="refused", reason="no", billed="no")
        for one in answer["pictures"]
    ]
    return imagekit.ImageResponse(slots=tuple(slots))


class Host:
    """The other side: pictures as asked, unless something else was put in their place."""

    def __init__(self) -> None:
        self.asked: list[httpx.Request] = []
        self.statuses: list[int] = []
        self.pictures: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        status = self.statuses.pop(0) if self.statuses else 200
        if request.method == "GET":
            return httpx.Response(200, json={"pictures": [spelt(picture(3))]})
        if request.url.path.endswith(("/jobs", "/cancel")):
            return httpx.Response(200, json={"id": "job-1"})
        said = json.loads(request.content)
        width, height = map(int, (said["size"] or "8x8").split("x"))
        drawn = [self.pictures.pop(0) if self.pictures else spelt(picture(3, width, height))]
        drawn += [self.pictures.pop(0) if self.pictures else drawn[0]] * (said["n"] - 1)
        return httpx.Response(status, json={"pictures": drawn})


def studio(**others: object) -> dict[str, Any]:
    """Settings of a client that asks it, and may ask *others*."""
    made = plugins(**{"studio": Studio(), **others})
    return {"plugins": made, "provider": "studio", "env": {}, "config": False}
