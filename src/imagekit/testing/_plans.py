"""Rules about plans: they send nothing, and say what is sent."""

from __future__ import annotations

from typing import Any

from .._plan import Plan
from .._request import ImageRequest
from ._bench import Bench, Came
from ._ground import Ground, Reached
from ._host import Asked


class Plans(Ground):
    """What a plan says is what is done."""

    def test_a_plan_sends_nothing(self) -> None:
        """It is made without the network."""
        bench = self.bench()
        found = self._plan(bench)
        assert not bench.host.asked, (
            f"a plan asked the host {len(bench.host.asked)} times: yield the request, and do "
            "nothing before it"
        )
        assert found.provider == self.provider, f"the plan is of {found.provider!r}"

    def test_a_plan_is_the_same_each_time(self) -> None:
        """Two plans of one request have one key, so that what was made can be found again."""
        bench = self.bench()
        one, other = self._plan(bench), self._plan(bench)
        assert one.key == other.key, (
            "two plans of the same request have two keys: the request is another one each time"
        )

    def test_a_plan_holds_what_is_sent(self) -> None:
        """The first request goes out byte for byte as it was planned."""
        if not self.on_wire:
            self.not_applicable("it makes no requests")
        plan = self._plan(self.bench())
        asked = self.reached().asked
        assert plan.requests, "the plan holds no request, and one is made"
        planned = plan.requests[0]
        first = asked[0]
        assert (planned.method, planned.url) == (first.method, first.url), (
            f"{planned.method} {planned.url} was planned, and {first.method} {first.url} was sent"
        )
        held = Asked(planned.method, planned.url, dict(first.headers), planned.body or b"")
        if "multipart" not in first.headers.get("content-type", ""):
            assert planned.body == first.body, "another body was sent than was planned"
        else:
            held = Asked(planned.method, planned.url, dict(planned.headers), planned.body or b"")
            assert held.shape()[-1] == first.shape()[-1], "another form was sent than was planned"

    def test_a_plan_survives_json_and_is_followed(self) -> None:
        """Made here, carried out in another process: it asks what the call itself asks."""
        bench = self.bench()
        plan = Plan.model_validate_json(str(self._plan(bench)))
        bench.host.asked.clear()
        came = bench.call(lambda client: client.run(plan))
        found = Reached(Came(came), list(bench.host.asked))
        assert found.said == self.reached().said, (
            "a plan that was in JSON asks something else than the call does"
        )

    def test_a_plan_of_a_stream_holds_what_is_sent(self) -> None:
        """What streams may be asked otherwise, and is planned so."""
        if not self.on_wire:
            self.not_applicable("it makes no requests")
        plan = self._plan(self.bench(), stream=True)
        first = self.reached(way="blocking stream").asked[0]
        assert plan.requests, "the plan holds no request, and one is made"
        assert plan.requests[0].url == first.url, (
            f"{plan.requests[0].url} was planned, and {first.url} was asked"
        )
        multipart = "multipart" in first.headers.get("content-type", "")
        assert multipart or plan.requests[0].body == first.body, (
            "another body was sent than was planned for the stream"
        )

    def _plan(self, bench: Bench, *, stream: bool = False, **fields: Any) -> Plan:
        request = ImageRequest(**(fields or self.usual()))
        found: Plan = bench.call(lambda client: client.plan(request, stream=stream))
        return found
