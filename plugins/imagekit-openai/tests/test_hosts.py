"""The hosts of `imagekit_openai.testing`, where the conformance tests do not look."""

from __future__ import annotations

import json

import hosts
import pytest
from openai_wire import ONE
from test_conformance import TestOpenAIImages as OfImages
from test_conformance import TestOpenAIResponses as OfResponses

from imagekit import ProviderFile
from imagekit.provider import HttpResponse
from imagekit.testing import Asked, ProviderSuite, Scene, Streamed
from imagekit_openai.testing import ImagesHost, ResponsesHost


def test_models_are_listed_and_files_kept_and_deleted() -> None:
    bench = OfImages().bench()
    assert [one.id for one in bench.call(lambda c: c.models())] == ["a-model"]
    assert bench.call(lambda c: c.upload(ONE)).id == "file-1"
    bench.call(lambda c: c.delete(ProviderFile("file-1")))
    assert [asked.method for asked in bench.host.asked] == ["GET", "POST", "DELETE"]


@pytest.mark.parametrize(
    ("suite", "method", "path"),
    [
        (OfImages, "GET", "/nothing"),
        (OfResponses, "POST", "/nothing"),
        (OfResponses, "GET", "/responses"),
    ],
    ids=["images", "responses", "no response"],
)
def test_what_nobody_knows_is_not_found(suite: type[ProviderSuite], method: str, path: str) -> None:
    assert suite().bench().call(lambda c: c.request(method, path)).status == 404


def test_a_response_that_is_not_kept_is_not_found() -> None:
    answer = ResponsesHost().reply(Asked("GET", "https://x/v1/responses/resp_9"))
    assert answer.status == 404


def test_a_response_is_deleted_once() -> None:
    host = ResponsesHost()
    host.scene = Scene(pictures=[ONE])
    host.reply(Asked("POST", "https://x/v1/responses", body=b"{}"))
    gone = Asked("DELETE", "https://x/v1/responses/resp_1")
    assert [host.reply(gone).status, host.reply(gone).status] == [200, 200]
    assert host.reply(Asked("GET", gone.url)).status == 404


def test_a_stream_goes_on_after_the_event_that_was_seen_last() -> None:
    host = ResponsesHost()
    host.scene = Scene(pictures=[ONE])
    host.reply(Asked("POST", "https://x/v1/responses", body=b'{"background": true}'))
    url = "https://x/v1/responses/resp_1?stream=true"
    whole, rest = (host.reply(Asked("GET", one)) for one in (url, f"{url}&starting_after=0"))
    assert isinstance(whole, Streamed)
    assert isinstance(rest, Streamed)
    assert len(whole.pieces) > len(rest.pieces) > 0
    assert whole.pieces[-1] == rest.pieces[-1]


def test_a_host_whose_row_names_them_says_prices_and_refusals() -> None:
    host = hosts.Xai()
    host.scene = Scene(pictures=[None])
    asked = Asked(
        "POST",
        "https://api.x.ai/v1/images/generations",
        {"content-type": "application/json"},
        b'{"prompt": "x"}',
    )
    answer = host.reply(asked)
    assert isinstance(answer, HttpResponse)
    said = json.loads(answer.body)
    assert said["usage"] == {"cost_in_usd_ticks": 7}
    assert said["data"] == [{"respect_moderation": False}]


def test_a_form_is_read_as_json_is() -> None:
    body = b'--b\r\ncontent-disposition: form-data; name="n"\r\n\r\n2\r\n--b--\r\n'
    asked = Asked("POST", "https://x", {"content-type": "multipart/form-data; boundary=b"}, body)
    assert ImagesHost().said(asked) == {"n": "2"}
