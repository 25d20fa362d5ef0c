"""A host that speaks the Images API in an accent of its own, as data: what a row may say."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from functools import cache
from importlib.resources import files
from itertools import combinations
from typing import Annotated, Any, Literal, Self, TypeAlias, get_args

from pydantic import (
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from imagekit import ConfigurationError, ImagekitError, PluginError
from imagekit.provider import Config

from ._lenient import Read

# The fields of a request that are one value on the wire.
Scalar: TypeAlias = Literal[
    "prompt",
    "model",
    "n",
    "quality",
    "background",
    "output_format",
    "output_compression",
    "moderation",
    "partial_images",
    "user",
    "seed",
    "negative_prompt",
]
SCALARS: tuple[Scalar, ...] = get_args(Scalar)
# What every host has, by whatever name; no table speaks of it.
NEEDED = ("prompt", "model", "n")
# The Images API itself has none of these: a row says where its host does.
UNUSUAL = frozenset({"seed", "negative_prompt"})
OptionType: TypeAlias = Literal["string", "integer", "number", "boolean", "array", "object"]
URL, BASE64, FILE = "$url", "$base64", "$file"
Path: TypeAlias = Annotated[str, Field(pattern=r"^/[^\s?#]*$")]
Dotted: TypeAlias = Annotated[str, Field(pattern=r"^[^\s.]+(\.[^\s.]+)*$")]


def _as_openai() -> JsonValue:
    return {"image_url": URL}


class _Table(Read):
    # A key in the wrong place is not quoted by the error that says so.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Paths(_Table):
    """Where pictures are asked for; an empty `edit`: none are made of others."""

    generate: Path = "/images/generations"
    edit: Path | Literal[""] = "/images/edits"


class Inputs(_Table):
    """How input pictures travel.

    `as` a "form" or as "json"; `one` is what a single one is called there, `many` what several are;
    without `one`, a single one goes in a list of `many`. In JSON `picture` is one, "$url" standing
    for its address or data URL and "$base64" for its address or bare base64, and `file` is one that
    is kept there, "$file" standing for its id.
    """

    travel: Literal["form", "json"] = Field(default="form", alias="as")
    one: Dotted | None = None
    many: Dotted | None = None
    picture: JsonValue = Field(default_factory=_as_openai)
    file: JsonValue = None

    @field_validator("picture", "file")
    @classmethod
    def _fillable(cls, template: JsonValue, info: ValidationInfo) -> JsonValue:
        known = (FILE,) if info.field_name == "file" else (URL, BASE64)
        if template is not None and not any(one in known for one in _texts(template)):
            raise ValueError(f"nothing in it is {' or '.join(known)}, so no picture would be sent")
        return template

    @property
    def names(self) -> tuple[str, str]:
        """What a single picture is called, and what several are."""
        one, many = ("image", "image[]") if self.travel == "form" else ("images", "images")
        return self.one or self.many or one, self.many or many

    @property
    def transports(self) -> frozenset[Literal["bytes", "url", "file"]]:
        """How an input picture may be given."""
        if self.travel == "form":
            return frozenset({"bytes"})
        return frozenset({"bytes", "url"} if self.file is None else {"bytes", "url", "file"})


class Row(_Table):
    """One host: where it lives, and how it differs from OpenAI's Images API.

    * `source`, `as_of`: where this is from, and the day it was looked up.
    * `base_url`, `api_key_env`: its address, and the environment variable that holds its key; a
      host without one needs no key. `headers`: more headers to send there.
    * `model`: what is asked for where a call names none; `needs_model`: a call has to name one.
    * `paths`: where pictures are asked for. `inputs`: how input pictures travel.
    * `fields`: what a field of a request is called there, where it is not called the same; `seed`
      and `negative_prompt` travel only where they stand here. `absent`: fields that it does not
      have. `negative_after`: what stands in the prompt between what is wanted and what is not.
    * `size`: what pixels travel as: one field ("64x48"), two (width and height), or none. `shape`:
      what an aspect ratio and its tier travel as, of a host that takes them.
    * `mask`: what marks the part to edit; a row that says nothing takes no mask.
    * `streaming`: whether it streams; one that does not is asked for all pictures at once.
    * `send`: fields that go with every request. `options`: what only this host knows, by its type
      in JSON; it is sent as it is.

    No two of these are called the same there, or one as what another stands in, and none as every
    host calls the prompt, the model or the number of pictures.

    * `refused`: what stands in an entry without a picture that was refused. `rejected`: where in an
      error the reasons of a refusal stand. `cost`: where in an answer its price stands, and how
      many US dollars one of that is.
    """

    source: str | None = None
    as_of: date | None = None
    base_url: str | None = None
    api_key_env: str | None = None
    headers: Mapping[str, str] = Field(default_factory=dict, repr=False)
    model: str | None = None
    needs_model: bool = False
    paths: Paths = Paths()
    inputs: Inputs = Inputs()
    fields: Mapping[Scalar, Dotted] = Field(default_factory=dict)
    absent: tuple[Scalar, ...] = ()
    negative_after: str | None = None
    size: Annotated[tuple[Dotted, ...], Field(max_length=2)] = ("size",)
    shape: Annotated[tuple[Dotted, ...], Field(max_length=2)] = ()
    mask: Literal["transparent", "opaque", "white", "black"] | None = None
    streaming: bool = False
    send: Mapping[Dotted, JsonValue] = Field(default_factory=dict)
    options: Mapping[OptionType, tuple[Dotted, ...]] = Field(default_factory=dict)
    refused: Mapping[str, JsonValue] = Field(default_factory=dict)
    rejected: Dotted | None = None
    cost: Annotated[Mapping[Dotted, Decimal], Field(max_length=1)] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if wanted := [name for name in NEEDED if name in self.absent]:
            raise ValueError(f"absent: every host needs {wanted[0]!r}")
        both = [name for name in self.absent if name in self.fields]
        if both:
            raise ValueError(f"{both[0]!r} is absent, and has a name")
        if "negative_prompt" in self.fields and self.negative_after is not None:
            raise ValueError("a negative prompt has a field, or stands in the prompt, not both")
        called = list(self._called())
        for key, name in called:
            if name in NEEDED and key != f"fields.{name}":
                raise ValueError(f"{key}: {name!r} is what every host calls its {name}")
        for (key, name), (other, second) in combinations(called, 2):
            if name == second and not _share(key, other):
                raise ValueError(f"{key} and {other} are both called {name!r}")
            if name.startswith(f"{second}.") or second.startswith(f"{name}."):
                raise ValueError(f"{key} is {name!r} and {other} {second!r}: one inside the other")
        return self

    def _called(self) -> Iterator[tuple[str, str]]:
        """Each key that a field of a request is from, and what it is called there."""
        for name in SCALARS:
            if (called := self.field(name)) is not None:
                yield f"fields.{name}", called
        yield from (("size", name) for name in self.size)
        yield from (("shape", name) for name in self.shape)
        if self.paths.edit:
            # One that nobody names is called as many are.
            yield from zip(("inputs.many", "inputs.one"), self.inputs.names[::-1], strict=True)
            yield from [("mask", "mask")] if self.mask else ()
        yield from [("streaming", "stream")] if self.streaming else ()
        yield from (
            (f"options.{kind}", one) for kind, names in self.options.items() for one in names
        )
        yield from ((f"send.{name}", name) for name in self.send)

    def field(self, name: str) -> str | None:
        """What the field *name* of a request is called there; None where there is none."""
        if name in self.absent or (name in UNUSUAL and name not in self.fields):
            return None
        return self.fields.get(name, name)  # type: ignore[call-overload,no-any-return]

    @property
    def known_options(self) -> dict[str, OptionType]:
        """The names of the options, and the type of each."""
        return {name: kind for kind, names in self.options.items() for name in names}

    @property
    def lacking(self) -> frozenset[str]:
        """The fields of a request that do not reach it in any way."""
        found = {name for name in SCALARS if self.field(name) is None}
        if not self.streaming:
            found.add("partial_images")
        if self.negative_after is not None:
            found.discard("negative_prompt")
        return frozenset(found)


def _share(one: str, other: str) -> bool:
    """Whether these keys may call theirs the same: they never travel together, or one is usual."""
    kinds = {one.partition(".")[0], other.partition(".")[0]}
    allowed = ({"size", "shape"}, {"inputs"}, {"options", "send"}, {"streaming", "send"})
    return one != other and kinds in allowed


def _texts(template: JsonValue) -> Iterator[JsonValue]:
    inner = list(template.values()) if isinstance(template, dict) else template
    if isinstance(inner, list):
        for one in inner:
            yield from _texts(one)
    else:
        yield inner


def judged(said: Mapping[str, Any], place: str, fault: type[ImagekitError]) -> Row:
    """What is *said* as a row; a typo is a *fault* that names the *place* and the key."""
    try:
        return Row.model_validate(dict(said))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    key = ".".join(str(one) for one in first["loc"] if one != "[key]")
    what = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        what = f"there is no such key; there are: {', '.join(sorted(Row.model_fields))}"
    # Not chained: the validator's own error would show what stands in the wrong place.
    raise fault(f"{place}: {key}: {what}" if key else f"{place}: {what}")


@cache
def shipped(package: str, name: str) -> Row:
    """The row that *package* ships in the file *name*."""
    place = f"{package}/{name}"
    try:
        said = tomllib.loads(files(package).joinpath(name).read_text("utf-8"))
    except OSError as error:
        raise PluginError(f"{package} does not ship its {name}: {error}") from error
    except ValueError as error:
        raise PluginError(f"{place} is no TOML: {error}") from error
    return judged(said, place, PluginError)


def over(row: Row, config: Config) -> Row:
    """*row*, with the caller's settings in place of what it says."""
    said = row.model_dump(exclude_unset=True, by_alias=True)
    return judged({**said, **config.settings}, f"the row of {config.name!r}", ConfigurationError)


def set_up(config: Config) -> tuple[Config, Row]:
    """The row that stands in the settings, and what they say beside it."""
    row = config.settings["row"]
    if not isinstance(row, Mapping):
        raise ConfigurationError(f"the row of {config.name!r} is a table, and not one value")
    others = {name: one for name, one in config.settings.items() if name != "row"}
    found = judged(row, f"the row of {config.name!r}", ConfigurationError)
    return replace(config, settings=others), found
