"""The commands about installed plugins: which there are, in what state, and where their code is."""

from __future__ import annotations

import click

from ._plugin_check import check
from ._plugin_new import new
from ._plugin_seen import list_, path


@click.group()
def plugin() -> None:
    """Write, check and find plugins."""


plugin.add_command(new)
plugin.add_command(check)
plugin.add_command(list_)
plugin.add_command(path)
