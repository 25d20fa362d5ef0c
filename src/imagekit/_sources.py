"""Keys where they are kept: in a file that holds nothing else, or in the system's keyring."""

from __future__ import annotations

import os
import re
import stat
import threading
from collections.abc import Callable
from pathlib import Path

from ._errors import ConfigurationError

LARGEST_KEY = 16 * 2**10


def contents(path: Path, what: str, largest: int) -> bytes:
    """The bytes of *what* lies at *path*; it is a plain file of *largest* bytes at the most."""
    try:
        # Looked at before it is opened: a pipe would have us wait.
        if not stat.S_ISREG(path.stat().st_mode):
            why = "it is no plain file"
        else:
            with path.open("rb") as file:
                data = file.read(largest + 1)
            if len(data) <= largest:
                return data
            why = f"it is larger than {largest} bytes"
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "that is no path"
    raise ConfigurationError(f"{what} {shown(str(path))}: {why}", billed="no")


def key_in(path: str | os.PathLike[str]) -> str:
    """The key that the file at *path* holds, without the end of its line."""
    path = Path(path).expanduser()
    data = contents(path, "the key file", LARGEST_KEY)
    try:
        key = data.decode("utf-8-sig").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        key = "\0"
    if not key:
        why = "it is empty"
    elif len(key.split()) != 1 or key.split()[0] != key:
        why = "it holds more than the key: spaces, or several lines"
    elif not (key.isascii() and key.isprintable()):
        why = "it holds what is no text, or what no header may"
    else:
        return key
    raise ConfigurationError(f"the key file {shown(str(path))}: {why}", billed="no")


def kept_in(place: str) -> str:
    """The key that the system's keyring keeps at *place*, a "service/username"."""
    service, _, username = place.rpartition("/")
    try:
        import keyring
    except ImportError:
        raise ConfigurationError(
            "keys from the system's keyring are an extra: pip install 'imagekit[keyring]'",
            billed="no",
        ) from None
    try:
        key = keyring.get_password(service, username)
    except Exception as error:
        # Backends are other people's: they raise what they like, and may quote what they found.
        why = type(error).__name__
        raise ConfigurationError(f"the keyring cannot be read: {why}", billed="no") from None
    if not key:
        raise ConfigurationError(
            f"the keyring holds no key for {username!r} at {service!r}; "
            f"`keyring set {service} {username}` puts one there",
            billed="no",
        )
    return key


def from_file(path: str | os.PathLike[str]) -> Callable[[], str]:
    """What reads the key file at *path* anew for each request, for it may be replaced."""
    return lambda: key_in(path)


def from_keyring(place: str) -> Callable[[], str]:
    """What asks the keyring for *place*, and only once, for it may ask its user."""
    lock = threading.Lock()
    found: list[str] = []

    def ask() -> str:
        with lock:
            if not found:
                found.append(kept_in(place))
            return found[0]

    return ask


def shown(word: str) -> str:
    """*word*, unless it may be a key that stands where the name of its place should."""
    name = re.split(r"[/\\]", word)[-1]
    keylike = len(name) >= 20 and not set(name) & set(". ") and len(re.findall(r"\d", name)) > 1
    return "(not shown, for it looks like a key)" if keylike else word
