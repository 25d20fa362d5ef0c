"""Which version of imagekit this is."""

from __future__ import annotations

from functools import cache


@cache
def version() -> str:
    """The installed version, from the package's own metadata."""
    from importlib import metadata

    return metadata.version("imagekit")
