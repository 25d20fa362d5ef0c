"""Responses as they are streamed, judged by the official client's types."""

from __future__ import annotations

import base64
import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types.responses import Response, ResponseStreamEvent

import imagekit
from imagekit import (
    Image,
    ImageFailed,
    ImageFailure,
    ImageReady,
    ImageRequest,
    ImageResponse,
    Notice,
    Noticed,
    PartialImage,
    Progress,
    Queued,
    Text,
    Usage,
    UsageItem,
)
from imagekit.provider import emit, sleep
from imagekit.server import Limits
from responding import PNG, Asking, Script, events, shared, wanted
from spoken import httpx, near
from strictly import known
from toys import patiently, picture, refused, spelt

CALL = "response.image_generation_call"


def judged(event: dict[str, Any]) -> dict[str, Any]:
    """*event*, which the official types know and declare."""
    assert known(ResponseStreamEvent, event).type == event["type"]
    if "response" in event:
        known(Response, event["response"])
    return event


class Stream:
    """A stream of events as it arrives."""

    def __init__(self, answer: httpx.Response) -> None:
        self.lines = answer.iter_lines()
        self.comments: list[str] = []

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return map(judged, events(self.lines, self.comments))

    def until(self, kind: str) -> dict[str, Any]:
        return next(event for event in self if event["type"] == kind)


class Toy(Asking):
    """Watches what it asks for."""

    @contextmanager
    def stream(self, input: Any = "a fox", tool: Any = None, **body: Any) -> Iterator[Stream]:
        said = wanted(input, tool, stream=True, **body)
        with self.client.stream("POST", "/responses", json=said) as answer:
            assert answer.status_code == 200
            assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
            yield Stream(answer)

    def events(self, *said: Any, **body: Any) -> list[dict[str, Any]]:
        """All events of a stream: known, numbered without gaps, with one end."""
        with self.stream(*said, **body) as stream:
            found = list(stream)
        assert [event["sequence_number"] for event in found] == list(range(len(found)))
        kinds = [event["type"] for event in found]
        assert kinds[0] == "response.created"
        ends = [kind for kind in kinds if kind in ("response.completed", "response.failed")]
        assert ends == kinds[-1:]
        items = [event for event in found if "output_index" in event]
        places = {event["output_index"]: event for event in items}
        assert sorted(places) == list(range(len(found[-1]["response"]["output"])))
        return found


@pytest.fixture(scope="module")
def toy() -> Iterator[Any]:
    with shared(Toy) as lent:
        yield lent


def says(*events: Any, **response: Any) -> Script:
    """A script that emits *events* and answers with the pictures among them."""

    def script(request: ImageRequest) -> Any:
        for event in events:
            if isinstance(event, Exception):
                raise event
            yield from emit(event)
        slots = [one.image for one in events if isinstance(one, ImageReady)]
        yield from sleep(0)
        return ImageResponse(slots=tuple(slots), **response)

    return script


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


def of(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [event for event in events if event["type"] == f"response.{kind}"]


READY = ImageReady(image=Image(data=PNG, echo={"quality": "low"}))
PREVIEW = Image(data=picture(9))


def test_one_picture_is_told_in_the_order_of_the_live_service(toy: Any) -> None:
    previews = [PartialImage(step=step, image=PREVIEW) for step in (0, 1)]
    with toy(says(Queued(position=1), *previews, READY)) as asked:
        events = asked.events("a fox", {"partial_images": 2})
    assert kinds(events) == [
        "created",
        "in_progress",
        "output_item.added",
        "image_generation_call.in_progress",
        "image_generation_call.generating",
        "image_generation_call.partial_image",
        "image_generation_call.partial_image",
        "image_generation_call.completed",
        "output_item.done",
        "completed",
    ]
    first, second = of(events, "image_generation_call.partial_image")
    assert (first["partial_image_index"], second["partial_image_index"]) == (0, 1)
    assert first["partial_image_b64"] == spelt(picture(9))
    known = {name: first[name] for name in ("size", "quality", "background", "output_format")}
    assert known == {
        "size": "1x1",
        "quality": "auto",
        "background": "auto",
        "output_format": "png",
    }
    assert events[0]["response"]["output"] == []


def test_the_picture_is_in_the_item_that_is_done_and_in_the_end(toy: Any) -> None:
    with toy(says(READY)) as asked:
        events = asked.events()
    [added], [done] = of(events, "output_item.added"), of(events, "output_item.done")
    assert (added["item"]["status"], added["item"]["result"]) == ("in_progress", None)
    assert (done["item"]["status"], done["item"]["result"]) == ("completed", spelt(PNG))
    assert events[-1]["response"]["output"] == [done["item"]]
    assert events[-1]["response"]["status"] == "completed"
    [step] = of(events, "image_generation_call.completed")
    assert set(step) == {"type", "item_id", "output_index", "sequence_number"}
    assert step["item_id"] == added["item"]["id"] == done["item"]["id"]
    assert added["item"]["id"].startswith("ig_")


def test_what_was_streamed_is_what_is_kept(toy: Any) -> None:
    with toy(says(READY, text="Done.")) as asked:
        last = asked.events()[-1]["response"]
        assert asked.client.get(f"/responses/{last['id']}").json() == last


def test_a_provider_that_does_not_stream_is_told_the_same_way(toy: Any) -> None:
    with toy(says(READY), streaming=False) as asked:
        assert kinds(asked.events())[-3:] == [
            "image_generation_call.completed",
            "output_item.done",
            "completed",
        ]


def test_the_official_client_streams_the_picture(toy: Any) -> None:
    with (
        toy(says(PartialImage(image=PREVIEW), READY)) as asked,
        openai.OpenAI(api_key="k", base_url=asked.running.url) as sdk,
        sdk.responses.create(
            model="m", input="a fox", tools=[{"type": "image_generation"}], stream=True
        ) as events,
    ):
        done = [one.item for one in events if one.type == "response.output_item.done"]
    assert [base64.b64decode(getattr(one, "result", "")) for one in done] == [PNG]


def test_each_event_is_sent_when_it_happens(toy: Any, gate: Any) -> None:
    with toy(gate.flow) as asked, asked.stream("a fox", {"partial_images": 2}) as stream:
        stream.until(f"{CALL}.partial_image")
        stream.until(f"{CALL}.partial_image")
        assert not gate.opened.is_set()
        gate.opened.set()
        assert stream.until("response.completed")["response"]["output"][0]["result"]


def test_progress_begins_a_call_before_anything_is_seen(toy: Any) -> None:
    with toy(says(Progress(fraction=0.5), Progress(fraction=0.7), READY)) as asked:
        assert len(of(asked.events(), "output_item.added")) == 1


def test_a_preview_that_is_only_a_link_is_left_out(toy: Any) -> None:
    preview = PartialImage(image=Image(url="https://example.com/a.png"))
    with toy(says(preview, READY)) as asked:
        events = asked.events()
    assert of(events, "image_generation_call.partial_image") == []
    assert events[-1]["response"]["output"][0]["result"] == spelt(PNG)


def test_many_pictures_are_told_side_by_side(toy: Any) -> None:
    shown = [
        PartialImage(index=1, image=PREVIEW),
        PartialImage(index=0, image=PREVIEW),
        ImageReady(index=0, image=Image(data=picture(3))),
        ImageReady(index=1, image=Image(data=picture(4))),
    ]
    with toy(says(*shown)) as asked:
        events = asked.events()
    places = [
        (one["output_index"], one["item"]["result"]) for one in of(events, "output_item.done")
    ]
    assert places == [(1, spelt(picture(3))), (0, spelt(picture(4)))]


# --- words


def test_words_are_told_as_they_come(toy: Any) -> None:
    said = [Text(text="Here"), Text(text="hm", phase="reasoning"), Text(text=" it is.")]
    with toy(says(READY, *said)) as asked:
        events = asked.events()
    assert kinds(events)[6:] == [
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert [one["delta"] for one in of(events, "output_text.delta")] == ["Here", " it is."]
    [done] = of(events, "output_text.done")
    assert done["text"] == "Here it is."
    message = events[-1]["response"]["output"][1]
    assert message == of(events, "output_item.done")[1]["item"]
    assert (message["status"], message["content"][0]["text"]) == ("completed", "Here it is.")


def test_words_are_not_told_twice(toy: Any) -> None:
    with toy(says(Text(text="Here."), READY, text="Here.")) as asked:
        events = asked.events()
    assert [one["delta"] for one in of(events, "output_text.delta")] == ["Here."]


def test_words_in_place_of_a_picture_complete_the_response(toy: Any) -> None:
    with toy(says(Text(text="What kind?"), text="What kind?")) as asked:
        last = asked.events()[-1]["response"]
        [message] = last["output"]
        assert (last["status"], last["error"]) == ("completed", None)
        assert message["content"][0]["text"] == "What kind?"
        assert asked.client.get(f"/responses/{last['id']}").json() == last


def test_words_at_the_end_only_are_told_all_the_same(toy: Any) -> None:
    with toy(says(text="What kind?")) as asked:
        assert [one["delta"] for one in of(asked.events(), "output_text.delta")] == ["What kind?"]


def test_a_refusal_in_words_is_a_message_in_a_completed_response(toy: Any) -> None:
    said = [Text(text="I can", phase="refusal"), Text(text="not.", phase="refusal")]
    error = imagekit.ContentRejectedError("I cannot.", code="refusal")
    with toy(says(*said, error)) as asked:
        events = asked.events()
    assert [one["delta"] for one in of(events, "refusal.delta")] == ["I can", "not."]
    [done] = of(events, "refusal.done")
    assert done["refusal"] == "I cannot."
    [message] = events[-1]["response"]["output"]
    assert message["content"] == [{"type": "refusal", "refusal": "I cannot."}]
    assert events[-1]["response"]["status"] == "completed"


def test_words_and_a_refusal_are_two_messages(toy: Any) -> None:
    with toy(says(Text(text="Hm."), Text(text="No.", phase="refusal"), READY)) as asked:
        output = asked.events()[-1]["response"]["output"]
    parts = [one["content"][0]["type"] for one in output if one["type"] == "message"]
    assert parts == ["output_text", "refusal"]


def test_a_call_that_began_and_came_to_words_has_failed(toy: Any) -> None:
    error = imagekit.NoImageError("no picture came")
    with toy(says(PartialImage(image=PREVIEW), Text(text="Sorry."), error)) as asked:
        last = asked.events()[-1]["response"]
    call, message = last["output"]
    assert (last["status"], call["status"], message["status"]) == (
        "completed",
        "failed",
        "completed",
    )
    assert call["error"]["code"] == "no_image"


# --- failures

SECRETS = "see https://h/k?key=sk-very-secret-1 and /home/me/keys/k.txt"


def test_a_rejected_picture_is_a_failed_item_in_a_completed_response(toy: Any) -> None:
    error = imagekit.ContentRejectedError("no", stage="output", categories=("violence",))
    for before in ((), (PartialImage(image=PREVIEW),)):
        with toy(says(*before, error)) as asked:
            events = asked.events()
            last = events[-1]["response"]
            assert asked.client.get(f"/responses/{last['id']}").json() == last
        [call] = last["output"]
        assert (last["status"], call["status"], call["result"]) == ("completed", "failed", None)
        assert call["error"]["code"] == "moderation_blocked"
        assert call["error"]["moderation_details"] == {
            "moderation_stage": "output",
            "categories": ["violence"],
        }
        assert of(events, "image_generation_call.completed") == []


@pytest.mark.parametrize(
    ("error", "code", "item"),
    [
        (imagekit.RateLimitError(SECRETS, billed="no"), "rate_limit_exceeded", None),
        (imagekit.QuotaExceededError(SECRETS), "rate_limit_exceeded", "insufficient_quota"),
        (imagekit.RequestError(SECRETS), "invalid_prompt", None),
        (imagekit.InvalidRequestError(SECRETS, status=400, code="odd"), "invalid_prompt", "odd"),
        (imagekit.AuthenticationError(SECRETS), "server_error", None),
        (imagekit.ProviderUnavailableError(SECRETS, billed="possibly"), "server_error", None),
        (imagekit.NoImageError(SECRETS), "server_error", "no_image"),
        (imagekit.TransportTimeoutError(SECRETS, billed="possibly"), "server_error", None),
        (imagekit.TruncatedStreamError(SECRETS), "server_error", None),
        (imagekit.PluginError(SECRETS), "server_error", None),
        (KeyError(SECRETS), "server_error", None),
    ],
    ids=lambda one: type(one).__name__ if isinstance(one, Exception) else "",
)
def test_a_providers_failure_is_the_end_and_nothing_of_it_leaks(
    toy: Any, error: Exception, code: str, item: str | None
) -> None:
    for before in ((), (PartialImage(image=PREVIEW),)):
        with toy(says(*before, error)) as asked:
            events = asked.events()
            last = events[-1]["response"]
            assert asked.client.get(f"/responses/{last['id']}").json() == last
        assert events[-1]["type"] == "response.failed"
        assert (last["status"], last["error"]["code"]) == ("failed", code)
        assert [one["error"]["code"] for one in last["output"]] == [item or code] * len(before)
        for secret in ("sk-very", "/home/me", "https://"):
            assert secret not in json.dumps(events)


def test_a_failure_says_no_more_in_its_item_than_in_its_end(toy: Any) -> None:
    error = imagekit.AuthenticationError("the key ending in 1234 of account 77 is wrong")
    with toy(says(PartialImage(image=PREVIEW), error)) as asked:
        assert "1234" not in json.dumps(asked.events())


def test_a_call_that_takes_too_long_has_failed(toy: Any) -> None:
    def script(request: ImageRequest) -> Any:
        yield from sleep(30)

    with toy(script, limits=Limits(request=0.05)) as asked:
        last = asked.events()[-1]["response"]
        assert last["error"] == {
            "code": "server_error",
            "message": "The provider took too long.",
        }


def test_failed_slots_keep_their_places_among_the_pictures(toy: Any) -> None:
    lost = ImageFailure(kind="refused", reason="no")
    shown = [
        ImageFailed(index=0, failure=lost),
        ImageReady(index=1, image=Image(data=PNG)),
        ImageFailed(index=2, failure=ImageFailure(kind="failed", reason="broke")),
    ]

    def script(request: ImageRequest) -> Any:
        for event in shown:
            yield from emit(event)
        return ImageResponse(slots=(lost, shown[1].image, shown[2].failure))

    with toy(script) as asked:
        last = asked.events()[-1]["response"]
    assert [one["status"] for one in last["output"]] == ["failed", "completed", "failed"]
    assert [one.get("error", {}).get("code") for one in last["output"]] == [
        "moderation_blocked",
        None,
        "server_error",
    ]


def test_a_picture_that_came_is_kept_when_the_rest_breaks(toy: Any) -> None:
    broken = imagekit.TruncatedStreamError("cut at /home/me/secret/x.py")
    with toy(says(READY, broken)) as asked, asked.stream() as stream:
        last = list(stream)[-1]["response"]
        assert (last["status"], last["output"][0]["result"]) == ("completed", spelt(PNG))
        [said] = stream.comments
        assert "the answer was cut after pictures came" in said
        assert "/home/me" not in said


def test_a_link_that_cannot_be_followed_is_a_failed_item(toy: Any) -> None:
    lost = ImageReady(image=Image(url=f"{refused()}/a.png"))
    with toy(says(lost)) as asked:
        [call] = asked.events()[-1]["response"]["output"]
    assert (call["status"], call["error"]["code"]) == ("failed", "failed_to_download_image")


def test_what_was_used_is_told_of_a_failure_too(toy: Any) -> None:
    used = Usage(items=(UsageItem(quantity=3, direction="input", modality="text"),))
    with toy(says(usage=used)) as asked:
        last = asked.events()[-1]["response"]
    assert (last["status"], last["tool_usage"]["image_gen"]["total_tokens"]) == ("failed", 3)


def test_notices_are_comments_before_the_next_event(toy: Any) -> None:
    said = Noticed(notice=Notice(kind="other", feature="x", detail="y"))
    with toy(says(said, READY)) as asked, asked.stream(instructions="in oil") as stream:
        counted = {event["type"]: len(stream.comments) for event in stream}
        told = [json.loads(one.removeprefix(": notice ")) for one in stream.comments]
    assert [one["feature"] for one in told] == ["instructions", "x"]
    assert counted["response.created"] == 1
    assert counted["response.output_item.added"] == 2


# --- coming and going


def test_the_id_can_be_used_as_soon_as_the_end_is_read(toy: Any, tmp_path: Path) -> None:
    with toy(says(READY), database=tmp_path / "kept.db") as asked:
        id = None
        for _ in range(5):
            with asked.stream(previous_response_id=id) as stream:
                last = stream.until("response.completed")["response"]
                id = last["id"]
                assert near.get(f"{asked.running.url}/responses/{id}").json() == last


def test_the_end_is_told_only_when_the_response_is_kept(
    toy: Any, gate: Any, tmp_path: Path
) -> None:
    file = tmp_path / "kept.db"
    with toy(gate.flow, database=file) as asked, asked.stream() as stream:
        stream.until("response.in_progress")
        free = threading.Event()
        with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as held:
            held.execute("begin immediate")

            def release() -> None:
                free.set()
                held.execute("rollback")

            gate.opened.set()
            stream.until("response.output_item.done")
            timer = threading.Timer(0.2, release)
            timer.start()
            stream.until("response.completed")
            assert free.is_set()
            timer.join()


def test_who_leaves_a_stored_stream_does_not_end_the_work(toy: Any, gate: Any) -> None:
    with toy(gate.flow) as asked:
        with asked.stream() as stream:
            id = stream.until("response.in_progress")["response"]["id"]
        answer = asked.client.get(f"/responses/{id}").json()
        assert answer["status"] == "in_progress"
        gate.opened.set()
        done = patiently(
            lambda: asked.client.get(f"/responses/{id}").json()["status"] == "completed"
        )
        assert done
        assert not gate.left.is_set()


def test_who_leaves_an_unstored_stream_ends_the_work(toy: Any, gate: Any) -> None:
    with toy(gate.flow) as asked:
        with asked.stream(store=False) as stream:
            id = stream.until("response.in_progress")["response"]["id"]
            assert gate.holds()
            assert asked.client.get(f"/responses/{id}").status_code == 404
            assert asked.client.delete(f"/responses/{id}").status_code == 404
            assert not gate.left.wait(0.1)
        assert gate.left.wait(30)


def test_a_stream_that_is_not_in_the_background_cannot_be_cancelled(toy: Any, gate: Any) -> None:
    with toy(gate.flow) as asked, asked.stream() as stream:
        id = stream.until("response.in_progress")["response"]["id"]
        answer = asked.client.post(f"/responses/{id}/cancel")
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "response_id")
        gate.opened.set()
        stream.until("response.completed")


def test_a_response_that_is_deleted_while_it_is_streamed_ends(toy: Any, gate: Any) -> None:
    with toy(gate.flow) as asked, asked.stream() as stream:
        id = stream.until("response.in_progress")["response"]["id"]
        assert gate.holds()
        assert asked.client.delete(f"/responses/{id}").json()["deleted"] is True
        assert gate.left.wait(30)
        [last] = stream
        assert (last["type"], last["response"]["status"]) == ("response.failed", "cancelled")
        assert asked.client.get(f"/responses/{id}").status_code == 404


def test_a_store_that_fails_does_not_lose_the_streamed_picture(
    toy: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with toy(says(READY), database=tmp_path / "kept.db") as asked:
        with closing(sqlite3.connect(tmp_path / "kept.db")) as other:
            other.execute("drop table kept")
        last = asked.events()[-1]["response"]
        assert last["output"][0]["result"] == spelt(PNG)
        assert "could not be kept" in caplog.text
