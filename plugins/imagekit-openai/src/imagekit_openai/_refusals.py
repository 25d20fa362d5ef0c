"""How OpenAI, and those who speak its dialects, say no."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeAlias

from imagekit import (
    AuthenticationError,
    ContentRejectedError,
    ImageFailure,
    ImagekitError,
    InvalidRequestError,
    PermissionDeniedError,
    ProtocolError,
    ProviderError,
    ProviderUnavailableError,
    QuotaExceededError,
    RateLimitError,
)
from imagekit.provider import HttpResponse, Verdict, error_class, retry_after

from ._readings import processing_time, rate_limits, request_id, seconds

Stage: TypeAlias = Literal["input", "output", "unknown"]

CONTENT = frozenset(
    {
        "bio_policy",
        "content_filter",
        "content_policy_violation",
        "contentfilter",
        "image_content_policy_violation",
        "invalid_prompt",
        "misalignment_policy_violation",
        "moderation_blocked",
        "responsibleaipolicyviolation",
    }
)
# Waiting mends none of these.
MONEY = frozenset(
    {
        "billing_hard_limit_reached",
        "credit_balance_exhausted",
        "insufficient_quota",
        "organization_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
        "project_spend_limit_exceeded",
    }
)
TEMPORARY = frozenset(
    {
        "429",
        "ratelimitreached",
        "rate_limit_error",
        "rate_limit_exceeded",
        "slow_down",
        "too_many_requests",
        "toomanyrequests",
    }
)
BROKEN = frozenset(
    {
        "internal_error",
        "internal_server_error",
        "server_error",
        "server_is_overloaded",
        "vector_store_timeout",
    }
)
# The statuses of a request that was turned away before anything was made.
FREE = frozenset({*range(400, 500), 503} - {408, 409})
# Where no status says so: an event of a stream, an item, a response that failed.
STRANGER = frozenset({"authentication_error", "invalid_api_key"})
FORBIDDEN = frozenset({"data_residency_mismatch", "permission_error"})
_WRONG = ("empty_image", "failed_to_download", "image_", "invalid_", "unknown_", "unsupported_")
_VIOLATIONS = re.compile(r"safety_violations=\[([^\]]*)\]")
_AGAIN = re.compile(
    r"(?:try again|retry) (?:in|after) (?:(\d[\dhms.]*[hms])\b|(\d+(?:\.\d+)?) seconds?)", re.I
)
# What helps, where the server does not say it.
_HELP = {
    "deploymentnotfound": "Azure wants the name of a deployment, not of a model: say it as "
    "deployment= in the azure setting, or as model=; a new one needs a few minutes",
}
# 122 seconds, as theopenco/llmgateway measured it (pull request 2102, 2026-04-27).
_CUT = (
    "Azure ends a call after about two minutes of silence: stream it with partial_images=1, or ask "
    "for a lower quality"
)
# Whatever stands where a key would: a server may quote it, whole or half hidden.
_KEY = re.compile(
    r"(\bsk-(?=\S{6})|\bBearer\s+(?=\S{12})|API key provided:\s+)[^\s,;\"'<>]*[^\s,;\"'<>.]", re.I
)


def envelope(body: Any) -> dict[str, Any]:
    """The error in *body*, whichever way it is wrapped; empty when there is none."""
    if not isinstance(body, Mapping):
        return {}
    # In an event the type is the event's: "error".
    flat = {name: body[name] for name in body if name != "type" or body[name] != "error"}
    inner = flat.pop("error", None)
    if isinstance(inner, Mapping):
        said = {name: value for name, value in inner.items() if value is not None}
        beside = {name: flat[name] for name in ("message", "code", "param") if name in flat}
        return {**beside, **said}
    if inner and isinstance(inner, str):
        # A server's word for it, or its whole sentence.
        code = inner if re.fullmatch(r"\w+", inner) else None
        return {"message": str(body.get("message") or inner), "code": code}
    if body.get("type") == "error" or "message" in body:
        return flat
    detail = body.get("detail")
    return (
        {"message": detail if isinstance(detail, str) else json.dumps(detail, ensure_ascii=False)}
        if detail
        else {}
    )


def parsed(response: HttpResponse) -> dict[str, Any]:
    """The error envelope of *response*; empty where its body is none."""
    try:
        return envelope(response.json())
    except ProtocolError:
        return {}


def error_from(response: HttpResponse, reasons: tuple[str, ...] = ()) -> ImagekitError:
    """The exception for an answer that is no success; with *reasons* it is a refusal for them."""
    said = parsed(response)
    if reasons:
        said |= {"moderation_details": {"categories": reasons}}
    if not said.get("message"):
        kind = response.media_type or "no content type"
        said["message"] = f"the server answered {response.status} ({kind}): {_excerpt(response)}"
    if response.status in (408, 504) and _is_azure(response.headers):
        said["message"] = f"{said['message']} ({_CUT})"
    error = error_of(said, response)
    if response.status in FREE:
        # Said here, for other requests of the same call may have been charged.
        error.billed = "no"
    return error


def error_of(said: Mapping[str, Any], response: HttpResponse | None = None) -> ImagekitError:
    """The exception for an error envelope, from an answer, an event or an item."""
    message = str(said.get("message") or said.get("code") or said.get("type") or "no reason given")
    message = _KEY.sub(r"\1…", message)
    if help := _HELP.get(str(said.get("code")).lower()):
        message = f"{message} ({help})"
    code, kind = _word(said.get("code")), _word(said.get("type"))
    headers = {**(response.headers if response is not None else {}), **_headers(said)}
    # What comes after a success has no status of its own.
    status = response.status if response is not None and not response.ok else None
    again = _AGAIN.search(message)
    wait = retry_after(headers)
    known: dict[str, Any] = {
        "status": status,
        "code": code or kind,
        "param": _word(said.get("param")),
        "request_id": request_id(headers),
        "retry_after": seconds(again[1] or again[2]) if wait is None and again else wait,
    }
    error = _of_kind(said, message, status, known)
    error.rate_limits, error.processing_time = rate_limits(headers), processing_time(headers)
    return error


def _of_kind(
    said: Mapping[str, Any], message: str, status: int | None, known: Mapping[str, Any]
) -> ProviderError:
    code, kind = _word(said.get("code")), _word(said.get("type"))
    words = {word.lower() for word in (code, kind, _word(_inner(said).get("code"))) if word}
    if words & CONTENT or said.get("moderation_details"):
        stage, categories = moderation(said, message)
        return ContentRejectedError(message, stage=stage, categories=categories, **known)
    if words & MONEY:
        return QuotaExceededError(message, **known)
    return (_by_word(words) if status is None else error_class(status))(message, **known)


def _by_word(words: set[str]) -> type[ProviderError]:
    for known, kind in (
        (TEMPORARY, RateLimitError),
        (BROKEN, ProviderUnavailableError),
        (STRANGER, AuthenticationError),
        (FORBIDDEN, PermissionDeniedError),
    ):
        if words & known:
            return kind
    wrong = any(word.startswith(_WRONG) for word in words)
    return InvalidRequestError if wrong else ProviderError


def moderation(said: Mapping[str, Any], message: str) -> tuple[Stage, tuple[str, ...]]:
    """Stage and categories of a refusal, from wherever the wire puts them."""
    details = said.get("moderation_details")
    details = details if isinstance(details, Mapping) else {}
    filters = [*_filters(_inner(said)), *_filters(said)]
    listed = _VIOLATIONS.search(message)
    named = details.get("categories")
    if not isinstance(named, list | tuple) or not named:
        hits = [name for _, results in filters for name in _hits(results)]
        named = dict.fromkeys(hits) or (listed[1].split(",") if listed else ())
    categories = tuple(str(one).strip() for one in named if str(one).strip())
    stage: Stage | None = details.get("moderation_stage")
    if stage is None:
        # Azure's filters say where they stood; those beside an error have seen the prompt.
        stages = {where for where, results in filters if _hits(results)}
        stages = stages or {where for where, _ in filters}
        about_prompt = "your prompt" in message.lower()
        stage = stages.pop() if len(stages) == 1 else "input" if about_prompt else None
    return (stage if stage in ("input", "output") else "unknown"), categories


def filtered(prompt: Any, content: Any) -> ImageFailure | None:
    """The slot that Azure's filters of the *prompt* and of the *content* left empty."""
    stages: tuple[tuple[Stage, Any], ...] = (("input", prompt), ("output", content))
    for stage, results in stages:
        if hits := _hits(results):
            return ImageFailure(
                kind="refused",
                reason=f"the content filter stopped it: {', '.join(hits)}",
                code="content_filter",
                stage=stage,
                categories=hits,
            )
    return None


def failure(said: Mapping[str, Any]) -> ImageFailure:
    """The slot that an item's error leaves behind."""
    error = error_of(said)
    rejected = isinstance(error, ContentRejectedError)
    return ImageFailure(
        kind="refused" if rejected else "failed",
        reason=str(error),
        code=error.code,
        stage=error.stage if isinstance(error, ContentRejectedError) else "unknown",
        categories=error.categories if isinstance(error, ContentRejectedError) else (),
    )


def judge(response: HttpResponse) -> Verdict | None:
    """A refusal that waiting cannot mend: the money is gone, or the server says not to try."""
    said = parsed(response)
    words = {str(said.get(name)).lower() for name in ("code", "type")}
    final = response.headers.get("x-should-retry", "").lower() == "false"
    if words & MONEY or (final and response.status in (429, 503)):
        return Verdict.REJECTED
    return None


def _filters(said: Mapping[str, Any]) -> Iterator[tuple[Stage, Any]]:
    """Azure's filter results in *said*, each with the stage that it looked at."""
    for name in ("content_filter_results", "content_filter_result", "prompt_filter_results"):
        if isinstance(said.get(name), Mapping):
            yield "input", said[name]
    listed = said.get("content_filters")
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, Mapping):
            prompt = one.get("source_type") == "prompt"
            yield "input" if prompt else "output", one.get("content_filter_results")


def _hits(results: Any) -> tuple[str, ...]:
    """The categories that *results* stopped something for."""
    if not isinstance(results, Mapping):
        return ()
    return tuple(
        str(name)
        for name, one in results.items()
        if isinstance(one, Mapping) and one.get("filtered")
    )


def _is_azure(headers: Mapping[str, str]) -> bool:
    return "apim-request-id" in headers or "x-ms-region" in headers


def _headers(said: Mapping[str, Any]) -> dict[str, str]:
    """The headers that an error after the answer's own carries with it."""
    found = said.get("headers")
    found = found if isinstance(found, Mapping) else {}
    return {str(name).lower(): str(value) for name, value in found.items()}


def _inner(said: Mapping[str, Any]) -> Mapping[str, Any]:
    inner = said.get("inner_error") or said.get("innererror")
    return inner if isinstance(inner, Mapping) else {}


def _word(value: object) -> str | None:
    return None if value in (None, "") else str(value)


def _excerpt(response: HttpResponse) -> str:
    text = " ".join(response.text.split())
    return repr(text[:120]) if text else "an empty body"
