"""The few things that need pixels, and so need Pillow."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from ._errors import ConfigurationError, RequestError
from ._media import facts

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

Size: TypeAlias = tuple[int, int]

MISSING = "this needs Pillow: pip install 'imagekit[images]'"
# Beyond, Pillow itself would warn; in four channels that is 360 MB of memory.
MOST_PIXELS = 89_000_000
# Who of Pillow reads what: some of its other readers start programs of others.
_READERS = {
    "image/png": ("PNG",),
    "image/jpeg": ("JPEG", "MPO"),
    "image/webp": ("WEBP",),
    "image/gif": ("GIF",),
    "image/avif": ("AVIF",),
    "image/bmp": ("BMP",),
    "image/tiff": ("TIFF",),
}
# Where EXIF says how a picture is turned, and Pillow's name for what puts it upright.
_ORIENTATION = 0x0112
_TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
# A channel that differs by no more looks the same; a pixel is looked at with so many around it, for
# lossy formats scatter their errors, and this near to what is edited an edge may be soft.
TOLERANCE, _AROUND, _MARGIN = 16, 3, 4


def opened(data: bytes) -> PillowImage:
    """*data* as a loaded Pillow picture; of one that moves, its first frame.

    Only what `facts` knows is opened, and only up to `MOST_PIXELS`: the head of a small file may
    say that it has more pixels than there is memory. Anything else raises `RequestError`.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise ConfigurationError(MISSING) from error
    found = facts(data)
    readers = _READERS.get(found.media_type, ()) if found else ()
    if found is None or not readers:
        kind = found.media_type if found else "of no type we know"
        raise RequestError(f"Pillow cannot read the picture: it is {kind}")
    _check((found.width or 0, found.height or 0))
    try:
        picture = Image.open(io.BytesIO(data), formats=readers)
        _check(picture.size)
        picture.load()
    except RequestError:
        raise
    except Exception as error:  # over what is broken Pillow stumbles in many ways
        raise RequestError(f"Pillow cannot read the picture: {error}") from error
    return picture


def _check(size: Size) -> None:
    if size[0] * size[1] > MOST_PIXELS:
        raise RequestError(
            f"Pillow cannot read the picture: {size[0]}x{size[1]} is more than {MOST_PIXELS} "
            "pixels, which may be a decompression bomb"
        )


def upright(data: bytes) -> PillowImage:
    """The same, turned as its EXIF says: as whoever looks at it sees it."""
    picture = opened(data)
    try:
        turn = _TURNS.get(picture.getexif().get(_ORIENTATION, 1))
    except Exception:  # as it does over broken EXIF
        turn = None
    if turn is None:
        return picture
    from PIL import Image

    return picture.transpose(Image.Transpose[turn])


def edit_map(data: bytes, edit_where: str) -> PillowImage:
    """A mask as one channel in which 255 is "may change"."""
    picture = _eight_bits(upright(data))
    if edit_where in ("transparent", "opaque"):
        channel = picture.convert("RGBA").getchannel("A")
        inverted = edit_where == "transparent"
    else:
        # A grey mask may carry an alpha channel that means nothing; black is what lies beneath.
        channel = picture.convert("RGB").convert("L")
        inverted = edit_where == "black"
    return channel.point(lambda level: 255 - level) if inverted else channel


def _eight_bits(picture: PillowImage) -> PillowImage:
    if picture.mode.startswith("I;16"):
        # Pillow would clip sixteen bits to eight, and nearly all of them would be white.
        return picture.convert("I").point(lambda level: level * (1 / 257))
    return picture


def converted_mask(
    data: bytes, given: str, wanted: str, fit: Callable[[Size], Size] | None = None
) -> bytes:
    """The mask *data*, which marks by *given*, as a PNG that marks by *wanted*.

    A mask that marks nothing raises `RequestError`: nearly always it is read by the wrong
    convention, and the provider would charge for changing nothing. *fit* tells what size it must
    have from what it has. One that already marks by *wanted*, in that size, comes back unchanged.
    """
    edit = edit_map(data, given)
    from PIL import Image

    size = fit(edit.size) if fit else edit.size
    fitted = edit if size == edit.size else edit.resize(size, Image.Resampling.NEAREST)
    if not any(fitted.histogram()[128:]):
        lost = f"once it is fitted to {size[0]}x{size[1]}, " if any(edit.histogram()[128:]) else ""
        raise RequestError(
            f"the mask marks nothing to edit: {lost}no pixel is {given}; "
            f"is edit_where={given!r} right?"
        )
    return data if given == wanted and fitted is edit else _marked(fitted, wanted)


def drawn_mask(levels: bytearray, size: Size, wanted: str) -> bytes:
    """A PNG that marks by *wanted* where *levels*, a byte for each pixel, are 255."""
    from PIL import Image

    return _marked(Image.frombuffer("L", size, levels, "raw", "L", 0, 1), wanted)


def _marked(edit: PillowImage, wanted: str) -> bytes:
    from PIL import Image

    if wanted in ("transparent", "opaque"):
        keep = edit.point(lambda level: 255 - level)
        picture = Image.new("RGBA", edit.size, (0, 0, 0, 255))
        picture.putalpha(keep if wanted == "transparent" else edit)
    else:
        picture = edit if wanted == "white" else edit.point(lambda level: 255 - level)
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def changed(source: PillowImage, result: PillowImage, edit: PillowImage) -> float:
    """How much of what *edit* protects differs between two pictures of one shape, 0 to 1.

    They are compared in the smaller one's size, over white.
    """
    from PIL import Image, ImageChops, ImageFilter

    size = min(source.size, result.size, key=lambda sides: sides[0] * sides[1])
    one, other = _flat(source, size), _flat(result, size)
    # Lossy formats scatter errors that are gone when a pixel is seen with those around it.
    blur = ImageFilter.BoxBlur(_AROUND)
    differs = ImageChops.darker(
        _differing(one, other), _differing(one.filter(blur), other.filter(blur))
    )
    # Where an edit ends its edge may be soft; so may be the mask's.
    may = edit.point(lambda level: 255 * (level > TOLERANCE)).resize(size, Image.Resampling.BOX)
    near = may.point(lambda level: 255 * (level > 0)).filter(ImageFilter.BoxBlur(_MARGIN))
    protected = near.point(lambda level: 255 * (level == 0))
    whole = protected.histogram()[255]
    return ImageChops.darker(differs, protected).histogram()[255] / whole if whole else 0.0


def _flat(picture: PillowImage, size: Size) -> PillowImage:
    from PIL import Image

    picture = _eight_bits(picture).convert("RGBA")
    over = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    return over if over.size == size else over.resize(size, Image.Resampling.LANCZOS)


def _differing(one: PillowImage, other: PillowImage) -> PillowImage:
    from PIL import ImageChops

    red, green, blue = ImageChops.difference(one, other).split()
    most = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    return most.point(lambda level: 255 * (level > TOLERANCE))
