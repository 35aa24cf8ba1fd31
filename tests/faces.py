"""One way to write a test for both faces: ``face`` runs it with threads, with asyncio and with uvloop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import uvloop

import sunsocket
import sunsocket.aio


class Face:
    """The same calls on either face, each of them awaited."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_async = name != "threads"

    async def connect(self, url: str, **options: Any) -> Any:
        if self.is_async:
            return await sunsocket.aio.WebSocket.connect(url, **options)
        # All tests of this face run in a loop.
        return sunsocket.WebSocket.connect(url, **{"warn_in_loop": False, **options})

    async def do(self, result: Any) -> Any:
        """What a method returned: awaited on asyncio."""
        return await result if self.is_async and isinstance(result, Awaitable) else result

    async def until(self, condition: Callable[[], bool], timeout: float = 10) -> None:
        """Until something is so that has no event of its own."""
        deadline = asyncio.get_running_loop().time() + timeout
        while not condition():
            assert asyncio.get_running_loop().time() < deadline, "it never came to be so"
            await asyncio.sleep(0.002)

    def run(self, test: Callable[[], Awaitable[None]]) -> None:
        factory = uvloop.new_event_loop if self.name == "uvloop" else asyncio.new_event_loop
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(asyncio.wait_for(test(), 40))  # type: ignore[arg-type]
