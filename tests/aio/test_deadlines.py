"""Deadlines on a loop, which learns of them by one alarm for all its sockets."""

from __future__ import annotations

from sunsocket.aio import WebSocket
from tests.servers.raw import CLOSE, PING, close_payload


def test_a_socket_that_ends_takes_no_other_socket_s_deadline_with_it(loop, raw_server):
    def silent(peer):
        peer.accept()
        peer.wait_for_end()

    def closing(peer):
        # It says nothing before it is pinged: until then no byte wakes the loop.
        peer.accept()
        assert peer.recv().opcode == PING
        peer.send(CLOSE, close_payload(4001))
        peer.recv_close()

    async def test():
        # The alarm is set for the first of the two, which is gone when it goes off.
        first = await WebSocket.connect(raw_server(silent).url, ping_interval=0.4)
        second = await WebSocket.connect(raw_server(closing).url, ping_interval=1.0)
        first.abort()
        await second.OnClose.Wait(10)
        assert second.close_code == 4001

    loop.run(test)
