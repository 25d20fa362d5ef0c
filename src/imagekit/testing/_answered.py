"""The rules about what comes back, all together."""

from __future__ import annotations

from ._answers import Answers
from ._charges import Charges
from ._garbled import Garbled
from ._jobs_kept import JobsKept
from ._streams import Streams
from ._troubles import Troubles


class Answered(Answers, Streams, Troubles, Garbled, Charges, JobsKept):
    """What the host answers comes through, whatever it is."""
