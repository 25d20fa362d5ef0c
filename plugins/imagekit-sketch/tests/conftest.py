"""Nothing of whoever runs the tests is read."""

from __future__ import annotations

import alone  # noqa: F401
