"""Pictures as values: those that come back, those that go in, and masks."""

from __future__ import annotations

import base64
import inspect
import io
import math
import mmap
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, Self, TypeAlias, TypeVar, cast

from pydantic import (
    VERSION,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FieldSerializationInfo,
    JsonValue,
    PlainSerializer,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from ._blob import Blob, written
from ._errors import RequestError
from ._media import MediaFacts, extension, facts

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage


# A file above that many bytes is not held in memory.
LARGE = 2**20
# Older ones let a thread meet a class that another one is building.
DEFERS = tuple(map(int, VERSION.split(".")[:2])) >= (2, 14)


T = TypeVar("T")


class Value(BaseModel):
    """A frozen value that goes to JSON and back.

    Its validator is built when it is first needed, for a program needs few of them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=DEFERS)


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


def _held(value: object) -> object:
    """Bytes as they are, those of a blob too; of a blob whose bytes are in a file the blob."""
    return value if isinstance(value, Blob) and value.path is not None else _decoded(value)


def _validated(value: object, check: ValidatorFunctionWrapHandler) -> Any:
    held = _held(value)
    return held if isinstance(held, Blob) else check(held)


def _told(value: bytes | Blob, info: FieldSerializationInfo) -> Any:
    data = bytes(value)
    return base64.b64encode(data).decode() if info.mode == "json" else data


Held: TypeAlias = Annotated[bytes, WrapValidator(_validated), PlainSerializer(_told)]


def unreadable(path: Path | None, error: Exception) -> RequestError:
    """Why the bytes of a picture cannot be had that are in a file."""
    return RequestError(
        f"cannot read the picture from {str(path)!r}: {getattr(error, 'strerror', None) or error}; "
        "a preview's file goes with its call, the file of a picture is yours to keep"
    )


class _Data:
    """The bytes of a picture, for what stands in its field may be a blob that is in a file."""

    def __get__(self, image: Any, owner: object = None) -> Any:
        if image is None:
            # As with every field: the class has none, so that one derived from it inherits it.
            raise AttributeError("data")
        held = image.__dict__["data"]
        if not isinstance(held, Blob):
            return held
        try:
            return bytes(held)
        except OSError as error:
            raise unreadable(held.path, error) from error

    def __set__(self, image: Any, value: object) -> None:
        image.__dict__["data"] = value


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
            data = _held(values["data"])
            found = facts_of(data) if isinstance(data, bytes | Blob) else None
            values = {**values, "data": data}
            if found:
                values |= {
                    "media_type": found.media_type,
                    "width": found.width,
                    "height": found.height,
                }
        return values

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if self._blob is None and self.url is None:
            raise ValueError("an image needs its bytes or a URL")
        return self

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
        return len(self._blob) if self._blob is not None else None

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
        `FileExistsError`. A link stays one; a device or a pipe is written to.
        """
        target = Path(path)
        blob = self._blob
        if blob is None:
            raise self._still_there()
        if overwrite and target.exists() and not target.is_file():
            written(blob, target)
            return target
        _placed(blob, target.resolve() if target.is_symlink() else target, overwrite)
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

    def __repr__(self) -> str:
        size = f" {self.width}x{self.height}" if self.width and self.height else ""
        where = f"at {short_url(self.url)}" if self.length is None else f"{self.length} bytes"
        return f"<Image {self.media_type or 'of unknown type'}{size}, {where}>"

    __str__ = __repr__


# The field's own place is the instance's dictionary; pydantic makes no attribute of the class.
Image.data = _Data()  # type: ignore[assignment]

_UNKNOWN = "application/octet-stream"


def facts_of(held: bytes | Blob) -> MediaFacts | None:
    """What the bytes say of themselves; of those in a file no more is read than is looked at."""
    blob = held if isinstance(held, Blob) else Blob.of(held)
    if blob.path is None or not blob:
        return facts(bytes(blob))
    try:
        with (
            blob.path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
        ):
            return facts(mapped)
    except (OSError, ValueError) as error:  # ValueError: there is nothing in it any more
        raise unreadable(blob.path, error) from error


def _placed(data: bytes | Blob, target: Path, overwrite: bool) -> None:
    # A name of its own: two threads may save to the same path.
    part = target.with_name(f"{target.name}.{uuid.uuid4().hex[:12]}.part")
    try:
        written(data, part)
        if not overwrite:
            # Whoever makes the file first has the name; not every disk has hard links.
            target.open("xb").close()
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


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


class ProviderFile(Value):
    """A picture that the provider already keeps, by the id it gave."""

    id: str

    def __init__(self, id: str) -> None:
        BaseModel.__init__(self, id=id)

    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]  # see Mask


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
    return Blob.in_file(path, about.st_size)


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


ImageInput.data = _Data()  # type: ignore[assignment]


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


EditWhere: TypeAlias = Literal["transparent", "opaque", "white", "black"]
# More shapes and points than anybody draws by hand: they may come by a stranger's.
_MOST_SHAPES, _MOST_POINTS = 100, 2_000
# Left, top, right and bottom; x and y.
Coordinate: TypeAlias = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
Box: TypeAlias = tuple[Coordinate, Coordinate, Coordinate, Coordinate]
Point: TypeAlias = tuple[Coordinate, Coordinate]
Polygon: TypeAlias = Annotated[tuple[Point, ...], Field(max_length=_MOST_POINTS)]


def _unless(usual: object, **more: Any) -> Any:
    """A field that is left out of JSON where it is as *usual*."""
    return Field(default=usual, exclude_if=lambda value: value == usual, **more)


class Mask(Value):
    """Which part of a picture may change.

    Said by a picture, `edit_where` is what in *image* marks that part. It has no default, because
    every convention is somebody's: "transparent", "opaque", "white" (the most usual) and "black".
    The picture is turned into the convention of the provider that gets it.

    Said by shapes, as `Mask.box` and `Mask.polygon` make it, `edit` is "inside" or "outside" of
    them, and `unit` what they are measured in. It is drawn when the picture is at hand.
    """

    boxes: Annotated[tuple[Box, ...], Field(max_length=_MOST_SHAPES)] = _unless(())
    polygons: Annotated[tuple[Polygon, ...], Field(max_length=_MOST_SHAPES)] = _unless(())
    edit: Literal["inside", "outside"] = _unless("inside")
    unit: Literal["pixel", "fraction"] = _unless("pixel")
    picture: ImageInput | None = _unless(None, alias="image")
    marks: EditWhere | None = _unless(None, alias="edit_where")

    model_config = ConfigDict(serialize_by_alias=True)

    def __init__(self, image: InputLike, *, edit_where: EditWhere) -> None:
        BaseModel.__init__(self, image=in_code(image), edit_where=edit_where)

    # As in RootModel: pydantic validates by itself, so that what is missing is its error to give.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    @classmethod
    def box(
        cls,
        box: Sequence[float],
        *more: Sequence[float],
        edit: Literal["inside", "outside"] = "inside",
        unit: Literal["pixel", "fraction"] = "pixel",
    ) -> Self:
        """What is inside, or outside, of one box or several: (left, top, right, bottom).

        They are measured from the upper left corner of the first picture, as it is seen upright;
        right and bottom are the first pixels beyond. With `unit="fraction"` they are parts of its
        width and height, from 0 to 1.
        """
        return cls.model_validate({"boxes": (box, *more), "edit": edit, "unit": unit})

    @classmethod
    def polygon(
        cls,
        points: Sequence[Sequence[float]],
        *more: Sequence[Sequence[float]],
        edit: Literal["inside", "outside"] = "inside",
        unit: Literal["pixel", "fraction"] = "pixel",
    ) -> Self:
        """The same of one polygon or several: the corners (x, y) of each, at least three.

        A pixel is inside where its middle is.
        """
        return cls.model_validate({"polygons": (points, *more), "edit": edit, "unit": unit})

    @model_validator(mode="before")
    @classmethod
    def _of_both(cls, values: Any) -> Any:
        # What is not there is validated too, by the name that it would have.
        if isinstance(values, Mapping):
            return {"image": None, "edit_where": None, **values}
        return values

    @field_validator("picture", "marks", mode="after")
    @classmethod
    def _said_one_way(cls, value: Any, info: ValidationInfo) -> Any:
        shaped = bool(info.data.get("boxes") or info.data.get("polygons"))
        if shaped and value is not None:
            raise ValueError("a mask is a picture or shapes, not both")
        # Shapes that are wrong are an error already.
        if not shaped and value is None and {"boxes", "polygons"} <= info.data.keys():
            raise PydanticCustomError("missing", "Field required")
        return value

    @model_validator(mode="after")
    def _measured(self) -> Self:
        if self.picture is not None and (self.edit, self.unit) != ("inside", "pixel"):
            raise ValueError("edit and unit are of boxes and polygons; a picture has edit_where")
        for left, top, right, bottom in self.boxes:
            if left >= right or top >= bottom:
                raise ValueError(
                    "a box is (left, top, right, bottom), and "
                    f"({left:g}, {top:g}, {right:g}, {bottom:g}) has nothing between its sides"
                )
        if few := [len(polygon) for polygon in self.polygons if len(polygon) < 3]:
            raise ValueError(f"a polygon has at least three points, not {few[0]}")
        if sum(map(len, self.polygons)) > _MOST_POINTS:
            raise ValueError(f"the polygons of a mask have at most {_MOST_POINTS} points together")
        self._check_unit()
        return self

    def _check_unit(self) -> None:
        said = [side for box in self.boxes for side in box]
        said += [side for polygon in self.polygons for point in polygon for side in point]
        # A shape may reach beyond the picture, but hardly by all of it.
        if self.unit == "fraction":
            if beyond := [side for side in said if not -1 <= side <= 2]:
                raise ValueError(
                    f"a fraction of a picture is from 0 to 1, not {beyond[0]:g}; "
                    "pixels are unit='pixel'"
                )
        elif said and all(0 <= side <= 1 for side in said):
            raise ValueError("all of that is the first pixel; fractions are unit='fraction'")

    @property
    def shaped(self) -> bool:
        """Whether it is boxes and polygons, which become a picture when the request is prepared."""
        return self.picture is None

    @property
    def image(self) -> ImageInput:
        """The picture that marks; raises `RequestError` while it is only shapes."""
        if self.picture is None:
            raise self._undrawn()
        return self.picture

    @property
    def edit_where(self) -> EditWhere:
        """What marks in the picture; raises `RequestError` while it is only shapes."""
        if self.marks is None:
            raise self._undrawn()
        return self.marks

    def _undrawn(self) -> RequestError:
        return RequestError(f"{self!r} is no picture yet: it is drawn when it is sent")

    def __repr_args__(self) -> Iterator[tuple[str, object]]:
        if not self.shaped:
            yield from [("image", self.picture), ("edit_where", self.marks)]
            return
        yield "edit", self.edit
        yield from [("boxes", len(self.boxes))] if len(self.boxes) > 1 else []
        yield from [("box", box) for box in self.boxes[:1] if len(self.boxes) == 1]
        counts = [len(polygon) for polygon in self.polygons]
        yield from [("polygons", len(counts)), ("points", sum(counts))] if counts else []
        yield "unit", self.unit


def short_url(url: str | None) -> str:
    """A URL without its query and user, which may be what lets anyone in."""
    head, mark, _ = (url or "")[:2000].partition("?")
    if head.startswith("data:"):
        return f"{head[:30]}…"
    scheme, slashes, rest = head.partition("//")
    host, slash, path = rest.partition("/")
    return f"{scheme}{slashes}{host.rpartition('@')[2]}{slash}{path}" + ("?…" if mark else "")
