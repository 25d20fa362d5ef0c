"""The command line's door: what lies behind it is an extra, and the door says so."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import NoReturn


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Do what *arguments* (without them, the process's own) say, and exit."""
    if find_spec("click") is None or find_spec("rich") is None:
        line = "imagekit: the command line is an extra; pip install 'imagekit[cli]'"
        print(line, file=sys.stderr)
        sys.exit(2)
    from ._main import run

    run(arguments)
