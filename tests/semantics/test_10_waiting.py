"""Semantic 10: several may wait at once; a cancelled or timed-out receive loses nothing."""

from __future__ import annotations

import asyncio
import struct
import threading
import time

import pytest

from sunsocket import ConnectionClosed, WebSocket
from tests.servers.raw import CLOSE, TEXT, frame


def test_several_threads_receive_each_message_once(echo):
    ws = WebSocket.connect(echo.url)
    got, lock = [], threading.Lock()

    def receive():
        for _ in range(100):
            message = ws.recv(10)
            with lock:
                got.append(message)

    workers = [threading.Thread(target=receive) for _ in range(5)]
    for worker in workers:
        worker.start()
    for number in range(500):
        ws.Send(str(number))
    for worker in workers:
        worker.join()
    assert sorted(map(int, got)) == list(range(500))
    ws.Close()


def test_every_waiting_thread_gets_the_same_message(echo):
    ws = WebSocket.connect(echo.url)
    got = []
    barrier = threading.Barrier(4)

    def wait():
        barrier.wait()
        got.append(ws.OnMessage.Wait(10))

    workers = [threading.Thread(target=wait) for _ in range(3)]
    for worker in workers:
        worker.start()
    barrier.wait()
    # They wait once their connection is asked for; two messages are sent until all have theirs.
    while any(worker.is_alive() for worker in workers):
        ws.Send("same")
        for worker in workers:
            worker.join(0.02)
    assert got == ["same"] * 3
    ws.Close()


def test_threads_are_served_first_come_first(raw_server):
    go = threading.Event()

    def script(peer):
        peer.accept()
        assert go.wait(10)
        peer.sock.sendall(b"".join(frame(TEXT, b"%d" % number) for number in range(5)))
        peer.finish()

    for _ in range(5):
        go.clear()
        ws = WebSocket.connect(raw_server(script).url)
        got = {}

        def receive(number, ws=ws, got=got):
            got[number] = ws.recv(10)

        workers = []
        for number in range(5):
            workers.append(threading.Thread(target=receive, args=(number,)))
            workers[-1].start()
            while ws._waiting <= number:
                time.sleep(0.001)
        go.set()
        for worker in workers:
            worker.join()
        assert got == {number: str(number) for number in range(5)}
        ws.abort()


def test_a_thread_that_gives_up_leaves_its_place_to_the_next(raw_server):
    go = threading.Event()

    def script(peer):
        peer.accept()
        assert go.wait(10)
        peer.send(TEXT, b"first")
        peer.finish()

    ws = WebSocket.connect(raw_server(script).url)
    got = []

    def give_up():
        with pytest.raises(TimeoutError):
            ws.recv(0.1)

    gives_up = threading.Thread(target=give_up)
    stays = threading.Thread(target=lambda: got.append(ws.recv(10)))
    for number, worker in enumerate([gives_up, stays]):
        worker.start()
        while ws._waiting <= number:
            time.sleep(0.001)
    gives_up.join()
    go.set()
    stays.join()
    assert got == ["first"]
    ws.abort()


def test_a_cancelled_send_leaves_nothing_behind(face, raw_server):
    if not face.is_async:
        return

    over = threading.Event()

    def script(peer):
        peer.accept()
        # It reads nothing.
        over.wait(30)

    async def test():
        ws = await face.connect(raw_server(script).url)
        # More than the systems on both ends take.
        ws.Send(b"x" * (32 << 20))

        async def send():
            await ws.Send(b"x" * 1000)

        tasks = [asyncio.create_task(send()) for _ in range(50)]
        await asyncio.sleep(0)
        assert ws._waiting == 50
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert ws._waiting == 0
        ws.abort()

    try:
        face.run(test)
    finally:
        over.set()


def test_what_is_awaited_in_another_loop_raises_at_once(face, echo):
    if not face.is_async:
        return

    async def test():
        ws = await face.connect(echo.url)

        def elsewhere(wait):
            async def main():
                await wait()

            with pytest.raises(RuntimeError, match="another event loop"):
                asyncio.run(main())

        for wait in (ws.recv, ws.OnMessage.Wait, ws.OnClose.Wait, ws.ping):
            await asyncio.to_thread(elsewhere, wait)
        ws.Send("here")
        assert await ws.recv(5) == "here"
        ws.Close()

    face.run(test)


def test_a_loop_of_wait_misses_nothing_beside_a_handler(face, raw_server):
    if not face.is_async:
        return

    def script(peer):
        peer.accept()
        assert peer.recv().payload == b"go"
        peer.sock.sendall(b"".join(frame(TEXT, b"%d" % number) for number in range(100)))
        peer.finish()

    async def test():
        ws = await face.connect(raw_server(script).url)
        heard, got = [], []
        ws.OnMessage.Connect(heard.append)
        ws.Send("go")
        while len(got) < 100:
            got.append(await ws.OnMessage.Wait(10))
        assert got == heard == [str(number) for number in range(100)]
        ws.abort()

    face.run(test)


def test_tasks_are_served_first_come_first(face, echo):
    if not face.is_async:
        return

    async def test():
        ws = await face.connect(echo.url)
        tasks = [asyncio.create_task(ws.recv()) for _ in range(5)]
        waiting = [asyncio.create_task(ws.OnMessage.Wait()) for _ in range(3)]
        await asyncio.sleep(0)
        for number in range(5):
            ws.Send(str(number))
        assert await asyncio.gather(*tasks) == ["0", "1", "2", "3", "4"]
        assert await asyncio.gather(*waiting) == ["0", "0", "0"]
        ws.Close()

    face.run(test)


def test_a_timed_out_receive_loses_nothing(face, echo):
    async def test():
        ws = await face.connect(echo.url)
        for wait in (ws.recv, ws.OnMessage.Wait):
            with pytest.raises(TimeoutError):
                await face.do(wait(0.02))
            await face.do(ws.Send("next"))
            assert await face.do(wait(5)) == "next"
        ws.Close()

    face.run(test)


def test_cancelling_a_wait_leaves_the_connection_usable(face, echo):
    if not face.is_async:
        return

    async def test():
        ws = await face.connect(echo.url)
        for start in (ws.recv, ws.OnMessage.Wait, ws.ping, ws.OnClose.Wait):
            task = asyncio.create_task(start())
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await ws.recv()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ws.recv(), 0.02)
        for number in range(20):
            ws.Send(str(number))
        got = []
        # Cancelled at every moment, also when the message is there already: none may be missing.
        while len(got) < 20:
            task = asyncio.create_task(ws.recv())
            for _ in range(len(got) % 4):
                await asyncio.sleep(0)
            if len(got) % 2:
                task.cancel()
            try:
                got.append(await task)
            except asyncio.CancelledError:
                got.append(await ws.recv(5))
        assert got == [str(number) for number in range(20)]
        ws.Close()

    face.run(test)


def test_cancelling_a_message_in_pieces_closes_with_1011(face, raw_server):
    if not face.is_async:
        return
    codes = []

    def script(peer):
        peer.accept()
        codes.append(peer.recv_close().code)
        peer.send(CLOSE, struct.pack("!H", codes[0]))

    async def test():
        ws = await face.connect(raw_server(script).url)
        begun = asyncio.Event()

        async def pieces():
            yield "begun"
            begun.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(ws.Send(pieces()))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await ws.OnClose.Wait(5)

    face.run(test)
    assert codes == [1011]


def test_a_message_given_to_a_task_that_was_cancelled_goes_to_the_next(face, echo):
    if not face.is_async:
        return

    async def test():
        ws = await face.connect(echo.url)
        first = asyncio.create_task(ws.recv())
        await asyncio.sleep(0)
        cancelled = []

        def cancel_when_done() -> None:
            # As soon as the future has its message, before the task has run.
            if first._fut_waiter is not None and first._fut_waiter.done():
                first.cancel()
                cancelled.append(True)
            elif not first.done():
                loop.call_soon(cancel_when_done)

        loop = asyncio.get_running_loop()
        if hasattr(first, "_fut_waiter"):
            loop.call_soon(cancel_when_done)
        ws.Send("precious")
        try:
            assert await first == "precious"
        except asyncio.CancelledError:
            assert await ws.recv(5) == "precious"
        ws.Close()

    face.run(test)


def test_cancelling_connect_gives_it_up(face, raw_server):
    if not face.is_async:
        return
    ended = threading.Event()

    def script(peer):
        peer.wait_for_end()
        ended.set()

    async def test():
        server = raw_server(script)
        connecting = face.connect(server.url)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(connecting, 0.2)
        await face.until(ended.is_set)

    face.run(test)


def test_iteration_ends_with_a_clean_close_and_raises_otherwise(face, echo, raw_server):
    async def all_of(ws):
        return [message async for message in ws] if face.is_async else list(ws)

    async def test():
        ws = await face.connect(echo.url + "headers")
        assert any(line.startswith("Sec-WebSocket-Key") for line in await all_of(ws))
        ws = await face.connect(echo.url + "close")
        with pytest.raises(ConnectionClosed) as raised:
            await all_of(ws)
        assert raised.value.code == 4000
        ws = await face.connect(raw_server(lambda peer: peer.accept()).url)
        with pytest.raises(ConnectionClosed) as raised:
            await all_of(ws)
        assert raised.value.code == 1006

    face.run(test)
