"""The provider `sglang`: SGLang's Images API."""

from ..compatible import row

imagekit_provider = row(__package__, "sglang.toml", "capabilities.toml")
