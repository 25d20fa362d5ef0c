"""What observers say of an error: whose it is and what may be owed, and a text only if wanted."""

from __future__ import annotations

import re

from .._errors import (
    ConfigurationError,
    ContentRejectedError,
    ImagekitError,
    RequestError,
    TransportError,
)

# Their texts are ours, and quote nobody's prompt.
_WORD = re.compile(r"[\w.:/-]{1,80}")
_OURS = (ConfigurationError, RequestError, TransportError)


def word(said: str | None) -> str:
    """What a provider *said*, where it is one word; a sentence may quote the prompt."""
    return said if said and _WORD.fullmatch(said) else ""


def told(error: ImagekitError, *, content: bool) -> str:
    """*error* in one line.

    What a provider or a plugin said may quote the prompt, so that it is there with *content* only.
    """
    code, request = word(error.code), word(error.request_id)
    facts = [code, f"status {error.status}" if error.status else ""]
    facts += [f"request {request}" if request else ""]
    if isinstance(error, ContentRejectedError):
        facts += [error.stage if error.stage != "unknown" else "", *map(word, error.categories)]
    facts += [f"billed: {error.billed}" if error.billed else ""]
    words = ", ".join(fact for fact in facts if fact)
    text = f": {error}" if content or isinstance(error, _OURS) else ""
    return " ".join(f"{type(error).__name__}{f' ({words})' if words else ''}{text}".split())
