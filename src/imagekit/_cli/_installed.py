"""The commands that list what there is: providers, models."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from ._faults import exit_code, message, say
from ._words import one_line

if TYPE_CHECKING:
    from .._capabilities import Capabilities, SizeRule


def table(rows: Sequence[Sequence[str]]) -> None:
    """Print *rows* in columns, the first of them as a heading."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for number, row in enumerate(rows):
        line = "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True))
        click.secho(line.rstrip(), bold=number == 0)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Say it in one JSON array.")
def providers(as_json: bool) -> None:
    """List the installed providers, importing none of them."""
    from .._plugins import disabled, installed

    found, off = installed(), disabled()
    if as_json:
        rows = [
            {
                "name": one.name,
                "distribution": one.distribution,
                "version": one.version,
                "module": one.module,
                "disabled": one.name in off,
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
                        "disabled" if one.name in off else "",
                    )
                    for one in found
                ),
            ]
        )


@click.command()
@click.option("-p", "--provider", help="Whose models.  [default: everybody's]")
@click.option("--json", "as_json", is_flag=True, help="Say it in one JSON array.")
def models(provider: str | None, as_json: bool) -> int:
    """List the providers' models and what the default one can do."""
    from .._client import Client
    from .._errors import ImagekitError

    code, rows = 0, []
    with Client() as client:
        for name in [provider] if provider else client.providers():
            try:
                able = client.capabilities(provider=name)
                named = getattr(client._calls.providers.provider(name), "models", ())
            except ImagekitError as error:
                # With one asked for, whose fault it is; with all, that some of it is missing.
                code = exit_code(error) if provider else 1
                rows.append({"provider": name, "error": message(error)})
                if not as_json:
                    say(error)
            else:
                rows.append(_row(name, able, tuple(named)))
                if not as_json:
                    _show(name, able, tuple(named))
    if as_json:
        click.echo(json.dumps(rows))
    return code


def _row(name: str, able: Capabilities, named: tuple[str, ...]) -> dict[str, Any]:
    return {"provider": name, "models": list(named), "default": able.model_dump(mode="json")}


def _show(name: str, able: Capabilities, named: tuple[str, ...]) -> None:
    click.secho(f"{name}  {able.model or '(no model of its own)'}", bold=True)
    emulated = f" (emulated: {', '.join(sorted(able.emulates))})" if able.emulates else ""
    facts = {
        "makes": ", ".join(sorted(able.operations)) + emulated,
        "pictures": f"up to {able.max_images} in one request" if able.max_images else "",
        "inputs": f"up to {able.max_inputs}" if able.max_inputs is not None else "",
        "mask": f"edits where it is {able.mask}" if able.mask else "",
        "streams": "yes" if able.streaming else "",
        "sizes": _sizes(able.size) if able.size else "",
        **{one: str(known) for one, known in sorted(able.parameters.items())},
        "source": " ".join(str(word) for word in (able.source, able.as_of) if word),
        "models": ", ".join(named),
    }
    for fact, words in facts.items():
        if words:
            click.echo(f"  {fact:<18} {one_line(words)}")


def _sizes(rule: SizeRule) -> str:
    if rule.sizes:
        return ", ".join(rule.sizes)
    least = -(-rule.low_edge // rule.multiple) * rule.multiple
    edges = f"{least} to {rule.high_edge or 'any'} a side"
    words = [edges, f"multiples of {rule.multiple}" if rule.multiple > 1 else ""]
    words += [f"at most {rule.ratio:g}:1" if rule.ratio else ""]
    return ", ".join(word for word in words if word)
