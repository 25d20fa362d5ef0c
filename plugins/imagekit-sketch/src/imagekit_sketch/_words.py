"""Owns the reading of a prompt: which things, how many, in which colours, in which setting."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from ._motifs import MOTIFS
from ._scene import Color, paint

_COLORS = {
    "amber": "f0a92e",
    "beige": "e6d5b0",
    "black": "453f4c",
    "blue": "3f7cc4",
    "brown": "8b5e42",
    "cream": "f5e9cc",
    "crimson": "b8283f",
    "cyan": "3cb7c4",
    "gold": "e7b53c",
    "golden": "e7b53c",
    "gray": "9a9ba3",
    "green": "58a55c",
    "grey": "9a9ba3",
    "magenta": "cf3f93",
    "maroon": "8c3440",
    "navy": "2c4478",
    "olive": "8c9147",
    "orange": "ec8a35",
    "pink": "ee92ab",
    "purple": "8a5fb0",
    "red": "d9433f",
    "scarlet": "dc3a2c",
    "silver": "bfc6ce",
    "teal": "2f9592",
    "turquoise": "3fb8ae",
    "violet": "8664c0",
    "white": "fbf8f0",
    "yellow": "f4cb3f",
}

_ALSO = {
    "apple": "",
    "balloon": "airship",
    "bicycle": "bike cycle velo",
    "bird": "robin sparrow finch parrot songbird",
    "boat": "ship sailboat yacht vessel dinghy",
    "butterfly": "moth butterflies",
    "car": "automobile taxi van vehicle",
    "cat": "kitten kitty tabby",
    "cloud": "",
    "cup": "mug coffee tea cocoa teacup espresso",
    "dog": "puppy pup hound terrier",
    "fish": "goldfish trout salmon",
    "flower": "rose tulip daisy blossom sunflower bouquet poppy daisies poppies",
    "hat": "cap bonnet",
    "heart": "love valentine",
    "house": "home cottage cabin hut barn",
    "lighthouse": "beacon",
    "moon": "crescent",
    "mushroom": "toadstool fungus",
    "otter": "",
    "person": "man woman girl boy child kid people children men women portrait",
    "pine": "fir spruce conifer",
    "robot": "android bot",
    "rocket": "spaceship spacecraft",
    "star": "",
    "sun": "",
    "tree": "oak maple birch",
}
_NOUNS = {word: noun for noun in MOTIFS for word in (noun, *_ALSO[noun].split())}

_SETTING_WORDS = {
    "night": "night midnight nighttime moonlit nocturnal moonlight",
    "sunset": "sunset sunrise dawn dusk evening twilight",
    "sea": "sea ocean beach lake shore coast island river bay harbour harbor seaside water",
    "mountain": "mountain alps peak everest volcano",
    "forest": "forest wood woodland jungle grove",
    "city": "city town skyline street downtown skyscraper",
    "snow": "snow winter snowy arctic ice snowfall",
    "rain": "rain rainy storm stormy drizzle",
    "space": "space galaxy planet cosmos universe orbit mars",
    "desert": "desert dune sahara",
    "underwater": "underwater reef aquarium",
    "field": "field meadow hill landscape garden park countryside valley",
}
_SETTINGS = {word: name for name, words in _SETTING_WORDS.items() for word in words.split()}

_WORN = {"with", "wearing", "in", "wears"}
_COUNTS = {"two": 2, "pair": 2, "three": 3, "four": 4, "five": 5, "some": 3, "many": 5}
_MOST = 6


@dataclass(frozen=True, slots=True)
class Thing:
    """One thing to draw and the colour asked for, if any."""

    noun: str
    color: Color | None
    hat: Color | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """What a prompt asks for, as far as the sketch provider understands it."""

    things: tuple[Thing, ...]
    settings: frozenset[str]
    colors: tuple[Color, ...]


def _singular(word: str, known: dict[str, str]) -> str | None:
    """What the word stands for in `known`, read as it is or as a plural."""
    for form in (word, word.removesuffix("s"), word.removesuffix("es")):
        if form in known:
            return known[form]
    return None


def read(prompt: str) -> Reading:
    """Finds the known nouns, their colours and numbers, and the settings, in the prompt's order."""
    things: list[Thing] = []
    settings: set[str] = set()
    colors: list[Color] = []
    color: Color | None = None
    count, worn = 0, False
    for word in re.findall(r"[a-z]+|[0-9]+", prompt.lower()):
        noun, setting = _singular(word, _NOUNS), _singular(word, _SETTINGS)
        if word in _COLORS:
            color = paint(_COLORS[word])
            colors.append(color)
        elif word in _COUNTS or word.isdigit():
            count = _COUNTS.get(word) or min(int(word[:3]), _MOST)
        elif noun == "hat" and worn and things and MOTIFS[things[-1].noun].crown:
            hat = color or MOTIFS["hat"].color
            same = things[-1].noun
            things = [replace(t, hat=hat) if t.noun == same else t for t in things]
            color, count = None, 0
        elif noun:
            plural = word.endswith("s") and word not in _NOUNS
            things += [Thing(noun, color)] * (count or (3 if plural else 1))
            color, count, worn = None, 0, False
        elif setting:
            settings.add(setting)
            color, worn = None, False
        elif word in _WORN:
            worn = True
    if color and things and things[-1].color is None:
        same = things[-1].noun
        things = [replace(t, color=color) if t.noun == same else t for t in things]
    return Reading(tuple(things[:_MOST]), frozenset(settings), tuple(colors))
