"""One async client on several event loops: each has connections of its own, and closes them."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import trio

from imagekit import _pool
from imagekit._errors import ConfigurationError
from imagekit._transport import AsyncTransport
from imagekit.provider import HttpRequest
from toys import patiently


class Host(ThreadingHTTPServer):
    """Keeps connections for further requests, and counts them."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.begun = self.ended = 0

    async def asked(self, transport: AsyncTransport) -> None:
        url = f"http://127.0.0.1:{self.server_address[1]}/"
        assert (await transport.send(HttpRequest("GET", url))).body == b"ok"

    def all_ended(self) -> bool:
        return patiently(lambda: self.begun == self.ended)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Host

    def setup(self) -> None:
        self.server.begun += 1
        super().setup()

    def finish(self) -> None:
        super().finish()
        self.server.ended += 1

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def host() -> Iterator[Host]:
    with Host() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()
    # What nobody closed would be a warning by now, and so an error.
    gc.collect()


def test_a_loop_that_ends_closes_what_is_its_own(host: Host) -> None:
    transport = AsyncTransport()
    for count in (1, 2, 3):
        asyncio.run(host.asked(transport))
        assert host.all_ended()
        assert host.begun == count
    trio.run(host.asked, transport)
    assert host.all_ended()
    assert host.begun == 4
    asyncio.run(host.asked(transport))
    assert len(transport._ours) == 1, "loops that are over are forgotten"


def test_a_client_that_nobody_has_any_more_is_closed_on_its_loop(host: Host) -> None:
    async def main() -> None:
        await host.asked(AsyncTransport())
        while host.ended < host.begun:
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(main(), 20))


def test_loops_that_take_turns_keep_their_connections(host: Host) -> None:
    transport = AsyncTransport()
    with asyncio.Runner() as one, asyncio.Runner() as other:
        for _ in range(3):
            one.run(host.asked(transport))
            other.run(host.asked(transport))
        assert (host.begun, host.ended) == (2, 0)
        one.run(transport.aclose())
        with pytest.raises(ConfigurationError, match="the client is closed"):
            one.run(host.asked(transport))
        other.run(host.asked(transport))
        assert host.begun == 2
    assert host.all_ended()


def test_loops_of_two_threads_do_not_meet(host: Host) -> None:
    transport = AsyncTransport()
    both = threading.Barrier(2, timeout=20)
    failed: list[BaseException] = []

    async def main(closes: bool) -> None:
        for _ in range(3):
            await host.asked(transport)
            both.wait()
        if closes:
            await transport.aclose()
        both.wait()
        if not closes:
            await host.asked(transport)

    def work(closes: bool) -> None:
        try:
            asyncio.run(main(closes))
        except BaseException as error:
            failed.append(error)
            both.abort()

    threads = [threading.Thread(target=work, args=(closes,)) for closes in (True, False)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert host.begun == 2
    assert host.all_ended()


@pytest.mark.filterwarnings("ignore:asynchronous generator:ResourceWarning")
def test_a_loop_whose_generators_were_ended_goes_on(host: Host) -> None:
    transport = AsyncTransport()
    with asyncio.Runner() as runner:
        runner.run(host.asked(transport))
        runner.run(runner.get_loop().shutdown_asyncgens())
        assert host.all_ended()
        runner.run(host.asked(transport))
        runner.run(transport.aclose())
        assert host.all_ended()


@pytest.fixture
def uncollected() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("uncollected")
def test_a_loop_that_was_closed_in_a_hurry_is_forgotten(host: Host) -> None:
    transport = AsyncTransport()
    loop = asyncio.new_event_loop()
    loop.run_until_complete(host.asked(transport))
    [own] = transport._ours.values()
    assert not own.over
    loop.close()
    assert own.over
    del own
    asyncio.run(host.asked(transport))
    assert len(transport._ours) == 1
    del loop
    with pytest.warns(ResourceWarning, match="unclosed"):
        gc.collect()


def test_what_comes_back_to_a_closed_pool_is_closed() -> None:
    class Connection:
        def is_idle(self) -> bool:
            return True

    idle, first, second = _pool._Idle(), Connection(), Connection()
    assert idle.put(first) == []
    assert idle.empty() == [first]
    assert idle.put(second) == [second]
