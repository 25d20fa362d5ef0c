"""Pipelines that draw nothing: they note how they were called, and give out what a test has."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, ClassVar

from PIL import Image as Pillow

from imagekit.testing import Asked, Host, Reply, Scene

STEPS = 8


class Latents:
    """What stands for a tensor: it knows its shape, and what was done to it."""

    def __init__(self, shape: tuple[int, ...], did: tuple[Any, ...] = ()) -> None:
        self.shape, self.did = shape, did

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def _then(self, *what: Any) -> Latents:
        return Latents(self.shape, (*self.did, what))

    def movedim(self, one: int, other: int) -> Latents:
        return self._then("movedim", one, other)

    def new_tensor(self, values: Any) -> Any:
        return values

    def to(self, what: Any) -> Latents:
        return self._then("to", what)

    def __matmul__(self, other: Any) -> Latents:
        return self._then("@", other)

    def __add__(self, other: Any) -> Latents:
        return self._then("+", other)

    def __truediv__(self, other: Any) -> Latents:
        return self._then("/", other)


class Generator:
    """A source of random numbers, as far as it can be told apart from others."""

    def __init__(self, seed: int | None) -> None:
        self.seed = 1234 if seed is None else seed

    def initial_seed(self) -> int:
        return self.seed


class Scheduler:
    """A way to take the steps."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config
        self.compatibles = [OtherScheduler, Scheduler]

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Scheduler:
        return cls(config)


class OtherScheduler(Scheduler):
    """Another one."""


@dataclass
class Fake:
    """What the pipelines for words, pictures and masks share.

    `drawn` gives a picture, or None for one that a checker objects to; `said` hears of each call,
    and `before` is called with the number of each step that is done.
    """

    drawn: Callable[[], Pillow.Image | None]
    said: Callable[[str, Mapping[str, Any]], object]
    before: Callable[[int], object] = lambda step: None
    channels: int = 4
    packed: bool = False
    config: Mapping[str, Any] = field(default_factory=lambda: {"scaling_factor": 0.18215})
    safety_checker: Any = None
    decoded: list[tuple[Any, ...]] = field(default_factory=list)

    vae_scale_factor: ClassVar[int] = 8
    default_sample_size: ClassVar[int] = 8

    def __post_init__(self) -> None:
        self.scheduler = Scheduler({"beta": 1})
        self.vae = SimpleNamespace(
            config=SimpleNamespace(**self.config), dtype="half", decode=self._decode
        )
        self.image_processor = SimpleNamespace(postprocess=self._pixels)
        self.num_timesteps = 0
        self.quiet = False

    def set_progress_bar_config(self, disable: bool) -> None:
        self.quiet = disable

    def _decode(self, latents: Latents, return_dict: bool) -> list[Latents]:
        return [latents._then("decode", return_dict)]

    def _pixels(self, latents: Latents, output_type: str) -> list[Pillow.Image]:
        self.decoded.append(latents.did)
        shade = len(self.decoded) * 9 % 256
        return [Pillow.new("RGB", latents.shape[:-3:-1], (shade, shade, shade))]

    def _unpack_latents(self, latents: Latents, high: int, wide: int, factor: int) -> Latents:
        return Latents((1, 16, high // factor, wide // factor), (("unpacked", high, wide, factor),))

    def _make(
        self,
        steps: int | None,
        size: tuple[int, int],
        callback: Callable[..., dict[str, Any]],
        generator: Generator,
        **values: Any,
    ) -> Any:
        name = type(self).__name__
        how = {"scheduler": type(self.scheduler).__name__, "quiet": self.quiet}
        self.said(name, {**values, "steps": steps, "size": size, "seed": generator.seed, **how})
        drawn = self.drawn()
        self.num_timesteps = steps or STEPS
        wide, high = (side // self.vae_scale_factor for side in size)
        shape = (1, wide * high, 64) if self.packed else (1, self.channels, high, wide)
        for step in range(self.num_timesteps):
            self.before(step)
            known = {"latents": Latents(shape)}
            assert callback(self, step, 1000 - step, known) is known
        flags = [drawn is None] if drawn is None or self.safety_checker else None
        return SimpleNamespace(images=[drawn], nsfw_content_detected=flags)


class FakeText(Fake):
    """Draws from words."""

    def __call__(
        self,
        prompt: str,
        height: int = 64,
        width: int = 64,
        num_inference_steps: int | None = None,
        guidance_scale: float = 7.5,
        negative_prompt: str | None = None,
        generator: Any = None,
        callback_on_step_end: Any = None,
    ) -> Any:
        said = {"prompt": prompt, "guidance": guidance_scale, "negative": negative_prompt}
        size = width, height
        return self._make(num_inference_steps, size, callback_on_step_end, generator, **said)


class FakeImage(Fake):
    """Draws over a picture, in its size."""

    def __call__(
        self,
        prompt: str,
        image: Pillow.Image,
        strength: float = 0.8,
        num_inference_steps: int | None = None,
        guidance_scale: float = 7.5,
        negative_prompt: str | None = None,
        generator: Any = None,
        callback_on_step_end: Any = None,
    ) -> Any:
        said = {"prompt": prompt, "guidance": guidance_scale, "negative": negative_prompt}
        said |= {"image": image, "strength": strength}
        return self._make(num_inference_steps, image.size, callback_on_step_end, generator, **said)


class FakeInpaint(Fake):
    """Draws over a part of a picture."""

    def __call__(
        self,
        prompt: str,
        image: Pillow.Image,
        mask_image: Pillow.Image,
        height: int = 64,
        width: int = 64,
        strength: float = 1.0,
        num_inference_steps: int | None = None,
        guidance_scale: float = 7.5,
        negative_prompt: str | None = None,
        generator: Any = None,
        callback_on_step_end: Any = None,
    ) -> Any:
        said = {"prompt": prompt, "guidance": guidance_scale, "negative": negative_prompt}
        said |= {"image": image, "mask": mask_image, "strength": strength}
        size = width, height
        return self._make(num_inference_steps, size, callback_on_step_end, generator, **said)


class OutOfMemoryError(RuntimeError):
    """As torch has one."""


class PipelineHost(Host):
    """The three pipelines of a model, in this process."""

    absent: ClassVar[Mapping[str, str]] = {
        "authentication": "nobody asks who calls a function",
        "permission": "nobody asks who calls a function",
        "rate_limit": "calls wait for their turn",
        "quota": "it costs nothing",
        "resume": "the work ends with its call",
    }
    partly: ClassVar[bool] = True

    @property
    def settings(self) -> Mapping[str, Any]:
        """Pipelines that are made already, and random numbers without torch."""
        kinds = {"text": FakeText, "image": FakeImage, "inpaint": FakeInpaint}
        made = {name: kind(self._drawn, self._noted) for name, kind in kinds.items()}
        return {"pipelines": made, "generator": Generator}

    def answer(self, asked: Asked, scene: Scene) -> Reply:
        """Nothing is sent here."""
        raise AssertionError(f"a pipeline has no address, and {asked.url} was asked")

    def _noted(self, name: str, values: Mapping[str, Any]) -> None:
        self.note(name, **values)

    def _drawn(self) -> Pillow.Image | None:
        with self._lock:
            match self.scene.trouble:
                case None:
                    [data] = self.scene.take()
                case "moderation":
                    data = None
                case "invalid":
                    raise ValueError("`height` and `width` have to be divisible by 8")
                case _:
                    raise OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return None if data is None else Pillow.open(io.BytesIO(data)).convert("RGB")
