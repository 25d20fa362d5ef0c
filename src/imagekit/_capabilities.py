"""What a model can do, as data: known, unknown, or on a condition."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from ._image import EditWhere, Value
from ._request import Operation

Transport: TypeAlias = Literal["bytes", "url", "file"]


class Allowed(Value):
    """What a parameter may be: one of `values`, or from `low` to `high`; what is None is open."""

    values: tuple[str, ...] | None = None
    low: float | None = None
    high: float | None = None

    def allows(self, value: object) -> bool:
        """Whether *value* is one of them."""
        if self.values is not None:
            return str(value) in self.values
        if not isinstance(value, int | float):
            return True
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    def __str__(self) -> str:
        if self.values is not None:
            return ", ".join(self.values)
        if self.low is None:
            return "any" if self.high is None else f"at most {self.high:g}"
        return f"at least {self.low:g}" if self.high is None else f"{self.low:g} to {self.high:g}"


Support: TypeAlias = Literal["yes", "no", "unknown"] | Allowed


class SizeRule(Value):
    """Which sizes a model makes, in pixels: a closed list, or any within the limits."""

    sizes: tuple[Annotated[str, Field(pattern=r"^([1-9]\d*x[1-9]\d*|auto)$")], ...] = ()
    multiple: int = Field(default=1, ge=1)
    low_edge: int = Field(default=1, ge=1)
    high_edge: int | None = None
    ratio: float | None = None
    low_pixels: int = 1
    high_pixels: int | None = None

    def allows(self, width: int, height: int) -> bool:
        """Whether the model makes exactly this size."""
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
    * `size`: the sizes it makes; None is unknown. `parameters`: the other fields of a request.
    * `source` and `as_of`: where all this is from.
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
    size: SizeRule | None = None
    parameters: Mapping[str, Support] = Field(default_factory=dict)
    lifecycle: str | None = None
    source: str | None = None
    as_of: date | None = None

    def supports(self, parameter: str) -> Support:
        """What is known of *parameter*."""
        return self.parameters.get(parameter, "unknown")
