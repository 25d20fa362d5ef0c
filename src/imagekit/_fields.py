"""What the verbs take, by keyword: what is wanted, and how the call is made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias, TypedDict

from ._image import InputLike, Mask
from ._request import Options, State, Unsupported

# One picture, or several in order.
Inputs: TypeAlias = "InputLike | Sequence[InputLike]"


class HowFields(TypedDict, total=False):
    """How a call is made.

    `deadline` is seconds for everything together, retries included. `fetch=False` leaves results
    that are URLs where they are. `raw=True` keeps the exchanges in the response. `retries` is how
    often a request that cannot cost twice is repeated.
    """

    deadline: float | None
    fetch: bool
    raw: bool
    retries: int


class WantFields(TypedDict, total=False):
    """What is wanted, beside prompt and pictures; see `ImageRequest`."""

    model: str | None
    n: int
    size: str | tuple[int, int] | None
    seed: int | None
    negative_prompt: str | None
    quality: str | None
    background: str | None
    output_format: str | None
    output_compression: int | None
    moderation: str | None
    partial_images: int | None
    user: str | None
    options: Options
    unsupported: Unsupported


class Defaults(HowFields, WantFields, total=False):
    """What a client may fill in where a call says nothing."""


class GenerateFields(HowFields, WantFields, total=False):
    """What `generate` and `vary` take beside the prompt or the pictures."""

    provider: str | None
    state: State | None


class EditFields(GenerateFields, total=False):
    """What `edit` takes beside the prompt and the pictures."""

    mask: Mask | None


class StreamFields(EditFields, total=False):
    """What `stream` takes beside the prompt or the request."""

    images: Inputs


class RunFields(HowFields, total=False):
    """What `run` takes beside the request."""

    provider: str | None


CALL = frozenset(HowFields.__annotations__) | {"provider"}
