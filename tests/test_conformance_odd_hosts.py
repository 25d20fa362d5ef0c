"""What the rules about answers do where a host or a provider lacks what they look at."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
from pydantic import BaseModel

import imagekit
from broken_answers import Untyped
from conforming import (
    Good,
    GoodHost,
    Plugin,
    Queue,
    QueueSuite,
    Streaming,
    StreamingSuite,
    WholeSuite,
)
from imagekit import Allowed, ImageRequest, Notice
from imagekit.provider import (
    Capabilities,
    Config,
    Endpoint,
    Flow,
    HttpResponse,
    SizeRule,
    gather,
    notice,
    options,
    send,
)
from imagekit.testing import Asked, Host, ProviderSuite, Reply, Scene, Streamed, Trouble, conforms
from imagekit.testing._bench import KEY, WAYS
from imagekit.testing._host import STATUSES


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


class Unopened(Streaming):
    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        return (yield from super().flow(request, stream=False))


class WithoutPreviews(GoodHost):
    def streamed(self, id: str, wanted: Mapping[str, Any], scene: Scene) -> Reply:
        scene.previews = 0
        return super().streamed(id, wanted, scene)


class Waiting(GoodHost):
    wait = "2"

    def troubled(self, asked: Asked, trouble: Trouble) -> Reply:
        found = super().troubled(asked, trouble)
        return replace(found, headers={**found.headers, "retry-after": self.wait})


class WaitingLong(Waiting):
    wait = "86400"


class Falling(GoodHost):
    def answer(self, asked: Asked, scene: Scene) -> Reply:
        return self.helped(asked.headers["x-lumo-key"])

    def helped(self, key: str) -> Reply:
        raise AssertionError(f"{key} is never read")


class FallingDeep(GoodHost):
    def answer(self, asked: Asked, scene: Scene) -> Reply:
        json.loads("{")
        raise AssertionError("never read")


class FallingInTrouble(GoodHost):
    def troubled(self, asked: Asked, trouble: Trouble) -> Reply:
        raise LookupError(trouble)


class Mute(GoodHost):
    def answer(self, asked: Asked, scene: Scene) -> Reply:
        return None  # type: ignore[return-value]


def able(**said: Any) -> Capabilities:
    return Good.able.model_copy(update=said)


class WordsAlone(Good):
    able = able(operations=frozenset({"generate"}), inputs=frozenset(), mask=None, max_inputs=None)


class MaskedQueue(Queue):
    able = Queue.able.model_copy(update={"mask": "white"})


class Square(Good):
    able = able(size=SizeRule(sizes=("64x64",)))


class AnySize(Good):
    able = able(size=SizeRule())


class Numbered(Good):
    able = able(parameters={**Good.able.parameters, "output_compression": Allowed(values=("40",))})


class Loose(Good):
    able = able(options={"style": Allowed()})


class Named(Good):
    """What it takes of `style` nobody can guess."""

    able = able(options={"style": "yes"})

    class Options(BaseModel):
        style: Literal["engraving", "woodcut"] | None = None

    def wanted(self, request: ImageRequest, *, stream: bool) -> dict[str, Any]:
        options(request, self.Options)
        return super().wanted(request, stream=stream)


class Gathers(Good):
    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        yield from notice(Notice(kind="other", feature="user", detail="nobody is told apart"))
        [answer] = yield from gather([send(self.asking(request, stream=False))])
        return self.read(answer)


class Keeps(Good):
    """Does to the environment all that can be done."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        os.environ["IMAGEKIT_KEPT"] = "1"
        del os.environ["IMAGEKIT_KEPT"]
        assert len(os.environ) == len(os.environ.copy())


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
        (StreamingSuite, "events_that_nobody_knows_are_passed_over", None, Untyped, "not one of"),
        (StreamingSuite, "a_stream_is_answered_by_a_stream", Unopened, None, "opens no stream"),
        (StreamingSuite, "previews_are_told_as_they_come", None, InOnePiece, "one piece"),
        (StreamingSuite, "a_preview_is_never_the_result", None, WithoutPreviews, "no previews"),
        (WholeSuite, "bytes_of_input_pictures_are_unchanged", WordsAlone, None, "as bytes"),
        (QueueSuite, "a_mask_marks_the_same_pixels_on_the_wire", MaskedQueue, None, "passed"),
        (WholeSuite, "width_and_height_are_not_swapped", Square, None, "wider than high"),
        (
            WholeSuite,
            "a_size_it_does_not_make_becomes_the_nearest_with_a_notice",
            AnySize,
            None,
            "any size at all",
        ),
        (
            WholeSuite,
            "a_value_that_is_not_declared_never_reaches_the_wire",
            Numbered,
            None,
            "passed",
        ),
        (WholeSuite, "two_values_of_an_option_are_told_apart", Loose, None, "passed"),
        (WholeSuite, "a_flow_performs_nothing_by_itself", Gathers, None, "passed"),
    ],
    ids=lambda value: value if isinstance(value, str) else getattr(value, "__name__", "usual"),
)
def test_what_is_not_there_is_not_looked_at(
    of: type[ProviderSuite], rule: str, provider: Any, host: Any, verdict: str
) -> None:
    assert verdict in ended(of, rule, provider, host)


def test_an_option_that_nobody_can_guess_wants_a_sample() -> None:
    rule = "a_declared_option_reaches_the_wire"
    assert "write samples = {'style': a value}" in ended(WholeSuite, rule, Named)


def test_all_that_is_asked_of_the_environment_is_noted() -> None:
    rule = "the_environment_is_read_through_config_only"
    assert "os.environ was read for all of it" in ended(WholeSuite, rule, Keeps)


@pytest.mark.parametrize("host", [Waiting, WaitingLong])
@pytest.mark.parametrize(
    "rule", ["a_rate_limit_is_asked_again", "an_overloaded_host_is_asked_again"]
)
def test_a_wait_that_the_host_asks_for_is_waited_out_in_no_time(rule: str, host: Any) -> None:
    assert ended(StreamingSuite, rule, host=host) == "passed"


@pytest.mark.parametrize(
    ("host", "rule", "told"),
    [
        (Falling, "the_model_is_told", "your host's answer() raised KeyError: 'x-lumo-key' ("),
        (FallingDeep, "the_model_is_told", "your host's answer() raised JSONDecodeError: Expec"),
        (
            FallingInTrouble,
            "a_used_up_quota_is_a_quota_error",
            "your host's troubled() raised LookupError: quota (",
        ),
        (
            FallingInTrouble,
            "a_rate_limit_is_asked_again",
            "your host's troubled() raised LookupError: rate_limit (",
        ),
        (
            Mute,
            "the_model_is_told",
            "your host's answer() gave None, and no HttpResponse or Streamed",
        ),
    ],
)
def test_a_fault_of_the_host_is_told_as_what_it_is(host: Any, rule: str, told: str) -> None:
    found = ended(WholeSuite, rule, host=host)
    assert told in found
    assert "raised" not in told or f"({Path(__file__).name}:" in found


@pytest.mark.parametrize("way", WAYS)
def test_a_fault_of_the_host_is_told_whatever_the_call_came_to(way: Any) -> None:
    bench = type("Odd", (StreamingSuite,), {"host": Falling})().bench()
    with pytest.raises(AssertionError, match=r"your host's answer\(\) raised KeyError") as raised:
        bench.ask(way=way)
    assert isinstance(raised.value.__cause__, KeyError)


def test_a_host_without_an_answer_is_told_to_write_one() -> None:
    bench = type("Odd", (WholeSuite,), {"host": Host})().bench()
    with pytest.raises(
        AssertionError, match=r"answer\(\) raised NotImplementedError: write answer"
    ):
        bench.ask()


def test_what_a_bent_answer_leads_to_is_no_fault_of_the_host() -> None:
    bench = type("Odd", (WholeSuite,), {"host": Falling})().bench()
    bench.host.bent = True
    assert "KeyError" in str(bench.ask().error)


class Vague(Good):
    def refusal(self, answer: HttpResponse) -> Any:
        return imagekit.ProviderError("the host answered, and not why", status=answer.status)


class Worded(GoodHost):
    def troubled(self, asked: Asked, trouble: Trouble) -> Reply:
        return super().troubled(asked, trouble)


@pytest.mark.parametrize(
    "rule", ["a_used_up_quota_is_a_quota_error", "an_error_says_what_the_host_said"]
)
def test_troubles_that_nobody_wrote_are_to_be_written(rule: str) -> None:
    assert "write Host.troubled, whose docstring names all" in ended(WholeSuite, rule, Vague)
    own = ended(WholeSuite, rule, Vague, Worded)
    assert own.startswith("failed")
    assert "Host.troubled" not in own


def test_the_seven_troubles_are_named_with_their_statuses() -> None:
    said = Host.troubled.__doc__ or ""
    assert [one for one, status in STATUSES.items() if f"`{one}` ({status}," not in said] == []


@pytest.mark.parametrize(
    ("host", "told"),
    [
        (Untyped, "not one of events by its type, which is none: give Streamed a content-type"),
        (NeverStreams, "the host's answer to a stream was not a Streamed"),
    ],
)
def test_a_host_that_never_streams_is_told_of(host: Any, told: str) -> None:
    found = ended(StreamingSuite, "a_stream_is_answered_by_a_stream", host=host)
    assert found.startswith("failed: AssertionError: the capabilities say streaming")
    assert told in found


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
