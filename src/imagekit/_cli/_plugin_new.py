"""The command that writes a plugin: a package that installs, conforms and makes a picture."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from datetime import date
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from urllib.parse import urlsplit

import click

from ._faults import EXIT_CODES

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", re.ASCII)
_LONGEST = 40
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
# What the templates call whatever is put in its place.
_URL, _DAY = "https://api.acme.example/v1", "2000-01-01"
_KEYED, _KEY = "NEEDS_KEY = True", 'api_key_env = "ACME_API_KEY"\n'
# Another each, so that the pictures of two that are made in one folder do not meet.
_PROMPTS = {"engine": "a red bicycle", "http": "a blue bicycle", "row": "a green bicycle"}
_EXPORT = "$ export ACME_API_KEY=…\n"
_WORDS = re.compile(
    "|".join(map(re.escape, (_URL, _DAY, _KEYED, _KEY, _EXPORT, "imagekit_acme", "ACME", "acme")))
)


@click.command(epilog=EXIT_CODES)
@click.argument("name")
@click.option("--http", "http", metavar="URL", help="It asks an API over HTTP, which is there.")
@click.option("--row", "row", metavar="URL", help="The host there speaks a known API: only data.")
@click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(),
    help="Where the package's own folder is made.  [default: here]",
)
@click.option("--force", is_flag=True, help="Even if NAME is somebody's already.")
def new(name: str, http: str | None, row: str | None, folder: Path, force: bool) -> None:
    """Write the package imagekit-NAME: a provider that works, to be made yours.

    Without --http and --row it draws in this process, with Python alone. What it writes installs,
    passes its conformance tests and makes a picture as it stands.
    """
    if http is not None and row is not None:
        raise click.UsageError("--http writes code, --row only data: say one of them")
    _check_name(name)
    url = http if http is not None else row
    if url is not None:
        _check_url(url, "--http" if row is None else "--row")
    if not force:
        _check_free(name)
    kind = "http" if http is not None else "row" if row is not None else "engine"
    template = _template(kind)
    target = folder / f"imagekit-{name}"
    written = _write(template, target, _meanings(name, url))
    click.echo(f"wrote {target}: {', '.join(written)}")
    click.echo("next:")
    for step in _steps(name, target, url, _PROMPTS[kind]):
        click.echo(f"  {step}")


def _check_name(name: str) -> None:
    if _NAME.fullmatch(name) and len(name) <= _LONGEST and not name.startswith("imagekit-"):
        return
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-0123456789").removeprefix("imagekit-")
    better = f"; say {plain[:_LONGEST]}" if _NAME.fullmatch(plain[:_LONGEST]) else ""
    raise click.UsageError(
        f"NAME {name!r}: small letters and digits, with single hyphens between, at most "
        f"{_LONGEST}; the package is called imagekit-NAME{better}"
    )


def _check_url(url: str, option: str) -> None:
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise click.UsageError(f"{option} {url!r}: {error}") from None
    local = parts.hostname in _LOOPBACK
    if not parts.hostname or parts.scheme not in (("https", "http") if local else ("https",)):
        raise click.UsageError(f"{option} {url!r}: an https address, or http on this machine")
    if parts.query or parts.fragment or parts.username or not re.fullmatch(r"[!#-\[\]-~]+", url):
        raise click.UsageError(f"{option} {url!r}: the address alone, without query or password")


def _check_free(name: str) -> None:
    """Raise where somebody has the name of the provider, the package or the module."""
    from importlib import metadata
    from importlib.util import find_spec

    from .._installed import installed

    module = _module(name)
    taken = [f"{one.distribution or one.module} has it" for one in installed() if one.name == name]
    taken += [
        f"the distribution {one.metadata['Name']} is installed"
        for one in metadata.distributions(name=f"imagekit-{name}")
    ]
    taken += [f"there is a module {module}"] if not taken and find_spec(module) else []
    if taken:
        raise click.UsageError(f"NAME {name!r} is taken: {taken[0]}; --force writes it still")


def _module(name: str) -> str:
    return f"imagekit_{name.replace('-', '_')}"


def _meanings(name: str, url: str | None) -> dict[str, str]:
    """What is put in the place of which word of a template."""
    keyed = _is_keyed(url)
    variable = name.upper().replace("-", "_")
    return {
        "imagekit_acme": _module(name),
        "acme": name,
        "ACME": variable,
        _DAY: date.today().isoformat(),
        _URL: (url or "").rstrip("/"),
        _KEYED: f"NEEDS_KEY = {keyed}",
        _KEY: _KEY.replace("ACME", variable) if keyed else "",
        _EXPORT: _EXPORT.replace("ACME", variable) if keyed else "",
    }


def _is_keyed(url: str | None) -> bool:
    """Whether a host at *url* will want a key; one on this machine wants none."""
    return url is not None and urlsplit(url).hostname not in _LOOPBACK


def _template(kind: str) -> Traversable:
    """The folder of a template; that of rows is shipped by whoever reads them."""
    from importlib.util import find_spec

    from .._installed import installed

    own = files(__package__) / "templates" / kind
    if own.is_dir():
        return own
    for package in sorted({one.module.partition(":")[0].partition(".")[0] for one in installed()}):
        found = find_spec(package)
        for place in (found and found.submodule_search_locations) or ():
            if (there := Path(place, "templates", kind)).is_dir():
                return there
    raise click.UsageError(
        f"no installed plugin has a template for --{kind}: install one that reads such data; "
        "the README lists them"
    )


def _write(template: Traversable, target: Path, meanings: Mapping[str, str]) -> list[str]:
    """Write the *template* to *target*, which must not be there; says what was written."""
    try:
        target.mkdir()
    except FileExistsError:
        raise click.UsageError(f"{str(target)!r} is there already: nothing was written") from None
    except OSError as error:
        raise click.UsageError(f"{str(target)!r} cannot be made: {error.strerror}") from error
    written = []
    for path, text in _files(template):
        place = target / _meant(path, meanings)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(_meant(text, meanings), encoding="utf-8", newline="\n")
        written.append(place.relative_to(target).as_posix())
    return sorted(written)


def _files(folder: Traversable, outer: str = "") -> Iterator[tuple[str, str]]:
    """Every file of a template, by its place in the package, and its text."""
    for one in folder.iterdir():
        if one.is_dir():
            yield from _files(one, f"{outer}{one.name}/")
        else:
            yield f"{outer}{one.name.removesuffix('.txt')}", one.read_text(encoding="utf-8")


def _meant(text: str, meanings: Mapping[str, str]) -> str:
    return _WORDS.sub(lambda found: meanings[found[0]], text)


def _steps(name: str, target: Path, url: str | None, prompt: str) -> Iterator[str]:
    yield f"pip install -e {shlex.quote(str(target))}"
    yield f"imagekit plugin check {name}"
    if _is_keyed(url):
        yield f"export {name.upper().replace('-', '_')}_API_KEY=…"
    yield f'imagekit generate "{prompt}" -p {name}'
