"""The Batch API: files of requests, answered in the background by the endpoints that they name."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field
from starlette.requests import Request

from .._asgi import Message, Scope
from .._log import Record, logger
from .._service import Service, refusal_of
from . import lines
from .answers import Answer
from .filing import PART, Expiry, Filing
from .lines import Line, Lines
from .reading import Wire, json_of, nested, read
from .refusals import STOPPING, Refusal, RefusedError, again, not_found
from .usage import added

Handler = Callable[[Request], Awaitable[Any]]

# Whoever asks how a batch goes may ask again after so many seconds.
_PAUSE = 2
_OVER = ("completed", "failed", "expired", "cancelled")
_FAILED, _BEGUN, _BEAT = "batch-error", "batch-begun", "batch-beat"
# A batch whose server has not been heard of for so many seconds is nobody's; so often it is.
_LEASE, _BREATH = 30.0, 10.0
# What a line in the error file takes at most beside its name.
_ROW = 400
# What of an answer's headers goes along with its body.
_TOLD = ("x-imagekit-notices", "x-imagekit-billed", "x-should-retry")
_NOT_EXECUTED = {
    "cancelled": "This request was not executed because the batch was cancelled.",
    "expired": "This request could not be executed before the completion window expired.",
    "failed": "This request was not executed because the server stopped or failed.",
}
_CAUSES = {
    "storage_full": (
        "the server has no room to keep another answer. Fetch and delete files that are done, or "
        "have its operator raise Limits.stored."
    ),
    "input_file_gone": "the batch's input file was deleted, or is kept no longer.",
}
_UNFINISHED = (
    "The request was not finished, or its answer could not be kept; it may have been charged."
)
_STOPPED = {
    "code": "server_error",
    "line": None,
    "message": "The server stopped or failed before the batch was done; its files hold what was.",
    "param": None,
}
_FULL = Refusal(
    429,
    "As many of your batches as may be are in progress; try again when one of them is done.",
    "rate_limit_error",
    "rate_limit_exceeded",
    headers=again(60),
)
_ELSEWHERE = Refusal(
    409, "Another server that shares the database is making this batch: cancel it there."
)


class _Create(Wire):
    input_file_id: str
    endpoint: Literal["/v1/images/generations", "/v1/images/edits", "/v1/responses"]
    completion_window: Literal["24h"]
    metadata: (
        Annotated[
            dict[
                Annotated[str, Field(max_length=64)],
                Annotated[str, Field(max_length=512)],
            ],
            Field(max_length=16),
        ]
        | None
    ) = None
    output_expires_after: Expiry | None = None


class _Listing(Wire):
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    after: str | None = None


@dataclass(slots=True)
class _Work:
    """A batch that is not done: itself, its requests by name, and what became of each so far.

    *seconds* is how long its files are kept; *why* is the status it will end with, if it ends
    before its end, and *cause* why that is `failed`, where it has a reason of its own. Of each
    request that came to a picture the size of its line is known.
    """

    owner: str
    batch: dict[str, Any]
    seconds: float
    names: list[str] = field(default_factory=list)
    why: str | None = None
    cause: str | None = None
    ahead: deque[bytes] = field(default_factory=deque)
    going: set[asyncio.Task[None]] = field(default_factory=set)
    made: dict[int, int] = field(default_factory=dict)
    failed: set[int] = field(default_factory=set)
    begun: set[int] = field(default_factory=set)
    keeping: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def whole(self) -> bool:
        """Whether every request was executed, whatever came of it."""
        return len(self.made.keys() | self.failed | self.begun) == len(self.names)

    def needs(self, guess: int) -> int:
        """How much room its end takes: what is being made, and a file of errors.

        A picture is as large as the largest so far, or a *guess*. Twice: its endpoint may keep it
        as well.
        """
        largest = max(self.made.values(), default=guess)
        rows = sum(map(len, self.names)) + _ROW * len(self.names)
        return 2 * largest * len(self.going) + rows

    def part(self, number: int) -> str:
        """The id of a line's answer."""
        return f"{self.batch['id']}-{number}"

    def becomes(self, status: str) -> None:
        """Note the status, and since when it has it."""
        self.batch |= {"status": status, f"{status}_at": int(time.time())}

    def count(self, total: int) -> None:
        """Note how far it has come."""
        done = {"completed": len(self.made), "failed": len(self.failed)}
        self.batch["request_counts"] = {"total": total, **done}


class Batches:
    """The endpoints below `/v1/batches`; *handlers* are those that lines may name."""

    def __init__(self, service: Service, handlers: Mapping[str, Handler]) -> None:
        self._service, self._handlers = service, handlers
        self._live: dict[str, _Work] = {}
        # One input file is in hand at a time, and room for one line is looked for.
        self._settling, self._reading = asyncio.Lock(), asyncio.Lock()

    async def create(self, request: Request) -> Answer:
        """Begin a batch; what is wrong with its file is told when it has been read."""
        record: Record = request.scope["imagekit"]
        asked = read(_Create, await json_of(request))
        limits, runs = self._service.limits, self._service.runs
        if runs.stopping:
            raise RefusedError(STOPPING)
        owner = str(record.owner)
        if sum(work.owner == owner for work in self._live.values()) >= limits.batches:
            raise RefusedError(_FULL)
        most = asked.output_expires_after
        seconds = limits.kept if most is None else min(limits.kept, most.seconds)
        batch = _begun(asked, limits.window)
        work = self._live[batch["id"]] = _Work(owner, batch, seconds)
        record.known["batch"] = batch["id"]
        try:
            await self._beat(work)
            await self._keep(work)
        except BaseException:
            del self._live[batch["id"]]
            raise
        answer = Answer(batch)
        # The host is part of links in answers; the token that came with it is for nobody now.
        head = [(name, said) for name, said in request.scope["headers"] if name == b"host"]
        scope = {**request.scope, "headers": [(b"content-type", b"application/json"), *head]}
        runs.chore(lambda: self._run(work, scope))
        return answer

    async def list(self, request: Request) -> Answer:
        """The caller's batches, newest first."""
        owner = str(request.scope["imagekit"].owner)
        asked = read(_Listing, nested(dict(request.query_params), _Listing))
        # An id begins with the time at which it was made.
        ids = sorted(await self._service.kept.ids("batch", owner), reverse=True)
        ids = [id for id in ids if asked.after is None or id < asked.after]
        page = []
        for id in ids[: asked.limit]:
            found = await self._found(id, owner)
            page += [found] if found is not None else []
        ends = {"first_id": page[0]["id"], "last_id": page[-1]["id"]} if page else {}
        more = len(ids) > asked.limit
        return Answer({"object": "list", "data": page, "has_more": more, **ends})

    async def retrieve(self, request: Request) -> Answer:
        """A batch as it stands."""
        batch = await self._asked(request)
        pace = {} if batch["status"] in _OVER else {"retry-after": str(_PAUSE)}
        return Answer(batch, headers=pace)

    async def cancel(self, request: Request) -> Answer:
        """Begin no more of a batch; what is being made is finished."""
        batch = await self._asked(request)
        status = batch["status"]
        work = self._live.get(batch["id"])
        if work is not None and status in ("validating", "in_progress"):
            work.becomes("cancelling")
            self._end(work, "cancelled")
            await self._keep(work)
        elif status not in ("cancelling", "cancelled"):
            if work is None and status not in _OVER:
                raise RefusedError(_ELSEWHERE)
            raise RefusedError(Refusal(409, f"Cannot cancel a batch with status '{status}'."))
        return Answer(batch)

    async def _asked(self, request: Request) -> dict[str, Any]:
        id, owner = request.path_params["id"], str(request.scope["imagekit"].owner)
        found = await self._found(id, owner)
        if found is None:
            raise not_found(f"No batch found with id '{id[:100]}'.")
        return found

    async def _found(self, id: str, owner: str) -> dict[str, Any] | None:
        """A batch as it stands; one that nobody works on any more is settled."""
        work = self._live.get(id)
        if work is not None:
            return work.batch if work.owner == owner else None
        document = await self._document(id, owner)
        if document is not None and document["batch"]["status"] not in _OVER:
            beat = await self._service.kept.get(_BEAT, id, owner)
            if beat is not None:
                return json.loads(beat)  # type: ignore[no-any-return]
            async with self._settling:
                document = await self._document(id, owner)
                if document is not None and document["batch"]["status"] not in _OVER:
                    return await self._settled(document, owner)
        return document["batch"] if document is not None else None

    async def _document(self, id: str, owner: str) -> dict[str, Any] | None:
        found = await self._service.kept.get("batch", id, owner)
        return json.loads(found) if found is not None else None

    async def _keep(self, work: _Work) -> None:
        # One after the other, so that what is kept last is what is true last.
        async with work.keeping:
            document = {"batch": work.batch, "names": work.names, "seconds": work.seconds}
            seconds = self._service.limits.kept
            if work.batch["status"] in _OVER:
                document["names"] = []
            else:
                seconds += self._longest
            data = json.dumps(document).encode()
            await self._put("batch", work.batch["id"], work, data, seconds)

    async def _put(self, kind: str, id: str, work: _Work, data: bytes, seconds: float) -> None:
        await self._service.kept.put(kind, id, work.owner, data, seconds)

    async def _beat(self, work: _Work) -> None:
        """Say to servers that share what is kept that somebody works on it, and how it stands."""
        await self._put(_BEAT, work.batch["id"], work, json.dumps(work.batch).encode(), _LEASE)

    async def _beating(self, work: _Work) -> None:
        while True:
            await asyncio.sleep(_BREATH)
            try:
                await self._beat(work)
            except Exception:  # the next may succeed
                logger.exception("%s: could not say that it goes on", work.batch["id"])

    @property
    def _longest(self) -> float:
        """How long a batch may take: its last calls may begin when its time is over."""
        return self._service.limits.window + self._service.limits.request

    def _end(self, work: _Work, why: str) -> None:
        work.why = work.why or why
        self._service.runs.nudge()

    async def _run(self, work: _Work, scope: Scope) -> None:
        """See a batch through."""
        loop, limits = asyncio.get_running_loop(), self._service.limits
        timer = loop.call_later(limits.window, self._end, work, "expired")
        beating = asyncio.create_task(self._beating(work))
        try:
            try:
                await self._made(work, scope)
            finally:
                beating.cancel()
                await self._service.kept.delete(_BEAT, work.batch["id"], work.owner)
        except Exception:  # it is settled when somebody asks for it
            logger.exception("%s failed", work.batch["id"])
        finally:
            timer.cancel()
            del self._live[work.batch["id"]]

    async def _made(self, work: _Work, scope: Scope) -> None:
        async with self._reading:
            found = await self._examined(work)
        if found.errors and work.why is None:
            work.becomes("failed")
            work.batch["errors"] = {"object": "list", "data": found.errors}
            await self._keep(work)
            return
        work.names = [] if found.errors else [line.custom_id for line in found.found]
        work.batch["model"] = found.model
        work.count(len(work.names))
        if work.why is None:
            work.becomes("in_progress")
        await self._keep(work)
        try:
            for number in range(len(work.names)):
                if not await self._service.runs.enter(lambda: work.why is None):
                    break
                if not await self._begins(work, found.found, number, scope):
                    break
        finally:
            if work.going:
                await asyncio.wait(work.going)
        if work.why != "cancelled":
            # A window that passed while the last of it was made is none.
            work.why = None if work.whole else work.why or "failed"
        await self._finish(work)

    async def _begins(self, work: _Work, found: Sequence[Line], number: int, scope: Scope) -> bool:
        """Begin a line that has entered; whether it could be."""
        task = None
        try:
            async with self._reading:
                cause = await self._ready(work, found, number)
                if work.why is None and cause is not None:
                    work.why, work.cause = "failed", cause
                if work.why is None:
                    text = work.ahead.popleft()
                    task = asyncio.create_task(self._line(work, number, text, scope))
                    work.going.add(task)
                    task.add_done_callback(work.going.discard)
        finally:
            if task is None:
                self._service.runs.leave()
        return task is not None

    async def _ready(self, work: _Work, found: Sequence[Line], number: int) -> str | None:
        """Have a line in hand; why it cannot be begun, if it cannot."""
        kept, limits = self._service.kept, self._service.limits
        guess, inputs = limits.stored // 64, set()
        size = 2 * max(work.made.values(), default=guess)
        for other in self._live.values():
            size += other.needs(guess)
            inputs.add(other.batch["input_file_id"])
        own = f"{work.batch['id']}-"

        def wanted(kind: str, id: str, owner: str) -> bool:
            """What no picture of this batch is worth: its own, others' of theirs, and inputs."""
            made = kind == PART and (owner != work.owner or id.startswith(own))
            return made or (kind == "file" and id in inputs)

        if not await kept.fits(size, wanted):
            return "storage_full"
        if not work.ahead:
            data = await Filing(kept, work.owner).whole(work.batch["input_file_id"])
            if data is None:
                return "input_file_gone"
            work.ahead.extend(lines.taken(data, found, number))
        return None

    async def _examined(self, work: _Work) -> Lines:
        """What the input of a batch asks."""
        batch, filing = work.batch, Filing(self._service.kept, work.owner)
        id = batch["input_file_id"]
        about, data = await filing.about(id), await filing.whole(id)
        words = None
        if about is None or data is None:
            words = f"Cannot find file {id[:100]}, or whoever asks does not have access to it."
        elif about["purpose"] != "batch":
            words = f"The purpose of file {id[:100]} is '{about['purpose']}', not 'batch'."
        if words is not None or data is None:
            wrong = Refusal(400, str(words), code="invalid_request", param="file_id")
            return Lines(errors=[lines.mistake(wrong)])
        most = self._service.limits.lines
        return await asyncio.to_thread(lines.examined, data, batch["endpoint"], most)

    async def _line(self, work: _Work, number: int, text: bytes, scope: Scope) -> None:
        """Answer one line, and keep the answer."""
        name, part, seconds = work.names[number], work.part(number), self._longest + work.seconds
        try:
            await self._put(_BEGUN, part, work, b"", seconds)
            work.begun.add(number)
            asked = await asyncio.to_thread(lines.body_of, text)
            record = Record("POST", work.batch["endpoint"], owner=work.owner, received=len(asked))
            record.known["batch"] = work.batch["id"]
            answer = await self._answer(asked, record, scope)
            if answer is not None:
                status, headers, body = answer
                said = lines.answered(name, status, record.id, headers, body)
                await self._put(PART if status < 400 else _FAILED, part, work, said, seconds)
                if status < 400:
                    work.made[number] = len(said)
                    work.batch["usage"] = added(work.batch["usage"], json.loads(body))
                else:
                    work.failed.add(number)
            await self._service.kept.delete(_BEGUN, part, work.owner)
            work.begun.discard(number)
        except Exception:
            logger.exception("%s: an answer could not be kept", work.batch["id"])
        finally:
            work.count(len(work.names))
            self._service.runs.leave()

    async def _answer(
        self, asked: bytes, record: Record, scope: Scope
    ) -> tuple[int, dict[str, str], bytes] | None:
        """What the endpoint says to one request; None where it was not taken on."""
        own = {"path": record.path, "query_string": b"", "imagekit": record}
        left = [{"type": "http.request", "body": asked}]

        async def receive() -> Message:
            # Nobody waits for it, and so nobody leaves.
            return left.pop() if left else await asyncio.Event().wait()  # type: ignore[return-value]

        headers: Mapping[str, str]
        try:
            request = Request({**scope, **own}, receive)
            answer = await self._handlers[record.path](request)
            record.status, headers, body = answer.status_code, answer.headers, answer.body
        except Exception as error:
            refusal = refusal_of(record, error)
            if refusal is STOPPING:
                return None
            record.status, headers = refusal.status, refusal.headers
            record.known["error"] = refusal.code or refusal.kind
            body = json.dumps({"error": refusal.error}).encode()
        record.sent = len(body)
        record.write()
        return record.status, {name: headers[name] for name in _TOLD if name in headers}, body

    async def _settled(self, document: dict[str, Any], owner: str) -> dict[str, Any]:
        """End a batch that nobody works on any more: the process that did is gone, or failed."""
        work = _Work(owner, document["batch"], document["seconds"], document["names"])
        for kind, into in ((_FAILED, work.failed), (_BEGUN, work.begun)):
            into |= await self._numbers(work, kind)
        for number in await self._numbers(work, PART):
            line = await self._service.kept.get(PART, work.part(number), owner)
            if line is None:
                work.begun.add(number)
            else:
                work.made[number] = len(line)
                spent = json.loads(line)["response"]["body"]
                work.batch["usage"] = added(work.batch["usage"], spent)
        work.why = "cancelled" if work.batch["status"] == "cancelling" else "failed"
        await self._finish(work)
        return work.batch

    async def _numbers(self, work: _Work, kind: str) -> set[int]:
        ids = await self._service.kept.ids(kind, work.owner)
        heads = (id.rpartition("-") for id in ids)
        return {int(number) for head, _, number in heads if head == work.batch["id"]}

    async def _finish(self, work: _Work) -> None:
        """Make the files, and say how it ended."""
        if work.why in (None, "expired"):
            work.becomes("finalizing")
        wrong = [number for number in range(len(work.names)) if number not in work.made]
        rows = [await self._row(work, number) for number in wrong]
        work.failed |= work.begun - work.made.keys()
        filing, id = Filing(self._service.kept, work.owner), work.batch["id"]
        if work.made:
            parts = [(work.part(number), work.names[number]) for number in sorted(work.made)]
            about = await filing.join(
                parts, sum(work.made.values()), f"{id}_output.jsonl", "batch_output", work.seconds
            )
            work.batch["output_file_id"] = about["id"]
        if rows:
            about = await filing.keep(
                b"".join(rows), f"{id}_error.jsonl", "batch_output", work.seconds
            )
            work.batch["error_file_id"] = about["id"]
        work.count(len(work.names))
        if work.why == "failed":
            told = dict(_STOPPED)
            if work.cause is not None:
                words = f"The rest of the batch was not executed: {_CAUSES[work.cause]}"
                told |= {"code": work.cause, "message": words}
            work.batch["errors"] = {"object": "list", "data": [told]}
        work.becomes(work.why or "completed")
        await self._keep(work)
        for number in work.failed:
            for kind in (_FAILED, _BEGUN):
                await self._service.kept.delete(kind, work.part(number), work.owner)

    async def _row(self, work: _Work, number: int) -> bytes:
        """The line of a request that came to no picture."""
        name, said = work.names[number], None
        if number in work.failed:
            said = await self._service.kept.get(_FAILED, work.part(number), work.owner)
        if said is not None:
            return said
        if number in work.failed | work.begun:
            return lines.unanswered(name, "server_error", _UNFINISHED)
        if work.cause is not None:
            words = f"This request was not executed, and not charged: {_CAUSES[work.cause]}"
            return lines.unanswered(name, work.cause, words)
        return lines.unanswered(name, f"batch_{work.why}", _NOT_EXECUTED[str(work.why)])


def _begun(asked: _Create, window: float) -> dict[str, Any]:
    now = int(time.time())
    later = ("in_progress", "finalizing", "cancelling", *_OVER)
    return {
        "id": f"batch_{time.time_ns():016x}{secrets.token_hex(8)}",
        "object": "batch",
        "endpoint": asked.endpoint,
        "model": None,
        "errors": None,
        "input_file_id": asked.input_file_id,
        "completion_window": asked.completion_window,
        "status": "validating",
        "output_file_id": None,
        "error_file_id": None,
        "created_at": now,
        "expires_at": now + int(window),
        **{f"{name}_at": None for name in later},
        "request_counts": {"total": 0, "completed": 0, "failed": 0},
        "usage": None,
        "metadata": asked.metadata,
    }
