"""The other side of these providers, for tests: hosts in the words of OpenAI's two image APIs."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, TypeAlias

from imagekit.provider import HttpResponse
from imagekit.testing import Asked, Host, Reply, Scene, Streamed, Trouble

from ._row import Row

__all__ = ["CompatibleHost", "ImagesHost", "ResponsesHost"]

Json: TypeAlias = dict[str, Any]
_JSON = {"content-type": "application/json", "x-request-id": "req_1"}
_EVENTS = {"content-type": "text/event-stream", "x-request-id": "req_1"}
_MOMENT = 1_795_000_000
# What the service says in each trouble: the status, and the type and the code of its error.
TROUBLES: Mapping[Trouble, tuple[int, str, str]] = {
    "authentication": (401, "invalid_request_error", "invalid_api_key"),
    "permission": (403, "permission_error", "model_not_available"),
    "rate_limit": (429, "requests", "rate_limit_exceeded"),
    "quota": (429, "insufficient_quota", "insufficient_quota"),
    "invalid": (400, "invalid_request_error", "invalid_value"),
    "moderation": (400, "image_generation_user_error", "moderation_blocked"),
    "unavailable": (503, "server_error", "server_is_overloaded"),
}


def answered(body: Any, status: int = 200) -> HttpResponse:
    """*body* as an answer in JSON."""
    return HttpResponse(status, _JSON, json.dumps(body).encode())


def told(events: Sequence[Json]) -> Streamed:
    """*events* as a stream, one in each piece, called by their types."""
    pieces = (f"event: {one['type']}\ndata: {json.dumps(one)}\n\n" for one in events)
    return Streamed(tuple(piece.encode() for piece in pieces), _EVENTS)


def spelt(picture: bytes) -> str:
    """*picture* in base64."""
    return base64.b64encode(picture).decode()


def _error(trouble: Trouble) -> Json:
    _, kind, code = TROUBLES[trouble]
    message = f"the host says: {trouble}"
    error: Json = {"message": message, "type": kind, "code": code, "param": None}
    if trouble == "moderation":
        error["moderation_details"] = {"moderation_stage": "output", "categories": ["violence"]}
    return error


class _OpenAI(Host):
    """What the hosts of both APIs have: troubles, models and files."""

    def troubled(self, asked: Asked, trouble: Trouble) -> Reply:
        """The error of that *trouble*, as OpenAI words it."""
        return answered({"error": _error(trouble)}, TROUBLES[trouble][0])

    def beside(self, asked: Asked) -> Reply:
        """The answer to what asks for no picture: the models, a file, or nothing that is known."""
        if asked.method == "GET" and asked.path.endswith("/models"):
            return answered({"data": [{"id": "a-model", "created": _MOMENT, "owned_by": "nobody"}]})
        if asked.method == "POST" and asked.path.endswith("/files"):
            return answered({"id": "file-1", "purpose": "vision", "created_at": _MOMENT})
        if asked.method == "DELETE":
            return answered({"deleted": True})
        missing = {"message": f"nothing is at {asked.path}", "code": "not_found", "type": "invalid"}
        return answered({"error": missing}, 404)


class ImagesHost(_OpenAI):
    """A host that speaks OpenAI's Images API, in JSON and forms, whole and streamed."""

    urls = True

    def paths(self) -> tuple[str, str]:
        """How the paths end where pictures are asked for, and where edits are."""
        return "/images/generations", "/images/edits"

    def said(self, asked: Asked) -> Json:
        """The fields of what was *asked*, whichever way they came."""
        if "json" in asked.headers.get("content-type", ""):
            return dict(asked.json())
        return dict(asked.fields())

    def wanted(self, said: Json) -> int:
        """How many pictures that asks for."""
        return int(said.get("n", 1))

    def answer(self, asked: Asked, scene: Scene) -> Reply:
        """The pictures; one that is refused is an error of the whole."""
        if asked.method != "POST" or not asked.path.endswith(self.paths()):
            return self.beside(asked)
        said = self.said(asked)
        pictures = scene.take(self.wanted(said))
        if None in pictures and not self.partly:
            return self.troubled(asked, "moderation")
        entries = [self.entry(one, scene) for one in pictures]
        if str(said.get("stream")).lower() == "true":
            kind = "image_edit" if asked.path.endswith("/edits") else "image_generation"
            previews = self.previewed(kind, scene)
            return told([*previews, self.finished(kind, entries[0])])
        return answered(self.body(entries, said))

    def entry(self, picture: bytes | None, scene: Scene) -> Json:
        """One of the pictures as an entry of `data`."""
        assert picture is not None
        return {"url": self.shelve(picture)} if scene.by_url else {"b64_json": spelt(picture)}

    def body(self, entries: list[Json], said: Json) -> Json:
        """The whole answer."""
        return {"created": _MOMENT, "data": entries, "usage": self.usage(len(entries))}

    def usage(self, count: int) -> Json:
        """What *count* pictures used."""
        return {
            "input_tokens": 10,
            "output_tokens": 100 * count,
            "total_tokens": 10 + 100 * count,
            "input_tokens_details": {"text_tokens": 10, "image_tokens": 0},
        }

    def previewed(self, kind: str, scene: Scene) -> Iterator[Json]:
        """The events of the previews."""
        for step in range(scene.previews):
            preview = {"b64_json": spelt(scene.preview(0, step)), "partial_image_index": step}
            yield {"type": f"{kind}.partial_image", **preview}

    def finished(self, kind: str, entry: Json) -> Json:
        """The last event."""
        about = {"created_at": _MOMENT, "usage": self.usage(1)}
        return {"type": f"{kind}.completed", **entry, **about}


class CompatibleHost(ImagesHost):
    """A host that speaks the Images API as its `row` says.

    `errors` is how it words them: as OpenAI ("object"), as a "text" alone, or as a "detail".
    `prefix` stands before its base64.
    """

    row: ClassVar[Row]
    errors: ClassVar[Literal["object", "text", "detail"]] = "object"
    prefix: ClassVar[str] = ""

    def paths(self) -> tuple[str, str]:
        """Those of the row."""
        return self.row.paths.generate, self.row.paths.edit or self.row.paths.generate

    def wanted(self, said: Json) -> int:
        """By the name that the row has for it."""
        return int(said.get(self.row.field("n") or "n", 1))

    def troubled(self, asked: Asked, trouble: Trouble) -> Reply:
        """The error of that *trouble*, as this host words it."""
        status, _, code = TROUBLES[trouble]
        status = 402 if trouble == "quota" else status
        words = f"the host says: {trouble}"
        if self.errors == "text":
            return answered({"error": words}, status)
        if self.errors == "detail":
            return answered({"detail": words}, status)
        error: Json = {"message": words, "code": code}
        if self.row.rejected and trouble == "moderation":
            error["code"] = status = 403
            _put(error, self.row.rejected, ["violence"])
        return answered({"error": error}, status)

    def entry(self, picture: bytes | None, scene: Scene) -> Json:
        """One of the pictures, or what says that it was refused."""
        if picture is None:
            return dict(self.row.refused)
        entry = super().entry(picture, scene)
        if "b64_json" in entry:
            entry["b64_json"] = f"{self.prefix}{entry['b64_json']}"
        return entry

    def body(self, entries: list[Json], said: Json) -> Json:
        """The whole answer, with its price where the row knows one."""
        return self._priced({"created": _MOMENT, "data": entries})

    def finished(self, kind: str, entry: Json) -> Json:
        """The last event, with its price."""
        return self._priced({"type": f"{kind}.completed", "created": _MOMENT, **entry})

    def _priced(self, body: Json) -> Json:
        for path in self.row.cost:
            _put(body, path, 7)
        return body


class ResponsesHost(_OpenAI):
    """A host that speaks the image tool of OpenAI's Responses API: whole, streamed, as jobs."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: dict[str, Json] = {}
        self._made = 0

    def answer(self, asked: Asked, scene: Scene) -> Reply:
        """A response, or what has become of one."""
        _, here, rest = asked.path.partition("/responses")
        if not here or (not rest and asked.method != "POST"):
            return self.beside(asked)
        if rest:
            return self._again(asked, scene, *rest[1:].split("/"))
        said = asked.json()
        self._made += 1
        body = self._response(f"resp_{self._made}", scene.take()[0], said)
        self._kept[body["id"]] = body
        if said.get("stream"):
            return told(self._events(body, scene))
        if said.get("background"):
            return answered({**body, "status": "queued", "output": []})
        return answered(body)

    def _again(self, asked: Asked, scene: Scene, id: str, verb: str = "") -> Reply:
        body = self._kept.get(id)
        if body is None:
            return self.beside(asked)
        if asked.method == "DELETE":
            del self._kept[id]
            return answered({"id": id, "deleted": True})
        if verb == "cancel":
            self._kept[id] = {**body, "status": "cancelled", "output": []}
            return answered(self._kept[id])
        if asked.query.get("stream") == "true":
            after = int(asked.query.get("starting_after", -1))
            return told(self._events(body, scene)[after + 1 :])
        if body["status"] == "completed" and not scene.done():
            return answered({**body, "status": "in_progress", "output": []})
        return answered(body)

    def _response(self, id: str, picture: bytes | None, said: Json) -> Json:
        call: Json = {"id": f"ig_{id}", "type": "image_generation_call", "status": "completed"}
        if picture is None:
            call |= {"status": "failed", "result": None, "error": _error("moderation")}
        else:
            call["result"] = spelt(picture)
        return {
            "id": id,
            "object": "response",
            "created_at": _MOMENT,
            "status": "completed",
            "model": said.get("model"),
            "store": said.get("store", True),
            "output": [call],
            "usage": {"input_tokens": 20, "output_tokens": 5, "total_tokens": 25},
            "tool_usage": {"image_gen": {"input_tokens": 10, "output_tokens": 100}},
        }

    def _events(self, body: Json, scene: Scene) -> list[Json]:
        call = body["output"][0]
        begun = {**body, "status": "in_progress", "output": []}
        named = {"item_id": call["id"], "output_index": 0}
        during = "response.image_generation_call"
        previews = [
            {
                "type": f"{during}.partial_image",
                **named,
                "partial_image_b64": spelt(scene.preview(0, step)),
                "partial_image_index": step,
            }
            for step in range(scene.previews)
        ]
        events: list[Json] = [
            {"type": "response.created", "response": begun},
            {"type": f"{during}.in_progress", **named},
            {"type": f"{during}.generating", **named},
            *previews,
            {"type": "response.output_item.done", "output_index": 0, "item": call},
            {"type": "response.completed", "response": body},
        ]
        return [{**one, "sequence_number": number} for number, one in enumerate(events)]


def _put(body: Json, path: str, value: Any) -> None:
    *outer, last = path.split(".")
    for name in outer:
        body = body.setdefault(name, {})
    body[last] = value
