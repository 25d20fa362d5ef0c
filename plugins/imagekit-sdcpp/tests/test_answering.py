"""What becomes of the server's answers: jobs watched, pictures read, errors told."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from html import escape
from typing import Any

import pytest
from PIL import Image as Pillow
from sdcpp_host import made, marked, told

import imagekit_sdcpp
from imagekit import (
    AuthenticationError,
    ImageRequest,
    InvalidRequestError,
    ModelInfo,
    NoImageError,
    Notice,
    PermissionDeniedError,
    ProtocolError,
    ProviderError,
    ProviderUnavailableError,
    RateLimitError,
    RequestError,
)
from imagekit.provider import Config, HttpResponse, Verdict
from imagekit.testing import Played, play

ID = "job_6b01406e_00000000"
SDCPP = imagekit_sdcpp.imagekit_provider(Config("sdcpp"))
BEGUN = told(202, {"id": ID, "status": "queued"})


def png(words: bytes | None = None) -> bytes:
    """A picture with those *words* where the server puts its own."""
    out = io.BytesIO()
    Pillow.new("RGB", (64, 64), (9, 0, 0)).save(out, "PNG")
    return out.getvalue() if words is None else marked(out.getvalue(), words)


def done(*pictures: object) -> HttpResponse:
    images = [
        {"b64_json": base64.b64encode(one).decode()} if isinstance(one, bytes) else one
        for one in pictures
    ]
    return told(200, {"status": "completed", "result": {"images": images}})


def run(*answers: HttpResponse, **fields: Any) -> Played:
    request = ImageRequest(**{"prompt": "a cat", **fields})
    return play(SDCPP.flow(request, stream=False), BEGUN, *answers)


def seed_in(picture: bytes) -> int | None:
    seed: int | None = run(done(picture)).response.slots[0].seed
    return seed


def notices(played: Played) -> list[Notice]:
    return [event.notice for event in played.events if event.kind == "noticed"]


def test_a_job_is_watched_until_it_is_done() -> None:
    def at(status: str, position: object) -> HttpResponse:
        return told(200, {"status": status, "queue_position": position})

    played = run(
        at("queued", 2),
        at("queued", 2),
        at("queued", 1),
        at("generating", 0),
        at("generating", 0),
        done(png()),
    )
    assert [(one.method, one.url) for one in played.requests[1:]] == [
        ("GET", f"/sdcpp/v1/jobs/{ID}")
    ] * 6
    assert [event.kind for event in played.events] == ["queued", "queued", "progress"]
    assert [event.position for event in played.events[:2]] == [2, 1]
    assert played.events[2].fraction is None
    assert played.checkpoints == [{"id": ID, "asked": {}}]
    assert played.response.slots[0].data == png()


def test_looks_become_rarer_up_to_two_seconds() -> None:
    waits = [told(200, {"status": "queued", "queue_position": "soon"})] * 12
    played = run(*waits, done(png()))
    # 0.1 + 0.15 + … + 1.709 are eight, and then two seconds each.
    assert played.slept == pytest.approx(0.1 * (1.5**8 - 1) / 0.5 + 4 * 2.0)
    assert [event.position for event in played.events] == [None]


def test_a_look_names_where_pictures_may_stand() -> None:
    assert run(done(png())).requests[1].blobs == {"b64_json"}


def test_a_job_is_resumed_by_its_handle_alone() -> None:
    handle = {"id": ID, "asked": {"model": "sdxl"}}
    played = play(SDCPP.resume(handle), done(png(made(3))))
    assert played.checkpoints == [handle]
    assert played.response.slots[0].seed == 3
    assert [one.feature for one in notices(played)] == ["model"]


@pytest.mark.parametrize("asked", [None, [], "x"])
def test_a_handle_that_says_nothing_of_what_was_asked_is_enough(asked: object) -> None:
    played = play(SDCPP.resume({"id": ID, "asked": asked}), done(png(made(3))))
    assert not played.events


@pytest.mark.parametrize("id", [None, 7, "", "../v1/models", "a/b", "x" * 201, "job?x", "jöb"])
@pytest.mark.parametrize("verb", ["resume", "cancel"])
def test_a_handle_that_leads_elsewhere_is_refused(verb: str, id: object) -> None:
    with pytest.raises(RequestError, match="no handle"):
        play(getattr(SDCPP, verb)({"id": id}))


@pytest.mark.parametrize("id", [None, 7, "../../v1/models"])
def test_an_answer_without_an_id_is_an_error(id: object) -> None:
    with pytest.raises(ProtocolError, match="gave no id"):
        play(SDCPP.flow(ImageRequest(prompt="a cat"), stream=False), told(202, {"id": id}))


@pytest.mark.parametrize("prompt", ["a cat", "ein Kätzchen & <ein Hund>", "Seed: 9, ", "&quot;"])
def test_each_picture_says_its_seed(prompt: str) -> None:
    words = made(7, prompt)
    assert seed_in(png(words)) == 7
    # In WebP it is the text of XML, and more of the file follows.
    assert seed_in(png(escape(words.decode()).encode() + b"</x>")) == 7


@pytest.mark.parametrize(
    "words",
    [
        None,
        b"SDCPP: ",
        b"SDCPP: {",
        b"SDCPP: [1]",
        b"SDCPP: " + b"[" * 90_000,
        b'SDCPP: {"seed": "7"}',
        b'SDCPP: {"seed": true}',
        made(7, 'SDCPP: {"seed": 9}'),
    ],
    ids=["nothing", "no words", "cut", "a list", "deep", "text", "a yes", "in a prompt"],
)
def test_a_seed_that_is_not_said_is_not_guessed(words: bytes | None) -> None:
    assert seed_in(png(words)) is None


def test_the_model_is_the_one_that_the_picture_names() -> None:
    assert run(done(png(made(1))), model="flux1").response.model == "flux1"
    unet = png(made(1, models={"diffusion_model": "unet.safetensors"}))
    assert run(done(unet)).response.model == "unet"
    assert run(done(png()), model="flux1").response.model is None
    assert run(done(png(made(1, models=None)))).response.model is None
    # The first that says anything of itself.
    assert run(done({}, png(), png(made(1))), n=3).response.model == "flux1"


def test_what_the_server_passed_over_in_silence_is_told() -> None:
    options = {"sdcpp": {"sampler": "eulr", "scheduler": "karras"}}
    played = run(done(png(made(1))), model="sdxl", options=options)
    told = [(one.kind, one.feature, one.wanted, one.used) for one in notices(played)]
    assert told == [
        ("delivered-differs", "model", "sdxl", "flux1"),
        ("delivered-differs", "sampler", "eulr", "euler_a"),
    ]
    played = run(done(png(made(1, sampling={"method": ""}))), options=options)
    assert [(one.feature, one.used) for one in notices(played)] == [
        ("sampler", None),
        ("scheduler", None),
    ]
    assert "made with what is usual" in str(notices(played)[0])


def test_nothing_is_told_where_it_is_as_asked_or_where_the_picture_says_nothing() -> None:
    options = {"sdcpp": {"sampler": "euler_a", "scheduler": "karras"}}
    assert not run(done(png(made(1))), model="flux1", options=options).events
    assert not run(done(png()), model="sdxl", options=options).events


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"b64_json": "%%%"}, "expected a base64 picture"),
        ({"b64_json": None}, "expected a base64 picture"),
        ({"b64_json": "aGVsbG8="}, "5 bytes came that are no picture"),
        ({}, "0 bytes came"),
        (None, "0 bytes came"),
        ("x", "0 bytes came"),
    ],
    ids=["no base64", "null", "no picture", "empty", "no object", "text"],
)
def test_a_picture_that_cannot_be_read_costs_no_other(said: object, why: str) -> None:
    bad, good = run(done(said, png()), n=2).response.slots
    assert bad.kind == "failed"
    assert why in bad.reason
    assert good.data == png()


def at(index: object, seed: int) -> dict[str, Any]:
    return {"index": index, "b64_json": base64.b64encode(png(made(seed))).decode()}


def test_pictures_stand_where_their_index_says() -> None:
    slots = run(done(at(2, 12), at(0, 10), {"index": 1}), n=3).response.slots
    assert (slots[0].seed, slots[1].kind, slots[2].seed) == (10, "failed", 12)


@pytest.mark.parametrize(
    ("one", "two"),
    [(0, 0), (1, None), ("1", "0"), (True, False), ([1], [0])],
    ids=["the same", "one is lacking", "texts", "yes and no", "lists"],
)
def test_an_index_that_is_no_order_changes_none(one: object, two: object) -> None:
    assert [slot.seed for slot in run(done(at(one, 7), at(two, 8)), n=2).response.slots] == [7, 8]


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"status": None},
        {"status": ["queued"]},
        {"status": "paused"},
        {"status": "completed"},
        {"status": "completed", "result": []},
        {"status": "completed", "result": {"images": {}}},
        [],
        "job",
        None,
    ],
    ids=str,
)
def test_an_answer_that_is_no_job_is_an_error(said: object) -> None:
    with pytest.raises(ProtocolError):
        run(told(200, said))


@pytest.mark.parametrize(
    ("said", "message", "code", "billed"),
    [
        (
            {"status": "failed", "error": {"code": "generation_failed", "message": "no results"}},
            "no results",
            "generation_failed",
            None,
        ),
        ({"status": "failed"}, "the server does not say why", None, None),
        ({"status": "failed", "error": {"code": 7}}, "7", "7", None),
        (
            {"status": "cancelled", "error": {"code": "cancelled", "message": "by client"}},
            "by client",
            "cancelled",
            "no",
        ),
    ],
    ids=["failed", "no reason", "a number", "cancelled"],
)
def test_a_job_that_failed_says_why(
    said: Mapping[str, Any], message: str, code: str | None, billed: str | None
) -> None:
    with pytest.raises(NoImageError, match=f"^{message}$") as caught:
        run(told(200, said))
    assert (caught.value.code, caught.value.billed) == (code, billed)
    # It is the server's last word, and not one on being asked.
    assert caught.value.status is None


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidRequestError),
        (401, AuthenticationError),
        (403, PermissionDeniedError),
        (404, InvalidRequestError),
        (410, InvalidRequestError),
        (429, RateLimitError),
        (500, ProviderUnavailableError),
        (503, ProviderUnavailableError),
    ],
)
def test_each_status_has_its_error(status: int, kind: type[ProviderError]) -> None:
    refused = HttpResponse(status, {"retry-after": "7"}, b'{"error":"empty_body"}')
    with pytest.raises(kind, match=r"^empty_body$") as caught:
        play(SDCPP.flow(ImageRequest(prompt="a cat"), stream=False), refused)
    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.code) == (status, "empty_body")
    assert caught.value.retry_after == 7


@pytest.mark.parametrize(
    ("answer", "message", "code"),
    [
        (b'{"error":"server_error","message":"bad alloc"}', "bad alloc", "server_error"),
        (b'{"error":{"code":"x","message":"of a proxy"}}', "of a proxy", "x"),
        (b"<html>", "the server answered 500: '<html>'", None),
        (b"[]", "the server does not say why", None),
        (
            b'{"error":"invalid generation parameters"}',
            "invalid generation parameters (its own log says which; input pictures that are grey "
            "are among them)",
            None,
        ),
        (b'{"error":"no word of \'a cat\' is known"}', "no word of 'a cat' is known", None),
        (b'{"error":"job not found"}', "job not found", "job not found"),
        (b'{"error":{"code":"a cat!","message":"unknown"}}', "unknown", None),
    ],
    ids=[
        "two words",
        "an object",
        "a page",
        "a list",
        "no reason",
        "a sentence",
        "forgotten",
        "no code",
    ],
)
def test_an_error_says_what_the_server_says(answer: bytes, message: str, code: str | None) -> None:
    with pytest.raises(ProviderUnavailableError) as caught:
        run(HttpResponse(500, {}, answer))
    assert (str(caught.value), caught.value.code) == (message, code)


def test_a_job_that_waits_is_cancelled_and_that_is_no_second_job() -> None:
    played = play(SDCPP.cancel({"id": ID}), told(200, {"status": "cancelled"}))
    [request] = played.requests
    assert (request.method, request.url) == ("POST", f"/sdcpp/v1/jobs/{ID}/cancel")
    assert not request.charges


@pytest.mark.parametrize("status", [200, 410])
def test_a_job_that_is_over_stays_as_it_is(status: int) -> None:
    assert play(SDCPP.cancel({"id": ID}), told(status, {"error": "job expired"})).response is None


@pytest.mark.parametrize("status", [404, 409])
def test_a_job_that_cannot_be_cancelled_is_told_of(status: int) -> None:
    with pytest.raises(InvalidRequestError, match="currently generating") as caught:
        play(SDCPP.cancel({"id": ID}), told(status, {"error": "job is currently generating"}))
    assert caught.value.status == status


def test_what_is_being_made_is_not_asked_to_stop_again() -> None:
    assert SDCPP.judge(HttpResponse(409)) is Verdict.REJECTED
    assert SDCPP.judge(HttpResponse(429)) is None


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ({"model": {"stem": "flux1"}}, (ModelInfo(id="flux1"),)),
        ({"model": {"stem": ""}}, ()),
        ({"model": {"stem": 7}}, ()),
        ({"model": None}, ()),
        ({}, ()),
    ],
    ids=str,
)
def test_its_one_model_is_listed(said: object, found: tuple[ModelInfo, ...]) -> None:
    played = play(SDCPP.list_models(), told(200, said))
    assert played.response == found
    assert played.requests[0].url == "/sdcpp/v1/capabilities"
