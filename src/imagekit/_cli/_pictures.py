"""The commands that make pictures: generate, edit, vary."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from ._asked import fields_of, options_of, prompt_of
from ._faults import EXIT_CODES
from ._words import slug

Function = TypeVar("Function", bound=Callable[..., Any])


def _options(*options: Callable[[Function], Function]) -> Callable[[Function], Function]:
    """Several options as one decorator, in the order in which --help lists them."""

    def decorate(function: Function) -> Function:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


_FILE = click.Path(path_type=Path)

_output = click.option(
    "-o", "--output", metavar="PATH",
    help="Where the picture goes; {n} is its number, - is standard output.  "
    "[default: a name made from the prompt]",
)  # fmt: skip

_common = _options(
    _output,
    click.option("--force", is_flag=True, help="Replace files that are there already."),
    click.option("-p", "--provider", help="Who makes it.  [default: $IMAGEKIT_PROVIDER]"),
    click.option("-m", "--model", help="The image model, or PROVIDER:MODEL."),
    click.option("-n", "n", type=click.IntRange(1), default=1, help="How many pictures."),
    click.option("--size", help="Pixels (1536x864), an aspect ratio (16:9) or one at 16:9@2K."),
    click.option("--quality", help="In the model's words."),
    click.option("--background", type=click.Choice(["auto", "opaque", "transparent"])),
    click.option("--format", "output_format", help="png, jpeg, webp …  [default: -o's]"),
    click.option("--compression", "output_compression", type=click.IntRange(0, 100)),
    click.option("--seed", type=int, help="The same seed, the same picture, where that is so."),
    click.option("--negative", "negative_prompt", help="What should not be in it."),
    click.option("--moderation", help="In the provider's words."),
    click.option("--user", help="Whom the provider may hold it against: your own user's id."),
    click.option(
        "-O", "--option", "options", multiple=True, metavar="NAME=VALUE",
        help="What only this provider knows; JSON values, dots for what nests.",
    ),
    click.option(
        "--unsupported", type=click.Choice(["adapt", "error", "ignore"]),
        help="What becomes of what the model lacks.  [default: adapt]",
    ),
    click.option(
        "--partial", "partial_images", type=click.IntRange(0), metavar="N",
        help="Ask for N previews on the way.",
    ),
    click.option("--save-partials", is_flag=True, help="Keep them, as NAME.partial-1.png …"),
    click.option(
        "--deadline", type=click.FloatRange(0, min_open=True), metavar="SECONDS",
        help="Give up after so long.",
    ),
    click.option("--save-state", type=_FILE, metavar="FILE", help="Keep what --state takes."),
    click.option("--base-url", metavar="URL", help="Where the provider is; wants --provider."),
    click.option("--json", "as_json", is_flag=True, help="Say it all in one JSON object."),
    click.option("-q", "--quiet", is_flag=True, help="Say only the paths, and what failed."),
    click.option("-v", "--verbose", is_flag=True, help="Say also each event, usage, cost, ids."),
)  # fmt: skip

_state = click.option(
    "--state", type=_FILE, metavar="FILE", help="Go on with the picture whose state this is."
)

_images = click.option(
    "-i", "--image", "images", multiple=True, metavar="FILE",
    help="A picture: a path, a URL, or - for standard input. May be repeated.",
)  # fmt: skip

_mask = _options(
    click.option("--mask", metavar="FILE", help="A picture of the part that may change."),
    click.option(
        "--edit-where", type=click.Choice(["transparent", "opaque", "white", "black"]),
        help="What marks that part in the mask; --mask needs it.",
    ),
)  # fmt: skip


@click.command(epilog=EXIT_CODES)
@click.argument("prompt", required=False)
@_common
@_state
def generate(prompt: str | None, **given: Any) -> int:
    """Make pictures from PROMPT (from standard input, where it is - or left out)."""
    prompt = prompt_of(prompt)
    return _call(given, prompt, slug(prompt))


@click.command(epilog=EXIT_CODES)
@click.argument("prompt", required=False)
@_images
@_mask
@_common
@_state
def edit(prompt: str | None, **given: Any) -> int:
    """Change pictures as PROMPT says; with a mask, only where it marks."""
    if not given["images"] and given["state"] is None:
        raise click.UsageError("there is nothing to edit: name a picture with -i")
    prompt = prompt_of(prompt, given["images"])
    return _call(given, prompt, slug(prompt))


@click.command(epilog=EXIT_CODES)
@_images
@_common
def vary(**given: Any) -> int:
    """Make pictures like a given one."""
    if not given["images"]:
        raise click.UsageError("there is nothing to vary: name a picture with -i")
    first = given["images"][0].partition("?")[0].rstrip("/")
    named = not first.startswith("data:")
    return _call(given, None, slug(f"{Path(first).stem if named else ''} variation"))


def _call(given: Mapping[str, Any], prompt: str | None, stem: str) -> int:
    """Settle everything that can be before anything heavy is imported or sent."""
    if given["base_url"] is not None and given["provider"] is None:
        raise click.UsageError("--base-url wants --provider too: whose is it?")
    if given["save_partials"] and not given["partial_images"]:
        raise click.UsageError("--save-partials wants --partial N: how many?")
    stdout = given["output"] == "-"
    if stdout and given["as_json"]:
        raise click.UsageError("-o - and --json both want standard output")
    if stdout and sys.stdout.isatty():
        raise click.UsageError("standard output is a terminal: send it to a file, or say -o FILE")
    options = options_of(given["options"])
    fields = fields_of(given, prompt)

    from ._call import How, called
    from ._output import format_of, names
    from ._results import Destination

    output = None if stdout else given["output"]
    named = names(output, stem, given["n"], given["output_format"])
    same = given["save_state"] is not None and given["save_state"] == given.get("state")
    how = How(
        provider=given["provider"],
        base_url=given["base_url"],
        deadline=given["deadline"],
        options=options,
        ending=None if given["output_format"] else format_of(output),
        save_previews=given["save_partials"],
        save_state=given["save_state"],
        replace_state=same or given["force"],
        json=given["as_json"],
        quiet=given["quiet"],
        verbose=given["verbose"],
    )
    return called(fields, how, Destination(named, given["force"], stdout))
