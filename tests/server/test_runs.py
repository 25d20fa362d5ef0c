"""Calls in progress: how many, who follows them, and how they end."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Coroutine
from typing import Any

import pytest

import imagekit
from imagekit.provider import emit
from imagekit.server import Limits
from imagekit.server._runs import (
    ALIVE,
    BusyError,
    EndedError,
    GoneError,
    Run,
    Runs,
    StoppingError,
    unless_gone,
)
from serving import asked_and_left, serving
from spoken import httpx, near
from toys import Plugged, Scripted, patiently, picture


def done_soon(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(work, 30))


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


# --- one run -------------------------------------------------------------------------------------


def test_whoever_follows_gets_each_frame_as_it_is_said() -> None:
    async def main() -> None:
        run, got = Run(), []

        async def follow() -> None:
            async for frame in run.follow(0, 60):
                got.append(frame)  # noqa: PERF401  # one by one is what this is about

        following = asyncio.create_task(follow())
        for count, frame in enumerate((b"one", b"two", b"three")):
            await turns()
            assert len(got) == count
            run.say(frame)
        await turns()
        assert got == [b"one", b"two", b"three"]
        assert not following.done()
        run.finish()
        await following

    done_soon(main())


@pytest.mark.parametrize(("keep", "again"), [(True, [b"two"]), (False, [b""])])
def test_frames_stay_only_where_they_are_kept(keep: bool, again: list[bytes]) -> None:
    async def main() -> None:
        run = Run(keep=keep)
        for frame in (b"one", b"two"):
            run.say(frame)
        run.finish()
        assert [frame async for frame in run.follow(0, 60)] == [b"one", b"two"]
        assert [frame async for frame in run.follow(1, 60)] == again
        assert run.frames == ([b"one", b"two"] if keep else [b"", b""])

    done_soon(main())


def test_a_start_beyond_the_end_waits_for_the_end() -> None:
    async def main() -> None:
        run = Run(keep=True)
        run.say(b"one")
        asyncio.get_running_loop().call_soon(run.finish)
        assert [frame async for frame in run.follow(7, 60)] == []

    done_soon(main())


def test_silence_is_filled_with_comments() -> None:
    async def main() -> None:
        run = Run()
        following = run.follow(0, 0.005)
        assert [await anext(following), await anext(following)] == [ALIVE, ALIVE]
        run.say(b"frame")
        assert await anext(following) == b"frame"
        await following.aclose()

    done_soon(main())


def test_an_error_before_the_first_frame_is_raised() -> None:
    async def main() -> None:
        for soon in (True, False):
            run, error = Run(), ValueError("no")
            loop = asyncio.get_running_loop()
            run.finish(error) if soon else loop.call_soon(run.finish, error)
            with pytest.raises(ValueError, match="no"):
                await run.begun(60)
            assert not run.open

    done_soon(main())


def test_after_a_frame_or_the_time_it_is_open() -> None:
    async def main() -> None:
        spoken, silent, failed = Run(), Run(), Run()
        spoken.say(b"frame")
        await spoken.begun(60)
        await silent.begun(0.005)
        failed.say(b"frame")
        failed.finish(ValueError("told in a frame"))
        await failed.begun(60)
        assert spoken.open
        assert silent.open
        assert failed.open

    done_soon(main())


# --- all of them ---------------------------------------------------------------------------------


def test_no_more_than_so_many_at_once_and_none_when_it_stops() -> None:
    async def main() -> None:
        runs, go = Runs(2), asyncio.Event()
        tasks = [runs.begin(go.wait) for _ in range(2)]
        assert len(runs) == 2
        with pytest.raises(BusyError):
            runs.check()
        go.set()
        await asyncio.wait(tasks)
        await turns()
        runs.check()
        assert await runs.finish(60) == 0
        with pytest.raises(StoppingError):
            runs.check()

    done_soon(main())


def test_the_end_waits_for_what_goes_on() -> None:
    async def main() -> None:
        runs = Runs(9)

        async def work() -> int:
            await asyncio.sleep(0.01)
            return 7

        task = runs.begin(work)
        assert await runs.finish(60) == 0
        assert task.result() == 7

    done_soon(main())


def test_what_goes_on_for_too_long_is_ended() -> None:
    async def main() -> None:
        runs, ended = Runs(9), []

        async def work() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await turns()
                ended.append(True)

        tasks = [runs.begin(work) for _ in range(2)]
        assert await runs.finish(0.01) == 2
        assert ended == [True, True]
        assert all(task.cancelled() for task in tasks)

    done_soon(main())


# --- one, as long as its client is there ---------------------------------------------------------


async def stays() -> Any:
    await asyncio.Event().wait()


async def says_more_and_leaves(*said: str) -> Any:
    messages = iter([*said, "http.disconnect"])

    async def receive() -> Any:
        await turns()
        return {"type": next(messages)}

    return receive


def test_a_result_comes_to_whoever_stays() -> None:
    async def main() -> None:
        async def work() -> int:
            await turns()
            return 7

        assert await unless_gone(asyncio.create_task(work()), stays) == 7

        async def fails() -> int:
            raise ValueError("no")

        with pytest.raises(ValueError, match="no"):
            await unless_gone(asyncio.create_task(fails()), stays)

    done_soon(main())


@pytest.mark.parametrize("cancel", [True, False])
def test_work_is_ended_when_its_client_leaves_unless_it_is_to_go_on(cancel: bool) -> None:
    async def main() -> None:
        task = asyncio.create_task(stays())
        receive = await says_more_and_leaves("http.request", "http.request")
        with pytest.raises(GoneError):
            await unless_gone(task, receive, cancel=cancel)
        await turns()
        assert task.cancelled() is cancel
        task.cancel()

    done_soon(main())


def test_work_that_somebody_else_ends_is_said_to_be_ended() -> None:
    async def main() -> None:
        task = asyncio.create_task(stays())
        asyncio.get_running_loop().call_soon(task.cancel)
        with pytest.raises(EndedError):
            await unless_gone(task, stays)

    done_soon(main())


def test_being_cancelled_oneself_ends_the_work() -> None:
    async def main() -> None:
        task = asyncio.create_task(stays())
        waiting = asyncio.create_task(unless_gone(task, stays))
        await turns()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await turns()
        assert task.cancelled()

    done_soon(main())


# --- served --------------------------------------------------------------------------------------

GENERATIONS, ANY = "/images/generations", {"prompt": "an otter"}
RESPONSE = {"model": "m", "input": "an otter", "tools": [{"type": "image_generation"}]}


def in_background(work: Any) -> tuple[threading.Thread, list[Any]]:
    got: list[Any] = []
    thread = threading.Thread(target=lambda: got.append(work()))
    thread.start()
    return thread, got


def posted(url: str, **fields: Any) -> httpx.Response:
    return near.post(url + GENERATIONS, json={**ANY, **fields})


@pytest.mark.parametrize("stream", [False, True])
def test_more_calls_than_may_be_are_turned_away_until_one_is_done(stream: bool, gate: Any) -> None:
    with serving(register=gate.plugins, limits=Limits(concurrent=1)) as served:
        thread, got = in_background(lambda: posted(served.url))
        assert gate.holds()
        second = posted(served.url, stream=stream)
        third = near.post(f"{served.url}/responses", json=RESPONSE)
        free = near.get(f"{served.url}/models")
        gate.opened.set()
        thread.join()
        after = posted(served.url)
    for refused in (second, third):
        assert refused.status_code == 429
        assert refused.json()["error"]["code"] == "rate_limit_exceeded"
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.headers["x-should-retry"] == "true"
    assert [free.status_code, got[0].status_code, after.status_code] == [200, 200, 200]
    assert len(gate.asked) == 2


def test_a_stream_is_flushed_event_by_event(gate: Any) -> None:
    with serving(register=gate.plugins) as served:
        wanted = {**ANY, "stream": True, "partial_images": 2}
        with near.stream("POST", served.url + GENERATIONS, json=wanted) as answer:
            lines = answer.iter_lines()
            seen = [line for line in (next(lines) for _ in range(6)) if "event:" in line]
            waiting = not gate.opened.is_set()
            gate.opened.set()
            rest = [line for line in lines if "event:" in line]
    assert waiting
    assert seen == ["event: image_generation.partial_image"] * 2
    assert rest == ["event: image_generation.completed"]


def test_a_silent_stream_is_kept_open_with_comments(gate: Any) -> None:
    limits = Limits(hold=0.01, pause=0.01)
    with serving(register=gate.plugins, limits=limits) as served:
        wanted = {**ANY, "stream": True}
        with near.stream("POST", served.url + GENERATIONS, json=wanted) as answer:
            lines = answer.iter_lines()
            first = [next(lines) for _ in range(4)]
            gate.opened.set()
            assert "event: image_generation.completed" in list(lines)
    assert first == [": keep-alive", "", ": keep-alive", ""]


def test_an_error_within_the_hold_has_a_status_and_one_after_it_is_an_event() -> None:
    go = threading.Event()

    def fails(request: Any) -> Any:
        if request.partial_images:
            image = imagekit.Image(data=picture())
            yield from emit(imagekit.PartialImage(index=0, step=0, image=image))
            go.wait(30)
        raise imagekit.RateLimitError("too fast", retry_after=7)

    plugin = Plugged(Scripted(fails, streaming=True))
    with serving(register={"toy": plugin}) as served:
        early = posted(served.url, stream=True)
        go.set()
        late = posted(served.url, stream=True, partial_images=1)
    assert (early.status_code, early.headers["retry-after"]) == (429, "7")
    assert early.json()["error"]["message"] == "too fast"
    assert late.status_code == 200
    kind, data = late.text.strip().split("\n\n")[-1].splitlines()
    assert kind == "event: error"
    assert json.loads(data.removeprefix("data: "))["error"]["code"] == "rate_limit_exceeded"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("hold", [0.01, 0.4])
def test_work_ends_when_its_client_leaves(stream: bool, hold: float, gate: Any, log: Any) -> None:
    limits = Limits(hold=hold)
    with serving(register=gate.plugins, limits=limits) as served:
        stays = lambda: gate.holds() and not gate.left.wait(0.1)  # noqa: E731
        asked_and_left(served.url + GENERATIONS, stays, {**ANY, "stream": stream})
        assert gate.left.wait(30)
        assert log.one(path="/v1/images/generations")["left"] is True
        assert patiently(lambda: near.get(f"{served.origin}/readyz").json()["calls"] == 0)


def stored(served: Any, id: str) -> Any:
    answer = near.get(f"{served.url}/responses/{id}")
    return answer.json()


@pytest.mark.parametrize("store", [True, False])
def test_a_stored_stream_goes_on_without_its_client_and_no_other(store: bool, gate: Any) -> None:
    with serving(register=gate.plugins) as served:
        wanted = {**RESPONSE, "stream": True, "store": store}
        with near.stream("POST", f"{served.url}/responses", json=wanted) as answer:
            lines = answer.iter_lines()
            data = next(line for line in lines if line.startswith("data: "))
            assert gate.holds()
        id = json.loads(data[6:])["response"]["id"]
        if store:
            assert not gate.left.wait(0.1)
            assert stored(served, id)["status"] == "in_progress"
            gate.opened.set()
            assert patiently(lambda: stored(served, id)["status"] == "completed")
            assert stored(served, id)["output"][0]["result"]
        assert gate.left.wait(0 if store else 30) is not store


def test_a_call_that_takes_too_long_is_ended(gate: Any) -> None:
    with serving(register=gate.plugins, limits=Limits(request=0.05)) as served:
        began = time.monotonic()
        answer = posted(served.url)
    assert time.monotonic() - began < 20
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "timeout")


# --- behind the others ---------------------------------------------------------------------------


def test_a_place_behind_the_others_is_a_call_before_it_is_one() -> None:
    async def main() -> None:
        runs, opened = Runs(1), asyncio.Event()
        assert await runs.enter(lambda: True)
        with pytest.raises(BusyError):
            runs.check()
        runs.check(behind=True)
        task = runs.begin(opened.wait, behind=True)
        with pytest.raises(BusyError):
            runs.check()
        opened.set()
        await task
        runs.leave()
        runs.check()

    done_soon(main())


def test_whoever_waits_for_a_place_is_told_of_the_end_and_waited_for() -> None:
    async def main() -> None:
        runs, ends = Runs(1), []

        async def work() -> None:
            ends.append(await runs.enter(lambda: True))
            await asyncio.sleep(0.05)
            ends.append("written down")

        assert await runs.enter(lambda: True)
        runs.chore(work)
        await turns()
        assert await runs.finish(0.01) == 0
        assert ends == [False, "written down"]

    done_soon(main())
