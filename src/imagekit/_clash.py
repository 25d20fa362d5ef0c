"""Whether django-imagekit, which owns the same import name, lies in our way."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable


def clash(path: Iterable[str] | None = None) -> str | None:
    """One line on a clash with django-imagekit, or None: both packages are called `imagekit`."""
    for folder in sys.path if path is None else path:
        # pathlib would be a tenth of what the door costs.
        found = os.path.join(folder or ".", "imagekit")  # noqa: PTH118
        if os.path.isfile(os.path.join(found, "pkgmeta.py")):  # noqa: PTH113, PTH118
            return (
                f"django-imagekit lies in {found} and has the same import name as imagekit: "
                "only one of the two can be imported; keep them in separate environments"
            )
    return None
