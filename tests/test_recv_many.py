"""``recv_many``: everything that has arrived, in one list; on both faces."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from sunsocket import ConnectionClosed, WebSocket
from tests.faces import Face
from tests.servers.raw import CLOSE, TEXT, close_payload, frame


def texts(count, start=0):
    return [str(number) for number in range(start, start + count)]


def burst(count, start=0):
    return b"".join(frame(TEXT, text.encode()) for text in texts(count, start))


@pytest.fixture
def told(raw_server):
    """A server that sends so many numbered texts for each word that it gets, and closes on ``close``."""

    def script(peer):
        peer.accept()
        sent = 0
        while (received := peer.recv()).opcode != CLOSE:
            if received.payload == b"close":
                peer.send(TEXT, b"last")
                peer.send(CLOSE, close_payload(1000))
                return
            count = int(received.payload)
            peer.sock.sendall(burst(count, sent))
            sent += count

    return raw_server(script).url


async def all_of(face, ws, count, **options):
    got = []
    while len(got) < count:
        batch = await face.do(ws.recv_many(timeout=10, **options))
        assert batch
        got += batch
    return got


def test_all_that_has_arrived_comes_in_one_list_and_in_order(face, echo):
    async def test():
        ws = await face.connect(echo.url)
        for text in texts(100):
            ws.Send(text)
        # When its pong is here, so is what was echoed before it.
        await face.do(ws.ping(timeout=10))
        await face.do(ws.ping(timeout=10))
        got = await face.do(ws.recv_many())
        got += [] if len(got) == 100 else await all_of(face, ws, 100 - len(got))
        assert got == texts(100)
        ws.Close()

    face.run(test)


def test_texts_and_binaries_are_as_they_came(face, echo):
    async def test():
        ws = await face.connect(echo.url)
        sent = ["text", b"binary", "", b"", "\N{GREEK SMALL LETTER PI}"]
        for message in sent:
            ws.Send(message)
        assert await all_of(face, ws, len(sent)) == sent
        ws.Close()

    face.run(test)


def test_a_limit_leaves_the_rest(face, told):
    async def test():
        ws = await face.connect(told)
        ws.Send("10")
        assert await face.do(ws.recv(10)) == "0"
        assert len(await face.do(ws.recv_many(1, 10))) == 1
        got = await all_of(face, ws, 8, limit=3)
        assert got == texts(8, 2)
        ws.Close()

    face.run(test)


def test_a_limit_bounds_each_list(face, raw_server):
    go = threading.Event()

    def script(peer):
        peer.accept()
        peer.sock.sendall(burst(100))
        go.set()
        peer.finish()

    async def test():
        ws = await face.connect(raw_server(script).url)
        assert await asyncio.to_thread(go.wait, 10)
        sizes = []
        while sum(sizes) < 100:
            sizes.append(len(await face.do(ws.recv_many(limit=7, timeout=10))))
        assert max(sizes) == 7
        ws.Close()

    face.run(test)


@pytest.mark.parametrize(
    ("limit", "error"), [(0, ValueError), (-1, ValueError), ("3", TypeError), (1.5, TypeError), (1 << 70, ValueError)]
)
def test_a_limit_that_is_none_is_refused(face, echo, limit, error):
    async def test():
        ws = await face.connect(echo.url)
        with pytest.raises(error, match="a limit is a"):
            await face.do(ws.recv_many(limit))
        ws.Close()

    face.run(test)


def test_a_timeout_loses_nothing(face, told):
    async def test():
        ws = await face.connect(told)
        for timeout in (0, 0.02):
            with pytest.raises(TimeoutError, match="nothing is lost"):
                await face.do(ws.recv_many(timeout=timeout))
        with pytest.raises(ValueError, match="a timeout is a number of seconds from 0 up"):
            await face.do(ws.recv_many(timeout=-1))
        assert ws._waiting == 0
        ws.Send("3")
        assert await all_of(face, ws, 3) == texts(3)
        ws.Close()

    face.run(test)


def test_the_close_comes_after_the_last_message(face, told):
    async def test():
        ws = await face.connect(told)
        ws.Send("5")
        ws.Send("close")
        assert await all_of(face, ws, 6) == [*texts(5), "last"]
        for _ in range(2):
            with pytest.raises(ConnectionClosed) as raised:
                await face.do(ws.recv_many(timeout=10))
            assert raised.value.code == 1000

    face.run(test)


def test_beside_a_handler_it_gives_a_copy_of_what_fires_next(face, told):
    async def test():
        ws = await face.connect(told)
        heard = []
        ws.OnMessage.Connect(heard.append)
        if face.is_async:
            waits = asyncio.create_task(ws.recv_many(timeout=10))
            await asyncio.sleep(0)
            ws.Send("3")
            assert await waits == ["0"]
        else:
            got = []
            waits = threading.Thread(target=lambda: got.extend(ws.recv_many(timeout=10)))
            waits.start()
            await face.until(lambda: ws._waiting == 1)
            ws.Send("3")
            waits.join()
            assert len(got) == 1
        await face.until(lambda: heard == texts(3))
        ws.Close()

    face.run(test)


def test_threads_are_served_in_their_order_whichever_they_call(told):
    ws = WebSocket.connect(told)
    got = {}

    def receive(name, call):
        got[name] = call()

    calls = [
        lambda: ws.recv(10),
        lambda: ws.recv_many(2, 10),
        lambda: ws.recv(10),
        lambda: ws.recv_many(timeout=10),
    ]
    workers = []
    for name, call in enumerate(calls):
        workers.append(threading.Thread(target=receive, args=(name, call)))
        workers[-1].start()
        while ws._waiting <= name:
            time.sleep(0.001)
    # One read brings them all.
    ws.Send("6")
    for worker in workers:
        worker.join()
    flat = [text for name in range(4) for text in ([got[name]] if isinstance(got[name], str) else got[name])]
    assert flat == texts(len(flat))
    rest = [] if len(flat) == 6 else ws.recv_many(timeout=10)
    assert flat + rest == texts(6)
    ws.Close()


@pytest.fixture(params=["asyncio", "uvloop"])
def loop_face(request):
    return Face(request.param)


def test_tasks_are_served_in_their_order_whichever_they_await(loop_face, told):
    async def test():
        ws = await loop_face.connect(told)
        calls = [ws.recv(), ws.recv_many(2), ws.recv(), ws.recv_many()]
        tasks = [asyncio.create_task(call) for call in calls]
        await asyncio.sleep(0)
        ws.Send("6")
        first, second, third, fourth = await asyncio.wait_for(asyncio.gather(*tasks), 10)
        flat = [first, *second, third, *fourth]
        assert flat == texts(len(flat))
        ws.Close()

    loop_face.run(test)


def test_one_that_is_cancelled_loses_nothing(loop_face, raw_server):
    sent = threading.Event()

    def script(peer):
        peer.accept()
        assert peer.recv().payload == b"go"
        peer.sock.sendall(burst(5))
        sent.set()
        peer.finish()

    async def test():
        ws = await loop_face.connect(raw_server(script).url)
        waits = asyncio.create_task(ws.recv_many())
        await asyncio.sleep(0)
        behind = asyncio.create_task(ws.recv())
        await asyncio.sleep(0)
        ws.Send("go")
        # On this very thread: when the loop sees them, the task is cancelled already.
        assert sent.wait(10)
        waits.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waits
        assert await asyncio.wait_for(behind, 10) == "0"
        assert await all_of(loop_face, ws, 4) == texts(4, 1)
        assert ws._waiting == 0
        ws.Close()

    loop_face.run(test)


def test_one_that_is_cancelled_after_it_was_given_all_gives_all_back(loop_face, raw_server):
    sent = threading.Event()

    def script(peer):
        peer.accept()
        assert peer.recv().payload == b"go"
        peer.sock.sendall(burst(5))
        sent.set()
        peer.finish()

    async def test():
        ws = await loop_face.connect(raw_server(script).url)
        waits = asyncio.create_task(ws.recv_many())
        await asyncio.sleep(0)
        ws.Send("go")
        assert await asyncio.to_thread(sent.wait, 10)
        # The callback that the future's result has set off has not had its turn.
        while not (future := waits._fut_waiter) or not future.done():
            if waits.done():
                break
            await asyncio.sleep(0)
        waits.cancel()
        try:
            got = await waits
        except asyncio.CancelledError:
            got = []
        got += await all_of(loop_face, ws, 5 - len(got)) if len(got) < 5 else []
        assert got == texts(5)
        ws.Close()

    loop_face.run(test)


def test_other_tasks_run_beside_one_that_always_finds_something(loop_face, raw_server):
    sent = threading.Event()

    def script(peer):
        peer.accept()
        peer.sock.sendall(burst(1000))
        sent.set()
        peer.finish()

    async def test():
        ws = await loop_face.connect(raw_server(script).url)
        turns = 0

        async def other():
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        task = asyncio.create_task(other())
        assert sent.wait(10)
        got = []
        while len(got) < 1000:
            got += await ws.recv_many(limit=1)
            sum(range(2000))
        assert got == texts(1000)
        assert turns >= 10
        task.cancel()
        ws.Close()

    loop_face.run(test)
