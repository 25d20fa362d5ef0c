"""Everything that can go wrong, by whose fault it is.

ImagekitError
├── ConfigurationError              you, before anything is sent: how imagekit is set up
│   ├── UnknownProviderError        nobody of that name is installed
│   └── MissingCredentialError      the provider wants a key and none was given
├── RequestError                    you, before anything is sent: what was asked
│   ├── UnsupportedRequestError     this provider or model cannot express it
│   └── BudgetExceededError         it may cost more than the budget has left
├── ProviderError                   the provider said no
│   ├── AuthenticationError         it does not know the key
│   ├── PermissionDeniedError       it knows the key, which may not do this
│   ├── RateLimitError              too much at once: waiting helps
│   ├── QuotaExceededError          the money or the quota is used up: waiting does not help
│   ├── ContentRejectedError        its rules forbid the prompt, an input or the picture
│   ├── InvalidRequestError         it finds the request wrong
│   ├── NoImageError                it answered, and made no picture
│   └── ProviderUnavailableError    it is broken, overloaded or gone
├── TransportError                  nobody answered
│   ├── ConnectionFailedError       no connection was made, so nothing was sent
│   ├── TransportTimeoutError       an answer, or its next piece, took too long
│   └── DeadlineExceededError       the deadline you gave passed
├── ProtocolError                   an answer came that cannot be read
│   └── TruncatedStreamError        a stream was cut before it said it was done
└── PluginError                     the plugin itself is at fault
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from ._jobs import Job
    from ._prices import Estimate
    from ._purse import Budget
    from ._response import Attempt, HttpInfo, ImageResponse, RateLimit

Billed: TypeAlias = Literal["no", "possibly", "yes"]
Stage: TypeAlias = Literal["input", "output", "unknown"]


class ImagekitError(Exception):
    """The base of all of them.

    Attributes, each None where it is not known:

    * `provider`: the provider's name.
    * `status`: the HTTP status; `code`: the provider's own name for the problem; `param`: the
      request field it blames.
    * `request_id`: what to quote to the provider's support.
    * `retry_after`: seconds the provider asks to wait.
    * `billed`: whether money may be gone: "no", "possibly" or "yes".
    * `job`: what was begun and goes on, for `client.resume(error.job)` to finish; `checkpoint` is
      the provider's own handle in it.
    * `response`: what had arrived all the same, as an `ImageResponse`.
    * `attempts`: what providers said that were tried before.
    * `http`: status, headers and, of what is no success, text of each answer that the call got.
    * `rate_limits`: the provider's limits by what they count, and `processing_time`: the seconds
      that it says it worked.
    """

    provider: str | None = None
    job: Job | None = None
    checkpoint: Mapping[str, Any] | None = None
    response: ImageResponse | None = None
    attempts: tuple[Attempt, ...] = ()
    http: tuple[HttpInfo, ...] = ()
    rate_limits: Mapping[str, RateLimit] = MappingProxyType({})
    processing_time: float | None = None

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        param: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        billed: Billed | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param
        self.request_id = request_id
        self.retry_after = retry_after
        self.billed: Billed | None = billed


class ConfigurationError(ImagekitError):
    """How imagekit is set up; nothing was sent."""


class UnknownProviderError(ConfigurationError):
    """Nobody of that name is installed."""


class MissingCredentialError(ConfigurationError):
    """The provider wants a key and none was given."""


class RequestError(ImagekitError, ValueError):
    """What was asked is wrong in itself; nothing was sent."""


class UnsupportedRequestError(RequestError):
    """This provider or model cannot express the request; nothing was sent."""


class BudgetExceededError(RequestError):
    """The call may cost more than its budget or the client's has left; nothing was sent.

    `estimate` is what it may cost, `budget` the budget that does not hold it.
    """

    def __init__(
        self,
        message: str,
        *,
        estimate: Estimate | None = None,
        budget: Budget | None = None,
        **known: Any,
    ) -> None:
        super().__init__(message, **known)
        self.estimate = estimate
        self.budget = budget


class ProviderError(ImagekitError):
    """The provider said no."""


class AuthenticationError(ProviderError):
    """The provider does not know the key."""


class PermissionDeniedError(ProviderError):
    """The provider knows the key, which may not do this."""


class RateLimitError(ProviderError):
    """Too much at once; waiting helps."""


class QuotaExceededError(ProviderError):
    """The money or the quota is used up; waiting does not help."""


class ContentRejectedError(ProviderError):
    """The provider's rules forbid the prompt, an input or the picture.

    `stage` says which ("input", "output" or "unknown"), `categories` what it objects to.
    """

    def __init__(
        self,
        message: str,
        *,
        stage: Stage = "unknown",
        categories: tuple[str, ...] = (),
        **known: Any,
    ) -> None:
        super().__init__(message, **known)
        self.stage: Stage = stage
        self.categories = categories


class InvalidRequestError(ProviderError):
    """The provider finds the request wrong."""


class NoImageError(ProviderError):
    """The provider answered, and made no picture."""


class ProviderUnavailableError(ProviderError):
    """The provider is broken, overloaded or gone."""


class TransportError(ImagekitError):
    """Nobody answered."""


class ConnectionFailedError(TransportError):
    """No connection was made, so nothing was sent."""


class TransportTimeoutError(TransportError):
    """An answer, or its next piece, took too long."""


class DeadlineExceededError(TransportError):
    """The deadline given for the call passed."""


class ProtocolError(ImagekitError):
    """An answer came that cannot be read."""


class TruncatedStreamError(ProtocolError):
    """A stream was cut before it said it was done."""


class PluginError(ImagekitError):
    """The plugin itself is at fault."""


_BY_STATUS: Mapping[int, type[ProviderError]] = {
    401: AuthenticationError,
    402: QuotaExceededError,
    403: PermissionDeniedError,
    408: ProviderUnavailableError,
    429: RateLimitError,
}


def error_class(status: int) -> type[ProviderError]:
    """The class of an answer of that HTTP *status*, where nothing more is known of it."""
    if status >= 500:
        return ProviderUnavailableError
    usual = InvalidRequestError if 400 <= status < 500 else ProviderError
    return _BY_STATUS.get(status, usual)
