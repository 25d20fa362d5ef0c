"""A server of stable-diffusion.cpp as far as its job API goes, in this process: jobs by their ids.

What it says, and in which words, is that of `routes_sdcpp.cpp` and `async_jobs.cpp` in
stable-diffusion-cpp-python 0.4.7 (2026-11-21).
"""

from __future__ import annotations

import base64
import json
import re
import struct
import zlib
from collections.abc import Mapping
from typing import Any, ClassVar

from imagekit.provider import HttpResponse
from imagekit.testing import Asked, Host, Scene, Trouble

# What each trouble is here: the server's own words, or those of a proxy in front of it.
TROUBLES: Mapping[Trouble, tuple[int, Any]] = {
    "authentication": (401, {"error": "authentication: the proxy does not know you"}),
    "permission": (403, {"error": "permission: the proxy knows you, and says no"}),
    "rate_limit": (429, {"error": "job queue is full", "message": "rate_limit: it is full"}),
    "invalid": (400, {"error": "invalid: invalid output_format, must be one of [png, jpeg]"}),
    "unavailable": (503, {"error": "server_error", "message": "unavailable: it goes down"}),
}
MODEL = {"name": "flux1.gguf", "stem": "flux1", "path": "/models/flux1.gguf"}


def told(status: int, said: Any) -> HttpResponse:
    """An answer in JSON."""
    return HttpResponse(status, {"content-type": "application/json"}, json.dumps(said).encode())


def made(seed: int, prompt: str = "a cat", **more: Any) -> bytes:
    """What the server adds to a picture, as text; it ends in JSON."""
    recipe = {
        "models": {"model": MODEL["name"]},
        "prompt": {"positive": prompt},
        "sampling": {"method": "euler_a", "scheduler": "karras"},
        "schema": "sdcpp.image.params/v1",
        "seed": seed,
        **more,
    }
    words = f"{prompt}\nSeed: {seed}, Version: stable-diffusion.cpp, SDCPP: {json.dumps(recipe)}"
    return words.encode()


def marked(picture: bytes, words: bytes) -> bytes:
    """*picture* with those *words* where the server puts its own: a PNG, behind its header."""
    chunk = b"tEXtparameters\0" + words
    text = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return picture[:33] + text + picture[33:] if picture.startswith(b"\x89PNG") else picture


def unmarked(picture: bytes) -> bytes:
    """*picture* without the words that `marked` gave it."""
    if picture[37:52] != b"tEXtparameters\0":
        return picture
    return picture[:33] + picture[33 + 12 + int.from_bytes(picture[33:37], "big") :]


class SdCppHost(Host):
    """The server: of the looks that find a job unfinished, the last finds it being made."""

    absent: ClassVar[Mapping[str, str]] = {
        "moderation": "the server has no rules: it makes whatever it is asked for",
        "quota": "the server counts nothing, so nothing can be used up",
    }

    def __init__(self) -> None:
        super().__init__()
        self.jobs: dict[str, dict[str, Any]] = {}

    def answer(self, asked: Asked, scene: Scene) -> HttpResponse:
        if asked.path == "/sdcpp/v1/capabilities":
            return told(200, {"model": MODEL, "limits": {"max_batch_count": 8}})
        if asked.path == "/sdcpp/v1/img_gen":
            return told(202, self._begun(asked.json(), scene))
        found = re.fullmatch(r"/sdcpp/v1/jobs/([A-Za-z0-9_\-]+)(/cancel)?", asked.path)
        job = self.jobs.get(found[1]) if found else None
        if job is None:
            return told(404, {"error": "job not found"})
        if found and found[2]:
            return self._cancelled(job, scene)
        if job["status"] == "completed" and not scene.done():
            status = "queued" if scene.pending else "generating"
            return told(200, {**job, "status": status, "queue_position": scene.pending})
        return told(200, job)

    def troubled(self, asked: Asked, trouble: Trouble) -> HttpResponse:
        return told(*TROUBLES[trouble])

    def _begun(self, body: Mapping[str, Any], scene: Scene) -> dict[str, Any]:
        id = f"job_6b01406e_{len(self.jobs):08x}"
        pictures = scene.take(body["batch_count"])
        job: dict[str, Any] = {"id": id, "kind": "img_gen", "queue_position": 0, "error": None}
        job |= {"created": 1793000000, "started": 1793000001, "completed": 1793000003}
        if None in pictures:
            error = {"code": "generation_failed", "message": "generate_image returned no results"}
            self.jobs[id] = {**job, "status": "failed", "result": None, "error": error}
        else:
            words = made(body.get("seed", 42), body["prompt"], sampling=_sampling(body))
            images = [
                {"index": index, "b64_json": base64.b64encode(marked(data or b"", words)).decode()}
                for index, data in enumerate(pictures)
            ]
            result = {"output_format": body.get("output_format", "png"), "images": images}
            self.jobs[id] = {**job, "status": "completed", "result": result}
        return {"id": id, "kind": "img_gen", "status": "queued", "poll_url": f"/sdcpp/v1/jobs/{id}"}

    def _cancelled(self, job: dict[str, Any], scene: Scene) -> HttpResponse:
        if scene.pending == 1:
            error = "job is currently generating and cannot be interrupted yet"
            return told(409, {"error": error})
        if scene.pending > 1:
            said = {"code": "cancelled", "message": "job cancelled by client"}
            job |= {"status": "cancelled", "result": None, "error": said}
        return told(200, job)


def _sampling(body: Mapping[str, Any]) -> dict[str, str]:
    said = body.get("sample_params", {})
    return {
        "method": said.get("sample_method", "euler_a"),
        "scheduler": said.get("scheduler", "karras"),
    }
