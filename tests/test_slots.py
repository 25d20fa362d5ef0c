from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

import imagekit
from imagekit import (
    Completed,
    ContentRejectedError,
    Cost,
    Image,
    ImageFailed,
    ImageFailure,
    ImageReady,
    ImageResponse,
    NoImageError,
    Notice,
    Noticed,
    PartialImage,
    PluginError,
    Progress,
    ProviderError,
    RateLimit,
    State,
    Text,
    TransportError,
    TruncatedStreamError,
    Usage,
    UsageItem,
)
from imagekit._response import CallRecord
from imagekit._slots import NAMED, ended
from imagekit.provider import Effects, Flow, call, emit, notice
from imagekit.testing import Played, play
from spoken import httpx
from toys import (
    Driver,
    Scripted,
    Server,
    Streaming,
    Whole,
    answers,
    done,
    picture,
    plugins,
    sse,
    streams,
)

BROKEN = ImageFailure(kind="failed", reason="it broke", billed="no")
NO_CATS = ImageFailure(kind="refused", reason="no cats", categories=("cats",), billed="no")
SAID = Notice(kind="adjusted", feature="size")


def shade(number: int) -> Image:
    return Image(data=picture(number))


def as_it_is(image: Image) -> Effects[Image]:
    return image
    yield


def told(*events: Any, end: Any = None) -> Flow:
    for event in events:
        yield from emit(event)
    if isinstance(end, Exception):
        raise end
    return end if isinstance(end, ImageResponse) else ImageResponse(slots=end or ())


def slots(flow: Flow, n: int = 1, into: Played | None = None) -> Played:
    return play(ended(flow, n, as_it_is), into=into)


def kinds(played: Played) -> list[tuple[str, int | None]]:
    return [(event.kind, getattr(event, "index", None)) for event in played.events]


def test_a_slot_that_was_never_told_of_is_told_at_the_end() -> None:
    played = slots(told(end=(shade(1),)))
    assert played.events == [ImageReady(index=0, image=shade(1))]
    assert played.response.slots == (shade(1),)


def test_a_slot_that_was_told_of_is_told_once() -> None:
    ready = ImageReady(index=0, image=shade(1))
    played = slots(told(ready, ready, end=(shade(1),)))
    assert played.events == [ready]


def test_what_was_told_first_stays() -> None:
    flow = told(ImageReady(image=shade(1)), ImageFailed(failure=BROKEN), end=(shade(2),))
    assert slots(flow).response.slots == (shade(1), shade(2))


def test_a_failure_that_was_told_stays() -> None:
    failed = ImageFailed(index=0, failure=BROKEN)
    played = slots(told(failed, failed, end=(BROKEN, shade(1))), n=2)
    assert kinds(played)[:2] == [("image-failed", 0), ("image-ready", 1)]
    assert played.response.slots == (BROKEN, shade(1))


def test_a_preview_after_the_end_of_its_slot_is_dropped() -> None:
    flow = told(ImageReady(image=shade(1)), PartialImage(image=shade(0)), end=(shade(1),))
    assert kinds(slots(flow)) == [("image-ready", 0)]


def test_other_events_pass() -> None:
    assert slots(told(Progress(step=1), end=(shade(1),))).events[0] == Progress(step=1)


def test_a_picture_that_never_came_is_missing() -> None:
    played = slots(told(end=(shade(1),)), n=3)
    assert kinds(played)[:3] == [("image-ready", 0), ("image-failed", 1), ("image-failed", 2)]
    assert "asked for 3 pictures, got 1" in played.response.failures[0].reason


def test_more_pictures_than_asked_for_are_all_kept() -> None:
    assert len(slots(told(end=(shade(1), shade(2)))).response.images) == 2


def test_pictures_that_were_only_told_of_are_in_the_response() -> None:
    flow = told(ImageReady(index=1, image=shade(1)))
    assert [slot.kind for slot in slots(flow).response.slots] == ["missing", "image"]


def test_a_failed_slot_keeps_its_last_preview() -> None:
    flow = told(
        PartialImage(image=shade(1)),
        PartialImage(image=shade(2)),
        ImageFailed(failure=BROKEN),
        end=(BROKEN, shade(3)),
    )
    assert slots(flow, n=2).response.failures[0].preview == shade(2)


def test_a_failure_that_brings_its_own_preview_keeps_it() -> None:
    own = BROKEN.model_copy(update={"preview": shade(9)})
    flow = told(PartialImage(image=shade(1)), ImageFailed(failure=own), end=(own, shade(3)))
    assert slots(flow, n=2).response.failures[0].preview == shade(9)


def test_when_no_slot_holds_a_picture_the_first_failures_error_is_raised() -> None:
    played = Played()
    with pytest.raises(ContentRejectedError) as found:
        slots(told(end=(NO_CATS, BROKEN)), n=2, into=played)
    assert found.value.categories == ("cats",)
    assert found.value.response is not None
    assert found.value.response.slots == (NO_CATS, BROKEN)
    assert kinds(played) == [("image-failed", 0), ("image-failed", 1)]


def test_when_no_slot_holds_a_picture_the_error_says_the_worst_of_the_money() -> None:
    costly = BROKEN.model_copy(update={"billed": "possibly"})
    with pytest.raises(ContentRejectedError) as found:
        slots(told(end=(NO_CATS, costly)), n=2)
    assert found.value.billed == "possibly"


def test_a_response_of_nothing_is_an_error() -> None:
    with pytest.raises(NoImageError, match="asked for 1 pictures, got 0"):
        slots(told())


def test_an_error_before_any_picture_is_raised_with_all_slots_ended() -> None:
    played, error = Played(), TruncatedStreamError("cut", billed="possibly")
    with pytest.raises(TruncatedStreamError):
        slots(told(Noticed(notice=SAID), PartialImage(image=shade(1)), end=error), 2, played)
    assert error.response is not None
    assert [slot.kind for slot in error.response.slots] == ["failed", "failed"]
    assert error.response.failures[0].preview == shade(1)
    assert error.response.failures[1].preview is None
    assert error.response.notices == (SAID,)
    assert kinds(played)[2:] == [("image-failed", 0), ("image-failed", 1)]


def test_a_slot_that_failed_before_the_error_is_not_ended_again() -> None:
    played, error = Played(), ProviderError("broken")
    with pytest.raises(ProviderError):
        slots(told(ImageFailed(failure=NO_CATS), end=error), 1, played)
    assert kinds(played) == [("image-failed", 0)]
    assert error.response is not None
    assert error.response.slots == (NO_CATS,)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TransportError("the connection broke"), "the answer was cut"),
        (TruncatedStreamError("no end"), "the answer was cut"),
        (ProviderError("overloaded"), "the call failed"),
    ],
)
def test_an_error_after_a_picture_keeps_it_and_says_so(error: Exception, words: str) -> None:
    flow = told(ImageReady(image=shade(1)), PartialImage(index=1, image=shade(0)), end=error)
    found = slots(flow, n=2).response
    assert [slot.kind for slot in found.slots] == ["image", "failed"]
    assert found.failures[0].preview == shade(0)
    note, number = found.notices
    assert number.feature == "n"
    assert note.kind == "incomplete"
    assert note.detail == f"{words} after pictures came: {error}"


def test_pictures_that_an_error_brings_along_are_kept() -> None:
    error = ProviderError("broken")
    error.response = ImageResponse(slots=(shade(1), NO_CATS))
    played = slots(told(end=error), n=3)
    assert [slot.kind for slot in played.response.slots] == ["image", "refused", "failed"]
    assert kinds(played)[1:4] == [("image-ready", 0), ("image-failed", 1), ("image-failed", 2)]


def test_slots_that_failed_in_an_error_are_its_own() -> None:
    error = ProviderError("broken")
    error.response = ImageResponse(slots=(NO_CATS,))
    with pytest.raises(ProviderError):
        slots(told(end=error), n=2)
    assert [slot.kind for slot in error.response.slots] == ["refused", "failed"]


def test_completed_is_not_the_flows_to_say() -> None:
    with pytest.raises(PluginError, match="Completed"):
        slots(told(Completed(response=ImageResponse(slots=())), end=(shade(1),)))


def test_a_notice_is_told_once_and_stands_in_the_response() -> None:
    flow = told(
        Noticed(notice=SAID),
        Noticed(notice=SAID),
        end=ImageResponse(slots=(shade(1),), notices=(SAID, Notice(kind="other", feature="x"))),
    )
    played = slots(flow)
    assert [notice.feature for notice in played.response.notices] == ["size", "x"]
    assert [event.kind for event in played.events].count("noticed") == 2


def test_a_picture_is_filled_before_it_is_told_of() -> None:
    def filled(image: Image) -> Effects[Image]:
        yield from notice(SAID)
        return shade(5)

    link = Image(url="https://cdn.test/1.png")
    played = play(ended(told(end=(link,)), 1, filled))
    assert kinds(played) == [("noticed", None), ("image-ready", 0)]
    assert played.response.slots == (shade(5),)
    assert played.response.notices == (SAID,)


def differing(*odd: int, feature: str = "size") -> Any:
    """A look that finds something in those pictures, by their shade."""

    def look(image: Image) -> Effects[list[Notice]]:
        here = any(image == shade(one) for one in odd)
        return [Notice(kind="delivered-differs", feature=feature, detail="odd")] if here else []
        yield

    return look


def looked(look: Any, *shades: int, n: int | None = None) -> Played:
    flow = told(end=tuple(map(shade, shades)))
    return play(ended(flow, n or len(shades), as_it_is, look))


@pytest.mark.parametrize(
    ("odd", "count", "detail"),
    [
        ([0], 1, "odd"),
        ([1], 3, "odd (slot 1 of 3)"),
        ([0, 2], 3, "odd (slots 0, 2 of 3)"),
        ([0, 1, 2], 3, "odd (all 3 pictures)"),
        (range(NAMED + 2), 20, "odd (slots 0, 1, 2, 3, 4, 5, 6, 7 and 2 more of 20)"),
    ],
)
def test_what_differs_is_said_once_and_where(odd: Any, count: int, detail: str) -> None:
    found = looked(differing(*odd), *range(count)).response
    assert [notice.detail for notice in found.notices] == [detail]


def test_what_differs_is_said_after_all_pictures_and_before_the_end() -> None:
    assert [kind for kind, _ in kinds(looked(differing(0), 0, 1))] == [
        "image-ready",
        "image-ready",
        "noticed",
    ]


def test_a_difference_without_words_says_where_it_is() -> None:
    def look(image: Image) -> Effects[list[Notice]]:
        return [Notice(kind="delivered-differs", feature="size")] if image == shade(1) else []
        yield

    assert looked(look, 0, 1).response.notices[0].detail == "(slot 1 of 2)"


def test_a_look_may_have_things_done_and_say_so() -> None:
    def look(image: Image) -> Effects[list[Notice]]:
        found = yield from call(lambda: "seen")
        yield from notice(Notice(kind="other", feature=found))
        return []

    assert [one.feature for one in looked(look, 1).response.notices] == ["seen"]


@pytest.mark.parametrize("error", [ProviderError("no eyes"), ZeroDivisionError("no eyes")])
def test_a_look_that_fails_costs_no_picture(error: Exception) -> None:
    def look(image: Image) -> Effects[list[Notice]]:
        raise error
        yield

    found = looked(look, 1, 2).response
    assert found.images == (shade(1), shade(2))
    (note,) = found.notices
    assert note.kind == "incomplete"
    assert note.detail == "the picture is not compared with the request: no eyes (all 2 pictures)"


def counts(played: Played) -> list[str]:
    return [one.detail for one in played.response.notices if one.feature == "n"]


@pytest.mark.parametrize(
    ("end", "n", "said"),
    [
        ((1, 2), 2, []),
        ((1, 2, 3), 2, ["asked for 2 pictures, got 3"]),
        ((1,), 3, ["asked for 3 pictures, got 1: 2 missing"]),
        ((1, NO_CATS, BROKEN), 4, ["asked for 4 pictures, got 1: 1 refused, 1 failed, 1 missing"]),
        ((BROKEN, 1), 1, []),
    ],
)
def test_another_number_of_pictures_is_a_notice(end: Any, n: int, said: list[str]) -> None:
    end = tuple(shade(one) if isinstance(one, int) else one for one in end)
    played = slots(told(end=end), n)
    assert counts(played) == said
    for one in played.response.notices:
        assert (one.kind, one.wanted) == ("delivered-differs", str(n))
        assert one.used == str(len(played.response))


def test_a_picture_that_comes_for_a_slot_that_failed_has_one_of_its_own() -> None:
    played = slots(told(ImageFailed(failure=BROKEN), end=(shade(1),)))
    assert played.response.slots == (BROKEN, shade(1))
    assert kinds(played) == [("image-failed", 0), ("image-ready", 1)]


def test_another_picture_that_is_told_of_a_slot_that_ended_has_one_of_its_own() -> None:
    flow = told(ImageReady(image=shade(1)), ImageReady(image=shade(2)), end=(shade(1),))
    assert slots(flow).response.slots == (shade(1), shade(2))


def test_a_picture_of_nobodys_slot_takes_one_that_would_be_missing() -> None:
    flow = told(ImageReady(image=shade(1)), end=(shade(2),))
    assert slots(flow, n=2).response.slots == (shade(1), shade(2))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"data": picture(1)}, {"data": picture(1), "revised_prompt": "a cat"}),
        ({"url": "https://a.test/1"}, {"url": "https://a.test/1", "id": "7"}),
        ({"url": "https://a.test/1"}, {"url": "https://a.test/1", "data": picture(1)}),
    ],
)
def test_a_picture_of_which_more_is_said_later_is_the_same_one(one: Any, other: Any) -> None:
    flow = told(ImageReady(image=Image(**one)), end=(Image(**other),))
    assert slots(flow).response.slots == (Image(**one),)


def left(**more: Any) -> ProviderError:
    """An error that brings something along."""
    error = ProviderError("broken", billed="yes")
    error.response = ImageResponse(slots=more.pop("slots", ()), **more)
    return error


KNOWN: dict[str, Any] = {
    "text": "well",
    "usage": Usage(items=(UsageItem(quantity=Decimal(3)),)),
    "cost": Cost(amount=Decimal(2), kind="reported"),
    "state": State(provider="toy", payload={"id": 7}),
    "request_ids": ("r1",),
    "model": "toy-1",
    "calls": (CallRecord(n=1, images=0, billed="yes", error="broken"),),
    "metadata": {"region": "here"},
    "rate_limits": {"requests": RateLimit(remaining=1)},
    "processing_time": 1.5,
}


@pytest.mark.parametrize("pictures", [0, 1])
@pytest.mark.parametrize("name", KNOWN)
def test_what_an_error_brings_along_is_kept(name: str, pictures: int) -> None:
    flow = told(end=left(slots=(shade(1),) * pictures, **KNOWN))
    try:
        found = slots(flow, n=2).response
    except ProviderError as error:
        found = error.response
    assert len(found) == pictures
    assert getattr(found, name) == KNOWN[name]


def test_what_an_error_knows_of_itself_stands_in_its_response() -> None:
    error = ProviderError("broken", request_id="r7")
    error.rate_limits, error.processing_time = {"requests": RateLimit(limit=3)}, 0.5
    with pytest.raises(ProviderError):
        slots(told(Text(text="I "), Text(text="try"), Text(text="?", phase="reasoning"), end=error))
    assert error.response is not None
    assert error.response.text == "I try"
    assert error.response.request_ids == ("r7",)
    assert error.response.rate_limits == error.rate_limits
    assert error.response.processing_time == 0.5


def test_what_an_error_brings_along_is_nearer_than_what_it_knows() -> None:
    error = left(request_ids=("r1",), text="well")
    error.request_id = "r9"
    with pytest.raises(ProviderError):
        slots(told(Text(text="I try"), end=error))
    assert error.response is not None
    assert (error.response.request_ids, error.response.text) == (("r1",), "well")


def test_a_picture_of_no_bytes_is_missing() -> None:
    found = slots(told(end=(Image(data=b""), shade(1))), n=2).response
    assert (found.slots[0].kind, found.slots[0].reason) == (
        "missing",
        "the picture that came is empty",
    )


def test_a_slot_far_beyond_those_asked_for_is_the_plugins_fault() -> None:
    with pytest.raises(PluginError, match="slot 5000, of 1"):
        slots(told(ImageReady(index=5000, image=shade(1))))


def test_notices_that_an_error_brings_along_are_told() -> None:
    played = Played()
    with pytest.raises(ProviderError) as found:
        slots(told(end=left(notices=(SAID,))), into=played)
    assert [event.kind for event in played.events] == ["image-failed", "noticed"]
    assert found.value.response is not None
    assert found.value.response.notices == (SAID,)


def test_an_error_made_of_a_failure_knows_the_request() -> None:
    limits = {"requests": RateLimit(remaining=0)}
    told_of = ImageResponse(
        slots=(NO_CATS,), request_ids=("r1", "r2"), rate_limits=limits, processing_time=2.0
    )
    with pytest.raises(ContentRejectedError) as found:
        slots(told(end=told_of))
    assert found.value.request_id == "r1"
    assert found.value.rate_limits == limits
    assert found.value.processing_time == 2.0


# Through a client, on both drivers


def at(server: Server) -> dict[str, Any]:
    return {"provider": "toy", "plugins": plugins(toy=Streaming(server.url))}


def test_a_stream_that_breaks_after_a_picture_keeps_it(driver: Driver, server: Server) -> None:
    server.does(streams(sse("ready", 1, 0), sse("partial", 2, 1), then="breaks"))
    *_, last = driver.stream("a cat", fields={"n": 2}, **at(server))
    assert isinstance(last, Completed)
    assert [slot.kind for slot in last.response.slots] == ["image", "failed"]
    assert last.response.image == shade(1)
    assert last.response.failures[0].preview == shade(2)
    assert last.response.failures[0].billed == "possibly"
    assert [notice.kind for notice in last.response.notices] == ["incomplete", "delivered-differs"]


def test_a_stream_that_breaks_before_a_picture_raises_with_what_came(
    driver: Driver, server: Server
) -> None:
    events: list[Any] = []
    server.does(streams(sse("partial", 1), then="breaks"))
    with pytest.raises(TransportError) as found:
        driver.stream("a cat", events=events, **at(server))
    assert found.value.response is not None
    assert found.value.response.failures[0].preview == shade(1)
    assert [event.kind for event in events] == ["partial-image", "image-failed"]


def test_a_stream_that_ends_without_saying_so_is_cut(driver: Driver, server: Server) -> None:
    server.does(streams(sse("partial", 1)))
    with pytest.raises(TruncatedStreamError) as found:
        driver.stream("a cat", **at(server))
    assert found.value.billed == "possibly"


def cdn(status: int = 200, body: bytes = b"") -> Any:
    def fake(request: httpx.Request) -> httpx.Response:
        if request.url.host == "toy.test":
            return httpx.Response(200, json=done("https://cdn.test/1.png?sig=x", "https://b.test"))
        if request.url.host == "b.test":
            return httpx.Response(200, content=picture(2))
        return httpx.Response(status, content=body)

    return fake


TOY: dict[str, Any] = {"provider": "toy", "retries": 0}


def test_a_result_that_is_a_url_is_fetched(driver: Driver) -> None:
    found = driver.call(
        lambda c: c.generate("a", n=2), cdn(200, picture(1)), plugins=plugins(toy=Whole()), **TOY
    )
    assert [image.data for image in found] == [picture(1), picture(2)]
    assert found.image.url == "https://cdn.test/1.png?sig=x"
    assert not found.notices


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [(404, b"", "answered 404"), (500, b"", "answered 500"), (200, b"<html>", "no picture")],
)
def test_a_result_url_that_fails_to_download_stays_with_a_notice(
    driver: Driver, status: int, body: bytes, why: str
) -> None:
    found = driver.call(
        lambda c: c.generate("a", n=2), cdn(status, body), plugins=plugins(toy=Whole()), **TOY
    )
    assert found.ok
    assert found.image.data is None
    assert found.image.url == "https://cdn.test/1.png?sig=x"
    assert found[1].data == picture(2)
    (note,) = found.notices
    assert note.kind == "incomplete"
    assert why in note.detail
    assert "sig=x" not in note.detail


def test_a_download_is_tried_again(driver: Driver) -> None:
    attempts = []

    def fake(request: httpx.Request) -> httpx.Response:
        if request.url.host == "toy.test":
            return httpx.Response(200, json=done("https://cdn.test/1.png"))
        attempts.append(request)
        return httpx.Response(200 if len(attempts) == 2 else 500, content=picture(1))

    retry = imagekit.RetryPolicy(base=0)
    toys = plugins(toy=Whole())
    found = driver.call(lambda c: c.generate("a"), fake, provider="toy", plugins=toys, retry=retry)
    assert found.image.data == picture(1)


def test_a_result_url_is_left_where_it_is_when_nobody_wants_it(driver: Driver) -> None:
    found = driver.call(
        lambda c: c.generate("a", n=2, fetch=False), cdn(), plugins=plugins(toy=Whole()), **TOY
    )
    assert [image.data for image in found] == [None, None]


def test_one_picture_or_three_are_the_same_types_whole_and_streamed(
    driver: Driver, server: Server
) -> None:
    server.does(answers(200, done(*[picture(1)] * 3)))
    settings = {"provider": "toy", "plugins": plugins(toy=Whole(server.url))}
    whole = driver.call(lambda c: c.generate("a", n=3), **settings)
    *ready, last = driver.stream("a", fields={"n": 3}, **settings)
    assert [event.kind for event in ready] == ["image-ready"] * 3
    assert last.response.slots == whole.slots
    assert last.response.model_copy(update={"timing": None}) == whole.model_copy(
        update={"timing": None}
    )


def test_a_flow_may_tell_pictures_and_return_none_of_them(driver: Driver) -> None:
    toy = Scripted(lambda request: told(ImageReady(image=shade(1))))
    found = driver.call(lambda c: c.generate("a"), provider="toy", plugins=plugins(toy=toy))
    assert found.image == shade(1)


def test_a_picture_has_one_slot_though_the_response_counts_otherwise() -> None:
    image = Image(data=picture())

    def flow() -> Flow:
        yield from emit(ImageReady(index=1, image=image))
        return ImageResponse(slots=(image,))

    found = play(ended(flow(), 2, _as_it_is)).response
    assert [slot.kind for slot in found.slots] == ["missing", "image"]


def _as_it_is(image: Image) -> Effects[Image]:
    return image
    yield
