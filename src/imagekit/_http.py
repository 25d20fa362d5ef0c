"""The HTTP that a plugin may speak of: plain values, so that no plugin imports an HTTP library."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

from ._blob import Blob, Sink
from ._errors import ProtocolError
from ._json import parsed
from ._lifting import Lifted

if TYPE_CHECKING:
    from ._flow import Effects

if TYPE_CHECKING:
    _Makes: TypeAlias = Callable[[], Sink]
else:
    # A value's JSON schema knows no callable.
    _Makes = Any

Framing: TypeAlias = Literal["events", "lines", "pieces"]
# A key, or what gives one: asked anew for each request, so that it may refresh, or tell tenants
# apart. An async one needs an async client.
Key: TypeAlias = "str | Callable[[], str] | Callable[[], Awaitable[str]]"


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a multipart form: its bytes, or a blob of them, which may be in a file.

    What is in a file goes out of it piece by piece.
    """

    name: str
    data: bytes | Blob = field(repr=False)
    filename: str
    media_type: str


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request to make.

    A relative *url* is joined to the provider's endpoint and carries its credentials. An absolute
    one does only on that very origin; elsewhere it goes out bare. `billable` says whether doing
    it twice may cost twice; a POST is, unless said otherwise. A `form` travels as multipart beside
    `parts`, and by itself where `multipart` says so. `blobs` names the JSON keys of the
    answer that may hold a picture in base64. `stranger` and `sink`, which says where such pictures
    go while they arrive, are the core's to set.
    """

    method: str
    url: str
    json: Any = field(default=None, repr=False)
    form: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    parts: tuple[Part, ...] = field(default=(), repr=False)
    body: bytes | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    billable: bool | None = None
    blobs: frozenset[str] = frozenset()
    stranger: bool = field(default=False, repr=False)
    multipart: bool = False
    sink: _Makes | None = field(default=None, repr=False, compare=False)

    @property
    def charges(self) -> bool:
        """Whether repeating it may cost twice."""
        return self.method.upper() == "POST" if self.billable is None else self.billable


class _Held:
    """Where an answer's body is when its bytes are not at hand; no field, so no copy takes it."""

    __slots__ = ("_held",)
    _held: Lifted | Blob | None


@dataclass(frozen=True, slots=True)
class HttpResponse(_Held):
    """An answer: status, lower-cased headers and the body, which is empty for an opened stream.

    Whoever asks for `body` or `text` of an answer that holds pictures has it put together again,
    each time; `json()` and `blob` do without.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    streamed: bool = False

    @classmethod
    def holding(cls, status: int, headers: Mapping[str, str], held: bytes | Lifted | Blob) -> Self:
        """A whole answer whose body is *held*."""
        if isinstance(held, Blob) and held.path is None:
            held = bytes(held)
        if isinstance(held, bytes):
            return cls(status, headers, held)
        made = cls.__new__(cls)
        values = {"status": status, "headers": headers, "streamed": False, "_held": held}
        for name, value in values.items():
            object.__setattr__(made, name, value)
        return made

    @property
    def held(self) -> bytes | Lifted | Blob:
        """The body as it is at hand."""
        return self.body if self._held is None else self._held

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    @property
    def media_type(self) -> str:
        """The content type without its parameters, lower-cased."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")

    def head(self, size: int) -> bytes:
        """The first *size* bytes of the body, which is not put together for them."""
        return self._held.head(size) if isinstance(self._held, Lifted) else self.body[:size]

    @property
    def blob(self) -> Blob:
        """The whole body as a blob, which is in a file where the body went to one."""
        return self._held if isinstance(self._held, Blob) else Blob.of(self.body)

    def json(self) -> Any:
        """The body as JSON, in which a `Blob` may stand for a string; else a `ProtocolError`."""
        try:
            return self._held.json() if isinstance(self._held, Lifted) else parsed(self.body)
        except (ValueError, RecursionError) as error:
            raise ProtocolError(
                f"expected JSON, got {self.head(80)!r}", status=self.status
            ) from error


def _not_set(answer: HttpResponse, name: str) -> Any:
    if name == "_held":
        return None
    held = answer._held
    if name == "body" and held is not None:
        return held.body() if isinstance(held, Lifted) else bytes(held)
    raise AttributeError(f"'HttpResponse' object has no attribute {name!r}")


# Not in the class, where a type checker would take it to allow whatever name is asked for.
HttpResponse.__getattr__ = _not_set  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a provider lives and how it proves who is calling.

    `authorize` is a flow from the request to the headers to add, so that it may fetch a token
    first. The core asks it at the last step, and for the endpoint's own origin only. `missing` says
    what is wanting before anything can be asked there, such as a key: a call then ends in a
    `MissingCredentialError` with those words, before any network. Where *base_url* is empty, for a
    provider in this process that lacks a library, it is a `ConfigurationError`.
    """

    base_url: str
    authorize: Callable[[HttpRequest], Effects[Mapping[str, str]]] | None = field(
        default=None, repr=False
    )
    missing: str | None = None
