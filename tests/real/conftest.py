"""A real image server, built once and started once; and the judges' account, told at the end."""

from __future__ import annotations

from collections.abc import Iterator

import official
import pytest
import sdserver
import tally


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The base URL of a running stable-diffusion.cpp server with small random weights."""
    if reason := sdserver.available():
        pytest.skip(f"stable-diffusion.cpp cannot be built here: {reason}")
    with sdserver.running() as url:
        yield url


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """No client of the official SDK outlives its test."""
    yield
    official.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if tally.JUDGES:
        terminalreporter.section("judges")
        for line in tally.table():
            terminalreporter.line(line)
