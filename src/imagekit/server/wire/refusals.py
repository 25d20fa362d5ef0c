"""How the server says no: the dialect's error envelope, and which error becomes which."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..._errors import (
    AuthenticationError,
    BudgetExceededError,
    ConfigurationError,
    ConnectionFailedError,
    ContentRejectedError,
    DeadlineExceededError,
    ImagekitError,
    InvalidRequestError,
    NoImageError,
    PermissionDeniedError,
    ProviderUnavailableError,
    QuotaExceededError,
    RateLimitError,
    RequestError,
    TransportError,
)

INVALID, SERVER = "invalid_request_error", "server_error"
# Absolute paths of a file system, in an error that somebody else worded.
_PATH = re.compile(
    r"""(?<=["'])/(?!v1/)[^"'\n/]+/[^"'\n]*(?=["'])|"""
    r"""(?<![\w/.>])/(?!v1/)(?:[\w.@+~-]+/)+[\w.@+~-]*|(?:\b[A-Za-z]:|\\)\\[^\s'"]+"""
)
_KEY = re.compile(
    r"\b(?:sk|pk|rk|hf|xai|r8|ghp|gho|glpat|key)[-_][\w-]{8,}|\bAIza[\w-]{30,}|\bAKIA\w{12,}"
    r"|\beyJ[\w-]{8,}\.[\w.-]+"
    r"|(?i:\b(?:bearer|basic|token|secret|password|authorization|api[-_ ]?key))[\s:='\"]+"
    r"[\w.~+/=-]{8,}"
)
_WORD = re.compile(r"[\w.\[\]-]{1,100}")
_URL = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s'\"<>]+", re.IGNORECASE)
_LONGEST = 1000
# Beyond it somebody else's number of seconds is none.
_LONGEST_WAIT = 86_400.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that is an error: its status, and what stands in its envelope."""

    status: int
    message: str
    kind: str = INVALID
    code: str | None = None
    param: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def error(self) -> dict[str, Any]:
        """The error itself."""
        return {
            "message": self.message,
            "type": self.kind,
            "param": self.param,
            "code": self.code,
            **self.details,
        }

    def body(self) -> bytes:
        """The whole answer."""
        return json.dumps({"error": self.error}, indent=2).encode()


class RefusedError(Exception):
    """Ends a request with a refusal."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def again(seconds: float | None = None) -> dict[str, str]:
    """The headers that ask a client to try again: after so many seconds, or never."""
    if seconds is None:
        return {"x-should-retry": "false"}
    wait = max(1, round(seconds)) if 0 < seconds < _LONGEST_WAIT else 1
    return {"x-should-retry": "true", "retry-after": str(wait)}


TOO_LARGE = Refusal(
    413, "The request's body is larger than this server takes.", code="request_too_large"
)
SLOW_BODY = Refusal(
    408, "The request's body took too long to arrive.", headers=again(), code="request_timeout"
)
AMBIGUOUS = Refusal(
    400,
    "A request has a content-length or a transfer-encoding, not both.",
    headers={"connection": "close"},
)
UNAUTHORIZED = Refusal(
    401,
    "The token is missing or wrong: send one of this server's as `Authorization: Bearer …`.",
    code="invalid_api_key",
    headers={"www-authenticate": "Bearer"},
)
UNKNOWN_HOST = Refusal(
    421, "This server does not go by that host name; its operator can allow it.", code="host"
)
UNKNOWN_ORIGIN = Refusal(
    403, "Web pages of that origin may not ask here; the operator can allow it.", code="origin"
)
BROKEN = Refusal(
    500, "The server failed; its log says why.", SERVER, "server_error", headers=again()
)
BUSY = Refusal(
    429,
    "The server makes as many pictures at once as it may; try again shortly.",
    "rate_limit_error",
    "rate_limit_exceeded",
    headers=again(2),
)
ENDED = Refusal(
    503,
    "The call was ended before it was done, and may have been charged.",
    SERVER,
    SERVER,
    headers=again(),
)
STOPPING = Refusal(
    503, "The server is going down.", SERVER, "server_is_overloaded", headers=again(5)
)


def unknown(param: str) -> RefusedError:
    """A parameter that there is not."""
    message = f"Unknown parameter: '{param}'."
    return RefusedError(Refusal(400, message, code="unknown_parameter", param=param))


def invalid(
    message: str, param: str | None = None, code: str | None = "invalid_value"
) -> RefusedError:
    """A value that cannot be."""
    return RefusedError(Refusal(400, message, param=param, code=code))


def not_found(message: str, code: str | None = None, param: str | None = None) -> RefusedError:
    """Something that is not there."""
    return RefusedError(Refusal(404, message, code=code, param=param))


def of_http(status: int, detail: str, method: str, path: str, allowed: str) -> Refusal:
    """What the routes themselves turn away; *allowed* are the methods that there are on *path*."""
    if status == 404:
        return Refusal(404, f"Invalid URL ({method} {path})")
    if status == 405:
        words, headers = f"Not allowed to {method} on {path}.", {"allow": allowed}
        return Refusal(405, words, code="method_not_supported", headers=headers)
    return Refusal(status, detail)


def of_error(error: ImagekitError) -> Refusal:
    """A call's error as the client may see it.

    What is the operator's to mend (keys, settings, plugins) is said in general words; `x-should-
    retry` keeps the official clients from sending again what may have been charged.
    """
    found = _translated(error)
    headers = {**found.headers}
    headers.setdefault("x-should-retry", "false")
    if error.billed in ("possibly", "yes"):
        headers["x-should-retry"] = "false"
    if error.billed is not None:
        headers["x-imagekit-billed"] = error.billed
    code, param = word(found.code), word(found.param)
    return Refusal(found.status, found.message, found.kind, code, param, headers, found.details)


def _translated(error: ImagekitError) -> Refusal:
    words = told(str(error))
    match error:
        case BudgetExceededError():
            code = "insufficient_quota"
            return Refusal(429, "The server's budget does not hold this call.", code, code)
        case RequestError():
            return Refusal(400, words, code=error.code, param=error.param)
        case ContentRejectedError():
            details = {
                "moderation_details": {
                    "moderation_stage": error.stage,
                    "categories": list(error.categories),
                }
            }
            kind = "image_generation_user_error"
            return Refusal(400, words, kind, "moderation_blocked", details=details)
        case RateLimitError():
            code, wait = "rate_limit_exceeded", error.retry_after
            return Refusal(429, words, "rate_limit_error", code, headers=again(wait or 1))
        case QuotaExceededError():
            code = "insufficient_quota"
            return Refusal(429, "The provider's quota is used up.", code, code)
        case InvalidRequestError():
            status = error.status if error.status in (400, 404, 413, 415, 422) else 400
            return Refusal(status, words, code=error.code, param=error.param)
        case NoImageError():
            return Refusal(500, words, SERVER, "no_image")
        case ProviderUnavailableError() if error.billed == "no":
            code, pace = "server_is_overloaded", again(error.retry_after or 1)
            return Refusal(503, "The provider is unavailable.", SERVER, code, headers=pace)
        case AuthenticationError() | PermissionDeniedError():
            return Refusal(502, "The provider does not accept this server's key.", SERVER, SERVER)
        case ConfigurationError():
            return Refusal(500, "The server is not set up for this model.", SERVER, SERVER)
        case ConnectionFailedError():
            return Refusal(503, "The provider cannot be reached.", SERVER, SERVER, headers=again(1))
        case DeadlineExceededError():
            return Refusal(504, "The provider took too long.", SERVER, "timeout")
        case TransportError():
            return Refusal(502, "The connection to the provider broke.", SERVER, SERVER)
    return Refusal(502, "The provider failed.", SERVER, SERVER)


def word(said: str | None) -> str | None:
    """What somebody else said in a word; None where it is more than one, or hides something."""
    return said if said and _WORD.fullmatch(said) and told(said) == said else None


def told(words: str) -> str:
    """*words* that somebody else said, without paths, URLs and keys, and not too many of them."""
    found = words[: 4 * _LONGEST]
    for pattern in (_URL, _PATH, _KEY):
        found = pattern.sub("…", found)
    return found if len(found) <= _LONGEST else found[:_LONGEST] + "…"
