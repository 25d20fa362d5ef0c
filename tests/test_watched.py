"""Blocking work whose events come while it goes on, and which ends when nobody listens."""

from __future__ import annotations

import contextvars
import threading
from typing import Any

import anyio
import pytest

import imagekit
from imagekit import Image, ImageResponse, PartialImage, Progress
from imagekit.provider import Capabilities, Flow, Say, Unheard, watch
from toys import Driver, Plugged, picture

WHO = contextvars.ContextVar("who", default="nobody")


def three(say: Say) -> str:
    for step in range(3):
        say(Progress(step=step, total=3))
    return "done"


def test_its_events_come_in_order_and_then_its_result(driver: Driver) -> None:
    told: list[Any] = []
    assert driver.do(watch(three), events=told) == "done"
    assert [event.step for event in told] == [0, 1, 2]


def test_what_it_raises_is_raised_after_what_it_said(driver: Driver) -> None:
    told: list[Any] = []

    def breaks(say: Say) -> None:
        say(Progress(step=1))
        raise ZeroDivisionError("inside")

    with pytest.raises(ZeroDivisionError, match="inside"):
        driver.do(watch(breaks), events=told)
    assert len(told) == 1


def test_it_runs_in_the_context_of_the_call(driver: Driver) -> None:
    token = WHO.set("the caller")
    try:
        assert driver.do(watch(lambda say: WHO.get())) == "the caller"
    finally:
        WHO.reset(token)


def test_what_it_gives_may_be_an_event_or_an_exception(driver: Driver) -> None:
    event, error = Progress(step=1), ValueError("a value")
    assert driver.do(watch(lambda say: event)) is event
    assert driver.do(watch(lambda say: error)) is error


class Endless:
    """Makes previews until nobody looks."""

    endpoint = None

    def __init__(self) -> None:
        self.ended, self.go = threading.Event(), threading.Event()

    def capabilities(self, model: str | None) -> Capabilities:
        return Capabilities(streaming=True)

    def flow(self, request: imagekit.ImageRequest, *, stream: bool) -> Flow:
        return (yield from watch(self._work))

    def _work(self, say: Say) -> ImageResponse:
        try:
            while True:
                say(PartialImage(image=Image(data=picture())))
                self.go.wait(0.01)
        except Unheard:
            self.ended.set()
            raise


def settings(made: Endless) -> dict[str, Any]:
    found = imagekit.Plugins()
    found.register(Plugged(made), "endless")
    return {"plugins": found, "provider": "endless", "env": {}, "config": False}


def test_a_stream_that_is_left_ends_it() -> None:
    made = Endless()
    with imagekit.Client(**settings(made)) as client, client.stream("a") as stream:
        assert next(iter(stream)).kind == "partial-image"
    assert made.ended.wait(30)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_async_stream_that_is_left_ends_it(backend: str) -> None:
    made = Endless()

    async def main() -> None:
        async with (
            imagekit.AsyncClient(**settings(made)) as client,
            client.stream("a") as stream,
        ):
            async for _ in stream:
                break

    anyio.run(main, backend=backend)
    assert made.ended.wait(30)


def test_a_deadline_ends_it_and_the_call() -> None:
    made = Endless()
    with (
        imagekit.Client(**settings(made)) as client,
        pytest.raises(imagekit.DeadlineExceededError),
    ):
        client.generate("a", deadline=2)
    assert made.ended.wait(30)


def test_nobody_waits_for_work_that_says_nothing() -> None:
    hangs = threading.Event()

    def silent(say: Say) -> None:
        hangs.wait(60)
        say(Progress(step=1))

    with pytest.raises(imagekit.DeadlineExceededError):
        Driver("sync").do(watch(silent), deadline=0.1)
    hangs.set()
