"""What stands behind our server while cassettes are recorded: sketch, and whatever goes wrong.

`stubborn` draws as sketch does, but for some words it refuses, is busy, speaks, or breaks; and the
server around it cuts a stream short where the prompt says so.
"""

from __future__ import annotations

from typing import Any

import imagekit_sketch
from imagekit import (
    ContentRejectedError,
    PartialImage,
    ProviderUnavailableError,
    RateLimitError,
    Text,
)
from imagekit.provider import Config, Flow, emit, hookimpl
from imagekit.server import App

CATEGORIES = ("violence",)
WORDS = "I can't help with that."


class Stubborn:
    """Sketch, with moods."""

    endpoint = None

    def __init__(self, config: Config) -> None:
        self._sketch = imagekit_sketch.Sketch()
        self.models = self._sketch.models

    def capabilities(self, model: str | None) -> Any:
        return self._sketch.capabilities(model)

    def flow(self, request: Any, *, stream: bool) -> Flow:
        said = request.prompt or ""
        if "blocked" in said:
            raise ContentRejectedError(
                f"Your request was rejected by the safety system. safety_violations={CATEGORIES}.",
                stage="input",
                categories=CATEGORIES,
                billed="no",
            )
        if "unspeakable" in said:
            yield from emit(Text(text=WORDS, phase="refusal"))
            raise ContentRejectedError(WORDS, code="refusal")
        if "too many" in said:
            raise RateLimitError("Rate limit reached for images.", retry_after=7, billed="no")
        made = self._sketch.flow(request, stream=stream)
        if "breaks midway" not in said:
            return (yield from made)
        reply = None
        while True:
            effect = made.send(reply)
            reply = yield effect
            if isinstance(getattr(effect, "event", None), PartialImage):
                raise ProviderUnavailableError("The image engine went away.", billed="possibly")


@hookimpl
def imagekit_provider(config: Config) -> Stubborn:
    return Stubborn(config)


class Cutting:
    """The server, whose streams end after their first preview where a prompt is "cut short"."""

    def __init__(self, app: App) -> None:
        self._app = app

    def stop(self) -> None:
        self._app.stop()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        cuts = done = False

        async def heard() -> Any:
            nonlocal cuts
            message = await receive()
            cuts |= b"cut short" in message.get("body", b"")
            return message

        async def sent(message: Any) -> None:
            nonlocal done
            body = message.get("body", b"")
            if done:
                return
            await send(message)
            if cuts and b"partial_image" in body and b"b64" in body:
                done = True
                await send({"type": "http.response.body", "body": b""})

        await self._app(scope, heard, sent)
