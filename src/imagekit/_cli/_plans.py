"""The commands for what is known before a call, and after it: plan, run, replay."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .._names import slug
from ._asked import fields_of, options_of, prompt_of
from ._chosen import config, config_option
from ._faults import EXIT_CODES, dumped, fail, hint
from ._pictures import (
    FILE,
    as_json,
    asked,
    check_base_url,
    check_mask,
    force,
    images,
    mask,
    output,
    several,
    state,
    to_stdout,
    told,
    wanted,
)
from ._ways import budget, check_budget, check_ways, spending_of, ways, ways_of
from ._words import is_terminal

if TYPE_CHECKING:
    from .._plan import Plan
    from ._call import How
    from ._results import Destination

_PICTURES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".svg"})


@click.command(epilog=EXIT_CODES)
@click.argument("prompt", required=False)
@images
@mask
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Where the plan goes, for `imagekit run`; - is standard output.",
)
@force
@wanted
@click.option(
    "--partial",
    "partial_images",
    type=click.IntRange(0),
    metavar="N",
    help="Ask for N previews on the way.",
)
@click.option(
    "--stream/--no-stream",
    default=True,
    help="Whether it is answered as a stream, where that can be; generate, edit and vary stream.",
)
@click.option("--detach", is_flag=True, help="Let the provider go on by itself, where it can.")
@state
@click.option("--base-url", metavar="URL", help="Where the provider is; wants --provider.")
@config_option
@as_json
def plan(prompt: str | None, stream: bool, **given: Any) -> int:
    """Say what a call would send and may cost; nothing is sent, and no key is needed.

    PROMPT and options are those of `generate`; with -i of `edit`, or of `vary` where there is no
    PROMPT. A PROMPT that is - is read from standard input.
    """
    check_base_url(given)
    stdout = _out(given)
    options = options_of(given["options"])
    if prompt is not None or not given["images"]:
        prompt = prompt_of(prompt, given["images"])
    fields = fields_of(given, prompt)

    from .._meant import request_of
    from ._call import How, client_of, meant
    from ._output import check

    path = None if stdout or given["output"] is None else Path(given["output"])
    if path is not None:
        check(path, force=given["force"])
    how = How(
        provider=given["provider"],
        base_url=given["base_url"],
        deadline=None,
        debug=False,
        json=given["as_json"],
        options=options,
    )
    request = request_of(fields)
    with client_of(how) as client:
        settled = meant(client, request, how)[1]
        found = client.plan(settled, provider=how.provider, stream=stream)
    if stdout:
        click.echo(dumped(found.model_dump(mode="json")))
        return 0
    return _told(found, path, given)


def _out(given: Mapping[str, Any]) -> bool:
    """Whether the plan goes to standard output; it goes where plans go."""
    out = given["output"]
    if out == "-" and given["as_json"]:
        raise click.UsageError("-o - and --json both want standard output")
    if out is not None and (ending := Path(out).suffix.lower()) in _PICTURES:
        raise click.UsageError(
            f"-o is where the plan goes, and {out!r} is a picture's name: say -o plan.json, and "
            f"--format {ending[1:]} for pictures of that kind"
        )
    return bool(out == "-")


def _told(found: Plan, path: Path | None, given: Mapping[str, Any]) -> int:
    from .._saved import place
    from ._planned import facts, lines

    said: dict[str, Any] = {}
    bad = False
    if path is not None:
        placed = place(f"{found}\n".encode(), path, force=given["force"], private=True)
        said, bad = {"path": str(placed.path) if placed.path else None}, placed.bad
        if placed.why:
            fail(placed.why)
        path = placed.path
    if given["as_json"]:
        click.echo(dumped({"ok": not bad, **facts(found), **said}))
    else:
        width = shutil.get_terminal_size().columns if is_terminal(sys.stdout) else None
        for line in lines(found, width):
            click.echo(line)
        if path is not None:
            words = ["imagekit", "run", str(path)]
            words += ["--base-url", given["base_url"]] if given["base_url"] else []
            words += ["--config", named] if (named := config()) is not None else []
            hint(f"to do it: {shlex.join(words)}")
    return int(bad)


@click.command("run", epilog=EXIT_CODES)
@click.argument("plan", metavar="PLAN")
@output("a name made from the prompt")
@force
@click.option("--save-partials", is_flag=True, help="Keep previews, as NAME.partial-1.png …")
@click.option("--save-state", type=FILE, metavar="FILE", help="Keep what --state takes.")
@check_mask
@several(*ways)
@asked
@told
def run_plan(plan: str, **given: Any) -> int:
    """Do exactly what PLAN says, a file that `plan -o` wrote (- is standard input).

    Where anything else would be sent than it says, nothing is.
    """
    stdout = to_stdout(given)
    check_ways(given, several=True)

    from ._call import followed
    from ._planfile import read

    found = read(plan)
    asked = found.request
    check_ways(given, several=bool(found.then))
    if given["check_mask"] and asked.mask is None:
        raise click.UsageError("--check-mask wants a mask, and the plan has none")
    if given["save_partials"] and not asked.partial_images:
        raise click.UsageError("--save-partials: the plan asks for none; plan it with --partial N")
    stem = slug(asked.prompt or (Path(plan).stem if plan != "-" else "image"))
    how, destination = _how(
        found,
        given,
        stem,
        ways=ways_of(given),
        manifest=given["manifest"],
        save_previews=given["save_partials"],
        save_state=given["save_state"],
        replace_state=given["force"],
        stdout=stdout,
    )
    return followed(found, how, destination)


@click.command(epilog=EXIT_CODES)
@click.argument("manifest", metavar="MANIFEST")
@click.option(
    "--check", "only_check", is_flag=True, help="Only look whether the files are what came then."
)
@output("otter-again.png, where it was otter.png")
@force
@several(*budget)
@asked
@told
def replay(manifest: str, only_check: bool, **given: Any) -> int:
    """Do again what a picture was made by; says of each whether the same bytes came.

    MANIFEST is what --manifest kept beside the picture. With --check nothing is sent, and the exit
    code is 1 where a file is gone or has changed.
    """
    check_budget(given)
    stdout = to_stdout(given)

    from ._call import followed
    from ._planfile import checked, manifest_in

    found = manifest_in(manifest)
    if only_check:
        return checked(found, manifest, quiet=given["quiet"], as_json=given["as_json"])
    first = next((image.file for image in found.images if image.file), None)
    stem = f"{Path(first or manifest).name.partition('.')[0]}-again"
    # What is kept from earlier would be the same for certain.
    again = {**spending_of(given), "cache": False}
    how, destination = _how(found.plan, given, stem, ways=again, stdout=stdout)
    return followed(found.plan, how, destination, found)


def _how(
    plan: Plan, given: Mapping[str, Any], stem: str, *, stdout: bool, **more: Any
) -> tuple[How, Destination]:
    """How *plan* is done, and where its pictures go."""
    from .._names import names
    from ._call import How
    from ._results import Destination

    path = None if stdout else given["output"]
    named = names(path, stem, plan.request.n, plan.request.output_format)
    how = How(
        provider=plan.name if given["base_url"] else None,
        base_url=given["base_url"],
        deadline=given["deadline"],
        debug=given["debug"],
        json=given["as_json"],
        quiet=given["quiet"],
        verbose=given["verbose"],
        job=named.beside(stem if stdout else None),
        **more,
    )
    return how, Destination(named, given["force"], stdout)
