"""Reading the project's own pages: tables, code blocks, links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`\n]+)`")


def text_of(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language, in order."""
    return [body for told, body in _FENCE.findall(text) if told == language]


def without_blocks(text: str) -> str:
    return _FENCE.sub("", text)


def section(text: str, heading: str) -> str:
    """What stands under a heading, up to the next of its level or above."""
    level = len(heading) - len(heading.lstrip("#"))
    lines = without_blocks(text).splitlines()
    start = lines.index(heading) + 1
    found = []
    for line in lines[start:]:
        hashes = len(line) - len(line.lstrip("#"))
        if 0 < hashes <= level:
            break
        found.append(line)
    return "\n".join(found)


def rows(text: str) -> list[list[str]]:
    """The cells of every table row in a text, heads and rulers left out."""
    found: list[list[str]] = []
    lines = text.splitlines()
    for place, line in enumerate(lines):
        ruler = set(line) <= set("|- ")
        head = place + 1 < len(lines) and lines[place + 1].startswith("| ---")
        if line.startswith("|") and not ruler and not head:
            found.append([cell.strip() for cell in line.strip().strip("|").split(" | ")])
    return found


def words(cell: str) -> list[str]:
    """What stands in code type in a cell."""
    return _CODE.findall(cell)


def first_words(text: str) -> list[str]:
    """The code words of every row's first cell."""
    return [word for row in rows(text) for word in words(row[0])]


def shell_lines(text: str) -> Iterator[str]:
    """The commands of every `sh` block, comments cut off."""
    for block in blocks(text, "sh"):
        for line in block.splitlines():
            command = re.sub(r"\s+#.*", "", line).strip()
            if command and not command.startswith("#"):
                yield command
