"""The servers of `websockets`, aiohttp and uvicorn (see the README beside)."""

from __future__ import annotations

import asyncio
import ssl
import sys
from typing import Any

LARGEST = 32 << 20
CODE, REASON = 4001, "enough"


def context(files: list[str]) -> ssl.SSLContext | None:
    if not files:
        return None
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(*files)
    return made


def serve_websockets(port: int, files: list[str]) -> None:
    from websockets.asyncio.server import serve

    async def handle(connection: Any) -> None:
        async for message in connection:
            if connection.request.path == "/close":
                await connection.close(CODE, REASON)
            else:
                await connection.send(message)

    async def main() -> None:
        async with serve(handle, "127.0.0.1", port, ssl=context(files), max_size=LARGEST) as server:
            await server.serve_forever()

    asyncio.run(main())


def serve_aiohttp(port: int, files: list[str]) -> None:
    from aiohttp import WSMsgType, web  # type: ignore[import-not-found]

    async def handle(request: web.Request) -> web.WebSocketResponse:
        # aiohttp answers a Close with 1000 by itself; the code that came is what the client wants to hear of.
        ws = web.WebSocketResponse(max_msg_size=LARGEST, autoclose=False)
        await ws.prepare(request)
        while (message := await ws.receive()).type in (WSMsgType.TEXT, WSMsgType.BINARY):
            if request.path == "/close":
                await ws.close(code=CODE, message=REASON.encode())
            elif message.type == WSMsgType.TEXT:
                await ws.send_str(message.data)
            else:
                await ws.send_bytes(message.data)
        if message.type == WSMsgType.CLOSE:
            await ws.close(code=message.data)
        return ws

    app = web.Application()
    app.router.add_get("/{path}", handle)
    web.run_app(app, host="127.0.0.1", port=port, ssl_context=context(files), print=None, access_log=None)


def serve_uvicorn(port: int, files: list[str], backend: str) -> None:
    import uvicorn  # type: ignore[import-not-found]

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "websocket":
            return
        await receive()
        await send({"type": "websocket.accept"})
        while (event := await receive())["type"] == "websocket.receive":
            if scope["path"] == "/close":
                await send({"type": "websocket.close", "code": CODE, "reason": REASON})
            elif event.get("text") is not None:
                await send({"type": "websocket.send", "text": event["text"]})
            else:
                await send({"type": "websocket.send", "bytes": event["bytes"]})

    certificate, key = files or (None, None)
    uvicorn.run(
        app, host="127.0.0.1", port=port, ws=backend, ws_max_size=LARGEST, lifespan="off", log_level="warning",
        ssl_certfile=certificate, ssl_keyfile=key,
    )  # fmt: skip


def main() -> None:
    name, port, *files = sys.argv[1:]
    if name == "websockets":
        serve_websockets(int(port), files)
    elif name == "aiohttp":
        serve_aiohttp(int(port), files)
    else:
        serve_uvicorn(int(port), files, name.removeprefix("uvicorn-"))


if __name__ == "__main__":
    main()
