"""huggingface_hub, as far as it can: one picture, through a provider whose host is put aside."""

# It is in an environment of its own.
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

from functools import cached_property
from typing import Any

from huggingface_hub import AsyncInferenceClient, InferenceClient
from huggingface_hub.hf_api import InferenceProviderMapping
from huggingface_hub.inference import _providers
from huggingface_hub.inference._providers import _common

from .client import KEY, Client

PROVIDER, MODEL = "together", "gpt-image-2"


class Hub(Client):
    """It gives a picture of Pillow's, which has not been decoded: its bytes are still there."""

    def __init__(self, url: str, library: str = "") -> None:
        super().__init__(url, library)
        helper = _providers.PROVIDERS[PROVIDER]["text-to-image"]
        helper.base_url = url.removesuffix("/v1")
        _common.HARDCODED_MODEL_INFERENCE_MAPPING[PROVIDER][MODEL] = InferenceProviderMapping(
            provider=PROVIDER,
            hf_model_id=MODEL,
            providerId=MODEL,
            status="live",
            task="text-to-image",
        )
        self._client = InferenceClient(provider=PROVIDER, api_key=KEY)

    @cached_property
    def _aclient(self) -> Any:
        return AsyncInferenceClient(provider=PROVIDER, api_key=KEY)

    def images(self, prompt: str, n: int = 1) -> list[bytes]:
        if n > 1:
            raise NotImplementedError
        return [_bytes(self._client.text_to_image(prompt, model=MODEL))]

    async def aimages(self, prompt: str, n: int = 1) -> list[bytes]:
        if n > 1:
            raise NotImplementedError
        return [_bytes(await self._aclient.text_to_image(prompt, model=MODEL))]


def _bytes(image: Any) -> bytes:
    data: bytes = image.fp.getvalue()
    return data
