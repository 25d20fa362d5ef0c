"""What the server is asked: a request in the words of its own job API."""

from __future__ import annotations

import base64
from typing import Any

from pydantic import BaseModel, Field, FiniteFloat, PositiveInt

from imagekit import ImageInput, ImageRequest, UnsupportedRequestError
from imagekit.provider import facts, options

FIELDS = ("model", "negative_prompt", "seed", "output_format", "output_compression")


def _at(path: str, **limits: Any) -> Any:
    return Field(default=None, serialization_alias=path, **limits)


class Options(BaseModel):
    """What only this server knows; each stands on the wire where its alias says.

    `lora` is a multiplier for each path below the server's own folder of them; `hires_…` asks for
    a second pass at a larger size.
    """

    steps: int | None = _at("sample_params.sample_steps", ge=1, le=100)
    sampler: str | None = _at("sample_params.sample_method")
    scheduler: str | None = _at("sample_params.scheduler")
    flow_shift: FiniteFloat | None = _at("sample_params.flow_shift")
    cfg: FiniteFloat | None = _at("sample_params.guidance.txt_cfg", ge=0)
    guidance: FiniteFloat | None = _at("sample_params.guidance.distilled_guidance")
    strength: FiniteFloat | None = _at("strength", ge=0, le=1)
    clip_skip: int | None = None
    lora: dict[str, FiniteFloat] | None = None
    hires_upscaler: str | None = _at("hires.upscaler")
    hires_scale: FiniteFloat | None = _at("hires.scale", gt=0)
    hires_steps: PositiveInt | None = _at("hires.steps")
    hires_strength: FiniteFloat | None = _at("hires.denoising_strength", gt=0, le=1)
    vae_tiling: bool | None = _at("vae_tiling_params.enabled")
    embed_image_metadata: bool | None = None


def body(request: ImageRequest) -> dict[str, Any]:
    """The job that *request* asks for."""
    if request.state is not None:
        raise UnsupportedRequestError("the server keeps no state: give the picture in images=")
    wire = {"prompt": request.prompt or "", "batch_count": request.n, **_inputs(request)}
    wire |= {name: value for name in FIELDS if (value := getattr(request, name)) is not None}
    wire |= dict(zip(("width", "height"), request.pixels or (), strict=False))
    own = options(request, Options)
    for path, value in own.model_dump(by_alias=True, exclude_none=True).items():
        *outer, last = path.split(".")
        place = wire
        for name in outer:
            # Whatever is asked of a second pass asks for it.
            place = place.setdefault(name, {"enabled": True} if name == "hires" else {})
        place[last] = value
    if own.lora is not None:
        wire["lora"] = [{"path": path, "multiplier": by} for path, by in own.lora.items()]
    return wire


def asked_of(request: ImageRequest) -> dict[str, str]:
    """What of *request* the server passes over in silence where it knows no such thing."""
    own = options(request, Options)
    said = {"model": request.model, "sampler": own.sampler, "scheduler": own.scheduler}
    return {name: value for name, value in said.items() if value}


def _inputs(request: ImageRequest) -> dict[str, Any]:
    """The first source is what is edited; all others are looked at, as references are."""
    if strange := {one.role for one in request.images} - {"source", "reference"}:
        raise UnsupportedRequestError(f"a picture is a source or a reference, not {min(strange)!r}")
    first = next((one for one in request.images if one.role == "source"), None)
    wire: dict[str, Any] = {}
    if first is not None:
        wire["init_image"], found = _spelt(first), facts(first.data or b"")
        sides = (found.width or 0, found.height or 0) if found else (0, 0)
        # Else the server would crop it to its own usual size. These are the limits that it tells.
        if min(sides) >= 64 and max(sides) <= 4096:
            wire["width"], wire["height"] = sides
    if others := [_spelt(one) for one in request.images if one is not first]:
        wire["ref_images"] = others
    if request.mask is not None:
        if first is None:
            raise UnsupportedRequestError("a mask needs a picture with the role source")
        wire["mask_image"] = _spelt(request.mask.image)
    return wire


def _spelt(given: ImageInput) -> str:
    return base64.b64encode(given.data or b"").decode()
