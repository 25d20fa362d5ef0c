"""The provider `together`: Together's Images API."""

from ..compatible import row

imagekit_contract = 1
imagekit_provider = row(__package__, "together.toml", "capabilities.toml")
