"""Owns the drawings of creatures: animals, a person, a robot."""

from __future__ import annotations

import math

from ._scene import INK, WHITE, Brush, Point, mix, paint

_BLUSH = paint("f0a39b")
_WOOD = paint("a8744f")
_GLASS = paint("cfe6ea")
_LEAF = paint("6f9f5d")
_GOLD = paint("f2c14e")
_SKIN = paint("efc19b")
_STEEL = paint("9aa7b5")


def _cheeks(b: Brush, x: float, y: float, apart: float, r: float) -> None:
    b.dot(x - apart, y, r, _BLUSH)
    b.dot(x + apart, y, r, _BLUSH)


def _smile(b: Brush, x: float, y: float, r: float) -> None:
    """The two small arcs under an animal's nose."""
    arcs = [(x + r * (i / 8 - 1), y + 0.6 * r * abs(math.sin(i * math.pi / 8))) for i in range(17)]
    b.line(arcs)


def cat(b: Brush) -> None:
    """A cat."""
    pale = mix(b.main, WHITE, 0.6)
    tail = [(0.35, 0.85), (0.75, 0.85), (0.82, 0.45), (0.66, 0.2), (0.78, 0.02)]
    b.tube(tail, b.main, thick=0.15)
    b.shape(
        [(-0.3, 0), (0.3, 0), (0.46, 0.6), (0.4, 0.96), (-0.4, 0.96), (-0.46, 0.6)],
        b.main,
        smooth=True,
    )
    b.oval(0, 0.5, 0.22, 0.3, pale, ink=False)
    for x in (-0.16, 0.16):
        b.oval(x, 0.9, 0.15, 0.09, pale)
    for side in (-1, 1):
        b.shape([(0.5 * side, -0.3), (0.47 * side, -0.92), (0.1 * side, -0.62)], b.main)
        b.shape(
            [(0.42 * side, -0.5), (0.42 * side, -0.76), (0.24 * side, -0.62)], _BLUSH, ink=False
        )
    b.oval(0, -0.3, 0.56, 0.44, b.main)
    for x in (-0.12, 0, 0.12):
        b.line([(x, -0.7), (x * 0.8, -0.54)], mix(b.main, INK, 0.5), width=1.6)
    b.oval(0, -0.13, 0.25, 0.17, pale, ink=False)
    for side in (-1, 1):
        b.eye(0.24 * side, -0.3, 0.085)
        for drop in (0, 0.1):
            b.line([(0.24 * side, -0.13 + drop / 2), (0.72 * side, -0.18 + drop * 2)], width=0.5)
    b.shape([(-0.06, -0.2), (0.06, -0.2), (0, -0.13)], _BLUSH)
    _smile(b, 0, -0.1, 0.13)


def dog(b: Brush) -> None:
    """A dog."""
    dark, pale = mix(b.main, INK, 0.45), mix(b.main, WHITE, 0.7)
    b.tube([(0.38, 0.8), (0.68, 0.65), (0.78, 0.3)], b.main, thick=0.13)
    b.shape(
        [(-0.26, 0), (0.26, 0), (0.46, 0.7), (0.42, 0.96), (-0.42, 0.96), (-0.46, 0.7)],
        b.main,
        smooth=True,
    )
    b.oval(0, 0.52, 0.2, 0.32, pale, ink=False)
    for x in (-0.18, 0.18):
        b.oval(x, 0.9, 0.16, 0.09, pale)
    b.oval(0, -0.34, 0.46, 0.46, b.main)
    b.oval(0.19, -0.42, 0.17, 0.2, dark, ink=False)
    for side in (-1, 1):
        b.shape(
            [(0.26 * side, -0.72), (0.56 * side, -0.62), (0.66 * side, -0.1), (0.46 * side, -0.16)],
            dark,
            smooth=True,
        )
        b.eye(0.19 * side, -0.4, 0.075)
    b.shape([(-0.07, -0.04), (0.07, -0.04), (0.06, 0.15), (-0.06, 0.15)], _BLUSH, smooth=True)
    b.oval(0, -0.13, 0.25, 0.17, pale, ink=False)
    b.oval(0, -0.22, 0.1, 0.07, INK)
    _smile(b, 0, -0.08, 0.14)
    b.tube([(-0.27, 0.12), (0, 0.2), (0.27, 0.12)], paint("c94f4f"), thick=0.07)
    b.oval(0, 0.26, 0.07, 0.07, _GOLD)


def otter(b: Brush) -> None:
    """A otter."""
    pale, dark = mix(b.main, WHITE, 0.62), mix(b.main, INK, 0.4)
    b.shape([(0.7, 0.3), (1.0, 0.22), (1.22, 0.38), (0.95, 0.5), (0.7, 0.5)], dark, smooth=True)
    b.shape(
        [(-0.7, 0.2), (-0.2, -0.02), (0.4, 0.0), (0.85, 0.2), (0.8, 0.5), (0, 0.62), (-0.65, 0.52)],
        b.main,
        smooth=True,
    )
    b.shape(
        [(-0.4, 0.18), (0.1, 0.06), (0.6, 0.16), (0.5, 0.38), (0, 0.42)],
        pale,
        smooth=True,
        ink=False,
    )
    for x, y, turn in ((0.68, -0.02, -70), (0.88, 0.06, -45)):
        b.oval(x, y, 0.2, 0.1, dark, turn=turn)
    for x in (-0.83, -0.28):
        b.oval(x, -0.42, 0.1, 0.1, b.main)
        b.oval(x, -0.41, 0.05, 0.05, dark, ink=False)
    b.shape(
        [(-0.9, 0.0), (-0.84, -0.4), (-0.55, -0.52), (-0.26, -0.4), (-0.2, 0.0), (-0.55, 0.22)],
        b.main,
        smooth=True,
    )
    b.oval(-0.55, -0.03, 0.3, 0.22, pale, ink=False)
    for side in (-1, 1):
        b.eye(-0.55 + 0.17 * side, -0.18, 0.06)
        for drop in (-0.03, 0.05):
            b.line([(-0.55 + 0.16 * side, 0.0), (-0.55 + 0.42 * side, drop)], width=0.45)
    _cheeks(b, -0.55, -0.06, 0.24, 0.055)
    b.oval(-0.55, -0.08, 0.085, 0.06, INK)
    _smile(b, -0.55, 0.0, 0.09)
    shell: list[Point] = [(0.0, 0.12), (-0.14, -0.1), (0.0, -0.2), (0.14, -0.1)]
    b.shape(shell, paint("f3b48f"), smooth=True)
    for x in (-0.07, 0.0, 0.07):
        b.line([(x * 0.3, 0.08), (x, -0.15)], paint("c67f5f"), width=0.6)
    for x, turn in ((-0.14, 35), (0.14, -35)):
        b.oval(x, 0.1, 0.12, 0.075, dark, turn=turn)
    for y, left, right in ((0.56, -1.1, 1.15), (0.72, -0.8, 0.9)):
        wave = [
            (left + (right - left) * i / 12, y + (0.035 if i % 2 else -0.025)) for i in range(13)
        ]
        b.line(wave, mix(b.water, WHITE, 0.72), width=1.5)


def bird(b: Brush) -> None:
    """A bird."""
    dark = mix(b.main, INK, 0.3)
    b.line([(-1.0, 0.86), (-0.3, 0.8), (0.4, 0.86), (1.0, 0.76)], paint("7d5a45"), width=3.4)
    b.oval(0.86, 0.62, 0.16, 0.08, _LEAF, turn=-40)
    for x in (-0.06, 0.14):
        b.line([(x, 0.55), (x + 0.03, 0.8)], paint("c98a3a"), width=1.4)
    b.shape([(-0.4, 0.3), (-0.98, 0.5), (-0.92, 0.64), (-0.3, 0.55)], dark)
    b.shape(
        [
            (-0.5, 0.4),
            (-0.3, -0.05),
            (0.1, -0.5),
            (0.5, -0.42),
            (0.56, 0),
            (0.36, 0.5),
            (-0.1, 0.66),
        ],
        b.main,
        smooth=True,
    )
    b.shape(
        [(0.5, 0.0), (0.36, 0.44), (0.0, 0.58), (0.12, 0.2)],
        mix(b.main, WHITE, 0.7),
        smooth=True,
        ink=False,
    )
    b.shape([(0.05, 0.0), (-0.05, 0.38), (-0.62, 0.46), (-0.3, 0.08)], dark, smooth=True)
    b.shape([(0.57, -0.3), (0.86, -0.17), (0.57, -0.1)], _GOLD)
    b.eye(0.36, -0.22, 0.075)
    b.dot(0.3, -0.03, 0.07, _BLUSH)


def fish(b: Brush) -> None:
    """A fish."""
    dark = mix(b.main, INK, 0.3)
    b.shape([(0.48, 0), (0.98, -0.44), (0.86, 0), (0.98, 0.44)], dark, smooth=True)
    b.shape([(-0.3, -0.36), (0.1, -0.7), (0.42, -0.28)], dark, smooth=True)
    b.shape(
        [(-0.9, 0.03), (-0.5, -0.4), (0.1, -0.42), (0.62, 0), (0.1, 0.42), (-0.5, 0.4)],
        b.main,
        smooth=True,
    )
    for x, tall in ((-0.08, 0.3), (0.22, 0.24)):
        b.shape([(x, -tall), (x + 0.1, 0), (x, tall), (x + 0.14, 0)], WHITE, smooth=True, ink=False)
    b.line([(-0.34, -0.32), (-0.22, 0), (-0.34, 0.32)])
    b.shape([(-0.12, 0.1), (0.16, 0.16), (-0.04, 0.34)], dark, smooth=True)
    b.dot(-0.58, -0.1, 0.12, WHITE)
    b.eye(-0.59, -0.09, 0.08)
    b.line([(-0.86, 0.1), (-0.74, 0.16), (-0.66, 0.1)])
    for x, y, r in ((-0.98, -0.3, 0.06), (-1.06, -0.52, 0.09), (-0.94, -0.78, 0.12)):
        b.oval(x, y, r, r, _GLASS)


def butterfly(b: Brush) -> None:
    """A butterfly."""
    for side in (-1, 1):
        b.shape(
            [(0.04 * side, -0.05), (0.3 * side, -0.7), (0.92 * side, -0.72), (0.8 * side, -0.1)],
            b.main,
            smooth=True,
        )
        b.shape(
            [(0.04 * side, 0.05), (0.62 * side, 0.05), (0.72 * side, 0.5), (0.3 * side, 0.7)],
            mix(b.main, _GOLD, 0.55),
            smooth=True,
        )
        b.oval(0.6 * side, -0.45, 0.14, 0.14, mix(b.main, WHITE, 0.6), ink=False)
        b.oval(0.45 * side, 0.35, 0.1, 0.1, WHITE, ink=False)
        b.line([(0.03 * side, -0.3), (0.1 * side, -0.65), (0.26 * side, -0.86)])
    b.oval(0, 0.05, 0.07, 0.42, paint("5a463f"))


def person(b: Brush) -> None:
    """A person."""
    for side in (-1, 1):
        b.tube([(0.12 * side, 0.5), (0.15 * side, 0.9)], paint("4d5a75"), thick=0.15)
        b.oval(0.19 * side, 0.93, 0.15, 0.07, _WOOD)
    b.tube([(-0.22, 0.02), (-0.42, 0.24), (-0.44, 0.48)], b.main, thick=0.14)
    b.tube([(0.22, 0.02), (0.5, -0.12), (0.58, -0.42)], b.main, thick=0.14)
    b.oval(-0.44, 0.53, 0.08, 0.08, _SKIN)
    b.oval(0.59, -0.5, 0.085, 0.085, _SKIN)
    b.shape([(-0.2, -0.08), (0.2, -0.08), (0.34, 0.58), (-0.34, 0.58)], b.main, smooth=False)
    b.line([(-0.27, 0.3), (0.28, 0.3)], mix(b.main, WHITE, 0.6), width=2)
    b.oval(0, -0.42, 0.33, 0.36, _SKIN)
    b.shape(
        [
            (-0.37, -0.3),
            (-0.36, -0.7),
            (0, -0.88),
            (0.36, -0.7),
            (0.37, -0.3),
            (0.26, -0.56),
            (-0.1, -0.6),
        ],
        paint("5b3b30"),
        smooth=True,
    )
    b.eye(-0.12, -0.4, 0.05)
    b.eye(0.12, -0.4, 0.05)
    _cheeks(b, 0, -0.3, 0.2, 0.055)
    b.line([(-0.09, -0.24), (0, -0.19), (0.09, -0.24)])


def robot(b: Brush) -> None:
    """A robot."""
    dark = mix(b.main, INK, 0.35)
    for side in (-1, 1):
        b.tube([(0.19 * side, 0.6), (0.19 * side, 0.86)], _STEEL, thick=0.11)
        b.shape(
            [(0.05 * side, 0.97), (0.36 * side, 0.97), (0.31 * side, 0.83), (0.09 * side, 0.83)],
            dark,
        )
        b.tube(
            [(0.4 * side, 0.12), (0.64 * side, 0.3), (0.58 * side, 0.02 - 0.1 * side)],
            _STEEL,
            thick=0.1,
        )
        b.oval(0.58 * side, -0.02 - 0.1 * side, 0.1, 0.1, dark)
    b.shape([(-0.4, 0.0), (0.4, 0.0), (0.36, 0.66), (-0.36, 0.66)], b.main)
    b.shape([(-0.25, 0.14), (0.25, 0.14), (0.23, 0.46), (-0.23, 0.46)], WHITE)
    pulse = [(-0.18, 0.32), (-0.06, 0.32), (0, 0.2), (0.06, 0.4), (0.1, 0.32), (0.18, 0.32)]
    b.line(pulse, paint("d9534f"), width=1.2, smooth=False)
    b.tube([(0, -0.06), (0, 0.0)], _STEEL, thick=0.14)
    b.line([(0, -0.66), (0.02, -0.84)], width=1.6)
    b.oval(0.02, -0.9, 0.08, 0.08, paint("e2574c"))
    for side in (-1, 1):
        b.oval(0.5 * side, -0.36, 0.07, 0.13, dark)
    b.shape([(-0.48, -0.66), (0.48, -0.66), (0.46, -0.06), (-0.46, -0.06)], b.main)
    b.shape([(-0.37, -0.54), (0.37, -0.54), (0.35, -0.18), (-0.35, -0.18)], paint("34435e"))
    for x in (-0.17, 0.17):
        b.dot(x, -0.4, 0.08, paint("9be7d8"))
    b.line([(-0.12, -0.28), (0, -0.23), (0.12, -0.28)], paint("9be7d8"), width=1.3)
