"""What a provider keeps, lists or judges beside the pictures it makes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

from pydantic import Field

from ._value import Value


class StoredFile(Value):
    """A file that a provider keeps; `imagekit.ProviderFile(file.id)` puts it into a request."""

    id: str
    name: str | None = None
    size: int | None = None
    purpose: str | None = None
    created: datetime | None = None
    expires_at: datetime | None = None


class ModelInfo(Value):
    """A model that a provider lists. `shuts_down` is the day it ends, where that is known."""

    id: str
    created: datetime | None = None
    owner: str | None = None
    shuts_down: date | None = None


class Moderation(Value):
    """What a provider's rules say of a prompt or pictures, before anything is made of them.

    `scores` are between 0 and 1; `categories` those that it objects to.
    """

    flagged: bool
    categories: tuple[str, ...] = ()
    scores: Mapping[str, float] = Field(default_factory=dict, repr=False)
    model: str | None = None
