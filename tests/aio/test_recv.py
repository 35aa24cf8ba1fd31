"""What ``recv`` returns on asyncio: a coroutine in all that matters, whether a message is there or not."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Coroutine

import pytest
import uvloop

from sunsocket.aio import WebSocket
from tests.servers.raw import TEXT, frame


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request):
    """Runs a test's coroutine function on either loop."""
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop

    def run(test):
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(asyncio.wait_for(test(), 20))

    return run


def held(count):
    """A server that sends so many numbered texts at once, and when that is done."""
    sent = threading.Event()

    def script(peer):
        peer.accept()
        peer.sock.sendall(b"".join(frame(TEXT, str(number).encode()) for number in range(count)))
        sent.set()
        peer.finish()

    return script, sent


def test_every_way_to_wait_takes_it(run, echo):
    async def test():
        async with WebSocket.connect(echo.url) as ws:
            for number in range(7):
                ws.Send(str(number))
            got = [await ws.recv(), await asyncio.wait_for(ws.recv(), 5), await asyncio.create_task(ws.recv())]
            got += await asyncio.gather(ws.recv(), ws.recv())
            async with asyncio.timeout(5):
                got.append(await ws.recv(timeout=5))
            async with asyncio.TaskGroup() as group:
                last = group.create_task(ws.recv(), name="last")
            assert [*got, last.result()] == [str(number) for number in range(7)]

    run(test)


def test_it_is_a_coroutine_by_its_methods(run, echo):
    async def test():
        async with WebSocket.connect(echo.url) as ws:
            receiving = ws.recv()
            assert isinstance(receiving, Coroutine)
            assert asyncio.iscoroutine(receiving)
            assert inspect.isawaitable(receiving)
            task = asyncio.create_task(receiving)
            await asyncio.sleep(0)
            assert "WebSocket.recv" in repr(task)
            ws.Send("once")
            assert await task == "once"
            with pytest.raises(RuntimeError):
                await receiving

    run(test)


def test_one_that_was_not_begun_takes_nothing(run, echo):
    async def test():
        async with WebSocket.connect(echo.url) as ws:
            ws.Send("kept")
            ws.recv().close()
            task = asyncio.create_task(ws.recv())
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            with pytest.raises(ZeroDivisionError):
                ws.recv().throw(ZeroDivisionError())
            with pytest.warns(RuntimeWarning, match="recv.* was never awaited"):
                ws.recv()
            assert await ws.recv(5) == "kept"

    run(test)


def test_one_that_waits_can_be_closed(run, echo):
    async def test():
        async with WebSocket.connect(echo.url) as ws:
            receiving = ws.recv()
            future = receiving.send(None)
            assert asyncio.isfuture(future)
            receiving.close()
            assert future.done() is False
            ws.Send("kept")
            assert await ws.recv(5) == "kept"

    run(test)


def test_one_that_is_dropped_while_it_waits_leaves_its_place_to_the_next(run, echo):
    async def test():
        async with WebSocket.connect(echo.url) as ws:
            dropped = ws.recv()
            future = dropped.send(None)
            behind = asyncio.create_task(ws.recv())
            await asyncio.sleep(0)
            ws.Send("once")
            while not future.done():
                await asyncio.sleep(0)
            # It was given the message, and nobody takes it.
            del dropped, future
            assert await asyncio.wait_for(behind, 5) == "once"

    run(test)


def test_receiving_what_is_there_lets_other_tasks_run(run, raw_server):
    count = 1000
    script, sent = held(count)

    async def test():
        ws = await WebSocket.connect(raw_server(script).url)
        turns = 0

        async def other():
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        task = asyncio.create_task(other())
        # On this very thread: all of it is there before the first is taken.
        assert sent.wait(10)
        turns = 0
        for number in range(count):
            assert await ws.recv() == str(number)
            sum(range(2000))
        assert turns >= 10
        task.cancel()
        ws.Close()

    run(test)


def test_tasks_that_pause_for_others_keep_their_places(run, raw_server):
    count = 1000
    script, sent = held(count)

    async def test():
        ws = await WebSocket.connect(raw_server(script).url)
        # On this very thread: all of it is there before the first is taken.
        assert sent.wait(10)
        order = []

        async def receive(number):
            order.append((number, await ws.recv()))
            sum(range(200))

        await asyncio.gather(*(receive(number) for number in range(count)))
        assert sorted(order) == [(number, str(number)) for number in range(count)]
        ws.Close()

    run(test)


def test_one_that_pauses_and_is_cancelled_leaves_its_message_to_the_next(run, raw_server):
    count = 200
    script, sent = held(count)

    async def test():
        ws = await WebSocket.connect(raw_server(script).url)
        assert sent.wait(10)
        got = [await ws.recv()]
        waits = ws.recv()
        while waits is not None:
            try:
                # It ends with a message, or gives the loop its turn.
                waits.send(None)
                break
            except StopIteration as ends:
                got.append(ends.value)
                sum(range(2000))
                waits = ws.recv()
        assert ws._waiting == 1
        waits.close()
        assert ws._waiting == 0
        got += [await ws.recv(5) for _ in range(count - len(got))]
        assert got == [str(number) for number in range(count)]
        ws.Close()

    run(test)


def test_who_waits_already_is_served_before_who_finds_it_in_the_socket(run, raw_server):
    asked, sent = threading.Event(), threading.Event()

    def script(peer):
        peer.accept()
        assert asked.wait(10)
        peer.send(TEXT, b"first")
        sent.set()
        peer.recv()
        peer.send(TEXT, b"second")
        peer.finish()

    async def test():
        ws = await WebSocket.connect(raw_server(script).url)
        first = asyncio.create_task(ws.recv())
        await asyncio.sleep(0)
        asked.set()
        # On this very thread: the loop has seen nothing of it yet.
        assert sent.wait(10)
        second = asyncio.create_task(ws.recv())
        assert await first == "first"
        ws.Send("go on")
        assert await second == "second"
        ws.Close()

    run(test)


def test_one_that_is_dropped_for_an_exception_lets_it_go_on(run, echo):
    async def test():
        async with WebSocket.connect(echo.url) as ws:
            for _ in range(3):
                with pytest.warns(RuntimeWarning, match="never awaited"), pytest.raises(ZeroDivisionError):
                    print(ws.recv(), 1 / 0)

    run(test)


def test_one_that_waits_gets_a_copy_when_a_handler_comes(run, echo):
    async def test():
        async with WebSocket.connect(echo.url) as ws:
            waiting = asyncio.ensure_future(ws.recv())
            await asyncio.sleep(0)
            got = []
            ws.OnMessage.Connect(got.append)
            ws.Send("x")
            assert await asyncio.wait_for(waiting, 10) == "x"
            assert got == ["x"]

    run(test)


def test_a_handler_that_comes_later_gets_what_a_task_has_given_back(loop, raw_server):
    waits_for = threading.Event()

    def script(peer):
        peer.accept()
        assert waits_for.wait(10)
        peer.send(TEXT, b"x")
        peer.recv_close()

    async def test():
        ws = await WebSocket.connect(raw_server(script).url)
        receiving = ws.recv()
        given = receiving.send(None)
        waits_for.set()
        while not given.done():
            await asyncio.sleep(0.001)
        receiving.close()
        # Nobody else is there, and nothing else will come.
        await asyncio.sleep(0.01)
        heard = asyncio.Queue()
        ws.OnMessage.Connect(heard.put_nowait)
        assert await asyncio.wait_for(heard.get(), 5) == "x"
        ws.Close()

    loop.run(test)
