"""The other side of Stability's API: it reads the form strictly, and answers in raw bytes."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping

from imagekit.provider import HttpResponse, facts
from imagekit.testing import Asked, Host, Reply, Scene, Trouble

JSON = {"content-type": "application/json"}
COMMON = frozenset({"seed", "output_format"})
WORDS = COMMON | {"prompt", "negative_prompt", "style_preset"}
# What each service reads, as its reference lists it; another field is a mistake of ours.
FIELDS: Mapping[str, frozenset[str]] = {
    "core": WORDS | {"aspect_ratio"},
    "ultra": WORDS | {"aspect_ratio", "image", "strength"},
    "sd3": WORDS | {"aspect_ratio", "image", "strength", "model", "mode", "cfg_scale"},
    "inpaint": WORDS | {"image", "mask", "grow_mask"},
    "erase": COMMON | {"image", "mask", "grow_mask"},
    "outpaint": COMMON
    | {"prompt", "image", "left", "right", "up", "down", "creativity", "style_preset"},
    "search-and-replace": WORDS | {"image", "search_prompt", "grow_mask"},
    "search-and-recolor": WORDS | {"image", "select_prompt", "grow_mask"},
    "remove-background": frozenset({"image", "output_format"}),
}
NAMES: Mapping[Trouble, tuple[int, str]] = {
    "authentication": (401, "unauthorized"),
    "permission": (403, "permission_denied"),
    "rate_limit": (429, "rate_limit_exceeded"),
    "quota": (402, "payment_required"),
    "invalid": (400, "bad_request"),
    "moderation": (403, "content_moderation"),
    "unavailable": (500, "internal_error"),
}


class StabilityHost(Host):
    """Gives one picture for each form; refuses one as the service does, in a 200."""

    def answer(self, asked: Asked, scene: Scene) -> Reply:
        assert asked.method == "POST"
        assert asked.headers["content-type"].startswith("multipart/form-data; boundary=")
        fields, service = asked.fields(), asked.path.rpartition("/")[2]
        strange = {one.name for one in asked.form()} - FIELDS[service]
        assert not strange, f"{service} has no {strange}"
        (picture,) = scene.take()
        reason, seed = "SUCCESS" if picture else "CONTENT_FILTERED", fields.get("seed", "4242")
        data = picture or b"\x89PNG blurred"
        if asked.headers["accept"] == "application/json":
            said = {"image": b64encode(data).decode(), "finish_reason": reason, "seed": int(seed)}
            return HttpResponse(200, JSON, json.dumps(said).encode())
        assert asked.headers["accept"] == "image/*"
        known = facts(data)
        head = {
            "content-type": known.media_type if known else "image/png",
            "finish-reason": reason,
            "seed": seed,
            "x-request-id": f"req-{len(self.asked)}",
        }
        return HttpResponse(200, head, data)

    def troubled(self, asked: Asked, trouble: Trouble) -> Reply:
        status, name = NAMES[trouble]
        said = {"id": "abc123", "name": name, "errors": [f"the host says: {trouble}"]}
        return HttpResponse(status, JSON, json.dumps(said).encode())
