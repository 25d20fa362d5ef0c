"""Responses as a whole: what comes back, what is kept of it, and for whom."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import openai
import pytest

import imagekit
from imagekit import Image, ImageFailure, ImageRequest, Notice, Usage, UsageItem
from imagekit.provider import sleep
from imagekit.server import Limits
from responding import OTHER, PNG, TOKENS, TOOL, Asking, gives, raises, rows, shared
from serving import asked_and_left
from spoken import httpx
from toys import patiently, picture, refused, spelt


class Reader(Asking):
    """Asks again for what was made."""

    def get(self, id: str) -> httpx.Response:
        return self.client.get(f"/responses/{id}")


@pytest.fixture(scope="module")
def asking() -> Iterator[Any]:
    with shared(Reader) as lent:
        yield lent


# --- what comes back


def test_the_official_client_reads_the_picture(asking: Any) -> None:
    with asking() as toy, openai.OpenAI(api_key="k", base_url=toy.running.url) as sdk:
        made = sdk.responses.create(
            model="gpt-9", input="a fox", tools=[{"type": "image_generation"}]
        )
        [call] = made.output
        assert call.type == "image_generation_call"
        assert base64.b64decode(call.result or "") == PNG
        assert (made.status, made.model, made.id[:5]) == ("completed", "gpt-9", "resp_")
        again = sdk.responses.retrieve(made.id)
        assert again == made
        sdk.responses.delete(made.id)
        with pytest.raises(openai.NotFoundError):
            sdk.responses.retrieve(made.id)


def test_a_response_says_again_what_was_asked(asking: Any) -> None:
    said = {
        "instructions": "in oil",
        "max_output_tokens": 20,
        "max_tool_calls": 2,
        "metadata": {"a": "b"},
        "model": "gpt-9",
        "parallel_tool_calls": False,
        "prompt_cache_key": "k",
        "safety_identifier": "s",
        "store": False,
        "temperature": 0.5,
        "text": {"format": {"type": "text"}, "verbosity": "low"},
        "tool_choice": {"type": "image_generation"},
        "top_p": 0.25,
        "truncation": "auto",
        "user": "u",
    }
    with asking() as toy:
        body = toy.post("a fox", {"size": "4x2", "quality": None}, **said).json()
        assert {name: body[name] for name in said} == said
        assert body["tools"] == [{"type": "image_generation", "size": "4x2"}]
        body = toy.post(user="u", reasoning={"effort": "low"}).json()
        assert body["reasoning"] == {"effort": "low", "summary": None}
        assert (body["safety_identifier"], body["store"]) == ("u", True)
        assert abs(body["created_at"] - time.time()) < 60
        assert body["completed_at"] >= body["created_at"]
        assert (body["error"], body["usage"], "tool_usage" in body) == (None, None, False)


def test_the_model_is_the_tools_where_none_leads_the_conversation(asking: Any) -> None:
    with asking() as toy:
        assert toy.post("a fox", {"model": "m"}).json()["model"] == "m"
        assert toy.post().json()["model"] == ""


def test_a_picture_tells_what_it_is(asking: Any) -> None:
    echo = {"quality": "high", "background": "opaque"}
    made = Image(data=PNG, revised_prompt="a red fox", echo=echo)
    with asking(gives(made)) as toy:
        [call] = toy.post("a fox").json()["output"]
        assert call.pop("id").startswith("ig_")
        assert call == {
            "type": "image_generation_call",
            "status": "completed",
            "action": "generate",
            "background": "opaque",
            "output_format": "png",
            "quality": "high",
            "size": "4x2",
            "revised_prompt": "a red fox",
            "result": spelt(PNG),
        }
        seen = {"type": "input_image", "image_url": f"data:;base64,{spelt(PNG)}"}
        words = {"type": "input_text", "text": "add snow"}
        [call] = toy.post([{"role": "user", "content": [seen, words]}]).json()["output"]
        assert call["action"] == "edit"


def test_each_picture_of_a_call_is_an_item_and_is_kept(asking: Any) -> None:
    pictures = [Image(data=picture(shade)) for shade in range(3)]
    with asking(gives(*pictures)) as toy:
        body = toy.post().json()
        assert [one["result"] for one in body["output"]] == [
            spelt(picture(shade)) for shade in range(3)
        ]
        assert toy.get(body["id"]).json() == body
        assert toy.client.delete(f"/responses/{body['id']}").json() == {
            "id": body["id"],
            "object": "response",
            "deleted": True,
        }
        last = {"type": "item_reference", "id": body["output"][2]["id"]}
        assert toy.post([last, {"role": "user", "content": "x"}]).status_code == 404


def test_a_picture_that_failed_stands_beside_one_that_did_not(asking: Any) -> None:
    lost = ImageFailure(kind="refused", reason="no", stage="output", categories=("violence",))
    broken = ImageFailure(kind="failed", reason="it broke at /home/me/x.py", code="oops")
    with asking(gives(lost, Image(data=PNG), broken)) as toy:
        answer = toy.post()
        body = answer.json()
        assert (answer.status_code, body["status"]) == (200, "completed")
        first, _, third = body["output"]
        assert [one["status"] for one in body["output"]] == ["failed", "completed", "failed"]
        assert (first["result"], third["result"]) == (None, None)
        assert first["error"] == {
            "code": "moderation_blocked",
            "message": "no",
            "type": "image_generation_user_error",
            "moderation_details": {"moderation_stage": "output", "categories": ["violence"]},
        }
        assert third["error"] == {
            "code": "oops",
            "message": "it broke at …",
            "type": "server_error",
        }
        assert toy.get(body["id"]).json() == body
        go_on = toy.post("more", previous_response_id=body["id"]).json()
        assert go_on["output"][1]["action"] == "edit"


def test_a_link_that_cannot_be_followed_is_a_failed_item(asking: Any) -> None:
    with asking(gives(Image(url=f"{refused()}/a.png"), Image(data=PNG))) as toy:
        lost, made = toy.post().json()["output"]
        assert (lost["status"], lost["error"]["code"]) == ("failed", "failed_to_download_image")
        assert made["status"] == "completed"


def test_tokens_are_counted_where_the_dialect_counts_them(asking: Any) -> None:
    items = [
        UsageItem(quantity=Decimal(10), direction="input", modality="text"),
        UsageItem(quantity=Decimal(200), direction="output", modality="image"),
        UsageItem(quantity=Decimal(7), direction="input", model="gpt-9"),
        UsageItem(quantity=Decimal(5), direction="output", model="gpt-9", detail="reasoning"),
    ]
    with asking(gives(Image(data=PNG), usage=Usage(items=tuple(items)))) as toy:
        body = toy.post().json()
        assert (body["usage"]["input_tokens"], body["usage"]["output_tokens"]) == (7, 5)
        assert body["usage"]["output_tokens_details"] == {"reasoning_tokens": 5}
        assert body["tool_usage"]["image_gen"]["total_tokens"] == 210
        assert body["tool_usage"]["web_search"] == {"num_requests": 0}


def test_words_beside_the_picture_are_a_message(asking: Any) -> None:
    with asking(gives(Image(data=PNG), text="Here it is.")) as toy:
        call, message = toy.post().json()["output"]
        assert call["result"] == spelt(PNG)
        part = {"type": "output_text", "text": "Here it is.", "annotations": [], "logprobs": []}
        assert message["id"].startswith("msg_")
        assert (message["role"], message["status"], message["content"]) == (
            "assistant",
            "completed",
            [part],
        )


def test_words_in_place_of_a_picture_are_an_answer(asking: Any) -> None:
    with asking(gives(text="What kind of fox?")) as toy:
        answer = toy.post()
        [message] = answer.json()["output"]
        assert (answer.status_code, answer.json()["status"]) == (200, "completed")
        assert message["content"][0]["text"] == "What kind of fox?"
        assert toy.get(answer.json()["id"]).json() == answer.json()


def test_a_refusal_in_words_is_an_answer(asking: Any) -> None:
    lost = ImageFailure(kind="refused", reason="I cannot draw that.", code="refusal")
    with asking(gives(lost)) as toy:
        answer = toy.post()
        [message] = answer.json()["output"]
        assert (answer.status_code, answer.json()["status"]) == (200, "completed")
        assert message["content"] == [{"type": "refusal", "refusal": "I cannot draw that."}]


def test_notices_travel_in_a_header_without_paths(asking: Any) -> None:
    said = Notice(kind="other", feature="x", detail="see /home/me/secret/x.py")
    with asking(gives(Image(data=PNG), notices=(said,))) as toy:
        [one] = json.loads(toy.post().headers["x-imagekit-notices"])
        assert one == {"kind": "other", "feature": "x", "detail": "see …"}


# --- errors

SECRETS = "see https://h/k?key=sk-very-secret-1 and /home/me/keys/k.txt"
RETRY = "x-should-retry"


@pytest.mark.parametrize(
    ("error", "status", "kind", "code"),
    [
        (
            imagekit.ContentRejectedError("no", stage="input", categories=("violence",)),
            400,
            "image_generation_user_error",
            "moderation_blocked",
        ),
        (imagekit.RequestError(SECRETS), 400, "invalid_request_error", None),
        (
            imagekit.InvalidRequestError(SECRETS, status=422, code="odd", param="size"),
            422,
            "invalid_request_error",
            "odd",
        ),
        (imagekit.RateLimitError(SECRETS), 429, "rate_limit_error", "rate_limit_exceeded"),
        (imagekit.QuotaExceededError(SECRETS), 429, "insufficient_quota", "insufficient_quota"),
        (imagekit.NoImageError(SECRETS), 500, "server_error", "no_image"),
        (imagekit.ConfigurationError(SECRETS), 500, "server_error", "server_error"),
        (imagekit.PluginError(SECRETS), 502, "server_error", "server_error"),
        (imagekit.AuthenticationError(SECRETS), 502, "server_error", "server_error"),
        (imagekit.ProviderUnavailableError(SECRETS), 502, "server_error", "server_error"),
        (imagekit.TransportTimeoutError(SECRETS), 502, "server_error", "server_error"),
        (imagekit.ProtocolError(SECRETS), 502, "server_error", "server_error"),
        (imagekit.DeadlineExceededError(SECRETS), 504, "server_error", "timeout"),
        (KeyError(SECRETS), 502, "server_error", "server_error"),
    ],
    ids=lambda one: type(one).__name__ if isinstance(one, Exception) else "",
)
def test_a_providers_failure_is_translated_and_nothing_of_it_leaks(
    asking: Any, error: Exception, status: int, kind: str, code: str | None
) -> None:
    if isinstance(error, imagekit.ImagekitError):
        error.billed = "no" if status == 429 else "possibly"
    with asking(raises(error)) as toy:
        answer = toy.post()
        assert answer.status_code == status
        found = answer.json()["error"]
        assert (found["type"], found["code"]) == (kind, code)
        for secret in ("sk-very", "/home/me", "https://"):
            assert secret not in answer.text + str(answer.headers)
        if status == 400 and "moderation_details" in found:
            assert found["moderation_details"]["categories"] == ["violence"]
        assert answer.headers[RETRY] == ("true" if code == "rate_limit_exceeded" else "false")


def test_what_a_provider_cannot_do_is_said_before_it_is_asked(asking: Any) -> None:
    seen = {"type": "input_image", "image_url": f"data:;base64,{spelt(PNG)}"}
    said = [{"role": "user", "content": [seen, {"type": "input_text", "text": "a hat"}]}]
    with asking() as toy:
        answer = toy.post(said, {"input_image_mask": {"image_url": seen["image_url"]}})
        assert answer.status_code == 400
        assert answer.json()["error"]["message"] == "toy takes no mask"


def test_a_failed_call_is_not_kept(asking: Any, tmp_path: Path) -> None:
    with asking(raises(imagekit.ContentRejectedError("no")), database=tmp_path / "kept.db") as toy:
        assert toy.post().status_code == 400
        assert rows(tmp_path / "kept.db", "select count(*) from kept") == [(0,)]


def test_a_call_that_takes_too_long_is_ended(asking: Any) -> None:
    def script(request: ImageRequest) -> Any:
        yield from sleep(30)

    with asking(script, limits=Limits(request=0.05)) as toy:
        answer = toy.post()
        assert (answer.status_code, answer.json()["error"]["code"]) == (504, "timeout")


def test_more_calls_than_may_be_are_turned_away(asking: Any, gate: Any) -> None:
    with asking(gate.flow, limits=Limits(concurrent=1)) as toy:
        first = toy.post(background=True).json()
        for more in ({}, {"background": True}, {"stream": True}):
            answer = toy.post(**more)
            assert (answer.status_code, answer.headers[RETRY]) == (429, "true")
        gate.opened.set()
        assert patiently(lambda: toy.get(first["id"]).json()["status"] == "completed")


# --- what is kept


@pytest.mark.parametrize("where", ["memory", "file"])
def test_responses_are_kept_until_they_expire(asking: Any, where: str, tmp_path: Path) -> None:
    database = tmp_path / "kept.db" if where == "file" else None
    with asking(limits=Limits(kept=3.0), database=database) as toy:
        body = toy.post().json()
        assert toy.get(body["id"]).json() == body
        assert patiently(lambda: toy.get(body["id"]).status_code == 404)


def test_a_response_whose_picture_is_no_more_says_so_by_null(asking: Any, tmp_path: Path) -> None:
    with asking(database=tmp_path / "kept.db") as toy:
        id = toy.post().json()["id"]
        rows(tmp_path / "kept.db", "delete from kept where kind = 'picture'")
        assert toy.get(id).json()["output"][0]["result"] is None
        assert toy.post("more", previous_response_id=id).status_code == 404


def test_a_response_outlives_the_server_in_a_file(asking: Any, tmp_path: Path) -> None:
    with asking(database=tmp_path / "kept.db") as toy:
        body = toy.post().json()
    with asking(database=tmp_path / "kept.db") as toy:
        assert toy.get(body["id"]).json() == body
        assert toy.post("more", previous_response_id=body["id"]).status_code == 200


def test_a_store_that_fails_does_not_lose_the_picture(
    asking: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with asking(database=tmp_path / "kept.db") as toy:
        rows(tmp_path / "kept.db", "drop table kept")
        answer = toy.post()
        assert answer.status_code == 200
        assert answer.json()["output"][0]["result"] == spelt(PNG)
        assert "could not be kept" in caplog.text


def test_an_unknown_response_is_not_found(asking: Any) -> None:
    with asking() as toy:
        found = [
            toy.client.get("/responses/resp_none"),
            toy.client.get("/responses/resp_none?stream=true"),
            toy.client.delete("/responses/resp_none"),
            toy.client.post("/responses/resp_none/cancel"),
        ]
        for answer in found:
            assert answer.status_code == 404
            assert answer.json()["error"] == {
                "message": "Response with id 'resp_none' not found.",
                "type": "invalid_request_error",
                "param": None,
                "code": None,
            }


def test_nobody_reaches_what_is_anothers(asking: Any) -> None:
    with asking(tokens=TOKENS) as toy:
        body = toy.post().json()
        id, made = body["id"], body["output"][0]["id"]
        other = {"headers": OTHER}
        assert toy.client.get(f"/responses/{id}", **other).status_code == 404
        assert toy.client.get(f"/responses/{id}?stream=true", **other).status_code == 404
        assert toy.client.delete(f"/responses/{id}", **other).status_code == 404
        assert toy.client.post(f"/responses/{id}/cancel", **other).status_code == 404
        said: dict[str, Any] = {"tools": [TOOL]}
        for asked in (
            {"input": "more", "previous_response_id": id},
            {"input": [{"type": "item_reference", "id": made}, {"role": "user", "content": "x"}]},
        ):
            answer = toy.client.post("/responses", json=said | asked, **other)
            assert answer.status_code in (400, 404)
        assert toy.get(id).json() == body


def test_a_response_that_was_not_made_in_the_background_cannot_be_cancelled(asking: Any) -> None:
    with asking() as toy:
        id = toy.post().json()["id"]
        answer = toy.client.post(f"/responses/{id}/cancel")
        assert answer.status_code == 400
        assert answer.json()["error"]["message"] == "Cannot cancel a synchronous response."


def test_a_response_that_was_not_streamed_in_the_background_cannot_be_resumed(asking: Any) -> None:
    with asking() as toy:
        for more in ({}, {"stream": True}, {"background": True}):
            answer = toy.post(**more)
            text = answer.text
            id = text[text.index("resp_") :].partition('"')[0]
            assert patiently(lambda: toy.live == 0)
            answer = toy.client.get(f"/responses/{id}?stream=true")
            assert (answer.status_code, answer.json()["error"]["param"]) == (400, "stream")


def test_a_client_that_leaves_ends_the_call_it_waits_for(asking: Any, gate: Any) -> None:
    with asking(gate.flow) as toy:
        asked_and_left(f"{toy.running.url}/responses", gate.holds, {"input": "a", "tools": [TOOL]})
        assert gate.left.wait(30)
