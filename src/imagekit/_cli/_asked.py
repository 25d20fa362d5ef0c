"""From what was typed to the fields of a request: prompt, pictures, options."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from .._request import State

PLAIN = (
    "model", "n", "size", "quality", "background", "output_format", "output_compression", "seed",
    "negative_prompt", "moderation", "user", "unsupported", "partial_images",
)  # fmt: skip


def fields_of(given: Mapping[str, Any], prompt: str | None) -> dict[str, Any]:
    """The request's fields; what was not said is left out."""
    fields = {name: given[name] for name in PLAIN if given.get(name) is not None}
    if prompt is not None:
        fields["prompt"] = prompt
    if given.get("detach"):
        fields["detach"] = True
    if given.get("images"):
        fields["images"] = [picture_of(word) for word in given["images"]]
    if (mask := _mask(given)) is not None:
        fields["mask"] = mask
    if given.get("state") is not None:
        fields["state"] = _state(given["state"])
    return fields


def _mask(given: Mapping[str, Any]) -> dict[str, Any] | None:
    picture, where, outside = given.get("mask"), given.get("edit_where"), given.get("edit_outside")
    shapes = _shapes(given)
    if picture is not None and shapes:
        raise click.UsageError("--mask is a picture; --mask-box and --mask-polygon draw one")
    if picture is not None and where is None:
        raise click.UsageError(
            "--mask wants --edit-where too: what marks the part that may change, "
            "transparent, opaque, white or black?"
        )
    if where is not None and picture is None:
        raise click.UsageError("--edit-where wants --mask too: a picture of that part")
    if outside and not shapes:
        raise click.UsageError("--edit-outside wants --mask-box or --mask-polygon: of what?")
    if given.get("check_mask") and picture is None and not shapes:
        raise click.UsageError("--check-mask wants a mask: --mask, --mask-box or --mask-polygon")
    if picture is not None:
        return {"image": picture, "edit_where": where}
    return {**shapes, "edit": "outside" if outside else "inside"} if shapes else None


def _shapes(given: Mapping[str, Any]) -> dict[str, Any]:
    """Boxes and polygons as they were typed: in pixels or, where they are all marked so, in %."""
    boxes, polygons = given.get("mask_boxes", ()), given.get("mask_polygons", ())
    if not boxes and not polygons:
        return {}
    percent = "%" in "".join((*boxes, *polygons))
    return {
        "boxes": [_sides(word, percent) for word in boxes],
        "polygons": [_corners(word, percent) for word in polygons],
        "unit": "fraction" if percent else "pixel",
    }


def _sides(word: str, percent: bool) -> tuple[float, ...]:
    sides = _numbers(word, percent)
    if len(sides) != 4:
        raise click.UsageError(f"--mask-box {word!r}: say LEFT,TOP,RIGHT,BOTTOM, {_UNITS}")
    return sides


def _corners(word: str, percent: bool) -> list[tuple[float, ...]]:
    corners = [_numbers(corner, percent) for corner in word.split()]
    if any(len(corner) != 2 for corner in corners) or not corners:
        raise click.UsageError(f"--mask-polygon {word!r}: say 'X,Y X,Y X,Y …', {_UNITS}")
    return corners


_UNITS = "in pixels, or all of them in %"


def _numbers(word: str, percent: bool) -> tuple[float, ...]:
    """What stands between the commas; nothing where it is not all numbers of that unit."""
    sides = [side.strip() for side in word.split(",")]
    if any(side.endswith("%") != percent for side in sides):
        return ()
    try:
        return tuple(float(side.removesuffix("%")) / (100 if percent else 1) for side in sides)
    except ValueError:
        return ()


def prompt_of(given: str | None, images: Sequence[str] = ()) -> str:
    """The prompt: as it stands, or from standard input."""
    if given is None or given == "-":
        if "-" in images:
            raise click.UsageError("standard input is a picture, so the prompt is an argument")
        given = _prompt()
    if not given.strip():
        raise click.UsageError("the prompt is empty")
    return given.strip()


def _prompt() -> str:
    data = _piped("a prompt is needed: as an argument, or on standard input")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise click.UsageError("the prompt on standard input is no text in UTF-8") from None


def picture_of(word: str) -> bytes | str:
    """A picture as it is named: a path, a URL, or the bytes on standard input."""
    if word != "-":
        return word
    data = _piped("-i - reads a picture from standard input, which is a terminal")
    if not data:
        raise click.UsageError("-i -: standard input is empty")
    return data


def _piped(otherwise: str) -> bytes:
    if sys.stdin is None or sys.stdin.isatty():
        raise click.UsageError(otherwise)
    return sys.stdin.buffer.read()


def _state(path: Path) -> State:
    from pydantic import ValidationError

    from .._request import State

    try:
        return State.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        why = getattr(error, "strerror", None) or "it holds no state that --save-state wrote"
        raise click.UsageError(f"--state {str(path)!r}: {why}") from error


def options_of(words: Sequence[str]) -> dict[str, Any]:
    """A provider's own options from `NAME=VALUE`s: JSON where it parses, dots for what nests."""
    found: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        *outer, last = name.split(".")
        if not equals or not all((*outer, last)):
            raise click.UsageError(f"-O {word!r}: say NAME=VALUE")
        inside = found
        for part in outer:
            inside = inside.setdefault(part, {})
            if not isinstance(inside, dict):
                raise click.UsageError(f"-O {word!r}: {part!r} is a value already")
        if last in inside:
            raise click.UsageError(f"-O {word!r}: {name!r} is said already")
        inside[last] = _value(value)
    return found


def _value(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_number)
    except ValueError:
        return text


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
