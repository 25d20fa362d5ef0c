"""The provider `vllm-omni`: vLLM-Omni's Images API."""

from ..compatible import row

imagekit_contract = 1
imagekit_provider = row(__package__, "vllm-omni.toml", "capabilities.toml")
