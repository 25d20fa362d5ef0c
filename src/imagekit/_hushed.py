"""Credentials taken out of whatever comes back, before anybody inside can see or repeat them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from ._errors import ImagekitError
from ._framing import ServerSentEvent
from ._http import HttpResponse

T = TypeVar("T")
# What authorizes a request and is no secret: the names of accounts.
_OPEN = re.compile(
    r"(?!.*(?:auth|key|secret|token)).*(?:organi[sz]ation|project|tenant|version|region)",
    re.IGNORECASE,
)
_SHORTEST = 8


class Hush:
    """The secrets that one call has sent, and how to take them out of what is said."""

    def __init__(self) -> None:
        self._secrets: set[str] = set()

    def learn(self, credentials: Mapping[str, str]) -> None:
        """Note the secrets among *credentials*, in each way that an answer may spell them."""
        for name, value in credentials.items():
            # Cookies are several, each with a name before it.
            cookies = [one.partition("=")[2].strip() for one in value.split(";")]
            for secret in (value.rpartition(" ")[2], *cookies):
                if len(secret) < _SHORTEST or _OPEN.match(name):
                    continue
                quoted = json.dumps(secret)[1:-1]
                self._secrets |= {secret, quoted, quoted.replace("/", "\\/")}
                self._secrets.add("".join(_escaped(letter) for letter in secret))

    def text(self, said: str) -> str:
        """*said* without them."""
        for secret in self._secrets:
            if secret in said:
                said = said.replace(secret, "…")
        return said

    def reply(self, reply: Any) -> Any:
        """What a request or a stream was answered, without them."""
        match reply:
            case HttpResponse(headers=headers, body=body):
                for secret in self._secrets:
                    if secret.encode() in body:
                        body = body.replace(secret.encode(), "…".encode())
                kept = {name: self.text(value) for name, value in headers.items()}
                return replace(reply, headers=kept, body=body)
            case ServerSentEvent(data=data):
                return replace(reply, data=self.text(data))
            case str():
                return self.text(reply)
        return reply

    def error(self, error: ImagekitError) -> None:
        """Take them out of *error*, and drop the cause that quotes them."""
        told = str(error)
        if self.text(told) != told:
            error.args = (self.text(told),)
        cause = error.__cause__
        if cause is not None and self.text(repr(cause)) != repr(cause):
            error.__cause__ = None


def _escaped(letter: str) -> str:
    # As some servers write whatever is no letter and no digit.
    return letter if letter.isalnum() else f"\\u{ord(letter):04x}"
