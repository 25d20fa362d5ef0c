"""stable-diffusion.cpp's own server for imagekit: a job is submitted, watched, finished, ended."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from imagekit import ImageRequest, ModelInfo, Progress, ProtocolError, Queued, RequestError
from imagekit import provider as core

from ._answer import finished, refused, table
from ._request import asked_of, body

imagekit_contract = 1
# Where the server listens unless told otherwise (its runtime.cpp, 2026-11-21).
BASE_URL = "http://127.0.0.1:1234"
BLOBS = frozenset({"b64_json"})
TABLES = core.tables("imagekit_sdcpp", "capabilities.toml")


class Settings(BaseModel):
    """There are none: the server is set up where it is started."""


class SdCpp:
    """A server of stable-diffusion.cpp, by its job API."""

    def __init__(self, config: core.Config) -> None:
        core.settings(config, Settings)
        # The server itself asks for no key; a proxy in front of it may.
        proof = core.bearer(config.api_key) if config.api_key else None
        self.endpoint = core.Endpoint(config.base_url or BASE_URL, proof)

    def capabilities(self, model: str | None) -> core.Capabilities:
        """What such servers can do; what the loaded model can, only the server knows."""
        return TABLES.of(model, "server")

    def flow(self, request: ImageRequest, *, stream: bool) -> core.Flow:
        """Submit a job and see it through."""
        job = yield from _answered("/sdcpp/v1/img_gen", "POST", json=body(request))
        if not _is_id(job.get("id")):
            raise ProtocolError("the server took the job, and gave no id to ask for it by")
        return (yield from self.resume({"id": job["id"], "asked": asked_of(request)}))

    def resume(self, handle: Mapping[str, Any]) -> core.Flow:
        """Watch a job until it is done."""
        url = _url(handle)
        yield from core.checkpoint(handle)
        told, wait = None, 0.1
        while (job := (yield from _answered(url))).get("status") in ("queued", "generating"):
            if (now := _state(job)) != told:
                yield from core.emit(now)
            told = now
            yield from core.sleep(wait)
            wait = min(wait * 1.5, 2.0)
        return (yield from finished(job, table(handle.get("asked"))))

    def cancel(self, handle: Mapping[str, Any]) -> core.Effects[None]:
        """End a job that still waits; one that is over stays so, and one being made is an error."""
        url = f"{_url(handle)}/cancel"
        answer = yield from core.send(core.HttpRequest("POST", url, billable=False))
        # 410 is a job that was over so long ago that its pictures are gone.
        if not answer.ok and answer.status != 410:
            raise refused(answer)

    def judge(self, response: core.HttpResponse) -> core.Verdict | None:
        """A job that is being made is not stopped by asking again."""
        return core.Verdict.REJECTED if response.status == 409 else None

    def list_models(self) -> core.Effects[tuple[ModelInfo, ...]]:
        """The one model that the server has loaded."""
        name = table((yield from _answered("/sdcpp/v1/capabilities")).get("model")).get("stem")
        return (ModelInfo(id=name),) if name and isinstance(name, str) else ()


def _is_id(id: object) -> bool:
    return isinstance(id, str) and re.fullmatch(r"[A-Za-z0-9_-]{1,200}", id) is not None


def _url(handle: Mapping[str, Any]) -> str:
    if not _is_id(handle.get("id")):
        raise RequestError("this is no handle of a job that was begun here")
    return f"/sdcpp/v1/jobs/{handle['id']}"


def _answered(url: str, method: str = "GET", **also: Any) -> core.Effects[Mapping[str, Any]]:
    answer = yield from core.send(core.HttpRequest(method, url, blobs=BLOBS, **also))
    if not answer.ok:
        raise refused(answer)
    if not isinstance(found := answer.json(), Mapping):
        raise ProtocolError(f"unexpected answer: {str(found)[:80]!r}", status=answer.status)
    return found


def _state(job: Mapping[str, Any]) -> Queued | Progress:
    place = job.get("queue_position")
    if job["status"] == "queued":
        return Queued(position=place if type(place) is int else None)
    # How far it is, the server does not say.
    return Progress(message="it is being made")


@core.hookimpl
def imagekit_provider(config: core.Config) -> SdCpp:
    """The provider `sdcpp`."""
    return SdCpp(config)
