"""The commands for what goes on by itself: submit, resume, cancel, delete, batch."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ._asked import fields_of, options_of, prompt_of
from ._faults import EXIT_CODES, as_data, dumped, exit_code, hint, say, warn
from ._pictures import (
    FILE,
    as_json,
    asked,
    check_base_url,
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
from ._ways import budget, check_budget, spending_of
from ._words import one_line

if TYPE_CHECKING:
    from .._client import Client
    from .._jobs import Job
    from .._request import ImageRequest
    from ._call import How

_job = click.option(
    "--job", type=FILE, metavar="FILE",
    help="Where the job goes, which only you can read there.  [default: standard output]",
)  # fmt: skip

_one = several(
    click.argument("job", metavar="JOB"),
    click.option("-p", "--provider", help="What its provider or profile is called here."),
)


@click.command(epilog=EXIT_CODES)
@click.argument("prompt", required=False)
@images
@mask
@_job
@force
@wanted
@state
@several(*budget)
@asked
@as_json
def submit(prompt: str | None, **given: Any) -> int:
    """Have pictures made while nobody waits: PROMPT goes out, a job comes back.

    With -i pictures are changed, as `edit` does. `resume` fetches what came of it.
    """
    check_base_url(given)
    check_budget(given)
    if isinstance(given["provider"], tuple):
        raise click.UsageError("a job is one provider's: say -p once")
    options = options_of(given["options"])
    fields = fields_of(given, prompt_of(prompt, given["images"]))

    from .._meant import request_of
    from ._call import made_by, meant

    request, how = request_of(fields), _how(given, options=options, ways=spending_of(given))

    def submitted(client: Client) -> Job:
        return client.submit(meant(client, request, how)[1], **made_by(how))

    return _given_out(submitted, how, given)


@click.command(epilog=EXIT_CODES)
@click.argument("requests", metavar="REQUESTS.jsonl", type=click.File("rb"))
@click.option("-p", "--provider", help="Who makes them.  [default: $IMAGEKIT_PROVIDER]")
@_job
@force
@several(*budget)
@asked
@as_json
def batch(requests: Any, **given: Any) -> int:
    """Have many requests done by the provider's batch API: later, and for less.

    Each line of REQUESTS.jsonl is a request as JSON, such as {"prompt": "a red bicycle", "n": 2};
    pictures in it are URLs, data URLs or base64. `resume` fetches what came of it, in order.
    """
    check_base_url(given)
    check_budget(given)
    found = [
        _request(line, number) for number, line in enumerate(requests, 1) if not line.isspace()
    ]

    from ._call import made_by

    how = _how(given, ways=spending_of(given))
    return _given_out(lambda client: client.batch(found, **made_by(how)), how, given)


def _request(line: bytes, number: int) -> ImageRequest:
    from pydantic import ValidationError

    from .._request import ImageRequest

    try:
        return ImageRequest.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        what = first["msg"].removeprefix("Value error, ")
        said = f"{where}: {what}" if where else what
        raise click.UsageError(f"line {number} is no request: {said}") from error


def _how(given: Mapping[str, Any], **more: Any) -> How:
    from ._call import How

    return How(
        provider=given["provider"],
        base_url=given["base_url"],
        deadline=given["deadline"],
        debug=given["debug"],
        json=given["as_json"],
        **more,
    )


def _given_out(submit: Callable[[Client], Job], how: How, given: Mapping[str, Any]) -> int:
    """Submit, and put the job away."""
    from ._call import client_of
    from ._jobfile import write
    from ._output import check

    path: Path | None = given["job"]
    if path is not None:
        check(path, force=given["force"])
    with client_of(how) as client:
        try:
            job = submit(client)
        except KeyboardInterrupt as error:
            return _left(error, how, path, force=given["force"])
    if not how.json:
        for notice in job.notices:
            warn(notice)
        for failure in job.failures:
            warn(f"one picture will not come: {failure.reason}")
    code = 1 if job.failures else 0
    if path is None:
        click.echo(dumped(job.model_dump(mode="json")))
        return code
    placed = write(job, path, force=given["force"])
    if placed.why:
        warn(placed.why)
    if placed.path is None:
        # What is under way is paid for: better here than nowhere.
        click.echo(dumped(job.model_dump(mode="json")))
        return 1
    if how.json:
        known = {"ok": not code, "job": str(placed.path), "pictures": job.n}
        about = job.model_dump(mode="json", exclude={"parts", "counts"})
        click.echo(dumped({**about, **known}))
    else:
        words = [placed.path, f"{job.n} picture{'s' * (job.n > 1)}"]
        words += ["/".join(word for word in (job.name, job.model) if word)]
        click.echo("  ".join(one_line(word) for word in words))
    return code


def _left(error: KeyboardInterrupt, how: How, path: Path | None, *, force: bool) -> int:
    """Say that it was stopped, and keep what was begun, as far as that has a name yet."""
    from ._jobfile import kept

    job = getattr(error, "job", None)
    left = kept(job, path, resumes=False, base_url=how.base_url, force=force)
    if how.json:
        known = {"job": left.data} if left else {}
        click.echo(dumped({"ok": False, "error": as_data(error), **known}))
    else:
        say(error)
        if left is not None:
            hint(left.hint)
    return exit_code(error)


@click.command(epilog=EXIT_CODES)
@_one
@output("a name made from JOB's")
@force
@click.option("--save-state", type=FILE, metavar="FILE", help="Keep what --state takes.")
@click.option("--wait/--no-wait", default=True, help="Whether to wait until it is done.")
@asked
@told
def resume(job: str, wait: bool, **given: Any) -> int:
    """Wait for JOB, a file that `submit` or `batch` wrote (- is standard input), and save it."""
    stdout = to_stdout(given)

    from .._names import names
    from ._call import resumed
    from ._jobfile import read
    from ._results import Destination

    found = read(job)
    stem = "image" if job == "-" else Path(job).name.removesuffix(".json").removesuffix(".job")
    named = names(None if stdout else given["output"], stem, found.n, None)
    how = _how(
        {**given, "provider": given["provider"] or found.name},
        quiet=given["quiet"],
        verbose=given["verbose"],
        save_state=given["save_state"],
        replace_state=given["force"],
        job=named.beside(stem) if job == "-" else Path(job),
        resumes=job != "-",
    )
    return resumed(found, how, Destination(named, given["force"], stdout), wait=wait)


@click.command(epilog=EXIT_CODES)
@_one
@asked
@as_json
def cancel(job: str, **given: Any) -> None:
    """End JOB. What it has made by then can still be had by `resume`."""
    _ended("cancel", job, given)


@click.command(epilog=EXIT_CODES)
@_one
@asked
@as_json
def delete(job: str, **given: Any) -> None:
    """Delete what the provider keeps of JOB; the file stays."""
    _ended("delete", job, given)


def _ended(verb: str, word: str, given: Mapping[str, Any]) -> None:
    from ._call import client_of, spoken
    from ._jobfile import read

    job = read(word)
    how = _how({**given, "provider": given["provider"] or job.name})
    with client_of(how) as client:
        getattr(client, verb)(job, **spoken(how))
    if how.json:
        click.echo(json.dumps({"ok": True}))
