"""Semantic 2: messages fire in wire order, one at a time, to those who listened when they began to fire."""

from __future__ import annotations


def test_wire_order_over_many_messages(face, echo):
    async def test():
        ws = await face.connect(echo.url)
        got = []
        ws.OnMessage.Connect(got.append)
        expected = [str(number) * (number % 50) for number in range(5000)]
        for message in expected:
            await face.do(ws.Send(message))
        await face.until(lambda: len(got) == len(expected))
        assert got == expected
        ws.Close()

    face.run(test)


def test_handlers_run_in_the_order_of_connection(face, echo):
    async def test():
        ws = await face.connect(echo.url)
        calls = []
        ws.OnMessage.Connect(lambda m: calls.append(("first", m)))
        ws.OnMessage.Once(lambda m: calls.append(("once", m)))
        ws.OnMessage.Connect(lambda m: calls.append(("last", m)))
        ws.Send("a")
        ws.Send("b")
        await face.until(lambda: len(calls) == 5)
        assert calls == [("first", "a"), ("once", "a"), ("last", "a"), ("first", "b"), ("last", "b")]
        ws.Close()

    face.run(test)


def test_who_connects_or_goes_while_a_message_fires(face, echo):
    async def test():
        ws = await face.connect(echo.url)
        calls = []

        def first(message):
            calls.append(("first", message))
            if message == "a":
                ws.OnMessage.Connect(lambda m: calls.append(("late", m)))
                gone.Disconnect()

        ws.OnMessage.Connect(first)
        gone = ws.OnMessage.Connect(lambda m: calls.append(("gone", m)))
        ws.Send("a")
        ws.Send("b")
        await face.until(lambda: len(calls) == 3)
        assert calls == [("first", "a"), ("first", "b"), ("late", "b")]
        assert not gone.Connected
        ws.Close()

    face.run(test)


def test_a_once_handler_runs_once(face, echo):
    async def test():
        ws = await face.connect(echo.url)
        once, every = [], []
        connection = ws.OnMessage.Once(once.append)
        ws.OnMessage.Connect(every.append)
        for number in range(10):
            ws.Send(str(number))
        await face.until(lambda: len(every) == 10)
        assert once == ["0"]
        assert not connection.Connected
        ws.Close()

    face.run(test)
