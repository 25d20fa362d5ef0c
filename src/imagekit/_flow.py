"""The contract between a provider and the core: a flow, which yields effects and performs none.

A provider turns a request into a *flow*: a generator that yields the effects it wants performed
and returns the response. The core owns every socket, thread, clock, file and retry, so that one
flow serves the blocking client, the async client and a test with no network at all.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from inspect import isawaitable, iscoroutine
from types import UnionType
from typing import Any, Protocol, TypeAlias, TypeVar, cast

from ._capabilities import Capabilities
from ._errors import ConfigurationError, PluginError
from ._events import EVENTS, ImageEvent, Noticed
from ._framing import ServerSentEvent
from ._http import Endpoint, Framing, HttpRequest, HttpResponse
from ._request import ImageRequest
from ._response import ImageResponse, Notice
from ._verdict import Verdict

T = TypeVar("T")

# How many effects a flow may still ask for when its time is over: enough to say what it has.
GRACE = 10_000


@dataclass(frozen=True, slots=True)
class Send:
    """Make a request; the reply is the whole `HttpResponse`."""

    request: HttpRequest


@dataclass(frozen=True, slots=True)
class Open:
    """Make a request; the reply is the answer's head, and its body follows through `Receive`.

    Where the answer is not of that framing (an error, or JSON where events were asked for) the
    reply is the whole `HttpResponse`, and its `streamed` is false.
    """

    request: HttpRequest
    framing: Framing = "events"


@dataclass(frozen=True, slots=True)
class Receive:
    """The opened stream's next event (or line, or piece), or None at its end."""


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Call:
    """Run blocking work, off the event loop where there is one; the reply is its result.

    What it returns may be awaitable; then only an async client can perform it.

    `stop` is called, from another thread, when nobody waits for the result any more.
    """

    function: Callable[[], Any]
    stop: Callable[[], object] | None = None


@dataclass(frozen=True, slots=True)
class Gather:
    """Run flows side by side, at most *limit* at once; the reply is their outcomes, in order.

    An outcome is what the flow returned, or the exception it ended in.
    """

    flows: tuple[Generator[Any, Any, Any], ...]
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Emit:
    """Hand an event to whoever is streaming."""

    event: ImageEvent


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """From here on the job can be finished by `provider.resume(handle)`; the handle is JSON."""

    handle: Mapping[str, Any]


Effect: TypeAlias = Send | Open | Receive | Sleep | Call | Gather | Emit | Checkpoint
Effects: TypeAlias = Generator[Effect, Any, T]
Flow: TypeAlias = Generator[Effect, Any, ImageResponse]


def proper(effect: Effect) -> Effect:
    """*effect*, if it is one and can be performed: a plugin may yield anything at all."""
    match effect:
        case Send(request) | Open(request):
            fine = isinstance(request, HttpRequest) and isinstance(request.url, str)
        case Sleep(seconds):
            fine = isinstance(seconds, int | float) and seconds >= 0
        case Call(function, stop):
            fine = callable(function) and (stop is None or callable(stop))
        case Gather(flows, limit):
            fine = limit is None or (isinstance(limit, int) and limit >= 1)
            fine = fine and isinstance(flows, tuple)
            fine = fine and all(isinstance(flow, Generator) for flow in flows)
        case Emit(event):
            fine = isinstance(event, EVENTS)
        case Receive() | Checkpoint():
            fine = True
        case _:
            fine = False
    if not fine:
        raise PluginError(f"a flow may yield effects only, and proper ones, not {_shown(effect)}")
    return effect


def _shown(effect: object) -> str:
    try:
        return repr(effect)
    except Exception:
        return f"a {type(effect).__name__}"


def at_once(found: T) -> T:
    """What a `Call` came to, where nobody can await it."""
    if isawaitable(found):
        if iscoroutine(found):
            found.close()
        raise ConfigurationError(
            "an async function was given to a blocking client: use AsyncClient"
        )
    return found


class Provider(Protocol):
    """What `imagekit_provider` returns. Only these three are needed.

    A provider may also have `judge(response)`, a `Verdict` on an answer that is no success, or None
    to leave it to the core; `family`, a name it shares with its siblings; and flows of its own:

    * `resume(handle)` finishes the job that a checkpoint names. It asks first and waits after, for
      a look at a job ends where it would wait. A handle may have come by a stranger's hand: what
      of it goes into a URL is quoted.
    * `cancel(handle)` ends that job, `delete(handle)` deletes it; the handle may also be the
      payload of a `State`, or `{"file_id": …}`.
    * `batch(requests)` does all of them as one job: after a checkpoint it comes to one response,
      which holds the slots of every request in order.
    * `upload(request)` keeps the request's one picture, `list_files()` lists what is kept
      (`StoredFile`s), `list_models()` the models (`ModelInfo`s), and `moderate(request)` comes to a
      `Moderation`.
    """

    @property
    def endpoint(self) -> Endpoint | None:
        """Where relative URLs go; None for a provider that makes no requests."""
        ...

    def capabilities(self, model: str | None) -> Capabilities:
        """What *model* can do; with None, what the provider's default model can."""
        ...

    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        """Turn a request into the effects that fulfil it."""
        ...


class Resumes(Protocol):
    """A provider that can finish a job from a checkpoint's handle."""

    def resume(self, handle: Mapping[str, Any]) -> Flow:
        """The flow that finishes the job."""
        ...


class Cancels(Protocol):
    """A provider that can end a job."""

    def cancel(self, handle: Mapping[str, Any]) -> Effects[None]:
        """The flow that ends the job."""
        ...


class Judges(Protocol):
    """A provider that knows more of its own refusals than their status says."""

    def judge(self, response: HttpResponse) -> Verdict | None:
        """What an answer that is no success means, or None to leave it to the core."""
        ...


def send(request: HttpRequest) -> Effects[HttpResponse]:
    """Make *request* and take the whole answer."""
    return cast(HttpResponse, (yield Send(request)))


def open_stream(request: HttpRequest, framing: Framing = "events") -> Effects[HttpResponse]:
    """Make *request* and take the answer's head; see `Open`."""
    return cast(HttpResponse, (yield Open(request, framing)))


def receive() -> Effects[ServerSentEvent | None]:
    """The next server-sent event, or None at the end."""
    return cast("ServerSentEvent | None", (yield Receive()))


def receive_line() -> Effects[str | None]:
    """The next line of a stream opened with framing "lines", or None at the end."""
    return cast("str | None", (yield Receive()))


def receive_piece() -> Effects[bytes | None]:
    """The next piece of a stream opened with framing "pieces", or None at the end."""
    return cast("bytes | None", (yield Receive()))


def sleep(seconds: float) -> Effects[None]:
    """Wait."""
    yield Sleep(seconds)


def call(function: Callable[[], T], stop: Callable[[], object] | None = None) -> Effects[T]:
    """Run blocking work; see `Call`."""
    return cast(T, (yield Call(function, stop)))


def gather(
    flows: Sequence[Effects[T]], *, limit: int | None = None
) -> Effects[tuple[T | BaseException, ...]]:
    """Run *flows* side by side; see `Gather`."""
    return cast("tuple[T | BaseException, ...]", (yield Gather(tuple(flows), limit)))


def emit(event: ImageEvent) -> Effects[None]:
    """Hand *event* to whoever is streaming."""
    yield Emit(event)


def notice(given: Notice) -> Effects[None]:
    """Say that something goes otherwise than asked; it will stand in the response too."""
    yield Emit(Noticed(notice=given))


def checkpoint(handle: Mapping[str, Any]) -> Effects[None]:
    """From here on the job can be resumed by *handle*."""
    yield Checkpoint(handle)


def transform(
    flow: Effects[T],
    handle: Callable[[Any], Effects[Any]],
    branch: Callable[[], Callable[[Any], Effects[Any]]] | None = None,
    *,
    of: type[Effect] | tuple[type[Effect], ...] | UnionType | None = None,
    strange: bool = False,
) -> Effects[T]:
    """Run *flow*, letting *handle* decide how each of its effects is performed.

    With *of* it sees the effects of those types only, and the others pass as they are. Of a
    *strange* flow, which nobody has checked yet, it sees `proper` effects only.

    Flows inside a `Gather` are transformed alike: each by what *branch* makes for it, where it is
    given, else by *handle* too.
    """
    step: Callable[[Any], Effect] = flow.send
    given: Any = None
    try:
        while True:
            try:
                effect = step(given)
            except StopIteration as stop:
                result: T = stop.value
                return result
            if strange:
                proper(effect)
            if isinstance(effect, Gather):
                children = tuple(
                    transform(inner, branch() if branch else handle, branch, of=of, strange=strange)
                    for inner in effect.flows
                )
                effect = Gather(children, effect.limit)
            try:
                if of is None or isinstance(effect, of):
                    given = yield from handle(effect)
                else:
                    given = yield effect
                step = flow.send
            except Exception as error:
                step, given = flow.throw, error
    finally:
        flow.close()
