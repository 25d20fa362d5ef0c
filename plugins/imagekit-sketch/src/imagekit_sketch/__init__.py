"""The sketch provider: draws offline, without a key, the same picture for the same words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from PIL import Image as Pillow
from pydantic import BaseModel, Field

from imagekit import (
    Image,
    ImageInput,
    ImageReady,
    ImageRequest,
    ImageResponse,
    PartialImage,
    Progress,
    RequestError,
    State,
    UnsupportedRequestError,
)
from imagekit.provider import (
    Capabilities,
    Config,
    Endpoint,
    Flow,
    call,
    emit,
    hookimpl,
    options,
    settings,
    sleep,
    tables,
)

from ._formats import decode, encode
from ._painter import compose, paint_over, render, to_svg, vary
from ._scene import Scene

imagekit_contract = 1
MODEL = "sketch-1"
TABLES = tables("imagekit_sketch", "capabilities.toml")
SIDE = 1024
FRAMES = 9


class Options(BaseModel):
    """What only this provider knows: `delay`, seconds to wait before each preview and picture."""

    delay: float = Field(default=0.0, ge=0, le=60)


class Settings(BaseModel):
    """What it is set up with: nothing."""


class Job(BaseModel):
    """One picture to draw."""

    prompt: str
    seed: int
    width: int
    height: int
    format: str
    compression: int | None
    transparent: bool

    def scene(self, size: tuple[int, int] | None = None) -> Scene:
        """What the words come to, at *size* pixels where that is not the whole picture."""
        width, height = size or (self.width, self.height)
        return compose(
            self.prompt, seed=self.seed, width=width, height=height, transparent=self.transparent
        )

    def draw(self, base: Pillow.Image | None, mask: Pillow.Image | None, progress: float) -> bytes:
        """The picture's bytes, as far as *progress* (1 is done)."""
        if self.format == "svg" and progress == 1:
            return to_svg(self.scene())
        stages = [progress]
        if self.format == "gif" and progress == 1:
            stages = [(step + 1) / FRAMES for step in range(FRAMES)]
        frames = [self._frame(base, mask, stage) for stage in stages]
        return encode(
            frames,
            media="png" if self.format == "svg" else self.format,
            compression=self.compression,
            transparent=self.transparent,
            caption=self.prompt,
        )

    def _frame(
        self, base: Pillow.Image | None, mask: Pillow.Image | None, progress: float
    ) -> Pillow.Image:
        if base is not None and not self.prompt:
            return vary(base, seed=self.seed)
        if base is None:
            return render(self.scene(), progress=progress)
        if mask is None:
            return paint_over(render(self.scene(), progress=progress), base, None)
        # What may change is all there is to draw in.
        mask = mask.resize(base.size, Pillow.Resampling.NEAREST)
        left, top, right, bottom = mask.getbbox() or (0, 0, *base.size)
        drawn = render(self.scene((right - left, bottom - top)), progress=progress)
        sheet = Pillow.new("RGBA", base.size)
        sheet.paste(drawn, (left, top))
        sheet.info.update(drawn.info)
        return paint_over(sheet, base, mask)


class Sketch:
    """Draws in this process; makes no requests."""

    endpoint: Endpoint | None = None
    models = (MODEL,)

    def capabilities(self, model: str | None) -> Capabilities:
        """What it draws; there is one model."""
        return TABLES.of(MODEL, "sketch")

    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        """Draw each picture, with as many previews as were asked for."""
        if request.model not in (None, MODEL):
            raise UnsupportedRequestError(f"sketch has one model, {MODEL!r}, not {request.model!r}")
        said = options(request, Options)
        base = yield from call(partial(_base, request))
        mask = yield from call(partial(_mask, request))
        first = _job(request, base)
        previews = (request.partial_images or 0) if stream else 0
        slots = []
        for index in range(request.n):
            job = first.model_copy(update={"seed": first.seed + index})
            for step in range(previews):
                yield from sleep(said.delay)
                progress = (step + 1) / (previews + 1)
                data = yield from call(partial(job.draw, base, mask, progress))
                done = index * (previews + 1) + step + 1
                yield from emit(Progress(step=done, total=request.n * (previews + 1)))
                yield from emit(PartialImage(index=index, step=step, image=Image(data=data)))
            yield from sleep(said.delay)
            data = yield from call(partial(job.draw, base, mask, 1.0))
            slots.append(Image(data=data, seed=job.seed))
            yield from emit(ImageReady(index=index, image=slots[-1]))
        state = State(provider="sketch", payload=first.model_dump())
        return ImageResponse(slots=tuple(slots), model=MODEL, state=state)


def _base(request: ImageRequest) -> Pillow.Image | None:
    """The picture to draw over, at the size of the result: an input, or the state's."""
    if request.images:
        base = _pinned(_read(request.images[0]), request.images[1:])
    elif request.state is not None:
        base = render(_earlier(request.state).scene())
    else:
        return None
    return base.resize(request.pixels) if request.pixels else base


def _pinned(first: Pillow.Image, others: Sequence[ImageInput]) -> Pillow.Image:
    """The *first* picture, with the *others* small along its lower edge, in their order."""
    if not others:
        return first
    base = first.convert("RGBA")
    side = min(base.width // len(others), base.height // 4) or 1
    for place, other in enumerate(others):
        small = _read(other).resize((side, side)).convert("RGBA")
        base.alpha_composite(small, (place * side, base.height - side))
    base.info.update(first.info)
    return base


def _mask(request: ImageRequest) -> Pillow.Image | None:
    if request.mask is None:
        return None
    return _read(request.mask.image).convert("L")


def _read(given: ImageInput) -> Pillow.Image:
    try:
        return decode(given.data or b"")
    except ValueError as error:
        raise RequestError(f"the picture cannot be drawn over: {error}") from error


def _earlier(state: State) -> Job:
    if state.provider != "sketch":
        raise RequestError(f"the state is {state.provider}'s, and only it can continue it")
    payload: Mapping[str, object] = state.payload
    return Job.model_validate(payload)


def _job(request: ImageRequest, base: Pillow.Image | None) -> Job:
    kind = request.output_format or "png"
    if kind == "svg" and base is not None:
        kind = "png"
    width, height = request.pixels or (base.size if base is not None else (SIDE, SIDE))
    return Job(
        prompt=request.prompt or "",
        seed=request.seed or 0,
        width=width,
        height=height,
        format=kind,
        compression=request.output_compression,
        transparent=request.background == "transparent" and kind != "jpeg",
    )


@hookimpl
def imagekit_provider(config: Config) -> Sketch:
    """Build the provider; it has no settings."""
    settings(config, Settings)
    return Sketch()
