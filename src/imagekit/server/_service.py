"""What all endpoints share: the client, its routes, the calls in progress and what is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

from starlette.requests import Request

from .._client import AsyncClient
from .._errors import (
    ContentRejectedError,
    ImagekitError,
    InvalidRequestError,
    NoImageError,
    RateLimitError,
    RequestError,
)
from .._fields import RunFields
from .._request import ImageRequest
from .._response import ImageResponse
from ._kept import Kept
from ._limits import Limits
from ._log import Record, logger, warn
from ._routes import Routes, Target
from ._runs import BusyError, EndedError, Runs, StoppingError, unless_gone
from .wire.refusals import (
    BROKEN,
    BUSY,
    ENDED,
    STOPPING,
    Refusal,
    RefusedError,
    invalid,
    of_error,
)

T = TypeVar("T")
# What a client is told in the words of whoever said it; all else is in the log alone.
_PASSED_ON = (
    RequestError,
    ContentRejectedError,
    InvalidRequestError,
    NoImageError,
    RateLimitError,
)


@dataclass(frozen=True, slots=True)
class Service:
    """One server's parts."""

    client: AsyncClient
    routes: Routes
    runs: Runs
    kept: Kept
    limits: Limits
    log_prompts: bool = False
    # Whether the calls are made behind those of callers who wait.
    behind: bool = False

    def how(self, target: Target) -> RunFields:
        """How each call is made, whatever the client's own defaults are."""
        return {
            "provider": target.provider,
            "deadline": self.limits.request,
            "fetch": True,
            "raise_on_error": True,
        }

    def check_urls(self, wanted: ImageRequest, target: Target) -> None:
        """Refuse links to where the provider itself lives, which answers us more than others."""
        home = self.routes.home(target)
        masks = [wanted.mask.image] if wanted.mask is not None else []
        for given in (*wanted.images, *masks):
            if given.url is not None and home is not None and _origin(given.url) == _origin(home):
                raise invalid("A link to that place is not followed.", None, "invalid_image_url")

    def begin(self, work: Callable[[], Coroutine[Any, Any, T]]) -> asyncio.Task[T]:
        """Start *work*; raises the refusal where there is no room for it."""
        self.check()
        return self.runs.begin(work, behind=self.behind)

    def check(self) -> None:
        """Raise the refusal where there is no room for another call."""
        try:
            self.runs.check(behind=self.behind)
        except BusyError:
            raise RefusedError(BUSY) from None
        except StoppingError:
            raise RefusedError(STOPPING) from None

    async def made(self, request: Request, wanted: ImageRequest, target: Target) -> ImageResponse:
        """The pictures that are *wanted*; ended when the client leaves."""
        record: Record = request.scope["imagekit"]
        note(record, wanted, target, prompts=self.log_prompts)
        task = self.begin(lambda: self.client.run(wanted, **self.how(target)))
        response = await unless_gone(task, request.receive)
        tell(record, response)
        return response


def _origin(url: str) -> tuple[str | None, int]:
    parts = urlsplit(url)
    return parts.hostname, parts.port or {"http": 80}.get(parts.scheme, 443)


def note(record: Record, wanted: ImageRequest, target: Target, *, prompts: bool) -> None:
    """Log what is asked, and of whom."""
    record.known |= {
        "provider": target.provider,
        "model": target.model,
        "operation": wanted.operation,
    }
    if prompts:
        record.known["prompt"] = wanted.prompt


def tell(record: Record, response: ImageResponse) -> None:
    """Log what came of it."""
    record.known |= {"model": response.model, "images": len(response.images)}
    if response.failures:
        record.known["failed"] = len(response.failures)


def logged(record: Record, error: ImagekitError) -> Refusal:
    """Log a call's *error*; the refusal that stands for it."""
    about = {"fault": type(error).__name__, "billed": error.billed, "upstream": error.request_id}
    record.known |= {name: value for name, value in about.items() if value is not None}
    if not isinstance(error, _PASSED_ON):
        warn(record, f"{type(error).__name__}: {error}")
    return of_error(error)


def refusal_of(record: Record, error: Exception) -> Refusal:
    """The refusal that stands for whatever ended a request; what nobody foresaw is logged."""
    match error:
        case RefusedError():
            return error.refusal
        case ImagekitError():
            return logged(record, error)
        case EndedError():
            return ENDED
    logger.error("%s failed", record.id, exc_info=error)
    return BROKEN
