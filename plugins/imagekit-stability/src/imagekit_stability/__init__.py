"""Stability's image API for imagekit: a form goes out, the bytes of one picture come back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, Field

from imagekit import (
    ContentRejectedError,
    Image,
    ImageFailure,
    ImageRequest,
    ImageResponse,
    Notice,
    ProtocolError,
    ProviderError,
    RequestError,
)
from imagekit.provider import (
    Capabilities,
    Config,
    Effects,
    Endpoint,
    Flow,
    HttpRequest,
    HttpResponse,
    Part,
    bearer,
    error_class,
    hookimpl,
    notice,
    options,
    retry_after,
    send,
    settings,
    tables,
)

imagekit_contract = 1
BASE_URL = "https://api.stability.ai/v2beta/stable-image"
NO_KEY = "no API key: set STABILITY_API_KEY, or pass api_key="
# Sent, and shown in the response, where a call names no model (2026-11-21).
MODEL = "sd3.5-large"
# How far an edit without a mask goes, where nobody says; their API wants to be told.
STRENGTH = 0.7
TABLES = tables("imagekit_stability", "capabilities.toml")
EDITS = TABLES.names("edits")
GENERATE = ("core", "ultra", "sd3")
WORDLESS = ("erase", "remove-background")
# What a model takes and the service that fills its masks does not.
UNFILLED = ("cfg_scale", "strength")


class Options(BaseModel):
    """What only this API knows; a field goes out where it is said, whichever the service."""

    style_preset: str | None = None
    cfg_scale: float | None = Field(default=None, ge=1, le=10)
    strength: float | None = Field(default=None, ge=0, le=1)
    grow_mask: int | None = Field(default=None, ge=0)
    creativity: float | None = Field(default=None, ge=0, le=1)
    search_prompt: str | None = None
    select_prompt: str | None = None
    left: int | None = Field(default=None, ge=0, le=2000)
    right: int | None = Field(default=None, ge=0, le=2000)
    up: int | None = Field(default=None, ge=0, le=2000)
    down: int | None = Field(default=None, ge=0, le=2000)


class Settings(BaseModel):
    """There are none: each is a typo."""


class Stability:
    """Stability's service, or a server that speaks as it does."""

    def __init__(self, config: Config) -> None:
        settings(config, Settings)
        ambient = config.env.get("STABILITY_API_KEY") if config.ambient else None
        key = config.api_key or ambient
        self.endpoint = Endpoint(config.base_url or BASE_URL, bearer(key), None if key else NO_KEY)

    @property
    def models(self) -> tuple[str, ...]:
        """The models that are known by name, and the services that edit."""
        return (*TABLES.names("models"), *EDITS)

    def capabilities(self, model: str | None) -> Capabilities:
        """What *model* can do; what a service for edits does is told by its name."""
        return TABLES.of(model or MODEL, "edits" if model in EDITS else "models")

    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        """Ask for the one picture."""
        if request.state is not None:
            raise RequestError("Stability keeps no state: pass the earlier picture in images=")
        service = yield from _service(request)
        if request.prompt and service in WORDLESS:
            detail = f"{service} takes no prompt"
            yield from notice(Notice(kind="unsupported", feature="prompt", detail=detail))
        said = options(request, Options).model_dump(exclude_none=True)
        for name in UNFILLED if service == "inpaint" and request.model != "inpaint" else ():
            if said.pop(name, None) is not None:
                detail = f"inpaint, which fills the mask, takes no {name}"
                yield from notice(Notice(kind="unsupported", feature=name, detail=detail))
        folder = "generate" if service in GENERATE else "edit"
        asked = HttpRequest(
            "POST",
            f"/{folder}/{service}",
            form=tuple(_form(request, service, said)),
            parts=tuple(_parts(request)),
            multipart=True,
            headers={
                "accept": "image/*",
                **({"stability-client-user-id": request.user} if request.user else {}),
            },
        )
        answer = yield from send(asked)
        model = service if folder == "edit" else request.model or MODEL
        return decoded(answer, model)


def _service(request: ImageRequest) -> Effects[str]:
    """The last part of the path: a service for edits, or one that generates."""
    model = request.model or MODEL
    if request.mask is not None and model not in EDITS:
        if request.model:
            about = {"wanted": model, "detail": "a mask is filled by the service inpaint"}
            yield from notice(Notice(kind="adjusted", feature="model", used="inpaint", **about))
        return "inpaint"
    if model in EDITS:
        return model
    return {"stable-image-core": "core", "stable-image-ultra": "ultra"}.get(model, "sd3")


def _form(request: ImageRequest, service: str, said: dict[str, Any]) -> Iterator[tuple[str, str]]:
    wire: dict[str, Any] = {
        "prompt": None if service in WORDLESS else request.prompt,
        "negative_prompt": request.negative_prompt,
        "seed": request.seed,
        "output_format": request.output_format,
        **said,
    }
    if service == "sd3":
        wire["model"] = request.model or MODEL
        wire["mode"] = "image-to-image" if request.images else "text-to-image"
    if service in GENERATE and request.images:
        wire.setdefault("strength", STRENGTH)
    elif service in GENERATE and request.aspect:
        wire["aspect_ratio"] = request.size
    yield from ((name, str(value)) for name, value in wire.items() if value is not None)


def _parts(request: ImageRequest) -> Iterator[Part]:
    named = [("image", one) for one in request.images]
    named += [("mask", request.mask.image)] if request.mask else []
    for name, one in named:
        kind = one.media_type or "application/octet-stream"
        yield Part(name, one.blob or b"", one.filename, kind)


def decoded(answer: HttpResponse, model: str) -> ImageResponse:
    """The picture in *answer*, or what stands in its place; its facts are in the headers."""
    if not answer.ok:
        raise error(answer)
    about: dict[str, Any] = {"model": model, "request_ids": _ids(answer)}
    reason = answer.headers.get("finish-reason", "SUCCESS").upper()
    if reason == "CONTENT_FILTERED":
        # What comes with it is blurred: never the result.
        refused = ImageFailure(
            kind="refused", reason="the picture was filtered", code=reason, stage="output"
        )
        return ImageResponse(slots=(refused,), **about)
    if reason != "SUCCESS":
        failed = ImageFailure(kind="failed", reason=f"it ended in {reason}", code=reason)
        return ImageResponse(slots=(failed,), **about)
    seed = answer.headers.get("seed", "")
    known = seed.isascii() and seed.isdigit() and len(seed) < 20
    image = Image(data=answer.blob, seed=int(seed) if known else None)
    if image.facts is None:
        raise ProtocolError(f"expected a picture, got {answer.media_type or 'nothing'}")
    return ImageResponse(slots=(image,), **about)


def error(answer: HttpResponse) -> ProviderError:
    """An answer that is no success, as the error that says whose fault it is."""
    try:
        said = answer.json()
    except ProtocolError:
        said = {}
    said = said if isinstance(said, dict) else {}
    listed = said.get("errors")
    words = [str(one) for one in listed] if isinstance(listed, list) else []
    name = str(said.get("name") or "") or None
    message = "; ".join(words) or name or f"Stability answered {answer.status}"
    known: dict[str, Any] = {
        "status": answer.status,
        "code": name,
        "request_id": next(iter(_ids(answer)), None) or (str(said.get("id") or "") or None),
        "retry_after": retry_after(answer.headers),
    }
    if name == "content_moderation":
        return ContentRejectedError(message, stage="input", **known)
    return error_class(answer.status)(message, **known)


def _ids(answer: HttpResponse) -> tuple[str, ...]:
    found = answer.headers.get("x-request-id")
    return (found,) if found else ()


@hookimpl
def imagekit_provider(config: Config) -> Stability:
    """Build the provider."""
    return Stability(config)
