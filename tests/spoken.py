"""The HTTP library that imagekit speaks in this run, for what the tests build themselves.

`IMAGEKIT_HTTP=httpx` or `=httpx2` runs all of them on that one.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from imagekit._library import chosen

LIBRARY = chosen()

if TYPE_CHECKING:
    import httpcore as httpcore
    import httpx as httpx
else:
    httpx, httpcore = LIBRARY.http, LIBRARY.core


class near:  # as the library's own module
    """Its one-off calls, to a server on loopback: no authority is read for them, and they wait."""

    get = partial(httpx.get, verify=False, timeout=30)
    post = partial(httpx.post, verify=False, timeout=30)
    delete = partial(httpx.delete, verify=False, timeout=30)
    stream = partial(httpx.stream, verify=False, timeout=30)
