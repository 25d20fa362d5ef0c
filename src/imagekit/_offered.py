"""What a language model may ask for: a JSON Schema from capabilities, and arguments held to it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Mapping
from typing import Any, Literal, TypeAlias

from ._capabilities import Allowed, Capabilities, SizeRule

Schema: TypeAlias = dict[str, Any]
Tool: TypeAlias = Literal["generate", "edit"]

# More input pictures than this are not offered, whatever the model takes.
MOST_INPUTS = 16
_LONGEST = 32_000
_PIXELS = "[1-9][0-9]{0,4}x[1-9][0-9]{0,4}"
_SHAPE = "[1-9][0-9]{0,2}:[1-9][0-9]{0,2}"

_SOFT: Mapping[str, Schema] = {
    "quality": {
        "type": "string",
        "minLength": 1,
        "maxLength": 40,
        "description": "How carefully it is made; better takes longer and costs more.",
    },
    "background": {
        "type": "string",
        "enum": ["auto", "opaque", "transparent"],
        "description": "What is behind the subject.",
    },
    "output_format": {
        "type": "string",
        "minLength": 1,
        "maxLength": 20,
        "description": "The file format, such as png, jpeg or webp.",
    },
    "negative_prompt": {
        "type": "string",
        "minLength": 1,
        "maxLength": _LONGEST,
        "description": "What should not be in the picture.",
    },
    "seed": {
        "type": "integer",
        "minimum": 0,
        "maximum": 2**31 - 1,
        "description": "The same seed with the same words makes the same picture.",
    },
}
# Offered only where the model is known to have them.
_RARE = ("negative_prompt", "seed")


def parameters(
    tool: Tool, able: Capabilities, *, settled: Collection[str], most: int, files: bool
) -> Schema | None:
    """The arguments of *tool* for a model that is *able*, as a JSON Schema; None: it cannot.

    *settled* are fields that are the host's, *most* how many pictures a call may ask for, and
    *files* whether an input may be the name of a file.
    """
    if tool not in able.operations | able.emulates or (tool == "edit" and able.max_inputs == 0):
        return None
    what = "The picture to make" if tool == "generate" else "The change to make"
    prompt = {
        "type": "string",
        "minLength": 1,
        "maxLength": _LONGEST,
        "description": f"{what}, in words.",
    }
    found: Schema = {"prompt": prompt}
    if tool == "edit":
        found |= _inputs(able, files)
    soft = {"size": _size(able.size), **_SOFT}
    for name, schema in soft.items():
        known = able.supports(name)
        if name in settled or known == "no" or (name in _RARE and known == "unknown"):
            continue
        if isinstance(known, Allowed):
            schema = _narrowed(schema, known)
        if schema.get("enum") != []:
            found[name] = schema
    if most > 1 and "n" not in settled:
        found["n"] = {
            "type": "integer",
            "minimum": 1,
            "maximum": most,
            "description": "How many pictures to make; 1 unless said.",
        }
    return _object(found, ["prompt", "images"] if tool == "edit" else ["prompt"])


def _object(properties: Schema, required: list[str]) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _inputs(able: Capabilities, files: bool) -> Schema:
    picture: Schema = {"type": "string", "pattern": "^image-[1-9][0-9]{0,8}$"}
    picture["description"] = "A picture's handle, such as image-1; never a path or a URL."
    if files:
        picture = {"type": "string", "minLength": 1, "maxLength": 255}
        picture["description"] = (
            "A picture's handle, such as image-1, or the name of a file in the host's folder, "
            "such as photos/otter.png; never another path or a URL."
        )
    found: Schema = {
        "images": {
            "type": "array",
            "items": picture,
            "minItems": 1,
            "maxItems": min(able.max_inputs or MOST_INPUTS, MOST_INPUTS),
            "description": "The pictures to change; the first is the one that is edited.",
        }
    }
    if able.mask is not None:
        where = {
            "type": "string",
            "enum": ["transparent", "opaque", "white", "black"],
            "description": "What in the mask marks the part that may change.",
        }
        found["mask"] = _object({"image": picture, "edit_where": where}, ["image", "edit_where"])
        found["mask"]["description"] = "Which part of the first picture may change."
    return found


def _size(rule: SizeRule | None) -> Schema:
    if rule is None:
        return {
            "type": "string",
            "pattern": f"^{_PIXELS}$",
            "description": "Width and height in pixels, such as 1024x1024.",
        }
    if rule.shapes:
        return {
            "type": "string",
            "enum": [*rule.shapes, *(f"{a}@{b}" for a in rule.shapes for b in rule.tiers)],
            "description": "The shape, width to height"
            + (", and how large: 16:9, or 16:9@2K." if rule.tiers else ", such as 16:9."),
        }
    if rule.sizes:
        return {
            "type": "string",
            "enum": list(rule.sizes),
            "description": "Width and height in pixels.",
        }
    return {
        "type": "string",
        "pattern": f"^({_PIXELS}|{_SHAPE})$",
        "description": "Width and height in pixels, such as 1024x1024, or a shape such as 16:9. "
        f"Sizes that the model makes: {_limits(rule)}; another becomes the nearest of them.",
    }


def _limits(rule: SizeRule) -> str:
    words = [f"each side at least {-(-rule.low_edge // rule.multiple) * rule.multiple}"]
    words += [f"at most {rule.high_edge}"] if rule.high_edge else []
    words += [f"a multiple of {rule.multiple}"] if rule.multiple > 1 else []
    words += [f"not longer than {rule.ratio:g}:1"] if rule.ratio else []
    words += [f"at least {rule.low_pixels} pixels in all"] if rule.low_pixels > 1 else []
    words += [f"at most {rule.high_pixels} pixels in all"] if rule.high_pixels else []
    return ", ".join(words)


def _narrowed(schema: Schema, known: Allowed) -> Schema:
    """*schema* with the values that are *known*; an empty enum where none of them fits it."""
    about = {"type": schema["type"], "description": schema["description"]}
    if known.values is not None and not known.others:
        values: list[Any] = list(known.values)
        if schema["type"] == "integer":
            values = [int(one) for one in values if re.fullmatch(r"-?[0-9]{1,18}", one)]
            return {**about, "enum": values}
        return {**about, "enum": [one for one in values if wrong(one, schema) is None]}
    if schema["type"] != "integer":
        return {**schema, "description": f"{schema['description']} Allowed: {known}."}
    low, high = known.low, known.high
    if low is not None and math.isfinite(low):
        about["minimum"] = math.ceil(low)
    if high is not None and math.isfinite(high):
        about["maximum"] = math.floor(high)
    return about


def merged(offers: Mapping[str, Schema]) -> Schema:
    """One schema for several models: *offers* by the model's name, and which of them is meant.

    Where they differ, either is allowed; what is asked of one is held to its own schema.
    """
    found: Schema = {}
    for name in {name: None for one in offers.values() for name in one["properties"]}:
        ways: list[tuple[Schema, list[str]]] = []
        for model, one in offers.items():
            schema = one["properties"].get(name)
            same = [names for known, names in ways if known == schema]
            if same:
                same[0].append(model)
            elif schema is not None:
                ways.append((schema, [model]))
        told = [
            schema
            if len(models) == len(offers)
            else {**schema, "description": f"{schema['description']} With {', '.join(models)}."}
            for schema, models in ways
        ]
        found[name] = told[0] if len(told) == 1 else {"anyOf": told}
    return {**next(iter(offers.values())), "properties": found}


def wrong(value: object, schema: Schema, where: str = "") -> str | None:
    """Why *value* does not fit *schema*, in a line; None when it does.

    Reads the keywords that `parameters` writes, and no others.
    """
    at = f"{where}: " if where else ""
    if not _is(value, schema["type"]):
        return f"{at}must be {_KINDS[schema['type']]}, not {brief(value)}"
    if "enum" in schema and value not in schema["enum"]:
        return f"{at}must be one of {', '.join(map(str, schema['enum']))}, not {brief(value)}"
    match value:
        case str():
            return _wrong_text(value, schema, at)
        case list():
            return _wrong_list(value, schema, where, at)
        case Mapping():
            return _wrong_object(value, schema, where, at)
    assert isinstance(value, int | float)
    if schema.get("minimum", value) <= value <= schema.get("maximum", value):
        return None
    bounds = (("minimum", "at least"), ("maximum", "at most"))
    said = [f"{words} {schema[name]}" for name, words in bounds if name in schema]
    return f"{at}must be {' and '.join(said)}, not {brief(value)}"


_KINDS = {
    "string": "text",
    "integer": "a whole number",
    "array": "a list",
    "object": "an object",
}


def _is(value: object, kind: str) -> bool:
    match kind:
        case "string":
            return isinstance(value, str)
        case "array":
            return isinstance(value, list)
        case "object":
            return isinstance(value, Mapping)
    if isinstance(value, float):
        return value.is_integer()
    return isinstance(value, int) and not isinstance(value, bool)


def _wrong_text(value: str, schema: Schema, at: str) -> str | None:
    if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
        if not value:
            return f"{at}must not be empty"
        return f"{at}must be at most {schema['maxLength']} characters, not {len(value)}"
    if re.search("[\ud800-\udfff]", value):
        return f"{at}must be text, not half of a character"
    # The whole of it: a "$" of Python's allows the end of a line after it.
    if "pattern" in schema and not re.fullmatch(schema["pattern"], value):
        return f"{at}{schema['description']} It was {brief(value)}"
    return None


def _wrong_list(value: list[Any], schema: Schema, where: str, at: str) -> str | None:
    if not schema["minItems"] <= len(value) <= schema["maxItems"]:
        return f"{at}must hold {schema['minItems']} to {schema['maxItems']}, not {len(value)}"
    whys = (wrong(one, schema["items"], f"{where}[{at_}]") for at_, one in enumerate(value))
    return next((why for why in whys if why is not None), None)


def _wrong_object(value: Mapping[Any, Any], schema: Schema, where: str, at: str) -> str | None:
    properties = schema["properties"]
    for name in value:
        if name not in properties:
            return f"{at}there is no parameter {brief(name)}; there are: {', '.join(properties)}"
    for name in schema["required"]:
        if name not in value:
            return f"{at}{name} is missing"
    dot = f"{where}." if where else ""
    whys = (wrong(one, properties[name], f"{dot}{name}") for name, one in value.items())
    return next((why for why in whys if why is not None), None)


def brief(value: object) -> str:
    """*value* in a few words, whatever a model sent."""
    match value:
        case str():
            return json.dumps(value if len(value) <= 60 else f"{value[:60]}…", ensure_ascii=False)
        case bool() | None:
            return json.dumps(value)
        case int() | float() if abs(value) < 1e20:
            return repr(value)
        case int() | float():
            return "that number"
        case list():
            return "a list"
        case Mapping():
            return "an object"
    return f"a {type(value).__name__}"
