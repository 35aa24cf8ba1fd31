"""Redirects (RFC 9110 15.4) and cookies: a server that leads elsewhere wins nothing by it, there or on the way back."""

from __future__ import annotations

import contextlib

import pytest

from tests.attacks.table import attack
from tests.servers.hostile import MIB, Hostile, asked, ending
from tests.servers.raw import CLOSE, close_payload, frame

LEAKS = (
    "CVE-2018-1000007", "CVE-2018-20060", "CVE-2018-18074", "CVE-2022-27774", "CVE-2022-27776", "CVE-2022-31151",
    "CVE-2023-45143", "CVE-2024-24758", "CVE-2024-28849", "CVE-2024-30260", "CVE-2025-14524", "CVE-2026-34518",
    "CVE-2026-47265", "CVE-2026-49853",
)  # fmt: skip
#: What a program can give a server to know it by, and how; the first four in a script too.
GIVEN = {
    "address": {},
    "header": {"headers": {"Authorization": "Bearer secret"}},
    "proxy": {"headers": {"Proxy-Authorization": "Basic secret"}},
    "cookie header": {"headers": {"Cookie": "session=secret"}},
    "cookies": {"cookies": {"session": "secret"}},
    "auth": {"auth": ("user", "secret")},
}


def redirect(location, lines=b""):
    """Answers with a redirect; sees the request."""

    def attack(peer):
        head = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + location.encode("latin-1") + b"\r\n"
        asked(peer).sock.sendall(head + lines + b"\r\n")
        return peer.request

    return attack


def accept(peer):
    """A good end; sees the request."""
    peer.accept(send=frame(CLOSE, close_payload(1000)))
    ending(peer)
    return peer.request


@contextlib.contextmanager
def another(attack):
    """A server of another origin; in the end it has seen its request."""
    server = Hostile([attack])
    try:
        yield server
        server.join()
    finally:
        server.stop()


@attack("redirects in a circle", outcome="refused at `max_redirects`, 5 by default")
def test_a_redirect_loop(assault):
    outcome = assault(*[redirect("/again")] * 6, connects=1)
    outcome.was_refused("the limit is 5 (max_redirects)")
    assert len(outcome.seen) == 6


@attack(
    "redirects to ever longer addresses, with ever more cookies",
    "CVE-2022-32205",
    outcome="refused at `max_redirects`; the error shows the start of each",
)
def test_redirects_that_grow(assault):
    cookies = b"".join(b"Set-Cookie: c%d=%s\r\n" % (number, b"x" * 400) for number in range(120))
    outcome = assault(*[redirect(f"/{hop}" + "y" * 9000, cookies) for hop in range(6)], connects=1, memory=4 * MIB)
    outcome.was_refused("max_redirects")
    assert len(outcome.texts[0]) < 4000
    assert max(map(len, outcome.seen)) < 128 << 10, "what is sent back stays in bounds"


@attack("a redirect from wss to ws, straight and by a detour", "CVE-2025-14524", outcome="refused; nothing is sent")
def test_a_downgrade(assault, certificates, server_context, listener):
    outcome = assault(
        redirect(listener.url),
        redirect("/detour"),
        redirect(listener.url.replace("ws:", "http:")),
        context=server_context,
        ca_file=str(certificates.ca_file),
        connects=2,
    )
    outcome.was_refused("not encrypted")
    assert not listener.was_tried()


@attack("a redirect to somewhere that is no WebSocket address", "CVE-2020-35678", outcome="refused")
def test_redirects_to_nowhere(assault):
    places = [
        "",
        "file:///etc/passwd",
        "javascript:1",
        "gopher://h/",
        "ws://",
        "http://[::1",
        "ws://h:0/",
        "//\\h/",
    ]
    outcome = assault(*map(redirect, places))
    outcome.was_refused("Location")


@attack("escaped line breaks in a redirect's address", "CVE-2020-35678", outcome="sent on as they are escaped")
def test_a_redirect_injects_nothing(assault):
    outcome = assault(redirect("/a%0d%0aX-Admin:%20yes?%00"), accept, connects=1)
    lines = outcome.seen[1].split(b"\r\n")
    assert lines[0].startswith(b"GET /a%0d%0aX-Admin:%20yes")
    assert not any(line.startswith(b"X-Admin") for line in lines)
    assert all(0x20 <= byte < 0x7F for line in lines for byte in line)


@attack("a redirect to another origin, and back, to catch credentials", *LEAKS, outcome="they stay with the first")
@pytest.mark.parametrize(
    ("assault", "given"),
    [
        *((face, given) for face in ("threads", "asyncio") for given in GIVEN),
        *(("luau", given) for given in list(GIVEN)[:4]),
    ],
    indirect=["assault"],
)
def test_credentials_across_origins(assault, given):
    def back(peer):
        return redirect(f"ws://127.0.0.1:{assault.servers[0].port}/back")(peer)

    with another(back) as other:
        user = "user:secret@" if given == "address" else ""
        outcome = assault(
            redirect(other.url), accept, connects=1, url=f"ws://{user}127.0.0.1:{{port}}/", **GIVEN[given]
        )
    secrets = [b"secret", b"authorization:", b"cookie:"]
    first, last = outcome.seen
    assert any(secret in first.lower() for secret in secrets), "the first one gets them"
    for request in (other.seen[0], last):
        assert not any(secret in request.lower() for secret in secrets), request


@attack("cookies set on the way to another origin", "CVE-2018-20060", outcome="they stay behind")
def test_cookies_across_origins(assault):
    with another(accept) as other:
        assault(redirect(other.url, b"Set-Cookie: caught=yes; Domain=127.0.0.1; Path=/\r\n"))
    assert b"caught" not in other.seen[0]


@attack("a cookie that would become a header when it is sent again", outcome="it does not arrive")
def test_cookies_that_inject(assault):
    cookies = [b"good=1", b"a=b\tX-Admin: yes", b"\xff=1", b"x=\xe9", b"=;=", b"a b=1"]
    lines = b"".join(b"Set-Cookie: " + cookie + b"\r\n" for cookie in cookies)
    outcome = assault(redirect("/again", lines), accept, connects=1)
    sent = [line for line in outcome.seen[1].split(b"\r\n") if line.lower().startswith(b"cookie:")]
    assert len(sent) == 1
    assert b"good=1" in sent[0]
    # Bytes beyond ASCII mean nothing to HTTP, and go back as they came.
    assert all(byte >= 0x20 and byte != 0x7F for byte in sent[0])
    assert not any(line.startswith(b"X-Admin") for line in outcome.seen[1].split(b"\r\n"))
    assert not any(line.startswith(b"X-Admin") for line in outcome.seen[1].split(b"\r\n"))
