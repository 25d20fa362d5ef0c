"""Reading by the official SDK's types, where a field that they do not know is an error."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from pydantic import BaseModel, TypeAdapter

# The live service echoes it, as recordings show; the client's type does not declare it.
UNDECLARED = {"store"}


def extras(value: Any, where: str = "") -> Iterator[str]:
    """Where *value* holds what the official types do not know."""
    if isinstance(value, BaseModel):
        yield from (f"{where}.{name}" for name in value.model_extra or () if name not in UNDECLARED)
        for name in type(value).model_fields:
            yield from extras(getattr(value, name), f"{where}.{name}")
    elif isinstance(value, list):
        for one in value:
            yield from extras(one, where)


def known(kind: Any, body: Any) -> Any:
    """*body* as the official type *kind*, which allows it and knows all of it."""
    found = _reader(kind).validate_python(body)
    unknown = list(extras(found))
    assert unknown == [], unknown
    return found


@cache
def _reader(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
