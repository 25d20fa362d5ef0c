from __future__ import annotations

import json
import logging
import time
from typing import Any

import pytest

import imagekit
from desk import InProcess
from imagekit import Image, ImageFailure, ImageResponse, Notice
from imagekit.provider import call, emit
from imagekit.server.wire.headers import standard
from imagekit.server.wire.refusals import again, of_error, of_http, told
from spoken import httpx
from toys import Scripted, picture

# What an error of a careless provider may quote.
SECRETS = (
    "bad key sk-live-0123456789abcdef sent as Bearer abcdef0123456789 to "
    "https://user:word@internal.test:8443/v2/x?sig=s3cr3t from /srv/app/private/conf.toml, "
    "'/Users/Jane Roe/private/key.pem', C:\\Users\\jane\\private.txt, C:/Users/jane/private.txt, "
    "file:/srv/app/private.py, \\\\files\\private\\x and AIza"
    + "Zy0_" * 9
    + "; see /v1/images/edits"
)
TOLD_APART = ("sk-live", "abcdef", "internal", "s3cr3t", "word", "private", "Users", "Jane", "Zy0_")


def keeps_quiet(said: str) -> bool:
    return not [secret for secret in TOLD_APART if secret in said]


def served(error: Exception, *before: Any, stream: bool = False) -> httpx.Response:
    """What a server answers whose provider says *before*, and then raises."""

    def flow(request: imagekit.ImageRequest) -> Any:
        yield from call(lambda: None)
        for event in before:
            yield from emit(event)
        raise error

    desk = InProcess(Scripted(flow, streaming=True))
    return desk.generate(stream=stream)


def error_in(answer: httpx.Response) -> Any:
    """The error of an answer, or of the last event of a stream."""
    if answer.status_code != 200:
        return answer.json()["error"]
    last = answer.text.strip().split("\n\n")[-1].split("\n")
    assert last[0] == "event: error"
    said = json.loads(last[1].removeprefix("data: "))
    assert said.pop("type") == "error"
    return said["error"]


INVALID, SERVER = "invalid_request_error", "server_error"
USER, RATE = "image_generation_user_error", "rate_limit_error"
QUOTA = "insufficient_quota"
ERRORS: list[tuple[imagekit.ImagekitError, int, str, str | None]] = [
    (imagekit.ImagekitError("w"), 502, SERVER, SERVER),
    (imagekit.ConfigurationError("w"), 500, SERVER, SERVER),
    (imagekit.UnknownProviderError("w"), 500, SERVER, SERVER),
    (imagekit.MissingCredentialError("w"), 500, SERVER, SERVER),
    (imagekit.RequestError("w", code="c"), 400, INVALID, "c"),
    (imagekit.UnsupportedRequestError("w"), 400, INVALID, None),
    (imagekit.BudgetExceededError("w", billed="no"), 429, QUOTA, QUOTA),
    (imagekit.ProviderError("w", status=418), 502, SERVER, SERVER),
    (imagekit.AuthenticationError("w", status=401), 502, SERVER, SERVER),
    (imagekit.PermissionDeniedError("w", status=403), 502, SERVER, SERVER),
    (imagekit.RateLimitError("w", retry_after=7.4), 429, RATE, "rate_limit_exceeded"),
    (imagekit.QuotaExceededError("w"), 429, QUOTA, QUOTA),
    (imagekit.ContentRejectedError("w"), 400, USER, "moderation_blocked"),
    (imagekit.InvalidRequestError("w", status=422, code="c"), 422, INVALID, "c"),
    (imagekit.InvalidRequestError("w", status=404, code="gone"), 404, INVALID, "gone"),
    (imagekit.InvalidRequestError("w", status=409), 400, INVALID, None),
    (imagekit.NoImageError("w"), 500, SERVER, "no_image"),
    (imagekit.ProviderUnavailableError("w", billed="no"), 503, SERVER, "server_is_overloaded"),
    (imagekit.ProviderUnavailableError("w", billed="possibly"), 502, SERVER, SERVER),
    (imagekit.TransportError("w"), 502, SERVER, SERVER),
    (imagekit.ConnectionFailedError("w"), 503, SERVER, SERVER),
    (imagekit.TransportTimeoutError("w"), 502, SERVER, SERVER),
    (imagekit.DeadlineExceededError("w"), 504, SERVER, "timeout"),
    (imagekit.ProtocolError("w"), 502, SERVER, SERVER),
    (imagekit.TruncatedStreamError("w"), 502, SERVER, SERVER),
    (imagekit.PluginError("w"), 502, SERVER, SERVER),
]
AGAIN = (
    imagekit.RateLimitError,
    imagekit.ProviderUnavailableError,
    imagekit.ConnectionFailedError,
)


def named(case: object) -> str:
    return type(case).__name__ if isinstance(case, Exception) else str(case)


def test_every_error_that_there_is_has_its_row() -> None:
    def all_of(kind: type) -> set[type]:
        return {kind}.union(*map(all_of, kind.__subclasses__()))

    known = all_of(imagekit.ImagekitError)
    ours = {kind for kind in known if getattr(imagekit, kind.__name__, None) is kind}
    assert {type(row[0]) for row in ERRORS} >= ours


@pytest.mark.parametrize(("error", "status", "kind", "code"), ERRORS, ids=named)
class TestEachError:
    def test_has_its_status_type_and_code(
        self, error: Any, status: int, kind: str, code: str | None
    ) -> None:
        found = of_error(error)
        assert (found.status, found.kind, found.code) == (status, kind, code)

    def test_asks_to_come_again_only_where_that_is_free(
        self, error: Any, status: int, kind: str, code: str | None
    ) -> None:
        free = isinstance(error, AGAIN) and error.billed in (None, "no")
        assert of_error(error).headers["x-should-retry"] == ("true" if free else "false")

    def test_keeps_keys_paths_and_addresses(
        self, error: Any, status: int, kind: str, code: str | None
    ) -> None:
        worded = type(error)(SECRETS, status=error.status, billed=error.billed)
        assert keeps_quiet(of_error(worded).message)


class TestWhatAClientIsTold:
    def test_an_error_in_its_envelope(self) -> None:
        error = imagekit.InvalidRequestError("no such size", status=400, code="c", param="size")
        answer = served(error)
        assert answer.headers["content-type"] == "application/json"
        known = {"message": "no such size", "type": INVALID, "param": "size", "code": "c"}
        assert answer.json() == {"error": known}

    def test_what_the_rules_object_to(self) -> None:
        error = imagekit.ContentRejectedError("no", stage="output", categories=("violence",))
        known = {"moderation_stage": "output", "categories": ["violence"]}
        assert served(error).json()["error"]["moderation_details"] == known

    @pytest.mark.parametrize("billed", ["no", "possibly", "yes"])
    def test_what_it_may_have_cost(self, billed: Any) -> None:
        answer = served(imagekit.NoImageError("no", billed=billed))
        assert answer.headers["x-imagekit-billed"] == billed
        assert answer.headers["x-should-retry"] == "false"

    def test_not_to_come_again_for_what_may_be_paid(self) -> None:
        found = of_error(imagekit.RateLimitError("x", retry_after=3, billed="possibly"))
        assert found.headers["x-should-retry"] == "false"

    def test_when_to_come_again(self) -> None:
        answer = served(imagekit.RateLimitError("x", retry_after=7.4, billed="no"))
        assert answer.headers["retry-after"] == "7"
        assert answer.headers["x-should-retry"] == "true"

    @pytest.mark.parametrize("seconds", [0.0, -5.0, float("nan"), float("inf"), 1e300])
    def test_no_time_that_is_none(self, seconds: float) -> None:
        assert again(seconds)["retry-after"] == "1"

    @pytest.mark.parametrize("stream", [False, True])
    def test_neither_key_nor_path_nor_address(self, stream: bool) -> None:
        answer = served(imagekit.InvalidRequestError(SECRETS, status=400), stream=stream)
        assert answer.status_code == 400
        assert keeps_quiet(answer.text)
        assert "/v1/images/edits" in answer.text

    def test_nothing_of_what_a_plugin_breaks_on(self) -> None:
        answer = served(RuntimeError(SECRETS))
        assert answer.status_code == 502
        assert answer.json()["error"]["message"] == "The provider failed."

    def test_what_the_operator_has_to_mend_stands_in_the_log(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.WARNING, "imagekit.server")
        answer = served(imagekit.AuthenticationError("the key is old", status=401))
        assert "old" not in answer.text
        [line] = [json.loads(one.getMessage()) for one in caplog.records]
        assert line["id"] == answer.headers["x-request-id"]
        assert (line["level"], line["message"]) == (
            "warning",
            "AuthenticationError: the key is old",
        )

    def test_a_preview_and_then_the_error(self) -> None:
        preview = imagekit.PartialImage(index=0, image=Image(data=picture()))
        error = imagekit.InvalidRequestError(SECRETS, status=400, code="c", param="p")
        answer = served(error, preview, stream=True)
        assert answer.status_code == 200
        assert answer.text.startswith("event: image_generation.partial_image\n")
        said = error_in(answer)
        assert (said["type"], said["code"], said["param"]) == (INVALID, "c", "p")
        assert keeps_quiet(said["message"])

    def test_nothing_of_an_error_in_a_notice(self) -> None:
        ready = imagekit.ImageReady(index=0, image=Image(data=picture()))
        for stream in (False, True):
            answer = served(imagekit.ProviderError(SECRETS), ready, stream=stream)
            assert answer.status_code == 200
            said = answer.text + answer.headers.get("x-imagekit-notices", "")
            assert "the call failed after pictures came" in said
            assert keeps_quiet(said)

    def test_nothing_of_a_failed_picture_in_a_notice(self) -> None:
        def flow(request: imagekit.ImageRequest) -> Any:
            data = yield from call(picture)
            lost = ImageFailure(kind="failed", reason=SECRETS)
            notice = Notice(kind="other", feature="seed", detail=SECRETS)
            return ImageResponse(slots=(Image(data=data), lost), notices=(notice,))

        answer = InProcess(Scripted(flow)).generate(n=2)
        assert len(answer.json()["data"]) == 1
        kinds = [one["kind"] for one in json.loads(answer.headers["x-imagekit-notices"])]
        assert "other" in kinds
        assert "incomplete" in kinds
        assert keeps_quiet(answer.headers["x-imagekit-notices"])


class TestWordsOfOthers:
    @pytest.mark.parametrize(
        "words",
        [
            "POST /v1/images/edits: no such size",
            "the size is 1024x1024, and/or 16:9 at 3/4",
            "unknown parameter 'image/png'; try image[]",
            "quality: low | medium, cost $0.04/image",
            "a path such as /short is no secret, sk- neither",
        ],
    )
    def test_that_give_nothing_away_stay(self, words: str) -> None:
        assert told(words) == words

    @pytest.mark.parametrize("secret", SECRETS.partition(";")[0].split(", "))
    def test_that_give_something_away_go(self, secret: str) -> None:
        assert keeps_quiet(told(secret))

    def test_are_few(self) -> None:
        assert len(told("word " * 10_000)) == 1001

    @pytest.mark.parametrize("words", ["a-", "'/a", "/a", "sk-"])
    def test_take_no_time(self, words: str) -> None:
        began = time.process_time()
        told(words * 30_000)
        assert time.process_time() - began < 0.5


class TestWhatTheRoutesTurnAway:
    def test_says_which(self) -> None:
        assert of_http(404, "", "GET", "/v1/x", "").message == "Invalid URL (GET /v1/x)"
        refused = of_http(405, "", "PUT", "/v1/x", "GET, POST")
        assert (refused.code, refused.headers) == ("method_not_supported", {"allow": "GET, POST"})
        assert of_http(400, "Bad form.", "PUT", "/v1/x", "GET").message == "Bad form."


def test_every_answer_has_the_dialects_headers() -> None:
    assert standard("req_1", 7) == {
        "x-request-id": "req_1",
        "openai-processing-ms": "7",
        "openai-version": "2020-10-01",
    }
