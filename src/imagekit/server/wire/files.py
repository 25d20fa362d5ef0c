"""The Files API, as far as pictures are given by a file's id."""

from __future__ import annotations

import json
import math
import re
import time
import uuid
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from starlette.requests import Request
from starlette.responses import Response

from .._service import Service
from .answers import Answer
from .inputs import VIEWABLE, Inputs, form_of, held, texts
from .reading import Wire, nested, read
from .refusals import invalid, not_found

FILE = re.compile("file")
PURPOSES = ("vision", "user_data", "assistants")


def _number(said: object) -> object:
    # In a form all is text.
    return int(said) if isinstance(said, str) and said.isdecimal() and len(said) < 10 else said


class _Expiry(Wire):
    anchor: Literal["created_at"]
    seconds: Annotated[int, BeforeValidator(_number), Field(ge=3600, le=2_592_000)]


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
        """Keep a picture."""
        service, owner = self._service, str(request.scope["imagekit"].owner)
        async with form_of(request, service.limits) as form:
            said = read(_Upload, nested(texts(form, but=FILE), _Upload))
            parts = form.getlist("file")
            data = await held(parts[0]) if len(parts) == 1 else None
            if data is None:
                raise invalid(
                    "Missing required parameter: 'file'.", "file", "missing_required_parameter"
                )
            name = (getattr(parts[0], "filename", None) or "upload").replace("\\", "/")
        if said.purpose not in PURPOSES:
            listed = "', '".join(PURPOSES)
            raise invalid(f"'purpose' is one of '{listed}'.", "purpose")
        Inputs(service.limits, service.kept, owner).picture(data, "file", kinds=VIEWABLE)
        most = said.expires_after.seconds if said.expires_after is not None else math.inf
        seconds = min(service.limits.kept, most)
        id, now = f"file-{uuid.uuid4().hex}", int(time.time())
        about = {
            "id": id,
            "object": "file",
            "bytes": len(data),
            "created_at": now,
            "expires_at": now + int(seconds),
            "filename": name.rpartition("/")[2][:255],
            "purpose": said.purpose,
            "status": "processed",
        }
        await service.kept.put("file", id, owner, data, seconds)
        await service.kept.put("about", id, owner, json.dumps(about).encode(), seconds)
        return Answer(about)

    async def list(self, request: Request) -> Answer:
        """The caller's files, newest first where nothing else is asked."""
        owner = str(request.scope["imagekit"].owner)
        asked = read(_Listing, nested(dict(request.query_params), _Listing))
        ids = await self._service.kept.ids("about", owner)
        ids = ids if asked.order == "asc" else ids[::-1]
        if asked.after in ids:
            ids = ids[ids.index(asked.after) + 1 :]
        found = [
            json.loads(about)
            for id in ids
            if (about := await self._service.kept.get("about", id, owner)) is not None
        ]
        found = [one for one in found if asked.purpose in (None, one["purpose"])]
        page = found[: asked.limit]
        ends = {"first_id": page[0]["id"], "last_id": page[-1]["id"]} if page else {}
        more = len(page) < len(found)
        return Answer({"object": "list", "data": page, "has_more": more, **ends})

    async def retrieve(self, request: Request) -> Answer:
        """What is known of a file."""
        return Answer(json.loads(await self._found("about", request)))

    async def content(self, request: Request) -> Response:
        """The file itself."""
        data = await self._found("file", request)
        return Response(
            data,
            media_type="application/octet-stream",
            headers={"content-disposition": "attachment"},
        )

    async def delete(self, request: Request) -> Answer:
        """Forget a file."""
        id, owner = request.path_params["id"], str(request.scope["imagekit"].owner)
        await self._found("about", request)
        for kind in ("file", "about"):
            await self._service.kept.delete(kind, id, owner)
        return Answer({"id": id, "object": "file", "deleted": True})

    async def _found(self, kind: str, request: Request) -> bytes:
        id, owner = request.path_params["id"], str(request.scope["imagekit"].owner)
        data = await self._service.kept.get(kind, id, owner)
        if data is None:
            raise not_found(f"No such File object: {id[:100]}", param="id")
        return data
