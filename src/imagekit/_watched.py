"""Blocking work that says what it does as it goes: in a thread, its events as effects."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Generic, TypeAlias, TypeVar

from ._events import ImageEvent
from ._flow import Effects, call, emit

T = TypeVar("T")
Say: TypeAlias = Callable[[ImageEvent], None]


class Unheard(Exception):  # noqa: N818  # nothing went wrong
    """Nobody waits for the work any more: raised by `say`, so that the work ends."""


@dataclass(frozen=True, slots=True)
class _Done(Generic[T]):
    value: T


class _Work(threading.Thread, Generic[T]):
    def __init__(self, function: Callable[[Say], T]) -> None:
        super().__init__(name="imagekit-work", daemon=True)
        self._function, self._over = function, False
        self._context = contextvars.copy_context()
        self._said: SimpleQueue[ImageEvent | _Done[T] | BaseException] = SimpleQueue()

    def run(self) -> None:
        try:
            self._said.put(_Done(self._context.run(self._function, self.say)))
        except BaseException as error:  # whoever listens waits for it, whatever it is
            self._said.put(error)

    def say(self, event: ImageEvent) -> None:
        if self._over:
            raise Unheard
        self._said.put(event)

    def take(self) -> ImageEvent | _Done[T]:
        told = self._said.get()
        if isinstance(told, BaseException):
            raise told
        return told

    def stop(self) -> None:
        self._over = True
        self._said.put(Unheard())


def watch(function: Callable[[Say], T]) -> Effects[T]:
    """Run blocking work that says events as it goes; the reply is its result.

    *function* is given `say`, which takes an event and may be called from any thread. When nobody
    waits any more (a stream that is left, a deadline), the flow goes at once, and `say` raises
    `Unheard`, so that the work ends where it next says something. It runs in the context of the
    call.
    """
    work = _Work(function)
    try:
        yield from call(work.start)
        while True:
            told: Any = yield from call(work.take, work.stop)
            if isinstance(told, _Done):
                done: T = told.value
                return done
            yield from emit(told)
    finally:
        work.stop()
