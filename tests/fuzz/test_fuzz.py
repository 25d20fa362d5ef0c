"""The targets of the fuzzing, a little of each in every run of the tests."""

from __future__ import annotations

import contextlib
import json
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import imagekit
from fuzz import seeds, targets
from fuzz.dice import Dice, as_json
from imagekit import PluginError

THROWS = st.binary(max_size=12) | st.binary(min_size=8, max_size=400)


@pytest.fixture(autouse=True, scope="module")
def _quiet() -> Iterator[None]:
    # Whose parser says what of broken bytes is of no interest.
    loggers = [logging.getLogger(name) for name in ("python_multipart", "PIL")]
    levels = [one.level for one in loggers]
    for one in loggers:
        one.setLevel(logging.CRITICAL)
    yield
    for one, level in zip(loggers, levels, strict=True):
        one.setLevel(level)


@pytest.mark.parametrize("name", targets.TARGETS)
def test_nothing_but_our_own_errors_comes_out(name: str) -> None:
    slow = name in ("answers", "bodies", "streams", "stream_values", "server")

    @given(THROWS)
    @settings(max_examples=60 if slow else 120, suppress_health_check=list(HealthCheck))
    def tried(data: bytes) -> None:
        with warnings.catch_warnings():
            # Pillow's, of what is broken in a picture.
            warnings.simplefilter("ignore")
            targets.TARGETS[name](data)

    tried()


# That the targets reach what they are for


@pytest.mark.parametrize("provider", seeds.SPEAKS)
def test_the_seeds_are_answers_that_bring_a_picture(provider: str) -> None:
    client, host = targets._client(provider)
    seen = []
    for seed in seeds.answers(provider):
        host.status, host.kind, host.body, host.asked = 200, "application/json", as_json(seed), 0
        with contextlib.suppress(imagekit.ImagekitError):
            response = client.generate("an otter", model=seeds.MODELS.get(provider))
            seen.append(response.image.read())
    assert seeds.PNG in seen or provider == "stability"


@pytest.mark.parametrize("provider", seeds.STREAMING)
def test_the_seeds_are_streams_that_bring_a_picture(provider: str) -> None:
    client, host = targets._client(provider)
    host.status, host.kind, host.asked = 200, "text/event-stream", 0
    host.body = seeds.streams(provider)[0].replace(b'"error", "code"', b'"none", "code"')
    with client.stream("an otter", model=seeds.MODELS.get(provider)) as stream:
        assert stream.finish().image.data == seeds.PNG


def test_the_same_bytes_change_a_seed_in_the_same_way() -> None:
    changed = [Dice(bytes(range(60))).changed(dict(seeds.REQUEST)) for _ in range(2)]
    assert changed[0] == changed[1] != seeds.REQUEST
    assert Dice(b"").changed({"a": 1}) is None


def test_a_finding_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(data: bytes) -> None:
        if data[0] & 1:
            raise KeyError("a bug")

    monkeypatch.setattr(targets, "TARGETS", {"breaks": breaks})
    monkeypatch.setattr(targets, "_TRIALS", {"breaks": 20})
    came = targets._tried("breaks")
    assert came.count == 20 > len(came.wrong) > 0
    assert came.wrong == targets._tried("breaks").wrong
    assert came.wrong[0].endswith("KeyError: 'a bug'")


def test_what_takes_long_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "TARGETS", {"slow": lambda data: None})
    monkeypatch.setattr(targets, "_TRIALS", {"slow": 3})
    monkeypatch.setattr(targets, "_HANGS", -1.0)
    came = targets._tried("slow")
    assert len(came.wrong) == came.count == 3


@pytest.mark.parametrize("error", [KeyError("a bug"), PluginError("a bug"), TypeError("x")])
def test_only_what_is_ours_is_passed_over(error: Exception) -> None:
    with pytest.raises((KeyError, AssertionError, TypeError)), targets.ours():
        raise error
    with targets.ours(TypeError):
        raise TypeError
    with targets.ours():
        raise imagekit.RequestError("x")


# What the fuzzing found


@pytest.mark.parametrize(
    "said",
    [
        {"prompt": "\ud83d"},
        {"prompt": "a", "user": "\udcff"},
        {"prompt": "a", "options": {"toy": {"a": ["\ud83d"]}}},
        {"prompt": "a", "options": {"toy": {"\ud83d": 1}}},
        {"prompt": "a", "options": {"toy": {"a": float("inf")}}},
        {"prompt": "a", "state": {"provider": "toy", "payload": {"a": float("nan")}}},
        {"prompt": "a", "images": [{"url": "https://a.test/\ud83d"}]},
    ],
    ids=str,
)
def test_a_request_that_no_json_can_hold_is_refused(said: Any) -> None:
    with pytest.raises(ValueError, match=r"half of a character|no number that JSON knows"):
        imagekit.ImageRequest.model_validate(said)


def test_the_name_of_a_file_may_be_no_text() -> None:
    found = imagekit.ImageInput(data=seeds.PNG, name="a\udcff.png")
    assert found.name == "a?.png"
    assert json.loads(found.model_dump_json())["name"] == "a?.png"


def test_what_is_neither_request_nor_plan_is_not_run() -> None:
    given: Any = b"{}"
    with pytest.raises(imagekit.RequestError, match="takes a request or a plan, not bytes"):
        targets._toys().run(given)
