"""The demo's echo server: over ws and wss, for any name, in the program and as a command."""

from __future__ import annotations

import signal
import socket
import sys

import pytest

from sunsocket import TLS, TLSError, WebSocket
from sunsocket.echo import EchoServer


def test_it_sends_every_message_back():
    with EchoServer() as server, WebSocket.connect(server.url) as ws:
        for message in ("Hello", b"\0\xff", "", "x" * 100_000):
            ws.Send(message)
            assert ws.recv(5) == message


def test_over_wss_with_its_own_ca_for_any_name():
    with EchoServer(tls=True) as server:
        tls = TLS(ca_data=server.ca_pem)
        with WebSocket.connect(server.url, tls=tls) as ws:
            ws.Send("Hello")
            assert ws.recv(5) == "Hello"
        resolve = {"echo.websocket.events:443": f"127.0.0.1:{server.port}"}
        with WebSocket.connect("wss://echo.websocket.events", tls=tls, resolve=resolve) as ws:
            ws.Send("Hello")
            assert ws.recv(5) == "Hello"


def test_over_wss_for_its_address_too():
    # A client names no address in its TLS greeting: the certificate that is served then holds it.
    with EchoServer(tls=True) as server:
        assert server.host == "127.0.0.1"
        with WebSocket.connect(f"wss://{server.host}:{server.port}/", tls=TLS(ca_data=server.ca_pem)) as ws:
            ws.Send("Hello")
            assert ws.recv(5) == "Hello"


def test_a_name_that_no_certificate_can_be_made_for_is_refused(capfd):
    with EchoServer(tls=True) as server:
        options = {"tls": TLS(ca_data=server.ca_pem), "resolve": {"*": f"127.0.0.1:{server.port}"}}
        with pytest.raises(TLSError, match="dropped TCP during the TLS handshake"):
            WebSocket.connect("wss://a_b.example", **options)
    assert capfd.readouterr().err == ""


def test_a_ws_server_has_no_certificate():
    with EchoServer() as server, pytest.raises(ValueError, match="tls=True"):
        _ = server.ca_pem


def test_a_port_that_is_taken_is_an_error():
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="address already in use"):
        EchoServer(port=taken.getsockname()[1]).__enter__()


def test_leaving_the_block_closes_what_is_open():
    with EchoServer() as server:
        ws = WebSocket.connect(server.url)
    ws.OnClose.Wait(5)
    assert ws.close_code == 1001


def test_the_missing_extra_is_named(run_python):
    outcome = run_python(
        """
import sys
sys.modules["trustme"] = None
from sunsocket.echo import EchoServer
try:
    EchoServer()
except ImportError as error:
    print(error)
"""
    )
    assert 'pip install "sunsocket[echo]"' in outcome.stdout, outcome
    assert "trustme" in outcome.stdout


def test_the_command_serves_until_ctrl_c(start_program, tmp_path):
    ca = tmp_path / "ca.pem"
    process = start_program(sys.executable, "-m", "sunsocket.echo", "--tls", "--ca-out", str(ca))
    line = process.stdout.readline()
    url = line.split()[3]
    with WebSocket.connect(url, tls=TLS(ca_file=ca)) as ws:
        ws.Send("Hello")
        assert ws.recv(5) == "Hello"
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=20)
    assert (stdout, stderr, process.returncode) == ("", "", 130)


def test_the_command_serves_ws_without_a_certificate(start_program):
    process = start_program(sys.executable, "-m", "sunsocket.echo")
    url = process.stdout.readline().split()[3]
    with WebSocket.connect(url) as ws:
        ws.Send("Hello")
        assert ws.recv(5) == "Hello"
    process.send_signal(signal.SIGINT)
    assert (*process.communicate(timeout=20), process.returncode) == ("", "", 130)


def test_the_command_names_a_port_that_is_taken(start_program):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = start_program(sys.executable, "-m", "sunsocket.echo", "--port", str(taken.getsockname()[1]))
        _, stderr = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "address already in use" in stderr
    assert "Traceback" not in stderr
