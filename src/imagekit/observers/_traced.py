"""Calls as OpenTelemetry's spans and metrics, by its conventions for generative AI.

Names and units: OpenTelemetry's semantic conventions, "Generative AI" (spans and client metrics),
as in the package `opentelemetry-semantic-conventions` 0.66b2, looked up on 2026-11-21. What they
have no name for is called `imagekit.…`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .._errors import ConfigurationError, ContentRejectedError, ImagekitError
from .._events import ImageEvent, ImageReady, PartialImage, Text
from .._hookspecs import CallInfo, hookimpl
from .._http import HttpRequest, HttpResponse
from .._image import Image
from .._observed import CallerLeft
from .._response import ImageResponse
from .._version import version
from ._words import told, word

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Span, TracerProvider

MISSING = "TraceCalls needs OpenTelemetry: pip install 'imagekit[otel]'"
# What the conventions call the making of content that is no text; the rest are names of our own.
_CONTENT = frozenset({"generate", "edit", "variation", "submit", "batch", "resume", "poll"})
_PORTS = {"http": 80, "https": 443}
# Advised by the conventions for the duration of an operation, in seconds, and for tokens.
_SECONDS = [0.01 * 2**step for step in range(14)]
_TOKENS = [4**step for step in range(14)]


@dataclass(slots=True)
class _Going:
    """A call that goes on: its span, what its metrics are told by, and its first piece."""

    span: Span
    about: dict[str, Any]
    began: float = field(default_factory=time.monotonic)
    first: float | None = None


class TraceCalls:
    """Makes a span of each call, and measures how long it took and what it used.

    The span's parent is whatever span is current where the call begins, on any thread or task. It
    has an event for each answer and each preview. Providers are set up by *tracer_provider* and
    *meter_provider*, or else as the program's own are. *provider_names* says what the conventions
    call a provider, by its name here; others go by their own. Prompts, and what providers say, are
    in it with *capture_content* only; pictures never are.

    Raises `ConfigurationError` where OpenTelemetry is not installed.
    """

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        provider_names: Mapping[str, str] = MappingProxyType({}),
        capture_content: bool = False,
    ) -> None:
        try:
            from opentelemetry import metrics, trace
        except ImportError as error:
            raise ConfigurationError(MISSING) from error
        self._tracer = trace.get_tracer("imagekit", version(), tracer_provider)
        self._kind = trace.SpanKind.CLIENT
        self._failed = trace.StatusCode.ERROR
        meter = metrics.get_meter("imagekit", version(), meter_provider)
        self._duration = meter.create_histogram(
            "gen_ai.client.operation.duration",
            "s",
            "GenAI operation duration.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._first = meter.create_histogram(
            "gen_ai.client.operation.time_to_first_chunk",
            "s",
            "Time to the first preview, picture or text of a stream.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            "{token}",
            "Number of input and output tokens used.",
            explicit_bucket_boundaries_advisory=_TOKENS,
        )
        self._names = provider_names
        self._content = capture_content
        self._going: dict[str, _Going] = {}

    @hookimpl
    def imagekit_call_started(self, call: CallInfo) -> None:
        """Begin its span."""
        about = _about(call, self._names.get(call.provider, call.provider))
        operation = about["gen_ai.operation.name"]
        span = self._tracer.start_span(
            f"{operation} {call.model}" if call.model else operation,
            kind=self._kind,
            attributes={**about, **_asked(call, content=self._content)},
        )
        self._going[call.id] = _Going(span, about)

    @hookimpl
    def imagekit_response_received(
        self, call: CallInfo, request: HttpRequest, response: HttpResponse
    ) -> None:
        """Note the answer."""
        if going := self._going.get(call.id):
            said: dict[str, str | int] = {
                "http.request.method": request.method,
                "http.response.status_code": response.status,
            }
            going.span.add_event("imagekit.answer", said)

    @hookimpl
    def imagekit_event_emitted(self, call: CallInfo, event: ImageEvent) -> None:
        """Note a preview, and when the first piece of a stream came."""
        going = self._going.get(call.id)
        if going is None:
            return
        if going.first is None and isinstance(event, PartialImage | ImageReady | Text):
            going.first = time.monotonic() - going.began
        if isinstance(event, PartialImage):
            place = {"imagekit.slot": event.index, "imagekit.step": event.step}
            going.span.add_event("imagekit.preview", place)

    @hookimpl
    def imagekit_call_finished(
        self, call: CallInfo, response: ImageResponse | None, error: ImagekitError | None
    ) -> None:
        """End its span, and measure it."""
        going = self._going.pop(call.id, None)
        if going is None:
            return
        took = time.monotonic() - going.began
        left = error.response if error is not None else response
        about, span = going.about, going.span
        if left is not None and left.model:
            about["gen_ai.response.model"] = left.model
        if error is not None:
            span.set_attributes(_failure(error))
        if isinstance(error, CallerLeft):
            # No error: whoever left a stream early may have seen what they wanted.
            span.set_attribute("imagekit.left", value=True)
        elif error is not None:
            about["error.type"] = type(error).__name__
            span.set_status(self._failed, told(error, content=self._content))
        if left is not None:
            span.set_attributes(_came(left, content=self._content))
        span.set_attributes(about)
        if call.stream and going.first is not None:
            span.set_attribute("gen_ai.response.time_to_first_chunk", going.first)
            self._first.record(going.first, about)
        span.end()
        self._duration.record(took, about)
        for kind, count in _tokens(left).items():
            self._tokens.record(count, {**about, "gen_ai.token.type": kind})


def _about(call: CallInfo, provider: str) -> dict[str, Any]:
    """What spans and metrics both say of a call."""
    found: dict[str, Any] = {
        "gen_ai.operation.name": "generate_content" if call.verb in _CONTENT else call.verb,
        "gen_ai.provider.name": provider,
    }
    if call.model:
        found["gen_ai.request.model"] = call.model
    if call.base_url:
        where = urlsplit(call.base_url)
        found["server.address"] = where.hostname or ""
        found["server.port"] = where.port or _PORTS.get(where.scheme, 0)
    return found


def _asked(call: CallInfo, *, content: bool) -> dict[str, Any]:
    """What only the span says of what was asked."""
    found: dict[str, Any] = {"imagekit.verb": call.verb, "imagekit.provider": call.provider}
    if call.verb in _CONTENT:
        found["gen_ai.output.type"] = "image"
        found["gen_ai.request.stream"] = call.stream
    request = call.request
    if request is None:
        return found
    if request.n != 1:
        found["gen_ai.request.choice.count"] = request.n
    if request.seed is not None:
        found["gen_ai.request.seed"] = request.seed
    if content and request.prompt:
        found["gen_ai.input.messages"] = _message("user", request.prompt)
    return found


def _message(role: str, text: str, **more: str) -> str:
    parts = [{"type": "text", "content": text}]
    return json.dumps([{"role": role, "parts": parts, **more}])


def _tokens(response: ImageResponse | None) -> dict[str, int]:
    usage = response.usage if response is not None and response.cached is None else None
    found = {} if usage is None else {"input": usage.input_tokens, "output": usage.output_tokens}
    return {kind: count for kind, count in found.items() if count is not None}


def _came(response: ImageResponse, *, content: bool) -> dict[str, Any]:
    """What the span says of what came."""
    ends = [
        "stop"
        if isinstance(slot, Image)
        else "content_filter"
        if slot.kind == "refused"
        else "error"
        for slot in response.slots
    ]
    found: dict[str, Any] = {
        "gen_ai.response.finish_reasons": ends,
        "imagekit.pictures": len(response.images),
        "imagekit.cached": response.cached is not None,
    }
    for kind, count in _tokens(response).items():
        found[f"gen_ai.usage.{kind}_tokens"] = count
    if response.cost is not None and response.cached is None:
        found["imagekit.cost.amount"] = str(response.cost.amount)
        found["imagekit.cost.currency"] = response.cost.currency
        found["imagekit.cost.kind"] = response.cost.kind
    if content and response.text:
        found["gen_ai.output.messages"] = _message(
            "assistant", response.text, finish_reason=next(iter(ends), "stop")
        )
    return found


def _failure(error: ImagekitError) -> dict[str, Any]:
    """What the span says of what went wrong."""
    found: dict[str, Any] = {"imagekit.billed": error.billed or "possibly"}
    if error.status is not None:
        found["http.response.status_code"] = error.status
    if code := word(error.code):
        found["imagekit.error.code"] = code
    if isinstance(error, ContentRejectedError):
        found["gen_ai.response.finish_reasons"] = ["content_filter"]
    return found
