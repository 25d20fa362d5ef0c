"""Plans: what a call would send and may cost, found out without sending anything."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Self, TypeGuard

from pydantic import Field

from ._addressed import joined, origin, shown_url
from ._errors import RequestError
from ._events import Noticed
from ._fallback import FallBackOn
from ._flow import (
    Call,
    Effect,
    Effects,
    Emit,
    Flow,
    Gather,
    Open,
    Send,
    gather,
    proper,
    transform,
)
from ._http import Endpoint, HttpRequest
from ._outgoing import written
from ._prices import Estimate
from ._request import ImageRequest, Operation
from ._response import Notice
from ._value import Data, Value


class PlannedRequest(Value):
    """One request as it would go out, its credentials absent.

    `body` is the very bytes; a plan that comes from JSON has only their `size` and, in `digest`,
    the SHA-256 of all of it.
    """

    method: str
    url: str
    headers: Mapping[str, str] = Field(default_factory=dict, repr=False)
    body: Data | None = Field(default=None, repr=False, exclude=True)
    size: int = 0
    digest: str = Field(repr=False)
    billable: bool = True

    def json_body(self) -> Any:
        """The body as JSON; None where it is no JSON, or is not here."""
        try:
            return json.loads(self.body or b"")
        except ValueError:
            return None


class Plan(Value):
    """What a call would do: `client.run(plan)` does exactly that, now or in another process.

    `request` is settled: its files are read, its size is one that the model makes, its mask is in
    the provider's convention. `calls` is how often the provider is asked for pictures, `requests`
    what it is sent first by each of them; where even what costs money depends on an answer,
    `complete` is false.
    `notices` say what is adapted or dropped, `estimate` what it may cost; `settings` is a SHA-256
    of how a provider is set up that makes no requests. `check_mask` and `fall_back_on` are the
    call's, `then` the plans for the providers that are asked if this one cannot be had. Nothing of
    it is secret but what the request holds.
    """

    provider: str
    profile: str | None = None
    model: str | None = None
    operation: Operation
    stream: bool = False
    request: ImageRequest = Field(repr=False)
    calls: int = 1
    requests: tuple[PlannedRequest, ...] = Field(default=(), repr=False)
    complete: bool = True
    notices: tuple[Notice, ...] = ()
    estimate: Estimate
    versions: Mapping[str, str] = Field(default_factory=dict, repr=False)
    settings: str | None = Field(default=None, repr=False)
    check_mask: bool = False
    fall_back_on: tuple[FallBackOn, ...] = ()
    then: tuple[Plan, ...] = ()

    @property
    def name(self) -> str:
        """Who is asked, as `provider=` would say it."""
        return self.profile or self.provider

    @property
    def key(self) -> str:
        """What is the same for two plans that would do the same: a SHA-256, in hexadecimal."""
        asked = self.request.model_dump(mode="json", exclude_defaults=True, exclude={"unsupported"})
        said: list[Any] = [
            self.provider,
            self.profile,
            self.model,
            self.stream,
            self.settings,
            asked,
        ]
        said += [dict(self.versions), [one.digest for one in self.requests]]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()

    def passing(self, passed: Sequence[Notice], then: Sequence[Plan]) -> Self:
        """A copy with who is *passed* over, and the plans for who is asked *then*."""
        notices = (*self.notices, *passed)
        return self.model_copy(update={"notices": notices, "then": tuple(then)})

    def __str__(self) -> str:
        return self.model_dump_json()

    def __repr__(self) -> str:
        who = "/".join(word for word in (self.name, self.model) if word)
        many = f"{self.calls} call{'s' if self.calls != 1 else ''}"
        return f"<Plan {self.operation} by {who}: {many}, {self.estimate}>"


def planned_request(request: HttpRequest, endpoint: Endpoint | None) -> PlannedRequest:
    """*request* as it would be written, but for its credentials."""
    base = endpoint.base_url if endpoint else ""
    out = written(replace(request, url=joined(base, request.url)))
    # A query of the address itself, or of a stranger's, may be what lets anyone in.
    open_to_all = "?" not in base and origin(out.url) == origin(base)
    heads = json.dumps(sorted(request.headers.items()))
    said = "\n".join((request.method, out.url, out.headers.get("content-type", ""), heads))
    return PlannedRequest(
        method=request.method,
        url=out.url if open_to_all else shown_url(endpoint, out.url),
        headers=out.headers,
        body=out.body,
        size=len(out.body),
        digest=hashlib.sha256(said.encode() + b"\n" + out.body).hexdigest(),
        billable=request.charges,
    )


def rehearsed(flow: Effects[Any], notices: list[Notice]) -> Effects[list[HttpRequest]]:
    """Run *flow* up to its first request, or the first of each flow that it gathers.

    Nothing is sent and nobody is kept waiting; what it says on the way is put to the *notices*.
    """
    step: Callable[[], Effect] = partial(next, flow)
    try:
        while True:
            reply: Any = None
            try:
                effect = proper(step())
            except StopIteration:
                return []
            match effect:
                case Send(request) | Open(request):
                    return [request]
                case Gather(flows, limit):
                    found = yield from gather(
                        [rehearsed(one, notices) for one in flows], limit=limit
                    )
                    return list(_all(found))
                case Emit(Noticed(notice=said)):
                    notices.append(said)
                case Call():
                    try:
                        reply = yield effect
                    except Exception as error:
                        step = partial(flow.throw, error)
                        continue
                case _:
                    pass
            step = partial(flow.send, reply)
    finally:
        flow.close()


def _all(outcomes: Sequence[list[HttpRequest] | BaseException]) -> Iterator[HttpRequest]:
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
        yield from outcome


def as_planned(flow: Flow, plan: Plan, endpoint: Endpoint | None) -> Flow:
    """*flow*, whose first requests are those that *plan* said, or are not sent."""
    said = {one.digest for one in plan.requests}
    last = {one.url for one in plan.requests}

    def watcher() -> Callable[[Effect], Effects[Any]]:
        begun = False

        def handle(effect: Effect) -> Effects[Any]:
            nonlocal begun
            if isinstance(effect, Send | Open) and not begun:
                begun = True
                check(effect.request)
            return (yield effect)

        return handle

    def check(request: HttpRequest) -> None:
        found = planned_request(request, endpoint)
        if found.digest in said:
            return
        where = ""
        if found.url not in last:
            where = f": {found.url} is asked, and the plan says {', '.join(sorted(last))}"
        raise RequestError(
            f"{plan.name} would send something else than the plan says{where}; make a new plan",
            billed="no",
        )

    return transform(flow, watcher(), watcher)


def is_plan(given: object) -> TypeGuard[str]:
    """Whether *given* is a plan as JSON, which as a prompt would be paid for."""
    if not isinstance(given, str) or not given.lstrip().startswith("{"):
        return False
    try:
        plan_of(given)
    except RequestError:
        return False
    return True


def plan_of(given: Plan | str | bytes) -> Plan:
    """A plan as it was given out, or as JSON."""
    if isinstance(given, Plan):
        return given
    try:
        return Plan.model_validate_json(given)
    except ValueError as error:
        raise RequestError("this is no plan that plan() gave", billed="no") from error
