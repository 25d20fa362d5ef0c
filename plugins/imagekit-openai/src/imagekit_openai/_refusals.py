"""How OpenAI, and those who speak its dialects, say no."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from imagekit import (
    AuthenticationError,
    ContentRejectedError,
    ImageFailure,
    ImagekitError,
    InvalidRequestError,
    PermissionDeniedError,
    ProviderError,
    ProviderUnavailableError,
    QuotaExceededError,
    RateLimitError,
)
from imagekit.provider import HttpResponse, Verdict, retry_after

from ._readings import request_id, seconds

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
TEMPORARY = frozenset({"rate_limit_exceeded", "rate_limit_error", "slow_down"})
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
_AGAIN = re.compile(r"try again in (\d[\dhms.]*[hms])")
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
        return envelope(json.loads(response.body))
    except (ValueError, RecursionError):
        return {}


def error_from(response: HttpResponse) -> ImagekitError:
    """The exception for an answer that is no success."""
    said = parsed(response)
    if not said.get("message"):
        kind = response.media_type or "no content type"
        said["message"] = f"the server answered {response.status} ({kind}): {_excerpt(response)}"
    error = error_of(said, response)
    if response.status in FREE:
        # Said here, for other requests of the same call may have been charged.
        error.billed = "no"
    return error


def error_of(said: Mapping[str, Any], response: HttpResponse | None = None) -> ImagekitError:
    """The exception for an error envelope, from an answer, an event or an item."""
    message = str(said.get("message") or said.get("code") or said.get("type") or "no reason given")
    message = _KEY.sub(r"\1…", message)
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
        "retry_after": seconds(again[1]) if wait is None and again else wait,
    }
    words = {word.lower() for word in (code, kind, _word(_inner(said).get("code"))) if word}
    if words & CONTENT:
        stage, categories = moderation(said, message)
        return ContentRejectedError(message, stage=stage, categories=categories, **known)
    if words & MONEY:
        return QuotaExceededError(message, **known)
    return (_by_word(words) if status is None else _by_status(status))(message, **known)


def _by_status(status: int) -> type[ProviderError]:
    if status == 408 or status >= 500:
        return ProviderUnavailableError
    exact = {401: AuthenticationError, 403: PermissionDeniedError, 429: RateLimitError}
    return exact.get(status) or (InvalidRequestError if 400 <= status < 500 else ProviderError)


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


def moderation(said: Mapping[str, Any], message: str) -> tuple[Any, tuple[str, ...]]:
    """Stage and categories of a refusal, from wherever the wire puts them."""
    details = said.get("moderation_details")
    details = details if isinstance(details, Mapping) else {}
    filters = _inner(said).get("content_filter_results")
    filters = filters if isinstance(filters, Mapping) else {}
    listed = _VIOLATIONS.search(message)
    named = details.get("categories")
    if not isinstance(named, list | tuple) or not named:
        hits = [name for name, one in filters.items() if _filtered(one)]
        named = hits or (listed[1].split(",") if listed else ())
    categories = tuple(str(one).strip() for one in named if str(one).strip())
    stage = details.get("moderation_stage")
    if stage not in ("input", "output"):
        about_prompt = "your prompt" in message.lower() or bool(filters)
        stage = "input" if about_prompt and stage is None else "unknown"
    return stage, categories


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


def _filtered(one: object) -> bool:
    return isinstance(one, Mapping) and bool(one.get("filtered"))


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
