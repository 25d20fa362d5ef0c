"""The provider `sd-server`: the Images API of stable-diffusion.cpp's server."""

from ..compatible import row

imagekit_contract = 1
imagekit_provider = row(__package__, "sd-server.toml", "capabilities.toml")
