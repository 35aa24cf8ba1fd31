"""Everything at once, at random: nothing is lost, reordered or delivered twice, nothing hangs, nothing leaks.

A few seconds in every test run; ``make stress SECONDS=60`` for longer, ``SEED=...`` for the same random choices again
(the order in which threads run is the system's). The server pings, and gives up on a client that does not answer within
8 s; the client pings as well. Meanwhile the GIL is held, the loop is blocked, the script does not yield for 2.5 s: ten
ping intervals, in which the guardian keeps every connection.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.conftest import ROOT, SUNSOCKET, environment
from tests.stress.process import running

SECONDS = float(os.environ.get("SECONDS", "5"))
SEED = int(os.environ.get("SEED") or random.randrange(1 << 30))


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running("server") as url:
        yield url


def run(*command: str) -> None:
    """Runs it to its end, which it has to reach by itself; its output says what it did."""
    print(f"SECONDS={SECONDS:g} SEED={SEED}", flush=True)
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=environment(),
        cwd=ROOT,
        timeout=SECONDS + 70,
        check=False,
    )
    print(done.stdout, end="", flush=True)
    assert done.returncode == 0, f"SEED={SEED}\n{done.stdout}\n{done.stderr}"
    assert done.stderr == ""


def program(name: str, url: str, *args: str) -> None:
    run(sys.executable, "-X", "faulthandler", "-m", f"tests.stress.{name}", url, str(SECONDS), str(SEED), *args)


@pytest.mark.timeout(SECONDS + 90)
def test_threads(url):
    program("threads", url)


@pytest.mark.timeout(SECONDS + 90)
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_tasks(url, loop):
    program("tasks", url, loop)


@pytest.mark.timeout(SECONDS + 90)
def test_a_script(url):
    script = ROOT / "tests" / "stress" / "script.luau"
    # A guardian that had to stand in says so on standard error; that it did is the point here.
    run("/bin/sh", "-c", 'exec "$@" 2>&1', "sh", str(SUNSOCKET), "run", str(script), url, str(SECONDS), str(SEED))
