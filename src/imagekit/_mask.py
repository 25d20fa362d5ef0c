"""Which part of a picture may change, as it is said: by a picture, or by boxes and polygons."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from ._errors import RequestError
from ._input import ImageInput, InputLike, in_code
from ._value import Value

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

    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]  # see ProviderFile

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
