"""What the documentation says in tables agrees with the code: options, errors, members, flags, tests, files."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from typing import NamedTuple

import pytest

import sunsocket
import sunsocket.aio
from sunsocket import TLS, Deflate, WebSocket, _errors
from sunsocket._options import DEFAULTS
from sunsocket._unknown import describe
from sunsocket.echo import EchoServer
from tests import markdown
from tests.conftest import ROOT, SUNSOCKET

DOCS = ROOT / "docs"
CLASS, LUAU, SEMANTICS = DOCS / "class.md", DOCS / "luau.md", DOCS / "semantics.md"
MIGRATION = DOCS / "migration.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"

#: What every Luau has. The libraries are named on the page.
STANDARD = {
    *("_G", "_VERSION", "assert", "collectgarbage", "error", "gcinfo", "getfenv", "getmetatable", "ipairs"),
    *("newproxy", "next", "pairs", "pcall", "rawequal", "rawget", "rawlen", "rawset", "select", "setfenv"),
    *("setmetatable", "tonumber", "tostring", "type", "typeof", "unpack", "xpcall"),
}


def table(page, heading):
    """Rows of the first table under a heading, by what stands in backticks in their first cell."""
    found = {}
    for cells in markdown.rows(markdown.section(page, heading)):
        (name,) = markdown.code(cells[0])
        found[name] = cells[1:]
    return found


def value(cell):
    """The Python value that a cell shows."""
    (text,) = markdown.code(cell)
    return eval(text.replace("VERSION", sunsocket.__version__), {"__builtins__": {}})


def test_options_and_their_defaults():
    shown = {name: value(cells[1]) for name, cells in table(CLASS, "Options").items()}
    own = {name: inspect.signature(WebSocket.connect).parameters[name].default for name in ("daemon", "warn_in_loop")}
    assert shown == {**DEFAULTS, **own}


@pytest.mark.parametrize(("heading", "options"), [("TLS", TLS), ("Compression", Deflate)])
def test_the_fields_of_option_objects_and_their_defaults(heading, options):
    shown = {name: value(cells[1]) for name, cells in table(CLASS, heading).items()}
    assert shown == {field.name: field.default for field in inspect.signature(options).parameters.values()}


def test_what_options_are_called_elsewhere():
    """Each name in the table is answered with what stands beside it."""
    for there, here in markdown.rows(markdown.section(MIGRATION, "Options")):
        for name in markdown.code(there):
            assert name not in DEFAULTS
            answer = describe(name, DEFAULTS)
            own = [re.sub(r"[=(].*", "", text) for text in markdown.code(here)]
            assert "it has" not in answer, name
            assert "did you mean" not in answer, name
            assert not own or any(each in answer for each in own), (name, answer)


def test_errors_their_bases_and_attributes():
    shown = table(CLASS, "Errors")
    classes = {name: item for name, item in vars(_errors).items() if inspect.isclass(item)}
    assert set(shown) == {name for name, item in classes.items() if issubclass(item, sunsocket.Error)}
    for name, (bases, attributes, _) in shown.items():
        implied = {"Error"} if name != "Error" else {"Exception"}
        assert {base.__name__ for base in classes[name].__bases__} in (
            set(markdown.code(bases)),
            set(markdown.code(bases)) | implied,
        ), name
        parameters = list(inspect.signature(classes[name].__init__).parameters)
        assert markdown.code(attributes) == [
            each for each in parameters if each not in ("self", "text", "args", "kwargs")
        ]


def test_properties():
    signals = {"OnMessage", "OnClose", "on_message", "on_close"}
    for cls in (WebSocket, sunsocket.aio.WebSocket):
        found = {
            name
            for name, _ in inspect.getmembers(cls, lambda item: inspect.isdatadescriptor(item))
            if not name.startswith("_")
        }
        assert set(table(CLASS, "Properties")) == found - signals
    for state in sunsocket.State:
        assert f"`{state.name}`" in markdown.section(CLASS, "Properties")


def written(call):
    """Name, and parameters with their defaults, of a call as a page shows it: ``ws.recv(timeout=None)``."""
    head, _, arguments = call.partition("(")
    arguments = ast.parse(f"def call({arguments.removesuffix(')')}): pass").body[0].args
    defaults = [ast.literal_eval(default) for default in arguments.defaults]
    names = [each.arg for each in arguments.args]
    without = [inspect.Parameter.empty] * (len(names) - len(defaults))
    return head.rpartition(".")[2], dict(zip(names, without + defaults, strict=True))


def aliases():
    """The PEP 8 names in the first table, with the names that they stand for."""
    rows = markdown.rows(markdown.prose(CLASS).split("\n## ")[0])
    return {alias: markdown.code(cells[1])[0].partition("(")[0] for cells in rows for alias in markdown.code(cells[2])}


def test_methods_and_their_parameters():
    glance = [cells[1] for cells in markdown.rows(markdown.prose(CLASS).split("\n## ")[0])]
    more = [cells[0] for cells in markdown.rows(markdown.section(CLASS, "More methods"))]
    pulling = [cells[1] for cells in markdown.rows(markdown.section(CLASS, "Pulling messages"))]
    calls = [call for cell in glance + more + pulling for call in markdown.code(cell) if re.match(r"[\w.]+\(", call)]
    shown = dict(map(written, calls))
    del shown["connect"]  # Its keywords have a table of their own.
    for cls in (WebSocket, sunsocket.aio.WebSocket, sunsocket.Signal):
        for name in set(shown) & set(dir(cls)):
            parameters = dict(list(inspect.signature(getattr(cls, name)).parameters.items())[1:])
            assert shown[name] == {name: each.default for name, each in parameters.items()}, f"{cls}.{name}"
    documented = {*shown, *(alias.rpartition(".")[2] for alias in aliases()), "connect", "Connected", "connected"}
    for cls in (WebSocket, sunsocket.aio.WebSocket, sunsocket.Signal, sunsocket.SignalConnection):
        members = {name for name in dir(cls) if not name.startswith("_")}
        assert members - set(table(CLASS, "Properties")) <= documented | {"OnMessage", "OnClose"}, cls


def test_what_the_package_exports_is_on_the_page():
    shown = {re.sub(r"\(.*", "", text).rpartition(".")[2] for text in markdown.code(markdown.prose(CLASS))}
    # The classes of signals and their connections are there to be named in annotations.
    assert {name for name in sunsocket.__all__ if name != "__version__"} - shown <= {"Signal", "SignalConnection"}


def test_pep_8_names_are_the_same_thing():
    classes = {"ws": WebSocket, "signal": sunsocket.Signal, "connection": sunsocket.SignalConnection}
    for alias, canonical in aliases().items():
        (owner, name), (_, long) = alias.split("."), canonical.split(".")
        if owner == "connection":
            assert {name, long} <= set(dir(classes[owner])), alias
        else:
            assert getattr(classes[owner], name) == getattr(classes[owner], long), alias


@pytest.mark.parametrize(("page", "heading"), [(ROOT / "README.md", "Flags of `sunsocket run`"), (LUAU, "Flags")])
def test_flags(page, heading):
    help_text = subprocess.run([SUNSOCKET, "run", "--help"], capture_output=True, text=True, check=True).stdout
    flags = set(re.findall(r"^  (--\S+(?: [^ ]\S*(?: VALUE\")?)?)(?:  |$)", help_text, re.MULTILINE))
    assert set(table(page, heading)) == flags


def test_the_echo_server():
    section = markdown.section(CLASS, "An echo server")
    parameters, flags = section.split("Its properties")
    shown = {markdown.code(cells[0])[0]: value(cells[1]) for cells in markdown.rows(parameters)}
    assert shown == {
        name: each.default for name, each in inspect.signature(EchoServer).parameters.items() if name != "self"
    }
    properties = {name for name, _ in inspect.getmembers(EchoServer, inspect.isdatadescriptor) if name[0] != "_"}
    assert properties <= set(markdown.code(flags))
    command = [sys.executable, "-m", "sunsocket.echo", "--help"]
    help_text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert {markdown.code(cells[0])[0] for cells in markdown.rows(flags)} == set(
        re.findall(r"^  (--\S+(?: [A-Z]+)?)", help_text, re.MULTILINE)
    )


def test_the_globals_of_a_script(run_luau):
    script = """
    local seen, globals = {}, getgenv()
    while globals do
        for name in pairs(globals) do
            seen[name] = true
        end
        -- A script's own globals may stand before those that all scripts have.
        local meta = getmetatable(globals)
        globals = if type(meta) == "table" then meta.__index else nil
    end
    for name in seen do
        print(name)
    end
    """
    outcome = run_luau(script)
    libraries = set(markdown.code(markdown.section(LUAU, "Globals").split("Around them:")[0]))
    documented = {
        name for cells in markdown.rows(markdown.section(LUAU, "Globals")) for name in markdown.code(cells[0])
    }
    assert set(outcome.stdout.split()) == STANDARD | libraries | documented


def test_the_functions_of_task_and_http_service(run_luau):
    script = """
    for name in task do print(name) end
    for name in game:GetService("HttpService") do print(name) end
    """
    text = markdown.section(LUAU, "Globals")
    for name in run_luau(script).stdout.split():
        assert f"`{name}`" in text


class SemanticTest(NamedTuple):
    number: int
    node: ast.FunctionDef
    source: str


def semantic_tests(folder):
    """The tests of semantics in a folder, by name."""
    found = {}
    for path in folder.glob("test_*.py"):
        source = path.read_text()
        for node in ast.parse(source).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                assert node.name not in found, f"two tests are called {node.name}"
                found[node.name] = SemanticTest(
                    int(path.name.split("_")[1]), node, ast.get_source_segment(source, node)
                )
    return found


def semantics():
    """Rows of the table: number, name, faces."""
    for number, _, test, faces in markdown.rows(markdown.section(SEMANTICS, "The tests")):
        (name,) = markdown.code(test)
        yield int(number), name, faces.split(", ")


PYTHON_TESTS, LUAU_TESTS = ROOT / "tests" / "semantics", ROOT / "tests" / "semantics" / "luau"


def test_each_test_in_the_table_of_semantics_exists_and_runs_there():
    in_python, in_luau = semantic_tests(PYTHON_TESTS), semantic_tests(LUAU_TESTS)
    for number, name, faces in semantics():
        found = in_luau if faces == ["Luau"] else in_python
        assert name in found, f"there is no test {name} for {faces}"
        assert found[name].number == number, name
        if found is in_python and "face" in [arg.arg for arg in found[name].node.args.args]:
            only_async = re.search(r"if not face\.is_async:\n +(?:return|pytest\.skip)", found[name].source)
            assert faces == (["asyncio", "uvloop"] if only_async else ["threads", "asyncio", "uvloop"]), name
        assert set(faces) <= {"threads", "asyncio", "uvloop", "Luau"}, name


@pytest.mark.parametrize("folder", [PYTHON_TESTS, LUAU_TESTS], ids=["python", "luau"])
def test_each_test_of_a_semantic_is_in_the_table(folder):
    shown = {(name, faces == ["Luau"]) for _, name, faces in semantics()}
    missing = [
        f"| {test.number} | ... | `{name}` | {'Luau' if folder == LUAU_TESTS else '...'} |"
        for name, test in sorted(semantic_tests(folder).items(), key=lambda item: item[1].number)
        if (name, folder == LUAU_TESTS) not in shown
    ]
    assert not missing, "docs/semantics.md lacks:\n" + "\n".join(missing)


def test_each_semantic_has_a_test_on_each_face():
    where = {number: set() for number in range(1, 11)}
    for number, _, faces in semantics():
        where[number].update(faces)
    assert all(faces == {"threads", "asyncio", "uvloop", "Luau"} for faces in where.values())
    promises = re.findall(r"^(\d+)\. \*\*", markdown.section(SEMANTICS, "The promises"), re.MULTILINE)
    assert [int(number) for number in promises] == list(where)


@pytest.mark.parametrize("page", markdown.pages(), ids=lambda page: page.name)
def test_files_and_functions_that_a_page_names_exist(page):
    rust = "\n".join(path.read_text() for path in (ROOT / "crates").rglob("*.rs"))
    rust += "\n".join(path.read_text() for path in (ROOT / "crates" / "luau" / "src" / "prelude").glob("*.luau"))
    for text in markdown.code(markdown.prose(page)):
        if re.fullmatch(r"(?:crates|python|tests|examples|docs)/[\w./-]*", text):
            assert (ROOT / text).exists(), f"{page.name}: there is no {text}"
        elif match := re.fullmatch(r"[A-Z]\w+::(\w+)", text):
            name = match[1]
            assert re.search(rf"fn {name}\b" if name[0].islower() else rf"^ +{name}\b", rust, re.MULTILINE), (
                f"{page.name}: there is no {text}"
            )


def test_each_folder_of_tests_has_a_row():
    shown = {
        name for cells in markdown.rows(markdown.section(CONTRIBUTING, "Tests")) for name in markdown.code(cells[0])
    }
    folders = {f"tests/{path.parent.name}" for path in (ROOT / "tests").glob("*/test_*.py")}
    assert folders | {"tests/servers", "model", "fuzz", "compliance"} <= shown


def test_the_targets_of_make():
    targets = set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    shown = {name.removeprefix("make ") for name in table(CONTRIBUTING, "Start")}
    assert shown == targets - {"help"}
    for page in markdown.pages():
        for target in re.findall(r"(?:^\$ |`)make ([a-z]+)\b", page.read_text(), re.MULTILINE):
            assert target in targets, f"{page.name}: make {target}"
