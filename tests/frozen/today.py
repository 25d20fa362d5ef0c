"""The contract as it is today, as data: to be held against what it was when it was frozen."""

from __future__ import annotations

import inspect
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

import imagekit.provider
from imagekit import _hookspecs

REQUIRED = "(required)"
# Values that a plugin makes or is given, beside those at its own door.
VALUES = """
CallRecord Completed Cost HttpInfo Image ImageFailed ImageFailure ImageInput ImageReady ImageRequest
ImageResponse Mask ModelInfo Moderation Notice Noticed PartialImage Progress ProviderFile Queued
RateLimit State StoredFile Text Usage UsageItem
"""


def today() -> dict[str, Any]:
    """Hooks with their arguments, names with what they take or hold, and every default."""
    door = {name: getattr(imagekit.provider, name) for name in imagekit.provider.__all__}
    values = {name: getattr(imagekit, name) for name in VALUES.split()}
    hooks = {
        name: list(inspect.signature(hook).parameters)
        for name, hook in vars(_hookspecs).items()
        if name.startswith("imagekit_")
    }
    told = {name: described(one) for name, one in door.items()}
    return {
        "contract": imagekit.provider.CONTRACT,
        "hooks": hooks,
        "provider": told,
        "values": {name: described(one) for name, one in values.items()},
    }


def described(one: Any) -> dict[str, str]:
    """What a name takes (a function) or holds (a class), each with its default."""
    if not isinstance(one, type):
        return signature(one) if inspect.isroutine(one) else {}
    if issubclass(one, BaseModel):
        return {
            # They are given by name only.
            name: f"keyword {REQUIRED if field.is_required() else shown(field.get_default())}"
            for name, field in one.model_fields.items()
        }
    if is_dataclass(one):
        return {
            field.name: REQUIRED
            if field.default is MISSING and field.default_factory is MISSING
            else "(made)"
            if field.default is MISSING
            else shown(field.default)
            for field in fields(one)
        }
    if issubclass(one, Enum):
        return {member.name: "" for member in one}
    return {name: "" for name in vars(one) if not name.startswith("_")}


def signature(function: Any) -> dict[str, str]:
    """The parameters of *function*: their order, kinds and defaults."""
    return {
        name: f"{one.kind.name.lower()} "
        + (REQUIRED if one.default is inspect.Parameter.empty else shown(one.default))
        for name, one in inspect.signature(function).parameters.items()
    }


def shown(default: Any) -> str:
    """A default, comparable from one run to the next."""
    if default is PydanticUndefined or callable(default):
        return "(made)"
    return repr(sorted(default) if isinstance(default, frozenset) else default)


def broken(frozen: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What something written for *frozen* can no longer rely on; additions break nothing."""
    found = []
    for hook, arguments in frozen["hooks"].items():
        lost = set(arguments) - set(now["hooks"].get(hook, ()))
        found += [f"{hook} gives no {name}" for name in sorted(lost)]
        found += [] if hook in now["hooks"] else [f"{hook} is gone"]
    for place in ("provider", "values"):
        for name, held in frozen[place].items():
            if name not in now[place]:
                found.append(f"{name} is gone")
                continue
            own = now[place][name]
            found += [f"{name}.{one} is gone" for one in held if one not in own]
            found += [
                f"{name}.{one} was {default}, and is {own[one]}"
                for one, default in held.items()
                if one in own and own[one] != default
            ]
            found += [
                f"{name}.{one} is new, and has to be given"
                for one, default in own.items()
                if one not in held and default.endswith(REQUIRED)
            ]
            found += _order(name, held, own)
    return found


def _order(name: str, held: dict[str, str], own: dict[str, str]) -> list[str]:
    """What is given by place keeps its place."""
    before, after = (
        [one for one, said in parts.items() if said and not said.startswith("keyword")]
        for parts in (held, own)
    )
    same = after[: len(before)] == before
    return [] if same else [f"{name} has its parts in another order"]
