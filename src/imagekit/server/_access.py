"""Who may ask: bearer tokens, host names, and the origins of web pages."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .._errors import ConfigurationError

VARIABLE = "IMAGEKIT_SERVER_TOKEN"
# Whoever asks where no token is wanted.
ANYBODY = "anybody"
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s*]+", re.IGNORECASE)
_TOKEN = re.compile(r"[\x21-\x7e]{8,}")
_COMMENT = re.compile(r"(^|\s)#.*")


def tokens_from(env: Mapping[str, str] = os.environ, file: Path | None = None) -> tuple[str, ...]:
    """The tokens of a file, one in a line, ` #` before a comment; else those of the environment."""
    if file is None:
        return tuple(env.get(VARIABLE, "").replace(",", " ").split())
    try:
        lines = file.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise ConfigurationError(f"the token file {str(file)!r} cannot be read: {why}") from error
    found = tuple(filter(None, (_COMMENT.sub("", line).strip() for line in lines)))
    if not found:
        raise ConfigurationError(f"the token file {str(file)!r} holds no token")
    return found


def is_loopback(host: str) -> bool:
    """Whether listening there lets nobody in but this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Access:
    """Who is let in.

    *tokens*: any of them; none means that nobody needs one. *hosts*: the names that the server
    answers to, any where there are none. *origins*: the web pages that may ask from a browser.
    """

    tokens: Sequence[str] = field(default=(), repr=False)
    hosts: Sequence[str] = ()
    origins: Sequence[str] = ()

    def __post_init__(self) -> None:
        for token in self.tokens:
            if not _TOKEN.fullmatch(token):
                raise ConfigurationError(
                    "a token is 8 or more ASCII characters without spaces; "
                    '`python -c "import secrets; print(secrets.token_urlsafe())"` makes one'
                )

        for origin in self.origins:
            if not _ORIGIN.fullmatch(origin):
                raise ConfigurationError(
                    f"{origin!r} is no origin of a web page, such as https://app.example"
                )

    def owner(self, authorization: str) -> str | None:
        """Whose the request is, None if nobody's: a name made from the token, not the token."""
        if not self.tokens:
            return ANYBODY
        scheme, _, given = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return None
        asked, found = _digest(given.strip()), None
        # All of them, whichever fits, so that the time says nothing.
        for token in self.tokens:
            digest = _digest(token)
            if hmac.compare_digest(digest, asked):
                found = digest
        return found.hex()[:16] if found is not None else None

    def answers_to(self, host: str) -> bool:
        """Whether the server goes by the name that a request calls it.

        A web page can have its own name point at this machine; then it calls it by that.
        """
        return not self.hosts or re.sub(r":\d+$", "", host).lower() in self.hosts

    def welcomes(self, origin: str | None) -> bool:
        """Whether a web page may ask; whoever is no web page sends no origin."""
        return origin is None or origin in self.origins

    def shared(self, origin: str | None) -> dict[str, str]:
        """The headers that let the web page of an allowed *origin* read an answer."""
        if origin not in self.origins:
            return {}
        return {
            "access-control-allow-origin": str(origin),
            "access-control-expose-headers": "*",
            "vary": "Origin",
        }


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
