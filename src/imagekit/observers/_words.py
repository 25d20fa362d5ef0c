"""What observers say of an error: whose it is and what may be owed, and a text only if wanted."""

from __future__ import annotations

from .._errors import (
    ConfigurationError,
    ContentRejectedError,
    ImagekitError,
    RequestError,
    TransportError,
)

# Their texts are ours, and quote nobody's prompt.
_OURS = (ConfigurationError, RequestError, TransportError)


def told(error: ImagekitError, *, content: bool) -> str:
    """*error* in one line.

    What a provider or a plugin said may quote the prompt, so that it is there with *content* only.
    """
    facts = [error.code or "", f"status {error.status}" if error.status else ""]
    facts += [f"request {error.request_id}" if error.request_id else ""]
    if isinstance(error, ContentRejectedError):
        facts += [error.stage if error.stage != "unknown" else "", *error.categories]
    facts += [f"billed: {error.billed}" if error.billed else ""]
    words = ", ".join(fact for fact in facts if fact)
    text = f": {error}" if content or isinstance(error, _OURS) else ""
    return " ".join(f"{type(error).__name__}{f' ({words})' if words else ''}{text}".split())
