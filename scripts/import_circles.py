"""Finds circles of imports among the modules of a crate: modules that cannot be read, tested or changed one by one.

``python scripts/import_circles.py`` looks at each crate below. A circle is an error.

A module is a file. It imports another one where it names it in a path (``crate::a::b``, ``super::a``, or a child by its
name after ``use``), in ``use`` or anywhere else. A path leads to the longest module that it begins with, so what a
``mod.rs`` passes on counts as its own. Code under ``#[cfg(test)]`` is left out: tests may know everything.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CRATES = ["net", "luau", "python"]

_COMMENTS_AND_TEXTS = re.compile(
    r"//[^\n]*|/\*.*?\*/|b?r(#*)\".*?\"\1|b?\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\\n])'", re.DOTALL
)
_TEST_FILE = re.compile(r"#\[cfg\(test\)\]\s*(?:pub(?:\([^)]*\))?\s+)?mod\s+(\w+)\s*;")
_TEST_BLOCK = re.compile(r"#\[cfg\(test\)\]\s*(?:pub(?:\([^)]*\))?\s+)?mod\s+\w+\s*\{")
_USE = re.compile(r"\buse\s+([^;]+);")
_PATH = re.compile(r"\b((?:crate|super|self)(?:::\w+)+)")

Module = tuple[str, ...]


def modules(source: Path) -> dict[Module, Path]:
    """The modules of the crate with this folder of sources, by their paths; those of tests are left out."""
    found: dict[Module, Path] = {}
    for path in sorted(source.rglob("*.rs")):
        parts = path.relative_to(source).with_suffix("").parts
        found[() if parts == ("lib",) else parts[:-1] if parts[-1] == "mod" else parts] = path
    tests = {(*module, name) for module, path in found.items() for name in _TEST_FILE.findall(path.read_text())}
    return {module: path for module, path in found.items() if not any(module[: len(test)] == test for test in tests)}


def code(text: str) -> str:
    """The text of a file without comments, literals and blocks of tests."""
    text = _COMMENTS_AND_TEXTS.sub("", text)
    while match := _TEST_BLOCK.search(text):
        depth, end = 1, match.end()
        while depth:
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            end += 1
        text = text[: match.start()] + text[end:]
    return text


def paths_in(tree: str) -> Iterator[str]:
    """The paths of a ``use`` tree: ``a::{b, c::{d}}`` has ``a::b`` and ``a::c::d``."""
    tree = tree.strip()
    if "{" not in tree:
        yield tree.split(" as ")[0].strip()
        return
    head, _, rest = tree.partition("{")
    depth, part = 0, ""
    for letter in rest[: rest.rindex("}")] + ",":
        if letter == "," and depth == 0:
            if part.strip():
                yield from (head + path for path in paths_in(part))
            part = ""
            continue
        depth += {"{": 1, "}": -1}.get(letter, 0)
        part += letter


def imports(module: Module, text: str, known: dict[Module, Path]) -> set[Module]:
    """The modules that a module names."""
    text = code(text)
    named = {path for tree in _USE.findall(text) for path in paths_in(tree)}
    named |= set(_PATH.findall(_USE.sub("", text)))
    found = set()
    for path in named:
        parts = path.split("::")
        if parts[0] == "crate":
            start, parts = (), parts[1:]
        elif parts[0] in ("super", "self"):
            start = module
            while parts and parts[0] in ("super", "self"):
                start = start[:-1] if parts[0] == "super" else start
                parts = parts[1:]
        elif (*module, parts[0]) in known:
            start = module
        else:
            continue  # another crate, or a name that was imported above
        target: Module = (*start, *parts)
        while target not in known:
            target = target[:-1]
        if target != module:
            found.add(target)
    return found


def circles(graph: dict[Module, set[Module]]) -> list[list[Module]]:
    """The strongly connected parts of more than one module (Tarjan's algorithm)."""
    index: dict[Module, int] = {}
    low: dict[Module, int] = {}
    stack: list[Module] = []
    found = []

    def visit(module: Module) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for target in sorted(graph[module]):
            if target not in index:
                visit(target)
                low[module] = min(low[module], low[target])
            elif target in stack:
                low[module] = min(low[module], index[target])
        if low[module] == index[module]:
            part = stack[stack.index(module) :]
            del stack[stack.index(module) :]
            if len(part) > 1:
                found.append(sorted(part))

    for module in sorted(graph):
        if module not in index:
            visit(module)
    return found


def circles_of(source: Path) -> list[list[Module]]:
    """The circles of the crate with this folder of sources."""
    known = modules(source)
    return circles({module: imports(module, path.read_text(), known) for module, path in known.items()})


def main() -> int:
    failed = False
    for crate in CRATES:
        for circle in circles_of(ROOT / "crates" / crate / "src"):
            names = ", ".join("::".join(module) or "lib.rs" for module in circle)
            print(f"{crate}: {len(circle)} modules import each other in a circle: {names}", file=sys.stderr)
            failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
