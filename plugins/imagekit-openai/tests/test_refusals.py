"""Each row of the error tables, and each body that was quoted in public."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai_wire import BLOCKED, KEY

from imagekit import (
    AuthenticationError,
    ContentRejectedError,
    ImagekitError,
    InvalidRequestError,
    PermissionDeniedError,
    ProviderError,
    ProviderUnavailableError,
    QuotaExceededError,
    RateLimitError,
)
from imagekit.provider import HttpResponse, Verdict
from imagekit.testing import json_response
from imagekit_openai._refusals import envelope, error_from, error_of, failure, judge

USER = "image_generation_user_error"
INVALID = "invalid_request_error"


def no(status: int, /, error: Any = None, **fields: Any) -> HttpResponse:
    return json_response({"error": fields if error is None else error}, status)


TABLE: list[tuple[int, str | None, str | None, type[ImagekitError], Verdict | None]] = [
    (400, USER, "moderation_blocked", ContentRejectedError, None),
    (400, USER, "invalid_image_file", InvalidRequestError, None),
    (400, USER, None, InvalidRequestError, None),
    (400, USER, "invalid_value", InvalidRequestError, None),
    (400, USER, "unsupported_parameter", InvalidRequestError, None),
    (400, USER, "invalid_input_fidelity_model", InvalidRequestError, None),
    (400, INVALID, "unsupported_file_mimetype", InvalidRequestError, None),
    (400, INVALID, "unknown_parameter", InvalidRequestError, None),
    (400, INVALID, "content_policy_violation", ContentRejectedError, None),
    (400, None, "contentFilter", ContentRejectedError, None),
    (400, None, "content_filter", ContentRejectedError, None),
    (400, INVALID, "billing_hard_limit_reached", QuotaExceededError, Verdict.REJECTED),
    (401, INVALID, "invalid_api_key", AuthenticationError, None),
    (403, INVALID, None, PermissionDeniedError, None),
    (403, "request_forbidden", "unsupported_country_region_territory", PermissionDeniedError, None),
    (404, INVALID, "model_not_found", InvalidRequestError, None),
    (408, None, None, ProviderUnavailableError, None),
    (409, None, None, InvalidRequestError, None),
    (413, None, None, InvalidRequestError, None),
    (422, None, None, InvalidRequestError, None),
    (429, "requests", "rate_limit_exceeded", RateLimitError, None),
    (429, "rate_limit_error", "slow_down", RateLimitError, None),
    (429, None, None, RateLimitError, None),
    *(
        (429, "insufficient_quota", code, QuotaExceededError, Verdict.REJECTED)
        for code in (
            "credit_balance_exhausted",
            "organization_spend_limit_exceeded",
            "project_spend_limit_exceeded",
            "organization_usage_limit_exceeded",
            "insufficient_quota",
            None,
        )
    ),
    (429, None, "project_spend_limit_exceeded", QuotaExceededError, Verdict.REJECTED),
    (429, INVALID, "billing_hard_limit_reached", QuotaExceededError, Verdict.REJECTED),
    (500, "server_error", None, ProviderUnavailableError, None),
    (502, None, None, ProviderUnavailableError, None),
    (503, "server_error", "server_is_overloaded", ProviderUnavailableError, None),
    (524, None, None, ProviderUnavailableError, None),
    (304, None, None, ProviderError, None),
]


@pytest.mark.parametrize(("status", "kind", "code", "error", "verdict"), TABLE)
def test_a_row_of_the_error_table(
    status: int,
    kind: str | None,
    code: str | None,
    error: type[ImagekitError],
    verdict: Verdict | None,
) -> None:
    answer = no(status, message="no", type=kind, code=code, param=None)
    found = error_from(answer)
    assert type(found) is error
    assert str(found) == "no"
    assert (found.status, found.code, found.param) == (status, code or kind, None)
    assert judge(answer) is verdict
    assert found.billed == (None if status in (304, 408, 409, 500, 502, 524) else "no")


# By code alone: an event after the head, an item, a response that failed.
BY_CODE: list[tuple[str | None, str | None, type[ImagekitError]]] = [
    ("server_error", None, ProviderUnavailableError),
    ("vector_store_timeout", None, ProviderUnavailableError),
    ("server_is_overloaded", "server_error", ProviderUnavailableError),
    ("rate_limit_exceeded", None, RateLimitError),
    ("slow_down", "rate_limit_error", RateLimitError),
    ("invalid_prompt", None, ContentRejectedError),
    ("bio_policy", None, ContentRejectedError),
    ("misalignment_policy_violation", None, ContentRejectedError),
    ("image_content_policy_violation", None, ContentRejectedError),
    ("data_residency_mismatch", None, PermissionDeniedError),
    ("invalid_api_key", INVALID, AuthenticationError),
    # As Azure says it.
    ("429", None, RateLimitError),
    ("too_many_requests", None, RateLimitError),
    ("RateLimitReached", None, RateLimitError),
    ("insufficient_quota", "insufficient_quota", QuotaExceededError),
    *(
        (code, None, InvalidRequestError)
        for code in (
            "invalid_image",
            "invalid_image_format",
            "invalid_base64_image",
            "invalid_image_url",
            "image_too_large",
            "image_too_small",
            "image_parse_error",
            "invalid_image_mode",
            "image_file_too_large",
            "unsupported_image_media_type",
            "empty_image_file",
            "failed_to_download_image",
            "image_file_not_found",
        )
    ),
    (None, USER, InvalidRequestError),
    (None, None, ProviderError),
    ("something_new", "novel_error", ProviderError),
]


@pytest.mark.parametrize(("code", "kind", "error"), BY_CODE)
@pytest.mark.parametrize("answer", [None, HttpResponse(200, {"x-request-id": "req_1"})])
def test_a_code_says_whose_fault_it_is_where_no_status_does(
    code: str | None, kind: str | None, error: type[ImagekitError], answer: HttpResponse | None
) -> None:
    found = error_of({"message": "no", "code": code, "type": kind}, answer)
    assert type(found) is error
    assert found.status is None
    assert found.request_id == (answer and "req_1")


BAD_KEY = "Incorrect API key provided: sk-proj-***********************abcd. You can find your key."
YOUR_PROMPT = (
    "Your request was rejected as a result of our safety system. Your prompt may contain text that "
    "is not allowed by our safety system."
)
BY_THE_SYSTEM = (
    "Your request was rejected by the safety system. If you believe this is an error, contact us "
    "at help.openai.com and include the request ID b68e1d8f-…. safety_violations=[sexual]."
)
RATE = "Rate limit reached for gpt-image-2-codex (for limit gpt-image) in organization … on "

# What users quoted in public threads: the body, and what it must become.
QUOTED = [
    pytest.param(
        {
            "code": "content_policy_violation",
            "inner_error": {
                "code": "ResponsibleAIPolicyViolation",
                "content_filter_results": {"jailbreak": {"detected": False, "filtered": False}},
            },
            "message": YOUR_PROMPT,
            "type": INVALID,
        },
        ("input", ()),
        id="Azure DALL-E 3",
    ),
    pytest.param(
        {
            "code": None,
            "innererror": {
                "code": "ResponsibleAIPolicyViolation",
                "content_filter_results": {
                    "violence": {"filtered": True, "severity": "high"},
                    "hate": {"filtered": False},
                    "custom_blocklists": None,
                },
            },
            "message": "The response was filtered",
        },
        ("input", ("violence",)),
        id="Azure, its other spelling",
    ),
    pytest.param(
        {
            "code": "content_policy_violation",
            "message": YOUR_PROMPT,
            "param": None,
            "type": INVALID,
        },
        ("input", ()),
        id="OpenAI DALL-E 3",
    ),
    pytest.param(
        {
            "message": BY_THE_SYSTEM,
            "type": USER,
            "param": None,
            "code": "moderation_blocked",
            "moderation_details": {"moderation_stage": "output", "categories": ["sexual"]},
        },
        ("output", ("sexual",)),
        id="gpt-image, output",
    ),
    pytest.param(
        {
            "message": BY_THE_SYSTEM.replace("sexual", "violence, hate") + " (request id: …)",
            "type": USER,
            "param": "",
            "code": "moderation_blocked",
        },
        ("unknown", ("violence", "hate")),
        id="Azure gpt-image-2 through a reseller",
    ),
    pytest.param(
        {
            "message": BY_THE_SYSTEM,
            "code": "moderation_blocked",
            "moderation_details": {"moderation_stage": "unknown", "categories": []},
        },
        ("unknown", ("sexual",)),
        id="details that say less than the message",
    ),
    pytest.param(
        {
            "message": "blocked",
            "code": "moderation_blocked",
            "moderation_details": {"moderation_stage": "input", "categories": None},
        },
        ("input", ()),
        id="a stage alone",
    ),
    pytest.param(
        {
            "message": "blocked",
            "code": "moderation_blocked",
            "moderation_details": {"moderation_stage": 5, "categories": "violence"},
        },
        ("unknown", ()),
        id="details of other types",
    ),
    pytest.param(
        {"code": "contentFilter", "message": "Your task failed as a result of our safety system."},
        ("unknown", ()),
        id="Azure, as documented",
    ),
]


@pytest.mark.parametrize(("said", "expected"), QUOTED)
def test_a_refusal_says_which_stage_and_which_categories(
    said: dict[str, Any], expected: tuple[str, tuple[str, ...]]
) -> None:
    found = error_from(no(400, said))
    assert isinstance(found, ContentRejectedError)
    assert (found.stage, found.categories) == expected
    assert str(found) == said["message"]
    assert found.param is None


@pytest.mark.parametrize(
    ("message", "wait"),
    [
        (f"{RATE}input-images per min: Limit 4000, Used 4000. Please try again in 467ms.", 0.467),
        (f"{RATE}input-images per min: Limit 5, Used 5. Please try again in 12s.", 12.0),
        (f"{RATE}input-images per min: Limit 5, Used 5. Please try again in 1m12.5s.", 72.5),
        (f"{RATE}input-images per min: Limit 5, Requested 10.", None),
    ],
)
def test_a_rate_limit_says_when_to_come_back(message: str, wait: float | None) -> None:
    found = error_from(no(429, message=message, code="rate_limit_exceeded", type="requests"))
    assert isinstance(found, RateLimitError)
    assert found.retry_after == wait


def test_a_header_says_better_than_a_message_when_to_come_back() -> None:
    body = {"error": {"message": "try again in 9s", "code": "rate_limit_exceeded"}}
    assert error_from(json_response(body, 429, retry_after="3")).retry_after == 3.0
    assert error_from(json_response(body, 429, retry_after_ms="1500")).retry_after == 1.5
    assert error_from(json_response(body, 429, retry_after="0")).retry_after == 0.0


def test_an_unverified_organisation_is_a_permission_that_lacks() -> None:
    message = "Your organization must be verified to use the model 'gpt-image-1'."
    found = error_from(no(403, message=message, type=INVALID, param=None, code=None))
    assert type(found) is PermissionDeniedError
    assert str(found) == message


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"error": {"message": "m", "code": "c"}}, {"message": "m", "code": "c"}),
        # sd-server's two ways, LocalAI's numbers, FastAPI's details, vLLM's flat body.
        ({"error": "size must be small"}, {"message": "size must be small", "code": None}),
        (
            {"error": "server_error", "message": "boom"},
            {"message": "boom", "code": "server_error"},
        ),
        ({"error": {"message": "m", "code": 500}}, {"message": "m", "code": 500}),
        ({"detail": "no route"}, {"message": "no route"}),
        ({"detail": [{"loc": ["n"]}]}, {"message": '[{"loc": ["n"]}]'}),
        (
            {"object": "error", "message": "m", "type": "BadRequestError", "code": 400},
            {"object": "error", "message": "m", "type": "BadRequestError", "code": 400},
        ),
        # Events: flat as documented, nested as sent, and a mixture.
        (
            {"type": "error", "code": "c", "message": "m", "param": None},
            {"code": "c", "message": "m", "param": None},
        ),
        (
            {"type": "error", "error": {"type": "t", "code": None, "message": "m"}},
            {"type": "t", "message": "m"},
        ),
        (
            {"type": "error", "code": "c", "message": "outer", "error": {"message": "inner"}},
            {"code": "c", "message": "inner"},
        ),
        ({"type": "error", "error": None, "message": "m"}, {"message": "m"}),
        ({"error": None, "data": []}, {}),
        ({"error": []}, {}),
        ({}, {}),
        (None, {}),
        ("no", {}),
        ([{"error": {"message": "m"}}], {}),
    ],
)
def test_an_error_is_found_however_it_is_wrapped(body: Any, expected: dict[str, Any]) -> None:
    assert envelope(body) == expected


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (b"<html><body>524:\n a timeout\n</body></html>", "text/html", "(text/html): '<html>"),
        (b"", "text/plain", "(text/plain): an empty body"),
        (b"\xff\xfe", "", "(no content type): "),
        (b"{" * 3, "application/json", "(application/json): '{{{'"),
        (b"[" * 100_000, "application/json", "(application/json): '[[["),
        (b'{"error": {}}', "application/json", '(application/json): \'{"error"'),
    ],
)
def test_an_answer_that_is_no_error_of_theirs_is_shown_in_brief(
    body: bytes, kind: str, words: str
) -> None:
    answer = HttpResponse(524, {"content-type": kind} if kind else {}, body)
    found = error_from(answer)
    assert type(found) is ProviderUnavailableError
    assert words in str(found)
    assert len(str(found)) < 250
    assert judge(answer) is None


def test_a_code_survives_without_a_message() -> None:
    found = error_from(no(400, code="moderation_blocked"))
    assert isinstance(found, ContentRejectedError)
    assert found.code == "moderation_blocked"


@pytest.mark.parametrize(
    ("said", "expected"),
    [({}, "no reason given"), ({"code": "c", "type": "t"}, "c"), ({"type": "t"}, "t")],
)
def test_an_error_without_a_message_says_what_it_can(said: dict[str, Any], expected: str) -> None:
    assert str(error_of(said)) == expected


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (BAD_KEY, "Incorrect API key provided: …. You can find your key."),
        ("Incorrect API key provided: hunter2, sorry", "Incorrect API key provided: …, sorry"),
        (f"key '{KEY}' is wrong", "key 'sk-…' is wrong"),
        ("Authorization: Bearer abcdefghijklmnop.", "Authorization: Bearer …."),
        (
            "You need to use Bearer auth (i.e. Authorization: Bearer YOUR_KEY)",
            "You need to use Bearer auth (i.e. Authorization: Bearer YOUR_KEY)",
        ),
        ("the task-force sk-et", "the task-force sk-et"),
    ],
)
def test_what_stands_where_a_key_would_is_not_repeated(text: str, kept: str) -> None:
    assert str(error_of({"message": text})) == kept


@pytest.mark.parametrize(
    ("status", "said", "expected"),
    [
        (429, "false", Verdict.REJECTED),
        (503, "False", Verdict.REJECTED),
        (429, "true", None),
        (429, None, None),
        # That a repetition is welcome does not say that it costs nothing.
        (500, "true", None),
        (408, "true", None),
        (409, "true", None),
        (500, "false", None),
    ],
)
def test_a_server_may_call_off_a_repetition_and_not_ask_for_a_dear_one(
    status: int, said: str | None, expected: Verdict | None
) -> None:
    headers = {"x_should_retry": said} if said else {}
    assert judge(json_response({}, status, **headers)) is expected


def test_the_headers_of_an_error_after_the_head_are_its_own() -> None:
    headers = {"Retry-After": "7", "x-request-id": "req_inner", "x-n": 5}
    found = error_of({"message": "slow", "code": "slow_down", "headers": headers})
    assert isinstance(found, RateLimitError)
    assert (found.retry_after, found.request_id) == (7.0, "req_inner")


@pytest.mark.parametrize("headers", ["none", None, ["retry-after"]])
def test_headers_that_are_none_are_left_alone(headers: Any) -> None:
    assert error_of({"message": "slow", "headers": headers}).retry_after is None


def test_an_item_that_was_blocked_leaves_a_refused_slot() -> None:
    slot = failure(BLOCKED)
    assert (slot.kind, slot.code) == ("refused", "moderation_blocked")
    assert (slot.stage, slot.categories) == ("output", ("sexual",))
    assert slot.reason == BLOCKED["message"]
    assert slot.billed == "possibly"


def test_an_item_that_broke_leaves_a_failed_slot() -> None:
    slot = failure({"code": "server_error", "message": "boom", "type": "server_error"})
    assert (slot.kind, slot.code, slot.reason) == ("failed", "server_error", "boom")
    assert (slot.stage, slot.categories) == ("unknown", ())


def test_half_a_character_of_a_server_is_no_trouble_for_whoever_prints_the_error() -> None:
    found = error_from(json_response({"error": {"message": "no \ud83d", "code": "\udc00"}}, 400))
    assert (str(found), found.code) == ("no \ufffd", "\ufffd")


def test_azures_request_id_is_as_good() -> None:
    answer = HttpResponse(
        500, {"apim-request-id": "a-1"}, json.dumps({"error": {"message": "m"}}).encode()
    )
    assert error_from(answer).request_id == "a-1"
