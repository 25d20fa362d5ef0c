"""Each row of tests/faults.py, on both drivers; and a row that is wrong is found out."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import faults
import imagekit
from faults import Arrived, Broken, Came, Row
from imagekit import RetryPolicy, _retried, _speakers
from imagekit._verdict import Verdict
from spoken import httpx

# Other tests may need the processor too.
PATIENCE = 5.0


def row(fault: str, ask: str) -> Row:
    """The row that says so, without a deadline."""
    [found] = [
        one
        for one in faults.ROWS
        if (one.fault, one.ask) == (fault, ask) and not one.how.get("deadline")
    ]
    return found


@pytest.fixture(scope="module", autouse=True)
def _loaded() -> None:
    """What all of them need, so that no deadline pays for it."""
    for colour in faults.COLOURS:
        faults.came(faults.row("nothing", "generate", 1, 1, "1 picture", "-", faults.DONE), colour)


# httpx drops generators of its own where an answer does not decode, and trio warns of that.
@pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")
# Each row on one colour, in turn; the table of faults is of all of them.
@pytest.mark.parametrize(
    ("one", "colour"),
    [
        pytest.param(one, colour, id=f"{one.fault}, {one.ask}, {colour}")
        for one, colour in zip(faults.ROWS, itertools.cycle(faults.COLOURS), strict=False)
    ],
)
def test_each_fault_ends_as_the_rules_say(one: Row, colour: str) -> None:
    _, said = faults.judged(one, colour, PATIENCE)
    assert said == []


def test_only_who_says_so_may_pay_twice() -> None:
    policies = [one.how.get("retry", faults.QUICK) for one in faults.ROWS]
    assert [one.twice for one in faults.ROWS] == [policy.may_charge_twice for policy in policies]
    assert not RetryPolicy().may_charge_twice
    with pytest.raises(TypeError):
        RetryPolicy(2, 0.5, 8.0, 120.0, lambda: 0.0, True)  # type: ignore[misc]  # that is the point


# The server's word against the client's


def test_a_client_that_sends_again_what_may_be_accepted_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_retried._verdict, "of_response", lambda response: Verdict.REFUSED)
    found = faults.came(row("answers 500", "generate"), "sync")
    assert found.sins == (
        "what may have been accepted was sent again",
        "something was sent after what may have been accepted",
        '"no" was said of what may have been accepted',
    )


class _Said(Broken):
    """A server to which this came."""

    def __init__(self, *arrived: Arrived) -> None:
        super().__init__()
        self.arrived = list(arrived)


def arrived(status: int | None, method: str = "POST", *, keyed: bool = True) -> Arrived:
    return Arrived(method, "/v1/images/generations", keyed, whole=True, status=status)


FREE = imagekit.InvalidRequestError("no", billed="no")


@pytest.mark.parametrize(
    ("seen", "found", "sins"),
    [
        ([arrived(429), arrived(503), arrived(400)], FREE, 0),
        ([arrived(429), arrived(200)], None, 0),
        ([arrived(None), arrived(400)], None, 1),
        ([arrived(500), arrived(500)], None, 2),
        ([arrived(None)], FREE, 1),
        ([arrived(500, "GET"), arrived(None, "GET")], FREE, 0),
        ([arrived(200, keyed=False)], None, 1),
    ],
)
def test_what_the_server_holds_against_a_client(seen: list[Arrived], found: Any, sins: int) -> None:
    assert len(faults.sins_of(row("answers 500", "generate"), _Said(*seen), found)) == sins
    twice = replace(row("answers 500", "generate"), how={"retry": faults.TWICE})
    if found is None and seen[0].keyed:
        assert faults.sins_of(twice, _Said(*seen), found) == []


def test_a_key_that_goes_elsewhere_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def follow(self: httpx.Client, request: httpx.Request, **how: Any) -> httpx.Response:
        return httpx.Client.send(self, request, **{**how, "follow_redirects": True})

    monkeypatch.setattr(_speakers._Home, "send", follow)
    found = faults.came(row("a redirect to another host: 307", "generate"), "sync")
    assert "the key went to another host" in found.sins


def test_each_column_that_is_not_as_it_must_be_is_said() -> None:
    one = replace(row("answers 500", "generate"), how={"deadline": 1.0})
    right = Came(1, 1, "ProviderUnavailableError 500", "possibly", 1.5, ())
    assert faults.wrong(one, right) == []
    assert faults.wrong(one, replace(right, sent=2, reached=2, got="1 picture", billed="no")) == [
        "sent: 2, not 1",
        "arrived: 2, not 1",
        "got: 1 picture, not ProviderUnavailableError 500",
        "billed: no, not possibly",
    ]
    assert faults.wrong(one, replace(right, seconds=2.5)) == [
        "back after 2.5 s, with a deadline of 1.0 s"
    ]
    assert faults.wrong(one, replace(right, sins=("a sin",))) == ["a sin"]


# The table


def test_the_table_is_printed_and_all_right(capsys: pytest.CaptureFixture[str]) -> None:
    assert faults.main("500: a stream") == 0
    head, line, last = capsys.readouterr().out.splitlines()
    assert " ".join(head.split()) == "fault asked repeated arrived the caller gets billed"
    said = "500: a stream stream 0 1 ProviderUnavailableError 500 possibly right"
    assert " ".join(line.split()) == said
    assert last == "1 faults, on the blocking client and on asyncio and trio: 0 wrong"


def test_a_row_that_is_wrong_ends_in_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = replace(row("answers 500", "generate"), sent=3, billed="no")
    monkeypatch.setattr(faults, "ROWS", [bad])
    assert faults.main() == 1
    said = capsys.readouterr().out
    line = "    WRONG answers 500, generate: sync: sent: 1, not 3; billed: possibly, not no\n"
    assert "WRONG\n" + line in said
    assert said.endswith("3 wrong\n")


def test_what_time_decides_is_judged_again_with_more_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    one = replace(row("never an answer", "generate"), got=faults.OVER, how={"deadline": 1e-6})
    assert faults.judged(one, "sync")[1] != []
    monkeypatch.setattr(faults, "MORE", 1_000_000)
    assert faults.judged(one, "sync")[1] == []


def test_columns_in_which_the_drivers_differ_show_each() -> None:
    assert faults._each(["1", "1", "1"]) == "1"
    assert faults._each(["1", "2", "1"]) == "1/2/1"


def test_it_is_a_script_and_no_row_at_all_is_an_error() -> None:
    command = [sys.executable, str(Path(faults.__file__)), "no such fault"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ})
    assert done.returncode == 1
    assert done.stdout.startswith("fault")
