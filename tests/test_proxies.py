"""Proxies: which one is used, and that everything goes through it (what they may do wrong is tested in the engine)."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from sunsocket import TLS, ConnectError, ProxyError, WebSocket
from tests.conftest import SUNSOCKET
from tests.servers.proxies import Proxy


@pytest.mark.parametrize("kind", ["http", "socks5"])
def test_every_face_goes_through_it(face, echo, kind):
    async def test():
        ws = await face.connect(echo.url, proxy=proxy.url(), tls=TLS(verify=False))
        await face.do(ws.Send("through"))
        assert await face.do(ws.recv(10)) == "through"
        ws.abort()

    with Proxy(kind, ("user", "pass")) as proxy:
        face.run(test)
    assert [port for _, port in proxy.asked] == [echo.port]


def test_tls_goes_through_a_proxy_that_wants_tls_too(secure_echo, tls, certificates):
    for kind, scheme, certificate in (
        ("http", None, None),
        ("socks5", "socks5h", None),
        ("http", None, certificates.good),
    ):
        with (
            Proxy(kind, certificate=certificate) as proxy,
            WebSocket.connect(secure_echo.url, proxy=proxy.url(scheme), tls=tls) as ws,
        ):
            ws.Send("x" * 100_000)
            assert ws.recv(10) == "x" * 100_000
        assert proxy.asked == [("localhost", secure_echo.port)]


def test_a_name_is_looked_up_by_the_proxy_or_here(echo):
    def route(_host, port):
        return "127.0.0.1", port

    with Proxy("socks5", route=route) as proxy:
        for scheme, asked in (("socks5h", "server.test"), ("socks5", "127.0.0.9")):
            url = f"ws://server.test:{echo.port}/"
            # An entry for every host stands for no proxy.
            resolve = {"*": f"127.0.0.9:{echo.port}"}
            with WebSocket.connect(url, proxy=proxy.url(scheme), resolve=resolve) as ws:
                ws.Send("found")
                assert ws.recv(10) == "found"
            assert proxy.asked.pop() == (asked, echo.port)


def test_the_environment_is_read_at_each_connect(echo, monkeypatch):
    with Proxy() as proxy:
        monkeypatch.setenv("WS_PROXY", proxy.url())
        monkeypatch.setenv("WSS_PROXY", proxy.url())
        WebSocket.connect(echo.url).abort()
        assert len(proxy.asked) == 1
        WebSocket.connect(echo.url, proxy=None).abort()
        monkeypatch.setenv("NO_PROXY", f"127.0.0.1:{echo.port},localhost")
        WebSocket.connect(echo.url).abort()
        monkeypatch.delenv("NO_PROXY")
        monkeypatch.setenv("WS_PROXY", "")
        monkeypatch.setenv("WSS_PROXY", "")
        WebSocket.connect(echo.url, proxy="auto").abort()
        assert len(proxy.asked) == 1


def refused(face, *, match, **options):
    """The error of a connect that must not succeed."""

    async def test():
        with pytest.raises(ProxyError, match=match) as caught:
            await face.connect(**options)
        errors.append(caught.value)

    errors = []
    face.run(test)
    (error,) = errors
    assert isinstance(error, ConnectError)
    assert "secret" not in str(error)
    return error


def test_a_refusal_names_the_proxy_and_no_password(face, monkeypatch):
    url = "ws://server.test/?token=secret"
    with Proxy(credentials=("user", "right")) as proxy:
        given = proxy.url().replace("right", "wrong-secret")
        place = rf"the proxy http://127\.0\.0\.1:{proxy.port} \(the option proxy\) answered 407"
        error = refused(face, match=rf"{place} .*does not accept the user name", url=url, proxy=given)
        assert error.status == 407
        monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{proxy.port}")
        refused(face, match=r"\(ALL_PROXY\) answered 407.* wants a user name and a password", url=url)


def test_what_the_proxy_cannot_reach_is_its_failure(face, listener):
    def nowhere(_host, _port):
        raise OSError

    for kind, match, status in (("socks5", "refused with code 5", None), ("http", "answered 502 Bad Gateway", 502)):
        with Proxy(kind, route=nowhere) as proxy:
            error = refused(face, match=match, url=listener.url, proxy=proxy.url())
        assert error.status == status


def test_what_is_no_proxy_is_refused_before_anything_is_sent(face, listener, monkeypatch):
    async def test():
        for proxy, error in (
            (1, TypeError),
            ("ftp://p", ValueError),
            ("http://u%00:secret@p", ValueError),
            ("", ValueError),
        ):
            with pytest.raises(error, match="proxy"):
                await face.connect(listener.url, proxy=proxy)

    face.run(test)
    monkeypatch.setenv("ALL_PROXY", "ftp://user:secret@p")
    refused(face, match="ALL_PROXY is wrong", url=listener.url)
    assert not listener.was_tried()


def test_no_option_breaks_the_request_to_a_proxy(listener):
    for agent in ("x\r\nInjected: yes", "x\0"):
        with pytest.raises(ValueError, match="User-Agent"):
            WebSocket.connect(
                "ws://server.test/",
                proxy=listener.url.replace("ws", "http"),
                user_agent=agent,
                headers={"User-Agent": "x"},
            )
    with pytest.raises(ValueError, match="no UTF-8 form") as caught:
        WebSocket.connect("ws://server.test/", proxy="http://u:Q-Q\udcff@127.0.0.1:1")
    assert "Q-Q" not in f"{caught.value!r} {caught.value.__context__!r}"
    assert not listener.was_tried()


def test_a_pin_of_the_server_makes_no_proxy_trusted(certificates):
    with Proxy(certificate=certificates.good) as proxy:
        tls = TLS(verify=False, pin="ab" * 32)
        with pytest.raises(ProxyError, match="cannot be reached: its certificate"):
            WebSocket.connect("wss://server.test/", proxy=proxy.url(), tls=tls)
    assert proxy.heads == []


def sunsocket_run(tmp_path, *flags, env):
    script = tmp_path / "script.luau"
    script.write_text('local ws = WebSocket.connect((...))\nws:Send("hello")\nprint(ws.OnMessage:Wait())\nws:Close()\n')
    command = [SUNSOCKET, "run", *flags[:-1], str(script), flags[-1]]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, env=env)


def test_a_script_goes_through_the_flag_s_or_the_environment_s(echo, tmp_path, monkeypatch):
    environment = dict(os.environ)
    with Proxy() as proxy:
        done = sunsocket_run(tmp_path, "--proxy", proxy.url(), echo.url, env=environment)
        assert (done.stdout, done.stderr, len(proxy.asked)) == ("hello\n", "", 1)
        variables = {"WS_PROXY": proxy.url(), "WSS_PROXY": proxy.url()}
        done = sunsocket_run(tmp_path, echo.url, env=environment | variables)
        assert (done.stdout, len(proxy.asked)) == ("hello\n", 2)
        done = sunsocket_run(tmp_path, "--proxy", "none", echo.url, env=environment | variables)
        assert (done.stdout, len(proxy.asked)) == ("hello\n", 2)
    done = sunsocket_run(tmp_path, "--proxy", "ftp://x", echo.url, env=environment)
    assert done.returncode == 2
    assert "--proxy" in done.stderr
    assert "is not the address of a proxy" in done.stderr


@contextlib.contextmanager
def running(command, port):
    """A proxy that others wrote, once it listens."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(500):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            assert process.poll() is None, f"{command[0]} has ended"
            time.sleep(0.02)
        yield
    finally:
        process.kill()
        process.wait()


def free_port():
    """A port that is free now: these programs cannot be given a listening socket."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def tinyproxy(tmp_path, port):
    path = tmp_path / "tinyproxy.conf"
    path.write_text(f"Port {port}\nListen 127.0.0.1\nTimeout 60\nBasicAuth user pass\n")
    return ["tinyproxy", "-d", "-c", str(path)]


def microsocks(_tmp_path, port):
    return ["microsocks", "-i", "127.0.0.1", "-p", str(port), "-u", "user", "-P", "pass"]


def danted(tmp_path, port):
    path = tmp_path / "danted.conf"
    path.write_text(
        f"internal: 127.0.0.1 port = {port}\nexternal: lo\nclientmethod: none\nsocksmethod: none\n"
        "client pass {\n from: 0.0.0.0/0 to: 0.0.0.0/0\n}\nsocks pass {\n from: 0.0.0.0/0 to: 0.0.0.0/0\n}\n"
    )
    return ["danted", "-f", str(path), "-p", str(tmp_path / "pid")]


def squid(tmp_path, port):
    passwords = tmp_path / "passwords"
    passwords.write_text("user:pass\n")
    path = tmp_path / "squid.conf"
    path.write_text(
        f"http_port 127.0.0.1:{port}\npid_filename {tmp_path}/squid.pid\naccess_log none\n"
        f"cache_log {tmp_path}/cache.log\ncache deny all\ncoredump_dir {tmp_path}\nmax_filedescriptors 1024\n"
        f"auth_param digest program /usr/lib/squid/digest_file_auth {passwords}\nauth_param digest realm squid\n"
        "acl known proxy_auth REQUIRED\nhttp_access allow known\nhttp_access deny all\nshutdown_lifetime 0 seconds\n"
    )
    # It does not run as root, and reads and writes here all the same.
    tmp_path.chmod(0o777)
    for parent in tmp_path.parents:
        if parent == Path(tempfile.gettempdir()):
            break
        parent.chmod(0o755)
    return ["squid", "-N", "-f", str(path)]


@pytest.mark.parametrize(
    ("program", "schemes"),
    [
        (tinyproxy, ["http://user:pass@"]),
        (squid, ["http://user:pass@"]),
        (microsocks, ["socks5://user:pass@", "socks5h://user:pass@"]),
        # With SOCKS4a, Dante 1.4.2 refuses curl, too.
        (danted, ["socks4://", "socks5://", "socks5h://"]),
    ],
)
def test_proxies_that_others_wrote(tmp_path, secure_echo, tls, program, schemes):
    if shutil.which(program.__name__) is None and shutil.which(f"/usr/sbin/{program.__name__}") is None:
        pytest.skip(f"{program.__name__} is not installed")
    port = free_port()
    with running(program(tmp_path, port), port):
        for scheme in schemes:
            with WebSocket.connect(secure_echo.url, proxy=f"{scheme}127.0.0.1:{port}", tls=tls) as ws:
                ws.Send("through")
                assert ws.recv(10) == "through"
            if "@" in scheme:
                with pytest.raises(ProxyError, match="does not accept the user name"):
                    WebSocket.connect(secure_echo.url, proxy=f"{scheme.replace('pass', 'x')}127.0.0.1:{port}", tls=tls)
