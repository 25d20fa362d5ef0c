"""The HTTP library that imagekit speaks in this run, for what the tests build themselves.

`IMAGEKIT_HTTP=httpx` or `=httpx2` runs all of them on that one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagekit._library import chosen

LIBRARY = chosen()

if TYPE_CHECKING:
    import httpcore as httpcore
    import httpx as httpx
else:
    httpx, httpcore = LIBRARY.http, LIBRARY.core
