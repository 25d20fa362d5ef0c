"""One TLS context for all our clients, made when something is first encrypted."""

from __future__ import annotations

import os
import ssl
import threading
from functools import cache
from typing import Any

from ._errors import ConfigurationError
from ._library import Library

_NAMES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


def tls(library: Library, *, trust_env: bool = True) -> ssl.SSLContext:
    """The context of *library*'s own making, which whoever speaks plain HTTP never waits for."""
    said = tuple(os.environ.get(name, "") for name in _NAMES) if trust_env else ("", "")
    return _shared(library, said)


@cache
def _shared(library: Library, said: tuple[str, ...]) -> _Late:
    return _Late(library, said)


class _Late(ssl.SSLContext):
    """Stands for a context that is still to be made: reading all certificates takes a while."""

    def __new__(cls, *_: Any) -> _Late:
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def __init__(self, library: Library, said: tuple[str, ...]) -> None:
        self._library, self._said = library, said
        self._lock = threading.Lock()
        self._made: ssl.SSLContext | None = None
        self._protocols: list[str] = []

    def set_alpn_protocols(self, alpn_protocols: Any) -> None:
        """Name the protocols; our clients all name the same."""
        self._protocols = list(alpn_protocols)

    def wrap_socket(self, *given: Any, **named: Any) -> ssl.SSLSocket:
        """As the context that it stands for."""
        return self._real().wrap_socket(*given, **named)

    def wrap_bio(self, *given: Any, **named: Any) -> ssl.SSLObject:
        """As the context that it stands for."""
        return self._real().wrap_bio(*given, **named)

    def _real(self) -> ssl.SSLContext:
        with self._lock:
            if self._made is None:
                self._made = self._read()
                self._made.set_alpn_protocols(self._protocols)
            return self._made

    def _read(self) -> ssl.SSLContext:
        file, folder = self._said
        if not file and not folder:
            made: ssl.SSLContext = self._library.http.create_ssl_context(trust_env=False)
            return made
        name = _NAMES[0 if file else 1]
        try:
            if file:
                return ssl.create_default_context(cafile=file)
            return ssl.create_default_context(capath=folder)
        except OSError as error:
            said = f"the certificates that {name} names cannot be read: {error}"
            raise ConfigurationError(said, billed="no") from error
