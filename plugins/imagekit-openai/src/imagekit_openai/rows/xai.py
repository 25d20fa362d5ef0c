"""The provider `xai`: xAI's Images API."""

from ..compatible import row

imagekit_contract = 1
imagekit_provider = row(__package__, "xai.toml", "capabilities.toml")
