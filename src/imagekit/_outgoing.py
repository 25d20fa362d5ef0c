"""A request as it goes out: its JSON, its form, its files, piece by piece."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from ._blob import Blob, changed, pieces_of, seen
from ._errors import RequestError, TransportError
from ._http import HttpRequest, Part
from ._inflated import ENCODINGS
from ._library import Library, chosen
from ._version import version

ENCODING = "accept-encoding"


def arguments(request: HttpRequest) -> dict[str, Any]:
    """*request* as the keyword arguments of a library's `build_request`."""
    headers = {"user-agent": f"imagekit/{version()}", **request.headers}
    keywords: dict[str, Any] = {"headers": headers}
    if request.query:
        params = chosen().http.URL(request.url).params.merge(dict(request.query))
        keywords["params"] = params.multi_items()
    if request.json is not None:
        keywords["json"] = request.json
    if request.body is not None:
        keywords["content"] = request.body
    if request.parts or request.multipart:
        headers["content-type"] = f"multipart/form-data; boundary={_boundary(request)}"
        keywords["files"] = [
            (part.name, (part.filename, _content(part), part.media_type)) for part in request.parts
        ]
    if request.multipart and not request.parts:
        # A field is a file without a name; with no file the library would write it another way.
        keywords["files"] = [(name, (None, value)) for name, value in request.form]
    elif request.form:
        fields: dict[str, list[str]] = {}
        for name, value in request.form:
            fields.setdefault(name, []).append(value)
        keywords["data"] = fields
    return keywords


def _boundary(request: HttpRequest) -> str:
    """What stands between the parts of a form, and in none of them."""
    if any(isinstance(_content(part), _Upload) for part in request.parts):
        # A file is not read twice. Made of less than all of the content, it could be worked out by
        # whoever made one of the pictures, and written into it with fields of their own.
        return os.urandom(16).hex()
    # A library invents one for each request; ours is the content's hash, so that the same request
    # is the same bytes and a cassette can match it.
    digest = hashlib.sha256(repr(request.form).encode())
    for part in request.parts:
        digest.update(bytes(part.data))
    return digest.hexdigest()[:32]


def _content(part: Part) -> bytes | _Upload:
    if isinstance(part.data, Blob) and part.data.path is not None:
        return _Upload(part.data, part.data.path)
    return bytes(part.data)


class _Upload:
    """A file as a library sends it: exactly the bytes that were promised, in pieces, or an error.

    It is open while it is read only, and read from its start as often as it is sent.
    """

    def __init__(self, blob: Blob, path: Path) -> None:
        self._blob, self._path = blob, path
        self._pieces = self._sent()
        try:
            self._as_it_is = seen(path)
        except OSError as error:
            raise RequestError(self._unreadable(error), billed="no") from error
        if self._as_it_is[0] != len(blob) or blob.seen not in (None, self._as_it_is):
            raise RequestError(self._changed("before"), billed="no")

    def tell(self) -> int:
        """Where it stands: whoever asks is about to seek."""
        return 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to the start; from the end, say how long it is."""
        self.close()
        self._pieces = self._sent()
        return len(self._blob) if whence == os.SEEK_END else 0

    def read(self, size: int = -1) -> bytes:
        """The next piece, however long it is; nothing at the end."""
        return next(self._pieces, b"")

    def close(self) -> None:
        """Nobody reads on."""
        self._pieces.close()

    def _sent(self) -> Generator[bytes, None, None]:
        left = len(self._blob)
        try:
            with closing(pieces_of(self._path)) as pieces:
                for piece in pieces:
                    left -= len(piece)
                    if left < 0:
                        break
                    # All but the last of it, until it is sure that it was one picture all along.
                    if not left and seen(self._path) != self._as_it_is:
                        left = -1
                        break
                    yield piece
        except OSError as error:
            raise TransportError(self._unreadable(error)) from error
        if left:
            # What was begun is left without its end, so that nobody takes it for whole.
            raise TransportError(self._changed("while"))

    def _unreadable(self, error: OSError) -> str:
        why = error.strerror or error
        return f"the picture {str(self._path)!r} cannot be read any more: {why}"

    def _changed(self, when: str) -> str:
        return changed(self._path, len(self._blob), when)


@contextmanager
def _writing(library: Library) -> Iterator[None]:
    try:
        yield
    except RequestError:
        raise
    except (library.http.InvalidURL, UnicodeError, ValueError, TypeError) as error:
        raise RequestError(f"the request cannot be written: {error}", billed="no") from error


@contextmanager
def built(client: Any, library: Library, request: HttpRequest) -> Iterator[Any]:
    """*request* as the library's own, until it is sent or given up."""
    with _writing(library):
        keywords = arguments(request)
        # To inflate a picture in base64 costs more than all else that is done with it. Whoever asks
        # for it all the same, in the request or by a client of their own, knows why.
        if client.headers.get(ENCODING) == _usual_encoding(library):
            wanted = "identity" if request.blobs else ENCODINGS
            keywords["headers"] = {ENCODING: wanted, **_lower(keywords["headers"])}
        built = client.build_request(request.method, request.url, **keywords)
    try:
        yield built
    finally:
        for _, (_, content, *_) in keywords.get("files", ()):
            if isinstance(content, _Upload):
                content.close()


@cache
def _usual_encoding(library: Library) -> str:
    """The encodings that a client asks for of whom nobody wanted others."""
    http = library.http
    with http.Client(transport=http.BaseTransport(), trust_env=False) as client:
        found: str = client.headers[ENCODING]
        return found


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


@dataclass(frozen=True, slots=True)
class Written:
    """A request as it goes out, without what a client adds to all of them."""

    url: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


def written(request: HttpRequest) -> Written:
    """The very bytes of *request*; its URL is whole."""
    library = chosen()
    with _writing(library):
        out = library.http.Request(request.method, request.url, **arguments(request))
        body = out.read()
    headers = {name: one for name, one in out.headers.items() if name != "host"}
    return Written(str(out.url), headers, body)
