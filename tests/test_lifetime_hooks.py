"""How the end of a program is noticed, step by step; tests/semantics/test_8_lifetime.py has whole programs."""

from __future__ import annotations

import atexit
import io
import signal
import sys
import threading

import pytest

from sunsocket import _lifetime


@pytest.fixture
def registered(monkeypatch):
    """What is registered to run at exit, in place of the interpreter's list."""
    calls = []
    monkeypatch.setattr(_lifetime, "_registered", False)
    monkeypatch.setattr(atexit, "register", calls.append)
    return calls


def test_waiting_comes_before_all_exit_functions_where_that_can_be_asked_for(registered, monkeypatch):
    early = []
    monkeypatch.setattr(threading, "_register_atexit", early.append, raising=False)
    _lifetime.register()
    _lifetime.register()
    assert early == [_lifetime._wait]
    assert registered == [_lifetime._stop]


def test_a_program_that_is_ending_already_waits_with_its_exit_functions(registered, monkeypatch):
    def refuse(_):
        raise RuntimeError("cannot register now")

    monkeypatch.setattr(threading, "_register_atexit", refuse, raising=False)
    _lifetime.register()
    assert registered == [_lifetime._wait, _lifetime._stop]


def test_so_does_an_interpreter_without_that_way(registered, monkeypatch):
    monkeypatch.delattr(threading, "_register_atexit", raising=False)
    _lifetime.register()
    assert registered == [_lifetime._wait, _lifetime._stop]


def test_ending_wakes_the_main_thread_as_ctrl_c_does(monkeypatch):
    monkeypatch.setattr(_lifetime, "_ending", False)

    def end_and_sleep():
        _lifetime.end()
        threading.Event().wait(10)

    with pytest.raises(KeyboardInterrupt):
        end_and_sleep()
    assert _lifetime._ending


def test_a_program_that_ignores_ctrl_c_is_left_alone(monkeypatch):
    monkeypatch.setattr(_lifetime, "_ending", False)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        _lifetime.end()
    finally:
        signal.signal(signal.SIGINT, before)
    assert _lifetime._ending


def test_what_goes_on_after_an_error_is_told_once_and_shortly(capsys):
    _lifetime._say_what_goes_on([])
    assert capsys.readouterr() == ("", "")
    _lifetime._say_what_goes_on([f"ws://{number}.example/" for number in range(5)])
    assert "still open: ws://0.example/, ws://1.example/, ws://2.example/ and 2 more; Ctrl-C" in capsys.readouterr().err


def test_at_a_prompt_it_is_not_told(capsys, monkeypatch):
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    _lifetime._say_what_goes_on(["ws://a.example/"])
    assert capsys.readouterr() == ("", "")


def test_without_a_standard_error_it_is_told_nobody(monkeypatch):
    closed = io.StringIO()
    closed.close()
    for stderr in (None, closed):
        monkeypatch.setattr(sys, "stderr", stderr)
        _lifetime._say_what_goes_on(["ws://a.example/"])
