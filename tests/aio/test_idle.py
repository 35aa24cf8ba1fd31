"""What a loop with silent sockets costs: nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def test_a_loop_with_silent_sockets_sleeps_and_so_does_everything_behind_it(
    run_python: Callable[..., Any], echo: Any
) -> None:
    outcome = run_python(
        """
import asyncio, pathlib, sys
from sunsocket.aio import WebSocket

def wakes():
    tasks = pathlib.Path("/proc/self/task").iterdir()
    return sum(int((task / "status").read_text().split("voluntary_ctxt_switches:")[1].split()[0]) for task in tasks)

async def main():
    sockets = [await WebSocket.connect(sys.argv[1]) for _ in range(3)]
    for ws in sockets:
        ws.OnMessage.Connect(print)
    # Whoever watches over the loop looks for a while whether there is anything to watch.
    await asyncio.sleep(3)
    before = wakes()
    await asyncio.sleep(2)
    # This very sleep ends once.
    print("wakes", wakes() - before <= 3)
    for ws in sockets:
        ws.Close()

asyncio.run(main())
""",
        echo.url,
        timeout=30,
    )
    assert (outcome.stdout, outcome.stderr, outcome.status) == ("wakes True\n", "", 0), outcome
