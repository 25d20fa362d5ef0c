"""A flow around a flow: URLs are joined, and credentials go to the provider's own origin only."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, TypeVar, cast
from urllib.parse import SplitResult, urlsplit

from ._errors import ConfigurationError, ImagekitError, PluginError, ProtocolError
from ._events import ImageFailed
from ._flow import Effect, Effects, Emit, Open, Send, transform
from ._http import Endpoint, HttpRequest
from ._hushed import Hush
from ._response import ImageResponse
from ._url import short_url

T = TypeVar("T")
_PORTS = {"http": 80, "https": 443}
# What one reader of URLs leaves out, and so sees another host than the next one.
_UNSEEN = re.compile(r"[\x00-\x1f\x7f]|^ ")
_DOTS = re.compile(r"(?:\.|%2e){1,2}", re.IGNORECASE)


# A client asks at few addresses, again and again.
@lru_cache(64)
def origin(url: str | SplitResult) -> tuple[str, str, int | None]:
    """Scheme, host and port of *url*, comparable."""
    parts = urlsplit(url) if isinstance(url, str) else url
    scheme = parts.scheme.lower()
    port = _PORTS.get(scheme) if parts.port is None else parts.port
    return scheme, (parts.hostname or "").rstrip("."), port


def checked_base(url: str) -> str:
    """*url* as a base URL, or a `ConfigurationError` that says what is wrong with it."""
    _home(url)
    return url


@lru_cache(64)
def _home(url: str) -> tuple[str, str, int | None]:
    """The origin of the base URL *url*."""
    try:
        parts = urlsplit(url)
        home = origin(parts)
    except ValueError:
        # Neither is quoted whole: a password may be in it.
        raise ConfigurationError(f"base_url {short_url(url)!r} is no URL") from None
    if parts.username or parts.password:
        raise ConfigurationError("base_url must not hold a user name or password")
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ConfigurationError(
            f"base_url {short_url(url)!r} must begin with https:// or http:// and a host"
        )
    return home


@lru_cache(64)
def joined(base_url: str, url: str) -> str:
    """*url*, relative to *base_url* unless it is absolute."""
    try:
        parts = urlsplit(url)
        if parts.netloc:
            origin(parts)
    except ValueError:
        # What is quoted of it is no more than may be shown: a password may be in it.
        raise _unasked(url, "which is no URL") from None
    if parts.scheme:
        if "@" in parts.netloc:
            raise _unasked(url, "which holds a user name or password")
        if _UNSEEN.search(url):
            raise _unasked(url, "which holds what no URL may")
        return url
    if parts.netloc or "\\" in url:
        raise _unasked(url, "which hides another host")
    base, mark, query = base_url.partition("?")
    path, asked, own = url.partition("?")
    if any(_DOTS.fullmatch(segment) for segment in path.split("/")):
        # What a handle says may be a stranger's, and the key goes along.
        raise _unasked(url, "which leads out of its own address")
    wanted = f"{base.rstrip('/')}/{path.lstrip('/')}"
    both = "&".join(part for part in (query, own) if part)
    return f"{wanted}?{both}" if mark or asked else wanted


def _unasked(url: str, why: str) -> ProtocolError:
    return ProtocolError(f"the URL {short_url(url)!r}, {why}, is not asked for", billed="no")


def shown_url(endpoint: Endpoint | None, url: str) -> str:
    """Where *url* leads, without what may let anyone in."""
    try:
        return short_url(joined(endpoint.base_url if endpoint else "", url))
    except ProtocolError:
        return short_url(url)


def hushed(flow: Effects[T], hush: Hush) -> Effects[T]:
    """*flow*, whose failures say none of the secrets that *hush* knows, whoever put them there."""

    def handle(effect: Emit) -> Effects[Any]:
        if isinstance(effect.event, ImageFailed):
            effect = Emit(hush.value(effect.event))
        return (yield effect)

    try:
        found = yield from transform(flow, handle, of=Emit)
    except ImagekitError as error:
        hush.error(error)
        raise
    if isinstance(found, ImageResponse) and found.failures:
        return cast(T, hush.value(found))
    return found


def addressed(flow: Effects[T], endpoint: Endpoint | None, hush: Hush | None = None) -> Effects[T]:
    """Resolve *flow*'s URLs against *endpoint*; attach its credentials on its own origin.

    A request that leaves the origin goes out bare and marked as a stranger's. *hush* learns what
    is attached.
    """
    home = _home(endpoint.base_url) if endpoint else None
    hush = hush or Hush()

    def authorized(request: HttpRequest) -> Effects[Mapping[str, str]]:
        if endpoint is None or endpoint.authorize is None:
            return {}
        proof = endpoint.authorize(request)
        if not isinstance(proof, Generator):
            raise PluginError(
                "authorize must be a generator (a flow) that returns the headers, and this gave "
                f"{type(proof).__name__}: give imagekit.provider.header(name, key), or write one "
                "that asks by `key = yield from credential(key)`"
            )
        return _writable((yield from proof))

    def resolved(request: HttpRequest) -> Effects[HttpRequest]:
        if endpoint is None and not urlsplit(request.url).scheme:
            raise PluginError(f"a provider without an endpoint asked for {request.url!r}")
        url = joined(endpoint.base_url if endpoint else "", request.url)
        if origin(url) == home:
            # What the caller names as an input is read without a key even at home.
            own = {} if request.stranger else (yield from authorized(request))
            hush.learn(own)
            headers = {**request.headers, **own}
            return replace(request, url=url, headers=headers, stranger=False)
        if request.method.upper() != "GET":
            raise PluginError(f"a provider may only read from another host, not {request.method}")
        return replace(request, url=url, headers={}, stranger=True)

    def handle(effect: Effect) -> Effects[Any]:
        if isinstance(effect, Send | Open):
            # What proves who calls is in no local name while it waits: crash reports show those.
            effect = replace(effect, request=(yield from resolved(effect.request)))
        try:
            return hush.reply((yield effect))
        except ImagekitError as error:
            hush.error(error)
            raise

    return transform(flow, handle)


def _writable(credentials: Mapping[str, str]) -> Mapping[str, str]:
    if not isinstance(credentials, Mapping):
        raise PluginError(
            f"authorize must return the headers as a mapping, not {type(credentials).__name__}"
        )
    # What HTTP forbids is found here, for the library that finds it later quotes the value.
    for name, value in credentials.items():
        if not (value.isascii() and value.isprintable()) or value != value.strip():
            raise ConfigurationError(
                f"the credential for {name!r} holds what no header may: the end of a line, "
                "a space around it, or a character beyond ASCII"
            )
    return credentials
