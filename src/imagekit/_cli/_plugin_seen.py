"""The commands that say which plugins there are, in what state, and where their code is."""

from __future__ import annotations

import json
from contextlib import suppress
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ._chosen import config, config_option
from ._installed import table
from ._looked import seen
from ._words import scrubbed

if TYPE_CHECKING:
    from .._installed import Found


@click.command("list")
@config_option
@click.option("--json", "as_json", is_flag=True, help="Say it in one JSON array.")
def list_(as_json: bool) -> int:
    """List the installed plugins, each in its state: ok, not set up, hidden, disabled or broken.

    Each is imported and built, side by side and for a limited time; `imagekit providers` imports
    none. Exits with 1 if one is broken.
    """
    from .._client import Client

    with Client(config=config()) as client:
        known = seen(client)
    rows = [
        {
            "name": one.found.name,
            "distribution": one.found.distribution,
            "version": one.found.version,
            "contract": one.contract,
            "state": one.state,
            "detail": scrubbed(one.detail),
        }
        for one in known
    ]
    if as_json:
        click.echo(json.dumps(rows))
    elif not rows:
        click.echo("no plugin is installed; `pip install imagekit-sketch` needs no key", err=True)
    else:
        columns = ("name", "distribution", "version", "contract", "state")
        words = [[str(row[name] or "-") for name in columns] for row in rows]
        details = [str(row["detail"]) for row in rows]
        heading = [*(name.upper() for name in columns), ""]
        told = [[*line, detail] for line, detail in zip(words, details, strict=True)]
        table([heading, *told])
    return 1 if any(one.state == "broken" for one in known) else 0


@click.command()
@click.argument("name")
def path(name: str) -> None:
    """Print the folder of the code of the plugin NAME, or its one file; imports nothing.

    Where several distributions have the name, each on a line.
    """
    from .._errors import ConfigurationError
    from .._installed import installed, nobody_called

    known = installed()
    mine = [one for one in known if one.name == name]
    if not mine:
        raise nobody_called(name, tuple(sorted({one.name for one in known})))
    for one in mine:
        place = _place(one)
        if place is None:
            raise ConfigurationError(
                f"the code of {name!r} is not there: {one.origin} is broken, install it again"
            )
        click.echo(str(place))


def _place(found: Found) -> Path | None:
    """The folder of the first package of what *found* names, or the file of its module."""
    import importlib.util

    spec: ModuleSpec | None = None
    whole = ""
    for word in found.module.partition(":")[0].strip().split("."):
        whole = f"{whole}.{word}" if whole else word
        if spec is not None:
            spec = PathFinder.find_spec(whole, spec.submodule_search_locations)
        else:
            with suppress(ValueError):  # no name of a module, or of one that was made up
                # The finders of editable installations know first names only.
                spec = importlib.util.find_spec(whole)
        if spec is None:
            return None
        if spec.origin is not None:
            file = Path(spec.origin)
            return file.parent if spec.submodule_search_locations is not None else file
    return None
