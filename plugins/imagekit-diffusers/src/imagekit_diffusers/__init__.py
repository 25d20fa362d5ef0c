"""Diffusers pipelines for imagekit: pictures made in this process, with a preview for each step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any, Literal

from pydantic import BaseModel, Field

from imagekit import ConfigurationError, ImageRequest, RequestError
from imagekit import provider as door

from ._making import Making
from ._studio import Studio

imagekit_contract = 1
TABLES = door.tables("imagekit_diffusers", "capabilities.toml")
NEEDS = ("torch", "diffusers", "transformers")
REMEDY = (
    "pip install 'imagekit-diffusers[torch]' (without a GPU, with torch from PyTorch's own index "
    "for the CPU, which is smaller)"
)


class Options(BaseModel):
    """What only this provider knows of a call; None is what the pipeline does by itself.

    * `steps`; `guidance`: how closely it keeps to the words; `strength`: how much of an input
      picture is made anew, from 0.01 to 1 (all of it).
    * `scheduler`: the name of a class of diffusers, such as "EulerDiscreteScheduler".

    They are dumped as a pipeline calls them.
    """

    steps: int | None = Field(None, ge=1, le=1000, serialization_alias="num_inference_steps")
    guidance: float | None = Field(None, ge=0, le=100, serialization_alias="guidance_scale")
    strength: float | None = Field(None, ge=0.01, le=1)
    scheduler: str | None = Field(None, pattern=r"^\w+Scheduler$", exclude=True)


class Settings(BaseModel):
    """How the provider is set up.

    * `model`: a repository's id or a folder, where a call names none.
    * `pipelines`: those of that model which are made already, by what they start from.
    * `device`, `dtype`: None is a GPU and bfloat16 where there is one, else the CPU and float32.
    * `keep`: how many models stay loaded; `download`: whether one may be fetched; `load`: what
      else `from_pretrained` is given.
    * `generator`: what makes a source of random numbers, as torch's, from a seed or from None.
    """

    model: str | None = None
    pipelines: dict[Literal["text", "image", "inpaint"], Any] = {}
    device: str | None = None
    dtype: Literal["float32", "float16", "bfloat16"] | None = None
    keep: int = Field(1, ge=1)
    download: bool = True
    load: Mapping[str, Any] = {}
    generator: Callable[[int | None], Any] | None = None


class Diffusers:
    """Makes pictures in this process, one at a time; makes no requests."""

    endpoint: door.Endpoint | None = None

    def __init__(self, said: Settings) -> None:
        lacks = ", ".join(name for name in NEEDS if find_spec(name) is None)
        if lacks and not said.pipelines:
            self.endpoint = door.Endpoint("", missing=f"{lacks}: not installed; {REMEDY}")
        self._usual = said.model or ("given" if said.pipelines else None)
        self._studio = Studio(said, self._usual)
        self.models = (self._usual,) if self._usual else ()

    def capabilities(self, model: str | None) -> door.Capabilities:
        """What pipelines can do; the same of each, for what is behind a name is seen on loading."""
        return TABLES.of(model or self._usual, "diffusers")

    def flow(self, request: ImageRequest, *, stream: bool) -> door.Flow:
        """Make the picture in a thread, and tell what it says."""
        if self.endpoint is not None:
            raise ConfigurationError(str(self.endpoint.missing))
        said, model = door.options(request, Options), request.model or self._usual
        if model is None:
            raise RequestError("which model? say model=: a repository's id, or a folder")
        if request.state is not None:
            raise RequestError("pipelines keep no state: give the picture itself, in images=")
        previews = (request.partial_images or 0) if stream else 0
        return (yield from door.watch(Making(self._studio, model, request, said, previews)))


@door.hookimpl
def imagekit_provider(config: door.Config) -> Diffusers:
    """Build the provider; without its libraries, it makes pictures by given pipelines only."""
    return Diffusers(door.settings(config, Settings))
