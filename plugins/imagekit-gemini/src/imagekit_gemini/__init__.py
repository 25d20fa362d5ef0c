"""Google's Gemini image models for imagekit: the provider `gemini`, and what it asks."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from pydantic import BaseModel, JsonValue

import imagekit
from imagekit import ImageRequest, provider

from ._answer import Came, error_from

imagekit_contract = 1
# What google-genai 3.4.0 for Python asks by itself, and the order in which it looks for a key.
BASE_URL = "https://generativelanguage.googleapis.com/v1"
KEYS = ("GOOGLE_API_KEY", "GEMINI_API_KEY")
# The newest on 2026-11-20.
MODEL = "gemini-nano-banana-2.1"
TABLES = provider.tables("imagekit_gemini", "capabilities.toml")
DRAFTS = imagekit.Notice(
    kind="other", feature="partial_images", detail="the model says how many it drafts"
)


class Settings(BaseModel):
    """There are none beside the key and the base URL."""


class Options(BaseModel):
    """What only Gemini knows.

    * `safety_settings`: from how much harm on something is blocked, by its category, in the words
      of Google's reference: `{"HARM_CATEGORY_HARASSMENT": "BLOCK_ONLY_HIGH"}`.
    * `thinking_level` ("minimal", "low" …), `include_thoughts`: how much the model thinks, and
      whether it shows it; drafts are previews.
    * `google_search`: whether it may look things up first.
    * `generation_config`: what stands in `generationConfig` beside, or instead; unchecked.
    """

    safety_settings: Mapping[str, str] = {}
    thinking_level: str = ""
    include_thoughts: bool | None = None
    google_search: bool = False
    generation_config: Mapping[str, JsonValue] = {}


class Gemini:
    """Gemini's image models, at Google or behind another base URL."""

    def __init__(self, config: provider.Config) -> None:
        provider.settings(config, Settings)
        env = config.env if config.ambient else {}
        key = config.api_key or next(filter(None, map(env.get, KEYS)), None)
        key = key.strip() if isinstance(key, str) else key
        proof = provider.header("x-goog-api-key", key) if key else None
        missing = None if key or config.base_url else f"no API key: set {KEYS[1]}, or pass api_key="
        self.endpoint = provider.Endpoint(config.base_url or BASE_URL, proof, missing)

    def capabilities(self, model: str | None) -> provider.Capabilities:
        """What is known of *model*."""
        return TABLES.of(model or MODEL, "gemini")

    def judge(self, response: provider.HttpResponse) -> provider.Verdict | None:
        """A quota that is used up is a refusal that waiting cannot mend."""
        spent = isinstance(error_from(response), imagekit.QuotaExceededError)
        return provider.Verdict.REJECTED if spent else None

    def flow(self, request: ImageRequest, *, stream: bool) -> provider.Flow:
        """Ask for one picture; watch it come where that is wanted."""
        state = request.state or imagekit.State(provider="gemini", payload={"contents": []})
        if state.provider != "gemini" or not isinstance(state.payload.get("contents"), list):
            why = "the state is not Gemini's, or was changed: hand back what a response of its has"
            raise imagekit.RequestError(why)
        model = str(request.model or state.payload.get("model") or MODEL)
        asked = encode(request, model, state.payload["contents"], stream=stream)
        if stream and request.partial_images:
            yield from provider.notice(DRAFTS)
        answer = yield from (provider.open_stream(asked) if stream else provider.send(asked))
        if not answer.ok:
            raise error_from(answer)
        came = Came(asked.json["contents"], model)
        if not answer.streamed:
            yield from came.take(answer.json())
        while answer.streamed and (event := (yield from provider.receive())):
            if not event.data.rstrip().endswith("}"):
                break
            yield from came.take(event.json())
        return came.response(ended=not answer.streamed)


def encode(request: ImageRequest, model: str, turns: Any, *, stream: bool) -> provider.HttpRequest:
    """The request on the wire, after the *turns* that were taken before."""
    said = provider.options(request, Options)
    if request.pixels:
        hint = f"nobody knows what shapes {model!r} makes: give one, such as size='16:9@2K'"
        raise imagekit.UnsupportedRequestError(f"Gemini takes no pixels, and {hint}")
    shape, _, tier = (request.size or "").removeprefix("auto").partition("@")
    drafts = bool(stream and request.partial_images) or said.include_thoughts
    turn = {"parts": [{"text": request.prompt}, *map(_part, request.images)], "role": "user"}
    thinking = {"includeThoughts": drafts, "thinkingLevel": said.thinking_level.upper()}
    config = {
        "seed": request.seed,
        # Where it searches, it has to be let speak.
        "responseModalities": ["TEXT", "IMAGE"] if said.google_search else ["IMAGE"],
        "thinkingConfig": _said(thinking),
        "imageConfig": _said({"aspectRatio": shape, "imageSize": tier.upper()}),
    }
    safety = [{"category": c, "threshold": t} for c, t in said.safety_settings.items()]
    wire: dict[str, Any] = {
        "contents": [*turns, turn],
        "safetySettings": safety,
        "tools": [{"googleSearch": {}}] if said.google_search else None,
        "generationConfig": {**_said(config), **said.generation_config},
    }
    how, query = ("streamGenerateContent", {"alt": "sse"}) if stream else ("generateContent", {})
    url = f"/models/{quote(model.removeprefix('models/'), safe='')}:{how}"
    blobs = frozenset({"data"})
    return provider.HttpRequest("POST", url, json=_said(wire), query=query, blobs=blobs)


def _part(given: imagekit.ImageInput) -> dict[str, Any]:
    if given.blob is not None:
        data = base64.b64encode(bytes(given.blob)).decode()
        return {"inlineData": {"data": data, "mimeType": given.media_type}}
    uri = given.url or given.file_id or ""
    ending = urlsplit(uri).path.rpartition(".")[2].lower().replace("jpg", "jpeg")
    kind = f"image/{ending}" if ending in ("png", "jpeg", "webp", "heic", "heif") else None
    return {"fileData": _said({"fileUri": uri, "mimeType": kind})}


def _said(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the *fields* that say anything."""
    return {name: value for name, value in fields.items() if value not in (None, "", [], {})}


@provider.hookimpl
def imagekit_provider(config: provider.Config) -> Gemini:
    """Build the provider."""
    return Gemini(config)
