"""Importing this keeps the configuration of whoever runs the tests out of them."""

from __future__ import annotations

import os
import tempfile

_empty = tempfile.TemporaryDirectory(prefix="imagekit-tests-config-")
os.environ["XDG_CONFIG_HOME"] = _empty.name
for _name in [name for name in os.environ if name.startswith("IMAGEKIT_")]:
    own = ("IMAGEKIT_PROVIDER", "IMAGEKIT_DISABLED_PLUGINS", "IMAGEKIT_CONFIG")
    if _name in own or "__" in _name:
        del os.environ[_name]
