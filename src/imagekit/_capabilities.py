"""What a model can do, as data: known, unknown, or on a condition."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, field_validator

from ._mask import EditWhere
from ._prices import Prices
from ._request import ImageRequest, Operation
from ._value import Value

Transport: TypeAlias = Literal["bytes", "url", "file"]
Status: TypeAlias = Literal["released", "shuts down", "retired", "unknown"]
Fields: TypeAlias = Mapping[str, tuple[str, ...]]

# What ends later than that is no news yet.
NEAR = timedelta(days=183)


def today() -> date:
    """The day by which a model is alive or gone; tests have one of their own."""
    return date.today()


class Source(Value):
    """Where a fact is from, and the day it was looked up.

    `patch` is the user's own file (or argument) that says it in place of the plugin.
    """

    text: str | None = None
    as_of: date | None = None
    patch: str | None = None

    def with_patch(self, patch: str | None) -> Source:
        """The same as it stands in *patch*."""
        return self.model_copy(update={"patch": patch})

    def __str__(self) -> str:
        words = [self.text or "", self.as_of.isoformat() if self.as_of else ""]
        words += [f"in {self.patch}"] if self.patch else []
        return ", ".join(word for word in words if word) or "no source said"


class Lifecycle(Value):
    """When a model came and goes, as far as it is known; `replaced_by` says what to use then."""

    released: date | None = None
    shuts_down: date | None = None
    replaced_by: str | None = None

    def status(self, on: date | None = None) -> Status:
        """What the model is *on* that day; today, if none is given."""
        on = on or today()
        if self.shuts_down is not None:
            return "retired" if self.shuts_down <= on else "shuts down"
        return "released" if self.released is not None and self.released <= on else "unknown"

    def is_near(self, on: date | None = None) -> bool:
        """Whether the model is gone, or will be within half a year."""
        return self.shuts_down is not None and self.shuts_down - (on or today()) <= NEAR

    def __str__(self) -> str:
        words = [f"released {self.released}"] if self.released is not None else []
        words += [f"{self.status()} {self.shuts_down}"] if self.shuts_down is not None else []
        words += [f"replaced by {self.replaced_by}"] if self.replaced_by is not None else []
        return ", ".join(words) or "unknown"


class Allowed(Value):
    """What a parameter may be, and beside what; what is not said is open.

    * `values`: one of these; with `others`, also one that is not among them and not in `never`.
    * `low`, `high`: the least and the most of a number.
    * `when`: other fields of the request, and what each has to be where it is said; `unless`: what
      none of them may be. `operation` counts as a field.
    * `each`: what holds for single values only.
    """

    values: tuple[str, ...] | None = None
    others: bool = False
    never: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    when: Fields = Field(default_factory=dict)
    unless: Fields = Field(default_factory=dict)
    each: Mapping[str, Allowed] = Field(default_factory=dict)

    @field_validator("when", "unless")
    @classmethod
    def _of_a_request(cls, fields: Fields) -> Fields:
        for name in fields:
            if name not in ImageRequest.model_fields and name != "operation":
                raise ValueError(f"a request has no {name!r}")
        return fields

    def allows(self, value: object) -> bool:
        """Whether *value* is one of them, whatever stands beside it."""
        if str(value) in self.never:
            return False
        if self.values is not None and not self.others:
            return str(value) in self.values
        if not isinstance(value, int | float):
            return True
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    def clash(self, value: object, beside: Mapping[str, Any]) -> str | None:
        """What of *beside*, the fields of a request, *value* does not go with; None: nothing.

        A field that is missing or None was not said, and clashes with nothing.
        """
        for name, values in self.when.items():
            if beside.get(name) is not None and str(beside[name]) not in values:
                return f"only with {name} {' or '.join(values)}, not {str(beside[name])!r}"
        for name, values in self.unless.items():
            if beside.get(name) is not None and str(beside[name]) in values:
                return f"not with {name} {str(beside[name])!r}"
        own = self.each.get(str(value))
        return own.clash(value, beside) if own is not None else None

    def __str__(self) -> str:
        words = [self._range()]
        words += [f"not {', '.join(self.never)}"] if self.never else []
        words += [f"only with {name} {' or '.join(values)}" for name, values in self.when.items()]
        words += [f"not with {name} {' or '.join(values)}" for name, values in self.unless.items()]
        words += [f"{value}: {str(own).removeprefix('any; ')}" for value, own in self.each.items()]
        return "; ".join(words)

    def _range(self) -> str:
        if self.values is not None:
            return ", ".join([*self.values, *(["maybe others"] if self.others else [])])
        if self.low is None:
            return "any" if self.high is None else f"at most {self.high:g}"
        return f"at least {self.low:g}" if self.high is None else f"{self.low:g} to {self.high:g}"


Support: TypeAlias = Literal["yes", "no", "unknown"] | Allowed


class SizeRule(Value):
    """Which sizes a model makes: a closed list in pixels, any within limits, or shapes.

    `shapes` are the aspect ratios of a model that takes those and no pixels ("16:9"), `tiers` how
    large it makes them ("2K"); with none it takes no tier.
    """

    sizes: tuple[Annotated[str, Field(pattern=r"^([1-9]\d*x[1-9]\d*|auto)$")], ...] = ()
    multiple: int = Field(default=1, ge=1)
    low_edge: int = Field(default=1, ge=1)
    high_edge: int | None = None
    ratio: float | None = None
    low_pixels: int = 1
    high_pixels: int | None = None
    shapes: tuple[Annotated[str, Field(pattern=r"^[\d.]+:[\d.]+$")], ...] = ()
    tiers: tuple[Annotated[str, Field(pattern=r"^[\d.]+[Kk]?$")], ...] = ()

    def allows(self, width: int, height: int) -> bool:
        """Whether the model makes exactly this size; of shapes nobody knows the pixels."""
        if self.shapes:
            return False
        if self.sizes:
            return f"{width}x{height}" in self.sizes
        return (
            width % self.multiple == 0
            and height % self.multiple == 0
            and min(width, height) >= self.low_edge
            and (self.high_edge is None or max(width, height) <= self.high_edge)
            and (self.ratio is None or max(width, height) <= self.ratio * min(width, height))
            and width * height >= self.low_pixels
            and (self.high_pixels is None or width * height <= self.high_pixels)
        )


class Capabilities(Value):
    """What one model can do. What is not said is unknown, and passes through.

    * `operations`: what it can make; `emulates`: what its plugin can make of those, when the
      request lets it adapt.
    * `max_images`: pictures in one request, `max_images_streamed` when it streams; None is
      unknown. More than that are split over several requests.
    * `detaches`: whether the provider can go on by itself, so that a call can be resumed.
    * `max_inputs`: input pictures; `inputs`: how they may travel.
    * `mask`: what marks the part to edit on its wire; None is "it takes no mask".
    * `max_prompt`: characters of a prompt; a longer one is refused, never cut.
    * `size`: the sizes it makes; None is unknown. `parameters`: the other fields of a request;
      `options`: what only its provider knows, which the core does not look at.
    * `prices`: what it costs; None is unknown. `lifecycle`: when the model came and goes.
    * `source` and `as_of`: where all this is from; `sources`: where single facts are from, by the
      name of the field or parameter, or `options.NAME`.
    """

    model: str | None = None
    operations: frozenset[Operation] = frozenset({"generate"})
    emulates: frozenset[Operation] = frozenset()
    streaming: bool = False
    detaches: bool = False
    max_images: int | None = Field(default=None, ge=1)
    max_images_streamed: int | None = Field(default=None, ge=1)
    max_inputs: int | None = Field(default=None, ge=0)
    inputs: frozenset[Transport] = frozenset({"bytes"})
    mask: EditWhere | None = None
    max_prompt: int | None = Field(default=None, ge=1)
    size: SizeRule | None = None
    parameters: Mapping[str, Support] = Field(default_factory=dict)
    options: Mapping[str, Support] = Field(default_factory=dict)
    prices: Prices | None = None
    lifecycle: Lifecycle = Lifecycle()
    source: str | None = None
    as_of: date | None = None
    sources: Mapping[str, Source] = Field(default_factory=dict)

    def supports(self, parameter: str) -> Support:
        """What is known of *parameter*."""
        return self.parameters.get(parameter, "unknown")

    def source_of(self, fact: str) -> Source | None:
        """Where *fact* is from, a field's or parameter's name; None where nobody says it."""
        if fact in self.sources or (self.source is None and self.as_of is None):
            return self.sources.get(fact)
        return Source(text=self.source, as_of=self.as_of)
