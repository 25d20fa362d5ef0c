"""Until when a picture's URL is good, as far as the URL itself says."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

# OpenAI's own links, where they do not say: the reference of `response_format` in the official
# Python SDK 3.52.0 (2026-11-16) gives them 60 minutes from the making of the picture.
OURS = timedelta(hours=1)

# One name for the moment it was signed, one for the seconds it holds: Amazon, Google, Alibaba …
_SIGNED = re.compile(r"x-([a-z]+)-date", re.A)
_SECONDS = re.compile(r"[0-9]{1,9}", re.A)
_UNIX = re.compile(r"[0-9]{9,11}", re.A)


def expires(url: str, created: datetime | None) -> datetime | None:
    """The moment after which *url* is no good; None where nothing says it.

    *created* is when the picture was made, by which OpenAI's own links go that say nothing.
    """
    try:
        parts = urlsplit(url)
        asked = {name.lower(): value for name, value in parse_qsl(parts.query)}
        host = parts.hostname or ""
    except ValueError:
        return None
    found = min(_said(asked), default=None)
    if found is None and created is not None and _is_openais(host):
        return created + OURS
    return found


def _is_openais(host: str) -> bool:
    return host.startswith("oaidalleapi") or f".{host}".endswith(
        (".openai.com", ".oaiusercontent.com")
    )


def _said(asked: Mapping[str, str]) -> Iterator[datetime]:
    """Each moment that a signature names; the query's names are lower-cased."""
    if "sig" in asked and (moment := _iso(asked.get("se", ""))):
        yield moment
    for name, value in asked.items():
        if found := _SIGNED.fullmatch(name):
            seconds = asked.get(f"x-{found[1]}-expires", "")
            begun = _basic(value)
            if begun and _SECONDS.fullmatch(seconds):
                yield begun + timedelta(seconds=int(seconds))
    if _UNIX.fullmatch(asked.get("expires", "")):
        yield datetime.fromtimestamp(int(asked["expires"]), UTC)


def _iso(text: str) -> datetime | None:
    """A date, or a date and a time, as Azure's signatures have them; in UTC unless it says."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.replace(tzinfo=found.tzinfo or UTC)


def _basic(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
