"""Strict readers: a request's JSON or form into values, its mistakes into the dialect's words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails
from starlette.requests import Request

from .refusals import Refusal, RefusedError, invalid, unknown


class Wire(BaseModel):
    """What the dialect declares and nothing else; null is the same as nothing."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


W = TypeVar("W", bound=Wire)
# What JSON calls them.
_KINDS = {
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a decimal",
    list: "an array",
    dict: "an object",
    type(None): "null",
}
_WANTED = {
    "string": "a string",
    "int": "an integer",
    "float": "a number",
    "bool": "a boolean",
    "list": "an array",
    "dict": "an object",
    "model": "an object",
    "mapping": "an object",
}


# Levels and values of a body. Whoever needs more than this is not asking for a picture.
_DEEPEST, _MOST = 100, 200_000


async def json_of(request: Request) -> dict[str, Any]:
    """The body as a JSON object."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    # Also what keeps web pages out: a browser asks before it sends JSON elsewhere.
    if kind != "application/json":
        message = (
            f"Unsupported content type: '{kind[:80]}'. This API method only accepts "
            "'application/json' requests."
        )
        raise RefusedError(Refusal(415, message, code="unsupported_content_type"))
    try:
        found = parsed(await request.body())
    except (ValueError, RecursionError):
        raise invalid("We could not parse the JSON body of your request.", code=None) from None
    if not isinstance(found, dict):
        raise invalid("The JSON body of a request is an object.", code="invalid_type")
    return found


def parsed(body: bytes) -> Any:
    """What *body* says, if it is neither too much nor too deep, and can be told again: Python
    reads infinite numbers and halves of characters. Else a ValueError or a RecursionError.
    """
    # Before it is read: millions of values take seconds, in which nobody else is answered.
    if sum(map(body.count, (b",", b"[", b"{"))) > _MOST:
        raise ValueError
    found = json.loads(body.decode())
    level: list[Any] = [[found]]
    deep = 0
    while level:
        deep += 1
        if deep > _DEEPEST:
            raise ValueError
        inner = (one.values() if isinstance(one, dict) else one for one in level)
        level = [one for ones in inner for one in ones if isinstance(one, dict | list)]
    json.dumps(found, ensure_ascii=False, allow_nan=False).encode()
    return found


def read(kind: type[W], found: Mapping[str, Any], *, at: str = "") -> W:
    """*found* as *kind*; raises the first mistake in it."""
    try:
        return kind.model_validate(found)
    except ValidationError as error:
        raise _mistake(error.errors(include_url=False), at) from None


def _mistake(errors: list[ErrorDetails], at: str) -> RefusedError:
    # What is not known comes first: it may be why the rest is wrong.
    errors = sorted(errors, key=lambda one: one["type"] != "extra_forbidden")
    first = errors[0]
    where = _where(first["loc"], at)
    context, kind = first.get("ctx", {}), first["type"]
    given = first.get("input")
    match kind:
        case "extra_forbidden":
            return unknown(where)
        case "missing":
            message = f"Missing required parameter: '{where}'."
            return invalid(message, where, "missing_required_parameter")
        case "literal_error":
            values = _list(context["expected"])
            return invalid(
                f"Invalid value: {_shown(given)}. Supported values are: {values}.", where
            )
        case "greater_than_equal" | "less_than_equal":
            low = kind == "greater_than_equal"
            bound = context["ge" if low else "le"]
            number = "decimal" if isinstance(bound, float) else "integer"
            way, sign = ("below minimum", ">=") if low else ("above maximum", "<=")
            return invalid(
                f"Invalid '{where}': {number} {way} value. Expected a value {sign} {bound}, but "
                f"got {_shown(given)} instead.",
                where,
                f"{number}_{'below_min' if low else 'above_max'}_value",
            )
        case "string_too_long":
            return invalid(
                f"Invalid '{where}': string too long. Expected a string with maximum length "
                f"{context['max_length']}, but got a string with length {len(str(given))} instead.",
                where,
                "string_above_max_length",
            )
        case "string_too_short":
            message = f"Invalid '{where}': empty string. Expected a string that is not empty."
            return invalid(message, where, "empty_string")
        case "too_long" | "too_short":
            size = context.get("max_length", context.get("min_length"))
            way = "long" if kind == "too_long" else "short"
            return invalid(
                f"Invalid '{where}': array too {way}. Expected an array with "
                f"{'at most' if way == 'long' else 'at least'} {size} items.",
                where,
                f"array_{'above_max' if way == 'long' else 'below_min'}_length",
            )
        case "value_error":
            return invalid(str(context["error"]), where)
        case "string_pattern_mismatch":
            return invalid(f"Invalid value: {_shown(given)}.", where)
    wanted = _WANTED.get(kind.partition("_")[0], "another type")
    got = _KINDS.get(type(given), "another type")
    return invalid(
        f"Invalid type for '{where}': expected {wanted}, but got {got} instead.",
        where,
        "invalid_type",
    )


def _where(loc: tuple[int | str, ...], at: str) -> str:
    where = at
    for part in loc:
        if isinstance(part, int):
            where += f"[{part}]"
        else:
            where += f".{part}" if where else part
    return where[:200]


def _list(expected: str) -> str:
    return expected.replace(" or ", ", and " if expected.count("'") > 4 else " and ")


def _shown(given: object) -> str:
    text = repr(given) if isinstance(given, str) else json.dumps(given, default=str)
    return text if len(text) <= 100 else text[:100] + "…"


_BRACKETS = re.compile(r"([^\[\]]+)((?:\[[^\[\]]+\]){0,8})")


def nested(fields: Mapping[str, str], kind: type[Wire]) -> dict[str, Any]:
    """A form's text fields as the JSON that they stand for: `svg[model]`, numbers, booleans."""
    found: dict[str, Any] = {}
    for name, text in fields.items():
        match = _BRACKETS.fullmatch(name)
        if match is None:
            raise unknown(name[:200])
        head, *inner = [match[1], *re.findall(r"\[([^\[\]]+)\]", match[2])]
        value = _valued(text, kind.model_fields[head].annotation if _known(kind, head) else None)
        if value is None:
            continue
        inside = found
        for key in [head, *inner][:-1]:
            inside = inside.setdefault(key, {})
            if not isinstance(inside, dict):
                raise unknown(name[:200])
        last = [head, *inner][-1]
        if last in inside:
            raise unknown(name[:200])
        inside[last] = value
    return found


def _known(kind: type[Wire], name: str) -> bool:
    return name in kind.model_fields


def _valued(text: str, wanted: Any) -> Any:
    # Some clients spell out every default, and the absence of one.
    kinds = list(_kinds(wanted))
    if text in ("", "null") and type(None) in kinds:
        return None
    if int in kinds and re.fullmatch(r"-?\d{1,18}", text, re.ASCII):
        return int(text)
    if bool in kinds and text.lower() in ("true", "false"):
        return text.lower() == "true"
    return text


def _kinds(wanted: Any) -> Iterator[Any]:
    """*wanted*, and whatever it is made of."""
    yield wanted
    for one in get_args(wanted):
        yield from _kinds(one)
