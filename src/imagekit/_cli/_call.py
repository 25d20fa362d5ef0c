"""One call from the command line: made as a stream, its pictures put away as they come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from .._calls import request_of
from .._capabilities import Allowed
from .._client import Client
from .._errors import ImagekitError
from .._request import ImageRequest
from .._response import ImageResponse
from ._faults import dumped, exit_code, warn
from ._output import check, given_up, place
from ._progress import Shown, worth_showing
from ._report import Report
from ._results import Destination, Results


@dataclass(frozen=True, slots=True)
class How:
    """How a call is made and told of, as the options say."""

    provider: str | None
    base_url: str | None
    deadline: float | None
    options: Mapping[str, Any]
    ending: str | None
    save_previews: bool
    save_state: Path | None
    replace_state: bool
    json: bool
    quiet: bool
    verbose: bool


def called(fields: Mapping[str, Any], how: How, destination: Destination) -> int:
    """Make the call, say what came of it; returns the exit code."""
    request = request_of(fields)
    _check(request, how, destination)
    results = Results(destination, how.save_previews)
    try:
        with Client(provider=how.provider, base_url=how.base_url) as client:
            response = _made(client, request, how, results)
    except (ImagekitError, KeyboardInterrupt) as error:
        return _tell(Report(results, error=error), how, exit_code(error))
    state = _keep_state(response, how)
    return _tell(Report(results, response, state=state), how, 0 if results.whole else 1)


def _check(request: ImageRequest, how: How, destination: Destination) -> None:
    """Everything that can be known to go wrong with files, before anything is sent."""
    if not destination.stdout:
        previews = request.partial_images or 0 if how.save_previews else 0
        for path in destination.names.candidates(previews):
            check(path, force=destination.force)
    elif request.n > 1:
        raise click.UsageError(f"standard output takes one picture, not {request.n}")
    if how.save_state is not None:
        check(how.save_state, force=how.replace_state)


def _made(client: Client, request: ImageRequest, how: How, results: Results) -> ImageResponse:
    name, request = _meant(client, request, how)
    live = worth_showing() and not how.quiet
    shown = Shown(request.n, live=live, every=how.verbose and not how.quiet)
    stream = client.stream(request, provider=how.provider, deadline=how.deadline)
    results.free = client._calls.providers.provider(name).endpoint is None
    with stream, shown:
        for event in stream:
            results.see(event)
            shown.see(event)
    return stream.response


def _meant(client: Client, request: ImageRequest, how: How) -> tuple[str, ImageRequest]:
    """Who is asked, and the request with what only they know of and what `-o` implies."""
    try:
        name, model = client._calls.providers.chosen(how.provider, request.model)
        if how.options:
            request = request.with_(options={name: how.options})
        if how.ending is not None:
            known = client._calls.providers.capabilities(name, model).supports("output_format")
            # An ending is no order: what the model is known to lack is not asked for.
            if known != "no" and not (isinstance(known, Allowed) and not known.allows(how.ending)):
                request = request.with_(output_format=how.ending)
    except ImagekitError as error:
        error.billed = error.billed or "no"
        raise
    return name, request


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
