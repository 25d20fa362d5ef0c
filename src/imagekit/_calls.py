"""A call: from what was asked to one flow, with everything around it that the core adds."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from ._addressed import addressed
from ._capabilities import Capabilities
from ._debug import dumped
from ._errors import (
    ConfigurationError,
    ImagekitError,
    PluginError,
    RequestError,
    UnknownProviderError,
    UnsupportedRequestError,
)
from ._events import Noticed
from ._fetched import brought, filled
from ._fields import CALL
from ._flow import Effect, Effects, Emit, Flow, gather, notice, transform
from ._hookspecs import CallInfo
from ._http import Endpoint
from ._image import Image
from ._jobs import Begun, Job, JobPart, job_of, known, parted, parts_of, without_waiting
from ._observed import Exchanges, observed
from ._prepared import checked, prepared
from ._providers import Providers
from ._request import ImageRequest
from ._response import ImageResponse, Notice
from ._retried import RetryPolicy, retried
from ._slots import ended
from ._split import SIDE_BY_SIDE, divided, failure_of, split, together

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Planned(Generic[T]):
    """One call, ready to be driven; `begun` is what it has begun at its provider by then."""

    flow: Effects[T]
    deadline: float | None
    begun: Begun | None = None


@dataclass(frozen=True, slots=True)
class _How:
    """Whom a call asks, and how it is made."""

    name: str
    said: Mapping[str, Any]
    deadline: float | None
    policy: RetryPolicy


class Calls:
    """One client's providers, retries and defaults: everything of it but its I/O."""

    def __init__(
        self, providers: Providers, retry: RetryPolicy | None, defaults: Mapping[str, Any]
    ) -> None:
        self.providers = providers
        self._retry = retry or RetryPolicy()
        self._defaults = dict(defaults)
        unknown = set(self._defaults) - set(ImageRequest.model_fields) - CALL
        if unknown:
            raise ConfigurationError(f"no such default: {', '.join(sorted(unknown))}")

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
        with _free():
            how, request = self._settled(given, fields, needs)
            flow, begun = self._performed(how, request, stream)
            return self._around(how, flow, request, stream=stream, begun=begun)

    def submitting(
        self, given: ImageRequest | None, fields: Mapping[str, Any], needs: Sequence[str] = ()
    ) -> Planned[Job]:
        """One call that ends as soon as its provider goes on by itself."""
        with _free():
            how, request = self._settled(given, {**fields, "detach": True}, needs)
            lacks = "keeps no jobs: its pictures come with the call"
            maker = self._able(how.name, "resume", lacks)
            request, found, able = self._checked(how.name, request)
            if not able.detaches:
                raise UnsupportedRequestError(f"{how.name} {lacks}")
            most = able.max_images
            judge = getattr(maker, "judge", None)

            def one(part: ImageRequest) -> Effects[Any]:
                flow = _making(how.name, maker.flow, part, stream=False)
                return retried(parted(flow), how.policy, judge)

            def submitted() -> Effects[Sequence[JobPart]]:
                ready = yield from retried(prepared(request, able, how.name), how.policy)
                parts = divided(ready, most)
                outcomes = yield from gather([one(part) for part in parts], limit=SIDE_BY_SIDE)
                return parts_of(outcomes, [part.n for part in parts])

            flow = self._given_out(
                how, submitted(), request.model or able.model, [request.n], found
            )
            return self._around(how, flow, request)

    def batching(self, requests: Sequence[ImageRequest], fields: Mapping[str, Any]) -> Planned[Job]:
        """All *requests* as one job of the provider's batch API."""
        with _free():
            requests = tuple(requests)
            if not requests:
                raise RequestError("there is nothing in the batch: no request was given")
            if strange := next(
                (one for one in requests if not isinstance(one, ImageRequest)), None
            ):
                raise RequestError(f"a batch is of ImageRequests, not {type(strange).__name__}")
            settled = [self._settled(request, fields) for request in requests]
            how = settled[0][0]
            if other := next((one.name for one, _ in settled if one.name != how.name), None):
                raise RequestError(f"a batch is one provider's: {how.name!r} and {other!r} are two")
            maker = self._able(how.name, "batch", "has no batches")
            parts, found = [], []
            for _, request in settled:
                fit, notices, able = self._checked(how.name, request)
                parts += [(part, able) for part in divided(fit, able.max_images)]
                found += notices

            def submitted() -> Effects[Sequence[JobPart]]:
                ready = []
                for part, able in parts:
                    ready.append((yield from retried(prepared(part, able, how.name), how.policy)))
                flow = parted(_making(how.name, maker.batch, tuple(ready)))
                handle = yield from retried(flow, how.policy, getattr(maker, "judge", None))
                return parts_of([handle], [sum(part.n for part in ready)])

            counts = [request.n for _, request in settled]
            model = settled[0][1].model or parts[0][1].model
            flow = self._given_out(how, submitted(), model, counts, found)
            return self._around(how, flow)

    def _given_out(
        self,
        how: _How,
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
        with _free():
            job = job_of(given)
            _only_how(fields)
            how = self._how({**fields, "provider": self._whose(job, fields)})
            maker = self._able(how.name, "resume", "keeps no jobs")
            about = {name: getattr(job, name) for name in ("counts", "model", "created", "notices")}
            begun = Begun({**self.providers.stamp(how.name), **about})
            # Who only looks is not kept waiting because the provider is asked too often.
            policy = how.policy if wait else replace(how.policy, patience=how.policy.cap)

            def one(part: JobPart) -> Flow:
                if part.handle is None:
                    return begun.watched(known(part), part.n)
                flow = _making(how.name, maker.resume, part.handle)
                flow = flow if wait else without_waiting(flow)
                flow = retried(flow, policy, getattr(maker, "judge", None), taken=True)
                return begun.watched(flow, part.n, part.handle)

            counts = [part.n for part in job.parts]
            flow = together([one(part) for part in job.parts], counts)
            flow = self._ended(how, flow, job.n, job.model, job.notices)
            return self._around(how, begun.kept(flow), begun=begun)

    def _whose(self, job: Job, fields: Mapping[str, Any]) -> str:
        """The name here of who does *job*: what the call says, else the job's own."""
        name = str(fields.get("provider") or job.name)
        here = self.providers.stamp(name)["provider"]
        if name in self.providers.names():
            if here != job.provider:
                raise ConfigurationError(
                    f"the job is of the provider {job.provider!r}, and {name!r} is {here!r} here"
                )
        elif name == job.profile:
            raise UnknownProviderError(
                f"the job is of the profile {name!r}, which is not here: give it in profiles=, "
                "or say by provider= what it is called here"
            )
        return name

    def ending(self, given: Job | str, verb: str, fields: Mapping[str, Any]) -> Planned[None]:
        """What *verb* ("cancel", "delete") does to each part of a job."""
        with _free():
            job = job_of(given)
            handles = [part.handle for part in job.parts if part.handle is not None]
            return self._each({**fields, "provider": self._whose(job, fields)}, verb, handles)

    def removing(
        self, handle: Mapping[str, Any], fields: Mapping[str, Any], of: str | None = None
    ) -> Planned[None]:
        """Delete what a provider keeps and knows by *handle*; it is one *of* that provider's."""
        with _free():
            usual = self.providers.usual
            if of and not fields.get("provider"):
                # The client's own may be a profile of it, with an account of its own.
                own = usual is not None and self.providers.stamp(usual)["provider"] == of
                fields = {**fields, "provider": usual if own else of}
            return self._each(fields, "delete", [handle])

    def _each(
        self, fields: Mapping[str, Any], verb: str, handles: Sequence[Mapping[str, Any]]
    ) -> Planned[None]:
        _only_how(fields)
        how = self._how(fields)
        maker = self._able(how.name, verb, f"cannot {verb} what it keeps")

        def all_of_them() -> Effects[None]:
            flows = [
                retried(_guarded(how.name, getattr(maker, verb), handle), how.policy)
                for handle in handles
            ]
            for outcome in (yield from gather(flows, limit=SIDE_BY_SIDE)):
                if isinstance(outcome, BaseException):
                    raise outcome

        return self._around(how, all_of_them())

    def asking(self, verb: str, lacks: str, fields: Mapping[str, Any]) -> Planned[Any]:
        """What a provider's small flow *verb* gives; *lacks* says what one without it lacks."""
        with _free():
            _only_how(fields)
            how = self._how(fields)
            maker = self._able(how.name, verb, lacks)
            flow = _guarded(how.name, getattr(maker, verb))
            return self._around(how, retried(flow, how.policy, getattr(maker, "judge", None)))

    def showing(
        self, verb: str, lacks: str, shown: Mapping[str, Any], fields: Mapping[str, Any]
    ) -> Planned[Any]:
        """The same, of a prompt, pictures or both that the provider is *shown*."""
        with _free():
            _only_how(fields)
            how = self._how(fields)
            maker = self._able(how.name, verb, lacks)
            able = self.providers.capabilities(how.name, None)
            if verb == "upload":
                # What is to be kept has to travel itself, whatever else could be named.
                able = able.model_copy(update={"inputs": frozenset({"bytes"})})
            if not shown.get("prompt") and not shown.get("images"):
                raise RequestError("neither a prompt nor a picture was given")
            request = request_of(shown)

            def asked() -> Effects[Any]:
                ready = yield from prepared(request, able, how.name)
                return (yield from _guarded(how.name, getattr(maker, verb), ready))

            return self._around(how, retried(asked(), how.policy, getattr(maker, "judge", None)))

    def sending(self, flow: Effects[T], fields: Mapping[str, Any]) -> Planned[T]:
        """A flow of the caller's own, at the provider's address and with its credentials."""
        with _free():
            _only_how(fields)
            how = self._how(fields)
            judge = getattr(self.providers.provider(how.name), "judge", None)
            return self._around(how, retried(flow, how.policy, judge))

    def fetching(self, image: Image, fields: Mapping[str, Any]) -> Planned[Image]:
        """What brings in a picture that is only a URL; without a provider, from strangers only."""
        with _free():
            _only_how(fields)
            name = fields.get("provider") or self.providers.usual
            how = self._meant(name or "nobody", self._said(fields))
            endpoint = self.providers.provider(name).endpoint if name else None
            return self._seen(how, retried(brought(image), how.policy), endpoint)

    def carried(
        self, error: ImagekitError, given: ImageRequest | None, fields: Mapping[str, Any]
    ) -> ImageResponse:
        """*error* as a response that carries it, where the call or the client wants that."""
        said = {**self._defaults, **fields}
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

    def capabilities(self, provider: str | None, model: str | None) -> Capabilities:
        """What *model* can do; without one, the model that a call would ask for."""
        mine = provider in (None, self.providers.usual)
        model = model or (self._defaults.get("model") if mine else None)
        name, model = self.providers.chosen(provider, model)
        return self.providers.capabilities(
            name, model or self.providers.defaults(name).get("model")
        )

    def _how(self, fields: Mapping[str, Any], model: str | None = None) -> _How:
        said = self._said(fields)
        name, _ = self.providers.chosen(said.get("provider"), model)
        return self._meant(name, said)

    def _said(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """How a call is made: as it says, else as the client does."""
        both = {**self._defaults, **fields}
        return {name: value for name, value in both.items() if name in CALL}

    def _meant(self, name: str, said: Mapping[str, Any]) -> _How:
        deadline, policy = _limits(said, self._retry)
        return _How(name, said, deadline, policy)

    def _settled(
        self, given: ImageRequest | None, fields: Mapping[str, Any], needs: Sequence[str] = ()
    ) -> tuple[_How, ImageRequest]:
        """Whom a call asks, and for what."""
        _needed(fields, needs)
        asked = {name: value for name, value in fields.items() if name not in CALL}
        if given is not None:
            asked = {name: getattr(given, name) for name in given.model_fields_set} | asked
        said = {name: value for name, value in self._defaults.items() if name not in CALL}
        if fields.get("provider") not in (None, self.providers.usual):
            # The client's model is one of its own provider's.
            said.pop("model", None)
        model = asked.get("model") or said.get("model")
        how = self._how(fields, model if isinstance(model, str) else None)
        own = self.providers.defaults(how.name)
        options = _all_options(said, own, asked)
        request = request_of({**said, **own, **asked, **options})
        _, model = self.providers.chosen(how.name, request.model)
        return how, request if model == request.model else request.with_(model=model)

    def _checked(
        self, name: str, request: ImageRequest
    ) -> tuple[ImageRequest, list[Notice], Capabilities]:
        """*request* as the provider can take it, with its own options only."""
        with _blaming(name):
            able = self.providers.capabilities(name, request.model)
            request, notices = checked(request, able, name)
            options, strange = self.providers.options(request, name)
        return request.model_copy(update={"options": options}), [*notices, *strange], able

    def _performed(
        self, how: _How, request: ImageRequest, stream: bool
    ) -> tuple[Flow, Begun | None]:
        name = how.name
        maker = self.providers.provider(name)
        request, found, able = self._checked(name, request)
        stream = stream and able.streaming
        most = (able.max_images_streamed if stream else None) or able.max_images
        model = request.model or able.model
        about = {"counts": (request.n,), "model": model, "notices": tuple(found)}
        begun = Begun({**self.providers.stamp(name), **about})

        def one(part: ImageRequest) -> Flow:
            flow = _making(name, maker.flow, part, stream=stream)
            flow = retried(flow, how.policy, getattr(maker, "judge", None))
            return begun.watched(flow, part.n)

        def made() -> Flow:
            ready = yield from retried(prepared(request, able, name), how.policy)
            return (yield from split(ready, most, one))

        flow = self._ended(how, made(), request.n, model, found)
        return (begun.kept(flow), begun) if hasattr(maker, "resume") else (flow, None)

    def _ended(
        self, how: _How, flow: Flow, n: int, model: str | None, notices: Sequence[Notice]
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
        how: _How,
        flow: Effects[T],
        request: ImageRequest | None = None,
        *,
        stream: bool = False,
        begun: Begun | None = None,
    ) -> Planned[T]:
        """A call to a provider that can be asked, with everything that stands around one."""
        with _blaming(how.name):
            endpoint = self.providers.endpoint(how.name)
        return self._seen(how, flow, endpoint, request, stream=stream, begun=begun)

    def _seen(
        self,
        how: _How,
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

    def _able(self, name: str, verb: str, lacks: str) -> Any:
        """The provider *name*, if it has what *verb* needs."""
        with _blaming(name):
            maker = self.providers.provider(name)
            if not hasattr(maker, verb):
                raise UnsupportedRequestError(f"{name} {lacks}")
            return maker


def _only_how(fields: Mapping[str, Any]) -> None:
    """A verb that makes no picture takes nothing of one, and nothing misspelt."""
    for name in fields:
        if name not in CALL:
            raise RequestError(f"{name}: there is no such parameter")


def _needed(fields: Mapping[str, Any], needs: Sequence[str]) -> None:
    prompt, images = fields.get("prompt"), fields.get("images")
    if "prompt" in needs and not isinstance(prompt, str):
        raise RequestError(f"a prompt is text, not {type(prompt).__name__}")
    if "images" in needs and (images is None or (isinstance(images, Sequence) and not images)):
        verb = "edit" if "prompt" in needs else "vary"
        raise RequestError(f"there is nothing to {verb}: no picture was given")


def _all_options(*said: Mapping[str, Any]) -> dict[str, Any]:
    """The options of all that speak of them; whoever speaks later wins, name by name."""
    found: dict[str, dict[str, Any]] = {}
    for options in (one["options"] for one in said if one.get("options")):
        if not isinstance(options, Mapping) or not all(map(_is_mapping, options.values())):
            # Not as options are: whoever validates the request says so.
            return {"options": options}
        for key, own in options.items():
            found[key] = {**found.get(key, {}), **own}
    return {"options": found} if found else {}


def _is_mapping(value: object) -> bool:
    return isinstance(value, Mapping)


def _limits(how: Mapping[str, Any], policy: RetryPolicy) -> tuple[float | None, RetryPolicy]:
    """The deadline and the retries that a call was given."""
    deadline, retries = how.get("deadline"), how.get("retries", policy.retries)
    if deadline is not None and not (isinstance(deadline, int | float) and deadline > 0):
        raise RequestError(f"deadline is seconds from now, not {deadline!r}")
    if not isinstance(retries, int) or retries < 0:
        raise RequestError(f"retries is how often to try again, not {retries!r}")
    return deadline, replace(policy, retries=retries)


def request_of(fields: Mapping[str, Any]) -> ImageRequest:
    """An `ImageRequest` from what code says, or one clear `RequestError` that says where."""
    try:
        return ImageRequest(**fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        what = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            what = "there is no such parameter"
        raise RequestError(f"{where}: {what}" if where else what) from error


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


@contextmanager
def _free() -> Iterator[None]:
    """What goes wrong before anything is sent has cost nothing."""
    try:
        yield
    except ImagekitError as error:
        error.billed = error.billed or "no"
        raise


@contextmanager
def _blaming(name: str) -> Iterator[None]:
    try:
        yield
    except ImagekitError as error:
        error.provider = error.provider or name
        raise


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
    with _blaming(name):
        return (yield from flow)
