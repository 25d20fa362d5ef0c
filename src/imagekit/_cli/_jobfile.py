"""Jobs as files: read, written for their owner alone, and how each is gone on with."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from .._errors import RequestError
from .._jobs import Job, job_of
from .._saved import Placed, place
from ._chosen import config


def read(word: str) -> Job:
    """The job in the file *word*, or on standard input where that is `-`."""
    if word == "-" and (sys.stdin is None or sys.stdin.isatty()):
        raise click.UsageError("a job is read from standard input, which is a terminal")
    try:
        return job_of(sys.stdin.buffer.read() if word == "-" else Path(word).read_bytes())
    except OSError as error:
        raise click.UsageError(f"cannot read the job {word!r}: {error.strerror}") from error
    except RequestError as error:
        where = "standard input" if word == "-" else repr(word)
        raise click.UsageError(f"{where} holds no job that `submit` or `batch` wrote") from error


def write(job: Job, path: Path, *, force: bool) -> Placed:
    """Keep *job* at *path*, where only its owner reads it."""
    return place(f"{job}\n".encode(), path, force=force, private=True)


@dataclass(frozen=True, slots=True)
class Left:
    """What a call left that goes on at its provider: a file, or the job itself where none took it.

    `hint` is the command that finishes it.
    """

    path: Path | None
    job: Job
    base_url: str | None

    @property
    def hint(self) -> str:
        words = ["imagekit", "resume", str(self.path or "-")]
        if self.base_url is not None:
            words += ["--base-url", self.base_url]
        if (named := config()) is not None:
            words += ["--config", named]
        command = shlex.join(words)
        if self.path is not None:
            return f"to finish it later: {command}"
        return f"to finish it later, give this to `{command}`: {self.job}"

    @property
    def data(self) -> Any:
        return str(self.path) if self.path else self.job.model_dump(mode="json")


def kept(
    job: Job | None,
    path: Path | None,
    *,
    resumes: bool,
    base_url: str | None,
    force: bool = False,
) -> Left | None:
    """*job* as it was left, in a file; one that *resumes* is in its file already."""
    if job is None:
        return None
    if not resumes and path is not None:
        path = write(job, path, force=force).path
    return Left(path, job, base_url)
