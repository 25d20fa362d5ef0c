"""Owns the abstract compositions that stand in for prompts with nothing drawable in them."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from ._scene import INK, WHITE, Brush, Color, Gradient, Point, mix, paint

_PALETTES = tuple(
    tuple(paint(code) for code in codes.split())
    for codes in (
        "f4e9d5 e2574c f2b441 2f6f73 1f3044",
        "f3ece1 d9705a e8b89a 4f7f8f 28435a",
        "f6efdd 7a9e7e e6b655 c8553d 35524a",
        "f1e7e4 b5658a efb88f 6d6a9f 2f2d54",
        "eef0e4 4fa3a5 f7c873 e9785e 2b4257",
        "f5e8d0 3d6fa5 ee8434 c7d3a4 2e2f45",
    )
)


def palette(colors: Sequence[Color], rng: random.Random) -> tuple[Color, ...]:
    """Five colours, paper first: one of the curated sets, or the colours that were asked for."""
    chosen = rng.choice(_PALETTES)
    if not colors:
        return chosen
    first, last = colors[0], colors[-1]
    around = (mix(first, WHITE, 0.45), last, mix(first, INK, 0.45))
    return (mix(chosen[0], WHITE, 0.3), first, *around)


def _tiles(b: Brush, rng: random.Random, wide: float, tall: float, hues: Sequence[Color]) -> None:
    across = max(1, round(wide * 4))
    side = 2 * wide / across
    down = math.ceil(2 * tall / side)
    for row in range(down):
        for column in range(across):
            x, y = -wide + (column + 0.5) * side, -down * side / 2 + (row + 0.5) * side
            ground, figure = rng.sample(list(hues), 2)
            t = b.at(x, y, side / 2)
            t.shape([(-1, -1), (1, -1), (1, 1), (-1, 1)], ground, ink=False)
            turn = rng.randrange(4) * math.pi / 2
            kind = rng.randrange(6)
            if kind == 0:
                t.oval(0, 0, 0.72, 0.72, figure, ink=False)
                t.oval(0, 0, 0.36, 0.36, ground, ink=False)
            elif kind == 1:
                t.shape(_pie(turn, math.pi / 2, 2.0, corner=True), figure, ink=False)
                t.shape(_pie(turn, math.pi / 2, 1.0, corner=True), ground, ink=False)
            elif kind == 2:
                t.shape(_pie(turn, math.pi, 1.0), figure, ink=False)
            elif kind == 3:
                for k in (-0.75, -0.25, 0.25, 0.75):
                    t.line([(-0.85, k), (0.85, k)], figure, width=2.6)
            elif kind == 4:
                t.shape(_turned([(-1, -1), (1, -1), (-1, 1)], turn), figure, ink=False)
                t.dot(0.0, 0.0, 0.2, WHITE)
            else:
                t.shape(_pie(turn, math.pi / 2, 2.0, corner=True), figure, ink=False)
    for k in range(across + 1):
        x = -wide + k * side
        b.line([(x, -tall), (x, 0), (x, tall)], width=0.6, smooth=False)
    for k in range(down + 1):
        y = (k - down / 2) * side
        b.line([(-wide, y), (0, y), (wide, y)], width=0.6, smooth=False)


def _turned(points: Sequence[Point], turn: float) -> list[Point]:
    cos, sin = math.cos(turn), math.sin(turn)
    return [(x * cos - y * sin, x * sin + y * cos) for x, y in points]


def _pie(turn: float, sweep: float, r: float, *, corner: bool = False) -> list[Point]:
    x, y = (-1.0, -1.0) if corner else (0.0, 0.0)
    arc = [(x + r * math.cos(sweep * i / 16), y + r * math.sin(sweep * i / 16)) for i in range(17)]
    return _turned([(x, y), *arc], turn)


def _waves(b: Brush, rng: random.Random, wide: float, tall: float, hues: Sequence[Color]) -> None:
    x, y, r = rng.uniform(-0.5, 0.5) * wide, -0.3 * tall, 0.46
    b.oval(x, y, r, r, hues[1], ink=False)
    for k in range(7):
        low = y + r * (0.1 + 0.14 * k)
        half = math.sqrt(max(r * r - (low - y) ** 2, 0.0))
        b.line([(x - half, low), (x, low + 0.01), (x + half, low)], hues[0], width=0.6 + 0.3 * k)
    for layer in range(6):
        p, q = rng.uniform(0, math.tau), rng.uniform(1.4, 2.6)
        at = tall * (-0.05 + 0.19 * layer)
        tint = mix(hues[2 + layer % 3], hues[0], 0.5 - 0.1 * layer)
        edge = []
        for i in range(49):
            u = (i / 24 - 1) * (wide + 0.15)
            edge.append((u, at - 0.13 * math.sin(q * u + p) - 0.05 * math.sin(2.7 * q * u + 2 * p)))
        b.shape([*edge, (wide + 0.15, tall + 0.3), (-wide - 0.15, tall + 0.3)], tint, ink=False)
        b.line(edge, width=0.8)
        for k in range(1, 4):
            b.line([(u, v + 0.035 * k) for u, v in edge], mix(tint, WHITE, 0.35), width=0.5)


def _orbits(b: Brush, rng: random.Random, wide: float, tall: float, hues: Sequence[Color]) -> None:
    for k in range(11):
        x, y = rng.uniform(-0.8, 0.8) * wide, rng.uniform(-0.75, 0.7) * tall
        r, tint = rng.uniform(0.08, 0.42) * (1.25 - k / 14), hues[1 + k % 4]
        b.oval(x, y, r, r, tint, ink=k % 3 == 0)
        if k % 2:
            b.oval(x, y, r * 0.6, r * 0.6, mix(tint, WHITE, 0.5), ink=False)
            b.oval(x, y, r * 0.28, r * 0.28, hues[(k + 2) % 5], ink=k % 3 == 0)
        else:
            b.line([(x - r * 1.3, y + r * 0.9), (x, y), (x + r * 1.3, y - r * 0.9)], width=1.1)
    for k in range(5):
        x, y = rng.uniform(-0.8, 0.3) * wide, rng.uniform(-0.8, 0.6) * tall
        long, high, turn = rng.uniform(0.4, 1.0), rng.uniform(0.1, 0.3), rng.uniform(-0.7, 0.7)
        arc = [(long * i / 8, -high * math.sin(math.pi * (1 + k % 3) * i / 8)) for i in range(9)]
        path = [(x + u, y + v) for u, v in _turned(arc, turn)]
        b.tube(path, hues[1 + k % 4], thick=0.025)
    for _ in range(14):
        b.dot(rng.uniform(-0.9, 0.9) * wide, rng.uniform(-0.9, 0.8) * tall, 0.016, INK)


def abstract(
    b: Brush,
    rng: random.Random,
    wide: float,
    tall: float,
    colors: Sequence[Color],
    *,
    transparent: bool,
) -> None:
    """Draws one of three compositions; on a transparent sheet, the airy one."""
    hues = palette(colors, rng)
    style = rng.choice((_tiles, _waves, _orbits))
    if transparent:
        _orbits(b, rng, wide, tall, hues)
        return
    b.pile.append(Gradient(((0.0, hues[0]), (1.0, mix(hues[0], hues[2], 0.25)))))
    style(b, rng, wide, tall, hues)
