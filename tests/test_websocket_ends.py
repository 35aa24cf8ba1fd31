"""How a socket ends on both faces: abort, Close, the with block, a fork; and what it says to late calls."""

from __future__ import annotations

import os

import pytest

from sunsocket import ConnectionClosed, ConnectionLost, State
from tests.servers.raw import CLOSE, close_payload


def test_abort_drops_tcp_at_once(face, raw_server):
    ended = []

    def script(peer):
        peer.accept()
        try:
            ended.append(peer.recv().opcode)
        except (EOFError, ConnectionResetError):
            ended.append("dropped")

    async def test():
        server = raw_server(script)
        ws = await face.connect(server.url)
        fired = []
        ws.OnClose.Connect(lambda: fired.append(ws.close_code))
        ws.abort()
        ws.abort()
        assert ws.state is State.CLOSED
        await face.until(lambda: fired == [1006])
        server.join()
        assert ended == ["dropped"]
        assert isinstance(ws.error, ConnectionLost)
        assert "aborted by the program" in str(ws.error)
        with pytest.raises(ConnectionClosed):
            ws.Send("x")

    face.run(test)


def test_close_twice_sends_one_close_and_the_first_counts(face, raw_server):
    codes = []

    def script(peer):
        peer.accept()
        received = peer.recv_close()
        codes.append(received.code)
        peer.send(CLOSE, received.payload)
        with pytest.raises((EOFError, OSError)):
            codes.append(peer.recv().code)

    async def test():
        server = raw_server(script)
        ws = await face.connect(server.url)
        ws.Close(4001, "first")
        ws.Close(4002, "second")
        await face.do(ws.OnClose.Wait(5))
        ws.Close(4003)
        assert (ws.close_code, ws.close_reason) == (4001, "first")
        server.join()
        assert codes == [4001]

    face.run(test)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        *[((code,), ValueError) for code in (-1, 0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65536, 1 << 80)],
        *[((code,), TypeError) for code in (None, "1000", 1000.0)],
        ((1000, "x" * 124), ValueError),
        ((1000, "é" * 62), ValueError),
        ((1000, "\ud800"), ValueError),
        ((1000, None), TypeError),
        ((1000, b"x"), TypeError),
    ],
)
def test_a_close_that_cannot_be_sent_is_refused_and_nothing_is(face, echo, arguments, error):
    async def test():
        ws = await face.connect(echo.url)
        with pytest.raises(error):
            ws.Close(*arguments)
        assert ws.state is State.OPEN
        ws.Send("still open")
        assert await face.do(ws.recv(5)) == "still open"
        ws.Close(1000, "x" * 123)
        await face.do(ws.OnClose.Wait(5))
        assert ws.close_reason == "x" * 123

    face.run(test)


@pytest.mark.parametrize(
    ("timeout", "error"),
    [(-1, ValueError), (-0.001, ValueError), (float("nan"), ValueError), ("1", TypeError), ([], TypeError)],
)
def test_a_timeout_that_is_none_is_refused_even_when_nothing_is_waited_for(face, echo, timeout, error):
    async def test():
        ws = await face.connect(echo.url)
        ws.Send("held")
        assert await face.do(ws.OnMessage.Wait(5)) == "held"
        ws.Send("held")
        while True:
            with pytest.raises(error):
                await face.do(ws.recv(timeout))
            for signal in (ws.OnMessage, ws.OnClose):
                with pytest.raises(error):
                    await face.do(signal.Wait(timeout))
            if ws.state is State.CLOSED:
                break
            assert await face.do(ws.recv(5)) == "held"
            ws.Close()
            await face.do(ws.OnClose.Wait(5))

    face.run(test)


NAMES = ("open_timeout", "close_timeout", "ping_interval", "ping_timeout")


def test_a_timeout_without_end_is_none(face, echo):
    async def test():
        for timeout in (float("inf"), 1e300, 10**15, 1e9, 999_999_999):
            ws = await face.connect(echo.url, **dict.fromkeys(NAMES, timeout))
            ws.Send("x")
            assert await face.do(ws.recv(timeout)) == "x"
            ws.Send("y")
            assert await face.do(ws.OnMessage.Wait(timeout)) == "y"
            assert await face.do(ws.ping(timeout=timeout)) > 0
            ws.Send("z")
            assert await streamed(ws.recv_streaming(timeout)) == ["z"]
            ws.Close()
            await face.do(ws.OnClose.Wait(timeout))

    face.run(test)


async def streamed(pieces):
    if hasattr(pieces, "__aiter__"):
        return [piece async for piece in pieces]
    return list(pieces)


def test_a_stream_refuses_a_timeout_that_is_none(face, echo):
    async def test():
        ws = await face.connect(echo.url)
        for timeout, error in [(-1, ValueError), (float("nan"), ValueError), ("1", TypeError)]:
            with pytest.raises(error, match="a timeout is a number of seconds"):
                ws.recv_streaming(timeout)
        ws.Close()

    face.run(test)


def test_everything_on_a_closed_socket(face, echo):
    async def test():
        ws = await face.connect(echo.url)
        ws.Close()
        await face.do(ws.OnClose.Wait())
        for call in (
            lambda: ws.recv(),
            lambda: ws.recv(timeout=0),
            lambda: ws.OnMessage.Wait(),
            lambda: ws.ping(),
            lambda: ws.Send("x"),
        ):
            with pytest.raises(ConnectionClosed, match="by this side; the server answered with code 1000") as raised:
                await face.do(call())
            assert (raised.value.code, raised.value.by_peer) == (1000, False)
        assert await face.do(ws.OnClose.Wait()) is None
        ws.flush()
        ws.abort()
        ws.Close()
        # A handler may come still; it only has nothing to do.
        assert ws.OnMessage.Connect(print).Connected in (True, False)

    face.run(test)


def test_after_our_close_the_code_of_the_answer_is_told_as_such(face, raw_server):
    def script(peer):
        peer.accept()
        peer.recv_close()
        peer.send(CLOSE, close_payload(1002, "no idea"))

    async def test():
        ws = await face.connect(raw_server(script).url)
        ws.Close(1011)
        await face.do(ws.OnClose.Wait(5))
        told = r"closed by this side; the server answered with code 1002 \(no idea\)"
        for call in (ws.recv, lambda: ws.Send("x")):
            with pytest.raises(ConnectionClosed, match=told) as raised:
                await face.do(call())
            assert (raised.value.code, raised.value.by_peer) == (1002, False)

    face.run(test)


def test_leaving_the_block_closes_and_waits(face, echo):
    async def test():
        if face.is_async:
            async with await face.connect(echo.url) as ws:
                ws.Send("x")
                assert await ws.recv(5) == "x"
        else:
            with await face.connect(echo.url) as ws:
                ws.Send("x")
                assert ws.recv(5) == "x"
        assert (ws.state, ws.close_code) == (State.CLOSED, 1000)

    face.run(test)


def test_leaving_the_block_by_an_error_closes_and_lets_it_through(face, echo):
    async def test():
        ws = await face.connect(echo.url)

        async def fail_inside(ws):
            if face.is_async:
                async with ws:
                    raise LookupError("mine")
            else:
                with ws:
                    raise LookupError("mine")

        with pytest.raises(LookupError, match="mine"):
            await fail_inside(ws)
        assert ws.state is State.CLOSED

    face.run(test)


def test_the_child_of_a_fork_never_hangs_on_its_parent_s_socket(run_python, echo):
    assert hasattr(os, "fork")
    outcome = run_python(
        """
import os, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)
from sunsocket import ConnectionClosed, WebSocket
ws = WebSocket.connect(sys.argv[1])
pid = os.fork()
if pid == 0:
    with ws:
        for call in (ws.OnMessage.Wait, ws.recv, ws.flush, ws.ping):
            try:
                call()
            except ConnectionClosed as error:
                assert "fork" in str(error), error
            else:
                raise SystemExit("no error")
        ws.OnClose.Wait()
        ws.OnMessage.Connect(print).Disconnect()
        ws.abort()
    os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
ws.Send("after"); print(ws.recv(5))
""",
        echo.url,
        timeout=15,
    )
    assert (outcome.stdout.split(), outcome.stderr) == (["7", "after"], ""), outcome


def test_wait_closed_waits_for_the_end(face, echo, raw_server):
    def script(peer):
        peer.accept()
        peer.wait_for_end()

    async def test():
        ws = await face.connect(echo.url + "close")
        fired = []
        ws.OnMessage.Connect(fired.append)
        assert await face.do(ws.wait_closed()) is None
        assert (ws.state, ws.close_code, fired) == (State.CLOSED, 4000, ["0", "1", "2"])
        assert await face.do(ws.wait_closed(timeout=5)) is None
        ws = await face.connect(raw_server(script).url)
        with pytest.raises(TimeoutError, match=r"within"):
            await face.do(ws.wait_closed(0.05))
        with pytest.raises(ValueError, match="a timeout is a number of seconds"):
            await face.do(ws.wait_closed(-1))
        assert ws.state is State.OPEN
        ws.abort()
        await face.do(ws.wait_closed(5))
        assert ws.close_code == 1006

    face.run(test)
