"""Any one campaign package can be taken out: nothing else needs it, and the house stands without it (R245)."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
KINDS = sorted(folder.name for folder in (ROOT / "campaigns").iterdir() if (folder / "kind.py").exists())

STANDS = """
import sys

# What a source checkout installs finds the real folder behind the copy's back.
sys.meta_path = [finder for finder in sys.meta_path if "ditable" not in getattr(finder, "__name__", "")]
from pathlib import Path
from gateway.catalog.registry import installed
from tests.support.browsing import pages_of
from tests.support.world import World

import campaigns
assert Path(campaigns.__file__).is_relative_to(Path.cwd()), campaigns.__file__
gone = sys.argv[1]
kinds = set(installed(()).campaigns)
assert gone not in kinds and len(kinds) == int(sys.argv[2]) - 1, kinds
world = World(Path(sys.argv[3]), sandbox=True)
world.pay("T1", "openid-a")
assert world.client("manager").get("/api/v1/payments/T1").status_code == 200
assert pages_of(world).test_client().get("/campaigns").status_code == 200
"""

TOOLS = {"data_hub": "hub.py"}
"""Tools of one kind's tests alone, which are taken out with it."""


def test_there_are_kinds_to_take_out():
    assert KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_R245_the_house_stands_without_it(kind, tmp_path):
    copy = tmp_path / "copy"
    kept = shutil.ignore_patterns(".git", ".venv", ".*_cache", "__pycache__", "var", "shots", "node_modules")
    for name in ("gateway", "adapters", "crypto", "linkgen", "campaigns", "tests/support", "tests/vectors"):
        if (ROOT / name).exists():
            shutil.copytree(ROOT / name, copy / name, ignore=kept)
    (copy / "tests" / "__init__.py").touch()
    shutil.rmtree(copy / "campaigns" / kind)
    done = subprocess.run(
        [sys.executable, "-c", STANDS, kind, str(len(KINDS)), str(tmp_path / "world")],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("kind", KINDS)
def test_R245_no_other_test_and_no_other_room_names_it(kind):
    own = (
        ROOT / "campaigns" / kind,
        ROOT / "tests" / "campaigns" / kind,
        ROOT / "tests" / "support" / TOOLS.get(kind, "-"),
    )
    others = [
        path
        for room in ("gateway", "adapters", "crypto", "linkgen", "campaigns", "tests")
        for path in (ROOT / room).rglob("*.py")
        if not any(path.is_relative_to(folder) for folder in own)
    ]
    named = [str(path.relative_to(ROOT)) for path in others if f"campaigns.{kind}" in imported(path)]
    assert named == []


def imported(path: Path) -> set[str]:
    """The first two names of every module that is imported at the top of a file."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {".".join(name.split(".")[:2]) for name in found}
