from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai_wire import (
    IMAGE_USAGE,
    ONE,
    SVG_USAGE,
    TEXT_USAGE,
    TOOL_USAGE,
    asked,
    call,
    image_event,
    images_body,
    response_body,
    response_stream,
    sse_bytes,
)

from imagekit import InvalidRequestError, RateLimit, Usage
from imagekit_openai._readings import (
    SvgTokens,
    Tokens,
    moment,
    processing_time,
    rate_limits,
    request_ids,
    seconds,
    served,
    usage,
)
from recorded import IMAGES, RESPONSES
from recordings import ABSENT, HOME, recorded
from spoken import httpx
from ways import WAYS, make


def rows(found: Usage | None) -> list[tuple[Any, ...]]:
    assert found is not None
    return [
        (one.direction, one.modality, one.detail, one.model, int(one.quantity))
        for one in found.items
    ]


def of(body: Any) -> Tokens:
    return Tokens.model_validate(body)


def test_an_images_usage_is_split_by_direction_and_modality() -> None:
    assert rows(usage(of(IMAGE_USAGE))) == [
        ("input", "text", None, None, 10),
        ("input", "image", None, None, 40),
        ("output", "text", None, None, 6),
        ("output", "image", None, None, 190),
    ]


def test_what_was_kept_is_taken_out_of_what_was_new() -> None:
    assert rows(usage(of(TOOL_USAGE["image_gen"])))[:4] == [
        ("input", "text", None, None, 6),
        ("input", "image", None, None, 32),
        ("input", "text", "cached", None, 4),
        ("input", "image", "cached", None, 8),
    ]


def test_a_conversation_counts_to_its_own_model() -> None:
    assert rows(usage(None, (), of(TEXT_USAGE), "gpt-6.1-sol")) == [
        ("input", "text", "cached", "gpt-6.1-sol", 100),
        ("input", None, None, "gpt-6.1-sol", 200),
        ("output", "text", "reasoning", "gpt-6.1-sol", 20),
        ("output", None, None, "gpt-6.1-sol", 40),
    ]


def test_the_author_of_an_svg_counts_beside_the_picture() -> None:
    svg = SvgTokens.model_validate(SVG_USAGE)
    assert rows(usage(None, [svg])) == [
        ("input", None, None, "gpt-6.1-sol", 100),
        ("output", "text", "reasoning", "gpt-6.1-sol", 30),
        ("output", None, None, "gpt-6.1-sol", 50),
    ]


def test_an_author_without_a_name_is_not_taken_for_the_image_model() -> None:
    found = rows(usage(None, [SvgTokens(input_tokens=1)]))
    assert found == [("input", None, None, "svg", 1)]


def test_what_an_author_used_on_no_known_side_counts_to_the_author() -> None:
    found = rows(usage(None, [SvgTokens(model="a", output_tokens=4, total_tokens=9)]))
    assert found == [("output", None, None, "a", 4), (None, None, None, "a", 5)]


def test_everything_together_sums_to_the_reported_totals() -> None:
    svg = SvgTokens.model_validate(SVG_USAGE)
    found = usage(of(TOOL_USAGE["image_gen"]), [svg, svg], of(TEXT_USAGE), "gpt-6.1-sol")
    assert found is not None
    assert found.total_tokens == 246 + 2 * 180 + 360


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"total_tokens": 7}, [(None, None, None, None, 7)]),
        ({"input_tokens": 7, "total_tokens": 7}, [("input", None, None, None, 7)]),
        # What is in the total and on no side is on a side that nobody knows.
        (
            {"output_tokens": 4, "total_tokens": 9},
            [("output", None, None, None, 4), (None, None, None, None, 5)],
        ),
        # A total that is less than its parts takes nothing from them.
        ({"output_tokens": 4, "total_tokens": 3}, [("output", None, None, None, 4)]),
        # As some compatible servers call them.
        (
            {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
            [("input", None, None, None, 3), ("output", None, None, None, 4)],
        ),
        (
            {"input_tokens": 7, "cached_tokens": 2},
            [("input", "text", "cached", None, 2), ("input", None, None, None, 5)],
        ),
        (
            {"input_tokens": "7", "input_tokens_details": "none", "output_tokens": [1]},
            [("input", None, None, None, 7)],
        ),
        # More kept than there was: nothing is counted twice.
        (
            {
                "input_tokens": 5,
                "input_tokens_details": {"text_tokens": 5, "image_tokens": None},
                "cached_tokens_details": {"cached_text_tokens": 9, "cached_image_tokens": None},
            },
            [("input", "text", "cached", None, 5)],
        ),
    ],
)
def test_a_usage_that_lacks_things_is_read_as_far_as_it_goes(body: Any, expected: Any) -> None:
    assert rows(usage(of(body))) == expected


@pytest.mark.parametrize(
    "body",
    [
        None,
        {},
        {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0},
        {"input_tokens": None, "output_tokens": None, "total_tokens": None},
    ],
)
def test_what_nobody_reported_is_none_and_not_zero(body: Any) -> None:
    assert usage(None if body is None else of(body)) is None


counts = st.none() | st.integers(0, 10_000)


@settings(deadline=None, derandomize=True, database=None)
@given(text=counts, image=counts, kept_text=counts, kept_image=counts, rest=st.integers(0, 99))
def test_items_never_overlap(
    text: Any, image: Any, kept_text: Any, kept_image: Any, rest: int
) -> None:
    total = (text or 0) + (image or 0) + rest
    found = usage(
        of(
            {
                "input_tokens": total,
                "input_tokens_details": {"text_tokens": text, "image_tokens": image},
                "cached_tokens_details": {
                    "cached_text_tokens": kept_text,
                    "cached_image_tokens": kept_image,
                },
            }
        )
    )
    assert (found.total_tokens if found else 0) == total


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("50.529s", 50.529),
        ("120ms", 0.12),
        ("6", 6.0),
        ("0s", 0.0),
        ("1m30s", 90.0),
        ("6m0s", 360.0),
        ("1h15m30.918s", 4530.918),
        ("2d3h", 183600.0),
        ("17us", 17e-6),
        ("17\u00b5s", 17e-6),
        ("17\u03bcs", 17e-6),
        ("500ns", 5e-7),
        ("1s500ms", 1.5),
        ("", None),
        (None, None),
        ("soon", None),
        ("1s later", None),
        ("-1s", None),
        ("2026-11-20T00:00:00Z", None),
        ("\u0661s", None),
    ],
)
def test_a_span_is_seconds_however_it_is_spelt(text: str | None, expected: float | None) -> None:
    assert seconds(text) == (None if expected is None else pytest.approx(expected))


@settings(deadline=None, derandomize=True, database=None)
@given(st.text())
def test_no_span_is_beyond_reading(text: str) -> None:
    found = seconds(text)
    assert found is None or found >= 0


def test_rate_limits_go_by_what_they_count() -> None:
    assert rate_limits(
        {
            "x-ratelimit-limit-requests": "5000",
            "x-ratelimit-remaining-requests": "4999",
            "x-ratelimit-reset-requests": "12ms",
            "x-ratelimit-limit-input-images": "5",
            "x-ratelimit-reset-tokens": "6m0s",
            "x-request-id": "req_1",
        }
    ) == {
        "requests": RateLimit(limit=5000, remaining=4999, reset=0.012),
        "input-images": RateLimit(limit=5),
        "tokens": RateLimit(reset=360.0),
    }


@pytest.mark.parametrize("text", ["many", "-1", "1.5", "\u00b2", "9" * 5000, ""])
def test_a_limit_that_is_no_count_is_unknown(text: str) -> None:
    assert rate_limits({"x-ratelimit-limit-requests": text}) == {"requests": RateLimit()}


@pytest.mark.parametrize("name", ["x-ratelimit-limit", "x-ratelimit-policy-requests"])
def test_a_limit_on_nothing_is_none(name: str) -> None:
    assert rate_limits({name: "5"}) == {}


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"x-request-id": "req_1"}, ("req_1",)),
        ({"apim-request-id": "azure-1"}, ("azure-1",)),
        ({"x-request-id": "req_1", "apim-request-id": "azure-1"}, ("req_1",)),
        ({}, ()),
    ],
)
def test_a_request_id_is_what_support_wants_to_hear(headers: Any, expected: Any) -> None:
    assert request_ids(headers) == expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"openai-processing-ms": "14970"}, 14.97),
        ({"openai-processing-ms": "0.5"}, 0.0005),
        ({"x-envoy-upstream-service-time": "8631"}, 8.631),
        ({"openai-processing-ms": "1914", "x-envoy-upstream-service-time": "1920"}, 1.914),
        ({"openai-processing-ms": "soon", "x-envoy-upstream-service-time": "20"}, 0.02),
        ({"openai-processing-ms": "-1"}, None),
        ({"openai-processing-ms": "9" * 400}, None),
        ({}, None),
    ],
)
def test_the_time_a_server_worked_is_in_seconds(headers: Any, expected: float | None) -> None:
    assert processing_time(headers) == expected


def test_who_answered_is_said_by_names_of_ours() -> None:
    assert served(
        {
            "openai-organization": "org-1",
            "openai-project": "proj-1",
            "openai-version": "2020-10-01",
            "x-ms-region": "Sweden Central",
            "x-ms-deployment-name": "",
            "x-request-id": "req_1",
        }
    ) == {
        "organization": "org-1",
        "project": "proj-1",
        "api_version": "2020-10-01",
        "region": "Sweden Central",
    }


FACTS = {
    "x-request-id": "req_1",
    "openai-processing-ms": "1500",
    "openai-organization": "org-1",
    "x-ratelimit-limit-requests": "10",
    "x-ratelimit-remaining-requests": "0",
    "x-ratelimit-reset-requests": "1m30s",
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("provider", ["openai-images", "openai-responses"])
def test_the_facts_of_the_exchange_are_on_the_result(way: str, provider: str) -> None:
    def server(request: httpx.Request) -> httpx.Response:
        if b'"stream":true' in request.content:
            images = [image_event("image_generation.completed")]
            events = images if provider == "openai-images" else response_stream()
            headers = {**FACTS, "content-type": "text/event-stream"}
            return httpx.Response(200, headers=headers, content=sse_bytes(events))
        body = images_body() if provider == "openai-images" else response_body(call())
        return httpx.Response(200, headers=FACTS, json=body)

    response = make(way, asked(), handler=server, provider=provider, api_key="k", env={})
    assert response.processing_time == 1.5
    assert response.request_ids == ("req_1",)
    assert response.rate_limits == {"requests": RateLimit(limit=10, remaining=0, reset=90)}
    assert response.metadata["organization"] == "org-1"
    assert [(one.status, one.headers["x-request-id"]) for one in response.http] == [(200, "req_1")]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("provider", ["openai-images", "openai-responses"])
def test_the_facts_of_the_exchange_are_on_the_error(way: str, provider: str) -> None:
    def server(request: httpx.Request) -> httpx.Response:
        return httpx.Response(400, headers=FACTS, json={"error": {"message": "no"}})

    with pytest.raises(InvalidRequestError) as caught:
        make(way, asked(), handler=server, provider=provider, api_key="k", env={})
    error = caught.value
    assert (error.processing_time, error.request_id, error.status) == (1.5, "req_1", 400)
    assert error.rate_limits == {"requests": RateLimit(limit=10, remaining=0, reset=90)}
    assert [one.status for one in error.http] == [400]


# Nothing of limits: who is told that there are no requests left waits until there are.
WORKED = {"openai-processing-ms": FACTS["openai-processing-ms"]}


def test_calls_that_were_split_have_worked_as_long_as_all_of_them_together() -> None:
    def server(request: httpx.Request) -> httpx.Response:
        n = json.loads(request.content).get("n", 1)
        return httpx.Response(200, headers=WORKED, json=images_body(*[ONE] * n))

    response = make(
        "sync whole", asked(n=11), handler=server, provider="openai-images", api_key="k", env={}
    )
    assert response.processing_time == 3


@pytest.mark.skipif(not HOME.is_dir(), reason=ABSENT)
def test_every_recorded_answer_says_how_long_it_took_where_the_live_service_did() -> None:
    found = [one for name, _, _ in (*IMAGES, *RESPONSES) for one in recorded(name)]
    counted = [one for one in found if "openai-processing-ms" in one.headers]
    assert len(counted) > 10
    for one in counted:
        assert processing_time(one.headers) == int(one.headers["openai-processing-ms"]) / 1000
        assert "organization" in served(one.headers) or "api_version" in served(one.headers)


def test_a_moment_is_in_utc() -> None:
    assert moment(1795200296) == datetime(2026, 11, 20, 18, 44, 56, tzinfo=UTC)


@pytest.mark.parametrize("unix", [None, 0, 1795200296000000.0, float("inf"), float("nan")])
def test_a_moment_beyond_the_calendar_is_none(unix: float | None) -> None:
    assert moment(unix) is None


def test_usage_of_several_authors_is_kept_apart() -> None:
    two = [SvgTokens(model=name, input_tokens=1) for name in ("a", "b")]
    found = usage(None, two)
    assert found is not None
    models = [one.model for one in found.items]
    assert [key for key, _ in itertools.groupby(models)] == ["a", "b"]
