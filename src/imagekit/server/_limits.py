"""How much one server takes on, and how long it waits."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from .._errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of a server; each can be set.

    Bytes: `body` of one request, `bodies` of all that are being answered, `picture` of one input,
    `stored` of everything kept. Pixels: `pixels` of one input, `all_pixels` of those of one
    request. `concurrent` is how many calls are made at once, `connections` how many requests of any
    kind are answered at once, `batches` how many batches of one token are unfinished at once: more
    are turned away with 429. `lines` is how many requests a batch may hold.
    Seconds: `request` for one call to the provider, everything included, which is less than the
    official clients wait before they ask again; `upload` for a request's body to arrive; `send` for
    a client to take a piece of an answer; `kept` until stored responses and files expire; `linked`
    until a link to a picture does; `window` until a batch that is not done expires; `hold` until a
    stream begins even though nothing has happened (an error before that has a status of its own);
    `pause` between the comments that keep a silent stream open; `grace` for calls to end at
    shutdown.
    """

    body: int = 64 * 2**20
    bodies: int = 512 * 2**20
    picture: int = 50 * 10**6
    stored: int = 512 * 2**20
    pixels: int = 50_000_000
    all_pixels: int = 200_000_000
    concurrent: int = 32
    connections: int = 256
    batches: int = 16
    lines: int = 50_000
    request: float = 570.0
    upload: float = 60.0
    send: float = 60.0
    kept: float = 24 * 3600.0
    linked: float = 3600.0
    window: float = 24 * 3600.0
    hold: float = 10.0
    pause: float = 15.0
    grace: float = 600.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, int | float) or not 0 < value < math.inf or value is True:
                raise ConfigurationError(f"the limit {field.name!r} is a number above 0")
