"""Importing this keeps what is the runner's out of the tests: the configuration, and the day.

`path_changed` keeps the measuring of coverage out of them, too.
"""

from __future__ import annotations

import itertools
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

_numbers = itertools.count()


def path_changed() -> None:
    """To be called where `sys.path` has changed, before there are threads.

    Coverage looks at it anew when next it meets a file that it does not know, in whichever thread
    that is, and then forgets what other threads import meanwhile.
    """
    exec(compile("None", f"<a file that nobody knows {next(_numbers)}>", "exec"), {})
