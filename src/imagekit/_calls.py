"""A call: from what was asked to one flow, with everything around it that the core adds."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from ._addressed import addressed
from ._errors import ConfigurationError, ImagekitError, PluginError, RequestError
from ._fetched import brought, filled
from ._fields import CALL
from ._flow import Effects, Flow, Provider, notice
from ._hookspecs import CallInfo
from ._image import Image
from ._observed import observed
from ._prepared import checked, prepared
from ._providers import Providers
from ._request import ImageRequest
from ._response import ImageResponse
from ._retried import RetryPolicy, retried
from ._slots import ended
from ._split import split


@dataclass(frozen=True, slots=True)
class Planned:
    """One call, ready to be driven."""

    flow: Flow
    deadline: float | None


class Calls:
    """One client's providers, retries and defaults: everything of it but its I/O."""

    def __init__(
        self, providers: Providers, retry: RetryPolicy | None, defaults: Mapping[str, Any]
    ) -> None:
        self.providers = providers
        self._retry = retry or RetryPolicy()
        self._defaults = dict(defaults)
        unknown = set(self._defaults) - set(ImageRequest.model_fields) - CALL
        if unknown:
            raise ConfigurationError(f"no such default: {', '.join(sorted(unknown))}")

    def planned(
        self, given: ImageRequest | None, fields: Mapping[str, Any], *, stream: bool = False
    ) -> Planned:
        """One call from a request, or from the fields of one; the client's defaults fill in."""
        try:
            return self._plan(given, fields, stream)
        except ImagekitError as error:
            error.billed = error.billed or "no"
            raise

    def _plan(self, given: ImageRequest | None, fields: Mapping[str, Any], stream: bool) -> Planned:
        how = {name: self._defaults[name] for name in CALL & set(self._defaults)}
        how |= {name: value for name, value in fields.items() if name in CALL}
        asked = {name: value for name, value in fields.items() if name not in CALL}
        said = {name: value for name, value in self._defaults.items() if name not in CALL}
        if how.get("provider") not in (None, self.providers.default):
            # The client's model is one of its own provider's.
            said.pop("model", None)
        if given is not None:
            asked = {name: getattr(given, name) for name in given.model_fields_set} | asked
        request = request_of({**said, **asked})
        name, model = self.providers.chosen(how.get("provider"), request.model)
        if model != request.model:
            request = request.with_(model=model)
        deadline, policy = _limits(how, self._retry)
        info = CallInfo(uuid.uuid4().hex, name, request, stream)
        with _blaming(name):
            flow = self._performed(name, request, stream, policy, bool(how.get("fetch", True)))
            endpoint = self.providers.endpoint(name)
        flow = observed(flow, info, self.providers.plugins.hook, keep=bool(how.get("raw")))
        return Planned(_named(addressed(flow, endpoint), name), deadline)

    def _performed(
        self, name: str, request: ImageRequest, stream: bool, policy: RetryPolicy, fetch: bool
    ) -> Flow:
        maker = self.providers.provider(name)
        judge = getattr(maker, "judge", None)
        able = self.providers.capabilities(name, request.model)
        request, notices = checked(request, able, name)
        options, strange = self.providers.options(request, name)
        request = request.model_copy(update={"options": options})
        stream = stream and able.streaming
        most = (able.max_images_streamed if stream else None) or able.max_images

        def one(part: ImageRequest) -> Flow:
            return retried(_guarded(maker, name, part, stream), policy, judge)

        def made() -> Flow:
            for found in (*notices, *strange):
                yield from notice(found)
            ready = yield from retried(prepared(request, able, name), policy)
            return (yield from split(ready, most, one))

        def fill(image: Image) -> Effects[Image]:
            return retried(filled(image, wanted=fetch), policy)

        stamp = self.providers.stamp(name)
        return _stamped(ended(made(), request, fill), stamp, request.model or able.model)

    def fetching(self, image: Image, provider: str | None = None) -> Effects[Image]:
        """The flow that brings in a picture that is only a URL."""
        name = provider or self.providers.usual
        endpoint = self.providers.provider(name).endpoint if name else None
        return addressed(retried(brought(image), self._retry), endpoint)


def _limits(how: Mapping[str, Any], policy: RetryPolicy) -> tuple[float | None, RetryPolicy]:
    """The deadline and the retries that a call was given."""
    deadline, retries = how.get("deadline"), how.get("retries", policy.retries)
    if deadline is not None and not (isinstance(deadline, int | float) and deadline > 0):
        raise RequestError(f"deadline is seconds from now, not {deadline!r}")
    if not isinstance(retries, int) or retries < 0:
        raise RequestError(f"retries is how often to try again, not {retries!r}")
    return deadline, replace(policy, retries=retries)


def request_of(fields: Mapping[str, Any]) -> ImageRequest:
    """An `ImageRequest` from what code says, or one clear `RequestError` that says where."""
    try:
        return ImageRequest(**fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        what = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            what = "there is no such parameter"
        raise RequestError(f"{where}: {what}" if where else what) from error


def _guarded(maker: Provider, name: str, request: ImageRequest, stream: bool) -> Flow:
    """The provider's own flow; what it raises beyond our errors is the plugin's fault."""
    try:
        response = yield from maker.flow(request, stream=stream)
    except ImagekitError:
        raise
    except Exception as error:
        raise PluginError(f"provider {name!r} failed: {error!r}") from error
    if not isinstance(response, ImageResponse):
        raise PluginError(
            f"provider {name!r}: its flow must return an ImageResponse, "
            f"not {type(response).__name__}"
        )
    return response


@contextmanager
def _blaming(name: str) -> Iterator[None]:
    try:
        yield
    except ImagekitError as error:
        error.provider = error.provider or name
        raise


def _stamped(flow: Flow, stamp: Mapping[str, Any], model: str | None) -> Flow:
    """The response says who made it, also the one that an error carries."""

    def stamped(response: ImageResponse) -> ImageResponse:
        return response.model_copy(update={**stamp, "model": response.model or model})

    try:
        return stamped((yield from flow))
    except ImagekitError as error:
        error.response = error.response and stamped(error.response)
        raise


def _named(flow: Flow, name: str) -> Flow:
    with _blaming(name):
        return (yield from flow)
