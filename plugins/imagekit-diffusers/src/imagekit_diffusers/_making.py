"""Owns what is asked of a pipeline, and what becomes of its steps and its pictures."""

from __future__ import annotations

import io
import tomllib
from copy import copy
from dataclasses import dataclass
from importlib.resources import files
from inspect import signature
from typing import TYPE_CHECKING, Any

from PIL import Image as Pillow
from PIL import ImageOps

import imagekit as kit
from imagekit.provider import Say, Unheard

from ._studio import Studio, brief

if TYPE_CHECKING:
    from . import Options

# Seconds between two looks at whether somebody still waits for their turn.
LOOK = 1.0
# The sizes that capabilities.toml allows, for input pictures of others.
STEP, LEAST, MOST = 8, 16, 2048
# A mask keeps its edges, as it does in the core.
HARD = Pillow.Resampling.NEAREST
# What some arguments of a pipeline are called in a request and its options.
FEATURES = {"num_inference_steps": "steps", "guidance_scale": "guidance"}
FEATURES |= {"width": "size", "height": "size", "callback_on_step_end": "partial_images"}
THUMB = files(__package__).joinpath("previews.toml")


@dataclass
class Making:
    """One picture to make."""

    studio: Studio
    model: str
    request: kit.ImageRequest
    said: Options
    previews: int

    def __call__(self, say: Say) -> kit.ImageResponse:
        """Make it, and *say* what comes."""
        self.say, self.shown, self.size = say, 0, self.request.pixels
        pictures = [_read(one) for one in self.request.images]
        self.base: Pillow.Image | None = pictures[0] if pictures else None
        self.mask: Pillow.Image | None = None
        if self.base:
            self._fit(self.base)
        while not self.studio.turn.acquire(timeout=LOOK):
            say(kit.Queued())
        try:
            say(kit.Progress(message="the pipeline is made ready"))
            return kit.ImageResponse(slots=(self._slot(),), model=self.model)
        except (kit.ImagekitError, Unheard):
            raise
        except Exception as error:
            full = isinstance(error, MemoryError) or "out of memory" in str(error)
            wrong = isinstance(error, ValueError | TypeError | AttributeError)
            other = kit.InvalidRequestError if wrong else kit.ProviderError
            kind = kit.ProviderUnavailableError if full else other
            raise kind(f"the pipeline failed: {brief(error)}", billed="no") from error
        finally:
            self.studio.turn.release()

    def _fit(self, base: Pillow.Image) -> None:
        """Bring what goes in to the size of the result."""
        if self.size is None:
            scale = min(1.0, MOST / max(base.size))
            wide, high = (max(LEAST, round(side * scale / STEP) * STEP) for side in base.size)
            self.size = wide, high
            if self.size != base.size:
                self._lacks("size", f"the picture becomes {wide}x{high}, the nearest there is")
        self.base = base.resize(self.size)
        if self.request.mask:
            self.mask = _read(self.request.mask.image).convert("L").resize(self.size, HARD)

    def _slot(self) -> kit.Image | kit.ImageFailure:
        request, name = self.request, self.said.scheduler
        task = "inpaint" if self.mask else "image" if self.base else "text"
        # A copy, so that what a call sets is its own.
        pipe = copy(self.studio.pipeline(self.model, task))
        pipe.set_progress_bar_config(disable=True)
        if name:
            known = {one.__name__: one for one in pipe.scheduler.compatibles}
            if name not in known:
                there = ", ".join(sorted(known))
                raise kit.UnsupportedRequestError(f"no scheduler {name!r}; there are: {there}")
            pipe.scheduler = known[name].from_config(pipe.scheduler.config)
        generator = self.studio.generator(request.seed)
        came = pipe(**self._asked(pipe), generator=generator)
        if any(getattr(came, "nsfw_content_detected", None) or ()):
            why = "the pipeline's safety checker objects to the picture"
            return kit.ImageFailure(kind="refused", reason=why, stage="output", billed="no")
        kind, best = request.output_format or "png", request.output_compression
        data = _encoded(self._over(came.images[0]), kind, best)
        return kit.Image(data=data, seed=generator.initial_seed())

    def _asked(self, pipe: Any) -> dict[str, Any]:
        """What the pipeline is called with; what it does not take is told of, or refused."""
        who, takes = type(pipe).__name__, signature(pipe.__call__).parameters
        hard = {"prompt": self.request.prompt or "", "image": self.base, "mask_image": self.mask}
        wide, high = self.size or (None, None)
        soft: dict[str, Any] = {
            "width": wide,
            "height": high,
            **self.said.model_dump(by_alias=True),
        }
        soft |= {"callback_on_step_end": self._step}
        soft |= {"negative_prompt": self.request.negative_prompt}
        asked = {name: one for name, one in (hard | soft).items() if one is not None}
        for name in [name for name in asked if name not in takes]:
            del asked[name]
            if name in hard:
                raise kit.UnsupportedRequestError(f"{who} takes no {name}")
            # An input picture has its size, and brings it along.
            if not (self.base and name in ("width", "height")):
                self._lacks(FEATURES.get(name, name), f"{who} takes no {name}")
        if self.previews and getattr(pipe, "safety_checker", None):
            self.previews = 0
            self._lacks("partial_images", f"{who} has a checker that sees finished pictures only")
        return asked

    def _step(self, pipe: Any, step: int, time: Any, known: dict[str, Any]) -> dict[str, Any]:
        """What the pipeline calls after each step."""
        done, count = step + 1, pipe.num_timesteps
        self.say(kit.Progress(step=done, total=count))
        # Spread over the steps, and none after the last, for then comes the picture itself.
        parts = self.previews + 1
        if done == count or done * parts // count == step * parts // count:
            return known
        try:
            data = _encoded(self._over(_seen(pipe, known["latents"], self.size)))
        except Exception as error:  # the picture is worth more than a look at it
            self.previews = 0
            self._lacks("partial_images", f"this model's cannot be made: {brief(error)}")
            return known
        image = kit.Image(data=data)
        self.say(kit.PartialImage(step=self.shown, image=image))
        self.shown += 1
        return known

    def _over(self, picture: Pillow.Image) -> Pillow.Image:
        """*picture* where the mask says so, and elsewhere what was there, to the very pixel."""
        if not (self.base and self.mask):
            return picture
        base, mask = self.base.resize(picture.size), self.mask.resize(picture.size, HARD)
        return Pillow.composite(picture, base, mask)

    def _lacks(self, feature: str, detail: str) -> None:
        if self.request.unsupported == "error":
            raise kit.UnsupportedRequestError(detail)
        if self.request.unsupported == "adapt":
            kind: Any = "adjusted" if feature == "size" else "unsupported"
            notice = kit.Notice(kind=kind, feature=feature, detail=detail)
            self.say(kit.Noticed(notice=notice))


def _seen(pipe: Any, latents: Any, size: tuple[int, int] | None) -> Pillow.Image:
    """What *latents* show: by a rule of thumb where there is one, else decoded."""
    vae, factor = pipe.vae, pipe.vae_scale_factor
    if latents.ndim == 3:
        wide, high = size or (pipe.default_sample_size * factor,) * 2
        latents = pipe._unpack_latents(latents, high, wide, factor)
    scaled, shift = vae.config.scaling_factor, getattr(vae.config, "shift_factor", None) or 0
    thumb = tomllib.loads(THUMB.read_text()).get(str(scaled))
    if thumb and latents.shape[1] == 4:
        weights, added = map(latents.new_tensor, (thumb["weights"], thumb["added"]))
        pixels = (latents.movedim(1, -1) @ weights + added).movedim(-1, 1)
    else:
        pixels = vae.decode((latents / scaled + shift).to(vae.dtype), return_dict=False)[0]
    seen: Pillow.Image = pipe.image_processor.postprocess(pixels, output_type="pil")[0]
    return seen.resize((latents.shape[-1] * factor, latents.shape[-2] * factor))


def _read(given: kit.ImageInput) -> Pillow.Image:
    """An input as it is seen: upright, over white."""
    seen = ImageOps.exif_transpose(kit.Image(data=given.data).to_pil()).convert("RGBA")
    return Pillow.alpha_composite(Pillow.new("RGBA", seen.size, "white"), seen).convert("RGB")


def _encoded(picture: Pillow.Image, kind: str = "png", best: int | None = None) -> bytes:
    """The picture as a file; 100 is the *best* and largest, of a PNG only the largest."""
    how = {} if best is None else {"quality": best, "compress_level": 9 - best * 9 // 100}
    out = io.BytesIO()
    picture.save(out, kind, **how)
    return out.getvalue()
