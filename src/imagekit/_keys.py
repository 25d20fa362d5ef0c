"""Keys: as they are, or from a callable that is asked anew for each request."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ._errors import ConfigurationError, ImagekitError, MissingCredentialError
from ._flow import Effects, call
from ._http import HttpRequest, Key


def credential(key: Key | None) -> Effects[str | None]:
    """The key itself, asked of whatever gives it; None where there is none.

    What the callable raises is a `ConfigurationError`, unless it is one of ours.
    """
    if key is None or isinstance(key, str):
        return key or None
    try:
        found = yield from call(key)
    except ImagekitError:
        raise
    except Exception as error:
        raise ConfigurationError(
            f"the callable that gives the key failed: {type(error).__name__}; call it by itself to "
            "see why",
            billed="no",
        ) from None  # what it says may be the secret
    if not isinstance(found, str) or not found:
        kind = "an empty key" if found == "" else type(found).__name__
        raise ConfigurationError(f"the callable that gives the key gave {kind}", billed="no")
    return found


def header(
    name: str, key: Key | None, prefix: str = ""
) -> Callable[[HttpRequest], Effects[Mapping[str, str]]]:
    """An `Endpoint.authorize` that proves who is calling by one header: *prefix* and the key.

    Without a key a call ends in a `MissingCredentialError`.
    """

    def authorize(request: HttpRequest) -> Effects[Mapping[str, str]]:
        found = yield from credential(key)
        if found is None:
            raise MissingCredentialError("the provider wants an API key: pass api_key=")
        return {name: f"{prefix}{found}"}

    return authorize


def bearer(key: Key | None) -> Callable[[HttpRequest], Effects[Mapping[str, str]]]:
    """An `Endpoint.authorize` that proves who is calling by `Authorization: Bearer <key>`.

    Without a key a call ends in a `MissingCredentialError`.
    """
    return header("authorization", key, "Bearer ")
