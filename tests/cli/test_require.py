"""``require`` by the rules of Luau: what a path stands for, aliases, circles, and modules that return no value."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.conftest import SUNSOCKET, environment


@pytest.fixture
def run(tmp_path):
    """Runs a script over files, each with its text: what it prints, and the first line of what it complains about."""

    def run(files, script="main.luau"):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text if isinstance(text, str) else json.dumps(text))
        command = [str(SUNSOCKET), "run", script]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, env=environment(), cwd=tmp_path)
        return done.stdout.strip(), done.stderr.partition("\n")[0]

    return run


#: A package with a module of the same name inside and beside it.
PACKAGE = {
    "foo.luau": "return 'outer foo'",
    "package/foo.luau": "return 'inner foo'",
    "package/deep/init.luau": "return require('@self/more') .. ' of ' .. require('./foo')",
    "package/deep/more.luau": "return 'more'",
    "beside.luau": "return require('@self/child')",
    "beside/child.luau": "return 'a child of ' .. require('../foo')",
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("./foo", "outer foo"),
        ("@self/foo", "inner foo"),
        ("@SELF/deep", "more of inner foo"),
        ("./package/foo", "inner foo"),
        ("./beside", "a child of outer foo"),
        ("../{here}/foo", "outer foo"),
        ("foo", "outer foo"),
        (".\\\\foo.luau", "outer foo"),
        ("@self/./deep/../foo", "inner foo"),
    ],
)
def test_paths_in_an_init_file_begin_beside_its_folder(run, tmp_path, path, value):
    path = path.format(here=tmp_path.name)
    files = {**PACKAGE, "package/init.luau": f"return require('{path}')", "main.luau": "print(require('./package'))"}
    assert run(files) == (value, "")


def test_a_script_that_is_an_init_file_follows_the_same_rule(run):
    files = {**PACKAGE, "package/init.luau": "print(require('./foo'), require('@self/foo'))"}
    assert run(files, "package/init.luau") == ("outer foo inner foo", "")


def test_a_module_that_is_required_from_two_places_is_one(run):
    files = {
        "main.luau": "print(require('./a') == require('./folder/b'), require('./folder') == require('./a'), loads)",
        "a.luau": "return require('./folder/c')",
        "folder/init.luau": "return require('@self/c')",
        "folder/b.luau": "return require('./c')",
        "folder/c.luau": "loads = (loads or 0) + 1 return {}",
    }
    assert run(files) == ("true true 1", "")


def test_two_files_for_one_path_are_none(run):
    files = {"main.luau": "require('./a')", "a.luau": "return 1", "a/init.luau": "return 2"}
    problem = 'main.luau:1: require("./a"): a.luau and a/init.luau are both there: rename one of them'
    assert run(files) == ("", problem)
    assert run({"main.luau": "print(require('./a.luau'))"}) == ("1", "")


def test_what_is_not_there_says_where_it_was_looked_for(run):
    looked = "no such file; looked for lib/a.luau, lib/a.lua, lib/a/init.luau and lib/a/init.lua"
    assert run({"main.luau": "require('./lib/a')"}) == ("", f'main.luau:1: require("./lib/a"): {looked}')
    outside = run({"main.luau": "require('../..')"})[1]
    assert outside == 'main.luau:1: require("../.."): no such file; looked for ../../init.luau and ../../init.lua'


ALIASED = {
    "libs/json.luau": "return 'json of libs'",
    "libs/init.luau": "return 'libs'",
    "project/own/json.luau": "return 'own json'",
    ".luaurc": """{
        // for the whole tree
        "languageMode": "strict",
        "aliases": { "Libs": "./libs", "up": "@libs", "json": "@up/json", /* and */ "bare": "libs", },
    }""",
    "project/.luaurc": {"aliases": {"own": "./own/", "libs2": "@libs", "a": "@b/x", "b": "@A"}},
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("@libs/json", "json of libs"),
        ("@LIBS/json", "json of libs"),
        ("@libs", "libs"),
        ("@up/json", "json of libs"),
        ("@json", "json of libs"),
        ("@bare/json", "json of libs"),
        ("@own/json", "own json"),
        ("@libs2/json", "json of libs"),
        ("@libs/../libs/json", "json of libs"),
    ],
)
def test_aliases_come_from_the_nearest_file_that_has_them(run, path, value):
    files = {**ALIASED, "project/main.luau": "print(require('./sub/module'))"}
    files["project/sub/module.luau"] = f"return require('{path}')"
    assert run(files, "project/main.luau") == (value, "")


def test_an_alias_may_be_an_absolute_path_and_a_nearer_one_counts(run, tmp_path):
    files = {
        **ALIASED,
        "project/.luaurc": {"aliases": {"libs": f"{tmp_path}/project/own"}},
        "project/main.luau": "print(require('@libs/json'))",
    }
    assert run(files, "project/main.luau") == ("own json", "")


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        (
            "@nothing/x",
            "no .luaurc from the folder of this file upwards has the alias @nothing; "
            "there is @Libs, @a, @b, @bare, @json, @libs2, @own, @up",
        ),
        ("@a", "its aliases lead in a circle: @a -> @b -> @a"),
        ("@", "no .luaurc from the folder of this file upwards has the alias @; there is "),
        ("@libs/nothing", "no such file; looked for "),
    ],
)
def test_an_alias_that_leads_nowhere_says_so(run, path, problem):
    files = {**ALIASED, "project/main.luau": f"require('{path}')"}
    assert run(files, "project/main.luau")[1].startswith(f'project/main.luau:1: require("{path}"): {problem}')


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[", ".luaurc cannot be used: at [1]: expected a value, and the text ends (line 1, column 2)"),
        ("1", ".luaurc cannot be used: it is not an object"),
        ('{"aliases": 1}', '.luaurc cannot be used: its "aliases" are not an object'),
        ('{"aliases": {"x": 1}}', '.luaurc cannot be used: the alias "x" is not a string'),
        ('{"aliases": {}} // no end /*', "no .luaurc from the folder of this file upwards has the alias @x"),
        ("{} /* no end", ".luaurc cannot be used: a comment does not end (line 1, column 4)"),
    ],
)
def test_a_file_of_aliases_that_cannot_be_used_is_named(run, text, problem):
    files = {".luaurc": text, "main.luau": "require('@x')"}
    assert run(files)[1].startswith(f'main.luau:1: require("@x"): {problem}')


def test_a_circle_names_the_modules_in_it(run):
    files = {
        "main.luau": "local ok, problem = pcall(require, './a') print(problem)",
        "a.luau": "return require('./b')",
        "b/init.luau": "return require('@self/c')",
        "b/c.luau": "return require('../a')",
    }
    names = "a.luau -> b/init.luau -> b/c.luau -> a.luau"
    assert run(files)[0] == f'b/c.luau:1: require("../a"): modules require each other in a circle: {names}'
    files = {"main.luau": "require('./a')", "a.luau": "return require('@self')"}
    assert run(files)[1] == 'a.luau:1: require("@self"): modules require each other in a circle: a.luau -> a.luau'


def test_a_circle_over_several_threads_names_them_too(run):
    files = {
        "main.luau": "task.spawn(require, './a') task.spawn(require, './b')",
        "a.luau": "task.wait() return require('./b')",
        "b.luau": "task.wait() return require('./c')",
        "c.luau": "return require('./a')",
    }
    problem = 'c.luau:1: require("./a"): modules require each other in a circle: a.luau -> b.luau -> c.luau -> a.luau'
    assert run(files)[1] == problem


def test_a_module_that_yields_where_nothing_can_is_an_error_and_no_silence(run):
    files = {
        "main.luau": "local t = setmetatable({}, {__index = function() return require('./slow') end})\n"
        "print(pcall(function() return t.x end)) print(require('./slow'))",
        "slow.luau": "task.wait() return 'slow'",
    }
    first, second = run(files)[0].splitlines()
    assert first.startswith("false slow.luau:1: task.wait has to wait, and here nothing can")
    assert second == "slow"


@pytest.mark.parametrize(("text", "count"), [("", 0), ("return", 0), ("return 1, nil", 2), ("return nil, 1, 2", 3)])
def test_a_module_returns_one_value(run, text, count):
    files = {"main.luau": "require('./m')", "m.luau": text}
    assert run(files)[1] == f"m.luau: a module returns exactly one value, and this one returned {count}"


def test_nil_and_false_are_values_too(run):
    files = {
        "main.luau": "print(require('./n'), require('./n'), require('./f'), loads)",
        "n.luau": "loads = (loads or 0) + 1 return nil",
        "f.luau": "return false",
    }
    assert run(files) == ("nil nil false 1", "")
