"""Batches: what is in the file, what its answers come to, and everything that goes wrong."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest
from openai.types import Batch, FileObject
from openai_wire import (
    BLOCKED,
    IMAGE_USAGE,
    KEY,
    ONE,
    THREE,
    TWO,
    asked,
    b64,
    begun,
    call,
    images_body,
    of_images,
    of_responses,
    options,
    png,
    response_body,
)
from test_background import COLOURS, TOKEN, Script, a_client

import imagekit
from imagekit import (
    AsyncClient,
    Client,
    ConnectionFailedError,
    DeadlineExceededError,
    Image,
    ImageFailure,
    ImageInput,
    ImagekitError,
    ImageRequest,
    InvalidRequestError,
    Mask,
    NoImageError,
    Progress,
    ProtocolError,
    ProviderError,
    ProviderFile,
    Queued,
    RequestError,
    State,
    TransportError,
    TransportTimeoutError,
    UnsupportedRequestError,
)
from imagekit import _jobs as imagekit_jobs
from imagekit.provider import HttpRequest
from imagekit.server import Limits
from imagekit.server.wire import batches
from imagekit.testing import Played, json_response, play
from imagekit_openai import _batch_file, _batches
from serving import serving
from spoken import httpx
from strictly import known

LARGE = png(40) + bytes(_batch_file.INLINE)
MODEL = "gpt-image-2.6-sunburst"


def batch(status: str = "completed", **changes: Any) -> dict[str, Any]:
    """A batch object."""
    return {
        "id": "batch_1",
        "object": "batch",
        "endpoint": "/v1/images/generations",
        "completion_window": "24h",
        "created_at": 1795200296,
        "input_file_id": "file-in",
        "status": status,
        "output_file_id": "file-out" if status in ("completed", "expired", "cancelled") else None,
        **changes,
    }


def file(id: str = "file-in", **changes: Any) -> dict[str, Any]:
    """A file object."""
    return {
        "id": id,
        "object": "file",
        "bytes": 5,
        "created_at": 1795200296,
        "filename": "imagekit-batch.jsonl",
        "purpose": "batch",
        "status": "processed",
        **changes,
    }


def line(number: int, body: Any, status: int = 200, **changes: Any) -> str:
    """A line of an output file."""
    response = {"status_code": status, "request_id": f"req_{number}", "body": body}
    said = {"id": "batch_req_1", "custom_id": f"request-{number}", "response": response}
    return json.dumps({**said, "error": None, **changes})


@pytest.mark.parametrize("status", ["validating", "in_progress", "completed", "expired"])
def test_the_official_types_know_our_literals(status: str) -> None:
    known(Batch, batch(status))
    known(FileObject, file())


UP, MADE = json_response(file()), json_response(batch("validating"))
DONE, OUT = json_response(batch()), begun()


def batched(*replies: Any, of: Any = None, requests: Any = None, script: Any = ()) -> Played:
    requests = requests or [asked("an otter"), asked("a heron", n=2)]
    played = Played()
    play((of or of_images()).batch(requests), *replies, events=script, into=played)
    return played


def lines_of(request: HttpRequest) -> list[dict[str, Any]]:
    [part] = request.parts
    text = part.data.decode()
    assert text.endswith("\n")
    return [json.loads(one) for one in text.splitlines()]


# --- the file


def test_a_batch_is_a_file_a_batch_and_its_answers_in_the_order_of_the_requests() -> None:
    script = [line(1, images_body(TWO, THREE)), line(0, images_body(ONE)), None]
    played = batched(UP, MADE, json_response(batch("in_progress")), DONE, OUT, script=script)
    upload, create, *reads, content = played.requests
    assert (upload.method, upload.url, upload.form) == ("POST", "/files", (("purpose", "batch"),))
    [part] = upload.parts
    assert (part.name, part.filename) == ("file", "imagekit-batch.jsonl")
    assert lines_of(upload) == [
        {
            "custom_id": "request-0",
            "method": "POST",
            "url": "/v1/images/generations",
            "body": {"prompt": "an otter", "model": MODEL},
        },
        {
            "custom_id": "request-1",
            "method": "POST",
            "url": "/v1/images/generations",
            "body": {"prompt": "a heron", "model": MODEL, "n": 2},
        },
    ]
    assert (create.method, create.url) == ("POST", "/batches")
    assert create.json == {
        "input_file_id": "file-in",
        "endpoint": "/v1/images/generations",
        "completion_window": "24h",
    }
    assert [(one.method, one.url) for one in reads] == [("GET", "/batches/batch_1")] * 2
    assert (content.method, content.url) == ("GET", "/files/file-out/content")
    # Only what begins work may be charged: a second copy of a file costs nothing.
    assert [one.charges for one in played.requests] == [False, True, False, False, False]
    assert [one.data for one in played.response.images] == [ONE, TWO, THREE]
    assert played.checkpoints == [
        {
            "batch_id": "batch_1",
            "input": "file-in",
            "uploads": [],
            "model": MODEL,
            "counts": [1, 2],
        }
    ]


def test_usage_is_summed_and_ids_are_kept() -> None:
    script = [line(0, images_body(ONE)), line(1, images_body(TWO, THREE)), None]
    response = batched(UP, MADE, DONE, OUT, script=script).response
    assert response.usage.total_tokens == 2 * IMAGE_USAGE["total_tokens"]
    assert response.request_ids == ("req_0", "req_1")
    assert response.model == MODEL


def test_the_price_is_said_when_it_is_begun_and_when_it_is_done() -> None:
    script = [line(0, images_body(ONE)), line(1, images_body(TWO, THREE)), None]
    played = batched(UP, MADE, DONE, OUT, script=script)
    [price] = [one.notice for one in played.events if isinstance(one, imagekit.Noticed)]
    assert (price.kind, price.feature, price.used) == ("other", "price", "0.5")
    assert "half" in price.detail
    assert "2026-10-14" in price.detail
    assert played.response.metadata == {
        "batch_id": "batch_1",
        "status": "completed",
        "price_factor": "0.5",
        "price_source": "genai-prices 0.2.3",
        "price_as_of": "2026-10-14",
    }


def test_the_price_at_another_server_is_unknown() -> None:
    script = [line(0, images_body(ONE)), None]
    there = of_images(base_url="http://127.0.0.1:1/v1")
    played = batched(UP, MADE, DONE, OUT, of=there, requests=[asked()], script=script)
    assert not [one for one in played.events if isinstance(one, imagekit.Noticed)]
    assert played.response.metadata == {"batch_id": "batch_1", "status": "completed"}


def sent(*requests: ImageRequest, of: Any = None) -> list[dict[str, Any]]:
    """The lines that are uploaded for *requests*."""
    refused = json_response({"error": {"message": "no"}}, 400)
    played = Played()
    with pytest.raises(InvalidRequestError):
        play((of or of_images()).batch(requests), UP, refused, json_response({}), into=played)
    return lines_of(played.requests[0])


def data_url(data: bytes) -> str:
    return f"data:image/png;base64,{b64(data)}"


def test_small_pictures_and_masks_travel_in_the_lines() -> None:
    mask = Mask(TWO, edit_where="transparent")
    wanted = asked("a hat", images=[ONE, ProviderFile("file-1"), "https://x.example/a.png"])
    [one] = sent(wanted.with_(mask=mask))
    assert one["url"] == "/v1/images/edits"
    assert one["body"] == {
        "prompt": "a hat",
        "model": MODEL,
        "images": [
            {"image_url": data_url(ONE)},
            {"file_id": "file-1"},
            {"image_url": "https://x.example/a.png"},
        ],
        "mask": {"image_url": data_url(TWO)},
    }


def test_large_pictures_are_uploaded_first_and_each_but_once() -> None:
    mask = Mask(TWO, edit_where="transparent")
    requests = [
        asked("a hat", images=[LARGE, ONE]),
        asked("a coat", images=[LARGE], mask=mask),
    ]
    replies = [json_response(file(f"file-{place}")) for place in "abc"]
    script = [line(0, images_body()), None]
    played = batched(*replies, UP, MADE, DONE, OUT, requests=requests, script=script)
    *uploads, jsonl = played.requests[:4]
    assert {bytes(part.data) for one in uploads for part in one.parts} == {LARGE, ONE, TWO}
    assert all(
        one.form
        == (
            ("purpose", "vision"),
            ("expires_after[anchor]", "created_at"),
            ("expires_after[seconds]", "2592000"),
        )
        for one in uploads
    )
    assert [part.media_type for one in uploads for part in one.parts] == ["image/png"] * 3
    first, second = (one["body"] for one in lines_of(jsonl))
    assert first["images"] == [{"file_id": "file-a"}, {"file_id": "file-b"}]
    assert second["images"] == [{"file_id": "file-a"}]
    assert second["mask"] == {"file_id": "file-c"}
    assert played.checkpoints[0]["uploads"] == ["file-a", "file-b", "file-c"]


def test_the_limit_is_that_of_all_pictures_together() -> None:
    half = png(50) + bytes(_batch_file.INLINE // 2)
    [one, other] = sent(asked("a", images=[half[:-200]]), asked("b", images=[half[:-200]]))
    assert one["body"]["images"][0]["image_url"].startswith("data:")
    assert len(other["body"]["images"][0]["image_url"]) < 20_971_520
    with pytest.raises(AssertionError, match="no reply was scripted"):
        batched(requests=[asked("a", images=[half])] * 2)


def test_what_is_drawn_is_in_the_lines_of_the_other_dialect_too() -> None:
    wanted = asked(
        "a hat",
        images=[ONE],
        mask=Mask(TWO, edit_where="transparent"),
        detach=True,
        options=options("openai-responses", store=False),
    )
    [one] = sent(wanted, of=of_responses())
    assert one["url"] == "/v1/responses"
    body = one["body"]
    assert body["store"] is False
    assert "background" not in body
    assert body["tools"][0]["input_image_mask"] == {"image_url": data_url(TWO)}
    assert body["input"][0]["content"][1] == {"type": "input_image", "image_url": data_url(ONE)}


def test_a_variation_is_emulated_and_says_so() -> None:
    played = Played()
    with pytest.raises(AssertionError):
        play(of_images().batch([asked(None, images=ONE)]), into=played)
    kinds = [one.notice.kind for one in played.events if isinstance(one, imagekit.Noticed)]
    assert kinds == ["emulated", "other"]
    [one] = lines_of(played.requests[0])
    assert one["url"] == "/v1/images/edits"
    assert one["body"]["prompt"].startswith("Make a variation")


def test_previews_are_a_notice() -> None:
    played = Played()
    with pytest.raises(AssertionError):
        play(of_images().batch([asked(partial_images=2)]), into=played)
    [found, _] = [one.notice for one in played.events if isinstance(one, imagekit.Noticed)]
    assert (found.kind, found.feature, found.wanted) == ("unsupported", "partial_images", "2")
    assert "partial_images" not in lines_of(played.requests[0])[0]["body"]


def test_svgs_are_made_one_at_a_time() -> None:
    wanted = asked(n=2, output_format="svg")
    lines = sent(wanted, asked(output_format="svg"))
    assert [one["custom_id"] for one in lines] == ["request-0", "request-1", "request-2"]
    assert all("n" not in one["body"] for one in lines)


STATE = State(provider="openai-responses", payload={"response_id": "resp_1", "items": []})
STRICT = {"unsupported": "error"}


@pytest.mark.parametrize(
    ("of", "requests", "words"),
    [
        (of_images(), [asked(model="a"), asked(model="b")], "several: a, b"),
        (of_images(), [asked(), asked(model="b")], f"several: b, {MODEL}"),
        (
            of_responses(),
            [asked(), asked(options=options("openai-responses", conversation_model="gpt-5.5"))],
            "several: .*gpt-5.5",
        ),
        (of_images(), [asked(), asked(images=ONE)], "a batch each"),
        (of_images(), [asked(images=ImageInput(data=ONE, role="markup"))], "no markup"),
        (of_responses(), [asked(images=ImageInput(data=ONE, role="markup"))], "no markup"),
        (of_images(), [asked(state=STATE)], "keeps no state"),
        (of_images(settings={"variations": True}), [asked(None, images=ONE)], "no variations"),
        (of_images(), [asked(partial_images=1, **STRICT)], "no previews"),
        (of_images(), [asked(options=options(extra_body={"stream": True}))], "no 'stream'"),
        (
            of_responses(),
            [asked(options=options("openai-responses", extra_body={"stream": True}))],
            "no 'stream'",
        ),
        (
            of_responses(),
            [asked(options=options("openai-responses", extra_body={"background": True}))],
            "detach=True",
        ),
        (of_images(), [asked(options=options(compexity="low"))], "no option"),
        (of_images(), [asked()] * 50_001, "takes 50000 requests, not 50001"),
        (of_images(), [asked("x" * 3_000_000)] * 70, "200000000 bytes"),
    ],
)
def test_what_a_batch_cannot_carry_is_refused_before_anything_is_sent(
    of: Any, requests: Any, words: str
) -> None:
    with pytest.raises(RequestError, match=words):
        play(of.batch(requests))


def test_azures_batches_are_not_known() -> None:
    azure = {"resource": "mine", "deployment": "pictures"}
    with pytest.raises(UnsupportedRequestError, match="Azure"):
        play(of_images(settings={"azure": azure}).batch([asked()]))


# --- what goes wrong at the beginning

NO_IDS = ["", ".", "..", "a/b", "a?b", "file-1\n", "é", "f" * 201]

REFUSED = json_response({"error": {"message": "not today"}}, 400)


def deletes(played: Played) -> list[str]:
    return [one.url for one in played.requests if one.method == "DELETE"]


def failing(error: type[ImagekitError], *replies: Any, requests: Any) -> Played:
    played = Played()
    with pytest.raises(error):
        play(of_images().batch(requests), *replies, into=played)
    return played


GONE = json_response({"error": {"message": "gone"}}, 404)
BROKEN = json_response({"error": {"message": "broken"}}, 500)
BIG = [asked("a hat", images=[LARGE, ONE])]


def test_a_batch_that_is_refused_leaves_nothing_behind() -> None:
    uploads = [json_response(file("file-a")), json_response(file("file-b"))]
    # What cannot be deleted is left to expire, and is no second error.
    played = failing(
        InvalidRequestError, *uploads, UP, REFUSED, BROKEN, GONE, json_response({}), requests=BIG
    )
    assert deletes(played) == ["/files/file-in", "/files/file-a", "/files/file-b"]


def test_a_picture_that_cannot_be_uploaded_leaves_no_other() -> None:
    played = failing(
        InvalidRequestError, REFUSED, json_response(file("file-b")), json_response({}), requests=BIG
    )
    assert deletes(played) == ["/files/file-b"]


@pytest.mark.parametrize("lost", [TransportTimeoutError("lost"), REFUSED, BROKEN])
def test_a_file_that_cannot_be_uploaded_leaves_no_picture(lost: Any) -> None:
    uploads = [json_response(file("file-a")), json_response(file("file-b"))]
    played = failing(
        ImagekitError, *uploads, lost, json_response({}), json_response({}), requests=BIG
    )
    assert deletes(played) == ["/files/file-a", "/files/file-b"]


@pytest.mark.parametrize("lost", [TransportTimeoutError("lost"), BROKEN])
def test_a_batch_that_may_have_been_begun_keeps_its_files(lost: Any) -> None:
    played = Played()
    with pytest.raises(ImagekitError, match=r"may have been begun.* input file file-in\)$"):
        play(of_images().batch([asked()]), UP, lost, into=played)
    assert deletes(played) == []


def test_a_batch_that_nobody_heard_of_keeps_nothing() -> None:
    never = ConnectionFailedError("nobody there")
    played = failing(ImagekitError, UP, never, json_response({}), requests=[asked()])
    assert deletes(played) == ["/files/file-in"]


def test_answers_without_an_id_are_protocol_errors() -> None:
    failing(ProtocolError, json_response({}), requests=[asked()])
    for id in (None, *NO_IDS):
        failing(ProtocolError, UP, json_response({"id": id}), requests=[asked()])
        failing(ProtocolError, json_response(file(id)), requests=[asked()])  # type: ignore[arg-type]


# --- what comes of it

HANDLE = {"batch_id": "batch_1", "input": "file-in", "model": "m-1", "counts": [1, 2, 1]}


def resumed(*replies: Any, of: Any = None, script: Any = (), **more: Any) -> Played:
    return play((of or of_images()).resume({**HANDLE, **more}), *replies, events=script)


def failures(played: Played) -> list[ImageFailure]:
    return [one for one in played.response.slots if isinstance(one, ImageFailure)]


def test_a_batch_is_finished_from_its_handle() -> None:
    script = [line(2, images_body(THREE)), line(0, images_body(ONE)), None]
    played = resumed(DONE, OUT, script=script)
    one, two, three, four = played.response.slots
    assert (one.data, four.data) == (ONE, THREE)
    assert [two.kind, three.kind] == ["missing", "missing"]
    assert two.reason == "the batch ended completed without an answer to this request"
    assert played.response.model == "m-1"
    assert played.checkpoints == [{**HANDLE, "uploads": []}]


def test_the_other_dialect_reads_its_own() -> None:
    script = [line(0, response_body(call(TWO))), line(1, response_body(call(ONE, "ig_2"))), None]
    played = resumed(DONE, OUT, of=of_responses(), script=script, counts=[1, 1])
    assert [one.data for one in played.response.images] == [TWO, ONE]
    assert played.response.usage.total_tokens == 2 * (246 + 360)


def test_progress_is_told_once_each() -> None:
    counts = {"total": 4, "completed": 1, "failed": 1}
    going = json_response(batch("in_progress", request_counts=counts), retry_after_ms="50")
    again = json_response(batch("finalizing", request_counts={**counts, "completed": 3}))
    odd = json_response(batch("in_progress"))
    waits = [json_response(batch("validating"))] * 2
    played = resumed(*waits, odd, going, going, again, DONE, OUT, script=[line(0, images_body())])
    assert played.events == [
        Queued(),
        Progress(step=0, total=None, message="the batch: in_progress"),
        Progress(step=2, total=4, message="the batch: in_progress"),
        Progress(step=4, total=4, message="the batch: finalizing"),
    ]
    # Asked for, it is waited for as long; else longer and longer.
    assert played.slept == 5 + 7.5 + 11.25 + 0.05 + 0.05 + 5 * 1.5**5


def test_a_line_that_was_refused_is_a_failure_that_says_why() -> None:
    script = [
        line(0, images_body(ONE)),
        None,
        line(1, {"error": BLOCKED}, 400),
        line(2, {"error": {"message": "slow down", "code": "slow_down"}}, 429),
        None,
    ]
    both = json_response(batch(error_file_id="file-err"))
    played = resumed(both, OUT, OUT, script=script)
    assert played.requests[-1].url == "/files/file-err/content"
    one, two, three = failures(played)
    assert one == two
    assert (one.kind, one.code, one.categories, one.billed) == (
        "refused", "moderation_blocked", ("sexual",), "no",
    )  # fmt: skip
    assert (three.kind, three.reason, three.billed) == ("failed", "slow down", "no")


@pytest.mark.parametrize(
    ("status", "code", "billed"),
    [
        ("expired", "batch_expired", "no"),
        ("cancelled", "batch_cancelled", "no"),
        ("failed", "server_error", "possibly"),
    ],
)
def test_what_was_finished_survives_the_end_of_the_rest(
    status: str, code: str, billed: str
) -> None:
    error = {"code": code, "message": "This request was not executed."}
    script = [
        line(0, images_body(ONE)),
        None,
        line(1, None, response=None, error=error),
        line(2, None, response={"status_code": None}, error=error),
        None,
    ]
    ended = batch(status, output_file_id="file-out", error_file_id="file-err")
    played = resumed(json_response(ended), OUT, OUT, script=script)
    assert played.response.images[0].data == ONE
    for found in failures(played):
        assert (found.code, found.billed) == (code, billed)
        assert found.reason == "This request was not executed."
    assert played.response.metadata["status"] == status


def test_a_line_without_an_answer_or_a_reason_is_a_failure() -> None:
    script = [line(0, images_body(ONE)), line(1, None, response=None), line(2, {}), None]
    found = failures(resumed(DONE, OUT, script=script))
    assert [one.reason for one in found][:2] == ["no reason given"] * 2
    assert found[2].kind == "missing"


def test_a_file_that_is_wrong_blames_the_line() -> None:
    errors = {
        "object": "list",
        "data": [
            {"code": "invalid_url", "line": 2, "message": "The URL is wrong.", "param": "url"},
            {"code": "odd", "line": 3, "message": None, "param": None},
            None,
        ],
    }
    known(Batch, batch("failed", errors={**errors, "data": errors["data"][:2]}))
    with pytest.raises(ProviderError) as caught:
        resumed(json_response(batch("failed", errors=errors)))
    assert caught.value.response is not None
    first, second, third, fourth = caught.value.response.failures
    assert first.reason == "the batch was not begun: The URL is wrong."
    assert second.reason == third.reason == "The URL is wrong."
    assert second.code == "invalid_url"
    assert fourth.reason == "the batch finds the line wrong"
    assert {one.billed for one in caught.value.response.failures} == {"no"}


@pytest.mark.parametrize("errors", [None, {"data": None}, {"data": [{"message": None}]}])
def test_a_file_that_is_wrong_for_no_reason_says_so(errors: Any) -> None:
    with pytest.raises(ProviderError, match="no reason given"):
        resumed(json_response(batch("failed", errors=errors)))


def test_a_batch_without_any_files_is_all_missing() -> None:
    with pytest.raises(NoImageError):
        resumed(json_response(batch("cancelled", output_file_id=None)))


def test_lines_that_say_nothing_to_us_cost_no_picture() -> None:
    strange = ["", "no json", "[1]", "5", '{"custom_id": null}', line(9, images_body(TWO))]
    foreign = ("x", "request-", 5, "0", "request-00", "request-\u0660", " request-0", "request-0\n")
    strange += [line(0, images_body(TWO), custom_id=name) for name in foreign]
    strange += [line(0, images_body(TWO), custom_id="request-" + "9" * 5000)]
    script = [*strange, line(0, images_body(ONE)), *strange, None]
    played = resumed(DONE, OUT, script=script, counts=[1])
    assert [one.data for one in played.response.slots] == [ONE]


def test_half_a_character_in_a_line_is_none_in_its_picture() -> None:
    body = images_body(ONE)
    body["data"][0]["revised_prompt"] = "a hat \ud83d"
    response = resumed(DONE, OUT, script=[line(0, body), None], counts=[1]).response
    assert response.image.revised_prompt == "a hat \ufffd"
    assert response.model_dump_json()


def test_a_picture_is_not_replaced_by_an_error_nor_by_another() -> None:
    script = [line(0, images_body(ONE)), line(0, images_body(TWO)), line(0, {}, 500), None]
    assert resumed(DONE, OUT, script=script, counts=[1]).response.images[0].data == ONE
    script = [line(0, {}, 500), line(0, images_body(TWO)), None]
    assert resumed(DONE, OUT, script=script, counts=[1]).response.images[0].data == TWO


def test_a_file_that_breaks_off_is_read_again_and_keeps_what_it_had() -> None:
    cut = TransportError("broken")
    script = Script(line(0, images_body(ONE)), cut, cut, line(1, images_body(TWO)), None)
    played = resumed(DONE, OUT, OUT, OUT, script=script, counts=[1, 1])
    assert [one.data for one in played.response.images] == [ONE, TWO]
    # Reading again is no waiting for the work: who only looks would never hear of it.
    assert played.slept == 0


def test_a_file_that_breaks_off_for_good_is_an_error() -> None:
    script = Script(*[TransportError("broken")] * 3)
    with pytest.raises(TransportError, match="broken"):
        resumed(DONE, OUT, OUT, OUT, script=script)
    with pytest.raises(DeadlineExceededError):
        resumed(DONE, OUT, script=Script(DeadlineExceededError("over")))


@pytest.mark.parametrize("replies", [[GONE], [DONE, GONE]])
def test_what_cannot_be_looked_at_may_have_cost_something(replies: Any) -> None:
    with pytest.raises(InvalidRequestError, match="gone") as caught:
        resumed(*replies)
    assert caught.value.billed in (None, "possibly")


FILES = json_response(batch(error_file_id="file-err"))
HALF = [line(0, images_body(ONE)), None]
FORBIDDEN = json_response({"error": {"message": "not you"}}, 403)


def test_a_file_that_is_gone_costs_only_what_it_held() -> None:
    played = resumed(FILES, OUT, GONE, script=HALF, counts=[1, 1])
    assert played.response.images[0].data == ONE
    [lost] = failures(played)
    assert (lost.kind, lost.reason, lost.billed) == ("failed", "gone", "possibly")
    [told] = [one.notice for one in played.events if isinstance(one, imagekit.Noticed)]
    assert (told.kind, told.detail) == ("incomplete", "a file of the batch cannot be read: gone")
    played = resumed(FILES, GONE, OUT, script=HALF, counts=[1, 1])
    assert played.response.images[0].data == ONE
    # A file of which nothing is wanting is no loss.
    played = resumed(FILES, OUT, GONE, script=HALF, counts=[1])
    assert (len(played.response.images), played.events) == (1, [])


@pytest.mark.parametrize(
    ("replies", "script"),
    [
        ([FILES, OUT, FORBIDDEN], HALF),
        ([FILES, GONE, FORBIDDEN], []),
        ([FILES, FORBIDDEN, GONE], []),
        ([FILES, FORBIDDEN, OUT], [line(1, {"error": BLOCKED}, 400), None]),
        ([FILES, OUT, BROKEN], HALF),
        ([DONE, OUT, OUT, OUT], [HALF[0], *[TransportError("cut")] * 3]),
        ([FILES, OUT], [HALF[0], DeadlineExceededError("over")]),
        ([json_response(batch(error_file_id=".")), OUT], HALF),
    ],
)
def test_a_file_that_may_be_read_another_time_leaves_the_job_and_what_was_read(
    replies: Any, script: Any
) -> None:
    def server(flow: Any) -> imagekit.ImagekitError:
        with pytest.raises(ImagekitError) as caught:
            play(flow, *replies, events=Script(*script))
        return caught.value

    flow = of_images().resume({**HANDLE, "counts": [1, 1]})
    begun = imagekit_jobs.Begun({"provider": "openai-images", "counts": (2,)})
    error = server(begun.kept(begun.watched(flow, 2)))
    assert error.billed in (None, "possibly")
    assert error.job is not None
    if not script:
        assert error.response is None
        return
    assert error.response is not None
    assert len(error.response.slots) == 2
    if script[0] == HALF[0]:
        assert [one.data for one in error.response.images] == [ONE]


def test_a_look_says_that_the_answers_cannot_be_read() -> None:
    def server(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/content"):
            raise httpx.ReadError("cut")
        return httpx.Response(200, json=batch())

    quick = imagekit.RetryPolicy(base=0.001)
    job = imagekit.Job(provider="openai-images", counts=(4,), parts=({"n": 4, "handle": HANDLE},))
    mock = httpx.MockTransport(server)
    with (
        Client(provider="openai-images", api_key=KEY, http=mock, retry=quick) as client,
        pytest.raises(TransportError, match="cut") as caught,
    ):
        client.poll(job)
    assert caught.value.job is not None


def test_a_file_that_ends_early_is_noticed() -> None:
    counts = {"total": 4, "completed": 2, "failed": 0}
    ended = json_response(batch(request_counts=counts))
    played = resumed(ended, OUT, script=HALF, counts=[1, 1])
    [lost] = failures(played)
    words = "the batch completed 2 requests, and its file answers 1"
    assert (lost.kind, lost.billed) == ("missing", "possibly")
    assert lost.reason == f"{words}: there is none to this request"
    [told] = [one.notice for one in played.events if isinstance(one, imagekit.Noticed)]
    assert (told.kind, told.feature, told.detail) == ("incomplete", "batch", words)
    for fewer in (1, None):
        ended = json_response(batch(request_counts={**counts, "completed": fewer}))
        assert resumed(ended, OUT, script=HALF, counts=[1, 1]).events == []


def test_a_failed_batch_with_answers_may_have_cost_something() -> None:
    errors = {"data": [{"line": 3, "message": "wrong"}]}
    ended = json_response(batch("failed", output_file_id="file-out", errors=errors))
    found = failures(resumed(ended, OUT, script=HALF, counts=[1, 1, 1]))
    assert {one.billed for one in found} == {"possibly"}


BAD_COUNTS: list[Any] = [[], [0], [-5], [10**9], [600_000, 600_000], [1] * 50_001]
BAD_HANDLES = [{**HANDLE, "counts": counts} for counts in BAD_COUNTS]
BAD_HANDLES += [
    {**HANDLE, name: [id] if name == "uploads" else id}
    for name in ("batch_id", "input", "uploads")
    for id in NO_IDS
]


@pytest.mark.parametrize(
    "handle", [{"batch_id": "b"}, {**HANDLE, "counts": "x"}, *BAD_HANDLES], ids=lambda _: "handle"
)
def test_a_handle_of_somebody_else_is_an_error(handle: Any) -> None:
    for of in (of_images(), of_responses()):
        for flow in (of.resume(handle), of.cancel(handle), of.delete(handle)):
            with pytest.raises(RequestError, match="no handle"):
                play(flow)


# --- ended, deleted


@pytest.mark.parametrize("status", ["completed", "failed", "cancelling", "cancelled", "expired"])
@pytest.mark.parametrize("of", [of_images(), of_responses()])
def test_what_has_ended_is_not_cancelled(of: Any, status: str) -> None:
    played = play(of.cancel(HANDLE), json_response(batch(status)))
    assert [one.method for one in played.requests] == ["GET"]


def test_cancelling_ends_it() -> None:
    going = json_response(batch("in_progress"))
    played = play(of_images().cancel(HANDLE), going, json_response(batch("cancelling")))
    last = played.requests[-1]
    assert (last.method, last.url, last.charges) == ("POST", "/batches/batch_1/cancel", False)


def test_what_ends_while_it_is_cancelled_is_no_error() -> None:
    going = json_response(batch("in_progress"))
    play(of_images().cancel(HANDLE), going, json_response({"error": {"message": "m"}}, 409), DONE)
    with pytest.raises(InvalidRequestError):
        play(of_images().cancel(HANDLE), going, REFUSED, going)


def test_deleting_takes_all_files_along() -> None:
    ended = json_response(batch(error_file_id="file-err"))
    handle = {**HANDLE, "uploads": ["file-a"]}
    played = play(of_images().delete(handle), ended, *[json_response({})] * 3, GONE)
    assert deletes(played) == [
        "/files/file-out", "/files/file-err", "/files/file-in", "/files/file-a",
    ]  # fmt: skip


def test_what_a_server_calls_a_file_leads_nowhere_else() -> None:
    ended = json_response(batch(output_file_id=".."))
    with pytest.raises(ProtocolError, match="is no id"):
        play(of_images().delete(HANDLE), ended)
    for id in NO_IDS:
        with pytest.raises(RequestError, match="is no id"):
            play(of_images().delete({"file_id": id}))


def test_deleting_a_batch_that_is_gone_deletes_what_is_known_of_it() -> None:
    assert deletes(play(of_images().delete(HANDLE), GONE, GONE)) == ["/files/file-in"]
    with pytest.raises(ProviderError):
        play(of_images().delete(HANDLE), BROKEN)


@pytest.mark.parametrize("status", ["validating", "in_progress", "finalizing", "cancelling"])
def test_what_goes_on_is_not_deleted(status: str) -> None:
    with pytest.raises(RequestError, match=f"the batch is {status}: cancel it"):
        play(of_images().delete(HANDLE), json_response(batch(status)))


# --- the official client as judge: the same requests


def test_the_official_client_asks_the_same() -> None:
    answers = {
        ("POST", "/v1/files"): file(),
        ("POST", "/v1/batches"): batch("in_progress"),
        ("GET", "/v1/batches/batch_1"): batch("in_progress"),
        ("POST", "/v1/batches/batch_1/cancel"): batch("cancelling"),
    }

    def noted(into: list[Any], one: Any) -> bytes:
        body = one.read()
        kind = one.headers.get("content-type", "").partition("; boundary=")
        into.append((one.method, one.url.path, body.replace(kind[2].encode() or b"\0", b"#")))
        return json.dumps(answers[one.method, one.url.path]).encode()

    ours: list[Any] = []
    theirs: list[Any] = []
    mock = httpx.MockTransport(lambda one: httpx.Response(200, content=noted(ours, one)))
    with Client(provider="openai-images", api_key=KEY, http=mock) as client:
        job = client.batch([asked()])
        client.poll(job)
        client.cancel(job)

    def server(one: httpx2.Request) -> httpx2.Response:
        kind = {"content-type": "application/json"}
        return httpx2.Response(200, headers=kind, content=noted(theirs, one))

    jsonl = ours[0][2].split(b"\r\n\r\n")[2].partition(b"\r\n--")[0]
    with (
        httpx2.Client(transport=httpx2.MockTransport(server)) as http,
        openai.OpenAI(api_key=KEY, http_client=http) as sdk,
    ):
        named = ("imagekit-batch.jsonl", jsonl, "application/jsonl")
        sdk.files.create(file=named, purpose="batch")
        sdk.batches.create(
            input_file_id="file-in", endpoint="/v1/images/generations", completion_window="24h"
        )
        sdk.batches.retrieve("batch_1")
        sdk.batches.retrieve("batch_1")
        sdk.batches.cancel("batch_1")
    read = [
        (method, path, json.loads(body) if body[:1] == b"{" else body)
        for sent in (ours, theirs)
        for method, path, body in sent
    ]
    half = len(read) // 2
    assert read[1:half] == read[half + 1 :]
    forms = [sorted(body.split(b"--#")) for _, _, body in (read[0], read[half])]
    assert forms[0] == forms[1]


# --- our own server, and every colour of client


@pytest.fixture(scope="module")
def home() -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        # It would have us wait for seconds.
        patch.setattr(batches, "_PAUSE", 0.1)
        with serving(provider="sketch", tokens=[TOKEN]) as served:
            yield served.url


PROVIDERS = ["openai-images", "openai-responses"]


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("colour", COLOURS)
def test_a_batch_is_begun_by_one_client_and_finished_by_another(
    home: str, colour: str, provider: str
) -> None:
    prompts = ["an otter", "a heron", "a boat"]
    requests = [
        ImageRequest(prompt=prompt, n=n, size="256x256") for n, prompt in enumerate(prompts, 1)
    ]
    with a_client(colour, home, provider) as client:
        given_out = str(client.batch(requests))
    with a_client(colour, home, provider) as client:
        response = client.resume(given_out, deadline=60)
        job = imagekit.Job.model_validate_json(given_out)
        assert response.ok
        parts = job.divided(response)
        assert [len(part) for part in parts] == [1, 2, 3]
        found = [hashlib.sha256(part[0].data).digest() for part in parts]
        with Client(provider="sketch", env={}) as sketch:
            drawn = [sketch.run(one).image.data or b"" for one in requests]
        assert found == [hashlib.sha256(one).digest() for one in drawn]
        assert client.poll(job).ok
        client.cancel(job)
        client.delete(job)
        client.delete(job)
        assert client.files() == ()


@pytest.mark.parametrize("provider", PROVIDERS)
def test_pictures_are_edited_in_a_batch(
    home: str, provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_client("sync", home, provider) as client:
        otter = Client(provider="sketch", env={}).generate("an otter", size="256x256").image
        requests = [ImageRequest(prompt=one, images=[otter]) for one in ("a hat", "a coat")]
        inline = client.resume(client.batch(requests), deadline=60)
        monkeypatch.setattr(_batches, "INLINE", 0)
        job = client.batch(requests)
        assert len(client.files()) >= 2
        uploaded = client.resume(job, deadline=60)
        assert [one.data for one in inline] == [one.data for one in uploaded]
        assert len({one.data for one in inline}) == 2
        client.delete(job)


def test_a_batch_that_is_cancelled_keeps_what_was_made() -> None:
    drawing = AsyncClient(provider="sketch", options={"sketch": {"delay": 0.3}}, env={})
    limits = Limits(concurrent=1)
    with (
        serving(client=drawing, tokens=[TOKEN], limits=limits) as served,
        a_client("sync", served.url, "openai-images") as client,
    ):
        job = client.batch([asked(f"boat {number}", size="256x256") for number in range(40)])
        assert client.poll(job) is None
        with pytest.raises(RequestError, match="cancel it"):
            client.delete(job)
        client.cancel(job)
        client.cancel(job)
        response = client.resume(job, deadline=60, raise_on_error=False)
        assert len(response.slots) == 40
        assert len(response.failures) > 30
        assert {one.billed for one in response.failures} == {"no"}
        client.delete(job)
        assert client.files() == ()


def test_a_request_that_the_server_refuses_costs_only_itself(home: str) -> None:
    with a_client("sync", home, "openai-images") as client:
        wrong = asked("a boat", options=options(extra_body={"size": "0x0"}))
        job = client.batch([asked("an otter", size="256x256"), wrong])
        response = client.resume(job, deadline=60)
        good, bad = response.slots
    assert isinstance(good, Image)
    assert isinstance(bad, ImageFailure)
    assert bad.billed == "no"
    assert "'0x0'" in bad.reason
