"""What is logged, and that it is: a handler's name and place, and messages that nobody took."""

from __future__ import annotations

import functools

from sunsocket._log import busy, describe


def test_a_handler_is_named_with_its_place():
    class Callable:
        def method(self, message):
            pass

        def __call__(self, message):
            pass

        def __repr__(self):
            return "<mine>"

    assert describe(Callable.method).startswith("test_a_handler_is_named_with_its_place.<locals>.Callable.method (")
    assert describe(Callable().method).endswith("test_log.py:12)")
    assert describe(print) == "print"
    assert describe(Callable()) == "<mine>"
    assert "functools.partial" in describe(functools.partial(print, 1))


def test_a_busy_handler_is_named_with_its_time_and_with_what_to_do(caplog):
    busy(print, 5.04)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "print was busy for 5.0 s" in record.getMessage()
    assert "move long work to a thread or a task" in record.getMessage()
