"""The programs in ``examples/`` do what they say. (``make demo`` runs the scripts of the class' documentation.)"""

from __future__ import annotations

import json

from tests.conftest import ROOT
from tests.servers.raw import TEXT

EXAMPLES = ROOT / "examples"


def run_example(run_python, name, *args):
    outcome = run_python((EXAMPLES / name).read_text(), *args, flags=("-W", "error"))
    assert (outcome.stderr, outcome.status) == ("", 0), outcome
    return outcome.stdout.splitlines()


def test_the_hello_programs_say_hello_and_closed(run_python):
    for name in ["hello_threads.py", "hello_asyncio.py"]:
        assert run_example(run_python, name) == ["Hello", "Closed"]


def test_the_rpc_client_matches_answers_with_requests(run_python):
    expected = [f"{number + 1} add [{number}, {number}]" for number in range(3)]
    assert run_example(run_python, "rpc_asyncio.py") == expected


def test_the_rpc_client_takes_answers_in_any_order(run_python, raw_server):
    def script(peer):
        peer.accept()
        for request in reversed([peer.recv() for _ in range(3)]):
            peer.send(TEXT, request.payload)
        peer.finish()

    server = raw_server(script)
    expected = [f"{number + 1} add [{number}, {number}]" for number in range(3)]
    assert run_example(run_python, "rpc_asyncio.py", server.url) == expected
    server.join()


def test_the_rpc_client_does_not_wait_for_a_server_that_has_gone(run_python, raw_server):
    def script(peer):
        peer.accept()
        peer.recv()

    server = raw_server(script)
    outcome = run_python((EXAMPLES / "rpc_asyncio.py").read_text(), server.url)
    assert "ConnectionError: the connection closed before the answer came" in outcome.stderr, outcome


def test_the_chat_bot_answers_and_connects_again(run_luau, raw_server):
    said = []

    def speak(peer, text):
        peer.send(TEXT, json.dumps({"name": "ann", "text": text}).encode())

    def hear(peer):
        said.append(json.loads(peer.recv().payload))

    def script(peer):
        peer.accept()
        hear(peer)
        if len(said) == 1:
            peer.send(TEXT, b"no JSON")
            speak(peer, "!ping")
            hear(peer)
            # It goes without a word: the bot is to come back.
            return
        speak(peer, "!say good morning")
        hear(peer)
        speak(peer, "!quit")
        peer.finish()

    server = raw_server(script)
    outcome = run_luau(EXAMPLES / "chat_bot.luau", args=(server.url, "bot"))
    server.join()
    assert said == [{"name": "bot", "text": text} for text in ["hello", "pong", "hello", "good morning"]]
    assert outcome.stdout.splitlines() == [
        f"connected to {server.url}",
        "ann: !ping",
        "no connection; trying again in 0.5 s",
        f"connected to {server.url}",
        "ann: !say good morning",
        "ann: !quit",
    ]
    assert outcome.stderr == f"{server.url} dropped TCP without a closing handshake (code 1006)\n", outcome
    assert outcome.status == 0, outcome


def test_the_chat_bot_keeps_trying(start_luau, raw_server):
    server = raw_server(lambda peer: None)
    url = server.url
    server.stop()
    process = start_luau(EXAMPLES / "chat_bot.luau", args=(url,))
    assert "connection refused" in process.stderr.readline()
    assert "connection refused" in process.stderr.readline()
    process.kill()
    process.communicate()
