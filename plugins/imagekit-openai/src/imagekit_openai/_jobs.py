"""Responses that are made in the background: begun, watched, asked for again, ended, deleted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, ValidationError

from imagekit import (
    DeadlineExceededError,
    ImagekitError,
    Progress,
    ProtocolError,
    Queued,
    RequestError,
    TransportError,
)
from imagekit.provider import (
    Effect,
    Effects,
    Emit,
    Flow,
    HttpRequest,
    HttpResponse,
    checkpoint,
    emit,
    open_stream,
    retry_after,
    send,
    sleep,
    transform,
)

from ._beside import Id, checked, is_id, removed
from ._events import Events, is_stream
from ._lenient import Read, Wanted, read
from ._models import IMAGE_MODEL
from ._refusals import error_from
from ._responses_answer import Body, Seen, decode
from ._responses_request import BLOBS
from ._responses_stream import Watched

PENDING = frozenset({"queued", "in_progress"})
# How often a stream that brings nothing new is opened again before the response is polled.
AGAIN = 3
# More pictures than any response or batch makes: a handle may be a stranger's.
MOST = 1_000_000
Count = Annotated[int, Field(ge=1, le=MOST)]


class Pace:
    """Seconds between two looks: as an answer asks, else more each time, from *first* to *most*."""

    def __init__(self, first: float, most: float) -> None:
        self._next, self._most = first, most

    def wait(self, headers: Mapping[str, str] | None = None) -> float:
        """How long to wait now."""
        own, self._next = self._next, min(self._most, self._next * 1.5)
        asked = retry_after(headers or {})
        # A server's 0 makes no loop of it, and its slip of the pen no day.
        return own if asked is None else min(max(asked, 0.05), 600.0)


class Handle(Read):
    """From what a response can be finished.

    `sequence` is the number of the last event that came; one that was not streamed has none.
    """

    response_id: Id
    model: str | None = None
    n: Count = 1
    sequence: int | None = None

    def kept(self) -> Effects[None]:
        """From here on the response can be finished by this."""
        yield from checkpoint(self.model_dump(exclude_none=True))


def begun(wanted: Wanted, asked: HttpRequest, *, stream: bool) -> Flow:
    """Begin a response that goes on by itself, and see it through."""
    answer = yield from (open_stream(asked) if stream else send(asked))
    if not answer.ok:
        raise error_from(answer)
    if is_stream(answer):
        return (yield from _followed(wanted, answer))
    body = read(Body, answer.json())
    if body.id is not None and is_id(body.id):
        handle = _handle(body.id, wanted)
        yield from handle.kept()
        return (yield from _polled(handle, Seen(), answer))
    if body.status in PENDING:
        raise ProtocolError("the response is not done, and has no id to ask for it by")
    return decode(body, answer, wanted)


def resumed(given: Mapping[str, Any]) -> Flow:
    """Finish the response that a handle names."""
    try:
        handle = Handle.model_validate(dict(given))
    except ValidationError as error:
        raise RequestError("this is no handle of a response that was begun here") from error
    yield from handle.kept()
    return (yield from _polled(handle, Seen()))


def cancelled(response_id: str) -> Effects[None]:
    """End a response; one that has ended by itself is left as it is."""
    answer = yield from send(HttpRequest("POST", f"{_url(response_id)}/cancel", billable=False))
    if answer.ok:
        return
    now = yield from send(HttpRequest("GET", _url(response_id), blobs=BLOBS))
    if not now.ok or read(Body, now.json()).status in PENDING:
        raise error_from(answer)


def delete(response_id: str) -> Effects[None]:
    """Delete a response, and its pictures with it."""
    return removed(_url(response_id))


def fetched(request: HttpRequest) -> Effects[HttpResponse]:
    """The answer to what only looks; an error says nothing of what the work cost."""
    answer = yield from send(request)
    if not answer.ok:
        raise looked(answer)
    return answer


def looked(answer: HttpResponse) -> ImagekitError:
    """The exception for a look that was refused: what it looked for may be paid for."""
    error = error_from(answer)
    error.billed = None
    return error


def _handle(id: str, wanted: Wanted) -> Handle:
    # By the time it is finished another model may be the default.
    return Handle(response_id=id, model=wanted.model or IMAGE_MODEL, n=wanted.n)


def _url(response_id: str) -> str:
    return f"/responses/{checked(response_id)}"


def _polled(handle: Handle, seen: Seen, answer: HttpResponse | None = None) -> Flow:
    """Ask until it is done; *answer* is what is known of it already."""
    pace, told = Pace(1.0, 10.0), None
    while True:
        if answer is None:
            answer = yield from fetched(HttpRequest("GET", _url(handle.response_id), blobs=BLOBS))
        body = read(Body, answer.json())
        if body.status not in PENDING:
            break
        if body.status != told:
            told = body.status
            yield from emit(Queued() if told == "queued" else Progress(message="it is being made"))
        yield from sleep(pace.wait(answer.headers))
        answer = None
    if handle.sequence is not None and _lacks(body, seen):
        seen = yield from _replayed(handle, seen)
    return decode(body, answer, handle, seen)


def _lacks(body: Body, seen: Seen) -> bool:
    """Whether a picture was made that neither the answer holds nor anybody has seen."""
    return any(
        item.made and item.picture() is None and seen.images.get(key) is None
        for key, item in seen.calls(body).items()
    )


def _followed(wanted: Wanted, opened: HttpResponse) -> Flow:
    """Watch a stream; one that is cut is opened again where it was, and at last polled."""
    watched, pace, tries = Watched(wanted), Pace(0.5, 4.0), 0
    handle: Handle | None = None
    while True:
        events = Events(opened, handle.sequence if handle else None)
        cut = events.cut("the stream ended before the response was done")
        try:
            while (found := (yield from events.next())) is not None:
                tries = 0
                handle = _named(found, handle, wanted)
                if handle is not None:
                    handle = handle.model_copy(update={"sequence": events.last})
                    yield from handle.kept()
                if (done := (yield from watched.take(found, opened))) is not None:
                    return done
        except DeadlineExceededError:
            raise
        except (TransportError, ProtocolError) as error:
            cut = error
        if handle is None:
            raise cut
        again: HttpResponse | None = None
        if handle.sequence is not None and tries < AGAIN:
            if tries:
                yield from sleep(pace.wait())
            tries += 1
            again = yield from _opened(handle, handle.sequence)
        if again is None:
            return (yield from _polled(handle, watched.seen))
        opened = again


def _named(found: Mapping[str, Any], handle: Handle | None, wanted: Wanted) -> Handle | None:
    """The handle of the response that an event is of, as soon as one says its id."""
    response = found.get("response")
    if handle is not None or not isinstance(response, Mapping):
        return handle
    id = response.get("id")
    if not isinstance(id, str) or not is_id(id):
        return None
    return _handle(id, wanted)


def _opened(handle: Handle, after: int | None) -> Effects[HttpResponse | None]:
    """The stream of a response from its event *after* on, or from the first; None without one."""
    query = {"stream": "true", "include_obfuscation": "false"}
    query |= {} if after is None else {"starting_after": str(after)}
    asked = HttpRequest("GET", _url(handle.response_id), query=query, blobs=BLOBS)
    try:
        answer = yield from open_stream(asked)
    except DeadlineExceededError:
        raise
    except (TransportError, ProtocolError):
        return None
    return answer if is_stream(answer) else None


def _replayed(handle: Handle, seen: Seen) -> Effects[Seen]:
    """What the whole stream shows, told to nobody again; *seen*, where that is more."""
    watched = Watched(handle)

    def quiet(effect: Effect) -> Effects[Any]:
        return None if isinstance(effect, Emit) else (yield effect)

    def watch() -> Effects[None]:
        opened = yield from _opened(handle, None)
        if opened is None:
            return
        events = Events(opened)
        while (found := (yield from events.next())) is not None:
            if (yield from watched.take(found, opened)) is not None:
                return

    try:
        yield from transform(watch(), quiet)
    except DeadlineExceededError:
        raise
    except ImagekitError:
        pass  # cut, or ended in an error that the response itself tells
    return watched.seen if _pictures(watched.seen) > _pictures(seen) else seen


def _pictures(seen: Seen) -> int:
    return sum(image is not None for image in seen.images.values())
