"""What begins when it is awaited: coroutines by their methods, for ``await`` and for everything that makes tasks.

A coroutine function's result would warn where it is not awaited, and could not be used in ``async with``.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from types import TracebackType
from typing import Any, Generic, TypeVar

_T = TypeVar("_T")


class Later(Coroutine[Any, Any, _T], Generic[_T]):
    """A coroutine that is made by its first step. ``await`` makes one of its own each time."""

    __slots__ = ("_make", "_steps", "has_begun")

    def __init__(self, make: Callable[[], Coroutine[Any, Any, _T]]) -> None:
        self._make = make
        #: What a task steps through: one, to its end.
        self._steps: Coroutine[Any, Any, _T] | None = None
        #: Whether it was awaited, or given up.
        self.has_begun = False

    def __await__(self) -> Generator[Any, Any, _T]:
        self.has_begun = True
        return self._make().__await__()

    def _begin(self) -> Coroutine[Any, Any, _T]:
        self.has_begun = True
        steps = self._steps
        if steps is None:
            steps = self._steps = self._make()
        return steps

    def send(self, value: Any) -> Any:
        """Goes on."""
        return self._begin().send(value)

    def throw(
        self,
        kind: type[BaseException] | BaseException,
        value: BaseException | object = None,
        trace: TracebackType | None = None,
    ) -> Any:
        """Goes on with an exception."""
        if isinstance(kind, BaseException):
            return self._begin().throw(kind)
        return self._begin().throw(kind, value, trace)

    def close(self) -> None:
        """Gives it up."""
        self._begin().close()


class Closing(Later[None]):
    """What ``Close`` returns: awaited it waits for the end of what has begun already."""

    __slots__ = ()
