"""The classes of errors: their tree, what they carry, and that they can be caught by their standard names too."""

from __future__ import annotations

import pickle

import pytest

import sunsocket
from sunsocket import ConnectError, ConnectionClosed, ConnectionLost, Error, HandshakeError, WebSocket

TREE = {
    "ConnectError": (Error, ConnectionError),
    "InvalidURL": (ConnectError, ValueError),
    "HandshakeError": (ConnectError,),
    "ProxyError": (ConnectError,),
    "TLSError": (ConnectError,),
    "ConnectTimeout": (ConnectError, TimeoutError),
    "ConnectionClosed": (Error, ConnectionError),
    "ConnectionLost": (ConnectionClosed,),
    "ProtocolError": (Error,),
    "MessageTooBig": (Error,),
}


@pytest.mark.parametrize("name", TREE)
def test_every_error_is_also_what_its_documentation_says(name):
    assert issubclass(getattr(sunsocket, name), TREE[name])


def test_every_error_has_the_one_root():
    public = [getattr(sunsocket, name) for name in sunsocket.__all__]
    errors = {each.__name__ for each in public if isinstance(each, type) and issubclass(each, Exception)}
    assert errors == {"Error", *TREE}
    assert all(issubclass(getattr(sunsocket, name), Error) for name in errors)


def test_errors_survive_pickling():
    answer = HandshakeError("no", 404, [("A", "b")], b"body")
    closed = ConnectionLost("gone", 1006, "why", False)
    for error in (answer, closed, sunsocket.TLSError("x")):
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


def test_a_closed_connection_tells_code_reason_and_who(face, echo):
    async def test():
        ws = await face.connect(echo.url + "close")
        for _ in range(3):
            await face.do(ws.recv(5))
        with pytest.raises(ConnectionClosed, match=r"by the server with code 4000 \(enough\)") as raised:
            await face.do(ws.recv(5))
        assert (raised.value.code, raised.value.reason, raised.value.by_peer) == (4000, "enough", True)
        assert raised.value.__cause__ is None
        assert ws.error is None

    face.run(test)


def test_a_lost_connection_names_its_cause(face, raw_server):
    async def test():
        server = raw_server(lambda peer: peer.accept())
        ws = await face.connect(server.url)
        with pytest.raises(ConnectionClosed, match="dropped TCP") as raised:
            await face.do(ws.recv(5))
        assert (raised.value.code, raised.value.by_peer) == (1006, False)
        assert isinstance(raised.value.__cause__, ConnectionLost)
        assert isinstance(ws.error, ConnectionLost)

    face.run(test)


def test_a_message_that_is_too_big_is_the_cause(face, raw_server):
    codes = []

    def script(peer):
        peer.accept()
        peer.send(1, b"x" * 11)
        codes.append(peer.recv_close().code)

    async def test():
        server = raw_server(script)
        ws = await face.connect(server.url, max_message_size=10)
        with pytest.raises(ConnectionClosed) as raised:
            await face.do(ws.recv(5))
        assert isinstance(raised.value.__cause__, sunsocket.MessageTooBig)
        assert "max_message_size" in str(ws.error)
        server.join()
        assert codes == [1009]

    face.run(test)


def test_a_broken_protocol_is_the_cause(face, raw_server):
    codes = []

    def script(peer):
        peer.accept()
        peer.send(3, b"x")
        codes.append(peer.recv_close().code)

    async def test():
        server = raw_server(script)
        ws = await face.connect(server.url)
        with pytest.raises(ConnectionClosed) as raised:
            await face.do(ws.recv(5))
        assert isinstance(raised.value.__cause__, sunsocket.ProtocolError)
        server.join()
        assert codes == [1002]

    face.run(test)


def test_one_except_clause_catches_everything(listener):
    with pytest.raises(Error):
        WebSocket.connect("nowhere")
    with pytest.raises(Error):
        WebSocket.connect(listener.url, open_timeout=0.05)
