"""The module-level verbs, and the one client behind them."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Sequence
from typing import Any, Unpack

from ._capabilities import Capabilities
from ._client import Client, Kept
from ._fields import (
    AskFields,
    EditFields,
    FetchFields,
    GenerateFields,
    Inputs,
    PlanFields,
    ResumeFields,
    RunFields,
    StreamFields,
)
from ._image import Image, ImageFile
from ._jobs import Job
from ._plan import Plan
from ._request import ImageRequest
from ._response import ImageResponse
from ._streams import Stream

_lock = threading.Lock()
_client: Client | None = None
_settings: dict[str, Any] = {}


def configure(**settings: Any) -> None:
    """Set up the client behind the module-level verbs; the arguments are those of `Client`.

    Replaces whatever was set up before. Call it at the start of a program, not in a library.
    """
    global _client, _settings
    made = Client(**settings)
    with _lock:
        old, _client, _settings = _client, made, settings
    if old is not None:
        old.close()


def default() -> Client:
    """The client behind the module-level verbs, made on first use."""
    global _client
    with _lock:
        if _client is None:
            _client = Client(**_settings)
        return _client


def generate(prompt: str, **fields: Unpack[GenerateFields]) -> ImageResponse:
    """Make pictures from a prompt; see `Client.generate`."""
    return default().generate(prompt, **fields)


def edit(prompt: str, images: Inputs, **fields: Unpack[EditFields]) -> ImageResponse:
    """Change pictures as a prompt says; see `Client.edit`."""
    return default().edit(prompt, images, **fields)


def vary(images: Inputs, **fields: Unpack[GenerateFields]) -> ImageResponse:
    """Make pictures like a given one; see `Client.vary`."""
    return default().vary(images, **fields)


def run(request: ImageRequest | Plan | str, **fields: Unpack[RunFields]) -> ImageResponse:
    """Do what *request*, or a plan, asks; see `Client.run`."""
    return default().run(request, **fields)


def plan(request: ImageRequest | str, **fields: Unpack[PlanFields]) -> Plan:
    """What it would send and may cost; see `Client.plan`."""
    return default().plan(request, **fields)


def stream(request: ImageRequest | Plan | Job | str, **fields: Unpack[StreamFields]) -> Stream:
    """Do what is asked, and see it happen; see `Client.stream`."""
    return default().stream(request, **fields)


def open_image(given: ImageRequest | Image | str, **fields: Unpack[StreamFields]) -> ImageFile:
    """The bytes of one picture as a file; see `Client.open_image`."""
    return default().open_image(given, **fields)


def fetch(image: Image, **fields: Unpack[FetchFields]) -> Image:
    """*image* with its bytes, where it is only a URL yet."""
    return default().fetch(image, **fields)


def submit(request: ImageRequest | str, **fields: Unpack[StreamFields]) -> Job:
    """Have it done while nobody waits; see `Client.submit`."""
    return default().submit(request, **fields)


def batch(requests: Sequence[ImageRequest], **fields: Unpack[RunFields]) -> Job:
    """Have all of them done by the provider's batch API; see `Client.batch`."""
    return default().batch(requests, **fields)


def resume(job: Job | str, **fields: Unpack[ResumeFields]) -> ImageResponse:
    """Wait for a job to be done; see `Client.resume`."""
    return default().resume(job, **fields)


def poll(job: Job | str, **fields: Unpack[ResumeFields]) -> ImageResponse | None:
    """The pictures of a job if it is done; see `Client.poll`."""
    return default().poll(job, **fields)


def cancel(job: Job | str, **fields: Unpack[AskFields]) -> None:
    """End a job; see `Client.cancel`."""
    default().cancel(job, **fields)


def delete(kept: Kept, **fields: Unpack[AskFields]) -> None:
    """Delete what a provider keeps; see `Client.delete`."""
    default().delete(kept, **fields)


def capabilities(model: str | None = None, *, provider: str | None = None) -> Capabilities:
    """What *model* can do; see `Client.capabilities`."""
    return default().capabilities(model, provider=provider)


def providers() -> tuple[str, ...]:
    """Everything that `provider=` may be."""
    return default().providers()


def _close() -> None:
    global _client
    with _lock:
        old, _client = _client, None
    if old is not None:
        old.close()


def _forget() -> None:
    # After a fork the parent's connections are not ours, not even to close.
    global _client, _lock
    _lock, _client = threading.Lock(), None


atexit.register(_close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
