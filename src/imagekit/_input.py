"""A picture that goes in, in each way that it may be said: in code, and in data."""

from __future__ import annotations

import base64
import inspect
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol, Self, TypeAlias

from pydantic import BaseModel, BeforeValidator, Field, field_validator, model_validator

from ._blob import Blob, seen
from ._errors import RequestError
from ._image import Image, facts_of
from ._media import extension
from ._url import short_url
from ._value import Held, HeldData, Value, sayable

# A file above that many bytes is not held in memory.
LARGE = 2**20


class ProviderFile(Value):
    """A picture that the provider already keeps, by the id it gave."""

    id: str

    def __init__(self, id: str) -> None:
        BaseModel.__init__(self, id=id)

    # As in RootModel: pydantic validates by itself, so that what is missing is its error to give.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]


_NO_PATH = (
    "in data, a picture given as text is a URL or a data URL; a path is given in code, to a verb "
    "or as a pathlib.Path"
)


def _path(given: object) -> object:
    # A request may come from a stranger as JSON, and must not name files to read.
    if isinstance(given, str):
        raise ValueError(_NO_PATH)
    return given


def in_code(given: Any) -> Any:
    """One picture as code may say it and data may not: by a path, or by a file that is open."""
    match given:
        case str() if not given.startswith(("data:", "http://", "https://")):
            return Path(given)
        case Mapping():
            path, data = given.get("path"), given.get("data")
            said = {"path": Path(path)} if isinstance(path, str) else {}
            return {**given, **said, **(_read(data) if _is_file(data) else {})}
        case tuple() if _is_pair(given):
            name, data = given
            return {**(_read(data) if _is_file(data) else {"data": data}), "name": name}
    return _read(given) if _is_file(given) else given


def all_in_code(given: Any) -> Any:
    """One picture or several, as `in_code` has each."""
    if isinstance(given, tuple) and _is_pair(given):
        raise RequestError(
            f"({given[0]!r}, …) may be one picture and its name, or two pictures: "
            "put the pair into a list, or both pictures"
        )
    if isinstance(given, list | tuple):
        return tuple(in_code(one) for one in given)
    return in_code(given)


def _is_file(given: object) -> bool:
    return hasattr(given, "read") and not isinstance(given, Image)


def _is_pair(given: tuple[Any, ...]) -> bool:
    bytes_like = bytes | bytearray | memoryview
    return (
        len(given) == 2
        and isinstance(given[0], str)
        and (isinstance(given[1], bytes_like) or _is_file(given[1]))
    )


def _read(file: Any) -> dict[str, Any]:
    """What *file* holds from where it stands, and its name. It stays open: it is the caller's."""
    try:
        data = _left_there(file) or file.read()
    except (OSError, ValueError) as error:
        raise RequestError(f"cannot read the picture from {file!r}: {error}") from error
    if inspect.iscoroutine(data):
        data.close()
        raise RequestError(f"{file!r} is an async file: read it, and give the bytes")
    if isinstance(data, str):
        raise RequestError(f"{file!r} is open as text: open a picture with 'rb'")
    if not isinstance(data, bytes | bytearray | memoryview | Blob):
        raise RequestError(f"{file!r} is no file of bytes: it gave {type(data).__name__}")
    if not data:
        raise RequestError(f"{file!r} holds nothing from where it stands; seek(0) goes back")
    name = getattr(file, "name", None)
    said = {"name": Path(name).name} if isinstance(name, str) else {}
    return {"data": data if isinstance(data, Blob) else bytes(data), **said}


def _left_there(file: Any) -> Blob | None:
    """The whole of a large file that is open to be read, where its name still leads to it."""
    if type(file) is not io.BufferedReader or not isinstance(file.name, str) or file.tell():
        return None
    path, about = Path(file.name).absolute(), os.fstat(file.fileno())
    if about.st_size <= LARGE or not path.exists() or not os.path.samestat(path.stat(), about):
        return None
    file.seek(0, os.SEEK_END)
    return Blob.in_file(path, about.st_size, seen=seen(file.fileno()))


class ImageInput(Value):
    """A picture that goes in: bytes, a path, a URL or a provider's file, and its role.

    In code it may also be a binary file that is open: it is read from where it stands, and left
    open.

    `role` is "source" (what is edited), "reference" (what is looked at), "markup" (marks drawn
    over the first picture), or whatever word a provider understands.
    """

    data: Held | None = Field(default=None, repr=False)
    path: Annotated[Path | None, BeforeValidator(_path)] = None
    url: str | None = Field(default=None, repr=False)
    file_id: str | None = None
    role: str = "source"
    name: str | None = None

    _goes_to_json = field_validator("url", "file_id", "role")(sayable)

    @field_validator("name")
    @classmethod
    def _legible(cls, name: str | None) -> str | None:
        # A file may be called by bytes that are no text.
        return name and name.encode("utf-8", "replace").decode()

    if not TYPE_CHECKING:

        def __init__(self, **fields: Any) -> None:
            BaseModel.__init__(self, **in_code(fields))

        __init__.__pydantic_base_init__ = True

    @model_validator(mode="before")
    @classmethod
    def _from_anything(cls, given: Any) -> Any:
        return _given(given)

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        said = [x for x in (self.blob, self.path, self.url, self.file_id) if x is not None]
        if len(said) != 1:
            raise ValueError("an input picture is exactly one of data, path, url and file_id")
        return self

    @property
    def blob(self) -> Blob | None:
        """Where its bytes are, in memory or in a file; None where they are not here.

        A large picture stays in its file until it is sent, as `Part(…, image.blob, …)` does it;
        `data` reads it into memory.
        """
        held = self.__dict__["data"]
        return Blob.of(held) if isinstance(held, bytes) else held

    def __hash__(self) -> int:
        # Equal pictures have as many bytes; to go by the bytes would be to read a file.
        size = len(self.blob) if self.blob is not None else None
        return hash((size, self.path, self.url, self.file_id, self.role, self.name))

    @property
    def media_type(self) -> str | None:
        """The type its bytes show; None where there are no bytes, or none we know."""
        found = facts_of(self.blob) if self.blob is not None else None
        return found.media_type if found else None

    @property
    def filename(self) -> str:
        """A real file name, with the ending that its bytes ask for."""
        stem = Path(self.name or (self.path.name if self.path else "image")).stem or "image"
        return f"{stem}.{extension(self.media_type)}"

    @property
    def named(self) -> str:
        """What to call it in a message: its path, its id, its URL, or how many bytes it is."""
        what = f"of {len(self.blob)} bytes" if self.blob is not None else None
        what = what or str(self.path or self.file_id or short_url(self.url))
        return what if len(what) <= 200 else what[:200] + "…"

    def __repr__(self) -> str:
        return f"<ImageInput {self.role}: {self.named.removeprefix('of ')}>"

    __str__ = __repr__


ImageInput.data = HeldData()  # type: ignore[assignment]


class Readable(Protocol):
    """A binary file that is open, or what is like one."""

    def read(self) -> bytes:
        """Everything from where it stands."""
        ...


InputLike: TypeAlias = (
    "ImageInput | Image | ProviderFile | bytes | str | os.PathLike[str] | Mapping[str, Any] "
    "| Readable | tuple[str, bytes | Readable]"
)


def _given(given: Any) -> Any:
    match given:
        case bytes() | bytearray() | memoryview():
            return {"data": bytes(given)}
        case str() if given.startswith("data:"):
            head, _, text = given.partition(",")
            if not head.endswith(";base64"):
                raise ValueError("a data URL must be base64")
            return {"data": base64.b64decode(text, validate=True)}
        case str() if given.startswith(("http://", "https://")):
            return {"url": given}
        case str():
            raise ValueError(_NO_PATH)
        case os.PathLike():
            return {"path": Path(given)}
        case ProviderFile():
            return {"file_id": given.id}
        case Image():
            if given.path is not None:
                return {"path": given.path}
            return {"data": given.data} if given.data is not None else {"url": given.url}
    return given
