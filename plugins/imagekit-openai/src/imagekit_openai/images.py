"""The provider `openai-images`: /images/generations, /images/edits, and the retired /variations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from imagekit import (
    Image,
    ImageFailure,
    ImageReady,
    ImageRequest,
    ImageResponse,
    PartialImage,
    TruncatedStreamError,
    UnsupportedRequestError,
)
from imagekit.provider import (
    Blob,
    Capabilities,
    Config,
    Effects,
    Flow,
    HttpRequest,
    HttpResponse,
    Operation,
    emit,
    hookimpl,
    notice,
    open_stream,
    send,
    split,
)

from . import _images_request as wire
from ._account import Account
from ._events import emulated, next_event, read
from ._models import AS_OF, IMAGE_MODEL, MODELS, SOURCE, lifecycle, parameters, size_rule
from ._readings import SvgTokens, Tokens, moment, rate_limits, request_ids, usage
from ._refusals import error_from, error_of, judge

# Frames and markup are not previewed.
WHOLE = ("gif", "svg")


class _Datum(BaseModel):
    """Theirs to change: only what is read, and nothing of it required."""

    b64_json: Blob | None = None
    url: str | None = None
    revised_prompt: str | None = None


class _Effective(BaseModel):
    """The values that took effect, as the wire echoes them."""

    background: str | None = None
    output_format: str | None = None
    quality: str | None = None
    size: str | None = None
    safety_identifier: str | None = None
    usage: Tokens | None = None
    svg_usage: SvgTokens | None = None

    def echo(self) -> dict[str, Any]:
        """What the server says of the picture."""
        kept = {"background", "output_format", "quality", "size"}
        return self.model_dump(include=kept, exclude_none=True)


class _Body(_Effective):
    created: float | None = None
    data: list[_Datum] | None = None
    error: Mapping[str, Any] | str | None = None


class _Event(_Effective):
    type: str = ""
    b64_json: Blob | None = None
    partial_image_index: int = 0
    created_at: float | None = None


def decode(response: HttpResponse, request: ImageRequest) -> ImageResponse:
    """A whole answer as an `ImageResponse`, one slot for each entry of its `data`."""
    if not response.ok:
        raise error_from(response)
    body = read(_Body, response.json())
    if body.error:
        raise error_of({"message": body.error} if isinstance(body.error, str) else body.error)
    slots: list[Image | ImageFailure] = []
    for datum in body.data or ():
        if datum.b64_json is None and not datum.url:
            slots.append(ImageFailure(kind="missing", reason="the entry holds no picture"))
            continue
        slots.append(
            Image(
                data=bytes(datum.b64_json) if datum.b64_json is not None else None,
                url=datum.url,
                revised_prompt=datum.revised_prompt,
                echo=body.echo(),
            )
        )
    return _finished(slots, body, body.created, response, request)


def _finished(
    slots: list[Image | ImageFailure],
    said: _Effective,
    created: float | None,
    response: HttpResponse,
    request: ImageRequest,
) -> ImageResponse:
    return ImageResponse(
        slots=tuple(slots),
        model=request.model or IMAGE_MODEL,
        usage=usage(said.usage, said.svg_usage),
        created=moment(created),
        request_ids=request_ids(response.headers),
        rate_limits=rate_limits(response.headers),
        metadata={"safety_identifier": said.safety_identifier} if said.safety_identifier else {},
    )


def streamed(request: ImageRequest, opened: HttpResponse) -> Flow:
    """The previews and the picture of an opened stream."""
    while (found := (yield from next_event())) is not None:
        event = read(_Event, found)
        if event.b64_json is None:
            continue
        image = Image(data=bytes(event.b64_json), echo=event.echo())
        if event.type.endswith(".partial_image"):
            yield from emit(PartialImage(step=event.partial_image_index, image=image))
        elif event.type.endswith(".completed"):
            yield from emit(ImageReady(image=image))
            return _finished([image], event, event.created_at, opened, request)
    raise TruncatedStreamError("the stream ended before the picture was done")


class OpenAIImages:
    """The Images API of OpenAI, or of a server that speaks it."""

    family = "openai"
    models = MODELS
    judge = staticmethod(judge)

    def __init__(self, account: Account) -> None:
        self._account = account
        self.endpoint = account.endpoint

    def capabilities(self, model: str | None) -> Capabilities:
        """What *model* can do, as far as it is known; another server's model is unknown."""
        # Of another server's own default nothing is known.
        named = model or (IMAGE_MODEL if self._account.at_home else "")
        model = model or IMAGE_MODEL
        settings, at_home = self._account.settings, self._account.at_home
        native: frozenset[Operation] = frozenset({"generate", "edit"})
        vary: frozenset[Operation] = frozenset({"variation"})
        return Capabilities(
            model=model,
            operations=native | vary if settings.variations else native,
            emulates=frozenset() if settings.variations else vary,
            streaming=self._account.settings.streaming,
            max_images=10,
            max_images_streamed=1,
            max_inputs=16,
            inputs=frozenset({"bytes", "url", "file"} if at_home else {"bytes"}),
            mask=settings.mask,
            size=size_rule(named),
            parameters=parameters(),
            lifecycle=lifecycle(model),
            source=SOURCE,
            as_of=AS_OF,
        )

    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        """Ask for the pictures; watch them come where that can be."""
        if request.state is not None:
            raise UnsupportedRequestError(
                "the Images API keeps no state: pass the earlier picture in images=, or continue "
                "with the provider that gave the state"
            )
        if request.output_format == "svg" and request.n > 1:
            return (yield from split(request, 1, self._one))
        if stream and request.output_format not in WHOLE:
            asked = yield from self._request(request, stream=True)
            opened = yield from open_stream(asked)
            # Some servers answer a plain body to a request for a stream.
            if opened.streamed:
                return (yield from streamed(request, opened))
            return decode(opened, request)
        return (yield from self._one(request))

    def _one(self, request: ImageRequest) -> Flow:
        asked = yield from self._request(request, stream=False)
        return decode((yield from send(asked)), request)

    def _request(self, request: ImageRequest, *, stream: bool) -> Effects[HttpRequest]:
        name = self._account.settings.image_field
        if request.operation == "generate":
            return wire.generation(request, stream=stream)
        if request.operation == "variation":
            if self._account.settings.variations:
                return wire.variation(request, image_field=name)
            request = request.model_copy(update={"prompt": wire.VARIATION})
            yield from notice(emulated(wire.VARIATION))
        return wire.edit(request, stream=stream, image_field=name)


@hookimpl
def imagekit_provider(config: Config) -> OpenAIImages:
    """Build the provider."""
    return OpenAIImages(Account(config))
