"""What goes otherwise than asked, in the words of both dialects."""

from __future__ import annotations

from imagekit import ImageRequest, Notice

from ._constants import Keeper
from ._models import AS_OF, NEAR, ends

# Frames and markup are not previewed.
WHOLE = ("gif", "svg")


def emulated(prompt: str) -> Notice:
    """A variation is made by an edit."""
    return Notice(
        kind="emulated",
        feature="operation",
        detail="there is no endpoint for variations any more; an edit was asked for instead",
        wanted="variation",
        used=prompt,
    )


def ending(model: str | None, keeper: Keeper) -> Notice | None:
    """The model is gone, or soon will be."""
    day = ends(model or "", keeper)
    if day is None or day - AS_OF > NEAR:
        return None
    verb = "was shut down" if day <= AS_OF else "shuts down"
    detail = f"{keeper}'s {model} {verb} on {day.isoformat()} (as of {AS_OF.isoformat()})"
    return Notice(kind="deprecated", feature="model", detail=detail, wanted=model)


def unpreviewed(request: ImageRequest) -> Notice | None:
    """Previews of a format that has none."""
    if not request.partial_images or request.output_format not in WHOLE:
        return None
    return Notice(
        kind="unsupported",
        feature="partial_images",
        detail=f"there are no previews of {request.output_format}",
        wanted=str(request.partial_images),
    )
