"""The command that says what a language model would be offered: tools."""

from __future__ import annotations

import json

import click

from ._chosen import config, config_option


@click.command()
@click.option("-p", "--provider", help="Who makes the pictures.  [default: $IMAGEKIT_PROVIDER]")
@click.option("-m", "--model", help="The image model, or PROVIDER:MODEL.")
@click.option("--max-n", type=click.IntRange(1, 64), default=1, help="How many in one call.")
@config_option
@click.option("--flat", is_flag=True, help="In the style of the Responses API.")
def tools(provider: str | None, model: str | None, max_n: int, flat: bool) -> None:
    """Print, as JSON, the tools that a language model makes pictures with."""
    from .._client import Client
    from .._tools import image_tools

    with Client(config=config()) as client:
        made = image_tools(client, provider=provider, model=model, max_n=max_n)
    click.echo(json.dumps(made.flat_definitions if flat else made.definitions, indent=2))
