"""The rules about money: what may cost twice is never sent twice, and what cannot is."""

from __future__ import annotations

from collections.abc import Callable

from .._errors import (
    ConnectionFailedError,
    DeadlineExceededError,
    ProviderError,
    TransportTimeoutError,
)
from .._hookspecs import CallInfo, hookimpl
from .._http import HttpRequest, HttpResponse
from ._bench import WAYS, Bench, Came, Way
from ._given import Given
from ._host import Asked, Reply, Trouble


class Attempts:
    """An observer that counts what is sent, repetitions among it."""

    def __init__(self) -> None:
        self.requests: list[HttpRequest] = []

    @hookimpl
    def imagekit_request_sent(self, call: CallInfo, request: HttpRequest) -> None:
        """Note one."""
        self.requests.append(request)

    @property
    def charging(self) -> int:
        """How many of them may have cost something."""
        return sum(one.charges for one in self.requests)


class Charges(Given):
    """A picture is never paid for twice, and no trouble that costs nothing loses one."""

    def test_what_asks_for_pictures_is_marked_as_costing(self) -> None:
        """One request for a picture is marked as what costs, and no more than one."""
        for way in WAYS:
            _, attempts, came = self._watched(way)
            assert came.error is None, f"{way}: a plain call ended in {came.error!r}"
            assert attempts.charging == 1, (
                f"{way}: {attempts.charging} of the requests for one picture are marked as "
                "costing: what makes a picture is billable, and what only looks is not"
            )

    def test_silence_after_sending_is_never_asked_again(self) -> None:
        """A request that was sent and not answered may be paid for: it is not repeated."""
        for way in WAYS:
            _, attempts, came = self._watched(way, _silent)
            assert attempts.charging == 1, (
                f"{way}: the host said nothing any more, and was asked {attempts.charging} times "
                "for what may cost: never mark a request for pictures as billable=False"
            )
            assert isinstance(came.error, TransportTimeoutError), (
                f"{way}: a host that says nothing is a TransportTimeoutError, not {came.error!r}: "
                "let the core's error through"
            )

    def test_silence_after_sending_says_that_money_may_be_gone(self) -> None:
        """Its error says billed="possibly"."""
        for way in WAYS:
            _, _, came = self._watched(way, _silent)
            assert came.error is not None, f"{way}: nothing was answered, and a response came"
            assert came.error.billed == "possibly", (
                f"{way}: the request may have been taken on, and its error says "
                f"billed={came.error.billed!r}: leave it to the core"
            )

    def test_a_broken_host_is_not_asked_again_for_what_costs(self) -> None:
        """After a 500 nobody knows whether the work was taken on: it is not repeated."""
        broken = HttpResponse(500, {"content-type": "text/plain"}, b"out of order")
        for way in WAYS:
            _, attempts, came = self._watched(way, _bent(lambda *_: broken))
            assert attempts.charging == 1, (
                f"{way}: after a 500 the host was asked {attempts.charging} times for what may "
                "cost: judge() may call a 500 refused only where the host's documents say so"
            )
            assert isinstance(came.error, ProviderError), f"{way}: a 500 came to {came.error!r}"

    def test_a_rate_limit_is_asked_again(self) -> None:
        """A request that was refused for being too many is repeated, within limits."""
        self._again("rate_limit")

    def test_an_overloaded_host_is_asked_again(self) -> None:
        """A request that an overloaded host refused is repeated, within limits."""
        self._again("unavailable")

    def test_a_used_up_quota_is_not_asked_again(self) -> None:
        """Waiting brings no money: a quota's refusal is final, also where its status is 429."""
        if "quota" in self.host.absent:
            self.not_applicable(self.host.absent["quota"])
        self.wired()
        _, attempts, _ = self._watched("blocking", lambda bench: _troubled(bench, "quota"))
        assert attempts.charging < 2, (
            f"the quota is used up, and the host was asked {attempts.charging} times: judge() has "
            "to tell the refusal of a quota from that of a rate limit: Verdict.REJECTED"
        )

    def test_a_host_that_cannot_be_reached_is_tried_again_and_costs_nothing(self) -> None:
        """Where no connection was made nothing was sent: it is repeated, and not billed."""
        for way in WAYS:
            bench, attempts, came = self._watched(way, _unreachable)
            assert isinstance(came.error, ConnectionFailedError), (
                f"{way}: a host that cannot be reached is a ConnectionFailedError, not "
                f"{came.error!r}: let the core's error through"
            )
            assert came.error.billed == "no", (
                f"{way}: nothing was sent, and the error says billed={came.error.billed!r}"
            )
            assert len(attempts.requests) == 2, (
                f"{way}: with one repetition allowed there were {len(attempts.requests)} attempts"
            )
            assert not bench.host.asked, f"{way}: the host was asked all the same"

    def test_a_deadline_ends_the_call(self) -> None:
        """When the time is up the call ends in a DeadlineExceededError."""
        for way in WAYS:
            bench = self.bench()
            came = bench.ask(way=way, deadline=1e-9, **self.usual())
            assert isinstance(came.error, DeadlineExceededError), (
                f"{way}: the deadline passed, and the call came to {came.error or came.response!r}:"
                " let the core's errors through"
            )
            assert not bench.host.asked, f"{way}: the deadline had passed, and the host was asked"

    def _watched(
        self, way: Way, prepare: Callable[[Bench], None] = lambda _: None
    ) -> tuple[Bench, Attempts, Came]:
        """A call whose attempts are counted, and what came of it."""
        self.wired()
        bench, attempts = self.bench(), Attempts()
        bench.observers.append(attempts)
        prepare(bench)
        return bench, attempts, bench.ask(way=way, **self.usual())

    def _again(self, trouble: Trouble) -> None:
        """A first answer in *trouble* and a good one after it come to the picture."""
        if trouble in self.host.absent:
            self.not_applicable(self.host.absent[trouble])
        self.wired()
        for way in WAYS:
            troubled: list[Reply] = []

            def first(bench: Bench, troubled: list[Reply] = troubled) -> None:
                def bend(asked: Asked, reply: Reply) -> Reply:
                    if troubled:
                        return reply
                    troubled.append(bench.host.in_trouble(asked, trouble))
                    return troubled[0]

                bench.host.bend = bend

            _, _, came = self._watched(way, first)
            if troubled[0].status not in (429, 503):
                self.not_applicable(f"its {trouble} is no 429 and no 503")
            assert came.response is not None, (
                f"{way}: the host refused once ({trouble}) and would have answered then, and the "
                f"call ended in {came.error!r}: only a refusal that waiting cannot mend is "
                "Verdict.REJECTED"
            )


def _silent(bench: Bench) -> None:
    bench.host.fault = "silence"


def _unreachable(bench: Bench) -> None:
    bench.host.fault = "unreachable"


def _troubled(bench: Bench, trouble: Trouble) -> None:
    bench.host.scene.trouble = trouble


def _bent(bend: Callable[[Asked, Reply], Reply]) -> Callable[[Bench], None]:
    def prepare(bench: Bench) -> None:
        bench.host.bend = bend

    return prepare
