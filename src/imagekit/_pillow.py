"""The few things that need pixels, and so need Pillow."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from ._errors import ConfigurationError, RequestError

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

MISSING = "this needs Pillow: pip install 'imagekit[images]'"


def opened(data: bytes) -> PillowImage:
    """*data* as a loaded Pillow picture."""
    try:
        from PIL import Image
    except ImportError as error:
        raise ConfigurationError(MISSING) from error
    try:
        picture = Image.open(io.BytesIO(data))
        picture.load()
    except (OSError, SyntaxError, ValueError, RuntimeError, Image.DecompressionBombError) as error:
        raise RequestError(f"Pillow cannot read the picture: {error}") from error
    return picture


def edit_map(data: bytes, edit_where: str) -> PillowImage:
    """A mask as one channel in which 255 is "may change"."""
    picture = opened(data)
    if edit_where in ("transparent", "opaque"):
        channel = picture.convert("RGBA").getchannel("A")
        inverted = edit_where == "transparent"
    else:
        # A grey mask may carry an alpha channel that means nothing; black is what lies beneath.
        if picture.mode.startswith("I;16"):
            # Pillow would clip sixteen bits to eight, and nearly all of them would be white.
            picture = picture.convert("I").point(lambda level: level * (1 / 257))
        channel = picture.convert("RGB").convert("L")
        inverted = edit_where == "black"
    return channel.point(lambda level: 255 - level) if inverted else channel


def converted_mask(data: bytes, given: str, wanted: str) -> bytes:
    """The mask *data*, which marks by *given*, as a PNG that marks by *wanted*.

    A mask that marks nothing raises `RequestError`: nearly always it is read by the wrong
    convention, and the provider would charge for changing nothing. One that already marks by
    *wanted* comes back unchanged.
    """
    edit = edit_map(data, given)
    from PIL import Image

    if not any(edit.histogram()[128:]):
        raise RequestError(
            f"the mask marks nothing to edit: no pixel is {given}; is edit_where={given!r} right?"
        )
    if given == wanted:
        return data
    if wanted in ("transparent", "opaque"):
        keep = edit.point(lambda level: 255 - level)
        picture = Image.new("RGBA", edit.size, (0, 0, 0, 255))
        picture.putalpha(keep if wanted == "transparent" else edit)
    else:
        picture = edit if wanted == "white" else edit.point(lambda level: 255 - level)
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()
