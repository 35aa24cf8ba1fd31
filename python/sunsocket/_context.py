"""Handlers in their contexts (``contextvars``): each runs in the one in which it was connected.

Called otherwise it would run in that of whoever connected first, and what belongs to one request (a trace, a user)
would reach the handlers of all others. Entering a context costs some 100 ns a message, so a handler that was connected
where no variable has a value is called as it is: the loop and the dispatcher call it in a context that began empty.
"""

from __future__ import annotations

from contextvars import Context, copy_context
from functools import partial
from typing import Any


class InContext(partial):  # type: ignore[type-arg]  # what it returns is the handler's
    """A handler and its context."""

    __slots__ = ()

    @property
    def handler(self) -> Any:
        """The program's function."""
        return self.args[0]

    @property
    def context(self) -> Context:
        """Where it runs."""
        context: Context = self.func.__self__  # type: ignore[attr-defined]  # a method, `run`
        return context


def bind(handler: Any) -> Any:
    """What to call for a handler that is connected now."""
    context = copy_context()
    return InContext(context.run, handler) if len(context) else handler
