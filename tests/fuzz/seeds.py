"""What the fuzzing begins with: true shapes of every wire, of pictures, of files and of values."""

from __future__ import annotations

import base64
import io
import json
import struct
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from PIL import Image as Pillow
from PIL import features

from recordings import HOME, recorded
from toys import picture

PNG = picture(5, 3, 2)
B64 = base64.b64encode(PNG).decode()
Shape = Mapping[str, Any]

_USAGE = {
    "input_tokens": 9,
    "output_tokens": 272,
    "total_tokens": 281,
    "input_tokens_details": {"text_tokens": 9, "image_tokens": 0},
}
_CALL = {
    "id": "ig_1",
    "type": "image_generation_call",
    "status": "completed",
    "result": B64,
    "output_format": "png",
    "size": "3x2",
    "revised_prompt": "An otter.",
}
_RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1795200296,
    "status": "completed",
    "error": None,
    "incomplete_details": None,
    "model": "a-model",
    "output": [
        {"id": "rs_1", "type": "reasoning", "summary": []},
        _CALL,
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "content": [
                {"type": "output_text", "text": "Here.", "annotations": []},
                {"type": "refusal", "refusal": "No."},
            ],
        },
    ],
    "usage": _USAGE,
    "tool_usage": {"image_gen": _USAGE},
}
_ERROR = {
    "error": {
        "message": "No.",
        "type": "invalid_request_error",
        "code": "moderation_blocked",
        "param": "prompt",
        "moderation_details": {"moderation_stage": "input", "categories": ["violence"]},
    }
}
_JOB = {"id": "job_1", "kind": "img_gen", "status": "completed", "poll_url": "/sdcpp/v1/jobs/job_1"}
_ANSWERS: dict[str, list[Shape]] = {
    "images": [
        {"created": 1795200296, "data": [{"b64_json": B64}, {"url": "x"}], "usage": _USAGE},
        {
            "created": 1795200296,
            "data": [{"b64_json": B64, "revised_prompt": "An otter.", "seed": 7}],
            "size": "3x2",
            "quality": "low",
            "output_format": "png",
            "background": "opaque",
        },
        _ERROR,
    ],
    "responses": [_RESPONSE, _ERROR],
    "gemini": [
        {
            "candidates": [
                {
                    "content": {
                        "role": "model",
                        "parts": [
                            {"text": "Here."},
                            {"inlineData": {"mimeType": "image/png", "data": B64}},
                        ],
                    },
                    "finishReason": "STOP",
                    "safetyRatings": [{"category": "HARM", "probability": "LOW", "blocked": False}],
                }
            ],
            "promptFeedback": {"blockReason": "SAFETY"},
            "usageMetadata": {
                "promptTokenCount": 5,
                "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1290}],
            },
            "modelVersion": "m",
            "responseId": "r",
        },
        {
            "error": {
                "code": 429,
                "message": "No.",
                "status": "RESOURCE_EXHAUSTED",
                "details": [{"@type": "google.rpc.RetryInfo", "retryDelay": "3s"}],
            }
        },
    ],
    "stability": [
        {"image": B64, "finish_reason": "SUCCESS", "seed": 7},
        {"id": "1", "name": "bad_request", "errors": ["No."]},
    ],
    "sdcpp": [
        {
            **_JOB,
            "queue_position": 0,
            "error": None,
            "created": 1,
            "result": {"output_format": "png", "images": [{"index": 0, "b64_json": B64}]},
        },
        {**_JOB, "status": "failed", "error": {"code": "generation_failed", "message": "No."}},
        {"model": {"name": "m"}, "limits": {"max_batch_count": 8}},
    ],
    "openrouter": [
        {
            "id": "gen",
            "model": "m",
            "choices": [
                {
                    "message": {
                        "role": "assistant",
                        "content": "Here.",
                        "images": [{"image_url": {"url": f"data:image/png;base64,{B64}"}}],
                    },
                    "finish_reason": "stop",
                }
            ],
            "data": [{"b64_json": B64}],
            "usage": {"cost": 0.04, "total_tokens": 9},
        },
        _ERROR,
    ],
}
# Whose answers are of which shape.
SPEAKS = {
    "openai-images": "images",
    "openai-responses": "responses",
    "gemini": "gemini",
    "stability": "stability",
    "sdcpp": "sdcpp",
    "localai": "images",
    "openrouter": "openrouter",
    "sd-server": "images",
    "sglang": "images",
    "together": "images",
    "vllm-omni": "images",
    "xai": "images",
}
# They have no model of their own.
MODELS = {"openrouter": "maker/model", "together": "maker/model"}
STREAMING = ("openai-images", "openai-responses", "gemini", "openrouter")


def answers(provider: str) -> list[Shape]:
    """Bodies as *provider* answers."""
    return _ANSWERS[SPEAKS[provider]]


def _sse(events: Iterable[Shape], *, named: bool = True) -> bytes:
    lines = [f"event: {one.get('type')}\n" if named else "" for one in events]
    return b"".join(
        f"{name}data: {json.dumps(one)}\n\n".encode()
        for name, one in zip(lines, events, strict=True)
    )


_STREAMS = {
    "images": _sse(
        [
            {
                "type": "image_generation.partial_image",
                "b64_json": B64,
                "partial_image_index": 0,
                "size": "3x2",
            },
            {"type": "image_generation.completed", "b64_json": B64, "usage": _USAGE},
        ]
    ),
    "responses": _sse(
        [
            {"type": "response.created", "response": {**_RESPONSE, "status": "in_progress"}},
            {
                "type": "response.image_generation_call.partial_image",
                "item_id": "ig_1",
                "output_index": 1,
                "partial_image_b64": B64,
                "partial_image_index": 0,
            },
            {"type": "response.output_text.delta", "delta": "Here", "output_index": 2},
            {"type": "response.output_item.done", "output_index": 1, "item": _CALL},
            {"type": "error", "code": "server_error", "message": "No.", "param": None},
            {"type": "response.completed", "response": _RESPONSE},
        ]
    ),
    "gemini": _sse(_ANSWERS["gemini"][:1] * 2, named=False),
}
_STREAMS["openrouter"] = _STREAMS["images"] + b"data: [DONE]\n\n"
# Recorded from the live services by others; nothing of it is copied.
_RECORDED = {
    "gemini": "pydantic__pydantic-ai/test_google_image_generation_stream__2026-02-02.yaml",
    "responses": "crmne__ruby_llm/customizes_image_output__2025-05-05.yml",
}
_MOST_RECORDED = 60_000


@cache
def streams(provider: str) -> list[bytes]:
    """Streams as *provider* sends them, with those that others recorded where they are here."""
    kind = SPEAKS[provider]
    found = [_STREAMS[kind], b": ping\r\n\r\nevent: x\rdata: 1\r\rid: 7\n\n" + _STREAMS[kind]]
    if kind in _RECORDED and (HOME / _RECORDED[kind]).exists():
        found += [one.body[:_MOST_RECORDED] for one in recorded(_RECORDED[kind])]
    return found


def _saved(kind: str, mode: str = "RGB", **how: Any) -> bytes:
    out = io.BytesIO()
    Pillow.new(mode, (5, 4), 1).save(out, kind, **how)
    return out.getvalue()


def _pictures() -> Iterator[bytes]:
    frame = [Pillow.new("RGB", (5, 4), "red")]
    exif = Pillow.Exif()
    exif[0x0131] = "Painter 3.1"
    exif[0x0112] = 6
    xmp = b'<x:xmpmeta xmp:CreatorTool="P" http://cv.iptc.org/newscodes/digitalsourcetype/made"/>'
    yield PNG
    yield _saved("PNG", "P", transparency=0)
    yield _saved("PNG", save_all=True, append_images=frame)
    chunk = b"parameters\0a fox"
    yield PNG[:33] + struct.pack(">I4s", len(chunk), b"tEXt") + chunk + bytes(4) + PNG[33:]
    box = b"jumb c2pa claim_generator_info\xa2dnamegPainter"
    yield PNG[:33] + struct.pack(">I4s", len(box), b"caBX") + box + bytes(4) + PNG[33:]
    yield _saved("JPEG", exif=exif, comment=b"a fox")
    yield _saved("JPEG", progressive=True)
    yield _saved("WEBP", exif=exif, xmp=xmp)
    yield _saved("WEBP", "RGBA", lossless=True)
    yield _saved("GIF", "P", save_all=True, append_images=frame, comment=b"a fox")
    yield _saved("BMP")
    yield _saved("TIFF", tiffinfo={0x0131: "Painter 3.1"})
    yield b'<?xml version="1.0"?><svg width="5" viewBox="0 0 5 4"><animate/>' + xmp + b"</svg>"
    if features.check("avif"):
        yield _saved("AVIF", "RGB", exif=exif)


PICTURES = [*_pictures()]

REQUEST: Shape = {
    "prompt": "an otter",
    "model": "toy-1",
    "images": [f"data:image/png;base64,{B64}", {"url": "https://a.test/x.png", "role": "markup"}],
    "mask": {"image": {"data": B64}, "edit_where": "white"},
    "n": 2,
    "size": "1536x864",
    "seed": 7,
    "negative_prompt": "a dog",
    "quality": "high",
    "background": "transparent",
    "output_format": "webp",
    "output_compression": 80,
    "moderation": "low",
    "partial_images": 2,
    "user": "u",
    "state": {"provider": "toy", "payload": {"id": "resp_1", "turns": [1, "a"]}},
    "options": {"toy": {"warmth": 0.5}},
}
VERB: Shape = {
    "prompt": "an otter",
    "model": "toy-1",
    "n": 2,
    "size": "16:9@2K",
    "seed": 7,
    "options": {"toy": {}},
    "deadline": 5,
    "retries": 0,
    "unsupported": "adapt",
    "fetch": False,
    "budget": "0.50",
    "cache": False,
    "raw": True,
}
SHAPED_MASK: Shape = {"boxes": [[0, 0, 2, 2]], "polygons": [[[0, 0], [3, 0], [3, 2]]]}
CONFIGURATION = """\
provider = "work"
max_cost = "1.50"

[defaults]
model = "toy-1"
size = "1024x1024"
deadline = 30
retries = 2

[timeouts]
connect = 5
read = 600

[retry]
base = 0.5

[profiles.work]
provider = "toy"
base_url = "https://toy.test/v1"
api_key_env = "WORK_KEY"

[profiles.work.settings]
region = "eu"
"""
CAPABILITIES = """\
["toy"]
source = "https://toy.test/docs"
as_of = 2026-11-01

["toy".models."toy-*"]
max_images = 4
operations = ["generate", "edit"]

["toy".models."toy-1".parameters]
seed = "no"
quality = ["low", "high"]

["toy".models."toy-1".size]
multiple = 16
high_edge = 3840
"""
