"""The provider `openai-responses`: the image_generation tool of the Responses API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from imagekit import ImageRequest, ImageResponse
from imagekit.provider import (
    Capabilities,
    Config,
    Effects,
    Flow,
    HttpRequest,
    HttpResponse,
    hookimpl,
    notice,
    open_stream,
    send,
)

from . import _jobs
from ._account import Account
from ._dialect import Dialect
from ._events import is_stream
from ._images_request import VARIATION
from ._lenient import Wanted, read
from ._notices import emulated
from ._refusals import error_from
from ._responses_answer import Body, decode
from ._responses_request import encode
from ._responses_stream import streamed

imagekit_contract = 1


class OpenAIResponses(Dialect):
    """The Responses API of OpenAI, or of a server that speaks it."""

    def capabilities(self, model: str | None) -> Capabilities:
        """What the image model *model* can do through the tool, as far as it is known."""
        return self._known(model, "responses")

    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        """Ask for one picture; watch it come where that is wanted."""
        request = self._meant(request)
        yield from self._warned(request, stream=stream)
        if request.operation == "variation":
            yield from notice(emulated(VARIATION))
        asked = self._encoded(request, stream=stream)
        if request.detach:
            return (yield from _jobs.begun(request, asked, stream=stream))
        answer = yield from (open_stream(asked) if stream else send(asked))
        if not answer.ok:
            raise error_from(answer)
        if is_stream(answer):
            return (yield from streamed(request, answer))
        return decode(read(Body, answer.json()), answer, request)

    def resume(self, handle: Mapping[str, Any]) -> Flow:
        """Finish a response that is made in the background, or a batch of them."""
        return super().resume(handle) if "batch_id" in handle else _jobs.resumed(handle)

    def cancel(self, handle: Mapping[str, Any]) -> Effects[None]:
        """End a response that is made in the background, or a batch of them."""
        if isinstance(id := handle.get("response_id"), str):
            return _jobs.cancelled(id)
        return super().cancel(handle)

    def delete(self, handle: Mapping[str, Any]) -> Effects[None]:
        """Delete a response, what a batch left, or a file."""
        if isinstance(id := handle.get("response_id"), str):
            return _jobs.delete(id)
        return super().delete(handle)

    def _line(self, request: ImageRequest) -> HttpRequest:
        return encode(request.model_copy(update={"detach": False}), stream=False)

    def _read(self, body: Any, head: HttpResponse, wanted: Wanted) -> ImageResponse:
        return decode(read(Body, body), head, wanted)

    def _encoded(self, request: ImageRequest, *, stream: bool) -> HttpRequest:
        site = self._account.azure
        if site is None:
            return encode(request, stream=stream)
        return site.sent(encode(site.responses(request), stream=stream), request)


@hookimpl
def imagekit_provider(config: Config) -> OpenAIResponses:
    """Build the provider."""
    return OpenAIResponses(Account(config))
