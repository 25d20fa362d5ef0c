from __future__ import annotations

from typing import Any

import pytest

from imagekit import Noticed, PluginError, Progress
from imagekit._flow import proper
from imagekit._response import Notice
from imagekit.provider import (
    Call,
    Checkpoint,
    Effect,
    Effects,
    Emit,
    Gather,
    HttpRequest,
    Open,
    Receive,
    Send,
    Sleep,
    call,
    checkpoint,
    emit,
    gather,
    notice,
    open_stream,
    receive,
    receive_line,
    receive_piece,
    send,
    sleep,
    transform,
)
from imagekit.testing import play

REQUEST = HttpRequest("GET", "/")
SAID = Notice(kind="other", feature="n")


def kept(effect: Effect) -> Effects[Any]:
    return (yield effect)


@pytest.mark.parametrize(
    ("helper", "effect"),
    [
        (send(REQUEST), Send(REQUEST)),
        (open_stream(REQUEST), Open(REQUEST, "events")),
        (open_stream(REQUEST, "lines"), Open(REQUEST, "lines")),
        (receive(), Receive()),
        (receive_line(), Receive()),
        (receive_piece(), Receive()),
        (sleep(2), Sleep(2)),
        (call(int, str), Call(int, str)),
        (gather([], limit=3), Gather((), 3)),
        (emit(Progress(step=1)), Emit(Progress(step=1))),
        (notice(SAID), Emit(Noticed(notice=SAID))),
        (checkpoint({"job": 1}), Checkpoint({"job": 1})),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_helper_yields_its_one_effect(helper: Effects[Any], effect: Effect) -> None:
    assert next(helper) == effect
    helper.close()


@pytest.mark.parametrize(
    "helper",
    [send(REQUEST), open_stream(REQUEST), receive(), call(int), gather([])],
    ids=lambda helper: helper.__name__,
)
def test_a_helper_returns_the_reply(helper: Effects[Any]) -> None:
    next(helper)
    with pytest.raises(StopIteration) as stop:
        helper.send("reply")
    assert stop.value.value == "reply"


@pytest.mark.parametrize("wrong", [None, 7, "send", REQUEST, Send, Gather((), "2")])  # type: ignore[arg-type]
def test_only_an_effect_is_proper(wrong: Any) -> None:
    with pytest.raises(PluginError, match="effects only"):
        proper(wrong)


def test_whatever_cannot_be_shown_is_an_error_all_the_same() -> None:
    class Shy:
        def __repr__(self) -> str:
            raise RuntimeError

    with pytest.raises(PluginError, match="proper ones, not a Shy"):
        proper(Shy())  # type: ignore[arg-type]


def test_an_effect_is_proper_as_it_is() -> None:
    assert proper(Receive()) == Receive()


def test_a_transformed_flow_gets_the_replies_and_returns_its_result() -> None:
    assert play(transform(call(lambda: 42), kept)).response == 42


def test_a_handler_may_put_another_effect_in_the_place_of_one() -> None:
    def doubled(effect: Effect) -> Effects[Any]:
        assert isinstance(effect, Sleep)
        return (yield Sleep(effect.seconds * 2))

    assert play(transform(sleep(2), doubled)).slept == 4


def test_a_handler_may_answer_by_itself() -> None:
    def mute(effect: Effect) -> Effects[Any]:
        return "from me"
        yield

    assert list(transform(receive(), mute)) == []


def test_what_a_handler_raises_reaches_the_flow() -> None:
    def refuses(effect: Effect) -> Effects[Any]:
        raise ValueError("no")
        yield

    def flow() -> Effects[str]:
        with pytest.raises(ValueError, match="no"):
            yield from sleep(1)
        return "caught"

    assert play(transform(flow(), refuses)).response == "caught"


def test_gathered_flows_are_transformed_alike() -> None:
    seen: list[Effect] = []

    def watched(effect: Effect) -> Effects[Any]:
        seen.append(effect)
        return (yield effect)

    def inner() -> Effects[Any]:
        return (yield from gather([sleep(1)]))

    play(transform(gather([inner(), sleep(2)]), watched))
    assert [type(effect) for effect in seen] == [Gather, Gather, Sleep, Sleep]


def test_a_handler_sees_only_effects_of_the_types_that_it_is_for() -> None:
    seen: list[Effect] = []

    def watched(effect: Sleep) -> Effects[Any]:
        seen.append(effect)
        return (yield effect)

    def flow() -> Effects[tuple[Any, ...]]:
        yield from sleep(1)
        return (yield from gather([call(lambda: 42), sleep(2)]))

    assert play(transform(flow(), watched, of=Sleep)).response == (42, None)
    assert seen == [Sleep(1), Sleep(2)]


def test_what_fails_past_a_handler_reaches_the_flow() -> None:
    def flow() -> Effects[str]:
        with pytest.raises(ZeroDivisionError):
            yield from call(lambda: 1 // 0)
        return "caught"

    assert play(transform(flow(), kept, of=Sleep)).response == "caught"


def test_closing_a_transformed_flow_closes_the_flow() -> None:
    ended = []

    def flow() -> Effects[None]:
        try:
            yield from sleep(1)
        finally:
            ended.append(1)

    outer = transform(flow(), kept)
    next(outer)
    outer.close()
    assert ended == [1]


def test_of_a_strange_flow_a_handler_sees_proper_effects_only() -> None:
    seen: list[Effect] = []

    def watched(effect: Effect) -> Effects[Any]:
        seen.append(effect)
        return (yield effect)

    def flow() -> Effects[None]:
        yield from sleep(1)
        yield Send("no request")  # type: ignore[arg-type]

    with pytest.raises(PluginError, match="effects only"):
        play(transform(flow(), watched, strange=True))
    assert seen == [Sleep(1)]


def test_what_a_strange_flow_gathers_is_strange_too() -> None:
    def inner() -> Effects[None]:
        yield Send("no request")  # type: ignore[arg-type]

    outer = transform(gather([inner()]), kept, of=Sleep, strange=True)
    child = next(outer).flows[0]  # type: ignore[union-attr]
    with pytest.raises(PluginError, match="effects only"):
        next(child)
    outer.close()


def test_what_has_been_checked_passes_unchecked() -> None:
    wrong: Any = "no effect"

    def flow() -> Effects[None]:
        yield wrong

    assert list(transform(flow(), kept, of=Sleep)) == [wrong]


def test_a_handler_may_be_for_several_types() -> None:
    def mute(effect: Effect) -> Effects[Any]:
        return "muted"
        yield

    def flow() -> Effects[tuple[Any, ...]]:
        return (yield Sleep(1)), (yield Receive()), (yield Call(lambda: 42))

    assert play(transform(flow(), mute, of=(Sleep, Receive))).response == ("muted", "muted", 42)
