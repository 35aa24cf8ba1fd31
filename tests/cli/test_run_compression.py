"""``sunsocket run --compression``: what a script's connections offer (RFC 7692 section 7.1)."""

from __future__ import annotations

import pytest

SCRIPT = "local ws = WebSocket.connect((...)); ws:Close()"


@pytest.mark.parametrize(
    ("flags", "offered"),
    [
        ((), "permessage-deflate; client_max_window_bits"),
        (("--compression", "deflate"), "permessage-deflate; client_max_window_bits"),
        (("--compression", "none"), ""),
        (("--compression", "deflate; client_max_window_bits=none"), "permessage-deflate"),
        (
            ("--compression", "deflate; client_no_context_takeover; server_max_window_bits=9"),
            "permessage-deflate; client_no_context_takeover; server_max_window_bits=9; client_max_window_bits",
        ),
        (
            ("--compression", "deflate; server_no_context_takeover; client_max_window_bits=10"),
            "permessage-deflate; server_no_context_takeover; client_max_window_bits=10",
        ),
    ],
)
def test_the_offer_is_what_the_flag_says(run_luau, raw_server, flags, offered):
    offers = []

    def script(peer):
        peer.accept()
        offers.append(peer.header("Sec-WebSocket-Extensions"))
        peer.finish()

    server = raw_server(script)
    outcome = run_luau(SCRIPT, *flags, args=(server.url,))
    assert outcome.status == 0, outcome
    assert offers == [offered]


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("gzip", 'compression is "none" or "deflate", not \'gzip\''),
        ("none; client_no_context_takeover", 'compression is "none" or "deflate"'),
        ("deflate; window_bits=9", "compression has no parameter 'window_bits=9'"),
        ("deflate; server_no_context_takeover=1", "compression has no parameter 'server_no_context_takeover=1'"),
        ("deflate; server_max_window_bits=none", "compression has no parameter 'server_max_window_bits=none'"),
        ("deflate; server_max_window_bits=16", "server_window_bits is a number from 9 to 15, not 16"),
    ],
)
def test_an_offer_that_cannot_be_made_is_said_before_the_script_runs(run_luau, value, problem):
    outcome = run_luau("print('ran')", "--compression", value)
    assert outcome.status == 2
    assert problem in outcome.stderr
    assert outcome.stdout == ""
