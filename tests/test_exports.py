"""The public surface: what is exported is what is documented, and nothing else."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import types

import pytest

import sunsocket
import sunsocket.aio
import sunsocket.echo

MODULES = [sunsocket, sunsocket.aio, sunsocket.echo]


def test_every_public_name_is_in_all_and_every_name_in_all_is_there():
    defined = {
        name
        for name, value in vars(sunsocket).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    assert defined | {"__version__"} == set(sunsocket.__all__)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_every_exported_name_has_a_docstring(module):
    for name in module.__all__:
        value = getattr(module, name)
        if isinstance(value, type) or callable(value):
            assert inspect.getdoc(value), name
            # Not its parent's.
            assert value.__doc__, name


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_every_public_member_has_a_docstring(module):
    for name in module.__all__:
        value = getattr(module, name)
        if not isinstance(value, type) or issubclass(value, BaseException):
            continue
        for member in dir(value):
            own = inspect.getattr_static(value, member)
            if member.startswith("_") or not (callable(own) or inspect.isdatadescriptor(own)):
                continue
            if type(own).__name__ == "member_descriptor":
                # A field of a dataclass: its class' docstring has it.
                assert f"{member}:" in value.__doc__, f"{name}.{member}"
                continue
            assert inspect.getdoc(getattr(value, member)) or inspect.getdoc(own), f"{name}.{member}"


def test_the_two_faces_have_the_same_members():
    thread = {name for name in dir(sunsocket.WebSocket) if not name.startswith("_")}
    loop = {name for name in dir(sunsocket.aio.WebSocket) if not name.startswith("_")}
    assert thread == loop
    assert {"Send", "Close", "OnMessage", "OnClose", "connect", "recv", "ping", "flush", "abort"} <= thread
    assert {name for name in dir(sunsocket.Signal) if not name.startswith("_")} == {
        "Connect", "Once", "Wait", "connect", "once", "wait",
    }  # fmt: skip


def test_every_module_can_be_imported_by_itself(run_python):
    names = [info.name for info in pkgutil.iter_modules(sunsocket.__path__) if info.name != "__main__"]
    for name in names:
        importlib.import_module(f"sunsocket.{name}")
    code = "\n".join(
        f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'import sunsocket.{name}'], check=True)"
        for name in names
    )
    outcome = run_python(code)
    assert (outcome.stderr, outcome.status) == ("", 0), outcome


def test_importing_it_starts_nothing(run_python):
    outcome = run_python(
        """
import os, sys
import sunsocket, sunsocket.aio
print(len(os.listdir("/proc/self/task")), "websockets" in sys.modules, "trustme" in sys.modules)
"""
    )
    assert outcome.stdout == "1 False False\n", outcome


def test_importing_it_imports_little(run_python):
    """Each of these takes longer than all of ours together, and a program that has a use for it has it anyway."""
    outcome = run_python(
        """
import sys
before = set(sys.modules)
import sunsocket
print(sorted({"asyncio", "dataclasses", "inspect", "logging", "ssl"} & sys.modules.keys() - before))
""",
        flags=(),
    )
    assert outcome.stdout == "[]\n", outcome


def test_the_version_is_the_distribution_s():
    from importlib.metadata import version

    assert sunsocket.__version__ == version("sunsocket")
