"""What went wrong: whose fault it is, as an exit code and in words."""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from typing import Any

import click

from .._errors import (
    BudgetExceededError,
    ConfigurationError,
    ContentRejectedError,
    ImagekitError,
    MissingCredentialError,
    ProtocolError,
    ProviderError,
    RequestError,
    TransportError,
)
from ._stopped import Stopped
from ._words import VARIABLES, scrubbed

EXIT_CODES = """\b
Exit codes, by whose fault it is:
  0    everything came
  1    some of it: the pictures that came are saved, the others are named
  2    you: what was asked, or how imagekit is set up; nothing was sent
  3    the provider said no
  4    nobody answered, or not in time
  5    an answer came that cannot be read
  6    a plugin is broken (or imagekit is; IMAGEKIT_DEBUG=1 shows where)
  7    not done yet: the job goes on (resume --no-wait)
  130  stopped by Ctrl-C; by SIGTERM it is 143, by SIGHUP 129
"""

UNFINISHED, STOPPED = 7, 128
_FAULTS: tuple[tuple[type[Exception], int], ...] = (
    (click.ClickException, 2),
    (ConfigurationError, 2),
    (RequestError, 2),
    (ProviderError, 3),
    (TransportError, 4),
    (ProtocolError, 5),
)


def exit_code(error: BaseException) -> int:
    """Whose fault *error* is."""
    if isinstance(error, click.Abort | KeyboardInterrupt):
        by = _stop(error)
        return STOPPED + (by.number if by else signal.SIGINT)
    return next((code for kind, code in _FAULTS if isinstance(error, kind)), 6)


def _stop(error: BaseException) -> Stopped | None:
    """The signal that stopped the command, if it was not Ctrl-C's."""
    found = error.__cause__ if isinstance(error, click.Abort) else error
    return found if isinstance(found, Stopped) else None


def told(error: BaseException, *, as_json: bool = False) -> int:
    """Say what went wrong, in a line and its hints or as JSON; returns the exit code."""
    if as_json:
        click.echo(dumped({"ok": False, "error": as_data(error)}))
    else:
        say(error)
    return exit_code(error)


def dumped(data: object) -> str:
    """*data* as JSON, whatever a plugin put into it."""
    return json.dumps(data, default=str)


def say(error: BaseException, *, free: bool = False) -> None:
    """One line on standard error, and the hints there are; a traceback only where asked for.

    *free* says that nothing can have been charged for.
    """
    if os.environ.get("IMAGEKIT_DEBUG") == "1":
        traceback.print_exception(error, file=sys.stderr)
    click.secho(f"imagekit: {message(error)}", fg="red", err=True)
    for one in _hints(error, free):
        hint(one)


def hint(text: object) -> None:
    """One line on standard error that says what else there is to know, or to do."""
    click.echo(f"  {scrubbed(text)}", err=True)


def message(error: BaseException) -> str:
    """What *error* says, in one line."""
    if isinstance(error, click.Abort | KeyboardInterrupt):
        return str(_stop(error) or "stopped")
    if isinstance(error, click.ClickException):
        return scrubbed(error.format_message())
    if isinstance(error, ImagekitError):
        return scrubbed(error) or type(error).__name__
    return f"this should not have happened: {scrubbed(repr(error))}"


def as_data(error: BaseException, *, free: bool = False) -> dict[str, Any]:
    """What is known of *error*, for JSON."""
    known = (
        "provider", "status", "code", "param", "request_id", "retry_after", "billed",
        "stage", "categories", "checkpoint",
    )  # fmt: skip
    about: dict[str, Any] = {}
    if isinstance(error, ImagekitError):
        about = {name: getattr(error, name) for name in known if hasattr(error, name)}
        about["attempts"] = [one.model_dump(mode="json") for one in error.attempts]
        if isinstance(error, BudgetExceededError):
            about["estimate"] = error.estimate and error.estimate.model_dump(mode="json")
    elif isinstance(error, KeyboardInterrupt):
        about["billed"] = "no" if free else "possibly"
    return {"class": type(error).__name__, "message": message(error), **about}


def _hints(error: BaseException, free: bool) -> Iterator[str]:
    if isinstance(error, click.UsageError) and error.ctx is not None:
        yield f"{error.ctx.command_path} --help says more"
    if isinstance(error, KeyboardInterrupt) and not free:
        yield "the provider may charge for what it had begun"
    if not isinstance(error, ImagekitError):
        return
    if isinstance(error, ConfigurationError):
        yield from _here(error)
    if isinstance(error, BudgetExceededError) and "allow_unknown" in str(error):
        yield "on the command line: --budget has --allow-unknown-cost beside it"
    if isinstance(error, ContentRejectedError) and error.categories:
        yield f"objected to: {', '.join(error.categories)}"
    said = [f"status {error.status}"] if error.status is not None else []
    said += [f"code {error.code}"] if error.code else []
    said += [f"parameter {error.param}"] if error.param else []
    if said:
        yield ", ".join(said)
    if error.request_id:
        yield f"request id {error.request_id}"
    if error.retry_after is not None:
        yield f"try again in {error.retry_after:g} s"
    if error.billed in ("possibly", "yes"):
        yield {"possibly": "it may have been charged for", "yes": "it was charged for"}[
            error.billed
        ]


def _here(error: ConfigurationError) -> Iterator[str]:
    """What the command line calls that which the message calls as Python does."""
    if isinstance(error, MissingCredentialError):
        named = VARIABLES.search(str(error))
        variable = named[0] if named else "the environment variable it names"
        yield f"the command line takes no key: set {variable}"
    elif "provider=" in str(error):
        yield "on the command line: say -p/--provider"


def warn(text: object) -> None:
    """One yellow line on standard error."""
    click.secho(f"imagekit: {scrubbed(text)}", fg="yellow", err=True)


def fail(text: object) -> None:
    """One red line on standard error."""
    click.secho(f"imagekit: {scrubbed(text)}", fg="red", err=True)
