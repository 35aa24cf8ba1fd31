"""The demo: the two scripts of the class' documentation against an embedded echo server, then the same in Python."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SUNSOCKET = Path(sys.executable).with_name("sunsocket")
PATIENCE = 30  # seconds, for a line that comes in a moment


def show(title: str) -> None:
    print(f"\n$ {title}", flush=True)


def expect(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdout is not None
    got = process.stdout.readline().rstrip("\n")
    print(got, flush=True)
    if got != line:
        process.kill()
        sys.exit(f"demo: expected {line!r}, got {got!r}")


def finish(process: subprocess.Popen[str], status: int) -> None:
    if process.wait(PATIENCE) != status:
        sys.exit(f"demo: expected exit status {status}, got {process.returncode}")


def start(*command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def main() -> None:
    script = "examples/on_message.luau"
    show(f"sunsocket run --local-echo {script}")
    process = start(str(SUNSOCKET), "run", "--local-echo", script)
    expect(process, "Hello")
    # The script leaves its socket open: like a server's peer it runs until Ctrl-C.
    print("^C", flush=True)
    process.send_signal(signal.SIGINT)
    finish(process, 130)

    script = "examples/on_close.luau"
    show(f"sunsocket run --local-echo {script}")
    process = start(str(SUNSOCKET), "run", "--local-echo", script)
    expect(process, "Closed")
    finish(process, 0)

    for example in ("hello_threads.py", "hello_asyncio.py"):
        show(f"python examples/{example}")
        process = start(sys.executable, f"examples/{example}")
        expect(process, "Hello")
        expect(process, "Closed")
        finish(process, 0)


if __name__ == "__main__":
    main()
