from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import imagekit
from imagekit import (
    ContentRejectedError,
    Cost,
    Image,
    ImageFailed,
    ImageFailure,
    ImageReady,
    ImageRequest,
    ImageResponse,
    NoImageError,
    Notice,
    PartialImage,
    PluginError,
    Progress,
    ProviderError,
    RateLimit,
    State,
    Usage,
    UsageItem,
)
from imagekit._response import CallRecord
from imagekit._split import failure_of, merged, recorded, split, worst
from imagekit.provider import Capabilities, Flow, emit, sleep
from imagekit.testing import Played, play
from toys import (
    Driver,
    Scripted,
    Server,
    Streaming,
    Whole,
    answers,
    by,
    done,
    hangs,
    picture,
    plugins,
    spelt,
    sse,
    streams,
)

Make = Callable[[ImageRequest], Flow]


def shade(number: int) -> Image:
    return Image(data=picture(number))


def asked(n: int, seed: int | None = None) -> ImageRequest:
    return ImageRequest(prompt="a cat", n=n, seed=seed)


def split_up(n: int, most: int | None, make: Make, seed: int | None = None) -> Played:
    return play(split(asked(n, seed), most, make))


class Parts:
    """Makes each part by its number: a response, or an error to raise."""

    def __init__(self, *ends: Any) -> None:
        self.ends = ends
        self.asked: list[ImageRequest] = []

    def __call__(self, request: ImageRequest) -> Flow:
        number = len(self.asked)
        self.asked.append(request)
        return self._flow(self.ends[number] if number < len(self.ends) else (number,) * request.n)

    def _flow(self, end: Any) -> Flow:
        if isinstance(end, Exception):
            raise end
        return end if isinstance(end, ImageResponse) else response(*map(shade, end))
        yield


def response(*slots: Any, **more: Any) -> ImageResponse:
    return ImageResponse(slots=slots, **more)


@pytest.mark.parametrize(("n", "most"), [(1, None), (50, None), (3, 4), (4, 4)])
def test_what_fits_into_one_request_is_not_split(n: int, most: int | None) -> None:
    parts = Parts()
    split_up(n, most, parts)
    assert [one.n for one in parts.asked] == [n]


@pytest.mark.parametrize(
    ("n", "most", "counts"), [(5, 2, [2, 2, 1]), (3, 1, [1, 1, 1]), (11, 10, [10, 1])]
)
def test_what_does_not_fit_is_split(n: int, most: int, counts: list[int]) -> None:
    parts = Parts()
    assert len(split_up(n, most, parts).response.images) == n
    assert [one.n for one in parts.asked] == counts


def test_each_part_has_a_seed_of_its_own() -> None:
    parts = Parts()
    split_up(5, 2, parts, seed=100)
    assert [one.seed for one in parts.asked] == [100, 102, 104]


def test_no_seed_stays_no_seed() -> None:
    parts = Parts()
    split_up(2, 1, parts)
    assert [one.seed for one in parts.asked] == [None, None]


def test_the_parts_pictures_stand_in_order() -> None:
    found = split_up(4, 2, Parts((1, 2), (3, 4))).response
    assert found.slots == tuple(map(shade, (1, 2, 3, 4)))


def test_the_parts_events_are_told_by_the_whole_calls_index() -> None:
    def make(request: ImageRequest) -> Flow:
        yield from emit(Progress(step=7))
        yield from emit(PartialImage(index=1, image=shade(0)))
        yield from emit(ImageReady(index=0, image=shade(1)))
        yield from emit(ImageFailed(index=1, failure=ImageFailure(kind="failed", reason="no")))
        return response(shade(1), shade(2))

    told = split_up(4, 2, make).events
    assert [(event.kind, getattr(event, "index", None)) for event in told] == [
        ("progress", None),
        ("partial-image", 1),
        ("image-ready", 0),
        ("image-failed", 1),
        ("progress", None),
        ("partial-image", 3),
        ("image-ready", 2),
        ("image-failed", 3),
    ]


def test_a_part_that_fails_fails_in_its_own_slots() -> None:
    found = split_up(3, 1, Parts((1,), NoImageError("none", billed="no"), (3,))).response
    assert [slot.kind for slot in found.slots] == ["image", "missing", "image"]
    assert found.slots[1].billed == "no"


def test_a_part_that_makes_too_few_leaves_its_other_slots_missing() -> None:
    found = split_up(4, 2, Parts((1,), (3, 4))).response
    assert [slot.kind for slot in found.slots] == ["image", "missing", "image", "image"]


def test_pictures_beyond_those_asked_for_come_last() -> None:
    found = split_up(4, 2, Parts((1, 2, 9), (3, 4))).response
    assert found.slots == tuple(map(shade, (1, 2, 3, 4, 9)))


def test_an_event_of_a_picture_beyond_those_asked_for_takes_no_others_slot() -> None:
    def make(request: ImageRequest) -> Flow:
        yield from emit(ImageReady(index=2, image=shade(9)))
        return response(shade(1), shade(2), shade(9))

    assert split_up(4, 2, make).events == []


def test_pictures_that_an_error_brings_along_are_kept() -> None:
    cut = imagekit.TruncatedStreamError("cut")
    cut.response = response(shade(1))
    found = split_up(4, 2, Parts(cut, (3, 4))).response
    assert [slot.kind for slot in found.slots] == ["image", "failed", "image", "image"]


def test_when_every_part_fails_the_first_ones_error_is_raised() -> None:
    first, second = ProviderError("first"), NoImageError("second")
    with pytest.raises(ProviderError) as found:
        split_up(2, 1, Parts(first, second))
    assert found.value is first
    assert first.response is not None
    assert [slot.reason for slot in first.response.slots] == ["first", "second"]


def test_when_every_part_fails_the_error_says_the_worst_of_the_money() -> None:
    with pytest.raises(ProviderError) as found:
        split_up(2, 1, Parts(ProviderError("a", billed="no"), ProviderError("b", billed="yes")))
    assert found.value.billed == "yes"


@pytest.mark.parametrize(
    ("billed", "all_of_it"),
    [
        (["no", "no"], "no"),
        (["no", "possibly"], "possibly"),
        (["yes", "possibly"], "yes"),
        (["no", None], "possibly"),
    ],
)
def test_what_several_failures_cost_is_the_worst_of_them(billed: Any, all_of_it: str) -> None:
    assert worst(billed) == all_of_it


def test_what_a_part_raises_beyond_our_errors_costs_no_other_part() -> None:
    found = split_up(2, 1, Parts((1,), ZeroDivisionError("oh"))).response
    assert [slot.kind for slot in found.slots] == ["image", "failed"]
    assert "ZeroDivisionError('oh')" in found.slots[1].reason
    assert found.slots[1].billed == "possibly"


def test_when_every_part_raises_beyond_our_errors_the_plugin_is_at_fault() -> None:
    with pytest.raises(PluginError) as found:
        split_up(2, 1, Parts(ZeroDivisionError(), ZeroDivisionError()))
    assert isinstance(found.value.__cause__, ZeroDivisionError)


def test_what_is_no_error_of_ours_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        merged([response(shade(1)), ZeroDivisionError()], [1, 1])


def test_a_refusal_becomes_a_refused_slot() -> None:
    error = ContentRejectedError(
        "no cats", stage="input", categories=("cats",), code="moderated", billed="no"
    )
    assert failure_of(error) == ImageFailure(
        kind="refused",
        reason="no cats",
        stage="input",
        categories=("cats",),
        code="moderated",
        billed="no",
    )


def test_an_error_of_unknown_cost_becomes_a_slot_that_may_cost() -> None:
    assert failure_of(ProviderError("broken")).billed == "possibly"


def usage(count: int) -> Usage:
    return Usage(items=(UsageItem(quantity=Decimal(count), direction="output"),))


def dollars(amount: str, **more: Any) -> Cost:
    return Cost(amount=Decimal(amount), **{"kind": "reported", **more})


def test_usage_is_summed_over_the_parts_that_say_it() -> None:
    parts = Parts(response(shade(1), usage=usage(3)), (2,), response(shade(3), usage=usage(4)))
    assert split_up(3, 1, parts).response.usage.output_tokens == 7


def test_usage_that_nobody_says_stays_unknown() -> None:
    assert split_up(2, 1, Parts()).response.usage is None


def test_cost_is_summed_when_every_part_says_it() -> None:
    parts = Parts(*[response(shade(1), cost=dollars("0.04"))] * 2)
    assert split_up(2, 1, parts).response.cost.amount == Decimal("0.08")


@pytest.mark.parametrize(
    "other", [None, dollars("1", currency="EUR"), dollars("1", kind="estimated")]
)
def test_costs_that_cannot_be_summed_are_unknown(other: Cost | None) -> None:
    parts = Parts(response(shade(1), cost=dollars("1")), response(shade(2), cost=other))
    assert split_up(2, 1, parts).response.cost is None


@pytest.mark.parametrize(("billed", "known"), [("no", True), ("possibly", False), (None, False)])
def test_the_cost_is_known_only_if_what_failed_was_free(billed: Any, known: bool) -> None:
    made = response(shade(1), cost=dollars("1"))
    parts = Parts(made, ProviderError("broken", billed=billed))
    assert (split_up(2, 1, parts).response.cost is not None) is known


def test_what_else_the_parts_say_is_joined() -> None:
    same = Notice(kind="other", feature="x")
    parts = Parts(
        response(shade(1), text="one", notices=(same,), request_ids=("r1",)),
        response(
            shade(2),
            text="two",
            notices=(same, Notice(kind="other", feature="y")),
            request_ids=("r2",),
            rate_limits={"requests": RateLimit(remaining=3)},
        ),
    )
    found = split_up(2, 1, parts).response
    assert found.text == "one\ntwo"
    assert [notice.feature for notice in found.notices] == ["x", "y"]
    assert found.request_ids == ("r1", "r2")
    assert found.rate_limits["requests"].remaining == 3


# What failed, and what it left


def left(*slots: Any, billed: Any = "no", **more: Any) -> ProviderError:
    """An error that brings something along."""
    error = ProviderError("broken", billed=billed)
    error.response = response(*slots, **more)
    return error


STATE = State(provider="toy", payload={"id": 7})
LIMITS = {"requests": RateLimit(remaining=3)}


@pytest.mark.parametrize("others", [((1,),), (ProviderError("no", billed="no"),)])
def test_what_a_part_left_that_failed_is_in_the_whole(others: Any) -> None:
    failed = left(
        usage=usage(3),
        text="sorry",
        notices=(Notice(kind="other", feature="x"),),
        request_ids=("r1",),
        rate_limits=LIMITS,
        processing_time=2.0,
        state=STATE,
    )
    try:
        found = split_up(2, 1, Parts(failed, *others)).response
    except ProviderError as error:
        found = error.response
    assert found is not None
    assert found.usage == usage(3)
    assert found.text == "sorry"
    assert [notice.feature for notice in found.notices] == ["x"]
    assert found.request_ids == ("r1",)
    assert found.rate_limits == LIMITS
    assert found.processing_time == 2.0
    assert found.state == STATE


def test_what_an_error_knows_of_itself_is_in_the_whole() -> None:
    failed = ProviderError("broken", request_id="r1", billed="no")
    failed.rate_limits, failed.processing_time = LIMITS, 0.5
    worked = response(shade(2), request_ids=("r2",), processing_time=1.0)
    found = split_up(2, 1, Parts(failed, worked)).response
    assert found.request_ids == ("r1", "r2")
    assert found.rate_limits == LIMITS
    assert found.processing_time == 1.5


def test_the_state_is_the_first_one_there_is() -> None:
    parts = Parts((1,), response(shade(2), state=STATE))
    assert split_up(2, 1, parts).response.state == STATE


@pytest.mark.parametrize(
    ("failed", "amount"),
    [
        (left(cost=dollars("0.5"), billed="yes"), "1.5"),
        (left(cost=dollars("0.5"), billed="no"), "1.5"),
        (left(billed="no"), "1"),
        (left(billed="yes"), None),
        (left(cost=dollars("1", currency="EUR"), billed="yes"), None),
    ],
)
def test_what_a_part_cost_that_failed_is_in_the_whole(failed: Any, amount: str | None) -> None:
    found = split_up(2, 1, Parts(response(shade(1), cost=dollars("1")), failed)).response
    assert (found.cost and str(found.cost.amount)) == amount
    assert found.calls[0].cost == dollars("1")


def test_an_error_of_all_parts_says_what_they_cost() -> None:
    parts = Parts(*[left(cost=dollars("1"), billed="yes") for _ in range(2)])
    with pytest.raises(ProviderError) as found:
        split_up(2, 1, parts)
    assert found.value.response is not None
    assert found.value.response.cost == dollars("2")


def test_a_part_that_fails_keeps_the_pictures_that_it_told_of() -> None:
    def make(request: ImageRequest) -> Flow:
        if request.seed:
            return response(shade(3), shade(4))
        yield from emit(PartialImage(index=0, image=shade(8)))
        yield from emit(ImageReady(index=1, image=shade(1)))
        yield from emit(ImageReady(index=3, image=shade(9)))
        raise ProviderError("cut")

    found = split_up(4, 2, make, seed=0).response
    assert [slot.kind for slot in found.slots] == ["failed", "image", "image", "image", "image"]
    assert found.slots[0].preview == shade(8)
    assert found.images == tuple(map(shade, (1, 3, 4, 9)))


def test_a_failure_beyond_those_asked_for_is_kept_of_a_response() -> None:
    more = ImageFailure(kind="failed", reason="more")
    found = split_up(2, 1, Parts(response(shade(1), more), (2,))).response
    assert found.slots == (shade(1), shade(2), more)


# The calls


def test_each_request_has_a_record() -> None:
    parts = Parts(
        response(
            shade(1), shade(2), usage=usage(3), cost=dollars("1"), request_ids=("r1",), model="m"
        ),
        left(shade(3), usage=usage(4), request_ids=("r2",), billed="yes"),
        response(ImageFailure(kind="refused", reason="no cats", billed="no")),
    )
    assert split_up(5, 2, parts).response.calls == (
        CallRecord(
            n=2, images=2, model="m", usage=usage(3), cost=dollars("1"), request_ids=("r1",)
        ),
        CallRecord(
            n=2, images=1, usage=usage(4), request_ids=("r2",), billed="yes", error="broken"
        ),
        CallRecord(n=1, images=0, billed="no", error="no cats"),
    )


def test_a_response_with_a_picture_is_a_call_that_went_well() -> None:
    parts = Parts(response(shade(1), ImageFailure(kind="failed", reason="no", billed="no")))
    (call,) = split_up(2, None, parts).response.calls
    assert (call.n, call.images, call.billed, call.error) == (2, 1, None, None)


def test_a_call_that_failed_stands_on_its_error() -> None:
    with pytest.raises(ProviderError) as found:
        split_up(1, None, Parts(ProviderError("broken")))
    assert found.value.response is not None
    assert found.value.response.calls == (
        CallRecord(n=1, images=0, billed="possibly", error="broken"),
    )


def test_a_call_counts_the_pictures_that_it_only_told_of() -> None:
    def flow() -> Flow:
        yield from emit(ImageReady(image=shade(1)))
        yield from emit(ImageFailed(index=1, failure=ImageFailure(kind="failed", reason="no")))
        return response()

    (call,) = play(recorded(flow(), 2)).response.calls
    assert call.images == 1


def test_the_parts_of_a_plugins_own_are_the_calls() -> None:
    def make(request: ImageRequest) -> Flow:
        return split(request, 1, Parts(response(shade(1), usage=usage(1))))

    found = split_up(2, None, make).response
    assert [call.n for call in found.calls] == [1, 1]


def test_what_is_found_out_of_the_cost_later_is_its_only_calls_too() -> None:
    def costed(calls: int) -> ImageResponse:
        record = CallRecord(n=1, images=1)
        end = response(shade(1), cost=dollars("1"), calls=(record,) * calls)
        return play(recorded(Parts(end)(asked(1)), 1)).response

    assert [call.cost for call in costed(1).calls] == [dollars("1")]
    assert [call.cost for call in costed(2).calls] == [None, None]


def test_a_cost_that_is_known_of_a_call_stays() -> None:
    record = CallRecord(n=1, images=1, cost=dollars("1"))
    end = response(shade(1), cost=dollars("2"), calls=(record,))
    assert merged([end], [1]).calls == (record,)


ENDS = st.one_of(
    st.builds(
        lambda count, tokens, cost: response(
            *map(shade, range(count)), usage=usage(tokens) if tokens else None, cost=cost
        ),
        st.integers(0, 3),
        st.integers(0, 9),
        st.sampled_from([None, dollars("1"), dollars("0.25"), dollars("1", currency="EUR")]),
    ),
    st.builds(
        lambda tokens, billed: left(usage=usage(tokens) if tokens else None, billed=billed),
        st.integers(0, 9),
        st.sampled_from(["no", "possibly", "yes"]),
    ),
    st.builds(lambda: ProviderError("no")),
)


@given(st.lists(ENDS, min_size=1, max_size=6))
def test_the_whole_is_the_sum_of_its_calls(ends: list[Any]) -> None:
    try:
        found = split_up(2 * len(ends), 2, Parts(*ends)).response
    except ProviderError as error:
        found = error.response
    assert len(found.calls) == len(ends)
    items = [item for call in found.calls if call.usage for item in call.usage.items]
    assert items == list(found.usage.items if found.usage else ())
    assert sum(call.images for call in found.calls) == len(found.images)
    costs = [call.cost for call in found.calls if call.cost or call.billed != "no"]
    if found.cost is not None:
        assert found.cost.amount == sum(cost.amount for cost in costs)
        assert {cost.currency for cost in costs} == {found.cost.currency}
    else:
        assert None in costs or len({cost.currency for cost in costs}) != 1


# Through a client, on both drivers


def test_a_call_that_was_not_split_has_one_record(driver: Driver, server: Server) -> None:
    server.does(answers())
    found = driver.call(lambda c: c.generate("a"), **counted(server))
    assert [(call.n, call.images, call.error) for call in found.calls] == [(1, 1, None)]


def test_the_deadline_of_a_stream_keeps_what_came(driver: Driver, server: Server) -> None:
    server.does(streams(sse("ready", 1, 0), sse("partial", 2, 1), then="stays"))
    toys = plugins(toy=Streaming(server.url))
    fields = {"n": 2, "deadline": 3}
    *_, last = driver.stream("a", fields=fields, provider="toy", plugins=toys)
    found = last.response
    assert [slot.kind for slot in found.slots] == ["image", "failed"]
    assert found.failures[0].preview == shade(2)
    assert found.failures[0].billed == "possibly"
    assert [notice.feature for notice in found.notices] == ["response", "n"]
    (call,) = found.calls
    assert (call.n, call.images, call.billed) == (2, 1, "possibly")
    assert "deadline" in call.error


def test_the_deadline_of_a_part_costs_no_other_part(driver: Driver, server: Server) -> None:
    server.does(answers(), hangs)
    able = {**counted(server), "deadline": 3}
    found = driver.call(lambda c: c.generate("a", n=2), **able)
    assert sorted(slot.kind for slot in found.slots) == ["failed", "image"]
    assert sorted(str(call.billed) for call in found.calls) == ["None", "possibly"]


def test_who_leaves_a_stream_early_closes_every_part(driver: Driver) -> None:
    closed: list[int] = []

    def make(request: ImageRequest) -> Flow:
        try:
            yield from emit(ImageReady(image=shade(1)))
            yield from emit(Progress(step=1))
            yield from sleep(5)
        finally:
            closed.append(1)

    toys = plugins(toy=Scripted(make, max_images=1, streaming=True))
    told = driver.stream("a", fields={"n": 2}, until=1, provider="toy", plugins=toys)
    assert [event.kind for event in told] == ["image-ready"]
    assert len(closed) >= 1


def counted(server: Server, most: int = 1) -> dict[str, Any]:
    able = Capabilities(max_images=most)
    return {"provider": "toy", "plugins": plugins(toy=Whole(server.url, able=able))}


def test_more_pictures_than_one_request_may_ask_for_are_all_made(
    driver: Driver, server: Server
) -> None:
    server.does(answers())
    found = driver.call(lambda c: c.generate("a", n=3), **counted(server))
    assert len(found.images) == 3
    assert server.connections == 3


def test_one_part_that_fails_keeps_the_others(driver: Driver, server: Server) -> None:
    server.does(answers(), answers(400), answers())
    found = driver.call(lambda c: c.generate("a", n=3), **counted(server))
    assert sorted(slot.kind for slot in found.slots) == ["failed", "image", "image"]
    assert not found.ok
    assert found.failures[0].billed == "no"


def test_all_parts_that_fail_raise_and_bring_their_slots(driver: Driver, server: Server) -> None:
    server.does(answers(400))
    with pytest.raises(imagekit.InvalidRequestError) as found:
        driver.call(lambda c: c.generate("a", n=3), **counted(server))
    assert found.value.response is not None
    assert [slot.kind for slot in found.value.response.slots] == ["failed"] * 3
    assert found.value.billed == "no"
    assert found.value.provider == "toy"


def test_each_part_asks_for_its_own_share(driver: Driver, server: Server) -> None:
    import json

    def share(seen: Any) -> bytes:
        return json.dumps(done(*[spelt(picture())] * json.loads(seen.body)["n"])).encode()

    server.does(by(share))
    found = driver.call(lambda c: c.generate("a", n=5), **counted(server, most=2))
    assert found.ok
    assert sorted(json.loads(seen.body)["n"] for seen in server.seen) == [1, 2, 2]
