"""The hosts that have a row, as far as their own sources say how they answer."""

from __future__ import annotations

from typing import Any, ClassVar

from imagekit.testing import Asked, Reply, Scene, Trouble
from imagekit_openai import Row
from imagekit_openai._row import shipped
from imagekit_openai.testing import CompatibleHost, answered

LOCAL = {
    "authentication": "it takes no key",
    "permission": "it takes no key",
    "quota": "it costs nothing",
    "moderation": "it refuses nothing",
}


def row(name: str) -> Row:
    """The row *name* as it is shipped."""
    return shipped("imagekit_openai.rows", f"{name}.toml")


class LocalAI(CompatibleHost):
    row = row("localai")
    absent: ClassVar = LOCAL


class VllmOmni(CompatibleHost):
    row = row("vllm-omni")
    errors = "detail"
    urls = False
    absent: ClassVar = LOCAL


class SGLang(CompatibleHost):
    row = row("sglang")
    errors = "detail"
    absent: ClassVar = LOCAL


class SdServer(CompatibleHost):
    row = row("sd-server")
    errors = "text"
    urls = False
    absent: ClassVar = LOCAL


class Together(CompatibleHost):
    row = row("together")

    def entry(self, picture: bytes | None, scene: Scene) -> dict[str, Any]:
        entry = super().entry(picture, scene)
        return {"index": 0, "type": "url" if "url" in entry else "b64_json", **entry}

    def body(self, entries: list[dict[str, Any]], said: dict[str, Any]) -> dict[str, Any]:
        numbered = [{**entry, "index": index} for index, entry in enumerate(entries)]
        about = {"id": "oI4tQ", "model": said["model"], "object": "list"}
        return {**about, "data": numbered}


class Xai(CompatibleHost):
    row = row("xai")
    prefix = "data:image/png;base64,"
    partly = True


class OpenRouter(CompatibleHost):
    row = row("openrouter")
    urls = False

    def troubled(self, asked: Asked, trouble: Trouble) -> Reply:
        answer = super().troubled(asked, trouble)
        statuses = {"authentication": 401, "permission": 403, "rate_limit": 429, "quota": 402}
        if trouble not in statuses:
            return answer
        status = statuses[trouble]
        return answered({"error": {"code": status, "message": f"the host says: {trouble}"}}, status)

    def entry(self, picture: bytes | None, scene: Scene) -> dict[str, Any]:
        return {**super().entry(picture, scene), "media_type": "image/png"}

    def _priced(self, body: dict[str, Any]) -> dict[str, Any]:
        counts = {"prompt_tokens": 10, "completion_tokens": 100, "total_tokens": 110}
        return super()._priced({**body, "usage": counts})
