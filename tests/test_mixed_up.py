"""What is forgotten or mixed up is said: the two classes, a signal and its Connect, a connect that nobody awaits."""

from __future__ import annotations

import asyncio
import gc
import sys
import warnings

import pytest

from sunsocket import State, WebSocket, _hooks, aio

THREADS = 'the class for threads.*use "with" and "for".*take sunsocket.aio.WebSocket'
LOOP = 'the class for asyncio: use "async with" and "async for".*take sunsocket.WebSocket'


def test_what_is_asyncio_s_is_refused_by_the_class_for_threads(echo):
    async def wait(ws):
        await ws

    async def enter(ws):
        async with ws:
            raise AssertionError("entered")

    async def iterate(ws):
        async for _ in ws:
            raise AssertionError("iterated")

    with WebSocket.connect(echo.url) as ws:
        for use in (wait, enter, iterate):
            with pytest.raises(TypeError, match=THREADS):
                asyncio.run(use(ws))
        assert ws.state is State.OPEN


def test_what_is_for_threads_is_refused_by_asyncio_s(echo):
    async def test():
        ws = await aio.WebSocket.connect(echo.url)
        with pytest.raises(TypeError, match=LOOP), ws:
            raise AssertionError("entered")
        with pytest.raises(TypeError, match=LOOP):
            list(ws)
        assert ws.state is State.OPEN
        await ws.close()

    asyncio.run(test())


def test_so_it_is_by_a_connect_that_is_not_awaited(listener):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(TypeError, match=LOOP), aio.connect(listener.url):
            raise AssertionError("entered")
        with pytest.raises(TypeError, match=LOOP):
            list(aio.connect(listener.url))
        gc.collect()
    # One mistake is told once.
    assert caught == []
    assert not listener.was_tried()


def test_a_connect_that_nobody_awaits_is_told(listener):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        aio.WebSocket.connect(listener.url)
        gc.collect()
    (warning,) = caught
    assert warning.category is RuntimeWarning
    assert str(warning.message) == "WebSocket.connect() was never awaited, and nothing was opened"
    assert warning.filename == __file__
    assert not listener.was_tried()


def test_a_connect_that_is_refused_warns_of_nothing(listener):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(TypeError):
            aio.WebSocket.connect(listener.url, timeout=5)
        connecting = aio.WebSocket.connect(listener.url)
        connecting.close()
        del connecting
        gc.collect()
    assert caught == []


def test_a_signal_is_no_decorator(face, echo):
    async def test():
        ws = await face.connect(echo.url)
        with pytest.raises(TypeError, match=r"OnMessage is a signal.*write @ws\.OnMessage\.Connect"):

            @ws.on_message
            def handler(message):
                pass

        with pytest.raises(TypeError, match=r"write @ws\.OnClose\.Connect"):
            ws.OnClose()
        ws.Close()
        await face.do(ws.wait_closed(5))

    face.run(test)


@pytest.mark.parametrize("headers", [["X-Token: secret"], "X-Token: secret"])
def test_a_header_as_a_line_is_told_how_it_is_written(face, listener, headers):
    async def test():
        with pytest.raises(TypeError, match=r'a line "Name: value" is written \{"Name": "value"\}') as raised:
            await face.connect(listener.url, headers=headers)
        assert "secret" not in str(raised.value)
        assert not listener.was_tried()

    face.run(test)


def test_the_class_for_threads_in_a_running_loop_is_told_once(echo, caplog, monkeypatch):
    monkeypatch.setattr(_hooks, "_said_in_a_loop", False)

    def connect(**options):
        WebSocket.connect(echo.url, **options).abort()

    async def test():
        connect(warn_in_loop=False)
        await asyncio.to_thread(connect)
        assert caplog.records == []
        connect()
        connect()

    connect()
    asyncio.run(test())
    (record,) = caplog.records
    assert (record.name, record.levelname, record.pathname) == ("sunsocket", "WARNING", __file__)
    assert "in a running event loop" in record.getMessage()
    assert "use sunsocket.aio.WebSocket there" in record.getMessage()


def test_a_program_without_asyncio_does_not_import_it_for_that(monkeypatch):
    monkeypatch.delitem(sys.modules, "asyncio")
    _hooks.look_for_a_loop()
    assert "asyncio" not in sys.modules
