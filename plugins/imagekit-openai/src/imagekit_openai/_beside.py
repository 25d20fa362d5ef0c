"""What both providers keep, list and judge beside pictures: files, models, moderations.

How their answers read is imported when one comes, for most calls are none of these.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from imagekit import (
    ImageInput,
    ImageRequest,
    ProtocolError,
    RequestError,
    UnsupportedRequestError,
)
from imagekit.provider import Effects, HttpRequest, HttpResponse, Part, send

from ._images_request import url
from ._lenient import read
from ._refusals import error_from

if TYPE_CHECKING:
    from imagekit import ModelInfo, Moderation, StoredFile

# From the types of the official Python SDK 3.52.0 (2026-11-16).
MODERATION_MODEL = "omni-moderation-latest"
# Seconds after which what is uploaded for one job is gone, should nobody delete it: what files of
# batches have by default. From the same types.
KEPT = 30 * 86_400
# More pages than any account has: a server that turns its pages in a circle ends there.
PAGES = 1000
# What an id may be: a word of a path that leads nowhere else.
_ID = re.compile(r"[A-Za-z0-9_-]{1,200}")
Id = Annotated[str, Field(pattern=f"^{_ID.pattern}$")]


def uploaded(part: Part, purpose: str, *, expires: bool = False) -> Effects[StoredFile]:
    """Give the other side a file; with *expires*, for as long as a job may take at most."""
    form = [("purpose", purpose)]
    if expires:
        form += [("expires_after[anchor]", "created_at"), ("expires_after[seconds]", str(KEPT))]
    # Keeping a file is not charged. Repeated, an upload whose answer was lost leaves at worst a
    # second copy, as it would if the caller did it again.
    asked = HttpRequest("POST", "/files", form=tuple(form), parts=(part,), billable=False)
    from ._beside_answer import File

    stored = read(File, (yield from _answered(asked)).json()).stored()
    if stored is None or not is_id(stored.id):
        raise ProtocolError("the answer to an upload names no file", billed="no")
    return stored


def removed(url: str) -> Effects[None]:
    """Delete what is kept at *url*; what is gone already is as it should be."""
    answer = yield from send(HttpRequest("DELETE", url))
    if not answer.ok and answer.status != 404:
        raise error_from(answer)


def file_url(id: str) -> str:
    """Where a file is kept."""
    return f"/files/{checked(id)}"


def is_id(id: str | None) -> bool:
    """Whether *id* can name something that is kept."""
    return id is not None and _ID.fullmatch(id) is not None


def checked(id: str) -> str:
    """*id*, a word of a path; raises `RequestError` where it would lead anywhere else."""
    if not is_id(id):
        raise RequestError(f"{id[:80]!r} is no id of anything that is kept here")
    return id


def part_of(given: ImageInput) -> Part:
    """A picture as a file to upload: the type of the part is what its bytes are."""
    kind = given.media_type or "application/octet-stream"
    return Part("file", given.blob or b"", given.filename, kind)


class Listing:
    """The models of a host."""

    def list_models(self) -> Effects[tuple[ModelInfo, ...]]:
        """The models that the account may use, those that make no pictures among them."""
        from ._beside_answer import Models

        body = read(Models, (yield from _answered(_get("/models"))).json())
        return tuple(info for one in body.data or () if one and (info := one.info()))


class Beside(Listing):
    """The small calls of an account."""

    def upload(self, request: ImageRequest) -> Effects[StoredFile]:
        """Keep the request's first picture, for pictures to be made of it."""
        return uploaded(part_of(request.images[0]), "vision")

    def list_files(self) -> Effects[tuple[StoredFile, ...]]:
        """All files of the account, pictures or not."""
        from ._beside_answer import Files

        found: dict[str, StoredFile] = {}
        after: dict[str, str] = {}
        for _ in range(PAGES):
            page = read(Files, (yield from _answered(_get("/files", after))).json())
            files = [file for one in page.data or () if one and (file := one.stored())]
            new = {file.id: file for file in files if file.id not in found}
            found |= new
            if not page.has_more or not new:
                break
            after = {"after": files[-1].id}
        return tuple(found.values())

    def moderate(self, request: ImageRequest) -> Effects[Moderation]:
        """What the rules say of a prompt, of pictures, or of both together."""
        content = list(_content(request))
        from ._beside_answer import Moderated, moderation

        wire = {
            "model": request.model or MODERATION_MODEL,
            "input": content if request.images else request.prompt,
        }
        # It is free of charge (OpenAI's moderation guide, 2026-05-02).
        asked = HttpRequest("POST", "/moderations", json=wire, billable=False)
        body = read(Moderated, (yield from _answered(asked)).json())
        if not body.results or any(one.flagged is None for one in body.results):
            raise ProtocolError("the moderation does not say whether anything is flagged")
        return moderation(body, body.results)

    def delete(self, handle: Mapping[str, Any]) -> Effects[None]:
        """Delete a file."""
        if not isinstance(id := handle.get("file_id"), str):
            raise RequestError("this names nothing that is kept here")
        return (yield from removed(file_url(id)))


def _get(url: str, query: Mapping[str, str] | None = None) -> HttpRequest:
    return HttpRequest("GET", url, query=query or {})


def _answered(asked: HttpRequest) -> Effects[HttpResponse]:
    answer = yield from send(asked)
    if not answer.ok:
        raise error_from(answer)
    return answer


def _content(request: ImageRequest) -> Iterator[dict[str, Any]]:
    if request.prompt:
        yield {"type": "text", "text": request.prompt}
    for given in request.images:
        if given.file_id is not None:
            raise UnsupportedRequestError(
                "a moderation takes pictures as bytes or URLs, and no file that is kept"
            )
        yield {"type": "image_url", "image_url": {"url": url(given)}}
