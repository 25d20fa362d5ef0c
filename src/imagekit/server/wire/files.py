"""The Files API: pictures that are given by their ids, and the files of batches."""

from __future__ import annotations

import asyncio
import math
import re
from typing import Annotated, Literal, TypeVar

from pydantic import BeforeValidator, Field
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from .._service import Service
from .answers import Answer
from .filing import Expiry, Filing, Seconds
from .inputs import VIEWABLE, Inputs, form_of, held, texts
from .lines import looks_right
from .reading import Wire, nested, read
from .refusals import invalid, not_found

FILE = re.compile("file")
PICTURES, BATCH = ("vision", "user_data", "assistants"), "batch"
T = TypeVar("T")


def _number(said: object) -> object:
    # In a form all is text.
    return int(said) if isinstance(said, str) and said.isdecimal() and len(said) < 10 else said


class _Expiry(Expiry):
    seconds: Annotated[Seconds, BeforeValidator(_number)]


class _Upload(Wire):
    purpose: str
    expires_after: _Expiry | None = None


class _Listing(Wire):
    limit: Annotated[int, Field(ge=1, le=10_000)] | None = None
    order: Literal["asc", "desc"] | None = None
    after: str | None = None
    purpose: str | None = None


class Files:
    """The endpoints below `/v1/files`."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def create(self, request: Request) -> Answer:
        """Keep a picture, or what a batch is to ask."""
        service = self._service
        async with form_of(request, service.limits) as form:
            said = read(_Upload, nested(texts(form, but=FILE), _Upload))
            parts = form.getlist("file")
            data = await held(parts[0]) if len(parts) == 1 else None
            if data is None:
                raise invalid(
                    "Missing required parameter: 'file'.", "file", "missing_required_parameter"
                )
            name = (getattr(parts[0], "filename", None) or "upload").replace("\\", "/")
        if said.purpose not in (*PICTURES, BATCH):
            listed = "', '".join((*PICTURES, BATCH))
            raise invalid(f"'purpose' is one of '{listed}'.", "purpose")
        if said.purpose in PICTURES:
            Inputs(service.limits, service.kept, _owner(request)).picture(
                data, "file", kinds=VIEWABLE
            )
        elif not await asyncio.to_thread(looks_right, data):
            raise invalid("Invalid file format for Batch API. Must be .jsonl", code=None)
        most = said.expires_after.seconds if said.expires_after is not None else math.inf
        seconds = min(service.limits.kept, most)
        last = name.rpartition("/")[2][:255]
        return Answer(await self._filing(request).keep(data, last, said.purpose, seconds))

    async def list(self, request: Request) -> Answer:
        """The caller's files, newest first where nothing else is asked."""
        filing = self._filing(request)
        asked = read(_Listing, nested(dict(request.query_params), _Listing))
        ids = await self._service.kept.ids("about", _owner(request))
        ids = ids if asked.order == "asc" else ids[::-1]
        if asked.after in ids:
            ids = ids[ids.index(asked.after) + 1 :]
        found = [about for id in ids if (about := await filing.about(id)) is not None]
        found = [one for one in found if asked.purpose in (None, one["purpose"])]
        page = found[: asked.limit]
        ends = {"first_id": page[0]["id"], "last_id": page[-1]["id"]} if page else {}
        more = len(page) < len(found)
        return Answer({"object": "list", "data": page, "has_more": more, **ends})

    async def retrieve(self, request: Request) -> Answer:
        """What is known of a file."""
        id = request.path_params["id"]
        return Answer(_there(await self._filing(request).about(id), id))

    async def content(self, request: Request) -> Response:
        """The file itself."""
        id, filing = request.path_params["id"], self._filing(request)
        kind, headers = "application/octet-stream", {"content-disposition": "attachment"}
        joined = await filing.joined(id)
        if joined is not None:
            return StreamingResponse(joined, media_type=kind, headers=headers)
        data = _there(await filing.whole(id), id)
        return Response(data, media_type=kind, headers=headers)

    async def delete(self, request: Request) -> Answer:
        """Forget a file."""
        id, filing = request.path_params["id"], self._filing(request)
        _there(await filing.about(id), id)
        await filing.forget(id)
        return Answer({"id": id, "object": "file", "deleted": True})

    def _filing(self, request: Request) -> Filing:
        return Filing(self._service.kept, _owner(request))


def _owner(request: Request) -> str:
    return str(request.scope["imagekit"].owner)


def _there(found: T | None, id: str) -> T:
    if found is None:
        raise not_found(f"No such File object: {id[:100]}", param="id")
    return found
