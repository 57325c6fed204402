"""docs/map.md against the tree: packages, modules, tables, names, and that imports within the gateway point down."""

from __future__ import annotations

import ast
import re

import pytest
from pages import ROOT, first_words, rows, section, text_of, words

from gateway.store.schema import CORE

MAP = text_of("map.md")
LEVELS = {
    module: int(row[0])
    for row in rows(section(MAP, "## Who may import whom"))
    if row[0].isdigit()
    for module in words(row[1])
}


def rooms():
    """Every package and top-level module of the gateway."""
    folder = ROOT / "gateway"
    packages = {path.parent.name for path in folder.glob("*/__init__.py")}
    return packages | {path.stem for path in folder.glob("*.py")} - {"__init__"}


def test_every_room_of_the_gateway_stands():
    assert set(first_words(section(MAP, "## Inside the gateway"))) == rooms()


def test_every_package_beside_the_gateway_stands():
    told = set(first_words(section(MAP, "## Beside the gateway")))
    real = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"gateway"}
    assert real <= told
    for name in told:
        path = ROOT / name.replace(".", "/")
        assert path.exists() or (ROOT / name).exists(), name


def test_every_table_stands_under_its_area():
    told = {row[0]: set(words(row[1])) for row in rows(section(MAP, "## Where state lives"))}
    real = {}
    for step in CORE:
        area = step.name.partition("_")[2]
        made = re.findall(r"CREATE TABLE (\w+)", " ".join(step.statements))
        real.setdefault(area, set()).update(made)
    assert told == real


def test_every_room_has_one_level():
    assert set(LEVELS) == rooms()


def imported(path):
    """(line, room) for each room of the gateway that a module imports when it runs."""
    tree = ast.parse(path.read_text("utf-8"))
    for_types = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in for_types:
            continue
        names = []
        if isinstance(node, ast.ImportFrom) and node.module == "gateway":
            names = [f"gateway.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            if name.startswith("gateway."):
                yield node.lineno, name.split(".")[1]


@pytest.mark.parametrize("room", sorted(LEVELS))
def test_imports_point_down(room):
    folder = ROOT / "gateway"
    single = folder / f"{room}.py"
    for path in [single] if single.exists() else sorted((folder / room).rglob("*.py")):
        for line, other in imported(path):
            assert other == room or LEVELS[other] < LEVELS[room], f"{path.relative_to(ROOT)}:{line} imports {other}"


def test_the_names_in_the_story_exist():
    """Every `x.y` and `Class.method` of the diagram is defined in the code."""
    (story,) = re.findall(r"^```\n(.*?)^```$", MAP, re.MULTILINE | re.DOTALL)
    source = "\n".join(path.read_text("utf-8") for path in sorted((ROOT / "gateway").rglob("*.py")))
    defined = set(re.findall(r"(?:def|class) (\w+)", source)) | set(re.findall(r"^\s+(\w+): ", source, re.MULTILINE))
    named = set(re.findall(r"\b[A-Za-z_]+\.([a-z_]+)\b(?!/)", story)) | set(
        re.findall(r"\b([A-Z][a-z]+[A-Za-z]+)\.", story)
    )
    modules = {path.stem for path in (ROOT / "gateway").rglob("*.py")} | rooms()
    assert {"take_in", "claw_back", "hand_over", "TakeIn"} <= named
    assert named - defined - modules == set()
