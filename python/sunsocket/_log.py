"""What is logged, under the name ``sunsocket``, and in which words.

``logging`` is imported by the first of it: a program that does not use it pays nothing for the name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._context import InContext

if TYPE_CHECKING:
    import logging


def logger() -> logging.Logger:
    """Where all of it goes."""
    import logging

    return logging.getLogger("sunsocket")


def describe(handler: Any) -> str:
    """A handler's name with the place where it was written, as far as it has one."""
    if isinstance(handler, InContext):
        handler = handler.handler
    name = getattr(handler, "__qualname__", None) or repr(handler)
    code = getattr(getattr(handler, "__func__", handler), "__code__", None)
    return f"{name} ({code.co_filename}:{code.co_firstlineno})" if code else str(name)


def failed(error: BaseException, handler: Any) -> None:
    """A handler raised, or delivering a message did."""
    what = describe(handler) if handler is not None else "delivering a message"
    logger().error("the handler %s raised", what, exc_info=(type(error), error, error.__traceback__))


def still_ran(handler: Any) -> None:
    """A handler was ended, because the program had."""
    logger().warning("the handler %s still ran when the program had ended; it was stopped", describe(handler))


def busy(handler: Any, seconds: float) -> None:
    """A handler ran so long that the guardian had to answer in its place."""
    logger().warning(
        "the handler %s was busy for %.1f s; pings were answered meanwhile, but no other handler could run: "
        "move long work to a thread or a task",
        describe(handler),
        seconds,
    )


def panicked(outcome: str, text: str) -> None:
    """The engine panicked, which it never should."""
    logger().critical(
        "sunsocket panicked (%s); %s. This is a defect of sunsocket, not of the program: please report it",
        text,
        outcome,
    )


def in_a_loop() -> None:
    """The class for threads is used in a running event loop."""
    logger().warning(
        "sunsocket.WebSocket.connect() was called in a running event loop, which stands still while it connects and "
        "whenever you wait for the socket: use sunsocket.aio.WebSocket there (warn_in_loop=False turns this off)",
        # Of whoever called connect().
        stacklevel=4,
    )


def dropped(url: str) -> None:
    """A message was dropped because nobody has ever listened; said once for a connection."""
    logger().warning(
        "messages from %s are being dropped, the oldest first: the hold (max_held) is full and nobody listens; "
        "connect a handler to OnMessage, or call recv()",
        url,
    )
