from __future__ import annotations

from typing import Any

import pytest

from imagekit import ProtocolError
from imagekit.provider import Endpoint, HttpRequest, HttpResponse, Part, bearer


@pytest.mark.parametrize(
    ("request_", "charges"),
    [
        (HttpRequest("POST", "/a"), True),
        (HttpRequest("post", "/a"), True),
        (HttpRequest("GET", "/a"), False),
        (HttpRequest("DELETE", "/a"), False),
        (HttpRequest("POST", "/a", billable=False), False),
        (HttpRequest("GET", "/a", billable=True), True),
    ],
)
def test_a_post_charges_unless_it_says_otherwise(request_: HttpRequest, charges: bool) -> None:
    assert request_.charges is charges


@pytest.mark.parametrize(
    ("status", "ok"),
    [(199, False), (200, True), (204, True), (299, True), (300, False), (500, False)],
)
def test_an_answer_is_ok_from_200_to_299(status: int, ok: bool) -> None:
    assert HttpResponse(status).ok is ok


@pytest.mark.parametrize(
    ("headers", "media_type"),
    [
        ({"content-type": "Application/JSON; charset=utf-8"}, "application/json"),
        ({"content-type": " text/event-stream "}, "text/event-stream"),
        ({}, ""),
    ],
)
def test_the_media_type_is_bare_and_lower_case(headers: dict[str, str], media_type: str) -> None:
    assert HttpResponse(200, headers).media_type == media_type


def test_a_body_reads_as_text_whatever_it_is() -> None:
    assert HttpResponse(200, {}, "ü".encode() + b"\xff").text == "ü\ufffd"


def test_a_body_reads_as_json() -> None:
    assert HttpResponse(200, {}, b'{"a": 1}').json() == {"a": 1}


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff\xfe\xfd", b"[" * 100_000])
def test_a_body_that_is_no_json_is_a_protocol_error(body: bytes) -> None:
    with pytest.raises(ProtocolError, match="expected JSON, got b") as caught:
        HttpResponse(502, {}, body).json()
    assert caught.value.status == 502


def test_the_error_on_a_long_body_is_short() -> None:
    with pytest.raises(ProtocolError) as caught:
        HttpResponse(200, {}, b"x" * 10_000).json()
    assert len(str(caught.value)) < 150


SECRET = "SECRET"


@pytest.mark.parametrize(
    "value",
    [
        HttpRequest("POST", "/a", json={"key": SECRET}),
        HttpRequest("POST", "/a", form=(("prompt", SECRET),)),
        HttpRequest("POST", "/a", parts=(Part("image", SECRET.encode(), "a.png", "image/png"),)),
        HttpRequest("POST", "/a", body=SECRET.encode()),
        HttpRequest("GET", "/a", headers={"authorization": SECRET}),
        HttpRequest("GET", "/a", query={"key": SECRET}),
        Part("image", SECRET.encode(), "a.png", "image/png"),
        HttpResponse(200, {"set-cookie": SECRET}, SECRET.encode()),
        Endpoint("https://a.example", bearer(SECRET)),
    ],
)
def test_a_repr_holds_no_payload_and_no_credential(value: Any) -> None:
    assert SECRET not in repr(value)


def test_an_endpoint_wants_nothing_unless_it_says_so() -> None:
    assert Endpoint("https://a.example").missing is None
