"""What is known of a model, fact by fact: each with its source, and whose patch it is."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from ._words import one_line

if TYPE_CHECKING:
    from .._capabilities import Capabilities, SizeRule, Source
    from .._client import Client

# What a line of `basics` tells, as the sources call it.
_FACTS = {
    "makes": "operations",
    "pictures": "max_images",
    "streamed": "max_images_streamed",
    "inputs": "max_inputs",
    "travel as": "inputs",
    "streams": "streaming",
    "sizes": "size",
    "prompt": "max_prompt",
    "jobs": "detaches",
}
_WIDE = 20


def basics(able: Capabilities) -> dict[str, str]:
    """What the model makes and takes, in words; what is unknown is empty."""
    emulated = f" (emulated: {', '.join(sorted(able.emulates))})" if able.emulates else ""
    return {
        "makes": ", ".join(sorted(able.operations)) + emulated,
        "pictures": f"up to {able.max_images} in one request" if able.max_images else "",
        "inputs": f"up to {able.max_inputs}" if able.max_inputs is not None else "",
        "mask": f"edits where it is {able.mask}" if able.mask else "",
        "streams": "yes" if able.streaming else "",
        "sizes": _sizes(able.size) if able.size else "",
    }


def every_fact(client: Client, name: str, model: str | None, *, tell: bool) -> dict[str, Any]:
    """All that is known of *model*, or of the default one: shown, and as JSON has it."""
    able = client.capabilities(model, provider=name)
    facts = {fact: (words, able.source_of(key)) for fact, (key, words) in _facts(able).items()}
    if tell:
        model = one_line(able.model or "(no model of its own)")
        _show(f"{one_line(name)}  {model}", facts)
    said = able.model_dump(mode="json")
    keys = [key for key, _ in _facts(able).values()]
    told = {key: one.model_dump(mode="json") for key in keys if (one := able.source_of(key))}
    return {"provider": name, "model": able.model, "capabilities": said, "sources": told}


def _facts(able: Capabilities) -> dict[str, tuple[str, str]]:
    """Each fact by its heading: its name, and what is known."""
    from .._prepared import SOFT

    known, prices, streamed = basics(able), able.prices, able.max_images_streamed
    words = {
        "lifecycle": str(able.lifecycle),
        "makes": known["makes"],
        "pictures": known["pictures"],
        "streams": "yes" if able.streaming else "no",
        "streamed": f"up to {streamed} in one request" if streamed else "",
        "jobs": "yes" if able.detaches else "no",
        "inputs": known["inputs"],
        "travel as": ", ".join(sorted(able.inputs)),
        "mask": known["mask"] or "no",
        "sizes": known["sizes"],
        "prompt": f"at most {able.max_prompt} characters" if able.max_prompt else "",
        "prices": ("free" if prices.free else f"in {prices.currency}") if prices else "",
    }
    facts = {fact: (_FACTS.get(fact, fact), said or "unknown") for fact, said in words.items()}
    facts |= {name: (name, str(able.supports(name))) for name in sorted({*SOFT, *able.parameters})}
    options = sorted(able.options.items())
    return facts | {name: (f"options.{name}", str(known)) for name, known in options}


def _show(heading: str, facts: Mapping[str, tuple[str, Source | None]]) -> None:
    """Each fact with the number of its source; those of the user's own file are marked."""
    from .._capabilities import Source

    click.secho(heading, bold=True)
    width = min(shutil.get_terminal_size().columns, 100)
    sources = dict.fromkeys(one for words, one in facts.values() if one and words != "unknown")
    sources.pop(Source(), None)
    numbers = {source: number for number, source in enumerate(sources, 1)}
    for fact, (words, source) in facts.items():
        number = numbers.get(source) if source and words != "unknown" else None
        mark = "*" if source and source.patch else " "
        about = f"{one_line(words)} [{number}]" if number else one_line(words)
        lines = textwrap.wrap(about, max(width - _WIDE - 3, 20), break_on_hyphens=False)
        for place, line in enumerate(lines):
            named = "" if place else one_line(fact)
            click.echo(f"{' ' if place else mark} {named:<{_WIDE}} {line}".rstrip())
    for source, number in numbers.items():
        click.secho(f"  [{number}] {one_line(str(source))}", dim=True)
    if any(source.patch for source in numbers):
        click.secho("  * your own patch", dim=True)


def _sizes(rule: SizeRule) -> str:
    if rule.shapes:
        return "; ".join(filter(None, (", ".join(rule.shapes), ", ".join(rule.tiers))))
    if rule.sizes:
        return ", ".join(rule.sizes)
    least = -(-rule.low_edge // rule.multiple) * rule.multiple
    edges = f"{least} to {rule.high_edge or 'any'} a side"
    words = [edges, f"multiples of {rule.multiple}" if rule.multiple > 1 else ""]
    words += [f"at most {rule.ratio:g}:1" if rule.ratio else ""]
    return ", ".join(word for word in words if word)
