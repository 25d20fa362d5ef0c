"""Answers taken as far as they can be read: what surrounds a picture never costs it."""

from __future__ import annotations

from typing import Annotated, Any, Protocol, TypeAlias, TypeVar

from pydantic import (
    VERSION,
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    ValidationError,
)
from pydantic_core import core_schema

from imagekit import Image, ImageFailure, ProtocolError
from imagekit.provider import blob

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)
_ECHOED = "background", "output_format", "quality", "size"
# Older ones let a thread meet a class that another one is building.
_DEFERS = tuple(map(int, VERSION.split(".")[:2])) >= (2, 14)


class Read(BaseModel):
    """What is read of an answer, a setting or an option.

    Its validator is built when it is first needed, for a program needs few of them.
    """

    model_config = ConfigDict(defer_build=_DEFERS)


class _OrNone:
    """What cannot be read is None."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.with_default_schema(handler(source), default=None, on_error="default")


# A field of theirs: None where it is absent, null, or not what it used to be.
Said: TypeAlias = Annotated[T | None, _OrNone()]


class Wanted(Protocol):
    """What of a request its answer is read by, also long after it was made."""

    @property
    def n(self) -> int:
        """How many pictures it asked for."""
        ...

    @property
    def model(self) -> str | None:
        """The image model that it named."""
        ...


def read(model: type[M], body: Any) -> M:
    """*body* as *model*; what is no object at all is a `ProtocolError`."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise ProtocolError(f"unexpected answer: {str(body)[:80]!r}") from error


def echoed(answer: BaseModel) -> dict[str, Any]:
    """What *answer* says of the picture that it brings."""
    said = vars(answer)
    return {name: said[name] for name in _ECHOED if said[name] is not None}


def pictured(value: Any, **about: Any) -> Image | ImageFailure | None:
    """The picture that *value* spells in base64, and *about* it; None where nothing is there."""
    if value is None:
        return None
    try:
        data = blob(value)
    except ProtocolError as error:
        return ImageFailure(kind="failed", reason=str(error))
    return Image.of(data, **about) if data else None
