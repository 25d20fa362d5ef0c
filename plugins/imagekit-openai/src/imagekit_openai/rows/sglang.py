"""The provider `sglang`: SGLang's Images API."""

from ..compatible import row

imagekit_contract = 1
imagekit_provider = row(__package__, "sglang.toml", "capabilities.toml")
