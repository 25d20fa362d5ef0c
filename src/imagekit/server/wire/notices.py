"""What goes otherwise than asked, where the dialect has no place for it: in a header, as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ..._response import ImageResponse, Notice
from .._routes import Target
from .refusals import told

# A header has its bounds.
_LONGEST = 4000


def notices_of(
    target: Target, response: ImageResponse | None, more: Sequence[Notice] = ()
) -> list[Any]:
    """Everything that goes otherwise than asked, as JSON."""
    found = [*target.notices, *more]
    if response is not None:
        found += response.notices
        lost = [slot.reason for slot in response.failures]
        found += [Notice(kind="incomplete", feature="data", detail=why) for why in lost]
    return [public(one) for one in found]


def public(notice: Notice) -> dict[str, Any]:
    """A notice as a client may see it, as JSON: it may quote an error, in somebody else's words."""
    return {name: told(said) for name, said in notice.model_dump(exclude_none=True).items()}


def header_of(notices: Sequence[Any]) -> dict[str, str]:
    """The header in which notices travel beside an answer that has no place for them."""
    if not notices:
        return {}
    kept = list(notices)
    while len(text := json.dumps(kept)) > _LONGEST:
        kept.pop()
    return {"x-imagekit-notices": text}
