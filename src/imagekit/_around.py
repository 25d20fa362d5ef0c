"""What stands around every call of a client: its pace, its budgets, its observers, its address."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ._addressed import addressed, hushed
from ._debug import dumped
from ._errors import ImagekitError
from ._flow import Effects
from ._hookspecs import CallInfo
from ._http import Endpoint
from ._hushed import Hush
from ._jobs import Begun, Job, unlost
from ._meant import How, Meaning, Spending, blaming, free
from ._observed import Exchanges, observed, refused
from ._pace import Pace
from ._prices import Estimate
from ._purse import Purse, budget_of, budgeted
from ._request import ImageRequest
from ._response import ImageResponse
from ._url import short_url

T = TypeVar("T")
# Models of which it is remembered how fast they may be asked, and jobs what may be owed for them.
MOST = 10_000


@dataclass(frozen=True, slots=True)
class Ready(Generic[T]):
    """One call, ready to be driven; `begun` is what it has begun at its provider by then."""

    flow: Effects[T]
    deadline: float | None
    begun: Begun | Latest | None = None

    def left(self, struck: BaseException) -> None:
        """Keep what was begun with *struck*, which ends the call and is no error."""
        job = self.begun.job if self.begun and not isinstance(struck, Exception) else None
        if job is not None:
            unlost(job, struck)


class Around:
    """What a client's calls share: whom they may mean, what they may spend, and how fast."""

    def __init__(self, meaning: Meaning, spending: Spending) -> None:
        self.meaning = meaning
        self.providers = meaning.providers
        self.purse, self.budget = Purse(), budget_of(spending.budget)
        self._images_per_minute = spending.images_per_minute
        self._paces: dict[tuple[str, str | None], Pace] = {}

    def pace(self, name: str, model: str | None) -> Pace:
        """What is known of how fast *model* of the provider *name* may be asked."""
        if (pace := self._paces.get((name, model))) is None:
            pace = self._paces.setdefault((name, model), Pace(self._images_per_minute))
            # A model's name may be a stranger's, who has no end of them.
            trim(self._paces)
        return pace

    def within(self, how: How, flow: Effects[T], estimate: Estimate) -> Effects[T]:
        """*flow*, which begins only if the budgets hold what it may cost."""
        call = budget_of(how.said.get("budget"))
        return budgeted(flow, self.purse, self.budget, call, estimate)

    def call(
        self,
        how: How,
        flow: Effects[T],
        request: ImageRequest | None = None,
        *,
        verb: str,
        model: str | None = None,
        stream: bool = False,
        begun: Begun | None = None,
        job: str | None = None,
    ) -> Ready[T]:
        """A call to a provider that can be asked, with everything that stands around one."""
        with blaming(how.name):
            endpoint = self.providers.endpoint(how.name)
        about = {"verb": verb, "model": model, "stream": stream, "job": job}
        return self.seen(how, flow, endpoint, request, begun, **about)

    def seen(
        self,
        how: How,
        flow: Effects[T],
        endpoint: Endpoint | None,
        request: ImageRequest | None = None,
        begun: Begun | None = None,
        **about: Any,
    ) -> Ready[T]:
        """What stands around every call: its observers, and inside them nobody who sees a key.

        *about* is what `CallInfo` says of it beside.
        """
        where = short_url(endpoint.base_url) if endpoint else None
        info = CallInfo(uuid.uuid4().hex, how.name, request, base_url=where, **about)
        exchanges = Exchanges(endpoint, keep=bool(how.said.get("raw")))
        hush = Hush()
        flow = observed(hushed(flow, hush), info, self.providers.plugins.hook, exchanges)
        flow = dumped(flow, how.said.get("debug"), endpoint)
        return Ready(named(addressed(flow, endpoint, hush), how.name), how.deadline, begun)

    @contextmanager
    def begins(
        self, verb: str, fields: Mapping[str, Any], request: ImageRequest | None = None
    ) -> Iterator[None]:
        """What goes wrong before a call begins has cost nothing, and is told to its observers."""
        try:
            with free():
                yield
        except ImagekitError as error:
            said = fields.get("provider")
            name = error.provider or (said if isinstance(said, str) else self.providers.usual)
            info = CallInfo(uuid.uuid4().hex, name or "nobody", request, verb=verb)
            refused(info, self.providers.plugins.hook, error)
            raise


@dataclass
class Latest:
    """What was begun at whom a call asks just now."""

    of: Ready[ImageResponse] | None = None

    @property
    def job(self) -> Job | None:
        """What can still be finished of it."""
        begun = self.of.begun if self.of else None
        return begun.job if begun else None


def trim(known: dict[Any, Any]) -> None:
    """Forget the oldest where there are too many."""
    while len(known) > MOST:
        known.pop(next(iter(known)), None)


def named(flow: Effects[T], name: str) -> Effects[T]:
    """*flow*, whose errors say whose they are."""
    with blaming(name):
        return (yield from flow)
