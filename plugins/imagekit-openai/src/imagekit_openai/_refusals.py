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

from ._readings import request_id

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
    {"server_error", "server_is_overloaded", "internal_error", "internal_server_error"}
)
_VIOLATIONS = re.compile(r"safety_violations=\[([^\]]*)\]")
_KEY = re.compile(r"\b(sk-)[\w*-]{6,}")


def envelope(body: Any) -> dict[str, Any]:
    """The error in *body*, whichever way it is wrapped; empty when there is none."""
    if not isinstance(body, Mapping):
        return {}
    inner = body.get("error")
    if isinstance(inner, str):
        return {"message": str(body.get("message") or inner), "code": inner}
    if isinstance(inner, Mapping):
        return dict(inner)
    if body.get("type") == "error" or "message" in body:
        return dict(body)
    detail = body.get("detail")
    return {"message": detail if isinstance(detail, str) else json.dumps(detail)} if detail else {}


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
    return error_of(said, response)


def error_of(said: Mapping[str, Any], response: HttpResponse | None = None) -> ImagekitError:
    """The exception for an error envelope, from an answer, an event or an item."""
    message = _KEY.sub(r"\1…", str(said.get("message") or said.get("code") or "no reason given"))
    code, kind = _word(said.get("code")), _word(said.get("type"))
    status = response.status if response is not None else None
    known: dict[str, Any] = {
        "status": status,
        "code": code or kind,
        "param": _word(said.get("param")),
        "request_id": request_id(response.headers) if response is not None else None,
        "retry_after": retry_after(response.headers) if response is not None else None,
    }
    words = {word.lower() for word in (code, kind, _inner(said).get("code")) if word}
    if words & CONTENT:
        stage, categories = moderation(said, message)
        return ContentRejectedError(message, stage=stage, categories=categories, **known)
    return _class_of(status, words)(message, **known)


def _class_of(status: int | None, words: set[str]) -> type[ProviderError]:
    if words & MONEY:
        return QuotaExceededError
    if status == 429 or (status is None and words & TEMPORARY):
        return RateLimitError
    if status in (401, 403):
        return AuthenticationError if status == 401 else PermissionDeniedError
    if status == 408 or (status or 0) >= 500 or (status is None and words & BROKEN):
        return ProviderUnavailableError
    if status is None or 400 <= status < 500:
        return InvalidRequestError
    return ProviderError


def moderation(said: Mapping[str, Any], message: str) -> tuple[Any, tuple[str, ...]]:
    """Stage and categories of a refusal, from wherever the wire puts them."""
    details = said.get("moderation_details")
    if isinstance(details, Mapping):
        stage = details.get("moderation_stage")
        found = details.get("categories") or ()
        stage = stage if stage in ("input", "output") else "unknown"
        return stage, tuple(str(one) for one in found)
    filters = _inner(said).get("content_filter_results")
    if isinstance(filters, Mapping):
        results = {name: one for name, one in filters.items() if isinstance(one, Mapping)}
        return "input", tuple(name for name, one in results.items() if one.get("filtered"))
    listed = _VIOLATIONS.search(message)
    words = listed[1].split(",") if listed else ()
    categories = tuple(word.strip() for word in words if word.strip())
    return ("input" if "your prompt" in message.lower() else "unknown"), categories


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


def _inner(said: Mapping[str, Any]) -> Mapping[str, Any]:
    inner = said.get("inner_error") or said.get("innererror")
    return inner if isinstance(inner, Mapping) else {}


def _word(value: object) -> str | None:
    return None if value in (None, "") else str(value)


def _excerpt(response: HttpResponse) -> str:
    text = " ".join(response.text.split())
    return repr(text[:120]) if text else "an empty body"
