"""A look at each plugin: side by side, for a limited time, whatever it does meanwhile."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

from .._errors import PluginError

if TYPE_CHECKING:
    from .._client import Client
    from .._installed import Found

T = TypeVar("T")
State = Literal["ok", "not set up", "hidden", "disabled", "broken"]

# Seconds that a plugin has to be imported, built and asked what it can do.
LIMIT = 5.0
# Characters that are told of what a plugin says.
MOST = 1000


class TooSlow(Exception):  # noqa: N818  # no error of ours: it says what became of a look
    """What was looked at gave no answer in time, and nobody knows whether it will."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look at one installed provider came to."""

    found: Found
    state: State
    detail: str
    contract: int | None = None


def side_by_side(looks: Mapping[str, Callable[[], T]]) -> dict[str, T | Exception]:
    """What each of *looks* gave, or raised, in their order; `TooSlow` for one that hangs.

    They have `LIMIT` seconds together. What a plugin prints meanwhile goes to standard error.
    """
    came: dict[str, T | Exception] = {}

    def look(name: str, one: Callable[[], T]) -> None:
        try:
            came[name] = one()
        except Exception as error:
            came[name] = error
        except BaseException as error:  # no Ctrl-C is told to a thread: it is the plugin's own
            came[name] = PluginError(f"provider {name!r} raised {type(error).__name__}")

    threads = [
        threading.Thread(target=look, args=given, daemon=True, name=f"imagekit looks at {given[0]}")
        for given in looks.items()
    ]
    until = time.monotonic() + LIMIT
    with redirect_stdout(sys.stderr):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
    late = TooSlow(f"gave no answer within {LIMIT:g} s: it hangs, or is very slow")
    return {name: came.get(name, late) for name in looks}


def brief(words: str) -> str:
    """*words* as far as they have room in a line."""
    return words if len(words) <= MOST else f"{words[:MOST]}…"


def seen(client: Client) -> list[Seen]:
    """A look at each installed provider. What is disabled is not imported."""
    from .._installed import VARIABLE, disabled, installed, remedy

    off, all_of_them = disabled(), installed()
    profiles = client._calls.providers.profiles
    looks: dict[str, Callable[[], Seen]] = {}
    told: dict[Found, Seen] = {}
    for one in all_of_them:
        profile = profiles.get(one.name)
        if word := one.ruled_out(off):
            why = "" if word == one.name else f"={word}"
            told[one] = Seen(one, "disabled", f"by {VARIABLE}{why}")
        elif profile is not None and profile.provider != one.name:
            detail = f"behind your profile of that name, which is of {profile.provider}"
            told[one] = Seen(one, "hidden", f"{detail}: rename the profile to use it")
        else:
            looks[one.name] = _look_at(client, one)
    came = side_by_side(looks)
    for one in all_of_them:
        if one in told:
            continue
        answer = came[one.name]
        if isinstance(answer, Exception):
            told[one] = Seen(one, "broken", f"{brief(str(answer))}{remedy(one.name)}")
        else:
            told[one] = Seen(one, answer.state, brief(answer.detail), answer.contract)
    return [told[one] for one in all_of_them]


def _look_at(client: Client, one: Found) -> Callable[[], Seen]:
    from .._errors import ConfigurationError, ImagekitError
    from .._installed import contract_of

    def look() -> Seen:
        try:
            able = client.capabilities(provider=one.name)
            client._calls.providers.models(one.name)
            endpoint = client._calls.providers.address(one.name)
        except ConfigurationError as error:
            return Seen(one, "not set up", str(error), contract_of(one))
        except ImagekitError as error:
            return Seen(one, "broken", str(error), contract_of(one))
        if endpoint is not None and endpoint.missing is not None:
            return Seen(one, "not set up", endpoint.missing, contract_of(one))
        model = f"model {able.model}" if able.model else "no model of its own"
        return Seen(one, "ok", model, contract_of(one))

    return look
