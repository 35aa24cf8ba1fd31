"""What compression keeps is given back when no message comes or goes for a while, whatever control frames do."""

from __future__ import annotations

import asyncio
import random
import threading

import pytest

from tests.servers.raw import PING, PONG

MESSAGE = bytes(random.Random(1).choices(b"abcdefghijklmnopqrstuvwxyz", k=3000))
INTERVAL = 0.1


@pytest.mark.parametrize("pings", [False, True])
def test_our_context_is_given_back_at_rest(face, raw_server, pings):
    sizes = []
    over = threading.Event()

    def script(peer):
        peer.accept(b"Sec-WebSocket-Extensions: permessage-deflate\r\n")
        sending = threading.Lock()

        def ping():
            while not over.wait(INTERVAL / 4):
                with sending:
                    peer.send(PING)

        pinging = threading.Thread(target=ping)
        if pings:
            pinging.start()
        try:
            while True:
                received = peer.recv()
                if received.opcode == PING:
                    with sending:
                        peer.send(PONG, received.payload)
                elif received.opcode != PONG:
                    break_off = received.opcode == 8
                    if break_off:
                        with sending:
                            peer.send(received.opcode, received.payload)
                        return
                    sizes.append(len(received.payload))
        finally:
            over.set()
            if pings:
                pinging.join()

    async def test():
        ws = await face.connect(raw_server(script).url, ping_interval=INTERVAL)

        async def send():
            count = len(sizes)
            ws.Send(MESSAGE, compress=True)
            await face.until(lambda: len(sizes) > count)
            return sizes[-1]

        first = await send()
        assert await send() < 100, "the message before it is there to look back at"
        # At rest after two intervals; a machine that is busy elsewhere may send too early some times.
        for _ in range(20):
            await asyncio.sleep(4 * INTERVAL)
            if await send() == first:
                break
        else:
            pytest.fail(f"the context stays: {sizes}")
        ws.Close()
        await face.do(ws.OnClose.Wait(5))

    face.run(test)
