"""What is awaited on another loop than the socket's raises at once: nothing is lost, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import threading

import pytest

from sunsocket import State
from sunsocket.aio import WebSocket
from tests.servers.raw import PING, PONG, TEXT


async def one_piece():
    yield "x"


async def streamed(ws):
    return [piece async for piece in ws.recv_streaming()]


async def iterated(ws):
    return [message async for message in ws]


WAITS = {
    "recv": lambda ws: ws.recv(),
    "recv with a time-out": lambda ws: ws.recv(5),
    "recv_many": lambda ws: ws.recv_many(),
    "OnMessage.Wait": lambda ws: ws.OnMessage.Wait(),
    "OnClose.Wait": lambda ws: ws.OnClose.Wait(),
    "wait_closed": lambda ws: ws.wait_closed(),
    "ping": lambda ws: ws.ping(),
    "Send in pieces": lambda ws: ws.Send(one_piece()),
    "recv_streaming": streamed,
    "iteration": iterated,
}


def refuse(wait):
    """Awaits it in a loop of its own."""

    async def main():
        with pytest.raises(RuntimeError, match="another event loop"):
            await wait

    asyncio.run(asyncio.wait_for(main(), 10))


@pytest.mark.parametrize("name", WAITS)
def test_it_raises_at_once_and_whoever_waits_at_home_gets_the_message(loop, raw_server, name):
    """The guardian has read the message, and the loop has had no turn since: another thread must not wake its task."""
    read = threading.Event()

    def script(peer):
        peer.accept()
        peer.recv()
        peer.send(TEXT, b"for the task")
        peer.send(PING)
        assert peer.recv().opcode == PONG
        read.set()
        peer.finish()

    async def test():
        ws = await WebSocket.connect(raw_server(script).url)
        waiting = asyncio.create_task(ws.recv())
        await asyncio.sleep(0.01)
        ws.Send("go")
        ws.flush()
        assert read.wait(10)
        thread = threading.Thread(target=refuse, args=(WAITS[name](ws),))
        thread.start()
        # The loop is blocked as long as that takes.
        thread.join()
        assert ws.state is State.OPEN
        assert await asyncio.wait_for(waiting, 5) == "for the task"
        assert ws._waiting == 0
        await ws.close()

    loop.run(test)


def test_a_close_that_another_loop_awaits_has_begun(loop, echo):
    async def test():
        ws = await WebSocket.connect(echo.url)
        await asyncio.to_thread(lambda: refuse(ws.Close(4000)))
        await ws.wait_closed(5)
        assert ws.close_code == 4000

    loop.run(test)


def test_a_wait_for_room_in_another_loop_raises(loop, raw_server):
    over = threading.Event()

    def script(peer):
        peer.accept()
        over.wait(20)

    async def test():
        ws = await WebSocket.connect(raw_server(script).url, write_limit=(1000, 1000))
        while True:
            room = ws.Send(b"x" * 1_000_000)
            if ws._is_full():
                break
        await asyncio.to_thread(refuse, room)
        ws.abort()

    try:
        loop.run(test)
    finally:
        over.set()


def test_two_loops_on_one_thread_by_turns(loop, echo):
    """The loop is what counts, not the thread."""
    first, second = loop.factory(), loop.factory()
    try:
        one = first.run_until_complete(WebSocket.connect(echo.url))
        two = second.run_until_complete(WebSocket.connect(echo.url))
        for _ in range(2):
            for home, ws in ((first, one), (second, two)):
                ws.Send("x")
                assert home.run_until_complete(ws.recv(5)) == "x"
                ws.Send("y")
                assert home.run_until_complete(ws.recv()) == "y"
            with pytest.raises(RuntimeError, match="another event loop"):
                second.run_until_complete(one.recv())
        first.run_until_complete(one.close())
        second.run_until_complete(two.close())
    finally:
        for each in (first, second):
            each.run_until_complete(each.shutdown_asyncgens())
            each.close()
