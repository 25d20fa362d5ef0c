"""The provider `localai`: LocalAI's Images API."""

from ..compatible import row

imagekit_contract = 1
imagekit_provider = row(__package__, "localai.toml", "capabilities.toml")
