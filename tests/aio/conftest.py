"""Every test here runs on asyncio and on uvloop, in a loop that warns of everything."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import uvloop


class Loop:
    """Runs a test's coroutine in a loop of its own."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.factory = uvloop.new_event_loop if name == "uvloop" else asyncio.new_event_loop
        #: The same, for a program in another process.
        self.source = "uvloop.new_event_loop" if name == "uvloop" else "asyncio.new_event_loop"

    def run(self, test: Callable[[], Awaitable[None]]) -> None:
        with asyncio.Runner(loop_factory=self.factory, debug=self.name == "asyncio") as runner:
            runner.run(asyncio.wait_for(test(), 40))  # type: ignore[arg-type]


@pytest.fixture(params=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest) -> Loop:
    return Loop(request.param)


async def until(condition: Callable[[], bool], timeout: float = 10) -> None:
    """Until something is so that has no event of its own."""
    async with asyncio.timeout(timeout):
        while not condition():
            await asyncio.sleep(0.002)
