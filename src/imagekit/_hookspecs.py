"""Every hook a plugin may implement, and the version of the contract that they are part of.

`imagekit_provider` makes a provider. The others watch: they change nothing, and what they raise
is logged and otherwise ignored. They see prompts and pictures and never a credential, so they are
registered in code (`client.plugins.register(...)`), never by being installed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pluggy

from ._errors import ImagekitError
from ._events import ImageEvent
from ._flow import Provider
from ._http import HttpRequest, HttpResponse, Key
from ._request import ImageRequest
from ._response import ImageResponse
from ._url import short_url

hookspec = pluggy.HookspecMarker("imagekit")
hookimpl = pluggy.HookimplMarker("imagekit")

# The version of what a plugin may rely on. It only grows, and by one where it does: whatever was
# written for an earlier one goes on working.
CONTRACT = 1


@dataclass(frozen=True, slots=True)
class Config:
    """What a provider is built from.

    `name` is what the caller calls it: the entry point's name or a profile's. `api_key` is a key or
    what gives one; `imagekit.provider.credential` takes either. `env` is the
    environment, which a plugin reads here and nowhere else. `ambient` is whether a key found there
    may be used: a profile with a base URL of its own names its own key, or goes without. `profile`
    is whether the name is a profile's, so that a plugin can hold one to that whose settings name an
    address in another way.
    `settings` are what only this plugin knows; see `imagekit.provider.settings`.
    """

    name: str
    api_key: Key | None = field(default=None, repr=False)
    base_url: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    ambient: bool = True
    profile: bool = False

    def __repr__(self) -> str:
        where = f", base_url={short_url(self.base_url)!r}" if self.base_url else ""
        return f"Config({self.name!r}{where}, ambient={self.ambient}, profile={self.profile})"


@dataclass(frozen=True, slots=True)
class CallInfo:
    """Identifies one call to observers. One that makes no picture, or goes on with a job, has none
    of the request.

    `verb` is what is done: "generate", "edit", "variation", "submit", "batch", "resume", "poll",
    "cancel", "delete", "fetch", "request", or the name of the provider's own flow, such as
    "list_models". `model` is the one that is asked, as far as it is known by then; `base_url` where
    the provider is, without a query, and None for one in this process. `job` tells the job apart
    that is resumed or polled.
    """

    id: str
    provider: str
    request: ImageRequest | None = None
    stream: bool = False
    verb: str = "generate"
    model: str | None = None
    base_url: str | None = None
    job: str | None = None


@hookspec(firstresult=True)
def imagekit_provider(config: Config) -> Provider | None:
    """Build the provider that this plugin's entry point names."""


@hookspec
def imagekit_call_started(call: CallInfo) -> None:
    """A call begins: told once, and before anything else of it.

    One that is refused before it begins (a provider that is not there, a request that it cannot
    express) is told too, and at once that it is over.
    """


@hookspec
def imagekit_request_sent(call: CallInfo, request: HttpRequest) -> None:
    """A request is about to go out. Credentials are not on it yet."""


@hookspec
def imagekit_response_received(
    call: CallInfo, request: HttpRequest, response: HttpResponse
) -> None:
    """An answer, or the head of a stream, arrived."""


@hookspec
def imagekit_event_emitted(call: CallInfo, event: ImageEvent) -> None:
    """A stream event is on its way to the caller."""


@hookspec
def imagekit_call_finished(
    call: CallInfo, response: ImageResponse | None, error: ImagekitError | None
) -> None:
    """The call is over: *response* or *error* is given, or neither where no picture was to come."""
