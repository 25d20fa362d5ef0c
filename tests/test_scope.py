from __future__ import annotations

import socket
import threading
import time

import pytest

from imagekit import DeadlineExceededError, TransportError
from imagekit._scope import Reach, Scope, quietly, shut_down


def test_without_a_deadline_nothing_is_short() -> None:
    scope = Scope()
    assert scope.left() is None
    assert scope.shorter(None) is None
    assert scope.shorter(5.0) == 5.0
    scope.check()


def test_a_timeout_is_cut_to_the_time_left() -> None:
    scope = Scope(10)
    assert scope.shorter(5.0) == 5.0
    left = scope.shorter(60.0)
    assert left is not None
    assert 9 < left <= 10
    assert scope.shorter(None) == pytest.approx(10, abs=1)


def test_a_deadline_that_passed_leaves_nothing() -> None:
    scope = Scope(0)
    assert scope.left() == 0.0
    with pytest.raises(DeadlineExceededError) as found:
        scope.check()
    assert found.value.billed == "no"


def test_a_scope_inside_another_has_its_deadline() -> None:
    assert Scope(parent=Scope(0)).left() == 0.0
    assert Scope(parent=Scope()).left() is None


def test_a_cancelled_scope_says_so() -> None:
    scope = Scope()
    scope.cancel()
    with pytest.raises(TransportError, match="cancelled"):
        scope.check()


def test_cancelling_ends_what_blocks() -> None:
    scope, ended = Scope(), threading.Event()
    with scope.ending(ended.set):
        scope.cancel()
    assert ended.is_set()


def test_cancelling_leaves_what_no_longer_blocks() -> None:
    scope, ended = Scope(), threading.Event()
    with scope.ending(ended.set):
        pass
    scope.cancel()
    assert not ended.is_set()


def test_one_that_cannot_be_ended_does_not_keep_the_others() -> None:
    scope, ended = Scope(), threading.Event()
    with scope.ending(lambda: 1 // 0), scope.ending(ended.set):
        scope.cancel()
    assert ended.is_set()


def test_a_cancelled_sleep_ends_early() -> None:
    scope = Scope()
    threading.Timer(0.05, scope.cancel).start()
    start = time.monotonic()
    with pytest.raises(TransportError, match="cancelled"):
        scope.sleep(30)
    assert time.monotonic() - start < 10


def test_a_sleep_beyond_the_deadline_ends_with_it() -> None:
    with pytest.raises(DeadlineExceededError):
        Scope(0.02).sleep(30)


def test_a_sleep_within_the_deadline_ends_by_itself() -> None:
    Scope(30).sleep(0.01)


def test_shutting_down_wakes_who_reads() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        threading.Timer(0.05, shut_down, (ours,)).start()
        ours.settimeout(30)
        assert ours.recv(1) == b""


def test_a_connection_that_is_gone_is_shut_down_already() -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    ours.close()
    shut_down(ours)


def test_what_is_done_quietly_raises_nothing() -> None:
    quietly(lambda: 1 // 0)()


def test_a_wait_that_would_outlast_the_deadline_is_not_begun() -> None:
    start = time.monotonic()
    with pytest.raises(DeadlineExceededError, match="within a wait of 60 seconds") as found:
        Scope(30).sleep(60)
    assert time.monotonic() - start < 10
    assert found.value.billed == "no"


def test_there_is_no_wait_after_the_deadline() -> None:
    with pytest.raises(DeadlineExceededError, match="passed"):
        Scope(0).sleep(0)


def test_a_wait_that_the_deadline_leaves_time_for_is_waited() -> None:
    start = time.monotonic()
    Scope(30).sleep(0.05)
    assert time.monotonic() - start >= 0.04


@pytest.mark.parametrize(
    ("events", "connecting"),
    [
        ([], False),
        (["connection.connect_tcp.started"], True),
        (["connection.connect_tcp.started", "connection.connect_tcp.complete"], True),
        (["connection.connect_tcp.started", "http11.send_request_headers.started"], False),
        # A proxy's tunnel, and the request that goes through it.
        (["http11.send_request_headers.started", "connection.start_tls.started"], True),
        (["connection.start_tls.started", "http2.send_request_headers.started"], False),
    ],
)
@pytest.mark.anyio
async def test_how_far_a_request_has_come_is_heard(events: list[str], connecting: bool) -> None:
    far = Reach()
    for event in events:
        await far.heard(event, {})
    assert far.connecting is connecting
