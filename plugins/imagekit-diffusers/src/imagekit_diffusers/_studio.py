"""Owns the pipelines: loads them when they are wanted, and keeps a few."""

from __future__ import annotations

import gc
import random
from importlib import import_module
from threading import Lock
from typing import TYPE_CHECKING, Any

from imagekit import ConfigurationError

if TYPE_CHECKING:
    from . import Settings

# What diffusers calls the class that finds a model's pipeline, by what that starts from.
FINDERS = {
    "text": "AutoPipelineForText2Image",
    "image": "AutoPipelineForImage2Image",
    "inpaint": "AutoPipelineForInpainting",
}


class Studio:
    """The pipelines of one provider, for whoever holds its `turn`: none can be used by two.

    Those of one model share its weights.
    """

    def __init__(self, said: Settings, usual: str | None) -> None:
        self._said, self._usual = said, usual
        self._given: dict[str, Any] = dict(said.pipelines.items())
        self._kept: dict[str, dict[str, Any]] = {}
        self.turn = Lock()

    def pipeline(self, model: str, task: str) -> Any:
        """The pipeline of *model* that starts from *task*."""
        known = self._given if model == self._usual else {}
        # Whoever was asked last is the last to go.
        known = known or self._kept.pop(model, {})
        if task not in known:
            finder = getattr(import_module("diffusers"), FINDERS[task])
            other = next(iter(known.values()), None)
            known[task] = finder.from_pipe(other) if known else self._loaded(model, finder)
        if known is not self._given:
            self._kept[model] = known
        return known[task]

    def generator(self, seed: int | None) -> Any:
        """The source of random numbers for *seed*: on the CPU, so that devices agree."""
        if self._said.generator is not None:
            return self._said.generator(seed)
        seed = random.randrange(2**31) if seed is None else seed
        return import_module("torch").Generator("cpu").manual_seed(seed)

    def _loaded(self, model: str, finder: Any) -> Any:
        torch, said = import_module("torch"), self._said
        while len(self._kept) >= said.keep:
            del self._kept[next(iter(self._kept))]
        # Pipelines hang together in circles, and their weights are most of the memory.
        gc.collect()
        there = [one for one in ("cuda", "mps") if getattr(torch, one).is_available()]
        device = said.device or (*there, "cpu")[0]
        dtype = getattr(torch, said.dtype or ("float32" if device == "cpu" else "bfloat16"))
        # Pickled weights may run anything when they are read; these cannot.
        safe = {"use_safetensors": True, "local_files_only": not said.download}
        try:
            how = {"torch_dtype": dtype, **safe, **said.load}
            return finder.from_pretrained(model, **how).to(device)
        except Exception as error:  # files, the network, memory, a library: whatever it needs
            raise ConfigurationError(f"{model!r} cannot be loaded: {brief(error)}") from error


def brief(error: Exception) -> str:
    """*error* in a line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
