"""Semantic 7: every method from any thread and from inside handlers."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from sunsocket import ConnectionClosed, State, WebSocket
from tests.servers.raw import TEXT


def test_sends_of_one_thread_keep_their_order_and_no_message_is_mixed(echo):
    ws = WebSocket.connect(echo.url)
    threads, count = 8, 500
    got: dict[str, list[int]] = {str(thread): [] for thread in range(threads)}
    done = threading.Event()

    def handler(message):
        thread, number, filling = message.split(":")
        assert filling == thread * (int(number) % 300)
        got[thread].append(int(number))
        if sum(map(len, got.values())) == threads * count:
            done.set()

    ws.OnMessage.Connect(handler)

    def send(thread):
        for number in range(count):
            ws.Send(f"{thread}:{number}:{str(thread) * (number % 300)}")

    workers = [threading.Thread(target=send, args=(thread,)) for thread in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert done.wait(20)
    assert all(numbers == list(range(count)) for numbers in got.values())
    ws.Close()


def test_recv_and_wait_inside_a_handler_turn_the_reactor_themselves(echo):
    ws = WebSocket.connect(echo.url)
    answers = []
    done = threading.Event()

    def handler(message):
        answers.append(message)
        if message == "begin":
            ws.Send("question")
            answers.append(("recv", ws.recv(5)))
            ws.Send("another")
            answers.append(("wait", ws.OnMessage.Wait(5)))
            answers.append(("ping", ws.ping(timeout=5) > 0))
        if message == "another":
            done.set()

    ws.OnMessage.Connect(handler)
    ws.Send("begin")
    assert done.wait(10)
    # The handler gets the same messages itself, after it has returned.
    assert answers == [
        "begin", ("recv", "question"), ("wait", "another"), ("ping", True), "question", "another",
    ]  # fmt: skip
    ws.Close()


def test_connect_inside_a_handler(echo):
    first = WebSocket.connect(echo.url)
    result = []
    done = threading.Event()

    def handler(message):
        with WebSocket.connect(echo.url) as second:
            second.Send(message + "!")
            result.append(second.recv(5))
        done.set()

    first.OnMessage.Connect(handler)
    first.Send("nested")
    assert done.wait(10)
    assert result == ["nested!"]
    first.Close()


def test_close_from_a_handler_and_from_many_threads_at_once(echo):
    for _ in range(20):
        ws = WebSocket.connect(echo.url)
        closes = []
        ws.OnClose.Connect(lambda closes=closes: closes.append(1))
        ws.OnMessage.Connect(lambda _, ws=ws: ws.Close())
        ws.Send("x")
        workers = [threading.Thread(target=ws.Close) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        ws.OnClose.Wait(5)
        assert ws.state is State.CLOSED


def test_a_close_on_another_thread_ends_a_recv(echo):
    ws = WebSocket.connect(echo.url)
    raised = []

    def wait():
        with pytest.raises(ConnectionClosed) as caught:
            ws.recv()
        raised.append(caught.value.code)

    worker = threading.Thread(target=wait)
    worker.start()
    ws.Close()
    worker.join(10)
    assert raised == [1000]


def test_threads_may_send_on_a_socket_of_the_loop(face, echo):
    if not face.is_async:
        return

    async def test():
        ws = await face.connect(echo.url)

        def send():
            for number in range(1000):
                ws.Send(str(number))

        worker = threading.Thread(target=send)
        worker.start()
        got = [await ws.recv(5) for _ in range(1000)]
        worker.join()
        assert got == [str(number) for number in range(1000)]
        await asyncio.to_thread(ws.Close)
        await ws.OnClose.Wait(5)

    face.run(test)


def test_what_a_thread_sends_after_it_has_received_does_not_wait_for_its_next_recv(raw_server):
    trials = 15
    arrived = [threading.Event() for _ in range(trials)]

    def script(peer):
        peer.accept()
        for event in arrived:
            for _ in range(20):
                peer.send(TEXT, b"next")
                assert peer.recv().payload == b"answer"
            assert [peer.recv().payload for _ in range(3)] == [b"one", b"two", b"three"]
            event.set()
        peer.finish()

    ws = WebSocket.connect(raw_server(script).url)
    times = []
    for event in arrived:
        # Whoever turns the reactor otherwise gives way to this thread, for 10 ms from now on.
        for _ in range(20):
            ws.recv(5)
            ws.Send("answer")
        start = time.perf_counter()
        for message in ("one", "two", "three"):
            ws.Send(message)
        assert event.wait(10)
        times.append(time.perf_counter() - start)
    assert sorted(times)[trials // 3] < 0.005
    ws.Close()
