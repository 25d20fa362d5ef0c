"""Answers of OpenAI's as literals, tiny pictures in them, and how to get at a provider.

The official SDK's own types read every one of them; see test_sdk_oracle.py.
"""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Iterable
from typing import Any

from imagekit import ImageRequest
from imagekit.provider import Config, HttpRequest, HttpResponse
from imagekit_openai import images, responses

KEY = "sk-test-0123456789abcdef"


def png(shade: int = 0, side: int = 1, *, alpha: bool = False) -> bytes:
    """A PNG, grey or (*alpha*) transparent."""
    pixel = bytes((shade, shade, shade, 0)) if alpha else bytes((shade,))
    rows = (b"\0" + pixel * side) * side
    head = struct.pack(">IIBBBBB", side, side, 8, 6 if alpha else 0, 0, 0, 0)
    out = b"\x89PNG\r\n\x1a\n"
    for name, data in ((b"IHDR", head), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b"")):
        out += struct.pack(">I", len(data)) + name + data
        out += struct.pack(">I", zlib.crc32(name + data))
    return out


ONE, TWO, THREE = png(10), png(20), png(30)
GIF = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>'


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


IMAGE_USAGE = {
    "input_tokens": 50,
    "input_tokens_details": {"image_tokens": 40, "text_tokens": 10},
    "output_tokens": 196,
    "output_tokens_details": {"image_tokens": 190, "text_tokens": 6},
    "total_tokens": 246,
}
SVG_USAGE = {
    "model": "gpt-6.1-sol",
    "input_tokens": 100,
    "output_tokens": 80,
    "reasoning_tokens": 30,
    "total_tokens": 180,
}
TEXT_USAGE = {
    "input_tokens": 300,
    "input_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 0},
    "output_tokens": 60,
    "output_tokens_details": {"reasoning_tokens": 20},
    "total_tokens": 360,
}
TOOL_USAGE = {
    "image_gen": {
        "input_tokens": 50,
        "input_tokens_details": {"image_tokens": 40, "text_tokens": 10},
        "output_tokens": 196,
        "output_tokens_details": {"image_tokens": 190, "text_tokens": 6},
        "cached_tokens": 12,
        "cached_tokens_details": {"cached_image_tokens": 8, "cached_text_tokens": 4},
        "total_tokens": 246,
    },
    "web_search": {"num_requests": 0},
}
BLOCKED = {
    "type": "image_generation_user_error",
    "code": "moderation_blocked",
    "message": "Your request was rejected by the safety system. safety_violations=[sexual].",
    "param": None,
    "moderation_details": {"moderation_stage": "output", "categories": ["sexual"]},
}


def images_body(*pictures: bytes, **changes: Any) -> dict[str, Any]:
    """What /images/generations and /images/edits answer."""
    return {
        "created": 1795200296,
        "background": "opaque",
        "data": [{"b64_json": b64(one)} for one in pictures or (ONE,)],
        "output_format": "png",
        "quality": "low",
        "size": "1x1",
        "usage": IMAGE_USAGE,
        **changes,
    }


def image_event(kind: str, picture: bytes = ONE, **changes: Any) -> dict[str, Any]:
    """One event of their streams; *kind* is such as "image_edit.partial_image"."""
    own: dict[str, Any] = {"usage": {**IMAGE_USAGE, "output_tokens_details": None}}
    if kind.endswith("partial_image"):
        own = {"partial_image_index": 0}
    return {
        "type": kind,
        "b64_json": b64(picture),
        "created_at": 1795200296,
        "size": "auto",
        "quality": "auto",
        "background": "auto",
        "output_format": "png",
        **own,
        **changes,
    }


def call(picture: bytes | None = ONE, id: str = "ig_1", **changes: Any) -> dict[str, Any]:
    """An image_generation_call."""
    return {
        "id": id,
        "type": "image_generation_call",
        "status": "completed",
        "result": b64(picture) if picture is not None else None,
        "action": "generate",
        "background": "opaque",
        "output_format": "png",
        "quality": "low",
        "size": "1x1",
        "revised_prompt": "A cute baby sea otter.",
        **changes,
    }


def message(*parts: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": list(parts),
    }


def output_text(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def refusal(text: str) -> dict[str, Any]:
    return {"type": "refusal", "refusal": text}


REASONING = {"id": "rs_1", "type": "reasoning", "summary": []}


def response_body(*output: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A response object."""
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1795200296.0,
        "completed_at": 1795200299.0,
        "status": "completed",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": "gpt-6.1-sol",
        "output": list(output),
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "store": True,
        "temperature": 1.0,
        "tool_choice": {"type": "image_generation"},
        "tools": [{"type": "image_generation", "model": "gpt-image-2.6-sunburst"}],
        "top_p": 1.0,
        "usage": TEXT_USAGE,
        "tool_usage": TOOL_USAGE,
        **changes,
    }


def response_stream(
    *, previews: Iterable[bytes] = (TWO, THREE), item: Any = None, final: Any = None
) -> list[dict[str, Any]]:
    """All events of a stream that makes one picture."""
    item = item or call()
    begun = response_body(status="in_progress", usage=None, tool_usage=None, completed_at=None)
    about = {"item_id": item["id"], "output_index": 0}
    work = "response.image_generation_call"
    listed: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": call(None, item["id"], status="in_progress"),
        },
        {"type": f"{work}.in_progress", **about},
        {"type": f"{work}.generating", **about},
        *(
            {
                "type": f"{work}.partial_image",
                **about,
                "partial_image_b64": b64(one),
                "partial_image_index": place,
                "size": "1x1",
                "quality": "low",
                "background": "opaque",
                "output_format": "png",
            }
            for place, one in enumerate(previews)
        ),
        {"type": f"{work}.completed", **about},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": final or response_body(item)},
    ]
    return [{**one, "sequence_number": place} for place, one in enumerate(listed)]


def sse_bytes(events: Iterable[dict[str, Any]]) -> bytes:
    """Events as they travel."""
    return b"".join(
        f"event: {one.get('type')}\ndata: {json.dumps(one)}\n\n".encode() for one in events
    )


def of_images(**config: Any) -> images.OpenAIImages:
    return images.imagekit_provider(Config("openai-images", **{"api_key": KEY, **config}))


def of_responses(**config: Any) -> responses.OpenAIResponses:
    return responses.imagekit_provider(Config("openai-responses", **{"api_key": KEY, **config}))


def asked(prompt: str | None = "an otter", **fields: Any) -> ImageRequest:
    """A neutral request."""
    return ImageRequest(prompt=prompt, **fields)


def options(provider: str = "openai-images", **said: Any) -> dict[str, dict[str, Any]]:
    return {provider: said}


def json_of(request: HttpRequest) -> dict[str, Any]:
    assert isinstance(request.json, dict)
    return request.json


def begun(**headers: str) -> HttpResponse:
    """The head of a stream."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpResponse(200, {"content-type": "text/event-stream", **named})
