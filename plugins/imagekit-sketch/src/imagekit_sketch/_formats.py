"""Owns the file formats: encodes pictures as marked image files and decodes input images."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Sequence

from PIL import ExifTags, Image, ImageOps, PngImagePlugin

from imagekit import Image as Picture
from imagekit import RequestError

_SOFTWARE = "imagekit sketch"
_CLAIM = "imagekit sketch - not a model's work"
_STEP, _HOLD = 180, 1600
"""How long an animation shows each step and the finished drawing, in milliseconds."""


def _told(caption: str) -> str:
    plain = caption.replace("\0", " ").encode("utf-8", "replace").decode().strip()
    return f"{_CLAIM}: {plain}" if plain else _CLAIM


def _exif(caption: str) -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = _told(caption).encode("ascii", "replace").decode()
    exif[ExifTags.Base.Software] = _SOFTWARE
    return exif


def _flat(frame: Image.Image) -> Image.Image:
    """The frame on white paper, without transparency."""
    frame = frame.convert("RGBA")
    paper = Image.new("RGBA", frame.size, (255, 255, 255, 255))
    return Image.alpha_composite(paper, frame).convert("RGB")


def _frame(frame: Image.Image, transparent: bool) -> Image.Image:
    return frame.convert("RGBA") if transparent else _flat(frame)


def _png(
    frames: Sequence[Image.Image], quality: int | None, transparent: bool, caption: str
) -> bytes:
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Software", _SOFTWARE)
    notes.add_text("Description", _told(caption))
    file = io.BytesIO()
    _frame(frames[-1], transparent).save(file, "PNG", pnginfo=notes)
    return file.getvalue()


def _jpeg(
    frames: Sequence[Image.Image], quality: int | None, transparent: bool, caption: str
) -> bytes:
    file = io.BytesIO()
    best = 90 if quality is None else max(quality, 1)
    _flat(frames[-1]).save(file, "JPEG", quality=best, exif=_exif(caption))
    return file.getvalue()


def _webp(
    frames: Sequence[Image.Image], quality: int | None, transparent: bool, caption: str
) -> bytes:
    file = io.BytesIO()
    best = 90 if quality is None else quality
    picture = _frame(frames[-1], transparent)
    picture.save(file, "WEBP", quality=best, exif=_exif(caption).tobytes())
    return file.getvalue()


def _gif(
    frames: Sequence[Image.Image], quality: int | None, transparent: bool, caption: str
) -> bytes:
    if transparent:
        steps = [_cut_out(frame) for frame in frames]
    else:
        last = _flat(frames[-1]).quantize(256)
        steps = [_flat(frame).quantize(palette=last) for frame in frames]
    file = io.BytesIO()
    # Whatever shows one frame, shows the first: the finished drawing leads, and then it is made.
    steps[-1].save(
        file,
        "GIF",
        save_all=True,
        append_images=steps[:-1],
        duration=[_HOLD] + [_STEP] * (len(steps) - 1),
        loop=0,
        disposal=2 if transparent else 1,
        comment=_told(caption).encode(),
    )
    return file.getvalue()


def _cut_out(frame: Image.Image) -> Image.Image:
    """The frame with every pixel wholly opaque or wholly transparent, as GIF knows no other."""
    frame = frame.convert("RGBA")
    edge = frame.getchannel(3).point(lambda alpha: 255 if alpha >= 128 else 0)
    clear = Image.new("RGBA", frame.size, (0, 0, 0, 0))
    solid = frame.convert("RGB").convert("RGBA")
    return Image.composite(solid, clear, edge)


_WRITERS: dict[str, Callable[[Sequence[Image.Image], int | None, bool, str], bytes]] = {
    "png": _png,
    "jpeg": _jpeg,
    "webp": _webp,
    "gif": _gif,
}


def encode(
    frames: Sequence[Image.Image],
    *,
    media: str,
    compression: int | None,
    transparent: bool,
    caption: str,
) -> bytes:
    """The last frame as a png, jpeg or webp file, or all the frames as an endless gif,
    which begins with the last.

    Every file says that it is a sketch. `compression` is the quality of a jpeg or webp, 100 being
    the best, and means nothing to the others. Without `transparent` the picture lies on white, as
    it always does in a jpeg.
    """
    if not frames:
        raise ValueError("there is no frame to encode")
    if media not in _WRITERS:
        raise ValueError(f"{media!r} is not one of {', '.join(_WRITERS)}")
    if compression is not None and not 0 <= compression <= 100:
        raise ValueError(f"compression is {compression}, but goes from 0 to 100")
    return _WRITERS[media](frames, compression, transparent, caption)


def decode(data: bytes) -> Image.Image:
    """The first frame of an image file, upright, in RGBA pixels."""
    head = data[:4096].lstrip(b"\xef\xbb\xbf \t\r\n")
    if head.startswith(b"<") and b"<svg" in head:
        raise ValueError("an SVG can't be painted over; give a raster picture")
    try:
        # The core opens it: it knows what may be opened, and how large it may be.
        upright = ImageOps.exif_transpose(Picture(data=data).to_pil())
    except RequestError as error:
        raise ValueError(str(error)) from error
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error) as error:
        raise ValueError("the input is not a picture that can be read") from error
    if upright.mode.startswith("I"):  # 16-bit greys, which Pillow would clip
        upright = upright.convert("I").point(lambda grey: grey * (1 / 256)).convert("L")
    return upright.convert("RGBA")
