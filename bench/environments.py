"""The virtual environments that clients run in, each with the wheel of the tree and its pinned peers.

A peer that cannot be installed is left out by name; the others go on.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
REQUIREMENTS = {"main": HERE / "requirements.txt", "3.12": HERE / "requirements-3.12.txt"}

Say = Callable[[str], None]


@dataclass
class Environment:
    """An interpreter; or, without one, the reason why there is none."""

    python: Path | None
    reason: str = ""
    #: Packages that could not be installed.
    missing: set[str] = field(default_factory=set)


def wheel() -> Path:
    """What ``make build`` made."""
    wheels = sorted((ROOT / "dist").glob("sunsocket-*.whl"))
    if not wheels:
        raise SystemExit("bench: there is no wheel in dist/: run `make build` first, or `make bench`")
    return wheels[-1]


def find_python(version: str) -> Path | None:
    """``python3.12`` on PATH or under pyenv, if it runs."""
    found = shutil.which(f"python{version}")
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for candidate in ([Path(found)] if found else []) + sorted(pyenv.glob(f"{version}.*/bin/python")):
        # pyenv's stand-ins are on PATH for versions that are not chosen, and then fail.
        if subprocess.run([candidate, "-c", "import venv, ensurepip"], capture_output=True).returncode == 0:
            return candidate
    return None


def prepare(name: str, say: Say) -> Environment:
    """Makes the environment, or uses it as it is when nothing changed since it was made."""
    base = Path(sys.executable) if name == "main" else find_python(name)
    if base is None:
        return Environment(None, f"Python {name} was not found on PATH or under pyenv")
    venv = ROOT / f".venv-bench-{name}"
    python = venv / "bin" / "python"
    requirements, ours = REQUIREMENTS[name], wheel()
    state = hashlib.sha256(requirements.read_bytes() + ours.read_bytes()).hexdigest()
    stamp = venv / ".ready"
    if stamp.exists() and stamp.read_text().splitlines()[:1] == [state]:
        return Environment(python, missing=set(stamp.read_text().splitlines()[1:]))
    say(f"preparing {venv.name}")
    subprocess.run([base, "-m", "venv", venv], check=True)
    if not _install(python, "--force-reinstall", "--no-deps", ours):
        return Environment(None, f"{ours.name} could not be installed for Python {name}")
    missing = set()
    if not _install(python, "-r", requirements):
        # One by one, so that one that does not install takes no other with it.
        lines = [line for line in requirements.read_text().splitlines() if not line.startswith("#")]
        missing = {line.split("==")[0] for line in lines if not _install(python, "--no-deps", line)}
    stamp.write_text("\n".join([state, *sorted(missing)]))
    return Environment(python, missing=missing)


def _install(python: Path, *what: str | Path) -> bool:
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *what]
    return subprocess.run(command, stderr=subprocess.DEVNULL).returncode == 0
