"""The Images API: generations, edits and variations, whole and streamed."""

from __future__ import annotations

import asyncio
import base64
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ..._events import Completed, Noticed, PartialImage
from ..._image import Image
from ..._input import ImageInput
from ..._mask import Mask
from ..._meant import request_of
from ..._media import extension
from ..._request import ImageRequest
from ..._response import ImageResponse, Notice
from .._access import ANYBODY
from .._following import EventStream, comments, frame
from .._log import Record, logger
from .._routes import Target
from .._runs import EndedError, Run, unless_gone
from .._service import Service, note, refusal_of, tell
from . import usage
from .answers import Answer
from .fields import Asked, Drawn, Edit, EditJson, Generation, Variation, flat
from .inputs import Inputs, form_of, texts
from .notices import header_of, notices_of, public
from .reading import json_of, nested, read
from .refusals import Refusal, RefusedError, invalid, not_found

QUALITIES = ("low", "medium", "high", "xhigh", "max")


class Images:
    """The endpoints below `/v1/images`."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def generations(self, request: Request) -> Any:
        """Pictures from a prompt."""
        asked = read(Generation, await json_of(request))
        asked.check()
        target = self._target(asked.model)
        own = {"style": asked.style} if asked.style else {}
        wanted, notices = self._wanted(asked, target, {}, own)
        return await self._answer(request, asked, wanted, target, notices, "image_generation")

    async def edits(self, request: Request) -> Any:
        """Pictures changed as a prompt says, from a form or from JSON."""
        owner = request.scope["imagekit"].owner
        inputs = Inputs(self._service.limits, self._service.kept, owner)
        asked: Edit
        if request.headers.get("content-type", "").lower().startswith("multipart/"):
            async with form_of(request, self._service.limits) as form:
                asked = read(Edit, nested(texts(form), Edit))
                pictures, mask, markup = await inputs.of_form(form)
        else:
            asked = read(EditJson, await json_of(request))
            pictures, mask, markup = await _referred(asked, inputs)
        if not pictures:
            raise invalid("Missing required parameter: 'image'.", "image", _MISSING)
        if mask is not None and markup is not None:
            raise invalid("'mask' and 'markup' cannot stand together.", "markup")
        asked.check()
        if mask is not None and asked.output_format == "gif":
            raise invalid("A mask is not supported for gif.", "mask")
        target = self._target(asked.model)
        images = [*pictures, *([markup] if markup is not None else [])]
        beside: dict[str, Any] = {"images": images}
        if mask is not None:
            beside["mask"] = Mask(mask, edit_where="transparent")
        wanted, notices = self._wanted(asked, target, beside, {})
        return await self._answer(request, asked, wanted, target, notices, "image_edit")

    async def variations(self, request: Request) -> Any:
        """Pictures like a given one; retired by OpenAI, and kept for who still asks for it."""
        owner = request.scope["imagekit"].owner
        inputs = Inputs(self._service.limits, self._service.kept, owner)
        async with form_of(request, self._service.limits) as form:
            asked = read(Variation, nested(texts(form), Variation))
            pictures, mask, markup = await inputs.of_form(form)
        if mask is not None or markup is not None:
            raise invalid("A variation takes one image and nothing beside it.", "mask")
        if len(pictures) != 1:
            raise invalid("Missing required parameter: 'image'.", "image", _MISSING)
        target = self._target(asked.model)
        said = {
            "size": asked.size if asked.size != "auto" else None,
            "user": asked.user or None,
            "model": target.model,
        }
        said = {name: value for name, value in said.items() if value is not None}
        wanted = request_of({**said, "images": pictures, "n": asked.n or 1})
        response = await self._service.made(request, wanted, target)
        return await self._whole(request, wanted, target, (), response, links=asked.links)

    async def result(self, request: Request) -> Response:
        """A picture that an answer gave a link to."""
        name = request.path_params["name"]
        data = await self._service.kept.get("link", name, ANYBODY)
        if data is None:
            raise not_found("There is no such picture, or no more.")
        headers = {
            "cache-control": "private, max-age=3600",
            "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
            "x-content-type-options": "nosniff",
        }
        kind = Image(data=data).media_type
        return Response(data, media_type=kind or "application/octet-stream", headers=headers)

    def _target(self, model: str | None) -> Target:
        try:
            return self._service.routes.target(model)
        except RefusedError as error:
            if error.refusal.code != "model_not_found":
                raise
            kind = "image_generation_user_error"
            message = f"The model '{(model or '')[:200]}' does not exist."
            raise RefusedError(Refusal(400, message, kind, "invalid_value", "model")) from None

    def _wanted(
        self, asked: Asked, target: Target, beside: Mapping[str, Any], own: Mapping[str, Any]
    ) -> tuple[ImageRequest, list[Notice]]:
        meant = {"openai": asked.own(), "openai-images": own}
        options, notices = heard(self._service, target, meant)
        said: dict[str, Any] = {**asked.wanted(), **beside}
        # What is not said is left to the defaults of the client.
        if target.model is not None:
            said["model"] = target.model
        if options:
            said["options"] = options
        wanted = request_of(said)
        self._service.check_urls(wanted, target)
        return wanted, notices

    async def _answer(
        self,
        request: Request,
        asked: Asked,
        wanted: ImageRequest,
        target: Target,
        notices: Sequence[Notice],
        kind: str,
    ) -> Any:
        if not asked.stream:
            response = await self._service.made(request, wanted, target)
            return await self._whole(request, wanted, target, notices, response, links=asked.links)
        record: Record = request.scope["imagekit"]
        note(record, wanted, target, prompts=self._service.log_prompts)
        run = Run()
        telling = _Telling(self._service, run, record, wanted, target, notices, kind)
        run.task = self._service.begin(telling.tell)
        begun = asyncio.create_task(run.begun(self._service.limits.hold))
        try:
            await unless_gone(begun, request.receive)
        except BaseException:
            run.task.cancel()
            raise
        return EventStream(run, self._service.limits)

    async def _whole(
        self,
        request: Request,
        wanted: ImageRequest,
        target: Target,
        notices: Sequence[Notice],
        response: ImageResponse,
        *,
        links: bool,
    ) -> Answer:
        data = []
        for image in response.images:
            datum = await self._linked(request, image) if links else _datum(image)
            if image.revised_prompt:
                datum["revised_prompt"] = image.revised_prompt
            data.append(datum)
        created = int(response.created.timestamp() if response.created else time.time())
        known = effective(response.images[0], wanted)
        svg = known["output_format"] == "svg"
        body = {
            "created": created,
            "data": data,
            **known,
            "usage": usage.of_pictures(response.usage),
            "svg_usage": usage.of_svg(response.usage) if svg else None,
            "safety_identifier": _identifier(wanted),
        }
        headers = header_of(notices_of(target, response, notices))
        return Answer(
            {name: value for name, value in body.items() if value is not None}, headers=headers
        )

    async def _linked(self, request: Request, image: Image) -> dict[str, Any]:
        if image.data is None:
            return {"url": image.url}
        name = f"{secrets.token_urlsafe(24)}.{extension(image.media_type)}"
        seconds = self._service.limits.linked
        try:
            await self._service.kept.put("link", name, ANYBODY, image.data, seconds)
        except Exception:  # the picture is made and paid for: it is answered all the same
            logger.exception("%s: a picture could not be kept", request.scope["imagekit"].id)
            return _datum(image)
        return {"url": f"{request.base_url}v1/images/results/{name}"}


_MISSING = "missing_required_parameter"


async def _referred(
    asked: EditJson, inputs: Inputs
) -> tuple[list[ImageInput], ImageInput | None, None]:
    pictures = [
        await inputs.referred(f"images[{place}]", url=one.image_url, file_id=one.file_id)
        for place, one in enumerate(asked.images)
    ]
    mask = None
    if asked.mask is not None:
        mask = await inputs.referred("mask", url=asked.mask.image_url, file_id=asked.mask.file_id)
    return pictures, mask, None


def heard(
    service: Service, target: Target, meant: Mapping[str, Mapping[str, Any]]
) -> tuple[dict[str, Any], list[Notice]]:
    """Of options by family or provider those that *target* reads, and notices of the others."""
    family = service.routes.family(target)
    options = {key: dict(of) for key, of in meant.items() if of and key in family}
    lost = [name for key, of in meant.items() if key not in family for name in flat(of)]
    detail = f"{target.provider} does not know it"
    return options, [Notice(kind="unsupported", feature=name, detail=detail) for name in lost]


def _datum(image: Image) -> dict[str, Any]:
    if image.data is None:
        return {"url": image.url}
    return {"b64_json": base64.b64encode(image.data).decode()}


def _identifier(wanted: ImageRequest) -> str | None:
    said = wanted.options.get("openai", {}).get("safety_identifier")
    return str(said) if said else wanted.user


def effective(image: Image, asked: Drawn | ImageRequest) -> dict[str, Any]:
    """What took effect, as far as anybody knows: from the bytes, the provider, the request."""
    echo = image.echo
    kind = (image.media_type or "").removeprefix("image/").removesuffix("+xml")
    background = echo.get("background") or asked.background
    quality = echo.get("quality") or asked.quality
    return {
        "background": background if background in ("transparent", "opaque") else None,
        "output_format": kind or None,
        "quality": quality if quality in QUALITIES else None,
        "size": f"{image.width}x{image.height}" if image.width and image.height else None,
    }


class _Telling:
    """One streamed call, told in the dialect's events."""

    def __init__(
        self,
        service: Service,
        run: Run,
        record: Record,
        wanted: ImageRequest,
        target: Target,
        notices: Sequence[Notice],
        kind: str,
    ) -> None:
        self._service, self._run, self._record = service, run, record
        self._wanted, self._target, self._kind = wanted, target, kind
        # They go out with the first event: before it, an error still has a status of its own.
        self._notices = [one.model_dump(exclude_none=True) for one in (*target.notices, *notices)]

    async def tell(self) -> None:
        """Make the call; say what happens as it does."""
        try:
            stream = self._service.client.stream(self._wanted, **self._service.how(self._target))
            async with stream:
                async for event in stream:
                    self._see(event)
            self._run.finish()
        except asyncio.CancelledError:
            self._fail(EndedError())
            raise
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        # Whoever has been sent a frame is told in another; everybody else, by a status.
        if self._run.open or self._run.frames:
            refusal = refusal_of(self._record, error)
            self._run.say(frame({"type": "error", "error": refusal.error}))
        self._run.finish(error)

    def _see(self, event: object) -> None:
        match event:
            case Noticed(notice=notice):
                self._notices.append(public(notice))
            case PartialImage(step=step, image=image):
                self._say(image, "partial_image", partial_image_index=step)
            case Completed(response=response):
                tell(self._record, response)
                spent = usage.of_pictures(response.usage, details=False) or usage.NOTHING
                named = _identifier(self._wanted)
                about = {"usage": spent, **({"safety_identifier": named} if named else {})}
                for image in response.images:
                    self._say(image, "completed", **about)

    def _say(self, image: Image, what: str, **about: Any) -> None:
        known = {name: value or "auto" for name, value in effective(image, self._wanted).items()}
        event = {
            "type": f"{self._kind}.{what}",
            **_datum(image),
            "created_at": int(time.time()),
            **known,
            **about,
        }
        said, self._notices = self._notices, []
        self._run.say(comments(said) + frame(event))
