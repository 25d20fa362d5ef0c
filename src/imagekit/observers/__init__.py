"""The door for who watches calls: a log, OpenTelemetry, and a record of what calls cost.

Each is registered in code, on one client: `client.plugins.register(LogCalls())`. Nothing watches by
being installed.
"""

from __future__ import annotations

from ._costs import CostRow, RecordCosts
from ._logged import LogCalls
from ._traced import TraceCalls

__all__ = ["CostRow", "LogCalls", "RecordCosts", "TraceCalls"]
