"""The HTTP libraries' own logs, while a call of ours is made: without what may let anyone in."""

from __future__ import annotations

import logging
from typing import Any

from ._scope import current, reach

_LOGGERS = [
    "httpx", "httpx2",
    *(f"{core}.{part}" for core in ("httpcore", "httpcore2")
      for part in ("connection", "http11", "http2", "proxy", "socks")),
]  # fmt: skip


def hold_back() -> None:
    """Have them say no URL's query, nor what a host answered: a key may stand in either."""
    for name in _LOGGERS:
        # Added once: a filter that is there is not added again.
        logging.getLogger(name).addFilter(_held_back)


def _held_back(record: logging.LogRecord) -> bool:
    if current.get() is None and reach.get() is None:
        return True
    if isinstance(record.args, tuple):
        record.args = tuple(_plain(one) for one in record.args)
        if str(record.msg).startswith("HTTP Request") and record.args:
            # The phrase after the status is the host's to choose.
            record.args = (*record.args[:-1], "…")
    if str(record.msg).startswith("receive_"):
        record.msg = str(record.msg).partition(" ")[0]
    return True


def _plain(said: Any) -> Any:
    """*said*; of a URL what may be shown."""
    if type(said).__name__ != "URL":
        return said
    return f"{said.scheme}://{said.netloc.decode()}{said.path}{'?…' if said.query else ''}"
