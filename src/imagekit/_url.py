"""A URL as it may be shown."""

from __future__ import annotations


def short_url(url: str | None) -> str:
    """A URL without its query and user, which may be what lets anyone in."""
    head, mark, _ = (url or "")[:2000].partition("?")
    if head.startswith("data:"):
        return f"{head[:30]}…"
    scheme, slashes, rest = head.partition("//")
    host, slash, path = rest.partition("/")
    return f"{scheme}{slashes}{host.rpartition('@')[2]}{slash}{path}" + ("?…" if mark else "")
