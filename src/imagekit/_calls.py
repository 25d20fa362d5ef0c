"""A call: from what was asked to one flow, with everything around it that the core adds."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Generic, TypeVar

from ._addressed import addressed
from ._cache import cache_of, cached, own_cache
from ._debug import dumped
from ._errors import ImagekitError, RequestError, UnsupportedRequestError
from ._events import Noticed
from ._fallback import Choice, fallen_back, words_of
from ._fetched import brought
from ._flow import Effect, Effects, Emit, Flow, gather, notice, transform
from ._hookspecs import CallInfo
from ._http import Endpoint
from ._image import Image
from ._jobs import Begun, Job, JobPart, job_of, known, parted, parts_of, without_waiting
from ._making import Making, finished, guarded, making, repeated, stamped
from ._meant import How, Meaning, Spending, blaming, free, only_how, request_of
from ._money import costed, estimated
from ._observed import Exchanges, observed
from ._pace import Pace, paced
from ._plan import Plan, is_plan, plan_of
from ._prepared import prepared
from ._prices import Estimate
from ._purse import Held, Purse, budget_of, budgeted
from ._request import ImageRequest
from ._response import ImageResponse, Notice
from ._retried import retried
from ._split import SIDE_BY_SIDE, divided, failure_of, recorded, together

T = TypeVar("T")
# Jobs of which it is remembered what may be owed for them, and models how fast they may be asked.
MOST = 10_000


@dataclass(frozen=True, slots=True)
class Ready(Generic[T]):
    """One call, ready to be driven; `begun` is what it has begun at its provider by then."""

    flow: Effects[T]
    deadline: float | None
    begun: Begun | _Latest | None = None


class Calls:
    """One client's calls: everything of it but its I/O."""

    def __init__(
        self,
        meaning: Meaning,
        spending: Spending | None = None,
    ) -> None:
        spending = spending or Spending()
        self.meaning = meaning
        self.providers = meaning.providers
        self.purse, self._budget = Purse(), budget_of(spending.budget)
        self._cache = own_cache(spending.cache)
        self._images_per_minute = spending.images_per_minute
        self._paces: dict[tuple[str, str | None], Pace] = {}
        self._owed: dict[tuple[Any, ...], Held] = {}

    def making(
        self,
        given: ImageRequest | None,
        fields: Mapping[str, Any],
        needs: Sequence[str] = (),
        *,
        stream: bool = False,
    ) -> Ready[ImageResponse]:
        """One call from a request, or from the fields of one; the client's defaults fill in.

        *needs* are the fields that the verb cannot do without.
        """
        with free():
            meant = [
                self.meaning.settled(given, {**fields, **who}, needs)
                for who in self.meaning.choices(given, fields)
            ]
            return self._first(
                [(how, partial(self._made, how, one, stream=stream)) for how, one in meant]
            )

    def following(self, given: Plan | str, fields: Mapping[str, Any]) -> Ready[ImageResponse]:
        """What a plan says, and nothing else."""
        with free():
            only_how(fields)
            if fields.get("provider") is not None:
                raise RequestError("a plan says who is asked: leave provider out")
            plan = plan_of(given)
            makes = []
            for one in (plan, *plan.then):
                own = {"check_mask": one.check_mask, "fall_back_on": one.fall_back_on}
                said = {name: word for name, word in own.items() if word} | dict(fields)
                how = self.meaning.how({**said, "provider": self.meaning.whose(one, fields)})
                make = partial(self._made, how, one.request, plan=one, stream=one.stream)
                makes.append((how, make))
            return self._first(makes)

    def planning(
        self,
        given: ImageRequest | None,
        fields: Mapping[str, Any],
        needs: Sequence[str] = (),
        *,
        stream: bool = False,
    ) -> Ready[Plan]:
        """What one call would do, without doing it."""
        with free():
            meant = [
                self.meaning.settled(given, {**fields, **who}, needs)
                for who in self.meaning.choices(given, fields)
            ]
            also = words_of(meant[0][0].said.get("fall_back_on") or ())
            makings, passed = [], []
            for how, request in meant:
                try:
                    makings.append(Making.of(self.meaning, how, request, stream=stream))
                except UnsupportedRequestError as error:
                    if not makings and ("unsupported" not in also or how is meant[-1][0]):
                        raise
                    passed.append(_passed_over(how.name, error))

            budget = budget_of(meant[0][0].said.get("budget"))

            def flow() -> Effects[Plan]:
                plans: list[Plan] = []
                for one in makings:
                    try:
                        plans.append((yield from _named(one.plan(), one.how.name)))
                    except UnsupportedRequestError as error:
                        if not plans and ("unsupported" not in also or one is makings[-1]):
                            raise
                        passed.append(_passed_over(one.how.name, error))
                # A plan spends nothing; what its own budget would not hold is refused all the same.
                Purse().reserve(plans[0].estimate, call=budget)
                return plans[0].passing(passed, plans[1:])

            return Ready(_free(flow()), meant[0][0].deadline)

    def _first(
        self, makes: Sequence[tuple[How, Callable[[], Ready[ImageResponse]]]]
    ) -> Ready[ImageResponse]:
        """The only one of them; or the first that can be had, the others after it."""
        how, make = makes[0]
        also = words_of(how.said.get("fall_back_on") or ())
        if len(makes) == 1:
            return make()
        begun = _Latest()

        def choice(make: Callable[[], Ready[ImageResponse]]) -> Flow:
            with free():
                begun.of = make()
            return begun.of.flow

        for one, _ in makes:
            # What is set up wrongly is said now, and not when it is needed.
            with blaming(one.name):
                self.providers.endpoint(one.name)
        choices = [Choice(one.name, partial(choice, make)) for one, make in makes]
        return Ready(fallen_back(choices, also), how.deadline, begun)

    def _made(
        self, how: How, request: ImageRequest, *, stream: bool, plan: Plan | None = None
    ) -> Ready[ImageResponse]:
        """One provider's making of it, within the budget, or what was kept of it."""
        making = Making.of(self.meaning, how, request, stream=stream)
        cache = cache_of(how.said.get("cache"), self._cache)
        begun = making.begun() if hasattr(making.maker, "resume") else None

        def made(plan: Plan | None) -> Flow:
            flow = making.made(self._pace(how.name, making.model), begun or making.begun(), plan)
            return self._within(how, flow, making.estimate)

        def by_plan() -> Flow:
            found = plan or (yield from making.plan())
            flow = made(found)
            if cache is not None and found.complete:
                flow = cached(
                    flow,
                    cache,
                    found.key,
                    found.request.n,
                    refresh=refreshes,
                    said=found.notices,
                    look=making.outside(found.request),
                )
            try:
                response = yield from flow
            except ImagekitError as error:
                error.response = error.response and error.response.with_plan(found)
                raise
            return response.with_plan(found)

        refreshes = how.said.get("cache") == "refresh"
        kept = plan is not None or cache is not None or how.said.get("keep_plan")
        flow = by_plan() if kept else made(None)
        return self._around(how, flow, making.request, stream=making.stream, begun=begun)

    def _pace(self, name: str, model: str | None) -> Pace:
        """What is known of how fast *model* of the provider *name* may be asked."""
        pace = self._paces.setdefault((name, model), Pace(self._images_per_minute))
        # A model's name may be a stranger's, who has no end of them.
        _trim(self._paces)
        return pace

    def submitting(
        self, given: ImageRequest | None, fields: Mapping[str, Any], needs: Sequence[str] = ()
    ) -> Ready[Job]:
        """One call that ends as soon as its provider goes on by itself."""
        with free():
            _no_job(fields)
            how, request = self.meaning.settled(given, {**fields, "detach": True}, needs)
            lacks = "keeps no jobs: its pictures come with the call"
            maker = self.meaning.able(how.name, "resume", lacks)
            request, found, able = self.meaning.checked(how.name, request)
            if not able.detaches:
                raise UnsupportedRequestError(f"{how.name} {lacks}")

            model = request.model or able.model

            def one(part: ImageRequest) -> Effects[Any]:
                flow = making(how.name, maker.flow, part, stream=False)
                return repeated(how, maker, parted(flow))

            def submitted() -> Effects[Sequence[JobPart]]:
                ready = yield from retried(prepared(request, able, how.name), how.policy)
                parts = divided(ready, able.max_images)
                flow = gather([one(part) for part in parts], limit=SIDE_BY_SIDE)
                pace = self._pace(how.name, model)
                outcomes = yield from paced(flow, pace, request.n, how.policy.patience)
                return parts_of(outcomes, [part.n for part in parts])

            flow = self._given_out(how, submitted(), model, [request.n], found)
            return self._around(how, self._owing(how, flow, estimated(request, able)), request)

    def batching(self, requests: Sequence[ImageRequest], fields: Mapping[str, Any]) -> Ready[Job]:
        """All *requests* as one job of the provider's batch API."""
        with free():
            _no_job(fields)
            requests = tuple(requests)
            if not requests:
                raise RequestError("there is nothing in the batch: no request was given")
            if strange := next(
                (one for one in requests if not isinstance(one, ImageRequest)), None
            ):
                raise RequestError(f"a batch is of ImageRequests, not {type(strange).__name__}")
            settled = [self.meaning.settled(request, fields) for request in requests]
            how = settled[0][0]
            if other := next((one.name for one, _ in settled if one.name != how.name), None):
                raise RequestError(f"a batch is one provider's: {how.name!r} and {other!r} are two")
            maker = self.meaning.able(how.name, "batch", "has no batches")
            parts, found = [], []
            for _, request in settled:
                fit, notices, able = self.meaning.checked(how.name, request)
                parts += [(part, able) for part in divided(fit, able.max_images)]
                found += notices

            def submitted() -> Effects[Sequence[JobPart]]:
                ready = []
                for part, able in parts:
                    ready.append((yield from retried(prepared(part, able, how.name), how.policy)))
                flow = parted(making(how.name, maker.batch, tuple(ready)))
                handle = yield from repeated(how, maker, flow)
                return parts_of([handle], [sum(part.n for part in ready)])

            counts = [request.n for _, request in settled]
            model = settled[0][1].model or parts[0][1].model
            flow = self._given_out(how, submitted(), model, counts, found, batched=True)
            first, *more = (estimated(part, able, batch=True) for part, able in parts)
            return self._around(how, self._owing(how, flow, sum(more, first)))

    def _within(self, how: How, flow: Effects[T], estimate: Estimate) -> Effects[T]:
        """*flow*, which begins only if the budgets hold what it may cost."""
        call = budget_of(how.said.get("budget"))
        return budgeted(flow, self.purse, self._budget, call, estimate)

    def _owing(self, how: How, flow: Effects[Job], estimate: Estimate) -> Effects[Job]:
        """The same, of a job, whose cost is known when it is done."""
        held = self.purse.reserve(estimate, self._budget, budget_of(how.said.get("budget")))
        outcome: ImagekitError | None = None
        try:
            job = yield from flow
            self._owe(job, held)
            return job
        except ImagekitError as error:
            outcome = error
            raise
        finally:
            self.purse.settle(held, outcome)

    def _paid(self, flow: Flow, job: Job) -> Flow:
        """*flow*, which ends *job*: what that cost is counted once, however often it is asked."""

        def settle(outcome: ImageResponse | ImagekitError) -> None:
            held = self._owed.get(_known_by(job)) or self.purse.reserve(Estimate())
            self._owe(job, held)
            self.purse.settle(held, outcome)

        try:
            response = yield from flow
        except ImagekitError as error:
            settle(error)
            raise
        settle(response)
        return response

    def _owe(self, job: Job, held: Held) -> None:
        self._owed[_known_by(job)] = held
        _trim(self._owed)

    def _given_out(
        self,
        how: How,
        submitted: Effects[Sequence[JobPart]],
        model: str | None,
        counts: Sequence[int],
        found: Sequence[Notice],
        *,
        batched: bool = False,
    ) -> Effects[Job]:
        notices = dict.fromkeys(found)

        def handle(effect: Effect) -> Effects[Any]:
            if isinstance(effect, Emit) and isinstance(effect.event, Noticed):
                notices[effect.event.notice] = None
            return (yield effect)

        parts = yield from transform(submitted, handle)
        return Job(
            **self.providers.stamp(how.name),
            model=model,
            counts=tuple(counts),
            parts=tuple(parts),
            created=datetime.now(UTC),
            notices=tuple(notices),
            batched=batched,
        )

    def resuming(
        self, given: Job | str, fields: Mapping[str, Any], *, wait: bool = True
    ) -> Ready[ImageResponse]:
        """The rest of a job; where it may not *wait*, it ends in `Unfinished` instead."""
        with free():
            job = job_of(given)
            only_how(fields)
            _no_job(fields)
            how = self.meaning.how({**fields, "provider": self.meaning.whose(job, fields)})
            maker = self.meaning.able(how.name, "resume", "keeps no jobs")
            able = self.providers.capabilities(how.name, job.model)
            same = ("counts", "model", "created", "notices", "batched")
            about = {name: getattr(job, name) for name in same}
            begun = Begun({**self.providers.stamp(how.name), **about})
            # Who only looks is not kept waiting because the provider is asked too often.
            if not wait:
                how = replace(how, policy=replace(how.policy, patience=how.policy.cap))

            def one(part: JobPart) -> Flow:
                if part.handle is None:
                    return begun.watched(known(part), part.n)
                flow = making(how.name, maker.resume, part.handle)
                flow = flow if wait else without_waiting(flow)
                flow = costed(repeated(how, maker, flow, taken=True), able, batch=job.batched)
                return begun.watched(recorded(flow, part.n), part.n, part.handle)

            counts = [part.n for part in job.parts]
            flow = together([one(part) for part in job.parts], counts)
            flow = finished(how, _told(flow, job.notices), job.n)
            flow = stamped(flow, self.providers.stamp(how.name), job.model)
            return self._around(how, self._paid(begun.kept(flow), job), begun=begun)

    def ending(self, given: Job | str, verb: str, fields: Mapping[str, Any]) -> Ready[None]:
        """What *verb* ("cancel", "delete") does to each part of a job."""
        with free():
            job = job_of(given)
            handles = [part.handle for part in job.parts if part.handle is not None]
            return self._each(
                {**fields, "provider": self.meaning.whose(job, fields)}, verb, handles
            )

    def removing(
        self, handle: Mapping[str, Any], fields: Mapping[str, Any], of: str | None = None
    ) -> Ready[None]:
        """Delete what a provider keeps and knows by *handle*; it is one *of* that provider's."""
        with free():
            usual = self.providers.usual
            if of and not fields.get("provider"):
                # The client's own may be a profile of it, with an account of its own.
                own = usual is not None and self.providers.stamp(usual)["provider"] == of
                fields = {**fields, "provider": usual if own else of}
            return self._each(fields, "delete", [handle])

    def _each(
        self, fields: Mapping[str, Any], verb: str, handles: Sequence[Mapping[str, Any]]
    ) -> Ready[None]:
        only_how(fields)
        how = self.meaning.how(fields)
        maker = self.meaning.able(how.name, verb, f"cannot {verb} what it keeps")

        def all_of_them() -> Effects[None]:
            flows = [
                repeated(how, maker, guarded(how.name, getattr(maker, verb), handle))
                for handle in handles
            ]
            for outcome in (yield from gather(flows, limit=SIDE_BY_SIDE)):
                if isinstance(outcome, BaseException):
                    raise outcome

        return self._around(how, all_of_them())

    def asking(self, verb: str, lacks: str, fields: Mapping[str, Any]) -> Ready[Any]:
        """What a provider's small flow *verb* gives; *lacks* says what one without it lacks."""
        with free():
            only_how(fields)
            how = self.meaning.how(fields)
            maker = self.meaning.able(how.name, verb, lacks)
            flow = guarded(how.name, getattr(maker, verb))
            return self._around(how, repeated(how, maker, flow))

    def showing(
        self,
        verb: str,
        lacks: str,
        shown: Mapping[str, Any],
        fields: Mapping[str, Any],
        *,
        whole: bool = False,
    ) -> Ready[Any]:
        """The same, of a prompt, pictures or both that the provider is *shown*.

        With *whole* a picture has to travel itself, whatever else could be named.
        """
        with free():
            only_how(fields)
            how = self.meaning.how(fields)
            maker = self.meaning.able(how.name, verb, lacks)
            able = self.providers.capabilities(how.name, None)
            if whole:
                able = able.model_copy(update={"inputs": frozenset({"bytes"})})
            if not shown.get("prompt") and not shown.get("images"):
                raise RequestError("neither a prompt nor a picture was given")
            request = request_of(shown)

            def asked() -> Effects[Any]:
                ready = yield from prepared(request, able, how.name)
                return (yield from guarded(how.name, getattr(maker, verb), ready))

            return self._around(how, repeated(how, maker, asked()))

    def sending(self, flow: Effects[T], fields: Mapping[str, Any]) -> Ready[T]:
        """A flow of the caller's own, at the provider's address and with its credentials."""
        with free():
            only_how(fields)
            how = self.meaning.how(fields)
            maker = self.providers.provider(how.name)
            return self._around(how, repeated(how, maker, flow))

    def fetching(self, image: Image, fields: Mapping[str, Any]) -> Ready[Image]:
        """What brings in a picture that is only a URL; without a provider, from strangers only."""
        with free():
            only_how(fields)
            name = fields.get("provider") or self.providers.usual
            how = self.meaning.meant(name or "nobody", self.meaning.said(fields))
            endpoint = self.providers.provider(name).endpoint if name else None
            return self._seen(how, retried(brought(image), how.policy), endpoint)

    def carried(
        self,
        error: ImagekitError,
        given: ImageRequest | Plan | str | None,
        fields: Mapping[str, Any],
    ) -> ImageResponse:
        """*error* as a response that carries it, where the call or the client wants that."""
        said = {**self.meaning.defaults, **fields}
        if said.get("raise_on_error", True):
            raise error
        if isinstance(given, str):
            # It was no plan: nobody knows how many pictures were meant.
            given = plan_of(given) if is_plan(given) else None
        given = given.request if isinstance(given, Plan) else given
        asked = given.n if given is not None else said.get("n", 1)
        n = asked if isinstance(asked, int) and 1 <= asked <= 1000 else 1
        response = error.response or ImageResponse(slots=(failure_of(error),) * n)
        known = {
            "provider": error.provider,
            "http": error.http,
            "request_ids": tuple(filter(None, [error.request_id])),
            "rate_limits": dict(error.rate_limits),
            "attempts": error.attempts,
            "processing_time": error.processing_time,
        }
        # What the response says of itself is nearer to what happened.
        lacks = {name: fact for name, fact in known.items() if not getattr(response, name)}
        return response.model_copy(update=lacks).with_error(error)

    def _around(
        self,
        how: How,
        flow: Effects[T],
        request: ImageRequest | None = None,
        *,
        stream: bool = False,
        begun: Begun | None = None,
    ) -> Ready[T]:
        """A call to a provider that can be asked, with everything that stands around one."""
        with blaming(how.name):
            endpoint = self.providers.endpoint(how.name)
        return self._seen(how, flow, endpoint, request, stream=stream, begun=begun)

    def _seen(
        self,
        how: How,
        flow: Effects[T],
        endpoint: Endpoint | None,
        request: ImageRequest | None = None,
        *,
        stream: bool = False,
        begun: Begun | None = None,
    ) -> Ready[T]:
        """What stands around every call: its observers, and inside them nobody who sees a key."""
        info = CallInfo(uuid.uuid4().hex, how.name, request, stream)
        exchanges = Exchanges(endpoint, keep=bool(how.said.get("raw")))
        flow = observed(flow, info, self.providers.plugins.hook, exchanges)
        flow = dumped(flow, how.said.get("debug"), endpoint)
        return Ready(_named(addressed(flow, endpoint), how.name), how.deadline, begun)


@dataclass
class _Latest:
    """What was begun at whom a call asks just now."""

    of: Ready[ImageResponse] | None = None

    @property
    def job(self) -> Job | None:
        """What can still be finished of it."""
        begun = self.of.begun if self.of else None
        return begun.job if begun else None


def _no_job(fields: Mapping[str, Any]) -> None:
    """Refuse what a job does not keep: what was asked, and for whom else."""
    said = [
        name for name in ("cache", "check_mask", "fall_back_on", "keep_plan") if fields.get(name)
    ]
    if said:
        raise RequestError(f"{said[0]} is of calls that wait for their pictures, and not of jobs")
    if not isinstance(fields.get("provider"), str | None):
        raise RequestError("a job is one provider's: name one")


def _trim(known: dict[Any, Any]) -> None:
    """Forget the oldest where there are too many."""
    while len(known) > MOST:
        known.pop(next(iter(known)), None)


def _known_by(job: Job) -> tuple[Any, ...]:
    return job.name, job.created, job.counts


def _told(flow: Flow, notices: Sequence[Notice]) -> Flow:
    for found in notices:
        yield from notice(found)
    return (yield from flow)


def _passed_over(name: str, error: UnsupportedRequestError) -> Notice:
    return Notice(kind="unsupported", feature="provider", detail=str(error), wanted=name)


def _free(flow: Effects[T]) -> Effects[T]:
    with free():
        return (yield from flow)


def _named(flow: Effects[T], name: str) -> Effects[T]:
    with blaming(name):
        return (yield from flow)
