"""Calls that begin a job, look at it, wait for it or end it, and what may be owed for one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from ._around import Around, Ready, trim
from ._capabilities import Capabilities
from ._errors import ImagekitError, RequestError, UnsupportedRequestError
from ._events import Noticed
from ._flow import Effect, Effects, Emit, Flow, gather, notice, transform
from ._jobs import Begun, Job, JobPart, job_of, known, parted, parts_of, without_waiting
from ._making import finished, guarded, making, repeated, stamped
from ._meant import How, only_how
from ._money import costed, estimated
from ._pace import paced
from ._prepared import prepared
from ._prices import Estimate
from ._purse import Held, budget_of
from ._request import ImageRequest
from ._response import ImageResponse, Notice
from ._retried import retried
from ._split import SIDE_BY_SIDE, divided, recorded, together
from ._spool import place_of, spooled


class JobCalls:
    """One client's calls about jobs."""

    def __init__(self, around: Around) -> None:
        self._around, self._meaning = around, around.meaning
        self._providers, self._purse = around.providers, around.purse
        self._owed: dict[tuple[Any, ...], Held] = {}

    def submitting(
        self, given: ImageRequest | None, fields: Mapping[str, Any], needs: Sequence[str] = ()
    ) -> Ready[Job]:
        """One call that ends as soon as its provider goes on by itself."""
        with self._around.begins("submit", fields, given):
            _no_pictures(fields)
            how, request = self._meaning.settled(given, {**fields, "detach": True}, needs)
            lacks = "keeps no jobs: its pictures come with the call"
            maker = self._meaning.able(how.name, "resume", lacks)
            request, found, able = self._meaning.checked(how.name, request)
            if not able.detaches:
                raise UnsupportedRequestError(f"{how.name} {lacks}")

            model = request.model or able.model
            begun = self._begun(how, model, [request.n], found)

            def one(part: ImageRequest) -> Effects[Any]:
                flow = making(how.name, maker.flow, part, stream=False)
                flow = begun.watched(flow, part.n)
                return repeated(how, maker, parted(flow))

            def submitted() -> Effects[Sequence[JobPart]]:
                ready = yield from retried(prepared(request, able, how.name), how.policy)
                parts = divided(ready, able.max_images)
                flow = gather([one(part) for part in parts], limit=SIDE_BY_SIDE)
                pace = self._around.pace(how.name, model)
                outcomes = yield from paced(flow, pace, request.n, how.policy.patience)
                return parts_of(outcomes, [part.n for part in parts])

            flow = _given_out(submitted(), begun)
            owing = self._owing(how, flow, estimated(request, able), begun)
            return self._around.call(how, owing, request, verb="submit", model=model, begun=begun)

    def batching(self, requests: Sequence[ImageRequest], fields: Mapping[str, Any]) -> Ready[Job]:
        """All *requests* as one job of the provider's batch API."""
        with self._around.begins("batch", fields):
            _no_pictures(fields)
            requests = tuple(requests)
            if not requests:
                raise RequestError("there is nothing in the batch: no request was given")
            if strange := next(
                (one for one in requests if not isinstance(one, ImageRequest)), None
            ):
                raise RequestError(f"a batch is of ImageRequests, not {type(strange).__name__}")
            settled = [self._meaning.settled(request, fields) for request in requests]
            how = settled[0][0]
            if other := next((one.name for one, _ in settled if one.name != how.name), None):
                raise RequestError(f"a batch is one provider's: {how.name!r} and {other!r} are two")
            maker = self._meaning.able(how.name, "batch", "has no batches")
            parts: list[tuple[ImageRequest, Capabilities]] = []
            found: list[Notice] = []
            for _, request in settled:
                fit, notices, able = self._meaning.checked(how.name, request)
                parts += [(part, able) for part in divided(fit, able.max_images)]
                found += notices

            counts = [request.n for _, request in settled]
            model = settled[0][1].model or parts[0][1].model
            begun = self._begun(how, model, counts, found, batched=True)

            def submitted() -> Effects[Sequence[JobPart]]:
                ready = []
                for part, able in parts:
                    ready.append((yield from retried(prepared(part, able, how.name), how.policy)))
                flow = begun.watched(making(how.name, maker.batch, tuple(ready)), sum(counts))
                handle = yield from repeated(how, maker, parted(flow))
                return parts_of([handle], [sum(counts)])

            flow = _given_out(submitted(), begun)
            first, *more = (estimated(part, able, batch=True) for part, able in parts)
            owing = self._owing(how, flow, sum(more, first), begun)
            return self._around.call(how, owing, verb="batch", model=model, begun=begun)

    def resuming(
        self, given: Job | str, fields: Mapping[str, Any], *, wait: bool = True
    ) -> Ready[ImageResponse]:
        """The rest of a job; where it may not *wait*, it ends in `Unfinished` instead."""
        with self._around.begins("resume" if wait else "poll", fields):
            job = job_of(given)
            only_how(fields)
            _no_job(fields)
            how = self._meaning.how({**fields, "provider": self._meaning.whose(job, fields)})
            maker = self._meaning.able(how.name, "resume", "keeps no jobs")
            able = self._providers.capabilities(how.name, job.model)
            same = ("counts", "model", "created", "notices", "batched")
            about = {name: getattr(job, name) for name in same}
            begun = Begun({**self._providers.stamp(how.name), **about})
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
            flow = stamped(flow, self._providers.stamp(how.name), job.model)
            verb = "resume" if wait else "poll"
            flow = self._paid(begun.kept(flow), job)
            flow = spooled(flow, place_of(how.said, job.n), whole=bool(how.said.get("raw")))
            return self._around.call(
                how, flow, verb=verb, model=job.model, begun=begun, job=_mark(job)
            )

    def ending(self, given: Job | str, verb: str, fields: Mapping[str, Any]) -> Ready[None]:
        """What *verb* ("cancel", "delete") does to each part of a job."""
        with self._around.begins(verb, fields):
            job = job_of(given)
            handles = [part.handle for part in job.parts if part.handle is not None]
            return self._each(
                {**fields, "provider": self._meaning.whose(job, fields)}, verb, handles
            )

    def removing(
        self, handle: Mapping[str, Any], fields: Mapping[str, Any], of: str | None = None
    ) -> Ready[None]:
        """Delete what a provider keeps and knows by *handle*; it is one *of* that provider's."""
        with self._around.begins("delete", fields):
            usual = self._providers.usual
            if of and not fields.get("provider"):
                # The client's own may be a profile of it, with an account of its own.
                own = usual is not None and self._providers.stamp(usual)["provider"] == of
                fields = {**fields, "provider": usual if own else of}
            return self._each(fields, "delete", [handle])

    def _each(
        self, fields: Mapping[str, Any], verb: str, handles: Sequence[Mapping[str, Any]]
    ) -> Ready[None]:
        only_how(fields)
        how = self._meaning.how(fields)
        maker = self._meaning.able(how.name, verb, f"cannot {verb} what it keeps")

        def all_of_them() -> Effects[None]:
            flows = [
                repeated(how, maker, guarded(how.name, getattr(maker, verb), handle))
                for handle in handles
            ]
            for outcome in (yield from gather(flows, limit=SIDE_BY_SIDE)):
                if isinstance(outcome, BaseException):
                    raise outcome

        return self._around.call(how, all_of_them(), verb=verb)

    def _begun(
        self,
        how: How,
        model: str | None,
        counts: Sequence[int],
        found: Sequence[Notice],
        *,
        batched: bool = False,
    ) -> Begun:
        """Where a job that is being begun is noted."""
        about = {
            "model": model,
            "counts": tuple(counts),
            "created": datetime.now(UTC),
            "notices": tuple(dict.fromkeys(found)),
            "batched": batched,
        }
        return Begun({**self._providers.stamp(how.name), **about})

    def _owing(
        self, how: How, flow: Effects[Job], estimate: Estimate, begun: Begun
    ) -> Effects[Job]:
        """The same, of a job, whose cost is known when it is done."""
        held = self._purse.reserve(estimate, self._around.budget, budget_of(how.said.get("budget")))
        outcome: ImagekitError | None = None
        job: Job | None = None
        try:
            job = yield from flow
            return job
        except ImagekitError as error:
            outcome = error
            raise
        finally:
            if (left := job or begun.job) is not None:
                self._owe(left, held)
            self._purse.settle(held, outcome)

    def _paid(self, flow: Flow, job: Job) -> Flow:
        """*flow*, which ends *job*: what that cost is counted once, however often it is asked."""

        def settle(outcome: ImageResponse | ImagekitError) -> None:
            held = self._owed.get(_known_by(job)) or self._purse.reserve(Estimate())
            self._owe(job, held)
            self._purse.settle(held, outcome)

        try:
            response = yield from flow
        except ImagekitError as error:
            settle(error)
            raise
        settle(response)
        return response

    def _owe(self, job: Job, held: Held) -> None:
        self._owed[_known_by(job)] = held
        trim(self._owed)


def _given_out(submitted: Effects[Sequence[JobPart]], begun: Begun) -> Effects[Job]:
    notices = dict.fromkeys(begun.about["notices"])

    def handle(effect: Effect) -> Effects[Any]:
        if isinstance(effect, Emit) and isinstance(effect.event, Noticed):
            notices[effect.event.notice] = None
            begun.about = {**begun.about, "notices": tuple(notices)}
        return (yield effect)

    parts = yield from transform(submitted, handle)
    return Job(**begun.about, parts=tuple(parts))


def _no_pictures(fields: Mapping[str, Any]) -> None:
    """Refuse what a job does not keep: what was asked, and where its pictures go."""
    if fields.get("into") is not None:
        raise RequestError("into is of calls that bring pictures: give it to resume")
    _no_job(fields)


def _no_job(fields: Mapping[str, Any]) -> None:
    """Refuse what a job does not keep: what was asked, and for whom else."""
    said = [
        name for name in ("cache", "check_mask", "fall_back_on", "keep_plan") if fields.get(name)
    ]
    if said:
        raise RequestError(f"{said[0]} is of calls that wait for their pictures, and not of jobs")
    if not isinstance(fields.get("provider"), str | None):
        raise RequestError("a job is one provider's: name one")


def _mark(job: Job) -> str:
    """What tells *job* apart, and says nothing of it."""
    # By its JSON, for what the same job holds here differs once it has been text.
    said = job.model_dump_json(include={"provider", "profile", "parts", "created"})
    return hashlib.sha256(said.encode()).hexdigest()[:32]


def _known_by(job: Job) -> tuple[Any, ...]:
    return job.name, job.created, job.counts


def _told(flow: Flow, notices: Sequence[Notice]) -> Flow:
    for found in notices:
        yield from notice(found)
    return (yield from flow)
