"""Handlers that still run when the program has ended.

Programs of this file are not traced: see `end_handler` in `driving.rs`.
"""

from __future__ import annotations

import logging
import threading

from sunsocket import WebSocket
from sunsocket._lifetime import ProgramEnded


def test_one_that_computes_on_is_stopped(end_with_a_handler):
    outcome = end_with_a_handler("while True: time.sleep(0.001)")
    assert (outcome.stdout, outcome.status) == ("end\n", 0), outcome
    assert "still ran when the program had ended" in outcome.stderr, outcome


def test_one_that_was_stopped_is_a_warning(echo, caplog):
    said = threading.Event()

    def handler(message):
        if message == "next":
            said.set()
            return
        raise ProgramEnded

    with caplog.at_level(logging.WARNING, "sunsocket"), WebSocket.connect(echo.url) as ws:
        ws.OnMessage.Connect(handler)
        ws.Send("x")
        ws.Send("next")
        assert said.wait(10)
    (record,) = caplog.records
    assert "still ran when the program had ended" in record.message
