"""Rules about what a provider may not touch: no socket, no clock, no thread, no environment."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, MutableMapping
from contextlib import contextmanager, nullcontext
from types import FrameType, ModuleType
from typing import Any
from unittest import mock

from .._flow import Call as Work
from .._flow import Gather, Open, Send, at_once, proper
from .._hookspecs import Config
from .._prepared import checked, prepared
from .._request import ImageRequest
from ._bench import Bench
from ._ground import Ground
from ._play import play

_FORBIDDEN = (
    (socket.socket, "connect", "opens a connection"),
    (socket, "create_connection", "opens a connection"),
    (socket, "getaddrinfo", "looks up an address"),
    (time, "sleep", "waits"),
    (threading.Thread, "start", "starts a thread"),
)


class Purity(Ground):
    """A flow yields effects, and performs none."""

    def test_building_it_does_nothing(self) -> None:
        """A provider is built to list it, too: no network, no waiting, no thread."""
        with _nothing_done("building the provider"):
            self.bench().provider()

    def test_its_capabilities_ask_nobody(self) -> None:
        """What a model can do is data."""
        maker = self.bench().provider()
        with _nothing_done("capabilities()"):
            maker.capabilities(self.model)

    def test_a_flow_is_a_generator(self) -> None:
        """Calling it does nothing yet."""
        bench = self.bench()
        maker, request = bench.provider(), self._ready(bench)
        for stream in (False, True):
            with _nothing_done("flow()"):
                flow = maker.flow(request, stream=stream)
            assert isinstance(flow, Generator), (
                f"flow(request, stream={stream}) gave {flow!r}: it is a generator function, with a "
                "yield in it"
            )
            flow.close()
        assert not bench.host.asked, "flow() asked the host before anybody ran it"

    def test_a_flow_performs_nothing_by_itself(self) -> None:
        """All that it wants done it yields; what takes time is a `Call`."""
        bench = self.bench()
        maker, request = bench.provider(), self._ready(bench)
        for stream in (False, True):
            _up_to_the_network(maker.flow(request, stream=stream))

    def test_a_flow_leaves_its_request_as_it_was(self) -> None:
        """Options are a mapping, and the caller's own."""
        bench = self.bench()
        maker = bench.provider()
        request = self._ready(bench).with_(options={self.provider: {}})
        before = request.model_dump_json()
        for stream in (False, True):
            _up_to_the_network(maker.flow(request, stream=stream), watched=False)
        assert request.model_dump_json() == before, (
            "the flow changed the request that it was given: copy what is to be changed"
        )

    def test_a_flow_that_is_closed_stops(self) -> None:
        """Whoever leaves a call leaves it at once: `finally` may tidy up, and yields no more."""
        bench = self.bench()
        maker, request = bench.provider(), self._ready(bench)
        for stream in (False, True):
            ended = _up_to_the_network(maker.flow(request, stream=stream), watched=False)
            assert ended is None, (
                f"the flow goes on when it is closed ({ended}): let GeneratorExit pass"
            )

    def test_the_environment_is_read_through_config_only(self) -> None:
        """What a program runs in is what its caller says."""
        bench = self.bench()
        packages = {_package(self.plugin), _package(type(bench.provider()))}
        with _watched(packages) as read:
            maker = bench.provider()
            maker.capabilities(self.model)
            bench.ask(**self.usual())
        told = sorted({_ALL} & read or read)
        assert not read, (
            f"os.environ was read for {', '.join(told)}: read config.env, and nothing else"
        )

    def test_the_environment_of_a_stranger_changes_nothing(self) -> None:
        """What is set for others is not read."""
        strange = {"HTTPS_PROXY": "http://nowhere.test:1", "API_KEY": "no", "BASE_URL": "no"}
        said = [self.reached(client={"env": env}).said for env in ({}, strange)]
        assert said[0] == said[1], (
            f"with {', '.join(strange)} set another request is made: read variables that carry "
            "the provider's name"
        )

    def test_each_provider_is_built_anew(self) -> None:
        """Two clients may have two keys: neither is kept where the other finds it."""
        bench = self.bench()
        one, other = bench.provider(), bench.provider()
        assert one is not other, (
            "imagekit_provider gave the same object twice: build one from the config it is given"
        )

    def test_a_provider_is_built_from_a_config_alone(self) -> None:
        """No key and no variable is needed to say what a model can do."""
        bench = self.bench()
        bare = Config(self.provider, None, self.base_url, settings=bench.settings)
        found = _built(bench, bare)
        assert found.capabilities(self.model) == self.able, (
            "without a key the model can do something else"
        )

    def _ready(self, bench: Bench) -> ImageRequest:
        """A request as the core hands it to a flow."""
        able = bench.able()
        wanted = {**bench.fields, **self.usual(), "model": self.model}
        request, _ = checked(ImageRequest(**wanted), able, self.provider)
        found: ImageRequest = play(prepared(request, able, self.provider)).response
        return found


def _up_to_the_network(
    flow: Generator[Any, Any, Any], *, watched: bool = True
) -> RuntimeError | None:
    """Run *flow* to its first request, or its end, and close it; what that ends in, if badly.

    Its calls are performed, and nothing else.
    """
    reply: Any = None
    try:
        while True:
            with _nothing_done("a flow") if watched else nullcontext():
                effect = proper(flow.send(reply))
            reply = None
            if isinstance(effect, Work):
                reply = at_once(effect.function())
            elif isinstance(effect, Send | Open | Gather):
                break
    except StopIteration:
        return None
    try:
        flow.close()
    except RuntimeError as error:
        return error
    return None


@contextmanager
def _nothing_done(what: str) -> Iterator[None]:
    """Fail where *what* touches the network, the clock or another thread."""
    here, done, over = threading.get_ident(), list[str](), threading.Event()

    def refusing(name: str, why: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def refused(*args: Any, **kwargs: Any) -> Any:
            # What it took along into a `Call` is performed where that is right.
            if threading.get_ident() == here and not over.is_set():
                done.append(f"{what} {why} ({name}): yield an effect, and let the core do it")
                raise OSError(done[-1])
            return real(*args, **kwargs)

        return refused

    patches = [
        mock.patch.object(owner, name, refusing(name, why, getattr(owner, name)))
        for owner, name, why in _FORBIDDEN
    ]
    for one in patches:
        one.start()
    try:
        yield
    except Exception:
        if done:
            raise AssertionError(done[0]) from None
        raise
    finally:
        over.set()
        for one in patches:
            one.stop()
    assert not done, done[0]


def _package(plugin: object) -> str:
    """The package that *plugin* is of, a module or an object or a class."""
    kind = plugin if isinstance(plugin, type) else type(plugin)
    name = plugin.__name__ if isinstance(plugin, ModuleType) else kind.__module__
    return name.partition(".")[0]


class _Watching(MutableMapping[str, str]):
    """The environment, which notes what is read of it by some packages."""

    def __init__(self, real: Any, packages: set[str], read: set[str]) -> None:
        self._real, self._packages, self._read = real, packages, read

    def _note(self, name: str) -> None:
        frame: FrameType | None = sys._getframe(2)
        # Whoever asks through the standard library asks all the same.
        while frame is not None and frame.f_globals.get("__name__") in _ITS_OWN:
            frame = frame.f_back
        asker = str(frame.f_globals.get("__name__")) if frame is not None else ""
        if asker.partition(".")[0] in self._packages:
            self._read.add(name)

    def __getitem__(self, name: str) -> str:
        self._note(name)
        return str(self._real[name])

    def __setitem__(self, name: str, value: str) -> None:
        self._real[name] = value

    def __delitem__(self, name: str) -> None:
        del self._real[name]

    def __iter__(self) -> Iterator[str]:
        self._note(_ALL)
        return iter(self._real)

    def __len__(self) -> int:
        return len(self._real)

    def copy(self) -> dict[str, str]:
        """As the real one has it."""
        self._note(_ALL)
        return dict(self._real)


_ALL = "all of it"
_ITS_OWN = frozenset({"os", "collections.abc", "_collections_abc", __name__})


@contextmanager
def _watched(packages: set[str]) -> Iterator[set[str]]:
    read: set[str] = set()
    with mock.patch.object(os, "environ", _Watching(os.environ, packages, read)):
        yield read


def _built(bench: Bench, config: Config) -> Any:
    from .._plugins import Plugins

    found = Plugins()
    found.register(bench.plugin, bench.name)
    return found.provider(bench.name, config)
