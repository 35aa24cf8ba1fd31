"""Our own Markdown pages, as far as tests read them: fenced blocks, tables, headings, links."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        line: Where it begins in its page, for people.
        language: What stands behind the fence.
        output: What a block without code right behind it says that this one prints, if there is one.
    """

    page: Path
    line: int
    language: str
    text: str
    output: str | None = None

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """Every page that is for readers."""
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order. A text block that "It prints:" leads to becomes its program's output."""
    source = page.read_text()
    found: list[Block] = []
    end = 0
    for match in FENCE.finditer(source):
        language, text = match[1].strip(), match[2]
        if language == "text" and source[end : match.start()].strip() == "It prints:":
            before = found.pop()
            found.append(Block(page, before.line, before.language, before.text, output=text))
        else:
            found.append(Block(page, source.count("\n", 0, match.start()) + 1, language, text))
        end = match.end()
    return found


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return FENCE.sub("", page.read_text())


def section(page: Path, heading: str) -> str:
    """The prose under a heading, up to the next heading of the same level or a higher one."""
    source = prose(page)
    start = re.search(rf"^(#+) {re.escape(heading)}$", source, re.MULTILINE)
    assert start is not None, f"{page} has no heading {heading!r}"
    end = re.compile(rf"^#{{1,{len(start[1])}}} ", re.MULTILINE).search(source, start.end())
    return source[start.end() : end.start() if end else len(source)]


def rows(text: str) -> list[list[str]]:
    """The cells of every table row in ``text``, without heads."""
    found: list[list[str]] = []
    for line in text.splitlines():
        if line.startswith("|"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if set("".join(cells)) <= set("-: "):
                # What stands above the rule is the head.
                found.pop()
            else:
                found.append(cells)
    return found


def code(text: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`\n]+)`", text)


def anchors(page: Path) -> set[str]:
    """What a link may have behind its #."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> list[str]:
    """Where the page's links lead."""
    return re.findall(r"\]\(([^)\s]+)\)", prose(page))
