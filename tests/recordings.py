"""Real traffic that others recorded from the live services, read in place and never copied."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
HOME = Path(os.environ.get("IMAGEKIT_RECORDINGS", ROOT.parent / "shared" / "recordings"))
ABSENT = f"the recordings are not here ({HOME.name}/ beside the project, or IMAGEKIT_RECORDINGS)"

# A 1x1 PNG, to stand where a recording cut a picture out.
STAND_IN = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
)
_CUT = re.compile(r"^(?:.*\.\.\..*|<BASE64_IMAGE_DATA>|__BINARY_TRUNCATED__.*)$", re.S)


@dataclass(frozen=True)
class Recorded:
    """One recorded exchange."""

    method: str
    url: str
    asked: bytes
    status: int
    headers: dict[str, str]
    body: bytes
    cut: bool = field(default=False)

    @property
    def json(self) -> Any:
        """The answer's body."""
        return json.loads(self.body)

    @property
    def asked_json(self) -> Any:
        """The request's body, or None where it is no JSON."""
        try:
            return json.loads(self.asked)
        except ValueError:
            return None


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML with Ruby's spelling of binary strings."""


_Loader.add_constructor("!binary", lambda loader, node: base64.b64decode(node.value))


@cache
def recorded(name: str) -> tuple[Recorded, ...]:
    """The exchanges of the file *name*, pictures that were cut out replaced by a stand-in."""
    path = HOME / name
    if path.suffix in (".yaml", ".yml"):
        # One by one: a scrubber left bytes in one file that YAML does not allow.
        text = path.read_text(encoding="utf-8", errors="replace")
        documents = [one for one in yaml.load_all(text, Loader=_Loader) if one]
        found = [one for document in documents for one in _yaml(document)]
    elif path.suffix == ".json":
        document = json.loads(path.read_text(encoding="utf-8"))
        found = _azure(document) if "Entries" in document else [_bare(document)]
    else:
        lines = path.read_text(encoding="utf-8").splitlines()
        found = [_events([json.loads(line) for line in lines if line.startswith("{")])]
    return tuple(_mended(one) for one in found)


def _yaml(document: dict[str, Any]) -> list[Recorded]:
    if "when" in document:
        when, then = document["when"], document["then"]
        headers = {header["name"]: header["value"] for header in then["header"]}
        return [
            Recorded(
                when["method"],
                f"https://recorded.invalid{when['path']}",
                when["body"].encode(),
                then["status"],
                headers,
                then["body"].encode(),
            )
        ]
    if "interactions" in document:
        return [_vcrpy(one) for one in document["interactions"]]
    return [_ruby(one) for one in document["http_interactions"]]


def _vcrpy(one: dict[str, Any]) -> Recorded:
    asked, answer = one["request"], one["response"]
    headers = {
        name: value[0] if isinstance(value, list) else value
        for name, value in answer["headers"].items()
    }
    status = answer["status"]["code"] if "status" in answer else answer["status_code"]
    body = answer.get("content", (answer.get("body") or {}).get("string"))
    return Recorded(
        asked["method"],
        asked["uri"],
        _bytes(asked.get("body", asked.get("parsed_body"))),
        status,
        headers,
        _bytes(body if body is not None else answer.get("parsed_body")),
    )


def _ruby(one: dict[str, Any]) -> Recorded:
    asked, answer = one["request"], one["response"]
    headers = {name: value[0] for name, value in answer["headers"].items()}
    return Recorded(
        asked["method"].upper(),
        asked["uri"],
        _ruby_body(asked["body"]),
        answer["status"]["code"],
        headers,
        _ruby_body(answer["body"]),
    )


def _ruby_body(body: dict[str, Any]) -> bytes:
    if "base64_string" in body:
        return base64.b64decode(body["base64_string"])
    return _bytes(body["string"])


def _azure(document: dict[str, Any]) -> list[Recorded]:
    return [
        Recorded(
            one["RequestMethod"],
            one["RequestUri"],
            _bytes(one["RequestBody"]),
            one["StatusCode"],
            one["ResponseHeaders"],
            _bytes(one["ResponseBody"]),
        )
        for one in document["Entries"]
    ]


def _bare(document: dict[str, Any]) -> Recorded:
    status = 400 if "error" in document and "id" not in document else 200
    url = "https://recorded.invalid/v1"
    return Recorded(
        "POST", url, b"", status, {"content-type": "application/json"}, _bytes(document)
    )


def _events(events: list[dict[str, Any]]) -> Recorded:
    body = "".join(f"event: {one['type']}\ndata: {json.dumps(_whole(one))}\n\n" for one in events)
    cut = json.dumps(events) != json.dumps([_whole(one) for one in events])
    headers = {"content-type": "text/event-stream"}
    return Recorded(
        "POST", "https://recorded.invalid/v1/responses", b"", 200, headers, body.encode(), cut
    )


def _bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return gzip.decompress(value) if value[:2] == b"\x1f\x8b" else value
    if isinstance(value, str):
        return value.encode()
    return json.dumps(value).encode()


def _whole(value: Any) -> Any:
    """*value* with every cut picture replaced."""
    if isinstance(value, dict):
        keys = ("b64_json", "result", "partial_image_b64")
        return {
            key: STAND_IN
            if key in keys and isinstance(one, str) and _CUT.match(one)
            else _whole(one)
            for key, one in value.items()
        }
    return [_whole(one) for one in value] if isinstance(value, list) else value


def _mended(one: Recorded) -> Recorded:
    kept = (
        "content-type",
        "retry-after",
        "x-request-id",
        "apim-request-id",
        "openai-organization",
        "openai-processing-ms",
        "openai-project",
        "openai-version",
        "x-envoy-upstream-service-time",
        "x-ms-deployment-name",
        "x-ms-region",
    )
    headers = {
        name.lower(): value
        for name, value in one.headers.items()
        if name.lower() in kept or name.lower().startswith("x-ratelimit-")
    }
    body, cut = one.body, one.cut
    if "json" in headers.get("content-type", ""):
        document = json.loads(body)
        whole = _whole(document)
        if whole != document:
            body, cut = json.dumps(whole).encode(), True
    return Recorded(one.method, one.url, one.asked, one.status, headers, body, cut)
