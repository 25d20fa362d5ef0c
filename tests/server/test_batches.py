"""Batches: read, made in the background, cancelled, expired, and what a stop leaves of them."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pillow

import imagekit
from imagekit import Image, ImageRequest, ImageResponse, Usage, UsageItem
from imagekit.provider import sleep
from imagekit.server import Limits
from imagekit.server.wire import batches, lines
from serving import Serving, serving
from spoken import httpx
from toys import Plugged, Scripted, patiently, picture

GENERATIONS, EDITS, TALK = "/v1/images/generations", "/v1/images/edits", "/v1/responses"
TOOL = {"type": "image_generation"}
TOKENS = ("first-token", "other-token")
OVER = {"completed", "failed", "expired", "cancelled"}
PNG = picture(9, 4, 4)


class Painter:
    """Paints what a prompt says: "wait" when it may, "no" is refused, "slow" takes a while."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.asked: list[ImageRequest] = []
        self.busy = self.most = 0

    def flow(self, request: ImageRequest) -> Any:
        self.asked.append(request)
        self.busy += 1
        self.most = max(self.most, self.busy)
        try:
            words = request.prompt or ""
            while "wait" in words and not self.go.is_set():
                yield from sleep(0.005)
            yield from sleep(0.05 if "slow" in words else 0)
            if "no" in words.split():
                raise imagekit.ContentRejectedError("no", stage="input", billed="no")
        finally:
            self.busy -= 1
        items = (
            UsageItem(quantity=7, direction="input", modality="text"),
            UsageItem(quantity=90, direction="output", modality="image"),
            UsageItem(quantity=30, direction="input", model="gpt-6.1-sol"),
            UsageItem(quantity=2, direction="output", detail="reasoning", model="gpt-6.1-sol"),
        )
        usage = Usage(items=() if "free" in words else items)
        return ImageResponse(slots=(Image(data=PNG),), model="toy-1", usage=usage)

    def holds(self, count: int) -> bool:
        return patiently(lambda: len(self.asked) >= count)


class Desk:
    """A client of the batches of one server."""

    def __init__(self, running: Serving, painter: Painter) -> None:
        self.running, self.painter = running, painter

    @property
    def store(self) -> Any:
        return self.running.app._service.kept._store

    def ask(self, method: str, path: str, token: str = TOKENS[0], **given: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {token}", **given.pop("headers", {})}
        url = f"{self.running.url}{path}"
        # A context of its own for each would read all certificates.
        return httpx.request(method, url, headers=headers, timeout=20, verify=False, **given)

    def upload(self, data: bytes, purpose: str = "batch", **given: Any) -> httpx.Response:
        files = {"file": ("asked.jsonl", data)}
        return self.ask("POST", "/files", data={"purpose": purpose}, files=files, **given)

    def begin(self, file: str, endpoint: str = GENERATIONS, **more: Any) -> httpx.Response:
        said = {"input_file_id": file, "endpoint": endpoint, "completion_window": "24h"}
        return self.ask("POST", "/batches", json={**said, **more})

    def start(self, *bodies: Any, endpoint: str = GENERATIONS, **more: Any) -> Any:
        """A new batch of *bodies*, or of a file as it stands."""
        data = bodies[0] if isinstance(bodies[0], bytes) else asking(*bodies, url=endpoint)
        answer = self.begin(self.upload(data).json()["id"], endpoint, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def get(self, id: str) -> Any:
        return self.ask("GET", f"/batches/{id}").json()

    def over(self, id: str) -> Any:
        """The batch, when it is over."""
        assert patiently(lambda: self.get(id)["status"] in OVER)
        return self.get(id)

    def rows(self, file: str | None) -> list[Any]:
        if file is None:
            return []
        answer = self.ask("GET", f"/files/{file}/content")
        assert answer.status_code == 200
        about = self.ask("GET", f"/files/{file}").json()
        assert (about["bytes"], about["purpose"]) == (len(answer.content), "batch_output")
        assert answer.content.endswith(b"\n")
        return [json.loads(line) for line in answer.content.splitlines()]

    def files(self, batch: Any) -> tuple[list[Any], list[Any]]:
        """The rows of the output, and those of the errors."""
        return self.rows(batch["output_file_id"]), self.rows(batch["error_file_id"])


def asked(name: str, body: Any, **more: Any) -> dict[str, Any]:
    return {"custom_id": name, "method": "POST", "url": GENERATIONS, "body": body, **more}


def written(*lines: Any) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def asking(*bodies: Any, url: str = GENERATIONS) -> bytes:
    """A file of requests; a body that is text is a prompt."""
    full = [{"prompt": one} if isinstance(one, str) else one for one in bodies]
    return written(*(asked(f"line-{place}", one, url=url) for place, one in enumerate(full)))


def names(rows: list[Any]) -> list[str]:
    return [row["custom_id"] for row in rows]


def codes(rows: list[Any]) -> list[tuple[str, str]]:
    """Of requests that were not answered, who they are and why."""
    assert all(row["response"] is None for row in rows)
    return [(row["custom_id"], row["error"]["code"]) for row in rows]


@contextmanager
def opened(**settings: Any) -> Iterator[Desk]:
    painter = Painter()
    able = {"operations": frozenset({"generate", "edit"}), "max_inputs": 4, "mask": "transparent"}
    settings.setdefault("limits", Limits(grace=2))
    plugins = {"toy": Plugged(Scripted(painter.flow, **able))}
    with serving(register=plugins, tokens=TOKENS, **settings) as running:
        try:
            yield Desk(running, painter)
        finally:
            painter.go.set()


@pytest.fixture(scope="module")
def common() -> Iterator[Desk]:
    with opened() as made:
        yield made


@pytest.fixture
def desk(common: Desk) -> Iterator[Desk]:
    common.painter.go.clear()
    common.painter.asked.clear()
    yield common
    common.painter.go.set()


# --- a batch that goes well


@pytest.mark.parametrize("kind", ["memory", "file"])
def test_a_batch_is_made_line_by_line(kind: str, tmp_path: Path) -> None:
    with opened(database=tmp_path / "kept.db" if kind == "file" else None) as desk:
        made = desk.start("a fox", "an otter: wait", "a hill", metadata={"a": "b"})
        assert (made["status"], made["object"], made["endpoint"]) == (
            "validating",
            "batch",
            GENERATIONS,
        )
        assert made["expires_at"] - made["created_at"] == 24 * 3600
        assert patiently(lambda: desk.get(made["id"])["request_counts"]["completed"] == 2)
        on_its_way = desk.ask("GET", f"/batches/{made['id']}")
        assert on_its_way.headers["retry-after"] == "2"
        assert on_its_way.json()["status"] == "in_progress"
        desk.painter.go.set()
        done = desk.over(made["id"])
        assert "retry-after" not in desk.ask("GET", f"/batches/{made['id']}").headers
        output, errors = desk.files(done)
    assert done["status"] == "completed"
    assert done["request_counts"] == {"total": 3, "completed": 3, "failed": 0}
    moments = [done[f"{one}_at"] for one in ("created", "in_progress", "finalizing", "completed")]
    assert moments == sorted(moments)
    never = ("failed", "expired", "cancelling", "cancelled")
    assert [done[f"{one}_at"] for one in never] == [None] * 4
    assert done["metadata"] == {"a": "b"}
    assert done["errors"] is None
    assert done["error_file_id"] is None
    assert errors == []
    assert names(output) == ["line-0", "line-1", "line-2"]
    assert done["usage"] == {
        "input_tokens": 21,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 270,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 291,
    }


def test_a_line_is_answered_as_its_endpoint_answers(desk: Desk) -> None:
    said = {"prompt": "a fox", "quality": "low", "user": "somebody"}
    [row], _ = desk.files(desk.over(desk.start(said)["id"]))
    direct = desk.ask("POST", "/images/generations", json=said)
    body = row["response"]["body"]
    assert {**body, "created": 0} == {**direct.json(), "created": 0}
    assert base64.b64decode(body["data"][0]["b64_json"]) == PNG
    assert row["id"].startswith("batch_req_")
    assert row["response"]["status_code"] == 200
    assert row["response"]["request_id"].startswith("req_")
    assert row["error"] is None


def test_what_goes_otherwise_stands_beside_the_answer(desk: Desk) -> None:
    said = {"prompt": "a fox", "style": "vivid"}
    [row], _ = desk.files(desk.over(desk.start(said)["id"]))
    direct = desk.ask("POST", "/images/generations", json=said)
    [notices] = row["response"]["headers"].values()
    assert notices == direct.headers["x-imagekit-notices"]


def test_edits_name_their_pictures_as_json(desk: Desk) -> None:
    file = desk.upload(PNG, "vision").json()["id"]
    out = io.BytesIO()
    Pillow.new("LA", (4, 4)).save(out, "PNG")
    url = f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"
    said = {"prompt": "a hat", "images": [{"file_id": file}], "mask": {"image_url": url}}
    done = desk.over(desk.start(said, endpoint=EDITS)["id"])
    assert done["request_counts"]["completed"] == 1
    [request] = desk.painter.asked
    assert (request.operation, request.images[0].data) == ("edit", PNG)
    assert request.mask is not None


def test_a_response_of_a_batch_is_kept_and_goes_on(desk: Desk) -> None:
    said = {"model": "gpt-6.1-sol", "input": "a fox", "tools": [TOOL]}
    done = desk.over(desk.start(said, endpoint=TALK)["id"])
    assert done["model"] == "gpt-6.1-sol"
    assert (done["usage"]["total_tokens"], done["usage"]["output_tokens"]) == (129, 92)
    assert done["usage"]["output_tokens_details"] == {"reasoning_tokens": 2}
    [row], _ = desk.files(done)
    first = row["response"]["body"]
    assert desk.ask("GET", f"/responses/{first['id']}").json() == first
    more = {"input": "a hat", "previous_response_id": first["id"], "tools": [TOOL]}
    [row], _ = desk.files(desk.over(desk.start(more, endpoint=TALK)["id"]))
    assert row["response"]["body"]["output"][0]["action"] == "edit"


def test_usage_that_nobody_reports_is_none(desk: Desk) -> None:
    assert desk.over(desk.start("a free fox")["id"])["usage"] is None


def test_a_link_begins_where_the_batch_came_from(desk: Desk) -> None:
    said = {"prompt": "a fox", "response_format": "url"}
    file = desk.upload(asking(said)).json()["id"]
    asked = {"input_file_id": file, "endpoint": GENERATIONS, "completion_window": "24h"}
    host = {"host": "pictures.test"}
    made = desk.ask("POST", "/batches", json=asked, headers=host).json()
    [row], _ = desk.files(desk.over(made["id"]))
    link = row["response"]["body"]["data"][0]["url"]
    assert link.startswith("http://pictures.test/v1/images/results/")
    assert httpx.get(link.replace("http://pictures.test", desk.running.origin)).content == PNG


def test_files_of_a_batch_expire_as_asked(desk: Desk) -> None:
    wanted = {"anchor": "created_at", "seconds": 3600}
    done = desk.over(desk.start("a fox", "no", output_expires_after=wanted)["id"])
    for kind in ("output", "error"):
        about = desk.ask("GET", f"/files/{done[f'{kind}_file_id']}").json()
        assert about["expires_at"] - about["created_at"] == 3600
        assert about["filename"] == f"{done['id']}_{kind}.jsonl"


def test_a_forgotten_output_leaves_nothing(desk: Desk) -> None:
    done = desk.over(desk.start("a fox")["id"])
    file = done["output_file_id"]
    assert desk.store.get("batch-output", f"{done['id']}-0", whose(desk)) is not None
    assert desk.ask("DELETE", f"/files/{file}").json()["deleted"]
    assert desk.ask("GET", f"/files/{file}/content").status_code == 404
    assert desk.store.get("batch-output", f"{done['id']}-0", whose(desk)) is None


def whose(desk: Desk) -> str:
    """What the bearer of the first token is called."""
    found: str = desk.running.app._guard._access.owner(f"Bearer {TOKENS[0]}")
    return found


def test_a_picture_that_is_kept_no_longer_is_told_to_be_gone(desk: Desk) -> None:
    done = desk.over(desk.start("a fox", "a hill")["id"])
    desk.store.delete("batch-output", f"{done['id']}-0", whose(desk))
    answer = desk.ask("GET", f"/files/{done['output_file_id']}/content")
    gone, there = [json.loads(line) for line in answer.content.splitlines()]
    assert codes([gone]) == [("line-0", "server_error")]
    assert there["response"]["status_code"] == 200


def test_each_line_is_in_the_access_log(desk: Desk, log: Any) -> None:
    made = desk.start("a fox")
    desk.over(made["id"])
    line = log.one(path=GENERATIONS, batch=made["id"])
    assert (line["status"], line["images"], line["provider"]) == (200, 1, "toy")
    assert line["owner"] == whose(desk)
    assert log.one(path="/v1/batches", batch=made["id"])["status"] == 200


# --- what fails


def test_what_fails_stands_in_a_file_of_its_own(desk: Desk) -> None:
    done = desk.over(desk.start("no", "a fox", {"prompt": ""}, {"prompt": "x", "nn": 1})["id"])
    output, errors = desk.files(done)
    assert done["status"] == "completed"
    assert done["request_counts"] == {"total": 4, "completed": 1, "failed": 3}
    assert names(output) == ["line-1"]
    assert names(errors) == ["line-0", "line-2", "line-3"]
    found = [row["response"] for row in errors]
    assert [one["status_code"] for one in found] == [400] * 3
    assert [one["body"]["error"]["code"] for one in found] == [
        "moderation_blocked",
        "empty_string",
        "unknown_parameter",
    ]
    assert found[0]["headers"] == {"x-imagekit-billed": "no", "x-should-retry": "false"}
    assert [row["error"] for row in errors] == [None] * 3


def test_where_all_fail_there_is_no_output(desk: Desk) -> None:
    done = desk.over(desk.start("no")["id"])
    assert (done["status"], done["output_file_id"]) == ("completed", None)


GOOD = asked("first", {"prompt": "x"})
MODEL = {"prompt": "x", "model": "one"}
WRONG: dict[str, tuple[Any, str, str | None, str]] = {
    "no JSON": (b'{"custom_id"', "invalid_json_line", None, "This line is not parseable as valid "),
    "deep": (b"[" * 101 + b"]" * 101, "invalid_json_line", None, "This line is not parseable as "),
    "a list": ([1], "invalid_json_line", None, "This line is not a JSON object."),
    "no id": (
        {**GOOD, "custom_id": ...},
        "missing_required_parameter",
        "custom_id",
        "Missing required parameter: 'custom_id'.",
    ),
    "empty id": ({**GOOD, "custom_id": ""}, "empty_string", "custom_id", "Invalid 'custom_id': "),
    "an id that is none": ({**GOOD, "custom_id": 7}, "invalid_type", "custom_id", "Invalid type "),
    "same id": (
        GOOD,
        "duplicate_custom_id",
        "custom_id",
        "The custom_id 'first' for this request is a duplicate of another request.",
    ),
    "no method": (
        {**asked("b", {}), "method": ...},
        "missing_required_parameter",
        "method",
        "Missing required parameter: 'method'.",
    ),
    "method": ({**asked("b", {}), "method": "GET"}, "invalid_value", "method", "Invalid value: "),
    "no url": (
        {**asked("b", {}), "url": ...},
        "missing_required_parameter",
        "url",
        "Missing required parameter: 'url'.",
    ),
    "url": (
        asked("b", {}, url=EDITS),
        "invalid_url",
        "url",
        "The URL provided for this request does not match the batch endpoint.",
    ),
    "no body": (
        {**asked("b", {}), "body": ...},
        "missing_required_parameter",
        "body",
        "Missing required parameter: 'body'.",
    ),
    "unknown": ({**asked("b", {}), "seed": 1}, "unknown_parameter", "seed", "Unknown parameter: "),
    "stream": (
        asked("b", {"prompt": "x", "stream": True}),
        "streaming_unsupported",
        "body.stream",
        "Streaming is not supported in the Batch API.",
    ),
    "background": (
        asked("b", {"background": True}),
        "background_unsupported",
        "body.background",
        "Background is not supported in the Batch API.",
    ),
    "another model": (asked("b", MODEL), "mismatched_model", "body.model", "The model for this "),
}


@pytest.mark.parametrize("which", WRONG)
def test_a_line_that_is_wrong_fails_the_batch(desk: Desk, which: str) -> None:
    line, code, param, words = WRONG[which]
    if isinstance(line, dict):
        line = {name: said for name, said in line.items() if said is not ...}
    text = line if isinstance(line, bytes) else json.dumps(line).encode()
    done = desk.over(desk.start(written(GOOD) + b"\n \r\n" + text)["id"])
    assert (done["status"], done["output_file_id"]) == ("failed", None)
    assert done["failed_at"] >= done["created_at"]
    [error] = done["errors"]["data"]
    assert done["errors"]["object"] == "list"
    assert (error["code"], error["line"], error["param"]) == (code, 4, param)
    assert error["message"].startswith(words)
    assert desk.painter.asked == []


def test_every_line_that_is_wrong_is_named_up_to_a_hundred(desk: Desk) -> None:
    done = desk.over(desk.start(written(GOOD, *[GOOD] * 120))["id"])
    errors = done["errors"]["data"]
    assert [one["line"] for one in errors] == list(range(2, 102))


def test_a_model_that_is_no_name_is_for_the_endpoint_to_refuse(desk: Desk) -> None:
    done = desk.over(desk.start({"prompt": "x", "model": 7})["id"])
    _, [row] = desk.files(done)
    assert (done["model"], row["response"]["body"]["error"]["param"]) == (None, "model")


def test_a_batch_has_no_more_lines_than_may_be() -> None:
    with opened(limits=Limits(lines=2)) as desk:
        two, three = (desk.over(desk.start(*["x"] * count)["id"]) for count in (2, 3))
    assert two["status"] == "completed"
    assert three["errors"]["data"] == [
        {
            "code": "too_many_tasks",
            "line": None,
            "message": "The batch input file holds too many requests: 2 are taken.",
            "param": None,
        }
    ]


def test_an_input_that_is_not_there_fails_the_batch(desk: Desk) -> None:
    vision = desk.upload(PNG, "vision").json()["id"]
    foreign = desk.upload(asking("x"), token=TOKENS[1]).json()["id"]
    for file, words in (
        ("file-0", "Cannot find file file-0, "),
        (foreign, f"Cannot find file {foreign}, "),
        (vision, f"The purpose of file {vision} is 'vision', not 'batch'."),
    ):
        done = desk.over(desk.begin(file).json()["id"])
        [error] = done["errors"]["data"]
        assert (error["code"], error["line"], error["param"]) == (
            "invalid_request",
            None,
            "file_id",
        )
        assert error["message"].startswith(words)


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "no file": ({"input_file_id": None}, "invalid_type", "input_file_id"),
    "endpoint": ({"endpoint": "/v1/embeddings"}, "invalid_value", "endpoint"),
    "window": ({"completion_window": "1h"}, "invalid_value", "completion_window"),
    "unknown": ({"prompt": "x"}, "unknown_parameter", "prompt"),
    "metadata": ({"metadata": {"tags": ["a"]}}, "invalid_type", "metadata.tags"),
    "long": ({"metadata": {"a": "x" * 513}}, "string_above_max_length", "metadata.a"),
    "soon": (
        {"output_expires_after": {"anchor": "created_at", "seconds": 60}},
        "integer_below_min_value",
        "output_expires_after.seconds",
    ),
    "text": (
        {"output_expires_after": {"anchor": "created_at", "seconds": "3600"}},
        "invalid_type",
        "output_expires_after.seconds",
    ),
}


@pytest.mark.parametrize("which", REFUSED)
def test_what_is_asked_wrongly_is_refused(desk: Desk, which: str) -> None:
    said, code, param = REFUSED[which]
    answer = desk.ask(
        "POST",
        "/batches",
        json={"input_file_id": "f", "endpoint": TALK, "completion_window": "24h", **said},
    )
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, code, param)


@pytest.mark.parametrize("data", [b"\n \n", b"{", b"[1]\n", PNG, b"\xff"])
def test_a_file_that_is_no_jsonl_is_not_taken(desk: Desk, data: bytes) -> None:
    answer = desk.upload(data)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "Invalid file format for Batch API. Must be .jsonl"


def test_a_file_of_requests_is_no_picture(desk: Desk) -> None:
    file = desk.upload(asking("x")).json()
    assert (file["purpose"], file["filename"]) == ("batch", "asked.jsonl")
    assert desk.ask("GET", f"/files/{file['id']}/content").content == asking("x")
    said = {"prompt": "x", "images": [{"file_id": file["id"]}]}
    answer = desk.ask("POST", "/images/edits", json=said)
    assert answer.json()["error"]["code"] == "unsupported_file_mimetype"


# --- whose they are, and the list of them


def test_a_batch_of_somebody_else_is_not_there(desk: Desk) -> None:
    running = desk.start("wait")["id"]
    done = desk.over(desk.start("a fox")["id"])
    for id in (running, done["id"], "batch_0"):
        for method, path in (("GET", ""), ("POST", "/cancel")):
            answer = desk.ask(method, f"/batches/{id}{path}", TOKENS[1])
            assert answer.status_code == 404
            assert answer.json()["error"]["message"] == f"No batch found with id '{id}'."
    listed = desk.ask("GET", "/batches", TOKENS[1]).json()
    assert listed == {"object": "list", "data": [], "has_more": False}
    content = f"/files/{done['output_file_id']}/content"
    assert desk.ask("GET", content, TOKENS[1]).status_code == 404
    assert desk.get(running)["status"] == "in_progress"
    desk.painter.go.set()
    desk.over(running)


def test_batches_are_listed_newest_first() -> None:
    with opened() as desk:
        ids = [desk.start("a fox")["id"] for _ in range(3)]
        for id in ids:
            desk.over(id)

        def listed(**query: Any) -> Any:
            said = desk.ask("GET", "/batches", params=query).json()
            found = [one["id"] for one in said["data"]]
            assert (said["first_id"], said["last_id"]) == (found[0], found[-1])
            return found, said["has_more"]

        assert listed() == (ids[::-1], False)
        assert listed(limit=2) == (ids[:0:-1], True)
        assert listed(limit=2, after=ids[1]) == (ids[:1], False)
        for query in ({"limit": 0}, {"limit": 101}, {"order": "asc"}):
            assert desk.ask("GET", "/batches", params=query).status_code == 400


def test_a_batch_that_vanishes_while_it_is_listed_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with opened() as desk:
        done = desk.over(desk.start("a fox")["id"])
        monkeypatch.setattr(desk.store, "ids", lambda kind, owner: ["batch_0", done["id"]])
        assert desk.ask("GET", "/batches").json()["data"] == [done]


# --- how many at once


def test_batches_leave_half_of_the_room_to_who_waits() -> None:
    with opened(limits=Limits(concurrent=4)) as desk:
        painter = desk.painter
        made = [desk.start(*["wait"] * 3)["id"] for _ in range(2)]
        assert painter.holds(2)
        done = threading.Semaphore(0)
        said = {"prompt": "wait"}
        statuses: list[int] = []

        def visit() -> None:
            statuses.append(desk.ask("POST", "/images/generations", json=said).status_code)
            done.release()

        for _ in range(2):
            threading.Thread(target=visit).start()
        assert painter.holds(4)
        turned_away = desk.ask("POST", "/images/generations", json=said)
        assert (turned_away.status_code, len(painter.asked)) == (429, 4)
        painter.go.set()
        done.acquire()
        done.acquire()
        assert statuses == [200, 200]
        for id in made:
            assert desk.over(id)["request_counts"]["completed"] == 3
    assert painter.most == 4


def test_who_was_turned_away_comes_before_the_rest_of_a_batch() -> None:
    with opened(limits=Limits(concurrent=1)) as desk:
        made = desk.start("wait", *["slow"] * 8)
        assert desk.painter.holds(1)
        said = {"prompt": "an otter"}
        first = desk.ask("POST", "/images/generations", json=said)
        assert (first.status_code, first.headers["retry-after"]) == (429, "2")
        desk.painter.go.set()
        assert patiently(lambda: desk.get(made["id"])["request_counts"]["completed"] == 1)
        assert desk.ask("POST", "/images/generations", json=said).status_code == 200
        assert [one.prompt for one in desk.painter.asked] == ["wait", "an otter"]
        assert patiently(lambda: desk.get(made["id"])["status"] == "completed")


def test_so_many_batches_are_unfinished_at_once() -> None:
    with opened(limits=Limits(batches=1, grace=2)) as desk:
        made = desk.start("wait")
        said = {"input_file_id": "f", "endpoint": GENERATIONS, "completion_window": "24h"}
        assert desk.ask("POST", "/batches", TOKENS[1], json=said).status_code == 200
        refused = desk.begin("file-0")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "60")
        assert refused.json()["error"]["code"] == "rate_limit_exceeded"
        desk.painter.go.set()
        desk.over(made["id"])
        assert patiently(lambda: desk.begin("file-0").status_code == 200)


# --- cancelled, expired


def test_a_cancelled_batch_finishes_what_was_begun() -> None:
    with opened(limits=Limits(concurrent=4)) as desk:
        made = desk.start("wait", "wait", "a fox", "a hill")
        assert desk.painter.holds(2)
        answer = desk.ask("POST", f"/batches/{made['id']}/cancel")
        assert answer.json()["status"] == "cancelling"
        again = desk.ask("POST", f"/batches/{made['id']}/cancel")
        assert (again.status_code, again.json()["status"]) == (200, "cancelling")
        assert desk.get(made["id"])["status"] == "cancelling"
        desk.painter.go.set()
        done = desk.over(made["id"])
        output, errors = desk.files(done)
        last = desk.ask("POST", f"/batches/{made['id']}/cancel")
    assert done["status"] == last.json()["status"] == "cancelled"
    assert done["cancelling_at"] <= done["cancelled_at"]
    assert done["request_counts"] == {"total": 4, "completed": 2, "failed": 0}
    assert names(output) == ["line-0", "line-1"]
    assert codes(errors) == [("line-2", "batch_cancelled"), ("line-3", "batch_cancelled")]
    assert errors[0]["error"]["message"].endswith("because the batch was cancelled.")


def test_a_batch_that_waits_for_room_is_cancelled_at_once() -> None:
    with opened(limits=Limits(concurrent=1)) as desk:
        said = {"input": "wait", "tools": [TOOL], "background": True}
        assert desk.ask("POST", "/responses", json=said).status_code == 200
        made = desk.start("a fox")
        assert patiently(lambda: desk.get(made["id"])["status"] == "in_progress")
        desk.ask("POST", f"/batches/{made['id']}/cancel")
        assert desk.over(made["id"])["status"] == "cancelled"
        assert len(desk.painter.asked) == 1


def test_what_is_kept_last_is_what_is_true_last(monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(limits=Limits(concurrent=1)) as desk:
        putting, slow = desk.store.put, threading.Event()

        def put(kind: str, id: str, owner: str, data: bytes, **more: Any) -> None:
            if kind == "batch" and b'"cancelling"' in data:
                slow.wait(0.3)
            putting(kind, id, owner, data, **more)

        monkeypatch.setattr(desk.store, "put", put)
        said = {"input": "wait", "tools": [TOOL], "background": True}
        assert desk.ask("POST", "/responses", json=said).status_code == 200
        made = desk.start("a fox")
        assert patiently(lambda: desk.get(made["id"])["status"] == "in_progress")
        desk.ask("POST", f"/batches/{made['id']}/cancel")
        done = desk.over(made["id"])
        files = desk.ask("GET", "/files", params={"purpose": "batch_output"}).json()["data"]
    assert [one["id"] for one in files] == [done["error_file_id"]]


@pytest.mark.parametrize(("second", "lost"), [("b", 2), ("first", 0)])
def test_a_batch_can_be_cancelled_while_it_is_read(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, second: str, lost: int
) -> None:
    reading, read = lines.examined, threading.Event()

    def slowly(*given: Any) -> Any:
        read.wait(30)
        return reading(*given)

    monkeypatch.setattr(lines, "examined", slowly)
    made = desk.start(written(GOOD, asked(second, {"prompt": "x"})))
    answer = desk.ask("POST", f"/batches/{made['id']}/cancel")
    assert answer.json()["status"] == "cancelling"
    read.set()
    done = desk.over(made["id"])
    output, errors = desk.files(done)
    assert (done["status"], done["errors"], done["in_progress_at"]) == ("cancelled", None, None)
    assert (output, [code for _, code in codes(errors)]) == ([], ["batch_cancelled"] * lost)
    assert desk.painter.asked == []


@pytest.mark.parametrize("prompt", ["a fox", b"{}"])
def test_what_is_over_cannot_be_cancelled(desk: Desk, prompt: Any) -> None:
    done = desk.over(desk.start(prompt)["id"])
    answer = desk.ask("POST", f"/batches/{done['id']}/cancel")
    assert answer.status_code == 409
    assert answer.json()["error"] == {
        "message": f"Cannot cancel a batch with status '{done['status']}'.",
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }


def test_a_window_that_passes_ends_a_batch() -> None:
    with opened(limits=Limits(concurrent=2, window=3.0)) as desk:
        made = desk.start("wait", "a fox", "a hill")
        assert desk.painter.holds(1)
        running = desk.running.app._service.runs
        assert patiently(lambda: work_of(desk, made["id"]).why == "expired")
        assert desk.get(made["id"])["status"] == "in_progress"
        desk.painter.go.set()
        done = desk.over(made["id"])
        output, errors = desk.files(done)
        assert len(running) == 0
    assert done["status"] == "expired"
    assert done["finalizing_at"] <= done["expired_at"]
    assert done["request_counts"] == {"total": 3, "completed": 1, "failed": 0}
    assert names(output) == ["line-0"]
    assert codes(errors) == [("line-1", "batch_expired"), ("line-2", "batch_expired")]
    assert errors[0]["error"]["message"] == (
        "This request could not be executed before the completion window expired."
    )


def work_of(desk: Desk, id: str) -> Any:
    """What the server knows of a batch that is not done."""
    routes: list[Any] = desk.running.app._router.routes
    [create] = [one for one in routes if one.path == "/v1/batches" and "POST" in one.methods]
    return create.endpoint.__self__._live[id]


def test_a_window_that_passes_while_the_last_is_made_is_none() -> None:
    with opened(limits=Limits(window=3.0)) as desk:
        made = desk.start("wait", "a fox")
        assert desk.painter.holds(2)
        assert patiently(lambda: work_of(desk, made["id"]).why == "expired")
        desk.painter.go.set()
        done = desk.over(made["id"])
    assert (done["status"], done["request_counts"]["completed"]) == ("completed", 2)


# --- what a stop leaves


def test_a_server_that_stops_finishes_what_was_begun_and_says_so(tmp_path: Path) -> None:
    kept = tmp_path / "kept.db"
    with opened(database=kept, limits=Limits(concurrent=4, grace=10)) as desk:
        made = desk.start("wait", "wait", "a fox", "no")
        assert desk.painter.holds(2)
        desk.running.app.stop()
        assert desk.begin("file-0").status_code == 503
        desk.running.stop()
        threading.Timer(0.1, desk.painter.go.set).start()
        desk.running.thread.join()
    with opened(database=kept) as desk:
        done = desk.get(made["id"])
        output, errors = desk.files(done)
    assert done["status"] == "failed"
    [error] = done["errors"]["data"]
    assert (error["code"], error["line"]) == ("server_error", None)
    assert names(output) == ["line-0", "line-1"]
    assert codes(errors) == [("line-2", "batch_failed"), ("line-3", "batch_failed")]


def test_calls_that_a_stop_ends_may_have_been_charged(tmp_path: Path) -> None:
    kept = tmp_path / "kept.db"
    with opened(database=kept, limits=Limits(concurrent=2, grace=0.1)) as desk:
        made = [
            desk.start({"input": "wait", "tools": [TOOL]}, endpoint=TALK),
            desk.start("wait"),
        ]
        assert desk.painter.holds(1)
        desk.running.server.should_exit = True
        desk.running.thread.join()
    with opened(database=kept) as desk:
        first, second = (desk.get(one["id"]) for one in made)
        [ended], [left] = desk.rows(first["error_file_id"]), desk.rows(second["error_file_id"])
    assert (first["status"], second["status"]) == ("completed", "failed")
    assert ended["response"]["status_code"] == 503
    assert "may have been charged" in ended["response"]["body"]["error"]["message"]
    assert codes([left]) == [("line-0", "batch_failed")]


def test_a_call_that_was_let_in_and_not_begun_is_not_begun_by_a_server_that_stops() -> None:
    with opened() as desk:
        service = desk.running.app._service
        getting, held, on = service.kept.get, threading.Event(), threading.Event()
        file = desk.upload(PNG, "vision").json()["id"]

        async def slowly(kind: str, id: str, owner: str) -> Any:
            while id == file and not on.is_set():
                held.set()
                await asyncio.sleep(0.005)
            return await getting(kind, id, owner)

        service.kept.get = slowly
        made = desk.start({"prompt": "x", "images": [{"file_id": file}]}, endpoint=EDITS)
        assert held.wait(30)
        desk.running.app.stop()
        on.set()
        done = desk.over(made["id"])
        _, errors = desk.files(done)
    assert (done["status"], codes(errors)) == ("failed", [("line-0", "batch_failed")])
    assert desk.painter.asked == []


def crashed(desk: Desk, kept: Path, copy: Path) -> None:
    """The database as it would be some time after the process died now."""
    with closing(sqlite3.connect(kept)) as at, closing(sqlite3.connect(copy)) as to:
        at.backup(to)
        to.execute("delete from kept where kind = 'batch-beat'")
        to.commit()


def test_what_a_crash_leaves_is_told_and_what_was_made_is_there(tmp_path: Path) -> None:
    kept, copy = tmp_path / "kept.db", tmp_path / "copy.db"
    with opened(database=kept, limits=Limits(concurrent=4)) as desk:
        made = desk.start("a fox", "no", "wait", "wait", "a hill")
        assert desk.painter.holds(4)
        assert patiently(lambda: desk.get(made["id"])["request_counts"]["failed"] == 1)
        crashed(desk, kept, copy)
        desk.painter.go.set()
        desk.over(made["id"])
    with opened(database=copy) as desk:
        [listed] = desk.ask("GET", "/batches").json()["data"]
        done = desk.get(made["id"])
        output, errors = desk.files(done)
        assert desk.store.ids("batch-begun", whose(desk)) == []
    assert listed == done
    assert done["status"] == "failed"
    assert done["errors"]["data"][0]["code"] == "server_error"
    assert done["request_counts"] == {"total": 5, "completed": 1, "failed": 3}
    assert done["usage"]["total_tokens"] == 97
    assert names(output) == ["line-0"]
    refused, *others = errors
    assert refused["response"]["status_code"] == 400
    assert codes(others) == [
        ("line-2", "server_error"),
        ("line-3", "server_error"),
        ("line-4", "batch_failed"),
    ]
    assert "may have been charged" in others[0]["error"]["message"]


def test_what_was_being_cancelled_at_a_crash_is_cancelled(tmp_path: Path) -> None:
    kept, copy = tmp_path / "kept.db", tmp_path / "copy.db"
    with opened(database=kept, limits=Limits(concurrent=2)) as desk:
        made = desk.start("wait", "a fox")
        assert desk.painter.holds(1)
        desk.ask("POST", f"/batches/{made['id']}/cancel")
        crashed(desk, kept, copy)
    with opened(database=copy) as desk:
        done = desk.get(made["id"])
        _, errors = desk.files(done)
    assert (done["status"], done["errors"]) == ("cancelled", None)
    assert codes(errors) == [("line-0", "server_error"), ("line-1", "batch_cancelled")]


def test_whoever_asks_at_the_same_time_sees_it_settled_once(tmp_path: Path) -> None:
    kept, copy = tmp_path / "kept.db", tmp_path / "copy.db"
    with opened(database=kept) as desk:
        made = desk.start("a fox", "wait")
        assert patiently(lambda: desk.get(made["id"])["request_counts"]["completed"] == 1)
        crashed(desk, kept, copy)
    with opened(database=copy) as desk:
        answers: list[Any] = []
        asking = [
            threading.Thread(target=lambda: answers.append(desk.get(made["id"]))) for _ in range(6)
        ]
        for one in asking:
            one.start()
        for one in asking:
            one.join()
        files = desk.ask("GET", "/files", params={"purpose": "batch_output"}).json()["data"]
    assert answers == [answers[0]] * 6
    assert len(files) == 2


# --- a store that fails


def failing(desk: Desk, kind: str, *, after: int = 0) -> Callable[..., None]:
    """A store's `put` that fails for one kind, from some time on."""
    putting, seen = desk.store.put, [0]

    def put(of: str, *given: Any, **more: Any) -> None:
        seen[0] += of == kind
        if of == kind and seen[0] > after:
            raise OSError("the disk is full")
        putting(of, *given, **more)

    return put


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [("batch-output", "completed", "server_error"), ("batch-begun", "failed", "batch_failed")],
)
def test_an_answer_that_cannot_be_kept_is_told(
    monkeypatch: pytest.MonkeyPatch, log: Any, kind: str, status: str, code: str
) -> None:
    with opened() as desk:
        monkeypatch.setattr(desk.store, "put", failing(desk, kind))
        done = desk.over(desk.start("a fox")["id"])
        _, errors = desk.files(done)
        assert len(desk.painter.asked) == (kind == "batch-output")
    assert (done["status"], codes(errors)) == (status, [("line-0", code)])
    assert "an answer could not be kept" in log.text


def test_a_batch_that_cannot_be_kept_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(limits=Limits(batches=1)) as desk:
        file = desk.upload(asking("a fox")).json()["id"]
        with monkeypatch.context() as patch:
            patch.setattr(desk.store, "put", failing(desk, "batch"))
            assert desk.begin(file).status_code == 500
        assert desk.over(desk.begin(file).json()["id"])["status"] == "completed"


def test_a_batch_whose_end_cannot_be_kept_is_settled_later(
    monkeypatch: pytest.MonkeyPatch, log: Any
) -> None:
    with opened() as desk:
        with monkeypatch.context() as patch:
            patch.setattr(desk.store, "put", failing(desk, "batch", after=2))
            made = desk.start("a fox", "no")
            assert patiently(lambda: f"{made['id']} failed" in log.text)
        done = desk.over(made["id"])
        output, errors = desk.files(done)
    assert (done["status"], names(output), names(errors)) == ("failed", ["line-0"], ["line-1"])


def test_a_failure_that_is_kept_no_longer_is_told_as_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with opened() as desk:
        getting = desk.store.get
        monkeypatch.setattr(
            desk.store,
            "get",
            lambda kind, *rest: None if kind == "batch-error" else getting(kind, *rest),
        )
        done = desk.over(desk.start("no")["id"])
        _, errors = desk.files(done)
    assert codes(errors) == [("line-0", "server_error")]


def test_a_picture_that_a_crash_took_is_told_as_lost(tmp_path: Path) -> None:
    kept, copy = tmp_path / "kept.db", tmp_path / "copy.db"
    with opened(database=kept) as desk:
        made = desk.start("a fox", "wait")
        assert patiently(lambda: desk.get(made["id"])["request_counts"]["completed"] == 1)
        crashed(desk, kept, copy)
    with opened(database=copy) as desk:
        getting = desk.store.get
        desk.store.get = lambda kind, *rest: (
            None if kind == "batch-output" else getting(kind, *rest)
        )
        done = desk.get(made["id"])
        desk.store.get = getting
        _, errors = desk.files(done)
    assert done["request_counts"] == {"total": 2, "completed": 0, "failed": 2}
    assert codes(errors) == [("line-0", "server_error"), ("line-1", "server_error")]


# --- room


class Large(Painter):
    """Its pictures take some room."""

    def flow(self, request: ImageRequest) -> Any:
        yield from super().flow(request)
        return ImageResponse(slots=(Image(data=PNG + bytes(30_000)),), model="toy-1")


@contextmanager
def narrow(**limits: Any) -> Iterator[Desk]:
    painter = Large()
    plugins = {"toy": Plugged(Scripted(painter.flow))}
    bounds = Limits(stored=400_000, grace=2, **limits)
    with serving(register=plugins, tokens=TOKENS, limits=bounds) as running:
        try:
            yield Desk(running, painter)
        finally:
            painter.go.set()


def test_a_batch_stops_before_its_own_pictures_have_to_go() -> None:
    # How large they are is guessed until the first is made: no more than two are by then.
    with narrow(concurrent=2) as desk:
        done = desk.over(desk.start(*["a fox"] * 30)["id"])
        output, errors = desk.files(done)
    made = len(desk.painter.asked)
    assert 3 <= made <= 9
    assert done["status"] == "failed"
    [error] = done["errors"]["data"]
    assert (error["code"], error["line"]) == ("storage_full", None)
    assert error["message"].startswith("The rest of the batch was not executed: the server has no")
    assert done["request_counts"] == {"total": 30, "completed": made, "failed": 0}
    assert [row["response"]["status_code"] for row in output] == [200] * made
    assert [code for _, code in codes(errors)] == ["storage_full"] * (30 - made)
    assert "not charged: the server has no room" in errors[0]["error"]["message"]


def test_a_batch_stops_before_the_pictures_of_another_token_have_to_go() -> None:
    with narrow(concurrent=1) as desk:
        first = desk.over(desk.start(*["a fox"] * 4)["id"])
        mine = {"token": TOKENS[1]}
        file = desk.upload(asking(*["a hill"] * 30), **mine).json()["id"]
        said = {"input_file_id": file, "endpoint": GENERATIONS, "completion_window": "24h"}
        second = desk.ask("POST", "/batches", json=said, **mine).json()["id"]
        assert patiently(
            lambda: desk.ask("GET", f"/batches/{second}", **mine).json()["status"] in OVER
        )
        assert desk.ask("GET", f"/batches/{second}", **mine).json()["status"] == "failed"
        output, _ = desk.files(first)
        assert [row["error"] for row in output] == [None] * 4
        # Its own of before make room, as all that is old does.
        again = desk.over(desk.start(*["a fox"] * 2)["id"])
    assert again["status"] == "completed"


def test_a_batch_whose_input_is_forgotten_says_what_was_not_begun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lines, "_PIECE", 150)
    with opened(limits=Limits(concurrent=1)) as desk:
        file = desk.upload(asking("wait", "a fox", "a hill")).json()["id"]
        made = desk.begin(file).json()
        assert desk.painter.holds(1)
        assert not work_of(desk, made["id"]).ahead
        desk.ask("DELETE", f"/files/{file}")
        desk.painter.go.set()
        done = desk.over(made["id"])
        output, errors = desk.files(done)
    assert (done["status"], done["errors"]["data"][0]["code"]) == ("failed", "input_file_gone")
    assert names(output) == ["line-0"]
    assert codes(errors) == [("line-1", "input_file_gone"), ("line-2", "input_file_gone")]


def test_lines_are_in_hand_a_piece_at_a_time() -> None:
    data = asking(*["x" * 400_000] * 4)
    found = lines.examined(data, GENERATIONS, 9).found
    assert [len(lines.taken(data, found, number)) for number in range(4)] == [2, 2, 2, 1]
    assert lines.taken(data, found, 3) == data.splitlines()[3:]


def test_a_batch_that_is_cancelled_while_a_line_is_read_begins_it_no_more() -> None:
    with opened() as desk:
        kept, held, on = desk.running.app._service.kept, threading.Event(), threading.Event()

        async def slowly(*given: Any) -> bool:
            held.set()
            while not on.is_set():
                await asyncio.sleep(0.005)
            return bool(given[0] < 0)

        kept.fits = slowly
        made = desk.start("a fox")
        assert held.wait(30)
        desk.ask("POST", f"/batches/{made['id']}/cancel")
        on.set()
        done = desk.over(made["id"])
        _, errors = desk.files(done)
        assert desk.running.app._service.runs._inside == 0
    assert (done["status"], codes(errors)) == ("cancelled", [("line-0", "batch_cancelled")])


# --- what takes long is not waited for by others


def test_a_file_of_blank_lines_is_looked_through_at_once_and_aside(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    where: list[threading.Thread] = []

    def looking(data: bytes) -> bool:
        where.append(threading.current_thread())
        return lines.looks_right(data)

    monkeypatch.setattr("imagekit.server.wire.files.looks_right", looking)
    began = time.process_time()  # others may have the processor meanwhile
    assert desk.upload(b"\n" * 2**25).status_code == 400
    assert time.process_time() - began < 3
    assert where != [desk.running.thread]


def test_blank_lines_count_however_many() -> None:
    data = b"\n" * 2**21 + b" \n" * 5 + b'  {"a"\n' + b" " * 2**21 + b"\n[]"
    errors = lines.examined(data, GENERATIONS, 9).errors
    assert [one["line"] for one in errors] == [2**21 + 6, 2**21 + 8]
    assert [one["code"] for one in errors] == ["invalid_json_line"] * 2


@pytest.mark.parametrize(("head", "right"), [(b' {"a', True), (b"[", False), (b" " * 2**21, True)])
def test_of_a_long_first_line_the_head_is_looked_at(head: bytes, right: bool) -> None:
    assert lines.looks_right(head + b"x" * 2**21) is right


# --- two servers on one database


def test_a_batch_that_another_server_makes_is_not_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: Any
) -> None:
    monkeypatch.setattr(batches, "_LEASE", 4.0)
    monkeypatch.setattr(batches, "_BREATH", 0.05)
    kept = tmp_path / "kept.db"
    with opened(database=kept) as desk, opened(database=kept) as other:
        made = desk.start("a fox", "wait")
        id = made["id"]
        assert patiently(lambda: other.get(id)["request_counts"]["completed"] == 1)
        with monkeypatch.context() as patch:
            patch.setattr(desk.store, "put", failing(desk, "batch-beat"))
            assert patiently(lambda: "could not say that it goes on" in log.text)
        time.sleep(4.2)
        assert other.get(id)["status"] == "in_progress"
        refused = other.ask("POST", f"/batches/{id}/cancel")
        assert refused.status_code == 409
        assert refused.json()["error"]["message"].startswith("Another server ")
        desk.painter.go.set()
        done = desk.over(id)
        assert other.get(id) == done
        assert patiently(lambda: desk.store.ids("batch-beat", whose(desk)) == [])
    assert (done["status"], done["request_counts"]["completed"]) == ("completed", 2)


def test_a_batch_whose_server_is_not_heard_of_any_more_is_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "_LEASE", 0.5)
    monkeypatch.setattr(batches, "_BREATH", 0.1)
    kept, copy = tmp_path / "kept.db", tmp_path / "copy.db"
    with opened(database=kept) as desk:
        made = desk.start("wait")
        assert desk.painter.holds(1)
        with closing(sqlite3.connect(kept)) as at, closing(sqlite3.connect(copy)) as to:
            at.backup(to)
    with opened(database=copy) as desk:
        assert desk.over(made["id"])["status"] == "failed"
