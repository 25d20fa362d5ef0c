from __future__ import annotations

import inspect
import threading
import time
from collections.abc import Callable
from typing import Any

import anyio
import pytest

import imagekit
from imagekit import Completed, ImageResponse, PartialImage, PluginError, Progress
from imagekit._drive import drive, run
from imagekit._perform import BREATH, perform
from imagekit._scope import Scope
from imagekit._transport import AsyncTransport, SyncTransport
from imagekit.provider import (
    Effects,
    Gather,
    HttpRequest,
    ServerSentEvent,
    call,
    checkpoint,
    emit,
    gather,
    open_stream,
    receive,
    receive_line,
    receive_piece,
    send,
    sleep,
)
from spoken import httpx
from toys import (
    Driver,
    Plugged,
    Scripted,
    Server,
    Streaming,
    Whole,
    answers,
    drips,
    hangs,
    patiently,
    picture,
    plugins,
    sse,
    streams,
)

STREAM = "text/event-stream"


def get(url: str = "https://toy.test/") -> HttpRequest:
    return HttpRequest("GET", url)


def answering(body: bytes, kind: str = "", status: int = 200) -> Callable[..., httpx.Response]:
    return lambda request: httpx.Response(status, content=body, headers={"content-type": kind})


def collected(one: Callable[[], Effects[Any]]) -> Effects[list[Any]]:
    found = []
    while (item := (yield from one())) is not None:
        found.append(item)
    return found


# One body of tests, three times: blocking, on asyncio, on trio.


def test_send_gives_the_whole_answer(driver: Driver) -> None:
    answer = driver.do(send(get()), answering(b"whole", "text/plain", 404))
    assert (answer.status, answer.body, answer.streamed) == (404, b"whole", False)
    assert answer.media_type == "text/plain"


def test_what_is_sent_is_what_was_said(driver: Driver, server: Server) -> None:
    server.does(answers())
    request = HttpRequest(
        "POST", f"{server.url}/a?b=1", json={"x": "é"}, query={"c": "2"}, headers={"x-own": "y"}
    )
    driver.do(send(request))
    (seen,) = server.seen
    assert (seen.method, seen.path, seen.body) == ("POST", "/a?b=1&c=2", b'{"x":"\xc3\xa9"}')
    assert seen.headers["x-own"] == "y"
    assert seen.headers["user-agent"].startswith("imagekit/")


def test_an_opened_stream_gives_server_sent_events(driver: Driver) -> None:
    def flow() -> Effects[Any]:
        head = yield from open_stream(get())
        assert head.streamed
        assert head.body == b""
        return (yield from collected(receive))

    found = driver.do(flow(), answering(b"data: 1\n\nevent: x\ndata: 2\n", STREAM))
    assert found == [ServerSentEvent("message", "1"), ServerSentEvent("x", "2")]


def test_an_opened_stream_gives_lines(driver: Driver) -> None:
    def flow() -> Effects[Any]:
        yield from open_stream(get(), "lines")
        return (yield from collected(receive_line))

    assert driver.do(flow(), answering(b"one\r\ntwo\n\nthree", "any/thing")) == [
        "one",
        "two",
        "three",
    ]


def test_an_opened_stream_gives_pieces(driver: Driver) -> None:
    def flow() -> Effects[Any]:
        yield from open_stream(get(), "pieces")
        return b"".join((yield from collected(receive_piece)))

    assert driver.do(flow(), answering(b"one two", "any/thing")) == b"one two"


@pytest.mark.parametrize(
    ("kind", "status"), [("application/json", 200), (STREAM, 500), ("text/html; x=y", 200)]
)
def test_an_answer_that_is_no_stream_comes_whole(driver: Driver, kind: str, status: int) -> None:
    def flow() -> Effects[Any]:
        head = yield from open_stream(get())
        return head, (yield from receive())

    head, after = driver.do(flow(), answering(b"whole", kind, status))
    assert (head.body, head.streamed, after) == (b"whole", False, None)


def test_an_answer_of_no_type_is_taken_for_the_events_that_were_asked_for(driver: Driver) -> None:
    def flow() -> Effects[Any]:
        yield from open_stream(get())
        return (yield from receive())

    assert driver.do(flow(), answering(b"data: 1\n\n")) == ServerSentEvent("message", "1")


def test_receiving_where_nothing_is_open_gives_nothing(driver: Driver) -> None:
    assert driver.do(receive()) is None


def test_a_second_stream_takes_the_place_of_the_first(driver: Driver, server: Server) -> None:
    def flow() -> Effects[Any]:
        yield from open_stream(get(server.url))
        yield from receive()
        yield from open_stream(get(server.url))
        yield from call(lambda: patiently(server.left.is_set))
        assert server.left.is_set()
        return (yield from collected(receive))

    server.does(streams(b"data: 1\n\n", then="stays"), streams(b"data: 2\n\n"))
    assert driver.do(flow()) == [ServerSentEvent("message", "2")]


def test_after_a_stream_that_did_not_open_there_is_nothing_to_receive(
    driver: Driver, server: Server
) -> None:
    def flow() -> Effects[Any]:
        yield from open_stream(get(server.url))
        with pytest.raises(imagekit.TransportError):
            yield from open_stream(get(server.url))
        return (yield from receive())

    server.does(streams(b"data: 1\n\n", b"data: 2\n\n", then="stays"), lambda talk: None)
    assert driver.do(flow()) is None


def test_sleep_waits(driver: Driver) -> None:
    start = time.monotonic()
    driver.do(sleep(0.05))
    assert time.monotonic() - start >= 0.04


def test_a_deadline_ends_a_sleep(driver: Driver) -> None:
    with pytest.raises(imagekit.DeadlineExceededError) as found:
        driver.do(sleep(60), deadline=0.05)
    assert found.value.billed == "no"


begun: list[object] = []
EFFECTS: dict[str, Callable[[], Effects[Any]]] = {
    "sleep": lambda: sleep(9),
    "send": lambda: send(get()),
    "open": lambda: open_stream(get()),
    "receive": receive,
    "call": lambda: call(lambda: begun.append(1)),
}


@pytest.mark.parametrize("effect", EFFECTS)
def test_nothing_begins_after_the_deadline(driver: Driver, effect: str) -> None:
    begun.clear()

    def fake(request: httpx.Request) -> httpx.Response:
        begun.append(request)
        return httpx.Response(200)

    def flow() -> Effects[Any]:
        time.sleep(0.05)
        yield from EFFECTS[effect]()

    with pytest.raises(imagekit.DeadlineExceededError):
        driver.do(flow(), fake, deadline=0.03)
    assert not begun


def test_call_gives_the_result_of_blocking_work(driver: Driver) -> None:
    assert driver.do(call(lambda: 6 * 7)) == 42


def test_what_the_work_raises_reaches_the_flow(driver: Driver) -> None:
    def flow() -> Effects[str]:
        try:
            yield from call(lambda: 1 // 0)
        except ZeroDivisionError:
            return "caught"
        return "missed"

    assert driver.do(flow()) == "caught"


def test_the_deadline_asks_work_to_stop(driver: Driver) -> None:
    stopped = threading.Event()
    with pytest.raises(imagekit.DeadlineExceededError):
        driver.do(call(lambda: stopped.wait(30), stopped.set), deadline=0.5)
    assert stopped.is_set()


def test_work_that_fails_when_it_is_asked_to_stop_ended_by_the_deadline(driver: Driver) -> None:
    stopped = threading.Event()

    def work() -> None:
        stopped.wait(30)
        raise RuntimeError("stopped")

    with pytest.raises(imagekit.DeadlineExceededError):
        driver.do(call(work, stopped.set), deadline=0.1)


def test_work_that_cannot_be_stopped_is_waited_for_or_left_behind(driver: Driver) -> None:
    left, done = threading.Event(), threading.Event()

    def work() -> str:
        left.wait(1.1 if driver.blocking else 30)
        done.set()
        return "done"

    if driver.blocking:
        assert driver.do(call(work), deadline=1.0) == "done"
        return
    with pytest.raises(imagekit.DeadlineExceededError):
        driver.do(call(work), deadline=1.0)
    assert not done.is_set()
    left.set()
    assert done.wait(30)


@pytest.mark.anyio
async def test_a_coroutine_that_comes_when_nobody_waits_any_more_is_closed() -> None:
    async def never() -> None:
        """Nobody begins it."""

    begun, left, made = threading.Event(), threading.Event(), never()

    def work() -> Any:
        begun.set()
        left.wait(30)
        return made

    async def leave() -> None:
        while not begun.is_set():
            await anyio.sleep(0.005)
        scope.cancel()

    async with anyio.create_task_group() as group:
        with anyio.CancelScope() as scope:
            group.start_soon(leave)
            await perform(call(work), AsyncTransport())
    left.set()
    assert patiently(lambda: inspect.getcoroutinestate(made) == inspect.CORO_CLOSED)


def test_a_stop_that_fails_is_nobodys_trouble(driver: Driver) -> None:
    stopped = threading.Event()

    def stop() -> None:
        stopped.set()
        raise RuntimeError("cannot")

    with pytest.raises(imagekit.DeadlineExceededError):
        driver.do(call(lambda: stopped.wait(30), stop), deadline=0.1)


@pytest.mark.parametrize("deadline", [None, 30.0])
def test_work_that_ends_by_itself_is_not_stopped(driver: Driver, deadline: float | None) -> None:
    stopped: list[int] = []
    work = call(lambda: "done", lambda: stopped.append(1))
    assert driver.do(work, deadline=deadline) == "done"
    assert not stopped


def test_what_stoppable_work_raises_by_itself_is_its_own(driver: Driver) -> None:
    with pytest.raises(ZeroDivisionError):
        driver.do(call(lambda: 1 // 0, lambda: None))


def test_emitted_events_reach_whoever_watches_in_order(driver: Driver) -> None:
    def flow() -> Effects[str]:
        for step in range(3):
            yield from emit(Progress(step=step))
        return "end"

    events: list[Any] = []
    assert driver.do(flow(), events=events) == "end"
    assert [event.step for event in events] == [0, 1, 2]


def test_a_checkpoint_gets_no_reply(driver: Driver) -> None:
    assert driver.do(checkpoint({"job": 7})) is None


def test_an_effect_that_is_none_is_the_plugins_error(driver: Driver) -> None:
    def flow() -> Any:
        yield "not an effect"

    with pytest.raises(PluginError, match="'not an effect'"):
        driver.do(flow())


def test_a_flow_may_live_on_after_what_it_asked_for_failed(driver: Driver) -> None:
    def flow() -> Any:
        for wrong in (None, 7):
            with pytest.raises(PluginError):
                yield wrong
        return "alive"

    assert driver.do(flow()) == "alive"


def test_the_flow_is_closed_whatever_ends_it(driver: Driver) -> None:
    ended = []

    def flow() -> Effects[None]:
        try:
            yield from call(lambda: 1 // 0)
        finally:
            ended.append(1)

    with pytest.raises(ZeroDivisionError):
        driver.do(flow())
    assert ended == [1]


# Gather


def after(seconds: float, result: Any) -> Effects[Any]:
    yield from sleep(seconds)
    return result


def test_gathered_outcomes_stand_in_order_and_not_as_they_came(driver: Driver) -> None:
    flows = [after(0.06, "a"), after(0.0, "b"), after(0.03, "c")]
    assert driver.do(gather(flows)) == ("a", "b", "c")


def test_gathering_nothing_gives_nothing(driver: Driver) -> None:
    assert driver.do(gather([])) == ()


def test_what_a_gathered_flow_raises_is_its_outcome_and_costs_the_others_nothing(
    driver: Driver,
) -> None:
    def bad() -> Effects[str]:
        yield from sleep(0)
        raise imagekit.NoImageError("none")

    first, second = driver.do(gather([bad(), after(0.01, "good")]))
    assert isinstance(first, imagekit.NoImageError)
    assert second == "good"


@pytest.mark.parametrize(("limit", "most"), [(1, 1), (2, 2), (None, 5), (9, 5)])
def test_gather_runs_no_more_at_once_than_its_limit(
    driver: Driver, limit: int | None, most: int
) -> None:
    now, peak, lock = 0, 0, threading.Lock()

    def one() -> Effects[None]:
        nonlocal now, peak
        with lock:
            now += 1
            peak = max(peak, now)
        yield from call(lambda: patiently(lambda: peak >= most))
        yield from sleep(0.03)
        with lock:
            now -= 1

    driver.do(gather([one() for _ in range(5)], limit=limit))
    assert peak == most


def test_gathered_flows_emit_through_the_one_that_gathers_them(driver: Driver) -> None:
    def one(step: int) -> Effects[None]:
        yield from emit(Progress(step=step))

    events: list[Any] = []
    driver.do(gather([one(step) for step in range(40)]), events=events)
    assert sorted(event.step for event in events) == list(range(40))


def test_gather_may_gather(driver: Driver) -> None:
    def outer(name: str) -> Effects[Any]:
        return (yield from gather([after(0, f"{name}{n}") for n in range(2)]))

    assert driver.do(gather([outer("a"), outer("b")])) == (("a0", "a1"), ("b0", "b1"))


def test_each_gathered_flow_has_a_stream_of_its_own(driver: Driver) -> None:
    def fake(request: httpx.Request) -> httpx.Response:
        said = "".join(f"data: {request.url.path}{n}\n\n" for n in range(3))
        return httpx.Response(200, text=said, headers={"content-type": STREAM})

    def one(name: str) -> Effects[Any]:
        yield from open_stream(get(f"https://toy.test/{name}"))
        yield from sleep(0.01)
        return [event.data for event in (yield from collected(receive))]

    found = driver.do(gather([one("a"), one("b")]), fake)
    assert found == (["/a0", "/a1", "/a2"], ["/b0", "/b1", "/b2"])


def test_an_improper_effect_in_a_gathered_flow_is_its_outcome(driver: Driver) -> None:
    def bad() -> Any:
        yield 7

    def flow() -> Any:
        return (yield Gather((bad(),)))

    (outcome,) = driver.do(flow())
    assert isinstance(outcome, PluginError)


def test_a_deadline_ends_each_gathered_flow_and_keeps_what_is_done(driver: Driver) -> None:
    first, second = driver.do(gather([after(0, "done"), after(60, "never")]), deadline=1.0)
    assert first == "done"
    assert isinstance(second, imagekit.DeadlineExceededError)


# Leaving


class Left:
    """A provider whose flow says when it is closed."""

    def __init__(self, body: Callable[[Left], Effects[Any]]) -> None:
        self.closed = threading.Event()
        self._body = body

    def flow(self, request: imagekit.ImageRequest) -> Effects[Any]:
        try:
            return (yield from self._body(self))
        finally:
            self.closed.set()

    def settings(self) -> dict[str, Any]:
        return {"provider": "toy", "plugins": plugins(toy=Scripted(self.flow, streaming=True))}


def opened(server: Server) -> Effects[Any]:
    yield from open_stream(get(server.url))
    while True:
        yield from receive()
        yield from emit(Progress())


def local(server: Server, body: Callable[[Left], Effects[Any]]) -> tuple[Left, dict[str, Any]]:
    """A provider at home on *server*, so that plain http is allowed."""
    left = Left(body)
    made = Scripted(left.flow, streaming=True)
    made.endpoint = Whole(server.url).endpoint  # type: ignore[misc]
    return left, {"provider": "toy", "plugins": plugins(toy=made)}


def test_leaving_a_stream_closes_its_flow(driver: Driver) -> None:
    def body(left: Left) -> Effects[Any]:
        while True:
            yield from emit(Progress())

    left = Left(body)
    assert len(driver.stream("a cat", until=2, **left.settings())) == 2
    assert left.closed.is_set()


def test_leaving_a_stream_closes_its_connection(driver: Driver, server: Server) -> None:
    server.does(streams(b"data: 1\n\n" * 3, then="stays"))
    left, settings = local(server, lambda left: opened(server))
    driver.stream("a cat", until=2, **settings)
    assert left.closed.is_set()
    assert patiently(server.left.is_set)


def test_leaving_a_stream_that_says_nothing_more_closes_its_connection(
    driver: Driver, server: Server
) -> None:
    server.does(streams(b"data: 1\n\n", then="stays"))
    left, settings = local(server, lambda left: opened(server))
    driver.stream("a cat", until=1, **settings)
    assert left.closed.is_set()
    assert patiently(server.left.is_set)


@pytest.mark.parametrize("act", [hangs, drips], ids=["hangs", "drips"])
def test_leaving_ends_what_was_gathered_and_blocks(
    driver: Driver, server: Server, act: Any
) -> None:
    ended = []

    def waits() -> Effects[Any]:
        try:
            yield from send(get(server.url))
        finally:
            ended.append(1)

    def says() -> Effects[Any]:
        yield from call(lambda: patiently(lambda: len(server.seen) == 2))
        yield from emit(Progress())
        yield from sleep(60)

    server.does(act)
    _, settings = local(server, lambda left: gather([waits(), waits(), says()]))
    start = time.monotonic()
    driver.stream("a cat", until=1, **settings)
    assert time.monotonic() - start < 30
    assert patiently(lambda: ended == [1, 1])


def test_leaving_ends_gathered_flows_that_have_more_to_say_than_anybody_reads(
    driver: Driver,
) -> None:
    begun, ended = [], []

    def talks() -> Effects[Any]:
        begun.append(1)
        try:
            while True:
                yield from emit(Progress())
        finally:
            ended.append(1)

    left = Left(lambda left: gather([talks(), talks()]))
    driver.stream("a cat", until=1, **left.settings())
    # The first may have said something before the second has come to its turn.
    assert begun
    assert patiently(lambda: ended == begun)


def test_leaving_ends_what_gathered_flows_gathered(driver: Driver) -> None:
    begun: list[int] = []
    ended = []

    def inner() -> Effects[Any]:
        begun.append(1)
        try:
            yield from sleep(60)
        finally:
            ended.append(1)

    def outer() -> Effects[Any]:
        return (yield from gather([inner(), inner()]))

    def says() -> Effects[Any]:
        yield from call(lambda: patiently(lambda: len(begun) == 2))
        yield from emit(Progress())
        yield from sleep(60)

    left = Left(lambda left: gather([outer(), says()]))
    start = time.monotonic()
    driver.stream("a cat", until=1, **left.settings())
    assert time.monotonic() - start < 30
    assert patiently(lambda: ended == [1, 1])


def test_leaving_does_not_begin_what_was_still_to_be_gathered(driver: Driver) -> None:
    begun = []

    def one(number: int) -> Effects[Any]:
        begun.append(number)
        yield from emit(Progress())
        yield from sleep(60)

    left = Left(lambda left: gather([one(number) for number in range(4)], limit=1))
    driver.stream("a cat", until=1, **left.settings())
    assert len(begun) == 1


def test_leaving_asks_gathered_work_to_stop(driver: Driver) -> None:
    begun, stopped = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        stopped.wait(60)

    def works() -> Effects[Any]:
        yield from call(work, stopped.set)

    def says() -> Effects[Any]:
        yield from call(lambda: begun.wait(30))
        yield from emit(Progress())
        yield from sleep(60)

    left = Left(lambda left: gather([works(), says()]))
    driver.stream("a cat", until=1, **left.settings())
    assert stopped.wait(30)


def test_a_flow_is_at_most_one_event_ahead_of_who_reads_it(driver: Driver) -> None:
    made: list[int] = []

    def body(left: Left) -> Effects[Any]:
        for step in range(100):
            made.append(step)
            yield from emit(Progress(step=step))

    left = Left(body)
    if driver.blocking:
        with imagekit.Client(**left.settings()) as client, client.stream("a cat") as stream:
            next(stream)
            time.sleep(0.02)
            assert len(made) <= 2
        return

    async def main() -> None:
        calls = imagekit.AsyncClient(**left.settings())
        async with calls as client, client.stream("a cat") as stream:
            await anext(stream)
            await anyio.sleep(0.02)
            assert len(made) <= 2

    anyio.run(main, backend=driver.colour)


def test_gathered_threads_wait_for_who_reads_them() -> None:
    made: list[int] = []

    def talks() -> Effects[Any]:
        for step in range(500):
            made.append(step)
            yield from emit(Progress(step=step))

    driven = drive(gather([talks()]), SyncTransport(), Scope())
    next(driven)
    time.sleep(0.3)
    assert len(made) < 50
    rest = list(driven)
    assert len(rest) == 499


def test_work_that_cannot_be_stopped_outlives_who_leaves_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("imagekit._drive.PATIENCE", 0.05)
    go = threading.Event()

    def says() -> Effects[Any]:
        yield from sleep(0.05)
        yield from emit(Progress())

    driven = drive(gather([call(lambda: go.wait(60)), says()]), SyncTransport(), Scope())
    next(driven)
    start = time.monotonic()
    driven.close()
    assert time.monotonic() - start < 30
    go.set()


def test_a_cancelled_scope_ends_what_gathers() -> None:
    scope = Scope()
    threading.Timer(0.05, scope.cancel).start()
    with pytest.raises(imagekit.TransportError, match="cancelled"):
        run(gather([sleep(60), sleep(60)]), SyncTransport(), scope)


def test_a_cancelled_scope_ends_what_gathers_even_while_it_is_told_much() -> None:
    scope = Scope()

    def talks() -> Effects[Any]:
        while True:
            yield from emit(Progress())

    driven = drive(gather([talks()]), SyncTransport(), scope)
    next(driven)
    time.sleep(0.1)  # the queue is full now
    scope.cancel()
    with pytest.raises(imagekit.TransportError, match="cancelled"):
        list(driven)


# What is said in the loop of whoever reads


def test_ctrl_c_in_the_loop_closes_everything(driver: Driver, server: Server) -> None:
    server.does(streams(b"data: 1\n\n" * 3, then="stays"))
    left, settings = local(server, lambda left: opened(server))

    def watch(client: imagekit.Client) -> None:
        with client.stream("a cat") as stream:
            for _ in stream:
                raise KeyboardInterrupt

    async def follow(client: imagekit.AsyncClient) -> None:
        async with client.stream("a cat") as stream:
            async for _ in stream:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        driver.call(watch if driver.blocking else follow, **settings)
    assert left.closed.is_set()
    assert patiently(server.left.is_set)


def test_the_bodys_own_exception_comes_out_as_it_is(driver: Driver) -> None:
    def body(left: Left) -> Effects[Any]:
        while True:
            yield from emit(Progress())

    def watch(client: imagekit.Client) -> None:
        with client.stream("a cat") as stream:
            for _ in stream:
                raise ZeroDivisionError

    async def follow(client: imagekit.AsyncClient) -> None:
        async with client.stream("a cat") as stream:
            async for _ in stream:
                raise ZeroDivisionError

    left = Left(body)
    with pytest.raises(ZeroDivisionError):
        driver.call(watch if driver.blocking else follow, **left.settings())
    assert left.closed.is_set()


def test_the_flows_exception_comes_out_as_it_is(driver: Driver) -> None:
    def body(left: Left) -> Effects[Any]:
        yield from emit(Progress())
        raise imagekit.NoImageError("none")

    with pytest.raises(imagekit.NoImageError) as found:
        driver.stream("a cat", **Left(body).settings())
    assert not isinstance(found.value, BaseExceptionGroup)


@pytest.mark.anyio
async def test_cancelling_around_a_stream_closes_it(server: Server) -> None:
    server.does(streams(b"data: 1\n\n", then="stays"))
    left, settings = local(server, lambda left: opened(server))
    async with imagekit.AsyncClient(**settings) as client:
        with anyio.CancelScope() as scope:
            async with client.stream("a cat") as stream:
                await anext(stream)
                scope.cancel()
                await anyio.sleep(60)
        assert scope.cancelled_caught
        assert left.closed.is_set()
    assert patiently(server.left.is_set)


@pytest.mark.anyio
async def test_cancelling_a_whole_call_closes_it(server: Server) -> None:
    server.does(hangs)
    calls = imagekit.AsyncClient(provider="toy", plugins=plugins(toy=Whole(server.url)))

    async def leave() -> None:
        while not server.seen:
            await anyio.sleep(0.005)
        scope.cancel()

    async with calls as client, anyio.create_task_group() as group:
        with anyio.CancelScope() as scope:
            group.start_soon(leave)
            await client.generate("a cat")
        assert scope.cancelled_caught
    assert patiently(server.left.is_set)


@pytest.mark.anyio
async def test_cancelling_the_task_around_a_stream_ends_the_task_alone(server: Server) -> None:
    server.does(streams(b"data: 1\n\n", then="stays"))
    left, settings = local(server, lambda left: opened(server))
    reading = anyio.Event()
    async with imagekit.AsyncClient(**settings) as client:

        async def reader() -> None:
            async with client.stream("a cat") as stream:
                async for _ in stream:
                    reading.set()

        async with anyio.create_task_group() as group:
            group.start_soon(reader)
            await reading.wait()
            group.cancel_scope.cancel()
    assert left.closed.is_set()


@pytest.mark.anyio
async def test_two_calls_run_side_by_side(server: Server) -> None:
    server.does(answers())
    async with (
        imagekit.AsyncClient(provider="toy", plugins=plugins(toy=Whole(server.url))) as client,
        anyio.create_task_group() as group,
    ):
        for _ in range(3):
            group.start_soon(client.generate, "a cat")
    assert server.connections == 3


@pytest.mark.anyio
async def test_performing_needs_nobody_to_watch() -> None:
    async with httpx.AsyncClient() as http:
        assert await perform(emit(Progress()), AsyncTransport(http)) is None


def test_a_streamed_call_ends_in_exactly_one_completed(driver: Driver, server: Server) -> None:
    server.does(streams(sse("partial", 1), sse("ready", 2), sse("end")))
    settings = {"provider": "toy", "plugins": plugins(toy=Streaming(server.url))}
    *before, last = driver.stream("a cat", **settings)
    assert isinstance(last, Completed)
    assert [type(event) for event in before] == [PartialImage, imagekit.ImageReady]
    assert isinstance(last.response, ImageResponse)


def test_a_plugin_is_built_once_for_its_client(driver: Driver) -> None:
    plugin = Plugged(Scripted(lambda request: after(0, _response())))
    found = imagekit.Plugins()
    found.register(plugin, "toy")

    def twice(client: imagekit.Client) -> None:
        client.generate("a")
        client.generate("b")

    async def again(client: imagekit.AsyncClient) -> None:
        await client.generate("a")
        await client.generate("b")

    driver.call(twice if driver.blocking else again, provider="toy", plugins=found)
    assert plugin.built == 1


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_flow_that_only_speaks_leaves_everybody_else_their_turn(backend: str) -> None:
    def talk() -> Effects[int]:
        for _ in range(20 * BREATH):
            yield from emit(Progress())
        return turns

    turns = 0

    async def wait() -> None:
        nonlocal turns
        while True:
            await anyio.lowlevel.checkpoint()
            turns += 1

    async def main() -> int:
        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            found = await perform(talk(), AsyncTransport())
            group.cancel_scope.cancel()
        return found

    assert anyio.run(main, backend=backend) >= 10


def _response() -> ImageResponse:
    return ImageResponse(slots=(imagekit.Image(data=picture()),))
