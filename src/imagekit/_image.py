"""A picture that came: its bytes, where they are, and what they say."""

from __future__ import annotations

import base64
import io
import mmap
import os
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, cast

from pydantic import Field, JsonValue, model_validator

from ._blob import Blob, unreadable
from ._errors import RequestError
from ._media import MediaFacts, extension, facts, shape
from ._saved import saved
from ._url import short_url
from ._value import Held, HeldData, Value, held

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

T = TypeVar("T")


class Image(Value):
    """One picture, its bytes exactly as the provider sent them.

    `media_type`, `width` and `height` (pixels) are read from the bytes, not from what the provider
    says of them; that stands in `echo`, as it came. A picture that the provider gave as a URL and
    that was not fetched has no `data` yet. One that was written to a file while it arrived has a
    `path`, and its `data` are read from there each time that they are asked for.
    """

    kind: Literal["image"] = "image"
    data: Held | None = Field(default=None, repr=False)
    url: str | None = Field(default=None, repr=False)
    expires_at: datetime | None = None
    media_type: str | None = None
    width: int | None = None
    height: int | None = None
    revised_prompt: str | None = None
    seed: int | None = None
    id: str | None = None
    echo: Mapping[str, JsonValue] = Field(default_factory=dict, repr=False)

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            data: bytes | Blob | str | None = None,
            url: str | None = None,
            expires_at: datetime | None = None,
            media_type: str | None = None,
            width: int | None = None,
            height: int | None = None,
            revised_prompt: str | None = None,
            seed: int | None = None,
            id: str | None = None,
            echo: Mapping[str, Any] = ...,
        ) -> None: ...

    @model_validator(mode="before")
    @classmethod
    def _from_bytes(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and values.get("data") is not None:
            data = held(values["data"])
            values = {**values, "data": data}
            if isinstance(data, bytes | Blob):
                values |= _said(data)
        return values

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if self.length is None and self.url is None:
            raise ValueError("an image needs its bytes or a URL")
        return self

    @staticmethod
    def of(
        blob: Blob,
        *,
        revised_prompt: str | None = None,
        id: str | None = None,
        echo: Mapping[str, Any] | None = None,
    ) -> Image:
        """`Image(data=blob, …)` sooner, for a provider whose stream is waited for.

        What is said of the picture has been read from JSON: nobody checks it again.
        """
        data: Any = held(blob)
        about = {"revised_prompt": revised_prompt, "id": id, "echo": dict(echo or {})}
        return _BLANK.model_copy(update={"data": data, **about, **_said(data)})

    @property
    def _blob(self) -> Blob | None:
        """Where its bytes are; None where they are not here."""
        held = self.__dict__["data"]
        return Blob.of(held) if isinstance(held, bytes) else held

    @property
    def path(self) -> Path | None:
        """The file that its bytes are in, where they were written to one as they came."""
        return self._blob.path if self._blob is not None else None

    @property
    def length(self) -> int | None:
        """How many bytes it has; None where they are not here. No file is read for it."""
        held = self.__dict__["data"]
        return None if held is None else len(held)

    def same(self, other: Image) -> bool:
        """Whether both have their bytes here, and the same."""
        return self._blob is not None and self._blob == other._blob

    @property
    def facts(self) -> MediaFacts | None:
        """Type, size, transparency, animation and provenance, read from the bytes."""
        held = self.__dict__["data"]
        return facts_of(held) if held is not None else None

    @property
    def extension(self) -> str:
        """The usual ending of a file of its type, without a dot: "png", "jpg" …"""
        return extension(self.media_type)

    def read(self) -> bytes:
        """The bytes; raises `RequestError` when the picture is still only a URL."""
        data = self.data
        if data is None:
            raise self._still_there()
        return data

    def _still_there(self) -> RequestError:
        return RequestError(
            f"this picture is still at {short_url(self.url)}; client.fetch(image) brings it"
        )

    def open(self) -> ImageFile:
        """The bytes as a file to read from; as `read`, it needs them to be here.

        Of a picture that is in a file, it is that file.
        """
        return ImageFile(self.path or self.read(), self.media_type)

    def to_base64(self) -> str:
        """The bytes in base64, as JSON holds them."""
        return base64.b64encode(self.read()).decode()

    def to_data_url(self) -> str:
        """The picture as a data URL, as a web page or a chat message holds it."""
        return f"data:{self.media_type or _UNKNOWN};base64,{self.to_base64()}"

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = True) -> Path:
        """Write the bytes, unchanged, to *path*; returns it.

        The file appears whole or not at all. With `overwrite=False` an existing file raises
        `FileExistsError`; one that is replaced keeps its permissions. A link stays one, and what
        it leads to is replaced; a device or a pipe is written to.
        """
        target = Path(path)
        blob = self._blob
        if blob is None:
            raise self._still_there()
        saved(blob, target, overwrite=overwrite)
        return target

    def to_pil(self) -> PillowImage:
        """The picture as a `PIL.Image.Image`; needs Pillow (`pip install 'imagekit[images]'`)."""
        from ._pillow import opened

        return opened(self.read())

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        """How a notebook shows it; an SVG as an `<img>`, in which its scripts do not run."""
        if self._blob is None or self.media_type is None:
            return {"text/plain": repr(self)}
        if self.media_type == "image/svg+xml":
            shown = f'<img src="{self.to_data_url()}" alt="an SVG">'
            return {"text/html": shown, "text/plain": repr(self)}
        return {self.media_type: self.to_base64()}

    def __hash__(self) -> int:
        # Equal pictures have as many bytes; to go by the bytes would be to read a file.
        return hash((self.length, self.url, self.media_type, self.width, self.height, self.seed))

    def __repr__(self) -> str:
        size = f" {self.width}x{self.height}" if self.width and self.height else ""
        where = f"at {short_url(self.url)}" if self.length is None else f"{self.length} bytes"
        return f"<Image {self.media_type or 'of unknown type'}{size}, {where}>"

    __str__ = __repr__


# The field's own place is the instance's dictionary; pydantic makes no attribute of the class.
Image.data = HeldData()  # type: ignore[assignment]

_UNKNOWN = "application/octet-stream"
_SHAPE = "media_type", "width", "height"
_BLANK = Image.model_construct()


def facts_of(held: bytes | Blob) -> MediaFacts | None:
    """What the bytes say of themselves; of those in a file no more is read than is looked at."""
    return _looked(held, facts)


def _said(held: bytes | Blob) -> dict[str, Any]:
    """The fields of a picture that its bytes say."""
    found = _looked(held, shape)
    return dict(zip(_SHAPE, found, strict=True)) if found else {}


def _looked(held: bytes | Blob, look: Callable[[bytes | mmap.mmap], T]) -> T:
    if isinstance(held, bytes):
        return look(held)
    if held.path is None or not held:
        return look(bytes(held))
    try:
        with (
            held.path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
        ):
            return look(mapped)
    except (OSError, ValueError) as error:  # ValueError: there is nothing in it any more
        raise unreadable(held.path, error) from error


class ImageFile(io.BufferedReader):
    """A picture's bytes as a file to read from.

    `name` ("image.png") and `media_type` are those that the bytes ask for, so that whatever sends
    files knows what it sends.
    """

    # Not where it reads from, as it is of every other file.
    name: str = ""

    def __init__(self, data: bytes | Path, media_type: str | None = None) -> None:
        if isinstance(data, bytes):
            super().__init__(cast(io.RawIOBase, io.BytesIO(data)))
        else:
            try:
                super().__init__(io.FileIO(data))
            except OSError as error:
                raise unreadable(data, error) from error
        self.name = f"image.{extension(media_type)}"
        self.media_type = media_type or _UNKNOWN
