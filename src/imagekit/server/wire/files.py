"""The Files API, as far as pictures are given by a file's id."""

from __future__ import annotations

import json
import re
import time
import uuid

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from .._service import Service
from .inputs import VIEWABLE, Inputs, form_of, held, texts
from .reading import Wire, nested, read
from .refusals import invalid, not_found

FILE = re.compile("file")
PURPOSES = ("vision", "user_data", "assistants")


class _Upload(Wire):
    purpose: str


class Files:
    """The endpoints below `/v1/files`."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def create(self, request: Request) -> JSONResponse:
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
        seconds = service.limits.kept
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
        return JSONResponse(about)

    async def list(self, request: Request) -> JSONResponse:
        """Every file of the caller's, newest first."""
        owner = str(request.scope["imagekit"].owner)
        found = [
            json.loads(about)
            for id in reversed(await self._service.kept.ids("about", owner))
            if (about := await self._service.kept.get("about", id, owner)) is not None
        ]
        ends = {"first_id": found[0]["id"], "last_id": found[-1]["id"]} if found else {}
        return JSONResponse({"object": "list", "data": found, "has_more": False, **ends})

    async def retrieve(self, request: Request) -> JSONResponse:
        """What is known of a file."""
        return JSONResponse(json.loads(await self._found("about", request)))

    async def content(self, request: Request) -> Response:
        """The file itself."""
        data = await self._found("file", request)
        return Response(
            data,
            media_type="application/octet-stream",
            headers={"content-disposition": "attachment"},
        )

    async def delete(self, request: Request) -> JSONResponse:
        """Forget a file."""
        id, owner = request.path_params["id"], str(request.scope["imagekit"].owner)
        await self._found("about", request)
        for kind in ("file", "about"):
            await self._service.kept.delete(kind, id, owner)
        return JSONResponse({"id": id, "object": "file", "deleted": True})

    async def _found(self, kind: str, request: Request) -> bytes:
        id, owner = request.path_params["id"], str(request.scope["imagekit"].owner)
        data = await self._service.kept.get(kind, id, owner)
        if data is None:
            raise not_found(f"No such File object: {id[:100]}", param="id")
        return data
