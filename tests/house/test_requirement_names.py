"""Every requirement of the list is named by a test: in its name, its docstring, or that of the class it stands in."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent


def numbers(*ranges: tuple[int, int]) -> list[str]:
    return [f"R{number}" for low, high in ranges for number in range(low, high + 1)]


OF_KIND = {
    "micro_merchant": (100, 120),
    "help_cut": (130, 149),
    "two_sided": (160, 166),
    "flash_sale": (170, 184),
    "referral": (190, 195),
    "data_hub": (210, 215),
    "group_buy": (220, 230),
}
TOKENS = (200, 205)
THERE = [span for kind, span in OF_KIND.items() if (TESTS.parent / "campaigns" / kind).is_dir()]
"""A campaign that was taken out has taken its tests with it."""
LIST = numbers(TOKENS, *THERE)
_NUMBER = re.compile(r"R(\d{3})(?!\d)(?:\s*[–-]\s*R?(\d{3})(?!\d))?")


def named_in(text: str) -> Iterator[str]:
    """R-numbers of a text; `R220–R223` names the four, and so does a test's `R220_R223` the two."""
    for first, last in _NUMBER.findall(text):
        for number in range(int(first), int(last or first) + 1):
            yield f"R{number}"


def test_words(path: Path) -> Iterator[str]:
    """Names and docstrings of a module's tests, with those of the classes they stand in."""
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test"):
            yield node.name
            yield ast.get_docstring(node) or ""
        elif isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            yield ast.get_docstring(node) or ""


test_words.__test__ = False  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def named() -> set[str]:
    return {
        number
        for path in TESTS.rglob("test_*.py")
        if path != Path(__file__)
        for text in test_words(path)
        for number in named_in(text)
    }


def test_every_requirement_of_the_campaigns_is_named_by_a_test(named: set[str]) -> None:
    assert [number for number in LIST if number not in named] == []


def test_the_names_are_really_read(named: set[str]) -> None:
    """One that no test names is missed, one that is named is found; ranges count from end to end."""
    assert "R999" not in named
    assert "R243" in named
    assert list(named_in("test_R220_R223_x")) == ["R220", "R223"]
    assert list(named_in("as R160–R162 say, and R1000 does not")) == ["R160", "R161", "R162"]
