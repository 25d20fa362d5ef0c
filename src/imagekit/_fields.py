"""What the verbs take, by keyword: what is wanted, and how the call is made."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TextIO, TypeAlias, TypedDict

from ._fallback import FallBackOn
from ._input import InputLike
from ._mask import Mask
from ._purse import AsBudget
from ._request import Options, State, Unsupported

if TYPE_CHECKING:
    from ._cache import AsCache

# What most providers know, for editors to complete; whatever else a provider knows goes as well.
Size: TypeAlias = (
    Literal["auto", "1024x1024", "1536x1024", "1024x1536", "1:1", "3:2", "2:3", "16:9", "9:16"]
    | str
)
Quality: TypeAlias = Literal["auto", "low", "medium", "high"] | str
Background: TypeAlias = Literal["auto", "opaque", "transparent"] | str
OutputFormat: TypeAlias = Literal["png", "jpeg", "webp", "gif", "svg"] | str
# One picture, or several in order.
Inputs: TypeAlias = "InputLike | Sequence[InputLike]"


class HowFields(TypedDict, total=False):
    """How a call is made.

    `deadline` is seconds for everything together, retries included. `fetch=False` leaves results
    that are URLs where they are. `raw=True` keeps the exchanges in the response. `retries` is how
    often a request that cannot cost twice is repeated. With `raise_on_error=False` what goes wrong
    comes back as the response's `error`; streams and `open_image` raise whatever it says. `debug`
    shows each exchange, without secrets: True on standard error, or a text file to write to.
    `check_mask=True` looks at how much changed outside the mask. `keep_plan=True` keeps the plan
    that the call was made by in the response. `fall_back_on` names further reasons to ask the next
    of several providers.
    """

    deadline: float | None
    fetch: bool
    raw: bool
    retries: int
    raise_on_error: bool
    debug: bool | TextIO
    check_mask: bool
    keep_plan: bool
    fall_back_on: Sequence[FallBackOn]


class SpendFields(TypedDict, total=False):
    """What a call that makes pictures may spend, and whether it need be made anew.

    `budget` is the most that it may cost: an amount in US dollars, or a `Budget`. `cache=False`
    makes it anew where its client has a cache, "refresh" keeps what then comes.
    """

    budget: AsBudget | None
    cache: AsCache | None


class SaveFields(TypedDict, total=False):
    """Where pictures are written to, while they arrive.

    `into` is a path, or a pattern of paths in which `{n}` is the picture's number, from 1; a
    folder takes a name made from the prompt. What is there already is left alone, and the call
    refused before anything is sent, unless `overwrite=True`.
    """

    into: str | os.PathLike[str] | None
    overwrite: bool


class WantFields(TypedDict, total=False):
    """What is wanted, beside prompt and pictures; see `ImageRequest`."""

    model: str | None
    n: int
    size: Size | tuple[int, int] | None
    seed: int | None
    negative_prompt: str | None
    quality: Quality | None
    background: Background | None
    output_format: OutputFormat | None
    output_compression: int | None
    moderation: str | None
    partial_images: int | None
    user: str | None
    detach: bool
    options: Options
    unsupported: Unsupported


class Defaults(HowFields, WantFields, total=False):
    """What a client may fill in where a call says nothing."""


class GenerateFields(HowFields, SpendFields, SaveFields, WantFields, total=False):
    """What `generate` and `vary` take beside the prompt or the pictures."""

    provider: str | Sequence[str] | None
    state: State | None


class EditFields(GenerateFields, total=False):
    """What `edit` takes beside the prompt and the pictures."""

    mask: Mask | None


class StreamFields(EditFields, total=False):
    """What `stream` takes beside the prompt or the request."""

    images: Inputs


class RunFields(HowFields, SpendFields, SaveFields, total=False):
    """What `run` takes beside the request."""

    provider: str | Sequence[str] | None


class PlanFields(StreamFields, total=False):
    """What `plan` takes beside the prompt or the request: what the call itself would take.

    `stream` plans for `client.stream`.
    """

    stream: bool


class AskFields(TypedDict, total=False):
    """What the verbs that make no picture take: whom to ask, and how."""

    provider: str | None
    deadline: float | None
    retries: int
    debug: bool | TextIO


class FetchFields(AskFields, SaveFields, total=False):
    """What `fetch` takes beside the picture."""


class ModerateFields(AskFields, total=False):
    """What `moderate` takes beside the prompt and the pictures."""

    model: str | None


class ResumeFields(HowFields, SaveFields, total=False):
    """What `resume` takes beside the job, which says whom to ask unless *provider* does."""

    provider: str | None


# Of one call only, whose pictures they are.
SAVE = frozenset(SaveFields.__annotations__)
CALL = frozenset({*HowFields.__annotations__, *SpendFields.__annotations__, *SAVE, "provider"})
