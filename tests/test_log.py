"""What is logged, and that it is: a handler's name and place, and messages that nobody took."""

from __future__ import annotations

import functools
import logging

from sunsocket._log import busy, describe
from tests.servers.raw import TEXT, frame


def test_a_handler_is_named_with_its_place():
    class Callable:
        def method(self, message):
            pass

        def __call__(self, message):
            pass

        def __repr__(self):
            return "<mine>"

    assert describe(Callable.method).startswith("test_a_handler_is_named_with_its_place.<locals>.Callable.method (")
    assert describe(Callable().method).endswith("test_log.py:14)")
    assert describe(print) == "print"
    assert describe(Callable()) == "<mine>"
    assert "functools.partial" in describe(functools.partial(print, 1))


def test_dropping_is_told_also_when_it_began_before_connect_returned(face, raw_server, caplog):
    # All in one segment with the 101: the hold is full before there is a socket to tell it of.
    frames = b"".join(frame(TEXT, b"%d" % number) for number in range(100))

    def script(peer):
        peer.accept(send=frames)
        peer.finish()

    async def test():
        server = raw_server(script)
        for count in range(1, 21):
            ws = await face.connect(server.url, max_held=(10, 1 << 20))
            await face.until(lambda count=count: len(caplog.records) == count)
            ws.Close()
            await face.do(ws.OnClose.Wait(5))
        assert all("max_held" in record.getMessage() for record in caplog.records)

    with caplog.at_level(logging.WARNING, "sunsocket"):
        face.run(test)


def test_a_busy_handler_is_named_with_its_time_and_with_what_to_do(caplog):
    busy(print, 5.04)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "print was busy for 5.0 s" in record.getMessage()
    assert "move long work to a thread or a task" in record.getMessage()
