"""JSON as an answer: ASCII alone, so that nothing a plugin says can break it."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import JSONResponse


class Answer(JSONResponse):
    """An answer in JSON."""

    def render(self, content: Any) -> bytes:
        """*content*, halves of characters and all."""
        return json.dumps(content, separators=(",", ":")).encode()
