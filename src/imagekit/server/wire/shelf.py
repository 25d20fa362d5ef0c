"""What is kept of a response: the object, its pictures, its events, and what was left unsaid."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

from ..._input import ImageInput
from ..._request import ImageRequest, State
from .._kept import Kept
from .conversation import CALL
from .refusals import not_found

_GONE = {
    "code": "image_file_not_found",
    "message": "The picture was made, and is kept no longer.",
    "type": "server_error",
}
ENDED = ("completed", "failed", "cancelled", "incomplete")


class Shelf:
    """Keeps responses for so many *seconds*, each for its owner."""

    def __init__(self, kept: Kept, seconds: float) -> None:
        self._kept, self._seconds = kept, seconds

    async def keep(
        self,
        owner: str,
        response: dict[str, Any],
        *,
        provider: str,
        wanted: ImageRequest,
        state: State | None,
        unshown: Sequence[str],
    ) -> None:
        """Store a response as it stands, its pictures by themselves.

        *state* is where *provider* left off. What was *wanted* is kept for as long as no picture
        has come of it, and the earlier pictures that were talked about *unshown*.
        """
        output = []
        for item in response["output"]:
            if item["type"] == CALL and item["result"] is not None:
                await self._put("picture", item["id"], owner, base64.b64decode(item["result"]))
                item = {**item, "result": ""}
            output.append(item)
        made = any(item["result"] is not None for item in output if item["type"] == CALL)
        left = state if made else wanted.state
        pictures = await self._inputs(owner, response["id"], wanted, made=made)
        open = {"words": wanted.prompt, "earlier": list(unshown), "pictures": pictures}
        document = {
            "response": {**response, "output": output},
            "provider": provider,
            "state": left and left.model_dump(mode="json"),
            "open": None if made else open,
        }
        await self._put("response", response["id"], owner, json.dumps(document).encode())

    async def _inputs(self, owner: str, id: str, wanted: ImageRequest, *, made: bool) -> list[str]:
        """The input pictures, kept until one is made of them: their URLs, or ids."""
        pictures = []
        for place, given in enumerate(wanted.images):
            name = f"{id}-{place}"
            if given.data is not None and made:
                await self._kept.delete("picture", name, owner)
            elif given.data is not None:
                await self._put("picture", name, owner, given.data)
            pictures.append(given.url or name)
        return pictures

    async def keep_events(self, owner: str, id: str, frames: Sequence[bytes]) -> None:
        """Store what was streamed, so that it can be streamed again."""
        events = json.dumps([event.decode() for event in frames]).encode()
        await self._put("events", id, owner, events)

    async def _put(self, kind: str, id: str, owner: str, data: bytes) -> None:
        await self._kept.put(kind, id, owner, data, self._seconds)

    async def document(self, id: str, owner: str) -> dict[str, Any] | None:
        """Everything that is kept of a response but its pictures."""
        found = await self._kept.get("response", id, owner)
        return json.loads(found) if found is not None else None

    async def response(self, id: str, owner: str) -> dict[str, Any]:
        """The response object, whole; raises where there is none."""
        document = await self.document(id, owner)
        if document is None:
            raise unknown_response(id)
        response: dict[str, Any] = document["response"]
        for item in response["output"]:
            if item.get("result") == "":
                data = await self._kept.get("picture", item["id"], owner)
                if data is None:
                    item |= {"status": "failed", "result": None, "error": _GONE}
                else:
                    item["result"] = base64.b64encode(data).decode()
        if response["status"] not in ENDED:
            # Nobody makes it any more: the process that did is gone, or could not keep it.
            words = "It was not finished, or could not be kept; it may have been charged."
            response |= {"status": "failed", "error": {"code": "server_error", "message": words}}
        return response

    async def events(self, id: str, owner: str) -> list[bytes] | None:
        """What was streamed, where that was kept."""
        found = await self._kept.get("events", id, owner)
        return [event.encode() for event in json.loads(found)] if found is not None else None

    async def has_picture(self, id: str, owner: str) -> bool:
        """Whether a picture of that id is kept."""
        return await self._kept.get("picture", id, owner) is not None

    async def picture(self, id: str, owner: str) -> ImageInput:
        """The picture of an earlier response; raises where it is not kept."""
        data = await self._kept.get("picture", id, owner)
        if data is None:
            message = f"Item with id '{id[:100]}' not found: it was not stored, or is no more."
            raise not_found(message, param="input")
        return ImageInput(data=data)

    async def forget(self, id: str, owner: str) -> None:
        """Drop a response and everything with it; raises where there is none."""
        document = await self.document(id, owner)
        if document is None:
            raise unknown_response(id)
        # First what all else is found by, so that nobody sees half of it.
        await self._kept.delete("response", id, owner)
        await self._kept.delete("events", id, owner)
        made = [item["id"] for item in document["response"]["output"] if item["type"] == CALL]
        for picture in (*made, *(document["open"] or {"pictures": ()})["pictures"]):
            await self._kept.delete("picture", picture, owner)


def unknown_response(id: str) -> Exception:
    """The refusal of a response that is not there, or is somebody else's."""
    return not_found(f"Response with id '{id[:100]}' not found.")
