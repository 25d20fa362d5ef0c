"""The commands that list what there is: providers, models."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from ._chosen import config, config_option
from ._facts import basics, every_fact
from ._faults import exit_code, message, say
from ._looked import TooSlow, side_by_side
from ._words import one_line

if TYPE_CHECKING:
    from .._beside import ModelInfo
    from .._capabilities import Capabilities, Lifecycle
    from .._client import Client


def table(rows: Sequence[Sequence[str]]) -> None:
    """Print *rows* in columns, the first of them as a heading."""
    rows = [[one_line(word) for word in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for number, row in enumerate(rows):
        line = "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True))
        click.secho(line.rstrip(), bold=number == 0)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Say it in one JSON array.")
def providers(as_json: bool) -> None:
    """List the installed providers, importing none of them."""
    from .._installed import disabled, installed

    found, off = installed(), disabled()
    if as_json:
        rows = [
            {
                "name": one.name,
                "distribution": one.distribution,
                "version": one.version,
                "module": one.module,
                "disabled": one.ruled_out(off) is not None,
            }
            for one in found
        ]
        click.echo(json.dumps(rows))
    elif not found:
        click.echo("no provider is installed; `pip install imagekit-sketch` needs no key", err=True)
    else:
        heading = ("NAME", "DISTRIBUTION", "VERSION", "MODULE", "")
        table(
            [
                heading,
                *(
                    (
                        one.name,
                        one.distribution or "?",
                        one.version or "?",
                        one.module,
                        "disabled" if one.ruled_out(off) else "",
                    )
                    for one in found
                ),
            ]
        )


@click.command()
@click.option("-p", "--provider", help="Whose models.  [default: everybody's]")
@click.option("-m", "--model", help="What this one can do, in place of the default one.")
@click.option("--capabilities", is_flag=True, help="All that is known, and where it is from.")
@click.option("--live", is_flag=True, help="Ask the provider what it has just now.")
@click.option("--base-url", metavar="URL", help="Where the provider is; wants --provider.")
@config_option
@click.option("--json", "as_json", is_flag=True, help="Say it in one JSON array.")
def models(
    provider: str | None,
    model: str | None,
    capabilities: bool,
    live: bool,
    base_url: str | None,
    as_json: bool,
) -> int:
    """List the providers' models and what the default one can do.

    With --capabilities, each fact with its source, and which of them your own file says. With
    --live, list what the providers themselves say that they have, which needs a key.
    """
    from .._client import Client
    from .._errors import ImagekitError, PluginError, UnsupportedRequestError
    from .._installed import remedy

    if base_url is not None and provider is None:
        raise click.UsageError("--base-url wants --provider too: whose is it?")
    if live and (capabilities or model):
        raise click.UsageError("--live lists what there is: it takes no --capabilities or --model")
    code, rows = 0, []
    with Client(provider=provider, base_url=base_url, config=config()) as client:
        if model and provider is None:
            provider, model = client._calls.providers.chosen(None, model)
        wanted = [provider] if provider else client.providers()
        # With one asked for, its user may wait for it; with all, none keeps the others waiting.
        slow = {} if provider else _slow(client, wanted)
        for name in wanted:
            try:
                if name in slow:
                    raise PluginError(f"provider {name!r} {slow[name]}{remedy(name)}")
                if live:
                    rows.append(_live(client, name, tell=not as_json))
                else:
                    say_all = every_fact if capabilities else _known
                    rows.append(say_all(client, name, model, tell=not as_json))
            except ImagekitError as error:
                if live and provider is None and isinstance(error, UnsupportedRequestError):
                    continue
                # With one asked for, whose fault it is; with all, that some of it is missing.
                code = exit_code(error) if provider else 1
                rows.append({"provider": name, "error": message(error)})
                if not as_json:
                    say(error)
    if as_json:
        click.echo(json.dumps(rows))
    return code


def _slow(client: Client, names: Sequence[str]) -> dict[str, Exception]:
    """Those of *names* that do not say in time what they can do."""
    looks = {name: partial(_asked, client, name) for name in names}
    came = side_by_side(looks)
    return {name: one for name, one in came.items() if isinstance(one, TooSlow)}


def _asked(client: Client, name: str) -> None:
    client.capabilities(provider=name)
    client._calls.providers.models(name)


def _known(client: Client, name: str, model: str | None, *, tell: bool) -> dict[str, Any]:
    able = client.capabilities(model, provider=name)
    named = client._calls.providers.models(name)
    lives = {one: client.capabilities(one, provider=name).lifecycle for one in named}
    if tell:
        _show(name, able, lives)
    default = able.model_dump(mode="json")
    told = {one: life.model_dump(mode="json", exclude_none=True) for one, life in lives.items()}
    return {"provider": name, "models": list(named), "lifecycles": told, "default": default}


def _live(client: Client, name: str, *, tell: bool) -> dict[str, Any]:
    found = client.models(provider=name)
    if tell:
        _list(name, found)
    return {"provider": name, "models": [one.model_dump(mode="json") for one in found]}


def _list(name: str, found: Sequence[ModelInfo]) -> None:
    click.secho(one_line(name), bold=True)
    for one in sorted(found, key=lambda one: one.id):
        words = [one.owner or "", f"since {one.created:%Y-%m-%d}" if one.created else ""]
        words += [f"ends {one.shuts_down}" if one.shuts_down else ""]
        about = ", ".join(one_line(word) for word in words if word)
        click.echo(f"  {one_line(one.id):<34} {about}".rstrip())


def _show(name: str, able: Capabilities, lives: Mapping[str, Lifecycle]) -> None:
    model = one_line(able.model or "(no model of its own)")
    click.secho(f"{one_line(name)}  {model}", bold=True)
    facts = {**basics(able), **{one: str(known) for one, known in sorted(able.parameters.items())}}
    facts["source"] = " ".join(str(word) for word in (able.source, able.as_of) if word)
    for fact, words in facts.items():
        if words:
            click.echo(f"  {one_line(fact):<18} {one_line(words)}")
    days = {
        one_line(one): one_line(life.model_copy(update={"replaced_by": None}))
        for one, life in lives.items()
    }
    if set(days.values()) <= {"unknown"}:
        days = {", ".join(days): ""} if days else {}
    for number, (one, day) in enumerate(days.items()):
        click.echo(f"  {'' if number else 'models':<18} {one:<24} {day}".rstrip())
