"""What a provider's own flows ask for, told before the core mends anything, and without waiting."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

from .._events import ImageEvent
from .._flow import Effect, Effects, Emit, Provider, Sleep, transform
from .._hookspecs import Config
from .._plugins import Plugins

_FLOWS = frozenset({"flow", "resume", "cancel", "delete", "batch"})


@dataclass
class Trace:
    """One flow of the provider: its verb, what it was given, what it asked for and came to."""

    verb: str
    given: Any
    effects: list[Effect] = field(default_factory=list)
    response: Any = None

    def events(self) -> list[ImageEvent]:
        """What it emitted."""
        return [one.event for one in self.effects if isinstance(one, Emit)]


class Traced(Plugins):
    """Plugins whose providers' flows are noted in *traces*, and wait for nothing."""

    def __init__(self) -> None:
        super().__init__()
        self._traces: list[Trace] = []

    def noting(self, traces: list[Trace]) -> Self:
        """The same, which note theirs elsewhere; what is registered on either is its own."""
        other = copy.copy(self)
        other._traces = traces
        return other

    def untraced(self, name: str, config: Config) -> Provider:
        """The provider called *name*, as it is."""
        return super().provider(name, config)

    def provider(self, name: str, config: Config) -> Provider:
        """The provider called *name*."""
        made: Any = _Traced(self.untraced(name, config), self._traces)
        return made  # type: ignore[no-any-return]


class _Traced:
    """A provider, and what its flows do."""

    def __init__(self, provider: Provider, traces: list[Trace]) -> None:
        self._provider, self._traces = provider, traces

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._provider, name)
        if name not in _FLOWS:
            return found

        def flow(given: Any, **how: Any) -> Effects[Any]:
            trace = Trace(name, given)
            self._traces.append(trace)
            return _noted(lambda: found(given, **how), trace)

        return flow


def _noted(flow: Callable[[], Effects[Any]], trace: Trace) -> Effects[Any]:
    def handle(effect: Effect) -> Effects[Any]:
        trace.effects.append(effect)
        return (yield Sleep(0.0) if isinstance(effect, Sleep) else effect)

    trace.response = yield from transform(flow(), handle, strange=True)
    return trace.response
