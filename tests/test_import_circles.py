"""No module is in a circle of imports, and a circle would be found."""

from __future__ import annotations

import runpy

import pytest

from tests.conftest import ROOT

checker = runpy.run_path(str(ROOT / "scripts" / "import_circles.py"))


@pytest.mark.parametrize("crate", checker["CRATES"])
def test_no_module_is_in_a_circle(crate):
    assert checker["circles_of"](ROOT / "crates" / crate / "src") == []


def circles_of(folder, **files):
    for name, text in files.items():
        path = folder / (name.replace("__", "/") + ".rs")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return [["::".join(module) for module in circle] for circle in checker["circles_of"](folder)]


def test_circles_are_found_whatever_the_imports_look_like(tmp_path):
    assert circles_of(
        tmp_path,
        lib="mod a;\nmod b;\nmod c;\npub use a::A;",
        a="use std::fmt;\nuse crate::{b::{self, X as Y}, c};",
        b__mod="mod d;\npub use d::X;",
        b__d="fn f() { super::super::c::g() }",
        c="use crate::b::X;",
    ) == [["b", "b::d", "c"]]


def test_comments_texts_and_tests_are_no_imports(tmp_path):
    assert (
        circles_of(
            tmp_path,
            lib="mod a;\nmod b;",
            a='// crate::b\n/* crate::b */ const T: &str = "crate::b::X"; const C: char = \'"\';\n'
            "#[cfg(test)]\nmod tests { use crate::b::X; fn f() { {} } }\n#[cfg(test)]\nmod more;",
            a__more="use crate::b::X;",
            b="use crate::a::T;",
        )
        == []
    )


def test_the_check_says_which_modules(capsys, monkeypatch, tmp_path):
    circles_of(tmp_path / "crates" / "luau" / "src", lib="mod a;\nmod b;", a="use crate::b::X;", b="use super::a::Y;")
    monkeypatch.setitem(checker["main"].__globals__, "ROOT", tmp_path)
    assert checker["main"]() == 1
    assert "luau: 2 modules import each other in a circle: a, b" in capsys.readouterr().err
