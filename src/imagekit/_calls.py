"""A call: from what was asked to one flow, with everything around it that the core adds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from ._around import Around, Latest, Ready, named
from ._errors import ImagekitError, RequestError, UnsupportedRequestError
from ._fallback import Choice, fallen_back, words_of
from ._fetched import brought
from ._flow import Effects, Flow
from ._image import Image
from ._job_calls import JobCalls
from ._making import Making, guarded, repeated
from ._meant import How, Meaning, Spending, blaming, free, only_how, request_of
from ._plan import Plan, is_plan, plan_of
from ._prepared import prepared
from ._purse import Purse, budget_of
from ._request import ImageRequest
from ._response import ImageResponse, Notice
from ._retried import retried
from ._split import failure_of
from ._spool import place_of, spooled, spooled_one

if TYPE_CHECKING:
    import os

    from ._cache import AsCache, Cache

T = TypeVar("T")


class Calls:
    """One client's calls: everything of it but its I/O."""

    def __init__(self, meaning: Meaning, spending: Spending | None = None) -> None:
        spending = spending or Spending()
        self._around = Around(meaning, spending)
        self.meaning, self.providers = meaning, meaning.providers
        self.purse, self.jobs = self._around.purse, JobCalls(self._around)
        self._cache = _own_cache(spending.cache)

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
        with self._around.begins(_verb(given, needs), fields, given):
            meant = self._meant(given, fields, needs)
            return self._first(
                [(how, partial(self._made, how, one, stream=stream)) for how, one in meant]
            )

    def following(self, given: Plan | str, fields: Mapping[str, Any]) -> Ready[ImageResponse]:
        """What a plan says, and nothing else."""
        with self._around.begins("generate", fields):
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
            meant = self._meant(given, fields, needs)
            also = words_of(meant[0][0].said.get("fall_back_on") or ())
            makings, passed = [], []
            for how, request in meant:
                try:
                    makings.append(Making.of(self.meaning, how, request, stream=stream))
                except UnsupportedRequestError as error:
                    if not makings and ("unsupported" not in also or how is meant[-1][0]):
                        raise
                    passed.append(_passed_over(how.name, error))

            for how, request in meant:
                # It keeps no files; what the call would be refused for is said now.
                place_of(how.said, request.n, request.prompt, request.output_format)
            budget = budget_of(meant[0][0].said.get("budget"))

            def flow() -> Effects[Plan]:
                plans: list[Plan] = []
                for one in makings:
                    try:
                        plans.append((yield from named(one.plan(), one.how.name)))
                    except UnsupportedRequestError as error:
                        if not plans and ("unsupported" not in also or one is makings[-1]):
                            raise
                        passed.append(_passed_over(one.how.name, error))
                # A plan spends nothing; what its own budget would not hold is refused all the same.
                Purse().reserve(plans[0].estimate, call=budget)
                return plans[0].passing(passed, plans[1:])

            return Ready(_free(flow()), meant[0][0].deadline)

    def _meant(
        self, given: ImageRequest | None, fields: Mapping[str, Any], needs: Sequence[str]
    ) -> list[tuple[How, ImageRequest]]:
        """Each provider that a call names, and what it is asked."""
        return [
            self.meaning.settled(given, {**fields, **who}, needs)
            for who in self.meaning.choices(given, fields)
        ]

    def _first(
        self, makes: Sequence[tuple[How, Callable[[], Ready[ImageResponse]]]]
    ) -> Ready[ImageResponse]:
        """The only one of them; or the first that can be had, the others after it."""
        how, make = makes[0]
        also = words_of(how.said.get("fall_back_on") or ())
        if len(makes) == 1:
            return make()
        begun = Latest()

        def choice(how: How, make: Callable[[], Ready[ImageResponse]]) -> Flow:
            with self._around.begins("generate", {"provider": how.name}):
                begun.of = make()
            return begun.of.flow

        for one, _ in makes:
            # What is set up wrongly is said now, and not when it is needed.
            with blaming(one.name):
                self.providers.endpoint(one.name)
        choices = [Choice(one.name, partial(choice, one, make)) for one, make in makes]
        return Ready(fallen_back(choices, also), how.deadline, begun)

    def _made(
        self, how: How, request: ImageRequest, *, stream: bool, plan: Plan | None = None
    ) -> Ready[ImageResponse]:
        """One provider's making of it, within the budget, or what was kept of it."""
        making = Making.of(self.meaning, how, request, stream=stream)
        cache = _cache_of(how.said.get("cache"), self._cache)
        begun = making.begun() if hasattr(making.maker, "resume") else None
        there = place_of(how.said, request.n, request.prompt, making.request.output_format)

        def made(plan: Plan | None) -> Flow:
            flow = making.made(
                self._around.pace(how.name, making.model), begun or making.begun(), plan
            )
            return self._around.within(how, flow, making.estimate)

        def by_plan() -> Flow:
            found = plan or (yield from making.plan())
            flow = made(found)
            if cache is not None and found.complete:
                from ._cache import cached

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
        return self._around.call(
            how,
            spooled(flow, there, whole=bool(how.said.get("raw"))),
            making.request,
            verb=making.request.operation,
            model=making.model,
            stream=making.stream,
            begun=begun,
        )

    def asking(self, verb: str, lacks: str, fields: Mapping[str, Any]) -> Ready[Any]:
        """What a provider's small flow *verb* gives; *lacks* says what one without it lacks."""
        with self._around.begins(verb, fields):
            only_how(fields)
            how = self.meaning.how(fields)
            maker = self.meaning.able(how.name, verb, lacks)
            flow = guarded(how.name, getattr(maker, verb))
            return self._around.call(how, repeated(how, maker, flow), verb=verb)

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
        with self._around.begins(verb, fields):
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

            return self._around.call(how, repeated(how, maker, asked()), verb=verb)

    def sending(self, flow: Effects[T], fields: Mapping[str, Any]) -> Ready[T]:
        """A flow of the caller's own, at the provider's address and with its credentials."""
        with self._around.begins("request", fields):
            only_how(fields)
            how = self.meaning.how(fields)
            maker = self.providers.provider(how.name)
            return self._around.call(how, repeated(how, maker, flow), verb="request")

    def fetching(self, image: Image, fields: Mapping[str, Any]) -> Ready[Image]:
        """What brings in a picture that is only a URL; without a provider, from strangers only."""
        with self._around.begins("fetch", fields):
            only_how(fields)
            name = fields.get("provider") or self.providers.usual
            how = self.meaning.meant(name or "nobody", self.meaning.said(fields))
            endpoint = self.providers.address(name) if name else None
            there = place_of(how.said, 1)
            flow = spooled_one(retried(brought(image), how.policy), there)
            return self._around.seen(how, flow, endpoint, verb="fetch")

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


# A cache is imported where there is one: most calls have none.


def _own_cache(said: AsCache | str | os.PathLike[str] | None) -> Cache | None:
    if said is None:
        return None
    from ._cache import own_cache

    return own_cache(said)


def _cache_of(said: AsCache | None, own: Cache | None) -> Cache | None:
    if said is None:
        return own
    from ._cache import cache_of

    return cache_of(said, own)


def _verb(given: ImageRequest | None, needs: Sequence[str]) -> str:
    """What a call does, before its request is known to be one."""
    if given is not None:
        return given.operation
    if "images" not in needs:
        return "generate"
    return "edit" if "prompt" in needs else "variation"


def _passed_over(name: str, error: UnsupportedRequestError) -> Notice:
    return Notice(kind="unsupported", feature="provider", detail=str(error), wanted=name)


def _free(flow: Effects[T]) -> Effects[T]:
    with free():
        return (yield from flow)
