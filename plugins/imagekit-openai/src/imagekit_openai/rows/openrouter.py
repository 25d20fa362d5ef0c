"""The provider `openrouter`: OpenRouter's Image API."""

from ..compatible import row

imagekit_contract = 1
imagekit_provider = row(__package__, "openrouter.toml", "capabilities.toml")
