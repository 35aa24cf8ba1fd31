"""What is said where the class for threads is used as the one for asyncio or the other way round, and a signal as a
function. They are methods that raise, which type checkers are not shown: they find these uses by themselves.
"""

from __future__ import annotations

from typing import Any, NoReturn


def not_in_a_loop(*_: Any) -> NoReturn:
    """``await``, ``async with`` and ``async for`` on the class for threads."""
    raise TypeError(
        'this is a sunsocket.WebSocket, the class for threads, which is open already: use "with" and "for", or take '
        'sunsocket.aio.WebSocket for "await", "async with" and "async for"'
    )


def not_in_a_thread(*_: Any) -> NoReturn:
    """``with`` and ``for`` on the class for asyncio."""
    raise TypeError(
        'this is of sunsocket.aio, the class for asyncio: use "async with" and "async for", or take '
        'sunsocket.WebSocket for "with" and "for"'
    )


def not_a_function(self: Any, *_: Any) -> NoReturn:
    """``@ws.OnMessage`` without its ``Connect``."""
    name = repr(self).split()[1]
    raise TypeError(f"{name} is a signal, and no decorator or function: write @ws.{name}.Connect")
