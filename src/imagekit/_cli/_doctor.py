"""The command that says what is wrong with an installation, and that nothing is."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import click

from ._words import scrubbed

if TYPE_CHECKING:
    from .._client import Client

MARKS = {"ok": "green", "note": "yellow", "broken": "red"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    verdict: Literal["ok", "note", "broken"]
    what: str
    detail: str


@click.command()
def doctor() -> int:
    """Look at Python, the extras and each installed provider; exit with 1 if one is broken."""
    broken = False
    for finding in _findings():
        broken |= finding.verdict == "broken"
        mark = click.style(f"{finding.verdict:<6}", fg=MARKS[finding.verdict])
        click.echo(f"{mark}  {scrubbed(finding.what):<18}  {scrubbed(finding.detail)}")
    return 1 if broken else 0


def _findings() -> Iterator[Finding]:
    from .._clash import clash
    from .._version import version

    yield Finding("ok", "python", f"{platform.python_version()}, {platform.system()}")
    yield Finding("ok", "imagekit", version())
    if found := clash():
        yield Finding("broken", "import name", found)
    yield from _extras()
    yield from _choice()
    yield from _providers()


def _extras() -> Iterator[Finding]:
    """What the distribution's own metadata calls optional, and what of it is installed."""
    from importlib import metadata

    wanted: dict[str, list[str]] = {}
    for line in metadata.requires("imagekit") or ():
        extra = re.search(r"""extra\s*==\s*["']([\w.-]+)["']""", line)
        name = re.match(r"[\w.-]+", line)
        if extra and name and extra[1] != "dev":
            wanted.setdefault(extra[1], []).append(name[0])
    for extra_name, names in wanted.items():
        there, missing = [], []
        for name_ in names:
            try:
                there.append(f"{name_} {metadata.version(name_)}")
            except metadata.PackageNotFoundError:
                missing.append(name_)
        if missing:
            lacks = f"without {', '.join(missing)}: pip install 'imagekit[{extra_name}]'"
            yield Finding("note", f"[{extra_name}]", lacks)
        else:
            yield Finding("ok", f"[{extra_name}]", ", ".join(there))


def _choice() -> Iterator[Finding]:
    """Who makes pictures where nobody is named, and who says so."""
    from .._plugins import disabled, installed, names

    chosen = os.environ.get("IMAGEKIT_PROVIDER")
    if not chosen:
        yield Finding("ok", "by default", "nobody: say -p, or set IMAGEKIT_PROVIDER")
    elif chosen in names():
        yield Finding("ok", "by default", f"{chosen}, from IMAGEKIT_PROVIDER in the environment")
    else:
        detail = f"IMAGEKIT_PROVIDER in the environment says {chosen!r}, which there is not"
        yield Finding("broken", "by default", detail)
    for name in sorted(disabled() - {one.name for one in installed()}):
        detail = f"IMAGEKIT_DISABLED_PLUGINS names {name!r}, which is not installed"
        yield Finding("note", "disabled", detail)


def _providers() -> Iterator[Finding]:
    """Each provider: built, asked what it can do, and not asked for anything else."""
    from .._client import Client
    from .._plugins import disabled, installed

    found = {one.name: one for one in installed()}
    if not found:
        detail = "none is installed; `pip install imagekit-sketch` needs no key"
        yield Finding("note", "providers", detail)
    with Client() as client:
        for name, one in found.items():
            where = f"{one.distribution or one.module} {one.version or ''}".rstrip()
            if name in disabled():
                yield Finding("note", name, f"{where}, disabled by IMAGEKIT_DISABLED_PLUGINS")
            else:
                yield _loaded(client, name, where)


def _loaded(client: Client, name: str, where: str) -> Finding:
    from .._errors import ConfigurationError, ImagekitError

    try:
        able = client.capabilities(provider=name)
        endpoint = client._calls.providers.provider(name).endpoint
    except ConfigurationError as error:
        return Finding("note", name, f"{where}, not set up: {error}")
    except ImagekitError as error:
        return Finding("broken", name, f"{where}: {error}")
    if endpoint is not None and endpoint.missing is not None:
        return Finding("note", name, f"{where}, not set up: {endpoint.missing}")
    model = f"model {able.model}" if able.model else "no model of its own"
    return Finding("ok", name, f"{where}, {model}")
