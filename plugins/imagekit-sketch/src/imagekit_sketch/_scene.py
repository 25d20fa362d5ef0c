"""Owns the vector scene: its shapes, its colours, the hand that draws them, and its SVG form."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from xml.sax.saxutils import escape

Color = tuple[int, int, int, int]
Point = tuple[float, float]

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def paint(code: str, alpha: int = 255) -> Color:
    """The colour written as six hex digits, such as "e2574c"."""
    return int(code[0:2], 16), int(code[2:4], 16), int(code[4:6], 16), alpha


def mix(one: Color, other: Color, share: float) -> Color:
    """A colour that is `share` of the way from `one` to `other`; `one` keeps its alpha."""
    red, green, blue = (round(one[i] + (other[i] - one[i]) * share) for i in range(3))
    return red, green, blue, one[3]


WHITE = paint("fffdf6")
INK = paint("2c2735")
NIGHT = paint("1b2350")


@dataclass(frozen=True, slots=True)
class Gradient:
    """A vertical blend over the whole picture; each stop is an offset from 0 to 1 and a colour."""

    stops: tuple[tuple[float, Color], ...]


@dataclass(frozen=True, slots=True)
class Polygon:
    """A filled outline."""

    points: tuple[Point, ...]
    fill: Color


@dataclass(frozen=True, slots=True)
class Polyline:
    """A stroke with round ends."""

    points: tuple[Point, ...]
    color: Color
    width: float


@dataclass(frozen=True, slots=True)
class Ellipse:
    """A filled upright ellipse."""

    x: float
    y: float
    rx: float
    ry: float
    fill: Color


@dataclass(frozen=True, slots=True)
class Text:
    """One line of lettering, starting at the left end of its baseline and `length` wide."""

    x: float
    y: float
    size: int
    text: str
    fill: Color
    length: float


Shape = Gradient | Polygon | Polyline | Ellipse | Text


@dataclass(frozen=True, slots=True)
class Scene:
    """A whole picture: the drawing from back to front, and the caption that lies over it."""

    width: int
    height: int
    prompt: str
    transparent: bool
    shapes: tuple[Shape, ...]
    caption: tuple[Shape, ...]


def _curve(points: Sequence[Point], *, closed: bool) -> list[Point]:
    """A smooth path through the points (Catmull-Rom)."""
    count = len(points)
    path: list[Point] = []
    for i in range(count if closed else count - 1):
        if closed:
            a, b, c, d = (points[(i + k) % count] for k in (-1, 0, 1, 2))
        else:
            a, b, c, d = (points[min(max(i + k, 0), count - 1)] for k in (-1, 0, 1, 2))
        for step in range(8):
            t = step / 8
            w = (
                (-t + 2 * t * t - t**3) / 2,
                (2 - 5 * t * t + 3 * t**3) / 2,
                (t + 4 * t * t - 3 * t**3) / 2,
                (t**3 - t * t) / 2,
            )
            path.append(
                (
                    w[0] * a[0] + w[1] * b[0] + w[2] * c[0] + w[3] * d[0],
                    w[0] * a[1] + w[1] * b[1] + w[2] * c[1] + w[3] * d[1],
                )
            )
    return path if closed else [*path, points[-1]]


def _straight(points: Sequence[Point], *, closed: bool) -> list[Point]:
    """The same path with its long sides cut up, so that they can wobble."""
    corners = [*points, points[0]] if closed else list(points)
    path: list[Point] = []
    for (x0, y0), (x1, y1) in pairwise(corners):
        cuts = min(max(1, math.ceil(math.hypot(x1 - x0, y1 - y0) / 0.12)), 40)
        path += [(x0 + (x1 - x0) * i / cuts, y0 + (y1 - y0) * i / cuts) for i in range(cuts)]
    return path if closed else [*path, corners[-1]]


@dataclass(slots=True)
class Brush:
    """A shaky hand that draws in units of `size` around `origin` and puts shapes on a pile."""

    pile: list[Shape]
    rng: random.Random
    origin: Point
    size: float
    ink: float
    main: Color
    water: Color = field(default=paint("5b9fb5"))
    dim: float = 0.0
    flip: bool = False
    wobble: float = 0.011

    def at(self, x: float, y: float, size: float, main: Color | None = None) -> Brush:
        """A brush for a part of this drawing: `size` of this one, centred at (x, y)."""
        return Brush(
            self.pile,
            self.rng,
            self._pixel((x, y)),
            self.size * size,
            min(self.ink, max(self.size * size * 0.03, self.ink * 0.4)),
            main or self.main,
            self.water,
            self.dim,
            self.flip,
            self.wobble,
        )

    def _pixel(self, point: Point) -> Point:
        x = -point[0] if self.flip else point[0]
        return (
            round(self.origin[0] + x * self.size, 2),
            round(self.origin[1] + point[1] * self.size, 2),
        )

    def _shade(self, color: Color) -> Color:
        return mix(color, NIGHT, self.dim)

    def _shaky(self, path: Iterable[Point]) -> tuple[Point, ...]:
        p, q, r, s = (self.rng.uniform(0, math.tau) for _ in range(4))
        by = self.wobble
        return tuple(
            self._pixel(
                (
                    x + by * (math.sin(5 * y + p) + 0.6 * math.sin(13 * x + q)),
                    y + by * (math.sin(5 * x + r) + 0.6 * math.sin(13 * y + s)),
                )
            )
            for x, y in path
        )

    def shape(
        self, points: Sequence[Point], fill: Color, *, smooth: bool = False, ink: bool = True
    ) -> None:
        """A filled outline; the ink is drawn apart from the fill, so they never quite agree."""
        path = (_curve if smooth else _straight)(points, closed=True)
        self.pile.append(Polygon(self._shaky(path), self._shade(fill)))
        if ink:
            line = self._shaky([*path, *path[:2]])
            self.pile.append(Polyline(line, INK, round(self.ink, 2)))

    def oval(
        self,
        x: float,
        y: float,
        rx: float,
        ry: float,
        fill: Color,
        *,
        turn: float = 0.0,
        ink: bool = True,
    ) -> None:
        """A hand-drawn ellipse, turned clockwise by `turn` degrees."""
        self.shape(ring(x, y, rx, ry, turn), fill, smooth=True, ink=ink)

    def line(
        self,
        points: Sequence[Point],
        color: Color = INK,
        *,
        width: float = 1.0,
        smooth: bool = True,
    ) -> None:
        """A stroke, `width` times as thick as the ink."""
        path = (_curve if smooth else _straight)(points, closed=False)
        shade = color if color == INK else self._shade(color)
        self.pile.append(Polyline(self._shaky(path), shade, round(self.ink * width, 2)))

    def tube(self, points: Sequence[Point], color: Color, *, thick: float = 0.06) -> None:
        """A coloured bar with ink on both sides; `thick` is in units of the drawing."""
        path = self._shaky(_curve(points, closed=False))
        body = thick * self.size
        self.pile.append(Polyline(path, INK, round(body + 1.8 * self.ink, 2)))
        self.pile.append(Polyline(path, self._shade(color), round(body, 2)))

    def dot(self, x: float, y: float, r: float, color: Color) -> None:
        """A plain round spot with no outline."""
        px, py = self._pixel((x, y))
        shade = color if color in (INK, WHITE) else self._shade(color)
        r = round(r * self.size, 2)
        self.pile.append(Ellipse(px, py, r, r, shade))

    def eye(self, x: float, y: float, r: float) -> None:
        """A dark eye with a glint."""
        self.dot(x, y, r, INK)
        self.dot(x - r * 0.3, y - r * 0.35, r * 0.36, WHITE)


def ring(x: float, y: float, rx: float, ry: float, turn: float = 0.0) -> list[Point]:
    """Twelve points around an ellipse turned by `turn` degrees."""
    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    around = [
        (rx * math.cos(i * math.tau / 12), ry * math.sin(i * math.tau / 12)) for i in range(12)
    ]
    return [(x + a * cos - b * sin, y + a * sin + b * cos) for a, b in around]


def _fill(name: str, color: Color) -> str:
    code = f'{name}="#{color[0]:02x}{color[1]:02x}{color[2]:02x}"'
    return code if color[3] == 255 else f'{code} {name}-opacity="{color[3] / 255:.3f}"'


def _element(shape: Shape, scene: Scene) -> str:
    match shape:
        case Gradient(stops):
            marks = "".join(
                f'<stop offset="{offset:.3f}" {_fill("stop-color", color)}/>'
                for offset, color in stops
            )
            return (
                f'<defs><linearGradient id="sky" x1="0" y1="0" x2="0" y2="1">{marks}'
                f'</linearGradient></defs><rect width="{scene.width}" height="{scene.height}" '
                'fill="url(#sky)"/>'
            )
        case Polygon(points, fill):
            path = " ".join(f"{x:g},{y:g}" for x, y in points)
            return f'<polygon points="{path}" {_fill("fill", fill)}/>'
        case Polyline(points, color, width):
            path = " ".join(f"{x:g},{y:g}" for x, y in points)
            return (
                f'<polyline points="{path}" fill="none" {_fill("stroke", color)} '
                f'stroke-width="{width:g}" stroke-linecap="round" stroke-linejoin="round"/>'
            )
        case Ellipse(x, y, rx, ry, fill):
            return f'<ellipse cx="{x:g}" cy="{y:g}" rx="{rx:g}" ry="{ry:g}" {_fill("fill", fill)}/>'
        case _:
            return (
                f'<text x="{shape.x:g}" y="{shape.y:g}" font-family="sans-serif" '
                f'font-size="{shape.size}" textLength="{shape.length:g}" '
                f'lengthAdjust="spacingAndGlyphs" {_fill("fill", shape.fill)}>'
                f"{escape(shape.text)}</text>"
            )


def to_svg(scene: Scene) -> bytes:
    """The scene as a standalone SVG file with the prompt in its description."""
    told = escape(_NOT_XML.sub("", scene.prompt))
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{scene.width}" height="{scene.height}" '
        f'viewBox="0 0 {scene.width} {scene.height}">',
        "<title>imagekit sketch - not a model's work</title>",
        f"<desc>{told}</desc>",
        *(_element(shape, scene) for shape in (*scene.shapes, *scene.caption)),
        "</svg>",
        "",
    ]
    return "\n".join(lines).encode()
