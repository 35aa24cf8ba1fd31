"""The class for asyncio: messages are awaited, a handler hears of the end."""

import asyncio

from sunsocket import TLS
from sunsocket.aio import WebSocket
from sunsocket.echo import EchoServer


async def main() -> None:
    with EchoServer(tls=True) as server:
        async with WebSocket.connect(server.url, tls=TLS(ca_data=server.ca_pem)) as ws:
            ws.OnClose.Connect(lambda: print("Closed", flush=True))
            await ws.Send("Hello")
            print(await ws.recv(), flush=True)


asyncio.run(main())
