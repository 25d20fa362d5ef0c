from __future__ import annotations

from typing import Any

import httpx
import pytest

import imagekit
from imagekit import (
    Completed,
    ContentRejectedError,
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
    TransportError,
    TruncatedStreamError,
)
from imagekit._slots import differences, ended
from imagekit.provider import Effects, Flow, emit, notice
from imagekit.testing import Played, play
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
    assert slots(flow).response.slots == (shade(1),)


def test_a_failure_that_was_told_stays() -> None:
    failed = ImageFailed(index=0, failure=BROKEN)
    played = slots(told(failed, failed, end=(BROKEN, shade(1))), n=2)
    assert kinds(played) == [("image-failed", 0), ("image-ready", 1)]
    assert played.response.slots == (BROKEN, shade(1))


def test_a_preview_after_the_end_of_its_slot_is_dropped() -> None:
    flow = told(ImageReady(image=shade(1)), PartialImage(image=shade(0)), end=(shade(1),))
    assert kinds(slots(flow)) == [("image-ready", 0)]


def test_other_events_pass() -> None:
    assert slots(told(Progress(step=1), end=(shade(1),))).events[0] == Progress(step=1)


def test_a_picture_that_never_came_is_missing() -> None:
    played = slots(told(end=(shade(1),)), n=3)
    assert kinds(played) == [("image-ready", 0), ("image-failed", 1), ("image-failed", 2)]
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
    (note,) = found.notices
    assert note.kind == "incomplete"
    assert note.detail == f"{words} after pictures came: {error}"


def test_pictures_that_an_error_brings_along_are_kept() -> None:
    error = ProviderError("broken")
    error.response = ImageResponse(slots=(shade(1), NO_CATS))
    played = slots(told(end=error), n=3)
    assert [slot.kind for slot in played.response.slots] == ["image", "refused", "failed"]
    assert kinds(played)[1:] == [("image-ready", 0), ("image-failed", 1), ("image-failed", 2)]


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


@pytest.mark.parametrize(
    ("echo", "features"),
    [
        ({}, []),
        ({"size": "1x1", "output_format": "png"}, []),
        ({"size": "2x2"}, ["size"]),
        ({"output_format": "jpeg"}, ["output_format"]),
        ({"size": "2x2", "output_format": "webp"}, ["size", "output_format"]),
        ({"size": "auto", "output_format": None}, []),
        ({"size": 7}, []),
    ],
)
def test_an_echo_that_disagrees_with_the_bytes_is_a_notice(echo: Any, features: list[str]) -> None:
    found = differences(Image(data=picture(), echo=echo))
    assert [notice.feature for notice in found] == features
    assert all(notice.kind == "delivered-differs" for notice in found)


def test_bytes_of_no_known_type_are_kept_and_said_to_be_none() -> None:
    odd = Image(data=b"what", echo={"size": "2x2", "output_format": "png"})
    [notice] = differences(odd)
    assert (notice.feature, notice.used) == ("media_type", "of no type we know")


def test_a_difference_stands_in_the_response() -> None:
    image = Image(data=picture(), echo={"size": "2x2"})
    (note,) = slots(told(end=(image,))).response.notices
    assert (note.wanted, note.used) == ("2x2", "1x1")


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
    assert [notice.kind for notice in last.response.notices] == ["incomplete"]


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
