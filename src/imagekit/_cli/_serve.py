"""The command that serves any provider to apps that speak another dialect."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from .._errors import ConfigurationError
from ._chosen import config, config_option
from ._words import scrubbed

MEGABYTE = 2**20
_ABOVE = click.FloatRange(min=0, min_open=True)


ENDING = """\b
Exit codes: 0 after Ctrl-C, SIGTERM or SIGHUP, when what was being made is finished;
2 for what cannot be served as it was asked.
"""


@click.command(epilog=ENDING)
@click.option("-p", "--provider", help="Who makes the pictures.  [default: $IMAGEKIT_PROVIDER]")
@click.option(
    "-m",
    "--model",
    "models",
    multiple=True,
    metavar="NAME=TARGET",
    help="Who makes those of a model that apps name (* is any): PROVIDER, PROVIDER:MODEL, or "
    "PROVIDER: for its default.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="0 is any that is free.",
)
@click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Bearer tokens that let callers in, one a line.  [default: $IMAGEKIT_SERVER_TOKEN]",
)
@click.option(
    "--database",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="A SQLite file for responses and files, which else are kept in memory.",
)
@click.option("--keep", type=_ABOVE, default=24.0, show_default=True, help="For how many hours.")
@click.option(
    "--concurrent",
    type=click.IntRange(1),
    default=32,
    show_default=True,
    help="How many calls at once; more are answered 429.",
)
@click.option(
    "--timeout", type=_ABOVE, default=570.0, show_default=True, help="Seconds for one call."
)
@click.option(
    "--grace",
    type=_ABOVE,
    default=600.0,
    show_default=True,
    help="Seconds that calls have to end at a stop.",
)
@click.option(
    "--max-body",
    type=click.IntRange(1),
    default=64,
    show_default=True,
    help="Megabytes of one request.",
)
@click.option("--base-url", help="Where the provider is, if not at its usual place.")
@config_option
@click.option(
    "--allow-host",
    "hosts",
    multiple=True,
    metavar="NAME",
    help="A host name to answer to, beside this machine's own.",
)
@click.option(
    "--allow-origin",
    "origins",
    multiple=True,
    metavar="ORIGIN",
    help="A web page that may ask from a browser, such as https://app.example.",
)
@click.option("--log-prompts", is_flag=True, help="Put prompts into the access log.")
@click.option("-q", "--quiet", is_flag=True, help="No access log.")
def serve(**given: Any) -> None:
    """Serve any provider to apps that were written for the Images or the Responses API.

    \b
      imagekit serve -p sketch
      imagekit serve -m gpt-image-2=sketch:sketch-1 -m '*=sketch:' --port 8080
    """  # noqa: D301  # click's mark for "do not wrap"
    from ..server import Limits, create_app
    from ..server._access import LOOPBACK, VARIABLE, is_loopback, tokens_from
    from ..server._serve import bound, run

    host = given["host"]
    tokens = tokens_from(file=given["token_file"])
    if not tokens and not is_loopback(host):
        raise ConfigurationError(
            f"{host} lets other machines in, so callers need a token: set {VARIABLE}, or give "
            "--token-file"
        )
    limits = Limits(
        body=given["max_body"] * MEGABYTE,
        concurrent=given["concurrent"],
        connections=8 * given["concurrent"],
        request=given["timeout"],
        kept=given["keep"] * 3600,
        grace=given["grace"],
    )
    names = (*LOOPBACK, host, *given["hosts"]) if is_loopback(host) or given["hosts"] else ()
    app = create_app(
        provider=given["provider"],
        models=_routes(given["models"]),
        tokens=tokens,
        hosts=names,
        origins=given["origins"],
        limits=limits,
        database=given["database"],
        log_prompts=given["log_prompts"],
        config=config(),
        **_upstream(given),
    )
    listening = bound(host, given["port"])
    _log(quiet=given["quiet"])
    shown = f"[{host}]" if ":" in host else host
    click.echo(
        scrubbed(f"serving on http://{shown}:{listening.getsockname()[1]}/v1; Ctrl-C stops"),
        err=True,
    )
    run(app, listening, lambda line: click.echo(scrubbed(line), err=True))


def _routes(words: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, target in map(_route, words):
        if name in found:
            raise click.UsageError(f"-m {name}=… stands there twice")
        found[name] = target
    return found


def _route(word: str) -> tuple[str, str]:
    name, equals, target = word.partition("=")
    if not (name and equals and target):
        raise click.UsageError(f"-m {word!r}: say NAME=PROVIDER or NAME=PROVIDER:MODEL")
    return name, target


def _upstream(given: Mapping[str, Any]) -> dict[str, Any]:
    return {"base_url": given["base_url"]} if given["base_url"] else {}


def _log(*, quiet: bool) -> None:
    logger = logging.getLogger("imagekit.server")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.WARNING if quiet else logging.INFO)
