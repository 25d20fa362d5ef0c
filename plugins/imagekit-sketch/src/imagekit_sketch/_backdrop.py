"""Owns what lies behind the things drawn: skies, land, water, and the abstract compositions."""

from __future__ import annotations

import math
import random
from collections.abc import Collection
from dataclasses import dataclass

from ._motifs import MOTIFS
from ._scene import WHITE, Brush, Color, Gradient, Point, mix, paint, ring

_Sky = tuple[Color, Color, Color]


@dataclass(frozen=True, slots=True)
class Mood:
    """The light of a scene: its sky from top to horizon, its land from far to near, its water."""

    sky: _Sky
    land: _Sky
    water: Color
    dim: float = 0.0


def _mood(sky: str, land: str, water: str, dim: float = 0.0) -> Mood:
    top, middle, low = (paint(code) for code in sky.split())
    far, between, near = (paint(code) for code in land.split())
    return Mood((top, middle, low), (far, between, near), paint(water), dim)


_DAYS = (
    _mood("8cc7dc c9e4de fbf0d7", "a9c9b4 8fb994 c5d28c", "5ba3b8"),
    _mood("f6d9b8 fae7cc fdf3df", "d9b99b c3a77f d5c78d", "6fa9a8"),
    _mood("a9c8e8 d6e2ef fbe9e2", "b7bedb 93b3ad a9c791", "5f97c2"),
    _mood("9fd5c5 cfe9d6 fdf4d8", "9ec6b0 79ae9a b9cf86", "4f9ea3"),
)
_MOODS = {
    "night": _mood("141a45 2a3470 5d5b93", "3b4377 333c66 3f5468", "2c4a80", 0.2),
    "sunset": _mood("6a5a9c e58a7b fbcf8d", "a5688c 8a5578 a87a63", "b9718a"),
    "space": _mood("120f2c 221b4a 3d2a66", "4b3a7c 3c2f6a 55447f", "2c4a80", 0.08),
    "snow": _mood("b5cfe0 d6e4ec f4f5f2", "c3d5e2 dbe6ec f5f8f8", "86b3c9"),
    "rain": _mood("8797a8 a9b6c1 cfd4d3", "93a8a2 7f9a8b 93ab7d", "64899c"),
    "desert": _mood("f0b67f f8d7a0 fdeec9", "d99a6b e0ad74 efc98b", "6fa9a8"),
    "underwater": _mood("a5dcdc 5fb0c4 2f7599", "4d93a6 3f7f97 d8c79a", "4d97ad"),
}


def mood(settings: Collection[str], rng: random.Random) -> Mood:
    """The light that the settings ask for, or one of the plain days."""
    day = rng.choice(_DAYS)
    return next((_MOODS[name] for name in _MOODS if name in settings), day)


@dataclass(slots=True)
class Stage:
    """The ground a scene is drawn on: a brush at the middle, and how far the picture reaches."""

    brush: Brush
    mood: Mood
    rng: random.Random
    wide: float
    tall: float
    bare: bool = False

    def sky(self) -> None:
        """Lays the sky."""
        top, middle, low = self.mood.sky
        self.brush.pile.append(Gradient(((0.0, top), (0.42, middle), (0.72, low), (1.0, low))))

    def _band(self, y: float, high: float, color: Color, waves: float) -> None:
        p, q = self.rng.uniform(0, math.tau), self.rng.uniform(0, math.tau)
        edge: list[Point] = []
        for i in range(49):
            x = (i / 24 - 1) * (self.wide + 0.15)
            rise = 0.65 * math.sin(waves * x + p) + 0.35 * math.sin(waves * 2.3 * x + q)
            edge.append((x, y - high * rise))
        low = self.tall + 0.15
        self.brush.shape(
            [*edge, (self.wide + 0.15, low), (-self.wide - 0.15, low)], color, ink=False
        )
        self.brush.line(edge, mix(color, paint("2c2735"), 0.3), width=0.55)

    def heavens(self, settings: Collection[str], shown: Collection[str]) -> None:
        """Hangs the sun or the moon, stars and clouds, leaving out what is drawn by name."""
        rng, b = self.rng, self.brush
        side = rng.choice((-1, 1))
        lamp_x, lamp_y = side * self.wide * 0.66, -self.tall * 0.66
        if "night" in settings or "space" in settings:
            for _ in range(46):
                x, y = rng.uniform(-1, 1) * self.wide, rng.uniform(-1, 0.2) * self.tall
                b.dot(x, y, rng.choice((0.006, 0.008, 0.013)), WHITE)
            if "space" in settings:
                b.oval(lamp_x, lamp_y, 0.2, 0.2, paint("e2977a"))
                around = ring(lamp_x, lamp_y, 0.34, 0.07, -18)
                b.line(around[-1:] + around[:8], paint("f4dfb0"), width=2.2)
            elif "moon" not in shown:
                b.dot(lamp_x, lamp_y, 0.28, paint("fff3c4", 40))
                MOTIFS["moon"].draw(b.at(lamp_x, lamp_y, 0.22, MOTIFS["moon"].color))
            return
        if "sunset" in settings:
            if "sun" not in shown:
                b.dot(side * self.wide * 0.25, self.tall * 0.1, 0.46, paint("fff0b8", 60))
                b.oval(
                    side * self.wide * 0.25, self.tall * 0.1, 0.34, 0.34, paint("fbe08e"), ink=False
                )
        elif not {"rain", "snow", "underwater"} & set(settings) and "sun" not in shown:
            b.dot(lamp_x, lamp_y, 0.19, paint("fff6cf", 120))
            b.oval(lamp_x, lamp_y, 0.13, 0.13, paint("f8d06b"), ink=False)
        if "underwater" in settings or "cloud" in shown:
            return
        pale = mix(self.mood.sky[2], WHITE, 0.6)
        for x in (-0.72, -0.12, 0.5):
            x = (x + rng.uniform(-0.12, 0.12) - side * 0.1) * self.wide
            y, big = rng.uniform(-0.88, -0.5) * self.tall, rng.uniform(0.14, 0.24)
            MOTIFS["cloud"].draw(b.at(x, y, big, pale))
        for i in range(rng.randrange(4)):
            x = (-side * 0.3 + 0.13 * i) * self.wide
            y = (-0.34 - 0.05 * (i % 2)) * self.tall
            b.line([(x - 0.05, y - 0.02), (x, y + 0.015), (x + 0.05, y - 0.025)], width=0.6)

    def land(self, settings: Collection[str]) -> None:
        """Lays the country from the horizon to the front edge."""
        rng, b, (far, between, near) = self.rng, self.brush, self.mood.land
        if "underwater" in settings:
            self._depths()
            return
        if "space" in settings:
            self._band(self.tall * 0.74, 0.05, near, 1.4)
            for x in (-0.7, -0.2, 0.45, 0.8):
                b.oval(
                    x * self.wide, self.tall * 0.88, 0.13, 0.035, mix(near, self.mood.sky[0], 0.4)
                )
            return
        if "mountain" in settings:
            self._peaks(far)
        elif "city" in settings:
            self._skyline(far)
        else:
            self._band(self.tall * 0.1, 0.12, far, 1.7)
        if "sea" in settings:
            self._water(self.tall * 0.2)
            return
        self._band(self.tall * 0.26, 0.08, between, 2.1)
        if "forest" in settings:
            for i in range(9):
                x = ((i + 0.5) / 4.5 - 1) * self.wide + rng.uniform(-0.06, 0.06)
                big = rng.uniform(0.24, 0.4)
                kind = MOTIFS[rng.choice(("pine", "pine", "tree"))]
                kind.draw(b.at(x, self.tall * 0.36 - big, big, mix(kind.color, between, 0.4)))
        self._band(self.tall * 0.46, 0.035, near, 1.3)
        for _ in range(16):
            x, y = rng.uniform(-1, 1) * self.wide, rng.uniform(0.58, 0.96) * self.tall
            tint = mix(near, self.mood.land[1], 0.75)
            for lean in (-0.025, 0.0, 0.025):
                b.line([(x, y), (x + lean, y - 0.05)], tint, width=0.7)

    def shore(self) -> None:
        """Lays a piece of dry land in front of the water."""
        sand = mix(self.mood.land[2], paint("ecd6a3"), 0.6)
        self._band(self.tall * 0.66, 0.05, mix(self.mood.water, WHITE, 0.6), 1.6)
        self._band(self.tall * 0.71, 0.05, sand, 1.6)

    def _water(self, y: float) -> None:
        b, rng, color = self.brush, self.rng, self.mood.water
        x = self.wide + 0.15
        deep = mix(color, paint("1d3557"), 0.25)
        b.shape([(-x, y), (x, y), (x, self.tall + 0.15), (-x, self.tall + 0.15)], color, ink=False)
        b.line([(-x, y), (0, y), (x, y)], deep, width=0.7)
        for i in range(30):
            depth = (i + 0.6) / 30
            at, long = rng.uniform(-1, 1) * self.wide, 0.05 + 0.12 * depth
            low = y + (self.tall - y) * depth
            wave = [(at + long * k, low - 0.02 * depth * (k % 2)) for k in range(-1, 3)]
            tint = mix(color, WHITE, 0.4) if i % 3 else deep
            b.line(wave, tint, width=0.45 + 0.5 * depth)

    def _peaks(self, color: Color) -> None:
        rng, b = self.rng, self.brush
        for i, spot in enumerate((-0.75, 0.8, -0.2, 0.4)):
            x, top = spot * self.wide + rng.uniform(-0.1, 0.1), -rng.uniform(0.28, 0.6) * self.tall
            foot, half = self.tall * 0.34, rng.uniform(0.6, 0.85) * max(1.0, self.wide * 0.8)
            tint = mix(color, self.mood.sky[1], 0.4 - 0.12 * i)
            crag = (x + half * 0.45, top + (foot - top) * 0.38)
            b.shape([(x, top), crag, (x + half, foot), (x - half, foot)], tint)
            shade = [
                (x, top),
                crag,
                (x + half, foot),
                (x + half * 0.2, foot),
                (x + half * 0.12, top * 0.3),
            ]
            b.shape(shade, mix(tint, paint("2c2735"), 0.16), ink=False)
            snow, drop = 0.3, foot - top
            b.shape(
                [
                    (x, top),
                    (x + half * 0.45 * 0.75, top + drop * 0.38 * 0.75),
                    (x + half * 0.14, top + drop * 0.2),
                    (x + half * 0.02, top + drop * 0.33),
                    (x - half * 0.1, top + drop * 0.2),
                    (x - half * snow, top + drop * snow),
                ],
                WHITE,
            )

    def _skyline(self, color: Color) -> None:
        rng, b, x = self.rng, self.brush, -self.wide - 0.1
        while x < self.wide + 0.1:
            broad, top = rng.uniform(0.16, 0.32), rng.uniform(-0.4, 0.08) * self.tall
            b.shape(
                [(x, top), (x + broad, top), (x + broad, self.tall * 0.5), (x, self.tall * 0.5)],
                mix(color, self.mood.sky[0], rng.uniform(0.1, 0.6)),
            )
            pane = paint("ffe08a") if self.mood.dim else mix(self.mood.sky[2], WHITE, 0.5)
            for row in range(5):
                for across in (0.25, 0.6):
                    if rng.random() < 0.7:
                        left, y = x + broad * across, top + 0.07 + row * 0.1
                        square = [
                            (left, y),
                            (left + 0.035, y),
                            (left + 0.035, y + 0.05),
                            (left, y + 0.05),
                        ]
                        b.shape(square, pane, ink=False)
            x += broad + 0.02

    def _depths(self) -> None:
        rng, b = self.rng, self.brush
        for spot in (-0.7, -0.1, 0.5):
            x = spot * self.wide
            ray = [
                (x, -self.tall - 0.1),
                (x + 0.3, -self.tall - 0.1),
                (x + 0.1, 0.9),
                (x - 0.5, 0.9),
            ]
            b.shape(ray, paint("ffffff", 30), ink=False)
        self._band(self.tall * 0.5, 0.1, self.mood.land[1], 2.0)
        self._band(self.tall * 0.76, 0.05, self.mood.land[2], 1.5)
        for spot in (-0.9, -0.8, -0.62, 0.66, 0.8, 0.92):
            x, high = spot * self.wide, rng.uniform(0.4, 0.8)
            weed = [
                (x + 0.05 * math.sin(k * 1.5 + spot), self.tall * 0.86 - high * k / 6)
                for k in range(7)
            ]
            b.tube(
                weed, rng.choice((paint("5f9f6a"), paint("c9705f"), paint("7fae5c"))), thick=0.04
            )
        for _ in range(9):
            x, y, r = (
                rng.uniform(-1, 1) * self.wide,
                rng.uniform(-0.9, 0.3),
                rng.uniform(0.012, 0.03),
            )
            b.oval(x, y * self.tall, r, r, paint("d6f0f0"))

    def weather(self, settings: Collection[str]) -> None:
        """Lets rain or snow fall in front of everything."""
        rng, b = self.rng, self.brush
        for _ in range(70 if "snow" in settings else 0):
            x, y = rng.uniform(-1, 1) * self.wide, rng.uniform(-1, 1) * self.tall
            b.dot(x, y, rng.uniform(0.008, 0.02), WHITE)
        for _ in range(60 if "rain" in settings else 0):
            x, y = rng.uniform(-1, 1) * self.wide, rng.uniform(-1, 1) * self.tall
            b.line([(x, y), (x - 0.03, y + 0.1)], paint("e6eef2"), width=0.5)
