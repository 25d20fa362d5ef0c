"""What is said of a call when it is over: lines for people, one object for programs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from .._manifest import Replayed
from .._media import EXTENSIONS
from .._response import Attempt, CallRecord, Cost, ImageResponse, Notice
from ._faults import as_data, fail, hint, say, warn
from ._jobfile import Left
from ._results import Kept, Results
from ._words import one_line, size_of


@dataclass(frozen=True, slots=True)
class Report:
    """Everything there is to say; `error` is what the call ended in, where it did not end well.

    `again` says how what came compares with what came before, where it was made once more.
    """

    results: Results
    response: ImageResponse | None = None
    error: BaseException | None = None
    state: Path | None = None
    left: Left | None = None
    manifest: Path | None = None
    again: Replayed | None = None

    def lines(self, *, quiet: bool, verbose: bool) -> None:
        """Say it to people: pictures on standard output, all else on standard error."""
        results = self.results
        for kept in results.pictures:
            self._picture(kept, quiet=quiet)
        if not quiet:
            for placed in results.previews:
                # A preview is no loss; it is named where somebody asked for it, or needs it.
                if placed.path is not None:
                    click.echo(f"preview  {one_line(placed.path)}", err=True)
            for notice in results.notices:
                warn(_words(notice))
            if self.response is not None and self.response.cached is not None:
                click.echo(f"kept from {_when(self.response.cached)}, not made anew", err=True)
        for placed in results.previews:
            if placed.why:
                warn(placed.why)
        for index, failure, preview in results.failures:
            if self.error is None or results.destination.names.n > 1:
                kept_as = f"; its last preview is {str(preview)!r}" if preview else ""
                billed = {"no": "", "possibly": " (may be charged for)", "yes": " (charged for)"}
                cost = billed[failure.billed]
                fail(f"picture {index + 1} {failure.kind}: {failure.reason}{cost}{kept_as}")
        if verbose and self.response is not None:
            _details(self.response)
        if self.error is not None:
            say(self.error, free=self.results.free)
        if self.left is not None:
            hint(self.left.hint)

    def _picture(self, kept: Kept, *, quiet: bool) -> None:
        image, placed = kept.image, kept.placed
        if placed.why:
            (fail if placed.bad else warn)(f"picture {kept.index + 1}: {placed.why}")
        to_stdout = self.results.destination.stdout
        if quiet:
            if placed.path is not None and not to_stdout:
                click.echo(one_line(placed.path))
            return
        if placed.path is None and placed.why:
            return
        words = [one_line(placed.path) if placed.path else "standard output"]
        if image.width and image.height:
            words.append(f"{image.width}x{image.height}")
        words.append(size_of(len(image.read())))
        if self.response is not None:
            who = (self.response.provider, self.response.model)
            words.append("/".join(one_line(word) for word in who if word))
            timing = self.response.timing
            words += [f"{timing.total:.1f} s"] if timing else []
        if self.again is not None:
            words.append(str(self.again.slots[kept.index]))
        click.echo("  ".join(words), err=to_stdout)
        wanted = EXTENSIONS.get(image.media_type or "")
        ending = placed.path.suffix.lower().lstrip(".") if placed.path else wanted
        if wanted and ending in EXTENSIONS.values() and ending != wanted:
            warn(f"{str(placed.path)!r} holds a picture of type {image.media_type}")

    def data(self) -> dict[str, Any]:
        """The same for programs; no bytes."""
        results, response = self.results, self.response
        found: dict[str, Any] = {
            "ok": self.error is None and results.whole,
            "pictures": [_picture(kept) for kept in results.pictures],
            "previews": [str(placed.path) for placed in results.previews if placed.path],
            "failures": [
                {
                    "index": index,
                    **failure.model_dump(mode="json", exclude={"preview"}),
                    "preview": str(preview) if preview else None,
                }
                for index, failure, preview in results.failures
            ],
            "notices": [notice.model_dump(mode="json") for notice in results.notices],
        }
        if response is not None:
            found |= response.model_dump(
                mode="json", exclude={"slots", "notices", "state", "metadata", "rate_limits"}
            )
            found["state"] = str(self.state) if self.state else None
            found["plan"] = response.plan.key if response.plan else None
            found["manifest"] = str(self.manifest) if self.manifest else None
        if self.again is not None:
            found["again"] = {"same": self.again.same, **self.again.model_dump(mode="json")}
        if self.error is not None:
            found["error"] = as_data(self.error, free=results.free)
        if self.left is not None:
            found["job"] = self.left.data
        return found

    def unsaid(self, why: str) -> None:
        """Say on standard error what matters, where standard output takes no more."""
        paths = [kept.placed.path for kept in self.results.pictures]
        saved = ", ".join(repr(str(path)) for path in paths if path is not None)
        fail(f"{why}; saved as {saved}" if saved else why)
        if self.error is not None:
            say(self.error, free=self.results.free)
        if self.left is not None:
            hint(self.left.hint)


def _picture(kept: Kept) -> dict[str, Any]:
    image, placed = kept.image, kept.placed
    return {
        "index": kept.index,
        "path": str(placed.path) if placed.path else None,
        "why": placed.why,
        "bytes": image.length,
        **image.model_dump(mode="json", exclude={"data", "kind", "echo", "id"}),
    }


def _details(response: ImageResponse) -> None:
    """What only some want to know."""
    facts: list[tuple[str, object]] = [("request id", name) for name in response.request_ids]
    if response.usage is not None:
        facts += [
            (
                "usage",
                " ".join(
                    str(word)
                    for word in (
                        item.quantity,
                        item.direction,
                        item.modality,
                        item.unit,
                        item.detail,
                    )
                    if word is not None
                ),
            )
            for item in response.usage.items
        ]
    if response.cost is not None:
        facts.append(("cost", _cost(response.cost)))
    if len(response.calls) > 1:
        facts += [(f"call {place}", _call(one)) for place, one in enumerate(response.calls, 1)]
    facts += [("asked before", _attempt(one)) for one in response.attempts]
    facts += [("plan", response.plan.key)] if response.plan else []
    facts += [("revised", image.revised_prompt) for image in response if image.revised_prompt]
    facts += [("text", response.text)] if response.text else []
    for name, fact in facts:
        click.echo(f"{name}: {one_line(fact)}", err=True)


def _words(notice: Notice) -> str:
    if notice.kind == "fallback":
        return f"{notice.wanted}: {notice.detail}; {notice.used} is asked instead"
    return str(notice)


def _when(moment: datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M}"


def _cost(cost: Cost) -> str:
    source = f" by {cost.source}" if cost.source else ""
    return f"{cost.amount} {cost.currency}, {cost.kind}{source}"


def _call(call: CallRecord) -> str:
    words = [f"{call.images} of {call.n} picture{'s' * (call.n > 1)}"]
    words += [_cost(call.cost)] if call.cost else []
    words += [call.error] if call.error else []
    words += [f"request id {name}" for name in call.request_ids]
    return "; ".join(words)


def _attempt(attempt: Attempt) -> str:
    who = "/".join(word for word in (attempt.profile or attempt.provider, attempt.model) if word)
    return f"{who}: {attempt.kind}: {attempt.error}"
