"""Owns the pixels: renders a scene, lays a picture over another, and varies a picture."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise

from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from ._compose import Box, caption, compose, font, spaced, stream
from ._scene import Color, Ellipse, Gradient, Point, Polygon, Polyline, Scene, Shape, mix, to_svg

__all__ = ["Scene", "compose", "paint_over", "render", "to_svg", "vary"]

_EDIT, _OVERLAY = 0.75, 0.45


def _shine(sheet: Image.Image, stops: tuple[tuple[float, Color], ...]) -> None:
    column = Image.new("RGB", (1, sheet.height))
    for y in range(sheet.height):
        at = y / max(sheet.height - 1, 1)
        (low, one), (high, other) = next(pair for pair in pairwise(stops) if at <= pair[1][0])
        column.putpixel((0, y), mix(one, other, (at - low) / (high - low))[:3])
    sheet.paste(column.resize(sheet.size, Image.Resampling.NEAREST))


def _draw(sheet: Image.Image, shapes: Iterable[Shape], scale: int, *, shadow: bool = False) -> None:
    """Draws on an RGB sheet; as a `shadow`, everything in white, which gives the coverage."""
    pen = ImageDraw.Draw(sheet, "RGBA")

    def shade(color: Color) -> Color:
        return (255, 255, 255, color[3]) if shadow else color

    for shape in shapes:
        match shape:
            case Gradient(stops):
                _shine(sheet, stops)
            case Polygon(points, fill):
                pen.polygon([(x * scale, y * scale) for x, y in points], shade(fill))
            case Polyline(points, color, width):
                path = [(x * scale, y * scale) for x, y in points]
                broad = max(1, round(width * scale))
                pen.line(path, shade(color), broad, "curve")
                r = (broad - 1) / 2
                for x, y in (path[0], path[-1]) if broad > 2 else ():
                    pen.ellipse((x - r, y - r, x + r, y + r), shade(color))
            case Ellipse(x, y, rx, ry, fill):
                edges = (x - rx) * scale, (y - ry) * scale, (x + rx) * scale, (y + ry) * scale
                pen.ellipse(edges, shade(fill))
            case _:
                letters, face = spaced(shape.text, shape.size), font(shape.size)
                pen.text((shape.x, shape.y), letters, shade(shape.fill), face, anchor="ls")


def _scale(width: int, height: int) -> int:
    """How many times finer than the picture the sheet is, to smooth the edges."""
    longest = max(width, height)
    return next(
        (scale for edge, scale in ((160, 6), (640, 4), (1100, 3), (2100, 2)) if longest <= edge), 1
    )


def render(scene: Scene, *, progress: float = 1.0) -> Image.Image:
    """The scene in RGBA pixels.

    With `progress` below 1 only the first shapes are drawn, roughly and blurred: a preview of the
    same picture. The caption is on every preview, and the prompt in the picture's `info`.
    """
    done = min(max(progress, 0.0), 1.0)
    size = scene.width, scene.height
    shapes = scene.shapes[: max(1, math.ceil(len(scene.shapes) * done))]
    scale = _scale(*size) if done == 1 else 1
    passes = []
    for shadow in (False, True) if scene.transparent else (False,):
        sheet = Image.new("RGB", (size[0] * scale, size[1] * scale))
        _draw(sheet, shapes, scale, shadow=shadow)
        if scale > 1:
            sheet = sheet.reduce(scale)
        if done < 1:
            sheet = sheet.filter(ImageFilter.GaussianBlur((1 - done) * max(size) / 70))
        _draw(sheet, scene.caption, 1, shadow=shadow)
        passes.append(sheet)
    if scene.transparent:
        bands = (*passes[0].split(), passes[1].getchannel(0))
        picture = Image.merge("RGBa", bands).convert("RGBA")
    else:
        picture = passes[0].convert("RGBA")
    picture.info["prompt"] = scene.prompt
    return picture


def _stamp(picture: Image.Image, prompt: str, box: Box) -> Image.Image:
    """The RGBA picture with a caption in the box."""
    marks = caption(prompt, box)
    if not marks:
        return picture
    label = Scene(*picture.size, prompt, True, marks[:1], marks[1:])
    return Image.alpha_composite(picture, render(label))


def paint_over(picture: Image.Image, base: Image.Image, mask: Image.Image | None) -> Image.Image:
    """An edit of `base`: the picture laid over it where the mask is white.

    Where the mask is black the pixels are exactly the base's. Without a mask the picture is laid
    thinly over everything. The result has the picture's size; a base or mask of another size is
    brought to it. The caption is lettered anew inside the part that changed.
    """
    size = picture.size
    prompt = str(picture.info.get("prompt", ""))
    base, picture = base.convert("RGBA"), picture.convert("RGBA")
    if base.size != size:
        base = base.resize(size, Image.Resampling.LANCZOS)
    share = _OVERLAY if mask is None else _EDIT
    veil = picture.copy()
    veil.putalpha(picture.getchannel(3).point(lambda alpha: round(alpha * share)))
    over = Image.alpha_composite(base, veil)
    over.putalpha(ImageChops.lighter(base.getchannel(3), picture.getchannel(3)))
    if mask is None:
        return _stamp(over, prompt, (0, 0, *size))
    mask = mask.convert("L")
    if mask.size != size:
        mask = mask.resize(size, Image.Resampling.NEAREST)
    box = mask.getbbox()
    if box is None:
        return base
    return Image.composite(_stamp(over, prompt, box), base, mask)


def vary(base: Image.Image, *, seed: int) -> Image.Image:
    """A variation of a picture: its colours turned, perhaps mirrored, gone over with a brush."""
    rng = stream("vary", seed)
    base = base.convert("RGBA")
    if rng.random() < 0.5:
        base = ImageOps.mirror(base)
    alpha = base.getchannel(3)
    turn = rng.choice((-1, 1)) * rng.randint(8, 34)
    hue, depth, value = base.convert("RGB").convert("HSV").split()
    hue = hue.point(lambda angle: (angle + turn) % 256)
    picture = Image.merge("HSV", (hue, depth, value)).convert("RGB")
    picture = ImageEnhance.Contrast(picture).enhance(rng.uniform(0.85, 1.25))
    unit = min(picture.size)
    strokes: list[Shape] = []
    small = picture.resize((32, 32), Image.Resampling.BOX).tobytes()
    for _ in range(420):
        u, v = rng.random(), rng.random()
        x, y = u * picture.width, v * picture.height
        long, lean = unit * rng.uniform(0.02, 0.05), rng.uniform(-0.9, 0.3)
        dx, dy = long * math.cos(lean), long * math.sin(lean)
        thin = rng.uniform(0.1, 0.2)
        leaf: tuple[Point, ...] = (
            (x - dx, y - dy),
            (x - dy * thin, y + dx * thin),
            (x + dx, y + dy),
            (x + dy * thin, y - dx * thin),
        )
        at, lift = 3 * (int(v * 32) * 32 + int(u * 32)), rng.randint(-16, 22)
        red, green, blue = (min(max(part + lift, 0), 255) for part in small[at : at + 3])
        strokes.append(Polygon(leaf, (red, green, blue, 150)))
    _draw(picture, strokes, 1)
    picture.putalpha(alpha)
    return _stamp(picture, "a variation", (0, 0, *picture.size))
