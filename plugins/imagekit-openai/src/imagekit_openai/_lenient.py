"""Answers taken as far as they can be read: what surrounds a picture never costs it."""

from __future__ import annotations

from typing import Annotated, Any, Protocol, TypeAlias, TypeVar

from pydantic import BaseModel, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from imagekit import Image, ImageFailure, ProtocolError
from imagekit.provider import blob

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)


def _or_none(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    try:
        return handler(value)
    except ValidationError:
        return None


# A field of theirs: None where it is absent, null, or not what it used to be.
Said: TypeAlias = Annotated[T | None, WrapValidator(_or_none)]


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


def pictured(value: Any, **about: Any) -> Image | ImageFailure | None:
    """The picture that *value* spells in base64, and *about* it; None where nothing is there."""
    if value is None:
        return None
    try:
        data = bytes(blob(value))
    except ProtocolError as error:
        return ImageFailure(kind="failed", reason=str(error))
    return Image(data=data, **about) if data else None
