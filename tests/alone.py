"""Importing this keeps what is the runner's out of the tests: the configuration, and the day."""

from __future__ import annotations

import os
import tempfile
from datetime import date

from imagekit import _capabilities

_empty = tempfile.TemporaryDirectory(prefix="imagekit-tests-config-")
os.environ["XDG_CONFIG_HOME"] = _empty.name
for _name in [name for name in os.environ if name.startswith("IMAGEKIT_")]:
    own = (
        "IMAGEKIT_PROVIDER",
        "IMAGEKIT_DISABLED_PLUGINS",
        "IMAGEKIT_CONFIG",
        "IMAGEKIT_CAPABILITIES",
    )
    if _name in own or "__" in _name:
        del os.environ[_name]

# A model's end is near, or over, by one day in all the tests.
real_today = _capabilities.today
_capabilities.today = lambda: date(2026, 11, 20)
