"""What a caller wants, in no provider's words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeAlias

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    JsonValue,
    field_validator,
    model_validator,
)

from ._image import Image
from ._input import ImageInput, ProviderFile, all_in_code, in_code
from ._mask import Mask
from ._value import Value, sayable

Operation: TypeAlias = Literal["generate", "edit", "variation"]
Unsupported: TypeAlias = Literal["adapt", "error", "ignore"]
Options: TypeAlias = Mapping[str, Mapping[str, JsonValue]]

_SIZE = re.compile(r"(?P<width>[1-9]\d{0,5})x(?P<height>[1-9]\d{0,5})", re.ASCII)
# A number above nothing.
_SOME = r"(?=[0.]*[1-9])\d{1,6}(?:\.\d{1,6})?"
_ASPECT = re.compile(rf"(?P<wide>{_SOME}):(?P<high>{_SOME})(?:@(?P<tier>{_SOME}[Kk]?))?", re.ASCII)


def _size(value: object) -> object:
    if isinstance(value, tuple | list) and len(value) == 2:
        value = f"{value[0]}x{value[1]}"
    if value is None or value == "auto":
        return value
    if isinstance(value, str) and (_SIZE.fullmatch(value) or _ASPECT.fullmatch(value)):
        return value
    raise ValueError(
        f"a size is pixels ('1536x864'), an aspect ratio ('16:9'), one with a tier ('16:9@2K') "
        f"or 'auto', not {value!r}"
    )


def _inputs(value: object) -> object:
    single = bytes | bytearray | memoryview | str | Image | ImageInput | ProviderFile
    if isinstance(value, single | Mapping) or hasattr(value, "__fspath__"):
        return (value,)
    return value


def _format(value: object) -> object:
    if not isinstance(value, str):
        return value
    return {"jpg": "jpeg"}.get(value.lower(), value.lower())


def _brief(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"


class State(Value):
    """Where a provider left off: hand it back to continue the picture.

    Opaque to everybody but the provider that gave it; it goes to JSON and back.
    """

    provider: str
    payload: Mapping[str, JsonValue] = Field(repr=False)

    _goes_to_json = field_validator("*")(sayable)


class ImageRequest(Value):
    """What the caller wants.

    The operation is derived, never passed: no pictures is a "generate", pictures with a prompt an
    "edit", pictures alone a "variation". A `state` alone continues an earlier picture, which is an
    "edit" too.

    `size` is pixels ("1536x864"), an aspect ratio ("16:9"), one with a tier ("16:9@2K"), or
    "auto". `output_format` is "png", "jpeg", "webp" …; `output_compression` is 0 to 100.
    `options` hold what only one provider knows, under its name or its family's. None means "not
    said", and then nothing is sent, but for what providers keep changing (the model).

    `detach` lets the provider go on by itself where it can, so that a call that breaks off can be
    resumed; see `Client.submit`.

    In code a picture may be a path; in data that is validated, such as JSON, it may not, so that
    a stranger's request names no files.
    """

    prompt: str | None = None
    images: Annotated[tuple[ImageInput, ...], BeforeValidator(_inputs)] = ()
    mask: Mask | None = None
    model: str | None = None
    n: int = Field(default=1, ge=1, le=1000)
    size: Annotated[str | None, BeforeValidator(_size)] = None
    seed: int | None = None
    negative_prompt: str | None = None
    quality: str | None = None
    background: str | None = None
    output_format: Annotated[str | None, BeforeValidator(_format)] = None
    output_compression: int | None = Field(default=None, ge=0, le=100)
    moderation: str | None = None
    partial_images: int | None = Field(default=None, ge=0)
    user: str | None = None
    state: State | None = None
    detach: bool = False
    options: Options = Field(default_factory=dict)
    unsupported: Unsupported = "adapt"

    _goes_to_json = field_validator("*")(sayable)

    if not TYPE_CHECKING:

        def __init__(self, **fields: Any) -> None:
            if "images" in fields:
                fields["images"] = all_in_code(fields["images"])
            mask = fields.get("mask")
            if isinstance(mask, Mapping) and "image" in mask:
                fields["mask"] = {**mask, "image": in_code(mask["image"])}
            BaseModel.__init__(self, **fields)

        __init__.__pydantic_base_init__ = True

    def __repr__(self) -> str:
        said = {name: getattr(self, name) for name in self.model_fields_set}
        words = [
            f"{name}={_brief(value)}" for name, value in said.items() if value not in (None, ())
        ]
        return f"<ImageRequest {self.operation}: {', '.join(words)}>"

    __str__ = __repr__

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if not self.prompt and not self.images:
            raise ValueError("a request needs a prompt, a picture, or both: neither was given")
        if self.mask is not None and not self.images and self.state is None:
            raise ValueError("a mask needs a picture to apply to")
        if self.mask is not None and not self.prompt:
            raise ValueError("a mask needs a prompt that says what to put there")
        return self

    @property
    def operation(self) -> Operation:
        """What this asks for: "generate", "edit" or "variation"."""
        if not self.images and self.state is None:
            return "generate"
        return "edit" if self.prompt else "variation"

    @property
    def pixels(self) -> tuple[int, int] | None:
        """Width and height, where the size says them."""
        found = _SIZE.fullmatch(self.size or "")
        return (int(found["width"]), int(found["height"])) if found else None

    @property
    def aspect(self) -> tuple[float, float, str | None] | None:
        """Wide, high and tier, where the size is an aspect ratio."""
        found = _ASPECT.fullmatch(self.size or "")
        if not found:
            return None
        return float(found["wide"]), float(found["high"]), found["tier"]

    def with_(self, **changes: Any) -> Self:
        """A validated copy with *changes*."""
        said = {name: getattr(self, name) for name in self.model_fields_set}
        return type(self).model_validate({**said, **changes})
