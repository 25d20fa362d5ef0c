"""Steady, a mock server nobody here wrote: it judges requests by an OpenAPI document.

What it answers means nothing; its headers say what is wrong with what it was asked.

How it lies, as measured with 0.22.2:

* It answers 400 only where it is sure; a number or a length out of range, a null or an unknown
  query comes with `x-steady-request-valid: true`. What tells is the count of errors in the header.
* Forms need both of its options for brackets; with them `image[0]` passes too, and it does not look
  whether a part is a file or a text.
* Inside a conversation its errors stop at the item, and on the published document any message in
  parts is "no variant"; jsonschema names the field.
* It checks no keys, streams only where `Accept` asks for events, and what it invents means nothing.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import npm

from spoken import httpx

PACKAGES = {"@stdy/cli": "0.22.2"}
# A form says lists and objects in brackets, as OpenAI's own clients do; streams are kept short.
_FLAGS = (
    "--validator-form-array-format=brackets",
    "--validator-form-object-format=brackets",
    "--reject-on-sdk-error=false",
    "--stream-count=1",
    "--stream-interval=1",
    "--no-color",
    "--quiet",
)


class SteadyError(RuntimeError):
    """Steady did not start; the message holds the end of its log."""


@dataclass(frozen=True)
class Wrong:
    """One thing that Steady finds wrong."""

    code: str
    where: str
    what: str = field(compare=False, default="")


def found(headers: Mapping[str, str]) -> list[Wrong]:
    """What is wrong with the request that was answered with these *headers*.

    The count is what tells: `x-steady-request-valid` is true beside a number out of range.
    """
    count = int(headers["x-steady-error-count"])
    names = [f"x-steady-error-{place}" for place in range(1, count + 1)]
    return [
        Wrong(headers[f"{one}-code"], headers.get(f"{one}-path", ""), headers[f"{one}-message"])
        for one in names
    ]


class Rerouted(httpx.BaseTransport):
    """Sends to Steady, over loopback, whatever was meant for a provider, and keeps its verdicts."""

    def __init__(self, url: str) -> None:
        self._url = httpx.URL(url)
        self._wire = httpx.HTTPTransport()
        self.seen: list[tuple[httpx.Request, list[Wrong]]] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request* on."""
        content = request.read()
        path = request.url.path.removeprefix("/v1")
        there = self._url.copy_with(raw_path=path.encode())
        headers = [pair for pair in request.headers.raw if pair[0].lower() != b"host"]
        sent = httpx.Request(
            request.method, there, headers=headers, content=content, extensions=request.extensions
        )
        answer = self._wire.handle_request(sent)
        self.seen.append((request, found(answer.headers)))
        return answer

    def close(self) -> None:
        """Close the connections."""
        self._wire.close()


@contextlib.contextmanager
def running(document: Path) -> Iterator[str]:
    """Run Steady on *document* and yield its base URL."""
    command = npm.install(PACKAGES).bin / "steady"
    port = _free_port()
    with tempfile.TemporaryDirectory(prefix="imagekit-steady-") as scratch:
        log = Path(scratch, "log")
        with log.open("wb") as output:
            process = subprocess.Popen(
                [command, "--host", "127.0.0.1", "--port", str(port), *_FLAGS, document],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=scratch,
                start_new_session=True,
            )
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_until_ready(url, process, log)
            yield url
        finally:
            _end(process)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def _wait_until_ready(
    url: str, process: subprocess.Popen[bytes], log: Path, *, within: float = 60
) -> None:
    deadline = time.monotonic() + within
    with httpx.Client(trust_env=False, timeout=5) as client:
        while process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(httpx.TransportError):
                if client.get(f"{url}/_x-steady/health").is_success:
                    return
            time.sleep(0.02)
    state = "is not ready" if process.poll() is None else f"ended ({process.returncode})"
    raise SteadyError(f"Steady {state}:\n{log.read_text(errors='replace')[-2000:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the command and the program that it starts."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
            return
