"""The command that looks at one plugin: what can be seen of it, then its conformance tests."""

from __future__ import annotations

import contextlib
import json
import re
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar
from urllib.parse import urlsplit

import click

from ._doctor import MARKS, Finding
from ._faults import EXIT_CODES
from ._words import VARIABLES, scrubbed

if TYPE_CHECKING:
    from .._capabilities import Capabilities
    from .._flow import Provider
    from .._http import Endpoint
    from .._installed import Found
    from ..testing import Outcome, ProviderSuite

T = TypeVar("T")
SECONDS = 10.0
TESTS = Path("tests", "test_conformance.py")
UNSAID = "still to be said"
NAMED = 3
_QUOTED = re.compile(r"\b(\w+Error)\((['\"])(.*?)\2\)", re.DOTALL)
_COLOURS = {"passed": "green", "failed": "red"}


@click.command(epilog=EXIT_CODES)
@click.argument("name")
@click.option(
    "--tests",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Its conformance tests.  [default: tests/test_conformance.py beside its sources]",
)
@click.option(
    "--picture",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Save a picture that went through all of it, from the fake host of its tests.",
)
@click.option("--all", "every", is_flag=True, help="Name every test, also what went well.")
@click.option("--json", "as_json", is_flag=True, help="Say it in one JSON object.")
def check(name: str, tests: Path | None, picture: Path | None, every: bool, as_json: bool) -> int:
    """Look at the installed provider NAME, and run its conformance tests.

    Needs no key and no network. Exits with 1 if something is broken or a test fails, and with 2
    where the tests could not be run for something that is missing here.
    """
    if picture is not None:
        _check_picture(picture)
    shown = _Shown(silent=as_json, every=every)
    for finding in _seen(name):
        shown.finding(finding)
    if not shown.broken:
        path = tests or _beside(_one(name))
        if path is None:
            detail = f"no {TESTS.as_posix()} beside its sources: --tests names it"
            shown.finding(Finding("note", "tests", detail))
        else:
            _run(name, path, picture, shown)
    if picture is not None and "picture" not in [one["what"] for one in shown.findings]:
        detail = "none was made: it comes through conformance tests that can be run"
        shown.finding(Finding("note" if shown.lacks else "broken", "picture", detail))
    if as_json:
        told = {"provider": name, "findings": shown.findings, "tests": shown.outcomes}
        click.echo(json.dumps({"ok": not (shown.broken or shown.lacks), **told}))
    return 1 if shown.broken else 2 if shown.lacks else 0


def _check_picture(path: Path) -> None:
    if path.exists():
        raise click.UsageError(f"--picture {str(path)!r} is there already: name another file")
    if not path.parent.is_dir():
        raise click.UsageError(f"--picture: there is no folder {str(path.parent)!r}")


class _Shown:
    """What was found so far, told as it comes or kept for JSON."""

    def __init__(self, *, silent: bool, every: bool) -> None:
        self._silent, self._every = silent, every
        self.broken = False
        # Whether the tests could not be run for what is missing here.
        self.lacks = False
        self.findings: list[dict[str, str]] = []
        self.outcomes: list[dict[str, str]] = []

    def finding(self, found: Finding) -> None:
        self.broken |= found.verdict == "broken"
        words = {name: scrubbed(getattr(found, name)) for name in ("verdict", "what", "detail")}
        self.findings.append(words)
        if not self._silent:
            mark = click.style(f"{found.verdict:<6}", fg=MARKS[found.verdict])
            click.echo(f"{mark}  {words['what']:<14}  {words['detail']}")

    def suite(self, title: str, outcomes: Iterator[Outcome]) -> None:
        """What was left out and what failed, those of one cause together; or every outcome."""
        count = Counter[str]()
        # By the cause, and told in the first's words; where all are asked for, each by itself.
        alike: dict[tuple[str, str], list[tuple[str, str]]] = {}
        self._say("")
        self._say(click.style(title, bold=True))
        for one in outcomes:
            count[one.verdict] += 1
            why = "\n".join(scrubbed(line) for line in one.why.splitlines())
            said = {"suite": title, "test": one.test, "verdict": one.verdict}
            self.outcomes.append({**said, "why": why})
            if one.verdict in ("left out", "failed"):
                cause = one.test if self._every else _cause(why)
                alike.setdefault((one.verdict, cause), []).append((one.test, why))
            elif self._every:
                self._row(one.verdict, _words(one.test), why.partition("\n")[0])
        # What failed comes last, with all that it says.
        for (verdict, _), found in sorted(alike.items(), key=lambda one: one[0][0] == "failed"):
            named, why = _named([test for test, _ in found]), found[0][1]
            self._row(verdict, named, why if verdict == "left out" else "")
            for line in why.splitlines() if verdict == "failed" else ():
                self._say(f"    {line}")
        self.broken |= count["failed"] > 0
        verdicts = ("passed", "not applicable", "left out", "failed")
        self._say(f"{title}: {', '.join(f'{count[one]} {one}' for one in verdicts)}")

    def _row(self, verdict: str, what: str, why: str) -> None:
        mark = click.style(f"{verdict:<14}", fg=_COLOURS.get(verdict, "yellow"))
        self._say(f"{mark}  {scrubbed(what)}" + (f": {scrubbed(why)}" if why else ""))

    def _say(self, line: str) -> None:
        if not self._silent:
            click.echo(line)


def _words(test: str) -> str:
    return test.removeprefix("test_").replace("_", " ")


def _named(tests: list[str]) -> str:
    if len(tests) == 1:
        return _words(tests[0])
    more = f"; {len(tests) - NAMED} more: --all names them" if len(tests) > NAMED else ""
    return f"{len(tests)} tests: {'; '.join(map(_words, tests[:NAMED]))}{more}"


def _cause(why: str) -> str:
    """What *why* is about, without its numbers: the error that a test met, where it quotes one."""
    why = why.removeprefix("AssertionError: ")
    quoted = _QUOTED.search(why)
    return re.sub(r"\d+", "0", f"{quoted[1]}: {quoted[3]}" if quoted else why)


def _one(name: str) -> Found:
    """The installed provider *name*; raises where there is none."""
    from .._installed import installed, names, nobody_called

    for one in installed():
        if one.name == name:
            return one
    raise nobody_called(name, names())


def _seen(name: str) -> Iterator[Finding]:
    """What can be seen without the provider's host; ends where nothing more can be looked at."""
    from .._errors import ConfigurationError, ImagekitError
    from .._hookspecs import Config
    from .._plugins import Plugins
    from ..testing._bench import KEY

    one = _one(name)
    where = f"{one.distribution or 'no distribution'} {one.version or ''}".rstrip()
    yield Finding("ok", "installed", f"{where}, module {one.module}")
    plugins, plain = Plugins(), Config(name)
    try:
        provider = _within(lambda: plugins.provider(name, plain))
        yield Finding("ok", "built", "without a key, a setting or the network")
    except ConfigurationError as error:
        yield Finding("note", "built", f"not without being set up: {error}")
        yield from _package(one)
        return
    except ImagekitError as error:
        yield Finding("broken", "built", str(error))
        return
    looks: list[tuple[str, Callable[[], Iterator[Finding]]]] = [
        ("endpoint", lambda: _endpoint(provider.endpoint)),
        ("capabilities", lambda: _capabilities(provider)),
        ("key", lambda: _quoted(plugins.provider(name, Config(name, KEY)), KEY)),
    ]
    for what, look in looks:
        try:
            yield from _within(lambda look=look: list(look()))  # type: ignore[misc]
        except Exception as error:  # whatever a plugin raises is what is wrong with it
            yield Finding("broken", what, _why(error))
    yield from _package(one)


def _why(error: Exception) -> str:
    from .._errors import ImagekitError

    return str(error) if isinstance(error, ImagekitError) else repr(error)


def _within(work: Callable[[], T]) -> T:
    """What *work* comes to, in limited time and without a network; raises `PluginError` else."""
    from .._errors import PluginError

    came: list[T] = []
    wrong: list[BaseException] = []

    def run() -> None:
        try:
            came.append(work())
        except BaseException as error:  # told to whoever waits
            wrong.append(error)

    thread = threading.Thread(target=run, daemon=True)
    with _offline():
        thread.start()
        thread.join(SECONDS)
    if thread.is_alive():
        raise PluginError(f"it takes longer than {SECONDS:g} s; nothing more was looked at")
    if wrong:
        raise wrong[0]
    return came[0]


@contextlib.contextmanager
def _offline() -> Iterator[None]:
    def refuse(*given: Any, **also: Any) -> NoReturn:
        raise OSError("it uses the network before anything is asked of it")

    # Mocks bring half of the standard library, which no other command needs.
    import socket
    from unittest.mock import patch

    with (
        patch.object(socket, "getaddrinfo", refuse),
        patch.object(socket.socket, "connect", refuse),
    ):
        yield


def _endpoint(endpoint: Endpoint | None) -> Iterator[Finding]:
    from .._url import short_url

    if endpoint is None or not endpoint.base_url:
        lacks = endpoint.missing if endpoint else None
        words = f", and lacks what is not installed here: {lacks}" if lacks else ""
        yield Finding(
            "note" if lacks else "ok", "endpoint", f"none: it works in this process{words}"
        )
        return
    parts = urlsplit(endpoint.base_url)
    local = parts.hostname in ("localhost", "127.0.0.1", "::1")
    if parts.scheme == "https" or (parts.scheme == "http" and local):
        yield Finding("ok", "endpoint", short_url(endpoint.base_url))
    else:
        detail = f"{short_url(endpoint.base_url)} is neither https nor on this machine"
        yield Finding("broken", "endpoint", detail)
    if endpoint.missing is not None and not VARIABLES.search(endpoint.missing):
        detail = f"{endpoint.missing!r} names no variable to set"
        yield Finding("note", "endpoint", detail)


def _capabilities(provider: Provider) -> Iterator[Finding]:
    from .._capabilities import Capabilities
    from .._errors import PluginError

    found: dict[str | None, Capabilities] = {}
    for model in (None, "a-model-that-nobody-has"):
        found[model] = provider.capabilities(model)
        if not isinstance(found[model], Capabilities):
            raise PluginError(f"capabilities({model!r}) gave {type(found[model]).__name__}")
    able = found[None]
    if UNSAID in (able.source, *(one.text for one in able.sources.values())):
        yield Finding("note", "capabilities", f"their source is still {UNSAID!r}")
    elif able.source is None or able.as_of is None:
        yield Finding("note", "capabilities", "no source, or no day (as_of) on which it said so")
    else:
        source = able.source_of("operations") or able.source_of("parameters")
        yield Finding("ok", "capabilities", f"model {able.model}, {source}")


def _quoted(provider: Provider, key: str) -> Iterator[Finding]:
    shown = [repr(provider), repr(provider.endpoint), str(provider)]
    if any(key in one for one in shown):
        yield Finding("broken", "key", "its repr shows the key")
    else:
        yield Finding("ok", "key", "its repr shows none")


def _package(one: Found) -> Iterator[Finding]:
    """What its metadata say to whoever finds it in a package index."""
    if one.distribution is None:
        yield Finding("note", "package", "no distribution owns its entry point")
        return
    from importlib import metadata

    found = metadata.distribution(one.distribution)
    about = found.metadata.json
    needs = [line for line in found.requires or () if line.startswith("imagekit")]
    lacks = [
        words
        for wanting, words in (
            (not str(about.get("description", "")).strip(), "no README"),
            (UNSAID in str(about.get("description")).lower(), f"its README has {UNSAID!r} in it"),
            (not about.get("summary"), "no description"),
            (UNSAID in str(about.get("summary")), f"its description still says {UNSAID!r}"),
            (not needs, "it does not ask for imagekit"),
            (not any("<" in line for line in needs[:1]), "no end to the versions of imagekit"),
            (not (about.get("license") or about.get("license_expression")), "no license"),
        )
        if wanting
    ]
    if lacks:
        yield Finding("note", "package", "; ".join(lacks))
    else:
        yield Finding("ok", "package", f"needs {needs[0]}")


def _beside(one: Found) -> Path | None:
    """The conformance tests beside the sources that an editable install is of."""
    module = sys.modules.get(one.module.partition(":")[0].partition(".")[0])
    where = getattr(module, "__file__", None)
    for folder in Path(where).resolve().parents[1:3] if where else ():
        if (folder / "pyproject.toml").exists() and (folder / TESTS).exists():
            return folder / TESTS
    return None


def _run(name: str, path: Path, picture: Path | None, shown: _Shown) -> None:
    from ..testing import conforms

    if find_spec("PIL") is None:
        detail = "not run, for Pillow, with which they look at pixels, is not installed here"
        remedy = "that is no fault of the plugin's: pip install 'imagekit[images]'"
        shown.finding(Finding("note", "tests", f"{detail}; {remedy}"))
        shown.lacks = True
        return
    try:
        suites = _suites(name, path)
    except Exception as error:  # a test module may raise anything
        shown.finding(Finding("broken", "tests", f"{path} does not import: {error!r}"))
        return
    if not suites:
        detail = f"{path} has no ProviderSuite whose provider is {name!r}"
        shown.finding(Finding("broken", "tests", detail))
    for suite in suites:
        shown.suite(suite.__name__, conforms(suite))
    if picture is not None and suites:
        shown.finding(_pictured(suites[0], picture))


def _pictured(suite: type[ProviderSuite], path: Path) -> Finding:
    """Save to *path* what the provider of *suite* makes of what its own host gives."""
    from ..testing._bench import png

    try:
        # Large enough to be looked at.
        came = suite().bench(png(160, 256, 256)).ask()
        came.pictures().image.save(path, overwrite=False)
    except Exception as error:  # whatever a plugin or its host raises is why there is none
        return Finding("broken", "picture", _why(error))
    if "pictures" in suite.host.absent:
        return Finding("ok", "picture", f"{path}: the provider drew it itself")
    detail = f"{path}: a grey square of the fake host, by the whole flow; no real host was asked"
    return Finding("ok", "picture", detail)


def _suites(name: str, path: Path) -> list[type[ProviderSuite]]:
    """The suites of *name* in the module at *path*, which may import its neighbours."""
    from ..testing import ProviderSuite

    spec = spec_from_file_location(f"conformance_of_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent))
    return [
        one
        for one in vars(module).values()
        if isinstance(one, type)
        and issubclass(one, ProviderSuite)
        and getattr(one, "provider", None) == name
    ]
