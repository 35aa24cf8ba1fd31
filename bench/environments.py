"""The virtual environments that clients run in, each with the wheel of the tree and its pinned peers.

A peer that cannot be installed is left out by name; the others go on.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from bench.programs import HERE, ROOT, Say

REQUIREMENTS = {"main": HERE / "requirements.txt", "3.12": HERE / "requirements-3.12.txt"}


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


def prepare(name: str, say: Say, *, only_if_there: bool = False) -> Environment:
    """Makes the environment, or uses it as it is where nothing changed since it was made."""
    base = Path(sys.executable) if name == "main" else find_python(name)
    if base is None:
        return Environment(None, f"Python {name} was not found on PATH or under pyenv")
    venv = ROOT / f".venv-bench-{name}"
    python, stamp = venv / "bin" / "python", venv / ".ready"
    requirements, ours = REQUIREMENTS[name], wheel()
    states = [hashlib.sha256(file.read_bytes()).hexdigest() for file in (requirements, ours)]
    # Two states, then the packages that could not be installed.
    was = stamp.read_text().splitlines() if stamp.exists() else ["", ""]
    missing = set(was[2:])
    if was[0] != states[0]:
        if only_if_there:
            return Environment(None, f"{venv.name} is not made; without --quick it is")
        say(f"preparing {venv.name}")
        subprocess.run([base, "-m", "venv", "--clear", venv], check=True)
        missing = _install_peers(python, requirements)
    if was[:2] != states:
        if not _install(python, "--force-reinstall", "--no-deps", ours):
            return Environment(None, f"{ours.name} could not be installed for Python {name}")
        stamp.write_text("\n".join([*states, *sorted(missing)]))
    return Environment(python, missing=missing)


def _install_peers(python: Path, requirements: Path) -> set[str]:
    """The packages that could not be installed."""
    if _install(python, "-r", requirements):
        return set()
    # One by one, so that one that does not install takes no other with it.
    lines = [line for line in requirements.read_text().splitlines() if not line.startswith("#")]
    return {line.split("==")[0] for line in lines if not _install(python, "--no-deps", line)}


def _install(python: Path, *what: str | Path) -> bool:
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *what]
    return subprocess.run(command, stderr=subprocess.DEVNULL).returncode == 0


def draw_plots(results: object, folder: Path, say: Say) -> None:
    """Draws with matplotlib, in an environment of its own: what is measured shall not depend on it."""
    venv = ROOT / ".venv-bench-plots"
    if not (venv / ".ready").exists():
        say(f"preparing {venv.name}")
        subprocess.run([sys.executable, "-m", "venv", "--clear", venv], check=True)
        if not _install(venv / "bin" / "python", "-r", HERE / "requirements-plots.txt"):
            raise SystemExit("bench: matplotlib could not be installed; without --plots there are the tables")
        (venv / ".ready").touch()
    command = [str(venv / "bin" / "python"), "-m", "bench.plots", str(folder)]
    subprocess.run(command, cwd=ROOT, input=json.dumps(results), text=True, check=True)
