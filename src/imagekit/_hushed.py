"""Credentials taken out of whatever comes back, before anybody inside can see or repeat them."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import quote

from ._blob import Blob
from ._errors import ImagekitError
from ._framing import ServerSentEvent
from ._http import HttpResponse
from ._lifting import Lifted
from ._value import Value

T = TypeVar("T")
# What authorizes a request and is no secret: the names of accounts.
_OPEN = re.compile(
    r"(?!.*(?:auth|key|secret|token)).*(?:organi[sz]ation|project|tenant|version|region)",
    re.IGNORECASE,
)
_SHORTEST = 8
_ODD = re.compile(r"[\W_]")
# What is written in one way wherever it stands.
_PLAIN = re.compile(r"[\w.~-]+", re.ASCII)
# Of a picture's bytes that are looked through all the same.
_LONGEST = 2**16


class Hush:
    """The secrets that one call has sent, and how to take them out of what is said."""

    def __init__(self) -> None:
        # The longest first: a piece of one, taken out before it, would leave the rest.
        self._secrets: list[str] = []

    def learn(self, credentials: Mapping[str, str]) -> None:
        """Note the secrets among *credentials*, in each way that an answer may spell them."""
        for name, value in credentials.items():
            # Cookies are several, each with a name before it.
            cookies = [one.partition("=")[2].strip() for one in value.split(";")]
            for secret in (value.rpartition(" ")[2], *cookies):
                if len(secret) < _SHORTEST or _OPEN.match(name):
                    continue
                known = {*self._secrets, *_spelt(secret), _base64(value)}
                self._secrets = sorted(known, key=lambda one: (-len(one), one))

    def text(self, said: str) -> str:
        """*said* without them."""
        for secret in self._secrets:
            if secret in said:
                said = said.replace(secret, "…")
        return said

    def reply(self, reply: Any) -> Any:
        """What a request or a stream was answered, without them."""
        if reply is None or not self._secrets:
            return reply
        match reply:
            case HttpResponse(headers=headers):
                kept = headers
                if self._says("\n".join(headers.values())):
                    kept = {name: self.text(value) for name, value in headers.items()}
                if self._names("\n".join(headers)):
                    kept = {name: value for name, value in kept.items() if not self._names(name)}
                held = self._body(reply)
                if kept == headers and held is None:
                    return reply
                if reply.streamed:
                    return replace(reply, headers=kept)
                return HttpResponse.holding(
                    reply.status, kept, reply.held if held is None else held
                )
            case ServerSentEvent(event=event, held=str() as data, id=id):
                told = self.text(data)
                return reply if told is data else ServerSentEvent(event, told, id)
            case ServerSentEvent(event=event, held=Lifted() as lifted, id=id):
                rest = self._bytes(lifted.rest)
                if rest is lifted.rest:
                    return reply
                return ServerSentEvent.holding(event, lifted.with_rest(rest), id)
            case str():
                return self.text(reply)
        return reply

    def _body(self, answer: HttpResponse) -> bytes | Lifted | None:
        """The body of *answer* without them; None where they are not in it.

        Not looked through are pictures: what is lifted out of JSON, what is in a file, and a body
        that is one and too long to be anybody's words.
        """
        held = answer.held
        if isinstance(held, Lifted):
            rest = self._bytes(held.rest)
            return None if rest is held.rest else held.with_rest(rest)
        if isinstance(held, Blob) or (len(held) > _LONGEST and _is_picture(answer)):
            return None
        body = self._bytes(held)
        return None if body is held else body

    def _bytes(self, said: bytes) -> bytes:
        for secret in self._secrets:
            if (spelt := secret.encode()) in said:
                said = said.replace(spelt, "…".encode())
        return said

    def error(self, error: BaseException) -> None:
        """Take them out of *error* and of all that it carries, and drop causes that quote them."""
        if not self._secrets:
            return
        seen: set[int] = set()
        behind: BaseException | None = error
        while behind is not None and id(behind) not in seen:
            seen.add(id(behind))
            self._quiet(behind)
            for name in ("__cause__", "__context__"):
                one = getattr(behind, name)
                if one is not None and not isinstance(one, ImagekitError) and self._quotes(one):
                    setattr(behind, name, None)
            behind = behind.__cause__ or behind.__context__

    def _quiet(self, error: BaseException) -> None:
        if not isinstance(error, ImagekitError):
            return
        for name, value in {"args": error.args, **vars(error)}.items():
            if (clean := self.value(value)) is not value:
                setattr(error, name, clean)

    def _quotes(self, error: BaseException) -> bool:
        told = (error, error.args, vars(error))
        return any(self.text(one) != one for one in map(repr, told)) or self._says(str(error))

    def _says(self, said: str) -> bool:
        return self.text(said) != said

    def _names(self, said: str) -> bool:
        """Whether one of them stands in *said*, which is lower-cased."""
        return any(secret.lower() in said for secret in self._secrets)

    def value(self, value: Any, depth: int = 8) -> Any:
        """*value* without them; itself where they are not in it."""
        match value:
            case str():
                return self.text(value)
            case bytes():
                return value if len(value) > _LONGEST else self._bytes(value)
        if not depth:
            return value
        match value:
            case Mapping():
                kept = {
                    self.value(key, depth - 1): self.value(one, depth - 1)
                    for key, one in value.items()
                }
                same = all(key in kept and kept[key] is one for key, one in value.items())
                return value if same else kept
            case list() | tuple() | set() | frozenset():
                held = [self.value(one, depth - 1) for one in value]
                same = all(one is other for one, other in zip(held, value, strict=True))
                return value if same else type(value)(held)
            case Value():
                fields = {name: getattr(value, name) for name in type(value).model_fields}
                clean = {name: self.value(one, depth - 1) for name, one in fields.items()}
                changed = {name: one for name, one in clean.items() if one is not fields[name]}
                return value.model_copy(update=changed) if changed else value
        return value


def _is_picture(answer: HttpResponse) -> bool:
    kind = answer.media_type
    return answer.ok and kind.startswith("image/") and "xml" not in kind


def _spelt(secret: str) -> Iterator[str]:
    """*secret* in each way that an answer, or an error about one, may write it."""
    # As some servers write whatever is no letter and no digit.
    yield from (secret, _ODD.sub(lambda odd: f"\\u{ord(odd[0]):04x}", secret), _base64(secret))
    if not _PLAIN.fullmatch(secret):
        quoted = json.dumps(secret)[1:-1]
        yield from (quoted, quoted.replace("/", "\\/"), secret.replace("\\", "\\\\"))
        yield from (quote(secret), quote(secret, safe=""))


def _base64(secret: str) -> str:
    return b64encode(secret.encode()).decode().rstrip("=")
