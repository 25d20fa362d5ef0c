"""`raise_on_error=False`: what goes wrong comes back as the response's error."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

import imagekit
from imagekit import (
    AsyncClient,
    Client,
    ConfigurationError,
    ContentRejectedError,
    Image,
    ImagekitError,
    ImageRequest,
    ImageResponse,
    ProviderError,
    RateLimit,
    RateLimitError,
    RequestError,
    RetryPolicy,
    TransportError,
    UnknownProviderError,
)
from imagekit.provider import Capabilities, HttpRequest, send, sleep
from spoken import httpx
from toys import Driver, Scripted, Streaming, Whole, picture, plugins, spelt, sse

QUICK = RetryPolicy(base=0.001)
CARRIES: Any = {"raise_on_error": False}


def settings(made: object = None, **more: Any) -> dict[str, Any]:
    known = plugins(toy=made or Whole())
    return {"plugins": known, "provider": "toy", "env": {}, "retry": QUICK, **more}


def says(status: int, body: object = None, **headers: str) -> Callable[..., httpx.Response]:
    said = {"pictures": [spelt(picture())]} if body is None else body
    return lambda request: httpx.Response(status, json=said, headers=headers)


VERBS: dict[str, Callable[..., Any]] = {
    "generate": lambda c, **how: c.generate("a cat", **how),
    "edit": lambda c, **how: c.edit("a hat", [picture()], **how),
    "vary": lambda c, **how: c.vary([picture()], **how),
    "run": lambda c, **how: c.run(ImageRequest(prompt="a cat"), **how),
}


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_that_makes_pictures_carries_its_error(driver: Driver, verb: str) -> None:
    able = Capabilities(operations=frozenset({"generate", "edit", "variation"}))
    how = settings(Whole(able=able))
    response = driver.call(lambda c: VERBS[verb](c, **CARRIES), says(400), **how)
    assert isinstance(response, ImageResponse)
    assert isinstance(response.error, ProviderError)
    assert response.error.status == 400
    assert not response.ok
    assert response.images == ()
    assert [failure.billed for failure in response.failures] == ["no"]
    assert (response.provider, response.profile) == ("toy", None)
    assert response.timing is not None
    with pytest.raises(ProviderError) as found:
        _ = response.image
    assert found.value is response.error


@pytest.mark.parametrize("verb", VERBS)
def test_without_it_they_raise(driver: Driver, verb: str) -> None:
    able = Capabilities(operations=frozenset({"generate", "edit", "variation"}))
    with pytest.raises(ProviderError):
        driver.call(VERBS[verb], says(400), **settings(Whole(able=able)))


def test_a_client_may_want_it_of_all_its_calls_and_a_call_may_not(driver: Driver) -> None:
    mine = settings(**CARRIES)
    assert driver.call(lambda c: c.generate("a cat"), says(400), **mine).error is not None
    with pytest.raises(ProviderError):
        driver.call(lambda c: c.generate("a cat", raise_on_error=True), says(400), **mine)


def test_what_goes_well_carries_none(driver: Driver) -> None:
    response = driver.call(lambda c: c.generate("a cat", **CARRIES), says(200), **settings())
    assert response.error is None
    assert response.ok
    assert response.image.read() == picture()


def test_each_picture_asked_for_has_a_slot_that_says_why_it_is_none(driver: Driver) -> None:
    def fails(request: ImageRequest) -> Any:
        yield from sleep(0)
        raise ContentRejectedError("no cats", stage="input", categories=("cats",), billed="no")

    ask: Any = lambda c: c.generate("a cat", n=3, **CARRIES)  # noqa: E731
    response = driver.call(ask, **settings(Scripted(fails)))
    assert [slot.kind for slot in response.slots] == ["refused"] * 3
    assert {(slot.stage, slot.categories) for slot in response.failures} == {("input", ("cats",))}


def test_so_it_is_for_what_is_wrong_before_anything_is_sent(driver: Driver) -> None:
    seen: list[object] = []
    wrong: list[tuple[Any, type[ImagekitError], int]] = [
        (lambda c: c.generate("a cat", n=2, provider="gone", **CARRIES), UnknownProviderError, 2),
        (lambda c: c.generate("a cat", size="large", **CARRIES), RequestError, 1),
        (lambda c: c.generate(7, **CARRIES), RequestError, 1),
        (lambda c: c.generate("a cat", n=0, **CARRIES), RequestError, 1),
        (lambda c: c.generate("a cat", n="x", **CARRIES), RequestError, 1),
        (lambda c: c.generate("a cat", n=10**9, **CARRIES), RequestError, 1),
        (lambda c: c.generate("a cat", retries=-1, **CARRIES), RequestError, 1),
        (lambda c: c.generate("a cat", debug="yes", **CARRIES), ConfigurationError, 1),
        (lambda c: c.edit("a hat", [], **CARRIES), RequestError, 1),
        (
            lambda c: c.run(
                ImageRequest(prompt="a cat", n=3, mask=None), provider="gone", **CARRIES
            ),
            UnknownProviderError,
            3,
        ),
        (lambda c: c.resume("no job", **CARRIES), RequestError, 1),
    ]
    for ask, kind, n in wrong:
        response = driver.call(ask, seen.append, **settings())
        assert type(response.error) is kind
        assert response.error.billed == "no"
        assert len(response.failures) == n
        assert {failure.billed for failure in response.failures} == {"no"}
        assert not response.ok
    assert seen == []


def test_the_number_of_slots_is_the_clients_default_too(driver: Driver) -> None:
    ask: Any = lambda c: c.generate("a cat", provider="gone")  # noqa: E731
    assert len(driver.call(ask, **settings(n=4, **CARRIES)).slots) == 4


def test_what_is_no_error_of_ours_is_not_carried(driver: Driver) -> None:
    class Odd(dict[str, str]):
        def get(self, *_: object) -> str:
            raise ZeroDivisionError

    ask: Any = lambda c: c.generate("a cat", **CARRIES)  # noqa: E731
    with pytest.raises(ZeroDivisionError):
        driver.call(ask, plugins=plugins(), env=Odd())


def test_what_came_all_the_same_is_there(driver: Driver) -> None:
    def flow(request: ImageRequest) -> Any:
        yield from sleep(0)
        error = ProviderError("gone", billed="yes")
        failure = imagekit.ImageFailure(kind="failed", reason="out of paint", billed="yes")
        error.response = ImageResponse(slots=(failure,))
        raise error

    ask: Any = lambda c: c.generate("a cat", n=2, **CARRIES)  # noqa: E731
    response = driver.call(ask, **settings(Scripted(flow)))
    assert [failure.reason for failure in response.failures] == ["out of paint", "gone"]


def test_facts_of_the_exchange_are_the_responses_too(driver: Driver) -> None:
    def flow(request: ImageRequest) -> Any:
        answer = yield from send(HttpRequest("GET", "/x"))
        error = RateLimitError("slow", request_id="r-1", status=answer.status)
        error.rate_limits = {"images": RateLimit(limit=5, remaining=0)}
        error.processing_time = 0.25
        raise error

    class Limits(Whole):
        def flow(self, request: ImageRequest, *, stream: bool) -> Any:
            return flow(request)

    ask: Any = lambda c: c.generate("a cat", **CARRIES)  # noqa: E731
    response = driver.call(ask, says(429, retry_after="0"), **settings(Limits()))
    assert response.request_ids == ("r-1",)
    assert response.rate_limits["images"].remaining == 0
    assert response.processing_time == 0.25
    assert [one.status for one in response.http] == [429] * 3
    assert response.http == response.error.http
    # It goes to JSON as every response does; of the error its slots tell the rest.
    again = ImageResponse.model_validate_json(response.model_dump_json())
    assert str(again.error) == str(response.error)


def test_what_the_response_says_of_itself_stays(driver: Driver) -> None:
    def flow(request: ImageRequest) -> Any:
        yield from sleep(0)
        return ImageResponse(slots=(), request_ids=("mine",), processing_time=2.0)

    ask: Any = lambda c: c.generate("a cat", **CARRIES)  # noqa: E731
    response = driver.call(ask, **settings(Scripted(flow)))
    assert isinstance(response.error, imagekit.NoImageError)
    assert (response.request_ids, response.processing_time) == (("mine",), 2.0)


def test_a_stream_raises_whatever_that_says(driver: Driver) -> None:
    def cut(request: httpx.Request) -> httpx.Response:
        return httpx.Response(
            200, content=sse("partial"), headers={"content-type": "text/event-stream"}
        )

    for mine, fields in ((settings(Streaming(), **CARRIES), {}), (settings(Streaming()), CARRIES)):
        with pytest.raises(imagekit.TruncatedStreamError):
            driver.stream("a cat", cut, fields=fields, **mine)


def test_open_image_raises_whatever_that_says(driver: Driver) -> None:
    with pytest.raises(ProviderError):
        driver.call(lambda c: c.open_image("a cat", **CARRIES), says(400), **settings())
    with pytest.raises(ProviderError):
        driver.call(lambda c: c.open_image("a cat"), says(400), **settings(**CARRIES))


@pytest.mark.parametrize("verb", ["submit", "models", "files", "fetch"])
def test_what_gives_no_response_raises_whatever_the_client_says(driver: Driver, verb: str) -> None:
    given = {"submit": ["a cat"], "fetch": [Image(url="https://toy.test/x")]}.get(verb, [])
    with pytest.raises(ImagekitError):
        driver.call(lambda c: getattr(c, verb)(*given), says(400), **settings(**CARRIES))


def test_copies_keep_the_error() -> None:
    response = ImageResponse(slots=()).with_error(TransportError("gone"))
    assert response.model_copy(update={"text": "x"}).error is response.error
    assert copy.copy(response).error is response.error
    assert ImageResponse(slots=()).error is None


def test_an_error_is_no_part_of_the_json(driver: Driver) -> None:
    response = driver.call(lambda c: c.generate("a cat", **CARRIES), says(500), **settings())
    assert "error" not in response.model_dump(mode="json")


def test_a_call_that_is_cancelled_or_interrupted_is_not_carried() -> None:
    def interrupts(request: httpx.Request) -> httpx.Response:
        raise KeyboardInterrupt

    http = httpx.MockTransport(interrupts)
    with Client(http=http, **settings(**CARRIES)) as client, pytest.raises(KeyboardInterrupt):
        client.generate("a cat")


async def test_a_deadline_of_the_callers_own_is_not_carried(anyio_backend: str) -> None:
    import anyio

    def waits(request: ImageRequest) -> Any:
        yield from sleep(30)

    async with AsyncClient(**settings(Scripted(waits), **CARRIES)) as client:
        with anyio.move_on_after(0.05) as scope:
            await client.generate("a cat")
        assert scope.cancelled_caught
        response = await client.generate("a cat", deadline=0.05)
        assert isinstance(response.error, imagekit.DeadlineExceededError)


def test_a_response_with_a_failure_says_its_error_whoever_made_it() -> None:
    failure = imagekit.ImageFailure(kind="refused", reason="no cats", categories=("cats",))
    whole = imagekit.ImageResponse(slots=(imagekit.Image(data=picture(1)), failure))
    again = imagekit.ImageResponse.model_validate_json(whole.model_dump_json())
    assert isinstance(again.error, imagekit.ContentRejectedError)
    assert (str(again.error), again.error.categories) == ("no cats", ("cats",))
    assert again.error.response is again
    assert again.image.data == picture(1)
    assert imagekit.ImageResponse(slots=(imagekit.Image(data=picture(1)),)).error is None


def test_a_carried_error_keeps_no_frames_alive_however_often_it_is_raised() -> None:
    error = imagekit.ProviderError("no")
    response = imagekit.ImageResponse(slots=()).with_error(error)
    for _ in range(50):
        with pytest.raises(imagekit.ProviderError):
            _ = response.image
    frames, trace = 0, error.__traceback__
    while trace is not None:
        frames, trace = frames + 1, trace.tb_next
    assert frames < 5
