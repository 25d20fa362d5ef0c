"""Owns composition: what is drawn where for a prompt and a seed, and the caption that says so."""

from __future__ import annotations

import hashlib
import random
import unicodedata
from functools import cache

from PIL import ImageFont

from ._abstract import abstract
from ._backdrop import Stage, mood
from ._motifs import MOTIFS
from ._scene import INK, Brush, Polygon, Scene, Shape, Text, mix, paint
from ._words import Reading, Thing, read

_MARKS = ("imagekit sketch - not a model's work", "imagekit sketch", "sketch")
_PAPER = paint("fffdf6", 224)

Box = tuple[int, int, int, int]


def stream(*parts: str | int) -> random.Random:
    """The same stream of numbers for the same parts, in every process."""
    told = "\0".join(str(part) for part in parts).encode("utf-8", "surrogatepass")
    return random.Random(int.from_bytes(hashlib.sha256(told).digest()))


@cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The built-in typeface at a size in pixels."""
    return ImageFont.load_default(size)


def spaced(text: str, size: int) -> str:
    """The text as it is lettered: small sizes need wider gaps between the words."""
    return text.replace(" ", "  ") if size < 18 else text


def _length(text: str, size: int) -> float:
    return round(font(size).getlength(spaced(text, size)), 2)


def _shortened(prompt: str, size: int, room: float) -> str:
    """The prompt in letters the built-in font has, cut to fit, or nothing."""
    plain = unicodedata.normalize("NFKD", prompt).encode("ascii", "ignore").decode()
    text = " ".join("".join(c if c.isprintable() else " " for c in plain).split())
    if len(text) <= 200 and _length(text, size) <= room:
        return text
    text = text[:200]
    while text and _length(text + "...", size) > room:
        text = text[:-1]
    return text.rstrip() + "..." if text else ""


def caption(prompt: str, box: Box) -> tuple[Shape, ...]:
    """A slip of paper at the lower left of the box that says what the picture is.

    The mark is shortened where there is little room, and left out where not a word would fit.
    """
    left, top, right, bottom = box
    wide, tall = right - left, bottom - top
    wanted = min(
        max(10 if min(wide, tall) > 128 else 8, round(min(wide * 0.023, tall * 0.034))), 44
    )
    fits = (
        (mark, size)
        for mark in _MARKS
        for size in dict.fromkeys((wanted, 9, 8))
        if _length(mark, size) + 1.4 * size <= wide and size * 2.2 <= tall
    )
    mark, size = next(fits, ("", 0))
    if not mark:
        return ()
    pad, step = round(size * 0.4), round(size * 1.25)
    margin = max(0, min(round(size * 0.7), int((wide - _length(mark, size)) / 2) - pad))
    lines = [mark]
    if tall > 8 * size and (told := _shortened(prompt, size, wide - 2 * (margin + pad))):
        lines.append(told)
    broad = max(_length(line, size) for line in lines) + 2 * pad
    x, y = left + margin, bottom - margin - step * len(lines) - pad
    x1, y1 = round(x + broad, 2), bottom - margin
    slip = Polygon(((x, y), (x1, y), (x1, y1), (x, y1)), _PAPER)
    letters = (
        Text(x + pad, y + round(size * 1.15) + step * i, size, line, INK, _length(line, size))
        for i, line in enumerate(lines)
    )
    return (slip, *letters)


def _settings(reading: Reading) -> set[str]:
    """The settings that were asked for, and those that the things bring with them."""
    settings, nouns = set(reading.settings), {thing.noun for thing in reading.things}
    if nouns == {"fish"} and "sea" not in settings:
        settings.add("underwater")
    elif nouns & {"boat", "otter", "fish"}:
        settings.add("sea")
    elif nouns == {"rocket"} and not settings:
        settings.add("space")
    elif nouns & {"moon", "star"} and nouns <= {"moon", "star"}:
        settings.add("night")
    return settings


def _place(stage: Stage, thing: Thing, x: float, y: float, size: float) -> None:
    motif = MOTIFS[thing.noun]
    brush = stage.brush.at(x, y, size, thing.color or motif.color)
    brush.wobble = 0.008
    brush.flip = stage.rng.random() < 0.4
    brush.dim = 0.0 if motif.place == "sky" else stage.mood.dim
    if motif.place == "ground" and not stage.bare:
        shade = mix(stage.mood.land[2], INK, 0.28)
        stage.brush.oval(x, y + size * 0.98, size * 0.85, size * 0.09, shade, ink=False)
    motif.draw(brush)
    if thing.hat and motif.crown:
        left, up, big = motif.crown
        MOTIFS["hat"].draw(brush.at(left, up - 0.62 * big, big, thing.hat))


def _arrange(stage: Stage, things: tuple[Thing, ...], settings: set[str]) -> None:
    """Draws the things: those of the sky above, the others side by side in front."""
    high = [thing for thing in things if MOTIFS[thing.noun].place == "sky"]
    wet = [thing for thing in things if MOTIFS[thing.noun].place == "water"]
    dry = [thing for thing in things if MOTIFS[thing.noun].place == "ground"]
    ashore = "sea" in settings and dry and not stage.bare
    for i, thing in enumerate(high):
        share = (2 * i + 1) / len(high) - 1
        alone = not wet and not dry
        big = min(0.55 if alone else 0.28, 0.8 * stage.wide / len(high))
        x = share * stage.wide * 0.85 + (0.0 if alone or i else 0.3 * stage.wide)
        y = (-0.12 if alone else -0.56) * stage.tall + 0.16 * (i % 2)
        _place(stage, thing, x, y, big * MOTIFS[thing.noun].size)
    low = wet + dry
    floating = {"underwater", "space"} & settings or stage.bare
    for i, thing in enumerate(low):
        if ashore and i == len(wet):
            stage.shore()
        share = (2 * i + 1) / len(low) - 1
        big = min(0.62 if len(low) < 3 else 0.5, 0.84 * stage.wide / len(low))
        size = min(big * MOTIFS[thing.noun].size, 0.8 * stage.tall)
        size *= stage.rng.uniform(0.94, 1.02)
        x = share * (stage.wide - 0.06) + stage.rng.uniform(-0.04, 0.04)
        foot = stage.tall * (0.6 if ashore and i < len(wet) else 0.76) + 0.06 * (i % 2)
        y = stage.tall * -0.04 + 0.14 * (i % 2) if floating else foot - size
        _place(stage, thing, x, y, size)


def _furnish(stage: Stage, settings: set[str]) -> None:
    """Gives a landscape without things something small to look at."""
    if settings & {"sea"}:
        _place(stage, Thing("boat", None), 0.34 * stage.wide, 0.12 * stage.tall, 0.24)
    elif not settings & {"space", "underwater", "city", "desert"}:
        for x, big in ((-0.62, 0.3), (-0.4, 0.2), (0.7, 0.26)):
            noun = "pine" if settings & {"mountain", "snow", "forest"} else "tree"
            _place(stage, Thing(noun, None), x * stage.wide, 0.58 * stage.tall - big, big)


def compose(prompt: str, *, seed: int, width: int, height: int, transparent: bool = False) -> Scene:
    """The picture for a prompt and a seed, as shapes; the same arguments give the same scene.

    Known nouns are drawn in a landscape that known settings change; colour words colour them.
    A prompt with neither gets an abstract composition. On a transparent sheet there are only the
    things, or the bare land if the prompt names none.
    """
    reading, rng = read(prompt), stream("scene", prompt, seed)
    unit = min(width, height) / 2
    pile: list[Shape] = []
    ink = max(0.9, unit * 0.0095)
    brush = Brush(pile, rng, (width / 2, height / 2), unit, ink, INK, wobble=0.006)
    wide, tall = width / 2 / unit, height / 2 / unit
    settings = _settings(reading)
    if not reading.things and not settings:
        abstract(brush, rng, wide, tall, reading.colors, transparent=transparent)
    else:
        light = mood(settings, rng)
        brush.water = light.water
        stage = Stage(brush, light, rng, wide, tall, transparent)
        if not transparent:
            stage.sky()
            stage.heavens(settings, {thing.noun for thing in reading.things})
        if not transparent or not reading.things:
            stage.land(settings)
        _arrange(stage, reading.things, settings)
        if not reading.things:
            _furnish(stage, settings)
        if not transparent:
            stage.weather(settings)
    marks = caption(prompt, (0, 0, width, height))
    return Scene(width, height, prompt, transparent, tuple(pile), marks)
