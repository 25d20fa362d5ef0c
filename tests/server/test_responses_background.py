"""Responses made in the background: polled, resumed, cancelled, forgotten."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
import pytest

import imagekit
from imagekit import Image, ImageReady, ImageRequest, ImageResponse, Text
from imagekit.provider import emit, sleep
from imagekit.server import Limits
from imagekit.server.wire.shelf import Shelf
from responding import OTHER, TOKENS, TOOL, Asking, events, raises, rows, shared, wanted
from toys import patiently, picture

PREVIEWS = {"partial_images": 2}


class Desk(Asking):
    """Has things made in the background."""

    def start(self, **body: Any) -> dict[str, Any]:
        answer = self.post(tool=PREVIEWS, background=True, **body)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def get(self, id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.client.get(f"/responses/{id}").json()
        return found

    def comes_to(self, id: str, status: str) -> bool:
        return patiently(lambda: self.get(id)["status"] == status)

    def cancel(self, id: str) -> dict[str, Any]:
        answer = self.client.post(f"/responses/{id}/cancel")
        assert answer.status_code == 200
        found: dict[str, Any] = answer.json()
        return found

    @contextmanager
    def begin(self, **body: Any) -> Iterator[Iterator[dict[str, Any]]]:
        """A new response's events."""
        said = wanted(tool=PREVIEWS, background=True, stream=True, **body)
        with self.client.stream("POST", "/responses", json=said) as answer:
            assert answer.status_code == 200
            yield events(answer.iter_lines())

    @contextmanager
    def follow(self, id: str, after: int | None = None) -> Iterator[Iterator[dict[str, Any]]]:
        """A response's events again."""
        asked: dict[str, Any] = {"stream": "true"}
        if after is not None:
            asked["starting_after"] = after
        with self.client.stream("GET", f"/responses/{id}", params=asked) as answer:
            assert answer.status_code == 200
            yield events(answer.iter_lines())

    def rest(self, id: str, after: int | None = None) -> list[dict[str, Any]]:
        with self.follow(id, after) as found:
            return list(found)


@pytest.fixture(scope="module")
def desk() -> Iterator[Any]:
    with shared(Desk) as lent:
        yield lent


# --- polling


def test_a_response_is_queued_then_made_then_there(desk: Any, gate: Any) -> None:
    with desk(gate.flow) as asked:
        first = asked.start()
        assert (first["status"], first["background"], first["output"]) == ("queued", True, [])
        assert gate.holds()
        assert asked.get(first["id"])["status"] == "in_progress"
        gate.opened.set()
        assert asked.comes_to(first["id"], "completed")
        last = asked.get(first["id"])
        assert last["output"][0]["result"]
        assert last["completed_at"] >= last["created_at"]


def test_the_official_client_polls_until_the_picture_is_there(desk: Any, gate: Any) -> None:
    with desk(gate.flow) as asked, openai.OpenAI(api_key="k", base_url=asked.running.url) as sdk:
        made = sdk.responses.create(
            input="a fox", tools=[{"type": "image_generation"}], background=True
        )
        assert made.status == "queued"
        gate.opened.set()
        assert patiently(lambda: sdk.responses.retrieve(made.id).status == "completed")
        other = sdk.responses.create(
            input="a fox", tools=[{"type": "image_generation"}], background=True
        )
        assert sdk.responses.cancel(other.id).status in ("cancelled", "completed")


@pytest.mark.parametrize(
    ("error", "status", "item"),
    [
        (imagekit.ContentRejectedError("no"), "completed", "moderation_blocked"),
        (imagekit.AuthenticationError("sk-very-secret-1"), "failed", None),
    ],
)
def test_a_failure_is_what_the_response_comes_to(
    desk: Any, error: Exception, status: str, item: str | None
) -> None:
    with desk(raises(error)) as asked:
        id = asked.start()["id"]
        assert asked.comes_to(id, status)
        last = asked.get(id)
        assert [one["error"]["code"] for one in last["output"]] == ([item] if item else [])
        assert "sk-very" not in json.dumps(last)


# --- cancelling


def test_a_response_is_cancelled_while_it_is_made(desk: Any, gate: Any) -> None:
    with desk(gate.flow) as asked:
        id = asked.start()["id"]
        assert gate.holds()
        last = asked.cancel(id)
        assert (last["status"], last["error"], last["completed_at"]) == ("cancelled", None, None)
        assert gate.left.wait(30)
        assert asked.get(id) == last == asked.cancel(id)


def test_a_response_that_is_there_is_not_cancelled_any_more(desk: Any, gate: Any) -> None:
    gate.opened.set()
    with desk(gate.flow) as asked:
        id = asked.start()["id"]
        assert asked.comes_to(id, "completed")
        assert asked.cancel(id) == asked.get(id)


def test_what_was_begun_and_cancelled_is_told_as_not_done(desk: Any, gate: Any) -> None:
    def flow(request: ImageRequest) -> Any:
        yield from emit(ImageReady(index=1, image=Image(data=picture(5))))
        yield from emit(Text(text="Look"))
        return (yield from gate.flow(request))

    with desk(flow) as asked:
        with asked.begin() as found:
            kinds = ["response.image_generation_call.partial_image"]
            id = next(found)["response"]["id"]
            assert any(event["type"] in kinds for event in found)
            assert asked.cancel(id)["status"] == "cancelled"
            last = list(found)[-1]
            assert (last["type"], last["response"]["status"]) == ("response.failed", "cancelled")
        made, message, call = asked.get(id)["output"]
        assert (made["status"], message["status"], call["status"]) == (
            "completed",
            "incomplete",
            "failed",
        )
        assert made["result"]
        assert asked.rest(id)[-1] == last


def test_a_cancel_at_the_last_moment_loses_nothing(desk: Any, gate: Any, tmp_path: Path) -> None:
    with desk(gate.flow, database=tmp_path / "kept.db") as asked:
        for moment in range(12):
            gate.opened.clear()
            id = asked.start()["id"]
            assert gate.holds(moment + 1)
            gate.opened.set()
            threading.Event().wait(moment / 1000)
            last = asked.cancel(id)
            assert last["status"] in ("completed", "cancelled")
            assert asked.get(id) == last
            made = [one["result"] for one in last["output"] if one["status"] == "completed"]
            assert len(made) == (last["status"] == "completed")


# --- deleting


@pytest.mark.parametrize("stream", [True, False])
def test_a_response_is_deleted_while_it_is_made(
    desk: Any, gate: Any, tmp_path: Path, stream: bool
) -> None:
    with desk(gate.flow, database=tmp_path / "kept.db") as asked:
        with asked.begin() as found:
            id = next(found)["response"]["id"]
            if not stream:
                id = asked.start()["id"]
            assert gate.holds(1 if stream else 2)
            answer = asked.client.delete(f"/responses/{id}")
            assert answer.json() == {"id": id, "object": "response", "deleted": True}
            assert gate.left.wait(30)
            assert asked.client.get(f"/responses/{id}").status_code == 404
            gate.opened.set()
        if stream:
            assert rows(tmp_path / "kept.db") == []


def test_a_deleted_response_leaves_nothing_behind(desk: Any, gate: Any, tmp_path: Path) -> None:
    gate.opened.set()
    with desk(gate.flow, database=tmp_path / "kept.db") as asked:
        with asked.begin() as found:
            id = list(found)[-1]["response"]["id"]
        assert patiently(lambda: asked.live == 0)
        assert {kind for kind, _ in rows(tmp_path / "kept.db")} == {"response", "picture", "events"}
        assert asked.client.delete(f"/responses/{id}").json()["deleted"] is True
        assert rows(tmp_path / "kept.db") == []
        for again in (
            asked.client.get(f"/responses/{id}"),
            asked.client.get(f"/responses/{id}", params={"stream": "true"}),
            asked.client.delete(f"/responses/{id}"),
            asked.client.post(f"/responses/{id}/cancel"),
        ):
            assert again.status_code == 404


def test_everything_at_once_ends_in_nothing(desk: Any, gate: Any, tmp_path: Path) -> None:
    with desk(gate.flow, database=tmp_path / "kept.db") as asked:
        for count in range(6):
            gate.opened.clear()
            with asked.begin() as found:
                id = next(found)["response"]["id"]
            assert gate.holds(count + 1)
            statuses: list[int] = []

            def ask(method: str, path: str, statuses: list[int] = statuses) -> None:
                answer = asked.client.request(method, path)
                statuses.append(answer.status_code)

            path = f"/responses/{id}"
            doing = [
                threading.Thread(target=ask, args=one)
                for one in [
                    ("DELETE", path),
                    ("POST", f"{path}/cancel"),
                    ("GET", path),
                    ("GET", f"{path}?stream=true"),
                    ("DELETE", path),
                    ("POST", f"{path}/cancel"),
                ]
            ]
            for thread in doing:
                thread.start()
            gate.opened.set()
            for thread in doing:
                thread.join()
            assert set(statuses) <= {200, 404}
            assert asked.client.get(path).status_code == 404
            assert rows(tmp_path / "kept.db") == []


def test_nobody_reaches_what_another_has_made(desk: Any, gate: Any) -> None:
    with desk(gate.flow, tokens=TOKENS) as asked, asked.begin() as found:
        id = next(found)["response"]["id"]
        path = f"/responses/{id}"
        for method, at in (
            ("GET", path),
            ("GET", f"{path}?stream=true"),
            ("POST", f"{path}/cancel"),
            ("DELETE", path),
        ):
            assert asked.client.request(method, at, headers=OTHER).status_code == 404
        assert not gate.left.is_set()
        gate.opened.set()
        assert list(found)[-1]["type"] == "response.completed"


# --- resuming


def test_a_stream_in_the_background_says_that_it_was_queued(desk: Any, gate: Any) -> None:
    gate.opened.set()
    with desk(gate.flow) as asked, asked.begin() as found:
        kinds = [event["type"].removeprefix("response.") for event in found]
    assert kinds[:3] == ["created", "queued", "in_progress"]
    assert kinds[-1] == "completed"


def test_a_stream_is_left_after_any_event_and_resumed_with_the_rest(
    desk: Any, gate: Any, tmp_path: Path
) -> None:
    database = tmp_path / "kept.db"
    with desk(gate.flow, database=database) as asked:
        # Instructions: a notice goes out with the first event, and counts as none.
        with asked.begin(instructions="in oil") as found:
            begun = [next(found) for _ in range(7)]
        id = begun[0]["response"]["id"]
        following = []
        for after in range(len(begun)):
            with asked.follow(id, after) as rest:
                following.append([next(rest) for _ in begun[after + 1 :]])
        assert following == [begun[after + 1 :] for after in range(len(begun))]
        with asked.follow(id, len(begun) - 1) as rest:
            gate.opened.set()
            whole = begun + list(rest)
        assert whole[-1]["type"] == "response.completed"
        assert [event["sequence_number"] for event in whole] == list(range(len(whole)))
        assert patiently(lambda: asked.live == 0)
        resumed(asked, id, whole)
    with desk(gate.flow, database=database) as asked:
        resumed(asked, id, whole)


def resumed(asked: Desk, id: str, whole: list[dict[str, Any]]) -> None:
    assert asked.rest(id) == whole
    for after in range(len(whole) + 1):
        assert asked.rest(id, after) == whole[after + 1 :]


def test_the_official_client_resumes_a_stream(desk: Any, gate: Any) -> None:
    with desk(gate.flow) as asked, openai.OpenAI(api_key="k", base_url=asked.running.url) as sdk:
        with sdk.responses.create(
            input="a fox", tools=[{"type": "image_generation"}], background=True, stream=True
        ) as stream:
            first = next(iter(stream))
        assert first.type == "response.created"
        gate.opened.set()
        with sdk.responses.retrieve(
            first.response.id, stream=True, starting_after=first.sequence_number
        ) as rest:
            found = [event.type for event in rest]
    assert (found[0], found[-1]) == ("response.queued", "response.completed")


def test_a_stream_is_followed_by_more_than_one(desk: Any, gate: Any) -> None:
    with desk(gate.flow) as asked, asked.begin() as one:
        first = next(one)
        with asked.follow(first["response"]["id"]) as other:
            gate.opened.set()
            assert [first, *one] == list(other)


@pytest.mark.parametrize("after", ["-1", "x", "", "1" * 10, "1.5"])
def test_what_is_no_number_of_an_event_is_refused(desk: Any, gate: Any, after: str) -> None:
    gate.opened.set()
    with desk(gate.flow) as asked:
        with asked.begin() as found:
            id = list(found)[-1]["response"]["id"]
        answer = asked.client.get(f"/responses/{id}?stream=true&starting_after={after}")
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "starting_after")


# --- the server's end


def test_a_response_whose_server_died_has_failed(desk: Any, gate: Any, tmp_path: Path) -> None:
    database = tmp_path / "kept.db"
    with desk(gate.flow, database=database) as asked:
        with asked.begin() as found:
            id = next(found)["response"]["id"]
        polled = asked.start()["id"]
        # Whoever comes later finds what is in the file, and nobody who makes it.
        with desk(gate.flow, database=database) as later:
            for one in (id, polled):
                last = later.get(one)
                assert (last["status"], last["error"]["code"]) == ("failed", "server_error")
                assert "may have been charged" in last["error"]["message"]
                assert later.cancel(one) == last
            answer = later.client.get(f"/responses/{id}?stream=true")
            assert answer.status_code == 400
        gate.opened.set()
        assert asked.comes_to(id, "completed")


def test_a_response_that_is_not_made_before_the_server_ends_has_failed(
    desk: Any, gate: Any, tmp_path: Path
) -> None:
    database = tmp_path / "kept.db"

    def flow(request: ImageRequest) -> Any:
        yield from emit(ImageReady(index=1, image=Image(data=picture(5))))
        return (yield from gate.flow(request))

    with desk(flow, database=database, limits=Limits(grace=0.05)) as asked:
        with asked.begin() as found:
            id = next(found)["response"]["id"]
        assert gate.holds()
        asked.running.stop()
        asked.running.thread.join()
        assert gate.left.is_set()
    with desk(gate.flow, database=database) as asked:
        last = asked.get(id)
        assert (last["status"], last["error"]["code"]) == ("failed", "server_error")
        assert [one["status"] for one in last["output"]] == ["completed", "failed"]
        assert asked.rest(id)[-1] == {
            "type": "response.failed",
            "response": last,
            "sequence_number": asked.rest(id)[-1]["sequence_number"],
        }


def test_a_response_is_finished_before_the_server_ends(
    desk: Any, gate: Any, tmp_path: Path
) -> None:
    database = tmp_path / "kept.db"
    with desk(gate.flow, database=database) as asked:
        id = asked.start()["id"]
        assert gate.holds()
        asked.running.stop()
        gate.opened.set()
        asked.running.thread.join()
    with desk(gate.flow, database=database) as asked:
        assert asked.get(id)["status"] == "completed"
        assert asked.get(id)["output"][0]["result"]


def test_nothing_is_made_that_cannot_be_kept(desk: Any, gate: Any, tmp_path: Path) -> None:
    with desk(gate.flow, database=tmp_path / "kept.db") as asked:
        rows(tmp_path / "kept.db", "drop table kept")
        said = {"input": "a fox", "tools": [TOOL], "background": True}
        assert asked.client.post("/responses", json=said).status_code == 500
        assert gate.asked == []


def test_a_store_that_fails_later_does_not_lose_the_streamed_picture(
    desk: Any, gate: Any, tmp_path: Path
) -> None:
    with desk(gate.flow, database=tmp_path / "kept.db") as asked, asked.begin() as found:
        assert next(found)["type"] == "response.created"
        rows(tmp_path / "kept.db", "drop table kept")
        gate.opened.set()
        last = list(found)[-1]
        assert last["type"] == "response.completed"
        assert last["response"]["output"][0]["result"]


def test_a_conversation_goes_on_from_the_background(
    desk: Any, gate: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep = Shelf.keep

    async def slowly(self: Shelf, *given: Any, **how: Any) -> None:
        # Long enough for somebody to look meanwhile.
        await asyncio.sleep(0.3)
        await keep(self, *given, **how)

    monkeypatch.setattr(Shelf, "keep", slowly)
    asked_for: list[ImageRequest] = []

    def flow(request: ImageRequest) -> Any:
        asked_for.append(request)
        yield from sleep(0)
        return ImageResponse(slots=(Image(data=picture(4)),))

    with desk(flow) as asked:
        id = asked.start()["id"]
        assert asked.comes_to(id, "completed")
        other = asked.start(input="add snow", previous_response_id=id)["id"]
        assert asked.comes_to(other, "completed")
        assert [one.data for one in asked_for[-1].images] == [picture(4)]
