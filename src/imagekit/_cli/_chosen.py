"""The option that names a configuration file, for every command and before any of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])


def _keep(context: click.Context, parameter: click.Parameter, path: str | None) -> None:
    if path is not None:
        context.find_root().obj = path


def config_option(function: Function) -> Function:
    """Give a command `--config`."""
    return click.option(
        "--config",
        metavar="PATH",
        expose_value=False,
        callback=_keep,
        help="Settings and profiles.  [default: $IMAGEKIT_CONFIG, else your own imagekit.toml]",
    )(function)


def config() -> str | None:
    """The file that was named, if one was."""
    found: str | None = click.get_current_context().find_root().obj
    return found
