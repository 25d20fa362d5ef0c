"""The other side of `gemini`: it reads a request as strictly as Google does, and answers alike.

The conformance tests meet it in place of the network, and the judges on loopback.
"""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from imagekit.provider import HttpResponse
from imagekit.testing import Asked, Host, Reply, Scene, Streamed, Trouble

# What a body, and each of its objects, may hold: google-genai 3.4.0 for Python, its converters to
# the Gemini API (2026-11-20). An empty one stands for whatever it likes.
KNOWN: Mapping[str, Any] = {
    "contents": {
        "role": {},
        "parts": {
            "text": {},
            "thought": {},
            "thoughtSignature": {},
            "inlineData": {"data": {}, "mimeType": {}},
            "fileData": {"fileUri": {}, "mimeType": {}},
        },
    },
    "safetySettings": {"category": {}, "threshold": {}},
    "tools": {"googleSearch": {"searchTypes": {"webSearch": {}, "imageSearch": {}}}},
    "generationConfig": {
        "seed": {},
        "temperature": {},
        "responseModalities": {},
        "thinkingConfig": {"includeThoughts": {}, "thinkingLevel": {}, "thinkingBudget": {}},
        "imageConfig": {"aspectRatio": {}, "imageSize": {}},
    },
}
PER_MINUTE = "GenerateRequestsPerMinutePerProjectPerModel"
PER_DAY = "GenerateRequestsPerDayPerProjectPerModel-FreeTier"
SIGNATURE = base64.b64encode(b"a signature that is nobody's business").decode()
REFUSAL: Mapping[str, Any] = {
    "finishReason": "IMAGE_SAFETY",
    "finishMessage": "Unable to show the generated image: it may violate the policy.",
    "safetyRatings": [
        {"category": "HARM_CATEGORY_DANGEROUS_CONTENT", "probability": "NEGLIGIBLE"},
        {"category": "HARM_CATEGORY_SEXUALLY_EXPLICIT", "probability": "HIGH", "blocked": True},
    ],
}
JSON = {"content-type": "application/json; charset=UTF-8"}


def camel(name: str) -> str:
    """A field's name as JSON has it; that of the protocol buffer is read too."""
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


def unknown(said: Any, known: Mapping[str, Any], place: str = "") -> Iterator[str]:
    """The names in *said* that nobody knows."""
    if isinstance(said, list):
        for one in said:
            yield from unknown(one, known, place)
    elif isinstance(said, dict) and known:
        for name, value in said.items():
            if camel(name) in known:
                yield from unknown(value, known[camel(name)], f"{place}.{name}")
            else:
                yield f"{place}.{name}".strip(".")


def error(code: int, status: str, message: str, *details: Mapping[str, Any]) -> HttpResponse:
    said = {"code": code, "message": message, "status": status, "details": details}
    if not details:
        del said["details"]
    return HttpResponse(code, JSON, json.dumps({"error": said}).encode())


def info(reason: str) -> dict[str, Any]:
    kind = "type.googleapis.com/google.rpc.ErrorInfo"
    return {"@type": kind, "reason": reason, "domain": "googleapis.com"}


def quota(kind: str, wait: str) -> tuple[dict[str, Any], ...]:
    """The details of a 429, as users quote them."""
    return (
        {
            "@type": "type.googleapis.com/google.rpc.QuotaFailure",
            "violations": [{"quotaId": kind, "quotaMetric": "generate_content_requests"}],
        },
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": wait},
    )


def picture(data: bytes, **also: Any) -> dict[str, Any]:
    spelt = base64.b64encode(data).decode()
    return {"inlineData": {"mimeType": "image/png", "data": spelt}, **also}


class GeminiHost(Host):
    """`generateContent`, whole and streamed."""

    absent: ClassVar[Mapping[str, str]] = {"resume": "it keeps no jobs"}

    def answer(self, asked: Asked, scene: Scene) -> Reply:
        wrong = self.checked(asked)
        if wrong is not None:
            return wrong
        model = asked.path.rpartition("/")[2].partition(":")[0]
        # A call makes one picture, whatever the scene has.
        chunks = list(self.chunks(asked.json(), scene))
        for chunk in chunks:
            chunk |= {"modelVersion": model, "responseId": f"response-{len(self.asked)}"}
        if asked.query.get("alt") == "sse":
            return Streamed(tuple(map(event, chunks)), {"content-type": "text/event-stream"})
        return HttpResponse(200, JSON, json.dumps(whole(chunks)).encode())

    def checked(self, asked: Asked) -> HttpResponse | None:
        """The error where the request is not one of theirs."""
        if not asked.headers.get("x-goog-api-key"):
            return error(403, "PERMISSION_DENIED", "Method doesn't allow unregistered callers")
        method = asked.path.rpartition(":")[2]
        streams = asked.query.get("alt") == "sse"
        if method != ("streamGenerateContent" if streams else "generateContent"):
            return error(404, "NOT_FOUND", f"no method {method!r} here")
        body = asked.json()
        if names := list(unknown(body, KNOWN)):
            return error(400, "INVALID_ARGUMENT", f"Unknown name {names[0]!r}: Cannot find field.")
        if not body.get("contents") or body["contents"][-1]["role"] != "user":
            return error(400, "INVALID_ARGUMENT", "contents must end with a turn of the user's")
        return None

    def chunks(self, body: Mapping[str, Any], scene: Scene) -> Iterator[dict[str, Any]]:
        """What the model says, piece by piece."""
        config = body["generationConfig"]
        thinking = config.get("thinkingConfig", {})
        thinks = thinking.get("includeThoughts") or thinking.get("include_thoughts")
        for data in scene.take():
            if data is None:
                yield candidate(**REFUSAL) | {"usageMetadata": counts(0)}
                return
            if thinks:
                yield candidate({"text": "First a draft.", "thought": True})
                for step in range(scene.previews):
                    yield candidate(picture(draft(data, step), thought=True))
            if "TEXT" in config["responseModalities"]:
                yield candidate({"text": "Here it is, "}) | {"usageMetadata": counts(4)}
                yield candidate({"text": "as you wanted."}) | {"usageMetadata": counts(9)}
            made = candidate(picture(data, thoughtSignature=SIGNATURE))
            yield made | {"usageMetadata": counts(9, 1120)}
        yield candidate({"text": ""}, finishReason="STOP") | {"usageMetadata": counts(9, 1120)}

    def troubled(self, asked: Asked, trouble: Trouble) -> Reply:
        match trouble:
            case "authentication":
                message = "API key not valid. Please pass a valid API key."
                return error(400, "INVALID_ARGUMENT", message, info("API_KEY_INVALID"))
            case "permission":
                message = "Requests to this API are blocked."
                return error(403, "PERMISSION_DENIED", message, info("API_KEY_SERVICE_BLOCKED"))
            case "rate_limit":
                message = (
                    "You exceeded your current quota, please check your plan and billing details."
                )
                return error(429, "RESOURCE_EXHAUSTED", message, *quota(PER_MINUTE, "7.5s"))
            case "quota":
                message = (
                    "You exceeded your current quota, please check your plan and billing details."
                )
                return error(429, "RESOURCE_EXHAUSTED", message, *quota(PER_DAY, "41s"))
            case "invalid":
                return error(400, "INVALID_ARGUMENT", "Request contains an invalid argument.")
            case "moderation":
                feedback = {"blockReason": "PROHIBITED_CONTENT"}
                said = {"promptFeedback": feedback, "usageMetadata": counts(0)}
                if asked.query.get("alt") == "sse":
                    return Streamed((event(said),), {"content-type": "text/event-stream"})
                return HttpResponse(200, JSON, json.dumps(said).encode())
            case "unavailable":
                return error(503, "UNAVAILABLE", "The model is overloaded. Please try again later.")


def candidate(*parts: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    content = {"content": {"parts": list(parts), "role": "model"}} if parts else {}
    return {"candidates": [{**content, "index": 0, **more}]}


def counts(words: int, pixels: int = 0) -> dict[str, Any]:
    """The counts so far, as the recorded streams have them: words are left out of the list."""
    said = {
        "promptTokenCount": 12,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 12}],
        "totalTokenCount": 12 + words + pixels,
    }
    if words or pixels:
        said["candidatesTokenCount"] = words + pixels
    if pixels:
        said["candidatesTokensDetails"] = [{"modality": "IMAGE", "tokenCount": pixels}]
    return said


def draft(data: bytes, step: int) -> bytes:
    """*data*, a PNG, with a word in it: as a picture the same, and other bytes at each step."""
    word = b"tEXtdraft\0%d" % step
    chunk = struct.pack(">I", len(word) - 4) + word + struct.pack(">I", zlib.crc32(word))
    end = data.rindex(b"\0\0\0\0IEND")
    return data[:end] + chunk + data[end:]


def event(chunk: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(chunk).encode() + b"\r\n\r\n"


def whole(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """The pieces of a stream as one answer."""
    found = {name: value for chunk in chunks for name, value in chunk.items()}
    ones = [chunk["candidates"][0] for chunk in chunks]
    parts = [part for one in ones for part in one.get("content", {}).get("parts", ())]
    last = {name: value for one in ones for name, value in one.items()}
    if parts:
        last["content"] = {
            "parts": [part for part in parts if part != {"text": ""}],
            "role": "model",
        }
    return {**found, "candidates": [last]}
