"""What our values are: frozen, to JSON and back; and the bytes of a picture as their field."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Self, TypeAlias, TypeVar

from pydantic import (
    VERSION,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    FieldSerializationInfo,
    PlainSerializer,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import PydanticSerializationError

from ._blob import Blob
from ._errors import ImagekitError

# Older ones let a thread meet a class that another one is building.
DEFERS = tuple(map(int, VERSION.split(".")[:2])) >= (2, 14)

T = TypeVar("T")


class Value(BaseModel):
    """A frozen value that goes to JSON and back.

    Its validator is built when it is first needed, for a program needs few of them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=DEFERS)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with *update*, which nobody checks; as pydantic's own, in a third of its time."""
        if deep or self.__pydantic_extra__ is not None:
            return super().model_copy(update=update, deep=deep)
        changes, private = update or {}, self.__pydantic_private__
        made, put = self.__new__(type(self)), object.__setattr__
        put(made, "__dict__", {**self.__dict__, **changes})
        put(made, "__pydantic_fields_set__", self.__pydantic_fields_set__ | changes.keys())
        put(made, "__pydantic_extra__", None)
        put(made, "__pydantic_private__", None if private is None else {**private})
        return made

    if not TYPE_CHECKING:

        def model_dump(self, **how: Any) -> Any:
            """As pydantic has it; a picture whose file is gone is a `RequestError` here too."""
            try:
                return super().model_dump(**how)
            except PydanticSerializationError as error:
                cause = error.__cause__
                if isinstance(cause, ImagekitError):
                    raise cause from cause.__cause__
                raise

        def model_dump_json(self, **how: Any) -> str:
            """The same as JSON."""
            try:
                return super().model_dump_json(**how)
            except PydanticSerializationError:
                self.model_dump(mode="json")  # it knows the cause
                raise


def sayable(value: T) -> T:
    """*value*, which goes to JSON; half of a character does not, and neither does infinity."""
    match value:
        case str():
            try:
                value.encode()
            except UnicodeEncodeError as error:
                raise ValueError("the text holds half of a character (a surrogate)") from error
        case float() if not math.isfinite(value):
            raise ValueError(f"{value} is no number that JSON knows")
        case Mapping():
            for name, one in value.items():
                sayable(name)
                sayable(one)
        case list() | tuple():
            for one in value:
                sayable(one)
    return value


def _decoded(value: object) -> object:
    if isinstance(value, Blob):
        return bytes(value)
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    return base64.b64decode(value, validate=True) if isinstance(value, str) else value


# pydantic's own base64 is the URL-safe alphabet, which nobody else reads.
Data: TypeAlias = Annotated[
    bytes,
    BeforeValidator(_decoded),
    PlainSerializer(lambda data: base64.b64encode(data).decode(), when_used="json"),
]


def held(value: object) -> object:
    """Bytes as they are, those of a blob too; of a blob whose bytes are in a file the blob."""
    return value if isinstance(value, Blob) and value.path is not None else _decoded(value)


def _validated(value: object, check: ValidatorFunctionWrapHandler) -> Any:
    found = held(value)
    return found if isinstance(found, Blob) else check(found)


def _told(value: bytes | Blob, info: FieldSerializationInfo) -> Any:
    data = bytes(value)
    return base64.b64encode(data).decode() if info.mode == "json" else data


Held: TypeAlias = Annotated[bytes, WrapValidator(_validated), PlainSerializer(_told)]


class HeldData:
    """The bytes of a picture, for what stands in its field may be a blob that is in a file."""

    def __get__(self, image: Any, owner: object = None) -> Any:
        if image is None:
            # As with every field: the class has none, so that one derived from it inherits it.
            raise AttributeError("data")
        kept = image.__dict__["data"]
        return bytes(kept) if isinstance(kept, Blob) else kept

    def __set__(self, image: Any, value: object) -> None:
        image.__dict__["data"] = value
