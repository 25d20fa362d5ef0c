"""The door for plugin testers."""

from __future__ import annotations

from ._play import Played, json_response, play, sse

__all__ = ["Played", "json_response", "play", "sse"]
