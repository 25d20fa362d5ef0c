"""What an attempt came to, as far as money goes."""

from __future__ import annotations

from enum import Enum

from ._errors import ImagekitError, ProtocolError, TransportError
from ._http import HttpResponse


class Verdict(Enum):
    """Whether a request may have been taken on, and so may cost money.

    * NOT_SENT: no connection, or no byte of the request written. May be repeated.
    * REFUSED: the provider turned it away and waiting may help. May be repeated.
    * REJECTED: the provider turned it away for good. Never repeated.
    * UNKNOWN: it may have been taken on. Never repeated by us.
    * ACCEPTED: it was taken on.
    """

    NOT_SENT = "not sent"
    REFUSED = "refused"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    ACCEPTED = "accepted"

    @property
    def repeatable(self) -> bool:
        """Whether doing it again cannot cost twice."""
        return self in (Verdict.NOT_SENT, Verdict.REFUSED)


def of_response(response: HttpResponse) -> Verdict:
    """The verdict that a status gives on its own."""
    status = response.status
    if 200 <= status < 300:
        return Verdict.ACCEPTED
    if status in (429, 503):
        return Verdict.REFUSED
    if 400 <= status < 500 and status not in (408, 409):
        return Verdict.REJECTED
    return Verdict.UNKNOWN


def of_error(error: ImagekitError) -> Verdict:
    """The verdict when no answer came: what is known of how far the request got."""
    sent = isinstance(error, TransportError | ProtocolError) and error.billed != "no"
    return Verdict.UNKNOWN if sent else Verdict.NOT_SENT
