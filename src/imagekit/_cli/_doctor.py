"""The command that says what is wrong with an installation, and that nothing is."""

from __future__ import annotations

import json
import os
import platform
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from .._sources import shown
from ._chosen import config, config_option
from ._looked import State, seen, side_by_side
from ._words import SECRET, VARIABLES, scrubbed

if TYPE_CHECKING:
    from .._client import Client
    from .._providers import Profile
    from .._settings import Said

MARKS = {"ok": "green", "note": "yellow", "broken": "red"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    verdict: Literal["ok", "note", "broken"]
    what: str
    detail: str


@click.command()
@config_option
@click.option("--json", "as_json", is_flag=True, help="Say it in one JSON object.")
def doctor(as_json: bool) -> int:
    """Look at Python, the extras, the configuration and each provider.

    Exits with 1 if one is broken. Says where each setting comes from, and never what a key is.
    """
    broken, found = False, []
    for finding in _findings(config()):
        broken |= finding.verdict == "broken"
        words = {name: scrubbed(getattr(finding, name)) for name in ("verdict", "what", "detail")}
        if as_json:
            found.append(words)
        else:
            mark = click.style(f"{finding.verdict:<6}", fg=MARKS[finding.verdict])
            click.echo(f"{mark}  {words['what']:<18}  {words['detail']}")
    if as_json:
        click.echo(json.dumps({"ok": not broken, "findings": found}))
    return 1 if broken else 0


def _findings(named: str | None) -> Iterator[Finding]:
    from .._clash import clash
    from .._client import Client
    from .._configuration import nested, said
    from .._errors import ConfigurationError
    from .._version import version

    yield Finding("ok", "python", f"{platform.python_version()}, {platform.system()}")
    yield Finding("ok", "imagekit", version())
    yield _http()
    if rival := clash():
        yield Finding("broken", "import name", rival)
    yield from _extras()
    try:
        found = said(named, os.environ)
        yield from _file(named)
        client = Client(config=named)
    except ConfigurationError as error:
        yield Finding("broken", "configuration", str(error))
        # All else is looked at as if there were none.
        rest = {name: os.environ[name] for name in os.environ.keys() - nested(os.environ).keys()}
        found, client = None, Client(config=False, env=rest)
    yield from _choice(found)
    if found is not None:
        yield from _settings(found)
    with client:
        yield from _providers(client)
        # By now each provider has said of which family it is.
        for words in client._calls.providers.stray():
            yield Finding("note", "capabilities", words)
        if found is not None:
            yield from _profiles(client, found)


def _http() -> Finding:
    """Which HTTP library is spoken, and who says so."""
    from .._errors import ConfigurationError
    from .._library import VARIABLE, chosen

    try:
        library = chosen()
    except ConfigurationError as error:
        return Finding("broken", "http", str(error))
    why = f", as {VARIABLE} says" if os.environ.get(VARIABLE) else ""
    return Finding("ok", "http", f"{library.name} {library.version}{why}")


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


def _file(named: str | None) -> Iterator[Finding]:
    """Which file is read, and whose it is."""
    from .._configuration import NAME, VARIABLE, located, usual_file

    path, whose = located(named, os.environ)
    if path is not None:
        by = {None: "", VARIABLE: f", named by {VARIABLE}"}.get(whose, ", named by --config")
        yield Finding("ok", "configuration", f"{path}{by}")
        yield from _open_to_others(path, "configuration", writable=True)
    elif whose is None:
        usual = usual_file()
        there = f"{usual} is not there" if usual else "nobody knows where your own would be"
        yield Finding("ok", "configuration", f"no file: {there}")
    else:
        yield Finding("ok", "configuration", "no file, as it was said")
    stray = Path.cwd() / NAME
    if stray.exists() and not (path and path.exists() and stray.samefile(path)):
        detail = f"{NAME} in this folder is not read: --config names it, if you trust it"
        yield Finding("note", "configuration", detail)


def _open_to_others(path: Path, what: str, *, writable: bool) -> Iterator[Finding]:
    """What somebody else can do with the file at *path*."""
    if sys.platform == "win32" or not path.exists():
        return
    about = path.stat()
    if about.st_uid not in (os.getuid(), 0):
        yield Finding("note", what, f"{shown(str(path))} is somebody else's")
    bits, verb, mode = (0o022, "write to", "go-w") if writable else (0o077, "get at", "600")
    if about.st_mode & bits:
        yield Finding("note", what, f"others can {verb} {shown(str(path))}: chmod {mode} it")


def _choice(found: Said | None) -> Iterator[Finding]:
    """Who makes pictures where nobody is named, and who says so."""
    from .._installed import disabled, installed, names

    known = {*names(), *(found.settings.profiles if found else ())}
    chosen = os.environ.get("IMAGEKIT_PROVIDER")
    source = "IMAGEKIT_PROVIDER in the environment"
    if not chosen and found is not None and found.settings.provider:
        chosen, source = found.settings.provider, found.by("provider")
    if not chosen:
        yield Finding("ok", "by default", "nobody: say -p, or set IMAGEKIT_PROVIDER")
    elif chosen in known:
        yield Finding("ok", "by default", f"{chosen}, from {source}")
    else:
        detail = f"{source} says {chosen!r}, which there is not"
        yield Finding("broken", "by default", detail)
    there = installed()
    for name in sorted(disabled()):
        if any(one.ruled_out(frozenset({name})) for one in there):
            continue
        detail = f"IMAGEKIT_DISABLED_PLUGINS names {name!r}, which is not installed"
        yield Finding("note", "disabled", detail)


def _settings(found: Said) -> Iterator[Finding]:
    """Each setting that is nobody's profile, and where it comes from."""
    for table in ("defaults", "timeouts", "retry"):
        for name, value in getattr(found.settings, table).model_dump(exclude_unset=True).items():
            if name == "options":
                # Only their names: what they are is between the caller and the provider.
                for key, own in value.items():
                    for option in own:
                        source = found.by(table, name, key, option)
                        yield Finding("ok", table, f"options.{key}.{option}, from {source}")
            else:
                yield Finding("ok", table, f"{name} = {value}, from {found.by(table, name)}")


def _providers(client: Client) -> Iterator[Finding]:
    """Each provider: built, asked what it can do, and not asked for anything else."""
    from .._installed import unreadable

    for whose, why in unreadable():
        detail = f"{whose}: its list of entry points cannot be read: {why}; reinstall or uninstall"
        yield Finding("broken", whose.partition(" ")[0], detail)
    known = seen(client)
    if not known:
        detail = "none is installed; `pip install imagekit-sketch` needs no key"
        yield Finding("note", "providers", detail)
    owners: dict[tuple[str, State, str], list[str]] = {}
    for one in known:
        if one.found.name not in client._calls.providers.profiles or one.state in _UNLOOKED:
            # One name may be of two distributions, and is one line all the same.
            about = (one.found.name, one.state, one.detail)
            owners.setdefault(about, []).append(one.found.origin)
    for (name, state, detail), origins in owners.items():
        verdict, words = _STATES[state]
        yield Finding(verdict, name, f"{' and '.join(dict.fromkeys(origins))}{words}{detail}")


# What is said of them is of the provider, where a profile has its name too.
_UNLOOKED = ("hidden", "disabled")
_STATES: Mapping[State, tuple[Literal["ok", "note", "broken"], str]] = {
    "ok": ("ok", ", "),
    "not set up": ("note", ", not set up: "),
    "hidden": ("note", ", hidden "),
    "disabled": ("note", ", disabled "),
    "broken": ("broken", ": "),
}


def _profiles(client: Client, found: Said) -> Iterator[Finding]:
    """Each profile: side by side, for what it is of may hang."""
    looks: dict[str, Callable[[], list[Finding]]] = {
        name: partial(list, _profile(client, found, name)) for name in found.settings.profiles
    }
    for name, came in side_by_side(looks).items():
        if isinstance(came, Exception):
            of = client._calls.providers.profiles[name].provider
            came = [Finding("broken", f"profile {name}", f"{of} {came}")]
        yield from came


def _profile(client: Client, found: Said, name: str) -> Iterator[Finding]:
    """One profile: whose, where, and where its key is."""
    from .._configuration import place_of
    from .._errors import ImagekitError
    from .._sources import kept_in, key_in
    from .._url import short_url

    what = f"profile {name}"
    profile = client._calls.providers.profiles[name]
    try:
        able = client.capabilities(profile.defaults.get("model"), provider=name)
        endpoint = client._calls.providers.endpoint(name)
        if profile.api_key_file is not None:
            key_in(profile.api_key_file)
        elif profile.api_key_keyring is not None:
            kept_in(profile.api_key_keyring)
    except ImagekitError as error:
        yield Finding(
            "broken", what, f"{profile.provider}, said in {place_of(found, name)}: {error}"
        )
    else:
        words = [profile.provider]
        words += [f"at {short_url(endpoint.base_url)}"] if endpoint else []
        words += [f"model {able.model}"] if able.model else []
        words += [_key(client, profile), f"said in {place_of(found, name)}"]
        yield Finding("ok", what, ", ".join(words))
    if profile.api_key_file is not None:
        yield from _open_to_others(Path(profile.api_key_file), what, writable=False)
    for place in _secrets(profile.settings):
        detail = f"settings.{place} stands in the configuration itself, for all who see it"
        yield Finding("note", what, detail)


def _key(client: Client, profile: Profile) -> str:
    """Where the key of a profile comes from."""
    if profile.api_key_env is not None:
        return f"key from {profile.api_key_env}, which is set"
    if profile.api_key_file is not None:
        return f"key from the file {shown(str(profile.api_key_file))}"
    if profile.api_key_keyring is not None:
        return f"key from the keyring at {profile.api_key_keyring}"
    if profile.base_url is not None:
        return "no key"
    variable = _own_variable(client, profile.provider)
    if variable is None:
        return "no key of its own"
    return f"key from the provider's own {variable}" + (
        ", which is set" if os.environ.get(variable) else ", if that is set"
    )


def _own_variable(client: Client, provider: str) -> str | None:
    """The variable that the plugin asks for where there is no key; None where it says none."""
    from .._errors import ImagekitError
    from .._hookspecs import Config

    try:
        endpoint = client.plugins.provider(provider, Config(provider)).endpoint
        lacks = getattr(endpoint, "missing", None)
    except ImagekitError as error:
        lacks = str(error)
    named = VARIABLES.search(lacks or "")
    return named[0] if named else None


def _secrets(settings: Mapping[str, Any], outer: str = "") -> Iterator[str]:
    """The places in *settings* where what lets somebody in stands itself."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _secrets(value, f"{outer}{name}.")
        elif SECRET.search(name) and isinstance(value, str):
            yield f"{outer}{name}"
