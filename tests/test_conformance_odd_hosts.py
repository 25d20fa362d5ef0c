"""What the rules about answers do where a host or a provider lacks what they look at."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from conforming import (
    GoodHost,
    Plugin,
    Queue,
    QueueSuite,
    Streaming,
    StreamingSuite,
    WholeSuite,
)
from imagekit.provider import Config, Endpoint, HttpResponse
from imagekit.testing import Asked, ProviderSuite, Reply, Scene, Streamed, Trouble, conforms
from imagekit.testing._bench import KEY


class Absent(GoodHost):
    absent: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("invalid", "rate_limit", "resume"), "this wire has no such thing"
    )


class Keyless(Streaming):
    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.endpoint = Endpoint(self.endpoint.base_url)


class Uncancelled(Queue):
    @property
    def cancel(self) -> Any:  # type: ignore[override]
        raise AttributeError("cancel")


class WordsOnly(GoodHost):
    def troubled(self, asked: Asked, trouble: Trouble) -> Reply:
        return HttpResponse(400, {"content-type": "text/plain"}, b"this is not to be had")


class NeverStreams(GoodHost):
    def streamed(self, id: str, wanted: Mapping[str, Any], scene: Scene) -> Reply:
        whole = {name: value for name, value in wanted.items() if name != "stream"}
        return self.answer(Asked("POST", "/pictures", body=json.dumps(whole).encode()), scene)


class InOnePiece(GoodHost):
    def streamed(self, id: str, wanted: Mapping[str, Any], scene: Scene) -> Reply:
        found = super().streamed(id, wanted, scene)
        assert isinstance(found, Streamed)
        end = found.pieces[-1]
        return Streamed((b"".join(found.pieces[:-1]), end), found.headers)


class WithoutPreviews(GoodHost):
    def streamed(self, id: str, wanted: Mapping[str, Any], scene: Scene) -> Reply:
        scene.previews = 0
        return super().streamed(id, wanted, scene)


def ended(of: type[ProviderSuite], rule: str, provider: Any = None, host: Any = None) -> str:
    said: dict[str, Any] = {"host": host} if host else {}
    if provider:
        said["plugin"] = Plugin(provider)
    [outcome] = conforms(type("Odd", (of,), said), {f"test_{rule}"})
    return f"{outcome.verdict}: {outcome.why}".rstrip(": ")


@pytest.mark.parametrize(
    ("of", "rule", "provider", "host", "verdict"),
    [
        (WholeSuite, "request_ids_are_the_hosts_own", None, Absent, "passed"),
        (WholeSuite, "a_host_that_asks_to_wait_is_heard", None, Absent, "no such thing"),
        (WholeSuite, "an_error_says_what_the_host_said", None, WordsOnly, "passed"),
        (QueueSuite, "a_job_is_finished_in_another_process", None, Absent, "no such thing"),
        (QueueSuite, "cancelling_a_job_reaches_the_host", Uncancelled, None, "passed"),
        (StreamingSuite, "a_host_that_quotes_the_key_gives_nothing_away", Keyless, None, "no key"),
        (StreamingSuite, "a_key_may_be_a_callable", Keyless, None, "no key"),
        (StreamingSuite, "events_of_odd_values_are_no_crash", None, NeverStreams, "passed"),
        (
            StreamingSuite,
            "a_stream_cut_before_its_picture_is_an_error",
            None,
            NeverStreams,
            "not come in pieces",
        ),
        (StreamingSuite, "previews_are_told_as_they_come", None, InOnePiece, "one piece"),
        (StreamingSuite, "a_preview_is_never_the_result", None, WithoutPreviews, "no previews"),
    ],
    ids=lambda value: value if isinstance(value, str) else getattr(value, "__name__", "usual"),
)
def test_what_is_not_there_is_not_looked_at(
    of: type[ProviderSuite], rule: str, provider: Any, host: Any, verdict: str
) -> None:
    assert verdict in ended(of, rule, provider, host)


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ("headers:\n  authorization:\n  - REDACTED\n", "passed"),
        ("headers: {}\n", "passed"),
        ("headers:\n  Authorization: Bearer sk-12345678\n", "holds a credential"),
        (f"body: {KEY}\n", "the key stands in the cassette"),
        (None, "no recorded traffic"),
    ],
    ids=["blanked", "none", "another key", "the key", "empty"],
)
def test_recorded_traffic_is_looked_through(tmp_path: Path, said: str | None, verdict: str) -> None:
    if said is not None:
        (tmp_path / "one.yaml").write_text(said)
    suite = type("Recorded", (WholeSuite,), {"cassettes": tmp_path})
    [outcome] = conforms(suite, {"test_no_key_is_in_a_cassette"})
    assert verdict in f"{outcome.verdict}: {outcome.why}"
