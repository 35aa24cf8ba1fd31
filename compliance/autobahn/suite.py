"""The official suite: its environment of Python 2.7, its cases, and its fuzzing servers."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
VENV = ROOT / ".venv-autobahn"
REQUIREMENTS = [HERE / "requirements-virtualenv.txt", HERE / "requirements.txt"]

Command = list[str | Path]

#: Asks the suite itself which cases and sections there are.
LIST = """
import json
from autobahntestsuite import case, caseset
cases = caseset.CaseSet(case.CaseSetname, case.CaseBasename, case.Cases, case.CaseCategories, case.CaseSubCategories)
print(json.dumps([[cases.caseClasstoId(each) for each in case.Cases], case.CaseCategories]))
"""


class Missing(Exception):
    """What the machine lacks, in one line."""


@dataclass
class Suite:
    """The suite as it is installed."""

    python: Path
    version: str
    #: Identifiers in the order of the suite.
    cases: list[str]
    #: What the first number of an identifier stands for.
    sections: dict[str, str]


def find_python() -> Path:
    found = shutil.which("python2.7")
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    check = "import sys, ctypes, ssl; sys.exit(sys.version_info[:2] != (2, 7))"
    for candidate in ([Path(found)] if found else []) + sorted(pyenv.glob("2.7*/bin/python")):
        # pyenv's stand-ins are on PATH for versions that are not chosen, and then fail.
        if subprocess.run([candidate, "-c", check], capture_output=True).returncode == 0:
            return candidate
    raise Missing("Python 2.7, which the suite needs, was not found on PATH or under pyenv (pyenv install 2.7)")


def prepare() -> Suite:
    """Installs the suite, or uses it as it is when nothing changed since it was."""
    base, python = find_python(), VENV / "bin" / "python"
    state = hashlib.sha256(b"".join(file.read_bytes() for file in REQUIREMENTS) + str(base).encode()).hexdigest()
    stamp = VENV / ".ready"
    if not stamp.exists() or stamp.read_text() != state:
        print(f"preparing {VENV.name} with {base}", flush=True)
        shutil.rmtree(VENV, ignore_errors=True)
        # Python 2.7 has no venv of its own: virtualenv makes one, from the Python that runs this.
        bootstrap = VENV / "bootstrap"
        _run([sys.executable, "-m", "pip", "install", "--target", bootstrap, "-r", REQUIREMENTS[0]])
        virtualenv: Command = [sys.executable, "-m", "virtualenv", "--no-periodic-update", "-p", base, VENV]
        _run(virtualenv, env={**os.environ, "PYTHONPATH": str(bootstrap)})
        _run([python, "-m", "pip", "install", "--no-deps", "-r", REQUIREMENTS[1]])
        stamp.write_text(state)
    listed = subprocess.run([python, "-c", LIST], check=True, capture_output=True, text=True, env=_environment())
    cases, sections = json.loads(listed.stdout)
    version = re.search(r"^autobahntestsuite==(\S+)", REQUIREMENTS[1].read_text(), re.MULTILINE)
    return Suite(python, version[1] if version else "", cases, sections)


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONWARNINGS": "ignore", "PYTHONUNBUFFERED": "1"}


def _run(command: Command, env: dict[str, str] | None = None) -> None:
    if "pip" in command:
        command = [*command[:4], "--quiet", "--disable-pip-version-check", *command[4:]]
    done = subprocess.run(command, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        last = (done.stdout.strip().splitlines() or ["no output"])[-1]
        raise Missing(f"the suite could not be installed ({last}); see {' '.join(map(str, command))}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def fuzzing_server(suite: Suite, cases: list[str], reports: Path) -> Iterator[str]:
    """A server of these cases; its address."""
    shutil.rmtree(reports, ignore_errors=True)
    reports.mkdir(parents=True)
    port = _free_port()
    url = f"ws://127.0.0.1:{port}"
    spec = reports / "spec.json"
    spec.write_text(json.dumps({"url": url, "outdir": str(reports), "cases": cases}))
    with (reports / "server.log").open("w") as log:
        command: Command = [suite.python, VENV / "bin" / "wstest", "-m", "fuzzingserver", "-u", "0", "-s", spec]
        server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=_environment())
        try:
            _wait_for(server, port, reports)
            yield url
        finally:
            server.terminate()
            server.wait(10)


def _wait_for(server: subprocess.Popen[bytes], port: int, reports: Path) -> None:
    patience = time.monotonic() + 60
    while time.monotonic() < patience and server.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise Missing(f"the fuzzing server did not start: see {reports / 'server.log'}")
