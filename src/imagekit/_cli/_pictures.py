"""The commands that make pictures: generate, edit, vary."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from .._names import slug
from ._asked import fields_of, options_of, prompt_of
from ._chosen import config_option
from ._faults import EXIT_CODES
from ._ways import check_ways, several_providers, ways, ways_of
from ._words import is_terminal

Function = TypeVar("Function", bound=Callable[..., Any])


def several(*options: Callable[[Function], Function]) -> Callable[[Function], Function]:
    """Several options as one decorator, in the order in which --help lists them."""

    def decorate(function: Function) -> Function:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


FILE = click.Path(path_type=Path)


def output(default: str) -> Callable[[Function], Function]:
    """The option that says where pictures go."""
    where = "Where the picture goes; {n} is its number, - is standard output."
    return click.option("-o", "--output", metavar="PATH", help=f"{where}  [default: {default}]")


force = click.option("--force", is_flag=True, help="Replace files that are there already.")

as_json = click.option("--json", "as_json", is_flag=True, help="Say it all in one JSON object.")

# How whoever is asked is reached.
asked = several(
    click.option(
        "--deadline", type=click.FloatRange(0, min_open=True), metavar="SECONDS",
        help="Give up after so long.",
    ),
    click.option("--base-url", metavar="URL", help="Where the provider is; wants --provider."),
    config_option,
    click.option("--debug", is_flag=True, help="Show each exchange, without keys and secrets."),
)  # fmt: skip

# How it is told what came of it.
told = several(
    as_json,
    click.option("-q", "--quiet", is_flag=True, help="Say only the paths, and what failed."),
    click.option("-v", "--verbose", is_flag=True, help="Say also each event, usage, cost, ids."),
)

# What is wanted.
wanted = several(
    several_providers,
    click.option("-m", "--model", help="The image model, or PROVIDER:MODEL."),
    click.option("-n", "n", type=click.IntRange(1), default=1, help="How many pictures."),
    click.option("--size", help="Pixels (1536x864), an aspect ratio (16:9) or one at 16:9@2K."),
    click.option("--quality", help="In the model's words."),
    click.option("--background", type=click.Choice(["auto", "opaque", "transparent"])),
    click.option("--format", "output_format", help="png, jpeg, webp …  [default: that of -o]"),
    click.option("--compression", "output_compression", type=click.IntRange(0, 100)),
    click.option("--seed", type=int, help="The same seed, the same picture, where that is so."),
    click.option("--negative", "negative_prompt", help="What should not be in it."),
    click.option("--moderation", help="In the provider's words."),
    click.option("--user", help="Whom the provider may hold it against: your own user's id."),
    click.option(
        "-O", "--option", "options", multiple=True, metavar="NAME=VALUE",
        help="What only this provider (of several, the first) knows; JSON values, dots for what "
        "nests.",
    ),
    click.option(
        "--unsupported", type=click.Choice(["adapt", "error", "ignore"]),
        help="What becomes of what the model lacks.  [default: adapt]",
    ),
)  # fmt: skip

_common = several(
    output("a name made from the prompt"),
    force,
    wanted,
    click.option(
        "--partial", "partial_images", type=click.IntRange(0), metavar="N",
        help="Ask for N previews on the way.",
    ),
    click.option("--save-partials", is_flag=True, help="Keep them, as NAME.partial-1.png …"),
    click.option("--save-state", type=FILE, metavar="FILE", help="Keep what --state takes."),
    click.option(
        "--detach", is_flag=True,
        help="Let the provider go on by itself, where it can: what breaks off can be resumed.",
    ),
    *ways,
    asked,
    told,
)  # fmt: skip

state = click.option(
    "--state", type=FILE, metavar="FILE", help="Go on with the picture whose state this is."
)

images = click.option(
    "-i", "--image", "images", multiple=True, metavar="FILE",
    help="A picture: a path, a URL, or - for standard input. May be repeated.",
)  # fmt: skip

mask = several(
    click.option("--mask", metavar="FILE", help="A picture of the part that may change."),
    click.option(
        "--edit-where", type=click.Choice(["transparent", "opaque", "white", "black"]),
        help="What marks that part in the mask; --mask needs it.",
    ),
    click.option(
        "--mask-box", "mask_boxes", multiple=True, metavar="LEFT,TOP,RIGHT,BOTTOM",
        help="A box of it, in pixels of the first picture, or in %. May be repeated.",
    ),
    click.option(
        "--mask-polygon", "mask_polygons", multiple=True, metavar="'X,Y X,Y X,Y …'",
        help="The same by its corners.",
    ),
    click.option(
        "--edit-outside", is_flag=True, help="Change what is outside of the boxes and polygons."
    ),
)  # fmt: skip

check_mask = click.option(
    "--check-mask", is_flag=True, help="Tell how much changed where the mask lets nothing change."
)


@click.command(epilog=EXIT_CODES)
@click.argument("prompt", required=False)
@_common
@state
def generate(prompt: str | None, **given: Any) -> int:
    """Make pictures from PROMPT (from standard input, where it is - or left out)."""
    prompt = prompt_of(prompt)
    return _call(given, prompt, slug(prompt))


@click.command(epilog=EXIT_CODES)
@click.argument("prompt", required=False)
@images
@mask
@check_mask
@_common
@state
def edit(prompt: str | None, **given: Any) -> int:
    """Change pictures as PROMPT says; with a mask, only where it marks."""
    if not given["images"] and given["state"] is None:
        raise click.UsageError("there is nothing to edit: name a picture with -i")
    prompt = prompt_of(prompt, given["images"])
    return _call(given, prompt, slug(prompt))


@click.command(epilog=EXIT_CODES)
@images
@_common
def vary(**given: Any) -> int:
    """Make pictures like a given one."""
    if not given["images"]:
        raise click.UsageError("there is nothing to vary: name a picture with -i")
    first = given["images"][0].partition("?")[0].rstrip("/")
    named = not first.startswith("data:")
    return _call(given, None, slug(f"{Path(first).stem if named else ''} variation"))


def check_base_url(given: Mapping[str, Any]) -> None:
    """Somebody's address is of somebody."""
    if given["base_url"] is not None and not isinstance(given["provider"], str):
        several = "one --provider, and not several" if given["provider"] else "--provider too"
        raise click.UsageError(f"--base-url wants {several}: whose is it?")


def to_stdout(given: Mapping[str, Any]) -> bool:
    """Whether the picture goes to standard output, and can."""
    if given["output"] != "-":
        return False
    if given["as_json"]:
        raise click.UsageError("-o - and --json both want standard output")
    if sys.stdout is None:
        raise click.UsageError("standard output is closed: say -o FILE")
    if is_terminal(sys.stdout):
        raise click.UsageError("standard output is a terminal: send it to a file, or say -o FILE")
    return True


def _call(given: Mapping[str, Any], prompt: str | None, stem: str) -> int:
    """Settle everything that can be before anything heavy is imported or sent."""
    check_base_url(given)
    if given["save_partials"] and not given["partial_images"]:
        raise click.UsageError("--save-partials wants --partial N: how many?")
    who = given["provider"]
    check_ways(given, several=isinstance(who, tuple))
    stdout = to_stdout(given)
    options = options_of(given["options"])
    fields = fields_of(given, prompt)

    from .._names import names
    from ._call import How, called
    from ._output import format_of
    from ._results import Destination

    path = None if stdout else given["output"]
    named = names(path, stem, given["n"], given["output_format"])
    same = given["save_state"] is not None and given["save_state"] == given.get("state")
    how = How(
        provider=who,
        base_url=given["base_url"],
        deadline=given["deadline"],
        debug=given["debug"],
        ways=ways_of(given),
        manifest=given["manifest"],
        options=options,
        ending=None if given["output_format"] else format_of(path),
        save_previews=given["save_partials"],
        save_state=given["save_state"],
        replace_state=same or given["force"],
        json=given["as_json"],
        quiet=given["quiet"],
        verbose=given["verbose"],
        job=named.beside(stem if stdout else None),
    )
    return called(fields, how, Destination(named, given["force"], stdout))
