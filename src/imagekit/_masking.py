"""What a mask means: drawn from shapes, turned and fitted to its picture, checked afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from math import ceil

from ._capabilities import Capabilities
from ._errors import ConfigurationError, RequestError, UnsupportedRequestError
from ._flow import Effects, call, notice
from ._image import Image
from ._input import ImageInput
from ._mask import EditWhere, Mask
from ._media import facts
from ._pillow import MOST_PIXELS, Size, changed, converted_mask, drawn_mask, edit_map, upright
from ._request import ImageRequest, Unsupported
from ._response import Notice

# A change to less than this is nobody's concern.
_LEAST = 0.005


def of_mask(images: Iterable[ImageInput]) -> ImageInput | None:
    """Which of *images* a mask is for: the first that is not marks drawn over another."""
    return next((one for one in images if one.role != "markup"), None)


def check_shapes(first: ImageInput | None, able: Capabilities) -> None:
    """Raise `RequestError` where the *first* picture never gets here to draw shapes for."""
    if first is None:
        where = "in a state"
    elif first.file_id is not None or (first.url is not None and "url" in able.inputs):
        where = f"not here ({first.named})"
    else:
        return
    raise RequestError(
        "a mask of shapes is drawn in the size of the picture that is edited, and that is "
        f"{where}: give the picture as bytes or a path, or the mask as a picture"
    )


def drawn(mask: Mask, first: ImageInput | None, wanted: EditWhere) -> Effects[Mask]:
    """The shapes of *mask* as a picture for the *first* one, that marks by *wanted*."""
    assert first is not None
    assert first.data is not None
    return _named((yield from call(partial(_drawn, mask, first.data, wanted))), "mask", wanted)


def fitted(
    mask: Mask, first: ImageInput | None, wanted: EditWhere, unsupported: Unsupported
) -> Effects[Mask]:
    """*mask* as one that marks by *wanted*, in the size of the *first* picture where it is here."""
    data = mask.image.data
    if data is None:
        if mask.edit_where == wanted:
            return mask
        raise UnsupportedRequestError(
            f"a mask that the provider keeps cannot be turned from {mask.edit_where!r} to "
            f"{wanted!r}; give the picture"
        )
    sizes: list[Size] = []

    def fit(own: Size) -> Size:
        size = _size(first.data) if first and first.data else None
        if size is None or size == own:
            return own
        sizes.extend((own, size))
        return _fit(own, size, unsupported)

    try:
        turned = yield from call(partial(converted_mask, data, mask.edit_where, wanted, fit))
    except ConfigurationError as error:
        if mask.edit_where != wanted:
            raise
        detail = f"not checked for an empty part, nor for its size: {error}"
        yield from notice(Notice(kind="other", feature="mask", detail=detail))
        return mask
    if sizes and unsupported != "ignore":
        own, size = map(_shown, sizes)
        detail = f"it is {own} and the picture {size}: it was fitted"
        yield from notice(
            Notice(kind="adjusted", feature="mask", detail=detail, wanted=own, used=size)
        )
    return _named(turned, mask.image.name or "mask", wanted)


def _named(data: bytes, name: str, marks: EditWhere) -> Mask:
    return Mask(ImageInput(data=data, name=name), edit_where=marks)


def _fit(own: Size, size: Size, unsupported: Unsupported) -> Size:
    if not _alike(own, size):
        raise RequestError(
            f"the mask is {_shown(own)} and the picture {_shown(size)}, which is another shape: "
            "is it the mask of another picture?"
        )
    if unsupported == "error":
        raise UnsupportedRequestError(
            f"the mask is {_shown(own)} and the picture {_shown(size)}; unsupported='adapt' fits it"
        )
    return size


def _alike(one: Size, other: Size) -> bool:
    """Whether the shape is the same, but for a rounding: a pixel of the smaller, or a hundredth."""
    (width, height), (wide, high) = sorted((one, other))
    return abs(width * high - height * wide) <= max(wide, high, width * high / 100)


def _shown(size: Size) -> str:
    return f"{size[0]}x{size[1]}"


def _size(data: bytes) -> Size | None:
    """Width and height in pixels, as the picture is seen upright; None where nobody can tell."""
    try:
        return upright(data).size
    except RequestError:
        found = facts(data)
    if found is None or not found.width or not found.height:
        return None
    return (found.width, found.height) if found.width * found.height <= MOST_PIXELS else None


def _drawn(mask: Mask, source: bytes, wanted: EditWhere) -> bytes:
    size = _size(source)
    if size is None:
        raise RequestError(
            "the size of the picture that is edited cannot be read, so no shape can be drawn for "
            "it: give it as PNG, JPEG or WebP, or the mask as a picture"
        )
    width, height = size
    wide, high = size if mask.unit == "fraction" else (1, 1)
    corners = [
        ((left, top), (right, top), (right, bottom), (left, bottom))
        for left, top, right, bottom in mask.boxes
    ]
    levels = bytearray(width * height)
    for shape in (*corners, *mask.polygons):
        _fill(levels, size, [(x * wide, y * high) for x, y in shape])
    if 255 not in levels:
        raise RequestError(
            f"no pixel of the picture, which is {_shown(size)}, is inside of the mask: {mask!r}"
        )
    if mask.edit == "outside":
        levels = levels.translate(bytes(range(255, -1, -1)))
        if 255 not in levels:
            raise RequestError(
                f"no pixel of the picture, which is {_shown(size)}, is outside of the mask: "
                f"{mask!r}"
            )
    return drawn_mask(levels, size, wanted)


def _fill(levels: bytearray, size: Size, points: Sequence[tuple[float, float]]) -> None:
    """Set each pixel whose middle is inside of the polygon to 255."""
    width, height = size
    crossings: dict[int, list[float]] = {}
    for (x, y), (to_x, to_y) in zip(points, (*points[1:], points[0]), strict=True):
        low, high = sorted((y, to_y))
        for row in range(max(0, ceil(low - 0.5)), min(height, ceil(high - 0.5))):
            crossings.setdefault(row, []).append(x + (row + 0.5 - y) * (to_x - x) / (to_y - y))
    for row, found in crossings.items():
        found.sort()
        for left, right in zip(found[::2], found[1::2], strict=True):
            start = min(width, max(0, ceil(left - 0.5)))
            count = min(width, max(0, ceil(right - 0.5))) - start
            levels[row * width + start : row * width + start + count] = b"\xff" * count


def outside(ready: ImageRequest, image: Image) -> Effects[Sequence[Notice]]:
    """What *image* changed where the mask of *ready*, a prepared request, lets nothing change.

    Nothing is said of less than half a percent. What cannot be compared is a notice, never an
    error: the picture is there and paid for.
    """
    if ready.mask is None:
        return ()
    first = of_mask(ready.images)
    source, mask = first.data if first else None, ready.mask
    if source is None:
        return (_unchecked("the picture that was edited is not here"),)
    if mask.shaped or mask.image.data is None:
        return (_unchecked("the mask is not here"),)
    if image.length is None:
        return (_unchecked("the picture that came is only a URL yet"),)
    found = yield from call(partial(_compared, source, mask.image.data, mask.edit_where, image))
    return (found,) if found is not None else ()


def _compared(source: bytes, mask: bytes, marks: EditWhere, result: Image) -> Notice | None:
    try:
        one, other = upright(source), upright(result.read())
        if not _alike(one.size, other.size):
            return _unchecked(
                f"the picture that came is {_shown(other.size)}, which is another shape than "
                f"the {_shown(one.size)} of the one that was edited"
            )
        share = changed(one, other, edit_map(mask, marks))
    except Exception as error:  # the picture is paid for: whatever is odd in it, it is kept
        return _unchecked(str(error) or repr(error))
    if share < _LEAST:
        return None
    percent = f"{share * 100:.1f} %"
    return Notice(
        kind="delivered-differs",
        feature="mask",
        detail=f"{percent} of what the mask protects changed",
        wanted="0 %",
        used=percent,
    )


def _unchecked(why: str) -> Notice:
    return Notice(kind="other", feature="mask", detail=f"not checked: {why}")
