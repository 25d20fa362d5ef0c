"""OpenAI's published description, read in place: what it says of a request and of an answer."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

ROOT = Path(__file__).parents[2]
HOME = Path(os.environ.get("IMAGEKIT_OPENAPI", ROOT.parent / "shared" / "openapi"))
ABSENT = f"the description is not here ({HOME.name}/ beside the project, or IMAGEKIT_OPENAPI)"
# As published; and mended, with what is newer added from the official client's types.
PUBLISHED, MENDED = "slim.json", "sdk.json"


def here() -> bool:
    """Whether there is a description to judge by."""
    return all((HOME / name).is_file() for name in (PUBLISHED, MENDED))


@cache
def document(name: str) -> Any:
    """The document of that *name*."""
    return json.loads((HOME / name).read_text(encoding="utf-8"))


def errors_of(schema: str, instance: Any, *, by: str = MENDED) -> list[str]:
    """What of *instance* is not as the schema says, as text.

    *schema* is the name of one of the document's, or a pointer into it.
    """
    pointer = schema if schema.startswith("/") else f"/components/schemas/{schema}"
    wrong = _validator(pointer, by).iter_errors(instance)
    return [f"{one.json_path}: {_short(one.message)}" for each in wrong for one in _innermost(each)]


def check_answer(
    method: str, path: str, status: int, content_type: str, body: bytes, *, by: str = MENDED
) -> list[str]:
    """What of an answer is not as the description says, as text; of a stream, event by event."""
    operation = _operation(method, path, by)
    if operation is None:
        return [f"the description has no {method} {path}"]
    kind = content_type.partition(";")[0].strip().lower()
    if status >= 400:
        if kind != "application/json":
            return [f"an error comes as {kind or 'nothing'}, not as application/json"]
        return _json(body, "ErrorResponse", by)
    answers = document(by)["paths"][operation][method.lower()]["responses"]
    if str(status) not in answers:
        return [f"the description has no {status} for {method} {operation}"]
    kinds = answers[str(status)].get("content")
    if not kinds:
        return []
    if kind not in kinds:
        return [f"it comes as {kind or 'nothing'}, not as {' or '.join(kinds)}"]
    schema = kinds[kind]["schema"]["$ref"].removeprefix("#")
    if kind == "text/event-stream":
        return list(_stream(body, schema, by))
    return _json(body, schema, by)


def request_schema(method: str, path: str, content_type: str, *, by: str = MENDED) -> str:
    """A pointer to the schema of a request's body."""
    operation = _operation(method, path, by)
    kind = content_type.partition(";")[0].strip().lower()
    content = document(by)["paths"][operation][method.lower()]["requestBody"]["content"]
    return str(content[kind]["schema"]["$ref"]).removeprefix("#")


def properties(schema: str, *, by: str = MENDED) -> dict[str, str]:
    """A pointer for each property that the schema at *schema* names, in itself or in its parts."""
    found: Any = document(by)
    for step in schema.strip("/").split("/"):
        found = found[int(step)] if isinstance(found, list) else found[step]
    if "$ref" in found:
        return properties(found["$ref"].removeprefix("#"), by=by)
    named = {name: f"{schema}/properties/{name}" for name in found.get("properties", ())}
    for place in range(len(found.get("allOf", ()))):
        named |= properties(f"{schema}/allOf/{place}", by=by)
    return named


@cache
def _registry(name: str) -> Registry[Any]:
    resource = Resource.from_contents(document(name), default_specification=DRAFT202012)
    registry: Registry[Any] = Registry().with_resource(f"urn:{name}", resource)
    return registry


@cache
def _validator(pointer: str, name: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": f"urn:{name}#{pointer}"}, registry=_registry(name))


def _operation(method: str, path: str, by: str) -> str | None:
    """The described path that *path* is one of, with the method."""
    asked = path.partition("?")[0].removeprefix("/v1")
    for described, methods in document(by)["paths"].items():
        pattern = re.sub(r"\\{\w+\\}", r"[^/]+", re.escape(described))
        if re.fullmatch(pattern, asked) and method.lower() in methods:
            return str(described)
    return None


def _json(body: bytes | str, schema: str, by: str) -> list[str]:
    try:
        instance = json.loads(body)
    except ValueError as error:
        return [f"it is no JSON: {error}"]
    return errors_of(schema, instance, by=by)


def _stream(body: bytes, schema: str, by: str) -> Iterator[str]:
    text = body.decode(errors="replace")
    *events, rest = re.split(r"(?<=\n)\r?\n", text)
    if rest.strip():
        yield f"the stream ends inside an event: {_short(rest)}"
    if not events:
        yield "the stream has no event"
    for place, event in enumerate(events):
        lines = [line.partition(":") for line in event.splitlines()]
        said = [(name, value.removeprefix(" ")) for name, _, value in lines]
        data = "\n".join(value for name, value in said if name == "data")
        if not data:
            continue
        wrong = _json(data, schema, by)
        names = [value for name, value in said if name == "event"]
        if not wrong and names and names[-1] != json.loads(data).get("type"):
            wrong = [f"it is named {names[-1]!r}, and says another type"]
        yield from (f"event {place}: {one}" for one in wrong)


def _innermost(error: ValidationError) -> Iterator[ValidationError]:
    """What is wrong in the alternative that is meant; of a plain error, itself."""
    if not error.context:
        yield error
        return
    for inner in min(_branches(error), key=lambda one: (any(map(_other, one)), len(one))):
        yield from _innermost(inner)


def _branches(error: ValidationError) -> Iterable[list[ValidationError]]:
    found: dict[Any, list[ValidationError]] = {}
    for inner in error.context:
        found.setdefault(inner.schema_path[0], []).append(inner)
    return found.values()


def _other(error: ValidationError) -> bool:
    """Whether the thing is of another kind, by its own word, than the schema is for."""
    if error.context:
        return all(any(map(_other, branch)) for branch in _branches(error))
    if error.validator == "type":
        return not error.path
    return error.validator in ("enum", "const") and bool(error.path) and error.path[-1] == "type"


def _short(text: str, most: int = 160) -> str:
    return text if len(text) <= most else f"{text[: most // 2]} … {text[-most // 2 :]}"
