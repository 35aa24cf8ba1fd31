"""What files are called in errors: as one would name them from where the script was started."""

from __future__ import annotations

import subprocess

import pytest

from tests.conftest import SUNSOCKET, environment

MODULE = "local M = {}\nfunction M.fail() error('here') end\nreturn M\n"


@pytest.fixture
def bots(tmp_path):
    """A folder with a script in a folder, modules beside and above it, and a link to that folder elsewhere."""
    (tmp_path / "bots" / "own").mkdir(parents=True)
    for folder in (".", "bots", "bots/own"):
        (tmp_path / folder / "module.luau").write_text(MODULE)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "link").symlink_to(tmp_path / "bots", target_is_directory=True)
    (tmp_path / "elsewhere" / "module.luau").write_text("error('not this one')")
    return tmp_path


def first_line(folder, name, required):
    (folder / "bots" / "script.luau").write_text(f"require('{required}').fail()\n")
    done = subprocess.run(
        [str(SUNSOCKET), "run", name], capture_output=True, text=True, timeout=20, env=environment(), cwd=folder
    )
    assert done.returncode == 1, done
    first, _, frame, own = done.stderr.splitlines()
    assert own == f"  {name.removeprefix('./')}:1", done
    assert frame.startswith(f"  {first.split(': ')[0]} "), done
    return first


@pytest.mark.parametrize(
    ("name", "required", "shown"),
    [
        ("bots/script.luau", "./module", "bots/module.luau"),
        ("./bots/script.luau", "./own/../own/module", "bots/own/module.luau"),
        ("bots/script.luau", "../module", "module.luau"),
        ("bots/../bots/script.luau", "./module", "bots/module.luau"),
        # Behind a link ".." does not lead back to where the link is.
        ("elsewhere/link/script.luau", "../module", "elsewhere/link/../module.luau"),
    ],
)
def test_a_module_is_named_relative_to_where_the_script_was(bots, name, required, shown):
    assert first_line(bots, name, required) == f"{shown}:2: here"


def test_a_module_of_a_script_with_an_absolute_path_has_one_too(bots):
    name = f"{bots}/bots/script.luau"
    assert first_line(bots, name, "./module") == f"{bots}/bots/module.luau:2: here"


def test_one_module_by_two_names_is_loaded_once(bots):
    (bots / "bots" / "script.luau").write_text("print(require('./module') == require('./own/../module'))")
    command = [str(SUNSOCKET), "run", "elsewhere/link/script.luau"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, env=environment(), cwd=bots)
    assert (done.stdout, done.stderr, done.returncode) == ("true\n", "", 0)
