"""A call: from what was asked to one flow, with everything around it that the core adds."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from ._addressed import addressed
from ._debug import dumped
from ._errors import ImagekitError, PluginError, RequestError, UnsupportedRequestError
from ._events import Noticed
from ._fetched import brought, filled
from ._flow import Effect, Effects, Emit, Flow, gather, notice, transform
from ._hookspecs import CallInfo
from ._http import Endpoint
from ._image import Image
from ._jobs import Begun, Job, JobPart, job_of, known, parted, parts_of, without_waiting
from ._meant import How, Meaning, blaming, free, only_how, request_of
from ._observed import Exchanges, observed
from ._prepared import prepared
from ._request import ImageRequest
from ._response import ImageResponse, Notice
from ._retried import retried
from ._slots import ended
from ._split import SIDE_BY_SIDE, divided, failure_of, split, together

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Planned(Generic[T]):
    """One call, ready to be driven; `begun` is what it has begun at its provider by then."""

    flow: Effects[T]
    deadline: float | None
    begun: Begun | None = None


class Calls:
    """One client's calls: everything of it but its I/O."""

    def __init__(self, meaning: Meaning) -> None:
        self.meaning = meaning
        self.providers = meaning.providers

    def planned(
        self,
        given: ImageRequest | None,
        fields: Mapping[str, Any],
        needs: Sequence[str] = (),
        *,
        stream: bool = False,
    ) -> Planned[ImageResponse]:
        """One call from a request, or from the fields of one; the client's defaults fill in.

        *needs* are the fields that the verb cannot do without.
        """
        with free():
            how, request = self.meaning.settled(given, fields, needs)
            flow, begun = self._performed(how, request, stream)
            return self._around(how, flow, request, stream=stream, begun=begun)

    def submitting(
        self, given: ImageRequest | None, fields: Mapping[str, Any], needs: Sequence[str] = ()
    ) -> Planned[Job]:
        """One call that ends as soon as its provider goes on by itself."""
        with free():
            how, request = self.meaning.settled(given, {**fields, "detach": True}, needs)
            lacks = "keeps no jobs: its pictures come with the call"
            maker = self.meaning.able(how.name, "resume", lacks)
            request, found, able = self.meaning.checked(how.name, request)
            if not able.detaches:
                raise UnsupportedRequestError(f"{how.name} {lacks}")

            def one(part: ImageRequest) -> Effects[Any]:
                flow = _making(how.name, maker.flow, part, stream=False)
                return _repeated(how, maker, parted(flow))

            def submitted() -> Effects[Sequence[JobPart]]:
                ready = yield from retried(prepared(request, able, how.name), how.policy)
                parts = divided(ready, able.max_images)
                outcomes = yield from gather([one(part) for part in parts], limit=SIDE_BY_SIDE)
                return parts_of(outcomes, [part.n for part in parts])

            flow = self._given_out(
                how, submitted(), request.model or able.model, [request.n], found
            )
            return self._around(how, flow, request)

    def batching(self, requests: Sequence[ImageRequest], fields: Mapping[str, Any]) -> Planned[Job]:
        """All *requests* as one job of the provider's batch API."""
        with free():
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
                flow = parted(_making(how.name, maker.batch, tuple(ready)))
                handle = yield from _repeated(how, maker, flow)
                return parts_of([handle], [sum(part.n for part in ready)])

            counts = [request.n for _, request in settled]
            model = settled[0][1].model or parts[0][1].model
            flow = self._given_out(how, submitted(), model, counts, found)
            return self._around(how, flow)

    def _given_out(
        self,
        how: How,
        submitted: Effects[Sequence[JobPart]],
        model: str | None,
        counts: Sequence[int],
        found: Sequence[Notice],
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
        )

    def resuming(
        self, given: Job | str, fields: Mapping[str, Any], *, wait: bool = True
    ) -> Planned[ImageResponse]:
        """The rest of a job; where it may not *wait*, it ends in `Unfinished` instead."""
        with free():
            job = job_of(given)
            only_how(fields)
            how = self.meaning.how({**fields, "provider": self.meaning.whose(job, fields)})
            maker = self.meaning.able(how.name, "resume", "keeps no jobs")
            about = {name: getattr(job, name) for name in ("counts", "model", "created", "notices")}
            begun = Begun({**self.providers.stamp(how.name), **about})
            # Who only looks is not kept waiting because the provider is asked too often.
            if not wait:
                how = replace(how, policy=replace(how.policy, patience=how.policy.cap))

            def one(part: JobPart) -> Flow:
                if part.handle is None:
                    return begun.watched(known(part), part.n)
                flow = _making(how.name, maker.resume, part.handle)
                flow = flow if wait else without_waiting(flow)
                flow = _repeated(how, maker, flow, taken=True)
                return begun.watched(flow, part.n, part.handle)

            counts = [part.n for part in job.parts]
            flow = together([one(part) for part in job.parts], counts)
            flow = self._ended(how, flow, job.n, job.model, job.notices)
            return self._around(how, begun.kept(flow), begun=begun)

    def ending(self, given: Job | str, verb: str, fields: Mapping[str, Any]) -> Planned[None]:
        """What *verb* ("cancel", "delete") does to each part of a job."""
        with free():
            job = job_of(given)
            handles = [part.handle for part in job.parts if part.handle is not None]
            return self._each(
                {**fields, "provider": self.meaning.whose(job, fields)}, verb, handles
            )

    def removing(
        self, handle: Mapping[str, Any], fields: Mapping[str, Any], of: str | None = None
    ) -> Planned[None]:
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
    ) -> Planned[None]:
        only_how(fields)
        how = self.meaning.how(fields)
        maker = self.meaning.able(how.name, verb, f"cannot {verb} what it keeps")

        def all_of_them() -> Effects[None]:
            flows = [
                _repeated(how, maker, _guarded(how.name, getattr(maker, verb), handle))
                for handle in handles
            ]
            for outcome in (yield from gather(flows, limit=SIDE_BY_SIDE)):
                if isinstance(outcome, BaseException):
                    raise outcome

        return self._around(how, all_of_them())

    def asking(self, verb: str, lacks: str, fields: Mapping[str, Any]) -> Planned[Any]:
        """What a provider's small flow *verb* gives; *lacks* says what one without it lacks."""
        with free():
            only_how(fields)
            how = self.meaning.how(fields)
            maker = self.meaning.able(how.name, verb, lacks)
            flow = _guarded(how.name, getattr(maker, verb))
            return self._around(how, _repeated(how, maker, flow))

    def showing(
        self,
        verb: str,
        lacks: str,
        shown: Mapping[str, Any],
        fields: Mapping[str, Any],
        *,
        whole: bool = False,
    ) -> Planned[Any]:
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
                return (yield from _guarded(how.name, getattr(maker, verb), ready))

            return self._around(how, _repeated(how, maker, asked()))

    def sending(self, flow: Effects[T], fields: Mapping[str, Any]) -> Planned[T]:
        """A flow of the caller's own, at the provider's address and with its credentials."""
        with free():
            only_how(fields)
            how = self.meaning.how(fields)
            maker = self.providers.provider(how.name)
            return self._around(how, _repeated(how, maker, flow))

    def fetching(self, image: Image, fields: Mapping[str, Any]) -> Planned[Image]:
        """What brings in a picture that is only a URL; without a provider, from strangers only."""
        with free():
            only_how(fields)
            name = fields.get("provider") or self.providers.usual
            how = self.meaning.meant(name or "nobody", self.meaning.said(fields))
            endpoint = self.providers.provider(name).endpoint if name else None
            return self._seen(how, retried(brought(image), how.policy), endpoint)

    def carried(
        self, error: ImagekitError, given: ImageRequest | None, fields: Mapping[str, Any]
    ) -> ImageResponse:
        """*error* as a response that carries it, where the call or the client wants that."""
        said = {**self.meaning.defaults, **fields}
        if said.get("raise_on_error", True):
            raise error
        asked = given.n if given is not None else said.get("n", 1)
        n = asked if isinstance(asked, int) and 1 <= asked <= 1000 else 1
        response = error.response or ImageResponse(slots=(failure_of(error),) * n)
        known = {
            "provider": error.provider,
            "http": error.http,
            "request_ids": tuple(filter(None, [error.request_id])),
            "rate_limits": dict(error.rate_limits),
            "processing_time": error.processing_time,
        }
        # What the response says of itself is nearer to what happened.
        lacks = {name: fact for name, fact in known.items() if not getattr(response, name)}
        return response.model_copy(update=lacks).with_error(error)

    def _performed(
        self, how: How, request: ImageRequest, stream: bool
    ) -> tuple[Flow, Begun | None]:
        name = how.name
        maker = self.providers.provider(name)
        request, found, able = self.meaning.checked(name, request)
        stream = stream and able.streaming
        most = (able.max_images_streamed if stream else None) or able.max_images
        model = request.model or able.model
        about = {"counts": (request.n,), "model": model, "notices": tuple(found)}
        begun = Begun({**self.providers.stamp(name), **about})

        def one(part: ImageRequest) -> Flow:
            flow = _making(name, maker.flow, part, stream=stream)
            return begun.watched(_repeated(how, maker, flow), part.n)

        def made() -> Flow:
            ready = yield from retried(prepared(request, able, name), how.policy)
            return (yield from split(ready, most, one))

        flow = self._ended(how, made(), request.n, model, found)
        return (begun.kept(flow), begun) if hasattr(maker, "resume") else (flow, None)

    def _ended(
        self, how: How, flow: Flow, n: int, model: str | None, notices: Sequence[Notice]
    ) -> Flow:
        """Each slot ends once, results that are URLs are fetched, and it is said who made them."""

        def told() -> Flow:
            for found in notices:
                yield from notice(found)
            return (yield from flow)

        def fill(image: Image) -> Effects[Image]:
            return retried(filled(image, wanted=bool(how.said.get("fetch", True))), how.policy)

        return _stamped(ended(told(), n, fill), self.providers.stamp(how.name), model)

    def _around(
        self,
        how: How,
        flow: Effects[T],
        request: ImageRequest | None = None,
        *,
        stream: bool = False,
        begun: Begun | None = None,
    ) -> Planned[T]:
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
    ) -> Planned[T]:
        """What stands around every call: its observers, and inside them nobody who sees a key."""
        info = CallInfo(uuid.uuid4().hex, how.name, request, stream)
        exchanges = Exchanges(endpoint, keep=bool(how.said.get("raw")))
        flow = observed(flow, info, self.providers.plugins.hook, exchanges)
        flow = dumped(flow, how.said.get("debug"), endpoint)
        return Planned(_named(addressed(flow, endpoint), how.name), how.deadline, begun)


def _repeated(how: How, maker: Any, flow: Effects[T], *, taken: bool = False) -> Effects[T]:
    """*flow*, repeated where that cannot cost twice, by what its provider knows of refusals."""
    return retried(flow, how.policy, getattr(maker, "judge", None), taken=taken)


def _guarded(name: str, flow: Callable[..., Effects[Any]], *given: Any, **how: Any) -> Effects[Any]:
    """A provider's own flow; what it raises beyond our errors is the plugin's fault."""
    try:
        found = yield from flow(*given, **how)
    except ImagekitError:
        raise
    except Exception as error:
        raise PluginError(f"provider {name!r} failed: {error!r}") from error
    return found


def _making(name: str, flow: Callable[..., Flow], *given: Any, **how: Any) -> Flow:
    """The same, of a flow that makes pictures."""
    found = yield from _guarded(name, flow, *given, **how)
    if not isinstance(found, ImageResponse):
        raise PluginError(
            f"provider {name!r}: its flow must return an ImageResponse, not {type(found).__name__}"
        )
    return found


def _stamped(flow: Flow, stamp: Mapping[str, Any], model: str | None) -> Flow:
    """The response says who made it, also the one that an error carries."""

    def stamped(response: ImageResponse) -> ImageResponse:
        return response.model_copy(update={**stamp, "model": response.model or model})

    try:
        return stamped((yield from flow))
    except ImagekitError as error:
        error.response = error.response and stamped(error.response)
        raise


def _named(flow: Effects[T], name: str) -> Effects[T]:
    with blaming(name):
        return (yield from flow)
