"""Owns the things the sketch provider can draw: one small drawing for each known noun."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ._creatures import bird, butterfly, cat, dog, fish, otter, person, robot
from ._scene import INK, WHITE, Brush, Color, Point, mix, paint, ring

_BLUSH = paint("f0a39b")
_WOOD = paint("a8744f")
_GLASS = paint("cfe6ea")
_LEAF = paint("6f9f5d")
_GOLD = paint("f2c14e")
_STEEL = paint("9aa7b5")

Place = Literal["ground", "water", "sky"]


def _bicycle(b: Brush) -> None:
    rear, front, pedals = (-0.58, 0.48), (0.6, 0.48), (-0.04, 0.52)
    for x, y in (rear, front):
        for spoke in ring(x, y, 0.4, 0.4, 7):
            b.line([(x, y), spoke], _STEEL, width=0.35)
        rim = ring(x, y, 0.44, 0.44)
        b.line([*rim, rim[0], rim[1]], INK, width=2.4)
        b.dot(x, y, 0.055, INK)
    b.line([(-0.6, 0.44), pedals, (-0.58, 0.55)], width=0.6)
    seat, head = (-0.24, -0.16), (0.42, -0.2)
    for bar in ([rear, pedals], [rear, seat], [pedals, (-0.28, -0.3)], [pedals, (0.45, -0.12)]):
        b.tube(bar, b.main)
    b.tube([seat, head], b.main)
    b.tube([(0.38, -0.4), (0.44, -0.1), front], b.main)
    b.line([(0.38, -0.4), (0.33, -0.47), (0.2, -0.45)], width=2.6)
    b.oval(0.16, -0.44, 0.07, 0.035, _WOOD, turn=-8)
    b.shape([(-0.5, -0.39), (-0.2, -0.36), (-0.08, -0.31), (-0.3, -0.27)], _WOOD, smooth=True)
    b.dot(*pedals, 0.09, INK)
    b.dot(*pedals, 0.05, b.main)
    b.line([pedals, (0.05, 0.68), (0.14, 0.68)], width=1.7, smooth=False)
    for x, tint in ((0.56, _BLUSH), (0.68, _GOLD), (0.8, WHITE)):
        b.line([(x, -0.4), (x, -0.2)], _LEAF, width=1.2)
        b.oval(x, -0.44, 0.065, 0.065, tint)
    b.shape([(0.46, -0.34), (0.9, -0.34), (0.83, -0.04), (0.52, -0.04)], paint("d9a766"))
    for y in (-0.24, -0.14):
        b.line([(0.5, y), (0.86, y)], _WOOD, width=0.8)


def _house(b: Brush) -> None:
    for x, y, r in ((0.44, -0.86, 0.08), (0.54, -1.02, 0.11), (0.7, -1.16, 0.13)):
        b.oval(x, y, r, r * 0.8, paint("eee9e2"))
    b.shape([(0.34, -0.4), (0.34, -0.78), (0.54, -0.78), (0.54, -0.24)], paint("b5654d"))
    b.shape([(-0.68, -0.12), (0.68, -0.12), (0.66, 0.97), (-0.66, 0.97)], b.main)
    b.shape([(-0.88, -0.06), (-0.02, -0.86), (0.88, -0.06)], paint("c0593f"))
    for y, wide in ((-0.22, 0.56), (-0.42, 0.32)):
        b.line([(-wide, y), (wide, y + 0.02)], paint("96432f"), width=0.8)
    b.shape([(-0.16, 0.97), (-0.16, 0.4), (0, 0.3), (0.18, 0.4), (0.18, 0.97)], paint("5d7f8f"))
    b.dot(0.11, 0.68, 0.035, _GOLD)
    for x in (-0.43, 0.43):
        pane = paint("ffe08a") if b.dim else _GLASS
        b.at(x, 0.3, 0.2).shape([(-0.8, -0.9), (0.8, -0.9), (0.8, 0.9), (-0.8, 0.9)], pane)
        b.line([(x, 0.13), (x, 0.47)])
        b.line([(x - 0.16, 0.3), (x + 0.16, 0.3)])
        for tilt in (-0.1, 0, 0.1):
            b.oval(x + tilt, 0.53, 0.06, 0.05, paint("df7f8d"))
    for x in (-0.62, -0.45, 0.4, 0.6):
        b.oval(x, 0.93, 0.15, 0.11, _LEAF)


def _lighthouse(b: Brush) -> None:
    rocks = [(-0.75, 1.02), (-0.6, 0.76), (-0.25, 0.66), (0.3, 0.7), (0.6, 0.8), (0.8, 1.02)]
    if b.dim:
        for far, near in (((-3.4, -1.5), (-3.4, -0.45)), ((3.4, -1.3), (3.4, -0.2))):
            side = math.copysign(0.1, far[0])
            beam: list[Point] = [(side, -0.76), far, near, (side, -0.66)]
            b.shape(beam, paint("fff0b0", 96), ink=False)
    b.shape(rocks, paint("8d8a8a"), smooth=True)
    b.shape([(-0.2, -0.5), (0.2, -0.5), (0.34, 0.84), (-0.34, 0.84)], WHITE)
    for low in (-0.36, 0.1, 0.56):
        a, c = 0.192 + (low + 0.5) * 0.104, 0.192 + (low + 0.73) * 0.104
        b.shape([(-a, low), (a, low), (c, low + 0.22), (-c, low + 0.22)], b.main, ink=False)
    b.line([(-0.2, -0.5), (-0.34, 0.84)])
    b.line([(0.2, -0.5), (0.34, 0.84)])
    b.shape([(-0.11, 0.84), (-0.11, 0.64), (0, 0.57), (0.11, 0.64), (0.11, 0.84)], paint("5b4a4a"))
    b.oval(0, 0.0, 0.06, 0.08, _GLASS)
    b.shape([(-0.16, -0.58), (-0.16, -0.86), (0.16, -0.86), (0.16, -0.58)], paint("ffe08a"))
    b.dot(0, -0.72, 0.09, WHITE)
    b.line([(-0.3, -0.68), (-0.3, -0.52)])
    b.line([(0.3, -0.68), (0.3, -0.52)])
    b.line([(-0.3, -0.66), (0.3, -0.66)], width=0.7)
    b.shape([(-0.32, -0.56), (0.32, -0.56), (0.28, -0.48), (-0.28, -0.48)], paint("4c4a5c"))
    b.shape([(-0.22, -0.84), (0, -1.06), (0.22, -0.84)], b.main, smooth=False)


def _tree(b: Brush) -> None:
    b.shape([(-0.1, 0.1), (0.1, 0.1), (0.13, 0.8), (0.24, 1), (-0.24, 1), (-0.13, 0.8)], _WOOD)
    b.line([(0.02, 0.5), (0.2, 0.2)], _WOOD, width=2.4)
    crown = [
        (-0.62, 0.1),
        (-0.66, -0.4),
        (-0.3, -0.85),
        (0.24, -0.9),
        (0.62, -0.5),
        (0.66, 0.05),
        (0, 0.3),
    ]
    b.shape(crown, b.main, smooth=True)
    b.oval(-0.2, -0.4, 0.28, 0.26, mix(b.main, WHITE, 0.22), ink=False)
    for x, y in ((0.2, -0.55), (0.4, -0.15), (-0.35, 0.0), (0.0, -0.1)):
        b.line([(x - 0.09, y), (x, y + 0.07), (x + 0.09, y)], mix(b.main, INK, 0.4), width=0.8)


def _pine(b: Brush) -> None:
    b.shape([(-0.09, 0.6), (0.09, 0.6), (0.11, 1), (-0.11, 1)], _WOOD)
    for top, low, wide in ((0.05, 0.74, 0.58), (-0.4, 0.3, 0.46), (-0.95, -0.12, 0.34)):
        b.shape([(0, top), (wide, low), (0, low - 0.09), (-wide, low)], b.main)


def _flower(b: Brush) -> None:
    b.line([(0.02, 0.98), (-0.04, 0.5), (0, -0.2)], _LEAF, width=3)
    b.shape([(0, 0.72), (0.24, 0.36), (0.56, 0.34), (0.36, 0.66)], _LEAF, smooth=True)
    b.shape([(-0.03, 0.84), (-0.3, 0.56), (-0.56, 0.6), (-0.34, 0.84)], _LEAF, smooth=True)
    for i in range(8):
        turn = i * 45 + 10
        x, y = math.cos(math.radians(turn)), math.sin(math.radians(turn))
        tint = b.main if i % 2 else mix(b.main, WHITE, 0.25)
        b.oval(0.36 * x, -0.38 + 0.36 * y, 0.26, 0.16, tint, turn=turn)
    b.oval(0, -0.38, 0.2, 0.2, _GOLD)
    for x, y in ((-0.06, -0.43), (0.07, -0.4), (0, -0.31)):
        b.dot(x, y, 0.025, paint("b9822c"))


def _mushroom(b: Brush) -> None:
    b.shape([(-0.2, 0.1), (0.2, 0.1), (0.3, 0.96), (-0.3, 0.96)], paint("f3e7d3"), smooth=True)
    b.shape(
        [(-0.86, 0.2), (-0.6, -0.52), (0, -0.84), (0.6, -0.52), (0.86, 0.2), (0, 0.34)],
        b.main,
        smooth=True,
    )
    for x, y, r in (
        (-0.36, -0.2, 0.15),
        (0.2, -0.5, 0.12),
        (0.4, -0.04, 0.14),
        (-0.04, 0.08, 0.09),
    ):
        b.oval(x, y, r, r * 0.85, WHITE, ink=False)
    b.eye(-0.1, 0.52, 0.045)
    b.eye(0.1, 0.52, 0.045)


def _boat(b: Brush) -> None:
    b.tube([(0, 0.4), (0, -0.95)], _WOOD, thick=0.05)
    b.shape([(0.07, -0.86), (0.48, -0.3), (0.72, 0.28), (0.07, 0.28)], WHITE)
    b.shape([(-0.07, -0.7), (-0.3, -0.15), (-0.56, 0.24), (-0.07, 0.24)], mix(b.main, WHITE, 0.35))
    b.line([(0.08, 0.0), (0.56, 0.02)], b.main, width=2.2)
    b.shape([(0.02, -0.96), (0.3, -0.9), (0.02, -0.82)], b.main)
    b.shape([(-0.84, 0.38), (0.88, 0.38), (0.62, 0.78), (-0.58, 0.78)], b.main)
    b.line([(-0.76, 0.5), (0.8, 0.5)], WHITE, width=1.6)
    for y, wide in ((0.8, 0.95), (0.94, 0.7)):
        wave = [(-wide + wide * i / 5, y + (0.03 if i % 2 else -0.03)) for i in range(11)]
        b.line(wave, mix(b.water, WHITE, 0.72), width=1.5)


def _car(b: Brush) -> None:
    b.shape([(-0.56, 0.3), (-0.36, -0.14), (0.24, -0.14), (0.52, 0.3)], b.main)
    b.shape([(-0.42, 0.26), (-0.29, -0.04), (-0.08, -0.04), (-0.08, 0.26)], _GLASS)
    b.shape([(0.02, 0.26), (0.02, -0.04), (0.2, -0.04), (0.38, 0.26)], _GLASS)
    b.shape(
        [(-0.94, 0.78), (-0.92, 0.36), (-0.56, 0.27), (0.54, 0.27), (0.88, 0.4), (0.96, 0.78)],
        b.main,
    )
    b.line([(-0.03, 0.28), (-0.03, 0.72)], width=0.7)
    b.line([(0.06, 0.42), (0.18, 0.42)], width=1.3)
    b.oval(0.85, 0.52, 0.09, 0.08, paint("ffe9a8"))
    b.oval(-0.88, 0.5, 0.05, 0.07, paint("e2574c"))
    for x in (-0.54, 0.55):
        b.oval(x, 0.76, 0.22, 0.22, paint("3c3945"))
        b.oval(x, 0.76, 0.1, 0.1, paint("d7dbe0"))


def _rocket(b: Brush) -> None:
    b.shape(
        [(-0.16, 0.6), (-0.2, 0.84), (0, 1.12), (0.2, 0.84), (0.16, 0.6)],
        paint("f2a541"),
        smooth=True,
    )
    b.shape([(-0.08, 0.6), (0, 0.94), (0.08, 0.6)], paint("ffe08a"), smooth=True, ink=False)
    for side in (-1, 1):
        b.shape(
            [(0.26 * side, 0.16), (0.58 * side, 0.56), (0.56 * side, 0.76), (0.22 * side, 0.56)],
            b.main,
        )
    b.shape(
        [
            (0, -1.0),
            (0.26, -0.6),
            (0.33, 0.0),
            (0.22, 0.64),
            (-0.22, 0.64),
            (-0.33, 0),
            (-0.26, -0.6),
        ],
        WHITE,
        smooth=True,
    )
    b.shape([(0, -1.0), (0.13, -0.84), (0.25, -0.58), (-0.25, -0.58), (-0.13, -0.84)], b.main)
    b.oval(0, -0.2, 0.17, 0.17, _GLASS)
    b.line([(-0.25, 0.36), (0.25, 0.36)], b.main, width=2)


def _balloon(b: Brush) -> None:
    for x in (-0.17, 0.17):
        b.line([(x * 1.5, 0.4), (x, 0.72)], width=0.7)
    b.shape([(-0.2, 0.7), (0.2, 0.7), (0.15, 0.98), (-0.15, 0.98)], paint("c99a62"))
    b.shape(
        [
            (0, -1),
            (0.62, -0.72),
            (0.7, -0.2),
            (0.3, 0.42),
            (-0.3, 0.42),
            (-0.7, -0.2),
            (-0.62, -0.72),
        ],
        b.main,
        smooth=True,
    )
    for wide in (0.52, 0.2):
        pale = WHITE if wide > 0.3 else mix(b.main, _GOLD, 0.6)
        panel = [(0, -0.98), (wide, -0.6), (wide, -0.1), (wide * 0.4, 0.42)]
        b.shape([*panel, *((-x, y) for x, y in reversed(panel))], pale, smooth=True, ink=False)
    b.line([(-0.3, 0.42), (0.3, 0.42)])


def _cup(b: Brush) -> None:
    for x in (-0.25, 0.05, 0.35):
        b.line([(x, -0.4), (x + 0.1, -0.56), (x - 0.04, -0.72), (x + 0.08, -0.9)], WHITE, width=2)
    b.oval(0, 0.88, 0.86, 0.12, mix(b.main, WHITE, 0.5))
    b.tube([(0.5, -0.05), (0.86, 0.02), (0.8, 0.42), (0.46, 0.52)], b.main, thick=0.09)
    b.shape(
        [(-0.56, -0.2), (0.56, -0.2), (0.5, 0.5), (0.28, 0.86), (-0.28, 0.86), (-0.5, 0.5)], b.main
    )
    b.oval(0, -0.2, 0.57, 0.11, mix(b.main, WHITE, 0.5))
    b.oval(0, -0.18, 0.45, 0.07, paint("6f4a37"), ink=False)


def _heart(b: Brush) -> None:
    curve = []
    for i in range(24):
        t = i * math.tau / 24
        x = 16 * math.sin(t) ** 3
        y = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
        curve.append((x / 18, -y / 18))
    b.shape(curve, b.main, smooth=True)
    b.oval(-0.46, -0.36, 0.2, 0.1, mix(b.main, WHITE, 0.55), turn=-40, ink=False)


def _star(b: Brush) -> None:
    tips = []
    for i in range(10):
        r, t = (0.95, 0.5)[i % 2], i * math.tau / 10
        tips.append((r * math.sin(t), -r * math.cos(t)))
    b.shape(tips, b.main)
    b.eye(-0.15, -0.06, 0.07)
    b.eye(0.15, -0.06, 0.07)
    b.dot(-0.26, 0.08, 0.07, _BLUSH)
    b.dot(0.26, 0.08, 0.07, _BLUSH)
    b.line([(-0.09, 0.1), (0, 0.16), (0.09, 0.1)])


def _sun(b: Brush) -> None:
    for i in range(12):
        x, y = math.cos(i * math.tau / 12 + 0.1), math.sin(i * math.tau / 12 + 0.1)
        far = 1.0 if i % 2 else 0.86
        b.line([(0.68 * x, 0.68 * y), (far * x, far * y)], mix(b.main, INK, 0.12), width=2.4)
    b.oval(0, 0, 0.54, 0.54, b.main)
    b.eye(-0.17, -0.08, 0.06)
    b.eye(0.17, -0.08, 0.06)
    b.dot(-0.3, 0.08, 0.09, _BLUSH)
    b.dot(0.3, 0.08, 0.09, _BLUSH)
    b.line([(-0.14, 0.12), (0, 0.22), (0.14, 0.12)])


def _moon(b: Brush) -> None:
    outer = [
        (0.72 * math.cos(t), 0.72 * math.sin(t))
        for t in (math.radians(50 + 26 * i) for i in range(11))
    ]
    b.shape([*outer, (0.12, -0.32), (-0.02, 0.02), (0.14, 0.36)], b.main, smooth=True)
    b.line([(-0.42, -0.1), (-0.36, -0.04), (-0.28, -0.08)])
    b.dot(-0.24, 0.14, 0.06, _BLUSH)


def _cloud(b: Brush) -> None:
    edge = [(-0.9, 0.24), (-0.84, -0.06), (-0.5, -0.1), (-0.3, -0.42), (0.14, -0.46), (0.36, -0.16)]
    b.shape([*edge, (0.76, -0.16), (0.94, 0.16), (0.7, 0.32), (-0.6, 0.34)], b.main, smooth=True)
    b.line([(-0.24, 0.04), (-0.06, -0.1), (0.14, 0.0)], mix(b.main, INK, 0.2), width=0.9)


def _hat(b: Brush) -> None:
    b.oval(0, 0.62, 0.98, 0.26, b.main)
    b.shape(
        [
            (-0.5, 0.6),
            (-0.46, -0.3),
            (-0.2, -0.48),
            (0.2, -0.44),
            (0.48, -0.28),
            (0.52, 0.6),
            (0, 0.72),
        ],
        b.main,
        smooth=True,
    )
    band = [(-0.53, 0.3), (0, 0.42), (0.53, 0.3), (0.56, 0.54), (0, 0.68), (-0.56, 0.54)]
    b.shape(band, mix(b.main, INK, 0.6))
    for turn, x in ((-35, 0.5), (35, 0.74)):
        b.oval(x, 0.32, 0.17, 0.09, _BLUSH, turn=turn)
    b.oval(0.62, 0.37, 0.07, 0.07, _GOLD)


def _apple(b: Brush) -> None:
    b.shape(
        [
            (0, -0.4),
            (0.46, -0.5),
            (0.76, -0.02),
            (0.5, 0.76),
            (0, 0.84),
            (-0.5, 0.76),
            (-0.76, -0.02),
            (-0.46, -0.5),
        ],
        b.main,
        smooth=True,
    )
    b.oval(-0.42, -0.04, 0.1, 0.22, mix(b.main, WHITE, 0.6), turn=20, ink=False)
    b.line([(0, -0.36), (0.02, -0.62), (0.12, -0.84)], paint("6f4a37"), width=2.2)
    b.shape([(0.08, -0.6), (0.3, -0.86), (0.6, -0.8), (0.36, -0.58)], _LEAF, smooth=True)


@dataclass(frozen=True, slots=True)
class Motif:
    """One drawable thing: how, in which colour by default, where it lives, how big it is."""

    draw: Callable[[Brush], None]
    color: Color
    place: Place = "ground"
    size: float = 1.0
    crown: tuple[float, float, float] | None = None
    """Where a hat sits on it: the middle of the brim and the hat's size."""


MOTIFS: dict[str, Motif] = {
    "apple": Motif(_apple, paint("d6504a"), size=0.8),
    "balloon": Motif(_balloon, paint("e2674f"), "sky", 1.1),
    "bicycle": Motif(_bicycle, paint("3f9c94"), size=1.1),
    "bird": Motif(bird, paint("4f8fbf"), size=0.9, crown=(0.3, -0.5, 0.36)),
    "boat": Motif(_boat, paint("d65a4a"), "water"),
    "butterfly": Motif(butterfly, paint("e58a3c"), "sky"),
    "car": Motif(_car, paint("e0a63a"), size=1.05),
    "cat": Motif(cat, paint("e39a4f"), crown=(0, -0.66, 0.44)),
    "cloud": Motif(_cloud, paint("f7f6f2"), "sky", 1.1),
    "cup": Motif(_cup, paint("5f97a8"), size=0.85),
    "dog": Motif(dog, paint("c99257"), crown=(0, -0.7, 0.48)),
    "fish": Motif(fish, paint("ef8d3e"), "water"),
    "flower": Motif(_flower, paint("e4738a")),
    "hat": Motif(_hat, paint("e3bd74"), size=0.9),
    "heart": Motif(_heart, paint("dd4f5b"), "sky"),
    "house": Motif(_house, paint("f2dcae")),
    "lighthouse": Motif(_lighthouse, paint("d8503f"), size=1.25),
    "moon": Motif(_moon, paint("f8e6a0"), "sky", 1.1),
    "mushroom": Motif(_mushroom, paint("d3493f"), size=0.85),
    "otter": Motif(otter, paint("94684a"), "water", 1.1, crown=(-0.55, -0.44, 0.36)),
    "person": Motif(person, paint("d9694f"), crown=(0, -0.7, 0.46)),
    "pine": Motif(_pine, paint("4f8a68"), size=1.1),
    "robot": Motif(robot, paint("7fb3b8"), crown=(0, -0.68, 0.5)),
    "rocket": Motif(_rocket, paint("dd5146"), "sky", 1.1),
    "star": Motif(_star, paint("f5c945"), "sky"),
    "sun": Motif(_sun, paint("f6bd3b"), "sky", 1.1),
    "tree": Motif(_tree, paint("6fa35e"), size=1.15),
}
