"""What is asked of one provider: checked, planned, and made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Self, TypeVar, cast

from ._capabilities import Capabilities
from ._delivered import compared
from ._errors import ImagekitError, PluginError
from ._fallback import FallBackOn, words_of
from ._fetched import filled
from ._flow import Effects, Flow, notice
from ._http import Endpoint, HttpRequest
from ._image import Image
from ._installed import installed, said
from ._jobs import Begun
from ._masking import outside
from ._meant import How, Meaning
from ._money import costed, estimated
from ._pace import Pace, paced
from ._plan import Plan, PlannedRequest, as_planned, planned_request, rehearsed
from ._prepared import prepared
from ._prices import Estimate
from ._request import ImageRequest
from ._response import ImageResponse, Notice
from ._retried import retried
from ._slots import Look, ended
from ._split import divided, recorded, split
from ._version import version

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Making:
    """A request as its provider can take it, with what had to be adapted."""

    how: How
    maker: Any
    stamp: Mapping[str, Any]
    request: ImageRequest
    notices: tuple[Notice, ...]
    able: Capabilities
    stream: bool
    settings: Mapping[str, Any]
    endpoint: Endpoint | None

    @classmethod
    def of(cls, meaning: Meaning, how: How, request: ImageRequest, *, stream: bool) -> Self:
        """What *request* comes to; raises where the provider cannot express it."""
        maker = meaning.providers.provider(how.name)
        endpoint = meaning.providers.address(how.name)
        request, found, able = meaning.checked(how.name, request)
        stamp = meaning.providers.stamp(how.name)
        settings = meaning.providers.settings(how.name)
        stream = stream and able.streaming
        return cls(how, maker, stamp, request, tuple(found), able, stream, settings, endpoint)

    @property
    def model(self) -> str | None:
        """The model that is asked, as far as it is known."""
        return self.request.model or self.able.model

    @property
    def most(self) -> int | None:
        """How many pictures one request may ask for."""
        return (self.able.max_images_streamed if self.stream else None) or self.able.max_images

    @property
    def estimate(self) -> Estimate:
        """What it may cost."""
        return estimated(self.request, self.able, stream=self.stream)

    def begun(self) -> Begun:
        """Where what it begins is noted."""
        about = {"counts": (self.request.n,), "model": self.model, "notices": self.notices}
        return Begun({**self.stamp, **about})

    def part(self, request: ImageRequest) -> Flow:
        """The provider's own flow for one request."""
        return making(self.how.name, self.maker.flow, request, stream=self.stream)

    def ready(self, request: ImageRequest, *, held: bool = False) -> Effects[ImageRequest]:
        """*request* with its files read and its mask turned; with *held*, all of it in memory."""
        return prepared(request, self.able, self.how.name, held=held)

    def made(self, pace: Pace, begun: Begun, plan: Plan | None = None) -> Flow:
        """The pictures; with a *plan*, by exactly what it says."""
        asked = plan.request if plan else self.request
        sent = asked

        def one(part: ImageRequest) -> Flow:
            flow = repeated(self.how, self.maker, self.part(part))
            return begun.watched(recorded(costed(flow, self.able, part), part.n), part.n)

        def told() -> Flow:
            nonlocal sent
            for found in plan.notices if plan else self.notices:
                yield from notice(found)
            if asked.images or asked.mask is not None:
                sent = yield from retried(self.ready(asked), self.how.policy)
            alone = self.most is None or sent.n <= self.most
            flow = one(sent) if alone else split(sent, self.most, one)
            if plan is not None and plan.complete:
                flow = as_planned(flow, plan, self.endpoint)
            return (yield from paced(flow, pace, asked.n, self.how.policy.patience))

        def look(image: Image) -> Effects[Sequence[Notice]]:
            found = yield from compared(image, sent)
            return (*found, *(yield from self.outside(sent)(image)))

        flow = finished(self.how, told(), asked.n, look)
        flow = stamped(flow, self.stamp, self.model)
        return begun.kept(flow) if hasattr(self.maker, "resume") else flow

    def outside(self, sent: ImageRequest) -> Look:
        """What looks at how much changed outside the mask, where the call asks for that."""

        def look(image: Image) -> Effects[Sequence[Notice]]:
            if not self.how.said.get("check_mask"):
                return ()
            return (yield from outside(sent, image))

        return look

    def plan(self) -> Effects[Plan]:
        """What it would send and may cost."""
        notices, requests = list(self.notices), dict[str, PlannedRequest]()
        ready: list[ImageRequest] = []

        def settling() -> Effects[None]:
            # A plan is what it says, whatever becomes of the files.
            ready.append((yield from self.ready(self.request, held=True)))

        def note(found: list[HttpRequest]) -> list[PlannedRequest]:
            told = [planned_request(one, self.endpoint) for one in found]
            # What is the same is held once.
            return [requests.setdefault(one.digest, one) for one in told]

        wanted = note((yield from rehearsed(settling(), notices)))
        complete = bool(ready)
        parts = divided(ready[0], self.most) if ready else []
        for part in parts if self.endpoint is not None else ():
            found = note((yield from rehearsed(self.part(part), notices)))
            complete &= any(one.billable for one in found)
            wanted += found
        request = ready[0] if ready else self.request
        also = self.how.said.get("fall_back_on") or ()
        return Plan(
            **self.stamp,
            model=self.model,
            operation=request.operation,
            stream=self.stream,
            request=request,
            calls=max(len(parts), sum(one.billable for one in wanted), 1),
            requests=tuple(wanted),
            complete=complete,
            notices=tuple(dict.fromkeys(notices)),
            estimate=self.estimate,
            versions=_versions(str(self.stamp["provider"])),
            settings=_digest(self.settings) if self.endpoint is None else None,
            check_mask=bool(self.how.said.get("check_mask")),
            fall_back_on=cast(tuple[FallBackOn, ...], tuple(sorted(words_of(also)))),
        )


def _digest(settings: Mapping[str, Any]) -> str | None:
    said = json.dumps(settings, sort_keys=True, default=repr)
    return hashlib.sha256(said.encode()).hexdigest() if settings else None


@cache
def _versions(provider: str) -> Mapping[str, str]:
    """The versions of imagekit and of the plugin that *provider* is of, where it is installed."""
    found = next((one for one in installed() if one.name == provider), None)
    own = {found.distribution: found.version} if found else {}
    return {"imagekit": version(), **{name: one for name, one in own.items() if name and one}}


def finished(how: How, flow: Flow, n: int, look: Look = compared) -> Flow:
    """Each slot ends once; results that are URLs are fetched, and looked at."""

    def fill(image: Image) -> Effects[Image]:
        return retried(filled(image, wanted=bool(how.said.get("fetch", True))), how.policy)

    return ended(flow, n, fill, look)


def repeated(how: How, maker: Any, flow: Effects[T], *, taken: bool = False) -> Effects[T]:
    """*flow*, repeated where that cannot cost twice, by what its provider knows of refusals."""
    return retried(flow, how.policy, getattr(maker, "judge", None), taken=taken)


def guarded(name: str, flow: Callable[..., Effects[Any]], *given: Any, **how: Any) -> Effects[Any]:
    """A provider's own flow; what it raises beyond our errors is the plugin's fault."""
    try:
        found = yield from flow(*given, **how)
    except (ImagekitError, GeneratorExit, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise PluginError(f"provider {name!r} failed: {said(error)}") from error
    return found


def making(name: str, flow: Callable[..., Flow], *given: Any, **how: Any) -> Flow:
    """The same, of a flow that makes pictures."""
    found = yield from guarded(name, flow, *given, **how)
    if not isinstance(found, ImageResponse):
        raise PluginError(
            f"provider {name!r}: its flow must return an ImageResponse, not {type(found).__name__}"
        )
    return found


def stamped(flow: Flow, stamp: Mapping[str, Any], model: str | None) -> Flow:
    """The response says who made it, also the one that an error carries."""
    mark = partial(_marked, stamp=stamp, model=model)
    try:
        return mark((yield from flow))
    except ImagekitError as error:
        error.response = error.response and mark(error.response)
        raise


def _marked(response: ImageResponse, stamp: Mapping[str, Any], model: str | None) -> ImageResponse:
    named = response.model or model
    calls = tuple(
        one.model_copy(update={**stamp, "model": one.model or named}) for one in response.calls
    )
    return response.model_copy(update={**stamp, "model": named, "calls": calls})
