"""What is checked with each server, written once for both faces. A check that fails raises."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import sunsocket
import sunsocket.aio

#: Lengths where frames change their shape, up to 16 MiB.
SIZES = [0, 1, 125, 126, 127, 65_535, 65_536, 1 << 20, 16 << 20]
PATIENCE = 60
#: Half of it compresses well, half of it hardly.
BINARY = (bytes(range(256)) * 64 + bytes((number * number * 2654435761 >> 13) & 255 for number in range(1 << 14))) * 512
TEXT = "Grüße, 世界! 🙂 plain text follows; " * ((16 << 20) // 48 + 1)


class Face:
    """The same calls on either face, each of them awaited."""

    def __init__(self, name: str, options: dict[str, Any]) -> None:
        self.name = name
        self.options = options

    async def connect(self, url: str) -> Any:
        if self.name == "aio":
            return await sunsocket.aio.WebSocket.connect(url, **self.options)
        return sunsocket.WebSocket.connect(url, **self.options)

    async def do(self, result: Any) -> Any:
        return await result if self.name == "aio" and isinstance(result, Awaitable) else result

    async def pieces(self, ws: Any) -> list[Any]:
        if self.name == "aio":
            return [piece async for piece in ws.recv_streaming(PATIENCE)]
        return list(ws.recv_streaming(PATIENCE))


def same(got: Any, expected: Any, what: str) -> None:
    """Without printing megabytes."""
    if type(got) is not type(expected) or got != expected:
        raise AssertionError(f"{what}: {_brief(got)} in place of {_brief(expected)}")


def _brief(value: Any) -> str:
    return f"{type(value).__name__} of {len(value)}" if isinstance(value, (str, bytes)) else repr(value)


async def echo_text(face: Face, url: str) -> None:
    ws = await face.connect(url + "/echo")
    for size in SIZES:
        # As many characters as fit into so many bytes.
        message = TEXT.encode()[:size].decode(errors="ignore") if size else ""
        await face.do(ws.Send(message))
        same(await face.do(ws.recv(PATIENCE)), message, f"text of {size} bytes")
    await close(face, ws)


async def echo_binary(face: Face, url: str) -> None:
    ws = await face.connect(url + "/echo")
    for size in SIZES:
        await face.do(ws.Send(BINARY[:size]))
        same(await face.do(ws.recv(PATIENCE)), BINARY[:size], f"binary of {size} bytes")
    await close(face, ws)


async def in_order(face: Face, url: str) -> None:
    ws = await face.connect(url + "/echo")
    messages = [f"{number} " * (number % 40) + str(number) for number in range(1000)]
    for message in messages:
        await face.do(ws.Send(message))
    for message in messages:
        same(await face.do(ws.recv(PATIENCE)), message, "1,000 messages")
    await close(face, ws)


async def ping(face: Face, url: str) -> None:
    ws = await face.connect(url + "/echo")
    took = await face.do(ws.ping(b"payload", timeout=PATIENCE))
    if not (0 < took < PATIENCE and ws.latency == took):
        raise AssertionError(f"a ping took {took}, latency is {ws.latency}")
    await close(face, ws)


async def send_pieces(face: Face, url: str) -> None:
    ws = await face.connect(url + "/echo")
    for whole in (TEXT[:100_000], BINARY[:100_000]):
        pieces = [whole[at : at + 9_999] for at in range(0, len(whole), 9_999)]
        await face.do(ws.Send(iter(pieces)))
        same(await face.do(ws.recv(PATIENCE)), whole, "a message sent in pieces")
    await close(face, ws)


async def receive_pieces(face: Face, url: str) -> None:
    ws = await face.connect(url + "/echo")
    for whole in (TEXT[:3_000_000], BINARY[:3_000_000]):
        await face.do(ws.Send(whole))
        pieces = await face.pieces(ws)
        same(type(whole)().join(pieces), whole, "a message received in pieces")
    await close(face, ws)


async def our_close(face: Face, url: str) -> None:
    """The server answers with the code that it got (RFC 6455 section 5.5.1)."""
    ws = await face.connect(url + "/echo")
    ws.Close(4002, "bye")
    await face.do(ws.OnClose.Wait(PATIENCE))
    same((ws.close_code, ws.error), (4002, None), "code and error after our Close")


async def their_close(face: Face, url: str) -> None:
    ws = await face.connect(url + "/close")
    await face.do(ws.Send("now"))
    await face.do(ws.OnClose.Wait(PATIENCE))
    same((ws.close_code, ws.close_reason, ws.error), (4001, "enough", None), "code, reason, error after the server's")


async def close(face: Face, ws: Any) -> None:
    ws.Close()
    await face.do(ws.OnClose.Wait(PATIENCE))
    same((ws.close_code, ws.error), (1000, None), "code and error at the end")


CHECKS: dict[str, Callable[[Face, str], Awaitable[None]]] = {
    "echo of text, 0 B to 16 MiB": echo_text,
    "echo of binary, 0 B to 16 MiB": echo_binary,
    "1,000 messages in order": in_order,
    "ping and latency": ping,
    "message sent in pieces": send_pieces,
    "message received in pieces": receive_pieces,
    "our close code": our_close,
    "the server's close code and reason": their_close,
}


async def agreed(face: Face, url: str) -> bool:
    """Whether permessage-deflate is in use."""
    ws = await face.connect(url + "/echo")
    compression = ws.compression is not None
    await close(face, ws)
    return compression


def run(face: Face, url: str) -> tuple[bool, dict[str, str]]:
    """Whether messages are compressed, and what is wrong with each check; nothing for one that passes."""

    async def each(check: Callable[[Face, str], Awaitable[None]]) -> str:
        try:
            async with asyncio.timeout(2 * PATIENCE):
                await check(face, url)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return ""

    async def all_of_them() -> tuple[bool, dict[str, str]]:
        try:
            compressed = await agreed(face, url)
        except Exception as error:
            return False, dict.fromkeys(CHECKS, f"{type(error).__name__}: {error}")
        return compressed, {name: await each(check) for name, check in CHECKS.items()}

    return asyncio.run(all_of_them())
