"""What goes otherwise than asked, in the words of both dialects."""

from __future__ import annotations

from imagekit import ImageRequest, Notice

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
