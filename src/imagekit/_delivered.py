"""What was asked for and what came: a picture's own bytes against the request for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from ._errors import ImagekitError
from ._flow import Effects, call
from ._image import Image
from ._media import MediaFacts, extension
from ._request import ImageRequest
from ._response import Notice
from ._sizes import longer_side

# Providers make shapes in steps of so many pixels, rounded: "16:9" comes as 1344x768. A side may be
# off by half a step, and by no more than this part of it.
STEP, PART = 64, 0.04
# Formats of one picture that does not move; asked for nothing, nobody expects one that does.
STILLS = (None, "auto", "png", "jpeg", "bmp")
# What options call the number of frames.
FRAMES = frozenset({"frame_count", "frames", "num_frames"})
_ALIKE = {"jpeg": "jpg", "apng": "png", "tiff": "tif", "svg+xml": "svg"}


def differences(image: Image, asked: ImageRequest | None = None) -> list[Notice]:
    """Where the bytes of *image* are not what was *asked*, or not what the provider says they are.

    *asked* is the request as it was sent; None where nobody knows it any more. Only what the bytes
    say for certain is told: of a picture that is still a URL nothing, of a transparent picture no
    more than what its format declares.
    """
    return [] if image.length is None else _differences(image, image.facts, asked)


def _differences(
    image: Image, found: MediaFacts | None, asked: ImageRequest | None
) -> list[Notice]:
    if found is None:
        wanted = (asked and asked.output_format) or "a picture"
        actual = "of no type we know"
        return [_notice("media_type", f"the bytes are {actual}", wanted, actual)]
    return [one for one in _compared(image, found, asked) if one is not None]


def compared(image: Image, asked: ImageRequest | None = None) -> Effects[Sequence[Notice]]:
    """The same as `differences`, and whether a background is transparent where one was asked for.

    That needs the pixels, and so Pillow: without it, or of a picture that it cannot read, nothing
    is said of them.
    """
    if image.length is None:
        return []
    found = image.facts
    said = _differences(image, found, asked)
    wanted = asked.background if asked is not None else None
    if wanted not in ("transparent", "opaque") or found is None or not found.alpha:
        return said
    try:
        seen = yield from call(partial(_least_alpha, image))
    except ImagekitError:
        return said
    if wanted == "transparent" and seen == 255:
        used = "every pixel opaque"
        return [*said, _differs("background", wanted, None, used)]
    if wanted == "opaque" and seen < 255:
        return [*said, _differs("background", wanted, None, "some pixels transparent")]
    return said


def _compared(
    image: Image, found: MediaFacts, asked: ImageRequest | None
) -> Iterator[Notice | None]:
    yield _type(image, found, asked)
    # What is drawn of lines has a size only where it is shown, and moves only if one looks.
    if found.media_type != "image/svg+xml":
        yield _size(image, found, asked)
        yield _background(image, found, asked)
        yield _animation(found, asked)


def _type(image: Image, found: MediaFacts, asked: ImageRequest | None) -> Notice | None:
    return _told(
        "output_format",
        _kind(asked.output_format if asked is not None else None),
        _kind(image.echo.get("output_format")),
        extension(found.media_type),
    )


def _kind(word: object) -> str | None:
    """The ending of files of that type; None where it is nobody's word for one."""
    if not isinstance(word, str) or word in ("", "auto"):
        return None
    word = word.lower().removeprefix("image/")
    return _ALIKE.get(word, word)


def _size(image: Image, found: MediaFacts, asked: ImageRequest | None) -> Notice | None:
    if not found.width or not found.height:
        return None
    actual = f"{found.width}x{found.height}"
    echo = image.echo.get("size")
    said = echo if isinstance(echo, str) and "x" in echo else None
    wanted = asked.size if asked is not None else None
    if asked is None or not _is_another(asked, found.width, found.height):
        wanted = None
    return _told("size", wanted, said, actual)


def _is_another(asked: ImageRequest, width: int, height: int) -> bool:
    """Whether a picture of *width* and *height* is certainly not of the size that was asked for."""
    if asked.pixels:
        return asked.pixels != (width, height)
    if not asked.aspect:
        return False
    wide, high, tier = asked.aspect
    off = min(
        (abs(own - meant), own)
        for own, meant in ((width, height * wide / high), (height, width * high / wide))
    )
    if off[0] > max(1, min(STEP / 2, PART * off[1])):
        return True
    if tier is None:
        return False
    # Some mean the longer side by it, some the area: it is another tier where it is neither's.
    sides = (max(width, height), (width * height) ** 0.5)
    return not any(0.5 < (side / longer_side(tier)) ** 2 < 2 for side in sides)


def _background(image: Image, found: MediaFacts, asked: ImageRequest | None) -> Notice | None:
    # Transparency that is declared need not be there; only that there is none is certain.
    if found.alpha is not False:
        return None
    wanted = asked.background if asked is not None else None
    return _told(
        "background",
        wanted if wanted == "transparent" else None,
        "transparent" if image.echo.get("background") == "transparent" else None,
        f"{extension(found.media_type)} without transparency",
    )


def _animation(found: MediaFacts, asked: ImageRequest | None) -> Notice | None:
    if asked is None:
        return None
    frames = _frames(asked)
    if found.animated and frames is None and asked.output_format in STILLS:
        return _differs("animation", "one picture", None, "several frames")
    if found.animated is False and frames is not None:
        return _differs("animation", f"{frames} frames", None, "a single one")
    return None


def _frames(asked: ImageRequest) -> int | None:
    """How many frames the options ask for, where that is more than one."""
    said = [own[name] for own in asked.options.values() for name in FRAMES & set(own)]
    counts = [one for one in said if isinstance(one, int) and one > 1]
    return max(counts) if counts else None


def _told(feature: str, wanted: str | None, said: str | None, actual: str) -> Notice | None:
    """That something was asked for, or said, which is not what came."""
    wanted, said = (None if one == actual else one for one in (wanted, said))
    return _differs(feature, wanted, said, actual) if wanted or said else None


def _differs(feature: str, wanted: str | None, said: str | None, actual: str) -> Notice:
    words = [f"asked for {wanted}"] if wanted else []
    words += [f"the provider says {said}"] if said else []
    words += [f"the bytes say {actual}"]
    return _notice(feature, ", ".join(words), wanted or said, actual)


def _notice(feature: str, detail: str, wanted: str | None, used: str) -> Notice:
    return Notice(
        kind="delivered-differs", feature=feature, detail=detail, wanted=wanted, used=used
    )


def _least_alpha(image: Image) -> int:
    """How opaque the most transparent pixel is, of 255; of a picture that moves, in its first."""
    counts = image.to_pil().convert("RGBA").getchannel("A").histogram()
    return next(level for level, count in enumerate(counts) if count)
