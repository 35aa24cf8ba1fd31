"""Input of the program's users in the request (RFC 6455 4.1): it cannot become a header, a request, another host."""

from __future__ import annotations

import pytest

from sunsocket import InvalidURL
from tests.attacks.table import attack
from tests.conftest import finish
from tests.servers.hostile import ending
from tests.servers.raw import CLOSE, frame

#: What ends a line, a header or a request somewhere.
BREAKS = ["\r\n", "\n", "\r", "\0", "\v", "\f", "\x1b", "\x7f", "\x85", "\r\n\r\nGET /admin HTTP/1.1"]
INJECTION = ("CVE-2026-1527", "CVE-2022-31150", "GHSA-w235-7p84-xx57")


@attack("line breaks and control characters in header values", *INJECTION, outcome="`ValueError`; nothing is sent")
def test_header_values(face, listener):
    async def test():
        for text in BREAKS:
            for options in (
                {"headers": {"X-User": f"a{text}X-Admin: yes"}},
                {"headers": [("X-User", text)]},
                {"origin": f"https://a{text}X-Admin: yes"},
                {"user_agent": f"a{text}X-Admin: yes"},
            ):
                with pytest.raises(ValueError, match="contains"):
                    await face.connect(listener.url, **options)
        assert not listener.was_tried()

    face.run(test)


@attack("header names that are none", *INJECTION, outcome="`ValueError`; nothing is sent")
def test_header_names(face, listener):
    async def test():
        for name in [*(f"X{text}Y" for text in BREAKS), "", " ", "X Y", "X:", "X: a\r\nY", "\u00e9", "(x)", "X\t"]:
            with pytest.raises(ValueError):
                await face.connect(listener.url, headers={name: "a"})
        assert not listener.was_tried()

    face.run(test)


@attack("headers that the handshake writes itself", outcome="`ValueError`; nothing is sent")
def test_reserved_headers(face, listener):
    names = [
        "Host", "UPGRADE", "Connection", "sec-websocket-key", "Sec-WebSocket-Version", "Sec-WebSocket-Extensions",
        "Sec-WebSocket-Protocol", "Content-Length", "Transfer-Encoding",
    ]  # fmt: skip

    async def test():
        for name in names:
            with pytest.raises(ValueError, match="cannot be set"):
                await face.connect(listener.url, headers={name: "x"})
        assert not listener.was_tried()

    face.run(test)


@attack("subprotocols that are more than a name", *INJECTION, outcome="`ValueError`; nothing is sent")
def test_subprotocols(face, listener):
    async def test():
        for name in [*(f"a{text}b" for text in BREAKS), "", "a, b", "a b", 'a"', "\u00e9", "a;b", "a=b"]:
            with pytest.raises(ValueError):
                await face.connect(listener.url, subprotocols=[name])
        assert not listener.was_tried()

    face.run(test)


@attack(
    "line breaks, spaces and control characters in the address", *INJECTION, outcome="`InvalidURL`; nothing is sent"
)
def test_addresses(face, listener):
    port = listener.port

    async def test():
        for text in [*BREAKS, " ", "\t", "\u2028", "\u00a0"]:
            for url in (
                f"ws://127.0.0.1:{port}/a{text}b",
                f"ws://127.0.0.1:{port}/?a{text}b",
                f"ws://127.0.0.1{text}:{port}/",
                f"ws://user{text}@127.0.0.1:{port}/",
                f"ws{text}://127.0.0.1:{port}/",
                f"ws://127.0.0.1:{port}{text}/",
                f"{text}ws://127.0.0.1:{port}/",
                f"ws://127.0.0.1:{port}/{text}",
            ):
                with pytest.raises(InvalidURL):
                    await face.connect(url)
        assert not listener.was_tried()

    face.run(test)


@attack("hosts that others would read as another host", outcome="`InvalidURL`; nothing is sent")
def test_hosts(face, listener):
    hosts = [
        "a%0d%0ab", "a%00b", "evil.example\\@127.0.0.1", "127.0.0.1\\", "[::1", "[::1]x", "a:b:1",
        "[fe80::1%eth0]", "[fe80::1%25]", "[fe80::1%25a%0ab]", "[fe80::1%25a%00b]", "[fe80::1%25a b]", "127.0.0.1%25lo",
        "\u2025", "\uff0eexample", "ex\u200bample", "*", "a,b", "a b", "",
    ]  # fmt: skip

    async def test():
        for host in hosts:
            with pytest.raises(InvalidURL):
                await face.connect(f"ws://{host}:{listener.port}/")
        assert not listener.was_tried()

    face.run(test)


@attack(
    "escaped line breaks and slashes in the path and the user's name",
    "CVE-2020-35678",
    outcome="sent as they are escaped",
)
def test_escapes_stay_escaped(assault):
    def asked_for(peer):
        peer.accept(send=frame(CLOSE))
        ending(peer)
        return peer.request

    url = "ws://us%2Fer:p%40w@127.0.0.1:{port}/%0d%0aX-A:%20b?%0a\u00e9"
    lines = assault(asked_for, url=url).seen[0].split(b"\r\n")
    assert lines[0] == b"GET /%0d%0aX-A:%20b?%0a%C3%A9 HTTP/1.1"
    assert sum(line.startswith(b"Authorization: Basic ") for line in lines) == 1
    assert not any(line.startswith(b"X-A") for line in lines)
    assert all(0x20 <= byte < 0x7F for line in lines for byte in line)


@attack("escaped line breaks in the user's name or password", "CVE-2020-35678", outcome="`InvalidURL`; nothing is sent")
def test_escapes_in_the_users_name(face, listener):
    async def test():
        for user in ("us%0d%0aer", "us%00er", "user:p%0aw"):
            with pytest.raises(InvalidURL):
                await face.connect(f"ws://{user}@127.0.0.1:{listener.port}/")
        assert not listener.was_tried()

    face.run(test)


@attack("a close reason or code that cannot be sent", "CVE-2026-45736", outcome="refused; the socket stays open")
def test_close_arguments(face, echo):
    async def test():
        ws = await face.connect(echo.url)
        for code, reason in [(1005, ""), (1006, ""), (0, ""), (65536, ""), (-1, ""), (1000, "r" * 124), (1000, b"x")]:
            with pytest.raises((ValueError, TypeError, OverflowError)):
                ws.Close(code, reason)
        with pytest.raises(TypeError):
            ws.Close(1000, bytearray(8))
        ws.Send("open")
        assert await face.do(ws.recv(5)) == "open"
        ws.Close()

    face.run(test)


@attack("the same addresses and hosts from a script", *INJECTION, outcome="an error for `pcall`; nothing is sent")
def test_addresses_in_a_script(run_luau, listener):
    script = """
        for _, text in { "\\r\\n", "\\n", "\\0", " ", "\\t", "\\r\\nX-Admin: yes" } do
            local host = "127.0.0.1"
            for _, url in { `ws://{host}:PORT/{text}x`, `ws://{host}{text}:PORT/`, `{text}ws://{host}:PORT/` } do
                local ok, err = pcall(WebSocket.connect, url)
                assert(not ok and string.find(err, "not a WebSocket URL"), tostring(err))
            end
        end
        for _, host in { "a%0d%0ab", "us%0d%0aer@127.0.0.1", "evil\\\\@127.0.0.1", "[::1", "a:b:1", "*", "a b", "" } do
            local ok, err = pcall(WebSocket.connect, `ws://{host}:PORT/`)
            assert(not ok and string.find(err, "not a WebSocket URL"), tostring(err))
        end
        print("none was tried")
    """
    outcome = run_luau(script.replace("PORT", str(listener.port)))
    assert outcome.stdout == "none was tried\n", outcome
    assert outcome.status == 0
    assert not listener.was_tried()


@attack(
    "line breaks in `--header` of a script", *INJECTION, outcome="refused before the script runs, or by its `connect`"
)
@pytest.mark.parametrize("header", ["X-A: a\r\nX-B: b", "X-A: a\nb", "X A: b", "X-A\r\nX-B: b", "Host: evil"])
def test_headers_of_a_script(start_luau, listener, header):
    script = f'local ok, err = pcall(WebSocket.connect, "{listener.url}") print(ok, err)'
    outcome = finish(start_luau(script, "--header", header), 10)
    assert outcome.status == 2 or outcome.stdout.startswith("false"), outcome
    assert not listener.was_tried()
