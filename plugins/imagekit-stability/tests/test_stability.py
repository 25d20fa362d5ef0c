"""What only Stability's provider does: services by name, facts in headers, its ways to say no."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

import imagekit
import imagekit_stability
from imagekit import ImageRequest, Mask
from imagekit.provider import Config, HttpResponse
from imagekit.testing import Host, Played, json_response, play

sys.path.insert(0, str(Path(__file__).parent))
from stability_host import NAMES, StabilityHost  # only now

PNG = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + b"\0\0\0\1" * 2 + b"\x08\0\0\0\0" + bytes(4)
GIVEN = {"images": [PNG]}
MASKED = {**GIVEN, "mask": Mask(PNG, edit_where="white")}


def provider(**settings: Any) -> Any:
    return imagekit_stability.imagekit_provider(Config("stability", **settings))


def answered(headers: dict[str, str] | None = None, body: bytes = PNG) -> HttpResponse:
    return HttpResponse(200, {"content-type": "image/png", **(headers or {})}, body)


def played(answer: HttpResponse | None = None, **fields: Any) -> Played:
    fields = {"prompt": "a cliff", **fields}
    return play(provider().flow(ImageRequest(**fields), stream=False), answer or answered())


def form(**fields: Any) -> dict[str, str]:
    (request,) = played(**fields).requests
    return dict(request.form)


# What is asked


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({}, "/generate/sd3"),
        ({"model": "stable-image-core"}, "/generate/core"),
        ({"model": "stable-image-ultra"}, "/generate/ultra"),
        ({"model": "sd4-tomorrow"}, "/generate/sd3"),
        (GIVEN, "/generate/sd3"),
        (MASKED, "/edit/inpaint"),
        ({"model": "stable-image-ultra", **MASKED}, "/edit/inpaint"),
        ({"model": "erase", **MASKED}, "/edit/erase"),
        ({"model": "outpaint", **GIVEN}, "/edit/outpaint"),
    ],
)
def test_the_model_is_the_path(fields: dict[str, Any], path: str) -> None:
    assert [one.url for one in played(**fields).requests] == [path]


def test_a_model_that_a_mask_pushes_aside_is_told() -> None:
    said = [event.notice for event in played(model="sd3.5-medium", **MASKED).events]
    assert [(one.feature, one.wanted, one.used) for one in said] == [
        ("model", "sd3.5-medium", "inpaint")
    ]
    assert played(**MASKED).events == []
    assert played(**MASKED).response.model == "inpaint"


def test_words_that_a_service_does_not_take_are_told() -> None:
    found = played(model="erase", **MASKED)
    assert [event.notice.feature for event in found.events] == ["prompt"]
    assert "prompt" not in dict(found.requests[0].form)
    assert played(model="remove-background", prompt=None, **GIVEN).events == []


def test_how_far_an_edit_goes_is_always_said() -> None:
    assert form(**GIVEN)["strength"] == "0.7"
    own = {"options": {"stability": {"strength": 0.2}}}
    assert form(**GIVEN, **own)["strength"] == "0.2"
    assert form(**GIVEN)["mode"] == "image-to-image"
    assert "strength" not in form()
    assert "strength" not in form(**MASKED)


def test_a_shape_goes_where_words_make_the_picture() -> None:
    assert form(size="16:9")["aspect_ratio"] == "16:9"
    assert "aspect_ratio" not in form(size="16:9", **GIVEN)
    assert "aspect_ratio" not in form(size="auto")


def test_who_asks_stands_in_a_header() -> None:
    assert played(user="u-1").requests[0].headers["stability-client-user-id"] == "u-1"
    assert list(played().requests[0].headers) == ["accept"]


def test_a_picture_of_an_unknown_kind_is_said_to_be_one() -> None:
    (part,) = played(images=[b"no picture"]).requests[0].parts
    assert part.media_type == "application/octet-stream"


def test_it_keeps_no_state() -> None:
    state = imagekit.State(provider="stability", payload={})
    with pytest.raises(imagekit.RequestError, match="keeps no state"):
        played(state=state)


# What is answered


def test_facts_are_read_from_the_headers() -> None:
    found = played(answered({"seed": "7", "x-request-id": "r-1"})).response
    assert (found.image.seed, found.image.data) == (7, PNG)
    assert (found.request_ids, found.model) == (("r-1",), "sd3.5-large")
    for odd in ("", "-1", "1.5", "²", "9" * 5000):
        assert played(answered({"seed": odd})).response.image.seed is None


def test_a_filtered_picture_is_refused_and_not_kept() -> None:
    found = played(answered({"finish-reason": "content_filtered"})).response
    assert [(one.kind, one.stage) for one in found.failures] == [("refused", "output")]
    failed = played(answered({"finish-reason": "ERROR"})).response
    assert [(one.kind, one.code) for one in failed.failures] == [("failed", "ERROR")]


@pytest.mark.parametrize(
    "answer", [answered(body=b""), answered(body=b"<html>"), HttpResponse(200)]
)
def test_what_is_no_picture_is_no_answer(answer: HttpResponse) -> None:
    with pytest.raises(imagekit.ProtocolError, match="expected a picture"):
        played(answer)


def test_each_refusal_says_whose_fault_it_is() -> None:
    kinds = {
        "authentication": imagekit.AuthenticationError,
        "permission": imagekit.PermissionDeniedError,
        "rate_limit": imagekit.RateLimitError,
        "quota": imagekit.QuotaExceededError,
        "invalid": imagekit.InvalidRequestError,
        "moderation": imagekit.ContentRejectedError,
        "unavailable": imagekit.ProviderUnavailableError,
    }
    host: Host = StabilityHost()
    for trouble, kind in kinds.items():
        answer: Any = host.troubled(imagekit_asked(), trouble)  # type: ignore[arg-type]
        with pytest.raises(kind, match=f"the host says: {trouble}") as caught:
            played(answer)
        assert type(caught.value) is kind
        assert caught.value.code == NAMES[trouble][1]  # type: ignore[index]
        assert caught.value.request_id == "abc123"


def imagekit_asked() -> Any:
    from imagekit.testing import Asked

    return Asked("POST", "https://api.stability.ai/v2beta/stable-image/generate/core")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html>", "Stability answered 400"),
        (b"[]", "Stability answered 400"),
        (b'{"name": "bad_request"}', "bad_request"),
        (b'{"errors": "no list"}', "Stability answered 400"),
        (json.dumps({"errors": ["one", "two"]}).encode(), "one; two"),
    ],
)
def test_a_refusal_in_other_words_is_one_all_the_same(body: bytes, message: str) -> None:
    with pytest.raises(imagekit.InvalidRequestError) as caught:
        played(HttpResponse(400, {"x-request-id": "r-2"}, body))
    assert (str(caught.value.args[0]), caught.value.request_id) == (message, "r-2")


def test_it_says_when_to_ask_again() -> None:
    slow = json_response({"name": "rate_limit_exceeded"}, 429, retry_after="3")
    with pytest.raises(imagekit.RateLimitError) as caught:
        played(slow)
    assert caught.value.retry_after == 3


# Who asks


def test_the_key_is_the_callers_or_the_environments() -> None:
    env = {"STABILITY_API_KEY": "sk-of-the-environment"}
    assert provider(env=env).endpoint.missing is None
    assert "STABILITY_API_KEY" in provider(env=env, ambient=False).endpoint.missing
    assert "STABILITY_API_KEY" in provider().endpoint.missing
    assert provider(api_key="sk").endpoint.base_url == imagekit_stability.BASE_URL
    assert provider(base_url="http://127.0.0.1:1").endpoint.base_url == "http://127.0.0.1:1"


def test_models_and_services_are_named() -> None:
    assert {"sd3.5-large", "stable-image-core", "inpaint"} <= set(provider().models)
    assert provider().capabilities("erase").operations == {"edit"}
    assert provider().capabilities(None).model == "sd3.5-large"
    assert provider().capabilities("stable-image-core").operations == {"generate"}
