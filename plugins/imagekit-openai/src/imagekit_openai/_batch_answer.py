"""What a batch and its files say: how far it is, and what came of each of its lines."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from imagekit import (
    ImagekitError,
    ImageResponse,
    InvalidRequestError,
    NoImageError,
    Progress,
    ProviderError,
)
from imagekit.provider import HttpResponse, merged

from ._lenient import Read, Said, Wanted
from ._refusals import envelope, error_from, error_of

OVER = frozenset({"completed", "failed", "expired", "cancelled"})
# Codes of lines that were never begun.
NOT_BEGUN = frozenset({"batch_expired", "batch_cancelled"})


class _Wrong(Read):
    code: Said[str] = None
    line: Said[int] = None
    message: Said[str] = None
    param: Said[str] = None


class _Errors(Read):
    data: Said[list[Said[_Wrong]]] = None


class _Counts(Read):
    total: Said[int] = None
    completed: Said[int] = None
    failed: Said[int] = None


class Batch(Read):
    id: Said[str] = None
    status: Said[str] = None
    output_file_id: Said[str] = None
    error_file_id: Said[str] = None
    errors: Said[_Errors] = None
    request_counts: Said[_Counts] = None

    def progress(self) -> Progress:
        """How far it has come."""
        counts = self.request_counts or _Counts()
        done = (counts.completed or 0) + (counts.failed or 0)
        return Progress(step=done, total=counts.total or None, message=f"the batch: {self.status}")


class _Answer(Read):
    status_code: Said[int] = None
    request_id: Said[str] = None
    headers: Said[Mapping[str, Said[str]]] = None
    body: Any = None


class Line(Read):
    custom_id: Said[str] = None
    response: Said[_Answer] = None
    error: Any = None


@dataclass
class Found:
    """What the files of a batch came to: their lines by place, and why there are no more.

    `answered` is how many of them the output file has.
    """

    lines: dict[int, ImageResponse | ImagekitError] = field(default_factory=dict)
    answered: int = 0
    failed: ImagekitError | None = None

    def lost(self, batch: Batch) -> str | None:
        """That the output file ends early, where the batch counts more answers."""
        done = batch.request_counts.completed if batch.request_counts else None
        if done is None or done <= self.answered:
            return None
        return f"the batch completed {done} requests, and its file answers {self.answered}"


def outcome(
    line: Line, wanted: Wanted, reading: Callable[[Any, HttpResponse, Wanted], ImageResponse]
) -> ImageResponse:
    """What one line came to, whose body is read by *reading*; raises the error that it tells."""
    said = line.response
    if said is None or said.status_code is None:
        wrong = envelope({"error": line.error})
        error = error_of(wrong)
        error.billed = "no" if wrong.get("code") in NOT_BEGUN else None
        raise error
    ids = {"x-request-id": said.request_id} if said.request_id else {}
    told = {name.lower(): one for name, one in (said.headers or {}).items() if one is not None}
    head = HttpResponse(said.status_code, {**told, **ids, "content-type": "application/json"})
    if not head.ok:
        raise error_from(HttpResponse(head.status, head.headers, json.dumps(said.body).encode()))
    return reading(said.body, head, wanted)


def is_gone(error: ImagekitError) -> bool:
    """Whether a file can never be read any more."""
    return isinstance(error, InvalidRequestError) and error.status in (404, 410)


def arrived(found: Found, counts: Sequence[int], failed: ImagekitError) -> ImageResponse | None:
    """What was read before a file failed; the places that are wanting say why."""
    outcomes = [found.lines.get(place) or failed for place in range(len(counts))]
    try:
        return merged(outcomes, counts)
    except ImagekitError as error:
        return error.response


def unanswered(place: int, batch: Batch, lost: str | None) -> ImagekitError:
    """Why a request has no line of its own."""
    # Where there are answers, one that cannot be read may be paid for.
    billed: Literal["no", "possibly"] = "possibly" if batch.output_file_id else "no"
    wrong = [one for one in (batch.errors.data if batch.errors else None) or () if one]
    own = next((one for one in wrong if one.line == place + 1), None)
    if own is not None:
        return InvalidRequestError(
            own.message or "the batch finds the line wrong",
            code=own.code,
            param=own.param,
            billed=billed,
        )
    if batch.status == "failed":
        first = next((one.message for one in wrong if one.message), "no reason given")
        return ProviderError(f"the batch was not begun: {first}", billed=billed)
    if lost is not None:
        return NoImageError(f"{lost}: there is none to this request", billed="possibly")
    return NoImageError(f"the batch ended {batch.status} without an answer to this request")
