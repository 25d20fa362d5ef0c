"""The door for plugin testers."""

from __future__ import annotations

from ._host import Asked, FormField, Host, Nobody, Reply, Scene, Streamed, Trouble
from ._play import Played, json_response, play, sse
from ._suite import Outcome, ProviderSuite, conforms

__all__ = [
    "Asked",
    "FormField",
    "Host",
    "Nobody",
    "Outcome",
    "Played",
    "ProviderSuite",
    "Reply",
    "Scene",
    "Streamed",
    "Trouble",
    "conforms",
    "json_response",
    "play",
    "sse",
]
