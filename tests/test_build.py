"""What the build's commands say when something is missing or fails."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT


def executable(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}")
    path.chmod(0o755)


def run(*command, path, **variables):
    environment = {**os.environ, "PATH": f"{path}{os.pathsep}{os.environ['PATH']}", **variables}
    # What the make that runs the tests was told.
    for name in ("MAKEFLAGS", "MAKELEVEL"):
        environment.pop(name, None)
    return subprocess.run(command, capture_output=True, text=True, timeout=30, env=environment, cwd=ROOT)


def make_needs(path, *variables):
    return run("make", "needs", f"PYTHON={sys.executable}", *variables, path=path)


@pytest.fixture(scope="module")
def model():
    spec = importlib.util.spec_from_file_location("model", ROOT / "scripts" / "model.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("echo rustc 1.9.0", "rustc on PATH is 1.9.0; run rustup update"),
        ("echo rustc 1.90.1-nightly", "rustc on PATH is 1.90.1; run rustup update"),
        ("exit 1", "rustc on PATH is none; run rustup update"),
        ("echo rustc 1.91.0", None),
        ("echo rustc 1.100.0", None),
        ("echo rustc 2.0.0", None),
    ],
)
def test_a_rust_that_is_too_old_is_said_at_once(tmp_path, version, said):
    executable(tmp_path / "cargo", "")
    executable(tmp_path / "rustc", version)
    done = make_needs(tmp_path, "OLDEST_RUST=1.91")
    if said is None:
        assert (done.returncode, done.stdout) == (0, "")
    else:
        assert done.returncode != 0
        assert said in done.stdout
        assert done.stdout.count("\n") == 1


def test_the_oldest_rust_is_that_of_the_manifest(tmp_path):
    executable(tmp_path / "cargo", "")
    executable(tmp_path / "rustc", "echo rustc 1.0.0")
    done = make_needs(tmp_path)
    oldest = done.stdout.removeprefix("make: Rust ").partition(" ")[0]
    assert f'rust-version = "{oldest}"' in (ROOT / "Cargo.toml").read_text()


@pytest.mark.parametrize(("installs", "line"), [(0, "python 3.99: 1 passed"), (1, "python 3.99: FAILED: ")])
def test_a_wheel_that_cannot_be_installed_fails_the_tests(tmp_path, installs, line):
    (tmp_path / "dist").mkdir()
    (tmp_path / "requirements-dev.txt").touch()
    for script in ("lint", "coverage", "fuzz"):
        executable(tmp_path / "scripts" / f"{script}.sh", "")
    shutil.copy(ROOT / "scripts" / "test.sh", tmp_path / "scripts")
    commands = tmp_path / "commands"
    executable(commands / "python", "")
    executable(commands / "cargo", "")
    installed = f'case "$*" in *force-reinstall*) exit {installs};; *pytest*) echo "1 passed";; esac'
    executable(tmp_path / "interpreter", installed)
    executable(
        commands / "python3.99", 'if [ "$2" = venv ]; then mkdir -p "$3/bin"; cp interpreter "$3/bin/python"; fi'
    )
    done = run(str(tmp_path / "scripts" / "test.sh"), path=commands, OTHERS="3.99")
    closing = done.stdout.partition("== closing lines\n")[2]
    assert line in closing, done
    assert done.returncode == installs, done


PASSED = "test result: ok. 1 passed; 0 failed"
FAILED = "test result: FAILED. 0 passed; 1 failed"


@pytest.mark.parametrize(
    ("status", "stdout", "stderr", "found"),
    [
        (0, PASSED, "", False),
        (101, FAILED, "deadlock! blocked tasks\nfailing schedule:\n", True),
        (101, FAILED, "thread panicked at schedules.rs: ROUNDS=x", None),
        (101, "", "error: could not compile `sunsocket-model`", None),
        (101, "", "error: failed to download from the registry", None),
        (0, "test result: ok. 0 passed; 0 failed; 2 filtered out", "", None),
        (-9, "", "", None),
    ],
    ids=["holds", "found", "panic of the test's own", "compiler", "registry", "nothing run", "killed"],
)
def test_a_seeded_bug_is_found_by_the_model_alone(model, status, stdout, stderr, found):
    done = subprocess.CompletedProcess([], status, stdout, stderr)
    if found is None:
        with pytest.raises(SystemExit, match="could not be checked"):
            model.judge(done)
    else:
        assert model.judge(done) is found


def test_each_seeded_bug_fits_the_sources(model):
    sources = ROOT / "crates" / "net" / "src"
    assert [bug.name for bug in model.BUGS if (sources / bug.file).read_text().count(bug.before) != 1] == []
