"""The other side of a provider in its tests: what it was asked, and what it answers."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import json
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias
from urllib.parse import parse_qsl, urlsplit

from .._http import HttpResponse
from .._media import facts
from ._pixels import png

Trouble: TypeAlias = Literal[
    "authentication", "permission", "rate_limit", "quota", "invalid", "moderation", "unavailable"
]
# What happens on the way, whatever the host says: the connection cannot be made; it says nothing
# any more once it was asked; its answer breaks off, with an error or as if it were whole.
Fault: TypeAlias = Literal["unreachable", "silence", "broken", "cut"]

STATUSES: Mapping[Trouble, int] = {
    "authentication": 401,
    "permission": 403,
    "rate_limit": 429,
    "quota": 402,
    "invalid": 400,
    "moderation": 400,
    "unavailable": 503,
}
# Added by the HTTP library, or different each time.
_OF_THE_WAY = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "content-type",
        "host",
        "transfer-encoding",
        "user-agent",
    }
)


@dataclass(frozen=True, slots=True)
class FormField:
    """One field of a form: text, or a file with its name and type."""

    name: str
    data: bytes = field(repr=False)
    filename: str | None = None
    media_type: str | None = None

    @property
    def text(self) -> str:
        """The field as text."""
        return self.data.decode()


@dataclass(frozen=True, slots=True)
class Asked:
    """What reached the host: a request as it stood on the wire, or a call into an engine.

    Of a call into an engine `method` is `CALL`, `url` the function's name, and `values` what it was
    given.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    values: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def path(self) -> str:
        """The URL's path."""
        return urlsplit(self.url).path

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def query(self) -> dict[str, str]:
        """The URL's query."""
        return dict(parse_qsl(urlsplit(self.url).query, keep_blank_values=True))

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    def form(self) -> tuple[FormField, ...]:
        """The body as a form, in order."""
        return _form(self.headers.get("content-type", ""), self.body)

    def fields(self) -> dict[str, str]:
        """The texts of a form by their names."""
        return {one.name: one.text for one in self.form() if one.filename is None}

    def files(self) -> tuple[FormField, ...]:
        """The files of a form."""
        return tuple(one for one in self.form() if one.filename is not None)

    def shape(self) -> Any:
        """What was said, as plain values that can be compared: pictures are told by their pixels.

        Credentials are left out, and so is what the HTTP library adds.
        """
        if self.method == "CALL":
            return ["CALL", self.url, plain(self.values)]
        own = {
            name: value
            for name, value in self.headers.items()
            if name not in _OF_THE_WAY and not _is_secret(name)
        }
        return [self.method, self.path, self.query, own, self._said()]

    def _said(self) -> Any:
        kind = self.headers.get("content-type", "")
        if not self.body:
            return None
        if "json" in kind:
            return plain(self.json())
        if kind.startswith(("multipart/", "application/x-www-form-urlencoded")):
            return [
                [one.name, plain(one.data if one.filename is not None else one.text)]
                for one in self.form()
            ]
        return plain(self.body)


@lru_cache(maxsize=64)
def _form(kind: str, body: bytes) -> tuple[FormField, ...]:
    if not kind.startswith("multipart/"):
        pairs = parse_qsl(body.decode(), keep_blank_values=True)
        return tuple(FormField(name, value.encode()) for name, value in pairs)
    head = f"content-type: {kind}\r\n\r\n".encode()
    found = []
    for part in BytesParser(policy=HTTP).parsebytes(head + body).iter_parts():
        about = part["content-disposition"].params
        data = bytes(part.get_payload(decode=True) or b"")
        name, filename = str(about["name"]), about.get("filename")
        kind_of = part.get_content_type() if filename is not None else None
        found.append(FormField(name, data, filename, kind_of))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Streamed:
    """An answer that comes piece by piece."""

    pieces: tuple[bytes, ...] = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 200


Reply: TypeAlias = HttpResponse | Streamed


@dataclass
class Scene:
    """What the host has to give, and how it feels.

    `pictures` are still to be given, in order; None is one that is refused. `previews` come before
    each streamed picture. With `by_url` pictures are given as addresses, made by `Host.shelve`.
    Of a job, `pending` looks find it unfinished (ask `done()`). Where several pictures are taken at
    once, `surplus` are given beyond those; below zero that many too few.
    """

    pictures: list[bytes | None] = field(default_factory=list)
    previews: int = 0
    trouble: Trouble | None = None
    by_url: bool = False
    pending: int = 0
    surplus: int = 0

    def done(self) -> bool:
        """Whether a look at a job finds it finished; each look counts."""
        self.pending -= 1
        return self.pending < 0

    def preview(self, index: int = 0, step: int = 0) -> bytes:
        """What may be shown of slot *index* before its picture: none of the pictures."""
        return png(200 + 10 * index + step)

    def take(self, count: int = 1) -> list[bytes | None]:
        """The next *count* of the pictures; the last again where there are no more."""
        if count > 1:
            count += self.surplus
        return [
            self.pictures[0] if len(self.pictures) == 1 else self.pictures.pop(0)
            for _ in range(count)
        ]


class Host:
    """The other side, in the words of its wire. A provider's tests say how it answers.

    Write `answer`. Write `troubled` too where a trouble is not a status with a JSON body that has
    an `error`. Each is asked one at a time.

    * `absent`: what this wire cannot say at all, each with the reason: a `Trouble`, `"resume"`, or
      `"pictures"` where the pictures are not those of the scene, for the provider draws its own.
    * `partly`: whether one answer may hold pictures beside refusals.
    * `urls`: whether it can give pictures as addresses.
    * `settings`: what the provider's settings have to say so that it is met; for an engine in this
      process, itself.

    `bend` is what a test makes of each answer on its way; None leaves it. An exception in `answer`
    or `troubled` ends the test, and is told as what it is.
    """

    absent: ClassVar[Mapping[str, str]] = {}
    partly: ClassVar[bool] = False
    urls: ClassVar[bool] = False

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.scene = Scene()
        self.fault: Fault | None = None
        self.bend: Callable[[Asked, Reply], Reply] | None = None
        self.opened = self.closed = 0
        self.bent = False
        self._fell: tuple[str, Exception] | None = None
        self.shelf: dict[str, bytes] = {}
        self._lock = threading.RLock()

    @property
    def settings(self) -> Mapping[str, Any]:
        """What the provider's settings have to say."""
        return {}

    def answer(self, asked: Asked, scene: Scene) -> Reply:
        """The answer when all is well; to what it does not know, one that says so."""
        raise NotImplementedError("write answer(self, asked, scene), in the words of its wire")

    def troubled(self, asked: Asked, trouble: Trouble) -> Reply:
        """The answer in *trouble*, in the words of the wire; it may ask to wait by `retry-after`.

        There are seven, each with its usual status: `authentication` (401, the key is wrong),
        `permission` (403, it may not do this), `rate_limit` (429, too much at once), `quota` (402,
        the money is used up), `invalid` (400, the request is wrong), `moderation` (400, the prompt
        is against the rules) and `unavailable` (503, overloaded or broken). As long as nobody
        writes it the body is `{"error": {"code": trouble, "message": ...}}`.
        """
        said = {"error": {"code": trouble, "message": f"the host says: {trouble}"}}
        headers = {"content-type": "application/json"}
        return HttpResponse(STATUSES[trouble], headers, json.dumps(said).encode())

    def reply(self, asked: Asked) -> Reply:
        """Note what was *asked*, and answer it."""
        with self._lock:
            self.asked.append(asked)
            if asked.url in self.shelf:
                return HttpResponse(200, {"content-type": "image/png"}, self.shelf[asked.url])
            if self.scene.trouble is not None:
                return self.in_trouble(asked, self.scene.trouble)
            return self._given("answer", lambda: self.answer(asked, self.scene))

    def in_trouble(self, asked: Asked, trouble: Trouble) -> Reply:
        """What it answers in *trouble*."""
        return self._given("troubled", lambda: self.troubled(asked, trouble))

    def stands(self) -> None:
        """Raise an AssertionError where it fell over, whatever the call came to."""
        if self._fell is not None:
            told, error = self._fell
            raise AssertionError(told) from error

    def _given(self, name: str, reply: Callable[[], Reply]) -> Reply:
        try:
            found = reply()
        except Exception as error:
            self._falls(f"{name}() raised {_named(error)} ({_place(error)})", error)
            raise
        if not isinstance(found, Reply):
            wrong = TypeError(f"{name}() gave {found!r}, and no HttpResponse or Streamed")
            self._falls(str(wrong), wrong)
            raise wrong
        return found

    def _falls(self, why: str, error: Exception) -> None:
        # Who is asked for what a bent answer spoke of is not to blame.
        if self._fell is None and not self.bent:
            self._fell = f"your host's {why}", error

    def note(self, name: str, **values: Any) -> Asked:
        """Note a call into an engine in this process."""
        asked = Asked("CALL", name, values=values)
        with self._lock:
            self.asked.append(asked)
        return asked

    def shelve(self, picture: bytes) -> str:
        """The address of *picture* at a host that is nobody's."""
        url = f"https://pictures.elsewhere.test/{hashlib.sha256(picture).hexdigest()[:16]}.png"
        self.shelf[url] = picture
        return url


class Nobody(Host):
    """The other side of a provider that draws by itself, and asks nobody."""

    absent: ClassVar[Mapping[str, str]] = dict.fromkeys(
        (*STATUSES, "resume", "pictures"), "it draws by itself, and asks nobody"
    )


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _place(error: Exception) -> str:
    """Where in the host's own file *error* is from."""
    # The first two are of this file: who asked, and how.
    frames = traceback.extract_tb(error.__traceback__)[2:]
    where = [one for one in frames if one.filename == frames[0].filename][-1]
    return f"{Path(where.filename).name}:{where.lineno}"


def _is_secret(name: str) -> bool:
    return any(word in name for word in ("authorization", "key", "token", "cookie", "secret"))


def plain(said: Any) -> Any:
    """*said* as plain values; a picture is its size and a hash of its pixels."""
    match said:
        case Mapping():
            return {str(name): plain(value) for name, value in said.items()}
        case bytes():
            return _seen(said) or f"bytes {hashlib.sha256(said).hexdigest()[:16]}"
        case str():
            found = spelt(said)
            return (_seen(found) if found else None) or said
        case None | bool() | int() | float():
            return said
        case Sequence():
            return [plain(one) for one in said]
    if hasattr(said, "tobytes") and hasattr(said, "size") and hasattr(said, "convert"):
        return _pixels(said)
    return repr(type(said))


def spelt(text: str) -> bytes | None:
    """The picture that *text* holds in base64 or as a data URL; None where it is none."""
    if text.startswith("data:"):
        text = text.partition(",")[2]
    if len(text) < 40:
        return None
    try:
        found = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return found if facts(found) else None


def _seen(data: bytes) -> str | None:
    known = facts(data)
    if known is None or known.media_type == "image/svg+xml":
        return None
    from PIL import Image as Pillow

    with Pillow.open(io.BytesIO(data)) as opened:
        return _pixels(opened)


def _pixels(opened: Any) -> str:
    shown = opened.convert("RGBA")
    digest = hashlib.sha256(shown.tobytes()).hexdigest()[:16]
    return f"picture {shown.width}x{shown.height} {digest}"
