"""``OnMessage`` and ``OnClose`` on the thread face."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import _core, _mixed_up
from ._core import SignalConnection

__all__ = ["Signal", "SignalConnection"]


class Signal(_core.Signal):
    """Something that happens to a socket, for handlers to be connected to.

    Handlers run one after the other in the order of their connection, on the dispatcher's thread. One that is
    connected while a value fires does not get that value; one that is disconnected does not run any more.
    """

    __slots__ = ()

    connect = _core.Signal.Connect
    once = _core.Signal.Once
    wait = _core.Signal.Wait
    if not TYPE_CHECKING:
        __call__ = _mixed_up.not_a_function
