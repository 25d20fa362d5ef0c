"""One interface for every image-generation API: the door for callers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._beside import ModelInfo as ModelInfo
    from ._beside import Moderation as Moderation
    from ._beside import StoredFile as StoredFile
    from ._cache import Cache as Cache
    from ._capabilities import Allowed as Allowed
    from ._capabilities import Capabilities as Capabilities
    from ._capabilities import Lifecycle as Lifecycle
    from ._capabilities import SizeRule as SizeRule
    from ._capabilities import Source as Source
    from ._client import AsyncClient as AsyncClient
    from ._client import Client as Client
    from ._default import batch as batch
    from ._default import cancel as cancel
    from ._default import capabilities as capabilities
    from ._default import configure as configure
    from ._default import delete as delete
    from ._default import edit as edit
    from ._default import fetch as fetch
    from ._default import generate as generate
    from ._default import open_image as open_image
    from ._default import plan as plan
    from ._default import poll as poll
    from ._default import providers as providers
    from ._default import resume as resume
    from ._default import run as run
    from ._default import stream as stream
    from ._default import submit as submit
    from ._default import vary as vary
    from ._errors import AuthenticationError as AuthenticationError
    from ._errors import BudgetExceededError as BudgetExceededError
    from ._errors import ConfigurationError as ConfigurationError
    from ._errors import ConnectionFailedError as ConnectionFailedError
    from ._errors import ContentRejectedError as ContentRejectedError
    from ._errors import DeadlineExceededError as DeadlineExceededError
    from ._errors import ImagekitError as ImagekitError
    from ._errors import InvalidRequestError as InvalidRequestError
    from ._errors import MissingCredentialError as MissingCredentialError
    from ._errors import NoImageError as NoImageError
    from ._errors import PermissionDeniedError as PermissionDeniedError
    from ._errors import PluginError as PluginError
    from ._errors import ProtocolError as ProtocolError
    from ._errors import ProviderError as ProviderError
    from ._errors import ProviderUnavailableError as ProviderUnavailableError
    from ._errors import QuotaExceededError as QuotaExceededError
    from ._errors import RateLimitError as RateLimitError
    from ._errors import RequestError as RequestError
    from ._errors import TransportError as TransportError
    from ._errors import TransportTimeoutError as TransportTimeoutError
    from ._errors import TruncatedStreamError as TruncatedStreamError
    from ._errors import UnknownProviderError as UnknownProviderError
    from ._errors import UnsupportedRequestError as UnsupportedRequestError
    from ._events import Completed as Completed
    from ._events import ImageEvent as ImageEvent
    from ._events import ImageFailed as ImageFailed
    from ._events import ImageReady as ImageReady
    from ._events import Noticed as Noticed
    from ._events import PartialImage as PartialImage
    from ._events import Progress as Progress
    from ._events import Queued as Queued
    from ._events import Text as Text
    from ._http import HttpResponse as HttpResponse
    from ._image import Image as Image
    from ._image import ImageFile as ImageFile
    from ._input import ImageInput as ImageInput
    from ._input import ProviderFile as ProviderFile
    from ._jobs import Job as Job
    from ._manifest import Manifest as Manifest
    from ._mask import Mask as Mask
    from ._media import MediaFacts as MediaFacts
    from ._plan import Plan as Plan
    from ._plan import PlannedRequest as PlannedRequest
    from ._plugins import Plugins as Plugins
    from ._prices import Estimate as Estimate
    from ._prices import Expected as Expected
    from ._prices import Price as Price
    from ._prices import Prices as Prices
    from ._providers import Profile as Profile
    from ._purse import Budget as Budget
    from ._purse import Totals as Totals
    from ._request import ImageRequest as ImageRequest
    from ._request import State as State
    from ._response import Attempt as Attempt
    from ._response import CallRecord as CallRecord
    from ._response import Cost as Cost
    from ._response import Exchange as Exchange
    from ._response import HttpInfo as HttpInfo
    from ._response import ImageFailure as ImageFailure
    from ._response import ImageResponse as ImageResponse
    from ._response import Notice as Notice
    from ._response import RateLimit as RateLimit
    from ._response import Timing as Timing
    from ._response import Usage as Usage
    from ._response import UsageItem as UsageItem
    from ._retried import RetryPolicy as RetryPolicy
    from ._speakers import Timeouts as Timeouts
    from ._streams import AsyncStream as AsyncStream
    from ._streams import Stream as Stream
    from ._tools import ImageTools as ImageTools
    from ._tools import ToolResult as ToolResult
    from ._tools import image_tools as image_tools

# Where each name lives; it is imported on first use, so that this door stays light.
_HOME = {
    "_beside": "ModelInfo Moderation StoredFile",
    "_cache": "Cache",
    "_capabilities": "Allowed Capabilities Lifecycle SizeRule Source",
    "_client": "AsyncClient Client",
    "_default": "batch cancel capabilities configure delete edit fetch generate open_image plan "
    "poll providers resume run stream submit vary",
    "_errors": "AuthenticationError BudgetExceededError ConfigurationError ConnectionFailedError "
    "ContentRejectedError DeadlineExceededError ImagekitError InvalidRequestError "
    "MissingCredentialError NoImageError PermissionDeniedError PluginError ProtocolError "
    "ProviderError ProviderUnavailableError QuotaExceededError RateLimitError RequestError "
    "TransportError TransportTimeoutError TruncatedStreamError UnknownProviderError "
    "UnsupportedRequestError",
    "_events": "Completed ImageEvent ImageFailed ImageReady Noticed PartialImage Progress Queued "
    "Text",
    "_http": "HttpResponse",
    "_image": "Image ImageFile",
    "_input": "ImageInput ProviderFile",
    "_jobs": "Job",
    "_manifest": "Manifest",
    "_mask": "Mask",
    "_media": "MediaFacts",
    "_plan": "Plan PlannedRequest",
    "_plugins": "Plugins",
    "_prices": "Estimate Expected Price Prices",
    "_providers": "Profile",
    "_purse": "Budget Totals",
    "_request": "ImageRequest State",
    "_response": "Attempt CallRecord Cost Exchange HttpInfo ImageFailure ImageResponse Notice "
    "RateLimit Timing Usage UsageItem",
    "_retried": "RetryPolicy",
    "_speakers": "Timeouts",
    "_streams": "AsyncStream Stream",
    "_tools": "ImageTools ToolResult image_tools",
}
_MODULE = {name: module for module, names in _HOME.items() for name in names.split()}

__all__ = sorted(_MODULE)  # the names are spelt out above


def _looked_up(name: str) -> Any:
    if name == "__version__":
        from ._version import version

        return version()
    if name not in _MODULE:
        raise AttributeError(f"module 'imagekit' has no attribute {name!r}")
    from importlib import import_module

    found = getattr(import_module(f"imagekit.{_MODULE[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({"__version__", *__all__, *(name for name in globals() if name.startswith("__"))})


if not TYPE_CHECKING:
    # Hidden from type checkers, which would take a misspelt name for anything at all.
    __getattr__ = _looked_up


def _warn() -> None:
    from ._clash import clash

    if found := clash():
        import warnings

        warnings.warn(found, RuntimeWarning, stacklevel=3)


_warn()
