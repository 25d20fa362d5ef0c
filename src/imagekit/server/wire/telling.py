"""One Responses call as the dialect tells it: its events, its items and the response object."""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..._errors import ContentRejectedError, ImagekitError, NoImageError
from ..._events import (
    Completed,
    ImageFailed,
    ImageReady,
    PartialImage,
    Progress,
    Text,
)
from ..._image import Image
from ..._response import ImageFailure, ImageResponse
from . import usage
from .conversation import CALL, Create, Tool
from .images import effective
from .reading import Wire
from .refusals import Refusal, told

# The codes that a failed response may have.
_CODES = {429: "rate_limit_exceeded", 400: "invalid_prompt"}


def made_id(kind: str) -> str:
    """A new id, such as "resp_…"."""
    return f"{kind}_{uuid.uuid4().hex}{uuid.uuid4().hex[:18]}"


def begun(asked: Create, tool: Mapping[str, Any], model: str) -> dict[str, Any]:
    """The response object as it is before anything has happened."""
    return {
        "id": made_id("resp"),
        "object": "response",
        "created_at": int(time.time()),
        "status": "queued" if asked.background else "in_progress",
        "background": bool(asked.background),
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "instructions": asked.instructions,
        "max_output_tokens": asked.max_output_tokens,
        "max_tool_calls": asked.max_tool_calls,
        "metadata": asked.metadata or {},
        "model": model,
        "output": [],
        "parallel_tool_calls": asked.parallel_tool_calls is not False,
        "previous_response_id": asked.previous_response_id,
        "prompt_cache_key": asked.prompt_cache_key,
        "reasoning": {"effort": None, "summary": None, **_said(asked.reasoning)},
        "safety_identifier": asked.safety_identifier or asked.user,
        "service_tier": "default",
        "store": asked.stores,
        "temperature": 1.0 if asked.temperature is None else asked.temperature,
        "text": {"format": {"type": "text"}, **_said(asked.text)},
        "tool_choice": asked.tool_choice or "auto",
        "tools": [dict(tool)],
        "top_p": 1.0 if asked.top_p is None else asked.top_p,
        "truncation": asked.truncation or "disabled",
        "usage": None,
        "user": asked.user,
    }


def _said(about: Wire | None) -> dict[str, Any]:
    return about.model_dump(exclude_none=True) if about is not None else {}


@dataclass(slots=True)
class _Open:
    """An item that is not done: its place in the output, and itself."""

    place: int
    item: dict[str, Any]


class Telling:
    """Tells a call as it goes; *say* takes each event."""

    def __init__(
        self,
        response: dict[str, Any],
        tool: Tool,
        action: str,
        say: Callable[[dict[str, Any]], None],
    ) -> None:
        self.response = response
        self._tool, self._action, self._say_event = tool, action, say
        self._number = 0
        self._calls: dict[int, _Open] = {}
        self._failures: dict[int, ImageFailure] = {}
        self._message: _Open | None = None
        self._words_said = False

    def _say(self, type: str, **about: Any) -> None:
        self._say_event({"type": type, **about, "sequence_number": self._number})
        self._number += 1

    def _about(self, what: str) -> None:
        self._say(f"response.{what}", response=self.response)

    def begin(self) -> None:
        """The response is there, and its work begins."""
        self._about("created")
        if self.response["status"] == "queued":
            self._about("queued")

    def go_on(self) -> None:
        """Work has begun."""
        self.response["status"] = "in_progress"
        self._about("in_progress")

    def see(self, event: object) -> None:
        """Tell what happened."""
        match event:
            case Progress():
                self._call(0)
            case PartialImage(index=index, step=step, image=image):
                self._previewed(self._call(index), step, image)
            case ImageReady(index=index, image=image):
                self._ended(self._call(index), self._pictured(image))
            case ImageFailed(index=index, failure=failure):
                # It is told at the end: of a call that fails as a whole, not everything is.
                self._failures[index] = failure
            case Text(text=text, phase=phase) if phase in ("content", "refusal"):
                self._words(text, refusal=phase == "refusal")
            case Completed(response=response):
                self._completed(response)

    def _open(self, item: dict[str, Any]) -> _Open:
        opened = _Open(len(self.response["output"]), item)
        self.response["output"].append(item)
        self._say("response.output_item.added", output_index=opened.place, item=dict(item))
        return opened

    def _call(self, index: int) -> _Open:
        found = self._calls.get(index)
        if found is None:
            for before in sorted(self._failures):
                if before < index:
                    self._call(before)
            item = {"id": made_id("ig"), "type": CALL, "status": "in_progress", "result": None}
            found = self._calls[index] = self._open(item)
            self._step(found, "in_progress")
            self._step(found, "generating")
            item["status"] = "generating"
        return found

    def _step(self, call: _Open, what: str, **about: Any) -> None:
        where = {"output_index": call.place, "item_id": call.item["id"]}
        self._say(f"response.{CALL}.{what}", **where, **about)

    def _previewed(self, call: _Open, step: int, image: Image) -> None:
        if image.data is None:
            return
        known = {name: value or "auto" for name, value in effective(image, self._tool).items()}
        data = base64.b64encode(image.data).decode()
        self._step(call, "partial_image", partial_image_index=step, partial_image_b64=data, **known)

    def _pictured(self, image: Image) -> dict[str, Any]:
        if image.data is None:
            words = "The provider gave a link, and the picture behind it could not be fetched."
            error = {"code": "failed_to_download_image", "message": words, "type": "server_error"}
            return {"status": "failed", "result": None, "error": error}
        known = {name: value or "auto" for name, value in effective(image, self._tool).items()}
        return {
            "status": "completed",
            "action": self._action,
            **known,
            "revised_prompt": image.revised_prompt,
            "result": base64.b64encode(image.data).decode(),
        }

    def _ended(self, call: _Open, about: dict[str, Any]) -> None:
        call.item.update(about)
        if about["status"] == "completed":
            self._step(call, "completed")
        self._say("response.output_item.done", output_index=call.place, item=dict(call.item))

    def _words(self, text: str, *, refusal: bool) -> None:
        self._words_said = True
        name, kind = ("refusal", "refusal") if refusal else ("text", "output_text")
        if self._message is None or self._message.item["content"][-1]["type"] != kind:
            self._close_message()
            item: dict[str, Any] = {
                "id": made_id("msg"),
                "type": "message",
                "status": "in_progress",
                "role": "assistant",
                "content": [],
            }
            self._message = self._open(item)
            part = {
                "type": kind,
                name: "",
                **({} if refusal else {"annotations": [], "logprobs": []}),
            }
            item["content"].append(part)
            self._part("content_part.added", part=dict(part))
        part = self._message.item["content"][-1]
        part[name] += text
        self._part(f"{kind}.delta", delta=text, **({} if refusal else {"logprobs": []}))

    def _part(self, what: str, **about: Any) -> None:
        assert self._message is not None
        where = {"item_id": self._message.item["id"], "output_index": self._message.place}
        self._say(f"response.{what}", **where, content_index=0, **about)

    def _close_message(self) -> None:
        if self._message is None:
            return
        item = self._message.item
        part = item["content"][-1]
        if part["type"] == "refusal":
            self._part("refusal.done", refusal=part["refusal"])
        else:
            self._part("output_text.done", text=part["text"], logprobs=[])
        self._part("content_part.done", part=dict(part))
        item["status"] = "completed"
        place = self._message.place
        self._say("response.output_item.done", output_index=place, item=dict(item))
        self._message = None

    def _completed(self, response: ImageResponse) -> None:
        for index, failure in self._failures.items():
            self._ended(self._call(index), _failed(failure))
        self._spoken(response)
        self._spent(response)
        self._end("completed")

    def _spoken(self, response: ImageResponse) -> None:
        if response.text and not self._words_said:
            self._words(response.text, refusal=False)

    def _spent(self, response: ImageResponse) -> None:
        self.response["usage"] = usage.of_conversation(response.usage)
        pictures = usage.of_pictures(response.usage)
        if pictures is not None:
            searches = {"web_search": {"num_requests": 0}}
            self.response["tool_usage"] = {"image_gen": pictures, **searches}

    def fail(self, error: ImagekitError, refusal: Refusal) -> bool:
        """The call ended in *error*, which a client may see as *refusal*.

        Whether that is an answer all the same: the model said something instead.
        """
        if error.response is not None:
            self._spoken(error.response)
            self._spent(error.response)
        in_words = isinstance(error, ContentRejectedError) and error.code == "refusal"
        if in_words and not self._words_said:
            self._words(str(error), refusal=True)
        if self._words_said and isinstance(error, ContentRejectedError | NoImageError):
            self._fail_open(refusal.error)
            self._end("completed")
            return True
        if isinstance(error, ContentRejectedError):
            self._call(0)
            self._fail_open(refusal.error)
            self._end("completed")
            return False
        self.break_off(refusal, _CODES.get(refusal.status, "server_error"))
        return False

    def break_off(self, refusal: Refusal, code: str = "server_error") -> None:
        """The call ended, and with it everything that was not done."""
        self._fail_open({**refusal.error, "code": refusal.code or code})
        self.response["error"] = {"code": code, "message": refusal.message}
        self._end("failed")

    def cancel(self) -> None:
        """The call was ended by whoever asked for it."""
        self.response["status"] = "cancelled"
        for call in self._calls.values():
            if call.item["status"] != "completed":
                call.item["status"] = "failed"
        if self._message is not None:
            self._message.item["status"] = "incomplete"

    def _fail_open(self, error: Mapping[str, Any]) -> None:
        for call in self._calls.values():
            if call.item["status"] not in ("completed", "failed"):
                self._ended(call, {"status": "failed", "result": None, "error": dict(error)})

    def _end(self, how: str) -> None:
        self._close_message()
        self.response["status"] = how
        self.response["completed_at"] = int(time.time()) if how == "completed" else None

    def close(self) -> None:
        """Tell how it ended; the last event."""
        # There is no event for the cancelled: the response in it says that it is.
        how = self.response["status"]
        self._about("failed" if how == "cancelled" else how)


def _failed(failure: ImageFailure) -> dict[str, Any]:
    refused = failure.kind == "refused"
    details = {"moderation_stage": failure.stage, "categories": list(failure.categories)}
    return {
        "status": "failed",
        "result": None,
        "error": {
            "code": "moderation_blocked" if refused else failure.code or "server_error",
            "message": told(failure.reason),
            "type": "image_generation_user_error" if refused else "server_error",
            **({"moderation_details": details} if refused else {}),
        },
    }
