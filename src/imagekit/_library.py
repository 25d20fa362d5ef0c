"""Which HTTP library is spoken: httpx2 where it is installed, else httpx, or the one forced."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias

from ._errors import ConfigurationError

if TYPE_CHECKING:
    import httpx
    import httpx2

    # What may be given to send over.
    Way: TypeAlias = httpx.Client | httpx.BaseTransport | httpx2.Client | httpx2.BaseTransport
    _Async: TypeAlias = httpx.AsyncClient | httpx.AsyncBaseTransport
    AsyncWay: TypeAlias = _Async | httpx2.AsyncClient | httpx2.AsyncBaseTransport

VARIABLE = "IMAGEKIT_HTTP"
# The first that is there is spoken; beneath each is what makes its connections.
_CORES = {"httpx2": "httpcore2", "httpx": "httpcore"}


@dataclass(frozen=True, slots=True, eq=False)
class Library:
    """An HTTP library, the one of its connections, and its errors before a byte is written."""

    name: str
    http: Any
    core: Any
    not_sent: tuple[type[Exception], ...]

    @property
    def version(self) -> str:
        """Which version of it is there."""
        return str(self.http.__version__)


@cache
def library(name: str) -> Library:
    """The library of that name; raises ImportError."""
    http, core = import_module(name), import_module(_CORES[name])
    # After anything else the request may have arrived.
    not_sent = (
        http.ConnectError,
        http.ConnectTimeout,
        http.PoolTimeout,
        http.ProxyError,
        http.UnsupportedProtocol,
    )
    return Library(name, http, core, not_sent)


def chosen() -> Library:
    """The library that our own clients are of."""
    forced = os.environ.get(VARIABLE)
    if forced:
        return _forced(forced)
    try:
        return library("httpx2")
    except ImportError:
        return library("httpx")


def _forced(name: str) -> Library:
    if name not in _CORES:
        known = " or ".join(sorted(_CORES))
        raise ConfigurationError(f"{VARIABLE} is {known}, not {name!r}")
    try:
        return library(name)
    except ImportError as error:
        raise ConfigurationError(
            f"{VARIABLE} asks for {name}, which cannot be imported ({error}): "
            f"pip install {name}, or leave {VARIABLE} out"
        ) from error


def of(given: object) -> Library | None:
    """The library that *given* is of, or None where it is of neither."""
    # Not by the module that its class names: who exports these classes may put its own name there.
    for name in _CORES:
        if sys.modules.get(name) is not None:
            http = library(name).http
            kinds = (http.Client, http.AsyncClient, http.BaseTransport, http.AsyncBaseTransport)
            if isinstance(given, kinds):
                return library(name)
    return None
