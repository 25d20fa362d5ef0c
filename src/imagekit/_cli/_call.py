"""One call from the command line: made as a stream, its pictures put away as they come."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from .._capabilities import Allowed
from .._client import Client
from .._errors import ImagekitError
from .._fields import AskFields, RunFields, StreamFields
from .._image import Image
from .._jobs import Job
from .._manifest import Manifest
from .._meant import request_of
from .._plan import Plan
from .._request import ImageRequest
from .._response import ImageResponse
from .._saved import place
from .._streams import Stream
from ._chosen import config
from ._faults import UNFINISHED, dumped, exit_code, warn
from ._jobfile import kept
from ._output import check, given_up
from ._report import Report
from ._results import Destination, Results
from ._words import is_terminal

if TYPE_CHECKING:
    from ._progress import Shown


@dataclass(frozen=True, slots=True)
class How:
    """How a call is made and told of, as the options say.

    `provider` may be several, who are asked in order; `ways` are further keywords of the call.
    """

    provider: str | Sequence[str] | None
    base_url: str | None
    deadline: float | None
    debug: bool
    json: bool
    quiet: bool = False
    verbose: bool = False
    ways: Mapping[str, Any] = field(default_factory=dict)
    manifest: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    ending: str | None = None
    save_previews: bool = False
    save_state: Path | None = None
    replace_state: bool = False
    job: Path | None = None
    resumes: bool = False  # the job is one that is there already


def called(fields: Mapping[str, Any], how: How, destination: Destination) -> int:
    """Make the call, say what came of it; returns the exit code."""
    request = request_of(fields)

    def make(client: Client, results: Results) -> ImageResponse:
        names, settled = meant(client, request, how)
        stream = client.stream(settled, **made_by(how, **destination.spooled()))
        results.free = is_free(client, names)
        return _seen(stream, request.n, how, results)

    _check(request.n, request.partial_images or 0, how, destination)
    return _made(how, destination, make)


def followed(plan: Plan, how: How, destination: Destination, before: Manifest | None = None) -> int:
    """Do what *plan* says, say what came of it, and how it was *before*; returns the exit code."""

    def make(client: Client, results: Results) -> ImageResponse:
        stream = client.stream(plan, **made_by(how, provider=None, **destination.spooled()))
        results.free = is_free(client, [one.name for one in (plan, *plan.then)])
        return _seen(stream, plan.request.n, how, results)

    _check(plan.request.n, plan.request.partial_images or 0, how, destination)
    return _made(how, destination, make, before)


def resumed(job: Job, how: How, destination: Destination, *, wait: bool) -> int:
    """Finish *job*, say what came of it; returns the exit code. Without *wait* it is looked at."""

    def make(client: Client, results: Results) -> ImageResponse | None:
        if wait:
            how_made = cast(StreamFields, {**spoken(how), **destination.spooled()})
            return _seen(client.stream(job, **how_made), job.n, how, results)
        response = client.poll(job, **spoken(how))
        if response is not None:
            results.put_all(response)
        return response

    _check(job.n, 0, how, destination)
    return _made(how, destination, make)


def is_free(client: Client, names: Sequence[str]) -> bool:
    """Whether all of them work in this process, where nothing can be charged for."""
    return all(client._calls.providers.address(name) is None for name in names)


def made_by(how: How, **other: Any) -> RunFields:
    """How a call that makes pictures is made, as its keywords, of which some may be *other*."""
    who = {"provider": how.provider, **other}
    return cast(RunFields, {**_limits(how), **how.ways, **who})


def spoken(how: How) -> AskFields:
    """How a call is made that asks one provider, as its keywords."""
    assert how.provider is None or isinstance(how.provider, str)
    return {"provider": how.provider, **_limits(how)}


def _limits(how: How) -> AskFields:
    fields: AskFields = {}
    if how.deadline is not None:
        fields["deadline"] = how.deadline
    if how.debug:
        fields["debug"] = True
    return fields


def client_of(how: How) -> Client:
    """The client that the options speak of."""
    return Client(provider=how.provider, base_url=how.base_url, config=config())


def _made(
    how: How,
    destination: Destination,
    make: Callable[[Client, Results], ImageResponse | None],
    before: Manifest | None = None,
) -> int:
    results = Results(destination, how.save_previews)
    try:
        with client_of(how) as client:
            response = make(client, results)
    except (ImagekitError, KeyboardInterrupt) as error:
        job = error.job if isinstance(error, ImagekitError) else results.job
        left = kept(job, how.job, resumes=how.resumes, base_url=how.base_url)
        return _tell(Report(results, error=error, left=left), how, exit_code(error))
    if response is None:
        if how.json:
            click.echo(dumped({"ok": False, "done": False}))
        elif not how.quiet:
            click.echo("not done yet", err=True)
        return UNFINISHED
    state = _keep_state(response, how)
    left = kept(response.job, how.job, resumes=how.resumes, base_url=how.base_url)
    report = Report(
        results,
        response,
        state=state,
        left=left,
        manifest=_keep_manifest(response, results, how),
        again=before.replayed(response) if before else None,
    )
    return _tell(report, how, 0 if results.whole else 1)


def _check(n: int, previews: int, how: How, destination: Destination) -> None:
    """Everything that can be known to go wrong with files, before anything is sent."""
    if not destination.stdout:
        for path in destination.names.candidates(previews if how.save_previews else 0):
            check(path, force=destination.force)
        for path in destination.names.candidates() if how.manifest else ():
            check(_beside(path), force=destination.force)
    elif n > 1:
        raise click.UsageError(f"standard output takes one picture, not {n}")
    if how.save_state is not None:
        check(how.save_state, force=how.replace_state)


def _seen(stream: Stream, n: int, how: How, results: Results) -> ImageResponse:
    shown = _shown(n, how)
    with stream, shown or nullcontext():
        try:
            for event in stream:
                results.see(event)
                if shown is not None:
                    shown.see(event)
        except KeyboardInterrupt:
            results.job = stream.job
            raise
    return stream.response


def _shown(n: int, how: How) -> Shown | None:
    """What shows a call of *n* pictures while it lasts; where nobody looks, nothing is loaded."""
    seen = is_terminal(sys.stderr) and is_terminal(sys.stdout)
    looked_at = seen and os.environ.get("TERM") != "dumb"
    # What debug shows goes to where a line would be redrawn.
    live, every = looked_at and not how.quiet and not how.debug, how.verbose and not how.quiet
    if not live and not every:
        return None
    from ._progress import Shown

    return Shown(n, live=live, every=every)


def meant(client: Client, request: ImageRequest, how: How) -> tuple[Sequence[str], ImageRequest]:
    """Who is asked, and the request with what only they know of and what `-o` implies."""
    try:
        meaning, said = client._calls.meaning, {"provider": how.provider}
        found = [
            meaning.settled(request, {**said, **one}) for one in meaning.choices(request, said)
        ]
        names = [one.name for one, _ in found]
        if how.options:
            request = request.with_(options=_options(how.options, names))
        if how.ending is not None:
            able = client._calls.providers.capabilities(names[0], found[0][1].model)
            known = able.supports("output_format")
            # An ending is no order: what the model is known to lack is not asked for.
            if known != "no" and not (isinstance(known, Allowed) and not known.allows(how.ending)):
                request = request.with_(output_format=how.ending)
    except ImagekitError as error:
        error.billed = error.billed or "no"
        raise
    return names, request


def _options(said: Mapping[str, Any], names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Whose options they are: of several providers the first one's, but for what names another."""
    found: dict[str, dict[str, Any]] = {}
    for option, value in said.items():
        if len(names) > 1 and option in names and isinstance(value, Mapping):
            found.setdefault(option, {}).update(value)
        else:
            found.setdefault(names[0], {})[option] = value
    return found


def _keep_state(response: ImageResponse, how: How) -> Path | None:
    if how.save_state is None:
        return None
    if response.state is None:
        warn(f"no state came with the answer, so {str(how.save_state)!r} was not written")
        return None
    data = response.state.model_dump_json(indent=2).encode() + b"\n"
    placed = place(data, how.save_state, force=how.replace_state)
    if placed.why:
        warn(placed.why)
    return placed.path


def _beside(path: Path) -> Path:
    """Where the manifest of the picture at *path* goes."""
    return path.with_name(f"{path.name}.json")


def _keep_manifest(response: ImageResponse, results: Results, how: How) -> Path | None:
    """Keep what the pictures were made by, beside the first of them."""
    if not how.manifest:
        return None
    assert response.plan is not None
    paths = {kept.index: kept.placed.path for kept in results.pictures if not kept.placed.bad}
    first = next((path for _, path in sorted(paths.items()) if path), None)
    if first is None:
        warn("no picture was saved, so there is no manifest of it")
        return None
    came = [index for index, slot in enumerate(response.slots) if isinstance(slot, Image)]
    files = [_seen_from(first.parent, paths.get(index)) for index in came]
    manifest = Manifest.of(response.plan, response, files)
    data = manifest.model_dump_json(indent=2).encode() + b"\n"
    placed = place(data, _beside(first), force=results.destination.force)
    if placed.why:
        warn(placed.why)
    return placed.path


def _seen_from(folder: Path, path: Path | None) -> str | None:
    return os.path.relpath(path, folder) if path else None


def _tell(report: Report, how: How, code: int) -> int:
    try:
        if how.json:
            click.echo(dumped(report.data()))
        else:
            report.lines(quiet=how.quiet, verbose=how.verbose)
    except OSError as error:
        report.unsaid(given_up(error))
        return code or 1
    return code
