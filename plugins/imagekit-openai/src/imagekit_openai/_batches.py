"""Batches: a file of requests, answered later and for less, each line as a call would be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, model_validator

from imagekit import (
    ConnectionFailedError,
    DeadlineExceededError,
    ImageInput,
    ImagekitError,
    ImageRequest,
    ImageResponse,
    Notice,
    ProtocolError,
    Queued,
    RequestError,
    TransportError,
    UnsupportedRequestError,
)
from imagekit.provider import (
    Effects,
    Flow,
    HttpRequest,
    HttpResponse,
    Part,
    checkpoint,
    emit,
    gather,
    merged,
    notice,
    open_stream,
    receive_line,
    send,
    sleep,
)

from ._account import Account
from ._batch_answer import OVER, Batch, Found, Line, arrived, is_gone, outcome, unanswered
from ._batch_file import INLINE, MOST_LINES, pictures_of, place_of, written
from ._beside import Id, file_url, is_id, part_of, removed, uploaded
from ._images_request import VARIATION, reference
from ._jobs import MOST, Count, Pace, fetched, looked
from ._lenient import Read, Wanted, read
from ._models import IMAGE_MODEL
from ._notices import emulated
from ._refusals import error_from

# What tokens cost in a batch, of what they cost else.
PRICE_FACTOR, PRICE_SOURCE, PRICE_AS_OF = "0.5", "genai-prices 0.2.3", date(2026, 10, 14)

# How often a file that breaks off is read from its beginning again.
READS = 3


class Handle(Read):
    """From what a batch can be finished: its files, and the pictures of each line."""

    batch_id: Id
    input: Id
    uploads: tuple[Id, ...] = ()
    model: str
    counts: Annotated[tuple[Count, ...], Field(min_length=1, max_length=MOST_LINES)]

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if sum(self.counts) > MOST:
            raise ValueError("no batch makes as many pictures")
        return self


class _Wanted(Read):
    n: int
    model: str | None


class Batches:
    """The batches of an account: *line* makes a request a line, and *outcome* reads its answer."""

    def __init__(
        self,
        account: Account,
        line: Callable[[ImageRequest], HttpRequest],
        outcome: Callable[[Any, HttpResponse, Wanted], ImageResponse],
    ) -> None:
        self._account, self._line, self._read = account, line, outcome

    def begun(self, requests: Sequence[ImageRequest]) -> Flow:
        """Have *requests* answered as one batch, and wait for it."""
        if self._account.azure is not None:
            raise UnsupportedRequestError("Azure's batches are not known to make pictures")
        given = [found for request in requests for found in pictures_of(request)]
        pictures, size = dict(given), sum(len(one.blob or b"") for _, one in given)
        if size <= INLINE:
            stand_ins = {
                id: ImageInput(url=reference(one)["image_url"]) for id, one in pictures.items()
            }
            pictures = {}
        else:
            stand_ins = {id: ImageInput(file_id=f"file-{id[:24]}") for id in pictures}
        # Everything that can be wrong is found before anything is uploaded.
        endpoint, data = written(requests, stand_ins, self._line)
        for found in self._told(requests):
            yield from notice(found)
        uploads = yield from _all_uploaded(pictures)
        stand_ins |= {id: ImageInput(file_id=file) for id, file in uploads.items()}
        files = list(uploads.values())
        begun = False
        try:
            if files:
                _, data = written(requests, stand_ins, self._line)
            part = Part("file", data, "imagekit-batch.jsonl", "application/jsonl")
            files.insert(0, (yield from uploaded(part, "batch")).id)
            begun = True
            batch_id = yield from _created(files[0], endpoint)
        except ImagekitError as error:
            # A batch that may have been begun needs its files.
            if not begun or error.billed == "no" or isinstance(error, ConnectionFailedError):
                yield from _dropped(files)
            else:
                words = f"the batch may have been begun: look for its input file {files[0]}"
                error.args = (f"{error} ({words})",)
            raise
        handle = Handle(
            batch_id=batch_id,
            input=files[0],
            uploads=tuple(files[1:]),
            model=requests[0].model or IMAGE_MODEL,
            counts=tuple(request.n for request in requests),
        )
        return (yield from self._finished(handle))

    def resumed(self, handle: Mapping[str, Any]) -> Flow:
        """Wait for a batch."""
        return (yield from self._finished(_handle(handle)))

    def cancelled(self, handle: Mapping[str, Any]) -> Effects[None]:
        """End a batch; one that has ended is left as it is."""
        url = _url(_handle(handle).batch_id)
        batch = read(Batch, (yield from fetched(HttpRequest("GET", url))).json())
        if batch.status in OVER or batch.status == "cancelling":
            return
        answer = yield from send(HttpRequest("POST", f"{url}/cancel", billable=False))
        if answer.ok:
            return
        now = read(Batch, (yield from fetched(HttpRequest("GET", url))).json())
        if now.status not in OVER:
            raise error_from(answer)

    def deleted(self, handle: Mapping[str, Any]) -> Effects[None]:
        """Delete all files of a batch that has ended."""
        known = _handle(handle)
        answer = yield from send(HttpRequest("GET", _url(known.batch_id)))
        if not answer.ok and answer.status != 404:
            raise error_from(answer)
        batch = read(Batch, answer.json()) if answer.ok else Batch(status="completed")
        if batch.status not in OVER:
            raise RequestError(
                f"the batch is {batch.status}: cancel it, and delete it when it has ended"
            )
        files = (batch.output_file_id, batch.error_file_id, known.input, *known.uploads)
        for url in [_file_url(id) for id in files if id]:
            yield from removed(url)

    def _told(self, requests: Sequence[ImageRequest]) -> Iterator[Notice]:
        """What goes otherwise than asked, and the price."""
        if any(request.operation == "variation" for request in requests):
            yield emulated(VARIATION)
        if shown := next((one.partial_images for one in requests if one.partial_images), None):
            detail = "a batch shows no previews"
            yield Notice(
                kind="unsupported", feature="partial_images", detail=detail, wanted=str(shown)
            )
        if self._account.at_home:
            detail = f"tokens cost half in a batch ({PRICE_SOURCE}, as of {PRICE_AS_OF})"
            yield Notice(kind="other", feature="price", detail=detail, used=PRICE_FACTOR)

    def _finished(self, handle: Handle) -> Flow:
        """Look until a batch is over; what came of its lines, in their order."""
        yield from checkpoint(handle.model_dump(mode="json"))
        pace, told = Pace(5.0, 60.0), None
        while True:
            answer = yield from fetched(HttpRequest("GET", _url(handle.batch_id)))
            batch = read(Batch, answer.json())
            if batch.status in OVER:
                break
            now = Queued() if batch.status == "validating" else batch.progress()
            if now != told:
                told = now
                yield from emit(now)
            yield from sleep(pace.wait(answer.headers))
        found = yield from self._lines(handle, batch)
        failed, lost = found.failed, None
        wanting = len(found.lines) < len(handle.counts)
        if wanting and failed is not None:
            if not is_gone(failed):
                # It can be read another time, so the job is not over.
                if found.lines:
                    failed.response = arrived(found, handle.counts, failed)
                raise failed
            lost = f"a file of the batch cannot be read: {failed}"
        elif wanting:
            lost = found.lost(batch)
        if lost is not None:
            yield from notice(Notice(kind="incomplete", feature="batch", detail=lost))
        outcomes = [
            found.lines.get(place) or failed or unanswered(place, batch, lost)
            for place in range(len(handle.counts))
        ]
        about = {"batch_id": handle.batch_id, "status": str(batch.status)}
        if self._account.at_home:
            about |= {
                "price_factor": PRICE_FACTOR,
                "price_source": PRICE_SOURCE,
                "price_as_of": PRICE_AS_OF.isoformat(),
            }
        try:
            response = merged(outcomes, handle.counts)
        except ImagekitError as error:
            error.response = error.response and error.response.model_copy(
                update={"metadata": about}
            )
            raise
        return response.model_copy(update={"metadata": about})

    def _lines(self, handle: Handle, batch: Batch) -> Effects[Found]:
        """What came of the lines that were answered; a file that fails costs only its own."""
        found = Found()
        for id in (batch.output_file_id, batch.error_file_id):
            reads = 0
            while True:
                reads += 1
                try:
                    if id:
                        yield from self._content(id, handle, found.lines)
                except ImagekitError as error:
                    over = isinstance(error, DeadlineExceededError)
                    # To read again at once is no waiting for the work.
                    if isinstance(error, TransportError) and not over and reads < READS:
                        continue
                    if found.failed is None or is_gone(found.failed):
                        found.failed = error
                    if over:
                        return found
                break
            if id == batch.output_file_id:
                found.answered = len(found.lines)
        return found

    def _content(
        self, id: str, handle: Handle, found: dict[int, ImageResponse | ImagekitError]
    ) -> Effects[None]:
        asked = HttpRequest("GET", f"{_file_url(id)}/content")
        # By lines: all pictures of a batch, in base64, are more than one answer may be.
        answer = yield from open_stream(asked, "lines")
        if not answer.ok:
            raise looked(answer)
        while (text := (yield from receive_line())) is not None:
            try:
                line = read(Line, HttpResponse(answer.status, {}, text.encode()).json())
            except ProtocolError:
                continue
            place = place_of(line.custom_id, len(handle.counts))
            if place is not None and not isinstance(found.get(place), ImageResponse):
                wanted = _Wanted(n=handle.counts[place], model=handle.model)
                try:
                    found[place] = outcome(line, wanted, self._read)
                except ImagekitError as error:
                    found[place] = error


def _all_uploaded(pictures: Mapping[str, ImageInput]) -> Effects[dict[str, str]]:
    """The ids of *pictures*, uploaded; where one fails, none is left behind."""
    flows = [uploaded(part_of(one), "vision", expires=True) for one in pictures.values()]
    outcomes = yield from gather(flows, limit=4)
    found = {
        id: one.id
        for id, one in zip(pictures, outcomes, strict=True)
        if not isinstance(one, BaseException)
    }
    for one in outcomes:
        if isinstance(one, BaseException):
            yield from _dropped(list(found.values()))
            raise one
    return found


def _dropped(files: Sequence[str]) -> Effects[None]:
    """Delete what nobody will ask for; what cannot be deleted expires by itself."""
    for id in files:
        try:
            yield from removed(file_url(id))
        except ImagekitError:
            continue


def _created(file: str, endpoint: str) -> Effects[str]:
    wire = {"input_file_id": file, "endpoint": endpoint, "completion_window": "24h"}
    answer = yield from send(HttpRequest("POST", "/batches", json=wire))
    if not answer.ok:
        raise error_from(answer)
    batch = read(Batch, answer.json())
    if batch.id is None or not is_id(batch.id):
        raise ProtocolError("the answer to a batch has no id to ask for it by")
    return batch.id


def _handle(given: Mapping[str, Any]) -> Handle:
    try:
        return Handle.model_validate(dict(given))
    except ValidationError as error:
        raise RequestError("this is no handle of a job that was begun here") from error


def _url(batch_id: str) -> str:
    return f"/batches/{batch_id}"


def _file_url(id: str) -> str:
    """Where a file is kept whose id a server says."""
    if not is_id(id):
        raise ProtocolError(f"the batch names a file {id[:80]!r}, which is no id")
    return file_url(id)
