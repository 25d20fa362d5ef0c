"""What the sketch provider draws, asked here: clients of a server in front of it must read that."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Any

from PIL import Image as Pillow

import imagekit
from toys import picture

WORDS, SIZE = "a red kite", "64x64"


def drawn(prompt: str | None = WORDS, images: Sequence[bytes] = (), **fields: Any) -> list[bytes]:
    """What the sketch provider makes of it."""
    given = tuple(imagekit.ImageInput(data=one) for one in images)
    wanted = imagekit.ImageRequest(prompt=prompt, images=given, **fields)
    with imagekit.Client(provider="sketch", env={}) as client:
        return [one.read() for one in client.run(wanted)]


def shades(count: int) -> list[bytes]:
    """So many pictures, each of another grey."""
    return [picture(10 * (place + 1), 64, 64) for place in range(count)]


def transparent(left: int = 32) -> bytes:
    """A mask whose left part is to be edited."""
    sheet = Pillow.new("RGBA", (64, 64), (0, 0, 0, 255))
    sheet.paste((0, 0, 0, 0), (0, 0, left, 64))
    out = BytesIO()
    sheet.save(out, "PNG")
    return out.getvalue()


def mask(data: bytes) -> imagekit.Mask:
    """The same mask, as it is given to the provider."""
    return imagekit.Mask(imagekit.ImageInput(data=data), edit_where="transparent")
