"""The command `imagekit`: what it holds, and how it ends."""

from __future__ import annotations

import atexit
import gc
import io
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NoReturn

import click

from ._beside import files, moderate, upload
from ._chosen import config_option
from ._doctor import doctor
from ._faults import EXIT_CODES, exit_code, told
from ._installed import models, providers
from ._jobs import batch, cancel, delete, resume, submit
from ._pictures import edit, generate, vary
from ._plans import plan, replay, run_plan
from ._plugin import plugin
from ._serve import serve
from ._stopped import stoppable
from ._tools import tools


class _Commands(click.Group):
    """A group that ends in one of the documented exit codes, whatever happens."""

    def main(self, args: Sequence[str] | None = None, *given: Any, **extra: Any) -> NoReturn:
        """Run, tell what goes wrong, and exit with the code that says whose fault it is."""
        words = sys.argv[1:] if args is None else list(args)
        options = words[: words.index("--")] if "--" in words else words
        try:
            code = super().main(args, "imagekit", standalone_mode=False)
        except Exception as error:  # the last seam: whatever it is, it is told in a line
            code = exit_code(error)
            with suppress(OSError):  # as of a terminal that is gone
                told(error, as_json="--json" in options)
        sys.exit(code or 0)


def _version(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        from .._version import version

        click.echo(f"imagekit {version()}")
        context.exit()


HELP = """Make, edit and vary pictures through any image-generation API.

\b
  imagekit generate "a red bicycle" -p sketch
  imagekit edit "add a hat" -i otter.png -p sketch -o otter-with-hat.png
  echo "a lighthouse at dusk" | imagekit generate -p sketch -o - > lighthouse.png
"""


@click.group(
    cls=_Commands,
    help=HELP,
    epilog=EXIT_CODES,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_version,
    help="Say which version this is.",
)
@config_option
@click.pass_context
def cli(context: click.Context) -> None:
    """Print the help where no command is named."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


_PICTURES = (generate, edit, vary, plan, run_plan, replay)
_JOBS = (submit, resume, cancel, delete, batch)
_OTHERS = (files, upload, moderate, providers, models, plugin, tools, serve, doctor)
for _command in (*_PICTURES, *_JOBS, *_OTHERS):
    cli.add_command(_command)


def run(arguments: Sequence[str] | None) -> NoReturn:
    """Do what *arguments* (without them, the process's own) say, and exit."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # What the output's encoding lacks must not lose the line that names a picture.
        sys.stdout.reconfigure(errors="backslashreplace")
    # The process ends with the command: to look for cycles in all that is left would take a fifth
    # of its time, and find what the system takes back anyway.
    atexit.register(gc.freeze)
    with stoppable():
        cli.main(arguments)
