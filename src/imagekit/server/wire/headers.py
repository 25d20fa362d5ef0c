"""The headers that every answer of the dialect carries."""

from __future__ import annotations


def standard(id: str, milliseconds: int) -> dict[str, str]:
    """A request's *id*, and how long it took."""
    return {
        "x-request-id": id,
        "openai-processing-ms": str(milliseconds),
        "openai-version": "2020-10-01",
    }
