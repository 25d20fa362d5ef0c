from __future__ import annotations

import threading
import time
from typing import Any

import anyio
import pytest

import imagekit
from imagekit import (
    AsyncClient,
    Client,
    Completed,
    Image,
    ImageReady,
    ImageRequest,
    ImageResponse,
    Mask,
    NoImageError,
    PartialImage,
    PluginError,
    RequestError,
    State,
)
from imagekit.provider import Capabilities, emit, sleep
from toys import (
    Driver,
    Inside,
    Plugged,
    Scripted,
    Server,
    Streaming,
    answers,
    hangs,
    picture,
    plugins,
    sse,
    streams,
)


class Echo(Inside):
    """Remembers the requests it was given."""

    def __init__(self) -> None:
        self.asked: list[ImageRequest] = []

    def capabilities(self, model: str | None) -> Capabilities:
        return Capabilities(
            operations=frozenset({"generate", "edit", "variation"}), mask="transparent"
        )

    def flow(self, request: ImageRequest, *, stream: bool) -> Any:
        self.asked.append(request)
        return (yield from super().flow(request, stream=stream))


@pytest.fixture
def echo() -> Echo:
    return Echo()


def settings(toy: object) -> dict[str, Any]:
    return {"provider": "toy", "plugins": plugins(toy=toy)}


def test_generate_makes_pictures_from_a_prompt(driver: Driver, echo: Echo) -> None:
    found = driver.call(lambda c: c.generate("a cat", n=2), **settings(echo))
    assert (echo.asked[0].prompt, echo.asked[0].operation) == ("a cat", "generate")
    assert [type(image) for image in found] == [Image, Image]


def test_edit_changes_pictures(driver: Driver, echo: Echo) -> None:
    driver.call(lambda c: c.edit("a hat", [picture(1), picture(2)]), **settings(echo))
    assert echo.asked[0].operation == "edit"
    assert [given.data for given in echo.asked[0].images] == [picture(1), picture(2)]


def test_edit_takes_a_mask(driver: Driver, echo: Echo) -> None:
    mask = Mask(picture(9), edit_where="transparent")
    with pytest.raises(RequestError, match="a mask needs a prompt"):
        driver.call(lambda c: c.edit("", picture(), mask=mask), **settings(echo))


def test_vary_makes_pictures_like_a_given_one(driver: Driver, echo: Echo) -> None:
    driver.call(lambda c: c.vary(picture(1)), **settings(echo))
    assert echo.asked[0].operation == "variation"


def test_run_does_what_a_request_asks(driver: Driver, echo: Echo) -> None:
    request = ImageRequest(prompt="a cat", seed=7, state=State(provider="toy", payload={"x": 1}))
    driver.call(lambda c: c.run(request), **settings(echo))
    assert (echo.asked[0].seed, echo.asked[0].state) == (7, request.state)


def test_an_opened_image_is_a_file_of_the_pictures_bytes(driver: Driver, echo: Echo) -> None:
    file = driver.call(lambda c: c.open_image("a cat"), **settings(echo))
    assert file.read() == picture(5)


def test_an_image_that_was_not_made_cannot_be_opened(driver: Driver) -> None:
    toy = Scripted(lambda request: _gives(ImageResponse(slots=())))
    with pytest.raises(NoImageError):
        driver.call(lambda c: c.open_image("a cat"), **settings(toy))


def _gives(response: ImageResponse) -> Any:
    return response
    yield


def test_a_stream_takes_a_request_too(driver: Driver, echo: Echo) -> None:
    *_, last = driver.stream(ImageRequest(prompt="a cat", n=2), **settings(echo))  # type: ignore[arg-type]
    assert isinstance(last, Completed)
    assert len(last.response.images) == 2


@pytest.mark.parametrize("n", [1, 3])
def test_one_picture_or_more_are_the_same_types(driver: Driver, echo: Echo, n: int) -> None:
    whole = driver.call(lambda c: c.generate("a cat", n=n), **settings(echo))
    *ready, last = driver.stream("a cat", fields={"n": n}, **settings(echo))
    assert isinstance(whole, ImageResponse)
    assert [type(event) for event in ready] == [ImageReady] * n
    assert isinstance(last.response, ImageResponse)
    assert last.response.slots == whole.slots
    assert len(whole.slots) == n
    assert isinstance(whole.image, Image)


def test_a_prompt_to_stream_is_text(driver: Driver, echo: Echo) -> None:
    with pytest.raises(RequestError, match="a prompt is text, not int"):
        driver.stream(7, **settings(echo))  # type: ignore[arg-type]


def test_the_provider_stands_in_the_response(driver: Driver, echo: Echo) -> None:
    found = driver.call(lambda c: c.generate("a cat"), **settings(echo))
    assert (found.provider, found.model) == ("toy", "inside-1")


def test_a_client_lists_its_providers(echo: Echo) -> None:
    with Client(**settings(echo)) as client:
        assert "toy" in client.providers()
        assert client.capabilities().mask == "transparent"


def test_a_clients_plugins_can_be_added_to(echo: Echo) -> None:
    with Client() as client:
        client.plugins.register(Plugged(echo), "toy")
        assert client.generate("a cat", provider="toy").ok


# Time


def slowly(request: ImageRequest) -> Any:
    yield from sleep(0.05)
    yield from emit(PartialImage(image=Image(data=picture())))
    yield from sleep(0.05)
    yield from emit(PartialImage(image=Image(data=picture())))
    return ImageResponse(slots=(Image(data=picture()),))


def test_a_stream_says_how_long_it_took_and_when_the_first_preview_came(driver: Driver) -> None:
    toy = Scripted(slowly, streaming=True)
    *_, last = driver.stream("a cat", **settings(toy))
    timing = last.response.timing
    assert timing.first_preview is not None
    assert 0.04 <= timing.first_preview <= timing.total - 0.04


def test_a_whole_call_says_how_long_it_took(driver: Driver) -> None:
    found = driver.call(lambda c: c.generate("a cat"), **settings(Scripted(slowly)))
    assert found.timing.total >= 0.09
    assert found.timing.first_preview is None


def test_a_call_ends_at_its_deadline(driver: Driver, server: Server) -> None:
    server.does(hangs)
    with pytest.raises(imagekit.DeadlineExceededError):
        driver.call(lambda c: c.generate("a cat", deadline=0.2), **settings(Streaming(server.url)))


# Streams


def test_the_response_is_there_after_the_loop(server: Server) -> None:
    server.does(streams(sse("ready", 1), sse("end")))
    with (
        Client(**settings(Streaming(server.url))) as client,
        client.stream("a cat") as stream,
    ):
        with pytest.raises(RequestError, match="has not ended"):
            _ = stream.response
        events = list(stream)
        assert stream.response == events[-1].response  # type: ignore[union-attr]
        assert stream.finish() is stream.response


@pytest.mark.anyio
async def test_the_response_is_there_after_the_async_loop(server: Server) -> None:
    server.does(streams(sse("ready", 1), sse("end")))
    made = AsyncClient(**settings(Streaming(server.url)))
    async with made as client, client.stream("a cat") as stream:
        with pytest.raises(RequestError, match="has not ended"):
            _ = stream.response
        events = [event async for event in stream]
        assert stream.response == events[-1].response  # type: ignore[union-attr]
        assert await stream.finish() is stream.response


def test_finish_reads_on_to_the_end(echo: Echo) -> None:
    with Client(**settings(echo)) as client, client.stream("a cat", n=2) as stream:
        next(stream)
        assert len(stream.finish().images) == 2


@pytest.mark.anyio
async def test_finish_reads_on_to_the_end_in_async(echo: Echo) -> None:
    async with AsyncClient(**settings(echo)) as client, client.stream("a cat", n=2) as stream:
        await anext(stream)
        assert len((await stream.finish()).images) == 2


@pytest.mark.anyio
async def test_an_async_stream_that_was_not_entered_says_how(echo: Echo) -> None:
    async with AsyncClient(**settings(echo)) as client:
        with pytest.raises(RequestError, match="async with"):
            await anext(client.stream("a cat"))


def test_a_stream_that_was_left_says_nothing_more(echo: Echo) -> None:
    with Client(**settings(echo)) as client:
        with client.stream("a cat") as stream:
            next(stream)
        assert list(stream) == []
        with pytest.raises(RequestError, match="has not ended"):
            _ = stream.response


@pytest.mark.anyio
async def test_an_async_stream_that_was_left_says_nothing_more(echo: Echo) -> None:
    async with AsyncClient(**settings(echo)) as client:
        async with client.stream("a cat", n=3) as stream:
            await anext(stream)
        assert [event async for event in stream] == []
        with pytest.raises(RequestError, match="has not ended"):
            _ = stream.response


@pytest.mark.anyio
async def test_an_error_is_raised_once_and_then_the_stream_is_over() -> None:
    def flow(request: ImageRequest) -> Any:
        raise NoImageError("none")
        yield

    made = AsyncClient(**settings(Scripted(flow)))
    async with made as client, client.stream("a cat") as stream:
        with pytest.raises(NoImageError) as found:
            await stream.finish()
        assert found.value.response is not None
        assert [event async for event in stream] == []


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # trio lets chance say whose turn it is
async def test_whoever_waits_has_seen_an_event_before_the_call_goes_on(anyio_backend: str) -> None:
    order: list[str] = []

    def flow(request: ImageRequest) -> Any:
        yield from emit(imagekit.Progress())
        order.append("went on")
        return ImageResponse(slots=(Image(data=picture()),))

    made = AsyncClient(**settings(Scripted(flow)))
    async with made as client, client.stream("a cat") as stream:
        async for event in stream:
            order.append(event.kind)  # noqa: PERF401  # in their order
    assert order[:2] == ["progress", "went on"]


def test_a_stream_that_nobody_reads_sends_nothing(server: Server) -> None:
    server.does(answers())
    with Client(**settings(Streaming(server.url))) as client, client.stream("a cat"):
        time.sleep(0.05)
    assert server.connections == 0


def test_an_exception_that_is_not_ours_is_the_plugins(driver: Driver) -> None:
    def flow(request: ImageRequest) -> Any:
        yield from emit(imagekit.Progress())
        raise KeyError("oops")

    with pytest.raises(PluginError, match="'toy' failed: KeyError"):
        driver.stream("a cat", **settings(Scripted(flow)))


def test_threads_share_one_client(echo: Echo) -> None:
    made: list[ImageResponse] = []
    with Client(**settings(echo)) as client:
        threads = [
            threading.Thread(target=lambda: made.append(client.generate("a cat"))) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [response.ok for response in made] == [True] * 8


@pytest.mark.anyio
async def test_leaving_the_client_closes_what_is_its_own(server: Server) -> None:
    server.does(answers())
    async with AsyncClient(**settings(Streaming(server.url))) as client:
        await client.generate("a cat")
        (own,) = client._transport._ours.values()
        http = own.client(False)
    assert http.is_closed


@pytest.mark.anyio
async def test_a_whole_call_may_be_made_in_a_task_group(echo: Echo) -> None:
    async with AsyncClient(**settings(echo)) as client, anyio.create_task_group() as group:
        group.start_soon(client.generate, "a cat")
    assert len(echo.asked) == 1


@pytest.mark.parametrize(
    ("said", "asked", "model"),
    [
        ({"model": "mine"}, {}, "mine"),
        ({"model": "mine"}, {"model": "its"}, "its"),
        ({"model": "mine"}, {"provider": "other"}, "the profile's"),
        ({}, {"model": "other:its"}, "its"),
        ({}, {}, None),
    ],
)
def test_capabilities_are_those_of_the_model_that_a_call_would_ask_for(
    said: dict[str, str], asked: dict[str, str], model: str | None
) -> None:
    class Known(Echo):
        def capabilities(self, model: str | None) -> Capabilities:
            return Capabilities(model=model)

    other = imagekit.Profile("other", provider="toy", defaults={"model": "the profile's"})
    with Client(**{**settings(Known()), "profiles": [other], **said}) as client:
        assert client.capabilities(**asked).model == model
